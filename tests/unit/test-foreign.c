/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * foreign.h and nft-monitor.h against tables that nft makes in a network namespace of its own.
 * Skipped with the reason where there is no namespace or no nft.
 */

#include <arpa/inet.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include "base/parse.h"
#include "policy/foreign.h"
#include "policy/nft-monitor.h"

static int nft(const char *rules) {
        FILE *f = popen("nft -f -", "w");

        assert_non_null(f);
        assert_true(fputs(rules, f) >= 0);
        return pclose(f);
}

static int setup(void **state) {
        static bool ready = true;

        *state = NULL;
        if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0)
                fprintf(stderr, "skipped: no network namespace for this test: %s\n",
                        strerror(errno));
        else if (nft("add table ip probe; delete table ip probe\n") != 0)
                fprintf(stderr, "skipped: nft cannot make a table here\n");
        else
                *state = &ready;
        return 0;
}

static int flush(void **state) {
        if (*state)
                assert_int_equal(nft("flush ruleset\n"), 0);
        return 0;
}

/* A transaction of this process, through `nl`, of one message whose attributes `fill` puts. */
static void transact(struct mnl_socket *nl, uint16_t type,
                     void (*fill)(struct nlmsghdr *h, const char *table, const char *chain),
                     const char *table, const char *chain) {
        uint8_t buffer[1024], answer[8192], *at = buffer;

        for (int i = 0; i < 3; i++) {
                const uint16_t types[] = { NFNL_MSG_BATCH_BEGIN, NFNL_SUBSYS_NFTABLES << 8 | type,
                                           NFNL_MSG_BATCH_END };
                struct nlmsghdr *h = mnl_nlmsg_put_header(at);
                h->nlmsg_type = types[i];
                h->nlmsg_flags = (uint16_t) (NLM_F_REQUEST |
                                             (i == 1 ? NLM_F_CREATE | NLM_F_ACK : 0));
                h->nlmsg_seq = (uint32_t) i + 1;
                struct nfgenmsg *nfg = mnl_nlmsg_put_extra_header(h, sizeof(*nfg));
                nfg->nfgen_family = i == 1 ? NFPROTO_IPV4 : AF_UNSPEC;
                nfg->res_id = htons(i == 1 ? 0 : NFNL_SUBSYS_NFTABLES);
                if (i == 1)
                        fill(h, table, chain);
                at += h->nlmsg_len;
        }
        assert_true(mnl_socket_sendto(nl, buffer, (size_t) (at - buffer)) > 0);
        ssize_t n = mnl_socket_recvfrom(nl, answer, sizeof(answer));
        assert_true(n > 0);
        assert_int_equal(mnl_cb_run(answer, (size_t) n, 2, mnl_socket_get_portid(nl), NULL, NULL),
                         0);
}

static void put_table(struct nlmsghdr *h, const char *table, const char *chain _unused_) {
        mnl_attr_put_strz(h, NFTA_TABLE_NAME, table);
}

static void put_dropping_chain(struct nlmsghdr *h, const char *table, const char *chain) {
        mnl_attr_put_strz(h, NFTA_CHAIN_TABLE, table);
        mnl_attr_put_strz(h, NFTA_CHAIN_NAME, chain);
        struct nlattr *hook = mnl_attr_nest_start(h, NFTA_CHAIN_HOOK);
        mnl_attr_put_u32(h, NFTA_HOOK_HOOKNUM, htonl(NF_INET_FORWARD));
        mnl_attr_put_u32(h, NFTA_HOOK_PRIORITY, 0);
        mnl_attr_nest_end(h, hook);
        mnl_attr_put_u32(h, NFTA_CHAIN_POLICY, htonl(NF_DROP));
        mnl_attr_put_strz(h, NFTA_CHAIN_TYPE, "filter");
}

static void add_table(struct mnl_socket *nl, const char *name) {
        transact(nl, NFT_MSG_NEWTABLE, put_table, name, NULL);
}

static void add_dropping_chain(struct mnl_socket *nl, const char *table, const char *chain) {
        transact(nl, NFT_MSG_NEWCHAIN, put_dropping_chain, table, chain);
}

/* ---- chains ----------------------------------------------------------------------------------- */

static ForeignChain *list(size_t *ret_n) {
        _cleanup_error_ Error e = ERROR_NULL;
        ForeignChain *chains = NULL;

        *ret_n = 0;
        if (foreign_chains_list(&chains, ret_n, &e) < 0)
                fail_msg("%s", error_message(&e));
        return chains;
}

