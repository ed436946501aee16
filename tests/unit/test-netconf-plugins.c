/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The programs of a chain: names, versions, whose configuration is read how, and the hash. */

#include "base/parse.h"
#include "cri/result.h"
#include "netconf-test.h"

static void test_names(void **state) {
        for (NetPlugin p = 0; p < _NET_PLUGIN_MAX; p++) {
                assert_int_equal(net_plugin_from_string(net_plugin_to_string(p)), p);
                assert_int_equal(net_plugin_makes_interface(p) + net_plugin_is_ipam(p) +
                                                 net_plugin_is_chained(p),
                                 1);
                assert_int_equal(net_plugin_kind(p) == NET_KIND_FOREIGN,
                                 !net_plugin_makes_interface(p));
        }
        assert_null(net_plugin_to_string(_NET_PLUGIN_MAX));
        assert_null(net_plugin_to_string(_NET_PLUGIN_INVALID));
        assert_int_equal(net_plugin_from_string("Bridge"), _NET_PLUGIN_INVALID);
        assert_int_equal(net_plugin_from_string(""), _NET_PLUGIN_INVALID);
        assert_int_equal(net_plugin_from_string(NULL), _NET_PLUGIN_INVALID);
        assert_int_equal(net_plugin_kind(_NET_PLUGIN_INVALID), _NET_KIND_INVALID);
}

