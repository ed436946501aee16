/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Giving a lease back at the end of its attachment: one packet that is not answered. The server frees the
 * address by itself when the lease is over, so nothing here may keep a DEL waiting for long, let alone make it
 * fail; but it goes out before the link does.
 */

#include "base/fd.h"
#include "base/limits.h"
#include "core/dhcp-change.h"
#include "core/dhcp-internal.h"
#include "core/inside.h"

typedef struct GiveBack {
        Job job; /* first member */
        Manager *manager;
        List list; /* Manager.give_backs, until `done` has been called */
        bool at_worker;
        DhcpCall *call;
        sd_event_source *timer;
        void (*done)(void *userdata); /* NULL: has been called */
        void *userdata;
        int netns_fd, packet_fd; /* owned */
        char *path;              /* owned */
        uint64_t cookie;
        char ifname[16];
        DhcpRequest request;
} GiveBack;

static void give_back_free(GiveBack *g) {
        sd_event_source_disable_unref(g->timer);
        safe_close(g->netns_fd);
        safe_close(g->packet_fd);
        error_clear(&g->job.task.error);
        free(g->path);
        free(g);
}

static void give_back_end(GiveBack *g) {
        void (*done)(void *userdata) = TAKE_PTR(g->done);
        void *userdata = g->userdata;

        list_unlink(&g->list);
        g->call = dhcp_call_free(g->call);
        g->timer = sd_event_source_disable_unref(g->timer);
        if (!g->at_worker)
                give_back_free(g);
        done(userdata);
}

static int give_back_run(Job *job, WorkerContext *w, Error *e) {
        GiveBack *g = (GiveBack *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        _cleanup_close_ int fd = -EBADF;

        int r = inside_open(w, g->netns_fd, g->path, g->cookie, &fd, &pod, e);
        /* It pins the namespace. */
        g->netns_fd = safe_close(g->netns_fd);
        return r < 0 ? r
                     : dhcp_open_link(w, fd, pod, g->ifname, false, &g->request, &g->packet_fd, e);
}

/* Sent, or not: the server's time runs out either way. */
static void given_back(int r _unused_, const DhcpAnswer *answer _unused_, const Error *e _unused_,
                       void *userdata) {
        GiveBack *g = userdata;

        g->call = NULL;
        give_back_end(g);
}

static void opened(Task *task) {
        GiveBack *g = (GiveBack *) task;
        _cleanup_error_ Error error = ERROR_NULL;

        g->at_worker = false;
        if (!g->done) {
                give_back_free(g);
                return;
        }
        int r = task->r;
        if (r >= 0)
                r = dhcp_call_new(g->manager, &g->request, TAKE_FD(g->packet_fd), given_back, g,
                                  &g->call, &error);
        if (r < 0)
                give_back_end(g);
}

static int on_time(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        give_back_end(userdata);
        return 0;
}

static GiveBack *give_back_new(const Attachment *a, int netns_fd) {
        const DhcpBinding *b = a->dhcp;
        GiveBack *g = new0(GiveBack, 1);

        if (!g)
                return NULL;
        g->manager = a->manager;
        g->packet_fd = -EBADF;
        g->netns_fd = netns_fd >= 0 ? fd_dup(netns_fd) : -EBADF;
        g->cookie = a->sandbox->netns_cookie;
        g->path = strdup(a->sandbox->netns_path);
        memcpy(g->ifname, a->spec.ifname, sizeof(g->ifname));
        dhcp_row_request(&b->row, DHCP_GIVE_BACK, &g->request);
        g->request.deadline_ms = DHCP_GIVE_BACK_MS;
        if (!g->path ||
            sd_event_add_time_relative(a->manager->event, &g->timer, CLOCK_MONOTONIC,
                                       DHCP_GIVE_BACK_MS * 1000ULL, 1000, on_time, g) < 0) {
                give_back_free(g);
                return NULL;
        }
        return g;
}

bool dhcp_give_back(Attachment *a, int netns_fd, void (*done)(void *userdata), void *userdata) {
        bool held = a->dhcp && !dhcp_binding_row(a->dhcp)->expired && !a->manager->stopping;
        GiveBack *g = held ? give_back_new(a, netns_fd) : NULL;

        a->dhcp = dhcp_binding_free(a->dhcp);
        if (!g)
                return false;
        g->done = done;
        g->userdata = userdata;
        g->at_worker = true;
        list_append(&g->manager->give_backs, &g->list);
        g->job.run = give_back_run;
        g->job.task.deliver = opened;
        workers_submit(g->manager->workers, &g->job);
        return true;
}

void dhcp_give_back_stop(Manager *m) {
        while (!list_is_empty(&m->give_backs))
                give_back_end(list_entry(m->give_backs.next, GiveBack, list));
}
