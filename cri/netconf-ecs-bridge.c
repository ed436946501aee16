/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ecs-bridge, a side network of the host, and its IPAM plugin ecs-ipam, whose keys exist once per family:
 * "ipv4-subnet" beside "ipv6-subnet". Addresses come out of netmgrd's ledger, or are named. Only the routes
 * that are written are made: such a network leads to a few addresses of the host and not to the world.
 */

#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

typedef struct EcsIpam {
        const char *family_name; /* "ipv4" */
        int family;
        InPrefix subnet, address;
        InAddr gateway;
} EcsIpam;

static json_object *family_key(json_object *ipam, const EcsIpam *f, const char *what,
                               char path[static 32]) {
        snprintf(path, 32, "ipam.%s-%s", f->family_name, what);
        return json_get(ipam, path + strlen("ipam."));
}

static int check_family(const EcsIpam *f, const InAddr *a, const char *path, Error *e) {
        if (a->family != f->family)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is of the other family",
                                  path, IN_ADDR_STR(a));
        if (in_addr_is_set(&f->subnet.address) && !in_prefix_contains(&f->subnet, a))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not in the subnet %s",
                                  path, IN_ADDR_STR(a), IN_PREFIX_STR(&f->subnet));
        return 0;
}

static int read_subnet(json_object *ipam, EcsIpam *f, Error *e) {
        char path[32];
        json_object *value = family_key(ipam, f, "subnet", path);
        InPrefix subnet;

        if (!value)
                return 0;
        int r = json_read_in_prefix(value, path, &subnet, e);
        if (r >= 0)
                r = check_family(f, &subnet.address, path, e);
        if (r >= 0)
                f->subnet = subnet;
        return r;
}

static int read_gateway(json_object *ipam, EcsIpam *f, Error *e) {
        char path[32];
        json_object *value = family_key(ipam, f, "gateway", path);

        f->gateway = in_prefix_first(&f->subnet);
        (void) in_addr_add(&f->gateway, 1, &f->gateway);
        if (!value)
                return 0;
        int r = optional_addr_read(value, path, &f->gateway, e);
        return r < 0 ? r : check_family(f, &f->gateway, path, e);
}

static int read_address(json_object *ipam, EcsIpam *f, Error *e) {
        char path[32];
        json_object *value = family_key(ipam, f, "address", path);
        InAddr first = in_prefix_first(&f->subnet);

        if (!value)
                return 0;
        int r = json_read_in_prefix(value, path, &f->address, e);
        if (r >= 0)
                r = check_family(f, &f->address.address, path, e);
        if (r < 0)
                return r;
        if (in_addr_equal(&f->address.address, &f->gateway) ||
            in_addr_equal(&f->address.address, &first))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is the %s of the network",
                                  path, IN_PREFIX_STR(&f->address),
                                  in_addr_equal(&f->address.address, &first) ? "address"
                                                                             : "gateway");
        return 0;
}

static int add_routes(json_object *ipam, const EcsIpam *f, NetConf *c, Error *e) {
        char path[32];
        json_object *value = family_key(ipam, f, "routes", path);
        NetRoutes routes = { .unknown = JSON_UNKNOWN_IGNORE };
        int r = value ? routes_read(value, path, &routes, e) : 0;

        for (size_t i = 0; i < routes.n_items && r >= 0; i++)
                if (routes.items[i].dst.address.family != f->family)
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "\"%s[%zu].dst\": %s is of the other family", path, i,
                                       IN_PREFIX_STR(&routes.items[i].dst));
        if (r >= 0 && c->n_routes + routes.n_items > ROUTES_MAX)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"%s\": %zu routes of both families, at most %u are possible", path,
                               c->n_routes + routes.n_items, ROUTES_MAX);
        NetRoute *all = r < 0 ? NULL
                              : reallocarray(c->routes, c->n_routes + routes.n_items + 1,
                                             sizeof(*all));
        if (all) {
                c->routes = all;
                for (size_t i = 0; i < routes.n_items; i++)
                        all[c->n_routes++] = routes.items[i];
        } else if (r >= 0)
                r = error_oom(e);
        free(routes.items);
        return r;
}

static int add_range(const EcsIpam *f, json_object *ipam, RangeSets *sets, Error *e) {
        char path[32];

        return range_sets_read_subnet(family_key(ipam, f, "subnet", path), path, &f->gateway, sets,
                                      e);
}

