# SPDX-License-Identifier: LGPL-2.1-or-later
"""What somebody takes away by hand comes back by itself, and `netmgrctl reconcile` tells and repairs the rest."""
import json
import re
import threading

import pytest
from netmgr_host import bridge, routed, settle

# what they need of the kernel differs from one to the next
pytestmark = pytest.mark.vm

PORT = {"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}


def differences(host):
    return host.ctl_json("reconcile", "--dry-run")["differences"]


def at_rest(host):
    """The look at the start is through: what comes now is not repaired by it."""
    assert differences(host) == []


def look(host):
    """Without what is new in a link that was made again: nothing."""
    return {k: v for k, v in host.snapshot().items() if not k.startswith("descriptors")}


@pytest.fixture
def two(host):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64", **PORT))
    b = host.add(bridge("net2", "10.97.1.0/24", "fd97:1::/64", isDefaultGateway=True, hairpinMode=True))
    at_rest(host)
    a.pod.wait_ping(b.ips[0])
    return a, b


BY_EVENT = {
    "host end": lambda h, a, b: ["ip", "link", "delete", a.host_ifname],
    "bridge port": lambda h, a, b: ["ip", "link", "delete", b.host_ifname],
    "bridge": lambda h, a, b: ["ip", "link", "delete", "nmb-net2"],
    "gateway address": lambda h, a, b: ["ip", "addr", "del", "10.97.1.1/24", "dev", "nmb-net2"],
    "fe80::1": lambda h, a, b: ["ip", "addr", "del", "fe80::1/64", "dev", a.host_ifname],
    "route": lambda h, a, b: ["ip", "route", "del", a.ips[0], "dev", a.host_ifname],
    "IPv6 route": lambda h, a, b: ["ip", "-6", "route", "del", a.ips[1], "dev", a.host_ifname],
    "neighbour": lambda h, a, b: ["ip", "neigh", "del", a.ips[0], "dev", a.host_ifname],
    "host end down": lambda h, a, b: ["ip", "link", "set", a.host_ifname, "down"],
    "bridge down": lambda h, a, b: ["ip", "link", "set", "nmb-net2", "down"],
    "port out of its bridge": lambda h, a, b: ["ip", "link", "set", b.host_ifname, "nomaster"],
}


@pytest.mark.sanitize
@pytest.mark.parametrize("damage", BY_EVENT)
def test_what_is_taken_away_comes_back_by_itself(host, two, damage):
    a, b = two
    before = look(host)
    host.run(BY_EVENT[damage](host, a, b))
    settle(lambda: not host.difference(before, look(host)),
           lambda: "everything is back: " + "; ".join(host.difference(before, look(host))))
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    assert differences(host) == []
    for x in two:
        x.check().expect_ok()
    a.pod.wait_ping(b.ips[0])
    b.pod.wait_ping(a.ips[1])
    assert "repaired" in host.netmgrd.text()


def test_sandbox_keeps_its_addresses_and_macs_when_its_interface_is_made_anew(host, two):
    a, _ = two
    before = a.pod.link("eth0")["address"], a.pod.addresses(), a.pod.routes(4), a.pod.routes(6)
    index = host.link(a.host_ifname)["ifindex"]
    host.run(["ip", "link", "delete", a.host_ifname])
    settle(lambda: (host.link(a.host_ifname) or {"ifindex": index})["ifindex"] != index, "it is made anew")
    settle(lambda: differences(host) == [], "nothing differs")
    assert (a.pod.link("eth0")["address"], a.pod.addresses(), a.pod.routes(4), a.pod.routes(6)) == before
    host.netmgrd.restart()
    assert differences(host) == []
    a.check().expect_ok()


ON_DEMAND = {
    "sandbox's address": (lambda a: (a.pod, ["ip", "addr", "del", a.cidrs[0], "dev", "eth0"]), "sandbox", "10.97.0."),
    "sandbox's route": (lambda a: (a.pod, ["ip", "route", "del", "default"]), "sandbox", "0.0.0.0/0"),
    "sandbox's neighbour": (lambda a: (a.pod, ["ip", "neigh", "del", "169.254.1.1", "dev", "eth0"]), "sandbox", "169.254.1.1"),
    "sandbox's link down": (lambda a: (a.pod, ["ip", "link", "set", "eth0", "down"]), "sandbox", "down"),
    "mtu": (lambda a: (None, ["ip", "link", "set", a.host_ifname, "mtu", "1400"]), "host", "1400"),
    "group": (lambda a: (None, ["ip", "link", "set", a.host_ifname, "group", "default"]), "host", "group"),
    "forwarding": (lambda a: (None, ["sysctl", "-qw", "net.ipv4.ip_forward=0"]), "network", "ip_forward"),
    "stray link": (lambda a: (None, ["ip", "link", "add", "nmgffff", "type", "veth"]), "stray", "nmgffff"),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("damage", ON_DEMAND)
def test_dry_run_tells_and_reconcile_repairs(host, two, damage):
    a, _ = two
    how, kind, word = ON_DEMAND[damage]
    before = look(host)
    pod, argv = how(a)
    host.run(argv, netns=pod)
    found = differences(host)
    assert kind in {x["Kind"] for x in found}, found
    mine = [x for x in found if x["Kind"] == kind]
    assert any(word in s for x in mine for s in x["Differences"]), mine
    assert all("Repaired" not in x and x["Remedy"] for x in found)
    words = host.ctl("reconcile", "--dry-run", check=True).stdout
    assert word in words and "would " in words
    assert differences(host) == found  # a dry run has changed nothing

    done = host.ctl_json("reconcile")["differences"]
    assert {x["Kind"] for x in done} >= {kind} and all(x["Repaired"] for x in done), done
    assert host.ctl("reconcile", check=True).stdout == "Everything is as the ledger says.\n"
    settle(lambda: not host.difference(before, look(host)), lambda: host.difference(before, look(host)))
    a.check().expect_ok()


def test_renamed_interface_is_told_and_left(host, two):
    """A sandbox may do with its namespace what it likes; what cannot be repaired is said, in Health too."""
    a, _ = two
    a.pod.run(["sh", "-c", "ip link set eth0 down && ip link set eth0 name mine && ip link set mine up"])
    settle(lambda: [x["Kind"] for x in differences(host)] == ["sandbox"], "only the sandbox's own doing differs")
    done = host.ctl_json("reconcile")["differences"]
    assert [x["Repaired"] for x in done] == [False] and "renamed" in done[0]["Error"]
    assert "renamed" in host.ctl("status").stdout
    a.delete().expect_ok()
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner=no\n")
@pytest.mark.parametrize("flush", [
    ["nft", "flush", "ruleset"],
    ["nft", "delete", "table", "inet", "netmgr_np"],
    ["nft", "delete", "table", "inet", "netmgr_nat"],
    ["nft", "flush", "table", "inet", "netmgr_np"],
    ["nft", "flush", "set", "inet", "netmgr_np", "src4"],
    ["nft", "delete element", "inet", "netmgr_np", "ports", "{ \"nmg1\" }"],
], ids=lambda f: " ".join(f)[4:40])
def test_flushed_tables_are_built_anew(host, two, flush):
    before = look(host)["nftables"]
    host.run(["nft", " ".join(flush[1:])])
    settle(lambda: look(host)["nftables"] == before, "the tables are back")
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    assert differences(host) == []
    assert re.search(r"nft \(pid \d+\) changed the rule tables", host.netmgrd.text())
    assert "degraded: nft changed the rule tables" in host.netmgrd.text()


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner=no\n")
def test_flushes_in_a_row(host, two):
    """One that comes while the tables are being rebuilt is not forgotten."""
    before = look(host)["nftables"]
    for _ in range(5):
        host.run(["sh", "-c", "for i in $(seq 60); do nft flush ruleset; done"])
        settle(lambda: look(host)["nftables"] == before, "the tables are back")
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")


OWNED, PLAIN = ({"conf": f"[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner={owner}\n"} for owner in ("yes", "no"))


@pytest.mark.parametrize("mode", [pytest.param("owned", marks=pytest.mark.host(**OWNED)),
                                  pytest.param("plain", marks=pytest.mark.host(**PLAIN))])
def test_host_port_lives_through_flushes(host, two, mode):
    """Owned tables are not even touched: a connection goes on. Plain ones are rebuilt; what is sent in the
    milliseconds until then meets a host without translation, so there each line has a connection of its own."""
    a, _ = two
    if mode == "owned" and "nftables-owner" not in host.ctl_json("status")["Features"]:
        pytest.skip("this kernel has no tables that are owned and persist (Linux 6.9)")
    before = look(host)["nftables"]
    server = ("import socket;s=socket.socket(socket.AF_INET6);s.setsockopt(41,26,0);s.bind(('::',80));s.listen();"
              "import threading\ndef serve(c):\n while d:=c.recv(65536): c.sendall(d)\n"
              "print('ready',flush=True)\nwhile 1: threading.Thread(target=serve,args=(s.accept()[0],),daemon=True).start()")
    connect = "s=socket.create_connection(('192.0.2.1',8080),20)"
    client = (f"import socket,sys;{connect if mode == 'owned' else ''}\n"
              f"for line in sys.stdin:\n {connect if mode == 'plain' else ''}\n s.sendall(line.encode());d=b''\n"
              " while not d.endswith(b'\\n'): d+=s.recv(65536)\n"
              f" print(d.decode().strip(),flush=True){';s.close()' if mode == 'plain' else ''}")
    p = host.popen(["/usr/bin/python3", "-c", server], netns=a.pod, stdout=-1, text=True)
    outside = host.pod("outside")
    try:
        assert p.stdout.readline() == "ready\n"
        host.run(["sh", "-c", "ip link add up0 type veth peer name eth0 netns outside && ip addr add 192.0.2.1/24 dev up0 &&"
                  "ip link set up0 up && ip -n outside addr add 192.0.2.2/24 dev eth0 && ip -n outside link set eth0 up"])
        c = host.popen(["/usr/bin/python3", "-c", client], netns=outside, stdin=-1, stdout=-1, text=True)
        for i in range(20):
            host.run(["nft", "flush", "ruleset"])
            if mode == "plain":
                settle(lambda: look(host)["nftables"] == before, "the tables are back")
            c.stdin.write(f"line {i}\n")
            c.stdin.flush()
            assert c.stdout.readline() == f"line {i}\n"
        c.stdin.close()
        assert c.wait(30) == 0
    finally:
        p.kill()
        p.wait()
        p.stdout.close()
        host.run(["ip", "link", "delete", "up0"], check=False)


def test_reconcile_beside_adds_and_dels(host):
    """Nothing that is under way is taken for a difference, and nothing is harmed."""
    conf = routed("net1", "10.97.0.0/24", "fd97::/64")
    host.add(conf)
    found, stop = [], threading.Event()

    def watch():
        while not stop.is_set():
            found.extend(host.ctl_json("reconcile")["differences"])
    t = threading.Thread(target=watch)
    t.start()
    try:
        for _ in range(3):
            attachments = host.add_many(conf, 24, workers=8)
            host.delete_many(attachments, workers=8)
            for x in attachments:
                x.pod.delete()
    finally:
        stop.set()
        t.join()
    assert found == []


def test_options_and_rights(host):
    for args in (["a{sv}", "1", "Dry", "b", "true"], ["a{sv}", "1", "DryRun", "s", "yes"]):
        r = host.busctl("call", "org.netmgr1", "/org/netmgr1", "org.netmgr1.Manager", "Reconcile", *args, check=False)
        assert r.returncode != 0 and "Dry" in r.stderr, r
    assert host.ctl("reconcile", user="nobody").returncode == 4
    assert host.ctl("reconcile", "now").returncode == 2
    assert json.loads(host.manager("Reconcile", "a{sv}", 0)[0]) == {"differences": [], "DryRun": False}


@pytest.mark.host(conf="[Manager]\nRepair=no\n[Host]\nNodeAddress=192.0.2.1\n")
def test_hands_off(host, two):
    """Repair=no: it is told, not touched, until somebody asks."""
    a, _ = two
    host.run(["ip", "link", "set", a.host_ifname, "down"])
    settle(lambda: "Repair=no" in host.ctl("status").stdout, "Health tells it")
    assert "UP" not in host.link(a.host_ifname)["flags"]
    assert [x["Repaired"] for x in host.ctl_json("reconcile")["differences"]] == [True]
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    a.check().expect_ok()
