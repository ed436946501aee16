# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several networks from one ADD: the annotations of a pod, all or nothing, and one end for all of it."""
import json
import os
import signal

import pytest

from host_daemon import settle
from netmgr_host import Host, bridge, ipam, netconf, routed
from pod_networks import (CAPABILITY, DANM, DEFAULT_NETWORK, GENIE, NETWORKS, annotated, finish, interfaces, pod_args, reload, write_list,
                          write_nad, write_network)
from runtime_client import Call, call

BLUE, RED = "10.98.1.0/24", "10.98.2.0/24"


def ready(host):
    """Two networks of the node: blue is a bridge, red is routed"""
    write_network(host, "blue", "bridge", BLUE)
    write_network(host, "red", "routed", RED)
    reload(host)


def rows(host):
    return {a["Interface"]: a for a in host.describe("attachments")}


def test_three_interfaces_by_one_add(host):
    ready(host)
    write_nad(host, "tenant", "green", {"cniVersion": "1.0.0", "type": "netmgr", "kind": "bridge",
                                        "isGateway": True, "ipam": ipam("10.98.3.0/24")})
    reload(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue, green@lan0 ,red"}), args=pod_args("tenant"))
    assert set(interfaces(a.pod)) == {"eth0", "net1", "lan0", "net3"}
    # the runtime hears of its own network only
    assert [i["name"] for i in a.result["interfaces"] if i.get("sandbox")] == ["eth0"]
    assert a.ips == ["10.97.0.2"]
    assert a.pod.addresses("net1") == {"10.98.1.2/24"}
    assert a.pod.addresses("lan0") == {"10.98.3.2/24"}
    assert a.pod.addresses("net3") == {"10.98.2.2/32"}
    assert {x["Network"] for x in rows(host).values()} == {"net1", "blue", "tenant/green", "red"}
    a.pod.wait_ping("10.98.1.1")
    a.pod.wait_ping("10.98.3.1")
    a.check().expect_ok()
    host.netmgrd.kill()
    host.netmgrd.start()
    a.check().expect_ok()
    a.delete().expect_ok()
    assert not interfaces(a.pod)
    finish(host)


def test_every_key_of_an_element(host):
    ready(host)
    write_network(host, "shaped", "bridge", "10.98.4.0/24 fd98:4::/64")
    reload(host)
    wish = [{"name": "shaped", "interface": "lan0", "ips": ["10.98.4.77/24", "fd98:4::77"],
             "mac": "02:00:00:00:00:77",
             "portMappings": [{"hostPort": 8077, "containerPort": 80, "protocol": "TCP"}],
             "bandwidth": {"ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 4000000, "egressBurst": 4000000},
             "cni-args": {"unknown.example.org/key": 1}}]
    a = host.add(annotated(routed(), {NETWORKS: wish}), args=pod_args())
    assert a.pod.addresses("lan0") == {"10.98.4.77/24", "fd98:4::77/64"}
    assert a.pod.link("lan0")["address"] == "02:00:00:00:00:77"
    row = rows(host)["lan0"]
    assert (row["IngressRate"], row["EgressRate"]) == (8000000, 4000000)
    assert {(p["HostPort"], p["ContainerPort"], p["Protocol"]) for p in row["Ports"]} == {(8077, 80, "tcp")}
    assert rows(host)["eth0"]["IngressRate"] == 0
    finish(host)


def test_what_the_runtime_wishes_is_for_its_own_network(host):
    """Host ports and limits of the pod, IP and MAC of CNI_ARGS."""
    ready(host)
    conf = annotated(routed(), {NETWORKS: "blue,blue@two"}, bandwidth={"ingressRate": 9000000},
                     portMappings=[{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}])
    a = host.add(conf, args=pod_args() + ";IP=10.97.0.9;MAC=02:00:00:00:00:09")
    assert a.ips == ["10.97.0.9"] and a.pod.link("eth0")["address"] == "02:00:00:00:00:09"
    found = rows(host)
    assert {n: r["IngressRate"] for n, r in found.items()} == {"eth0": 9000000, "net1": 0, "two": 0}
    assert {n: bool(r["Ports"]) for n, r in found.items()} == {"eth0": True, "net1": False, "two": False}
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.addresses("two") == {"10.98.1.3/24"}
    finish(host)


def test_all_or_nothing(host):
    ready(host)
    write_network(host, "tiny", "bridge", "10.98.5.0/30")
    reload(host)
    first = host.add(annotated(routed(), {NETWORKS: "tiny"}), args=pod_args(name="a"))
    host.add(annotated(routed(), {NETWORKS: "blue"}), args=pod_args(name="has-the-bridge"))
    before, held = host.links(), host.held()
    conf = annotated(routed(), {NETWORKS: [{"name": "blue"}, {"name": "red"}, {"name": "tiny"}, {"name": "blue"}]})
    reply, _ = host.try_add(conf, pod := host.pod(), args=pod_args(name="b"))
    reply.expect_error(101, f"{NETWORKS}[2]", "tiny", "net3")
    assert not interfaces(pod) and host.links() == before
    settle(lambda: host.held() == held, "their addresses are free")
    # and once there is room, the same works
    first.delete().expect_ok()
    host.add(conf, pod, args=pod_args(name="b"))
    finish(host)


@pytest.mark.parametrize("annotation,words", [
    ("nowhere", ["networks[0]", "nowhere"]),
    ("blue,,red", ["networks"]),
    ("a/b/c", ["a/b/c"]),
    ("blue@eth0", ["eth0"]),
    ("blue@x,red@x", ["x"]),
    ([{"name": "blue", "ips": ["10.98.1.300"]}], ["networks[0]", "ips", "10.98.1.300"]),
    ([{"name": "blue"}, {"name": "red", "mac": "nonsense"}], ["networks[1]", "mac", "nonsense"]),
    ([{"namespace": "x"}], ["networks[0]", "name"]),
    ([{"name": "blue", "default-route": []}, {"name": "red", "default-route": []}], ["default-route"]),
    ('[{"name": "blue"', ["networks"]),
])
def test_a_bad_annotation_attaches_nothing(host, annotation, words):
    ready(host)
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: annotation}), pod := host.pod(), args=pod_args())
    reply.expect_error((7, 6, 2), *words)
    assert not interfaces(pod) and not host.describe("attachments")
    finish(host)


