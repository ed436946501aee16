# SPDX-License-Identifier: LGPL-2.1-or-later
"""portmap, bandwidth and firewall as plugins of a chain: behind our interface and behind Debian's."""
import itertools
import json
import socket
import struct

import pytest
from host_chain import Chain, has_reference
from netmgr_host import VERSIONS, Host, settle
from traffic import HOST4, HOST6, OUT4, Capture, Outside, ask, check_listing, elements, send_frames, serving

FULL = [{"type": "portmap", "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}}, {"type": "firewall"}]
RATES = {"ingressRate": 8_000_000, "ingressBurst": 8_000_000, "egressRate": 4_000_000, "egressBurst": 4_000_000}
needs_reference = pytest.mark.skipif(not has_reference("bridge", "ptp", "host-local"),
                                     reason="Debian's containernetworking-plugins are not installed")


def mapping(host_port, container_port=80, protocol="tcp", **keys):
    return {"hostPort": host_port, "containerPort": container_port, "protocol": protocol, **keys}


def ours(*subnets, bridge="nmb-chain", **keys):
    subnets = subnets or ("10.97.1.0/24", "fd97:1::/64")
    return {"type": "netmgr", "kind": "bridge", "bridge": bridge, "isDefaultGateway": True,
            "ipam": {"type": "local", "ranges": [[{"subnet": s}] for s in subnets]}, **keys}


def drop_in(host, *subnets, bridge="cni8", **keys):
    """Our plugin under the reference's name, with the reference's configuration"""
    conf = foreign(host, *subnets, bridge=bridge, **keys)
    return {**conf, "type": "bridge"}


def foreign(host, *subnets, kind="bridge", bridge="cni7", **keys):
    subnets = subnets or ("10.88.1.0/24", "fd88:1::/64")
    ipam = {"type": "host-local", "dataDir": f"{host.dir}/host-local",
            "ranges": [[{"subnet": s}] for s in subnets],
            "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}
    own = {"bridge": bridge, "isGateway": True, "hairpinMode": True} if kind == "bridge" else {}
    return {"type": f"ref:{kind}", "ipam": ipam, **own, **keys}


def routing(host):
    """Debian's plugins of 1.1.1 switch forwarding on by themselves; a chain of L2 does not."""
    for path in ("net.ipv4.ip_forward", "net.ipv6.conf.all.forwarding"):
        host.run(["sysctl", "-qw", f"{path}=1"])


def finish(host, bridges=(), before=None):
    """Everything of ours is gone; the reference's bridges stay behind by its design, also where they are ours."""
    for bridge in bridges:
        host.run(["ip", "link", "del", bridge])
    for pod in host.pods:
        pod.delete()
    host.assert_nothing_left(before)


def root_qdisc(host, ifname):
    return json.loads(host.run(["tc", "-j", "qdisc", "show", "dev", ifname, "root"]).stdout)


def sysctl(host, name):
    return host.run(["sysctl", "-n", name]).stdout.strip()


@pytest.fixture
def host():
    with Host() as h:
        yield h


# --- the whole chain ------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("first", ["ours", "drop-in", pytest.param("foreign", marks=needs_reference)])
def test_whole_chain(host, first):
    """Four calls, one attachment; everybody reaches the port; rates hold; any DEL ends it all."""
    made = {"ours": lambda: ours(), "drop-in": lambda: drop_in(host), "foreign": lambda: foreign(host)}[first]()
    with Outside(host) as outside:
        chain = Chain(host, "net1", [made, *FULL],
                      ports=[mapping(8080), mapping(5353, 53, "udp")], bandwidth=RATES).add()
        rows = host.sql("SELECT * FROM attachment")
        assert len(rows) == 1 and rows[0]["kind"] == ("foreign" if first == "foreign" else "bridge")
        assert host.ledger()["port"] == sorted([("0.0.0.0", "tcp", 8080), ("::", "tcp", 8080),
                                                ("0.0.0.0", "udp", 5353), ("::", "udp", 5353)])
        # the result is that of the first plugin, and the interface that delays
        base, ifb = chain.results[0], chain.result["interfaces"][-1]
        assert chain.result == {**base, "interfaces": [*base["interfaces"], ifb]}
        assert ifb == {"name": ifb["name"], "mac": host.link(ifb["name"])["address"]}
        assert host.link(ifb["name"])["linkinfo"]["info_kind"] == "ifb"
        assert root_qdisc(host, chain.host_ifname)[0]["kind"] == "tbf"
        assert root_qdisc(host, ifb["name"])[0]["kind"] == "tbf"
        with serving(host, chain.pod, "tcp", 4, 80, "web"), serving(host, chain.pod, "tcp", 6, 80, "web"), \
                serving(host, chain.pod, "udp", 4, 53, "name"):
            assert ask(host, outside, "tcp", HOST4, 8080) == ("web", OUT4)
            assert ask(host, outside, "udp", HOST4, 5353) == ("name", OUT4)
            assert ask(host, outside, "tcp", HOST6, 8080)[0] == "web"
            assert ask(host, None, "tcp", "127.0.0.1", 8080)[0] == "web"
            assert ask(host, None, "tcp", HOST4, 8080)[0] == "web"
            assert ask(host, chain.pod, "tcp", HOST4, 8080)[0] == "web"  # by itself, and back
        chain.check()
        check_listing(host)
        chain.delete()
        settle(lambda: host.ledger()["attachment"] == [] and host.ledger()["port"] == [], "the end of the rows")
    finish(host, {"ours": (), "drop-in": ("cni8",), "foreign": ("cni7",)}[first])


@pytest.mark.sanitize
def test_five_names(host):
    """An unchanged conflist of the reference plugins, all five of them ours."""
    tuning = {"type": "tuning", "mac": "02:11:22:33:44:55", "mtu": 1400, "promisc": True}
    conf = drop_in(host, "10.88.1.0/24", ipMasq=True, macspoofchk=True)
    with Outside(host) as outside:
        chain = Chain(host, "net1", [conf, *FULL, tuning], ports=[mapping(8080)], bandwidth=RATES,
                      version="0.4.0").add()
        inner = chain.pod.link("eth0")
        assert (inner["address"], inner["mtu"]) == ("02:11:22:33:44:55", 1400)
        assert [i["mac"] for i in chain.result["interfaces"] if i["name"] == "eth0"] == [inner["address"]]
        host.netmgrd.restart()
        with serving(host, chain.pod, "tcp", 4, 80, "web"), serving(host, outside, "tcp", 4, 80, "far"):
            assert ask(host, outside, "tcp", HOST4, 8080) == ("web", OUT4)
            assert ask(host, chain.pod, "tcp", OUT4, 80) == ("far", HOST4)  # masqueraded, with the new MAC
        chain.check()
        chain.delete()
    finish(host, ("cni8",))


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(host, version):
    """Each answers in the configuration's version, as the plugin before it."""
    plugins = [p for p in FULL if version >= {"bandwidth": "0.3.0", "firewall": "0.4.0"}.get(p["type"], "0.1.0")]
    chain = Chain(host, "net1", [ours(), *plugins], version=version, ports=[mapping(8080)],
                  bandwidth=RATES).add()
    for result in chain.results:
        assert result["cniVersion"] == version
    rest = [{k: v for k, v in r.items() if k != "interfaces"} for r in chain.results]
    assert all(r == rest[0] for r in rest)
    if version >= "0.4.0":
        chain.check()
    chain.delete()
    finish(host)


def test_nothing_asked(host):
    """No ports, no rates, policy open: prevResult comes back, and nothing is made for others' interfaces."""
    pod = host.pod()
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": pod.path}],
            "ips": [{"address": "10.1.2.3/24", "interface": 0}], "dns": {}}
    chain = Chain(host, "net1", [None, *FULL], pod=pod)
    for plugin in FULL:
        assert chain.call("ADD", plugin, prev).expect_ok().json == prev
    settle(lambda: host.ledger()["attachment"] == [], "the end of the rows")
    mine = Chain(host, "net2", [ours(), *FULL]).add()
    assert all(r == mine.results[0] for r in mine.results)
    mine.delete()
    for plugin in FULL:
        chain.call("DEL", plugin, prev).expect_ok()
    finish(host)


def test_result_that_looks_like_a_task(host):
    """What another plugin wrote cannot have netmgr's plugin do anything."""
    pod = host.pod()
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": pod.path}], "dns": {}}
    chain = Chain(host, "net1", [None, *FULL], pod=pod)
    task = {"netmgr.ticket": "x", "do": "exec", "timeoutMs": 1000, "command": "DEL", "plugin": "p", "config": "{}"}
    for plugin in FULL:
        assert chain.call("ADD", plugin, {**task, **prev}).expect_ok().json.items() >= prev.items()
        chain.call("DEL", plugin, prev).expect_ok()
    finish(host)


def test_twice(host):
    """The same call again gives the same: rows, elements, qdiscs, answer."""
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080), mapping(8081, hostIP="127.0.0.1")],
                  bandwidth=RATES).add()
    ifb = chain.result["interfaces"][-1]["name"]  # its link-local address is examined for a second
    settle(lambda: "tentative" not in host.run(["ip", "-6", "addr", "show", "dev", ifb]).stdout, "no DAD any more")
    with host.unchanged():
        for i in (1, 2, 3):
            assert chain.again(i).expect_ok().json == chain.results[i]
    chain.delete()
    finish(host)


