/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plugins of two container services: every key, read and refused. */

#include "netconf-test.h"

#define ENI    NET_PLUGIN_ECS_ENI
#define VPC    NET_PLUGIN_VPC_ENI
#define BRANCH NET_PLUGIN_VPC_BRANCH_ENI
#define SHARED NET_PLUGIN_VPC_BRIDGE
#define SIDE   NET_PLUGIN_ECS_BRIDGE

#define MAC      ",\"mac\":\"12:11:22:33:44:55\""
#define ENI_IP   MAC ",\"ip-addresses\":[\"10.0.0.5/24\"]"
#define VPC_NIC  ",\"eniName\":\"eth1\""
#define VPC_IP   VPC_NIC ",\"eniIPAddresses\":[\"10.0.0.5/24\"]"
#define VLAN     ",\"interfaceType\":\"vlan\",\"trunkName\":\"eth1\""
#define BRANCH_1 VLAN ",\"branchVlanID\":\"101\",\"branchMACAddress\":\"12:11:22:33:44:55\""
#define BRANCH_2 BRANCH_1 ",\"ipAddresses\":[\"10.0.0.5/24\"]"
#define POD_IP   VPC_NIC ",\"ipAddresses\":[\"10.0.0.5/24\"]"
#define SIDE_1   ",\"bridge\":\"ecs0\""
#define POOL(s)  SIDE_1 ",\"ipam\":{\"type\":\"ecs-ipam\"" s "}"
#define NET4     ",\"ipv4-subnet\":\"169.254.172.0/22\""
#define NET6     ",\"ipv6-subnet\":\"fd00:1::/64\""

static void assert_default(const NetConf *c, size_t i, const char *gw) {
        assert_int_equal(c->routes[i].dst.length, 0);
        assert_addr(&c->routes[i].gw, gw);
        assert_int_equal(c->routes[i].table, -1);
}

static void test_ecs_eni(void **state) {
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(
                        ENI,
                        AS("ecs-eni",
                           ",\"ENI\":\"eni-1\",\"Mac\":\"12-11-22-33-44-55\",\"ip-addresses\":[\"10.0.0.5/24\","
                           "\"fd00::5/64\",\"10.1.0.5/24\"],\"gateway-ip-addresses\":[\"10.0.0.1\",\"fe80::1\","
                           "\"10.1.0.1/24\"],\"block-instance-metadata\":true,\"mtu\":9000,\"unknown\":[]"));

        assert_int_equal(c->kind, NET_KIND_HOST_DEVICE);
        assert_string_equal(MAC_STR(&c->device.mac), "12:11:22:33:44:55");
        assert_string_equal(c->device.name, "");
        assert_int_equal(c->ipam, NET_IPAM_STATIC);
        assert_int_equal(c->n_addresses, 3);
        assert_prefix(&c->addresses[1].address, "fd00::5/64");
        assert_addr(&c->addresses[0].gateway, "10.0.0.1");
        assert_addr(&c->addresses[1].gateway, "fe80::1");
        assert_addr(&c->addresses[2].gateway, "10.1.0.1");
        /* one default route of a family */
        assert_int_equal(c->n_routes, 2);
        assert_default(c, 0, "10.0.0.1");
        assert_default(c, 1, "fe80::1");
        assert_true(c->block_metadata);
        assert_false(c->link.no_container_interface);
        assert_int_equal(c->mtu, 9000);
}

static void test_ecs_eni_older_keys(void **state) {
        _cleanup_(netconf_freep) NetConf *c =
                        plugin_ok(ENI,
                                  AS("ecs-eni", MAC
                                     ",\"ipv4-address\":\"10.0.0.5\",\"ipv6-address\":\"fd00::5\","
                                     "\"subnetgateway-ipv4-address\":\"10.0.0.1/20\""));
        _cleanup_(netconf_freep) NetConf *whole =
                        plugin_ok(ENI, AS("ecs-eni", MAC
                                          ",\"ipv4-address\":\"10.0.0.5/25\",\"ipv6-address\":\"\","
                                          "\"ip-addresses\":[]"));

        assert_int_equal(c->n_addresses, 2);
        assert_prefix(&c->addresses[0].address, "10.0.0.5/20");
        assert_prefix(&c->addresses[1].address, "fd00::5/64");
        assert_int_equal(c->n_routes, 1);
        assert_default(c, 0, "10.0.0.1");
        assert_int_equal(whole->n_addresses, 1);
        assert_prefix(&whole->addresses[0].address, "10.0.0.5/25");
        assert_int_equal(whole->n_routes, 0);
}

