/* Leaves the text of an error behind on the I/O thread. */
#include "leaves_error_answer.h"

SONICORN_MANIFEST({"name" : "leaves-error", "blocking" : false});
