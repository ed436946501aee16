/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The ledger: what goes in comes out, what must not go in is refused, and what a crash or a damaged
 * disk leaves behind. The oracle for the file is a SQLite connection of the test's own. Each test has
 * a directory of its own, and children are killed where a daemon would be.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "store/store-internal.h"

/* ---- helpers ------------------------------------------------------------------------------------- */

#define assert_ok(call)                                                                            \
        do {                                                                                       \
                _cleanup_error_ Error e = ERROR_NULL;                                              \
                int _r = (call);                                                                   \
                if (_r < 0)                                                                        \
                        fail_msg("%s: %d: %s", #call, _r, error_message(&e));                      \
        } while (false)

/* Fails with this errno and with a sentence that has this word in it. */
#define assert_refused(call, error, word)                                                          \
        do {                                                                                       \
                _cleanup_error_ Error e = ERROR_NULL;                                              \
                int _r = (call);                                                                   \
                if (_r != -(error))                                                                \
                        fail_msg("%s: %d: %s", #call, _r, error_message(&e));                      \
                if (!strstr(error_message(&e), (word)))                                            \
                        fail_msg("%s: no \"%s\" in: %s", #call, (word), error_message(&e));        \
        } while (false)

static int make_dir(void **state) {
        char *dir = strdup("/tmp/test-store.XXXXXX");
        if (!dir || !mkdtemp(dir))
                return -1;
        *state = dir;
        return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static int remove_dir(void **state) {
        int r = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(*state);
        return r;
}

static char *db_path(const char *dir) {
        char *path = strf("%s/netmgr.db", dir);
        assert_non_null(path);
        return path;
}

static Store *open_store(const char *dir) {
        _cleanup_free_ char *aside = NULL;
        Store *s = NULL;

        assert_ok(store_open(dir, &s, &aside, &e));
        assert_null(aside);
        return s;
}

/* Databases set aside in dir, without their logs. */
static unsigned count_aside(const char *dir) {
        static const char prefix[] = "netmgr.db.damaged-";
        DIR *d = opendir(dir);
        unsigned n = 0;

        assert_non_null(d);
        for (struct dirent *de; (de = readdir(d));)
                n += strncmp(de->d_name, prefix, strlen(prefix)) == 0 &&
                     !strchr(de->d_name + strlen(prefix), '-');
        closedir(d);
        return n;
}

/* One number, asked by a connection that is not the store's. */
static int64_t ask(const char *dir, const char *query) {
        _cleanup_free_ char *path = db_path(dir);
        sqlite3_stmt *stmt = NULL;
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
        if (sqlite3_prepare_v2(db, query, -1, &stmt, NULL) != SQLITE_OK)
                fail_msg("%s: %s", query, sqlite3_errmsg(db));
        assert_int_equal(sqlite3_step(stmt), SQLITE_ROW);
        int64_t v = sqlite3_column_int64(stmt, 0);
        sqlite3_finalize(stmt);
        sqlite3_close(db);
        return v;
}

/* Changes a database while no store has it. */
static void change(const char *path, const char *script) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, script, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", script, sqlite3_errmsg(db));
        sqlite3_close(db);
}

static void overwrite(const char *path, off_t at, const void *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, data, size, at), size);
        close(fd);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Rows own their texts; these are literals and are never cleared. */
#define TEXT(s) ((char *) (s))

static NetworkRow network_row(const char *name) {
        return (NetworkRow) { .name = TEXT(name),
                              .kind = TEXT("bridge"),
                              .source = TEXT("file"),
                              .config = TEXT("{ \"exact\" :\tbytes'\"; }"),
                              .hash = TEXT("0123456789abcdef"),
                              .bridge = TEXT("nmb-net"),
                              .bridge_created = true,
                              .bridge_mac = { 2, 1, 2, 3, 4, 5 },
                              .mtu = 1450 };
}

static SandboxRow sandbox_row(const char *id) {
        return (SandboxRow) { .id = TEXT(id),
                              .runtime = TEXT("containerd"),
                              .pod_namespace = TEXT("default"),
                              .pod_name = TEXT("web"),
                              .pod_uid = TEXT("1-2"),
                              .labels = TEXT("{\"a\":\"b\"}"),
                              .netns_path = TEXT("/run/netns/a"),
                              .netns_cookie = UINT64_MAX - 1,
                              .netns_dev = 4,
                              .netns_ino = UINT64_C(1) << 63,
                              .boot_id = TEXT("boot"),
                              .state = TEXT("ready") };
}

static AttachmentRow attachment_row(uint64_t id, const char *sandbox, const char *ifname) {
        return (AttachmentRow) { .id = id,
                                 .network = TEXT("net"),
                                 .sandbox = TEXT(sandbox),
                                 .ifname = TEXT(ifname),
                                 .kind = TEXT("bridge"),
                                 .state = TEXT("planned"),
                                 .request = TEXT("{}"),
                                 .host_ifname = TEXT("nmg1"),
                                 .host_ifindex = UINT32_MAX,
                                 .host_mac = { 2, 0, 0, 0, 0, 1 },
                                 .mac = { 2, 0, 0, 0, 0, 2 },
                                 .mtu = 1500,
                                 .group = 7,
                                 .config_hash = TEXT("00"),
                                 .plan = TEXT("{\"p\":1}"),
                                 .created_usec = 1800000000000000 };
}

static AddressRow address_row(uint64_t attachment, const char *pool, const char *address) {
        AddressRow row = { .attachment = attachment,
                           .pool = TEXT(pool),
                           .network = TEXT("net"),
                           .sandbox = TEXT("sb"),
                           .ifname = TEXT("eth0"),
                           .set_index = 1 };

        assert_return_code(in_prefix_parse(address, &row.address), 0);
        assert_return_code(in_addr_parse(strchr(address, ':') ? "fd97::1" : "10.97.0.1",
                                         &row.gateway),
                           0);
        return row;
}

/* network "net", sandbox "sb", attachment 1 as its eth0 */
static void put_base(Store *s) {
        NetworkRow n = network_row("net");
        SandboxRow sb = sandbox_row("sb");
        AttachmentRow a = attachment_row(1, "sb", "eth0");

        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &n, &e));
        assert_ok(store_put_sandbox(s, &sb, &e));
        assert_ok(store_put_attachment(s, &a, &e));
        assert_ok(store_commit(s, &e));
}

