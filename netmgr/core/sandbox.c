/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sandbox object. Its row lives from its first attachment's plan to its last one's end. */

#include <inttypes.h>

#include "core/attachment.h"
#include "core/netns-watch.h"
#include "core/network-status.h"

Sandbox *sandbox_find(const Manager *m, const char *id) {
        return map_get_str(m->sandboxes, id);
}

int sandbox_new(Manager *m, const char *id, Sandbox **ret) {
        Sandbox *s = new0(Sandbox, 1);
        if (!s)
                return -ENOMEM;

        s->manager = m;
        list_init(&s->attachments);
        s->seen_usec = now_boottime();
        s->id = strdup(id);
        s->runtime = strdup("");
        s->netns_path = strdup("");
        s->boot_id = strdup(m->boot_id);
        if (!s->id || !s->runtime || !s->netns_path || !s->boot_id ||
            map_put_str(m->sandboxes, id, s) < 0) {
                sandbox_free(s);
                return -ENOMEM;
        }
        *ret = s;
        return 0;
}

const char *sandbox_state_to_string(const Sandbox *s) {
        return s->not_ready ? "notready" : "ready";
}

Sandbox *sandbox_free(Sandbox *s) {
        if (!s)
                return NULL;
        if (s->announced && s->manager->observer.sandbox_removed)
                s->manager->observer.sandbox_removed(s, s->manager->observer.userdata);
        netns_watch_remove(s->manager->netns_watch, s);
        network_status_gone(s);
        if (s->id && map_get_str(s->manager->sandboxes, s->id) == s)
                map_remove_str(s->manager->sandboxes, s->id);
        free(s->id);
        free(s->runtime);
        free(s->pod_namespace);
        free(s->pod_name);
        free(s->pod_uid);
        free(s->labels);
        free(s->annotations);
        free(s->netns_path);
        free(s->boot_id);
        free(s);
        return NULL;
}

void sandbox_release_if_unused(Sandbox *s) {
        if (s->n_attachments == 0)
                sandbox_free(s);
}

bool sandbox_is_busy(const Sandbox *s) {
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->busy)
                        return true;
        return false;
}

bool sandbox_has_link(const Sandbox *s) {
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->spec.host_ifname[0] && !a->lost)
                        return true;
        return false;
}

bool sandbox_lost_link(const Sandbox *s) {
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->lost)
                        return true;
        return false;
}

/* While another operation works on the sandbox, its row, which borrows these texts, may be at the
 * committer: then only what is not there yet is added. */
static int set_text(Sandbox *s, char **field, const char *value) {
        char *copy;

        if (!value || streq_ptr(*field, value) || (*field && sandbox_is_busy(s)))
                return 0;
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        s->stored = false;
        return 0;
}

int sandbox_note(Sandbox *s, const char *netns_path, const CniArgs *args) {
        if (set_text(s, &s->netns_path, netns_path) < 0 ||
            set_text(s, &s->pod_namespace, args->pod_namespace) < 0 ||
            set_text(s, &s->pod_name, args->pod_name) < 0 ||
            set_text(s, &s->pod_uid, args->pod_uid) < 0)
                return -ENOMEM;
        return 0;
}

int sandbox_note_annotations(Sandbox *s, const char *annotations) {
        return set_text(s, &s->annotations, annotations);
}

/* Another interface may come with another path. The row has to say what the object does. */
static void set_witness(Sandbox *s, const char *netns_path, const NetnsWitness *w) {
        if (!streq(s->netns_path, netns_path))
                return; /* another ADD that is under way has put its own there */
        if (s->netns_witness.seen != w->seen || s->netns_witness.start != w->start) {
                s->netns_witness = *w;
                s->stored = false;
        }
        netns_watch_add(s->manager->netns_watch, s);
}

int sandbox_identify(Sandbox *s, const char *netns_path, const NetnsIdentity *netns, Error *e) {
        if (s->netns_cookie && s->netns_cookie != netns->cookie)
                return error_setf(
                                e, ERROR_EXISTS,
                                "sandbox %s is known with another network namespace (cookie %" PRIu64
                                ", now %" PRIu64 "); DEL its interfaces first",
                                s->id, s->netns_cookie, netns->cookie);
        s->netns_cookie = netns->cookie;
        s->netns_dev = netns->dev;
        s->netns_ino = netns->ino;
        set_witness(s, netns_path, &netns->witness);
        return 0;
}

int sandbox_load(Manager *m, SandboxRow *row) {
        Sandbox *s;
        int r = sandbox_new(m, row->id, &s);
        if (r < 0)
                return r;

        char **fields[] = { &s->runtime, &s->pod_namespace, &s->pod_name, &s->pod_uid,
                            &s->labels,  &s->netns_path,    &s->boot_id,  &s->annotations };
        char **columns[] = {
                &row->runtime, &row->pod_namespace, &row->pod_name, &row->pod_uid,
                &row->labels,  &row->netns_path,    &row->boot_id,  &row->annotations
        };
        for (size_t i = 0; i < ELEMENTSOF(fields); i++)
                if (*columns[i]) {
                        free(*fields[i]);
                        *fields[i] = TAKE_PTR(*columns[i]);
                }
        s->netns_cookie = row->netns_cookie;
        s->netns_dev = row->netns_dev;
        s->netns_ino = row->netns_ino;
        s->netns_witness = (NetnsWitness) { .seen = row->netns_seen, .start = row->netns_start };
        s->not_ready = streq(strempty(row->state), "notready");
        s->seen_usec = 0;
        s->stored = true;
        return 0;
}

void sandbox_to_row(const Sandbox *s, SandboxRow *ret) {
        *ret = (SandboxRow) {
                .id = s->id,
                .runtime = s->runtime,
                .pod_namespace = s->pod_namespace,
                .pod_name = s->pod_name,
                .pod_uid = s->pod_uid,
                .labels = s->labels,
                .annotations = s->annotations,
                .netns_path = s->netns_path,
                .netns_cookie = s->netns_cookie,
                .netns_dev = s->netns_dev,
                .netns_ino = s->netns_ino,
                .netns_seen = s->netns_witness.seen,
                .netns_start = s->netns_witness.start,
                .boot_id = s->boot_id,
                .state = (char *) sandbox_state_to_string(s),
        };
}
