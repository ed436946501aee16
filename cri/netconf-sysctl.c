/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "sysctl" of the tuning plugin: names below net, of the sandbox's own namespace. Source: the plugin's
 * documentation and sysctl(8): dots and slashes change places when the first separator is a dot.
 */

#include <ctype.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* "net.ipv4.conf.eth0.arp_filter" and "net/ipv4/conf/eth0.7/arp_filter" to "net/ipv4/conf/…". In the
 * reference plugin a slash stays one among dots. */
static void separators(char *name, bool slashes_stay) {
        if (name[strcspn(name, "./")] != '.')
                return;
        for (char *p = name; *p; p++)
                *p = *p == '.' ? '/' : *p == '/' && !slashes_stay ? '.' : *p;
}

/* The word stands for the interface's name, once. */
static bool ifname_twice(const char *name) {
        const char *first = strstr(name, "IFNAME");

        return first && strstr(first + 1, "IFNAME");
}

/* The alphabet is that of netmgr-nsd, which opens the file: what passes here passes there. */
static bool name_is_valid(const char *name) {
        if (strncmp(name, "net/", 4) != 0 || strlen(name) > SYSCTL_NAME_MAX)
                return false;
        for (const char *part = name; part; part = strchr(part, '/')) {
                part += *part == '/';
                size_t n = strcspn(part, "/");
                if (n == 0 || (part[0] == '.' && (n == 1 || (n == 2 && part[1] == '.'))))
                        return false;
                for (size_t i = 0; i < n; i++)
                        if (!isalnum((unsigned char) part[i]) && !strchr("_-.", part[i]))
                                return false;
                if (!part[n])
                        break;
                part += n;
        }
        return true;
}

static bool value_is_valid(const char *value) {
        size_t n = strlen(value);

        /* the kernel ignores a write of nothing */
        if (n == 0 || n > SYSCTL_VALUE_MAX)
                return false;
        for (size_t i = 0; i < n; i++)
                if ((unsigned char) value[i] < ' ' && value[i] != '\t')
                        return false;
        return true;
}

static int check_name(const char *name, const char *path, Error *e) {
        if (!name_is_valid(name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted a name below net of at most %u letters, digits, "
                                  "'_', '-' and separators, such as net.core.somaxconn",
                                  path, SYSCTL_NAME_MAX);
        if (ifname_twice(name))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": IFNAME stands for the interface once, and is there twice",
                                path);
        return 0;
}

/* The entry of that name: a new one behind the others, or the one that is to be replaced. */
static int sysctl_slot(NetConf *c, const char *name, const char *path, bool replace,
                       NetSysctl **ret, Error *e) {
        NetSysctl *more;

        for (size_t i = 0; i < c->n_sysctls; i++)
                if (streq(c->sysctls[i].name, name)) {
                        *ret = &c->sysctls[i];
                        return replace ? 0
                                       : error_setf(e, ERROR_INVALID_ARGUMENT,
                                                    "\"%s\": %s is given twice", path, name);
                }
        if (c->n_sysctls >= SYSCTLS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\" is one too many: at most %u sysctls are possible", path,
                                  SYSCTLS_MAX);
        more = reallocarray(c->sysctls, c->n_sysctls + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        c->sysctls = more;
        more[c->n_sysctls] = (NetSysctl) { .name = strdup(name) };
        if (!more[c->n_sysctls].name)
                return error_oom(e);
        *ret = &more[c->n_sysctls++];
        return 0;
}

static int sysctl_add(NetConf *c, const char *frame, const char *key, bool replace,
                      json_object *value, Error *e) {
        _cleanup_free_ char *path = strf("%s.%.*s", frame, (int) SYSCTL_NAME_MAX, key),
                            *name = strdup(key);
        NetSysctl *s = NULL;
        int r;

        if (!path || !name)
                return error_oom(e);
        separators(name, netconf_is_drop_in(c));
        r = check_name(name, path, e);
        if (r >= 0)
                r = sysctl_slot(c, name, path, replace, &s, e);
        if (r >= 0)
                r = json_read_string(value, path, &s->value, e);
        if (r < 0)
                return r;
        if (!value_is_valid(s->value))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted one line of 1 to %u bytes, found %s", path,
                                  SYSCTL_VALUE_MAX, JSON_SHORT(value));
        return 0;
}

static int sysctl_compare(const void *a, const void *b) {
        return strcmp(((const NetSysctl *) a)->name, ((const NetSysctl *) b)->name);
}

int netconf_read_sysctls(json_object *object, const char *path, bool replace, NetConf *c,
                         Error *e) {
        int r;

        if (!json_object_is_type(object, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an object", path,
                                  JSON_SHORT(object));
        if (json_object_object_length(object) > (int) SYSCTLS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %d entries, at most %u", path,
                                  json_object_object_length(object), SYSCTLS_MAX);
        json_object_object_foreach(object, key, value) {
                r = sysctl_add(c, path, key, replace, value, e);
                if (r < 0)
                        return r;
        }
        /* An object has no order: the hash of the network and the writes get one of their own. */
        if (c->n_sysctls > 1)
                qsort(c->sysctls, c->n_sysctls, sizeof(*c->sysctls), sysctl_compare);
        return 0;
}

/* ---- names that stand twice ------------------------------------------------------------------- */

typedef struct Token {
        const char *start; /* behind the quote; borrowed */
        size_t size;
} Token;

/* The string whose first quote is at text[*at]; moves *at behind its last one. */
static Token token_read(const char *text, size_t size, size_t *at) {
        Token t = { .start = text + ++*at };

        while (*at < size && text[*at] != '"')
                *at += text[*at] == '\\' ? 2 : 1;
        if (*at > size)
                *at = size;
        t.size = (size_t) (text + *at - t.start);
        ++*at;
        return t;
}

static bool is_key(const char *text, size_t size, size_t at) {
        while (at < size && strchr(" \t\r\n", text[at]))
                at++;
        return at < size && text[at] == ':';
}

static int check_new(const Token *seen, size_t n_seen, const Token *key, Error *e) {
        for (size_t i = 0; i < n_seen; i++)
                if (seen[i].size == key->size && memcmp(seen[i].start, key->start, key->size) == 0)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"sysctl.%.*s\" is given twice; wanted is one value",
                                          (int) (key->size < 64 ? key->size : 64), key->start);
        return 0;
}

/* The text is known to be JSON, so quotes and brackets are all there is to see. Names are compared as they
 * are written: who writes one of two with \u escapes wants to be misunderstood. */
int netconf_check_duplicate_sysctls(const char *text, size_t size, Error *e) {
        Token seen[SYSCTLS_MAX];
        size_t n_seen = 0, depth = 0;
        bool inside = false;

        for (size_t at = 0; at < size;) {
                Token t;
                int r;

                if (text[at] != '"') {
                        depth += text[at] == '{' || text[at] == '[';
                        depth -= text[at] == '}' || text[at] == ']';
                        at++;
                        continue;
                }
                t = token_read(text, size, &at);
                if (!is_key(text, size, at))
                        continue;
                if (depth == 1)
                        inside = t.size == strlen("sysctl") &&
                                 strncasecmp(t.start, "sysctl", t.size) == 0;
                if (depth != 2 || !inside)
                        continue;
                r = check_new(seen, n_seen, &t, e);
                if (r < 0)
                        return r;
                if (n_seen < SYSCTLS_MAX) /* with more the object is refused anyway */
                        seen[n_seen++] = t;
        }
        return 0;
}
