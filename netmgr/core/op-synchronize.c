/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Synchronize: walk the sandboxes once, release what the runtime has lost, then commit the claims.
 * That commit comes last on purpose: commits are written in order, so that once it is in the ledger the
 * ends of all releases are as well, and the sentence that their rows borrow may go.
 */

#include "core/op-synchronize.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/sync-round.h"

typedef struct SyncOp SyncOp;

/* One sandbox that the runtime has lost. */
typedef struct Loss {
        AttachmentWaiter waiter; /* first member; one of its attachments is being worked on */
        SyncOp *op;
        char *id;
        size_t waiting; /* attachments under release, and the start of them */
        bool released, failed;
} Loss;

struct SyncOp {
        Commit commit; /* first member */
        Manager *manager;
        SyncRequest request;
        RequestDone done;
        void *userdata;
        Map *listed;             /* id -> SyncItem */
        const SyncItem **claims; /* of the request: a sandbox may be gone when its row is written */
        size_t n_claims, n_new;
        Loss **losses;
        size_t n_losses, losses_allocated;
        size_t waiting; /* losses under release, and the walk itself */
        char *reason;   /* of every release; lent to their rows */
};

void sync_request_clear(SyncRequest *q) {
        for (size_t i = 0; i < q->n_items; i++)
                free(q->items[i].id);
        free(q->items);
        free(q->runtime);
        *q = (SyncRequest) { 0 };
}

static void sync_free(SyncOp *op) {
        for (size_t i = 0; i < op->n_losses; i++) {
                free(op->losses[i]->id);
                free(op->losses[i]);
        }
        free(op->claims);
        free(op->losses);
        free(op->reason);
        map_free(op->listed);
        sync_request_clear(&op->request);
        free(op);
}

/* --- the answer -------------------------------------------------------------------------------- */

static char *sync_result(const SyncOp *op) {
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *lists[2] = { json_object_new_array(), json_object_new_array() };
        int r = o ? 0 : -ENOMEM;

        for (size_t i = 0; i < op->n_losses && r >= 0 && lists[0] && lists[1]; i++)
                if (op->losses[i]->released)
                        r = json_append(lists[op->losses[i]->failed],
                                        json_object_new_string(op->losses[i]->id));
        if (r >= 0)
                r = json_add(o, "claimed", json_object_new_int64((int64_t) op->n_new));
        if (r < 0) {
                json_object_put(lists[0]);
                json_object_put(lists[1]);
                return NULL;
        }
        r = json_add(o, "released", lists[0]);
        if (r < 0) {
                json_object_put(lists[1]);
                return NULL;
        }
        return json_add(o, "failed", lists[1]) < 0 ? NULL : json_to_text(o);
}

static void sync_end(SyncOp *op, int r, const Error *e) {
        _cleanup_free_ char *result = r < 0 ? NULL : sync_result(op);
        _cleanup_error_ Error oom = ERROR_NULL;
        Manager *m = op->manager;
        uint64_t began = op->request.began_usec;

        if (r >= 0 && !result) {
                r = error_oom(&oom);
                e = &oom;
        }
        operation_end(m);
        m->n_synchronizations--;
        op->done(r, e, r < 0 ? "" : result, op->userdata);
        sync_free(op);
        sync_round_answered(m->sync_round, began);
}

