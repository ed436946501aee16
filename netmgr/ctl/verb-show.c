/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl show OBJECT. Which object is meant is found by name among the daemon's lists; an exact
 * name beats the beginning of an id, so that `show blue` means the network blue for ever, whatever
 * ids sandboxes get. Ids and names hold neither ':' nor '/', so the written forms
 * network:NAME, sandbox:ID and SANDBOX/IFNAME cannot be mistaken.
 */

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

/* Shorter beginnings of an id are typing errors. */
#define ID_PREFIX_MIN 4U

#define MANAGER NETMGR_BUS_NAME ".Manager"

typedef struct Found {
        const char *noun;      /* of the JSON: "sandboxes", ... */
        const char *interface; /* its D-Bus interface */
        char *path;            /* owned */
} Found;

static void found_done(Found *found) {
        free(found->path);
}

typedef enum Match {
        MATCH_NONE,
        MATCH_PREFIX, /* the only one that begins like this */
        MATCH_EXACT,
        MATCH_SEVERAL,
} Match;

/* What a search among sandboxes gave; strings owned. */
typedef struct SandboxMatch {
        Match match;
        char *id, *path;
        char *other; /* MATCH_SEVERAL: another id that begins so */
} SandboxMatch;

static void sandbox_match_done(SandboxMatch *match) {
        free(match->id);
        free(match->path);
        free(match->other);
}

static int replace_string(char **to, const char *from) {
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

static int find_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e) {
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

static int several_error(const SandboxMatch *match, const char *wanted, sd_bus_error *e) {
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
static int find_one_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e) {
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

/* Sets *ret to the path of the network of exactly this name, NULL when there is none. */
static int find_network(sd_bus *bus, const char *wanted, char **ret, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *found = NULL;
        const char *name, *path;
        int r;

        r = client_call(bus, 0, NETMGR_PATH, MANAGER, "ListNetworks", &reply, e, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sso)");
        while (r >= 0 && (r = sd_bus_message_read(reply, "(sso)", &name, NULL, &path)) > 0)
                if (streq(name, wanted))
                        r = replace_string(&found, path);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the list of networks: %s",
                                               strerror(-r));
        *ret = TAKE_PTR(found);
        return 0;
}

static int find_attachment(sd_bus *bus, const char *wanted, Found *ret, sd_bus_error *e) {
        _cleanup_(sandbox_match_done) SandboxMatch sandbox = { 0 };
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_free_ char *prefix = NULL;
        const char *slash = strchr(wanted, '/'), *id, *interface, *path;
        int r;

        prefix = strndup(wanted, (size_t) (slash - wanted));
        if (!prefix)
                return sd_bus_error_set_errno(e, -ENOMEM);
        r = find_one_sandbox(bus, prefix, &sandbox, e);
        if (r < 0)
                return r;

        r = client_call(bus, 0, NETMGR_PATH, MANAGER, "ListAttachments", &reply, e, NULL);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(reply, 'a', "(sssso)");
        while (r >= 0 &&
               (r = sd_bus_message_read(reply, "(sssso)", &id, &interface, NULL, NULL, &path)) > 0)
                if (streq(id, sandbox.id) && streq(interface, slash + 1))
                        r = replace_string(&ret->path, path);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the list of attachments: %s",
                                               strerror(-r));
        if (!ret->path)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_ATTACHMENT),
                                         "sandbox %s has no interface \"%s\" of netmgr", sandbox.id,
                                         slash + 1);
        ret->noun = "attachments";
        ret->interface = NETMGR_BUS_NAME ".Attachment";
        return 0;
}

static void found_set(Found *found, const char *noun, const char *interface, char *path) {
        found->noun = noun;
        found->interface = interface;
        found->path = path;
}

/* A bare word: a network's name, a sandbox's id or the beginning of one. */
static int find_any(sd_bus *bus, const char *wanted, Found *ret, sd_bus_error *e) {
        _cleanup_(sandbox_match_done) SandboxMatch sandbox = { 0 };
        _cleanup_free_ char *network = NULL;
        int r;

        r = find_network(bus, wanted, &network, e);
        if (r < 0)
                return r;
        r = find_sandbox(bus, wanted, &sandbox, e);
        if (r < 0)
                return r;

        if (network && sandbox.match == MATCH_EXACT)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "\"%s\" is the name of a network and the id of a sandbox: "
                                         "say network:%s or sandbox:%s",
                                         wanted, wanted, wanted);
        if (network)
                found_set(ret, "networks", NETMGR_BUS_NAME ".Network", TAKE_PTR(network));
        else if (sandbox.match == MATCH_SEVERAL)
                return several_error(&sandbox, wanted, e);
        else if (sandbox.match != MATCH_NONE)
                found_set(ret, "sandboxes", NETMGR_BUS_NAME ".Sandbox", TAKE_PTR(sandbox.path));
        else
                return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_SANDBOX),
                                         "there is neither a sandbox nor a network \"%s\"", wanted);
        return 0;
}

