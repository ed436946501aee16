/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What one more interface shall be like, as a caller of Attach says it: the same values that an element of the
 * annotation of a pod has (cri/annotations/selection.h), in the types of D-Bus.
 */

#include "bus/attach-request.h"

#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "bus/change-request.h"
#include "bus/options.h"

/* Calls `take` for each element of an array of strings, of which there may be so many. */
typedef int (*TakeText)(NetSelection *s, const char *text, const char *where, Error *e);

static int read_texts(sd_bus_message *m, const char *key, size_t most, TakeText take,
                      NetSelection *s, Error *e) {
        const char *text;
        char where[64];
        size_t n = 0;

        int r = sd_bus_message_enter_container(m, 'a', "s");
        while (r >= 0 && (r = sd_bus_message_read(m, "s", &text)) > 0) {
                if (n == most)
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: at most %zu elements",
                                          key, most);
                snprintf(where, sizeof(where), "%s[%zu]", key, n++);
                r = take(s, text, where, e);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

/* --- the values ---------------------------------------------------------------------------------- */

static int refuse_address(const InAddr *a, const char *text, const char *where, Error *e) {
        if (in_addr_is_unspecified(a) || in_addr_is_multicast(a) || in_addr_is_loopback(a))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: %.64s is an address that neither an interface of a sandbox "
                                  "nor a gateway has",
                                  where, text);
        return 0;
}

static int take_ip(NetSelection *s, const char *text, const char *where, Error *e) {
        InPrefix p;

        if (in_prefix_parse_auto(text, &p) < 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "%s: wanted an address such as 10.97.0.5, 10.97.0.5/24 or fd97::5/64, "
                                "found \"%.64s\"",
                                where, text);
        int r = refuse_address(&p.address, text, where, e);
        if (r < 0)
                return r;
        InPrefix *more = reallocarray(s->ips, s->n_ips + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->ips = more;
        if (!strchr(text, '/'))
                s->bare_ips |= UINT32_C(1) << s->n_ips;
        s->ips[s->n_ips++] = p;
        return 0;
}

static int take_gateway(NetSelection *s, const char *text, const char *where, Error *e) {
        InAddr a;

        if (in_addr_parse(text, &a) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: wanted the address of a gateway, found \"%.64s\"", where,
                                  text);
        int r = refuse_address(&a, text, where, e);
        if (r < 0)
                return r;
        InAddr *more = reallocarray(s->gateways, s->n_gateways + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->gateways = more;
        s->gateways[s->n_gateways++] = a;
        return 0;
}

static int read_ips(sd_bus_message *m, const char *key, void *target, Error *e) {
        return read_texts(m, key, 32 /* bits of bare_ips */, take_ip, target, e);
}

static int read_gateways(sd_bus_message *m, const char *key, void *target, Error *e) {
        NetSelection *s = target;

        s->has_default_route = true;
        return read_texts(m, key, RANGE_SETS_MAX, take_gateway, s, e);
}

static int read_bandwidth(sd_bus_message *m, const char *key, void *target, Error *e) {
        int r = bandwidth_request_read(m, &((NetSelection *) target)->bandwidth, e);
        if (r < 0)
                error_prefixf(e, "%s", key);
        return r;
}

/* Each as the arguments of AddPort. */
static int read_ports(sd_bus_message *m, const char *key, void *target, Error *e) {
        NetSelection *s = target;

        int r = sd_bus_message_enter_container(m, 'a', "(sqqa{sv})");
        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'r', "sqqa{sv}")) > 0) {
                if (s->n_ports == PORTS_PER_ATTACHMENT_MAX)
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: at most %u elements", key,
                                          PORTS_PER_ATTACHMENT_MAX);
                NetPort *more = reallocarray(s->ports, s->n_ports + 1, sizeof(*more));
                if (!more)
                        return error_oom(e);
                s->ports = more;
                r = port_request_read(m, PORT_REQUEST_ADD, &more[s->n_ports], e);
                if (r < 0) {
                        error_prefixf(e, "%s[%zu]", key, s->n_ports);
                        return r;
                }
                s->n_ports++;
                r = sd_bus_message_exit_container(m);
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int read_netns(sd_bus_message *m, const char *key, void *target, Error *e) {
        int fd, r = sd_bus_message_read(m, "h", &fd);

        if (r < 0)
                return r;
        r = fd_is_netns(fd, NULL, NULL);
        if (r < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: wanted an open network namespace, found something else",
                                  key);
        fd = fd_dup(fd);
        if (fd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, fd, "%s", key);
        *(int *) target = fd;
        return 0;
}

