# SPDX-License-Identifier: LGPL-2.1-or-later
"""Ports and limits of a living attachment: what D-Bus and netmgrctl take, show, keep and refuse.

What packets do with them is tested elsewhere."""
import json
import re

import pytest
from netmgr_host import BUS, ROOT, bridge, routed, settle
from test_dbus import Monitor

ATTACHMENT = "org.netmgr1.Attachment"
ERROR = "org.netmgr1.Error."
BOX = ROOT + "/sandbox/box/eth0"
ADD, REMOVE, BANDWIDTH = "sqqa{sv}", "sqa{sv}", "a{sv}"
RATES = ("IngressRate", "IngressBurst", "EgressRate", "EgressBurst")


@pytest.fixture
def box(host):
    """A sandbox with both families"""
    return host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box")


def change(host, method, signature, *args, path=BOX, user=None):
    return host.call(path, ATTACHMENT, method, signature, *args, user=user)


def refused(host, method, signature, *args, path=BOX):
    """The name of the error without our prefix, and its sentence."""
    import dbus
    bus = host.bus()
    try:
        with pytest.raises(dbus.DBusException) as e:
            bus.call_blocking(BUS, path, ATTACHMENT, method, signature, args)
    finally:
        bus.close()
    return e.value.get_dbus_name().removeprefix(ERROR), e.value.get_dbus_message()


def variants(**values):
    import dbus
    kinds = {int: dbus.UInt64, str: dbus.String, list: lambda v: dbus.Array(v, signature="s")}
    return dbus.Dictionary({k: kinds[type(v)](v) for k, v in values.items()}, signature="sv")


def ports(host, path=BOX):
    return sorted(map(tuple, host.get_property(path, ATTACHMENT, "Ports")))


def rates(host, path=BOX):
    return tuple(host.get_property(path, ATTACHMENT, name) for name in RATES)


# --- what holds afterwards -----------------------------------------------------------------------

@pytest.mark.sanitize
def test_port_comes_and_goes(host, box):
    assert ports(host) == [] and host.describe("ports") == []
    change(host, "AddPort", ADD, "TCP", 8080, 80, 0)
    both = [("0.0.0.0", 8080, 80, "tcp"), ("::", 8080, 80, "tcp")]
    assert ports(host) == both
    change(host, "AddPort", ADD, "udp", 8080, 53, 1, "HostIP", "s", "127.0.0.1")
    assert ports(host) == sorted(both + [("127.0.0.1", 8080, 53, "udp")])
    rows = host.describe("ports")
    assert {(r["HostIP"], r["HostPort"], r["ContainerPort"], r["Protocol"]) for r in rows} == set(ports(host))
    assert {(r["Sandbox"], r["Interface"], r["Network"]) for r in rows} == {("box", "eth0", "net1")}
    described = [a for a in host.describe("attachments") if a["Sandbox"] == "box"][0]
    assert len(described["Ports"]) == 3
    assert {r["protocol"] for r in host.sql("SELECT protocol FROM port")} == {"tcp", "udp"}

    change(host, "RemovePort", REMOVE, "tcp", 8080, 0)
    assert ports(host) == [("127.0.0.1", 8080, 53, "udp")]
    change(host, "RemovePort", REMOVE, "UDP", 8080, 1, "HostIP", "s", "127.0.0.1")
    assert ports(host) == [] and host.sql("SELECT * FROM port") == []
    box.check().expect_ok()


def test_family_that_the_sandbox_has_not(host):
    host.add(routed("four", "10.97.4.0/24"), cid="box")
    change(host, "AddPort", ADD, "tcp", 8080, 80, 0)
    assert ports(host) == [("0.0.0.0", 8080, 80, "tcp")]


@pytest.mark.sanitize
def test_bandwidth_keeps_what_is_not_said(host, box):
    assert rates(host) == (0, 0, 0, 0)
    assert host.get_property(BOX, ATTACHMENT, "ShapingMode") == "police"
    change(host, "SetBandwidth", BANDWIDTH, 2, "IngressRate", "t", 10_000_000, "IngressBurst", "t", 800_000)
    assert rates(host) == (10_000_000, 800_000, 0, 0)
    change(host, "SetBandwidth", BANDWIDTH, 1, "EgressRate", "t", 5_000_000)
    assert rates(host)[:3] == (10_000_000, 800_000, 5_000_000)
    change(host, "SetBandwidth", BANDWIDTH, 0)
    assert rates(host)[:3] == (10_000_000, 800_000, 5_000_000)
    box.check().expect_ok()
    change(host, "SetBandwidth", BANDWIDTH, 2, "IngressRate", "t", 0, "EgressRate", "t", 0)
    assert rates(host) == (0, 0, 0, 0)
    box.check().expect_ok()