def test_not_chained(host):
    """Without prevResult it is not in a chain."""
    chain = Chain(host, "net1", [ours(), *FULL])
    with host.unchanged():
        for plugin in FULL:
            chain.call("ADD", plugin).expect_error(7, plugin["type"], "chained", "prevResult")
    finish(host)


def test_status(host):
    chain = Chain(host, "net1", FULL, version="1.1.0")
    for plugin in FULL:
        chain.call("STATUS", plugin, netns=False).expect_ok()
    finish(host)


# --- the end --------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("last", [0, 1, 2, 3])
def test_any_del_ends_all(host, last):
    """DEL of one plugin alone, without netns, prevResult and runtimeConfig; then all of them again."""
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)], bandwidth=RATES).add()
    chain.call("DEL", chain.plugins[last], netns=False, runtime=False).expect_ok()
    settle(lambda: host.ledger()["attachment"] == [], lambda: host.ledger())
    settle(lambda: not [x for x in host.links() if x.startswith("nm")], lambda: host.links())
    chain.delete(prev=None, netns=False)
    chain.delete()
    finish(host)


def test_half_way(host):
    """The runtime died behind the second plugin, and only that one's DEL is ever called."""
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)], bandwidth=RATES).add(upto=2)
    chain.call("DEL", FULL[0]).expect_ok()
    finish(host)


