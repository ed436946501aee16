/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The course of ADD for a plugin of others; see op-foreign.h.
 *
 *   find or make the attachment -> look (worker) -> rows of attachment and delegate (committer) -> the plugin
 *   (a ticket) -> look again, set routes (worker) -> row `up` with the result (committer) -> answer
 *
 * From the delegate's row on, a failure releases the attachment as a whole: the DELs of all its delegates are
 * run, also of the one that failed, since it may have made something before. After a crash recovery does that
 * with a row `planned`; one that was `up` already keeps what the ledger has, until the runtime, which got no
 * answer, ends it by DEL.
 */

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/exec-call.h"
#include "core/foreign-internal.h"
#include "core/wire.h"

#define FOREIGN_OF_COMMIT(t)  ((ForeignOp *) ((char *) (t) -offsetof(ForeignOp, commit)))
#define FOREIGN_OF_NETWORK(t) ((ForeignOp *) ((char *) (t) -offsetof(ForeignOp, network)))
#define FOREIGN_OF_IDLE(t)    ((ForeignOp *) ((char *) (t) -offsetof(ForeignOp, idle)))

static void foreign_free(ForeignOp *op) {
        list_unlink(&op->list);
        request_clear(&op->request);
        cni_owned_result_clear(&op->result);
        policy_attachment_free(op->policy);
        trail_clear(&op->trail);
        error_clear(&op->error);
        free(op->cni_name);
        free(op->cni_version);
        free(op->plan_json);
        free(op->result_text);
        free(op->answer);
        free(op);
}

void foreign_log(const ForeignOp *op) {
        log_ctx(op->r < 0 ? LOG_ERR : LOG_INFO,
                &(LogContext) { .sandbox = op->request.container_id,
                                .network = op->attachment ? op->attachment->network->name
                                                          : op->cni_name,
                                .interface = op->request.ifname,
                                .op = "add",
                                .error = op->r },
                "add: plugin %s: %s of %s%s%s", op->request.type, op->request.ifname,
                op->request.container_id, op->r < 0 ? ": " : "",
                op->r < 0 ? error_message(&op->error) : "");
}

void foreign_end(ForeignOp *op) {
        Attachment *a = TAKE_PTR(op->attachment);

        operation_end(op->manager);
        op->done(op->r, &op->error, op->r < 0 ? "" : op->answer, op->userdata);
        foreign_free(op);
        if (a)
                attachment_set_idle(a);
}

/* ---- failure ---------------------------------------------------------------------------------- */

static void released(int r _unused_, const Error *e _unused_, void *userdata) {
        foreign_end(userdata);
}

void foreign_fail(ForeignOp *op, int r, Error *e) {
        if (!error_is_set(e))
                (void) error_set_errnof(e, error_kind_from_errno(r), r, "plugin %s",
                                        op->request.type);
        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        foreign_log(op);
        if (op->written) {
                /* What came of the plugins before is no result of the list: their DELs are told of none. */
                free(TAKE_PTR(op->attachment->result));
                attachment_release_for(TAKE_PTR(op->attachment), TAKE_FD(op->request.netns_fd),
                                       op->request.talk, "add-failed", error_message(&op->error),
                                       released, op);
                return;
        }
        if (op->appended)
                attachment_drop_delegate(op->attachment);
        if (op->attachment && op->is_first)
                attachment_free(TAKE_PTR(op->attachment));
        foreign_end(op);
}

int foreign_check_awaited(const ForeignOp *op, Error *e) {
        if (op->unwanted)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "a DEL of the same interface came before its ADD had ended; undone");
        if (op->request.abandoned && op->request.abandoned(op->userdata))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "the caller went away before the answer; undone");
        if (now_monotonic() < op->deadline)
                return 0;
        return error_setf(e, ERROR_TRY_AGAIN,
                          "ADD took longer than AddTimeoutSec=%u; undone, try again",
                          op->manager->conf.add_timeout_sec);
}

void foreign_abandon_add(const Attachment *a) {
        ForeignOp *op;

        LIST_FOREACH (op, &a->manager->foreign_ops, ForeignOp, list)
                if (op->attachment == a)
                        op->unwanted = true;
}

/* ---- the rows ---------------------------------------------------------------------------------- */

static int write_intent(Commit *c, Store *store, Error *e) {
        ForeignOp *op = FOREIGN_OF_COMMIT(c);
        int r = 0;

        if (op->put_sandbox)
                r = store_put_sandbox(store, &op->sandbox_row, e);
        if (r >= 0 && op->is_first)
                r = store_put_attachment(store, &op->attachment_row, e);
        return r < 0 ? r : store_put_delegate(store, &op->delegate_row, e);
}

