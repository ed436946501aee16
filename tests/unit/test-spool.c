/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The spool: what an entry is, what is none, and how it gets onto the disk. openat() of this program
 * stands before libc's, for file systems without nameless files and for troubles of the disk.
 */

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/spool.h"

#define BOOT_ID "0b0a9f7e-2d4c-4b6a-9f00-123456789abc"
#define CONFIG  "{\"cniVersion\":\"1.0.0\",\"name\":\"net1\",\"type\":\"netmgr\"}"

/* ---- libc, sometimes in trouble -------------------------------------------------------------- */

static int nameless_error, fsync_error;

/* NOLINTNEXTLINE: the name is libc's */
int openat(int dirfd, const char *path, int flags, ...) {
        mode_t mode = 0;

        if (flags & (O_CREAT | O_TMPFILE)) {
                va_list ap;
                va_start(ap, flags);
                mode = va_arg(ap, mode_t);
                va_end(ap);
        }
        if ((flags & O_TMPFILE) == O_TMPFILE && nameless_error) {
                errno = nameless_error;
                return -1;
        }
        return (int) syscall(SYS_openat, dirfd, path, flags, mode);
}

int fsync(int fd) {
        if (fsync_error) {
                errno = fsync_error;
                return -1;
        }
        return (int) syscall(SYS_fsync, fd);
}

/* ---- surroundings ---------------------------------------------------------------------------- */

typedef struct Place {
        char path[64];
        int fd;
} Place;

static int setup(void **state) {
        Place *p = new0(Place, 1);

        if (!p)
                return -1;
        nameless_error = fsync_error = 0;
        snprintf(p->path, sizeof(p->path), "/tmp/netmgr-spool.XXXXXX");
        if (!mkdtemp(p->path) || chmod(p->path, 0770) < 0 ||
            spool_directory_open(p->path, &p->fd, NULL) < 0)
                return -1;
        *state = p;
        return 0;
}

/* Calls f for each name; returns how many there are. */
static size_t each_name(const Place *p, void (*f)(const Place *p, const char *name)) {
        DIR *dir = opendir(p->path);
        struct dirent *d;
        size_t n = 0;

        assert_non_null(dir);
        while ((d = readdir(dir)))
                if (d->d_name[0] != '.' || strlen(d->d_name) > 2) {
                        if (f)
                                f(p, d->d_name);
                        n++;
                }
        closedir(dir);
        return n;
}

static void remove_name(const Place *p, const char *name) {
        (void) unlinkat(p->fd, name, 0);
}

static int teardown(void **state) {
        Place *p = *state;

        (void) each_name(p, remove_name);
        safe_close(p->fd);
        int r = rmdir(p->path);
        free(p);
        return r;
}

static SpoolEntry sample(void) {
        return (SpoolEntry) {
                .verb = (char *) "DEL",
                .time_usec = 1800000000000000,
                .boottime_usec = 5000000,
                .boot_id = (char *) BOOT_ID,
                .type = (char *) "netmgr",
                .container_id = (char *) "c1",
                .ifname = (char *) "eth0",
                .netns_path = (char *) "/run/netns/a",
                .args = (char *) "IgnoreUnknown=1",
                .path = (char *) "/usr/lib/cni",
                .config = (char *) CONFIG,
                .netns = { .dev = 4, .ino = 4026531840, .cookie = 77 },
                .host_netns = { .dev = 4, .ino = 4026531841 },
        };
}

static void write_ok(const Place *p, const SpoolEntry *entry) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (spool_write(p->fd, entry, &e) < 0)
                fail_msg("%s", error_message(&e));
}

static void write_refused(const Place *p, const SpoolEntry *entry, const char *word) {
        _cleanup_error_ Error e = ERROR_NULL;

        assert_true(spool_write(p->fd, entry, &e) < 0);
        assert_int_equal(e.kind, ERROR_TRY_AGAIN);
        if (!strstr(error_message(&e), word))
                fail_msg("\"%s\" is missing in: %s", word, error_message(&e));
}

