/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plugins that change what others have made: portmap, bandwidth, firewall, tuning, sbr, vrf. */

#include <netinet/in.h>

#include "base/limits.h"
#include "base/parse.h"
#include "netconf-test.h"

/* ---- portmap ---------------------------------------------------------------------------------- */

static void test_portmap(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL, *f = NULL;

        c = plugin_ok(NET_PLUGIN_PORTMAP,
                      AS("portmap", ",\"unknown\":[],\"ipam\":5,\"mtu\":\"x\""));
        assert_int_equal(c->kind, NET_KIND_FOREIGN);
        assert_true(c->snat);
        assert_false(c->masq_all);
        assert_int_equal(c->n_ports, 0);
        d = plugin_ok(NET_PLUGIN_PORTMAP,
                      AS("portmap",
                         ",\"backend\":\"iptables\",\"snat\":false,\"masqAll\":true,\"markMasqBit\":0,"
                         "\"conditionsV4\":[\"!\",\"-d\",\"192.0.2.0/24\"],\"conditionsV6\":[\"ip6 daddr "
                         "fd00::/8\"],\"runtimeConfig\":{\"portMappings\":[{\"HostPort\":8080,\"ContainerPort\":"
                         "80,\"Protocol\":\"TCP\",\"HostIP\":\"\"},{\"hostPort\":53,\"containerPort\":53,"
                         "\"protocol\":\"udp\",\"hostIP\":\"192.0.2.1\"}],\"bandwidth\":5,\"mac\":7}"));
        assert_false(d->snat);
        assert_true(d->masq_all);
        assert_int_equal(d->n_conditions4, 1);
        assert_true(d->conditions4[0].negate);
        assert_int_equal(d->n_conditions6, 1);
        assert_int_equal(d->n_ports, 2);
        assert_int_equal(d->ports[1].protocol, IPPROTO_UDP);
        assert_addr(&d->ports[1].host, "192.0.2.1");
        /* the chain of iptables that others mark packets in has no part here */
        f = plugin_ok(NET_PLUGIN_PORTMAP,
                      AS("portmap",
                         ",\"externalSetMarkChain\":\"KUBE-MARK-MASQ\",\"backend\":\"\""));
        assert_true(f->snat);
}

static void test_portmap_bad(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_PORTMAP, ",\"backend\":\"ipvs\"", ERROR_INVALID_ARGUMENT,
                  "backend|ipvs" },
                { NET_PLUGIN_PORTMAP, ",\"backend\":1", ERROR_INVALID_ARGUMENT, "backend|1" },
                { NET_PLUGIN_PORTMAP, ",\"snat\":\"x\"", ERROR_INVALID_ARGUMENT, "snat|x" },
                { NET_PLUGIN_PORTMAP, ",\"masqAll\":1", ERROR_INVALID_ARGUMENT, "masqAll|1" },
                { NET_PLUGIN_PORTMAP, ",\"markMasqBit\":32", ERROR_INVALID_ARGUMENT,
                  "markMasqBit|32" },
                { NET_PLUGIN_PORTMAP, ",\"markMasqBit\":-1", ERROR_INVALID_ARGUMENT,
                  "markMasqBit|-1" },
                { NET_PLUGIN_PORTMAP, ",\"markMasqBit\":5,\"externalSetMarkChain\":\"X\"",
                  ERROR_INVALID_ARGUMENT, "markMasqBit|5|externalSetMarkChain|X" },
                { NET_PLUGIN_PORTMAP, ",\"externalSetMarkChain\":5", ERROR_INVALID_ARGUMENT,
                  "externalSetMarkChain|5" },
                { NET_PLUGIN_PORTMAP, ",\"conditionsV4\":\"-s 10.0.0.0/8\"", ERROR_INVALID_ARGUMENT,
                  "conditionsV4" },
                { NET_PLUGIN_PORTMAP, ",\"conditionsV4\":[\"-m\",\"owner\"]", ERROR_NOT_SUPPORTED,
                  "conditionsV4|-m" },
                { NET_PLUGIN_PORTMAP, ",\"conditionsV6\":[\"-s\",\"10.0.0.0/8\"]",
                  ERROR_INVALID_ARGUMENT, "conditionsV6|10.0.0.0/8" },
                { NET_PLUGIN_PORTMAP, ",\"runtimeConfig\":{\"portMappings\":5}",
                  ERROR_INVALID_ARGUMENT, "runtimeConfig.portMappings|5" },
                { NET_PLUGIN_PORTMAP,
                  ",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":80,\"containerPort\":65536}]}",
                  ERROR_INVALID_ARGUMENT, "portMappings[0].containerPort|65536" },
                { NET_PLUGIN_PORTMAP,
                  ",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":80,\"containerPort\":0}]}",
                  ERROR_INVALID_ARGUMENT, "portMappings[0].containerPort" },
                { NET_PLUGIN_PORTMAP,
                  ",\"runtimeConfig\":{\"portMappings\":[{\"hostPort\":0,\"containerPort\":80}]}",
                  ERROR_INVALID_ARGUMENT, "portMappings[0].hostPort" },
                { NET_PLUGIN_PORTMAP, ",\"prevResult\":[]", ERROR_INVALID_ARGUMENT, "prevResult" },
        };

        plugins_bad(table, ELEMENTSOF(table));
}

