#pragma once

// How the calling thread shares the processor with others. A wish: where the kernel does not know
// it or a sandbox forbids it, nothing happens.
namespace sonicorn::core {

// It is to run soon when there is something to do, and takes short turns for that: for threads that
// answer requests. Needs Linux 6.12; before that the kernel guesses who is in a hurry.
void ask_for_short_turns();

// It works in the background, with what others leave and a smaller share of a busy processor.
// Threads and processes that it starts are the same. It cannot be taken back.
void step_back();

}  // namespace sonicorn::core
