/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Host ports and masquerade: the rules of inet netmgr_nat. A packet meets them once per flow. */

#include "policy/ruleset.h"

#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/rtnetlink.h>

#include "policy/ruleset-internal.h"

#define PRIORITY_DSTNAT (-105) /* before kube-proxy and others at -100 */
#define PRIORITY_SRCNAT 100

static const InPrefix loopback4 = { .address = { .family = AF_INET, .bytes = { 127 } },
                                    .length = 8 };
static const InPrefix loopback6 = { .address = { .family = AF_INET6, .bytes = { [15] = 1 } },
                                    .length = 128 };

static void add_chain(Ruleset *s, const char *name, uint32_t hook, int32_t priority) {
        nft_batch_add_chain(s->batch, s->table, &(NftChain) { name, "nat", hook, priority });
}

bool policy_network_has_conditions(const PolicyNetwork *n) {
        return n->group != 0 && (n->n_conditions[0] > 0 || n->n_conditions[1] > 0);
}

static bool conditions_equal(const PolicyNetwork *a, const PolicyNetwork *b, int f) {
        return a->n_conditions[f] == b->n_conditions[f] &&
               (a->n_conditions[f] == 0 ||
                memcmp(a->conditions[f], b->conditions[f],
                       a->n_conditions[f] * sizeof(*a->conditions[f])) == 0);
}

bool ruleset_differs(const PolicyNetwork *a, const PolicyNetwork *b) {
        if (!a || !b)
                return (a || b) && policy_network_has_conditions(a ? a : b);
        if (!policy_network_has_conditions(a) && !policy_network_has_conditions(b))
                return false;
        return a->group != b->group || !conditions_equal(a, b, 0) || !conditions_equal(a, b, 1);
}

/* ---- host ports ------------------------------------------------------------------------------- */

static void conditions(Rule *r, const PolicyNetwork *n, int f) {
        for (size_t i = 0; n && i < n->n_conditions[f]; i++) {
                const PolicyCondition *c = &n->conditions[f][i];
                if (c->what == POLICY_INPUT)
                        rule_ifname(r, NFT_META_IIFNAME, !c->negate, c->ifname);
                else
                        rule_prefix(r, c->what == POLICY_DESTINATION, !c->negate, &c->prefix);
        }
}

/* dnat ip to ip daddr . meta l4proto . th dport map @hostip4 */
static void map_rule(Ruleset *s, const PolicyNetwork *n, PolicySet set) {
        bool v6 = set == SET_HOST6 || set == SET_HOSTIP6,
             address = set == SET_HOSTIP4 || set == SET_HOSTIP6;
        unsigned at = 0;
        Rule r = rule_new();

        rule_family(&r, v6 ? AF_INET6 : AF_INET);
        conditions(&r, n, v6 ? 1 : 0);
        if (address) {
                at = v6 ? 16 : 4;
                rule_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, v6 ? 24 : 16, at, 0);
        }
        rule_meta(&r, NFT_META_L4PROTO, at);
        rule_payload(&r, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, at + 4);
        rule_dnat_map(&r, set, n ? n->group : 0);
        ruleset_add(s, "hostports", &r);
}

/* The specific address goes before the wildcard; a network with conditions has maps of its own. */
static void host_ports(Ruleset *s) {
        static const PolicySet maps[] = { SET_HOSTIP4, SET_HOST4, SET_HOSTIP6, SET_HOST6 };

        nft_batch_add_chain(s->batch, s->table, &(NftChain) { .name = "hostports" });
        for (size_t k = 0; k < ELEMENTSOF(maps); k++) {
                map_rule(s, NULL, maps[k]);
                for (size_t i = 0; i < s->n_networks; i++)
                        if (policy_network_has_conditions(s->networks[i])) {
                                ruleset_add_set(s, maps[k], s->networks[i]->group);
                                map_rule(s, s->networks[i], maps[k]);
                        }
        }
}

/* fib daddr type local jump hostports: transit packets are nobody's business (CVE-2025-67499). */
static void jump_if_local(Ruleset *s, const char *chain) {
        uint32_t local = RTN_LOCAL;
        Rule r = rule_new();

        rule_fib_daddr_type(&r);
        rule_cmp(&r, true, &local, sizeof(local));
        rule_jump(&r, "hostports");
        ruleset_add(s, chain, &r);
}

static void nat_output(Ruleset *s) {
        Rule r = rule_new();

        add_chain(s, "output", NF_INET_LOCAL_OUT, PRIORITY_DSTNAT);
        /* ip6 daddr ::1 accept: the kernel has no route_localnet for IPv6, a translated ::1 would hang
         * where a refused one lets clients of "localhost" go on to 127.0.0.1 */
        rule_family(&r, AF_INET6);
        rule_prefix(&r, true, true, &loopback6);
        rule_verdict(&r, NF_ACCEPT);
        ruleset_add(s, "output", &r);
        jump_if_local(s, "output");
}

