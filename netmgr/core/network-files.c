/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CONFIG_DIR/networks.d: NAME.conflist is a configuration list, *.nad.json a NetworkAttachmentDefinition or a List of
 * them, named by its metadata. Read at start, on reload and when inotify tells of a change. A broken file is reported and
 * hurts nobody else: its networks, if they were known, stay as they were.
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

#define CONFLIST ".conflist"
#define MANIFEST ".nad.json"

/* One reading of the directory. */
typedef struct Reading {
        Manager *manager;
        int dirfd;
        Map *seen; /* network -> its file; names are of the list of files */
        Error first;
        int failed;
} Reading;

static bool has_suffix(const char *file, const char *suffix) {
        size_t n = strlen(file), s = strlen(suffix);
        return file[0] != '.' && n > s && streq(file + n - s, suffix);
}

/* --- one network --------------------------------------------------------------------------------- */

/* Two descriptions of one network: the first in the order of files has it. */
static int claim(Reading *g, const char *name, const char *file, Error *e) {
        const char *other = map_get_str(g->seen, name);

        if (other)
                return error_setf(e, ERROR_EXISTS,
                                  "network %s is described by networks.d/%s already; keep one of "
                                  "them",
                                  name, other);
        return map_put_str(g->seen, name, (void *) file) == -ENOMEM ? error_oom(e) : 0;
}

static int note_file(Network *n, const char *file, Error *e) {
        char *copy = streq_ptr(n->file, file) ? NULL : strdup(file);

        if (streq_ptr(n->file, file))
                return 0;
        if (!copy)
                return error_oom(e);
        free(n->file);
        n->file = copy;
        return 0;
}

static int take(Reading *g, const char *file, const char *text, NetDescription *d, Error *e) {
        Network *n = network_find(g->manager, d->name);

        if (n && n->source == NETWORK_FILE && !n->gone && streq(n->config, text))
                return note_file(n, file, e);
        int r = network_set_described(g->manager, NETWORK_FILE, text, d, &n, e);
        if (r >= 0)
                r = note_file(n, file, e);
        if (r < 0)
                return r;
        if (!n->stored)
                (void) network_store(n, NULL, NULL);
        log_ctx(LOG_INFO, &(LogContext) { .network = n->name }, "network %s loaded from %s",
                n->name, file);
        return 0;
}

/* --- files --------------------------------------------------------------------------------------- */

static int read_text(const Reading *g, const char *file, char **ret, size_t *ret_size, Error *e) {
        int r = file_read_full(g->dirfd, file, CONFIG_SIZE_MAX, ret, ret_size);

        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r,
                                        "reading it (at most %u bytes)", CONFIG_SIZE_MAX)
                     : 0;
}

static void report(Reading *g, const char *file, Error *e) {
        error_prefixf(e, "networks.d/%s", file);
        log_error("%s", error_message(e));
        g->failed++;
        if (!error_is_set(&g->first))
                (void) error_setf(&g->first, e->kind, "%s", error_message(e));
}

static int load_conflist(Reading *g, const char *file, Error *e) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };
        size_t size, n = strlen(file) - strlen(CONFLIST);
        _cleanup_free_ char *text = NULL;
        char name[NETWORK_NAME_MAX + 1];

        snprintf(name, sizeof(name), "%.*s", (int) MIN_OF(n, (size_t) NETWORK_NAME_MAX), file);
        if (n > NETWORK_NAME_MAX || !cni_id_is_valid(name, NETWORK_NAME_MAX))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "the file's name is no network name: wanted [A-Za-z0-9][A-Za-z0-9_.-]*");
        int r = claim(g, name, file, e);
        if (r >= 0)
                r = read_text(g, file, &text, &size, e);
        if (r >= 0)
                r = net_description_parse_list(text, size, name, &d, e);
        return r < 0 ? r : take(g, file, text, &d, e);
}

