/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The audit trail: what events keep, what is told of the past, migration of an older trail. */

#include "store-test.h"

/* Up to 16 rows as they were told, newest first. */
typedef struct Told {
        size_t n, max; /* max 0: all */
        HistoryRow rows[16];
} Told;

static int keep_row(HistoryRow *row, void *userdata) {
        Told *to = userdata;

        if (to->max && to->n == to->max)
                return 1;
        assert_true(to->n < ELEMENTSOF(to->rows));
        to->rows[to->n++] = *row;
        *row = (HistoryRow) { 0 };
        return 0;
}

static void told_clear(Told *t) {
        for (size_t i = 0; i < t->n; i++)
                history_row_clear(&t->rows[i]);
}

static EventRow ended(const char *sandbox, uint64_t attachment, uint64_t since, uint64_t until) {
        return (EventRow) { .usec = until,
                            .op = "del",
                            .ends = true,
                            .since_usec = since,
                            .attachment = attachment,
                            .network = "net",
                            .sandbox = sandbox,
                            .ifname = "eth0",
                            .host_ifname = "nmg1",
                            .pod_namespace = "default",
                            .pod_name = sandbox,
                            .pod_uid = "u",
                            .addresses = "10.97.0.2/32,fd97::2/128",
                            .ports = "0.0.0.0:80->80/tcp" };
}

static void add_event(Store *s, EventRow row) {
        assert_ok(store_add_event(s, &row, &e));
}

static void assert_told(Store *s, const HistoryFilter *f, const char *sandboxes) {
        _cleanup_(told_clear) Told t = { 0 };
        char all[256] = "";

        assert_ok(store_history(s, f, keep_row, &t, &e));
        for (size_t i = 0; i < t.n; i++)
                snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i ? " " : "",
                         t.rows[i].sandbox);
        assert_string_equal(all, sandboxes);
}

/* ---- what is told -------------------------------------------------------------------------------- */

static void test_filters(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        EventRow other = ended("old2", 21, 150, 400);

        put_base(s); /* attachment 1 of "sb", pod default/web, made at 18e14 */
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "fd97::2/128");
        add_event(s, ended("old1", 20, 100, 200));
        other.addresses = "10.97.0.3/32";
        other.pod_namespace = "space";
        add_event(s, other);

        assert_told(s, &(HistoryFilter) { 0 }, "sb old2 old1");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.2" }, "sb old1");
        assert_told(s, &(HistoryFilter) { .address = "fd97::2" }, "sb old1");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.3" }, "old2");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0" }, "");
        assert_told(s, &(HistoryFilter) { .sandbox = "old1" }, "old1");
        assert_told(s, &(HistoryFilter) { .sandbox = "sb" }, "sb");
        assert_told(s, &(HistoryFilter) { .pod_namespace = "default", .pod_name = "web" }, "sb");
        assert_told(s, &(HistoryFilter) { .pod_namespace = "space", .pod_name = "old2" }, "old2");
        assert_told(s, &(HistoryFilter) { .pod_namespace = "default", .pod_name = "old2" }, "");
        /* what had ended before is left out, what is held never is */
        assert_told(s, &(HistoryFilter) { .since_usec = 201 }, "sb old2");
        assert_told(s, &(HistoryFilter) { .since_usec = 200 }, "sb old2 old1");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.2", .since_usec = 201 }, "sb");
        assert_told(s, &(HistoryFilter) { .sandbox = "old1", .since_usec = 201 }, "");
        assert_told(s, &(HistoryFilter) { .since_usec = UINT64_MAX >> 1 }, "sb");
}

