/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgr.conf by libinih; one table of sections, keys and readers. */

#include "base/conf.h"

#include <dirent.h>
#include <fcntl.h>
#include <ini.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"

/* A file of ours is small; the size of a network configuration bounds it as well. */
#define CONF_SIZE_MAX            CONFIG_SIZE_MAX
#define ALLOW_USERS_MAX          32
#define PROTECTED_INTERFACES_MAX 64
#define SHARED_NAMESPACES_MAX    64

/* libinih's own limit, its line end with it, where it cannot be told another. */
#ifdef HAVE_INI_MAX_LINE
#define LINE_MAX_BYTES CONF_LINE_MAX
#else
#define LINE_MAX_BYTES (INI_MAX_LINE - 3U)
#endif

void conf_init(Conf *c) {
        *c = (Conf) {
                .workers = WORKERS_DEFAULT,
                .queue_max = QUEUE_MAX_DEFAULT,
                .log_level = LOG_INFO,
                .add_timeout_sec = ADD_TIMEOUT_SEC_DEFAULT,
                .cooldown_sec = COOLDOWN_SEC_DEFAULT,
                .nftables_owner = true,
                .repair = true,
                .parallel_max = PARALLEL_MAX_DEFAULT,
                .namespace_isolation = true,
        };
}

void conf_clear(Conf *c) {
        strv_free(c->allow_users);
        strv_free(c->protected_interfaces);
        strv_free(c->shared_namespaces);
        free(c->default_namespace);
        free(c->plugin_path);
        *c = (Conf) { 0 };
}

typedef struct Reader {
        const char *file;
        Conf *conf;
        Error *error;
        int r;
} Reader;

static int number(const char *value, uint32_t min, uint32_t max, uint32_t *ret, const char *key,
                  Error *e) {
        if (parse_u32(value, min, max, ret) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s=: wanted a number from %u to %u, found \"%.64s\"", key, min,
                                  max, value);
        return 0;
}

static int read_words(const char *value, size_t max, char ***target, const char *key, Error *e) {
        char **words;

        int r = strv_split(value, max, &words);
        if (r == -E2BIG)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s=: more than %zu words", key, max);
        if (r < 0)
                return error_oom(e);
        strv_free(*target);
        *target = words;
        return 0;
}

static int boolean(const char *value, bool *ret, const char *key, Error *e) {
        static const char *const words[2][4] = { { "no", "false", "off", "0" },
                                                 { "yes", "true", "on", "1" } };

        for (int v = 0; v < 2; v++)
                for (size_t i = 0; i < ELEMENTSOF(words[v]); i++)
                        if (strcasecmp(words[v][i], value) == 0) {
                                *ret = v;
                                return 0;
                        }
        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s=: wanted yes or no, found \"%.64s\"", key,
                          value);
}

static int read_node_address(const char *value, Conf *c, Error *e) {
        _cleanup_free_ char *copy = strdup(value);
        InAddr a4 = { 0 }, a6 = { 0 }, a;
        char *save, *word;

        if (!copy)
                return error_oom(e);
        for (word = strtok_r(copy, " \t", &save); word; word = strtok_r(NULL, " \t", &save)) {
                if (in_addr_parse(word, &a) < 0 || in_addr_is_multicast(&a) ||
                    in_addr_is_loopback(&a))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "NodeAddress=: wanted an address of this host, found \"%.64s\"",
                                        word);
                if (a.family == AF_INET)
                        a4 = a;
                else
                        a6 = a;
        }
        c->node_address4 = a4;
        c->node_address6 = a6;
        return 0;
}

static int read_plugin_path(const char *value, Conf *c, Error *e) {
        for (const char *p = value; *p;) {
                size_t n = strcspn(p, ":");

                if (*p != '/')
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "PluginPath=: wanted directories as /DIR:/DIR, found \"%.64s\"",
                                        value);
                p += n + (p[n] == ':');
        }
        char *copy = strdup(value);
        if (!copy)
                return error_oom(e);
        free(c->plugin_path);
        c->plugin_path = copy;
        return 0;
}

