/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What callers of AddPort, RemovePort, SetBandwidth and History want: read, checked, and refused with a
 * sentence, before anybody is asked for leave.
 */

#include "bus/change-request.h"

#include "base/parse.h"
#include "bus/options.h"

static int read_protocol(const char *s, uint8_t *ret, Error *e) {
        if (protocol_parse(s, ret) >= 0)
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "protocol: wanted tcp, udp or sctp, found \"%.32s\"", s);
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
        Option options[] = { OPTION("HostIP", "s", &host_ip) };

        int r = sd_bus_message_read(m, "sq", &protocol, &port.host_port);
        if (r >= 0 && which == PORT_REQUEST_ADD)
                r = sd_bus_message_read(m, "q", &port.container_port);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the port");
        r = options_read(m, options, ELEMENTSOF(options), e);
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
                OPTION("IngressRate", "t", &wanted.ingress_rate),
                OPTION("IngressBurst", "t", &wanted.ingress_burst),
                OPTION("EgressRate", "t", &wanted.egress_rate),
                OPTION("EgressBurst", "t", &wanted.egress_burst),
        };

        int r = options_read(m, options, ELEMENTSOF(options), e);
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
        Option options[] = { OPTION("Limit", "t", &request.limit),
                             OPTION("Since", "t", &request.since) };

        int r = sd_bus_message_read(m, "s", &request.filter);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the filter");
        r = options_read(m, options, ELEMENTSOF(options), e);
        if (r >= 0)
                *ret = request;
        return r;
}
