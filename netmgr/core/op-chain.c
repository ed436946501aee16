/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The course of ADD for a plugin of a chain; see op-chain.h.
 *
 *   find or make the attachment -> look (worker) -> decide -> rows and rule elements (committer) -> kernel
 *   (worker) -> answer
 *
 * A failure puts the specification and its rows back, or takes down what was made here. A crash after the
 * rows are in leaves them: they are complete, reconcile brings the kernel there, and the runtime, which got
 * no answer, ends the attachment by DEL.
 */

#include "core/op-chain.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "core/chain-inside.h"
#include "core/enforce.h"
#include "core/ports.h"
#include "core/reconcile.h"
#include "core/wire.h"
#include "cri/ticket.h"

#define CHAIN_OF_COMMIT(t)  ((ChainOp *) ((char *) (t) -offsetof(ChainOp, commit)))
#define CHAIN_OF_NETWORK(t) ((ChainOp *) ((char *) (t) -offsetof(ChainOp, network)))
#define CHAIN_OF_IDLE(t)    ((ChainOp *) ((char *) (t) -offsetof(ChainOp, idle)))

static void chain_free(ChainOp *op) {
        request_clear(&op->request);
        netconf_free(op->conf);
        spec_clear(&op->before);
        spec_clear(&op->after);
        kernel_socket_free(op->pod);
        policy_attachment_free(op->policy);
        trail_clear(&op->trail);
        error_clear(&op->error);
        chain_inside_free(op->inside);
        free(op->plan_json);
        free(op->result);
        free(op->answer);
        free(op);
}

static void chain_log(const ChainOp *op, const Attachment *a) {
        log_ctx(op->r < 0 ? LOG_ERR : LOG_INFO,
                &(LogContext) { .sandbox = op->request.container_id,
                                .network = a ? a->network->name : NULL,
                                .interface = op->request.ifname,
                                .op = "add",
                                .error = op->r },
                "add: %s: %s of %s%s%s", op->request.type, op->request.ifname,
                op->request.container_id, op->r < 0 ? ": " : "",
                op->r < 0 ? error_message(&op->error) : "");
}

static void chain_end(ChainOp *op) {
        Attachment *a = TAKE_PTR(op->attachment);

        chain_log(op, a);
        operation_end(op->manager);
        op->done(op->r, &op->error, op->r < 0 ? "" : op->answer, op->userdata);
        chain_free(op);
        if (a)
                attachment_set_idle(a);
}

/* ---- failure ---------------------------------------------------------------------------------- */

static void chain_released(int r _unused_, const Error *e _unused_, void *userdata) {
        chain_end(userdata);
}

/* What was made here goes as a whole. */
static void drop_new(ChainOp *op) {
        if (op->written)
                attachment_release(TAKE_PTR(op->attachment), "add-failed",
                                   "the interface's attachment was not complete", chain_released,
                                   op);
        else {
                attachment_free(TAKE_PTR(op->attachment));
                chain_end(op);
        }
}

static bool has_port(const AttachmentSpec *s, const SpecPort *p) {
        for (size_t i = 0; i < s->n_ports; i++)
                if (s->ports[i].protocol == p->protocol && s->ports[i].host_port == p->host_port &&
                    in_addr_equal(&s->ports[i].host, &p->host))
                        return true;
        return false;
}

/* The specification as it was, and the host ports that were taken for the other one are free again. */
static void take_back(ChainOp *op) {
        Attachment *a = op->attachment;
        AttachmentSpec now = a->spec;

        for (size_t i = 0; i < now.n_ports; i++)
                if (!has_port(&op->before, &now.ports[i]))
                        port_table_give_back(op->manager->ports, a, &now.ports[i]);
        a->spec = op->before;
        op->before = (AttachmentSpec) { 0 };
        spec_clear(&now);
}

static int chain_write(Commit *c, Store *store, Error *e);
static int chain_enforce(Commit *c, Firewall *f);

static void undone(Task *task) {
        ChainOp *op = CHAIN_OF_COMMIT(task);

        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0) /* the rows say more than was answered, until DEL */
                log_warning("add: %s: %s", op->request.type, error_message(&task->error));
        error_clear(&task->error);
        reconcile_soon(op->manager);
        chain_end(op);
}

