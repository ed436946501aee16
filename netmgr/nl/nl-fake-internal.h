/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of the kernel in memory, between its table (nl-fake.c) and what ops do to it
 * (nl-fake-link.c, nl-fake-bridge.c, nl-fake-ops.c). All under FakeKernel.lock. */

#include <pthread.h>

#include "base/list.h"
#include "nl/nl-fake.h"
#include "nl/nl-socket.h"

#define LO_IFINDEX 1U

typedef struct FakeLink {
        NlLink link;           /* its alias is owned */
        FakeNetns *peer_netns; /* borrowed; NULL: no veth */
        uint32_t peer_ifindex;
        FakeNetns *lower_netns; /* borrowed; NULL: stands on no other link */
        uint32_t lower_ifindex;
        uint16_t vxlan_port;
        bool no_default_pvid; /* of a bridge */
} FakeLink;

struct FakeNetns {
        FakeKernel *fake; /* borrowed */
        List list;        /* in FakeKernel.netns */
        int fd;           /* the memfd */
        dev_t dev;
        ino_t ino;
        uint32_t next_ifindex;
        FakeLink *links;
        NlAddr *addrs;
        NlRoute *routes;
        NlNeigh *neighs;
        NlRule *rules;              /* without the kernel's own */
        NlBridgeVlan *bridge_vlans; /* one VLAN each, in no order */
        size_t n_links, n_addrs, n_routes, n_neighs, n_rules, n_bridge_vlans;
        size_t links_allocated, addrs_allocated, routes_allocated, neighs_allocated;
        size_t rules_allocated, bridge_vlans_allocated;
};

struct FakeKernel {
        Kernel kernel; /* first member */
        pthread_mutex_t lock;
        List netns;
        size_t n_ops, fail_at;
        int fail_error; /* negative errno; 0: no fault is waiting */
};

/* Lists are short: everything is found by walking. */
FakeNetns *fake_netns_by_fd(FakeKernel *f, int fd);
FakeLink *fake_link_by_name(FakeNetns *ns, const char *name);
FakeLink *fake_link_by_index(FakeNetns *ns, uint32_t ifindex);
/* Any link's when ifindex is 0. */
NlAddr *fake_addr_find(FakeNetns *ns, uint32_t ifindex, const InAddr *a);
/* Best route of table main; NULL: unreachable. */
NlRoute *fake_route_lookup(FakeNetns *ns, const InAddr *dst);

int fake_link_new(FakeNetns *ns, const char *name, const char *kind, const MacAddr *mac,
                  uint32_t mtu, uint32_t group, FakeLink **ret);
/* Takes with it the peer and all that stands on it. */
void fake_link_delete(FakeNetns *ns, uint32_t ifindex);
/* All that has its index: addresses, routes, neighbours, VLANs; not the link. */
void fake_link_strip(FakeNetns *ns, uint32_t ifindex);

/* The kernel's own route to an address' network. */
int fake_addr_connect(FakeNetns *ns, const NlAddr *a);

/* nl-fake-link.c */
int fake_op_veth_add(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_link_add(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_link_set(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_link_del(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_group_del(FakeNetns *ns, const NlOp *op, NlApplied *ret);

/* nl-fake-bridge.c */
int fake_op_bridge_add(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_bridge_vlan_add(FakeNetns *ns, const NlOp *op, NlApplied *ret);
int fake_op_bridge_vlan_del(FakeNetns *ns, const NlOp *op, NlApplied *ret);
/* The link joins a bridge (and its default VLAN), or leaves it: 0. */
int fake_bridge_join(FakeNetns *ns, FakeLink *port, uint32_t master);
/* As the kernel tells them: what follows one another and is alike is one range. */
int fake_bridge_vlans_dump(const FakeNetns *ns, NlDump *d);

/* One valid op, or the fault that was asked for. */
int fake_op_apply(FakeNetns *ns, const NlOp *op, NlApplied *ret);

/* ---- arrays -------------------------------------------------------------------------------------- */

#define REMOVE_AT(array, count, i)                                                                 \
        do {                                                                                       \
                (count)--;                                                                         \
                memmove(&(array)[i], &(array)[(i) + 1], ((count) - (i)) * sizeof((array)[0]));     \
        } while (false)
/* Removes all `item` of the array for which the condition holds. */
#define REMOVE_WHERE(array, count, item, condition)                                                \
        do {                                                                                       \
                for (size_t _i = (count); _i-- > 0;) {                                             \
                        __typeof__((array)[0]) *item = &(array)[_i];                               \
                        if (condition)                                                             \
                                REMOVE_AT(array, count, _i);                                       \
                }                                                                                  \
        } while (false)
