/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening, closing, transactions, statements of the ledger. */

#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "base/parse.h"
#include "store/store-internal.h"

/* The same columns from both halves of the past: what has ended, and what is held. */
#define HISTORY_ENDED(from_where_order)                                                            \
        "SELECT e.attachment, e.since_usec, e.usec, e.op, e.reason, e.network, e.sandbox,"         \
        " e.ifname, e.host_ifname, e.pod_namespace, e.pod_name, e.pod_uid, e.addresses, e.ports"   \
        " FROM " from_where_order
#define ENDED_LATER "e.since_usec IS NOT NULL AND e.usec >= ?1"
#define NEWEST      " ORDER BY e.usec DESC, e.seq DESC"
#define HISTORY_HELD(where)                                                                         \
        "SELECT a.id, a.created_usec, 0, NULL, NULL, a.network, a.sandbox, a.ifname,"               \
        " a.host_ifname, s.pod_namespace, s.pod_name, s.pod_uid,"                                   \
        " (SELECT group_concat(address || '/' || prefix) FROM (SELECT address, prefix FROM address" \
        "  WHERE attachment = a.id ORDER BY set_index)), NULL"                                      \
        " FROM attachment AS a JOIN sandbox AS s ON s.id = a.sandbox WHERE " where                  \
        " ORDER BY a.id DESC"

