/* A build whose start fails in the second worker. */
#define BUILD_NAME "second fails"
#define BUILD_START \
  (context->worker_index == 1 ? sonicorn_fail(context, "not in this worker") : SONICORN_OK)
#include "build_answer.h"
