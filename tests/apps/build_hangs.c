/* A build whose start does not return. */
#define BUILD_NAME "hangs"
#define BUILD_START (pause(), SONICORN_OK)
#include "build_answer.h"
