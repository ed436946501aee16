# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks that are lists of plugins of others: run by netmgr's CNI plugin for netmgrd, as libcni would."""
import json
import os
import subprocess

import pytest

from delegates import error
from netmgr_host import LIMIT, netconf, routed, settle
from pod_networks import NETWORKS, annotated, finish, interfaces, pod_args, plugin, reload, write_list, write_nad
from runtime_client import Call, call
from vendor import Vendor

BLUE = "10.98.1.0/24"


@pytest.fixture
def vendor(host):
    return Vendor(host)


def add(host, vendor, annotation, **keys):
    a = host.add(annotated(routed(), {NETWORKS: annotation}), args=pod_args(), env=vendor.env, **keys)
    a.env = vendor.env
    return a


def try_add(host, vendor, annotation, pod=None, **keys):
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: annotation}), pod, args=pod_args(), env=vendor.env, **keys)
    return reply


def delete(a):
    a.delete(env=a.env).expect_ok()


def network(host, name, *plugins, cniVersion="1.0.0"):
    """of the newest version that Debian's plugins speak"""
    write_list(host, name, *plugins, cniVersion=cniVersion)


def rows(host):
    return {r["ifname"]: r for r in host.sql("SELECT * FROM attachment")}


def nothing_held(host, vendor):
    settle(lambda: not host.sql("SELECT id FROM attachment"), lambda: f"no rows, not {rows(host)}")
    assert host.sql("SELECT * FROM delegate") == []
    assert not vendor.reserved("blue")


@pytest.mark.sanitize
def test_a_list_of_two_plugins_of_others(host, vendor):
    """bridge and tuning of the reference, by other names: chained, checked, ended backwards."""
    network(host, "blue", vendor.bridge(BLUE), vendor.plugin("vendor-tuning", mtu=1400, mac="02:00:00:00:00:77"))
    reload(host)
    a = add(host, vendor, "blue")
    assert set(interfaces(a.pod)) == {"eth0", "net1"}
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.link("net1")["mtu"] == 1400
    a.pod.wait_ping("10.98.1.1")
    assert vendor.reserved("blue") == {"10.98.1.2": f"{a.cid}/net1"}
    assert vendor.order() == [("ADD", "vendor-bridge", "net1"), ("ADD", "vendor-tuning", "net1")]
    row = rows(host)["net1"]
    assert (row["kind"], row["state"], row["network"]) == ("foreign", "up", "blue")
    result = json.loads(row["result"])
    assert result["cniVersion"] == "1.1.0"
    mine = [i for i in result["interfaces"] if i["name"] == "net1"]
    assert [i["mac"] for i in mine] == ["02:00:00:00:00:77"]

    # what each was given: nothing before the first, and the first's result before the second
    result["cniVersion"] = "1.0.0"  # as they were told it
    (_, first), = vendor.of("vendor-bridge")
    (_, second), = vendor.of("vendor-tuning")
    assert "prevResult" not in first and first["name"] == second["name"] == "blue"
    assert second["prevResult"]["ips"][0]["address"] == "10.98.1.2/24"
    adds = {"vendor-bridge": first, "vendor-tuning": second}

    vendor.forget()
    a.check(env=vendor.env).expect_ok()
    assert vendor.order() == [("CHECK", "vendor-bridge", "net1"), ("CHECK", "vendor-tuning", "net1")]
    for name, add_config in adds.items():
        (_, config), = vendor.of(name)
        assert config.pop("prevResult") == result
        add_config.pop("prevResult", None)
        assert config == add_config

    host.netmgrd.restart()
    vendor.forget()
    delete(a)
    assert vendor.order() == [("DEL", "vendor-tuning", "net1"), ("DEL", "vendor-bridge", "net1")]
    for name, add_config in adds.items():
        (_, config), = vendor.of(name)
        assert config.pop("prevResult") == result and config == add_config
    assert not interfaces(a.pod)
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_the_environment(host, vendor):
    """Of the interface, not of the runtime's own call."""
    network(host, "blue", vendor.bridge(BLUE))
    reload(host)
    a = add(host, vendor, "blue@lan0")
    call, = vendor.calls()
    found = {k: v for k, v in call.items() if k.startswith("CNI_")}
    assert found.pop("CNI_ARGS").startswith("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web")
    assert found == {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": a.cid, "CNI_IFNAME": "lan0", "CNI_NETNS": a.pod.path,
                     "CNI_PATH": vendor.env["CNI_PATH"]}
    delete(a)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "0.4.0", "1.0.0"])
