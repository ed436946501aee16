/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One plugin object read into a NetConf: the frame around the topics, which have files of their own
 * (keys, ipam, range, runtime, dns, hash). The object is untrusted; what is returned is complete
 * and consistent, or nothing is.
 */

#include "cri/netconf.h"

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

/* IPv4 cannot work below (RFC 791); the kernel's veth and bridge take no more. */
#define MTU_MIN 68U
#define MTU_MAX 65535U
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

static const char *const net_plugin_table[_NET_PLUGIN_MAX] = {
        [NET_PLUGIN_NETMGR] = "netmgr",     [NET_PLUGIN_LOOPBACK] = "loopback",
        [NET_PLUGIN_BRIDGE] = "bridge",     [NET_PLUGIN_PTP] = "ptp",
        [NET_PLUGIN_MACVLAN] = "macvlan",   [NET_PLUGIN_IPVLAN] = "ipvlan",
        [NET_PLUGIN_VLAN] = "vlan",         [NET_PLUGIN_HOST_DEVICE] = "host-device",
        [NET_PLUGIN_TAP] = "tap",           [NET_PLUGIN_DUMMY] = "dummy",
        [NET_PLUGIN_VXLAN] = "vxlan",       [NET_PLUGIN_HOST_LOCAL] = "host-local",
        [NET_PLUGIN_STATIC] = "static",     [NET_PLUGIN_DHCP] = "dhcp",
        [NET_PLUGIN_PORTMAP] = "portmap",   [NET_PLUGIN_BANDWIDTH] = "bandwidth",
        [NET_PLUGIN_FIREWALL] = "firewall", [NET_PLUGIN_TUNING] = "tuning",
        [NET_PLUGIN_SBR] = "sbr",           [NET_PLUGIN_VRF] = "vrf",
};

const char *net_plugin_to_string(NetPlugin plugin) {
        return plugin < 0 || plugin >= _NET_PLUGIN_MAX ? NULL : net_plugin_table[plugin];
}

NetPlugin net_plugin_from_string(const char *s) {
        for (NetPlugin p = 0; s && p < _NET_PLUGIN_MAX; p++)
                if (streq(net_plugin_table[p], s))
                        return p;
        return _NET_PLUGIN_INVALID;
}

void net_link_conf_init(NetLinkConf *l) {
        *l = (NetLinkConf) { .owner = UINT32_MAX, .group = UINT32_MAX };
}

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
                c->tuning.promisc = c->tuning.allmulti = -1;
                c->tuning.tx_queue_len = -1;
                c->sbr.table = -1;
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
        for (size_t i = 0; i < c->n_allow; i++)
                free(c->allow[i]);
        free(c->allow);
        free(c->conditions4);
        free(c->conditions6);
        for (size_t i = 0; i < c->n_sysctls; i++) {
                free(c->sysctls[i].name);
                free(c->sysctls[i].value);
        }
        free(c->sysctls);
        free(c->ports);
        free(c->requested);
        range_sets_free(c->runtime_sets, c->n_runtime_sets);
        json_object_put(c->prev_result);
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
        NetKind *ret = target, kind;
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        kind = net_kind_from_string(s);
        if (kind < 0 || kind > NET_KIND_LOOPBACK)
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"%s\": %s is not a kind of this version of netmgr; there are "
                                  "routed, bridge and loopback",
                                  path, JSON_SHORT(value));
        *ret = kind;
        return 0;
}

static int network_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (!cni_id_is_valid(s, NETWORK_NAME_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not the name of a network", path,
                                  JSON_SHORT(value));
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

static int bridge_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        char **ret = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s))
                return 0; /* the default, as in Go */
        if (!ifname_is_valid(s))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an interface name (1 to %u bytes without '/', "
                                  "':', '%%' and white space)",
                                  path, JSON_SHORT(value), IFNAME_LEN_MAX);
        free(*ret);
        *ret = TAKE_PTR(s);
        return 0;
}

static int mtu_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t *ret = target, mtu;
        int r;

        r = json_read_u32(value, path, &mtu, e);
        if (r < 0)
                return r;
        if (mtu != 0 && (mtu < MTU_MIN || mtu > MTU_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not possible; wanted is %u to %u, or 0", path,
                                  JSON_SHORT(value), MTU_MIN, MTU_MAX);
        *ret = mtu;
        return 0;
}

static int isolation_read(json_object *value, const char *path, void *target, Error *e) {
        bool on;

        int r = json_read_bool(value, path, &on, e);
        if (r >= 0)
                *(int *) target = on;
        return r;
}

/* macspoofchk: a sandbox can never send with another's address, so that either value is served. */
static int bool_ignore(json_object *value, const char *path, void *target _unused_, Error *e) {
        bool on;

        return json_read_bool(value, path, &on, e);
}

