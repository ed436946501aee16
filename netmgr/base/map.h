/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Hash map from a byte string to a pointer, on uthash (which stays inside map.c). The map owns
 * copies of its keys, never the values. Not thread-safe: everything in it belongs to the event loop.
 */

#include "base/macro.h"

typedef struct Map Map;

Map *map_new(void);
Map *map_free(Map *m); /* accepts NULL, returns NULL; values are left alone */
DEFINE_CLEANUP(Map *, map_free)

/* 0, -EEXIST or -ENOMEM. */
int map_put(Map *m, const void *key, size_t size, void *value);
void *map_get(const Map *m, const void *key, size_t size);
/* Removes and returns the value, NULL when absent. */
void *map_remove(Map *m, const void *key, size_t size);
/* Puts another value, or NULL, in the place of a key that is there, and returns the old one. Needs no
 * memory. */
void *map_replace(Map *m, const void *key, size_t size, void *value);
/* Whether the key is there, also with NULL as its value. */
bool map_has(const Map *m, const void *key, size_t size);
size_t map_size(const Map *m);

/* Iteration: `for (MapEntry *e = map_first(m); e; e = map_next(e))`; in order of insertion.
 * Removing the current entry is safe when the next one was fetched before. */
typedef struct MapEntry MapEntry;
MapEntry *map_first(const Map *m);
MapEntry *map_next(const MapEntry *e);
void *map_entry_value(const MapEntry *e);

static inline int map_put_str(Map *m, const char *key, void *value) {
        return map_put(m, key, strlen(key), value);
}
static inline void *map_get_str(const Map *m, const char *key) {
        return map_get(m, key, strlen(key));
}
static inline void *map_remove_str(Map *m, const char *key) {
        return map_remove(m, key, strlen(key));
}
static inline int map_put_u64(Map *m, uint64_t key, void *value) {
        return map_put(m, &key, sizeof(key), value);
}
static inline void *map_get_u64(const Map *m, uint64_t key) {
        return map_get(m, &key, sizeof(key));
}
static inline void *map_remove_u64(Map *m, uint64_t key) {
        return map_remove(m, &key, sizeof(key));
}

#define MAP_FOREACH(var, m)                                                                        \
        for (MapEntry *_e = map_first(m), *_n;                                                     \
             _e && (_n = map_next(_e), (var) = map_entry_value(_e), 1); _e = _n)