@pytest.mark.sanitize
@pytest.mark.parametrize("how", ["restart", "kill"])
def test_changes_outlive_the_daemon(host, box, how):
    change(host, "AddPort", ADD, "sctp", 9000, 90, 0)
    change(host, "SetBandwidth", BANDWIDTH, 1, "EgressRate", "t", 5_000_000)
    before = ports(host), rates(host)
    if how == "kill":
        host.netmgrd.kill()
        host.netmgrd.start()
    else:
        host.netmgrd.restart()
    assert (ports(host), rates(host)) == before
    box.check().expect_ok()
    assert refused(host, "AddPort", ADD, "sctp", 9000, 91, variants())[0] == "PortInUse"


def test_changes_end_with_the_attachment(host, box):
    change(host, "AddPort", ADD, "tcp", 8080, 80, 0)
    change(host, "SetBandwidth", BANDWIDTH, 1, "EgressRate", "t", 5_000_000)
    box.delete().expect_ok()
    assert host.describe("ports") == []
    assert host.sql("SELECT * FROM port") == [] and host.sql("SELECT * FROM shaping") == []
    host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box")
    change(host, "AddPort", ADD, "tcp", 8080, 80, 0)  # free again


def test_changes_are_told(host, box):
    monitor = Monitor(host)

    def told():
        return [{k: v["data"] for k, v in data[1].items()} for name, path, data in monitor.signals()
                if (name, path) == ("PropertiesChanged", BOX)]
    try:
        change(host, "AddPort", ADD, "tcp", 8080, 80, 1, "HostIP", "s", "0.0.0.0")
        change(host, "SetBandwidth", BANDWIDTH, 1, "EgressRate", "t", 7_000_000)
        refused(host, "AddPort", ADD, "tcp", 0, 80, variants())
        change(host, "RemovePort", REMOVE, "tcp", 8080, 1, "HostIP", "s", "0.0.0.0")
        settle(lambda: len(told()) >= 3, lambda: f"three changes; seen: {monitor.signals()}")
        seen = told()
    finally:
        monitor.stop()
    assert len(seen) == 3
    assert seen[0] == {"Ports": [["0.0.0.0", 8080, 80, "tcp"]]}
    assert set(seen[1]) == set(RATES) and seen[1]["EgressRate"] == 7_000_000
    assert seen[2] == {"Ports": []}


# --- what is refused -----------------------------------------------------------------------------

BAD_ARGUMENTS = [
    ("AddPort", ADD, ("icmp", 80, 80, {}), "InvalidArgument", ["protocol", "icmp"]),
    ("AddPort", ADD, ("", 80, 80, {}), "InvalidArgument", ["protocol"]),
    ("AddPort", ADD, ("tcp", 0, 80, {}), "InvalidArgument", ["host_port", "65535"]),
    ("AddPort", ADD, ("tcp", 80, 0, {}), "InvalidArgument", ["container_port"]),
    ("AddPort", ADD, ("tcp", 80, 80, {"HostIP": "10.0.0"}), "InvalidArgument", ["HostIP", "10.0.0"]),
    ("AddPort", ADD, ("tcp", 80, 80, {"HostIP": "ff02::1"}), "InvalidArgument", ["HostIP", "ff02::1"]),
    ("AddPort", ADD, ("tcp", 80, 80, {"HostIP": 7}), "InvalidArgument", ["HostIP", "'t'"]),
    ("AddPort", ADD, ("tcp", 80, 80, {"Colour": "red"}), "UnknownOption", ["Colour"]),
    ("AddPort", ADD, ("tcp", 80, 80, {"HostIP": "::", "\x1b[2J": ["red"]}), "UnknownOption", ["unknown"]),
    ("RemovePort", REMOVE, ("tcp", 0, {}), "InvalidArgument", ["host_port"]),
    ("RemovePort", REMOVE, ("ddp", 80, {}), "InvalidArgument", ["ddp"]),
    ("RemovePort", REMOVE, ("tcp", 80, {"ContainerPort": 80}), "UnknownOption", ["ContainerPort"]),
    ("SetBandwidth", BANDWIDTH, ({"IngressRate": "10M"},), "InvalidArgument", ["IngressRate", "'s'"]),
    ("SetBandwidth", BANDWIDTH, ({"Rate": 10},), "UnknownOption", ["Rate"]),
    ("SetBandwidth", BANDWIDTH, ({"EgressBurst": 1000},), "InvalidArgument", ["EgressBurst", "rate"]),
]


