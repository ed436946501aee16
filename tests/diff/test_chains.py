# SPDX-License-Identifier: LGPL-2.1-or-later
"""Chained plugins: what each promises, whole chains, chains that end half way, chains of two houses."""
import pytest
from cni_list import version_at_least
from confs import VERSIONS, conflist, host_local, plugin, static, V4, V6
from duel import Duel
from traffic import HOST4, HOST6, NODE4, OTHER4, OUT4

PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}}
BANDWIDTH = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
FIREWALL = {"type": "firewall"}
TUNING = {"type": "tuning", "sysctl": {"net.core.somaxconn": "500"}, "mtu": 1400}
SBR = {"type": "sbr"}
RATE = {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 16000000, "egressBurst": 1600000}
MAC = "c2:11:22:33:44:55"


def mapping(port=8080, to=80, protocol="tcp", **keys):
    return {"hostPort": port, "containerPort": to, "protocol": protocol, **keys}


SAID = {"capabilities": {"portMappings": [mapping()], "bandwidth": RATE}}
FIVE = [PORTMAP, BANDWIDTH, FIREWALL, TUNING]


def can(chained, version):
    least = {"firewall": "0.4.0", "bandwidth": "0.3.0"}
    return all(version_at_least(version, least.get(p["type"], "0.1.0")) for p in chained)


# --- every version -------------------------------------------------------------------------------

CHAINS = {"portmap": [PORTMAP], "bandwidth": [BANDWIDTH], "firewall": [FIREWALL], "tuning": [TUNING], "sbr": [SBR],
          "five": FIVE}


@pytest.mark.parametrize("name, family, version", [
    (name, family, version) for name, chained in CHAINS.items() for family in ("v4", "dual")
    for version in VERSIONS if can(chained, version) and not (name == "sbr" and not version_at_least(version, "0.3.0"))])
def test_chain(request, name, family, version):
    net = conflist(plugin("bridge", family), *CHAINS[name], version=version)
    with Duel(request) as duel:
        duel.add("pod1", net, **SAID)
        duel.add("pod2", net)
        duel.reach("pod1", "10.88.1.3", expect=name != "sbr")
        if version_at_least(version, "0.4.0"):
            duel.check("pod1", net)
        duel.delete("pod1", net)
        duel.delete("pod1", net)
        duel.delete("pod2", net)


@pytest.mark.parametrize("kind", ["ptp"])
def test_five_after(request, kind):
    net = conflist(plugin(kind, "dual"), *FIVE)
    with Duel(request) as duel:
        duel.add("pod1", net, **SAID)
        duel.check("pod1", net)
        duel.delete("pod1", net)


# --- half chains, other orders -------------------------------------------------------------------

@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_chain_that_stops_half_way(request, stop):
    """The runtime dies between two plugins: a DEL of the whole chain, without a result, cleans all."""
    net = conflist(plugin("bridge", "dual", ipMasq=True), *FIVE)
    with Duel(request) as duel:
        duel.add("pod1", net, stop_after=stop, **SAID)
        duel.delete("pod1", net)


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [2, 0, 4, 1, 3], [0], [1], [2], [3], [4]], ids=str)
def test_del_in_another_order(request, order):
    net = conflist(plugin("bridge", "dual", ipMasq=True), *FIVE)
    with Duel(request) as duel:
        duel.add("pod1", net, **SAID)
        duel.delete("pod1", net, order=order)
        duel.delete("pod1", net)


@pytest.mark.parametrize("verb", ["no netns", "gone netns", "no previous result", "nothing said"])
def test_del_of_a_chain(request, verb):
    net = conflist(plugin("bridge", "dual", ipMasq=True), *FIVE)
    with Duel(request) as duel:
        duel.add("pod1", net, **SAID)
        if verb == "gone netns":
            duel.unmake("pod1")
        if verb == "nothing said":
            duel.each(lambda side: side.attached["pod1", "net1", "eth0"].capabilities.clear())
        duel.delete("pod1", net, netns="" if verb == "no netns" else None,
                    prev=None if verb == "no previous result" else "kept")


# --- chains of two houses ------------------------------------------------------------------------

@pytest.mark.parametrize("foreign", [["tuning"], ["portmap"], ["bandwidth"], ["firewall"], ["bridge", "host-local"],
                                     ["host-local"], ["bridge"]], ids="+".join)
def test_mixed_chain(request, foreign):
    """On each side the plugins named are the other side's; the facts must be the same all the same."""
    net = conflist(plugin("bridge", "dual"), *FIVE)
    with Duel(request) as duel:
        duel.sides[1].mix(foreign)
        duel.add("pod1", net, **SAID)
        duel.check("pod1", net)
        duel.delete("pod1", net)
        duel.each(lambda side: side.flush_iptables())


