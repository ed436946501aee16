/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The `ipam` object. "local" reads the keys of the reference plugin host-local, so that a
 * configuration moves over by changing one word; the addresses themselves live in netmgrd's ledger,
 * which is why host-local's dataDir has no counterpart.
 */

#include "base/limits.h"
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

typedef struct Routes {
        NetRoute *items; /* owned */
        size_t n_items, allocated;
} Routes;

static int route_read_element(json_object *value, const char *path, void *target, Error *e) {
        Routes *routes = target;
        NetRoute route = { .table = -1, .scope = -1 };
        int r;

        r = json_read_object(value, path, route_fields, JSON_UNKNOWN_REFUSE, &route, e);
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

static int routes_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, ROUTES_MAX, route_read_element, target, e);
}

/* ---- the object ------------------------------------------------------------------------------ */

typedef struct IpamInput {
        RangeSets ranges;
        Prefixes excludes;
        Routes routes;
} IpamInput;

static void ipam_input_clear(IpamInput *in) {
        range_sets_clear(&in->ranges);
        prefixes_clear(&in->excludes);
        free(in->routes.items);
}

static int unavailable_read(json_object *value, const char *path, void *target, Error *e) {
        if (json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 0)
                return 0;
        return error_setf(e, ERROR_NOT_SUPPORTED,
                          "\"%s\": %s is not available: \"type\": \"local\" keeps its addresses in "
                          "the ledger of netmgrd and takes DNS settings from \"dns\"",
                          path, JSON_SHORT(value));
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
        { "dataDir", unavailable_read, 0, 0 },
        { "resolvConf", unavailable_read, 0, 0 },
        {},
};

/* The type decides what the other keys mean, so it is read before them. */
static int ipam_read_type(json_object *ipam, NetConf *c, Error *e) {
        json_object *value = json_get(ipam, "type");
        _cleanup_free_ char *type = NULL;
        int r;

        if (value) {
                r = json_read_string(value, "ipam.type", &type, e);
                if (r < 0)
                        return r;
        }
        if (isempty(type)) {
                if (json_object_object_length(ipam) == (value ? 1 : 0))
                        return 0; /* {}: no addresses, as in the reference plugins */
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\": %s has no \"type\"; wanted is \"type\": \"local\"",
                                  JSON_SHORT(ipam));
        }
        if (streq(type, "host-local"))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"ipam.type\": \"host-local\" is not available for type netmgr; "
                                  "\"type\": \"local\" reads the same keys");
        if (!streq(type, "local") && !streq(type, "dhcp"))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"ipam.type\": %s is not available in this version of netmgr; "
                                  "there are \"local\" and \"dhcp\"",
                                  JSON_SHORT(value));
        c->ipam = streq(type, "dhcp") ? NET_IPAM_DHCP : NET_IPAM_LOCAL;
        c->ipam_type = TAKE_PTR(type);
        return 0;
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

int netconf_read_ipam(json_object *ipam, NetConf *c, Error *e) {
        _cleanup_(ipam_input_clear) IpamInput in = { .ranges.unknown = JSON_UNKNOWN_REFUSE };
        int r;

        if (!json_object_is_type(ipam, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"ipam\": %s is not an object",
                                  JSON_SHORT(ipam));
        r = ipam_read_type(ipam, c, e);
        if (r < 0 || !c->ipam_type)
                return r;
        if (c->ipam == NET_IPAM_DHCP)
                return netconf_read_dhcp(ipam, c, e);

        r = range_sets_read_single(ipam, "ipam", &in.ranges, e);
        if (r < 0)
                return r;
        r = json_read_object(ipam, "ipam", ipam_fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r < 0)
                return r;
        if (in.ranges.n_sets > RANGE_SETS_MAX)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"ipam.ranges\": %zu range sets together with \"ipam.subnet\", at "
                                "most %u are possible",
                                in.ranges.n_sets, RANGE_SETS_MAX);
        if (in.ranges.n_sets + c->n_runtime_sets == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\": %s names no address range; wanted is \"subnet\" or "
                                  "\"ranges\", and netmgr has no default",
                                  JSON_SHORT(ipam));

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
        return 0;
}
