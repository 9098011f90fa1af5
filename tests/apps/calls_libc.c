/* Exports on_request alone but imports shutdown(2), read(2), signal(2) and more, which a plain
   dlsym on the object finds. */
#include <signal.h>
#include <sonicorn/sonicorn.h>
#include <sys/socket.h>
#include <unistd.h>

SONICORN_ABI_MARK;

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  char byte;
  const int failures = (shutdown(-1, SHUT_RDWR) != 0) + (read(-1, &byte, 1) < 0) + (close(-1) != 0);
  void (*previous)(int) = signal(SIGURG, SIG_DFL);
  response->body = failures == 3 && previous != SIG_ERR ? SONICORN_STRING("calls libc\n")
                                                        : SONICORN_STRING("unexpected\n");
  return SONICORN_OK;
}
