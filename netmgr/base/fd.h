/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * File descriptors. A descriptor field starts at -EBADF, is O_CLOEXEC from birth and has one owner.
 */

#include <sys/types.h>

#include "base/macro.h"

/* Closes when >= 0, keeps errno, returns -EBADF for `fd = safe_close(fd)`. */
int safe_close(int fd);
static inline void closep(int *fd) {
        safe_close(*fd);
}
#define _cleanup_close_ _cleanup_(closep)

/*
 * Reads until end of file, at most max bytes. *ret is NUL-terminated (size does not count it).
 * Returns 0, -E2BIG when there is more than max, or a negative errno.
 */
int fd_read_full(int fd, size_t max, char **ret, size_t *ret_size);

/* The same for a regular file below dirfd (or AT_FDCWD); symbolic links are followed, FIFOs and
 * devices refused with -EBADFD so that a reader can never hang. */
int file_read_full(int dirfd, const char *path, size_t max, char **ret, size_t *ret_size);

/* Writes all of it or fails; for small values in /proc/sys. */
int fd_write_all(int fd, const void *data, size_t size);
int file_write_string(const char *path, const char *value);

/* 0 when fd is an open network namespace (nsfs and NS_GET_NSTYPE == CLONE_NEWNET), -EINVAL when it
 * is anything else. Fills what identifies it for comparing two *open* descriptors. */
int fd_is_netns(int fd, dev_t *ret_dev, ino_t *ret_ino);

/* Duplicates with O_CLOEXEC. */
/* True when so many descriptors are open that this new one should be given back (FILES_RESERVE). */
bool fd_is_scarce(int fd);
int fd_dup(int fd);
