/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Host ports, limits, masquerade, isolation, conditions and sysctls of a configuration. */

#include <netinet/in.h>

#include "base/limits.h"
#include "base/parse.h"
#include "netconf-test.h"

#define NET(more)   CONF(",\"ipam\":{\"type\":\"local\",\"subnet\":\"10.97.0.0/24\"}" more)
#define PORTS(list) NET(",\"runtimeConfig\":{\"portMappings\":[" list "]}")

static void test_defaults(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(""));

        assert_false(c->ip_masq);
        assert_true(c->snat);
        assert_false(c->masq_all);
        assert_int_equal(c->isolation, -1);
        assert_int_equal(c->shaping_mode, NET_SHAPING_POLICE);
        assert_int_equal(c->n_ports, 0);
}

static void test_network_keys(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(
                        ",\"ipMasq\":true,\"ipMasqExclude\":[\"10.0.0.0/8\",\"fd00::1\"],\"ipMasqBackend\":\"iptables\","
                        "\"isolation\":true,\"allow\":[\"a\",\"b\",\"a\"],\"snat\":false,\"masqAll\":true,"
                        "\"markMasqBit\":13,\"backend\":\"nftables\",\"externalSetMarkChain\":\"\""));

        assert_true(c->ip_masq);
        assert_int_equal(c->n_masq_excludes, 2);
        assert_prefix(&c->masq_excludes[1], "fd00::1/128");
        assert_int_equal(c->isolation, 1);
        assert_int_equal(c->n_allow, 2);
        assert_string_equal(c->allow[1], "b");
        assert_false(c->snat);
        assert_true(c->masq_all);
}

/* They describe the network: not beside the name of another, and not of the loopback interface. */
static void test_where_keys_stand(void **state) {
        static const char *const keys[][2] = {
                { "ipMasq", "true" },
                { "ipMasqExclude", "[\"10.0.0.0/8\"]" },
                { "ipMasqBackend", "\"nftables\"" },
                { "shaping", "{}" },
                { "ingressRate", "8" },
                { "ingressBurst", "0" },
                { "egressRate", "8" },
                { "egressBurst", "0" },
                { "isolation", "true" },
                { "allow", "[\"a\"]" },
                { "snat", "true" },
                { "masqAll", "true" },
                { "markMasqBit", "5" },
                { "conditionsV4", "[\"-s\",\"10.0.0.0/8\"]" },
                { "conditionsV6", "[\"-s\",\"fd00::/8\"]" },
                { "backend", "\"iptables\"" },
                { "externalSetMarkChain", "\"\"" },
                { "sysctl", "{\"net.core.somaxconn\":\"9\"}" },
        };

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                _cleanup_free_ char *routed = strf(NET(",\"%s\":%s"), keys[i][0], keys[i][1]),
                                    *bridge = strf(BRIDGE(",\"%s\":%s"), keys[i][0], keys[i][1]),
                                    *loopback = strf(CONF(",\"kind\":\"loopback\",\"%s\":%s"),
                                                     keys[i][0], keys[i][1]),
                                    *pointer = strf(CONF(",\"network\":\"lab\",\"%s\":%s"),
                                                    keys[i][0], keys[i][1]),
                                    *null = strf(CONF(",\"network\":\"lab\",\"%s\":null"),
                                                 keys[i][0]),
                                    *words = strf("%s|lab", keys[i][0]);

                netconf_free(parse_ok(routed));
                netconf_free(parse_ok(bridge));
                netconf_free(parse_ok(null));
                parse_bad(loopback, ERROR_UNKNOWN_OPTION, keys[i][0]);
                parse_bad(pointer, ERROR_UNKNOWN_OPTION, words);
        }
}

static void test_macspoofchk(void **state) {
        netconf_free(parse_ok(BRIDGE(",\"macspoofchk\":true")));
        netconf_free(parse_ok(BRIDGE(",\"macspoofchk\":false")));
        parse_bad(BRIDGE(",\"macspoofchk\":\"yes\""), ERROR_INVALID_ARGUMENT, "macspoofchk|yes");
        parse_bad(NET(",\"macspoofchk\":true"), ERROR_UNKNOWN_OPTION, "macspoofchk|bridge");
}