static int write_claims(Commit *c, Store *store, Error *e) {
        SyncOp *op = (SyncOp *) c;

        for (size_t i = 0; i < op->n_claims; i++) {
                const SyncItem *item = op->claims[i];
                const SandboxRow row = { .id = item->id,
                                         .runtime = op->request.runtime,
                                         .state = (char *) (item->ready ? "ready" : "notready") };
                int r = store_claim_sandbox(store, &row, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static void claims_written(Task *task) {
        SyncOp *op = (SyncOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_commit_health(op->manager, &op->commit);
        sync_end(op, task->r, &error);
        error_clear(&error);
}

static void sync_put(SyncOp *op) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (--op->waiting > 0)
                return;
        if (!op->manager->committer) { /* what was waited for ended with the daemon */
                int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd is ending");
                sync_end(op, r, &error);
                return;
        }
        op->commit.write = write_claims;
        op->commit.task.deliver = claims_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* --- what the runtime has lost ----------------------------------------------------------------- */

static void loss_put(Loss *loss) {
        SyncOp *op = loss->op;

        if (--loss->waiting > 0)
                return;
        sync_put(op);
}

static void loss_released(int r, const Error *e, void *userdata) {
        Loss *loss = userdata;

        if (r < 0) {
                loss->failed = true;
                log_ctx(LOG_ERR, &(LogContext) { .sandbox = loss->id, .op = "synchronize" },
                        "synchronize: %s, %s, could not be released: %s", loss->id,
                        loss->op->reason, error_message(e));
        }
        loss_put(loss);
}

static void loss_start(Loss *loss);

static void loss_woken(AttachmentWaiter *w) {
        loss_start((Loss *) w);
}

/* The sandbox, if it is still the one that the list is about. */
static Sandbox *loss_sandbox(const Loss *loss) {
        const SyncRequest *q = &loss->op->request;
        Sandbox *s = sandbox_find(loss->op->manager, loss->id);

        return s && s->n_attachments > 0 && streq(s->runtime, q->runtime) &&
                                               s->seen_usec < q->began_usec
                               ? s
                               : NULL;
}

/* Whoever works on an attachment of it is waited for, as DEL does; then all is looked at again. */
static void loss_start(Loss *loss) {
        Sandbox *s = loss->op->manager->committer ? loss_sandbox(loss) : NULL;
        Attachment *a;

        if (!s) {
                loss_put(loss);
                return;
        }
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->busy) {
                        loss->waiter.idle = loss_woken;
                        list_append(&a->waiters, &loss->waiter.list);
                        return;
                }
        loss->released = true;
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                loss->waiting++;
                attachment_release(a, "synchronize", loss->op->reason, loss_released, loss);
        }
        loss_put(loss);
}

static int lose_sandbox(SyncOp *op, const Sandbox *s) {
        Loss *loss;

        if (GREEDY_REALLOC(op->losses, op->losses_allocated, op->n_losses + 1) < 0 ||
            !(loss = new0(Loss, 1)))
                return -ENOMEM;
        *loss = (Loss) { .op = op, .id = strdup(s->id), .waiting = 1 };
        if (!loss->id) {
                free(loss);
                return -ENOMEM;
        }
        op->losses[op->n_losses++] = loss;
        return 0;
}

/* --- what it has ------------------------------------------------------------------------------- */

static int claim_sandbox(SyncOp *op, Sandbox *s, const SyncItem *item) {
        const ManagerObserver *o = &op->manager->observer;

        s->seen_usec = MAX_OF(s->seen_usec, op->request.began_usec);
        /* Who works on it may have lent its strings to the committer: the next list will claim it. */
        if ((s->runtime[0] && s->not_ready == !item->ready) || sandbox_is_busy(s))
                return 0;
        if (!s->runtime[0]) {
                char *runtime = strdup(op->request.runtime);
                if (!runtime)
                        return -ENOMEM;
                free(s->runtime);
                s->runtime = runtime;
                op->n_new++;
        }
        s->not_ready = !item->ready;
        op->claims[op->n_claims++] = item;
        if (s->announced && o->sandbox_changed)
                o->sandbox_changed(s, o->userdata);
        return 0;
}

static int sync_walk(SyncOp *op) {
        Sandbox *s;

        MAP_FOREACH (s, op->manager->sandboxes) {
                const SyncItem *item = map_get_str(op->listed, s->id);
                bool ours = streq(s->runtime, op->request.runtime);
                int r = 0;

                if (!ours && s->runtime[0])
                        continue;
                if (item)
                        r = claim_sandbox(op, s, item);
                else if (ours && s->seen_usec < op->request.began_usec)
                        r = lose_sandbox(op, s);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int sync_index(SyncOp *op, Error *e) {
        const SyncRequest *q = &op->request;

        op->listed = map_new();
        op->claims = new0(const SyncItem *, map_size(op->manager->sandboxes) + 1);
        op->reason = strf("not among the sandboxes of %s", q->runtime);
        if (!op->listed || !op->claims || !op->reason)
                return error_oom(e);
        for (size_t i = 0; i < q->n_items; i++) {
                int r = map_put_str(op->listed, q->items[i].id, &q->items[i]);
                if (r == -EEXIST)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "Sandboxes: %s is in the list twice", q->items[i].id);
                if (r < 0)
                        return error_oom(e);
        }
        return 0;
}

static int sync_check(const Manager *m, const SyncRequest *q, Error *e) {
        uint64_t now = now_boottime();

        if (m->n_synchronizations > SYNCHRONIZE_MAX)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "%u lists of sandboxes are being worked on, the limit; try again later",
                                SYNCHRONIZE_MAX);
        if (q->began_usec == 0 || q->began_usec > now)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "Began: wanted microseconds of CLOCK_BOOTTIME, at most now (%llu), "
                                "found %llu",
                                (unsigned long long) now, (unsigned long long) q->began_usec);
        return 0;
}

void operation_synchronize(Manager *m, SyncRequest *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        SyncOp *op = new0(SyncOp, 1);

        if (!op) {
                sync_request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (SyncOp) {
                .manager = m, .request = *q, .done = done, .userdata = userdata, .waiting = 1
        };
        *q = (SyncRequest) { 0 };

        /* The queue's limit does not hold: ADDs that fill it may be waiting for this very list. */
        m->n_operations++;
        m->n_synchronizations++;
        int r = sync_check(m, &op->request, &error);
        if (r >= 0)
                r = sync_index(op, &error);
        if (r < 0) {
                sync_end(op, r, &error);
                return;
        }
        /* Out of memory in the middle: what was found so far is carried out, the next list has the rest. */
        if (sync_walk(op) < 0)
                log_warning("synchronize: out of memory; the rest waits for the next list of %s",
                            op->request.runtime);
        op->waiting += op->n_losses;
        for (size_t i = 0, n = op->n_losses; i < n; i++)
                loss_start(op->losses[i]);
        sync_put(op);
}
