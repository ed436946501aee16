/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The arguments of AddPort, RemovePort and SetBandwidth: taken, or refused with a sentence. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include <sys/socket.h>
#include <unistd.h>

#include "bus/change-request.h"

/* Messages belong to a connection; this one has nobody at its other end. */
static int make_bus(void **state) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                return -1;
        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
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

static sd_bus_message *new_message(void *bus) {
        sd_bus_message *m = NULL;
        assert_return_code(sd_bus_message_new_method_call(bus, &m, "a.b", "/a", "a.b", "C"), 0);
        return m;
}

#define _cleanup_message_ _cleanup_(sd_bus_message_unrefp)

/* Reads the message that has the arguments behind `types`. */
#define MESSAGE(bus, ...)                                                                          \
        ({                                                                                         \
                sd_bus_message *_m = new_message(bus);                                             \
                assert_return_code(sd_bus_message_append(_m, __VA_ARGS__), 0);                     \
                assert_return_code(sd_bus_message_seal(_m, 1, 0), 0);                              \
                _m;                                                                                \
        })

static void port_refused(sd_bus_message *m, PortRequest which, ErrorKind kind, const char *word) {
        _cleanup_message_ _unused_ sd_bus_message *owned = m;
        _cleanup_error_ Error e = ERROR_NULL;
        NetPort port = { .host_port = 4711 };

        assert_true(port_request_read(m, which, &port, &e) < 0);
        assert_int_equal(e.kind, kind);
        if (!strstr(error_message(&e), word))
                fail_msg("no \"%s\" in: %s", word, error_message(&e));
        assert_int_equal(port.host_port, 4711);
}

static void test_ports(void **state) {
        _cleanup_message_ sd_bus_message *plain = MESSAGE(*state, "sqqa{sv}", "TCP", 8080, 80, 0);
        _cleanup_message_ sd_bus_message *all =
                        MESSAGE(*state, "sqqa{sv}", "sctp", 65535, 1, 1, "HostIP", "s", "");
        _cleanup_message_ sd_bus_message *six =
                        MESSAGE(*state, "sqa{sv}", "Udp", 53, 1, "HostIP", "s", "fd97:0::1");
        NetPort port;

        assert_int_equal(port_request_read(plain, PORT_REQUEST_ADD, &port, NULL), 0);
        assert_int_equal(port.protocol, IPPROTO_TCP);
        assert_int_equal(port.host_port, 8080);
        assert_int_equal(port.container_port, 80);
        assert_int_equal(port.host.family, AF_UNSPEC);
        assert_int_equal(port_request_read(all, PORT_REQUEST_ADD, &port, NULL), 0);
        assert_int_equal(port.protocol, IPPROTO_SCTP);
        assert_int_equal(port.host_port, 65535);
        assert_int_equal(port.host.family, AF_UNSPEC);
        assert_int_equal(port_request_read(six, PORT_REQUEST_REMOVE, &port, NULL), 0);
        assert_int_equal(port.protocol, IPPROTO_UDP);
        assert_int_equal(port.container_port, 0);
        assert_int_equal(port.host.family, AF_INET6);

        /* the same message again: polkit's answer runs the method a second time */
        assert_return_code(sd_bus_message_rewind(six, true), 0);
        assert_int_equal(port_request_read(six, PORT_REQUEST_REMOVE, &port, NULL), 0);
}

static void test_refused_ports(void **state) {
        void *b = *state;
        const PortRequest add = PORT_REQUEST_ADD, del = PORT_REQUEST_REMOVE;
        const ErrorKind bad = ERROR_INVALID_ARGUMENT;

        port_refused(MESSAGE(b, "sqqa{sv}", "icmp", 1, 1, 0), add, bad, "\"icmp\"");
        port_refused(MESSAGE(b, "sqqa{sv}", "", 1, 1, 0), add, bad, "protocol");
        port_refused(MESSAGE(b, "sqqa{sv}", "6", 1, 1, 0), add, bad, "protocol");
        port_refused(MESSAGE(b, "sqqa{sv}", "tcp", 0, 1, 0), add, bad, "host_port");
        port_refused(MESSAGE(b, "sqqa{sv}", "tcp", 1, 0, 0), add, bad, "container_port");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 0, 0), del, bad, "host_port");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 1, "HostIP", "s", "10.0.0"), del, bad,
                     "\"10.0.0\"");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 1, "HostIP", "s", "localhost"), del, bad,
                     "localhost");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 1, "HostIP", "s", "224.0.0.1"), del, bad,
                     "224.0.0.1");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 1, "HostIP", "u", 1), del, bad, "'u'");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 2, "HostIP", "s", "", "HostIP", "s", ""), del,
                     bad, "twice");
        port_refused(MESSAGE(b, "sqa{sv}", "tcp", 1, 1, "hostip", "s", ""), del,
                     ERROR_UNKNOWN_OPTION, "hostip");
        port_refused(MESSAGE(b, "sqqa{sv}", "tcp", 1, 1, 2, "HostIP", "s", "::", "Colour", "as", 1,
                             "x"),
                     add, ERROR_UNKNOWN_OPTION, "Colour");
}

static int read_bandwidth(sd_bus_message *m, NetBandwidth *b, Error *e) {
        _cleanup_message_ _unused_ sd_bus_message *owned = m;
        return bandwidth_request_read(m, b, e);
}