static void expect(const char *rules, const ForeignChain *wanted) {
        size_t n;

        if (nft(rules) != 0)
                fail_msg("nft refused: %s", rules);
        _cleanup_free_ ForeignChain *chains = list(&n);
        assert_int_equal(n, wanted ? 1 : 0);
        if (wanted) {
                assert_int_equal(chains[0].family, wanted->family);
                assert_string_equal(chains[0].table, wanted->table);
                assert_string_equal(chains[0].chain, wanted->chain);
                assert_int_equal(chains[0].firewall, wanted->firewall);
        } else
                assert_null(chains);
        assert_int_equal(nft("flush ruleset\n"), 0);
        free(list(&n));
        assert_int_equal(n, 0);
}

#define FORWARD(policy) "type filter hook forward priority 0; policy " policy "; "

static void test_chains(void **state) {
        static const struct {
                const char *rules;
                ForeignChain wanted;
        } cases[] = {
                { "table ip filter { chain FORWARD { " FORWARD("drop") "}\n }",
                  { NFPROTO_IPV4, "filter", "FORWARD", FOREIGN_OTHER } },
                { "table ip6 filter { chain FORWARD { " FORWARD("drop") "}\n }",
                  { NFPROTO_IPV6, "filter", "FORWARD", FOREIGN_OTHER } },
                { "table inet own { chain hold { " FORWARD("drop") "}\n }",
                  { NFPROTO_INET, "own", "hold", FOREIGN_OTHER } },
                { "table bridge filter { chain FORWARD { " FORWARD("drop") "}\n }",
                  { NFPROTO_BRIDGE, "filter", "FORWARD", FOREIGN_OTHER } },
                { "table ip filter { chain FORWARD { " FORWARD(
                                  "drop") "}\n chain DOCKER-USER { }\n }",
                  { NFPROTO_IPV4, "filter", "FORWARD", FOREIGN_DOCKER } },
                { "table ip filter { chain FORWARD { " FORWARD(
                                  "drop") "}\n"
                                          "chain ufw-before-forward { }\n }",
                  { NFPROTO_IPV4, "filter", "FORWARD", FOREIGN_UFW } },
                /* Chains of another table or family say nothing about this one. */
                { "table ip filter { chain FORWARD { " FORWARD(
                                  "drop") "}\n }\n"
                                          "table ip6 filter { chain DOCKER-USER { }\n chain ufw6-x { }\n }\n"
                                          "table ip other { chain DOCKER-USER { }\n }",
                  { NFPROTO_IPV4, "filter", "FORWARD", FOREIGN_OTHER } },
                /* As firewalld 1.3 does it: policy accept, and a last rule that rejects. */
                { "table inet firewalld { chain filter_FORWARD { " FORWARD(
                                  "accept") "ct state established accept\n reject with icmpx admin-prohibited\n }\n }",
                  { NFPROTO_INET, "firewalld", "filter_FORWARD", FOREIGN_FIREWALLD } },
                { "table inet firewalld_policy_drop { chain filter_forward { " FORWARD(
                                  "drop") "}\n }",
                  { NFPROTO_INET, "firewalld_policy_drop", "filter_forward", FOREIGN_FIREWALLD } },
        };

        if (!*state)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                expect(cases[i].rules, &cases[i].wanted);
}

static void test_not_foreign(void **state) {
        static const char *const rules[] = {
                "table ip filter { chain FORWARD { " FORWARD("accept") "}\n }",
                "table ip filter { chain INPUT { type filter hook input priority 0; policy drop; }\n }",
                "table ip filter { chain FORWARD { drop; }\n }",
                "table ip filter { chain DOCKER-USER { }\n chain ufw-before-forward { }\n }",
                "table inet firewalld { chain filter_INPUT { type filter hook input priority 0; }\n }",
                "table inet netmgr_np { chain forward { " FORWARD("drop") "}\n }",
        };

        if (!*state)
                skip();
        for (size_t i = 0; i < ELEMENTSOF(rules); i++)
                expect(rules[i], NULL);
}

static void test_two(void **state) {
        size_t n;

        if (!*state)
                skip();
        assert_int_equal(nft("table ip a { chain f { " FORWARD(
                                         "drop") "}\n }\n"
                                                 "table ip6 b { chain f { " FORWARD(
                                                                 "drop") "}\n }"),
                         0);
        free(list(&n));
        assert_int_equal(n, 2);
        assert_int_equal(nft("delete table ip a\n"), 0);
        _cleanup_free_ ForeignChain *chains = list(&n);
        assert_int_equal(n, 1);
        assert_string_equal(chains[0].table, "b");
}

