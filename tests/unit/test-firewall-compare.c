/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rule tables of the real kernel against the model, in a namespace of the test's own: what is as it
 * was committed is no difference, whatever waits for the next commit; every damage by hand is one.
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
#include "policy/firewall.h"

#define EXIT_SKIP 77
#define EXPECT(x)                                                                                  \
        do                                                                                         \
                if (!(x)) {                                                                        \
                        fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #x);                    \
                        _exit(1);                                                                  \
                }                                                                                  \
        while (0)

static InAddr addr(const char *s) {
        InAddr a;
        EXPECT(in_addr_parse(s, &a) == 0);
        return a;
}

/* With every sort of element: sources, ports with and without an address, limits, masquerade. */
static int put(Firewall *f, unsigned i, uint64_t rate) {
        PolicyAttachment a = { .id = i,
                               .network = "net",
                               .sandbox = "box",
                               .ifname = "eth0",
                               .bridged = i % 2 == 0,
                               .masquerade = true,
                               .snat = true,
                               .from = { rate, 2000 },
                               .to = { 3000, 4000 } };
        char text[64];

        snprintf(a.host_ifname, sizeof(a.host_ifname), "nmg%u", i);
        snprintf(text, sizeof(text), "10.0.0.%u", i);
        InAddr addresses[2] = { addr(text) };
        snprintf(text, sizeof(text), "fd00::%u", i);
        addresses[1] = addr(text);
        PolicyPort ports[] = {
                { addr("0.0.0.0"), addresses[0], IPPROTO_TCP, (uint16_t) (1000 + i), 80 },
                { addr("fd00::ffff"), addresses[1], IPPROTO_UDP, (uint16_t) (1000 + i), 53 },
        };
        a.addresses = addresses;
        a.n_addresses = 2;
        a.ports = ports;
        a.n_ports = 2;
        return firewall_put(f, &a);
}

static void put_networks(Firewall *f) {
        InPrefix subnet;
        uint32_t allow[] = { 101 };
        PolicyCondition condition = { .what = POLICY_INPUT, .ifname = "eth0" };
        PolicyNetwork n = { .name = "net",
                            .group = 100,
                            .isolated = true,
                            .snat = true,
                            .allow = allow,
                            .n_allow = 1,
                            .subnets = &subnet,
                            .n_subnets = 1,
                            .excludes = &subnet,
                            .n_excludes = 1 };

        EXPECT(in_prefix_parse("10.0.0.0/16", &subnet) == 0);
        n.conditions[0] = &condition;
        n.n_conditions[0] = 1;
        EXPECT(firewall_put_network(f, &n) == 0);
}

static void on_found(const char *sentence, void *userdata) {
        char *all = userdata;

        EXPECT(strlen(all) + strlen(sentence) + 2 < 4096);
        strcat(strcat(all, sentence), "\n");
}

static const char *compare(const Firewall *f) {
        static char all[4096];
        _cleanup_error_ Error e = ERROR_NULL;

        all[0] = '\0';
        EXPECT(firewall_compare(f, on_found, all, &e) == 0);
        return all;
}

static void expect_none(const Firewall *f) {
        const char *found = compare(f);

        if (found[0])
                fprintf(stderr, "%s", found);
        EXPECT(!found[0]);
}

static Firewall *filled(unsigned n) {
        PolicyConfig config = { .node4 = addr("192.0.2.1") };
        _cleanup_error_ Error e = ERROR_NULL;
        NftSocket *socket;
        Firewall *f;

        if (nft_socket_open(-EBADF, &socket, &e) < 0)
                _exit(EXIT_SKIP);
        EXPECT(firewall_new(socket, &config, &f) == 0);
        put_networks(f);
        for (unsigned i = 1; i <= n; i++)
                EXPECT(put(f, i, 1000) == 0);
        EXPECT(firewall_commit(f, &e) == 0);
        return f;
}

/* What is not committed is not in the kernel, what is removed still is. */
static void pending(void) {
        Firewall *f = filled(4);

        expect_none(f);
        EXPECT(firewall_remove(f, 1) == 0);
        expect_none(f);
        EXPECT(put(f, 2, 7777) == 0);
        expect_none(f);
        EXPECT(put(f, 9, 1000) == 0 && firewall_remove(f, 9) == 0);
        expect_none(f);
        EXPECT(put(f, 8, 1000) == 0);
        expect_none(f);
        EXPECT(firewall_commit(f, NULL) == 0);
        expect_none(f);
        firewall_rollback(f);
        EXPECT(firewall_n_repairs(f) == 0);
        firewall_free(f);
}

/* More elements than one message holds. */
static void many(void) {
        Firewall *f = filled(250);

        expect_none(f);
        EXPECT(system("nft delete element inet netmgr_np ports '{ \"nmg77\" }'") == 0);
        EXPECT(strstr(compare(f), "set ports of table netmgr_np lacks 1 elements"));
        firewall_free(f);
}

static void damages(void) {
        static const struct {
                const char *command, *word;
        } damage[] = {
                { "nft flush ruleset", "table netmgr_np is missing" },
                { "nft delete table inet netmgr_nat", "table netmgr_nat is missing" },
                { "nft flush table inet netmgr_np", "table netmgr_np is missing, or empty" },
                { "nft flush set inet netmgr_np src4", "set src4" },
                { "nft flush map inet netmgr_nat host4", "set host4" },
                { "nft add element inet netmgr_np ports '{ \"foreign\" }'",
                  "1 that are not wanted" },
                { "nft delete element inet netmgr_np police_from '{ \"nmg1\" }'", "police_from" },
                { "nft delete element inet netmgr_np police_from '{ \"nmg1\" }' && nft add element "
                  "inet netmgr_np police_from '{ \"nmg1\" limit rate over 5 bytes/second burst 9 bytes }'",
                  "police_from" },
                { "nft add rule inet netmgr_np $(nft -j list chains inet | sed -n "
                  "'s/.*\"table\": \"netmgr_np\", \"name\": \"\\([^\"]*\\)\".*/\\1/p' | head -n1) accept",
                  "rules, wanted" },
        };
        Firewall *f = filled(4);

        for (size_t i = 0; i < ELEMENTSOF(damage); i++) {
                EXPECT(system(damage[i].command) == 0);
                const char *found = compare(f);
                if (!strstr(found, damage[i].word))
                        fprintf(stderr, "%s: found \"%s\"\n", damage[i].command, found);
                EXPECT(strstr(found, damage[i].word));
                firewall_distrust(f);
                EXPECT(firewall_commit(f, NULL) == 0);
                expect_none(f);
        }
        firewall_free(f);
}

static void run(void (*scenario)(void)) {
        int status;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0) {
                if ((unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) ||
                    system("unshare -n nft list ruleset >/dev/null 2>&1") != 0)
                        _exit(EXIT_SKIP);
                scenario();
                _exit(0);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SKIP)
                skip();
        assert_int_equal(status, 0);
}

static void test_pending(void **state) {
        run(pending);
}
static void test_many(void **state) {
        run(many);
}
static void test_damages(void **state) {
        run(damages);
}

int main(void) {
        const struct CMUnitTest tests[] = { cmocka_unit_test(test_pending),
                                            cmocka_unit_test(test_many),
                                            cmocka_unit_test(test_damages) };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
