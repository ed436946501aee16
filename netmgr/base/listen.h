/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The listening socket of a helper that serves netmgrd and nobody else. Anybody may connect; who he is
 * (SO_PEERCRED) decides.
 */

#include <sys/types.h>

#include "base/macro.h"

typedef struct Listener {
        int fd; /* owned; does not block */
        uid_t peer;
} Listener;

#define LISTENER_NULL ((Listener) { .fd = -EBADF })

/*
 * type: SOCK_SEQPACKET or SOCK_STREAM. The socket comes from a service manager (LISTEN_FDS), else is made at
 * the path, where it takes the place of an earlier one only once it listens. peer: name or number of the one
 * user who may ask. Logs; returns 0 or a negative errno.
 */
int listener_open(Listener *l, const char *path, int type, int backlog, const char *peer);
/* A connection of that user, with the flags of accept4(); negative: there was none, or one that was refused. */
int listener_accept(const Listener *l, int flags);
/* Tells the service manager. */
void listener_ready(void);
void listener_close(Listener *l);