/* From the new rows back to the old ones. */
static void undo_rows(ChainOp *op) {
        Attachment *a = op->attachment;
        AttachmentSpec old = { 0 };

        op->policy = policy_attachment_free(op->policy);
        free(TAKE_PTR(op->plan_json));
        take_back(op);
        /* chain_write() goes from `before` to `after`. */
        op->before = op->after;
        op->after = (AttachmentSpec) { 0 };
        if (spec_copy(&a->spec, &old) < 0 || spec_to_json(&a->spec, &op->plan_json) < 0 ||
            !(op->policy = enforce_attachment(a))) {
                spec_clear(&old);
                log_warning("add: %s: no memory to write back what was; DEL ends it",
                            op->request.type);
                chain_end(op);
                return;
        }
        op->after = old;
        op->undoing = true;
        op->shaping_row = attachment_shaping_row(a);
        op->commit.task.deliver = undone;
        committer_submit(op->manager->committer, &op->commit);
}

/* Takes the sentence over; *e may be a task's. */
static void chain_fail(ChainOp *op, int r, Error *e) {
        if (!error_is_set(e))
                (void) error_set_errnof(e, error_kind_from_errno(r), r, "%s", op->request.type);
        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        if (op->is_new)
                drop_new(op);
        else if (op->written)
                undo_rows(op);
        else
                chain_end(op);
}

/* ---- answer ----------------------------------------------------------------------------------- */

static int make_answer(ChainOp *op, Error *e) {
        json_object *result = op->conf->prev_result;

        /* A result is of the version of its configuration. */
        json_object_object_del(result, "cniVersion");
        /* What other plugins wrote is passed on, but not as if we asked for something. */
        json_object_object_del(result, TICKET_KEY);
        int r = json_add_string(result, "cniVersion", op->conf->cni_version) < 0 ? error_oom(e) : 0;
        if (r >= 0 && op->attachment && op->plugin->answer)
                r = op->plugin->answer(op, result, e);
        if (r >= 0 && !(op->answer = json_to_text(result)))
                r = error_oom(e);
        return r;
}

static void chain_answer(ChainOp *op) {
        Error error = ERROR_NULL;
        Attachment *a = op->attachment;

        int r = make_answer(op, &error);
        /* Nobody would ever know of an attachment that is made here: its interface goes without us. */
        if (r >= 0 && op->is_new && op->request.abandoned && op->request.abandoned(op->userdata))
                r = error_setf(&error, ERROR_TRY_AGAIN,
                               "the caller went away before the answer; undone");
        if (r < 0) {
                chain_fail(op, r, &error);
                return;
        }
        if (a && op->is_new) {
                a->result = TAKE_PTR(op->result);
                attachment_set_state(a, ATTACHMENT_UP);
        } else if (a && a->announced && op->written && op->manager->observer.attachment_changed)
                op->manager->observer.attachment_changed(a, op->manager->observer.userdata);
        chain_end(op);
}

/* ---- the kernel ------------------------------------------------------------------------------- */

static int open_inside(ChainOp *op, WorkerContext *w, Error *e) {
        uint64_t cookie;

        if (op->pod)
                return 0;
        int r = wire_open_netns(w, op->request.netns_fd, &op->pod, &cookie, e);
        if (r < 0)
                return r;
        op->netns.cookie = cookie;
        if (op->cookie != 0 && op->cookie != cookie)
                return error_setf(e, ERROR_EXISTS,
                                  "netns \"%.256s\" is not that of sandbox %s (cookie %" PRIu64
                                  ", wanted %" PRIu64 "); DEL its interfaces first",
                                  op->request.netns_path, op->request.container_id, cookie,
                                  op->cookie);
        return 0;
}

/* Neither the socket nor the descriptor may outlive their use: they pin the namespace. */
static void close_inside(ChainOp *op) {
        op->pod = kernel_socket_free(op->pod);
        op->request.netns_fd = safe_close(op->request.netns_fd);
}

static int kernel_run(Job *job, WorkerContext *w, Error *e) {
        ChainOp *op = (ChainOp *) job;

        int r = op->plugin->inside ? open_inside(op, w, e) : 0;
        if (r >= 0)
                r = failpoint("chain-kernel") < 0
                                    ? error_setf(e, ERROR_KERNEL,
                                                 "a failpoint before the kernel's part")
                                    : 0;
        if (r >= 0)
                r = op->plugin->kernel(op, w, e);
        close_inside(op);
        return r;
}