/* A network of netmgrd's, and what the runtime adds for one sandbox. */
static void test_pointer(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(CONF(",\"network\":\"lab\"" RUNTIME(
                        "\"PortMappings\":[{\"hostPort\":8080,\"containerPort\":80}],"
                        "\"bandwidth\":{\"egressRate\":1000},\"mac\":\"02:00:00:00:00:01\"")));

        assert_string_equal(c->network, "lab");
        assert_int_equal(c->n_ports, 1);
        assert_int_equal(c->runtime_bandwidth.egress_rate, 1000);
}

/* args.cni is for labels and addresses; ports in there are nobody's. */
static void test_args(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(
                        ",\"args\":{\"cni\":{\"portMappings\":[{\"hostPort\":1,\"containerPort\":1},5],"
                        "\"bandwidth\":{\"ingressRate\":-1}}}"));

        assert_int_equal(c->n_ports, 0);
        assert_int_equal(c->runtime_bandwidth.ingress_rate, 0);
}

/* DEL has to succeed whatever stands there. */
static void test_envelope(void **state) {
        static const char text[] =
                        NET(",\"ipMasq\":7,\"sysctl\":[],\"shaping\":{\"mode\":\"fast\"},"
                            "\"conditionsV4\":[\"-m\"],\"isolation\":false,\"allow\":[\"/\"],"
                            "\"runtimeConfig\":{\"portMappings\":[5],\"bandwidth\":5}");
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_(netconf_freep) NetConf *c = NULL;

        assert_int_equal(netconf_parse_envelope(text, strlen(text), &c, &e), 0);
        assert_string_equal(c->name, "pods");
        assert_int_equal(c->n_ports, 0);
        assert_int_equal(c->n_sysctls, 0);
        assert_int_equal(c->isolation, -1);
        assert_true(c->snat);
}

/* As containerd sends them: capitals, an empty hostIP, TCP in capitals, a port of the container alone. */
static void test_ports(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(PORTS(
                        "{\"HostPort\":8080,\"ContainerPort\":80,\"Protocol\":\"TCP\",\"HostIP\":\"\"},"
                        "{\"hostPort\":53,\"containerPort\":5353,\"protocol\":\"udp\",\"hostIP\":\"192.0.2.1\",\"x\":1},"
                        "{\"hostPort\":53,\"containerPort\":5353,\"protocol\":\"sctp\",\"hostIP\":\"::\"},"
                        "{\"hostPort\":0,\"containerPort\":9},"
                        "{\"hostPort\":8080,\"containerPort\":80}"));

        assert_int_equal(c->n_ports, 3); /* the last one says the same as the first */
        assert_int_equal(c->ports[0].protocol, IPPROTO_TCP);
        assert_int_equal(c->ports[0].host.family, AF_UNSPEC);
        assert_int_equal(c->ports[1].protocol, IPPROTO_UDP);
        assert_addr(&c->ports[1].host, "192.0.2.1");
        assert_int_equal(c->ports[1].container_port, 5353);
        assert_int_equal(c->ports[2].protocol, IPPROTO_SCTP);
        assert_int_equal(c->ports[2].host.family, AF_INET6);
}

/* Of mappings that overlap and agree the widest stays, in whichever order they come. */
static void test_ports_overlap(void **state) {
        static const char
                        any[] = "{\"hostPort\":80,\"containerPort\":8}",
                        all4[] = "{\"hostPort\":80,\"containerPort\":8,\"hostIP\":\"0.0.0.0\"}",
                        all6[] = "{\"hostPort\":80,\"containerPort\":8,\"hostIP\":\"::\"}",
                        one4[] = "{\"hostPort\":80,\"containerPort\":8,\"hostIP\":\"192.0.2.1\"}",
                        mapped[] = "{\"hostPort\":80,\"containerPort\":8,"
                                   "\"hostIP\":\"::ffff:192.0.2.1\"}",
                        other4[] = "{\"hostPort\":80,\"containerPort\":9,\"hostIP\":\"192.0.2.2\"}";
        static const struct {
                const char *list[4];
                size_t n;
                int family; /* of the first that stays */
        } table[] = {
                { { any, all4, all6, one4 }, 1, AF_UNSPEC },
                { { one4, all6, all4, any }, 1, AF_UNSPEC },
                { { all4, one4, all6, mapped }, 2, AF_INET },
                { { one4, all6, all4, one4 }, 2, AF_INET6 },
                { { one4, mapped, other4, other4 }, 2, AF_INET },
                { { all6, other4, one4, all6 }, 3, AF_INET6 },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                const char *const *l = table[i].list;
                _cleanup_free_ char *text = strf(PORTS("%s,%s,%s,%s"), l[0], l[1], l[2], l[3]);
                _cleanup_(netconf_freep) NetConf *c = parse_ok(text);

                assert_int_equal(c->n_ports, table[i].n);
                assert_int_equal(c->ports[0].host.family, table[i].family);
        }
}