/* The statements that everybody may cause are led by indices. */
static void test_no_table_is_walked(void **state) {
        static const StoreStmt led[] = { STMT_HISTORY_ENDED_ADDRESS, STMT_HISTORY_ENDED_SANDBOX,
                                         STMT_HISTORY_ENDED_POD,     STMT_HISTORY_HELD_ADDRESS,
                                         STMT_HISTORY_HELD_SANDBOX,  STMT_HISTORY_CHANGES };
        _cleanup_(store_closep) Store *s = open_store(*state);
        EventRow change = { .usec = 5, .op = "add-port", .attachment = 7, .sandbox = "x" };

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        for (unsigned i = 0; i < 100; i++) {
                add_event(s, ended("x", 7, i, i + 1));
                add_event(s, change);
        }
        for (unsigned i = 0; i < 3; i++) {
                _cleanup_(told_clear) Told t = { .max = 16 };
                HistoryFilter f = { .address = i == 0 ? "10.97.0.2" : NULL,
                                    .sandbox = i == 1 ? "x" : NULL,
                                    .pod_namespace = "default",
                                    .pod_name = i == 2 ? "x" : NULL };
                assert_ok(store_history(s, &f, keep_row, &t, &e));
                assert_int_equal(t.n, 16);
        }
        assert_told(s, &(HistoryFilter) { .since_usec = 101 }, "sb");
        assert_int_equal(sqlite3_stmt_status(s->stmts[STMT_HISTORY_ENDED],
                                             SQLITE_STMTSTATUS_FULLSCAN_STEP, 0),
                         0);
        for (size_t i = 0; i < ELEMENTSOF(led); i++) {
                sqlite3_stmt *stmt = s->stmts[led[i]];
                if (sqlite3_stmt_status(stmt, SQLITE_STMTSTATUS_FULLSCAN_STEP, 0) > 1)
                        fail_msg("walks a table: %s", sqlite3_sql(stmt));
        }
        for (size_t i = 0; i < 3; i++)
                if (sqlite3_stmt_status(s->stmts[led[i]], SQLITE_STMTSTATUS_SORT, 0) > 0)
                        fail_msg("sorts: %s", sqlite3_sql(s->stmts[led[i]]));
}

static void test_whole_row(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_(told_clear) Told t = { 0 };
        EventRow row = ended("old1", 20, 100, 2000000000000000000), change = row;
        PortRow ports[2] = { port_row(1, "0.0.0.0", 80), port_row(1, "::", 80) };

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                assert_ok(store_put_port(s, &ports[i], &e));
        change.ends = false;
        change.op = "add-port";
        change.usec = 110;
        change.ports = "0.0.0.0:90->90/tcp";
        add_event(s, change);
        change.op = "remove-port";
        change.usec = 120;
        add_event(s, change);
        row.reason = "it's; --over";
        add_event(s, row);

        assert_ok(store_history(s, &(HistoryFilter) { 0 }, keep_row, &t, &e));
        assert_int_equal(t.n, 2);
        HistoryRow *past = &t.rows[0], *held = &t.rows[1];
        assert_int_equal(past->attachment, 20);
        assert_int_equal(past->since_usec, 100);
        assert_int_equal(past->until_usec, 2000000000000000000);
        assert_string_equal(past->op, "del");
        assert_string_equal(past->reason, "it's; --over");
        assert_string_equal(past->network, "net");
        assert_string_equal(past->ifname, "eth0");
        assert_string_equal(past->host_ifname, "nmg1");
        assert_string_equal(past->pod_namespace, "default");
        assert_string_equal(past->pod_name, "old1");
        assert_string_equal(past->pod_uid, "u");
        assert_string_equal(past->addresses, "10.97.0.2/32,fd97::2/128");
        assert_string_equal(past->ports, "0.0.0.0:80->80/tcp");
        assert_int_equal(past->n_changes, 2);
        assert_string_equal(past->changes[0].op, "add-port");
        assert_int_equal(past->changes[1].usec, 120);
        assert_string_equal(past->changes[1].ports, "0.0.0.0:90->90/tcp");
        assert_int_equal(held->attachment, 1);
        assert_int_equal(held->until_usec, 0);
        assert_null(held->op);
        assert_string_equal(held->pod_name, "web");
        assert_string_equal(held->addresses, "10.97.0.2/32");
        assert_string_equal(held->ports, "0.0.0.0:80->80/tcp,[::]:80->80/tcp");
        assert_int_equal(held->n_changes, 0);
}

