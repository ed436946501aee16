# SPDX-License-Identifier: LGPL-2.1-or-later
"""The CNI verbs and their rules: what the plugin answers alone, error codes, DEL, CHECK, GC, STATUS."""
import json
import os

import pytest
from netmgr_host import VERSIONS, bridge, routed, settle


# --- without the daemon --------------------------------------------------------------------------

@pytest.fixture
def quiet(host):
    """A host whose netmgrd and bus are stopped: the plugin is on its own."""
    host.netmgrd.stop()
    host.dbus.stop()
    return host


def test_version(quiet):
    for env in ({}, {"CNI_CONTAINERID": "", "CNI_IFNAME": "dummy", "CNI_NETNS": "dummy", "CNI_PATH": "dummy"}):
        for plugin in ("netmgr", "loopback"):
            reply = quiet.cni("VERSION", {"cniVersion": "1.1.0"}, env=env, plugin=plugin).expect_ok()
            assert reply.json == {"cniVersion": "1.1.0", "supportedVersions": VERSIONS}


def test_version_does_not_wait_for_stdin(quiet):
    reader, writer = os.pipe()  # never written: a plugin that reads would hang
    p = quiet.popen([f"{quiet.dir}/cni/netmgr"], env=quiet.cni_env("VERSION"), stdin=reader, stdout=-1, stderr=-1)
    out, _ = p.communicate(timeout=30)
    os.close(reader)
    os.close(writer)
    assert p.returncode == 0 and json.loads(out)["supportedVersions"] == VERSIONS


def test_about_text_without_a_command(quiet):
    reply = quiet.cni(None, "")
    assert reply.status == 0 and reply.stdout == ""
    assert "netmgr" in reply.stderr and all(v in reply.stderr for v in VERSIONS)


def test_version_option(quiet):
    plain = quiet.run([f"{quiet.dir}/bin/netmgr", "--version"]).stdout
    assert "netmgr" in plain
    assert isinstance(json.loads(quiet.run([f"{quiet.dir}/bin/netmgr", "--version", "--json"]).stdout), dict)
    for program in ("netmgrd", "netmgr-nsd"):
        assert quiet.run([f"{quiet.dir}/bin/{program}", "--version"]).stdout.strip()


