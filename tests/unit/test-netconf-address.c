/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ipam: host-local under the reference plugin's rules, static, plugins of others, and what CNI_ARGS and the
 * runtime add. */

#include "base/limits.h"
#include "base/parse.h"
#include "netconf-test.h"

#define MACVLAN(ipam)   AS("macvlan", ",\"ipam\":{" ipam "}")
#define LOCAL(keys)     MACVLAN("\"type\":\"host-local\"" keys)
#define STATIC(keys)    MACVLAN("\"type\":\"static\"" keys)
#define ADDRESSES(list) STATIC(",\"addresses\":[" list "]")
#define STATIC_AND(more)                                                                           \
        AS("macvlan", ",\"ipam\":{\"type\":\"static\",\"addresses\":[{\"address\":"                \
                      "\"10.97.0.5/24\",\"gateway\":\"10.97.0.1\"},{\"address\":"                  \
                      "\"fd97::5/64\"}]}" more)

static NetConf *macvlan_ok(const char *text) {
        return plugin_ok(NET_PLUGIN_MACVLAN, text);
}

/* ---- host-local ------------------------------------------------------------------------------- */

static void test_local(void **state) {
        _cleanup_(netconf_freep) NetConf *c = macvlan_ok(LOCAL(
                        ",\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\",\"ranges\":[[{\"subnet\":"
                        "\"fd97::/64\"}]],\"routes\":[{\"dst\":\"0.0.0.0/0\",\"unknown\":1}],\"dataDir\":"
                        "\"/var/lib/other\",\"resolvConf\":\"/etc/resolv.conf\",\"unknown\":[]"));

        assert_int_equal(c->ipam, NET_IPAM_LOCAL);
        assert_string_equal(c->ipam_type, "host-local");
        assert_int_equal(c->n_sets, 2);
        assert_addr(&c->sets[0].ranges[0].start, "10.97.0.9");
        assert_prefix(&c->sets[1].ranges[0].subnet, "fd97::/64");
        assert_int_equal(c->n_routes, 1);
        assert_string_equal(c->data_dir, "/var/lib/other");
        assert_string_equal(c->resolv_conf, "/etc/resolv.conf");
}

/* host-local takes ranges that begin or end where no host can be; here these ends are cut off. */
static void test_local_lenient(void **state) {
        static const struct {
                const char *range, *start, *end, *gateway;
        } table[] = {
                { "\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.0\"", "10.97.0.1",
                  "10.97.0.254", "10.97.0.1" },
                { "\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.255\"", "10.97.0.1",
                  "10.97.0.254", "10.97.0.1" },
                { "\"subnet\":\"10.97.0.0/16\",\"rangeStart\":\"10.97.2.0\",\"rangeEnd\":\"10.97.2.255\"",
                  "10.97.2.0", "10.97.2.255", "10.97.0.1" },
                { "\"subnet\":\"10.97.0.0/24\",\"gateway\":\"10.97.0.255\"", "10.97.0.1",
                  "10.97.0.254", "10.97.0.255" },
                { "\"subnet\":\"fd97::/64\",\"rangeStart\":\"fd97::\"",
                  "fd97::", "fd97::ffff:ffff:ffff:ffff", "fd97::1" },
                { "\"Subnet\":\"10.97.0.0/30\",\"RangeStart\":\"\",\"RangeEnd\":\"\",\"Gateway\":\"\"",
                  "10.97.0.1", "10.97.0.2", "10.97.0.1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = strf(LOCAL(",\"ranges\":[[{%s}]]"), table[i].range);
                _cleanup_(netconf_freep) NetConf *c = macvlan_ok(text);
                const NetRange *range = &c->sets[0].ranges[0];

                assert_addr(&range->start, table[i].start);
                assert_addr(&range->end, table[i].end);
                assert_addr(&range->gateway, table[i].gateway);
        }
        /* the ends of a range that has no subnet beside it belong to nothing */
        netconf_free(macvlan_ok(LOCAL(",\"rangeStart\":\"10.97.0.9\",\"gateway\":\"10.97.0.1\","
                                      "\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"}]]")));
}

