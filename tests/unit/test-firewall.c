/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rule tables' model and transactions, on nftables in memory: every operation with every error before
 * and after it was carried out ends in the tables that a fresh build of the same model gives.
 */

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/parse.h"
#include "nft-fake.h"
#include "policy/element.h"
#include "policy/firewall.h"

static InAddr addr(const char *s) {
        InAddr a;
        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

typedef struct Example {
        PolicyAttachment a;
        InAddr addresses[2];
        PolicyPort ports[2];
} Example;

/* Attachment i with host port 1000 + port; of kind bridge when i is even. */
static const PolicyAttachment *example(Example *x, unsigned i, unsigned port) {
        char text[64];

        *x = (Example) { 0 };
        x->a = (PolicyAttachment) { .id = i,
                                    .network = "net",
                                    .sandbox = "box",
                                    .ifname = "eth0",
                                    .bridged = i % 2 == 0,
                                    .addresses = x->addresses,
                                    .n_addresses = 2,
                                    .ports = x->ports,
                                    .n_ports = 2,
                                    .masquerade = true,
                                    .snat = true,
                                    .from = { 1000, 2000 },
                                    .to = { 3000, 4000 } };
        snprintf(x->a.host_ifname, sizeof(x->a.host_ifname), "nmg%u", i);
        snprintf(text, sizeof(text), "10.0.0.%u", i);
        x->addresses[0] = addr(text);
        snprintf(text, sizeof(text), "fd00::%u", i);
        x->addresses[1] = addr(text);
        x->ports[0] = (PolicyPort) { addr("0.0.0.0"), x->addresses[0], IPPROTO_TCP,
                                     (uint16_t) (1000 + port), 80 };
        x->ports[1] = (PolicyPort) { addr("fd00::ffff"), x->addresses[1], IPPROTO_UDP,
                                     (uint16_t) (1000 + port), 53 };
        return &x->a;
}

/* On somebody else's bridge, with the addresses of attachment 1: two networks have the same subnet. */
static const PolicyAttachment *twin(Example *x, unsigned i) {
        Example first;

        (void) example(&first, 1, 1);
        (void) example(x, i, i);
        x->a.bridged = false;
        x->a.foreign = true;
        x->a.ingress = POLICY_INGRESS_INSIDE;
        x->a.masquerade_ports = true;
        snprintf(x->a.host_ifname, sizeof(x->a.host_ifname), "veth%u", i);
        snprintf(x->a.bridge, sizeof(x->a.bridge), "cni0");
        memcpy(x->addresses, first.addresses, sizeof(x->addresses));
        for (size_t k = 0; k < 2; k++)
                x->ports[k].target = x->addresses[k];
        return &x->a;
}

static PolicyNetwork example_network(const char *name, uint32_t group, const char *bridge,
                                     InPrefix *subnet) {
        PolicyNetwork n = { .name = name,
                            .group = group,
                            .isolated = true,
                            .snat = true,
                            .subnets = subnet,
                            .n_subnets = 1 };

        assert_int_equal(in_prefix_parse(bridge[0] ? "10.2.0.0/16" : "10.0.0.0/16", subnet), 0);
        snprintf(n.bridge, sizeof(n.bridge), "%s", bridge);
        return n;
}

static Firewall *firewall_on(NftFake *fake) {
        PolicyConfig config = { .owner = true, .node4 = addr("192.0.2.1") };
        Firewall *f;

        assert_int_equal(firewall_new(nft_fake_socket(fake), &config, &f), 0);
        return f;
}

static void fill(Firewall *f) {
        InPrefix s1, s2;
        PolicyNetwork n1 = example_network("net", 100, "", &s1),
                      n2 = example_network("br", 101, "br0", &s2);
        Example x;

        assert_int_equal(firewall_put_network(f, &n1), 0);
        assert_int_equal(firewall_put_network(f, &n2), 0);
        for (unsigned i = 1; i <= 4; i++)
                assert_int_equal(firewall_put(f, example(&x, i, i)), 0);
        for (unsigned i = 11; i <= 12; i++)
                assert_int_equal(firewall_put(f, twin(&x, i)), 0);
        assert_int_equal(firewall_commit(f, NULL), 0);
}

static void assert_same(const char *a, const char *b) {
        size_t i = 0, line = 0;

        while (a[i] && a[i] == b[i])
                if (a[i++] == '\n')
                        line = i;
        if (a[i] != b[i])
                fail_msg("found: %.300s\nwanted: %.300s", a + line, b + line);
}

/* The tables are what a build from nothing gives for the same model. */
static void assert_as_built(NftFake *fake, Firewall *f) {
        _cleanup_free_ char *now = nft_fake_dump(fake);

        assert_int_equal(firewall_sync(f, NULL), 0);
        _cleanup_free_ char *built = nft_fake_dump(fake);
        assert_same(now, built);
        assert_true(strlen(built) > 1000);
}

/* ---- operations ------------------------------------------------------------------------------- */

static void op_add(Firewall *f) {
        Example x;
        (void) firewall_put(f, example(&x, 9, 9));
}
static void op_remove(Firewall *f) {
        (void) firewall_remove(f, 1);
}
static void op_remove_twin(Firewall *f) {
        (void) firewall_remove(f, 11);
}
static void op_remove_twins(Firewall *f) {
        (void) firewall_remove(f, 12);
        (void) firewall_remove(f, 1);
        (void) firewall_remove(f, 11);
}
static void op_replace_twins(Firewall *f) {
        Example x;
        (void) firewall_remove(f, 11);
        (void) firewall_remove(f, 12);
        (void) firewall_put(f, twin(&x, 13));
        x.a.id = 12;
        x.a.n_ports = 0;
        x.a.ingress = POLICY_INGRESS_CLOSED;
        (void) firewall_put(f, &x.a);
}
static void op_adopt_bridge(Firewall *f) {
        InPrefix s;
        PolicyNetwork n = example_network("adopted", 103, "cni0", &s);
        (void) firewall_put_network(f, &n);
        (void) firewall_remove(f, 11);
        (void) firewall_remove(f, 12);
}
static void op_change_limit(Firewall *f) {
        Example x;
        (void) example(&x, 2, 2);
        x.a.to.rate = 77;
        (void) firewall_put(f, &x.a);
}
static void op_masquerade(Firewall *f) {
        Example x;
        (void) example(&x, 2, 2);
        x.a.masquerade = false;
        x.a.masquerade_ports = true;
        x.a.n_ports = 1;
        (void) firewall_put(f, &x.a);
}
static void op_twice(Firewall *f) {
        Example x;
        (void) firewall_put(f, example(&x, 3, 60)); /* an intermediate state that nobody sees */
        (void) firewall_put(f, example(&x, 3, 61));
        (void) firewall_put(f, example(&x, 8, 62));
        (void) firewall_remove(f, 8);
}
static void op_change_network(Firewall *f) {
        InPrefix s;
        PolicyNetwork n = example_network("net", 100, "", &s);
        assert_int_equal(in_prefix_parse("255.0.0.0/8", &s), 0); /* a range up to the top */
        n.isolated = n.snat = false;
        (void) firewall_put_network(f, &n);
}
static void op_move_port(Firewall *f) {
        Example x;
        (void) firewall_put(f, example(&x, 1, 50)); /* gives 1001 up, */
        (void) firewall_put(f, example(&x, 3, 1));  /* which is taken over */
}
static void op_replace(Firewall *f) {
        Example x;
        (void) firewall_remove(f, 4);
        (void) firewall_put(f, example(&x, 6, 4));
}
static void op_network(Firewall *f) {
        InPrefix s;
        PolicyNetwork n = example_network("new", 102, "", &s);
        uint32_t allow[] = { 100, 101 };
        assert_int_equal(in_prefix_parse("10.9.0.0/16", &s), 0);
        n.allow = allow;
        n.n_allow = 2;
        n.excludes = &s;
        n.n_excludes = 1;
        (void) firewall_put_network(f, &n);
}
static void op_drop_network(Firewall *f) {
        (void) firewall_remove_network(f, "br");
}
static void op_conditions(Firewall *f) {
        PolicyCondition c = { .what = POLICY_INPUT, .ifname = "eth0" };
        InPrefix s;
        PolicyNetwork n = example_network("net", 100, "", &s);
        Example x;

        n.conditions[0] = &c;
        n.n_conditions[0] = 1;
        (void) firewall_put_network(f, &n);
        (void) example(&x, 1, 1);
        x.a.condition_group = 100;
        (void) firewall_put(f, &x.a);
}
static void op_config(Firewall *f) {
        PolicyConfig config = { .owner = true, .node4 = addr("192.0.2.7") };
        firewall_set_config(f, &config);
}
static void op_distrust(Firewall *f) {
        firewall_distrust(f);
}

static const struct {
        const char *name;
        void (*run)(Firewall *f);
} operations[] = {
        { "add", op_add },
        { "remove", op_remove },
        { "remove a twin", op_remove_twin },
        { "remove twins", op_remove_twins },
        { "replace twins", op_replace_twins },
        { "adopt a bridge", op_adopt_bridge },
        { "limit", op_change_limit },
        { "masquerade", op_masquerade },
        { "twice", op_twice },
        { "move a port", op_move_port },
        { "replace", op_replace },
        { "network", op_network },
        { "change network", op_change_network },
        { "drop network", op_drop_network },
        { "conditions", op_conditions },
        { "config", op_config },
        { "distrust", op_distrust },
};

static void test_operations(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(operations); i++) {
                NftFake *fake = nft_fake_new();
                Firewall *f = firewall_on(fake);

                fill(f);
                operations[i].run(f);
                assert_int_equal(firewall_commit(f, NULL), 0);
                assert_int_equal(firewall_n_repairs(f), 0);
                assert_as_built(fake, f);
                firewall_free(f);
                nft_fake_free(fake);
        }
}

