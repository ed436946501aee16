/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one writer of the ledger: a thread that takes all commits that wait and writes them in one
 * transaction. Each commit is atomic by itself: when one of a group fails, the group is rolled back
 * and repeated one by one, so that only the culprit fails.
 *
 * What survives a crash: every commit whose `deliver` was called.
 */

#include "core/threads.h"
#include "store/store.h"

typedef struct Commit Commit;
struct Commit {
        Task task;
        /* Writes the rows, on the committer's thread, inside a transaction. May run twice. */
        int (*write)(Commit *commit, Store *store, Error *e);
};

typedef struct Committer Committer;

/* Takes the store. */
int committer_new(Mailbox *mailbox, Store *store, Committer **ret);
/* Writes what waits, then closes the store: rows that were handed over are never lost by a stop. */
Committer *committer_free(Committer *c);
DEFINE_CLEANUP(Committer *, committer_free)

void committer_submit(Committer *c, Commit *commit);
