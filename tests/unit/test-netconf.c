/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The configuration reader: what it understands. test-netconf-refused.c has what it refuses. */

#include "base/parse.h"
#include "netconf-test.h"

/* ---- what is understood ---------------------------------------------------------------------- */

static void test_routed(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(IPAM(SUBNET4));

        assert_string_equal(c->cni_version, "1.0.0");
        assert_string_equal(c->name, "pods");
        assert_string_equal(c->type, "netmgr");
        assert_null(c->network);
        assert_int_equal(c->kind, NET_KIND_ROUTED);
        assert_int_equal(c->mtu, 0);
        assert_string_equal(c->ipam_type, "local");
        assert_int_equal(c->n_sets, 1);
        assert_int_equal(c->sets[0].n_ranges, 1);
        assert_prefix(&c->sets[0].ranges[0].subnet, "10.97.0.0/24");
        assert_addr(&c->sets[0].ranges[0].start, "10.97.0.1");
        assert_addr(&c->sets[0].ranges[0].end, "10.97.0.254");
        assert_addr(&c->sets[0].ranges[0].gateway, "10.97.0.1");
        assert_false(c->has_valid_attachments);
        assert_null(c->prev_result);
}

static void test_range_defaults(void **state) {
        static const struct {
                const char *keys, *start, *end, *gateway;
        } table[] = {
                { "\"subnet\":\"10.97.0.0/30\"", "10.97.0.1", "10.97.0.2", "10.97.0.1" },
                { "\"subnet\":\"10.96.0.0/15\"", "10.96.0.1", "10.97.255.254", "10.96.0.1" },
                { "\"subnet\":\"fd97::/64\"", "fd97::1", "fd97::ffff:ffff:ffff:ffff", "fd97::1" },
                { "\"subnet\":\"fd97::4/126\"", "fd97::5", "fd97::7", "fd97::5" },
                { "\"subnet\":\"10.97.0.0/24\",\"gateway\":\"10.97.0.254\"", "10.97.0.1",
                  "10.97.0.254", "10.97.0.254" },
                { "\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\"", "10.97.0.9",
                  "10.97.0.254", "10.97.0.1" },
                { "\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.9\"", "10.97.0.1",
                  "10.97.0.9", "10.97.0.1" },
                { "\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\",\"rangeEnd\":\"10.97.0.9\"",
                  "10.97.0.9", "10.97.0.9", "10.97.0.1" },
                /* containerd's and Go's capitalised keys */
                { "\"Subnet\":\"10.97.0.0/24\",\"RangeStart\":\"10.97.0.5\",\"RANGEEND\":\"10.97.0.6\","
                  "\"Gateway\":\"10.97.0.7\"",
                  "10.97.0.5", "10.97.0.6", "10.97.0.7" },
                /* null is absence */
                { "\"subnet\":\"10.97.0.0/24\",\"gateway\":null,\"rangeStart\":null", "10.97.0.1",
                  "10.97.0.254", "10.97.0.1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text =
                                strf("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"netmgr\","
                                     "\"ipam\":{\"type\":\"local\",\"ranges\":[[{%s}]]}}",
                                     table[i].keys);
                _cleanup_(netconf_freep) NetConf *c = parse_ok(text);
                const NetRange *range = &c->sets[0].ranges[0];

                assert_addr(&range->start, table[i].start);
                assert_addr(&range->end, table[i].end);
                assert_addr(&range->gateway, table[i].gateway);
        }
}

static void test_bridge(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = parse_ok(BRIDGE(",\"bridge\":\"br0\",\"isDefaultGateway\":true,\"hairpinMode\":true,"
                            "\"forceAddress\":true,\"mtu\":1400,\"ipMasq\":false,\"vlan\":0,"
                            "\"vlanTrunk\":[],\"macspoofchk\":false,\"enabledad\":false,"
                            "\"ipam\":{\"type\":\"local\"" SUBNET4 "}"));
        assert_int_equal(c->kind, NET_KIND_BRIDGE);
        assert_string_equal(c->bridge, "br0");
        assert_true(c->is_default_gateway && c->is_gateway && c->hairpin && c->force_address);
        assert_false(c->promisc);
        assert_int_equal(c->mtu, 1400);

        /* plain L2 */
        d = parse_ok(BRIDGE(",\"promiscMode\":true,\"bridge\":\"\",\"ipam\":{}"));
        assert_null(d->ipam_type);
        assert_int_equal(d->n_sets, 0);
        assert_null(d->bridge);
        assert_true(d->promisc);
}

static void test_sets(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(IPAM(
                        ",\"subnet\":\"10.97.1.0/24\",\"rangeStart\":\"10.97.1.10\",\"gateway\":\"10.97.1.9\","
                        "\"ranges\":[[{\"subnet\":\"10.97.2.0/24\",\"rangeEnd\":\"10.97.2.99\"},"
                        "{\"subnet\":\"10.97.2.0/24\",\"rangeStart\":\"10.97.2.100\",\"exclude\":"
                        "[\"10.97.2.128/25\"]}],[{\"subnet\":\"fd97::/64\"}]],"
                        "\"exclude\":[\"10.97.2.7\",\"fd97::100/120\",\"192.168.0.0/16\"]"));

        assert_int_equal(c->n_sets, 3);
        assert_prefix(&c->sets[0].ranges[0].subnet,
                      "10.97.1.0/24"); /* the legacy one comes first */
        assert_addr(&c->sets[0].ranges[0].start, "10.97.1.10");
        assert_addr(&c->sets[0].ranges[0].gateway, "10.97.1.9");
        assert_int_equal(c->sets[0].ranges[0].n_excludes, 0);
        assert_int_equal(c->sets[1].n_ranges, 2);
        assert_int_equal(c->sets[1].ranges[0].n_excludes, 1);
        assert_prefix(&c->sets[1].ranges[0].excludes[0], "10.97.2.7/32");
        assert_int_equal(c->sets[1].ranges[1].n_excludes, 2);
        assert_prefix(&c->sets[1].ranges[1].excludes[0], "10.97.2.128/25");
        assert_prefix(&c->sets[2].ranges[0].excludes[0], "fd97::100/120");
}

static void test_routes_and_dns(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(CONF(
                        ",\"dns\":{\"nameservers\":[\"10.97.0.53\",\"fd97::53\"],\"domain\":\"lab.example\","
                        "\"search\":[\"lab.example\"],\"options\":[\"ndots:5\"]},"
                        "\"ipam\":{\"type\":\"local\"" SUBNET4
                        ",\"routes\":[{\"dst\":\"0.0.0.0/0\"},"
                        "{\"dst\":\"10.0.0.0/8\",\"gw\":\"10.97.0.7\",\"mtu\":1300,\"advmss\":1260,"
                        "\"priority\":5,\"table\":0,\"scope\":0},{\"DST\":\"::/0\",\"GW\":\"fd97::9\"}]}"));

        assert_int_equal(c->n_routes, 3);
        assert_prefix(&c->routes[0].dst, "0.0.0.0/0");
        assert_false(in_addr_is_set(&c->routes[0].gw));
        assert_true(c->routes[0].table == -1 && c->routes[0].scope == -1);
        assert_addr(&c->routes[1].gw, "10.97.0.7");
        assert_int_equal(c->routes[1].mtu, 1300);
        assert_int_equal(c->routes[1].advmss, 1260);
        assert_int_equal(c->routes[1].priority, 5);
        assert_true(c->routes[1].table == 0 && c->routes[1].scope == 0);
        assert_addr(&c->routes[2].gw, "fd97::9");

        assert_string_equal(c->dns.nameservers[0], "10.97.0.53");
        assert_string_equal(c->dns.nameservers[1], "fd97::53");
        assert_null(c->dns.nameservers[2]);
        assert_string_equal(c->dns.domain, "lab.example");
        assert_string_equal(c->dns.search[0], "lab.example");
        assert_string_equal(c->dns.options[0], "ndots:5");
}

static void test_runtime(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *f = NULL;

        c = parse_ok(CONF(
                        ",\"capabilities\":{\"ips\":true},\"args\":{\"cni\":{\"ips\":[\"10.97.0.9\"],"
                        "\"labels\":[{\"key\":\"a\",\"value\":\"b\"}]},\"other\":1},\"RuntimeConfig\":{\"ips\":"
                        "[\"10.97.0.8/24\",\"10.97.0.9/32\",\"fd97::8\"],\"portMappings\":[{\"HostPort\":80,\"ContainerPort\":8}],"
                        "\"IpRanges\":[[{\"Subnet\":\"10.98.0.0/24\",\"RangeStart\":\"\",\"Unknown\":1}]]},"
                        "\"ipam\":{\"type\":\"local\"" SUBNET4 ",\"exclude\":[\"10.98.0.200\"]}"));
        assert_int_equal(c->n_requested, 3);
        assert_prefix(&c->requested[0], "10.97.0.9/32");
        assert_prefix(&c->requested[1], "10.97.0.8/24");
        assert_prefix(&c->requested[2], "fd97::8/128");
        assert_int_equal(c->n_runtime_sets, 1);
        assert_addr(&c->runtime_sets[0].ranges[0].end, "10.98.0.254");
        assert_int_equal(c->runtime_sets[0].ranges[0].n_excludes, 1);
        assert_int_equal(c->n_sets, 1);

        /* the runtime's ranges are enough */
        d = parse_ok(CONF(",\"ipam\":{\"type\":\"local\"}" RUNTIME(
                        "\"ipRanges\":[[{\"subnet\":\"10.98.0.0/24\"}],[{\"subnet\":\"fd98::/64\"}]]")));
        assert_int_equal(d->n_sets, 0);
        assert_int_equal(d->n_runtime_sets, 2);

        /* and they come through with a named network too */
        f = parse_ok(CONF(",\"network\":\"lab\"" RUNTIME("\"ips\":[\"10.97.0.8\"]")));
        assert_string_equal(f->network, "lab");
        assert_int_equal(f->n_requested, 1);
        assert_int_equal(f->n_sets, 0);
}

static void test_envelope(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *f = NULL, *g = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *text;

        c = parse_ok("{\"TYPE\":\"netmgr\",\"NAME\":\"n\",\"kind\":\"loopback\",\"prevResult\":{\"a\":1},"
                     "\"cni.dev/anything\":[1],\"disableCheck\":\"true\",\"cniVersions\":[\"1.1.0\"]}");
        assert_string_equal(c->cni_version, "0.1.0");
        assert_int_equal(c->kind, NET_KIND_LOOPBACK);
        assert_non_null(json_get(c->prev_result, "a"));

        /* the reference plugin's configuration; of keys that differ in case the last one counts */
        d = parse_ok("{\"cniVersion\":\"9\",\"CniVersion\":\"0.3.1\",\"name\":\"cni-loopback\","
                     "\"type\":\"loopback\",\"whatever\":{\"x\":[]},\"kind\":7}");
        assert_string_equal(d->cni_version, "0.3.1");
        assert_int_equal(d->kind, NET_KIND_LOOPBACK);

        f = parse_ok("{\"type\":\"netmgr\",\"kind\":\"bridge\"}");
        assert_null(f->name);

        /* DEL reads what ADD would refuse */
        text = "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"netmgr\",\"shaping\":1,\"kind\":\"x\","
               "\"ipam\":{\"type\":\"dhcp\",\"subnet\":5},\"prevResult\":[],\"runtimeConfig\":7}";
        parse_bad(text, ERROR_INVALID_ARGUMENT, "prevResult");
        if (netconf_parse_envelope(text, strlen(text), &g, &e) < 0)
                fail_msg("%s", error_message(&e));
        assert_string_equal(g->name, "n");
        assert_null(g->prev_result);
}

static void test_valid_attachments(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *f = NULL;

        c = parse_ok(CONF(
                        ",\"network\":\"lab\",\"cni.dev/valid-attachments\":[{\"containerID\":\"abc\","
                        "\"ifname\":\"eth0\"},{\"containerID\":\"def\",\"ifname\":\"eth1\",\"x\":1}]"));
        assert_true(c->has_valid_attachments);
        assert_int_equal(c->n_valid_attachments, 2);
        assert_string_equal(c->valid_attachments[1].container_id, "def");
        assert_string_equal(c->valid_attachments[1].ifname, "eth1");

        d = parse_ok(CONF(",\"network\":\"lab\",\"cni.dev/attachments\":null"));
        assert_true(d->has_valid_attachments);
        assert_int_equal(d->n_valid_attachments, 0);

        f = parse_ok(CONF(
                        ",\"network\":\"lab\",\"cni.dev/valid-attachments\":null,"
                        "\"cni.dev/attachments\":[{\"containerID\":\"abc\",\"ifname\":\"eth0\"}]"));
        assert_int_equal(f->n_valid_attachments, 1);
}

/* ---- hash ------------------------------------------------------------------------------------ */

static void test_hash(void **state) {
        _cleanup_(netconf_freep) NetConf *a = parse_ok(BRIDGE(
                        ",\"bridge\":\"br0\",\"mtu\":1400,\"isDefaultGateway\":true,"
                        "\"ipam\":{\"type\":\"local\",\"subnet\":\"10.97.0.0/24\",\"routes\":[{\"dst\":"
                        "\"10.0.0.0/8\",\"gw\":\"10.97.0.7\"}]},\"dns\":{\"search\":[\"a\",\"b\"]}"));
        /* order, case, white space, defaults, and everything that is not the network */
        _cleanup_(netconf_freep) NetConf *same = parse_ok(
                        " { \"DNS\": {\"Search\":[\"a\",\"b\"],\"options\":[]}, \"type\":\"netmgr\",\n"
                        "\"ipam\":{\"gateway\":\"10.97.0.1\",\"RANGESTART\":\"10.97.0.1\",\"Routes\":[{\"gw\":"
                        "\"10.97.0.7\",\"dst\":\"10.0.0.0/8\"}],\"subnet\":\"10.97.0.0/24\",\"type\":\"local\"},"
                        "\"isdefaultgateway\":true,\"isGateway\":true,\"hairpinMode\":false,\"MTU\":1400,"
                        "\"bridge\":\"br0\",\"kind\":\"bridge\",\"name\":\"other\",\"cniVersion\":\"0.4.0\","
                        "\"prevResult\":{},\"runtimeConfig\":{\"ips\":[\"10.97.0.9\"]},\"capabilities\":{}}");
        static const char *const others[] = {
                BRIDGE(""),
                BRIDGE(",\"mtu\":1400"),
                BRIDGE(",\"bridge\":\"br1\""),
                BRIDGE(",\"hairpinMode\":true"),
                BRIDGE(",\"promiscMode\":true"),
                BRIDGE(",\"dns\":{\"search\":[\"a\",\"b\"]}"),
                BRIDGE(",\"dns\":{\"search\":[\"a\"],\"options\":[\"b\"]}"),
                BRIDGE(",\"dns\":{\"search\":[\"ab\"]}"),
                BRIDGE(",\"ipam\":{\"type\":\"local\"" SUBNET4 "}"),
                IPAM(SUBNET4),
                IPAM(SUBNET4 ",\"exclude\":[\"10.97.0.9\"]"),
                IPAM(SUBNET4 ",\"gateway\":\"10.97.0.9\""),
                IPAM(SUBNET4 ",\"rangeEnd\":\"10.97.0.9\""),
                IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\"}]"),
                IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\",\"table\":0}]"),
                IPAM(SUBNET4 ",\"ranges\":[[{\"subnet\":\"10.98.0.0/24\"}]]"),
                IPAM(",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"},{\"subnet\":\"10.98.0.0/24\"}]]"),
                CONF(",\"network\":\"lab\""),
                CONF(",\"network\":\"lab2\""),
        };
        uint64_t seen[ELEMENTSOF(others)];

        assert_true(a->hash == same->hash);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                _cleanup_(netconf_freep) NetConf *c = parse_ok(others[i]);

                seen[i] = c->hash;
                assert_true(c->hash != a->hash);
                for (size_t j = 0; j < i; j++)
                        if (seen[i] == seen[j])
                                fail_msg("one hash: %s and %s", others[i], others[j]);
        }
}

