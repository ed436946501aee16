/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One source of scenarios, two kernels: what plans rely on must hold in the kernel in memory and in
 * the real one. Each scenario runs in a child process with a fresh host and a fresh pod netns; a
 * child that may not have namespaces reports a skip with its reason.
 */

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "nl/monitor.h"
#include "nl/nl-fake.h"
#include "nl/nl-internal.h"

#define EXIT_SKIP 77

/* In the child there is no cmocka: the first surprise ends it. */
#define EXPECT_INT(found, wanted)                                                                  \
        do {                                                                                       \
                long long _f = (long long) (found), _w = (long long) (wanted);                     \
                if (_f != _w) {                                                                    \
                        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__,       \
                                #found, _f, _w);                                                   \
                        _exit(1);                                                                  \
                }                                                                                  \
        } while (false)
#define EXPECT(condition) EXPECT_INT(!!(condition), 1)

typedef struct World {
        FakeKernel *fake; /* NULL: the real one */
        FakeNetns *fake_pod;
        NlSocket *host, *pod;
        int pod_netns;
} World;

static const MacAddr host_mac = { { 2, 0, 0, 0, 0, 1 } }, pod_mac = { { 2, 0, 0, 0, 0, 2 } };

static InAddr address(const char *s) {
        InAddr a;
        EXPECT_INT(in_addr_parse(s, &a), 0);
        return a;
}

static InPrefix prefix(const char *s) {
        InPrefix p;
        EXPECT_INT(in_prefix_parse(s, &p), 0);
        return p;
}

/* ---- ops ----------------------------------------------------------------------------------------- */

static NlOp veth(const World *w, const char *name, const char *peer) {
        NlOp op = { .type = NL_VETH_ADD, .what = "create the veth pair" };

        snprintf(op.veth.name, sizeof(op.veth.name), "%s", name);
        snprintf(op.veth.peer, sizeof(op.veth.peer), "%s", peer);
        op.veth.mac = host_mac;
        op.veth.peer_mac = pod_mac;
        op.veth.mtu = 1400;
        op.veth.group = 7;
        op.veth.peer_netns_fd = w->pod_netns;
        return op;
}

static NlOp bridge(const char *name) {
        NlOp op = { .type = NL_BRIDGE_ADD, .what = "create the bridge" };

        snprintf(op.bridge.name, sizeof(op.bridge.name), "%s", name);
        op.bridge.mac = host_mac;
        return op;
}

static NlOp set(const char *name, NlLinkMask mask) {
        NlOp op = { .type = NL_LINK_SET, .what = "set the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        op.link.mask = mask;
        op.link.up = op.link.hairpin = true;
        op.link.rp_filter = 1;
        return op;
}

static NlOp del(const char *name) {
        NlOp op = { .type = NL_LINK_DEL, .what = "delete the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        return op;
}

static NlOp addr(NlOpType type, int32_t ifindex, const char *cidr) {
        NlOp op = { .type = type, .what = "an address" };

        op.addr.ifindex = ifindex;
        op.addr.address = prefix(cidr);
        if (in_addr_is_link_local(&op.addr.address.address))
                op.addr.scope = RT_SCOPE_LINK;
        return op;
}

static NlOp route(NlOpType type, int32_t ifindex, const char *dst, const char *gw, bool onlink) {
        NlOp op = { .type = type, .what = "a route" };

        op.route.ifindex = ifindex;
        op.route.dst = prefix(dst);
        if (gw)
                op.route.gw = address(gw);
        else if (op.route.dst.address.family == AF_INET)
                op.route.scope = RT_SCOPE_LINK;
        op.route.onlink = onlink;
        return op;
}

static NlOp neigh(NlOpType type, int32_t ifindex, const char *a) {
        NlOp op = { .type = type, .what = "a neighbour" };

        op.neigh.ifindex = ifindex;
        op.neigh.address = address(a);
        op.neigh.mac = host_mac;
        return op;
}

static int apply_one(NlSocket *s, NlOp op) {
        NlApplied applied;
        return kernel_apply(s, &op, 1, &applied);
}

/* ---- what is there ------------------------------------------------------------------------------- */

static const NlRoute *find_route(const NlDump *d, const char *dst) {
        InPrefix p = prefix(dst);

        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].dst.length == p.length &&
                    in_addr_equal(&d->routes[i].dst.address, &p.address))
                        return &d->routes[i];
        return NULL;
}

