/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See compare.h. */

#include "core/compare.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/parse.h"
#include "core/adjust.h"

void differences_clear(Differences *l) {
        for (size_t i = 0; i < l->n; i++)
                free(l->items[i].sentence);
        free(l->items);
        *l = (Differences) { 0 };
}

void differ(Differences *l, const NlOp *repair, const char *format, ...) {
        char *sentence = NULL;
        va_list ap;

        va_start(ap, format);
        int n = vasprintf(&sentence, format, ap);
        va_end(ap);
        if (n < 0 || GREEDY_REALLOC(l->items, l->allocated, l->n + 1) < 0) {
                if (n >= 0)
                        free(sentence);
                l->error = -ENOMEM;
                return;
        }
        l->items[l->n] = (Difference) { .sentence = sentence, .mendable = repair };
        if (repair)
                l->items[l->n].repair = *repair;
        l->n++;
}

/* ---- an indexed dump -------------------------------------------------------------------------- */

/* All of them begin with the index of their interface. */
static int by_ifindex(const void *a, const void *b) {
        uint32_t x = *(const uint32_t *) a, y = *(const uint32_t *) b;
        return x < y ? -1 : x > y;
}

static int by_name(const void *a, const void *b) {
        return strcmp(((const NlLink *) a)->name, ((const NlLink *) b)->name);
}

static void sort(void *items, size_t n, size_t size, int (*order)(const void *, const void *)) {
        if (n > 1)
                qsort(items, n, size, order);
}

void compare_index(NlDump *d) {
        sort(d->links, d->n_links, sizeof(*d->links), by_name);
        sort(d->addrs, d->n_addrs, sizeof(*d->addrs), by_ifindex);
        sort(d->routes, d->n_routes, sizeof(*d->routes), by_ifindex);
        sort(d->neighs, d->n_neighs, sizeof(*d->neighs), by_ifindex);
}

/* The first that is not before `ifindex`. */
static size_t first_of(const void *items, size_t n, size_t size, uint32_t ifindex) {
        size_t low = 0, high = n;

        while (low < high) {
                size_t middle = low + (high - low) / 2;
                if (*(const uint32_t *) ((const char *) items + middle * size) < ifindex)
                        low = middle + 1;
                else
                        high = middle;
        }
        return low;
}

const NlLink *compare_find_link(const NlDump *d, const char *name) {
        NlLink key = { 0 };

        snprintf(key.name, sizeof(key.name), "%s", name);
        return d->n_links ? bsearch(&key, d->links, d->n_links, sizeof(key), by_name) : NULL;
}

/* ---- comparing -------------------------------------------------------------------------------- */

bool compare_link(const NlLink *l, const char *name, const char *where, const MacAddr *mac,
                  uint32_t mtu, Differences *ret) {
        NlOp set = { .type = NL_LINK_SET, .what = "set up the interface" };

        if (!l) {
                differ(ret, NULL, "interface %s is missing in %s", name, where);
                return false;
        }
        snprintf(set.link.name, sizeof(set.link.name), "%s", name);
        if (!(l->flags & IFF_UP)) {
                set.link.mask = NL_LINK_UP;
                set.link.up = true;
                differ(ret, &set, "interface %s in %s is down", name, where);
        }
        if (mac && memcmp(mac, &l->mac, sizeof(*mac)) != 0) {
                set.link.mask = NL_LINK_MAC;
                set.link.mac = *mac;
                differ(ret, &set, "interface %s in %s: wanted MAC %s, found %s", name, where,
                       MAC_STR(mac), MAC_STR(&l->mac));
        }
        if (mtu && l->mtu != mtu) {
                set.link.mask = NL_LINK_MTU;
                set.link.mtu = mtu;
                differ(ret, &set, "interface %s in %s: wanted MTU %u, found %u", name, where, mtu,
                       l->mtu);
        }
        return true;
}

void compare_address(const NlDump *d, uint32_t ifindex, const InPrefix *want, const char *ifname,
                     const char *where, const NlOp *repair, Differences *ret) {
        for (size_t i = first_of(d->addrs, d->n_addrs, sizeof(*d->addrs), ifindex);
             i < d->n_addrs && d->addrs[i].ifindex == ifindex; i++)
                if (d->addrs[i].address.length == want->length &&
                    in_addr_equal(&d->addrs[i].address.address, &want->address))
                        return;
        differ(ret, repair, "address %s is missing on %s in %s", IN_PREFIX_STR(want), ifname,
               where);
}

