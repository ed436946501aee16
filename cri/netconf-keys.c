/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The keys of the top level, for every kind of interface: which kinds have one, who reads it, and
 * whether the reference plugin of that kind has it too.
 *
 * In a configuration of type netmgr a key that nobody reads is a wish that is not granted, so it is
 * refused, with a sentence that tells the cases apart: no such key, a key of other kinds, a key that
 * cannot stand beside "network". The reference plugins ignore what they do not know, and so do we
 * under their names: there only the keys of that plugin are looked at.
 */

#include <stdio.h>
#include <strings.h>

#include "cri/netconf-internal.h"

#define ROUTED      KIND_BIT(NET_KIND_ROUTED)
#define BRIDGE      KIND_BIT(NET_KIND_BRIDGE)
#define LOOPBACK    KIND_BIT(NET_KIND_LOOPBACK)
#define PTP         KIND_BIT(NET_KIND_PTP)
#define MACVLAN     KIND_BIT(NET_KIND_MACVLAN)
#define IPVLAN      KIND_BIT(NET_KIND_IPVLAN)
#define VLAN        KIND_BIT(NET_KIND_VLAN)
#define HOST_DEVICE KIND_BIT(NET_KIND_HOST_DEVICE)
#define TAP         KIND_BIT(NET_KIND_TAP)
#define DUMMY       KIND_BIT(NET_KIND_DUMMY)
#define VXLAN       KIND_BIT(NET_KIND_VXLAN)

#define NETS    (ALL & ~LOOPBACK)
#define BRIDGES (BRIDGE | VXLAN)
/* A veth pair: there is an end on the host that can be limited, isolated and masqueraded. */
#define HOST_SIDE (ROUTED | BRIDGES | PTP)
/* They stand on a link of the host. */
#define UPON (MACVLAN | IPVLAN | VLAN)
#define ALL  (KIND_BIT(NET_KIND_FOREIGN) - 1)

typedef enum KeyFlags {
        KEY_NETWORK = 1 << 0, /* describes the network: cannot stand beside "network" */
        KEY_OURS = 1 << 1,    /* the reference plugin of that name does not have it */
        KEY_GROUP = 1 << 2,   /* describes a choice of networks */
} KeyFlags;

typedef struct KeyRule {
        const char *key;
        unsigned kinds;
        KeyFlags flags;
        JsonReader read; /* NULL: read elsewhere */
        size_t offset;   /* in NetConf */
} KeyRule;

#define LINK(field) offsetof(NetConf, link.field)

