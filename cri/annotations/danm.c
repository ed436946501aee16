/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * DANM's danm.io/interfaces (danm.k8s.io/interfaces in old releases): a JSON list with all networks of a pod,
 * in their order. As DANM does, this refuses every key that it does not know.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/annotations/selection-internal.h"

/* "dynamic", "none", or an address; "" is what Go's writers leave for nothing. */
static int family_read(json_object *value, const char *path, int family, NetSelection *s,
                       SelectionFamily *ret, Error *e) {
        _cleanup_free_ char *text = NULL;
        InPrefix p, *more;

        int r = json_read_string(value, path, &text, e);
        if (r < 0 || isempty(text))
                return r;
        if (streq(text, "none") || streq(text, "dynamic")) {
                *ret = streq(text, "none") ? SELECTION_NONE : SELECTION_WANTED;
                return 0;
        }
        if (in_prefix_parse_auto(text, &p) < 0 || p.address.family != family)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": wanted \"dynamic\", \"none\" or an IPv%d address, found %s",
                                path, family == AF_INET ? 4 : 6, JSON_SHORT(value));
        r = selection_check_address(&p.address, path, e);
        if (r < 0)
                return r;
        more = reallocarray(s->ips, s->n_ips + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->ips = more;
        if (!strchr(text, '/'))
                s->bare_ips |= 1U << s->n_ips;
        more[s->n_ips++] = p;
        *ret = SELECTION_WANTED;
        return 0;
}

static int ip_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;

        return family_read(value, path, AF_INET, s, &s->ipv4, e);
}

static int ip6_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;

        return family_read(value, path, AF_INET6, s, &s->ipv6, e);
}

/* ---- proutes, proutes6 ------------------------------------------------------------------------ */

static int dst_parse(const char *text, int family, const char *path, InPrefix *ret, Error *e) {
        if (!text_is_clean(text, strlen(text)) || in_prefix_parse(text, ret) < 0 ||
            ret->address.family != family)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": \"%.64s\" is not a destination; wanted is a network such as "
                                "\"%s\"",
                                path, text_is_clean(text, strlen(text)) ? text : "?",
                                family == AF_INET ? "10.97.0.0/16" : "fd97::/64");
        if (in_prefix_has_host_bits(ret)) {
                InPrefix net = { .address = in_prefix_first(ret), .length = ret->length };

                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %.64s has host bits set; the destination is %s", path,
                                  text, IN_PREFIX_STR(&net));
        }
        return 0;
}

static int route_add(const char *dst, json_object *gw, int family, const char *path,
                     NetSelection *s, Error *e) {
        NetRoute route = { .table = -1, .scope = -1 }, *more;
        _cleanup_free_ char *gw_path = NULL;

        int r = dst_parse(dst, family, path, &route.dst, e);
        if (r < 0)
                return r;
        if (!(gw_path = strf("%s[\"%s\"]", path, dst)))
                return error_oom(e);
        if (!gw || (r = json_read_in_addr(gw, gw_path, &route.gw, e)) < 0)
                return gw ? r
                          : error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "\"%s\": wanted the address of a gateway, found nothing",
                                       gw_path);
        if (route.gw.family != family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is of another family than the destination", gw_path,
                                  IN_ADDR_STR(&route.gw));
        r = selection_check_address(&route.gw, gw_path, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_routes; i++)
                if (in_prefix_overlaps(&s->routes[i].dst, &route.dst) &&
                    s->routes[i].dst.length == route.dst.length)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": a route to %s is in the list already", gw_path,
                                          IN_PREFIX_STR(&route.dst));
        more = reallocarray(s->routes, s->n_routes + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->routes = more;
        more[s->n_routes++] = route;
        return 0;
}

/* { "10.0.0.0/8": "10.97.0.1" } */
static int routes_read(json_object *value, const char *path, int family, NetSelection *s,
                       Error *e) {
        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted an object of destinations and gateways, found %s",
                                  path, JSON_SHORT(value));
        if (json_object_object_length(value) > (int) ROUTES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %d routes, at most %u", path,
                                  json_object_object_length(value), ROUTES_MAX);
        json_object_object_foreach(value, dst, gw) {
                int r = route_add(dst, gw, family, path, s, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int proutes_read(json_object *value, const char *path, void *target, Error *e) {
        return routes_read(value, path, AF_INET, target, e);
}

static int proutes6_read(json_object *value, const char *path, void *target, Error *e) {
        return routes_read(value, path, AF_INET6, target, e);
}

/* ---- one interface ---------------------------------------------------------------------------- */

static const char *const network_keys[] = { "network", "tenantNetwork", "clusterNetwork" };

static const JsonField fields[] = {
        { "network", NULL, 0, 0 }, /* these three by read_network() */
        { "tenantNetwork", NULL, 0, 0 },
        { "clusterNetwork", NULL, 0, 0 },
        { "ip", ip_read, 0, 0 },
        { "ip6", ip6_read, 0, 0 },
        { "proutes", proutes_read, 0, 0 },
        { "proutes6", proutes6_read, 0, 0 },
        {},
};

static bool is_said(json_object *value) {
        return value && !(json_object_is_type(value, json_type_string) &&
                          json_object_get_string_len(value) == 0);
}

/* Exactly one of the three says which network, and of what kind of object it is. */
static int read_network(json_object *value, NetSelection *s, Error *e) {
        _cleanup_free_ char *path = NULL;
        const char *found = NULL;

        for (size_t i = 0; i < ELEMENTSOF(network_keys); i++) {
                if (!is_said(json_get(value, network_keys[i])))
                        continue;
                if (found)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s.%s\": there is \"%s\" already; wanted is one of them",
                                        s->where, network_keys[i], found);
                found = network_keys[i];
        }
        if (!found)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted is one of \"network\", \"tenantNetwork\" and "
                                  "\"clusterNetwork\", found none",
                                  s->where);
        if (!(path = strf("%s.%s", s->where, found)))
                return error_oom(e);
        s->node_wide = streq(found, "clusterNetwork");
        return selection_name_read(json_get(value, found), path, &s->name, e);
}

static int check_routes(const NetSelection *s, Error *e) {
        for (size_t i = 0; i < s->n_routes; i++) {
                bool v4 = s->routes[i].dst.address.family == AF_INET;

                if ((v4 ? s->ipv4 : s->ipv6) == SELECTION_NONE)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s.%s\": routes need an address, and \"%s\" is \"none\"",
                                        s->where, v4 ? "proutes" : "proutes6", v4 ? "ip" : "ip6");
        }
        return 0;
}

static int read_element(json_object *value, NetSelection *s, Error *e) {
        int r = selection_check_keys(value, s->where, fields, false, e);
        if (r >= 0)
                r = json_read_object(value, s->where, fields, JSON_UNKNOWN_IGNORE, s, e);
        if (r >= 0)
                r = read_network(value, s, e);
        return r < 0 ? r : check_routes(s, e);
}

int selections_read_danm(const char *key, const char *text, NetSelections *s, Error *e) {
        if (selection_text_is_blank(text))
                return 0;
        return selections_read_list(key, text, read_element, s, e);
}