static const NlAddr *find_addr(const NlDump *d, uint32_t ifindex, const char *cidr) {
        InPrefix p = prefix(cidr);

        for (size_t i = 0; i < d->n_addrs; i++)
                if (d->addrs[i].ifindex == ifindex && d->addrs[i].address.length == p.length &&
                    in_addr_equal(&d->addrs[i].address.address, &p.address))
                        return &d->addrs[i];
        return NULL;
}

static const NlNeigh *find_neigh(const NlDump *d, const char *a) {
        InAddr wanted = address(a);

        for (size_t i = 0; i < d->n_neighs; i++)
                if (in_addr_equal(&d->neighs[i].address, &wanted))
                        return &d->neighs[i];
        return NULL;
}

static NlDump dump(NlSocket *s) {
        NlDump d = { 0 };
        EXPECT_INT(kernel_dump(s, NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_NEIGHS,
                               &d),
                   0);
        return d;
}

static NlLink link_of(NlSocket *s, const char *name) {
        NlLink l = { 0 };
        EXPECT_INT(kernel_get_link(s, name, &l), 0);
        return l;
}

/* ---- scenarios ----------------------------------------------------------------------------------- */

static NlApplied attach(World *w) {
        NlOp ops[] = { veth(w, "nmg1", "eth0"),
                       set("nmg1", NL_LINK_ADDRGEN_NONE | NL_LINK_IPV4_CONF) };
        NlApplied applied;

        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), 0);
        EXPECT(applied.host_ifindex > 0 && applied.pod_ifindex > 0);
        return applied;
}

static void finish_routed(World *w, NlApplied at) {
        NlOp pod[] = {
                set("lo", NL_LINK_UP),
                set("eth0", NL_LINK_ADDRGEN_NONE),
                set("eth0", NL_LINK_UP),
                addr(NL_ADDR_ADD, NL_POD_END, "10.97.0.2/32"),
                addr(NL_ADDR_ADD, NL_POD_END, "fd97::2/128"),
                neigh(NL_NEIGH_ADD, NL_POD_END, "169.254.1.1"),
                neigh(NL_NEIGH_ADD, NL_POD_END, "fe80::1"),
                route(NL_ROUTE_ADD, NL_POD_END, "0.0.0.0/0", "169.254.1.1", true),
                route(NL_ROUTE_ADD, NL_POD_END, "::/0", "fe80::1", true),
        };
        NlOp host[] = {
                set("nmg1", NL_LINK_UP),
                addr(NL_ADDR_ADD, NL_HOST_END, "fe80::1/64"),
                route(NL_ROUTE_ADD, NL_HOST_END, "10.97.0.2/32", NULL, false),
                route(NL_ROUTE_ADD, NL_HOST_END, "fd97::2/128", NULL, false),
                neigh(NL_NEIGH_ADD, NL_HOST_END, "10.97.0.2"),
                neigh(NL_NEIGH_ADD, NL_HOST_END, "fd97::2"),
        };
        NlApplied applied;

        nl_ops_resolve(pod, ELEMENTSOF(pod), &at);
        nl_ops_resolve(host, ELEMENTSOF(host), &at);
        EXPECT_INT(kernel_apply(w->pod, pod, ELEMENTSOF(pod), &applied), 0);
        EXPECT_INT(kernel_apply(w->host, host, ELEMENTSOF(host), &applied), 0);
}

static void expect_routed(World *w, NlApplied at) {
        NlDump pod = dump(w->pod), host = dump(w->host);
        InAddr dst = address("10.97.0.2"), source;
        uint32_t ifindex = 0;

        EXPECT(find_addr(&pod, at.pod_ifindex, "10.97.0.2/32"));
        const NlAddr *six = find_addr(&pod, at.pod_ifindex, "fd97::2/128");
        EXPECT(six && (six->flags & IFA_F_NODAD) && (six->flags & IFA_F_PERMANENT));
        const NlRoute *way = find_route(&pod, "0.0.0.0/0");
        EXPECT(way && way->gw.family == AF_INET && way->protocol == RTPROT_STATIC);
        EXPECT_INT(way->ifindex, at.pod_ifindex);
        way = find_route(&pod, "::/0");
        EXPECT(way && way->gw.family == AF_INET6);
        const NlNeigh *gate = find_neigh(&pod, "169.254.1.1");
        EXPECT(gate && gate->state == NUD_PERMANENT && memcmp(&gate->mac, &host_mac, 6) == 0);
        EXPECT(find_neigh(&pod, "fe80::1") && find_neigh(&host, "fd97::2"));
        EXPECT(find_addr(&host, at.host_ifindex, "fe80::1/64"));
        way = find_route(&host, "10.97.0.2/32");
        EXPECT(way && way->scope == RT_SCOPE_LINK);
        EXPECT_INT(kernel_get_route(w->host, &dst, &ifindex, &source), 0);
        EXPECT_INT(ifindex, at.host_ifindex);
        kernel_dump_clear(&pod);
        kernel_dump_clear(&host);
}

