/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The schema and its migrations. Migration N brings user_version from N-1 to N, inside one
 * transaction; a migration that was released is never changed.
 *
 * Addresses are kept as readable text: a person with sqlite3 is a user too. Unsigned 64-bit values
 * (cookie, ids, inode) are the bit patterns of INTEGER.
 */

#include "store/store-internal.h"

static const char *const migrations[STORE_SCHEMA_VERSION] = {
        /* 1 */
        "CREATE TABLE network ("
        " name TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,"
        " config TEXT NOT NULL, hash TEXT NOT NULL, bridge TEXT, bridge_created INTEGER NOT NULL,"
        " bridge_mac BLOB NOT NULL, mtu INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

        "CREATE TABLE sandbox ("
        " id TEXT PRIMARY KEY NOT NULL, runtime TEXT NOT NULL,"
        " pod_namespace TEXT, pod_name TEXT, pod_uid TEXT, labels TEXT,"
        " netns_path TEXT NOT NULL, netns_cookie INTEGER NOT NULL, netns_dev INTEGER NOT NULL,"
        " netns_ino INTEGER NOT NULL, boot_id TEXT NOT NULL, state TEXT NOT NULL"
        ") STRICT, WITHOUT ROWID;"

        "CREATE TABLE attachment ("
        " id INTEGER PRIMARY KEY NOT NULL,"
        " network TEXT NOT NULL REFERENCES network (name),"
        " sandbox TEXT NOT NULL REFERENCES sandbox (id),"
        " ifname TEXT NOT NULL, kind TEXT NOT NULL, state TEXT NOT NULL,"
        " request TEXT NOT NULL, result TEXT, host_ifname TEXT, host_ifindex INTEGER NOT NULL,"
        " host_mac BLOB NOT NULL, mac BLOB NOT NULL, mtu INTEGER NOT NULL, policy_group INTEGER NOT NULL,"
        " config_hash TEXT NOT NULL, plan TEXT NOT NULL, created_usec INTEGER NOT NULL,"
        " UNIQUE (network, sandbox, ifname)) STRICT;"
        "CREATE INDEX attachment_sandbox ON attachment (sandbox);"

        /* attachment is NULL once released: the row outlives its holder while it cools down. */
        "CREATE TABLE address ("
        " pool TEXT NOT NULL, address TEXT NOT NULL, prefix INTEGER NOT NULL, gateway TEXT,"
        " attachment INTEGER REFERENCES attachment (id),"
        " network TEXT NOT NULL, sandbox TEXT NOT NULL, ifname TEXT NOT NULL,"
        " set_index INTEGER NOT NULL, released_usec INTEGER NOT NULL,"
        " PRIMARY KEY (pool, address)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX address_attachment ON address (attachment);"

        "CREATE TABLE cursor ("
        " network TEXT NOT NULL, set_index INTEGER NOT NULL, address TEXT NOT NULL,"
        " PRIMARY KEY (network, set_index)) STRICT, WITHOUT ROWID;"

        "CREATE TABLE sequence (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"

        "CREATE TABLE event ("
        " seq INTEGER PRIMARY KEY AUTOINCREMENT, usec INTEGER NOT NULL, op TEXT NOT NULL,"
        " network TEXT, sandbox TEXT, ifname TEXT, addresses TEXT, reason TEXT) STRICT;",

        /* 2: what is published and limited. Both go with their attachment: unlike an address, which
         * cools down, they mean nothing without it. */
        "ALTER TABLE network ADD COLUMN link_group INTEGER NOT NULL DEFAULT 0;"

        "CREATE TABLE port ("
        " host_address TEXT NOT NULL, protocol TEXT NOT NULL, host_port INTEGER NOT NULL,"
        " container_port INTEGER NOT NULL,"
        " attachment INTEGER NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
        " PRIMARY KEY (host_address, protocol, host_port)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX port_attachment ON port (attachment);"

        "CREATE TABLE shaping ("
        " attachment INTEGER PRIMARY KEY NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
        " mode TEXT NOT NULL, ingress_rate INTEGER NOT NULL, ingress_burst INTEGER NOT NULL,"
        " egress_rate INTEGER NOT NULL, egress_burst INTEGER NOT NULL) STRICT;",

        /* 3: what tells, later, that the path of a sandbox no longer leads to its namespace. */
        "ALTER TABLE sandbox ADD COLUMN netns_seen INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE sandbox ADD COLUMN netns_start INTEGER NOT NULL DEFAULT 0;",

        /* 4: which of an attachment and a spooled DEL came first. */
        "ALTER TABLE attachment ADD COLUMN created_boot_usec INTEGER NOT NULL DEFAULT 0;",

        /* 5: the audit trail answers questions. since_usec is set (0: unknown) where the event ends what
         * an attachment held; those are found by address, sandbox and pod. What an older event ended is
         * concluded from the one before it. */
        "ALTER TABLE event ADD COLUMN attachment INTEGER;"
        "ALTER TABLE event ADD COLUMN since_usec INTEGER;"
        "ALTER TABLE event ADD COLUMN host_ifname TEXT;"
        "ALTER TABLE event ADD COLUMN pod_namespace TEXT;"
        "ALTER TABLE event ADD COLUMN pod_name TEXT;"
        "ALTER TABLE event ADD COLUMN pod_uid TEXT;"
        "ALTER TABLE event ADD COLUMN ports TEXT;"

        "CREATE INDEX event_before ON event (sandbox, seq);"
        "UPDATE event SET since_usec = coalesce((SELECT iif(b.op = 'add', b.usec, 0) FROM event AS b"
        "  WHERE b.sandbox = event.sandbox AND b.network IS event.network AND b.ifname IS event.ifname"
        "  AND b.seq < event.seq ORDER BY b.seq DESC LIMIT 1), 0)"
        " WHERE op <> 'add';"
        "DROP INDEX event_before;"

        "CREATE INDEX event_ended ON event (usec) WHERE since_usec IS NOT NULL;"
        "CREATE INDEX event_sandbox ON event (sandbox, usec) WHERE since_usec IS NOT NULL;"
        "CREATE INDEX event_pod ON event (pod_namespace, pod_name, usec)"
        " WHERE since_usec IS NOT NULL AND pod_name IS NOT NULL;"
        "CREATE INDEX event_change ON event (attachment, seq)"
        " WHERE since_usec IS NULL AND op <> 'add';"

        "CREATE TABLE event_address ("
        " address TEXT NOT NULL, usec INTEGER NOT NULL,"
        " seq INTEGER NOT NULL REFERENCES event (seq) ON DELETE CASCADE,"
        " PRIMARY KEY (address, usec, seq)) STRICT, WITHOUT ROWID;"
        "CREATE INDEX event_address_seq ON event_address (seq);"
        "WITH RECURSIVE part (seq, usec, address, rest) AS ("
        "  SELECT seq, usec, '', addresses || ',' FROM event WHERE since_usec IS NOT NULL AND addresses <> ''"
        "  UNION ALL SELECT seq, usec, substr(rest, 1, instr(rest, ',') - 1), substr(rest, instr(rest, ',') + 1)"
        "  FROM part WHERE rest <> '')"
        " INSERT OR IGNORE INTO event_address"
        " SELECT substr(address, 1, instr(address || '/', '/') - 1), usec, seq FROM part WHERE address <> '';",

        /* 6: plugins of others that were run for an attachment, with the exact bytes of ADD, which DEL and
         * CHECK repeat. seq: in the order of ADD. */
        "CREATE TABLE delegate ("
        " attachment INTEGER NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
        " seq INTEGER NOT NULL, plugin TEXT NOT NULL, path TEXT NOT NULL, config TEXT NOT NULL,"
        " args TEXT NOT NULL, result TEXT,"
        " PRIMARY KEY (attachment, seq)) STRICT, WITHOUT ROWID;"

        /* Leases of DHCP servers. Times in seconds count from obtained_boot_usec (CLOCK_BOOTTIME of the
         * sandbox's boot). provide, wanted: what the server is sent each time; options: what it sent. */
        "CREATE TABLE lease ("
        " attachment INTEGER PRIMARY KEY NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
        " address TEXT NOT NULL, server TEXT NOT NULL, server_mac BLOB NOT NULL,"
        " obtained_usec INTEGER NOT NULL, obtained_boot_usec INTEGER NOT NULL,"
        " lease_sec INTEGER NOT NULL, t1_sec INTEGER NOT NULL, t2_sec INTEGER NOT NULL,"
        " expired INTEGER NOT NULL, priority INTEGER NOT NULL,"
        " provide BLOB NOT NULL, wanted BLOB NOT NULL, options BLOB NOT NULL) STRICT;"

        /* What was taken over from host-local's directory, and as of when. */
        "CREATE TABLE import ("
        " network TEXT PRIMARY KEY NOT NULL, path TEXT NOT NULL, stamp INTEGER NOT NULL"
        ") STRICT, WITHOUT ROWID;",

        /* 7: the annotations of a pod that netmgr knows; and what becomes of an address once it is released.
         * owner: who gets it again for sticky_sec seconds (-1: until he gives it up by name; 0: nobody
         * does); rest_sec: others wait so long, NULL: CooldownSec. */
        "ALTER TABLE sandbox ADD COLUMN annotations TEXT;"
        "ALTER TABLE address ADD COLUMN owner TEXT;"
        "ALTER TABLE address ADD COLUMN sticky_sec INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE address ADD COLUMN rest_sec INTEGER;",
};

