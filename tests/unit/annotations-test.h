/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of annotations share: short ways to say what a pod has, and that it is taken or refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/limits.h"
#include "cri/annotations/selection.h"

#define NPWG  ANNOTATION_NETWORKS
#define FIRST ANNOTATION_DEFAULT_NETWORK
#define GENIE ANNOTATION_GENIE
#define DANM  ANNOTATION_DANM
#define OLD   ANNOTATION_DANM_OLD

typedef struct Pair {
        const char *key, *value;
} Pair;

static inline json_object *annotations(const Pair *pairs) {
        json_object *o = json_object_new_object();

        for (; pairs->key; pairs++)
                assert_int_equal(json_add_string(o, pairs->key, pairs->value), 0);
        return o;
}

static inline NetSelections pairs_ok(const Pair *pairs) {
        _cleanup_json_ json_object *o = annotations(pairs);
        _cleanup_error_ Error e = ERROR_NULL;
        NetSelections s = { 0 };

        if (net_selections_parse(o, &s, &e) < 0)
                fail_msg("%s: %s", pairs->value, error_message(&e));
        assert_int_equal(e.kind, ERROR_NONE);
        return s;
}

static inline void pairs_bad(const Pair *pairs, ErrorKind kind, const char *sentence) {
        _cleanup_json_ json_object *o = annotations(pairs);
        _cleanup_error_ Error e = ERROR_NULL;
        NetSelections s = { .n_items = 77 };

        int r = net_selections_parse(o, &s, &e);
        if (r >= 0)
                fail_msg("accepted: %s", pairs->value);
        assert_int_equal(s.n_items, 77); /* untouched */
        assert_string_equal(error_message(&e), sentence);
        assert_int_equal(e.kind, kind);
        assert_int_equal(r, -error_errno(kind));
}

static inline NetSelections ok(const char *key, const char *value) {
        return pairs_ok((Pair[]) { { key, value }, {} });
}

static inline void bad(const char *key, const char *value, const char *sentence) {
        pairs_bad((Pair[]) { { key, value }, {} }, ERROR_INVALID_ARGUMENT, sentence);
}

/* Names of all interfaces after naming, with blanks between; or the sentence. */
static inline void names(const char *key, const char *value, const char *expected) {
        _cleanup_(net_selections_clear) NetSelections s = ok(key, value);
        _cleanup_error_ Error e = ERROR_NULL;
        char all[SELECTIONS_MAX * 32] = "";

        if (net_selections_name(&s, "eth0", &e) < 0) {
                assert_int_equal(e.kind, ERROR_INVALID_ARGUMENT);
                assert_string_equal(error_message(&e), expected);
                return;
        }
        for (size_t i = 0; i < s.n_items; i++)
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "",
                         s.items[i].ifname);
        assert_string_equal(all, expected);
}

static inline void unknown(const char *key, const char *value, const char *sentence) {
        pairs_bad((Pair[]) { { key, value }, {} }, ERROR_UNKNOWN_OPTION, sentence);
}
