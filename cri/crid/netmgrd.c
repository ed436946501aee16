/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The connection to netmgrd; see netmgrd.h. Nothing survives: the next list says all of it again. */

#include "cri/crid/netmgrd.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"

#define BUS_NAME  "org.netmgr1"
#define BUS_PATH  "/org/netmgr1"
#define BUS_IFACE "org.netmgr1.Runtime"

/* Releases wait for the kernel and for the ledger. */
#define SYNCHRONIZE_TIMEOUT_USEC (60ULL * 1000 * 1000)

struct Netmgrd {
        NetmgrdParams params;
        sd_bus *bus;             /* NULL: not connected */
        const char *destination; /* NULL: peer to peer */
        sd_bus_slot *call;       /* Synchronize under way */
        NetmgrdDone done;
};

Netmgrd *netmgrd_new(const NetmgrdParams *params) {
        Netmgrd *n = new0(Netmgrd, 1);

        if (n)
                n->params = *params;
        return n;
}

void netmgrd_disconnect(Netmgrd *n) {
        n->call = sd_bus_slot_unref(n->call);
        if (!n->bus)
                return;
        sd_bus_detach_event(n->bus);
        sd_bus_close(n->bus);
        n->bus = sd_bus_unref(n->bus);
}

Netmgrd *netmgrd_free(Netmgrd *n) {
        if (!n)
                return NULL;
        netmgrd_disconnect(n);
        free(n);
        return NULL;
}

/* --- connection -------------------------------------------------------------------------------- */

static int on_wanted(sd_bus_message *m _unused_, void *userdata, sd_bus_error *error _unused_) {
        Netmgrd *n = userdata;

        n->params.wanted(n->params.userdata);
        return 0;
}

static int on_disconnected(sd_bus_message *m _unused_, void *userdata,
                           sd_bus_error *error _unused_) {
        Netmgrd *n = userdata;

        netmgrd_disconnect(n);
        n->params.lost(n->params.userdata);
        return 0;
}

/* On the system bus the connection outlives netmgrd. */
static int on_owner_changed(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        const char *name, *before, *now;
        Netmgrd *n = userdata;

        if (sd_bus_message_read(m, "sss", &name, &before, &now) >= 0 && now[0])
                n->params.wanted(n->params.userdata);
        return 0;
}

static int open_private(const Netmgrd *n, sd_bus **ret) {
        _cleanup_(sd_bus_close_unrefp) sd_bus *bus = NULL;
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        _cleanup_free_ char *path = strf("%s/runtime.sock", n->params.runtime_dir);
        _cleanup_close_ int fd = -EBADF;

        if (!path)
                return -ENOMEM;
        if (strlen(path) >= sizeof(sun.sun_path))
                return -ENAMETOOLONG;
        memcpy(sun.sun_path, path, strlen(path) + 1);
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *) &sun, sizeof(sun)) < 0)
                return -errno;
        int r = sd_bus_new(&bus);
        if (r >= 0)
                r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(bus);
        return 0;
}

static int watch(Netmgrd *n) {
        int r = sd_bus_match_signal_async(n->bus, NULL, n->destination, BUS_PATH, BUS_IFACE,
                                          "SynchronizeWanted", on_wanted, NULL, n);
        if (r >= 0)
                r = sd_bus_match_signal_async(n->bus, NULL, "org.freedesktop.DBus.Local",
                                              "/org/freedesktop/DBus/Local",
                                              "org.freedesktop.DBus.Local", "Disconnected",
                                              on_disconnected, NULL, n);
        if (r >= 0 && n->destination)
                r = sd_bus_add_match_async(n->bus, NULL,
                                           "type='signal',sender='org.freedesktop.DBus',"
                                           "interface='org.freedesktop.DBus',"
                                           "member='NameOwnerChanged',arg0='" BUS_NAME "'",
                                           on_owner_changed, NULL, n);
        return r < 0 ? r : sd_bus_attach_event(n->bus, n->params.event, 0);
}

