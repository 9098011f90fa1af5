/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw_echo HEAD_BYTES BODY_BYTES
 *
 * Takes the last BODY_BYTES of every HEAD_BYTES + BODY_BYTES received for a body, copies it once
 * and sends it back. Parses nothing. The send blocks, so a slow reader stalls the others: this is a
 * measure, not a server. Prints where it listens, ends by a signal.
 */
#include <string.h>

#include "raw_loop.h"

static size_t head_size, body_size;
static char response_head[128];
static size_t response_head_size;
static char* response;
static char* requests[kMaxFd]; /* by descriptor; kept for the next connection that gets it */
static size_t received[kMaxFd];

static int send_echo(int fd) {
  memcpy(response, response_head, response_head_size);
  memcpy(response + response_head_size, requests[fd] + head_size, body_size);
  const size_t size = response_head_size + body_size;
  for (size_t sent = 0; sent < size;) {
    const ssize_t bytes = send(fd, response + sent, size - sent, MSG_NOSIGNAL);
    if (bytes <= 0) return -1;
    sent += (size_t)bytes;
  }
  return 0;
}

static int echo(int fd) {
  const size_t size = head_size + body_size;
  if (requests[fd] == NULL) requests[fd] = malloc(size);
  if (requests[fd] == NULL) raw_die("malloc");
  const ssize_t bytes = recv(fd, requests[fd] + received[fd], size - received[fd], 0);
  if (bytes > 0) received[fd] += (size_t)bytes;
  if (bytes > 0 && received[fd] < size) return 0;
  received[fd] = 0;
  return bytes > 0 ? send_echo(fd) : -1;
}

int main(int argc, char** argv) {
  head_size = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
  body_size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
  if (head_size == 0 || body_size == 0) {
    fputs("usage: raw_echo HEAD_BYTES BODY_BYTES\n", stderr);
    return 2;
  }
  response_head_size = (size_t)snprintf(response_head, sizeof response_head,
                                        "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                                        "Content-Length: %zu\r\n\r\n",
                                        body_size);
  response = malloc(response_head_size + body_size);
  if (response == NULL) raw_die("malloc");
  raw_serve(echo);
}
