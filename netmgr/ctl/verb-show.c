/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl show OBJECT. Which object is meant is found by name among the daemon's lists; an exact
 * name beats the beginning of an id, so that `show blue` means the network blue for ever, whatever
 * ids sandboxes get. Ids and names hold no ':', so the written forms network:NAME and sandbox:ID cannot be
 * mistaken; of NAMESPACE/NAME and SANDBOX/IFNAME the exact name of a network goes first, too.
 */

#include "base/json.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/find.h"
#include "ctl/rate.h"
#include "ctl/text.h"
#include "ctl/verb.h"

#define MANAGER NETMGR_BUS_NAME ".Manager"

typedef struct Found {
        const char *noun;      /* of the JSON: "sandboxes", ... */
        const char *interface; /* its D-Bus interface */
        char *path;            /* owned */
} Found;

static void found_done(Found *found) {
        free(found->path);
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

/* A network's name with its namespace, or an interface of a sandbox. */
static int find_with_slash(sd_bus *bus, const char *wanted, Found *ret, sd_bus_error *e) {
        const char *slash = strchr(wanted, '/');
        _cleanup_free_ char *sandbox = strndup(wanted, (size_t) (slash - wanted)), *network = NULL;

        if (!sandbox)
                return sd_bus_error_set_errno(e, -ENOMEM);
        int r = find_network(bus, wanted, &network, e);
        if (r < 0)
                return r;
        if (network) {
                found_set(ret, "networks", NETMGR_BUS_NAME ".Network", TAKE_PTR(network));
                return 0;
        }
        found_set(ret, "attachments", NETMGR_BUS_NAME ".Attachment", NULL);
        return find_attachment(bus, sandbox, slash + 1, &ret->path, e);
}

static int find_object(sd_bus *bus, const char *wanted, Found *ret, sd_bus_error *e) {
        int r;

        if (strchr(wanted, '/') && strncmp(wanted, "network:", 8) != 0)
                return find_with_slash(bus, wanted, ret, e);
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

static char *format_rate(json_object *value) {
        _cleanup_free_ char *bits = NULL;

        if (json_object_get_uint64(value) == 0)
                return strdup("none");
        bits = bits_format(json_object_get_uint64(value));
        return bits ? strf("%s/s", bits) : NULL;
}

static char *format_burst(json_object *value) {
        return json_object_get_uint64(value) == 0 ? strdup("chosen by netmgrd")
                                                  : bits_format(json_object_get_uint64(value));
}

static char *format_drift(json_object *value) {
        return strdup("the network's configuration was changed since this was attached; a new "
                      "attachment would differ");
}

static const Column attachment_fields[] = {
        { "Sandbox", "Sandbox", 0, NULL },
        { "Interface", "Interface", 0, NULL },
        { "Network", "Network", 0, NULL },
        { "Drifted", "Drifted", 0, format_drift },
        { "Known as", "Reference", 0, NULL },
        { "Chosen because", "ChoiceReason", 0, NULL },
        { "Position", "Position", 0, NULL },
        { "Came with", "Parent", 0, NULL },
        { "Hot-plugged", "HotPlugged", 0, NULL },
        { "Kind", "Kind", 0, NULL },
        { "State", "State", CELL_STATE, NULL },
        { "Host interface", "HostInterface", 0, NULL },
        { "MAC", "Mac", 0, NULL },
        { "MTU", "Mtu", 0, NULL },
        { "Addresses", "Addresses", 0, NULL },
        { "Gateways", "Gateways", 0, NULL },
        { "Ports", "Ports", 0, NULL },
        { "Limits by", "ShapingMode", 0, NULL },
        { "Ingress limit", "IngressRate", 0, format_rate },
        { "Ingress burst", "IngressBurst", 0, format_burst },
        { "Egress limit", "EgressRate", 0, format_rate },
        { "Egress burst", "EgressBurst", 0, format_burst },
        { 0 },
};

static const Column network_fields[] = {
        { "Network", "Name", 0, NULL },     { "Kind", "Kind", 0, NULL },
        { "Stands for", "Alias", 0, NULL }, { "Chosen from", "Members", 0, NULL },
        { "Plugins", "Plugins", 0, NULL },  { "Source", "Source", 0, NULL },
        { "Subnets", "Subnets", 0, NULL },  { "Used", "Used", 0, NULL },
        { "Free", "Free", 0, NULL },        { 0 },
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
        return attachments_table(&ctl->output, chosen);
}

static const char *string_at(json_object *object, const char *key) {
        return strempty(json_object_get_string(json_get(object, key)));
}

/* Each port as "0.0.0.0:8080/tcp to 80". */
static int ports_in_words(json_object *object) {
        json_object *ports = json_get(object, "Ports"), *list;

        if (!json_object_is_type(ports, json_type_array) || json_object_array_length(ports) == 0)
                return 0;
        list = json_object_new_array();
        if (!list)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(ports); i++) {
                json_object *port = json_object_array_get_idx(ports, i);
                const char *host = string_at(port, "HostIP");
                bool six = strchr(host, ':') != NULL;
                _cleanup_free_ char *text =
                                strf("%s%s%s:%s/%s to %s", six ? "[" : "", host, six ? "]" : "",
                                     string_at(port, "HostPort"), string_at(port, "Protocol"),
                                     string_at(port, "ContainerPort"));

                if (!text || json_append(list, json_object_new_string(text)) < 0) {
                        json_object_put(list);
                        return -ENOMEM;
                }
        }
        return json_add(object, "Ports", list);
}

/* What only some have. */
static void hide_unset(json_object *attachment) {
        static const char *const texts[] = { "Reference", "ChoiceReason", "Parent" };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++)
                if (!string_at(attachment, texts[i])[0])
                        json_object_object_del(attachment, texts[i]);
        if (!json_object_get_boolean(json_get(attachment, "HotPlugged")))
                json_object_object_del(attachment, "HotPlugged");
        if (!json_object_get_boolean(json_get(attachment, "Drifted")))
                json_object_object_del(attachment, "Drifted");
}

