/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* DHCP messages: what is read of a server's frames, what is refused, and what is sent. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dhcp-frame.h"
#include "dhcp/protocol.h"

static int parse(const TestFrame *f, DhcpMessage *ret) {
        return dhcp_frame_parse(f->bytes, f->size, false, TEST_XID, &test_mac, ret);
}

static int parse_sealed(TestFrame *f, DhcpMessage *ret) {
        frame_end(f);
        frame_seal(f);
        return parse(f, ret);
}

static DhcpLease read_lease(TestFrame *f) {
        DhcpMessage m;
        DhcpLease l;

        assert_int_equal(parse_sealed(f, &m), 0);
        assert_null(dhcp_lease_read(&m, &l));
        assert_true(dhcp_lease_is_valid(&l));
        return l;
}

static void test_ack(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        FRAME_OPTION(&f, 3, 10, 9, 0, 254);
        FRAME_OPTION(&f, 6, 10, 9, 0, 2, 10, 9, 0, 3);
        FRAME_OPTION(&f, 26, 5, 120); /* 1400 */
        frame_option(&f, 15, "example.org", 11);
        DhcpLease l = read_lease(&f);
        assert_int_equal(parse(&f, &m), 0);
        assert_int_equal(m.type, DHCP_ACK);
        assert_int_equal(l.address, 0x0a090007);
        assert_int_equal(l.length, 24);
        assert_int_equal(l.server, 0x0a090001);
        assert_int_equal(l.server_mac[5], 9);
        assert_int_equal(l.lease_sec, 3600);
        assert_int_equal(l.t1_sec, 1800);
        assert_int_equal(l.t2_sec, 3150);
        assert_int_equal(l.mtu, 1400);
        assert_int_equal(l.n_dns, 2);
        assert_int_equal(l.dns[1], 0x0a090003);
        assert_string_equal(l.domain, "example.org");
        assert_int_equal(l.n_routers, 1);
        assert_int_equal(l.n_routes, 1);
        assert_int_equal(l.routes[0].length, 0);
        assert_int_equal(l.routes[0].router, 0x0a0900fe);
}

/* Each byte that identifies the answer as ours, changed, makes it somebody else's. */
static void test_not_ours(void **state) {
        static const size_t at[] = {
                12,          /* Ethernet's type */
                FRAME_BOOTP, /* a request, not a reply */
                FRAME_BOOTP + 1,
                FRAME_BOOTP + 2, /* hardware type and size */
                FRAME_BOOTP + 4,
                FRAME_BOOTP + 7, /* xid */
                FRAME_BOOTP + 28,
                FRAME_BOOTP + 33, /* chaddr */
                FRAME_COOKIE,
                FRAME_COOKIE + 3,
                FRAME_UDP + 1,
                FRAME_UDP + 3,
                FRAME_IP,     /* version */
                FRAME_IP + 9, /* protocol */
        };
        DhcpMessage m;

        for (size_t i = 0; i < ELEMENTSOF(at); i++) {
                TestFrame f = frame_ack();
                f.bytes[at[i]] ^= 0x10;
                assert_int_equal(parse_sealed(&f, &m), -EBADMSG);
                f.bytes[at[i]] ^= 0x10;
                frame_seal(&f);
                assert_int_equal(parse(&f, &m), 0);
        }
}

static void test_fragments(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        f.bytes[FRAME_IP + 6] = 0x20; /* more follow */
        assert_int_equal(parse_sealed(&f, &m), -EBADMSG);
        f.bytes[FRAME_IP + 6] = 0;
        f.bytes[FRAME_IP + 7] = 1; /* not the first */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f.bytes[FRAME_IP + 7] = 0;
        f.bytes[FRAME_IP + 6] = 0x40; /* must not be fragmented: usual */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), 0);
}

static void test_truncated(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        assert_int_equal(parse_sealed(&f, &m), 0);
        size_t whole = f.size;
        for (f.size = 0; f.size < whole; f.size++)
                assert_int_equal(parse(&f, &m), -EBADMSG);
        /* A frame that was cut by who sent it, with lengths to match: never read beyond, never an error of
         * ours; down to the message's type it may still be a message. */
        for (size_t n = FRAME_OPTIONS + 3; n < whole; n++) {
                TestFrame cut = f;
                cut.size = n;
                frame_seal(&cut);
                (void) parse(&cut, &m);
        }
        for (size_t n = FRAME_BOOTP; n < FRAME_OPTIONS + 3; n++) {
                TestFrame cut = f;
                cut.size = n;
                frame_seal(&cut);
                assert_int_equal(parse(&cut, &m), -EBADMSG);
        }
        /* Padding of the link, as short frames have it, is no part of the packet. */
        f.size = whole + 20;
        memset(f.bytes + whole, 0xee, 20);
        assert_int_equal(parse(&f, &m), 0);
        /* And what is larger than a frame is none. */
        f.size = DHCP_FRAME_MAX + 1;
        assert_int_equal(parse(&f, &m), -EBADMSG);
}