static bool has(const Place *p, const SpoolEntry *entry) {
        _cleanup_spool_entry_ SpoolEntry read = { 0 };
        char name[SPOOL_NAME_SIZE];

        spool_entry_name(entry, 0, name);
        return spool_file_read(p->fd, name, &read, NULL) >= 0;
}

/* ---- format ---------------------------------------------------------------------------------- */

static void test_round_trip(void **state) {
        _cleanup_spool_entry_ SpoolEntry out = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        const SpoolEntry in = sample();

        assert_int_equal(spool_entry_format(&in, &text), 0);
        assert_int_equal(spool_entry_parse(text, strlen(text), &out, &e), 0);
        assert_int_equal(out.version, SPOOL_VERSION);
        assert_string_equal(out.verb, in.verb);
        assert_true(out.time_usec == in.time_usec && out.boottime_usec == in.boottime_usec);
        assert_string_equal(out.boot_id, in.boot_id);
        assert_string_equal(out.type, in.type);
        assert_string_equal(out.container_id, in.container_id);
        assert_string_equal(out.ifname, in.ifname);
        assert_string_equal(out.netns_path, in.netns_path);
        assert_string_equal(out.args, in.args);
        assert_string_equal(out.path, in.path);
        assert_string_equal(out.config, in.config);
        assert_memory_equal(&out.netns, &in.netns, sizeof(in.netns));
        assert_memory_equal(&out.host_netns, &in.host_netns, sizeof(in.host_netns));
}

static void test_what_may_be_missing(void **state) {
        _cleanup_spool_entry_ SpoolEntry out = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        SpoolEntry in = sample();

        in.netns_path = in.args = in.path = NULL;
        in.netns = in.host_netns = (SpoolNetns) { 0 };
        assert_int_equal(spool_entry_format(&in, &text), 0);
        assert_null(strstr(text, "Netns"));
        assert_int_equal(spool_entry_parse(text, strlen(text), &out, &e), 0);
        assert_string_equal(out.netns_path, "");
        assert_string_equal(out.args, "");
        assert_string_equal(out.path, "");
        assert_true(out.netns.ino == 0 && out.host_netns.ino == 0);
}

/* The sample's text with `from` (which must be there) replaced. */
static void refused(const char *from, const char *to, ErrorKind kind, const char *word) {
        _cleanup_free_ char *text = NULL, *changed = NULL;
        _cleanup_spool_entry_ SpoolEntry out = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        const SpoolEntry in = sample();

        assert_int_equal(spool_entry_format(&in, &text), 0);
        const char *at = strstr(text, from);
        if (!at)
                fail_msg("%s is not in %s", from, text);
        changed = strf("%.*s%s%s", (int) (at - text), text, to, at + strlen(from));
        assert_non_null(changed);
        if (spool_entry_parse(changed, strlen(changed), &out, &e) >= 0)
                fail_msg("accepted: %s", changed);
        assert_null(out.verb); /* untouched */
        if (e.kind != kind || !strstr(error_message(&e), word))
                fail_msg("kind %d, wanted %d and \"%s\": %s", (int) e.kind, (int) kind, word,
                         error_message(&e));
}