static void test_min_versions(void **state) {
        static const struct {
                NetPlugin plugin;
                const char *keys, *least, *older;
        } table[] = {
                { NET_PLUGIN_BANDWIDTH, "", "0.3.0", "0.2.0" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"v\"", "0.3.1", "0.3.0" },
                { NET_PLUGIN_FIREWALL, "", "0.4.0", "0.3.1" },
                { NET_PLUGIN_TUNING, "", "0.1.0", NULL },
                { NET_PLUGIN_BRIDGE, "", "0.1.0", NULL },
                { NET_PLUGIN_HOST_LOCAL, HOST_LOCAL, "0.1.0", NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const char *name = net_plugin_to_string(table[i].plugin);
                _cleanup_free_ char *good =
                                strf("{\"cniVersion\":\"%s\",\"name\":\"n\",\"type\":\"%s\"%s}",
                                     table[i].least, name, table[i].keys);

                assert_string_equal(net_plugin_min_version(table[i].plugin), table[i].least);
                netconf_free(plugin_ok(table[i].plugin, good));
                if (!table[i].older)
                        continue;
                _cleanup_free_ char *
                                bad = strf("{\"cniVersion\":\"%s\",\"name\":\"n\",\"type\":\"%s\"%s}",
                                           table[i].older, name, table[i].keys),
                               *words = strf("cniVersion|%s|%s|%s", table[i].older, name,
                                             table[i].least);
                plugin_bad(table[i].plugin, bad, ERROR_INCOMPATIBLE_VERSION, words);
        }
}

/* The program's name decides; without one it is "type". */
static void test_choice(void **state) {
        static const char bridge[] = AS("bridge", ",\"mtu\":1400");
        _cleanup_(netconf_freep) NetConf *by_type = parse_ok(bridge),
                                         *by_name = plugin_ok(NET_PLUGIN_MACVLAN, bridge),
                                         *nameless = plugin_ok(NET_PLUGIN_TAP, "{\"name\":\"n\"}");

        assert_int_equal(by_type->plugin, NET_PLUGIN_BRIDGE);
        assert_string_equal(by_type->type, "bridge");
        assert_int_equal(by_name->kind, NET_KIND_MACVLAN);
        assert_int_equal(nameless->kind, NET_KIND_TAP);
        plugin_bad(NET_PLUGIN_NETMGR, bridge, ERROR_INVALID_ARGUMENT, "type|bridge|netmgr");
        plugin_bad(NET_PLUGIN_NETMGR, "{\"name\":\"n\"}", ERROR_INVALID_ARGUMENT, "type|netmgr");
        parse_bad("{\"name\":\"n\"}", ERROR_INVALID_ARGUMENT, "type");
}

/* What is wrong with the frame is wrong for all of them. */
static void test_envelope_bad(void **state) {
        for (NetPlugin p = 0; p < _NET_PLUGIN_MAX; p++) {
                plugin_bad(p, "[]", ERROR_DECODE, "object");
                plugin_bad(p, "{\"name\":\"a/b\",\"type\":\"x\"}", ERROR_INVALID_ARGUMENT,
                           "name|a/b");
                plugin_bad(p, "{\"cniVersion\":\"9.0.0\"}", ERROR_INCOMPATIBLE_VERSION, "9.0.0");
                plugin_bad(p, "{\"type\":[]}", ERROR_INVALID_ARGUMENT, "type|[]");
        }
}

static void test_envelope(void **state) {
        static const char text[] =
                        AS("calico", ",\"mtu\":[],\"ipam\":5,\"runtimeConfig\":7,\"prevResult\":5");

        for (NetPlugin p = _NET_PLUGIN_INVALID; p < _NET_PLUGIN_MAX; p = p < 0 ? 0 : p + 1) {
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_(netconf_freep) NetConf *c = NULL;

                if (netconf_parse_envelope_as(p, text, strlen(text), &c, &e) < 0)
                        fail_msg("%s: %s", text, error_message(&e));
                assert_string_equal(c->name, "pods");
                /* of a program that is none of ours, and of ours without its type, nothing is known */
                assert_int_equal(c->plugin, p < 0 ? NET_PLUGIN_NETMGR : p);
                assert_int_equal(c->kind, net_plugin_kind(c->plugin));
                assert_null(c->prev_result);
        }
}

static uint64_t hash_of(NetPlugin plugin, const char *keys) {
        _cleanup_free_ char *text = strf(AS("%s", "%s"), net_plugin_to_string(plugin), keys);
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(plugin, text);

        return c->hash;
}

/* Each of these is another network. */
static void test_hash_differs(void **state) {
#define DEVICE  NET_PLUGIN_HOST_DEVICE
#define MACVLAN NET_PLUGIN_MACVLAN
#define OF_VLAN ",\"master\":\"e\"" HOST_LOCAL
        static const struct {
                NetPlugin plugin;
                const char *keys;
        } table[] = {
                { NET_PLUGIN_NETMGR, ",\"kind\":\"bridge\",\"bridge\":\"cni0\"" },
                { NET_PLUGIN_BRIDGE, "" },
                { NET_PLUGIN_BRIDGE, ",\"bridge\":\"cni1\"" },
                { NET_PLUGIN_BRIDGE, ",\"vlan\":7" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"id\":7}]" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"minID\":7,\"maxID\":8}]" },
                { NET_PLUGIN_BRIDGE, ",\"preserveDefaultVlan\":true" },
                { NET_PLUGIN_BRIDGE, ",\"macspoofchk\":true" },
                { NET_PLUGIN_BRIDGE, ",\"portIsolation\":true" },
                { NET_PLUGIN_BRIDGE, ",\"enabledad\":true" },
                { NET_PLUGIN_BRIDGE, ",\"disableContainerInterface\":true" },
                { NET_PLUGIN_BRIDGE, ",\"ipam\":{\"type\":\"whereabouts\"}" },
                { MACVLAN, "" },
                { MACVLAN, ",\"master\":\"e\"" },
                { MACVLAN, ",\"mode\":\"vepa\"" },
                { MACVLAN, ",\"linkInContainer\":true" },
                { MACVLAN, ",\"bcqueuelen\":0" },
                { MACVLAN, ",\"mac\":\"02:00:00:00:00:01\"" },
                { MACVLAN, ",\"ipam\":{\"type\":\"static\"}" },
                { MACVLAN,
                  ",\"ipam\":{\"type\":\"static\",\"addresses\":[{\"address\":\"10.0.0.1/8\"}]}" },
                { MACVLAN,
                  ",\"ipam\":{\"type\":\"static\",\"addresses\":[{\"address\":\"10.0.0.1/8\","
                  "\"gateway\":\"10.0.0.2\"}]}" },
                { MACVLAN, HOST_LOCAL },
                { MACVLAN,
                  ",\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\",\"dataDir\":"
                  "\"/a\"}" },
                { MACVLAN,
                  ",\"ipam\":{\"type\":\"host-local\",\"subnet\":\"10.97.0.0/24\",\"resolvConf\":"
                  "\"/a\"}" },
                { NET_PLUGIN_IPVLAN, HOST_LOCAL },
                { NET_PLUGIN_IPVLAN, ",\"mode\":\"l3\"" HOST_LOCAL },
                { NET_PLUGIN_VLAN, OF_VLAN },
                { NET_PLUGIN_VLAN, ",\"vlanId\":5" OF_VLAN },
                { NET_PLUGIN_PTP, HOST_LOCAL },
                { NET_PLUGIN_DUMMY, HOST_LOCAL },
                { DEVICE, ",\"device\":\"a\"" },
                { DEVICE, ",\"hwaddr\":\"02:00:00:00:00:01\"" },
                { DEVICE, ",\"kernelpath\":\"/sys/devices/a\"" },
                { DEVICE, ",\"pciBusID\":\"a\"" },
                { NET_PLUGIN_TAP, "" },
                { NET_PLUGIN_TAP, ",\"owner\":0" },
                { NET_PLUGIN_TAP, ",\"group\":0" },
                { NET_PLUGIN_TAP, ",\"multiQueue\":true" },
                { NET_PLUGIN_TAP, ",\"selinuxContext\":\"a\"" },
                { NET_PLUGIN_TAP, ",\"bridge\":\"a\"" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5,\"port\":5" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5,\"remote\":\"192.0.2.1\"" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5,\"local\":\"192.0.2.1\"" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5,\"ttl\":5" },
                { NET_PLUGIN_VXLAN, ",\"vni\":5,\"learning\":false" },
                { NET_PLUGIN_TUNING, "" },
                { NET_PLUGIN_TUNING, ",\"mac\":\"02:00:00:00:00:01\"" },
                { NET_PLUGIN_TUNING, ",\"mtu\":1400" },
                { NET_PLUGIN_TUNING, ",\"promisc\":false" },
                { NET_PLUGIN_TUNING, ",\"allmulti\":false" },
                { NET_PLUGIN_TUNING, ",\"txQLen\":0" },
                { NET_PLUGIN_SBR, "" },
                { NET_PLUGIN_SBR, ",\"table\":5" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"10.0.0.1\"]" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"fd00::1\"]" },
                { NET_PLUGIN_SBR, ",\"addSourceHints\":true" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"a\"" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"a\",\"table\":5" },
                { NET_PLUGIN_FIREWALL, "" },
                { NET_PLUGIN_FIREWALL, ",\"ingressPolicy\":\"isolated\"" },
        };
        uint64_t seen[ELEMENTSOF(table)];

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                seen[i] = hash_of(table[i].plugin, table[i].keys);
                for (size_t j = 0; j < i; j++)
                        if (seen[i] == seen[j])
                                fail_msg("one hash: %s%s and %s%s",
                                         net_plugin_to_string(table[i].plugin), table[i].keys,
                                         net_plugin_to_string(table[j].plugin), table[j].keys);
        }
}

