/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From the specification to typed kernel operations; see plan.h. */

#include "core/plan.h"

#include <linux/rtnetlink.h>
#include <stdio.h>

#include "core/adjust.h"

/* Operations besides those per address and route: links, lo, neighbours, metadata, margins. */
#define OPS_FIXED 16

/* What waits at most in mode shape; more only makes every packet late. */
#define SHAPE_LATENCY_US 25000
/* Two GSO packets of 64 KiB have to fit the bucket, or nothing large ever passes. */
#define SHAPE_BURST_MIN (128U * 1024U)

void plan_clear(Plan *p) {
        free(p->host);
        free(p->birth);
        free(p->pod);
        free(p->finish);
        *p = (Plan) { 0 };
}

static NlOp *op_append(NlOp *ops, size_t *n, NlOpType type, const char *what) {
        NlOp *op = &ops[(*n)++];
        *op = (NlOp) { .type = type, .what = what };
        return op;
}

static void link_set(NlOp *ops, size_t *n, const char *name, NlLinkMask mask, const char *what) {
        NlOp *op = op_append(ops, n, NL_LINK_SET, what);

        snprintf(op->link.name, sizeof(op->link.name), "%s", name);
        op->link.mask = mask;
        op->link.up = true;
        op->link.hairpin = true;
        op->link.route_localnet = true;
        /* Strict reverse path: a routed sandbox cannot send from another's IPv4 address. */
        op->link.rp_filter = 1;
}

static void sysctl(PlanSysctl *list, size_t *n, int family, const char *ifname, const char *key,
                   const char *value, bool optional) {
        PlanSysctl *s = &list[(*n)++];

        snprintf(s->name, sizeof(s->name), "ipv%c/conf/%s/%s", family == AF_INET ? '4' : '6',
                 ifname, key);
        s->value = value;
        s->optional = optional;
}

/* A family that was not asked for is off: no link-local address, no router that a neighbour
 * invents. One that was asked for takes nothing from router advertisements. */
static void ipv6_sysctls(PlanSysctl *list, size_t *n, const char *ifname, bool want, bool reset) {
        if (!want) {
                sysctl(list, n, AF_INET6, ifname, "disable_ipv6", "1", true);
                return;
        }
        if (reset)
                sysctl(list, n, AF_INET6, ifname, "disable_ipv6", "0", false);
        sysctl(list, n, AF_INET6, ifname, "accept_ra", "0", false);
}

/* ---- the link --------------------------------------------------------------------------------- */

static void plan_port_vlans(const AttachmentSpec *s, Plan *p) {
        const NetLinkConf *l = s->link;
        bool tagged = l && (l->vlan > 0 || l->n_trunks > 0);

        if (!tagged)
                return;
        /* A new port is in VLAN 1 by default: traffic of others, unless somebody wants it. */
        if (!l->preserve_default_vlan && l->vlan != 1) {
                NlOp *op = op_append(p->host, &p->n_host, NL_BRIDGE_VLAN_DEL,
                                     "leave the default VLAN");
                op->bvlan.ifindex = NL_HOST_END;
                op->bvlan.vid = 1;
        }
        if (l->vlan > 0) {
                NlOp *op = op_append(p->host, &p->n_host, NL_BRIDGE_VLAN_ADD, "join the VLAN");
                op->bvlan.ifindex = NL_HOST_END;
                op->bvlan.vid = l->vlan;
                op->bvlan.pvid = op->bvlan.untagged = true;
        }
        for (size_t i = 0; i < l->n_trunks; i++) {
                NlOp *op = op_append(p->host, &p->n_host, NL_BRIDGE_VLAN_ADD,
                                     "join the trunk's VLANs");
                op->bvlan.ifindex = NL_HOST_END;
                op->bvlan.vid = l->trunks[i].first;
                op->bvlan.vid_end = l->trunks[i].last;
        }
}

