/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reading, writing, closing, recognising descriptors. */

#include "base/fd.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/limits.h"

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

int safe_close(int fd) {
        if (fd >= 0) {
                int saved = errno;
                close(fd);
                errno = saved;
        }
        return -EBADF;
}

int fd_read_full(int fd, size_t max, char **ret, size_t *ret_size) {
        _cleanup_free_ char *buf = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                if (allocated - size < 2) {
                        size_t want = allocated ? allocated * 2 : 4096;
                        if (want > max + 2)
                                want = max +
                                       2; /* one more byte tells "too much", one ends the string */
                        char *more = realloc(buf, want);
                        if (!more)
                                return -ENOMEM;
                        buf = more;
                        allocated = want;
                }
                ssize_t n = read(fd, buf + size, allocated - size - 1);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
                if (size > max)
                        return -E2BIG;
        }
        buf[size] = '\0';
        *ret = TAKE_PTR(buf);
        if (ret_size)
                *ret_size = size;
        return 0;
}

int file_read_full(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        struct stat st;

        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return S_ISDIR(st.st_mode) ? -EISDIR : -EBADFD;
        return fd_read_full(fd, max, ret, ret_size);
}

int fd_write_all(int fd, const void *data, size_t size) {
        const char *p = data;

        while (size > 0) {
                ssize_t n = write(fd, p, size);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                p += n;
                size -= (size_t) n;
        }
        return 0;
}

int file_write_string(const char *path, const char *value) {
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return -errno;
        return fd_write_all(fd, value, strlen(value));
}

int fd_is_netns(int fd, dev_t *ret_dev, ino_t *ret_ino) {
        struct statfs fs;
        struct stat st;

        if (fstatfs(fd, &fs) < 0 || fstat(fd, &st) < 0)
                return -errno;
        if ((unsigned long) fs.f_type != NSFS_MAGIC || ioctl(fd, NS_GET_NSTYPE) != CLONE_NEWNET)
                return -EINVAL;
        if (ret_dev)
                *ret_dev = st.st_dev;
        if (ret_ino)
                *ret_ino = st.st_ino;
        return 0;
}

int fd_dup(int fd) {
        int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return copy < 0 ? -errno : copy;
}

bool fd_is_scarce(int fd) {
        struct rlimit limit;

        /* The kernel gives out the lowest number that is free. */
        return getrlimit(RLIMIT_NOFILE, &limit) >= 0 && limit.rlim_cur != RLIM_INFINITY &&
               (rlim_t) fd + FILES_RESERVE >= limit.rlim_cur;
}
