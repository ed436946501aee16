# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interfaces of every kind, by the keys of the reference plugins: they work, are checked, and go."""
import json
import os

import pytest
from netmgr_host import netconf, settle

V4, V6 = "10.97.4.0/24", "fd97:4::/64"


def drop_in(plugin, *subnets, name="net1", version="1.0.0", **keys):
    conf = {"cniVersion": version, "name": name, "type": plugin}
    if subnets:
        conf["ipam"] = {"type": "host-local", "ranges": [[{"subnet": s}] for s in subnets]}
    conf.update(keys)
    return conf


def uplink(host, address="10.97.4.1/24", name="up0"):
    """A link of the host whose other end is a neighbour on the same wire, in a namespace of its own."""
    wire = host.pod()
    host.pods.remove(wire)  # it is there until the host goes
    host.run(["ip", "link", "add", name, "type", "veth", "peer", "name", "far", "netns", wire.name])
    host.run(["ip", "link", "set", name, "up"])
    wire.run(["ip", "link", "set", "far", "up"])
    wire.run(["ip", "addr", "add", address, "dev", "far"])
    settle(lambda: any(not a.get("tentative") for x in host.ip("-6", "addr", "show", "dev", name)
                       for a in x.get("addr_info", [])), "the link-local address")
    host.baseline = host.snapshot()
    return wire


def overlays(host):
    return [x for x in host.ip("-d", "link", "show") if x.get("linkinfo", {}).get("info_kind") == "vxlan"]


def interfaces(a):
    return [(i["name"], bool(i.get("sandbox"))) for i in a.result["interfaces"]]


@pytest.mark.sanitize
@pytest.mark.parametrize("subnets", [(V4,), (V6,), (V4, V6)], ids=["v4", "v6", "dual"])
def test_ptp(host, subnets):
    conf = drop_in("ptp", *subnets, ipMasq=True)
    conf["ipam"]["routes"] = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    a, b = host.add(conf, plugin="ptp"), host.add(conf, plugin="ptp")
    assert interfaces(a) == [(a.host_ifname, False), ("eth0", True)]
    assert all(i["interface"] == 1 for i in a.result["ips"])
    for one in range(len(subnets)):
        a.pod.wait_ping(b.ips[one])
        host.wait_ping(a.ips[one])
        a.pod.wait_ping(a.result["ips"][one]["gateway"])
    # through the host, also to a neighbour of the same subnet
    for route in a.pod.ip("route", "show", "table", "main") if V4 in subnets else []:
        assert route["dst"] in ("default", "10.97.4.0/24", "10.97.4.1"), route
    a.check().expect_ok()
    a.delete().expect_ok()
    assert host.link(a.host_ifname) is None and a.pod.link("eth0") is None


@pytest.mark.sanitize
@pytest.mark.vm("macvlan")
@pytest.mark.parametrize("mode", ["bridge", "private", "vepa"])
def test_macvlan(host, mode):
    wire = uplink(host)
    conf = drop_in("macvlan", V4, master="up0", mode=mode, mtu=1400)
    conf["ipam"]["ranges"][0][0]["rangeStart"] = "10.97.4.10"
    a, b = host.add(conf, plugin="macvlan"), host.add(conf, plugin="macvlan")
    assert interfaces(a) == [("eth0", True)]
    a.pod.wait_ping("10.97.4.1")
    wire.wait_ping(b.ips[0])
    link = a.pod.link("eth0")
    assert link["linkinfo"]["info_data"]["mode"] == mode and link["mtu"] == 1400
    assert link["address"] == a.result["interfaces"][0]["mac"]
    if mode == "bridge":
        a.pod.wait_ping(b.ips[0])
    a.check().expect_ok()
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None
    b.pod.delete()
    settle(lambda: host.held() == {}, "the release of the dead one")