static int load_manifest(Reading *g, const char *file, const char *text, size_t size, Error *e) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };

        int r = net_description_parse_manifest(text, size, &d, e);
        if (r >= 0)
                r = claim(g, d.name, file, e);
        return r < 0 ? r : take(g, file, text, &d, e);
}

static int load_items(Reading *g, const char *file, json_object *items) {
        int r = 0;

        for (size_t i = 0; i < json_object_array_length(items); i++) {
                _cleanup_free_ char *text = json_to_text(json_object_array_get_idx(items, i));
                _cleanup_error_ Error error = ERROR_NULL;
                int one = text ? load_manifest(g, file, text, strlen(text), &error)
                               : error_oom(&error);
                if (one < 0) {
                        error_prefixf(&error, "items[%zu]", i);
                        report(g, file, &error);
                        r = one;
                }
        }
        return r;
}

/* Which of its networks a broken file means cannot be known. */
static void keep_all(Reading *g, const char *file) {
        Network *n;

        MAP_FOREACH (n, g->manager->networks)
                if (n->source == NETWORK_FILE && streq_ptr(n->file, file) &&
                    map_put_str(g->seen, n->name, (void *) file) == -ENOMEM)
                        (void) error_oom(&g->first);
}

static void load_manifests(Reading *g, const char *file) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_json_ json_object *top = NULL;
        _cleanup_free_ char *text = NULL;
        json_object *items = NULL;
        size_t size;

        int r = read_text(g, file, &text, &size, &error);
        if (r >= 0)
                r = json_parse(text, size, "manifest", &top, &error);
        if (r >= 0)
                r = nad_manifest_items(top, &items, &error);
        if (r >= 0)
                r = items ? load_items(g, file, items) : load_manifest(g, file, text, size, &error);
        if (error_is_set(&error))
                report(g, file, &error);
        if (r < 0)
                keep_all(g, file);
}

static void load_file(Reading *g, const char *file) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (has_suffix(file, MANIFEST))
                load_manifests(g, file);
        else if (load_conflist(g, file, &error) < 0)
                report(g, file, &error);
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
        return has_suffix(d->d_name, CONFLIST) || has_suffix(d->d_name, MANIFEST);
}

static void load_all(Reading *g, const char *dir, struct dirent **list, int n) {
        for (int i = 0; i < MIN_OF(n, (int) CONFIG_FILES_MAX); i++)
                load_file(g, list[i]->d_name);
        if (n > (int) CONFIG_FILES_MAX && !error_is_set(&g->first))
                (void) error_setf(&g->first, ERROR_INVALID_ARGUMENT,
                                  "%s: %d files, at most %u are read", dir, n, CONFIG_FILES_MAX);
        /* What was not seen for want of memory is not missing. */
        if (g->first.kind != ERROR_NO_MEMORY)
                drop_missing(g->manager, g->seen);
        for (int i = 0; i < n; i++)
                free(list[i]);
        free(list);
}

int network_files_load(Manager *m, Error *e) {
        _cleanup_free_ char *dir = strf("%s/networks.d", m->config_dir);
        _cleanup_(map_freep) Map *seen = map_new();
        _cleanup_close_ int fd = -EBADF;
        struct dirent **list = NULL;

        if (!dir || !seen)
                return error_oom(e);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "opening %s", dir);
        int n = fd < 0 ? 0 : scandirat(fd, ".", &list, filter, alphasort);
        if (n < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "listing %s", dir);

        Reading g = { .manager = m, .dirfd = fd, .seen = seen };
        load_all(&g, dir, list, n);
        _cleanup_error_ Error first = g.first;
        manager_set_health(m, HEALTH_NETWORKS, error_is_set(&first) ? error_message(&first) : NULL);
        if (!error_is_set(&first))
                return 0;
        if (g.failed > 1)
                return error_setf(e, first.kind, "%s (and %d more)", error_message(&first),
                                  g.failed - 1);
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
