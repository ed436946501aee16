/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * network-status as text. What is expected was written by hand after the output of the client library
 * (network-attachment-definition-client 1.7, SetNetworkStatus), not by a program of ours.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "core/attachment.h"
#include "core/network-status.h"

static char *go_text(const char *json) {
        _cleanup_json_ json_object *o = NULL;

        assert_int_equal(json_parse(json, strlen(json), "test", &o, NULL), 0);
        char *text = json_to_go_text(o);
        assert_non_null(text);
        return text;
}

static void expect_go(const char *json, const char *expected) {
        _cleanup_free_ char *text = go_text(json);
        assert_string_equal(text, expected);
}

static void test_marshal_indent(void **state _unused_) {
        expect_go("{}", "{}");
        expect_go("[]", "[]");
        expect_go("{\"a\":[],\"b\":{}}", "{\n    \"a\": [],\n    \"b\": {}\n}");
        expect_go("{\"b\":1,\"a\":[true,null,\"x\"]}",
                  "{\n    \"b\": 1,\n    \"a\": [\n        true,\n        null,\n        \"x\"\n"
                  "    ]\n}");
}

static void test_strings(void **state _unused_) {
        expect_go("\"a/b \\\"c\\\\\"", "\"a/b \\\"c\\\\\"");
        expect_go("\"<a&b>\"", "\"\\u003ca\\u0026b\\u003e\"");
        expect_go("\"\\n\\t\\r\\b\\f\\u0001\\u001f\\u007f\"",
                  "\"\\n\\t\\r\\b\\f\\u0001\\u001f\x7f\"");
        expect_go("\"\\u2028\\u2029\\u202a\\u00e4\"", "\"\\u2028\\u2029\xe2\x80\xaa\xc3\xa4\"");
}

/* --- sandboxes ----------------------------------------------------------------------------------- */

typedef struct World {
        Sandbox sandbox;
        Network network;
        Attachment attachments[12];
        SpecAddress addresses[12][2];
        NetRoute routes[12][4];
} World;

static World *new_world(void) {
        World *w = calloc(1, sizeof(World));
        assert_non_null(w);
        list_init(&w->sandbox.attachments);
        w->network.name = (char *) "inner";
        return w;
}

/* Attachment number i; its address is 10.0.I.2/24. */
static Attachment *add(World *w, unsigned i, NetKind kind, const char *ifname, unsigned position) {
        Attachment *a = &w->attachments[i];
        char text[32];

        a->network = &w->network;
        a->sandbox = &w->sandbox;
        a->state = ATTACHMENT_UP;
        a->spec.id = i + 1;
        a->spec.kind = kind;
        a->spec.position = position;
        a->spec.cni_name = (char *) "cbr0";
        a->spec.mtu = 1450;
        a->spec.mac = (MacAddr) { { 2, 0, 0, 0, 0, (uint8_t) i } };
        a->spec.addresses = w->addresses[i];
        a->spec.n_addresses = 1;
        a->spec.routes = w->routes[i];
        snprintf(a->spec.ifname, sizeof(a->spec.ifname), "%s", ifname);
        snprintf(text, sizeof(text), "10.0.%u.2/24", i);
        assert_int_equal(in_prefix_parse(text, &w->addresses[i][0].address), 0);
        list_append(&w->sandbox.attachments, &a->by_sandbox);
        w->sandbox.n_attachments++;
        return a;
}

static NetRoute *add_route(Attachment *a, const char *dst, const char *gw) {
        NetRoute *r = &a->spec.routes[a->spec.n_routes++];

        *r = (NetRoute) { .table = -1, .scope = -1 };
        assert_int_equal(in_prefix_parse(dst, &r->dst), 0);
        assert_int_equal(in_addr_parse(gw, &r->gw), 0);
        return r;
}

static void expect(const World *w, const char *expected) {
        _cleanup_free_ char *text = sandbox_network_status_text(&w->sandbox);

        assert_non_null(text);
        assert_string_equal(text, expected);
}

