/* Requires a capability that no server has. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "needy", "requires" : ["com.example.nothing/1"], "uses" : ["log/1"]});
