/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ipam.resolvConf of host-local: a file as of resolv.conf(5), read into CNI's dns object. The name comes from
 * the configuration, and only what looks like settings leaves the file.
 */

#include <fcntl.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/task.h"

typedef struct Settings {
        json_object *servers, *search, *options; /* owned */
        char *domain;                            /* owned */
} Settings;

static void settings_clear(Settings *s) {
        json_object_put(s->servers);
        json_object_put(s->search);
        json_object_put(s->options);
        free(s->domain);
}

/* The words behind the keyword; at most max are kept. */
static int add_words(json_object *list, char **rest, size_t max) {
        char *word;

        while ((word = strtok_r(NULL, " \t\r", rest)))
                if (json_object_array_length(list) < max && text_is_clean(word, strlen(word)) &&
                    json_append(list, json_object_new_string(word)) < 0)
                        return -ENOMEM;
        return 0;
}

/* As the reference plugin reads it: comments begin a line, of several domains the last counts, lines of
 * search domains add up. */
static int read_line(char *line, Settings *s) {
        char *rest = NULL, *keyword = strtok_r(line, " \t\r", &rest), *word;

        if (!keyword || keyword[0] == '#' || keyword[0] == ';')
                return 0;
        if (streq(keyword, "nameserver"))
                return add_words(s->servers, &rest, DNS_ENTRIES_MAX);
        if (streq(keyword, "options"))
                return add_words(s->options, &rest, DNS_ENTRIES_MAX);
        if (streq(keyword, "search"))
                return add_words(s->search, &rest, DNS_ENTRIES_MAX);
        if (streq(keyword, "domain") && (word = strtok_r(NULL, " \t\r", &rest)) &&
            text_is_clean(word, strlen(word))) {
                free(s->domain);
                s->domain = strdup(word);
                return s->domain ? 0 : -ENOMEM;
        }
        return 0;
}

static int format(Settings *s, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add(o, "nameservers", TAKE_PTR(s->servers)) < 0 ||
            json_add_string(o, "domain", s->domain) < 0 ||
            json_add(o, "search", TAKE_PTR(s->search)) < 0 ||
            json_add(o, "options", TAKE_PTR(s->options)) < 0)
                return -ENOMEM;
        *ret = json_to_text(o);
        return *ret ? 0 : -ENOMEM;
}

void task_resolv_conf(const Ticket *t, const OwnConfig *own, TaskResult *ret) {
        _cleanup_(settings_clear) Settings s = { .servers = json_object_new_array(),
                                                 .search = json_object_new_array(),
                                                 .options = json_object_new_array() };
        _cleanup_free_ char *text = NULL;
        char *rest = NULL;
        size_t size;

        if (!own->resolv_conf || !streq(own->resolv_conf, t->path)) {
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_ACCESS_DENIED),
                           "netmgrd asks for a file that this configuration does not name");
                return;
        }
        int r = file_read_full(AT_FDCWD, t->path, RESOLV_CONF_MAX, &text, &size);
        if (r >= 0 && (!s.servers || !s.search || !s.options))
                r = -ENOMEM;
        for (char *line = r >= 0 ? strtok_r(text, "\n", &rest) : NULL; line && r >= 0;
             line = strtok_r(NULL, "\n", &rest))
                r = read_line(line, &s);
        if (r >= 0)
                r = format(&s, &ret->text);
        if (r < 0)
                task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(ERROR_INVALID_ARGUMENT),
                           "\"ipam.resolvConf\": \"%.256s\": %s", t->path,
                           r == -E2BIG ? "it is too large" : strerror(-r));
}
