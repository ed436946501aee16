/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading the result of a foreign IPAM plugin; see ipam-result.h. Unknown keys are none of our business. */

#include "cri/ipam-result.h"

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

void ipam_result_clear(IpamResult *r) {
        free(r->ips);
        free(r->routes);
        net_dns_clear(&r->dns);
        *r = (IpamResult) { 0 };
}

/* ---- addresses ------------------------------------------------------------------------------- */

static int check_ip(const IpamAddress *ip, const char *path, Error *e) {
        const InAddr *a = &ip->address.address;

        if (in_addr_is_unspecified(a) || in_addr_is_multicast(a) || in_addr_is_loopback(a))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is no address for an interface", path,
                                  IN_PREFIX_STR(&ip->address));
        if (in_addr_is_set(&ip->gateway) && ip->gateway.family != a->family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.gateway\": %s is of another family than %s", path,
                                  IN_ADDR_STR(&ip->gateway), IN_PREFIX_STR(&ip->address));
        return 0;
}

static int add_ip(const IpamAddress *ip, const char *path, IpamResult *ret, Error *e) {
        int r = check_ip(ip, path, e);
        if (r < 0)
                return r;
        if (ret->n_ips >= RANGE_SETS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": more than %u addresses", path,
                                  RANGE_SETS_MAX);
        for (size_t i = 0; i < ret->n_ips; i++)
                if (in_addr_equal(&ret->ips[i].address.address, &ip->address.address))
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is there twice",
                                          path, IN_PREFIX_STR(&ip->address));
        IpamAddress *more = reallocarray(ret->ips, ret->n_ips + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        ret->ips = more;
        more[ret->n_ips++] = *ip;
        return 0;
}

static int ip_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "address", json_read_in_prefix, offsetof(IpamAddress, address), JSON_REQUIRED },
                { "gateway", optional_addr_read, offsetof(IpamAddress, gateway), 0 },
                {},
        };
        IpamAddress ip = { 0 };

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_IGNORE, &ip, e);
        return r < 0 ? r : add_ip(&ip, path, target, e);
}

static int ips_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RANGE_SETS_MAX, ip_read, target, e);
}

/* ---- routes ---------------------------------------------------------------------------------- */

static int number_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0)
                *(int64_t *) target = v;
        return r;
}

static int scope_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0 && v > UINT8_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %u is no scope of the kernel",
                                  path, v);
        if (r >= 0)
                *(int32_t *) target = (int32_t) v;
        return r;
}

/* Host bits of a destination are what the kernel would cut off. */
static int route_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "dst", json_read_in_prefix, offsetof(NetRoute, dst), JSON_REQUIRED },
                { "gw", optional_addr_read, offsetof(NetRoute, gw), 0 },
                { "mtu", json_read_u32, offsetof(NetRoute, mtu), 0 },
                { "advmss", json_read_u32, offsetof(NetRoute, advmss), 0 },
                { "priority", json_read_u32, offsetof(NetRoute, priority), 0 },
                { "table", number_read, offsetof(NetRoute, table), 0 },
                { "scope", scope_read, offsetof(NetRoute, scope), 0 },
                {},
        };
        NetRoute route = { .table = -1, .scope = -1 };
        IpamResult *ret = target;

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_IGNORE, &route, e);
        if (r < 0)
                return r;
        if (in_addr_is_set(&route.gw) && route.gw.family != route.dst.address.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.gw\": %s is of another family than dst %s", path,
                                  IN_ADDR_STR(&route.gw), IN_PREFIX_STR(&route.dst));
        if (ret->n_routes >= ROUTES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": more than %u routes", path,
                                  ROUTES_MAX);
        route.dst.address = in_prefix_first(&route.dst);
        NetRoute *more = reallocarray(ret->routes, ret->n_routes + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        ret->routes = more;
        more[ret->n_routes++] = route;
        return 0;
}

static int routes_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, ROUTES_MAX, route_read, target, e);
}

/* ---- 0.1.0 and 0.2.0 ------------------------------------------------------------------------- */

static int legacy_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "ip", json_read_in_prefix, offsetof(IpamAddress, address), JSON_REQUIRED },
                { "gateway", optional_addr_read, offsetof(IpamAddress, gateway), 0 },
                {},
        };
        _cleanup_free_ char *routes = strf("%s.routes", path);
        IpamAddress ip = { 0 };

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_IGNORE, &ip, e);
        if (r >= 0)
                r = add_ip(&ip, path, target, e);
        if (r < 0 || !json_get(value, "routes"))
                return r;
        return routes ? routes_read(json_get(value, "routes"), routes, target, e) : error_oom(e);
}

/* ---- whole ----------------------------------------------------------------------------------- */

static int dns_read(json_object *value, const char *path, void *target, Error *e) {
        return net_dns_read_lenient(value, path, &((IpamResult *) target)->dns, e);
}

static const JsonField modern_fields[] = {
        { "ips", ips_read, 0, 0 },
        { "routes", routes_read, 0, 0 },
        { "dns", dns_read, 0, 0 },
        {},
};
static const JsonField legacy_fields[] = {
        { "ip4", legacy_read, 0, 0 },
        { "ip6", legacy_read, 0, 0 },
        { "dns", dns_read, 0, 0 },
        {},
};

static int result_read(json_object *o, const char *config_version, IpamResult *ret, Error *e) {
        _cleanup_free_ char *own = NULL;
        json_object *value = json_get(o, "cniVersion");

        int r = value ? json_read_string(value, "cniVersion", &own, e) : 0;
        if (r < 0)
                return r;
        const char *version = isempty(own) ? config_version : own;
        r = netconf_check_version(version, e);
        if (r < 0)
                return r;
        return json_read_object(o, "",
                                cni_version_compare(version, "0.3.0") < 0 ? legacy_fields
                                                                          : modern_fields,
                                JSON_UNKNOWN_IGNORE, ret, e);
}

int ipam_result_parse(const char *text, size_t size, const char *version, IpamResult *ret,
                      Error *e) {
        _cleanup_(ipam_result_clear) IpamResult result = { 0 };
        _cleanup_json_ json_object *o = NULL;
        _cleanup_error_ Error error = ERROR_NULL;

        int r = json_parse(text, size, "its result", &o, &error);
        if (r >= 0 && !json_object_is_type(o, json_type_object))
                r = error_setf(&error, ERROR_DECODE, "its result is not a JSON object: %s",
                               JSON_SHORT(o));
        if (r >= 0)
                r = result_read(o, version, &result, &error);
        if (r >= 0 && result.n_ips == 0)
                r = error_setf(&error, ERROR_INVALID_ARGUMENT, "its result has no address");
        if (r == -ENOMEM)
                return error_oom(e);
        if (r < 0)
                return error_setf(e, ERROR_DELEGATE, "%s", error_message(&error));
        *ret = result;
        result = (IpamResult) { 0 };
        return 0;
}
