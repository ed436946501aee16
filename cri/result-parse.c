/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Results of others, read for being passed on: a plugin in a chain answers with prevResult and its own
 * changes, in the version of the configuration. What was understood is written again by result.c; what no
 * version of the specification knows is left out, as libcni leaves it out.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

void cni_owned_result_clear(CniOwnedResult *r) {
        for (size_t i = 0; i < r->n_texts; i++)
                free(r->texts[i]);
        free(r->texts);
        free(r->interfaces);
        free(r->ips);
        free(r->routes);
        net_dns_clear(&r->dns);
        *r = (CniOwnedResult) { 0 };
}

CniResult cni_owned_result_view(const CniOwnedResult *r) {
        return (CniResult) {
                .interfaces = r->interfaces,
                .n_interfaces = r->n_interfaces,
                .ips = r->ips,
                .n_ips = r->n_ips,
                .routes = r->routes,
                .n_routes = r->n_routes,
                .dns = &r->dns,
        };
}

/* ---- interfaces ------------------------------------------------------------------------------- */

/* A copy that lives as long as the result; of an empty text NULL. */
static int keep_text(CniOwnedResult *r, const char *text, const char **ret, Error *e) {
        char **more, *copy;

        *ret = NULL;
        if (isempty(text))
                return 0;
        copy = strdup(text);
        more = reallocarray(r->texts, r->n_texts + 1, sizeof(*more));
        if (more)
                r->texts = more;
        if (!copy || !more) {
                free(copy);
                return error_oom(e);
        }
        *ret = more[r->n_texts++] = copy;
        return 0;
}

int cni_owned_result_add_interface(CniOwnedResult *r, const CniInterface *itf, Error *e) {
        CniInterface *more, copy = *itf;
        int q;

        if (r->n_interfaces >= RESULT_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "the result has %u interfaces, the limit", RESULT_ELEMENTS_MAX);
        if ((q = keep_text(r, itf->name, &copy.name, e)) < 0 ||
            (q = keep_text(r, itf->sandbox, &copy.sandbox, e)) < 0 ||
            (q = keep_text(r, itf->mac_text, &copy.mac_text, e)) < 0 ||
            (q = keep_text(r, itf->socket_path, &copy.socket_path, e)) < 0 ||
            (q = keep_text(r, itf->pci_id, &copy.pci_id, e)) < 0)
                return q;
        if (!copy.name) /* the one key that is always there */
                copy.name = "";
        more = reallocarray(r->interfaces, r->n_interfaces + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        r->interfaces = more;
        more[r->n_interfaces++] = copy;
        return 0;
}

typedef struct InterfaceInput {
        char *name, *mac, *sandbox, *socket_path, *pci_id; /* owned */
        uint32_t mtu;
} InterfaceInput;

static void interface_input_clear(InterfaceInput *in) {
        free(in->name);
        free(in->mac);
        free(in->sandbox);
        free(in->socket_path);
        free(in->pci_id);
}

static const JsonField interface_fields[] = {
        { "name", json_read_string, offsetof(InterfaceInput, name), 0 },
        { "mac", json_read_string, offsetof(InterfaceInput, mac), 0 },
        { "mtu", json_read_u32, offsetof(InterfaceInput, mtu), 0 },
        { "sandbox", json_read_string, offsetof(InterfaceInput, sandbox), 0 },
        { "socketPath", json_read_string, offsetof(InterfaceInput, socket_path), 0 },
        { "pciID", json_read_string, offsetof(InterfaceInput, pci_id), 0 },
        {},
};

static int interface_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_(interface_input_clear) InterfaceInput in = { 0 };
        CniInterface itf = { 0 };
        int r;

        r = json_read_object(value, path, interface_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        itf = (CniInterface) { .name = in.name,
                               .mtu = in.mtu,
                               .sandbox = in.sandbox,
                               .socket_path = in.socket_path,
                               .pci_id = in.pci_id };
        itf.has_mac = in.mac && mac_parse(in.mac, &itf.mac) >= 0;
        if (!itf.has_mac)
                itf.mac_text = in.mac;
        return cni_owned_result_add_interface(target, &itf, e);
}

static int interfaces_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RESULT_ELEMENTS_MAX, interface_read, target, e);
}

/* ---- addresses and routes --------------------------------------------------------------------- */

static int index_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t index;

        int r = json_read_u32(value, path, &index, e);
        if (r < 0)
                return r;
        if (index >= RESULT_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not the index of an interface", path,
                                  JSON_SHORT(value));
        *(int *) target = (int) index;
        return 0;
}

static const JsonField ip_fields[] = {
        { "address", json_read_in_prefix, offsetof(CniIp, address), JSON_REQUIRED },
        { "gateway", optional_addr_read, offsetof(CniIp, gateway), 0 },
        { "interface", index_read, offsetof(CniIp, interface), 0 },
        {},
};
/* What ip4 and ip6 have, beside their routes. */
static const JsonField legacy_ip_fields[] = {
        { "ip", json_read_in_prefix, offsetof(CniIp, address), JSON_REQUIRED },
        { "gateway", optional_addr_read, offsetof(CniIp, gateway), 0 },
        {},
};