@pytest.mark.parametrize("plugin", FULL, ids=lambda p: p["type"])
def test_gc(host, plugin):
    """GC of any name of the chain: what is listed stays, what is dead and not listed goes."""
    chains = [Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080 + i)], version="1.1.0").add() for i in range(2)]
    chains[1].pod.delete()
    chains[0].call("GC", plugin, netns=False, **{
        "cni.dev/valid-attachments": [{"containerID": chains[0].cid, "ifname": "eth0"}]}).expect_ok()
    settle(lambda: [a[1] for a in host.ledger()["attachment"]] == [chains[0].cid], lambda: host.ledger())
    assert {p[2] for p in host.ledger()["port"]} == {8080}
    chains[0].delete()
    finish(host)


@needs_reference
@pytest.mark.sanitize
def test_foreign_restored(host):
    """What was set on the interfaces of others is as it was before, whatever they had there."""
    routing(host)
    first = Chain(host, "net1", [foreign(host), *FULL], ports=[mapping(8080)], bandwidth=RATES)
    second = Chain(host, "net1", [foreign(host), *FULL], ports=[mapping(8081)])
    first.add(upto=1)
    end = first.host_ifname
    host.run(["tc", "qdisc", "add", "dev", end, "clsact"])
    host.run(["tc", "filter", "add", "dev", end, "ingress", "prio", "7", "protocol", "ip", "u32",
              "match", "ip", "dst", "203.0.113.7/32", "flowid", "1:1"])
    before = host.run(["tc", "filter", "show", "dev", end, "ingress"]).stdout
    assert "u32" in before
    first.result, rest = first.results[0], first.plugins[1:]
    for plugin in rest:
        first.result = first.call("ADD", plugin, first.result).expect_ok().json
    assert sysctl(host, "net.ipv4.conf.cni7.route_localnet") == "1"
    second.add()
    first.call("DEL", rest[2]).expect_ok()
    assert host.run(["tc", "filter", "show", "dev", end, "ingress"]).stdout == before
    assert root_qdisc(host, end)[0]["kind"] == "noqueue"
    assert not [x for x in host.links() if x.startswith("nmi")]
    # the other one needs it still
    assert sysctl(host, "net.ipv4.conf.cni7.route_localnet") == "1"
    with serving(host, second.pod, "tcp", 4, 80, "web"):
        assert ask(host, None, "tcp", "127.0.0.1", 8081)[0] == "web"
    second.delete()
    assert sysctl(host, "net.ipv4.conf.cni7.route_localnet") == "0"
    first.delete()
    finish(host, ("cni7",), None)