static int netmgrd_connect(Netmgrd *n, Error *e) {
        n->destination = NULL;
        int r = open_private(n, &n->bus);
        if (n->params.system_bus &&
            (r == -EACCES || r == -EPERM || r == -ENOENT || r == -ECONNREFUSED)) {
                n->destination = BUS_NAME;
                r = sd_bus_open_system(&n->bus);
        }
        if (r < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, r, "connecting to netmgrd (%s%s)",
                                        n->params.runtime_dir,
                                        n->destination ? " and the system bus" : "");
        r = watch(n);
        if (r < 0) {
                netmgrd_disconnect(n);
                return error_set_errnof(e, ERROR_TRY_AGAIN, r, "connecting to netmgrd");
        }
        return 0;
}

/* --- Synchronize ------------------------------------------------------------------------------- */

static size_t length_of(json_object *o, const char *key) {
        json_object *list = json_get(o, key);

        return json_object_is_type(list, json_type_array) ? json_object_array_length(list) : 0;
}

static int read_answer(sd_bus_message *m, size_t *ret_released, size_t *ret_failed, Error *e) {
        _cleanup_json_ json_object *o = NULL;
        const char *text;

        if (sd_bus_message_is_method_error(m, NULL)) {
                const sd_bus_error *error = sd_bus_message_get_error(m);
                return error_setf(e, error_kind_from_dbus_name(error->name), "netmgrd: %s",
                                  error->message ? error->message : error->name);
        }
        int r = sd_bus_message_read(m, "s", &text);
        if (r < 0)
                return error_set_errnof(e, ERROR_DECODE, r, "netmgrd's answer");
        /* The lists of a long answer are numbers to us; the answer counts all the same. */
        if (strlen(text) > CONFIG_SIZE_MAX)
                return 0;
        r = json_parse(text, strlen(text), "netmgrd's answer", &o, e);
        if (r < 0)
                return r;
        *ret_released = length_of(o, "released");
        *ret_failed = length_of(o, "failed");
        return 0;
}

static int on_answer(sd_bus_message *m, void *userdata, sd_bus_error *error _unused_) {
        _cleanup_error_ Error e = ERROR_NULL;
        size_t released = 0, failed = 0;
        Netmgrd *n = userdata;

        n->call = sd_bus_slot_unref(n->call);
        int r = read_answer(m, &released, &failed, &e);
        n->done(r, &e, released, failed, n->params.userdata);
        return 0;
}

static int append_sandboxes(sd_bus_message *m, const CriSandboxes *list) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Sandboxes");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "a(ss)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ss)");
        for (size_t i = 0; i < list->n && r >= 0; i++)
                r = sd_bus_message_append(m, "(ss)", list->items[i].id,
                                          list->items[i].ready ? "ready" : "notready");
        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_request(sd_bus_message *m, const char *runtime, uint64_t began_usec,
                          const CriSandboxes *list) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Runtime", "s", runtime);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Began", "t", began_usec);
        if (r >= 0)
                r = append_sandboxes(m, list);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int netmgrd_synchronize(Netmgrd *n, const char *runtime, uint64_t began_usec,
                        const CriSandboxes *list, NetmgrdDone done, Error *e) {
        sd_bus_message *m = NULL;

        int r = n->bus ? 0 : netmgrd_connect(n, e);
        if (r < 0)
                return r;
        n->done = done;
        r = sd_bus_message_new_method_call(n->bus, &m, n->destination, BUS_PATH, BUS_IFACE,
                                           "Synchronize");
        if (r >= 0)
                r = append_request(m, runtime, began_usec, list);
        if (r >= 0)
                r = sd_bus_call_async(n->bus, &n->call, m, on_answer, n, SYNCHRONIZE_TIMEOUT_USEC);
        sd_bus_message_unref(m);
        if (r < 0) {
                netmgrd_disconnect(n);
                return error_set_errnof(e, ERROR_TRY_AGAIN, r, "calling netmgrd");
        }
        return 0;
}
