/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Makes the kernel what the ledger says: the same look and the same repair at start, after a netlink event
 * that touched something of ours, after an operation that failed half way, and on demand.
 *
 *   look     one dump of the host's netns, compared with the plan of every attachment that no operation
 *            works on; on demand (deep) every sandbox from within, too, and the elements of the rule tables
 *   repair   networks, then attachments, then the rule tables in one transaction
 *
 * Attachments are marked busy while they are repaired, so that DEL and ADD wait for their turn. Whether
 * a sandbox that lost an interface is dead is not decided here (netns-watch.h). What a sandbox does with
 * its own namespace is its own business until somebody asks: by itself a run looks only into those whose
 * interface was left unfinished by a crash or could not be repaired. Nothing survives a crash: the next
 * start looks at everything on the host.
 */

#include "core/findings.h"
#include "core/manager.h"

typedef struct Reconciler Reconciler;

int reconciler_new(Manager *m, Reconciler **ret);
Reconciler *reconciler_free(Reconciler *c); /* accepts NULL; who waits is told that we end */
DEFINE_CLEANUP(Reconciler *, reconciler_free)

/* Something of ours changed or failed: looks at the host's side soon, and again, ever more patiently, as
 * long as there is something to repair. Costs nothing when called often. */
void reconcile_soon(Manager *m);
/* What the ledger says may be ahead of the kernel: limits by tc are set again, too. */
void reconcile_at_start(Manager *m);

/* The findings end with the call; e is filled when r < 0. */
typedef void (*ReconcileDone)(int r, const Error *e, const Findings *f, void *userdata);
/* Deep. dry_run: nothing is changed. After what is under way. -ENOMEM: `done` is not called. */
int reconcile_request(Manager *m, bool dry_run, ReconcileDone done, void *userdata);
