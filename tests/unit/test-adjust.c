/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What tuning, sbr and vrf make of a specification and of a sandbox: decided from a dump, found missing,
 * mended, rolled back and undone, in both kernels (see nl-world.h); its JSON; the list of allowed sysctls.
 */

#include <linux/rtnetlink.h>
#include <net/if.h>

#include "nl-world.h"

#include "base/json.h"
#include "core/adjust.h"
#include "core/sysctl-allow.h"

#define NO_TUNING ((NetTuning) { .promisc = -1, .allmulti = -1, .tx_queue_len = -1 })

/* ---- a sandbox with addresses and routes ---------------------------------------------------------- */

typedef struct Box {
        AttachmentSpec spec;
        NetConf conf;
        CniArgs args;
        CniInterface interface;
        CniIp ips[3];
        CniOwnedResult prev;
        NlDump seen;
} Box;

static void look(World *w, Box *b) {
        kernel_dump_clear(&b->seen);
        EXPECT_INT(kernel_dump(w->pod, ADJUST_DUMP, &b->seen), 0);
        compare_index(&b->seen);
}

/* eth0 with two addresses of IPv4 in two subnets and one of IPv6, and routes of each. */
static void furnish(World *w, Box *b, NetPlugin plugin) {
        NlApplied applied = attach(w);
        int32_t eth0 = (int32_t) applied.pod_ifindex;

        EXPECT_INT(apply_one(w->pod, set("eth0", NL_LINK_UP)), 0);
        EXPECT_INT(apply_one(w->host, set("nmg1", NL_LINK_UP)), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, eth0, "10.1.0.5/24")), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, eth0, "10.2.0.5/24")), 0);
        EXPECT_INT(apply_one(w->pod, addr(NL_ADDR_ADD, eth0, "fd01::5/64")), 0);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, eth0, "10.77.0.0/16", "10.1.0.1", false)),
                   0);
        EXPECT_INT(apply_one(w->pod, route(NL_ROUTE_ADD, eth0, "fd77::/64", "fd01::1", false)), 0);

        *b = (Box) { .spec = { .kind = NET_KIND_FOREIGN, .ifname = "eth0" },
                     .conf = { .plugin = plugin, .tuning = NO_TUNING, .sbr.table = -1 },
                     .interface = { .name = "eth0", .sandbox = "/x" } };
        static const char *const cidrs[] = { "10.1.0.5/24", "10.2.0.5/24", "fd01::5/64" };
        static const char *const gateways[] = { "10.1.0.1", "10.2.0.1", "fd01::1" };
        for (size_t i = 0; i < ELEMENTSOF(cidrs); i++)
                b->ips[i] = (CniIp) { .address = prefix(cidrs[i]),
                                      .gateway = address(gateways[i]) };
        b->prev = (CniOwnedResult) { .interfaces = &b->interface,
                                     .n_interfaces = 1,
                                     .ips = b->ips,
                                     .n_ips = ELEMENTSOF(cidrs) };
        look(w, b);
}

static int decide(Box *b, Error *e) {
        return adjust_decide(&b->spec, &b->conf, &b->args, &b->prev, &b->seen, e);
}

static void apply(World *w, Box *b) {
        _cleanup_error_ Error error = ERROR_NULL;

        int r = adjust_apply(w->pod, &b->spec, &b->seen, &error);
        if (r < 0)
                fprintf(stderr, "%s\n", error_message(&error));
        EXPECT_INT(r, 0);
}

static size_t count_differences(World *w, Box *b, bool whole) {
        Differences l = { 0 };

        look(w, b);
        EXPECT(!adjust_compare(&b->spec, &b->seen, compare_find_link(&b->seen, "eth0"), whole, &l));
        size_t n = l.n;
        differences_clear(&l);
        return n;
}

static void drop(Box *b) {
        kernel_dump_clear(&b->seen);
        spec_clear(&b->spec);
}

/* ---- tuning ---------------------------------------------------------------------------------------- */