@pytest.mark.sanitize
@pytest.mark.parametrize("verb, missing", [
    ("ADD", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
    ("CHECK", ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]),
    ("DEL", ["CNI_CONTAINERID", "CNI_IFNAME", "CNI_PATH"]),
    ("GC", ["CNI_PATH"]),
    ("STATUS", ["CNI_PATH"]),
])
def test_all_missing_variables_are_named(quiet, verb, missing):
    reply = quiet.cni(verb, routed(version="1.1.0"), env={"CNI_PATH": None}).expect_error(4, *missing)
    others = {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"} - set(missing)
    assert not [v for v in others if v in reply.sentence]


GOOD = {"cid": "c1", "ifname": "eth0", "netns": "/run/netns/none"}


@pytest.mark.sanitize
@pytest.mark.parametrize("keys, words", [
    ({"verb": "CREATE"}, ["CREATE"]),
    ({"verb": "add"}, ["add"]),
    ({"cid": "../etc"}, ["CNI_CONTAINERID", "../etc"]),
    ({"cid": "-x"}, ["CNI_CONTAINERID", "-x"]),
    ({"cid": "a b"}, ["CNI_CONTAINERID", "a b"]),
    ({"cid": "x" * 300}, ["CNI_CONTAINERID"]),
    ({"ifname": "."}, ["CNI_IFNAME", "."]),
    ({"ifname": ".."}, ["CNI_IFNAME", ".."]),
    ({"ifname": "a/b"}, ["CNI_IFNAME", "a/b"]),
    ({"ifname": "a:b"}, ["CNI_IFNAME", "a:b"]),
    ({"ifname": "a b"}, ["CNI_IFNAME", "a b"]),
    ({"ifname": "abcdefghijklmnop"}, ["CNI_IFNAME", "abcdefghijklmnop"]),
    ({"verb": "\udcff"}, ["?"]),
    ({"verb": "x" * 63 + "\u00fc"}, ["xxx?"]),
    ({"cid": "\udcff\udcfe"}, ["CNI_CONTAINERID", "??"]),
    ({"ifname": "a\udcc3"}, ["CNI_IFNAME", "a?"]),
])
def test_environment_errors(quiet, keys, words):
    keys = {**GOOD, **keys}
    quiet.cni(keys.pop("verb", "ADD"), routed(), **keys).expect_error(4, *words)


@pytest.mark.sanitize
@pytest.mark.parametrize("conf, code, words", [
    ("", (5, 6), []),
    ("{", 6, []),
    ("[]", (6, 7), []),
    ("null", (6, 7), []),
    ({"cniVersion": "1.0.0", "type": "netmgr"}, 7, ["name"]),
    ({"cniVersion": "1.0.0", "name": "", "type": "netmgr"}, 7, ["name"]),
    ({"cniVersion": "1.0.0", "name": "a/b", "type": "netmgr"}, 7, ["name", "a/b"]),
    ({"cniVersion": "1.0.0", "name": "x" * 63 + "\u00fc", "type": "netmgr"}, 7, ["name", "xxx?"]),
    ({"cniVersion": "9.9.9", "name": "net1", "type": "netmgr"}, 1, ["9.9.9"]),
    ({"cniVersion": 1, "name": "net1", "type": "netmgr"}, (6, 7), ["cniVersion"]),
])
def test_stdin_errors(quiet, conf, code, words):
    quiet.cni("ADD", conf, **GOOD).expect_error(code, *words)


def test_environment_is_checked_before_stdin(quiet):
    quiet.cni("ADD", "{", cid="c1").expect_error(4, "CNI_NETNS")


@pytest.mark.parametrize("verb, version", [("CHECK", "0.3.1"), ("GC", "1.0.0"), ("STATUS", "1.0.0")])
def test_verb_that_the_version_does_not_have(quiet, verb, version):
    quiet.cni(verb, routed(version=version), **GOOD).expect_error(1, version)


def test_daemon_down(quiet):
    quiet.run(["ip", "netns", "add", "ns1"])
    there = {**GOOD, "netns": "/run/netns/ns1"}
    quiet.cni("ADD", routed(), env={"NETMGR_WAIT_SEC": "0"}, **there).expect_error(11, "netmgrd")
    quiet.cni("DEL", routed(), **there).expect_ok()  # spooled
    quiet.cni("CHECK", routed(prevResult={}), **there).expect_error(11, "netmgrd")
    quiet.cni("STATUS", routed(version="1.1.0")).expect_error(50, "netmgrd")
    quiet.cni("GC", routed(version="1.1.0")).expect_error(11, "netmgrd")
    quiet.run(["ip", "netns", "delete", "ns1"])


def test_error_carries_the_version_of_the_configuration(host):
    reply = host.cni("ADD", routed(version="0.4.0", nonsense=1), **GOOD)
    assert not reply.ok and reply.json.get("cniVersion", "0.4.0") == "0.4.0"


# --- keys ----------------------------------------------------------------------------------------

def test_keys_match_without_case(host):
    conf = {"CNIVERSION": "1.0.0", "Name": "net1", "TYPE": "netmgr", "Kind": "routed",
            "IPAM": {"Type": "local", "Ranges": [[{"Subnet": "10.97.0.0/24", "RANGESTART": "10.97.0.50"}]]},
            "RuntimeConfig": {"IPs": ["10.97.0.77"]}, "Capabilities": {"ips": True}}
    assert host.add(conf).ips == ["10.97.0.77"]


def test_what_a_runtime_adds_is_accepted(host):
    """capabilities, unknown capability arguments, arguments of other plugins, containerd's CNI_ARGS"""
    conf = routed(capabilities={"portMappings": False, "io.kubernetes.cri.pod-annotations": True},
                  runtimeConfig={"io.kubernetes.cri.pod-annotations": {"a": "b"}, "unheard": [1, {"of": 2}]},
                  args={"cni": {"labels": [{"key": "app", "value": "x"}]}, "other": 5},
                  **{"cni.dev/valid-attachments": None})
    args = ("K8S_POD_INFRA_CONTAINER_ID=abc;K8S_POD_UID=u-1;IgnoreUnknown=1;K8S_POD_NAMESPACE=space;"
            "K8S_POD_NAME=web;Whatever=1")
    host.add(conf, cid="sandbox-1", args=args)
    box, = host.describe("sandboxes")
    assert (box["Id"], box["PodNamespace"], box["PodName"], box["PodUID"]) == ("sandbox-1", "space", "web", "u-1")


# --- DEL -----------------------------------------------------------------------------------------

def no_netns(a):
    return a.delete(netns=None)


def empty_netns(a):
    return a.delete(netns="")


def missing_path(a):
    return a.delete(netns="/run/netns/never-was")


def plain_file(a):
    a.host.run(["sh", "-c", "echo text > /run/plain"])
    return a.delete(netns="/run/plain")


def namespace_gone(a):
    a.pod.delete()
    return a.delete()


def namespace_of_somebody_else(a):
    return a.delete(netns=a.host.pod().path)


def interface_gone(a):
    a.pod.run(["ip", "link", "delete", a.ifname])
    return a.delete()


def host_end_gone(a):
    a.host.run(["ip", "link", "delete", a.host_ifname])
    return a.delete()


def no_previous_result(a):
    return a.delete(prev=False)


def empty_previous_result(a):
    return a.delete(prev=False, conf={"prevResult": None})


def changed_ranges(a):
    return a.delete(conf={"ipam": {"type": "local", "ranges": [[{"subnet": "10.99.0.0/24"}]]}})


def changed_kind(a):
    return a.delete(conf={"kind": "routed" if a.conf.get("kind") == "bridge" else "bridge"})


def no_ipam(a):
    conf = {k: v for k, v in a.conf.items() if k != "ipam"}
    reply = a.host.cni("DEL", conf, a.cid, a.ifname, a.pod.path)
    a.live = not reply.ok
    return reply


def unknown_key(a):
    """A key of a later or an earlier release: what is there must still go."""
    return a.delete(conf={"keyOfTomorrow": 1})


def no_arguments(a):
    return a.delete(args=None)


DEL_CASES = [no_netns, empty_netns, missing_path, plain_file, namespace_gone, namespace_of_somebody_else,
             interface_gone, host_end_gone, no_previous_result, empty_previous_result, changed_ranges,
             changed_kind, no_ipam, unknown_key, no_arguments]


@pytest.mark.sanitize
@pytest.mark.parametrize("case", DEL_CASES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_del_succeeds_and_cleans_everything(host, kind, case):
    conf = routed("net1") if kind == "routed" else bridge("net1")
    a = host.add(conf, args="IgnoreUnknown=1;K8S_POD_NAME=x")
    inner = a.pod
    reply = case(a).expect_ok()
    assert reply.stdout == ""
    assert host.held() == {}
    settle(lambda: host.ledger()["attachment"] == [], "the row is gone")  # written after the answer
    assert host.link(a.host_ifname) is None
    if inner.exists:
        assert inner.link("eth0") is None


def test_del_with_the_bridge_gone(host):
    a = host.add(bridge("net2"))
    host.run(["ip", "link", "delete", "nmb-net2"])
    a.delete().expect_ok()


def test_del_again_and_of_an_unknown_container(host):
    a = host.add(routed())
    a.delete().expect_ok()
    a.delete().expect_ok()
    host.cni("DEL", routed("never-seen"), "unknown-container", "eth0", None).expect_ok()
    host.cni("DEL", routed(), "unknown-container", "eth0", "/run/netns/never-was").expect_ok()


def test_del_of_one_leaves_the_other(host):
    a, b = host.add(routed()), host.add(routed())
    host.cni("DEL", routed(), a.cid, "eth9", a.pod.path).expect_ok()
    host.cni("DEL", routed("net9"), a.cid, "eth0", a.pod.path).expect_ok()
    a.check().expect_ok()
    a.delete().expect_ok()
    b.check().expect_ok()


def test_del_never_touches_the_namespace_of_another(host):
    """A path that now leads to another sandbox's namespace: that one's interface stays."""
    a, b = host.add(routed()), host.add(routed())
    a.delete(netns=b.pod.path).expect_ok()
    assert b.pod.link("eth0")
    b.check().expect_ok()


# --- CHECK ---------------------------------------------------------------------------------------

def in_pod(*argv):
    return lambda a: a.pod.run([x.format(ip=a.ips[0], mac="02:00:00:00:00:99") for x in argv])


def on_host(*argv):
    return lambda a: a.host.run([x.format(ip=a.ips[0], host=a.host_ifname) for x in argv])


DAMAGE = {
    "pod interface deleted": (in_pod("ip", "link", "delete", "eth0"), ["eth0"]),
    "pod interface down": (in_pod("ip", "link", "set", "eth0", "down"), ["eth0", "down"]),
    "pod mac": (in_pod("ip", "link", "set", "eth0", "address", "{mac}"), ["eth0", "02:00:00:00:00:99"]),
    "pod mtu": (in_pod("ip", "link", "set", "eth0", "mtu", "1300"), ["eth0", "1300"]),
    "pod address deleted": (in_pod("ip", "addr", "flush", "dev", "eth0"), ["eth0", "10.97.0.2"]),
    "default route deleted": (in_pod("ip", "route", "delete", "default"), ["0.0.0.0/0"]),
    "gateway's neighbour deleted": (in_pod("ip", "neigh", "delete", "169.254.1.1", "dev", "eth0"), ["169.254.1.1"]),
    "host end down": (on_host("ip", "link", "set", "{host}", "down"), ["nmg", "down"]),
    "host route deleted": (on_host("ip", "route", "delete", "{ip}"), ["10.97.0.2"]),
}


# or what is damaged would be whole again before CHECK looks
AS_IT_IS = pytest.mark.host(conf="[Manager]\nRepair=no\n[Host]\nNodeAddress=192.0.2.1\n")


@AS_IT_IS
@pytest.mark.parametrize("damage", DAMAGE)
def test_check_names_the_first_difference(host, damage):
    a = host.add(routed())
    a.check().expect_ok()
    do, words = DAMAGE[damage]
    do(a)
    reply = a.check().expect_error(107)
    assert any(w.lower() in reply.sentence.lower() for w in words), reply.sentence


BRIDGE_DAMAGE = {
    "port taken from the bridge": (on_host("ip", "link", "set", "{host}", "nomaster"), ["nmb-net2", "nmg"]),
    "bridge deleted": (on_host("ip", "link", "delete", "nmb-net2"), ["nmb-net2"]),
    "bridge down": (on_host("ip", "link", "set", "nmb-net2", "down"), ["nmb-net2"]),
    "bridge address deleted": (on_host("ip", "addr", "flush", "dev", "nmb-net2"), ["10.97.1.1", "nmb-net2"]),
    "hairpin off": (on_host("ip", "link", "set", "{host}", "type", "bridge_slave", "hairpin", "off"),
                    ["hairpin", "nmg"]),
}


@AS_IT_IS
@pytest.mark.parametrize("damage", BRIDGE_DAMAGE)
def test_check_of_a_bridge_names_the_first_difference(host, damage):
    a = host.add(bridge("net2", hairpinMode=True))
    a.check().expect_ok()
    do, words = BRIDGE_DAMAGE[damage]
    do(a)
    reply = a.check().expect_error(107)
    assert any(w.lower() in reply.sentence.lower() for w in words), reply.sentence


def test_check_tolerates_what_later_plugins_add(host):
    a = host.add(routed())
    a.pod.run(["ip", "addr", "add", "198.51.100.7/32", "dev", "eth0"])
    a.pod.run(["ip", "route", "add", "198.51.100.8/32", "dev", "eth0"])
    a.pod.run(["ip", "link", "add", "extra0", "type", "veth", "peer", "name", "extra1"])
    a.check().expect_ok()


def test_check_of_what_is_not_attached(host):
    a = host.add(routed())
    host.cni("CHECK", {**routed(), "prevResult": a.result}, "other-container", "eth0",
             a.pod.path).expect_error((3, 7, 107), "other-container")
    a.check(netns=host.pod().path).expect_error((7, 8, 107))


def test_check_without_previous_result(host):
    a = host.add(routed())
    a.check(prev=False).expect_error((6, 7), "prevResult")


def test_check_right_after_add_of_many(host):
    many = host.add_many(bridge("net2", "10.97.1.0/24", "fd97:1::/64"), 20)
    host.parallel(20, lambda i: many[i].check().expect_ok())


# --- GC ------------------------------------------------------------------------------------------

def valid(*attachments):
    return [{"containerID": a.cid, "ifname": a.ifname} for a in attachments]


def gc(host, conf, **keys):
    return host.cni("GC", {**conf, **keys})


@pytest.mark.parametrize("key", ["cni.dev/valid-attachments", "cni.dev/attachments"])
def test_gc_keeps_what_is_listed(host, key):
    """The rest goes when its namespace is dead."""
    conf = routed(version="1.1.0")
    a, b, c = (host.add(conf) for _ in range(3))
    b.pod.delete()
    gc(host, conf, **{key: valid(a, c)}).expect_ok()
    assert set(host.held().values()) == {f"{x.cid}/eth0" for x in (a, c)}
    a.check().expect_ok()
    c.check().expect_ok()
    b.delete().expect_ok()


@pytest.mark.parametrize("value", [None, []], ids=["null", "empty"])
def test_gc_with_nothing_valid_reaps_all_of_the_network(host, value):
    conf = routed(version="1.1.0")
    a, other = host.add(conf), host.add(routed("net2", "10.97.2.0/24"))
    a.pod.delete()
    gc(host, conf, **{"cni.dev/valid-attachments": value}).expect_ok()
    assert list(host.held().values()) == [f"{other.cid}/eth0"]
    other.check().expect_ok()
    a.live = False


def test_gc_without_the_key_reaps_only_the_dead(host):
    conf = routed(version="1.1.0")
    a, b = host.add(conf), host.add(conf)
    b.pod.delete()
    settle(lambda: host.link(b.host_ifname) is None, "the kernel has ended the namespace")
    gc(host, conf).expect_ok()
    assert list(host.held().values()) == [f"{a.cid}/eth0"]
    a.check().expect_ok()
    b.live = False


def test_gc_with_a_broken_list_changes_nothing(host):
    conf = routed(version="1.1.0")
    host.add(conf)
    for value in ("all", {"a": 1}, [{"containerID": 5}], [1], [{"ifname": "eth0"}]):
        with host.unchanged():
            gc(host, conf, **{"cni.dev/valid-attachments": value}).expect_error((6, 7), "valid-attachments")


# --- STATUS --------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_status(host):
    conf = routed("tiny", "10.97.7.0/30", version="1.1.0")
    reply = host.cni("STATUS", conf).expect_ok()
    assert reply.stdout == ""
    a = host.add(conf)
    host.cni("STATUS", conf).expect_error(50, "10.97.7.0/30")
    a.delete().expect_ok()
    host.cni("STATUS", conf).expect_ok()
    host.netmgrd.stop()
    host.cni("STATUS", conf, env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"}).expect_error(50, "netmgrd")


def test_status_of_an_impossible_configuration(host):
    host.cni("STATUS", routed("net1", "10.97.0.1/24", version="1.1.0")).expect_error((7, 50), "10.97.0.1/24")