/* runtimeConfig.ipRanges, then the subnet of ipam itself, then ranges. */
static void test_local_order(void **state) {
        _cleanup_(netconf_freep) NetConf *c = macvlan_ok(AS(
                        "macvlan",
                        ",\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.97.3.0/24\"}]],"
                        "\"subnet\":\"10.97.2.0/24\"},\"runtimeConfig\":{\"ipRanges\":[[{\"subnet\":"
                        "\"10.97.1.0/24\"}]],\"ips\":[\"10.97.1.9\"]},\"args\":{\"cni\":{\"ips\":"
                        "[\"10.97.2.9\"]}}"));

        assert_prefix(&c->runtime_sets[0].ranges[0].subnet, "10.97.1.0/24");
        assert_prefix(&c->sets[0].ranges[0].subnet, "10.97.2.0/24");
        assert_prefix(&c->sets[1].ranges[0].subnet, "10.97.3.0/24");
        assert_int_equal(c->n_requested, 2);
        assert_prefix(&c->requested[0], "10.97.2.9/32");
        assert_prefix(&c->requested[1], "10.97.1.9/32");
}

static void test_local_of_netmgr(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(CONF(
                        ",\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\",\"dataDir\":\"/x\"}"));

        assert_int_equal(c->ipam, NET_IPAM_LOCAL);
        assert_string_equal(c->data_dir, "/x");
        parse_bad(CONF(",\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\",\"typo\":1}"),
                  ERROR_UNKNOWN_OPTION, "ipam.typo|1");
        parse_bad(CONF(",\"ipam\":{\"type\":\"host-local\",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\","
                       "\"rangeEnd\":\"10.97.0.255\"}]]}"),
                  ERROR_INVALID_ARGUMENT, "rangeEnd|10.97.0.255|broadcast");
}

static void test_local_bad(void **state) {
        static const struct {
                const char *text, *words;
        } table[] = {
                { LOCAL(""), "ipam|address range" },
                { LOCAL(",\"subnet\":5"), "ipam.subnet|5" },
                { LOCAL(",\"subnet\":\"10.97.0.0\""), "ipam.subnet|10.97.0.0" },
                { LOCAL(",\"subnet\":\"10.97.0.1/24\""), "ipam.subnet|10.97.0.1/24|10.97.0.0/24" },
                { LOCAL(",\"subnet\":\"10.97.0.0/31\""), "ipam.subnet|10.97.0.0/31|/30" },
                { LOCAL(",\"subnet\":\"fd97::/127\""), "ipam.subnet|fd97::/127|/126" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.98.0.1\""),
                  "rangeStart|10.98.0.1|10.97.0.0/24" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":7"), "rangeEnd|7" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\",\"rangeEnd\":"
                        "\"10.97.0.8\""),
                  "10.97.0.9|10.97.0.8" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.0\""),
                  "10.97.0.1|10.97.0.0" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"gateway\":\"10.98.0.1\""),
                  "gateway|10.98.0.1" },
                { LOCAL(",\"ranges\":{}"), "ipam.ranges|{}" },
                { LOCAL(",\"ranges\":[{}]"), "ipam.ranges[0]|{}" },
                { LOCAL(",\"ranges\":[[]]"), "ipam.ranges[0]" },
                { LOCAL(",\"ranges\":[[{}]]"), "ipam.ranges[0][0]|subnet" },
                { LOCAL(",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"},{\"subnet\":\"fd97::/64\"}]]"),
                  "ipam.ranges[0][1]|fd97::/64|family" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"ranges\":[[{\"subnet\":\"10.97.0.0/16\"}]]"),
                  "10.97.0.1-10.97.0.254|overlap" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"routes\":[{\"dst\":\"x\"}]"),
                  "ipam.routes[0].dst|x" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"routes\":[{\"gw\":\"10.97.0.1\"}]"),
                  "ipam.routes[0].dst" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"dataDir\":5"), "ipam.dataDir|5" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"dataDir\":\"relative\""),
                  "ipam.dataDir|relative" },
                { LOCAL(",\"subnet\":\"10.97.0.0/24\",\"resolvConf\":\"etc\""),
                  "ipam.resolvConf|etc" },
                { AS("macvlan",
                     ",\"runtimeConfig\":{\"ips\":[\"x\"]},\"ipam\":{\"type\":\"host-local\","
                     "\"subnet\":\"10.97.0.0/24\"}"),
                  "runtimeConfig.ips[0]|x" },
                { AS("macvlan",
                     ",\"runtimeConfig\":{\"ipRanges\":[[{\"subnet\":\"10.97.0.0/25\"}]]},"
                     "\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\"}"),
                  "overlap|10.97.0.0/25" },
                { "{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"type\":\"macvlan\",\"ipam\":{\"type\":"
                  "\"host-local\",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"}],[{\"subnet\":"
                  "\"10.98.0.0/24\"}]]}}",
                  "2 IPv4|0.2.0|0.3.0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                plugin_bad(NET_PLUGIN_MACVLAN, table[i].text, ERROR_INVALID_ARGUMENT,
                           table[i].words);
}