@pytest.mark.sanitize
def test_bad_arguments(host, box):
    for method, signature, args, error, words in BAD_ARGUMENTS:
        name, sentence = refused(host, method, signature, *[variants(**a) if isinstance(a, dict) else a for a in args])
        assert name == error, (args, sentence)
        for word in words:
            assert word in sentence, args
    assert ports(host) == [] and rates(host) == (0, 0, 0, 0)


def test_arguments_of_another_type(host, box):
    for method, signature, args in (("AddPort", "siia{sv}", ("tcp", 80, 80, variants())), ("AddPort", "s", ("tcp",)),
                                    ("RemovePort", "", ()), ("SetBandwidth", "a{ss}", ({"IngressRate": "1"},))):
        assert refused(host, method, signature, *args)[0] == "org.freedesktop.DBus.Error.InvalidArgs"


def test_port_that_is_held(host, box):
    host.add(routed("net2", "10.97.2.0/24", "fd97:2::/64"), cid="other")
    other = ROOT + "/sandbox/other/eth0"
    change(host, "AddPort", ADD, "tcp", 8080, 80, 1, "HostIP", "s", "0.0.0.0")
    for ip in ("0.0.0.0", "127.0.0.1", ""):  # a wildcard of the family is every address of it
        name, sentence = refused(host, "AddPort", ADD, "tcp", 8080, 81, variants(HostIP=ip), path=other)
        assert name == "PortInUse"
        for word in ("8080/tcp", "box", "eth0", "net1"):
            assert word in sentence
    assert ports(host, other) == []
    change(host, "AddPort", ADD, "udp", 8080, 80, 0, path=other)
    change(host, "AddPort", ADD, "tcp", 8080, 80, 1, "HostIP", "s", "::", path=other)
    assert refused(host, "RemovePort", REMOVE, "tcp", 8080, variants(HostIP="0.0.0.0"), path=other)[0] != "PortInUse"
    assert ports(host) == [("0.0.0.0", 8080, 80, "tcp")]


def test_port_that_is_not_there(host, box):
    name, sentence = refused(host, "RemovePort", REMOVE, "tcp", 8080, variants())
    assert "8080/tcp" in sentence
    change(host, "AddPort", ADD, "tcp", 8080, 80, 1, "HostIP", "s", "127.0.0.1")
    assert "8081" in refused(host, "RemovePort", REMOVE, "tcp", 8081, variants(HostIP="127.0.0.1"))[1]
    assert ports(host) == [("127.0.0.1", 8080, 80, "tcp")]


def test_attachment_that_is_not_there(host, box):
    for path in (ROOT + "/sandbox/box/eth1", ROOT + "/sandbox/nobody/eth0"):
        for method, signature, args in (("AddPort", ADD, ("tcp", 80, 80, variants())),
                                        ("RemovePort", REMOVE, ("tcp", 80, variants())),
                                        ("SetBandwidth", BANDWIDTH, (variants(),))):
            assert refused(host, method, signature, *args, path=path)[0] == "org.freedesktop.DBus.Error.UnknownObject"


@pytest.mark.sanitize
def test_many_changes_at_once(host, box):
    """Each call is answered, and what is told in the end is what the calls amount to."""
    def one(i):
        change(host, "AddPort", ADD, "tcp", 10000 + i, 80, 1, "HostIP", "s", "0.0.0.0")
        if i % 2:
            change(host, "RemovePort", REMOVE, "tcp", 10000 + i, 1, "HostIP", "s", "0.0.0.0")
    host.parallel(40, one)
    assert [p[1] for p in ports(host)] == [10000 + i for i in range(0, 40, 2)]
    assert host.sql("SELECT count(*) AS n FROM port") == [{"n": 20}]


def test_detached_while_changing(host, box):
    """A DEL among the changes wins: every call is answered, and nothing is left."""
    def one(i):
        if i == 8:
            box.delete().expect_ok()
        else:
            host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", BUS, BOX, ATTACHMENT,
                      "AddPort", ADD, "tcp", str(10000 + i), "80", "0"], check=False)
    host.parallel(16, one)
    assert host.describe("ports") == [] and host.sql("SELECT * FROM port") == []


