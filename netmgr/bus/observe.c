/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Signals: what changed in the Manager, told on the system bus. Failures to tell are not worth a word:
 * the bus is gone then, and so are the listeners. */

#include "bus/bus-internal.h"

static void sandbox_signal(Bus *b, const Sandbox *s, const char *signal, bool added) {
        _cleanup_free_ char *path = sandbox_bus_path(s);

        if (!path)
                return;
        if (added)
                (void) sd_bus_emit_interfaces_added(b->system, path, BUS_IFACE "Sandbox", NULL);
        else
                (void) sd_bus_emit_interfaces_removed(b->system, path, BUS_IFACE "Sandbox", NULL);
        (void) sd_bus_emit_signal(b->system, BUS_PATH, BUS_IFACE "Manager", signal, "so", s->id,
                                  path);
}

static void on_sandbox_added(Sandbox *s, void *userdata) {
        sandbox_signal(userdata, s, "SandboxAdded", true);
}

static void on_sandbox_removed(Sandbox *s, void *userdata) {
        sandbox_signal(userdata, s, "SandboxRemoved", false);
}

static void on_sandbox_changed(Sandbox *s, void *userdata) {
        _cleanup_free_ char *path = sandbox_bus_path(s);
        Bus *b = userdata;

        if (path)
                (void) sd_bus_emit_properties_changed(b->system, path, BUS_IFACE "Sandbox",
                                                      "Runtime", "State", NULL);
}

static void on_network_status_changed(Sandbox *s, void *userdata) {
        _cleanup_free_ char *path = sandbox_bus_path(s);
        Bus *b = userdata;

        if (path)
                (void) sd_bus_emit_properties_changed(b->system, path, BUS_IFACE "Sandbox",
                                                      "NetworkStatus", "MultiIPPreferences", NULL);
}

/* Used, Free and Attachments are counted when somebody asks: told as invalidated. */
static void network_use_changed(Bus *b, const Network *n) {
        _cleanup_free_ char *path = network_bus_path(n);

        if (path)
                (void) sd_bus_emit_properties_changed(b->system, path, BUS_IFACE "Network", "Used",
                                                      "Free", "Attachments", NULL);
}

static void on_attachment_added(Attachment *a, void *userdata) {
        _cleanup_free_ char *path = attachment_bus_path(a), *sandbox = sandbox_bus_path(a->sandbox);
        Bus *b = userdata;

        if (path)
                (void) sd_bus_emit_interfaces_added(b->system, path, BUS_IFACE "Attachment", NULL);
        if (sandbox)
                (void) sd_bus_emit_properties_changed(b->system, sandbox, BUS_IFACE "Sandbox",
                                                      "Attachments", NULL);
        network_use_changed(b, a->network);
}

static void on_attachment_removed(Attachment *a, void *userdata) {
        _cleanup_free_ char *path = attachment_bus_path(a);
        Bus *b = userdata;

        if (!path)
                return;
        (void) sd_bus_emit_signal(b->system, BUS_PATH, BUS_IFACE "Manager", "AttachmentChanged",
                                  "osss", path, a->sandbox->id, a->spec.ifname, "gone");
        (void) sd_bus_emit_interfaces_removed(b->system, path, BUS_IFACE "Attachment", NULL);
        network_use_changed(b, a->network);
}

static void on_attachment_changed(Attachment *a, void *userdata) {
        _cleanup_free_ char *path = attachment_bus_path(a);
        Bus *b = userdata;

        if (!path)
                return;
        (void) sd_bus_emit_properties_changed(b->system, path, BUS_IFACE "Attachment", "State",
                                              NULL);
        (void) sd_bus_emit_signal(b->system, BUS_PATH, BUS_IFACE "Manager", "AttachmentChanged",
                                  "osss", path, a->sandbox->id, a->spec.ifname,
                                  attachment_state_to_string(a->state));
}

static void on_network_added(Network *n, void *userdata) {
        _cleanup_free_ char *path = network_bus_path(n);
        Bus *b = userdata;

        if (path)
                (void) sd_bus_emit_interfaces_added(b->system, path, BUS_IFACE "Network", NULL);
}

static void on_network_removed(Network *n, void *userdata) {
        _cleanup_free_ char *path = network_bus_path(n);
        Bus *b = userdata;

        if (path)
                (void) sd_bus_emit_interfaces_removed(b->system, path, BUS_IFACE "Network", NULL);
}

/* What hangs on it has drifted, or is again as it would be made. */
static void on_network_changed(Network *n, void *userdata) {
        _cleanup_free_ char *path = network_bus_path(n);
        Bus *b = userdata;
        Attachment *a;

        if (path)
                (void) sd_bus_emit_properties_changed(b->system, path, BUS_IFACE "Network", "Kind",
                                                      "Plugins", "Alias", "Members", "Config",
                                                      "Subnets", "Free", NULL);
        MAP_FOREACH (a, n->manager->attachments) {
                _cleanup_free_ char *at =
                                a->network == n && a->announced ? attachment_bus_path(a) : NULL;
                if (at)
                        (void) sd_bus_emit_properties_changed(b->system, at, BUS_IFACE "Attachment",
                                                              "Drifted", NULL);
        }
}

static void on_health_changed(void *userdata) {
        Bus *b = userdata;
        (void) sd_bus_emit_properties_changed(b->system, BUS_PATH, BUS_IFACE "Manager", "Health",
                                              "HealthReasons", NULL);
}

static void on_counters_changed(void *userdata) {
        Bus *b = userdata;
        (void) sd_bus_emit_properties_changed(b->system, BUS_PATH, BUS_IFACE "Manager", "Repairs",
                                              "Reaps", NULL);
}

void bus_observe(Bus *b, ManagerObserver *ret) {
        *ret = (ManagerObserver) {
                .sandbox_added = on_sandbox_added,
                .sandbox_removed = on_sandbox_removed,
                .sandbox_changed = on_sandbox_changed,
                .network_status_changed = on_network_status_changed,
                .attachment_added = on_attachment_added,
                .attachment_removed = on_attachment_removed,
                .attachment_changed = on_attachment_changed,
                .network_added = on_network_added,
                .network_removed = on_network_removed,
                .network_changed = on_network_changed,
                .health_changed = on_health_changed,
                .counters_changed = on_counters_changed,
                .userdata = b,
        };
}
