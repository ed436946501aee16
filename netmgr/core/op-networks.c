/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Several networks for one sandbox, see op-networks.h: select all members, then one ADD after the other, plugin
 * by plugin; what fails undoes the members that were made, last first.
 *
 * Nothing of the operation itself survives a crash: each member's row tells recovery what to do with it, and a
 * DEL of the runtime's own interface takes along all that hangs on it.
 */

#include "core/networks-internal.h"

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/conversation.h"
#include "core/network-status.h"
#include "core/op-foreign.h"

static void undo_next(NetworksOp *op);

static void member_clear(Member *m) {
        free(m->network);
        free(m->reference);
        free(m->choice);
        free(m->owner);
        free(m->answer);
        net_list_free(m->list);
}

static void op_free(NetworksOp *op) {
        list_unlink(&op->list);
        for (size_t i = 0; i < op->n_members; i++)
                member_clear(&op->members[i]);
        free(op->members);
        request_clear(&op->request);
        netconf_free(op->conf);
        json_object_put(op->config);
        cni_args_clear(&op->args);
        net_selections_clear(&op->selections);
        free(op->annotations);
        free(op->parent);
        free(op->answer);
        error_clear(&op->error);
        free(op);
}

/* Wakes the DELs that wait for the end. */
static void op_end(NetworksOp *op) {
        RequestDone done = op->done;
        List waiters;

        list_unlink(&op->list); /* nobody may begin to wait for it now */
        operation_end(op->manager);
        list_init(&waiters);
        while (!list_is_empty(&op->waiters)) {
                List *first = op->waiters.next;
                list_unlink(first);
                list_append(&waiters, first);
        }
        if (done)
                done(op->r, &op->error, op->r < 0 ? "" : op->answer, op->userdata);
        op_free(op);
        while (!list_is_empty(&waiters)) {
                AttachmentWaiter *w = list_entry(waiters.next, AttachmentWaiter, list);
                list_unlink(&w->list);
                w->idle(w);
        }
}

/* --- undoing ------------------------------------------------------------------------------------- */

static void undone(int r _unused_, const Error *e _unused_, void *userdata) {
        /* What could not be undone now stays `releasing`, and is tried again. */
        undo_next(userdata);
}

static void undo_woken(AttachmentWaiter *w) {
        undo_next((NetworksOp *) ((char *) w - offsetof(NetworksOp, waiter)));
}

static void undo_next(NetworksOp *op) {
        while (op->current > 0) {
                Member *m = &op->members[op->current - 1];
                Attachment *a = m->made ? map_get_u64(op->manager->attachments, m->attachment)
                                        : NULL;
                if (a && a->busy) {
                        op->waiter.idle = undo_woken;
                        list_append(&a->waiters, &op->waiter.list);
                        return;
                }
                op->current--;
                if (!a || a->state == ATTACHMENT_RELEASING)
                        continue;
                attachment_release_for(a, fd_dup(op->request.netns_fd), op->request.talk,
                                       "add-failed", error_message(&op->error), undone, op);
                return;
        }
        op_end(op);
}

void networks_fail(NetworksOp *op, int r, Error *e) {
        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        /* His call ended with its answer, and the conversation with it: netmgr-exec has to tell plugins of others. */
        if (!op->done)
                op->request.talk = NULL;
        log_ctx(LOG_ERR,
                &(LogContext) { .sandbox = op->request.container_id,
                                .interface = op->parent,
                                .op = "add",
                                .error = r },
                "add: %zu networks for %s: %s; undone", op->n_members,
                strempty(op->request.container_id), error_message(&op->error));
        op->current = op->n_members;
        undo_next(op);
}

/* --- members ------------------------------------------------------------------------------------- */

static bool is_abandoned(void *userdata) {
        const NetworksOp *op = userdata;

        return op->unwanted || (op->request.abandoned && op->request.abandoned(op->userdata));
}

static int check_awaited(NetworksOp *op, Error *e) {
        if (op->unwanted)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "a DEL of the same sandbox came before its ADD had ended; undone");
        if (is_abandoned(op))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "the caller went away before the answer; undone");
        return 0;
}

