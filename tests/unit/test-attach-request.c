/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The arguments of Attach and Detach: taken, or refused with a sentence that names key and value. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fd.h"
#include "bus/attach-request.h"

/* Messages belong to a connection; this one has nobody at its other end. */
static int make_bus(void **state) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
            sd_bus_negotiate_fds(bus, 1) < 0 || sd_bus_start(bus) < 0)
                return -1;
        close(fds[1]);
        *state = bus;
        return 0;
}

static int end_bus(void **state) {
        sd_bus_close(*state);
        sd_bus_unref(*state);
        return 0;
}

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

#define MESSAGE(bus, ...)                                                                          \
        ({                                                                                         \
                sd_bus_message *_m = NULL;                                                         \
                assert_return_code(sd_bus_message_new_method_call(bus, &_m, "a.b", "/a", "a.b",    \
                                                                  "C"),                            \
                                   0);                                                             \
                assert_return_code(sd_bus_message_append(_m, __VA_ARGS__), 0);                     \
                assert_return_code(sd_bus_message_seal(_m, 1, 0), 0);                              \
                _m;                                                                                \
        })

/* Of what this reader fills in. */
static void clear(NetSelection *s) {
        free(s->where);
        free(s->namespace);
        free(s->name);
        free(s->ips);
        free(s->ports);
        free(s->gateways);
        free(s->ipam_claim);
        json_object_put(s->cni_args);
}
#define _cleanup_selection_ _cleanup_(clear)

static void taken(sd_bus_message *m, NetSelection *ret, int *ret_fd) {
        _cleanup_message_ _unused_ sd_bus_message *owned = m;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *sandbox;

        if (attach_request_read(m, &sandbox, ret, ret_fd, &e) < 0)
                fail_msg("refused: %s", error_message(&e));
        assert_string_equal(sandbox, "box");
}

static void test_plain(void **state) {
        _cleanup_selection_ NetSelection s = { 0 }, spaced = { 0 };
        int fd;

        taken(MESSAGE(*state, "ssa{sv}", "box", "blue", 0), &s, &fd);
        assert_int_equal(fd, -EBADF);
        assert_string_equal(s.name, "blue");
        assert_null(s.namespace);
        assert_string_equal(s.ifname, "");
        assert_false(s.has_default_route);
        taken(MESSAGE(*state, "ssa{sv}", "box", "space/blue.Net_1", 0), &spaced, &fd);
        assert_string_equal(spaced.namespace, "space");
        assert_string_equal(spaced.name, "blue.Net_1");
}

static void test_all(void **state) {
        _cleanup_close_ int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_selection_ NetSelection s = { 0 };
        dev_t dev, own_dev;
        ino_t ino, own_ino;
        int fd = -EBADF;

        taken(MESSAGE(*state, "ssa{sv}", "box", "blue", 8, "Interface", "s", "net7", "Ips", "as", 3,
                      "10.0.0.5", "10.0.1.5/24", "fd00::5", "Mac", "s", "02:00:00:00:00:07",
                      "Bandwidth", "a{sv}", 1, "IngressRate", "t", UINT64_C(1000000), "Ports",
                      "a(sqqa{sv})", 2, "TCP", 8080, 80, 0, "udp", 53, 54, 1, "HostIP", "s",
                      "192.0.2.1", "DefaultRoute", "as", 1, "10.0.0.1", "CniArgs", "s", "{\"a\":1}",
                      "Netns", "h", netns),
              &s, &fd);
        assert_string_equal(s.ifname, "net7");
        assert_int_equal(s.n_ips, 3);
        assert_string_equal(IN_PREFIX_STR(&s.ips[0]), "10.0.0.5/32");
        assert_string_equal(IN_PREFIX_STR(&s.ips[1]), "10.0.1.5/24");
        assert_string_equal(IN_PREFIX_STR(&s.ips[2]), "fd00::5/128");
        assert_int_equal(s.bare_ips, 1U << 0 | 1U << 2);
        assert_string_equal(MAC_STR(&s.mac), "02:00:00:00:00:07");
        assert_int_equal(s.bandwidth.ingress_rate, 1000000);
        assert_int_equal(s.bandwidth.egress_rate, 0);
        assert_int_equal(s.n_ports, 2);
        assert_int_equal(s.ports[0].protocol, IPPROTO_TCP);
        assert_int_equal(s.ports[0].host_port, 8080);
        assert_int_equal(s.ports[1].container_port, 54);
        assert_string_equal(IN_ADDR_STR(&s.ports[1].host), "192.0.2.1");
        assert_true(s.has_default_route);
        assert_int_equal(s.n_gateways, 1);
        assert_string_equal(IN_ADDR_STR(&s.gateways[0]), "10.0.0.1");
        assert_non_null(json_get(s.cni_args, "a"));

        /* A descriptor of its own: the message's goes with the message. */
        assert_int_equal(fd_is_netns(fd, &dev, &ino), 0);
        assert_int_equal(fd_is_netns(netns, &own_dev, &own_ino), 0);
        assert_true(fd != netns && dev == own_dev && ino == own_ino);
        close(fd);
}

