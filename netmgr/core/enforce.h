/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From core's objects to what the rule tables are told (policy/policy.h). Pure functions of the
 * objects, on the event loop; the committer's thread gets values of its own.
 */

#include "core/attachment.h"
#include "core/network.h"
#include "policy/policy.h"

/* Link groups of networks; below are the reapers'. */
#define NETWORK_GROUP_BASE 0x6e6d8000U

/* Owned by the caller (policy_attachment_free(), policy_network_free()); NULL: out of memory. */
PolicyAttachment *enforce_attachment(const Attachment *a);
PolicyNetwork *enforce_network(const Network *n);

/* What concerns the node: NodeAddress, owner flag. */
void enforce_config(const Manager *m, PolicyConfig *ret);

/* True when its host end is seen by the rule tables at all (not: loopback). */
bool enforce_concerns(const Attachment *a);

/* Does the network shut others out? What its configuration says, else where it came from. */
bool network_is_isolated(const Network *n);

/* A rate of 0 is no limit. */
PolicyLimit enforce_limit(uint64_t rate_bits, uint64_t burst_bits);

/* At start: everything that the ledger says, in one transaction. */
int enforce_load(Manager *m, Firewall *f, Error *e);