/* ---- lists ----------------------------------------------------------------------------------- */

#define LIST(keys, plugin)                                                                         \
        "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\"" keys ",\"plugins\":[" plugin "]}"
#define PLUGIN "{\"type\":\"netmgr\",\"ipam\":{\"type\":\"local\",\"subnet\":\"10.97.0.0/24\"}}"

static NetConf *list_ok(const char *text, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = NULL;

        if (netconf_parse_list(text, strlen(text), name, &c, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        return c;
}

static void test_list(void **state) {
        static const struct {
                const char *text, *name, *version;
        } good[] = {
                { LIST("", PLUGIN), "pods", "1.0.0" },
                { LIST("", PLUGIN), NULL, "1.0.0" },
                { "{\"plugins\":[" PLUGIN "]}", "pods", "0.1.0" },
                { LIST(",\"cniVersions\":[\"0.4.0\",\"1.1.0\",\"7.0.0\"],\"disableGC\":true",
                       PLUGIN),
                  "pods", "1.1.0" },
                { LIST(",\"cniVersions\":[\"0.4.0\"]", PLUGIN), "pods", "1.0.0" },
                { "{\"cniVersion\":\"9.0\",\"cniVersions\":[\"0.4.0\"],\"name\":\"pods\",\"plugins\":[" PLUGIN
                  "]}",
                  "pods", "0.4.0" },
                { LIST("", "{\"type\":\"netmgr\",\"kind\":\"bridge\"}"), "pods", "1.0.0" },
        };
        static const struct {
                const char *text, *name;
                ErrorKind kind;
                const char *words;
        } bad[] = {
                { "x", "pods", ERROR_DECODE, "" },
                { "[]", "pods", ERROR_DECODE, "object" },
                { LIST("", PLUGIN), "lab", ERROR_INVALID_ARGUMENT, "pods|lab" },
                { "{\"plugins\":[" PLUGIN "]}", NULL, ERROR_INVALID_ARGUMENT, "name" },
                { "{\"name\":\"a/b\",\"plugins\":[" PLUGIN "]}", NULL, ERROR_INVALID_ARGUMENT,
                  "a/b" },
                { "{\"cniVersion\":\"9\",\"name\":\"pods\",\"plugins\":[" PLUGIN "]}", "pods",
                  ERROR_INCOMPATIBLE_VERSION, "cniVersion|9" },
                { "{\"name\":\"pods\"}", "pods", ERROR_INVALID_ARGUMENT, "plugins" },
                { "{\"name\":\"pods\",\"plugins\":{}}", "pods", ERROR_INVALID_ARGUMENT, "plugins" },
                { LIST("", ""), "pods", ERROR_INVALID_ARGUMENT, "plugins" },
                { LIST("", "5"), "pods", ERROR_INVALID_ARGUMENT, "plugins[0]" },
                { LIST("", PLUGIN "," PLUGIN), "pods", ERROR_NOT_SUPPORTED, "plugins|2" },
                { LIST(",\"typo\":1", PLUGIN), "pods", ERROR_UNKNOWN_OPTION, "typo|1" },
                { LIST("", "{\"type\":\"portmap\"}"), "pods", ERROR_NOT_SUPPORTED, "portmap" },
                { LIST("", "{\"type\":\"loopback\"}"), "pods", ERROR_NOT_SUPPORTED, "loopback" },
                { LIST("", "{\"ipam\":{}}"), "pods", ERROR_INVALID_ARGUMENT, "type" },
                { LIST("", "{\"type\":\"netmgr\",\"network\":\"lab\"}"), "pods",
                  ERROR_INVALID_ARGUMENT, "network|lab" },
                { LIST("", "{\"type\":\"netmgr\",\"vlan\":4095,\"kind\":\"bridge\"}"), "pods",
                  ERROR_INVALID_ARGUMENT, "plugins[0]|vlan|4095" },
        };

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                _cleanup_(netconf_freep) NetConf *c = list_ok(good[i].text, good[i].name);

                assert_string_equal(c->name, "pods");
                assert_string_equal(c->type, "netmgr");
                assert_string_equal(c->cni_version, good[i].version);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                NetConf *c = NULL;
                int r = netconf_parse_list(bad[i].text, strlen(bad[i].text), bad[i].name, &c, &e);

                assert_refused(bad[i].text, r, c, &e, bad[i].kind, bad[i].words);
        }
}

/* A network means the same inline and in its own file. */
static void test_list_hash(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(IPAM(SUBNET4)),
                                         *l = list_ok(LIST("", PLUGIN), NULL);

        assert_true(c->hash == l->hash);
}

static void test_kinds(void **state) {
        for (NetKind k = 0; k < _NET_KIND_MAX; k++)
                assert_int_equal(net_kind_from_string(net_kind_to_string(k)), k);
        assert_null(net_kind_to_string(_NET_KIND_MAX));
        assert_int_equal(net_kind_from_string("Bridge"), _NET_KIND_INVALID);
        assert_int_equal(net_kind_from_string(NULL), _NET_KIND_INVALID);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_routed),         cmocka_unit_test(test_range_defaults),
                cmocka_unit_test(test_bridge),         cmocka_unit_test(test_sets),
                cmocka_unit_test(test_routes_and_dns), cmocka_unit_test(test_runtime),
                cmocka_unit_test(test_envelope),       cmocka_unit_test(test_valid_attachments),
                cmocka_unit_test(test_hash),           cmocka_unit_test(test_list),
                cmocka_unit_test(test_list_hash),      cmocka_unit_test(test_kinds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