@pytest.mark.vm("macvlan")
def test_macvlan_goes_although_its_netns_lives(host):
    """DEL without the namespace's path, a crash in the middle of DEL, and GC find it where it is."""
    uplink(host)
    conf = drop_in("macvlan", V4, master="up0")
    a = host.add(conf, plugin="macvlan")
    a.delete(netns="").expect_ok()
    assert a.pod.link("eth0") is None

    a = host.add(conf, plugin="macvlan", pod=a.pod)
    gc = {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    host.cni("GC", gc, plugin="macvlan").expect_ok()
    assert a.pod.link("eth0"), "GC took a sandbox that lives"
    a.delete().expect_ok()


@pytest.mark.vm("macvlan")
def test_macvlan_goes_with_its_failed_add(host):
    """Also from a namespace by a path that netmgrd may not open itself: there is no DHCP server to be asked."""
    uplink(host)
    pod = host.pod()
    process = host.popen(["sleep", "infinity"], netns=pod)
    path = f"/proc/{process.pid}/ns/net"
    try:
        settle(lambda: os.stat(path).st_ino == os.stat(pod.outside).st_ino, "the process is in the pod")
        conf = {**drop_in("macvlan", master="up0"), "ipam": {"type": "dhcp"}}
        host.cni("ADD", conf, pod.name, "eth0", path, plugin="macvlan").expect_error(11, "dhcp")
        assert pod.link("eth0") is None
    finally:
        process.kill()
        process.wait()


@pytest.mark.vm("macvlan")
@pytest.mark.parametrize("end", ["del", "dies"])
def test_macvlan_behind_a_path_of_others(host, end):
    """A release that may not open the path has not seen the end of anything: it is kept for one who may."""
    uplink(host)
    pod = host.pod()
    process = host.popen(["sleep", "infinity"], netns=pod)
    path = f"/proc/{process.pid}/ns/net"
    try:
        settle(lambda: os.stat(path).st_ino == os.stat(pod.outside).st_ino, "the process is in the pod")
        conf = drop_in("macvlan", V4, master="up0")
        for verb in ("ADD", "DEL"):
            host.cni(verb, conf, pod.name, "eth0", path if verb == "ADD" else "", plugin="macvlan").expect_ok()
        assert pod.link("eth0") and host.held() != {}
        if end == "del":
            host.cni("DEL", conf, pod.name, "eth0", path, plugin="macvlan").expect_ok()
            assert pod.link("eth0") is None
    finally:
        process.kill()
        process.wait()
    settle(lambda: host.held() == {}, "the release")


@pytest.mark.vm("macvlan")
@pytest.mark.parametrize("keys, code, words", [
    ({"master": "nothere0"}, 7, ["master", "nothere0"]),
    ({"master": "up0", "mtu": 9000}, 7, ["mtu", "9000", "1500"]),
    ({}, 7, ["master", "default route"]),
    ({"master": "up0", "mac": "03:00:00:00:00:01"}, 7, ["mac", "03:00:00:00:00:01"]),
])
def test_macvlan_refused(host, keys, code, words):
    uplink(host)
    pod = host.pod()
    with host.unchanged():
        reply, _ = host.try_add(drop_in("macvlan", V4, **keys), pod, plugin="macvlan")
        reply.expect_error(code, *words)
    assert pod.link("eth0") is None


@pytest.mark.vm("macvlan")
def test_macvlan_of_the_default_route(host):
    uplink(host)
    host.run(["ip", "addr", "add", "10.98.0.2/24", "dev", "up0"])
    host.run(["ip", "route", "add", "default", "via", "10.98.0.1", "dev", "up0"])
    a = host.add(drop_in("macvlan", V4), plugin="macvlan")
    assert a.pod.link("eth0")["linkinfo"]["info_kind"] == "macvlan"
    a.delete().expect_ok()
    host.run(["ip", "route", "del", "default"])
    host.run(["ip", "addr", "del", "10.98.0.2/24", "dev", "up0"])


@pytest.mark.vm("macvlan")
def test_macvlan_on_a_link_of_the_sandbox(host):
    pod = host.pod()
    pod.run(["ip", "link", "add", "below", "type", "veth", "peer", "name", "other"])
    pod.run(["ip", "link", "set", "below", "up"])
    a = host.add(drop_in("macvlan", V4, master="below", linkInContainer=True), pod, plugin="macvlan")
    assert pod.link("eth0")["link"] == "below" and pod.addresses() == set(a.cidrs)
    a.check().expect_ok()
    a.delete().expect_ok()
    assert pod.link("eth0") is None and pod.link("below")


@pytest.mark.vm("ipvlan")
@pytest.mark.parametrize("mode", ["l2", "l3", "l3s"])
def test_ipvlan(host, mode):
    wire = uplink(host)
    conf = drop_in("ipvlan", V4, master="up0", mode=mode)
    conf["ipam"]["ranges"][0][0]["rangeStart"] = "10.97.4.10"
    a, b = host.add(conf, plugin="ipvlan"), host.add(conf, plugin="ipvlan")
    assert a.pod.link("eth0")["linkinfo"]["info_data"]["mode"] == mode
    assert a.result["interfaces"][0]["mac"] == host.link("up0")["address"]
    a.pod.wait_ping(b.ips[0])
    if mode == "l2":
        wire.wait_ping(a.ips[0])
    a.check().expect_ok()
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None


@pytest.mark.vm("ipvlan")
def test_ipvlan_behind_another_plugin(host):
    """It stands on the one interface of prevResult and takes the addresses over."""
    wire = uplink(host)
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "up0"}],
            "ips": [{"address": "10.97.4.77/24", "gateway": "10.97.4.1", "interface": 0}]}
    a = host.add(drop_in("ipvlan", prevResult=prev), plugin="ipvlan")
    assert a.cidrs == ["10.97.4.77/24"] and interfaces(a) == [("eth0", True)]
    assert a.pod.link("eth0")["linkinfo"]["info_kind"] == "ipvlan"
    wire.wait_ping("10.97.4.77")
    a.check().expect_ok()
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None


