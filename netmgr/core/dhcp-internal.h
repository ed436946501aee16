/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the files that keep leases. */

#include "base/log.h"
#include "core/dhcp.h"
#include "core/workers.h"

/* A job for the inside of a sandbox. It outlives its binding when that ends first. */
typedef struct DhcpWork {
        Job job;              /* first member */
        DhcpBinding *binding; /* NULL once that is gone; it has us as its `work` */
        char *path;           /* owned */
        uint64_t cookie;
        char ifname[16];
        DhcpRequest request;
        int packet_fd; /* owned */
} DhcpWork;

typedef enum DhcpPhase { PHASE_BOUND, PHASE_RENEWING, PHASE_REBINDING, PHASE_OVER } DhcpPhase;

struct DhcpBinding {
        Attachment *attachment;
        LeaseRow row; /* owned; as it is in the ledger, or will be with the next commit */
        sd_event_source *timer;
        DhcpWork *work;  /* what a worker does for us; borrowed */
        DhcpCall *call;  /* owned */
        DhcpPhase phase; /* in which the last exchange began */
        bool exchanging; /* between the worker that opens the socket and the end of the call */
        bool grace;      /* loaded: rebound once before it ends, however late it is */
        bool told;       /* that it was not renewed */
        unsigned failures;
};

LogContext dhcp_log_context(const DhcpBinding *b, int r, const char *reason);
/* NULL: out of memory. The binding has it as its `work`. */
DhcpWork *dhcp_work_new(DhcpBinding *b);
void dhcp_wake_soon(DhcpBinding *b);
void dhcp_wake_for_retry(DhcpBinding *b);
