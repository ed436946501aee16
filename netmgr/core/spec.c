/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The attachment's specification: its JSON in the ledger and its CNI result. */

#include "core/spec.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "base/strv.h"
#include "core/adjust.h"
#include "core/nic.h"
#include "core/row-json.h"
#include "core/spec-link.h"

bool kind_has_host_end(NetKind kind) {
        return kind == NET_KIND_ROUTED || kind == NET_KIND_PTP || kind_has_bridge(kind);
}

bool kind_has_bridge(NetKind kind) {
        return kind == NET_KIND_BRIDGE || kind == NET_KIND_VXLAN;
}

bool kind_is_routed(NetKind kind) {
        return kind == NET_KIND_ROUTED || kind == NET_KIND_PTP;
}

bool kind_has_master(NetKind kind) {
        return kind == NET_KIND_MACVLAN || kind == NET_KIND_IPVLAN || kind == NET_KIND_VLAN;
}

bool kind_is_inside(NetKind kind) {
        return kind_has_master(kind) || kind == NET_KIND_TAP || kind == NET_KIND_DUMMY ||
               kind == NET_KIND_HOST_DEVICE || kind == NET_KIND_LOOPBACK;
}

const char *kind_in_kernel(NetKind kind) {
        return kind_has_host_end(kind) ? "veth"
               : kind == NET_KIND_TAP  ? "tun"
                                       : net_kind_to_string(kind);
}

bool kind_shares_mac(NetKind kind) {
        return kind == NET_KIND_IPVLAN || kind == NET_KIND_VLAN;
}

bool spec_shares_mac(const AttachmentSpec *s) {
        return kind_shares_mac(s->kind) && !(s->link && s->link->own_mac);
}

int net_dns_copy(const NetDns *from, NetDns *ret) {
        NetDns d = { 0 };

        if (strv_copy(from->nameservers, &d.nameservers) < 0 ||
            strv_copy(from->search, &d.search) < 0 || strv_copy(from->options, &d.options) < 0 ||
            (from->domain && !(d.domain = strdup(from->domain)))) {
                net_dns_clear(&d);
                return -ENOMEM;
        }
        *ret = d;
        return 0;
}

void spec_clear(AttachmentSpec *s) {
        free(s->addresses);
        free(s->routes);
        free(s->ports);
        for (size_t i = 0; i < s->n_sysctls; i++) {
                free(s->sysctls[i].name);
                free(s->sysctls[i].value);
        }
        free(s->sysctls);
        free(s->cni_name);
        free(s->portmap);
        free(s->called);
        free(s->reference);
        free(s->choice);
        free(s->adjust.rules);
        free(s->adjust.routes);
        free(s->link);
        nic_state_free(s->nic);
        net_dns_clear(&s->dns);
        *s = (AttachmentSpec) { 0 };
}

static void *array_copy(const void *from, size_t n, size_t size) {
        void *copy = calloc(n + 1, size);

        if (copy && n > 0)
                memcpy(copy, from, n * size);
        return copy;
}

int spec_copy(const AttachmentSpec *from, AttachmentSpec *ret) {
        AttachmentSpec s = *from;
        int r = 0;

        s.dns = (NetDns) { 0 };
        s.n_sysctls = 0;
        s.addresses = array_copy(from->addresses, from->n_addresses, sizeof(*s.addresses));
        s.routes = array_copy(from->routes, from->n_routes, sizeof(*s.routes));
        s.ports = array_copy(from->ports, from->n_ports, sizeof(*s.ports));
        s.sysctls = new0(NetSysctl, from->n_sysctls + 1);
        s.adjust.rules = array_copy(from->adjust.rules, from->adjust.n_rules,
                                    sizeof(*s.adjust.rules));
        s.adjust.routes = array_copy(from->adjust.routes, from->adjust.n_routes,
                                     sizeof(*s.adjust.routes));
        s.cni_name = from->cni_name ? strdup(from->cni_name) : NULL;
        s.portmap = from->portmap ? strdup(from->portmap) : NULL;
        s.called = from->called ? strdup(from->called) : NULL;
        s.reference = from->reference ? strdup(from->reference) : NULL;
        s.choice = from->choice ? strdup(from->choice) : NULL;
        s.link = from->link ? array_copy(from->link, 1, sizeof(*s.link)) : NULL;
        s.nic = from->nic ? nic_state_copy(from->nic) : NULL;
        if ((from->link && !s.link) || (from->nic && !s.nic) || !s.addresses || !s.routes ||
            !s.ports || !s.sysctls || !s.adjust.rules || !s.adjust.routes ||
            (from->cni_name && !s.cni_name) || (from->portmap && !s.portmap) ||
            (from->called && !s.called) || (from->reference && !s.reference) ||
            (from->choice && !s.choice))
                r = -ENOMEM;
        for (; r >= 0 && s.n_sysctls < from->n_sysctls; s.n_sysctls++) {
                const NetSysctl *y = &from->sysctls[s.n_sysctls];
                s.sysctls[s.n_sysctls] = (NetSysctl) { strdup(y->name), strdup(y->value) };
                if (!s.sysctls[s.n_sysctls].name || !s.sysctls[s.n_sysctls].value)
                        r = -ENOMEM;
        }
        if (r >= 0)
                r = net_dns_copy(&from->dns, &s.dns);
        if (r < 0) {
                spec_clear(&s);
                return r;
        }
        *ret = s;
        return 0;
}

