/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.netmgr1.Manager: lists, networks, reload, health. */

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/version.h"
#include "bus/bus-internal.h"
#include "bus/describe.h"
#include "core/audit.h"
#include "core/network-internal.h"

/* --- properties ------------------------------------------------------------------------------------ */

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", netmgr_version);
}

static int get_features(sd_bus *bus, const char *path, const char *interface, const char *property,
                        sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append_strv(reply, manager_features(((Bus *) userdata)->manager));
}

static int get_features_missing(sd_bus *bus, const char *path, const char *interface,
                                const char *property, sd_bus_message *reply, void *userdata,
                                sd_bus_error *error) {
        return sd_bus_message_append_strv(reply, ((Bus *) userdata)->manager->features_missing);
}

static int get_health(sd_bus *bus, const char *path, const char *interface, const char *property,
                      sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        const Bus *b = userdata;
        return sd_bus_message_append(reply, "s",
                                     manager_is_degraded(b->manager) ? "degraded" : "ok");
}

static int get_health_reasons(sd_bus *bus, const char *path, const char *interface,
                              const char *property, sd_bus_message *reply, void *userdata,
                              sd_bus_error *error) {
        const Bus *b = userdata;
        int r = sd_bus_message_open_container(reply, 'a', "s");

        for (int i = 0; r >= 0 && i < _HEALTH_MAX; i++)
                if (b->manager->health_text[i])
                        r = sd_bus_message_append(reply, "s", b->manager->health_text[i]);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

static int get_repairs(sd_bus *bus, const char *path, const char *interface, const char *property,
                       sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "t", audit_repairs(((Bus *) userdata)->manager));
}

static int get_reaps(sd_bus *bus, const char *path, const char *interface, const char *property,
                     sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        return sd_bus_message_append(reply, "t", audit_reaps(((Bus *) userdata)->manager));
}

/* --- lists ------------------------------------------------------------------------------------------ */

static int list_reply(sd_bus_message *m, const char *contents,
                      int (*append)(sd_bus_message *reply, const Manager *manager),
                      const Manager *manager) {
        sd_bus_message *reply = NULL;

        int r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', contents);
        if (r >= 0)
                r = append(reply, manager);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        if (r >= 0)
                r = sd_bus_send(NULL, reply, NULL);
        sd_bus_message_unref(reply);
        return r < 0 ? r : 1;
}

static int append_sandboxes(sd_bus_message *reply, const Manager *manager) {
        const Sandbox *s;
        int r = 0;

        MAP_FOREACH (s, manager->sandboxes) {
                _cleanup_free_ char *path = s->announced ? sandbox_bus_path(s) : NULL;
                if (path && r >= 0)
                        r = sd_bus_message_append(reply, "(ssso)", s->id,
                                                  strempty(s->pod_namespace), strempty(s->pod_name),
                                                  path);
        }
        return r;
}

static int append_attachments(sd_bus_message *reply, const Manager *manager) {
        const Attachment *a;
        int r = 0;

        MAP_FOREACH (a, manager->attachments) {
                _cleanup_free_ char *path = a->announced ? attachment_bus_path(a) : NULL;
                if (path && r >= 0)
                        r = sd_bus_message_append(reply, "(sssso)", a->sandbox->id, a->spec.ifname,
                                                  a->network->name,
                                                  attachment_state_to_string(a->state), path);
        }
        return r;
}

static int append_networks(sd_bus_message *reply, const Manager *manager) {
        const Network *n;
        int r = 0;

        MAP_FOREACH (n, manager->networks) {
                _cleanup_free_ char *path = network_bus_path(n);
                if (path && r >= 0)
                        r = sd_bus_message_append(reply, "(sso)", n->name,
                                                  net_kind_to_string(n->conf->kind), path);
        }
        return r;
}

static int method_list_sandboxes(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list_reply(m, "(ssso)", append_sandboxes, ((Bus *) userdata)->manager);
}
static int method_list_attachments(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list_reply(m, "(sssso)", append_attachments, ((Bus *) userdata)->manager);
}
static int method_list_networks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list_reply(m, "(sso)", append_networks, ((Bus *) userdata)->manager);
}

/* --- lookups ---------------------------------------------------------------------------------------- */

static int method_get_sandbox(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        const Bus *b = userdata;
        const char *id;

        int r = sd_bus_message_read(m, "s", &id);
        if (r < 0)
                return r;
        const Sandbox *s = sandbox_find(b->manager, id);
        if (!s || !s->announced)
                return bus_error_setf(error, ERROR_NO_SUCH_SANDBOX,
                                      "there is no sandbox \"%.128s\"", id);
        path = sandbox_bus_path(s);
        return path ? sd_bus_reply_method_return(m, "o", path) : -ENOMEM;
}