# --- portmap -------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind", ["bridge", "ptp"])
def test_host_port(request, kind):
    """From outside, from the host, by its loopback, from a neighbour pod and from the pod itself."""
    net = conflist(plugin(kind, "dual"), PORTMAP)
    with Duel(request) as duel:
        duel.outside()
        duel.add("pod1", net, capabilities={"portMappings": [mapping(), mapping(8081, 81, "udp")]})
        duel.add("pod2", net)
        with duel.serving("pod1", 4, 80), duel.serving("pod1", 4, 81, "udp"):
            for pod, address in (("outside", HOST4), (None, HOST4), (None, "127.0.0.1"), ("pod2", HOST4), ("pod1", HOST4)):
                duel.ask(pod, address, 8080)
            duel.ask("outside", HOST4, 8081, protocol="udp")
        with duel.serving("pod1", 6, 80):
            for pod, address in (("outside", HOST6), (None, HOST6), ("pod2", HOST6)):
                duel.ask(pod, address, 8080)
        duel.check("pod1", net)
        duel.delete("pod1", net)
        duel.ask("outside", HOST4, 8080, expect=False)
        duel.delete("pod2", net)


@pytest.mark.parametrize("keys, address, others", [
    ({"hostIP": HOST4}, HOST4, OTHER4), ({"hostIP": "0.0.0.0"}, OTHER4, None), ({"hostIP": NODE4}, NODE4, HOST4)],
    ids=["one", "any", "node"])
def test_host_port_of_an_address(request, keys, address, others):
    net = conflist(plugin("bridge", "v4"), PORTMAP)
    with Duel(request) as duel:
        duel.outside()
        duel.add("pod1", net, capabilities={"portMappings": [mapping(**keys)]})
        with duel.serving("pod1", 4, 80):
            duel.ask("outside", address, 8080)
            if others:
                duel.ask("outside", others, 8080, expect=False)
        duel.delete("pod1", net)


PORTMAP_KEYS = {
    "no-snat": {"snat": False},
    "conditions": {"conditionsV4": ["!", "-s", "198.51.100.9"]},
    "mark-bit": {"markMasqBit": 5},
}


@pytest.mark.parametrize("name", PORTMAP_KEYS)
def test_portmap_key(request, name):
    net = conflist(plugin("bridge", "v4"), {**PORTMAP, **PORTMAP_KEYS[name]})
    with Duel(request) as duel:
        duel.outside()
        duel.add("pod1", net, capabilities={"portMappings": [mapping()]})
        with duel.serving("pod1", 4, 80):
            duel.ask("outside", HOST4, 8080, expect=name != "conditions")
        duel.check("pod1", net)
        duel.delete("pod1", net)


# --- bandwidth -----------------------------------------------------------------------------------

SHAPES = {
    "both": RATE,
    "down": {"ingressRate": 8000000, "ingressBurst": 800000},
    "up": {"egressRate": 8000000, "egressBurst": 800000},
    "nothing": {},
    "zero": {"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 0},
}


@pytest.mark.parametrize("where", ["capability", "configuration"])
@pytest.mark.parametrize("name", SHAPES)
def test_bandwidth(request, name, where):
    shape = SHAPES[name]
    keys = {"capabilities": {"bandwidth": True}} if where == "capability" else shape
    net = conflist(plugin("bridge", "v4"), {"type": "bandwidth", **keys})
    with Duel(request) as duel:
        duel.add("pod1", net, capabilities={"bandwidth": shape} if where == "capability" and shape else {})
        duel.check("pod1", net)
        duel.delete("pod1", net)


@pytest.mark.parametrize("shape", [{"ingressRate": 8000000}, {"ingressBurst": 8000000}, {"ingressRate": -1, "ingressBurst": 1}],
                         ids=["no-burst", "no-rate", "negative"])
def test_bandwidth_refused(request, shape):
    net = conflist(plugin("bridge", "v4"), {"type": "bandwidth", **shape})
    with Duel(request) as duel:
        assert not duel.add("pod1", net)[1].ok
        duel.delete("pod1", net)


# --- tuning --------------------------------------------------------------------------------------

TUNINGS = {
    "mac": ({"mac": MAC}, {}),
    "mtu": ({"mtu": 1400}, {}),
    "promisc": ({"promisc": True}, {}),
    "allmulti": ({"allmulti": True}, {}),
    "txqlen": ({"txQLen": 777}, {}),
    "sysctl": ({"sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1", "net.core.somaxconn": "500"}}, {}),
    "sysctl-slashes": ({"sysctl": {"net/ipv4/conf/IFNAME/arp_notify": "1"}}, {}),
    "args-mtu": ({"args": {"cni": {"mtu": 1300}}}, {}),
    "args-all": ({"sysctl": {}, "args": {"cni": {"mac": MAC, "mtu": 1300, "promisc": True, "allmulti": True, "txQLen": 77,
                                                 "sysctl": {"net.ipv4.conf.IFNAME.arp_ignore": "1"}}}}, {}),
    "mac-capability": ({"capabilities": {"mac": True}}, {"capabilities": {"mac": MAC}}),
    "mac-cni-args": ({}, {"args": f"IgnoreUnknown=1;MAC={MAC}"}),
    "nothing": ({}, {}),
}