static void test_refused(void **state) {
        refused("\"Version\":1", "\"Version\":2", ERROR_NOT_SUPPORTED, "different versions");
        refused("\"Version\":1,", "", ERROR_INVALID_ARGUMENT, "Version");
        refused("\"Version\":1", "\"Version\":\"1\"", ERROR_INVALID_ARGUMENT, "Version");
        refused("\"DEL\"", "\"ADD\"", ERROR_NOT_SUPPORTED, "ADD");
        refused("\"TimeUsec\":1800000000000000", "\"TimeUsec\":-1", ERROR_INVALID_ARGUMENT,
                "TimeUsec");
        refused("\"BootTimeUsec\":5000000", "\"BootTimeUsec\":\"x\"", ERROR_INVALID_ARGUMENT,
                "BootTimeUsec");
        refused(BOOT_ID, "0b0a9f7e", ERROR_INVALID_ARGUMENT, "BootId");
        refused(BOOT_ID, "ZZZZZZZZ-2d4c-4b6a-9f00-123456789abc", ERROR_INVALID_ARGUMENT, "BootId");
        refused("\"c1\"", "\"../c1\"", ERROR_INVALID_ARGUMENT, "ContainerId");
        refused("\"c1\"", "\"\"", ERROR_INVALID_ARGUMENT, "ContainerId");
        refused("\"eth0\"", "\"a/b\"", ERROR_INVALID_ARGUMENT, "IfName");
        refused("\"eth0\"", "\"0123456789abcdef\"", ERROR_INVALID_ARGUMENT, "IfName");
        refused("\"/run/netns/a\"", "\"/run\\u0007\"", ERROR_INVALID_ARGUMENT, "NetnsPath");
        refused("\"netmgr\",\"Con", "\"net\\nmgr\",\"Con", ERROR_INVALID_ARGUMENT, "Type");
        refused("\"IgnoreUnknown=1\"", "[]", ERROR_INVALID_ARGUMENT, "Args");
        refused("\"Path\"", "\"Pfad\"", ERROR_UNKNOWN_OPTION, "Pfad");
        refused("\"Config\"", "\"Args\"", ERROR_INVALID_ARGUMENT, "Config");
        refused("{\"Dev\":4,\"Ino\":4026531840,\"Cookie\":77}", "7", ERROR_INVALID_ARGUMENT,
                "Netns");
        refused("\"Ino\":4026531840,", "", ERROR_INVALID_ARGUMENT, "Ino");
        refused("\"Cookie\":77", "\"Cookie\":77,\"Kind\":1", ERROR_UNKNOWN_OPTION, "Kind");
        refused("{\"Version\"", "[{\"Version\"", ERROR_DECODE, "");
}

static void test_refused_texts(void **state) {
        static const char *const texts[] = { "", "{", "[]", "null", "7", "{}", "{}{}", "\xff\xfe" };
        _cleanup_spool_entry_ SpoolEntry out = { 0 };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                assert_true(spool_entry_parse(texts[i], strlen(texts[i]), &out, &e) < 0);
                assert_true(error_is_set(&e));
        }
        _cleanup_error_ Error e = ERROR_NULL;
        assert_true(spool_entry_parse("{\0}", 3, &out, &e) < 0);
}

static void test_too_large(void **state) {
        _cleanup_free_ char *config = malloc(SPOOL_ENTRY_SIZE_MAX), *text = NULL;
        SpoolEntry in = sample();

        assert_non_null(config);
        memset(config, 'x', SPOOL_ENTRY_SIZE_MAX - 1);
        config[SPOOL_ENTRY_SIZE_MAX - 1] = '\0';
        in.config = config;
        assert_int_equal(spool_entry_format(&in, &text), -E2BIG);
        write_refused(*state, &in, "more than the");
        assert_int_equal(each_name(*state, NULL), 0);
}

static void test_names(void **state) {
        SpoolEntry a = sample(), b = sample();
        char x[SPOOL_NAME_SIZE], y[SPOOL_NAME_SIZE];
        uint64_t key = 0;

        spool_entry_name(&a, 0, x);
        assert_true(spool_name_is_entry(x, &key));
        assert_true(key == spool_entry_key(&a));
        spool_entry_name(&a, 1, y);
        assert_string_not_equal(x, y);
        b.boottime_usec++;
        assert_true(spool_entry_key(&a) == spool_entry_key(&b));
        b.ifname = (char *) "eth1";
        assert_true(spool_entry_key(&a) != spool_entry_key(&b));
        /* "c1" + "eth0" is not "c1e" + "th0" */
        b.container_id = (char *) "c1e";
        b.ifname = (char *) "th0";
        assert_true(spool_entry_key(&a) != spool_entry_key(&b));

        x[0] = 'G';
        assert_false(spool_name_is_entry(x, NULL));
        assert_false(spool_name_is_entry("", NULL));
        assert_false(spool_name_is_entry("README", NULL));
        assert_false(spool_name_is_entry("0123456789abcdef-0123456789abcdef.bad", NULL));
        assert_false(spool_name_is_entry("0123456789abcdef_0123456789abcdef.del", NULL));
        assert_false(spool_name_is_entry("0123456789abcdef-0123456789abcde/.del", NULL));
        assert_true(spool_name_is_entry("0123456789abcdef-0123456789abcdef.del", NULL));
}

