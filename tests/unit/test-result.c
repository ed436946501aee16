/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Results of every version, errors, and prevResult read back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/parse.h"
#include "cri/result.h"

#define NETNS "/run/netns/a"

static InAddr addr(const char *s) {
        InAddr a = { 0 };

        assert_return_code(in_addr_parse(s, &a), 0);
        return a;
}

static InPrefix prefix(const char *s) {
        InPrefix p = { 0 };

        assert_return_code(in_prefix_parse(s, &p), 0);
        return p;
}

static MacAddr mac(const char *s) {
        MacAddr m = { 0 };

        assert_return_code(mac_parse(s, &m), 0);
        return m;
}

static void assert_result(const CniResult *result, const char *version, const char *expected) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL,
                            *wanted = strf("{\"cniVersion\":\"%s\"%s}", version, expected);

        if (cni_result_to_json(result, version, &text, &e) < 0)
                fail_msg("%s: %s", version, error_message(&e));
        assert_string_equal(text, wanted);
}

static void test_versions(void **state) {
        static const char *const order[] = { "0.1.0", "0.2.0", "0.3.0", "0.3.1",
                                             "0.4.0", "1.0.0", "1.1.0" };
        const char *rest = cni_versions_text;

        for (size_t i = 0; i < ELEMENTSOF(order); i++) {
                assert_string_equal(cni_versions[i], order[i]);
                assert_true(cni_version_is_supported(order[i]));
                for (size_t j = 0; j < ELEMENTSOF(order); j++) {
                        int c = cni_version_compare(order[i], order[j]);

                        assert_true(i < j ? c < 0 : i > j ? c > 0 : c == 0);
                }
                rest = strstr(rest, order[i]);
                assert_non_null(rest);
        }
        assert_null(cni_versions[ELEMENTSOF(order)]);
        assert_false(cni_version_is_supported("1.0"));
        assert_false(cni_version_is_supported("1.2.0"));
        assert_false(cni_version_is_supported(""));
        assert_false(cni_version_is_supported(NULL));
}

/* Two stacks, two addresses of one family, all fields of routes. */
static void test_full(void **state) {
        CniInterface interfaces[] = {
                { .name = "nmg1", .mac = mac("02:00:00:00:00:01"), .has_mac = true, .mtu = 1500 },
                { .name = "eth0",
                  .mac = mac("02:00:00:00:00:02"),
                  .has_mac = true,
                  .mtu = 1500,
                  .sandbox = NETNS },
        };
        CniIp ips[] = {
                { .address = prefix("fd97::2/128"), .gateway = addr("fe80::1"), .interface = 1 },
                { .address = prefix("10.97.0.2/32"),
                  .gateway = addr("169.254.1.1"),
                  .interface = 1 },
                { .address = prefix("10.98.0.2/24"), .interface = -1 },
        };
        NetRoute routes[] = {
                { .dst = prefix("0.0.0.0/0"), .gw = addr("169.254.1.1"), .table = -1, .scope = -1 },
                { .dst = prefix("10.0.0.0/8"),
                  .mtu = 1400,
                  .advmss = 1360,
                  .priority = 4000000000,
                  .table = 0,
                  .scope = 0 },
                { .dst = prefix("::/0"), .gw = addr("fe80::1"), .table = 254, .scope = -1 },
        };
        NetDns dns = {
                .nameservers = (char *[]) { (char *) "10.97.0.53", (char *) "fd97::53", NULL },
                .domain = (char *) "lab.example",
                .search = (char *[]) { (char *) "lab.example", NULL },
                .options = (char *[]) { (char *) "ndots:5", NULL },
        };
        CniResult result = {
                .interfaces = interfaces,
                .n_interfaces = ELEMENTSOF(interfaces),
                .ips = ips,
                .n_ips = ELEMENTSOF(ips),
                .routes = routes,
                .n_routes = ELEMENTSOF(routes),
                .dns = &dns,
        };
#define ROUTES                                                                                     \
        ",\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},"                             \
        "{\"dst\":\"10.0.0.0/8\",\"mtu\":1400,\"advmss\":1360,\"priority\":4000000000,"            \
        "\"table\":0,\"scope\":0},{\"dst\":\"::/0\",\"gw\":\"fe80::1\",\"table\":254}]"
#define DNS                                                                                        \
        ",\"dns\":{\"nameservers\":[\"10.97.0.53\",\"fd97::53\"],\"domain\":\"lab.example\","      \
        "\"search\":[\"lab.example\"],\"options\":[\"ndots:5\"]}"

        for (const char *const *v = cni_versions + 5; *v; v++)
                assert_result(&result, *v,
                              ",\"interfaces\":[{\"name\":\"nmg1\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1500},"
                              "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:02\",\"mtu\":1500,"
                              "\"sandbox\":\"" NETNS "\"}],"
                              "\"ips\":[{\"interface\":1,\"address\":\"fd97::2/128\",\"gateway\":\"fe80::1\"},"
                              "{\"interface\":1,\"address\":\"10.97.0.2/32\",\"gateway\":\"169.254.1.1\"},"
                              "{\"address\":\"10.98.0.2/24\"}]" ROUTES DNS);
        for (const char *const *v = cni_versions + 2; v < cni_versions + 5; v++)
                assert_result(&result, *v,
                              ",\"interfaces\":[{\"name\":\"nmg1\",\"mac\":\"02:00:00:00:00:01\"},"
                              "{\"name\":\"eth0\",\"mac\":\"02:00:00:00:00:02\",\"sandbox\":\"" NETNS
                              "\"}],"
                              "\"ips\":[{\"version\":\"6\",\"interface\":1,\"address\":\"fd97::2/128\","
                              "\"gateway\":\"fe80::1\"},{\"version\":\"4\",\"interface\":1,"
                              "\"address\":\"10.97.0.2/32\",\"gateway\":\"169.254.1.1\"},"
                              "{\"version\":\"4\",\"address\":\"10.98.0.2/24\"}]" ROUTES DNS);
        for (const char *const *v = cni_versions; v < cni_versions + 2; v++)
                assert_result(&result, *v,
                              ",\"ip4\":{\"ip\":\"10.97.0.2/32\",\"gateway\":\"169.254.1.1\",\"routes\":["
                              "{\"dst\":\"0.0.0.0/0\",\"gw\":\"169.254.1.1\"},{\"dst\":\"10.0.0.0/8\"}]},"
                              "\"ip6\":{\"ip\":\"fd97::2/128\",\"gateway\":\"fe80::1\",\"routes\":["
                              "{\"dst\":\"::/0\",\"gw\":\"fe80::1\"}]}" DNS);
}