/* ---- bandwidth -------------------------------------------------------------------------------- */

static void test_bandwidth(void **state) {
        _cleanup_(netconf_freep) NetConf *own = NULL, *runtime = NULL, *zero = NULL, *big = NULL;

        /* what the configuration says counts to the bit, and alone */
        own = plugin_ok(NET_PLUGIN_BANDWIDTH,
                        AS("bandwidth",
                           ",\"ingressRate\":16,\"ingressBurst\":4294967295,\"runtimeConfig\":"
                           "{\"bandwidth\":{\"egressRate\":8,\"egressBurst\":8}}"));
        assert_int_equal(own->bandwidth.ingress_rate, 16);
        assert_int_equal(own->bandwidth.ingress_burst, 4294967295);
        assert_int_equal(own->bandwidth.egress_rate + own->runtime_bandwidth.egress_rate, 0);
        zero = plugin_ok(NET_PLUGIN_BANDWIDTH,
                         AS("bandwidth", ",\"ingressRate\":0,\"runtimeConfig\":{\"bandwidth\":"
                                         "{\"egressRate\":8,\"egressBurst\":8}}"));
        assert_int_equal(zero->runtime_bandwidth.egress_rate, 0);

        /* containerd's words, and the burst that it sends where nobody asked for one */
        runtime = plugin_ok(
                        NET_PLUGIN_BANDWIDTH,
                        AS("bandwidth",
                           ",\"runtimeConfig\":{\"bandwidth\":{\"IngressRate\":1000000,\"IngressBurst\":"
                           "4294967295,\"EgressRate\":2000000,\"EgressBurst\":9000000}}"));
        assert_int_equal(runtime->runtime_bandwidth.ingress_rate, 1000000);
        assert_int_equal(runtime->runtime_bandwidth.ingress_burst, 0);
        assert_int_equal(runtime->runtime_bandwidth.egress_burst, 9000000);
        big = plugin_ok(NET_PLUGIN_BANDWIDTH,
                        AS("bandwidth", ",\"egressRate\":8,\"egressBurst\":34359738359"));
        assert_int_equal(big->bandwidth.egress_burst, 34359738359);
}

