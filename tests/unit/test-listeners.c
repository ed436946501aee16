/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Sockets of this process in a network namespace of its own, and whether listeners.h sees that they
 * hold a port. Skipped with the reason where there is no namespace.
 */

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "base/parse.h"
#include "nl/listener-name.h"
#include "nl/listeners.h"

#define PORT    8080
#define PROGRAM "port-holder"

static InAddr addr(const char *s) {
        InAddr a = { 0 };

        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

/* Not in_addr_parse(): it makes IPv4 of a mapped address, which is what some tests are about. */
static int bind_to(int fd, int family, const char *address, uint16_t port) {
        struct sockaddr_in6 a6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
        struct sockaddr_in a4 = { .sin_family = AF_INET, .sin_port = htons(port) };

        assert_int_equal(inet_pton(family, address,
                                   family == AF_INET ? (void *) &a4.sin_addr
                                                     : (void *) &a6.sin6_addr),
                         1);
        return family == AF_INET ? bind(fd, (struct sockaddr *) &a4, sizeof(a4))
                                 : bind(fd, (struct sockaddr *) &a6, sizeof(a6));
}

static int hold(int type, int family, const char *address, bool v6only) {
        int fd = socket(family, type | SOCK_CLOEXEC, 0), only = v6only, yes = 1;

        assert_true(fd >= 0);
        /* Connections of a test before wait for their end. */
        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
        if (family == AF_INET6)
                assert_int_equal(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof(only)), 0);
        assert_int_equal(bind_to(fd, family, address, PORT), 0);
        if (type == SOCK_STREAM)
                assert_int_equal(listen(fd, 1), 0);
        return fd;
}

static bool is_held(uint8_t protocol, const char *address, uint16_t port, Listener *ret) {
        ListenerQuery q = { .protocol = protocol, .port = port, .host = addr(address) };
        _cleanup_error_ Error e = ERROR_NULL;
        Listener found;

        int r = listeners_find(&q, 1, ret ? ret : &found, &e);
        assert_true(r >= 0);
        assert_false(error_is_set(&e));
        return r > 0;
}

static int setup(void **state) {
        static bool ready = true;
        struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP };

        *state = NULL;
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
                fprintf(stderr, "skipped: no network namespace for this test: %s\n",
                        strerror(errno));
                return 0;
        }
        _cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
        assert_int_equal(prctl(PR_SET_NAME, PROGRAM), 0);
        *state = &ready;
        return 0;
}

static void test_none(void **state) {
        if (!*state)
                skip();
        assert_false(is_held(IPPROTO_TCP, "0.0.0.0", PORT, NULL));
        assert_false(is_held(IPPROTO_TCP, "::", PORT, NULL));
        assert_false(is_held(IPPROTO_UDP, "0.0.0.0", PORT, NULL));
        /* Of a protocol that is not asked about. */
        assert_false(is_held(IPPROTO_SCTP, "0.0.0.0", PORT, NULL));
}

/* What a socket holds, asked as all of a family, as its own address and as another. */
typedef struct Case {
        int family;
        const char *bound;
        bool v6only;
        bool any4, lo4, other4, any6, lo6, other6;
} Case;

static const Case cases[] = {
        { .family = AF_INET, .bound = "0.0.0.0", .any4 = true, .lo4 = true, .other4 = true },
        { .family = AF_INET, .bound = "127.0.0.1", .any4 = true, .lo4 = true },
        { .family = AF_INET6,
          .bound = "::",
          .v6only = true,
          .any6 = true,
          .lo6 = true,
          .other6 = true },
        { .family = AF_INET6,
          .bound = "::",
          .any4 = true,
          .lo4 = true,
          .other4 = true,
          .any6 = true,
          .lo6 = true,
          .other6 = true },
        { .family = AF_INET6, .bound = "::1", .any6 = true, .lo6 = true },
        /* IPv4 in an IPv6 socket, as Java does it. */
        { .family = AF_INET6, .bound = "::ffff:127.0.0.1", .any4 = true, .lo4 = true },
        { .family = AF_INET6,
          .bound = "::ffff:0.0.0.0",
          .any4 = true,
          .lo4 = true,
          .other4 = true },
};

static void check_cases(int type, uint8_t protocol) {
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const Case *c = &cases[i];
                _cleanup_close_ _unused_ int fd = hold(type, c->family, c->bound, c->v6only);
                const struct {
                        const char *address;
                        bool wanted;
                } asked[] = { { "0.0.0.0", c->any4 },     { "127.0.0.1", c->lo4 },
                              { "192.0.2.1", c->other4 }, { "::", c->any6 },
                              { "::1", c->lo6 },          { "2001:db8::1", c->other6 } };

                for (size_t k = 0; k < ELEMENTSOF(asked); k++) {
                        if (is_held(protocol, asked[k].address, PORT, NULL) != asked[k].wanted)
                                fail_msg("bound to %s, asked for %s: wanted %d", c->bound,
                                         asked[k].address, asked[k].wanted);
                        assert_false(is_held(protocol, asked[k].address, PORT + 1, NULL));
                        assert_false(is_held(protocol == IPPROTO_TCP ? IPPROTO_UDP : IPPROTO_TCP,
                                             asked[k].address, PORT, NULL));
                }
        }
}

static void test_tcp(void **state) {
        if (!*state)
                skip();
        check_cases(SOCK_STREAM, IPPROTO_TCP);
}

static void test_udp(void **state) {
        if (!*state)
                skip();
        check_cases(SOCK_DGRAM, IPPROTO_UDP);
}

