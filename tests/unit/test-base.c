/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers, names, addresses and JSON at their edges. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/inaddr.h"
#include "base/json.h"
#include "base/map.h"
#include "base/parse.h"

static void test_numbers(void **state) {
        static const char *const refused[] = { "",
                                               " 1",
                                               "1 ",
                                               "+1",
                                               "-1",
                                               "0x1",
                                               "1.0",
                                               "1e3",
                                               "18446744073709551616",
                                               "99999999999999999999999" };
        uint64_t v = 7;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                assert_true(parse_u64(refused[i], 0, UINT64_MAX, &v) < 0);
                assert_int_equal(v, 7);
        }
        assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
        assert_true(v == UINT64_MAX);
        assert_int_equal(parse_u64("0", 0, 0, &v), 0);
        assert_int_equal(parse_u64("5", 6, 10, &v), -ERANGE);
        assert_int_equal(parse_u64("11", 6, 10, &v), -ERANGE);
}

static void test_names(void **state) {
        static const char *const good[] = { "eth0", "a",         "net1.5", "abcdefghijklmno",
                                            "a@b",  "\xc3\xa9th" };
        static const char *const bad[] = { "",
                                           ".",
                                           "..",
                                           "a/b",
                                           "a:b",
                                           "a b",
                                           "a\tb",
                                           "abcdefghijklmnop",
                                           "a%d",
                                           "\xff",
                                           ("a\xe2\x80\x83"
                                            "b") };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(ifname_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_false(ifname_is_valid(bad[i]));
        assert_true(cni_id_is_valid("a-b_c.d", 7));
        assert_false(cni_id_is_valid("a-b_c.d", 6));
        assert_false(cni_id_is_valid(".a", 8));
        assert_false(cni_id_is_valid("a/b", 8));
}

static InPrefix prefix(const char *s) {
        InPrefix p;
        assert_int_equal(in_prefix_parse_auto(s, &p), 0);
        return p;
}

static void test_addresses(void **state) {
        static const char *const bad[] = { "10.1",    "010.0.0.1",  "1.2.3.4/33",
                                           "::1/129", "1.2.3.4/",   "1.2.3.4/024",
                                           "x",       "1.2.3.4/ 8", "fe80::1%eth0",
                                           "" };
        InPrefix p, net = prefix("10.97.0.0/16"), six = prefix("fd97::/64");
        InPrefix inside = prefix("10.97.4.5"), outside = prefix("10.98.0.0"),
                 other = prefix("fd97::1");
        InAddr a;

        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_true(in_prefix_parse_auto(bad[i], &p) < 0);
        assert_true(in_prefix_parse("10.0.0.1", &p) < 0);
        assert_int_equal(in_addr_parse("::ffff:10.0.0.1", &a), 0);
        assert_int_equal(a.family, AF_INET);

        a = in_prefix_last(&net);
        assert_string_equal(IN_ADDR_STR(&a), "10.97.255.255");
        a = in_prefix_last(&six);
        assert_string_equal(IN_ADDR_STR(&a), "fd97::ffff:ffff:ffff:ffff");
        assert_true(in_prefix_contains(&net, &inside.address));
        assert_false(in_prefix_contains(&net, &outside.address));
        assert_false(in_prefix_contains(&net, &other.address));
        p = prefix("0.0.0.0/0");
        assert_true(in_prefix_overlaps(&p, &net));
        assert_true(in_prefix_has_host_bits(&(InPrefix) { prefix("10.97.0.1").address, 16 }));
}

static void test_arithmetic(void **state) {
        InAddr top4 = prefix("255.255.255.255").address, a = prefix("10.0.0.255").address, b;
        InAddr low6 = prefix("::").address,
               high6 = prefix("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff").address;

        assert_true(in_addr_add(&a, 1, &b));
        assert_string_equal(IN_ADDR_STR(&b), "10.0.1.0");
        assert_true(in_addr_sub(&b, 1, &b));
        assert_true(in_addr_equal(&a, &b));
        assert_false(in_addr_add(&top4, 1, &b));
        assert_false(in_addr_add(&a, UINT64_MAX, &b));
        assert_false(in_addr_sub(&low6, 1, &b));
        assert_false(in_addr_add(&high6, 1, &b));
        assert_true(in_addr_span(&low6, &high6) == UINT64_MAX);
        assert_true(in_addr_span(&a, &a) == 1);
        assert_true(in_addr_span(&top4, &a) == 0);
        /* there and back again */
        for (uint64_t n = 1; n < UINT32_MAX; n = n * 3 + 1) {
                InAddr from = prefix("fd97::").address, to;
                assert_true(in_addr_add(&from, n, &to));
                assert_true(in_addr_span(&from, &to) == n + 1);
                assert_true(in_addr_sub(&to, n, &to));
                assert_true(in_addr_equal(&from, &to));
        }
}

static int json_refused(const char *text, size_t size) {
        _cleanup_json_ json_object *o = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r = json_parse(text, size, "text", &o, &e);

        assert_true(r >= 0 || e.kind == ERROR_DECODE);
        return r < 0;
}

static void test_json(void **state) {
        char deep[200];

        assert_true(json_refused("", 0));
        assert_true(json_refused("{", 1));
        assert_true(json_refused("{} x", 4));
        assert_true(json_refused("{\"a\":1,}", 9));
        assert_true(json_refused("{}\0", 3));
        assert_true(json_refused("{\"a\":\"\xff\"}", 9));
        assert_false(json_refused("{} \n", 4));
        memset(deep, '[', 100);
        memset(deep + 100, ']', 100);
        assert_true(json_refused(deep, 200));
}

static void test_json_reader(void **state) {
        struct Target {
                uint32_t number;
                bool flag;
        } target = { 0 };
        static const JsonField fields[] = {
                { "hostPort", json_read_u32, offsetof(struct Target, number), JSON_REQUIRED },
                { "flag", json_read_bool, offsetof(struct Target, flag), 0 },
                { 0 },
        };
        static const struct {
                const char *text;
                ErrorKind kind;
                const char *word;
        } cases[] = {
                { "{\"HOSTPORT\":80,\"Flag\":true}", ERROR_NONE, "" },
                { "{\"flag\":true}", ERROR_INVALID_ARGUMENT, "net.hostPort" },
                { "{\"hostPort\":4294967296}", ERROR_INVALID_ARGUMENT, "4294967296" },
                { "{\"hostPort\":-1}", ERROR_INVALID_ARGUMENT, "-1" },
                { "{\"hostPort\":1.0}", ERROR_INVALID_ARGUMENT, "1.0" },
                { "{\"hostPort\":\"80\"}", ERROR_INVALID_ARGUMENT, "80" },
                { "{\"hostPort\":1,\"colour\":\"blue\"}", ERROR_UNKNOWN_OPTION, "blue" },
                { "[]", ERROR_INVALID_ARGUMENT, "object" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_object *o = NULL;
                _cleanup_error_ Error e = ERROR_NULL;

                assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), "text", &o, NULL),
                                 0);
                (void) json_read_object(o, "net", fields, JSON_UNKNOWN_REFUSE, &target, &e);
                assert_int_equal(e.kind, cases[i].kind);
                assert_true(e.kind == ERROR_NONE || strstr(error_message(&e), cases[i].word));
        }
}

