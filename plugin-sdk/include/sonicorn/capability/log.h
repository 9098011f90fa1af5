/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log/1, a service: lines in the server's log, each with the app's name.
 */
#ifndef SONICORN_CAPABILITY_LOG_H
#define SONICORN_CAPABILITY_LOG_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_LOG "log/1"

SONICORN_BEGIN_C

#define SONICORN_LOG_DEBUG 1u
#define SONICORN_LOG_INFO 2u
#define SONICORN_LOG_WARNING 3u
#define SONICORN_LOG_ERROR 4u

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_log {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Writes one line at a SONICORN_LOG_... level. The text is copied; line breaks in it are escaped.
     [any-thread] Since 1.0. */
  void (*write)(const struct sonicorn_server* server, uint32_t level, const char* text,
                uint64_t text_size);
} sonicorn_log;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_log, write) == 8, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_log) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
