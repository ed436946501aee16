/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl list WHAT: one table per kind of object. The columns are those that a person compares;
 * --json has all that the daemon says.
 */

#include "base/json.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/verb.h"

/* Last label of one object path, decoded: the interface of an attachment. NULL for anything else. */
static char *path_to_interface(const char *path) {
        _cleanup_free_ char *sandbox = NULL;
        char *interface = NULL;

        if (sd_bus_path_decode_many(path, NETMGR_PATH "/sandbox/%/%", &sandbox, &interface) <= 0)
                return NULL;
        return interface;
}

/* Attachments of a sandbox are object paths; the interfaces' names say it to people. */
static char *format_interfaces(json_object *value) {
        _cleanup_json_ json_object *names = NULL;

        if (!json_object_is_type(value, json_type_array))
                return json_to_cell(value);
        names = json_object_new_array();
        if (!names)
                return NULL;
        for (size_t i = 0; i < json_object_array_length(value); i++) {
                json_object *item = json_object_array_get_idx(value, i);
                _cleanup_free_ char *name = NULL;

                if (json_object_is_type(item, json_type_string))
                        name = path_to_interface(json_object_get_string(item));
                if (json_append(names,
                                name ? json_object_new_string(name) : json_object_get(item)) < 0)
                        return NULL;
        }
        return json_to_cell(names);
}

/* A property that few have. */
static char *format_mark(json_object *value) {
        return strdup(json_object_get_boolean(value) ? "yes" : "-");
}

static const Column sandbox_columns[] = {
        { "SANDBOX", "Id", CELL_TRUNC, NULL },
        { "NAMESPACE", "PodNamespace", 0, NULL },
        { "POD", "PodName", CELL_TRUNC, NULL },
        { "STATE", "State", CELL_STATE, NULL },
        { "INTERFACES", "Attachments", 0, format_interfaces },
        { 0 },
};

static const Column attachment_columns[] = {
        { "SANDBOX", "Sandbox", CELL_TRUNC, NULL },
        { "INTERFACE", "Interface", 0, NULL },
        { "NETWORK", "Network", 0, NULL },
        { "POS", "Position", CELL_RIGHT, NULL },
        { "WITH", "Parent", 0, NULL },
        { "HOT", "HotPlugged", 0, format_mark },
        { "KIND", "Kind", 0, NULL },
        { "STATE", "State", CELL_STATE, NULL },
        { "HOST", "HostInterface", 0, NULL },
        { "ADDRESSES", "Addresses", 0, NULL },
        { 0 },
};

/* "NETWORK*"; returns whether any was. */
static int mark_drifted(json_object *rows) {
        size_t n = json_object_is_type(rows, json_type_array) ? json_object_array_length(rows) : 0;
        bool any = false;

        for (size_t i = 0; i < n; i++) {
                json_object *row = json_object_array_get_idx(rows, i);
                _cleanup_free_ char *marked = NULL;

                if (!json_object_get_boolean(json_get(row, "Drifted")))
                        continue;
                marked = strf("%s*", strempty(json_object_get_string(json_get(row, "Network"))));
                if (!marked || json_add_string(row, "Network", marked) < 0)
                        return -ENOMEM;
                any = true;
        }
        return any;
}

int attachments_table(const Output *output, json_object *rows) {
        int drifted = output->legend ? mark_drifted(rows) : 0;
        int r = drifted < 0 ? drifted
                            : table_print(output, attachment_columns, "attachments", rows);

        if (r >= 0 && drifted > 0)
                printf("\n* attached before its network's configuration was changed; a new "
                       "attachment would differ\n");
        return r;
}

static const Column network_columns[] = {
        { "NETWORK", "Name", 0, NULL },
        { "KIND", "Kind", 0, NULL },
        { "SOURCE", "Source", 0, NULL },
        { "USED", "Used", CELL_RIGHT, NULL },
        { "FREE", "Free", CELL_RIGHT, NULL },
        { "SUBNETS", "Subnets", 0, NULL },
        { 0 },
};

static const Column address_columns[] = {
        { "ADDRESS", "Address", 0, NULL },          { "NETWORK", "Network", 0, NULL },
        { "SANDBOX", "Sandbox", CELL_TRUNC, NULL }, { "INTERFACE", "Interface", 0, NULL },
        { "STATE", "State", CELL_STATE, NULL },     { "OWNER", "Owner", 0, NULL },
        { "RELEASED", "ReleasedAt", 0, NULL },      { 0 },
};

static const struct {
        const char *what;
        const Column *columns;
} lists[] = {
        { "sandboxes", sandbox_columns },
        { "attachments", attachment_columns },
        { "networks", network_columns },
        { "addresses", address_columns },
};

int verb_list_check(_unused_ Ctl *ctl, char **args, sd_bus_error *e) {
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                if (streq(lists[i].what, args[0]))
                        return 0;
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                 "cannot list \"%s\": it is one of sandboxes, attachments, "
                                 "networks, addresses",
                                 args[0]);
}

int verb_list(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *root = NULL;
        const char *what = args[0];
        int r;

        r = client_describe_all(ctl->bus, what, &root, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, root);

        if (streq(what, "attachments"))
                return attachments_table(&ctl->output, json_get(root, what));
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                if (streq(lists[i].what, what))
                        return table_print(&ctl->output, lists[i].columns, what,
                                           json_get(root, what));
        return -EINVAL;
}
