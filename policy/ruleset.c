/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The rules, in the order in which a packet meets them. Each is written as the sentence of nft that
 * it lists as.
 */

#include "policy/ruleset.h"

#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter_bridge.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/if_ether.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "policy/nft-rule.h"
#include "policy/ruleset-internal.h"

/* Where the chains stand among those of others. */
#define PRIORITY_RAW     (-300) /* before conntrack: a spoofed packet makes no entry */
#define PRIORITY_FORWARD (-10)  /* before everybody's filter: others can still refuse */
#define PRIORITY_LAST    200    /* after source NAT: what leaves for a sandbox is final */

static const InPrefix loopback4 = { .address = { .family = AF_INET, .bytes = { 127 } },
                                    .length = 8 };

static void add_chain(Ruleset *s, const char *name, const char *type, uint32_t hook,
                      int32_t priority) {
        nft_batch_add_chain(s->batch, s->table, &(NftChain) { name, type, hook, priority });
}

void ruleset_add(Ruleset *s, const char *chain, Rule *r) {
        nft_batch_add_rule(s->batch, s->table, chain, rule_take(r));
}

static void drop(Ruleset *s, const char *chain, Rule *r, const char *comment) {
        rule_counter(r);
        rule_verdict(r, NF_DROP);
        rule_comment(r, comment);
        ruleset_add(s, chain, r);
}

static void pass(Ruleset *s, const char *chain, Rule *r) {
        rule_verdict(r, NF_ACCEPT);
        ruleset_add(s, chain, r);
}

/* iifname @police_from counter drop */
static void police(Ruleset *s, const char *chain, uint32_t key, PolicySet set) {
        Rule r = rule_new();

        rule_meta(&r, key, 0);
        rule_in_set(&r, set, true);
        drop(s, chain, &r, "over the limit");
}

/* iifname != "nmg*" accept */
static void others_pass(Ruleset *s, const char *chain, uint32_t key) {
        Rule r = rule_new();

        rule_ifname_prefix(&r, key, false, POLICY_HOST_END_PREFIX);
        pass(s, chain, &r);
}

/* oifname != @ports drop: nothing reaches an interface that is not complete. */
static void only_complete(Ruleset *s, const char *chain, PolicySet set) {
        Rule r = rule_new();

        rule_meta(&r, NFT_META_OIFNAME, 0);
        rule_in_set(&r, set, false);
        drop(s, chain, &r, "interface is not complete");
}

/* iifname @free accept */
static void pass_ports(Ruleset *s, const char *chain, PolicySet set) {
        Rule r = rule_new();

        rule_meta(&r, NFT_META_IIFNAME, 0);
        rule_in_set(&r, set, true);
        pass(s, chain, &r);
}

/* icmp type redirect drop */
static void drop_icmp(Ruleset *s, const char *chain, int family, uint8_t type,
                      const char *comment) {
        Rule r = rule_new();

        if (s->table->family == NFPROTO_INET)
                rule_family(&r, family);
        else {
                uint16_t ether = htons(family == AF_INET ? ETHERTYPE_IP : ETHERTYPE_IPV6);
                rule_payload(&r, NFT_PAYLOAD_LL_HEADER, 12, 2, 0);
                rule_cmp(&r, true, &ether, sizeof(ether));
        }
        rule_l4proto(&r, family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6);
        rule_payload(&r, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
        rule_cmp(&r, true, &type, sizeof(type));
        drop(s, chain, &r, comment);
}

static void drop_router_talk(Ruleset *s, const char *chain) {
        drop_icmp(s, chain, AF_INET, ICMP_REDIRECT, "redirect from a sandbox");
        drop_icmp(s, chain, AF_INET6, ND_ROUTER_ADVERT, "router advertisement from a sandbox");
        drop_icmp(s, chain, AF_INET6, ND_REDIRECT, "redirect from a sandbox");
}

/* ---- inet netmgr_np --------------------------------------------------------------------------- */

/* iifname @bridges ip daddr 127.0.0.0/8 drop: route_localnet lets the host be reached by its own
 * 127.0.0.1 through host ports, and nobody else (CVE-2020-8558). */
static void drop_loopback(Ruleset *s, const char *chain, bool bridges) {
        Rule r = rule_new();

        if (bridges) {
                rule_meta(&r, NFT_META_IIFNAME, 0);
                rule_in_set(&r, SET_BRIDGES, true);
        }
        rule_family(&r, AF_INET);
        rule_prefix(&r, true, true, &loopback4);
        drop(s, chain, &r, "loopback address from outside");
}

static void accept_source(Ruleset *s, const char *chain, int family, PolicySet set) {
        Rule r = rule_new();

        rule_family(&r, family);
        rule_meta(&r, NFT_META_IIFNAME, 0);
        rule_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 12 : 8,
                     family_bytes(family), IF_NAMESIZE);
        rule_in_set(&r, set, true);
        pass(s, chain, &r);
}

