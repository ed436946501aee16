/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Expressions by libnftnl; see nft-rule.h. */

#include "policy/nft-rule.h"

#include <libnftnl/expr.h>
#include <libnftnl/udata.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_nat.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>

Rule rule_new(void) {
        Rule r = { .rule = nftnl_rule_alloc() };
        r.failed = !r.rule;
        return r;
}

struct nftnl_rule *rule_take(Rule *r) {
        if (r->failed && r->rule) {
                nftnl_rule_free(r->rule);
                r->rule = NULL;
        }
        return TAKE_PTR(r->rule);
}

/* NULL when the rule has failed already; the rule takes the expression at once. */
static struct nftnl_expr *add(Rule *r, const char *name) {
        struct nftnl_expr *e = r->failed ? NULL : nftnl_expr_alloc(name);

        if (!e)
                r->failed = true;
        else
                nftnl_rule_add_expr(r->rule, e);
        return e;
}

void rule_comment(Rule *r, const char *comment) {
        struct nftnl_udata_buf *u = r->failed ? NULL : nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);

        if (!u) {
                r->failed = true;
                return;
        }
        if (!nftnl_udata_put_strz(u, NFTNL_UDATA_RULE_COMMENT, comment))
                r->failed = true;
        else if (nftnl_rule_set_data(r->rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(u),
                                     nftnl_udata_buf_len(u)) < 0)
                r->failed = true;
        nftnl_udata_buf_free(u);
}

uint32_t rule_register(unsigned offset) {
        return offset % 16 == 0 ? NFT_REG_1 + offset / 16 : NFT_REG32_00 + offset / 4;
}

void rule_meta(Rule *r, uint32_t key, unsigned at) {
        struct nftnl_expr *e = add(r, "meta");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_META_KEY, key);
        nftnl_expr_set_u32(e, NFTNL_EXPR_META_DREG, rule_register(at));
}

void rule_payload(Rule *r, uint32_t base, uint32_t offset, uint32_t len, unsigned at) {
        struct nftnl_expr *e = add(r, "payload");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_BASE, base);
        nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
        nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_LEN, len);
        nftnl_expr_set_u32(e, NFTNL_EXPR_PAYLOAD_DREG, rule_register(at));
}

void rule_ct(Rule *r, uint32_t key) {
        struct nftnl_expr *e = add(r, "ct");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_CT_KEY, key);
        nftnl_expr_set_u32(e, NFTNL_EXPR_CT_DREG, NFT_REG_1);
}

void rule_fib_daddr_type(Rule *r) {
        struct nftnl_expr *e = add(r, "fib");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
        nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
        nftnl_expr_set_u32(e, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
}

void rule_hton32(Rule *r) {
        struct nftnl_expr *e = add(r, "byteorder");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_DREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_OP, NFT_BYTEORDER_HTON);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_LEN, 4);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BYTEORDER_SIZE, 4);
}

void rule_cmp(Rule *r, bool equal, const void *data, uint32_t len) {
        struct nftnl_expr *e = add(r, "cmp");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_CMP_OP, equal ? NFT_CMP_EQ : NFT_CMP_NEQ);
        if (nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, len) < 0)
                r->failed = true;
}

static void bitwise(Rule *r, const void *mask, uint32_t len) {
        static const uint8_t zero[16];
        struct nftnl_expr *e = add(r, "bitwise");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_BITWISE_LEN, len);
        if (nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, mask, len) < 0 ||
            nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, zero, len) < 0)
                r->failed = true;
}

void rule_bits(Rule *r, uint32_t mask) {
        uint32_t none = 0;

        bitwise(r, &mask, sizeof(mask));
        rule_cmp(r, false, &none, sizeof(none));
}

void rule_in_set(Rule *r, PolicySet set, bool in) {
        struct nftnl_expr *e = add(r, "lookup");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_FLAGS, in ? 0 : NFT_LOOKUP_F_INV);
        if (nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, policy_sets[set].name) < 0)
                r->failed = true;
}