/* A reboot ends everything in a few statements; it is told like any other end. */
static void test_end_by_reboot(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        PortRow ports[2] = { port_row(1, "0.0.0.0", 80), port_row(1, "::", 80) };
        _cleanup_(told_clear) Told t = { 0 };
        size_t n_sandboxes, n_attachments;

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "fd97::2/128");
        for (size_t i = 0; i < ELEMENTSOF(ports); i++)
                assert_ok(store_put_port(s, &ports[i], &e));
        assert_ok(store_end_other_boots(s, "next boot", 1900000000000000, &n_sandboxes,
                                        &n_attachments, &e));
        assert_int_equal(n_attachments, 1);
        assert_ok(store_history(s, &(HistoryFilter) { .address = "fd97::2" }, keep_row, &t, &e));
        assert_int_equal(t.n, 1);
        HistoryRow *row = &t.rows[0];
        assert_string_equal(row->op, "reboot");
        assert_int_equal(row->attachment, 1);
        assert_int_equal(row->since_usec, 1800000000000000);
        assert_int_equal(row->until_usec, 1900000000000000);
        assert_string_equal(row->host_ifname, "nmg1");
        assert_string_equal(row->pod_uid, "1-2");
        assert_string_equal(row->addresses, "10.97.0.2/32,fd97::2/128");
        assert_string_equal(row->ports, "0.0.0.0:80->80/tcp,[::]:80->80/tcp");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.2" }, "sb");
        assert_told(s, &(HistoryFilter) { .pod_namespace = "default", .pod_name = "web" }, "sb");
}

static void test_limit(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_(told_clear) Told t = { .max = 3 };

        for (unsigned i = 0; i < 8; i++)
                add_event(s, ended("x", 7 + i, i, i + 1));
        assert_ok(store_history(s, &(HistoryFilter) { 0 }, keep_row, &t, &e));
        assert_int_equal(t.n, 3);
        assert_int_equal(t.rows[0].until_usec, 8);
        assert_int_equal(t.rows[2].until_usec, 6);
}

static void test_beginning_of_an_id(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_free_ char *a = NULL, *b = NULL, *c = NULL, *d = NULL, *none = NULL;

        put_base(s); /* "sb" is there */
        add_event(s, ended("abcd", 1, 1, 2));
        add_event(s, ended("abcd", 2, 1, 2));
        add_event(s, ended("abcde", 3, 1, 2));
        add_event(s, ended("abf", 4, 1, 2));
        assert_ok(store_find_sandbox(s, "abcd", &a, &e)); /* whole, although another begins so */
        assert_string_equal(a, "abcd");
        assert_ok(store_find_sandbox(s, "abcde", &b, &e));
        assert_string_equal(b, "abcde");
        assert_ok(store_find_sandbox(s, "s", &c, &e));
        assert_string_equal(c, "sb");
        assert_ok(store_find_sandbox(s, "abf", &d, &e));
        assert_string_equal(d, "abf");
        assert_ok(store_find_sandbox(s, "abd", &none, &e));
        assert_null(none);
        assert_refused(store_find_sandbox(s, "ab", &none, &e), EINVAL, "abcd and abcde");
        assert_null(none);
}

/* ---- what is kept -------------------------------------------------------------------------------- */

static void test_long_texts_are_cut(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_(told_clear) Told t = { 0 };
        EventRow row = ended("old1", 20, 100, 200);
        char *reason = malloc(EVENT_REASON_MAX + 3);

        /* two bytes each: the cut would go through the middle of one */
        for (size_t i = 0; i < EVENT_REASON_MAX + 2; i += 2)
                memcpy(reason + i, "\xc3\xa9", 2);
        reason[EVENT_REASON_MAX + 2] = '\0';
        row.reason = reason;
        add_event(s, row);
        assert_ok(store_history(s, &(HistoryFilter) { 0 }, keep_row, &t, &e));
        size_t size = strlen(t.rows[0].reason);
        assert_in_range(size, EVENT_REASON_MAX - 4, EVENT_REASON_MAX);
        assert_memory_equal(t.rows[0].reason, reason, size - 3);
        assert_string_equal(t.rows[0].reason + size - 3, "...");
        assert_int_equal((size - 3) % 2, 0);
        free(reason);
}

