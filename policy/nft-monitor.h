/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Hears of every nftables transaction of other programs: once per transaction, with who it was. Our
 * own are filtered out by the kernel. Belongs to the event loop; nothing survives a crash.
 */

#include <systemd/sd-event.h>

#include "base/error.h"

typedef struct NftMonitor NftMonitor;

typedef struct NftMonitorCallbacks {
        /* ours: a table of netmgr was touched. program may be "". */
        void (*changed)(uint32_t pid, const char *program, bool ours, void *userdata);
        /* Notifications were lost: anything may have changed. */
        void (*lost)(void *userdata);
} NftMonitorCallbacks;

/* own_port: netlink port of the socket whose transactions are our own. */
int nft_monitor_new(sd_event *event, uint32_t own_port, const NftMonitorCallbacks *callbacks,
                    void *userdata, NftMonitor **ret);
NftMonitor *nft_monitor_free(NftMonitor *m); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NftMonitor *, nft_monitor_free)
