/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See op-change.h. */

#include "core/op-change.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/enforce.h"
#include "core/flows.h"
#include "core/host-end.h"
#include "core/ports.h"
#include "core/trail.h"
#include "core/workers.h"

typedef struct ChangeOp {
        Job job;       /* first member: shaping by tc */
        Commit commit; /* rows and rule elements */
        Manager *manager;
        Attachment *attachment; /* busy with us */
        ChangeDone done;
        void *userdata;
        const char *what;         /* "add-port", … for the log */
        PolicyAttachment *policy; /* owned: what the tables shall say */
        PortRow rows[2];          /* added or removed */
        size_t n_rows;
        bool first_port; /* else the last one */
        ShapingRow shaping_row;
        NetBandwidth old_bandwidth, bandwidth;
        NetShapingMode mode;
        bool renew; /* whatever the kernel has: it may have another rate than the row */
        HostEnd host;
        uint64_t id;
        Trail trail; /* owned; its ports are those added or removed */
        SpecPort added[2];
        SpecPort removed[2]; /* to take back when the ledger refuses */
} ChangeOp;

#define CHANGE_OF_COMMIT(t) ((ChangeOp *) ((char *) (t) -offsetof(ChangeOp, commit)))

/* Takes the sentence over: *e may be the operation's own. */
static void change_end(ChangeOp *op, int r, Error *e) {
        _cleanup_error_ Error error = *e;
        Attachment *a = op->attachment;

        *e = ERROR_NULL;

        log_ctx(r < 0       ? LOG_WARNING
                : op->renew ? LOG_DEBUG
                            : LOG_INFO,
                &(LogContext) { .sandbox = a->sandbox->id,
                                .network = a->network->name,
                                .interface = a->spec.ifname,
                                .op = op->what,
                                .error = r },
                "%s: %s of %s%s%s", op->what, a->spec.ifname, a->sandbox->id, r < 0 ? ": " : "",
                r < 0 ? error_message(&error) : "");
        op->done(r, &error, op->userdata);
        policy_attachment_free(op->policy);
        trail_clear(&op->trail);
        free(op);
        attachment_set_idle(a);
}

static void refuse(ChangeDone done, void *userdata, int r, Error *e) {
        done(r, e, userdata);
        error_clear(e);
}

/* NULL: `done` has been called. */
static ChangeOp *change_begin(Attachment *a, const char *what, ChangeDone done, void *userdata) {
        Error error = ERROR_NULL;
        ChangeOp *op;
        int r;

        if (a->busy || a->state != ATTACHMENT_UP || a->lost) {
                r = error_setf(&error, ERROR_TRY_AGAIN,
                               "interface %s of sandbox %s is being worked on (state %s); try again",
                               a->spec.ifname, a->sandbox->id,
                               attachment_state_to_string(a->state));
                refuse(done, userdata, r, &error);
                return NULL;
        }
        if (!enforce_concerns(a)) {
                r = error_setf(&error, ERROR_NOT_SUPPORTED,
                               "interface %s of sandbox %s is of kind %s and has no host side",
                               a->spec.ifname, a->sandbox->id, net_kind_to_string(a->spec.kind));
                refuse(done, userdata, r, &error);
                return NULL;
        }
        op = new0(ChangeOp, 1);
        if (!op) {
                refuse(done, userdata, error_oom(&error), &error);
                return NULL;
        }
        *op = (ChangeOp) { .manager = a->manager,
                           .attachment = a,
                           .done = done,
                           .userdata = userdata,
                           .what = what,
                           .id = a->spec.id };
        a->busy = true;
        return op;
}

static int change_enforce(Commit *c, Firewall *f) {
        return firewall_put(f, CHANGE_OF_COMMIT(c)->policy);
}

/* Hands the rows and the new rule elements to the committer. */
static void change_commit(ChangeOp *op, int (*write)(Commit *c, Store *store, Error *e),
                          void (*deliver)(Task *task)) {
        op->commit.write = write;
        op->commit.enforce = change_enforce;
        op->commit.task.deliver = deliver;
        committer_submit(op->manager->committer, &op->commit);
}

/* ---- ports ------------------------------------------------------------------------------------ */

static void give_back_added(ChangeOp *op) {
        Attachment *a = op->attachment;

        for (size_t i = 0; i < op->n_rows; i++)
                attachment_give_back_port(a, a->spec.n_ports - 1);
}

/* What the audit trail says of the change. */
static void take_trail(ChangeOp *op) {
        trail_take(&op->trail, op->attachment);
        free(op->trail.ports);
        op->trail.ports = ports_format(op->rows, op->n_rows);
}

static int write_change_event(const ChangeOp *op, const char *what, Store *store, Error *e) {
        EventRow event = trail_event(&op->trail, what, now_realtime());
        return store_add_event(store, &event, e);
}

static int write_added(Commit *c, Store *store, Error *e) {
        ChangeOp *op = CHANGE_OF_COMMIT(c);
        int r = 0;

        for (size_t i = 0; i < op->n_rows && r >= 0; i++)
                r = store_put_port(store, &op->rows[i], e);
        return r < 0 ? r : write_change_event(op, "add-port", store, e);
}

