/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What ops do to links of the kernel in memory, and when they refuse. What stands on another link knows
 * that one's netns and index, wherever it lives itself. */

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "nl/nl-fake-internal.h"

#define MTU_DEFAULT    1500U
#define TXQLEN_DEFAULT 1000U
#define VXLAN_PORT     8472U

int fake_link_new(FakeNetns *ns, const char *name, const char *kind, const MacAddr *mac,
                  uint32_t mtu, uint32_t group, FakeLink **ret) {
        FakeLink l = { .link = { .ifindex = ns->next_ifindex,
                                 .mtu = mtu ? mtu : MTU_DEFAULT,
                                 .txqlen = TXQLEN_DEFAULT,
                                 .group = group,
                                 .flags = IFF_BROADCAST | IFF_MULTICAST,
                                 .link_netnsid = -1,
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

/* The number of another netns in this one; nothing tells them apart here. */
static int32_t netnsid(const FakeNetns *here, const FakeNetns *there) {
        return here == there ? -1 : 0;
}

void fake_link_strip(FakeNetns *ns, uint32_t ifindex) {
        REMOVE_WHERE(ns->addrs, ns->n_addrs, a, a->ifindex == ifindex);
        REMOVE_WHERE(ns->routes, ns->n_routes, r, r->ifindex == ifindex);
        REMOVE_WHERE(ns->neighs, ns->n_neighs, n, n->ifindex == ifindex);
        REMOVE_WHERE(ns->bridge_vlans, ns->n_bridge_vlans, v, v->ifindex == ifindex);
        for (size_t i = 0; i < ns->n_links; i++)
                if (ns->links[i].link.master == ifindex)
                        ns->links[i].link.master = 0;
}

static void link_forget(FakeNetns *ns, uint32_t ifindex) {
        FakeLink *l = fake_link_by_index(ns, ifindex);

        if (!l)
                return; /* went with its peer */
        fake_link_strip(ns, ifindex);
        free(l->link.alias);
        REMOVE_AT(ns->links, ns->n_links, (size_t) (l - ns->links));
}

/* One link that stands on this one, in any netns; false: none. */
static bool find_upper(FakeNetns *ns, uint32_t ifindex, FakeNetns **ret_ns, uint32_t *ret) {
        FakeNetns *there;

        LIST_FOREACH (there, &ns->fake->netns, FakeNetns, list)
                for (size_t i = 0; i < there->n_links; i++)
                        if (there->links[i].lower_netns == ns &&
                            there->links[i].lower_ifindex == ifindex) {
                                *ret_ns = there;
                                *ret = there->links[i].link.ifindex;
                                return true;
                        }
        return false;
}

void fake_link_delete(FakeNetns *ns, uint32_t ifindex) {
        FakeLink l = *fake_link_by_index(ns, ifindex);
        FakeNetns *there;
        uint32_t upper;

        while (find_upper(ns, ifindex, &there, &upper))
                fake_link_delete(there, upper);
        link_forget(ns, ifindex);
        if (l.peer_netns)
                link_forget(l.peer_netns, l.peer_ifindex);
}

/* ---- making them --------------------------------------------------------------------------------- */

int fake_op_veth_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
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
        /* Both may live in one netns, whose array may have moved. */
        pod = fake_link_by_index(there, pod_ifindex);
        host->peer_netns = there;
        host->peer_ifindex = host->link.link = pod_ifindex;
        host->link.link_netnsid = netnsid(ns, there);
        pod->peer_netns = ns;
        pod->peer_ifindex = pod->link.link = host->link.ifindex;
        pod->link.link_netnsid = netnsid(there, ns);
        ret->host_ifindex = host->link.ifindex;
        ret->pod_ifindex = pod_ifindex;
        return op->veth.master_ifindex ? fake_bridge_join(ns, host, op->veth.master_ifindex) : 0;
}

/* Whether another of the kind is in the way: the same VLAN, the same VXLAN, or somebody who already takes
 * what arrives on the lower link. */
static int check_neighbours(FakeNetns *ns, const NlOp *op, const FakeLink *lower) {
        bool taker = op->newlink.kind == NL_KIND_MACVLAN || op->newlink.kind == NL_KIND_IPVLAN;
        uint16_t port = op->newlink.vxlan.port ? op->newlink.vxlan.port : VXLAN_PORT;
        FakeNetns *there;

        if (taker && lower->link.master)
                return -EBUSY;
        LIST_FOREACH (there, &ns->fake->netns, FakeNetns, list)
                for (size_t i = 0; i < there->n_links; i++) {
                        const FakeLink *l = &there->links[i];
                        if (there == ns && op->newlink.kind == NL_KIND_VXLAN &&
                            streq(l->link.kind, "vxlan") && l->link.vni == op->newlink.vxlan.vni &&
                            l->vxlan_port == port)
                                return -EEXIST;
                        if (!lower || l->lower_netns != ns ||
                            l->lower_ifindex != lower->link.ifindex)
                                continue;
                        if (op->newlink.kind == NL_KIND_VLAN && streq(l->link.kind, "vlan") &&
                            l->link.vlan_id == op->newlink.vlan.id)
                                return -EEXIST;
                        if (taker &&
                            (streq(l->link.kind, "macvlan") || streq(l->link.kind, "ipvlan")) &&
                            !streq(l->link.kind, nl_link_kind_to_string(op->newlink.kind)))
                                return -EBUSY;
                }
        return 0;
}

static int check_newlink(FakeNetns *ns, const NlOp *op, const FakeLink **ret_lower) {
        bool stands = op->newlink.kind == NL_KIND_MACVLAN || op->newlink.kind == NL_KIND_IPVLAN ||
                      op->newlink.kind == NL_KIND_VLAN;
        const FakeLink *lower = NULL;

        if (op->newlink.has_mac && (op->newlink.mac.bytes[0] & 1))
                return -EADDRNOTAVAIL;
        if ((op->newlink.kind == NL_KIND_VXLAN && op->newlink.vxlan.vni >= 1U << 24) ||
            (op->newlink.kind == NL_KIND_VLAN && op->newlink.vlan.id >= 4095))
                return -ERANGE;
        if ((op->newlink.kind == NL_KIND_VRF && op->newlink.vrf.table == 0) ||
            (stands && !op->newlink.link_ifindex))
                return -EINVAL;
        if (op->newlink.link_ifindex && op->newlink.kind != NL_KIND_DUMMY &&
            op->newlink.kind != NL_KIND_VRF) {
                lower = fake_link_by_index(ns, op->newlink.link_ifindex);
                if (!lower)
                        return -ENODEV;
                if (stands && op->newlink.mtu > lower->link.mtu &&
                    op->newlink.kind != NL_KIND_IPVLAN)
                        return -EINVAL;
        }
        *ret_lower = lower;
        return check_neighbours(ns, op, lower);
}

static void take_kind(FakeLink *l, const NlOp *op) {
        switch (op->newlink.kind) {
        case NL_KIND_MACVLAN:
                l->link.mode = op->newlink.macvlan.mode;
                break;
        case NL_KIND_IPVLAN:
                l->link.mode = op->newlink.ipvlan.mode;
                break;
        case NL_KIND_VLAN:
                l->link.vlan_id = op->newlink.vlan.id;
                break;
        case NL_KIND_VXLAN:
                l->link.vni = op->newlink.vxlan.vni;
                l->vxlan_port = op->newlink.vxlan.port ? op->newlink.vxlan.port : VXLAN_PORT;
                break;
        case NL_KIND_VRF:
                l->link.table = op->newlink.vrf.table;
                break;
        default:
                break;
        }
}

int fake_op_link_add(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeNetns *there = op->newlink.netns_fd < 0
                                           ? ns
                                           : fake_netns_by_fd(ns->fake, op->newlink.netns_fd);
        const FakeLink *lower = NULL;
        MacAddr mac = { 0 };
        uint32_t mtu = op->newlink.mtu, master = op->newlink.master_ifindex;
        FakeLink *l;

        if (!there)
                return -EINVAL;
        if (fake_link_by_name(there, op->newlink.name))
                return -EEXIST;
        int r = check_newlink(ns, op, &lower);
        if (r < 0)
                return r;
        if (master && !fake_link_by_index(there, master))
                return -EINVAL;
        uint32_t lower_ifindex = lower ? lower->link.ifindex : 0;
        if (lower && !mtu)
                mtu = lower->link.mtu;
        if (lower && (op->newlink.kind == NL_KIND_IPVLAN || op->newlink.kind == NL_KIND_VLAN))
                mac = lower->link.mac;
        if (op->newlink.has_mac && op->newlink.kind != NL_KIND_IPVLAN)
                mac = op->newlink.mac;
        r = fake_link_new(there, op->newlink.name, nl_link_kind_to_string(op->newlink.kind), &mac,
                          mtu, op->newlink.group, &l);
        if (r < 0)
                return r;
        if (lower_ifindex) {
                l->lower_netns = ns;
                l->lower_ifindex = l->link.link = lower_ifindex;
                l->link.link_netnsid = netnsid(there, ns);
        }
        take_kind(l, op);
        ret->pod_ifindex = l->link.ifindex;
        return master ? fake_bridge_join(there, l, master) : 0;
}

/* ---- changing them ------------------------------------------------------------------------------- */

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
        if (streq(l->link.kind, "vlan") &&
            !(fake_link_by_index(l->lower_netns, l->lower_ifindex)->link.flags & IFF_UP))
                return -ENETDOWN;
        l->link.flags |= IFF_UP;
        for (size_t i = 0; i < ns->n_addrs; i++) {
                int r = ns->addrs[i].ifindex == ifindex ? fake_addr_connect(ns, &ns->addrs[i]) : 0;
                if (r < 0)
                        return r;
        }
        return 0;
}

static FakeLink *find_link(FakeNetns *ns, const NlOp *op) {
        return op->link.name[0] ? fake_link_by_name(ns, op->link.name)
                                : fake_link_by_index(ns, (uint32_t) op->link.ifindex);
}

/* All that pointed at the link where it was points at where it is. */
static void point_at(FakeNetns *from, uint32_t old, FakeNetns *to, const FakeLink *l) {
        FakeNetns *ns;

        LIST_FOREACH (ns, &from->fake->netns, FakeNetns, list)
                for (size_t i = 0; i < ns->n_links; i++) {
                        FakeLink *other = &ns->links[i];
                        if (other->peer_netns == from && other->peer_ifindex == old) {
                                other->peer_netns = to;
                                other->peer_ifindex = l->link.ifindex;
                        } else if (other->lower_netns == from && other->lower_ifindex == old) {
                                other->lower_netns = to;
                                other->lower_ifindex = l->link.ifindex;
                        } else
                                continue;
                        other->link.link = l->link.ifindex;
                        other->link.link_netnsid = netnsid(ns, to);
                }
}

/* Comes out down and bare, under its old index when that is free there. */
static int link_move(FakeNetns *ns, FakeLink **l, const NlOp *op) {
        FakeNetns *to = fake_netns_by_fd(ns->fake, op->link.netns_fd);
        bool renamed = op->link.mask & NL_LINK_NAME;
        FakeLink moved = **l;
        uint32_t old = moved.link.ifindex;

        if (!to || old == LO_IFINDEX || streq(moved.link.kind, "bridge") ||
            streq(moved.link.kind, "vrf"))
                return -EINVAL;
        if (to == ns)
                return 0;
        /* The new name serves when the old one is taken. */
        if (fake_link_by_name(to, moved.link.name) &&
            (!renamed || fake_link_by_name(to, op->link.new_name)))
                return -EEXIST;
        int r = GREEDY_REALLOC(to->links, to->links_allocated, to->n_links + 1);
        if (r < 0)
                return r;
        fake_link_strip(ns, old);
        REMOVE_AT(ns->links, ns->n_links, (size_t) (*l - ns->links));
        if (fake_link_by_name(to, moved.link.name))
                memcpy(moved.link.name, op->link.new_name, sizeof(moved.link.name));
        if (fake_link_by_index(to, old))
                moved.link.ifindex = to->next_ifindex++;
        moved.link.flags &= ~(uint32_t) IFF_UP;
        moved.link.master = 0;
        to->links[to->n_links] = moved;
        *l = &to->links[to->n_links++];
        if (moved.peer_netns)
                (*l)->link.link_netnsid = netnsid(to, moved.peer_netns);
        if (moved.lower_netns)
                (*l)->link.link_netnsid = netnsid(to, moved.lower_netns);
        point_at(ns, old, to, *l);
        return 0;
}

static int link_rename(FakeNetns *ns, FakeLink *l, const char *name) {
        if (streq(l->link.name, name))
                return 0;
        if (fake_link_by_name(ns, name))
                return -EEXIST;
        if (l->link.flags & IFF_UP)
                return -EBUSY; /* as before 6.2 */
        memcpy(l->link.name, name, sizeof(l->link.name));
        return 0;
}

static void take_flag(FakeLink *l, bool wanted, uint32_t flag, bool on) {
        if (wanted)
                l->link.flags = on ? l->link.flags | flag : l->link.flags & ~flag;
}

static int take_alias(FakeLink *l, const char *alias) {
        char *copy = alias && alias[0] ? strdup(alias) : NULL;

        if (alias && alias[0] && !copy)
                return -ENOMEM;
        free(l->link.alias);
        l->link.alias = copy;
        return 0;
}

static int check_link_set(FakeNetns *ns, const FakeLink *l, const NlOp *op) {
        NlLinkMask mask = op->link.mask;

        if ((mask & NL_LINK_MASTER) && op->link.master_ifindex &&
            !fake_link_by_index(ns, op->link.master_ifindex))
                return -EINVAL;
        if ((mask & (NL_LINK_HAIRPIN | NL_LINK_ISOLATED)) && !l->link.master)
                return -EOPNOTSUPP;
        if ((mask & NL_LINK_VLAN_FILTERING) && !streq(l->link.kind, "bridge"))
                return -EOPNOTSUPP;
        return 0;
}

int fake_op_link_set(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = find_link(ns, op);
        NlLinkMask mask = op->link.mask;

        if (!l)
                return -ENODEV;
        int r = check_link_set(ns, l, op);
        if (r >= 0 && (mask & NL_LINK_NETNS)) {
                r = link_move(ns, &l, op);
                ns = fake_netns_by_fd(ns->fake, op->link.netns_fd);
        }
        if (r >= 0 && (mask & NL_LINK_NAME))
                r = link_rename(ns, l, op->link.new_name);
        if (r >= 0 && (mask & NL_LINK_ALIAS))
                r = take_alias(l, op->link.alias);
        if (r >= 0 && (mask & NL_LINK_MASTER))
                r = fake_bridge_join(ns, l, op->link.master_ifindex);
        if (r < 0)
                return r;
        if (mask & NL_LINK_MTU)
                l->link.mtu = op->link.mtu;
        if (mask & NL_LINK_GROUP)
                l->link.group = op->link.group;
        if (mask & NL_LINK_TXQLEN)
                l->link.txqlen = op->link.txqlen;
        if (mask & NL_LINK_HAIRPIN)
                l->link.hairpin = op->link.hairpin;
        if (mask & NL_LINK_ISOLATED)
                l->link.isolated = op->link.isolated;
        if (mask & NL_LINK_VLAN_FILTERING)
                l->link.vlan_filtering = op->link.vlan_filtering;
        if (mask & NL_LINK_MAC)
                l->link.mac = op->link.mac;
        if ((mask & NL_LINK_PROMISC) && op->link.promisc != !!(l->link.flags & IFF_PROMISC))
                l->link.promiscuity += op->link.promisc ? 1 : -1U;
        take_flag(l, mask & NL_LINK_PROMISC, IFF_PROMISC, op->link.promisc);
        take_flag(l, mask & NL_LINK_ALLMULTI, IFF_ALLMULTI, op->link.allmulti);
        return mask & NL_LINK_UP ? link_set_up(ns, l, op->link.up) : 0;
}

/* ---- removing them ------------------------------------------------------------------------------- */

int fake_op_link_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        FakeLink *l = find_link(ns, op);

        if (!l)
                return -ENODEV;
        if (l->link.ifindex == LO_IFINDEX)
                return -EOPNOTSUPP;
        fake_link_delete(ns, l->link.ifindex);
        return 0;
}

int fake_op_group_del(FakeNetns *ns, const NlOp *op, NlApplied *ret) {
        int r = -ENODEV;

        for (size_t i = 0; i < ns->n_links;)
                if (ns->links[i].link.group == op->group) {
                        fake_link_delete(ns, ns->links[i].link.ifindex);
                        r = 0;
                        i = 0; /* others may have gone with it */
                } else
                        i++;
        return r;
}