static void test_covers(void **state) {
        SpoolEntry early = sample(), late = sample();

        late.boottime_usec++;
        assert_true(spool_entry_covers(&late, &early));
        assert_true(spool_entry_covers(&early, &early));
        assert_false(spool_entry_covers(&early, &late));
        late.config = (char *) "{\"name\":\"net1\",\"prevResult\":{}}";
        assert_true(spool_entry_covers(&late, &early));
        late.config = (char *) "{\"name\":\"net2\"}";
        assert_false(spool_entry_covers(&late, &early));
        late.config = (char *) "{";
        assert_false(spool_entry_covers(&late, &early));
        late = early;
        late.boot_id = (char *) "0b0a9f7e-2d4c-4b6a-9f00-aaaaaaaaaaaa";
        assert_false(spool_entry_covers(&late, &early));
        late = early;
        late.container_id = (char *) "c2";
        assert_false(spool_entry_covers(&late, &early));
        late = early;
        late.ifname = (char *) "eth1";
        assert_false(spool_entry_covers(&late, &early));
}

/* ---- files ----------------------------------------------------------------------------------- */

static void test_write(void **state) {
        const Place *p = *state;
        SpoolEntry a = sample(), b = sample();
        struct stat st, dir;
        char name[SPOOL_NAME_SIZE];

        write_ok(p, &a);
        assert_true(has(p, &a));
        spool_entry_name(&a, 0, name);
        assert_int_equal(fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW), 0);
        assert_int_equal(fstat(p->fd, &dir), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0640);
        assert_int_equal(st.st_gid, dir.st_gid);
        assert_int_equal(st.st_nlink, 1);

        b.boottime_usec += 5; /* takes its place */
        write_ok(p, &b);
        assert_true(has(p, &b) && !has(p, &a));
        write_ok(p, &a); /* written late: takes out nothing */
        assert_true(has(p, &b) && has(p, &a));
        write_ok(p, &b); /* in the same microsecond: under the next name */
        assert_int_equal(each_name(p, NULL), 1);
}

/* The same where files cannot be nameless. */
static void test_write_temporary(void **state) {
        static const int errors[] = { EOPNOTSUPP, EISDIR, EINVAL };
        const Place *p = *state;
        SpoolEntry a = sample();

        for (size_t i = 0; i < ELEMENTSOF(errors); i++) {
                nameless_error = errors[i];
                a.boottime_usec++;
                write_ok(p, &a);
                assert_true(has(p, &a));
                assert_int_equal(each_name(p, NULL), 1); /* the temporary name is gone */
        }
        nameless_error = EACCES; /* that is no reason for another name */
        write_refused(p, &a, "Permission denied");
        assert_int_equal(each_name(p, NULL), 1);
}

static void test_disk_in_trouble(void **state) {
        SpoolEntry a = sample();

        fsync_error = EIO;
        write_refused(*state, &a, "Input/output error");
        assert_int_equal(each_name(*state, NULL), 0);
        nameless_error = EOPNOTSUPP;
        write_refused(*state, &a, "Input/output error");
        assert_int_equal(each_name(*state, NULL), 0);
        fsync_error = ENOSPC;
        write_refused(*state, &a, "make room there");
        fsync_error = 0;
        write_ok(*state, &a);
}