@pytest.mark.vm("8021q")
def test_vlan(host):
    wire = uplink(host)
    wire.run(["ip", "link", "add", "link", "far", "name", "far.7", "type", "vlan", "id", "7"])
    wire.run(["ip", "addr", "add", "10.97.7.1/24", "dev", "far.7"])
    wire.run(["ip", "link", "set", "far.7", "up"])
    conf = drop_in("vlan", "10.97.7.0/24", master="up0", vlanId=7)
    a = host.add(conf, plugin="vlan")
    a.pod.wait_ping("10.97.7.1")
    assert a.pod.link("eth0")["linkinfo"]["info_data"]["id"] == 7
    a.check().expect_ok()
    host.run(["ip", "link", "del", "up0"])  # and the VLAN with it: DEL works all the same
    a.delete().expect_ok()
    host.baseline = host.snapshot()


@pytest.mark.vm("dummy")
def test_dummy(host):
    a = host.add(drop_in("dummy", V4, V6), plugin="dummy")
    assert a.pod.link("eth0")["linkinfo"]["info_kind"] == "dummy"
    assert a.pod.addresses() == set(a.cidrs)
    a.check().expect_ok()
    a.delete().expect_ok()
    assert a.pod.link("eth0") is None


@pytest.mark.sanitize
@pytest.mark.vm("tap")
def test_tap(host):
    pod = host.pod()
    pod.run(["ip", "link", "add", "br0", "type", "bridge"])
    conf = drop_in("tap", V4, multiQueue=True, owner=1234, group=4321, mac="02:00:00:00:00:77", mtu=1400,
                   bridge="br0")
    a = host.add(conf, pod, plugin="tap")
    link = pod.link("eth0")
    data = link["linkinfo"]["info_data"]
    assert data["type"] == "tap" and data["multi_queue"] and data["persist"]
    assert data["user"] == 1234 and data["group"] == 4321
    assert (link["address"], link["mtu"], link["master"]) == ("02:00:00:00:00:77", 1400, "br0")
    assert pod.addresses() == set(a.cidrs)
    a.check().expect_ok()
    a.delete().expect_ok()
    assert pod.link("eth0") is None


@pytest.mark.sanitize
def test_bridge_without_addresses(host):
    """Layer 2 only, and a port that stays down in the sandbox."""
    a, b = (host.add(drop_in("bridge", bridge="br7"), plugin="bridge") for _ in range(2))
    for i, x in enumerate((a, b)):
        assert "ips" not in x.result and x.pod.link("eth0")["operstate"] == "UP"
        x.pod.run(["ip", "addr", "add", f"10.97.9.{i + 1}/24", "dev", "eth0"])
    c = host.add(drop_in("bridge", bridge="br7", name="net2", disableContainerInterface=True), plugin="bridge")
    assert "UP" not in c.pod.link("eth0")["flags"]
    c.check().expect_ok()
    for x in (a, b, c):
        x.delete().expect_ok()
    assert host.link("br7"), "the bridge of a drop-in stays"
    host.run(["ip", "link", "del", "br7"])


