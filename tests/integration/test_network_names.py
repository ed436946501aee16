# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks by namespace and name: manifests as files and over D-Bus, chains of plugins, names that stand for others,
and attachments that are older than their network's configuration."""
import json
import os

import pytest
from netmgr_host import MANAGER, ROOT, settle
from test_dbus import Monitor
from test_networks import add_network, conflist, drop, names, no_options, pointer, put, reasons, refused

NETWORK = "org.netmgr1.Network"
ATTACHMENT = "org.netmgr1.Attachment"


def manifest(name, config=None, namespace=None, **metadata):
    meta = {"name": name, **metadata}
    if namespace:
        meta["namespace"] = namespace
    spec = {} if config is None else {"config": config if isinstance(config, str) else json.dumps(config)}
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition", "metadata": meta, "spec": spec}


def ours(subnet, **keys):
    return {"cniVersion": "1.0.0", "type": "netmgr", **keys, "ipam": {"type": "local", "ranges": [[{"subnet": subnet}]]}}


def chain(subnet, bridge="br-chain", **tuning):
    return {"cniVersion": "1.0.0", "name": "chained", "plugins": [
        {"type": "bridge", "bridge": bridge, "isGateway": True, "ipam": {"type": "host-local", "subnet": subnet}},
        {"type": "tuning", **tuning}]}


def put_manifest(host, file, content):
    text = content if isinstance(content, str) else json.dumps(content)
    with open(f"{host.networks_dir}/.tmp", "w") as f:
        f.write(text)
    os.rename(f"{host.networks_dir}/.tmp", f"{host.networks_dir}/{file}.nad.json")


def drop_manifest(host, file):
    os.unlink(f"{host.networks_dir}/{file}.nad.json")


def network(host, name):
    return host.properties(host.manager("GetNetwork", "s", name)[0], NETWORK)


def attachment(host, a):
    return next(x for x in host.describe("attachments") if (x["Sandbox"], x["Interface"]) == (a.cid, a.ifname))


# --- files ---------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_manifests_are_followed(host):
    put_manifest(host, "one", manifest("blue", ours("10.97.20.0/24"), "prod"))
    settle(lambda: names(host) == {"prod/blue"}, "the new file is known")
    n = network(host, "prod/blue")
    assert (n["Name"], n["Namespace"], n["Kind"], n["Source"], n["Alias"]) == ("prod/blue", "prod", "routed", "file", "")
    assert n["Plugins"] == ["netmgr"] and n["Subnets"] == ["10.97.20.0/24"]
    a = host.add(pointer("prod/blue"))
    assert a.ips == ["10.97.20.2"] and attachment(host, a)["Network"] == "prod/blue"
    host.wait_ping(a.ips[0])
    a.check().expect_ok()
    put_manifest(host, "one", manifest("green", ours("10.97.21.0/24")))
    settle(lambda: "default/green" in names(host), "another network in the same file")
    assert names(host) == {"prod/blue", "default/green"}  # as long as it has attachments
    a.check().expect_ok()
    a.delete().expect_ok()
    settle(lambda: names(host) == {"default/green"}, "the one that nobody describes goes with its last attachment")
    drop_manifest(host, "one")
    settle(lambda: names(host) == set(), "the removed file is forgotten")


def test_same_name_in_two_namespaces(host):
    put_manifest(host, "a", manifest("net", ours("10.97.20.0/24"), "a"))
    put_manifest(host, "b", manifest("net", ours("10.97.21.0/24"), "b"))
    put(host, "net", conflist("net", "10.97.22.0/24"))
    settle(lambda: names(host) == {"a/net", "b/net", "net"}, "three networks")
    got = [host.add(pointer(name)) for name in ("a/net", "b/net", "net")]
    assert [a.ips for a in got] == [["10.97.20.2"], ["10.97.21.2"], ["10.97.22.2"]]
    host.netmgrd.restart(9)
    for a in got:
        a.check().expect_ok()
        a.delete().expect_ok()
    for file in ("a", "b"):
        drop_manifest(host, file)
    drop(host, "net")
    settle(lambda: names(host) == set(), "forgotten")


