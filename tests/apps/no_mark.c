/* A shared object like any other: it exports an attribute's name but carries no ABI mark. */
#include <stdint.h>

__attribute__((visibility("default"))) int32_t sonicorn_on_request(void);

int32_t sonicorn_on_request(void) { return 0; }