/* A key whose meaning depends on the kind has several rows. */
static const KeyRule key_rules[] = {
        /* of CNI itself */
        { "cniVersion", ALL, 0, NULL, 0 },
        { "cniVersions", ALL, 0, NULL, 0 },
        { "name", ALL, 0, NULL, 0 },
        { "type", ALL, 0, NULL, 0 },
        { "disableCheck", ALL, 0, NULL, 0 },
        { "disableGC", ALL, 0, NULL, 0 },
        { "loadOnlyInlinedPlugins", ALL, 0, NULL, 0 },
        { "capabilities", ALL, 0, NULL, 0 },
        { "runtimeConfig", ALL, 0, NULL, 0 },
        { "args", ALL, 0, NULL, 0 },
        { "prevResult", ALL, 0, NULL, 0 },
        /* ours: which network */
        { "network", ALL, KEY_OURS, NULL, 0 },
        { "anyOf", ALL, KEY_OURS | KEY_GROUP | KEY_NETWORK, NULL, 0 },
        { "choose", ALL, KEY_OURS | KEY_GROUP | KEY_NETWORK, NULL, 0 },
        { "kind", ALL, KEY_OURS | KEY_NETWORK, NULL, 0 },
        /* of all that give a sandbox an interface */
        { "dns", ALL & ~(DUMMY | LOOPBACK), KEY_NETWORK, NULL, 0 },
        { "dns", DUMMY | LOOPBACK, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "ipam", NETS, KEY_NETWORK, NULL, 0 },
        { "mtu", NETS & ~(HOST_DEVICE | DUMMY), KEY_NETWORK, mtu_read, offsetof(NetConf, mtu) },
        { "mtu", HOST_DEVICE | DUMMY, KEY_OURS | KEY_NETWORK, mtu_read, offsetof(NetConf, mtu) },
        { "blockInstanceMetadata", NETS, KEY_OURS | KEY_NETWORK, json_read_bool,
          offsetof(NetConf, block_metadata) },
        { "mac", MACVLAN | TAP, KEY_NETWORK, mac_addr_read, offsetof(NetConf, conf_mac) },
        { "mac", NETS & ~(MACVLAN | TAP | IPVLAN), KEY_OURS | KEY_NETWORK, mac_addr_read,
          offsetof(NetConf, conf_mac) },
        { "promisc", NETS, KEY_OURS | KEY_NETWORK, flag_read, offsetof(NetConf, tuning.promisc) },
        { "allmulti", NETS, KEY_OURS | KEY_NETWORK, flag_read, offsetof(NetConf, tuning.allmulti) },
        { "txQLen", NETS, KEY_OURS | KEY_NETWORK, queue_length_read,
          offsetof(NetConf, tuning.tx_queue_len) },
        { "sysctl", NETS, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "sbr", NETS, KEY_OURS | KEY_NETWORK, own_sbr_read, offsetof(NetConf, own_sbr) },
        /* masquerade, host ports, isolation, limits */
        { "ipMasq", BRIDGES | PTP, KEY_NETWORK, json_read_bool, offsetof(NetConf, ip_masq) },
        { "ipMasq", ROUTED, KEY_OURS | KEY_NETWORK, json_read_bool, offsetof(NetConf, ip_masq) },
        { "ipMasqBackend", HOST_SIDE, KEY_NETWORK, backend_read, 0 },
        { "ipMasqExclude", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "isolation", HOST_SIDE, KEY_OURS | KEY_NETWORK, flag_read, offsetof(NetConf, isolation) },
        { "allow", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "ingressPolicy", HOST_SIDE, KEY_OURS | KEY_NETWORK, ingress_policy_read,
          offsetof(NetConf, ingress_policy) },
        { "shaping", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "ingressRate", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "ingressBurst", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "egressRate", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "egressBurst", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "backend", HOST_SIDE, KEY_OURS | KEY_NETWORK, backend_read, 0 },
        { "snat", HOST_SIDE, KEY_OURS | KEY_NETWORK, json_read_bool, offsetof(NetConf, snat) },
        { "masqAll", HOST_SIDE, KEY_OURS | KEY_NETWORK, json_read_bool,
          offsetof(NetConf, masq_all) },
        { "markMasqBit", HOST_SIDE, KEY_OURS | KEY_NETWORK, mark_bit_read, 0 },
        { "externalSetMarkChain", HOST_SIDE, KEY_OURS | KEY_NETWORK, mark_chain_refuse, 0 },
        { "conditionsV4", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        { "conditionsV6", HOST_SIDE, KEY_OURS | KEY_NETWORK, NULL, 0 },
        /* bridges and their ports */
        { "bridge", BRIDGES, KEY_NETWORK, ifname_dup_read, offsetof(NetConf, bridge) },
        { "isGateway", BRIDGES, KEY_NETWORK, json_read_bool, offsetof(NetConf, is_gateway) },
        { "isDefaultGateway", BRIDGES, KEY_NETWORK, json_read_bool,
          offsetof(NetConf, is_default_gateway) },
        { "forceAddress", BRIDGES, KEY_NETWORK, json_read_bool, offsetof(NetConf, force_address) },
        { "hairpinMode", BRIDGES, KEY_NETWORK, json_read_bool, offsetof(NetConf, hairpin) },
        { "promiscMode", BRIDGES, KEY_NETWORK, json_read_bool, offsetof(NetConf, promisc) },
        { "vlan", BRIDGES, KEY_NETWORK, vlan_id_read, LINK(vlan) },
        { "vlanTrunk", BRIDGES, KEY_NETWORK, vlan_trunk_read, LINK(trunks) },
        { "preserveDefaultVlan", BRIDGES, KEY_NETWORK, json_read_bool,
          LINK(preserve_default_vlan) },
        { "macspoofchk", BRIDGES, KEY_NETWORK, json_read_bool, LINK(mac_spoof_check) },
        { "portIsolation", BRIDGES, KEY_NETWORK, json_read_bool, LINK(port_isolation) },
        { "enabledad", BRIDGES, KEY_NETWORK, json_read_bool, LINK(enable_dad) },
        { "disableContainerInterface", BRIDGES, KEY_NETWORK, json_read_bool,
          LINK(no_container_interface) },
        /* upon a link of the host */
        { "master", UPON | VXLAN, KEY_NETWORK, ifname_read, LINK(master) },
        { "linkInContainer", UPON, KEY_NETWORK, json_read_bool, LINK(link_in_container) },
        { "mode", MACVLAN, KEY_NETWORK, macvlan_mode_read, LINK(mode) },
        { "mode", IPVLAN, KEY_NETWORK, ipvlan_mode_read, LINK(mode) },
        { "bcqueuelen", MACVLAN, KEY_NETWORK, bcqueuelen_read, LINK(bcqueuelen) },
        { "vlanId", VLAN, KEY_NETWORK, vlan_id_read, LINK(vlan_id) },
        /* host-device */
        { "device", HOST_DEVICE, KEY_NETWORK, ifname_read, offsetof(NetConf, device.name) },
        { "hwaddr", HOST_DEVICE, KEY_NETWORK, mac_addr_read, offsetof(NetConf, device.mac) },
        { "kernelpath", HOST_DEVICE, KEY_NETWORK, kernel_path_read,
          offsetof(NetConf, device.kernel_path) },
        { "pciBusID", HOST_DEVICE, KEY_NETWORK, device_id_read,
          offsetof(NetConf, device.pci_bus_id) },
        /* tap */
        { "bridge", TAP, KEY_NETWORK, ifname_read, LINK(tap_bridge) },
        { "multiQueue", TAP, KEY_NETWORK, json_read_bool, LINK(multi_queue) },
        { "owner", TAP, KEY_NETWORK, user_id_read, LINK(owner) },
        { "group", TAP, KEY_NETWORK, user_id_read, LINK(group) },
        { "selinuxContext", TAP, KEY_NETWORK, selinux_context_read, LINK(selinux_context) },
        /* vxlan */
        { "vni", VXLAN, KEY_NETWORK, vni_read, LINK(vni) },
        { "port", VXLAN, KEY_NETWORK, udp_port_read, LINK(port) },
        { "remote", VXLAN, KEY_NETWORK, optional_addr_read, LINK(remote) },
        { "local", VXLAN, KEY_NETWORK, optional_addr_read, LINK(local) },
        { "ttl", VXLAN, KEY_NETWORK, ttl_read, LINK(ttl) },
        { "learning", VXLAN, KEY_NETWORK, json_read_bool, LINK(learning) },
};

/* CNI keeps this prefix for itself (specification, section 1). */
#define CNI_RESERVED_PREFIX "cni.dev/"

/* The row of the key for the kind, else another one of it; *ret_kinds: all that have it. */
static const KeyRule *key_rule_find(const char *key, NetKind kind, unsigned *ret_kinds) {
        const KeyRule *found = NULL;

        *ret_kinds = 0;
        for (size_t i = 0; i < ELEMENTSOF(key_rules); i++) {
                if (strcasecmp(key_rules[i].key, key) != 0)
                        continue;
                if (!found || (key_rules[i].kinds & KIND_BIT(kind)))
                        found = &key_rules[i];
                *ret_kinds |= key_rules[i].kinds;
        }
        return found;
}

const char *net_kinds_to_text(unsigned kinds, char *buf, size_t size) {
        FILE *f = fmemopen(buf, size, "w");
        bool first = true;

        if (!f)
                return "other kinds";
        for (NetKind k = 0; k < _NET_KIND_MAX; k++) {
                if (!(kinds & KIND_BIT(k)))
                        continue;
                kinds &= ~KIND_BIT(k);
                fprintf(f, "%s%s", first ? "" : kinds ? ", " : " and ", net_kind_to_string(k));
                first = false;
        }
        fclose(f);
        return buf;
}

static int check_key(const char *key, json_object *value, const NetConf *c, Error *e) {
        char text[NET_KINDS_TEXT_SIZE] = { 0 };
        unsigned kinds;
        const KeyRule *rule = key_rule_find(key, c->kind, &kinds);

        if (!rule) {
                if (strncasecmp(key, CNI_RESERVED_PREFIX, strlen(CNI_RESERVED_PREFIX)) == 0)
                        return 0;
                return error_setf(
                                e, ERROR_UNKNOWN_OPTION,
                                "unknown key \"%.64s\": %s; a configuration of type netmgr has no "
                                "such key",
                                key, JSON_SHORT(value));
        }
        if (!value) /* null is absence */
                return 0;
        if (c->network) {
                if (rule->flags & KEY_NETWORK)
                        return error_setf(e, ERROR_UNKNOWN_OPTION,
                                          "\"%s\": %s cannot stand beside \"network\": \"%s\": it "
                                          "belongs into the description of that network",
                                          rule->key, JSON_SHORT(value), c->network);
                return 0;
        }
        if (c->any_of) {
                if ((rule->flags & KEY_NETWORK) && !(rule->flags & KEY_GROUP))
                        return error_setf(
                                        e, ERROR_UNKNOWN_OPTION,
                                        "\"%s\": %s cannot stand beside \"anyOf\": it belongs into "
                                        "the description of the networks that are chosen from",
                                        rule->key, JSON_SHORT(value));
                return 0;
        }
        if (!(kinds & KIND_BIT(c->kind)))
                return error_setf(e, ERROR_UNKNOWN_OPTION,
                                  "\"%s\": %s has no meaning for the kind %s; it is a key of the "
                                  "kind %s",
                                  rule->key, JSON_SHORT(value), net_kind_to_string(c->kind),
                                  net_kinds_to_text(kinds, text, sizeof(text)));
        return 0;
}

int netconf_check_keys(json_object *top, const NetConf *c, Error *e) {
        json_object_object_foreach(top, key, value) {
                int r = check_key(key, value, c, e);

                if (r < 0)
                        return r;
        }
        return 0;
}

bool netconf_has_key(const NetConf *c, const char *key) {
        unsigned kinds;
        const KeyRule *rule = key_rule_find(key, c->kind, &kinds);

        return rule && (rule->kinds & KIND_BIT(c->kind)) &&
               !(netconf_is_drop_in(c) && (rule->flags & KEY_OURS));
}

int netconf_read_keys(json_object *top, NetConf *c, Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(key_rules); i++) {
                const KeyRule *rule = &key_rules[i];
                json_object *value;
                int r;

                if (!rule->read || !(rule->kinds & KIND_BIT(c->kind)) ||
                    (netconf_is_drop_in(c) && (rule->flags & KEY_OURS)))
                        continue;
                value = json_get(top, rule->key);
                if (!value)
                        continue;
                r = rule->read(value, rule->key, (char *) c + rule->offset, e);
                if (r < 0)
                        return r;
        }
        return 0;
}
