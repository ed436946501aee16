/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CHECK of a runtime's interface, and of those that came with it: of these the runtime knows nothing, so the
 * ledger's own result stands for prevResult. The first that differs is the answer.
 */

#include "base/fd.h"
#include "base/json.h"
#include "core/op-check.h"
#include "core/op-networks.h"

typedef struct MembersCheck {
        Manager *manager;
        Request common; /* its netns_fd, talk and path */
        char **ifnames; /* owned */
        size_t n_ifnames, next;
        RequestDone done;
        void *userdata;
} MembersCheck;

static void check_free(MembersCheck *op) {
        for (size_t i = 0; i < op->n_ifnames; i++)
                free(op->ifnames[i]);
        free(op->ifnames);
        request_clear(&op->common);
        free(op);
}

static void check_end(MembersCheck *op, int r, const Error *e) {
        op->done(r, e, "", op->userdata);
        check_free(op);
}

/* The configuration of its ADD, with what came of that. */
static char *member_config(const Attachment *a) {
        _cleanup_json_ json_object *o = NULL, *result = NULL;

        if (!a->request || !a->result ||
            json_parse(a->request, strlen(a->request), "request", &o, NULL) < 0 ||
            json_parse(a->result, strlen(a->result), "result", &result, NULL) < 0 ||
            json_add(o, "prevResult", TAKE_PTR(result)) < 0)
                return NULL;
        return json_to_text(o);
}

static char *member_type(const Attachment *a) {
        _cleanup_json_ json_object *o = NULL;

        if (!a->request || json_parse(a->request, strlen(a->request), "request", &o, NULL) < 0)
                return NULL;
        return strdup(strempty(json_object_get_string(json_get(o, "type"))));
}

static int member_request(const MembersCheck *op, const Attachment *a, Request *ret) {
        const Request *common = &op->common;
        Request q = { .type = member_type(a),
                      .container_id = strdup(common->container_id),
                      .ifname = strdup(a->spec.ifname),
                      .netns_path = strdup(common->netns_path),
                      .args = strdup(common->args),
                      .path = strdup(common->path),
                      .config = member_config(a),
                      .netns_fd = fd_dup(common->netns_fd),
                      .host_netns_fd = -EBADF,
                      .delegates = common->delegates,
                      .talk = common->talk };

        if (!q.type || !q.container_id || !q.ifname || !q.netns_path || !q.args || !q.path ||
            !q.config || q.netns_fd < 0) {
                request_clear(&q);
                return -ENOMEM;
        }
        q.config_size = strlen(q.config);
        *ret = q;
        return 0;
}

static void checked(int r, const Error *e, const char *result _unused_, void *userdata) {
        MembersCheck *op = userdata;
        _cleanup_error_ Error error = ERROR_NULL;

        while (r >= 0 && op->next < op->n_ifnames) {
                const char *ifname = op->ifnames[op->next++];
                const Attachment *a = attachment_find(op->manager, op->common.container_id, ifname);
                Request q;

                /* Detached meanwhile, or not attached yet: whoever does that will tell how it ended. */
                if (!a || a->state != ATTACHMENT_UP)
                        continue;
                r = member_request(op, a, &q);
                if (r < 0) {
                        check_end(op, error_oom(&error), &error);
                        return;
                }
                check_one(op->manager, &q, true, checked, op);
                return;
        }
        check_end(op, r, e);
}

static int list_members(MembersCheck *op, const Sandbox *s, const char *ifname) {
        const Attachment *a;

        op->ifnames = new0(char *, s->n_attachments + 1);
        if (!op->ifnames)
                return -ENOMEM;
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (streq(a->spec.parent, ifname)) {
                        op->ifnames[op->n_ifnames] = strdup(a->spec.ifname);
                        if (!op->ifnames[op->n_ifnames++])
                                return -ENOMEM;
                }
        return 0;
}

/* A copy of what all of them need. */
static int take_common(MembersCheck *op, const Request *q) {
        op->common = (Request) { .container_id = strdup(q->container_id),
                                 .netns_path = strdup(q->netns_path),
                                 .args = strdup(q->args),
                                 .path = strdup(q->path),
                                 .netns_fd = fd_dup(q->netns_fd),
                                 .host_netns_fd = -EBADF,
                                 .delegates = q->delegates,
                                 .talk = q->talk };
        return op->common.container_id && op->common.netns_path && op->common.args &&
                                               op->common.path
                               ? 0
                               : -ENOMEM;
}

void operation_check(Manager *m, Request *q, RequestDone done, void *userdata) {
        const Sandbox *s = sandbox_find(m, q->container_id);
        _cleanup_error_ Error error = ERROR_NULL;
        MembersCheck *op;

        if (!s || !attachment_last_member(m, q->container_id, q->ifname, UINT32_MAX)) {
                check_one(m, q, false, done, userdata);
                return;
        }
        op = new0(MembersCheck, 1);
        if (op) {
                *op = (MembersCheck) { .manager = m, .done = done, .userdata = userdata };
                op->common = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        }
        if (!op || list_members(op, s, q->ifname) < 0 || take_common(op, q) < 0) {
                request_clear(q);
                if (op)
                        check_end(op, error_oom(&error), &error);
                else
                        done(error_oom(&error), &error, "", userdata);
                return;
        }
        check_one(m, q, false, checked, op);
}
