/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* FNV-1a. */

#include "base/hash.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t hash64(const void *data, size_t size) {
        const unsigned char *p = data;
        uint64_t h = 0xcbf29ce484222325U;

        for (size_t i = 0; i < size; i++)
                h = (h ^ p[i]) * 0x100000001b3U;
        return h;
}

const char *hash_format(uint64_t hash, char buf[static HASH_STR_SIZE]) {
        snprintf(buf, HASH_STR_SIZE, "%016" PRIx64, hash);
        return buf;
}