static void test_stay_down(void **state) {
        _cleanup_(netconf_freep)
                        NetConf *bare = plugin_ok(ENI, AS("ecs-eni", MAC ",\"stay-down\":true")),
                                *full = plugin_ok(ENI, AS("ecs-eni", ENI_IP ",\"stay-down\":true")),
                                *vpc = plugin_ok(VPC,
                                                 AS("vpc-eni", VPC_NIC ",\"opStateDown\":true"));

        assert_true(bare->link.no_container_interface && full->link.no_container_interface &&
                    vpc->link.no_container_interface);
        assert_int_equal(bare->ipam, NET_IPAM_NONE);
        assert_int_equal(full->n_addresses, 1);
        assert_int_equal(vpc->ipam, NET_IPAM_NONE);
}

static void test_vpc_eni(void **state) {
        _cleanup_(netconf_freep) NetConf *c =
                        plugin_ok(VPC, AS("vpc-eni", VPC_IP
                                          ",\"gatewayIPAddresses\":[\"10.0.0.1\"],"
                                          "\"blockInstanceMetadata\":true,\"opStateDown\":false,"
                                          "\"useExistingNetwork\":true"));
        _cleanup_(netconf_freep) NetConf *both =
                        plugin_ok(VPC,
                                  AS("vpc-eni", VPC_IP ",\"eniMACAddress\":\"12:11:22:33:44:55\""));

        assert_int_equal(c->kind, NET_KIND_HOST_DEVICE);
        assert_string_equal(c->device.name, "eth1");
        assert_true(mac_is_zero(&c->device.mac));
        assert_int_equal(c->n_addresses, 1);
        assert_default(c, 0, "10.0.0.1");
        assert_true(c->block_metadata);
        /* the name may have changed */
        assert_string_equal(both->device.name, "");
        assert_string_equal(MAC_STR(&both->device.mac), "12:11:22:33:44:55");
        assert_false(both->block_metadata);
}

static void test_vpc_branch_eni(void **state) {
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(
                        BRANCH, AS("vpc-branch-eni", BRANCH_2
                                   ",\"gatewayIPAddresses\":[\"10.0.0.1\"],\"uid\":\"0\",\"gid\":7,"
                                   "\"blockInstanceMetadata\":true"));
        _cleanup_(netconf_freep) NetConf *by_mac = plugin_ok(
                        BRANCH,
                        AS("vpc-branch-eni",
                           ",\"interfaceType\":\"VLAN\",\"trunkMACAddress\":\"12:00:00:00:00:01\","
                           "\"branchVlanID\":7,\"branchMACAddress\":\"12:11:22:33:44:55\","
                           "\"ipAddresses\":[\"fd00::5/64\"]"));

        assert_int_equal(c->kind, NET_KIND_VLAN);
        assert_string_equal(c->link.master, "eth1");
        assert_int_equal(c->link.vlan_id, 101);
        assert_true(c->link.own_mac && c->block_metadata);
        assert_string_equal(MAC_STR(&c->conf_mac), "12:11:22:33:44:55");
        assert_default(c, 0, "10.0.0.1");
        assert_string_equal(by_mac->link.master, "");
        assert_string_equal(MAC_STR(&by_mac->link.master_mac), "12:00:00:00:00:01");
        assert_int_equal(by_mac->link.vlan_id, 7);
}

