# SPDX-License-Identifier: LGPL-2.1-or-later
"""IPAM `local`: host-local's keys, requested addresses, exhaustion, cooldown, no address twice."""
import json

import pytest
from netmgr_host import bridge, netconf, routed, settle


def conf(**keys):
    """A network whose ipam object is exactly this"""
    version = keys.pop("version", "1.0.0")
    return netconf("net1", version=version, ipam={"type": "local", **keys})


def fill(host, configuration, n):
    return [host.add(configuration).ips[0] for _ in range(n)]


# --- keys ----------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_subnet_alone(host):
    assert fill(host, conf(subnet="10.97.0.0/24"), 2) == ["10.97.0.2", "10.97.0.3"]


def test_range_and_gateway(host):
    c = conf(subnet="10.97.0.0/24", rangeStart="10.97.0.10", rangeEnd="10.97.0.12", gateway="10.97.0.11")
    assert fill(host, c, 2) == ["10.97.0.10", "10.97.0.12"]


def test_gateway_of_a_bridge_is_the_configured_one(host):
    a = host.add(netconf("net2", kind="bridge", isGateway=True, isDefaultGateway=True,
                         ipam={"type": "local", "subnet": "10.97.1.0/24", "gateway": "10.97.1.254"}))
    assert a.result["ips"][0]["gateway"] == "10.97.1.254"
    assert ("default", "10.97.1.254") in a.pod.routes(4)
    a.pod.wait_ping("10.97.1.254")


def test_exclude(host):
    c = conf(ranges=[[{"subnet": "10.97.0.0/29", "exclude": ["10.97.0.2", "10.97.0.4/31"]}]])
    assert fill(host, c, 2) == ["10.97.0.3", "10.97.0.6"]
    host.try_add(c)[0].expect_error(101, "10.97.0.0/29")


def test_exclude_beside_subnet(host):
    assert fill(host, conf(subnet="10.97.0.0/29", exclude=["10.97.0.2/31"]), 1) == ["10.97.0.4"]


def test_ranges_of_one_set_follow_each_other(host):
    c = conf(ranges=[[{"subnet": "10.97.0.0/24", "rangeStart": "10.97.0.10", "rangeEnd": "10.97.0.11"},
                      {"subnet": "10.97.5.0/24", "rangeStart": "10.97.5.20", "rangeEnd": "10.97.5.20"}]])
    assert fill(host, c, 3) == ["10.97.0.10", "10.97.0.11", "10.97.5.20"]
    host.try_add(c)[0].expect_error(101)


def test_subnet_and_ranges_give_one_address_each(host):
    c = conf(subnet="10.97.0.0/24", ranges=[[{"subnet": "fd97::/64"}], [{"subnet": "10.97.5.0/24"}]])
    assert host.add(c).ips == ["10.97.0.2", "fd97::2", "10.97.5.2"]


def test_ipv6_alone(host):
    a = host.add(conf(ranges=[[{"subnet": "fd97::/64", "rangeStart": "fd97::10", "rangeEnd": "fd97::ffff"}]]))
    assert a.cidrs == ["fd97::10/128"]
    host.wait_ping("fd97::10")


def test_smallest_subnets(host):
    a = host.add(netconf("net1", ipam={"type": "local", "ranges": [[{"subnet": "10.97.0.0/30"}],
                                                                   [{"subnet": "fd97::/126"}]]}))
    assert a.ips == ["10.97.0.2", "fd97::2"]


def test_last_address_of_a_subnet(host):
    c = conf(subnet="10.97.0.0/24", rangeStart="10.97.0.254")
    assert fill(host, c, 1) == ["10.97.0.254"]
    host.try_add(c)[0].expect_error(101, "10.97.0.254")


def test_routes_of_ipam(host):
    a = host.add(bridge("net2", routes=[{"dst": "10.98.0.0/16"}, {"dst": "10.99.0.0/16", "gw": "10.97.1.7"}]))
    assert a.pod.routes(4) >= {("10.98.0.0/16", "10.97.1.1"), ("10.99.0.0/16", "10.97.1.7")}


# --- requested addresses -------------------------------------------------------------------------

WAYS = {
    "CNI_ARGS": lambda ip: ({}, f"IP={ip}"),
    "args.cni.ips": lambda ip: ({"args": {"cni": {"ips": [ip]}}}, None),
    "runtimeConfig.ips": lambda ip: ({"runtimeConfig": {"ips": [ip]}}, None),
}


