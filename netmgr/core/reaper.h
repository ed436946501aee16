/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Deletes links. A deletion holds RTNL for 0.7 ms but returns only after the kernel's RCU wait of
 * 30 to 60 ms, so it is the business of a few threads that each take all that waits in one message
 * (links are put into a group, the group is deleted). Who waits for the link to be gone listens to
 * the monitor's RTM_DELLINK, which comes after a millisecond; `deliver` is the slow certainty
 * behind it (and the only answer for a link that was gone already).
 */

#include "core/threads.h"
#include "nl/nl.h"

typedef struct Reap {
        Task task; /* r: 0 gone (ENODEV is 0), else the kernel's error */
        char name[16];
        char ifb[16];     /* goes with it; "": none */
        uint32_t ifindex; /* with mac: finds it when somebody has renamed it; 0: by its name only */
        MacAddr mac;
} Reap;

typedef struct Reaper Reaper;

int reaper_new(Mailbox *mailbox, Kernel *kernel, Reaper **ret);
/* Waits for the deletions under way; those still queued, and those that come after, are cancelled. */
void reaper_stop(Reaper *r); /* accepts NULL */
Reaper *reaper_free(Reaper *r);
DEFINE_CLEANUP(Reaper *, reaper_free)

void reaper_submit(Reaper *r, Reap *reap);

/* Groups that reapers use: whatever is in them at start was on its way out when we died. */
#define REAP_GROUP_BASE 0x6e6d7200U /* "nmr", then the reaper's number */
