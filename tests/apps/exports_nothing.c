/* A complete app that declares nothing: it loads and is never called. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;