static const char *const sql[_STMT_MAX] = {
        [STMT_BEGIN] = "BEGIN IMMEDIATE",
        [STMT_COMMIT] = "COMMIT",
        [STMT_ROLLBACK] = "ROLLBACK",
        [STMT_LOAD_NETWORKS] =
                        "SELECT name, kind, source, config, hash, bridge, bridge_created, bridge_mac, mtu,"
                        " link_group FROM network ORDER BY name",
        [STMT_PUT_NETWORK] =
                        "INSERT INTO network VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
                        " ON CONFLICT (name) DO UPDATE SET kind = ?2, source = ?3, config = ?4, hash = ?5,"
                        " bridge = ?6, bridge_created = ?7, bridge_mac = ?8, mtu = ?9, link_group = ?10",
        [STMT_DELETE_NETWORK] = "DELETE FROM network WHERE name = ?1",
        [STMT_LOAD_SANDBOXES] =
                        "SELECT id, runtime, pod_namespace, pod_name, pod_uid, labels, netns_path,"
                        " netns_cookie, netns_dev, netns_ino, boot_id, state, netns_seen, netns_start,"
                        " annotations FROM sandbox ORDER BY id",
        [STMT_PUT_SANDBOX] =
                        "INSERT INTO sandbox VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)"
                        " ON CONFLICT (id) DO UPDATE SET runtime = ?2, pod_namespace = ?3, pod_name = ?4,"
                        " pod_uid = ?5, labels = ?6, netns_path = ?7, netns_cookie = ?8, netns_dev = ?9,"
                        " netns_ino = ?10, boot_id = ?11, state = ?12, netns_seen = ?13, netns_start = ?14,"
                        " annotations = ?15",
        [STMT_CLAIM_SANDBOX] = "UPDATE sandbox SET runtime = ?2, state = ?3 WHERE id = ?1",
        [STMT_DELETE_SANDBOX] = "DELETE FROM sandbox WHERE id = ?1",
        [STMT_LOAD_ATTACHMENTS] =
                        "SELECT id, network, sandbox, ifname, kind, state, request, result, host_ifname,"
                        " host_ifindex, host_mac, mac, mtu, policy_group, config_hash, plan, created_usec,"
                        " created_boot_usec"
                        " FROM attachment ORDER BY id",
        [STMT_PUT_ATTACHMENT] =
                        "INSERT INTO attachment VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12,"
                        " ?13, ?14, ?15, ?16, ?17, ?18)"
                        " ON CONFLICT (id) DO UPDATE SET state = ?6, request = ?7, result = ?8,"
                        " host_ifname = ?9, host_ifindex = ?10, host_mac = ?11, mac = ?12, mtu = ?13,"
                        " policy_group = ?14, config_hash = ?15, plan = ?16",
        [STMT_PUT_SEQUENCE] = "INSERT INTO sequence VALUES ('attachment', ?1)"
                              " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)",
        [STMT_LOAD_LOST] = "SELECT coalesce(max(value), 0) FROM sequence WHERE name = 'lost'",
        [STMT_PUT_LOST] = "INSERT INTO sequence VALUES ('lost', ?1)"
                          " ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)",
        [STMT_SET_STATE] =
                        "UPDATE attachment SET state = ?2, host_ifindex = ?3, result = coalesce(?4, result)"
                        " WHERE id = ?1",
        [STMT_SET_PLAN] = "UPDATE attachment SET plan = ?2 WHERE id = ?1",
        [STMT_DELETE_ATTACHMENT] = "DELETE FROM attachment WHERE id = ?1",
        [STMT_LAST_ID] =
                        "SELECT max((SELECT coalesce(max(value), 0) FROM sequence WHERE name = 'attachment'),"
                        " (SELECT coalesce(max(id), 0) FROM attachment))",
        [STMT_LOAD_ADDRESSES] =
                        "SELECT attachment, pool, address, prefix, gateway, network, sandbox, ifname,"
                        " set_index, released_usec, owner, sticky_sec, rest_sec FROM address"
                        " ORDER BY released_usec, attachment, set_index, pool, address",
        [STMT_PUT_ADDRESS] =
                        "INSERT INTO address VALUES (?2, ?3, ?4, ?5, ?1, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)"
                        " ON CONFLICT (pool, address) DO UPDATE SET prefix = ?4, gateway = ?5,"
                        " attachment = ?1, network = ?6, sandbox = ?7, ifname = ?8, set_index = ?9,"
                        " released_usec = ?10, owner = ?11, sticky_sec = ?12, rest_sec = ?13 WHERE attachment IS NULL OR attachment = ?1",
        [STMT_ADDRESS_HOLDER] =
                        "SELECT network, sandbox, ifname FROM address WHERE pool = ?1 AND address = ?2",
        [STMT_RELEASE_ADDRESSES] =
                        "UPDATE address SET attachment = NULL, released_usec = ?2 WHERE attachment = ?1",
        [STMT_REST_ADDRESS] = "UPDATE address SET attachment = NULL, released_usec = ?3"
                              " WHERE pool = ?1 AND address = ?2",
        [STMT_DELETE_ADDRESS] = "DELETE FROM address WHERE pool = ?1 AND address = ?2",
        [STMT_DISOWN_ADDRESSES] =
                        "UPDATE address SET owner = NULL, sticky_sec = 0 WHERE owner = ?1",
        [STMT_LOAD_PORTS] =
                        "SELECT attachment, host_address, protocol, host_port, container_port FROM port"
                        " ORDER BY attachment, protocol, host_port, host_address",
        [STMT_PUT_PORT] =
                        "INSERT INTO port VALUES (?1, ?2, ?3, ?4, ?5)"
                        " ON CONFLICT (host_address, protocol, host_port) DO UPDATE SET container_port = ?4"
                        " WHERE attachment = ?5",
        [STMT_PORT_HOLDER] = "SELECT a.sandbox, a.ifname, a.network FROM port AS p"
                             " JOIN attachment AS a ON a.id = p.attachment"
                             " WHERE p.host_address = ?1 AND p.protocol = ?2 AND p.host_port = ?3",
        [STMT_DELETE_PORT] =
                        "DELETE FROM port WHERE host_address = ?1 AND protocol = ?2 AND host_port = ?3"
                        " AND attachment = ?4",
        [STMT_LOAD_SHAPINGS] =
                        "SELECT attachment, mode, ingress_rate, ingress_burst, egress_rate, egress_burst"
                        " FROM shaping ORDER BY attachment",
        [STMT_PUT_SHAPING] = "INSERT INTO shaping VALUES (?1, ?2, ?3, ?4, ?5, ?6)"
                             " ON CONFLICT (attachment) DO UPDATE SET mode = ?2, ingress_rate = ?3,"
                             " ingress_burst = ?4, egress_rate = ?5, egress_burst = ?6",
        [STMT_LOAD_LEASES] =
                        "SELECT attachment, address, server, server_mac, obtained_usec, obtained_boot_usec,"
                        " lease_sec, t1_sec, t2_sec, expired, priority, provide, wanted, options"
                        " FROM lease ORDER BY attachment",
        [STMT_PUT_LEASE] =
                        "INSERT OR REPLACE INTO lease VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10,"
                        " ?11, ?12, ?13, ?14)",
        [STMT_UPDATE_LEASE] =
                        "UPDATE lease SET address = ?2, server = ?3, server_mac = ?4, obtained_usec = ?5,"
                        " obtained_boot_usec = ?6, lease_sec = ?7, t1_sec = ?8, t2_sec = ?9, expired = ?10,"
                        " priority = ?11, provide = ?12, wanted = ?13, options = ?14"
                        " WHERE attachment = ?1",
        [STMT_DELETE_PORTS] = "DELETE FROM port WHERE attachment = ?1",
        [STMT_LOAD_DELEGATES] =
                        "SELECT attachment, seq, plugin, path, config, args, result FROM delegate"
                        " ORDER BY attachment, seq",
        [STMT_PUT_DELEGATE] = "INSERT INTO delegate VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                              " ON CONFLICT (attachment, seq) DO UPDATE SET result = ?7",
        [STMT_LOAD_IMPORTS] = "SELECT network, path, stamp FROM import ORDER BY network",
        [STMT_PUT_IMPORT] = "INSERT INTO import VALUES (?1, ?2, ?3)"
                            " ON CONFLICT (network) DO UPDATE SET path = ?2, stamp = ?3",
        [STMT_LOAD_CURSORS] =
                        "SELECT network, set_index, address FROM cursor ORDER BY network, set_index",
        [STMT_PUT_CURSOR] = "INSERT INTO cursor VALUES (?1, ?2, ?3)"
                            " ON CONFLICT (network, set_index) DO UPDATE SET address = ?3",
        [STMT_DELETE_CURSORS] = "DELETE FROM cursor WHERE network = ?1",
        [STMT_ADD_EVENT] =
                        "INSERT INTO event (usec, since_usec, attachment, op, network, sandbox, ifname,"
                        " host_ifname, pod_namespace, pod_name, pod_uid, addresses, ports, reason)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        [STMT_ADD_EVENT_ADDRESS] = "INSERT OR IGNORE INTO event_address VALUES (?1, ?2, ?3)",
        [STMT_TRIM_EVENTS] = "DELETE FROM event WHERE seq IN"
                             " (SELECT seq FROM event WHERE seq <= ?1 ORDER BY seq LIMIT ?2)",
        [STMT_HISTORY_ENDED] = HISTORY_ENDED("event AS e WHERE " ENDED_LATER NEWEST),
        [STMT_HISTORY_ENDED_ADDRESS] =
                        HISTORY_ENDED("event_address AS x JOIN event AS e ON e.seq = x.seq"
                                      " WHERE x.address = ?2 AND x.usec >= ?1"
                                      " ORDER BY x.usec DESC, x.seq DESC"),
        [STMT_HISTORY_ENDED_SANDBOX] =
                        HISTORY_ENDED("event AS e WHERE e.sandbox = ?2 AND " ENDED_LATER NEWEST),
        [STMT_HISTORY_ENDED_POD] =
                        HISTORY_ENDED("event AS e WHERE e.pod_namespace = ?2 AND e.pod_name = ?3"
                                      " AND " ENDED_LATER NEWEST),
        [STMT_HISTORY_HELD] = HISTORY_HELD("TRUE"),
        [STMT_HISTORY_HELD_ADDRESS] = HISTORY_HELD(
                        "a.id IN (SELECT attachment FROM address WHERE address = ?2 AND pool IN"
                        " (SELECT 'host' UNION SELECT name FROM network))"),
        [STMT_HISTORY_HELD_SANDBOX] = HISTORY_HELD("a.sandbox = ?2"),
        [STMT_HISTORY_HELD_POD] = HISTORY_HELD("s.pod_namespace = ?2 AND s.pod_name = ?3"),
        [STMT_HISTORY_PORTS] =
                        "SELECT attachment, host_address, protocol, host_port, container_port"
                        " FROM port WHERE attachment = ?1"
                        " ORDER BY protocol, host_address, host_port",
        [STMT_HISTORY_CHANGES] =
                        "SELECT usec, op, ports FROM event WHERE attachment = ?1 AND since_usec IS NULL"
                        " AND op <> 'add' ORDER BY seq DESC LIMIT ?2",
        [STMT_FIND_SANDBOX] =
                        "SELECT sandbox FROM event WHERE since_usec IS NOT NULL AND sandbox >= ?1"
                        " AND sandbox < ?2 UNION SELECT id FROM sandbox WHERE id >= ?1 AND id < ?2"
                        " ORDER BY 1 LIMIT 2",
        /* As trail_end() would, but for the ranges of ports. */
        [STMT_BOOT_EVENTS] =
                        "INSERT INTO event (usec, since_usec, attachment, op, network, sandbox, ifname,"
                        " host_ifname, pod_namespace, pod_name, pod_uid, addresses, ports, reason)"
                        " SELECT ?2, a.created_usec, a.id, 'reboot', a.network, a.sandbox, a.ifname,"
                        " a.host_ifname, s.pod_namespace, s.pod_name, s.pod_uid,"
                        " (SELECT group_concat(text) FROM (SELECT address || '/' || prefix AS text"
                        "  FROM address WHERE attachment = a.id ORDER BY set_index)),"
                        " (SELECT substr(group_concat(text), 1, ?3) FROM"
                        "  (SELECT iif(instr(host_address, ':'), '[' || host_address || ']', host_address)"
                        "   || ':' || host_port || '->' || container_port || '/' || protocol AS text"
                        "   FROM port WHERE attachment = a.id ORDER BY protocol, host_address, host_port)),"
                        " 'the boot id changed'"
                        " FROM attachment AS a JOIN sandbox AS s ON s.id = a.sandbox"
                        " WHERE s.boot_id <> ?1 AND a.id NOT IN (SELECT attachment FROM delegate)"
                        " ORDER BY a.id",
        [STMT_BOOT_EVENT_ADDRESSES] =
                        "INSERT OR IGNORE INTO event_address SELECT h.address, e.usec, e.seq"
                        " FROM event AS e JOIN address AS h ON h.attachment = e.attachment"
                        " WHERE e.since_usec IS NOT NULL AND e.usec = ?2 AND e.op = 'reboot'",
        [STMT_BOOT_PENDING] = "UPDATE attachment SET state = 'releasing', host_ifindex = 0"
                              " WHERE id IN (SELECT attachment FROM delegate) AND sandbox IN"
                              " (SELECT id FROM sandbox WHERE boot_id <> ?1)",
        /* Flows of what rests may still arrive, unless they are of another boot. */
        /* What was promised, to an owner or to the others of a network, does not depend on this machine. */
        [STMT_BOOT_RESTED] = "DELETE FROM address WHERE attachment IS NULL"
                             " AND sticky_sec = 0 AND rest_sec IS NULL"
                             " AND EXISTS (SELECT 1 FROM sandbox)"
                             " AND NOT EXISTS (SELECT 1 FROM sandbox WHERE boot_id = ?1)",
        [STMT_BOOT_PROMISED] =
                        "UPDATE address SET attachment = NULL, released_usec = ?2"
                        " WHERE (sticky_sec <> 0 OR rest_sec IS NOT NULL) AND attachment IN"
                        " (SELECT a.id FROM attachment AS a JOIN sandbox AS s ON s.id = a.sandbox"
                        "  WHERE s.boot_id <> ?1 AND a.id NOT IN (SELECT attachment FROM delegate))",
        [STMT_BOOT_ADDRESSES] =
                        "DELETE FROM address WHERE attachment IN (SELECT a.id FROM attachment AS a"
                        " JOIN sandbox AS s ON s.id = a.sandbox WHERE s.boot_id <> ?1"
                        " AND a.id NOT IN (SELECT attachment FROM delegate))",
        [STMT_BOOT_ATTACHMENTS] = "DELETE FROM attachment WHERE sandbox IN"
                                  " (SELECT id FROM sandbox WHERE boot_id <> ?1)"
                                  " AND id NOT IN (SELECT attachment FROM delegate)",
        [STMT_BOOT_SANDBOXES] = "DELETE FROM sandbox WHERE boot_id <> ?1"
                                " AND id NOT IN (SELECT sandbox FROM attachment)",
};

