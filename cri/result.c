/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Results and errors as the specification's versions want them:
 *
 *   0.1.0, 0.2.0   ip4 and ip6 objects: the first address of each family, with the family's routes
 *                  cut down to dst and gw; no interfaces
 *   0.3.0 - 0.4.0  interfaces (name, mac, sandbox), ips with their "version", routes
 *   1.0.0, 1.1.0   interfaces with mtu, socketPath and pciID, ips without "version"
 *
 * libcni's 1.0.0 carries mtu and the extra fields of routes too, because its types are shared with
 * 1.1.0; so does ours. Empty lists and an empty dns are left out.
 */

#include "cri/result.h"

#include "base/parse.h"

const char *const cni_versions[] = {
        "0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0", NULL,
};
const char cni_versions_text[] = "0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0";

/* Index into cni_versions, -1: not supported. */
static int version_index(const char *version) {
        for (int i = 0; version && cni_versions[i]; i++)
                if (streq(cni_versions[i], version))
                        return i;
        return -1;
}

bool cni_version_is_supported(const char *version) {
        return version_index(version) >= 0;
}

int cni_version_compare(const char *a, const char *b) {
        return version_index(a) - version_index(b);
}

/* ---- parts ----------------------------------------------------------------------------------- */

/* Adds a container and drops it when it stayed empty. */
static int add_unless_empty(json_object *object, const char *key, json_object *value) {
        bool empty = value && (json_object_is_type(value, json_type_array)
                                               ? json_object_array_length(value) == 0
                                               : json_object_object_length(value) == 0);

        if (empty) {
                json_object_put(value);
                return 0;
        }
        return json_add(object, key, value);
}

/* 0 means unset, as everywhere in results. */
static int add_u32(json_object *object, const char *key, uint32_t value) {
        return value == 0 ? 0 : json_add(object, key, json_object_new_int64(value));
}

static int add_address(json_object *object, const char *key, const InAddr *a) {
        return in_addr_is_set(a) ? json_add_string(object, key, IN_ADDR_STR(a)) : 0;
}

static int add_texts(json_object *object, const char *key, char **texts) {
        _cleanup_json_ json_object *array = json_object_new_array();

        if (!array)
                return -ENOMEM;
        for (char **t = texts; t && *t; t++) {
                int r = json_append(array, json_object_new_string(*t));

                if (r < 0)
                        return r;
        }
        return add_unless_empty(object, key, TAKE_PTR(array));
}

static int add_dns(json_object *object, const NetDns *dns) {
        _cleanup_json_ json_object *o = json_object_new_object();
        int r;

        if (!o)
                return -ENOMEM;
        if (!dns)
                return 0;
        if ((r = add_texts(o, "nameservers", dns->nameservers)) < 0 ||
            (r = isempty(dns->domain) ? 0 : json_add_string(o, "domain", dns->domain)) < 0 ||
            (r = add_texts(o, "search", dns->search)) < 0 ||
            (r = add_texts(o, "options", dns->options)) < 0)
                return r;
        return add_unless_empty(object, "dns", TAKE_PTR(o));
}

/* brief: only dst and gw. */
static int append_route(json_object *array, const NetRoute *route, bool brief) {
        _cleanup_json_ json_object *o = json_object_new_object();
        int r;

        if (!o)
                return -ENOMEM;
        if ((r = json_add_string(o, "dst", IN_PREFIX_STR(&route->dst))) < 0 ||
            (r = add_address(o, "gw", &route->gw)) < 0)
                return r;
        if (!brief) {
                if ((r = add_u32(o, "mtu", route->mtu)) < 0 ||
                    (r = add_u32(o, "advmss", route->advmss)) < 0 ||
                    (r = add_u32(o, "priority", route->priority)) < 0)
                        return r;
                /* 0 has a meaning in these two. */
                if (route->table >= 0 &&
                    (r = json_add(o, "table", json_object_new_int64(route->table))) < 0)
                        return r;
                if (route->scope >= 0 &&
                    (r = json_add(o, "scope", json_object_new_int64(route->scope))) < 0)
                        return r;
        }
        return json_append(array, TAKE_PTR(o));
}

/* family: AF_UNSPEC for all. */
static int add_routes(json_object *object, const CniResult *result, int family, bool brief) {
        _cleanup_json_ json_object *array = json_object_new_array();

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < result->n_routes; i++) {
                const NetRoute *route = &result->routes[i];
                int r;

                if (family != AF_UNSPEC && route->dst.address.family != family)
                        continue;
                r = append_route(array, route, brief);
                if (r < 0)
                        return r;
        }
        return add_unless_empty(object, "routes", TAKE_PTR(array));
}

/* ---- 0.3.0 and newer ------------------------------------------------------------------------- */

/* NULL: unknown. */
static const char *interface_mac(const CniInterface *itf, char buf[static MAC_STR_MAX]) {
        if (itf->mac_text)
                return itf->mac_text;
        return itf->has_mac ? mac_format(&itf->mac, buf) : NULL;
}

