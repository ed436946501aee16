/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Transactions of the ledger, and what a crash leaves of them. */

#include "store-test.h"

/* ---- transactions -------------------------------------------------------------------------------- */

static void test_rollback(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        NetworkRow row = network_row("net");

        store_rollback(s); /* outside of a transaction: nothing */
        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &row, &e));
        assert_int_equal(count_networks(s), 1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM network"), 0); /* nobody else sees it */
        store_rollback(s);
        assert_int_equal(count_networks(s), 0);

        /* closing is no commit */
        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &row, &e));
        s = store_close(s);
        s = open_store(*state);
        assert_int_equal(count_networks(s), 0);

        assert_ok(store_begin(s, &e));
        assert_true(store_begin(s, NULL) < 0); /* not nested */
        store_rollback(s);
        assert_true(store_commit(s, NULL) < 0); /* nothing to commit */
        put_base(s);
        assert_ok(store_checkpoint(s, &e));
        assert_int_equal(count_networks(s), 1);
}

static void test_full_disk(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_free_ char *big = calloc(1, 200001);
        NetworkRow row = network_row("big");

        assert_non_null(big);
        memset(big, 'x', 200000);
        row.config = big;
        assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count=30", NULL, NULL, NULL),
                         SQLITE_OK);
        assert_ok(store_begin(s, &e));
        assert_refused(store_put_network(s, &row, &e), ENOSPC, "netmgr.db");
        store_rollback(s);
        row.config = TEXT("{}");
        assert_ok(store_put_network(s, &row, &e)); /* and it goes on */
        assert_int_equal(count_networks(s), 1);
}

static void test_another_writer(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_free_ char *path = db_path(*state);
        sqlite3 *person = NULL;

        assert_int_equal(sqlite3_open(path, &person), SQLITE_OK);
        assert_int_equal(sqlite3_exec(person, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
        assert_refused(store_begin(s, &e), EBUSY, "netmgr.db");
        assert_int_equal(sqlite3_exec(person, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(person);
        put_base(s);
}

/* A person's sqlite3 beside us, in another process, must not take itself for the last user: it would
 * delete the log on leaving, and what is committed after that would be seen by nobody. */
static void test_another_process_leaves(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_free_ char *path = db_path(*state), *wal = strf("%s-wal", path);
        NetworkRow row = network_row("later");
        int status;

        put_base(s);
        pid_t pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                execlp("/usr/bin/python3", "python3", "-c",
                       "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]);"
                       "assert d.execute('SELECT count(*) FROM network').fetchone() == (1,); d.close()",
                       path, NULL);
                _exit(127);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
        assert_int_equal(access(wal, F_OK), 0);
        assert_ok(store_put_network(s, &row, &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM network"), 2);
}

/* ---- crashes ------------------------------------------------------------------------------------- */

static void test_kill_inside_a_transaction(void **state) {
        Store *s = open_store(*state);

        put_base(s);
        store_close(s);
        kill_a_writer(*state, false);
        s = open_store(*state);
        assert_int_equal(count_networks(s), 1); /* "net" only */
        store_close(s);
}

static void test_kill_after_commit(void **state) {
        _cleanup_(network_row_clear) NetworkRow row = { 0 };

        kill_a_writer(*state, true);
        Store *s = open_store(*state);
        assert_ok(store_load_networks(s, keep_network, &row, &e));
        assert_string_equal(row.name, "crash");
        assert_int_equal(strlen(row.config), 2000000);
        store_close(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                in_dir(test_rollback),
                in_dir(test_full_disk),
                in_dir(test_another_writer),
                in_dir(test_another_process_leaves),
                in_dir(test_kill_inside_a_transaction),
                in_dir(test_kill_after_commit),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