static int check_namespace(const char *value, const char *key, Error *e) {
        if (dns_label_is_valid(value, strlen(value)))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "%s=: wanted a namespace (lower-case letters, digits and '-'), found \"%.64s\"",
                        key, value);
}

/* A word that no namespace can be would be a list with commas, and nobody would be let in. */
static int read_shared_namespaces(const char *value, char ***target, const char *key, Error *e) {
        int r = read_words(value, SHARED_NAMESPACES_MAX, target, key, e);

        for (char **one = r < 0 ? NULL : *target; one && *one && r >= 0; one++)
                r = check_namespace(*one, key, e);
        return r;
}

static int read_default_namespace(const char *value, char **target, const char *key, Error *e) {
        int r = check_namespace(value, key, e);
        if (r < 0)
                return r;
        char *copy = strdup(value);
        if (!copy)
                return error_oom(e);
        free(*target);
        *target = copy;
        return 0;
}

static int read_networks_key(Conf *c, const char *key, const char *value, Error *e) {
        if (streq(key, "NamespaceIsolation"))
                return boolean(value, &c->namespace_isolation, key, e);
        if (streq(key, "SharedNamespaces"))
                return read_shared_namespaces(value, &c->shared_namespaces, key, e);
        if (streq(key, "DefaultNetworkNamespace"))
                return read_default_namespace(value, &c->default_namespace, key, e);
        return error_setf(e, ERROR_UNKNOWN_OPTION,
                          "[Networks] %.64s=: unknown key, with value \"%.64s\"", key, value);
}

static int read_key(Conf *c, const char *section, const char *key, const char *value, Error *e) {
        if (streq(section, "Manager") && streq(key, "Workers"))
                return number(value, 1, WORKERS_MAX, &c->workers, key, e);
        if (streq(section, "Manager") && streq(key, "QueueMax"))
                return number(value, 1, 65536, &c->queue_max, key, e);
        if (streq(section, "Manager") && streq(key, "LogLevel")) {
                int level = log_level_from_string(value);
                if (level < 0)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "LogLevel=: wanted err, warning, notice, info or debug, found \"%.64s\"",
                                        value);
                c->log_level = level;
                return 0;
        }
        if (streq(section, "Runtime") && streq(key, "AllowUsers"))
                return read_words(value, ALLOW_USERS_MAX, &c->allow_users, key, e);
        if (streq(section, "Runtime") && streq(key, "AddTimeoutSec"))
                return number(value, 1, 600, &c->add_timeout_sec, key, e);
        if (streq(section, "Addresses") && streq(key, "CooldownSec"))
                return number(value, 0, 86400, &c->cooldown_sec, key, e);
        if (streq(section, "Addresses") && streq(key, "MirrorHostLocal"))
                return boolean(value, &c->mirror_host_local, key, e);
        if (streq(section, "Manager") && streq(key, "Repair"))
                return boolean(value, &c->repair, key, e);
        if (streq(section, "Nftables") && streq(key, "Owner"))
                return boolean(value, &c->nftables_owner, key, e);
        if (streq(section, "Host") && streq(key, "NodeAddress"))
                return read_node_address(value, c, e);
        if (streq(section, "Host") && streq(key, "ProtectedInterfaces"))
                return read_words(value, PROTECTED_INTERFACES_MAX, &c->protected_interfaces, key,
                                  e);
        if (streq(section, "Delegates") && streq(key, "ParallelMax"))
                return number(value, 1, 256, &c->parallel_max, key, e);
        if (streq(section, "Delegates") && streq(key, "PluginPath"))
                return read_plugin_path(value, c, e);
        if (streq(section, "Networks"))
                return read_networks_key(c, key, value, e);
        return error_setf(e, ERROR_UNKNOWN_OPTION,
                          "[%.64s] %.64s=: unknown key, with value \"%.64s\"", section, key, value);
}

