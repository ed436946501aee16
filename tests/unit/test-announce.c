/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The bytes of announcements, as a packet socket at the other end of a veth receives them. Needs a
 * network namespace; skipped with the reason where there is none.
 */

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/ethernet.h>
#include <netpacket/packet.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "nl/announce.h"

/* A link that was just raised drops frames until the kernel has noticed its carrier: announcements
 * are repeated as they would be on a wire. */
#define RECEIVE_TIMEOUT_MS 100
#define ANNOUNCEMENTS_MAX  100

static const MacAddr mac = { { 0x02, 0x11, 0x22, 0x33, 0x44, 0x55 } };

typedef struct Wire {
        int here, there; /* packet sockets; `there` is bound to the far end */
        uint32_t ifindex;
} Wire;

static int setup(void **state) {
        static Wire w;
        NlSocket *s;
        NlApplied applied;
        NlOp ops[] = {
                { .type = NL_VETH_ADD,
                  .what = "",
                  .veth = { .name = "near", .peer = "far", .peer_mac = mac } },
                { .type = NL_LINK_SET,
                  .what = "",
                  .link = { .name = "near", .mask = NL_LINK_ADDRGEN_NONE } },
                { .type = NL_LINK_SET,
                  .what = "",
                  .link = { .name = "far", .mask = NL_LINK_ADDRGEN_NONE } },
                { .type = NL_LINK_SET,
                  .what = "",
                  .link = { .name = "near", .mask = NL_LINK_UP, .up = true } },
                { .type = NL_LINK_SET,
                  .what = "",
                  .link = { .name = "far", .mask = NL_LINK_UP, .up = true } },
        };

        *state = NULL;
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: no network namespace for this test: %s\n",
                        strerror(errno));
                return 0;
        }
        _cleanup_close_ int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        ops[0].veth.peer_netns_fd = own;
        assert_int_equal(kernel_socket_from_fd(&kernel_real, kernel_open_fd(), &s), 0);
        assert_int_equal(kernel_apply(s, ops, ELEMENTSOF(ops), &applied), 0);
        kernel_socket_free(s);

        struct sockaddr_ll far = { .sll_family = AF_PACKET,
                                   .sll_protocol = htons(ETH_P_ALL),
                                   .sll_ifindex = (int) applied.pod_ifindex };
        w.ifindex = applied.host_ifindex;
        w.here = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        w.there = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
        assert_true(w.here >= 0 && w.there >= 0);
        assert_int_equal(bind(w.there, (struct sockaddr *) &far, sizeof(far)), 0);
        *state = &w;
        return 0;
}

static int teardown(void **state) {
        Wire *w = *state;

        if (w) {
                safe_close(w->here);
                safe_close(w->there);
        }
        return 0;
}

/* Announces until the other end has it. The stack may have words of its own there (MLD reports). */
static size_t announce(const Wire *w, const InAddr *a, uint8_t *frame, size_t size) {
        uint16_t type = htons(a->family == AF_INET ? ETHERTYPE_ARP : ETHERTYPE_IPV6);

        for (int i = 0; i < ANNOUNCEMENTS_MAX; i++) {
                struct pollfd p = { .fd = w->there, .events = POLLIN };

                assert_int_equal(announce_address(w->here, w->ifindex, &mac, a), 0);
                while (poll(&p, 1, RECEIVE_TIMEOUT_MS) > 0) {
                        ssize_t n = recv(w->there, frame, size, 0);
                        assert_true(n >= 14);
                        if (memcmp(frame + 6, mac.bytes, 6) == 0 &&
                            memcmp(frame + 12, &type, 2) == 0)
                                return (size_t) n;
                }
        }
        fail_msg("no announcement arrived");
        return 0;
}

static void test_arp(void **state) {
        static const uint8_t wanted[] = {
                0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x11, 0x22, 0x33,
                0x44, 0x55, 0x08, 0x06,                                  /* Ethernet */
                0x00, 0x01, 0x08, 0x00, 6,    4,    0x00, 0x01,          /* request */
                0x02, 0x11, 0x22, 0x33, 0x44, 0x55, 10,   97,   0,    2, /* sender */
                0,    0,    0,    0,    0,    0,    10,   97,   0,    2, /* target */
        };
        const Wire *w = *state;
        uint8_t frame[256];
        InAddr a;

        if (!w)
                skip();
        assert_int_equal(in_addr_parse("10.97.0.2", &a), 0);
        assert_int_equal(announce(w, &a, frame, sizeof(frame)), sizeof(wanted));
        assert_memory_equal(frame, wanted, sizeof(wanted));
}

/* The sum over pseudo header and message, checksum included, is all ones when it is right. */
static uint32_t icmp6_sum(const uint8_t *ip) {
        uint32_t sum = 32 + 58;

        for (size_t i = 8; i < 40 + 32; i += 2) /* both addresses, then the message */
                sum += (uint32_t) ip[i] << 8 | ip[i + 1];
        while (sum >> 16)
                sum = (sum & 0xffff) + (sum >> 16);
        return sum;
}

static void test_na(void **state) {
        static const uint8_t
                        wanted[] = {
                                0x33, 0x33, 0,    0,    0, 1,    0x02, 0x11, 0x22, 0x33, 0x44,
                                0x55, 0x86, 0xdd,                           /* Ethernet */
                                0x60, 0,    0,    0,    0, 32,   58,   255, /* IPv6 */
                                0xfd, 0x97, 0,    0,    0, 0,    0,    0,    0,    0,    0,
                                0,    0,    0,    0,    2, 0xff, 0x02, 0,    0,    0,    0,
                                0,    0,    0,    0,    0, 0,    0,    0,    0,    1,    136,
                                0,    0,    0,    0x20, 0, 0,    0, /* NA, override */
                                0xfd, 0x97, 0,    0,    0, 0,    0,    0,    0,    0,    0,
                                0,    0,    0,    0,    2, 2,    1,    0x02, 0x11, 0x22, 0x33,
                                0x44, 0x55, /* target's address */
                        };
        const Wire *w = *state;
        uint8_t frame[256];
        InAddr a;

        if (!w)
                skip();
        assert_int_equal(in_addr_parse("fd97::2", &a), 0);
        assert_int_equal(announce(w, &a, frame, sizeof(frame)), sizeof(wanted));
        assert_int_equal(icmp6_sum(frame + 14), 0xffff);
        memset(frame + 14 + 40 + 2, 0, 2);
        assert_memory_equal(frame, wanted, sizeof(wanted));
}

static void test_not_sent(void **state) {
        const Wire *w = *state;
        InAddr a = { .family = AF_UNSPEC };

        assert_int_equal(announce_address(-EBADF, 1, &mac, &a), -EAFNOSUPPORT);
        if (!w)
                skip();
        assert_int_equal(in_addr_parse("10.97.0.2", &a), 0);
        assert_int_equal(announce_address(w->here, 4711, &mac, &a), -ENXIO);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_arp),
                cmocka_unit_test(test_na),
                cmocka_unit_test(test_not_sent),
        };
        return cmocka_run_group_tests(tests, setup, teardown);
}