/* --- the whole ----------------------------------------------------------------------------------- */

static int take_texts(NetSelection *s, const char *ifname, const char *mac, const char *cni_args,
                      const char *claim, Error *e) {
        if (ifname && !ifname_is_valid(ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Interface: wanted the name of an interface (1 to %u bytes), "
                                  "found \"%.64s\"",
                                  IFNAME_LEN_MAX, ifname);
        if (ifname)
                memcpy(s->ifname, ifname, strlen(ifname) + 1);
        if (mac && (mac_parse(mac, &s->mac) < 0 || mac_is_zero(&s->mac) || s->mac.bytes[0] & 1))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Mac: wanted the MAC address of one interface such as "
                                  "02:00:00:00:00:01, found \"%.64s\"",
                                  mac);
        if (cni_args) {
                int r = json_parse(cni_args, strlen(cni_args), "CniArgs", &s->cni_args, e);
                if (r < 0)
                        return r;
                if (!json_object_is_type(s->cni_args, json_type_object))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "CniArgs: wanted a JSON object, found %s",
                                          JSON_SHORT(s->cni_args));
        }
        if (!claim)
                return 0;
        if (!cni_id_is_valid(claim, NETWORK_NAME_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "IpamClaim: wanted the name of a claim, found \"%.64s\"", claim);
        if (s->n_ips > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "IpamClaim: %s has the addresses that Ips asks for as well; say "
                                  "one of both",
                                  claim);
        s->ipam_claim = strdup(claim);
        return s->ipam_claim ? 0 : error_oom(e);
}

int attach_request_read(sd_bus_message *m, const char **ret_sandbox, NetSelection *ret,
                        int *ret_netns_fd, Error *e) {
        const char *sandbox, *network, *ifname = NULL, *mac = NULL, *args = NULL, *claim = NULL;
        _cleanup_(net_selection_clear) NetSelection s = { 0 };
        _cleanup_close_ int netns_fd = -EBADF;
        Option options[] = {
                OPTION("Interface", "s", &ifname),
                OPTION_READ("Ips", "as", &s, read_ips),
                OPTION("Mac", "s", &mac),
                OPTION_READ("Bandwidth", "a{sv}", &s, read_bandwidth),
                OPTION_READ("Ports", "a(sqqa{sv})", &s, read_ports),
                OPTION_READ("DefaultRoute", "as", &s, read_gateways),
                OPTION("CniArgs", "s", &args),
                OPTION("IpamClaim", "s", &claim),
                OPTION_READ("Netns", "h", &netns_fd, read_netns),
        };

        int r = sd_bus_message_read(m, "ss", &sandbox, &network);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the arguments");
        r = net_selection_parse_item(network, "network", &s, e);
        if (r >= 0)
                r = options_read(m, options, ELEMENTSOF(options), e);
        if (r >= 0)
                r = take_texts(&s, ifname, mac, args, claim, e);
        if (r < 0)
                return r;
        *ret_sandbox = sandbox;
        *ret = s;
        s = (NetSelection) { 0 };
        *ret_netns_fd = TAKE_FD(netns_fd);
        return 0;
}

int detach_request_read(sd_bus_message *m, const char **ret_sandbox, const char **ret_ifname,
                        int *ret_netns_fd, Error *e) {
        _cleanup_close_ int netns_fd = -EBADF;
        const char *sandbox, *ifname;
        Option options[] = { OPTION_READ("Netns", "h", &netns_fd, read_netns) };

        int r = sd_bus_message_read(m, "ss", &sandbox, &ifname);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the arguments");
        if (!ifname_is_valid(ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "interface: wanted the name of an interface, found \"%.64s\"",
                                  ifname);
        r = options_read(m, options, ELEMENTSOF(options), e);
        if (r < 0)
                return r;
        *ret_sandbox = sandbox;
        *ret_ifname = ifname;
        *ret_netns_fd = TAKE_FD(netns_fd);
        return 0;
}
