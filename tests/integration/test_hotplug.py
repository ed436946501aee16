# SPDX-License-Identifier: LGPL-2.1-or-later
"""Interfaces that come and go while a sandbox runs: netmgrctl attach and detach, Manager.Attach and Detach. What is
attached so is an ordinary attachment: CHECK, restarts, GC and the DEL of the sandbox know it."""
import json
import os

import pytest
from netmgr_host import BUS, MANAGER, ROOT, bridge, routed, settle
from pod_networks import NETWORKS, annotated, finish, interfaces, pod_args, reload, write_network
from steady_traffic import steady

ERROR = "org.netmgr1.Error."
ATTACH = "ssa{sv}"


@pytest.fixture
def box(host):
    """A sandbox that runs, on a network of its runtime; blue (bridge), red (routed), green (macvlan) are there"""
    host.run(["sh", "-c", "ip link add up0 type veth peer name up1; ip link set up0 up; ip link set up1 up"])
    write_network(host, "blue", "bridge", "10.98.1.0/24 fd98:1::/64")
    write_network(host, "red", "routed", "10.98.2.0/24", ipam={"routes": [{"dst": "192.0.2.1/32"}]})
    write_network(host, "green", "macvlan", "10.98.3.0/24", master="up0", ipam={"routes": []})
    reload(host)
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box", args=pod_args("tenant", "web"))
    yield a
    for x in host.attachments:
        if x.live:
            x.delete().expect_ok()
    host.run(["ip", "link", "delete", "up0"], check=False)
    finish(host)


def rows(host, cid="box"):
    return {a["Interface"]: a for a in host.describe("attachments") if a["Sandbox"] == cid}


def attach(host, network, *options, cid="box"):
    r = host.ctl("--json=short", "attach", cid, network, *options)
    assert r.returncode == 0, r.stderr
    return json.loads(r.stdout)["attachments"][0]


def detach(host, ifname, cid="box"):
    r = host.ctl("detach", cid, ifname)
    assert r.returncode == 0 and r.stdout == "", r.stderr


def status(host, cid="box"):
    return json.loads(host.get_property(f"{ROOT}/sandbox/{cid}", "org.netmgr1.Sandbox", "NetworkStatus"))


def refused(host, method, *args, user=None):
    """The name of the error without our prefix, and its sentence."""
    import dbus
    bus = host.bus()
    try:
        with pytest.raises(dbus.DBusException) as e:
            bus.call_blocking(BUS, ROOT, MANAGER, method, ATTACH, args)
    finally:
        bus.close()
    return e.value.get_dbus_name().removeprefix(ERROR), e.value.get_dbus_message()


def options(**values):
    import dbus
    kinds = {str: dbus.String, list: lambda v: dbus.Array(v, signature="s")}
    return dbus.Dictionary({k: kinds[type(v)](v) for k, v in values.items()}, signature="sv")


def known(pod, ifname="eth0"):
    """What is set of an interface and its routes"""
    link = {k: v for k, v in interfaces(pod)[ifname].items() if k != "operstate"}
    return link, pod.addresses(ifname), [r for f in "46" for r in pod.ip(f"-{f}", "route", "show", "dev", ifname)]


# --- it is there ---------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("network,address,gateway", [
    ("blue", "10.98.1.2/24", "10.98.1.1"), ("red", "10.98.2.2/32", None), ("green", "10.98.3.2/24", None)])
