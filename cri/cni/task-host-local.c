/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The directory of the reference plugin host-local (cri/host-local.h), of our own configuration's network
 * and no other: read, so that netmgrd does not give out what host-local has; and changed as host-local
 * would, under its lock. A crash in the middle leaves what a crash of host-local would leave.
 */

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/task.h"
#include "cri/cni/wait.h"
#include "cri/host-local.h"

/* flock() knows no time limit. */
#define LOCK_STEP_MS 10

typedef struct Directory {
        int fd, lock_fd; /* owned */
        const char *why; /* what failed */
} Directory;

#define DIRECTORY_NULL ((Directory) { .fd = -EBADF, .lock_fd = -EBADF })

static void directory_clear(Directory *d) {
        d->lock_fd = safe_close(d->lock_fd);
        d->fd = safe_close(d->fd);
}

/* Owned; NULL: this configuration has none. */
static char *directory_path(const OwnConfig *c) {
        const char *dir = c->data_dir ? c->data_dir : HOST_LOCAL_DIR_DEFAULT;

        if (!c->ipam_type || !streq(c->ipam_type, "host-local") || !c->name ||
            !cni_id_is_valid(c->name, NETWORK_NAME_MAX) || dir[0] != '/')
                return NULL;
        return strf("%s/%s", dir, c->name);
}

static uint64_t stamp_of(int fd) {
        struct stat st;

        if (fstat(fd, &st) < 0)
                return 0;
        return (uint64_t) st.st_mtim.tv_sec * 1000000000ULL + (uint64_t) st.st_mtim.tv_nsec;
}

uint64_t host_local_stamp(const OwnConfig *c) {
        _cleanup_free_ char *path = directory_path(c);
        _cleanup_close_ int fd = path ? open(path, O_PATH | O_DIRECTORY | O_CLOEXEC) : -EBADF;

        return fd < 0 ? 0 : stamp_of(fd);
}

static int make_directory(const char *path) {
        _cleanup_free_ char *part = strdup(path);

        if (!part)
                return -ENOMEM;
        for (char *p = part + 1; *p; p++)
                if (*p == '/') {
                        *p = '\0';
                        if (mkdir(part, 0755) < 0 && errno != EEXIST)
                                return -errno;
                        *p = '/';
                }
        return mkdir(part, 0755) < 0 && errno != EEXIST ? -errno : 0;
}

static int lock_directory(Directory *d, uint64_t deadline) {
        d->why = "locking";
        d->lock_fd = openat(d->fd, HOST_LOCAL_LOCK, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
                            0600);
        if (d->lock_fd < 0)
                return -errno;
        while (flock(d->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno != EWOULDBLOCK && errno != EINTR)
                        return -errno;
                if (deadline_left(deadline) == 0)
                        return -ETIMEDOUT;
                (void) poll(NULL, 0, LOCK_STEP_MS);
        }
        return 0;
}

static int directory_open(const OwnConfig *c, bool create, uint64_t deadline, Directory *d) {
        _cleanup_free_ char *path = directory_path(c);

        d->why = "opening";
        if (!path)
                return -ENOENT;
        int r = create ? make_directory(path) : 0;
        if (r < 0)
                return r;
        d->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (d->fd < 0)
                return -errno;
        return lock_directory(d, deadline);
}

/* Calls for each file; a positive return of it removes the file. */
typedef int (*FileVisit)(const char *name, const char *content, size_t size, void *userdata);

static int visit_file(Directory *d, const char *name, FileVisit visit, void *userdata) {
        _cleanup_free_ char *content = NULL;
        size_t size = 0;

        int r = file_read_full(d->fd, name, HOST_LOCAL_FILE_MAX, &content, &size);
        if (r == -ENOENT)
                return 0;
        if (r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -EIO)
                return r;
        /* Whatever else is there under an address's name keeps host-local from giving that out. */
        r = visit(name, r < 0 ? "" : content, r < 0 ? 0 : size, userdata);
        if (r > 0 && unlinkat(d->fd, name, 0) < 0 && errno != ENOENT && errno != EISDIR)
                return -errno;
        return r;
}

