/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manager.History: questions about the past, answered as JSON, oldest first. */

#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "bus/bus-internal.h"
#include "bus/change-request.h"
#include "core/history.h"

/* "a,b" as an array. */
static json_object *list_of(const char *text) {
        json_object *list = json_object_new_array();
        const char *p = strempty(text);

        while (list && *p) {
                size_t size = strcspn(p, ",");
                if (json_append(list, json_object_new_string_len(p, (int) size)) < 0) {
                        json_object_put(list);
                        return NULL;
                }
                p += size + (p[size] == ',');
        }
        return list;
}

static int add_time(json_object *o, const char *key, uint64_t usec) {
        char text[RFC3339_SIZE];

        if (usec == 0)
                return json_object_object_add(o, key, NULL) < 0 ? -ENOMEM : 0;
        return json_add_string(o, key, format_rfc3339(usec, text));
}

static json_object *change_of(const HistoryChange *c) {
        _cleanup_json_ json_object *o = json_object_new_object();
        int r = o ? add_time(o, "Time", c->usec) : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "Operation", strempty(c->op));
        if (r >= 0)
                r = json_add(o, "Ports", list_of(c->ports));
        return r < 0 ? NULL : TAKE_PTR(o);
}

static int add_changes(json_object *o, const HistoryRow *row) {
        _cleanup_json_ json_object *list = json_object_new_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < row->n_changes; i++)
                r = json_append(list, change_of(&row->changes[i]));
        return r < 0 ? r : json_add(o, "Changes", TAKE_PTR(list));
}

static json_object *row_of(const HistoryRow *row) {
        _cleanup_json_ json_object *o = json_object_new_object();
        const struct {
                const char *key, *value;
        } texts[] = {
                { "Sandbox", row->sandbox },
                { "Interface", row->ifname },
                { "Network", row->network },
                { "HostInterface", row->host_ifname },
                { "PodNamespace", row->pod_namespace },
                { "PodName", row->pod_name },
                { "PodUID", row->pod_uid },
                { "EndedBy", row->op },
                { "Reason", row->reason },
        };
        int r = o ? 0 : -ENOMEM;

        if (r >= 0)
                r = add_time(o, "Since", row->since_usec);
        if (r >= 0)
                r = add_time(o, "Until", row->until_usec);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(texts); i++)
                r = json_add_string(o, texts[i].key, strempty(texts[i].value));
        if (r >= 0)
                r = json_add(o, "Attachment", json_object_new_uint64(row->attachment));
        if (r >= 0)
                r = json_add(o, "Addresses", list_of(row->addresses));
        if (r >= 0)
                r = json_add(o, "Ports", list_of(row->ports));
        if (r >= 0)
                r = add_changes(o, row);
        return r < 0 ? NULL : TAKE_PTR(o);
}

static char *text_of(const HistoryRow *rows, size_t n, bool truncated) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();
        int r = o && list ? 0 : -ENOMEM;

        for (size_t i = n; r >= 0 && i > 0; i--)
                r = json_append(list, row_of(&rows[i - 1]));
        if (r >= 0)
                r = json_add(o, "history", TAKE_PTR(list));
        if (r >= 0)
                r = json_add(o, "Truncated", json_object_new_boolean(truncated));
        return r < 0 ? NULL : json_to_text(o);
}

static void history_read(int r, const Error *e, const HistoryRow *rows, size_t n, bool truncated,
                         void *userdata) {
        _cleanup_free_ char *text = r < 0 ? NULL : text_of(rows, n, truncated);
        _cleanup_error_ Error error = ERROR_NULL;
        sd_bus_message *m = userdata;

        if (r < 0)
                bus_reply_error(m, r, e);
        else if (!text)
                bus_reply_error(m, error_oom(&error), &error);
        else
                (void) sd_bus_reply_method_return(m, "s", text);
        sd_bus_message_unref(m);
}

int method_history(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        HistoryRequest request = { .limit = HISTORY_DEFAULT };
        _cleanup_error_ Error e = ERROR_NULL;
        Bus *b = userdata;

        int r = history_request_read(m, &request, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        HistoryQuery query = { .filter = request.filter,
                               .since_usec = request.since,
                               .limit = (uint32_t) MIN_OF(request.limit, (uint64_t) UINT32_MAX) };
        manager_ask_history(b->manager, &query, history_read, sd_bus_message_ref(m));
        return 1;
}
