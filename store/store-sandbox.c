/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `sandbox`. */

#include "store/store-internal.h"

void sandbox_row_clear(SandboxRow *r) {
        free(r->id);
        free(r->runtime);
        free(r->pod_namespace);
        free(r->pod_name);
        free(r->pod_uid);
        free(r->labels);
        free(r->netns_path);
        free(r->boot_id);
        free(r->state);
        *r = (SandboxRow) { 0 };
}

static int read_sandbox(sqlite3_stmt *stmt, SandboxRow *row) {
        char **texts[] = { &row->id,      &row->runtime, &row->pod_namespace, &row->pod_name,
                           &row->pod_uid, &row->labels,  &row->netns_path };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!column_text(stmt, (int) i, texts[i]))
                        return -ENOMEM;
        row->netns_cookie = column_u64(stmt, 7);
        row->netns_dev = column_u64(stmt, 8);
        row->netns_ino = column_u64(stmt, 9);
        return column_text(stmt, 10, &row->boot_id) && column_text(stmt, 11, &row->state) ? 0
                                                                                          : -ENOMEM;
}

int store_load_sandboxes(Store *s, int (*cb)(SandboxRow *row, void *userdata), void *userdata,
                         Error *e) {
        STORE_WALK(s, STMT_LOAD_SANDBOXES, SandboxRow, read_sandbox, sandbox_row_clear,
                   "sandboxes");
}

int store_put_sandbox(Store *s, const SandboxRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_SANDBOX, e);
        const char *texts[] = { row->id,      row->runtime, row->pod_namespace, row->pod_name,
                                row->pod_uid, row->labels,  row->netns_path };

        if (!stmt)
                return -EUCLEAN;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 1, texts[i]);
        bind_u64(stmt, 8, row->netns_cookie);
        bind_u64(stmt, 9, row->netns_dev);
        bind_u64(stmt, 10, row->netns_ino);
        bind_text(stmt, 11, row->boot_id);
        bind_text(stmt, 12, row->state);
        return store_run(s, stmt, "writing a sandbox", e);
}

int store_claim_sandbox(Store *s, const SandboxRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_CLAIM_SANDBOX, e);
        const char *texts[] = { row->id, row->runtime, row->state, row->netns_path };

        if (!stmt)
                return -EUCLEAN;
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 1, texts[i]);
        return store_run(s, stmt, "claiming a sandbox", e);
}

int store_delete_sandbox(Store *s, const char *id, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_SANDBOX, e);
        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, id);
        return store_run(s, stmt, "deleting a sandbox", e);
}
