/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The server as an app sees it: a few facts, the app's settings, and the question what the server
 * can deliver. The struct belongs to the server and lives from before `start` until after
 * `shutdown`.
 */
#ifndef SONICORN_SERVER_H
#define SONICORN_SERVER_H

#include <sonicorn/abi.h>

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_server {
  uint32_t size;            /* bytes of this struct */
  uint32_t abi_minor;       /* of the server; its major is the app's */
  sonicorn_string name;     /* "sonicorn" */
  sonicorn_string version;  /* of the server, "1.2.3" */
  sonicorn_string app_name; /* the name under which this app runs */
  sonicorn_string mount;    /* "" for the root, else "/prefix" */
  sonicorn_string settings; /* the app's settings, a JSON object; "{}" when there are none */

  /*
   * Asks for a capability, "NAME/REV" or "com.example.NAME/REV".
   * `id` ends in a zero byte and is not kept.
   * Result: a table of the capability's own type (sonicorn/capability/NAME.h), valid until shutdown
   * returns; NULL when this server does not deliver it, the operator withheld it, or the id is
   * malformed. The answer does not change during the life of a generation.
   * [any-thread] Since 1.0.
   */
  const void* (*get_capability)(const struct sonicorn_server* server, const char* id);
} sonicorn_server;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_server, get_capability) == 88, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_server) == 96, "ABI 1.0 layout");

SONICORN_END_C

#endif