static void test_sentences(void **state _unused_) {
        static const char *const words[] = { [FOREIGN_OTHER] = "nmg*",
                                             [FOREIGN_DOCKER] = "DOCKER-USER",
                                             [FOREIGN_FIREWALLD] = "--zone=trusted",
                                             [FOREIGN_UFW] = "ufw route allow" };

        for (size_t i = 0; i < ELEMENTSOF(words); i++) {
                ForeignChain c = { NFPROTO_IPV6, "tab", "cha", (ForeignFirewall) i };
                char text[512], cut[40];

                foreign_chain_sentence(&c, text, sizeof(text));
                assert_true(strlen(text) < sizeof(text) - 1);
                assert_non_null(strstr(text, words[i]));
                assert_non_null(strstr(text, "chain cha of table ip6 tab"));
                foreign_chain_sentence(&c, cut, sizeof(cut));
                assert_int_equal(strlen(cut), sizeof(cut) - 1);
        }
}

static void test_words_of_families(void **state _unused_) {
        ForeignChain c = { NFPROTO_IPV6, "filter", "FORWARD", FOREIGN_DOCKER };
        char text[512];

        foreign_chain_sentence(&c, text, sizeof(text));
        assert_non_null(strstr(text, "; ip6tables -I DOCKER-USER"));
        c.family = NFPROTO_IPV4;
        foreign_chain_sentence(&c, text, sizeof(text));
        assert_non_null(strstr(text, "; iptables -I DOCKER-USER"));
        c = (ForeignChain) { NFPROTO_BRIDGE, "filter", "FORWARD", FOREIGN_OTHER };
        foreign_chain_sentence(&c, text, sizeof(text));
        assert_non_null(strstr(text, "table bridge filter"));
}

/* Table and chain names of any bytes, and longer than what is kept: still text. */
static void test_hostile_names(void **state) {
        char name[101], text[512];
        size_t n;

        if (!*state)
                skip();
        struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        assert_non_null(nl);
        assert_int_equal(mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID), 0);
        for (size_t i = 0; i < 50; i++) /* the cut falls amid a character */
                memcpy(name + 2 * i, "\xc3\xa9", 2);
        name[0] = 'x';
        name[100] = '\0';
        add_table(nl, name);
        add_dropping_chain(nl, name, "\x1b[2J\xff");
        mnl_socket_close(nl);
        _cleanup_free_ ForeignChain *chains = list(&n);
        assert_int_equal(n, 1);
        assert_string_equal(chains[0].chain, "?[2J?");
        foreign_chain_sentence(&chains[0], text, sizeof(text));
        assert_true(text_is_clean(text, strlen(text)));
}

/* A ruleset as large as kube-proxy's that changes all the time: dumps are interrupted. */
static void test_busy(void **state) {
        char *rules = NULL;
        size_t size, n;

        if (!*state)
                skip();
        FILE *f = open_memstream(&rules, &size);
        fprintf(f, "table ip filter { chain FORWARD { " FORWARD("drop") "}\n");
        for (unsigned i = 0; i < 3000; i++)
                fprintf(f, "chain KUBE-SVC-%u { }\n", i);
        fprintf(f, "}\n");
        fclose(f);
        assert_int_equal(nft(rules), 0);
        free(rules);
        pid_t pid = fork();
        if (pid == 0) {
                struct mnl_socket *nl = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
                char name[16];

                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0)
                        _exit(1);
                for (unsigned i = 0;; i++) {
                        snprintf(name, sizeof(name), "t%u", i);
                        add_table(nl, name);
                        usleep(2000);
                }
        }
        assert_true(pid > 0);
        for (unsigned i = 0; i < 100; i++) {
                free(list(&n));
                assert_int_equal(n, 1);
        }
        assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it was at it all the time */
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
}

/* ---- the monitor ------------------------------------------------------------------------------ */

typedef struct Heard {
        unsigned changed, ours, lost;
        uint32_t pid;
        char program[17];
} Heard;

static void on_changed(uint32_t pid, const char *program, bool ours, void *userdata) {
        Heard *h = userdata;

        h->changed++;
        h->ours += ours;
        h->pid = pid;
        snprintf(h->program, sizeof(h->program), "%s", program);
}

static void on_lost(void *userdata) {
        ((Heard *) userdata)->lost++;
}

static const NftMonitorCallbacks callbacks = { .changed = on_changed, .lost = on_lost };

static void listen_to(sd_event *event, Heard *h) {
        *h = (Heard) { 0 };
        while (sd_event_run(event, 50000) > 0)
                ;
}