/* What the tables hold when nothing goes wrong; ops may be NULL. */
static char *wanted(void (*op)(Firewall *f)) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);

        fill(f);
        if (op)
                op(f);
        op_add(f);
        assert_int_equal(firewall_sync(f, NULL), 0);
        char *dump = nft_fake_dump(fake);
        firewall_free(f);
        nft_fake_free(fake);
        return dump;
}

static const int errors[] = { EBUSY,  ENOBUFS, EEXIST,     ENOENT,   EINTR,
                              ENOMEM, EPERM,   EOPNOTSUPP, ETIMEDOUT };

/* Each operation, each error, at the first send, at the second, at all of them; with the work done or
 * not. The commit succeeded or took its changes back, and the next one, of another attachment, ends in
 * the tables of that model. */
static void test_every_error(void **state) {
        for (size_t i = 0; i < ELEMENTSOF(operations); i++) {
                _cleanup_free_ char *done = wanted(operations[i].run), *undone = wanted(NULL);

                for (size_t k = 0; k < ELEMENTSOF(errors); k++)
                        for (unsigned how = 0; how < 6; how++) {
                                NftFake *fake = nft_fake_new();
                                Firewall *f = firewall_on(fake);
                                _cleanup_error_ Error e = ERROR_NULL;

                                fill(f);
                                operations[i].run(f);
                                if (how < 4)
                                        nft_fake_fail(fake, how / 2 + 1, errors[k], how % 2);
                                else
                                        nft_fake_fail_all(fake, errors[k], how % 2);
                                int r = firewall_commit(f, &e);
                                assert_true(how >= 4 ? r == -errors[k] : r >= 0);
                                assert_int_equal(e.kind, r < 0 ? ERROR_KERNEL : ERROR_NONE);
                                if (how >= 4)
                                        nft_fake_fail_all(fake, 0, false);
                                op_add(f);
                                assert_int_equal(firewall_commit(f, NULL), 0);
                                /* The configuration is no change that is taken back. */
                                _cleanup_free_ char *now = nft_fake_dump(fake);
                                assert_same(now, r < 0 && operations[i].run != op_config ? undone
                                                                                         : done);
                                assert_as_built(fake, f);
                                firewall_free(f);
                                nft_fake_free(fake);
                        }
        }
}

