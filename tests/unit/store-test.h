/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the tests of the ledger share: a directory for each test, rows to write and readers of them.
 * The oracle for the file is a SQLite connection of the test's own, ask(); children are killed where
 * a daemon would be.
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

static _unused_ int make_dir(void **state) {
        char *dir = strdup("/tmp/test-store.XXXXXX");
        if (!dir || !mkdtemp(dir))
                return -1;
        *state = dir;
        return 0;
}

static _unused_ int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
        return remove(path);
}

static _unused_ int remove_dir(void **state) {
        int r = nftw(*state, remove_one, 8, FTW_DEPTH | FTW_PHYS);
        free(*state);
        return r;
}

static _unused_ char *db_path(const char *dir) {
        char *path = strf("%s/netmgr.db", dir);
        assert_non_null(path);
        return path;
}

static _unused_ Store *open_store(const char *dir) {
        _cleanup_free_ char *aside = NULL;
        Store *s = NULL;

        assert_ok(store_open(dir, &s, &aside, &e));
        assert_null(aside);
        return s;
}

/* Databases set aside in dir, without their logs. */
static _unused_ unsigned count_aside(const char *dir) {
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
static _unused_ void change(const char *path, const char *script) {
        sqlite3 *db = NULL;

        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        if (sqlite3_exec(db, script, NULL, NULL, NULL) != SQLITE_OK)
                fail_msg("%s: %s", script, sqlite3_errmsg(db));
        sqlite3_close(db);
}

static _unused_ void overwrite(const char *path, off_t at, const void *data, size_t size) {
        int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, data, size, at), size);
        close(fd);
}

/* ---- rows ---------------------------------------------------------------------------------------- */

/* Rows own their texts; these are literals and are never cleared. */
#define TEXT(s) ((char *) (s))

static _unused_ NetworkRow network_row(const char *name) {
        return (NetworkRow) { .name = TEXT(name),
                              .kind = TEXT("bridge"),
                              .source = TEXT("file"),
                              .config = TEXT("{ \"exact\" :\tbytes'\"; }"),
                              .hash = TEXT("0123456789abcdef"),
                              .bridge = TEXT("nmb-net"),
                              .bridge_created = true,
                              .bridge_mac = { 2, 1, 2, 3, 4, 5 },
                              .mtu = 1450,
                              .group = 0x6e6d0100 };
}

static _unused_ SandboxRow sandbox_row(const char *id) {
        return (SandboxRow) { .id = TEXT(id),
                              .runtime = TEXT("containerd"),
                              .pod_namespace = TEXT("default"),
                              .pod_name = TEXT("web"),
                              .pod_uid = TEXT("1-2"),
                              .labels = TEXT("{\"a\":\"b\"}"),
                              .annotations = TEXT("{\"cni\":\"a\"}"),
                              .netns_path = TEXT("/run/netns/a"),
                              .netns_cookie = UINT64_MAX - 1,
                              .netns_dev = 4,
                              .netns_ino = UINT64_C(1) << 63,
                              .netns_seen = true,
                              .netns_start = 12345678,
                              .boot_id = TEXT("boot"),
                              .state = TEXT("ready") };
}

static _unused_ AttachmentRow attachment_row(uint64_t id, const char *sandbox, const char *ifname) {
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
                                 .created_usec = 1800000000000000,
                                 .created_boot_usec = 77000000 };
}

static _unused_ AddressRow address_row(uint64_t attachment, const char *pool, const char *address) {
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
static _unused_ void put_base(Store *s) {
        NetworkRow n = network_row("net");
        SandboxRow sb = sandbox_row("sb");
        AttachmentRow a = attachment_row(1, "sb", "eth0");

        assert_ok(store_begin(s, &e));
        assert_ok(store_put_network(s, &n, &e));
        assert_ok(store_put_sandbox(s, &sb, &e));
        assert_ok(store_put_attachment(s, &a, &e));
        assert_ok(store_commit(s, &e));
}

static _unused_ void put_address(Store *s, uint64_t attachment, const char *pool,
                                 const char *address) {
        AddressRow row = address_row(attachment, pool, address);

        assert_ok(store_begin(s, &e));
        assert_ok(store_put_address(s, &row, &e));
        assert_ok(store_commit(s, &e));
}

static _unused_ int keep_network(NetworkRow *row, void *userdata) {
        NetworkRow *to = userdata;
        network_row_clear(to);
        *to = *row;
        *row = (NetworkRow) { 0 };
        return 0;
}

static _unused_ int keep_sandbox(SandboxRow *row, void *userdata) {
        SandboxRow *to = userdata;
        sandbox_row_clear(to);
        *to = *row;
        *row = (SandboxRow) { 0 };
        return 0;
}

static _unused_ int keep_attachment(AttachmentRow *row, void *userdata) {
        AttachmentRow *to = userdata;
        attachment_row_clear(to);
        *to = *row;
        *row = (AttachmentRow) { 0 };
        return 0;
}

static _unused_ PortRow port_row(uint64_t attachment, const char *host, uint16_t port) {
        PortRow row = { .attachment = attachment,
                        .protocol = IPPROTO_TCP,
                        .host_port = port,
                        .container_port = 80 };

        assert_return_code(in_addr_parse(host, &row.host), 0);
        return row;
}

/* Up to 8 ports in the order of the walk. */
typedef struct Ports {
        size_t n;
        PortRow rows[8];
} Ports;

static _unused_ int keep_port(PortRow *row, void *userdata) {
        Ports *to = userdata;
        assert_true(to->n < ELEMENTSOF(to->rows));
        to->rows[to->n++] = *row;
        return 0;
}

static _unused_ int keep_lease(LeaseRow *row, void *userdata) {
        lease_row_clear(userdata);
        *(LeaseRow *) userdata = *row;
        *row = (LeaseRow) { 0 };
        return 0;
}

static _unused_ int keep_shaping(ShapingRow *row, void *userdata) {
        ShapingRow *to = userdata;
        shaping_row_clear(to);
        *to = *row;
        *row = (ShapingRow) { 0 };
        return 0;
}

/* Up to 8 addresses in the order of the walk. */
typedef struct Addresses {
        size_t n;
        AddressRow rows[8];
} Addresses;

static _unused_ int keep_address(AddressRow *row, void *userdata) {
        Addresses *to = userdata;
        assert_true(to->n < ELEMENTSOF(to->rows));
        to->rows[to->n++] = *row;
        *row = (AddressRow) { 0 };
        return 0;
}

static _unused_ void addresses_clear(Addresses *a) {
        for (size_t i = 0; i < a->n; i++)
                address_row_clear(&a->rows[i]);
}

static _unused_ int count_network(NetworkRow *row, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

static _unused_ int stop_walk(NetworkRow *row, void *userdata) {
        ++*(unsigned *) userdata;
        return -ECANCELED;
}

static _unused_ unsigned count_networks(Store *s) {
        unsigned n = 0;
        assert_ok(store_load_networks(s, count_network, &n, &e));
        return n;
}

/* A child that writes, says so, and is killed where it stands: inside its transaction, or after. */
static _unused_ void kill_a_writer(const char *dir, bool commit) {
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

#define in_dir(test) cmocka_unit_test_setup_teardown(test, make_dir, remove_dir)
