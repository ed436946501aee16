/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Links of every kind that the interface plugins make, in both kernels; see nl-world.h. */

#include <linux/if_link.h>
#include <net/if.h>

#include "nl-world.h"

#include "nl/nl-internal.h"

/* ---- kinds --------------------------------------------------------------------------------------- */

/* Born in the pod under its final name; its index is known, and what it stands on takes it along. */
static void expect_born(World *w, NlOp op, const char *kind, const char *words) {
        NlApplied applied;

        EXPECT_INT(kernel_apply(w->host, &op, 1, &applied), 0);
        NlLink l = link_of(w->pod, "eth0");
        EXPECT_INT(applied.pod_ifindex, l.ifindex);
        EXPECT_INT(applied.host_ifindex, 0);
        EXPECT(streq(l.kind, kind));
        EXPECT_INT(l.link, op.newlink.link_ifindex);
        EXPECT(l.link_netnsid >= 0 || op.newlink.link_ifindex == 0);
        EXPECT_INT(l.flags & IFF_UP, 0);
        EXPECT(ip_says(w, true, "-d link show eth0", words));
        EXPECT_INT(apply_one(w->host, op), -EEXIST);
        expect_gone(w->host, "eth0");

        /* Here, under a name that only the pod has. */
        NlOp here = op;
        here.newlink.netns_fd = -EBADF;
        if (op.newlink.kind == NL_KIND_VLAN)
                here.newlink.vlan.id++;
        if (op.newlink.kind == NL_KIND_VXLAN)
                here.newlink.vxlan.vni++;
        EXPECT_INT(kernel_apply(w->host, &here, 1, &applied), 0);
        EXPECT_INT(applied.pod_ifindex, link_of(w->host, "eth0").ifindex);
        EXPECT_INT(link_of(w->host, "eth0").link_netnsid, -1);

        NlOp up[] = { set("", NL_LINK_UP), addr(NL_ADDR_ADD, NL_POD_END, "10.97.0.2/24") };
        up[0].link.ifindex = NL_POD_END;
        NlOp lower_up = set("nmb0", NL_LINK_UP);
        EXPECT_INT(apply_one(w->host, lower_up), 0);
        nl_ops_resolve(up, ELEMENTSOF(up), &(NlApplied) { .pod_ifindex = l.ifindex });
        EXPECT_INT(kernel_apply(w->pod, up, ELEMENTSOF(up), &applied), 0);
        EXPECT(link_of(w->pod, "eth0").flags & IFF_UP);

        /* What stands on a link goes with it, wherever it is. */
        EXPECT_INT(apply_one(w->host, del("nmb0")), 0);
        if (op.newlink.link_ifindex) {
                expect_gone(w->pod, "eth0");
                expect_gone(w->host, "eth0");
        } else {
                EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
                EXPECT_INT(apply_one(w->host, del("eth0")), 0);
        }
}

static void macvlan(World *w) {
        NlOp op = newlink(NL_KIND_MACVLAN, "eth0", w->pod_netns, make_bridge(w, "nmb0"));

        op.newlink.macvlan.mode = MACVLAN_MODE_PRIVATE;
        op.newlink.macvlan.bcqueuelen = 77;
        op.newlink.macvlan.has_bcqueuelen = true;
        op.newlink.mac = pod_mac;
        op.newlink.has_mac = true;
        op.newlink.mtu = 1400;
        EXPECT_INT(apply_one(w->host, op), 0);
        NlLink l = link_of(w->pod, "eth0");
        EXPECT_INT(l.mode, MACVLAN_MODE_PRIVATE);
        EXPECT(l.mtu == 1400 && memcmp(&l.mac, &pod_mac, 6) == 0);
        EXPECT(ip_says(w, true, "-d link show eth0", "macvlan mode private bcqueuelen 77"));
        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        op.newlink.mtu = 0;
        op.newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
        expect_born(w, op, "macvlan", "macvlan mode bridge");
}

static void scenario_macvlan(World *w) {
        macvlan(w);
        /* On nothing, on what is not there, larger than what it stands on, under a bridge's port. */
        uint32_t lower = make_bridge(w, "nmb0");
        NlOp op = newlink(NL_KIND_MACVLAN, "eth0", w->pod_netns, 0);
        op.newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
        EXPECT_INT(apply_one(w->host, op), -EINVAL);
        op.newlink.link_ifindex = 4711;
        EXPECT_INT(apply_one(w->host, op), -ENODEV);
        op.newlink.link_ifindex = lower;
        op.newlink.mtu = 9000;
        EXPECT_INT(apply_one(w->host, op), -EINVAL);
        op.newlink.mtu = 0;
        op.newlink.mac = (MacAddr) { { 1, 0, 0, 0, 0, 1 } };
        op.newlink.has_mac = true;
        EXPECT_INT(apply_one(w->host, op), -EADDRNOTAVAIL);
        op.newlink.has_mac = false;
        NlOp port = veth(w, "nmg1", "eth1");
        port.veth.master_ifindex = lower;
        EXPECT_INT(apply_one(w->host, port), 0);
        op.newlink.link_ifindex = link_of(w->host, "nmg1").ifindex;
        EXPECT_INT(apply_one(w->host, op), -EBUSY);
        expect_gone(w->pod, "eth0");
}