static void put(const Place *p, const char *name, const char *text) {
        _cleanup_close_ int fd = openat(p->fd, name, O_CREAT | O_WRONLY | O_CLOEXEC, 0640);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

/* What stands in the place of an earlier entry is not followed, waited for or removed. */
static void test_hostile_neighbours(void **state) {
        const Place *p = *state;
        SpoolEntry a = sample();
        char name[SPOOL_NAME_SIZE];

        spool_entry_name(&a, 0, name);
        put(p, name, "{");
        spool_entry_name(&a, 1, name);
        assert_int_equal(symlinkat("/etc/passwd", p->fd, name), 0);
        spool_entry_name(&a, 2, name);
        assert_int_equal(mkfifoat(p->fd, name, 0640), 0);
        spool_entry_name(&a, 3, name);
        assert_int_equal(mkdirat(p->fd, name, 0750), 0);
        write_ok(p, &a);
        assert_int_equal(each_name(p, NULL), 5);
        assert_int_equal(unlinkat(p->fd, name, AT_REMOVEDIR), 0);
}

static void test_read_refuses(void **state) {
        const Place *p = *state;
        _cleanup_spool_entry_ SpoolEntry out = { 0 };
        static const char *const names[] = { "link", "fifo", "large", "text" };

        assert_int_equal(symlinkat("text", p->fd, "link"), 0);
        assert_int_equal(mkfifoat(p->fd, "fifo", 0640), 0);
        put(p, "large", "{");
        _cleanup_close_ int fd = openat(p->fd, "large", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, SPOOL_ENTRY_SIZE_MAX + 1), 0);
        put(p, "text", "text");
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                assert_true(spool_file_read(p->fd, names[i], &out, &e) < 0);
                assert_true(error_is_set(&e));
        }
        _cleanup_error_ Error e = ERROR_NULL;
        assert_int_equal(spool_file_read(p->fd, "none", &out, &e), -ENOENT);
        assert_false(error_is_set(&e));
}

static void test_bounds(void **state) {
        const Place *p = *state;
        SpoolEntry a = sample(), other = sample();
        char name[32];

        other.container_id = (char *) "c2";
        write_ok(p, &a);
        for (unsigned i = 1; i < SPOOL_ENTRIES_MAX; i++) {
                snprintf(name, sizeof(name), "%u", i);
                put(p, name, "");
        }
        write_refused(p, &other, "full");
        a.boottime_usec++;
        write_ok(p, &a); /* one for one */
        assert_int_equal(unlinkat(p->fd, "1", 0), 0);
        write_ok(p, &other);

        assert_int_equal(unlinkat(p->fd, "2", 0), 0);
        _cleanup_close_ int fd = openat(p->fd, "3", O_WRONLY | O_CLOEXEC);
        assert_int_equal(ftruncate(fd, SPOOL_BYTES_MAX), 0);
        other.container_id = (char *) "c3";
        write_refused(p, &other, "full");
}

static void test_directory(void **state) {
        static const struct {
                mode_t mode;
                bool good;
        } modes[] = { { 0770, true },  { 0700, false }, { 0777, false },
                      { 0771, false }, { 0750, false }, { 02770, true } };
        const Place *p = *state;
        _cleanup_free_ char *link = strf("%s/link", p->path), *none = strf("%s/none", p->path);

        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_close_ int fd = -EBADF;

                assert_int_equal(chmod(p->path, modes[i].mode), 0);
                assert_int_equal(spool_directory_open(p->path, &fd, &e) >= 0, modes[i].good);
                assert_int_equal(e.kind, modes[i].good ? ERROR_NONE : ERROR_TRY_AGAIN);
        }
        _cleanup_error_ Error e = ERROR_NULL;
        int fd = -EBADF;
        assert_true(spool_directory_open(none, &fd, &e) < 0);
        assert_non_null(strstr(error_message(&e), "install -d -o root -g netmgr -m 770"));
        assert_int_equal(symlink(p->path, link), 0);
        assert_true(spool_directory_open(link, &fd, NULL) < 0);
        assert_int_equal(fd, -EBADF);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_what_may_be_missing),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_refused_texts),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_covers),
                cmocka_unit_test_setup_teardown(test_too_large, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write, setup, teardown),
                cmocka_unit_test_setup_teardown(test_write_temporary, setup, teardown),
                cmocka_unit_test_setup_teardown(test_disk_in_trouble, setup, teardown),
                cmocka_unit_test_setup_teardown(test_hostile_neighbours, setup, teardown),
                cmocka_unit_test_setup_teardown(test_read_refuses, setup, teardown),
                cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
                cmocka_unit_test_setup_teardown(test_directory, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
