/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `address`: held and cooling addresses, unique per pool. */

#include "store/store-internal.h"

void address_row_clear(AddressRow *r) {
        free(r->pool);
        free(r->network);
        free(r->sandbox);
        free(r->ifname);
        free(r->owner);
        *r = (AddressRow) { 0 };
}

static int read_address(sqlite3_stmt *stmt, AddressRow *row) {
        row->attachment = column_u64(stmt, 0); /* NULL reads as 0 */
        if (!column_text(stmt, 1, &row->pool) || !column_text(stmt, 5, &row->network) ||
            !column_text(stmt, 6, &row->sandbox) || !column_text(stmt, 7, &row->ifname))
                return -ENOMEM;
        if (!column_text(stmt, 10, &row->owner))
                return -ENOMEM;
        if (column_addr(stmt, 2, &row->address.address) < 0 ||
            (sqlite3_column_type(stmt, 4) != SQLITE_NULL &&
             column_addr(stmt, 4, &row->gateway) < 0))
                return -EUCLEAN;
        row->address.length = (uint8_t) sqlite3_column_int(stmt, 3);
        row->set_index = (uint32_t) sqlite3_column_int64(stmt, 8);
        row->released_usec = column_u64(stmt, 9);
        row->sticky_sec = (uint32_t) sqlite3_column_int64(stmt, 11); /* -1 becomes UINT32_MAX */
        row->has_rest = sqlite3_column_type(stmt, 12) != SQLITE_NULL;
        row->rest_sec = (uint32_t) sqlite3_column_int64(stmt, 12);
        return row->address.length > family_bits(row->address.address.family) ? -EUCLEAN : 0;
}

int store_load_addresses(Store *s, int (*cb)(AddressRow *row, void *userdata), void *userdata,
                         Error *e) {
        STORE_WALK(s, STMT_LOAD_ADDRESSES, AddressRow, read_address, address_row_clear,
                   "addresses");
}

static int refuse_held(Store *s, const AddressRow *row, const char *address, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_ADDRESS_HOLDER, e);

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, row->pool);
        bind_text(stmt, 2, address);
        if (sqlite3_step(stmt) == SQLITE_ROW)
                (void) error_setf(e, ERROR_ADDRESS_IN_USE,
                                  "address %s is held by interface %s of sandbox %s on network %s",
                                  address, sqlite3_column_text(stmt, 2),
                                  sqlite3_column_text(stmt, 1), sqlite3_column_text(stmt, 0));
        return -EEXIST;
}

int store_put_address(Store *s, const AddressRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_ADDRESS, e);
        char address[IN_ADDR_STR_MAX], gateway[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        if (row->attachment)
                bind_u64(stmt, 1, row->attachment);
        bind_text(stmt, 2, row->pool);
        bind_text(stmt, 3, in_addr_format(&row->address.address, address));
        sqlite3_bind_int(stmt, 4, row->address.length);
        bind_text(stmt, 5,
                  in_addr_is_set(&row->gateway) ? in_addr_format(&row->gateway, gateway) : NULL);
        bind_text(stmt, 6, row->network);
        bind_text(stmt, 7, row->sandbox);
        bind_text(stmt, 8, row->ifname);
        sqlite3_bind_int64(stmt, 9, row->set_index);
        bind_u64(stmt, 10, row->released_usec);
        bind_text(stmt, 11, row->owner);
        sqlite3_bind_int64(stmt, 12,
                           row->sticky_sec == UINT32_MAX ? -1 : (sqlite3_int64) row->sticky_sec);
        if (row->has_rest)
                sqlite3_bind_int64(stmt, 13, row->rest_sec);
        int r = store_run(s, stmt, "writing an address", e);
        if (r < 0)
                return r;
        return sqlite3_changes(s->db) == 0 ? refuse_held(s, row, address, e) : 0;
}

int store_release_addresses(Store *s, uint64_t attachment, uint64_t released_usec, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_RELEASE_ADDRESSES, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, attachment);
        bind_u64(stmt, 2, released_usec);
        return store_run(s, stmt, "releasing addresses", e);
}

int store_rest_address(Store *s, const char *pool, const InAddr *address, uint64_t released_usec,
                       Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_REST_ADDRESS, e);
        char text[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, pool);
        bind_text(stmt, 2, in_addr_format(address, text));
        bind_u64(stmt, 3, released_usec);
        return store_run(s, stmt, "putting an address to rest", e);
}

int store_delete_address(Store *s, const char *pool, const InAddr *address, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_ADDRESS, e);
        char text[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, pool);
        bind_text(stmt, 2, in_addr_format(address, text));
        return store_run(s, stmt, "deleting an address", e);
}

int store_disown_addresses(Store *s, const char *owner, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DISOWN_ADDRESSES, e);

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, owner);
        return store_run(s, stmt, "giving up the addresses of an owner", e);
}
