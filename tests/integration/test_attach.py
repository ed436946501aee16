# SPDX-License-Identifier: LGPL-2.1-or-later
"""A sandbox gets its network: kinds, families, pings, and results in every version of CNI."""
import ipaddress

import pytest
from netmgr_host import VERSIONS, bridge, netconf, routed, settle, subnet_of

# what they need of the kernel differs from one to the next
pytestmark = pytest.mark.vm

V4, V6 = "10.97.0.0/24", "fd97::/64"
B4, B6 = "10.97.1.0/24", "fd97:1::/64"
FAMILIES = {"v4": (0,), "v6": (1,), "dual": (0, 1)}


def subnets(kind, family):
    both = (V4, V6) if kind == "routed" else (B4, B6)
    return [both[i] for i in FAMILIES[family]]


def make(kind, family, name="net1", **keys):
    return (routed if kind == "routed" else bridge)(name, *subnets(kind, family), **keys)


@pytest.mark.sanitize
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_two_pods_reach_each_other_and_the_host(host, kind, family):
    conf = make(kind, family)
    a, b = host.add(conf), host.add(conf)
    for one, subnet in enumerate(subnets(kind, family)):
        assert subnet_of(a.cidrs[one], subnet) and subnet_of(b.cidrs[one], subnet)
        a.pod.wait_ping(b.ips[one])
        b.pod.wait_ping(a.ips[one])
        host.wait_ping(a.ips[one])
        v6 = ":" in subnet
        gateway = ("2001:db8::1" if v6 else "192.0.2.1") if kind == "routed" else \
            str(next(ipaddress.ip_network(subnet).hosts()))
        a.pod.wait_ping(gateway)
    assert not set(a.ips) & set(b.ips)
    for x in (a, b):
        assert x.pod.addresses() == set(x.cidrs)
        x.check().expect_ok()


@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_delete_takes_the_interfaces_at_once(host, kind):
    """DEL answers when the interface is gone from both namespaces: no wait here."""
    a = host.add(make(kind, "dual"))
    assert host.link(a.host_ifname) and a.pod.link("eth0")
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None
    assert host.link(a.host_ifname) is None
    assert host.held() == {}
    host.add(make(kind, "dual"), pod=a.pod)  # the same name can be made again at once


def test_pods_of_different_networks_reach_each_other(host):
    a = host.add(routed("net1", V4, V6))
    b = host.add(bridge("net2", B4, B6, isDefaultGateway=True))
    c = host.add(routed("net3", "10.97.2.0/24"))
    for one in (0, 1):
        a.pod.wait_ping(b.ips[one])
        b.pod.wait_ping(a.ips[one])
    a.pod.wait_ping(c.ips[0])
    b.pod.wait_ping(c.ips[0])


def test_one_sandbox_on_two_networks(host):
    pod = host.pod()
    a = host.add(routed("net1", V4), pod=pod)
    b = host.add(bridge("net2", B4), pod=pod, ifname="eth1")
    assert pod.addresses("eth0") == set(a.cidrs) and pod.addresses("eth1") == set(b.cidrs)
    other = host.add(bridge("net2", B4))
    pod.wait_ping(other.ips[0])
    a.delete().expect_ok()
    assert pod.link("eth0") is None and pod.link("eth1")
    b.check().expect_ok()


def test_two_interfaces_of_one_sandbox_on_one_network(host):
    pod = host.pod()
    conf = bridge("net1", B4)
    a, b = host.add(conf, pod=pod), host.add(conf, pod=pod, ifname="eth1")
    assert a.ips != b.ips
    a.delete().expect_ok()
    assert pod.addresses("eth1") == set(b.cidrs)


# --- routed --------------------------------------------------------------------------------------

