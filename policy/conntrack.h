/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Connection tracking entries that have outlived their reason: a UDP flow would follow the mapping of
 * its first packet for as long as it lasts, and an address that is given out again would inherit the
 * flows of the one before. Used by one thread at a time, off the event loop.
 */

#include "base/error.h"
#include "base/inaddr.h"

typedef struct ConntrackSocket ConntrackSocket;

typedef struct FlowFilter {
        enum {
                FLOW_OF_ADDRESS, /* any of the flow's four addresses is `address` */
                FLOW_OF_PORT, /* of `protocol`, towards `port` (as the sender says) of `address` */
        } what;
        InAddr address; /* FLOW_OF_PORT: family set; unspecified: every address of that family */
        uint8_t protocol;
        uint16_t port;
} FlowFilter;

int conntrack_open(ConntrackSocket **ret, Error *e);
ConntrackSocket *conntrack_close(ConntrackSocket *s); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(ConntrackSocket *, conntrack_close)

/* Deletes what any of the filters means; one pass over the table, none when it is empty. */
int conntrack_forget(ConntrackSocket *s, const FlowFilter *filters, size_t n, unsigned *ret_deleted,
                     Error *e);
