/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Elements as messages: what changed, gathered over all attachments of a transaction, goes out with
 * one message per set.
 */

#include "policy/element.h"
#include "policy/interval.h"

typedef struct Change {
        Element element;
        const PolicyAttachment *who; /* for the comment; NULL: of a network */
} Change;

typedef struct ChangeList {
        Change *items; /* owned */
        size_t n, allocated;
} ChangeList;

int change_list_append(ChangeList *l, const ElementList *elements, const PolicyAttachment *who);
static inline void change_list_clear(ChangeList *l) {
        free(l->items);
        *l = (ChangeList) { 0 };
}

/* type: NFT_MSG_NEWSETELEM or NFT_MSG_DELSETELEM. Sorts the list. */
void change_list_build(ChangeList *l, NftBatch *b, uint16_t type);

/* Replaces the contents of the four sets of ranges (keep, keepnet) by those of the networks. */
int ranges_build(NftBatch *b, bool empty_first, PolicyNetwork *const *networks, size_t n, Error *e);
