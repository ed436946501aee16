/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The D-Bus face: org.netmgr1 on the system bus, and org.netmgr1.Runtime on a private socket, peer
 * to peer. It holds no state of its own: every object is looked up in the Manager for every call.
 *
 * Reading is open to every local user. Runtime methods are for uid 0 and [Runtime] AllowUsers=; the
 * other changing methods pass for uid 0 and ask polkit otherwise.
 */

#include <systemd/sd-bus.h>

#include "core/manager.h"

typedef struct Bus Bus;

typedef struct BusParams {
        const char *address;     /* bus address, NULL: system bus, "none": no bus */
        const char *runtime_dir; /* the private socket is runtime.sock in it */
        int listen_fd;           /* a listening socket from the service manager, or -EBADF; taken */
} BusParams;

int bus_new(Manager *m, const BusParams *params, Bus **ret, Error *e);
Bus *bus_free(Bus *b);
DEFINE_CLEANUP(Bus *, bus_free)
