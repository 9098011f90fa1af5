#pragma once

// What the supervisor and a worker say to each other. Each message is a JSON object whose "say" is
// one of these names; the other members are given behind it.
namespace sonicorn::process::message {

// To a worker.
// The first: "index", "flags" (the command line), "text" (the configuration file's, if there is
// one), "sockets" (array of {"fd", "url"}), "report" (the descriptor for its last words),
// "builds" (of the apps to serve: "index", "generation", "build"), "quarantined" (names of apps).
inline constexpr char kStart[] = "start";
// Accept connections from now on.
inline constexpr char kServe[] = "serve";
// End in order: "reason" (SONICORN_REASON_...), "signal" (0: none), "message"; "goes_on": the
// server does, without this worker. A second one with a signal ends it at once.
inline constexpr char kStop[] = "stop";
// Answer "what" under "id": "pulse", "apps", "metrics", "numbers", "drain" with "app"; and the
// steps of a change of what is served, each answered with a fault that is empty when it went well:
// - "prepare": "text" (of the configuration file), "apps" (the whole list: "index", "replaces",
//   "alone", "generation", "build", "spare", "spare_generation"), "reason", "signal", "message";
// - "exchange", where some app must not run twice at once;
// - "commit" or "drop".
inline constexpr char kAsk[] = "ask";
// Serve this "app" no more: its mount answers 503.
inline constexpr char kQuarantine[] = "quarantine";
// Somebody else who accepted has gone; look whether somebody waits.
inline constexpr char kLook[] = "look";
// Whether the server as a whole serves as it should, for health_path: "why_not".
inline constexpr char kHealth[] = "health";
// Open the log files again.
inline constexpr char kReopen[] = "reopen";

// From a worker.
// The apps are loaded, started and ready; it accepts when told to serve.
inline constexpr char kPrepared[] = "prepared";
// It accepts connections.
inline constexpr char kServing[] = "serving";
// Whether it serves as it should: "ready", "why_not"; "stopping": it is about to end.
inline constexpr char kReadiness[] = "readiness";
// It cannot start because of "app", or ends for a call of that; "generation": if one is to blame.
inline constexpr char kFailed[] = "failed";
// What it could not write in its life: "lines" of the log, "access_lines".
inline constexpr char kDropped[] = "dropped";
// All of its apps are ended in order, and its process ends.
inline constexpr char kFinished[] = "finished";
// The answer to kAsk: "id", "answer".
inline constexpr char kAnswer[] = "answer";
// What an app asked for through control/1: "app", "action" (SONICORN_CONTROL_...), "message".
inline constexpr char kControl[] = "control";
// A step in the life of a generation begins: "key", "app", "generation", "build_id", "event"; or
// has ended: "key", "result".
inline constexpr char kLife[] = "life";
// A generation that was replaced has ended: "app", "generation", "gone", "cause".
inline constexpr char kRetired[] = "retired";
// What became of the state that an app handed over: "app", "schema", "state".
inline constexpr char kState[] = "state";
// It can serve only in part, or should serve no longer, and asks to be replaced: "why"; with "app",
// "generation" and "attribute" when an app's call holds up a thread which others need.
inline constexpr char kReplace[] = "replace";

}  // namespace sonicorn::process::message
