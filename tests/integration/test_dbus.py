# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.netmgr1 on the bus: what busctl shows, objects, properties, signals, Describe, and polkit."""
import json
import os
import re
import xml.etree.ElementTree as ET

import pytest
from netmgr_host import BUS, MANAGER, ROOT, RUNTIME, bridge, routed, settle

SANDBOX, ATTACHMENT, NETWORK = (f"org.netmgr1.{x}" for x in ("Sandbox", "Attachment", "Network"))

MEMBERS = {
    MANAGER: {
        "methods": {"ListSandboxes": ("", "a(ssso)"), "ListAttachments": ("", "a(sssso)"),
                    "ListNetworks": ("", "a(sso)"), "GetSandbox": ("s", "o"), "GetNetwork": ("s", "o"),
                    "AddNetwork": ("ssa{sv}", "o"), "RemoveNetwork": ("sa{sv}", ""), "Reload": ("", ""),
                    "Describe": ("", "s"), "DescribeAll": ("s", "s"), "CollectGarbage": ("a{sv}", "s"),
                    "Attach": ("ssa{sv}", "os"), "Detach": ("ssa{sv}", ""), "Reconcile": ("a{sv}", "s"),
                    "Import": ("ssa{sv}", "s"), "History": ("sa{sv}", "s"), "ReleaseAddresses": ("s", "u")},
        "properties": {"Version": "s", "Features": "as", "FeaturesMissing": "as", "Health": "s",
                       "HealthReasons": "as", "Repairs": "t", "Reaps": "t"},
        "signals": {"SandboxAdded": "so", "SandboxRemoved": "so", "AttachmentChanged": "osss"}},
    RUNTIME: {
        "methods": {m: ("a{sv}", "s") for m in ("Add", "Del", "Check", "CollectGarbage", "Status",
                                                "Synchronize")} | {"DelegateResult": ("sis", "s")},
        "properties": {}, "signals": {"SynchronizeWanted": ""}},
    SANDBOX: {
        "methods": {"Describe": ("", "s")},
        "properties": {"Id": "s", "Runtime": "s", "PodName": "s", "PodNamespace": "s", "PodUID": "s",
                       "Labels": "a{ss}", "NetnsPath": "s", "State": "s", "Attachments": "ao",
                       "NetworkStatus": "s", "MultiIPPreferences": "s"}, "signals": {}},
    ATTACHMENT: {
        "methods": {"Describe": ("", "s"), "AddPort": ("sqqa{sv}", ""), "RemovePort": ("sqa{sv}", ""),
                    "SetBandwidth": ("a{sv}", "")},
        "properties": {"Sandbox": "s", "Network": "s", "Kind": "s", "Interface": "s", "HostInterface": "s",
                       "Mac": "s", "Mtu": "u", "Addresses": "as", "Gateways": "as", "State": "s",
                       "Drifted": "b", "Parent": "s", "Position": "u", "Reference": "s", "ChoiceReason": "s", "HotPlugged": "b",
                       "Ports": "a(sqqs)", "ShapingMode": "s", "IngressRate": "t", "IngressBurst": "t",
                       "EgressRate": "t", "EgressBurst": "t"}, "signals": {}},
    NETWORK: {
        "methods": {"Describe": ("", "s")},
        "properties": {"Name": "s", "Kind": "s", "Source": "s", "Config": "s", "Namespace": "s", "Plugins": "as", "Members": "as", "Alias": "s", "Subnets": "as", "Used": "t",
                       "Free": "t", "Attachments": "ao"}, "signals": {}},
}


def introspect(host, path):
    text = host.busctl("introspect", "--xml-interface", BUS, path).stdout
    return {i.get("name"): i for i in ET.fromstring(text).iter("interface")}


def joined(node, direction):
    return "".join(a.get("type") for a in node.iter("arg") if a.get("direction", direction) == direction)


