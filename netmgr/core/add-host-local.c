/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What an ADD of the drop-in host-local asks its caller for: the file of ipam.resolvConf, the directory of the
 * reference plugin when somebody else was there, and, where MirrorHostLocal= is on, its addresses in it.
 */

#include "base/limits.h"
#include "core/add-internal.h"
#include "core/delegate.h"
#include "core/host-local.h"
#include "cri/ipam-result.h"

static void go_on(int r, const Error *e, void *userdata) {
        AddOp *op = userdata;
        Error error = ERROR_NULL;

        if (r < 0) {
                (void) error_setf(&error, e->kind, "%s", error_message(e));
                add_fail(op, r, &error);
                return;
        }
        add_decide_now(op);
}

/* ---- resolvConf --------------------------------------------------------------------------------- */

bool add_wants_resolv_conf(const AddOp *op) {
        return op->attachment->network->conf->resolv_conf && !op->has_resolv_conf;
}

static void resolv_conf_answered(Question *q, int r, const TaskAnswer *answer) {
        AddOp *op = (AddOp *) ((char *) q - offsetof(AddOp, question));
        _cleanup_error_ Error error = ERROR_NULL;

        if (r < 0 || answer->exit != 0)
                r = answer_error("reading it", ERROR_INVALID_ARGUMENT, r, answer, &error);
        else
                r = ipam_dns_parse(answer->text, strlen(answer->text), &op->ipam.dns, &error);
        op->has_resolv_conf = true;
        go_on(r, &error, op);
}

void add_read_resolv_conf(AddOp *op) {
        const char *path = op->attachment->network->conf->resolv_conf;
        _cleanup_error_ Error error = ERROR_NULL;

        op->question.ticket = (Ticket) { .task = TICKET_READ_RESOLV_CONF,
                                         .timeout_ms = DELEGATE_TIMEOUT_SEC * 1000,
                                         .path = (char *) path };
        op->question.answered = resolv_conf_answered;
        if (conversation_ask(op->request.talk, &op->question))
                return;
        int r = error_setf(
                        &error, ERROR_NOT_SUPPORTED,
                        "\"ipam.resolvConf\": \"%.256s\" has to be read by the caller: call netmgr's CNI "
                        "plugin, as root, or use \"dns\"",
                        path);
        go_on(r, &error, op);
}

/* ---- its directory ------------------------------------------------------------------------------ */

/* A caller who does no tasks has no directory either, as far as he says. */
bool add_wants_import(const AddOp *op) {
        return !op->imported && conversation_is_open(op->request.talk) &&
               host_local_is_new(op->attachment->network, op->request.host_local);
}

void add_import(AddOp *op) {
        op->imported = true; /* once: a directory that changes all the time must not keep us */
        host_local_import(op->attachment->network, op->request.talk, go_on, op);
}

bool add_wants_mirror(const AddOp *op) {
        return op->manager->conf.mirror_host_local && op->request.talk &&
               network_is_host_local(op->attachment->network->conf);
}

void add_mirror(AddOp *op, void (*done)(int r, const Error *e, void *userdata)) {
        const Attachment *a = op->attachment;
        TicketAddress list[2 * RANGE_SETS_MAX + 1];
        size_t n = 0;

        for (size_t i = 0; i < a->n_leases && n < ELEMENTSOF(list); i++)
                list[n++] = (TicketAddress) { a->leases[i]->address, a->leases[i]->set_index };
        host_local_write(a->network, op->request.talk, list, n, done, op);
}
