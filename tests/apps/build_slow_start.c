/* A build whose start takes a while. */
#define BUILD_NAME "slow"
#define BUILD_START (poll(NULL, 0, 300), SONICORN_OK)
#include <poll.h>

#include "build_answer.h"
