/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the files of the rule set share. */

#include <libnftnl/expr.h>

#include "policy/nft-rule.h"
#include "policy/policy.h"

typedef struct Ruleset {
        NftBatch *batch;
        const NftTable *table;
        const PolicyConfig *config;
        PolicyNetwork *const *networks;
        size_t n_networks;
} Ruleset;

void ruleset_add(Ruleset *s, const char *chain, Rule *r);
void ruleset_add_set(Ruleset *s, PolicySet id, uint32_t group);

/* ruleset-nat.c: chains and rules of inet netmgr_nat. */
void ruleset_build_nat(Ruleset *s);

/* elements.c: "limit rate over R bytes/second burst B bytes"; NULL when out of memory. */
struct nftnl_expr *policy_limit_expr(const PolicyLimit *limit);
