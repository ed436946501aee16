/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl network add FILE, network remove NAME. The file's bytes go to the daemon as they are:
 * what they mean is decided there, only the name of a configuration is read here; a manifest has it inside.
 */

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/verb.h"

#define NAD_KIND "NetworkAttachmentDefinition"

static int read_config(const char *path, char **ret, size_t *ret_size, sd_bus_error *e) {
        int r;

        if (streq(path, "-"))
                r = fd_read_full(STDIN_FILENO, CONFIG_SIZE_MAX, ret, ret_size);
        else
                r = file_read_full(AT_FDCWD, path, CONFIG_SIZE_MAX, ret, ret_size);
        if (r >= 0)
                return 0;

        if (r == -E2BIG)
                sd_bus_error_setf(e, error_dbus_name(ERROR_DECODE),
                                  "%s is larger than the %u bytes that a network may have", path,
                                  CONFIG_SIZE_MAX);
        else if (r == -EBADFD)
                sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                  "%s is not a regular file; use - to read standard input", path);
        else
                sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT), "cannot read %s: %s",
                                  path, strerror(-r));
        return r;
}

static int config_read(const char *path, const char *text, size_t size, json_object **ret,
                       sd_bus_error *e) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_json_ json_object *config = NULL;

        int r = json_parse(text, size, path, &config, &error);
        if (r < 0)
                return client_error(e, &error);
        if (!json_object_is_type(config, json_type_object))
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "%s holds no JSON object, but %s", path,
                                         JSON_SHORT(config));
        *ret = TAKE_PTR(config);
        return 0;
}

static bool kind_is(json_object *config, const char *kind) {
        json_object *value = json_get(config, "kind");

        return json_object_is_type(value, json_type_string) &&
               streq(json_object_get_string(value), kind);
}

/* The network's name out of its configuration; borrowed. "": a manifest, which the daemon reads. */
static int config_name(const char *path, json_object *config, const char **ret, sd_bus_error *e) {
        json_object *name = json_get(config, "name");

        if (kind_is(config, NAD_KIND)) {
                *ret = "";
                return 0;
        }
        if (!name)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "%s has no key \"name\": a network needs one", path);
        if (!json_object_is_type(name, json_type_string) ||
            !cni_id_is_valid(json_object_get_string(name), NETWORK_NAME_MAX))
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "%s: name: %s is not the name of a network: at most %u "
                                         "letters, digits, '_', '.', '-', the first a letter or "
                                         "digit",
                                         path, JSON_SHORT(name), NETWORK_NAME_MAX);
        *ret = json_object_get_string(name);
        return 0;
}

static int network_add(Ctl *ctl, const char *name, const char *config, sd_bus_error *e) {
        return client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                           "AddNetwork", NULL, e, "ssa{sv}", name, config, 0);
}

/* A list as kubectl prints it: one after the other; those before a bad one stay. */
static int network_add_items(Ctl *ctl, const char *path, json_object *items, sd_bus_error *e) {
        size_t n = json_object_is_type(items, json_type_array) ? json_object_array_length(items)
                                                               : 0;
        int r = 0;

        if (n == 0)
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "%s: items: wanted an array of manifests, found %s", path,
                                         JSON_SHORT(items));
        for (size_t i = 0; i < n && r >= 0; i++) {
                _cleanup_free_ char *text = json_to_text(json_object_array_get_idx(items, i));
                r = text ? network_add(ctl, "", text, e) : -ENOMEM;
        }
        return r;
}

int verb_network_add(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *config = NULL;
        _cleanup_free_ char *text = NULL;
        const char *name = "";
        size_t size;

        int r = read_config(args[0], &text, &size, e);
        if (r >= 0)
                r = config_read(args[0], text, size, &config, e);
        if (r < 0)
                return r;
        if (kind_is(config, "List") || kind_is(config, NAD_KIND "List"))
                return network_add_items(ctl, args[0], json_get(config, "items"), e);
        r = config_name(args[0], config, &name, e);
        return r < 0 ? r : network_add(ctl, name, text, e);
}

/* "NAME", or "NAMESPACE/NAME": each part is a word that the daemon looks for. */
int verb_network_remove_check(_unused_ Ctl *ctl, char **args, sd_bus_error *e) {
        const char *slash = strchr(args[0], '/'), *last = slash ? slash + 1 : args[0];
        _cleanup_free_ char *namespace =
                        slash ? strndup(args[0], (size_t) (slash - args[0])) : strdup("default");

        if (!namespace)
                return sd_bus_error_set_errno(e, -ENOMEM);
        if (strlen(args[0]) <= NETWORK_NAME_MAX && cni_id_is_valid(namespace, NETWORK_NAME_MAX) &&
            cni_id_is_valid(last, NETWORK_NAME_MAX))
                return 0;
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                 "\"%s\" cannot be the name of a network", args[0]);
}

int verb_network_remove(Ctl *ctl, char **args, sd_bus_error *e) {
        return client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                           "RemoveNetwork", NULL, e, "sa{sv}", args[0], 0);
}
