/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Suspects, looks, and what follows; see netns-watch.h.
 *
 * A sandbox is in at most one of two queues: `suspects`, until a look takes all of them, and `dead`,
 * until its time has come. One look is under way at a time, so that a thousand deaths at once are a few
 * looks and not a thousand.
 */

#include "core/netns-watch.h"

#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/netns-look.h"
#include "core/operation.h"

#define DIR_EVENTS                                                                                 \
        (IN_DELETE | IN_MOVED_FROM | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_ONLYDIR)

/* One watched directory. Two spellings of it (/run, /var/run) have the same descriptor, so that the
 * kernel's number is the key. */
typedef struct WatchedDir {
        int wd;
        List sandboxes; /* Sandbox.watch.in_dir */
} WatchedDir;

struct NetnsWatch {
        Manager *manager;
        int fd;
        sd_event_source *io, *look_source, *release_timer, *sweep_timer;
        Map *dirs; /* wd -> WatchedDir, owned */
        List suspects, dead;
        NetnsLook *look; /* under way: with a worker or in the mailbox; NULL: none */
};

/* --- directories ------------------------------------------------------------------------------- */

static void dir_free(NetnsWatch *w, WatchedDir *d) {
        Sandbox *s;

        LIST_FOREACH (s, &d->sandboxes, Sandbox, watch.in_dir) {
                list_unlink(&s->watch.in_dir);
                s->watch.dir = NULL;
        }
        map_remove_u64(w->dirs, (uint64_t) d->wd);
        free(d);
}

static WatchedDir *dir_watch(NetnsWatch *w, const char *path) {
        _cleanup_free_ char *dir = strndup(path, (size_t) (strrchr(path, '/') - path));
        WatchedDir *d;

        if (!dir)
                return NULL;
        int wd = inotify_add_watch(w->fd, dir[0] ? dir : "/", DIR_EVENTS);
        if (wd < 0) {
                log_debug("%s is not watched: %s", dir, strerror(errno));
                return NULL;
        }
        d = map_get_u64(w->dirs, (uint64_t) wd);
        if (d)
                return d;
        d = map_size(w->dirs) < NETNS_DIRS_MAX ? new0(WatchedDir, 1) : NULL;
        if (!d || map_put_u64(w->dirs, (uint64_t) wd, d) < 0) {
                free(d);
                (void) inotify_rm_watch(w->fd, wd);
                return NULL;
        }
        d->wd = wd;
        list_init(&d->sandboxes);
        return d;
}

static void leave_dir(NetnsWatch *w, Sandbox *s) {
        WatchedDir *d = TAKE_PTR(s->watch.dir);

        list_unlink(&s->watch.in_dir);
        if (!d || !list_is_empty(&d->sandboxes))
                return;
        (void) inotify_rm_watch(w->fd, d->wd);
        dir_free(w, d);
}

void netns_watch_add(NetnsWatch *w, Sandbox *s) {
        /* A path that we never saw lead there tells nothing by vanishing; that of a process has no
         * directory that could be watched. */
        WatchedDir *d = w && s->netns_witness.seen ? dir_watch(w, s->netns_path) : NULL;

        if (!w || d == s->watch.dir)
                return;
        leave_dir(w, s); /* its next interface came with another path */
        s->watch.dir = d;
        if (d)
                list_append(&d->sandboxes, &s->watch.in_dir);
}

void netns_watch_remove(NetnsWatch *w, Sandbox *s) {
        list_unlink(&s->watch.queue);
        if (w)
                leave_dir(w, s);
}

/* --- suspicion --------------------------------------------------------------------------------- */

void netns_watch_suspect(NetnsWatch *w, Sandbox *s) {
        if (!w || list_is_linked(&s->watch.queue))
                return;
        list_append(&w->suspects, &s->watch.queue);
        if (!w->look)
                (void) sd_event_source_set_enabled(w->look_source, SD_EVENT_ONESHOT);
}

/* A name of the directory is gone. Where there is a host end, its end tells, and tells more. */
static void name_vanished(NetnsWatch *w, WatchedDir *d, const char *name) {
        Sandbox *s;

        LIST_FOREACH (s, &d->sandboxes, Sandbox, watch.in_dir)
                if (streq(strrchr(s->netns_path, '/') + 1, name) && !sandbox_has_link(s))
                        netns_watch_suspect(w, s);
}

