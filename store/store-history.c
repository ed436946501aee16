/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Who had what, when. Two streams, both newest first, are merged: events that ended something, by their
 * time, and the attachments that are there, by their ids. That a person set the clock back in between
 * changes the order of what is told, never what is told.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "store/store-internal.h"

void history_row_clear(HistoryRow *r) {
        free(r->op);
        free(r->reason);
        free(r->network);
        free(r->sandbox);
        free(r->ifname);
        free(r->host_ifname);
        free(r->pod_namespace);
        free(r->pod_name);
        free(r->pod_uid);
        free(r->addresses);
        free(r->ports);
        for (size_t i = 0; i < r->n_changes; i++) {
                free(r->changes[i].op);
                free(r->changes[i].ports);
        }
        free(r->changes);
        *r = (HistoryRow) { 0 };
}

static int read_row(sqlite3_stmt *stmt, HistoryRow *row) {
        char **texts[] = { &row->op,      &row->reason,      &row->network,       &row->sandbox,
                           &row->ifname,  &row->host_ifname, &row->pod_namespace, &row->pod_name,
                           &row->pod_uid, &row->addresses,   &row->ports };

        row->attachment = column_u64(stmt, 0);
        row->since_usec = column_u64(stmt, 1);
        row->until_usec = column_u64(stmt, 2);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!column_text(stmt, (int) i + 3, texts[i]))
                        return -ENOMEM;
        return 0;
}

/* What is held has its ports in their own table. */
static int read_ports(Store *s, HistoryRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_HISTORY_PORTS, e);
        _cleanup_free_ PortRow *ports = NULL;
        size_t n = 0, allocated = 0;
        int code;

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->attachment);
        while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
                if (GREEDY_REALLOC(ports, allocated, n + 1) < 0)
                        return error_oom(e);
                int r = port_row_read(stmt, &ports[n++]);
                if (r < 0)
                        return error_set_errnof(e, ERROR_LEDGER, r, "%s: a port is malformed",
                                                s->path);
        }
        if (code != SQLITE_DONE)
                return store_error(s, code, "reading ports", e);
        row->ports = ports_format(ports, n);
        return row->ports ? 0 : error_oom(e);
}

static int read_changes(Store *s, HistoryRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_HISTORY_CHANGES, e);
        size_t allocated = 0;
        int code;

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->attachment);
        sqlite3_bind_int(stmt, 2, HISTORY_CHANGES_MAX);
        while ((code = sqlite3_step(stmt)) == SQLITE_ROW) {
                if (GREEDY_REALLOC(row->changes, allocated, row->n_changes + 1) < 0)
                        return error_oom(e);
                HistoryChange *c = &row->changes[row->n_changes++];
                *c = (HistoryChange) { .usec = column_u64(stmt, 0) };
                if (!column_text(stmt, 1, &c->op) || !column_text(stmt, 2, &c->ports))
                        return error_oom(e);
        }
        for (size_t i = 0, k = row->n_changes; i + 1 < k; i++) {
                HistoryChange c = row->changes[i];
                row->changes[i] = row->changes[--k];
                row->changes[k] = c;
        }
        return code == SQLITE_DONE ? 0 : store_error(s, code, "reading changes of ports", e);
}

static int tell(Store *s, sqlite3_stmt *stmt, int (*cb)(HistoryRow *row, void *userdata),
                void *userdata, Error *e) {
        _cleanup_(history_row_clear) HistoryRow row = { 0 };

        if (read_row(stmt, &row) < 0)
                return error_oom(e);
        int r = row.attachment ? read_changes(s, &row, e) : 0;
        if (r >= 0 && row.until_usec == 0)
                r = read_ports(s, &row, e);
        return r < 0 ? r : cb(&row, userdata);
}

static void bind_filter(sqlite3_stmt *stmt, const HistoryFilter *f) {
        bind_u64(stmt, 1, f->since_usec);
        if (f->address)
                bind_text(stmt, 2, f->address);
        else if (f->sandbox)
                bind_text(stmt, 2, f->sandbox);
        else if (f->pod_name) {
                bind_text(stmt, 2, f->pod_namespace);
                bind_text(stmt, 3, f->pod_name);
        }
}

/* The time by which a row is placed: its end, or the beginning of what has none. */
static uint64_t moment(sqlite3_stmt *stmt) {
        uint64_t until = column_u64(stmt, 2);
        return until ? until : column_u64(stmt, 1);
}

int store_history(Store *s, const HistoryFilter *filter, int (*cb)(HistoryRow *row, void *userdata),
                  void *userdata, Error *e) {
        unsigned by = filter->address ? 1 : filter->sandbox ? 2 : filter->pod_name ? 3 : 0;
        _cleanup_stmt_ sqlite3_stmt *ended = store_stmt(s, STMT_HISTORY_ENDED + by, e);
        _cleanup_stmt_ sqlite3_stmt *held = store_stmt(s, STMT_HISTORY_HELD + by, e);
        int r = 0;

        if (!ended || !held)
                return -EUCLEAN;
        bind_filter(ended, filter);
        bind_filter(held, filter);
        int a = sqlite3_step(ended), b = sqlite3_step(held);
        while (r == 0 && (a == SQLITE_ROW || b == SQLITE_ROW)) {
                bool take_held = a != SQLITE_ROW ||
                                 (b == SQLITE_ROW && moment(held) > moment(ended));

                r = tell(s, take_held ? held : ended, cb, userdata, e);
                if (r == 0 && take_held)
                        b = sqlite3_step(held);
                else if (r == 0)
                        a = sqlite3_step(ended);
        }
        if (r != 0)
                return r < 0 ? r : 0;
        if (a != SQLITE_DONE || b != SQLITE_DONE)
                return store_error(s, a != SQLITE_DONE ? a : b, "reading the history", e);
        return 0;
}

int store_find_sandbox(Store *s, const char *prefix, char **ret, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_FIND_SANDBOX, e);
        _cleanup_free_ char *found = NULL, *end = strf("%s\x7f", prefix); /* ids are below DEL */

        if (!stmt)
                return -EUCLEAN;
        if (!end)
                return error_oom(e);
        bind_text(stmt, 1, prefix);
        bind_text(stmt, 2, end);
        int code = sqlite3_step(stmt);
        if (code == SQLITE_ROW && !column_text(stmt, 0, &found))
                return error_oom(e);
        /* The prefix itself sorts before everything that it begins. */
        if (code == SQLITE_ROW && !streq_ptr(found, prefix))
                code = sqlite3_step(stmt);
        else if (code == SQLITE_ROW)
                code = SQLITE_DONE;
        if (code == SQLITE_ROW)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%.128s\" is the beginning of several sandboxes' ids, %s and %s "
                                "among them; say more of it",
                                prefix, found, (const char *) sqlite3_column_text(stmt, 0));
        if (code != SQLITE_DONE)
                return store_error(s, code, "looking for a sandbox", e);
        *ret = TAKE_PTR(found);
        return 0;
}
