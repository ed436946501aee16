/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The writer of the spool; cri/spool-entry.h has the format.
 *
 * An entry gets its name only when its bytes are on the disk: a nameless file (O_TMPFILE), written and
 * synced, then linked, then the directory synced. A crash before the link leaves nothing, one after it
 * a whole entry. Where the file system has no nameless files, a temporary name stands in; it is locked
 * while its writer lives, so that netmgrd can tell what a crash has left from what is being written.
 *
 * A runtime that keeps calling DEL does not fill the spool: a later entry takes out the earlier ones of
 * its attachment, once it is durable itself.
 */

#include "cri/cni/spool.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

/* Entries with one key that are taken out by one writer. */
#define REPLACE_MAX 16U
/* Names tried when others wrote for the same attachment in the same microsecond. */
#define NAMES_MAX 16U

#define MAKE_DIRECTORY "install -d -o root -g netmgr -m 770 "

/* ---- time ------------------------------------------------------------------------------------ */

static uint64_t now_usec(clockid_t clock) {
        struct timespec ts;

        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

SpoolTime spool_time_now(void) {
        return (SpoolTime) { .realtime_usec = now_usec(CLOCK_REALTIME),
                             .boottime_usec = now_usec(CLOCK_BOOTTIME) };
}

/* ---- directory ------------------------------------------------------------------------------- */

int spool_directory_open(const char *path, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        struct stat st;

        if (fd < 0)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "cannot open the spool %s: %s; " MAKE_DIRECTORY "%s", path,
                                  strerror(errno), path);
        if (fstat(fd, &st) < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, errno, "the spool %s", path);
        if (st.st_uid != geteuid())
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "the spool %s belongs to uid %u, wanted is %u (root); " MAKE_DIRECTORY
                                "%s",
                                path, (unsigned) st.st_uid, (unsigned) geteuid(), path);
        if ((st.st_mode & (S_IRWXG | S_IRWXO)) != S_IRWXG)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "the spool %s has mode %03o, wanted is 770: its group is netmgrd's, "
                                "others must stay out; " MAKE_DIRECTORY "%s",
                                path, (unsigned) st.st_mode & 07777, path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

typedef struct Census {
        size_t files;
        uint64_t bytes;
        char replaced[REPLACE_MAX][SPOOL_NAME_SIZE]; /* entries that ours covers */
        size_t n_replaced;
} Census;

/* True when our entry takes the place of that file. */
static bool is_replaced(int dirfd, const char *name, const SpoolEntry *ours) {
        _cleanup_spool_entry_ SpoolEntry theirs = { 0 };
        uint64_t key;

        return spool_name_is_entry(name, &key) && key == spool_entry_key(ours) &&
               spool_file_read(dirfd, name, &theirs, NULL) >= 0 &&
               spool_entry_covers(ours, &theirs);
}

