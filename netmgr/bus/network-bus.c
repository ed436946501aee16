/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.netmgr1.Network on /org/netmgr1/network/NAME. */

#include "bus/describe.h"
#include "bus/object-bus.h"

char *network_bus_path(const Network *n) {
        char *path;
        return sd_bus_path_encode(BUS_PATH "/network", n->name, &path) < 0 ? NULL : path;
}

int network_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error) {
        _cleanup_free_ char *name = NULL;
        const Bus *b = userdata;

        int r = sd_bus_path_decode(path, BUS_PATH "/network", &name);
        if (r <= 0)
                return r;
        *ret_found = network_find(b->manager, name);
        return *ret_found ? 1 : 0;
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, network_describe(userdata), property, "s");
}

static int get_strings(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, network_describe(userdata), property, "as");
}

static int get_count(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, network_describe(userdata), property, "t");
}

static int get_paths(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, network_describe(userdata), property, "ao");
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return describe_reply(m, network_describe(userdata));
}

#define PROPERTY(name, signature, getter, flags) SD_BUS_PROPERTY(name, signature, getter, 0, flags)

const sd_bus_vtable network_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("Name", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Namespace", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Kind", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Plugins", "as", get_strings, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Alias", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Members", "as", get_strings, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Source", "s", get_string, 0),
        PROPERTY("Config", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        PROPERTY("Subnets", "as", get_strings, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Used", "t", get_count, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        PROPERTY("Free", "t", get_count, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        PROPERTY("Attachments", "ao", get_paths, SD_BUS_VTABLE_PROPERTY_EMITS_INVALIDATION),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
