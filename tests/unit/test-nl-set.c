/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Links that are changed, renamed and moved, and the VLANs of bridges, in both kernels; see nl-world.h. */

#include <net/if.h>

#include "nl-world.h"

/* ---- counters ------------------------------------------------------------------------------------ */

static const NlStat *find_stat(const NlDump *d, uint32_t ifindex) {
        const NlStat *found = NULL;

        for (size_t i = 0; i < d->n_stats; i++)
                if (d->stats[i].ifindex == ifindex) {
                        EXPECT(!found); /* each link once */
                        found = &d->stats[i];
                }
        return found;
}

/* Of every link, and what one end sends is what the other receives. */
static void scenario_counters(World *w) {
        NlApplied at = attach(w);
        NlDump host = { 0 }, pod = { 0 };

        EXPECT_INT(kernel_dump(w->host, NL_DUMP_COUNTERS | NL_DUMP_LINKS, &host), 0);
        EXPECT_INT(kernel_dump(w->pod, NL_DUMP_COUNTERS, &pod), 0);
        EXPECT_INT(host.n_stats, host.n_links);
        for (size_t i = 0; i < host.n_links; i++)
                EXPECT(find_stat(&host, host.links[i].ifindex));
        const NlStat *mine = find_stat(&host, at.host_ifindex),
                     *theirs = find_stat(&pod, at.pod_ifindex);
        EXPECT(mine && theirs);
        /* Neither is up: nothing was sent. */
        EXPECT(mine->rx_bytes == 0 && mine->tx_bytes == 0);
        EXPECT(theirs->rx_bytes == 0 && theirs->tx_bytes == 0);
        kernel_dump_clear(&host);
        kernel_dump_clear(&pod);
}

/* ---- settings ------------------------------------------------------------------------------------ */

static void scenario_settings(World *w) {
        NlApplied at = attach(w);
        NlOp by_index = set("", NL_LINK_UP | NL_LINK_ALLMULTI | NL_LINK_TXQLEN | NL_LINK_MTU);
        NlLink l;

        by_index.link.ifindex = (int32_t) at.host_ifindex;
        by_index.link.allmulti = true;
        by_index.link.txqlen = 321;
        by_index.link.mtu = 1380;
        EXPECT_INT(apply_one(w->host, by_index), 0);
        EXPECT_INT(kernel_get_link_by_index(w->host, at.host_ifindex, &l), 0);
        EXPECT(streq(l.name, "nmg1") && (l.flags & IFF_ALLMULTI) && (l.flags & IFF_UP));
        EXPECT(l.txqlen == 321 && l.mtu == 1380);
        EXPECT(ip_says(w, false, "link show nmg1", "ALLMULTI,.*UP.* mtu 1380 .*qlen 321"));
        by_index.link.mask = NL_LINK_UP | NL_LINK_ALLMULTI;
        by_index.link.up = by_index.link.allmulti = false;
        EXPECT_INT(apply_one(w->host, by_index), 0);
        EXPECT_INT(link_of(w->host, "nmg1").flags & (IFF_UP | IFF_ALLMULTI), 0);
        by_index.link.ifindex += 99;
        EXPECT_INT(apply_one(w->host, by_index), -ENODEV);
        EXPECT_INT(kernel_get_link_by_index(w->host, at.host_ifindex + 99, &l), -ENODEV);
        EXPECT_INT(kernel_get_link_by_index(w->host, 0, &l), -ENODEV);

        NlOp promisc = set("nmg1", NL_LINK_PROMISC);
        promisc.link.promisc = true;
        EXPECT_INT(apply_one(w->host, promisc), 0);
        EXPECT_INT(apply_one(w->host, promisc), 0);
        EXPECT_INT(link_of(w->host, "nmg1").promiscuity, 1);
        promisc.link.promisc = false;
        EXPECT_INT(apply_one(w->host, promisc), 0);
        EXPECT_INT(link_of(w->host, "nmg1").promiscuity, 0);

        NlOp gone = del("");
        gone.link.ifindex = (int32_t) at.host_ifindex;
        EXPECT_INT(apply_one(w->host, gone), 0);
        EXPECT_INT(apply_one(w->host, gone), -ENODEV);
}

