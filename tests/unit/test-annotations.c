/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* k8s.v1.cni.cncf.io/networks and v1.multus-cni.io/default-network: every key, good and bad, with the sentence that
 * a bad one gets. */

#include "annotations-test.h"

/* ---- k8s.v1.cni.cncf.io/networks -------------------------------------------------------------- */

static void test_short_form(void **state) {
        NetSelections s = ok(NPWG, "a, blue/net-b@data0 ,\n c.d_E@Eth_1\n");

        assert_int_equal(s.n_items, 3);
        assert_false(s.replaces_default);
        assert_string_equal(s.prefix, "net");
        assert_string_equal(s.items[0].where, NPWG "[0]");
        assert_string_equal(s.items[0].name, "a");
        assert_null(s.items[0].namespace);
        assert_string_equal(s.items[0].ifname, "");
        assert_string_equal(s.items[1].where, NPWG "[1]");
        assert_string_equal(s.items[1].namespace, "blue");
        assert_string_equal(s.items[1].name, "net-b");
        assert_string_equal(s.items[1].ifname, "data0");
        assert_string_equal(s.items[2].name, "c.d_E");
        assert_string_equal(s.items[2].ifname, "Eth_1");
        assert_int_equal(s.items[2].ipv4, SELECTION_ANY);
        net_selections_clear(&s);
        assert_int_equal(s.n_items, 0);

        /* blanks around every part, as Multus cuts them */
        s = ok(NPWG, " blue / a @ x0 ");
        assert_string_equal(s.items[0].namespace, "blue");
        assert_string_equal(s.items[0].name, "a");
        assert_string_equal(s.items[0].ifname, "x0");
        net_selections_clear(&s);

        /* the same network as often as it is wanted */
        s = ok(NPWG, "a,a,a");
        assert_int_equal(s.n_items, 3);
        net_selections_clear(&s);
}

static void test_nothing(void **state) {
        static const Pair nothing[] = {
                { NPWG, "" },      { NPWG, " \n" },         { NPWG, "[]" },
                { NPWG, " [ ] " }, { DANM, "[]" },          { DANM, "" },
                { OLD, " " },      { FIRST, "" },           { "other", "a" },
                { "CNI", "a" },    { "networks", "a,b@c" }, { NPWG, NULL },
        };

        for (size_t i = 0; i < ELEMENTSOF(nothing); i++) {
                NetSelections s = ok(nothing[i].key, nothing[i].value);
                assert_int_equal(s.n_items, 0);
                assert_false(s.replaces_default);
                net_selections_clear(&s);
        }
        /* several that ask for nothing are no conflict */
        NetSelections s = pairs_ok((Pair[]) { { NPWG, "[]" }, { DANM, "[]" }, { FIRST, "" }, {} });
        assert_int_equal(s.n_items, 0);
        net_selections_clear(&s);
}

