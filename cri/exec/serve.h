/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One connection of netmgr-exec: a ticket comes, its plugin is run, an answer goes. */

#include "base/error.h"
#include "cri/ticket.h"

/* In a process of its own; blocks until it is done. fd: the connection, which does not block; path: directories
 * of plugins, "DIR:DIR". */
void serve(int fd, const char *path);

/* Whether the ticket is one for netmgr-exec, and whole. ERROR_ACCESS_DENIED, ERROR_INVALID_ARGUMENT. */
int serve_check(const Ticket *t, Error *e);