def test_routed_pod_as_the_kernel_shows_it(host):
    a = host.add(routed("net1", V4, V6))
    assert [c.split("/")[1] for c in a.cidrs] == ["32", "128"]
    assert ("default", "169.254.1.1") in a.pod.routes(4)
    assert ("default", "fe80::1") in a.pod.routes(6)
    link = a.pod.link("eth0")
    assert link["linkinfo"]["info_kind"] == "veth"
    # the kernel's link watch says UP a moment after the link is
    settle(lambda: a.pod.link("eth0")["operstate"] == "UP", "eth0 is up")
    settle(lambda: host.link(a.host_ifname)["operstate"] == "UP", "the host end is up")
    outer = host.link(a.host_ifname)
    neighbours = {n["dst"]: n for n in a.pod.ip("neigh", "show", "dev", "eth0")}
    for gateway in ("169.254.1.1", "fe80::1"):
        assert "PERMANENT" in neighbours[gateway]["state"]
        assert neighbours[gateway]["lladdr"] == outer["address"]
    for address in a.ips:
        family = "-6" if ":" in address else "-4"
        route, = host.ip(family, "route", "show", address)
        assert route["dev"] == a.host_ifname
        n = [n for n in host.ip("neigh", "show", "dev", a.host_ifname) if n["dst"] == address]
        assert n and "PERMANENT" in n[0]["state"] and n[0]["lladdr"] == link["address"]
    # no IPv4 address on the host's end, of IPv6 only the gateway's
    assert {f"{i['local']}" for x in host.ip("addr", "show", "dev", a.host_ifname)
            for i in x["addr_info"]} == {"fe80::1"}
    for mac in (link["address"], outer["address"]):
        assert mac.startswith("02:")


def test_routed_with_routes_of_its_own_has_no_default(host):
    a = host.add(routed("net1", V4, routes=[{"dst": "10.97.0.0/16"}, {"dst": "198.51.100.0/24", "mtu": 1300,
                                                                      "advmss": 1200, "priority": 77}]))
    assert a.pod.routes(4) >= {("10.97.0.0/16", "169.254.1.1"), ("198.51.100.0/24", "169.254.1.1")}
    assert not [r for r in a.pod.routes(4) if r[0] == "default"]
    route, = a.pod.ip("route", "show", "198.51.100.0/24")
    assert route["metric"] == 77
    metrics = {k: v for m in route["metrics"] for k, v in m.items()}
    assert metrics == {"mtu": 1300, "advmss": 1200}


def test_mtu_reaches_both_ends_and_the_result(host):
    for kind in ("routed", "bridge"):
        a = host.add(make(kind, "v4", name="n-" + kind, mtu=1400, version="1.1.0"))
        assert a.pod.link("eth0")["mtu"] == 1400
        assert host.link(a.host_ifname)["mtu"] == 1400
        assert [i["mtu"] for i in a.result["interfaces"] if i.get("sandbox")] == [1400]


# --- bridge --------------------------------------------------------------------------------------

def test_bridge_as_the_kernel_shows_it(host):
    conf = bridge("net2", B4, B6)
    a, b = host.add(conf), host.add(conf)
    link = host.link("nmb-net2")
    assert link["linkinfo"]["info_kind"] == "bridge" and link["operstate"] == "UP"
    assert host.link(a.host_ifname)["master"] == "nmb-net2"
    on_bridge = {f"{i['local']}/{i['prefixlen']}" for x in host.ip("addr", "show", "dev", "nmb-net2")
                 for i in x["addr_info"] if i["scope"] == "global"}
    assert on_bridge == {"10.97.1.1/24", "fd97:1::1/64"}
    assert a.cidrs[0].endswith("/24") and a.cidrs[1].endswith("/64")
    assert [i.get("gateway") for i in a.result["ips"]] == ["10.97.1.1", "fd97:1::1"]
    mac = link["address"]
    a.delete().expect_ok()
    assert host.link("nmb-net2")["address"] == mac  # it does not follow its ports
    b.delete().expect_ok()


def test_bridge_without_gateway_is_plain_layer_2(host):
    conf = bridge("net2", B4, isGateway=False)
    a, b = host.add(conf), host.add(conf)
    a.pod.wait_ping(b.ips[0])
    assert not [i for x in host.ip("addr", "show", "dev", "nmb-net2") for i in x["addr_info"]
                if i["family"] == "inet"]


def test_bridge_default_gateway_and_name(host):
    a = host.add(bridge("net2", B4, B6, bridge="testbr0", isDefaultGateway=True))
    assert ("default", "10.97.1.1") in a.pod.routes(4)
    assert ("default", "fd97:1::1") in a.pod.routes(6)
    assert host.link(a.host_ifname)["master"] == "testbr0"