static int code_errno(int code) {
        if (code == SQLITE_CONSTRAINT_UNIQUE || code == SQLITE_CONSTRAINT_PRIMARYKEY)
                return EEXIST;
        switch (code & 0xff) {
        case SQLITE_FULL:
                return ENOSPC;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                return EROFS;
        case SQLITE_CORRUPT:
        case SQLITE_NOTADB:
                return EUCLEAN;
        case SQLITE_BUSY:
        case SQLITE_LOCKED:
                return EBUSY;
        case SQLITE_NOMEM:
                return ENOMEM;
        case SQLITE_CONSTRAINT: /* foreign keys and the like: the caller's order is wrong */
                return EINVAL;
        case SQLITE_CANTOPEN:
                return ENOENT;
        default:
                return EIO;
        }
}

int store_error(Store *s, int code, const char *what, Error *e) {
        const char *words = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(code);
        int error = s->db ? sqlite3_system_errno(s->db) : 0;

        switch (code & 0xff) {
        case SQLITE_FULL:
                (void) error_setf(
                                e, ERROR_LEDGER,
                                "ledger %s: %s: no space is left on its file system; make room there",
                                s->path, what);
                break;
        case SQLITE_READONLY:
        case SQLITE_PERM:
                (void) error_setf(
                                e, ERROR_LEDGER,
                                "ledger %s: %s: it cannot be written (%s); make its file system and "
                                "the file writable for netmgrd",
                                s->path, what, words);
                break;
        case SQLITE_IOERR:
                (void) error_setf(
                                e, ERROR_LEDGER,
                                "ledger %s: %s: %s; its file system may have become read-only, see the "
                                "kernel's log",
                                s->path, what, words);
                break;
        case SQLITE_CANTOPEN:
                (void) error_setf(e, ERROR_LEDGER, "ledger %s: %s: %s%s%s", s->path, what, words,
                                  error ? ": " : "", error ? strerror(error) : "");
                break;
        default:
                (void) error_setf(e, ERROR_LEDGER, "ledger %s: %s: %s", s->path, what, words);
        }
        return -code_errno(code);
}

