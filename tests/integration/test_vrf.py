# SPDX-License-Identifier: LGPL-2.1-or-later
"""vrf in a chain: the interface joins a VRF of the sandbox, which goes with its last member."""
import features
import pytest
from host_chain import Chain
from netmgr_host import settle
from test_sbr import FIRST, SECOND, routes
from test_tuning import Foreign
from traffic import OUT4, Outside, ask, serving

VRF = {"type": "vrf", "vrfname": "blue"}
vm = pytest.mark.vm("vrf")


def members(pod, name="blue"):
    return {x["ifname"] for x in pod.ip("link", "show") if x.get("master") == name}


def table_of(pod, name="blue"):
    return pod.link(name)["linkinfo"]["info_data"]["table"]


@pytest.mark.skipif(features.lacking("vrf") is None, reason="this kernel has vrf")
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "foreign"])
def test_kernel_without_vrf(host, ours):
    """The answer names it, and everything is as it was."""
    chain = Chain(host, "netb", [SECOND, VRF]) if ours else Foreign(host, "net1", [VRF])
    chain.add(upto=1 if ours else 0)
    before = routes(chain.pod), host.ledger()
    chain.call("ADD", VRF, chain.result).expect_error(2, "vrf")
    assert (routes(chain.pod), host.ledger()) == before or settle(
        lambda: (routes(chain.pod), host.ledger()) == before, host.logs)
    assert chain.pod.link("blue") is None
    chain.delete()
    if not ours:
        chain.remove()


@vm
@pytest.mark.parametrize("ours", [True, False], ids=["ours", "foreign"])
def test_life(host, ours):
    chain = Chain(host, "netb", [SECOND, VRF]) if ours else Foreign(host, "net1", [VRF])
    chain.add(upto=1 if ours else 0)
    before = {x for x in routes(chain.pod)}
    addresses = chain.pod.addresses()
    chain.call("ADD", VRF, chain.result).expect_ok()
    pod = chain.pod
    assert members(pod) == {"eth0"} and table_of(pod) == 1 and "UP" in pod.link("blue")["flags"]
    # what enslaving takes away is back, in the table of the VRF
    assert pod.addresses() == addresses
    assert {x[:2] for x in before} <= {x[:2] for x in routes(pod, 1)}
    assert routes(pod) == set()
    chain.call("CHECK", VRF, chain.result).expect_ok()
    host.wait_ping(chain.ips[0])
    host.netmgrd.restart()
    chain.call("CHECK", VRF, chain.result).expect_ok()
    pod.run(["ip", "link", "set", "eth0", "nomaster"])
    chain.call("CHECK", VRF, chain.result).expect_error(107, "eth0")
    chain.delete()
    assert pod.link("blue") is None
    chain.delete()
    if not ours:
        assert "master" not in pod.link("eth0")
        chain.remove()


@vm
def test_two_members(host):
    """The second joins; the VRF goes with the last, also when that interface is gone by then."""
    pod = host.pod()
    one = Chain(host, "neta", [FIRST, VRF], pod=pod).add()
    two = Chain(host, "netb", [SECOND, {**VRF, "table": 1}], pod=pod, ifname="eth1").add()
    assert members(pod) == {"eth0", "eth1"} and table_of(pod) == 1
    other = Chain(host, "netc", [{**SECOND, "bridge": "nmb-c", "ipam": {"type": "local", "ranges":
                  [[{"subnet": "10.97.3.0/24"}]]}}], pod=pod, ifname="eth2").add()
    other.call("ADD", {**VRF, "table": 7}, other.result).expect_error(100, "blue", "7")
    other.call("ADD", {**VRF, "vrfname": "red"}, other.result).expect_ok()
    assert table_of(pod, "red") == 2
    other.call("ADD", {**VRF, "vrfname": "green"}, other.result).expect_error(104, "red", "green")
    other.delete()
    assert pod.link("red") is None
    one.delete()
    assert members(pod) == {"eth1"}
    host.run(["ip", "link", "del", two.host_ifname])
    settle(lambda: pod.link("eth1") and members(pod) == {"eth1"}, host.logs)
    two.check()
    two.delete()
    assert pod.link("blue") is None


@vm
def test_traffic(host):
    """A server that is bound to the VRF answers by the gateway of its table."""
    with Outside(host) as outside:
        chain = Chain(host, "neta", [FIRST, VRF]).add()
        chain.pod.run(["sysctl", "-qw", "net.ipv4.tcp_l3mdev_accept=1"])
        with serving(host, chain.pod, "tcp", 4, 80, "web"):
            assert ask(host, outside, "tcp", chain.ips[0], 80) == ("web", OUT4)
        chain.delete()


@pytest.mark.parametrize("keys, words", [
    ({"vrfname": ""}, ("vrfname",)),
    ({"vrfname": "with/slash"}, ("vrfname", "with/slash")),
    ({"vrfname": "eth0"}, ("vrfname", "eth0")),
    ({"vrfname": "sixteen-bytes-xx"}, ("vrfname",)),
    ({"table": -1}, ("table", "-1")),
    ({"table": "red"}, ("table", "red")),
])
def test_refused(host, keys, words):
    chain = Foreign(host, "net1", [VRF])
    chain.call("ADD", {**VRF, **keys}, chain.result).expect_error(7, *words)
    settle(lambda: host.ledger()["attachment"] == [], host.logs)
    chain.remove()


def test_name_is_taken(host):
    chain = Foreign(host, "net1", [VRF])
    chain.pod.run(["ip", "link", "add", "blue", "type", "bridge"])
    chain.call("ADD", VRF, chain.result).expect_error(100, "blue", "bridge")
    settle(lambda: host.ledger()["attachment"] == [], host.logs)
    chain.remove()
