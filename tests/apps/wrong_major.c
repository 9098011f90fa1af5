/* Compiled against another major of the ABI. */
#include <sonicorn/manifest.h>

#undef SONICORN_ABI_MAJOR
#define SONICORN_ABI_MAJOR 2

SONICORN_MANIFEST({"name" : "from-the-future"});
