/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of a plan a dump lacks, and the findings that are made of it. */

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/json.h"
#include "base/parse.h"
#include "core/findings.h"

static InAddr addr(const char *s) {
        InAddr a;
        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

static InPrefix prefix(const char *s) {
        InPrefix p;
        assert_int_equal(in_prefix_parse(s, &p), 0);
        return p;
}

typedef struct World {
        AttachmentSpec spec;
        SpecAddress addresses[2];
        Plan plan;
        NlLink links[4];
        NlAddr addrs[2];
        NlRoute routes[3];
        NlNeigh neighs[3];
        NlDump dump;
} World;

/* A routed attachment and a host that has all of it, between the links of others. */
static void world(World *w) {
        *w = (World) { .spec = { .id = 7, .kind = NET_KIND_ROUTED, .mtu = 1500, .group = 100 } };
        snprintf(w->spec.ifname, sizeof(w->spec.ifname), "eth0");
        snprintf(w->spec.host_ifname, sizeof(w->spec.host_ifname), "nmg7");
        w->spec.mac = (MacAddr) { { 2, 0, 0, 0, 0, 1 } };
        w->spec.host_mac = (MacAddr) { { 2, 0, 0, 0, 0, 2 } };
        w->addresses[0].address = prefix("10.0.0.2/32");
        w->addresses[1].address = prefix("fd00::2/128");
        w->spec.addresses = w->addresses;
        w->spec.n_addresses = 2;
        assert_int_equal(plan_make(&w->spec, 0, &w->plan), 0);

        w->links[0] = (NlLink) { .name = "zeta", .ifindex = 3, .flags = IFF_UP, .mtu = 9000 };
        w->links[1] = (NlLink) { .name = "nmg7",
                                 .ifindex = 12,
                                 .flags = IFF_UP,
                                 .mtu = 1500,
                                 .group = 100,
                                 .mac = w->spec.host_mac };
        w->links[2] = (NlLink) { .name = "alpha", .ifindex = 2, .flags = IFF_UP, .mtu = 1500 };
        w->links[3] = (NlLink) { .name = "nmg70", .ifindex = 13, .mtu = 1500 };
        w->addrs[0] = (NlAddr) { .ifindex = 12, .address = prefix("fe80::1/64") };
        w->addrs[1] = (NlAddr) { .ifindex = 2, .address = prefix("192.0.2.1/24") };
        w->routes[0] = (NlRoute) { .ifindex = 12,
                                   .dst = prefix("fd00::2/128"),
                                   .table = RT_TABLE_MAIN };
        w->routes[1] = (NlRoute) { .ifindex = 2,
                                   .dst = prefix("0.0.0.0/0"),
                                   .table = RT_TABLE_MAIN };
        w->routes[2] = (NlRoute) { .ifindex = 12,
                                   .dst = prefix("10.0.0.2/32"),
                                   .table = RT_TABLE_MAIN };
        w->neighs[0] = (NlNeigh) { .ifindex = 12,
                                   .address = addr("10.0.0.2"),
                                   .mac = w->spec.mac,
                                   .state = NUD_PERMANENT };
        w->neighs[1] = (NlNeigh) { .ifindex = 3, .address = addr("10.0.0.2"), .state = NUD_STALE };
        w->neighs[2] = (NlNeigh) { .ifindex = 12,
                                   .address = addr("fd00::2"),
                                   .mac = w->spec.mac,
                                   .state = NUD_PERMANENT };
        w->dump = (NlDump) { .links = w->links,
                             .n_links = 4,
                             .addrs = w->addrs,
                             .n_addrs = 2,
                             .routes = w->routes,
                             .n_routes = 3,
                             .neighs = w->neighs,
                             .n_neighs = 3 };
}

static void compare(World *w, Differences *l) {
        *l = (Differences) { 0 };
        compare_index(&w->dump);
        compare_host(&w->spec, &w->plan, &w->dump, l);
        assert_int_equal(l->error, 0);
}

/* Exactly one difference, of these words, that this operation mends (_NL_OP_MAX: none does). */
static void expect_one(World *w, const char *word, NlOpType repair) {
        Differences l;

        compare(w, &l);
        assert_int_equal(l.n, 1);
        assert_non_null(strstr(l.items[0].sentence, word));
        assert_int_equal(l.items[0].mendable, repair != _NL_OP_MAX);
        if (l.items[0].mendable)
                assert_int_equal(l.items[0].repair.type, repair);
        if (l.items[0].mendable && repair == NL_ROUTE_ADD)
                assert_int_equal(l.items[0].repair.route.ifindex, 12);
        differences_clear(&l);
        plan_clear(&w->plan);
}

static void test_nothing(void **state) {
        Differences l;
        World w;

        world(&w);
        compare(&w, &l);
        assert_int_equal(l.n, 0);
        assert_string_equal(compare_find_link(&w.dump, "nmg70")->name, "nmg70");
        assert_null(compare_find_link(&w.dump, "nmg"));
        assert_null(compare_find_link(&(NlDump) { 0 }, "nmg7"));
        plan_clear(&w.plan);
}

static void test_each(void **state) {
        World w;

        world(&w);
        w.links[1].flags = 0;
        expect_one(&w, "is down", NL_LINK_SET);
        world(&w);
        w.links[1].mtu = 1400;
        expect_one(&w, "wanted MTU 1500, found 1400", NL_LINK_SET);
        world(&w);
        w.links[1].mac.bytes[5] = 9;
        expect_one(&w, "wanted MAC 02:00:00:00:00:02", NL_LINK_SET);
        world(&w);
        w.links[1].group = 0;
        expect_one(&w, "link group of nmg7: wanted 100, found 0", NL_LINK_SET);
        world(&w);
        snprintf(w.links[1].name, sizeof(w.links[1].name), "nmg8");
        expect_one(&w, "nmg7 is missing", _NL_OP_MAX);
        world(&w);
        w.addrs[0].address.length = 128; /* another address, to the kernel */
        expect_one(&w, "fe80::1/64 is missing", NL_ADDR_ADD);
        world(&w);
        w.routes[2].ifindex = 3; /* to another link: that of somebody else */
        expect_one(&w, "route 10.0.0.2/32 is missing", NL_ROUTE_ADD);
        world(&w);
        w.routes[0].table = 100;
        expect_one(&w, "route fd00::2/128 is missing", NL_ROUTE_ADD);
        world(&w);
        w.neighs[0].state = NUD_REACHABLE;
        expect_one(&w, "found temporary", NL_NEIGH_ADD);
        world(&w);
        w.neighs[0].mac.bytes[0] = 4;
        expect_one(&w, "wanted permanent 02:00:00:00:00:01", NL_NEIGH_ADD);
        world(&w);
        w.dump.n_neighs = 2;
        expect_one(&w, "neighbour entry fd00::2 is missing", NL_NEIGH_ADD);
}

/* The prohibit routes of the sandbox, wherever the kernel says that they are. */
static void test_prohibited(void **state) {
        NlLink link = { .name = "eth0", .ifindex = 2, .flags = IFF_UP, .mtu = 1500 };
        NlRoute routes[] = {
                { .ifindex = 0,
                  .dst = prefix("169.254.169.254/32"),
                  .table = RT_TABLE_MAIN,
                  .type = RTN_PROHIBIT },
                { .ifindex = 1, /* lo, in IPv6 */
                  .dst = prefix("fd00:ec2::254/128"),
                  .table = RT_TABLE_MAIN,
                  .type = RTN_PROHIBIT },
        };
        NlDump d = { .links = &link, .n_links = 1, .routes = routes, .n_routes = 2 };
        World w;

        for (int lacks = -1; lacks < 2; lacks++) {
                Differences l = { 0 };
                size_t n = 0;

                world(&w);
                plan_clear(&w.plan);
                w.spec.block_metadata = true;
                assert_int_equal(plan_make(&w.spec, 0, &w.plan), 0);
                if (lacks >= 0) /* a way there is none that is prohibited */
                        routes[lacks].type = RTN_UNICAST;
                compare_index(&d);
                compare_ops(w.plan.pod, w.plan.n_pod, &d, 2, "eth0", WHERE_SANDBOX, &l);
                for (size_t i = 0; i < l.n; i++) {
                        const NlOp *repair = &l.items[i].repair;
                        if (!strstr(l.items[i].sentence, "prohibit"))
                                continue;
                        n++;
                        assert_int_equal(repair->route.type, RTN_PROHIBIT);
                        assert_int_equal(repair->route.ifindex, 0);
                        assert_true(repair->route.replace);
                        assert_non_null(strstr(l.items[i].sentence,
                                               lacks ? "fd00:ec2::254/128" : "169.254.169.254/32"));
                }
                assert_int_equal(n, lacks >= 0);
                if (lacks >= 0)
                        routes[lacks].type = RTN_PROHIBIT;
                differences_clear(&l);
                plan_clear(&w.plan);
        }
}

/* All at once; a repair replaces a route that somebody put in its place. */
static void test_all(void **state) {
        Differences l;
        World w;

        world(&w);
        w.dump.n_addrs = w.dump.n_routes = w.dump.n_neighs = 0;
        compare(&w, &l);
        assert_int_equal(l.n, 5);
        for (size_t i = 0; i < l.n; i++)
                if (l.items[i].repair.type == NL_ROUTE_ADD)
                        assert_true(l.items[i].repair.route.replace);
        differences_clear(&l);
        plan_clear(&w.plan);
}

static void test_port(void **state) {
        NlLink bridge = { .name = "br0", .ifindex = 5, .flags = IFF_UP },
               port = { .name = "nmg7", .ifindex = 12, .master = 5 };
        Differences l = { 0 };
        World w;

        world(&w);
        w.spec.kind = NET_KIND_BRIDGE;
        snprintf(w.spec.bridge, sizeof(w.spec.bridge), "br0");
        compare_port(&w.spec, &port, &bridge, &l);
        assert_int_equal(l.n, 0);
        compare_port(&w.spec, &port, NULL, &l);
        assert_int_equal(l.n, 1);
        assert_false(l.items[0].mendable);
        differences_clear(&l);

        /* It joins, and has lost its mode by that. */
        w.spec.hairpin = true;
        port = (NlLink) { .name = "nmg7", .ifindex = 12, .hairpin = true };
        compare_port(&w.spec, &port, &bridge, &l);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.items[0].repair.link.master_ifindex, 5);
        assert_int_equal(l.items[1].repair.link.mask, NL_LINK_HAIRPIN);
        assert_true(l.items[1].repair.link.hairpin);
        differences_clear(&l);
        plan_clear(&w.plan);
}

