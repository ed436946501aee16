/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Objects as JSON; the same for Describe, DescribeAll and netmgrctl. */

#include "bus/describe.h"

#include "base/limits.h"
#include "base/parse.h"
#include "base/version.h"
#include "bus/bus-internal.h"
#include "core/audit.h"
#include "core/dhcp.h"
#include "core/network-status.h"
#include "core/ports.h"
#include "store/store.h"

/* What does not depend on the kernel; in force until the Manager has looked. */
static const char *const static_features[] = {
        "kind-routed", "kind-bridge", "kind-loopback", "ipam-local", "ipv4", "ipv6", NULL,
};

char **manager_features(const Manager *m) {
        return m->features ? m->features : (char **) static_features;
}

/* The value, or NULL with nothing left behind when a step before failed. */
static json_object *finish(json_object *o, int r) {
        if (r >= 0)
                return o;
        json_object_put(o);
        return NULL;
}

static json_object *new_number(uint64_t v) {
        return json_object_new_uint64(v);
}

static json_object *labels_of(const Sandbox *s) {
        json_object *o = NULL;

        if (s->labels && json_parse(s->labels, strlen(s->labels), "labels", &o, NULL) >= 0)
                return o;
        return json_object_new_object();
}

json_object *sandbox_describe_briefly(const Sandbox *s) {
        json_object *o = json_object_new_object(), *list = json_object_new_array();
        Attachment *a;

        if (!o || !list) {
                json_object_put(list);
                return finish(o, -ENOMEM);
        }
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                _cleanup_free_ char *path = a->announced ? attachment_bus_path(a) : NULL;
                if (path)
                        (void) json_append(list, json_object_new_string(path));
        }
        int r = json_add_string(o, "Id", s->id);
        if (r >= 0)
                r = json_add_string(o, "Runtime", s->runtime);
        if (r >= 0)
                r = json_add_string(o, "PodName", strempty(s->pod_name));
        if (r >= 0)
                r = json_add_string(o, "PodNamespace", strempty(s->pod_namespace));
        if (r >= 0)
                r = json_add_string(o, "PodUID", strempty(s->pod_uid));
        if (r >= 0)
                r = json_add(o, "Labels", labels_of(s));
        if (r >= 0)
                r = json_add_string(o, "NetnsPath", s->netns_path);
        if (r >= 0)
                r = json_add_string(o, "State", sandbox_state_to_string(s));
        if (r >= 0)
                r = json_add(o, "Attachments", list);
        else
                json_object_put(list);
        return finish(o, r);
}

json_object *sandbox_describe(const Sandbox *s) {
        _cleanup_free_ char *status = NULL, *multi_ip = NULL;
        json_object *o = sandbox_describe_briefly(s);

        int r = o ? sandbox_status_texts(s, &status, &multi_ip) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(o, "NetworkStatus", status);
        if (r >= 0)
                r = json_add_string(o, "MultiIPPreferences", multi_ip);
        return finish(o, r);
}

static json_object *addresses_of(const Attachment *a, bool gateways) {
        json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < a->spec.n_addresses; i++) {
                const SpecAddress *sa = &a->spec.addresses[i];
                if (gateways && !in_addr_is_set(&sa->gateway))
                        continue;
                if (json_append(list,
                                json_object_new_string(gateways ? IN_ADDR_STR(&sa->gateway)
                                                                : IN_PREFIX_STR(&sa->address))) < 0)
                        return finish(list, -ENOMEM);
        }
        return list;
}

static json_object *port_of(const SpecPort *port) {
        json_object *o = json_object_new_object();
        int r = o ? 0 : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "HostIP", IN_ADDR_STR(&port->host));
        if (r >= 0)
                r = json_add(o, "HostPort", new_number(port->host_port));
        if (r >= 0)
                r = json_add(o, "ContainerPort", new_number(port->container_port));
        if (r >= 0)
                r = json_add_string(o, "Protocol", protocol_name(port->protocol));
        return finish(o, r);
}

static json_object *ports_of(const Attachment *a) {
        json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < a->spec.n_ports; i++)
                if (json_append(list, port_of(&a->spec.ports[i])) < 0)
                        return finish(list, -ENOMEM);
        return list;
}