static void test_vpc_bridge(void **state) {
        _cleanup_(netconf_freep) NetConf *c = plugin_ok(
                        SHARED,
                        AS("vpc-bridge", POD_IP
                           ",\"eniIPAddresses\":[\"10.0.0.4/24\"],\"vpcCIDRs\":[\"10.0.0.0/16\"],"
                           "\"bridgeType\":\"L3\",\"bridgeNetNSPath\":\"\",\"interfaceType\":\"veth\","
                           "\"gatewayIPAddress\":\"10.0.0.4\",\"tapUserID\":\"0\",\"serviceCIDR\":\"x\""));
        _cleanup_(netconf_freep) NetConf *by_mac =
                        plugin_ok(SHARED,
                                  AS("vpc-bridge", ",\"eniMACAddress\":\"12:00:00:00:00:01\","
                                                   "\"ipAddresses\":[\"10.0.0.5/24\"],"
                                                   "\"blockInstanceMetadata\":true"));

        assert_int_equal(c->kind, NET_KIND_ROUTED);
        assert_string_equal(c->link.master, "eth1");
        assert_int_equal(c->n_addresses, 1);
        assert_int_equal(c->n_routes, 0); /* that of a routed sandbox */
        assert_string_equal(MAC_STR(&by_mac->link.master_mac), "12:00:00:00:00:01");
        assert_true(by_mac->block_metadata);
}

static void test_ecs_bridge(void **state) {
        _cleanup_(netconf_freep) NetConf *c =
                        plugin_ok(SIDE, AS("ecs-bridge",
                                           POOL(",\"id\":\"i\"" NET4 ",\"ipv4-routes\":[{\"dst\":"
                                                "\"169.254.170.2/32\",\"gw\":\"169.254.172.1\"},"
                                                "{\"dst\":\"169.254.0.0/16\"}]") ",\"mtu\":1400"));
        _cleanup_(netconf_freep) NetConf *named =
                        plugin_ok(SIDE, AS("ecs-bridge",
                                           POOL(NET4 ",\"ipv4-address\":\"169.254.172.9/22\","
                                                     "\"ipv4-gateway\":\"169.254.172.3\"")));
        _cleanup_(netconf_freep) NetConf *dual =
                        plugin_ok(SIDE, AS("ecs-bridge",
                                           POOL(NET4 NET6
                                                ",\"ipv6-gateway\":\"fd00:1::9\",\"ipv6-routes\":"
                                                "[{\"dst\":\"fd00:2::/64\"}]")));
        _cleanup_(netconf_freep) NetConf *others =
                        plugin_ok(SIDE, AS("ecs-bridge", SIDE_1 HOST_LOCAL));

        assert_int_equal(c->kind, NET_KIND_BRIDGE);
        assert_string_equal(c->bridge, "ecs0");
        assert_true(c->is_gateway);
        assert_false(c->is_default_gateway);
        assert_int_equal(c->mtu, 1400);
        assert_int_equal(c->ipam, NET_IPAM_LOCAL);
        assert_int_equal(c->n_sets, 1);
        assert_addr(&c->sets[0].ranges[0].gateway, "169.254.172.1");
        assert_addr(&c->sets[0].ranges[0].end, "169.254.175.254");
        assert_int_equal(c->n_routes, 2);
        assert_prefix(&c->routes[0].dst, "169.254.170.2/32");
        assert_addr(&c->routes[0].gw, "169.254.172.1");

        assert_int_equal(named->ipam, NET_IPAM_STATIC);
        assert_prefix(&named->addresses[0].address, "169.254.172.9/22");
        assert_addr(&named->addresses[0].gateway, "169.254.172.3");

        assert_int_equal(dual->n_sets, 2);
        assert_addr(&dual->sets[1].ranges[0].gateway, "fd00:1::9");
        assert_int_equal(dual->n_routes, 1);

        assert_int_equal(others->ipam, NET_IPAM_LOCAL);
        assert_string_equal(others->ipam_type, "host-local");
}

#define INVALID ERROR_INVALID_ARGUMENT
#define NEVER   ERROR_NOT_SUPPORTED