static void scenario_routed(World *w) {
        NlApplied at = attach(w);
        NlLink l = link_of(w->host, "nmg1");

        EXPECT_INT(l.ifindex, at.host_ifindex);
        EXPECT_INT(l.flags & IFF_UP, 0);
        EXPECT_INT(l.mtu, 1400);
        EXPECT_INT(l.group, 7);
        EXPECT_INT(l.link, at.pod_ifindex);
        EXPECT(streq(l.kind, "veth") && memcmp(&l.mac, &host_mac, 6) == 0);
        l = link_of(w->pod, "eth0");
        EXPECT_INT(l.ifindex, at.pod_ifindex);
        EXPECT_INT(l.link, at.host_ifindex);
        EXPECT(l.mtu == 1400 && memcmp(&l.mac, &pod_mac, 6) == 0);

        finish_routed(w, at);
        expect_routed(w, at);

        EXPECT_INT(apply_one(w->host, del("nmg1")), 0);
        EXPECT_INT(apply_one(w->host, del("nmg1")), -ENODEV);
        EXPECT_INT(kernel_get_link(w->pod, "eth0", &l), -ENODEV);
        EXPECT_INT(kernel_get_link(w->host, "nmg1", &l), -ENODEV);
        NlDump pod = dump(w->pod), host = dump(w->host);
        EXPECT(!find_route(&pod, "0.0.0.0/0") && !find_route(&host, "10.97.0.2/32"));
        EXPECT(!find_addr(&pod, at.pod_ifindex, "10.97.0.2/32") && !find_neigh(&host, "10.97.0.2"));
        kernel_dump_clear(&pod);
        kernel_dump_clear(&host);
}

static void scenario_links_refused(World *w) {
        NlApplied at = attach(w);
        NlLink l;

        EXPECT_INT(apply_one(w->host, veth(w, "nmg1", "eth1")), -EEXIST);
        EXPECT_INT(kernel_get_link(w->pod, "eth1", &l), -ENODEV);
        EXPECT_INT(apply_one(w->host, veth(w, "nmg2", "eth0")), -EEXIST);
        EXPECT_INT(kernel_get_link(w->host, "nmg2", &l), -ENODEV);
        NlOp orphan = veth(w, "nmg2", "eth1");
        orphan.veth.master_ifindex = 4711;
        EXPECT_INT(apply_one(w->host, orphan), -EINVAL);
        EXPECT_INT(kernel_get_link(w->host, "nmg2", &l), -ENODEV);
        EXPECT_INT(kernel_get_link(w->pod, "eth1", &l), -ENODEV);
        EXPECT_INT(apply_one(w->host, bridge("nmg1")), -EEXIST);
        EXPECT_INT(apply_one(w->host, set("nothing", NL_LINK_UP)), -ENODEV);
        EXPECT_INT(apply_one(w->host, set("nmg1", NL_LINK_HAIRPIN)), -EOPNOTSUPP);
        EXPECT_INT(apply_one(w->host, del("lo")), -EOPNOTSUPP);

        /* A group for a link that is gone must not become a change of the group's links. */
        NlOp gone = set("nothing", NL_LINK_GROUP | NL_LINK_UP);
        gone.link.group = 7;
        EXPECT_INT(apply_one(w->host, gone), -ENODEV);
        EXPECT_INT(link_of(w->host, "nmg1").flags & IFF_UP, 0);

        EXPECT_INT(apply_one(w->host, addr(NL_ADDR_ADD, NL_HOST_END, "10.97.0.1/24")), -EINVAL);
        EXPECT_INT(apply_one(w->host, (NlOp) { .type = NL_GROUP_DEL, .what = "" }), -EINVAL);
        EXPECT_INT(apply_one(w->host, (NlOp) { .type = _NL_OP_MAX, .what = "" }), -EINVAL);
        EXPECT_INT(apply_one(w->host,
                             addr(NL_ADDR_ADD, (int32_t) at.host_ifindex + 99, "10.97.0.1/24")),
                   -ENODEV);
}

