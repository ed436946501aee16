/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one writer of the ledger and of the rule tables: a thread that takes all commits that wait,
 * writes their rows in one transaction of the ledger and then their rule elements in one transaction
 * of nftables. Each commit is atomic by itself: when one of a group fails, the group is taken back
 * and repeated one by one, so that only the culprit fails.
 *
 * What survives a crash: the rows of every commit whose `deliver` was called, a power loss those of every
 * durable one. The rule tables follow
 * from the rows; the next start builds them anew.
 */

#include "core/threads.h"
#include "policy/firewall.h"
#include "store/store.h"

typedef struct Commit Commit;
struct Commit {
        Task task;
        /* Writes the rows, on the committer's thread, inside a transaction. May run twice. */
        int (*write)(Commit *commit, Store *store, Error *e);
        /* Puts changes of the rule tables together, once the rows are in the ledger; NULL: none. May
         * run twice. */
        int (*enforce)(Commit *commit, Firewall *firewall);
        /* The rows mean something after a reboot (sticky addresses, what plugins of others hold): `deliver` is
         * called once they are on the disk. */
        bool durable;
        bool enforce_anyway; /* also when the rows could not be written */
        /* Reads, behind everything that is to be written, outside of a transaction; write and enforce are
         * not called then. NULL: this commit writes. */
        int (*read)(Commit *commit, Store *store, Error *e);
        bool written; /* out: the rows are in the ledger, whatever became of the rule tables */
        bool owed;    /* failed before and is tried again: see committer_owe() */
};

typedef struct Committer Committer;

/* Takes the store and the firewall. */
int committer_new(sd_event *event, Mailbox *mailbox, Store *store, Firewall *firewall,
                  Committer **ret);
/* Writes what waits: rows that were handed over are never lost by a stop. What comes after is cancelled. */
void committer_stop(Committer *c); /* accepts NULL */
/* Closes the store as well. */
Committer *committer_free(Committer *c);
DEFINE_CLEANUP(Committer *, committer_free)

void committer_submit(Committer *c, Commit *commit);

/*
 * For a commit that failed (in its `deliver`) and must get in all the same, such as the end of an
 * attachment that is gone already: it is tried again before whatever is submitted next, and by itself
 * every second, and then delivered again. What of it is done is not repeated. False: the committer
 * has ended; the next start settles it.
 */
bool committer_owe(Committer *c, Commit *commit);
/* Whether something is; accepts NULL. */
bool committer_owes(const Committer *c);
