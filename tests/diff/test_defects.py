# SPDX-License-Identifier: LGPL-2.1-or-later
"""Known defects of the reference plugins, each shown by them (where 1.1.1 has it) and absent in netmgr."""
import re

import pytest
from confs import conflist, host_local, plugin
from duel import Duel
from test_chains import BANDWIDTH, PORTMAP, RATE, mapping


def shows(duel, pattern):
    """[reference, netmgr]: whether the packet filter still names something"""
    return duel.each(lambda side: bool(re.search(pattern, side.rules())))


@pytest.mark.parametrize("kind", ["bridge", "ptp"])
@pytest.mark.parametrize("how", ["no netns", "gone"])
def test_masquerade_outlives_the_netns(request, kind, how):
    """DEL without a netns forgets the reference's masquerade rules."""
    net = conflist(plugin(kind, "v4", ipMasq=True))
    with Duel(request) as duel:
        duel.add("pod1", net)
        duel.unmake("pod1")
        duel.delete("pod1", net, netns="" if how == "no netns" else None)
        reference, ours = shows(duel, r"10\.88\.1\.2\b")
        assert not ours and (reference or how == "gone")


def test_macspoofchk_outlives_the_netns(request):
    net = conflist(plugin("bridge", "v4", macspoofchk=True))
    with Duel(request) as duel:
        duel.add("pod1", net)
        duel.unmake("pod1")
        duel.delete("pod1", net, netns="")
        assert shows(duel, r"cni-br-iface|\bc2:|pod1-eth0") == [True, False]


def test_host_ports_of_a_renamed_network(request):
    """The reference's chains are named by a hash of the network's name."""
    net, renamed = (conflist(plugin("bridge", "v4"), PORTMAP, name=name) for name in ("net1", "other"))
    with Duel(request) as duel:
        duel.add("pod1", net, capabilities={"portMappings": [mapping()]})
        first = duel.each(lambda side: side.attached["pod1", "net1", "eth0"])
        for side, a in zip(duel.sides, first):
            side.driver.call("DEL", side.driver.config(renamed, PORTMAP, a.result, a.capabilities), "pod1", "eth0", a.pod.path)
        duel.delete("pod1", net, order=[0])  # the interface goes by its own name
        reference, ours = shows(duel, r"dport 8080|8080")
        assert reference and not ours


def test_host_ports_that_are_not_told_again(request):
    net = conflist(plugin("bridge", "v4"), PORTMAP)
    with Duel(request) as duel:
        duel.add("pod1", net, capabilities={"portMappings": [mapping()]})
        duel.each(lambda side: side.attached["pod1", "net1", "eth0"].capabilities.clear())
        duel.delete("pod1", net)
        reference, ours = shows(duel, r"8080")
        assert reference and not ours


def test_two_shaped_interfaces_of_one_network(request):
    """The name of the reference's ifb is a hash of network and container: the second has none."""
    net = conflist(plugin("bridge", "l2"), BANDWIDTH)
    said = {"capabilities": {"bandwidth": RATE}}
    with Duel(request) as duel:
        assert all(r.ok for r in duel.add("pod1", net, "eth0", **said))
        reference, ours = duel.add("pod1", net, "eth1", **said)
        assert ours.ok and not reference.ok
        duel.delete("pod1", net, "eth1")
        duel.delete("pod1", net, "eth0")


def test_tuning_with_sysctls_of_args_only(request):
    net = conflist(plugin("bridge", "v4"), {"type": "tuning", "args": {"cni": {"sysctl": {"net.core.somaxconn": "500"}}}})
    with Duel(request) as duel:
        reference, ours = duel.add("pod1", net)
        assert ours.ok and reference.stderr.startswith("panic")
        duel.delete("pod1", net)


def test_route_metrics(request):
    """mtu, advmss, priority and table of a route are of newer results; 1.1.1 drops them."""
    ipam = host_local("10.88.1.0/24", routes=False)
    ipam["routes"] = [{"dst": "10.99.0.0/16", "gw": "10.88.1.1", "mtu": 1300, "advmss": 1200}]
    net = conflist(plugin("bridge", "v4", ipam=ipam))
    with Duel(request) as duel:
        duel.add("pod1", net)
        duel.delete("pod1", net)
