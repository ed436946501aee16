/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrd gives its socket its name when it listens already, so that the directory's notification is
 * the moment to connect. A socket that a service manager makes is named before it listens, and a file
 * system may lack notifications: hence one look a second beside them.
 */

#include "cri/cni/wait.h"

#include <poll.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"

#define LOOK_USEC 1000000U

static uint64_t now_monotonic(void) {
        struct timespec ts;

        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

uint64_t deadline_in(uint32_t seconds) {
        return now_monotonic() + seconds * 1000000ULL;
}

uint64_t deadline_left(uint64_t deadline) {
        uint64_t now = now_monotonic();

        return now < deadline ? deadline - now : 0;
}

int seconds_from_environment(const char *name, uint32_t fallback, uint32_t *ret, Failure *f) {
        const char *value = getenv(name);

        if (isempty(value)) {
                *ret = fallback;
                return 0;
        }
        if (parse_u32(value, 0, 3600, ret) < 0)
                return failure_setf(f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                    "%s: \"%.64s\" is no number of seconds from 0 to 3600", name,
                                    value);
        return 0;
}

void socket_wait_clear(SocketWait *w) {
        w->inotify_fd = safe_close(w->inotify_fd);
}

/* Cuts the last part off; false when there is none. */
static bool path_parent(char *path) {
        char *slash = strrchr(path, '/');

        if (!slash || slash == path)
                return false;
        *slash = '\0';
        return true;
}

/* True when a watch is new: what came before it was not seen. */
static bool watch(SocketWait *w, const char *path) {
        _cleanup_free_ char *dir = strdup(path);
        int directory, parent = -1;

        if (!dir || !path_parent(dir))
                return false;
        directory = inotify_add_watch(w->inotify_fd, dir, IN_CREATE | IN_MOVED_TO | IN_ATTRIB);
        if (directory < 0 && path_parent(dir))
                parent = inotify_add_watch(w->inotify_fd, dir, IN_CREATE | IN_MOVED_TO);
        bool is_new = directory != w->directory || parent != w->parent;
        w->directory = directory;
        w->parent = parent;
        return is_new;
}

int socket_wait(SocketWait *w, const char *path) {
        char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));
        uint64_t left = deadline_left(w->deadline);
        struct pollfd p;

        if (left == 0)
                return 0;
        if (w->inotify_fd < 0)
                w->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (w->inotify_fd >= 0 && watch(w, path))
                return 1;
        p = (struct pollfd) { .fd = w->inotify_fd, .events = POLLIN };
        left = MIN_OF(left, (uint64_t) LOOK_USEC);
        (void) poll(&p, 1, (int) ((left + 999) / 1000));
        while (w->inotify_fd >= 0 && read(w->inotify_fd, events, sizeof(events)) > 0)
                ;
        return deadline_left(w->deadline) > 0;
}
