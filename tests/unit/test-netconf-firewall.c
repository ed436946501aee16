/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Host ports, limits, masquerade, isolation, conditions and sysctls of a configuration. */

#include <netinet/in.h>

#include "base/limits.h"
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

static void test_sysctls(void **state) {
        _cleanup_(netconf_freep) NetConf *c = parse_ok(NET(
                        ",\"sysctl\":{\"net.core.somaxconn\":\"500\",\"net/ipv4/conf/eth0.7/arp_filter\":\"1\","
                        "\"net.ipv4.conf.IFNAME.arp_filter\":\"1\",\"net.ipv4.conf.eth0/8.arp_filter\":\"0\"}"));

        assert_int_equal(c->n_sysctls, 4);
        assert_string_equal(c->sysctls[0].name, "net/core/somaxconn");
        assert_string_equal(c->sysctls[0].value, "500");
        assert_string_equal(c->sysctls[1].name, "net/ipv4/conf/eth0.7/arp_filter");
        assert_string_equal(c->sysctls[2].name, "net/ipv4/conf/IFNAME/arp_filter");
        assert_string_equal(c->sysctls[3].name, "net/ipv4/conf/eth0.8/arp_filter");
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
                  ERROR_INVALID_ARGUMENT, "portMappings[1]|80|entry 0" },
                { PORTS("{\"hostPort\":80,\"containerPort\":1,\"hostIP\":\"192.0.2.1\"},"
                        "{\"hostPort\":80,\"containerPort\":2}"),
                  ERROR_INVALID_ARGUMENT, "portMappings[1]|80" },
                { PORTS("5"), ERROR_INVALID_ARGUMENT, "portMappings[0]" },
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
                        assert_true(r < 0);
        }
        error_clear(&e);
}

static void test_hash(void **state) {
        _cleanup_(netconf_freep)
                        NetConf *a = parse_ok(NET("")),
                                *b = parse_ok(NET(",\"ipMasq\":true")),
                                *c = parse_ok(NET(",\"snat\":true,\"ipMasq\":false")),
                                *d = parse_ok(PORTS("{\"hostPort\":1,\"containerPort\":2}"));

        assert_true(a->hash != b->hash);
        assert_true(a->hash == c->hash);
        assert_true(a->hash == d->hash); /* what the runtime adds is not the network */
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),   cmocka_unit_test(test_network_keys),
                cmocka_unit_test(test_ports),      cmocka_unit_test(test_bandwidth),
                cmocka_unit_test(test_conditions), cmocka_unit_test(test_sysctls),
                cmocka_unit_test(test_refused),    cmocka_unit_test(test_limits),
                cmocka_unit_test(test_hash),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
