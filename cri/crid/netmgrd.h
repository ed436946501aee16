/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The way to netmgrd: its private socket, or, where that cannot be opened by us (it is root's) or is
 * not there, the system bus. A connection stays after its first Synchronize: netmgrd asks over it for
 * the next one (SynchronizeWanted), and its end tells that netmgrd is gone.
 */

#include <systemd/sd-event.h>

#include "base/error.h"
#include "cri/crid/messages.h"

typedef struct Netmgrd Netmgrd;

typedef struct NetmgrdParams {
        sd_event *event;                /* borrowed */
        const char *runtime_dir;        /* borrowed; runtime.sock is in it */
        bool system_bus;                /* the system bus is that netmgrd's, too */
        void (*wanted)(void *userdata); /* netmgrd wants a new list, or has come back */
        void (*lost)(void *userdata);   /* the connection ended */
        void *userdata;
} NetmgrdParams;

Netmgrd *netmgrd_new(const NetmgrdParams *params); /* NULL when out of memory */
Netmgrd *netmgrd_free(Netmgrd *n);
DEFINE_CLEANUP(Netmgrd *, netmgrd_free)

/* r < 0: e is filled. released, failed: numbers of sandboxes. */
typedef void (*NetmgrdDone)(int r, const Error *e, size_t released, size_t failed, void *userdata);

/* One at a time. An error at once means that `done` does not come. */
int netmgrd_synchronize(Netmgrd *n, const char *runtime, uint64_t began_usec,
                        const CriSandboxes *list, NetmgrdDone done, Error *e);
/* Without a runtime to ask we are no one whom netmgrd should ask. */
void netmgrd_disconnect(Netmgrd *n);
