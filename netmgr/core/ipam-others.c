/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pools of others: what was given out on this node before netmgr was there, or beside it. Which network it is of is
 * for them to know; so no pool of ours gives such an address out, whatever its network.
 */

#include "core/ipam-internal.h"

#define KEY_MAX (1 + 16)

/* The same for all of their pools. */
static size_t others_key(const InAddr *a, char key[static KEY_MAX]) {
        key[0] = a->family == AF_INET ? 4 : 6;
        memcpy(key + 1, a->bytes, family_bytes(a->family));
        return 1 + family_bytes(a->family);
}

Lease *ipam_others_find(const Ipam *ipam, const InAddr *a) {
        char key[KEY_MAX];

        return map_size(ipam->others) > 0 ? map_get(ipam->others, key, others_key(a, key)) : NULL;
}

int ipam_others_add(Ipam *ipam, Lease *l) {
        char key[KEY_MAX];

        if (!ipam_pool_is_others(l->pool))
                return 0;
        int r = map_put(ipam->others, key, others_key(&l->address, key), l);
        return r == -EEXIST ? 0 : r;
}

/* Perhaps somebody else in another of these pools has the address, too. */
void ipam_others_remove(Ipam *ipam, const Lease *l) {
        char key[KEY_MAX];
        Lease *other;

        if (!ipam_pool_is_others(l->pool) || ipam_others_find(ipam, &l->address) != l)
                return;
        size_t n = others_key(&l->address, key);
        MAP_FOREACH (other, ipam->leases)
                if (other != l && ipam_pool_is_others(other->pool) && !other->released_usec &&
                    in_addr_equal(&other->address, &l->address)) {
                        (void) map_replace(ipam->others, key, n, other);
                        return;
                }
        map_remove(ipam->others, key, n);
}

bool ipam_has_others(const Ipam *ipam) {
        return map_size(ipam->others) > 0;
}
