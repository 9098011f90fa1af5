/* Built twice under one DT_SONAME, each with another BESIDE_TEXT. */
__attribute__((visibility("default"))) const char* beside_inner_text(void);

const char* beside_inner_text(void) { return BESIDE_TEXT; }
