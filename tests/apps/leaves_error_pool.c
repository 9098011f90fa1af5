/* Leaves the text of an error behind on the pool. */
#include "leaves_error_answer.h"

SONICORN_MANIFEST({"name" : "leaves-error-pool", "blocking" : true});
