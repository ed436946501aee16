/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.netmgr1.Runtime: the verbs of CNI, for the plugin and for adapters. Each takes one dictionary
 * and answers, when the operation has ended, with a JSON text (Add) or "". On the system bus and on the
 * private socket alike. An operation that needs something done by its caller answers with a ticket instead;
 * the caller's DelegateResult is then the call that waits.
 */

#include <poll.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "bus/bus-internal.h"
#include "core/conversation.h"
#include "core/operation.h"

typedef void (*Operation)(Manager *m, Request *q, RequestDone done, void *userdata);

static const struct {
        const char *key;
        char type;
        size_t offset;
        size_t max; /* bytes of a string */
} options[] = {
        { "Type", 's', offsetof(Request, type), NETWORK_NAME_MAX },
        { "ContainerId", 's', offsetof(Request, container_id), 4096 },
        { "IfName", 's', offsetof(Request, ifname), 4096 },
        { "NetnsPath", 's', offsetof(Request, netns_path), NETNS_PATH_MAX },
        { "Args", 's', offsetof(Request, args), CNI_ARGS_MAX },
        { "Path", 's', offsetof(Request, path), CNI_PATH_MAX },
        { "Config", 's', offsetof(Request, config), CONFIG_SIZE_MAX },
        { "Netns", 'h', offsetof(Request, netns_fd), 0 },
        { "HostNetns", 'h', offsetof(Request, host_netns_fd), 0 },
        { "Delegates", 'b', offsetof(Request, delegates), 0 },
        { "HostLocal", 't', offsetof(Request, host_local), 0 },
};

static int read_string(sd_bus_message *m, const char *key, size_t max, char **target, Error *e) {
        const char *s;

        int r = sd_bus_message_read(m, "v", "s", &s);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", key);
        if (*target)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: given twice", key);
        if (strlen(s) > max)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: %zu bytes, at most %zu", key,
                                  strlen(s), max);
        *target = strdup(s);
        return *target ? 0 : error_oom(e);
}

static int read_fd(sd_bus_message *m, const char *key, int *target, Error *e) {
        int fd;

        int r = sd_bus_message_read(m, "v", "h", &fd);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", key);
        if (*target >= 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: given twice", key);
        fd = fd_dup(fd);
        if (fd < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, fd, "%s: duplicating the descriptor",
                                        key);
        *target = fd;
        if (fd_is_scarce(fd))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "too many descriptors are open (%d); try again later, or raise "
                                  "LimitNOFILE= of netmgrd.service",
                                  fd);
        return 0;
}

static int read_bool(sd_bus_message *m, const char *key, bool *target, Error *e) {
        int b;

        int r = sd_bus_message_read(m, "v", "b", &b);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", key);
        *target = b;
        return 0;
}

static int read_number(sd_bus_message *m, const char *key, uint64_t *target, Error *e) {
        int r = sd_bus_message_read(m, "v", "t", target);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", key) : 0;
}

static int read_option(sd_bus_message *m, Request *q, Error *e) {
        const char *key, *type;

        int r = sd_bus_message_read(m, "s", &key);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading a key");
        r = sd_bus_message_peek_type(m, NULL, &type);
        if (r <= 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%.64s: has no value", key);
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                if (!streq(options[i].key, key))
                        continue;
                if (type[0] != options[i].type || type[1])
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s: wanted a value of type '%c', found '%.16s'", key,
                                          options[i].type, type);
                char *target = (char *) q + options[i].offset;
                if (type[0] == 'b')
                        return read_bool(m, key, (bool *) target, e);
                if (type[0] == 't')
                        return read_number(m, key, (uint64_t *) (void *) target, e);
                return type[0] == 's' ? read_string(m, key, options[i].max,
                                                    (char **) (void *) target, e)
                                      : read_fd(m, key, (int *) (void *) target, e);
        }
        return error_setf(e, ERROR_UNKNOWN_OPTION,
                          "%.64s: unknown key, with a value of type '%.16s'", key, type);
}

/* Strings that were not sent are "". */
static int complete(Request *q, Error *e) {
        const struct {
                const char *key, *value;
        } required[] = { { "Type", q->type }, { "Config", q->config } };

        for (size_t i = 0; i < ELEMENTSOF(required); i++)
                if (!required[i].value)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s: wanted a string, found nothing", required[i].key);
        for (size_t i = 0; i < ELEMENTSOF(options); i++) {
                char **s = (char **) (void *) ((char *) q + options[i].offset);
                if (options[i].type == 's' && !*s && !(*s = strdup("")))
                        return error_oom(e);
        }
        q->config_size = strlen(q->config);
        return 0;
}

int runtime_request_read(sd_bus_message *m, Request *q, Error *e) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "wanted a dictionary a{sv}");
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, q, e);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        break;
        }
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the dictionary");
        return complete(q, e);
}