static void test_bandwidth_bad(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_BANDWIDTH, ",\"ingressRate\":8", ERROR_INVALID_ARGUMENT,
                  "ingressRate|8|ingressBurst" },
                { NET_PLUGIN_BANDWIDTH, ",\"ingressBurst\":8", ERROR_INVALID_ARGUMENT,
                  "ingressBurst|ingressRate" },
                { NET_PLUGIN_BANDWIDTH, ",\"egressRate\":8,\"egressBurst\":0",
                  ERROR_INVALID_ARGUMENT, "egressRate|8|egressBurst" },
                { NET_PLUGIN_BANDWIDTH, ",\"egressRate\":8,\"egressBurst\":34359738360",
                  ERROR_INVALID_ARGUMENT, "egressBurst|34359738360" },
                { NET_PLUGIN_BANDWIDTH, ",\"egressRate\":\"8\"", ERROR_INVALID_ARGUMENT,
                  "egressRate|\"8\"" },
                { NET_PLUGIN_BANDWIDTH, ",\"egressRate\":-8", ERROR_INVALID_ARGUMENT,
                  "egressRate|-8" },
                { NET_PLUGIN_BANDWIDTH, ",\"ingressBurst\":8.5", ERROR_INVALID_ARGUMENT,
                  "ingressBurst|8.5" },
                { NET_PLUGIN_BANDWIDTH, ",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":8}}",
                  ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.bandwidth.ingressRate|8|runtimeConfig.bandwidth.ingressBurst" },
                { NET_PLUGIN_BANDWIDTH, ",\"runtimeConfig\":{\"bandwidth\":[]}",
                  ERROR_INVALID_ARGUMENT, "runtimeConfig.bandwidth|[]" },
                { NET_PLUGIN_BANDWIDTH, ",\"runtimeConfig\":5", ERROR_INVALID_ARGUMENT,
                  "runtimeConfig|5" },
        };

        plugins_bad(table, ELEMENTSOF(table));
}

/* ---- firewall --------------------------------------------------------------------------------- */

