// A filter that may block, and has no handler of its own.
#include "contract_app.hpp"

SONICORN_MANIFEST({"name" : "contract-filter-pool", "version" : "1.0"});
CONTRACT_HIDES(on_request);