static void scenario_addresses(World *w) {
        int32_t i = (int32_t) attach(w).pod_ifindex;

        /* Down: the address is taken, its network has no route yet. */
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, i, "10.97.1.2/24")), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, i, "10.97.1.2/24")), 0);
        NlDump d = dump(w->pod);
        EXPECT(find_addr(&d, (uint32_t) i, "10.97.1.2/24") && !find_route(&d, "10.97.1.0/24"));
        kernel_dump_clear(&d);

        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        NlOp bare = addr(NL_ADDR_ADD, i, "10.97.2.2/24");
        bare.addr.noprefixroute = true;
        EXPECT_INT(apply_one(w->pod, bare), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, i, "fd97::2/64")), 0);
        d = dump(w->pod);
        const NlRoute *own = find_route(&d, "10.97.1.0/24");
        EXPECT(own && own->protocol == RTPROT_KERNEL && own->scope == RT_SCOPE_LINK);
        EXPECT(!find_route(&d, "10.97.2.0/24") && find_route(&d, "fd97::/64"));
        kernel_dump_clear(&d);

        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_DEL, i, "10.97.1.3/24")), -EADDRNOTAVAIL);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "10.98.0.0/16", "10.97.1.1", false)),
                   0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_DEL, i, "10.97.2.2/24")), 0);
        d = dump(w->pod);
        EXPECT(find_route(&d, "10.98.0.0/16"));
        kernel_dump_clear(&d);
        /* With the last IPv4 address go the IPv4 routes. */
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_DEL, i, "10.97.1.2/24")), 0);
        d = dump(w->pod);
        EXPECT(!find_route(&d, "10.98.0.0/16") && !find_route(&d, "10.97.1.0/24") &&
               find_route(&d, "fd97::/64"));
        kernel_dump_clear(&d);
}

static void scenario_routes(World *w) {
        int32_t i = (int32_t) attach(w).pod_ifindex;

        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "10.98.0.0/16", "10.97.1.1", true)),
                   -ENETDOWN);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "fd98::/64", NULL, false)), -ENETDOWN);
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_ADDRGEN_NONE)), 0);
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "10.98.0.0/16", "10.97.1.1", false)),
                   -ENETUNREACH);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "fd98::/64", "fd97::1", false)),
                   -EHOSTUNREACH);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, i, "10.97.1.0/24", NULL, false)), 0);
        NlOp way = route(NL_ROUTE_ADD, i, "10.98.0.0/16", "10.97.1.1", false);
        way.route.mtu = 1300;
        way.route.advmss = 1200;
        way.route.priority = 50;
        EXPECT_INT(apply_one(w->pod, way), 0);
        EXPECT_INT(apply_one(w->pod, way), -EEXIST);
        way.route.replace = true;
        way.route.mtu = 1301;
        EXPECT_INT(apply_one(w->pod, way), 0);
        NlOp other = route(NL_ROUTE_ADD, i, "10.99.0.0/16", NULL, false);
        other.route.table = 1000;
        EXPECT_INT(apply_one(w->pod, other), 0);
        other.route.prefsrc = address("10.1.1.1");
        other.route.priority = 1;
        EXPECT_INT(apply_one(w->pod, other), -EINVAL);

        NlDump d = dump(w->pod);
        const NlRoute *r = find_route(&d, "10.98.0.0/16");
        EXPECT(r && r->mtu == 1301 && r->advmss == 1200 && r->priority == 50);
        EXPECT(!find_route(&d, "10.99.0.0/16"));
        kernel_dump_clear(&d);
        EXPECT_INT(kernel_dump(w->pod, NL_DUMP_ROUTES | NL_DUMP_ALL_TABLES, &d), 0);
        r = find_route(&d, "10.99.0.0/16");
        EXPECT(r && r->table == 1000);
        kernel_dump_clear(&d);

        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_DEL, i, "10.97.1.0/24", NULL, false)), 0);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_DEL, i, "10.97.1.0/24", NULL, false)), -ESRCH);
        InAddr nowhere = address("192.0.2.1"), source;
        uint32_t ifindex;
        EXPECT_INT(kernel_get_route(w->pod, &nowhere, &ifindex, &source), -ENETUNREACH);
        EXPECT_INT(apply_one(w->pod, neigh(NL_NEIGH_ADD, i, "10.97.1.9")), 0);
        EXPECT_INT(apply_one(w->pod, neigh(NL_NEIGH_ADD, i, "10.97.1.9")), 0);
        EXPECT_INT(apply_one(w->pod, neigh(NL_NEIGH_DEL, i, "10.97.1.9")), 0);
        EXPECT_INT(apply_one(w->pod, neigh(NL_NEIGH_DEL, i, "10.97.1.8")), -ENOENT);
}

