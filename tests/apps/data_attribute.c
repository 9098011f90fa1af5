/* Exports an attribute as an object; calling it would be a crash. */
#include <sonicorn/manifest.h>

SONICORN_ABI_MARK;

SONICORN_EXPORT extern void* sonicorn_on_request;
void* sonicorn_on_request = &sonicorn_on_request;
