/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The format of tickets; see ticket.h. */

#include "cri/ticket.h"

#include "base/json.h"
#include "base/limits.h"

/* ticket_format() writes this key first, and no CNI result begins so. */
#define TICKET_PREFIX "{\"" TICKET_KEY "\":"

static const char *const tasks[_TICKET_TASK_MAX] = {
        [TICKET_EXEC] = "exec",
        [TICKET_READ_HOST_LOCAL] = "read-host-local",
        [TICKET_WRITE_HOST_LOCAL] = "write-host-local",
        [TICKET_RELEASE_HOST_LOCAL] = "release-host-local",
        [TICKET_READ_RESOLV_CONF] = "read-resolv-conf",
};

void ticket_clear(Ticket *t) {
        free(t->id);
        free(t->command);
        free(t->plugin);
        free(t->container_id);
        free(t->ifname);
        free(t->netns);
        free(t->args);
        free(t->config);
        free(t->path);
        free(t->addresses);
        for (size_t i = 0; i < t->n_owners; i++) {
                free(t->owners[i].container_id);
                free(t->owners[i].ifname);
        }
        free(t->owners);
        *t = (Ticket) { 0 };
}

/* ---- writing --------------------------------------------------------------------------------- */

static int add_addresses(json_object *o, const Ticket *t) {
        _cleanup_json_ json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < t->n_addresses; i++) {
                _cleanup_json_ json_object *a = json_object_new_object();

                if (!a ||
                    json_add_string(a, "address", IN_ADDR_STR(&t->addresses[i].address)) < 0 ||
                    json_add(a, "set", json_object_new_int64(t->addresses[i].set)) < 0 ||
                    json_append(list, TAKE_PTR(a)) < 0)
                        return -ENOMEM;
        }
        return json_add(o, "addresses", TAKE_PTR(list));
}

static int add_owners(json_object *o, const Ticket *t) {
        _cleanup_json_ json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < t->n_owners; i++) {
                _cleanup_json_ json_object *a = json_object_new_object();

                if (!a || json_add_string(a, "containerID", t->owners[i].container_id) < 0 ||
                    json_add_string(a, "ifname", t->owners[i].ifname) < 0 ||
                    json_append(list, TAKE_PTR(a)) < 0)
                        return -ENOMEM;
        }
        return json_add(o, "owners", TAKE_PTR(list));
}

int ticket_format(const Ticket *t, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *text = NULL;

        if (!o || json_add_string(o, TICKET_KEY, t->id) < 0 ||
            json_add_string(o, "do", tasks[t->task]) < 0 ||
            json_add(o, "timeoutMs", json_object_new_int64(t->timeout_ms)) < 0 ||
            json_add_string(o, "command", t->command) < 0 ||
            json_add_string(o, "plugin", t->plugin) < 0 ||
            json_add_string(o, "containerId", t->container_id) < 0 ||
            json_add_string(o, "ifName", t->ifname) < 0 ||
            json_add_string(o, "netns", t->netns) < 0 || json_add_string(o, "args", t->args) < 0 ||
            json_add_string(o, "path", t->path) < 0 || json_add_string(o, "config", t->config) < 0)
                return -ENOMEM;
        if (t->originals && json_add(o, "originals", json_object_new_boolean(true)) < 0)
                return -ENOMEM;
        if ((t->task == TICKET_WRITE_HOST_LOCAL && add_addresses(o, t) < 0) ||
            (t->task == TICKET_RELEASE_HOST_LOCAL && add_owners(o, t) < 0))
                return -ENOMEM;
        text = json_to_text(o);
        if (!text)
                return -ENOMEM;
        if (strlen(text) > CONFIG_SIZE_MAX)
                return -E2BIG;
        *ret = TAKE_PTR(text);
        return 0;
}

/* ---- reading --------------------------------------------------------------------------------- */

static int task_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        for (TicketTask i = 0; i < _TICKET_TASK_MAX; i++)
                if (streq(tasks[i], s)) {
                        *(TicketTask *) target = i;
                        return 0;
                }
        return error_setf(e, ERROR_NOT_SUPPORTED,
                          "netmgrd asks for \"%.64s\", which this plugin cannot do: they are of "
                          "different versions",
                          s);
}

static int address_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "address", json_read_in_addr, offsetof(TicketAddress, address), JSON_REQUIRED },
                { "set", json_read_u32, offsetof(TicketAddress, set), 0 },
                {},
        };
        TicketAddress a = { 0 };
        Ticket *t = target;

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &a, e);
        if (r < 0)
                return r;
        TicketAddress *more = reallocarray(t->addresses, t->n_addresses + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        t->addresses = more;
        more[t->n_addresses++] = a;
        return 0;
}

static int addresses_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, HOST_LOCAL_ENTRIES_MAX, address_read, target, e);
}

static int owner_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "containerID", json_read_string, offsetof(TicketOwner, container_id),
                  JSON_REQUIRED },
                { "ifname", json_read_string, offsetof(TicketOwner, ifname), JSON_REQUIRED },
                {},
        };
        Ticket *t = target;
        TicketOwner *more = reallocarray(t->owners, t->n_owners + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        t->owners = more;
        more[t->n_owners] = (TicketOwner) { 0 };
        return json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &more[t->n_owners++], e);
}

static int owners_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, HOST_LOCAL_ENTRIES_MAX, owner_read, target, e);
}

static const JsonField fields[] = {
        { TICKET_KEY, json_read_string, offsetof(Ticket, id), JSON_REQUIRED },
        { "do", task_read, offsetof(Ticket, task), JSON_REQUIRED },
        { "timeoutMs", json_read_u32, offsetof(Ticket, timeout_ms), JSON_REQUIRED },
        { "command", json_read_string, offsetof(Ticket, command), 0 },
        { "plugin", json_read_string, offsetof(Ticket, plugin), 0 },
        { "containerId", json_read_string, offsetof(Ticket, container_id), 0 },
        { "ifName", json_read_string, offsetof(Ticket, ifname), 0 },
        { "netns", json_read_string, offsetof(Ticket, netns), 0 },
        { "args", json_read_string, offsetof(Ticket, args), 0 },
        { "path", json_read_string, offsetof(Ticket, path), 0 },
        { "config", json_read_string, offsetof(Ticket, config), 0 },
        { "originals", json_read_bool, offsetof(Ticket, originals), 0 },
        { "addresses", addresses_read, 0, 0 },
        { "owners", owners_read, 0, 0 },
        {},
};

/* What a task cannot do without. */
static int check_task(const Ticket *t, Error *e) {
        if (t->task == TICKET_EXEC && (isempty(t->command) || isempty(t->plugin)))
                return error_setf(e, ERROR_DECODE,
                                  "netmgrd's ticket names no plugin or no command");
        if (t->task == TICKET_READ_RESOLV_CONF && isempty(t->path))
                return error_setf(e, ERROR_DECODE, "netmgrd's ticket names no file");
        return 0;
}

int ticket_parse(const char *text, Ticket *ret, Error *e) {
        _cleanup_json_ json_object *o = NULL;
        Ticket t = { 0 };

        if (strncmp(text, TICKET_PREFIX, strlen(TICKET_PREFIX)) != 0)
                return 0;
        int r = json_parse(text, strlen(text), "netmgrd's ticket", &o, e);
        if (r >= 0)
                r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, &t, e);
        if (r >= 0)
                r = check_task(&t, e);
        if (r < 0) {
                ticket_clear(&t);
                return r;
        }
        *ret = t;
        return 1;
}
