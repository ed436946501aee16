/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The `ipam` object. "host-local" and "local" read the keys of the reference plugin host-local; the
 * addresses themselves live in netmgrd's ledger. dataDir and resolvConf of "host-local" are files that
 * only the plugin can read: the one says where the reference plugin kept what it has given out, the
 * other where the DNS settings are. "local" has neither.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* ---- routes ---------------------------------------------------------------------------------- */

static int dst_read(json_object *value, const char *path, void *target, Error *e) {
        InPrefix *ret = target, dst;
        int r;

        r = json_read_in_prefix(value, path, &dst, e);
        if (r < 0)
                return r;
        if (in_prefix_has_host_bits(&dst)) {
                InPrefix net = { .address = in_prefix_first(&dst), .length = dst.length };

                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has host bits set; the destination is %s", path,
                                  JSON_SHORT(value), IN_PREFIX_STR(&net));
        }
        *ret = dst;
        return 0;
}

static int table_read(json_object *value, const char *path, void *target, Error *e) {
        int64_t *ret = target;
        uint32_t v;
        int r;

        r = json_read_u32(value, path, &v, e);
        if (r < 0)
                return r;
        *ret = v;
        return 0;
}

static int scope_read(json_object *value, const char *path, void *target, Error *e) {
        int32_t *ret = target;
        uint32_t v;
        int r;

        r = json_read_u32(value, path, &v, e);
        if (r < 0)
                return r;
        if (v > UINT8_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not a scope of the kernel (0 to 255)", path,
                                  JSON_SHORT(value));
        *ret = (int32_t) v;
        return 0;
}

static const JsonField route_fields[] = {
        { "dst", dst_read, offsetof(NetRoute, dst), JSON_REQUIRED },
        { "gw", optional_addr_read, offsetof(NetRoute, gw), 0 },
        { "mtu", json_read_u32, offsetof(NetRoute, mtu), 0 },
        { "advmss", json_read_u32, offsetof(NetRoute, advmss), 0 },
        { "priority", json_read_u32, offsetof(NetRoute, priority), 0 },
        { "table", table_read, offsetof(NetRoute, table), 0 },
        { "scope", scope_read, offsetof(NetRoute, scope), 0 },
        {},
};

static int route_read_element(json_object *value, const char *path, void *target, Error *e) {
        NetRoutes *routes = target;
        NetRoute route = { .table = -1, .scope = -1 };
        int r;

        r = json_read_object(value, path, route_fields, routes->unknown, &route, e);
        if (r < 0)
                return r;
        if (in_addr_is_set(&route.gw) && route.gw.family != route.dst.address.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.gw\": %s is of another family than dst %s", path,
                                  IN_ADDR_STR(&route.gw), IN_PREFIX_STR(&route.dst));
        if (in_addr_is_set(&route.gw) &&
            (in_addr_is_unspecified(&route.gw) || in_addr_is_multicast(&route.gw)))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s.gw\": %s cannot be a gateway",
                                  path, IN_ADDR_STR(&route.gw));

        if (GREEDY_REALLOC(routes->items, routes->allocated, routes->n_items + 1) < 0)
                return error_oom(e);
        routes->items[routes->n_items++] = route;
        return 0;
}

int routes_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, ROUTES_MAX, route_read_element, target, e);
}

/* ---- local and host-local ----------------------------------------------------------------------- */

typedef struct IpamInput {
        RangeSets ranges;
        Prefixes excludes;
        NetRoutes routes;
        char *data_dir, *resolv_conf; /* owned */
} IpamInput;

static void ipam_input_clear(IpamInput *in) {
        range_sets_clear(&in->ranges);
        prefixes_clear(&in->excludes);
        free(in->routes.items);
        free(in->data_dir);
        free(in->resolv_conf);
}

