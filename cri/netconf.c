/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One plugin object read into a NetConf: the frame around the topics, which have files of their own
 * (keys, ipam, range, runtime, dns, hash). The object is untrusted; what is returned is complete
 * and consistent, or nothing is.
 */

#include "cri/netconf.h"

#include "base/limits.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cri/netconf-internal.h"
#include "cri/netlist.h"
#include "cri/result.h"

/* The kernel turns IPv6 off on an interface with less (RFC 8200). */
#define MTU_MIN_IPV6 1280U

static const char *const net_kind_table[_NET_KIND_MAX] = {
        [NET_KIND_ROUTED] = "routed",     [NET_KIND_BRIDGE] = "bridge",
        [NET_KIND_LOOPBACK] = "loopback", [NET_KIND_PTP] = "ptp",
        [NET_KIND_MACVLAN] = "macvlan",   [NET_KIND_IPVLAN] = "ipvlan",
        [NET_KIND_VLAN] = "vlan",         [NET_KIND_HOST_DEVICE] = "host-device",
        [NET_KIND_TAP] = "tap",           [NET_KIND_DUMMY] = "dummy",
        [NET_KIND_VXLAN] = "vxlan",       [NET_KIND_FOREIGN] = "foreign",
};

const char *net_kind_to_string(NetKind kind) {
        if (kind < 0 || kind >= _NET_KIND_MAX)
                return NULL;
        return net_kind_table[kind];
}

NetKind net_kind_from_string(const char *s) {
        for (NetKind k = 0; s && k < _NET_KIND_MAX; k++)
                if (streq(net_kind_table[k], s))
                        return k;
        return _NET_KIND_INVALID;
}

/* ---- life ------------------------------------------------------------------------------------ */

NetConf *netconf_new(void) {
        NetConf *c = new0(NetConf, 1);

        if (c) {
                c->isolation = -1;
                c->snat = true;
                net_link_conf_init(&c->link);
                c->tuning = (NetTuning) { .promisc = -1, .allmulti = -1, .tx_queue_len = -1 };
                c->args_tuning = c->tuning;
                c->sbr.table = -1;
                c->own_sbr.wanted = -1;
        }
        return c;
}

NetConf *netconf_free(NetConf *c) {
        if (!c)
                return NULL;

        free(c->cni_version);
        free(c->name);
        free(c->type);
        free(c->network);
        strv_free(c->any_of);
        free(c->bridge);
        free(c->device.kernel_path);
        free(c->device.pci_bus_id);
        free(c->ipam_type);
        free(c->addresses);
        net_dhcp_clear(&c->dhcp);
        free(c->data_dir);
        free(c->resolv_conf);
        range_sets_free(c->sets, c->n_sets);
        free(c->routes);
        net_dns_clear(&c->dns);
        free(c->masq_excludes);
        strv_free(c->allow);
        free(c->conditions4);
        free(c->conditions6);
        net_sysctls_free(c->sysctls, c->n_sysctls);
        net_sysctls_free(c->args_sysctls, c->n_args_sysctls);
        free(c->ports);
        free(c->requested);
        free(c->overrides);
        net_dns_clear(&c->runtime_dns);
        range_sets_free(c->runtime_sets, c->n_runtime_sets);
        json_object_put(c->prev_result);
        json_object_put(c->annotations);
        for (size_t i = 0; i < c->n_valid_attachments; i++) {
                free(c->valid_attachments[i].container_id);
                free(c->valid_attachments[i].ifname);
        }
        free(c->valid_attachments);
        free(c);
        return NULL;
}

/* ---- envelope -------------------------------------------------------------------------------- */

int netconf_check_name(const char *name, Error *e) {
        if (cni_id_is_valid(name, NETWORK_NAME_MAX))
                return 0;
        if (isempty(name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "missing network name: \"name\" is empty");
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"name\": \"%.64s\" is not a network name: wanted are a letter or digit, "
                        "then letters, digits, '_', '.' or '-', at most %u in all",
                        name, NETWORK_NAME_MAX);
}

int netconf_check_version(const char *version, Error *e) {
        if (cni_version_is_supported(version))
                return 0;
        return error_setf(e, ERROR_INCOMPATIBLE_VERSION,
                          "\"cniVersion\": \"%.64s\" is not supported; netmgr supports %s", version,
                          cni_versions_text);
}

