// Declares every attribute and is to be called by one thread at a time.
#include "contract_services.hpp"

SONICORN_MANIFEST({"name" : "contract-serial", "version" : "1.0", "threads" : "serial"});
