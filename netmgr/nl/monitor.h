/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Link notifications of the host's netns on the event loop. A socket filter lets only RTM_DELLINK
 * pass (an ADD makes four RTM_NEWLINK that nobody needs), so that 4,000 ADDs cost nothing here.
 * After an overrun (ENOBUFS) `lost` is called: the owner must look for itself.
 */

#include <systemd/sd-event.h>

#include "nl/nl.h"

typedef struct NlMonitor NlMonitor;

typedef struct NlMonitorCallbacks {
        void (*link_deleted)(uint32_t ifindex, const char *name, void *userdata);
        void (*lost)(void *userdata);
} NlMonitorCallbacks;

int nl_monitor_new(sd_event *event, const NlMonitorCallbacks *callbacks, void *userdata,
                   NlMonitor **ret);
NlMonitor *nl_monitor_free(NlMonitor *m);
DEFINE_CLEANUP(NlMonitor *, nl_monitor_free)