@pytest.mark.parametrize("ip", ["10.97.0.99", "10.97.0.99/24"])
@pytest.mark.parametrize("way", WAYS)
def test_requested_address(host, way, ip):
    keys, args = WAYS[way](ip)
    assert host.add({**routed(), **keys}, args=args).ips == ["10.97.0.99"]


@pytest.mark.parametrize("way", WAYS)
def test_requested_address_that_is_taken(host, way):
    keys, args = WAYS[way]("10.97.0.2")
    first = host.add(routed())
    pod = host.pod()
    with host.unchanged():
        host.try_add({**routed(), **keys}, pod, args=args)[0].expect_error(102, "10.97.0.2")
    first.check().expect_ok()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("ip", ["10.98.0.5", "10.97.0.1", "10.97.0.0", "10.97.0.255"],
                         ids=["outside", "gateway", "network", "broadcast"])
def test_requested_address_that_cannot_be(host, way, ip):
    keys, args = WAYS[way](ip)
    pod = host.pod()
    with host.unchanged():
        host.try_add({**routed(), **keys}, pod, args=args)[0].expect_error({7, 102}, ip)


def test_requested_by_all_three_ways_at_once(host):
    c = {**routed("net1", "10.97.0.0/24", "fd97::/64", "10.97.5.0/24"),
         "args": {"cni": {"ips": ["fd97::77"]}}, "runtimeConfig": {"ips": ["10.97.5.77"]}}
    assert host.add(c, args="IP=10.97.0.77").ips == ["10.97.0.77", "fd97::77", "10.97.5.77"]


def test_two_requests_for_one_set(host):
    c = {**routed(), "runtimeConfig": {"ips": ["10.97.0.77", "10.97.0.78"]}}
    host.try_add(c)[0].expect_error({7, 102}, "10.97.0.78")


def test_a_part_of_the_sets_requested(host):
    c = {**routed("net1", "10.97.0.0/24", "fd97::/64"), "runtimeConfig": {"ips": ["fd97::77"]}}
    assert host.add(c).ips == ["10.97.0.2", "fd97::77"]


def test_a_requested_address_may_be_one_that_rests(host):
    a = host.add(routed())
    a.delete().expect_ok()
    assert host.add({**routed(), "runtimeConfig": {"ips": [a.ips[0]]}}).ips == a.ips


def test_runtime_ranges(host):
    c = {"cniVersion": "1.0.0", "name": "net1", "type": "netmgr", "ipam": {"type": "local"},
         "runtimeConfig": {"ipRanges": [[{"Subnet": "10.97.8.0/24", "RangeStart": "10.97.8.9"}],
                                        [{"subnet": "fd97:8::/64"}]]}}
    assert host.add(c).ips == ["10.97.8.9", "fd97:8::2"]


# --- order and exhaustion ------------------------------------------------------------------------

@pytest.mark.sanitize
def test_exhaustion_names_the_range_and_the_use(host):
    c = routed("net1", "10.97.0.0/29", "fd97::/64")
    for _ in range(5):
        host.add(c)
    pod = host.pod()
    with host.unchanged():
        host.try_add(c, pod)[0].expect_error(101, "10.97.0.", "5")


def test_freed_address_comes_last(host):
    c = routed("net1", "10.97.0.0/29")
    a, b = host.add(c), host.add(c)
    a.delete().expect_ok()
    assert (a.ips, b.ips) == (["10.97.0.2"], ["10.97.0.3"])
    assert fill(host, c, 3) == ["10.97.0.4", "10.97.0.5", "10.97.0.6"]
    assert fill(host, c, 1) == ["10.97.0.2"]  # nothing else is free


def test_longest_released_goes_first_when_nothing_else_is_free(host):
    c = routed("net1", "10.97.0.0/29")
    five = [host.add(c) for _ in range(5)]
    order = [3, 0, 4]
    for i in order:
        five[i].delete().expect_ok()
    assert fill(host, c, 3) == [five[i].ips[0] for i in order]


def test_released_addresses_are_listed(host):
    a = host.add(routed())
    a.delete().expect_ok()
    row, = host.describe("addresses")
    assert (row["State"], row["Network"], row["Sandbox"], row["Interface"]) == ("released", "net1", a.cid, "eth0")
    assert row["ReleasedAt"].startswith("20") and "T" in row["ReleasedAt"]