static void intent_written(Task *task) {
        ForeignOp *op = FOREIGN_OF_COMMIT(task);

        manager_set_commit_health(op->manager, &op->commit);
        op->written = op->commit.written;
        int r = task->r;
        if (r < 0 && op->put_sandbox && !op->written)
                op->attachment->sandbox->stored = false;
        if (r >= 0)
                r = foreign_check_awaited(op, &task->error);
        if (r < 0 && op->written)
                attachment_drop_delegate(op->attachment); /* it was never run */
        if (r < 0)
                foreign_fail(op, r, &task->error);
        else
                foreign_run(op);
}

static void put_intent(ForeignOp *op) {
        const Request *q = &op->request;
        Attachment *a = op->attachment;
        Error error = ERROR_NULL;
        int r = 0;

        if (attachment_add_delegate(a, q->type, q->path, q->config, q->args) < 0)
                r = error_oom(&error);
        else {
                op->appended = true;
                r = delegate_check_size(a, &a->delegates[a->n_delegates - 1], &error);
        }
        if (r >= 0 && spec_to_json(&a->spec, &op->plan_json) < 0)
                r = error_oom(&error);
        if (r < 0) {
                foreign_fail(op, r, &error);
                return;
        }
        op->id = a->spec.id;
        if (op->is_first) {
                op->put_sandbox = !a->sandbox->stored;
                a->sandbox->stored = true;
                sandbox_to_row(a->sandbox, &op->sandbox_row);
                attachment_to_row(a, op->plan_json, &op->attachment_row);
        }
        op->delegate_row = delegate_row(a, &a->delegates[a->n_delegates - 1]);
        op->commit.durable = true; /* what the plugin takes may be outside of this machine */
        op->commit.write = write_intent;
        op->commit.task.deliver = intent_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* ---- the look before -------------------------------------------------------------------------- */

static void network_ready(NetworkWaiter *w, int r, const Error *e) {
        ForeignOp *op = FOREIGN_OF_NETWORK(w);
        Error error = ERROR_NULL;

        if (r >= 0) {
                put_intent(op);
                return;
        }
        (void) error_setf(&error, e->kind, "%s", error_message(e));
        foreign_fail(op, r, &error);
}

static int look_run(Job *job, WorkerContext *w, Error *e) {
        ForeignOp *op = (ForeignOp *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;

        int r = foreign_identify(&op->request, &op->netns, e);
        if (r >= 0)
                r = wire_open_netns(w, op->request.netns_fd, &pod, &op->netns.cookie, e);
        if (r < 0 || !op->is_first)
                return r;
        return wire_check_name_is_free(pod, op->request.ifname, op->request.netns_path, e);
}

static void looked(Task *task) {
        ForeignOp *op = (ForeignOp *) task;
        Network *n = op->attachment->network;

        int r = task->r;
        if (r >= 0)
                r = sandbox_identify(op->attachment->sandbox, op->request.netns_path, &op->netns,
                                     &task->error);
        if (r >= 0)
                r = foreign_check_awaited(op, &task->error);
        if (r < 0) {
                foreign_fail(op, r, &task->error);
                return;
        }
        /* The row that the attachment's refers to has to be there; more of the network is not ours. */
        if (op->is_first && (!n->has_row || n->state == NETWORK_REMOVING)) {
                op->network.ready = network_ready;
                network_await(n, &op->network);
                return;
        }
        put_intent(op);
}

/* ---- find ------------------------------------------------------------------------------------- */

static int find_network(ForeignOp *op, Network **ret, Error *e) {
        const char *name = op->request.place ? op->request.place->network : NULL;

        if (!name)
                return network_find_foreign(op->manager, op->cni_name, ret, e);
        *ret = network_find(op->manager, name);
        if (!*ret || (*ret)->gone)
                return error_setf(e, ERROR_NO_SUCH_NETWORK, "there is no network \"%s\" any more",
                                  name);
        return 0;
}

static int make_attachment(ForeignOp *op, Error *e) {
        const RequestPlace *place = op->request.place;
        Network *n;

        int r = find_network(op, &n, e);
        if (r < 0)
                return r;
        r = foreign_attachment_new(op->manager, n, &op->request, &op->attachment, e);
        if (r < 0) {
                network_release_if_unused(n);
                return r;
        }
        Attachment *a = op->attachment;
        a->busy = true;
        a->spec.shaping_mode =
                        NET_SHAPING_SHAPE; /* rules that police have a port of ours to go by */
        a->spec.cni_name = strdup(op->cni_name);
        a->request = strdup(op->request.config);
        if (!a->spec.cni_name || !a->request || (place && spec_take_place(&a->spec, place) < 0))
                return error_oom(e);
        return 0;
}

static int check_attachment(const ForeignOp *op, const Attachment *a, Error *e) {
        const Request *q = &op->request;

        if (!a)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "plugin %s: the configuration has \"prevResult\", but sandbox %s has no "
                                "interface %s; put it behind the plugin that makes the interface",
                                q->type, q->container_id, q->ifname);
        if (!attachment_is_of(a, op->cni_name))
                return error_setf(
                                e, ERROR_EXISTS,
                                "interface %s of sandbox %s is on network %s, not %s; DEL it there "
                                "first",
                                q->ifname, q->container_id, a->network->name, op->cni_name);
        if (a->n_delegates >= LIST_PLUGINS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "interface %s of sandbox %s: %zu plugins of others, the limit",
                                  q->ifname, q->container_id, a->n_delegates);
        if (a->state != ATTACHMENT_UP || a->lost)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "interface %s of sandbox %s is being worked on (state %s); try again",
                                q->ifname, q->container_id, attachment_state_to_string(a->state));
        return 0;
}

