/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Results of every version, errors, and prevResult read back. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/limits.h"
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

/* ---- results of others, passed on ------------------------------------------------------------- */

static CniOwnedResult result_ok(const char *text, const char *version) {
        _cleanup_json_ json_object *o = json(text);
        _cleanup_error_ Error e = ERROR_NULL;
        CniOwnedResult r = { 0 };

        if (cni_result_parse(o, "prevResult", version, &r, &e) < 0)
                fail_msg("%s (%s): %s", text, version, error_message(&e));
        return r;
}

/* Everything that the version can say comes back as it went in. */
static void test_round_trip(void **state) {
#define ALL_ROUTES                                                                                     \
        "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.97.0.1\"},{\"dst\":\"fd00::/8\",\"mtu\":1400," \
        "\"advmss\":1340,\"priority\":5,\"table\":0,\"scope\":253}]"
#define ALL_DNS                                                                                          \
        "\"dns\":{\"nameservers\":[\"10.97.0.53\"],\"domain\":\"lab.example\",\"search\":[\"a\",\"b\"]," \
        "\"options\":[\"ndots:5 timeout:1\"]}"
        static const char legacy[] =
                        ",\"ip4\":{\"ip\":\"10.97.0.5/24\",\"gateway\":\"10.97.0.1\",\"routes\":[{\"dst\":"
                        "\"0.0.0.0/0\"},{\"dst\":\"10.0.0.0/8\",\"gw\":\"10.97.0.7\"}]},\"ip6\":{\"ip\":"
                        "\"fd97::5/64\",\"routes\":[{\"dst\":\"::/0\"}]}," ALL_DNS;
        static const char middle[] =
                        ",\"interfaces\":[{\"name\":\"br0\",\"mac\":\"02:00:00:00:00:01\"},{\"name\":\"ib0\","
                        "\"mac\":\"80:00:02:08:fe:80:00:00:00:00:00:00:00:02:c9:03:00:4e:2b:1f\"},{\"name\":"
                        "\"eth0\",\"sandbox\":\"" NETNS
                        "\"}],\"ips\":[{\"version\":\"4\",\"interface\":2,\"address\":\"10.97.0.5/24\","
                        "\"gateway\":\"10.97.0.1\"},{\"version\":\"6\",\"address\":\"fd97::5/64\"}]," ALL_ROUTES
                        "," ALL_DNS;
        static const char newest[] =
                        ",\"interfaces\":[{\"name\":\"vhost0\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,"
                        "\"socketPath\":\"/run/vhost/0\"},{\"name\":\"eth0\",\"sandbox\":\"" NETNS
                        "\",\"pciID\":\"0000:3b:00.1\"}],\"ips\":[{\"interface\":1,\"address\":"
                        "\"10.97.0.5/24\"}]," ALL_ROUTES "," ALL_DNS;

        for (const char *const *v = cni_versions; *v; v++) {
                const char *body = cni_version_compare(*v, "0.3.0") < 0   ? legacy
                                   : cni_version_compare(*v, "1.0.0") < 0 ? middle
                                                                          : newest;
                _cleanup_free_ char *text = strf("{\"cniVersion\":\"%s\"%s}", *v, body),
                                    *silent = strf("{%s}", body + 1);
                _cleanup_(cni_owned_result_clear) CniOwnedResult r = result_ok(text, *v),
                                                                 s = result_ok(silent, *v);
                CniResult view = cni_owned_result_view(&r), same = cni_owned_result_view(&s);

                assert_result(&view, *v, body);
                assert_result(&same, *v,
                              body); /* a result without a version has the configuration's */
        }
}