/* Of a network: what only groups, aliases and those with plugins have. */
static void hide_empty(json_object *network) {
        static const char *const lists[] = { "Members", "Plugins" };

        if (!string_at(network, "Alias")[0])
                json_object_object_del(network, "Alias");
        for (size_t i = 0; i < ELEMENTSOF(lists); i++) {
                json_object *list = json_get(network, lists[i]);
                if (json_object_is_type(list, json_type_array) &&
                    json_object_array_length(list) == 0)
                        json_object_object_del(network, lists[i]);
        }
}

static int attachment_print(const Output *output, json_object *attachment) {
        int r = ports_in_words(attachment);

        hide_unset(attachment);

        /* A burst without a limit means nothing, nor does the way of limiting without any. */
        bool ingress = json_object_get_uint64(json_get(attachment, "IngressRate")) > 0;
        bool egress = json_object_get_uint64(json_get(attachment, "EgressRate")) > 0;
        if (!ingress)
                json_object_object_del(attachment, "IngressBurst");
        if (!egress)
                json_object_object_del(attachment, "EgressBurst");
        if (!ingress && !egress)
                json_object_object_del(attachment, "ShapingMode");
        return r < 0 ? r : fields_print(output, attachment_fields, attachment);
}

/* The text of an annotation, as it would be written to the pod: it is JSON whatever --json= says. */
static int annotation_print(Ctl *ctl, const char *wanted, const char *property, sd_bus_error *e) {
        _cleanup_(sandbox_match_done) SandboxMatch sandbox = { 0 };
        _cleanup_message_ sd_bus_message *reply = NULL;
        const char *text;

        if (strncmp(wanted, "sandbox:", 8) == 0)
                wanted += 8;
        int r = find_one_sandbox(ctl->bus, wanted, &sandbox, e);
        if (r >= 0)
                r = client_call(ctl->bus, 0, sandbox.path, "org.freedesktop.DBus.Properties", "Get",
                                &reply, e, "ss", NETMGR_BUS_NAME ".Sandbox", property);
        if (r < 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &text);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the property %s: %s", property,
                                               strerror(-r));
        _cleanup_free_ char *clean = text_escape_json(text);
        if (!clean)
                return -ENOMEM;
        if (clean[0])
                puts(clean);
        return 0;
}

static int check_annotation(const Ctl *ctl, const char *object, sd_bus_error *e) {
        bool status = ctl->options[OPTION_NETWORK_STATUS] != NULL,
             multi = ctl->options[OPTION_MULTI_IP] != NULL;

        if (status && multi)
                return sd_bus_error_set(e, SD_BUS_ERROR_INVALID_ARGS,
                                        "say either --network-status or --multi-ip-preferences");
        if ((status || multi) && (strchr(object, '/') || strncmp(object, "network:", 8) == 0))
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is no sandbox, and only sandboxes have a %s",
                                         object,
                                         status ? "network-status" : "multi-ip-preferences");
        return 0;
}

int verb_show_check(Ctl *ctl, char **args, sd_bus_error *e) {
        const char *slash = strchr(args[0], '/');

        int r = check_annotation(ctl, args[0], e);
        if (r < 0)
                return r;

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

        if (ctl->options[OPTION_NETWORK_STATUS])
                return annotation_print(ctl, args[0], "NetworkStatus", e);
        if (ctl->options[OPTION_MULTI_IP])
                return annotation_print(ctl, args[0], "MultiIPPreferences", e);
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
                return attachment_print(&ctl->output, object);
        if (streq(found.noun, "sandboxes")) {
                r = fields_print(&ctl->output, sandbox_fields, object);
                return r < 0 ? r : attachments_print(ctl, "Sandbox", json_get(object, "Id"), e);
        }
        hide_empty(object);
        r = fields_print(&ctl->output, network_fields, object);
        if (r >= 0)
                r = config_print(json_get(object, "Config"));
        return r < 0 ? r : attachments_print(ctl, "Network", json_get(object, "Name"), e);
}