void rule_family(Rule *r, int family) {
        uint8_t v = family == AF_INET ? NFPROTO_IPV4 : NFPROTO_IPV6;

        rule_meta(r, NFT_META_NFPROTO, 0);
        rule_cmp(r, true, &v, sizeof(v));
}

void rule_l4proto(Rule *r, uint8_t protocol) {
        rule_meta(r, NFT_META_L4PROTO, 0);
        rule_cmp(r, true, &protocol, sizeof(protocol));
}

void rule_ifname(Rule *r, uint32_t key, bool equal, const char *name) {
        char whole[IF_NAMESIZE] = "";

        snprintf(whole, sizeof(whole), "%s", name);
        rule_meta(r, key, 0);
        rule_cmp(r, equal, whole, sizeof(whole));
}

void rule_ifname_prefix(Rule *r, uint32_t key, bool equal, const char *prefix) {
        rule_meta(r, key, 0);
        rule_cmp(r, equal, prefix, (uint32_t) strlen(prefix));
}

/* Whole bytes are loaded without a mask, as nft does. */
void rule_prefix(Rule *r, bool destination, bool equal, const InPrefix *p) {
        bool v4 = p->address.family == AF_INET;
        uint32_t offset = v4 ? (destination ? 16 : 12) : destination ? 24 : 8;
        uint32_t size = family_bytes(p->address.family);
        InAddr first = in_prefix_first(p);

        if (p->length > 0 && p->length % 8 == 0) {
                rule_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, p->length / 8, 0);
                rule_cmp(r, equal, first.bytes, p->length / 8);
                return;
        }
        uint8_t mask[16] = { 0 };
        for (unsigned i = 0; i < p->length; i++)
                mask[i / 8] |= (uint8_t) (0x80U >> i % 8);
        rule_payload(r, NFT_PAYLOAD_NETWORK_HEADER, offset, size, 0);
        bitwise(r, mask, size);
        rule_cmp(r, equal, first.bytes, size);
}

void rule_counter(Rule *r) {
        (void) add(r, "counter");
}

void rule_verdict(Rule *r, int verdict) {
        struct nftnl_expr *e = add(r, "immediate");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
        nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t) verdict);
}

void rule_jump(Rule *r, const char *chain) {
        struct nftnl_expr *e = add(r, "immediate");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
        nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_VERDICT, (uint32_t) NFT_JUMP);
        if (nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain) < 0)
                r->failed = true;
}

void rule_masquerade(Rule *r, uint32_t flags) {
        struct nftnl_expr *e = add(r, "masq");

        if (e && flags)
                nftnl_expr_set_u32(e, NFTNL_EXPR_MASQ_FLAGS, flags);
}

void rule_snat(Rule *r, const InAddr *to) {
        struct nftnl_expr *e = add(r, "immediate");

        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_IMM_DREG, NFT_REG_1);
        if (nftnl_expr_set(e, NFTNL_EXPR_IMM_DATA, to->bytes, family_bytes(to->family)) < 0)
                r->failed = true;
        e = add(r, "nat");
        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_SNAT);
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, (uint32_t) to->family);
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
}

void rule_dnat_map(Rule *r, PolicySet set, uint32_t group) {
        char name[NFT_NAME_MAX];
        bool v6 = set == SET_HOST6 || set == SET_HOSTIP6;
        struct nftnl_expr *e = add(r, "lookup");

        if (!e)
                return;
        policy_set_name(set, group, name);
        nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_LOOKUP_DREG, NFT_REG_1);
        if (nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, name) < 0)
                r->failed = true;
        e = add(r, "nat");
        if (!e)
                return;
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_FAMILY, v6 ? AF_INET6 : AF_INET);
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
        nftnl_expr_set_u32(e, NFTNL_EXPR_NAT_REG_PROTO_MIN, rule_register(v6 ? 16 : 4));
}
