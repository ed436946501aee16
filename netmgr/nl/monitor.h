/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is taken away in the host's netns, on the event loop: links, addresses, static routes, neighbour
 * entries, and links that are set down or leave their bridge. A socket filter keeps out what appears (an
 * ADD makes four RTM_NEWLINK that nobody needs), so that 4,000 ADDs cost nothing here. After an overrun
 * (ENOBUFS) `lost` is called: the owner must look for itself.
 */

#include <systemd/sd-event.h>

#include "nl/nl.h"

typedef struct NlMonitor NlMonitor;

typedef struct NlMonitorCallbacks {
        void (*link_deleted)(uint32_t ifindex, const char *name, void *userdata);
        /* A neighbour entry, ours or one that the kernel had found out and forgets again. */
        void (*neigh_deleted)(uint32_t ifindex, void *userdata);
        /* An address or a route of the link is gone, or it is down, or no port any more. */
        void (*link_stripped)(uint32_t ifindex, void *userdata);
        void (*lost)(void *userdata);
} NlMonitorCallbacks;

int nl_monitor_new(sd_event *event, const NlMonitorCallbacks *callbacks, void *userdata,
                   NlMonitor **ret);
NlMonitor *nl_monitor_free(NlMonitor *m);
DEFINE_CLEANUP(NlMonitor *, nl_monitor_free)