static void indices(World *w) {
        NlOp ifb = { .type = NL_IFB_ADD, .what = "create the ifb", .ifb.name = "nmi1" };
        NlApplied applied;

        macvlan(w);
        NlApplied made = attach(w);
        EXPECT_INT(made.host_ifindex, link_of(w->host, "nmg1").ifindex);
        EXPECT_INT(made.pod_ifindex, link_of(w->pod, "eth0").ifindex);
        int r = kernel_apply(w->host, &ifb, 1, &applied);
        if (r != -EOPNOTSUPP) {
                EXPECT_INT(r, 0);
                EXPECT_INT(applied.ifb_ifindex, link_of(w->host, "nmi1").ifindex);
        }
        /* Both in one array: the last is the interface in the sandbox. */
        NlOp ops[] = { veth(w, "nmg2", "eth2"),
                       newlink(NL_KIND_MACVLAN, "eth3", w->pod_netns, made.host_ifindex) };
        ops[1].newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
        EXPECT_INT(kernel_apply(w->host, ops, 2, &applied), 0);
        EXPECT_INT(applied.pod_ifindex, link_of(w->pod, "eth3").ifindex);
        EXPECT_INT(applied.host_ifindex, link_of(w->host, "nmg2").ifindex);
        /* And what is made here, with the pair after it. */
        NlOp turned[] = { newlink(NL_KIND_MACVLAN, "eth4", -EBADF, made.host_ifindex),
                          veth(w, "nmg3", "eth5") };
        turned[0].newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
        EXPECT_INT(kernel_apply(w->host, turned, 2, &applied), 0);
        EXPECT_INT(applied.pod_ifindex, link_of(w->pod, "eth5").ifindex);
        EXPECT_INT(applied.host_ifindex, link_of(w->host, "nmg3").ifindex);
}

static void scenario_indices(World *w) {
        indices(w);
}

/* The same as kernels before 6.2 do it. */
static void scenario_no_echo(World *w) {
        nl_real_forgo_echo(w->host);
        nl_real_forgo_echo(w->pod);
        indices(w);
}

static void scenario_vxlan(World *w) {
        NlOp op = newlink(NL_KIND_VXLAN, "eth0", w->pod_netns, make_bridge(w, "nmb0"));

        if (!features(w).vxlan)
                skip_scenario("this kernel has no vxlan");
        op.newlink.vxlan.vni = 1U << 24;
        EXPECT_INT(apply_one(w->host, op), -ERANGE);
        op.newlink.vxlan.vni = 4097;
        op.newlink.vxlan.port = 4789;
        op.newlink.vxlan.remote = address("239.1.1.1");
        op.newlink.vxlan.local = address("10.97.0.1");
        op.newlink.vxlan.ttl = 5;
        EXPECT_INT(apply_one(w->host, op), 0);
        EXPECT_INT(link_of(w->pod, "eth0").vni, 4097);
        EXPECT(ip_says(w, true, "-d link show eth0",
                       "vxlan id 4097 group 239.1.1.1 local 10.97.0.1 dev"));
        EXPECT(ip_says(w, true, "-d link show eth0", "dstport 4789 nolearning.* ttl 5 "));
        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        expect_born(w, op, "vxlan", "vxlan id 4097");
}

static void scenario_ipvlan(World *w) {
        NlOp op = newlink(NL_KIND_IPVLAN, "eth0", w->pod_netns, make_bridge(w, "nmb0"));

        if (!features(w).ipvlan)
                skip_scenario("this kernel has no ipvlan");
        op.newlink.ipvlan.mode = IPVLAN_MODE_L2;
        EXPECT_INT(apply_one(w->host, op), 0);
        NlLink l = link_of(w->pod, "eth0"), lower = link_of(w->host, "nmb0");
        EXPECT_INT(l.mode, IPVLAN_MODE_L2);
        EXPECT(memcmp(&l.mac, &lower.mac, 6) == 0);
        NlOp other = newlink(NL_KIND_MACVLAN, "eth1", w->pod_netns, lower.ifindex);
        other.newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
        EXPECT_INT(apply_one(w->host, other), -EBUSY);
        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        op.newlink.ipvlan.mode = IPVLAN_MODE_L3;
        expect_born(w, op, "ipvlan", "ipvlan *mode l3 ");
}

static void scenario_vlan(World *w) {
        uint32_t lower = make_bridge(w, "nmb0");
        NlOp op = newlink(NL_KIND_VLAN, "eth0", w->pod_netns, lower);

        if (!features(w).vlan)
                skip_scenario("this kernel has no 802.1Q VLANs (8021q)");
        op.newlink.vlan.id = 4095;
        EXPECT_INT(apply_one(w->host, op), -ERANGE);
        op.newlink.vlan.id = 100;
        EXPECT_INT(apply_one(w->host, op), 0);
        EXPECT_INT(link_of(w->pod, "eth0").vlan_id, 100);
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), -ENETDOWN);
        NlOp twice = newlink(NL_KIND_VLAN, "eth1", w->pod_netns, lower);
        twice.newlink.vlan.id = 100;
        EXPECT_INT(apply_one(w->host, twice), -EEXIST);
        expect_gone(w->pod, "eth1");
        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        expect_born(w, op, "vlan", "vlan protocol 802.1Q id 100");
}

