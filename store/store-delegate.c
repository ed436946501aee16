/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tables `delegate` (plugins of others that were run for an attachment) and `import` (what was taken over
 * from the directory of the reference plugin host-local).
 */

#include "store/store-internal.h"

void delegate_row_clear(DelegateRow *r) {
        free(r->plugin);
        free(r->path);
        free(r->config);
        free(r->args);
        free(r->result);
        *r = (DelegateRow) { 0 };
}

static int read_delegate(sqlite3_stmt *stmt, DelegateRow *row) {
        char **texts[] = { &row->plugin, &row->path, &row->config, &row->args, &row->result };

        row->attachment = column_u64(stmt, 0);
        row->seq = (uint32_t) sqlite3_column_int64(stmt, 1);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!column_text(stmt, (int) i + 2, texts[i]))
                        return -ENOMEM;
        return 0;
}

int store_load_delegates(Store *s, int (*cb)(DelegateRow *row, void *userdata), void *userdata,
                         Error *e) {
        STORE_WALK(s, STMT_LOAD_DELEGATES, DelegateRow, read_delegate, delegate_row_clear,
                   "delegates");
}

int store_put_delegate(Store *s, const DelegateRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_DELEGATE, e);
        const char *texts[] = { row->plugin, row->path, row->config, row->args, row->result };

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->attachment);
        sqlite3_bind_int64(stmt, 2, row->seq);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 3, texts[i]);
        return store_run(s, stmt, "writing a delegate", e);
}

int store_delete_ports(Store *s, uint64_t attachment, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_PORTS, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, attachment);
        return store_run(s, stmt, "deleting an attachment's ports", e);
}

void import_row_clear(ImportRow *r) {
        free(r->network);
        free(r->path);
        *r = (ImportRow) { 0 };
}

static int read_import(sqlite3_stmt *stmt, ImportRow *row) {
        if (!column_text(stmt, 0, &row->network) || !column_text(stmt, 1, &row->path))
                return -ENOMEM;
        row->stamp = column_u64(stmt, 2);
        return 0;
}

int store_load_imports(Store *s, int (*cb)(ImportRow *row, void *userdata), void *userdata,
                       Error *e) {
        STORE_WALK(s, STMT_LOAD_IMPORTS, ImportRow, read_import, import_row_clear, "imports");
}

int store_put_import(Store *s, const ImportRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_IMPORT, e);
        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, row->network);
        bind_text(stmt, 2, row->path);
        bind_u64(stmt, 3, row->stamp);
        return store_run(s, stmt, "writing an import", e);
}