static void test_lying_lengths(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        assert_int_equal(parse_sealed(&f, &m), 0);
        const TestFrame good = f;
        f.bytes[FRAME_UDP + 5]++; /* UDP reaches beyond IP */
        f.bytes[FRAME_UDP + 6] = f.bytes[FRAME_UDP + 7] = 0;
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f = good;
        f.bytes[FRAME_UDP + 4] = 0;
        f.bytes[FRAME_UDP + 5] = 7; /* smaller than its header */
        f.bytes[FRAME_UDP + 6] = f.bytes[FRAME_UDP + 7] = 0;
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f = good;
        f.bytes[FRAME_IP] = 0x44; /* header of 16 bytes */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f = good;
        f.bytes[FRAME_IP] = 0x4f; /* of 60: then UDP begins elsewhere */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), -EBADMSG);
}

static void test_checksums(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        assert_int_equal(parse_sealed(&f, &m), 0);
        f.bytes[FRAME_BOOTP + 19]++; /* the address, changed on the way */
        assert_int_equal(parse(&f, &m), -EBADMSG);
        /* A server on this machine: the kernel says that the checksum is still to come. */
        assert_int_equal(dhcp_frame_parse(f.bytes, f.size, true, TEST_XID, &test_mac, &m), 0);
        f.bytes[FRAME_UDP + 6] = f.bytes[FRAME_UDP + 7] = 0; /* none */
        assert_int_equal(parse(&f, &m), 0);
        f.bytes[FRAME_IP + 8]--;
        assert_int_equal(parse(&f, &m), -EBADMSG);
}

/* RFC 2131's overload: options in the fields for file and server name as well. */
static void test_overload(void **state) {
        for (uint8_t overload = 0; overload < 4; overload++) {
                TestFrame f = frame_ack();
                DhcpMessage m;
                uint32_t v;
                uint16_t mtu;

                memcpy(f.bytes + FRAME_FILE, (uint8_t[]) { 58, 4, 0, 0, 0, 99, 255 }, 7);
                memcpy(f.bytes + FRAME_SNAME, (uint8_t[]) { 26, 2, 5, 0, 255 }, 5);
                if (overload)
                        FRAME_OPTION(&f, 52, overload);
                assert_int_equal(parse_sealed(&f, &m), 0);
                assert_int_equal(dhcp_message_get_u32(&m, 58, &v), (overload & 1) != 0);
                assert_int_equal(dhcp_message_get_u16(&m, 26, &mtu), (overload & 2) != 0);
                if (overload & 1)
                        assert_int_equal(v, 99);
        }
}

/* An overloaded field may not overload again, nor run out of itself into the next. */
static void test_overload_bad(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;
        uint16_t mtu;

        memcpy(f.bytes + FRAME_FILE, (uint8_t[]) { 52, 1, 3, 255 }, 4);
        memcpy(f.bytes + FRAME_SNAME, (uint8_t[]) { 26, 2, 5, 0, 255 }, 5);
        FRAME_OPTION(&f, 52, 1);
        assert_int_equal(parse_sealed(&f, &m), 0);
        assert_false(dhcp_message_get_u16(&m, 26, &mtu));

        f = frame_ack();
        f.bytes[FRAME_FILE + 126] = 12; /* an option of 9 bytes where 0 are left */
        f.bytes[FRAME_FILE + 127] = 9;
        FRAME_OPTION(&f, 52, 1);
        assert_int_equal(parse_sealed(&f, &m), -EBADMSG);
}

