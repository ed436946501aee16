/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Runtime.Synchronize: bytes become a dictionary a{sv} with known and unknown keys and values of many types,
 * which the reader must take whole or refuse with a sentence.
 */

#include <sys/socket.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "bus/bus-internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const keys[] = { "Runtime", "Began", "Sandboxes", "Colour" };

typedef struct Input {
        const uint8_t *data;
        size_t size;
} Input;

static uint8_t take(Input *in) {
        if (in->size == 0)
                return 0;
        in->size--;
        return *in->data++;
}

/* A length byte, and that many bytes; D-Bus carries UTF-8 without NUL only. */
static void take_text(Input *in, char buf[static 256]) {
        size_t n = MIN_OF((size_t) take(in), in->size);

        for (size_t i = 0; i < n; i++) {
                char c = (char) (take(in) & 0x7f);
                buf[i] = c ? c : 'x';
        }
        buf[n] = '\0';
}

/* One connected, never read bus to make messages for. */
static sd_bus *new_bus(void) {
        sd_bus *bus = NULL;
        int fds[2];

        if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
                abort();
        if (sd_bus_new(&bus) < 0 || sd_bus_set_fd(bus, fds[0], fds[0]) < 0 || sd_bus_start(bus) < 0)
                abort();
        safe_close(fds[1]);
        return bus;
}

static int append_list(sd_bus_message *m, Input *in) {
        char id[256], state[256];

        int r = sd_bus_message_open_container(m, 'v', "a(ss)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ss)");
        for (uint8_t n = take(in); n > 0 && r >= 0; n--) {
                uint8_t kind = take(in);

                take_text(in, id);
                take_text(in, state);
                r = sd_bus_message_append(m, "(ss)", id,
                                          kind % 3 == 0   ? "ready"
                                          : kind % 3 == 1 ? "notready"
                                                          : state);
        }
        for (int i = 0; i < 2 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_value(sd_bus_message *m, Input *in) {
        char text[256];

        switch (take(in) % 5) {
        case 0:
                take_text(in, text);
                return sd_bus_message_append(m, "v", "s", text);
        case 1:
                return sd_bus_message_append(m, "v", "t", (uint64_t) take(in) << 32 | take(in));
        case 2:
                return append_list(m, in);
        case 3:
                take_text(in, text);
                return sd_bus_message_append(m, "v", "a(s)", 1, text);
        default:
                return sd_bus_message_append(m, "v", "v", "u", (uint32_t) take(in));
        }
}

static int append_entries(sd_bus_message *m, Input *in) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        while (in->size > 0 && r >= 0) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append(m, "s", keys[take(in) % ELEMENTSOF(keys)]);
                if (r >= 0)
                        r = append_value(m, in);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void check(const SyncRequest *q) {
        if (isempty(q->runtime) || strlen(q->runtime) > RUNTIME_NAME_MAX)
                abort();
        for (size_t i = 0; i < q->n_items; i++)
                if (!cni_id_is_valid(q->items[i].id, CONTAINER_ID_MAX))
                        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_error_ Error e = ERROR_NULL;
        Input in = { .data = data, .size = size };
        SyncRequest q = { 0 };
        static sd_bus *bus;
        sd_bus_message *m = NULL;

        if (!bus)
                bus = new_bus();
        if (sd_bus_message_new_method_call(bus, &m, NULL, BUS_PATH, BUS_IFACE "Runtime",
                                           "Synchronize") < 0 ||
            append_entries(m, &in) < 0 || sd_bus_message_seal(m, 1, 0) < 0) {
                sd_bus_message_unref(m);
                return 0;
        }
        int r = synchronize_request_read(m, &q, &e);
        if (r >= 0)
                check(&q);
        else if (!error_is_set(&e))
                abort();
        sync_request_clear(&q);
        sd_bus_message_unref(m);
        return 0;
}
