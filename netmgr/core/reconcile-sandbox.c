/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The sandbox's side of a reconcile: looking from within, setting what is missing there, and making an
 * interface anew that was deleted while its namespace lives. A path counts only when it leads to the
 * namespace with the recorded cookie; what is opened is closed before the job ends, so that nothing here
 * keeps a dead sandbox alive. Where the path cannot be opened (/proc/PID of others) nothing is judged.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/parse.h"
#include "core/adjust.h"
#include "core/enforce.h"
#include "core/inside.h"
#include "core/netns-watch.h"
#include "core/network-internal.h"
#include "core/reconcile-internal.h"
#include "core/wire.h"

/* Sandboxes that are looked at at the same time: workers stay free for who waits for an answer. */
#define LOOKS_AT_ONCE 2

typedef enum SandboxTask {
        SANDBOX_LOOK,
        SANDBOX_MEND,
        SANDBOX_REWIRE,
} SandboxTask;

typedef struct SandboxJob {
        Job job; /* first member */
        Commit commit;
        NetworkWaiter waiter;
        ReconcileRun *run;
        size_t index; /* of the finding; unused by a look */
        SandboxTask what;
        uint64_t id, cookie;
        char *path; /* owned */
        AttachmentSpec spec;
        Plan plan;
        Differences found;
        NlOp *ops; /* owned */
        size_t n_ops;
        bool missing; /* of a look: the host end is */
        uint32_t bridge_ifindex;
        NlApplied applied;
        PolicyAttachment *policy; /* owned */
        char *result;             /* owned copy, for the row */
} SandboxJob;

static void sandbox_job_free(SandboxJob *j) {
        error_clear(&j->job.task.error);
        plan_clear(&j->plan);
        spec_clear(&j->spec);
        differences_clear(&j->found);
        policy_attachment_free(j->policy);
        free(j->result);
        free(j->ops);
        free(j->path);
        free(j);
}

static SandboxJob *sandbox_job_new(ReconcileRun *run, const Attachment *a, SandboxTask what) {
        SandboxJob *j = new0(SandboxJob, 1);

        if (!j)
                return NULL;
        *j = (SandboxJob) {
                .run = run, .what = what, .id = a->spec.id, .cookie = a->sandbox->netns_cookie
        };
        j->path = strdup(a->sandbox->netns_path);
        j->result = a->result ? strdup(a->result) : NULL;
        if (!j->path || spec_copy(&a->spec, &j->spec) < 0 || (a->result && !j->result)) {
                sandbox_job_free(j);
                return NULL;
        }
        return j;
}

/* -ESTALE: the path does not lead to the sandbox's namespace. */
static int open_sandbox(SandboxJob *j, WorkerContext *w, int *ret_fd, NlSocket **ret, Error *e) {
        return inside_open(w, -EBADF, j->path, j->cookie, ret_fd, ret, e);
}

