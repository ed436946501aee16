/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the rule tables that an earlier netmgrd left in the kernel say of its interfaces. For a start whose
 * ledger was lost: the sets of sources are then the only complete list of who has which address.
 */

#include "base/error.h"
#include "policy/policy.h"

#define LEFTOVER_ADDRESSES_MAX 8

typedef struct PolicyLeftover {
        char host_ifname[IF_NAMESIZE];
        bool bridged, masquerade;
        MacAddr mac; /* of the sandbox's end; bridged only */
        InAddr addresses[LEFTOVER_ADDRESSES_MAX];
        size_t n_addresses;
} PolicyLeftover;

/* *ret is an array for the caller to free. No tables: none. */
int policy_leftovers_read(PolicyLeftover **ret, size_t *ret_n, Error *e);
