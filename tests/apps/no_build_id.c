/* Linked without a build-id. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "anonymous", "version" : "2.5", "description" : "no build-id"});
