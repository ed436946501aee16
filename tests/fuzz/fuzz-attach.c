/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The arguments of Manager.Attach: bytes become a network and a dictionary a{sv} with known and unknown keys and
 * values of many types, which the reader must take or refuse with a sentence.
 */

#include <sys/socket.h>

#include "base/fd.h"
#include "bus/attach-request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = {
        "Interface", "Ips",       "Mac",   "Bandwidth", "Ports", "DefaultRoute",
        "CniArgs",   "IpamClaim", "Netns", "Colour",    "",
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

static int append_value(sd_bus_message *m, uint8_t type, uint8_t number, const char *text) {
        switch (type % 8) {
        case 0:
        case 1:
                return sd_bus_message_append(m, "v", "s", text);
        case 2:
                return sd_bus_message_append(m, "v", "as", number % 4, text, "10.0.0.1", text);
        case 3:
                return sd_bus_message_append(m, "v", "a{sv}", 2, "IngressRate", "t",
                                             (uint64_t) number, text, "t", (uint64_t) number << 40);
        case 4:
                return sd_bus_message_append(m, "v", "a(sqqa{sv})", 2, "tcp", number, number, 0,
                                             text, number, number, 1, "HostIP", "s", text);
        case 5:
                return sd_bus_message_append(m, "v", "h", 0);
        case 6:
                return sd_bus_message_append(m, "v", "t", (uint64_t) number);
        default:
                return sd_bus_message_append(m, "v", "v", "s", text);
        }
}

/* D-Bus carries UTF-8 without NUL only. */
static size_t take_text(const uint8_t *data, size_t size, char ret[static 256]) {
        size_t n = size > 0 ? MIN_OF((size_t) data[0], size - 1) : 0;

        for (size_t i = 0; i < n; i++)
                ret[i] = (char) (data[i + 1] & 0x7f ? data[i + 1] & 0x7f : 'x');
        ret[n] = '\0';
        return size > 0 ? n + 1 : 0;
}

/* The network; then key byte, type byte, number byte, text; and so on. */
static int append_all(sd_bus_message *m, const uint8_t *data, size_t size) {
        char text[256];
        size_t at = take_text(data, size, text);

        int r = sd_bus_message_append(m, "ss", "box", text);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        while (r >= 0 && at + 4 <= size) {
                const uint8_t *head = data + at;

                at += 3 + take_text(head + 3, size - at - 3, text);
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", keys[head[0] % ELEMENTSOF(keys)]);
                if (r >= 0)
                        r = append_value(m, head[1], head[2], text);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_error_ Error e = ERROR_NULL;
        sd_bus_message *m = NULL;
        const char *sandbox = NULL;
        NetSelection s = { 0 };
        static sd_bus *bus;
        int fd = -EBADF;

        if (!bus)
                bus = new_bus();
        if (sd_bus_message_new_method_call(bus, &m, NULL, "/a", "a.b", "Attach") < 0 ||
            append_all(m, data, size) < 0 || sd_bus_message_seal(m, 1, 0) < 0) {
                sd_bus_message_unref(m);
                return 0;
        }
        int r = attach_request_read(m, &sandbox, &s, &fd, &e);
        /* Refused with a sentence and nothing left behind, or complete. */
        if (r < 0 ? !error_is_set(&e) || sandbox || s.name || fd >= 0
                  : !sandbox || isempty(s.name) || (s.n_ips > 0 && s.ipam_claim))
                abort();
        net_selection_clear(&s);
        safe_close(fd);
        sd_bus_message_unref(m);
        return 0;
}
