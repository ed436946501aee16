/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plugins that make an interface: their keys under the reference plugin's name and in a configuration
 * of type netmgr. */

#include <linux/if_link.h>

#include "base/parse.h"
#include "netconf-test.h"

#define KIND(kind, keys) CONF(",\"kind\":\"" kind "\"" keys)

/* ---- what is understood ----------------------------------------------------------------------- */

static void test_bridge_defaults(void **state) {
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(NET_PLUGIN_BRIDGE, AS("bridge", ""));

        assert_int_equal(c->kind, NET_KIND_BRIDGE);
        assert_string_equal(c->bridge, "cni0");
        assert_false(c->is_gateway || c->is_default_gateway || c->force_address || c->ip_masq ||
                     c->hairpin || c->promisc);
        assert_int_equal(c->mtu, 0);
        assert_int_equal(c->link.vlan, 0);
        assert_int_equal(c->link.n_trunks, 0);
        assert_false(c->link.preserve_default_vlan || c->link.mac_spoof_check ||
                     c->link.enable_dad || c->link.no_container_interface ||
                     c->link.port_isolation);
        assert_int_equal(c->ipam, NET_IPAM_NONE);
        assert_true(mac_is_zero(&c->mac) && mac_is_zero(&c->conf_mac));
}

static void test_bridge(void **state) {
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(
                        NET_PLUGIN_BRIDGE,
                        AS("bridge",
                           ",\"bridge\":\"br7\",\"isDefaultGateway\":true,\"forceAddress\":true,\"ipMasq\":true,"
                           "\"ipMasqBackend\":\"nftables\",\"mtu\":1400,\"hairpinMode\":true,\"vlan\":7,"
                           "\"preserveDefaultVlan\":true,\"macspoofchk\":true,\"enabledad\":true,"
                           "\"portIsolation\":true,\"dns\":{\"nameservers\":[\"10.97.0.53\"],\"x\":1},"
                           "\"args\":{\"cni\":{\"mac\":\"02:00:00:00:00:01\"}},\"runtimeConfig\":{\"mac\":"
                           "\"02-00-00-00-00-02\"}" HOST_LOCAL));

        assert_string_equal(c->bridge, "br7");
        assert_true(c->is_gateway && c->is_default_gateway && c->force_address && c->ip_masq &&
                    c->hairpin);
        assert_int_equal(c->mtu, 1400);
        assert_int_equal(c->link.vlan, 7);
        assert_true(c->link.preserve_default_vlan && c->link.mac_spoof_check &&
                    c->link.enable_dad && c->link.port_isolation);
        assert_string_equal(c->dns.nameservers[0], "10.97.0.53");
        assert_string_equal(MAC_STR(&c->mac), "02:00:00:00:00:02");
        assert_int_equal(c->ipam, NET_IPAM_LOCAL);
        assert_int_equal(c->n_sets, 1);
}