static void test_claim_and_bare_default_route(void **state) {
        _cleanup_selection_ NetSelection s = { 0 };
        int fd;

        taken(MESSAGE(*state, "ssa{sv}", "box", "blue", 2, "IpamClaim", "s", "vm-1", "DefaultRoute",
                      "as", 0),
              &s, &fd);
        assert_string_equal(s.ipam_claim, "vm-1");
        assert_true(s.has_default_route);
        assert_int_equal(s.n_gateways, 0);
}

static void refused(sd_bus_message *m, ErrorKind kind, const char *word) {
        _cleanup_message_ _unused_ sd_bus_message *owned = m;
        _cleanup_error_ Error e = ERROR_NULL;
        NetSelection s = { .n_ips = 4711 };
        const char *sandbox = "untouched";
        int fd = 4711;

        assert_true(attach_request_read(m, &sandbox, &s, &fd, &e) < 0);
        if (!strstr(error_message(&e), word))
                fail_msg("no \"%s\" in: %s", word, error_message(&e));
        assert_int_equal(e.kind, kind);
        assert_int_equal(s.n_ips, 4711);
        assert_int_equal(fd, 4711);
        assert_string_equal(sandbox, "untouched");
}

#define REFUSED(kind, word, ...)                                                                   \
        refused(MESSAGE(*state, "ssa{sv}", "box", __VA_ARGS__), (kind), (word))

static void test_refused(void **state) {
        REFUSED(ERROR_UNKNOWN_OPTION, "Colour", "blue", 1, "Colour", "s", "red");
        REFUSED(ERROR_INVALID_ARGUMENT, "Mac: given twice", "blue", 2, "Mac", "s",
                "02:00:00:00:00:01", "Mac", "s", "02:00:00:00:00:01");
        REFUSED(ERROR_INVALID_ARGUMENT, "Ips: wanted a value of type 'as', found 's'", "blue", 1,
                "Ips", "s", "10.0.0.1");
        REFUSED(ERROR_INVALID_ARGUMENT, "\"a/b/c\"", "a/b/c", 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "network", "", 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "network", "/a", 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "network", "a/", 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "network", "a\nb", 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "\"eth 0\"", "blue", 1, "Interface", "s", "eth 0");
        REFUSED(ERROR_INVALID_ARGUMENT, "Interface", "blue", 1, "Interface", "s", "");
        REFUSED(ERROR_INVALID_ARGUMENT, "Ips[1]", "blue", 1, "Ips", "as", 2, "10.0.0.1", "10.0.0");
        REFUSED(ERROR_INVALID_ARGUMENT, "Ips[0]", "blue", 1, "Ips", "as", 1, "224.0.0.1");
        REFUSED(ERROR_INVALID_ARGUMENT, "DefaultRoute[0]", "blue", 1, "DefaultRoute", "as", 1,
                "10.0.0.1/24");
        REFUSED(ERROR_INVALID_ARGUMENT, "Mac", "blue", 1, "Mac", "s", "01:00:00:00:00:01");
        REFUSED(ERROR_INVALID_ARGUMENT, "Bandwidth: ", "blue", 1, "Bandwidth", "a{sv}", 1,
                "IngressBurst", "t", UINT64_C(1));
        REFUSED(ERROR_UNKNOWN_OPTION, "Bandwidth: Rate", "blue", 1, "Bandwidth", "a{sv}", 1, "Rate",
                "t", UINT64_C(1));
        REFUSED(ERROR_INVALID_ARGUMENT, "Ports[1]: host_port", "blue", 1, "Ports", "a(sqqa{sv})", 2,
                "tcp", 1, 1, 0, "tcp", 0, 1, 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "Ports[0]: protocol", "blue", 1, "Ports", "a(sqqa{sv})", 1,
                "icmp", 1, 1, 0);
        REFUSED(ERROR_INVALID_ARGUMENT, "CniArgs", "blue", 1, "CniArgs", "s", "[1]");
        REFUSED(ERROR_DECODE, "CniArgs", "blue", 1, "CniArgs", "s", "{");
        REFUSED(ERROR_INVALID_ARGUMENT, "IpamClaim", "blue", 1, "IpamClaim", "s", "a b");
        REFUSED(ERROR_INVALID_ARGUMENT, "say one of both", "blue", 2, "Ips", "as", 1, "10.0.0.1",
                "IpamClaim", "s", "vm-1");
}

