/* Echoes on the pool. */
#include "echo_answer.h"

SONICORN_MANIFEST({"name" : "echo-pool", "blocking" : true});
