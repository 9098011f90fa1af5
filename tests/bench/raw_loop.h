/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The floor of the comparison: a listening socket and a level-triggered epoll loop in one thread,
 * the least that any server on this kernel has to do.
 */
#ifndef SONICORN_BENCH_RAW_LOOP_H
#define SONICORN_BENCH_RAW_LOOP_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kMaxFd = 65536, kMaxEvents = 256 };

/* Called when `fd` has bytes to read. 0 goes on, -1 closes the connection. */
typedef int (*raw_on_readable)(int fd);

static inline void raw_die(const char* what) {
  perror(what);
  exit(1);
}

static inline int raw_listen(void) {
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof at;
  const int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (listener < 0 || bind(listener, (struct sockaddr*)&at, size) != 0 ||
      listen(listener, 1024) != 0 || getsockname(listener, (struct sockaddr*)&at, &size) != 0)
    raw_die("listen");
  printf("Listening on http://127.0.0.1:%u\n", (unsigned)ntohs(at.sin_port));
  fflush(stdout);
  return listener;
}

static inline void raw_accept(int epoll, int listener) {
  const int fd = accept(listener, NULL, NULL);
  const int on = 1;
  struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
  if (fd < 0 || fd >= kMaxFd) raw_die("accept");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) raw_die("epoll_ctl");
}

/* Serves until a signal ends the process. */
_Noreturn static inline void raw_serve(raw_on_readable on_readable) {
  const int listener = raw_listen();
  const int epoll = epoll_create1(0);
  struct epoll_event events[kMaxEvents] = {{.events = EPOLLIN, .data.fd = listener}};
  if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]) != 0) raw_die("epoll");
  for (;;) {
    const int count = epoll_wait(epoll, events, kMaxEvents, -1);
    for (int i = 0; i < count; ++i) {
      const int fd = events[i].data.fd;
      if (fd == listener)
        raw_accept(epoll, listener);
      else if (on_readable(fd) != 0)
        close(fd);
    }
  }
}

#endif