static void plan_veth(const AttachmentSpec *s, uint32_t master_ifindex, Plan *p) {
        NlOp *op = op_append(p->host, &p->n_host, NL_VETH_ADD, "create the veth pair");
        NlLinkMask mask = NL_LINK_ADDRGEN_NONE;

        snprintf(op->veth.name, sizeof(op->veth.name), "%s", s->host_ifname);
        snprintf(op->veth.peer, sizeof(op->veth.peer), "%s", s->ifname);
        op->veth.mac = s->host_mac;
        op->veth.peer_mac = s->mac;
        op->veth.mtu = s->mtu;
        op->veth.master_ifindex = master_ifindex;
        op->veth.peer_netns_fd = -EBADF; /* the executor's */
        if (kind_is_routed(s->kind))
                op->veth.group = s->group; /* of a bridge's ports the host sees the bridge only */

        if (kind_is_routed(s->kind)) {
                mask |= NL_LINK_IPV4_CONF;
                if (spec_needs_route_localnet(s))
                        mask |= NL_LINK_ROUTE_LOCALNET;
                ipv6_sysctls(p->host_sysctls, &p->n_host_sysctls, s->host_ifname,
                             spec_has_family(s, AF_INET6), false);
        }
        link_set(p->host, &p->n_host, s->host_ifname, mask, "set up the host end");
        if (spec_needs_hairpin(s))
                link_set(p->host, &p->n_host, s->host_ifname, NL_LINK_HAIRPIN,
                         "let frames go back to their port");
        if (s->link && s->link->port_isolation) {
                link_set(p->host, &p->n_host, s->host_ifname, NL_LINK_ISOLATED, "isolate the port");
                p->host[p->n_host - 1].link.isolated = true;
        }
        plan_port_vlans(s, p);
        if (spec_shapes_egress(s)) {
                op = op_append(p->host, &p->n_host, NL_IFB_ADD, "create the shaping interface");
                spec_ifb_name(s, op->ifb.name);
        }
}

/* Born in the sandbox, from where its master is. */
static void plan_upper(const AttachmentSpec *s, Plan *p) {
        const NetLinkConf *l = s->link;
        bool inside = l->link_in_container;
        NlOp *op = inside ? op_append(p->birth, &p->n_birth, NL_LINK_ADD, "create the interface")
                          : op_append(p->host, &p->n_host, NL_LINK_ADD, "create the interface");

        snprintf(op->newlink.name, sizeof(op->newlink.name), "%s", s->ifname);
        op->newlink.netns_fd = -EBADF; /* the executor's, unless it is made inside */
        op->newlink.mtu = s->mtu;
        op->newlink.mac = s->mac;
        op->newlink.has_mac = !spec_shares_mac(s);
        p->master = l->master;
        switch (s->kind) {
        case NET_KIND_MACVLAN:
                op->newlink.kind = NL_KIND_MACVLAN;
                op->newlink.macvlan.mode = l->mode;
                op->newlink.macvlan.bcqueuelen = l->bcqueuelen;
                op->newlink.macvlan.has_bcqueuelen = l->has_bcqueuelen;
                break;
        case NET_KIND_IPVLAN:
                op->newlink.kind = NL_KIND_IPVLAN;
                op->newlink.ipvlan.mode = (uint16_t) l->mode;
                break;
        default:
                op->newlink.kind = NL_KIND_VLAN;
                op->newlink.vlan.id = l->vlan_id;
        }
}

static void plan_link(const AttachmentSpec *s, uint32_t master_ifindex, Plan *p) {
        NlOp *op;

        if (kind_has_host_end(s->kind))
                plan_veth(s, master_ifindex, p);
        else if (kind_has_master(s->kind))
                plan_upper(s, p);
        else if (s->kind == NET_KIND_DUMMY) {
                op = op_append(p->birth, &p->n_birth, NL_LINK_ADD, "create the interface");
                op->newlink.kind = NL_KIND_DUMMY;
                op->newlink.netns_fd = -EBADF;
                snprintf(op->newlink.name, sizeof(op->newlink.name), "%s", s->ifname);
                op->newlink.mtu = s->mtu;
                op->newlink.mac = s->mac;
                op->newlink.has_mac = true;
        } else if (s->kind == NET_KIND_TAP) {
                p->tap = s->link;
                if (s->link->tap_bridge[0])
                        p->pod_master = s->link->tap_bridge;
        }
}

/* ---- the sandbox ------------------------------------------------------------------------------ */

static void plan_pod_route(const NetRoute *route, bool onlink, Plan *p) {
        NlOp *op = op_append(p->pod, &p->n_pod, NL_ROUTE_ADD, "add the route");

        op->route.ifindex = NL_POD_END;
        op->route.dst = route->dst;
        op->route.gw = route->gw;
        op->route.onlink = onlink && in_addr_is_set(&route->gw);
        op->route.mtu = route->mtu;
        op->route.advmss = route->advmss;
        op->route.priority = route->priority;
        op->route.table = route->table > 0 ? (uint32_t) route->table : 0;
        if (route->scope >= 0)
                op->route.scope = (uint8_t) route->scope;
        else
                op->route.scope =
                                in_addr_is_set(&route->gw) || route->dst.address.family == AF_INET6
                                                ? RT_SCOPE_UNIVERSE
                                                : RT_SCOPE_LINK;
}