static int add_ip(json_object *value, const char *path, const JsonField *fields,
                  CniOwnedResult *result, Error *e) {
        CniIp *more, ip = { .interface = -1 };
        int r;

        r = json_read_object(value, path, fields, JSON_UNKNOWN_IGNORE, &ip, e);
        if (r < 0)
                return r;
        more = reallocarray(result->ips, result->n_ips + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        result->ips = more;
        more[result->n_ips++] = ip;
        return 0;
}

static int ip_read(json_object *value, const char *path, void *target, Error *e) {
        return add_ip(value, path, ip_fields, target, e);
}

static int ips_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RESULT_ELEMENTS_MAX, ip_read, target, e);
}

static int table_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0)
                *(int64_t *) target = v;
        return r;
}

static int scope_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v;

        int r = json_read_u32(value, path, &v, e);
        if (r < 0)
                return r;
        if (v > UINT8_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not a scope (0 to 255)",
                                  path, JSON_SHORT(value));
        *(int32_t *) target = (int32_t) v;
        return 0;
}

static const JsonField route_fields[] = {
        { "dst", json_read_in_prefix, offsetof(NetRoute, dst), JSON_REQUIRED },
        { "gw", optional_addr_read, offsetof(NetRoute, gw), 0 },
        { "mtu", json_read_u32, offsetof(NetRoute, mtu), 0 },
        { "advmss", json_read_u32, offsetof(NetRoute, advmss), 0 },
        { "priority", json_read_u32, offsetof(NetRoute, priority), 0 },
        { "table", table_read, offsetof(NetRoute, table), 0 },
        { "scope", scope_read, offsetof(NetRoute, scope), 0 },
        {},
};

static int route_read(json_object *value, const char *path, void *target, Error *e) {
        NetRoute *more, route = { .table = -1, .scope = -1 };
        CniOwnedResult *result = target;
        int r;

        r = json_read_object(value, path, route_fields, JSON_UNKNOWN_IGNORE, &route, e);
        if (r < 0)
                return r;
        if (result->n_routes >= RESULT_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\" is one route too many; at most %u are read", path,
                                  RESULT_ELEMENTS_MAX);
        more = reallocarray(result->routes, result->n_routes + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        result->routes = more;
        more[result->n_routes++] = route;
        return 0;
}

static int result_routes_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RESULT_ELEMENTS_MAX, route_read, target, e);
}

static const JsonField legacy_routes_fields[] = {
        { "routes", result_routes_read, 0, 0 },
        {},
};

static int legacy_ip_read(json_object *value, const char *path, void *target, Error *e) {
        int r = add_ip(value, path, legacy_ip_fields, target, e);

        return r < 0 ? r
                     : json_read_object(value, path, legacy_routes_fields, JSON_UNKNOWN_IGNORE,
                                        target, e);
}

/* ---- the whole -------------------------------------------------------------------------------- */

static const JsonField modern_fields[] = {
        { "interfaces", interfaces_read, 0, 0 },
        { "ips", ips_read, 0, 0 },
        { "routes", result_routes_read, 0, 0 },
        { "dns", net_dns_read_lenient, offsetof(CniOwnedResult, dns), 0 },
        {},
};
/* In this order, whatever the order in the text. */
static const JsonField legacy_fields[] = {
        { "ip4", legacy_ip_read, 0, 0 },
        { "ip6", legacy_ip_read, 0, 0 },
        { "dns", net_dns_read_lenient, offsetof(CniOwnedResult, dns), 0 },
        {},
};

static int check_indexes(const CniOwnedResult *result, const char *path, Error *e) {
        for (size_t i = 0; i < result->n_ips; i++) {
                int index = result->ips[i].interface;

                if (index >= 0 && (size_t) index >= result->n_interfaces)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s.ips[%zu].interface\": %d, but there are %zu interfaces",
                                        path, i, index, result->n_interfaces);
        }
        return 0;
}

static int result_version(json_object *o, const char *path, const char **version, char **buf,
                          Error *e) {
        json_object *value = json_get(o, "cniVersion");
        _cleanup_free_ char *key = NULL;
        int r;

        if (value) {
                key = strf("%s.cniVersion", path);
                if (!key)
                        return error_oom(e);
                r = json_read_string(value, key, buf, e);
                if (r < 0)
                        return r;
                if (!isempty(*buf))
                        *version = *buf;
        }
        return cni_version_is_supported(*version) ? 0
                                                  : netconf_check_version(strempty(*version), e);
}

int cni_result_parse(json_object *o, const char *path, const char *version, CniOwnedResult *ret,
                     Error *e) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult result = { 0 };
        _cleanup_free_ char *own_version = NULL;
        int r;

        if (o && !json_object_is_type(o, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an object", path,
                                  JSON_SHORT(o));
        r = result_version(o, path, &version, &own_version, e);
        if (r >= 0 && o)
                r = json_read_object(o, path,
                                     cni_version_compare(version, "0.3.0") < 0 ? legacy_fields
                                                                               : modern_fields,
                                     JSON_UNKNOWN_IGNORE, &result, e);
        if (r >= 0)
                r = check_indexes(&result, path, e);
        if (r < 0)
                return r;
        *ret = result;
        result = (CniOwnedResult) { 0 };
        return 0;
}
