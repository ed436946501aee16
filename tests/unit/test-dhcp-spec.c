/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* DHCP in configurations, in what servers are told, and in specifications. */

#include "core/dhcp-spec.h"
#include "netconf-test.h"

static void test_conf(void **state) {
        NetConf *c = parse_ok(DHCP(
                        ",\"daemonSocketPath\":\"/run/cni/dhcp.sock\",\"priority\":50,"
                        "\"provide\":[{\"option\":\"host-name\",\"value\":\"a\",\"fromArg\":\"K8S_POD_NAME\"},"
                        "{\"option\":\"60\",\"value\":\"b\"},{\"option\":77,\"value\":\"\"}],"
                        "\"request\":[{\"skipDefault\":true},{\"option\":\"routers\"},{\"option\":\"43\"}]"));

        assert_int_equal(c->ipam, NET_IPAM_DHCP);
        assert_string_equal(c->ipam_type, "dhcp");
        assert_int_equal(c->dhcp.priority, 50);
        assert_int_equal(c->dhcp.n_provide, 3);
        assert_int_equal(c->dhcp.provide[0].code, 12);
        assert_string_equal(c->dhcp.provide[0].from_arg, "K8S_POD_NAME");
        assert_int_equal(c->dhcp.provide[1].code, 60);
        assert_int_equal(c->dhcp.provide[2].code, 77);
        assert_true(c->dhcp.skip_default);
        assert_int_equal(c->dhcp.n_request, 2);
        assert_memory_equal(c->dhcp.request, "\3\53", 2);
        netconf_free(c);
}

/* What the server is told is part of the network. */
static void test_hash(void **state) {
        static const char *const texts[] = {
                DHCP(""),
                DHCP(",\"priority\":1"),
                DHCP(",\"provide\":[{\"option\":12,\"value\":\"a\"}]"),
                DHCP(",\"provide\":[{\"option\":12,\"fromArg\":\"a\"}]"),
                DHCP(",\"request\":[{\"option\":12}]"),
                DHCP(",\"request\":[{\"option\":12,\"skipDefault\":true}]"),
        };
        uint64_t hash[ELEMENTSOF(texts)];

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                NetConf *c = parse_ok(texts[i]);
                hash[i] = c->hash;
                netconf_free(c);
                for (size_t k = 0; k < i; k++)
                        assert_int_not_equal(hash[i], hash[k]);
        }
        NetConf *same = parse_ok(
                        DHCP(",\"daemonSocketPath\":\"/x\",\"provide\":[],\"request\":[]"));
        assert_int_equal(same->hash, hash[0]);
        netconf_free(same);
}

static DhcpRequest options(const char *text, const char *args, const char *cid) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetConf *c = parse_ok(text);
        DhcpRequest q = { 0 };

        if (dhcp_spec_options(&c->dhcp, args, cid, "net", "eth0", &q, &e) < 0)
                fail_msg("%s", error_message(&e));
        netconf_free(c);
        return q;
}

static void test_client_id(void **state) {
        char cid[129], expected[256] = { 0 };
        DhcpRequest q = options(DHCP(""), NULL, "pod1");

        assert_int_equal(q.provide_size, 2 + 1 + strlen("pod1/net/eth0"));
        assert_memory_equal(q.provide, "\75\16\0pod1/net/eth0", q.provide_size);
        /* One's own takes its place, without a byte in front. */
        q = options(DHCP(",\"provide\":[{\"option\":\"dhcp-client-identifier\",\"value\":\"me\"}]"),
                    NULL, "pod1");
        assert_memory_equal(q.provide, "\75\2me", 4);
        assert_int_equal(q.provide_size, 4);
        /* One that comes from nowhere does not. */
        q = options(DHCP(",\"provide\":[{\"option\":61,\"fromArg\":\"X\"}]"), "Y=1", "pod1");
        assert_memory_equal(q.provide, "\75\16\0pod1", 7);

        memset(cid, 'c', 128);
        cid[128] = '\0';
        q = options(DHCP(""), NULL, cid);
        snprintf(expected, sizeof(expected), "%s/net/eth0", cid);
        assert_int_equal(q.provide[1], 1 + strlen(expected));
        assert_memory_equal(q.provide + 3, expected, strlen(expected));
}

static void test_client_id_cut(void **state) {
        char network[201];
        NetDhcp none = { 0 };
        DhcpRequest q = { 0 };
        Error e = ERROR_NULL;

        memset(network, 'n', 200);
        network[200] = '\0';
        assert_int_equal(dhcp_spec_options(&none, NULL, "0123456789012345678901234567890123456789",
                                           network, "a-long-interfac", &q, &e),
                         0);
        assert_int_equal(q.provide[1], 255);
        assert_int_equal(q.provide_size, 257);
        assert_memory_equal(q.provide + 2 + 1 + 40 + 1 + 200, "/a-long-inter", 13);
}

