# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configurations of ecs-eni, vpc-eni, vpc-branch-eni, vpc-bridge and ecs-bridge: interfaces found by MAC, their
addresses and gateways, and a metadata service that is out of reach."""
import contextlib
import json

import pytest
from netmgr_host import bridge, routed, settle
from test_kinds import uplink
from traffic import ask, check_listing, dropped, elements, serving

META4, META6 = "169.254.169.254", "fd00:ec2::254"
GW4, GW6 = "10.98.7.1", "fd98:7::1"
BLOCKED = "metadata service is blocked"

CONNECT = """
import errno, socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
s.settimeout(3)
try:
    s.connect((sys.argv[1], 80))
    print("connected")
except OSError as e:
    print(errno.errorcode.get(e.errno, "timeout"))
"""


def connect(pod, address):
    return pod.run(["/usr/bin/python3", "-c", CONNECT, address]).stdout.strip()


def profile(plugin, name="eni", **keys):
    return {"cniVersion": "1.0.0", "name": name, "type": plugin, **keys}


def ecs_eni(mac, *addresses, gateways=(GW4,), **keys):
    return profile("ecs-eni", eni="eni-0123", mac=mac, **{"ip-addresses": list(addresses or ["10.98.7.5/24"]),
                                                          "gateway-ip-addresses": list(gateways)}, **keys)


def vpc_eni(mac, *addresses, gateways=(GW4,), **keys):
    return profile("vpc-eni", eniMACAddress=mac, eniIPAddresses=list(addresses or ["10.98.7.5/24"]),
                   gatewayIPAddresses=list(gateways), **keys)


def facts(host, name):
    link = host.link(name)
    return link and (link["address"], link["mtu"], "UP" in link["flags"])


class Nic:
    """A NIC of the host (a veth) and the router at the other end of its wire, which has the metadata service."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.router = uplink(host, f"{GW4}/24", name=name)
        self.router.run(["sh", "-c", f"ip link set lo up; ip addr add {GW6}/64 dev far nodad; "
                         f"ip link set far mtu 9000; ip addr add {META4}/32 dev lo; ip addr add {META6}/128 dev lo"])
        self.mac = host.link(name)["address"]
        self.before = facts(host, name)

    def is_home(self):
        return facts(self.host, self.name) == self.before


@pytest.fixture
def nic(host):
    nic = Nic(host, "nic0")
    host.baseline = host.snapshot()
    yield nic
    settle(nic.is_home, lambda: f"wanted {nic.before}, found {facts(host, 'nic0')}")


def prohibited(pod):
    """Destinations that nobody can send to: {"169.254.169.254", ...}"""
    return {r["dst"] for family in "46" for r in pod.ip(f"-{family}", "route", "show", "type", "prohibit")}


@pytest.mark.sanitize
@pytest.mark.parametrize("make", [ecs_eni, vpc_eni])
def test_eni(host, nic, make):
    """The NIC by its MAC, under another name of the host's than anybody knows; its traffic; home."""
    conf = make(nic.mac.upper(), "10.98.7.5/24", "fd98:7::5/64", gateways=(GW4, GW6))
    a = host.add(conf, plugin=conf["type"])
    assert facts(host, "nic0") is None
    assert [(i["name"], i["mac"], i["sandbox"]) for i in a.result["interfaces"]] == [("eth0", nic.mac, a.pod.path)]
    assert a.pod.addresses() == set(a.cidrs) == {"10.98.7.5/24", "fd98:7::5/64"}
    assert ("default", GW4) in a.pod.routes(4) and ("default", GW6) in a.pod.routes(6)
    for address in (GW4, GW6, META4, META6):
        a.pod.wait_ping(address)
    assert prohibited(a.pod) == set()
    a.check().expect_ok()
    a.delete().expect_ok()
    assert nic.is_home() and a.pod.link("eth0") is None


