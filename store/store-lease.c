/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `lease`: what DHCP servers have granted, until when, and what they have to be told. */

#include "store/store-internal.h"

void lease_row_clear(LeaseRow *r) {
        free(r->provide);
        free(r->wanted);
        free(r->options);
        *r = (LeaseRow) { 0 };
}

/* An empty one is an array of one byte, so that NULL means "out of memory" and nothing else. */
static int column_bytes(sqlite3_stmt *stmt, int at, uint8_t **ret, size_t *ret_size) {
        size_t n = (size_t) sqlite3_column_bytes(stmt, at);
        uint8_t *copy = malloc(n + 1);

        if (!copy)
                return -ENOMEM;
        if (n > 0)
                memcpy(copy, sqlite3_column_blob(stmt, at), n);
        *ret = copy;
        *ret_size = n;
        return 0;
}

static bool column_u32(sqlite3_stmt *stmt, int at, uint32_t *ret) {
        sqlite3_int64 v = sqlite3_column_int64(stmt, at);

        if (v < 0 || v > UINT32_MAX)
                return false;
        *ret = (uint32_t) v;
        return true;
}

static int read_lease(sqlite3_stmt *stmt, LeaseRow *row) {
        row->attachment = column_u64(stmt, 0);
        if (column_addr(stmt, 1, &row->address) < 0 || column_addr(stmt, 2, &row->server) < 0 ||
            sqlite3_column_bytes(stmt, 3) != sizeof(row->server_mac) ||
            !column_u32(stmt, 6, &row->lease_sec) || !column_u32(stmt, 7, &row->t1_sec) ||
            !column_u32(stmt, 8, &row->t2_sec) || !column_u32(stmt, 10, &row->priority) ||
            row->address.family != AF_INET || row->server.family != AF_INET)
                return -EUCLEAN;
        memcpy(row->server_mac, sqlite3_column_blob(stmt, 3), sizeof(row->server_mac));
        row->obtained_usec = column_u64(stmt, 4);
        row->obtained_boot_usec = column_u64(stmt, 5);
        row->expired = sqlite3_column_int(stmt, 9) != 0;
        int r = column_bytes(stmt, 11, &row->provide, &row->provide_size);
        if (r >= 0)
                r = column_bytes(stmt, 12, &row->wanted, &row->wanted_size);
        return r < 0 ? r : column_bytes(stmt, 13, &row->options, &row->options_size);
}

int store_load_leases(Store *s, int (*cb)(LeaseRow *row, void *userdata), void *userdata,
                      Error *e) {
        STORE_WALK(s, STMT_LOAD_LEASES, LeaseRow, read_lease, lease_row_clear, "leases");
}

static void bind_bytes(sqlite3_stmt *stmt, int at, const uint8_t *bytes, size_t size) {
        /* SQLite takes a NULL pointer for NULL whatever the size. */
        sqlite3_bind_blob(stmt, at, size > 0 ? bytes : (const uint8_t *) "", (int) size,
                          SQLITE_STATIC);
}

static int write_lease(Store *s, StoreStmt which, const LeaseRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, which, e);
        char address[IN_ADDR_STR_MAX], server[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->attachment);
        bind_text(stmt, 2, in_addr_format(&row->address, address));
        bind_text(stmt, 3, in_addr_format(&row->server, server));
        bind_bytes(stmt, 4, row->server_mac, sizeof(row->server_mac));
        bind_u64(stmt, 5, row->obtained_usec);
        bind_u64(stmt, 6, row->obtained_boot_usec);
        sqlite3_bind_int64(stmt, 7, row->lease_sec);
        sqlite3_bind_int64(stmt, 8, row->t1_sec);
        sqlite3_bind_int64(stmt, 9, row->t2_sec);
        sqlite3_bind_int(stmt, 10, row->expired);
        sqlite3_bind_int64(stmt, 11, row->priority);
        bind_bytes(stmt, 12, row->provide, row->provide_size);
        bind_bytes(stmt, 13, row->wanted, row->wanted_size);
        bind_bytes(stmt, 14, row->options, row->options_size);
        return store_run(s, stmt, "writing a lease", e);
}

int store_put_lease(Store *s, const LeaseRow *row, Error *e) {
        return write_lease(s, STMT_PUT_LEASE, row, e);
}

int store_update_lease(Store *s, const LeaseRow *row, Error *e) {
        return write_lease(s, STMT_UPDATE_LEASE, row, e);
}
