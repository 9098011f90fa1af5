// Declares every attribute; its handlers run on the pool, and use the server's services.
#include "contract_services.hpp"

SONICORN_MANIFEST({"name" : "contract-all", "version" : "1.0", "uses" : ["log/1", "timer/1"]});
