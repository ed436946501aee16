/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One connection, synchronous calls. Nothing is retried: a person who sees the sentence, or a
 * script that sees the status, decides.
 */

#include <stdarg.h>

#include "base/json.h"
#include "base/limits.h"
#include "ctl/client.h"

/* A person may have to find the password first. 0 elsewhere: sd-bus's own default, 25 s. */
#define CHANGE_TIMEOUT_USEC (120ULL * 1000 * 1000)

static const struct {
        const char *name;
        bool is_prefix;
        ExitStatus status;
} exit_statuses[] = {
        { "org.netmgr1.Error.NoSuch", true, EXIT_STATUS_NOT_FOUND },
        /* The object went away between the listing and the call. */
        { "org.freedesktop.DBus.Error.UnknownObject", false, EXIT_STATUS_NOT_FOUND },

        { "org.freedesktop.DBus.Error.AccessDenied", false, EXIT_STATUS_NOT_AUTHORIZED },
        { "org.freedesktop.DBus.Error.AuthFailed", false, EXIT_STATUS_NOT_AUTHORIZED },
        { "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", false,
          EXIT_STATUS_NOT_AUTHORIZED },

        { "org.freedesktop.DBus.Error.ServiceUnknown", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.NameHasNoOwner", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.NoReply", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.NoServer", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.Timeout", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.TimedOut", false, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.DBus.Error.Disconnected", false, EXIT_STATUS_UNREACHABLE },
        /* Activation was tried and failed, by the bus itself or by systemd. */
        { "org.freedesktop.DBus.Error.Spawn.", true, EXIT_STATUS_UNREACHABLE },
        { "org.freedesktop.systemd1.", true, EXIT_STATUS_UNREACHABLE },
        /* sd-bus's names for a connection that broke under the call. */
        { "System.Error.ENOTCONN", false, EXIT_STATUS_UNREACHABLE },
        { "System.Error.ESHUTDOWN", false, EXIT_STATUS_UNREACHABLE },
        { "System.Error.EPIPE", false, EXIT_STATUS_UNREACHABLE },
        { "System.Error.ECONNRESET", false, EXIT_STATUS_UNREACHABLE },
};

ExitStatus client_exit_status(const sd_bus_error *e) {
        if (!sd_bus_error_is_set(e))
                return EXIT_STATUS_FAILURE;

        for (size_t i = 0; i < ELEMENTSOF(exit_statuses); i++) {
                const char *name = exit_statuses[i].name;

                if (exit_statuses[i].is_prefix ? strncmp(e->name, name, strlen(name)) == 0
                                               : streq(e->name, name))
                        return exit_statuses[i].status;
        }
        return EXIT_STATUS_FAILURE;
}

int client_error(sd_bus_error *e, const Error *from) {
        sd_bus_error_set(e, error_dbus_name(from->kind), error_message(from));
        return -error_errno(from->kind);
}

/* What a failed connect means: a bus that is not there, or one that refuses us. */
static int connect_error(sd_bus_error *e, const char *address, int r) {
        bool refused = r == -EACCES || r == -EPERM;

        if (!address)
                address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
        sd_bus_error_setf(e, refused ? SD_BUS_ERROR_ACCESS_DENIED : SD_BUS_ERROR_NO_SERVER,
                          "cannot connect to the bus at %s: %s",
                          address ? address : "the system's address", strerror(-r));
        return r;
}

int client_connect(const char *address, sd_bus **ret, sd_bus_error *e) {
        _cleanup_(sd_bus_flush_close_unrefp) sd_bus *bus = NULL;
        const char *unique;
        int r;

        if (address) {
                r = sd_bus_new(&bus);
                if (r >= 0)
                        r = sd_bus_set_address(bus, address);
                if (r >= 0)
                        r = sd_bus_set_bus_client(bus, true);
                if (r >= 0)
                        r = sd_bus_start(bus);
        } else
                r = sd_bus_open_system(&bus);
        if (r < 0)
                return connect_error(e, address, r);

        /* Waits for the answer to Hello: every failure up to here is the bus's, not the daemon's. */
        r = sd_bus_get_unique_name(bus, &unique);
        if (r < 0)
                return connect_error(e, address, r);

        *ret = TAKE_PTR(bus);
        return 0;
}

/* Copies the error of a call, with a sentence of ours where sd-bus and the bus only know that
 * something did not answer. */
static void call_error(sd_bus_error *e, const sd_bus_error *from, const char *member) {
        if (sd_bus_error_has_names(from, SD_BUS_ERROR_SERVICE_UNKNOWN,
                                   SD_BUS_ERROR_NAME_HAS_NO_OWNER))
                sd_bus_error_setf(e, from->name,
                                  "netmgrd is not running: nobody owns " NETMGR_BUS_NAME
                                  " on the bus");
        else if (sd_bus_error_has_names(from, SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT,
                                        "org.freedesktop.DBus.Error.TimedOut"))
                sd_bus_error_setf(e, from->name, "netmgrd did not answer the call %s", member);
        else if (client_exit_status(from) == EXIT_STATUS_UNREACHABLE)
                sd_bus_error_setf(e, from->name, "netmgrd cannot be reached: %s",
                                  strempty(from->message));
        else
                sd_bus_error_copy(e, from);
}