static void put_address(Store *s, uint64_t attachment, const char *pool, const char *address) {
        AddressRow row = address_row(attachment, pool, address);

        assert_ok(store_begin(s, &e));
        assert_ok(store_put_address(s, &row, &e));
        assert_ok(store_commit(s, &e));
}

static int keep_network(NetworkRow *row, void *userdata) {
        NetworkRow *to = userdata;
        network_row_clear(to);
        *to = *row;
        *row = (NetworkRow) { 0 };
        return 0;
}

static int keep_sandbox(SandboxRow *row, void *userdata) {
        SandboxRow *to = userdata;
        sandbox_row_clear(to);
        *to = *row;
        *row = (SandboxRow) { 0 };
        return 0;
}

static int keep_attachment(AttachmentRow *row, void *userdata) {
        AttachmentRow *to = userdata;
        attachment_row_clear(to);
        *to = *row;
        *row = (AttachmentRow) { 0 };
        return 0;
}

/* Up to 8 addresses in the order of the walk. */
typedef struct Addresses {
        size_t n;
        AddressRow rows[8];
} Addresses;

static int keep_address(AddressRow *row, void *userdata) {
        Addresses *to = userdata;
        assert_true(to->n < ELEMENTSOF(to->rows));
        to->rows[to->n++] = *row;
        *row = (AddressRow) { 0 };
        return 0;
}

static void addresses_clear(Addresses *a) {
        for (size_t i = 0; i < a->n; i++)
                address_row_clear(&a->rows[i]);
}

