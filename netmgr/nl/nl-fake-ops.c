/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What each op does to the kernel in memory, and when it refuses. */

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <sys/stat.h>

#include "nl/nl-fake-internal.h"

#define MTU_DEFAULT          1500U
#define IPV6_PRIORITY        1024U /* of routes that say none */
#define IPV6_KERNEL_PRIORITY 256U

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

/* ---- looking things up --------------------------------------------------------------------------- */

FakeNetns *fake_netns_by_fd(FakeKernel *f, int fd) {
        FakeNetns *ns;
        struct stat st;

        if (fstat(fd, &st) < 0)
                return NULL;
        LIST_FOREACH (ns, &f->netns, FakeNetns, list)
                if (ns->dev == st.st_dev && ns->ino == st.st_ino)
                        return ns;
        return NULL;
}

FakeLink *fake_link_by_name(FakeNetns *ns, const char *name) {
        for (size_t i = 0; i < ns->n_links; i++)
                if (streq(ns->links[i].link.name, name))
                        return &ns->links[i];
        return NULL;
}

FakeLink *fake_link_by_index(FakeNetns *ns, uint32_t ifindex) {
        for (size_t i = 0; i < ns->n_links; i++)
                if (ns->links[i].link.ifindex == ifindex)
                        return &ns->links[i];
        return NULL;
}

static bool prefix_equal(const InPrefix *a, const InPrefix *b) {
        return a->length == b->length && a->address.family == b->address.family &&
               memcmp(a->address.bytes, b->address.bytes, sizeof(a->address.bytes)) == 0;
}

/* Best route of table main; NULL: unreachable. */
NlRoute *fake_route_lookup(FakeNetns *ns, const InAddr *dst) {
        NlRoute *best = NULL;

        for (size_t i = 0; i < ns->n_routes; i++) {
                NlRoute *r = &ns->routes[i];
                if (r->table != RT_TABLE_MAIN || r->dst.address.family != dst->family ||
                    !in_prefix_contains(&r->dst, dst))
                        continue;
                if (!best || r->dst.length > best->dst.length ||
                    (r->dst.length == best->dst.length && r->priority < best->priority))
                        best = r;
        }
        return best;
}

NlAddr *fake_addr_find(FakeNetns *ns, uint32_t ifindex, const InAddr *a) {
        for (size_t i = 0; i < ns->n_addrs; i++)
                if ((ifindex == 0 || ns->addrs[i].ifindex == ifindex) &&
                    in_addr_equal(&ns->addrs[i].address.address, a))
                        return &ns->addrs[i];
        return NULL;
}

/* ---- links --------------------------------------------------------------------------------------- */

int fake_link_new(FakeNetns *ns, const char *name, const char *kind, const MacAddr *mac,
                  uint32_t mtu, uint32_t group, FakeLink **ret) {
        FakeLink l = { .link = { .ifindex = ns->next_ifindex,
                                 .mtu = mtu ? mtu : MTU_DEFAULT,
                                 .group = group,
                                 .flags = IFF_BROADCAST | IFF_MULTICAST,
                                 .mac = *mac } };

        int r = GREEDY_REALLOC(ns->links, ns->links_allocated, ns->n_links + 1);
        if (r >= 0 && mac_is_zero(mac))
                r = mac_random(&l.link.mac);
        if (r < 0)
                return r;
        snprintf(l.link.name, sizeof(l.link.name), "%s", name);
        snprintf(l.link.kind, sizeof(l.link.kind), "%s", kind);
        ns->next_ifindex++;
        ns->links[ns->n_links] = l;
        *ret = &ns->links[ns->n_links++];
        return 0;
}

static void link_forget(FakeNetns *ns, uint32_t ifindex) {
        REMOVE_WHERE(ns->addrs, ns->n_addrs, a, a->ifindex == ifindex);
        REMOVE_WHERE(ns->routes, ns->n_routes, r, r->ifindex == ifindex);
        REMOVE_WHERE(ns->neighs, ns->n_neighs, n, n->ifindex == ifindex);
        for (size_t i = 0; i < ns->n_links; i++)
                if (ns->links[i].link.master == ifindex)
                        ns->links[i].link.master = 0;
        REMOVE_WHERE(ns->links, ns->n_links, l, l->link.ifindex == ifindex);
}

void fake_link_delete(FakeNetns *ns, uint32_t ifindex) {
        FakeLink l = *fake_link_by_index(ns, ifindex);

        link_forget(ns, ifindex);
        if (l.peer_netns)
                link_forget(l.peer_netns, l.peer_ifindex);
}

