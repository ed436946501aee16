/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the files of the store: the handle, cached statements, binding and reading. */

#include <sqlite3.h>

#include "store/store.h"

/* Statements are prepared once and kept. */
typedef enum StoreStmt {
        STMT_BEGIN,
        STMT_COMMIT,
        STMT_ROLLBACK,
        STMT_LOAD_NETWORKS,
        STMT_PUT_NETWORK,
        STMT_DELETE_NETWORK,
        STMT_LOAD_SANDBOXES,
        STMT_PUT_SANDBOX,
        STMT_CLAIM_SANDBOX,
        STMT_DELETE_SANDBOX,
        STMT_LOAD_ATTACHMENTS,
        STMT_PUT_ATTACHMENT,
        STMT_PUT_SEQUENCE,
        STMT_LOAD_LOST,
        STMT_PUT_LOST,
        STMT_SET_STATE,
        STMT_SET_PLAN,
        STMT_DELETE_ATTACHMENT,
        STMT_LAST_ID,
        STMT_LOAD_ADDRESSES,
        STMT_PUT_ADDRESS,
        STMT_ADDRESS_HOLDER,
        STMT_RELEASE_ADDRESSES,
        STMT_REST_ADDRESS,
        STMT_DELETE_ADDRESS,
        STMT_DISOWN_ADDRESSES,
        STMT_LOAD_PORTS,
        STMT_PUT_PORT,
        STMT_PORT_HOLDER,
        STMT_DELETE_PORT,
        STMT_LOAD_SHAPINGS,
        STMT_PUT_SHAPING,
        STMT_LOAD_LEASES,
        STMT_PUT_LEASE,
        STMT_UPDATE_LEASE,
        STMT_DELETE_PORTS,
        STMT_LOAD_DELEGATES,
        STMT_PUT_DELEGATE,
        STMT_LOAD_IMPORTS,
        STMT_PUT_IMPORT,
        STMT_LOAD_CURSORS,
        STMT_PUT_CURSOR,
        STMT_DELETE_CURSORS,
        STMT_ADD_EVENT,
        STMT_ADD_EVENT_ADDRESS,
        STMT_TRIM_EVENTS,
        STMT_HISTORY_ENDED,
        STMT_HISTORY_ENDED_ADDRESS,
        STMT_HISTORY_ENDED_SANDBOX,
        STMT_HISTORY_ENDED_POD,
        STMT_HISTORY_HELD,
        STMT_HISTORY_HELD_ADDRESS,
        STMT_HISTORY_HELD_SANDBOX,
        STMT_HISTORY_HELD_POD,
        STMT_HISTORY_PORTS,
        STMT_HISTORY_CHANGES,
        STMT_FIND_SANDBOX,
        STMT_BOOT_EVENTS,
        STMT_BOOT_EVENT_ADDRESSES,
        STMT_BOOT_PENDING,
        STMT_BOOT_RESTED,
        STMT_BOOT_PROMISED,
        STMT_BOOT_ADDRESSES,
        STMT_BOOT_ATTACHMENTS,
        STMT_BOOT_SANDBOXES,
        _STMT_MAX,
} StoreStmt;

struct Store {
        sqlite3 *db;
        char *path;
        bool durable; /* PRAGMA synchronous is FULL */
        int lock_fd;  /* DIR/netmgr.lock, locked as long as the store is open */
        sqlite3_stmt *stmts[_STMT_MAX];
};

/* Errors: fills *e with what, the path and SQLite's words; the code becomes an errno. */
int store_error(Store *s, int code, const char *what, Error *e);

/* The cached statement, reset and without bindings. NULL with *e filled. */
sqlite3_stmt *store_stmt(Store *s, StoreStmt which, Error *e);
/* Resets on leaving the scope, so that no statement keeps the database busy. */
static inline void stmt_resetp(sqlite3_stmt **stmt) {
        if (*stmt) {
                sqlite3_reset(*stmt);
                sqlite3_clear_bindings(*stmt);
        }
}
#define _cleanup_stmt_ _cleanup_(stmt_resetp)

/* Runs a statement that returns no rows. */
int store_run(Store *s, sqlite3_stmt *stmt, const char *what, Error *e);

static inline void bind_text(sqlite3_stmt *stmt, int at, const char *text) {
        if (text)
                sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
        else
                sqlite3_bind_null(stmt, at);
}
/* 64-bit values without sign are stored as the bit pattern of SQLite's signed integers. */
static inline void bind_u64(sqlite3_stmt *stmt, int at, uint64_t v) {
        sqlite3_bind_int64(stmt, at, (sqlite3_int64) v);
}
static inline uint64_t column_u64(sqlite3_stmt *stmt, int at) {
        return (uint64_t) sqlite3_column_int64(stmt, at);
}
/* Copies the text (NULL stays NULL); false: out of memory. */
bool column_text(sqlite3_stmt *stmt, int at, char **ret);
/* A text that must be an address. */
int column_addr(sqlite3_stmt *stmt, int at, InAddr *ret);

/* A port from the columns of STMT_LOAD_PORTS. */
int port_row_read(sqlite3_stmt *stmt, PortRow *row);

/* Whose file it is, before anything is written to it. 0 and its schema version (0: empty), -EUCLEAN
 * for somebody else's or a damaged one, -EPROTONOSUPPORT for a newer one. */
int schema_identify(Store *s, int64_t *ret_version, Error *e);
/* Brings it from that version to STORE_SCHEMA_VERSION, all or nothing. */
int schema_migrate(Store *s, int64_t version, Error *e);
#define STORE_APPLICATION_ID 0x4e4d4752 /* "NMGR" */

/* Walks a SELECT: read() fills the row from the statement, cb gets it, clear() ends it. */
#define STORE_WALK(s, which, Type, read, clear, what)                                              \
        do {                                                                                       \
                _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt((s), (which), e);                   \
                int code, r = 0;                                                                   \
                if (!stmt)                                                                         \
                        return -EUCLEAN;                                                           \
                while (r >= 0 && (code = sqlite3_step(stmt)) == SQLITE_ROW) {                      \
                        Type row = { 0 };                                                          \
                        r = read(stmt, &row);                                                      \
                        if (r == -ENOMEM)                                                          \
                                (void) error_oom(e);                                               \
                        else if (r < 0)                                                            \
                                (void) error_setf(e, ERROR_LEDGER, "%s: a row of %s is malformed", \
                                                  (s)->path, (what));                              \
                        else                                                                       \
                                r = cb(&row, userdata);                                            \
                        clear(&row);                                                               \
                }                                                                                  \
                if (r >= 0 && code != SQLITE_DONE)                                                 \
                        return store_error((s), code, "reading " what, e);                         \
                return r;                                                                          \
        } while (false)
