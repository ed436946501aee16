/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The format of a spooled request; see spool-entry.h. */

#include "cri/spool-entry.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"

void spool_entry_clear(SpoolEntry *entry) {
        free(entry->verb);
        free(entry->boot_id);
        free(entry->type);
        free(entry->container_id);
        free(entry->ifname);
        free(entry->netns_path);
        free(entry->args);
        free(entry->path);
        free(entry->config);
        *entry = (SpoolEntry) { 0 };
}

/* ---- reading --------------------------------------------------------------------------------- */

static const JsonField netns_fields[] = {
        { "Dev", json_read_u64, offsetof(SpoolNetns, dev), JSON_REQUIRED },
        { "Ino", json_read_u64, offsetof(SpoolNetns, ino), JSON_REQUIRED },
        { "Cookie", json_read_u64, offsetof(SpoolNetns, cookie), 0 },
        {},
};

static int read_netns(json_object *value, const char *path, void *target, Error *e) {
        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: wanted an object with Dev and Ino, found %s", path,
                                  JSON_SHORT(value));
        return json_read_object(value, path, netns_fields, JSON_UNKNOWN_REFUSE, target, e);
}

static const JsonField version_fields[] = {
        { "Version", json_read_u32, offsetof(SpoolEntry, version), JSON_REQUIRED },
        {},
};

static const JsonField entry_fields[] = {
        { "Version", NULL, 0, 0 },
        { "Verb", json_read_string, offsetof(SpoolEntry, verb), JSON_REQUIRED },
        { "TimeUsec", json_read_u64, offsetof(SpoolEntry, time_usec), JSON_REQUIRED },
        { "BootTimeUsec", json_read_u64, offsetof(SpoolEntry, boottime_usec), JSON_REQUIRED },
        { "BootId", json_read_string, offsetof(SpoolEntry, boot_id), JSON_REQUIRED },
        { "Type", json_read_string, offsetof(SpoolEntry, type), JSON_REQUIRED },
        { "ContainerId", json_read_string, offsetof(SpoolEntry, container_id), JSON_REQUIRED },
        { "IfName", json_read_string, offsetof(SpoolEntry, ifname), JSON_REQUIRED },
        { "NetnsPath", json_read_string, offsetof(SpoolEntry, netns_path), 0 },
        { "Args", json_read_string, offsetof(SpoolEntry, args), 0 },
        { "Path", json_read_string, offsetof(SpoolEntry, path), 0 },
        { "Config", json_read_string, offsetof(SpoolEntry, config), JSON_REQUIRED },
        { "Netns", read_netns, offsetof(SpoolEntry, netns), 0 },
        { "HostNetns", read_netns, offsetof(SpoolEntry, host_netns), 0 },
        {},
};

static int check_text(const char *key, const char *value, size_t max, Error *e) {
        size_t size = strlen(value);

        if (size <= max && text_is_clean(value, size))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "%s: wanted at most %zu bytes without control characters, found %zu bytes",
                        key, max, size);
}

/* As /proc/sys/kernel/random/boot_id has it. */
static bool boot_id_is_valid(const char *s) {
        return strlen(s) == 36 && strspn(s, "0123456789abcdef-") == 36;
}

static int check_ids(const SpoolEntry *entry, Error *e) {
        if (!streq(entry->verb, "DEL"))
                return error_setf(e, ERROR_NOT_SUPPORTED, "Verb: wanted \"DEL\", found \"%.16s\"",
                                  entry->verb);
        if (!cni_id_is_valid(entry->container_id, CONTAINER_ID_MAX))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "ContainerId: wanted at most %u of [A-Za-z0-9_.-], beginning with a "
                                "letter or digit, found \"%.64s\"",
                                CONTAINER_ID_MAX, entry->container_id);
        if (!ifname_is_valid(entry->ifname))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "IfName: wanted an interface name of 1 to %u bytes, found \"%.64s\"",
                                IFNAME_LEN_MAX, entry->ifname);
        if (!boot_id_is_valid(entry->boot_id))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "BootId: wanted 36 hex digits and '-', found \"%.64s\"",
                                  entry->boot_id);
        return 0;
}

static int complete(SpoolEntry *entry, Error *e) {
        char **optional[] = { &entry->netns_path, &entry->args, &entry->path };

        for (size_t i = 0; i < ELEMENTSOF(optional); i++)
                if (!*optional[i] && !(*optional[i] = strdup("")))
                        return error_oom(e);
        int r = check_ids(entry, e);
        if (r >= 0)
                r = check_text("Type", entry->type, NETWORK_NAME_MAX, e);
        if (r >= 0)
                r = check_text("NetnsPath", entry->netns_path, NETNS_PATH_MAX - 1, e);
        if (r >= 0)
                r = check_text("Args", entry->args, CNI_ARGS_MAX, e);
        if (r >= 0)
                r = check_text("Path", entry->path, CNI_PATH_MAX, e);
        return r;
}

int spool_entry_parse(const char *text, size_t size, SpoolEntry *ret, Error *e) {
        _cleanup_spool_entry_ SpoolEntry entry = { 0 };
        _cleanup_json_ json_object *top = NULL;

        int r = json_parse(text, size, "spooled request", &top, e);
        if (r < 0)
                return r;
        if (!json_object_is_type(top, json_type_object))
                return error_setf(e, ERROR_DECODE, "wanted a JSON object, found %s",
                                  JSON_SHORT(top));
        /* The version first: what else is there depends on it. */
        r = json_read_object(top, "", version_fields, JSON_UNKNOWN_IGNORE, &entry, e);
        if (r < 0)
                return r;
        if (entry.version != SPOOL_VERSION)
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "Version: wanted %u, found %u; plugin and netmgrd are of different "
                                "versions",
                                SPOOL_VERSION, entry.version);
        r = json_read_object(top, "", entry_fields, JSON_UNKNOWN_REFUSE, &entry, e);
        if (r >= 0)
                r = complete(&entry, e);
        if (r < 0)
                return r;
        *ret = entry;
        entry = (SpoolEntry) { 0 };
        return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int add_number(json_object *o, const char *key, uint64_t value) {
        return json_add(o, key, json_object_new_uint64(value));
}