static void compare_route(const NlDump *d, uint32_t ifindex, const NlOp *op, const char *where,
                          Differences *ret) {
        uint32_t table = op->route.table ? op->route.table : RT_TABLE_MAIN;
        NlOp repair = *op;

        for (size_t i = first_of(d->routes, d->n_routes, sizeof(*d->routes), ifindex);
             i < d->n_routes && d->routes[i].ifindex == ifindex; i++) {
                const NlRoute *r = &d->routes[i];
                if (r->table == table && r->dst.length == op->route.dst.length &&
                    in_addr_equal(&r->dst.address, &op->route.dst.address) &&
                    (!in_addr_is_set(&op->route.gw) || in_addr_equal(&r->gw, &op->route.gw)))
                        return;
        }
        repair.route.replace = true;
        differ(ret, &repair, "route %s is missing in %s", IN_PREFIX_STR(&op->route.dst), where);
}

/* It belongs to no interface; the kernel shows that of IPv6 on lo. */
static void compare_prohibited(const NlDump *d, const NlOp *op, const char *where,
                               Differences *ret) {
        for (size_t i = 0; i < d->n_routes; i++) {
                const NlRoute *r = &d->routes[i];
                if (r->type == op->route.type && r->table == RT_TABLE_MAIN &&
                    r->dst.length == op->route.dst.length &&
                    in_addr_equal(&r->dst.address, &op->route.dst.address))
                        return;
        }
        differ(ret, op, "prohibit route %s is missing in %s", IN_PREFIX_STR(&op->route.dst), where);
}

static void compare_neigh(const NlDump *d, uint32_t ifindex, const NlOp *op, const char *where,
                          Differences *ret) {
        for (size_t i = first_of(d->neighs, d->n_neighs, sizeof(*d->neighs), ifindex);
             i < d->n_neighs && d->neighs[i].ifindex == ifindex; i++) {
                const NlNeigh *n = &d->neighs[i];
                if (!in_addr_equal(&n->address, &op->neigh.address))
                        continue;
                if (!(n->state & NUD_PERMANENT) ||
                    memcmp(&n->mac, &op->neigh.mac, sizeof(n->mac)) != 0)
                        differ(ret, op,
                               "neighbour entry %s in %s: wanted permanent %s, found %s %s",
                               IN_ADDR_STR(&n->address), where, MAC_STR(&op->neigh.mac),
                               n->state & NUD_PERMANENT ? "permanent" : "temporary",
                               MAC_STR(&n->mac));
                return;
        }
        differ(ret, op, "neighbour entry %s is missing in %s", IN_ADDR_STR(&op->neigh.address),
               where);
}

void compare_ops(const NlOp *ops, size_t n, const NlDump *d, uint32_t ifindex, const char *ifname,
                 const char *where, Differences *ret) {
        for (size_t i = 0; i < n; i++) {
                NlOp op = ops[i];

                switch (op.type) {
                case NL_ADDR_ADD:
                        op.addr.ifindex = (int32_t) ifindex;
                        compare_address(d, ifindex, &op.addr.address, ifname, where, &op, ret);
                        break;
                case NL_ROUTE_ADD:
                        if (op.route.type != 0) {
                                compare_prohibited(d, &op, where, ret);
                                break;
                        }
                        op.route.ifindex = (int32_t) ifindex;
                        compare_route(d, ifindex, &op, where, ret);
                        break;
                case NL_NEIGH_ADD:
                        op.neigh.ifindex = (int32_t) ifindex;
                        compare_neigh(d, ifindex, &op, where, ret);
                        break;
                default:
                        break;
                }
        }
}