@pytest.mark.parametrize("name", TUNINGS)
def test_tuning(request, name):
    keys, said = TUNINGS[name]
    # the tuning plugin's own DEL alone: what it restores
    net = conflist(plugin("bridge", "v4"), {"type": "tuning", **keys})
    with Duel(request, chosen=[MAC]) as duel:
        duel.add("pod1", net, **said)
        duel.check("pod1", net)
        duel.delete("pod1", net, order=[1])
        duel.delete("pod1", net)


@pytest.mark.parametrize("sysctl", [
    {"kernel.hostname": "x"}, {"net.ipv4.conf.IFNAME.no_such_thing": "1"}, {"net/../kernel/hostname": "x"},
    {"net.ipv4.ip_forward": "not a number"}], ids=lambda s: list(s)[0])
def test_sysctl_refused(request, sysctl):
    net = conflist(plugin("bridge", "v4"), {"type": "tuning", "sysctl": sysctl})
    with Duel(request) as duel:
        assert not duel.add("pod1", net)[1].ok
        duel.delete("pod1", net)


# --- firewall ------------------------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["open", "same-bridge"])
def test_ingress_policy(request, policy):
    """Two bridges: who reaches whom."""
    chained = {"type": "firewall", "ingressPolicy": policy}
    one = conflist(plugin("bridge", "v4", bridge="br1"), chained)
    two = conflist(plugin("bridge", "v4", bridge="br2", ipam=host_local("10.88.2.0/24", routes=False)
                          | {"routes": [{"dst": "0.0.0.0/0"}]}), chained, name="net2")
    with Duel(request) as duel:
        duel.add("pod1", one)
        duel.add("pod2", one)
        duel.add("pod3", two)
        duel.reach("pod1", "10.88.1.3")
        duel.reach("pod1", "10.88.2.2", expect=policy == "open")
        duel.reach("pod1", "10.88.1.1")
        for pod, net in (("pod1", one), ("pod2", one), ("pod3", two)):
            duel.delete(pod, net)


def test_host_that_drops_what_is_forwarded(request):
    """An administrator's policy is drop: the firewall plugin lets the pods through."""
    net = conflist(plugin("bridge", "v4"), FIREWALL)
    with Duel(request) as duel:
        duel.outside()
        duel.on_hosts("iptables -P FORWARD DROP")
        duel.add("pod1", net)
        duel.reach("pod1", OUT4)
        duel.reach("outside", "10.88.1.2", expect=False)
        duel.delete("pod1", net)
        duel.each(lambda side: side.flush_iptables())


# --- sbr -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("family", ["v4", "v6", "dual"])
def test_source_based_routing(request, family):
    """A second interface with rules of its own; static addresses; DEL of sbr alone takes the rules."""
    second = {"v4": ["10.88.2.0/24"], "v6": ["fd00:88:2::/64"], "dual": ["10.88.2.0/24", "fd00:88:2::/64"]}[family]
    one = conflist(plugin("bridge", family))
    two = conflist(plugin("bridge", family, bridge="br2", ipam=host_local(*second, routes=False)),
                   SBR, name="net2")
    with Duel(request) as duel:
        duel.add("pod1", one, "eth0")
        duel.add("pod1", two, "eth1")
        duel.check("pod1", two, "eth1")
        duel.delete("pod1", two, "eth1", order=[1])
        duel.delete("pod1", two, "eth1")
        duel.delete("pod1", one, "eth0")


def test_sbr_over_static(request):
    net = conflist(plugin("bridge", "dual", ipam=static(V4, V6)), SBR)
    with Duel(request) as duel:
        duel.add("pod1", net)
        duel.delete("pod1", net)