static const JsonField ipam_fields[] = {
        { "type", NULL, 0, 0 },
        { "subnet", NULL, 0, 0 }, /* these four by range_sets_read_single() */
        { "rangeStart", NULL, 0, 0 },
        { "rangeEnd", NULL, 0, 0 },
        { "gateway", NULL, 0, 0 },
        { "ranges", range_sets_read, offsetof(IpamInput, ranges), 0 },
        { "exclude", prefixes_read, offsetof(IpamInput, excludes), 0 },
        { "routes", routes_read, offsetof(IpamInput, routes), 0 },
        { "dataDir", path_read, offsetof(IpamInput, data_dir), 0 },
        { "resolvConf", path_read, offsetof(IpamInput, resolv_conf), 0 },
        { "stickySec", NULL, 0, 0 }, /* these two by read_terms() */
        { "quarantineSec", NULL, 0, 0 },
        {},
};

static int seconds_read(json_object *ipam, const char *key, uint32_t most, uint32_t *ret,
                        Error *e) {
        _cleanup_free_ char *path = strf("ipam.%s", key);
        json_object *value = json_get(ipam, key);

        if (!path)
                return error_oom(e);
        int r = json_read_u32(value, path, ret, e);
        if (r >= 0 && *ret > most)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %u seconds are more than a year; wanted is 0 to %u",
                                  path, *ret, most);
        return r;
}

/* What becomes of an address once it is released. Ours alone. */
static int read_terms(json_object *ipam, NetConf *c, Error *e) {
        int r = 0;

        if (json_get(ipam, "stickySec"))
                r = seconds_read(ipam, "stickySec", STICKY_SEC_MAX, &c->sticky_sec, e);
        if (r >= 0 && json_get(ipam, "quarantineSec")) {
                r = seconds_read(ipam, "quarantineSec", QUARANTINE_SEC_MAX, &c->quarantine_sec, e);
                c->has_quarantine = r >= 0;
        }
        return r;
}

/* The excludes of one range of the configuration, or of runtimeConfig, are checked when it is read;
 * those of the network may name addresses that no range of it has at the moment. */
static int ipam_apply_excludes(const Prefixes *excludes, NetRangeSet *sets, size_t n_sets,
                               Error *e) {
        int r;

        for (size_t i = 0; i < excludes->n_items; i++) {
                r = range_sets_exclude(sets, n_sets, &excludes->items[i], e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int ipam_read_input(json_object *ipam, const NetConf *c, IpamInput *in, Error *e) {
        int r;

        r = range_sets_read_single(ipam, "ipam", &in->ranges, e);
        if (r < 0)
                return r;
        r = json_read_object(ipam, "ipam", ipam_fields, in->ranges.unknown, in, e);
        if (r < 0)
                return r;
        if (in->ranges.n_sets > RANGE_SETS_MAX)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"ipam.ranges\": %zu range sets together with \"ipam.subnet\", at "
                                "most %u are possible",
                                in->ranges.n_sets, RANGE_SETS_MAX);
        if (in->ranges.n_sets + c->n_runtime_sets == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\": %s names no address range; wanted is \"subnet\" or "
                                  "\"ranges\", and netmgr has no default",
                                  JSON_SHORT(ipam));
        if (streq(c->ipam_type, "local") && (in->data_dir || in->resolv_conf))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "\"ipam.%s\": \"%.64s\" is not available: \"type\": \"local\" keeps "
                                "its addresses in the ledger of netmgrd and takes DNS settings from "
                                "\"dns\"",
                                in->data_dir ? "dataDir" : "resolvConf",
                                in->data_dir ? in->data_dir : in->resolv_conf);
        return 0;
}

/* "exclude" is ours. The reference plugin would give these addresses out, so a configuration of its name
 * that has the key says what it wants, and is served. */
static int netconf_read_local(json_object *ipam, NetConf *c, Error *e) {
        JsonUnknown unknown = netconf_is_drop_in(c) ? JSON_UNKNOWN_IGNORE : JSON_UNKNOWN_REFUSE;
        _cleanup_(ipam_input_clear) IpamInput in = {
                .ranges = { .unknown = unknown, .lenient = netconf_is_drop_in(c) },
                .routes.unknown = unknown,
        };
        int r;

        r = ipam_read_input(ipam, c, &in, e);
        if (r >= 0 && !netconf_is_drop_in(c))
                r = read_terms(ipam, c, e);
        if (r < 0)
                return r;
        r = range_sets_check_overlap2(in.ranges.sets, in.ranges.n_sets, c->runtime_sets,
                                      c->n_runtime_sets, "ipam.ranges", e);
        if (r < 0)
                return r;
        r = ipam_apply_excludes(&in.excludes, in.ranges.sets, in.ranges.n_sets, e);
        if (r < 0)
                return r;
        r = ipam_apply_excludes(&in.excludes, c->runtime_sets, c->n_runtime_sets, e);
        if (r < 0)
                return r;

        c->sets = TAKE_PTR(in.ranges.sets);
        c->n_sets = in.ranges.n_sets;
        in.ranges.n_sets = 0;
        c->routes = TAKE_PTR(in.routes.items);
        c->n_routes = in.routes.n_items;
        c->data_dir = TAKE_PTR(in.data_dir);
        c->resolv_conf = TAKE_PTR(in.resolv_conf);
        return 0;
}

/* ---- the type --------------------------------------------------------------------------------- */

/* The readers of the types that are ours. */
static const struct {
        const char *type;
        NetIpam ipam;
        int (*read)(json_object *ipam, NetConf *c, Error *e);
} ipam_types[] = {
        { "local", NET_IPAM_LOCAL, netconf_read_local },
        { "host-local", NET_IPAM_LOCAL, netconf_read_local },
        { "static", NET_IPAM_STATIC, netconf_read_static },
        { "dhcp", NET_IPAM_DHCP, netconf_read_dhcp },
};

/* The name of a program in CNI_PATH, without a way out of its directories. */
static int check_foreign_type(const char *type, Error *e) {
        if (delegate_name_is_valid(type))
                return 0;
        if (net_plugin_from_string(type) >= 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam.type\": \"%s\" gives no addresses; there are local, "
                                  "host-local, static, dhcp and plugins of others",
                                  type);
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"ipam.type\": \"%.64s\" is not the name of a plugin (a letter or digit, "
                        "then letters, digits, '_', '.' or '-')",
                        type);
}

