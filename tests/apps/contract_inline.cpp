// Declares every attribute; its handlers run on the I/O threads, and use the server's services.
#include "contract_services.hpp"

SONICORN_MANIFEST({"name" : "contract-inline", "version" : "1.0", "blocking" : false});