static void test_errors(void **state) {
        for (int kind = ERROR_NONE + 1; kind < _ERROR_MAX; kind++) {
                assert_true(error_errno(kind) > 0);
                assert_true(error_cni_code(kind) > 0);
                if (kind != ERROR_INTERNAL)
                        assert_int_equal(error_kind_from_dbus_name(error_dbus_name(kind)), kind);
        }
        /* the first sentence wins */
        _cleanup_error_ Error e = ERROR_NULL;
        assert_int_equal(error_setf(&e, ERROR_EXISTS, "first"), -EEXIST);
        (void) error_setf(&e, ERROR_KERNEL, "second");
        error_prefixf(&e, "file %d", 1);
        assert_string_equal(error_message(&e), "file 1: first");
        assert_int_equal(e.kind, ERROR_EXISTS);
}

static void text_of_any_bytes(void **state) {
        static const struct {
                const char *text, *expected;
        } cases[] = {
                { "", "" },
                { "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7",
                  "a\xc3\xbc\xe2\x82\xac\xf0\x9f\x90\xa7" },
                { "cut \xc3", "cut ?" },
                { "cut \xe2\x82", "cut ??" },
                { "\xff\xfe: x\x80y", "??: x?y" },
                { "\xed\xa0\x80\xc0\x80", "?????" }, /* a surrogate, an overlong NUL */
        };

        text_make_utf8(NULL);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = strdup(cases[i].text);
                text_make_utf8(text);
                assert_string_equal(text, cases[i].expected);
        }

        _cleanup_error_ Error e = ERROR_NULL;
        (void) error_setf(&e, ERROR_INTERNAL, "\"%.2s\"", "a\xc3\xbc");
        assert_string_equal(error_message(&e), "\"a?\"");
        error_prefixf(&e, "%.1s", "\xc3\xbc");
        assert_string_equal(error_message(&e), "?: \"a?\"");
}

static void test_map(void **state) {
        _cleanup_(map_freep) Map *m = map_new();
        char value[] = "x";
        size_t seen = 0;
        char *v;

        for (uint64_t i = 0; i < 1000; i++)
                assert_int_equal(map_put_u64(m, i, value), 0);
        assert_int_equal(map_put_u64(m, 5, value), -EEXIST);
        assert_string_equal(map_get_u64(m, 5), "x");
        MAP_FOREACH (v, m)
                seen += v[0] == 'x';
        assert_int_equal(seen, 1000);
        for (uint64_t i = 0; i < 1000; i++)
                assert_non_null(map_remove_u64(m, i));
        assert_null(map_get_u64(m, 5));
        assert_int_equal(map_size(m), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_numbers),      cmocka_unit_test(test_names),
                cmocka_unit_test(test_addresses),    cmocka_unit_test(test_arithmetic),
                cmocka_unit_test(test_json),         cmocka_unit_test(test_json_reader),
                cmocka_unit_test(test_errors),       cmocka_unit_test(test_map),
                cmocka_unit_test(text_of_any_bytes),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