static int add_address(const EcsIpam *f, NetConf *c, Error *e) {
        NetStaticAddress *all = reallocarray(c->addresses, c->n_addresses + 1, sizeof(*all));

        if (!all)
                return error_oom(e);
        c->addresses = all;
        all[c->n_addresses++] = (NetStaticAddress) { .address = f->address, .gateway = f->gateway };
        return 0;
}

/* One network is either out of the ledger or named, for both families. */
static int choose_ipam(const EcsIpam *f, NetConf *c, Error *e) {
        NetIpam mine = in_addr_is_set(&f->address.address) ? NET_IPAM_STATIC : NET_IPAM_LOCAL;

        if (c->ipam != NET_IPAM_NONE && c->ipam != mine)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam.%s-address\": wanted is an address of each family or of "
                                  "none, found one of one family",
                                  mine == NET_IPAM_LOCAL ? f->family_name : "ipv4");
        c->ipam = mine;
        if (c->ipam_type)
                return 0;
        c->ipam_type = strdup(mine == NET_IPAM_STATIC ? "static" : "local");
        return c->ipam_type ? 0 : error_oom(e);
}

static int read_family(json_object *ipam, EcsIpam *f, RangeSets *sets, NetConf *c, Error *e) {
        static const char *const others[] = { "address", "gateway", "routes" };
        char path[32];
        int r = read_subnet(ipam, f, e);

        if (r < 0)
                return r;
        for (size_t i = 0; !in_addr_is_set(&f->subnet.address) && i < ELEMENTSOF(others); i++)
                if (family_key(ipam, f, others[i], path))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"ipam.%s-subnet\" is missing: \"%s\" needs it",
                                          f->family_name, path);
        if (!in_addr_is_set(&f->subnet.address))
                return 0;
        r = read_gateway(ipam, f, e);
        if (r >= 0)
                r = read_address(ipam, f, e);
        if (r >= 0)
                r = choose_ipam(f, c, e);
        if (r >= 0)
                r = c->ipam == NET_IPAM_STATIC ? add_address(f, c, e) : add_range(f, ipam, sets, e);
        return r < 0 ? r : add_routes(ipam, f, c, e);
}

static int read_ecs_ipam(json_object *ipam, NetConf *c, Error *e) {
        EcsIpam families[] = { { .family_name = "ipv4", .family = AF_INET },
                               { .family_name = "ipv6", .family = AF_INET6 } };
        _cleanup_(range_sets_clear) RangeSets sets = { .lenient = true };
        json_object *id = json_get(ipam, "id");
        int r = id ? text_ignore(id, "ipam.id", NULL, e) : 0;

        for (size_t i = 0; i < ELEMENTSOF(families) && r >= 0; i++)
                r = read_family(ipam, &families[i], &sets, c, e);
        if (r < 0)
                return r;
        if (c->ipam == NET_IPAM_NONE)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"ipam.ipv4-subnet\" is missing: ecs-ipam gives addresses out of "
                                "it");
        c->sets = TAKE_PTR(sets.sets);
        c->n_sets = sets.n_sets;
        sets.n_sets = 0;
        return 0;
}

static int read_ipam(json_object *top, NetConf *c, Error *e) {
        json_object *ipam = json_get(top, "ipam"), *type;
        _cleanup_free_ char *name = NULL;
        int r;

        if (!ipam)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\" is missing: wanted is {\"type\": \"ecs-ipam\", "
                                  "\"ipv4-subnet\": …}");
        if (!json_object_is_type(ipam, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"ipam\": %s is not an object",
                                  JSON_SHORT(ipam));
        type = json_get(ipam, "type");
        r = type ? json_read_string(type, "ipam.type", &name, e) : 0;
        if (r < 0)
                return r;
        if (streq_ptr(name, "ecs-ipam"))
                return read_ecs_ipam(ipam, c, e);
        r = netconf_read_ipam_type(top, c, e);
        return r < 0 ? r : netconf_read_ipam(top, c, e);
}

int netconf_read_ecs_bridge(json_object *top, NetConf *c, Error *e) {
        static const JsonField fields[] = {
                { "bridge", ifname_dup_read, offsetof(NetConf, bridge), 0 },
                { "mtu", mtu_read, offsetof(NetConf, mtu), 0 },
                {},
        };

        int r = json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r < 0)
                return r;
        if (!c->bridge)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"bridge\" is missing: wanted is the name of the bridge");
        c->is_gateway = true;
        r = read_ipam(top, c, e);
        return r < 0 ? r : netconf_check_network(c, top, e);
}