@pytest.mark.sanitize
@pytest.mark.parametrize("make, key", [(ecs_eni, "block-instance-metadata"), (vpc_eni, "blockInstanceMetadata")])
def test_metadata_of_an_eni(host, nic, make, key):
    """The service answers those who may ask it and hears nothing of the others."""
    addresses, gateways = ("10.98.7.5/24", "fd98:7::5/64"), (GW4, GW6)
    with serving(host, nic.router, "tcp", 4, 80, "meta"), serving(host, nic.router, "tcp", 6, 80, "meta"):
        for blocked in (False, True, False):
            conf = make(nic.mac, *addresses, gateways=gateways, **{key: blocked})
            a = host.add(conf, plugin=conf["type"])
            a.pod.wait_ping(GW4)
            a.pod.wait_ping(GW6)
            for address, me in ((META4, "10.98.7.5"), (META6, "fd98:7::5")):
                answer = ask(host, a.pod, "tcp", address, 80)
                assert answer == (None if blocked else ("meta", me)), (address, answer)
                assert connect(a.pod, address) == ("EACCES" if blocked else "connected")
            # others at the same place are not meant
            assert ask(host, a.pod, "tcp", GW4, 80) == ("meta", "10.98.7.5")
            assert prohibited(a.pod) == ({META4, META6} if blocked else set())
            a.check().expect_ok()
            a.delete().expect_ok()
            assert nic.is_home()


@pytest.mark.parametrize("family, destination", [("4", META4), ("6", META6)])
def test_check_and_reconcile_know_the_prohibit_route(host, nic, family, destination):
    conf = ecs_eni(nic.mac, "10.98.7.5/24", "fd98:7::5/64", **{"block-instance-metadata": True})
    a = host.add(conf, plugin="ecs-eni")
    a.pod.run(["ip", f"-{family}", "route", "del", "prohibit", destination])
    assert prohibited(a.pod) == {META4, META6} - {destination}
    reply = a.check()
    assert not reply.ok and destination in reply.sentence
    [found] = host.ctl_json("reconcile")["differences"]
    assert destination in json.dumps(found)
    assert prohibited(a.pod) == {META4, META6}
    a.check().expect_ok()
    a.delete().expect_ok()


def test_two_interfaces_of_one_sandbox_block_it(host, nic):
    conf = ecs_eni(nic.mac, **{"block-instance-metadata": True})
    pod = host.pod()
    a = host.add(conf, pod, plugin="ecs-eni")
    b = host.add(bridge("side", blockInstanceMetadata=True), pod, ifname="eth1")
    for x in (a, b):
        x.check().expect_ok()
    assert prohibited(pod) == {META4}
    for x in (a, b):
        x.delete().expect_ok()


def test_mtu(host, nic):
    a = host.add(ecs_eni(nic.mac, mtu=9000), plugin="ecs-eni")
    assert a.pod.link("eth0")["mtu"] == 9000
    a.pod.wait_ping(GW4)
    a.pod.run(["ping", "-n", "-c1", "-W3", "-M", "do", "-s", "8900", GW4])
    a.check().expect_ok()
    a.delete().expect_ok()
    assert nic.is_home()


@pytest.mark.parametrize("make, key", [(ecs_eni, "stay-down"), (vpc_eni, "opStateDown")])
def test_stay_down(host, nic, make, key):
    """For whoever drives it himself: moved and named, not touched."""
    conf = make(nic.mac, **{key: True})
    a = host.add(conf, plugin=conf["type"])
    link = a.pod.link("eth0")
    assert "UP" not in link["flags"] and link["address"] == nic.mac
    assert a.pod.addresses() == set() and a.cidrs == ["10.98.7.5/24"]
    a.check().expect_ok()
    a.delete().expect_ok()
    assert nic.is_home()


def test_older_keys(host, nic):
    conf = profile("ecs-eni", eni="eni-1", mac=nic.mac, **{"ipv4-address": "10.98.7.9", "ipv6-address": "fd98:7::9",
                                                          "subnetgateway-ipv4-address": f"{GW4}/24"})
    a = host.add(conf, plugin="ecs-eni")
    assert a.pod.addresses() == {"10.98.7.9/24", "fd98:7::9/64"} and ("default", GW4) in a.pod.routes(4)
    a.pod.wait_ping(META4)
    a.delete().expect_ok()