static const JsonField envelope_fields[] = {
        { "cniVersion", json_read_string, offsetof(NetConf, cni_version), 0 },
        { "name", json_read_string, offsetof(NetConf, name), 0 },
        { "type", json_read_string, offsetof(NetConf, type), 0 },
        {},
};

int netconf_read_envelope(json_object *top, NetConf *c, Error *e) {
        int r;

        if (!json_object_is_type(top, json_type_object))
                return error_setf(e, ERROR_DECODE,
                                  "the network configuration is not a JSON object: %s",
                                  JSON_SHORT(top));
        r = json_read_object(top, "", envelope_fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r < 0)
                return r;
        if (c->name) {
                r = netconf_check_name(c->name, e);
                if (r < 0)
                        return r;
        }
        if (isempty(c->cni_version)) {
                free(c->cni_version);
                c->cni_version = strdup(CNI_VERSION_DEFAULT);
                if (!c->cni_version)
                        return error_oom(e);
        }
        return netconf_check_version(c->cni_version, e);
}

/* ---- body ------------------------------------------------------------------------------------ */

static int kind_read(json_object *value, const char *path, void *target, Error *e) {
        char text[NET_KINDS_TEXT_SIZE] = { 0 };
        NetKind *ret = target, kind;
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        kind = net_kind_from_string(s);
        if (kind < 0 || kind == NET_KIND_FOREIGN)
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "\"%s\": %s is not a kind of this version of netmgr; there are %s",
                                path, JSON_SHORT(value),
                                net_kinds_to_text(KIND_BIT(NET_KIND_FOREIGN) - 1, text,
                                                  sizeof(text)));
        *ret = kind;
        return 0;
}

int network_name_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (!network_name_is_valid(s))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not the name of a network", path,
                                  JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

static int allow_read_element(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        NetConf *c = target;

        int r = network_name_read(value, path, &s, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_allow; i++)
                if (streq(c->allow[i], s))
                        return 0;
        if (strv_append(&c->allow, s) < 0)
                return error_oom(e);
        c->n_allow++;
        return 0;
}

static int read_allow(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "allow");

        if (!value)
                return 0;
        int r = json_read_array(value, "allow", ALLOW_MAX, allow_read_element, c, e);
        if (r >= 0 && c->n_allow > 0 && c->isolation == 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"allow\" has no meaning with \"isolation\": false: everybody is "
                                "allowed");
        return r;
}

static int read_masq_excludes(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "ipMasqExclude");
        Prefixes p = { 0 };

        if (!value)
                return 0;
        /* at most EXCLUDES_MAX */
        int r = prefixes_read(value, "ipMasqExclude", &p, e);
        if (r < 0) {
                prefixes_clear(&p);
                return r;
        }
        c->masq_excludes = p.items;
        c->n_masq_excludes = p.n_items;
        return 0;
}

static int read_firewall(json_object *top, NetConf *c, Error *e) {
        int r = read_allow(top, c, e);
        if (r >= 0)
                r = read_masq_excludes(top, c, e);
        if (r >= 0)
                r = netconf_read_conditions(top, c, e);
        if (r >= 0)
                r = netconf_read_shaping(top, c, e);
        json_object *sysctl = json_get(top, "sysctl");
        return r < 0 || !sysctl ? r : netconf_read_sysctls(sysctl, "sysctl", c, e);
}

/* What decides which other keys are possible; read first. */
static const JsonField choice_fields[] = {
        { "network", network_name_read, offsetof(NetConf, network), 0 },
        { "kind", kind_read, offsetof(NetConf, kind), 0 },
        {},
};

int netconf_read_prev_result(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "prevResult");

        if (!value)
                return 0;
        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"prevResult\": %s is not an object",
                                  JSON_SHORT(value));
        c->prev_result = json_object_get(value);
        return 0;
}

static size_t count_addresses(const NetConf *c, int family) {
        size_t n = 0;

        for (size_t i = 0; i < c->n_addresses; i++)
                n += c->addresses[i].address.address.family == family;
        return n;
}

static size_t count_sets(const NetRangeSet *sets, size_t n_sets, int family) {
        size_t n = 0;

        for (size_t i = 0; i < n_sets; i++)
                n += sets[i].ranges[0].subnet.address.family == family;
        return n;
}

