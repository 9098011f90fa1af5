// SPDX-License-Identifier: Apache-2.0
/*
 * The one include of a Sonicorn app in C++20 or later:
 *
 *   #include <sonicorn/app.hpp>
 *
 *   struct Hello {
 *     explicit Hello(sonicorn::Server& server);                                 // start
 *     sonicorn::Response on_request(const sonicorn::Request& request);
 *     void shutdown(const sonicorn::Shutdown& why);
 *   };
 *   SONICORN_APP(Hello, on_request, shutdown)
 *
 * The members' names are the attributes of <sonicorn/attributes.h>, with the same order, threads
 * and guarantees. A member may leave out parameters from the end. One that throws fails its call:
 * the text goes to the server's log, from on_request the client gets a 500; no exception crosses
 * the ABI.
 *
 * on_request runs on several threads at once unless the manifest says "threads": "serial".
 */
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error "sonicorn/app.hpp needs C++20: compile with -std=c++20. For C include sonicorn/sonicorn.h"
#endif

#include <sonicorn/sonicorn.h>

#include <sonicorn/cpp/context.hpp>
#include <sonicorn/cpp/declare.hpp>
#include <sonicorn/cpp/exchange.hpp>
#include <sonicorn/cpp/members.hpp>
#include <sonicorn/cpp/request.hpp>
#include <sonicorn/cpp/response.hpp>
#include <sonicorn/cpp/server.hpp>
#include <sonicorn/cpp/state.hpp>
#include <sonicorn/cpp/text.hpp>
#include <sonicorn/cpp/websocket.hpp>