static void test_bandwidth(void **state) {
        _cleanup_(netconf_freep) NetConf *a = NULL, *b = NULL, *c = NULL;
        NetBandwidth n = { .ingress_rate = 1000,
                           .ingress_burst = 4000,
                           .egress_rate = 1000,
                           .egress_burst = 3999 };

        /* what containerd makes of the Kubernetes annotations */
        a = parse_ok(NET(
                        ",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":10000000,\"ingressBurst\":4294967295,"
                        "\"egressRate\":20000000,\"egressBurst\":4294967295}}"));
        assert_int_equal(a->runtime_bandwidth.ingress_rate, 10000000);
        assert_int_equal(a->runtime_bandwidth.ingress_burst, 0);
        assert_int_equal(a->runtime_bandwidth.egress_rate, 20000000);
        assert_int_equal(a->bandwidth.ingress_rate, 0);
        /* the bandwidth plugin's keys, and ours */
        b = parse_ok(NET(",\"ingressRate\":8000,\"ingressBurst\":16000"));
        assert_int_equal(b->bandwidth.ingress_rate, 8000);
        assert_int_equal(b->bandwidth.ingress_burst, 16000);
        c = parse_ok(NET(",\"shaping\":{\"mode\":\"shape\",\"egressRate\":9}"));
        assert_int_equal(c->shaping_mode, NET_SHAPING_SHAPE);
        assert_int_equal(c->bandwidth.egress_rate, 9);

        net_bandwidth_normalise(&n);
        assert_int_equal(n.ingress_burst, 0); /* four seconds of the rate */
        assert_int_equal(n.egress_burst, 3999);
        n = (NetBandwidth) { .ingress_rate = UINT64_MAX,
                             .ingress_burst = (1ULL << 31) - 1,
                             .egress_rate = UINT64_MAX,
                             .egress_burst = 1ULL << 31 };
        net_bandwidth_normalise(&n);
        assert_int_equal(n.ingress_burst, (1ULL << 31) - 1);
        assert_int_equal(n.egress_burst, 0);
}

/* The runtime's burst without a rate is nothing; the network's own is a mistake (test_refused). */
static void test_bandwidth_absent(void **state) {
        _cleanup_(netconf_freep) NetConf *
                        a = parse_ok(NET(
                                       ",\"runtimeConfig\":{\"bandwidth\":{\"ingressBurst\":9,\"EgressRate\":8,"
                                       "\"unknown\":[]},\"portMappings\":null}")),
                       *b = parse_ok(NET(
                                       ",\"runtimeConfig\":{\"bandwidth\":null},\"shaping\":{\"mode\":\"\"}")),
                       *c = parse_ok(NET(
                                       ",\"ingressRate\":0,\"shaping\":{\"mode\":\"shape\",\"egressRate\":5,"
                                       "\"egressBurst\":4294967295}"));

        assert_int_equal(a->runtime_bandwidth.ingress_rate, 0);
        assert_int_equal(a->runtime_bandwidth.ingress_burst, 0);
        assert_int_equal(a->runtime_bandwidth.egress_rate, 8);
        assert_int_equal(b->shaping_mode, NET_SHAPING_POLICE);
        assert_int_equal(c->bandwidth.egress_rate, 5);
        assert_int_equal(c->bandwidth.egress_burst, 0);
}

static void test_conditions(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(
                        ",\"conditionsV4\":[\"!\",\"-s\",\"192.0.2.0/24\",\"-i\",\"eth0\"],"
                        "\"conditionsV6\":[\"ip6 daddr != fc00::/7\",\"iifname \\\"eth1\\\"\"]"));

        assert_int_equal(c->n_conditions4, 2);
        assert_true(c->conditions4[0].negate);
        assert_int_equal(c->conditions4[0].what, NET_CONDITION_SOURCE);
        assert_prefix(&c->conditions4[0].prefix, "192.0.2.0/24");
        assert_int_equal(c->conditions4[1].what, NET_CONDITION_INPUT);
        assert_string_equal(c->conditions4[1].ifname, "eth0");
        assert_int_equal(c->n_conditions6, 2);
        assert_int_equal(c->conditions6[0].what, NET_CONDITION_DESTINATION);
        assert_true(c->conditions6[0].negate);
        assert_string_equal(c->conditions6[1].ifname, "eth1");
}

