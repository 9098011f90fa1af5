/* Echoes on the I/O thread. */
#include "echo_answer.h"

SONICORN_MANIFEST({"name" : "echo", "blocking" : false});