@pytest.mark.sanitize
def test_introspection(host):
    a = host.add(routed(), cid="box")
    box = ROOT + "/sandbox/box"
    where = {MANAGER: ROOT, RUNTIME: ROOT, SANDBOX: box, ATTACHMENT: box + "/eth0", NETWORK: ROOT + "/network/net1"}
    for interface, members in MEMBERS.items():
        shown = introspect(host, where[interface])[interface]
        methods = {m.get("name"): (joined(m, "in"), joined(m, "out")) for m in shown.iter("method")}
        assert methods == members["methods"], interface
        assert {p.get("name"): p.get("type") for p in shown.iter("property")} == members["properties"], interface
        assert {p.get("access") for p in shown.iter("property")} <= {"read"}
        signals = {s.get("name"): "".join(x.get("type") for x in s.iter("arg")) for s in shown.iter("signal")}
        assert signals == members["signals"], interface
        for node in list(shown.iter("method")) + list(shown.iter("signal")):
            unnamed = [x for x in node.iter("arg") if not x.get("name")]
            assert not unnamed, f"{interface}.{node.get('name')} has arguments without a name"
    assert "org.freedesktop.DBus.ObjectManager" in introspect(host, ROOT)
    text = host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "--no-pager", "introspect",
                     BUS, ROOT]).stdout
    assert ".ListSandboxes" in text and ".Health" in text
    a.delete().expect_ok()