static void foreign_start(ForeignOp *op);

static void woken(AttachmentWaiter *w) {
        foreign_start(FOREIGN_OF_IDLE(w));
}

static void healed(int r, const Error *e, void *userdata) {
        ForeignOp *op = userdata;
        Error error = ERROR_NULL;

        if (r >= 0 && !error_is_set(e)) { /* and not RELEASE_PENDING */
                foreign_start(op);
                return;
        }
        r = error_setf(&error, e->kind, "%s", error_message(e));
        foreign_fail(op, r, &error);
}

static int find_or_make(ForeignOp *op, Attachment *a, Error *e) {
        if (op->is_first && a)
                return error_setf(
                                e, ERROR_EXISTS,
                                "sandbox %s has interface %s already, on network %s; DEL it first",
                                op->request.container_id, op->request.ifname, a->network->name);
        if (op->is_first)
                return make_attachment(op, e);
        int r = check_attachment(op, a, e);
        if (r >= 0) {
                op->attachment = a;
                a->busy = true;
        }
        return r;
}

static void foreign_start(ForeignOp *op) {
        Attachment *a = attachment_find(op->manager, op->request.container_id, op->request.ifname);
        Error error = ERROR_NULL;

        int r = foreign_check_awaited(op, &error);
        if (r >= 0 && !task_can_be_asked(op->manager, op->request.talk))
                r = error_setf(&error, ERROR_NOT_SUPPORTED,
                               "\"type\": \"%s\" is a plugin of others, which has to be run by the "
                               "caller or netmgr-exec: call netmgr's CNI plugin, as root, or start "
                               "netmgr-exec.socket",
                               op->request.type);
        if (r >= 0 && a && a->busy) {
                op->idle.idle = woken;
                list_append(&a->waiters, &op->idle.list);
                return;
        }
        /* What is left of a sandbox of the same name goes first. */
        if (r >= 0 && a && op->is_first && (a->state != ATTACHMENT_UP || a->lost)) {
                attachment_release_for(a, -EBADF, op->request.talk, "replaced",
                                       a->lost ? "its interface was gone when ADD came again"
                                               : "its release had not come to its end",
                                       healed, op);
                return;
        }
        if (r >= 0)
                r = find_or_make(op, a, &error);
        if (r < 0) {
                foreign_fail(op, r, &error);
                return;
        }
        op->job.run = look_run;
        op->job.task.deliver = looked;
        workers_submit(op->manager->workers, &op->job);
}

/* ---- parse ------------------------------------------------------------------------------------ */

static int read_config(ForeignOp *op, Error *e) {
        static const JsonField fields[] = {
                { "name", json_read_string, offsetof(ForeignOp, cni_name), JSON_REQUIRED },
                { "cniVersion", json_read_string, offsetof(ForeignOp, cni_version), 0 },
                {},
        };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(op->request.config, op->request.config_size, "network configuration", &o,
                           e);
        if (r >= 0)
                r = json_read_object(o, "", fields, JSON_UNKNOWN_IGNORE, op, e);
        if (r >= 0 && !op->cni_version && !(op->cni_version = strdup(CNI_VERSION_DEFAULT)))
                r = error_oom(e);
        if (r < 0)
                return r;
        if (!cni_version_is_supported(op->cni_version))
                return error_setf(e, ERROR_INCOMPATIBLE_VERSION,
                                  "cniVersion: \"%.64s\" is not one of %s", op->cni_version,
                                  cni_versions_text);
        op->is_first = !json_get(o, "prevResult");
        return 0;
}

static int foreign_parse(ForeignOp *op, Error *e) {
        const Request *q = &op->request;

        int r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        if (r >= 0 && !delegate_name_is_valid(q->type))
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"type\": \"%.64s\" is no name of a plugin", q->type);
        return r < 0 ? r : read_config(op, e);
}

void operation_add_foreign(Manager *m, Request *q, RequestDone done, void *userdata) {
        Error error = ERROR_NULL;
        ForeignOp *op = new0(ForeignOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                error_clear(&error);
                return;
        }
        *op = (ForeignOp) { .manager = m, .request = *q, .done = done, .userdata = userdata };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        op->deadline = now_monotonic() + (uint64_t) m->conf.add_timeout_sec * 1000000U;
        list_append(&m->foreign_ops, &op->list);
        m->n_operations++; /* part of one that was let in */
        int r = foreign_parse(op, &error);
        if (r < 0)
                foreign_fail(op, r, &error);
        else
                foreign_start(op);
}
