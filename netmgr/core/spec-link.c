/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See spec-link.h. Written by us and read by us: what is unset is left out, so that rows stay short. */

#include "core/spec-link.h"
#include "core/row-json.h"

#include <stdio.h>

#define FLAG(name, field)                                                                          \
        { name, json_read_bool, offsetof(NetLinkConf, field), 0 }
#define NUMBER(name, field)                                                                        \
        { name, json_read_u32, offsetof(NetLinkConf, field), 0 }

static int add_flag(json_object *o, const char *key, bool value) {
        return value ? json_add(o, key, json_object_new_boolean(true)) : 0;
}

static int add_number(json_object *o, const char *key, uint32_t value, uint32_t unset) {
        return value != unset ? json_add(o, key, json_object_new_int64(value)) : 0;
}

static int add_text(json_object *o, const char *key, const char *value) {
        return value[0] ? json_add_string(o, key, value) : 0;
}

static int add_address(json_object *o, const char *key, const InAddr *a) {
        return in_addr_is_set(a) ? json_add_string(o, key, IN_ADDR_STR(a)) : 0;
}

/* [first, last, first, last, ...] */
static json_object *trunks_to_json(const NetLinkConf *l) {
        _cleanup_json_ json_object *a = json_object_new_array();

        for (size_t i = 0; a && i < l->n_trunks; i++)
                if (json_append(a, json_object_new_int(l->trunks[i].first)) < 0 ||
                    json_append(a, json_object_new_int(l->trunks[i].last)) < 0)
                        return NULL;
        return TAKE_PTR(a);
}

json_object *spec_link_to_json(const NetLinkConf *l) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || add_text(o, "master", l->master) < 0 ||
            add_flag(o, "inContainer", l->link_in_container) < 0 ||
            add_number(o, "mode", l->mode, 0) < 0 ||
            (l->has_bcqueuelen &&
             json_add(o, "bcqueuelen", json_object_new_int64(l->bcqueuelen)) < 0) ||
            add_number(o, "vlanId", l->vlan_id, 0) < 0 || add_flag(o, "ownMac", l->own_mac) < 0 ||
            add_number(o, "vlan", l->vlan, 0) < 0 ||
            (l->n_trunks > 0 && json_add(o, "trunks", trunks_to_json(l)) < 0) ||
            add_flag(o, "preserveDefaultVlan", l->preserve_default_vlan) < 0 ||
            add_flag(o, "portIsolation", l->port_isolation) < 0 ||
            add_flag(o, "macspoofchk", l->mac_spoof_check) < 0 ||
            add_flag(o, "enabledad", l->enable_dad) < 0 ||
            add_flag(o, "disableContainerInterface", l->no_container_interface) < 0)
                return NULL;
        if (add_flag(o, "multiQueue", l->multi_queue) < 0 ||
            add_number(o, "owner", l->owner, UINT32_MAX) < 0 ||
            add_number(o, "group", l->group, UINT32_MAX) < 0 ||
            add_text(o, "selinuxContext", l->selinux_context) < 0 ||
            add_text(o, "tapBridge", l->tap_bridge) < 0)
                return NULL;
        if (add_number(o, "vni", l->vni, 0) < 0 || add_number(o, "port", l->port, 0) < 0 ||
            add_address(o, "remote", &l->remote) < 0 || add_address(o, "local", &l->local) < 0 ||
            add_number(o, "ttl", l->ttl, 0) < 0 || add_flag(o, "learning", l->learning) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int read_context(json_object *value, const char *path, void *target, Error *e) {
        return row_read_text(value, path, target, sizeof(((NetLinkConf *) 0)->selinux_context), e);
}

static int read_u16(json_object *value, const char *path, void *target, Error *e) {
        uint32_t v = 0;

        int r = json_read_u32(value, path, &v, e);
        if (r >= 0 && v > UINT16_MAX)
                return error_setf(e, ERROR_LEDGER, "%s: wanted at most %u, found %u", path,
                                  (unsigned) UINT16_MAX, v);
        if (r >= 0)
                *(uint16_t *) target = (uint16_t) v;
        return r;
}

static int read_u8(json_object *value, const char *path, void *target, Error *e) {
        uint16_t v = 0;

        int r = read_u16(value, path, &v, e);
        if (r >= 0 && v > UINT8_MAX)
                return error_setf(e, ERROR_LEDGER, "%s: wanted at most %u, found %u", path,
                                  (unsigned) UINT8_MAX, v);
        if (r >= 0)
                *(uint8_t *) target = (uint8_t) v;
        return r;
}

static int read_bcqueuelen(json_object *value, const char *path, void *target, Error *e) {
        NetLinkConf *l = target;

        l->has_bcqueuelen = true;
        return json_read_u32(value, path, &l->bcqueuelen, e);
}

static int read_trunks(json_object *value, const char *path, void *target, Error *e) {
        NetLinkConf *l = target;
        size_t n = json_object_is_type(value, json_type_array) ? json_object_array_length(value)
                                                               : 1;

        if (n % 2 != 0 || n / 2 > VLAN_TRUNKS_MAX)
                return error_setf(e, ERROR_LEDGER, "%s: wanted at most %u pairs of numbers", path,
                                  VLAN_TRUNKS_MAX);
        for (size_t i = 0; i < n; i++) {
                NetVlanRange *range = &l->trunks[i / 2];
                int r = read_u16(json_object_array_get_idx(value, i), path,
                                 i % 2 ? &range->last : &range->first, e);
                if (r < 0)
                        return r;
        }
        l->n_trunks = n / 2;
        return 0;
}

int spec_link_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "master", row_read_ifname, offsetof(NetLinkConf, master), 0 },
                FLAG("inContainer", link_in_container),
                NUMBER("mode", mode),
                { "bcqueuelen", read_bcqueuelen, 0, 0 },
                { "vlanId", read_u16, offsetof(NetLinkConf, vlan_id), 0 },
                FLAG("ownMac", own_mac),
                { "vlan", read_u16, offsetof(NetLinkConf, vlan), 0 },
                { "trunks", read_trunks, 0, 0 },
                FLAG("preserveDefaultVlan", preserve_default_vlan),
                FLAG("portIsolation", port_isolation),
                FLAG("macspoofchk", mac_spoof_check),
                FLAG("enabledad", enable_dad),
                FLAG("disableContainerInterface", no_container_interface),
                FLAG("multiQueue", multi_queue),
                NUMBER("owner", owner),
                NUMBER("group", group),
                { "selinuxContext", read_context, offsetof(NetLinkConf, selinux_context), 0 },
                { "tapBridge", row_read_ifname, offsetof(NetLinkConf, tap_bridge), 0 },
                NUMBER("vni", vni),
                { "port", read_u16, offsetof(NetLinkConf, port), 0 },
                { "remote", json_read_in_addr, offsetof(NetLinkConf, remote), 0 },
                { "local", json_read_in_addr, offsetof(NetLinkConf, local), 0 },
                { "ttl", read_u8, offsetof(NetLinkConf, ttl), 0 },
                FLAG("learning", learning),
                {},
        };
        NetLinkConf **ret = target;
        _cleanup_free_ NetLinkConf *l = new0(NetLinkConf, 1);

        if (!l)
                return error_oom(e);
        net_link_conf_init(l);
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, l, e);
        if (r < 0)
                return r;
        free(*ret);
        *ret = TAKE_PTR(l);
        return 0;
}
