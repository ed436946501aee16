/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * DEL without netmgrd: the request is put into the spool, durably, and is then as good as done. When
 * that is not possible, the runtime is told to come again (code 11) and why.
 */

#include "cri/cni/environment.h"
#include "cri/spool-entry.h"

/* When the plugin was called; what netmgrd compares with the time an attachment was made. */
typedef struct SpoolTime {
        uint64_t realtime_usec, boottime_usec;
} SpoolTime;

SpoolTime spool_time_now(void);

/*
 * f holds why netmgrd did not do it. Returns 0 with *f cleared once the entry is on the disk, or -1
 * with *f telling both.
 */
int spool_request(const Environment *env, const char *program, const char *config, SpoolTime called,
                  Failure *f);

/* The two halves below it, for tests. The directory must be ours (effective uid), open to its group
 * and closed to others. */
int spool_directory_open(const char *path, int *ret_fd, Error *e);
/* Writes the entry and takes out those that it covers. Returns 0 when it is durable. */
int spool_write(int dirfd, const SpoolEntry *entry, Error *e);
