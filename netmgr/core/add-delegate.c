/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ADD with addresses of a plugin of others: its row goes into the ledger, the caller runs it, its result
 * is parsed; then the ADD goes on with what it says. From the row on, an end without success leads through
 * attachment_release(), which asks for the plugin's DEL: it may have given something out before it failed.
 */

#include "base/json.h"
#include "base/limits.h"
#include "core/add-internal.h"
#include "core/delegate.h"
#include "core/exec-call.h"
#include "cri/ipam-result.h"

static AddOp *add_of_question(Question *q) {
        return (AddOp *) ((char *) q - offsetof(AddOp, question));
}

bool add_wants_delegate(const AddOp *op) {
        return op->attachment->network->conf->ipam == NET_IPAM_FOREIGN && !op->has_ipam;
}

static void fail(AddOp *op, int r, Error *e, bool was_run) {
        if (!was_run)
                attachment_drop_delegates(op->attachment);
        add_fail(op, r, e);
}

/* Where the configuration is not the caller's own, the ticket brings it, and netmgr-exec can do it as well. */
static bool brings_all(const AddOp *op) {
        return op->request.place || op->conf->network;
}

static void answered(Question *q, int r, const TaskAnswer *answer) {
        AddOp *op = add_of_question(q);
        Attachment *a = op->attachment;
        Delegate *d = &a->delegates[a->n_delegates - 1];
        Error error = ERROR_NULL;

        if (r < 0 || answer->exit != 0) {
                r = delegate_error(d->plugin, "ADD", r, answer, &error);
                fail(op, r, &error, delegate_was_run(answer));
                return;
        }
        r = ipam_result_parse(answer->text, strlen(answer->text), op->conf->cni_version, &op->ipam,
                              &error);
        error_prefixf(&error, "plugin %s", d->plugin);
        if (r >= 0 && !(d->result = strdup(answer->text)))
                r = error_oom(&error);
        if (r < 0) {
                add_fail(op, r, &error);
                return;
        }
        op->has_ipam = true;
        op->delegate_row = delegate_row(a, d);
        op->put_delegate = true;
        add_decide_now(op);
}

static void ask(AddOp *op) {
        const Attachment *a = op->attachment;
        Error error = ERROR_NULL;
        uint64_t now = now_monotonic(), left = op->deadline > now ? op->deadline - now : 0;
        uint32_t sec = (uint32_t) MIN_OF(left / 1000000U, (uint64_t) DELEGATE_TIMEOUT_SEC);

        const Delegate *d = &a->delegates[a->n_delegates - 1];
        if (brings_all(op))
                delegate_ask_add(a, d, op->request.netns_path, MAX_OF(sec, 1U), &op->question);
        else
                delegate_ask_own(d->plugin, "ADD", MAX_OF(sec, 1U), &op->question);
        op->question.answered = answered;
        if (brings_all(op) ? task_ask(op->manager, op->request.talk, &op->question)
                           : conversation_ask(op->request.talk, &op->question))
                return;
        int r = error_setf(&error, ERROR_TRY_AGAIN,
                           "nobody is there any more to run plugin %s; undone, try again",
                           a->delegates[a->n_delegates - 1].plugin);
        fail(op, r, &error, false);
}

static void intent_written(Task *task) {
        AddOp *op = (AddOp *) ((char *) task - offsetof(AddOp, commit));
        Error error = ERROR_NULL;

        manager_set_commit_health(op->manager, &op->commit);
        op->written = op->commit.written;
        /* Their rows are gone; others may have the addresses by the time of the next commit. */
        while (op->n_rested > 0)
                lease_free(op->rested[--op->n_rested]);
        op->put_delegate = false;
        int r = task->r;
        if (r < 0) {
                error = task->error;
                task->error = ERROR_NULL;
                if (op->put_sandbox && !op->written)
                        op->attachment->sandbox->stored = false;
        } else
                r = add_check_awaited(op, &error);
        if (r < 0)
                fail(op, r, &error, false);
        else
                ask(op);
}

/* A network by reference: the plugin's object of the network, with what the call brings for this sandbox. */
static char *named_config(const Network *n, const char *request) {
        static const char *const brought[] = { "runtimeConfig", "args" };
        _cleanup_json_ json_object *all = NULL, *call = NULL;

        if (json_parse(n->config, strlen(n->config), "network", &all, NULL) < 0 ||
            json_parse(request, strlen(request), "configuration", &call, NULL) < 0)
                return NULL;
        json_object *list = json_get(all, "plugins"),
                    *o = list ? json_object_array_get_idx(list, 0) : all;
        if (json_add_string(o, "cniVersion", n->conf->cni_version) < 0 ||
            json_add_string(o, "name", n->conf->name ? n->conf->name : n->name) < 0)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(brought); i++) {
                json_object *value = json_get(call, brought[i]);
                if (value && json_add(o, brought[i], json_object_get(value)) < 0)
                        return NULL;
        }
        return json_to_text(o);
}

static int prepare(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        const char *plugin = a->network->conf->ipam_type;
        _cleanup_free_ char *named = NULL;

        if (!(brings_all(op) ? task_can_be_asked(op->manager, op->request.talk)
                             : conversation_is_open(op->request.talk)))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "\"ipam.type\": \"%s\" is a plugin of others, which has to be run by the "
                                "caller: call netmgr's CNI plugin, as root",
                                plugin);
        if (op->conf->network && !(named = named_config(a->network, a->request)))
                return error_oom(e);
        if (attachment_add_delegate(a, plugin, op->request.path, named ? named : a->request,
                                    op->request.args) < 0)
                return error_oom(e);
        int r = delegate_check_size(a, &a->delegates[a->n_delegates - 1], e);
        if (r < 0)
                return r;
        /* What is known by now: recovery reads it, and the second commit has the rest. */
        return spec_to_json(&a->spec, &op->plan_json) < 0 ? error_oom(e) : 0;
}

void add_run_delegate(AddOp *op) {
        Attachment *a = op->attachment;
        Error error = ERROR_NULL;

        int r = prepare(op, &error);
        if (r < 0) {
                fail(op, r, &error, false);
                return;
        }
        op->delegate_row = delegate_row(a, &a->delegates[a->n_delegates - 1]);
        op->put_delegate = true;
        add_commit_row(op, intent_written);
}