/* ip daddr 169.254.169.254 ip saddr @nometa4 drop: for what is routed and for what the host would answer
 * itself. The sandbox has a route that prohibits it, which its root could delete. */
static void drop_metadata(Ruleset *s) {
        static const InPrefix services[] = {
                { .address = { .family = AF_INET, .bytes = { 169, 254, 169, 254 } }, .length = 32 },
                { .address = { .family = AF_INET6,
                               .bytes = { 0xfd, 0, 0x0e, 0xc2, [14] = 2, 0x54 } },
                  .length = 128 },
        };

        for (size_t i = 0; i < ELEMENTSOF(services); i++) {
                int family = services[i].address.family;
                Rule r = rule_new();

                rule_family(&r, family);
                rule_prefix(&r, true, true, &services[i]);
                rule_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 12 : 8,
                             family_bytes(family), 0);
                rule_in_set(&r, family == AF_INET ? SET_NOMETA4 : SET_NOMETA6, true);
                drop(s, "prerouting", &r, "metadata service is blocked");
        }
}

static void np_prerouting(Ruleset *s) {
        Rule r = rule_new();

        add_chain(s, "prerouting", "filter", NF_INET_PRE_ROUTING, PRIORITY_RAW);
        drop_metadata(s);
        drop_loopback(s, "prerouting", true);
        others_pass(s, "prerouting", NFT_META_IIFNAME);
        drop_loopback(s, "prerouting", false);
        police(s, "prerouting", NFT_META_IIFNAME, SET_POLICE_FROM);
        pass_ports(s, "prerouting", SET_FREE);
        drop_router_talk(s, "prerouting");
        accept_source(s, "prerouting", AF_INET, SET_SRC4);
        accept_source(s, "prerouting", AF_INET6, SET_SRC6);
        drop(s, "prerouting", &r, "source address is not the sandbox's");
}

/* oifname . ip daddr @closed4 */
static Rule towards(int family, uint32_t key, PolicySet set) {
        Rule r = rule_new();

        rule_family(&r, family);
        rule_meta(&r, key, 0);
        rule_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, family == AF_INET ? 16 : 24,
                     family_bytes(family), IF_NAMESIZE);
        rule_in_set(&r, set, true);
        return r;
}

/* Sandboxes with an ingress policy of their own. */
static void drop_closed(Ruleset *s) {
        for (int f = 0; f < 2; f++) {
                Rule r = towards(f ? AF_INET6 : AF_INET, NFT_META_OIFNAME,
                                 f ? SET_CLOSED6 : SET_CLOSED4);
                drop(s, "forward", &r, "the sandbox accepts no connections");
        }
}

static void drop_outsiders(Ruleset *s) {
        for (int f = 0; f < 2; f++) {
                int family = f ? AF_INET6 : AF_INET;
                /* With br_netfilter, what stays on the bridge comes by here. */
                Rule r = towards(family, NFT_META_IIFNAME, f ? SET_INSIDE6 : SET_INSIDE4);
                pass(s, "forward", &r);
                r = towards(family, NFT_META_OIFNAME, f ? SET_INNER6 : SET_INNER4);
                drop(s, "forward", &r, "the sandbox accepts connections of its own bridge only");
        }
}