/* RFC 3396: an option in pieces, also in several fields, is put together in their order. */
static void test_long_option(void **state) {
        TestFrame f = frame_ack();
        uint8_t piece[200];
        DhcpMessage m;
        size_t n;

        memset(piece, 'a', sizeof(piece));
        frame_option(&f, 43, piece, sizeof(piece));
        FRAME_OPTION(&f, 52, 3);
        memset(piece, 'b', sizeof(piece));
        frame_option(&f, 43, piece, sizeof(piece));
        memcpy(f.bytes + FRAME_FILE, (uint8_t[]) { 43, 1, 'c', 255 }, 4);
        memcpy(f.bytes + FRAME_SNAME, (uint8_t[]) { 43, 1, 'd', 255 }, 4);
        assert_int_equal(parse_sealed(&f, &m), 0);
        const uint8_t *p = dhcp_message_get(&m, 43, &n);
        assert_int_equal(n, 402);
        assert_memory_equal(p + 200, piece, 200);
        assert_int_equal(p[0], 'a');
        assert_int_equal(p[400], 'c');
        assert_int_equal(p[401], 'd');
}

static void test_options_out_of_bounds(void **state) {
        TestFrame f = frame_ack();
        DhcpMessage m;

        frame_seal(&f); /* no END: some servers leave it out */
        assert_int_equal(parse(&f, &m), 0);
        f.bytes[f.size++] = 12; /* a code and nothing behind it */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f.bytes[f.size++] = 1; /* a length and no byte */
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), -EBADMSG);
        f.bytes[f.size++] = 'x';
        frame_seal(&f);
        assert_int_equal(parse(&f, &m), 0);
        assert_int_equal(m.size[12], 1);
}

static void test_message_type(void **state) {
        DhcpMessage m;

        for (int type = 0; type < 256; type++) {
                TestFrame f = frame_new((uint8_t) type);
                assert_int_equal(parse_sealed(&f, &m), type >= 1 && type <= 7 ? 0 : -EBADMSG);
        }
        TestFrame twice = frame_new(5);
        FRAME_OPTION(&twice, 53, 2); /* together an option of two bytes */
        assert_int_equal(parse_sealed(&twice, &m), -EBADMSG);
}

static const char *refusal(TestFrame *f) {
        DhcpMessage m;
        DhcpLease l;

        assert_int_equal(parse_sealed(f, &m), 0);
        return dhcp_lease_read(&m, &l);
}

static void test_lease_incomplete(void **state) {
        TestFrame f = frame_new(5);
        FRAME_OPTION(&f, 1, 255, 255, 255, 0);
        FRAME_OPTION(&f, 51, 0, 0, 14, 16);
        assert_string_equal(refusal(&f), "it does not say who the server is (option 54)");

        f = frame_new(5);
        FRAME_OPTION(&f, 54, 10, 9, 0, 1);
        FRAME_OPTION(&f, 51, 0, 0, 14, 16);
        assert_string_equal(refusal(&f), "it has no valid subnet mask (option 1)");

        f = frame_new(5);
        FRAME_OPTION(&f, 54, 10, 9, 0, 1);
        FRAME_OPTION(&f, 51, 0, 0, 14, 16);
        FRAME_OPTION(&f, 1, 255, 0, 255, 0);
        assert_string_equal(refusal(&f), "it has no valid subnet mask (option 1)");

        f = frame_new(5);
        FRAME_OPTION(&f, 54, 10, 9, 0, 1);
        FRAME_OPTION(&f, 1, 255, 255, 255, 0);
        assert_string_equal(refusal(&f), "it does not say for how long (option 51)");

        for (uint8_t sec = 0; sec < 2; sec++) {
                f = frame_new(5);
                FRAME_OPTION(&f, 54, 10, 9, 0, 1);
                FRAME_OPTION(&f, 1, 255, 255, 255, 0);
                FRAME_OPTION(&f, 51, 0, 0, 0, sec);
                assert_string_equal(refusal(&f), "it is for less than 2 seconds (option 51)");
        }

        static const uint8_t bad[][4] = {
                { 0, 0, 0, 0 }, { 127, 0, 0, 1 }, { 224, 0, 0, 1 }, { 255, 255, 255, 255 }
        };
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                f = frame_ack();
                memcpy(f.bytes + FRAME_BOOTP + 16, bad[i], 4);
                assert_string_equal(refusal(&f), "it grants no address that a host can have");
        }
}

