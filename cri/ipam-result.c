/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The result of a foreign IPAM plugin; see ipam-result.h. */

#include "cri/ipam-result.h"

#include "base/limits.h"
#include "cri/netconf-internal.h"

static int check_ip(const CniOwnedResult *r, size_t i, Error *e) {
        const InAddr *a = &r->ips[i].address.address, *gateway = &r->ips[i].gateway;

        if (in_addr_is_unspecified(a) || in_addr_is_multicast(a) || in_addr_is_loopback(a))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "its result: %s is no address for an interface",
                                  IN_PREFIX_STR(&r->ips[i].address));
        if (in_addr_is_set(gateway) && gateway->family != a->family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "its result: gateway %s is of another family than %s",
                                  IN_ADDR_STR(gateway), IN_PREFIX_STR(&r->ips[i].address));
        for (size_t k = 0; k < i; k++)
                if (in_addr_equal(&r->ips[k].address.address, a))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "its result: address %s is there twice", IN_ADDR_STR(a));
        return 0;
}

static int check_route(const NetRoute *route, Error *e) {
        if (in_addr_is_set(&route->gw) && route->gw.family != route->dst.address.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "its result: gateway %s of the route to %s is of another family",
                                  IN_ADDR_STR(&route->gw), IN_PREFIX_STR(&route->dst));
        return 0;
}

static int check(CniOwnedResult *r, Error *e) {
        if (r->n_ips == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "its result has no address");
        if (r->n_ips > RANGE_SETS_MAX || r->n_routes > ROUTES_MAX)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "its result has %zu addresses and %zu routes, at most %u and %u are "
                                "possible",
                                r->n_ips, r->n_routes, RANGE_SETS_MAX, ROUTES_MAX);
        for (size_t i = 0; i < r->n_ips; i++) {
                int q = check_ip(r, i, e);
                if (q < 0)
                        return q;
        }
        for (size_t i = 0; i < r->n_routes; i++) {
                int q = check_route(&r->routes[i], e);
                if (q < 0)
                        return q;
                r->routes[i].dst.address = in_prefix_first(&r->routes[i].dst);
        }
        return 0;
}

int ipam_result_parse(const char *text, size_t size, const char *version, CniOwnedResult *ret,
                      Error *e) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult result = { 0 };
        _cleanup_json_ json_object *o = NULL;
        _cleanup_error_ Error error = ERROR_NULL;

        int r = json_parse(text, size, "its result", &o, &error);
        if (r >= 0 && !json_object_is_type(o, json_type_object))
                r = error_setf(&error, ERROR_DECODE, "its result is not a JSON object: %s",
                               JSON_SHORT(o));
        if (r >= 0)
                r = cni_result_parse(o, "its result", version, &result, &error);
        if (r >= 0)
                r = check(&result, &error);
        if (r == -ENOMEM)
                return error_oom(e);
        if (r < 0)
                return error_setf(e, ERROR_DELEGATE, "%s", error_message(&error));
        *ret = result;
        result = (CniOwnedResult) { 0 };
        return 0;
}

int ipam_dns_parse(const char *text, size_t size, NetDns *ret, Error *e) {
        _cleanup_json_ json_object *o = NULL;
        NetDns dns = { 0 };

        int r = json_parse(text, size, "DNS settings", &o, e);
        if (r >= 0)
                r = net_dns_read_lenient(o, "dns", &dns, e);
        if (r < 0) {
                net_dns_clear(&dns);
                return r;
        }
        net_dns_clear(ret);
        *ret = dns;
        return 0;
}