def test_bridge_port_isolation(host):
    conf = drop_in("bridge", V4, isGateway=True, portIsolation=True)
    a, b = host.add(conf, plugin="bridge"), host.add(conf, plugin="bridge")
    a.pod.wait_ping("10.97.4.1")
    b.pod.wait_ping("10.97.4.1")
    assert a.pod.run(["ping", "-c1", "-W1", b.ips[0]], check=False).returncode != 0
    assert host.link(a.host_ifname)["linkinfo"]["info_slave_data"]["isolated"]
    a.check().expect_ok()
    host.run(["ip", "link", "set", a.host_ifname, "type", "bridge_slave", "isolated", "off"])
    settle(lambda: host.ctl("reconcile").returncode == 0 and
           host.link(a.host_ifname)["linkinfo"]["info_slave_data"]["isolated"], "the repair")
    for x in (a, b):
        x.delete().expect_ok()
    host.run(["ip", "link", "del", "cni0"])


@pytest.mark.vm("bridge-vlan-filtering")
def test_bridge_vlan(host):
    conf = drop_in("bridge", V4, isGateway=True, vlan=7)
    a, b = host.add(conf, plugin="bridge"), host.add(conf, plugin="bridge")
    other = host.add(drop_in("bridge", "10.97.5.0/24", name="net2", vlan=8), plugin="bridge")
    a.pod.wait_ping(b.ips[0])
    a.pod.wait_ping("10.97.4.1")
    assert host.link("cni0.7"), "the gateway of the VLAN"
    vlans = {x["ifname"]: [v["vlan"] for v in x["vlans"]]
             for x in json.loads(host.run(["bridge", "-j", "vlan", "show"]).stdout)}
    assert vlans[a.host_ifname] == [7] and vlans[other.host_ifname] == [8]
    other.pod.run(["ip", "addr", "add", "10.97.4.200/24", "dev", "eth0"])
    assert other.pod.run(["ping", "-c1", "-W1", a.ips[0]], check=False).returncode != 0
    for x in (a, b, other):
        x.check().expect_ok()
    host.run(["ip", "addr", "del", "10.97.4.1/24", "dev", "cni0.7"])
    host.ctl("reconcile", check=True)
    settle(lambda: any(x["local"] == "10.97.4.1" for l in host.ip("addr", "show", "dev", "cni0.7")
                       for x in l["addr_info"]), "the gateway address is put back")
    a.check().expect_ok()
    for x in (a, b, other):
        x.delete().expect_ok()
    settle(lambda: host.link("cni0.7") is None, "the gateway's end")
    host.run(["ip", "link", "del", "cni0"])


@pytest.mark.vm("vxlan")
def test_vxlan(host):
    """Two networks of one overlay, each with the other's node as its only peer: here both nodes are one."""
    uplink(host)
    host.run(["ip", "addr", "add", "10.98.0.2/24", "dev", "up0"])
    conf = netconf("over", V4, kind="vxlan", vni=77, master="up0", local="10.98.0.2", remote="10.98.0.3",
                   isGateway=True)
    a, b = host.add(conf), host.add(conf)
    a.pod.wait_ping(b.ips[0])
    ports = overlays(host)
    assert len(ports) == 1 and ports[0]["linkinfo"]["info_data"]["id"] == 77
    assert a.pod.link("eth0")["mtu"] == 1450
    a.check().expect_ok()
    host.run(["ip", "link", "del", ports[0]["ifname"]])
    settle(lambda: host.ctl("reconcile").returncode == 0 and overlays(host), "the repair")
    a.delete().expect_ok()
    b.delete().expect_ok()
    settle(lambda: not overlays(host), "its end")
    host.run(["ip", "addr", "del", "10.98.0.2/24", "dev", "up0"])


