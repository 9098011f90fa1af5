/* A build that has lost its shutdown. */
#define BUILD_NAME "no shutdown"
#define BUILD_NO_SHUTDOWN
#include "build_answer.h"
