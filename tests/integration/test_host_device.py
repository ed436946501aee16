# SPDX-License-Identifier: LGPL-2.1-or-later
"""A NIC of the host is lent to a sandbox and comes home as it was, whatever happens in between."""
import contextlib
import os
import signal

import pytest
from features import spare_nics
from netmgr_host import settle
from test_kinds import drop_in, uplink

V4 = "10.97.4.0/24"


def facts(host, name):
    link = [x for x in host.ip("-d", "link", "show") if x["ifname"] == name]
    if not link:
        return None
    addresses = {f"{a['local']}/{a['prefixlen']}" for x in host.ip("addr", "show") if x["ifname"] == name
                 for a in x["addr_info"] if a["scope"] == "global"}
    keys = ("address", "mtu", "txqlen", "ifalias", "promiscuity", "allmulti")
    return {k: link[0].get(k) for k in keys}, {"UP", "PROMISC", "ALLMULTI"} & set(link[0]["flags"]), addresses


@pytest.fixture
def nic(host):
    """A stand-in (a veth; the other end is on the wire), as an administrator might have set it up."""
    host.wire = uplink(host, name="nic0")
    for words in (["link", "set", "nic0", "alias", "the storage network", "txqueuelen", "777"],
                  ["link", "set", "nic0", "mtu", "1480"],
                  ["addr", "add", "10.98.7.2/24", "dev", "nic0"]):
        host.run(["ip", *words])
    host.baseline = host.snapshot()
    before = facts(host, "nic0")
    yield before
    settle(lambda: facts(host, "nic0") == before, lambda: f"wanted {before}, found {facts(host, 'nic0')}")


def holds(host, pod):
    """netmgrd has the pod's namespace open."""
    inode, own = os.stat(pod.outside).st_ino, f"/proc/{host.netmgrd.pid}/fd"
    for fd in os.listdir(own):
        with contextlib.suppress(FileNotFoundError):
            if os.stat(f"{own}/{fd}").st_ino == inode:
                return True
    return False


def lend(host, **keys):
    conf = drop_in("host-device", V4, **({"device": "nic0"} | keys))
    conf["ipam"]["ranges"][0][0]["rangeStart"] = "10.97.4.10"
    return host.add(conf, plugin="host-device")


@pytest.mark.sanitize
def test_there_and_back(host, nic):
    a = lend(host)
    assert facts(host, "nic0") is None
    link = a.pod.link("eth0")
    assert (link["address"], link["mtu"], link["ifalias"]) == (nic[0]["address"], 1480, "nic0")
    assert [(i["name"], i["sandbox"]) for i in a.result["interfaces"]] == [("eth0", a.pod.path)]
    assert a.pod.addresses() == set(a.cidrs)
    a.pod.wait_ping("10.97.4.1")
    a.check().expect_ok()
    a.delete().expect_ok()
    assert facts(host, "nic0") == nic and a.pod.link("eth0") is None


def test_by_hwaddr(host, nic):
    a = lend(host, device="", hwaddr=nic[0]["address"])
    assert a.pod.link("eth0")["address"] == nic[0]["address"]
    a.delete().expect_ok()
    assert facts(host, "nic0") == nic


def test_the_sandbox_dies(host, nic):
    """Even a stand-in, which dies with its namespace, comes home: the row keeps that until it has."""
    a = lend(host)
    a.pod.delete()
    settle(lambda: facts(host, "nic0") == nic, "the NIC is home")
    assert settle(lambda: host.held() == {}, "the release")
    a.live = False