static void dir_vanished(NetnsWatch *w, WatchedDir *d, bool forgotten) {
        Sandbox *s;

        LIST_FOREACH (s, &d->sandboxes, Sandbox, watch.in_dir)
                netns_watch_suspect(w, s);
        if (!forgotten)
                (void) inotify_rm_watch(w->fd, d->wd);
        dir_free(w, d);
}

static void suspect_all(NetnsWatch *w) {
        Sandbox *s;

        MAP_FOREACH (s, w->manager->sandboxes)
                netns_watch_suspect(w, s);
}

static int on_inotify(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                      void *userdata) {
        char buf[8192] __attribute__((aligned(__alignof__(struct inotify_event))));
        NetnsWatch *w = userdata;
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0)
                for (const char *p = buf; p < buf + n;) {
                        const struct inotify_event *ev = (const void *) p;
                        WatchedDir *d = map_get_u64(w->dirs, (uint64_t) ev->wd);

                        p += sizeof(*ev) + ev->len;
                        if (ev->mask & IN_Q_OVERFLOW)
                                suspect_all(w);
                        else if (!d)
                                continue; /* what we ended ourselves */
                        else if (ev->mask &
                                 (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED))
                                dir_vanished(w, d, ev->mask & IN_IGNORED);
                        else if (ev->len > 0)
                                name_vanished(w, d, ev->name);
                }
        return 0;
}

/* What no event tells of. A sandbox that has all its interfaces lives in the only sense that matters. */
static int on_sweep(sd_event_source *source, uint64_t usec _unused_, void *userdata) {
        NetnsWatch *w = userdata;
        Sandbox *s;

        MAP_FOREACH (s, w->manager->sandboxes)
                if (!sandbox_is_busy(s) && (!sandbox_has_link(s) || sandbox_lost_link(s)))
                        netns_watch_suspect(w, s);
        (void) sd_event_source_set_time(source, now_monotonic() + NETNS_SWEEP_SEC * 1000000ULL);
        (void) sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
        return 0;
}

/* --- looks ------------------------------------------------------------------------------------- */

static void arm_release(NetnsWatch *w) {
        const Sandbox *s = list_first(&w->dead, Sandbox, watch.queue);

        if (!s)
                return;
        (void) sd_event_source_set_time(w->release_timer, s->watch.release_usec);
        (void) sd_event_source_set_enabled(w->release_timer, SD_EVENT_ONESHOT);
}

static void judge(NetnsWatch *w, Sandbox *s, const NetnsView *v) {
        Attachment *a;

        switch (netns_view_fate(v)) {
        case FATE_DEAD:
                s->watch.release_usec = now_monotonic() + NETNS_GRACE_MS * 1000ULL;
                s->watch.release_reason = netns_view_reason(v);
                list_append(&w->dead, &s->watch.queue); /* all wait equally long: in order */
                arm_release(w);
                return;
        case FATE_LIVE:
                LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                        if (a->lost)
                                attachment_link_lost(a);
                        if (a->state == ATTACHMENT_UP)
                                attachment_pin_path(a);
                }
                return;
        default:
                log_debug("sandbox %s: %s", s->id, netns_view_reason(v));
        }
}

static void looked(NetnsView *views, size_t n, void *userdata) {
        NetnsWatch *w = userdata;

        w->look = NULL; /* freed behind us */
        for (size_t i = 0; i < n; i++) {
                Sandbox *s = netns_view_sandbox(w->manager, &views[i]);
                /* Suspected again meanwhile: the next look knows more. */
                if (s && !list_is_linked(&s->watch.queue))
                        judge(w, s, &views[i]);
        }
        if (!list_is_empty(&w->suspects))
                (void) sd_event_source_set_enabled(w->look_source, SD_EVENT_ONESHOT);
}