static void test_from_arg(void **state) {
        const char *conf = DHCP(
                        ",\"provide\":[{\"option\":12,\"value\":\"otherwise\",\"fromArg\":\"K8S_POD_NAME\"}]");
        DhcpRequest q = options(conf, "IgnoreUnknown=1;K8S_POD_NAME=web-0;X=K8S_POD_NAME", "c");
        assert_memory_equal(q.provide, "\14\5web-0", 7);
        q = options(conf, "IgnoreUnknown=1;k8s_pod_name=web-0", "c");
        assert_memory_equal(q.provide, "\14\11otherwise", 11);
        q = options(conf, NULL, "c");
        assert_memory_equal(q.provide, "\14\11otherwise", 11);
        q = options(DHCP(",\"provide\":[{\"option\":12,\"fromArg\":\"X\"}]"), "X=", "c");
        assert_int_equal(q.provide[0], 61); /* an empty one is none */
}

static void test_too_much(void **state) {
        char args[400] = "X=";
        NetDhcpOption o = { .code = 12, .from_arg = (char *) "X" };
        NetDhcp conf = { .provide = &o, .n_provide = 1 };
        DhcpRequest q = { 0 };
        Error e = ERROR_NULL;

        memset(args + 2, 'x', 256);
        assert_true(dhcp_spec_options(&conf, args, "c", "n", "eth0", &q, &e) < 0);
        assert_int_equal(e.kind, ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(error_message(&e), "256 bytes"));
        error_clear(&e);
        args[2 + 255] = '\0';
        assert_int_equal(dhcp_spec_options(&conf, args, "c", "n", "eth0", &q, &e), 0);
}

static void test_wanted(void **state) {
        DhcpRequest q = options(DHCP(""), NULL, "c");

        assert_memory_equal(q.wanted, "\1\171\3\41\6\17\167\32\72\73", q.wanted_size);
        q = options(DHCP(",\"request\":[{\"skipDefault\":true,\"option\":43}]"), NULL, "c");
        assert_int_equal(q.wanted_size, 2);
        assert_memory_equal(q.wanted, "\53\1", 2);
        q = options(DHCP(",\"request\":[{\"option\":3},{\"option\":43},{\"option\":43}]"), NULL,
                    "c");
        assert_int_equal(q.wanted_size, 11); /* none twice */
        assert_int_equal(q.wanted[10], 43);
}

/* --- specifications ---------------------------------------------------------------------------- */

static DhcpLease some_lease(void) {
        DhcpLease l = { .address = 0x0a090007,
                        .length = 24,
                        .server = 0x0a090001,
                        .lease_sec = 60,
                        .t1_sec = 30,
                        .t2_sec = 50,
                        .n_routers = 1,
                        .routers = { 0x0a0900fe },
                        .n_routes = 2,
                        .routes = { { 0, 0x0a0900fe, 0 }, { 0xc0a80000, 0, 16 } },
                        .n_dns = 2,
                        .dns = { 0x0a090002, 0x0a090003 } };
        strcpy(l.domain, "example.org");
        strcpy(l.search, "a.org b.org");
        return l;
}

static void test_apply(void **state) {
        AttachmentSpec s = { .dhcp = true, .lease_dns = true, .lease_over = true };
        DhcpLease l = some_lease();

        assert_int_equal(dhcp_spec_apply(&l, 7, false, &s), 0);
        assert_int_equal(s.n_addresses, 1);
        assert_prefix(&s.addresses[0].address, "10.9.0.7/24");
        assert_addr(&s.addresses[0].gateway, "10.9.0.254");
        assert_int_equal(s.n_routes, 2);
        assert_prefix(&s.routes[0].dst, "0.0.0.0/0");
        assert_addr(&s.routes[0].gw, "10.9.0.254");
        assert_int_equal(s.routes[0].priority, 7);
        assert_int_equal(s.routes[0].scope, -1);
        assert_prefix(&s.routes[1].dst, "192.168.0.0/16");
        assert_int_equal(s.routes[1].gw.family, AF_UNSPEC);
        assert_int_equal(s.routes[1].scope, 253); /* link */
        assert_string_equal(s.dns.nameservers[1], "10.9.0.3");
        assert_null(s.dns.nameservers[2]);
        assert_string_equal(s.dns.search[0], "a.org");
        assert_string_equal(s.dns.search[1], "b.org");
        assert_null(s.dns.search[2]);
        assert_string_equal(s.dns.domain, "example.org");
        assert_false(s.lease_over);
        spec_clear(&s);
}