static void test_times(void **state) {
        TestFrame f = frame_ack();
        FRAME_OPTION(&f, 58, 0, 0, 0, 10);
        FRAME_OPTION(&f, 59, 0, 0, 0, 20);
        DhcpLease l = read_lease(&f);
        assert_int_equal(l.t1_sec, 10);
        assert_int_equal(l.t2_sec, 20);

        f = frame_ack(); /* the wrong way round, and beyond the end: ours */
        FRAME_OPTION(&f, 58, 0, 0, 0, 20);
        FRAME_OPTION(&f, 59, 0, 0, 255, 255);
        l = read_lease(&f);
        assert_int_equal(l.t1_sec, 20);
        assert_int_equal(l.t2_sec, 3150);

        f = frame_new(5);
        FRAME_OPTION(&f, 54, 10, 9, 0, 1);
        FRAME_OPTION(&f, 1, 255, 255, 255, 0);
        FRAME_OPTION(&f, 51, 255, 255, 255, 255);
        FRAME_OPTION(&f, 58, 0, 0, 0, 20);
        l = read_lease(&f);
        assert_int_equal(l.t1_sec, DHCP_LEASE_FOREVER);
}

/* Whatever a server says, there is a second at least between two renewals. */
static void test_shortest_times(void **state) {
        for (uint8_t sec = 2; sec < 5; sec++)
                for (uint8_t t1 = 0; t1 < 5; t1++)
                        for (uint8_t t2 = 0; t2 < 5; t2++) {
                                TestFrame f = frame_new(5);
                                FRAME_OPTION(&f, 54, 10, 9, 0, 1);
                                FRAME_OPTION(&f, 1, 255, 255, 255, 0);
                                FRAME_OPTION(&f, 51, 0, 0, 0, sec);
                                FRAME_OPTION(&f, 58, 0, 0, 0, t1);
                                FRAME_OPTION(&f, 59, 0, 0, 0, t2);
                                DhcpLease l = read_lease(&f);
                                assert_true(l.t1_sec > 0 && l.t1_sec <= l.t2_sec &&
                                            l.t2_sec < l.lease_sec);
                        }
}

/* RFC 3442: who understands 121 ignores the routers and the static routes. */
static void test_classless_routes(void **state) {
        TestFrame f = frame_ack();
        FRAME_OPTION(&f, 3, 10, 9, 0, 254);
        FRAME_OPTION(&f, 33, 172, 16, 0, 0, 10, 9, 0, 253);
        FRAME_OPTION(&f, 121, 24, 192, 168, 77, 10, 9, 0, 2, /* a subnet */
                     0, 10, 9, 0, 3,                         /* default */
                     20, 172, 30, 255, 0, 0, 0, 0,           /* on the link, with host bits */
                     32, 1, 2, 3, 4, 10, 9, 0, 4);
        DhcpLease l = read_lease(&f);
        assert_int_equal(l.n_routers, 1);
        assert_int_equal(l.n_routes, 4);
        assert_int_equal(l.routes[0].destination, 0xc0a84d00);
        assert_int_equal(l.routes[0].length, 24);
        assert_int_equal(l.routes[0].router, 0x0a090002);
        assert_int_equal(l.routes[1].length, 0);
        assert_int_equal(l.routes[2].destination, 0xac1ef000);
        assert_int_equal(l.routes[2].router, 0);
        assert_int_equal(l.routes[3].length, 32);
}

static void test_classless_routes_broken(void **state) {
        TestFrame f = frame_ack();
        FRAME_OPTION(&f, 3, 10, 9, 0, 254);
        FRAME_OPTION(&f, 121, 24, 192, 168, 77, 10, 9, 0, 2, 33, 1, 2, 3, 4, 5, 10, 9, 0, 4);
        DhcpLease l = read_lease(&f);
        assert_int_equal(l.n_routes, 1); /* as if it were not there */
        assert_int_equal(l.routes[0].router, 0x0a0900fe);

        f = frame_ack();
        FRAME_OPTION(&f, 121, 24, 192, 168, 77, 10, 9, 0); /* one byte short */
        l = read_lease(&f);
        assert_int_equal(l.n_routes, 0);
}

static void test_static_routes(void **state) {
        TestFrame f = frame_ack();
        FRAME_OPTION(&f, 3, 10, 9, 0, 254);
        FRAME_OPTION(&f, 33, 10, 0, 0, 0, 10, 9, 0, 2,                        /* class A */
                     172, 16, 0, 0, 10, 9, 0, 2, 192, 168, 5, 0, 10, 9, 0, 2, /* B, C */
                     192, 168, 5, 9, 10, 9, 0, 2,                             /* a host */
                     0, 0, 0, 0, 10, 9, 0, 2); /* a default route is not allowed here */
        DhcpLease l = read_lease(&f);
        assert_int_equal(l.n_routes, 5);
        assert_int_equal(l.routes[0].length, 8);
        assert_int_equal(l.routes[1].length, 16);
        assert_int_equal(l.routes[2].length, 24);
        assert_int_equal(l.routes[3].length, 32);
        assert_int_equal(l.routes[4].length, 0);
        assert_int_equal(l.routes[4].router, 0x0a0900fe);
}