def test_list_of_manifests(host):
    items = [manifest("a", ours("10.97.20.0/24")), manifest("b", ours("10.97.21.0/24"), "prod")]
    put_manifest(host, "all", {"apiVersion": "v1", "kind": "List", "items": items})
    settle(lambda: names(host) == {"default/a", "prod/b"}, "both are known")
    items[0]["spec"]["config"] = "{"
    items[1] = manifest("c", ours("10.97.23.0/24"), "prod")
    put_manifest(host, "all", {"apiVersion": "v1", "kind": "List", "items": items})
    settle(lambda: "prod/c" in names(host), "the good one is known")
    assert names(host) == {"default/a", "prod/b", "prod/c"}  # which of them the broken one is, nobody knows
    assert "all.nad.json: items[0]: spec.config" in reasons(host)
    items[0] = items[1]
    put_manifest(host, "all", {"apiVersion": "v1", "kind": "List", "items": items})
    settle(lambda: "items[1]: network prod/c is described by networks.d/all.nad.json already" in reasons(host),
           "twice the same")
    put_manifest(host, "all", {"apiVersion": "v1", "kind": "List", "items": items[1:]})
    settle(lambda: names(host) == {"prod/c"} and not reasons(host), "repaired")
    put_manifest(host, "b", items[1])
    settle(lambda: "b.nad.json: network prod/c is described by networks.d/all.nad.json" in reasons(host), "two files")
    drop_manifest(host, "all")
    settle(lambda: names(host) == {"prod/c"} and not reasons(host), "the other file has it now")
    drop_manifest(host, "b")
    settle(lambda: names(host) == set(), "forgotten")


