/* Ends its process while it is loaded, with a status that looks like success. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_ABI_MARK;

__attribute__((constructor)) static void leave(void) { exit(0); }
