/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The annotation of the Network Plumbing Working Group (multi-net-spec 1.3, section 4), and Multus' own for
 * the default network, which has the same grammar. A key that Multus would take silently and not understand
 * is refused, unless its name has a dot: those belong to others.
 */

#include <ctype.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/annotations/selection-internal.h"
#include "cri/netconf-internal.h"

#define GUID_BYTES 8
#define GUID_SIZE  (GUID_BYTES * 3)

/* ---- readers of single keys; the target of most is the selection ---------------------------- */

static int ip_read(json_object *value, const char *path, void *target, Error *e) {
        Requests *q = target;
        size_t before = q->n_items;

        int r = requested_ip_read(value, path, q, e);
        if (r < 0 || q->n_items == before)
                return r;
        return selection_check_address(&q->items[before].address, path, e);
}

static int ips_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;
        Requests q = { 0 };

        int r = json_read_array(value, path, RANGE_SETS_MAX, ip_read, &q, e);
        s->ips = q.items;
        s->n_ips = q.n_items;
        s->bare_ips = q.bare;
        if (r >= 0 && s->n_ips == 0)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"%s\": wanted an address or more, found none; leave the key out",
                               path);
        return r;
}

/* Go's ParseMAC takes ':' and '-' between the bytes. */
static bool guid_normalise(char *s) {
        bool zero = true, ones = true;
        char divider = ':';

        if (strlen(s) != GUID_SIZE - 1)
                return false;
        if (s[2] == '-')
                divider = '-';
        for (size_t i = 0; i < GUID_SIZE - 1; i++) {
                if (i % 3 == 2) {
                        if (s[i] != divider)
                                return false;
                        s[i] = ':';
                        continue;
                }
                if (!isxdigit((unsigned char) s[i]))
                        return false;
                s[i] = (char) tolower((unsigned char) s[i]);
                zero &= s[i] == '0';
                ones &= s[i] == 'f';
        }
        return !zero && !ones; /* neither is the name of a port */
}

static int guid_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;

        int r = json_read_string(value, path, &s, e);
        if (r < 0 || isempty(s))
                return r;
        if (!guid_normalise(s))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": %s is not the GUID of an InfiniBand port; wanted are eight "
                                "bytes, such as \"c2:11:22:33:44:55:66:77\"",
                                path, JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

static int port_read(json_object *value, const char *path, void *target, Error *e) {
        int r = selection_check_keys(value, path, net_port_fields, true, e);
        return r < 0 ? r : net_port_read(value, path, target, e);
}

static int ports_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;
        NetPorts ports = { 0 };

        int r = json_read_array(value, path, PORTS_PER_ATTACHMENT_MAX, port_read, &ports, e);
        s->ports = ports.items;
        s->n_ports = ports.n_items;
        return r;
}

static int bandwidth_read(json_object *value, const char *path, void *target, Error *e) {
        int r = selection_check_keys(value, path, net_bandwidth_fields, true, e);
        return r < 0 ? r : net_bandwidth_read(value, path, target, e);
}

static int cni_args_read(json_object *value, const char *path, void *target, Error *e) {
        json_object **ret = target;

        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an object", path,
                                  JSON_SHORT(value));
        *ret = json_object_get(value);
        return 0;
}

static int gateway_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;
        InAddr a, *more;

        int r = json_read_in_addr(value, path, &a, e);
        if (r >= 0)
                r = selection_check_address(&a, path, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < s->n_gateways; i++)
                if (in_addr_equal(&s->gateways[i], &a))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": gateway %s is in the list already", path,
                                          IN_ADDR_STR(&a));
        more = reallocarray(s->gateways, s->n_gateways + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->gateways = more;
        more[s->n_gateways++] = a;
        return 0;
}

static int default_route_read(json_object *value, const char *path, void *target, Error *e) {
        NetSelection *s = target;

        s->has_default_route = true; /* by an empty list, too */
        return json_read_array(value, path, GATEWAYS_MAX, gateway_read, s, e);
}

/* ---- one network ------------------------------------------------------------------------------ */

static const JsonField fields[] = {
        { "name", selection_name_read, offsetof(NetSelection, name), JSON_REQUIRED },
        { "namespace", selection_namespace_read, offsetof(NetSelection, namespace), 0 },
        { "interface", ifname_read, offsetof(NetSelection, ifname), 0 },
        { "interfaceRequest", NULL, 0, 0 }, /* by read_old_ifname() */
        { "ips", ips_read, 0, 0 },
        { "mac", mac_addr_read, offsetof(NetSelection, mac), 0 },
        { "infiniband-guid", guid_read, offsetof(NetSelection, infiniband_guid), 0 },
        { "portMappings", ports_read, 0, 0 },
        { "bandwidth", bandwidth_read, offsetof(NetSelection, bandwidth), 0 },
        { "cni-args", cni_args_read, offsetof(NetSelection, cni_args), 0 },
        { "default-route", default_route_read, 0, 0 },
        { "ipam-claim-reference", selection_object_name_read, offsetof(NetSelection, ipam_claim),
          0 },
        { "deviceID", device_id_read, offsetof(NetSelection, device_id), 0 },
        {},
};

/* What Multus called "interface" before its version 3.2. */
static int read_old_ifname(json_object *value, NetSelection *s, Error *e) {
        char path[128], ifname[sizeof(s->ifname)] = "";
        json_object *old = json_get(value, "interfaceRequest");

        if (!old)
                return 0;
        snprintf(path, sizeof(path), "%s.interfaceRequest", s->where);
        int r = ifname_read(old, path, ifname, e);
        if (r < 0 || !ifname[0])
                return r;
        if (s->ifname[0] && !streq(s->ifname, ifname))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": \"%s\", but \"interface\" says \"%s\"; wanted is one name",
                                path, ifname, s->ifname);
        snprintf(s->ifname, sizeof(s->ifname), "%s", ifname);
        return 0;
}

static int read_element(json_object *value, NetSelection *s, Error *e) {
        int r = selection_check_keys(value, s->where, fields, true, e);
        if (r >= 0)
                r = json_read_object(value, s->where, fields, JSON_UNKNOWN_IGNORE, s, e);
        if (r >= 0)
                r = read_old_ifname(value, s, e);
        if (r >= 0 && s->n_ips > 0 && s->ipam_claim)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"%s.ips\" and \"ipam-claim-reference\" exclude each other: the claim has "
                               "the addresses",
                               s->where);
        return r;
}

/* Multus' way to tell the forms apart: what has one of these is JSON. */
static bool is_json(const char *text) {
        return strpbrk(text, "[{\"") != NULL;
}

int selections_read_npwg(const char *key, const char *text, NetSelections *s, Error *e) {
        bool of_default = streq(key, ANNOTATION_DEFAULT_NETWORK);
        size_t before = s->n_items;
        int r = 0;

        if (selection_text_is_blank(text))
                return 0;
        if (is_json(text))
                r = selections_read_list(key, text, read_element, s, e);
        else
                r = selections_read_short(key, text, s, e);
        if (r >= 0 && of_default && s->n_items - before != 1)
                r = error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted one network, found %zu", key,
                               s->n_items - before);
        return r;
}