static int find_object(sd_bus *bus, const char *wanted, Found *ret, sd_bus_error *e) {
        int r;

        if (strchr(wanted, '/'))
                return find_attachment(bus, wanted, ret, e);

        if (strncmp(wanted, "sandbox:", 8) == 0) {
                _cleanup_(sandbox_match_done) SandboxMatch sandbox = { 0 };

                r = find_one_sandbox(bus, wanted + 8, &sandbox, e);
                if (r >= 0)
                        found_set(ret, "sandboxes", NETMGR_BUS_NAME ".Sandbox",
                                  TAKE_PTR(sandbox.path));
                return r;
        }
        if (strncmp(wanted, "network:", 8) == 0) {
                char *path = NULL;

                r = find_network(bus, wanted + 8, &path, e);
                if (r >= 0 && !path)
                        return sd_bus_error_setf(e, error_dbus_name(ERROR_NO_SUCH_NETWORK),
                                                 "there is no network \"%s\"", wanted + 8);
                if (r >= 0)
                        found_set(ret, "networks", NETMGR_BUS_NAME ".Network", path);
                return r;
        }
        return find_any(bus, wanted, ret, e);
}

static const Column sandbox_fields[] = {
        { "Sandbox", "Id", 0, NULL },
        { "State", "State", CELL_STATE, NULL },
        { "Runtime", "Runtime", 0, NULL },
        { "Pod namespace", "PodNamespace", 0, NULL },
        { "Pod", "PodName", 0, NULL },
        { "Pod UID", "PodUID", 0, NULL },
        { "Labels", "Labels", 0, NULL },
        { "Netns", "NetnsPath", 0, NULL },
        { 0 },
};

static const Column attachment_fields[] = {
        { "Sandbox", "Sandbox", 0, NULL },
        { "Interface", "Interface", 0, NULL },
        { "Network", "Network", 0, NULL },
        { "Kind", "Kind", 0, NULL },
        { "State", "State", CELL_STATE, NULL },
        { "Host interface", "HostInterface", 0, NULL },
        { "MAC", "Mac", 0, NULL },
        { "MTU", "Mtu", 0, NULL },
        { "Addresses", "Addresses", 0, NULL },
        { "Gateways", "Gateways", 0, NULL },
        { 0 },
};

static const Column network_fields[] = {
        { "Network", "Name", 0, NULL },
        { "Kind", "Kind", 0, NULL },
        { "Source", "Source", 0, NULL },
        { "Subnets", "Subnets", 0, NULL },
        { "Used", "Used", 0, NULL },
        { "Free", "Free", 0, NULL },
        { 0 },
};

/* The configuration as its author wrote it, line by line below a heading. */
static int config_print(json_object *config) {
        const char *text;

        if (!json_object_is_type(config, json_type_string))
                return 0;
        text = json_object_get_string(config);
        printf("\nConfiguration:\n");
        while (*text) {
                size_t length = strcspn(text, "\n");
                _cleanup_free_ char *line = NULL;

                line = strndup(text, length);
                if (line) {
                        char *escaped = text_escape(line, length);

                        free(line);
                        line = escaped;
                }
                if (!line)
                        return -ENOMEM;
                printf("  %s\n", line);
                text += length + (text[length] == '\n');
        }
        return 0;
}

/* The attachments whose key has this value: those of a sandbox or of a network. */
static int attachments_print(Ctl *ctl, const char *key, json_object *value, sd_bus_error *e) {
        _cleanup_json_ json_object *root = NULL, *chosen = NULL;
        json_object *all;
        int r;

        r = client_describe_all(ctl->bus, "attachments", &root, e);
        if (r < 0)
                return r;
        chosen = json_object_new_array();
        if (!chosen)
                return -ENOMEM;
        all = json_get(root, "attachments");
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                json_object *item = json_object_array_get_idx(all, i);

                if (value && json_object_equal(json_get(item, key), value) &&
                    json_append(chosen, json_object_get(item)) < 0)
                        return -ENOMEM;
        }
        printf("\n");
        return table_print(&ctl->output, attachment_columns, "attachments", chosen);
}

int verb_show_check(_unused_ Ctl *ctl, char **args, sd_bus_error *e) {
        const char *slash = strchr(args[0], '/');

        if (args[0][0] && slash != args[0] && (!slash || (slash[1] && !strchr(slash + 1, '/'))))
                return 0;
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                 "\"%s\" names no object: give a sandbox's id, SANDBOX/INTERFACE "
                                 "or a network's name",
                                 args[0]);
}

int verb_show(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *object = NULL, *root = NULL;
        _cleanup_(found_done) Found found = { 0 };
        int r;

        r = find_object(ctl->bus, args[0], &found, e);
        if (r < 0)
                return r;
        r = client_describe(ctl->bus, found.path, found.interface, &object, e);
        if (r < 0)
                return r;

        if (ctl->output.mode != OUTPUT_TEXT) {
                _cleanup_json_ json_object *array = NULL;

                /* The shape of `list`, with one element: the noun says what was found. */
                root = json_object_new_object();
                array = json_object_new_array();
                if (!root || !array || json_append(array, TAKE_PTR(object)) < 0 ||
                    json_add(root, found.noun, TAKE_PTR(array)) < 0)
                        return -ENOMEM;
                return output_json(&ctl->output, stdout, root);
        }

        if (streq(found.noun, "attachments"))
                return fields_print(&ctl->output, attachment_fields, object);
        if (streq(found.noun, "sandboxes")) {
                r = fields_print(&ctl->output, sandbox_fields, object);
                return r < 0 ? r : attachments_print(ctl, "Sandbox", json_get(object, "Id"), e);
        }
        r = fields_print(&ctl->output, network_fields, object);
        if (r >= 0)
                r = config_print(json_get(object, "Config"));
        return r < 0 ? r : attachments_print(ctl, "Network", json_get(object, "Name"), e);
}