void compare_pod(const AttachmentSpec *s, const Plan *p, const NlDump *d, Differences *ret) {
        bool loopback = s->kind == NET_KIND_LOOPBACK;
        bool any_mac = loopback || spec_shares_mac(s) || mac_is_zero(&s->mac);
        const char *name = loopback ? "lo" : s->ifname;
        const NlLink *l = compare_find_link(d, name);

        if (s->kind == NET_KIND_FOREIGN && l)
                (void) adjust_compare(s, d, l, false, ret);
        if (s->kind == NET_KIND_FOREIGN || !spec_has_link(s))
                return; /* it belongs to somebody else */
        if ((s->link && s->link->no_container_interface) || s->lease_over) {
                if (!l)
                        differ(ret, NULL, "interface %s is missing in " WHERE_SANDBOX, name);
                return;
        }
        if (!compare_link(l, name, WHERE_SANDBOX, any_mac ? NULL : &s->mac,
                          loopback ? 0 : spec_sandbox_mtu(s), ret) ||
            loopback)
                return;
        compare_ops(p->pod, p->n_pod, d, l->ifindex, name, WHERE_SANDBOX, ret);
        (void) adjust_compare(s, d, l, false, ret);
}

void compare_port(const AttachmentSpec *s, const NlLink *port, const NlLink *bridge,
                  Differences *ret) {
        NlOp set = { .type = NL_LINK_SET, .what = "set up the bridge port" };
        bool hairpin = spec_needs_hairpin(s);

        snprintf(set.link.name, sizeof(set.link.name), "%s", s->host_ifname);
        if (!bridge) {
                differ(ret, NULL, "bridge %s is missing in " WHERE_HOST, s->bridge);
                return;
        }
        (void) compare_link(bridge, s->bridge, WHERE_HOST, NULL, 0, ret);
        if (port->master != bridge->ifindex) {
                set.link.mask = NL_LINK_MASTER;
                set.link.master_ifindex = bridge->ifindex;
                differ(ret, &set, "%s is no port of bridge %s", s->host_ifname, s->bridge);
        }
        bool isolated = s->link && s->link->port_isolation;
        if (port->isolated != isolated || (port->master != bridge->ifindex && isolated)) {
                set.link.mask = NL_LINK_ISOLATED;
                set.link.isolated = isolated;
                differ(ret, &set, "isolation of port %s of bridge %s: wanted %s, found %s",
                       s->host_ifname, s->bridge, isolated ? "on" : "off",
                       port->isolated ? "on" : "off");
        }
        /* A port that joins again has lost its mode. */
        if (port->hairpin != hairpin || (port->master != bridge->ifindex && hairpin)) {
                set.link.mask = NL_LINK_HAIRPIN;
                set.link.hairpin = hairpin;
                differ(ret, &set, "hairpin mode of %s on bridge %s: wanted %s, found %s",
                       s->host_ifname, s->bridge, hairpin ? "on" : "off",
                       port->hairpin ? "on" : "off");
        }
}

/* A port that joins again is in the default VLAN only. After the operation that joins it. */
static void join_vlans(const Plan *p, const NlLink *port, Differences *ret) {
        for (size_t i = 0; i < p->n_host; i++) {
                NlOp op = p->host[i];

                if (op.type != NL_BRIDGE_VLAN_ADD && op.type != NL_BRIDGE_VLAN_DEL)
                        continue;
                op.bvlan.ifindex = (int32_t) port->ifindex;
                differ(ret, &op, "VLAN %u of port %s is not as it was", op.bvlan.vid, port->name);
        }
}

void compare_host(const AttachmentSpec *s, const Plan *p, const NlDump *d, Differences *ret) {
        const NlLink *l = compare_find_link(d, s->host_ifname);
        NlOp set = { .type = NL_LINK_SET, .what = "set up the host end" };

        if (!compare_link(l, s->host_ifname, WHERE_HOST, &s->host_mac, s->mtu, ret))
                return;
        if (kind_has_bridge(s->kind)) {
                const NlLink *bridge = compare_find_link(d, s->bridge);
                compare_port(s, l, bridge, ret);
                if (bridge && l->master != bridge->ifindex)
                        join_vlans(p, l, ret);
                return;
        }
        if (kind_is_routed(s->kind) && l->group != s->group) {
                snprintf(set.link.name, sizeof(set.link.name), "%s", s->host_ifname);
                set.link.mask = NL_LINK_GROUP;
                set.link.group = s->group;
                differ(ret, &set, "link group of %s: wanted %u, found %u", s->host_ifname, s->group,
                       l->group);
        }
        compare_ops(p->finish, p->n_finish, d, l->ifindex, s->host_ifname, WHERE_HOST, ret);
}
