// Filters requests and has no handler of its own.
#include "contract_app.hpp"

SONICORN_MANIFEST({"name" : "contract-filter", "version" : "1.0", "blocking" : false});
CONTRACT_HIDES(on_request);