static void scenario_tuning(World *w) {
        _cleanup_error_ Error error = ERROR_NULL;
        Box b;

        furnish(w, &b, NET_PLUGIN_TUNING);
        NlLink was = link_of(w->pod, "eth0");
        b.conf.tuning = (NetTuning) { .mac = { { 2, 0, 0, 0, 0, 0x77 } },
                                      .mtu = 1450,
                                      .promisc = 1,
                                      .allmulti = 1,
                                      .tx_queue_len = 321 };
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT(b.spec.mac.bytes[5] == 0x77);
        EXPECT(memcmp(&b.spec.adjust.before.mac, &was.mac, sizeof(was.mac)) == 0);
        EXPECT_INT(b.spec.adjust.before.mtu, was.mtu);
        EXPECT_INT(b.spec.adjust.before.promisc, 0);
        EXPECT_INT(b.spec.adjust.before.tx_queue_len, was.txqlen);
        EXPECT_INT(count_differences(w, &b, true), 5);
        apply(w, &b);
        EXPECT_INT(count_differences(w, &b, true), 0);
        EXPECT(ip_says(w, true, "-d link show eth0", "<.*ALLMULTI,PROMISC.* mtu 1450 .* qlen 321"));
        EXPECT(ip_says(w, true, "link show eth0", "02:00:00:00:00:77"));

        /* A second tuning of the chain: what was there before the first one is what comes back. */
        b.conf.tuning = NO_TUNING;
        b.conf.tuning.mtu = 1300;
        EXPECT_INT(decide(&b, &error), 0);
        apply(w, &b);
        EXPECT_INT(link_of(w->pod, "eth0").mtu, 1300);
        EXPECT_INT(b.spec.adjust.before.mtu, was.mtu);

        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        NlLink now = link_of(w->pod, "eth0");
        EXPECT(memcmp(&now.mac, &was.mac, sizeof(was.mac)) == 0);
        EXPECT_INT(now.mtu, was.mtu);
        EXPECT_INT(now.txqlen, was.txqlen);
        EXPECT_INT(now.flags & (IFF_PROMISC | IFF_ALLMULTI), 0);
        drop(&b);
}

/* An interface that goes with its DEL is not set back. */
static void scenario_tuning_ours(World *w) {
        _cleanup_error_ Error error = ERROR_NULL;
        Box b;

        furnish(w, &b, NET_PLUGIN_TUNING);
        b.spec.kind = NET_KIND_BRIDGE;
        b.conf.tuning.mtu = 1450;
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT(!adjust_outlives(&b.spec));
        EXPECT_INT(spec_sandbox_mtu(&b.spec), 1450);
        apply(w, &b);
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        EXPECT_INT(link_of(w->pod, "eth0").mtu, 1450);
        drop(&b);
}

static void scenario_tuning_refused(World *w) {
        _cleanup_error_ Error error = ERROR_NULL, second = ERROR_NULL;
        Box b;

        furnish(w, &b, NET_PLUGIN_TUNING);
        b.conf.tuning.mtu = 1000;
        EXPECT(decide(&b, &error) < 0);
        EXPECT(strstr(error_message(&error), "fd01::5"));
        b.conf.tuning = NO_TUNING;
        b.conf.tuning.mac = (MacAddr) { { 1, 0, 0x5e, 0, 0, 1 } };
        EXPECT(decide(&b, &second) < 0);
        EXPECT(strstr(error_message(&second), "01:00:5e:00:00:01"));
        EXPECT(!b.spec.adjust.has_tuning);
        drop(&b);
}

/* ---- sbr ------------------------------------------------------------------------------------------- */

static bool route_in(const NlDump *d, uint32_t table, const char *dst, const char *gw) {
        InPrefix p = prefix(dst);

        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].table == table && d->routes[i].dst.length == p.length &&
                    in_addr_equal(&d->routes[i].dst.address, &p.address) &&
                    (gw ? in_addr_is_set(&d->routes[i].gw) &&
                                                     streq(IN_ADDR_STR(&d->routes[i].gw), gw)
                        : !in_addr_is_set(&d->routes[i].gw)))
                        return true;
        return false;
}

static size_t rules_with_source(const NlDump *d) {
        size_t n = 0;

        for (size_t i = 0; i < d->n_rules; i++)
                n += d->rules[i].has_src;
        return n;
}