/* The name of the network goes before the sentence, unless that tells more already. */
static void member_fail(NetworksOp *op, const Member *m, int r, const Error *e) {
        Error error = ERROR_NULL;

        if (m->selection &&
            strncmp(error_message(e), m->selection->where, strlen(m->selection->where)) != 0)
                (void) error_setf(&error, e->kind, "%s: interface %s on network %s: %s",
                                  m->selection->where, m->ifname, strempty(m->network),
                                  error_message(e));
        else
                (void) error_setf(&error, e->kind, "%s", error_message(e));
        networks_fail(op, r, &error);
}

/* Nobody works on those that are made while the others are: a DEL of one by its own name may have come. */
static int check_complete(const NetworksOp *op, Error *e) {
        for (size_t i = 0; i < op->n_members; i++) {
                const Member *m = &op->members[i];
                const Attachment *a = m->made ? map_get_u64(op->manager->attachments, m->attachment)
                                              : NULL;
                if (m->made && (!a || a->state != ATTACHMENT_UP))
                        return error_setf(
                                        e, ERROR_TRY_AGAIN,
                                        "interface %s was released before the ADD had ended; undone, try again",
                                        m->ifname);
        }
        return 0;
}

static void members_added(NetworksOp *op) {
        Error error = ERROR_NULL;

        int r = check_awaited(op, &error);
        if (r >= 0)
                r = check_complete(op, &error);
        if (r >= 0)
                r = networks_answer(op, op->members[0].answer, &op->answer, &error);
        if (r < 0) {
                networks_fail(op, r, &error);
                return;
        }
        network_status_flush(op->manager); /* who hears of the end may look */
        RequestDone done = TAKE_PTR(op->done);
        done(0, &error, op->answer, op->userdata);
        if (!op->unwanted) {
                op_end(op);
                return;
        }
        /* A runtime that was not told will not ask for the end either. */
        (void) error_setf(&error, ERROR_TRY_AGAIN, "its caller was gone when it was done");
        networks_fail(op, -EAGAIN, &error);
}

static void member_added(int r, const Error *e, const char *result, void *userdata) {
        NetworksOp *op = userdata;
        Member *m = &op->members[op->current];

        if (r < 0) {
                member_fail(op, m, r, e);
                return;
        }
        const Attachment *a = attachment_find(op->manager, op->request.container_id, m->ifname);
        if (a && !m->made) {
                m->made = true;
                m->attachment = a->spec.id;
        }
        free(m->answer);
        m->answer = strdup(result);
        if (!m->answer) {
                Error error = ERROR_NULL;
                r = error_oom(&error);
                networks_fail(op, r, &error);
                return;
        }
        m->next++;
        if (!m->list || m->next >= m->list->n_plugins)
                op->current++;
        if (op->current < op->n_members)
                networks_begin_next(op);
        else
                members_added(op);
}

/* Now that its turn has come: a reload in the middle of its plugins must not change them. */
static void member_begin(NetworksOp *op, Member *m) {
        const Network *n = m->network ? network_find(op->manager, m->network) : NULL;

        if (m->next == 0 && n && n->list)
                m->list = net_list_ref(n->list);
}

void networks_begin_next(NetworksOp *op) {
        Member *m = &op->members[op->current];
        Error error = ERROR_NULL;
        Request q;

        int r = check_awaited(op, &error);
        if (r >= 0) {
                member_begin(op, m);
                r = networks_request(op, m, &q, &error);
        }
        if (r < 0) {
                member_fail(op, m, r, &error);
                error_clear(&error);
                return;
        }
        q.talk = op->request.talk;
        q.place = &m->place;
        q.abandoned = is_abandoned;
        if (m->list && m->list->plugins[m->next].plugin < 0)
                operation_add_foreign(op->manager, &q, member_added, op);
        else
                operation_add(op->manager, &q, member_added, op);
}

