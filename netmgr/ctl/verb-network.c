/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl network add FILE, network remove NAME. The file's bytes go to the daemon as they are:
 * what they mean is decided there, only the name is read here.
 */

#include <fcntl.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/verb.h"

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

/* The network's name out of its configuration; owned by caller. */
static int config_name(const char *path, const char *text, size_t size, char **ret,
                       sd_bus_error *e) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_json_ json_object *config = NULL;
        json_object *name;
        int r;

        r = json_parse(text, size, path, &config, &error);
        if (r < 0)
                return client_error(e, &error);

        if (!json_object_is_type(config, json_type_object))
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "%s holds no JSON object, but %s", path,
                                         JSON_SHORT(config));
        name = json_get(config, "name");
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

        *ret = strdup(json_object_get_string(name));
        return *ret ? 0 : sd_bus_error_set_errno(e, -ENOMEM);
}

int verb_network_add(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_free_ char *config = NULL, *name = NULL;
        size_t size;
        int r;

        r = read_config(args[0], &config, &size, e);
        if (r < 0)
                return r;
        r = config_name(args[0], config, size, &name, e);
        if (r < 0)
                return r;
        return client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                           "AddNetwork", NULL, e, "ssa{sv}", name, config, 0);
}

int verb_network_remove_check(_unused_ Ctl *ctl, char **args, sd_bus_error *e) {
        if (cni_id_is_valid(args[0], NETWORK_NAME_MAX))
                return 0;
        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                 "\"%s\" cannot be the name of a network", args[0]);
}

int verb_network_remove(Ctl *ctl, char **args, sd_bus_error *e) {
        return client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                           "RemoveNetwork", NULL, e, "sa{sv}", args[0], 0);
}