def test_the_sandbox_renames_and_changes_it(host, nic):
    a = lend(host)
    for words in (["link", "set", "eth0", "down"], ["link", "set", "eth0", "name", "mine"],
                  ["link", "set", "mine", "address", "02:00:00:00:00:42"],
                  ["link", "set", "mine", "alias", "changed"], ["link", "set", "mine", "mtu", "1200"]):
        a.pod.run(["ip", *words[:1], *words[1:]])
    # a stand-in is known by its MAC only, so that one that has been changed cannot be found
    a.pod.run(["ip", "link", "set", "mine", "address", nic[0]["address"]])
    a.delete().expect_ok()
    assert facts(host, "nic0") == nic


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_netmgrd_starts_anew(host, nic, how):
    a = lend(host)
    host.netmgrd.restart(how)
    a.check().expect_ok()
    settle(lambda: holds(host, a.pod), "the namespace is held again")
    a.pod.delete()
    settle(lambda: facts(host, "nic0") == nic, "the NIC is home")
    settle(lambda: host.held() == {}, "the release")
    a.live = False


def test_delete_while_netmgrd_is_down(host, nic):
    a = lend(host)
    host.netmgrd.stop(signal.SIGKILL)
    a.delete().expect_ok()  # spooled
    host.netmgrd.start()
    settle(lambda: facts(host, "nic0") == nic, "the NIC is home")


def test_its_name_is_taken_meanwhile(host, nic):
    a = lend(host)
    host.run(["ip", "link", "add", "nic0", "type", "bridge"])
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None
    found = [x["ifname"] for x in host.ip("link", "show") if x["address"] == nic[0]["address"]]
    assert len(found) == 1 and found[0].startswith("nmd")
    host.run(["ip", "link", "del", "nic0"])
    host.run(["ip", "link", "set", found[0], "down"])
    host.run(["ip", "link", "set", found[0], "name", "nic0", "up"])


def test_two_want_it(host, nic):
    a = lend(host)
    conf = drop_in("host-device", device="nic0", name="net2")
    reply, _ = host.try_add(conf, plugin="host-device")
    reply.expect_error(7, "nic0")
    a.delete().expect_ok()
    b = host.add(conf, plugin="host-device")
    b.delete().expect_ok()


def test_two_with_one_mac(host):
    """As the VLANs of a NIC have: each is known by the names that it has on either side."""
    for name in ("nic1", "nic2"):
        host.run(["ip", "link", "add", name, "address", "02:00:00:00:55:01", "type", "veth", "peer", "name", name + "p"])
        host.run(["ip", "link", "set", name, "alias", name, "up"])
        host.run(["ip", "link", "set", name + "p", "up"])
    host.baseline = host.snapshot()
    before = facts(host, "nic1"), facts(host, "nic2")
    a = host.add(drop_in("host-device", device="nic2", name="net2"), plugin="host-device")
    assert a.pod.link("eth0")["ifalias"] == "nic2"
    assert facts(host, "nic1") == before[0] and host.link("nic2") is None
    b = host.add(drop_in("host-device", device="nic1"), a.pod, cid=a.cid, ifname="eth1", plugin="host-device")
    assert b.pod.link("eth1")["ifalias"] == "nic1" and host.link("nic1") is None
    a.delete().expect_ok()
    assert facts(host, "nic2") == before[1] and b.pod.link("eth1")["ifalias"] == "nic1"
    b.delete().expect_ok()
    assert (facts(host, "nic1"), facts(host, "nic2")) == before


def test_wanted_while_it_comes_home(host, nic):
    """Who asks for it then gets it as it was, or an error: never what it is on the way."""
    pods = [host.pod() for _ in range(12)]
    for i, pod in enumerate(pods):
        a, conf = lend(host), drop_in("host-device", device="nic0", name=f"net{i + 2}")

        def want():
            for _ in range(6):
                reply, b = host.try_add(conf, pod, plugin="host-device")
                if reply.ok:
                    return b
                assert reply.code in (7, 11), reply.stdout
            return None

        b, _ = host.parallel(2, lambda which: want() if which == 0 else a.delete().expect_ok(), workers=2)
        if b:
            b.delete().expect_ok()
        assert facts(host, "nic0") == nic


def test_no_ipam(host, nic):
    a = host.add(drop_in("host-device", device="nic0"), plugin="host-device")
    assert "ips" not in a.result and "UP" in a.pod.link("eth0")["flags"]
    a.delete().expect_ok()