static int count_network(NetworkRow *row, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

static int stop_walk(NetworkRow *row, void *userdata) {
        ++*(unsigned *) userdata;
        return -ECANCELED;
}

static unsigned count_networks(Store *s) {
        unsigned n = 0;
        assert_ok(store_load_networks(s, count_network, &n, &e));
        return n;
}

/* ---- round trips --------------------------------------------------------------------------------- */

static void test_network(void **state) {
        NetworkRow in = network_row("net"), plain = network_row("aaa");
        _cleanup_(network_row_clear) NetworkRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        unsigned n = 0;

        plain.bridge = NULL;
        plain.bridge_created = false;
        memset(plain.bridge_mac, 0, sizeof(plain.bridge_mac));
        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &plain, &e));
        assert_ok(store_put_network(s, &in, &e));
        assert_ok(store_commit(s, &e));
        s = store_close(s);
        s = open_store(*state);

        assert_ok(store_load_networks(s, keep_network, &out,
                                      &e)); /* by name: the last one is "net" */
        assert_string_equal(out.name, "net");
        assert_string_equal(out.kind, in.kind);
        assert_string_equal(out.source, in.source);
        assert_string_equal(out.config, in.config);
        assert_string_equal(out.hash, in.hash);
        assert_string_equal(out.bridge, in.bridge);
        assert_true(out.bridge_created);
        assert_memory_equal(out.bridge_mac, in.bridge_mac, 6);
        assert_int_equal(out.mtu, 1450);

        /* put replaces, and the walk stops when it is told to */
        in.mtu = 9000;
        in.bridge = NULL;
        assert_ok(store_put_network(s, &in, &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_int_equal(out.mtu, 9000);
        assert_null(out.bridge);
        assert_int_equal(store_load_networks(s, stop_walk, &n, NULL), -ECANCELED);
        assert_int_equal(n, 1);
        assert_ok(store_delete_network(s, "net", &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_string_equal(out.name, "aaa");
        assert_null(out.bridge);
        assert_false(out.bridge_created);
        assert_memory_equal(out.bridge_mac, plain.bridge_mac, 6);
}

static void test_sandbox(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        _cleanup_(sandbox_row_clear) SandboxRow out = { 0 };
        SandboxRow in = sandbox_row("sb");

        assert_ok(store_put_sandbox(s, &in, &e));
        assert_ok(store_load_sandboxes(s, keep_sandbox, &out, &e));
        assert_string_equal(out.id, "sb");
        assert_string_equal(out.runtime, in.runtime);
        assert_string_equal(out.pod_namespace, in.pod_namespace);
        assert_string_equal(out.pod_name, in.pod_name);
        assert_string_equal(out.pod_uid, in.pod_uid);
        assert_string_equal(out.labels, in.labels);
        assert_string_equal(out.netns_path, in.netns_path);
        assert_true(out.netns_cookie == in.netns_cookie); /* above 2^63: bit pattern */
        assert_true(out.netns_dev == in.netns_dev);
        assert_true(out.netns_ino == in.netns_ino);
        assert_string_equal(out.boot_id, in.boot_id);
        assert_string_equal(out.state, in.state);

        in.pod_namespace = in.pod_name = in.pod_uid = in.labels = NULL; /* unknown stays unknown */
        assert_ok(store_put_sandbox(s, &in, &e));
        assert_ok(store_load_sandboxes(s, keep_sandbox, &out, &e));
        assert_null(out.pod_namespace);
        assert_null(out.pod_name);
        assert_null(out.pod_uid);
        assert_null(out.labels);
        assert_ok(store_delete_sandbox(s, "sb", &e));
        assert_int_equal(ask(*state, "SELECT count(*) FROM sandbox"), 0);
}

static void test_attachment(void **state) {
        _cleanup_(attachment_row_clear) AttachmentRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow in = attachment_row(1, "sb", "eth0");

        put_base(s);
        assert_ok(store_load_attachments(s, keep_attachment, &out, &e));
        assert_int_equal(out.id, 1);
        assert_string_equal(out.network, "net");
        assert_string_equal(out.sandbox, "sb");
        assert_string_equal(out.ifname, "eth0");
        assert_string_equal(out.kind, in.kind);
        assert_string_equal(out.state, "planned");
        assert_string_equal(out.request, in.request);
        assert_null(out.result);
        assert_string_equal(out.host_ifname, in.host_ifname);
        assert_true(out.host_ifindex == UINT32_MAX);
        assert_memory_equal(out.host_mac, in.host_mac, 6);
        assert_memory_equal(out.mac, in.mac, 6);
        assert_int_equal(out.mtu, 1500);
        assert_int_equal(out.group, 7);
        assert_string_equal(out.config_hash, in.config_hash);
        assert_string_equal(out.plan, in.plan);
        assert_true(out.created_usec == in.created_usec);

        assert_ok(store_set_attachment_state(s, 1, "up", 42, "{\"result\":1}", &e));
        assert_ok(store_set_attachment_state(s, 1, "releasing", 43, NULL,
                                             &e)); /* keeps the result */
        assert_ok(store_load_attachments(s, keep_attachment, &out, &e));
        assert_string_equal(out.state, "releasing");
        assert_int_equal(out.host_ifindex, 43);
        assert_string_equal(out.result, "{\"result\":1}");
}

static void test_last_id_outlives_the_rows(void **state) {
        AttachmentRow a = attachment_row(7, "sb", "eth1");
        Store *s = open_store(*state);
        uint64_t id = 99;

        assert_ok(store_load_last_id(s, &id, &e));
        assert_int_equal(id, 0);
        put_base(s);
        assert_ok(store_put_attachment(s, &a, &e));
        a = attachment_row(3, "sb", "eth2"); /* a smaller one later does not turn it back */
        assert_ok(store_put_attachment(s, &a, &e));
        assert_ok(store_delete_attachment(s, 7, &e));
        assert_ok(store_delete_attachment(s, 3, &e));
        s = store_close(s);
        s = open_store(*state);
        assert_ok(store_load_last_id(s, &id, &e));
        assert_int_equal(id, 7);
        store_close(s);
}

static void test_addresses(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        InAddr gone;

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "fd97:0:0::2/64");
        put_address(s, 1, "other", "10.97.0.2/24"); /* another pool */
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 3);
        for (size_t i = 0; i < got.n; i++) {
                assert_int_equal(got.rows[i].attachment, 1);
                assert_int_equal(got.rows[i].released_usec, 0);
                assert_int_equal(got.rows[i].set_index, 1);
                assert_string_equal(got.rows[i].network, "net");
                assert_string_equal(got.rows[i].sandbox, "sb");
                assert_string_equal(got.rows[i].ifname, "eth0");
        }
        /* a person can read it, in the one canonical spelling */
        assert_int_equal(
                        ask(*state,
                            "SELECT count(*) FROM address WHERE address = 'fd97::2' AND prefix = 64"
                            " AND gateway = 'fd97::1'"),
                        1);
        addresses_clear(&got);
        got.n = 0;

        assert_ok(store_release_addresses(s, 1, 1234, &e));
        assert_ok(in_addr_parse("10.97.0.2", &gone));
        assert_ok(store_delete_address(s, "other", &gone, &e));
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 2);
        for (size_t i = 0; i < got.n; i++) {
                assert_int_equal(got.rows[i].attachment, 0);
                assert_int_equal(got.rows[i].released_usec, 1234);
                assert_string_equal(got.rows[i].sandbox, "sb"); /* the last holder is known */
        }
        assert_ok(store_delete_attachment(s, 1, &e)); /* released rows do not hold it */
}