def test_one_more_of_each_kind(host, box, network, address, gateway):
    before = known(box.pod)
    a = attach(host, network)
    assert (a["Interface"], a["Network"], a["Parent"], a["Position"], a["HotPlugged"]) == ("net1", network, "eth0", 1, True)
    assert a == rows(host)["net1"] and a["State"] == "up"
    assert box.pod.addresses("net1") >= {address} and set(interfaces(box.pod)) == {"eth0", "net1"}
    assert "UP" in box.pod.link("net1")["flags"] and box.pod.link("net1")["address"] == a["Mac"]
    if gateway:
        box.pod.wait_ping(gateway)
    if network == "red":
        box.pod.wait_ping("192.0.2.1")
        host.wait_ping("10.98.2.2")
    if network == "green":  # from another one on the same NIC
        other = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="other-box")
        attach(host, "green", cid="other-box")
        other.pod.wait_ping("10.98.3.2")
        other.delete().expect_ok()
    found = status(host)
    assert [(e["name"], e["interface"], e.get("default", False)) for e in found] == [
        ("net1", "eth0", True), (network, "net1", False)]
    assert found[1]["ips"][0] == address.split("/")[0] and found[1]["mac"] == a["Mac"]
    assert known(box.pod) == before
    box.check().expect_ok()
    detach(host, "net1")
    assert set(interfaces(box.pod)) == {"eth0"} and set(rows(host)) == {"eth0"} and len(status(host)) == 1
    box.check().expect_ok()


def test_every_option(host, box):
    a = attach(host, "blue", "--interface=data0", "--ip=10.98.1.77", "--ip=fd98:1::77/64", "--mac=02:00:00:00:00:77",
               "--bandwidth=8M:4M", "--port=8077:80", "--port=8078/udp", "--host-ip=192.0.2.1")
    assert a["Interface"] == "data0" and a["Position"] == 1
    assert box.pod.addresses("data0") == {"10.98.1.77/24", "fd98:1::77/64"}
    assert box.pod.link("data0")["address"] == "02:00:00:00:00:77" == a["Mac"]
    assert (a["IngressRate"], a["EgressRate"]) == (8000000, 4000000)
    assert {(p["HostIP"], p["HostPort"], p["ContainerPort"], p["Protocol"]) for p in a["Ports"]} == {
        ("192.0.2.1", 8077, 80, "tcp"), ("192.0.2.1", 8078, 8078, "udp")}
    table = host.ctl("show", "box").stdout
    assert "data0" in table and "blue" in table
    shown = host.ctl("show", "box/data0").stdout
    assert "Hot-plugged: true" in shown and "Came with: eth0" in shown
    assert "Hot-plugged" not in host.ctl("show", "box/eth0").stdout
    detach(host, "data0")
    assert host.describe("ports") == []
    again = attach(host, "blue", "--interface=data0", "--ip=10.98.1.78")
    assert again["Addresses"][0] == "10.98.1.78/24"


def defaults(pod):
    """{gateway: interface} of those that are used: of each family the one with the lowest metric"""
    found = {}
    for family in "46":
        routes = pod.ip(f"-{family}", "route", "show", "default")
        if routes:
            r = min(routes, key=lambda r: r.get("metric", 0))
            found[r["gateway"]] = r["dev"]
    return found


def test_default_route(host, box):
    """For a sandbox that has none; one that is there stays with whom it is. Without a gateway: as the network has it."""
    write_network(host, "gold", "bridge", "10.98.4.0/24 fd98:4::/64", isDefaultGateway=True)
    reload(host)
    before = defaults(box.pod)
    for option in ("--default-route=10.98.4.1", "--default-route"):
        r = host.ctl("attach", "box", "gold", option)
        assert r.returncode == 1 and "eth0" in r.stderr and "default route" in r.stderr, r.stderr
        assert set(rows(host)) == {"eth0"} and defaults(box.pod) == before
    attach(host, "gold")
    assert defaults(box.pod) == before  # nobody asked for it: there, but behind
    assert status(host)[1]["gateway"] == ["10.98.4.1", "fd98:4::1"]

    inner = host.add(bridge("inner", "10.97.9.0/24", "fd97:9::/64"), cid="innerbox")
    assert defaults(inner.pod) == {}
    attach(host, "gold", "--default-route", cid="innerbox")
    assert defaults(inner.pod) == {"10.98.4.1": "net1", "fd98:4::1": "net1"}
    assert status(host, "innerbox")[1]["gateway"] == ["10.98.4.1", "fd98:4::1"]
    inner.check().expect_ok()
    detach(host, "net1", cid="innerbox")
    assert defaults(inner.pod) == {} and "gateway" not in status(host, "innerbox")[0]
    attach(host, "blue", "--default-route=10.98.1.9", "--default-route=fd98:1::9", cid="innerbox")
    assert defaults(inner.pod) == {"10.98.1.9": "net1", "fd98:1::9": "net1"}
    inner.delete().expect_ok()