void spec_ifb_name(const AttachmentSpec *s, char ret[static IF_NAMESIZE]) {
        snprintf(ret, IF_NAMESIZE, "nmi%" PRIx64, s->id);
}

bool spec_shapes_ingress(const AttachmentSpec *s) {
        return s->shaping_mode == NET_SHAPING_SHAPE && s->bandwidth.ingress_rate > 0;
}

bool spec_shapes_egress(const AttachmentSpec *s) {
        return s->shaping_mode == NET_SHAPING_SHAPE && s->bandwidth.egress_rate > 0;
}

bool spec_needs_route_localnet(const AttachmentSpec *s) {
        /* Of others' links only what a plugin of their chain has asked for: it is set back in the end. */
        if (s->kind == NET_KIND_FOREIGN && !s->portmap)
                return false;
        for (size_t i = 0; s->snat && i < s->n_ports; i++)
                if (s->ports[i].host.family == AF_INET)
                        return true;
        return false;
}

bool spec_needs_hairpin(const AttachmentSpec *s) {
        return kind_has_bridge(s->kind) && (s->hairpin || (s->snat && s->n_ports > 0));
}

bool spec_has_link(const AttachmentSpec *s) {
        return s->kind != NET_KIND_HOST_DEVICE || s->nic;
}

const char *spec_host_end(const AttachmentSpec *s) {
        return s->kind == NET_KIND_FOREIGN ? s->foreign_ifname : s->host_ifname;
}

const char *spec_way_in(const AttachmentSpec *s) {
        return s->bridge[0] ? s->bridge : spec_host_end(s);
}

bool spec_has_family(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].address.address.family == family)
                        return true;
        return false;
}

uint32_t spec_sandbox_mtu(const AttachmentSpec *s) {
        return s->adjust.has_tuning && s->adjust.tuned.mtu ? s->adjust.tuned.mtu : s->mtu;
}

bool spec_routes_moved(const AttachmentSpec *s, int family) {
        const SpecAdjust *in = &s->adjust;

        if (!in->routes_moved || in->vrf[0])
                return in->routes_moved;
        for (size_t i = 0; i < in->n_rules; i++)
                if (in->rules[i].source.family == family)
                        return true;
        return false;
}

uint32_t spec_metric(int family, uint32_t metric) {
        return family == AF_INET6 ? 1024 + metric : metric;
}

void spec_set_metric(const AttachmentSpec *s, NetRoute *route) {
        int family = route->dst.address.family;
        bool exempt = route->dst.length == 0 &&
                      (family == AF_INET ? s->has_default4 : s->has_default6);

        if (s->metric && route->priority == 0 && route->table <= 0 && !exempt)
                route->priority = spec_metric(family, s->metric);
}

char *spec_sysctl_name(const char *name, const char *ifname) {
        const char *at = strstr(name, "IFNAME");

        return at ? strf("%.*s%s%s", (int) (at - name), name, ifname, at + strlen("IFNAME"))
                  : strdup(name);
}

InAddr routed_gateway(int family) {
        if (family == AF_INET)
                return (InAddr) { .family = AF_INET, .bytes = { 169, 254, 1, 1 } };
        return (InAddr) { .family = AF_INET6, .bytes = { 0xfe, 0x80, [15] = 1 } };
}