/* Bound alone is not yet listening, and a connection is not a listener. */
static void test_tcp_states(void **state) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons(PORT),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        if (!*state)
                skip();
        int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;
        assert_int_equal(setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes)), 0);
        assert_int_equal(bind_to(listener, AF_INET, "127.0.0.1", PORT), 0);
        assert_false(is_held(IPPROTO_TCP, "0.0.0.0", PORT, NULL));
        assert_int_equal(listen(listener, 1), 0);
        assert_true(is_held(IPPROTO_TCP, "0.0.0.0", PORT, NULL));

        _cleanup_close_ int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(connect(client, (struct sockaddr *) &to, sizeof(to)), 0);
        _cleanup_close_ int server = accept(listener, NULL, NULL);
        assert_true(server >= 0);
        safe_close(listener);
        assert_false(is_held(IPPROTO_TCP, "0.0.0.0", PORT, NULL));
}

static void test_udp_connected(void **state) {
        struct sockaddr_in to = { .sin_family = AF_INET,
                                  .sin_port = htons(53),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };

        if (!*state)
                skip();
        _cleanup_close_ _unused_ int fd = hold(SOCK_DGRAM, AF_INET, "127.0.0.1", false);
        assert_true(is_held(IPPROTO_UDP, "127.0.0.1", PORT, NULL));
        assert_int_equal(connect(fd, (struct sockaddr *) &to, sizeof(to)), 0);
        assert_false(is_held(IPPROTO_UDP, "127.0.0.1", PORT, NULL));
}

static void test_who(void **state) {
        Listener l;

        if (!*state)
                skip();
        _cleanup_close_ _unused_ int fd = hold(SOCK_STREAM, AF_INET6, "::1", false);
        assert_true(is_held(IPPROTO_TCP, "::", PORT, &l));
        assert_int_equal(l.query, 0);
        assert_int_equal(l.uid, getuid());
        InAddr wanted = addr("::1");
        assert_true(in_addr_equal(&l.address, &wanted));
        /* "port-holder (…uid 0)" */
        if (strncmp(l.who, PROGRAM " (", strlen(PROGRAM " (")) != 0 || !strstr(l.who, "uid "))
                fail_msg("who: %s", l.who);
}

/* Any bytes are a program's name; a D-Bus string, which this becomes part of, takes UTF-8 only. */
static void test_hostile_name(void **state) {
        static const char *const names[] = { "a\xffz", "\x1b[2Jx", "\xc3" };
        Listener l;

        if (!*state)
                skip();
        _cleanup_close_ _unused_ int fd = hold(SOCK_STREAM, AF_INET, "127.0.0.1", false);
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                assert_int_equal(prctl(PR_SET_NAME, names[i]), 0);
                assert_true(is_held(IPPROTO_TCP, "0.0.0.0", PORT, &l));
                assert_true(text_is_clean(l.who, strlen(l.who)));
                assert_non_null(strchr(l.who, '?'));
        }
        assert_int_equal(prctl(PR_SET_NAME, PROGRAM), 0);
}

/* Neither program nor control group are to be seen: the user is left. */
static void test_names_of_nobody(void **state _unused_) {
        char who[160];

        listener_name(0, UINT64_MAX, 0, who, sizeof(who));
        assert_string_equal(who, "a program of user root (uid 0)");
        listener_name(4000000000U, UINT64_MAX, UINT64_MAX, who, sizeof(who));
        assert_string_equal(who, "a program (uid 4000000000)");
}

/* One of two queries of one port, and the family that is not asked about. */
static void test_which_query(void **state) {
        ListenerQuery q[] = { { IPPROTO_TCP, PORT, addr("192.0.2.1") },
                              { IPPROTO_UDP, PORT, addr("127.0.0.1") },
                              { IPPROTO_TCP, PORT, addr("127.0.0.1") } };
        Listener l;

        if (!*state)
                skip();
        _cleanup_close_ _unused_ int fd = hold(SOCK_STREAM, AF_INET, "127.0.0.1", false);
        assert_int_equal(listeners_find(q, ELEMENTSOF(q), &l, NULL), 1);
        assert_int_equal(l.query, 2);
        assert_int_equal(listeners_find(q, 2, &l, NULL), 0);
        q[2].host = addr("::");
        assert_int_equal(listeners_find(&q[2], 1, &l, NULL), 0);
}

static void test_many_queries(void **state) {
        static ListenerQuery queries[4096];
        _cleanup_error_ Error e = ERROR_NULL;
        Listener l;

        if (!*state)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(queries); i++)
                queries[i] = (ListenerQuery) { .protocol = i % 2 ? IPPROTO_UDP : IPPROTO_TCP,
                                               .port = (uint16_t) (PORT + 1 + i),
                                               .host = { .family = AF_INET } };
        assert_int_equal(listeners_find(NULL, 0, &l, &e), 0);
        assert_int_equal(listeners_find(queries, ELEMENTSOF(queries), &l, &e), 0);
        queries[4001].port = PORT;
        _cleanup_close_ _unused_ int fd = hold(SOCK_DGRAM, AF_INET, "0.0.0.0", false);
        assert_int_equal(listeners_find(queries, ELEMENTSOF(queries), &l, &e), 1);
        assert_int_equal(l.query, 4001);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_none),          cmocka_unit_test(test_tcp),
                cmocka_unit_test(test_udp),           cmocka_unit_test(test_tcp_states),
                cmocka_unit_test(test_udp_connected), cmocka_unit_test(test_who),
                cmocka_unit_test(test_hostile_name),  cmocka_unit_test(test_names_of_nobody),
                cmocka_unit_test(test_which_query),   cmocka_unit_test(test_many_queries),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
