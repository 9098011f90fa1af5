/* The first build of an app. */
#define BUILD_NAME "one"
#include "build_answer.h"