static Differences one(const char *sentence) {
        Differences l = { 0 };

        differ(&l, NULL, "%s", sentence);
        return l;
}

static void test_findings(void **state) {
        _cleanup_free_ char *text = NULL, *dry = NULL;
        Findings f = { 0 };
        Differences l = one("it is \"gone\"\n");

        Finding *x = findings_add(&f, FINDING_HOST, "nmg7", "net1", "box\x1b", "eth0", &l);
        assert_non_null(x);
        assert_int_equal(l.n, 0); /* taken over */
        x->repaired = true;
        l = one("stray");
        x = findings_add(&f, FINDING_STRAY, "nmg8", NULL, NULL, NULL, &l);
        x->error = strdup("no");
        l = one("of no interest any more");
        findings_add(&f, FINDING_SANDBOX, "nmg9", NULL, NULL, NULL, &l)->moot = true;
        assert_int_equal(findings_to_json(&f, false, &text), 0);
        assert_int_equal(findings_to_json(&f, true, &dry), 0);

        _cleanup_json_ json_object *o = json_tokener_parse(text), *d = json_tokener_parse(dry);
        json_object *list = json_get(o, "differences"), *first = json_object_array_get_idx(list, 0),
                    *second = json_object_array_get_idx(list, 1);
        assert_int_equal(json_object_array_length(list), 2);
        assert_string_equal(json_object_get_string(json_get(first, "Kind")), "host");
        assert_string_equal(json_object_get_string(json_get(first, "Sandbox")), "box\x1b");
        assert_true(json_object_get_boolean(json_get(first, "Repaired")));
        assert_string_equal(json_object_get_string(json_object_array_get_idx(
                                            json_get(first, "Differences"), 0)),
                            "it is \"gone\"\n");
        assert_null(json_get(second, "Sandbox"));
        assert_string_equal(json_object_get_string(json_get(second, "Error")), "no");
        assert_false(json_object_get_boolean(json_get(o, "DryRun")));
        assert_null(json_get(o, "NotLookedAt"));
        assert_true(json_object_get_boolean(json_get(d, "DryRun")));
        assert_null(json_get(json_object_array_get_idx(json_get(d, "differences"), 0), "Repaired"));

        free(TAKE_PTR(text));
        f.tables_unseen = strdup("the rule tables: no");
        f.sandbox_unseen = strdup("box: no");
        f.n_sandboxes_unseen = 2;
        assert_int_equal(findings_to_json(&f, true, &text), 0);
        assert_non_null(strstr(text, "\"NotLookedAt\":[\"2 interfaces from within"));
        assert_non_null(strstr(text, "\"the rule tables: no\"]"));
        findings_clear(&f);
        assert_int_equal(f.n, 0);
        assert_null(f.tables_unseen);
}

/* Without memory for a sentence there is no finding, but the run hears of it. */
static void test_error(void **state) {
        Differences l = one("x");
        Findings f = { 0 };

        l.error = -ENOMEM;
        assert_null(findings_add(&f, FINDING_HOST, "nmg7", NULL, NULL, NULL, &l));
        assert_int_equal(f.error, -ENOMEM);
        assert_int_equal(l.n, 0);
        findings_clear(&f);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_nothing),    cmocka_unit_test(test_each),
                cmocka_unit_test(test_prohibited), cmocka_unit_test(test_all),
                cmocka_unit_test(test_port),       cmocka_unit_test(test_findings),
                cmocka_unit_test(test_error),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
