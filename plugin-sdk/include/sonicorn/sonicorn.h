/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one include of a Sonicorn app in C:
 *
 *   #include <sonicorn/sonicorn.h>
 *   SONICORN_MANIFEST({"name": "hello", "blocking": false});
 *   int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
 *                               const sonicorn_request* request, sonicorn_response* response) {
 *     response->body = SONICORN_STRING("Hello\n");
 *     return SONICORN_OK;
 *   }
 *
 * What an app may export: attributes.h. What it may ask of the server: capability/.
 */
#ifndef SONICORN_SONICORN_H
#define SONICORN_SONICORN_H

#include <sonicorn/abi.h>
#include <sonicorn/attributes.h>
#include <sonicorn/capabilities.h>
#include <sonicorn/context.h>
#include <sonicorn/manifest.h>
#include <sonicorn/request.h>
#include <sonicorn/response.h>
#include <sonicorn/server.h>
#include <sonicorn/state.h>
#include <sonicorn/websocket.h>

#endif