static int add_shaping(json_object *o, const Attachment *a) {
        const NetBandwidth *b = &a->spec.bandwidth;

        int r = json_add_string(o, "ShapingMode", net_shaping_mode_to_string(a->spec.shaping_mode));
        if (r >= 0)
                r = json_add(o, "IngressRate", new_number(b->ingress_rate));
        if (r >= 0)
                r = json_add(o, "IngressBurst", new_number(b->ingress_burst));
        if (r >= 0)
                r = json_add(o, "EgressRate", new_number(b->egress_rate));
        if (r >= 0)
                r = json_add(o, "EgressBurst", new_number(b->egress_burst));
        return r;
}

/* Among the interfaces of its sandbox. */
static int add_place(json_object *o, const AttachmentSpec *s) {
        int r = json_add_string(o, "Parent", s->parent);
        if (r >= 0)
                r = json_add(o, "Position", new_number(s->position));
        if (r >= 0)
                r = json_add_string(o, "Reference", strempty(s->reference));
        if (r >= 0)
                r = json_add_string(o, "ChoiceReason", strempty(s->choice));
        if (r >= 0)
                r = json_add(o, "HotPlugged", json_object_new_boolean(s->hot));
        return r;
}

/* Only of those that have one. Seconds -1: for ever. */
static json_object *lease_of(const Attachment *a) {
        const LeaseRow *row = dhcp_binding_row(a->dhcp);
        json_object *o = json_object_new_object();
        char time[RFC3339_SIZE];
        int r = o ? 0 : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "Server", IN_ADDR_STR(&row->server));
        if (r >= 0)
                r = json_add_string(o, "Obtained", format_rfc3339(row->obtained_usec, time));
        if (r >= 0)
                r = json_add(o, "Seconds",
                             json_object_new_int64(row->lease_sec == DHCP_LEASE_FOREVER
                                                                   ? -1
                                                                   : (int64_t) row->lease_sec));
        if (r >= 0)
                r = json_add(o, "Over", json_object_new_boolean(row->expired));
        return finish(o, r);
}

json_object *attachment_describe(const Attachment *a) {
        json_object *o = json_object_new_object();
        int r = o ? 0 : -ENOMEM;

        if (r >= 0)
                r = json_add_string(o, "Sandbox", a->sandbox->id);
        if (r >= 0)
                r = json_add_string(o, "Network", a->network->name);
        if (r >= 0)
                r = json_add_string(o, "Kind", net_kind_to_string(a->spec.kind));
        if (r >= 0)
                r = json_add_string(o, "Interface", a->spec.ifname);
        if (r >= 0)
                r = json_add_string(o, "HostInterface", spec_host_end(&a->spec));
        if (r >= 0)
                r = json_add_string(o, "Mac", MAC_STR(&a->spec.mac));
        if (r >= 0)
                r = json_add(o, "Mtu", new_number(a->spec.mtu));
        if (r >= 0)
                r = json_add(o, "Addresses", addresses_of(a, false));
        if (r >= 0)
                r = json_add(o, "Gateways", addresses_of(a, true));
        if (r >= 0)
                r = json_add_string(o, "State", attachment_state_to_string(a->state));
        if (r >= 0)
                r = add_place(o, &a->spec);
        if (r >= 0)
                r = json_add(o, "Drifted", json_object_new_boolean(attachment_has_drifted(a)));
        if (r >= 0)
                r = json_add(o, "Ports", ports_of(a));
        if (r >= 0)
                r = add_shaping(o, a);
        if (r >= 0 && a->dhcp)
                r = json_add(o, "Lease", lease_of(a));
        return finish(o, r);
}

static json_object *subnets_of(const Network *n) {
        json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < n->conf->n_sets; i++)
                for (size_t k = 0; k < n->conf->sets[i].n_ranges; k++)
                        (void) json_append(list,
                                           json_object_new_string(IN_PREFIX_STR(
                                                           &n->conf->sets[i].ranges[k].subnet)));
        return list;
}

static json_object *attachments_of(const Network *n) {
        json_object *list = json_object_new_array();
        Attachment *a;

        if (list)
                MAP_FOREACH (a, n->manager->attachments) {
                        _cleanup_free_ char *path = a->network == n && a->announced
                                                                    ? attachment_bus_path(a)
                                                                    : NULL;
                        if (path)
                                (void) json_append(list, json_object_new_string(path));
                }
        return list;
}