@pytest.mark.host(conf="[Addresses]\nCooldownSec=0\n")
def test_round_robin_goes_on_where_it_stood(host):
    c = routed("net1", "10.97.0.0/29")
    seen = []
    for _ in range(7):
        a = host.add(c)
        seen.append(a.ips[0][-1])
        a.delete().expect_ok()
    assert seen == ["2", "3", "4", "5", "6", "2", "3"]


def test_order_survives_a_restart(host):
    c = routed("net1", "10.97.0.0/29")
    a = host.add(c)
    a.delete().expect_ok()
    host.netmgrd.restart()
    assert fill(host, c, 1) == ["10.97.0.3"]


# --- never twice ---------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_a_hundred_at_once_share_no_address(host, kind):
    """On a fresh network, so that the bridge is made by the first of them too."""
    subnets = ("10.97.0.0/24", "fd97::/64")
    c = routed("net1", *subnets) if kind == "routed" else bridge("net1", *subnets)
    many = host.add_many(c, 100, workers=32)
    given = [ip for a in many for ip in a.ips]
    assert len(given) == len(set(given)) == 200
    in_kernel = [a for x in many for a in x.pod.addresses()]
    assert sorted(in_kernel) == sorted(c for x in many for c in x.cidrs)
    host.delete_many(many, workers=32)
    assert host.held() == {}


def test_two_networks_on_one_range_share_no_address(host):
    """Routed networks share the host's routing table: an address is held once, whoever asks."""
    a = host.add(routed("net1"))
    reply, b = host.try_add(routed("net2"))
    if b is None:
        reply.expect_error({7, 102, 104}, "10.97.0.0/24")
    else:
        assert a.ips != b.ips


def test_add_and_del_in_a_storm(host):
    c = routed("net1", "10.97.0.0/26")
    pods = host.make_pods(16)

    def life(i):
        for _ in range(5):
            a = host.add(c, pods[i])
            assert a.pod.addresses() == set(a.cidrs)
            a.delete().expect_ok()
    host.parallel(16, life)
    assert host.held() == {}


# --- overlap -------------------------------------------------------------------------------------

@pytest.mark.parametrize("ranges", [
    [[{"subnet": "10.97.0.0/24"}], [{"subnet": "10.97.0.0/24"}]],
    [[{"subnet": "10.97.0.0/24"}], [{"subnet": "10.97.0.128/25"}]],
    [[{"subnet": "10.97.0.0/24"}, {"subnet": "10.97.0.0/16", "rangeStart": "10.97.0.5"}]],
    [[{"subnet": "fd97::/64"}], [{"subnet": "fd97::/80"}]],
])
def test_overlapping_ranges_are_refused(host, ranges):
    pod = host.pod()
    with host.unchanged():
        reply = host.try_add(conf(ranges=ranges), pod)[0].expect_error(7, "overlap")
    assert "97" in reply.sentence


def test_overlap_with_a_route_of_the_host_is_refused(host):
    host.run(["ip", "link", "add", "own0", "type", "veth", "peer", "name", "own1"])
    host.run(["ip", "addr", "add", "10.97.0.7/20", "dev", "own0"])
    host.run(["ip", "link", "set", "own0", "up"])
    try:
        pod = host.pod()
        with host.unchanged():
            host.try_add(routed(), pod)[0].expect_error({7, 102, 104}, "10.97.0.0/")
    finally:
        host.run(["ip", "link", "delete", "own0"])


def test_use_is_counted(host):
    a, _ = host.add(routed("net1", "10.97.0.0/29")), host.add(routed("net1", "10.97.0.0/29"))
    net, = host.describe("networks")
    assert (net["Name"], net["Used"], net["Subnets"]) == ("net1", 2, ["10.97.0.0/29"])
    assert net["Free"] == 3
    a.delete().expect_ok()
    settle(lambda: host.describe("networks")[0]["Used"] == 1, "one address in use")


def test_ledger_is_what_other_programs_read(host):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
    row, = host.sql("SELECT * FROM attachment")
    assert (row["network"], row["sandbox"], row["ifname"], row["state"]) == ("net1", a.cid, "eth0", "up")
    assert json.loads(row["request"])["name"] == "net1"
    assert host.ledger()["address"] == 2