/* Defaults written out, the runtime's words, and keys that nobody reads. */
static void test_hash_same(void **state) {
        assert_true(hash_of(NET_PLUGIN_BRIDGE, "") ==
                    hash_of(NET_PLUGIN_BRIDGE,
                            ",\"bridge\":\"cni0\",\"vlan\":0,\"vlanTrunk\":[],\"preserveDefaultVlan\":false,"
                            "\"macspoofchk\":false,\"ipam\":{},\"x\":1,\"args\":{\"cni\":{\"mac\":"
                            "\"02:00:00:00:00:01\"}},\"runtimeConfig\":{\"mac\":\"02:00:00:00:00:02\"},"
                            "\"prevResult\":{}"));
        assert_true(hash_of(MACVLAN, "") ==
                    hash_of(MACVLAN,
                            ",\"mode\":\"bridge\",\"master\":\"\",\"linkInContainer\":false"));
        assert_true(hash_of(NET_PLUGIN_VXLAN, ",\"vni\":5") ==
                    hash_of(NET_PLUGIN_VXLAN, ",\"vni\":5,\"learning\":true,\"port\":0,\"ttl\":0"));
        assert_true(hash_of(DEVICE, ",\"pciBusID\":\"a\",\"runtimeConfig\":{\"deviceID\":\"b\"}") ==
                    hash_of(DEVICE, ",\"pciBusID\":\"a\",\"runtimeConfig\":{\"deviceID\":\"c\"}"));
        assert_true(hash_of(NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"id\":8},{\"id\":7}]") ==
                    hash_of(NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"minID\":7,\"maxID\":8}]"));
        /* netmgr checks in either case */
        assert_true(hash_of(NET_PLUGIN_NETMGR, ",\"kind\":\"bridge\",\"macspoofchk\":true") ==
                    hash_of(NET_PLUGIN_NETMGR, ",\"kind\":\"bridge\""));
}