/* To nobody: whoever asks is told so at once. Replaced rather than added: another interface of the sandbox may
 * have brought the route already. */
static void plan_pod_metadata(const AttachmentSpec *s, Plan *p) {
        static const int families[] = { AF_INET, AF_INET6 };

        for (size_t i = 0; s->block_metadata && i < ELEMENTSOF(families); i++) {
                if (!spec_has_family(s, families[i]))
                        continue;
                NlOp *op = op_append(p->pod, &p->n_pod, NL_ROUTE_ADD,
                                     "prohibit the way to the metadata service");
                op->route.dst = metadata_address(families[i]);
                op->route.type = RTN_PROHIBIT;
                op->route.replace = true;
        }
}

static void plan_pod_routes(const AttachmentSpec *s, Plan *p) {
        /* A neighbour of a point to point link is reached through the host, like everybody else. */
        for (size_t i = 0; s->kind == NET_KIND_PTP && i < s->n_addresses; i++) {
                const SpecAddress *a = &s->addresses[i];
                NetRoute gateway = { .dst = { .address = a->gateway,
                                              .length = family_bits(a->gateway.family) },
                                     .table = -1,
                                     .scope = -1 };
                NetRoute subnet = { .dst = { .address = in_prefix_first(&a->address),
                                             .length = a->address.length },
                                    .gw = a->gateway,
                                    .table = -1,
                                    .scope = -1 };

                if (!in_addr_is_set(&a->gateway) || spec_routes_moved(s, a->gateway.family))
                        continue;
                spec_set_metric(s, &gateway);
                spec_set_metric(s, &subnet);
                plan_pod_route(&gateway, false, p);
                p->pod[p->n_pod - 1].route.prefsrc = a->address.address;
                plan_pod_route(&subnet, false, p);
                p->pod[p->n_pod - 1].route.prefsrc = a->address.address;
        }
        /* Those that sbr or vrf has moved are theirs; the others are in tables of their own. */
        for (size_t i = 0; i < s->n_routes; i++)
                if (s->routes[i].table > 0 ||
                    !spec_routes_moved(s, s->routes[i].dst.address.family))
                        plan_pod_route(&s->routes[i],
                                       s->kind == NET_KIND_ROUTED || s->routes[i].onlink, p);
}

/* Nobody has to ask who the gateway is: both ends of the pair are ours. */
static void plan_pod_neighbours(const AttachmentSpec *s, Plan *p) {
        for (size_t i = 0; kind_is_routed(s->kind) && i < s->n_addresses; i++) {
                const InAddr *gateway = &s->addresses[i].gateway;
                bool known = !in_addr_is_set(gateway);

                for (size_t k = 0; k < i && !known; k++)
                        known = in_addr_equal(gateway, &s->addresses[k].gateway);
                if (known)
                        continue;
                NlOp *op = op_append(p->pod, &p->n_pod, NL_NEIGH_ADD,
                                     "add the gateway's neighbour entry");
                op->neigh.ifindex = NL_POD_END;
                op->neigh.address = *gateway;
                op->neigh.mac = s->host_mac;
        }
}

static void plan_pod_addresses(const AttachmentSpec *s, Plan *p) {
        for (size_t i = 0; i < s->n_addresses; i++) {
                NlOp *op = op_append(p->pod, &p->n_pod, NL_ADDR_ADD, "add the address");
                op->addr.ifindex = NL_POD_END;
                op->addr.address = s->addresses[i].address;
                op->addr.noprefixroute = s->kind == NET_KIND_PTP;
                op->addr.dad = s->link && s->link->enable_dad;
        }
}

/* The settings that the reference plugins document. Whoever relies on IPv6 as the kernel configures it by
 * itself (a physical network behind a macvlan, say) has it as before. */
static void drop_in_sysctls(const AttachmentSpec *s, Plan *p) {
        bool bridge = kind_has_bridge(s->kind), macvlan = s->kind == NET_KIND_MACVLAN;
        PlanSysctl *list = p->pod_sysctls;
        size_t *n = &p->n_pod_sysctls;

        if (spec_has_family(s, AF_INET) && (bridge || macvlan))
                sysctl(list, n, AF_INET, s->ifname, "arp_notify", "1", true);
        if (!spec_has_family(s, AF_INET6))
                return;
        sysctl(list, n, AF_INET6, s->ifname, "disable_ipv6", "0", false);
        sysctl(list, n, AF_INET6, s->ifname, "keep_addr_on_down", "1", true);
        if (bridge && !(s->link && s->link->enable_dad))
                sysctl(list, n, AF_INET6, s->ifname, "accept_dad", "0", true);
        if (macvlan)
                sysctl(list, n, AF_INET6, s->ifname, "ndisc_notify", "1", true);
}