static void test_condition_spellings(void **state) {
        static const struct {
                const char *text;
                bool v6, negate;
                int what;
                const char *value;
        } table[] = {
                { "\"-s\",\"192.0.2.1\"", false, false, NET_CONDITION_SOURCE, "192.0.2.1/32" },
                { "\"--src\",\"10.1.2.3/8\"", false, false, NET_CONDITION_SOURCE, "10.0.0.0/8" },
                { "\"!\",\"--source\",\"10.0.0.0/8\"", false, true, NET_CONDITION_SOURCE,
                  "10.0.0.0/8" },
                { "\"-d 10.0.0.0/8\"", false, false, NET_CONDITION_DESTINATION, "10.0.0.0/8" },
                { "\"--dst\",\"fd00::1/8\"", true, false, NET_CONDITION_DESTINATION, "fd00::/8" },
                { "\"! --destination\",\"::/0\"", true, true, NET_CONDITION_DESTINATION, "::/0" },
                { "\"--in-interface\",\"eth0.7\"", true, false, NET_CONDITION_INPUT, "eth0.7" },
                { "\"ip\",\"saddr\",\"!=\",\"10.0.0.0/8\"", false, true, NET_CONDITION_SOURCE,
                  "10.0.0.0/8" },
                { "\"ip daddr == 10.0.0.0/8\"", false, false, NET_CONDITION_DESTINATION,
                  "10.0.0.0/8" },
                { "\"ip6  saddr\\tfd00::/8\"", true, false, NET_CONDITION_SOURCE, "fd00::/8" },
                { "\"iifname != eth0\"", false, true, NET_CONDITION_INPUT, "eth0" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *text = strf(NET(",\"conditionsV%d\":[%s]"),
                                                 table[i].v6 ? 6 : 4, table[i].text);
                _cleanup_(netconf_freep) NetConf *c = parse_ok(text);
                const NetCondition *d = table[i].v6 ? c->conditions6 : c->conditions4;

                assert_int_equal(c->n_conditions4, !table[i].v6);
                assert_int_equal(c->n_conditions6, table[i].v6);
                assert_int_equal(d->what, table[i].what);
                assert_int_equal(d->negate, table[i].negate);
                if (d->what == NET_CONDITION_INPUT)
                        assert_string_equal(d->ifname, table[i].value);
                else
                        assert_prefix(&d->prefix, table[i].value);
        }
}

static void test_sysctls(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(
                        ",\"sysctl\":{\"net.core.somaxconn\":\"500\",\"net/ipv4/conf/eth0.7/arp_filter\":\"1\","
                        "\"net.ipv4.conf.IFNAME.arp_filter\":\"1\",\"net.ipv4.conf.eth0/8.arp_filter\":\"0\"}"));

        assert_int_equal(c->n_sysctls, 4); /* sorted */
        assert_string_equal(c->sysctls[0].name, "net/core/somaxconn");
        assert_string_equal(c->sysctls[0].value, "500");
        assert_string_equal(c->sysctls[1].name, "net/ipv4/conf/IFNAME/arp_filter");
        assert_string_equal(c->sysctls[2].name, "net/ipv4/conf/eth0.7/arp_filter");
        assert_string_equal(c->sysctls[3].name, "net/ipv4/conf/eth0.8/arp_filter");
        assert_string_equal(c->sysctls[3].value, "0");
}

static void test_sysctl_limits(void **state) {
        char name[SYSCTL_NAME_MAX + 2] = "net/", value[SYSCTL_VALUE_MAX + 2] = "";
        NetConf *c;

        memset(name + 4, 'x', sizeof(name) - 5);
        memset(value, '1', sizeof(value) - 1);
        _cleanup_free_ char *long_name = strf(NET(",\"sysctl\":{\"%s\":\"1\"}"), name),
                            *long_value = strf(NET(",\"sysctl\":{\"net/x\":\"%s\"}"), value);
        parse_bad(long_name, ERROR_INVALID_ARGUMENT, "sysctl.net/xxx|95");
        parse_bad(long_value, ERROR_INVALID_ARGUMENT, "sysctl.net/x|256");

        name[SYSCTL_NAME_MAX] = value[SYSCTL_VALUE_MAX] = 0;
        _cleanup_free_ char *good = strf(NET(",\"sysctl\":{\"%s\":\"%s\"}"), name, value);
        c = parse_ok(good);
        assert_string_equal(c->sysctls[0].name, name);
        assert_string_equal(c->sysctls[0].value, value);
        netconf_free(c);
}

