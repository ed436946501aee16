/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The formats of host-local's directory; see host-local.h. */

#include "cri/host-local.h"

#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"

void host_local_list_clear(HostLocalList *l) {
        for (size_t i = 0; i < l->n_entries; i++) {
                free(l->entries[i].id);
                free(l->entries[i].ifname);
        }
        free(l->entries);
        free(l->last);
        *l = (HostLocalList) { 0 };
}

/* ---- files ------------------------------------------------------------------------------------ */

static bool is_space(char c) {
        return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The text between white space at both ends; "" when it is not what it should be. */
static char *take_word(const char *from, const char *to, bool (*check)(const char *s)) {
        while (from < to && is_space(*from))
                from++;
        while (from < to && is_space(to[-1]))
                to--;
        char *word = strndup(from, (size_t) (to - from));
        if (word && !check(word))
                word[0] = '\0';
        return word;
}

static bool is_id(const char *s) {
        return cni_id_is_valid(s, CONTAINER_ID_MAX);
}

int host_local_read_owner(const char *content, size_t size, char **ret_id, char **ret_ifname) {
        const char *end = content + strnlen(content, size), *line = memchr(content, '\n', size);
        const char *first = line && line < end ? line : end;
        char *id = take_word(content, first, is_id),
             *ifname = take_word(first, end, ifname_is_valid);

        if (!id || !ifname) {
                free(id);
                free(ifname);
                return -ENOMEM;
        }
        *ret_id = id;
        *ret_ifname = ifname;
        return 0;
}

static int add_last(HostLocalList *l, const char *number, const char *content, size_t size) {
        _cleanup_free_ char *text = NULL;
        HostLocalLast last;

        if (parse_u32(number, 0, UINT32_MAX, &last.set) < 0)
                return 0;
        text = strndup(content, size);
        if (!text)
                return -ENOMEM;
        text[strcspn(text, " \t\r\n")] = '\0';
        if (in_addr_parse(text, &last.address) < 0)
                return 0;
        HostLocalLast *more = reallocarray(l->last, l->n_last + 1, sizeof(*more));
        if (!more)
                return -ENOMEM;
        l->last = more;
        more[l->n_last++] = last;
        return 0;
}

int host_local_list_add(HostLocalList *l, const char *name, const char *content, size_t size) {
        HostLocalEntry entry = { 0 };

        if (l->n_entries >= HOST_LOCAL_ENTRIES_MAX || l->n_last >= HOST_LOCAL_ENTRIES_MAX)
                return -E2BIG;
        if (strncmp(name, HOST_LOCAL_LAST, strlen(HOST_LOCAL_LAST)) == 0)
                return add_last(l, name + strlen(HOST_LOCAL_LAST), content, size);
        if (in_addr_parse(name, &entry.address) < 0)
                return 0;
        int r = host_local_read_owner(content, size, &entry.id, &entry.ifname);
        HostLocalEntry *more =
                        r < 0 ? NULL : reallocarray(l->entries, l->n_entries + 1, sizeof(*more));
        if (!more) {
                free(entry.id);
                free(entry.ifname);
                return -ENOMEM;
        }
        l->entries = more;
        more[l->n_entries++] = entry;
        return 0;
}

/* ---- JSON ------------------------------------------------------------------------------------- */

static json_object *entry_to_json(const HostLocalEntry *entry) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "address", IN_ADDR_STR(&entry->address)) < 0 ||
            json_add_string(o, "id", entry->id) < 0 ||
            json_add_string(o, "ifname", entry->ifname) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static json_object *last_to_json(const HostLocalLast *last) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "address", IN_ADDR_STR(&last->address)) < 0 ||
            json_add(o, "set", json_object_new_int64(last->set)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

int host_local_list_format(const HostLocalList *l, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object(),
                                   *addresses = json_object_new_array(),
                                   *last = json_object_new_array();

        if (!o || !addresses || !last)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_entries; i++)
                if (json_append(addresses, entry_to_json(&l->entries[i])) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < l->n_last; i++)
                if (json_append(last, last_to_json(&l->last[i])) < 0)
                        return -ENOMEM;
        if (json_add(o, "before", json_object_new_uint64(l->before)) < 0 ||
            json_add(o, "stamp", json_object_new_uint64(l->stamp)) < 0 ||
            json_add(o, "addresses", TAKE_PTR(addresses)) < 0 ||
            json_add(o, "last", TAKE_PTR(last)) < 0)
                return -ENOMEM;
        *ret = json_to_text(o);
        return *ret ? 0 : -ENOMEM;
}

static int entry_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "address", json_read_in_addr, offsetof(HostLocalEntry, address), JSON_REQUIRED },
                { "id", json_read_string, offsetof(HostLocalEntry, id), JSON_REQUIRED },
                { "ifname", json_read_string, offsetof(HostLocalEntry, ifname), JSON_REQUIRED },
                {},
        };
        HostLocalList *l = target;
        HostLocalEntry *more = reallocarray(l->entries, l->n_entries + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        l->entries = more;
        HostLocalEntry *entry = &more[l->n_entries++];
        *entry = (HostLocalEntry) { 0 };
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, entry, e);
        if (r < 0)
                return r;
        if ((entry->id[0] && !is_id(entry->id)) ||
            (entry->ifname[0] && !ifname_is_valid(entry->ifname)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has no container ID or no interface name", path,
                                  JSON_SHORT(value));
        return 0;
}

static int entries_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, HOST_LOCAL_ENTRIES_MAX, entry_read, target, e);
}

static int last_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "address", json_read_in_addr, offsetof(HostLocalLast, address), JSON_REQUIRED },
                { "set", json_read_u32, offsetof(HostLocalLast, set), JSON_REQUIRED },
                {},
        };
        HostLocalLast last = { 0 };
        HostLocalList *l = target;

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &last, e);
        if (r < 0)
                return r;
        HostLocalLast *more = reallocarray(l->last, l->n_last + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        l->last = more;
        more[l->n_last++] = last;
        return 0;
}

static int lasts_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, HOST_LOCAL_ENTRIES_MAX, last_read, target, e);
}

int host_local_list_parse(const char *text, size_t size, HostLocalList *ret, Error *e) {
        static const JsonField fields[] = {
                { "before", json_read_u64, offsetof(HostLocalList, before), 0 },
                { "stamp", json_read_u64, offsetof(HostLocalList, stamp), JSON_REQUIRED },
                { "addresses", entries_read, 0, 0 },
                { "last", lasts_read, 0, 0 },
                {},
        };
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(text, size, "the list of host-local's directory", &o, e);
        if (r >= 0 && !json_object_is_type(o, json_type_object))
                r = error_setf(e, ERROR_DECODE, "the list of host-local's directory is no object");
        if (r >= 0)
                r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, &l, e);
        if (r < 0)
                return r;
        *ret = l;
        l = (HostLocalList) { 0 };
        return 0;
}