static const BadKeys eni_bad[] = {
        { ENI, "", INVALID, "mac|missing" },
        { ENI, ",\"mac\":\"\"", INVALID, "mac|missing" },
        { ENI, ",\"mac\":7", INVALID, "mac|7" },
        { ENI, ",\"mac\":\"03:00:00:00:00:00\"", INVALID, "mac|03:00" },
        { ENI, MAC ",\"eni\":[]", INVALID, "eni|[" },
        { ENI, MAC, INVALID, "ip-addresses|missing" },
        { ENI, MAC ",\"ip-addresses\":\"10.0.0.5/24\"", INVALID, "ip-addresses|10.0.0.5" },
        { ENI, MAC ",\"ip-addresses\":[\"10.0.0.5\"]", INVALID, "ip-addresses[0]|10.0.0.5" },
        { ENI, MAC ",\"ip-addresses\":[\"0.0.0.0/0\"]", INVALID, "ip-addresses[0]|0.0.0.0" },
        { ENI, MAC ",\"ip-addresses\":[\"127.0.0.2/8\"]", INVALID, "ip-addresses[0]|127.0.0.2" },
        { ENI, MAC ",\"ip-addresses\":[\"224.0.0.5/24\"]", INVALID, "ip-addresses[0]|224.0.0.5" },
        { ENI, MAC ",\"ip-addresses\":[\"10.0.0.5/24\",\"10.0.0.5/16\"]", INVALID,
          "ip-addresses[1]|10.0.0.5|twice" },
        { ENI, ENI_IP ",\"gateway-ip-addresses\":\"10.0.0.1\"", INVALID,
          "gateway-ip-addresses|10.0.0.1" },
        { ENI, ENI_IP ",\"gateway-ip-addresses\":[\"x\"]", INVALID, "gateway-ip-addresses[0]|x" },
        { ENI, ENI_IP ",\"gateway-ip-addresses\":[\"0.0.0.0\"]", INVALID,
          "gateway-ip-addresses[0]|0.0.0.0" },
        { ENI, ENI_IP ",\"gateway-ip-addresses\":[\"10.0.1.1\"]", INVALID,
          "gateway-ip-addresses[0]|10.0.1.1|ip-addresses" },
        { ENI, ENI_IP ",\"gateway-ip-addresses\":[\"fe80::1\"]", INVALID,
          "gateway-ip-addresses[0]|fe80::1" },
        { ENI, ENI_IP ",\"block-instance-metadata\":1", INVALID, "block-instance-metadata|1" },
        { ENI, ENI_IP ",\"stay-down\":\"yes\"", INVALID, "stay-down|yes" },
        { ENI, ENI_IP ",\"mtu\":\"9000\"", INVALID, "mtu|9000" },
        { ENI, ENI_IP ",\"mtu\":70000", INVALID, "mtu|70000" },
        { ENI, ENI_IP ",\"ipv4-address\":\"10.0.0.6/24\"", INVALID, "ipv4-address|ip-addresses" },
        { ENI, ENI_IP ",\"subnetgateway-ipv4-address\":\"10.0.0.1/24\"", INVALID,
          "subnetgateway-ipv4-address|ip-addresses" },
        { ENI, MAC ",\"ipv4-address\":\"10.0.0.5\"", INVALID, "ipv4-address|10.0.0.5|length" },
        { ENI, MAC ",\"ipv4-address\":5", INVALID, "ipv4-address|5" },
        { ENI, MAC ",\"ipv4-address\":\"fd00::5\"", INVALID, "ipv4-address|fd00::5" },
        { ENI, MAC ",\"ipv6-address\":\"10.0.0.5\"", INVALID, "ipv6-address|10.0.0.5" },
        { ENI, MAC ",\"ipv6-address\":\"x\"", INVALID, "ipv6-address|x" },
        { ENI,
          MAC ",\"ipv4-address\":\"10.0.0.5/24\",\"subnetgateway-ipv4-address\":\"10.9.0.1/24\"",
          INVALID, "10.9.0.1" },
        { VPC, "", INVALID, "eniMACAddress|eniName" },
        { VPC, ",\"eniName\":\"a/b\"", INVALID, "eniName|a/b" },
        { VPC, ",\"eniMACAddress\":\"x\"", INVALID, "eniMACAddress|x" },
        { VPC, VPC_NIC, INVALID, "eniIPAddresses|missing" },
        { VPC, VPC_NIC ",\"eniIPAddresses\":[7]", INVALID, "eniIPAddresses[0]|7" },
        { VPC, VPC_IP ",\"gatewayIPAddresses\":[\"10.9.0.1\"]", INVALID,
          "gatewayIPAddresses[0]|10.9.0.1|eniIPAddresses" },
        { VPC, VPC_IP ",\"opStateDown\":\"x\"", INVALID, "opStateDown|x" },
        { VPC, VPC_IP ",\"blockInstanceMetadata\":\"x\"", INVALID, "blockInstanceMetadata|x" },
};

