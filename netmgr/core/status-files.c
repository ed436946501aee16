/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * RUNTIME_DIR/status: one file per sandbox with its network-status. Changes are collected and written behind the
 * answers that they belong to, some at a time; a file gets its name when it is complete. No descriptor is
 * kept: whoever removes the directory gets it back with the next change.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/network-status.h"

/* No container ID begins so. */
#define TEMPORARY ".new"

struct StatusFiles {
        Manager *manager;
        List dirty;             /* Sandbox.status.dirty */
        sd_event_source *defer; /* on while there is something to write */
        sd_event_source *retry; /* on while that fails; then nothing else writes */
        bool failing;
        bool strays; /* there may be files of nobody */
};

static int open_dir(const Manager *m) {
        _cleanup_free_ char *path = strf("%s/status", m->runtime_dir);

        if (!path)
                return -ENOMEM;
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
                return -errno;
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        /* Whatever our umask says. */
        struct stat st;
        if (fstat(fd, &st) < 0 || ((st.st_mode & 07777) != 0755 && fchmod(fd, 0755) < 0))
                return -errno;
        return TAKE_FD(fd);
}

static int write_temporary(int dir, const char *text) {
        _cleanup_close_ int fd =
                        openat(dir, TEMPORARY,
                               O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (fd < 0 || fchmod(fd, 0644) < 0)
                return -errno;
        return fd_write_all(fd, text, strlen(text));
}

static int write_file(int dir, const char *name, const char *text) {
        int r = failpoint("status-write");

        if (r >= 0)
                r = write_temporary(dir, text);
        if (r >= 0)
                r = failpoint("status-rename");
        if (r >= 0 && renameat(dir, TEMPORARY, dir, name) < 0)
                r = -errno;
        if (r < 0)
                (void) unlinkat(dir, TEMPORARY, 0);
        else
                failpoint_past("status-renamed");
        return r;
}

static int remove_file(int dir, const char *name) {
        int r = failpoint("status-remove");

        if (r >= 0 && unlinkat(dir, name, 0) < 0 && errno != ENOENT)
                r = -errno;
        if (r >= 0)
                failpoint_past("status-removed");
        return r;
}

/* Tells who watches, and brings the file to the same state. *dir is opened for the first that needs it. */
static int update(int *dir, Sandbox *s) {
        const ManagerObserver *o = &s->manager->observer;
        _cleanup_free_ char *text = sandbox_network_status_text(s);

        if (!text)
                return -ENOMEM;
        uint64_t hash = hash64(text, strlen(text));
        if (hash != s->status.told) {
                s->status.told = hash;
                if (s->announced && s->status.written != STATUS_UNKNOWN &&
                    o->network_status_changed)
                        o->network_status_changed(s, o->userdata);
        }
        if (hash == s->status.written)
                return 0;
        bool empty = streq(text, "[]");
        if (empty && s->status.written == 0)
                return 0; /* there is none: it has never been up */
        if (*dir < 0)
                *dir = open_dir(s->manager);
        if (*dir < 0)
                return *dir;
        int r = empty ? remove_file(*dir, s->id) : write_file(*dir, s->id, text);
        if (r >= 0)
                s->status.written = empty ? 0 : hash;
        return r;
}

static void failed(StatusFiles *f, int r, const char *name) {
        const Manager *m = f->manager;
        _cleanup_free_ char *text = strf(
                        "%s/status%s%s cannot be written: %s; files of network-status there are out of "
                        "date until it can",
                        m->runtime_dir, name[0] ? "/" : "", name, strerror(-r));

        manager_set_health(f->manager, HEALTH_STATUS, text ? text : "no memory for status files");
        f->failing = true;
        f->strays = true; /* what should have gone meanwhile may be where we could not look */
        (void) sd_event_source_set_time_relative(f->retry, STATUS_RETRY_SEC * 1000000ULL);
        (void) sd_event_source_set_enabled(f->retry, SD_EVENT_ONESHOT);
}

/* Files of sandboxes that are no more, and of a writer that was killed. */
static int remove_strays(const Manager *m, int dir) {
        _cleanup_close_ int copy = fd_dup(dir);
        DIR *d = copy < 0 ? NULL : fdopendir(copy);
        const struct dirent *entry;
        int r = 0;

        if (!d)
                return -errno;
        TAKE_FD(copy);
        rewinddir(d);
        while ((entry = readdir(d)))
                if (!streq(entry->d_name, ".") && !streq(entry->d_name, "..") &&
                    !sandbox_find(m, entry->d_name) && unlinkat(dir, entry->d_name, 0) < 0 &&
                    errno != ENOENT && errno != EISDIR)
                        r = -errno;
        closedir(d);
        return r;
}

/* At most so many; the rest has its turn when the loop comes by again. */
static void work(StatusFiles *f, size_t most) {
        _cleanup_close_ int dir = -EBADF;
        const char *name = "";
        Sandbox *s;
        int r = 0;

        if (f->strays) {
                dir = open_dir(f->manager);
                r = dir < 0 ? dir : remove_strays(f->manager, dir);
                f->strays = r < 0;
        }
        LIST_FOREACH (s, &f->dirty, Sandbox, status.dirty) {
                if (most-- == 0)
                        break;
                int k = update(&dir, s);
                if (k >= 0)
                        list_unlink(&s->status.dirty);
                else if (r >= 0) {
                        r = k;
                        name = s->id;
                }
        }
        f->failing = false;
        if (r < 0)
                failed(f, r, name);
        else
                manager_set_health(f->manager, HEALTH_STATUS, NULL);
        bool more = !list_is_empty(&f->dirty) && !f->failing;
        (void) sd_event_source_set_enabled(f->defer, more ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
}

static int on_defer(sd_event_source *source _unused_, void *userdata) {
        work(userdata, STATUS_FILES_BATCH);
        return 0;
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        work(userdata, SIZE_MAX);
        return 0;
}

void network_status_changed(Sandbox *s) {
        StatusFiles *f = s->manager->status_files;

        if (!f)
                return;
        if (!list_is_linked(&s->status.dirty))
                list_append(&f->dirty, &s->status.dirty);
        if (!f->failing)
                (void) sd_event_source_set_enabled(f->defer, SD_EVENT_ONESHOT);
}

void network_status_gone(Sandbox *s) {
        StatusFiles *f = s->manager->status_files;

        list_unlink(&s->status.dirty);
        if (!f || s->status.written == 0)
                return;
        _cleanup_close_ int dir = open_dir(s->manager);
        int r = dir < 0 ? dir : remove_file(dir, s->id);
        if (r < 0)
                failed(f, r, s->id);
}

void network_status_flush(Manager *m) {
        if (m->status_files && !m->status_files->failing && !list_is_empty(&m->status_files->dirty))
                work(m->status_files, SIZE_MAX);
}

int status_files_new(Manager *m, StatusFiles **ret) {
        StatusFiles *f = new0(StatusFiles, 1);
        Sandbox *s;

        if (!f)
                return -ENOMEM;
        f->manager = m;
        f->strays = true;
        list_init(&f->dirty);
        int r = sd_event_add_defer(m->event, &f->defer, on_defer, f);
        /* Requests that wait go first. */
        if (r >= 0)
                r = sd_event_source_set_priority(f->defer, SD_EVENT_PRIORITY_NORMAL + 10);
        if (r >= 0)
                r = sd_event_add_time(m->event, &f->retry, CLOCK_MONOTONIC, 0, 0, on_retry, f);
        if (r >= 0)
                r = sd_event_source_set_enabled(f->retry, SD_EVENT_OFF);
        if (r < 0) {
                status_files_free(f);
                return r;
        }
        MAP_FOREACH (s, m->sandboxes) {
                s->status.written = STATUS_UNKNOWN;
                list_append(&f->dirty, &s->status.dirty);
        }
        *ret = f;
        return 0;
}

StatusFiles *status_files_free(StatusFiles *f) {
        Sandbox *s;

        if (!f)
                return NULL;
        if (!f->failing && !list_is_empty(&f->dirty))
                work(f, SIZE_MAX);
        LIST_FOREACH (s, &f->dirty, Sandbox, status.dirty)
                list_unlink(&s->status.dirty);
        sd_event_source_disable_unref(f->defer);
        sd_event_source_disable_unref(f->retry);
        free(f);
        return NULL;
}
