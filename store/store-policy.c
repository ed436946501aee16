/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Tables `port` and `shaping`: what is published of an attachment, and how fast it may be. */

#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "store/store-internal.h"

/* A person with sqlite3 reads "tcp" rather than 6. */
static bool column_protocol(sqlite3_stmt *stmt, int at, uint8_t *ret) {
        const char *text = (const char *) sqlite3_column_text(stmt, at);

        return text && protocol_parse(text, ret) >= 0 && streq(text, protocol_name(*ret));
}

static bool column_port(sqlite3_stmt *stmt, int at, uint16_t *ret) {
        int64_t v = sqlite3_column_int64(stmt, at);

        if (v < 1 || v > UINT16_MAX)
                return false;
        *ret = (uint16_t) v;
        return true;
}

void port_row_clear(PortRow *r) {
        *r = (PortRow) { 0 };
}

void shaping_row_clear(ShapingRow *r) {
        free(r->mode);
        *r = (ShapingRow) { 0 };
}

int port_row_read(sqlite3_stmt *stmt, PortRow *row) {
        row->attachment = column_u64(stmt, 0);
        if (column_addr(stmt, 1, &row->host) < 0 || !column_protocol(stmt, 2, &row->protocol) ||
            !column_port(stmt, 3, &row->host_port) || !column_port(stmt, 4, &row->container_port))
                return -EUCLEAN;
        return 0;
}

int store_load_ports(Store *s, int (*cb)(PortRow *row, void *userdata), void *userdata, Error *e) {
        STORE_WALK(s, STMT_LOAD_PORTS, PortRow, port_row_read, port_row_clear, "ports");
}

/* Everything that a port's key may be wrong in; a row that could not be read again is not written. */
static int check_port(const PortRow *row, Error *e) {
        if (!in_addr_is_set(&row->host) || !protocol_name(row->protocol) || row->host_port == 0)
                return error_setf(e, ERROR_INTERNAL,
                                  "host port %u of protocol %u has no address, protocol or number",
                                  row->host_port, row->protocol);
        return 0;
}

static int refuse_held(Store *s, const PortRow *row, const char *host, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PORT_HOLDER, e);

        if (!stmt)
                return -EUCLEAN;
        bind_text(stmt, 1, host);
        bind_text(stmt, 2, protocol_name(row->protocol));
        sqlite3_bind_int(stmt, 3, row->host_port);
        if (sqlite3_step(stmt) == SQLITE_ROW)
                (void) error_setf(
                                e, ERROR_PORT_IN_USE,
                                "host port %u/%s is held by sandbox %s (interface %s, network %s)",
                                row->host_port, protocol_name(row->protocol),
                                sqlite3_column_text(stmt, 0), sqlite3_column_text(stmt, 1),
                                sqlite3_column_text(stmt, 2));
        return -EEXIST;
}

int store_put_port(Store *s, const PortRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_PORT, e);
        char host[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        int r = check_port(row, e);
        if (r < 0)
                return r;
        if (row->container_port == 0)
                return error_setf(e, ERROR_INTERNAL, "host port %u leads to container port 0",
                                  row->host_port);
        bind_text(stmt, 1, in_addr_format(&row->host, host));
        bind_text(stmt, 2, protocol_name(row->protocol));
        sqlite3_bind_int(stmt, 3, row->host_port);
        sqlite3_bind_int(stmt, 4, row->container_port);
        bind_u64(stmt, 5, row->attachment);
        r = store_run(s, stmt, "writing a port", e);
        if (r < 0)
                return r;
        return sqlite3_changes(s->db) == 0 ? refuse_held(s, row, host, e) : 0;
}