sqlite3_stmt *store_stmt(Store *s, StoreStmt which, Error *e) {
        if (!s->stmts[which]) {
                int code = sqlite3_prepare_v3(s->db, sql[which], -1, SQLITE_PREPARE_PERSISTENT,
                                              &s->stmts[which], NULL);
                if (code != SQLITE_OK) {
                        (void) store_error(s, code, sql[which], e);
                        return NULL;
                }
        }
        return s->stmts[which];
}

int store_run(Store *s, sqlite3_stmt *stmt, const char *what, Error *e) {
        int code = sqlite3_step(stmt);
        if (code == SQLITE_DONE)
                return 0;
        /* The words belong to the statement until it is reset. */
        return store_error(s, code, what, e);
}

int store_set_durable(Store *s, bool durable, Error *e) {
        const char *pragma = durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";

        if (s->durable == durable)
                return 0;
        int code = sqlite3_exec(s->db, pragma, NULL, NULL, NULL);
        if (code != SQLITE_OK)
                return store_error(s, code, pragma, e);
        s->durable = durable;
        return 0;
}

static int run_plain(Store *s, StoreStmt which, Error *e) {
        _cleanup_stmt_ sqlite3_stmt *stmt = store_stmt(s, which, e);
        return stmt ? store_run(s, stmt, sql[which], e) : -EUCLEAN;
}