static const BadKeys branch_bad[] = {
        { BRANCH, "", NEVER, "interfaceType|tap|default|vlan" },
        { BRANCH, ",\"interfaceType\":\"tap\"", NEVER, "interfaceType|tap|vlan" },
        { BRANCH, ",\"interfaceType\":\"macvtap\"", NEVER, "interfaceType|macvtap|vlan" },
        { BRANCH, ",\"interfaceType\":\"bridge\"", INVALID, "interfaceType|bridge|vlan" },
        { BRANCH, ",\"interfaceType\":7", INVALID, "interfaceType|7" },
        { BRANCH, ",\"interfaceType\":\"vlan\"", INVALID, "trunkMACAddress|trunkName" },
        { BRANCH, VLAN ",\"trunkMACAddress\":\"x\"", INVALID, "trunkMACAddress|x" },
        { BRANCH, ",\"interfaceType\":\"vlan\",\"trunkName\":\"a b\"", INVALID, "trunkName|a b" },
        { BRANCH, VLAN, INVALID, "branchVlanID|missing" },
        { BRANCH, VLAN ",\"branchVlanID\":\"0\"", INVALID, "branchVlanID|0|4094" },
        { BRANCH, VLAN ",\"branchVlanID\":\"4095\"", INVALID, "branchVlanID|4095" },
        { BRANCH, VLAN ",\"branchVlanID\":-1", INVALID, "branchVlanID|-1" },
        { BRANCH, VLAN ",\"branchVlanID\":\"5x\"", INVALID, "branchVlanID|5x" },
        { BRANCH, VLAN ",\"branchVlanID\":{}", INVALID, "branchVlanID" },
        { BRANCH, VLAN ",\"branchVlanID\":\"5\"", INVALID, "branchMACAddress|missing" },
        { BRANCH, VLAN ",\"branchVlanID\":\"5\",\"branchMACAddress\":\"x\"", INVALID,
          "branchMACAddress|x" },
        { BRANCH, BRANCH_1, INVALID, "ipAddresses|missing" },
        { BRANCH, BRANCH_1 ",\"ipAddresses\":[\"x\"]", INVALID, "ipAddresses[0]|x" },
        { BRANCH, BRANCH_2 ",\"gatewayIPAddresses\":[\"10.9.0.1\"]", INVALID,
          "gatewayIPAddresses[0]|10.9.0.1" },
        { BRANCH, BRANCH_2 ",\"blockInstanceMetadata\":0", INVALID, "blockInstanceMetadata|0" },
        { BRANCH, BRANCH_2 ",\"uid\":\"root\"", INVALID, "uid|root" },
        { BRANCH, BRANCH_2 ",\"gid\":[]", INVALID, "gid" },
};