/* ---- the type --------------------------------------------------------------------------------- */

static void test_foreign(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *f = NULL;

        /* nothing but the name is ours to understand */
        c = macvlan_ok(MACVLAN(
                        "\"type\":\"whereabouts\",\"range\":5,\"routes\":\"x\",\"subnet\":[]"));
        assert_int_equal(c->ipam, NET_IPAM_FOREIGN);
        assert_string_equal(c->ipam_type, "whereabouts");
        assert_int_equal(c->n_sets + c->n_routes + c->n_addresses, 0);
        d = parse_ok(CONF(",\"ipam\":{\"type\":\"whereabouts\",\"range\":\"10.0.0.0/8\"}"));
        assert_int_equal(d->ipam, NET_IPAM_FOREIGN);
        f = plugin_ok(NET_PLUGIN_BRIDGE,
                      AS("bridge", ",\"isGateway\":true,\"ipam\":{\"type\":\"whereabouts\"}"));
        assert_true(f->is_gateway);
}

static void test_type_bad(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_MACVLAN, ",\"ipam\":5", ERROR_INVALID_ARGUMENT, "ipam|5" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":[]", ERROR_INVALID_ARGUMENT, "ipam|[]" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":5}", ERROR_INVALID_ARGUMENT,
                  "ipam.type|5" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":\"../bin/sh\"}", ERROR_INVALID_ARGUMENT,
                  "ipam.type|../bin/sh" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":\"a b\"}", ERROR_INVALID_ARGUMENT,
                  "ipam.type|a b" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":\"..\"}", ERROR_INVALID_ARGUMENT,
                  "ipam.type|.." },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":\"portmap\"}", ERROR_INVALID_ARGUMENT,
                  "ipam.type|portmap|no addresses" },
                { NET_PLUGIN_HOST_LOCAL, "", ERROR_INVALID_ARGUMENT, "ipam|host-local" },
                { NET_PLUGIN_STATIC, ",\"ipam\":null", ERROR_INVALID_ARGUMENT, "ipam|static" },
        };
        char name[NETWORK_NAME_MAX + 2] = { 0 };

        plugins_bad(table, ELEMENTSOF(table));
        memset(name, 'a', NETWORK_NAME_MAX + 1);
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *text = strf(MACVLAN("\"type\":\"%s\""), name + 1 - more);

                if (more)
                        plugin_bad(NET_PLUGIN_MACVLAN, text, ERROR_INVALID_ARGUMENT, "ipam.type");
                else
                        netconf_free(macvlan_ok(text));
        }
}

/* An IPAM plugin gets the configuration of the plugin that calls it. */
static void test_as_program(void **state) {
        static const char calico[] =
                        "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"type\":\"calico\",\"mtu\":\"x\","
                        "\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\"}}";
        static const char wrapped[] =
                        "{\"cniVersion\":\"1.0.0\",\"name\":\"pods\",\"type\":\"calico\",\"ipam\":{\"type\":"
                        "\"wrapper\",\"addresses\":[{\"address\":\"10.97.0.5/24\"}]}}";
        _cleanup_(netconf_freep) NetConf *local = plugin_ok(NET_PLUGIN_HOST_LOCAL, calico),
                                         *fixed = plugin_ok(NET_PLUGIN_STATIC, wrapped);

        assert_int_equal(local->kind, NET_KIND_FOREIGN);
        assert_int_equal(local->n_sets, 1);
        assert_int_equal(fixed->ipam, NET_IPAM_STATIC);
        assert_int_equal(fixed->n_addresses, 1);
        parse_bad(calico, ERROR_NOT_SUPPORTED, "type|calico");
}

