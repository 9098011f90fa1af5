#pragma once

#include <cstdint>
#include <initializer_list>

// Which part of the server the calling thread is, for thread_check/1 and for the functions that an
// app may call from some threads only.
namespace sonicorn::app {

// SONICORN_THREAD_...; 0 for a thread that the server does not know.
std::uint32_t thread_role();

// Says it of the calling thread, once, when it begins.
void set_thread_role(std::uint32_t role);

// Whether the calling thread has one of the roles. In a build with assertions a thread that has not
// ends the process with a sentence that names `function` and the role: it is a mistake of the app.
bool allowed_here(const char* function, std::initializer_list<std::uint32_t> roles);

// For a sentence: "its lifecycle thread", "an I/O thread", ...
const char* name_of_role(std::uint32_t role);

}  // namespace sonicorn::app