/* A first build that is disturbed once does not cost a feature. */
static void test_first_error(void **state) {
        for (size_t k = 0; k < ELEMENTSOF(errors); k++)
                for (unsigned after = 0; after < 2; after++) {
                        NftFake *fake = nft_fake_new();
                        Firewall *f = firewall_on(fake);

                        nft_fake_fail(fake, 1, errors[k], after);
                        assert_int_equal(firewall_sync(f, NULL), 0);
                        assert_true(firewall_features(f)->owner && firewall_features(f)->bridge);
                        assert_string_equal(firewall_features(f)->why, "");
                        firewall_free(f);
                        nft_fake_free(fake);
                }
}

/* Owner= is switched on in a kernel that cannot do it, which nobody had to find out before. */
static void test_owner_switched_on(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);
        PolicyConfig plain = { .owner = false }, owner = { .owner = true };

        nft_fake_refuse_owner(fake);
        firewall_set_config(f, &plain);
        fill(f);
        firewall_set_config(f, &owner);
        assert_int_equal(firewall_commit(f, NULL), 0);
        assert_false(firewall_features(f)->owner);
        assert_true(firewall_features(f)->bridge);
        firewall_free(f);
        nft_fake_free(fake);
}

/* A failure that does not go away: the changes are taken back, the next commit is as if they never were. */
static void test_rollback(void **state) {
        for (size_t i = 0; i + 2 < ELEMENTSOF(operations); i++) {
                NftFake *fake = nft_fake_new(), *other = nft_fake_new();
                Firewall *f = firewall_on(fake), *g = firewall_on(other);
                _cleanup_error_ Error e = ERROR_NULL;

                fill(f);
                fill(g);
                operations[i].run(f);
                nft_fake_fail_get_table(fake, EIO);
                nft_fake_fail(fake, 1, EIO, false);
                assert_true(firewall_commit(f, &e) < 0);
                assert_int_equal(e.kind, ERROR_KERNEL);
                nft_fake_fail_get_table(fake, 0);
                op_add(f);
                op_add(g);
                assert_int_equal(firewall_commit(f, NULL), 0);
                assert_int_equal(firewall_commit(g, NULL), 0);
                _cleanup_free_ char *a = nft_fake_dump(fake), *b = nft_fake_dump(other);
                assert_same(a, b);
                firewall_free(f);
                firewall_free(g);
                nft_fake_free(fake);
                nft_fake_free(other);
        }
}