static void test_up_and_down(void **state) {
        static const char old[] =
                        "{\"ip6\":{\"ip\":\"fd97::5/64\",\"gateway\":\"fd97::1\",\"routes\":[{\"dst\":"
                        "\"::/0\"}]},\"ip4\":{\"ip\":\"10.97.0.5/24\",\"routes\":[{\"dst\":\"0.0.0.0/0\"}]}}";
        static const char new[] =
                        "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"eth0\",\"mtu\":1400,\"sandbox\":"
                        "\"/n\"}],\"ips\":[{\"interface\":0,\"address\":\"fd97::5/64\"},{\"address\":"
                        "\"10.97.0.5/24\"},{\"address\":\"10.97.0.6/24\"}],\"routes\":[{\"dst\":\"::/0\",\"mtu\":"
                        "1300}]}";
        _cleanup_(cni_owned_result_clear) CniOwnedResult up = result_ok(old, "0.2.0"),
                                                         down = result_ok(new, "0.1.0");
        CniResult view = cni_owned_result_view(&up);

        assert_result(&view, "1.1.0",
                      ",\"ips\":[{\"address\":\"10.97.0.5/24\"},{\"address\":\"fd97::5/64\",\"gateway\":"
                      "\"fd97::1\"}],\"routes\":[{\"dst\":\"0.0.0.0/0\"},{\"dst\":\"::/0\"}]");
        view = cni_owned_result_view(&down);
        assert_result(&view, "0.4.0",
                      ",\"interfaces\":[{\"name\":\"eth0\",\"sandbox\":\"/n\"}],\"ips\":[{\"version\":\"6\","
                      "\"interface\":0,\"address\":\"fd97::5/64\"},{\"version\":\"4\",\"address\":"
                      "\"10.97.0.5/24\"},{\"version\":\"4\",\"address\":\"10.97.0.6/24\"}],\"routes\":[{\"dst\":"
                      "\"::/0\",\"mtu\":1300}]");
        assert_result(&view, "0.1.0",
                      ",\"ip4\":{\"ip\":\"10.97.0.5/24\"},\"ip6\":{\"ip\":\"fd97::5/64\",\"routes\":[{\"dst\":"
                      "\"::/0\"}]}");
}

/* What Go's decoder makes of nothing. */
static void test_result_empty(void **state) {
        static const char *const texts[] = {
                "{}",
                "{\"interfaces\":null,\"ips\":null,\"routes\":null,\"dns\":null,\"other\":1}",
                "{\"ips\":[],\"dns\":{}}",
        };
        _cleanup_(cni_owned_result_clear) CniOwnedResult null = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_(cni_owned_result_clear) CniOwnedResult r = result_ok(texts[i], "1.0.0");
                CniResult view = cni_owned_result_view(&r);

                assert_result(&view, "1.0.0", "");
        }
        assert_return_code(cni_result_parse(NULL, "prevResult", "0.1.0", &null, &e), 0);
        assert_int_equal(null.n_ips + null.n_interfaces + null.n_routes, 0);
}

static void test_result_add(void **state) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult r =
                        result_ok("{\"interfaces\":[{\"name\":\"a\"}]}", "1.0.0");
        _cleanup_error_ Error e = ERROR_NULL;
        char name[] = "bwp0";
        CniInterface itf = { .name = name, .mac = mac("02:00:00:00:00:07"), .has_mac = true };
        CniResult view;

        assert_return_code(cni_owned_result_add_interface(&r, &itf, &e), 0);
        name[0] = 'x'; /* a copy is kept */
        view = cni_owned_result_view(&r);
        assert_result(&view, "1.0.0",
                      ",\"interfaces\":[{\"name\":\"a\"},{\"name\":\"bwp0\",\"mac\":"
                      "\"02:00:00:00:00:07\"}]");
        while (r.n_interfaces < RESULT_ELEMENTS_MAX)
                assert_return_code(cni_owned_result_add_interface(&r, &itf, &e), 0);
        assert_true(cni_owned_result_add_interface(&r, &itf, &e) < 0);
        assert_int_equal(e.kind, ERROR_INVALID_ARGUMENT);
}