static void test_address_without_gateway(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        AddressRow row = address_row(1, "host", "10.97.0.2/32");

        put_base(s);
        row.gateway = (InAddr) { 0 };
        assert_ok(store_put_address(s, &row, &e));
        assert_ok(store_load_addresses(s, keep_address, &got, &e));
        assert_int_equal(got.n, 1);
        assert_false(in_addr_is_set(&got.rows[0].gateway));
}

static int check_cursor(CursorRow *row, void *userdata) {
        unsigned *n = userdata;
        assert_string_equal(row->network, "net");
        assert_int_equal(row->set_index, *n);
        assert_string_equal(IN_ADDR_STR(&row->address), *n == 0 ? "10.97.0.9" : "fd97::9");
        ++*n;
        return 0;
}

static void test_cursors(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        CursorRow row = { .network = TEXT("net"), .set_index = 1 };
        unsigned n = 0;

        assert_ok(in_addr_parse("fd97::9", &row.address));
        assert_ok(store_put_cursor(s, &row, &e));
        row.set_index = 0;
        assert_ok(in_addr_parse("10.97.0.8", &row.address));
        assert_ok(store_put_cursor(s, &row, &e));
        assert_ok(in_addr_parse("10.97.0.9", &row.address));
        assert_ok(store_put_cursor(s, &row, &e)); /* moves on */
        assert_ok(store_load_cursors(s, check_cursor, &n, &e));
        assert_int_equal(n, 2);
        assert_ok(store_delete_cursors(s, "net", &e));
        n = 0;
        assert_ok(store_load_cursors(s, check_cursor, &n, &e));
        assert_int_equal(n, 0);
}