static void np_forward(Ruleset *s) {
        Rule r;

        add_chain(s, "forward", "filter", NF_INET_FORWARD, PRIORITY_FORWARD);
        /* ct state established,related accept */
        r = rule_new();
        rule_ct(&r, NFT_CT_STATE);
        rule_bits(&r, NF_CT_STATE_BIT(IP_CT_ESTABLISHED) | NF_CT_STATE_BIT(IP_CT_RELATED));
        pass(s, "forward", &r);
        /* ct status dnat accept: a host port was opened on purpose */
        r = rule_new();
        rule_ct(&r, NFT_CT_STATUS);
        rule_bits(&r, IPS_DST_NAT);
        pass(s, "forward", &r);
        drop_closed(s);
        /* iifgroup . oifgroup @allowed accept */
        r = rule_new();
        rule_meta(&r, NFT_META_IIFGROUP, 0);
        rule_meta(&r, NFT_META_OIFGROUP, 4);
        rule_in_set(&r, SET_ALLOWED, true);
        pass(s, "forward", &r);
        /* iifgroup @networks oifgroup @isolated drop */
        r = rule_new();
        rule_meta(&r, NFT_META_IIFGROUP, 0);
        rule_in_set(&r, SET_NETWORKS, true);
        rule_meta(&r, NFT_META_OIFGROUP, 0);
        rule_in_set(&r, SET_ISOLATED, true);
        drop(s, "forward", &r, "isolation of the destination's network");
        drop_outsiders(s);
}

static void np_postrouting(Ruleset *s) {
        add_chain(s, "postrouting", "filter", NF_INET_POST_ROUTING, PRIORITY_LAST);
        others_pass(s, "postrouting", NFT_META_OIFNAME);
        only_complete(s, "postrouting", SET_PORTS);
        police(s, "postrouting", NFT_META_OIFNAME, SET_POLICE_TO);
}

/* ---- bridge netmgr_br ------------------------------------------------------------------------- */

static void rule_ethertype(Rule *r, uint16_t type) {
        uint16_t v = htons(type);

        rule_payload(r, NFT_PAYLOAD_LL_HEADER, 12, 2, 0);
        rule_cmp(r, true, &v, sizeof(v));
}

/* ether type ip iifname . ip saddr @src4 accept; and the sender of ARP the same way */
static void accept_bridged(Ruleset *s, uint16_t ether, uint32_t offset, uint32_t size,
                           PolicySet set) {
        Rule r = rule_new();

        rule_ethertype(&r, ether);
        rule_meta(&r, NFT_META_IIFNAME, 0);
        rule_payload(&r, NFT_PAYLOAD_NETWORK_HEADER, offset, size, IF_NAMESIZE);
        rule_in_set(&r, set, true);
        pass(s, "prerouting", &r);
}

static void br_prerouting(Ruleset *s) {
        Rule r;

        add_chain(s, "prerouting", "filter", NF_BR_PRE_ROUTING, PRIORITY_RAW);
        others_pass(s, "prerouting", NFT_META_IIFNAME);
        police(s, "prerouting", NFT_META_IIFNAME, SET_BR_POLICE_FROM);
        pass_ports(s, "prerouting", SET_BR_FREE);
        /* iifname . ether saddr != @mac drop */
        r = rule_new();
        rule_meta(&r, NFT_META_IIFNAME, 0);
        rule_payload(&r, NFT_PAYLOAD_LL_HEADER, 6, 6, IF_NAMESIZE);
        rule_in_set(&r, SET_BR_MAC, false);
        drop(s, "prerouting", &r, "source MAC is not the sandbox's");
        pass_ports(s, "prerouting", SET_BR_MAC_ONLY);
        drop_router_talk(s, "prerouting");
        pass_ports(s, "prerouting", SET_BR_L2);
        accept_bridged(s, ETHERTYPE_IP, 12, 4, SET_BR_SRC4);
        accept_bridged(s, ETHERTYPE_ARP, 14, 4, SET_BR_SRC4); /* sender protocol address */
        accept_bridged(s, ETHERTYPE_IPV6, 8, 16, SET_BR_SRC6);
        /* Whatever else: other addresses, and protocols (VLAN tags) that would carry them past us. */
        r = rule_new();
        drop(s, "prerouting", &r, "source address is not the sandbox's");
}

/* From port to port only: what the host routes to it is the business of netmgr_np. */
static void br_forward(Ruleset *s) {
        Rule r = rule_new();

        add_chain(s, "forward", "filter", NF_BR_FORWARD, PRIORITY_FORWARD);
        rule_meta(&r, NFT_META_OIFNAME, 0);
        rule_in_set(&r, SET_BR_CLOSED, true);
        drop(s, "forward", &r, "the sandbox accepts no connections");
}

