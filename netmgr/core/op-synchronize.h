/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Synchronize: a runtime's own list of its sandboxes, as an adapter (netmgr-cri) asked for it. What is
 * in the list is claimed for the runtime; what the runtime claimed before and no longer has is
 * released. A sandbox that another runtime claimed, or nobody, is left alone, so that several runtimes
 * share a node.
 *
 * The list is as old as the question: a sandbox that was made, or listed, after that is not released
 * by it. Claims are in the ledger and survive a restart; a list that was lost is followed by another.
 */

#include "core/operation.h"

typedef struct SyncItem {
        char *id; /* owned */
        bool ready;
} SyncItem;

typedef struct SyncRequest {
        char *runtime;       /* owned; who asks */
        uint64_t began_usec; /* CLOCK_BOOTTIME, before the runtime was asked */
        SyncItem *items;     /* owned: all sandboxes of the runtime, whatever their state */
        size_t n_items;
} SyncRequest;
void sync_request_clear(SyncRequest *q);

/* Takes over what *q owns. Answers when all is in the ledger, with JSON: {"claimed": number of newly
 * claimed ones, "released": [ids], "failed": [ids]}. */
void operation_synchronize(Manager *m, SyncRequest *q, RequestDone done, void *userdata);