static void test_bandwidth(void **state) {
        NetBandwidth b = { .egress_rate = 5000000, .egress_burst = 700000 };

        /* what is not said stays */
        assert_int_equal(read_bandwidth(MESSAGE(*state, "a{sv}", 2, "IngressRate", "t",
                                                (uint64_t) 1000000, "IngressBurst", "t",
                                                (uint64_t) 80000),
                                        &b, NULL),
                         0);
        assert_int_equal(b.ingress_rate, 1000000);
        assert_int_equal(b.ingress_burst, 80000);
        assert_int_equal(b.egress_rate, 5000000);
        assert_int_equal(b.egress_burst, 700000);
        assert_int_equal(read_bandwidth(MESSAGE(*state, "a{sv}", 0), &b, NULL), 0);
        assert_int_equal(b.ingress_rate, 1000000);
        /* without a rate no burst is left */
        assert_int_equal(read_bandwidth(MESSAGE(*state, "a{sv}", 1, "EgressRate", "t",
                                                (uint64_t) 0),
                                        &b, NULL),
                         0);
        assert_int_equal(b.egress_rate, 0);
        assert_int_equal(b.egress_burst, 0);
        /* a burst that is none */
        assert_int_equal(read_bandwidth(MESSAGE(*state, "a{sv}", 1, "IngressBurst", "t",
                                                (uint64_t) 4000000),
                                        &b, NULL),
                         0);
        assert_int_equal(b.ingress_burst, 0);
        assert_int_equal(b.ingress_rate, 1000000);
        assert_int_equal(read_bandwidth(MESSAGE(*state, "a{sv}", 1, "EgressBurst", "t",
                                                (uint64_t) 0),
                                        &b, NULL),
                         0);
}

static void bandwidth_refused(sd_bus_message *m, ErrorKind kind, const char *word) {
        NetBandwidth b = { .ingress_rate = 1000 };
        _cleanup_error_ Error e = ERROR_NULL;

        assert_true(read_bandwidth(m, &b, &e) < 0);
        assert_int_equal(e.kind, kind);
        if (!strstr(error_message(&e), word))
                fail_msg("no \"%s\" in: %s", word, error_message(&e));
        assert_int_equal(b.ingress_rate, 1000);
}

static void test_refused_bandwidth(void **state) {
        const uint64_t v = 5;

        bandwidth_refused(MESSAGE(*state, "a{sv}", 1, "EgressBurst", "t", v),
                          ERROR_INVALID_ARGUMENT, "EgressBurst");
        bandwidth_refused(MESSAGE(*state, "a{sv}", 2, "IngressRate", "t", (uint64_t) 0,
                                  "IngressBurst", "t", v),
                          ERROR_INVALID_ARGUMENT, "IngressBurst");
        bandwidth_refused(MESSAGE(*state, "a{sv}", 1, "IngressRate", "u", 5),
                          ERROR_INVALID_ARGUMENT, "'t'");
        bandwidth_refused(MESSAGE(*state, "a{sv}", 1, "IngressRate", "s", "10M"),
                          ERROR_INVALID_ARGUMENT, "'s'");
        bandwidth_refused(MESSAGE(*state, "a{sv}", 2, "IngressRate", "t", v, "IngressRate", "t", v),
                          ERROR_INVALID_ARGUMENT, "twice");
        bandwidth_refused(MESSAGE(*state, "a{sv}", 2, "IngressRate", "t", v, "Rate", "t", v),
                          ERROR_UNKNOWN_OPTION, "Rate");
}

/* ---- Manager.History ---------------------------------------------------------------------------- */

static void history_refused(sd_bus_message *m, ErrorKind kind, const char *word) {
        _cleanup_message_ _unused_ sd_bus_message *owned = m;
        HistoryRequest request = { .limit = 7, .since = 8 };
        _cleanup_error_ Error e = ERROR_NULL;

        assert_true(history_request_read(m, &request, &e) < 0);
        assert_int_equal(e.kind, kind);
        if (!strstr(error_message(&e), word))
                fail_msg("no \"%s\" in: %s", word, error_message(&e));
        assert_null(request.filter);
        assert_int_equal(request.limit, 7);
        assert_int_equal(request.since, 8);
}

static void test_history(void **state) {
        const uint64_t v = UINT64_MAX;
        _cleanup_message_ sd_bus_message *plain = MESSAGE(*state, "sa{sv}", "box", 0);
        _cleanup_message_ sd_bus_message *all =
                        MESSAGE(*state, "sa{sv}", "", 2, "Since", "t", v, "Limit", "t", v - 1);
        HistoryRequest request = { .limit = 7 };

        assert_int_equal(history_request_read(plain, &request, NULL), 0);
        assert_string_equal(request.filter, "box");
        assert_int_equal(request.limit, 7); /* what is not said stays */
        assert_int_equal(request.since, 0);
        assert_int_equal(history_request_read(all, &request, NULL), 0);
        assert_string_equal(request.filter, "");
        assert_true(request.limit == v - 1 && request.since == v);

        history_refused(MESSAGE(*state, "sa{sv}", "", 1, "Limit", "u", 5), ERROR_INVALID_ARGUMENT,
                        "Limit");
        history_refused(MESSAGE(*state, "sa{sv}", "", 2, "Limit", "t", v, "Limit", "t", v),
                        ERROR_INVALID_ARGUMENT, "twice");
        history_refused(MESSAGE(*state, "sa{sv}", "", 1, "since", "t", v), ERROR_UNKNOWN_OPTION,
                        "since");
        history_refused(MESSAGE(*state, "a{sv}", 0), ERROR_INVALID_ARGUMENT, "filter");
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define on_bus(test) cmocka_unit_test_setup_teardown(test, make_bus, end_bus)
                on_bus(test_history),           on_bus(test_ports),
                on_bus(test_refused_ports),     on_bus(test_bandwidth),
                on_bus(test_refused_bandwidth),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