static void kernel_done(Task *task) {
        ChainOp *op = (ChainOp *) task;

        if (task->r < 0)
                chain_fail(op, task->r, &task->error);
        else
                chain_answer(op);
}

static void chain_change_kernel(ChainOp *op) {
        if (!op->plugin->kernel) {
                chain_answer(op);
                return;
        }
        op->job.run = kernel_run;
        op->job.task.deliver = kernel_done;
        workers_submit_next(op->manager->workers, &op->job);
}

/* ---- rows ------------------------------------------------------------------------------------- */

static PortRow port_row(uint64_t id, const SpecPort *p) {
        return (PortRow) { .attachment = id,
                           .host = p->host,
                           .protocol = p->protocol,
                           .host_port = p->host_port,
                           .container_port = p->container_port };
}

static int write_ports(const ChainOp *op, Store *store, Error *e) {
        int r = 0;

        for (size_t i = 0; i < op->before.n_ports && r >= 0; i++) {
                PortRow row = port_row(op->id, &op->before.ports[i]);
                if (!has_port(&op->after, &op->before.ports[i]))
                        r = store_delete_port(store, &row, e);
        }
        for (size_t i = 0; i < op->after.n_ports && r >= 0; i++) {
                PortRow row = port_row(op->id, &op->after.ports[i]);
                if (!has_port(&op->before, &op->after.ports[i]))
                        r = store_put_port(store, &row, e);
        }
        return r;
}

/* From `before` to `after`; of a new attachment everything. */
static int chain_write(Commit *c, Store *store, Error *e) {
        ChainOp *op = CHAIN_OF_COMMIT(c);
        bool ports = op->before.n_ports != op->after.n_ports;
        int r = 0;

        if (op->is_new && op->put_sandbox)
                r = store_put_sandbox(store, &op->sandbox_row, e);
        if (r >= 0)
                r = op->is_new ? store_put_attachment(store, &op->attachment_row, e)
                               : store_set_attachment_plan(store, op->id, op->plan_json, e);
        if (r >= 0)
                r = write_ports(op, store, e);
        if (r >= 0 && op->put_shaping)
                r = store_put_shaping(store, &op->shaping_row, e);
        if (r < 0 || (!op->is_new && !ports))
                return r;
        EventRow event = trail_event(&op->trail,
                                     op->is_new    ? "add"
                                     : op->undoing ? "remove-port"
                                                   : "add-port",
                                     now_realtime());
        return store_add_event(store, &event, e);
}

static int chain_enforce(Commit *c, Firewall *f) {
        return firewall_put(f, CHAIN_OF_COMMIT(c)->policy);
}

/* A client that keeps sending would otherwise keep its old way. */
static void forget_flows(const ChainOp *op) {
        for (size_t i = 0; i < op->after.n_ports; i++) {
                const SpecPort *p = &op->after.ports[i];
                if (p->protocol == IPPROTO_UDP && !has_port(&op->before, p))
                        flows_forget_port(op->manager->flows, p->protocol, p->host_port, &p->host);
        }
}

static void committed(Task *task) {
        ChainOp *op = CHAIN_OF_COMMIT(task);

        manager_set_commit_health(op->manager, &op->commit);
        op->written = op->commit.written;
        if (task->r >= 0) {
                forget_flows(op);
                chain_change_kernel(op);
                return;
        }
        if (!op->written) {
                if (op->is_new && op->put_sandbox)
                        op->attachment->sandbox->stored = false;
                if (!op->is_new)
                        take_back(op);
        }
        chain_fail(op, task->r, &task->error);
}

/* The trail's ports are those that come. */
static void take_trail(ChainOp *op) {
        const AttachmentSpec *s = &op->after;
        _cleanup_free_ PortRow *rows = new0(PortRow, s->n_ports + 1);
        size_t n = 0;

        trail_take(&op->trail, op->attachment);
        if (op->is_new || !rows)
                return;
        for (size_t i = 0; i < s->n_ports; i++)
                if (!has_port(&op->before, &s->ports[i]))
                        rows[n++] = port_row(op->id, &s->ports[i]);
        free(op->trail.ports);
        op->trail.ports = ports_format(rows, n);
}

