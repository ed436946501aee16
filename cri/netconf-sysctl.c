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

void net_sysctls_free(NetSysctl *list, size_t n) {
        for (size_t i = 0; i < n; i++) {
                free(list[i].name);
                free(list[i].value);
        }
        free(list);
}

/* A list that grows. */
typedef struct Sysctls {
        NetSysctl *items; /* owned, with their strings */
        size_t n_items;
        bool slashes_stay;
} Sysctls;

static void sysctls_clear(Sysctls *s) {
        net_sysctls_free(s->items, s->n_items);
        *s = (Sysctls) { 0 };
}

static NetSysctl *sysctls_find(const Sysctls *s, const char *name) {
        for (size_t i = 0; i < s->n_items; i++)
                if (streq(s->items[i].name, name))
                        return &s->items[i];
        return NULL;
}

/* Takes over what *add owns, also when it fails. */
static int sysctls_append(Sysctls *s, NetSysctl *add) {
        NetSysctl *more = NULL;

        if (add->name && add->value)
                more = reallocarray(s->items, s->n_items + 1, sizeof(*more));
        if (!more) {
                free(add->name);
                free(add->value);
                return -ENOMEM;
        }
        s->items = more;
        more[s->n_items++] = *add;
        return 0;
}

static int sysctl_read(const char *frame, const char *key, json_object *value, Sysctls *s,
                       Error *e) {
        _cleanup_free_ char *path = strf("%s.%.*s", frame, (int) SYSCTL_NAME_MAX, key),
                            *name = strdup(key), *text = NULL;
        NetSysctl add;
        int r;

        if (!path || !name)
                return error_oom(e);
        separators(name, s->slashes_stay);
        r = check_name(name, path, e);
        if (r < 0)
                return r;
        if (sysctls_find(s, name))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is given twice", path,
                                  name);
        r = json_read_string(value, path, &text, e);
        if (r < 0)
                return r;
        if (!value_is_valid(text))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted one line of 1 to %u bytes, found %s", path,
                                  SYSCTL_VALUE_MAX, JSON_SHORT(value));
        add = (NetSysctl) { .name = TAKE_PTR(name), .value = TAKE_PTR(text) };
        return sysctls_append(s, &add) < 0 ? error_oom(e) : 0;
}

static int sysctl_compare(const void *a, const void *b) {
        return strcmp(((const NetSysctl *) a)->name, ((const NetSysctl *) b)->name);
}

/* An object has no order: the hash of the network and the writes get one of their own. */
static void sysctls_sort(NetSysctl *list, size_t n) {
        if (n > 1)
                qsort(list, n, sizeof(*list), sysctl_compare);
}

static int read_object(json_object *object, const char *path, const NetConf *c, NetSysctl **ret,
                       size_t *ret_n, Error *e) {
        _cleanup_(sysctls_clear) Sysctls s = { .slashes_stay = netconf_is_drop_in(c) };

        if (!json_object_is_type(object, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an object", path,
                                  JSON_SHORT(object));
        if (json_object_object_length(object) > (int) SYSCTLS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %d entries, at most %u", path,
                                  json_object_object_length(object), SYSCTLS_MAX);
        json_object_object_foreach(object, key, value) {
                int r = sysctl_read(path, key, value, &s, e);
                if (r < 0)
                        return r;
        }
        sysctls_sort(s.items, s.n_items);
        *ret = TAKE_PTR(s.items);
        *ret_n = s.n_items;
        s.n_items = 0;
        return 0;
}

int netconf_read_sysctls(json_object *object, const char *path, NetConf *c, Error *e) {
        return read_object(object, path, c, &c->sysctls, &c->n_sysctls, e);
}

int netconf_read_args_sysctls(json_object *object, const char *path, NetConf *c, Error *e) {
        return read_object(object, path, c, &c->args_sysctls, &c->n_args_sysctls, e);
}

int sysctls_override(NetSysctl **list, size_t *ret_n, const NetSysctl *over, size_t n) {
        Sysctls s = { .items = *list, .n_items = *ret_n };
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                NetSysctl *old = sysctls_find(&s, over[i].name),
                          add = { .name = strdup(over[i].name), .value = strdup(over[i].value) };

                if (!old || !add.name || !add.value) {
                        r = sysctls_append(&s, &add);
                        continue;
                }
                free(old->name);
                free(old->value);
                *old = add;
        }
        sysctls_sort(s.items, s.n_items);
        *list = s.items;
        *ret_n = s.n_items;
        return r;
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
