/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics/1, a service: numbers that the operator sees.
 */
#ifndef SONICORN_CAPABILITY_METRICS_H
#define SONICORN_CAPABILITY_METRICS_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_METRICS "metrics/1"

SONICORN_BEGIN_C

#define SONICORN_METRIC_COUNTER 1u
#define SONICORN_METRIC_GAUGE 2u
#define SONICORN_METRIC_HISTOGRAM 3u

struct sonicorn_server;

/* One metric of one app, valid until shutdown returns. */
struct sonicorn_metric;

/* Since 1.0. */
typedef struct sonicorn_metrics {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Finds or makes the metric `name` ([a-z_][a-z0-9_]*) of a SONICORN_METRIC_... kind; `help`
     explains it in a sentence. Both end in a zero byte and are copied. NULL when the name is
     malformed, is the server's ("sonicorn_..."), or has another kind already, also in another app,
     and when the app has 1,000 metrics. [any-thread] Since 1.0. */
  struct sonicorn_metric* (*get)(const struct sonicorn_server* server, uint32_t kind,
                                 const char* name, const char* help);

  /* Counter and gauge: adds `amount`, a counter only above 0. [any-thread] Since 1.0. */
  void (*add)(struct sonicorn_metric* metric, double amount);

  /* Gauge: is now `value`; histogram: one more observation. [any-thread] Since 1.0. */
  void (*set)(struct sonicorn_metric* metric, double value);
} sonicorn_metrics;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_metrics, set) == 24, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_metrics) == 32, "ABI 1.0 layout");

SONICORN_END_C

#endif