def test_tree_and_object_manager(host):
    pod = host.pod()
    host.add(routed("net1"), pod, cid="box-1.a")
    host.add(bridge("net-2"), pod, cid="box-1.a", ifname="eth1")
    box = host.manager("GetSandbox", "s", "box-1.a")[0]
    # sd_bus_path_encode: what is not a letter or digit becomes _hh
    assert box == ROOT + "/sandbox/box_2d1_2ea"
    expected = {ROOT, box, box + "/eth0", box + "/eth1", ROOT + "/network/net1", ROOT + "/network/net_2d2"}
    assert expected <= host.tree()
    objects = host.call(ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects")[0]
    assert expected - {ROOT} <= set(objects)
    assert objects[box + "/eth1"][ATTACHMENT]["Network"]["data"] == "net-2"
    for path in expected - {ROOT}:
        kind = SANDBOX if path == box else NETWORK if "/network/" in path else ATTACHMENT
        assert {k: v["data"] for k, v in objects[path][kind].items()} == host.properties(path, kind)


@pytest.mark.sanitize
def test_properties_tell_what_the_kernel_has(host):
    a = host.add(bridge("net2", "10.97.1.0/24", "fd97:1::/64", mtu=1400), cid="box",
                 args="IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web;K8S_POD_UID=u-1")
    inner = a.pod.link("eth0")
    have = host.properties(ROOT + "/sandbox/box/eth0", ATTACHMENT)
    assert have == {"Sandbox": "box", "Network": "net2", "Kind": "bridge", "Interface": "eth0",
                    "HostInterface": a.host_ifname, "Mac": inner["address"], "Mtu": 1400,
                    "Addresses": a.cidrs, "Gateways": ["10.97.1.1", "fd97:1::1"], "State": "up",
                    "Drifted": False, "Parent": "", "Position": 0, "Reference": "", "ChoiceReason": "", "HotPlugged": False,
                    "Ports": [], "ShapingMode": "police", "IngressRate": 0, "IngressBurst": 0, "EgressRate": 0,
                    "EgressBurst": 0}
    box = host.properties(ROOT + "/sandbox/box", SANDBOX)
    assert (box["Id"], box["PodNamespace"], box["PodName"], box["PodUID"]) == ("box", "space", "web", "u-1")
    assert box["NetnsPath"] == a.pod.path and box["Attachments"] == [ROOT + "/sandbox/box/eth0"]
    net = host.properties(ROOT + "/network/net2", NETWORK)
    assert (net["Name"], net["Kind"], net["Source"]) == ("net2", "bridge", "config")
    assert net["Subnets"] == ["10.97.1.0/24", "fd97:1::/64"] and net["Attachments"] == box["Attachments"]
    assert json.loads(net["Config"])["kind"] == "bridge"


def test_lists(host):
    host.add(routed(), cid="box", args="IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web")
    box = ROOT + "/sandbox/box"
    assert host.manager("ListSandboxes")[0] == [["box", "space", "web", box]]
    assert host.manager("ListAttachments")[0] == [["box", "eth0", "net1", "up", box + "/eth0"]]
    assert host.manager("ListNetworks")[0] == [["net1", "routed", ROOT + "/network/net1"]]


@pytest.mark.sanitize
def test_describe(host):
    host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box")
    box = ROOT + "/sandbox/box"
    for path, kind, what in ((box, SANDBOX, "sandboxes"), (box + "/eth0", ATTACHMENT, "attachments"),
                             (ROOT + "/network/net1", NETWORK, "networks")):
        described = json.loads(host.call(path, kind, "Describe")[0])
        assert set(described) == set(MEMBERS[kind]["properties"])
        properties = host.properties(path, kind)
        for key in described:
            if key not in ("Config", "Labels"):
                assert described[key] == properties[key], key
        assert described in host.describe(what)
    manager = json.loads(host.manager("Describe")[0])
    assert manager["Networks"] == manager["Sandboxes"] == manager["Attachments"] == 1
    assert manager["Health"] == "ok" and manager["HealthReasons"] == []
    assert manager["LedgerPath"] == f"{host.state_dir}/netmgr.db" and manager["SchemaVersion"] >= 2
    assert manager["Version"] == host.get_property(ROOT, MANAGER, "Version")
    assert {a["Address"] for a in host.describe("addresses")} == {"10.97.0.2/32", "fd97::2/128"}


def test_describe_all_of_nothing_known(host):
    import dbus
    bus = host.bus()
    with pytest.raises(dbus.DBusException) as e:
        bus.call_blocking(BUS, ROOT, MANAGER, "DescribeAll", "s", ["elephants"])
    bus.close()
    assert e.value.get_dbus_name() == "org.netmgr1.Error.InvalidArgument"
    assert "elephants" in e.value.get_dbus_message()


def test_objects_that_are_not_there(host):
    import dbus
    bus = host.bus()
    try:
        for path, interface, method, signature, args, error in (
                (ROOT, MANAGER, "GetSandbox", "s", ["nobody"], "org.netmgr1.Error.NoSuchSandbox"),
                (ROOT, MANAGER, "GetSandbox", "s", ["x" * 127 + "\u00fc"], "org.netmgr1.Error.NoSuchSandbox"),
                (ROOT, MANAGER, "GetNetwork", "s", ["nowhere"], "org.netmgr1.Error.NoSuchNetwork"),
                (ROOT + "/sandbox/nobody", SANDBOX, "Describe", "", [], "org.freedesktop.DBus.Error.UnknownObject"),
                (ROOT + "/sandbox/nobody/eth0", ATTACHMENT, "Describe", "", [],
                 "org.freedesktop.DBus.Error.UnknownObject")):
            with pytest.raises(dbus.DBusException) as e:
                bus.call_blocking(BUS, path, interface, method, signature, args)
            assert e.value.get_dbus_name() == error
    finally:
        bus.close()


# --- signals -------------------------------------------------------------------------------------

class Monitor:
    """`busctl monitor` on the private bus; what it has seen since it was ready."""

    def __init__(self, host):
        self.host, self.file = host, f"{host.dir}/log/monitor"
        self.out = open(self.file, "wb")
        self.process = host.popen(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "--json=short",
                                   "monitor", BUS], stdout=self.out, stderr=self.out)
        self.said = 0
        settle(lambda: self.nudge(), "busctl monitor sees messages")

    def nudge(self):
        self.host.name_has_owner(BUS)
        self.host.get_property(ROOT, MANAGER, "Version")
        return os.path.getsize(self.file) > 0 and any("Version" in line for line in self.lines())

    def lines(self):
        with open(self.file, errors="replace") as f:
            return f.read().splitlines()

    def signals(self):
        found = []
        for line in self.lines():
            if line.startswith("{"):
                try:
                    message = json.loads(line)
                except ValueError:
                    continue
                if message.get("type") == "signal":
                    found.append((message["member"], message["path"], message.get("payload", {}).get("data")))
        return found

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.out.close()