static int on_look(sd_event_source *source _unused_, void *userdata) {
        _cleanup_(netns_look_freep) NetnsLook *look = NULL;
        NetnsWatch *w = userdata;
        Sandbox *s;

        /* Without memory they stay, and the sweep tries again. */
        if (w->look || netns_look_new(w->manager, &look) < 0)
                return 0;
        LIST_FOREACH (s, &w->suspects, Sandbox, watch.queue) {
                /* An operation knows what it does, and its end makes it a suspect again. */
                if (!sandbox_is_busy(s) && netns_look_add(look, s) < 0)
                        break;
                list_unlink(&s->watch.queue);
        }
        w->look = TAKE_PTR(look);
        netns_look_start(w->look, looked, w);
        return 0;
}

static int on_release(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        uint64_t now = now_monotonic(); /* the timer may be late, and then more of them are due */
        NetnsWatch *w = userdata;
        Attachment *a;
        Sandbox *s;

        while ((s = list_first(&w->dead, Sandbox, watch.queue)) && s->watch.release_usec <= now) {
                list_unlink(&s->watch.queue);
                /* DEL came, or ADD came again and gave it an interface. */
                if (sandbox_is_busy(s) || sandbox_has_link(s))
                        continue;
                log_ctx(LOG_NOTICE, &(LogContext) { .sandbox = s->id, .op = "gone" },
                        "sandbox %s: %s; releasing it without DEL", s->id, s->watch.release_reason);
                LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                        if (!a->delegate_pending)
                                attachment_release(a, "gone", s->watch.release_reason, NULL, NULL);
        }
        arm_release(w);
        return 0;
}

/* --- life -------------------------------------------------------------------------------------- */

static int add_timer(NetnsWatch *w, uint64_t usec, sd_event_time_handler_t handler,
                     sd_event_source **ret) {
        int r = sd_event_add_time(w->manager->event, ret, CLOCK_MONOTONIC, usec, 0, handler, w);
        return r < 0 ? r
                     : sd_event_source_set_enabled(*ret,
                                                   usec > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

int netns_watch_new(Manager *m, NetnsWatch **ret) {
        _cleanup_(netns_watch_freep) NetnsWatch *w = new0(NetnsWatch, 1);
        if (!w)
                return -ENOMEM;

        w->manager = m;
        list_init(&w->suspects);
        list_init(&w->dead);
        w->dirs = map_new();
        if (!w->dirs)
                return -ENOMEM;
        w->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->fd < 0)
                log_warning("the directories of network namespaces are not watched: inotify: %s; "
                            "sandboxes without interfaces are looked at every %u s",
                            strerror(errno), NETNS_SWEEP_SEC);
        int r = w->fd < 0 ? 0 : sd_event_add_io(m->event, &w->io, w->fd, EPOLLIN, on_inotify, w);
        if (r >= 0)
                r = sd_event_add_defer(m->event, &w->look_source, on_look, w);
        if (r >= 0)
                r = sd_event_source_set_enabled(w->look_source, SD_EVENT_OFF);
        /* What the runtime and the kernel have to say goes first. */
        if (r >= 0)
                r = sd_event_source_set_priority(w->look_source, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = add_timer(w, 0, on_release, &w->release_timer);
        if (r >= 0)
                r = add_timer(w, now_monotonic() + NETNS_SWEEP_SEC * 1000000ULL, on_sweep,
                              &w->sweep_timer);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(w);
        return 0;
}

NetnsWatch *netns_watch_free(NetnsWatch *w) {
        WatchedDir *d;
        Sandbox *s;

        if (!w)
                return NULL;
        LIST_FOREACH (s, &w->suspects, Sandbox, watch.queue)
                list_unlink(&s->watch.queue);
        LIST_FOREACH (s, &w->dead, Sandbox, watch.queue)
                list_unlink(&s->watch.queue);
        if (w->dirs)
                MAP_FOREACH (d, w->dirs)
                        dir_free(w, d);
        map_free(w->dirs);
        /* One that was never started. */
        netns_look_free(w->look);
        sd_event_source_disable_unref(w->io);
        sd_event_source_disable_unref(w->look_source);
        sd_event_source_disable_unref(w->release_timer);
        sd_event_source_disable_unref(w->sweep_timer);
        safe_close(w->fd);
        free(w);
        return NULL;
}
