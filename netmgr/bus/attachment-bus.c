/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.netmgr1.Attachment on /org/netmgr1/sandbox/ID/IFNAME. */

#include "bus/describe.h"
#include "bus/object-bus.h"

char *attachment_bus_path(const Attachment *a) {
        _cleanup_free_ char *sandbox = sandbox_bus_path(a->sandbox);
        char *path;
        return !sandbox || sd_bus_path_encode(sandbox, a->spec.ifname, &path) < 0 ? NULL : path;
}

int attachment_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error) {
        _cleanup_free_ char *id = NULL, *ifname = NULL;
        const Bus *b = userdata;

        int r = sd_bus_path_decode_many(path, BUS_PATH "/sandbox/%/%", &id, &ifname);
        if (r <= 0)
                return r;
        Attachment *a = attachment_find(b->manager, id, ifname);
        if (!a || !a->announced)
                return 0;
        *ret_found = a;
        return 1;
}

static int get_string(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, attachment_describe(userdata), property, "s");
}

static int get_number(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, attachment_describe(userdata), property, "u");
}

static int get_strings(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return property_append(reply, attachment_describe(userdata), property, "as");
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return describe_reply(m, attachment_describe(userdata));
}

#define PROPERTY(name, signature, getter, flags) SD_BUS_PROPERTY(name, signature, getter, 0, flags)

const sd_bus_vtable attachment_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("Sandbox", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Network", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Kind", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Interface", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("HostInterface", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Mac", "s", get_string, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Mtu", "u", get_number, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Addresses", "as", get_strings, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("Gateways", "as", get_strings, SD_BUS_VTABLE_PROPERTY_CONST),
        PROPERTY("State", "s", get_string, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
