/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ground of the ABI: version, calling convention, results, strings.
 *
 * Growth rules of ABI 1
 *   - An app of the same major and the same or an older minor loads. A newer minor or another major
 *     is refused before any code of the app runs.
 *   - Every struct that crosses the ABI begins with `size`, the bytes its writer knew. It only
 * grows, and only at its end; a reader looks at a late member only when `size` covers it
 *     (SONICORN_HAS).
 *   - Fixed-width types only: no bool, no enum, no long. Sizes are in bytes, times carry their unit
 * in the name. A function is never removed and never changes its meaning within a major.
 *   - All text is UTF-8 with an explicit size; it need not end in a zero byte.
 *
 * Thread tags, on every function of these headers
 *   [lifecycle-thread]  the one thread of a generation that runs start .. shutdown
 *   [request-thread]    a thread that runs a handler: an I/O thread or a pool thread
 *   [any-thread]        any thread at all, also one that the app made
 */
#ifndef SONICORN_ABI_H
#define SONICORN_ABI_H

#include <stddef.h>
#include <stdint.h>

#define SONICORN_ABI_MAJOR 1
#define SONICORN_ABI_MINOR 0

#if !defined(__GNUC__)
#error \
    "Sonicorn apps are built with GCC or Clang: the ABI needs their visibility and section attributes"
#endif
#if UINTPTR_MAX != UINT64_MAX
#error "Sonicorn's ABI is for 64-bit machines"
#endif

#ifdef __cplusplus
#define SONICORN_EXTERN_C extern "C"
#define SONICORN_BEGIN_C extern "C" {
#define SONICORN_END_C }
#define SONICORN_STATIC_ASSERT static_assert
#else
#define SONICORN_EXTERN_C
#define SONICORN_BEGIN_C
#define SONICORN_END_C
#define SONICORN_STATIC_ASSERT _Static_assert
#endif

/* Makes a function visible outside the shared object, also under -fvisibility=hidden. */
#define SONICORN_EXPORT __attribute__((visibility("default")))

/* Whether the struct at `pointer` was written by somebody who knew `member`. */
#define SONICORN_HAS(pointer, type, member) \
  ((pointer)->size >= offsetof(type, member) + sizeof(((const type*)0)->member))

/* Results of attributes and of server functions: 0 ok, above declined, below an error. */
#define SONICORN_OK 0
#define SONICORN_DECLINED 1
#define SONICORN_ERROR (-1)

SONICORN_BEGIN_C

/* Text or bytes that somebody else owns. `data` may be NULL when `size` is 0. Since 1.0. */
typedef struct sonicorn_string {
  const char* data;
  uint64_t size; /* bytes */
} sonicorn_string;

SONICORN_STATIC_ASSERT(sizeof(sonicorn_string) == 16, "sonicorn_string is two words");

/* A view of a string literal. */
#ifdef __cplusplus
#define SONICORN_STRING(literal) (sonicorn_string{(literal), sizeof(literal) - 1})
#else
#define SONICORN_STRING(literal) ((sonicorn_string){(literal), sizeof(literal) - 1})
#endif

SONICORN_END_C

#endif
