/* SPDX-License-Identifier: Apache-2.0 */
/*
 * paced PORT MILLISECONDS INTERVAL
 *
 * Asks 127.0.0.1:PORT for "/" over one keep-alive connection every INTERVAL microseconds, for so
 * long, and prints how many answers came and what 50 % and 99 % of them took, in microseconds:
 * "COUNT P50 P99". A request is due by the clock, so one that is held up counts what it waited.
 * Exit status 0 when every answer was a 200; 1 otherwise, with a sentence.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 1000000 };
static double took_us[kMost];

static void fail(const char* what) {
  fprintf(stderr, "paced: %s\n", what);
  exit(1);
}

static long long now_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void ask(int fd) {
  static const char request[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
  char answer[4096];
  size_t size = 0;
  if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) < 0) fail("the connection was cut");
  /* An answer of hello: a head, and a body that ends in the only line feed without a CR. */
  while (size < sizeof answer - 1) {
    const ssize_t got = recv(fd, answer + size, sizeof answer - 1 - size, 0);
    if (got <= 0) fail("the connection was cut");
    size += (size_t)got;
    answer[size] = 0;
    const char* const end = strstr(answer, "\r\n\r\n");
    if (end != NULL && strchr(end + 4, '\n') != NULL) break;
  }
  if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0) fail("an answer was not a 200");
}

/* Asks for short turns (Linux 6.12), so that it measures the server and not how long it waits for a
   processor that who operates the server uses as well. */
static void be_in_a_hurry(void) {
  const struct {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
  } wanted = {.size = 48, .runtime = 100000};
  syscall(SYS_sched_setattr, 0, &wanted, 0);
}

static int by_size(const void* a, const void* b) {
  const double difference = *(const double*)a - *(const double*)b;
  return difference < 0 ? -1 : difference > 0;
}

int main(int argc, char** argv) {
  if (argc != 4) fail("usage: paced PORT MILLISECONDS INTERVAL");
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((unsigned short)atoi(argv[1])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int on = 1;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&at, sizeof at) != 0) fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  prctl(PR_SET_TIMERSLACK, 1UL);
  be_in_a_hurry();
  const long long interval = atoll(argv[3]) * 1000;
  long long due = now_ns();
  const long long end = due + atoll(argv[2]) * 1000000;
  size_t count = 0;
  for (; due < end && count < kMost; due += interval) {
    const struct timespec until = {due / 1000000000, due % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
    ask(fd);
    took_us[count++] = (double)(now_ns() - due) / 1000;
  }
  if (count == 0) fail("nothing was asked");
  qsort(took_us, count, sizeof *took_us, by_size);
  printf("%zu %.1f %.1f\n", count, took_us[count / 2], took_us[count * 99 / 100]);
  return 0;
}
