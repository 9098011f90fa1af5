#include "cli/run.hpp"

int main(int argc, char** argv) { return sonicorn::cli::run(argc, argv); }