static void test_refused(void **state) {
        static const struct {
                const char *text;
                ErrorKind kind;
                const char *words;
        } cases[] = {
                { PORTS("{\"hostPort\":-1,\"containerPort\":80}"), ERROR_INVALID_ARGUMENT,
                  "portMappings[0].hostPort|-1" },
                { PORTS("{\"hostPort\":65536,\"containerPort\":80}"), ERROR_INVALID_ARGUMENT,
                  "65536" },
                { PORTS("{\"hostPort\":1.5,\"containerPort\":80}"), ERROR_INVALID_ARGUMENT, "1.5" },
                { PORTS("{\"hostPort\":80}"), ERROR_INVALID_ARGUMENT, "containerPort" },
                { PORTS("{\"hostPort\":80,\"containerPort\":0}"), ERROR_INVALID_ARGUMENT,
                  "containerPort" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"protocol\":\"icmp\"}"),
                  ERROR_INVALID_ARGUMENT, "protocol|icmp|sctp" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"hostIP\":\"10.1\"}"),
                  ERROR_INVALID_ARGUMENT, "hostIP|10.1" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1},{\"hostPort\":80,\"containerPort\":2}"),
                  ERROR_INVALID_ARGUMENT, "portMappings[1]|*:80/tcp to 2|*:80/tcp to 1" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"hostIP\":\"192.0.2.1\"},"
                        "{\"hostPort\":80,\"containerPort\":2}"),
                  ERROR_INVALID_ARGUMENT, "portMappings[1]|*:80/tcp to 2|192.0.2.1:80/tcp to 1" },
                { PORTS("{\"hostPort\":0,\"containerPort\":7},"
                        "{\"hostPort\":80,\"containerPort\":1,\"protocol\":\"udp\",\"hostIP\":\"::\"},"
                        "{\"hostPort\":80,\"containerPort\":2,\"protocol\":\"UDP\",\"hostIP\":\"fd00::1\"}"),
                  ERROR_INVALID_ARGUMENT,
                  "portMappings[2]|[fd00::1]:80/udp to 2|[::]:80/udp to 1" },
                { PORTS("{\"hostPort\":80,\"containerPort\":65536}"), ERROR_INVALID_ARGUMENT,
                  "portMappings[0].containerPort|65536" },
                { PORTS("{\"hostPort\":80,\"containerPort\":-5}"), ERROR_INVALID_ARGUMENT,
                  "containerPort|-5" },
                { PORTS("{\"hostPort\":18446744073709551695,\"containerPort\":1}"),
                  ERROR_INVALID_ARGUMENT, "hostPort" },
                { PORTS("{\"hostPort\":\"80\",\"containerPort\":1}"), ERROR_INVALID_ARGUMENT,
                  "hostPort|\"80\"" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"protocol\":6}"),
                  ERROR_INVALID_ARGUMENT, "protocol|6" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"hostIP\":\"224.0.0.1\"}"),
                  ERROR_INVALID_ARGUMENT, "hostIP|224.0.0.1" },
                { PORTS("5"), ERROR_INVALID_ARGUMENT, "portMappings[0]" },
                { NET(",\"runtimeConfig\":{\"portMappings\":{}}"), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.portMappings" },
                { NET(",\"runtimeConfig\":{\"bandwidth\":[]}"), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.bandwidth" },
                { NET(",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":1.5}}"),
                  ERROR_INVALID_ARGUMENT, "bandwidth.ingressRate|1.5" },
                { NET(",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":18446744073709551616}}"),
                  ERROR_INVALID_ARGUMENT, "bandwidth.ingressRate" },
                { NET(",\"snat\":\"no\""), ERROR_INVALID_ARGUMENT, "snat|no" },
                { NET(",\"masqAll\":1"), ERROR_INVALID_ARGUMENT, "masqAll|1" },
                { NET(",\"backend\":\"ipvs\""), ERROR_INVALID_ARGUMENT, "backend|ipvs" },
                { NET(",\"markMasqBit\":-1"), ERROR_INVALID_ARGUMENT, "markMasqBit|-1" },
                { NET(",\"externalSetMarkChain\":\"KUBE-MARK\""), ERROR_NOT_SUPPORTED,
                  "externalSetMarkChain|KUBE-MARK" },
                { NET(",\"ipMasqExclude\":\"10.0.0.0/8\""), ERROR_INVALID_ARGUMENT,
                  "ipMasqExclude|array" },
                { NET(",\"ipMasqExclude\":[\"10.0.0.1/8\"]"), ERROR_INVALID_ARGUMENT,
                  "ipMasqExclude[0]|10.0.0.1/8|10.0.0.0/8" },
                { NET(",\"allow\":\"a\""), ERROR_INVALID_ARGUMENT, "allow|array" },
                { NET(",\"shaping\":5"), ERROR_INVALID_ARGUMENT, "shaping|5" },
                { NET(",\"shaping\":{\"ingressBurst\":1}"), ERROR_INVALID_ARGUMENT,
                  "shaping.ingressBurst|shaping.ingressRate" },
                { NET(",\"ipMasq\":1"), ERROR_INVALID_ARGUMENT, "ipMasq|1" },
                { NET(",\"ipMasqExclude\":[\"x\"]"), ERROR_INVALID_ARGUMENT, "ipMasqExclude|x" },
                { NET(",\"ipMasqBackend\":\"ebtables\""), ERROR_INVALID_ARGUMENT,
                  "ipMasqBackend|ebtables" },
                { NET(",\"isolation\":\"yes\""), ERROR_INVALID_ARGUMENT, "isolation|yes" },
                { NET(",\"isolation\":false,\"allow\":[\"a\"]"), ERROR_INVALID_ARGUMENT,
                  "allow|isolation" },
                { NET(",\"allow\":[\"../a\"]"), ERROR_INVALID_ARGUMENT, "allow[0]|../a" },
                { NET(",\"markMasqBit\":32"), ERROR_INVALID_ARGUMENT, "markMasqBit|32" },
                { NET(",\"shaping\":{\"mode\":\"fast\"}"), ERROR_INVALID_ARGUMENT,
                  "mode|fast|police" },
                { NET(",\"shaping\":{\"rate\":1}"), ERROR_UNKNOWN_OPTION, "shaping.rate|1" },
                { NET(",\"shaping\":{\"ingressRate\":-1}"), ERROR_INVALID_ARGUMENT,
                  "ingressRate|-1" },
                { NET(",\"egressBurst\":1"), ERROR_INVALID_ARGUMENT, "egressBurst|egressRate" },
                { NET(",\"egressRate\":1,\"shaping\":{\"ingressRate\":1}"), ERROR_INVALID_ARGUMENT,
                  "shaping|bandwidth" },
                { NET(",\"conditionsV4\":[\"-m\",\"state\"]"), ERROR_NOT_SUPPORTED,
                  "conditionsV4|-m" },
                { NET(",\"conditionsV4\":[\"-s\"]"), ERROR_INVALID_ARGUMENT, "conditionsV4|-s" },
                { NET(",\"conditionsV4\":[\"!\"]"), ERROR_NOT_SUPPORTED, "conditionsV4" },
                { NET(",\"conditionsV4\":[\"-s\",\"fd00::/8\"]"), ERROR_INVALID_ARGUMENT,
                  "fd00::/8" },
                { NET(",\"conditionsV6\":[\"ip saddr 10.0.0.0/8\"]"), ERROR_NOT_SUPPORTED,
                  "conditionsV6|ip" },
                { NET(",\"conditionsV4\":[\"-i\",\"a/b\"]"), ERROR_INVALID_ARGUMENT, "a/b" },
                { NET(",\"conditionsV4\":\"-s 10.0.0.0/8\""), ERROR_INVALID_ARGUMENT,
                  "conditionsV4|array" },
                { NET(",\"conditionsV4\":[\"-s\",5]"), ERROR_INVALID_ARGUMENT,
                  "conditionsV4[1]|5" },
                { NET(",\"conditionsV4\":[\"-s\",\"10.0.0.0/33\"]"), ERROR_INVALID_ARGUMENT,
                  "10.0.0.0/33" },
                { NET(",\"conditionsV4\":[\"ip saddr\"]"), ERROR_INVALID_ARGUMENT, "ip saddr" },
                /* wildcards, lists and sets: a name or prefix of that spelling would never match */
                { NET(",\"conditionsV4\":[\"-i\",\"eth+\"]"), ERROR_NOT_SUPPORTED,
                  "conditionsV4|eth+" },
                { NET(",\"conditionsV4\":[\"iifname \\\"eth*\\\"\"]"), ERROR_NOT_SUPPORTED,
                  "eth*" },
                { NET(",\"conditionsV4\":[\"-s\",\"10.0.0.1,10.0.0.2\"]"), ERROR_NOT_SUPPORTED,
                  "10.0.0.1,10.0.0.2" },
                { NET(",\"conditionsV4\":[\"ip saddr @friends\"]"), ERROR_NOT_SUPPORTED,
                  "@friends" },
                { NET(",\"conditionsV4\":[\"ip saddr { 10.0.0.1 }\"]"), ERROR_NOT_SUPPORTED, "{" },
                /* each way of negating belongs to one of the two languages */
                { NET(",\"conditionsV4\":[\"! ip saddr 10.0.0.0/8\"]"), ERROR_NOT_SUPPORTED,
                  "conditionsV4|\"!\"" },
                { NET(",\"conditionsV4\":[\"-s\",\"!=\",\"10.0.0.0/8\"]"), ERROR_INVALID_ARGUMENT,
                  "-s|!=" },
                { NET(",\"conditionsV4\":[\"!\",\"!\",\"-s\",\"10.0.0.0/8\"]"), ERROR_NOT_SUPPORTED,
                  "conditionsV4|!" },
                { NET(",\"conditionsV4\":[\"tcp dport 80\"]"), ERROR_NOT_SUPPORTED, "tcp" },
                { NET(",\"sysctl\":{\"net.core.somaxconn\":\"\"}"), ERROR_INVALID_ARGUMENT,
                  "somaxconn|1 to 256" },
                { NET(",\"sysctl\":{\"net.core.somaxconn\":\"1\\u0000\"}"), ERROR_INVALID_ARGUMENT,
                  "somaxconn|NUL" },
                { NET(",\"sysctl\":{\"net.core.somaxconn\":null}"), ERROR_INVALID_ARGUMENT,
                  "somaxconn|null" },
                { NET(",\"sysctl\":{\"net\":\"1\"}"), ERROR_INVALID_ARGUMENT, "sysctl.net" },
                { NET(",\"sysctl\":{\"netx.core\":\"1\"}"), ERROR_INVALID_ARGUMENT, "netx.core" },
                { NET(",\"sysctl\":{\"/net/core/x\":\"1\"}"), ERROR_INVALID_ARGUMENT,
                  "/net/core/x" },
                { NET(",\"sysctl\":{\"net/core//x\":\"1\"}"), ERROR_INVALID_ARGUMENT,
                  "net/core//x" },
                { NET(",\"sysctl\":{\"net.core.\":\"1\"}"), ERROR_INVALID_ARGUMENT, "net.core." },
                { NET(",\"sysctl\":{\"net.core.a b\":\"1\"}"), ERROR_INVALID_ARGUMENT, "a b" },
                { NET(",\"sysctl\":{\"net.core.a:b\":\"1\"}"), ERROR_INVALID_ARGUMENT, "a:b" },
                { NET(",\"sysctl\":{\"kernel.pid_max\":\"1\"}"), ERROR_INVALID_ARGUMENT,
                  "kernel.pid_max" },
                { NET(",\"sysctl\":{\"net/../kernel\":\"1\"}"), ERROR_INVALID_ARGUMENT,
                  "net/../kernel" },
                { NET(",\"sysctl\":{\"net.core.somaxconn\":5}"), ERROR_INVALID_ARGUMENT,
                  "somaxconn|5" },
                { NET(",\"sysctl\":{\"net.core.somaxconn\":\"1\\n2\"}"), ERROR_INVALID_ARGUMENT,
                  "somaxconn" },
                { NET(",\"sysctl\":{\"net.core.x\":\"1\",\"net/core/x\":\"2\"}"),
                  ERROR_INVALID_ARGUMENT, "net/core/x|twice" },
                { NET(",\"sysctl\":[]"), ERROR_INVALID_ARGUMENT, "sysctl" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                parse_bad(cases[i].text, cases[i].kind, cases[i].words);
}

