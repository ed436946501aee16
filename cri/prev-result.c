/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * prevResult, as far as CHECK compares it: the addresses and the interfaces. Other plugins of the
 * chain write into it too, so what we do not understand is none of our business.
 */

#include <strings.h>

#include "base/limits.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

void cni_prev_result_clear(CniPrevResult *r) {
        for (size_t i = 0; i < r->n_interfaces; i++) {
                free(r->interfaces[i].name);
                free(r->interfaces[i].sandbox);
        }
        free(r->interfaces);
        free(r->ips);
        *r = (CniPrevResult) { 0 };
}

/* One element of `ips`, or the value of ip4 or ip6. */
typedef struct IpInput {
        InPrefix address;
} IpInput;

static const JsonField ip_fields[] = {
        { "address", json_read_in_prefix, offsetof(IpInput, address), JSON_REQUIRED },
        {},
};
static const JsonField legacy_ip_fields[] = {
        { "ip", json_read_in_prefix, offsetof(IpInput, address), JSON_REQUIRED },
        {},
};

static int add_ip(json_object *value, const char *path, const JsonField *fields, CniPrevResult *p,
                  Error *e) {
        IpInput in = { 0 };
        InPrefix *ips;
        int r;

        r = json_read_object(value, path, fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        ips = reallocarray(p->ips, p->n_ips + 1, sizeof(InPrefix));
        if (!ips)
                return error_oom(e);
        p->ips = ips;
        p->ips[p->n_ips++] = in.address;
        return 0;
}

static int ip_read_element(json_object *value, const char *path, void *target, Error *e) {
        return add_ip(value, path, ip_fields, target, e);
}

static int ips_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RESULT_ELEMENTS_MAX, ip_read_element, target, e);
}

static int legacy_ip_read(json_object *value, const char *path, void *target, Error *e) {
        return add_ip(value, path, legacy_ip_fields, target, e);
}

typedef struct InterfaceInput {
        char *name, *sandbox, *mac; /* owned */
        uint32_t mtu;
} InterfaceInput;

static void interface_input_clear(InterfaceInput *in) {
        free(in->name);
        free(in->sandbox);
        free(in->mac);
}

static int mtu_try_read(json_object *value, const char *path, void *target, Error *e _unused_) {
        (void) json_read_u32(value, path, target, NULL);
        return 0;
}

static const JsonField interface_fields[] = {
        { "name", json_read_string, offsetof(InterfaceInput, name), JSON_REQUIRED },
        { "sandbox", json_read_string, offsetof(InterfaceInput, sandbox), 0 },
        { "mac", json_read_string, offsetof(InterfaceInput, mac), 0 },
        { "mtu", mtu_try_read, offsetof(InterfaceInput, mtu), 0 },
        {},
};

static int interface_read_element(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_(interface_input_clear) InterfaceInput in = { 0 };
        CniPrevResult *p = target;
        __typeof__(p->interfaces) list;
        int r;

        r = json_read_object(value, path, interface_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        list = reallocarray(p->interfaces, p->n_interfaces + 1, sizeof(*list));
        if (!list)
                return error_oom(e);
        p->interfaces = list;
        list += p->n_interfaces++;
        memset(list, 0, sizeof(*list));
        list->name = TAKE_PTR(in.name);
        list->mtu = in.mtu;
        if (!isempty(in.sandbox))
                list->sandbox = TAKE_PTR(in.sandbox);
        /* Other links have addresses of other sizes; those are not ours to compare. */
        list->has_mac = in.mac && mac_parse(in.mac, &list->mac) >= 0;
        return 0;
}

static int interfaces_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RESULT_ELEMENTS_MAX, interface_read_element, target, e);
}

static const JsonField modern_fields[] = {
        { "ips", ips_read, 0, 0 },
        { "interfaces", interfaces_read, 0, 0 },
        {},
};
static const JsonField legacy_fields[] = {
        { "ip4", legacy_ip_read, 0, 0 },
        { "ip6", legacy_ip_read, 0, 0 },
        {},
};

int cni_prev_result_parse(json_object *o, const char *version, CniPrevResult *ret, Error *e) {
        _cleanup_(cni_prev_result_clear) CniPrevResult p = { 0 };
        int r;

        if (!cni_version_is_supported(version))
                return netconf_check_version(strempty(version), e);
        r = json_read_object(o, "prevResult",
                             cni_version_compare(version, "0.3.0") < 0 ? legacy_fields
                                                                       : modern_fields,
                             JSON_UNKNOWN_IGNORE, &p, e);
        if (r < 0)
                return r;
        *ret = p;
        p = (CniPrevResult) { 0 };
        return 0;
}

/* The value of a key in any case is replaced where it stands. */
static void set_mac(json_object *interface, const char *mac) {
        const char *name = "mac";

        json_object_object_foreach(interface, key, value) {
                (void) value;
                if (strcasecmp(key, "mac") == 0)
                        name = key;
        }
        (void) json_add_string(interface, name, mac);
}

void cni_result_set_mac(json_object *result, const char *ifname, const MacAddr *mac) {
        json_object *list = result ? json_get(result, "interfaces") : NULL;

        if (!list || !json_object_is_type(list, json_type_array))
                return;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                json_object *one = json_object_array_get_idx(list, i);
                json_object *name = json_object_is_type(one, json_type_object)
                                                    ? json_get(one, "name")
                                                    : NULL;
                if (name && json_object_is_type(name, json_type_string) &&
                    streq(json_object_get_string(name), ifname))
                        set_mac(one, MAC_STR(mac));
        }
}
