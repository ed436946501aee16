/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The `dns` object of a configuration, which netmgr passes on to the runtime unchanged. */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

static void strv_free(char **l) {
        for (char **p = l; p && *p; p++)
                free(*p);
        free(l);
}

void net_dns_clear(NetDns *dns) {
        strv_free(dns->nameservers);
        free(dns->domain);
        strv_free(dns->search);
        strv_free(dns->options);
        *dns = (NetDns) { 0 };
}

/* These texts end up in a resolv.conf, one word each: white space would make two of one. */
static int word_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (strchr(s, ' ') || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s contains white space or control characters", path,
                                  JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

typedef struct Words {
        char **items; /* owned, NULL-terminated */
        size_t n_items;
} Words;

static int word_read_element(json_object *value, const char *path, void *target, Error *e) {
        Words *w = target;
        int r;

        r = word_read(value, path, &w->items[w->n_items], e);
        if (r < 0)
                return r;
        w->n_items++;
        return 0;
}

static int words_read(json_object *value, const char *path, void *target, Error *e) {
        char ***ret = target;
        Words w = { .items = new0(char *, DNS_ENTRIES_MAX + 1) };
        int r;

        if (!w.items)
                return error_oom(e);
        r = json_read_array(value, path, DNS_ENTRIES_MAX, word_read_element, &w, e);
        if (r < 0) {
                strv_free(w.items);
                return r;
        }
        strv_free(*ret);
        *ret = NULL;
        if (w.n_items > 0)
                *ret = TAKE_PTR(w.items);
        strv_free(w.items);
        return 0;
}

static const JsonField dns_fields[] = {
        { "nameservers", words_read, offsetof(NetDns, nameservers), 0 },
        { "domain", word_read, offsetof(NetDns, domain), 0 },
        { "search", words_read, offsetof(NetDns, search), 0 },
        { "options", words_read, offsetof(NetDns, options), 0 },
        {},
};

int net_dns_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, dns_fields, JSON_UNKNOWN_REFUSE, target, e);
}

int net_dns_read_lenient(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, dns_fields, JSON_UNKNOWN_IGNORE, target, e);
}
