/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * conntrack.h against the connection tracking of a network namespace of its own, filled through
 * ctnetlink. What is left is counted by the kernel (and listed by it, entry by entry). Skipped with
 * the reason where there is no namespace or no connection tracking.
 */

#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "policy/conntrack.h"

typedef struct World {
        struct mnl_socket *nl; /* the test's own */
        uint32_t seq;
        ConntrackSocket *conntrack;
} World;

typedef struct Flow {
        const char *from, *to;        /* original direction */
        const char *answerer, *asker; /* of the reply; NULL: without NAT */
        uint8_t protocol;
        uint16_t port; /* original destination */
} Flow;

static InAddr addr(const char *s) {
        InAddr a = { 0 };

        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

static struct nlmsghdr *message(World *w, void *buffer, uint16_t type, uint16_t flags, int family) {
        struct nlmsghdr *h = mnl_nlmsg_put_header(buffer);

        h->nlmsg_type = (uint16_t) (NFNL_SUBSYS_CTNETLINK << 8 | type);
        h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        h->nlmsg_seq = ++w->seq;
        struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));
        nfg->nfgen_family = (uint8_t) family;
        return h;
}

static int ask(World *w, const struct nlmsghdr *h, mnl_cb_t on, void *data) {
        uint8_t answer[16384];

        assert_true(mnl_socket_sendto(w->nl, h, h->nlmsg_len) > 0);
        for (int r = MNL_CB_OK; r > MNL_CB_STOP;) {
                ssize_t n = mnl_socket_recvfrom(w->nl, answer, sizeof(answer));
                assert_true(n > 0);
                r = mnl_cb_run(answer, (size_t) n, w->seq, mnl_socket_get_portid(w->nl), on, data);
                if (r < 0)
                        return -errno;
        }
        return 0;
}

static void put_address(struct nlmsghdr *h, const InAddr *a, uint16_t v4, uint16_t v6) {
        mnl_attr_put(h, a->family == AF_INET ? v4 : v6, family_bytes(a->family), a->bytes);
}

static void put_tuple(struct nlmsghdr *h, uint16_t type, const InAddr *source,
                      const InAddr *destination, const Flow *f, uint16_t from_port,
                      uint16_t to_port) {
        struct nlattr *tuple = mnl_attr_nest_start(h, type);
        struct nlattr *ip = mnl_attr_nest_start(h, CTA_TUPLE_IP);

        put_address(h, source, CTA_IP_V4_SRC, CTA_IP_V6_SRC);
        put_address(h, destination, CTA_IP_V4_DST, CTA_IP_V6_DST);
        mnl_attr_nest_end(h, ip);
        struct nlattr *protocol = mnl_attr_nest_start(h, CTA_TUPLE_PROTO);
        mnl_attr_put_u8(h, CTA_PROTO_NUM, f->protocol);
        mnl_attr_put_u16(h, CTA_PROTO_SRC_PORT, htons(from_port));
        mnl_attr_put_u16(h, CTA_PROTO_DST_PORT, htons(to_port));
        mnl_attr_nest_end(h, protocol);
        mnl_attr_nest_end(h, tuple);
}

static int add_addresses(World *w, const Flow *f, uint16_t from_port, const InAddr *from,
                         const InAddr *to, const InAddr *answerer, const InAddr *asker) {
        uint8_t buffer[1024];
        struct nlmsghdr *h = message(w, buffer, IPCTNL_MSG_CT_NEW, NLM_F_CREATE | NLM_F_EXCL,
                                     from->family);

        put_tuple(h, CTA_TUPLE_ORIG, from, to, f, from_port, f->port);
        put_tuple(h, CTA_TUPLE_REPLY, answerer, asker, f, f->port, from_port);
        mnl_attr_put_u32(h, CTA_TIMEOUT, htonl(600));
        if (f->protocol == IPPROTO_TCP) {
                struct nlattr *info = mnl_attr_nest_start(h, CTA_PROTOINFO);
                struct nlattr *tcp = mnl_attr_nest_start(h, CTA_PROTOINFO_TCP);
                mnl_attr_put_u8(h, CTA_PROTOINFO_TCP_STATE, 3 /* established */);
                mnl_attr_nest_end(h, tcp);
                mnl_attr_nest_end(h, info);
        }
        return ask(w, h, NULL, NULL);
}

