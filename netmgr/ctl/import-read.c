/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See import-read.h. */

#include "ctl/import-read.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/inaddr.h"
#include "base/limits.h"
#include "base/parse.h"

#define HOST_LOCAL_LAST "last_reserved_ip."

/* ---- files ------------------------------------------------------------------------------------ */

int import_skip(json_object *skipped, const char *key, const char *what, const char *reason) {
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *name = strdup(what);

        if (!name)
                return -ENOMEM;
        text_make_utf8(name);
        if (!o || json_add_string(o, key, name) < 0 || json_add_string(o, "reason", reason) < 0)
                return -ENOMEM;
        return json_append(skipped, TAKE_PTR(o));
}

static uint64_t usec_of(const struct timespec *t) {
        return (uint64_t) t->tv_sec * 1000000U + (uint64_t) t->tv_nsec / 1000U;
}

/* 0, or why it cannot be read, as a negative errno. */
static int read_regular(int dirfd, const char *name, size_t max, char **ret, size_t *ret_size,
                        struct stat *st) {
        _cleanup_close_ int fd = openat(dirfd, name,
                                        O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

        if (fd < 0 || fstat(fd, st) < 0)
                return -errno;
        return S_ISREG(st->st_mode) ? fd_read_full(fd, max, ret, ret_size) : -EBADFD;
}

static const char *reason_of(int r) {
        switch (r) {
        case -E2BIG:
                return "it is too large";
        case -EBADFD:
                return "it is no regular file";
        case -ELOOP:
                return "it is a symbolic link";
        case -EILSEQ:
                return "it is no text in UTF-8";
        default:
                return strerror(-r);
        }
}

static int visit_file(int dirfd, const char *name, const char *path, size_t max,
                      json_object *skipped, ImportVisit visit, void *userdata) {
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t size;

        int r = read_regular(dirfd, name, max, &text, &size, &st);
        if (r >= 0) {
                _cleanup_free_ char *clean = strdup(text);

                if (!clean)
                        return -ENOMEM;
                text_make_utf8(clean);
                if (strlen(text) != size || !streq(clean, text))
                        r = -EILSEQ;
        }
        if (r == -ENOMEM || r == -ENOENT) /* somebody was quicker */
                return r == -ENOENT ? 0 : r;
        if (r < 0)
                return import_skip(skipped, "file", path, reason_of(r));
        return visit(&(ImportFile) { .name = name,
                                     .path = path,
                                     .text = text,
                                     .size = size,
                                     .written_usec = usec_of(&st.st_mtim) },
                     userdata);
}

static int fail(sd_bus_error *e, int r, const char *path) {
        if (sd_bus_error_is_set(e))
                return r;
        if (r == -ENOMEM)
                return sd_bus_error_set_errno(e, r);
        (void) sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT), "cannot read %s: %s",
                                 path, strerror(-r));
        return r;
}

int import_read_file(const char *path, size_t max, json_object *skipped, ImportVisit visit,
                     void *userdata, sd_bus_error *e) {
        int r = visit_file(AT_FDCWD, path, path, max, skipped, visit, userdata);

        return r < 0 ? fail(e, r, path) : 0;
}

static int is_name(const struct dirent *d) {
        return d->d_name[0] != '.';
}

/* Directories are not files that could not be read. */
static bool is_directory(int dirfd, const struct dirent *d) {
        struct stat st;

        return d->d_type == DT_DIR ||
               (d->d_type == DT_UNKNOWN &&
                fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) >= 0 && S_ISDIR(st.st_mode));
}

int import_read_dir(const char *path, size_t max, json_object *skipped, ImportVisit visit,
                    void *userdata, sd_bus_error *e) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        struct dirent **list = NULL;

        if (fd < 0)
                return errno == ENOENT ? -ENOENT : fail(e, -errno, path);
        int n = scandirat(fd, ".", &list, is_name, alphasort), r = 0;
        if (n < 0)
                return fail(e, -errno, path);
        if (n > (int) IMPORT_FILES_MAX)
                r = sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                      "%s has %d files, at most %u are read", path, n,
                                      IMPORT_FILES_MAX);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = strf("%s/%s", path, list[i]->d_name);

                if (r >= 0 && !file)
                        r = -ENOMEM;
                if (r >= 0 && !is_directory(fd, list[i]))
                        r = visit_file(fd, list[i]->d_name, file, max, skipped, visit, userdata);
                free(list[i]);
        }
        free(list);
        return r < 0 ? fail(e, r == -ENOENT ? -EIO : r, path) : 0;
}

/* ---- Multus and libcni -------------------------------------------------------------------------- */

typedef struct Pods {
        json_object *pods; /* container ID -> request */
        json_object *skipped;
} Pods;

/* The request of the sandbox; made when there is none. Borrowed; NULL: out of memory. */
static json_object *pod_of(Pods *p, const char *id) {
        json_object *pod = json_object_object_get(p->pods, id);

        if (pod)
                return pod;
        pod = json_object_new_object();
        if (!pod || json_add_string(pod, "container", id) < 0 ||
            json_add(pod, "results", json_object_new_array()) < 0) {
                json_object_put(pod);
                return NULL;
        }
        return json_add(p->pods, id, pod) < 0 ? NULL : pod;
}

static json_object *file_of(const ImportFile *file) {
        json_object *o = json_object_new_object();

        if (o && json_add_string(o, "file", file->path) >= 0 &&
            json_add_string(o, "text", file->text) >= 0 &&
            json_add(o, "written", json_object_new_int64((int64_t) file->written_usec)) >= 0)
                return o;
        json_object_put(o);
        return NULL;
}

