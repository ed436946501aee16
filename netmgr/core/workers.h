/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bounded pool of threads for kernel work that can block on RTNL. Each worker holds one rtnetlink
 * socket of the host and one connection to netmgr-nsd; a job touches those and itself.
 */

#include "core/threads.h"
#include "nl/nl.h"
#include "nsd/client.h"

/* What a worker lends to the job that it runs. */
typedef struct WorkerContext {
        Kernel *kernel;
        NlSocket *host;
        NsdClient nsd;
        int packet_fd; /* host's netns, for announcements; -EBADF until first used */
} WorkerContext;

typedef struct Job Job;
struct Job {
        Task task; /* task.r and task.error take the outcome */
        int (*run)(Job *job, WorkerContext *w, Error *e); /* on the worker */
};

typedef struct Workers Workers;

/* nsd_path is copied. The threads start at once. */
int workers_new(Mailbox *mailbox, Kernel *kernel, const char *nsd_path, unsigned n, Workers **ret);
/* Waits for the jobs that run; those still queued are dropped (the ledger knows them). */
Workers *workers_free(Workers *w);
DEFINE_CLEANUP(Workers *, workers_free)

void workers_submit(Workers *w, Job *job);
/* A further step of work that has begun: before what has not, so that a thousand requests are not all
 * half done, with all that this takes. */
void workers_submit_next(Workers *w, Job *job);
