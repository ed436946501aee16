/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Table `attachment`, and the sequence of its ids, which are never used twice. */

#include "store/store-internal.h"

void attachment_row_clear(AttachmentRow *r) {
        free(r->network);
        free(r->sandbox);
        free(r->ifname);
        free(r->kind);
        free(r->state);
        free(r->request);
        free(r->result);
        free(r->host_ifname);
        free(r->config_hash);
        free(r->plan);
        *r = (AttachmentRow) { 0 };
}

static bool read_mac(sqlite3_stmt *stmt, int at, uint8_t ret[static 6]) {
        if (sqlite3_column_bytes(stmt, at) != 6)
                return false;
        memcpy(ret, sqlite3_column_blob(stmt, at), 6);
        return true;
}

static int read_attachment(sqlite3_stmt *stmt, AttachmentRow *row) {
        char **texts[] = { &row->network, &row->sandbox, &row->ifname, &row->kind,
                           &row->state,   &row->request, &row->result, &row->host_ifname };

        row->id = column_u64(stmt, 0);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!column_text(stmt, (int) i + 1, texts[i]))
                        return -ENOMEM;
        row->host_ifindex = (uint32_t) sqlite3_column_int64(stmt, 9);
        if (!read_mac(stmt, 10, row->host_mac) || !read_mac(stmt, 11, row->mac))
                return -EUCLEAN;
        row->mtu = (uint32_t) sqlite3_column_int64(stmt, 12);
        row->group = (uint32_t) sqlite3_column_int64(stmt, 13);
        if (!column_text(stmt, 14, &row->config_hash) || !column_text(stmt, 15, &row->plan))
                return -ENOMEM;
        row->created_usec = column_u64(stmt, 16);
        row->created_boot_usec = column_u64(stmt, 17);
        return 0;
}

int store_load_attachments(Store *s, int (*cb)(AttachmentRow *row, void *userdata), void *userdata,
                           Error *e) {
        STORE_WALK(s, STMT_LOAD_ATTACHMENTS, AttachmentRow, read_attachment, attachment_row_clear,
                   "attachments");
}

int store_load_last_id(Store *s, uint64_t *ret, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_LAST_ID, e);
        if (!stmt)
                return -EUCLEAN;
        int code = sqlite3_step(stmt);
        if (code != SQLITE_ROW)
                return store_error(s, code, "reading the last id", e);
        *ret = column_u64(stmt, 0);
        return 0;
}

static int put_sequence(Store *s, uint64_t id, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_SEQUENCE, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, id);
        return store_run(s, stmt, "writing the last id", e);
}

int store_touch(Store *s, Error *e) {
        return put_sequence(s, 0, e);
}

int store_load_lost_id(Store *s, uint64_t *ret, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_LOAD_LOST, e);
        if (!stmt)
                return -EUCLEAN;
        int code = sqlite3_step(stmt);
        if (code != SQLITE_ROW)
                return store_error(s, code, "reading the last lost id", e);
        *ret = column_u64(stmt, 0);
        return 0;
}

int store_put_lost_id(Store *s, uint64_t id, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_LOST, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, id);
        return store_run(s, stmt, "writing the last lost id", e);
}

int store_put_attachment(Store *s, const AttachmentRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_ATTACHMENT, e);
        const char *texts[] = { row->network, row->sandbox, row->ifname, row->kind,
                                row->state,   row->request, row->result, row->host_ifname };

        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->id);
        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                bind_text(stmt, (int) i + 2, texts[i]);
        sqlite3_bind_int64(stmt, 10, row->host_ifindex);
        sqlite3_bind_blob(stmt, 11, row->host_mac, sizeof(row->host_mac), SQLITE_STATIC);
        sqlite3_bind_blob(stmt, 12, row->mac, sizeof(row->mac), SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 13, row->mtu);
        sqlite3_bind_int64(stmt, 14, row->group);
        bind_text(stmt, 15, row->config_hash);
        bind_text(stmt, 16, row->plan);
        bind_u64(stmt, 17, row->created_usec);
        bind_u64(stmt, 18, row->created_boot_usec);
        int r = store_run(s, stmt, "writing an attachment", e);
        return r < 0 ? r : put_sequence(s, row->id, e);
}

int store_set_attachment_state(Store *s, uint64_t id, const char *state, uint32_t host_ifindex,
                               const char *result, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_SET_STATE, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, id);
        bind_text(stmt, 2, state);
        sqlite3_bind_int64(stmt, 3, host_ifindex);
        bind_text(stmt, 4, result);
        int r = store_run(s, stmt, "writing an attachment's state", e);
        if (r >= 0 && sqlite3_changes(s->db) == 0) {
                (void) error_setf(e, ERROR_LEDGER,
                                  "ledger %s: there is no attachment %llu to become %s", s->path,
                                  (unsigned long long) id, state);
                return -ENOENT;
        }
        return r;
}

int store_set_attachment_plan(Store *s, uint64_t id, const char *plan, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_SET_PLAN, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, id);
        bind_text(stmt, 2, plan);
        int r = store_run(s, stmt, "writing an attachment's plan", e);
        if (r >= 0 && sqlite3_changes(s->db) == 0) {
                (void) error_setf(e, ERROR_LEDGER,
                                  "ledger %s: there is no attachment %llu to change", s->path,
                                  (unsigned long long) id);
                return -ENOENT;
        }
        return r;
}

int store_delete_attachment(Store *s, uint64_t id, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_ATTACHMENT, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, id);
        return store_run(s, stmt, "deleting an attachment", e);
}
