/* Must not run twice at once. */
#include "tally.h"

SONICORN_MANIFEST({"name" : "tally", "overlap" : "exclusive"});