static void test_foreign_flush(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);

        fill(f);
        nft_fake_flush(fake);
        op_remove(f);
        assert_int_equal(firewall_commit(f, NULL), 0);
        assert_int_equal(firewall_n_repairs(f), 1);
        assert_as_built(fake, f);
        firewall_free(f);
        nft_fake_free(fake);
}

static void test_features(void **state) {
        for (unsigned how = 0; how < 4; how++) {
                NftFake *fake = nft_fake_new();
                Firewall *f = firewall_on(fake);

                if (how & 1)
                        nft_fake_refuse_owner(fake);
                if (how & 2)
                        nft_fake_refuse_bridge(fake);
                fill(f);
                assert_true(firewall_features(f)->inet);
                assert_int_equal(firewall_features(f)->owner, !(how & 1));
                assert_int_equal(firewall_features(f)->bridge, !(how & 2));
                assert_int_equal(firewall_features(f)->why[0] != '\0', how != 0);
                /* Bridged attachments that cannot be held come and go without a repair. */
                op_change_limit(f);
                op_replace(f);
                assert_int_equal(firewall_commit(f, NULL), 0);
                assert_int_equal(firewall_n_repairs(f), 0);
                assert_as_built(fake, f);
                firewall_free(f);
                nft_fake_free(fake);
        }
}

static void test_foreign_owner(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);
        _cleanup_error_ Error e = ERROR_NULL;

        nft_fake_set_foreign_owner(fake, 99);
        assert_true(firewall_sync(f, &e) < 0);
        assert_int_equal(e.kind, ERROR_IN_USE);
        assert_non_null(strstr(error_message(&e), "99"));
        firewall_free(f);
        nft_fake_free(fake);
}

/* Two networks on one bridge share their elements: the first that goes leaves them to the other. */
static void test_shared_bridge(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);
        InPrefix s;
        PolicyNetwork n = example_network("second", 101, "br0", &s);

        fill(f);
        assert_int_equal(firewall_put_network(f, &n), 0);
        assert_int_equal(firewall_commit(f, NULL), 0);
        op_drop_network(f);
        assert_int_equal(firewall_commit(f, NULL), 0);
        assert_int_equal(firewall_n_repairs(f), 0);
        assert_as_built(fake, f);
        firewall_free(f);
        nft_fake_free(fake);
}