def test_signals(host):
    monitor = Monitor(host)
    try:
        a = host.add(routed(), cid="box")
        a.delete().expect_ok()
        box = ROOT + "/sandbox/box"
        settle(lambda: ("SandboxRemoved", ROOT, ["box", box]) in monitor.signals(),
               lambda: f"SandboxRemoved; seen: {monitor.signals()}")
        seen = monitor.signals()
    finally:
        monitor.stop()
    assert ("SandboxAdded", ROOT, ["box", box]) in seen
    states = [s[2][3] for s in seen if s[0] == "AttachmentChanged" and s[2][:3] == [box + "/eth0", "box", "eth0"]]
    assert "up" in states and states[-1] in ("gone", "releasing")
    added = [s for s in seen if s[0] == "InterfacesAdded"]
    removed = [s for s in seen if s[0] == "InterfacesRemoved"]
    assert {box, box + "/eth0", ROOT + "/network/net1"} <= {s[2][0] for s in added}
    assert {box, box + "/eth0"} <= {s[2][0] for s in removed}
    changed = [s for s in seen if s[0] == "PropertiesChanged" and s[1] == ROOT + "/network/net1"]
    assert changed  # Used, Free and Attachments of the network


# --- polkit --------------------------------------------------------------------------------------

RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "%s" && subject.user == "nobody")
        return polkit.Result.YES;
    return polkit.Result.NOT_HANDLED;
});
"""


def as_nobody(host, method, *args):
    return host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", BUS, ROOT, MANAGER,
                     method, *args], user="nobody", check=False)


def calls(host):
    conf = {"cniVersion": "1.0.0", "name": "green", "plugins": [
        {"type": "netmgr", "ipam": {"type": "local", "subnet": "10.97.30.0/24"}}]}
    return {"Reload": [], "AddNetwork": ["ssa{sv}", "green", json.dumps(conf), "0"],
            "RemoveNetwork": ["sa{sv}", "green", "0"], "CollectGarbage": ["a{sv}", "0"],
            "Reconcile": ["a{sv}", "0"], "Attach": ["ssa{sv}", "box", "green", "0"],
            "Detach": ["ssa{sv}", "box", "net1", "0"], "ReleaseAddresses": ["s", "claim/default/disk"],
            "Import": ["ssa{sv}", "whereabouts-files", '{"kind": "List", "items": []}', "0"]}


# What everybody may call: it changes nothing.
READING = {"ListSandboxes", "ListAttachments", "ListNetworks", "GetSandbox", "GetNetwork", "Describe", "DescribeAll",
           "History"}


def test_every_method_of_the_manager_reads_or_asks_polkit(host):
    """A new method that changes something has to be among calls(), which are tried without leave."""
    rows = host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "introspect", BUS, ROOT,
                     MANAGER]).stdout.splitlines()
    methods = {r.split()[0].lstrip(".") for r in rows if len(r.split()) > 1 and r.split()[1] == "method"}
    assert methods == READING | set(calls(host))


@pytest.mark.host(polkit=True)
def test_polkit_refuses_by_default(host):
    for method, args in calls(host).items():
        r = as_nobody(host, method, *args)
        assert r.returncode != 0 and re.search("denied|authoriz", r.stderr, re.IGNORECASE), (method, r.stderr)
    assert host.manager("ListNetworks")[0] == []


@pytest.mark.host(polkit=True)
def test_polkit_rule_opens_one_action_and_no_other(host):
    with open(f"{host.dir}/polkit/rules/10-test.rules", "w") as f:
        f.write(RULE % "org.netmgr1.manage-networks")
    # polkitd follows its rules directory by itself
    arguments = calls(host)
    settle(lambda: as_nobody(host, "AddNetwork", *arguments["AddNetwork"]).returncode == 0, "the rule is in force")
    assert [n[0] for n in host.manager("ListNetworks")[0]] == ["green"]
    assert as_nobody(host, "Reload").returncode != 0
    r = as_nobody(host, "RemoveNetwork", *arguments["RemoveNetwork"])
    assert r.returncode == 0, r.stderr
    assert host.manager("ListNetworks")[0] == []


@pytest.mark.host(polkit=True)
def test_root_is_not_asked(host):
    host.polkitd.kill()
    host.manager("Reload")


def test_without_polkit_only_root_may_change(host):
    r = as_nobody(host, "Reload")
    assert r.returncode != 0 and "denied" in r.stderr.lower()
    host.manager("Reload")


def test_caller_that_leaves_while_polkit_thinks(host):
    """Nobody waits for a caller that is gone, and nothing is held for it."""
    import dbus
    import dbus.lowlevel
    for _ in range(20):
        bus = host.bus()
        bus.send_message(dbus.lowlevel.MethodCallMessage(BUS, ROOT, MANAGER, "Reload"))
        bus.flush()
        bus.close()
    host.manager("Reload")
