/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * org.netmgr1.Attachment on /org/netmgr1/sandbox/ID/IFNAME. The userdata of the vtable is the Bus: an
 * attachment may go while polkit is asked, so each call looks for it by the path, when it needs it.
 */

#include "base/failpoint.h"
#include "bus/change-request.h"
#include "bus/describe.h"
#include "bus/object-bus.h"
#include "core/op-change.h"

#define IFACE BUS_IFACE "Attachment"

char *attachment_bus_path(const Attachment *a) {
        _cleanup_free_ char *sandbox = sandbox_bus_path(a->sandbox);
        char *path;
        return !sandbox || sd_bus_path_encode(sandbox, a->spec.ifname, &path) < 0 ? NULL : path;
}

/* 0 and NULL: there is none. */
static int find_at(const Bus *b, const char *path, Attachment **ret) {
        _cleanup_free_ char *id = NULL, *ifname = NULL;

        *ret = NULL;
        int r = sd_bus_path_decode_many(path, BUS_PATH "/sandbox/%/%", &id, &ifname);
        if (r <= 0)
                return r;
        Attachment *a = attachment_find(b->manager, id, ifname);
        if (!a || !a->announced)
                return 0;
        *ret = a;
        return 1;
}

int attachment_bus_find(sd_bus *bus, const char *path, const char *interface, void *userdata,
                        void **ret_found, sd_bus_error *error) {
        Attachment *a;

        int r = find_at(userdata, path, &a);
        if (r > 0)
                *ret_found = userdata;
        return r;
}

/* The same for methods and properties, which want an error. */
static int require_at(const Bus *b, const char *path, Attachment **ret, sd_bus_error *error) {
        int r = find_at(b, path, ret);
        return r != 0 ? r
                      : sd_bus_error_setf(error, error_dbus_name(ERROR_NO_SUCH_ATTACHMENT),
                                          "there is no attachment at %s", path);
}

/* --- properties ------------------------------------------------------------------------------------ */

static int get(const Bus *b, const char *path, const char *property, const char *signature,
               sd_bus_message *reply, sd_bus_error *error) {
        Attachment *a;

        int r = require_at(b, path, &a, error);
        return r < 0 ? r : property_append(reply, attachment_describe(a), property, signature);
}

#define GETTER(name, signature)                                                                    \
        static int name(sd_bus *bus, const char *path, const char *interface,                      \
                        const char *property, sd_bus_message *reply, void *userdata,               \
                        sd_bus_error *error) {                                                     \
                return get(userdata, path, property, signature, reply, error);                     \
        }
GETTER(get_string, "s")
GETTER(get_number, "u")
GETTER(get_amount, "t")
GETTER(get_flag, "b")
GETTER(get_strings, "as")
GETTER(get_ports, "a(sqqs)")

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Attachment *a;

        int r = require_at(userdata, sd_bus_message_get_path(m), &a, error);
        return r < 0 ? r : describe_reply(m, attachment_describe(a));
}

/* --- changes --------------------------------------------------------------------------------------- */

/* Answers the kept message. Who watches hears of the change before the caller does. */
static void change_done(sd_bus_message *m, int r, const Error *e, char **properties) {
        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(m, r, e);
        else {
                /* The attachment may be gone again: then there is nothing to tell. */
                (void) sd_bus_emit_properties_changed_strv(sd_bus_message_get_bus(m),
                                                           sd_bus_message_get_path(m), IFACE,
                                                           properties);
                bus_reply(m, NULL);
        }
        sd_bus_message_unref(m);
}

static void ports_changed(int r, const Error *e, void *userdata) {
        static const char *const properties[] = { "Ports", NULL };
        change_done(userdata, r, e, (char **) properties);
}

static void bandwidth_changed(int r, const Error *e, void *userdata) {
        static const char *const properties[] = { "IngressRate", "IngressBurst", "EgressRate",
                                                  "EgressBurst", NULL };
        change_done(userdata, r, e, (char **) properties);
}

/* Does what the message wants to an attachment that nothing else works on. The message is answered
 * unless this returns a negative errno. */
typedef int (*Apply)(Attachment *a, sd_bus_message *m, Error *e);

static int apply_add_port(Attachment *a, sd_bus_message *m, Error *e) {
        NetPort port;

        int r = port_request_read(m, PORT_REQUEST_ADD, &port, e);
        if (r >= 0)
                attachment_add_port(a, &port, ports_changed, sd_bus_message_ref(m));
        return r;
}

static int apply_remove_port(Attachment *a, sd_bus_message *m, Error *e) {
        NetPort port;

        int r = port_request_read(m, PORT_REQUEST_REMOVE, &port, e);
        if (r >= 0)
                attachment_remove_port(a, &port, ports_changed, sd_bus_message_ref(m));
        return r;
}

/* The values that a missing key keeps are those of this moment. */
static int apply_bandwidth(Attachment *a, sd_bus_message *m, Error *e) {
        NetBandwidth b = a->spec.bandwidth;

        int r = bandwidth_request_read(m, &b, e);
        if (r >= 0)
                attachment_set_bandwidth(a, &b, bandwidth_changed, sd_bus_message_ref(m));
        return r;
}

/* A change that was granted, and waits until nothing else works on the attachment. */
typedef struct Change {
        AttachmentWaiter waiter; /* first member */
        List list;               /* of the Bus */
        Bus *bus;
        sd_bus_message *message; /* owned */
        Apply apply;
} Change;

