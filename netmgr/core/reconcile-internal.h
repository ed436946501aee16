/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between reconcile.c (the course of a run), reconcile-host.c and reconcile-sandbox.c. */

#include "core/attachment.h"
#include "core/reconcile.h"
#include "core/workers.h"

typedef struct ReconcileRun {
        Manager *manager;
        bool dry_run, renew_limits;
        bool deep;      /* somebody asked: all sandboxes from within, and the tables */
        bool hands_off; /* Repair=no and nobody asked: only what we did not finish is finished */
        uint64_t began; /* CLOCK_MONOTONIC, microseconds: what changed since is not judged */
        Findings findings;
        size_t waiting; /* repairs or looks under way, and the step itself */
        void (*next)(struct ReconcileRun *run); /* the step after this one */
        uint64_t *ids;                          /* owned: attachments to look at from within */
        size_t n_ids, next_id, ids_allocated;
        size_t n_missing; /* the first of them, whose host end is gone */
        struct Reconciler *owner;
} ReconcileRun;

/* One thing less to wait for; at the last one the next step begins. */
void reconcile_put(ReconcileRun *run);

/* One more attachment to look at from within. */
int reconcile_add_inside(ReconcileRun *run, uint64_t id);

/* The attachment if it is at rest, and was when the run began; else NULL. */
Attachment *reconcile_attachment(const ReconcileRun *run, uint64_t id);

/* Compares a dump of the host's netns; networks only, or everything else. */
void reconcile_find_networks(ReconcileRun *run, const NlDump *d);
void reconcile_find_host(ReconcileRun *run, const NlDump *d);

/* Each starts what repairs the finding and calls reconcile_put() when it has ended; `index` because the
 * array does not move meanwhile but findings of several workers come in any order. */
void reconcile_repair_network(ReconcileRun *run, size_t index);
void reconcile_repair_ops(ReconcileRun *run, size_t index);
void reconcile_repair_stray(ReconcileRun *run, size_t index);
void reconcile_repair_unfinished(ReconcileRun *run, size_t index);
void reconcile_repair_missing(ReconcileRun *run, size_t index);
void reconcile_repair_sandbox(ReconcileRun *run, size_t index);
/* Looks at the next sandboxes from within, a few at a time. */
void reconcile_look_inside(ReconcileRun *run);

/* r of finding_settled(): the finding does not hold any more, and nothing was done about it. */
#define FINDING_MOOT 1
void finding_settled(ReconcileRun *run, size_t index, int r, const Error *e);