static int visit_files(Directory *d, FileVisit visit, void *userdata) {
        int copy = openat(d->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = 0;
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *entry;
        InAddr address;

        d->why = "reading";
        if (!dir) {
                r = -errno;
                safe_close(copy);
                return r;
        }
        while (r >= 0 && (entry = readdir(dir)))
                if (in_addr_parse(entry->d_name, &address) >= 0 ||
                    strncmp(entry->d_name, HOST_LOCAL_LAST, strlen(HOST_LOCAL_LAST)) == 0)
                        r = visit_file(d, entry->d_name, visit, userdata);
        closedir(dir);
        return MIN_OF(r, 0);
}

/* ---- tasks ------------------------------------------------------------------------------------ */

static int list_file(const char *name, const char *content, size_t size, void *userdata) {
        return host_local_list_add(userdata, name, content, size);
}

static int read_all(Directory *d, HostLocalList *l) {
        l->before = l->stamp = stamp_of(d->fd);
        return visit_files(d, list_file, l);
}

/* As host-local does it: who creates the file has the address. */
static int write_address(Directory *d, const Environment *env, const TicketAddress *a) {
        _cleanup_free_ char *content = strf("%s\r\n%s", env->container_id, env->ifname);
        _cleanup_free_ char *old = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size = 0;
        char name[IN_ADDR_STR_MAX];

        if (!content)
                return -ENOMEM;
        (void) in_addr_format(&a->address, name);
        fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0 && errno == EEXIST &&
            file_read_full(d->fd, name, HOST_LOCAL_FILE_MAX, &old, &size) >= 0 &&
            streq(old, content))
                return 0; /* ours already */
        if (fd < 0)
                return -errno;
        int r = fd_write_all(fd, content, strlen(content));
        if (r < 0)
                (void) unlinkat(d->fd, name, 0);
        return r;
}

static int write_last(Directory *d, const TicketAddress *a) {
        char name[sizeof(HOST_LOCAL_LAST) + 3 * sizeof(uint32_t)], text[IN_ADDR_STR_MAX];
        _cleanup_close_ int fd = -EBADF;

        snprintf(name, sizeof(name), HOST_LOCAL_LAST "%u", a->set);
        fd = openat(d->fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
        if (fd < 0)
                return -errno;
        (void) in_addr_format(&a->address, text);
        return fd_write_all(fd, text, strlen(text));
}

static int write_all(Directory *d, const Ticket *t, const Environment *env, HostLocalList *l) {
        size_t n = 0;
        int r = 0;

        d->why = "writing";
        l->before = stamp_of(d->fd);
        for (; n < t->n_addresses && r >= 0; n++)
                r = write_address(d, env, &t->addresses[n]);
        for (size_t i = 0; i < t->n_addresses && r >= 0; i++)
                r = write_last(d, &t->addresses[i]);
        if (r < 0)
                for (size_t i = 0; i + 1 < n; i++)
                        (void) unlinkat(d->fd, IN_ADDR_STR(&t->addresses[i].address), 0);
        l->stamp = stamp_of(d->fd);
        return r;
}

static bool is_owner(const TicketOwner *o, const char *id, const char *ifname) {
        /* An old file names no interface; an empty one nobody. */
        return streq(o->container_id, id) && (!ifname[0] || streq(o->ifname, ifname));
}

static int release_file(const char *name, const char *content, size_t size, void *userdata) {
        _cleanup_free_ char *id = NULL, *ifname = NULL;
        const Ticket *t = userdata;

        if (strncmp(name, HOST_LOCAL_LAST, strlen(HOST_LOCAL_LAST)) == 0)
                return 0;
        int r = host_local_read_owner(content, size, &id, &ifname);
        for (size_t i = 0; i < t->n_owners && r >= 0; i++)
                if (is_owner(&t->owners[i], id, ifname))
                        return 1;
        return r;
}

static int release_all(Directory *d, const Ticket *t, HostLocalList *l) {
        l->before = stamp_of(d->fd);
        int r = visit_files(d, release_file, (void *) t);
        l->stamp = stamp_of(d->fd);
        return r;
}

void task_host_local(const Ticket *t, const Environment *env, const OwnConfig *own,
                     TaskResult *ret) {
        _cleanup_(directory_clear) Directory d = DIRECTORY_NULL;
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        _cleanup_free_ char *path = directory_path(own);
        uint64_t deadline = deadline_in(0) + t->timeout_ms * 1000ULL;
        bool write = t->task == TICKET_WRITE_HOST_LOCAL;

        /* It takes them for whom we were called for, and only an ADD takes any. */
        if (write && env->verb != VERB_ADD) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_ACCESS_DENIED),
                           "netmgrd asks for addresses, and this call is no ADD");
                return;
        }
        failpoint_past("plugin-host-local");
        int r = directory_open(own, write, deadline, &d);
        if (r >= 0 && t->task == TICKET_READ_HOST_LOCAL)
                r = read_all(&d, &l);
        else if (r >= 0 && write)
                r = write_all(&d, t, env, &l);
        else if (r >= 0)
                r = release_all(&d, t, &l);
        else if (r == -ENOENT && !write)
                r = 0; /* nobody has anything there */
        failpoint_past("plugin-host-local-done");
        if (r == -E2BIG)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, 0,
                           "%s: more than %u addresses; remove what is no longer used", path,
                           HOST_LOCAL_ENTRIES_MAX);
        else if (r < 0)
                task_failf(ret, TICKET_EXIT_NOT_STARTED,
                           error_cni_code(r == -EEXIST ? ERROR_ADDRESS_IN_USE : ERROR_TRY_AGAIN),
                           "%s %s: %s", d.why, path ? path : "host-local's directory",
                           strerror(-r));
        else if (host_local_list_format(&l, &ret->text) < 0)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, error_cni_code(ERROR_NO_MEMORY),
                           "out of memory");
}