int store_begin(Store *s, Error *e) {
        return run_plain(s, STMT_BEGIN, e);
}

int store_commit(Store *s, Error *e) {
        return run_plain(s, STMT_COMMIT, e);
}

void store_rollback(Store *s) {
        if (!sqlite3_get_autocommit(s->db))
                (void) run_plain(s, STMT_ROLLBACK, NULL);
}

int store_checkpoint(Store *s, Error *e) {
        int code = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
        return code == SQLITE_OK || code == SQLITE_BUSY ? 0 : store_error(s, code, "checkpoint", e);
}

bool column_text(sqlite3_stmt *stmt, int at, char **ret) {
        const unsigned char *text = sqlite3_column_text(stmt, at);
        *ret = text ? strdup((const char *) text) : NULL;
        return *ret || sqlite3_column_type(stmt, at) == SQLITE_NULL;
}

int column_addr(sqlite3_stmt *stmt, int at, InAddr *ret) {
        const unsigned char *text = sqlite3_column_text(stmt, at);
        return in_addr_parse((const char *) text, ret);
}

/*
 * The file exists afterwards and nobody else may read it. It is closed before SQLite opens it: the
 * kernel drops SQLite's fcntl() locks as soon as this process closes any descriptor of the file, and
 * then a person's sqlite3 takes itself for the last one and deletes the log under us.
 */