# --- polkit --------------------------------------------------------------------------------------

RULE = """polkit.addRule(function(action, subject) {
    if (action.id == "org.netmgr1.manage-sandboxes" && subject.user == "nobody")
        return polkit.Result.YES;
    return polkit.Result.NOT_HANDLED;
});
"""
CALLS = {"AddPort": [ADD, "tcp", "8080", "80", "0"], "RemovePort": [REMOVE, "tcp", "8080", "0"],
         "SetBandwidth": [BANDWIDTH, "1", "EgressRate", "t", "5000000"]}


def as_nobody(host, method, args):
    return host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", BUS, BOX, ATTACHMENT,
                     method, *args], user="nobody", check=False)


@pytest.mark.host(polkit=True)
def test_polkit_refuses_by_default(host, box):
    for method, args in CALLS.items():
        r = as_nobody(host, method, args)
        assert r.returncode != 0 and re.search("denied|authoriz", r.stderr, re.IGNORECASE), (method, r.stderr)
    assert ports(host) == [] and rates(host) == (0, 0, 0, 0)


def test_without_polkit_only_root_may_change(host, box):
    for method, args in CALLS.items():
        r = as_nobody(host, method, args)
        assert r.returncode != 0 and "denied" in r.stderr.lower()
    assert ports(host) == [] and rates(host) == (0, 0, 0, 0)


@pytest.mark.host(polkit=True)
def test_polkit_rule_opens_changes(host, box):
    with open(f"{host.dir}/polkit/rules/10-test.rules", "w") as f:
        f.write(RULE)
    settle(lambda: as_nobody(host, "AddPort", CALLS["AddPort"]).returncode == 0, "the rule is in force")
    assert [p[1] for p in ports(host)] == [8080, 8080]
    for method in ("SetBandwidth", "RemovePort"):
        r = as_nobody(host, method, CALLS[method])
        assert r.returncode == 0, r.stderr
    assert ports(host) == [] and rates(host)[2] == 5_000_000
    # a mistake is told before anybody is asked
    r = as_nobody(host, "AddPort", [ADD, "icmp", "1", "1", "0"])
    assert r.returncode != 0 and "icmp" in r.stderr


@pytest.mark.host(polkit=True)
def test_attachment_that_goes_while_polkit_thinks(host, box):
    """The answer finds nothing to change: that is an error, not a crash."""
    with open(f"{host.dir}/polkit/rules/10-test.rules", "w") as f:
        f.write(RULE)
    settle(lambda: as_nobody(host, "AddPort", CALLS["AddPort"]).returncode == 0, "the rule is in force")

    def one(i):
        if i == 4:
            box.delete().expect_ok()
        else:
            as_nobody(host, "SetBandwidth", CALLS["SetBandwidth"])
    host.parallel(12, one)
    assert host.describe("attachments") == [] and host.netmgrd.running


# --- netmgrctl -----------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_ctl_ports(host):
    host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="0123456789abcdef")
    path = ROOT + "/sandbox/_30123456789abcdef/eth0"
    assert host.ctl_json("port", "list") == {"ports": []}
    assert "No ports" in host.ctl("port", "list", check=True).stdout
    host.ctl("port", "add", "0123456789abcdef", "8080:80", check=True)
    host.ctl("port", "add", "01234567", "5353/UDP", "--host-ip=127.0.0.1", "--interface=eth0", check=True)
    rows = host.ctl_json("port", "list")
    assert list(rows) == ["ports"] and rows["ports"] == host.describe("ports")
    assert ports(host, path) == [("0.0.0.0", 8080, 80, "tcp"), ("127.0.0.1", 5353, 5353, "udp"),
                                 ("::", 8080, 80, "tcp")]
    table = host.ctl("port", "list", check=True).stdout
    assert table.split("\n")[0].split() == ["HOST-IP", "HOST-PORT", "PROTOCOL", "SANDBOX", "INTERFACE",
                                            "CONTAINER-PORT"]
    assert ["127.0.0.1", "5353", "udp", "0123456789abcdef", "eth0", "5353"] in [x.split() for x in table.split("\n")]
    shown = host.ctl("show", "01234567/eth0", check=True).stdout
    assert "0.0.0.0:8080/tcp to 80" in shown and "[::]:8080/tcp to 80" in shown

    r = host.ctl("port", "add", "01234567", "8080")
    assert r.returncode == 1 and "8080/tcp" in r.stderr and "0123456789abcdef" in r.stderr
    host.ctl("port", "remove", "01234567", "8080", check=True)
    host.ctl("port", "remove", "01234567", "5353/udp", "--host-ip=127.0.0.1", check=True)
    assert host.ctl("port", "remove", "01234567", "8080").returncode in (1, 3)
    assert host.ctl_json("port", "list") == {"ports": []}