static void change_free(Change *c) {
        list_unlink(&c->waiter.list);
        list_unlink(&c->list);
        sd_bus_message_unref(c->message);
        free(c);
}

void attachment_bus_stop(Bus *b) {
        Change *c;

        LIST_FOREACH (c, &b->changes, Change, list)
                change_free(c);
}

static int apply_now(Attachment *a, sd_bus_message *m, Apply apply, Error *e) {
        int r = sd_bus_message_rewind(m, true);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "reading the message again")
                     : apply(a, m, e);
}

static void change_woken(AttachmentWaiter *w) {
        _cleanup_bus_error_ sd_bus_error gone = SD_BUS_ERROR_NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Change *c = (Change *) w;
        Attachment *a;

        int r = require_at(c->bus, sd_bus_message_get_path(c->message), &a, &gone);
        if (r < 0)
                (void) sd_bus_reply_method_errno(c->message, r, &gone);
        else if (a->busy) {
                list_append(&a->waiters, &c->waiter.list);
                return;
        } else {
                r = apply_now(a, c->message, c->apply, &e);
                if (r < 0)
                        bus_reply_error(c->message, r, &e);
        }
        change_free(c);
}

static int change_wait(Bus *b, Attachment *a, sd_bus_message *m, Apply apply) {
        Change *c = new0(Change, 1);

        if (!c)
                return -ENOMEM;
        *c = (Change) { .waiter.idle = change_woken,
                        .bus = b,
                        .message = sd_bus_message_ref(m),
                        .apply = apply };
        list_append(&b->changes, &c->list);
        list_append(&a->waiters, &c->waiter.list);
        return 1;
}

/* The arguments were found good. Asks for leave, where needed, and begins. */
static int change(Bus *b, sd_bus_message *m, sd_bus_message_handler_t handler, Apply apply,
                  sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Attachment *a;

        int r = polkit_authorise(b, m, "org.netmgr1.manage-sandboxes", handler, b, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = require_at(b, sd_bus_message_get_path(m), &a, error);
        if (r < 0)
                return r;
        if (a->busy)
                return change_wait(b, a, m, apply);
        r = apply_now(a, m, apply, &e);
        return r < 0 ? bus_error_set(error, r, &e) : 1;
}

static int method_add_port(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetPort port;

        int r = port_request_read(m, PORT_REQUEST_ADD, &port, &e);
        return r < 0 ? bus_error_set(error, r, &e)
                     : change(userdata, m, method_add_port, apply_add_port, error);
}

static int method_remove_port(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetPort port;

        int r = port_request_read(m, PORT_REQUEST_REMOVE, &port, &e);
        return r < 0 ? bus_error_set(error, r, &e)
                     : change(userdata, m, method_remove_port, apply_remove_port, error);
}

static int method_set_bandwidth(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Attachment *a;

        int r = require_at(userdata, sd_bus_message_get_path(m), &a, error);
        if (r < 0)
                return r;
        NetBandwidth b = a->spec.bandwidth;
        r = bandwidth_request_read(m, &b, &e);
        return r < 0 ? bus_error_set(error, r, &e)
                     : change(userdata, m, method_set_bandwidth, apply_bandwidth, error);
}

#define PROPERTY(name, signature, getter, flags) SD_BUS_PROPERTY(name, signature, getter, 0, flags)
#define CONSTANT                                 SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES                                  SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE

const sd_bus_vtable attachment_vtable[] = {
        SD_BUS_VTABLE_START(0),
        PROPERTY("Sandbox", "s", get_string, CONSTANT),
        PROPERTY("Network", "s", get_string, CONSTANT),
        PROPERTY("Kind", "s", get_string, CONSTANT),
        PROPERTY("Interface", "s", get_string, CONSTANT),
        PROPERTY("HostInterface", "s", get_string, CONSTANT),
        PROPERTY("Mac", "s", get_string, CONSTANT),
        PROPERTY("Mtu", "u", get_number, CONSTANT),
        PROPERTY("Addresses", "as", get_strings, CONSTANT),
        PROPERTY("Gateways", "as", get_strings, CONSTANT),
        PROPERTY("State", "s", get_string, CHANGES),
        PROPERTY("Parent", "s", get_string, CONSTANT),
        PROPERTY("Position", "u", get_number, CONSTANT),
        PROPERTY("Reference", "s", get_string, CONSTANT),
        PROPERTY("ChoiceReason", "s", get_string, CONSTANT),
        PROPERTY("Drifted", "b", get_flag, CHANGES),
        PROPERTY("HotPlugged", "b", get_flag, CONSTANT),
        PROPERTY("Ports", "a(sqqs)", get_ports, CHANGES),
        PROPERTY("ShapingMode", "s", get_string, CHANGES),
        PROPERTY("IngressRate", "t", get_amount, CHANGES),
        PROPERTY("IngressBurst", "t", get_amount, CHANGES),
        PROPERTY("EgressRate", "t", get_amount, CHANGES),
        PROPERTY("EgressBurst", "t", get_amount, CHANGES),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddPort",
                                SD_BUS_ARGS("s", protocol, "q", host_port, "q", container_port,
                                            "a{sv}", options),
                                SD_BUS_NO_RESULT, method_add_port, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemovePort",
                                SD_BUS_ARGS("s", protocol, "q", host_port, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_remove_port, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("SetBandwidth", SD_BUS_ARGS("a{sv}", bandwidth), SD_BUS_NO_RESULT,
                                method_set_bandwidth, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_VTABLE_END,
};