/* The plugins that make an interface of it; of a group and an alias, which have none, nothing. */
static json_object *plugins_of(const Network *n) {
        json_object *list = json_object_new_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && n->list && i < n->list->n_plugins; i++)
                r = json_append(list, json_object_new_string(n->list->plugins[i].type));
        if (r >= 0 && !n->list && n->conf->kind != NET_KIND_FOREIGN)
                r = json_append(list, json_object_new_string(n->conf->type));
        return finish(list, r);
}

static json_object *members_of(const Network *n) {
        json_object *list = json_object_new_array();
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; r >= 0 && i < n->conf->n_any_of; i++)
                r = json_append(list, json_object_new_string(n->conf->any_of[i]));
        return finish(list, r);
}

/* "" for a network that belongs to the node. */
static int add_namespace(json_object *o, const Network *n) {
        const char *slash = strchr(n->name, '/');

        return json_add(o, "Namespace",
                        slash ? json_object_new_string_len(n->name, (int) (slash - n->name))
                              : json_object_new_string(""));
}

json_object *network_describe(const Network *n) {
        json_object *o = json_object_new_object();
        int r = o ? 0 : -ENOMEM;
        uint64_t used, available;

        network_usage(n, &used, &available);
        if (r >= 0)
                r = json_add_string(o, "Name", n->name);
        if (r >= 0)
                r = add_namespace(o, n);
        if (r >= 0)
                r = json_add_string(o, "Kind", network_kind_name(n));
        if (r >= 0)
                r = json_add(o, "Plugins", plugins_of(n));
        if (r >= 0)
                r = json_add_string(o, "Alias", strempty(n->alias));
        if (r >= 0)
                r = json_add(o, "Members", members_of(n));
        if (r >= 0)
                r = json_add_string(o, "Source", network_source_to_string(n->source));
        if (r >= 0)
                r = json_add_string(o, "Config", n->config);
        if (r >= 0)
                r = json_add(o, "Subnets", subnets_of(n));
        if (r >= 0)
                r = json_add(o, "Used", new_number(used));
        if (r >= 0)
                r = json_add(o, "Free", new_number(available));
        if (r >= 0)
                r = json_add(o, "Attachments", attachments_of(n));
        return finish(o, r);
}

static size_t count_announced(const Manager *m) {
        const Attachment *a;
        size_t n = 0;

        MAP_FOREACH (a, m->attachments)
                n += a->announced;
        return n;
}

static size_t count_sandboxes(const Manager *m) {
        const Sandbox *s;
        size_t n = 0;

        MAP_FOREACH (s, m->sandboxes)
                n += s->announced;
        return n;
}

/* The sum, and what it consists of. */
static int add_counters(json_object *o, const Manager *m) {
        json_object *repairs = json_object_new_object(), *reaps = json_object_new_object();

        int r = json_add(o, "RepairsByKind", repairs);
        r = json_add(o, "ReapsByReason", reaps) < 0 ? -ENOMEM : r;
        for (RepairKind i = 0; r >= 0 && i < _REPAIR_MAX; i++)
                if (m->audit->repairs[i] > 0)
                        r = json_add(repairs, repair_kind_to_string(i),
                                     new_number(m->audit->repairs[i]));
        for (ReapReason i = 0; r >= 0 && i < _REAP_MAX; i++)
                if (m->audit->reaps[i] > 0)
                        r = json_add(reaps, reap_reason_to_string(i),
                                     new_number(m->audit->reaps[i]));
        if (r >= 0)
                r = json_add(o, "Repairs", new_number(audit_repairs(m)));
        if (r >= 0)
                r = json_add(o, "Reaps", new_number(audit_reaps(m)));
        return r;
}

