/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that an app hands to the server (save_state, describe) or gets back (load_state).
 */
#ifndef SONICORN_STATE_H
#define SONICORN_STATE_H

#include <sonicorn/abi.h>

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_blob {
  uint32_t size;          /* bytes of this struct */
  uint32_t reserved;      /* 0 */
  sonicorn_string schema; /* state: the id of its format, "counter/1"; describe: unused */
  sonicorn_string bytes;  /* state: anything; describe: a JSON object */

  /* When the app wrote the blob: called once after the server copied it; may be NULL.
     [lifecycle-thread] Since 1.0. */
  void (*release)(void* release_argument);
  void* release_argument;
} sonicorn_blob;

SONICORN_STATIC_ASSERT(sizeof(sonicorn_blob) == 56, "ABI 1.0 layout");

SONICORN_END_C

#endif
