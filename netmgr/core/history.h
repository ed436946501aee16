/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Questions about the past: who had an address, what a sandbox or pod had, when, and what ended it. The
 * answer comes from the ledger's audit trail and is read by the committer, one question after the other
 * and behind all commits that wait; the event loop waits for nothing.
 *
 * The trail itself survives crashes as the rest of the ledger does; questions do not.
 */

#include "core/manager.h"
#include "store/store.h"

typedef struct HistoryQuery {
        /* "": everything; an address (a prefix length is ignored); NAMESPACE/NAME of a pod; the id of a
         * sandbox, of which from HISTORY_ID_MIN characters on the beginning is enough */
        const char *filter;
        uint64_t since_usec; /* CLOCK_REALTIME; leaves out what had ended before; 0: all */
        uint32_t limit;      /* rows, the newest; at most HISTORY_MAX */
} HistoryQuery;

#define HISTORY_ID_MIN 4U

/* Rows newest first; truncated: there would have been older ones. All of it ends with the call. */
typedef void (*HistoryDone)(int r, const Error *e, const HistoryRow *rows, size_t n, bool truncated,
                            void *userdata);

/* `done` is called exactly once, possibly before the return. ERROR_INVALID_ARGUMENT for a filter that
 * can mean nothing or several sandboxes, ERROR_TRY_AGAIN when too many questions wait. */
void manager_ask_history(Manager *m, const HistoryQuery *query, HistoryDone done, void *userdata);

typedef struct HistoryQueue HistoryQueue;
HistoryQueue *history_queue_new(void);
/* Answers what waits with "try again later". Accepts NULL, returns NULL. */
HistoryQueue *history_queue_free(HistoryQueue *q);