/* Addresses are ours to give, and only ours. Without any, the interface is a wire, and what goes over it
 * is the sandbox's business. */
static void plan_autoconfiguration(const AttachmentSpec *s, Plan *p) {
        bool wants_ipv6 = spec_has_family(s, AF_INET6);

        /* A routed sandbox without IPv6 has only the host at the other end, which sends no router
         * advertisements: addr_gen_mode none is enough, and spares a write to /proc/sys, whose
         * dentries of all namespaces share one hash chain per name. */
        if (s->kind != NET_KIND_ROUTED || wants_ipv6)
                ipv6_sysctls(p->pod_sysctls, &p->n_pod_sysctls, s->ifname, wants_ipv6, true);
        /* Two messages: the mode must be there before the link goes up. */
        link_set(p->pod, &p->n_pod, s->ifname, NL_LINK_ADDRGEN_NONE, "set up the interface");
}

static void plan_pod(const AttachmentSpec *s, Plan *p) {
        link_set(p->pod, &p->n_pod, "lo", NL_LINK_UP, "raise lo");
        if (s->kind == NET_KIND_LOOPBACK || s->kind == NET_KIND_FOREIGN || !spec_has_link(s))
                return;

        if (s->drop_in)
                drop_in_sysctls(s, p);
        else if (s->n_addresses > 0)
                plan_autoconfiguration(s, p);
        if (s->kind == NET_KIND_TAP) {
                NlOp *op = op_append(p->pod, &p->n_pod, NL_LINK_SET, "set MTU and MAC");
                snprintf(op->link.name, sizeof(op->link.name), "%s", s->ifname);
                op->link.mask = NL_LINK_MTU | NL_LINK_MAC | (p->pod_master ? NL_LINK_MASTER : 0);
                op->link.mtu = s->mtu;
                op->link.mac = s->mac;
        }
        if ((s->link && s->link->no_container_interface) || s->lease_over)
                return;
        link_set(p->pod, &p->n_pod, s->ifname, NL_LINK_UP, "raise the interface");
        if (s->adjust.has_tuning)
                tuning_op(&s->adjust.tuned, s->ifname, &p->pod[p->n_pod++]);
        plan_pod_addresses(s, p);
        plan_pod_neighbours(s, p);
        plan_pod_metadata(s, p);
        plan_pod_routes(s, p);
}

/* ---- limits, and the host's side -------------------------------------------------------------- */

void plan_tbf(NlOp *op, int32_t ifindex, uint64_t rate_bits, uint64_t burst_bits) {
        uint64_t rate = MAX_OF(rate_bits / 8, (uint64_t) 1);
        uint64_t burst = burst_bits / 8;

        *op = (NlOp) { .type = NL_TBF_SET, .what = "set the rate" };
        if (burst == 0)
                burst = MAX_OF(rate / 250, (uint64_t) SHAPE_BURST_MIN); /* 4 ms of the rate */
        op->tbf.ifindex = ifindex;
        op->tbf.rate = rate;
        op->tbf.burst = (uint32_t) MIN_OF(burst, (uint64_t) INT32_MAX);
        op->tbf.latency_us = SHAPE_LATENCY_US;
}

/* Towards the sandbox a bucket on the host end; from it, by way of an interface that has one. */
static void plan_shaping(const AttachmentSpec *s, Plan *p) {
        char ifb[IF_NAMESIZE];
        NlOp *op;

        if (spec_shapes_ingress(s))
                plan_tbf(&p->finish[p->n_finish++], NL_HOST_END, s->bandwidth.ingress_rate,
                         s->bandwidth.ingress_burst);
        if (!spec_shapes_egress(s))
                return;
        spec_ifb_name(s, ifb);
        plan_tbf(&p->finish[p->n_finish++], NL_IFB_END, s->bandwidth.egress_rate,
                 s->bandwidth.egress_burst);
        link_set(p->finish, &p->n_finish, ifb, NL_LINK_UP, "raise the shaping interface");
        op = op_append(p->finish, &p->n_finish, NL_CLSACT_ADD, "add the classifier");
        op->redirect.ifindex = NL_HOST_END;
        op = op_append(p->finish, &p->n_finish, NL_REDIRECT_ADD,
                       "lead traffic to the shaping interface");
        op->redirect.ifindex = NL_HOST_END;
        op->redirect.to_ifindex = NL_IFB_END;
}

