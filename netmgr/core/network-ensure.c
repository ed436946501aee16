/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The kernel side of a network, made at its first attachment and after it went away: first a look
 * (MTU, node addresses, overlap with the host's routes, is the bridge there), then the row, then
 * what is missing: bridge, gateway addresses, forwarding. Each step may be repeated.
 */

#include <errno.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/enforce.h"
#include "core/network-extra.h"
#include "core/network-internal.h"
#include "core/nic.h"
#include "core/wire.h"

/* MTU when there is no default route. */
#define MTU_DEFAULT 1500

typedef struct EnsureJob {
        Job job;
        Manager *manager;
        char network[NETWORK_NAME_MAX + 1];
        /* what is wanted; copies */
        NetKind kind;
        char bridge[16];
        MacAddr bridge_mac;
        bool bridge_created, is_gateway, own_range, promisc, force_address;
        uint32_t mtu, group;
        InPrefix *subnets, *gateways; /* owned */
        size_t n_subnets, n_gateways;
        bool inet, inet6;
        bool shares_nic; /* vpc-bridge: `extra.link` says which interface answers */
        InAddr *shared;  /* owned: for these addresses */
        size_t n_shared;
        /* what was found */
        bool bridge_exists;
        ExtraLink extra;          /* name "": none */
        uint32_t gateway_ifindex; /* the bridge, or the gateway of its VLAN */
        uint32_t extra_ifindex;
        uint32_t bridge_ifindex, bridge_mtu;
        InAddr node4, node6;
} EnsureJob;

static void ensure_job_free(EnsureJob *j) {
        error_clear(&j->job.task.error);
        free(j->subnets);
        free(j->gateways);
        free(j->shared);
        free(j);
}

static const NlLink *link_by_index(const NlDump *d, uint32_t ifindex) {
        for (size_t i = 0; i < d->n_links; i++)
                if (d->links[i].ifindex == ifindex)
                        return &d->links[i];
        return NULL;
}

/* A host route to addresses that we are about to give out means that somebody else has them. The
 * default route and our own links do not count. */
static int check_routes(const EnsureJob *j, const NlDump *d, Error *e) {
        for (size_t i = 0; i < d->n_routes; i++) {
                const NlRoute *route = &d->routes[i];
                const NlLink *link = link_by_index(d, route->ifindex);

                if (route->dst.length == 0 ||
                    (link && (strncmp(link->name, "nmg", 3) == 0 || streq(link->name, j->bridge) ||
                              streq(link->name, j->extra.name))))
                        continue;
                for (size_t k = 0; k < j->n_subnets; k++)
                        if (in_prefix_overlaps(&route->dst, &j->subnets[k]))
                                return error_setf(
                                                e, ERROR_INVALID_ARGUMENT,
                                                "subnet %s of network %s overlaps the host's route to %s "
                                                "by %s; choose a range of its own",
                                                IN_PREFIX_STR(&j->subnets[k]), j->network,
                                                IN_PREFIX_STR(&route->dst),
                                                link ? link->name : "no link");
        }
        return 0;
}

static void find_default(EnsureJob *j, NlSocket *s, const NlDump *d) {
        static const char *const far[] = { "203.0.113.1", "2001:db8::1" };

        for (size_t i = 0; i < ELEMENTSOF(far); i++) {
                InAddr dst, source = { .family = AF_UNSPEC };
                uint32_t ifindex = 0;

                /* Only looked up: documentation addresses match nothing but the default route. */
                if (in_addr_parse(far[i], &dst) < 0 ||
                    kernel_get_route(s, &dst, &ifindex, &source) < 0)
                        continue;
                InAddr *node = dst.family == AF_INET ? &j->node4 : &j->node6;
                if (!in_addr_is_set(node))
                        *node = source;
                const NlLink *link = link_by_index(d, ifindex);
                if (link && j->mtu == 0 && !(link->flags & IFF_LOOPBACK))
                        j->mtu = link->mtu;
        }
        if (j->mtu == 0)
                j->mtu = MTU_DEFAULT;
}

static int ensure_look(Job *job, WorkerContext *w, Error *e) {
        EnsureJob *j = (EnsureJob *) job;
        NlDump d = { 0 };
        NlLink link;

        int r = kernel_dump(w->host, NL_DUMP_LINKS | NL_DUMP_ROUTES, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links and routes");
        r = j->mtu == 0 ? extra_link_mtu(&j->extra, w, &j->mtu, e) : 0;
        if (r < 0) {
                kernel_dump_clear(&d);
                return r;
        }
        find_default(j, w->host, &d);
        if (j->own_range)
                r = check_routes(j, &d, e);
        kernel_dump_clear(&d);
        if (r < 0 || !kind_has_bridge(j->kind))
                return r;

        r = kernel_get_link(w->host, j->bridge, &link);
        if (r == -ENODEV)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for bridge %s", j->bridge);
        if (!streq(link.kind, "bridge"))
                return error_setf(e, ERROR_EXISTS,
                                  "interface %s exists and is no bridge (kind \"%s\"); choose "
                                  "another name with the key \"bridge\"",
                                  j->bridge, link.kind);
        j->bridge_exists = true;
        return 0;
}

/* The reference's rule: another address of the family on the bridge is an error, unless
 * forceAddress, which removes it. */
static int check_bridge_addresses(EnsureJob *j, WorkerContext *w, Error *e) {
        NlDump d = { 0 };
        int r = kernel_dump(w->host, NL_DUMP_ADDRS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's addresses");

        for (size_t i = 0; i < d.n_addrs && r >= 0; i++) {
                const NlAddr *a = &d.addrs[i];
                bool ours = false, family = false;

                if (a->ifindex != j->gateway_ifindex || in_addr_is_link_local(&a->address.address))
                        continue;
                for (size_t k = 0; k < j->n_gateways; k++) {
                        family |= j->gateways[k].address.family == a->address.address.family;
                        ours |= j->gateways[k].length == a->address.length &&
                                in_addr_equal(&j->gateways[k].address, &a->address.address);
                }
                if (ours || !family)
                        continue;
                if (!j->force_address) {
                        r = error_setf(e, ERROR_EXISTS,
                                       "bridge %s has address %s, not the gateway of network %s; "
                                       "remove it or set forceAddress",
                                       j->bridge, IN_PREFIX_STR(&a->address), j->network);
                        break;
                }
                NlOp del = { .type = NL_ADDR_DEL, .what = "remove the bridge's address" };
                del.addr.ifindex = (int32_t) a->ifindex;
                del.addr.address = a->address;
                r = kernel_apply(w->host, &del, 1, &(NlApplied) { 0 });
                if (r < 0)
                        r = error_set_errnof(e, ERROR_KERNEL, r, "removing %s from bridge %s",
                                             IN_PREFIX_STR(&a->address), j->bridge);
        }
        kernel_dump_clear(&d);
        return r;
}

/* By its link group the rule tables know whose bridge it is. One that others have put into a group of
 * theirs is left alone. */
static int bridge_join_group(EnsureJob *j, WorkerContext *w, uint32_t found, Error *e) {
        NlOp set = { .type = NL_LINK_SET, .what = "put the bridge into its network's group" };

        if (found != 0 && found < NETWORK_GROUP_BASE)
                return error_setf(
                                e, ERROR_EXISTS,
                                "bridge %s is in link group %u already, and network %s tells networks "
                                "apart by it; use a bridge without a group (ip link set %s group default)",
                                j->bridge, found, j->network, j->bridge);
        snprintf(set.link.name, sizeof(set.link.name), "%s", j->bridge);
        set.link.mask = NL_LINK_GROUP;
        set.link.group = j->group;
        int r = kernel_apply(w->host, &set, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "setting the link group of bridge %s",
                                        j->bridge)
                     : 0;
}

/* A bridge that nobody has given a MAC takes one of its ports': what sandboxes have learnt, and results tell,
 * would be wrong from the next port on. */
static int freeze_mac(const NlLink *bridge, WorkerContext *w, Error *e) {
        NlOp set = { .type = NL_LINK_SET, .what = "keep the bridge's MAC" };

        memcpy(set.link.name, bridge->name, sizeof(set.link.name));
        set.link.mask = NL_LINK_MAC;
        set.link.mac = bridge->mac;
        int r = kernel_apply(w->host, &set, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "keeping the MAC of bridge %s",
                                        bridge->name)
                     : 0;
}

static int bridge_create(EnsureJob *j, WorkerContext *w, Error *e) {
        NlOp op = { .type = NL_BRIDGE_ADD, .what = "create the bridge" };
        NlLink link;

        snprintf(op.bridge.name, sizeof(op.bridge.name), "%s", j->bridge);
        op.bridge.mac = j->bridge_mac;
        op.bridge.mtu = j->mtu;
        op.bridge.group = j->group;
        op.bridge.vlan_filtering = j->extra.link.vlan > 0 || j->extra.link.n_trunks > 0;
        if (!j->bridge_exists) {
                int r = kernel_apply(w->host, &op, 1, &(NlApplied) { 0 });
                if (r < 0 && r != -EEXIST)
                        return error_set_errnof(e, ERROR_KERNEL, r, "creating bridge %s",
                                                j->bridge);
        }
        int r = kernel_get_link(w->host, j->bridge, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for bridge %s", j->bridge);
        j->bridge_ifindex = link.ifindex;
        j->bridge_mtu = link.mtu;
        j->bridge_mac = link.mac;
        r = freeze_mac(&link, w, e);
        if (r < 0)
                return r;
        return link.group == j->group ? 0 : bridge_join_group(j, w, link.group, e);
}

/* The kernel solicits a neighbour of a forwarded packet only from a link-local address; its own would
 * spend its first second in DAD. Formed from the MAC as the kernel would (RFC 4291, appendix A). */
static int add_link_local(const EnsureJob *j, WorkerContext *w, Error *e) {
        const uint8_t *m = j->bridge_mac.bytes;
        NlOp add = { .type = NL_ADDR_ADD, .what = "add the link-local address" };

        add.addr.ifindex = (int32_t) j->bridge_ifindex;
        add.addr.scope = RT_SCOPE_LINK;
        add.addr.address = (InPrefix) {
                .address = { .family = AF_INET6,
                             .bytes = { 0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff,
                                        0xfe, m[3], m[4], m[5] } },
                .length = 64,
        };
        int r = kernel_apply(w->host, &add, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "adding %s to bridge %s",
                                        IN_PREFIX_STR(&add.addr.address), j->bridge)
                     : 0;
}

static int bridge_setup(EnsureJob *j, WorkerContext *w, Error *e) {
        PlanSysctl ra = { .value = "0", .optional = true };
        NlOp set = { .type = NL_LINK_SET, .what = "set up the bridge" };

        int r = bridge_create(j, w, e);
        if (r < 0)
                return r;
        /* A router advertisement of a sandbox must not reconfigure the host (CVE-2020-10749). */
        snprintf(ra.name, sizeof(ra.name), "ipv6/conf/%s/accept_ra", j->bridge);
        r = host_sysctl_write(&ra, e);
        if (r < 0)
                return r;

        snprintf(set.link.name, sizeof(set.link.name), "%s", j->bridge);
        if (j->bridge_created) {
                set.link.mask = NL_LINK_ADDRGEN_NONE;
                r = kernel_apply(w->host, &set, 1, &(NlApplied) { 0 });
        }
        set.link.mask = NL_LINK_UP | (j->promisc ? NL_LINK_PROMISC : 0);
        set.link.up = true;
        set.link.promisc = true;
        if (r >= 0)
                r = kernel_apply(w->host, &set, 1, &(NlApplied) { 0 });
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "raising bridge %s", j->bridge);

        j->gateway_ifindex = j->bridge_ifindex;
        if (j->extra.name[0]) {
                j->extra.bridge_ifindex = j->bridge_ifindex;
                j->extra.mtu = j->mtu;
                r = extra_link_ensure(&j->extra, w, &j->extra_ifindex, e);
                if (r < 0)
                        return r;
                if (j->kind == NET_KIND_BRIDGE)
                        j->gateway_ifindex = j->extra_ifindex;
        }
        if (j->bridge_created && j->is_gateway && j->inet6)
                r = add_link_local(j, w, e);
        if (r >= 0 && j->n_gateways > 0)
                r = check_bridge_addresses(j, w, e);
        for (size_t i = 0; i < j->n_gateways && r >= 0; i++) {
                NlOp add = { .type = NL_ADDR_ADD, .what = "add the gateway address" };
                add.addr.ifindex = (int32_t) j->gateway_ifindex;
                add.addr.address = j->gateways[i];
                r = kernel_apply(w->host, &add, 1, &(NlApplied) { 0 });
                if (r < 0)
                        return error_set_errnof(e, ERROR_KERNEL, r, "adding %s to bridge %s",
                                                IN_PREFIX_STR(&j->gateways[i]), j->bridge);
        }
        return r;
}

/* A host that forwards IPv6 stops listening to routers unless accept_ra is 2: an uplink that got its
 * default route from one would lose it. */
static int keep_router_advertisements(WorkerContext *w, Error *e) {
        NlDump d = { 0 };
        int r = kernel_dump(w->host, NL_DUMP_LINKS | NL_DUMP_ROUTES, &d);

        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's routes");
        for (size_t i = 0; i < d.n_routes && r >= 0; i++) {
                const NlRoute *route = &d.routes[i];
                const NlLink *link = link_by_index(&d, route->ifindex);
                PlanSysctl s = { .value = "2", .optional = true };

                if (route->protocol != RTPROT_RA || route->dst.length != 0 || !link ||
                    route->dst.address.family != AF_INET6)
                        continue;
                snprintf(s.name, sizeof(s.name), "ipv6/conf/%s/accept_ra", link->name);
                r = host_sysctl_write(&s, e);
                if (r >= 0)
                        log_notice("%s keeps its default route from router advertisements: accept_ra=2",
                                   link->name);
        }
        kernel_dump_clear(&d);
        return r;
}

static int enable_forwarding(WorkerContext *w, bool inet, bool inet6, Error *e) {
        int r = 0;

        if (inet)
                r = host_sysctl_write(&(PlanSysctl) { .name = "ipv4/ip_forward", .value = "1" }, e);
        if (r < 0 || !inet6)
                return r;
        r = keep_router_advertisements(w, e);
        if (r < 0)
                return r;
        return host_sysctl_write(&(PlanSysctl) { .name = "ipv6/conf/all/forwarding", .value = "1" },
                                 e);
}

int network_enable_forwarding(WorkerContext *w, const AttachmentSpec *s, Error *e) {
        if (!kind_is_routed(s->kind) && !s->is_gateway)
                return 0;
        return enable_forwarding(w, spec_has_family(s, AF_INET), spec_has_family(s, AF_INET6), e);
}

/* ---- an interface that answers for its sandboxes ----------------------------------------------- */

/* It would answer ARP for whatever the host has a route to by another link, its default route too, were not
 * the addresses of its own wire on it: a wire's addresses are in the subnet of an address that it has. */
static int check_shared_subnets(const EnsureJob *j, WorkerContext *w, const NlLink *nic, Error *e) {
        NlDump d = { 0 };

        int r = kernel_dump(w->host, NL_DUMP_ADDRS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's addresses");
        for (size_t i = 0; i < j->n_shared && r >= 0; i++) {
                bool inside = false;

                for (size_t k = 0; k < d.n_addrs; k++)
                        inside |= d.addrs[k].ifindex == nic->ifindex &&
                                  in_prefix_contains(&d.addrs[k].address, &j->shared[i]);
                if (!inside)
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "ipAddresses: %s is in the subnet of no address of interface %s, "
                                       "which is to answer for it; give the interface its own address "
                                       "(ip address add)",
                                       IN_ADDR_STR(&j->shared[i]), nic->name);
        }
        kernel_dump_clear(&d);
        return r;
}

static int share_nic(const EnsureJob *j, WorkerContext *w, Error *e) {
        const NetLinkConf *l = &j->extra.link;
        bool by_mac = !mac_is_zero(&l->master_mac);
        const char *wanted = by_mac ? MAC_STR(&l->master_mac) : l->master;
        NlLink nic;

        int r = by_mac ? nic_find_by_mac(w->host, &l->master_mac, &nic)
                       : kernel_get_link(w->host, l->master, &nic);
        if (r == -ENODEV)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: \"%s\": no interface of the host is that",
                                  by_mac ? "eniMACAddress" : "eniName", wanted);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for interface %s", wanted);
        r = check_shared_subnets(j, w, &nic, e);
        /* Without a delay nobody waits for the first packet. */
        PlanSysctl delay = { .value = "0", .optional = true }, arp = { .value = "1" };
        snprintf(delay.name, sizeof(delay.name), "ipv4/neigh/%s/proxy_delay", nic.name);
        snprintf(arp.name, sizeof(arp.name), "ipv4/conf/%s/proxy_arp", nic.name);
        if (r >= 0)
                r = host_sysctl_write(&delay, e);
        return r < 0 ? r : host_sysctl_write(&arp, e);
}

static int ensure_make(Job *job, WorkerContext *w, Error *e) {
        EnsureJob *j = (EnsureJob *) job;

        if (kind_has_bridge(j->kind)) {
                int r = bridge_setup(j, w, e);
                if (r < 0)
                        return r;
        }
        if (j->shares_nic) {
                int r = share_nic(j, w, e);
                if (r < 0)
                        return r;
        }
        if (!kind_is_routed(j->kind) && !j->is_gateway)
                return 0;
        return enable_forwarding(w, j->inet, j->inet6, e);
}

static void ensure_end(EnsureJob *j, int r, const Error *e) {
        Network *n = network_find(j->manager, j->network);

        if (n && r >= 0) {
                n->bridge_ifindex = j->bridge_ifindex;
                n->extra_ifindex = j->extra_ifindex;
                n->bridge_mtu = j->bridge_mtu;
                n->bridge_mac = j->bridge_mac;
                n->node4 = j->node4;
                n->node6 = j->node6;
                if (!in_addr_equal(&n->node4, &n->manager->node4) ||
                    !in_addr_equal(&n->node6, &n->manager->node6))
                        manager_update_firewall_config(n->manager);
        }
        if (n)
                network_ensured(n, r, e);
        ensure_job_free(j);
}

static void ensure_made(Task *task) {
        ensure_end((EnsureJob *) task, task->r, &task->error);
}

/* The row says that the bridge is ours before the kernel has it. */
static void ensure_stored(int r, const Error *e, void *userdata) {
        EnsureJob *j = userdata;

        if (r < 0) {
                ensure_end(j, r, e);
                return;
        }
        j->job.run = ensure_make;
        j->job.task.deliver = ensure_made;
        workers_submit_next(j->manager->workers, &j->job);
}

static void ensure_looked(Task *task) {
        EnsureJob *j = (EnsureJob *) task;
        Network *n = network_find(j->manager, j->network);
        Error error = ERROR_NULL;

        if (task->r < 0 || !n) {
                ensure_end(j, task->r, &task->error);
                return;
        }
        n->mtu = j->mtu;
        if (kind_has_bridge(n->conf->kind) && !j->bridge_exists) {
                n->bridge_created = j->bridge_created = true;
                if (mac_is_zero(&n->bridge_mac))
                        (void) mac_random(&n->bridge_mac);
                j->bridge_mac = n->bridge_mac;
        }
        int r = network_store(n, ensure_stored, j);
        if (r < 0)
                ensure_end(j, error_oom(&error), &error);
        error_clear(&error);
}

static int add_range(EnsureJob *j, const NetRange *range) {
        InPrefix *s = reallocarray(j->subnets, j->n_subnets + 1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        j->subnets = s;
        s[j->n_subnets++] = range->subnet;
        if (range->subnet.address.family == AF_INET)
                j->inet = true;
        else
                j->inet6 = true;
        if (!j->is_gateway)
                return 0;

        InPrefix gw = { .address = range->gateway, .length = range->subnet.length };
        for (size_t i = 0; i < j->n_gateways; i++)
                if (in_addr_equal(&j->gateways[i].address, &gw.address))
                        return 0;
        InPrefix *g = reallocarray(j->gateways, j->n_gateways + 1, sizeof(*g));
        if (!g)
                return -ENOMEM;
        j->gateways = g;
        g[j->n_gateways++] = gw;
        return 0;
}

static int add_shared(EnsureJob *j, const NetConf *c) {
        j->shared = new0(InAddr, c->n_addresses + 1);
        if (!j->shared)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_addresses; i++)
                j->shared[j->n_shared++] = c->addresses[i].address.address;
        return 0;
}

static EnsureJob *ensure_job_new(const Network *n) {
        EnsureJob *j = new0(EnsureJob, 1);
        if (!j)
                return NULL;

        const NetConf *c = n->conf;
        j->manager = n->manager;
        j->kind = c->kind;
        j->group = n->group;
        j->is_gateway = kind_has_bridge(c->kind) && c->is_gateway;
        j->own_range = network_shares_host_pool(c);
        j->promisc = c->promisc;
        j->force_address = c->force_address;
        j->mtu = c->mtu ? c->mtu : n->mtu;
        /* The reference plugins leave it at what the kernel gives to a link. */
        if (j->mtu == 0 && c->plugin != NET_PLUGIN_NETMGR && c->plugin != NET_PLUGIN_VXLAN)
                j->mtu = MTU_DEFAULT;
        j->bridge_created = n->bridge_created;
        j->bridge_mac = n->bridge_mac;
        j->node4 = n->manager->conf.node_address4;
        j->node6 = n->manager->conf.node_address6;
        snprintf(j->network, sizeof(j->network), "%s", n->name);
        memcpy(j->bridge, n->bridge, sizeof(j->bridge));
        j->extra = (ExtraLink) { .kind = c->kind, .link = c->link };
        network_extra_name(n, j->extra.name);
        j->shares_nic = c->plugin == NET_PLUGIN_VPC_BRIDGE;
        if (j->shares_nic && add_shared(j, c) < 0) {
                ensure_job_free(j);
                return NULL;
        }
        for (size_t i = 0; i < c->n_sets; i++)
                for (size_t k = 0; k < c->sets[i].n_ranges; k++)
                        if (add_range(j, &c->sets[i].ranges[k]) < 0) {
                                ensure_job_free(j);
                                return NULL;
                        }
        return j;
}

int network_ensure_start(Network *n, Error *e) {
        Error error = ERROR_NULL;

        n->state = NETWORK_ENSURING;
        if (n->conf->kind == NET_KIND_LOOPBACK || n->conf->kind == NET_KIND_FOREIGN) {
                /* Nothing in the kernel; the row goes first in the committer's queue. */
                int r = n->stored ? 0 : network_store(n, NULL, NULL);
                network_ensured(n, r < 0 ? error_oom(&error) : 0, &error);
                error_clear(&error);
                return 0;
        }
        EnsureJob *j = ensure_job_new(n);
        if (!j) {
                network_ensured(n, error_oom(&error), &error);
                error_clear(&error);
                return error_oom(e);
        }
        j->job.run = ensure_look;
        j->job.task.deliver = ensure_looked;
        workers_submit_next(n->manager->workers, &j->job);
        return 0;
}
