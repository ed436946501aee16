/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tables `event` and `event_address`: the audit trail, trimmed from its old end. Events that end
 * something are found by each of their addresses.
 */

#include "base/limits.h"
#include "store/store-internal.h"

/* Trimming at every event would double its cost; what has grown beyond the limit (the limit was larger
 * once) shrinks by a few steps instead of in one long transaction. */
#define TRIM_EVERY 64
#define TRIM_STEP  128

static int trim(Store *s, int64_t last, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_TRIM_EVENTS, e);
        if (!stmt)
                return -EUCLEAN;
        sqlite3_bind_int64(stmt, 1, last - EVENTS_MAX);
        sqlite3_bind_int(stmt, 2, TRIM_STEP);
        return store_run(s, stmt, "trimming events", e);
}

static int add_address(Store *s, const char *address, size_t size, uint64_t usec, int64_t seq,
                       Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_ADD_EVENT_ADDRESS, e);
        if (!stmt)
                return -EUCLEAN;
        sqlite3_bind_text(stmt, 1, address, (int) size, SQLITE_STATIC);
        bind_u64(stmt, 2, usec);
        sqlite3_bind_int64(stmt, 3, seq);
        return store_run(s, stmt, "writing the address of an event", e);
}

static int add_addresses(Store *s, const EventRow *row, int64_t seq, Error *e) {
        const char *p = strempty(row->addresses);
        int r = 0;

        while (*p && r >= 0) {
                size_t size = strcspn(p, ",");

                r = add_address(s, p, MIN_OF(size, strcspn(p, "/")), row->usec, seq, e);
                p += size + (p[size] == ',');
        }
        return r;
}

/* At most max bytes of it, no character cut in two; such a text ends with "...". */
static void bind_cut(sqlite3_stmt *stmt, int at, const char *text, size_t max) {
        size_t size = text ? strlen(text) : 0;

        if (size <= max) {
                bind_text(stmt, at, text);
                return;
        }
        char *cut = strndup(text, max);
        if (!cut) {
                bind_text(stmt, at, NULL);
                return;
        }
        size = max - strlen("...");
        while (size > 0 && ((unsigned char) cut[size] & 0xc0) == 0x80)
                size--;
        strcpy(cut + size, "...");
        sqlite3_bind_text(stmt, at, cut, -1, free);
}

int store_add_event(Store *s, const EventRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_ADD_EVENT, e);
        const char *texts[] = { row->op,       row->network,     row->sandbox,
                                row->ifname,   row->host_ifname, row->pod_namespace,
                                row->pod_name, row->pod_uid,     row->addresses };

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->usec);
        if (row->ends)
                bind_u64(stmt, 2, row->since_usec);
        if (row->attachment)
                bind_u64(stmt, 3, row->attachment);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 4, texts[i]);
        bind_cut(stmt, 13, row->ports, EVENT_PORTS_MAX);
        bind_cut(stmt, 14, row->reason, EVENT_REASON_MAX);
        int r = store_run(s, stmt, "writing an event", e);
        if (r < 0)
                return r;
        int64_t seq = sqlite3_last_insert_rowid(s->db);
        if (row->ends)
                r = add_addresses(s, row, seq, e);
        if (r < 0)
                return r;
        return seq > EVENTS_MAX && seq % TRIM_EVERY == 0 ? trim(s, seq, e) : 0;
}