static void scenario_alias(World *w) {
        NlApplied at = attach(w);
        NlOp op = set("nmg1", NL_LINK_ALIAS);
        char *alias = NULL, longest[NL_ALIAS_MAX + 2];

        EXPECT_INT(kernel_get_alias(w->host, at.host_ifindex, &alias), 0);
        EXPECT(!alias);
        op.link.alias = "the cable to rack 3";
        EXPECT_INT(apply_one(w->host, op), 0);
        EXPECT_INT(kernel_get_alias(w->host, at.host_ifindex, &alias), 0);
        EXPECT(alias && streq(alias, op.link.alias));
        free(alias);
        EXPECT(ip_says(w, false, "link show nmg1", "alias the cable to rack 3$"));
        NlDump d = dump(w->host);
        for (size_t i = 0; i < d.n_links; i++)
                EXPECT_INT(d.links[i].alias != NULL, d.links[i].ifindex == at.host_ifindex);
        kernel_dump_clear(&d);

        memset(longest, 'x', sizeof(longest) - 1);
        longest[sizeof(longest) - 1] = '\0';
        op.link.alias = longest;
        EXPECT_INT(apply_one(w->host, op), -EINVAL);
        longest[NL_ALIAS_MAX] = '\0';
        EXPECT_INT(apply_one(w->host, op), 0);
        EXPECT_INT(kernel_get_alias(w->host, at.host_ifindex, &alias), 0);
        EXPECT(alias && streq(alias, longest));
        free(alias);
        op.link.alias = NULL;
        EXPECT_INT(apply_one(w->host, op), 0);
        EXPECT_INT(kernel_get_alias(w->host, at.host_ifindex, &alias), 0);
        EXPECT(!alias);
        EXPECT_INT(kernel_get_alias(w->host, at.host_ifindex + 99, &alias), -ENODEV);
}

static void scenario_rename(World *w) {
        NlApplied at = attach(w), applied;
        NlOp name = set("nmg1", NL_LINK_NAME | NL_LINK_MTU);

        snprintf(name.link.new_name, sizeof(name.link.new_name), "nmg7");
        name.link.mtu = 1333;
        EXPECT_INT(apply_one(w->host, name), 0);
        expect_gone(w->host, "nmg1");
        NlLink l = link_of(w->host, "nmg7");
        EXPECT(l.ifindex == at.host_ifindex && l.mtu == 1333);
        /* By index; the others of the array see the new name, and what failed is told by its place. */
        NlOp ops[] = { set("nmg7", NL_LINK_MTU), name, name, set("nmg8", NL_LINK_TXQLEN) };
        ops[0].link.mtu = 1300;
        ops[1].link.name[0] = '\0';
        ops[1].link.ifindex = (int32_t) at.host_ifindex;
        ops[1].link.mask = NL_LINK_NAME;
        snprintf(ops[1].link.new_name, sizeof(ops[1].link.new_name), "nmg8");
        ops[3].link.txqlen = 55;
        EXPECT_INT(kernel_apply(w->host, ops, ELEMENTSOF(ops), &applied), -ENODEV); /* nmg1 */
        EXPECT_INT(applied.failed, 2);
        l = link_of(w->host, "nmg8");
        EXPECT(l.mtu == 1300 && l.txqlen == 55);

        EXPECT_INT(apply_one(w->host, bridge("nmb0")), 0);
        snprintf(name.link.name, sizeof(name.link.name), "nmg8");
        snprintf(name.link.new_name, sizeof(name.link.new_name), "nmb0");
        EXPECT_INT(apply_one(w->host, name), -EEXIST);
        EXPECT_INT(link_of(w->host, "nmg8").ifindex, at.host_ifindex);
}