static void test_sparse(void **state) {
        CniInterface lo = { .name = "lo", .has_mac = true, .sandbox = NETNS };
        CniIp ips[] = {
                { .address = prefix("127.0.0.1/8"), .interface = 0 },
                { .address = prefix("::1/128"), .interface = 0 },
        };
        NetDns empty = { .nameservers = (char *[]) { NULL }, .domain = (char *) "" };
        CniResult l2 = { .interfaces = &lo, .n_interfaces = 1, .dns = &empty };
        CniResult loopback = { .interfaces = &lo, .n_interfaces = 1, .ips = ips, .n_ips = 2 };
        CniResult nothing = { 0 };
        char *text = NULL;

        assert_result(&l2, "1.0.0",
                      ",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\","
                      "\"sandbox\":\"" NETNS "\"}]");
        assert_result(&loopback, "0.3.1",
                      ",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\","
                      "\"sandbox\":\"" NETNS "\"}],\"ips\":[{\"version\":\"4\",\"interface\":0,"
                      "\"address\":\"127.0.0.1/8\"},{\"version\":\"6\",\"interface\":0,"
                      "\"address\":\"::1/128\"}]");
        assert_result(&loopback, "0.1.0",
                      ",\"ip4\":{\"ip\":\"127.0.0.1/8\"},\"ip6\":{\"ip\":\"::1/128\"}");
        loopback.n_ips = 1;
        assert_result(&loopback, "0.2.0", ",\"ip4\":{\"ip\":\"127.0.0.1/8\"}");
        assert_result(&nothing, "1.1.0", "");

        /* an L2 network has no result in the oldest versions */
        for (size_t i = 0; i < 2; i++) {
                _cleanup_error_ Error e = ERROR_NULL;

                assert_true(cni_result_to_json(&l2, cni_versions[i], &text, &e) < 0);
                assert_int_equal(e.kind, ERROR_INVALID_ARGUMENT);
                assert_non_null(strstr(error_message(&e), cni_versions[i]));
                assert_null(text);
        }
        {
                _cleanup_error_ Error e = ERROR_NULL;

                assert_true(cni_result_to_json(&l2, "2.0.0", &text, &e) < 0);
                assert_int_equal(e.kind, ERROR_INCOMPATIBLE_VERSION);
        }
}