static int create_file(Store *s, Error *e) {
        _cleanup_close_ int fd =
                        open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        struct stat st;

        if (fd < 0 || fstat(fd, &st) < 0)
                return error_set_errnof(e, ERROR_LEDGER, errno, "opening the ledger %s", s->path);
        if (!S_ISREG(st.st_mode))
                return error_set_errnof(e, ERROR_LEDGER, EBADFD, "the ledger %s is no regular file",
                                        s->path);
        if ((st.st_mode & 07777) != 0600 && fchmod(fd, 0600) < 0)
                return error_set_errnof(e, ERROR_LEDGER, errno, "making %s private", s->path);
        return 0;
}

/* A connection that has written nothing, and will not by being closed: the -wal of a damaged ledger
 * is evidence, and a newer one is not ours to touch. */
static int connect_database(Store *s, Error *e) {
        int code = sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
                                   NULL);

        if (code == SQLITE_OK)
                code = sqlite3_extended_result_codes(s->db, 1);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(s->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_busy_timeout(s->db, 1000);
        if (code == SQLITE_OK)
                code = sqlite3_exec(s->db, "PRAGMA cell_size_check=ON; PRAGMA cache_size=-512",
                                    NULL, NULL, NULL);
        return code == SQLITE_OK ? 0 : store_error(s, code, "opening", e);
}

static int check_database(Store *s, Error *e) {
        sqlite3_stmt *check = NULL;
        int r = -EUCLEAN;

        int code = sqlite3_prepare_v2(s->db, "PRAGMA quick_check(1)", -1, &check, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_step(check);
        const char *said = code == SQLITE_ROW ? (const char *) sqlite3_column_text(check, 0) : NULL;
        if (!said)
                r = store_error(s, code, "checking", e); /* -EIO and -EBUSY are no damage */
        else if (streq(said, "ok"))
                r = 0;
        else
                (void) error_setf(e, ERROR_LEDGER, "ledger %s is damaged: %s", s->path, said);
        sqlite3_finalize(check);
        return r;
}

/* From here on it may be written. */
static int set_modes(Store *s, Error *e) {
        static const char *const pragmas[] = {
                "PRAGMA synchronous=NORMAL",         "PRAGMA foreign_keys=ON",
                "PRAGMA wal_autocheckpoint=0",       "PRAGMA temp_store=MEMORY",
                "PRAGMA journal_size_limit=4194304",
        };
        sqlite3_stmt *mode = NULL;
        int r = 0;

        /* A file system without shared memory keeps the old mode, and says so in the answer only. */
        int code = sqlite3_prepare_v2(s->db, "PRAGMA journal_mode=WAL", -1, &mode, NULL);
        if (code == SQLITE_OK)
                code = sqlite3_step(mode);
        if (code != SQLITE_ROW)
                r = store_error(s, code, "PRAGMA journal_mode=WAL", e);
        else if (!streq_ptr((const char *) sqlite3_column_text(mode, 0), "wal"))
                r = error_set_errnof(e, ERROR_LEDGER, EOPNOTSUPP,
                                     "ledger %s: this file system cannot hold a write-ahead log",
                                     s->path);
        sqlite3_finalize(mode);
        for (size_t i = 0; i < ELEMENTSOF(pragmas) && r >= 0; i++) {
                code = sqlite3_exec(s->db, pragmas[i], NULL, NULL, NULL);
                if (code != SQLITE_OK)
                        r = store_error(s, code, pragmas[i], e);
        }
        return r;
}

/* All of them at once: tables that are not as they were made are found now, not at the first ADD. */
static int prepare_all(Store *s, Error *e) {
        for (StoreStmt i = 0; i < _STMT_MAX; i++)
                if (!store_stmt(s, i, e))
                        return (sqlite3_errcode(s->db) & 0xff) == SQLITE_ERROR
                                               ? -EUCLEAN
                                               : -code_errno(sqlite3_errcode(s->db));
        return 0;
}

/* Everything but the lock; -EUCLEAN for a file that is no ledger. */
static int open_database(Store *s, Error *e) {
        int64_t version = 0;

        int r = create_file(s, e);
        if (r >= 0)
                r = connect_database(s, e);
        if (r >= 0)
                r = schema_identify(s, &version, e);
        if (r >= 0)
                r = check_database(s, e);
        if (r >= 0)
                r = set_modes(s, e);
        if (r >= 0)
                r = schema_migrate(s, version, e);
        if (r >= 0)
                r = prepare_all(s, e);
        if (r >= 0)
                (void) sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
        return r;
}

static void close_database(Store *s) {
        for (int i = 0; i < _STMT_MAX; i++) {
                sqlite3_finalize(s->stmts[i]);
                s->stmts[i] = NULL;
        }
        sqlite3_close(s->db);
        s->db = NULL;
}

/* A name that nobody has, also when the second damage comes within a second. The lock keeps it free. */
static int pick_aside(Store *s, char **ret, Error *e) {
        for (long long when = time(NULL);; when++) {
                _cleanup_free_ char *aside = strf("%s.damaged-%lld", s->path, when);
                _cleanup_free_ char *wal = aside ? strf("%s-wal", aside) : NULL;
                struct stat st;

                if (!wal)
                        return error_oom(e);
                if (lstat(aside, &st) < 0 && lstat(wal, &st) < 0) {
                        *ret = TAKE_PTR(aside);
                        return 0;
                }
        }
}

/* A log without its database: committed rows are in there, and SQLite would delete it. */
static bool has_orphaned_log(Store *s) {
        _cleanup_free_ char *wal = strf("%s-wal", s->path);
        struct stat st;

        if (!wal || (stat(s->path, &st) >= 0 && st.st_size > 0))
                return false;
        return stat(wal, &st) >= 0 && st.st_size > 0;
}

/* Never deletes: a person may want to look, or to carry addresses over. The database goes first, so
 * that after a crash in between has_orphaned_log() finds the rest. */
static int set_aside(Store *s, char **ret, Error *e) {
        static const char *const suffixes[] = { "", "-wal", "-shm", "-journal" };
        _cleanup_free_ char *aside = NULL;

        int r = pick_aside(s, &aside, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++) {
                _cleanup_free_ char *from = strf("%s%s", s->path, suffixes[i]),
                                    *to = strf("%s%s", aside, suffixes[i]);
                if (!from || !to)
                        return error_oom(e);
                if (rename(from, to) < 0 && errno != ENOENT)
                        return error_set_errnof(e, ERROR_LEDGER, errno,
                                                "setting the damaged ledger %s aside", from);
        }
        *ret = TAKE_PTR(aside);
        return 0;
}

static int take_lock(Store *s, const char *dir, Error *e) {
        _cleanup_free_ char *path = strf("%s/netmgr.lock", dir);

        if (!path)
                return error_oom(e);
        s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (s->lock_fd < 0)
                return error_set_errnof(e, ERROR_LEDGER, errno, "opening %s", path);
        if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
                if (errno == EWOULDBLOCK)
                        return error_set_errnof(
                                        e, ERROR_LEDGER, EBUSY,
                                        "another netmgrd has the ledger in %s; stop it, or use --state-dir",
                                        dir);
                return error_set_errnof(e, ERROR_LEDGER, errno, "locking %s", path);
        }
        return 0;
}

