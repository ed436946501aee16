/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * json-c with limits, and a table-driven reader of objects.
 *
 * CNI's reference implementation decodes with Go, which matches keys without regard to case;
 * containerd relies on it ("HostPort"). So lookups here ignore ASCII case; of several keys that
 * differ only in case the last one wins, as in Go.
 */

#include <json-c/json.h>

#include "base/error.h"
#include "base/inaddr.h"

static inline void json_putp(json_object **o) {
        json_object_put(*o);
}
#define _cleanup_json_ _cleanup_(json_putp)

/*
 * Parses exactly one JSON text of at most CONFIG_SIZE_MAX bytes and JSON_DEPTH_MAX levels; nothing
 * but white space may follow, NUL bytes and invalid UTF-8 are refused. `what` names the text in the
 * sentence ("network configuration on stdin"). -EBADMSG with ERROR_DECODE on failure.
 */
int json_parse(const char *text, size_t size, const char *what, json_object **ret, Error *e);
/* The same with another limit of its size. */
int json_parse_max(const char *text, size_t size, size_t max, const char *what, json_object **ret,
                   Error *e);

/* Value of the key, ignoring ASCII case; NULL when absent or null. Borrowed. */
json_object *json_get(json_object *object, const char *key);
/* The same, but tells a null from absence: true when the key is there. */
bool json_has(json_object *object, const char *key, json_object **ret);

typedef enum JsonFieldFlags {
        JSON_REQUIRED = 1 << 0,
} JsonFieldFlags;

typedef struct JsonField JsonField;

/*
 * Reads one value into `target` (base object + offset). `path` is the path of the key for sentences
 * ("ipam.ranges[0][1].subnet"). Returns 0 or a negative errno with *e filled.
 */
typedef int (*JsonReader)(json_object *value, const char *path, void *target, Error *e);

struct JsonField {
        const char *key;
        JsonReader read; /* NULL: the key is known, its value is read elsewhere */
        size_t offset;
        JsonFieldFlags flags;
};

typedef enum JsonUnknown {
        JSON_UNKNOWN_IGNORE, /* drop-in configurations, runtimeConfig, args */
        JSON_UNKNOWN_REFUSE, /* our own objects: ERROR_UNKNOWN_OPTION names key and value */
} JsonUnknown;

/*
 * Reads all fields of the table (ended by a NULL key) from an object into `base`. null values count
 * as absent. path may be "" for the top level.
 */
int json_read_object(json_object *object, const char *path, const JsonField *fields,
                     JsonUnknown unknown, void *base, Error *e);

/* Calls `read` for each element of an array of at most max elements, with `userdata` as target. */
int json_read_array(json_object *array, const char *path, size_t max, JsonReader read,
                    void *userdata, Error *e);

/* Readers. Targets: char * (owned; replaced), bool, uint32_t, uint64_t, InAddr, InPrefix. */
int json_read_string(json_object *value, const char *path, void *target, Error *e);
int json_read_bool(json_object *value, const char *path, void *target, Error *e);
int json_read_u32(json_object *value, const char *path, void *target, Error *e);
int json_read_u64(json_object *value, const char *path, void *target, Error *e);
int json_read_in_addr(json_object *value, const char *path, void *target, Error *e);
int json_read_in_prefix(json_object *value, const char *path, void *target, Error *e); /* CIDR */

/* A short printable form of a value for sentences: JSON cut at 64 bytes. */
#define JSON_SHORT_SIZE 72
const char *json_short(json_object *value, char buf[static JSON_SHORT_SIZE]);
#define JSON_SHORT(v) json_short((v), (char[JSON_SHORT_SIZE]) { 0 })

/* Builders that remember failure: add to an object or array, take ownership of the value;
 * -ENOMEM when the value is NULL or adding fails (the value is released then). */
int json_add(json_object *object, const char *key, json_object *value);
int json_add_string(json_object *object, const char *key, const char *value); /* NULL: no key */
int json_append(json_object *array, json_object *value);

/* Compact text of an object; owned by caller. NULL when out of memory. */
char *json_to_text(json_object *o);
