/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ops do to addresses, routes, rules and neighbours of the kernel in memory, and when they refuse.
 * Links are nl-fake-link.c's. */

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/stat.h>

#include "nl/nl-fake-internal.h"

#define IPV6_PRIORITY        1024U /* of routes that say none */
#define IPV6_KERNEL_PRIORITY 256U
#define RULE_PRIORITY        32765U /* of the first rule that says none */

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

/* ---- addresses, routes, rules, neighbours --------------------------------------------------------- */

static int route_put(FakeNetns *ns, const NlRoute *route);

/* The kernel's own route to an address' network. */
int fake_addr_connect(FakeNetns *ns, const NlAddr *a) {
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

static int op_addr_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = fake_link_by_index(ns, (uint32_t) op->addr.ifindex);
        NlAddr addr = {
                .ifindex = (uint32_t) op->addr.ifindex,
                .address = op->addr.address,
                .scope = op->addr.scope,
                .flags = IFA_F_PERMANENT | (op->addr.noprefixroute ? IFA_F_NOPREFIXROUTE : 0) |
                         (op->addr.address.address.family == AF_INET6 && !op->addr.dad ? IFA_F_NODAD
                                                                                       : 0),
        };

        if (!l)
                return -ENODEV;
        if (fake_addr_find(ns, addr.ifindex, &addr.address.address))
                return 0;
        int r = GREEDY_REALLOC(ns->addrs, ns->addrs_allocated, ns->n_addrs + 1);
        if (r < 0)
                return r;
        ns->addrs[ns->n_addrs++] = addr;
        return l->link.flags & IFF_UP ? fake_addr_connect(ns, &addr) : 0;
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

/* With `hop` only the one by the same next hop: others may stand beside it. */
static NlRoute *route_same(FakeNetns *ns, const NlRoute *route, bool hop) {
        for (size_t i = 0; i < ns->n_routes; i++) {
                NlRoute *r = &ns->routes[i];
                if (r->table == route->table && r->priority == route->priority &&
                    prefix_equal(&r->dst, &route->dst) &&
                    (!hop || (r->ifindex == route->ifindex && in_addr_equal(&r->gw, &route->gw))))
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

static bool goes_nowhere(const NlRoute *r) {
        return r->type != RTN_UNICAST;
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
                .type = op->route.type ? op->route.type : RTN_UNICAST,
                .protocol = RTPROT_STATIC,
        };
        if (!route.priority && route.dst.address.family == AF_INET6)
                route.priority = IPV6_PRIORITY;
        /* So IPv6 tells of them: what is refused is refused by lo. */
        if (goes_nowhere(&route) && route.dst.address.family == AF_INET6)
                route.ifindex = LO_IFINDEX;
        return route;
}

static int op_route_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlRoute route = route_from_op(op);

        if (route.ifindex && !goes_nowhere(&route)) {
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
        if (!route.ifindex && !goes_nowhere(&route))
                return -ENODEV;
        if (in_addr_is_set(&route.prefsrc) && !fake_addr_find(ns, 0, &route.prefsrc))
                return -EINVAL;
        NlRoute *same = route_same(ns, &route, op->route.append);
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
                    (op->route.priority && r->priority != op->route.priority) ||
                    (r->dst.address.family == AF_INET && r->type != route.type))
                        continue;
                REMOVE_AT(ns->routes, ns->n_routes, i);
                return 0;
        }
        return -ESRCH;
}

static NlRule rule_from_op(const NlOp *op) {
        NlRule rule = {
                .family = op->rule.family,
                .dst = op->rule.dst,
                .has_src = op->rule.has_src && op->rule.src.length > 0,
                .table = op->rule.table,
                .priority = op->rule.priority,
                .action = FR_ACT_TO_TBL,
        };

        if (rule.has_src)
                rule.src = op->rule.src;
        memcpy(rule.iif, op->rule.iif, sizeof(rule.iif));
        memcpy(rule.oif, op->rule.oif, sizeof(rule.oif));
        return rule;
}

/* Priority 0 of the one that is looked for: any. */
static NlRule *rule_find(FakeNetns *ns, const NlRule *wanted) {
        for (size_t i = 0; i < ns->n_rules; i++) {
                NlRule *r = &ns->rules[i];
                if (r->family == wanted->family && r->table == wanted->table &&
                    r->has_src == wanted->has_src && prefix_equal(&r->src, &wanted->src) &&
                    prefix_equal(&r->dst, &wanted->dst) &&
                    (!wanted->priority || r->priority == wanted->priority) &&
                    streq(r->iif, wanted->iif) && streq(r->oif, wanted->oif))
                        return r;
        }
        return NULL;
}

static int op_rule_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlRule rule = rule_from_op(op);

        if ((rule.has_src && in_prefix_has_host_bits(&rule.src)) ||
            (in_addr_is_set(&rule.dst.address) && in_prefix_has_host_bits(&rule.dst)))
                return -EINVAL;
        /* Before all others but the kernel's first. */
        if (rule.priority == 0) {
                rule.priority = RULE_PRIORITY;
                for (size_t i = 0; i < ns->n_rules; i++)
                        if (ns->rules[i].family == rule.family)
                                rule.priority = MIN_OF(rule.priority, ns->rules[i].priority - 1);
        }
        if (rule_find(ns, &rule))
                return -EEXIST;
        int r = GREEDY_REALLOC(ns->rules, ns->rules_allocated, ns->n_rules + 1);
        if (r < 0)
                return r;
        ns->rules[ns->n_rules++] = rule;
        return 0;
}

static int op_rule_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        NlRule rule = rule_from_op(op);
        NlRule *same = rule_find(ns, &rule);

        if (!same)
                return -ENOENT;
        REMOVE_AT(ns->rules, ns->n_rules, (size_t) (same - ns->rules));
        return 0;
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
                [NL_VETH_ADD] = fake_op_veth_add,
                [NL_BRIDGE_ADD] = fake_op_bridge_add,
                [NL_LINK_SET] = fake_op_link_set,
                [NL_LINK_DEL] = fake_op_link_del,
                [NL_GROUP_DEL] = fake_op_group_del,
                [NL_ADDR_ADD] = op_addr_add,
                [NL_ADDR_DEL] = op_addr_del,
                [NL_ROUTE_ADD] = op_route_add,
                [NL_ROUTE_DEL] = op_route_del,
                [NL_NEIGH_ADD] = op_neigh_add,
                [NL_NEIGH_DEL] = op_neigh_del,
                [NL_LINK_ADD] = fake_op_link_add,
                [NL_BRIDGE_VLAN_ADD] = fake_op_bridge_vlan_add,
                [NL_BRIDGE_VLAN_DEL] = fake_op_bridge_vlan_del,
                [NL_RULE_ADD] = op_rule_add,
                [NL_RULE_DEL] = op_rule_del,
        };
        FakeKernel *f = ns->fake;

        if (f->n_ops++ == f->fail_at && f->fail_error) {
                int r = f->fail_error;
                f->fail_error = 0;
                return r;
        }
        return ops[op->type] ? ops[op->type](ns, op, ret) : -EOPNOTSUPP; /* traffic control */
}