static void test_ports_as_text(void **state) {
        PortRow p[] = { port_row(1, "0.0.0.0", 8000),   port_row(1, "0.0.0.0", 8001),
                        port_row(1, "0.0.0.0", 8002),   port_row(1, "0.0.0.0", 8003),
                        port_row(1, "192.0.2.1", 8004), port_row(1, "::", 53) };
        static PortRow many[PORTS_PER_ATTACHMENT_MAX];

        p[0].container_port = 9000;
        p[1].container_port = 9001;
        p[2].container_port = 9002; /* 8003 leads elsewhere */
        p[5].protocol = IPPROTO_UDP;
        _cleanup_free_ char *text = ports_format(p, ELEMENTSOF(p)), *none = ports_format(p, 0),
                            *long_text = NULL;
        assert_string_equal(text, "0.0.0.0:8000-8002->9000-9002/tcp,0.0.0.0:8003->80/tcp,"
                                  "192.0.2.1:8004->80/tcp,[::]:53->80/udp");
        assert_string_equal(none, "");
        for (unsigned i = 0; i < ELEMENTSOF(many); i++)
                many[i] = port_row(1, "2001:db8:1111:2222:3333:4444:5555:6666",
                                   (uint16_t) (1000 + 2 * i));
        long_text = ports_format(many, ELEMENTSOF(many));
        assert_in_range(strlen(long_text), EVENT_PORTS_MAX - 160, EVENT_PORTS_MAX);
        assert_string_equal(long_text + strlen(long_text) - 4, ",...");
}

