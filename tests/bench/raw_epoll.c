/* SPDX-License-Identifier: Apache-2.0 */
/*
 * raw_epoll REQUEST_BYTES BODY_BYTES
 *
 * Answers every REQUEST_BYTES received with one fixed response, without looking at what they are;
 * all that one read completes goes out with one send. Prints where it listens, ends by a signal.
 */
#include <string.h>

#include "raw_loop.h"

enum { kMaxBody = 16384, kMaxBatch = 64, kReadBytes = 16384 };

static size_t request_size, response_size;
static size_t unanswered[kMaxFd]; /* bytes of a request that is not complete yet */
static char responses[kMaxBatch * (kMaxBody + 256)];

static void prepare_responses(size_t body_size) {
  const int head = snprintf(responses, sizeof responses,
                            "HTTP/1.1 200 OK\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n"
                            "Content-Type: text/plain\r\nContent-Length: %zu\r\n\r\n",
                            body_size);
  memset(responses + head, 'x', body_size);
  response_size = (size_t)head + body_size;
  for (size_t i = 1; i < kMaxBatch; ++i)
    memcpy(responses + i * response_size, responses, response_size);
}

static int answer(int fd) {
  static char input[kReadBytes];
  const ssize_t received = recv(fd, input, sizeof input, 0);
  if (received <= 0) {
    unanswered[fd] = 0;
    return -1;
  }
  unanswered[fd] += (size_t)received;
  size_t count = unanswered[fd] / request_size;
  unanswered[fd] %= request_size;
  while (count > 0) {
    const size_t batch = count < kMaxBatch ? count : kMaxBatch;
    const size_t size = batch * response_size;
    if (send(fd, responses, size, MSG_NOSIGNAL) != (ssize_t)size) return -1;
    count -= batch;
  }
  return 0;
}

int main(int argc, char** argv) {
  const size_t body_size = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
  request_size = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
  if (request_size == 0 || body_size == 0 || body_size > kMaxBody) {
    fputs("usage: raw_epoll REQUEST_BYTES BODY_BYTES (at most 16384)\n", stderr);
    return 2;
  }
  prepare_responses(body_size);
  raw_serve(answer);
}