static int add(World *w, const Flow *f, uint16_t from_port) {
        InAddr from = addr(f->from), to = addr(f->to);
        InAddr answerer = addr(f->answerer ? f->answerer : f->to);
        InAddr asker = addr(f->asker ? f->asker : f->from);

        return add_addresses(w, f, from_port, &from, &to, &answerer, &asker);
}

static int on_attribute(const struct nlattr *a, void *data) {
        if (mnl_attr_get_type(a) == CTA_STATS_GLOBAL_ENTRIES)
                *(unsigned *) data = ntohl(mnl_attr_get_u32(a));
        return MNL_CB_OK;
}

static int on_stats(const struct nlmsghdr *h, void *data) {
        return mnl_attr_parse(h, sizeof(struct nfgenmsg), on_attribute, data);
}

static unsigned count(World *w) {
        unsigned entries = 0;
        uint8_t buffer[256];

        assert_int_equal(ask(w, message(w, buffer, IPCTNL_MSG_CT_GET_STATS, 0, AF_UNSPEC), on_stats,
                             &entries),
                         0);
        return entries;
}

static void flush(World *w) {
        uint8_t buffer[256];

        assert_int_equal(ask(w, message(w, buffer, IPCTNL_MSG_CT_DELETE, 0, AF_UNSPEC), NULL, NULL),
                         0);
        assert_int_equal(count(w), 0);
}

static unsigned forget(World *w, const FlowFilter *filters, size_t n) {
        _cleanup_error_ Error e = ERROR_NULL;
        unsigned deleted = 12345;

        if (conntrack_forget(w->conntrack, filters, n, &deleted, &e) < 0)
                fail_msg("%s", error_message(&e));
        return deleted;
}

static FlowFilter of_address(const char *s) {
        return (FlowFilter) { .what = FLOW_OF_ADDRESS, .address = addr(s) };
}

static FlowFilter of_port(uint8_t protocol, const char *s, uint16_t port) {
        return (FlowFilter) {
                .what = FLOW_OF_PORT, .protocol = protocol, .address = addr(s), .port = port
        };
}

static int teardown(void **state) {
        World *w = *state;

        if (w) {
                mnl_socket_close(w->nl);
                conntrack_close(w->conntrack);
        }
        return 0;
}

static int setup(void **state) {
        static const Flow probe = {
                .from = "192.0.2.1", .to = "192.0.2.2", .protocol = IPPROTO_UDP, .port = 9
        };
        static World w;
        _cleanup_error_ Error e = ERROR_NULL;

        *state = NULL;
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: no network namespace for this test: %s\n",
                        strerror(errno));
                return 0;
        }
        w.nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        assert_non_null(w.nl);
        assert_int_equal(mnl_socket_bind(w.nl, 0, MNL_SOCKET_AUTOPID), 0);
        assert_int_equal(conntrack_open(&w.conntrack, &e), 0);
        int r = add(&w, &probe, 9);
        if (r < 0) {
                fprintf(stderr, "skipped: no connection tracking in this kernel: %s\n",
                        strerror(-r));
                teardown(&(void *) { &w });
                return 0;
        }
        flush(&w);
        *state = &w;
        return 0;
}

static void test_empty(void **state) {
        FlowFilter f[] = { of_address("10.0.0.1"), of_port(IPPROTO_UDP, "0.0.0.0", 53) };
        World *w = *state;

        if (!w)
                skip();
        assert_int_equal(forget(w, f, ELEMENTSOF(f)), 0);
        assert_int_equal(forget(w, NULL, 0), 0);
}

/* The sandbox 10.0.0.2 behind the node 192.0.2.1, seen from outside 198.51.100.7. */
static const Flow flows[] = {
        { "10.0.0.2", "198.51.100.7", "198.51.100.7", "192.0.2.1", IPPROTO_UDP,
          53 }, /* masquerade */
        { "198.51.100.7", "192.0.2.1", "10.0.0.2", "198.51.100.7", IPPROTO_UDP,
          8053 }, /* host port */
        { "198.51.100.7", "192.0.2.1", "10.0.0.2", "198.51.100.7", IPPROTO_TCP, 8053 },
        { "10.0.0.3", "10.0.0.2", NULL, NULL, IPPROTO_TCP, 80 },
        { "10.0.0.3", "198.51.100.7", NULL, NULL, IPPROTO_TCP, 443 },
        { "198.51.100.7", "192.0.2.9", "10.0.0.3", "198.51.100.7", IPPROTO_UDP, 8053 },
        { "fd00::2", "2001:db8::7", NULL, NULL, IPPROTO_TCP, 443 },
        { "2001:db8::7", "2001:db8::1", "fd00::2", "2001:db8::7", IPPROTO_UDP, 8053 },
        { "fd00::3", "2001:db8::7", NULL, NULL, IPPROTO_UDP, 53 },
};