static int look_run(Job *job, WorkerContext *w, Error *e) {
        SandboxJob *j = (SandboxJob *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        NlDump d = { 0 };

        int r = open_sandbox(j, w, NULL, &pod, e);
        if (r < 0 || j->missing)
                return r;
        r = plan_make(&j->spec, 0, &j->plan);
        if (r >= 0)
                r = kernel_dump(pod, POD_DUMP, &d);
        if (r < 0)
                return r;
        compare_index(&d);
        compare_pod(&j->spec, &j->plan, &d, &j->found);
        kernel_dump_clear(&d);
        return 0;
}

static void add_finding(ReconcileRun *run, FindingKind kind, const Attachment *a, Differences *l) {
        Finding *f = findings_add(&run->findings, kind,
                                  kind == FINDING_MISSING ? a->spec.host_ifname : a->spec.ifname,
                                  a->network->name, a->sandbox->id, a->spec.ifname, l);
        if (f)
                f->id = a->spec.id;
}

/* The host end is gone. A sandbox that is gone with it is no damage: netns-watch.c ends it. One that it
 * found alive although we may not look into it cannot be helped, which has to be told. */
static void seen_missing(ReconcileRun *run, Attachment *a, int r) {
        Differences l = { 0 };

        if (r >= 0 || a->lost_told) {
                differ(&l, NULL, "interface %s is missing in " WHERE_HOST, a->spec.host_ifname);
                add_finding(run, FINDING_MISSING, a, &l);
        }
        if (!run->dry_run && !a->lost) {
                a->lost = true;
                netns_watch_suspect(a->manager->netns_watch, a->sandbox);
        }
}

/* A path that led there before and does not now is the sandbox's end, or soon will be. */
static void seen_nothing(ReconcileRun *run, const Attachment *a, int r, const Error *e) {
        if (!run->deep || (r == -ESTALE && a->sandbox->netns_witness.seen))
                return;
        if (run->findings.n_sandboxes_unseen++ == 0)
                run->findings.sandbox_unseen = strf("%s: %s", a->sandbox->id, error_message(e));
}

static void looked(Task *task) {
        SandboxJob *j = (SandboxJob *) task;
        ReconcileRun *run = j->run;
        Attachment *a = reconcile_attachment(run, j->id);

        if (a && j->missing)
                seen_missing(run, a, task->r);
        else if (a && !a->lost && task->r < 0)
                seen_nothing(run, a, task->r, &task->error);
        else if (a && !a->lost) {
                a->unsure &= j->found.n > 0;
                if (j->found.n > 0 || j->found.error < 0)
                        add_finding(run, FINDING_SANDBOX, a, &j->found);
        }
        sandbox_job_free(j);
        reconcile_look_inside(run);
        reconcile_put(run);
}

void reconcile_look_inside(ReconcileRun *run) {
        /* The step itself is one of those that are waited for. */
        while (run->next_id < run->n_ids && run->waiting <= LOOKS_AT_ONCE) {
                Attachment *a = reconcile_attachment(run, run->ids[run->next_id++]);
                SandboxJob *j = a ? sandbox_job_new(run, a, SANDBOX_LOOK) : NULL;

                if (!j)
                        continue;
                j->missing = run->next_id <= run->n_missing;
                j->job.run = look_run;
                j->job.task.deliver = looked;
                run->waiting++;
                workers_submit(run->manager->workers, &j->job);
        }
}

/* ---- repair ----------------------------------------------------------------------------------- */

static int mend_run(Job *job, WorkerContext *w, Error *e) {
        SandboxJob *j = (SandboxJob *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        NlApplied applied;

        int r = open_sandbox(j, w, NULL, &pod, e);
        if (r < 0)
                return r;
        r = kernel_apply(pod, j->ops, j->n_ops, &applied);
        if (r >= 0)
                return 0;
        _cleanup_free_ char *words =
                        applied.failed < j->n_ops ? nl_op_describe(&j->ops[applied.failed]) : NULL;
        return error_set_errnof(e, ERROR_KERNEL, r, "the kernel refused to %s in the sandbox",
                                words ? words : "answer");
}

static void sandbox_settled(SandboxJob *j, int r, const Error *e) {
        Attachment *a = map_get_u64(j->run->manager->attachments, j->id);

        finding_settled(j->run, j->index, r, e);
        if (a && j->what == SANDBOX_MEND)
                a->unsure = r < 0;
        sandbox_job_free(j);
        if (!a)
                return;
        a->lost_told &= a->lost;
        attachment_set_idle(a); /* one that is lost still is looked at by netns-watch.c */
}

static void mended(Task *task) {
        SandboxJob *j = (SandboxJob *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        sandbox_settled(j, task->r, &error);
        error_clear(&error);
}

/* What is in the wrong name cannot be set right: the sandbox has renamed or moved its interface. */
static int list_ops(SandboxJob *j, const Finding *f) {
        j->ops = new0(NlOp, f->differences.n + 1);
        if (!j->ops)
                return -ENOMEM;
        for (size_t i = 0; i < f->differences.n; i++)
                if (f->differences.items[i].mendable)
                        j->ops[j->n_ops++] = f->differences.items[i].repair;
        return 0;
}

void reconcile_repair_sandbox(ReconcileRun *run, size_t index) {
        const Finding *f = &run->findings.items[index];
        Attachment *a = reconcile_attachment(run, f->id);
        SandboxJob *j = a ? sandbox_job_new(run, a, SANDBOX_MEND) : NULL;
        _cleanup_error_ Error error = ERROR_NULL;

        if (!j || list_ops(j, f) < 0) {
                finding_settled(run, index, a ? -ENOMEM : FINDING_MOOT, NULL);
                if (j)
                        sandbox_job_free(j);
                return;
        }
        if (j->n_ops == 0) {
                int r = error_setf(
                                &error, ERROR_KERNEL,
                                "the sandbox has renamed or moved its interface; DEL and ADD it");
                a->unsure = true; /* looked at again until it is as it was, or gone */
                finding_settled(run, index, r, &error);
                sandbox_job_free(j);
                return;
        }
        j->index = index;
        j->job.run = mend_run;
        j->job.task.deliver = mended;
        a->busy = true;
        workers_submit(run->manager->workers, &j->job);
}

/* ---- an interface made anew ------------------------------------------------------------------- */

static int rewire_write_up(Commit *c, Store *store, Error *e) {
        SandboxJob *j = (SandboxJob *) ((char *) c - offsetof(SandboxJob, commit));

        return store_set_attachment_state(store, j->id, attachment_state_to_string(ATTACHMENT_UP),
                                          j->applied.host_ifindex, j->result, e);
}

static void rewire_written(Task *task) {
        SandboxJob *j = (SandboxJob *) ((char *) task - offsetof(SandboxJob, commit));
        Attachment *a = map_get_u64(j->run->manager->attachments, j->id);
        Error error = task->error;

        manager_set_commit_health(j->run->manager, &j->commit);
        task->error = ERROR_NULL;
        if (a) {
                a->lost = false;
                attachment_set_host_ifindex(a, j->applied.host_ifindex);
        }
        sandbox_settled(j, task->r, &error);
        error_clear(&error);
}

static int rewire_run(Job *job, WorkerContext *w, Error *e) {
        SandboxJob *j = (SandboxJob *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        _cleanup_close_ int fd = -EBADF;
        bool left = false; /* the next look finds it */

        int r = open_sandbox(j, w, &fd, &pod, e);
        if (r >= 0 && plan_make(&j->spec, j->bridge_ifindex, &j->plan) < 0)
                r = error_oom(e);
        if (r >= 0)
                r = wire_plan(w, &j->plan, fd, pod, &j->spec, &j->applied, &left, e);
        if (r >= 0 && (j->spec.adjust.n_rules > 0 || j->spec.adjust.vrf[0]))
                r = adjust_apply(pod, &j->spec, NULL, e);
        if (r >= 0 && j->bridge_ifindex)
                wire_announce(w, j->bridge_ifindex, &j->spec);
        return r;
}

static void rewired(Task *task) {
        SandboxJob *j = (SandboxJob *) task;

        if (task->r < 0) {
                mended(task);
                return;
        }
        j->commit.write = rewire_write_up;
        j->commit.enforce = NULL;
        j->commit.task.deliver = rewire_written;
        committer_submit(j->run->manager->committer, &j->commit);
}

static int rewire_write_nothing(Commit *c _unused_, Store *store _unused_, Error *e _unused_) {
        return 0;
}

static int rewire_enforce(Commit *c, Firewall *f) {
        return firewall_put(f,
                            ((SandboxJob *) ((char *) c - offsetof(SandboxJob, commit)))->policy);
}

/* As at ADD, the tables know it before the link is there. */
static void rewire_enforced(Task *task) {
        SandboxJob *j = (SandboxJob *) ((char *) task - offsetof(SandboxJob, commit));
        Error error = task->error;

        task->error = ERROR_NULL;
        if (task->r < 0)
                sandbox_settled(j, task->r, &error);
        else {
                j->job.run = rewire_run;
                j->job.task.deliver = rewired;
                workers_submit(j->run->manager->workers, &j->job);
        }
        error_clear(&error);
}

static void rewire_network_ready(NetworkWaiter *w, int r, const Error *e) {
        SandboxJob *j = (SandboxJob *) ((char *) w - offsetof(SandboxJob, waiter));
        Attachment *a = map_get_u64(j->run->manager->attachments, j->id);

        if (r < 0 || !a || !(j->policy = enforce_attachment(a))) {
                sandbox_settled(j, r < 0 ? r : -ENOMEM, e);
                return;
        }
        j->bridge_ifindex = a->network->bridge_ifindex;
        j->commit.write = rewire_write_nothing;
        j->commit.enforce = rewire_enforce;
        j->commit.task.deliver = rewire_enforced;
        committer_submit(j->run->manager->committer, &j->commit);
}

void reconcile_repair_missing(ReconcileRun *run, size_t index) {
        Attachment *a = reconcile_attachment(run, run->findings.items[index].id);
        SandboxJob *j = a ? sandbox_job_new(run, a, SANDBOX_REWIRE) : NULL;

        if (!j) {
                finding_settled(run, index, a ? -ENOMEM : FINDING_MOOT, NULL);
                return;
        }
        j->index = index;
        j->waiter.ready = rewire_network_ready;
        a->busy = true;
        network_await(a->network, &j->waiter);
}