static int write_removed(Commit *c, Store *store, Error *e) {
        ChangeOp *op = CHANGE_OF_COMMIT(c);
        int r = 0;

        for (size_t i = 0; i < op->n_rows && r >= 0; i++)
                r = store_delete_port(store, &op->rows[i], e);
        return r < 0 ? r : write_change_event(op, "remove-port", store, e);
}

static void forget_flows(ChangeOp *op) {
        for (size_t i = 0; i < op->n_rows; i++)
                if (op->rows[i].protocol == IPPROTO_UDP)
                        flows_forget_port(op->manager->flows, op->rows[i].protocol,
                                          op->rows[i].host_port, &op->rows[i].host);
}

static void undo_added(Task *task) {
        ChangeOp *op = CHANGE_OF_COMMIT(task);
        Error error = ERROR_NULL;

        error_clear(&task->error);
        int r = error_setf(&error, ERROR_KERNEL, "the rule tables refused the port");
        change_end(op, r, &error);
}

static void added(Task *task) {
        ChangeOp *op = CHANGE_OF_COMMIT(task);
        Error error = task->error;
        int r = task->r;

        manager_set_commit_health(op->manager, &op->commit);
        task->error = ERROR_NULL;
        if (r < 0) {
                give_back_added(op);
                if (op->commit.written) {
                        /* The row must not outlive what the kernel refused. */
                        log_warning("add-port: %s", error_message(&error));
                        error_clear(&error);
                        op->commit.write = write_removed;
                        op->commit.enforce = NULL;
                        op->commit.task.deliver = undo_added;
                        committer_submit(op->manager->committer, &op->commit);
                        return;
                }
        } else
                forget_flows(op);
        change_end(op, r, &error);
}

/* What the first port switches on at its links and the last one off. */
static int localnet_run(Job *job, WorkerContext *w, Error *e) {
        ChangeOp *op = (ChangeOp *) job;

        return host_end_open_ports(w->host, &op->host, op->first_port, e);
}

/* Nobody else may be listening, and the links must be ready before the port opens. */
static int prepare_run(Job *job, WorkerContext *w, Error *e) {
        ChangeOp *op = (ChangeOp *) job;

        int r = ports_check_listeners(op->added, op->n_rows, e);
        return r < 0 || !op->first_port ? r : localnet_run(job, w, e);
}

static void prepared(Task *task) {
        ChangeOp *op = (ChangeOp *) task;

        if (task->r < 0) {
                give_back_added(op);
                change_end(op, task->r, &task->error);
                return;
        }
        change_commit(op, write_added, added);
}

void attachment_add_port(Attachment *a, const NetPort *port, ChangeDone done, void *userdata) {
        Error error = ERROR_NULL;
        ChangeOp *op = change_begin(a, "add-port", done, userdata);
        bool had_ports = a->spec.n_ports > 0 && spec_needs_route_localnet(&a->spec);

        if (!op)
                return;
        int r = attachment_take_ports(a, port, &error);
        if (r == 0)
                r = error_setf(&error, ERROR_INVALID_ARGUMENT,
                               "HostIP: interface %s of sandbox %s has no address of the family of \"%s\"",
                               a->spec.ifname, a->sandbox->id,
                               in_addr_is_set(&port->host) ? IN_ADDR_STR(&port->host) : "");
        if (r < 0) {
                change_end(op, r, &error);
                return;
        }
        op->n_rows = (size_t) r;
        for (size_t i = 0; i < op->n_rows; i++)
                op->rows[i] = attachment_port_row(a,
                                                  &a->spec.ports[a->spec.n_ports - op->n_rows + i]);
        take_trail(op);
        op->policy = enforce_attachment(a);
        if (!op->policy) {
                give_back_added(op);
                (void) error_oom(&error);
                change_end(op, -ENOMEM, &error);
                return;
        }
        memcpy(op->added, &a->spec.ports[a->spec.n_ports - op->n_rows],
               op->n_rows * sizeof(SpecPort));
        host_end_of(&a->spec, &op->host);
        op->first_port = !had_ports && a->spec.snat;
        op->job.run = prepare_run;
        op->job.task.deliver = prepared;
        workers_submit(op->manager->workers, &op->job);
}

static void links_reset(Task *task) {
        /* What stays switched on does no harm: the port is closed. */
        change_end((ChangeOp *) task, 0, &task->error);
}

/* True when a job has been started that ends the operation. */
static bool reset_links(ChangeOp *op) {
        const AttachmentSpec *s = &op->attachment->spec;

        if (s->n_ports > 0 || !s->snat || s->hairpin)
                return false;
        host_end_of(s, &op->host);
        op->job.run = localnet_run;
        op->job.task.deliver = links_reset;
        workers_submit(op->manager->workers, &op->job);
        return true;
}

/* They are still published. */
static void keep_removed(ChangeOp *op) {
        AttachmentSpec *s = &op->attachment->spec;

        for (size_t i = 0; i < op->n_rows; i++)
                s->ports[s->n_ports++] = op->removed[i];
}