static void scenario_bridge(World *w) {
        EXPECT_INT(apply_one(w->host, bridge("nmb-lab")), 0);
        EXPECT_INT(apply_one(w->host, bridge("nmb-lab")), -EEXIST);
        NlLink br = link_of(w->host, "nmb-lab");
        EXPECT(streq(br.kind, "bridge") && memcmp(&br.mac, &host_mac, 6) == 0);

        NlOp port = veth(w, "nmg1", "eth0");
        port.veth.master_ifindex = br.ifindex;
        NlOp ops[] = {
                set("nmb-lab", NL_LINK_UP | NL_LINK_PROMISC),
                addr(NL_ADDR_ADD, (int32_t) br.ifindex, "10.97.1.1/24"),
                port,
                set("nmg1", NL_LINK_ADDRGEN_NONE | NL_LINK_HAIRPIN),
                set("nmg1", NL_LINK_UP | NL_LINK_MTU | NL_LINK_MAC),
        };
        ops[0].link.promisc = true;
        ops[4].link.mtu = 1350;
        ops[4].link.mac = pod_mac;
        NlApplied applied;
        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), 0);
        EXPECT_INT(link_of(w->host, "nmb-lab").flags & (IFF_UP | IFF_PROMISC),
                   IFF_UP | IFF_PROMISC);
        NlLink l = link_of(w->host, "nmg1");
        EXPECT_INT(l.master, br.ifindex);
        EXPECT(l.hairpin);
        EXPECT(l.mtu == 1350 && (l.flags & IFF_UP) && memcmp(&l.mac, &pod_mac, 6) == 0);

        NlOp leave = set("nmg1", NL_LINK_MASTER);
        EXPECT_INT(apply_one(w->host, leave), 0);
        EXPECT_INT(link_of(w->host, "nmg1").master, 0);
        leave.link.master_ifindex = br.ifindex;
        EXPECT_INT(apply_one(w->host, leave), 0);
        EXPECT_INT(apply_one(w->host, del("nmb-lab")), 0);
        EXPECT_INT(link_of(w->host, "nmg1").master, 0);
}

/* What the batch says of a failure: which op, and that those after it were done. */
static void scenario_batch(World *w) {
        NlOp ops[300];
        NlApplied applied;

        attach(w);
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        int32_t i = (int32_t) link_of(w->pod, "eth0").ifindex;

        NlOp mixed[] = {
                addr(NL_ADDR_ADD, i, "10.97.1.2/24"),
                set("nothing", NL_LINK_UP),
                route(NL_ROUTE_ADD, i, "10.98.0.0/16", "10.77.1.1", false),
                addr(NL_ADDR_ADD, i, "10.97.2.2/24"),
        };
        EXPECT_INT(kernel_apply(w->pod, mixed, ELEMENTSOF(mixed), &applied), -ENODEV);
        EXPECT_INT(applied.failed, 1);
        NlDump d = dump(w->pod);
        EXPECT(find_addr(&d, (uint32_t) i, "10.97.2.2/24"));
        kernel_dump_clear(&d);

        /* A placeholder keeps the whole array back. */
        mixed[0] = addr(NL_ADDR_DEL, i, "10.97.2.2/24");
        mixed[1] = addr(NL_ADDR_ADD, NL_POD_END, "10.97.3.2/24");
        EXPECT_INT(kernel_apply(w->pod, mixed, ELEMENTSOF(mixed), &applied), -EINVAL);
        EXPECT_INT(applied.failed, 1);
        d = dump(w->pod);
        EXPECT(find_addr(&d, (uint32_t) i, "10.97.2.2/24"));
        kernel_dump_clear(&d);

        /* More than one send. */
        for (size_t n = 0; n < ELEMENTSOF(ops); n++) {
                char dst[IN_PREFIX_STR_MAX];
                snprintf(dst, sizeof(dst), "10.90.%zu.%zu/32", n / 250, n % 250);
                ops[n] = route(NL_ROUTE_ADD, i, dst, NULL, false);
        }
        EXPECT_INT(kernel_apply(w->pod, ops, ELEMENTSOF(ops), &applied), 0);
        EXPECT_INT(kernel_apply(w->pod, ops + 200, 1, &applied), -EEXIST);
        d = dump(w->pod);
        EXPECT(find_route(&d, "10.90.0.0/32") && find_route(&d, "10.90.1.49/32"));
        kernel_dump_clear(&d);
        for (size_t n = 0; n < ELEMENTSOF(ops); n++)
                ops[n].type = NL_ROUTE_DEL;
        EXPECT_INT(kernel_apply(w->pod, ops + 200, 1, &applied), 0);
        EXPECT_INT(kernel_apply(w->pod, ops, ELEMENTSOF(ops), &applied), -ESRCH);
        EXPECT_INT(applied.failed, 200);
        /* All of one send failing: every answer fits. */
        EXPECT_INT(kernel_apply(w->pod, ops, 128, &applied), -ESRCH);
        EXPECT_INT(applied.failed, 0);
        EXPECT_INT(kernel_apply(w->pod, ops, 0, &applied), 0);
}

