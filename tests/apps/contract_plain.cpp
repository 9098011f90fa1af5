// Declares every attribute but those that hand over state, so that two generations may run at once.
#include "contract_app.hpp"

SONICORN_MANIFEST({"name" : "contract-plain", "version" : "1.0"});
CONTRACT_HIDES(load_state);
CONTRACT_HIDES(save_state);
