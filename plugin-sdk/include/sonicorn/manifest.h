/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The manifest: what an app says of itself in a form that is read from the file, without running
 * code.
 *
 * It is an ELF note (name "Sonicorn", type 1) in the section .note.sonicorn: two 32-bit numbers,
 * the ABI major and minor that the app was compiled against, and a JSON object, possibly absent.
 * Only the ABI version is mandatory. The keys, each with its default:
 *
 *   "name"         string                     the file's name without ".so"
 *   "version"      string                     ""
 *   "description"  string                     ""
 *   "requires"     [ "NAME/REV", ... ]        []   refused where the server lacks one
 *   "uses"         [ "NAME/REV", ... ]        []   may be NULL at run time
 *   "threads"      "concurrent" | "serial"    "concurrent"   serial: never two calls at once
 *   "blocking"     true | false               true   true: handlers run on the pool; false: on the
 *                                             I/O thread, where they must never wait
 *   "overlap"      "allowed" | "exclusive"    "allowed"   exclusive: never two generations at once
 *   "state_schema" string                     ""   the schema id that save_state writes
 *
 * An object may carry several manifests (one from the source, one from the build); they are merged,
 * and a key that two of them give differently is refused.
 */
#ifndef SONICORN_MANIFEST_H
#define SONICORN_MANIFEST_H

#include <sonicorn/abi.h>

#define SONICORN_NOTE_NAME "Sonicorn"
#define SONICORN_NOTE_TYPE_MANIFEST 1
#define SONICORN_NOTE_SECTION ".note.sonicorn"

#define SONICORN_DETAIL_JOIN2(a, b) a##b
#define SONICORN_DETAIL_JOIN(a, b) SONICORN_DETAIL_JOIN2(a, b)
#define SONICORN_DETAIL_PADDED(text) ((sizeof(text) + 3u) & ~(size_t)3u)

#define SONICORN_DETAIL_NOTE(id, text)                                                    \
  __attribute__((used, section(SONICORN_NOTE_SECTION), aligned(4))) static const struct { \
    uint32_t name_size;                                                                   \
    uint32_t content_size;                                                                \
    uint32_t type;                                                                        \
    char name[12];                                                                        \
    uint32_t abi_major;                                                                   \
    uint32_t abi_minor;                                                                   \
    char json[SONICORN_DETAIL_PADDED(text)];                                              \
  } SONICORN_DETAIL_JOIN(sonicorn_detail_note_, id) = {sizeof(SONICORN_NOTE_NAME),        \
                                                       8 + SONICORN_DETAIL_PADDED(text),  \
                                                       SONICORN_NOTE_TYPE_MANIFEST,       \
                                                       SONICORN_NOTE_NAME,                \
                                                       SONICORN_ABI_MAJOR,                \
                                                       SONICORN_ABI_MINOR,                \
                                                       text}

/*
 * Marks the object as a Sonicorn app and says of it what the JSON object says. Once, at file scope:
 *
 *   SONICORN_MANIFEST({"name": "hello", "version": "1.0", "blocking": false});
 */
#define SONICORN_MANIFEST(...) SONICORN_DETAIL_NOTE(__COUNTER__, #__VA_ARGS__)

/* Marks the object as a Sonicorn app for which every default of the manifest is right. */
#define SONICORN_ABI_MARK SONICORN_DETAIL_NOTE(__COUNTER__, "")

#endif