InPrefix metadata_address(int family) {
        if (family == AF_INET)
                return (InPrefix) { .address = { .family = AF_INET,
                                                 .bytes = { 169, 254, 169, 254 } },
                                    .length = 32 };
        return (InPrefix) { .address = { .family = AF_INET6,
                                         .bytes = { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54 } },
                            .length = 128 };
}

static json_object *strv_to_json(char **l) {
        json_object *a = json_object_new_array();
        for (; a && l && *l; l++)
                if (json_append(a, json_object_new_string(*l)) < 0) {
                        json_object_put(a);
                        return NULL;
                }
        return a;
}

static json_object *route_to_json(const NetRoute *r) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "dst", IN_PREFIX_STR(&r->dst)) < 0)
                return NULL;
        if (in_addr_is_set(&r->gw) && json_add_string(o, "gw", IN_ADDR_STR(&r->gw)) < 0)
                return NULL;
        if (r->onlink && json_add(o, "onlink", json_object_new_boolean(true)) < 0)
                return NULL;
        if (r->gw_implied && json_add(o, "gwImplied", json_object_new_boolean(true)) < 0)
                return NULL;
        if (json_add(o, "mtu", json_object_new_int64(r->mtu)) < 0 ||
            json_add(o, "advmss", json_object_new_int64(r->advmss)) < 0 ||
            json_add(o, "priority", json_object_new_int64(r->priority)) < 0)
                return NULL;
        if (r->table >= 0 && json_add(o, "table", json_object_new_int64(r->table)) < 0)
                return NULL;
        if (r->scope >= 0 && json_add(o, "scope", json_object_new_int64(r->scope)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* What the plugins of a chain have set, and what they were set on. */
static int chain_to_json(const AttachmentSpec *s, json_object *o) {
        _cleanup_json_ json_object *addresses = json_object_new_array();

        if (s->ingress != NET_INGRESS_OPEN &&
            json_add_string(o, "ingress", net_ingress_policy_to_string(s->ingress)) < 0)
                return -ENOMEM;
        if (s->portmap && json_add_string(o, "portmap", s->portmap) < 0)
                return -ENOMEM;
        if (s->kind != NET_KIND_FOREIGN)
                return 0;
        for (size_t i = 0; i < s->n_addresses; i++)
                if (!addresses ||
                    json_append(addresses, json_object_new_string(IN_PREFIX_STR(
                                                           &s->addresses[i].address))) < 0)
                        return -ENOMEM;
        if (json_add_string(o, "foreignInterface", s->foreign_ifname) < 0 ||
            json_add(o, "setLocalnet", json_object_new_boolean(s->set_localnet)) < 0 ||
            json_add(o, "addresses", TAKE_PTR(addresses)) < 0)
                return -ENOMEM;
        return 0;
}

/* Where it is among the interfaces of its sandbox. */
static int place_to_json(const AttachmentSpec *s, json_object *o) {
        const struct {
                const char *key;
                bool set;
        } flags[] = { { "hot", s->hot },
                      { "noDefault4", s->no_default4 },
                      { "noDefault6", s->no_default6 },
                      { "hasDefault4", s->has_default4 },
                      { "hasDefault6", s->has_default6 } };

        for (size_t i = 0; i < ELEMENTSOF(flags); i++)
                if (flags[i].set && json_add(o, flags[i].key, json_object_new_boolean(true)) < 0)
                        return -ENOMEM;
        if ((s->parent[0] && json_add_string(o, "parent", s->parent) < 0) ||
            (s->position > 0 && json_add(o, "position", json_object_new_int64(s->position)) < 0) ||
            (s->called && json_add_string(o, "called", s->called) < 0) ||
            (s->reference && json_add_string(o, "reference", s->reference) < 0) ||
            (s->choice && json_add_string(o, "choice", s->choice) < 0) ||
            (s->hot && json_add(o, "hot", json_object_new_boolean(true)) < 0) ||
            (s->imported && json_add(o, "imported", json_object_new_boolean(true)) < 0) ||
            (s->metric > 0 && json_add(o, "metric", json_object_new_int64(s->metric)) < 0))
                return -ENOMEM;
        return 0;
}

int spec_to_json(const AttachmentSpec *s, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object(), *routes = json_object_new_array(),
                                   *dns = json_object_new_object();
        if (!o || !routes || !dns)
                return -ENOMEM;

        for (size_t i = 0; i < s->n_routes; i++)
                if (json_append(routes, route_to_json(&s->routes[i])) < 0)
                        return -ENOMEM;
        if (json_add(dns, "nameservers", strv_to_json(s->dns.nameservers)) < 0 ||
            json_add(dns, "search", strv_to_json(s->dns.search)) < 0 ||
            json_add(dns, "options", strv_to_json(s->dns.options)) < 0 ||
            json_add_string(dns, "domain", s->dns.domain) < 0)
                return -ENOMEM;

        if (json_add_string(o, "cniName", s->cni_name) < 0 ||
            json_add(o, "hairpin", json_object_new_boolean(s->hairpin)) < 0 ||
            json_add(o, "isGateway", json_object_new_boolean(s->is_gateway)) < 0 ||
            json_add(o, "snat", json_object_new_boolean(s->snat)) < 0 ||
            (s->dhcp && json_add(o, "dhcp", json_object_new_boolean(true)) < 0) ||
            (s->lease_dns && json_add(o, "leaseDns", json_object_new_boolean(true)) < 0) ||
            (s->lease_over && json_add(o, "leaseOver", json_object_new_boolean(true)) < 0) ||
            json_add(o, "group", json_object_new_int64(s->group)) < 0 ||
            json_add(o, "routes", TAKE_PTR(routes)) < 0 || json_add(o, "dns", TAKE_PTR(dns)) < 0)
                return -ENOMEM;
        if (s->bridge[0] && (json_add_string(o, "bridge", s->bridge) < 0 ||
                             json_add_string(o, "bridgeMac", MAC_STR(&s->bridge_mac)) < 0))
                return -ENOMEM;
        if (in_addr_is_set(&s->node4) && json_add_string(o, "node4", IN_ADDR_STR(&s->node4)) < 0)
                return -ENOMEM;
        if (in_addr_is_set(&s->node6) && json_add_string(o, "node6", IN_ADDR_STR(&s->node6)) < 0)
                return -ENOMEM;
        if (chain_to_json(s, o) < 0 || place_to_json(s, o) < 0)
                return -ENOMEM;
        if (spec_is_adjusted(s) && json_add(o, "adjust", adjust_to_json(s)) < 0)
                return -ENOMEM;
        if (s->drop_in && json_add(o, "dropIn", json_object_new_boolean(true)) < 0)
                return -ENOMEM;
        if (s->block_metadata && json_add(o, "blockMetadata", json_object_new_boolean(true)) < 0)
                return -ENOMEM;
        if (s->link && json_add(o, "link", spec_link_to_json(s->link)) < 0)
                return -ENOMEM;
        if (s->nic && json_add(o, "nic", nic_state_to_json(s->nic)) < 0)
                return -ENOMEM;
        *ret = json_to_text(o);
        return *ret ? 0 : -ENOMEM;
}

/* Growing list of strings as a reader's target. */
static int read_strv_item(json_object *value, const char *path, void *target, Error *e) {
        char ***list = target;
        size_t n = 0;

        while (*list && (*list)[n])
                n++;
        char **more = reallocarray(*list, n + 2, sizeof(char *));
        if (!more)
                return error_oom(e);
        more[n] = more[n + 1] = NULL;
        *list = more;
        return json_read_string(value, path, &more[n], e);
}

static int read_strv(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, DNS_ENTRIES_MAX, read_strv_item, target, e);
}

static int read_route(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "dst", json_read_in_prefix, offsetof(NetRoute, dst), JSON_REQUIRED },
                { "gw", json_read_in_addr, offsetof(NetRoute, gw), 0 },
                { "onlink", json_read_bool, offsetof(NetRoute, onlink), 0 },
                { "gwImplied", json_read_bool, offsetof(NetRoute, gw_implied), 0 },
                { "mtu", json_read_u32, offsetof(NetRoute, mtu), 0 },
                { "advmss", json_read_u32, offsetof(NetRoute, advmss), 0 },
                { "priority", json_read_u32, offsetof(NetRoute, priority), 0 },
                { "table", row_read_i64, offsetof(NetRoute, table), 0 },
                { "scope", row_read_scope, offsetof(NetRoute, scope), 0 },
                { 0 },
        };
        AttachmentSpec *s = target;
        NetRoute *more = reallocarray(s->routes, s->n_routes + 1, sizeof(NetRoute));
        if (!more)
                return error_oom(e);
        s->routes = more;
        more[s->n_routes] = (NetRoute) { .table = -1, .scope = -1 };
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &more[s->n_routes], e);
        if (r >= 0)
                s->n_routes++;
        return r;
}