static void test_result_bad(void **state) {
        static const struct {
                const char *text, *version;
                ErrorKind kind;
                const char *word;
        } table[] = {
                { "[]", "1.0.0", ERROR_INVALID_ARGUMENT, "\"prevResult\": []" },
                { "{\"cniVersion\":\"7.0.0\"}", "1.0.0", ERROR_INCOMPATIBLE_VERSION, "7.0.0" },
                { "{}", "7.0.0", ERROR_INCOMPATIBLE_VERSION, "7.0.0" },
                { "{\"cniVersion\":1}", "1.0.0", ERROR_INVALID_ARGUMENT, "prevResult.cniVersion" },
                { "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":0}]}", "1.0.0",
                  ERROR_INVALID_ARGUMENT, "prevResult.ips[0].interface\": 0, but there are 0" },
                { "{\"interfaces\":[{\"name\":\"a\"}],\"ips\":[{\"address\":\"10.0.0.1/8\","
                  "\"interface\":1}]}",
                  "0.3.1", ERROR_INVALID_ARGUMENT, "prevResult.ips[0].interface\": 1" },
                { "{\"ips\":[{\"address\":\"10.0.0.1/8\",\"interface\":-1}]}", "1.0.0",
                  ERROR_INVALID_ARGUMENT, "prevResult.ips[0].interface" },
                { "{\"ips\":[{\"address\":\"10.0.0.1\"}]}", "1.0.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.ips[0].address" },
                { "{\"ips\":[{}]}", "1.1.0", ERROR_INVALID_ARGUMENT, "prevResult.ips[0].address" },
                { "{\"routes\":[{\"dst\":\"x\"}]}", "1.0.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.routes[0].dst" },
                { "{\"routes\":[{\"dst\":\"::/0\",\"scope\":256}]}", "1.0.0",
                  ERROR_INVALID_ARGUMENT, "prevResult.routes[0].scope" },
                { "{\"interfaces\":[{\"name\":5}]}", "1.0.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.interfaces[0].name" },
                { "{\"interfaces\":[null]}", "1.0.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.interfaces[0]" },
                { "{\"dns\":{\"search\":[\"a\\nb\"]}}", "1.0.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.dns.search[0]" },
                { "{\"ip4\":{\"ip\":\"x\"}}", "0.1.0", ERROR_INVALID_ARGUMENT,
                  "prevResult.ip4.ip" },
                { "{\"ip4\":{\"ip\":\"10.0.0.1/8\",\"routes\":[{\"gw\":\"10.0.0.2\"}]}}", "0.2.0",
                  ERROR_INVALID_ARGUMENT, "prevResult.ip4.routes[0].dst" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_json_ json_object *o = json(table[i].text);
                _cleanup_error_ Error e = ERROR_NULL;
                CniOwnedResult r = { .n_ips = 77 };

                if (cni_result_parse(o, "prevResult", table[i].version, &r, &e) >= 0)
                        fail_msg("accepted: %s", table[i].text);
                assert_int_equal(e.kind, table[i].kind);
                assert_int_equal(r.n_ips, 77); /* untouched */
                if (!strstr(error_message(&e), table[i].word))
                        fail_msg("%s: \"%s\" is missing in: %s", table[i].text, table[i].word,
                                 error_message(&e));
        }
}

/* One more than the limit of each list. */
static void test_result_limits(void **state) {
        static const struct {
                const char *before, *element, *after;
        } table[] = {
                { "{\"ips\":[", "{\"address\":\"10.0.0.1/8\"}", "]}" },
                { "{\"routes\":[", "{\"dst\":\"10.0.0.0/8\"}", "]}" },
                { "{\"interfaces\":[", "{\"name\":\"a\"}", "]}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                for (size_t more = 0; more < 2; more++) {
                        _cleanup_free_ char *text = NULL;
                        _cleanup_(cni_owned_result_clear) CniOwnedResult r = { 0 };
                        _cleanup_error_ Error e = ERROR_NULL;
                        size_t size;
                        FILE *f = open_memstream(&text, &size);

                        assert_non_null(f);
                        fputs(table[i].before, f);
                        for (size_t j = 0; j < RESULT_ELEMENTS_MAX + more; j++)
                                fprintf(f, "%s%s", j > 0 ? "," : "", table[i].element);
                        fputs(table[i].after, f);
                        assert_int_equal(fclose(f), 0);
                        _cleanup_json_ json_object *o = json(text);
                        int q = cni_result_parse(o, "prevResult", "1.0.0", &r, &e);
                        assert_true(more ? q < 0 : q >= 0);
                }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_versions),     cmocka_unit_test(test_full),
                cmocka_unit_test(test_sparse),       cmocka_unit_test(test_error),
                cmocka_unit_test(test_prev_result),  cmocka_unit_test(test_prev_result_bad),
                cmocka_unit_test(test_round_trip),   cmocka_unit_test(test_up_and_down),
                cmocka_unit_test(test_result_empty), cmocka_unit_test(test_result_add),
                cmocka_unit_test(test_result_bad),   cmocka_unit_test(test_result_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
