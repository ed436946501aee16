/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One nftables transaction under construction: messages of nfnetlink, built by libnftnl, between
 * a batch's begin and end. The kernel carries out all of them or none.
 *
 * Errors of building (out of memory) stick: nft_batch_finish() tells.
 */

/* netinet/in.h goes before the kernel's headers, and libnftnl's need FILE. */
#include <netinet/in.h>
#include <stdio.h>

#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <linux/netfilter/nf_tables.h>

#include "base/error.h"

#define NFT_NAME_MAX 64

typedef struct NftTable {
        uint16_t family; /* NFPROTO_* */
        const char *name;
} NftTable;

typedef struct NftBatch {
        uint8_t *buffer; /* owned */
        size_t size, allocated;
        uint32_t seq;                 /* of the next message */
        uint32_t first_seq;           /* of the begin */
        uint32_t failed_seq;          /* of the message that the kernel refused first; 0: of none */
        unsigned n_messages, n_rules; /* added since the begin */
        int error;
} NftBatch;

void nft_batch_begin(NftBatch *b);
void nft_batch_clear(NftBatch *b);
/* Ends the batch; its last message asks for an acknowledgement. 0, or -ENOMEM. */
int nft_batch_finish(NftBatch *b);

/* The message with this number in words, for sentences: "NEWRULE 14 of 62 in netmgr_np". */
void nft_batch_describe(const NftBatch *b, uint32_t seq, char *ret, size_t size);

/* flags: NFT_TABLE_F_* */
void nft_batch_add_table(NftBatch *b, const NftTable *t, uint32_t flags);
void nft_batch_delete_table(NftBatch *b, const NftTable *t);

typedef struct NftChain {
        const char *name;
        const char *type; /* "filter" or "nat"; NULL: no base chain */
        uint32_t hook;
        int32_t priority;
} NftChain;
void nft_batch_add_chain(NftBatch *b, const NftTable *t, const NftChain *c);

/* Takes the rule, which may be NULL (out of memory). */
void nft_batch_add_rule(NftBatch *b, const NftTable *t, const char *chain, struct nftnl_rule *rule);

/* Takes the set with what is known of it; table and family are filled in. */
void nft_batch_add_set(NftBatch *b, const NftTable *t, struct nftnl_set *set);
/* type: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. Takes the set, whose elements it carries; without
 * elements DELSETELEM empties the set. The elements must fit one attribute (64 KiB). */
void nft_batch_elements(NftBatch *b, const NftTable *t, uint16_t type, struct nftnl_set *set);
