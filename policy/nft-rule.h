/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Rules, expression by expression, in the order and with the registers that Debian's nft would use
 * for the same sentence: its listing then reads them back as that sentence.
 *
 * A Rule carries its first failure along; rule_take() then gives NULL.
 */

#include "base/inaddr.h"
#include "policy/sets.h"

typedef struct Rule {
        struct nftnl_rule *rule;
        bool failed;
} Rule;

Rule rule_new(void);
/* Hands the rule over to nft_batch_add_rule(); NULL after a failure. */
struct nftnl_rule *rule_take(Rule *r);
void rule_comment(Rule *r, const char *comment);

/* The first register of a key's part that begins at this byte. */
uint32_t rule_register(unsigned offset);

/* Loads: `at` is the byte of the key where the value goes. */
void rule_meta(Rule *r, uint32_t key, unsigned at); /* NFT_META_* */
void rule_payload(Rule *r, uint32_t base, uint32_t offset, uint32_t len,
                  unsigned at);      /* NFT_PAYLOAD_* */
void rule_ct(Rule *r, uint32_t key); /* NFT_CT_*, to the first register */
void rule_fib_daddr_type(Rule *r);
void rule_hton32(Rule *r);

/* Conditions on the first register. */
void rule_cmp(Rule *r, bool equal, const void *data, uint32_t len);
/* At least one of the bits of a 32-bit value in the host's order. */
void rule_bits(Rule *r, uint32_t mask);
/* The key that was loaded is in the set, or is not. */
void rule_in_set(Rule *r, PolicySet set, bool in);

/* Sentences that are used more than once. */
void rule_family(Rule *r, int family);        /* meta nfproto ipv4 */
void rule_l4proto(Rule *r, uint8_t protocol); /* meta l4proto icmp */
void rule_ifname(Rule *r, uint32_t key, bool equal, const char *name);
/* iifname "nmg*" */
void rule_ifname_prefix(Rule *r, uint32_t key, bool equal, const char *prefix);
void rule_prefix(Rule *r, bool destination, bool equal, const InPrefix *p);

/* Ends. */
void rule_counter(Rule *r);
void rule_verdict(Rule *r, int verdict); /* NF_ACCEPT, NF_DROP */
void rule_jump(Rule *r, const char *chain);
void rule_masquerade(Rule *r, uint32_t flags);
void rule_snat(Rule *r, const InAddr *to);
/* dnat to what the map says for the key that was loaded. */
void rule_dnat_map(Rule *r, PolicySet set, uint32_t group);