static void scenario_move(World *w) {
        NlApplied at = attach(w);
        NlOp move = set("nmg1", NL_LINK_NETNS | NL_LINK_MTU), back;

        move.link.netns_fd = w->pod_netns;
        move.link.mtu = 1300;
        NlOp ready[] = { set("nmg1", NL_LINK_UP),
                         addr(NL_ADDR_ADD, (int32_t) at.host_ifindex, "10.97.1.2/24") };
        EXPECT_INT(kernel_apply(w->host, ready, 2, &(NlApplied) { 0 }), 0);
        EXPECT_INT(apply_one(w->host, move), 0);
        expect_gone(w->host, "nmg1");
        NlLink l = link_of(w->pod, "nmg1");
        EXPECT(!(l.flags & IFF_UP) && l.mtu == 1300 && memcmp(&l.mac, &host_mac, 6) == 0);
        EXPECT_INT(l.link, at.pod_ifindex);
        EXPECT_INT(l.link_netnsid, -1);
        NlDump d = dump(w->pod);
        EXPECT(!find_addr(&d, l.ifindex, "10.97.1.2/24"));
        kernel_dump_clear(&d);

        /* Back and renamed in one message, whatever name was free on the way. */
        EXPECT_INT(apply_one(w->host, bridge("nmg1")), 0);
        back = set("", NL_LINK_NETNS);
        back.link.ifindex = (int32_t) l.ifindex;
        back.link.netns_fd = w->host_netns;
        EXPECT_INT(apply_one(w->pod, back), -EEXIST);
        back.link.mask |= NL_LINK_NAME;
        snprintf(back.link.new_name, sizeof(back.link.new_name), "nmg5");
        EXPECT_INT(apply_one(w->pod, back), 0);
        expect_gone(w->pod, "nmg1");
        l = link_of(w->host, "nmg5");
        EXPECT(memcmp(&l.mac, &host_mac, 6) == 0);
        EXPECT(streq(link_of(w->host, "nmg1").kind, "bridge"));
        NlOp again = set("nmg5", NL_LINK_NETNS | NL_LINK_NAME);
        again.link.netns_fd = w->pod_netns;
        snprintf(again.link.new_name, sizeof(again.link.new_name), "net0");
        EXPECT_INT(apply_one(w->host, again), 0);
        EXPECT_INT(link_of(w->pod, "net0").link, at.pod_ifindex);

        NlOp stuck = set("nmg1", NL_LINK_NETNS);
        stuck.link.netns_fd = w->pod_netns;
        EXPECT_INT(apply_one(w->host, stuck), -EINVAL);
        EXPECT_INT(apply_one(w->pod, del("eth0")), 0);
        expect_gone(w->pod, "net0");
}

/* ---- bridges ------------------------------------------------------------------------------------- */

static void scenario_port(World *w) {
        NlOp port = veth(w, "nmg1", "eth0"), isolate = set("nmg1", NL_LINK_ISOLATED);

        isolate.link.isolated = true;
        port.veth.master_ifindex = make_bridge(w, "nmb0");
        EXPECT_INT(apply_one(w->host, port), 0);
        EXPECT_INT(apply_one(w->host, isolate), 0);
        NlLink l = link_of(w->host, "nmg1");
        EXPECT(l.isolated && !l.hairpin);
        EXPECT(ip_says(w, false, "-d link show nmg1", "hairpin off .*isolated on"));
        isolate.link.mask |= NL_LINK_HAIRPIN;
        isolate.link.isolated = false;
        EXPECT_INT(apply_one(w->host, isolate), 0);
        l = link_of(w->host, "nmg1");
        EXPECT(!l.isolated && l.hairpin);
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_ISOLATED)), -EOPNOTSUPP);
}

/* "1pu 10-20 30u": the VLANs of a link. */
static const char *vlans_of(NlSocket *s, uint32_t ifindex, char text[static 128]) {
        NlDump d = { 0 };
        size_t n = 0;

        text[0] = '\0';
        EXPECT_INT(kernel_dump(s, NL_DUMP_BRIDGE_VLANS, &d), 0);
        for (size_t i = 0; i < d.n_bridge_vlans; i++) {
                const NlBridgeVlan *v = &d.bridge_vlans[i];
                if (v->ifindex != ifindex)
                        continue;
                n += (size_t) snprintf(text + n, 128 - n, "%s%u", n ? " " : "", v->vid);
                if (v->vid_end != v->vid)
                        n += (size_t) snprintf(text + n, 128 - n, "-%u", v->vid_end);
                n += (size_t) snprintf(text + n, 128 - n, "%s%s", v->pvid ? "p" : "",
                                       v->untagged ? "u" : "");
        }
        kernel_dump_clear(&d);
        return text;
}