/* A call that waits for its operation. */
typedef struct RuntimeCall {
        List list;               /* Bus.calls, when its caller can be asked for something */
        Manager *manager;        /* borrowed */
        Conversation talk;       /* unused otherwise */
        sd_bus *connection;      /* owned */
        sd_bus_message *message; /* owned; NULL while the caller has a ticket */
        char *sender;            /* owned; NULL: the connection is his alone */
        uid_t uid;
        sd_bus_track *track; /* owned; of the sender on the system bus, NULL: not watched */
} RuntimeCall;

static RuntimeCall *call_free(RuntimeCall *c) {
        if (!c)
                return NULL;
        list_unlink(&c->list);
        conversation_clear(&c->talk);
        sd_bus_track_unref(c->track);
        sd_bus_message_unref(c->message);
        sd_bus_unref(c->connection);
        free(c->sender);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(RuntimeCall *, call_free)

static int send_ticket(Conversation *talk, const char *text) {
        RuntimeCall *c = list_entry(talk, RuntimeCall, talk);

        int r = bus_reply(c->message, "s", text);
        c->message = sd_bus_message_unref(c->message);
        return r;
}

/* Also of one that has no ticket now: he may wait for his turn, and who is not there must not get one. */
static int on_sender_gone(sd_bus_track *track _unused_, void *userdata) {
        RuntimeCall *c = userdata;

        conversation_end(&c->talk);
        return 0;
}

static RuntimeCall *find_talking(const Bus *b, const sd_bus *connection) {
        RuntimeCall *c;

        LIST_FOREACH (c, &b->calls, RuntimeCall, list)
                if (c->connection == connection && !c->talk.over)
                        return c;
        return NULL;
}

void runtime_connection_gone(Bus *b, const sd_bus *connection) {
        RuntimeCall *c;

        /* The end of one may be that of others, whose turn comes by it: the list is looked at anew. */
        while ((c = find_talking(b, connection)))
                conversation_end(&c->talk);
}

static int watch_sender(RuntimeCall *c, sd_bus_message *m) {
        int r = sd_bus_track_new(c->connection, &c->track, on_sender_gone, c);
        return r < 0 ? r : sd_bus_track_add_sender(c->track, m);
}

/* watched: somebody is going to ask whether the sender is still there. On the private socket the
 * connection tells. */
static int call_new(Bus *b, sd_bus_message *m, bool watched, RuntimeCall **ret) {
        _cleanup_(call_freep) RuntimeCall *c = new0(RuntimeCall, 1);

        if (!c)
                return -ENOMEM;
        c->manager = b->manager;
        c->message = sd_bus_message_ref(m);
        c->connection = sd_bus_ref(sd_bus_message_get_bus(m));
        if (c->connection == b->system) {
                c->sender = strdup(strempty(sd_bus_message_get_sender(m)));
                int r = !c->sender ? -ENOMEM : watched ? watch_sender(c, m) : 0;
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}

/* What netmgrd asks for is done with root's rights, and repeated for root by the ledger: nobody else may
 * bring it there. */
static void call_enable_talk(Bus *b, RuntimeCall *c, uid_t uid, Request *q) {
        if (!q->delegates || uid != 0)
                return;
        c->uid = uid;
        conversation_init(&c->talk, b->manager, send_ticket);
        list_append(&b->calls, &c->list);
        q->talk = &c->talk;
}

static bool call_is_abandoned(void *userdata) {
        RuntimeCall *c = userdata;
        struct pollfd p = { .events = POLLRDHUP };

        if (c->track)
                return sd_bus_track_count_name(c->track, c->sender) <= 0;
        if (sd_bus_is_open(c->connection) <= 0)
                return true;
        /* What the loop has not come to see yet. */
        p.fd = sd_bus_get_fd(c->connection);
        return p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void runtime_done(int r, const Error *e, const char *result, void *userdata) {
        RuntimeCall *c = userdata;

        failpoint_past("bus-reply");
        if (!c->message) {
                /* The ticket expired, or its holder went away: a failure, since none succeeds without. */
                if (r >= 0)
                        operation_unheard(c->manager, c);
        } else if (r < 0)
                bus_reply_error(c->message, r, e);
        else if (bus_reply(c->message, "s", result) < 0)
                operation_unheard(c->manager, c);
        failpoint_past("bus-replied");
        call_free(c);
}

static int check_sender(Bus *b, sd_bus_message *m, uid_t *ret_uid, sd_bus_error *error) {
        uid_t uid = (uid_t) -1;

        int r = bus_sender_uid(m, &uid);
        if (r < 0)
                return bus_unknown_sender(error, r);
        if (!bus_uid_is_allowed(b, uid))
                return sd_bus_error_setf(
                                error, SD_BUS_ERROR_ACCESS_DENIED,
                                "uid %u may not use org.netmgr1.Runtime; it is for root and AllowUsers= of "
                                "netmgr.conf",
                                uid);
        *ret_uid = uid;
        return 0;
}

static int runtime_method(sd_bus_message *m, Bus *b, Operation operation, sd_bus_error *error) {
        Request q = { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        _cleanup_error_ Error e = ERROR_NULL;
        bool is_add = operation == operation_add;
        RuntimeCall *c = NULL;
        uid_t uid = (uid_t) -1;

        int r = check_sender(b, m, &uid, error);
        if (r < 0)
                return bus_refuse(m, r, error);
        r = runtime_request_read(m, &q, &e);
        if (r >= 0) {
                r = call_new(b, m, is_add || q.delegates, &c);
                if (r < 0)
                        r = error_set_errnof(&e, ERROR_TRY_AGAIN, r, "keeping the call");
        }
        if (r < 0) {
                request_clear(&q);
                return bus_refuse(m, bus_error_set(error, r, &e), error);
        }
        call_enable_talk(b, c, uid, &q);
        q.abandoned = is_add ? call_is_abandoned : NULL;
        operation(b->manager, &q, runtime_done, c);
        return 1;
}

static int method_add(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return runtime_method(m, userdata, operation_add, error);
}
static int method_del(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return runtime_method(m, userdata, operation_del, error);
}
static int method_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return runtime_method(m, userdata, operation_check, error);
}
static int method_gc(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return runtime_method(m, userdata, operation_gc, error);
}
static int method_status(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return runtime_method(m, userdata, operation_status, error);
}

/* The call that had the ticket is the one that waits again, as if it had never been answered. */
static int method_delegate_result(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *id, *text;
        Conversation *talk;
        RuntimeCall *c = NULL;
        Bus *b = userdata;
        int32_t status;
        uid_t uid = (uid_t) -1;

        int r = check_sender(b, m, &uid, error);
        if (r >= 0)
                r = sd_bus_message_read(m, "sis", &id, &status, &text);
        if (r < 0)
                return bus_refuse(m, r, error);
        talk = conversation_find(b->manager, id);
        if (talk)
                c = list_entry(talk, RuntimeCall, talk);
        /* Who guesses must not learn whether there is such a ticket. */
        if (!c || c->uid != uid || c->connection != sd_bus_message_get_bus(m) ||
            (c->sender && !streq(c->sender, strempty(sd_bus_message_get_sender(m))))) {
                r = sd_bus_error_set(
                                error, error_dbus_name(ERROR_TRY_AGAIN),
                                "no such ticket: it has expired, and what it was for was undone; try "
                                "again");
                return bus_refuse(m, r, error);
        }
        failpoint_past("bus-delegate-result");
        c->message = sd_bus_message_ref(m);
        conversation_answer(talk, &(TaskAnswer) { .exit = status, .text = text });
        return 1;
}

static int method_synchronize(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        SyncRequest q = { 0 };
        RuntimeCall *c = NULL;
        Bus *b = userdata;
        uid_t uid = (uid_t) -1;

        int r = check_sender(b, m, &uid, error);
        if (r < 0)
                return r;
        r = synchronize_request_read(m, &q, &e);
        if (r >= 0) {
                r = synchronize_remember_sender(b, m);
                if (r >= 0)
                        r = call_new(b, m, false, &c);
                if (r < 0)
                        r = error_set_errnof(&e, ERROR_TRY_AGAIN, r, "keeping the call");
        }
        if (r < 0) {
                sync_request_clear(&q);
                return bus_error_set(error, r, &e);
        }
        operation_synchronize(b->manager, &q, runtime_done, c);
        return 1;
}

#define VERB(name, handler)                                                                        \
        SD_BUS_METHOD_WITH_ARGS(name, SD_BUS_ARGS("a{sv}", request), SD_BUS_RESULT("s", result),   \
                                handler, SD_BUS_VTABLE_UNPRIVILEGED)

const sd_bus_vtable runtime_vtable[] = {
        SD_BUS_VTABLE_START(0),
        VERB("Add", method_add),
        VERB("Del", method_del),
        VERB("Check", method_check),
        VERB("CollectGarbage", method_gc),
        VERB("Status", method_status),
        SD_BUS_METHOD_WITH_ARGS("DelegateResult", SD_BUS_ARGS("s", ticket, "i", exit, "s", stdout),
                                SD_BUS_RESULT("s", result), method_delegate_result,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        VERB("Synchronize", method_synchronize),
        SD_BUS_SIGNAL("SynchronizeWanted", "", 0),
        SD_BUS_VTABLE_END,
};