static int method_get_network(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *path = NULL;
        const Bus *b = userdata;
        const char *name;

        int r = sd_bus_message_read(m, "s", &name);
        if (r < 0)
                return r;
        const Network *n = network_find(b->manager, name);
        if (!n)
                return bus_error_setf(error, ERROR_NO_SUCH_NETWORK,
                                      "there is no network \"%.128s\"", name);
        path = network_bus_path(n);
        return path ? sd_bus_reply_method_return(m, "o", path) : -ENOMEM;
}

static int reply_json(sd_bus_message *m, json_object *o) {
        _cleanup_free_ char *text = o ? json_to_text(o) : NULL;
        return text ? sd_bus_reply_method_return(m, "s", text) : -ENOMEM;
}

static int method_describe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ json_object *o = manager_describe(((Bus *) userdata)->manager);
        return reply_json(m, o);
}

static int method_describe_all(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_json_ json_object *o = NULL;
        const char *what;

        int r = sd_bus_message_read(m, "s", &what);
        if (r < 0)
                return r;
        r = manager_describe_all(((Bus *) userdata)->manager, what, &o);
        if (r == -EINVAL)
                return bus_error_setf(
                                error, ERROR_INVALID_ARGUMENT,
                                "what: wanted sandboxes, attachments, networks, addresses or ports, found \"%.64s\"",
                                what);
        return r < 0 ? r : reply_json(m, o);
}

/* --- changes ---------------------------------------------------------------------------------------- */

/* No option is known yet: a key is refused by name. */
static int read_no_options(sd_bus_message *m, sd_bus_error *error) {
        const char *key;

        int r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        if (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                r = sd_bus_message_read(m, "s", &key);
                return r < 0 ? r
                             : bus_error_setf(error, ERROR_UNKNOWN_OPTION, "%.64s: unknown option",
                                              key);
        }
        return sd_bus_message_exit_container(m);
}

/* An empty name: the manifest's own. */
static int parse_network(const char *name, const char *config, NetDescription *ret, Error *e) {
        int r = net_description_parse(config, strlen(config), isempty(name) ? NULL : name, ret, e);

        if (r >= 0 && isempty(name) && !strchr(ret->name, '/')) {
                net_description_clear(ret);
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "name: wanted the network's name, found nothing; only a "
                               "NetworkAttachmentDefinition may be added without");
        }
        return r;
}

typedef struct AddNetworkCall {
        Manager *manager;
        sd_bus_message *message;
        char *name; /* owned */
} AddNetworkCall;

static AddNetworkCall *add_network_call_free(AddNetworkCall *call) {
        if (call) {
                sd_bus_message_unref(call->message);
                free(call->name);
        }
        free(call);
        return NULL;
}

static AddNetworkCall *add_network_call_new(Manager *m, sd_bus_message *message, const char *name) {
        AddNetworkCall *call = new0(AddNetworkCall, 1);

        if (!call)
                return NULL;
        *call = (AddNetworkCall) { m, sd_bus_message_ref(message), strdup(name) };
        return call->name ? call : add_network_call_free(call);
}

static void network_stored(int r, const Error *e, void *userdata) {
        AddNetworkCall *call = userdata;
        _cleanup_free_ char *path = NULL;
        Network *n;

        failpoint_past("bus-reply");
        if (r < 0) {
                n = network_find(call->manager, call->name);
                if (n)
                        network_discard(n);
                bus_reply_error(call->message, r, e);
        } else if (sd_bus_path_encode(BUS_PATH "/network", call->name, &path) >= 0)
                bus_reply(call->message, "o", path);
        else
                bus_reply_error(call->message, -ENOMEM, NULL);
        add_network_call_free(call);
}