static void test_equal(void **state) {
        AttachmentSpec a = { 0 }, b = { 0 };
        DhcpLease l = some_lease();

        assert_int_equal(dhcp_spec_apply(&l, 0, false, &a), 0);
#define DIFFERS(change)                                                                            \
        do {                                                                                       \
                DhcpLease other = l;                                                               \
                change;                                                                            \
                assert_int_equal(dhcp_spec_apply(&other, 0, false, &b), 0);                        \
                assert_false(dhcp_spec_equal(&a, &b));                                             \
                spec_clear(&b);                                                                    \
        } while (0)
        DIFFERS(other.address++);
        DIFFERS(other.length++);
        DIFFERS(other.routers[0]++);
        DIFFERS(other.n_routers = 0);
        DIFFERS(other.routes[1].length++);
        DIFFERS(other.routes[0].router++);
        DIFFERS(other.n_routes--);
        DIFFERS(other.n_dns--);
        DIFFERS(other.dns[0]++);
        DIFFERS(other.domain[0] = '\0');
        DIFFERS(strcpy(other.search, "a.org"));
        /* Times, server and other options change nothing of the sandbox. */
        l.lease_sec = 99;
        l.server++;
        l.options_size = 4;
        assert_int_equal(dhcp_spec_apply(&l, 0, false, &b), 0);
        assert_true(dhcp_spec_equal(&a, &b));
        dhcp_spec_end(&b);
        assert_false(dhcp_spec_equal(&a, &b));
        assert_int_equal(b.n_addresses, 0);
        spec_clear(&a);
        spec_clear(&b);
}

static void test_own_dns(void **state) {
        AttachmentSpec s = { 0 };
        DhcpLease l = some_lease();

        s.dns.domain = strdup("ours");
        assert_int_equal(dhcp_spec_apply(&l, 0, true, &s), 0);
        assert_string_equal(s.dns.domain, "ours");
        assert_null(s.dns.nameservers);
        spec_clear(&s);
}

/* The row of the ledger has to bring it back as it was. */
static void test_json(void **state) {
        AttachmentSpec s = { .dhcp = true, .lease_dns = true, .lease_over = true }, back = { 0 };
        _cleanup_free_ char *text = NULL;
        Error e = ERROR_NULL;

        s.cni_name = strdup("net");
        assert_int_equal(spec_to_json(&s, &text), 0);
        assert_int_equal(spec_from_json(text, &back, &e), 0);
        assert_true(back.dhcp && back.lease_dns && back.lease_over);
        spec_clear(&s);
        spec_clear(&back);
}

static void test_row(void **state) {
        LeaseRow row = { .attachment = 7, .expired = true, .priority = 3 }, copy;
        DhcpLease l = some_lease();
        DhcpRequest q = { 0 }, out;

        row.provide = (uint8_t *) strdup("\14\1x");
        row.provide_size = 3;
        row.wanted = (uint8_t *) strdup("\1\3");
        row.wanted_size = 2;
        memcpy(l.server_mac, "\2\1\2\3\4\5", 6);
        assert_int_equal(dhcp_row_update(&row, &l, 111, 222), 0);
        assert_false(row.expired);
        assert_int_equal(dhcp_row_copy(&row, &copy), 0);
        lease_row_clear(&row);
        assert_addr(&copy.server, "10.9.0.1");
        assert_int_equal(copy.t2_sec, 50);
        assert_int_equal(copy.obtained_boot_usec, 222);
        dhcp_row_request(&copy, DHCP_RENEW, &q);
        q.ifindex = q.deadline_ms = 1;
        q.mac[0] = 2;
        assert_int_equal(dhcp_request_validate(&q, sizeof(q), &out), 0);
        assert_int_equal(out.address, l.address);
        assert_memory_equal(out.server_mac, l.server_mac, 6);
        assert_memory_equal(out.provide, "\14\1x", 3);
        lease_row_clear(&copy);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_conf),      cmocka_unit_test(test_hash),
                cmocka_unit_test(test_client_id), cmocka_unit_test(test_client_id_cut),
                cmocka_unit_test(test_from_arg),  cmocka_unit_test(test_too_much),
                cmocka_unit_test(test_wanted),    cmocka_unit_test(test_apply),
                cmocka_unit_test(test_equal),     cmocka_unit_test(test_own_dns),
                cmocka_unit_test(test_json),      cmocka_unit_test(test_row),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
