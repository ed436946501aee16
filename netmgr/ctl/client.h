/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The bus side of netmgrctl: a connection, calls on org.netmgr1, answers as JSON, and what an
 * error means for the exit status. Errors travel as sd_bus_error, those made here too, so that a
 * name and a sentence are always at hand; main() prints them, once.
 */

#include <json-c/json.h>
#include <systemd/sd-bus.h>

#include "base/error.h"

#define NETMGR_BUS_NAME "org.netmgr1"
#define NETMGR_PATH     "/org/netmgr1"

/* What scripts may rely on; netmgrctl(1) lists them. */
typedef enum ExitStatus {
        EXIT_STATUS_OK = 0,
        EXIT_STATUS_FAILURE = 1,
        EXIT_STATUS_USAGE = 2,
        EXIT_STATUS_NOT_FOUND = 3,
        EXIT_STATUS_NOT_AUTHORIZED = 4,
        EXIT_STATUS_UNREACHABLE = 5,
} ExitStatus;

typedef enum CallFlags {
        /* May ask a person for a password (polkit), and so waits longer for the answer. */
        CALL_CHANGES = 1 << 0,
} CallFlags;

#define _cleanup_bus_error_ _cleanup_(sd_bus_error_free)
#define _cleanup_message_   _cleanup_(sd_bus_message_unrefp)

/*
 * Connects to the bus at the address, or to the system bus when it is NULL, and completes the
 * handshake. Returns 0 or a negative errno with *e filled.
 */
int client_connect(const char *address, sd_bus **ret, sd_bus_error *e);

/*
 * Calls a method of org.netmgr1 with arguments as for sd_bus_message_append(). Returns 0, or a
 * negative errno with *e filled; where the daemon could not be reached the sentence says so in our
 * words and the name stays. *ret may be NULL.
 */
int client_call(sd_bus *bus, CallFlags flags, const char *path, const char *interface,
                const char *member, sd_bus_message **ret, sd_bus_error *e, const char *types, ...);

/* The same in two steps, for arguments that are not one list: make, append, send. */
int client_call_new(sd_bus *bus, const char *path, const char *interface, const char *member,
                    sd_bus_message **ret, sd_bus_error *e);
int client_call_send(sd_bus *bus, CallFlags flags, sd_bus_message *m, sd_bus_message **ret,
                     sd_bus_error *e);

/* The JSON object that a method answers as a string. */
int client_answer(sd_bus_message *reply, const char *method, json_object **ret, sd_bus_error *e);

/* Describe() of an object, as a JSON object. */
int client_describe(sd_bus *bus, const char *path, const char *interface, json_object **ret,
                    sd_bus_error *e);

/* The answer to a method as an object with a list of objects under the key. */
int client_read_list(sd_bus_message *reply, const char *member, const char *key, json_object **ret,
                     sd_bus_error *e);

/* Manager.DescribeAll(what): {what: [...]}, whose elements are checked to be objects. */
int client_describe_all(sd_bus *bus, const char *what, json_object **ret, sd_bus_error *e);

/* Hands a sentence of netmgr/base over to the bus kind of error; returns the kind's errno. */
int client_error(sd_bus_error *e, const Error *from);

/* Exit status of a failure; an unset error is a plain failure. */
ExitStatus client_exit_status(const sd_bus_error *e);
