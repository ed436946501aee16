/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The state of the kernel in memory, between its table (nl-fake.c) and what ops do to it
 * (nl-fake-ops.c). All under FakeKernel.lock. */

#include <pthread.h>

#include "base/list.h"
#include "nl/nl-fake.h"
#include "nl/nl-socket.h"

#define LO_IFINDEX 1U

typedef struct FakeLink {
        NlLink link;
        FakeNetns *peer_netns; /* borrowed; NULL: no veth */
        uint32_t peer_ifindex;
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
        size_t n_links, n_addrs, n_routes, n_neighs;
        size_t links_allocated, addrs_allocated, routes_allocated, neighs_allocated;
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
/* Takes the peer with it. */
void fake_link_delete(FakeNetns *ns, uint32_t ifindex);

/* One valid op, or the fault that was asked for. */
int fake_op_apply(FakeNetns *ns, const NlOp *op, NlApplied *ret);