int store_open(const char *dir, Store **ret, char **ret_set_aside, Error *e) {
        _cleanup_(store_closep) Store *s = new0(Store, 1);
        _cleanup_error_ Error damage = ERROR_NULL;
        _cleanup_free_ char *aside = NULL;

        if (!s)
                return error_oom(e);
        s->lock_fd = -EBADF;
        s->path = strf("%s/netmgr.db", dir);
        if (!s->path)
                return error_oom(e);
        int r = take_lock(s, dir, e);
        if (r < 0)
                return r;

        if (has_orphaned_log(s))
                r = error_setf(&damage, ERROR_LEDGER, "%s-wal is there without its ledger",
                               s->path);
        else
                r = open_database(s, &damage);
        if (r == -EUCLEAN) {
                close_database(s);
                r = set_aside(s, &aside, e);
                if (r < 0)
                        return r;
                log_event(LOG_ERR, LOG_ID_LEDGER_SET_ASIDE,
                          &(LogContext) { .reason = error_message(&damage) },
                          "%s; set aside as %s, a new ledger is begun", error_message(&damage),
                          aside);
                r = open_database(s, e);
        } else if (r < 0)
                (void) error_setf(e, damage.kind, "%s", error_message(&damage));
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        *ret_set_aside = TAKE_PTR(aside);
        return 0;
}

Store *store_close(Store *s) {
        if (!s)
                return NULL;
        if (s->db)
                (void) sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL,
                                                 NULL);
        close_database(s);
        safe_close(s->lock_fd);
        free(s->path);
        free(s);
        return NULL;
}
