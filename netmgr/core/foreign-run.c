/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From the row on: the plugin is run, its result is taken, what it has made is looked at, and the row says what
 * came of it. See op-foreign.c.
 */

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "core/enforce.h"
#include "core/exec-call.h"
#include "core/foreign-internal.h"
#include "core/foreign-routes.h"
#include "core/wire.h"

#define FOREIGN_OF_COMMIT(t)   ((ForeignOp *) ((char *) (t) -offsetof(ForeignOp, commit)))
#define FOREIGN_OF_QUESTION(t) ((ForeignOp *) ((char *) (t) -offsetof(ForeignOp, question)))

/* ---- up --------------------------------------------------------------------------------------- */

static int write_up(Commit *c, Store *store, Error *e) {
        ForeignOp *op = FOREIGN_OF_COMMIT(c);
        EventRow event = trail_add(&op->trail, now_realtime());

        int r = store_put_attachment(store, &op->attachment_row, e);
        if (r >= 0)
                r = store_put_delegate(store, &op->delegate_row, e);
        return r < 0 || !op->is_first ? r : store_add_event(store, &event, e);
}

static int enforce_up(Commit *c, Firewall *f) {
        return firewall_put(f, FOREIGN_OF_COMMIT(c)->policy);
}

static void up_written(Task *task) {
        ForeignOp *op = FOREIGN_OF_COMMIT(task);
        Attachment *a = op->attachment;

        manager_set_commit_health(op->manager, &op->commit);
        int r = task->r;
        if (r >= 0)
                r = foreign_check_awaited(op, &task->error);
        if (r < 0) {
                foreign_fail(op, r, &task->error);
                return;
        }
        free(a->result);
        a->result = TAKE_PTR(op->result_text);
        if (op->is_first)
                attachment_set_state(a, ATTACHMENT_UP);
        else if (a->announced && op->manager->observer.attachment_changed)
                op->manager->observer.attachment_changed(a, op->manager->observer.userdata);
        foreign_log(op);
        foreign_end(op);
}

/* What the specification and the rows become by the result. */
static int decide(ForeignOp *op, Error *e) {
        const CniResult view = cni_owned_result_view(&op->result);
        _cleanup_json_ json_object *result = NULL;
        Attachment *a = op->attachment;
        Delegate *d = &a->delegates[a->n_delegates - 1];

        int r = cni_result_to_json(&view, op->cni_version, &op->answer, e);
        if (r >= 0)
                r = cni_result_to_json(&view, "1.1.0", &op->result_text, e);
        if (r >= 0)
                r = json_parse(op->result_text, strlen(op->result_text), "result", &result, e);
        if (r >= 0 && a->spec.kind == NET_KIND_FOREIGN) {
                r = foreign_take_addresses(&a->spec, result, "1.1.0", e);
                if (r >= 0)
                        foreign_take_link(&a->spec, &op->link);
                if (r >= 0 && !(op->policy = enforce_attachment(a)))
                        r = error_oom(e);
        }
        if (r < 0)
                return r;
        free(TAKE_PTR(op->plan_json));
        d->result = strdup(op->answer);
        if (!d->result || spec_to_json(&a->spec, &op->plan_json) < 0)
                return error_oom(e);
        attachment_to_row(a, op->plan_json, &op->attachment_row);
        op->attachment_row.state = (char *) attachment_state_to_string(ATTACHMENT_UP);
        op->attachment_row.result = op->result_text;
        op->delegate_row = delegate_row(a, d);
        trail_take(&op->trail, a);
        return 0;
}

/* ---- what the plugin has made ------------------------------------------------------------------ */