/* A program that is an IPAM plugin does its own work, whatever "type" says. */
static int ipam_type_read(json_object *ipam, const NetConf *c, char **ret, Error *e) {
        json_object *value = json_get(ipam, "type");

        if (net_plugin_is_ipam(c->plugin)) {
                *ret = strdup(net_plugin_to_string(c->plugin));
                return *ret ? 0 : error_oom(e);
        }
        return value ? json_read_string(value, "ipam.type", ret, e) : 0;
}

int netconf_read_ipam_type(json_object *top, NetConf *c, Error *e) {
        json_object *ipam = json_get(top, "ipam");
        _cleanup_free_ char *type = NULL;
        int r;

        if (!ipam && net_plugin_is_ipam(c->plugin))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\" is missing: %s finds its configuration there",
                                  net_plugin_to_string(c->plugin));
        if (!ipam)
                return 0;
        if (!json_object_is_type(ipam, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"ipam\": %s is not an object",
                                  JSON_SHORT(ipam));
        r = ipam_type_read(ipam, c, &type, e);
        if (r < 0)
                return r;
        if (isempty(type)) {
                /* {}: no addresses; the reference plugins look at nothing else then */
                if (netconf_is_drop_in(c) ||
                    json_object_object_length(ipam) == (json_has(ipam, "type", NULL) ? 1 : 0))
                        return 0;
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\": %s has no \"type\"; wanted is \"type\": \"local\"",
                                  JSON_SHORT(ipam));
        }
        c->ipam = NET_IPAM_FOREIGN;
        for (size_t i = 0; i < ELEMENTSOF(ipam_types); i++)
                if (streq(ipam_types[i].type, type))
                        c->ipam = ipam_types[i].ipam;
        if (c->ipam == NET_IPAM_FOREIGN) {
                r = check_foreign_type(type, e);
                if (r < 0)
                        return r;
        }
        c->ipam_type = TAKE_PTR(type);
        return 0;
}

int netconf_read_ipam(json_object *top, NetConf *c, Error *e) {
        json_object *ipam = json_get(top, "ipam");

        for (size_t i = 0; c->ipam_type && i < ELEMENTSOF(ipam_types); i++)
                if (streq(ipam_types[i].type, c->ipam_type))
                        return ipam_types[i].read(ipam, c, e);
        return 0; /* none, or a foreign plugin's own business */
}
