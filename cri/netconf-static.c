/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ipam of type static: addresses that the configuration names, without a ledger of who else has them.
 * Source: the reference plugin's documentation and sources. What CNI_ARGS adds and what the runtime
 * puts in the place of all is brought together in netconf_static_addresses(), since a network that is
 * named has the addresses of its own file and the wishes of the caller.
 */

#include "base/limits.h"
#include "cri/netconf-internal.h"

typedef struct StaticInput {
        NetStaticAddress *addresses; /* owned */
        size_t n_addresses, allocated;
        JsonUnknown unknown;
        NetRoutes routes;
        NetDns dns;
} StaticInput;

static void static_input_clear(StaticInput *in) {
        free(in->addresses);
        free(in->routes.items);
        net_dns_clear(&in->dns);
}

static int check_address(const InPrefix *p, const char *path, Error *e) {
        const InAddr *a = &p->address;

        if (in_addr_is_unspecified(a) || in_addr_is_multicast(a))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s cannot be the address of an interface", path,
                                  IN_PREFIX_STR(p));
        return 0;
}

static const JsonField address_fields[] = {
        { "address", json_read_in_prefix, offsetof(NetStaticAddress, address), JSON_REQUIRED },
        { "gateway", optional_addr_read, offsetof(NetStaticAddress, gateway), 0 },
        {},
};

static int address_read_element(json_object *value, const char *path, void *target, Error *e) {
        StaticInput *in = target;
        NetStaticAddress a = { 0 };
        int r;

        r = json_read_object(value, path, address_fields, in->unknown, &a, e);
        if (r < 0)
                return r;
        r = check_address(&a.address, path, e);
        if (r < 0)
                return r;
        if (in_addr_is_set(&a.gateway) && a.gateway.family != a.address.address.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.gateway\": %s is of another family than address %s", path,
                                  IN_ADDR_STR(&a.gateway), IN_PREFIX_STR(&a.address));
        for (size_t i = 0; i < in->n_addresses; i++)
                if (in_addr_equal(&in->addresses[i].address.address, &a.address.address))
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is given twice",
                                          path, IN_PREFIX_STR(&a.address));
        if (GREEDY_REALLOC(in->addresses, in->allocated, in->n_addresses + 1) < 0)
                return error_oom(e);
        in->addresses[in->n_addresses++] = a;
        return 0;
}

static int addresses_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, STATIC_ADDRESSES_MAX, address_read_element, target, e);
}

static const JsonField static_fields[] = {
        { "type", NULL, 0, 0 },
        { "addresses", addresses_read, 0, 0 },
        { "routes", routes_read, offsetof(StaticInput, routes), 0 },
        { "dns", net_dns_read_lenient, offsetof(StaticInput, dns), 0 },
        {},
};

static bool dns_is_set(const NetDns *d) {
        return d->nameservers || !isempty(d->domain) || d->search || d->options;
}

/* Of bridge and ptp the dns of the configuration goes before that of ipam; the others of the reference
 * plugins have no ear for ipam's, but for dummy, which has none of its own. */
static bool wants_ipam_dns(const NetConf *c) {
        if (dns_is_set(&c->dns))
                return false;
        switch (c->kind) {
        case NET_KIND_MACVLAN:
        case NET_KIND_IPVLAN:
        case NET_KIND_VLAN:
        case NET_KIND_TAP:
        case NET_KIND_HOST_DEVICE:
                return !netconf_is_drop_in(c);
        default:
                return true;
        }
}

int netconf_read_static(json_object *ipam, NetConf *c, Error *e) {
        JsonUnknown unknown = netconf_is_drop_in(c) ? JSON_UNKNOWN_IGNORE : JSON_UNKNOWN_REFUSE;
        _cleanup_(static_input_clear)
                        StaticInput in = { .unknown = unknown, .routes.unknown = unknown };
        int r;

        r = json_read_object(ipam, "ipam", static_fields, unknown, &in, e);
        if (r < 0)
                return r;
        c->addresses = TAKE_PTR(in.addresses);
        c->n_addresses = in.n_addresses;
        c->routes = TAKE_PTR(in.routes.items);
        c->n_routes = in.routes.n_items;
        if (wants_ipam_dns(c)) {
                net_dns_clear(&c->dns);
                c->dns = in.dns;
                in.dns = (NetDns) { 0 };
        }
        return 0;
}

/* ---- what an attachment gets ------------------------------------------------------------------ */

/* Appends, unless the address is there already: the same wish by two ways is one wish. */
static void add_address(NetStaticAddress *list, size_t *n, const InPrefix *address) {
        for (size_t i = 0; i < *n; i++)
                if (in_addr_equal(&list[i].address.address, &address->address))
                        return;
        list[(*n)++] = (NetStaticAddress) { .address = *address };
}

static int add_args(NetStaticAddress *list, size_t *n, const CniArgs *args, Error *e) {
        for (size_t i = 0; i < args->n_ips; i++) {
                if (args->bare_ips & (1U << i))
                        return error_setf(
                                        e, ERROR_BAD_ENVIRONMENT,
                                        "CNI_ARGS: IP: %s has no prefix length, which ipam of type "
                                        "static needs",
                                        IN_ADDR_STR(&args->ips[i].address));
                int r = check_address(&args->ips[i], "CNI_ARGS: IP", e);
                if (r < 0)
                        return r;
                add_address(list, n, &args->ips[i]);
        }
        for (size_t i = 0; i < args->n_gateways; i++)
                for (size_t j = 0; j < *n; j++)
                        if (in_prefix_contains(&list[j].address, &args->gateways[i]))
                                list[j].gateway = args->gateways[i];
        return 0;
}

int netconf_static_addresses(const NetConf *network, const NetConf *request, const CniArgs *args,
                             NetStaticAddress **ret, size_t *ret_n, Error *e) {
        size_t n = 0, room = network->n_addresses + args->n_ips + request->n_overrides;
        _cleanup_free_ NetStaticAddress *list = new0(NetStaticAddress, room + 1);
        int r;

        if (!list)
                return error_oom(e);
        if (request->n_overrides > 0) {
                for (size_t i = 0; i < request->n_overrides; i++) {
                        r = check_address(&request->overrides[i], "ips", e);
                        if (r < 0)
                                return r;
                        add_address(list, &n, &request->overrides[i]);
                }
        } else {
                for (size_t i = 0; i < network->n_addresses; i++)
                        list[n++] = network->addresses[i];
                r = add_args(list, &n, args, e);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}