static void test_monitor(void **state) {
        _cleanup_(nft_monitor_freep) NftMonitor *m = NULL;
        sd_event *event;
        Heard h;

        if (!*state)
                skip();
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(nft_monitor_new(event, 1, &callbacks, &h, &m), 0);
        listen_to(event, &h);
        assert_int_equal(h.changed, 0);

        /* One transaction, many notifications: one call. */
        assert_int_equal(nft("table ip a { set s { type ipv4_addr; elements = { 10.0.0.1 } }\n"
                             "chain f { " FORWARD("drop") "ip saddr @s drop\n }\n }\n"
                                                          "table ip6 b { chain f { }\n }\n"),
                         0);
        listen_to(event, &h);
        assert_int_equal(h.changed, 1);
        assert_int_equal(h.ours, 0);
        assert_int_equal(h.lost, 0);
        assert_string_equal(h.program, "nft");
        assert_true(h.pid > 1);

        /* Anything below one of our tables. */
        assert_int_equal(
                        nft("table inet netmgr_np { set s { type ipv4_addr; }\n chain c { }\n }\n"),
                        0);
        listen_to(event, &h);
        assert_int_equal(h.changed, 1);
        assert_int_equal(h.ours, 1);
        assert_int_equal(nft("add element inet netmgr_np s { 10.0.0.1 }\n"), 0);
        assert_int_equal(nft("add rule inet netmgr_np c drop\n"), 0);
        assert_int_equal(nft("flush set inet netmgr_np s\n"), 0);
        assert_int_equal(nft("add chain ip a other\n"), 0); /* "ours" does not stick */
        assert_int_equal(nft("add table inet netmgrx\n"), 0);
        assert_int_equal(nft("add table ip c; delete table inet netmgr_np\n"), 0);
        listen_to(event, &h);
        assert_int_equal(h.changed, 6);
        assert_int_equal(h.ours, 4);
        m = nft_monitor_free(m);
        sd_event_unref(event);
}

static void test_monitor_own(void **state) {
        _cleanup_(nft_monitor_freep) NftMonitor *m = NULL;
        sd_event *event;
        Heard h;

        if (!*state)
                skip();
        struct mnl_socket *own = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        struct mnl_socket *other = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        assert_true(own && other);
        assert_int_equal(mnl_socket_bind(own, 0, MNL_SOCKET_AUTOPID), 0);
        assert_int_equal(mnl_socket_bind(other, 0, MNL_SOCKET_AUTOPID), 0);
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(nft_monitor_new(event, mnl_socket_get_portid(own), &callbacks, &h, &m), 0);
        add_table(own, "netmgr_nat");
        listen_to(event, &h);
        assert_int_equal(h.changed, 0);
        add_table(other, "netmgr_br");
        add_table(own, "x");
        listen_to(event, &h);
        assert_int_equal(h.changed, 1);
        assert_int_equal(h.ours, 1);
        m = nft_monitor_free(m);
        sd_event_unref(event);
        mnl_socket_close(own);
        mnl_socket_close(other);
}

/* More than the receive buffer holds, while nobody reads. */
static void test_monitor_lost(void **state) {
        _cleanup_(nft_monitor_freep) NftMonitor *m = NULL;
        sd_event *event;
        char *rules = NULL;
        size_t size;
        Heard h;

        if (!*state)
                skip();
        FILE *f = open_memstream(&rules, &size);
        fprintf(f, "table ip big {\n");
        for (unsigned i = 0; i < 30000; i++)
                fprintf(f, "chain KUBE-SVC-WITH-A-LONG-NAME-%u { }\n", i);
        fprintf(f, "}\n");
        fclose(f);
        assert_int_equal(sd_event_new(&event), 0);
        assert_int_equal(nft_monitor_new(event, 1, &callbacks, &h, &m), 0);
        assert_int_equal(nft(rules), 0);
        assert_int_equal(nft("delete table ip big\n"), 0);
        assert_int_equal(nft(rules), 0);
        free(rules);
        listen_to(event, &h);
        assert_true(h.lost > 0);
        /* And it goes on. */
        assert_int_equal(nft("add table ip after\n"), 0);
        listen_to(event, &h);
        assert_int_equal(h.changed, 1);
        assert_int_equal(h.lost, 0);
        m = nft_monitor_free(m);
        sd_event_unref(event);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_teardown(test_chains, flush),
                cmocka_unit_test_teardown(test_not_foreign, flush),
                cmocka_unit_test_teardown(test_two, flush),
                cmocka_unit_test(test_sentences),
                cmocka_unit_test(test_words_of_families),
                cmocka_unit_test_teardown(test_hostile_names, flush),
                cmocka_unit_test_teardown(test_busy, flush),
                cmocka_unit_test_teardown(test_monitor, flush),
                cmocka_unit_test_teardown(test_monitor_own, flush),
                cmocka_unit_test_teardown(test_monitor_lost, flush),
        };
        return cmocka_run_group_tests(tests, setup, NULL);
}
