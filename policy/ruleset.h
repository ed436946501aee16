/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The static part of the three tables: chains, sets and rules. It depends on the node and on the
 * conditions of networks, never on attachments. doc/design.md shows it as nft prints it.
 */

#include "policy/policy.h"
#include "policy/sets.h"

/* Interfaces of sandboxes' host ends begin with this and no other interface does. */
#define POLICY_HOST_END_PREFIX "nmg"

/*
 * Appends one table with everything but elements; the table must not exist when this message is
 * reached. networks: those with conditions get maps and rules of their own.
 */
void ruleset_build(NftBatch *b, PolicyTable table, uint32_t table_flags, const PolicyConfig *config,
                   PolicyNetwork *const *networks, size_t n_networks);

/* True when the two give other rules, so that elements alone do not bring the one to the other. */
bool ruleset_differs(const PolicyNetwork *a, const PolicyNetwork *b);
bool policy_network_has_conditions(const PolicyNetwork *n);
