#pragma once

// What a process reports of itself when it ends by a fatal signal, or by an exit() that nobody
// planned. core/crash_report.hpp reads it.
namespace sonicorn::core {

// From now on SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS and SIGTRAP have the process write a
// report to `report` before it dies by that signal: the default action follows, and with it the
// core dump. `report` is a pipe or a file, stays open, and is closed on exec. A report is
// smaller than 60 KiB, which an empty pipe takes, usually smaller than 10; of a pipe that has no
// room for a second the rest is lost.
//
// Of threads that crash at the same time the first one reports, and the others wait for the end. A
// child that was forked, also by an app, reports nothing. A handler that an app installs later
// replaces this one. An overflow of the stack is reported for threads with an alternate stack
// (core/alternate_stack.hpp); the calling thread gets one.
//
// Once in a process, before other threads are made and apps are loaded.
void install_crash_handler(int report);

// With an installed crash handler exit() and quick_exit(), also the return of main, are a crash and
// no end of the server: the process writes a report and is gone, before destructors of static
// objects run. To be repeated each time that an app was loaded, so that this is what runs first.
// Thread-safe.
void expect_no_exit();

// The opposite: the process is about to end as planned. Thread-safe.
void expect_exit();

}  // namespace sonicorn::core