@needs_reference
@pytest.mark.parametrize("kind", ["bridge", "ptp"])
def test_foreign_over_restart(host, kind):
    """A restart, with the tables lost, ends in the same; reconcile leaves others' links alone."""
    routing(host)
    chain = Chain(host, "net1", [foreign(host, kind=kind), *FULL], ports=[mapping(8080)], bandwidth=RATES).add()
    host.netmgrd.kill()
    for table in ("inet netmgr_np", "inet netmgr_nat", "bridge netmgr_br"):
        host.run(["nft", "delete", "table", *table.split()], check=False)
    ifb = chain.result["interfaces"][-1]["name"]
    host.run(["ip", "link", "del", ifb])
    way = "cni7" if kind == "bridge" else chain.host_ifname
    host.run(["sysctl", "-qw", f"net.ipv4.conf.{way}.route_localnet=0"])
    inner = chain.pod.link("eth0")["address"]
    chain.pod.run(["ip", "link", "set", "eth0", "mtu", "1400"])
    host.netmgrd.start()
    settle(lambda: host.link(ifb) is not None and sysctl(host, f"net.ipv4.conf.{way}.route_localnet") == "1",
           lambda: host.logs())
    host.manager("Reconcile", "a{sv}", 0)
    link = chain.pod.link("eth0")
    assert (link["mtu"], link["address"]) == (1400, inner)  # not ours to set
    with serving(host, chain.pod, "tcp", 4, 80, "web"):
        assert ask(host, None, "tcp", "127.0.0.1", 8080)[0] == "web"
    chain.check()
    chain.delete()
    settle(lambda: host.ledger()["attachment"] == [], "the end of the rows")
    finish(host, ("cni7",) if kind == "bridge" else ())


@needs_reference
def test_foreign_sandbox_dies(host):
    """No DEL: the namespace goes, and so do row, ports and the interface that delays."""
    routing(host)
    chain = Chain(host, "net1", [foreign(host), *FULL], ports=[mapping(8080)], bandwidth=RATES).add()
    chain.pod.delete()
    settle(lambda: host.ledger()["attachment"] == [], lambda: host.logs())
    settle(lambda: not [x for x in host.links() if x.startswith("nmi")], lambda: host.links())
    finish(host, ("cni7",))


def test_foreign_missing(host):
    """prevResult tells of an interface that is not there."""
    pod = host.pod()
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": pod.path}],
            "ips": [{"address": "10.1.2.3/24", "interface": 0}], "dns": {}}
    chain = Chain(host, "net1", [], pod=pod, ports=[mapping(8080)])
    with host.unchanged():
        chain.call("ADD", FULL[0], prev).expect_error(7, "eth0", pod.path)
    finish(host)


@needs_reference
def test_node_switches(host):
    """Sandboxes of Debian's bridge and of ours under one network name, in either order."""
    routing(host)
    before = Chain(host, "net1", [foreign(host), *FULL], ports=[mapping(8080)]).add()
    after = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8081)]).add()
    again = Chain(host, "net1", [foreign(host), *FULL], ports=[mapping(8082)]).add()
    host.netmgrd.restart()
    with serving(host, before.pod, "tcp", 4, 80, "before"), serving(host, after.pod, "tcp", 4, 80, "after"), \
            serving(host, again.pod, "tcp", 4, 80, "again"):
        assert ask(host, None, "tcp", "192.0.2.1", 8080)[0] == "before"
        assert ask(host, None, "tcp", "192.0.2.1", 8081)[0] == "after"
        assert ask(host, None, "tcp", "192.0.2.1", 8082)[0] == "again"
    for chain in (after, before, again):
        chain.check()
        chain.delete()
    finish(host, ("cni7",))


# --- portmap --------------------------------------------------------------------------------------

