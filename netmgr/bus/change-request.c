/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What callers of AddPort, RemovePort, SetBandwidth and History want: read, checked, and refused with a
 * sentence, before anybody is asked for leave.
 */

#include <strings.h>

#include "bus/change-request.h"

static const struct {
        uint8_t protocol;
        const char *name;
} protocols[] = {
        { IPPROTO_TCP, "tcp" },
        { IPPROTO_UDP, "udp" },
        { IPPROTO_SCTP, "sctp" },
};

static int read_protocol(const char *s, uint8_t *ret, Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (strcasecmp(protocols[i].name, s) == 0) {
                        *ret = protocols[i].protocol;
                        return 0;
                }
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "protocol: wanted tcp, udp or sctp, found \"%.32s\"", s);
}

/* A key of a dictionary a{sv}, and where its value goes. */
typedef struct Option {
        const char *key;
        const char *type; /* "s": const char **, borrowed of the message; "t": uint64_t * */
        void *target;
        bool given;
} Option;

static int read_option(sd_bus_message *m, Option *options, size_t n, Error *e) {
        const char *key, *type;

        int r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r <= 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "options: an entry has no value");
        for (size_t i = 0; i < n; i++) {
                Option *o = &options[i];

                if (!streq(o->key, key))
                        continue;
                if (!streq(o->type, type))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s: wanted a value of type '%s', found '%.16s'", key,
                                          o->type, type);
                if (o->given)
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: given twice", key);
                o->given = true;
                r = sd_bus_message_read(m, "v", type, o->target);
                return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", key) : 0;
        }
        return error_setf(e, ERROR_UNKNOWN_OPTION,
                          "%.64s: unknown key, with a value of type '%.16s'", key, type);
}

static int read_options(sd_bus_message *m, Option *options, size_t n, Error *e) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, options, n, e);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the options") : 0;
}

static int read_host_ip(const char *s, InAddr *ret, Error *e) {
        if (isempty(s)) {
                *ret = (InAddr) { 0 }; /* every address of both families */
                return 0;
        }
        if (in_addr_parse(s, ret) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "HostIP: wanted an IPv4 or IPv6 address, found \"%.64s\"", s);
        if (in_addr_is_multicast(ret))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "HostIP: wanted an address of this host, found the group %s", s);
        return 0;
}

static int check_number(const char *name, uint16_t port, Error *e) {
        return port > 0 ? 0
                        : error_setf(e, ERROR_INVALID_ARGUMENT,
                                     "%s: wanted a port from 1 to 65535, found 0", name);
}

int port_request_read(sd_bus_message *m, PortRequest which, NetPort *ret, Error *e) {
        const char *protocol, *host_ip = NULL;
        NetPort port = { 0 };
        Option options[] = { { "HostIP", "s", &host_ip, false } };

        int r = sd_bus_message_read(m, "sq", &protocol, &port.host_port);
        if (r >= 0 && which == PORT_REQUEST_ADD)
                r = sd_bus_message_read(m, "q", &port.container_port);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the port");
        r = read_options(m, options, ELEMENTSOF(options), e);
        if (r >= 0)
                r = read_protocol(protocol, &port.protocol, e);
        if (r >= 0)
                r = check_number("host_port", port.host_port, e);
        if (r >= 0 && which == PORT_REQUEST_ADD)
                r = check_number("container_port", port.container_port, e);
        if (r >= 0)
                r = read_host_ip(host_ip, &port.host, e);
        if (r >= 0)
                *ret = port;
        return r;
}

/* A burst means nothing without its rate: asked for, it is a mistake; left over, it goes. */
static int settle_burst(const Option *option, uint64_t rate, uint64_t *burst, Error *e) {
        if (rate > 0)
                return 0;
        if (option->given && *burst > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: wanted a rate along with it, found a burst of %llu bit for "
                                  "a direction without limit",
                                  option->key, (unsigned long long) *burst);
        *burst = 0;
        return 0;
}

int bandwidth_request_read(sd_bus_message *m, NetBandwidth *b, Error *e) {
        NetBandwidth wanted = *b;
        Option options[] = {
                { "IngressRate", "t", &wanted.ingress_rate, false },
                { "IngressBurst", "t", &wanted.ingress_burst, false },
                { "EgressRate", "t", &wanted.egress_rate, false },
                { "EgressBurst", "t", &wanted.egress_burst, false },
        };

        int r = read_options(m, options, ELEMENTSOF(options), e);
        if (r >= 0)
                r = settle_burst(&options[1], wanted.ingress_rate, &wanted.ingress_burst, e);
        if (r >= 0)
                r = settle_burst(&options[3], wanted.egress_rate, &wanted.egress_burst, e);
        if (r < 0)
                return r;
        net_bandwidth_normalise(&wanted);
        *b = wanted;
        return 0;
}

int history_request_read(sd_bus_message *m, HistoryRequest *ret, Error *e) {
        HistoryRequest request = *ret;
        Option options[] = { { "Limit", "t", &request.limit, false },
                             { "Since", "t", &request.since, false } };

        int r = sd_bus_message_read(m, "s", &request.filter);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the filter");
        r = read_options(m, options, ELEMENTSOF(options), e);
        if (r >= 0)
                *ret = request;
        return r;
}
