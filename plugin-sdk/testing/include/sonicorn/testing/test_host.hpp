// SPDX-License-Identifier: Apache-2.0
/*
 * The one include of a test of an app, in any framework:
 *
 *   #include <sonicorn/testing/test_host.hpp>
 *
 *   sonicorn::testing::Host host;
 *   auto app = host.load("build/hello.so", {.settings = R"({"greeting": "Hi"})"});
 *   app.start();
 *   assert(app.get("/").body == "Hi\n");
 *   app.shutdown();
 *   assert(app.call_order() == "start on_request shutdown");
 *
 * The target Sonicorn::testing of the installed SDK brings the sources behind it. All of it belongs
 * to one thread, the test's; only the threads of background/1 are threads.
 */
#pragma once

#if !defined(__cplusplus) || __cplusplus < 202002L
#error \
    "sonicorn/testing/test_host.hpp needs C++20: link Sonicorn::testing, or compile with -std=c++20"
#endif

#include <sonicorn/testing/app.hpp>
#include <sonicorn/testing/error.hpp>
#include <sonicorn/testing/functions.hpp>
#include <sonicorn/testing/host.hpp>
#include <sonicorn/testing/record.hpp>
#include <sonicorn/testing/request.hpp>
