/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `network`, and the cursors of its ranges. */

#include "store/store-internal.h"

void network_row_clear(NetworkRow *r) {
        free(r->name);
        free(r->kind);
        free(r->source);
        free(r->config);
        free(r->hash);
        free(r->bridge);
        *r = (NetworkRow) { 0 };
}

void cursor_row_clear(CursorRow *r) {
        free(r->network);
        *r = (CursorRow) { 0 };
}

static int read_network(sqlite3_stmt *stmt, NetworkRow *row) {
        char **texts[] = { &row->name,   &row->kind, &row->source,
                           &row->config, &row->hash, &row->bridge };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!column_text(stmt, (int) i, texts[i]))
                        return -ENOMEM;
        row->bridge_created = sqlite3_column_int(stmt, 6) != 0;
        if (sqlite3_column_bytes(stmt, 7) != sizeof(row->bridge_mac))
                return -EUCLEAN;
        memcpy(row->bridge_mac, sqlite3_column_blob(stmt, 7), sizeof(row->bridge_mac));
        row->mtu = (uint32_t) sqlite3_column_int64(stmt, 8);
        row->group = (uint32_t) sqlite3_column_int64(stmt, 9);
        return 0;
}

int store_load_networks(Store *s, int (*cb)(NetworkRow *row, void *userdata), void *userdata,
                        Error *e) {
        STORE_WALK(s, STMT_LOAD_NETWORKS, NetworkRow, read_network, network_row_clear, "networks");
}

int store_put_network(Store *s, const NetworkRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_NETWORK, e);
        const char *texts[] = { row->name,   row->kind, row->source,
                                row->config, row->hash, row->bridge };

        if (!stmt)
                return -EUCLEAN;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 1, texts[i]);
        sqlite3_bind_int(stmt, 7, row->bridge_created);
        sqlite3_bind_blob(stmt, 8, row->bridge_mac, sizeof(row->bridge_mac), SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 9, row->mtu);
        sqlite3_bind_int64(stmt, 10, row->group);
        return store_run(s, stmt, "writing a network", e);
}

int store_delete_network(Store *s, const char *name, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_NETWORK, e);
        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, name);
        return store_run(s, stmt, "deleting a network", e);
}

static int read_cursor(sqlite3_stmt *stmt, CursorRow *row) {
        if (!column_text(stmt, 0, &row->network))
                return -ENOMEM;
        row->set_index = (uint32_t) sqlite3_column_int64(stmt, 1);
        return column_addr(stmt, 2, &row->address);
}

int store_load_cursors(Store *s, int (*cb)(CursorRow *row, void *userdata), void *userdata,
                       Error *e) {
        STORE_WALK(s, STMT_LOAD_CURSORS, CursorRow, read_cursor, cursor_row_clear, "cursors");
}

int store_put_cursor(Store *s, const CursorRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_CURSOR, e);
        char address[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, row->network);
        sqlite3_bind_int64(stmt, 2, row->set_index);
        bind_text(stmt, 3, in_addr_format(&row->address, address));
        return store_run(s, stmt, "writing a cursor", e);
}

int store_delete_cursors(Store *s, const char *network, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_CURSORS, e);
        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, network);
        return store_run(s, stmt, "deleting cursors", e);
}