def test_bridge_hairpin_and_promiscuous_mode(host):
    a = host.add(bridge("net2", B4, hairpinMode=True))
    port = [x for x in host.ip("-d", "link", "show") if x["ifname"] == a.host_ifname][0]
    assert port["linkinfo"]["info_slave_data"]["hairpin"] is True
    b = host.add(bridge("net3", "10.97.3.0/24", promiscMode=True))
    assert host.link("nmb-net3")["promiscuity"] >= 1
    assert "PROMISC" in host.link("nmb-net3")["flags"]
    b.delete().expect_ok()


def test_bridge_long_network_name_is_hashed(host):
    names = ["a-network-with-a-long-name-1", "a-network-with-a-long-name-2"]
    a = host.add(bridge(names[0], B4))
    b = host.add(bridge(names[1], "10.97.3.0/24"))
    bridges = [host.link(x.host_ifname)["master"] for x in (a, b)]
    assert bridges[0] != bridges[1]
    assert all(name.startswith("nmb-") and len(name) <= 15 for name in bridges)


def test_bridge_of_somebody_else_stays(host):
    host.run(["ip", "link", "add", "own0", "type", "bridge"])
    try:
        a = host.add(bridge("net2", B4, bridge="own0", isGateway=False))
        a.delete().expect_ok()
        assert host.link("own0")
    finally:
        host.run(["ip", "link", "delete", "own0"])


def test_bridge_name_that_is_no_bridge(host):
    host.run(["ip", "link", "add", "own0", "type", "veth", "peer", "name", "own1"])
    try:
        pod = host.pod()
        with host.unchanged():
            host.try_add(bridge("net2", B4, bridge="own0"), pod)[0].expect_error({7, 100, 105}, "own0")
    finally:
        host.run(["ip", "link", "delete", "own0"])


def test_bridge_address_of_another_subnet_needs_force(host):
    host.run(["ip", "link", "add", "own0", "type", "bridge"])
    host.run(["ip", "addr", "add", "10.98.0.1/24", "dev", "own0"])
    try:
        pod = host.pod()
        host.try_add(bridge("net2", B4, bridge="own0"), pod)[0].expect_error({7, 100, 105}, "own0")
        a = host.add(bridge("net2", B4, bridge="own0", forceAddress=True), pod)
        have = {i["local"] for x in host.ip("-4", "addr", "show", "dev", "own0") for i in x["addr_info"]}
        assert have == {"10.97.1.1"}
        a.delete().expect_ok()
    finally:
        host.run(["ip", "link", "delete", "own0"])


# --- loopback ------------------------------------------------------------------------------------

LOOPBACK = {"cniVersion": "0.3.1", "name": "cni-loopback", "type": "loopback"}


@pytest.mark.sanitize
def test_loopback_under_the_reference_name(host):
    pod = host.pod()
    assert "UP" not in pod.link("lo")["flags"]
    a = host.add(LOOPBACK, pod, ifname="lo", plugin="loopback")
    assert "UP" in pod.link("lo")["flags"]
    assert a.result == {
        "cniVersion": "0.3.1",
        "interfaces": [{"name": "lo", "mac": "00:00:00:00:00:00", "sandbox": pod.path}],
        "ips": [{"version": "4", "interface": 0, "address": "127.0.0.1/8"},
                {"version": "6", "interface": 0, "address": "::1/128"}],
    } | ({"dns": {}} if "dns" in a.result else {})
    pod.wait_ping("127.0.0.1")
    pod.wait_ping("::1")
    a.delete().expect_ok()


def test_loopback_as_a_kind(host):
    a = host.add(netconf("lonet", kind="loopback", version="1.0.0"), ifname="lo")
    assert a.cidrs == ["127.0.0.1/8", "::1/128"]
    assert [i["name"] for i in a.result["interfaces"]] == ["lo"]
    a.check().expect_ok()


def test_loopback_ignores_keys_that_it_does_not_know(host):
    host.add({**LOOPBACK, "someKey": 1, "ipam": {"type": "whatever"}}, ifname="lo", plugin="loopback")