@pytest.mark.parametrize("key,value", [("infiniband-guid", "c2:11:22:33:44:55:66:77"), ("deviceID", "0000:3b:00.1")])
def test_a_wish_that_a_network_of_ours_cannot_grant(host, key, value):
    ready(host)
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "red"}, {"name": "blue", key: value}]}),
                            pod := host.pod(), args=pod_args())
    reply.expect_error(7, f"{NETWORKS}[1]", key, "blue", "bridge")
    assert not interfaces(pod) and not host.describe("attachments")
    finish(host)


@pytest.mark.parametrize("wish", [{"ips": ["192.0.2.77/32"]}, {"cni-args": {"ips": ["192.0.2.77/32"]}}])
def test_a_pod_does_not_change_static_addresses(host, wish):
    """Of a routed network that would be a route of the node, to whatever a pod's author likes."""
    write_list(host, "fixed", {"type": "netmgr", "kind": "routed",
                               "ipam": {"type": "static", "addresses": [{"address": "10.98.7.7/32"}]}})
    reload(host)
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "fixed", **wish}]}), pod := host.pod(), args=pod_args())
    reply.expect_error((7, 999), f"{NETWORKS}[0]", "ips", "fixed", "static")
    assert not interfaces(pod) and not host.describe("attachments")
    a = host.add(annotated(routed(), {NETWORKS: "fixed"}), args=pod_args())
    assert a.pod.addresses("net1") == {"10.98.7.7/32"}
    finish(host)


def test_a_pod_does_not_change_the_device(host):
    """The network is for one NIC of the node, and not for all."""
    write_list(host, "nic", {"type": "netmgr", "kind": "host-device", "device": "nic0", "ipam": ipam("10.98.7.0/24")})
    reload(host)
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "nic", "deviceID": "0000:3b:00.1"}]}),
                            pod := host.pod(), args=pod_args())
    reply.expect_error((7, 999), f"{NETWORKS}[0]", "deviceID", "nic", "says itself")
    assert not interfaces(pod) and not host.describe("attachments")
    finish(host)


def test_a_pod_does_not_take_the_mac_of_another(host):
    ready(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue"}), args=pod_args(name="a"))
    taken = a.pod.link("net1")["address"]
    for mac in (taken, host.link("nmb-blue")["address"]):
        reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "blue", "mac": mac}]}), pod := host.pod(),
                                args=pod_args(name="b"))
        reply.expect_error(104, f"{NETWORKS}[0]", mac)
        assert not interfaces(pod)
    # who is gone has it no more, and a link of its own is no bridge
    host.add(annotated(routed(), {NETWORKS: [{"name": "red", "mac": taken}]}), args=pod_args(name="c"))
    a.delete().expect_ok()
    host.add(annotated(routed(), {NETWORKS: [{"name": "blue", "mac": taken}]}), args=pod_args(name="b"))
    finish(host)


