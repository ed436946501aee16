/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `event`: the audit trail, trimmed from its old end. */

#include "base/limits.h"
#include "store/store-internal.h"

/* Trimming at every event would double its cost. */
#define TRIM_EVERY 1024

static int trim(Store *s, int64_t last, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_TRIM_EVENTS, e);
        if (!stmt)
                return -EUCLEAN;
        sqlite3_bind_int64(stmt, 1, last - EVENTS_MAX);
        return store_run(s, stmt, "trimming events", e);
}

int store_add_event(Store *s, const EventRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_ADD_EVENT, e);
        const char *texts[] = { row->op,     row->network,   row->sandbox,
                                row->ifname, row->addresses, row->reason };

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->usec);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 2, texts[i]);
        int r = store_run(s, stmt, "writing an event", e);
        if (r < 0)
                return r;
        int64_t seq = sqlite3_last_insert_rowid(s->db);
        return seq > EVENTS_MAX && seq % TRIM_EVERY == 0 ? trim(s, seq, e) : 0;
}