/* ---- static ----------------------------------------------------------------------------------- */

static void test_static(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *bridge = NULL, *own = NULL;

        c = macvlan_ok(STATIC(
                        ",\"addresses\":[{\"address\":\"10.97.0.5/24\",\"gateway\":\"10.97.0.1\"},"
                        "{\"ADDRESS\":\"fd97::5/64\",\"Gateway\":\"\",\"x\":1}],\"routes\":[{\"dst\":"
                        "\"0.0.0.0/0\",\"mtu\":1300}],\"dns\":{\"nameservers\":[\"10.97.0.53\"]}"));
        assert_int_equal(c->ipam, NET_IPAM_STATIC);
        assert_int_equal(c->n_addresses, 2);
        assert_prefix(&c->addresses[0].address, "10.97.0.5/24");
        assert_addr(&c->addresses[0].gateway, "10.97.0.1");
        assert_false(in_addr_is_set(&c->addresses[1].gateway));
        assert_int_equal(c->routes[0].mtu, 1300);
        assert_null(c->dns.nameservers); /* macvlan knows its own dns only */
        d = macvlan_ok(STATIC(""));      /* CNI_ARGS may have them all */
        assert_int_equal(d->n_addresses, 0);

#define WITH_DNS ",\"ipam\":{\"type\":\"static\",\"dns\":{\"search\":[\"ipam\"],\"domain\":\"x\"}}"
        bridge = plugin_ok(NET_PLUGIN_BRIDGE, AS("bridge", WITH_DNS));
        assert_string_equal(bridge->dns.search[0], "ipam");
        own = plugin_ok(NET_PLUGIN_BRIDGE, AS("bridge", ",\"dns\":{\"domain\":\"own\"}" WITH_DNS));
        assert_string_equal(own->dns.domain, "own");
        assert_null(own->dns.search);
}