static void test_short_form_bad(void **state) {
        bad(NPWG, "a,,b",
            "\"" NPWG "[1]\": wanted a network, found nothing; is there a comma too many?");
        bad(NPWG, "a,",
            "\"" NPWG "[1]\": wanted a network, found nothing; is there a comma too many?");
        bad(NPWG, "a,b/c/d",
            "\"" NPWG "[1]\": more than one '/' in \"b/c/d\"; wanted is NAMESPACE/NAME@INTERFACE");
        bad(NPWG, "a@b@c",
            "\"" NPWG "[0]\": more than one '@' in \"a@b@c\"; wanted is NAMESPACE/NAME@INTERFACE");
        bad(NPWG, "a@",
            "\"" NPWG "[0]\": \"\" behind '@' is not an interface name (1 to 15 bytes without '/', "
            "':', '%' and white space)");
        bad(NPWG, "a,b@a-name-too-long0",
            "\"" NPWG
            "[1]\": \"a-name-too-long0\" behind '@' is not an interface name (1 to 15 bytes "
            "without '/', ':', '%' and white space)");
        bad(NPWG, "a@b/c",
            "\"" NPWG
            "[0]\": \"b/c\" behind '@' is not an interface name (1 to 15 bytes without '/', "
            "':', '%' and white space)");
        bad(NPWG, "a@b c",
            "\"" NPWG
            "[0]\": \"b c\" behind '@' is not an interface name (1 to 15 bytes without '/', "
            "':', '%' and white space)");
        bad(NPWG, "Blue/a",
            "\"" NPWG
            "[0]\": \"Blue\" is not a namespace; wanted are 1 to 63 lower-case letters, digits "
            "and '-', a letter or digit first and last");
        bad(NPWG, "/a",
            "\"" NPWG
            "[0]\": \"\" is not a namespace; wanted are 1 to 63 lower-case letters, digits and "
            "'-', a letter or digit first and last");
        bad(NPWG, "blue/",
            "\"" NPWG
            "[0]\": \"\" is not the name of a network; wanted are 1 to 128 letters, digits, '-', "
            "'_' and '.', a letter or digit first");
        bad(NPWG, "a,b c",
            "\"" NPWG
            "[1]\": \"b c\" is not the name of a network; wanted are 1 to 128 letters, digits, "
            "'-', '_' and '.', a letter or digit first");
        bad(NPWG, "../a",
            "\"" NPWG
            "[0]\": \"..\" is not a namespace; wanted are 1 to 63 lower-case letters, digits and "
            "'-', a letter or digit first and last");
        pairs_bad((Pair[]) { { NPWG, "a,b\033[31m" }, {} }, ERROR_DECODE,
                  NPWG ": no valid JSON at byte 0: unexpected character");
        bad(NPWG, "a,b\033c",
            "\"" NPWG "[1]\": control characters or invalid UTF-8 in the name of a network");
        bad(NPWG, "a\nb",
            "\"" NPWG "[0]\": control characters or invalid UTF-8 in the name of a network");
}

