/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rules, routes that go nowhere or several ways, addresses that are looked for first, in both kernels; see
 * nl-world.h. */

#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>

#include "nl-world.h"

static NlRule find_rule(NlSocket *s, uint32_t table, size_t *ret_n) {
        NlRule found = { 0 };
        NlDump d = { 0 };

        *ret_n = 0;
        EXPECT_INT(kernel_dump(s, NL_DUMP_RULES, &d), 0);
        for (size_t i = 0; i < d.n_rules; i++)
                if (d.rules[i].table == table) {
                        found = d.rules[i];
                        ++*ret_n;
                }
        kernel_dump_clear(&d);
        return found;
}

static void scenario_rules(World *w) {
        NlOp full = rule(NL_RULE_ADD, "fd97::/64", 70000, 400);
        size_t n;

        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_ADD, "10.97.0.2/32", 100, 0)), 0);
        NlRule r = find_rule(w->pod, 100, &n);
        EXPECT(n == 1 && r.family == AF_INET && r.has_src && r.src.length == 32);
        InAddr source = address("10.97.0.2");
        EXPECT(in_addr_equal(&r.src.address, &source) && !in_addr_is_set(&r.dst.address));
        EXPECT_INT(r.priority, 32765);
        EXPECT_INT(r.action, FR_ACT_TO_TBL);
        EXPECT(ip_says(w, true, "rule", "32765:.*from 10.97.0.2 lookup 100"));
        /* With that priority it would be there twice. */
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_ADD, "10.97.0.2/32", 100, 32765)), -EEXIST);

        full.rule.dst = prefix("fd98::/32");
        snprintf(full.rule.iif, sizeof(full.rule.iif), "eth0");
        EXPECT_INT(apply_one(w->pod, full), 0);
        EXPECT_INT(apply_one(w->pod, full), -EEXIST);
        r = find_rule(w->pod, 70000, &n);
        EXPECT(n == 1 && r.family == AF_INET6 && r.src.length == 64 && r.dst.length == 32);
        EXPECT(r.priority == 400 && streq(r.iif, "eth0") && r.oif[0] == '\0');
        EXPECT(ip_says(w, true, "-6 rule",
                       "400:.*from fd97::/64 to fd98::/32 iif eth0.* lookup 70000"));

        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, "10.97.0.3/32", 100, 0)), -ENOENT);
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, "10.97.0.2/32", 101, 0)), -ENOENT);
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, "10.97.0.2/32", 100, 1)), -ENOENT);
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, "10.97.0.2/32", 100, 0)), 0);
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, "10.97.0.2/32", 100, 0)), -ENOENT);
        full.type = NL_RULE_DEL;
        EXPECT_INT(apply_one(w->pod, full), 0);
        (void) find_rule(w->pod, 70000, &n);
        EXPECT_INT(n, 0);

        /* Nothing that could take the kernel's own. */
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_DEL, NULL, RT_TABLE_MAIN, 32766)), -EINVAL);
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_ADD, "10.97.0.2/32", 0, 0)), -EINVAL);
        full.rule.family = AF_INET;
        EXPECT_INT(apply_one(w->pod, full), -EINVAL);
}

static void scenario_nowhere(World *w) {
        NlOp four = route(NL_ROUTE_ADD, 0, "169.254.169.254/32", NULL, false);
        NlOp six = route(NL_ROUTE_ADD, 0, "fd00:ec2::254/128", NULL, false);
        InAddr metadata = address("169.254.169.254"), source;
        uint32_t ifindex;
        NlDump d = { 0 };

        four.route.type = six.route.type = RTN_PROHIBIT;
        four.route.scope = 0;
        EXPECT_INT(apply_one(w->pod, set("lo", NL_LINK_UP)), 0);
        EXPECT_INT(apply_one(w->pod, four), 0);
        EXPECT_INT(apply_one(w->pod, four), -EEXIST);
        EXPECT_INT(apply_one(w->pod, six), 0);
        EXPECT_INT(kernel_get_route(w->pod, &metadata, &ifindex, &source), -EACCES);
        EXPECT(ip_says(w, true, "route", "prohibit 169.254.169.254"));
        EXPECT(ip_says(w, true, "-6 route", "prohibit fd00:ec2::254"));
        EXPECT_INT(kernel_dump(w->pod, NL_DUMP_ROUTES, &d), 0);
        EXPECT(!find_route(&d, "169.254.169.254/32"));
        kernel_dump_clear(&d);
        EXPECT_INT(kernel_dump(w->pod, NL_DUMP_ROUTES | NL_DUMP_ALL_TABLES, &d), 0);
        const NlRoute *r = find_route(&d, "169.254.169.254/32");
        EXPECT(r && r->type == RTN_PROHIBIT && r->ifindex == 0);
        r = find_route(&d, "fd00:ec2::254/128");
        EXPECT(r && r->type == RTN_PROHIBIT);
        kernel_dump_clear(&d);

        four.type = six.type = NL_ROUTE_DEL;
        four.route.type = RTN_BLACKHOLE;
        EXPECT_INT(apply_one(w->pod, four), -ESRCH);
        four.route.type = RTN_PROHIBIT;
        EXPECT_INT(apply_one(w->pod, four), 0);
        EXPECT_INT(apply_one(w->pod, six), 0);
        EXPECT_INT(apply_one(w->pod, six), -ESRCH);
        four.route.ifindex = 1;
        EXPECT_INT(apply_one(w->pod, four), -EINVAL);
}

