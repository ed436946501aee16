/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The `dns` object of a configuration, which netmgr passes on to the runtime unchanged. */

#include "base/limits.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cri/netconf-internal.h"

void net_dns_clear(NetDns *dns) {
        strv_free(dns->nameservers);
        free(dns->domain);
        strv_free(dns->search);
        strv_free(dns->options);
        *dns = (NetDns) { 0 };
}

/* These texts end up in a resolv.conf, one word each: white space would make two of one, which only where
 * the reference plugins let it pass is let pass. A new line would make it something else. */
static int text_read(json_object *value, const char *path, bool spaces, char **ret, Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if ((!spaces && strchr(s, ' ')) || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s contains white space or control characters", path,
                                  JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

static int word_read(json_object *value, const char *path, void *target, Error *e) {
        return text_read(value, path, false, target, e);
}

static int line_read(json_object *value, const char *path, void *target, Error *e) {
        return text_read(value, path, true, target, e);
}

typedef struct Words {
        char **items; /* owned, NULL-terminated */
        size_t n_items;
        bool spaces;
} Words;

static int word_read_element(json_object *value, const char *path, void *target, Error *e) {
        Words *w = target;
        int r;

        r = text_read(value, path, w->spaces, &w->items[w->n_items], e);
        if (r < 0)
                return r;
        w->n_items++;
        return 0;
}

static int texts_read(json_object *value, const char *path, bool spaces, char ***ret, Error *e) {
        Words w = { .items = new0(char *, DNS_ENTRIES_MAX + 1), .spaces = spaces };
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

static int words_read(json_object *value, const char *path, void *target, Error *e) {
        return texts_read(value, path, false, target, e);
}

static int lines_read(json_object *value, const char *path, void *target, Error *e) {
        return texts_read(value, path, true, target, e);
}

static const JsonField dns_fields[] = {
        { "nameservers", words_read, offsetof(NetDns, nameservers), 0 },
        { "domain", word_read, offsetof(NetDns, domain), 0 },
        { "search", words_read, offsetof(NetDns, search), 0 },
        { "options", words_read, offsetof(NetDns, options), 0 },
        {},
};

static const JsonField lenient_dns_fields[] = {
        { "nameservers", lines_read, offsetof(NetDns, nameservers), 0 },
        { "domain", line_read, offsetof(NetDns, domain), 0 },
        { "search", lines_read, offsetof(NetDns, search), 0 },
        { "options", lines_read, offsetof(NetDns, options), 0 },
        {},
};

/* What the capability "dns" sends: servers and searches, without a domain. */
static const JsonField runtime_dns_fields[] = {
        { "servers", lines_read, offsetof(NetDns, nameservers), 0 },
        { "searches", lines_read, offsetof(NetDns, search), 0 },
        { "options", lines_read, offsetof(NetDns, options), 0 },
        {},
};

int net_dns_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, dns_fields, JSON_UNKNOWN_REFUSE, target, e);
}

int net_dns_read_lenient(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, lenient_dns_fields, JSON_UNKNOWN_IGNORE, target, e);
}

int runtime_dns_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, runtime_dns_fields, JSON_UNKNOWN_IGNORE, target, e);
}
