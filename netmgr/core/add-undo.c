/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How an ADD ends that does not come to its end: what was done is undone in reverse, or, where that is not
 * possible at once, taken down as a DEL would, which goes on until it is.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/add-internal.h"
#include "core/guest.h"
#include "core/op-foreign.h"
#include "core/op-networks.h"
#include "core/ports.h"

static AddOp *add_of_commit(Task *task) {
        return (AddOp *) ((char *) task - offsetof(AddOp, commit));
}

void add_end(AddOp *op, int r, const Error *e) {
        operation_end(op->manager);
        op->done(r, e, r < 0 ? "" : op->answer, op->userdata);
        add_free(op);
}

static int write_undo(Commit *c, Store *store, Error *e) {
        AddOp *op = (AddOp *) ((char *) c - offsetof(AddOp, commit));
        EventRow event = trail_end(&op->trail, "add-failed", error_message(&op->error),
                                   now_realtime());
        int r = 0;

        for (size_t i = 0; i < op->n_address_rows && r >= 0; i++) {
                const AddressRow *row = &op->address_rows[i];
                /* Its owner had it before, and will have it again. */
                r = row->again_usec ? store_rest_address(store, row->pool, &row->address.address,
                                                         row->again_usec, e)
                                    : store_delete_address(store, row->pool, &row->address.address,
                                                           e);
        }
        if (r >= 0)
                r = store_delete_attachment(store, op->id, e);
        if (r >= 0 && op->drop_sandbox)
                r = store_delete_sandbox(store, op->request.container_id, e);
        return r < 0 ? r : store_add_event(store, &event, e);
}

static int enforce_undo(Commit *c, Firewall *f) {
        return firewall_remove(f, ((AddOp *) ((char *) c - offsetof(AddOp, commit)))->id);
}

static void add_drop_objects(AddOp *op) {
        Attachment *a = TAKE_PTR(op->attachment);

        if (op->guest)
                guest_drop(op);
        if (!a || op->guest)
                return;
        attachment_forget_leases(a);
        attachment_free(a);
}

static void add_released(int r _unused_, const Error *e _unused_, void *userdata) {
        AddOp *op = userdata;
        add_end(op, op->r, &op->error);
}

/* What could not be undone at once is taken down as a DEL would, which goes on until it is. The path may be one that
 * only the caller can open. */
void add_release(AddOp *op, const char *reason) {
        attachment_release_for(TAKE_PTR(op->attachment), TAKE_FD(op->request.netns_fd),
                               op->request.talk, "add-failed", reason, add_released, op);
}

static void undo_written(Task *task) {
        AddOp *op = add_of_commit(task);

        manager_set_commit_health(op->manager, &op->commit);
        error_clear(&task->error);
        if (task->r < 0) {
                add_release(op, "the ledger refused its undoing");
                return;
        }
        add_drop_objects(op);
        add_end(op, op->r, &op->error);
}

static void add_log_failure(const AddOp *op) {
        log_ctx(LOG_ERR,
                &(LogContext) { .sandbox = op->request.container_id,
                                .network = op->attachment ? op->attachment->network->name : NULL,
                                .interface = op->request.ifname,
                                .op = "add",
                                .error = op->r },
                "add: %s of %s: %s", op->request.ifname, op->request.container_id,
                error_message(&op->error));
}

/* Takes the sentence over. The kernel holds nothing of the attachment any more, or op->left says so. */
void add_fail(AddOp *op, int r, Error *e) {
        Attachment *a = op->attachment;

        if (!error_is_set(e))
                (void) error_set_errnof(e, error_kind_from_errno(r), r, "ADD");
        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        add_log_failure(op);
        if (!op->written) {
                add_drop_objects(op);
                add_end(op, op->r, &op->error);
                return;
        }
        if (op->left || a->n_delegates > 0) {
                add_release(op, op->left ? "its interfaces could not be deleted"
                                         : error_message(&op->error));
                return;
        }
        op->drop_sandbox = a->sandbox->n_attachments == 1;
        if (op->drop_sandbox)
                a->sandbox->stored = false;
        trail_take(&op->trail, a);
        op->commit.write = write_undo;
        op->commit.enforce = op->policy ? enforce_undo : NULL;
        op->commit.task.deliver = undo_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* -EAGAIN when it is not worth going on, as far as any thread can tell. */
int add_check_wanted(const AddOp *op, Error *e) {
        if (op->unwanted)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "a DEL of the same interface came before its ADD had ended; undone");
        if (now_monotonic() < op->deadline)
                return 0;
        return error_setf(e, ERROR_TRY_AGAIN,
                          "ADD took longer than AddTimeoutSec=%u; undone, try again",
                          op->manager->conf.add_timeout_sec);
}

/* The same on the loop, which can also see whether anybody would learn of the result. */
int add_check_awaited(const AddOp *op, Error *e) {
        if (op->request.abandoned && op->request.abandoned(op->userdata))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "the caller went away before the answer; undone");
        return add_check_wanted(op, e);
}

/* True when it was ended because nobody wants it any more. */
bool add_is_over(AddOp *op) {
        Error error = ERROR_NULL;

        int r = add_check_awaited(op, &error);
        if (r < 0)
                add_fail(op, r, &error);
        return r < 0;
}

static void add_abandon(AddOp *op) {
        op->unwanted = true;
        if (op->lease_call)
                dhcp_call_abandon(op->lease_call);
}

void operation_unheard(Manager *m, const void *userdata) {
        AddOp *op;

        LIST_FOREACH (op, &m->adds, AddOp, list)
                if (op->userdata == userdata)
                        add_abandon(op);
        networks_unheard(m, userdata);
}

void attachment_abandon_add(const Attachment *a) {
        AddOp *op;

        LIST_FOREACH (op, &a->manager->adds, AddOp, list)
                if (op->attachment == a)
                        add_abandon(op);
        foreign_abandon_add(a);
}

void add_take_down(AddOp *op, int r, Error *e, const char *reason) {
        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        add_log_failure(op);
        free(TAKE_PTR(op->result));
        add_release(op, reason);
}
