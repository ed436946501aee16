/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.netmgr1.Runtime: the verbs of CNI, for the plugin and for adapters. Each takes one dictionary
 * and answers, when the operation has ended, with a JSON text (Add) or "". On the system bus and on the
 * private socket alike.
 */

#include <poll.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "bus/bus-internal.h"
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
        Manager *manager;        /* borrowed */
        sd_bus_message *message; /* owned */
        sd_bus_track *track;     /* owned; of the sender on the system bus, NULL: not watched */
} RuntimeCall;

static RuntimeCall *call_free(RuntimeCall *c) {
        if (!c)
                return NULL;
        sd_bus_track_unref(c->track);
        sd_bus_message_unref(c->message);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(RuntimeCall *, call_free)

/* watched: somebody is going to ask whether the sender is still there. On the private socket the
 * connection tells. */
static int call_new(Bus *b, sd_bus_message *m, bool watched, RuntimeCall **ret) {
        _cleanup_(call_freep) RuntimeCall *c = new0(RuntimeCall, 1);

        if (!c)
                return -ENOMEM;
        c->manager = b->manager;
        c->message = sd_bus_message_ref(m);
        if (watched && sd_bus_message_get_bus(m) == b->system) {
                int r = sd_bus_track_new(b->system, &c->track, NULL, NULL);
                if (r >= 0)
                        r = sd_bus_track_add_sender(c->track, m);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}

static bool call_is_abandoned(void *userdata) {
        RuntimeCall *c = userdata;
        sd_bus *bus = sd_bus_message_get_bus(c->message);
        struct pollfd p = { .events = POLLRDHUP };

        if (c->track)
                return sd_bus_track_count_sender(c->track, c->message) <= 0;
        if (sd_bus_is_open(bus) <= 0)
                return true;
        /* What the loop has not come to see yet. */
        p.fd = sd_bus_get_fd(bus);
        return p.fd >= 0 && poll(&p, 1, 0) > 0 && p.revents & (POLLRDHUP | POLLHUP | POLLERR);
}

static void runtime_done(int r, const Error *e, const char *result, void *userdata) {
        RuntimeCall *c = userdata;

        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(c->message, r, e);
        else if (bus_reply(c->message, "s", result) < 0)
                operation_unheard(c->manager, c);
        failpoint_past("bus-replied");
        call_free(c);
}

static int check_sender(Bus *b, sd_bus_message *m, sd_bus_error *error) {
        uid_t uid;

        int r = bus_sender_uid(m, &uid);
        if (r < 0)
                return bus_unknown_sender(error, r);
        if (!bus_uid_is_allowed(b, uid))
                return sd_bus_error_setf(
                                error, SD_BUS_ERROR_ACCESS_DENIED,
                                "uid %u may not use org.netmgr1.Runtime; it is for root and AllowUsers= of "
                                "netmgr.conf",
                                uid);
        return 0;
}

static int runtime_method(sd_bus_message *m, Bus *b, Operation operation, sd_bus_error *error) {
        Request q = { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        _cleanup_error_ Error e = ERROR_NULL;
        bool is_add = operation == operation_add;
        RuntimeCall *c = NULL;

        int r = check_sender(b, m, error);
        if (r < 0)
                return bus_refuse(m, r, error);
        r = runtime_request_read(m, &q, &e);
        if (r >= 0) {
                r = call_new(b, m, is_add, &c);
                if (r < 0)
                        r = error_set_errnof(&e, ERROR_TRY_AGAIN, r, "keeping the call");
        }
        if (r < 0) {
                request_clear(&q);
                return bus_refuse(m, bus_error_set(error, r, &e), error);
        }
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

static int method_synchronize(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        SyncRequest q = { 0 };
        RuntimeCall *c = NULL;
        Bus *b = userdata;

        int r = check_sender(b, m, error);
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
        VERB("Synchronize", method_synchronize),
        SD_BUS_SIGNAL("SynchronizeWanted", "", 0),
        SD_BUS_VTABLE_END,
};
