/* Its manifest gives a key a value of the wrong type. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "bad-manifest", "blocking" : "perhaps"});