/* The ledger has hashes of networks that an earlier version wrote: whose did not change are not new. */
static void test_hash_stays(void **state) {
        assert_true(hash_of(NET_PLUGIN_NETMGR,
                            ",\"ipam\":{\"type\":\"local\",\"subnet\":\"10.97.0.0/24\"}") ==
                    0x7158472bcb27deb8);
        assert_true(hash_of(NET_PLUGIN_NETMGR,
                            ",\"kind\":\"bridge\",\"bridge\":\"br0\",\"isDefaultGateway\":true,"
                            "\"macspoofchk\":true,\"sysctl\":{\"net.core.somaxconn\":\"9\"},\"ipam\":{"
                            "\"type\":\"local\",\"subnet\":\"10.97.0.0/24\",\"routes\":[{\"dst\":"
                            "\"0.0.0.0/0\"}]}") == 0x04ba65d474379cc7);
        assert_true(hash_of(NET_PLUGIN_NETMGR, ",\"network\":\"lab\"") == 0x58cc02d2953f669e);
        assert_true(hash_of(NET_PLUGIN_LOOPBACK, "") == 0x0ddf20fd66d397c9);
}

/* runtimeConfig.dns belongs to one sandbox, and is for those who ask in our own words. */
static void test_runtime_dns(void **state) {
        static const char keys[] =
                        "\"dns\":{\"Servers\":[\"10.97.0.53\"],\"Searches\":[\"a\"],\"Options\":[\"ndots:5\"]}";
        _cleanup_free_ char *mine = strf(BRIDGE(RUNTIME("%s")), keys),
                            *theirs = strf(AS("bridge", RUNTIME("%s")), keys);
        _cleanup_(netconf_freep) NetConf *c = parse_ok(mine), *d = parse_ok(theirs);

        assert_string_equal(c->runtime_dns.nameservers[0], "10.97.0.53");
        assert_string_equal(c->runtime_dns.search[0], "a");
        assert_string_equal(c->runtime_dns.options[0], "ndots:5");
        assert_null(c->dns.nameservers);
        assert_null(d->runtime_dns.nameservers);
        parse_bad(BRIDGE(RUNTIME("\"dns\":5")), ERROR_INVALID_ARGUMENT, "runtimeConfig.dns|5");
        parse_bad(BRIDGE(RUNTIME("\"dns\":{\"servers\":[5]}")), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.dns.servers[0]|5");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_names),       cmocka_unit_test(test_min_versions),
                cmocka_unit_test(test_choice),      cmocka_unit_test(test_envelope_bad),
                cmocka_unit_test(test_envelope),    cmocka_unit_test(test_hash_differs),
                cmocka_unit_test(test_hash_same),   cmocka_unit_test(test_hash_stays),
                cmocka_unit_test(test_runtime_dns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