@pytest.mark.vm("vxlan")
def test_vxlan_becomes_another(host):
    """The tunnel is that of the newest configuration, also when another one was there before."""
    uplink(host)
    host.run(["ip", "addr", "add", "10.98.0.2/24", "dev", "up0"])

    def over(**keys):
        return netconf("over", V4, **({"kind": "vxlan", "vni": 77, "master": "up0", "local": "10.98.0.2"} | keys))

    a = host.add(over())
    first = overlays(host)[0]["ifindex"]
    b = host.add(over())
    assert [x["ifindex"] for x in overlays(host)] == [first]
    c = host.add(over(vni=78, remote="10.98.0.3"))
    data = [x["linkinfo"]["info_data"] for x in overlays(host)]
    assert [(x["id"], x["remote"]) for x in data] == [(78, "10.98.0.3")]
    host.netmgrd.restart()
    d = host.add(over(vni=78, remote="10.98.0.4"))
    data = [x["linkinfo"]["info_data"] for x in overlays(host)]
    assert [(x["id"], x["remote"]) for x in data] == [(78, "10.98.0.4")]
    for x in (a, b, c, d):
        x.delete().expect_ok()
    settle(lambda: not overlays(host), "its end")
    host.run(["ip", "addr", "del", "10.98.0.2/24", "dev", "up0"])


@pytest.mark.vm("vxlan")
def test_a_tunnel_without_a_network(host):
    """What a crash or a changed configuration has left; what others have made stays."""
    names = ["nmv-0123456789a", "nmw-0123456789a", "nmv-bridge"]
    host.run(["ip", "link", "add", names[0], "type", "vxlan", "id", "99", "dstport", "4789"])
    host.run(["ip", "link", "add", names[1], "type", "veth", "peer", "name", "br.77"])
    host.run(["ip", "link", "add", names[2], "type", "bridge"])
    host.ctl("reconcile")
    settle(lambda: host.link(names[0]) is None and host.link("br.77") is None, "their end")
    assert host.link(names[2])
    host.run(["ip", "link", "del", names[2]])


@pytest.mark.vm("bridge-vlan-filtering")
def test_gateway_of_a_vlan_is_made_whole(host):
    """It was left half made, or its bridge is a new one: the next ADD, and reconcile, put it into its VLAN."""
    conf = drop_in("bridge", V4, isGateway=True, vlan=7)
    a = host.add(conf, plugin="bridge")
    a.pod.wait_ping("10.97.4.1")
    port = next(x["ifname"] for x in host.ip("link", "show") if x["ifname"].startswith("nmw-"))
    for words in (["del", "vid", "7"], ["add", "vid", "1", "pvid", "untagged"]):
        host.run(["bridge", "vlan", words[0], "dev", port, *words[1:]])
    host.run(["ip", "link", "set", port, "down"])
    host.netmgrd.restart()
    b = host.add(conf, plugin="bridge")
    b.pod.wait_ping("10.97.4.1")
    b.check().expect_ok()
    host.run(["ip", "link", "del", "cni0"])
    settle(lambda: host.ctl("reconcile").returncode == 0 and host.link("cni0"), "the new bridge")
    a.pod.wait_ping("10.97.4.1")
    # another VLAN: the old gateway lasts as long as somebody is behind it
    c = host.add({**conf, "vlan": 9}, plugin="bridge")
    for x in (a, b):
        assert host.link("cni0.7")
        x.delete().expect_ok()
    settle(lambda: host.link("cni0.7") is None, "the end of the old gateway")
    assert host.link("cni0.9")
    c.delete().expect_ok()
    settle(lambda: host.link("cni0.9") is None, "the end of the new one")
    host.run(["ip", "link", "del", "cni0"])


@pytest.mark.vm("bridge-vlan-filtering")
def test_vlan_of_our_own_network(host):
    """Its gateway's route is no stranger's at the next start, and CHECK looks for the gateway where it is."""
    conf = netconf("ours", V4, kind="bridge", bridge="vl0", isGateway=True, vlan=5)
    a = host.add(conf)
    host.netmgrd.restart()
    b = host.add(conf)
    a.pod.wait_ping(b.ips[0])
    a.check().expect_ok()
    host.run(["ip", "addr", "del", "10.97.4.1/24", "dev", "vl0.5"])
    settle(lambda: "10.97.4.1" in host.run(["ip", "addr", "show", "dev", "vl0.5"]).stdout, "the repair")
    a.check().expect_ok()
    for x in (a, b):
        x.delete().expect_ok()
    settle(lambda: host.link("vl0") is None and host.link("vl0.5") is None, "their end")