static void resolve(const NetConf *network, const NetConf *request, const char *text,
                    const char *expected) {
        _cleanup_free_ NetStaticAddress *list = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        char found[512] = "";
        size_t n, used = 0;
        CniArgs args;

        if (cni_args_parse(text, &args, &e) < 0 ||
            netconf_static_addresses(network, request, &args, &list, &n, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        for (size_t i = 0; i < n; i++)
                used += (size_t) snprintf(found + used, sizeof(found) - used, "%s%s%s%s",
                                          i > 0 ? " " : "", IN_PREFIX_STR(&list[i].address),
                                          in_addr_is_set(&list[i].gateway) ? "@" : "",
                                          in_addr_is_set(&list[i].gateway)
                                                          ? IN_ADDR_STR(&list[i].gateway)
                                                          : "");
        assert_string_equal(found, expected);
        cni_args_clear(&args);
}

static void test_static_addresses(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *args = NULL, *both = NULL, *none = NULL;

        c = macvlan_ok(STATIC_AND(""));
        args = macvlan_ok(STATIC_AND(",\"args\":{\"cni\":{\"ips\":[\"10.97.0.8/24\"]}}"));
        both = macvlan_ok(STATIC_AND(
                        ",\"args\":{\"cni\":{\"ips\":[\"10.97.0.8/24\"]}},\"runtimeConfig\":"
                        "{\"ips\":[\"10.97.0.9/24\",\"fd97::9/64\"]}"));
        none = macvlan_ok(STATIC_AND(
                        ",\"args\":{\"cni\":{\"ips\":[\"10.97.0.8/24\"]}},\"runtimeConfig\":"
                        "{\"ips\":[]}"));
        resolve(c, c, "", "10.97.0.5/24@10.97.0.1 fd97::5/64");
        resolve(c, c, "IP=10.98.0.5/16, 10.97.0.6/24;GATEWAY=10.98.0.1,fd97::1;IgnoreUnknown=1;X=1",
                "10.97.0.5/24@10.97.0.1 fd97::5/64@fd97::1 10.98.0.5/16@10.98.0.1 10.97.0.6/24");
        resolve(c, c, "IP=10.97.0.5/24", "10.97.0.5/24@10.97.0.1 fd97::5/64");
        /* the runtime's replace all the others, the later ones the earlier */
        resolve(c, args, "IP=10.98.0.5/16;GATEWAY=10.97.0.1", "10.97.0.8/24");
        resolve(c, both, "", "10.97.0.9/24 fd97::9/64");
        resolve(c, none, "", "10.97.0.8/24");
}

static void test_static_args_bad(void **state) {
        static const struct {
                const char *args;
                const char *word;
        } table[] = {
                { "IP=10.97.0.5", "10.97.0.5 has no prefix length" },
                { "IP=10.97.0.5/24,fd97::1", "fd97::1" },
                { "IP=224.0.0.1/24", "224.0.0.1" },
        };
        _cleanup_(netconf_freep) NetConf *c = macvlan_ok(STATIC_AND(""));

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                NetStaticAddress *list = NULL;
                CniArgs args;
                size_t n = 77;

                assert_return_code(cni_args_parse(table[i].args, &args, &e), 0);
                assert_true(netconf_static_addresses(c, c, &args, &list, &n, &e) < 0);
                assert_null(list);
                assert_int_equal(n, 77);
                if (!strstr(error_message(&e), table[i].word))
                        fail_msg("\"%s\" is missing in: %s", table[i].word, error_message(&e));
                cni_args_clear(&args);
        }
}

static void test_static_bad(void **state) {
        static const struct {
                const char *text, *words;
        } table[] = {
                { STATIC(",\"addresses\":{}"), "ipam.addresses|{}" },
                { ADDRESSES("5"), "ipam.addresses[0]|5" },
                { ADDRESSES("{}"), "ipam.addresses[0].address" },
                { ADDRESSES("{\"address\":5}"), "ipam.addresses[0].address|5" },
                { ADDRESSES("{\"address\":\"10.97.0.5\"}"), "ipam.addresses[0].address|10.97.0.5" },
                { ADDRESSES("{\"address\":\"10.97.0.5/24\",\"gateway\":\"x\"}"),
                  "ipam.addresses[0].gateway|x" },
                { ADDRESSES("{\"address\":\"10.97.0.5/24\",\"gateway\":\"fd97::1\"}"),
                  "ipam.addresses[0].gateway|fd97::1|10.97.0.5/24" },
                { ADDRESSES("{\"address\":\"0.0.0.0/24\"}"), "ipam.addresses[0]|0.0.0.0/24" },
                { ADDRESSES("{\"address\":\"ff02::1/64\"}"), "ipam.addresses[0]|ff02::1/64" },
                { ADDRESSES("{\"address\":\"10.97.0.5/24\"},{\"address\":\"10.97.0.5/16\"}"),
                  "ipam.addresses[1]|10.97.0.5/16|twice" },
                { STATIC(",\"routes\":5"), "ipam.routes|5" },
                { STATIC(",\"routes\":[{\"dst\":\"10.0.0.1/8\"}]"),
                  "ipam.routes[0].dst|10.0.0.1/8" },
                { STATIC(",\"dns\":5"), "ipam.dns|5" },
                { STATIC_AND(",\"args\":{\"cni\":{\"ips\":[\"10.97.0.8\"]}}"),
                  "args.cni.ips[0]|10.97.0.8|prefix length" },
                { STATIC_AND(",\"runtimeConfig\":{\"ips\":[\"10.97.0.8/24\",\"10.97.0.9\"]}"),
                  "runtimeConfig.ips[1]|10.97.0.9|prefix length" },
                { "{\"cniVersion\":\"0.2.0\",\"name\":\"n\",\"type\":\"macvlan\",\"ipam\":{\"type\":"
                  "\"static\",\"addresses\":[{\"address\":\"10.97.0.5/24\"},{\"address\":"
                  "\"10.97.0.6/24\"}]}}",
                  "2 IPv4|0.2.0|0.3.0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                plugin_bad(NET_PLUGIN_MACVLAN, table[i].text, ERROR_INVALID_ARGUMENT,
                           table[i].words);
        /* of type netmgr a key too many is one too many */
        parse_bad(CONF(",\"ipam\":{\"type\":\"static\",\"addresses\":[{\"address\":\"10.97.0.5/24\","
                       "\"gw\":\"10.97.0.1\"}]}"),
                  ERROR_UNKNOWN_OPTION, "ipam.addresses[0].gw");
        parse_bad(CONF(",\"ipam\":{\"type\":\"static\",\"subnet\":\"10.97.0.0/24\"}"),
                  ERROR_UNKNOWN_OPTION, "ipam.subnet");
}

static void test_static_limit(void **state) {
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);

                assert_non_null(f);
                fputs("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"macvlan\",\"ipam\":{\"type\":"
                      "\"static\",\"addresses\":[",
                      f);
                for (size_t i = 0; i < STATIC_ADDRESSES_MAX + more; i++)
                        fprintf(f, "%s{\"address\":\"10.97.0.%zu/24\"}", i > 0 ? "," : "", i + 1);
                fputs("]}}", f);
                assert_int_equal(fclose(f), 0);
                if (more)
                        parse_bad(text, ERROR_INVALID_ARGUMENT, "ipam.addresses|33");
                else
                        netconf_free(parse_ok(text));
        }
}