static int get_number(Store *s, const char *sql, int64_t *ret, Error *e) {
        sqlite3_stmt *stmt = NULL;
        int code = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);

        if (code == SQLITE_OK)
                code = sqlite3_step(stmt);
        if (code == SQLITE_ROW)
                *ret = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        return code == SQLITE_ROW ? 0 : store_error(s, code, sql, e);
}

static int run_script(Store *s, const char *sql, const char *what, Error *e) {
        int code = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
        return code == SQLITE_OK ? 0 : store_error(s, code, what, e);
}

int schema_migrate(Store *s, int64_t version, Error *e) {
        /* PRAGMA takes no bound values; the number is the compiler's, not a client's. */
        char pragma[64];

        if (version == STORE_SCHEMA_VERSION)
                return 0;
        int r = run_script(s, "BEGIN IMMEDIATE", "beginning a migration", e);
        for (; r >= 0 && version < STORE_SCHEMA_VERSION; version++)
                r = run_script(s, migrations[version], "migrating the schema", e);
        sqlite3_snprintf(sizeof(pragma), pragma, "PRAGMA user_version=%d", STORE_SCHEMA_VERSION);
        if (r >= 0)
                r = run_script(s, pragma, "setting the schema version", e);
        sqlite3_snprintf(sizeof(pragma), pragma, "PRAGMA application_id=%d", STORE_APPLICATION_ID);
        if (r >= 0)
                r = run_script(s, pragma, "marking the ledger", e);
        if (r >= 0)
                r = run_script(s, "COMMIT", "ending a migration", e);
        if (r < 0)
                (void) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        return r;
}