static void scenario_sbr(World *w) {
        _cleanup_error_ Error error = ERROR_NULL;
        AttachmentSpec before = { .kind = NET_KIND_FOREIGN, .ifname = "eth0" };
        NlDump first;
        Box b;

        furnish(w, &b, NET_PLUGIN_SBR);
        /* Somebody has 100 already. */
        EXPECT_INT(apply_one(w->pod, rule(NL_RULE_ADD, "192.0.2.7/32", 100, 0)), 0);
        look(w, &b);
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT_INT(b.spec.adjust.n_rules, 3);
        EXPECT_INT(b.spec.adjust.rules[0].table, 101);
        EXPECT_INT(b.spec.adjust.rules[2].table, 103);
        first = b.seen;
        b.seen = (NlDump) { 0 };
        apply(w, &b);
        EXPECT_INT(count_differences(w, &b, true), 0);
        EXPECT(route_in(&b.seen, 101, "0.0.0.0/0", "10.1.0.1"));
        EXPECT(route_in(&b.seen, 101, "10.1.0.0/24", NULL));
        EXPECT(route_in(&b.seen, 101, "10.77.0.0/16", "10.1.0.1"));
        EXPECT(route_in(&b.seen, 102, "10.2.0.0/24", NULL));
        EXPECT(!route_in(&b.seen, 102, "10.1.0.0/24", NULL));
        EXPECT(route_in(&b.seen, 103, "fd77::/64", "fd01::1"));
        EXPECT(route_in(&b.seen, 103, "::/0", "fd01::1"));
        EXPECT(!route_in(&b.seen, RT_TABLE_MAIN, "10.1.0.0/24", NULL));
        EXPECT(!route_in(&b.seen, RT_TABLE_MAIN, "fd01::/64", NULL));
        EXPECT(ip_says(w, true, "rule", "from 10.2.0.5 lookup 102"));
        EXPECT(ip_says(w, true, "-6 rule", "from fd01::5 lookup 103"));

        /* The same again changes nothing. */
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT_INT(b.spec.adjust.n_rules, 3);
        EXPECT_INT(rules_with_source(&b.seen), 4);

        adjust_roll_back(w->pod, &b.spec, &before, &first);
        look(w, &b);
        EXPECT_INT(rules_with_source(&b.seen), 1);
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "10.1.0.0/24", NULL));
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "10.77.0.0/16", "10.1.0.1"));
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "fd77::/64", "fd01::1"));
        EXPECT(!route_in(&b.seen, 101, "10.1.0.0/24", NULL));
        EXPECT(!route_in(&b.seen, 101, "0.0.0.0/0", "10.1.0.1"));

        /* And from there on once more; then the end, which leaves others' rules alone. */
        apply(w, &b);
        EXPECT_INT(count_differences(w, &b, true), 0);
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        look(w, &b);
        EXPECT_INT(rules_with_source(&b.seen), 1);
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        kernel_dump_clear(&first);
        drop(&b);
}

/* A table that somebody else fills; static gateways; hints. */
static void scenario_sbr_keys(World *w) {
        _cleanup_error_ Error error = ERROR_NULL;
        Box b;

        furnish(w, &b, NET_PLUGIN_SBR);
        b.conf.sbr.table = 5000;
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT_INT(b.spec.adjust.n_rules, 3);
        EXPECT_INT(b.spec.adjust.rules[1].table, 5000);
        EXPECT_INT(b.spec.adjust.n_routes, 0);
        EXPECT(!spec_routes_moved(&b.spec, AF_INET));
        apply(w, &b);
        look(w, &b);
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "10.1.0.0/24", NULL));
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        spec_clear(&b.spec);

        b.spec = (AttachmentSpec) { .kind = NET_KIND_FOREIGN, .ifname = "eth0" };
        b.conf.sbr = (NetSbr) { .table = -1,
                                .gateway4 = address("10.1.0.9"),
                                .add_source_hints = true };
        b.prev.n_ips = 1;
        look(w, &b);
        EXPECT_INT(decide(&b, &error), 0);
        apply(w, &b);
        EXPECT_INT(count_differences(w, &b, true), 0);
        EXPECT(route_in(&b.seen, 100, "0.0.0.0/0", "10.1.0.9"));
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "10.1.0.0/24", NULL));
        EXPECT(!route_in(&b.seen, RT_TABLE_MAIN, "10.77.0.0/16", "10.1.0.1"));
        /* Of IPv6 there is no rule, so its routes stay. */
        EXPECT(route_in(&b.seen, RT_TABLE_MAIN, "fd77::/64", "fd01::1"));

        b.interface.name = "other";
        spec_clear(&b.spec);
        b.spec = (AttachmentSpec) { .kind = NET_KIND_FOREIGN, .ifname = "eth0" };
        EXPECT(decide(&b, &error) < 0);
        EXPECT(strstr(error_message(&error), "prevResult.ips"));
        drop(&b);
}

