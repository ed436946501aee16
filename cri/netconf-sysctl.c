/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * "sysctl" of the tuning plugin: names below net, of the sandbox's own namespace. Source: the plugin's
 * documentation and sysctl(8): dots and slashes change places when the first separator is a dot.
 */

#include <ctype.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* "net.ipv4.conf.eth0.arp_filter" and "net/ipv4/conf/eth0.7/arp_filter" to "net/ipv4/conf/…". */
static void separators(char *name) {
        if (name[strcspn(name, "./")] != '.')
                return;
        for (char *p = name; *p; p++)
                *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
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

static int sysctl_add(NetConf *c, const char *key, json_object *value, Error *e) {
        _cleanup_free_ char *path = strf("sysctl.%.*s", (int) SYSCTL_NAME_MAX, key);
        NetSysctl *more = reallocarray(c->sysctls, c->n_sysctls + 1, sizeof(*more)), *s;

        if (more)
                c->sysctls = more;
        if (!path || !more)
                return error_oom(e);
        s = &more[c->n_sysctls++];
        *s = (NetSysctl) { .name = strdup(key) };
        if (!s->name)
                return error_oom(e);
        separators(s->name);
        if (!name_is_valid(s->name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": wanted a name below net of at most %u letters, digits, "
                                  "'_', '-' and separators, such as net.core.somaxconn",
                                  path, SYSCTL_NAME_MAX);
        for (size_t i = 0; i + 1 < c->n_sysctls; i++)
                if (streq(c->sysctls[i].name, s->name))
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is given twice",
                                          path, s->name);
        int r = json_read_string(value, path, &s->value, e);
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

int netconf_read_sysctls(json_object *top, NetConf *c, Error *e) {
        json_object *object = json_get(top, "sysctl");

        if (!object)
                return 0;
        if (!json_object_is_type(object, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"sysctl\": %s is not an object",
                                  JSON_SHORT(object));
        if (json_object_object_length(object) > (int) SYSCTLS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"sysctl\": %d entries, at most %u",
                                  json_object_object_length(object), SYSCTLS_MAX);
        json_object_object_foreach(object, key, value) {
                int r = sysctl_add(c, key, value, e);
                if (r < 0)
                        return r;
        }
        /* An object has no order: the hash of the network and the writes get one of their own. */
        if (c->n_sysctls > 1)
                qsort(c->sysctls, c->n_sysctls, sizeof(*c->sysctls), sysctl_compare);
        return 0;
}
