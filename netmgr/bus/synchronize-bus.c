/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runtime.Synchronize: reads a runtime's list; and remembers who has sent one, so that they can be asked
 * for the next (signal SynchronizeWanted, sent to them alone).
 */

#include "base/limits.h"
#include "base/parse.h"
#include "bus/bus-internal.h"

static int read_state(const char *state, bool *ret_ready, const char *id, Error *e) {
        if (!streq(state, "ready") && !streq(state, "notready"))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Sandboxes: %s: wanted state \"ready\" or \"notready\", found "
                                  "\"%.32s\"",
                                  id, state);
        *ret_ready = streq(state, "ready");
        return 0;
}

static int read_item(const char *id, const char *state, SyncItem *item, Error *e) {
        if (!cni_id_is_valid(id, CONTAINER_ID_MAX))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "Sandboxes: wanted ids of at most %u of [A-Za-z0-9_.-], beginning with a "
                                "letter or digit, found \"%.64s\"",
                                CONTAINER_ID_MAX, id);
        int r = read_state(state, &item->ready, id, e);
        if (r < 0)
                return r;
        item->id = strdup(id);
        return item->id ? 0 : error_oom(e);
}

static int read_sandboxes(sd_bus_message *m, SyncRequest *q, Error *e) {
        const char *id, *state;
        size_t allocated = 0;

        int r = sd_bus_message_enter_container(m, 'v', "a(ss)");
        if (r >= 0)
                r = sd_bus_message_enter_container(m, 'a', "(ss)");
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r,
                                        "Sandboxes: wanted a(ss): id, state");
        while ((r = sd_bus_message_read(m, "(ss)", &id, &state)) > 0) {
                if (q->n_items == SYNCHRONIZE_SANDBOXES_MAX)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "Sandboxes: more than %u, the limit",
                                          SYNCHRONIZE_SANDBOXES_MAX);
                if (GREEDY_REALLOC(q->items, allocated, q->n_items + 1) < 0)
                        return error_oom(e);
                q->items[q->n_items++] = (SyncItem) { 0 };
                r = read_item(id, state, &q->items[q->n_items - 1], e);
                if (r < 0)
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Sandboxes") : 0;
}

static int read_runtime(sd_bus_message *m, SyncRequest *q, Error *e) {
        const char *s;

        int r = sd_bus_message_read(m, "v", "s", &s);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Runtime: wanted a string");
        if (isempty(s) || strlen(s) > RUNTIME_NAME_MAX || !text_is_clean(s, strlen(s)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "Runtime: wanted a name of 1 to %u bytes without control "
                                  "characters, found %zu bytes",
                                  RUNTIME_NAME_MAX, strlen(s));
        q->runtime = strdup(s);
        return q->runtime ? 0 : error_oom(e);
}

typedef enum SyncKey {
        KEY_RUNTIME,
        KEY_BEGAN,
        KEY_SANDBOXES,
        _KEY_MAX,
} SyncKey;
static const char *const keys[_KEY_MAX] = {
        [KEY_RUNTIME] = "Runtime",
        [KEY_BEGAN] = "Began",
        [KEY_SANDBOXES] = "Sandboxes",
};

static int read_value(sd_bus_message *m, SyncKey key, SyncRequest *q, Error *e) {
        if (key == KEY_RUNTIME)
                return read_runtime(m, q, e);
        if (key == KEY_SANDBOXES)
                return read_sandboxes(m, q, e);
        int r = sd_bus_message_read(m, "v", "t", &q->began_usec);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Began: wanted a number (t)")
                     : 0;
}

static int read_entry(sd_bus_message *m, SyncRequest *q, bool seen[static _KEY_MAX], Error *e) {
        const char *name;

        int r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading a key");
        for (SyncKey key = 0; key < _KEY_MAX; key++) {
                if (!streq(keys[key], name))
                        continue;
                if (seen[key])
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: given twice", name);
                seen[key] = true;
                return read_value(m, key, q, e);
        }
        return error_setf(e, ERROR_UNKNOWN_OPTION, "%.64s: unknown key", name);
}

int synchronize_request_read(sd_bus_message *m, SyncRequest *q, Error *e) {
        bool seen[_KEY_MAX] = { 0 };

        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "wanted a dictionary a{sv}");
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_entry(m, q, seen, e);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        break;
        }
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the dictionary");
        for (SyncKey key = 0; key < _KEY_MAX; key++)
                if (!seen[key])
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted, found nothing",
                                          keys[key]);
        return 0;
}

/* --- who can be asked -------------------------------------------------------------------------- */

int synchronize_remember_sender(Bus *b, sd_bus_message *m) {
        sd_bus *connection = sd_bus_message_get_bus(m);
        Peer *p;

        LIST_FOREACH (p, &b->peers, Peer, list)
                if (p->connection == connection) {
                        p->synchronizes = true;
                        return 0;
                }
        if (!b->synchronizers) {
                int r = sd_bus_track_new(b->system, &b->synchronizers, NULL, NULL);
                if (r < 0)
                        return r;
        }
        return sd_bus_track_add_sender(b->synchronizers, m);
}

static int signal_to(sd_bus *connection, const char *destination) {
        sd_bus_message *m = NULL;

        int r = sd_bus_message_new_signal(connection, &m, BUS_PATH, BUS_IFACE "Runtime",
                                          "SynchronizeWanted");
        if (r >= 0 && destination)
                r = sd_bus_message_set_destination(m, destination);
        if (r >= 0)
                r = sd_bus_send(connection, m, NULL);
        sd_bus_message_unref(m);
        return r;
}

unsigned synchronize_wanted(void *userdata) {
        Bus *b = userdata;
        unsigned n = 0;
        Peer *p;

        LIST_FOREACH (p, &b->peers, Peer, list)
                if (p->synchronizes && signal_to(p->connection, NULL) >= 0)
                        n++;
        for (const char *name = b->synchronizers ? sd_bus_track_first(b->synchronizers) : NULL;
             name; name = sd_bus_track_next(b->synchronizers))
                if (signal_to(b->system, name) >= 0)
                        n++;
        return n;
}