static void scenario_vlan_filtering(World *w) {
        NlOp port = veth(w, "nmg1", "eth0"), bare = bridge("nmb1");
        NlOp filter = set("nmb0", NL_LINK_VLAN_FILTERING);
        char text[128];

        uint32_t lab = make_bridge(w, "nmb0");
        EXPECT_INT(link_of(w->host, "nmb0").has_vlan_filtering, features(w).bridge_vlan_filtering);
        if (!features(w).bridge_vlan_filtering)
                skip_scenario("this kernel has no vlan_filtering of bridges");
        EXPECT(!link_of(w->host, "nmb0").vlan_filtering);
        filter.link.vlan_filtering = true;
        EXPECT_INT(apply_one(w->host, filter), 0);
        EXPECT(link_of(w->host, "nmb0").vlan_filtering);
        EXPECT(ip_says(w, false, "-d link show nmb0", "vlan_filtering 1"));
        port.veth.master_ifindex = lab;
        EXPECT_INT(apply_one(w->host, port), 0);
        uint32_t i = link_of(w->host, "nmg1").ifindex;
        EXPECT(streq(vlans_of(w->host, i, text), "1pu"));
        NlOp own = vlans(NL_BRIDGE_VLAN_ADD, i, 100, 0);
        own.bvlan.pvid = own.bvlan.untagged = true;
        EXPECT_INT(apply_one(w->host, own), 0);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, i, 200, 300)), 0);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, i, 200, 300)), 0);
        EXPECT(streq(vlans_of(w->host, i, text), "1u 100pu 200-300"));
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_DEL, i, 1, 0)), 0);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_DEL, i, 1, 0)), 0);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_DEL, i, 250, 260)), 0);
        EXPECT(streq(vlans_of(w->host, i, text), "100pu 200-249 261-300"));

        NlOp self = vlans(NL_BRIDGE_VLAN_ADD, lab, 100, 0);
        EXPECT_INT(apply_one(w->host, self), -EOPNOTSUPP);
        self.bvlan.self = true;
        EXPECT_INT(apply_one(w->host, self), 0);
        EXPECT(streq(vlans_of(w->host, lab, text), "1pu 100"));
        self.bvlan.ifindex = (int32_t) i;
        EXPECT_INT(apply_one(w->host, self), -EOPNOTSUPP);

        /* In no VLAN until one is added. */
        bare.bridge.vlan_filtering = bare.bridge.no_default_pvid = true;
        EXPECT_INT(apply_one(w->host, bare), 0);
        NlOp join = set("nmg1", NL_LINK_MASTER);
        join.link.master_ifindex = link_of(w->host, "nmb1").ifindex;
        EXPECT_INT(apply_one(w->host, join), 0);
        EXPECT(streq(vlans_of(w->host, i, text), ""));
        EXPECT(streq(vlans_of(w->host, join.link.master_ifindex, text), ""));
        NlOp no_bridge = set("nmg1", NL_LINK_VLAN_FILTERING);
        EXPECT_INT(apply_one(w->host, no_bridge), -EOPNOTSUPP);
}

/* ---- what no kernel gets to see ------------------------------------------------------------------ */

static void scenario_nonsense(World *w) {
        uint32_t i = make_bridge(w, "nmb0");
        NlOp none = set("", NL_LINK_UP), both = set("nmb0", NL_LINK_UP), nameless = both;
        NlOp grouped = set("nmb0", NL_LINK_ISOLATED | NL_LINK_GROUP), pvid;

        both.link.ifindex = (int32_t) i;
        nameless.link.mask = NL_LINK_NAME;
        EXPECT_INT(apply_one(w->host, none), -EINVAL);
        EXPECT_INT(apply_one(w->host, both), -EINVAL);
        EXPECT_INT(apply_one(w->host, nameless), -EINVAL);
        EXPECT_INT(apply_one(w->host, grouped), -EINVAL);
        EXPECT_INT(apply_one(w->host, del("")), -EINVAL);
        none.link.ifindex = NL_HOST_END;
        EXPECT_INT(apply_one(w->host, none), -EINVAL);
        EXPECT_INT(apply_one(w->host, newlink(_NL_KIND_MAX, "eth0", -EBADF, 0)), -EINVAL);
        EXPECT_INT(apply_one(w->host, newlink(NL_KIND_DUMMY, "", -EBADF, 0)), -EINVAL);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, 0, 5, 0)), -EINVAL);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, i, 0, 0)), -EINVAL);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, i, 4095, 0)), -EINVAL);
        EXPECT_INT(apply_one(w->host, vlans(NL_BRIDGE_VLAN_ADD, i, 9, 8)), -EINVAL);
        pvid = vlans(NL_BRIDGE_VLAN_ADD, i, 5, 6);
        pvid.bvlan.pvid = true;
        EXPECT_INT(apply_one(w->host, pvid), -EINVAL);
        EXPECT_INT(link_of(w->host, "nmb0").flags & IFF_UP, 0);
}

BOTH(counters)
BOTH(settings)
BOTH(alias)
BOTH(rename)
BOTH(move)
BOTH(port)
BOTH(vlan_filtering)
BOTH(nonsense)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST_BOTH(settings), TEST_BOTH(alias),    TEST_BOTH(rename),
                TEST_BOTH(move),     TEST_BOTH(port),     TEST_BOTH(vlan_filtering),
                TEST_BOTH(nonsense), TEST_BOTH(counters),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
