/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One round of asking the runtimes which sandboxes they still have, on behalf of ADDs whose range is
 * nearly full. ADDs that come while a round is under way join it; all of them go on when every
 * runtime's list is worked in, or when the patience ends: an ADD is never refused for it.
 *
 * In memory only: an ADD that waits is lost with the daemon, as every ADD in that state.
 */

#include "core/manager.h"

typedef struct SyncRound SyncRound;

typedef struct SyncWaiter {
        List list;
        void (*ready)(struct SyncWaiter *w);
} SyncWaiter;

SyncRound *sync_round_new(Manager *m); /* NULL when out of memory */
SyncRound *sync_round_free(SyncRound *round);

/* True: the waiter's `ready` will be called, later. False: nobody to ask, or asked just now. */
bool sync_round_await(SyncRound *round, SyncWaiter *w);
/* A list that was asked for at `began_usec` (CLOCK_BOOTTIME) has been worked in, or has failed. */
void sync_round_answered(SyncRound *round, uint64_t began_usec);