static int count(int dirfd, const SpoolEntry *entry, Census *c) {
        int copy = openat(dirfd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = copy < 0 ? NULL : fdopendir(copy);
        struct dirent *d;
        struct stat st;

        if (!dir) {
                int r = -errno;
                safe_close(copy);
                return r;
        }
        while ((d = readdir(dir))) {
                if (streq(d->d_name, ".") || streq(d->d_name, "..") ||
                    fstatat(dirfd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                if (c->n_replaced < REPLACE_MAX && is_replaced(dirfd, d->d_name, entry)) {
                        memcpy(c->replaced[c->n_replaced++], d->d_name, SPOOL_NAME_SIZE);
                        continue;
                }
                c->files++;
                c->bytes += (uint64_t) st.st_size;
        }
        closedir(dir);
        return 0;
}

/* ---- file ------------------------------------------------------------------------------------ */

/* netmgrd reads by the directory's group. */
static int fill(int dirfd, int fd, const char *text, size_t size) {
        struct stat st;

        if (fstat(dirfd, &st) < 0 || fchown(fd, (uid_t) -1, st.st_gid) < 0 || fchmod(fd, 0640) < 0)
                return -errno;
        int r = fd_write_all(fd, text, size);
        if (r < 0)
                return r;
        return fsync(fd) < 0 ? -errno : 0;
}

/* from: a path below fromfd; flags of linkat(). */
static int link_entry(int fromfd, const char *from, int dirfd, const SpoolEntry *entry, int flags) {
        char name[SPOOL_NAME_SIZE];

        for (unsigned attempt = 0; attempt < NAMES_MAX; attempt++) {
                spool_entry_name(entry, attempt, name);
                if (linkat(fromfd, from, dirfd, name, flags) >= 0)
                        return 0;
                if (errno != EEXIST)
                        return -errno;
        }
        return -EEXIST;
}

static int write_nameless(int dirfd, const SpoolEntry *entry, const char *text, size_t size) {
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        _cleanup_close_ int fd = openat(dirfd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);

        if (fd < 0)
                return errno == EISDIR || errno == EINVAL ? -EOPNOTSUPP : -errno;
        int r = fill(dirfd, fd, text, size);
        if (r < 0)
                return r;
        snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
        return link_entry(AT_FDCWD, path, dirfd, entry, AT_SYMLINK_FOLLOW);
}

static int write_temporary(int dirfd, const SpoolEntry *entry, const char *text, size_t size) {
        char name[64];
        _cleanup_close_ int fd = -EBADF;

        snprintf(name, sizeof(name), SPOOL_TEMPORARY_PREFIX "%d-%" PRIu64, (int) getpid(),
                 now_usec(CLOCK_BOOTTIME));
        fd = openat(dirfd, name, O_CREAT | O_EXCL | O_NOFOLLOW | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
                return -errno;
        /* Before netmgrd can open it. */
        int r = flock(fd, LOCK_EX | LOCK_NB) < 0 ? -errno : 0;
        if (r >= 0)
                r = fill(dirfd, fd, text, size);
        if (r >= 0)
                r = link_entry(dirfd, name, dirfd, entry, 0);
        (void) unlinkat(dirfd, name, 0);
        return r;
}

static const char *advice(int r) {
        switch (r) {
        case -ENOSPC:
        case -EDQUOT:
                return "make room there, or start netmgrd";
        case -EROFS:
                return "make it writable, or start netmgrd";
        default:
                return "start netmgrd, then call DEL again";
        }
}

int spool_write(int dirfd, const SpoolEntry *entry, Error *e) {
        _cleanup_free_ char *text = NULL;
        Census census = { 0 };
        size_t size;

        int r = spool_entry_format(entry, &text);
        if (r == -E2BIG)
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "the request has more than the %u bytes of an entry; start netmgrd, "
                                "then call DEL again",
                                SPOOL_ENTRY_SIZE_MAX);
        if (r < 0)
                return error_oom(e);
        size = strlen(text);
        r = count(dirfd, entry, &census);
        if (r < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, r, "listing the spool");
        if (census.files >= SPOOL_ENTRIES_MAX || census.bytes + size > SPOOL_BYTES_MAX)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "the spool is full: %zu requests with %" PRIu64
                                  " bytes, at most %u with %u; start netmgrd, which works on them",
                                  census.files, census.bytes, SPOOL_ENTRIES_MAX, SPOOL_BYTES_MAX);

        r = failpoint("spool-write");
        if (r >= 0)
                r = write_nameless(dirfd, entry, text, size);
        if (r == -EOPNOTSUPP)
                r = write_temporary(dirfd, entry, text, size);
        if (r >= 0)
                r = failpoint("spool-written");
        if (r >= 0 && fsync(dirfd) < 0)
                r = -errno;
        if (r < 0)
                return error_setf(e, ERROR_TRY_AGAIN, "writing into the spool: %s; %s",
                                  strerror(-r), advice(r));
        for (size_t i = 0; i < census.n_replaced; i++)
                (void) unlinkat(dirfd, census.replaced[i], 0);
        return 0;
}

/* ---- request --------------------------------------------------------------------------------- */

/* 0: could not be had. Leaves the process where it was, in host_fd's namespace. */
static uint64_t netns_cookie(int fd, int host_fd) {
        _cleanup_close_ int sock = -EBADF;
        uint64_t cookie = 0;
        socklen_t size = sizeof(cookie);

        if (setns(fd, CLONE_NEWNET) < 0)
                return 0;
        sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (sock < 0 || getsockopt(sock, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
                cookie = 0;
        (void) setns(host_fd, CLONE_NEWNET); /* only files are touched from here on */
        return cookie;
}

static SpoolNetns netns_identity(int fd, int host_fd) {
        dev_t dev;
        ino_t ino;

        if (fd < 0 || fd_is_netns(fd, &dev, &ino) < 0)
                return (SpoolNetns) { 0 };
        return (SpoolNetns) { .dev = dev,
                              .ino = ino,
                              .cookie = fd == host_fd ? 0 : netns_cookie(fd, host_fd) };
}

static int read_boot_id(char **ret, Error *e) {
        int r = file_read_full(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 64, ret, NULL);
        if (r < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, r, "reading the boot id");
        (*ret)[strcspn(*ret, "\n")] = '\0';
        return 0;
}

/* The instance that NETMGR_RUNTIME_DIR chooses is not served by the spool of another one. */
static int directory_path(const char **ret, Error *e) {
        const char *dir = getenv("NETMGR_SPOOL_DIR");

        if (isempty(dir) && !isempty(getenv("NETMGR_RUNTIME_DIR")))
                return error_setf(
                                e, ERROR_TRY_AGAIN,
                                "NETMGR_RUNTIME_DIR chooses an instance, whose spool is not known; set "
                                "NETMGR_SPOOL_DIR too");
        if (isempty(dir))
                dir = SPOOL_DIR_DEFAULT;
        if (dir[0] != '/')
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "NETMGR_SPOOL_DIR: \"%.128s\" is not an absolute path", dir);
        *ret = dir;
        return 0;
}

static int spool_now(const Environment *env, const char *program, const char *config,
                     SpoolTime called, Error *e) {
        /* Of a DEL's CNI_NETNS nothing is demanded: what is no clean path is not kept. */
        const char *netns = strempty(getenv("CNI_NETNS"));
        _cleanup_close_ int dirfd = -EBADF, netns_fd = -EBADF;
        _cleanup_free_ char *boot_id = NULL;
        const char *path = NULL;

        int r = directory_path(&path, e);
        if (r >= 0)
                r = spool_directory_open(path, &dirfd, e);
        if (r >= 0)
                r = read_boot_id(&boot_id, e);
        if (r < 0)
                return r;
        if (strlen(netns) >= NETNS_PATH_MAX || !text_is_clean(netns, strlen(netns)))
                netns = "";
        if (netns[0])
                netns_fd = netns_open(netns);

        const SpoolEntry entry = {
                .verb = (char *) verb_to_string(env->verb),
                .time_usec = called.realtime_usec,
                .boottime_usec = called.boottime_usec,
                .boot_id = boot_id,
                .type = (char *) program,
                .container_id = (char *) env->container_id,
                .ifname = (char *) env->ifname,
                .netns_path = (char *) netns,
                .args = (char *) env->args,
                .path = (char *) env->path,
                .config = (char *) config,
                .host_netns = netns_identity(env->host_netns_fd, env->host_netns_fd),
                .netns = netns_identity(netns_fd, env->host_netns_fd),
        };
        r = spool_write(dirfd, &entry, e);
        error_prefixf(e, "%s", path);
        return r;
}

int spool_request(const Environment *env, const char *program, const char *config, SpoolTime called,
                  Failure *f) {
        _cleanup_free_ char *why = TAKE_PTR(f->msg);
        _cleanup_error_ Error e = ERROR_NULL;

        failure_clear(f);
        if (spool_now(env, program, config, called, &e) >= 0)
                return 0;
        return failure_setf(f, error_cni_code(ERROR_TRY_AGAIN),
                            "%s; DEL cannot be spooled either: %s",
                            why ? why : "netmgrd does not answer", error_message(&e));
}
