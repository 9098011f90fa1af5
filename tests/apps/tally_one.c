/* Hands over its count. */
#define TALLY_SCHEMA "tally/1"
#include "tally.h"

SONICORN_MANIFEST({"name" : "tally", "state_schema" : "tally/1"});
