/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Configurations of the plugins of two container services, read into what netmgr does anyway: an
 * interface of their own for a sandbox (ecs-eni, vpc-eni: kind host-device), one VLAN of such an interface
 * (vpc-branch-eni: kind vlan), one interface for many (vpc-bridge: kind routed), a side network of the host
 * (ecs-bridge: kind bridge). Addresses, gateways and MACs come from outside and are complete, so ipam is
 * static but for ecs-bridge. Keys as coded in those plugins; as they do, we ignore what we do not know.
 */

#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* Every subnet of those clouds has this length in IPv6, and their older key says no length. */
#define SUBNET_LENGTH_IPV6 64

typedef struct AddressList {
        InPrefix items[STATIC_ADDRESSES_MAX];
        size_t n;
} AddressList;

typedef struct GatewayList {
        InAddr items[STATIC_ADDRESSES_MAX];
        size_t n;
} GatewayList;

/* What the keys of all five come to. */
typedef struct ProfileInput {
        char name[16];
        MacAddr mac;
        AddressList addresses;
        GatewayList gateways;
        bool block_metadata, stay_down;
        uint32_t mtu;
        /* the older keys of ecs-eni: the gateway's has the length of the subnet */
        InPrefix old4, old6, old_gateway4;
        /* vpc-branch-eni */
        uint32_t vlan_id;
        bool has_vlan_id;
        MacAddr branch_mac;
} ProfileInput;

/* ---- values ----------------------------------------------------------------------------------- */

static int check_not_special(const InAddr *a, const char *path, const char *what, Error *e) {
        if (!in_addr_is_unspecified(a) && !in_addr_is_multicast(a) && !in_addr_is_loopback(a))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s cannot be the address of %s", path,
                          IN_ADDR_STR(a), what);
}

static int address_read_element(json_object *value, const char *path, void *target, Error *e) {
        AddressList *l = target;
        InPrefix p;

        int r = json_read_in_prefix(value, path, &p, e);
        if (r < 0)
                return r;
        r = check_not_special(&p.address, path, "an interface", e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < l->n; i++)
                if (in_addr_equal(&l->items[i].address, &p.address))
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is given twice",
                                          path, IN_PREFIX_STR(&p));
        l->items[l->n++] = p;
        return 0;
}

static int addresses_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, STATIC_ADDRESSES_MAX, address_read_element, target, e);
}

/* With or without the length of its subnet, which nobody needs here. */
static int loose_address_read(json_object *value, const char *path, InPrefix *ret, Error *e) {
        _cleanup_free_ char *s = NULL;
        InPrefix p;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        if (in_prefix_parse_auto(s, &p) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an address; wanted is such as \"10.0.0.1\"",
                                  path, JSON_SHORT(value));
        *ret = p;
        return 0;
}

static int gateway_read_element(json_object *value, const char *path, void *target, Error *e) {
        GatewayList *l = target;
        InPrefix p;

        int r = loose_address_read(value, path, &p, e);
        if (r >= 0)
                r = check_not_special(&p.address, path, "a gateway", e);
        if (r >= 0)
                l->items[l->n++] = p.address;
        return r;
}

static int gateways_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, STATIC_ADDRESSES_MAX, gateway_read_element, target, e);
}

/* gatewayIPAddress of vpc-bridge: a sandbox's next hop is the host there, whatever its address. */
static int gateway_ignore(json_object *value, const char *path, void *target _unused_, Error *e) {
        InPrefix p;

        return loose_address_read(value, path, &p, e);
}

static int prefixes_ignore(json_object *value, const char *path, void *target _unused_, Error *e) {
        AddressList ignored = { 0 };

        return addresses_read(value, path, &ignored, e);
}

/* Of the family; "" is absence. */
static int old_address_read(json_object *value, const char *path, int family, InPrefix *ret,
                            Error *e) {
        if (json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 0)
                return 0;
        int r = loose_address_read(value, path, ret, e);
        if (r >= 0)
                r = check_not_special(&ret->address, path, "an interface", e);
        if (r >= 0 && ret->address.family != family)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is no IPv%c address", path,
                                  JSON_SHORT(value), family == AF_INET ? '4' : '6');
        return r;
}

static int old_address4_read(json_object *value, const char *path, void *target, Error *e) {
        return old_address_read(value, path, AF_INET, target, e);
}

static int old_address6_read(json_object *value, const char *path, void *target, Error *e) {
        return old_address_read(value, path, AF_INET6, target, e);
}