static int add_interfaces(json_object *object, const CniResult *result, bool newest) {
        _cleanup_json_ json_object *array = json_object_new_array();

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < result->n_interfaces; i++) {
                const CniInterface *itf = &result->interfaces[i];
                _cleanup_json_ json_object *o = json_object_new_object();
                char mac[MAC_STR_MAX];
                int r;

                if (!o)
                        return -ENOMEM;
                if ((r = json_add_string(o, "name", itf->name)) < 0 ||
                    (r = json_add_string(o, "mac", interface_mac(itf, mac))) < 0 ||
                    (r = newest ? add_u32(o, "mtu", itf->mtu) : 0) < 0 ||
                    (r = json_add_string(o, "sandbox", itf->sandbox)) < 0 ||
                    (r = newest ? json_add_string(o, "socketPath", itf->socket_path) : 0) < 0 ||
                    (r = newest ? json_add_string(o, "pciID", itf->pci_id) : 0) < 0 ||
                    (r = json_append(array, TAKE_PTR(o))) < 0)
                        return r;
        }
        return add_unless_empty(object, "interfaces", TAKE_PTR(array));
}

static int add_ips(json_object *object, const CniResult *result, bool with_version) {
        _cleanup_json_ json_object *array = json_object_new_array();

        if (!array)
                return -ENOMEM;
        for (size_t i = 0; i < result->n_ips; i++) {
                const CniIp *ip = &result->ips[i];
                const char *version = ip->address.address.family == AF_INET ? "4" : "6";
                _cleanup_json_ json_object *o = json_object_new_object();
                int r;

                if (!o)
                        return -ENOMEM;
                if ((r = with_version ? json_add_string(o, "version", version) : 0) < 0)
                        return r;
                if (ip->interface >= 0 &&
                    (r = json_add(o, "interface", json_object_new_int(ip->interface))) < 0)
                        return r;
                if ((r = json_add_string(o, "address", IN_PREFIX_STR(&ip->address))) < 0 ||
                    (r = add_address(o, "gateway", &ip->gateway)) < 0 ||
                    (r = json_append(array, TAKE_PTR(o))) < 0)
                        return r;
        }
        return add_unless_empty(object, "ips", TAKE_PTR(array));
}

static int build_modern(json_object *o, const CniResult *result, const char *version) {
        bool v1 = cni_version_compare(version, "1.0.0") >= 0;
        int r;

        if ((r = add_interfaces(o, result, v1)) < 0 || (r = add_ips(o, result, !v1)) < 0 ||
            (r = add_routes(o, result, AF_UNSPEC, false)) < 0)
                return r;
        return 0;
}

/* ---- 0.1.0 and 0.2.0 ------------------------------------------------------------------------- */

/* Returns 1 when there is an address of the family, 0 when not. */
static int add_legacy_family(json_object *object, const char *key, const CniResult *result,
                             int family) {
        for (size_t i = 0; i < result->n_ips; i++) {
                const CniIp *ip = &result->ips[i];
                _cleanup_json_ json_object *o = NULL;
                int r;

                if (ip->address.address.family != family)
                        continue;
                o = json_object_new_object();
                if (!o)
                        return -ENOMEM;
                if ((r = json_add_string(o, "ip", IN_PREFIX_STR(&ip->address))) < 0 ||
                    (r = add_address(o, "gateway", &ip->gateway)) < 0 ||
                    (r = add_routes(o, result, family, true)) < 0 ||
                    (r = json_add(object, key, TAKE_PTR(o))) < 0)
                        return r;
                return 1;
        }
        return 0;
}

/* Returns 1, or 0 when there is no address at all, which these versions cannot say. */
static int build_legacy(json_object *o, const CniResult *result) {
        int r4, r6;

        r4 = add_legacy_family(o, "ip4", result, AF_INET);
        if (r4 < 0)
                return r4;
        r6 = add_legacy_family(o, "ip6", result, AF_INET6);
        if (r6 < 0)
                return r6;
        return r4 || r6;
}

/* ---- whole ----------------------------------------------------------------------------------- */

int cni_result_to_json(const CniResult *result, const char *version, char **ret, Error *e) {
        _cleanup_json_ json_object *o = NULL;
        char *text;
        int r;

        if (!cni_version_is_supported(version))
                return error_setf(e, ERROR_INCOMPATIBLE_VERSION,
                                  "no result of version \"%.64s\" is possible; netmgr supports %s",
                                  strempty(version), cni_versions_text);
        o = json_object_new_object();
        if (!o || json_add_string(o, "cniVersion", version) < 0)
                return error_oom(e);
        if (cni_version_compare(version, "0.3.0") < 0) {
                r = build_legacy(o, result);
                if (r == 0)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "cniVersion %s cannot express a result without addresses; "
                                        "use 0.3.0 or newer for a network without ipam",
                                        version);
        } else
                r = build_modern(o, result, version);
        if (r < 0 || add_dns(o, result->dns) < 0)
                return error_oom(e);

        text = json_to_text(o);
        if (!text)
                return error_oom(e);
        *ret = text;
        return 0;
}

int cni_error_to_json(const char *version, unsigned code, const char *msg, const char *details,
                      char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object();
        /* They quote environments and files, where there may be any bytes. */
        _cleanup_free_ char *clean_msg = strdup(strempty(msg)),
                            *clean_details = isempty(details) ? NULL : strdup(details);
        char *text;
        int r;

        if (!o || !clean_msg || (!isempty(details) && !clean_details))
                return -ENOMEM;
        text_make_utf8(clean_msg);
        text_make_utf8(clean_details);
        if ((r = json_add_string(o, "cniVersion", version)) < 0 ||
            (r = json_add(o, "code", json_object_new_int64(code))) < 0 ||
            (r = json_add_string(o, "msg", clean_msg)) < 0 ||
            (r = json_add_string(o, "details", clean_details)) < 0)
                return r;
        text = json_to_text(o);
        if (!text)
                return -ENOMEM;
        *ret = text;
        return 0;
}