static int make_rows(ChainOp *op) {
        Attachment *a = op->attachment;

        op->id = a->spec.id;
        if (spec_copy(&a->spec, &op->after) < 0 || spec_to_json(&a->spec, &op->plan_json) < 0 ||
            !(op->policy = enforce_attachment(a)))
                return -ENOMEM;
        host_end_of(&op->after, &op->host);
        op->put_shaping = a->spec.bandwidth.ingress_rate > 0 || a->spec.bandwidth.egress_rate > 0 ||
                          op->before.bandwidth.ingress_rate > 0 ||
                          op->before.bandwidth.egress_rate > 0;
        op->shaping_row = attachment_shaping_row(a);
        take_trail(op);
        if (!op->is_new)
                return 0;
        op->result = json_to_text(op->conf->prev_result);
        if (!op->result)
                return -ENOMEM;
        op->put_sandbox = !a->sandbox->stored;
        a->sandbox->stored = true;
        sandbox_to_row(a->sandbox, &op->sandbox_row);
        attachment_to_row(a, op->plan_json, &op->attachment_row);
        op->attachment_row.result = op->result;
        op->attachment_row.state = (char *) attachment_state_to_string(ATTACHMENT_UP);
        return 0;
}

static bool looks_for_end(const ChainOp *op) {
        return op->is_new || op->is_unseen;
}

static void chain_decide(ChainOp *op) {
        Error error = ERROR_NULL;
        Attachment *a = op->attachment;

        int r = spec_copy(&a->spec, &op->before) < 0 ? error_oom(&error) : 0;
        if (r >= 0) {
                bool changed;

                r = op->plugin->decide(op, &error);
                changed = r > 0 || looks_for_end(op);
                if (r >= 0 && make_rows(op) < 0)
                        r = error_oom(&error);
                if (r < 0)
                        take_back(op);
                else if (!changed) { /* the call came twice */
                        chain_change_kernel(op);
                        return;
                }
        }
        if (r < 0) {
                chain_fail(op, r, &error);
                return;
        }
        op->commit.write = chain_write;
        op->commit.enforce = chain_enforce;
        op->commit.task.deliver = committed;
        committer_submit(op->manager->committer, &op->commit);
}

/* ---- the look --------------------------------------------------------------------------------- */

static int look_run(Job *job, WorkerContext *w, Error *e) {
        ChainOp *op = (ChainOp *) job;
        int r = 0;

        if (looks_for_end(op) || op->plugin->inside)
                r = open_inside(op, w, e);
        if (r >= 0 && looks_for_end(op))
                r = chain_foreign_look(op, w, e);
        if (r >= 0 && op->plugin->look)
                r = op->plugin->look(op, w, e);
        if (r < 0 || !op->plugin->inside)
                close_inside(op);
        return r;
}

static void network_ready(NetworkWaiter *w, int r, const Error *e) {
        ChainOp *op = CHAIN_OF_NETWORK(w);
        Error error = ERROR_NULL;

        if (r >= 0) {
                chain_decide(op);
                return;
        }
        (void) error_setf(&error, e->kind, "%s", error_message(e));
        chain_fail(op, r, &error);
}

static void looked(Task *task) {
        ChainOp *op = (ChainOp *) task;
        int r = task->r;

        if (r >= 0 && looks_for_end(op))
                r = chain_foreign_found(op, &task->error);
        if (r < 0) {
                chain_fail(op, r, &task->error);
                return;
        }
        /* The row that the attachment's refers to has to be there; more of the network is not ours. */
        Network *n = op->attachment->network;
        if (op->is_new && (!n->has_row || n->state == NETWORK_REMOVING)) {
                op->network.ready = network_ready;
                network_await(n, &op->network);
                return;
        }
        chain_decide(op);
}

static void chain_look(ChainOp *op) {
        op->attachment->busy = true;
        /* A thousand may wait: what is not needed goes. */
        if (!looks_for_end(op) && !op->plugin->inside)
                close_inside(op);
        if (!looks_for_end(op) && !op->plugin->look) {
                chain_decide(op);
                return;
        }
        op->job.run = look_run;
        op->job.task.deliver = looked;
        workers_submit(op->manager->workers, &op->job);
}

