/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See row-json.h. */

#include "core/row-json.h"

#include <stdio.h>

#include "base/inaddr.h"
#include "base/limits.h"

int row_read_text(json_object *value, const char *path, char *target, size_t size, Error *e) {
        _cleanup_free_ char *text = NULL;

        int r = json_read_string(value, path, &text, e);
        if (r >= 0 && (size_t) snprintf(target, size, "%s", text) >= size)
                return error_setf(e, ERROR_LEDGER, "%s: wanted at most %zu bytes, found \"%.64s\"",
                                  path, size - 1, text);
        return r;
}

int row_read_ifname(json_object *value, const char *path, void *target, Error *e) {
        return row_read_text(value, path, target, IFNAME_LEN_MAX + 1, e);
}

int row_read_mac(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *text = NULL;

        int r = json_read_string(value, path, &text, e);
        if (r >= 0 && mac_parse(text, target) < 0)
                return error_setf(e, ERROR_LEDGER, "%s: wanted a MAC address, found \"%.64s\"",
                                  path, text);
        return r;
}

int row_read_i64(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0)
                *(int64_t *) target = v;
        return r;
}

int row_read_scope(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0)
                *(int32_t *) target = (int32_t) (v & 0xff);
        return r;
}
