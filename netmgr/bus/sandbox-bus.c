/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.netmgr1.Sandbox on /org/netmgr1/sandbox/ID. */

#include "bus/describe.h"
#include "bus/object-bus.h"
#include "core/network-status.h"

char *sandbox_bus_path(const Sandbox *s) {
        char *path;
        return sd_bus_path_encode(BUS_PATH "/sandbox", s->id, &path) < 0 ? NULL : path;
}

int sandbox_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                     void **ret_found, sd_bus_error *error) {
        _cleanup_free_ char *id = NULL;
        const Bus *b = userdata;

        int r = sd_bus_path_decode(path, BUS_PATH "/sandbox", &id);
        if (r <= 0)
                return r;
        Sandbox *s = sandbox_find(b->manager, id);
        if (!s || !s->announced)
                return 0;
        *ret_found = s;
        return 1;
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, sandbox_describe_briefly(userdata), property, "s");
}

static int get_labels(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, sandbox_describe_briefly(userdata), property, "a{ss}");
}

static int get_paths(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, sandbox_describe_briefly(userdata), property, "ao");
}

/* Each sandbox makes this text anew, so it is left to who asks for it. */
static int append_text(sd_bus_message *reply, char *text) {
        _cleanup_free_ char *owned = text;
        return owned ? sd_bus_message_append(reply, "s", owned) : -ENOMEM;
}

static int get_network_status(sd_bus *bus, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *userdata,
                              sd_bus_error *error) {
        return append_text(reply, sandbox_network_status_text(userdata));
}

static int get_multi_ip(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return append_text(reply, sandbox_multi_ip_text(userdata));
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return describe_reply(m, sandbox_describe(userdata));
}

#define PROPERTY(name, signature, getter, flags) SD_BUS_PROPERTY(name, signature, getter, 0, flags)

const sd_bus_vtable sandbox_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("Id", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Runtime", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("PodName", "s", get_string, 0),
        PROPERTY("PodNamespace", "s", get_string, 0),
        PROPERTY("PodUID", "s", get_string, 0),
        PROPERTY("Labels", "a{ss}", get_labels, 0),
        PROPERTY("NetnsPath", "s", get_string, 0),
        PROPERTY("State", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("Attachments", "ao", get_paths, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("NetworkStatus", "s", get_network_status, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        PROPERTY("MultiIPPreferences", "s", get_multi_ip, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
