/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The options of the Runtime methods: bytes become a dictionary a{sv} with known and unknown keys and values
 * of many types, which the reader must take or refuse with a sentence.
 */

#include <sys/socket.h>

#include "base/fd.h"
#include "bus/bus-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {
        "Type",   "ContainerId", "IfName",    "NetnsPath", "Args", "Path",
        "Config", "Netns",       "HostNetns", "Colour",    "",
};

/* One connected, never read bus to make messages for. */
static sd_bus *new_bus(void) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 ||
            sd_bus_negotiate_fds(bus, 1) < 0 || sd_bus_start(bus) < 0)
                abort();
        safe_close(fds[1]);
        return bus;
}

static int append_value(sd_bus_message *m, uint8_t type, const char *text) {
        switch (type % 6) {
        case 0:
        case 1:
                return sd_bus_message_append(m, "v", "s", text);
        case 2:
                return sd_bus_message_append(m, "v", "u", (uint32_t) type);
        case 3:
                return sd_bus_message_append(m, "v", "as", 1, text);
        case 4:
                return sd_bus_message_append(m, "v", "v", "s", text);
        default:
                return sd_bus_message_append(m, "v", "b", 1);
        }
}

/* key byte, type byte, length byte, that many bytes of text; and so on. */
static int append_entries(sd_bus_message *m, const uint8_t *data, size_t size) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t at = 0; r >= 0 && at + 3 <= size;) {
                size_t n = MIN_OF((size_t) data[at + 2], size - at - 3);
                char text[256] = "";

                for (size_t i = 0; i < n; i++) /* D-Bus carries UTF-8 without NUL only */
                        text[i] = (char) (data[at + 3 + i] & 0x7f ? data[at + 3 + i] & 0x7f : 'x');
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", keys[data[at] % ELEMENTSOF(keys)]);
                if (r >= 0)
                        r = append_value(m, data[at + 1], text);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                at += 3 + n;
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        Request q = { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        _cleanup_error_ Error e = ERROR_NULL;
        static sd_bus *bus;
        sd_bus_message *m = NULL;

        if (!bus)
                bus = new_bus();
        if (sd_bus_message_new_method_call(bus, &m, NULL, BUS_PATH, BUS_IFACE "Runtime", "Add") <
                            0 ||
            append_entries(m, data, size) < 0 || sd_bus_message_seal(m, 1, 0) < 0) {
                sd_bus_message_unref(m);
                return 0;
        }
        int r = runtime_request_read(m, &q, &e);
        /* Refused with a sentence, or complete. */
        if (r < 0 ? !error_is_set(&e) : !q.type || !q.config || strlen(q.config) != q.config_size)
                abort();
        request_clear(&q);
        sd_bus_message_unref(m);
        return 0;
}