static void scenario_group(World *w) {
        NlOp ops[4], wipe = { .type = NL_GROUP_DEL, .what = "delete the links", .group = 9 };
        NlApplied applied;
        NlLink l;

        EXPECT_INT(apply_one(w->host, wipe), -ENODEV);
        for (size_t i = 0; i < ELEMENTSOF(ops); i++) {
                char host[16], pod[16];
                snprintf(host, sizeof(host), "nmg%zu", i);
                snprintf(pod, sizeof(pod), "eth%zu", i);
                ops[i] = veth(w, host, pod);
        }
        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), 0);
        EXPECT_INT(applied.host_ifindex, link_of(w->host, "nmg3").ifindex);
        for (size_t i = 0; i < 3; i++) {
                NlOp collect = set(ops[i].veth.name, NL_LINK_GROUP | NL_LINK_UP);
                collect.link.group = 9;
                collect.link.up = false;
                EXPECT_INT(apply_one(w->host, collect), 0);
        }
        EXPECT_INT(apply_one(w->host, wipe), 0);
        EXPECT_INT(kernel_get_link(w->host, "nmg0", &l), -ENODEV);
        EXPECT_INT(kernel_get_link(w->pod, "eth2", &l), -ENODEV);
        EXPECT_INT(kernel_get_link(w->pod, "eth3", &l), 0);
}

/* ---- of one kernel only -------------------------------------------------------------------------- */

static void scenario_faults(World *w) {
        NlOp ops[] = { veth(w, "nmg1", "eth0"), bridge("nmb-a"), bridge("nmb-b") };
        NlApplied applied;
        NlLink l;

        fake_kernel_fail(w->fake, 1, ENOSPC);
        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), -ENOSPC);
        EXPECT_INT(applied.failed, 1);
        EXPECT_INT(fake_kernel_count(w->fake), 3);
        EXPECT_INT(kernel_get_link(w->host, "nmb-a", &l), -ENODEV);
        EXPECT_INT(kernel_get_link(w->host, "nmb-b", &l), 0);
        EXPECT_INT(apply_one(w->host, bridge("nmb-a")), 0);
        fake_netns_kill(w->fake_pod);
        EXPECT_INT(kernel_get_link(w->host, "nmg1", &l), -ENODEV);
}

static char *sysctl(const char *name) {
        char path[128];
        char *text;
        size_t size;

        snprintf(path, sizeof(path), "/proc/sys/net/%s", name);
        EXPECT_INT(file_read_full(AT_FDCWD, path, 64, &text, &size), 0);
        return text;
}

static void scenario_conf(World *w) {
        attach(w);
        EXPECT(streq(sysctl("ipv6/conf/nmg1/addr_gen_mode"), "1\n"));
        EXPECT(streq(sysctl("ipv4/conf/nmg1/accept_redirects"), "0\n"));
        EXPECT(streq(sysctl("ipv4/conf/nmg1/send_redirects"), "0\n"));
        EXPECT(streq(sysctl("ipv4/conf/nmg1/rp_filter"), "1\n"));

        NlApplied applied;
        NlOp none = set("nothing", NL_LINK_UP), wrong = set("nmg1", NL_LINK_MTU);
        wrong.link.mtu = 10;
        EXPECT_INT(kernel_apply(w->host, &wrong, 1, &applied), -EINVAL);
        EXPECT(applied.message[0]); /* "mtu less than device minimum" */
        EXPECT_INT(kernel_apply(w->host, &none, 1, &applied), -ENODEV);
}