/* Whatever a reference plugin does not know may stand there, in any shape, and so may our own keys. */
static void test_unknown_keys(void **state) {
        static const struct {
                NetPlugin plugin;
                const char *keys;
        } table[] = {
                { NET_PLUGIN_LOOPBACK, ",\"ipam\":7,\"mtu\":\"x\"" },
                { NET_PLUGIN_BRIDGE,
                  ",\"kind\":\"x\",\"network\":5,\"isolation\":7,\"allow\":1,\"sysctl\":[],\"snat\":\"x\","
                  "\"shaping\":5,\"ipMasqExclude\":1,\"mac\":\"x\",\"vni\":-1,\"foo\":{\"bar\":[]}" },
                { NET_PLUGIN_BRIDGE,
                  ",\"runtimeConfig\":{\"portMappings\":5,\"ips\":\"x\",\"ipRanges\":7,"
                  "\"bandwidth\":[],\"dns\":1,\"deviceID\":5,\"aliases\":{\"a\":[]},"
                  "\"infinibandGUID\":1,\"cgroupPath\":\"/x\","
                  "\"io.kubernetes.cri.pod-annotations\":{\"a\":\"b\"}}" },
                { NET_PLUGIN_PTP, ",\"bridge\":5,\"vlan\":\"x\"" HOST_LOCAL },
                { NET_PLUGIN_MACVLAN, ",\"isGateway\":5,\"vlanId\":\"x\",\"ipMasq\":1" },
                { NET_PLUGIN_DUMMY, ",\"mtu\":\"x\",\"dns\":5,\"master\":1" HOST_LOCAL },
                { NET_PLUGIN_HOST_DEVICE, ",\"device\":\"eth7\",\"mtu\":\"x\",\"mac\":1" },
                { NET_PLUGIN_IPVLAN, ",\"bcqueuelen\":\"x\",\"mac\":1" HOST_LOCAL },
                /* no type of ipam: the rest of it is not looked at */
                { NET_PLUGIN_BRIDGE, ",\"ipam\":{\"subnet\":5}" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":{\"type\":\"\",\"routes\":5}" },
                { NET_PLUGIN_MACVLAN, ",\"ipam\":null" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text =
                                strf(AS("%s", "%s"), net_plugin_to_string(table[i].plugin),
                                     table[i].keys);

                netconf_free(plugin_ok(table[i].plugin, text));
        }
}

/* null is absence, "" is what Go has in a string that nobody set; of keys in two cases the last counts. */
static void test_go(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = plugin_ok(NET_PLUGIN_BRIDGE,
                      AS("bridge",
                         ",\"BRIDGE\":null,\"bridge\":\"\",\"IsGateway\":null,\"mtu\":null,\"vlanTrunk\":null,"
                         "\"ipMasqBackend\":\"\",\"runtimeConfig\":{\"mac\":\"\"},\"args\":null,\"dns\":{}"));
        assert_string_equal(c->bridge, "cni0");
        d = plugin_ok(NET_PLUGIN_MACVLAN,
                      AS("macvlan",
                         ",\"Master\":\"eth7\",\"mode\":\"\",\"mac\":\"\",\"MTU\":9,\"mtu\":1300,\"master\":\"\","
                         "\"RuntimeConfig\":{\"Mac\":\"0200.0000.0003\"}"));
        assert_string_equal(d->link.master, "");
        assert_int_equal(d->mtu, 1300);
        assert_int_equal(d->link.mode, MACVLAN_MODE_BRIDGE);
        assert_string_equal(MAC_STR(&d->mac), "02:00:00:00:00:03");
}

/* In a bridge without addresses nobody can be a gateway; the reference plugin does not say so. */
static void test_gateway_without_ipam(void **state) {
        _cleanup_(netconf_freep) NetConf *c =
                        plugin_ok(NET_PLUGIN_BRIDGE, AS("bridge", ",\"isDefaultGateway\":true"));

        assert_false(c->is_gateway || c->is_default_gateway);
        parse_bad(BRIDGE(",\"isDefaultGateway\":true"), ERROR_INVALID_ARGUMENT,
                  "isDefaultGateway|ipam");
}

static void test_trunks(void **state) {
        static const struct {
                const char *trunk;
                size_t n;
                NetVlanRange ranges[3];
        } table[] = {
                { "[]", 0, { { 0 } } },
                { "[{}]", 0, { { 0 } } },
                { "[{\"id\":7}]", 1, { { 7, 7 } } },
                { "[{\"minID\":10,\"maxID\":20}]", 1, { { 10, 20 } } },
                { "[{\"minID\":1,\"maxID\":4094}]", 1, { { 1, 4094 } } },
                { "[{\"id\":30},{\"minID\":10,\"maxID\":20,\"id\":25}]",
                  3,
                  { { 10, 20 }, { 25, 25 }, { 30, 30 } } },
                /* overlaps and neighbours come to one */
                { "[{\"minID\":15,\"maxID\":25},{\"minID\":10,\"maxID\":20},{\"id\":26},{\"ID\":9}]",
                  1,
                  { { 9, 26 } } },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = strf(AS("bridge", ",\"vlanTrunk\":%s"), table[i].trunk);
                _cleanup_(netconf_freep) NetConf *c = plugin_ok(NET_PLUGIN_BRIDGE, text);

                assert_int_equal(c->link.n_trunks, table[i].n);
                for (size_t j = 0; j < table[i].n; j++) {
                        assert_int_equal(c->link.trunks[j].first, table[i].ranges[j].first);
                        assert_int_equal(c->link.trunks[j].last, table[i].ranges[j].last);
                }
        }
}

/* n IDs with gaps between them. */
static char *trunk_text(size_t n) {
        char *text = NULL;
        size_t size;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        fputs("{\"name\":\"n\",\"type\":\"bridge\",\"vlanTrunk\":[", f);
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s{\"id\":%zu}", i > 0 ? "," : "", 2 * i + 1);
        fputs("]}", f);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_trunk_limit(void **state) {
        _cleanup_free_ char *good = trunk_text(VLAN_TRUNKS_MAX),
                            *bad = trunk_text(VLAN_TRUNKS_MAX + 1);
        _cleanup_(netconf_freep) NetConf *c = parse_ok(good);

        assert_int_equal(c->link.n_trunks, VLAN_TRUNKS_MAX);
        parse_bad(bad, ERROR_INVALID_ARGUMENT, "vlanTrunk|32");
}

static void test_links(void **state) {
        _cleanup_(netconf_freep) NetConf *ptp = NULL, *macvlan = NULL, *ipvlan = NULL, *vlan = NULL,
                                         *dummy = NULL, *chained = NULL;

        ptp = plugin_ok(NET_PLUGIN_PTP, AS("ptp", ",\"ipMasq\":true,\"mtu\":1400" HOST_LOCAL));
        assert_int_equal(ptp->kind, NET_KIND_PTP);
        assert_true(ptp->ip_masq);
        assert_null(ptp->bridge);

        macvlan = plugin_ok(
                        NET_PLUGIN_MACVLAN,
                        AS("macvlan",
                           ",\"master\":\"eth7\",\"mode\":\"passthru\",\"linkInContainer\":true,"
                           "\"bcqueuelen\":0,\"mac\":\"02:00:00:00:00:01\""));
        assert_int_equal(macvlan->kind, NET_KIND_MACVLAN);
        assert_string_equal(macvlan->link.master, "eth7");
        assert_int_equal(macvlan->link.mode, MACVLAN_MODE_PASSTHRU);
        assert_true(macvlan->link.link_in_container && macvlan->link.has_bcqueuelen);
        assert_string_equal(MAC_STR(&macvlan->conf_mac), "02:00:00:00:00:01");

        ipvlan = plugin_ok(NET_PLUGIN_IPVLAN, AS("ipvlan", ",\"mode\":\"l3s\"" HOST_LOCAL));
        assert_int_equal(ipvlan->link.mode, NET_IPVLAN_L3S);
        assert_false(ipvlan->link.has_bcqueuelen);
        /* addresses of the plugin before */
        chained = plugin_ok(NET_PLUGIN_IPVLAN,
                            AS("ipvlan",
                               ",\"prevResult\":{\"interfaces\":[{\"name\":\"bond0\"}]}"));
        assert_int_equal(chained->link.mode, NET_IPVLAN_L2);
        assert_int_equal(chained->ipam, NET_IPAM_NONE);

        vlan = plugin_ok(NET_PLUGIN_VLAN,
                         AS("vlan", ",\"master\":\"eth7\",\"vlanId\":4094" HOST_LOCAL));
        assert_int_equal(vlan->link.vlan_id, 4094);
        dummy = plugin_ok(NET_PLUGIN_DUMMY, AS("dummy", HOST_LOCAL));
        assert_int_equal(dummy->kind, NET_KIND_DUMMY);
}

static void test_tap(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = plugin_ok(NET_PLUGIN_TAP,
                      AS("tap",
                         ",\"multiQueue\":true,\"mtu\":1400,\"mac\":\"02:00:00:00:00:01\",\"owner\":0,"
                         "\"group\":1000,\"selinuxContext\":\"system_u:system_r:container_t:s0\","
                         "\"bridge\":\"br0\""));
        assert_true(c->link.multi_queue);
        assert_int_equal(c->link.owner, 0);
        assert_int_equal(c->link.group, 1000);
        assert_string_equal(c->link.selinux_context, "system_u:system_r:container_t:s0");
        assert_string_equal(c->link.tap_bridge, "br0");
        assert_null(c->bridge);
        d = plugin_ok(NET_PLUGIN_TAP, AS("tap", ",\"bridge\":\"\",\"selinuxContext\":\"\""));
        assert_true(d->link.owner == UINT32_MAX && d->link.group == UINT32_MAX);
        assert_string_equal(d->link.tap_bridge, "");
}

static void test_host_device(void **state) {
        _cleanup_(netconf_freep) NetConf *name = NULL, *mac = NULL, *path = NULL, *pci = NULL,
                                         *runtime = NULL, *later = NULL;

        name = plugin_ok(NET_PLUGIN_HOST_DEVICE, AS("host-device", ",\"device\":\"eth7\""));
        assert_string_equal(name->device.name, "eth7");
        mac = plugin_ok(NET_PLUGIN_HOST_DEVICE,
                        AS("host-device", ",\"hwaddr\":\"02:00:00:00:00:01\",\"device\":\"\""));
        assert_string_equal(MAC_STR(&mac->device.mac), "02:00:00:00:00:01");
        path = plugin_ok(NET_PLUGIN_HOST_DEVICE,
                         AS("host-device",
                            ",\"kernelpath\":\"/sys/devices/pci0000:00/0000:00:19.0\""));
        assert_string_equal(path->device.kernel_path, "/sys/devices/pci0000:00/0000:00:19.0");
        pci = plugin_ok(NET_PLUGIN_HOST_DEVICE,
                        AS("host-device", ",\"pciBusID\":\"0000:3b:00.1\""));
        assert_string_equal(pci->device.pci_bus_id, "0000:3b:00.1");
        assert_false(pci->device.by_runtime);

        /* the runtime's goes before the configured one, and does not belong to the network */
        runtime = plugin_ok(NET_PLUGIN_HOST_DEVICE,
                            AS("host-device",
                               ",\"pciBusID\":\"0000:3b:00.1\",\"runtimeConfig\":{\"deviceID\":"
                               "\"mlx5_core.sf.2\"}"));
        assert_string_equal(runtime->device.pci_bus_id, "mlx5_core.sf.2");
        assert_true(runtime->device.by_runtime);
        later = plugin_ok(NET_PLUGIN_HOST_DEVICE,
                          AS("host-device", ",\"capabilities\":{\"deviceID\":true}"));
        assert_null(later->device.pci_bus_id);
}

static void test_vxlan(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = parse_ok(KIND(
                        "vxlan",
                        ",\"vni\":16777215,\"port\":8472,\"remote\":\"239.1.1.1\",\"local\":\"192.0.2.1\","
                        "\"ttl\":9,\"learning\":false,\"master\":\"eth7\",\"bridge\":\"br7\""));
        assert_int_equal(c->link.vni, 16777215);
        assert_int_equal(c->link.port, 8472);
        assert_addr(&c->link.remote, "239.1.1.1");
        assert_addr(&c->link.local, "192.0.2.1");
        assert_int_equal(c->link.ttl, 9);
        assert_false(c->link.learning);
        assert_string_equal(c->bridge, "br7");
        d = plugin_ok(NET_PLUGIN_VXLAN, AS("vxlan", ",\"vni\":0,\"whatever\":1"));
        assert_true(d->link.learning);
        assert_null(d->bridge);
}

/* All in one configuration of our own: the keys of the kind, and those of tuning. */
static void test_netmgr(void **state) {
        static const char *const kinds[] = {
                KIND("ptp", HOST_LOCAL ",\"ipMasq\":true,\"isolation\":true,\"egressRate\":8"),
                KIND("macvlan", ",\"master\":\"eth7\",\"mode\":\"vepa\",\"bcqueuelen\":5"),
                KIND("ipvlan", ",\"mode\":\"l3\"" HOST_LOCAL),
                KIND("vlan", ",\"master\":\"eth7\",\"vlanId\":5" HOST_LOCAL),
                KIND("host-device", ",\"device\":\"eth7\",\"mtu\":1400"),
                KIND("tap", ",\"owner\":5,\"bridge\":\"br0\""),
                KIND("dummy", HOST_LOCAL ",\"mtu\":1400,\"dns\":{\"search\":[\"a\"]}"),
                KIND("vxlan", ",\"vni\":5,\"vlan\":3" HOST_LOCAL ",\"isGateway\":true"),
                KIND("bridge",
                     ",\"vlanTrunk\":[{\"id\":5}],\"portIsolation\":true,\"enabledad\":true"),
                KIND("bridge", ",\"disableContainerInterface\":true"),
        };
        _cleanup_(netconf_freep) NetConf *c = NULL;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                netconf_free(parse_ok(kinds[i]));
        c = parse_ok(KIND("macvlan",
                          ",\"mac\":\"02:00:00:00:00:01\",\"txQLen\":0,\"promisc\":true,"
                          "\"allmulti\":false,\"sysctl\":{\"net.core.somaxconn\":\"9\"}"));
        assert_string_equal(MAC_STR(&c->conf_mac), "02:00:00:00:00:01");
        assert_int_equal(c->tuning.tx_queue_len, 0);
        assert_int_equal(c->tuning.promisc, 1);
        assert_int_equal(c->tuning.allmulti, 0);
        assert_int_equal(c->n_sysctls, 1);
}

static void test_choose_mac(void **state) {
        _cleanup_(netconf_freep) NetConf *plain = NULL, *network = NULL, *request = NULL;
        CniArgs none = { 0 }, args = { 0 };
        MacAddr m;

        assert_return_code(cni_args_parse("MAC=02:00:00:00:00:02", &args, NULL), 0);
        plain = parse_ok(BRIDGE(""));
        network = parse_ok(BRIDGE(",\"mac\":\"02:00:00:00:00:01\""));
        request = parse_ok(BRIDGE(",\"args\":{\"cni\":{\"mac\":\"02:00:00:00:00:03\"}}"));
        m = netconf_choose_mac(plain, plain, &none);
        assert_true(mac_is_zero(&m));
        m = netconf_choose_mac(network, plain, &none);
        assert_string_equal(MAC_STR(&m), "02:00:00:00:00:01");
        m = netconf_choose_mac(network, plain, &args);
        assert_string_equal(MAC_STR(&m), "02:00:00:00:00:02");
        m = netconf_choose_mac(network, request, &args);
        assert_string_equal(MAC_STR(&m), "02:00:00:00:00:03");
        cni_args_clear(&args);
}

/* ---- what is refused -------------------------------------------------------------------------- */

#define BAD_MAC(s)                                                                                 \
        { NET_PLUGIN_MACVLAN, ",\"mac\":" s, ERROR_INVALID_ARGUMENT, "mac|" s }

static void test_bad_values(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_BRIDGE, ",\"bridge\":5", ERROR_INVALID_ARGUMENT, "bridge|5" },
                { NET_PLUGIN_BRIDGE, ",\"bridge\":\"a/b\"", ERROR_INVALID_ARGUMENT, "bridge|a/b" },
                { NET_PLUGIN_BRIDGE, ",\"isGateway\":\"true\"", ERROR_INVALID_ARGUMENT,
                  "isGateway|true" },
                { NET_PLUGIN_BRIDGE, ",\"isDefaultGateway\":1", ERROR_INVALID_ARGUMENT,
                  "isDefaultGateway|1" },
                { NET_PLUGIN_BRIDGE, ",\"forceAddress\":[]", ERROR_INVALID_ARGUMENT,
                  "forceAddress|[]" },
                { NET_PLUGIN_BRIDGE, ",\"ipMasq\":\"yes\"", ERROR_INVALID_ARGUMENT, "ipMasq|yes" },
                { NET_PLUGIN_BRIDGE, ",\"ipMasqBackend\":\"ipfw\"", ERROR_INVALID_ARGUMENT,
                  "ipMasqBackend|ipfw" },
                { NET_PLUGIN_BRIDGE, ",\"mtu\":\"1500\"", ERROR_INVALID_ARGUMENT, "mtu|1500" },
                { NET_PLUGIN_BRIDGE, ",\"mtu\":-5", ERROR_INVALID_ARGUMENT, "mtu|-5" },
                { NET_PLUGIN_BRIDGE, ",\"mtu\":1500.5", ERROR_INVALID_ARGUMENT, "mtu|1500.5" },
                { NET_PLUGIN_BRIDGE, ",\"mtu\":70000", ERROR_INVALID_ARGUMENT, "mtu|70000" },
                { NET_PLUGIN_BRIDGE, ",\"hairpinMode\":{}", ERROR_INVALID_ARGUMENT,
                  "hairpinMode|{}" },
                { NET_PLUGIN_BRIDGE, ",\"promiscMode\":0", ERROR_INVALID_ARGUMENT,
                  "promiscMode|0" },
                { NET_PLUGIN_BRIDGE, ",\"vlan\":4095", ERROR_INVALID_ARGUMENT, "vlan|4095|4094" },
                { NET_PLUGIN_BRIDGE, ",\"vlan\":-1", ERROR_INVALID_ARGUMENT, "vlan|-1" },
                { NET_PLUGIN_BRIDGE, ",\"vlan\":\"7\"", ERROR_INVALID_ARGUMENT, "vlan|\"7\"" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":{\"id\":7}", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk|id" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[7]", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk[0]|7" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[null]", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk[0]" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"id\":0}]", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk[0].id|0" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"id\":4095}]", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk[0].id|4095" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"minID\":9,\"maxID\":8}]",
                  ERROR_INVALID_ARGUMENT, "vlanTrunk[0]|minID 9|maxID 8" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"minID\":9}]", ERROR_INVALID_ARGUMENT,
                  "vlanTrunk[0]|minID without maxID" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"id\":1},{\"maxID\":9}]",
                  ERROR_INVALID_ARGUMENT, "vlanTrunk[1]|maxID without minID" },
                { NET_PLUGIN_BRIDGE, ",\"vlanTrunk\":[{\"minID\":1,\"maxID\":5000}]",
                  ERROR_INVALID_ARGUMENT, "vlanTrunk[0].maxID|5000" },
                { NET_PLUGIN_BRIDGE, ",\"preserveDefaultVlan\":\"x\"", ERROR_INVALID_ARGUMENT,
                  "preserveDefaultVlan|x" },
                { NET_PLUGIN_BRIDGE, ",\"macspoofchk\":\"x\"", ERROR_INVALID_ARGUMENT,
                  "macspoofchk|x" },
                { NET_PLUGIN_BRIDGE, ",\"portIsolation\":1", ERROR_INVALID_ARGUMENT,
                  "portIsolation|1" },
                { NET_PLUGIN_BRIDGE, ",\"enabledad\":1", ERROR_INVALID_ARGUMENT, "enabledad|1" },
                { NET_PLUGIN_BRIDGE, ",\"disableContainerInterface\":1", ERROR_INVALID_ARGUMENT,
                  "disableContainerInterface|1" },
                { NET_PLUGIN_BRIDGE, ",\"dns\":[]", ERROR_INVALID_ARGUMENT, "dns|[]" },
                { NET_PLUGIN_BRIDGE, ",\"dns\":{\"search\":[5]}", ERROR_INVALID_ARGUMENT,
                  "dns.search[0]|5" },
                { NET_PLUGIN_BRIDGE, ",\"dns\":{\"options\":[\"a\\nb\"]}", ERROR_INVALID_ARGUMENT,
                  "dns.options[0]" },
                { NET_PLUGIN_BRIDGE, ",\"args\":5", ERROR_INVALID_ARGUMENT, "args|5" },
                { NET_PLUGIN_BRIDGE, ",\"args\":{\"cni\":[]}", ERROR_INVALID_ARGUMENT,
                  "args.cni|[]" },
                { NET_PLUGIN_BRIDGE, ",\"args\":{\"cni\":{\"mac\":\"x\"}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.mac|x" },
                { NET_PLUGIN_BRIDGE, ",\"runtimeConfig\":5", ERROR_INVALID_ARGUMENT,
                  "runtimeConfig|5" },
                { NET_PLUGIN_BRIDGE, ",\"runtimeConfig\":{\"mac\":5}", ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.mac|5" },
                { NET_PLUGIN_BRIDGE, ",\"prevResult\":5", ERROR_INVALID_ARGUMENT, "prevResult|5" },
                BAD_MAC("\"02:00:00:00:00\""),
                BAD_MAC("\"02:00:00:00:00:0g\""),
                BAD_MAC("\"01:00:00:00:00:01\""),
                BAD_MAC("\"00:00:00:00:00:00\""),
                BAD_MAC("\"02:00-00:00-00:00\""),
                BAD_MAC("\"0200.0000-0003\""),
                BAD_MAC("5"),
                { NET_PLUGIN_MACVLAN, ",\"master\":\"with space\"", ERROR_INVALID_ARGUMENT,
                  "master|with space" },
                { NET_PLUGIN_MACVLAN, ",\"master\":[]", ERROR_INVALID_ARGUMENT, "master|[]" },
                { NET_PLUGIN_MACVLAN, ",\"mode\":\"source\"", ERROR_INVALID_ARGUMENT,
                  "mode|source|passthru" },
                { NET_PLUGIN_MACVLAN, ",\"mode\":1", ERROR_INVALID_ARGUMENT, "mode|1" },
                { NET_PLUGIN_MACVLAN, ",\"linkInContainer\":1", ERROR_INVALID_ARGUMENT,
                  "linkInContainer|1" },
                { NET_PLUGIN_MACVLAN, ",\"bcqueuelen\":-1", ERROR_INVALID_ARGUMENT,
                  "bcqueuelen|-1" },
                { NET_PLUGIN_IPVLAN, ",\"mode\":\"l4\"" HOST_LOCAL, ERROR_INVALID_ARGUMENT,
                  "mode|l4|l3s" },
                { NET_PLUGIN_VLAN, ",\"master\":\"e\",\"vlanId\":4095" HOST_LOCAL,
                  ERROR_INVALID_ARGUMENT, "vlanId|4095" },
                { NET_PLUGIN_VLAN, ",\"master\":\"e\",\"vlanId\":\"5\"" HOST_LOCAL,
                  ERROR_INVALID_ARGUMENT, "vlanId|5" },
                { NET_PLUGIN_TAP, ",\"multiQueue\":1", ERROR_INVALID_ARGUMENT, "multiQueue|1" },
                { NET_PLUGIN_TAP, ",\"owner\":-1", ERROR_INVALID_ARGUMENT, "owner|-1" },
                { NET_PLUGIN_TAP, ",\"owner\":4294967295", ERROR_INVALID_ARGUMENT,
                  "owner|4294967295" },
                { NET_PLUGIN_TAP, ",\"group\":\"root\"", ERROR_INVALID_ARGUMENT, "group|root" },
                { NET_PLUGIN_TAP, ",\"selinuxContext\":\"a b\"", ERROR_INVALID_ARGUMENT,
                  "selinuxContext|a b" },
                { NET_PLUGIN_TAP, ",\"selinuxContext\":5", ERROR_INVALID_ARGUMENT,
                  "selinuxContext|5" },
                { NET_PLUGIN_TAP, ",\"bridge\":\"a/b\"", ERROR_INVALID_ARGUMENT, "bridge|a/b" },
                { NET_PLUGIN_HOST_DEVICE, ",\"device\":\"..\"", ERROR_INVALID_ARGUMENT,
                  "device|.." },
                { NET_PLUGIN_HOST_DEVICE, ",\"hwaddr\":\"x\"", ERROR_INVALID_ARGUMENT, "hwaddr|x" },
                { NET_PLUGIN_HOST_DEVICE, ",\"kernelpath\":\"/sys/class/net/eth0\"",
                  ERROR_INVALID_ARGUMENT, "kernelpath|/sys/class" },
                { NET_PLUGIN_HOST_DEVICE, ",\"kernelpath\":\"/sys/devices/../class\"",
                  ERROR_INVALID_ARGUMENT, "kernelpath|/../" },
                { NET_PLUGIN_HOST_DEVICE, ",\"kernelpath\":\"/sys/devices/x/..\"",
                  ERROR_INVALID_ARGUMENT, "kernelpath|/.." },
                { NET_PLUGIN_HOST_DEVICE, ",\"pciBusID\":\"../net\"", ERROR_INVALID_ARGUMENT,
                  "pciBusID|../net" },
                { NET_PLUGIN_HOST_DEVICE, ",\"runtimeConfig\":{\"deviceID\":\"a/b\"}",
                  ERROR_INVALID_ARGUMENT, "runtimeConfig.deviceID|a/b" },
                { NET_PLUGIN_VXLAN, ",\"vni\":16777216", ERROR_INVALID_ARGUMENT, "vni|16777216" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"port\":65536", ERROR_INVALID_ARGUMENT,
                  "port|65536" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"ttl\":256", ERROR_INVALID_ARGUMENT, "ttl|256" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"remote\":\"x\"", ERROR_INVALID_ARGUMENT,
                  "remote|x" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"learning\":1", ERROR_INVALID_ARGUMENT,
                  "learning|1" },
        };

        plugins_bad(table, ELEMENTSOF(table));
}

static void test_bad_pairs(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_BRIDGE, ",\"hairpinMode\":true,\"promiscMode\":true",
                  ERROR_INVALID_ARGUMENT, "hairpinMode|promiscMode" },
                { NET_PLUGIN_BRIDGE, ",\"vlan\":7,\"vlanTrunk\":[{\"id\":8}]",
                  ERROR_INVALID_ARGUMENT, "\"vlan\": 7|vlanTrunk" },
                { NET_PLUGIN_BRIDGE, ",\"disableContainerInterface\":true" HOST_LOCAL,
                  ERROR_INVALID_ARGUMENT, "disableContainerInterface|ipam" },
                { NET_PLUGIN_BRIDGE,
                  ",\"mtu\":1279,\"ipam\":{\"type\":\"host-local\",\"subnet\":\"fd97::/64\"}",
                  ERROR_INVALID_ARGUMENT, "mtu|1279|1280" },
                { NET_PLUGIN_PTP, "", ERROR_INVALID_ARGUMENT, "ipam|ptp" },
                { NET_PLUGIN_PTP, ",\"ipam\":{}", ERROR_INVALID_ARGUMENT, "ipam|ptp" },
                { NET_PLUGIN_IPVLAN, "", ERROR_INVALID_ARGUMENT, "ipam|ipvlan" },
                { NET_PLUGIN_VLAN, HOST_LOCAL, ERROR_INVALID_ARGUMENT, "master|vlan" },
                { NET_PLUGIN_VLAN, ",\"master\":\"e\",\"vlanId\":5", ERROR_INVALID_ARGUMENT,
                  "ipam|vlan" },
                { NET_PLUGIN_DUMMY, "", ERROR_INVALID_ARGUMENT, "ipam|dummy" },
                { NET_PLUGIN_HOST_DEVICE, "", ERROR_INVALID_ARGUMENT,
                  "none|device|hwaddr|kernelpath|pciBusID" },
                { NET_PLUGIN_HOST_DEVICE, ",\"device\":\"e\",\"hwaddr\":\"02:00:00:00:00:01\"",
                  ERROR_INVALID_ARGUMENT, "several|device|hwaddr" },
                { NET_PLUGIN_HOST_DEVICE,
                  ",\"device\":\"e\",\"runtimeConfig\":{\"deviceID\":\"0000:3b:00.1\"}",
                  ERROR_INVALID_ARGUMENT, "several|deviceID" },
                { NET_PLUGIN_VXLAN, "", ERROR_INVALID_ARGUMENT, "vni" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"remote\":\"fd00::1\",\"local\":\"192.0.2.1\"",
                  ERROR_INVALID_ARGUMENT, "remote|fd00::1|local|192.0.2.1" },
                { NET_PLUGIN_VXLAN, ",\"vni\":1,\"local\":\"239.0.0.1\"", ERROR_INVALID_ARGUMENT,
                  "local|239.0.0.1" },
        };

        plugins_bad(table, ELEMENTSOF(table));
        parse_bad(KIND("vlan", ",\"master\":\"e\"" HOST_LOCAL), ERROR_INVALID_ARGUMENT, "vlanId");
        netconf_free(plugin_ok(NET_PLUGIN_VLAN, AS("vlan", ",\"master\":\"e\"" HOST_LOCAL)));
}