/* More elements than one message holds. */
static void test_many(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);
        _cleanup_free_ PolicyPort *ports = calloc(4096, sizeof(PolicyPort));
        Example x;

        fill(f);
        (void) example(&x, 9, 9);
        for (unsigned i = 0; i < 4096; i++)
                ports[i] = (PolicyPort) { addr("0.0.0.0"), x.addresses[0], IPPROTO_UDP,
                                          (uint16_t) (i + 1), 80 };
        x.a.ports = ports;
        x.a.n_ports = 4096;
        unsigned sends = nft_fake_n_sends(fake);
        assert_int_equal(firewall_put(f, &x.a), 0);
        assert_int_equal(firewall_commit(f, NULL), 0);
        assert_int_equal(nft_fake_n_sends(fake), sends + 1);
        assert_as_built(fake, f);
        assert_int_equal(firewall_remove(f, 9), 0);
        assert_int_equal(firewall_commit(f, NULL), 0);
        assert_int_equal(firewall_n_repairs(f), 0);
        firewall_free(f);
        nft_fake_free(fake);
}

/* Ranges of a thousand networks are more than one message holds, too. */
static void test_many_networks(void **state) {
        NftFake *fake = nft_fake_new();
        Firewall *f = firewall_on(fake);
        char name[16], text[32];

        for (unsigned i = 0; i < 1024; i++) {
                InPrefix s[2];
                snprintf(name, sizeof(name), "n%u", i);
                PolicyNetwork n = example_network(name, 1000 + i, "", &s[0]);
                snprintf(text, sizeof(text), "10.%u.%u.0/25", i / 256, i % 256);
                assert_int_equal(in_prefix_parse(text, &s[0]), 0);
                snprintf(text, sizeof(text), "fd%02x:%x::/64", i / 256, i);
                assert_int_equal(in_prefix_parse(text, &s[1]), 0);
                n.n_subnets = 2;
                n.subnets = s;
                assert_int_equal(firewall_put_network(f, &n), 0);
        }
        assert_int_equal(firewall_commit(f, NULL), 0);
        _cleanup_free_ char *dump = nft_fake_dump(fake);
        unsigned ranges = 0;
        for (const char *p = dump; (p = strstr(p, "netmgr_nat keep4 element")); p++)
                ranges++;
        assert_int_equal(ranges, 2 * 1024 + 2);
        assert_as_built(fake, f);
        firewall_free(f);
        nft_fake_free(fake);
}

/* ---- the real kernel -------------------------------------------------------------------------- */

#define EXIT_SKIP 77