/* Those plugins write numbers as strings; a number says the same. */
static int number_text_read(json_object *value, const char *path, uint32_t min, uint32_t max,
                            const char *what, uint32_t *ret, Error *e) {
        bool number = json_object_is_type(value, json_type_int);
        _cleanup_free_ char *s = number ? strdup(json_object_get_string(value)) : NULL;
        int r = number ? 0 : json_read_string(value, path, &s, e);

        if (r < 0)
                return r;
        if (!s)
                return error_oom(e);
        if (parse_u32(s, min, max, ret) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not %s; wanted is \"%u\" to \"%u\"", path,
                                  JSON_SHORT(value), what, min, max);
        return 0;
}

static int branch_vlan_read(json_object *value, const char *path, void *target, Error *e) {
        ProfileInput *in = target;

        int r = number_text_read(value, path, 1, 4094, "a VLAN ID", &in->vlan_id, e);
        in->has_vlan_id = r >= 0;
        return r;
}

/* Of a tap's owner, which an interface of kind vlan has not. */
static int user_ignore(json_object *value, const char *path, void *target _unused_, Error *e) {
        uint32_t ignored;

        return number_text_read(value, path, 0, UINT32_MAX - 1, "a user or group ID", &ignored, e);
}

/* One of the words that the plugin has, of which we have one. */
static int word_read(json_object *top, const char *key, const char *fallback, const char *ours,
                     const char *const theirs[], const char *advice, Error *e) {
        json_object *value = json_get(top, key);
        _cleanup_free_ char *s = NULL;
        int r = value ? json_read_string(value, key, &s, e) : 0;

        if (r < 0)
                return r;
        const char *word = isempty(s) ? fallback : s;
        if (strcasecmp(word, ours) == 0)
                return 0;
        for (; *theirs; theirs++)
                if (strcasecmp(word, *theirs) == 0)
                        return error_setf(e, ERROR_NOT_SUPPORTED,
                                          "\"%s\": \"%s\"%s is not available: %s", key, word,
                                          isempty(s) ? ", the default," : "", advice);
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": \"%.64s\" is unknown; wanted is \"%s\"", key, word, ours);
}

/* ---- what they mean together ------------------------------------------------------------------ */

static int need_mac(const MacAddr *mac, const char *key, const char *why, Error *e) {
        if (!mac_is_zero(mac))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\" is missing: %s", key, why);
}

/* Names change, MACs do not: the MAC decides where both are given. */
static int need_interface(ProfileInput *in, const char *name_key, const char *mac_key, Error *e) {
        if (!mac_is_zero(&in->mac))
                in->name[0] = '\0';
        else if (!in->name[0])
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\" is missing, and so is \"%s\": one of them says which "
                                  "interface of the host is meant",
                                  mac_key, name_key);
        return 0;
}

static bool serves(const InPrefix *address, const InAddr *gateway) {
        return address->address.family == gateway->family &&
               (in_prefix_contains(address, gateway) ||
                (gateway->family == AF_INET6 && in_addr_is_link_local(gateway)));
}

static int set_static(NetConf *c, const AddressList *l, const char *key, Error *e) {
        if (l->n == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\" is missing: %s has to be told the addresses of the "
                                  "interface, such as [\"10.0.0.5/24\"]",
                                  key, c->type);
        c->addresses = new0(NetStaticAddress, l->n);
        c->ipam_type = strdup("static");
        if (!c->addresses || !c->ipam_type)
                return error_oom(e);
        for (size_t i = 0; i < l->n; i++)
                c->addresses[c->n_addresses++].address = l->items[i];
        c->ipam = NET_IPAM_STATIC;
        return 0;
}

/* A default route by the first gateway of each family: those plugins take no offence at the second, and
 * leave it out. */
static int set_gateways(NetConf *c, const GatewayList *l, const char *key,
                        const char *addresses_key, Error *e) {
        bool has[2] = { false, false };

        c->routes = new0(NetRoute, l->n + 1);
        if (!c->routes)
                return error_oom(e);
        for (size_t i = 0; i < l->n; i++) {
                const InAddr *gw = &l->items[i];
                bool *there = &has[gw->family == AF_INET6], reached = false;

                for (size_t k = 0; k < c->n_addresses; k++) {
                        NetStaticAddress *a = &c->addresses[k];
                        if (!serves(&a->address, gw))
                                continue;
                        reached = true;
                        if (!in_addr_is_set(&a->gateway))
                                a->gateway = *gw;
                }
                if (!reached)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s[%zu]\": %s is in the subnet of none of \"%s\"", key,
                                          i, IN_ADDR_STR(gw), addresses_key);
                if (!*there)
                        c->routes[c->n_routes++] = (NetRoute) { .dst.address.family = gw->family,
                                                                .gw = *gw,
                                                                .table = -1,
                                                                .scope = -1 };
                *there = true;
        }
        return 0;
}

