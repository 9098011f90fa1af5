/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load PORT KIND COUNT SECONDS
 *
 * Sends COUNT requests to 127.0.0.1:PORT over one keep-alive connection, each batch only after the
 * answers of the one before it: an exact amount of work for a server under an instruction counter.
 * KIND: minimal | browser | pipelined (batches of 16, COUNT a multiple of it). Exit status 0 when
 * every answer was a 200 within SECONDS; 1 otherwise, with a sentence.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { kBatch = 16, kBufferBytes = 65536 };

static const char kMinimal[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

static const char kBrowser[] =
    "GET / HTTP/1.1\r\n"
    "Host: 127.0.0.1:8000\r\n"
    "Connection: keep-alive\r\n"
    "Cache-Control: max-age=0\r\n"
    "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
    "sec-ch-ua-mobile: ?0\r\n"
    "sec-ch-ua-platform: \"Linux\"\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/124.0.0.0 Safari/537.36\r\n"
    "Accept: "
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Accept-Encoding: gzip, deflate, br\r\n"
    "Accept-Language: en-US,en;q=0.9,de;q=0.8\r\n"
    "Cookie: session=6f1d2c3b4a5968778695a4b3c2d1e0f0; theme=dark; consent=necessary; "
    "visitor=v1.1719472938.1763869200; zone=Europe%2FBerlin\r\n"
    "\r\n";

static void fail(const char* what) {
  fprintf(stderr, "load: %s\n", what);
  exit(1);
}

static int connect_to(unsigned port) {
  const struct sockaddr_in at = {.sin_family = AF_INET,
                                 .sin_port = htons((unsigned short)port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  const int on = 1;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&at, sizeof at) != 0) fail("cannot connect");
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/* The bytes of the complete answer at the front of the text `data`, 0 when more is needed. */
static size_t answer_size(const char* data, size_t size) {
  static const char kField[] = "\r\nContent-Length:";
  const char* end = strstr(data, "\r\n\r\n");
  if (end == NULL) return 0;
  if (strncmp(data, "HTTP/1.1 200 ", 13) != 0) fail("an answer was not a 200");
  const char* field = strcasestr(data, kField);
  if (field == NULL || field > end) fail("an answer had no Content-Length");
  const size_t whole = (size_t)(end + 4 - data) + strtoul(field + sizeof kField - 1, NULL, 10);
  return whole <= size ? whole : 0;
}

static void receive_answers(int fd, size_t count) {
  static char buffer[kBufferBytes + 1];
  size_t filled = 0;
  while (count > 0) {
    const ssize_t bytes = recv(fd, buffer + filled, kBufferBytes - filled, 0);
    if (bytes <= 0) fail("the server closed the connection before the last answer");
    filled += (size_t)bytes;
    buffer[filled] = '\0';
    size_t used = 0;
    for (size_t size; count > 0 && (size = answer_size(buffer + used, filled - used)) > 0; --count)
      used += size;
    filled -= used;
    memmove(buffer, buffer + used, filled);
  }
  if (filled > 0) fail("more answers than requests");
}

int main(int argc, char** argv) {
  static char batch_bytes[kBatch * sizeof kBrowser];
  if (argc != 5) fail("usage: load PORT minimal|browser|pipelined COUNT SECONDS");
  const char* request = strcmp(argv[2], "browser") == 0 ? kBrowser : kMinimal;
  const size_t batch = strcmp(argv[2], "pipelined") == 0 ? kBatch : 1;
  const size_t size = strlen(request) * batch;
  for (size_t i = 0; i < batch; ++i) strcat(batch_bytes, request);

  alarm((unsigned)strtoul(argv[4], NULL, 10));
  const int fd = connect_to((unsigned)strtoul(argv[1], NULL, 10));
  for (size_t left = strtoul(argv[3], NULL, 10); left >= batch; left -= batch) {
    if (send(fd, batch_bytes, size, MSG_NOSIGNAL) != (ssize_t)size) fail("the server went away");
    receive_answers(fd, batch);
  }
  close(fd);
  return 0;
}
