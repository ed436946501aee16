/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Searches among the daemon's lists. An exact id beats the beginning of another. */

#include "ctl/find.h"
#include "base/error.h"
#include "base/parse.h"
#include "ctl/client.h"

/* Shorter beginnings of an id are typing errors. */
#define ID_PREFIX_MIN 4U

#define MANAGER NETMGR_BUS_NAME ".Manager"

void sandbox_match_done(SandboxMatch *match) {
        free(match->id);
        free(match->path);
        free(match->other);
}

int replace_string(char **to, const char *from) {
        char *copy = strdup(from);

        if (!copy)
                return -ENOMEM;
        free(*to);
        *to = copy;
        return 0;
}

/* Takes one sandbox of the list into account. */
static int sandbox_match_add(SandboxMatch *match, const char *wanted, const char *id,
                             const char *path) {
        int r;

        if (match->match == MATCH_EXACT)
                return 0;
        if (streq(id, wanted))
                match->match = MATCH_EXACT;
        else if (strlen(wanted) < ID_PREFIX_MIN || strncmp(id, wanted, strlen(wanted)) != 0)
                return 0;
        else if (match->match == MATCH_NONE)
                match->match = MATCH_PREFIX;
        else {
                match->match = MATCH_SEVERAL;
                return replace_string(&match->other, id);
        }

        r = replace_string(&match->id, id);
        return r < 0 ? r : replace_string(&match->path, path);
}

int find_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *id, *path;
        int r;

        r = client_call(bus, 0, NETMGR_PATH, MANAGER, "ListSandboxes", &reply, e, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(ssso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(ssso)", &id, NULL, NULL, &path)) > 0)
                r = sandbox_match_add(match, wanted, id, path);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the list of sandboxes: %s",
                                               strerror(-r));
        return 0;
}

int several_error(const SandboxMatch *match, const char *wanted, sd_bus_error *e) {
        return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                 "more than one sandbox begins with \"%s\", among them %s and %s: "
                                 "give more of the id",
                                 wanted, match->id, match->other);
}

static int no_sandbox_error(const char *wanted, sd_bus_error *e) {
        return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_SANDBOX),
                                 "there is no sandbox \"%s\"%s", wanted,
                                 strlen(wanted) < ID_PREFIX_MIN
                                                 ? ", and the beginning of an id needs 4 characters"
                                                 : "");
}

/* The one sandbox that is meant, or an error. */
int find_one_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e) {
        int r;

        r = find_sandbox(bus, wanted, match, e);
        if (r < 0)
                return r;
        if (match->match == MATCH_SEVERAL)
                return several_error(match, wanted, e);
        if (match->match == MATCH_NONE)
                return no_sandbox_error(wanted, e);
        return 0;
}

/* What a search among the interfaces of one sandbox gave; strings owned. */
typedef struct InterfaceMatch {
        char *path;  /* of the only one, or of the wanted one */
        char *names; /* "eth0, eth1" */
        size_t n;
} InterfaceMatch;

static void interface_match_done(InterfaceMatch *match) {
        free(match->path);
        free(match->names);
}

static int interface_match_add(InterfaceMatch *match, const char *ifname, const char *path) {
        char *names = match->names ? strf("%s, %s", match->names, ifname) : strdup(ifname);

        if (!names)
                return -ENOMEM;
        free(match->names);
        match->names = names;
        match->n++;
        return replace_string(&match->path, path);
}

/* Every sandbox has a loopback interface, and nothing but a loopback has that name. */
static bool is_meant(const char *ifname, const char *wanted) {
        return wanted ? streq(ifname, wanted) : !streq(ifname, "lo");
}

static int find_interfaces(sd_bus *bus, const char *sandbox, const char *wanted,
                           InterfaceMatch *match, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *id, *ifname, *path;

        int r = client_call(bus, 0, NETMGR_PATH, MANAGER, "ListAttachments", &reply, e, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sssso)");
        while (r >= 0 &&
               (r = sd_bus_message_read(reply, "(sssso)", &id, &ifname, NULL, NULL, &path)) > 0)
                if (streq(id, sandbox) && is_meant(ifname, wanted))
                        r = interface_match_add(match, ifname, path);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the list of attachments: %s",
                                               strerror(-r));
        return 0;
}

int find_attachment(sd_bus *bus, const char *sandbox, const char *ifname, char **ret_path,
                    sd_bus_error *e) {
        _cleanup_(sandbox_match_done) SandboxMatch found = { 0 };
        _cleanup_(interface_match_done) InterfaceMatch match = { 0 };

        int r = find_one_sandbox(bus, sandbox, &found, e);
        if (r >= 0)
                r = find_interfaces(bus, found.id, ifname, &match, e);
        if (r < 0)
                return r;
        if (match.n == 0 && ifname)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_ATTACHMENT),
                                         "sandbox %s has no interface \"%s\" of netmgr", found.id,
                                         ifname);
        if (match.n == 0)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_ATTACHMENT),
                                         "sandbox %s has no interface of netmgr", found.id);
        if (match.n > 1)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "sandbox %s has the interfaces %s: say which one with "
                                         "--interface=",
                                         found.id, match.names);
        *ret_path = TAKE_PTR(match.path);
        return 0;
}