static void test_events_are_trimmed(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        EventRow row = { .usec = 5,
                         .op = "add",
                         .network = "net",
                         .sandbox = "sb",
                         .ifname = "eth0",
                         .addresses = "10.97.0.2/32",
                         .reason = NULL };

        assert_ok(store_begin(s, &e));
        for (unsigned i = 0; i < EVENTS_MAX + 3000; i++)
                if (store_add_event(s, &row, NULL) < 0)
                        fail();
        row.op = "del";
        row.network = row.sandbox = row.ifname = row.addresses = NULL;
        row.reason = "it's; --over";
        assert_ok(store_add_event(s, &row, &e));
        assert_ok(store_commit(s, &e));
        /* trimmed by the thousand, so a thousand may be over */
        assert_in_range(ask(*state, "SELECT count(*) FROM event"), EVENTS_MAX - 2048,
                        EVENTS_MAX + 1024);
        assert_int_equal(ask(*state, "SELECT max(seq) FROM event"),
                         EVENTS_MAX + 3001); /* the newest stay */
        assert_int_equal(ask(*state,
                             "SELECT count(*) FROM event WHERE op = 'del' AND network IS NULL"
                             " AND reason = 'it''s; --over'"),
                         1);
}

/* ---- what is refused ----------------------------------------------------------------------------- */

static void test_text_is_bound(void **state) {
        static const char nasty[] = "x'); DROP TABLE network; --\"\\ %s ?1 \xc3\xa9";
        _cleanup_(network_row_clear) NetworkRow out = { 0 };
        _cleanup_(store_closep) Store *s = open_store(*state);
        NetworkRow row = network_row(nasty);

        row.config = TEXT(nasty);
        assert_ok(store_put_network(s, &row, &e));
        assert_ok(store_load_networks(s, keep_network, &out, &e));
        assert_string_equal(out.name, nasty);
        assert_string_equal(out.config, nasty);
        assert_ok(store_delete_network(s, nasty, &e));
        assert_int_equal(count_networks(s), 0);
}

/* Each refusal is outside a transaction, so it is one of its own that came to nothing. */
static void test_foreign_keys(void **state) {
        AttachmentRow strange = attachment_row(2, "nobody", "eth0"),
                      lost = attachment_row(2, "sb", "eth1");
        AddressRow ownerless = address_row(77, "host", "10.97.0.2/32");
        _cleanup_(store_closep) Store *s = open_store(*state);

        put_base(s);
        lost.network = TEXT("nowhere");
        assert_true(store_put_attachment(s, &strange, NULL) < 0);
        assert_true(store_put_attachment(s, &lost, NULL) < 0);
        assert_true(store_put_address(s, &ownerless, NULL) < 0);
        assert_true(store_delete_network(s, "net", NULL) < 0);
        assert_true(store_delete_sandbox(s, "sb", NULL) < 0);
        put_address(s, 1, "host", "10.97.0.2/32");
        assert_true(store_delete_attachment(s, 1, NULL) < 0); /* it still holds an address */
        assert_int_equal(
                        ask(*state,
                            "SELECT (SELECT count(*) FROM network) + (SELECT count(*) FROM sandbox)"
                            " + (SELECT count(*) FROM attachment)"),
                        3);
}

static void test_one_interface_once(void **state) {
        AttachmentRow again = attachment_row(2, "sb", "eth0");
        _cleanup_(store_closep) Store *s = open_store(*state);

        put_base(s);
        assert_refused(store_put_attachment(s, &again, &e), EEXIST, "netmgr.db");
}

static void test_one_address_once(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        AttachmentRow second = attachment_row(2, "sb", "eth1");
        AddressRow taken = address_row(2, "host", "10.97.0.2/24");
        AddressRow released = address_row(0, "host", "10.97.0.2/24");
        _cleanup_error_ Error held = ERROR_NULL;

        put_base(s);
        assert_ok(store_put_attachment(s, &second, &e));
        put_address(s, 1, "host", "10.97.0.2/32");
        put_address(s, 1, "host", "10.97.0.2/32"); /* its own again */

        assert_int_equal(store_put_address(s, &taken, &held), -EEXIST);
        assert_int_equal(held.kind, ERROR_ADDRESS_IN_USE);
        assert_non_null(strstr(error_message(&held), "10.97.0.2"));
        assert_non_null(strstr(error_message(&held), "eth0"));
        assert_non_null(strstr(error_message(&held), "sb"));
        assert_non_null(strstr(error_message(&held), "net"));
        released.released_usec = 9;
        assert_int_equal(store_put_address(s, &released, NULL),
                         -EEXIST); /* nobody releases another's */
        assert_int_equal(ask(*state, "SELECT attachment FROM address"), 1);

        assert_ok(store_release_addresses(s, 1, 1234, &e));
        assert_ok(store_put_address(s, &taken, &e)); /* given out again */
        assert_int_equal(
                        ask(*state,
                            "SELECT attachment = 2 AND prefix = 24 AND released_usec = 0 FROM address"),
                        1);
        assert_int_equal(ask(*state, "SELECT count(*) FROM address"), 1);
}

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

