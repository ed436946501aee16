/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a lent NIC was, in memory and in the ledger's JSON; see nic.h. */

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "core/nic.h"
#include "core/row-json.h"

NicState *nic_state_free(NicState *n) {
        if (n) {
                free(n->alias);
                free(n->addresses);
        }
        free(n);
        return NULL;
}

NicState *nic_state_copy(const NicState *from) {
        _cleanup_(nic_state_freep) NicState *n = new0(NicState, 1);

        if (!n)
                return NULL;
        *n = *from;
        n->alias = from->alias ? strdup(from->alias) : NULL;
        n->addresses = new0(InPrefix, from->n_addresses + 1);
        if (!n->addresses || (from->alias && !n->alias))
                return NULL;
        if (from->n_addresses > 0)
                memcpy(n->addresses, from->addresses, from->n_addresses * sizeof(*n->addresses));
        return TAKE_PTR(n);
}

bool nic_state_has_identity(const NicState *n) {
        return n->parent_name[0] || !mac_is_zero(&n->perm_mac);
}

bool nic_state_is_same(const NicState *a, const NicState *b) {
        if (a->parent_name[0] && b->parent_name[0] && streq(a->parent_name, b->parent_name) &&
            streq(a->parent_bus, b->parent_bus))
                /* Two ports of one device have one parent. */
                return memcmp(&a->perm_mac, &b->perm_mac, sizeof(MacAddr)) == 0;
        if (!mac_is_zero(&a->perm_mac) || !mac_is_zero(&b->perm_mac))
                return memcmp(&a->perm_mac, &b->perm_mac, sizeof(MacAddr)) == 0;
        /* The VLANs of a NIC have one MAC. */
        return streq(a->kind, b->kind) && streq(a->name, b->name) &&
               memcmp(&a->mac, &b->mac, sizeof(MacAddr)) == 0;
}

void nic_way_name(uint64_t id, char ret[static IF_NAMESIZE]) {
        snprintf(ret, IF_NAMESIZE, "nmd%" PRIx64, id);
}

static json_object *addresses_to_json(const NicState *n) {
        _cleanup_json_ json_object *a = json_object_new_array();

        for (size_t i = 0; a && i < n->n_addresses; i++)
                if (json_append(a, json_object_new_string(IN_PREFIX_STR(&n->addresses[i]))) < 0)
                        return NULL;
        return TAKE_PTR(a);
}

json_object *nic_state_to_json(const NicState *n) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "name", n->name) < 0 ||
            json_add_string(o, "kind", n->kind) < 0 ||
            json_add_string(o, "permMac", MAC_STR(&n->perm_mac)) < 0 ||
            json_add_string(o, "parentBus", n->parent_bus) < 0 ||
            json_add_string(o, "parentName", n->parent_name) < 0 ||
            json_add_string(o, "mac", MAC_STR(&n->mac)) < 0 ||
            json_add(o, "mtu", json_object_new_int64(n->mtu)) < 0 ||
            json_add(o, "txqlen", json_object_new_int64(n->txqlen)) < 0 ||
            json_add(o, "up", json_object_new_boolean(n->up)) < 0 ||
            json_add(o, "promisc", json_object_new_boolean(n->promisc)) < 0 ||
            json_add(o, "allmulti", json_object_new_boolean(n->allmulti)) < 0 ||
            json_add_string(o, "alias", n->alias) < 0 ||
            json_add(o, "addresses", addresses_to_json(n)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int read_parent(json_object *value, const char *path, void *target, Error *e) {
        return row_read_text(value, path, target, 32, e);
}

static int read_address(json_object *value, const char *path, void *target, Error *e) {
        NicState *n = target;

        int r = json_read_in_prefix(value, path, &n->addresses[n->n_addresses], e);
        if (r >= 0)
                n->n_addresses++;
        return r;
}

static int read_addresses(json_object *value, const char *path, void *target, Error *e) {
        NicState *n = target;

        return json_read_array(value, path, NIC_ADDRESSES_MAX, read_address, n, e);
}

int nic_state_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "name", row_read_ifname, offsetof(NicState, name), JSON_REQUIRED },
                { "kind", row_read_ifname, offsetof(NicState, kind), 0 },
                { "permMac", row_read_mac, offsetof(NicState, perm_mac), 0 },
                { "parentBus", read_parent, offsetof(NicState, parent_bus), 0 },
                { "parentName", read_parent, offsetof(NicState, parent_name), 0 },
                { "mac", row_read_mac, offsetof(NicState, mac), 0 },
                { "mtu", json_read_u32, offsetof(NicState, mtu), 0 },
                { "txqlen", json_read_u32, offsetof(NicState, txqlen), 0 },
                { "up", json_read_bool, offsetof(NicState, up), 0 },
                { "promisc", json_read_bool, offsetof(NicState, promisc), 0 },
                { "allmulti", json_read_bool, offsetof(NicState, allmulti), 0 },
                { "alias", json_read_string, offsetof(NicState, alias), 0 },
                { "addresses", read_addresses, 0, 0 },
                {},
        };
        _cleanup_(nic_state_freep) NicState *n = new0(NicState, 1);
        NicState **ret = target;

        if (!n || !(n->addresses = new0(InPrefix, NIC_ADDRESSES_MAX)))
                return error_oom(e);
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, n, e);
        if (r < 0)
                return r;
        nic_state_free(*ret);
        *ret = TAKE_PTR(n);
        return 0;
}
