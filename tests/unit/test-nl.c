/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Veth pairs, bridges, addresses, routes and neighbours, in both kernels; see nl-world.h. */

#include <fcntl.h>
#include <linux/rtnetlink.h>
#include <net/if.h>

#include "nl-world.h"

#include "base/fd.h"
#include "nl/monitor.h"

/* ---- scenarios ----------------------------------------------------------------------------------- */

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
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
