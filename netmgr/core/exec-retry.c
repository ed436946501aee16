/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See exec-retry.h. */

#include "core/exec-retry.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "core/exec-call.h"
#include "core/operation.h"

typedef struct ExecRetry {
        Manager *manager;
        sd_event_source *timer, *source;
        int inotify_fd;
        char *dir, *parent, *name; /* owned: of netmgr-exec's socket */
        int dir_wd, parent_wd;     /* watches; negative: none */
} ExecRetry;

static bool is_waiting(const Attachment *a) {
        return a->delegate_pending && !a->busy;
}

static void arm(ExecRetry *x, uint64_t usec) {
        uint64_t set;
        int state;

        if (sd_event_source_get_enabled(x->timer, &state) < 0 ||
            (state != SD_EVENT_OFF &&
             (sd_event_source_get_time(x->timer, &set) < 0 || set <= usec)))
                return;
        (void) sd_event_source_set_time(x->timer, usec);
        (void) sd_event_source_set_enabled(x->timer, SD_EVENT_ONESHOT);
}

static void wait_longer(Attachment *a) {
        a->retry_delay = a->retry_delay == 0 ? EXEC_RETRY_FIRST_SEC
                                             : MIN_OF(a->retry_delay * 2, EXEC_RETRY_LAST_SEC);
        a->retry_usec = now_monotonic() + a->retry_delay * 1000000ULL;
}

/* Those whose time has come, or all. A netmgr-exec that is not there is asked once for all of them. */
static void try_again(ExecRetry *x, bool all) {
        uint64_t now = now_monotonic(), next = UINT64_MAX;
        bool reachable = exec_is_reachable(x->manager);
        Attachment *a;

        MAP_FOREACH (a, x->manager->attachments) {
                if (!is_waiting(a))
                        continue;
                if (!all && a->retry_usec > now)
                        next = MIN_OF(next, a->retry_usec);
                else if (reachable)
                        attachment_release(a, "recover", "its delegates had not been told", NULL,
                                           NULL);
                else {
                        wait_longer(a);
                        next = MIN_OF(next, a->retry_usec);
                }
        }
        if (next < UINT64_MAX)
                arm(x, next);
}

/* ---- when it comes ---------------------------------------------------------------------------- */

/* A service manager may make the directory with the service, and take it away with it. True: it is watched
 * anew, and what was in it then was not heard of. */
static bool watch(ExecRetry *x) {
        const uint32_t mask = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;

        if (x->dir_wd >= 0)
                return false;
        x->dir_wd = inotify_add_watch(x->inotify_fd, x->dir, mask);
        if (x->dir_wd < 0 && x->parent_wd < 0) {
                x->parent_wd = inotify_add_watch(x->inotify_fd, x->parent, mask);
                x->dir_wd = inotify_add_watch(x->inotify_fd, x->dir, mask);
        }
        if (x->dir_wd >= 0 && x->parent_wd >= 0) {
                (void) inotify_rm_watch(x->inotify_fd, x->parent_wd);
                x->parent_wd = -1;
        }
        return x->dir_wd >= 0;
}

static int on_inotify(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                      void *userdata) {
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        ExecRetry *x = userdata;
        bool came = false;
        ssize_t n;

        while ((n = read(fd, buf, sizeof(buf))) > 0)
                for (char *p = buf; p < buf + n;) {
                        const struct inotify_event *event = (const struct inotify_event *) p;

                        if (event->mask & IN_Q_OVERFLOW)
                                came = true;
                        else if (event->wd == x->dir_wd && (event->mask & IN_IGNORED))
                                x->dir_wd = -1;
                        else if (event->wd == x->dir_wd && event->len > 0)
                                came |= streq(event->name, x->name);
                        p += sizeof(*event) + event->len;
                }
        if (watch(x) || came)
                try_again(x, true);
        return 0;
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        (void) watch(userdata);
        try_again(userdata, false);
        return 0;
}

/* "/run/netmgr-exec/exec.sock": its directory, what that is in, and its name. */
static int read_path(ExecRetry *x) {
        x->dir = strdup(x->manager->exec_socket);
        char *slash = x->dir ? strrchr(x->dir, '/') : NULL;

        if (slash) {
                *slash = '\0';
                x->name = strdup(slash + 1);
                x->parent = strdup(x->dir);
        }
        char *above = x->parent ? strrchr(x->parent, '/') : NULL;
        if (above)
                *above = '\0';
        return x->dir && (!slash || (x->name && x->parent)) ? 0 : -ENOMEM;
}

/* Where the directory cannot be watched the timer has to do. */
static int watch_socket(ExecRetry *x) {
        int r = read_path(x);
        if (r < 0 || !x->name)
                return r;
        x->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (x->inotify_fd < 0)
                return 0;
        (void) watch(x);
        return sd_event_add_io(x->manager->event, &x->source, x->inotify_fd, EPOLLIN, on_inotify,
                               x);
}

/* ---- for others ------------------------------------------------------------------------------- */

void exec_retry_add(Attachment *a) {
        Manager *m = a->manager;

        wait_longer(a);
        if (m->exec_retry && !m->stopping)
                arm(m->exec_retry, a->retry_usec);
}

void exec_retry_ended(Manager *m) {
        const Attachment *a;

        if (!(m->health & 1U << HEALTH_EXEC))
                return;
        MAP_FOREACH (a, m->attachments)
                if (a->delegate_pending)
                        return;
        manager_set_health(m, HEALTH_EXEC, NULL);
}

int exec_retry_new(Manager *m) {
        ExecRetry *x = new0(ExecRetry, 1);
        int r;

        if (!x)
                return -ENOMEM;
        x->manager = m;
        x->inotify_fd = -EBADF;
        x->dir_wd = x->parent_wd = -1;
        m->exec_retry = x;
        r = timer_new(m->event, &x->timer, on_timer, x);
        return r < 0 ? r : watch_socket(x);
}

void exec_retry_free(Manager *m) {
        ExecRetry *x = TAKE_PTR(m->exec_retry);

        if (!x)
                return;
        sd_event_source_disable_unref(x->timer);
        sd_event_source_disable_unref(x->source);
        safe_close(x->inotify_fd);
        free(x->dir);
        free(x->parent);
        free(x->name);
        free(x);
}