static void br_postrouting(Ruleset *s) {
        add_chain(s, "postrouting", "filter", NF_BR_POST_ROUTING, PRIORITY_LAST);
        others_pass(s, "postrouting", NFT_META_OIFNAME);
        only_complete(s, "postrouting", SET_BR_PORTS);
        police(s, "postrouting", NFT_META_OIFNAME, SET_BR_POLICE_TO);
}

/* ---- sets ------------------------------------------------------------------------------------- */

/* A limit that says what the elements carry: each brings its own rate. */
static int set_limit(struct nftnl_set *set) {
        struct nftnl_expr *e =
                        policy_limit_expr(&(PolicyLimit) { .rate = 1000000, .burst = 65536 });

        if (!e)
                return -ENOMEM;
        nftnl_set_add_expr(set, e);
        return 0;
}

/* What nft notes for itself: without it, it prints names and numbers backwards. */
static int set_byte_order(struct nftnl_set *set, const PolicySetInfo *info) {
        enum { HOST_ENDIAN = 1, BIG_ENDIAN_ = 2 }; /* nft's enum byteorder */
        struct nftnl_udata_buf *u = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

        if (!u)
                return -ENOMEM;
        nftnl_udata_put_u32(u, NFTNL_UDATA_SET_KEYBYTEORDER,
                            info->host_order ? HOST_ENDIAN : BIG_ENDIAN_);
        int r = nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(u),
                                   nftnl_udata_buf_len(u));
        nftnl_udata_buf_free(u);
        return r < 0 ? -ENOMEM : 0;
}

void ruleset_add_set(Ruleset *s, PolicySet id, uint32_t group) {
        const PolicySetInfo *info = &policy_sets[id];
        struct nftnl_set *set = nftnl_set_alloc();
        char name[NFT_NAME_MAX];
        uint32_t flags = 0;
        uint8_t n = 0;

        if (!set) {
                s->batch->error = -ENOMEM;
                return;
        }
        while (n < sizeof(info->fields) && info->fields[n])
                n++;
        policy_set_name(id, group, name);
        if (nftnl_set_set_str(set, NFTNL_SET_NAME, name) < 0)
                s->batch->error = -ENOMEM;
        nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, info->key_type);
        nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, info->key_size);
        if (info->data_size > 0) {
                flags |= NFT_SET_MAP;
                nftnl_set_set_u32(set, NFTNL_SET_DATA_TYPE, info->data_type);
                nftnl_set_set_u32(set, NFTNL_SET_DATA_LEN, info->data_size);
        }
        if (info->interval)
                flags |= NFT_SET_INTERVAL;
        /* The kernel wants to know a concatenation's parts only where it compares ranges of each. */
        if (n > 0 && info->interval) {
                flags |= NFT_SET_CONCAT;
                if (nftnl_set_set_data(set, NFTNL_SET_DESC_CONCAT, info->fields, n) < 0)
                        s->batch->error = -ENOMEM;
        }
        nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
        if (info->fields[0] == 0 && set_byte_order(set, info) < 0)
                s->batch->error = -ENOMEM;
        if (info->limit && set_limit(set) < 0)
                s->batch->error = -ENOMEM;
        nft_batch_add_set(s->batch, s->table, set);
}

void ruleset_build(NftBatch *b, PolicyTable table, uint32_t table_flags, const PolicyConfig *config,
                   PolicyNetwork *const *networks, size_t n_networks) {
        Ruleset s = { .batch = b,
                      .table = &policy_tables[table],
                      .config = config,
                      .networks = networks,
                      .n_networks = n_networks };

        nft_batch_add_table(b, s.table, table_flags);
        for (PolicySet id = 0; id < _SET_MAX; id++)
                if (policy_sets[id].table == table)
                        ruleset_add_set(&s, id, 0);
        switch (table) {
        case TABLE_NP:
                np_prerouting(&s);
                np_forward(&s);
                np_postrouting(&s);
                break;
        case TABLE_NAT:
                ruleset_build_nat(&s);
                break;
        case TABLE_BR:
                br_prerouting(&s);
                br_forward(&s);
                br_postrouting(&s);
                break;
        default:
                break;
        }
}
