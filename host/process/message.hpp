#pragma once

// What the supervisor and a worker say to each other. Each message is a JSON object whose "say" is
// one of these names; the other members are given behind it.
namespace sonicorn::process::message {

// To a worker.
// The first: "index", "flags" (the command line), "text" (the configuration file's, if there is
// one), "sockets" (array of {"fd", "url"}), "report" (the descriptor for its last words),
// "quarantined" (names of apps).
inline constexpr char kStart[] = "start";
// Accept connections from now on.
inline constexpr char kServe[] = "serve";
// End in order: "reason" (SONICORN_REASON_...), "signal" (0: none), "message". A second one with a
// signal ends it at once.
inline constexpr char kStop[] = "stop";
// Take this text of the configuration file: "text", "only" (the app that is meant; empty: all),
// "reason", "signal", "message".
inline constexpr char kConfigure[] = "configure";
// Answer "what" ("apps", "metrics", "numbers" or "drain" with "app") under "id".
inline constexpr char kAsk[] = "ask";
// Serve this "app" no more: its mount answers 503.
inline constexpr char kQuarantine[] = "quarantine";
// Somebody else who accepted has gone; look whether somebody waits.
inline constexpr char kLook[] = "look";
// Open the log files again.
inline constexpr char kReopen[] = "reopen";

// From a worker.
// The apps are loaded, started and ready; it accepts when told to serve.
inline constexpr char kPrepared[] = "prepared";
// It accepts connections.
inline constexpr char kServing[] = "serving";
// Whether it serves as it should: "ready", "why_not".
inline constexpr char kReadiness[] = "readiness";
// It cannot start, because of "app".
inline constexpr char kFailed[] = "failed";
// The answer to kAsk: "id", "answer".
inline constexpr char kAnswer[] = "answer";
// What an app asked for through control/1: "app", "action" (SONICORN_CONTROL_...), "message".
inline constexpr char kControl[] = "control";
// It can serve only in part, or should serve no longer, and asks to be replaced: "why"; with "app",
// "generation" and "attribute" when an app's call holds up an I/O thread.
inline constexpr char kReplace[] = "replace";

}  // namespace sonicorn::process::message