static int check_families(const NetConf *c, Error *e) {
        size_t n4 = count_sets(c->sets, c->n_sets, AF_INET) +
                    count_sets(c->runtime_sets, c->n_runtime_sets, AF_INET) +
                    count_addresses(c, AF_INET);
        size_t n6 = count_sets(c->sets, c->n_sets, AF_INET6) +
                    count_sets(c->runtime_sets, c->n_runtime_sets, AF_INET6) +
                    count_addresses(c, AF_INET6);

        if (c->mtu > 0 && c->mtu < MTU_MIN_IPV6 && n6 > 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"mtu\": %u is too small for the IPv6 addresses of this network, "
                                "which need %u",
                                c->mtu, MTU_MIN_IPV6);
        /* Their results have room for one address of each family: the second would be in the
         * sandbox and nobody would know. */
        if (cni_version_compare(c->cni_version, "0.3.0") < 0 && (n4 > 1 || n6 > 1))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\": %zu IPv4 and %zu IPv6 addresses, but cniVersion "
                                  "%s allows one address of each family; use 0.3.0 or newer",
                                  n4, n6, c->cni_version);
        return 0;
}

/* The server has to be on the sandbox's own link, and its word on addresses is the only one. */
static int check_dhcp(const NetConf *c, Error *e) {
        if (c->kind == NET_KIND_ROUTED || c->kind == NET_KIND_LOOPBACK || c->kind == NET_KIND_PTP)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"ipam.type\": \"dhcp\" is not possible for the kind %s: no DHCP "
                                "server is on its link; use \"bridge\" or another kind with one",
                                net_kind_to_string(c->kind));
        if (c->is_gateway)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": true and \"ipam.type\": \"dhcp\" exclude each other: the "
                                "DHCP server names the gateway, which cannot be this bridge",
                                c->is_default_gateway ? "isDefaultGateway" : "isGateway");
        if (c->n_runtime_sets > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"runtimeConfig.ipRanges\" has no meaning with \"ipam.type\": "
                                  "\"dhcp\": the DHCP server has the ranges");
        return 0;
}

/* Its rules name the addresses, so they have to be known before the interface is made. */
static int check_own_sbr(const NetConf *c, Error *e) {
        if (c->own_sbr.wanted <= 0 || (c->ipam != NET_IPAM_NONE && c->ipam != NET_IPAM_DHCP))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        c->ipam == NET_IPAM_DHCP
                                        ? "\"sbr\" and \"ipam.type\": \"dhcp\" exclude each other: "
                                          "its rules need the addresses beforehand"
                                        : "\"sbr\" needs \"ipam\": its rules name the addresses");
}

/* Kinds that without addresses are of no use, or could not be told how to be used. */
static bool kind_needs_ipam(const NetConf *c) {
        switch (c->kind) {
        case NET_KIND_ROUTED:
        case NET_KIND_PTP:
        case NET_KIND_VLAN:
        case NET_KIND_DUMMY:
                return true;
        case NET_KIND_IPVLAN: /* in a chain the addresses are those of prevResult */
                return !c->prev_result;
        default:
                return false;
        }
}

/* What keys mean together. */
int netconf_check_network(NetConf *c, json_object *top, Error *e) {
        int r;

        if (c->is_default_gateway)
                c->is_gateway = true;
        r = netconf_check_link(c, top, e);
        if (r < 0)
                return r;
        if (c->ipam == NET_IPAM_NONE && kind_needs_ipam(c))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\" is missing: the kind %s needs addresses%s",
                                  net_kind_to_string(c->kind),
                                  netconf_is_drop_in(c) ? ""
                                                        : " (or name a network of netmgrd with "
                                                          "\"network\")");
        if (c->is_gateway && c->ipam == NET_IPAM_NONE) {
                if (!netconf_is_drop_in(c))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": true needs \"ipam\": a bridge without addresses "
                                          "cannot be a gateway",
                                          c->is_default_gateway ? "isDefaultGateway" : "isGateway");
                /* the reference plugin does not come to look at them */
                c->is_gateway = c->is_default_gateway = false;
        }
        if (c->ipam == NET_IPAM_DHCP && (r = check_dhcp(c, e)) < 0)
                return r;
        r = check_own_sbr(c, e);
        if (r < 0)
                return r;
        return check_families(c, e);
}

/* The reference plugin's name for what has none. */
static int default_bridge(NetConf *c, Error *e) {
        if (c->bridge || c->plugin != NET_PLUGIN_BRIDGE)
                return 0;
        c->bridge = strdup("cni0");
        return c->bridge ? 0 : error_oom(e);
}