static int visit_result(const ImportFile *file, void *userdata) {
        _cleanup_json_ json_object *o = NULL;
        _cleanup_error_ Error error = ERROR_NULL;
        Pods *p = userdata;

        int r = json_parse(file->text, file->size, "the file", &o, &error);
        if (r < 0)
                return import_skip(p->skipped, "file", file->path, error_message(&error));
        json_object *id = json_get(o, "containerId");
        if (!json_object_is_type(id, json_type_string) ||
            !cni_id_is_valid(json_object_get_string(id), CONTAINER_ID_MAX))
                return import_skip(p->skipped, "file", file->path,
                                   "it names no container: no entry of libcni 0.8 or newer");
        json_object *pod = pod_of(p, json_object_get_string(id));
        return pod ? json_append(json_object_object_get(pod, "results"), file_of(file)) : -ENOMEM;
}

static int visit_delegates(const ImportFile *file, void *userdata) {
        Pods *p = userdata;

        if (!cni_id_is_valid(file->name, CONTAINER_ID_MAX))
                return import_skip(p->skipped, "file", file->path,
                                   "its name is no id of a container");
        json_object *pod = pod_of(p, file->name);
        return pod ? json_add(pod, "delegates", file_of(file)) : -ENOMEM;
}

static int take_pods(Pods *p, json_object **ret) {
        _cleanup_json_ json_object *list = json_object_new_array();

        if (!list)
                return -ENOMEM;
        json_object_object_foreach(p->pods, id, pod) {
                (void) id;
                if (json_append(list, json_object_get(pod)) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(list);
        return 0;
}

int import_read_multus(const char *dir, const char *const *results, json_object *skipped,
                       json_object **ret, sd_bus_error *e) {
        _cleanup_json_ json_object *pods = json_object_new_object();
        Pods p = { .pods = pods, .skipped = skipped };
        bool found = false;
        int r = pods ? 0 : sd_bus_error_set_errno(e, -ENOMEM);

        for (; *results && r >= 0; results++) {
                r = import_read_dir(*results, IMPORT_FILE_MAX, skipped, visit_result, &p, e);
                found |= r >= 0;
                r = r == -ENOENT ? 0 : r;
        }
        if (r >= 0) {
                r = import_read_dir(dir, IMPORT_FILE_MAX, skipped, visit_delegates, &p, e);
                found |= r >= 0;
                r = r == -ENOENT ? 0 : r;
        }
        if (r < 0)
                return r;
        if (!found)
                return sd_bus_error_setf(
                                e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                "neither %s nor a directory with libcni's results is there; "
                                "--dir= and --results-dir= name others",
                                dir);
        return take_pods(&p, ret) < 0 ? sd_bus_error_set_errno(e, -ENOMEM) : 0;
}

/* ---- host-local --------------------------------------------------------------------------------- */

static int visit_address(const ImportFile *file, void *userdata) {
        _cleanup_json_ json_object *o = json_object_new_object();
        InAddr address;

        if (in_addr_parse(file->name, &address) < 0 &&
            strncmp(file->name, HOST_LOCAL_LAST, strlen(HOST_LOCAL_LAST)) != 0)
                return 0;
        if (!o || json_add_string(o, "name", file->name) < 0 ||
            json_add_string(o, "text", file->text) < 0)
                return -ENOMEM;
        return json_append(userdata, TAKE_PTR(o));
}

/* The stamp is that of before: who comes meanwhile makes another one. */
static int read_network(const char *path, const char *name, const struct stat *st,
                        json_object *skipped, json_object *requests, sd_bus_error *e) {
        const uint64_t stamp = (uint64_t) st->st_mtim.tv_sec * 1000000000U +
                               (uint64_t) st->st_mtim.tv_nsec;
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *files = json_object_new_array();

        int r = o && json_add_string(o, "network", name) >= 0 &&
                                                json_add(o, "stamp",
                                                         json_object_new_int64((int64_t) stamp)) >=
                                                                0
                                ? json_add(o, "files", files)
                                : -ENOMEM;
        if (r >= 0)
                r = import_read_dir(path, HOST_LOCAL_FILE_MAX, skipped, visit_address, files, e);
        if (r >= 0)
                r = json_append(requests, TAKE_PTR(o));
        return r == -ENOMEM ? sd_bus_error_set_errno(e, r) : r == -ENOENT ? 0 : r;
}

int import_read_host_local(const char *dir, json_object *skipped, json_object **ret,
                           sd_bus_error *e) {
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        _cleanup_json_ json_object *requests = json_object_new_array();
        struct dirent **list = NULL;
        struct stat st;

        if (fd < 0)
                return fail(e, -errno, dir);
        int n = scandirat(fd, ".", &list, is_name, alphasort), r = requests ? 0 : -ENOMEM;
        if (n < 0)
                return fail(e, -errno, dir);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *path = strf("%s/%s", dir, list[i]->d_name);

                if (!path)
                        r = -ENOMEM;
                if (r >= 0 && fstatat(fd, list[i]->d_name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
                    S_ISDIR(st.st_mode))
                        r = cni_id_is_valid(list[i]->d_name, NETWORK_NAME_MAX - 1)
                                            ? read_network(path, list[i]->d_name, &st, skipped,
                                                           requests, e)
                                            : import_skip(skipped, "file", path,
                                                          "its name is none of a network");
                free(list[i]);
        }
        free(list);
        if (r < 0)
                return fail(e, r, dir);
        *ret = TAKE_PTR(requests);
        return 0;
}