def test_by_name(host, nic):
    conf = profile("vpc-eni", eniName="nic0", eniIPAddresses=["10.98.7.5/24"])
    a = host.add(conf, plugin="vpc-eni")
    a.pod.wait_ping(GW4)
    assert "default" not in {r[0] for r in a.pod.routes(4)}
    a.delete().expect_ok()


def test_the_sandbox_dies(host, nic):
    a = host.add(ecs_eni(nic.mac), plugin="ecs-eni")
    a.pod.delete()
    settle(nic.is_home, "the NIC is home")
    settle(lambda: host.held() == {}, "the release")
    a.live = False


@pytest.mark.sanitize
def test_two_listeners_on_port_80(host):
    """Two NICs of one host, on one wire, each lent to a sandbox that listens on port 80: a client on the wire
    reaches both."""
    wire = host.pod()
    host.pods.remove(wire)
    wire.run(["sh", "-c", "ip link add br0 type bridge; ip link set br0 up; ip addr add 10.98.7.1/24 dev br0"])
    macs = []
    for name in ("nic1", "nic2"):
        host.run(["ip", "link", "add", name, "type", "veth", "peer", "name", name, "netns", wire.name])
        wire.run(["sh", "-c", f"ip link set {name} master br0; ip link set {name} up"])
        macs.append(host.link(name)["address"])
    host.baseline = host.snapshot()
    one = host.add({**ecs_eni(macs[0], "10.98.7.5/24"), "name": "task1"}, plugin="ecs-eni")
    two = host.add({**vpc_eni(macs[1], "10.98.7.6/24"), "name": "task2"}, plugin="vpc-eni")
    with serving(host, one.pod, "tcp", 4, 80, "one"), serving(host, two.pod, "tcp", 4, 80, "two"):
        for a in (one, two):
            wire.wait_ping(a.ips[0])
        assert ask(host, wire, "tcp", "10.98.7.5", 80) == ("one", "10.98.7.1")
        assert ask(host, wire, "tcp", "10.98.7.6", 80) == ("two", "10.98.7.1")
        assert ask(host, one.pod, "tcp", "10.98.7.6", 80) == ("two", "10.98.7.5")
    for a in (one, two):
        a.check().expect_ok()
        a.delete().expect_ok()


# --- type netmgr and the host's side -------------------------------------------------------------

@contextlib.contextmanager
def service_of_the_host(host):
    """The metadata service as a process of the host itself."""
    host.run(["sh", "-c", f"ip link set lo up; ip addr add {META4}/32 dev lo; ip addr add {META6}/128 dev lo"])
    with serving(host, None, "tcp", 4, 80, "meta"), serving(host, None, "tcp", 6, 80, "meta"):
        yield
    host.run(["sh", "-c", f"ip addr del {META4}/32 dev lo; ip addr del {META6}/128 dev lo"])


@pytest.mark.sanitize
@pytest.mark.parametrize("make, v4, v6", [(routed, "10.97.0.0/24", "fd97::/64"),
                                          (bridge, "10.97.1.0/24", "fd97:1::/64")])
def test_metadata_with_a_host_side(host, make, v4, v6):
    """The route in the sandbox, and, for a sandbox whose root deletes it, the host's rule."""
    keys = {"isDefaultGateway": True} if make is bridge else {}
    with service_of_the_host(host):
        free = host.add(make("net1", v4, v6, **keys))
        for one, address in enumerate((META4, META6)):
            free.pod.wait_ping(free.result["ips"][one]["gateway"] if make is bridge else address)
            assert ask(host, free.pod, "tcp", address, 80) == ("meta", free.ips[one])
        free.delete().expect_ok()

        a = host.add(make("net1", v4, v6, blockInstanceMetadata=True, **keys))
        assert elements(host, "netmgr_np", "nometa4") and elements(host, "netmgr_np", "nometa6")
        check_listing(host)
        a.check().expect_ok()
        for address in (META4, META6):
            assert connect(a.pod, address) == "EACCES"
        assert dropped(host, "netmgr_np", BLOCKED) == 0
        for family, address in (("4", META4), ("6", META6)):
            a.pod.run(["ip", f"-{family}", "route", "del", "prohibit", address])
            before = dropped(host, "netmgr_np", BLOCKED)
            assert ask(host, a.pod, "tcp", address, 80) is None
            assert dropped(host, "netmgr_np", BLOCKED) > before
        host.netmgrd.restart()
        assert ask(host, a.pod, "tcp", META4, 80) is None
        a.delete().expect_ok()
        assert not elements(host, "netmgr_np", "nometa4") and not elements(host, "netmgr_np", "nometa6")