static void test_firewall(void **state) {
        static const struct {
                const char *text;
                NetIngressPolicy policy;
        } table[] = {
                { AS("firewall", ""), NET_INGRESS_OPEN },
                { AS("firewall", ",\"ingressPolicy\":\"\""), NET_INGRESS_OPEN },
                { AS("firewall", ",\"ingressPolicy\":\"open\",\"backend\":\"firewalld\""),
                  NET_INGRESS_OPEN },
                { AS("firewall",
                     ",\"IngressPolicy\":\"same-bridge\",\"iptablesAdminChainName\":\"X\""),
                  NET_INGRESS_SAME_BRIDGE },
                { AS("firewall", ",\"ingressPolicy\":\"isolated\",\"backend\":\"iptables\","
                                 "\"firewalldZone\":\"trusted\",\"x\":1"),
                  NET_INGRESS_ISOLATED },
                { AS("firewall", ",\"backend\":\"\""), NET_INGRESS_OPEN },
        };
        static const BadKeys bad[] = {
                { NET_PLUGIN_FIREWALL, ",\"ingressPolicy\":\"closed\"", ERROR_INVALID_ARGUMENT,
                  "ingressPolicy|closed|same-bridge" },
                { NET_PLUGIN_FIREWALL, ",\"ingressPolicy\":1", ERROR_INVALID_ARGUMENT,
                  "ingressPolicy|1" },
                { NET_PLUGIN_FIREWALL, ",\"backend\":\"ufw\"", ERROR_INVALID_ARGUMENT,
                  "backend|ufw" },
                { NET_PLUGIN_FIREWALL, ",\"backend\":[]", ERROR_INVALID_ARGUMENT, "backend|[]" },
                { NET_PLUGIN_FIREWALL, ",\"iptablesAdminChainName\":1", ERROR_INVALID_ARGUMENT,
                  "iptablesAdminChainName|1" },
                { NET_PLUGIN_FIREWALL, ",\"firewalldZone\":1", ERROR_INVALID_ARGUMENT,
                  "firewalldZone|1" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(netconf_freep) NetConf *c = plugin_ok(NET_PLUGIN_FIREWALL, table[i].text);

                assert_int_equal(c->ingress_policy, table[i].policy);
        }
        plugins_bad(bad, ELEMENTSOF(bad));
}

/* ---- tuning ----------------------------------------------------------------------------------- */

static const char *sysctl_of(const NetConf *c, const char *name) {
        for (size_t i = 0; i < c->n_sysctls; i++)
                if (streq(c->sysctls[i].name, name))
                        return c->sysctls[i].value;
        return NULL;
}

static void test_tuning(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = plugin_ok(NET_PLUGIN_TUNING, AS("tuning", ",\"ipam\":5"));
        assert_true(mac_is_zero(&c->tuning.mac));
        assert_int_equal(c->tuning.mtu, 0);
        assert_true(c->tuning.promisc == -1 && c->tuning.allmulti == -1 &&
                    c->tuning.tx_queue_len == -1);
        d = plugin_ok(NET_PLUGIN_TUNING,
                      AS("tuning",
                         ",\"dataDir\":\"/run/x\",\"mac\":\"02:00:00:00:00:01\",\"mtu\":1400,\"promisc\":true,"
                         "\"allmulti\":false,\"txQLen\":0,\"sysctl\":{\"net.core.somaxconn\":\"500\","
                         "\"net/ipv4/conf/IFNAME/arp_filter\":\"1\",\"net.ipv4/conf/all.log_martians\":\"1\"}"));
        assert_string_equal(MAC_STR(&d->tuning.mac), "02:00:00:00:00:01");
        assert_int_equal(d->tuning.mtu, 1400);
        assert_int_equal(d->tuning.promisc, 1);
        assert_int_equal(d->tuning.allmulti, 0);
        assert_int_equal(d->tuning.tx_queue_len, 0);
        assert_int_equal(d->n_sysctls, 3);
        assert_string_equal(sysctl_of(d, "net/core/somaxconn"), "500");
        assert_string_equal(sysctl_of(d, "net/ipv4/conf/IFNAME/arp_filter"), "1");
        assert_string_equal(sysctl_of(d, "net/ipv4/conf/all/log_martians"), "1");
}

/* args.cni goes before the configuration, also where that has no sysctl of its own. */
static void test_tuning_args(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;

        c = plugin_ok(NET_PLUGIN_TUNING,
                      AS("tuning",
                         ",\"mtu\":1400,\"promisc\":true,\"allmulti\":false,\"txQLen\":5,\"sysctl\":{"
                         "\"net.core.somaxconn\":\"500\",\"net.ipv4.ip_forward\":\"0\"},\"args\":{\"cni\":{"
                         "\"mtu\":1300,\"promisc\":false,\"allmulti\":true,\"txQLen\":6,\"sysctl\":{"
                         "\"net/core/somaxconn\":\"9\",\"net.core.aaa\":\"7\"}}}"));
        assert_int_equal(c->tuning.mtu, 1300);
        assert_int_equal(c->tuning.promisc, 0);
        assert_int_equal(c->tuning.allmulti, 1);
        assert_int_equal(c->tuning.tx_queue_len, 6);
        assert_int_equal(c->n_sysctls, 3);
        assert_string_equal(sysctl_of(c, "net/core/somaxconn"), "9");
        assert_string_equal(sysctl_of(c, "net/ipv4/ip_forward"), "0");
        assert_string_equal(c->sysctls[0].name, "net/core/aaa"); /* in order all the same */
        d = plugin_ok(NET_PLUGIN_TUNING,
                      AS("tuning",
                         ",\"args\":{\"cni\":{\"sysctl\":{\"net.core.somaxconn\":\"9\"}}}"));
        assert_int_equal(d->n_sysctls, 1);
}

/* Of type netmgr they belong to one attachment: the network keeps its own. */
static void test_netmgr_args(void **state) {
        _cleanup_(netconf_freep) NetConf *net = NULL, *call = NULL, *plain = NULL;
        NetSysctl *list = NULL;
        size_t n = 0;
        NetTuning t;

        net = parse_ok(BRIDGE(",\"promisc\":true,\"txQLen\":5,\"sysctl\":{\"net.core.b\":\"1\","
                              "\"net.core.c\":\"1\"}"));
        call = parse_ok(CONF(
                        ",\"network\":\"lab\",\"args\":{\"cni\":{\"promisc\":false,\"mtu\":1300,\"sysctl\":"
                        "{\"net/core/c\":\"2\",\"net.core.a\":\"2\"}}}"));
        plain = parse_ok(CONF(",\"network\":\"lab\""));
        assert_true(call->hash == plain->hash);
        t = netconf_choose_tuning(net, call);
        assert_int_equal(t.promisc, 0);
        assert_int_equal(t.mtu, 1300);
        assert_int_equal(t.tx_queue_len, 5);
        assert_int_equal(t.allmulti, -1);
        assert_return_code(netconf_choose_sysctls(net, call, &list, &n, NULL), 0);
        assert_int_equal(n, 3);
        assert_string_equal(list[0].name, "net/core/a");
        assert_string_equal(list[1].value, "1");
        assert_string_equal(list[2].value, "2");
        net_sysctls_free(list, n);
        assert_return_code(netconf_choose_sysctls(net, plain, &list, &n, NULL), 0);
        assert_int_equal(n, 2);
        assert_string_equal(list[1].value, "1");
        net_sysctls_free(list, n);
        parse_bad(CONF(",\"network\":\"lab\",\"args\":{\"cni\":{\"sysctl\":{\"kernel.x\":\"1\"}}}"),
                  ERROR_INVALID_ARGUMENT, "args.cni.sysctl.kernel.x");
}

/* CNI_ARGS, runtimeConfig, args.cni: of tuning the last of these wins. */
static void test_tuning_mac(void **state) {
        static const struct {
                const char *keys, *args, *mac;
        } table[] = {
                { ",\"mac\":\"02:00:00:00:00:01\"", "", "02:00:00:00:00:01" },
                { ",\"mac\":\"02:00:00:00:00:01\"", "MAC=02:00:00:00:00:02", "02:00:00:00:00:02" },
                { ",\"mac\":\"02:00:00:00:00:01\",\"runtimeConfig\":{\"mac\":\"02:00:00:00:00:03\"}",
                  "MAC=02:00:00:00:00:02", "02:00:00:00:00:03" },
                { ",\"runtimeConfig\":{\"mac\":\"02:00:00:00:00:03\"},\"args\":{\"cni\":{\"mac\":"
                  "\"02:00:00:00:00:04\"}}",
                  "MAC=02:00:00:00:00:02", "02:00:00:00:00:04" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = strf(AS("tuning", "%s"), table[i].keys);
                _cleanup_(netconf_freep) NetConf *c = plugin_ok(NET_PLUGIN_TUNING, text);
                CniArgs args;
                MacAddr m;

                assert_return_code(cni_args_parse(table[i].args, &args, NULL), 0);
                m = netconf_choose_mac(c, c, &args);
                assert_string_equal(MAC_STR(&m), table[i].mac);
                cni_args_clear(&args);
        }
}

#define BAD_SYSCTL(entries, words)                                                                 \
        { NET_PLUGIN_TUNING, ",\"sysctl\":{" entries "}", ERROR_INVALID_ARGUMENT, words }

static void test_tuning_bad(void **state) {
        static const BadKeys table[] = {
                { NET_PLUGIN_TUNING, ",\"sysctl\":[]", ERROR_INVALID_ARGUMENT, "sysctl|[]" },
                BAD_SYSCTL("\"net.core.somaxconn\":500", "sysctl.net.core.somaxconn|500"),
                BAD_SYSCTL("\"net.core.somaxconn\":\"\"", "sysctl.net.core.somaxconn"),
                BAD_SYSCTL("\"net.core.somaxconn\":\"1\\n2\"", "sysctl.net.core.somaxconn"),
                BAD_SYSCTL("\"kernel.hostname\":\"x\"", "sysctl.kernel.hostname|net"),
                BAD_SYSCTL("\"net\":\"x\"", "sysctl.net|below net"),
                BAD_SYSCTL("\"net/../kernel/hostname\":\"x\"", "sysctl.net/../kernel/hostname"),
                BAD_SYSCTL("\"net/core/..\":\"x\"", "sysctl.net/core/.."),
                BAD_SYSCTL("\"net/./core\":\"x\"", "sysctl.net/./core"),
                BAD_SYSCTL("\"/net/core/x\":\"x\"", "sysctl./net/core/x"),
                BAD_SYSCTL("\"net..core\":\"x\"", "sysctl.net..core"),
                BAD_SYSCTL("\"net.../kernel/hostname\":\"x\"", "sysctl.net.../kernel"),
                BAD_SYSCTL("\"net.core.a b\":\"x\"", "sysctl.net.core.a b"),
                BAD_SYSCTL("\"net.ipv4.conf.IFNAME.IFNAME\":\"1\"", "IFNAME|twice"),
                /* twice: as it stands, and by two spellings */
                BAD_SYSCTL("\"net.core.somaxconn\":\"1\",\"net.core.somaxconn\":\"2\"",
                           "sysctl.net.core.somaxconn|twice"),
                BAD_SYSCTL("\"net.core.somaxconn\":\"1\",\"net/core/somaxconn\":\"2\"",
                           "net/core/somaxconn|twice"),
                BAD_SYSCTL("\"net.core.a\":\"\\\"\",\"net.core.b\":\"{[\",\"net.core.a\":\"3\"",
                           "sysctl.net.core.a|twice"),
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"sysctl\":{\"kernel.x\":\"1\"}}}",
                  ERROR_INVALID_ARGUMENT, "args.cni.sysctl.kernel.x" },
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"sysctl\":5}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.sysctl|5" },
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"mtu\":\"x\"}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.mtu|x" },
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"promisc\":1}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.promisc|1" },
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"txQLen\":-1}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.txQLen|-1" },
                { NET_PLUGIN_TUNING, ",\"args\":{\"cni\":{\"mac\":\"x\"}}", ERROR_INVALID_ARGUMENT,
                  "args.cni.mac|x" },
                { NET_PLUGIN_TUNING, ",\"runtimeConfig\":{\"mac\":\"x\"}", ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.mac|x" },
                { NET_PLUGIN_TUNING, ",\"mac\":5", ERROR_INVALID_ARGUMENT, "mac|5" },
                { NET_PLUGIN_TUNING, ",\"mtu\":1", ERROR_INVALID_ARGUMENT, "mtu|1" },
                { NET_PLUGIN_TUNING, ",\"promisc\":\"on\"", ERROR_INVALID_ARGUMENT, "promisc|on" },
                { NET_PLUGIN_TUNING, ",\"allmulti\":1", ERROR_INVALID_ARGUMENT, "allmulti|1" },
                { NET_PLUGIN_TUNING, ",\"txQLen\":4294967295", ERROR_INVALID_ARGUMENT,
                  "txQLen|4294967295" },
                { NET_PLUGIN_TUNING, ",\"dataDir\":5", ERROR_INVALID_ARGUMENT, "dataDir|5" },
        };

        plugins_bad(table, ELEMENTSOF(table));
        /* the same word elsewhere is no duplicate */
        netconf_free(plugin_ok(
                        NET_PLUGIN_TUNING,
                        AS("tuning",
                           ",\"other\":{\"net.core.a\":\"1\",\"b\":{\"net.core.a\":2}},\"sysctl\":"
                           "{\"net.core.a\":\"net.core.a\"},\"list\":[\"sysctl\",{\"net.core.a\":1}]")));
        parse_bad(BRIDGE(",\"sysctl\":{\"net.core.a\":\"1\",\"net.core.a\":\"2\"}"),
                  ERROR_INVALID_ARGUMENT, "sysctl.net.core.a|twice");
}

