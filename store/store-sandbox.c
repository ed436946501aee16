/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `sandbox`, and the end of all sandboxes of another boot. */

#include "base/limits.h"
#include "store/store-internal.h"

void sandbox_row_clear(SandboxRow *r) {
        free(r->id);
        free(r->runtime);
        free(r->pod_namespace);
        free(r->pod_name);
        free(r->pod_uid);
        free(r->labels);
        free(r->annotations);
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
        row->netns_seen = sqlite3_column_int(stmt, 12) != 0;
        row->netns_start = column_u64(stmt, 13);
        return column_text(stmt, 10, &row->boot_id) && column_text(stmt, 11, &row->state) &&
                                               column_text(stmt, 14, &row->annotations)
                               ? 0
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
        sqlite3_bind_int(stmt, 13, row->netns_seen);
        bind_u64(stmt, 14, row->netns_start);
        bind_text(stmt, 15, row->annotations);
        return store_run(s, stmt, "writing a sandbox", e);
}

int store_claim_sandbox(Store *s, const SandboxRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_CLAIM_SANDBOX, e);
        const char *texts[] = { row->id, row->runtime, row->state };

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

int store_end_other_boots(Store *s, const char *boot_id, uint64_t usec, size_t *ret_sandboxes,
                          size_t *ret_attachments, Error *e) {
        static const StoreStmt steps[] = { STMT_BOOT_EVENTS,      STMT_BOOT_EVENT_ADDRESSES,
                                           STMT_BOOT_PENDING,     STMT_BOOT_RESTED,
                                           STMT_BOOT_PROMISED,    STMT_BOOT_ADDRESSES,
                                           STMT_BOOT_ATTACHMENTS, STMT_BOOT_SANDBOXES };
        size_t changes[ELEMENTSOF(steps)];

        for (size_t i = 0; i < ELEMENTSOF(steps); i++) {
                _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, steps[i], e);
                if (!stmt)
                        return -EUCLEAN;
                bind_text(stmt, 1, boot_id);
                if (sqlite3_bind_parameter_count(stmt) > 1)
                        bind_u64(stmt, 2, usec);
                if (steps[i] == STMT_BOOT_EVENTS)
                        sqlite3_bind_int(stmt, 3, EVENT_PORTS_MAX);
                int r = store_run(s, stmt, "releasing what another boot left", e);
                if (r < 0)
                        return r;
                changes[i] = (size_t) sqlite3_changes(s->db);
        }
        *ret_attachments = changes[6];
        *ret_sandboxes = changes[7];
        return 0;
}