/* One more address than there are bits for what was written without a length. */
static void test_too_many(void **state) {
        sd_bus_message *m = NULL;

        assert_return_code(sd_bus_message_new_method_call(*state, &m, "a.b", "/a", "a.b", "C"), 0);
        assert_return_code(sd_bus_message_append(m, "ss", "box", "blue"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "{sv}"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'e', "sv"), 0);
        assert_return_code(sd_bus_message_append(m, "s", "Ips"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'v', "as"), 0);
        assert_return_code(sd_bus_message_open_container(m, 'a', "s"), 0);
        for (unsigned i = 0; i < 33; i++)
                assert_return_code(sd_bus_message_append(m, "s", "10.0.0.1"), 0);
        for (unsigned i = 0; i < 4; i++)
                assert_return_code(sd_bus_message_close_container(m), 0);
        assert_return_code(sd_bus_message_seal(m, 1, 0), 0);
        refused(m, ERROR_INVALID_ARGUMENT, "Ips: at most 32");
}

static void test_netns_is_no_netns(void **state) {
        _cleanup_close_ int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

        REFUSED(ERROR_INVALID_ARGUMENT, "Netns", "blue", 1, "Netns", "h", null);
}

static void test_detach(void **state) {
        _cleanup_message_ sd_bus_message *plain = MESSAGE(*state, "ssa{sv}", "box", "net1", 0);
        _cleanup_message_ sd_bus_message *bad = MESSAGE(*state, "ssa{sv}", "box", "a/b", 0);
        _cleanup_message_ sd_bus_message *more =
                        MESSAGE(*state, "ssa{sv}", "box", "net1", 1, "Force", "b", 1);
        _cleanup_error_ Error no_name = ERROR_NULL, unknown = ERROR_NULL;
        const char *sandbox, *ifname;
        int fd;

        assert_int_equal(detach_request_read(plain, &sandbox, &ifname, &fd, NULL), 0);
        assert_string_equal(ifname, "net1");
        assert_int_equal(fd, -EBADF);
        assert_true(detach_request_read(bad, &sandbox, &ifname, &fd, &no_name) < 0);
        assert_int_equal(no_name.kind, ERROR_INVALID_ARGUMENT);
        assert_true(detach_request_read(more, &sandbox, &ifname, &fd, &unknown) < 0);
        assert_int_equal(unknown.kind, ERROR_UNKNOWN_OPTION);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),
                cmocka_unit_test(test_all),
                cmocka_unit_test(test_claim_and_bare_default_route),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_netns_is_no_netns),
                cmocka_unit_test(test_detach),
        };
        return cmocka_run_group_tests(tests, make_bus, end_bus);
}
