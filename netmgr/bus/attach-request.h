/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arguments of Manager.Attach and Manager.Detach, read and checked before anybody is asked for leave. */

#include <systemd/sd-bus.h>

#include "cri/annotations/selection.h"

/* ssa{sv}: *ret_sandbox is borrowed of the message, *ret and *ret_netns_fd (-EBADF: none) are the caller's.
 * The network is "NAME" or "NAMESPACE/NAME", which says nothing of whether there is one. All untouched on failure. */
int attach_request_read(sd_bus_message *m, const char **ret_sandbox, NetSelection *ret,
                        int *ret_netns_fd, Error *e);
/* The same of ssa{sv} with an interface instead of a network. */
int detach_request_read(sd_bus_message *m, const char **ret_sandbox, const char **ret_ifname,
                        int *ret_netns_fd, Error *e);
