/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Opening the ledger: new, older, newer, damaged, foreign, somebody else's. */

#include "store-test.h"

/* ---- files --------------------------------------------------------------------------------------- */

static void test_new_file(void **state) {
        mode_t old = umask(0);
        Store *s = open_store(*state);
        _cleanup_free_ char *path = db_path(*state), *wal = strf("%s-wal", path);
        struct stat st;

        umask(old);
        put_base(s);
        assert_return_code(stat(path, &st), errno);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_return_code(stat(wal, &st), errno);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(ask(*state, "PRAGMA application_id"), STORE_APPLICATION_ID);
        assert_int_equal(ask(*state, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
        /* STRICT and foreign keys are in the file, WAL too */
        assert_int_equal(ask(*state, "SELECT count(*) FROM pragma_table_list WHERE schema = 'main'"
                                     " AND name NOT LIKE 'sqlite_%' AND NOT strict"),
                         0);
        assert_int_equal(ask(*state, "SELECT journal_mode = 'wal' FROM pragma_journal_mode"), 1);
        store_close(s);
        assert_int_equal(access(wal, F_OK), -1); /* a clean stop leaves one file */
}

static void test_migration_of_an_empty_file(void **state) {
        _cleanup_free_ char *path = db_path(*state);

        overwrite(path, 0, "", 0);
        Store *s = open_store(*state);
        put_base(s);
        store_close(s);
        s = open_store(*state);
        assert_int_equal(count_networks(s), 1);
        store_close(s);
}

/* Schema 1 as it was released, and rows of that time: what an update finds on a node. */
static const char version_1[] =
                "PRAGMA journal_mode=WAL; PRAGMA application_id=0x4e4d4752; PRAGMA user_version=1;"
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
                " host_mac BLOB NOT NULL, mac BLOB NOT NULL, mtu INTEGER NOT NULL,"
                " policy_group INTEGER NOT NULL, config_hash TEXT NOT NULL, plan TEXT NOT NULL,"
                " created_usec INTEGER NOT NULL,"
                " UNIQUE (network, sandbox, ifname)) STRICT;"
                "CREATE INDEX attachment_sandbox ON attachment (sandbox);"
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
                "CREATE TABLE sequence (name TEXT PRIMARY KEY NOT NULL, value INTEGER NOT NULL)"
                " STRICT, WITHOUT ROWID;"
                "CREATE TABLE event ("
                " seq INTEGER PRIMARY KEY AUTOINCREMENT, usec INTEGER NOT NULL, op TEXT NOT NULL,"
                " network TEXT, sandbox TEXT, ifname TEXT, addresses TEXT, reason TEXT) STRICT;"
                "INSERT INTO network VALUES ('net', 'bridge', 'dbus', '{}', '0123456789abcdef',"
                " 'nmb-net', 1, x'020102030405', 1450);"
                "INSERT INTO sandbox VALUES ('sb', '', NULL, NULL, NULL, NULL, '/run/netns/a', -2, 4,"
                " 5, 'boot', 'ready');"
                "INSERT INTO attachment VALUES (7, 'net', 'sb', 'eth0', 'bridge', 'up', '{}', '{}',"
                " 'nmg7', 42, x'020000000001', x'020000000002', 1450, 0, '00', '{}', 1);"
                "INSERT INTO address VALUES ('host', '10.97.0.2', 24, '10.97.0.1', 7, 'net', 'sb',"
                " 'eth0', 0, 0);"
                "INSERT INTO cursor VALUES ('net', 0, '10.97.0.2');"
                "INSERT INTO sequence VALUES ('attachment', 9);"
                "INSERT INTO event VALUES (3, 1, 'add', 'net', 'sb', 'eth0', '10.97.0.2/24', NULL);";

static void test_migration_from_version_1(void **state) {
        _cleanup_(attachment_row_clear) AttachmentRow a = { 0 };
        _cleanup_(network_row_clear) NetworkRow n = { 0 };
        _cleanup_(addresses_clear) Addresses held = { 0 };
        _cleanup_free_ char *path = db_path(*state);
        PortRow port = port_row(7, "0.0.0.0", 80);
        uint64_t id = 0;

        change(path, version_1);
        Store *s = open_store(*state);
        assert_int_equal(ask(*state, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
        assert_ok(store_load_networks(s, keep_network, &n, &e));
        assert_string_equal(n.bridge, "nmb-net");
        assert_int_equal(n.mtu, 1450);
        assert_int_equal(n.group, 0); /* to be decided */
        assert_ok(store_load_attachments(s, keep_attachment, &a, &e));
        assert_true(a.created_boot_usec == 0); /* nobody noted it */
        assert_int_equal(a.id, 7);
        assert_string_equal(a.state, "up");
        assert_ok(store_load_addresses(s, keep_address, &held, &e));
        assert_int_equal(held.n, 1);
        assert_int_equal(held.rows[0].attachment, 7);
        assert_ok(store_load_last_id(s, &id, &e));
        assert_int_equal(id, 9);
        assert_int_equal(
                        ask(*state,
                            "SELECT (SELECT count(*) FROM sandbox) * 100"
                            " + (SELECT count(*) FROM cursor) * 10 + (SELECT max(seq) FROM event)"),
                        113);
        /* and it is used like a new one */
        assert_ok(store_put_port(s, &port, &e));
        n.group = 5;
        assert_ok(store_put_network(s, &n, &e));
        store_close(s);
        s = open_store(*state);
        assert_ok(store_load_networks(s, keep_network, &n, &e));
        assert_int_equal(n.group, 5);
        assert_int_equal(ask(*state, "SELECT attachment FROM port"), 7);
        store_close(s);
}

/* The same tables, whether migrated or made new; columns in the same order. */
static void test_migrated_is_like_new(void **state) {
        static const char shape[] = "SELECT (SELECT count(*) FROM sqlite_schema) + sum((c.cid + 1)"
                                    " * (unicode(c.name) * 31 + length(c.name) * 7 + length(c.type)"
                                    " + c.\"notnull\" * 1000 + c.pk * 5000))"
                                    " FROM sqlite_schema AS m, pragma_table_info(m.name) AS c"
                                    " WHERE m.type = 'table'";
        _cleanup_free_ char *dir = strf("%s/old", (char *) *state), *path = NULL;

        assert_return_code(mkdir(dir, 0700), errno);
        path = db_path(dir);
        change(path, version_1);
        store_close(open_store(dir));
        store_close(open_store(*state));
        assert_int_equal(ask(dir, shape), ask(*state, shape));
}

/* All or nothing: a table of somebody's that stands in the way stops it in its last step. */
static void test_migration_that_fails(void **state) {
        _cleanup_free_ char *path = db_path(*state), *aside = NULL;
        Store *s = NULL;

        change(path, version_1);
        change(path, "CREATE TABLE shaping (theirs)");
        assert_refused(store_open(*state, &s, &aside, &e), EIO, "shaping");
        assert_null(aside);
        assert_int_equal(ask(*state, "PRAGMA user_version"), 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM attachment"), 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM sqlite_schema WHERE name = 'port'"), 0);
        change(path, "DROP TABLE shaping");
        s = open_store(*state);
        assert_int_equal(count_networks(s), 1);
        store_close(s);
}

static void test_second_opener(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        char *aside = TEXT("untouched");
        Store *second = NULL;

        assert_refused(store_open(*state, &second, &aside, &e), EBUSY, (const char *) *state);
        assert_null(second);
        assert_string_equal(aside, "untouched");
        put_base(s); /* the first one goes on */
}

static void test_no_directory(void **state) {
        _cleanup_free_ char *dir = strf("%s/none", (char *) *state);
        char *aside = NULL;
        Store *s = NULL;

        assert_refused(store_open(dir, &s, &aside, &e), ENOENT, "/none");
        assert_int_equal(access(dir, F_OK), -1);
}

static void test_read_only_directory(void **state) {
        int status;

        assert_return_code(chmod(*state, 0555), errno);
        pid_t pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                _cleanup_error_ Error e = ERROR_NULL;
                char *aside = NULL;
                Store *s = NULL;

                if (geteuid() == 0 && setresuid(65534, 65534, 65534) < 0)
                        _exit(2);
                int r = store_open(*state, &s, &aside, &e);
                _exit(r == -EACCES && strstr(error_message(&e), *state) ? 0 : 1);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_return_code(chmod(*state, 0700), errno);
}

/* A ledger with a few hundred rows, closed; the size of its file. */
static off_t fill(const char *dir) {
        _cleanup_free_ char *path = db_path(dir);
        Store *s = open_store(dir);
        struct stat st;

        put_base(s);
        assert_ok(store_begin(s, &e));
        for (unsigned i = 2; i < 300; i++) {
                _cleanup_free_ char *ifname = strf("eth%u", i),
                                    *address = strf("10.97.%u.%u/32", i / 256, i % 256);
                AttachmentRow a = attachment_row(i, "sb", ifname);
                AddressRow row = address_row(i, "host", address);

                assert_ok(store_put_attachment(s, &a, &e));
                assert_ok(store_put_address(s, &row, &e));
        }
        assert_ok(store_commit(s, &e));
        store_close(s);
        assert_return_code(stat(path, &st), errno);
        return st.st_size;
}

/* The damaged file is kept byte for byte, named in the answer, and a new ledger works. */
static void assert_set_aside(const char *dir, off_t size) {
        _cleanup_free_ char *aside = NULL, *prefix = strf("%s/netmgr.db.damaged-", dir);
        Store *s = NULL;
        struct stat st;

        assert_ok(store_open(dir, &s, &aside, &e));
        assert_non_null(aside);
        assert_int_equal(strncmp(aside, prefix, strlen(prefix)), 0);
        assert_return_code(stat(aside, &st), errno);
        assert_int_equal(st.st_size, size);
        assert_int_equal(count_networks(s), 0);
        put_base(s);
        store_close(s);
        s = open_store(dir);
        assert_int_equal(count_networks(s), 1);
        store_close(s);
}

static void test_truncated(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        off_t half = fill(*state) / 2 + 100;

        assert_return_code(truncate(path, half), errno);
        assert_set_aside(*state, half);
}

static void test_garbage_header(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        off_t size = fill(*state);

        overwrite(path, 0, "This is not the database that it was", 36);
        assert_set_aside(*state, size);
}

static void test_garbage_page(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        off_t size = fill(*state);
        uint8_t page[4096];

        memset(page, 0xa5, sizeof(page));
        overwrite(path, 4096 * 5, page, sizeof(page));
        assert_set_aside(*state, size);
}

static void test_something_else(void **state) {
        _cleanup_free_ char *path = db_path(*state);

        overwrite(path, 0,
                  "no database at all, and longer than a hundred bytes: ............................"
                  "...........................",
                  107);
        assert_set_aside(*state, 107);
}

static void test_foreign_database(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        struct stat st;

        change(path,
               "PRAGMA application_id=1234; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (7)");
        assert_return_code(stat(path, &st), errno);
        assert_set_aside(*state, st.st_size);
        assert_int_equal(count_aside(*state), 1);
}

static void test_newer_version(void **state) {
        _cleanup_free_ char *path = db_path(*state), *aside = NULL;
        Store *s = open_store(*state);

        put_base(s);
        store_close(s);
        change(path, "PRAGMA user_version=1000");
        s = NULL;
        assert_refused(store_open(*state, &s, &aside, &e), EPROTONOSUPPORT, "1000");
        assert_null(s);
        assert_null(aside);
        assert_int_equal(count_aside(*state), 0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM attachment"), 1); /* left alone */
        _cleanup_free_ char *ours = strf("PRAGMA user_version=%d", STORE_SCHEMA_VERSION);
        change(path, ours);
        s = open_store(*state);
        assert_int_equal(count_networks(s), 1);
        store_close(s);
}

/* Damaged, foreign or newer: until it is known whose it is, not a byte of it changes. */
static void assert_kept(const char *dir, const char *script) {
        _cleanup_free_ char *path = db_path(dir), *aside = NULL, *before = NULL, *after = NULL;
        size_t size, size_after;
        Store *s = NULL;

        change(path, script);
        assert_return_code(file_read_full(AT_FDCWD, path, 1 << 20, &before, &size), 0);
        int r = store_open(dir, &s, &aside, NULL);
        assert_true((r >= 0) == (aside != NULL));
        assert_return_code(file_read_full(AT_FDCWD, aside ? aside : path, 1 << 20, &after,
                                          &size_after),
                           0);
        assert_int_equal(size, size_after);
        assert_memory_equal(before, after, size);
        store_close(s);
}

static void test_not_written_before_it_is_known(void **state) {
        assert_kept(*state, "PRAGMA application_id=5; CREATE TABLE t (a)");
        assert_kept(*state, "PRAGMA user_version=-1"); /* negative: damaged, and no index */
        assert_kept(*state, "PRAGMA user_version=0");  /* ours, but the version is gone */
        assert_int_equal(count_aside(*state), 3);      /* within a second, none overwritten */
        assert_kept(*state, "PRAGMA journal_mode=DELETE; PRAGMA user_version=1000");
}

static void test_missing_table(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        struct stat st;

        store_close(open_store(*state));
        change(path, "DROP TABLE cursor");
        assert_return_code(stat(path, &st), errno);
        assert_set_aside(*state, st.st_size);
}

static void test_log_without_its_ledger(void **state) {
        _cleanup_free_ char *path = db_path(*state), *aside = NULL, *wal = NULL;
        Store *s = NULL;

        kill_a_writer(*state, true);
        assert_return_code(unlink(path), errno);
        assert_ok(store_open(*state, &s, &aside, &e));
        assert_non_null(aside);
        wal = strf("%s-wal", aside);
        assert_int_equal(access(wal, F_OK), 0);
        assert_int_equal(count_networks(s), 0);
        store_close(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                in_dir(test_new_file),
                in_dir(test_migration_of_an_empty_file),
                in_dir(test_migration_from_version_1),
                in_dir(test_migrated_is_like_new),
                in_dir(test_migration_that_fails),
                in_dir(test_second_opener),
                in_dir(test_no_directory),
                in_dir(test_read_only_directory),
                in_dir(test_truncated),
                in_dir(test_garbage_header),
                in_dir(test_garbage_page),
                in_dir(test_something_else),
                in_dir(test_foreign_database),
                in_dir(test_newer_version),
                in_dir(test_not_written_before_it_is_known),
                in_dir(test_missing_table),
                in_dir(test_log_without_its_ledger),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
