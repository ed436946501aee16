# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ends and beginnings that are not as they should be: every interface plugin x family x what is wrong."""
import contextlib

import pytest
from confs import FAMILIES, MATRIX, conflist, host_local, plugin, surroundings
from duel import Duel
from netmgr_host import settle

PLUGINS = [(k, f) for k, f in MATRIX if k != "loopback"]
everywhere = pytest.mark.parametrize("kind, family", PLUGINS)


@contextlib.contextmanager
def attached(request, kind, family):
    """pod1 attached by the plugin; yields (duel, its network)"""
    net = conflist(plugin(kind, family))
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.add("pod1", net)
        yield duel, net


@everywhere
def test_del_without_netns(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        duel.delete("pod1", net, netns="")


@everywhere
def test_del_after_the_netns(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        duel.unmake("pod1")
        duel.delete("pod1", net)
        duel.delete("pod1", net, netns="")


@everywhere
def test_del_with_a_plain_file(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        duel.on_hosts("echo > /run/netns/bogus")
        duel.delete("pod1", net, netns="/run/netns/bogus")
        duel.on_hosts("rm /run/netns/bogus")


@everywhere
@pytest.mark.parametrize("version", ["0.3.1", "0.4.0", "1.0.0"])
def test_del_without_prev_result(request, kind, family, version):
    net = conflist(plugin(kind, family), version=version)
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.add("pod1", net)
        duel.delete("pod1", net, prev=None)


@everywhere
def test_del_after_the_master(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        if kind in ("macvlan", "host-device"):
            duel.on_hosts("ip link del nic1", pod="wire")
        elif kind == "bridge":
            duel.on_hosts("ip link del cni0")
            ours = duel.sides[1].host
            settle(lambda: ours.link("cni0"), "netmgr makes the bridge again")
        else:
            duel.each(lambda side: side.host.run(["ip", "link", "del", side.host_end("pod1")]))
        duel.delete("pod1", net)
        duel.delete("pod1", net)


@everywhere
def test_add_twice(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        duel.add("pod1", net, again=True)
        duel.delete("pod1", net)


@everywhere
def test_interface_is_there(request, kind, family):
    net = conflist(plugin(kind, family))
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.on_hosts("ip link add eth0 type veth peer name other", pod="pod1")
        duel.add("pod1", net)
        duel.delete("pod1", net)


@everywhere
def test_add_without_netns(request, kind, family):
    net = conflist(plugin(kind, family))
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.each(lambda side: side.pod("pod1").delete())
        duel.add("pod1", net)
        duel.delete("pod1", net)


@everywhere
def test_configuration_changed_before_del(request, kind, family):
    with attached(request, kind, family) as (duel, net):
        changed = plugin(kind, family, mtu=1300, bridge="other0" if kind == "bridge" else None)
        if "ipam" in changed:
            changed["ipam"] = {"type": "host-local", "subnet": "10.99.0.0/24"}
        duel.delete("pod1", conflist(changed))


# What is gone inside: a deleted host end netmgr would make again, this it leaves to CHECK.
GONE = {"address": "ip addr flush dev eth0 scope global",
        "route": "ip -4 route del default 2>/dev/null; ip -6 route del default 2>/dev/null; true",
        "name": "ip link set eth0 down; ip link set eth0 name was0"}


@pytest.mark.parametrize("kind, family, gone", [(k, f, g) for k, f in PLUGINS for g in GONE if f != "l2" or g == "name"])
def test_check_finds_what_is_missing(request, kind, family, gone):
    with attached(request, kind, family) as (duel, net):
        duel.check("pod1", net)
        duel.on_hosts("set +e;", GONE[gone], pod="pod1")
        duel.check("pod1", net)
        if gone == "name":
            duel.on_hosts("ip link set was0 name eth0", pod="pod1")
        duel.delete("pod1", net)


TWICE = [(k, f) for k, f in PLUGINS if k != "host-device"]


@pytest.mark.parametrize("kind, family", TWICE)
def test_two_interfaces_of_one_network(request, kind, family):
    net = conflist(plugin(kind, family, **({"ipam": no_routes(family)} if family != "l2" else {})))
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.add("pod1", net, "eth0")
        duel.add("pod1", net, "eth1")
        duel.delete("pod1", net, "eth0")
        duel.check("pod1", net, "eth1")
        duel.delete("pod1", net, "eth1")


def no_routes(family, *subnets):
    return host_local(*(subnets or FAMILIES[family]), routes=False)


@pytest.mark.parametrize("kind, family", TWICE)
def test_two_networks_of_one_container(request, kind, family):
    first = conflist(plugin(kind, family))
    keys = {"bridge": "cni1"} if kind == "bridge" else {}
    if family != "l2":
        subnets = {"v4": ["10.88.2.0/24"], "v6": ["fd00:88:2::/64"], "dual": ["10.88.2.0/24", "fd00:88:2::/64"]}
        keys["ipam"] = no_routes(family, *subnets[family])
    second = conflist(plugin(kind, family, **keys), name="net2")
    with Duel(request) as duel:
        surroundings(duel, kind)
        duel.add("pod1", first, "eth0")
        duel.add("pod1", second, "eth1")
        duel.delete("pod1", first, "eth0")
        duel.check("pod1", second, "eth1")
        duel.delete("pod1", second, "eth1")


@pytest.mark.parametrize("kind, family", TWICE)
def test_pods_reach_each_other(request, kind, family):
    net = conflist(plugin(kind, family))
    with Duel(request) as duel:
        surroundings(duel, kind)
        for pod in ("pod1", "pod2", "pod3"):
            duel.add(pod, net)
        for address in {"v4": ["10.88.1.3"], "v6": ["fd00:88:1::3"], "dual": ["10.88.1.3", "fd00:88:1::3"], "l2": []}[family]:
            duel.reach("pod1", address)
        duel.delete("pod2", net)
        duel.add("pod4", net)  # the next address, not the one that was just left
        for pod in ("pod4", "pod1", "pod3"):
            duel.delete(pod, net)