static int method_add_network(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        const char *name, *config;
        Bus *b = userdata;
        Network *n;

        int r = sd_bus_message_read(m, "ss", &name, &config);
        if (r >= 0)
                r = read_no_options(m, error);
        if (r < 0)
                return r;
        r = parse_network(name, config, &d, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        n = network_find(b->manager, d.name);
        if (n && !n->gone)
                return sd_bus_error_setf(error, error_dbus_name(ERROR_EXISTS),
                                         "network %s exists already, from %s; remove it first",
                                         d.name, network_source_to_string(n->source));
        r = polkit_authorise(b, m, "org.netmgr1.manage-networks", method_add_network, userdata,
                             error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = network_set_described(b->manager, NETWORK_DBUS, config, &d, &n, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        AddNetworkCall *call = add_network_call_new(b->manager, m, n->name);
        if (!call || network_store(n, network_stored, call) < 0) {
                add_network_call_free(call);
                network_discard(n);
                return -ENOMEM;
        }
        return 1;
}

static void network_dropped(int r, const Error *e, void *userdata) {
        sd_bus_message *m = userdata;

        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(m, r, e);
        else
                bus_reply(m, NULL);
        sd_bus_message_unref(m);
}

static int method_remove_network(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *name;
        Bus *b = userdata;

        int r = sd_bus_message_read(m, "s", &name);
        if (r >= 0)
                r = read_no_options(m, error);
        if (r < 0)
                return r;
        r = polkit_authorise(b, m, "org.netmgr1.manage-networks", method_remove_network, userdata,
                             error);
        if (r <= 0)
                return r < 0 ? r : 1;
        const Network *n = network_find(b->manager, name);
        if (n && !n->gone && n->source == NETWORK_FILE)
                return sd_bus_error_setf(error, error_dbus_name(ERROR_IN_USE),
                                         "network %s is defined by networks.d/%s; remove that file",
                                         name, strempty(n->file));
        r = network_remove(b->manager, name, network_dropped, sd_bus_message_ref(m), &e);
        if (r < 0) {
                sd_bus_message_unref(m);
                return bus_error_set(error, r, &e);
        }
        return 1;
}

static int method_reload(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Bus *b = userdata;

        int r = polkit_authorise(b, m, "org.netmgr1.reload", method_reload, userdata, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = manager_reload(b->manager, &e);
        if (r < 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, NULL);
}

const sd_bus_vtable manager_vtable[] = {
        SD_BUS_VTABLE_START(0),
        SD_BUS_PROPERTY("Version", "s", get_version, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Features", "as", get_features, 0, SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("FeaturesMissing", "as", get_features_missing, 0,
                        SD_BUS_VTABLE_PROPERTY_CONST),
        SD_BUS_PROPERTY("Health", "s", get_health, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("HealthReasons", "as", get_health_reasons, 0,
                        SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Repairs", "t", get_repairs, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_PROPERTY("Reaps", "t", get_reaps, 0, SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
        SD_BUS_METHOD_WITH_ARGS("ListSandboxes", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(ssso)", sandboxes), method_list_sandboxes,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListAttachments", SD_BUS_NO_ARGS,
                                SD_BUS_RESULT("a(sssso)", attachments), method_list_attachments,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ListNetworks", SD_BUS_NO_ARGS, SD_BUS_RESULT("a(sso)", networks),
                                method_list_networks, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetSandbox", SD_BUS_ARGS("s", id), SD_BUS_RESULT("o", path),
                                method_get_sandbox, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("GetNetwork", SD_BUS_ARGS("s", name), SD_BUS_RESULT("o", path),
                                method_get_network, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("AddNetwork", SD_BUS_ARGS("s", name, "s", config, "a{sv}", options),
                                SD_BUS_RESULT("o", path), method_add_network,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("RemoveNetwork", SD_BUS_ARGS("s", name, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_remove_network,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Import", SD_BUS_ARGS("s", source, "s", json, "a{sv}", options),
                                SD_BUS_RESULT("s", report), method_import,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Attach", SD_BUS_ARGS("s", sandbox, "s", network, "a{sv}", options),
                                SD_BUS_RESULT("o", path, "s", result), method_attach,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Detach",
                                SD_BUS_ARGS("s", sandbox, "s", interface, "a{sv}", options),
                                SD_BUS_NO_RESULT, method_detach, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("ReleaseAddresses", SD_BUS_ARGS("s", owner),
                                SD_BUS_RESULT("u", count), method_release_addresses,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("CollectGarbage", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("s", json), method_collect_garbage,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reconcile", SD_BUS_ARGS("a{sv}", options),
                                SD_BUS_RESULT("s", json), method_reconcile,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, method_reload,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("Describe", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", json),
                                method_describe, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("DescribeAll", SD_BUS_ARGS("s", what), SD_BUS_RESULT("s", json),
                                method_describe_all, SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_METHOD_WITH_ARGS("History", SD_BUS_ARGS("s", filter, "a{sv}", options),
                                SD_BUS_RESULT("s", json), method_history,
                                SD_BUS_VTABLE_UNPRIVILEGED),
        SD_BUS_SIGNAL_WITH_ARGS("SandboxAdded", SD_BUS_ARGS("s", id, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("SandboxRemoved", SD_BUS_ARGS("s", id, "o", path), 0),
        SD_BUS_SIGNAL_WITH_ARGS("AttachmentChanged",
                                SD_BUS_ARGS("o", path, "s", sandbox, "s", interface, "s", state),
                                0),
        SD_BUS_VTABLE_END,
};