/* The configuration and args.cni together keep the limit. */
static void test_tuning_limit(void **state) {
        for (size_t more = 0; more < 2; more++) {
                _cleanup_free_ char *text = NULL;
                size_t size;
                FILE *f = open_memstream(&text, &size);

                assert_non_null(f);
                fputs("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"tuning\",\"args\":{\"cni\":{"
                      "\"sysctl\":{\"net.core.b\":\"1\"}}},\"sysctl\":{",
                      f);
                for (size_t i = 0; i < SYSCTLS_MAX - 1 + more; i++)
                        fprintf(f, "%s\"net.core.a%zu\":\"1\"", i > 0 ? "," : "", i);
                fputs("}}", f);
                assert_int_equal(fclose(f), 0);
                if (more)
                        parse_bad(text, ERROR_INVALID_ARGUMENT, "args.cni.sysctl|65|64");
                else
                        netconf_free(parse_ok(text));
        }
}

/* ---- sbr and vrf ------------------------------------------------------------------------------ */

static void test_sbr(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;
        static const BadKeys bad[] = {
                { NET_PLUGIN_SBR, ",\"table\":0", ERROR_INVALID_ARGUMENT, "table|0" },
                { NET_PLUGIN_SBR, ",\"table\":254", ERROR_INVALID_ARGUMENT, "table|254" },
                { NET_PLUGIN_SBR, ",\"table\":-1", ERROR_INVALID_ARGUMENT, "table|-1" },
                { NET_PLUGIN_SBR, ",\"table\":\"5\"", ERROR_INVALID_ARGUMENT, "table|5" },
                { NET_PLUGIN_SBR, ",\"gateways\":\"10.97.0.1\"", ERROR_INVALID_ARGUMENT,
                  "gateways|10.97.0.1" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"x\"]", ERROR_INVALID_ARGUMENT,
                  "gateways[0]|x" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"10.97.0.1\",\"10.97.0.2\"]",
                  ERROR_INVALID_ARGUMENT, "gateways[1]|10.97.0.2|IPv4" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"fd97::1\",\"fd97::2\"]", ERROR_INVALID_ARGUMENT,
                  "gateways[1]|fd97::2|IPv6" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"fd97::1\",\"10.97.0.1\",\"fd97::2\"]",
                  ERROR_INVALID_ARGUMENT, "gateways|3" },
                { NET_PLUGIN_SBR, ",\"gateways\":[\"0.0.0.0\"]", ERROR_INVALID_ARGUMENT,
                  "gateways[0]|0.0.0.0" },
                { NET_PLUGIN_SBR, ",\"addSourceHints\":1", ERROR_INVALID_ARGUMENT,
                  "addSourceHints|1" },
        };

        c = plugin_ok(NET_PLUGIN_SBR, AS("sbr", ",\"x\":1"));
        assert_int_equal(c->sbr.table, -1);
        assert_false(in_addr_is_set(&c->sbr.gateway4) || in_addr_is_set(&c->sbr.gateway6) ||
                     c->sbr.add_source_hints);
        d = plugin_ok(NET_PLUGIN_SBR,
                      AS("sbr", ",\"table\":4294967295,\"gateways\":[\"fd97::1\",\"10.97.0.1\"],"
                                "\"addSourceHints\":true"));
        assert_int_equal(d->sbr.table, 4294967295);
        assert_addr(&d->sbr.gateway4, "10.97.0.1");
        assert_addr(&d->sbr.gateway6, "fd97::1");
        assert_true(d->sbr.add_source_hints);
        plugins_bad(bad, ELEMENTSOF(bad));
}