static size_t count_hops(NlSocket *s, const char *dst) {
        InPrefix p = prefix(dst);
        NlDump d = { 0 };
        size_t n = 0;

        EXPECT_INT(kernel_dump(s, NL_DUMP_ROUTES, &d), 0);
        for (size_t i = 0; i < d.n_routes; i++)
                if (d.routes[i].dst.length == p.length &&
                    in_addr_equal(&d.routes[i].dst.address, &p.address)) {
                        EXPECT(d.routes[i].ifindex && in_addr_is_set(&d.routes[i].gw));
                        n++;
                }
        kernel_dump_clear(&d);
        return n;
}

static void scenario_append(World *w) {
        int32_t i = (int32_t) attach(w).pod_ifindex;
        NlOp ready[] = { set("eth0", NL_LINK_ADDRGEN_NONE), set("eth0", NL_LINK_UP),
                         addr(NL_ADDR_ADD, i, "10.97.1.2/24"), addr(NL_ADDR_ADD, i, "fd97::2/64") };

        EXPECT_INT(kernel_apply(w->pod, ready, ELEMENTSOF(ready), &(NlApplied) { 0 }), 0);
        static const char *const dst[] = { "::/0", "10.98.0.0/16" };
        static const char *const gw[][2] = { { "fd97::1", "fd97::9" },
                                             { "10.97.1.1", "10.97.1.9" } };
        for (size_t k = 0; k < ELEMENTSOF(dst); k++) {
                NlOp first = route(NL_ROUTE_ADD, i, dst[k], gw[k][0], false);
                NlOp second = route(NL_ROUTE_ADD, i, dst[k], gw[k][1], false);
                EXPECT_INT(apply_one(w->pod, first), 0);
                EXPECT_INT(apply_one(w->pod, second), -EEXIST);
                second.route.append = true;
                EXPECT_INT(apply_one(w->pod, second), 0);
                EXPECT_INT(apply_one(w->pod, second), -EEXIST);
                EXPECT_INT(count_hops(w->pod, dst[k]), 2);
                second.type = NL_ROUTE_DEL;
                EXPECT_INT(apply_one(w->pod, second), 0);
                EXPECT_INT(count_hops(w->pod, dst[k]), 1);
        }
        EXPECT(ip_says(w, true, "-6 route", "default via fd97::1 dev eth0"));
}

/* A table of its own is only touched when it is named. */
static void scenario_table(World *w) {
        int32_t i = (int32_t) attach(w).pod_ifindex;
        NlOp own = route(NL_ROUTE_ADD, i, "10.98.0.0/16", NULL, false), gone = own;

        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        own.route.table = 100;
        EXPECT_INT(apply_one(w->pod, own), 0);
        gone.type = NL_ROUTE_DEL;
        EXPECT_INT(apply_one(w->pod, gone), -ESRCH);
        gone.route.table = 101;
        EXPECT_INT(apply_one(w->pod, gone), -ESRCH);
        gone.route.table = 100;
        EXPECT_INT(apply_one(w->pod, gone), 0);
}

static void scenario_dad(World *w) {
        int32_t i = (int32_t) attach(w).pod_ifindex;
        NlOp careful = addr(NL_ADDR_ADD, i, "fd97::2/64");

        careful.addr.dad = true;
        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        EXPECT_INT(apply_one(w->pod, careful), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, i, "fd97::3/64")), 0);
        NlDump d = dump(w->pod);
        const NlAddr *a = find_addr(&d, (uint32_t) i, "fd97::2/64");
        EXPECT(a && (a->flags & IFA_F_PERMANENT) && !(a->flags & IFA_F_NODAD));
        a = find_addr(&d, (uint32_t) i, "fd97::3/64");
        EXPECT(a && (a->flags & IFA_F_NODAD));
        kernel_dump_clear(&d);
}

BOTH(rules)
BOTH(nowhere)
BOTH(append)
BOTH(table)
BOTH(dad)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST_BOTH(rules), TEST_BOTH(nowhere), TEST_BOTH(append),
                TEST_BOTH(table), TEST_BOTH(dad),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
