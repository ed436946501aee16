/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the audit trail says of an attachment: copies, since the last row is often written when the
 * attachment itself is gone already. Taken on the event loop, read by the committer.
 */

#include "core/attachment.h"
#include "store/store.h"

typedef struct Trail {
        uint64_t id, since_usec;
        char *network, *sandbox, *ifname, *host_ifname; /* owned, all of them */
        char *pod_namespace, *pod_name, *pod_uid;
        char *addresses, *ports;
        char *choice; /* why this network of a group; NULL: it was named */
} Trail;

/* In place of what was in it. Where memory is short a text is missing (NULL): the row is written all
 * the same. */
void trail_take(Trail *t, const Attachment *a);
void trail_clear(Trail *t);

/* Events that borrow the trail's texts: it holds them; it no longer holds anything, and why. op and
 * reason as in attachment_release(). */
EventRow trail_event(const Trail *t, const char *op, uint64_t usec);
EventRow trail_add(const Trail *t, uint64_t usec);
EventRow trail_end(const Trail *t, const char *op, const char *reason, uint64_t usec);
