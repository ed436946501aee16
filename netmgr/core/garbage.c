/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Garbage collection on demand; see garbage.h. A crash in the middle leaves `releasing` rows, which the
 * next start ends. */

#include "core/garbage.h"

#include "core/exec-call.h"
#include "core/netns-look.h"
#include "core/operation.h"

typedef struct Garbage {
        Manager *manager;
        bool dry_run;
        GarbageFound found;
        GarbageDone done;
        void *userdata;
        size_t waiting; /* releases under way, and the walk itself */
        int r;
        Error first;
} Garbage;

static void garbage_put(Garbage *g) {
        if (--g->waiting > 0)
                return;
        operation_end(g->manager);
        g->done(g->r, &g->first, g->userdata);
        error_clear(&g->first);
        free(g);
}

static void garbage_released(int r, const Error *e, void *userdata) {
        Garbage *g = userdata;

        if (r < 0 && g->r >= 0) {
                g->r = r;
                (void) error_setf(&g->first, e->kind, "%s", error_message(e));
        }
        garbage_put(g);
}

static void release_sandbox(Garbage *g, Sandbox *s, const char *reason) {
        Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                if (a->delegate_pending)
                        continue; /* see release_pending() */
                g->waiting++;
                attachment_release(a, "gc", reason, garbage_released, g);
        }
}

/* Of these nothing is in the kernel: whatever became of their sandboxes. */
static void release_pending(Garbage *g) {
        Attachment *a;

        if (g->dry_run || !exec_is_reachable(g->manager))
                return;
        MAP_FOREACH (a, g->manager->attachments) {
                if (!a->delegate_pending || a->busy)
                        continue;
                g->waiting++;
                attachment_release(a, "gc", "its delegates had not been told", garbage_released, g);
        }
}

static void garbage_looked(NetnsView *views, size_t n, void *userdata) {
        Garbage *g = userdata;

        for (size_t i = 0; i < n; i++) {
                const NetnsView *v = &views[i];
                Sandbox *s = netns_view_sandbox(g->manager, v);
                SandboxFate fate = netns_view_fate(v);

                if (!s)
                        continue; /* gone meanwhile, or an operation works on it */
                bool well = fate == FATE_LIVE
                                            ? v->n_links == v->n_host_ends
                                            : fate == FATE_UNCLEAR && v->found == NETNS_PATH_UNSEEN;
                if (well)
                        continue;
                g->found(s, fate == FATE_DEAD, netns_view_reason(v), g->userdata);
                if (fate == FATE_DEAD && !g->dry_run)
                        release_sandbox(g, s, netns_view_reason(v));
        }
        release_pending(g);
        garbage_put(g);
}

int garbage_collect(Manager *m, bool dry_run, GarbageFound found, GarbageDone done, void *userdata,
                    Error *e) {
        _cleanup_(netns_look_freep) NetnsLook *look = NULL;
        const Sandbox *s;

        int r = operation_begin(m, e);
        if (r < 0)
                return r;
        r = netns_look_new(m, &look);
        MAP_FOREACH (s, m->sandboxes)
                if (r >= 0 && !sandbox_is_busy(s))
                        r = netns_look_add(look, s);
        Garbage *g = r >= 0 ? new0(Garbage, 1) : NULL;
        if (!g) {
                operation_end(m);
                return error_oom(e);
        }
        *g = (Garbage) { .manager = m,
                         .dry_run = dry_run,
                         .found = found,
                         .done = done,
                         .userdata = userdata,
                         .waiting = 1 };
        netns_look_start(TAKE_PTR(look), garbage_looked, g);
        return 0;
}