static void test_two_networks(void **state _unused_) {
        _cleanup_free_ World *w = new_world();
        Attachment *second = add(w, 2, NET_KIND_BRIDGE, "net1", 1),
                   *first = add(w, 1, NET_KIND_ROUTED, "eth0", 0);
        char *nameservers[] = { (char *) "10.0.0.53", NULL }, *search[] = { (char *) "x.y", NULL };

        add(w, 0, NET_KIND_LOOPBACK, "lo", 0);
        add(w, 3, NET_KIND_ROUTED, "net2", 2)->state = ATTACHMENT_RELEASING;
        snprintf(second->spec.parent, sizeof(second->spec.parent), "eth0");
        second->spec.reference = (char *) "space/blue";
        second->spec.dns = (NetDns) { .nameservers = nameservers, .search = search };
        assert_int_equal(in_prefix_parse("fd00::2/64", &w->addresses[1][1].address), 0);
        first->spec.n_addresses = 2;
        add_route(first, "0.0.0.0/0", "169.254.1.1");
        add_route(first, "10.9.0.0/16", "10.0.1.7");
        add_route(first, "::/0", "fe80::1");
        add_route(first, "0.0.0.0/0", "10.0.1.9")->table = 100;
        expect(w, "[{\n"
                  "    \"name\": \"cbr0\",\n"
                  "    \"interface\": \"eth0\",\n"
                  "    \"ips\": [\n"
                  "        \"10.0.1.2\",\n"
                  "        \"fd00::2\"\n"
                  "    ],\n"
                  "    \"mac\": \"02:00:00:00:00:01\",\n"
                  "    \"mtu\": 1450,\n"
                  "    \"default\": true,\n"
                  "    \"dns\": {},\n"
                  "    \"gateway\": [\n"
                  "        \"169.254.1.1\",\n"
                  "        \"fe80::1\"\n"
                  "    ]\n"
                  "},{\n"
                  "    \"name\": \"space/blue\",\n"
                  "    \"interface\": \"net1\",\n"
                  "    \"ips\": [\n"
                  "        \"10.0.2.2\"\n"
                  "    ],\n"
                  "    \"mac\": \"02:00:00:00:00:02\",\n"
                  "    \"mtu\": 1450,\n"
                  "    \"dns\": {\n"
                  "        \"nameservers\": [\n"
                  "            \"10.0.0.53\"\n"
                  "        ],\n"
                  "        \"search\": [\n"
                  "            \"x.y\"\n"
                  "        ]\n"
                  "    }\n"
                  "}]");
}

/* A bare wire has neither address nor gateway: what is empty is left out. */
static void test_little(void **state _unused_) {
        _cleanup_free_ World *w = new_world();

        expect(w, "[]");
        Attachment *a = add(w, 1, NET_KIND_BRIDGE, "net1", 1);
        a->spec.n_addresses = 0;
        a->spec.mtu = 0;
        a->spec.mac = (MacAddr) { { 0 } };
        a->spec.cni_name = NULL;
        snprintf(a->spec.parent, sizeof(a->spec.parent), "eth0");
        expect(w,
               "[{\n    \"name\": \"inner\",\n    \"interface\": \"net1\",\n    \"dns\": {}\n}]");
}

/* A multiplexer of others calls once per interface, each of which looks like the only one. */
static void test_several_calls(void **state _unused_) {
        _cleanup_free_ World *w = new_world();

        add(w, 5, NET_KIND_ROUTED, "net1", 0)->spec.n_addresses = 0;
        add(w, 4, NET_KIND_ROUTED, "eth0", 0)->spec.n_addresses = 0;
        expect(w, "[{\n    \"name\": \"cbr0\",\n    \"interface\": \"eth0\",\n"
                  "    \"mac\": \"02:00:00:00:00:04\",\n    \"mtu\": 1450,\n"
                  "    \"default\": true,\n    \"dns\": {}\n"
                  "},{\n    \"name\": \"cbr0\",\n    \"interface\": \"net1\",\n"
                  "    \"mac\": \"02:00:00:00:00:05\",\n    \"mtu\": 1450,\n    \"dns\": {}\n}]");
}