static int op_veth_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeNetns *there = fake_netns_by_fd(ns->fake, op->veth.peer_netns_fd);
        FakeLink *host, *pod;

        if (fake_link_by_name(ns, op->veth.name))
                return -EEXIST;
        if (!there)
                return -EINVAL;
        if (fake_link_by_name(there, op->veth.peer))
                return -EEXIST;
        if (op->veth.master_ifindex && !fake_link_by_index(ns, op->veth.master_ifindex))
                return -EINVAL;
        int r = fake_link_new(there, op->veth.peer, "veth", &op->veth.peer_mac, op->veth.mtu, 0,
                              &pod);
        if (r < 0)
                return r;
        uint32_t pod_ifindex = pod->link.ifindex;
        r = fake_link_new(ns, op->veth.name, "veth", &op->veth.mac, op->veth.mtu, op->veth.group,
                          &host);
        if (r < 0) {
                link_forget(there, pod_ifindex);
                return r;
        }
        pod = fake_link_by_index(
                        there,
                        pod_ifindex); /* both may live in one netns, whose array may have moved */
        host->peer_netns = there;
        host->peer_ifindex = host->link.link = pod_ifindex;
        host->link.master = op->veth.master_ifindex;
        pod->peer_netns = ns;
        pod->peer_ifindex = pod->link.link = host->link.ifindex;
        ret->host_ifindex = host->link.ifindex;
        ret->pod_ifindex = pod_ifindex;
        return 0;
}

static int op_bridge_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l;

        if (fake_link_by_name(ns, op->bridge.name))
                return -EEXIST;
        return fake_link_new(ns, op->bridge.name, "bridge", &op->bridge.mac, op->bridge.mtu,
                             op->bridge.group, &l);
}

static int route_put(FakeNetns *ns, const NlRoute *route);

/* The kernel's own route to an address' network. */
static int connect_addr(FakeNetns *ns, const NlAddr *a) {
        int family = a->address.address.family;
        NlRoute route = {
                .ifindex = a->ifindex,
                .dst = { .address = in_prefix_first(&a->address), .length = a->address.length },
                .table = RT_TABLE_MAIN,
                .type = RTN_UNICAST,
                .protocol = RTPROT_KERNEL,
                .priority = family == AF_INET6 ? IPV6_KERNEL_PRIORITY : 0,
                .scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
        };

        if ((a->flags & IFA_F_NOPREFIXROUTE) || a->ifindex == LO_IFINDEX ||
            (family == AF_INET && a->address.length == 32))
                return 0;
        if (family == AF_INET)
                route.prefsrc = a->address.address;
        return route_put(ns, &route);
}

/* Down takes all routes, neighbours and IPv6 addresses with it; up brings the kernel's routes. */
static int link_set_up(FakeNetns *ns, FakeLink *l, bool up) {
        uint32_t ifindex = l->link.ifindex;

        if (up == !!(l->link.flags & IFF_UP))
                return 0;
        if (!up) {
                l->link.flags &= ~(uint32_t) IFF_UP;
                REMOVE_WHERE(ns->routes, ns->n_routes, r, r->ifindex == ifindex);
                REMOVE_WHERE(ns->neighs, ns->n_neighs, n, n->ifindex == ifindex);
                REMOVE_WHERE(ns->addrs, ns->n_addrs, a,
                             a->ifindex == ifindex && a->address.address.family == AF_INET6);
                return 0;
        }
        l->link.flags |= IFF_UP;
        for (size_t i = 0; i < ns->n_addrs; i++) {
                int r = ns->addrs[i].ifindex == ifindex ? connect_addr(ns, &ns->addrs[i]) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static int op_link_set(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = fake_link_by_name(ns, op->link.name);
        NlLinkMask mask = op->link.mask;

        if (!l)
                return -ENODEV;
        if ((mask & NL_LINK_MASTER) && op->link.master_ifindex &&
            !fake_link_by_index(ns, op->link.master_ifindex))
                return -EINVAL;
        if ((mask & NL_LINK_HAIRPIN) && !l->link.master)
                return -EOPNOTSUPP;
        if (mask & NL_LINK_MTU)
                l->link.mtu = op->link.mtu;
        if (mask & NL_LINK_GROUP)
                l->link.group = op->link.group;
        if (mask & NL_LINK_MASTER)
                l->link.master = op->link.master_ifindex;
        if (mask & NL_LINK_HAIRPIN)
                l->link.hairpin = op->link.hairpin;
        if (mask & NL_LINK_PROMISC)
                l->link.flags = op->link.promisc ? l->link.flags | IFF_PROMISC
                                                 : l->link.flags & ~(uint32_t) IFF_PROMISC;
        if (mask & NL_LINK_MAC)
                l->link.mac = op->link.mac;
        return mask & NL_LINK_UP ? link_set_up(ns, l, op->link.up) : 0;
}

static int op_link_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = fake_link_by_name(ns, op->link.name);

        if (!l)
                return -ENODEV;
        if (l->link.ifindex == LO_IFINDEX)
                return -EOPNOTSUPP;
        fake_link_delete(ns, l->link.ifindex);
        return 0;
}

static int op_group_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        int r = -ENODEV;

        for (size_t i = 0; i < ns->n_links;)
                if (ns->links[i].link.group == op->group) {
                        fake_link_delete(ns, ns->links[i].link.ifindex);
                        r = 0;
                        i = 0; /* a peer may have been before it */
                } else
                        i++;
        return r;
}

