/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What netmgrd does without being asked: repairs (the kernel is made to agree with the ledger) and
 * reaps (an attachment is released without a DEL). Each is a journal message with a MESSAGE_ID and is
 * counted since the start of the process; the counters are the D-Bus properties Repairs and Reaps.
 * On the event loop only.
 */

#include "base/log.h"
#include "core/manager.h"

typedef enum RepairKind {
        REPAIR_TABLES,  /* nftables, built anew */
        REPAIR_NETWORK, /* a bridge or its addresses, forwarding */
        REPAIR_LINK,    /* an interface was made anew */
        REPAIR_HOST,    /* of an attachment, in the host's netns: addresses, routes, limits, … */
        REPAIR_SANDBOX, /* of an attachment, in the sandbox */
        REPAIR_STRAY,   /* a link of ours that no row knows was deleted */
        _REPAIR_MAX,
} RepairKind;

typedef enum ReapReason {
        REAP_GC,          /* the runtime's list does not have it */
        REAP_NETNS,       /* its network namespace is gone */
        REAP_SYNCHRONIZE, /* the runtime's sandboxes, asked for by netmgr-cri, do not have it */
        REAP_REBOOT,
        REAP_RECOVER, /* half made when netmgrd started */
        REAP_RECONCILE,
        REAP_REPLACED, /* an ADD of the same name came */
        REAP_OTHER,
        _REAP_MAX,
} ReapReason;

const char *repair_kind_to_string(RepairKind kind);
const char *reap_reason_to_string(ReapReason reason);

struct Audit {
        uint64_t repairs[_REPAIR_MAX], reaps[_REAP_MAX];
        sd_event_source *timer; /* tells the observer, once for a burst */
};

Audit *audit_new(void);
Audit *audit_free(Audit *audit); /* accepts NULL, returns NULL */

/* Sums over all kinds. */
uint64_t audit_repairs(const Manager *m);
uint64_t audit_reaps(const Manager *m);

/* Logs with LOG_ID_REPAIRED what was found, in a sentence, and put right; `about` may be NULL. Counting is
 * separate: one repair may be told in several sentences. */
void audit_tell_repair(RepairKind kind, const LogContext *about, const char *found);
void audit_count_repair(Manager *m, RepairKind kind);

/* Whether an attachment that ends by this operation (attachment_release()) was reaped: everything but
 * DEL and the undoing of an ADD. */
bool audit_op_is_reap(const char *op);
/* Counts n attachments that ended by the operation. */
void audit_count_reaps(Manager *m, const char *op, uint64_t n);
/* Counts one and logs it with LOG_ID_REAPED; about has op, reason, sandbox, … */
void audit_reaped(Manager *m, const LogContext *about);