def test_default_route_is_refused(host, nic):
    host.run(["ip", "route", "add", "default", "via", "10.98.7.1"])
    with host.unchanged():
        reply, _ = host.try_add(drop_in("host-device", device="nic0"), plugin="host-device")
        reply.expect_error(7, "nic0", "default route")
    host.run(["ip", "route", "del", "default"])


def test_what_the_default_route_works_by_is_refused(host, nic):
    """The host is reached by a bridge whose port it is."""
    for words in (["link", "add", "br7", "type", "bridge"], ["link", "set", "br7", "up"],
                  ["link", "set", "nic0", "master", "br7"], ["addr", "add", "10.99.7.2/24", "dev", "br7"],
                  ["route", "add", "default", "via", "10.99.7.1"]):
        host.run(["ip", *words])
    with host.unchanged():
        reply, _ = host.try_add(drop_in("host-device", device="nic0"), plugin="host-device")
        reply.expect_error(7, "nic0", "default route")
    host.run(["ip", "link", "del", "br7"])


def test_interfaces_of_netmgr_are_refused(host, nic):
    for name in ("nmg77", "nmi77", "nmb-x", "nmv-x", "nmw-x"):
        host.run(["ip", "link", "add", name, "type", "bridge"])
        reply, _ = host.try_add(drop_in("host-device", device=name), plugin="host-device")
        reply.expect_error(7, name, "of netmgr")
        host.run(["ip", "link", "del", name])


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\nProtectedInterfaces=eno* nic?\n")
def test_protected_is_refused(host, nic):
    with host.unchanged():
        reply, _ = host.try_add(drop_in("host-device", device="nic0"), plugin="host-device")
        reply.expect_error(7, "nic0", "ProtectedInterfaces")


@pytest.mark.parametrize("keys, words", [
    ({"device": "none0"}, ["device", "none0"]),
    ({"hwaddr": "02:00:00:00:00:01"}, ["hwaddr", "02:00:00:00:00:01"]),
    ({"kernelpath": "/sys/devices/pci0000:00/none"}, ["kernelpath", "none"]),
    ({"pciBusID": "0000:ff:1f.7"}, ["pciBusID", "0000:ff:1f.7"]),
    ({"device": "lo"}, ["lo", "loopback"]),
    ({"device": "nic0", "hwaddr": "02:00:00:00:00:01"}, ["device", "hwaddr"]),
    ({}, ["device"]),
])
def test_refused(host, keys, words):
    with host.unchanged():
        reply, _ = host.try_add(drop_in("host-device", **keys), plugin="host-device")
        reply.expect_error(7, *words)


def test_add_fails_half_way(host, nic):
    """What comes after the move is refused: the NIC is home, as it was."""
    conf = drop_in("host-device", V4, device="nic0")
    conf["ipam"]["routes"] = [{"dst": "10.1.0.0/16", "gw": "10.77.0.1"}]
    pod = host.pod()
    reply, _ = host.try_add(conf, pod, plugin="host-device")
    reply.expect_error(105, "route")
    assert facts(host, "nic0") == nic and pod.link("eth0") is None


@pytest.mark.vm("physical-nic")
@pytest.mark.host(initial_netns=True)
@pytest.mark.parametrize("end", ["del", "dies", "dies-netmgrd-down"])
def test_physical(host, end):
    with spare_nics(host) as (one, _), contextlib.ExitStack() as after:
        before = facts(host, one.name)
        conf = drop_in("host-device", V4, device="", hwaddr=before[0]["address"])
        a = host.add(conf, plugin="host-device")
        assert facts(host, one.name) is None
        if end == "del":
            a.delete().expect_ok()
        elif end == "dies":
            a.pod.delete()
        else:
            host.netmgrd.stop(signal.SIGKILL)
            a.pod.delete()
            host.netmgrd.start()
        settle(lambda: facts(host, one.name) == before, "the NIC is home")
        settle(lambda: host.held() == {}, "the release")
        a.live = False
        after.close()