static const BadKeys bridge_bad[] = {
        { SHARED, ",\"bridgeType\":\"L2\"", NEVER, "bridgeType|L2|L3" },
        { SHARED, ",\"bridgeType\":\"L4\"", INVALID, "bridgeType|L4|L3" },
        { SHARED, ",\"interfaceType\":\"tap\"", NEVER, "interfaceType|tap|veth" },
        { SHARED, ",\"interfaceType\":[]", INVALID, "interfaceType" },
        { SHARED, "", INVALID, "eniMACAddress|eniName" },
        { SHARED, ",\"eniName\":\"a/b\"", INVALID, "eniName|a/b" },
        { SHARED, ",\"eniMACAddress\":\"x\"", INVALID, "eniMACAddress|x" },
        { SHARED, VPC_NIC, INVALID, "ipAddresses|missing" },
        { SHARED, VPC_NIC ",\"ipAddresses\":[\"fd00::5/64\"]", NEVER, "ipAddresses[0]|fd00::5" },
        { SHARED, POD_IP ",\"eniIPAddresses\":[\"x\"]", INVALID, "eniIPAddresses[0]|x" },
        { SHARED, POD_IP ",\"vpcCIDRs\":\"x\"", INVALID, "vpcCIDRs|x" },
        { SHARED, POD_IP ",\"bridgeNetNSPath\":7", INVALID, "bridgeNetNSPath|7" },
        { SHARED, POD_IP ",\"gatewayIPAddress\":\"x\"", INVALID, "gatewayIPAddress|x" },
        { SHARED, POD_IP ",\"blockInstanceMetadata\":[]", INVALID, "blockInstanceMetadata" },
        { SHARED, POD_IP ",\"tapUserID\":\"x\"", INVALID, "tapUserID|x" },
        { SIDE, "", INVALID, "bridge|missing" },
        { SIDE, ",\"bridge\":\"a/b\"", INVALID, "bridge|a/b" },
        { SIDE, SIDE_1 ",\"mtu\":1", INVALID, "mtu|1" },
        { SIDE, SIDE_1, INVALID, "ipam|missing" },
        { SIDE, SIDE_1 ",\"ipam\":[]", INVALID, "ipam|[" },
        { SIDE, SIDE_1 ",\"ipam\":{\"type\":7}", INVALID, "ipam.type|7" },
        { SIDE, POOL(""), INVALID, "ipam.ipv4-subnet|missing" },
        { SIDE, POOL(NET4 ",\"id\":7"), INVALID, "ipam.id|7" },
        { SIDE, POOL(",\"ipv4-subnet\":\"x\""), INVALID, "ipam.ipv4-subnet|x" },
        { SIDE, POOL(",\"ipv4-subnet\":\"fd00::/64\""), INVALID, "ipam.ipv4-subnet|fd00::" },
        { SIDE, POOL(",\"ipv4-subnet\":\"10.0.0.1/24\""), INVALID, "ipam.ipv4-subnet|10.0.0.1" },
        { SIDE, POOL(",\"ipv4-subnet\":\"10.0.0.0/31\""), INVALID, "ipam.ipv4-subnet|10.0.0.0/31" },
        { SIDE, POOL(NET6 ",\"ipv4-address\":\"10.0.0.1/24\""), INVALID,
          "ipam.ipv4-subnet|ipam.ipv4-address" },
        { SIDE, POOL(NET6 ",\"ipv4-routes\":[]"), INVALID, "ipam.ipv4-subnet|ipam.ipv4-routes" },
        { SIDE, POOL(NET4 ",\"ipv4-gateway\":\"10.0.0.1\""), INVALID,
          "ipam.ipv4-gateway|10.0.0.1|169.254" },
        { SIDE, POOL(NET4 ",\"ipv4-gateway\":\"fd00::1\""), INVALID, "ipam.ipv4-gateway|fd00::1" },
        { SIDE, POOL(NET4 ",\"ipv4-address\":\"10.0.0.1/24\""), INVALID,
          "ipam.ipv4-address|10.0.0.1" },
        { SIDE, POOL(NET4 ",\"ipv4-address\":\"169.254.172.1/22\""), INVALID,
          "ipam.ipv4-address|172.1|gateway" },
        { SIDE, POOL(NET4 ",\"ipv4-address\":\"169.254.172.0/22\""), INVALID,
          "ipam.ipv4-address|172.0" },
        { SIDE, POOL(NET4 NET6 ",\"ipv4-address\":\"169.254.172.9/22\""), INVALID,
          "ipam.ipv6-address" },
        { SIDE, POOL(NET4 NET6 ",\"ipv6-address\":\"fd00:1::9/64\""), INVALID,
          "ipam.ipv4-address" },
        { SIDE, POOL(NET4 ",\"ipv4-routes\":[{\"gw\":\"10.0.0.1\"}]"), INVALID,
          "ipam.ipv4-routes[0]|dst" },
        { SIDE, POOL(NET4 ",\"ipv4-routes\":[{\"dst\":\"fd00::/64\"}]"), INVALID,
          "ipam.ipv4-routes[0].dst|fd00::" },
        { SIDE, POOL(NET4 ",\"ipv4-routes\":7"), INVALID, "ipam.ipv4-routes|7" },
};