int schema_identify(Store *s, int64_t *ret_version, Error *e) {
        int64_t application = 0, version = 0, tables = 0;

        int r = get_number(s, "PRAGMA application_id", &application, e);
        if (r >= 0)
                r = get_number(s, "PRAGMA user_version", &version, e);
        if (r >= 0)
                r = get_number(s, "SELECT count(*) FROM sqlite_schema", &tables, e);
        if (r < 0)
                return r;
        if (tables == 0) {
                *ret_version = 0; /* new, or a first start that ended before its commit */
                return 0;
        }
        /* A database of somebody else is no ledger, whatever it holds. */
        if (application != STORE_APPLICATION_ID)
                return error_setf(e, ERROR_LEDGER, "%s is a database, but not netmgr's", s->path);
        if (version > STORE_SCHEMA_VERSION) {
                (void) error_setf(e, ERROR_LEDGER,
                                  "%s has schema version %lld, this netmgrd knows %d; "
                                  "install the newer netmgr again, or move the file away",
                                  s->path, (long long) version, STORE_SCHEMA_VERSION);
                return -EPROTONOSUPPORT;
        }
        /* Tables and version are committed together, so our tables never have version 0. */
        if (version < 1)
                return error_setf(e, ERROR_LEDGER, "ledger %s is damaged: schema version %lld",
                                  s->path, (long long) version);
        *ret_version = version;
        return 0;
}
