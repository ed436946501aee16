/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The map on uthash; out of memory is an error code, never an exit. */

#include "base/map.h"

/* Its hash function falls through on purpose, without saying so to clang. */
#pragma GCC diagnostic ignored "-Wimplicit-fallthrough"

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct MapEntry {
        UT_hash_handle hh;
        void *value;
        size_t size;
        unsigned char key[];
};

struct Map {
        MapEntry *head;
};

Map *map_new(void) {
        return new0(Map, 1);
}

Map *map_free(Map *m) {
        MapEntry *e, *next;

        if (!m)
                return NULL;
        HASH_ITER(hh, m->head, e, next) {
                HASH_DEL(m->head, e);
                free(e);
        }
        free(m);
        return NULL;
}

static MapEntry *find(const Map *m, const void *key, size_t size) {
        MapEntry *e;
        HASH_FIND(hh, m->head, key, size, e);
        return e;
}

int map_put(Map *m, const void *key, size_t size, void *value) {
        if (find(m, key, size))
                return -EEXIST;
        MapEntry *e = calloc(1, sizeof(MapEntry) + size + 1);
        if (!e)
                return -ENOMEM;
        memcpy(e->key, key, size);
        e->size = size;
        e->value = value;
        HASH_ADD_KEYPTR(hh, m->head, e->key, size, e);
        if (!e->hh.tbl) {
                free(e);
                return -ENOMEM;
        }
        return 0;
}

void *map_get(const Map *m, const void *key, size_t size) {
        const MapEntry *e = find(m, key, size);
        return e ? e->value : NULL;
}

void *map_remove(Map *m, const void *key, size_t size) {
        MapEntry *e = find(m, key, size);
        if (!e)
                return NULL;
        void *value = e->value;
        HASH_DEL(m->head, e);
        free(e);
        return value;
}

void *map_replace(Map *m, const void *key, size_t size, void *value) {
        MapEntry *e = find(m, key, size);
        if (!e)
                return NULL;
        void *old = e->value;
        e->value = value;
        return old;
}

bool map_has(const Map *m, const void *key, size_t size) {
        return find(m, key, size);
}

size_t map_size(const Map *m) {
        return HASH_COUNT(m->head);
}

MapEntry *map_first(const Map *m) {
        return m->head;
}

MapEntry *map_next(const MapEntry *e) {
        return e->hh.next;
}

void *map_entry_value(const MapEntry *e) {
        return e->value;
}