/* ---- addresses, routes, neighbours --------------------------------------------------------------- */

static int op_addr_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = fake_link_by_index(ns, (uint32_t) op->addr.ifindex);
        NlAddr addr = {
                .ifindex = (uint32_t) op->addr.ifindex,
                .address = op->addr.address,
                .scope = op->addr.scope,
                .flags = IFA_F_PERMANENT | (op->addr.noprefixroute ? IFA_F_NOPREFIXROUTE : 0) |
                         (op->addr.address.address.family == AF_INET6 ? IFA_F_NODAD : 0),
        };

        if (!l)
                return -ENODEV;
        if (fake_addr_find(ns, addr.ifindex, &addr.address.address))
                return 0;
        int r = GREEDY_REALLOC(ns->addrs, ns->addrs_allocated, ns->n_addrs + 1);
        if (r < 0)
                return r;
        ns->addrs[ns->n_addrs++] = addr;
        return l->link.flags & IFF_UP ? connect_addr(ns, &addr) : 0;
}

/* With a link's last IPv4 address go all its IPv4 routes. */
static int op_addr_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlAddr *found = fake_addr_find(ns, (uint32_t) op->addr.ifindex, &op->addr.address.address);
        size_t left = 0;

        if (!fake_link_by_index(ns, (uint32_t) op->addr.ifindex))
                return -ENODEV;
        if (!found || found->address.length != op->addr.address.length)
                return -EADDRNOTAVAIL;
        NlAddr gone = *found;
        int family = gone.address.address.family;
        InPrefix network = { .address = in_prefix_first(&gone.address),
                             .length = gone.address.length };

        REMOVE_AT(ns->addrs, ns->n_addrs, (size_t) (found - ns->addrs));
        for (size_t i = 0; i < ns->n_addrs; i++)
                if (ns->addrs[i].ifindex == gone.ifindex &&
                    ns->addrs[i].address.address.family == family)
                        left++;
        REMOVE_WHERE(ns->routes, ns->n_routes, r,
                     r->ifindex == gone.ifindex && r->dst.address.family == family &&
                                     ((family == AF_INET && left == 0) ||
                                      (r->protocol == RTPROT_KERNEL &&
                                       prefix_equal(&r->dst, &network)) ||
                                      in_addr_equal(&r->prefsrc, &gone.address.address)));
        return 0;
}

static NlRoute *route_same(FakeNetns *ns, const NlRoute *route) {
        for (size_t i = 0; i < ns->n_routes; i++) {
                NlRoute *r = &ns->routes[i];
                if (r->table == route->table && r->priority == route->priority &&
                    prefix_equal(&r->dst, &route->dst))
                        return r;
        }
        return NULL;
}

static int route_put(FakeNetns *ns, const NlRoute *route) {
        int r = GREEDY_REALLOC(ns->routes, ns->routes_allocated, ns->n_routes + 1);
        if (r < 0)
                return r;
        ns->routes[ns->n_routes++] = *route;
        return 0;
}

/* Is the gateway a neighbour on that link? */
static int check_gateway(FakeNetns *ns, const NlOp *op, uint32_t *ifindex) {
        const InAddr *gw = &op->route.gw;

        if (op->route.onlink || (gw->family == AF_INET6 && in_addr_is_link_local(gw)))
                return 0;
        const NlRoute *way = fake_route_lookup(ns, gw);
        if (!way || in_addr_is_set(&way->gw) || (*ifindex && way->ifindex != *ifindex))
                return gw->family == AF_INET ? -ENETUNREACH : -EHOSTUNREACH;
        *ifindex = way->ifindex;
        return 0;
}

