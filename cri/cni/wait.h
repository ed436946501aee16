/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The plugin's patience: deadlines, and waiting for netmgrd's socket to appear. */

#include "cri/cni/failure.h"

/* CLOCK_MONOTONIC, microseconds. */
uint64_t deadline_in(uint32_t seconds);
/* What is left; 0: it is over. */
uint64_t deadline_left(uint64_t deadline);

/* A number of seconds out of the environment, or the fallback. */
int seconds_from_environment(const char *name, uint32_t fallback, uint32_t *ret, Failure *f);

typedef struct SocketWait {
        int inotify_fd; /* owned; -EBADF before the first wait */
        int directory;  /* watches; -1: none yet */
        int parent;
        uint64_t deadline;
} SocketWait;

#define SOCKET_WAIT_NULL ((SocketWait) { .inotify_fd = -EBADF, .directory = -1, .parent = -1 })
void socket_wait_clear(SocketWait *w);

/*
 * Waits until it is worth to connect again: something happened where the socket ought to be, or was
 * not looked at since the watch began. path: of the socket. Returns 1, or 0 when the time is over.
 */
int socket_wait(SocketWait *w, const char *path);