static void fill(World *w) {
        flush(w);
        for (size_t i = 0; i < ELEMENTSOF(flows); i++)
                assert_int_equal(add(w, &flows[i], 40000), 0);
        assert_int_equal(count(w), ELEMENTSOF(flows));
}

/* Which of the flows are left: adding them again tells (NLM_F_EXCL). */
static unsigned left(World *w) {
        unsigned bits = 0;

        for (size_t i = 0; i < ELEMENTSOF(flows); i++) {
                int r = add(w, &flows[i], 40000);
                assert_true(r == 0 || r == -EEXIST);
                bits |= r == -EEXIST ? 1U << i : 0;
        }
        return bits;
}

static void expect(World *w, const FlowFilter *f, size_t n, unsigned gone) {
        unsigned all = (1U << ELEMENTSOF(flows)) - 1;

        fill(w);
        assert_int_equal(forget(w, f, n), __builtin_popcount(gone));
        assert_int_equal(count(w), __builtin_popcount(all & ~gone));
        assert_int_equal(left(w), all & ~gone);
}

static void test_filters(void **state) {
        const struct {
                FlowFilter filter;
                unsigned gone;
        } cases[] = {
                { of_address("10.0.0.2"), 0x00f },  /* original source, reply source, destination */
                { of_address("192.0.2.1"), 0x007 }, /* reply destination, original destination */
                { of_address("fd00::2"), 0x0c0 },
                { of_address("10.0.0.20"), 0 },
                { of_port(IPPROTO_UDP, "0.0.0.0", 8053), 0x022 },
                { of_port(IPPROTO_UDP, "192.0.2.1", 8053), 0x002 },
                { of_port(IPPROTO_TCP, "192.0.2.1", 8053), 0x004 },
                { of_port(IPPROTO_UDP, "::", 8053), 0x080 },
                { of_port(IPPROTO_UDP, "2001:db8::2", 8053), 0 },
                { of_port(IPPROTO_UDP, "10.0.0.2", 8053),
                  0 }, /* where it went, not where it was sent */
                { of_port(IPPROTO_UDP, "0.0.0.0", 40000), 0 }, /* a source port */
        };
        World *w = *state;

        if (!w)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                expect(w, &cases[i].filter, 1, cases[i].gone);
}

static void test_many_filters(void **state) {
        FlowFilter f[300];
        World *w = *state;

        if (!w)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(f); i++) {
                f[i] = of_address(i % 2 ? "10.9.0.0" : "fd09::");
                f[i].address.bytes[3] = (uint8_t) (300 - i);
                f[i].address.bytes[2] = (uint8_t) (i % 7);
        }
        expect(w, f, ELEMENTSOF(f), 0);
        f[17] = of_address("10.0.0.3");
        f[200] = of_address("fd00::3");
        f[299] = of_port(IPPROTO_UDP, "192.0.2.1", 8053);
        expect(w, f, ELEMENTSOF(f), 0x008 | 0x010 | 0x020 | 0x100 | 0x002);
}

/* More than one pass takes. */
static void test_many_flows(void **state) {
        Flow f = { .protocol = IPPROTO_UDP, .port = 53 };
        FlowFilter filter = of_address("10.0.0.2");
        InAddr from = addr("10.1.0.0"), to = addr("10.0.0.2");
        unsigned n = 0;
        World *w = *state;

        if (!w)
                skip();
        fill(w);
        while (n < 70000 &&
               add_addresses(w, &f, (uint16_t) (1 + n % 50000), &from, &to, &to, &from) == 0)
                if (++n % 50000 == 0)
                        (void) in_addr_add(&from, 1, &from);
        if (n < 70000) {
                fprintf(stderr, "skipped: no room for 70000 flows (nf_conntrack_max)\n");
                flush(w);
                skip();
        }
        assert_int_equal(forget(w, &filter, 1), n + 4);
        assert_int_equal(count(w), ELEMENTSOF(flows) - 4);
        flush(w);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_empty),
                cmocka_unit_test(test_filters),
                cmocka_unit_test(test_many_filters),
                cmocka_unit_test(test_many_flows),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
