/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From a description to D-Bus values. */

#include "bus/object-bus.h"

static int append_array(sd_bus_message *reply, json_object *v, const char *element) {
        int r = sd_bus_message_open_container(reply, 'a', element);

        for (size_t i = 0; r >= 0 && i < json_object_array_length(v); i++)
                r = sd_bus_message_append(reply, element,
                                          json_object_get_string(json_object_array_get_idx(v, i)));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_dictionary(sd_bus_message *reply, json_object *v) {
        int r = sd_bus_message_open_container(reply, 'a', "{ss}");

        json_object_object_foreach(v, key, value) {
                if (r >= 0)
                        r = sd_bus_message_append(reply, "{ss}", key,
                                                  json_object_get_string(value));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

/* a(sqqs): the ports of an attachment. */
static int append_ports(sd_bus_message *reply, json_object *v) {
        int r = sd_bus_message_open_container(reply, 'a', "(sqqs)");

        for (size_t i = 0; r >= 0 && i < json_object_array_length(v); i++) {
                json_object *port = json_object_array_get_idx(v, i);

                r = sd_bus_message_append(
                                reply, "(sqqs)", json_object_get_string(json_get(port, "HostIP")),
                                (uint16_t) json_object_get_uint64(json_get(port, "HostPort")),
                                (uint16_t) json_object_get_uint64(json_get(port, "ContainerPort")),
                                json_object_get_string(json_get(port, "Protocol")));
        }
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int append_value(sd_bus_message *reply, json_object *v, const char *signature) {
        if (streq(signature, "s"))
                return sd_bus_message_append(reply, "s", json_object_get_string(v));
        if (streq(signature, "u"))
                return sd_bus_message_append(reply, "u", (uint32_t) json_object_get_uint64(v));
        if (streq(signature, "t"))
                return sd_bus_message_append(reply, "t", json_object_get_uint64(v));
        if (streq(signature, "b"))
                return sd_bus_message_append(reply, "b", (int) json_object_get_boolean(v));
        if (streq(signature, "as") || streq(signature, "ao"))
                return append_array(reply, v, signature + 1);
        if (streq(signature, "a{ss}"))
                return append_dictionary(reply, v);
        if (streq(signature, "a(sqqs)"))
                return append_ports(reply, v);
        return -EINVAL;
}

int property_append(sd_bus_message *reply, json_object *o, const char *property,
                    const char *signature) {
        _cleanup_json_ _unused_ json_object *owned = o;
        json_object *v = o ? json_get(o, property) : NULL;

        return v ? append_value(reply, v, signature) : -ENOMEM;
}

int describe_reply(sd_bus_message *m, json_object *o) {
        _cleanup_json_ _unused_ json_object *owned = o;
        _cleanup_free_ char *text = o ? json_to_text(o) : NULL;

        return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}