GOOD = ours("10.97.22.0/24")
BROKEN = {
    "no JSON": ("{", "manifest"),
    "no manifest": (GOOD, "apiVersion"),
    "another kind": ({**manifest("x", GOOD), "kind": "Pod"}, 'kind: wanted "NetworkAttachmentDefinition", found "Pod"'),
    "another version": ({**manifest("x", GOOD), "apiVersion": "v2"}, 'apiVersion: wanted "k8s.cni.cncf.io/v1", found "v2"'),
    "no name": (manifest("", GOOD), 'metadata.name: .*found ""'),
    "capitals": (manifest("Blue", GOOD), 'metadata.name: .*"Blue"'),
    "namespace": (manifest("blue", GOOD, "a/b"), 'metadata.namespace: .*"a/b"'),
    "misspelt": ({**manifest("blue"), "spec": {"confg": "{}"}}, 'spec.confg: unknown key'),
    "config is no text": ({**manifest("blue"), "spec": {"config": GOOD}}, "spec.config: wanted a string"),
    "config is no JSON": (manifest("blue", "{"), "spec.config: network configuration: "),
    "no type": (manifest("blue", {"cniVersion": "1.0.0"}), "spec.config: type"),
    "key of ours": (manifest("blue", {**GOOD, "colour": "blue"}), 'spec.config: unknown key "colour"'),
    "host bits": (manifest("blue", ours("10.97.22.1/24")), "spec.config: .*10.97.22.1/24"),
    "a later plugin": (manifest("blue", {"cniVersion": "1.0.0", "plugins": [{"type": "bridge"}, {"type": "vrf"}]}),
                       r'spec.config: plugins\[1\]: .*vrfname'),
    "a chained plugin alone": (manifest("blue", {"type": "tuning"}), 'spec.config: type: "tuning" makes no interface'),
    "version": (manifest("blue", {**GOOD, "cniVersion": "7.0.0"}), 'spec.config: "cniVersion": "7.0.0"'),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("case", BROKEN)
def test_broken_manifest_is_quoted_and_hurts_nobody(host, case):
    import re
    content, sentence = BROKEN[case]
    put_manifest(host, "good", manifest("good", ours("10.97.20.0/24")))
    put_manifest(host, "broken", content)
    host.manager("Reload")
    assert names(host) == {"default/good"}
    assert re.search(rf"networks.d/broken.nad.json: {sentence}", reasons(host)), reasons(host)
    assert host.get_property(ROOT, MANAGER, "Health") == "degraded"
    assert "broken.nad.json" in host.netmgrd.text()
    a = host.add(pointer("default/good"))
    put_manifest(host, "broken", manifest("blue", GOOD))
    settle(lambda: names(host) == {"default/good", "default/blue"} and not reasons(host), "repaired")
    a.delete().expect_ok()
    drop_manifest(host, "broken")
    drop_manifest(host, "good")
    settle(lambda: names(host) == set(), "forgotten")


def test_manifest_that_breaks_keeps_what_it_said_before(host):
    put_manifest(host, "one", manifest("blue", ours("10.97.20.0/24")))
    settle(lambda: names(host) == {"default/blue"}, "known")
    put_manifest(host, "one", "{ oops")
    settle(lambda: "one.nad.json" in reasons(host), "reported")
    a = host.add(pointer("default/blue"))
    assert a.ips == ["10.97.20.2"]
    a.delete().expect_ok()
    drop_manifest(host, "one")
    settle(lambda: names(host) == set(), "forgotten")


# --- chains, and names for other networks --------------------------------------------------------

def test_chain_of_a_conflist(host):
    put(host, "chained", chain("10.97.40.0/24", sysctl={"net.ipv4.conf.IFNAME.arp_filter": "1"}))
    settle(lambda: names(host) == {"chained"}, "known")
    n = network(host, "chained")
    assert n["Plugins"] == ["bridge", "tuning"] and n["Kind"] == "bridge" and n["Subnets"] == ["10.97.40.0/24"]
    a, b = host.add(pointer("chained")), host.add(pointer("chained"))
    assert host.link(a.host_ifname)["master"] == "br-chain"  # its own, not one that we call
    assert a.pod.run(["cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter"]).stdout.strip() == "1"
    a.pod.wait_ping(b.ips[0])  # as open as the plugin of that name leaves it
    host.netmgrd.restart(9)
    assert network(host, "chained")["Plugins"] == ["bridge", "tuning"]
    c = host.add(pointer("chained"))
    assert c.pod.run(["cat", "/proc/sys/net/ipv4/conf/eth0/arp_filter"]).stdout.strip() == "1"
    for x in (a, b, c):
        x.check().expect_ok()
        x.delete().expect_ok()
    drop(host, "chained")
    settle(lambda: names(host) == set(), "forgotten")
    host.ip("link", "del", "br-chain")  # as with the plugin of that name


def test_chain_of_a_manifest(host):
    put_manifest(host, "c", manifest("chain", chain("10.97.40.0/24", mtu=1400), "a"))
    settle(lambda: names(host) == {"a/chain"}, "known")
    a = host.add(pointer("a/chain"))
    assert a.pod.link("eth0")["mtu"] == 1400
    row = host.sql("SELECT * FROM network WHERE name = 'a/chain'")[0]
    assert json.loads(row["config"])["metadata"]["name"] == "chain"
    a.check().expect_ok()
    a.delete().expect_ok()
    drop_manifest(host, "c")
    settle(lambda: names(host) == set(), "forgotten")
    host.ip("link", "del", "br-chain")


def test_bridge_of_a_long_name(host):
    for file, name in (("s", "b"), ("l", "a-name-that-no-interface-can-have")):
        put_manifest(host, file, manifest(name, ours("10.97.20.0/24", kind="bridge", isGateway=True, isolation=False)
                                          if name == "b" else ours("10.97.21.0/24", kind="bridge", isGateway=True), "a"))
    settle(lambda: len(names(host)) == 2, "known")
    a, b = host.add(pointer("a/b")), host.add(pointer("a/a-name-that-no-interface-can-have"))
    masters = {host.link(x.host_ifname)["master"] for x in (a, b)}
    assert len(masters) == 2 and all(m.startswith("nmb-") and "/" not in m and len(m) == 15 for m in masters)
    for x in (a, b):
        x.check().expect_ok()
        x.delete().expect_ok()
    for file in ("s", "l"):
        drop_manifest(host, file)
    settle(lambda: names(host) == set() and not any(host.link(m) for m in masters), "the bridges go with the networks")


@pytest.mark.parametrize("how", ["empty", "by key"])
def test_name_of_another_network(host, how):
    put_manifest(host, "s", manifest("storage", None if how == "empty" else {"type": "netmgr", "network": "storage"}, "prod"))
    settle(lambda: names(host) == {"prod/storage"}, "known")
    assert (network(host, "prod/storage")["Alias"], network(host, "prod/storage")["Kind"]) == ("storage", "alias")
    host.try_add(pointer("prod/storage"))[0].expect_error(7, "stands for network storage of this node, which is not there")
    put(host, "storage", conflist("storage", "10.97.20.0/24"))
    settle(lambda: "storage" in names(host), "now it is there")
    a = host.add(pointer("prod/storage"))
    assert attachment(host, a)["Network"] == "storage" and a.ips == ["10.97.20.2"]
    host.netmgrd.restart()
    a.check().expect_ok()
    b = host.add(pointer("prod/storage"))
    for x in (a, b):
        x.delete().expect_ok()
    drop(host, "storage")
    drop_manifest(host, "s")
    settle(lambda: names(host) == set(), "forgotten")


def test_name_of_a_name(host):
    put_manifest(host, "s", manifest("a", {"type": "netmgr", "network": "x/b"}, "x"))
    put_manifest(host, "t", manifest("b", {"type": "netmgr", "network": "x/a"}, "x"))
    settle(lambda: names(host) == {"x/a", "x/b"}, "known")
    host.try_add(pointer("x/a"))[0].expect_error(7, "which has none either")
    for file in ("s", "t"):
        drop_manifest(host, file)
    settle(lambda: names(host) == set(), "forgotten")


# --- over D-Bus and by netmgrctl -----------------------------------------------------------------

@pytest.mark.sanitize
def test_manifest_over_dbus(host):
    path = host.manager("AddNetwork", "ssa{sv}", "", json.dumps(manifest("a.b", ours("10.97.30.0/24"), "prod")), 0)[0]
    assert path == host.manager("GetNetwork", "s", "prod/a.b")[0]
    assert add_network(host, "prod/c", manifest("c", chain("10.97.31.0/24"), "prod")) == ROOT + "/network/prod_2fc"
    assert {path, ROOT + "/network/prod_2fc"} <= host.tree()
    host.netmgrd.restart(9)
    assert names(host) == {"prod/a.b", "prod/c"}
    assert network(host, "prod/c")["Plugins"] == ["bridge", "tuning"]
    a = host.add(pointer("prod/a.b"))
    assert a.ips == ["10.97.30.2"]
    name, sentence = refused(host, "RemoveNetwork", "sa{sv}", "prod/a.b", no_options())
    assert name == "org.netmgr1.Error.InUse" and "prod/a.b" in sentence
    a.delete().expect_ok()
    for n in ("prod/a.b", "prod/c"):
        host.manager("RemoveNetwork", "sa{sv}", n, 0)
    assert names(host) == set()


@pytest.mark.sanitize
def test_what_cannot_be_added(host):
    good = json.dumps(manifest("c", ours("10.97.30.0/24"), "prod"))
    add_network(host, "prod/c", good)
    put_manifest(host, "f", manifest("f", ours("10.97.33.0/24")))
    settle(lambda: "default/f" in names(host), "known")
    with host.unchanged():
        for name, config, error, words in (
                ("prod/d", good, "InvalidArgument", "metadata: wanted a manifest of network prod/d, found one of prod/c"),
                ("c", good, "InvalidArgument", "prod/c"), ("", good, "Exists", "prod/c exists already"),
                ("", json.dumps(conflist("x", "10.97.32.0/24")), "InvalidArgument", "NetworkAttachmentDefinition"),
                ("x", json.dumps({"name": "x", "plugins": [{"type": "tuning"}]}), "NotSupported", "plugins[0].type"),
                ("x", json.dumps({"name": "y", "type": "calico"}), "InvalidArgument", 'one of "y"'),
                ("", json.dumps(manifest("d", {"plugins": []})), "InvalidArgument", "spec.config: plugins"),
                ("", json.dumps(manifest("f", ours("10.97.34.0/24"))), "Exists", "default/f")):
            got, sentence = refused(host, "AddNetwork", "ssa{sv}", name, config, no_options())
            assert got == "org.netmgr1.Error." + error and words in sentence, (name, got, sentence)
        got, sentence = refused(host, "RemoveNetwork", "sa{sv}", "default/f", no_options())
        assert got == "org.netmgr1.Error.InUse" and "networks.d/f.nad.json" in sentence
    host.manager("RemoveNetwork", "sa{sv}", "prod/c", 0)
    drop_manifest(host, "f")
    settle(lambda: names(host) == set(), "forgotten")


def test_by_netmgrctl(host):
    file = f"{host.dir}/manifests.json"

    def add(content):
        with open(file, "w") as f:
            json.dump(content, f)
        return host.ctl("network", "add", file)

    assert add(manifest("a", ours("10.97.30.0/24"), "prod")).returncode == 0
    assert add({"kind": "List", "apiVersion": "v1", "items": [
        manifest("b", chain("10.97.31.0/24"), "prod"), manifest("c", namespace="prod")]}).returncode == 0
    assert names(host) == {"prod/a", "prod/b", "prod/c"}
    table = host.ctl("list", "networks", check=True).stdout
    assert "prod/b" in table and "alias" in table
    shown = host.ctl("show", "prod/b", check=True).stdout
    assert "bridge" in shown and "tuning" in shown and "NetworkAttachmentDefinition" in shown
    assert "Stands for: c" in host.ctl("show", "network:prod/c", check=True).stdout.replace("  ", " ").replace("  ", " ")
    a = host.add(pointer("prod/a"))
    assert a.ips[0] in host.ctl("show", "prod/a", check=True).stdout
    assert "prod/a" in host.ctl("show", f"{a.cid}/eth0", check=True).stdout
    r = host.ctl("network", "remove", "prod/a")
    assert r.returncode == 1 and "prod/a has 1 attachments" in r.stderr
    assert host.ctl("network", "remove", "prod/").returncode == 2
    bad = add(manifest("d", {"type": "netmgr", "kind": "nonsense"}, "prod"))
    assert bad.returncode == 1 and "spec.config" in bad.stderr and "nonsense" in bad.stderr
    a.delete().expect_ok()
    for n in ("a", "b", "c"):
        assert host.ctl("network", "remove", f"prod/{n}").returncode == 0
    assert names(host) == set()


# --- drift ---------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("what", ["plain", "chain"])
def test_drift_is_shown(host, what):
    """An attachment that is older than its network's configuration says so, until it is made anew."""
    def describe(mtu):
        return ours("10.97.20.0/24", mtu=mtu) if what == "plain" else chain("10.97.20.0/24", mtu=mtu)

    put_manifest(host, "one", manifest("blue", describe(1400)))
    settle(lambda: names(host) == {"default/blue"}, "known")
    a = host.add(pointer("default/blue"))
    path = next(p for p in host.tree() if p.endswith("/eth0"))
    assert host.properties(path, ATTACHMENT)["Drifted"] is False
    assert "*" not in host.ctl("list", "attachments", check=True).stdout
    put_manifest(host, "one", manifest("blue", describe(1300)))
    settle(lambda: host.properties(path, ATTACHMENT)["Drifted"], "the older one is known as such")
    host.netmgrd.restart(9)
    assert attachment(host, a)["Drifted"] is True
    b = host.add(pointer("default/blue"))
    assert attachment(host, b)["Drifted"] is False
    table = host.ctl("list", "attachments", check=True).stdout
    assert table.count("default/blue*") == 1 and "configuration was changed" in table
    assert "default/blue*" in host.ctl("show", "network:default/blue", check=True).stdout
    assert "default/blue*" not in host.ctl("--no-legend", "list", "attachments", check=True).stdout
    assert "a new attachment would differ" in host.ctl("show", f"{a.cid}/eth0", check=True).stdout
    assert "a new attachment would differ" not in host.ctl("show", f"{b.cid}/eth0", check=True).stdout
    a.check().expect_ok()  # it is what it was made to be
    put_manifest(host, "one", manifest("blue", describe(1400)))
    settle(lambda: not attachment(host, a)["Drifted"] and attachment(host, b)["Drifted"], "as it was before")
    for x in (a, b):
        x.delete().expect_ok()
    drop_manifest(host, "one")
    settle(lambda: names(host) == set(), "forgotten")
    if what == "chain":
        host.ip("link", "del", "br-chain")


def test_drift_is_told(host):
    put_manifest(host, "one", manifest("blue", ours("10.97.20.0/24")))
    settle(lambda: names(host) == {"default/blue"}, "known")
    a = host.add(pointer("default/blue"), cid="box")
    monitor = Monitor(host)

    def told():
        return [(path, data[0], {k: v["data"] for k, v in data[1].items()}) for name, path, data in monitor.signals()
                if name == "PropertiesChanged"]
    try:
        put_manifest(host, "one", manifest("blue", ours("10.97.20.0/24", mtu=1300)))
        settle(lambda: (ROOT + "/sandbox/box/eth0", ATTACHMENT, {"Drifted": True}) in told(),
               lambda: f"the attachment tells; seen: {told()}")
        assert any(path == ROOT + "/network/default_2fblue" for path, _, _ in told())
    finally:
        monitor.stop()
    a.delete().expect_ok()
    drop_manifest(host, "one")
    settle(lambda: names(host) == set(), "forgotten")
