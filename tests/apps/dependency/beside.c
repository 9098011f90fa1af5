/* Looks for the library that it needs itself in its own folder, too. */
__attribute__((visibility("default"))) const char* beside_text(void);

const char* beside_inner_text(void);

const char* beside_text(void) { return beside_inner_text(); }