/* An interface that moves as it is. One that stays down has its addresses in the result only: whoever
 * drives it (a virtual machine) sets them. */
static int set_moved(NetConf *c, const ProfileInput *in, const char *addresses_key,
                     const char *gateways_key, Error *e) {
        c->device.mac = in->mac;
        memcpy(c->device.name, in->name, sizeof(c->device.name));
        c->block_metadata = in->block_metadata;
        c->link.no_container_interface = in->stay_down;
        c->mtu = in->mtu;
        if (in->stay_down && in->addresses.n == 0 && in->gateways.n == 0)
                return 0;
        int r = set_static(c, &in->addresses, addresses_key, e);
        return r < 0 ? r : set_gateways(c, &in->gateways, gateways_key, addresses_key, e);
}

/* ---- ecs-eni ---------------------------------------------------------------------------------- */

#define IN(field) offsetof(ProfileInput, field)

/* The address had no length where the gateway's key has it. */
static int take_old_keys(ProfileInput *in, Error *e) {
        bool has4 = in_addr_is_set(&in->old4.address), has6 = in_addr_is_set(&in->old6.address),
             has_gateway = in_addr_is_set(&in->old_gateway4.address);

        if (!has4 && !has6 && !has_gateway)
                return 0;
        if (in->addresses.n > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\" and \"ip-addresses\" exclude each other; wanted is "
                                  "\"ip-addresses\"",
                                  has4   ? "ipv4-address"
                                  : has6 ? "ipv6-address"
                                         : "subnetgateway-ipv4-address");
        if (has4 && in->old4.length == 32 && has_gateway)
                in->old4.length = in->old_gateway4.length;
        if (has4 && in->old4.length == 32)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"ipv4-address\": \"%s\" has no prefix length, and neither has "
                                  "\"subnetgateway-ipv4-address\"; wanted is such as \"%s/24\"",
                                  IN_ADDR_STR(&in->old4.address), IN_ADDR_STR(&in->old4.address));
        if (has6 && in->old6.length == 128)
                in->old6.length = SUBNET_LENGTH_IPV6;
        if (has4)
                in->addresses.items[in->addresses.n++] = in->old4;
        if (has6)
                in->addresses.items[in->addresses.n++] = in->old6;
        if (has_gateway && in->gateways.n < ELEMENTSOF(in->gateways.items))
                in->gateways.items[in->gateways.n++] = in->old_gateway4.address;
        return 0;
}

int netconf_read_ecs_eni(json_object *top, NetConf *c, Error *e) {
        static const JsonField fields[] = {
                { "eni", text_ignore, 0, 0 },
                { "mac", mac_addr_read, IN(mac), 0 },
                { "ip-addresses", addresses_read, IN(addresses), 0 },
                { "gateway-ip-addresses", gateways_read, IN(gateways), 0 },
                { "block-instance-metadata", json_read_bool, IN(block_metadata), 0 },
                { "stay-down", json_read_bool, IN(stay_down), 0 },
                { "mtu", mtu_read, IN(mtu), 0 },
                { "ipv4-address", old_address4_read, IN(old4), 0 },
                { "ipv6-address", old_address6_read, IN(old6), 0 },
                { "subnetgateway-ipv4-address", old_address4_read, IN(old_gateway4), 0 },
                {},
        };
        ProfileInput in = { 0 };

        int r = json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0)
                r = need_mac(&in.mac, "mac", "ecs-eni finds the interface by it", e);
        if (r >= 0)
                r = take_old_keys(&in, e);
        if (r >= 0)
                r = set_moved(c, &in, "ip-addresses", "gateway-ip-addresses", e);
        return r < 0 ? r : netconf_check_network(c, top, e);
}

/* ---- vpc-eni ---------------------------------------------------------------------------------- */

int netconf_read_vpc_eni(json_object *top, NetConf *c, Error *e) {
        static const JsonField fields[] = {
                { "eniName", ifname_read, IN(name), 0 },
                { "eniMACAddress", mac_addr_read, IN(mac), 0 },
                { "eniIPAddresses", addresses_read, IN(addresses), 0 },
                { "gatewayIPAddresses", gateways_read, IN(gateways), 0 },
                { "opStateDown", json_read_bool, IN(stay_down), 0 },
                { "blockInstanceMetadata", json_read_bool, IN(block_metadata), 0 },
                {},
        };
        ProfileInput in = { 0 };

        int r = json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0)
                r = need_interface(&in, "eniName", "eniMACAddress", e);
        if (r >= 0)
                r = set_moved(c, &in, "eniIPAddresses", "gatewayIPAddresses", e);
        return r < 0 ? r : netconf_check_network(c, top, e);
}