static int on_key(void *user, const char *section, const char *key, const char *value) {
        Reader *reader = user;

        if (reader->r >= 0)
                reader->r = read_key(reader->conf, section, key, strempty(value), reader->error);
        return reader->r >= 0;
}

static int malformed(const char *dir, const char *file, const char *text, int line, Error *e) {
        for (int i = 1; i < line && strchr(text, '\n'); i++)
                text = strchr(text, '\n') + 1;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "%s/%s:%d: wanted \"[Section]\" or \"Key=value\" of at most %u bytes, found \"%.*s\"",
                        dir, file, line, LINE_MAX_BYTES,
                        (int) MIN_OF(strcspn(text, "\n"), (size_t) 64), text);
}

/*
 * libinih cuts a line that is too long and reads the rest as another, and an indented line as the value of the
 * key before it, instead of that one's. So the first gets no further, and of the second the indentation goes to the
 * end. Returns the number of a line that is too long, or 0.
 */
static int prepare_lines(char *text) {
        for (int number = 1; *text; number++) {
                size_t size = strcspn(text, "\n"), blank = strspn(text, " \t");

                if (size > LINE_MAX_BYTES)
                        return number;
                memmove(text, text + blank, size - blank);
                memset(text + size - blank, ' ', blank);
                text += size + (text[size] == '\n');
        }
        return 0;
}

static int parse_text(char *text, Reader *reader) {
        int line = prepare_lines(text);

#ifdef HAVE_INI_MAX_LINE
        ini_max_line = LINE_MAX_BYTES + 3;
#endif
        return line > 0 ? line : ini_parse_string(text, on_key, reader);
}

static int load_file(int dirfd, const char *dir, const char *file, Conf *c, Error *e) {
        _cleanup_free_ char *text = NULL;
        Reader reader = { .conf = c, .error = e };

        int r = file_read_full(dirfd, file, CONF_SIZE_MAX, &text, NULL);
        if (r == -ENOENT)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading %s/%s", dir, file);
        int line = parse_text(text, &reader);
        if (reader.r < 0) {
                error_prefixf(e, "%s/%s:%d", dir, file, line > 0 ? line : 1);
                return reader.r;
        }
        return line != 0 ? malformed(dir, file, text, line > 0 ? line : 1, e) : 0;
}

static int is_conf(const struct dirent *d) {
        size_t n = strlen(d->d_name);
        return d->d_name[0] != '.' && n > 5 && streq(d->d_name + n - 5, ".conf");
}

static int load_directory(const char *dir, Conf *c, Error *e) {
        _cleanup_free_ char *path = strf("%s/netmgr.conf.d", dir);
        _cleanup_close_ int fd = -EBADF;
        struct dirent **list = NULL;
        int r = 0;

        if (!path)
                return error_oom(e);
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0
                                       : error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno,
                                                          "opening %s", path);
        int n = scandirat(fd, ".", &list, is_conf, alphasort);
        if (n < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "listing %s", path);
        if (n > (int) CONFIG_FILES_MAX)
                r = error_setf(e, ERROR_INVALID_ARGUMENT, "%s: %d files, at most %u", path, n,
                               CONFIG_FILES_MAX);
        for (int i = 0; i < n; i++) {
                if (r >= 0)
                        r = load_file(fd, path, list[i]->d_name, c, e);
                free(list[i]);
        }
        free(list);
        return r;
}

int conf_load(const char *dir, Conf *ret, Error *e) {
        _cleanup_close_ int fd = -EBADF;
        Conf c;

        conf_init(&c);
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 && errno != ENOENT)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, errno, "opening %s", dir);
        int r = fd < 0 ? 0 : load_file(fd, dir, "netmgr.conf", &c, e);
        if (r >= 0)
                r = load_directory(dir, &c, e);
        if (r < 0) {
                conf_clear(&c);
                return r;
        }
        conf_clear(ret);
        *ret = c;
        return 0;
}