def test_port_conflict(host):
    """Held by another sandbox, or by a program: named, and nothing of the call has happened."""
    first = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)]).add()
    second = Chain(host, "net1", [ours(), *FULL], ports=[mapping(9090), mapping(8080)]).add(upto=1)
    with host.unchanged():
        second.call("ADD", FULL[0], second.result).expect_error(103, "8080", first.cid)
        with serving(host, None, "tcp", 4, 9191):
            second.capabilities["portmap"] = {"portMappings": [mapping(9191)]}
            second.call("ADD", FULL[0], second.result).expect_error(103, "9191")
    second.capabilities["portmap"] = {"portMappings": [mapping(9191)]}
    second.call("ADD", FULL[0], second.result).expect_ok()
    for chain in (first, second):
        chain.delete()
    finish(host)


def test_host_ip_of_other_family(host):
    """As the reference: it is left out."""
    chain = Chain(host, "net1", [ours("10.97.1.0/24"), *FULL],
                  ports=[mapping(8080, hostIP="2001:db8:1::1"), mapping(8081, hostIP="127.0.0.1")]).add()
    assert host.ledger()["port"] == [("127.0.0.1", "tcp", 8081)]
    chain.delete()
    finish(host)


@pytest.mark.sanitize
def test_portmap_keys(host):
    """snat false: 127.0.0.1 leads nowhere; conditions hold; masqAll hides the client. Also after a restart."""
    with Outside(host) as outside:
        strict = {"type": "portmap", "snat": False, "masqAll": True, "conditionsV4": ["-s", f"{OUT4}/32"]}
        chain = Chain(host, "net1", [ours("10.97.1.0/24"), strict], ports=[mapping(8080)]).add()
        for _ in range(2):
            with serving(host, chain.pod, "tcp", 4, 80, "web"):
                assert ask(host, outside, "tcp", HOST4, 8080) == ("web", "192.0.2.1")
                assert ask(host, None, "tcp", "127.0.0.1", 8080, 1) is None
                assert ask(host, None, "tcp", HOST4, 8080, 1) is None  # not from the outside
            host.netmgrd.restart()
        chain.delete()
    finish(host)


# --- two interfaces, two networks with one subnet --------------------------------------------------

def test_two_interfaces(host):
    """Two interfaces of one sandbox on one network (a known fault of the reference: one name for both): each
    keeps its ports and its rates when the other goes."""
    pod = host.pod()
    first = ours(isDefaultGateway=False, isGateway=True)
    chains = [Chain(host, "net1", [first, *FULL], pod=pod, ifname=f"eth{i}", ports=[mapping(8080 + i)],
                    bandwidth=RATES).add() for i in range(2)]
    names = [c.result["interfaces"][-1]["name"] for c in chains]
    assert len(set(names)) == 2
    chains[0].delete()
    assert {p[2] for p in host.ledger()["port"]} == {8081}
    assert host.link(names[0]) is None and host.link(names[1])["linkinfo"]["info_kind"] == "ifb"
    with serving(host, pod, "tcp", 4, 80, "web"):
        assert ask(host, None, "tcp", "10.97.1.1", 8081)[0] == "web"
    chains[1].delete()
    finish(host)


@pytest.mark.sanitize
@pytest.mark.parametrize("first", ["drop-in", pytest.param("foreign", marks=needs_reference)])
def test_same_subnet_twice(host, first):
    """Two bridges with one subnet, as the reference allows it, and the same address on both: what is keyed by
    the address stays as long as one of them wants it."""
    routing(host)
    make = drop_in if first == "drop-in" else foreign
    shared = ["masqport4", "self4"] + (["masq4"] if first == "drop-in" else [])
    masq = [{"type": "portmap", "masqAll": True}, FULL[2] | {"ingressPolicy": "same-bridge"}]
    chains = [Chain(host, f"net{i}", [make(host, "10.88.9.0/24", bridge=f"cni{i}", ipMasq=first == "drop-in"), *masq],
                    ports=[mapping(8080 + i)]).add() for i in range(2)]
    assert chains[0].ips == chains[1].ips
    address = chains[0].ips[0]
    for who in shared:
        assert len(elements(host, "netmgr_nat", who)) == 1
    chains[0].delete()
    assert elements(host, "netmgr_nat", "masqport4") == [address]
    for who in shared:
        assert len(elements(host, "netmgr_nat", who)) == 1
    chains[1].check()
    # the tables are those that a start makes
    before = host.snapshot()["nftables"]
    host.netmgrd.restart()
    assert host.snapshot()["nftables"] == before
    chains[1].delete()
    for who in shared:
        assert elements(host, "netmgr_nat", who) == []
    finish(host, ("cni0", "cni1"))