static void test_addresses_go_with_their_events(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        const unsigned more = 1000;

        assert_ok(store_begin(s, &e));
        for (unsigned i = 0; i < EVENTS_MAX + more; i++)
                add_event(s, ended("x", 1 + i, i, i + 1));
        assert_ok(store_commit(s, &e));
        assert_in_range(ask(*state, "SELECT count(*) FROM event"), EVENTS_MAX, EVENTS_MAX + 64);
        assert_int_equal(
                        ask(*state,
                            "SELECT min(seq) > 0 AND max(seq) - min(seq) + 1 = count(*) FROM event"),
                        1);
        assert_int_equal(
                        ask(*state,
                            "SELECT count(*) - 2 * (SELECT count(*) FROM event) FROM event_address"),
                        0);
        assert_int_equal(ask(*state, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

/* What has outgrown the limit shrinks in small steps. */
static void test_trimming_is_in_steps(void **state) {
        _cleanup_free_ char *path = db_path(*state);

        store_close(open_store(*state));
        change(path,
               "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 130047)"
               " INSERT INTO event (usec, op) SELECT i, 'add' FROM n");
        Store *s = open_store(*state);
        add_event(s, ended("x", 1, 1, 2)); /* seq 130048 = 64 * 2032 */
        assert_int_equal(ask(*state, "SELECT min(seq) FROM event"), 129);
        for (unsigned i = 0; i < 64 * 700; i++)
                add_event(s, ended("x", 1, 1, 2));
        assert_in_range(ask(*state, "SELECT count(*) FROM event"), EVENTS_MAX, EVENTS_MAX + 64);
        store_close(s);
}

/* ---- migration ----------------------------------------------------------------------------------- */

/* Schema 2 as it was released, with a trail of that time. */
static const char version_2[] =
                "PRAGMA journal_mode=WAL; PRAGMA application_id=0x4e4d4752; PRAGMA user_version=2;"
                "CREATE TABLE network ("
                " name TEXT PRIMARY KEY NOT NULL, kind TEXT NOT NULL, source TEXT NOT NULL,"
                " config TEXT NOT NULL, hash TEXT NOT NULL, bridge TEXT, bridge_created INTEGER NOT NULL,"
                " bridge_mac BLOB NOT NULL, mtu INTEGER NOT NULL, link_group INTEGER NOT NULL DEFAULT 0)"
                " STRICT, WITHOUT ROWID;"
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
                "CREATE TABLE port ("
                " host_address TEXT NOT NULL, protocol TEXT NOT NULL, host_port INTEGER NOT NULL,"
                " container_port INTEGER NOT NULL,"
                " attachment INTEGER NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
                " PRIMARY KEY (host_address, protocol, host_port)) STRICT, WITHOUT ROWID;"
                "CREATE INDEX port_attachment ON port (attachment);"
                "CREATE TABLE shaping ("
                " attachment INTEGER PRIMARY KEY NOT NULL REFERENCES attachment (id) ON DELETE CASCADE,"
                " mode TEXT NOT NULL, ingress_rate INTEGER NOT NULL, ingress_burst INTEGER NOT NULL,"
                " egress_rate INTEGER NOT NULL, egress_burst INTEGER NOT NULL) STRICT;"
                "INSERT INTO network VALUES ('net', 'routed', 'dbus', '{}', '0123456789abcdef',"
                " NULL, 0, x'000000000000', 1500, 1);"
                "INSERT INTO sandbox VALUES ('live', '', 'space', 'web', NULL, NULL, '/run/netns/a', 2, 4,"
                " 5, 'boot', 'ready');"
                "INSERT INTO attachment VALUES (9, 'net', 'live', 'eth0', 'routed', 'up', '{}', '{}',"
                " 'nmg9', 42, x'020000000001', x'020000000002', 1500, 0, '00', '{}', 500);"
                "INSERT INTO address VALUES ('host', '10.97.0.2', 32, NULL, 9, 'net', 'live', 'eth0', 0, 0);"
                "INSERT INTO event VALUES"
                " (3, 100, 'add', 'net', 'one', 'eth0', '10.97.0.2/32,fd97::2/128', NULL),"
                " (4, 110, 'add', 'net', 'two', 'eth0', '10.97.0.3/32', NULL),"
                " (5, 120, 'add', 'net', 'one', 'eth1', '10.97.0.4/32', NULL),"
                " (6, 200, 'del', 'net', 'one', 'eth0', '10.97.0.2/32,fd97::2/128', NULL),"
                " (7, 210, 'add-failed', 'net', 'one', 'eth0', '10.97.0.2/32', 'no such thing'),"
                " (8, 220, 'gc', 'net', 'lost', 'lo', '', 'gone'),"
                " (9, 300, 'reboot', 'net', 'two', 'eth0', '10.97.0.3/32', 'the boot id changed'),"
                " (10, 500, 'add', 'net', 'live', 'eth0', '10.97.0.2/32', NULL);";

static void test_trail_of_version_2(void **state) {
        _cleanup_free_ char *path = db_path(*state);
        _cleanup_(told_clear) Told t = { 0 };

        change(path, version_2);
        Store *s = open_store(*state);
        assert_int_equal(ask(*state, "PRAGMA user_version"), STORE_SCHEMA_VERSION);
        assert_int_equal(ask(*state, "SELECT count(*) FROM event"), 8);
        assert_ok(store_history(s, &(HistoryFilter) { 0 }, keep_row, &t, &e));
        assert_int_equal(t.n, 5);
        assert_string_equal(t.rows[0].sandbox, "live");
        assert_int_equal(t.rows[0].since_usec, 500);
        assert_int_equal(t.rows[0].until_usec, 0);
        assert_string_equal(t.rows[0].addresses, "10.97.0.2/32");
        assert_string_equal(t.rows[1].op, "reboot"); /* begun by event 4 */
        assert_int_equal(t.rows[1].since_usec, 110);
        assert_string_equal(t.rows[2].op, "gc"); /* nobody noted its beginning */
        assert_int_equal(t.rows[2].since_usec, 0);
        assert_string_equal(t.rows[3].op, "add-failed"); /* not begun by what had ended before */
        assert_int_equal(t.rows[3].since_usec, 0);
        assert_string_equal(t.rows[4].op, "del");
        assert_int_equal(t.rows[4].since_usec, 100);
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.2" }, "live one one");
        assert_told(s, &(HistoryFilter) { .address = "fd97::2" }, "one");
        assert_told(s, &(HistoryFilter) { .address = "10.97.0.3" }, "two");
        assert_told(s, &(HistoryFilter) { .pod_namespace = "space", .pod_name = "web" }, "live");
        add_event(s, ended("live", 9, 500, 600)); /* and it goes on */
        assert_told(s, &(HistoryFilter) { .address = "fd97::2" }, "live one");
        store_close(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                in_dir(test_filters),
                in_dir(test_no_table_is_walked),
                in_dir(test_whole_row),
                in_dir(test_end_by_reboot),
                in_dir(test_limit),
                in_dir(test_beginning_of_an_id),
                in_dir(test_long_texts_are_cut),
                in_dir(test_ports_as_text),
                in_dir(test_addresses_go_with_their_events),
                in_dir(test_trimming_is_in_steps),
                in_dir(test_trail_of_version_2),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
