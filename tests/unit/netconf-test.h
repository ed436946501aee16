/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the tests of the configuration reader share: short ways to write a configuration, and to say
 * that it must be accepted or refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "cri/netconf.h"

/* A configuration with the given keys behind the envelope. */
#define CONF(keys)   "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"type\":\"netmgr\"" keys "}"
#define IPAM(keys)   CONF(",\"ipam\":{\"type\":\"local\"" keys "}")
#define RANGE(keys)  IPAM(",\"ranges\":[[{" keys "}]]")
#define BRIDGE(keys) CONF(",\"kind\":\"bridge\"" keys)
#define DHCP(keys)   BRIDGE(",\"ipam\":{\"type\":\"dhcp\"" keys "}")
#define SUBNET4      ",\"subnet\":\"10.97.0.0/24\""
#define RUNTIME(s)   ",\"runtimeConfig\":{" s "}"

static inline void assert_addr(const InAddr *a, const char *expected) {
        assert_string_equal(IN_ADDR_STR(a), expected);
}

static inline void assert_prefix(const InPrefix *p, const char *expected) {
        assert_string_equal(IN_PREFIX_STR(p), expected);
}

static inline NetConf *parse_ok(const char *text) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = NULL;
        int r = netconf_parse(text, strlen(text), &c, &e);

        if (r < 0)
                fail_msg("%s: %s", text, error_message(&e));
        assert_int_equal(e.kind, ERROR_NONE);
        assert_non_null(c);
        return c;
}

static inline void assert_refused(const char *text, int r, const NetConf *c, const Error *e,
                                  ErrorKind kind, const char *words) {
        _cleanup_free_ char *copy = strdup(words);
        char *rest = copy, *word;

        if (r >= 0)
                fail_msg("accepted: %s", text);
        assert_null(c);
        if (e->kind != kind)
                fail_msg("%s: kind %d instead of %d: %s", text, e->kind, kind, error_message(e));
        assert_int_equal(r, -error_errno(kind));
        while ((word = strsep(&rest, "|")))
                if (!strstr(error_message(e), word))
                        fail_msg("%s: \"%s\" is missing in: %s", text, word, error_message(e));
}

/* words: parts of the sentence, separated by '|'. */
static inline void parse_bad(const char *text, ErrorKind kind, const char *words) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = NULL;
        int r = netconf_parse(text, strlen(text), &c, &e);

        assert_refused(text, r, c, &e, kind, words);
}

/* The same under the name of a plugin. */
#define AS(type, keys) "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"type\":\"" type "\"" keys "}"
#define HOST_LOCAL     ",\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\"}"

static inline NetConf *plugin_ok(NetPlugin plugin, const char *text) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = NULL;

        if (netconf_parse_as(plugin, text, strlen(text), &c, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        assert_int_equal(e.kind, ERROR_NONE);
        assert_int_equal(c->plugin, plugin);
        assert_string_equal(c->type, net_plugin_to_string(plugin));
        return c;
}

static inline void plugin_bad(NetPlugin plugin, const char *text, ErrorKind kind,
                              const char *words) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = NULL;
        int r = netconf_parse_as(plugin, text, strlen(text), &c, &e);

        assert_refused(text, r, c, &e, kind, words);
}

/* Keys behind the envelope, what has to be refused about them, and with which words. */
typedef struct BadKeys {
        NetPlugin plugin;
        const char *keys;
        ErrorKind kind;
        const char *words;
} BadKeys;

static inline void plugins_bad(const BadKeys *table, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char *text = NULL;

                assert_true(asprintf(&text, AS("%s", "%s"), net_plugin_to_string(table[i].plugin),
                                     table[i].keys) > 0);
                plugin_bad(table[i].plugin, text, table[i].kind, table[i].words);
                free(text);
        }
}