/* ---- CNI_ARGS --------------------------------------------------------------------------------- */

static void test_args(void **state) {
        CniArgs a;

        assert_return_code(
                        cni_args_parse("MAC=02-00-00-00-00-0A;GATEWAY=10.97.0.1, fd97::1;IP=10.97.0.5/24,"
                                       "fd97::5;IgnoreUnknown=1",
                                       &a, NULL),
                        0);
        assert_string_equal(MAC_STR(&a.mac), "02:00:00:00:00:0a");
        assert_int_equal(a.n_gateways, 2);
        assert_addr(&a.gateways[1], "fd97::1");
        assert_int_equal(a.n_ips, 2);
        assert_int_equal(a.bare_ips, 2);
        cni_args_clear(&a);
        assert_return_code(cni_args_parse("MAC=;GATEWAY=;IP=", &a, NULL), 0);
        assert_true(mac_is_zero(&a.mac));
        assert_int_equal(a.n_gateways + a.n_ips, 0);
        cni_args_clear(&a);
}

static void test_args_bad(void **state) {
        static const char *const table[][2] = {
                { "MAC=x", "MAC: \"x\"" },
                { "MAC=01:00:00:00:00:01", "MAC: \"01:00:00:00:00:01\"" },
                { "GATEWAY=x", "GATEWAY: \"x\"" },
                { "GATEWAY=10.97.0.1,", "GATEWAY: \"\"" },
                { "GATEWAY=224.0.0.1", "GATEWAY: \"224.0.0.1\"" },
                { "GATEWAY=1.0.0.1,1.0.0.2,1.0.0.3,1.0.0.4,1.0.0.5,1.0.0.6,1.0.0.7,1.0.0.8,1.0.0.9,"
                  "1.0.1.1,1.0.1.2,1.0.1.3,1.0.1.4,1.0.1.5,1.0.1.6,1.0.1.7,1.0.1.8",
                  "GATEWAY: more than 16" },
                { "mac=02:00:00:00:00:01", "unknown key \"mac\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                CniArgs a;

                assert_true(cni_args_parse(table[i][0], &a, &e) < 0);
                assert_int_equal(e.kind, ERROR_BAD_ENVIRONMENT);
                if (!strstr(error_message(&e), table[i][1]))
                        fail_msg("\"%s\" is missing in: %s", table[i][1], error_message(&e));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_local),           cmocka_unit_test(test_local_lenient),
                cmocka_unit_test(test_local_order),     cmocka_unit_test(test_local_of_netmgr),
                cmocka_unit_test(test_local_bad),       cmocka_unit_test(test_foreign),
                cmocka_unit_test(test_type_bad),        cmocka_unit_test(test_as_program),
                cmocka_unit_test(test_static),          cmocka_unit_test(test_static_addresses),
                cmocka_unit_test(test_static_args_bad), cmocka_unit_test(test_static_bad),
                cmocka_unit_test(test_static_limit),    cmocka_unit_test(test_args),
                cmocka_unit_test(test_args_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