def test_answer_on_the_bus(host, box):
    path, result = host.manager("Attach", ATTACH, "box", "blue", 1, "Interface", "s", "lan0")
    assert path == ROOT + "/sandbox/box/lan0"
    assert host.get_property(path, "org.netmgr1.Attachment", "Network") == "blue"
    assert host.get_property(path, "org.netmgr1.Attachment", "HotPlugged") is True
    result = json.loads(result)
    assert result["cniVersion"] == "1.1.0"
    assert [i["name"] for i in result["interfaces"] if i.get("sandbox")] == ["lan0"]
    assert [i["address"] for i in result["ips"]] == ["10.98.1.2/24", "fd98:1::2/64"]
    assert host.manager("Detach", ATTACH, "box", "lan0", 0) == []
    # a name that nobody gave
    assert host.manager("Attach", ATTACH, "box", "red", 0)[0] == ROOT + "/sandbox/box/net1"


def test_names_and_positions(host, box):
    """The first net<i> that is free; who has a name takes a position all the same."""
    assert [attach(host, "blue", *o)["Interface"] for o in ([], ["--interface=lan0"], [], [])] == [
        "net1", "lan0", "net3", "net4"]
    detach(host, "net3")
    assert attach(host, "blue")["Interface"] == "net3"
    assert [e["interface"] for e in status(host)] == ["eth0", "net1", "lan0", "net3", "net4"]
    assert {n: r["Position"] for n, r in rows(host).items()} == {"eth0": 0, "net1": 1, "lan0": 2, "net3": 3, "net4": 4}


def test_several_at_once(host, box):
    """Eight calls, none of which knows of the others: each gets a name and an address of its own."""
    made = host.parallel(8, lambda i: attach(host, "blue"), workers=8)
    assert {a["Interface"] for a in made} == {f"net{i}" for i in range(1, 9)}
    assert len({a["Addresses"][0] for a in made}) == 8
    assert set(interfaces(box.pod)) == {"eth0"} | {a["Interface"] for a in made}
    host.parallel(8, lambda i: detach(host, made[i]["Interface"]), workers=8)
    assert set(interfaces(box.pod)) == {"eth0"} and set(rows(host)) == {"eth0"}


def test_traffic_of_the_others_goes_on(host, box):
    """Not one packet of the sandbox's other interfaces is lost while some come and go."""
    peer = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
    attach(host, "blue", "--interface=stays")
    box.pod.wait_ping("10.98.1.1")
    for ip in peer.ips:
        box.pod.wait_ping(ip)
    with steady(host) as traffic:
        for family, ip in zip((4, 6), peer.ips):
            traffic.answer(peer.pod, family, 7000)
            traffic.echo(f"UDP to {ip}", "udp", box.pod, ip, 7000)
        traffic.echo("ping by the bridge", "icmp", box.pod, "10.98.1.1", 77)
        for _ in range(4):
            for network in ("blue", "red", "green"):
                detach(host, attach(host, network)["Interface"])
        reports = traffic.stop()
    assert len(reports) == 3
    for report in reports.values():
        assert report["sent"] > 100 and report["received"] == report["sent"] and not report["errors"], report


# --- an ordinary row ------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_restart_check_and_end_of_the_sandbox(host, box):
    for network in ("blue", "red", "green"):
        attach(host, network)
    before, text = rows(host), status(host)
    host.netmgrd.kill()
    host.netmgrd.start()
    assert rows(host) == before and status(host) == text
    settle(lambda: host.status_files() == {"box"}, "its file is there")
    box.pod.wait_ping("10.98.1.1")
    box.check().expect_ok()
    box.pod.run(["ip", "link", "set", "net3", "down"])
    box.check().expect_error(107, "net3")
    box.pod.run(["ip", "link", "set", "net3", "up"])
    box.check().expect_ok()
    box.delete().expect_ok()
    assert not interfaces(box.pod) and not rows(host)
    settle(lambda: not host.ledger()["attachment"] and not host.status_files(), "nothing of it is left")


