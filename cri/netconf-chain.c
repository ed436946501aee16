/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The plugins that come behind the one that makes the interface: portmap, bandwidth, firewall, sbr and
 * vrf, each with its own keys and its own part of what the runtime adds. Keys that choose between
 * iptables, firewalld and nftables are accepted and change nothing: netmgr has one way.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* ---- portmap ---------------------------------------------------------------------------------- */

static const JsonField portmap_fields[] = {
        { "backend", backend_read, 0, 0 },
        { "snat", json_read_bool, offsetof(NetConf, snat), 0 },
        { "masqAll", json_read_bool, offsetof(NetConf, masq_all), 0 },
        { "markMasqBit", mark_bit_read, 0, 0 },
        /* A chain of iptables that marks what is to be masqueraded: here nothing is marked. */
        { "externalSetMarkChain", text_ignore, 0, 0 },
        {},
};

int netconf_read_portmap(json_object *top, NetConf *c, Error *e) {
        int r;

        r = json_read_object(top, "", portmap_fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r < 0)
                return r;
        if (json_get(top, "markMasqBit") && json_get(top, "externalSetMarkChain"))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"markMasqBit\": %s and \"externalSetMarkChain\": %s exclude "
                                  "each other",
                                  JSON_SHORT(json_get(top, "markMasqBit")),
                                  JSON_SHORT(json_get(top, "externalSetMarkChain")));
        r = netconf_read_conditions(top, c, e);
        return r < 0 ? r : netconf_read_runtime(top, RUNTIME_PORTS, c, e);
}

/* ---- bandwidth -------------------------------------------------------------------------------- */

int netconf_read_bandwidth(json_object *top, NetConf *c, Error *e) {
        static const char *const keys[] = { "ingressRate", "ingressBurst", "egressRate",
                                            "egressBurst" };
        json_object *runtime = json_get(top, "runtimeConfig"), *value;

        /* As soon as one of the keys is there, what the runtime says does not count. */
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (json_get(top, keys[i]))
                        return net_bandwidth_read_strict(top, "", &c->bandwidth, e);
        if (runtime && !json_object_is_type(runtime, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"runtimeConfig\": %s is not an object", JSON_SHORT(runtime));
        value = json_get(runtime, "bandwidth");
        return value ? net_bandwidth_read_strict(value, "runtimeConfig.bandwidth",
                                                 &c->runtime_bandwidth, e)
                     : 0;
}

/* ---- firewall --------------------------------------------------------------------------------- */

int ingress_policy_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0 || isempty(s))
                return r;
        NetIngressPolicy policy = net_ingress_policy_from_string(s);
        if (policy < 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": %s is no policy; wanted is open, same-bridge or isolated",
                                path, JSON_SHORT(value));
        *(NetIngressPolicy *) target = policy;
        return 0;
}

static int firewall_backend_read(json_object *value, const char *path, void *target _unused_,
                                 Error *e) {
        _cleanup_free_ char *s = NULL;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (isempty(s) || streq(s, "iptables") || streq(s, "firewalld") || streq(s, "nftables"))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": %s is no backend; wanted is iptables, firewalld or nftables "
                          "(netmgr uses nftables for all)",
                          path, JSON_SHORT(value));
}

static const JsonField firewall_fields[] = {
        { "backend", firewall_backend_read, 0, 0 },
        { "iptablesAdminChainName", text_ignore, 0, 0 },
        { "firewalldZone", text_ignore, 0, 0 },
        { "ingressPolicy", ingress_policy_read, offsetof(NetConf, ingress_policy), 0 },
        {},
};

int netconf_read_firewall(json_object *top, NetConf *c, Error *e) {
        return json_read_object(top, "", firewall_fields, JSON_UNKNOWN_IGNORE, c, e);
}

/* ---- sbr and vrf ------------------------------------------------------------------------------ */

/* The kernel keeps 0, and 253 to 255, for itself. */
static int check_table(uint32_t table, json_object *value, const char *path, Error *e) {
        if (table != 0 && (table < 253 || table > 255))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"%s\": %s is not a routing table of one's own; wanted is 1 to 4294967295 "
                        "without 253, 254 and 255",
                        path, JSON_SHORT(value));
}

static int sbr_table_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t table;

        int r = json_read_u32(value, path, &table, e);
        if (r >= 0)
                r = check_table(table, value, path, e);
        if (r >= 0)
                *(int64_t *) target = table;
        return r;
}

static int gateway_read_element(json_object *value, const char *path, void *target, Error *e) {
        NetSbr *sbr = target;
        InAddr gateway, *field;

        int r = json_read_in_addr(value, path, &gateway, e);
        if (r < 0)
                return r;
        if (in_addr_is_unspecified(&gateway) || in_addr_is_multicast(&gateway))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s cannot be a gateway", path,
                                  JSON_SHORT(value));
        field = gateway.family == AF_INET ? &sbr->gateway4 : &sbr->gateway6;
        if (in_addr_is_set(field))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": %s is the second %s gateway; wanted is one of each family",
                                path, JSON_SHORT(value),
                                gateway.family == AF_INET ? "IPv4" : "IPv6");
        *field = gateway;
        return 0;
}

static int gateways_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, 2, gateway_read_element, target, e);
}

static const JsonField sbr_fields[] = {
        { "table", sbr_table_read, offsetof(NetConf, sbr.table), 0 },
        { "gateways", gateways_read, offsetof(NetConf, sbr), 0 },
        { "addSourceHints", json_read_bool, offsetof(NetConf, sbr.add_source_hints), 0 },
        {},
};

int netconf_read_sbr(json_object *top, NetConf *c, Error *e) {
        return json_read_object(top, "", sbr_fields, JSON_UNKNOWN_IGNORE, c, e);
}

static int own_table_read(json_object *value, const char *path, void *target, Error *e) {
        int64_t table;

        int r = sbr_table_read(value, path, &table, e);
        if (r >= 0)
                *(uint32_t *) target = (uint32_t) table;
        return r;
}

int own_sbr_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "table", own_table_read, offsetof(NetOwnSbr, table), JSON_REQUIRED },
                {},
        };
        NetOwnSbr *sbr = target;

        sbr->wanted = 1;
        if (json_object_is_type(value, json_type_boolean))
                sbr->wanted = json_object_get_boolean(value);
        else if (json_object_is_type(value, json_type_object))
                return json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, sbr, e);
        else
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is neither true, false nor {\"table\": NUMBER}", path,
                                  JSON_SHORT(value));
        return 0;
}

static int vrf_table_read(json_object *value, const char *path, void *target, Error *e) {
        uint32_t table;

        int r = json_read_u32(value, path, &table, e);
        if (r < 0 || table == 0) /* the first free one */
                return r;
        r = check_table(table, value, path, e);
        if (r >= 0)
                *(uint32_t *) target = table;
        return r;
}

static const JsonField vrf_fields[] = {
        { "vrfname", ifname_read, offsetof(NetConf, vrf.name), 0 },
        { "table", vrf_table_read, offsetof(NetConf, vrf.table), 0 },
        {},
};

int netconf_read_vrf(json_object *top, NetConf *c, Error *e) {
        int r;

        r = json_read_object(top, "", vrf_fields, JSON_UNKNOWN_IGNORE, c, e);
        if (r >= 0 && !c->vrf.name[0])
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"vrfname\" is missing: wanted is the name of the VRF interface");
        return r;
}