/* A plugin of others that made two interfaces: an entry each, the default is the one with the gateway. */
static void test_result_of_others(void **state _unused_) {
        _cleanup_free_ World *w = new_world();
        Attachment *a = add(w, 1, NET_KIND_FOREIGN, "eth0", 0);

        a->spec.mac = (MacAddr) { { 0 } };
        a->spec.mtu = 0;
        a->result = (char *) "{\"cniVersion\":\"1.1.0\",\"interfaces\":[{\"name\":\"br\"},"
                             "{\"name\":\"eth0\",\"mac\":\"aa:bb:cc:dd:ee:ff\",\"sandbox\":\"/n\"},"
                             "{\"name\":\"eth9\",\"mtu\":9000,\"sandbox\":\"/n\"}],"
                             "\"ips\":[{\"address\":\"10.1.0.2/24\",\"interface\":1},"
                             "{\"address\":\"10.2.0.2/24\",\"interface\":2,\"gateway\":\"10.2.0.1\"},"
                             "{\"address\":\"10.3.0.2/24\"},"
                             "{\"address\":\"10.4.0.2/24\",\"interface\":0}],"
                             "\"routes\":[{\"dst\":\"0.0.0.0/0\",\"gw\":\"10.2.0.1\"}],"
                             "\"dns\":{\"domain\":\"d\",\"options\":[\"o\"]}}";
        expect(w, "[{\n    \"name\": \"cbr0\",\n    \"interface\": \"eth0\",\n"
                  "    \"ips\": [\n        \"10.1.0.2\"\n    ],\n"
                  "    \"mac\": \"aa:bb:cc:dd:ee:ff\",\n"
                  "    \"dns\": {\n        \"domain\": \"d\",\n        \"options\": [\n"
                  "            \"o\"\n        ]\n    },\n"
                  "    \"gateway\": [\n        \"10.2.0.1\"\n    ]\n"
                  "},{\n    \"name\": \"cbr0\",\n    \"interface\": \"eth9\",\n"
                  "    \"ips\": [\n        \"10.2.0.2\",\n        \"10.3.0.2\"\n    ],\n"
                  "    \"mtu\": 9000,\n    \"default\": true,\n"
                  "    \"dns\": {\n        \"domain\": \"d\",\n        \"options\": [\n"
                  "            \"o\"\n        ]\n    },\n"
                  "    \"gateway\": [\n        \"10.2.0.1\"\n    ]\n}]");
        /* One that says nothing of the sandbox: what is known otherwise. */
        a->result = (char *) "{\"cniVersion\":\"0.2.0\",\"ip4\":{\"ip\":\"10.1.0.2/24\"}}";
        expect(w, "[{\n    \"name\": \"cbr0\",\n    \"interface\": \"eth0\",\n"
                  "    \"ips\": [\n        \"10.0.1.2\"\n    ],\n    \"default\": true,\n"
                  "    \"dns\": {}\n}]");
}

/* --- CNI-Genie ----------------------------------------------------------------------------------- */

static void test_multi_ip(void **state _unused_) {
        _cleanup_free_ World *w = new_world();
        _cleanup_free_ char *none = NULL, *two = NULL, *many = NULL;

        add(w, 0, NET_KIND_ROUTED, "eth0", 0);
        assert_string_equal(none = sandbox_multi_ip_text(&w->sandbox), "");
        add(w, 1, NET_KIND_ROUTED, "eth1", 1);
        assert_string_equal(two = sandbox_multi_ip_text(&w->sandbox),
                            "{\"multi_entry\":2,\"ips\":{"
                            "\"ip1\":{\"ip\":\"10.0.0.2\",\"interface\":\"eth0\"},"
                            "\"ip2\":{\"ip\":\"10.0.1.2\",\"interface\":\"eth1\"}}}");
        /* Keys are in the order of their letters, as Go writes a map. */
        for (unsigned i = 2; i < 11; i++)
                add(w, i, NET_KIND_ROUTED, "ethx", i);
        many = sandbox_multi_ip_text(&w->sandbox);
        assert_non_null(strstr(many, "{\"multi_entry\":11,"));
        assert_true(strstr(many, "\"ip1\"") < strstr(many, "\"ip10\""));
        assert_true(strstr(many, "\"ip10\"") < strstr(many, "\"ip11\""));
        assert_true(strstr(many, "\"ip11\"") < strstr(many, "\"ip2\""));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_marshal_indent), cmocka_unit_test(test_strings),
                cmocka_unit_test(test_two_networks),   cmocka_unit_test(test_little),
                cmocka_unit_test(test_several_calls),  cmocka_unit_test(test_result_of_others),
                cmocka_unit_test(test_multi_ip),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