static void scenario_dummy(World *w) {
        NlOp op = newlink(NL_KIND_DUMMY, "eth0", w->pod_netns, 0);

        if (!features(w).dummy)
                skip_scenario("this kernel has no dummy");
        op.newlink.mtu = 1400;
        op.newlink.mac = pod_mac;
        op.newlink.has_mac = true;
        (void) make_bridge(w, "nmb0");
        expect_born(w, op, "dummy", "mtu 1400");
        /* On the pod's own socket. */
        NlApplied applied;
        op.newlink.netns_fd = -EBADF;
        EXPECT_INT(kernel_apply(w->pod, &op, 1, &applied), 0);
        NlLink l = link_of(w->pod, "eth0");
        EXPECT_INT(applied.pod_ifindex, l.ifindex);
        EXPECT(l.mtu == 1400 && memcmp(&l.mac, &pod_mac, 6) == 0);
}

static void scenario_vrf(World *w) {
        NlOp op = newlink(NL_KIND_VRF, "red", -EBADF, 0), slave = set("eth0", NL_LINK_MASTER);
        NlApplied applied;

        if (!features(w).vrf)
                skip_scenario("this kernel has no vrf");
        attach(w);
        EXPECT_INT(apply_one(w->pod, op), -EINVAL);
        op.newlink.vrf.table = 1001;
        EXPECT_INT(kernel_apply(w->pod, &op, 1, &applied), 0);
        EXPECT_INT(applied.pod_ifindex, link_of(w->pod, "red").ifindex);
        EXPECT_INT(link_of(w->pod, "red").table, 1001);
        EXPECT(ip_says(w, true, "-d link show red", "vrf table 1001"));
        slave.link.master_ifindex = applied.pod_ifindex;
        EXPECT_INT(apply_one(w->pod, slave), 0);
        EXPECT_INT(link_of(w->pod, "eth0").master, applied.pod_ifindex);
        /* It stays where it is. */
        NlOp move = set("red", NL_LINK_NETNS);
        move.link.netns_fd = w->host_netns;
        EXPECT_INT(apply_one(w->pod, move), -EINVAL);
        EXPECT_INT(apply_one(w->pod, del("red")), 0);
        EXPECT_INT(link_of(w->pod, "eth0").master, 0);
}

/* What the probe says is what comes of trying in earnest; and nothing of it stays. */
static void scenario_features(World *w) {
        NlLinkFeatures f = features(w);
        const struct {
                NlLinkKind kind;
                bool found;
        } kinds[] = {
                { NL_KIND_MACVLAN, f.macvlan }, { NL_KIND_IPVLAN, f.ipvlan },
                { NL_KIND_VLAN, f.vlan },       { NL_KIND_DUMMY, f.dummy },
                { NL_KIND_VXLAN, f.vxlan },     { NL_KIND_VRF, f.vrf },
        };
        NlDump d = dump(w->host);

        for (size_t i = 0; i < d.n_links; i++)
                EXPECT(strncmp(d.links[i].name, "nm", 2) != 0);
        kernel_dump_clear(&d);
        uint32_t lower = make_bridge(w, "nmb0");
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                NlOp op = newlink(kinds[i].kind, "eth0", w->pod_netns,
                                  kinds[i].kind == NL_KIND_DUMMY || kinds[i].kind == NL_KIND_VRF
                                                  ? 0
                                                  : lower);
                if (kinds[i].kind == NL_KIND_MACVLAN)
                        op.newlink.macvlan.mode = MACVLAN_MODE_BRIDGE;
                else if (kinds[i].kind == NL_KIND_VXLAN)
                        op.newlink.vxlan.vni = 7;
                else if (kinds[i].kind == NL_KIND_VRF)
                        op.newlink.vrf.table = 7;
                else if (kinds[i].kind == NL_KIND_VLAN)
                        op.newlink.vlan.id = 7;
                EXPECT_INT(apply_one(w->host, op), kinds[i].found ? 0 : -EOPNOTSUPP);
                if (kinds[i].found)
                        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        }
}

BOTH(macvlan)
BOTH(ipvlan)
BOTH(vlan)
BOTH(dummy)
BOTH(vxlan)
BOTH(vrf)
BOTH(features)
BOTH(indices)

static void test_real_no_echo(void **state) {
        run(scenario_no_echo, true);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST_BOTH(macvlan),  TEST_BOTH(ipvlan),  TEST_BOTH(vlan),
                TEST_BOTH(dummy),    TEST_BOTH(vxlan),   TEST_BOTH(vrf),
                TEST_BOTH(features), TEST_BOTH(indices), cmocka_unit_test(test_real_no_echo),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