# --- what is behind a sandbox ---------------------------------------------------------------------

def claims(host, pod, mac, address, target, marks):
    """A UDP frame from the sandbox with that source; whether it arrived at the target's eth0"""
    with Capture(host, target.pod, "eth0", marks) as capture:
        ip = socket.inet_aton(address) + socket.inet_aton(target.ips[0])
        udp = struct.pack("!HHHH", 1000, 1000, 8 + len(marks), 0) + marks
        header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0) + ip
        total = sum(struct.unpack("!10H", header))
        total = (total & 0xffff) + (total >> 16)
        header = header[:10] + struct.pack("!H", ~(total + (total >> 16)) & 0xffff) + header[12:]
        to = bytes.fromhex(target.pod.link("eth0")["address"].replace(":", ""))
        send_frames(host, pod, "eth0", to + bytes.fromhex(mac.replace(":", "")) + b"\x08\x00" + header + udp)
        own = bytes.fromhex(pod.link("eth0")["address"].replace(":", ""))
        send_frames(host, pod, "eth0", to + own + b"\x08\x00" + marks + b"end")  # what is never checked comes last
        frames = []
        while capture.waits(1.0):
            frames.append(bytes.fromhex(capture.line()))
        return any(f[6:12] == bytes.fromhex(mac.replace(":", "")) and b"end" not in f for f in frames)


@pytest.mark.sanitize
@pytest.mark.parametrize("checked", [False, True], ids=["unchecked", "macspoofchk"])
def test_source_addresses(host, checked):
    """By the reference's name nothing is checked, or, with macspoofchk, the MAC; by ours everything. Also after a
    restart."""
    conf = drop_in(host, "10.88.1.0/24", **({"macspoofchk": True} if checked else {}))
    a, b = (Chain(host, "net1", [conf]).add() for _ in range(2))
    mine = a.pod.link("eth0")["address"]
    for _ in range(2):
        assert claims(host, a.pod, mine, "10.88.1.200", b, b"another address")
        assert claims(host, a.pod, "02:00:00:00:00:99", a.ips[0], b, b"another MAC") == (not checked)
        host.netmgrd.restart()
    for chain in (a, b):
        chain.delete()
    c, d = (Chain(host, "net2", [ours("10.97.1.0/24")]).add() for _ in range(2))
    assert not claims(host, c.pod, c.pod.link("eth0")["address"], "10.97.1.200", d, b"another address")
    assert not claims(host, c.pod, "02:00:00:00:00:99", c.ips[0], d, b"another MAC")
    assert claims(host, c.pod, c.pod.link("eth0")["address"], c.ips[0], d, b"its own")
    for chain in (c, d):
        chain.delete()
    finish(host, ("cni8",))


# --- bandwidth ------------------------------------------------------------------------------------

def test_bandwidth_of_the_configuration(host):
    """Its own rates go before the runtime's; without egress the result stays as it was."""
    own = {"type": "bandwidth", "ingressRate": 1_000_000, "ingressBurst": 1_000_000}
    chain = Chain(host, "net1", [ours(), own], bandwidth=RATES).add()
    assert chain.result == chain.results[0]
    tbf = root_qdisc(host, chain.host_ifname)[0]
    assert tbf["kind"] == "tbf" and tbf["options"]["rate"] == 125_000
    chain.delete()
    finish(host)


@needs_reference
def test_ingress_qdisc_of_others(host):
    """A known fault of the reference: somebody else's ingress qdisc makes it fail."""
    routing(host)
    chain = Chain(host, "net1", [foreign(host), FULL[1]], bandwidth=RATES).add(upto=1)
    host.run(["tc", "qdisc", "add", "dev", chain.host_ifname, "ingress"])
    chain.result = chain.call("ADD", FULL[1], chain.result).expect_ok().json
    assert "mirred" in host.run(["tc", "filter", "show", "dev", chain.host_ifname, "ingress"]).stdout
    chain.pod.wait_ping("10.88.1.1")
    chain.delete()
    finish(host, ("cni7",))


def test_bandwidth_without_host_end(host):
    """An interface that the host has no end of cannot be limited: said, and nothing done."""
    pod = host.pod()
    pod.run(["ip", "link", "add", "eth0", "type", "bridge"])
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": pod.path}], "ips": [], "dns": {}}
    with host.unchanged():
        Chain(host, "net1", [], pod=pod, bandwidth=RATES).call("ADD", FULL[1], prev).expect_error(2, "eth0", "veth")
    finish(host)