typedef struct Seen {
        uint32_t deleted[4];
        size_t n;
        uint32_t watched; /* whose stripping is counted */
        unsigned n_stripped, n_neighs;
        sd_event *event;
} Seen;

static void on_deleted(uint32_t ifindex, const char *name, void *userdata) {
        Seen *s = userdata;

        EXPECT(s->n < ELEMENTSOF(s->deleted) && name[0]);
        s->deleted[s->n++] = ifindex;
        if (streq(name, "nmb-lab"))
                EXPECT(sd_event_exit(s->event, 0) >= 0);
}

static void on_stripped(uint32_t ifindex, void *userdata) {
        Seen *s = userdata;
        s->n_stripped += ifindex == s->watched;
}

static void on_neigh(uint32_t ifindex, void *userdata) {
        Seen *s = userdata;
        s->n_neighs += ifindex == s->watched;
}

static void on_lost(void *userdata) {
        EXPECT(false);
}

static void scenario_monitor(World *w) {
        const NlMonitorCallbacks callbacks = { .link_deleted = on_deleted,
                                               .link_stripped = on_stripped,
                                               .neigh_deleted = on_neigh,
                                               .lost = on_lost };
        Seen seen = { .n = 0 };
        NlMonitor *m;

        EXPECT(sd_event_new(&seen.event) >= 0);
        EXPECT_INT(nl_monitor_new(seen.event, &callbacks, &seen, &m), 0);
        EXPECT_INT(apply_one(w->host, bridge("nmb-lab")), 0);
        uint32_t bridge_ifindex = link_of(w->host, "nmb-lab").ifindex;
        NlOp port = veth(w, "nmg1", "eth0"), leave = set("nmg1", NL_LINK_MASTER);
        port.veth.master_ifindex = bridge_ifindex;
        EXPECT_INT(apply_one(w->host, port), 0);
        uint32_t port_ifindex = link_of(w->host, "nmg1").ifindex;
        /* What the bridge has learnt and forgets concerns nobody; and in what it told nothing is below. */
        seen.watched = port_ifindex;
        EXPECT(system("bridge fdb add 02:00:00:00:00:99 dev nmg1 master static && "
                      "bridge fdb del 02:00:00:00:00:99 dev nmg1 master && "
                      "ip neigh add 10.9.9.9 lladdr 02:00:00:00:00:99 dev nmg1 nud permanent && "
                      "ip neigh del 10.9.9.9 dev nmg1") == 0);
        while (sd_event_run(seen.event, 0) > 0)
                ;
        EXPECT_INT(seen.n_stripped, 0);
        EXPECT_INT(seen.n_neighs, 1);
        /* Leaving the bridge is not the end of the link. What appears is not told; setting it down is. */
        seen.watched = port_ifindex;
        NlOp up = set("nmg1", NL_LINK_UP), down = up;
        up.link.up = true;
        EXPECT_INT(apply_one(w->host, up), 0);
        EXPECT_INT(apply_one(w->host, down), 0);
        EXPECT_INT(apply_one(w->host, leave), 0);
        EXPECT_INT(apply_one(w->host, del("nmg1")), 0);
        EXPECT_INT(apply_one(w->host, del("nmb-lab")), 0);
        EXPECT_INT(sd_event_loop(seen.event), 0);
        EXPECT_INT(seen.n, 2);
        EXPECT(seen.n_stripped >= 2);
        EXPECT_INT(seen.deleted[0], port_ifindex);
        EXPECT_INT(seen.deleted[1], bridge_ifindex);
        nl_monitor_free(m);
        sd_event_unref(seen.event);
}

/* ---- running them -------------------------------------------------------------------------------- */

static void fake_world(World *w) {
        FakeNetns *host;

        EXPECT_INT(fake_kernel_new(&w->fake), 0);
        EXPECT_INT(fake_netns_new(w->fake, &host), 0);
        EXPECT_INT(fake_netns_new(w->fake, &w->fake_pod), 0);
        Kernel *k = fake_kernel_kernel(w->fake);
        EXPECT_INT(kernel_socket_from_fd(k, fake_netns_open(host), &w->host), 0);
        EXPECT_INT(kernel_socket_from_fd(k, fake_netns_open(w->fake_pod), &w->pod), 0);
        w->pod_netns = fake_netns_open(w->fake_pod);
}

static int enter_fresh_netns(NlSocket **ret) {
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                return -errno;
        EXPECT_INT(kernel_socket_from_fd(&kernel_real, kernel_open_fd(), ret), 0);
        return 0;
}