/* In the child there is no cmocka: the first surprise ends it. */
#define EXPECT(condition)                                                                          \
        do {                                                                                       \
                if (!(condition)) {                                                                \
                        fprintf(stderr, "%s:%d: not %s\n", __FILE__, __LINE__, #condition);        \
                        _exit(1);                                                                  \
                }                                                                                  \
        } while (false)

/* What a command prints, errors included; it must succeed. */
static char *output_of(const char *command) {
        _cleanup_free_ char *line = strf("exec 2>&1; %s", command);
        FILE *in = popen(line, "re");
        char *s = NULL;
        size_t size = 0;

        EXPECT(in);
        if (getdelim(&s, &size, 0, in) < 0 && s)
                s[0] = 0;
        int status = pclose(in);
        if (status != 0)
                fprintf(stderr, "%s: status %d: %.2000s\n", command, status, strempty(s));
        EXPECT(status == 0 && s);
        return s;
}

/* nft reads our tables without a word of complaint and takes its own listing back. An owned table is
 * nobody else's, so that this is asked in another netns. */
static void expect_listing_round_trips(void) {
        _cleanup_free_ char *json = output_of("nft -j list ruleset >/dev/null"),
                            *text = output_of("nft -s list ruleset | grep -v -e '^# ' >fw.nft"),
                            *again = output_of("unshare -n nft -c -f fw.nft");

        EXPECT(!json[0] && !text[0] && !again[0]);
}

/* Element by element, whatever the order in which the kernel lists them. */
static char *listing(void) {
        return output_of("nft -s -j list ruleset | tr '{' '\\n' | sed 's/\"handle\": [0-9]*//g; "
                         "s/[]}, ]*$//' | sort");
}

static Firewall *real_firewall(bool owner) {
        PolicyConfig config = { .owner = owner, .node4 = addr("192.0.2.1") };
        NftSocket *s;
        Firewall *f;

        EXPECT(nft_socket_open(-EBADF, &s, NULL) >= 0);
        EXPECT(firewall_new(s, &config, &f) >= 0);
        return f;
}

static void real_operations(bool owner) {
        for (size_t i = 0; i < ELEMENTSOF(operations); i++) {
                Firewall *f = real_firewall(owner);
                _cleanup_error_ Error e = ERROR_NULL;

                fill(f);
                operations[i].run(f);
                if (firewall_commit(f, &e) < 0)
                        fprintf(stderr, "%s: %s\n", operations[i].name, error_message(&e));
                EXPECT(!error_is_set(&e) && firewall_n_repairs(f) == 0);
                expect_listing_round_trips();
                _cleanup_free_ char *changed = listing();
                EXPECT(firewall_sync(f, NULL) >= 0);
                _cleanup_free_ char *built = listing();
                if (!streq(changed, built))
                        fprintf(stderr, "%s: not as built\n", operations[i].name);
                EXPECT(streq(changed, built) && strstr(built, "netmgr_br"));
                firewall_free(f);
        }
}

/* 400 messages: more errors than a socket has room for. */
#define REAL_PORTS 65000

/* Answers that are too many for a socket: every message of a large transaction fails. */
static void real_flush(bool owner) {
        Firewall *f = real_firewall(owner);
        _cleanup_free_ PolicyPort *ports = calloc(REAL_PORTS, sizeof(PolicyPort));
        _cleanup_error_ Error e = ERROR_NULL;
        Example x;

        fill(f);
        (void) example(&x, 9, 9);
        for (unsigned i = 0; i < REAL_PORTS; i++)
                ports[i] = (PolicyPort) { addr("0.0.0.0"), x.addresses[0], IPPROTO_UDP,
                                          (uint16_t) (i + 1), 80 };
        x.a.ports = ports;
        x.a.n_ports = REAL_PORTS;
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_free_ char *gone = output_of("nft flush ruleset");
                EXPECT(!gone[0]);
                if (i % 2 == 0)
                        EXPECT(firewall_put(f, &x.a) >= 0);
                else
                        EXPECT(firewall_remove(f, 9) >= 0);
                if (firewall_commit(f, &e) < 0)
                        fprintf(stderr, "flush %u: %s\n", i, error_message(&e));
                EXPECT(!error_is_set(&e) && firewall_n_repairs(f) == i + 1);
        }
        firewall_free(f);
}

static void run_real(void (*scenario)(bool owner), bool owner) {
        char dir[] = "/tmp/test-firewall-XXXXXX";
        int status;

        assert_non_null(mkdtemp(dir));
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                EXPECT(chdir(dir) >= 0);
                if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
                    system("unshare -n nft list ruleset >/dev/null 2>&1") != 0)
                        _exit(EXIT_SKIP);
                scenario(owner);
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        _cleanup_free_ char *file = strf("%s/fw.nft", dir);
        (void) unlink(file);
        (void) rmdir(dir);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
                skip();
        assert_int_equal(status, 0);
}

static void test_real_owned(void **state) {
        run_real(real_operations, true);
}
static void test_real_plain(void **state) {
        run_real(real_operations, false);
}
static void test_real_flush(void **state) {
        run_real(real_flush, false);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_operations),    cmocka_unit_test(test_every_error),
                cmocka_unit_test(test_first_error),   cmocka_unit_test(test_owner_switched_on),
                cmocka_unit_test(test_rollback),      cmocka_unit_test(test_foreign_flush),
                cmocka_unit_test(test_features),      cmocka_unit_test(test_foreign_owner),
                cmocka_unit_test(test_shared_bridge), cmocka_unit_test(test_many),
                cmocka_unit_test(test_many_networks), cmocka_unit_test(test_real_owned),
                cmocka_unit_test(test_real_plain),    cmocka_unit_test(test_real_flush),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