static void removed(Task *task) {
        ChangeOp *op = CHANGE_OF_COMMIT(task);
        Attachment *a = op->attachment;
        Error error = task->error;
        int r = task->r;

        manager_set_commit_health(op->manager, &op->commit);
        task->error = ERROR_NULL;
        if (!op->commit.written) {
                keep_removed(op);
        } else {
                for (size_t i = 0; i < op->n_rows; i++)
                        port_table_give_back(a->manager->ports, a, &op->removed[i]);
                forget_flows(op);
        }
        if (r >= 0 && reset_links(op))
                return;
        change_end(op, r, &error);
}

void attachment_remove_port(Attachment *a, const NetPort *port, ChangeDone done, void *userdata) {
        Error error = ERROR_NULL;
        size_t found[2];
        ChangeOp *op = change_begin(a, "remove-port", done, userdata);

        if (!op)
                return;
        op->n_rows = attachment_find_ports(a, port, found);
        if (op->n_rows == 0) {
                int r = error_setf(
                                &error, ERROR_INVALID_ARGUMENT,
                                "interface %s of sandbox %s does not publish host port %u/%s%s%s",
                                a->spec.ifname, a->sandbox->id, port->host_port,
                                protocol_name(port->protocol),
                                in_addr_is_set(&port->host) ? " on " : "",
                                in_addr_is_set(&port->host) ? IN_ADDR_STR(&port->host) : "");
                change_end(op, r, &error);
                return;
        }
        for (size_t i = 0; i < op->n_rows; i++) {
                op->removed[i] = a->spec.ports[found[i]];
                op->rows[i] = attachment_port_row(a, &op->removed[i]);
        }
        take_trail(op);
        /* Held until nothing leads there any more. */
        for (size_t i = op->n_rows; i > 0; i--)
                attachment_leave_out_port(a, found[i - 1]);
        op->policy = enforce_attachment(a);
        if (!op->policy) {
                keep_removed(op);
                (void) error_oom(&error);
                change_end(op, -ENOMEM, &error);
                return;
        }
        change_commit(op, write_removed, removed);
}

/* ---- limits ----------------------------------------------------------------------------------- */

static int shape_run(Job *job, WorkerContext *w, Error *e) {
        ChangeOp *op = (ChangeOp *) job;

        return host_end_shape(w->host, &op->host, &op->old_bandwidth, &op->bandwidth, op->renew, e);
}

static void shaped(Task *task) {
        ChangeOp *op = (ChangeOp *) task;

        change_end(op, task->r, &task->error);
}

static int write_shaping(Commit *c, Store *store, Error *e) {
        return store_put_shaping(store, &CHANGE_OF_COMMIT(c)->shaping_row, e);
}

static void shaping_written(Task *task) {
        ChangeOp *op = CHANGE_OF_COMMIT(task);
        Attachment *a = op->attachment;

        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0 && !op->commit.written)
                a->spec.bandwidth = op->old_bandwidth;
        if (task->r < 0 || op->mode != NET_SHAPING_SHAPE) {
                change_end(op, task->r, &task->error);
                return;
        }
        op->job.run = shape_run;
        op->job.task.deliver = shaped;
        workers_submit(op->manager->workers, &op->job);
}

void attachment_set_bandwidth(Attachment *a, const NetBandwidth *b, ChangeDone done,
                              void *userdata) {
        Error error = ERROR_NULL;
        ChangeOp *op = change_begin(a, "set-bandwidth", done, userdata);

        if (!op)
                return;
        if (!spec_host_end(&a->spec)[0]) {
                int r = error_setf(
                                &error, ERROR_NOT_SUPPORTED,
                                "interface %s of sandbox %s is of kind %s, and the host has no end of "
                                "it that could be limited",
                                a->spec.ifname, a->sandbox->id, net_kind_to_string(a->spec.kind));
                change_end(op, r, &error);
                return;
        }
        op->old_bandwidth = a->spec.bandwidth;
        op->bandwidth = *b;
        net_bandwidth_normalise(&op->bandwidth);
        op->mode = a->spec.shaping_mode;
        host_end_of(&a->spec, &op->host);
        a->spec.bandwidth = op->bandwidth;
        op->shaping_row = attachment_shaping_row(a);
        op->policy = enforce_attachment(a);
        if (!op->policy) {
                a->spec.bandwidth = op->old_bandwidth;
                (void) error_oom(&error);
                change_end(op, -ENOMEM, &error);
                return;
        }
        change_commit(op, write_shaping, shaping_written);
}

void attachment_renew_limits(Attachment *a, ChangeDone done, void *userdata) {
        ChangeOp *op = change_begin(a, "renew-limits", done, userdata);

        if (!op)
                return;
        op->bandwidth = op->old_bandwidth = a->spec.bandwidth;
        op->mode = a->spec.shaping_mode;
        op->renew = true;
        host_end_of(&a->spec, &op->host);
        op->job.run = shape_run;
        op->job.task.deliver = shaped;
        workers_submit(op->manager->workers, &op->job);
}
