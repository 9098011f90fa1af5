/* With the query "fork" it forks a child that holds all descriptors of the server until the thread
   that forked it ends. */
#include <signal.h>
#include <sys/prctl.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "forks", "blocking" : false});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  if (fixture_equals(request->query, "fork")) {
    const pid_t parent = getpid();
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      while (getppid() == parent) pause();
      _exit(0);
    }
    if (child < 0) return sonicorn_fail(context, "cannot fork");
  }
  response->body = SONICORN_STRING("forks\n");
  return SONICORN_OK;
}
