// Crashes, on a thread of the pool.
#include "crashes.hpp"

SONICORN_MANIFEST({"name" : "crashes"});