# --- firewall -------------------------------------------------------------------------------------

def ingress(policy):
    return {"type": "firewall", "ingressPolicy": policy}


@pytest.mark.sanitize
@pytest.mark.parametrize("policy", ["open", "same-bridge", "isolated"])
@pytest.mark.parametrize("first", ["ours", "one call", pytest.param("foreign", marks=needs_reference)])
def test_ingress_policy(host, first, policy):
    """Who gets in: a neighbour on the bridge, a sandbox of another bridge, somebody from outside; the host and
    what was opened by a host port always."""
    def plugins(name, subnet):
        if first == "ours":
            return [ours(subnet, bridge=f"nmb-{name}"), FULL[0], ingress(policy)]
        if first == "one call":
            return [ours(subnet, bridge=f"nmb-{name}", ingressPolicy=policy), FULL[0]]
        return [foreign(host, subnet, bridge=name), FULL[0], ingress(policy)]

    with Outside(host) as outside:
        a = Chain(host, "neta", plugins("bra", "10.88.1.0/24"), ports=[mapping(8080)]).add()
        neighbour = Chain(host, "neta", plugins("bra", "10.88.1.0/24")).add()
        stranger = Chain(host, "netb", plugins("brb", "10.88.2.0/24")).add()
        routing(host)
        host.netmgrd.restart()  # the same after a start
        address = a.ips[0]
        with serving(host, a.pod, "tcp", 4, 80, "web"), serving(host, stranger.pod, "tcp", 4, 80, "there"), \
                serving(host, outside, "tcp", 4, 80, "far"):
            assert ask(host, None, "tcp", address, 80)[0] == "web"
            assert ask(host, outside, "tcp", HOST4, 8080)[0] == "web"
            assert ask(host, stranger.pod, "tcp", HOST4, 8080)[0] == "web"
            assert ask(host, a.pod, "tcp", OUT4, 80)[0] == "far"  # answers come in
            wants = {"open": (True, True, True), "same-bridge": (True, False, False),
                     "isolated": (False, False, False)}[policy]
            timeout = 1.5
            found = tuple(ask(host, who, "tcp", address, 80, timeout) is not None
                          for who in (neighbour.pod, stranger.pod, outside))
            assert found == wants
        a.check()
        for chain in (a, neighbour, stranger):
            chain.delete()
    finish(host, ("bra", "brb") if first == "foreign" else ())


def test_policy_changes(host):
    """The policy of the last call counts."""
    chain = Chain(host, "net1", [ours(), ingress("isolated")]).add()
    assert elements(host, "netmgr_np", "closed4")
    chain.call("ADD", ingress("same-bridge"), chain.results[0]).expect_ok()
    assert not elements(host, "netmgr_np", "closed4") and elements(host, "netmgr_np", "inner4")
    chain.call("ADD", ingress("open"), chain.results[0]).expect_ok()
    assert not elements(host, "netmgr_np", "inner4")
    chain.call("ADD", ingress("closed"), chain.results[0]).expect_error(7, "ingressPolicy", "closed")
    chain.delete()
    finish(host)


def test_others_network(host):
    """The interface is there on another network: nothing is done to it."""
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)]).add(upto=1)
    other = Chain(host, "net2", FULL, pod=chain.pod, ports=[mapping(8080)])
    with host.unchanged():
        other.call("ADD", FULL[0], chain.result).expect_error(100, "net1", "net2")
    other.call("DEL", FULL[0], chain.result).expect_ok()  # knows nothing of that name
    assert len(host.ledger()["attachment"]) == 1
    chain.delete()
    finish(host)


def test_renamed(host):
    """The network got another name while a sandbox lived (a known fault of the reference: its rules stay): the DEL
    by the new name finds nothing, and all goes with the sandbox."""
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)], bandwidth=RATES).add()
    chain.name = "net2"
    chain.delete()
    chain.pod.delete()
    settle(lambda: host.ledger()["attachment"] == [], lambda: host.logs())
    finish(host)


def test_behind_loopback(host):
    """lo has no host side: said, and nothing done."""
    pod = host.pod()
    lo = Chain(host, "lo", [{"type": "loopback"}], pod=pod, ifname="lo").add()
    with host.unchanged():
        Chain(host, "lo", [], pod=pod, ifname="lo", ports=[mapping(8080)]).call(
            "ADD", FULL[0], lo.result).expect_error(2, "loopback")
    lo.delete()
    finish(host)