static void real_world(World *w) {
        int r = enter_fresh_netns(&w->pod);
        if (r < 0) {
                fprintf(stderr, "skipped: no network namespace for this test: %s\n", strerror(-r));
                _exit(EXIT_SKIP);
        }
        w->pod_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        EXPECT_INT(enter_fresh_netns(&w->host), 0);
}

static void run(void (*scenario)(World *w), bool real) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                World w = { 0 };
                (real ? real_world : fake_world)(&w);
                scenario(&w);
                kernel_socket_free(w.host);
                kernel_socket_free(w.pod);
                safe_close(w.pod_netns);
                fake_kernel_free(w.fake);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
                skip();
        assert_int_equal(status, 0);
}

#define BOTH(name)                                                                                 \
        static void test_fake_##name(void **state) {                                               \
                run(scenario_##name, false);                                                       \
        }                                                                                          \
        static void test_real_##name(void **state) {                                               \
                run(scenario_##name, true);                                                        \
        }
BOTH(routed)
BOTH(links_refused)
BOTH(addresses)
BOTH(routes)
BOTH(bridge)
BOTH(batch)
BOTH(group)

static void test_fake_faults(void **state) {
        run(scenario_faults, false);
}

static void test_real_conf(void **state) {
        run(scenario_conf, true);
}

static void test_real_monitor(void **state) {
        run(scenario_monitor, true);
}

/* Whatever a reply holds, its readers stay inside it. */
static void test_hostile_replies(void **state) {
        NlOp op = {
                .type = NL_BRIDGE_ADD, .what = "", .bridge.name = "nmb-lab", .bridge.mtu = 1500
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        NlLink l;
        NlAddr a;
        NlRoute r;
        NlNeigh n;

        assert_int_equal(nl_encode_op(&op, &m), 0);
        size_t size = nlmsg_hdr(m)->nlmsg_len;
        for (size_t cut = sizeof(struct nlmsghdr); cut <= size; cut++) {
                /* An exact copy, so that a sanitizer sees a read beyond it. */
                _cleanup_free_ struct nlmsghdr *h = malloc(cut);
                assert_non_null(h);
                memcpy(h, nlmsg_hdr(m), cut);
                h->nlmsg_len = (uint32_t) cut;
                const uint16_t types[] = { RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH };
                for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                        h->nlmsg_type = types[i];
                        int link = nl_parse_link(h, &l);
                        if (types[i] == RTM_NEWLINK && cut == size)
                                assert_int_equal(link, 0);
                        if (types[i] == RTM_NEWLINK && cut < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
                                assert_int_equal(link, -EBADMSG);
                        (void) nl_parse_addr(h, &a);
                        (void) nl_parse_route(h, &r);
                        (void) nl_parse_neigh(h, &n);
                }
        }
        assert_int_equal(nl_parse_link(nlmsg_hdr(m), &l), 0);
        assert_string_equal(l.name, "nmb-lab");
        assert_string_equal(l.kind, "bridge");
}

static void test_words(void **state) {
        NlOp op = { .type = NL_VETH_ADD,
                    .what = "create the veth pair",
                    .veth = { .name = "nmg1", .peer = "eth0" } };
        _cleanup_free_ char *a = nl_op_describe(&op), *b = NULL;

        assert_string_equal(a, "create the veth pair nmg1 - eth0");
        op = (NlOp) { .type = NL_NEIGH_ADD, .what = "add the entry" };
        op.neigh.address = address("10.97.0.2");
        b = nl_op_describe(&op);
        assert_string_equal(b, "add the entry 10.97.0.2");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_fake_routed),
                cmocka_unit_test(test_real_routed),
                cmocka_unit_test(test_fake_links_refused),
                cmocka_unit_test(test_real_links_refused),
                cmocka_unit_test(test_fake_addresses),
                cmocka_unit_test(test_real_addresses),
                cmocka_unit_test(test_fake_routes),
                cmocka_unit_test(test_real_routes),
                cmocka_unit_test(test_fake_bridge),
                cmocka_unit_test(test_real_bridge),
                cmocka_unit_test(test_fake_batch),
                cmocka_unit_test(test_real_batch),
                cmocka_unit_test(test_fake_group),
                cmocka_unit_test(test_real_group),
                cmocka_unit_test(test_fake_faults),
                cmocka_unit_test(test_real_conf),
                cmocka_unit_test(test_real_monitor),
                cmocka_unit_test(test_hostile_replies),
                cmocka_unit_test(test_words),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
