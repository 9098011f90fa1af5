/* The second. */
#define BUILD_NAME "two"
#include "build_answer.h"