def test_a_detach_is_no_reap(host, box):
    """Somebody asked for it."""
    attach(host, "blue")
    detach(host, "net1")
    assert host.get_property(ROOT, MANAGER, "Reaps") == 0 and "MESSAGE_ID" not in [
        line for line in host.netmgrd.text().splitlines() if "detach: net1" in line][0]


def test_the_file_is_true_when_the_answer_comes(host, box):
    for _ in range(10):
        for change, expected in ((lambda: attach(host, "blue"), ["eth0", "net1"]), (lambda: detach(host, "net1"), ["eth0"])):
            change()
            with open(f"{host.status_dir}/box") as f:
                assert [e["interface"] for e in json.load(f)] == expected


def test_gc_spares_what_hangs_on_a_listed_interface(host, box):
    attach(host, "blue")
    gc = {**box.conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": [{"containerID": "box", "ifname": "eth0"}]}
    host.cni("GC", gc).expect_ok()
    assert set(rows(host)) == {"eth0", "net1"}
    box.pod.wait_ping("10.98.1.1")


def test_sandbox_that_dies_takes_them_along(host, box):
    attach(host, "blue")
    attach(host, "red")
    box.pod.delete()
    settle(lambda: not rows(host), "all of its interfaces are released")
    assert not host.held()
    box.live = False


def test_repair_of_a_host_end(host, box):
    a = attach(host, "red")
    host.run(["ip", "link", "set", a["HostInterface"], "down"])
    settle(lambda: "UP" in host.link(a["HostInterface"])["flags"], "reconcile raises it")
    host.wait_ping("10.98.2.2")


def test_beside_those_of_annotations(host, box):
    b = host.add(annotated(routed("net1", "10.97.0.0/24", "fd97::/64"), {NETWORKS: "blue@lan0,red"}),
                 args=pod_args("tenant", "other"), cid="both")
    assert attach(host, "blue", cid="both")["Interface"] == "net3"
    assert [(e["interface"], e["name"]) for e in status(host, "both")] == [
        ("eth0", "net1"), ("lan0", "blue"), ("net2", "red"), ("net3", "blue")]
    detach(host, "lan0", cid="both")  # it need not have come so
    b.check().expect_ok()
    b.delete().expect_ok()
    assert not rows(host, "both") and not interfaces(b.pod)


# --- the way into the sandbox ---------------------------------------------------------------------------

def test_sandbox_in_proc(host, box):
    """netmgrd may not open a namespace of /proc; netmgrctl, which root runs, passes it."""
    pod = host.pod()
    process = host.popen(["sleep", "infinity"], netns=pod)
    try:
        path = f"/proc/{process.pid}/ns/net"
        settle(lambda: os.path.samefile(path, pod.outside), "it has entered the namespace")
        reply = host.cni("ADD", routed("net1", "10.97.0.0/24", "fd97::/64"), "proc-box", "eth0", path).expect_ok()
        name, sentence = refused(host, "Attach", "proc-box", "blue", options())
        assert name == "NotSupported" and path in sentence and "netmgrctl" in sentence
        assert set(rows(host, "proc-box")) == {"eth0"}
        attach(host, "blue", cid="proc-box")
        pod.wait_ping("10.98.1.1")
        detach(host, "net1", cid="proc-box")
        assert set(interfaces(pod)) == {"eth0"}
        conf = {**routed("net1", "10.97.0.0/24", "fd97::/64"), "prevResult": reply.json}
        host.cni("DEL", conf, "proc-box", "eth0", path).expect_ok()
    finally:
        process.kill()
        process.wait()


def test_descriptor_of_another_namespace(host, box):
    import dbus
    other = host.pod()
    fd = os.open(other.outside, os.O_RDONLY | os.O_CLOEXEC)
    try:
        wrong = dbus.Dictionary({"Netns": dbus.types.UnixFd(fd)}, signature="sv")
        name, sentence = refused(host, "Attach", "box", "blue", wrong)
        assert name == "Exists" and "another network namespace" in sentence
    finally:
        os.close(fd)
    assert set(rows(host)) == {"eth0"} and not interfaces(other)


# --- what is refused ------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_refusals(host, box):
    attach(host, "blue", "--interface=lan0", "--ip=10.98.1.50")
    with host.unchanged():
        for args, name, word in [
                (("nobody", "blue", options()), "NoSuchSandbox", "nobody"),
                (("bo", "blue", options()), "NoSuchSandbox", "bo"),  # whole ids only
                (("box", "black", options()), "NoSuchNetwork", "black"),
                (("box", "tenant/black", options()), "NoSuchNetwork", "black"),
                (("box", "net1", options()), "NoSuchNetwork", "net1"),  # of the runtime's own configuration
                (("box", "blue", options(Interface="lan0")), "Exists", "lan0"),
                (("box", "blue", options(Interface="eth0")), "Exists", "eth0"),
                (("box", "blue", options(Interface="lo")), "", "lo"),
                (("box", "blue", options(Ips=["10.98.1.50"])), "AddressInUse", "10.98.1.50"),
                (("box", "blue", options(Ips=["10.99.0.1"])), "InvalidArgument", "10.99.0.1"),
                (("box", "blue", options(Colour="red")), "UnknownOption", "Colour"),
                (("box", "blue", options(CniArgs="[")), "", "CniArgs"),
                (("box", "a/b/c", options()), "InvalidArgument", "a/b/c")]:
            found, sentence = refused(host, "Attach", *args)
            assert (found == name or not name) and word in sentence, (args, found, sentence)
        for args, name, word in [
                (("nobody", "eth0", options()), "NoSuchAttachment", "nobody"),
                (("box", "net9", options()), "NoSuchAttachment", "net9"),
                (("box", "eth0", options()), "InUse", "eth0"),
                (("box", "lan0", options(Force="yes")), "UnknownOption", "Force")]:
            found, sentence = refused(host, "Detach", *args)
            assert found == name and word in sentence, (args, found, sentence)


def test_interface_that_somebody_else_made(host, box):
    box.pod.run(["ip", "link", "add", "net1", "type", "veth", "peer", "name", "theirs"])
    found, sentence = refused(host, "Attach", "box", "blue", options())
    assert found == "Exists" and "net1" in sentence
    assert set(rows(host)) == {"eth0"} and host.held().keys() == {"10.97.0.2/32", "fd97::2/128"}
    box.pod.run(["ip", "link", "delete", "net1"])


@pytest.mark.parametrize("argv,code", [
    (["attach", "box"], 2), (["attach", "box", "blue", "--ip=10.98"], 2), (["attach", "box", "blue", "--mac=1"], 2),
    (["attach", "box", "blue", "--port=0"], 2), (["attach", "box", "blue", "--bandwidth=fast"], 2),
    (["attach", "box", "blue", "--interface=a/b"], 2), (["attach", "box", "blue", "--default-route=x"], 2),
    (["attach", "box", "blue", "--host-ip=192.0.2.1"], 2), (["attach", "box", "blue", "--dry-run"], 2),
    (["detach", "box"], 2), (["detach", "box", "a b"], 2), (["detach", "box", "net1", "--ip=10.0.0.1"], 2),
    (["attach", "nobody", "blue"], 3), (["attach", "box", "black"], 3), (["detach", "box", "net7"], 3),
    (["detach", "box", "eth0"], 1)])
def test_exit_codes(host, box, argv, code):
    r = host.ctl(*argv)
    assert r.returncode == code and r.stderr.strip(), (argv, r.returncode, r.stderr)
    assert set(rows(host)) == {"eth0"}


def test_only_root_without_polkit(host, box):
    for argv in (["attach", "box", "blue"], ["detach", "box", "eth0"]):
        r = host.ctl(*argv, user="nobody")
        assert r.returncode == 4, (argv, r.stderr)
    assert set(rows(host)) == {"eth0"}
