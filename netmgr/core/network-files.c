/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CONFIG_DIR/networks.d/NAME.conflist, read at start, on reload and when inotify tells of a change.
 * A broken file is reported and hurts nobody else: its network, if it was known, stays as it was.
 */

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/network-internal.h"

#define SUFFIX ".conflist"

static bool is_conflist(const char *file) {
        size_t n = strlen(file), s = strlen(SUFFIX);
        return file[0] != '.' && n > s && streq(file + n - s, SUFFIX);
}

static int load_file(Manager *m, int dirfd, const char *file, const char *name, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        Network *n;

        int r = file_read_full(dirfd, file, CONFIG_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r,
                                        "reading it (at most %u bytes)", CONFIG_SIZE_MAX);
        r = netconf_parse_list(text, size, name, &conf, e);
        if (r < 0)
                return r;

        n = network_find(m, name);
        if (n && n->source == NETWORK_FILE && !n->gone && streq(n->config, text))
                return 0;
        r = network_set(m, name, NETWORK_FILE, text, conf, &n, e);
        if (r < 0)
                return r;
        TAKE_PTR(conf);
        if (!n->stored)
                (void) network_store(n, NULL, NULL);
        log_ctx(LOG_INFO, &(LogContext) { .network = name }, "network %s loaded from %s", name,
                file);
        return 0;
}

/* Networks whose file is gone go too, now or with their last attachment. */
static void drop_missing(Manager *m, const Map *seen) {
        Network *n;

        MAP_FOREACH (n, m->networks) {
                if (n->source != NETWORK_FILE || map_get_str(seen, n->name))
                        continue;
                if (!n->gone)
                        log_ctx(LOG_NOTICE, &(LogContext) { .network = n->name },
                                "the file of network %s is gone; %zu attachments keep it", n->name,
                                n->n_attachments);
                n->gone = true;
                network_release_if_unused(n);
        }
}

static int filter(const struct dirent *d) {
        return is_conflist(d->d_name);
}

static int load_one(Manager *m, int dirfd, const char *file, Map *seen, Error *first) {
        _cleanup_error_ Error error = ERROR_NULL;
        char name[NETWORK_NAME_MAX + 1];
        size_t n = strlen(file) - strlen(SUFFIX);
        int r;

        snprintf(name, sizeof(name), "%.*s", (int) MIN_OF(n, (size_t) NETWORK_NAME_MAX), file);
        if (n > NETWORK_NAME_MAX || !cni_id_is_valid(name, NETWORK_NAME_MAX))
                r = error_setf(&error, ERROR_INVALID_ARGUMENT,
                               "the file's name is no network name: wanted [A-Za-z0-9][A-Za-z0-9_.-]*");
        else {
                r = map_put_str(seen, name, m) == -ENOMEM ? error_oom(&error)
                                                          : load_file(m, dirfd, file, name, &error);
        }
        if (r < 0) {
                error_prefixf(&error, "networks.d/%s", file);
                log_error("%s", error_message(&error));
                if (!error_is_set(first))
                        (void) error_setf(first, error.kind, "%s", error_message(&error));
        }
        return r;
}

int network_files_load(Manager *m, Error *e) {
        _cleanup_free_ char *dir = strf("%s/networks.d", m->config_dir);
        _cleanup_(map_freep) Map *seen = map_new();
        _cleanup_error_ Error first = ERROR_NULL;
        _cleanup_close_ int fd = -EBADF;
        struct dirent **list = NULL;
        int failed = 0;

        if (!dir || !seen)
                return error_oom(e);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "opening %s", dir);
        int n = fd < 0 ? 0 : scandirat(fd, ".", &list, filter, alphasort);
        if (n < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "listing %s", dir);

        for (int i = 0; i < n; i++) {
                if (i < (int) CONFIG_FILES_MAX &&
                    load_one(m, fd, list[i]->d_name, seen, &first) < 0)
                        failed++;
                free(list[i]);
        }
        free(list);
        if (n > (int) CONFIG_FILES_MAX && !error_is_set(&first))
                (void) error_setf(&first, ERROR_INVALID_ARGUMENT,
                                  "%s: %d files, at most %u are read", dir, n, CONFIG_FILES_MAX);
        /* What was not seen for want of memory is not missing. */
        if (first.kind != ERROR_NO_MEMORY)
                drop_missing(m, seen);

        manager_set_health(m, HEALTH_NETWORKS, error_is_set(&first) ? error_message(&first) : NULL);
        if (!error_is_set(&first))
                return 0;
        if (failed > 1)
                return error_setf(e, first.kind, "%s (and %d more)", error_message(&first),
                                  failed - 1);
        return error_setf(e, first.kind, "%s", error_message(&first));
}

static int on_inotify(sd_event_source *s _unused_, int fd, uint32_t revents _unused_,
                      void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        char buf[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

        /* What changed does not matter: the directory is small and is read as a whole. */
        while (read(fd, buf, sizeof(buf)) > 0)
                ;
        (void) network_files_load(userdata, &error);
        return 0;
}

int network_files_watch(Manager *m, Error *e) {
        _cleanup_free_ char *dir = strf("%s/networks.d", m->config_dir);
        if (!dir)
                return error_oom(e);

        m->inotify_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (m->inotify_fd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "inotify");
        /* Written and closed, renamed in or out, removed: what an editor or a package leaves. */
        if (inotify_add_watch(m->inotify_fd, dir,
                              IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE) < 0) {
                log_notice("%s is not watched (%s); use Reload after making it", dir,
                           strerror(errno));
                return 0;
        }
        int r = sd_event_add_io(m->event, &m->inotify_source, m->inotify_fd, EPOLLIN, on_inotify,
                                m);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "watching %s", dir) : 0;
}