static void test_many_routes(void **state) {
        TestFrame f = frame_ack();

        for (int i = 0; i < 4; i++) {
                uint8_t routes[25 * 9];
                for (int k = 0; k < 25; k++)
                        memcpy(routes + 9 * k,
                               (uint8_t[]) { 32, 10, 1, (uint8_t) i, (uint8_t) k, 10, 9, 0, 1 }, 9);
                frame_option(&f, 121, routes, sizeof(routes));
        }
        DhcpLease l = read_lease(&f);
        assert_int_equal(l.n_routes, DHCP_ROUTES_MAX);
}

static void test_domain(void **state) {
        static const struct {
                const char *sent;
                uint8_t size;
                const char *found;
        } cases[] = {
                { "example.org", 11, "example.org" },
                { "example.org\0", 12, "example.org" },
                { "example.org.", 12, "example.org" },
                { "a_b-c.D", 7, "a_b-c.D" },
                { "a..b", 4, "" },
                { "a b", 3, "" },
                { "a\nnameserver 6.6.6.6", 20, "" },
                { "a\0b", 3, "" },
                { "\303\244.org", 6, "" },
                { ".", 1, "" },
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TestFrame f = frame_ack();
                frame_option(&f, 15, cases[i].sent, cases[i].size);
                DhcpLease l = read_lease(&f);
                assert_string_equal(l.domain, cases[i].found);
        }
}

static void test_search(void **state) {
        static const struct {
                const char *sent;
                uint8_t size;
                const char *found;
        } cases[] = {
                { "\3eng\5apple\3com\0", 15, "eng.apple.com" },
                /* RFC 3397's own example: the second ends in the first */
                { "\3eng\5apple\3com\0\11marketing\300\4", 27,
                  "eng.apple.com marketing.apple.com" },
                { "\3eng\5apple\3com", 14, "" },       /* no end */
                { "\3eng\300\0", 6, "" },              /* to itself */
                { "\300\0", 2, "" },                   /* at once */
                { "\3eng\0\300\5\300\7\0", 10, "" },   /* pointers to pointers, nowhere */
                { "\3eng\300\11\0\0\0\1x\0", 12, "" }, /* forwards */
                { "\3e\ng\0", 5, "" },                 /* characters */
                { "\3eng\0\0", 6, "" },                /* an empty name */
                { "\100eng\0", 5, "" },                /* a kind of label that there is not */
        };
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TestFrame f = frame_ack();
                frame_option(&f, 119, cases[i].sent, cases[i].size);
                DhcpLease l = read_lease(&f);
                assert_string_equal(l.search, cases[i].found);
        }
}

static void test_keeps_options(void **state) {
        TestFrame f = frame_ack();
        FRAME_OPTION(&f, 200, 1, 2, 3);
        DhcpLease l = read_lease(&f);
        /* 1, 51, 53, 54, 200 in the order of their codes */
        assert_int_equal(l.options_size, 3 * 5 + 4 + 4 + 1 + 4 + 3);
        assert_memory_equal(l.options + l.options_size - 6, ((uint8_t[]) { 200, 0, 3, 1, 2, 3 }),
                            6);
}

/* --- what is sent ------------------------------------------------------------------------------ */