/* ---- vrf ------------------------------------------------------------------------------------------- */

static void scenario_vrf(World *w) {
        _cleanup_error_ Error error = ERROR_NULL, refused = ERROR_NULL;
        NlLinkFeatures f = features(w);
        Box b;

        if (!f.vrf)
                skip_scenario("this kernel has no vrf");
        furnish(w, &b, NET_PLUGIN_VRF);
        snprintf(b.conf.vrf.name, sizeof(b.conf.vrf.name), "blue");
        EXPECT_INT(decide(&b, &error), 0);
        EXPECT_INT(b.spec.adjust.vrf_table, 1);
        apply(w, &b);
        EXPECT_INT(count_differences(w, &b, true), 0);
        EXPECT(streq(link_of(w->pod, "blue").kind, "vrf"));
        EXPECT_INT(link_of(w->pod, "eth0").master, link_of(w->pod, "blue").ifindex);
        EXPECT(find_addr(&b.seen, link_of(w->pod, "eth0").ifindex, "fd01::5/64"));
        EXPECT(route_in(&b.seen, 1, "10.77.0.0/16", "10.1.0.1"));
        EXPECT(route_in(&b.seen, 1, "fd77::/64", "fd01::1"));

        /* It is there with another table. */
        b.conf.vrf.table = 7;
        EXPECT(decide(&b, &refused) < 0);
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        expect_gone(w->pod, "blue");
        EXPECT_INT(link_of(w->pod, "eth0").master, 0);
        EXPECT_INT(adjust_undo(w->pod, &b.spec), 0);
        drop(&b);
}

/* ---- the ledger's JSON ------------------------------------------------------------------------------ */

static void test_json(void **state _unused_) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_free_ char *text = NULL, *again = NULL;
        AttachmentSpec s = { .cni_name = strdup("n"), .ifname = "eth0" }, back = { 0 };
        size_t allocated = 0;

        s.adjust.has_tuning = true;
        s.adjust.tuned = (NetTuning) {
                .mac = { { 2, 1, 1, 1, 1, 1 } }, .promisc = 0, .allmulti = -1, .tx_queue_len = 0
        };
        s.adjust.before = (NetTuning) {
                .mac = { { 2, 2, 2, 2, 2, 2 } }, .promisc = 1, .allmulti = -1, .tx_queue_len = 1000
        };
        s.adjust.rules = new0(AdjustRule, 1);
        s.adjust.rules[s.adjust.n_rules++] = (AdjustRule) { address("fd00::1"), 4294967295U };
        AdjustRoute r = { .route = { .dst = prefix("10.0.0.0/8"),
                                     .gw = address("10.0.0.1"),
                                     .table = 100,
                                     .priority = 5,
                                     .scope = RT_SCOPE_LINK },
                          .prefsrc = address("10.0.0.2"),
                          .onlink = true };
        assert_int_equal(adjust_add_route(&s.adjust, &allocated, &r), 0);
        assert_int_equal(adjust_add_route(&s.adjust, &allocated, &r), 0);
        assert_int_equal(s.adjust.n_routes, 1);
        s.adjust.routes_moved = s.adjust.has_sysctls = true;
        s.sysctls = new0(NetSysctl, 1);
        s.sysctls[s.n_sysctls++] = (NetSysctl) { strdup("net/core/somaxconn"), strdup("7") };
        snprintf(s.adjust.vrf, sizeof(s.adjust.vrf), "blue");
        s.adjust.vrf_table = 9;

        assert_int_equal(spec_to_json(&s, &text), 0);
        assert_int_equal(spec_from_json(text, &back, &error), 0);
        assert_int_equal(spec_to_json(&back, &again), 0);
        assert_string_equal(text, again);
        assert_memory_equal(&back.mac, &s.adjust.tuned.mac, sizeof(back.mac));
        assert_int_equal(back.adjust.tuned.promisc, 0);
        assert_int_equal(back.adjust.tuned.allmulti, -1);
        assert_true(back.adjust.routes[0].onlink);
        spec_clear(&s);
        spec_clear(&back);
}