static void test_error(void **state) {
        static const struct {
                const char *version, *msg, *details, *expected;
                unsigned code;
        } table[] = {
                { "1.0.0", "no", "more",
                  "{\"cniVersion\":\"1.0.0\",\"code\":7,\"msg\":\"no\",\"details\":\"more\"}", 7 },
                { NULL, "say \"x\"\n", NULL, "{\"code\":999,\"msg\":\"say \\\"x\\\"\\n\"}", 999 },
                { "0.1.0", NULL, "", "{\"cniVersion\":\"0.1.0\",\"code\":11,\"msg\":\"\"}", 11 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = NULL;

                assert_return_code(cni_error_to_json(table[i].version, table[i].code, table[i].msg,
                                                     table[i].details, &text),
                                   0);
                assert_string_equal(text, table[i].expected);
        }
}

/* ---- prevResult ------------------------------------------------------------------------------ */

static json_object *json(const char *text) {
        _cleanup_error_ Error e = ERROR_NULL;
        json_object *o = NULL;

        if (json_parse(text, strlen(text), "test", &o, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        return o;
}

static void test_prev_result(void **state) {
        _cleanup_json_ json_object *modern = json(
                        "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"nmg1\",\"mac\":"
                        "\"02:00:00:00:00:01\",\"sandbox\":\"\"},{\"Name\":\"eth0\",\"mac\":\"nonsense\","
                        "\"sandbox\":\"" NETNS
                        "\",\"mtu\":\"x\"},{\"name\":\"ifb0\"}],\"ips\":[{\"version\":\"4\","
                        "\"address\":\"10.97.0.2/24\",\"gateway\":\"x\"},{\"address\":\"fd97::2/64\"}],"
                        "\"routes\":5,\"whatever\":null}");
        _cleanup_json_ json_object *legacy =
                        json("{\"ip4\":{\"ip\":\"10.97.0.2/24\",\"routes\":[]},"
                             "\"ip6\":{\"IP\":\"fd97::2/64\"},\"ips\":7}");
        _cleanup_json_ json_object *empty = json("{}");
        _cleanup_error_ Error e = ERROR_NULL;
        CniPrevResult p;

        if (cni_prev_result_parse(modern, "0.4.0", &p, &e) < 0)
                fail_msg("%s", error_message(&e));
        assert_int_equal(p.n_ips, 2);
        assert_string_equal(IN_PREFIX_STR(&p.ips[0]), "10.97.0.2/24");
        assert_string_equal(IN_PREFIX_STR(&p.ips[1]), "fd97::2/64");
        assert_int_equal(p.n_interfaces, 3);
        assert_string_equal(p.interfaces[0].name, "nmg1");
        assert_null(p.interfaces[0].sandbox);
        assert_true(p.interfaces[0].has_mac);
        assert_string_equal(MAC_STR(&p.interfaces[0].mac), "02:00:00:00:00:01");
        assert_string_equal(p.interfaces[1].name, "eth0");
        assert_string_equal(p.interfaces[1].sandbox, NETNS);
        assert_false(p.interfaces[1].has_mac);
        cni_prev_result_clear(&p);
        assert_int_equal(p.n_ips, 0);

        for (const char *const *v = cni_versions; v < cni_versions + 2; v++) {
                if (cni_prev_result_parse(legacy, *v, &p, &e) < 0)
                        fail_msg("%s", error_message(&e));
                assert_int_equal(p.n_ips, 2);
                assert_string_equal(IN_PREFIX_STR(&p.ips[1]), "fd97::2/64");
                assert_int_equal(p.n_interfaces, 0);
                cni_prev_result_clear(&p);
        }
        for (const char *const *v = cni_versions; *v; v++) {
                assert_return_code(cni_prev_result_parse(empty, *v, &p, &e), 0);
                assert_int_equal(p.n_ips + p.n_interfaces, 0);
        }
}

static void test_prev_result_bad(void **state) {
        static const struct {
                const char *text, *version, *word;
        } table[] = {
                { "{\"ips\":{}}", "1.0.0", "prevResult.ips" },
                { "{\"ips\":[{\"address\":\"10.97.0.2\"}]}", "1.0.0", "prevResult.ips[0].address" },
                { "{\"ips\":[{}]}", "1.0.0", "prevResult.ips[0]" },
                { "{\"interfaces\":[{\"mac\":\"x\"}]}", "1.0.0", "prevResult.interfaces[0]" },
                { "{\"interfaces\":[{\"name\":\"a\",\"sandbox\":\"/x\"},5]}", "0.3.0",
                  "interfaces[1]" },
                { "{\"ip4\":{\"ip\":\"x\"}}", "0.1.0", "prevResult.ip4.ip" },
                { "{\"ip6\":[]}", "0.2.0", "prevResult.ip6" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_json_ json_object *o = json(table[i].text);
                _cleanup_error_ Error e = ERROR_NULL;
                CniPrevResult p = { .n_ips = 77 };

                if (cni_prev_result_parse(o, table[i].version, &p, &e) >= 0)
                        fail_msg("accepted: %s", table[i].text);
                assert_int_equal(e.kind, ERROR_INVALID_ARGUMENT);
                assert_int_equal(p.n_ips, 77); /* untouched */
                if (!strstr(error_message(&e), table[i].word))
                        fail_msg("%s: \"%s\" is missing in: %s", table[i].text, table[i].word,
                                 error_message(&e));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_versions),    cmocka_unit_test(test_full),
                cmocka_unit_test(test_sparse),      cmocka_unit_test(test_error),
                cmocka_unit_test(test_prev_result), cmocka_unit_test(test_prev_result_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