/* ---- source addresses ------------------------------------------------------------------------- */

static void rule_was_mapped(Rule *r) {
        rule_ct(r, NFT_CT_STATUS);
        rule_bits(r, IPS_DST_NAT);
}

/* The node's address where it is known; the kernel would take one of the outgoing interface, and a
 * routed host end has none: then it takes any. */
static void as_node(Ruleset *s, Rule *r, int family) {
        const InAddr *node = family == AF_INET ? &s->config->node4 : &s->config->node6;

        if (in_addr_is_set(node))
                rule_snat(r, node);
        else
                rule_masquerade(r, 0);
        ruleset_add(s, "postrouting", r);
}

static void load_address(Rule *r, int family, bool destination, unsigned at) {
        uint32_t offset = family == AF_INET ? (destination ? 16 : 12) : destination ? 24 : 8;
        rule_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, family_bytes(family), at);
}

/* ct status dnat iifname . oifname @hairpin: the answer has to come back through the host */
static void hairpin(Ruleset *s, int family) {
        Rule r = rule_new();

        rule_was_mapped(&r);
        rule_family(&r, family);
        rule_meta(&r, NFT_META_IIFNAME, 0);
        rule_meta(&r, NFT_META_OIFNAME, IF_NAMESIZE);
        rule_in_set(&r, SET_HAIRPIN, true);
        as_node(s, &r, family);
}

/* ct status dnat ip saddr . ip daddr @self4: with br_netfilter, a frame that goes back to its port never
 * shows the interface it came by. */
static void self(Ruleset *s, int family) {
        bool v4 = family == AF_INET;
        Rule r = rule_new();

        rule_was_mapped(&r);
        rule_family(&r, family);
        load_address(&r, family, false, 0);
        load_address(&r, family, true, family_bytes(family));
        rule_in_set(&r, v4 ? SET_SELF4 : SET_SELF6, true);
        as_node(s, &r, family);
}

/* ct status dnat ip saddr 127.0.0.0/8 oifname @localnet */
static void localnet(Ruleset *s) {
        Rule r = rule_new();

        rule_was_mapped(&r);
        rule_family(&r, AF_INET);
        rule_prefix(&r, false, true, &loopback4);
        rule_meta(&r, NFT_META_OIFNAME, 0);
        rule_in_set(&r, SET_LOCALNET, true);
        as_node(s, &r, AF_INET);
}

/* ct status dnat ip daddr @masqport4 */
static void masquerade_ports(Ruleset *s, int family) {
        Rule r = rule_new();

        rule_was_mapped(&r);
        rule_family(&r, family);
        load_address(&r, family, true, 0);
        rule_in_set(&r, family == AF_INET ? SET_MASQPORT4 : SET_MASQPORT6, true);
        as_node(s, &r, family);
}

/* ip saddr @masq4 ip daddr != @keep4 iifgroup . ip daddr != @keepnet4 masquerade fully-random */
static void masquerade(Ruleset *s, int family) {
        bool v4 = family == AF_INET;
        Rule r = rule_new();

        rule_family(&r, family);
        load_address(&r, family, false, 0);
        rule_in_set(&r, v4 ? SET_MASQ4 : SET_MASQ6, true);
        load_address(&r, family, true, 0);
        rule_in_set(&r, v4 ? SET_KEEP4 : SET_KEEP6, false);
        rule_meta(&r, NFT_META_IIFGROUP, 0);
        rule_hton32(&r);
        load_address(&r, family, true, 4);
        rule_in_set(&r, v4 ? SET_KEEPNET4 : SET_KEEPNET6, false);
        rule_masquerade(&r, NF_NAT_RANGE_PROTO_RANDOM_FULLY);
        ruleset_add(s, "postrouting", &r);
}

void ruleset_build_nat(Ruleset *s) {
        host_ports(s);
        add_chain(s, "prerouting", NF_INET_PRE_ROUTING, PRIORITY_DSTNAT);
        jump_if_local(s, "prerouting");
        nat_output(s);
        add_chain(s, "postrouting", NF_INET_POST_ROUTING, PRIORITY_SRCNAT);
        for (int f = 0; f < 2; f++) {
                int family = f ? AF_INET6 : AF_INET;
                hairpin(s, family);
                self(s, family);
                masquerade_ports(s, family);
        }
        localnet(s);
        masquerade(s, AF_INET);
        masquerade(s, AF_INET6);
}