/* ---- vpc-branch-eni --------------------------------------------------------------------------- */

int netconf_read_vpc_branch_eni(json_object *top, NetConf *c, Error *e) {
        static const char *const theirs[] = { "tap", "macvtap", NULL };
        static const JsonField fields[] = {
                { "trunkName", ifname_read, IN(name), 0 },
                { "trunkMACAddress", mac_addr_read, IN(mac), 0 },
                { "branchVlanID", branch_vlan_read, 0, 0 },
                { "branchMACAddress", mac_addr_read, IN(branch_mac), 0 },
                { "ipAddresses", addresses_read, IN(addresses), 0 },
                { "gatewayIPAddresses", gateways_read, IN(gateways), 0 },
                { "blockInstanceMetadata", json_read_bool, IN(block_metadata), 0 },
                { "uid", user_ignore, 0, 0 },
                { "gid", user_ignore, 0, 0 },
                {},
        };
        ProfileInput in = { 0 };

        int r = word_read(
                        top, "interfaceType", "tap", "vlan", theirs,
                        "it serves virtual machines; wanted is \"interfaceType\": \"vlan\", which "
                        "gives the sandbox the VLAN's interface itself",
                        e);
        if (r >= 0)
                r = json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0)
                r = need_interface(&in, "trunkName", "trunkMACAddress", e);
        if (r >= 0 && !in.has_vlan_id)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "\"branchVlanID\" is missing: wanted is the VLAN of the branch, "
                               "\"1\" to \"4094\"");
        if (r >= 0)
                r = need_mac(&in.branch_mac, "branchMACAddress",
                             "the network behind the trunk knows the branch by it", e);
        if (r >= 0)
                r = set_static(c, &in.addresses, "ipAddresses", e);
        if (r >= 0)
                r = set_gateways(c, &in.gateways, "gatewayIPAddresses", "ipAddresses", e);
        if (r < 0)
                return r;
        memcpy(c->link.master, in.name, sizeof(c->link.master));
        c->link.master_mac = in.mac;
        c->link.vlan_id = (uint16_t) in.vlan_id;
        c->link.own_mac = true;
        c->conf_mac = in.branch_mac;
        c->block_metadata = in.block_metadata;
        return netconf_check_network(c, top, e);
}

/* ---- vpc-bridge ------------------------------------------------------------------------------- */

/* The shared interface answers ARP for its sandboxes. Nothing would answer for their IPv6 addresses. */
static int check_ipv4_only(const AddressList *l, const char *key, Error *e) {
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].address.family != AF_INET)
                        return error_setf(e, ERROR_NOT_SUPPORTED,
                                          "\"%s[%zu]\": %s is not available: the shared interface "
                                          "answers for IPv4 addresses only",
                                          key, i, IN_PREFIX_STR(&l->items[i]));
        return 0;
}

int netconf_read_vpc_bridge(json_object *top, NetConf *c, Error *e) {
        static const char *const layer2[] = { "L2", NULL }, *const tap[] = { "tap", NULL };
        static const JsonField fields[] = {
                { "eniName", ifname_read, IN(name), 0 },
                { "eniMACAddress", mac_addr_read, IN(mac), 0 },
                { "eniIPAddresses", prefixes_ignore, 0, 0 },
                { "vpcCIDRs", prefixes_ignore, 0, 0 },
                { "bridgeNetNSPath", text_ignore, 0, 0 },
                { "ipAddresses", addresses_read, IN(addresses), 0 },
                { "gatewayIPAddress", gateway_ignore, 0, 0 },
                { "blockInstanceMetadata", json_read_bool, IN(block_metadata), 0 },
                { "tapUserID", user_ignore, 0, 0 },
                {},
        };
        ProfileInput in = { 0 };

        int r = word_read(
                        top, "bridgeType", "L3", "L3", layer2,
                        "it rewrites MAC addresses on a bridge; wanted is \"bridgeType\": \"L3\", "
                        "where the host routes",
                        e);
        if (r >= 0)
                r = word_read(top, "interfaceType", "veth", "veth", tap,
                              "it serves virtual machines; wanted is \"interfaceType\": \"veth\"",
                              e);
        if (r >= 0)
                r = json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0)
                r = need_interface(&in, "eniName", "eniMACAddress", e);
        if (r >= 0)
                r = check_ipv4_only(&in.addresses, "ipAddresses", e);
        if (r >= 0)
                r = set_static(c, &in.addresses, "ipAddresses", e);
        if (r < 0)
                return r;
        memcpy(c->link.master, in.name, sizeof(c->link.master));
        c->link.master_mac = in.mac;
        c->block_metadata = in.block_metadata;
        return netconf_check_network(c, top, e);
}