/* Each limit of limits.h is reached. */
static void test_limits(void **state) {
        _cleanup_(netconf_freep) NetConf *c = NULL;
        _cleanup_free_ char *text = NULL;
        Error e = ERROR_NULL;
        size_t size;

        for (unsigned over = 0; over < 2; over++) {
                FILE *f = open_memstream(&text, &size);
                fputs("{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"netmgr\",\"network\":\"lab\","
                      "\"runtimeConfig\":{\"portMappings\":[",
                      f);
                for (unsigned i = 0; i < PORTS_PER_ATTACHMENT_MAX + over; i++)
                        fprintf(f, "%s{\"hostPort\":%u,\"containerPort\":80}", i ? "," : "", i + 1);
                fputs("]}}", f);
                fclose(f);
                int r = netconf_parse(text, size, &c, &e);
                if (over == 0) {
                        assert_int_equal(r, 0);
                        assert_int_equal(c->n_ports, PORTS_PER_ATTACHMENT_MAX);
                        c = netconf_free(c);
                        free(text);
                        text = NULL;
                } else
                        assert_refused("4097 host ports", r, c, &e, ERROR_INVALID_ARGUMENT,
                                       "runtimeConfig.portMappings|4097|4096");
        }
        error_clear(&e);
}

static uint64_t hash_of(const char *text) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(text);

        return c->hash;
}

