// Declares not one attribute, though it has the functions: it is loaded and never called.
#include "contract_app.hpp"

SONICORN_MANIFEST({"name" : "contract-none", "version" : "1.0"});
CONTRACT_HIDES(start);
CONTRACT_HIDES(load_state);
CONTRACT_HIDES(health);
CONTRACT_HIDES(ready);
CONTRACT_HIDES(on_request);
CONTRACT_HIDES(pre_request);
CONTRACT_HIDES(post_request);
CONTRACT_HIDES(on_disconnect);
CONTRACT_HIDES(on_websocket_open);
CONTRACT_HIDES(on_websocket_message);
CONTRACT_HIDES(on_websocket_close);
CONTRACT_HIDES(on_event);
CONTRACT_HIDES(thread_start);
CONTRACT_HIDES(thread_exit);
CONTRACT_HIDES(reload);
CONTRACT_HIDES(save_state);
CONTRACT_HIDES(drain);
CONTRACT_HIDES(shutdown);
CONTRACT_HIDES(describe);