static int read_address(json_object *value, const char *path, void *target, Error *e) {
        AttachmentSpec *s = target;
        SpecAddress *more = reallocarray(s->addresses, s->n_addresses + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        s->addresses = more;
        more[s->n_addresses] = (SpecAddress) { .gateway.family = AF_UNSPEC };
        int r = json_read_in_prefix(value, path, &more[s->n_addresses].address, e);
        if (r >= 0)
                s->n_addresses++;
        return r;
}

static int read_addresses(json_object *value, const char *path, void *target, Error *e) {
        AttachmentSpec *s =
                        (AttachmentSpec *) ((char *) target - offsetof(AttachmentSpec, addresses));
        return json_read_array(value, path, FOREIGN_ADDRESSES_MAX, read_address, s, e);
}

static int read_ingress(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r = json_read_string(value, path, &text, e);
        if (r < 0)
                return r;
        NetIngressPolicy policy = net_ingress_policy_from_string(text);
        if (policy < 0)
                return error_setf(e, ERROR_LEDGER, "%s: wanted an ingress policy, found \"%s\"",
                                  path, text);
        *(NetIngressPolicy *) target = policy;
        return 0;
}

int spec_from_json(const char *text, AttachmentSpec *s, Error *e) {
        static const JsonField fields[] = {
                { "cniName", json_read_string, offsetof(AttachmentSpec, cni_name), JSON_REQUIRED },
                { "hairpin", json_read_bool, offsetof(AttachmentSpec, hairpin), 0 },
                { "isGateway", json_read_bool, offsetof(AttachmentSpec, is_gateway), 0 },
                { "snat", json_read_bool, offsetof(AttachmentSpec, snat), 0 },
                { "dhcp", json_read_bool, offsetof(AttachmentSpec, dhcp), 0 },
                { "leaseDns", json_read_bool, offsetof(AttachmentSpec, lease_dns), 0 },
                { "leaseOver", json_read_bool, offsetof(AttachmentSpec, lease_over), 0 },
                { "group", json_read_u32, offsetof(AttachmentSpec, group), 0 },
                { "bridge", row_read_ifname, offsetof(AttachmentSpec, bridge), 0 },
                { "bridgeMac", row_read_mac, offsetof(AttachmentSpec, bridge_mac), 0 },
                { "node4", json_read_in_addr, offsetof(AttachmentSpec, node4), 0 },
                { "node6", json_read_in_addr, offsetof(AttachmentSpec, node6), 0 },
                { "ingress", read_ingress, offsetof(AttachmentSpec, ingress), 0 },
                { "portmap", json_read_string, offsetof(AttachmentSpec, portmap), 0 },
                { "foreignInterface", row_read_ifname, offsetof(AttachmentSpec, foreign_ifname),
                  0 },
                { "setLocalnet", json_read_bool, offsetof(AttachmentSpec, set_localnet), 0 },
                { "addresses", read_addresses, offsetof(AttachmentSpec, addresses), 0 },
                { "routes", NULL, 0, 0 },
                { "dns", NULL, 0, 0 },
                { "adjust", NULL, 0, 0 },
                { "dropIn", json_read_bool, offsetof(AttachmentSpec, drop_in), 0 },
                { "blockMetadata", json_read_bool, offsetof(AttachmentSpec, block_metadata), 0 },
                { "parent", row_read_ifname, offsetof(AttachmentSpec, parent), 0 },
                { "position", json_read_u32, offsetof(AttachmentSpec, position), 0 },
                { "called", json_read_string, offsetof(AttachmentSpec, called), 0 },
                { "reference", json_read_string, offsetof(AttachmentSpec, reference), 0 },
                { "choice", json_read_string, offsetof(AttachmentSpec, choice), 0 },
                { "hot", json_read_bool, offsetof(AttachmentSpec, hot), 0 },
                { "imported", json_read_bool, offsetof(AttachmentSpec, imported), 0 },
                { "metric", json_read_u32, offsetof(AttachmentSpec, metric), 0 },
                { "noDefault4", json_read_bool, offsetof(AttachmentSpec, no_default4), 0 },
                { "noDefault6", json_read_bool, offsetof(AttachmentSpec, no_default6), 0 },
                { "hasDefault4", json_read_bool, offsetof(AttachmentSpec, has_default4), 0 },
                { "hasDefault6", json_read_bool, offsetof(AttachmentSpec, has_default6), 0 },
                { "link", spec_link_read, offsetof(AttachmentSpec, link), 0 },
                { "nic", nic_state_read, offsetof(AttachmentSpec, nic), 0 },
                { 0 },
        };
        static const JsonField dns_fields[] = {
                { "nameservers", read_strv, offsetof(NetDns, nameservers), 0 },
                { "domain", json_read_string, offsetof(NetDns, domain), 0 },
                { "search", read_strv, offsetof(NetDns, search), 0 },
                { "options", read_strv, offsetof(NetDns, options), 0 },
                { 0 },
        };
        _cleanup_json_ json_object *o = NULL;
        json_object *v;

        int r = json_parse(text, strlen(text), "plan column of the attachment", &o, e);
        if (r < 0)
                return r;
        r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, s, e);
        if (r < 0)
                return r;
        if ((v = json_get(o, "routes"))) {
                r = json_read_array(v, "routes", SPEC_ROUTES_MAX, read_route, s, e);
                if (r < 0)
                        return r;
        }
        if ((v = json_get(o, "adjust"))) {
                r = adjust_from_json(v, s, e);
                if (r < 0)
                        return r;
        }
        if ((v = json_get(o, "dns")))
                return json_read_object(v, "dns", dns_fields, JSON_UNKNOWN_REFUSE, &s->dns, e);
        return 0;
}