static void test_bad(void **state) {
        plugins_bad(eni_bad, ELEMENTSOF(eni_bad));
        plugins_bad(branch_bad, ELEMENTSOF(branch_bad));
        plugins_bad(bridge_bad, ELEMENTSOF(bridge_bad));
}

/* Each of these is another network. */
static void test_hash(void **state) {
        static const struct {
                NetPlugin plugin;
                const char *text;
        } table[] = {
                { ENI, AS("ecs-eni", ENI_IP) },
                { ENI, AS("ecs-eni", ENI_IP ",\"block-instance-metadata\":true") },
                { ENI, AS("ecs-eni", ENI_IP ",\"stay-down\":true") },
                { VPC, AS("vpc-eni", VPC_IP) },
                { BRANCH, AS("vpc-branch-eni", BRANCH_2) },
                { BRANCH,
                  AS("vpc-branch-eni", BRANCH_2 ",\"trunkMACAddress\":\"12:00:00:00:00:01\"") },
                { SHARED, AS("vpc-bridge", POD_IP) },
                { SHARED, AS("vpc-bridge", POD_IP ",\"eniMACAddress\":\"12:00:00:00:00:01\"") },
                { SIDE, AS("ecs-bridge", POOL(NET4)) },
        };
        uint64_t hashes[ELEMENTSOF(table)];

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_(netconf_freep) NetConf *c = plugin_ok(table[i].plugin, table[i].text);

                hashes[i] = c->hash;
                for (size_t k = 0; k < i; k++)
                        assert_true(hashes[i] != hashes[k]);
        }
}

/* The key of type netmgr. */
static void test_netmgr(void **state) {
        _cleanup_(netconf_freep) NetConf
                        *c = parse_ok(RANGE("\"subnet\":\"10.97.0.0/24\"")),
                        *blocked = parse_ok(
                                        CONF(",\"blockInstanceMetadata\":true,\"ipam\":{\"type\":"
                                             "\"local\",\"subnet\":\"10.97.0.0/24\"}"));

        assert_false(c->block_metadata);
        assert_true(blocked->block_metadata);
        assert_true(c->hash != blocked->hash);
        parse_bad(CONF(",\"blockInstanceMetadata\":\"x\""), INVALID, "blockInstanceMetadata|x");
        parse_bad(CONF(",\"network\":\"n\",\"blockInstanceMetadata\":true"), ERROR_UNKNOWN_OPTION,
                  "blockInstanceMetadata|network");
        parse_bad(CONF(",\"kind\":\"loopback\",\"blockInstanceMetadata\":true"),
                  ERROR_UNKNOWN_OPTION, "blockInstanceMetadata|loopback");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_ecs_eni),        cmocka_unit_test(test_ecs_eni_older_keys),
                cmocka_unit_test(test_stay_down),      cmocka_unit_test(test_vpc_eni),
                cmocka_unit_test(test_vpc_branch_eni), cmocka_unit_test(test_vpc_bridge),
                cmocka_unit_test(test_ecs_bridge),     cmocka_unit_test(test_bad),
                cmocka_unit_test(test_hash),           cmocka_unit_test(test_netmgr),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