/* The host is the gateway at the other end: fe80::1 of a routed sandbox, the network's own of ptp. */
static void plan_host_gateways(const AttachmentSpec *s, Plan *p) {
        if (s->kind == NET_KIND_ROUTED) {
                if (!spec_has_family(s, AF_INET6))
                        return;
                NlOp *op = op_append(p->finish, &p->n_finish, NL_ADDR_ADD,
                                     "add fe80::1 to the host end");
                op->addr.ifindex = NL_HOST_END;
                op->addr.address = (InPrefix) { .address = routed_gateway(AF_INET6), .length = 64 };
                op->addr.scope = RT_SCOPE_LINK;
                return;
        }
        for (size_t i = 0; i < s->n_addresses; i++) {
                const InAddr *gateway = &s->addresses[i].gateway;

                if (!in_addr_is_set(gateway))
                        continue;
                NlOp *op = op_append(p->finish, &p->n_finish, NL_ADDR_ADD,
                                     "add the gateway to the host end");
                op->addr.ifindex = NL_HOST_END;
                op->addr.address = (InPrefix) { .address = *gateway,
                                                .length = family_bits(gateway->family) };
        }
}

/* Addresses that came from elsewhere bring their gateways. Those stay, as the bridge's own do: other
 * sandboxes use them. */
static void plan_bridge_gateways(const AttachmentSpec *s, uint32_t bridge_ifindex, Plan *p) {
        for (size_t i = 0; s->unforeseen && s->is_gateway && i < s->n_addresses; i++) {
                const SpecAddress *a = &s->addresses[i];

                if (!in_addr_is_set(&a->gateway) || bridge_ifindex == 0)
                        continue;
                NlOp *op = op_append(p->finish, &p->n_finish, NL_ADDR_ADD,
                                     "add the gateway's address to the bridge");
                op->addr.ifindex = (int32_t) bridge_ifindex;
                op->addr.address =
                                (InPrefix) { .address = a->gateway, .length = a->address.length };
        }
}

static void plan_finish(const AttachmentSpec *s, uint32_t master_ifindex, Plan *p) {
        plan_bridge_gateways(s, master_ifindex, p);
        plan_shaping(s, p);
        if (kind_has_bridge(s->kind) && spec_needs_route_localnet(s)) {
                link_set(p->finish, &p->n_finish, s->bridge, NL_LINK_ROUTE_LOCALNET,
                         "let 127.0.0.1 reach host ports by the bridge");
        }
        link_set(p->finish, &p->n_finish, s->host_ifname, NL_LINK_UP, "raise the host end");
        if (!kind_is_routed(s->kind))
                return;

        plan_host_gateways(s, p);
        for (size_t i = 0; i < s->n_addresses; i++) {
                const InAddr *a = &s->addresses[i].address.address;
                NlOp *op = op_append(p->finish, &p->n_finish, NL_ROUTE_ADD, "add the host's route");

                op->route.ifindex = NL_HOST_END;
                op->route.dst = (InPrefix) { .address = *a, .length = family_bits(a->family) };
                if (s->kind == NET_KIND_ROUTED)
                        op->route.prefsrc = a->family == AF_INET ? s->node4 : s->node6;
                op->route.scope = a->family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;

                op = op_append(p->finish, &p->n_finish, NL_NEIGH_ADD,
                               "add the sandbox's neighbour entry");
                op->neigh.ifindex = NL_HOST_END;
                op->neigh.address = *a;
                op->neigh.mac = s->mac;
        }
}

int plan_make(const AttachmentSpec *s, uint32_t master_ifindex, Plan *ret) {
        size_t room = OPS_FIXED + 5 * s->n_addresses + s->n_routes +
                      (s->link ? s->link->n_trunks : 0);
        Plan p = { .host = new0(NlOp, room),
                   .birth = new0(NlOp, 1),
                   .pod = new0(NlOp, room),
                   .finish = new0(NlOp, room) };

        if (!p.host || !p.birth || !p.pod || !p.finish) {
                plan_clear(&p);
                return -ENOMEM;
        }
        if (s->kind == NET_KIND_FOREIGN) { /* nothing of it is ours to make */
                *ret = p;
                return 0;
        }
        plan_link(s, master_ifindex, &p);
        plan_pod(s, &p);
        p.sysctls = s->sysctls;
        p.n_sysctls = s->n_sysctls;
        if (kind_has_host_end(s->kind))
                plan_finish(s, master_ifindex, &p);
        *ret = p;
        return 0;
}
