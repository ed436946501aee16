/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Bridges of the kernel in memory, and the VLANs of their ports. */

#include <linux/rtnetlink.h>

#include "nl/nl-fake-internal.h"

#define DEFAULT_PVID 1

static NlBridgeVlan *vlan_find(FakeNetns *ns, uint32_t ifindex, uint16_t vid) {
        for (size_t i = 0; i < ns->n_bridge_vlans; i++)
                if (ns->bridge_vlans[i].ifindex == ifindex && ns->bridge_vlans[i].vid == vid)
                        return &ns->bridge_vlans[i];
        return NULL;
}

/* A link has one PVID at most: a new one takes its place. */
static int vlan_put(FakeNetns *ns, uint32_t ifindex, uint16_t vid, bool pvid, bool untagged) {
        NlBridgeVlan v = { ifindex, vid, vid, pvid, untagged };

        for (size_t i = 0; pvid && i < ns->n_bridge_vlans; i++)
                if (ns->bridge_vlans[i].ifindex == ifindex)
                        ns->bridge_vlans[i].pvid = false;
        NlBridgeVlan *same = vlan_find(ns, ifindex, vid);
        if (same) {
                *same = v;
                return 0;
        }
        int r = GREEDY_REALLOC(ns->bridge_vlans, ns->bridge_vlans_allocated,
                               ns->n_bridge_vlans + 1);
        if (r < 0)
                return r;
        ns->bridge_vlans[ns->n_bridge_vlans++] = v;
        return 0;
}

int fake_bridge_join(FakeNetns *ns, FakeLink *port, uint32_t master) {
        const FakeLink *bridge = fake_link_by_index(ns, master);
        uint32_t ifindex = port->link.ifindex;

        if (port->link.master == master)
                return 0;
        REMOVE_WHERE(ns->bridge_vlans, ns->n_bridge_vlans, v, v->ifindex == ifindex);
        port->link.hairpin = port->link.isolated = false;
        port->link.master = master;
        return bridge && streq(bridge->link.kind, "bridge") && !bridge->no_default_pvid
                               ? vlan_put(ns, ifindex, DEFAULT_PVID, true, true)
                               : 0;
}

int fake_op_bridge_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l;

        if (fake_link_by_name(ns, op->bridge.name))
                return -EEXIST;
        int r = fake_link_new(ns, op->bridge.name, "bridge", &op->bridge.mac, op->bridge.mtu,
                              op->bridge.group, &l);
        if (r < 0)
                return r;
        l->link.has_vlan_filtering = true;
        l->link.vlan_filtering = op->bridge.vlan_filtering;
        l->no_default_pvid = op->bridge.no_default_pvid;
        return l->no_default_pvid ? 0 : vlan_put(ns, l->link.ifindex, DEFAULT_PVID, true, true);
}

/* A port's are asked of its bridge; a bridge's own only with `self`. */
static int check_vlan(FakeNetns *ns, const NlOp *op) {
        const FakeLink *l = fake_link_by_index(ns, (uint32_t) op->bvlan.ifindex);

        if (!l)
                return -ENODEV;
        if (op->bvlan.self)
                return streq(l->link.kind, "bridge") ? 0 : -EOPNOTSUPP;
        const FakeLink *master = l->link.master ? fake_link_by_index(ns, l->link.master) : NULL;
        return master && streq(master->link.kind, "bridge") ? 0 : -EOPNOTSUPP;
}

int fake_op_bridge_vlan_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        uint16_t end = op->bvlan.vid_end ? op->bvlan.vid_end : op->bvlan.vid;
        int r = check_vlan(ns, op);

        for (uint16_t vid = op->bvlan.vid; r >= 0 && vid <= end; vid++)
                r = vlan_put(ns, (uint32_t) op->bvlan.ifindex, vid, op->bvlan.pvid,
                             op->bvlan.untagged);
        return r;
}

int fake_op_bridge_vlan_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        uint16_t end = op->bvlan.vid_end ? op->bvlan.vid_end : op->bvlan.vid;
        uint32_t ifindex = (uint32_t) op->bvlan.ifindex;
        int r = check_vlan(ns, op);

        if (r < 0)
                return r;
        REMOVE_WHERE(ns->bridge_vlans, ns->n_bridge_vlans, v,
                     v->ifindex == ifindex && v->vid >= op->bvlan.vid && v->vid <= end);
        return 0;
}

static int vlan_compare(const void *a, const void *b) {
        const NlBridgeVlan *x = a, *y = b;

        if (x->ifindex != y->ifindex)
                return x->ifindex < y->ifindex ? -1 : 1;
        return (int) x->vid - (int) y->vid;
}

int fake_bridge_vlans_dump(const FakeNetns *ns, NlDump *d) {
        _cleanup_free_ NlBridgeVlan *sorted = new0(NlBridgeVlan, ns->n_bridge_vlans + 1);

        d->bridge_vlans = new0(NlBridgeVlan, ns->n_bridge_vlans + 1);
        if (!sorted || !d->bridge_vlans)
                return -ENOMEM;
        if (ns->n_bridge_vlans)
                memcpy(sorted, ns->bridge_vlans, ns->n_bridge_vlans * sizeof(*sorted));
        qsort(sorted, ns->n_bridge_vlans, sizeof(*sorted), vlan_compare);
        for (size_t i = 0; i < ns->n_bridge_vlans; i++) {
                NlBridgeVlan *last =
                                d->n_bridge_vlans ? &d->bridge_vlans[d->n_bridge_vlans - 1] : NULL;
                if (last && last->ifindex == sorted[i].ifindex && !last->pvid && !sorted[i].pvid &&
                    last->untagged == sorted[i].untagged && last->vid_end + 1 == sorted[i].vid)
                        last->vid_end = sorted[i].vid;
                else
                        d->bridge_vlans[d->n_bridge_vlans++] = sorted[i];
        }
        return 0;
}