static int read_dns(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "dns");

        if (!value || !netconf_has_key(c, "dns"))
                return 0;
        return netconf_is_drop_in(c) ? net_dns_read_lenient(value, "dns", &c->dns, e)
                                     : net_dns_read(value, "dns", &c->dns, e);
}

/* What a reference plugin looks at of the runtime's additions, with its IPAM plugin. */
static RuntimeParts runtime_parts(const NetConf *c) {
        RuntimeParts parts = RUNTIME_MAC;

        if (!netconf_is_drop_in(c))
                return RUNTIME_ALL;
        if (c->kind == NET_KIND_HOST_DEVICE)
                parts |= RUNTIME_DEVICE;
        if (c->ipam == NET_IPAM_LOCAL)
                parts |= RUNTIME_IPS | RUNTIME_RANGES;
        if (c->ipam == NET_IPAM_STATIC)
                parts |= RUNTIME_IPS;
        return parts;
}

/* What describes the network, and what the runtime adds. The order matters: the type of ipam decides what
 * a requested address has to look like, and deviceID goes before pciBusID. */
static int read_network(json_object *top, NetConf *c, Error *e) {
        int r;

        netconf_link_defaults(c);
        if ((r = netconf_read_ipam_type(top, c, e)) < 0 || (r = netconf_read_keys(top, c, e)) < 0 ||
            (r = read_dns(top, c, e)) < 0 ||
            (r = netconf_read_runtime(top, runtime_parts(c), c, e)) < 0 ||
            (r = netconf_read_ipam(top, c, e)) < 0 || (r = default_bridge(c, e)) < 0)
                return r;
        return 0;
}

int netconf_read_netmgr(json_object *top, NetConf *c, Error *e) {
        int r;

        r = json_read_object(top, "", choice_fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r >= 0)
                r = netconf_read_group(top, c, e);
        if (r < 0)
                return r;
        r = netconf_check_keys(top, c, e);
        if (r < 0)
                return r;
        r = netconf_read_tuning_args(top, c, e);
        if (r < 0)
                return r;
        if (c->network || c->any_of)
                return netconf_read_runtime(top, RUNTIME_ALL, c, e);
        r = read_network(top, c, e);
        if (r < 0)
                return r;
        r = read_firewall(top, c, e);
        return r < 0 ? r : netconf_check_network(c, top, e);
}

int netconf_read_interface(json_object *top, NetConf *c, Error *e) {
        int r;

        if (c->kind == NET_KIND_LOOPBACK) /* no keys; those that stand there are ignored */
                return 0;
        r = read_network(top, c, e);
        return r < 0 ? r : netconf_check_network(c, top, e);
}

/* ---- entry ----------------------------------------------------------------------------------- */

/* The envelope, and with full = true all that the plugin reads. */
static int parse(NetPlugin plugin, const char *text, size_t size, bool full, NetConf **ret,
                 Error *e) {
        _cleanup_(netconf_freep) NetConf *c = NULL;
        _cleanup_json_ json_object *top = NULL;
        int r;

        r = json_parse(text, size, "network configuration", &top, e);
        if (r < 0)
                return r;
        c = netconf_new();
        if (!c)
                return error_oom(e);
        r = netconf_read_envelope(top, c, e);
        if (r < 0)
                return r;
        r = netconf_choose_plugin(plugin, c, full ? e : NULL);
        if (r == -ENOMEM)
                return error_oom(e);
        if (r < 0 && full)
                return r;
        if (full && (c->plugin == NET_PLUGIN_NETMGR || c->plugin == NET_PLUGIN_TUNING)) {
                r = netconf_check_duplicate_sysctls(text, size, e);
                if (r < 0)
                        return r;
        }
        if (full)
                r = netconf_read_body(top, c, e);
        else {
                (void) netconf_read_prev_result(top, c, NULL);
                r = netconf_read_valid_attachments(top, c, e);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int netconf_parse_as(NetPlugin plugin, const char *text, size_t size, NetConf **ret, Error *e) {
        return parse(plugin, text, size, true, ret, e);
}

int netconf_parse(const char *text, size_t size, NetConf **ret, Error *e) {
        return parse(_NET_PLUGIN_INVALID, text, size, true, ret, e);
}

int netconf_parse_envelope_as(NetPlugin plugin, const char *text, size_t size, NetConf **ret,
                              Error *e) {
        return parse(plugin, text, size, false, ret, e);
}

int netconf_parse_envelope(const char *text, size_t size, NetConf **ret, Error *e) {
        return parse(_NET_PLUGIN_INVALID, text, size, false, ret, e);
}