def test_metadata_behind_the_host(host):
    """A service on another machine, to which the host would forward."""
    wire = uplink(host, "198.51.100.9/24")
    wire.run(["sh", "-c", f"ip link set lo up; ip addr add {META4}/32 dev lo; ip route add default via 198.51.100.1"])
    host.run(["sh", "-c", "ip addr add 198.51.100.1/24 dev up0; "
              f"ip route add {META4} via 198.51.100.9"])
    host.baseline = host.snapshot()
    with serving(host, wire, "tcp", 4, 80, "meta"):
        free, a = host.add(routed("net1")), host.add(routed("net2", "10.97.9.0/24", blockInstanceMetadata=True))
        free.pod.wait_ping(META4)
        assert ask(host, free.pod, "tcp", META4, 80) == ("meta", free.ips[0])
        a.pod.wait_ping("198.51.100.9")
        assert connect(a.pod, META4) == "EACCES"
        a.pod.run(["ip", "route", "del", "prohibit", META4])
        assert ask(host, a.pod, "tcp", META4, 80) is None
        assert ask(host, a.pod, "tcp", "198.51.100.9", 80) == ("meta", a.ips[0])


# --- ecs-bridge ----------------------------------------------------------------------------------

def ecs_bridge(name="side", **keys):
    pool = {"type": "ecs-ipam", "id": "x", "ipv4-subnet": "169.254.172.0/22",
            "ipv4-routes": [{"dst": "169.254.170.2/32", "gw": "169.254.172.1"}], **keys}
    return profile("ecs-bridge", name, bridge="ecs-bridge", ipam=pool)


def without_bridge(host):
    """As with the reference plugin bridge, it stays."""
    host.run(["ip", "link", "del", "ecs-bridge"])


@pytest.mark.sanitize
def test_ecs_bridge(host):
    """The credentials service at 169.254.170.2, and nothing else."""
    host.run(["sh", "-c", "ip link set lo up; ip addr add 169.254.170.2/32 dev lo"])
    a, b = host.add(ecs_bridge(), plugin="ecs-bridge"), host.add(ecs_bridge(), plugin="ecs-bridge")
    assert a.cidrs == ["169.254.172.2/22"] and b.cidrs == ["169.254.172.3/22"]
    assert a.pod.routes(4) == {("169.254.172.0/22", None), ("169.254.170.2", "169.254.172.1")}
    assert (host.link("ecs-bridge")["mtu"], a.pod.link("eth0")["mtu"]) == (1500, 1500)
    with serving(host, None, "tcp", 4, 80, "credentials"):
        a.pod.wait_ping("169.254.172.1")
        assert ask(host, a.pod, "tcp", "169.254.170.2", 80) == ("credentials", a.ips[0])
        assert ask(host, b.pod, "tcp", "169.254.170.2", 80) == ("credentials", b.ips[0])
        assert connect(a.pod, "10.98.7.1") == "ENETUNREACH"
    for x in (a, b):
        x.check().expect_ok()
        x.delete().expect_ok()
    host.run(["ip", "addr", "del", "169.254.170.2/32", "dev", "lo"])
    without_bridge(host)


def test_ecs_bridge_with_an_address(host):
    a = host.add({**ecs_bridge(**{"ipv4-address": "169.254.173.9/22"}), "mtu": 1400}, plugin="ecs-bridge")
    assert a.cidrs == ["169.254.173.9/22"] and a.pod.link("eth0")["mtu"] == 1400
    a.pod.wait_ping("169.254.172.1")
    a.check().expect_ok()
    a.delete().expect_ok()
    without_bridge(host)