/* The reference loopback plugin reports the addresses that the kernel gives to lo by itself. */
static int loopback_result(const char *netns_path, const char *version, char **ret, Error *e) {
        CniInterface lo = { .name = "lo", .has_mac = true, .sandbox = netns_path };
        CniIp ips[2] = { { .interface = 0 }, { .interface = 0 } };

        (void) in_prefix_parse("127.0.0.1/8", &ips[0].address);
        (void) in_prefix_parse("::1/128", &ips[1].address);
        CniResult result = { .interfaces = &lo, .n_interfaces = 1, .ips = ips, .n_ips = 2 };
        return cni_result_to_json(&result, version, ret, e);
}

int spec_to_result(const AttachmentSpec *s, const char *netns_path, const char *version, char **ret,
                   Error *e) {
        CniInterface interfaces[3];
        size_t n = 0;

        if (s->kind == NET_KIND_LOOPBACK)
                return loopback_result(netns_path, version, ret, e);

        if (s->bridge[0])
                interfaces[n++] = (CniInterface) { .name = s->bridge,
                                                   .mac = s->bridge_mac,
                                                   .has_mac = !mac_is_zero(&s->bridge_mac),
                                                   .mtu = s->bridge_mtu };
        if (s->host_ifname[0])
                interfaces[n++] = (CniInterface) {
                        .name = s->host_ifname, .mac = s->host_mac, .has_mac = true, .mtu = s->mtu
                };
        /* An IPAM plugin answers with addresses only: the interface is its caller's. */
        if (spec_has_link(s) && s->kind != NET_KIND_FOREIGN)
                interfaces[n++] = (CniInterface) { .name = s->ifname,
                                                   .mac = s->mac,
                                                   .has_mac = true,
                                                   .mtu = s->mtu,
                                                   .sandbox = netns_path };

        _cleanup_free_ CniIp *ips = new0(CniIp, s->n_addresses ? s->n_addresses : 1);
        if (!ips)
                return error_oom(e);
        for (size_t i = 0; i < s->n_addresses; i++)
                ips[i] = (CniIp) { .address = s->addresses[i].address,
                                   .gateway = s->addresses[i].gateway,
                                   .interface = (int) n - 1 };

        /* What nobody has written is not answered either, as with the reference plugins. */
        _cleanup_free_ NetRoute *routes = array_copy(s->routes, s->n_routes, sizeof(*routes));
        if (!routes)
                return error_oom(e);
        for (size_t i = 0; i < s->n_routes; i++)
                if (routes[i].gw_implied)
                        routes[i].gw = (InAddr) { .family = AF_UNSPEC };

        CniResult result = {
                .interfaces = interfaces,
                .n_interfaces = n,
                .ips = ips,
                .n_ips = s->n_addresses,
                .routes = routes,
                .n_routes = s->n_routes,
                .dns = &s->dns,
        };
        return cni_result_to_json(&result, version, ret, e);
}