static void test_discover(void **state) {
        static const uint8_t options[] = { 61, 3, 0, 'a', 'b' };
        DhcpSend s = { .type = DHCP_DISCOVER,
                       .xid = 0x01020304,
                       .secs = 7,
                       .mac = test_mac,
                       .requested = 0x0a090007,
                       .options = options,
                       .options_size = sizeof(options) };
        uint8_t f[DHCP_FRAME_MAX];

        int n = dhcp_frame_build(&s, f);
        assert_int_equal(n, 14 + 20 + 8 + 300);
        assert_memory_equal(f, "\377\377\377\377\377\377", 6);
        assert_memory_equal(f + 6, test_mac.bytes, 6);
        assert_int_equal(test_sum(f + FRAME_IP, 20, 0), 0xffff);
        assert_memory_equal(f + FRAME_IP + 12, "\0\0\0\0\377\377\377\377", 8);
        uint16_t sum = test_sum(f + FRAME_IP + 12, 8, 17 + 308);
        assert_int_equal(test_sum(f + FRAME_UDP, 308, sum), 0xffff);
        assert_memory_equal(f + FRAME_UDP, "\0\104\0\103", 4);
        assert_memory_equal(f + FRAME_BOOTP, "\1\1\6\0\1\2\3\4\0\7\200\0", 12);
        assert_memory_equal(f + FRAME_COOKIE, "\143\202\123\143\65\1\1\62\4\12\11\0\7", 13);
        assert_memory_equal(f + FRAME_OPTIONS + 9, "\71\2\5\334\75\3\0ab\377", 10);
}

static void test_renew_and_release(void **state) {
        DhcpSend s = { .type = DHCP_REQUEST,
                       .mac = test_mac,
                       .client = 0x0a090007,
                       .to = 0x0a090001,
                       .to_mac = { { 2, 9, 9, 9, 9, 9 } } };
        uint8_t f[DHCP_FRAME_MAX];

        assert_true(dhcp_frame_build(&s, f) > 0);
        assert_memory_equal(f, "\2\11\11\11\11\11", 6);
        assert_memory_equal(f + FRAME_IP + 12, "\12\11\0\7\12\11\0\1", 8);
        assert_memory_equal(f + FRAME_BOOTP + 10, "\0\0\12\11\0\7", 6); /* no broadcast, ciaddr */
        assert_memory_equal(f + FRAME_OPTIONS, "\65\1\3\71\2", 5);      /* neither 50 nor 54 */

        s.type = DHCP_RELEASE;
        s.server = 0x0a090001;
        assert_true(dhcp_frame_build(&s, f) > 0);
        assert_memory_equal(f + FRAME_OPTIONS, "\65\1\7\66\4\12\11\0\1\377", 10);
}

static void test_too_much(void **state) {
        static const uint8_t options[DHCP_FRAME_MAX];
        DhcpSend s = { .type = DHCP_DISCOVER, .mac = test_mac, .options = options };
        uint8_t f[DHCP_FRAME_MAX];

        s.options_size = DHCP_FRAME_MAX - FRAME_OPTIONS - 20;
        assert_true(dhcp_frame_build(&s, f) > 0);
        s.options_size++;
        assert_int_equal(dhcp_frame_build(&s, f), -EMSGSIZE);
}

/* --- the protocol between the processes -------------------------------------------------------- */

static DhcpRequest good_request(DhcpOperation operation) {
        return (DhcpRequest) { .magic = DHCP_MAGIC,
                               .operation = operation,
                               .ifindex = 2,
                               .deadline_ms = 1000,
                               .mac = { 2 },
                               .server_mac = { 2 },
                               .address = 0x0a090007,
                               .server = 0x0a090001 };
}

static int check(const DhcpRequest *q) {
        DhcpRequest out;
        return dhcp_request_validate(q, sizeof(*q), &out);
}

static void test_request(void **state) {
        for (DhcpOperation op = DHCP_ACQUIRE; op < _DHCP_OPERATION_MAX; op++) {
                DhcpRequest q = good_request(op), out;
                assert_int_equal(check(&q), 0);
                assert_int_equal(dhcp_request_validate(&q, sizeof(q) - 1, &out), -EBADMSG);
                q.server_mac[0] = 0xff;
                assert_int_equal(check(&q),
                                 op == DHCP_RENEW || op == DHCP_GIVE_BACK ? -EBADMSG : 0);
                q = good_request(op);
                q.address = 0;
                assert_int_equal(check(&q), op == DHCP_ACQUIRE ? 0 : -EBADMSG);
        }
        DhcpRequest q = good_request(DHCP_ACQUIRE);
#define REFUSED(field, value)                                                                      \
        do {                                                                                       \
                DhcpRequest bad = q;                                                               \
                bad.field = (value);                                                               \
                assert_int_equal(check(&bad), -EBADMSG);                                           \
        } while (0)
        REFUSED(magic, 1);
        REFUSED(operation, 0);
        REFUSED(operation, _DHCP_OPERATION_MAX);
        REFUSED(ifindex, 0);
        REFUSED(ifindex, 0x80000000U);
        REFUSED(deadline_ms, 0);
        REFUSED(deadline_ms, DHCP_EXCHANGE_MAX_MS + 1);
        REFUSED(mac[0], 0);
        REFUSED(wanted_size, 256);
        REFUSED(provide_size, DHCP_PROVIDE_MAX + 1);
}