static void test_json_form(void **state) {
        NetSelections s = ok(
                        NPWG,
                        "[{\"name\":\"a\"},"
                        "{\"name\":\"b\",\"namespace\":\"blue\",\"interface\":\"data0\","
                        "\"ips\":[\"10.97.0.9\",\"10.97.0.10/24\",\"fd97::9\"],\"mac\":\"02-00-00-00-00-01\","
                        "\"infiniband-guid\":\"C2-11-22-33-44-55-66-77\","
                        "\"portMappings\":[{\"hostPort\":8080,\"containerPort\":80},"
                        "{\"hostPort\":53,\"containerPort\":53,\"protocol\":\"Udp\",\"hostIP\":\"192.0.2.1\","
                        "\"org.foo.x\":1}],"
                        "\"bandwidth\":{\"ingressRate\":1000000,\"ingressBurst\":200000,\"egressRate\":5},"
                        "\"cni-args\":{\"vlan\":5,\"deep\":{\"x\":[1]}},"
                        "\"default-route\":[\"10.97.0.1\",\"fd97::1\",\"10.97.0.2\"],"
                        "\"deviceID\":\"0000:3b:00.1\",\"org.foo.key\":{\"any\":[]}}]");

        assert_int_equal(s.n_items, 2);
        assert_false(s.items[0].has_default_route);
        assert_int_equal(s.items[0].n_ips, 0);
        const NetSelection *b = &s.items[1];
        assert_string_equal(b->where, NPWG "[1]");
        assert_string_equal(b->namespace, "blue");
        assert_string_equal(b->ifname, "data0");
        assert_int_equal(b->n_ips, 3);
        assert_int_equal(b->bare_ips, 5);
        assert_string_equal(IN_PREFIX_STR(&b->ips[0]), "10.97.0.9/32");
        assert_string_equal(IN_PREFIX_STR(&b->ips[1]), "10.97.0.10/24");
        assert_string_equal(IN_PREFIX_STR(&b->ips[2]), "fd97::9/128");
        assert_string_equal(MAC_STR(&b->mac), "02:00:00:00:00:01");
        assert_string_equal(b->infiniband_guid, "c2:11:22:33:44:55:66:77");
        assert_int_equal(b->n_ports, 2);
        assert_int_equal(b->ports[0].protocol, IPPROTO_TCP);
        assert_int_equal(b->ports[0].host_port, 8080);
        assert_int_equal(b->ports[0].container_port, 80);
        assert_int_equal(b->ports[0].host.family, AF_UNSPEC);
        assert_int_equal(b->ports[1].protocol, IPPROTO_UDP);
        assert_string_equal(IN_ADDR_STR(&b->ports[1].host), "192.0.2.1");
        assert_int_equal(b->bandwidth.ingress_rate, 1000000);
        assert_int_equal(b->bandwidth.ingress_burst, 200000);
        assert_int_equal(b->bandwidth.egress_rate, 5);
        assert_int_equal(b->bandwidth.egress_burst, 0);
        assert_int_equal(json_object_get_int(json_get(b->cni_args, "vlan")), 5);
        assert_true(b->has_default_route);
        assert_int_equal(b->n_gateways, 3);
        assert_string_equal(IN_ADDR_STR(&b->gateways[0]), "10.97.0.1");
        assert_string_equal(IN_ADDR_STR(&b->gateways[1]), "fd97::1");
        assert_string_equal(IN_ADDR_STR(&b->gateways[2]), "10.97.0.2");
        assert_string_equal(b->device_id, "0000:3b:00.1");
        assert_null(b->ipam_claim);
        net_selections_clear(&s);

        /* what Go's writers leave behind says nothing; keys match without case; the old name of a key */
        s = ok(NPWG,
               "[{\"Name\":\"a\",\"namespace\":\"\",\"interface\":\"\",\"mac\":\"\",\"cni-args\":null,"
               "\"infiniband-guid\":\"\",\"deviceID\":\"\",\"ipam-claim-reference\":\"vm-1.claim\","
               "\"interfaceRequest\":\"old0\",\"default-route\":[],\"portMappings\":[],\"ips\":null,"
               "\"bandwidth\":{}}]");
        assert_null(s.items[0].namespace);
        assert_string_equal(s.items[0].ifname, "old0");
        assert_string_equal(s.items[0].ipam_claim, "vm-1.claim");
        assert_true(s.items[0].has_default_route);
        assert_int_equal(s.items[0].n_gateways, 0);
        assert_null(s.items[0].infiniband_guid);
        assert_null(s.items[0].cni_args);
        net_selections_clear(&s);

        s = ok(NPWG, "[{\"name\":\"a\",\"interface\":\"x\",\"interfaceRequest\":\"x\"}]");
        assert_string_equal(s.items[0].ifname, "x");
        net_selections_clear(&s);
}

