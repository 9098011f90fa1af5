/* A build whose health fails. */
#define BUILD_NAME "unhealthy"
#define BUILD_HEALTH sonicorn_fail(context, "it is ill")
#include "build_answer.h"