json_object *manager_describe(const Manager *m) {
        json_object *o = json_object_new_object(), *reasons = json_object_new_array(),
                    *f = json_object_new_array(), *missing = json_object_new_array();
        _cleanup_free_ char *ledger = strf("%s/netmgr.db", m->state_dir);
        int r = o && reasons && f && missing && ledger ? 0 : -ENOMEM;

        for (int i = 0; r >= 0 && i < _HEALTH_MAX; i++)
                if (m->health_text[i])
                        r = json_append(reasons, json_object_new_string(m->health_text[i]));
        for (char **feature = manager_features(m); r >= 0 && *feature; feature++)
                r = json_append(f, json_object_new_string(*feature));
        for (char **text = m->features_missing; r >= 0 && text && *text; text++)
                r = json_append(missing, json_object_new_string(*text));
        if (r < 0) {
                json_object_put(reasons);
                json_object_put(f);
                json_object_put(missing);
                return finish(o, r);
        }
        r = json_add_string(o, "Version", netmgr_version);
        if (r >= 0)
                r = json_add_string(o, "Health", manager_is_degraded(m) ? "degraded" : "ok");
        r = json_add(o, "HealthReasons", reasons) < 0 ? -ENOMEM : r;
        r = json_add(o, "Features", f) < 0 ? -ENOMEM : r;
        r = json_add(o, "FeaturesMissing", missing) < 0 ? -ENOMEM : r;
        if (r >= 0)
                r = json_add(o, "Networks", new_number(map_size(m->networks)));
        if (r >= 0)
                r = json_add(o, "Sandboxes", new_number(count_sandboxes(m)));
        if (r >= 0)
                r = json_add(o, "Attachments", new_number(count_announced(m)));
        if (r >= 0)
                r = add_counters(o, m);
        if (r >= 0)
                r = json_add_string(o, "LedgerPath", ledger);
        if (r >= 0)
                r = json_add(o, "SchemaVersion", new_number(STORE_SCHEMA_VERSION));
        return finish(o, r);
}

static void add_lease(const Lease *l, void *userdata) {
        json_object *list = userdata, *o = json_object_new_object();
        InPrefix p = { .address = l->address, .length = l->prefix_length };
        char time[RFC3339_SIZE];

        if (!o)
                return;
        (void) json_add_string(o, "Address", IN_PREFIX_STR(&p));
        (void) json_add_string(o, "Network", l->network);
        (void) json_add_string(o, "Sandbox", l->sandbox);
        (void) json_add_string(o, "Interface", l->ifname);
        (void) json_add_string(o, "State",
                               !l->released_usec  ? "held"
                               : lease_is_kept(l) ? "kept"
                                                  : "released");
        if (l->released_usec)
                (void) json_add_string(o, "ReleasedAt", format_rfc3339(l->released_usec, time));
        else
                (void) json_object_object_add(o, "ReleasedAt", NULL);
        (void) (l->owner ? json_add_string(o, "Owner", l->owner)
                         : json_object_object_add(o, "Owner", NULL));
        if (lease_sticky_until(l))
                (void) json_add_string(o, "StickyUntil",
                                       format_rfc3339(lease_sticky_until(l), time));
        else
                (void) json_object_object_add(o, "StickyUntil", NULL);
        (void) json_append(list, o);
}

/* The ports of an attachment, each with whose it is. */
static int add_ports(json_object *list, const Attachment *a) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < a->spec.n_ports; i++) {
                json_object *o = port_of(&a->spec.ports[i]);
                r = json_append(list, o);
                if (r >= 0)
                        r = json_add_string(o, "Sandbox", a->sandbox->id);
                if (r >= 0)
                        r = json_add_string(o, "Interface", a->spec.ifname);
                if (r >= 0)
                        r = json_add_string(o, "Network", a->network->name);
        }
        return r;
}

int manager_describe_all(const Manager *m, const char *what, json_object **ret) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();
        int r = o && list ? 0 : -ENOMEM;
        Attachment *a;
        Sandbox *s;
        Network *n;

        if (r < 0)
                return r;
        if (streq(what, "sandboxes")) {
                MAP_FOREACH (s, m->sandboxes)
                        if (s->announced && r >= 0)
                                r = json_append(list, sandbox_describe(s));
        } else if (streq(what, "attachments")) {
                MAP_FOREACH (a, m->attachments)
                        if (a->announced && r >= 0)
                                r = json_append(list, attachment_describe(a));
        } else if (streq(what, "networks")) {
                MAP_FOREACH (n, m->networks)
                        if (r >= 0)
                                r = json_append(list, network_describe(n));
        } else if (streq(what, "addresses"))
                ipam_visit(m->ipam, add_lease, list);
        else if (streq(what, "ports")) {
                MAP_FOREACH (a, m->attachments)
                        if (a->announced && r >= 0)
                                r = add_ports(list, a);
        } else
                return -EINVAL;
        if (r >= 0)
                r = json_add(o, what, TAKE_PTR(list));
        if (r >= 0)
                *ret = TAKE_PTR(o);
        return r;
}