static int allow_read_element(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        NetConf *c = target;

        int r = network_read(value, path, &s, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < c->n_allow; i++)
                if (streq(c->allow[i], s))
                        return 0;
        char **more = reallocarray(c->allow, c->n_allow + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        c->allow = more;
        more[c->n_allow++] = TAKE_PTR(s);
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
        return r < 0 ? r : netconf_read_sysctls(top, c, e);
}

/* What decides which other keys are possible; read first. */
static const JsonField choice_fields[] = {
        { "network", network_read, offsetof(NetConf, network), 0 },
        { "kind", kind_read, offsetof(NetConf, kind), 0 },
        {},
};

static const JsonField network_fields[] = {
        { "mtu", mtu_read, offsetof(NetConf, mtu), 0 },
        { "bridge", bridge_read, offsetof(NetConf, bridge), 0 },
        { "isGateway", json_read_bool, offsetof(NetConf, is_gateway), 0 },
        { "isDefaultGateway", json_read_bool, offsetof(NetConf, is_default_gateway), 0 },
        { "hairpinMode", json_read_bool, offsetof(NetConf, hairpin), 0 },
        { "promiscMode", json_read_bool, offsetof(NetConf, promisc), 0 },
        { "forceAddress", json_read_bool, offsetof(NetConf, force_address), 0 },
        { "dns", net_dns_read, offsetof(NetConf, dns), 0 },
        { "ipMasq", json_read_bool, offsetof(NetConf, ip_masq), 0 },
        { "ipMasqBackend", backend_read, 0, 0 },
        { "isolation", isolation_read, offsetof(NetConf, isolation), 0 },
        { "snat", json_read_bool, offsetof(NetConf, snat), 0 },
        { "masqAll", json_read_bool, offsetof(NetConf, masq_all), 0 },
        { "backend", backend_read, 0, 0 },
        { "markMasqBit", mark_bit_read, 0, 0 },
        { "macspoofchk", bool_ignore, 0, 0 },
        {},
};

static int read_prev_result(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "prevResult");

        if (!value)
                return 0;
        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"prevResult\": %s is not an object",
                                  JSON_SHORT(value));
        c->prev_result = json_object_get(value);
        return 0;
}

static size_t count_sets(const NetRangeSet *sets, size_t n_sets, int family) {
        size_t n = 0;

        for (size_t i = 0; i < n_sets; i++)
                n += sets[i].ranges[0].subnet.address.family == family;
        return n;
}

static int check_families(const NetConf *c, Error *e) {
        size_t n4 = count_sets(c->sets, c->n_sets, AF_INET) +
                    count_sets(c->runtime_sets, c->n_runtime_sets, AF_INET);
        size_t n6 = count_sets(c->sets, c->n_sets, AF_INET6) +
                    count_sets(c->runtime_sets, c->n_runtime_sets, AF_INET6);

        if (c->mtu > 0 && c->mtu < MTU_MIN_IPV6 && n6 > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"mtu\": %u is too small for the IPv6 ranges of this network, "
                                  "which need %u",
                                  c->mtu, MTU_MIN_IPV6);
        /* Their results have room for one address of each family: the second would be in the
         * sandbox and nobody would know. */
        if (cni_version_compare(c->cni_version, "0.3.0") < 0 && (n4 > 1 || n6 > 1))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"ipam.ranges\": %zu IPv4 and %zu IPv6 range sets, but cniVersion "
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

/* What keys mean together. */
static int check_network(NetConf *c, Error *e) {
        if (c->is_default_gateway)
                c->is_gateway = true;
        if (c->hairpin && c->promisc)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"hairpinMode\": true and \"promiscMode\": true exclude each "
                                  "other: packets would come back twice");
        if (c->kind == NET_KIND_ROUTED && !c->ipam_type)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipam\" is missing: the kind routed needs addresses (or name a "
                                  "network of netmgrd with \"network\")");
        if (c->is_gateway && !c->ipam_type)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": true needs \"ipam\": a bridge without addresses cannot be "
                                "a gateway",
                                c->is_default_gateway ? "isDefaultGateway" : "isGateway");
        if (c->ipam == NET_IPAM_DHCP) {
                int r = check_dhcp(c, e);
                if (r < 0)
                        return r;
        }
        return check_families(c, e);
}

int netconf_read_body(json_object *top, NetConf *c, Error *e) {
        json_object *ipam;
        int r;

        if (isempty(c->type))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"type\" is missing; wanted is \"type\": \"netmgr\"");
        r = read_prev_result(top, c, e);
        if (r < 0)
                return r;
        r = netconf_read_valid_attachments(top, c, e);
        if (r < 0)
                return r;
        if (streq(c->type,
                  "loopback")) { /* the reference plugin's: no keys, unknown ones ignored */
                c->kind = NET_KIND_LOOPBACK;
                return netconf_hash(c, &c->hash) < 0 ? error_oom(e) : 0;
        }
        if (!streq(c->type, "netmgr"))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"type\": \"%.64s\" is not served by this version of netmgr; "
                                  "there are netmgr and loopback",
                                  c->type);

        r = json_read_object(top, "", choice_fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r < 0)
                return r;
        r = netconf_check_keys(top, c, e);
        if (r < 0)
                return r;
        r = netconf_read_runtime(top, c, e);
        if (r < 0)
                return r;
        if (!c->network) {
                r = json_read_object(top, "", network_fields, JSON_UNKNOWN_IGNORE, c, e);
                if (r < 0)
                        return r;
                r = read_firewall(top, c, e);
                if (r < 0)
                        return r;
                ipam = json_get(top, "ipam");
                if (ipam) {
                        r = netconf_read_ipam(ipam, c, e);
                        if (r < 0)
                                return r;
                }
                r = check_network(c, e);
                if (r < 0)
                        return r;
        }
        return netconf_hash(c, &c->hash) < 0 ? error_oom(e) : 0;
}

/* ---- entry ----------------------------------------------------------------------------------- */

int netconf_parse(const char *text, size_t size, NetConf **ret, Error *e) {
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
        r = netconf_read_body(top, c, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

int netconf_parse_envelope(const char *text, size_t size, NetConf **ret, Error *e) {
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
        if (streq_ptr(c->type, "loopback"))
                c->kind = NET_KIND_LOOPBACK;
        (void) read_prev_result(top, c, NULL);
        r = netconf_read_valid_attachments(top, c, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}