@pytest.mark.sanitize
def test_ctl_bandwidth(host, box):
    assert "none" in host.ctl("show", "box/eth0", check=True).stdout
    host.ctl("bandwidth", "set", "box", "--ingress=10M", "--egress=1.5G", "--egress-burst=100Mbit", check=True)
    assert rates(host)[0] == 10_000_000 and rates(host)[2:] == (1_500_000_000, 100_000_000)
    shown = host.ctl("show", "box/eth0", check=True).stdout
    for words in ("10 Mbit/s", "1.5 Gbit/s", "100 Mbit", "police"):
        assert words in shown
    assert host.ctl_json("show", "box/eth0")["attachments"][0]["IngressRate"] == 10_000_000
    host.ctl("bandwidth", "set", "box", "--ingress=none", "--egress=0", check=True)
    assert rates(host) == (0, 0, 0, 0)
    assert "police" not in host.ctl("show", "box/eth0", check=True).stdout


def test_ctl_needs_to_know_the_interface(host):
    pod = host.pod()
    host.add(routed("net1"), pod, cid="box")
    host.add(bridge("net2"), pod, cid="box", ifname="eth1")
    for argv in (["port", "add", "box", "8080"], ["port", "remove", "box", "8080"],
                 ["bandwidth", "set", "box", "--egress=1M"]):
        r = host.ctl(*argv)
        assert r.returncode == 1
        for word in ("eth0", "eth1", "--interface="):
            assert word in r.stderr
        r = host.ctl(*argv, "--interface=eth7")
        assert r.returncode == 3 and "eth7" in r.stderr
    host.ctl("port", "add", "box", "8080", "--interface=eth1", check=True)
    assert [p["Interface"] for p in host.describe("ports")] == ["eth1"]


USAGE_ERRORS = [
    ["port"], ["port", "add"], ["port", "add", "box"], ["port", "add", "box", "0"], ["port", "add", "box", "65536"],
    ["port", "add", "box", "80:"], ["port", "add", "box", "80/"], ["port", "add", "box", "80/icmp"],
    ["port", "add", "box", "80:81:82"], ["port", "add", "box", "tcp/80"], ["port", "add", "box", " 80"],
    ["port", "add", "box", "80", "--host-ip=here"], ["port", "add", "box", "80", "--interface=a/b"],
    ["port", "add", "box", "80", "--ingress=1M"], ["port", "remove", "box", "80:80"], ["port", "list", "box"],
    ["port", "list", "--interface=eth0"], ["port", "paint", "box", "80"], ["bandwidth", "set"],
    ["bandwidth", "set", "box"], ["bandwidth", "set", "box", "--ingress=fast"],
    ["bandwidth", "set", "box", "--ingress=10MB"], ["bandwidth", "set", "box", "--ingress=-1"],
    ["bandwidth", "set", "box", "--ingress=99999999999G"], ["bandwidth", "set", "box", "--egress=1.5"],
    ["status", "--host-ip=::"]]


def test_ctl_usage_errors(host):
    for argv in USAGE_ERRORS:
        r = host.ctl(*argv)
        assert r.returncode == 2 and r.stderr.strip(), (argv, r.returncode, r.stdout, r.stderr)


def test_ctl_not_found_and_not_authorised(host, box):
    for argv in (["port", "add", "nobody", "80"], ["port", "remove", "nobody", "80"],
                 ["bandwidth", "set", "nobody", "--egress=1M"]):
        r = host.ctl(*argv)
        assert r.returncode == 3 and "nobody" in r.stderr
        assert json.loads(host.ctl("--json=short", *argv).stderr)["error"]["name"] == ERROR + "NoSuchSandbox"
    for argv in (["port", "add", "box", "80"], ["port", "remove", "box", "80"],
                 ["bandwidth", "set", "box", "--egress=1M"]):
        assert host.ctl(*argv, user="nobody").returncode == 4
    assert host.ctl("port", "list", user="nobody").returncode == 0