# --- results, exactly ----------------------------------------------------------------------------

def expected_result(version, interfaces, ips, routes, dns):
    """The result of a specification version. interfaces: [(name, mac, mtu, sandbox)];
    ips: [(cidr, gateway, interface)]; routes: [(dst, gw)]"""
    old = VERSIONS.index(version)
    if version in ("0.1.0", "0.2.0"):
        out = {"cniVersion": version}
        for key, v6 in (("ip4", False), ("ip6", True)):
            mine = [i for i in ips if (":" in i[0]) == v6]
            if mine:
                out[key] = {"ip": mine[0][0], "gateway": mine[0][1]}
                through = [{"dst": d, "gw": g} for d, g in routes if (":" in d) == v6]
                if through:
                    out[key]["routes"] = through
        out["dns"] = dns
        return out
    modern = old >= VERSIONS.index("1.0.0")
    out = {"cniVersion": version, "interfaces": [], "ips": [], "dns": dns}
    for name, mac, mtu, sandbox in interfaces:
        entry = {"name": name, "mac": mac}
        if modern:
            entry["mtu"] = mtu
        if sandbox:
            entry["sandbox"] = sandbox
        out["interfaces"].append(entry)
    for cidr, gateway, index in ips:
        entry = {"address": cidr, "gateway": gateway, "interface": index}
        if not modern:
            entry["version"] = "6" if ":" in cidr else "4"
        out["ips"].append(entry)
    out["routes"] = [{"dst": d, "gw": g} for d, g in routes]
    return out


@pytest.mark.parametrize("kind", ["routed", "bridge"])
@pytest.mark.parametrize("version", VERSIONS)
def test_result_of_every_version(host, version, kind):
    dns = {"nameservers": ["192.0.2.53"], "domain": "example.org", "search": ["example.org", "example.net"],
           "options": ["ndots:2"]}
    conf = make(kind, "dual", version=version, dns=dns, routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}])
    a = host.add(conf)
    if kind == "routed":
        gateways = ["169.254.1.1", "fe80::1"]
        addresses = ["10.97.0.2/32", "fd97::2/128"]
    else:
        gateways = ["10.97.1.1", "fd97:1::1"]
        addresses = ["10.97.1.2/24", "fd97:1::2/64"]
    inner = a.pod.link("eth0")
    outer = [x for x in host.ip("link", "show") if x["ifname"].startswith("nmg")][0]
    interfaces = [(outer["ifname"], outer["address"], outer["mtu"], None),
                  ("eth0", inner["address"], inner["mtu"], a.pod.path)]
    if kind == "bridge":
        br = host.link("nmb-net1")
        interfaces.insert(0, (br["ifname"], br["address"], br["mtu"], None))
    got = a.result
    # a default gateway may be left to the address: the two forms mean the same
    for route in got.get("routes", []) + [r for k in ("ip4", "ip6") for r in got.get(k, {}).get("routes", [])]:
        route.setdefault("gw", gateways[":" in route["dst"]])
    assert got == expected_result(version, interfaces,
                                  [(c, g, len(interfaces) - 1) for c, g in zip(addresses, gateways)],
                                  [("0.0.0.0/0", gateways[0]), ("::/0", gateways[1])], dns)
    if version >= "0.4.0":
        a.check().expect_ok()


def test_stdout_is_the_result_and_nothing_else(host):
    a = host.add(routed())
    assert a.reply.stdout.strip().startswith("{") and a.reply.stdout.strip().endswith("}")
    reply = a.delete()
    assert reply.stdout == ""


# --- the plugin's way to the daemon --------------------------------------------------------------

def test_without_the_private_socket_the_system_bus_is_used(host):
    a = host.add(routed(), env={"NETMGR_RUNTIME_DIR": "/run/nothing-here"})
    a.delete(env={"NETMGR_RUNTIME_DIR": "/run/nothing-here"}).expect_ok()


def test_without_a_bus_the_private_socket_is_enough(host):
    a = host.add(routed(), env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/nothing-here"})
    a.delete(env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/nothing-here"}).expect_ok()
