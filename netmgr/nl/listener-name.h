/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A socket's owner in words. The kernel tells user, inode and control group of a socket; the rest is
 * read from /proc and /sys/fs/cgroup, as far as an unprivileged daemon may. Only for an error's
 * sentence: best effort, bounded.
 */

#include "base/macro.h"

/* cgroup 0: unknown. */
void listener_name(uint32_t uid, uint64_t inode, uint64_t cgroup, char *ret, size_t size);
