/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Manager.Attach and Manager.Detach: one more interface for a sandbox that runs, and one less. What is attached so
 * is an ordinary attachment. A caller that goes away changes nothing: both run to their end.
 */

#include "base/failpoint.h"
#include "base/fd.h"
#include "bus/attach-request.h"
#include "bus/bus-internal.h"
#include "core/op-networks.h"

typedef struct AttachCall {
        Manager *manager;
        sd_bus_message *message; /* owned */
        char *sandbox;           /* owned */
} AttachCall;

static void call_free(AttachCall *call) {
        sd_bus_message_unref(call->message);
        free(call->sandbox);
        free(call);
}

/* Newer than any other that came while the sandbox ran. */
static const Attachment *newest(const Manager *m, const char *sandbox) {
        const Sandbox *s = sandbox_find(m, sandbox);
        const Attachment *a, *found = NULL;

        if (s)
                LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                        if (a->spec.hot && (!found || a->spec.id > found->spec.id))
                                found = a;
        return found;
}

/* The attachment that the result tells of: by the name of its interface in the sandbox. Plugins of others may have
 * answered without one. */
static const Attachment *attachment_of(const Manager *m, const char *sandbox, const char *result) {
        _cleanup_json_ json_object *o = NULL;
        json_object *list;

        if (json_parse(result, strlen(result), "result", &o, NULL) < 0)
                return newest(m, sandbox);
        list = json_get(o, "interfaces");
        for (size_t i = 0; list && i < json_object_array_length(list); i++) {
                json_object *itf = json_object_array_get_idx(list, i),
                            *name = json_get(itf, "name");
                const Attachment *a =
                                name && json_get(itf, "sandbox")
                                                ? attachment_find(m, sandbox,
                                                                  json_object_get_string(name))
                                                : NULL;
                if (a && a->spec.hot)
                        return a;
        }
        return newest(m, sandbox);
}

static void attach_done(int r, const Error *e, const char *result, void *userdata) {
        _cleanup_free_ char *path = NULL;
        AttachCall *call = userdata;
        const Attachment *a;

        failpoint_past("bus-reply");
        if (r >= 0 && (a = attachment_of(call->manager, call->sandbox, result)))
                path = attachment_bus_path(a);
        if (r < 0)
                bus_reply_error(call->message, r, e);
        else if (path)
                bus_reply(call->message, "os", path, result);
        else
                bus_reply_error(call->message, -ENOMEM, NULL);
        call_free(call);
}

int method_attach(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        AttachRequest q = { .netns_fd = -EBADF };
        _cleanup_error_ Error e = ERROR_NULL;
        const char *sandbox;
        Bus *b = userdata;

        int r = attach_request_read(m, &sandbox, &q.network, &q.netns_fd, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        r = polkit_authorise(b, m, "org.netmgr1.manage-sandboxes", method_attach, userdata, error);
        if (r <= 0) {
                attach_request_clear(&q);
                return r < 0 ? r : 1;
        }
        AttachCall *call = new0(AttachCall, 1);
        q.sandbox = strdup(sandbox);
        if (call)
                *call = (AttachCall) { b->manager, sd_bus_message_ref(m), strdup(sandbox) };
        if (!q.sandbox || !call || !call->sandbox) {
                attach_request_clear(&q);
                if (call)
                        call_free(call);
                return -ENOMEM;
        }
        operation_attach(b->manager, &q, attach_done, call);
        return 1;
}

static void detach_done(int r, const Error *e, const char *result _unused_, void *userdata) {
        sd_bus_message *m = userdata;

        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(m, r, e);
        else
                bus_reply(m, NULL);
        sd_bus_message_unref(m);
}

int method_detach(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_close_ int netns_fd = -EBADF;
        _cleanup_error_ Error e = ERROR_NULL;
        const char *sandbox, *ifname;
        Bus *b = userdata;

        int r = detach_request_read(m, &sandbox, &ifname, &netns_fd, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        r = polkit_authorise(b, m, "org.netmgr1.manage-sandboxes", method_detach, userdata, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        operation_detach(b->manager, sandbox, ifname, TAKE_FD(netns_fd), detach_done,
                         sd_bus_message_ref(m));
        return 1;
}