/* ---- find ------------------------------------------------------------------------------------- */

static int check_attachment(const ChainOp *op, const Attachment *a, Error *e) {
        if (!attachment_is_of(a, op->conf->name))
                return error_setf(
                                e, ERROR_EXISTS,
                                "interface %s of sandbox %s is on network %s, not %s; DEL it there "
                                "first",
                                a->spec.ifname, a->sandbox->id, a->network->name, op->conf->name);
        if (!enforce_concerns(a))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "%s: interface %s of sandbox %s is of kind %s and has no host side",
                                op->conf->type, a->spec.ifname, a->sandbox->id,
                                net_kind_to_string(a->spec.kind));
        if (a->state != ATTACHMENT_UP || a->lost)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "interface %s of sandbox %s is being worked on (state %s); try again",
                                a->spec.ifname, a->sandbox->id,
                                attachment_state_to_string(a->state));
        return 0;
}

static void chain_start(ChainOp *op);

static void chain_woken(AttachmentWaiter *w) {
        chain_start(CHAIN_OF_IDLE(w));
}

static void chain_start(ChainOp *op) {
        Attachment *a = attachment_find(op->manager, op->request.container_id, op->request.ifname);
        Error error = ERROR_NULL;
        int r;

        if (op->request.abandoned && op->request.abandoned(op->userdata)) {
                r = error_setf(&error, ERROR_TRY_AGAIN, "the caller went away; nothing was done");
                chain_fail(op, r, &error);
                return;
        }
        if (a && a->busy && a->delegate_runs) {
                r = error_setf(&error, ERROR_TRY_AGAIN,
                               "a plugin of others is at work on interface %s of sandbox %s; put %s behind it "
                               "in the list",
                               op->request.ifname, op->request.container_id, op->conf->type);
                chain_fail(op, r, &error);
                return;
        }
        if (a && a->busy) {
                op->idle.idle = chain_woken;
                list_append(&a->waiters, &op->idle.list);
                return;
        }
        if (!a && op->plugin->is_idle(op->conf)) {
                chain_answer(op);
                return;
        }
        if (a) {
                r = check_attachment(op, a, &error);
                if (r >= 0) {
                        op->attachment = a;
                        op->is_unseen = a->spec.kind == NET_KIND_FOREIGN &&
                                        mac_is_zero(&a->spec.mac);
                        op->cookie = a->sandbox->netns_cookie;
                }
        } else
                r = chain_foreign_new(op, &error);
        if (r < 0)
                chain_fail(op, r, &error);
        else
                chain_look(op);
}

static int chain_parse(ChainOp *op, Error *e) {
        const Request *q = &op->request;

        int r = q->place ? 0 : request_check_host(op->manager, q, e);
        if (r >= 0)
                r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        op->request.host_netns_fd = safe_close(op->request.host_netns_fd);
        if (r >= 0)
                r = netconf_parse_as(net_plugin_from_string(q->type), q->config, q->config_size,
                                     &op->conf, e);
        if (r < 0)
                return r;
        if (!op->conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        op->plugin = chain_plugin_find(op->conf->plugin);
        if (!op->plugin)
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"type\": \"%.64s\" is not served by this version of netmgr",
                                  op->conf->type);
        if (!op->conf->prev_result)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "%s must be called as chained plugin: the configuration has no "
                                "\"prevResult\"; put it behind the plugin that makes the interface",
                                op->conf->type);
        return 0;
}

void operation_chain(Manager *m, Request *q, RequestDone done, void *userdata) {
        Error error = ERROR_NULL;
        ChainOp *op = new0(ChainOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                error_clear(&error);
                return;
        }
        *op = (ChainOp) { .manager = m, .request = *q, .done = done, .userdata = userdata };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        m->n_operations += op->request.place != NULL;
        int r = op->request.place ? 0 : operation_begin(m, &error);
        if (r < 0) {
                op->done(r, &error, "", op->userdata);
                error_clear(&error);
                chain_free(op);
                return;
        }
        r = chain_parse(op, &error);
        if (r < 0)
                chain_fail(op, r, &error);
        else
                chain_start(op);
}