/* A child that writes, says so, and is killed where it stands: inside its transaction, or after. */
static void kill_a_writer(const char *dir, bool commit) {
        int pipe_fds[2], status;
        char said;

        assert_return_code(pipe2(pipe_fds, O_CLOEXEC), errno);
        pid_t pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                char *big = calloc(1, 2000001), *aside = NULL;
                NetworkRow row = network_row("crash");
                Store *s = NULL;

                /* More than the page cache: uncommitted pages are in the log when the kill comes. */
                bool ok = big && store_open(dir, &s, &aside, NULL) >= 0 &&
                          store_begin(s, NULL) >= 0;
                if (ok) {
                        memset(big, 'x', 2000000);
                        row.config = big;
                        ok = store_put_network(s, &row, NULL) >= 0 &&
                             (!commit || store_commit(s, NULL) >= 0);
                }
                (void) !write(pipe_fds[1], ok ? "y" : "n", 1);
                for (;;)
                        pause();
        }
        close(pipe_fds[1]);
        assert_int_equal(read(pipe_fds[0], &said, 1), 1);
        close(pipe_fds[0]);
        assert_return_code(kill(pid, SIGKILL), errno);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
        assert_int_equal(said, 'y');
}

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

static void test_second_opener(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);
        char *aside = TEXT("untouched");
        Store *second = NULL;

        assert_refused(store_open(*state, &second, &aside, &e), EBUSY, *state);
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
        change(path, "PRAGMA user_version=1");
        s = open_store(*state);
        assert_int_equal(count_networks(s), 1);
        store_close(s);
}

/* A row that SQLite has no objection to and that netmgr never wrote. */
static void test_malformed_row(void **state) {
        _cleanup_(addresses_clear) Addresses got = { 0 };
        _cleanup_free_ char *path = db_path(*state);
        Store *s = open_store(*state);

        put_base(s);
        put_address(s, 1, "host", "10.97.0.2/32");
        store_close(s);
        change(path, "UPDATE address SET address = '10.97.0.999'");
        s = open_store(*state);
        assert_refused(store_load_addresses(s, keep_address, &got, &e), EUCLEAN, "address");
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

static void test_state_of_no_attachment(void **state) {
        _cleanup_(store_closep) Store *s = open_store(*state);

        assert_refused(store_set_attachment_state(s, 99, "up", 1, NULL, &e), ENOENT, "99");
}

int main(void) {
        const struct CMUnitTest tests[] = {
#define in_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
                in_dir(test_network),
                in_dir(test_sandbox),
                in_dir(test_attachment),
                in_dir(test_last_id_outlives_the_rows),
                in_dir(test_addresses),
                in_dir(test_address_without_gateway),
                in_dir(test_cursors),
                in_dir(test_events_are_trimmed),
                in_dir(test_text_is_bound),
                in_dir(test_foreign_keys),
                in_dir(test_one_interface_once),
                in_dir(test_one_address_once),
                in_dir(test_rollback),
                in_dir(test_full_disk),
                in_dir(test_another_writer),
                in_dir(test_another_process_leaves),
                in_dir(test_kill_inside_a_transaction),
                in_dir(test_kill_after_commit),
                in_dir(test_new_file),
                in_dir(test_migration_of_an_empty_file),
                in_dir(test_second_opener),
                in_dir(test_no_directory),
                in_dir(test_read_only_directory),
                in_dir(test_truncated),
                in_dir(test_garbage_header),
                in_dir(test_garbage_page),
                in_dir(test_something_else),
                in_dir(test_foreign_database),
                in_dir(test_newer_version),
                in_dir(test_malformed_row),
                in_dir(test_not_written_before_it_is_known),
                in_dir(test_missing_table),
                in_dir(test_log_without_its_ledger),
                in_dir(test_state_of_no_attachment),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
