/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One more interface for a sandbox that runs, and one less: an operation of op-networks.c with one member, whose
 * parent is the runtime's own interface. What is attached here is a row like any other.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "core/network-status.h"
#include "core/networks-internal.h"

void attach_request_clear(AttachRequest *q) {
        free(q->sandbox);
        net_selection_clear(&q->network);
        safe_close(q->netns_fd);
        *q = (AttachRequest) { .netns_fd = -EBADF };
}

/* The runtime's own interface: the oldest, when it has several. */
static const Attachment *find_parent(const Sandbox *s) {
        const Attachment *a, *found = NULL;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (!a->spec.parent[0] && a->state == ATTACHMENT_UP &&
                    a->spec.kind != NET_KIND_LOOPBACK && (!found || a->spec.id < found->spec.id))
                        found = a;
        return found;
}

static bool position_is_free(const Sandbox *s, unsigned position, const char *ifname) {
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->spec.position == position || streq(a->spec.ifname, ifname))
                        return false;
        return true;
}

/* The first net<i> that is free, or the position alone for one that has a name. */
static unsigned choose_position(const Sandbox *s, NetSelection *n) {
        for (unsigned i = 1;; i++) {
                char name[IF_NAMESIZE];
                snprintf(name, sizeof(name), "net%u", i);
                if (!position_is_free(s, i, name))
                        continue;
                if (!n->ifname[0])
                        memcpy(n->ifname, name, sizeof(n->ifname));
                return i;
        }
}

static int open_netns(const Sandbox *s, int *ret, Error *e) {
        /* A FIFO or a terminal by that name must not hold us up. */
        *ret = open(s->netns_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (*ret >= 0)
                return 0;
        /* What the kernel is short of now is no reason to ask another way. */
        ErrorKind kind = errno == ENOENT                     ? ERROR_NO_SUCH_SANDBOX
                         : errno == EACCES || errno == EPERM ? ERROR_NOT_SUPPORTED
                                                             : ERROR_TRY_AGAIN;
        return error_set_errnof(
                        e, kind, errno,
                        "opening the network namespace \"%.256s\" of sandbox %s; netmgrctl, "
                        "run by root, passes it",
                        s->netns_path, s->id);
}

/* Names, positions and interfaces of an ADD that has not ended are its own. */
static int check_made(const Manager *m, const char *sandbox, Error *e) {
        if (networks_are_made(m, sandbox))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "the runtime's ADD of sandbox %s has not ended; try again later",
                                  sandbox);
        return 0;
}

static int prepare_attach(NetworksOp *op, AttachRequest *q, Error *e) {
        const Sandbox *s = sandbox_find(op->manager, q->sandbox);
        const Attachment *parent = s ? find_parent(s) : NULL;
        Request *common = &op->request;

        if (!s)
                return error_setf(e, ERROR_NO_SUCH_SANDBOX, "there is no sandbox \"%.128s\"",
                                  q->sandbox);
        if (!parent)
                return error_setf(e, ERROR_NO_SUCH_SANDBOX,
                                  "sandbox %s has no interface of its runtime that is up", s->id);
        if (parent->ending)
                return error_setf(e, ERROR_NO_SUCH_SANDBOX,
                                  "a DEL of interface %s of sandbox %s is under way",
                                  parent->spec.ifname, s->id);
        int r = check_made(op->manager, s->id, e);
        if (r < 0)
                return r;
        common->netns_fd = TAKE_FD(q->netns_fd);
        r = common->netns_fd < 0 ? open_netns(s, &common->netns_fd, e) : 0;
        if (r < 0)
                return r;
        op->hot = true;
        op->parent = strdup(parent->spec.ifname);
        common->container_id = strdup(s->id);
        common->ifname = strdup(parent->spec.ifname);
        common->netns_path = strdup(s->netns_path);
        common->args = strdup("");
        common->path = strdup("");
        op->args.pod_namespace = s->pod_namespace ? strdup(s->pod_namespace) : NULL;
        op->args.pod_name = s->pod_name ? strdup(s->pod_name) : NULL;
        op->args.pod_uid = s->pod_uid ? strdup(s->pod_uid) : NULL;
        op->selections.items = new0(NetSelection, 1);
        if (!op->parent || !common->container_id || !common->ifname || !common->netns_path ||
            !common->args || !common->path || !op->selections.items)
                return error_oom(e);
        unsigned position = choose_position(s, &q->network);
        op->selections.items[0] = q->network;
        op->selections.n_items = 1;
        q->network = (NetSelection) { 0 };
        r = request_check_netns(op->manager, common, e);
        if (r >= 0)
                r = request_check_ids(common, e);
        if (r >= 0)
                r = networks_select(op, e);
        if (r >= 0)
                op->members[0].place.position = position;
        return r;
}

void operation_attach(Manager *m, AttachRequest *q, RequestDone done, void *userdata) {
        Error error = ERROR_NULL;
        NetworksOp *op = networks_op_new(m, done, userdata);

        int r = op ? prepare_attach(op, q, &error) : error_oom(&error);
        attach_request_clear(q);
        if (!op) {
                done(r, &error, "", userdata);
                error_clear(&error);
        } else if (r < 0)
                networks_fail(op, r, &error);
        else
                networks_begin_next(op);
}

typedef struct DetachOp {
        Manager *manager;
        RequestDone done;
        void *userdata;
} DetachOp;

static void detached(int r, const Error *e, void *userdata) {
        DetachOp *op = userdata;

        /* As with DEL: it is cut off, and its deletion is tried again. */
        if (r < 0 && e->kind == ERROR_KERNEL)
                r = 0;
        operation_end(op->manager);
        network_status_flush(op->manager); /* who hears of the end may look */
        op->done(r, e, "", op->userdata);
        free(op);
}

static int check_detach(const Attachment *a, const char *sandbox, const char *ifname, Error *e) {
        if (!a)
                return error_setf(e, ERROR_NO_SUCH_ATTACHMENT,
                                  "sandbox %s has no interface \"%.64s\"", sandbox, ifname);
        if (!a->spec.parent[0])
                return error_setf(
                                e, ERROR_IN_USE,
                                "interface %s of sandbox %s is its runtime's own; it goes with the sandbox",
                                ifname, sandbox);
        if (a->busy)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "interface %s of sandbox %s is being worked on (state %s)",
                                  ifname, sandbox, attachment_state_to_string(a->state));
        return check_made(a->manager, sandbox, e);
}

void operation_detach(Manager *m, const char *sandbox, const char *ifname, int netns_fd,
                      RequestDone done, void *userdata) {
        Attachment *a = attachment_find(m, sandbox, ifname);
        _cleanup_error_ Error error = ERROR_NULL;
        DetachOp *op = NULL;

        int r = check_detach(a, sandbox, ifname, &error);
        if (r >= 0 && !(op = new0(DetachOp, 1)))
                r = error_oom(&error);
        if (r < 0) {
                safe_close(netns_fd);
                done(r, &error, "", userdata);
                return;
        }
        *op = (DetachOp) { m, done, userdata };
        m->n_operations++;
        attachment_release_for(a, netns_fd, NULL, "detach", NULL, detached, op);
}