static int make_error(sd_bus_error *e, int r, const char *member) {
        return sd_bus_error_set_errnof(e, r, "cannot make the call %s: %s", member, strerror(-r));
}

int client_call_new(sd_bus *bus, const char *path, const char *interface, const char *member,
                    sd_bus_message **ret, sd_bus_error *e) {
        int r = sd_bus_message_new_method_call(bus, ret, NETMGR_BUS_NAME, path, interface, member);
        return r < 0 ? make_error(e, r, member) : 0;
}

int client_call_send(sd_bus *bus, CallFlags flags, sd_bus_message *m, sd_bus_message **ret,
                     sd_bus_error *e) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *member = sd_bus_message_get_member(m);
        int r = 0;

        if (flags & CALL_CHANGES)
                r = sd_bus_message_set_allow_interactive_authorization(m, true);
        if (r < 0)
                return make_error(e, r, member);
        r = sd_bus_call(bus, m, flags & CALL_CHANGES ? CHANGE_TIMEOUT_USEC : 0, &error, &reply);
        if (r < 0) {
                if (!sd_bus_error_is_set(&error))
                        sd_bus_error_set_errno(&error, r);
                call_error(e, &error, member);
                return r;
        }

        if (ret)
                *ret = TAKE_PTR(reply);
        return 0;
}

int client_call(sd_bus *bus, CallFlags flags, const char *path, const char *interface,
                const char *member, sd_bus_message **ret, sd_bus_error *e, const char *types, ...) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = client_call_new(bus, path, interface, member, &m, e);
        if (r < 0)
                return r;
        if (types) {
                va_list ap;

                va_start(ap, types);
                r = sd_bus_message_appendv(m, types, ap);
                va_end(ap);
                if (r < 0)
                        return make_error(e, r, member);
        }
        return client_call_send(bus, flags, m, ret, e);
}

/*
 * Not json_parse(): its limit is that of one configuration, while the list of all attachments of a
 * full node is larger. The bus bounds the message, the tokener the depth.
 */
static int parse_answer(const char *text, const char *member, json_object **ret, sd_bus_error *e) {
        _cleanup_json_ json_object *object = NULL;
        json_tokener *tokener;
        enum json_tokener_error problem;
        size_t size = strlen(text);

        tokener = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tokener)
                return sd_bus_error_set_errno(e, -ENOMEM);
        json_tokener_set_flags(tokener, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);
        /* With the NUL, so that a number at the end is complete too. A message is below 128 MiB. */
        object = json_tokener_parse_ex(tokener, text, (int) size + 1);
        problem = json_tokener_get_error(tokener);
        json_tokener_free(tokener);

        if (problem != json_tokener_success || !json_object_is_type(object, json_type_object)) {
                sd_bus_error_setf(e, error_dbus_name(ERROR_DECODE),
                                  "netmgrd answered %s with text that is not a JSON object (%s)",
                                  member,
                                  problem != json_tokener_success ? json_tokener_error_desc(problem)
                                                                  : "another type");
                return -EBADMSG;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

int client_answer(sd_bus_message *reply, const char *member, json_object **ret, sd_bus_error *e) {
        const char *text;
        int r;

        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "netmgrd answered %s with another type",
                                               member);
        return parse_answer(text, member, ret, e);
}

int client_describe(sd_bus *bus, const char *path, const char *interface, json_object **ret,
                    sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        int r;

        r = client_call(bus, 0, path, interface, "Describe", &reply, e, NULL);
        if (r < 0)
                return r;
        return client_answer(reply, "Describe", ret, e);
}

int client_read_list(sd_bus_message *reply, const char *member, const char *key, json_object **ret,
                     sd_bus_error *e) {
        _cleanup_json_ json_object *object = NULL;
        json_object *array;
        bool good;

        int r = client_answer(reply, member, &object, e);
        if (r < 0)
                return r;
        good = json_object_object_get_ex(object, key, &array) &&
               json_object_is_type(array, json_type_array);
        for (size_t i = 0; good && i < json_object_array_length(array); i++)
                good = json_object_is_type(json_object_array_get_idx(array, i), json_type_object);
        if (!good) {
                sd_bus_error_setf(e, error_dbus_name(ERROR_DECODE),
                                  "netmgrd answered %s without a list of %s", member, key);
                return -EBADMSG;
        }
        *ret = TAKE_PTR(object);
        return 0;
}

int client_describe_all(sd_bus *bus, const char *what, json_object **ret, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;

        int r = client_call(bus, 0, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", "DescribeAll", &reply,
                            e, "s", what);
        return r < 0 ? r : client_read_list(reply, "DescribeAll", what, ret, e);
}