/* ---- allowed sysctls -------------------------------------------------------------------------------- */

static void expect_translation(const char *from, const char *to) {
        _cleanup_free_ char *text = NULL;

        int r = sysctl_allow_translate(from, &text);
        if (!to)
                assert_int_equal(r, -EINVAL);
        else {
                assert_int_equal(r, 0);
                assert_string_equal(text, to);
        }
}

static void test_translate(void **state _unused_) {
        expect_translation("^net\\.core\\.[a-z_]*$", "^net\\.core\\.[a-z_]*$");
        expect_translation("\\d+", "[0-9]+");
        expect_translation("[\\d\\w.\\-]", "[0-9A-Za-z0-9_.[.-.]]");
        expect_translation("[]a]", "[]a]");
        expect_translation("[^]a]", "[^]a]");
        expect_translation("[[:digit:]x[]", "[[:digit:]x[.[.]]");
        expect_translation("(?:a|b)*?c??", "(a|b)*c?");
        expect_translation("\\Ax\\z", "^x$");
        expect_translation("a?b", "a?b");
        expect_translation("\\w\\S", "\\w\\S");
        expect_translation("(?i)net", NULL);
        expect_translation("\\pL", NULL);
        expect_translation("[\\n]", NULL);
        expect_translation("[a", NULL);
        expect_translation("[[:digit", NULL);
        expect_translation("a\\", NULL);
        expect_translation("[a\\", NULL);
        expect_translation("", "");
}

static int allowed(const char *list, const char *name, Error *e) {
        char path[] = "/tmp/test-adjust.XXXXXX";
        NetSysctl s = { (char *) name, (char *) "1" };
        int fd = mkstemp(path);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, list, strlen(list)), strlen(list));
        close(fd);
        int r = sysctl_allow_check(path, &s, 1, e);
        unlink(path);
        return r;
}

static void test_allowed(void **state _unused_) {
        static const char *const name = "net/ipv4/conf/IFNAME/arp_filter";
        static const char *const good[] = {
                "^net.ipv4.conf.IFNAME.[a-z_]*$",
                "\n\n  ^net\\.ipv4\\.conf\\.IFNAME\\.arp_filter$  \r\n",
                "^net/ipv4/conf/IFNAME/arp_filter$",
                "nothing\narp_filter",
                "^net\\.(ipv4|ipv6)\\.conf\\.\\w+?\\.arp_filter$",
        };
        static const char *const bad[] = {
                "",  "\n\n",           "^net.core", "^arp_filter", "arp_filter.",
                "(", "(?i)NET.IPV4.*", "# all",
        };
        NetSysctl s = { (char *) name, (char *) "1" };
        Error error = ERROR_NULL;

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_int_equal(allowed(good[i], name, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_true(allowed(bad[i], name, &error) < 0);
                assert_true(error_is_set(&error));
                error_clear(&error);
        }
        assert_true(allowed("^net.core", name, &error) < 0);
        assert_non_null(strstr(error_message(&error), "net.ipv4.conf.IFNAME.arp_filter"));
        error_clear(&error);
        /* An interface with a dot keeps it, in either spelling. */
        assert_int_equal(allowed("^net/ipv4/conf/eth0\\.7/arp_filter$",
                                 "net/ipv4/conf/eth0.7/arp_filter", NULL),
                         0);
        /* No file: everything; one that cannot be read: nothing. */
        assert_int_equal(sysctl_allow_check("/nonexistent/allowlist.conf", &s, 1, NULL), 0);
        assert_true(sysctl_allow_check("/proc/self", &s, 1, NULL) < 0);
        assert_int_equal(sysctl_allow_check("/proc/self", &s, 0, NULL), 0);
}

BOTH(tuning)
BOTH(tuning_ours)
BOTH(tuning_refused)
BOTH(sbr)
BOTH(sbr_keys)
BOTH(vrf)

int main(void) {
        const struct CMUnitTest tests[] = {
                TEST_BOTH(tuning),
                TEST_BOTH(tuning_ours),
                TEST_BOTH(tuning_refused),
                TEST_BOTH(sbr),
                TEST_BOTH(sbr_keys),
                TEST_BOTH(vrf),
                cmocka_unit_test(test_json),
                cmocka_unit_test(test_translate),
                cmocka_unit_test(test_allowed),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