static void test_vrf(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL, *d = NULL;
        static const BadKeys bad[] = {
                { NET_PLUGIN_VRF, "", ERROR_INVALID_ARGUMENT, "vrfname" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"\"", ERROR_INVALID_ARGUMENT, "vrfname" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"a/b\"", ERROR_INVALID_ARGUMENT, "vrfname|a/b" },
                { NET_PLUGIN_VRF, ",\"vrfname\":5", ERROR_INVALID_ARGUMENT, "vrfname|5" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"v\",\"table\":255", ERROR_INVALID_ARGUMENT,
                  "table|255" },
                { NET_PLUGIN_VRF, ",\"vrfname\":\"v\",\"table\":4294967296", ERROR_INVALID_ARGUMENT,
                  "table|4294967296" },
        };

        c = plugin_ok(NET_PLUGIN_VRF, AS("vrf", ",\"vrfname\":\"blue\""));
        assert_string_equal(c->vrf.name, "blue");
        assert_int_equal(c->vrf.table, 0);
        d = plugin_ok(NET_PLUGIN_VRF, AS("vrf", ",\"VrfName\":\"blue\",\"table\":500,\"x\":[]"));
        assert_int_equal(d->vrf.table, 500);
        plugins_bad(bad, ELEMENTSOF(bad));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_portmap),      cmocka_unit_test(test_portmap_bad),
                cmocka_unit_test(test_bandwidth),    cmocka_unit_test(test_bandwidth_bad),
                cmocka_unit_test(test_firewall),     cmocka_unit_test(test_tuning),
                cmocka_unit_test(test_tuning_args),  cmocka_unit_test(test_netmgr_args),
                cmocka_unit_test(test_tuning_mac),   cmocka_unit_test(test_tuning_bad),
                cmocka_unit_test(test_tuning_limit), cmocka_unit_test(test_sbr),
                cmocka_unit_test(test_vrf),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
