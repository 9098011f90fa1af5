// Crashes, on an I/O thread.
#include "crashes.hpp"

SONICORN_MANIFEST({"name" : "crashes-inline", "blocking" : false});