static int add_netns(json_object *o, const char *key, const SpoolNetns *n) {
        json_object *inner;

        if (!n->ino)
                return 0;
        inner = json_object_new_object();
        if (!inner || add_number(inner, "Dev", n->dev) < 0 ||
            add_number(inner, "Ino", n->ino) < 0 ||
            (n->cookie && add_number(inner, "Cookie", n->cookie) < 0)) {
                json_object_put(inner);
                return -ENOMEM;
        }
        return json_add(o, key, inner);
}

int spool_entry_format(const SpoolEntry *entry, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *text = NULL;

        if (!o || add_number(o, "Version", SPOOL_VERSION) < 0 ||
            json_add_string(o, "Verb", entry->verb) < 0 ||
            add_number(o, "TimeUsec", entry->time_usec) < 0 ||
            json_add_string(o, "BootId", entry->boot_id) < 0 ||
            add_number(o, "BootTimeUsec", entry->boottime_usec) < 0 ||
            json_add_string(o, "Type", entry->type) < 0 ||
            json_add_string(o, "ContainerId", entry->container_id) < 0 ||
            json_add_string(o, "IfName", entry->ifname) < 0 ||
            json_add_string(o, "NetnsPath", entry->netns_path) < 0 ||
            json_add_string(o, "Args", entry->args) < 0 ||
            json_add_string(o, "Path", entry->path) < 0 ||
            json_add_string(o, "Config", entry->config) < 0 ||
            add_netns(o, "Netns", &entry->netns) < 0 ||
            add_netns(o, "HostNetns", &entry->host_netns) < 0 || !(text = json_to_text(o)))
                return -ENOMEM;
        if (strlen(text) > SPOOL_ENTRY_SIZE_MAX)
                return -E2BIG;
        *ret = TAKE_PTR(text);
        return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

uint64_t spool_entry_key(const SpoolEntry *entry) {
        uint64_t parts[] = { hash64(entry->container_id, strlen(entry->container_id)),
                             hash64(entry->ifname, strlen(entry->ifname)),
                             hash64(entry->boot_id, strlen(entry->boot_id)) };

        return hash64(parts, sizeof(parts));
}

void spool_entry_name(const SpoolEntry *entry, unsigned attempt, char buf[static SPOOL_NAME_SIZE]) {
        snprintf(buf, SPOOL_NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 SPOOL_SUFFIX,
                 spool_entry_key(entry), entry->boottime_usec + attempt);
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool spool_name_is_entry(const char *name, uint64_t *ret_key) {
        uint64_t key = 0;

        if (strlen(name) != SPOOL_NAME_SIZE - 1 || name[16] != '-' ||
            !streq(name + 33, SPOOL_SUFFIX))
                return false;
        for (int i = 0; i < 16; i++) {
                if (hex_digit(name[i]) < 0 || hex_digit(name[17 + i]) < 0)
                        return false;
                key = key << 4 | (uint64_t) hex_digit(name[i]);
        }
        if (ret_key)
                *ret_key = key;
        return true;
}

static char *network_name(const char *config) {
        _cleanup_json_ json_object *top = NULL;
        const char *name;

        if (json_parse(config, strlen(config), "network configuration", &top, NULL) < 0)
                return NULL;
        name = json_object_get_string(json_get(top, "name"));
        return name ? strdup(name) : NULL;
}

/* A DEL for another network than the interface's does nothing, so the network has to be the same; the
 * rest of the configuration (prevResult) may differ from call to call. */
static bool is_same_network(const char *a, const char *b) {
        _cleanup_free_ char *x = NULL, *y = NULL;

        if (streq(a, b))
                return true;
        x = network_name(a);
        y = network_name(b);
        return x && y && streq(x, y);
}

bool spool_entry_covers(const SpoolEntry *later, const SpoolEntry *earlier) {
        return streq(later->boot_id, earlier->boot_id) &&
               later->boottime_usec >= earlier->boottime_usec &&
               streq(later->container_id, earlier->container_id) &&
               streq(later->ifname, earlier->ifname) &&
               is_same_network(later->config, earlier->config);
}

/* ---- files ----------------------------------------------------------------------------------- */

int spool_file_read(int dirfd, const char *name, SpoolEntry *ret, Error *e) {
        _cleanup_close_ int fd = openat(dirfd, name,
                                        O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        _cleanup_free_ char *text = NULL;
        struct stat st;
        size_t size;

        if (fd < 0)
                return errno == ENOENT ? -ENOENT
                                       : error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno,
                                                          "opening it (as a plain file)");
        if (fstat(fd, &st) < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno, "fstat");
        if (!S_ISREG(st.st_mode))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "wanted a plain file, found something else (mode %o)",
                                  (unsigned) st.st_mode);
        if (st.st_uid != 0 && st.st_uid != geteuid())
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "wanted a file of root or of uid %u, found one of uid %u",
                                  (unsigned) geteuid(), (unsigned) st.st_uid);
        int r = fd_read_full(fd, SPOOL_ENTRY_SIZE_MAX, &text, &size);
        if (r == -E2BIG)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "it has more than %u bytes",
                                  SPOOL_ENTRY_SIZE_MAX);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "reading it");
        return spool_entry_parse(text, size, ret, e);
}