/* --- a runtime's ADD ----------------------------------------------------------------------------- */

NetworksOp *networks_op_new(Manager *m, RequestDone done, void *userdata) {
        NetworksOp *op = new0(NetworksOp, 1);

        if (!op)
                return NULL;
        *op = (NetworksOp) { .manager = m,
                             .request = { .netns_fd = -EBADF, .host_netns_fd = -EBADF },
                             .done = done,
                             .userdata = userdata };
        list_init(&op->waiters);
        list_append(&m->networks_ops, &op->list);
        /* Its members do not count beside it. */
        m->n_operations++;
        return op;
}

bool networks_wanted(const Manager *m, const Request *q, const NetConf *conf) {
        const Network *n = conf->network ? network_find(m, conf->network) : NULL;

        if (q->place || conf->plugin != NET_PLUGIN_NETMGR)
                return false;
        return conf->n_any_of > 0 || net_selections_are_there(conf->annotations) ||
               (n && (n->list || n->alias || n->conf->n_any_of > 0));
}

static int op_parse(NetworksOp *op, Error *e) {
        const Request *q = &op->request;

        int r = netconf_parse(q->config, q->config_size, &op->conf, e);
        if (r >= 0)
                r = json_parse(q->config, q->config_size, "configuration", &op->config, e);
        if (r >= 0)
                r = cni_args_parse(q->args, &op->args, e);
        if (r >= 0 && !(op->parent = strdup(q->ifname)))
                r = error_oom(e);
        return r < 0 ? r : networks_select(op, e);
}

void operation_add_networks(Manager *m, Request *q, RequestDone done, void *userdata) {
        Error error = ERROR_NULL;
        NetworksOp *op = networks_op_new(m, done, userdata);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                error_clear(&error);
                return;
        }
        op->request = *q;
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        int r = op_parse(op, &error);
        if (r < 0)
                networks_fail(op, r, &error);
        else
                networks_begin_next(op);
}

/* --- for DEL ------------------------------------------------------------------------------------- */

const Attachment *attachment_root(const Attachment *a) {
        const Attachment *root = a->spec.parent[0] ? attachment_find(a->manager, a->sandbox->id,
                                                                     a->spec.parent)
                                                   : NULL;
        return root ? root : a;
}

bool networks_abandon(Manager *m, const char *sandbox, const char *ifname, const char *cni_name,
                      AttachmentWaiter *waiter) {
        NetworksOp *op;

        LIST_FOREACH (op, &m->networks_ops, NetworksOp, list) {
                if (!streq_ptr(op->request.container_id, sandbox) ||
                    !streq_ptr(op->parent, ifname) ||
                    (op->conf && !streq_ptr(op->conf->name, cni_name)))
                        continue;
                op->unwanted = true;
                const Attachment *a =
                                op->current < op->n_members
                                                ? attachment_find(m, sandbox,
                                                                  op->members[op->current].ifname)
                                                : NULL;
                if (a && a->busy)
                        attachment_abandon_add(a);
                list_append(&op->waiters, &waiter->list);
                return true;
        }
        return false;
}

bool networks_are_made(const Manager *m, const char *sandbox) {
        const NetworksOp *op;

        LIST_FOREACH (op, &m->networks_ops, NetworksOp, list)
                if (!op->hot && streq_ptr(op->request.container_id, sandbox))
                        return true;
        return false;
}

void networks_unheard(Manager *m, const void *userdata) {
        NetworksOp *op;

        LIST_FOREACH (op, &m->networks_ops, NetworksOp, list)
                if (op->userdata == userdata && !op->done)
                        op->unwanted = true;
}

Attachment *attachment_last_member(const Manager *m, const char *sandbox, const char *ifname,
                                   uint32_t before) {
        const Sandbox *s = sandbox_find(m, sandbox);
        Attachment *a, *last = NULL;

        if (!s)
                return NULL;
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (streq(a->spec.parent, ifname) && a->spec.position < before &&
                    (!last || a->spec.position > last->spec.position))
                        last = a;
        return last;
}