/* Everything that describes the network, and nothing that belongs to one sandbox. */
static void test_hash(void **state) {
        static const char *const differ[] = {
                NET(""),
                NET(",\"ipMasq\":true"),
                NET(",\"ipMasqExclude\":[\"10.0.0.0/8\"]"),
                NET(",\"shaping\":{\"mode\":\"shape\"}"),
                NET(",\"ingressRate\":8000"),
                NET(",\"egressRate\":8000"),
                NET(",\"ingressRate\":8000,\"ingressBurst\":8000"),
                NET(",\"egressRate\":8000,\"egressBurst\":8000"),
                NET(",\"isolation\":false"),
                NET(",\"isolation\":true"),
                NET(",\"allow\":[\"a\"]"),
                NET(",\"snat\":false"),
                NET(",\"masqAll\":true"),
                NET(",\"conditionsV4\":[\"-s\",\"10.0.0.0/8\"]"),
                NET(",\"conditionsV4\":[\"!\",\"-s\",\"10.0.0.0/8\"]"),
                NET(",\"conditionsV4\":[\"-i\",\"eth0\"]"),
                NET(",\"conditionsV6\":[\"-i\",\"eth0\"]"),
                NET(",\"sysctl\":{\"net.core.x\":\"1\"}"),
                NET(",\"sysctl\":{\"net.core.x\":\"2\"}"),
        };
        static const char *const equal[][2] = {
                { NET(""),
                  NET(",\"snat\":true,\"ipMasq\":false,\"backend\":\"iptables\",\"markMasqBit\":7,"
                      "\"ipMasqBackend\":\"nftables\",\"shaping\":{\"mode\":\"police\"}") },
                { NET(""), PORTS("{\"hostPort\":1,\"containerPort\":2}") },
                { NET(""), NET(",\"runtimeConfig\":{\"bandwidth\":{\"ingressRate\":9}}") },
                { NET(",\"ingressRate\":8000"),
                  NET(",\"shaping\":{\"IngressRate\":8000,\"ingressBurst\":4294967295}") },
                { NET(",\"sysctl\":{\"net.core.x\":\"1\",\"net.core.y\":\"2\"}"),
                  NET(",\"sysctl\":{\"net/core/y\":\"2\",\"net/core/x\":\"1\"}") },
                { NET(",\"conditionsV4\":[\"-s\",\"10.1.2.3/8\"]"),
                  NET(",\"conditionsV4\":[\"ip saddr 10.0.0.0/8\"]") },
        };

        for (size_t i = 0; i < ELEMENTSOF(differ); i++)
                for (size_t j = 0; j < i; j++)
                        if (hash_of(differ[i]) == hash_of(differ[j]))
                                fail_msg("one hash: %s and %s", differ[i], differ[j]);
        for (size_t i = 0; i < ELEMENTSOF(equal); i++)
                if (hash_of(equal[i][0]) != hash_of(equal[i][1]))
                        fail_msg("two hashes: %s and %s", equal[i][0], equal[i][1]);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),
                cmocka_unit_test(test_network_keys),
                cmocka_unit_test(test_where_keys_stand),
                cmocka_unit_test(test_macspoofchk),
                cmocka_unit_test(test_pointer),
                cmocka_unit_test(test_args),
                cmocka_unit_test(test_envelope),
                cmocka_unit_test(test_ports),
                cmocka_unit_test(test_ports_overlap),
                cmocka_unit_test(test_bandwidth),
                cmocka_unit_test(test_bandwidth_absent),
                cmocka_unit_test(test_conditions),
                cmocka_unit_test(test_condition_spellings),
                cmocka_unit_test(test_sysctls),
                cmocka_unit_test(test_sysctl_limits),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_hash),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
