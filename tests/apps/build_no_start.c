/* A build whose start fails. */
#define BUILD_NAME "no start"
#define BUILD_START sonicorn_fail(context, "no database")
#include "build_answer.h"
