/* Compiled against a minor of the ABI that is newer than any server of today. */
#include <sonicorn/manifest.h>

#undef SONICORN_ABI_MINOR
#define SONICORN_ABI_MINOR 99

SONICORN_ABI_MARK;