# --- vpc-bridge ----------------------------------------------------------------------------------

def vpc_bridge(address, **keys):
    return profile("vpc-bridge", f"shared-{address.split('.')[3].split('/')[0]}", eniName="nic0", ipAddresses=[address],
                   eniIPAddresses=["10.98.7.2/24"], vpcCIDRs=["10.98.0.0/16"], gatewayIPAddress="10.98.7.2", **keys)


@pytest.mark.sanitize
def test_vpc_bridge(host, nic):
    """One NIC for several sandboxes: neighbours on its wire reach each by ARP that the host answers."""
    host.run(["ip", "addr", "add", "10.98.7.2/24", "dev", "nic0"])
    a, b = (host.add(vpc_bridge(x, **keys), plugin="vpc-bridge")
            for x, keys in (("10.98.7.50/24", {}), ("10.98.7.51/24", {"blockInstanceMetadata": True})))
    assert host.link("nic0")["address"] == nic.mac
    with serving(host, a.pod, "tcp", 4, 80, "a"), serving(host, b.pod, "tcp", 4, 80, "b"):
        for x, name in ((a, "a"), (b, "b")):
            nic.router.wait_ping(x.ips[0])
            assert ask(host, nic.router, "tcp", x.ips[0], 80) == (name, GW4)
            x.pod.wait_ping(GW4)
        assert ask(host, a.pod, "tcp", b.ips[0], 80) == ("b", a.ips[0])
    macs = {n["dst"]: n["lladdr"] for n in nic.router.ip("neigh", "show") if "lladdr" in n}
    assert macs[a.ips[0]] == macs[b.ips[0]] == nic.mac
    # nobody else is answered for
    assert nic.router.run(["ping", "-n", "-c1", "-W1", "10.98.7.77"], check=False).returncode != 0
    assert "10.98.7.77" not in {n["dst"] for n in nic.router.ip("neigh", "show") if "lladdr" in n}
    assert connect(b.pod, META4) == "EACCES" and prohibited(a.pod) == set()
    for x in (a, b):
        x.check().expect_ok()
        x.delete().expect_ok()
    host.run(["ip", "addr", "del", "10.98.7.2/24", "dev", "nic0"])


def test_vpc_bridge_by_mac(host, nic):
    host.run(["ip", "addr", "add", "10.98.7.2/24", "dev", "nic0"])
    conf = vpc_bridge("10.98.7.50/24", eniMACAddress=nic.mac)
    del conf["eniName"]
    a = host.add(conf, plugin="vpc-bridge")
    nic.router.wait_ping(a.ips[0])
    a.delete().expect_ok()
    host.run(["ip", "addr", "del", "10.98.7.2/24", "dev", "nic0"])


def test_a_failed_add_takes_nobodys_rule_away(host, nic):
    """Two networks may name one address, and the second gets as far as the rules."""
    host.run(["ip", "addr", "add", "10.98.7.2/24", "dev", "nic0"])
    conf = vpc_bridge("10.98.7.50/24", blockInstanceMetadata=True)
    a = host.add(conf, plugin="vpc-bridge")
    reply, _ = host.try_add({**conf, "name": "again"}, plugin="vpc-bridge")
    reply.expect_error(105, "10.98.7.50")
    assert len(elements(host, "netmgr_np", "nometa4")) == 1
    a.pod.run(["ip", "route", "del", "prohibit", META4])
    nic.router.wait_ping(a.ips[0])
    with serving(host, nic.router, "tcp", 4, 80, "meta"):
        host.run(["ip", "route", "add", META4, "via", GW4])
        assert ask(host, a.pod, "tcp", GW4, 80) == ("meta", a.ips[0])
        assert ask(host, a.pod, "tcp", META4, 80) is None
        host.run(["ip", "route", "del", META4])
    a.delete().expect_ok()
    assert not elements(host, "netmgr_np", "nometa4")
    host.run(["ip", "addr", "del", "10.98.7.2/24", "dev", "nic0"])