/* Type netmgr refuses the keys of other kinds, and says whose they are. */
static void test_bad_kinds(void **state) {
        static const struct {
                const char *text, *words;
        } table[] = {
                { KIND("bridge", ",\"master\":\"e\""), "master|macvlan, ipvlan, vlan and vxlan" },
                { KIND("macvlan", ",\"isGateway\":true"), "isGateway|bridge and vxlan" },
                { KIND("macvlan", ",\"bridge\":\"b\""), "bridge|macvlan|bridge, tap and vxlan" },
                { KIND("macvlan", ",\"ipMasq\":true"), "ipMasq|routed, bridge, ptp and vxlan" },
                { KIND("ipvlan", ",\"mac\":\"02:00:00:00:00:01\"" HOST_LOCAL), "mac|ipvlan" },
                { KIND("ipvlan", ",\"bcqueuelen\":1" HOST_LOCAL), "bcqueuelen|kind macvlan" },
                { KIND("tap", ",\"vlanId\":1"), "vlanId|kind vlan" },
                { KIND("dummy", ",\"device\":\"e\"" HOST_LOCAL), "device|kind host-device" },
                { KIND("ptp", ",\"vlan\":1" HOST_LOCAL), "vlan|bridge and vxlan" },
                { KIND("bridge", ",\"vni\":1"), "vni|kind vxlan" },
                { KIND("bridge", ",\"owner\":1"), "owner|kind tap" },
                { KIND("loopback", ",\"promisc\":true"), "promisc|loopback" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                parse_bad(table[i].text, ERROR_UNKNOWN_OPTION, table[i].words);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bridge_defaults),
                cmocka_unit_test(test_bridge),
                cmocka_unit_test(test_unknown_keys),
                cmocka_unit_test(test_go),
                cmocka_unit_test(test_gateway_without_ipam),
                cmocka_unit_test(test_trunks),
                cmocka_unit_test(test_trunk_limit),
                cmocka_unit_test(test_links),
                cmocka_unit_test(test_tap),
                cmocka_unit_test(test_host_device),
                cmocka_unit_test(test_vxlan),
                cmocka_unit_test(test_netmgr),
                cmocka_unit_test(test_choose_mac),
                cmocka_unit_test(test_bad_values),
                cmocka_unit_test(test_bad_pairs),
                cmocka_unit_test(test_bad_kinds),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