static NlRoute route_from_op(const NlOp *op) {
        NlRoute route = {
                .ifindex = (uint32_t) op->route.ifindex,
                .dst = op->route.dst,
                .gw = op->route.gw,
                .prefsrc = op->route.prefsrc,
                .table = op->route.table ? op->route.table : RT_TABLE_MAIN,
                .priority = op->route.priority,
                .mtu = op->route.mtu,
                .advmss = op->route.advmss,
                .scope = op->route.dst.address.family == AF_INET ? op->route.scope
                                                                 : RT_SCOPE_UNIVERSE,
                .type = RTN_UNICAST,
                .protocol = RTPROT_STATIC,
        };
        if (!route.priority && route.dst.address.family == AF_INET6)
                route.priority = IPV6_PRIORITY;
        return route;
}

static int op_route_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlRoute route = route_from_op(op);

        if (route.ifindex) {
                FakeLink *l = fake_link_by_index(ns, route.ifindex);
                if (!l)
                        return -ENODEV;
                if (!(l->link.flags & IFF_UP))
                        return -ENETDOWN;
        }
        if (in_prefix_has_host_bits(&route.dst) && route.dst.address.family == AF_INET)
                return -EINVAL;
        if (in_addr_is_set(&route.gw)) {
                int r = check_gateway(ns, op, &route.ifindex);
                if (r < 0)
                        return r;
        }
        if (!route.ifindex)
                return -ENODEV;
        if (in_addr_is_set(&route.prefsrc) && !fake_addr_find(ns, 0, &route.prefsrc))
                return -EINVAL;
        NlRoute *same = route_same(ns, &route);
        if (!same)
                return route_put(ns, &route);
        if (!op->route.replace)
                return -EEXIST;
        *same = route;
        return 0;
}

static int op_route_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlRoute route = route_from_op(op);

        for (size_t i = 0; i < ns->n_routes; i++) {
                const NlRoute *r = &ns->routes[i];
                if (r->table != route.table || !prefix_equal(&r->dst, &route.dst) ||
                    (route.ifindex && r->ifindex != route.ifindex) ||
                    (in_addr_is_set(&route.gw) && !in_addr_equal(&r->gw, &route.gw)) ||
                    (op->route.priority && r->priority != op->route.priority))
                        continue;
                REMOVE_AT(ns->routes, ns->n_routes, i);
                return 0;
        }
        return -ESRCH;
}

static NlNeigh *neigh_find(FakeNetns *ns, const NlOp *op) {
        for (size_t i = 0; i < ns->n_neighs; i++)
                if (ns->neighs[i].ifindex == (uint32_t) op->neigh.ifindex &&
                    in_addr_equal(&ns->neighs[i].address, &op->neigh.address))
                        return &ns->neighs[i];
        return NULL;
}

static int op_neigh_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlNeigh neigh = { .ifindex = (uint32_t) op->neigh.ifindex,
                          .address = op->neigh.address,
                          .mac = op->neigh.mac,
                          .state = NUD_PERMANENT };
        NlNeigh *same = neigh_find(ns, op);

        if (!fake_link_by_index(ns, neigh.ifindex))
                return -ENODEV;
        if (same) {
                *same = neigh;
                return 0;
        }
        int r = GREEDY_REALLOC(ns->neighs, ns->neighs_allocated, ns->n_neighs + 1);
        if (r < 0)
                return r;
        ns->neighs[ns->n_neighs++] = neigh;
        return 0;
}

static int op_neigh_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlNeigh *same = neigh_find(ns, op);

        if (!fake_link_by_index(ns, (uint32_t) op->neigh.ifindex))
                return -ENODEV;
        if (!same)
                return -ENOENT;
        REMOVE_AT(ns->neighs, ns->n_neighs, (size_t) (same - ns->neighs));
        return 0;
}

int fake_op_apply(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        static int (*const ops[_NL_OP_MAX])(FakeNetns *, const NlOp *, NlApplied *) = {
                [NL_VETH_ADD] = op_veth_add,   [NL_BRIDGE_ADD] = op_bridge_add,
                [NL_LINK_SET] = op_link_set,   [NL_LINK_DEL] = op_link_del,
                [NL_GROUP_DEL] = op_group_del, [NL_ADDR_ADD] = op_addr_add,
                [NL_ADDR_DEL] = op_addr_del,   [NL_ROUTE_ADD] = op_route_add,
                [NL_ROUTE_DEL] = op_route_del, [NL_NEIGH_ADD] = op_neigh_add,
                [NL_NEIGH_DEL] = op_neigh_del,
        };
        FakeKernel *f = ns->fake;

        if (f->n_ops++ == f->fail_at && f->fail_error) {
                int r = f->fail_error;
                f->fail_error = 0;
                return r;
        }
        return ops[op->type](ns, op, ret);
}
