/* Knows nothing of the state of the first. */
#define TALLY_SCHEMA "tally/2"
#include "tally.h"

SONICORN_MANIFEST({"name" : "tally", "state_schema" : "tally/2"});