def test_versions(host, vendor, version):
    """CHECK is of 0.4.0, and so is prevResult with DEL."""
    network(host, "blue", vendor.bridge(BLUE), vendor.plugin("vendor-tuning", mtu=1400), cniVersion=version)
    reload(host)
    a = add(host, vendor, "blue")
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.link("net1")["mtu"] == 1400
    vendor.forget()
    a.check(env=vendor.env).expect_ok()
    modern = version not in ("0.2.0", "0.3.1")
    assert len(vendor.calls()) == (2 if modern else 0)
    vendor.forget()
    delete(a)
    assert [("prevResult" in c) for _, c in vendor.of("vendor-bridge") + vendor.of("vendor-tuning")] == [modern] * 2
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_others_behind_ours(host, vendor):
    """netmgr makes the interface, a plugin of others changes it, one of ours goes on."""
    network(host, "blue", plugin("bridge", BLUE, isGateway=True), vendor.plugin("vendor-tuning", mtu=1300),
               {"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 8000000,
                "egressBurst": 8000000})
    reload(host)
    a = add(host, vendor, "blue")
    assert a.pod.link("net1")["mtu"] == 1300
    row = rows(host)["net1"]
    assert (row["kind"], row["state"]) == ("bridge", "up")
    described = {x["Interface"]: x for x in host.describe("attachments")}
    assert described["net1"]["IngressRate"] == 8000000
    a.pod.wait_ping("10.98.1.1")
    vendor.forget()
    delete(a)
    assert vendor.order() == [("DEL", "vendor-tuning", "net1")]
    assert not interfaces(a.pod)
    nothing_held(host, vendor)
    finish(host)