def test_namespaces_are_isolated(host):
    conf = {"type": "netmgr", "kind": "bridge", "isGateway": True, "ipam": ipam(BLUE)}
    write_nad(host, "one", "lan", conf)
    write_nad(host, "default", "lan", {**conf, "ipam": ipam(RED)})
    reload(host)
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: "one/lan"}), args=pod_args("two"))
    reply.expect_error((7, 999), "one", "two", NETWORKS)
    # of the shared namespace, of one's own, and by its bare name
    host.add(annotated(routed(), {NETWORKS: "default/lan"}), args=pod_args("two"))
    a = host.add(annotated(routed(), {NETWORKS: "lan,one/lan"}), args=pod_args("one"))
    assert {r["Network"] for r in host.describe("attachments") if r["Sandbox"] == a.cid} == {"net1", "one/lan"}
    # without a namespace a pod has none of its own
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: "one/lan"}))
    reply.expect_error((7, 999), "one")
    finish(host)


@pytest.mark.host(conf="[Networks]\nNamespaceIsolation=no\n[Host]\nNodeAddress=192.0.2.1\n")
def test_without_isolation_all_namespaces_are_open(host):
    write_nad(host, "one", "lan", {"type": "netmgr", "kind": "bridge", "ipam": ipam(BLUE)})
    reload(host)
    host.add(annotated(routed(), {NETWORKS: "one/lan"}), args=pod_args("two"))
    finish(host)


def test_a_default_network_of_the_pods_own(host):
    ready(host)
    write_nad(host, "kube-system", "special", {"type": "netmgr", "kind": "routed", "ipam": ipam("10.98.6.0/24")})
    reload(host)
    conf = annotated(routed(), {DEFAULT_NETWORK: "special", NETWORKS: "blue"})
    a = host.add(conf, args=pod_args("tenant"))
    assert a.ips == ["10.98.6.2"] and a.pod.addresses("eth0") == {"10.98.6.2/32"}
    assert set(interfaces(a.pod)) == {"eth0", "net1"}
    a.check().expect_ok()
    # by the name of the runtime's own configuration, which is not that of the network
    host.cni("GC", {**conf, "runtimeConfig": {}, "cniVersion": "1.1.0",
                    "cni.dev/valid-attachments": [{"containerID": a.cid, "ifname": "eth0"}]}).expect_ok()
    assert set(interfaces(a.pod)) == {"eth0", "net1"}
    a.delete().expect_ok()
    assert not interfaces(a.pod)
    finish(host)


def test_another_default_network_has_what_the_runtime_wishes(host):
    """Host ports and limits of the pod belong to whatever network is its default one."""
    ready(host)
    wishes = dict(bandwidth={"ingressRate": 9000000},
                  portMappings=[{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}])
    for annotations, interface in (({DEFAULT_NETWORK: "blue", NETWORKS: "red"}, "net1"),
                                   ({GENIE: "blue,red"}, "eth1"),
                                   ({DANM: [{"network": "blue"}, {"clusterNetwork": "red"}]}, "eth1")):
        a = host.add(annotated(routed(), annotations, **wishes), args=pod_args())
        found = rows(host)
        assert set(found) == {"eth0", interface} and found["eth0"]["Network"] == "blue"
        assert found["eth0"]["IngressRate"] == 9000000 and found["eth0"]["Ports"]
        assert found[interface]["IngressRate"] == 0 and not found[interface]["Ports"]
        a.delete().expect_ok()
    # over the runtime's, key by key
    a = host.add(annotated(routed(), {DEFAULT_NETWORK: [{"name": "blue", "bandwidth": {"ingressRate": 8000000}}]},
                           **wishes), args=pod_args())
    assert rows(host)["eth0"]["IngressRate"] == 8000000 and rows(host)["eth0"]["Ports"]
    finish(host)


def test_the_namespace_of_default_networks_is_open_for_them_alone(host):
    """With or without being said; it is not shared for anything else."""
    write_nad(host, "kube-system", "special", {"type": "netmgr", "kind": "routed", "ipam": ipam("10.98.6.0/24")})
    write_nad(host, "blue", "special", {"type": "netmgr", "kind": "routed", "ipam": ipam("10.98.7.0/24")})
    reload(host)
    a = host.add(annotated(routed(), {DEFAULT_NETWORK: "kube-system/special"}, ), args=pod_args("tenant"))
    assert a.ips == ["10.98.6.2"]
    for annotations in ({NETWORKS: "kube-system/special"}, {DEFAULT_NETWORK: "blue/special"}):
        reply, _ = host.try_add(annotated(routed(), annotations), args=pod_args("tenant"))
        reply.expect_error((7, 999), *annotations, "tenant")
    finish(host)


def test_names_of_genie_come_in_turn(host):
    """Who gets eth0 is the default network, wherever it stands."""
    ready(host)
    a = host.add(annotated(routed(), {GENIE: "red@eth1,blue"}), args=pod_args())
    assert a.ips == ["10.98.1.2"] and a.pod.addresses("eth0") == {"10.98.1.2/24"}
    assert a.pod.addresses("eth1") == {"10.98.2.2/32"}
    assert {i: r["Network"] for i, r in rows(host).items()} == {"eth0": "blue", "eth1": "red"}
    a.check().expect_ok()
    # the node's choice: what the runtime is configured with
    b = host.add(annotated(routed(), {GENIE: ""}), args=pod_args(name="b"))
    assert b.ips == ["10.97.0.2"] and set(interfaces(b.pod)) == {"eth0"}
    finish(host)


