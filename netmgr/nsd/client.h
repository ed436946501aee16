/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A blocking client of netmgr-nsd for one worker thread. Connects on first use and again after
 * netmgr-nsd went away; every call ends within NSD_TIMEOUT_MS (-ETIMEDOUT). The peer must be root
 * (SO_PEERCRED), else -EPERM: a stranger's socket would be handed our namespaces.
 */

#include "nsd/protocol.h"

typedef struct NsdClient {
        const char *path; /* borrowed */
        int fd;           /* -EBADF: not connected */
} NsdClient;

#define NSD_CLIENT_INIT(p) ((NsdClient) { .path = (p), .fd = -EBADF })

void nsd_client_close(NsdClient *c);
/* Asks for one socket or sysctl file in the netns; *ret_fd is the caller's. */
int nsd_client_open(NsdClient *c, int netns_fd, NsdOp op, const char *name, int *ret_fd);
/* Convenience: opens the sysctl and writes the value. */
int nsd_client_write_sysctl(NsdClient *c, int netns_fd, const char *name, const char *value);
/* Makes a TAP interface that lasts, down. -EEXIST when the name is taken, -ENODEV when this kernel has no
 * tun, -EOPNOTSUPP for a context where there is no SELinux. */
int nsd_client_make_tap(NsdClient *c, int netns_fd, const NsdTap *tap);
/* SO_NETNS_COOKIE of a socket. */
int socket_netns_cookie(int fd, uint64_t *ret);