def test_ours_behind_others(host, vendor):
    """Host ports of netmgr lead to an interface that a plugin of others has made."""
    network(host, "blue", vendor.bridge(BLUE, capabilities={"ips": True}), {"type": "portmap", "capabilities": {"portMappings": True}})
    reload(host)
    a = add(host, vendor, [{"name": "blue", "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "TCP"}]}])
    described = {x["Interface"]: x for x in host.describe("attachments")}
    assert [(p["HostPort"], p["ContainerPort"]) for p in described["net1"]["Ports"]] == [(8080, 80)]
    delete(a)
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


@pytest.mark.parametrize("ipam", ["vendor-local", "host-local"])
def test_as_the_default_network(host, vendor, ipam):
    """The runtime's own interface is a list's, with addresses of another plugin or of netmgr."""
    if ipam == "host-local":
        vendor.serve_ipam(ipam)
    network(host, "blue", vendor.bridge(BLUE, ipam, routes=[{"dst": "0.0.0.0/0"}]), vendor.plugin("vendor-tuning", mtu=1400))
    reload(host)
    conf = netconf("pods", network="blue")
    a = host.add(conf, env=vendor.env)
    assert a.ips == ["10.98.1.2"] and a.pod.link("eth0")["mtu"] == 1400
    a.check(env=vendor.env).expect_ok()
    a.delete(env=vendor.env).expect_ok()
    assert not interfaces(a.pod)
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_a_manifest(host, vendor):
    """A NetworkAttachmentDefinition with one plugin object, as most of them are."""
    write_nad(host, "default", "lan", {"cniVersion": "1.0.0", **vendor.bridge(BLUE)})
    reload(host)
    a = add(host, vendor, "lan,lan")
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.addresses("net2") == {"10.98.1.3/24"}
    assert {r["network"] for r in rows(host).values()} == {"net1", "default/lan"}
    vendor.forget()
    delete(a)
    assert vendor.order() == [("DEL", "vendor-bridge", "net2"), ("DEL", "vendor-bridge", "net1")]
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- default routes ------------------------------------------------------------------------------

def routes(pod, family=4):
    return {(r[0], r[1]) for r in pod.routes(family) if r[0] == "default"}


def test_the_default_route_is_anothers(host, vendor):
    """The list gives one to its interface; another was asked to have it."""
    network(host, "blue", vendor.bridge(BLUE, routes=[{"dst": "0.0.0.0/0"}]))
    network(host, "red", vendor.bridge("10.98.2.0/24", bridge="vendor1", routes=[{"dst": "0.0.0.0/0"}]))
    reload(host)
    a = add(host, vendor, [{"name": "blue"}, {"name": "red", "default-route": ["10.98.2.1"]}])
    found = [r for r in a.pod.ip("-4", "route", "show", "default")]
    assert [(r["dev"], r["gateway"]) for r in found] == [("net2", "10.98.2.1")]
    results = {n: json.loads(r["result"]) for n, r in rows(host).items()}
    assert not [r for r in results["net1"].get("routes", []) if r["dst"] == "0.0.0.0/0"]
    assert [r["gw"] for r in results["net2"]["routes"] if r["dst"] == "0.0.0.0/0"] == ["10.98.2.1"]
    a.check(env=vendor.env).expect_ok()
    delete(a)
    for bridge in ("vendor0", "vendor1"):
        host.run(["ip", "link", "delete", bridge])
    finish(host)


def test_several_default_routes(host, vendor):
    """By several gateways of both families, in the order of preference, in place of the plugin's own."""
    subnets = f"{BLUE} fd98:1::/64"
    network(host, "blue", vendor.bridge(subnets, routes=[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}, {"dst": "10.55.0.0/16", "gw": "10.98.1.1"}]),
            vendor.plugin("vendor-tuning", mtu=1400))
    reload(host)
    gateways = ["10.98.1.1", "10.98.1.9", "fd98:1::1", "fd98:1::9"]
    a = add(host, vendor, [{"name": "blue", "default-route": gateways}])
    for family in (4, 6):
        wanted = [g for g in gateways if (":" in g) == (family == 6)]
        found = [r for r in a.pod.ip(f"-{family}", "route", "show", "default") if r["dev"] == "net1"]
        assert [r["gateway"] for r in sorted(found, key=lambda r: r.get("metric", 0))] == wanted
        assert not [r for r in a.pod.ip(f"-{family}", "route", "show", "default") if r["dev"] != "net1"]
    assert [r for r in a.pod.ip("-4", "route", "show", "10.55.0.0/16")]
    told = [(r["dst"], r.get("gw")) for r in json.loads(rows(host)["net1"]["result"])["routes"]]
    assert sorted(t for t in told if t[0] in ("0.0.0.0/0", "::/0")) == sorted(
        ("::/0" if ":" in g else "0.0.0.0/0", g) for g in gateways)
    assert ("10.55.0.0/16", "10.98.1.1") in told
    a.check(env=vendor.env).expect_ok()
    delete(a)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_a_gateway_that_cannot_be_reached(host, vendor):
    network(host, "blue", vendor.bridge(BLUE))
    reload(host)
    reply = try_add(host, vendor, [{"name": "blue", "default-route": ["10.77.0.1"]}], pod := host.pod())
    reply.expect_error(105, "10.77.0.1", "net1")
    assert not interfaces(pod)
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_the_runtimes_interface_keeps_the_default_route(host, vendor):
    """Nobody asked for it: both networks bring one, the sandbox keeps the first."""
    network(host, "blue", vendor.bridge(BLUE))
    reload(host)
    a = add(host, vendor, "blue")
    assert [r["dev"] for r in a.pod.ip("-4", "route", "show", "default")] == ["eth0"]
    delete(a)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- our IPAM below others -----------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("program", ["bridge", "ptp", pytest.param("macvlan", marks=pytest.mark.vm("macvlan"))])
def test_our_host_local_below_others(host, vendor, program):
    """The plugin that netmgrd has had run calls netmgr for the addresses, while its ADD and its DEL wait for it."""
    vendor.serve_ipam("host-local")
    ipam = {"type": "host-local", "ranges": [[{"subnet": BLUE}], [{"subnet": "fd98:1::/64"}]]}
    host.run(["ip", "link", "add", "lower0", "up", "type", "veth", "peer", "name", "lower1"])
    keys = {"bridge": {"bridge": "vendor0", "isGateway": True}, "ptp": {}, "macvlan": {"master": "lower0"}}[program]
    network(host, "blue", vendor.plugin(f"vendor-{program}", ipam=ipam, **keys))
    reload(host)
    a, b = add(host, vendor, "blue"), add(host, vendor, "blue")
    assert {"10.98.1.2/24", "fd98:1::2/64"} <= {x.replace("/32", "/24").replace("/128", "/64") for x in a.pod.addresses("net1")}
    held = {k: v for k, v in host.held().items() if k.startswith(("10.98.", "fd98:"))}
    assert set(held.values()) == {f"{a.cid}/net1", f"{b.cid}/net1"} and len(held) == 4
    a.check(env=vendor.env).expect_ok()
    host.netmgrd.kill()
    host.netmgrd.start()
    a.check(env=vendor.env).expect_ok()
    for x in (a, b):
        delete(x)
    nothing_held(host, vendor)
    settle(lambda: not host.held(), "the addresses are free")
    host.run(["ip", "link", "delete", "lower0"])
    if program == "bridge":
        host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_our_static_below_others(host, vendor):
    vendor.serve_ipam("static")
    ipam = {"type": "static", "addresses": [{"address": "10.98.3.7/24", "gateway": "10.98.3.1"}]}
    network(host, "blue", vendor.plugin("vendor-bridge", bridge="vendor0", ipam=ipam))
    reload(host)
    a = add(host, vendor, "blue")
    assert a.pod.addresses("net1") == {"10.98.3.7/24"}
    assert host.held()["10.98.3.7/24"] == f"{a.cid}/net1"
    delete(a)
    settle(lambda: not host.held(), "the address is free")
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_our_ipam_for_one_that_fails_then(host, vendor):
    """It gives the addresses back itself, as the reference plugins do, and is told to end all the same."""
    vendor.serve_ipam("host-local")
    ipam = {"type": "host-local", "subnet": BLUE}
    network(host, "blue", vendor.plugin("vendor-bridge", bridge="lower0", ipam=ipam))
    host.run(["ip", "link", "add", "lower0", "type", "veth", "peer", "name", "lower1"])  # no bridge by that name
    reload(host)
    for _ in range(2):
        try_add(host, vendor, "blue", pod := host.pod()).expect_error(999, "vendor-bridge")
        assert not interfaces(pod)
        settle(lambda: not rows(host), "nothing is left")
        assert not host.held()
    host.run(["ip", "link", "delete", "lower0"])
    finish(host)


def test_an_exhausted_range_below_others(host, vendor):
    vendor.serve_ipam("host-local")
    network(host, "blue", vendor.plugin("vendor-bridge", bridge="vendor0", ipam={"type": "host-local", "subnet": "10.98.1.0/30"}))
    reload(host)
    a = add(host, vendor, "blue")
    try_add(host, vendor, "blue").expect_error(101, "10.98.1.0/30", "vendor-bridge")
    delete(a)
    delete(add(host, vendor, "blue"))
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- others' IPAM in our kinds -------------------------------------------------------------------

@pytest.mark.parametrize("listed", [True, False], ids=["manifest of a reference plugin", "network of netmgr"])
def test_others_ipam_in_our_kinds(host, vendor, listed):
    """The interface is netmgr's, the addresses are the plugin's, of a network that an annotation names."""
    ipam = {"type": "node-local", "subnet": BLUE, "dataDir": vendor.data}
    if listed:
        write_nad(host, "default", "blue", {"cniVersion": "1.0.0", "name": "blue", "type": "bridge", "bridge": "nm0",
                                            "isGateway": True, "ipam": ipam})
    else:
        network(host, "blue", {"type": "netmgr", "kind": "bridge", "isGateway": True, "ipam": ipam})
    reload(host)
    a = add(host, vendor, "blue,blue")
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.addresses("net2") == {"10.98.1.3/24"}
    assert vendor.reserved("blue") == {"10.98.1.2": f"{a.cid}/net1", "10.98.1.3": f"{a.cid}/net2"}
    a.pod.wait_ping("10.98.1.1")
    vendor.forget()
    a.check(env=vendor.env).expect_ok()
    assert vendor.order() == [("CHECK", "node-local", "net1"), ("CHECK", "node-local", "net2")]
    vendor.forget()
    delete(a)
    assert sorted(vendor.order()) == [("DEL", "node-local", "net1"), ("DEL", "node-local", "net2")]
    nothing_held(host, vendor)
    if listed:
        host.run(["ip", "link", "delete", "nm0"], check=False)
    finish(host)


# --- failures ------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("at", [0, 1])
def test_a_plugin_of_the_list_fails(host, vendor, at):
    """Its words and its code reach the runtime; it and those before it are told to end, the last first."""
    bad = vendor.plugin("bad")
    vendor.put("bad", f"case $CNI_COMMAND in ADD) {error(77, 'the moon is full')};; DEL) cat > /dev/null;; esac")
    network(host, "blue", *([bad] if at == 0 else [vendor.bridge(BLUE), bad, vendor.plugin("vendor-tuning")]))
    reload(host)
    try_add(host, vendor, "blue", pod := host.pod()).expect_error(77, f"{NETWORKS}[0]", "net1", "bad", "the moon is full")
    expected = [("ADD", "vendor-bridge")] * at + [("ADD", "bad"), ("DEL", "bad")] + [("DEL", "vendor-bridge")] * at
    assert [c[:2] for c in vendor.order()] == expected
    # the ADD had no result that a DEL could be told of: the exact bytes
    texts = {}
    for call in vendor.calls():
        assert texts.setdefault(call["PROGRAM"], call["stdin"]) == call["stdin"]
    assert not interfaces(pod)
    nothing_held(host, vendor)
    if at:
        host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_a_plugin_behind_ours_fails(host, vendor):
    """What netmgr made is undone as well, behind the plugin's DEL: that finds the interface."""
    vendor.put("bad", f"case $CNI_COMMAND in ADD) {error(77, 'the moon is full')};; DEL) cat > /dev/null; "
                      f"ip -n $CNI_CONTAINERID link show net1 > {host.dir}/seen;; esac")
    network(host, "blue", plugin("bridge", BLUE, isGateway=True), vendor.plugin("bad"))
    reload(host)
    try_add(host, vendor, "blue", pod := host.pod()).expect_error(77, "bad", "the moon is full")
    assert vendor.commands() == ["ADD", "DEL"]
    with open(f"{host.dir}/seen") as f:
        assert "net1" in f.read()
    assert not interfaces(pod)
    nothing_held(host, vendor)
    settle(lambda: not host.held(), "the addresses are free")
    finish(host)


def test_a_del_that_fails(host, vendor):
    """The row waits for who tries again; the interface of others stays, that of netmgr is gone."""
    vendor.put("stubborn", f"cat > {host.dir}/given; case $CNI_COMMAND in DEL) [ ! -e {host.dir}/refuse ] || "
                           f"{{ {error(77, 'not now')}; }};; esac; exec /usr/lib/cni/tuning < {host.dir}/given")
    network(host, "blue", plugin("bridge", BLUE, isGateway=True), vendor.plugin("stubborn", mtu=1400))
    reload(host)
    a = add(host, vendor, "blue")
    open(f"{host.dir}/refuse", "w").close()
    a.delete(env=vendor.env).expect_error(77, "stubborn", "not now")
    settle(lambda: {n: r["state"] for n, r in rows(host).items()} == {"net1": "releasing"}, lambda: f"net1 waits: {rows(host)}")
    assert not interfaces(a.pod)
    os.unlink(f"{host.dir}/refuse")
    a.delete(env=vendor.env).expect_ok()
    nothing_held(host, vendor)
    finish(host)


def test_many_at_once(host, vendor):
    """Each with two lists, and netmgr's IPAM below them."""
    vendor.serve_ipam("host-local")
    for name, subnet, bridge in (("blue", BLUE, "vendor0"), ("red", "10.98.2.0/24", "vendor1")):
        # with an address of its own: two that make a bridge at once, and its first port, are a race of the reference
        host.run(["ip", "link", "add", bridge, "address", "02:00:00:00:00:06", "type", "bridge"])
        network(host, name, vendor.plugin("vendor-bridge", bridge=bridge, isGateway=True,
                                          ipam={"type": "host-local", "subnet": subnet}), vendor.plugin("vendor-tuning", mtu=1400))
    reload(host)
    pods = host.make_pods(12)
    many = host.parallel(12, lambda i: add(host, vendor, "blue,red", pod=pods[i]))
    held = {k: v for k, v in host.held().items() if k.startswith("10.98.")}
    assert sorted(held.values()) == sorted(f"{a.cid}/{i}" for a in many for i in ("net1", "net2"))
    for a in many:
        assert {f"{x}" for x in a.pod.addresses("net1")} <= set(held)
    host.parallel(12, lambda i: delete(many[i]))
    nothing_held(host, vendor)
    for bridge in ("vendor0", "vendor1"):
        host.run(["ip", "link", "delete", bridge])
    finish(host)


BAD_RESULTS = {
    "no JSON": "echo hello",
    "no object": "echo '[]'",
    "nothing": "true",
    "bad address": "echo '{\"cniVersion\": \"1.0.0\", \"ips\": [{\"address\": \"10.98.1.300/24\"}]}'",
    "unknown version": "echo '{\"cniVersion\": \"7.0.0\"}'",
}


@pytest.mark.parametrize("what", BAD_RESULTS)
def test_a_result_that_is_none(host, vendor, what):
    vendor.put("bad", f"cat > /dev/null; case $CNI_COMMAND in ADD) {BAD_RESULTS[what]};; esac")
    network(host, "blue", vendor.plugin("bad"))
    reload(host)
    try_add(host, vendor, "blue").expect_error(108, "bad")
    assert vendor.commands() == ["ADD", "DEL"]
    nothing_held(host, vendor)
    finish(host)


def test_a_plugin_that_is_not_there(host, vendor):
    network(host, "blue", vendor.bridge(BLUE), vendor.plugin("absent"))
    reload(host)
    try_add(host, vendor, "blue").expect_error(108, "absent", "failed to find")
    assert [c[:2] for c in vendor.order()] == [("ADD", "vendor-bridge"), ("DEL", "vendor-bridge")]
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


def test_a_plugin_that_others_could_replace(host, vendor):
    """What an annotation can have run as root is root's."""
    network(host, "blue", vendor.bridge(BLUE))
    reload(host)
    host.run(["chmod", "o+w", f"{vendor.dir}/vendor-bridge"])
    try_add(host, vendor, "blue").expect_error(999, "vendor-bridge", "chmod go-w")
    assert not vendor.calls()
    host.run(["chmod", "o-w", f"{vendor.dir}/vendor-bridge"])
    nothing_held(host, vendor)
    finish(host)


def test_an_interface_without_a_link(host, vendor):
    """A device that user space drives: no link, addresses of the result only."""
    result = {"cniVersion": "1.0.0", "interfaces": [{"name": "net1", "sandbox": "x", "socketPath": "/run/x.sock"}],
              "ips": [{"address": "10.98.9.9/24", "interface": 0}]}
    vendor.put("vhost", f"cat > /dev/null; case $CNI_COMMAND in ADD) printf '%s' '{json.dumps(result)}';; esac")
    network(host, "blue", vendor.plugin("vhost"))
    reload(host)
    a = add(host, vendor, "blue")
    assert set(interfaces(a.pod)) == {"eth0"}
    described = {x["Interface"]: x for x in host.describe("attachments")}
    assert described["net1"]["Addresses"] == ["10.98.9.9/24"]
    a.check(env=vendor.env).expect_ok()
    delete(a)
    nothing_held(host, vendor)
    finish(host)


def test_a_del_while_a_plugin_runs(host, vendor):
    """DEL waits for the plugin's end, and what it made is undone."""
    vendor.put("slow", f"touch {host.dir}/began; while [ -e {host.dir}/wait ]; do sleep 0.05; done; exec /usr/lib/cni/bridge")
    network(host, "blue", {**vendor.bridge(BLUE), "type": "slow"})
    reload(host)
    open(f"{host.dir}/wait", "w").close()
    pod, conf = host.pod(), annotated(routed(), {NETWORKS: "blue"})
    adding = host.popen([f"{host.dir}/cni/netmgr"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                        env=host.cni_env("ADD", pod.name, "eth0", pod.path, pod_args(), env=vendor.env))
    adding.stdin.write(json.dumps(conf))
    adding.stdin.close()
    adding.stdin = None
    settle(lambda: os.path.exists(f"{host.dir}/began"), "the plugin runs")
    deleting = Call(host, "DEL", conf, pod.name, "eth0", pod)
    call(host, "STATUS", conf, pod.name).expect_ok()  # what came before it has been read
    os.unlink(f"{host.dir}/wait")
    out, _ = adding.communicate(timeout=2 * LIMIT)
    assert adding.returncode == 1 and json.loads(out)["code"] == 11 and "DEL" in json.loads(out)["msg"]
    deleting.answer().expect_ok()
    assert not interfaces(pod)
    nothing_held(host, vendor)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- while the sandbox runs ----------------------------------------------------------------------

@pytest.mark.host(exec_plugins="others")
def test_attached_and_detached_while_it_runs(host, vendor):
    """No runtime is there: netmgr-exec runs the plugins, and netmgr's host-local below them."""
    vendor.serve_ipam("host-local")
    network(host, "blue", vendor.plugin("vendor-bridge", bridge="vendor0", isGateway=True,
                                        ipam={"type": "host-local", "subnet": BLUE}), vendor.plugin("vendor-tuning", mtu=1400))
    reload(host)
    a = host.add(routed(), env=vendor.env)
    host.manager("Attach", "ssa{sv}", a.cid, "blue", 0)
    assert a.pod.addresses("net1") == {"10.98.1.2/24"} and a.pod.link("net1")["mtu"] == 1400
    assert host.held()["10.98.1.2/24"] == f"{a.cid}/net1"
    a.pod.wait_ping("10.98.1.1")
    a.check(env=vendor.env).expect_ok()
    vendor.forget()
    host.manager("Detach", "ssa{sv}", a.cid, "net1", 0)
    assert vendor.order() == [("DEL", "vendor-tuning", "net1"), ("DEL", "vendor-bridge", "net1")]
    assert set(interfaces(a.pod)) == {"eth0"}
    # and once more, with the end of the sandbox by nobody
    host.manager("Attach", "ssa{sv}", a.cid, "blue", 0)
    a.pod.delete()
    a.live = False
    nothing_held(host, vendor)
    settle(lambda: not host.held(), "the addresses are free")
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# Notes how many of it run; sh -c of the recorder, which passes stdin on.
COUNTING = """touch {count}/run.$$; ls {count} | grep -c '^run' >> {count}/seen
sleep 0.2; /usr/lib/cni/ptp; status=$?; rm {count}/run.$$; exit $status"""


@pytest.mark.host(conf="[Delegates]\nParallelMax=2\n[Host]\nNodeAddress=192.0.2.1\n")
def test_so_many_plugins_of_others_run_at_a_time(host, vendor):
    """Each takes memory of its own; who waits is served all the same."""
    count = f"{host.dir}/count"
    os.mkdir(count)
    vendor.put("vendor-counting", COUNTING.format(count=count))
    network(host, "blue", vendor.plugin("vendor-counting", ipam={"type": "vendor-local", "subnet": BLUE, "dataDir": vendor.data}))
    reload(host)
    conf, pods = annotated(routed(), {NETWORKS: "blue"}), host.make_pods(8)

    def life(i):
        reply, a = host.try_add(conf, pods[i], args=pod_args(name=f"p{i}"), env=vendor.env)
        reply.expect_ok()
        a.delete(env=vendor.env).expect_ok()
    host.parallel(8, life, workers=8)
    with open(f"{count}/seen") as f:
        seen = [int(x) for x in f.read().split()]
    assert len(seen) == 16 and max(seen) == 2, seen
    finish(host)