/* A key of the second network, and what is said about it behind the key's path. */
static void test_json_form_bad(void **state) {
        static const struct {
                const char *keys, *sentence;
        } table[] = {
#define P NPWG "[1]"
                { "\"namespace\":\"a.b\"",
                  "\"" P
                  ".namespace\": \"a.b\" is not a namespace; wanted are 1 to 63 lower-case letters, "
                  "digits and '-', a letter or digit first and last" },
                { "\"namespace\":7", P ".namespace: wanted a string, found 7" },
                { "\"interface\":\"a/b\"",
                  "\"" P
                  ".interface\": \"a/b\" is not an interface name (1 to 15 bytes without '/', ':', '%' "
                  "and white space)" },
                { "\"interface\":\"a\",\"interfaceRequest\":\"b\"",
                  "\"" P
                  ".interfaceRequest\": \"b\", but \"interface\" says \"a\"; wanted is one name" },
                { "\"interfaceRequest\":\"a b\"",
                  "\"" P
                  ".interfaceRequest\": \"a b\" is not an interface name (1 to 15 bytes without '/', "
                  "':', '%' and white space)" },
                { "\"ips\":\"10.97.0.9\"", P ".ips: wanted an array, found \"10.97.0.9\"" },
                { "\"ips\":[]",
                  "\"" P ".ips\": wanted an address or more, found none; leave the key out" },
                { "\"ips\":[\"10.97.0.9\",\"10.97.0\"]",
                  "\"" P
                  ".ips[1]\": \"10.97.0\" is not an address, with or without a prefix length" },
                { "\"ips\":[\"10.97.0.9/33\"]",
                  "\"" P
                  ".ips[0]\": \"10.97.0.9/33\" is not an address, with or without a prefix length" },
                { "\"ips\":[null]", P ".ips[0]: wanted a string, found null" },
                { "\"ips\":[\"224.0.0.1\"]",
                  "\"" P
                  ".ips[0]\": 224.0.0.1 is a multicast address, which no interface of a pod and no "
                  "gateway has" },
                { "\"ips\":[\"10.97.0.9\",\"10.97.0.9\",\"::1\"]",
                  "\"" P
                  ".ips[2]\": ::1 is a loopback address, which no interface of a pod and no gateway "
                  "has" },
                { "\"mac\":\"02:00:00:00:00\"",
                  "\"" P
                  ".mac\": \"02:00:00:00:00\" is not the MAC address of one interface; wanted is such "
                  "as \"02:11:22:33:44:55\"" },
                { "\"mac\":\"ff:ff:ff:ff:ff:ff\"",
                  "\"" P
                  ".mac\": \"ff:ff:ff:ff:ff:ff\" is not the MAC address of one interface; wanted is "
                  "such as \"02:11:22:33:44:55\"" },
                { "\"infiniband-guid\":\"c2:11:22:33:44:55:66\"",
                  "\"" P
                  ".infiniband-guid\": \"c2:11:22:33:44:55:66\" is not the GUID of an InfiniBand port; "
                  "wanted are eight bytes, such as \"c2:11:22:33:44:55:66:77\"" },
                { "\"infiniband-guid\":\"00:00:00:00:00:00:00:00\"",
                  "\"" P
                  ".infiniband-guid\": \"00:00:00:00:00:00:00:00\" is not the GUID of an InfiniBand "
                  "port; wanted are eight bytes, such as \"c2:11:22:33:44:55:66:77\"" },
                { "\"infiniband-guid\":\"c2:11-22:33:44:55:66:77\"",
                  "\"" P
                  ".infiniband-guid\": \"c2:11-22:33:44:55:66:77\" is not the GUID of an InfiniBand "
                  "port; wanted are eight bytes, such as \"c2:11:22:33:44:55:66:77\"" },
                { "\"portMappings\":{}", P ".portMappings: wanted an array, found {}" },
                { "\"portMappings\":[{\"hostPort\":0,\"containerPort\":80}]",
                  "\"" P ".portMappings[0].hostPort\": wanted a port from 1 to 65535, found none" },
                { "\"portMappings\":[{\"hostPort\":80}]",
                  "\"" P
                  ".portMappings[0].containerPort\": wanted a port from 1 to 65535, found none" },
                { "\"portMappings\":[{\"hostPort\":65536,\"containerPort\":80}]",
                  "\"" P
                  ".portMappings[0].hostPort\": 65536 is not a port; wanted is a number from 1 to "
                  "65535" },
                { "\"portMappings\":[{\"hostPort\":80,\"containerPort\":\"80\"}]",
                  "\"" P
                  ".portMappings[0].containerPort\": \"80\" is not a port; wanted is a number from 1 to "
                  "65535" },
                { "\"portMappings\":[{\"hostPort\":1,\"containerPort\":1,\"protocol\":\"icmp\"}]",
                  "\"" P ".portMappings[0].protocol\": wanted tcp, udp or sctp, found \"icmp\"" },
                { "\"portMappings\":[{\"hostPort\":1,\"containerPort\":1,\"hostIP\":\"here\"}]",
                  "\"" P
                  ".portMappings[0].hostIP\": wanted an address of the host, found \"here\"" },
                { "\"portMappings\":[{\"hostPort\":1,\"containerPort\":1},{\"hostPort\":1,"
                  "\"containerPort\":2}]",
                  "\"" P
                  ".portMappings[1]\": host port *:1/tcp to 2 conflicts with *:1/tcp to 1 of the same "
                  "list; a host port can lead to one port of the container" },
                { "\"bandwidth\":[]", P ".bandwidth: wanted an object, found []" },
                { "\"bandwidth\":{\"egressBurst\":5}",
                  "\"" P ".bandwidth.egressBurst\" without \"" P
                  ".bandwidth.egressRate\": give the rate too, "
                  "or leave the burst out" },
                { "\"bandwidth\":{\"ingressRate\":-1}", P
                  ".bandwidth.ingressRate: wanted a whole number from 0 to 18446744073709551615, found -1" },
                { "\"cni-args\":[]", "\"" P ".cni-args\": [] is not an object" },
                { "\"default-route\":\"10.97.0.1\"",
                  P ".default-route: wanted an array, found \"10.97.0.1\"" },
                { "\"default-route\":[\"10.97.0.1\",\"\"]", P
                  ".default-route[1]: wanted an address such as \"10.97.0.1\" or \"fd97::1\", found \"\"" },
                { "\"default-route\":[\"::\"]",
                  "\"" P
                  ".default-route[0]\": :: is the unspecified address, which no interface of a pod and "
                  "no gateway has" },
                { "\"default-route\":[\"10.97.0.1\",\"10.97.0.1\"]",
                  "\"" P ".default-route[1]\": gateway 10.97.0.1 is in the list already" },
                { "\"ipam-claim-reference\":\"Claim\"",
                  "\"" P
                  ".ipam-claim-reference\": \"Claim\" is not the name of an object; wanted are 1 to 253 "
                  "lower-case letters, digits, '-' and '.', a letter or digit first and last" },
                { "\"ipam-claim-reference\":\"a..b\"",
                  "\"" P
                  ".ipam-claim-reference\": \"a..b\" is not the name of an object; wanted are 1 to 253 "
                  "lower-case letters, digits, '-' and '.', a letter or digit first and last" },
                { "\"ips\":[\"10.97.0.9\"],\"ipam-claim-reference\":\"a\"",
                  "\"" P
                  ".ips\" and \"ipam-claim-reference\" exclude each other: the claim has the "
                  "addresses" },
                { "\"deviceID\":\"../x\"",
                  "\"" P ".deviceID\": \"../x\" is not a device; wanted is a PCI address such as "
                  "\"0000:3b:00.1\", or the name of an auxiliary device" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[512];

                snprintf(text, sizeof(text), "[{\"name\":\"a\"},{\"name\":\"b\",%s}]",
                         table[i].keys);
                bad(NPWG, text, table[i].sentence);
        }
#undef P
}

static void test_json_shape_bad(void **state) {
        unknown(NPWG, "[{\"name\":\"a\",\"IPs2\":[\"x\"]}]",
                "\"" NPWG "[0].IPs2\": unknown key, with value [\"x\"]");
        unknown(NPWG, "[{\"name\":\"a\",\"bandwidth\":{\"rate\":1}}]",
                "\"" NPWG "[0].bandwidth.rate\": unknown key, with value 1");
        unknown(NPWG, "[{\"name\":\"a\",\"portMappings\":[{\"port\":1}]}]",
                "\"" NPWG "[0].portMappings[0].port\": unknown key, with value 1");
        unknown(NPWG, "[{\"name\":\"a\",\"\\u001b[31m\":1}]",
                "\"" NPWG "[0]\": a key with control characters");

        bad(NPWG, "[{}]", NPWG "[0].name: wanted a value, found nothing");
        bad(NPWG, "[{\"name\":\"\"}]",
            "\"" NPWG
            "[0].name\": \"\" is not the name of a network; wanted are 1 to 128 letters, digits, "
            "'-', '_' and '.', a letter or digit first");
        bad(NPWG, "[{\"name\":\"blue/a\"}]",
            "\"" NPWG
            "[0].name\": \"blue/a\" is not the name of a network; wanted are 1 to 128 letters, "
            "digits, '-', '_' and '.', a letter or digit first");
        bad(NPWG, "[{\"name\":\"a\"},null]", NPWG "[1]: wanted an object, found null");
        bad(NPWG, "[\"a\"]", NPWG "[0]: wanted an object, found \"a\"");
        bad(NPWG, "{\"name\":\"a\"}", NPWG ": wanted an array, found {\"name\":\"a\"}");
        bad(NPWG, "\"a\"", NPWG ": wanted an array, found \"a\"");
        bad(NPWG,
            "[{\"name\":\"a\",\"default-route\":[]},{\"name\":\"b\"},{\"name\":\"c\",\"default-route\":[]}]",
            "\"" NPWG "[2].default-route\": " NPWG
            "[0] has one already; one network of a pod can give the default route");
        pairs_bad((Pair[]) { { NPWG, "[{\"name\":\"a\"" }, {} }, ERROR_DECODE,
                  NPWG ": ends in the middle (12 bytes)");
        pairs_bad((Pair[]) { { NPWG, "[{\"name\":\"a\"}] x" }, {} }, ERROR_DECODE,
                  NPWG ": no valid JSON at byte 15: unexpected character");
}

static void test_limits(void **state) {
        char text[SELECTIONS_MAX * 2 + 4] = "";

        for (unsigned i = 0; i < SELECTIONS_MAX; i++)
                strcat(text, i ? ",a" : "a");
        NetSelections s = ok(NPWG, text);
        assert_int_equal(s.n_items, SELECTIONS_MAX);
        net_selections_clear(&s);
        strcat(text, ",a");
        bad(NPWG, text, NPWG "[32]: one network too many; a pod can ask for 32");

        _cleanup_free_ char *large = malloc(SELECTION_SIZE_MAX + 2);
        assert_non_null(large);
        memset(large, ' ', SELECTION_SIZE_MAX + 1);
        large[SELECTION_SIZE_MAX + 1] = 0;
        bad(NPWG, large, NPWG ": 262145 bytes, at most 262144 are read");
        large[SELECTION_SIZE_MAX] = 0;
        s = ok(NPWG, large);
        assert_int_equal(s.n_items, 0);
        net_selections_clear(&s);
}

static void test_default_network(void **state) {
        NetSelections s = pairs_ok(
                        (Pair[]) { { NPWG, "a,b" },
                                   { FIRST, "[{\"name\":\"base\",\"namespace\":\"infra\"}]" },
                                   {} });

        assert_true(s.replaces_default);
        assert_string_equal(s.prefix, "net");
        assert_int_equal(s.n_items, 3);
        assert_string_equal(s.items[0].where, FIRST "[0]");
        assert_string_equal(s.items[0].namespace, "infra");
        assert_string_equal(s.items[1].where, NPWG "[0]");
        assert_int_equal(net_selections_name(&s, "eth0", NULL), 0);
        assert_string_equal(s.items[0].ifname, "eth0");
        assert_string_equal(s.items[1].ifname, "net1");
        assert_string_equal(s.items[2].ifname, "net2");
        net_selections_clear(&s);

        names(FIRST, "base", "eth0");
        names(FIRST, "base@eth0", "eth0");
        names(FIRST, "base@x0",
              "\"" FIRST
              "[0].interface\": \"x0\" cannot be the name of the default network's interface, "
              "which the runtime calls \"eth0\"; leave it out");
        bad(FIRST, "a,b", FIRST ": wanted one network, found 2");
        bad(FIRST, "[]", FIRST ": wanted one network, found 0");
        bad(FIRST, "a b",
            "\"" FIRST
            "[0]\": \"a b\" is not the name of a network; wanted are 1 to 128 letters, digits, '-', "
            "'_' and '.', a letter or digit first");
        pairs_bad((Pair[]) { { FIRST, "[{\"name\":\"a\",\"default-route\":[]}]" },
                             { NPWG, "[{\"name\":\"a\",\"default-route\":[]}]" },
                             {} },
                  ERROR_INVALID_ARGUMENT,
                  "\"" NPWG "[0].default-route\": " FIRST
                  "[0] has one already; one network of a pod can give the default route");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_short_form),     cmocka_unit_test(test_nothing),
                cmocka_unit_test(test_short_form_bad), cmocka_unit_test(test_json_form),
                cmocka_unit_test(test_json_form_bad),  cmocka_unit_test(test_json_shape_bad),
                cmocka_unit_test(test_limits),         cmocka_unit_test(test_default_network),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