int store_delete_port(Store *s, const PortRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_DELETE_PORT, e);
        char host[IN_ADDR_STR_MAX];

        if (!stmt)
                return -EUCLEAN;
        int r = check_port(row, e);
        if (r < 0)
                return r;
        bind_text(stmt, 1, in_addr_format(&row->host, host));
        bind_text(stmt, 2, protocol_name(row->protocol));
        sqlite3_bind_int(stmt, 3, row->host_port);
        bind_u64(stmt, 4, row->attachment);
        r = store_run(s, stmt, "deleting a port", e);
        if (r >= 0 && sqlite3_changes(s->db) == 0) {
                (void) error_setf(e, ERROR_LEDGER,
                                  "ledger %s: attachment %llu has no host port %u/%s on %s",
                                  s->path, (unsigned long long) row->attachment, row->host_port,
                                  protocol_name(row->protocol), host);
                return -ENOENT;
        }
        return r;
}

static int read_shaping(sqlite3_stmt *stmt, ShapingRow *row) {
        row->attachment = column_u64(stmt, 0);
        if (!column_text(stmt, 1, &row->mode))
                return -ENOMEM;
        row->ingress_rate = column_u64(stmt, 2);
        row->ingress_burst = column_u64(stmt, 3);
        row->egress_rate = column_u64(stmt, 4);
        row->egress_burst = column_u64(stmt, 5);
        return 0;
}

int store_load_shapings(Store *s, int (*cb)(ShapingRow *row, void *userdata), void *userdata,
                        Error *e) {
        STORE_WALK(s, STMT_LOAD_SHAPINGS, ShapingRow, read_shaping, shaping_row_clear, "shapings");
}

int store_put_shaping(Store *s, const ShapingRow *row, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, STMT_PUT_SHAPING, e);
        if (!stmt)
                return -EUCLEAN;
        bind_u64(stmt, 1, row->attachment);
        bind_text(stmt, 2, row->mode);
        bind_u64(stmt, 3, row->ingress_rate);
        bind_u64(stmt, 4, row->ingress_burst);
        bind_u64(stmt, 5, row->egress_rate);
        bind_u64(stmt, 6, row->egress_burst);
        return store_run(s, stmt, "writing limits", e);
}

/* ---- as text ---------------------------------------------------------------------------------- */

static bool follows(const PortRow *first, const PortRow *p, unsigned distance) {
        return p->protocol == first->protocol && in_addr_equal(&p->host, &first->host) &&
               p->host_port == first->host_port + distance &&
               p->container_port == first->container_port + distance;
}

/* "-9" of the range's last port, or nothing. */
static const char *to_last(unsigned first, unsigned distance, char buf[static 8]) {
        buf[0] = '\0';
        if (distance > 0)
                snprintf(buf, 8, "-%u", (first + distance) & 0xffffU);
        return buf;
}

char *ports_format(const PortRow *ports, size_t n) {
        /* Room for one more range and for the end. */
        char *text = malloc(EVENT_PORTS_MAX + 1), last[2][8];
        size_t size = 0, room = EVENT_PORTS_MAX - strlen(",...");

        if (!text)
                return NULL;
        text[0] = '\0';
        for (size_t i = 0, k; i < n; i = k) {
                const PortRow *p = &ports[i];
                bool v6 = p->host.family == AF_INET6;
                char one[160];

                for (k = i + 1; k < n && follows(p, &ports[k], (unsigned) (k - i));)
                        k++;
                int len = snprintf(one, sizeof(one), "%s%s%s%s:%u%s->%u%s/%s", i ? "," : "",
                                   v6 ? "[" : "", IN_ADDR_STR(&p->host), v6 ? "]" : "",
                                   p->host_port,
                                   to_last(p->host_port, (unsigned) (k - i - 1), last[0]),
                                   p->container_port,
                                   to_last(p->container_port, (unsigned) (k - i - 1), last[1]),
                                   strempty(protocol_name(p->protocol)));
                if (size + (size_t) len > room) {
                        strcpy(text + size, ",...");
                        break;
                }
                memcpy(text + size, one, (size_t) len + 1);
                size += (size_t) len;
        }
        return text;
}