@pytest.mark.parametrize("keys, words", [
    ({"eniName": "none0"}, ["eniName", "none0"]),
    ({"eniMACAddress": "02:00:00:00:00:99"}, ["eniMACAddress", "02:00:00:00:00:99"]),
    ({}, ["ipAddresses", "10.98.7.50", "nic0"]),
])
def test_vpc_bridge_refused(host, nic, keys, words):
    with host.unchanged():
        reply, _ = host.try_add({**vpc_bridge("10.98.7.50/24"), **keys}, plugin="vpc-bridge")
        reply.expect_error(7, *words)


# --- vpc-branch-eni ------------------------------------------------------------------------------

def branch(nic, vlan=101, **keys):
    return profile("vpc-branch-eni", interfaceType="vlan", trunkMACAddress=nic.mac, branchVlanID=str(vlan),
                   branchMACAddress="12:00:00:00:01:01", ipAddresses=["10.99.1.5/24"],
                   gatewayIPAddresses=["10.99.1.1"], **keys)


@pytest.mark.vm("8021q")
@pytest.mark.sanitize
@pytest.mark.parametrize("keys", [{}, {"trunkMACAddress": "", "trunkName": "nic0"}], ids=["mac", "name"])
def test_vpc_branch_eni(host, nic, keys):
    nic.router.run(["sh", "-c", "ip link add link far name far.101 type vlan id 101; "
                    "ip addr add 10.99.1.1/24 dev far.101; ip link set far.101 up"])
    conf = {**branch(nic, blockInstanceMetadata=True), **keys}
    a = host.add(conf, plugin="vpc-branch-eni")
    link = a.pod.link("eth0")
    assert link["linkinfo"]["info_kind"] == "vlan" and link["linkinfo"]["info_data"]["id"] == 101
    assert link["address"] == a.result["interfaces"][0]["mac"] == "12:00:00:00:01:01"
    assert ("default", "10.99.1.1") in a.pod.routes(4)
    a.pod.wait_ping("10.99.1.1")
    seen = {n["dst"]: n.get("lladdr") for n in nic.router.ip("neigh", "show", "dev", "far.101")}
    assert seen["10.99.1.5"] == "12:00:00:00:01:01"
    assert connect(a.pod, META4) == "EACCES"
    a.check().expect_ok()
    host.netmgrd.restart()
    a.check().expect_ok()
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None and host.link("nic0")["address"] == nic.mac


@pytest.mark.vm("8021q")
def test_vpc_branch_eni_without_trunk(host, nic):
    with host.unchanged():
        reply, _ = host.try_add({**branch(nic), "trunkMACAddress": "02:00:00:00:00:99"}, plugin="vpc-branch-eni")
        reply.expect_error(7, "master", "02:00:00:00:00:99")


# --- what is refused -----------------------------------------------------------------------------

@pytest.mark.parametrize("conf, words", [
    (profile("vpc-branch-eni", trunkName="nic0"), ["interfaceType", "tap", "vlan"]),
    (profile("vpc-branch-eni", interfaceType="macvtap", trunkName="nic0"), ["interfaceType", "macvtap", "vlan"]),
    ({**vpc_bridge("10.98.7.50/24"), "bridgeType": "L2"}, ["bridgeType", "L2", "L3"]),
    ({**vpc_bridge("10.98.7.50/24"), "interfaceType": "tap"}, ["interfaceType", "tap", "veth"]),
    (ecs_eni("02:00:00:00:00:99"), ["hwaddr", "02:00:00:00:00:99"]),
    (profile("ecs-eni", eni="e"), ["mac"]),
    (ecs_eni("02:00:00:00:00:99", gateways=["10.1.0.1"]), ["gateway-ip-addresses[0]", "10.1.0.1"]),
])
def test_refused(host, conf, words):
    pod = host.pod()
    with host.unchanged():
        reply, _ = host.try_add(conf, pod, plugin=conf["type"])
        assert reply.code != 0
        for word in words:
            assert word in reply.sentence, reply.sentence
    assert pod.link("eth0") is None and json.loads(reply.stdout)["code"]