@needs_reference
def test_changed_on_the_bus(host):
    """Ports and rates of somebody else's interface by D-Bus, as of ours."""
    routing(host)
    chain = Chain(host, "net1", [foreign(host), FULL[0]], ports=[mapping(8080)]).add()
    path = f"/org/netmgr1/sandbox/{chain.cid}/eth0"
    host.call(path, "org.netmgr1.Attachment", "AddPort", "sqqa{sv}", "tcp", 8081, 80, 0)
    host.call(path, "org.netmgr1.Attachment", "SetBandwidth", "a{sv}", 2, "IngressRate", "t", 10**7, "EgressRate", "t", 10**7)
    assert root_qdisc(host, chain.host_ifname)[0]["kind"] == "tbf"
    with serving(host, chain.pod, "tcp", 4, 80, "web"):
        assert ask(host, None, "tcp", "127.0.0.1", 8081)[0] == "web"
        host.call(path, "org.netmgr1.Attachment", "RemovePort", "sqa{sv}", "tcp", 8081, 0)
        assert ask(host, None, "tcp", "127.0.0.1", 8081, 1) is None
        assert ask(host, None, "tcp", "127.0.0.1", 8080)[0] == "web"
    assert [a["HostInterface"] for a in host.describe("attachments")] == [chain.host_ifname]
    assert chain.cid in host.ctl("list", "sandboxes", check=True).stdout
    chain.call("DEL", FULL[0]).expect_ok()
    assert root_qdisc(host, chain.host_ifname)[0]["kind"] == "noqueue"
    chain.delete()
    finish(host, ("cni7",))


# --- CHECK ----------------------------------------------------------------------------------------

@needs_reference
@pytest.mark.skipif(not has_reference("tuning"), reason="Debian's tuning plugin is not installed")
def test_check_behind_tuning(host):
    """Debian's tuning has changed MAC and MTU: prevResult says so, and every CHECK passes."""
    tuning = {"type": "ref:tuning", "mac": "02:11:22:33:44:55", "mtu": 1400, "dataDir": f"{host.dir}/tuning"}
    for first, bridges in ((foreign(host), ("cni7",)), (ours(), ())):
        chain = Chain(host, "net1", [first, *FULL, tuning], ports=[mapping(8080)], bandwidth=RATES).add()
        for plugin in (*FULL, *([first] if not bridges else [])):
            chain.call("CHECK", plugin, chain.result).expect_ok()
        chain.pod.run(["ip", "addr", "flush", "dev", "eth0", "scope", "global"])
        chain.call("CHECK", FULL[0], chain.result).expect_error(107, chain.cidrs[0])
        chain.delete()
        for bridge in bridges:
            host.run(["ip", "link", "del", bridge])
    finish(host)


def test_check_finds_what_is_missing(host):
    chain = Chain(host, "net1", [ours(), *FULL], ports=[mapping(8080)], bandwidth=RATES).add()
    ifb = chain.result["interfaces"][-1]["name"]
    other = dict(chain.result, ips=[{"address": "10.1.2.3/24", "interface": 2}])
    for plugin in FULL:
        chain.call("CHECK", plugin, other).expect_error(107, "10.1.2.3")
    host.netmgrd.stop()
    host.run(["ip", "link", "del", ifb])
    chain.delete()  # spooled, or refused: the row says what there was
    host.netmgrd.start()
    settle(lambda: host.ledger()["attachment"] == [], lambda: host.logs())
    finish(host)


# --- many at once ---------------------------------------------------------------------------------

def test_many(host):
    """Sixteen sandboxes, the four calls of each beside those of the others; every second one is ended half way."""
    pods = host.make_pods(16)
    chains = [Chain(host, "net1", [ours(), *FULL], pod=p, ports=[mapping(8000 + i)], bandwidth=RATES)
              for i, p in enumerate(pods)]
    host.parallel(16, lambda i: chains[i].add(upto=2 if i % 2 else None))
    assert len(host.ledger()["port"]) == 32
    assert len(set(itertools.chain(*(c.cidrs for c in chains)))) == 32
    host.parallel(16, lambda i: chains[i].call("DEL", FULL[i % 3], netns=False).expect_ok())
    host.parallel(16, lambda i: chains[i].delete())
    finish(host)