static void test_provide(void **state) {
        static const uint8_t reserved[] = { 0, 50, 52, 53, 54, 55, 57, 255 };
        DhcpRequest q = good_request(DHCP_ACQUIRE);
        char text[256];

        memset(text, 'x', sizeof(text));
        assert_int_equal(dhcp_request_provide(&q, 61, text, 255), 0);
        assert_int_equal(dhcp_request_provide(&q, 12, text, 256), -EMSGSIZE);
        assert_int_equal(dhcp_request_provide(&q, 12, text, 0), -EMSGSIZE);
        assert_int_equal(check(&q), 0);
        q.provide_size--;
        assert_int_equal(check(&q), -EBADMSG);
        q.provide_size++;
        for (int i = 0; i < 2; i++)
                assert_int_equal(dhcp_request_provide(&q, 77, text, 255), 0);
        assert_int_equal(dhcp_request_provide(&q, 77, text, 252), -EMSGSIZE);
        assert_int_equal(dhcp_request_provide(&q, 77, text, 251), 0);
        assert_int_equal(q.provide_size, DHCP_PROVIDE_MAX);
        assert_int_equal(check(&q), 0);
        for (size_t i = 0; i < ELEMENTSOF(reserved); i++) {
                q.provide[0] = reserved[i];
                assert_int_equal(check(&q), -EBADMSG);
        }
}

static int check_answer(const DhcpAnswer *a, DhcpOperation operation) {
        DhcpAnswer out;
        return dhcp_answer_validate(a, sizeof(*a), operation, &out);
}

static void test_answer(void **state) {
        TestFrame f = frame_ack();
        DhcpAnswer good = { .magic = DHCP_MAGIC, .lease = read_lease(&f) }, a = good;

        assert_int_equal(check_answer(&a, DHCP_RENEW), 0);
        assert_int_equal(check_answer(&a, DHCP_GIVE_BACK), -EBADMSG);
        a.lease.n_routes = DHCP_ROUTES_MAX + 1;
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = good;
        memset(a.lease.domain, 'a', sizeof(a.lease.domain));
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = good;
        a.lease.t1_sec = a.lease.lease_sec + 1;
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = good;
        a.lease.t1_sec = 0;
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = good;
        a.age_ms = DHCP_EXCHANGE_MAX_MS + 1;
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = (DhcpAnswer) { .magic = DHCP_MAGIC, .outcome = DHCP_OUTCOME_SILENCE };
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG); /* without a sentence */
        strcpy(a.sentence, "nobody answered");
        assert_int_equal(check_answer(&a, DHCP_RENEW), 0);
        a.sentence[200] = 'x'; /* behind its end */
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a.sentence[200] = 0;
        a.sentence[2] = '\n';
        assert_int_equal(check_answer(&a, DHCP_RENEW), -EBADMSG);
        a = (DhcpAnswer) { .magic = DHCP_MAGIC };
        assert_int_equal(check_answer(&a, DHCP_GIVE_BACK), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ack),
                cmocka_unit_test(test_not_ours),
                cmocka_unit_test(test_fragments),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_lying_lengths),
                cmocka_unit_test(test_checksums),
                cmocka_unit_test(test_overload),
                cmocka_unit_test(test_overload_bad),
                cmocka_unit_test(test_long_option),
                cmocka_unit_test(test_options_out_of_bounds),
                cmocka_unit_test(test_message_type),
                cmocka_unit_test(test_lease_incomplete),
                cmocka_unit_test(test_times),
                cmocka_unit_test(test_shortest_times),
                cmocka_unit_test(test_classless_routes),
                cmocka_unit_test(test_classless_routes_broken),
                cmocka_unit_test(test_static_routes),
                cmocka_unit_test(test_many_routes),
                cmocka_unit_test(test_domain),
                cmocka_unit_test(test_search),
                cmocka_unit_test(test_keeps_options),
                cmocka_unit_test(test_discover),
                cmocka_unit_test(test_renew_and_release),
                cmocka_unit_test(test_too_much),
                cmocka_unit_test(test_request),
                cmocka_unit_test(test_provide),
                cmocka_unit_test(test_answer),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
