/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Other firewalls: base chains that drop what they do not know. An accept in our tables ends our own
 * chains only; what another table drops is dropped. netmgr never touches them, and says what to do.
 */

#include "base/error.h"

typedef enum ForeignFirewall {
        FOREIGN_OTHER,
        FOREIGN_DOCKER,
        FOREIGN_FIREWALLD,
        FOREIGN_UFW,
} ForeignFirewall;

/* A base chain on the hook forward with policy drop, or firewalld's (which refuses by a rule). Names
 * are cut to what fits. */
typedef struct ForeignChain {
        uint16_t family; /* NFPROTO_* */
        char table[64], chain[64];
        ForeignFirewall firewall;
} ForeignChain;

/* All of them, netmgr's own tables left out. Owned array, NULL when there are none. */
int foreign_chains_list(ForeignChain **ret, size_t *ret_n, Error *e);

/* What it does to sandboxes and how to let them through. */
void foreign_chain_sentence(const ForeignChain *c, char *ret, size_t size);
