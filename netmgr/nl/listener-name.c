/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See listener-name.h. */

#include "nl/listener-name.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/parse.h"

#define CGROUP_ROOT "/sys/fs/cgroup"
/* Directories and processes looked at: an error must not become a search of minutes. */
#define LOOKS_MAX        20000U
#define CGROUP_DEPTH_MAX 16U
/* Programs named of one control group. */
#define PROGRAMS_MAX 3U

/* Version 2 only: inodes of other hierarchies mean other groups. */
static int open_cgroups(void) {
        static const char *const roots[] = { CGROUP_ROOT, CGROUP_ROOT "/unified" };

        for (size_t i = 0; i < ELEMENTSOF(roots); i++) {
                _cleanup_close_ int fd = open(roots[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
                struct statfs s;

                if (fd >= 0 && fstatfs(fd, &s) >= 0 && s.f_type == CGROUP2_SUPER_MAGIC)
                        return TAKE_FD(fd);
        }
        return -ENOENT;
}

/* A control group's id is the inode of its directory. */
static bool find_cgroup(int dir, uint64_t id, unsigned depth, unsigned *looks, char *path,
                        size_t size) {
        DIR *d = fdopendir(dir);
        struct dirent *entry;
        bool found = false;

        if (!d) {
                close(dir);
                return false;
        }
        while (!found && (entry = readdir(d)) && ++*looks < LOOKS_MAX) {
                size_t n = strlen(path);

                if (entry->d_type != DT_DIR || entry->d_name[0] == '.')
                        continue;
                if ((size_t) snprintf(path + n, size - n, "/%s", entry->d_name) >= size - n) {
                        path[n] = '\0';
                        continue;
                }
                found = entry->d_ino == id;
                if (!found && depth < CGROUP_DEPTH_MAX) {
                        int sub = openat(dirfd(d), entry->d_name,
                                         O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                        found = sub >= 0 && find_cgroup(sub, id, depth + 1, looks, path, size);
                }
                if (!found)
                        path[n] = '\0';
        }
        closedir(d);
        return found;
}

/* Any user may call his program or control group what he likes: it has to fit into a D-Bus string and
 * may end on a terminal. A name cut by the kernel may end amid a character as well. */
static void make_clean(char *s) {
        if (text_is_clean(s, strlen(s)))
                return;
        for (; *s; s++)
                if (*s < 0x20 || *s > 0x7e) /* char may be signed or not */
                        *s = '?';
}

static bool read_line(int proc, const char *pid, const char *file, char *ret, size_t size) {
        char name[64];

        snprintf(name, sizeof(name), "%.20s/%s", pid, file);
        _cleanup_close_ int fd = openat(proc, name, O_RDONLY | O_CLOEXEC);
        ssize_t n = fd < 0 ? -1 : read(fd, ret, size - 1);
        if (n <= 0)
                return false;
        ret[n] = '\0';
        ret[strcspn(ret, "\n")] = '\0';
        return true;
}

/* Only where we may look into the process: one of our own user. */
static bool has_socket(int proc, const char *pid, uint64_t inode) {
        char name[300], target[64], wanted[64];
        struct dirent *entry;
        bool found = false;

        snprintf(name, sizeof(name), "%.20s/fd", pid);
        int fd = openat(proc, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *d = fd < 0 ? NULL : fdopendir(fd);
        if (!d) {
                safe_close(fd);
                return false;
        }
        snprintf(wanted, sizeof(wanted), "socket:[%" PRIu64 "]", inode);
        while (!found && (entry = readdir(d))) {
                ssize_t n = readlinkat(dirfd(d), entry->d_name, target, sizeof(target) - 1);
                if (n > 0) {
                        target[n] = '\0';
                        found = streq(target, wanted);
                }
        }
        closedir(d);
        return found;
}

typedef struct Programs {
        char names[PROGRAMS_MAX][17];
        size_t n;
        bool more;
} Programs;

static void add_program(Programs *p, const char *name) {
        for (size_t i = 0; i < p->n; i++)
                if (streq(p->names[i], name))
                        return;
        if (p->n == PROGRAMS_MAX)
                p->more = true;
        else
                snprintf(p->names[p->n++], sizeof(p->names[0]), "%s", name);
}

/* Who holds the socket, if it can be seen; else all programs of the socket's control group. */
static void find_programs(uint64_t inode, const char *cgroup, Programs *ret) {
        DIR *proc = opendir("/proc");
        struct dirent *entry;
        unsigned looks = 0;
        Programs members = { 0 };

        while (proc && (entry = readdir(proc)) && ++looks < LOOKS_MAX) {
                char comm[17], line[PATH_MAX];

                if (!isdigit((unsigned char) entry->d_name[0]) ||
                    !read_line(dirfd(proc), entry->d_name, "comm", comm, sizeof(comm)))
                        continue;
                if (has_socket(dirfd(proc), entry->d_name, inode)) {
                        *ret = (Programs) { 0 };
                        add_program(ret, comm);
                        closedir(proc);
                        return;
                }
                /* "0::/system.slice/nginx.service" */
                if (cgroup[0] &&
                    read_line(dirfd(proc), entry->d_name, "cgroup", line, sizeof(line)) &&
                    strncmp(line, "0::", 3) == 0 && streq(line + 3, cgroup))
                        add_program(&members, comm);
        }
        if (proc)
                closedir(proc);
        *ret = members;
}

void listener_name(uint32_t uid, uint64_t inode, uint64_t cgroup, char *ret, size_t size) {
        char path[PATH_MAX] = "", names[64] = "", user[64];
        Programs programs = { 0 };
        unsigned looks = 0;
        size_t n = 0;

        if (cgroup != 0) {
                int fd = open_cgroups();
                if (fd < 0 || !find_cgroup(fd, cgroup, 0, &looks, path, sizeof(path)))
                        path[0] = '\0';
        }
        find_programs(inode, path, &programs);
        for (size_t i = 0; i < programs.n && !programs.more; i++)
                n += (size_t) snprintf(names + n, sizeof(names) - n, "%s%s", i ? ", " : "",
                                       programs.names[i]);
        struct passwd entry, *pw = NULL;
        char buffer[1024];
        (void) getpwuid_r(uid, &entry, buffer, sizeof(buffer), &pw);
        snprintf(user, sizeof(user), "%s%.32s%suid %u", pw ? "user " : "", pw ? pw->pw_name : "",
                 pw ? ", " : "", uid);
        const char *unit = strrchr(path, '/');
        if (!names[0] && !unit && pw)
                snprintf(ret, size, "a program of user %.32s (uid %u)", pw->pw_name, uid);
        else
                snprintf(ret, size, "%s (%.64s%s%s)", names[0] ? names : "a program",
                         unit ? unit + 1 : "", unit ? ", " : "", user);
        make_clean(ret);
}