def test_check_looks_at_all_of_them(host):
    ready(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue,red"}), args=pod_args())
    a.check().expect_ok()
    host.netmgrd.kill()  # who would put it back at once
    a.pod.run(["ip", "addr", "del", "10.98.1.2/24", "dev", "net1"])
    host.netmgrd.start()
    a.pod.run(["ip", "addr", "del", "10.98.1.2/24", "dev", "net1"], check=False)
    a.check().expect_error(107, "net1", "10.98.1.2")
    finish(host)


def test_gc_takes_all_of_a_sandbox_or_nothing(host):
    ready(host)
    conf = {**annotated(routed(), {NETWORKS: "blue,red"}), "cniVersion": "1.1.0"}
    kept, lost = host.add(conf, args=pod_args(name="a")), host.add(conf, args=pod_args(name="b"))
    lost.pod.delete()
    lost.live = False
    host.cni("GC", {**conf, "cni.dev/valid-attachments": [{"containerID": kept.cid, "ifname": "eth0"}]}).expect_ok()
    settle(lambda: {a["Sandbox"] for a in host.describe("attachments")} == {kept.cid}, "the dead one is gone")
    assert set(interfaces(kept.pod)) == {"eth0", "net1", "net2"}
    finish(host)


def test_a_second_add_is_refused_and_harms_nothing(host):
    ready(host)
    conf = annotated(routed(), {NETWORKS: "blue"})
    a = host.add(conf, args=pod_args())
    reply, _ = host.try_add(conf, a.pod, cid=a.cid, args=pod_args())
    reply.expect_error(100, "eth0")
    assert set(interfaces(a.pod)) == {"eth0", "net1"}
    a.check().expect_ok()
    finish(host)


def test_del_without_the_annotations_and_the_network(host):
    """The runtime's DEL may come with another configuration, when the networks' files are long gone."""
    ready(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue,red"}), args=pod_args())
    for name in ("blue", "red"):
        os.unlink(f"{host.networks_dir}/{name}.conflist")
    reload(host)
    a.check().expect_ok()
    host.cni("DEL", routed(), a.cid, "eth0", a.pod.path).expect_ok()
    a.live = False
    assert not interfaces(a.pod)
    finish(host)


def test_the_caller_goes_away_half_way(host):
    ready(host)
    host.add(annotated(routed(), {NETWORKS: "blue,red"}), args=pod_args(name="first"))
    os.kill(host.nsd.pid, signal.SIGSTOP)
    pod = host.pod()
    c = Call(host, "ADD", annotated(routed(), {NETWORKS: "blue,red"}), pod.name, "eth0", pod, args=pod_args())
    settle(lambda: pod.name in {a["Sandbox"] for a in host.describe("attachments")} or c.known is None, "it has begun")
    c.abandon()
    os.kill(host.nsd.pid, signal.SIGCONT)
    settle(lambda: not interfaces(pod) and not [a for a in host.describe("attachments") if a["Sandbox"] == pod.name],
           "what nobody waited for is undone")
    finish(host)


def test_a_chain_of_ours_as_a_network(host):
    """A conflist of the reference plugins' names, as people have it for Multus."""
    write_list(host, "lan", {"type": "bridge", "bridge": "lan0", "isGateway": True,
                             "ipam": {"type": "host-local", "subnet": "10.98.7.0/24"}},
               {"type": "tuning", "mtu": 1400},
               {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True},
               {"type": "bandwidth", "capabilities": {"bandwidth": True}})
    reload(host)
    wish = [{"name": "lan", "portMappings": [{"hostPort": 8090, "containerPort": 90}],
             "bandwidth": {"ingressRate": 1000000, "ingressBurst": 1000000}}]
    a = host.add(annotated(routed(), {NETWORKS: wish}), args=pod_args())
    assert a.pod.addresses("net1") == {"10.98.7.2/24"} and a.pod.link("net1")["mtu"] == 1400
    row = rows(host)["net1"]
    assert row["Ports"] and row["IngressRate"] == 1000000
    a.check().expect_ok()
    # a wish that no plugin of the list has declared
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "lan", "mac": "02:00:00:00:00:01"}]}),
                            args=pod_args(name="b"))
    reply.expect_error(7, f"{NETWORKS}[0]", "mac", "lan")
    a.delete().expect_ok()
    host.run(["ip", "link", "del", "lan0"])  # that of a drop-in stays
    finish(host)