static int inspect_run(Job *job, WorkerContext *w, Error *e) {
        ForeignOp *op = (ForeignOp *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        const RequestPlace *place = op->request.place;
        uint64_t cookie;

        int r = wire_open_netns(w, op->request.netns_fd, &pod, &cookie, e);
        if (r < 0)
                return r;
        r = foreign_find_link(pod, w->host, op->request.ifname, &op->link, e);
        return r < 0 || !place_has_routes(place)
                               ? r
                               : foreign_set_routes(pod, op->request.ifname, place, e);
}

static void inspected(Task *task) {
        ForeignOp *op = (ForeignOp *) task;

        int r = task->r;
        /* Neither may it pin the namespace. */
        op->request.netns_fd = r < 0 ? op->request.netns_fd : safe_close(op->request.netns_fd);
        if (r >= 0)
                r = decide(op, &task->error);
        if (r < 0) {
                foreign_fail(op, r, &task->error);
                return;
        }
        op->commit.durable = false;
        op->commit.write = write_up;
        op->commit.enforce = op->policy ? enforce_up : NULL;
        op->commit.task.deliver = up_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* The routes of an interface of ours are in its specification. */
static int take_place(ForeignOp *op, Error *e) {
        const RequestPlace *p = op->request.place;

        if (!p || op->attachment->spec.kind != NET_KIND_FOREIGN)
                return 0;
        for (size_t i = 0; i < op->result.n_ips; i++) {
                const InPrefix *ip = &op->result.ips[i].address;
                if (ip->address.family == AF_INET ? p->no_ipv4 : p->no_ipv6)
                        return error_setf(
                                        e, ERROR_NOT_SUPPORTED,
                                        "plugin %s gave address %s to %s, which is to have none of that "
                                        "family; this is for the plugin's own configuration to say",
                                        op->request.type, IN_PREFIX_STR(ip), op->request.ifname);
        }
        return place_has_routes(p) && foreign_route_result(&op->result, p) < 0 ? error_oom(e) : 0;
}

static int take_result(ForeignOp *op, const char *text, Error *e) {
        _cleanup_json_ json_object *o = NULL;
        int r = failpoint("foreign-result");

        if (r < 0)
                return error_set_errnof(e, ERROR_DELEGATE, r, "a failpoint before the result");
        r = json_parse(text, strlen(text), "its result", &o, e);
        if (r >= 0 && !json_object_is_type(o, json_type_object))
                r = error_setf(e, ERROR_DELEGATE, "its result: wanted an object, found %s",
                               JSON_SHORT(o));
        if (r >= 0)
                r = cni_result_parse(o, "its result", op->cni_version, &op->result, e);
        if (r < 0) {
                /* To the runtime it is the plugin's fault, not its own configuration's. */
                _cleanup_error_ Error found = *e;
                *e = ERROR_NULL;
                return error_setf(e, ERROR_DELEGATE, "plugin %s: %s", op->request.type,
                                  error_message(&found));
        }
        return take_place(op, e);
}

static void answered(Question *q, int r, const TaskAnswer *answer) {
        ForeignOp *op = FOREIGN_OF_QUESTION(q);
        Attachment *a = op->attachment;
        Error error = ERROR_NULL;

        a->delegate_runs = false;
        if (r < 0 || answer->exit != 0) {
                r = delegate_error(op->request.type, "ADD", r, answer, &error);
                if (!delegate_was_run(answer))
                        attachment_drop_delegate(a); /* its row goes with the others */
        } else
                r = take_result(op, answer->text, &error);
        if (r >= 0)
                r = foreign_check_awaited(op, &error);
        if (r < 0) {
                foreign_fail(op, r, &error);
                return;
        }
        op->job.run = inspect_run;
        op->job.task.deliver = inspected;
        workers_submit_next(op->manager->workers, &op->job);
}

/* ---- the plugin ------------------------------------------------------------------------------- */

void foreign_run(ForeignOp *op) {
        Attachment *a = op->attachment;
        Error error = ERROR_NULL;
        uint64_t now = now_monotonic(), left = op->deadline > now ? op->deadline - now : 0;
        uint32_t sec = (uint32_t) MIN_OF(left / 1000000U, (uint64_t) DELEGATE_TIMEOUT_SEC);

        delegate_ask_add(a, &a->delegates[a->n_delegates - 1], op->request.netns_path,
                         MAX_OF(sec, 1U), &op->question);
        op->question.answered = answered;
        a->delegate_runs = true;
        if (task_ask(op->manager, op->request.talk, &op->question))
                return;
        a->delegate_runs = false;
        attachment_drop_delegate(a); /* it was never run */
        int r = error_setf(&error, ERROR_TRY_AGAIN,
                           "nobody is there any more to run plugin %s; undone, try again",
                           op->request.type);
        foreign_fail(op, r, &error);
}
