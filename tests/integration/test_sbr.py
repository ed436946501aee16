# SPDX-License-Identifier: LGPL-2.1-or-later
"""sbr in a chain: what leaves from an address goes by a table of its own."""
import pytest
from host_chain import Chain, has_reference
from netmgr_host import bridge, settle
from test_tuning import Foreign, plugin
from traffic import OUT4, OUT6, Outside, ask, serving

SBR = {"type": "sbr"}
FIRST = plugin(bridge("neta", "10.97.1.0/24", "fd97:1::/64", isDefaultGateway=True))
SECOND = plugin(bridge("netb", "10.97.2.0/24", "fd97:2::/64", routes=[{"dst": "10.77.0.0/16"}]))
needs_reference = pytest.mark.skipif(not has_reference("sbr"),
                                     reason="Debian's containernetworking-plugins are not installed")


def rules(pod):
    """{(source, table)} of both families, without the kernel's own"""
    return {(r["src"], r["table"]) for family in ("-4", "-6") for r in pod.ip(family, "rule") if r["src"] != "all"}


def routes(pod, table="main", ifname="eth0"):
    """{(destination, gateway, preferred source)} without link-local ones"""
    found = [r for family in ("-4", "-6") for r in pod.ip(family, "route", "show", "table", "all")]
    return {(r["dst"], r.get("gateway"), r.get("prefsrc")) for r in found
            if r.get("dev") == ifname and r.get("table", "main") == str(table) and not r["dst"].startswith(("fe80", "ff00", "multicast"))}


def tables(pod):
    return {table: routes(pod, table) for _, table in rules(pod)}


# --- real packets -----------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_answers_leave_by_the_interface_that_was_asked(host):
    """Two interfaces on two networks, each with its own gateway. Without sbr the answer of the second leaves
    by the first, where its address is not allowed."""
    with Outside(host) as outside:
        pod = host.pod()
        first = Chain(host, "neta", [FIRST], pod=pod).add()
        second = Chain(host, "netb", [SECOND, SBR], pod=pod, ifname="eth1").add(upto=1)
        four, six = second.ips
        with serving(host, pod, "tcp", 4, 80, "web"), serving(host, pod, "tcp", 6, 80, "web"), \
                serving(host, pod, "udp", 4, 53, "name"):
            assert ask(host, outside, "tcp", four, 80, timeout=1.5) is None
            assert second.call("ADD", SBR, second.result).expect_ok().json == second.result
            assert ask(host, outside, "tcp", four, 80) == ("web", OUT4)
            assert ask(host, outside, "tcp", six, 80) == ("web", OUT6)
            sent = counters(host, pod)
            for _ in range(5):
                assert ask(host, outside, "tcp", four, 80) == ("web", OUT4)
            assert counters(host, pod)["eth1"] - sent["eth1"] >= 15
            assert counters(host, pod)["eth0"] - sent["eth0"] <= 4  # neighbour discovery
        assert rules(pod) == {(four, "100"), (six, "101")}
        assert routes(pod, 100, "eth1") == {("default", "10.97.2.1", None), ("10.77.0.0/16", "10.97.2.1", None),
                                            ("10.97.2.0/24", None, four)}
        assert routes(pod, "main", "eth1") == set()
        assert ("default", "10.97.1.1", None) in routes(pod, "main", "eth0")
        second.check()
        host.netmgrd.restart()
        second.check()
        # ours: the routes go with the interface, and the rules with its DEL
        second.delete()
        assert rules(pod) == set() and pod.link("eth1") is None
        first.delete()


def counters(host, pod):
    text = pod.run(["cat", "/proc/net/dev"]).stdout
    return {line.split(":")[0].strip(): int(line.split(":")[1].split()[9]) for line in text.splitlines()[2:]}


def test_two_with_sbr(host):
    """Both interfaces have it: four tables."""
    pod = host.pod()
    chains = [Chain(host, "neta", [FIRST, SBR], pod=pod).add(),
              Chain(host, "netb", [SECOND, SBR], pod=pod, ifname="eth1").add()]
    assert {t for _, t in rules(pod)} == {"100", "101", "102", "103"}
    with serving(host, None, "tcp", 4, 80, "host"):
        for gateway, chain in (("10.97.1.1", chains[0]), ("10.97.2.1", chains[1])):
            out = pod.ip("route", "get", "198.51.100.9", "from", chain.ips[0])[0]
            assert (out["gateway"], out["dev"]) == (gateway, chain.ifname)
    for chain in chains:
        chain.check()
        chain.delete()
        assert len(rules(pod)) == (2 if chain is chains[0] else 0)


# --- exactly ----------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_somebody_elses_interface(host):
    chain = Foreign(host, "net1", [SBR])
    main = routes(chain.pod)
    chain.add()
    assert chain.result == {**chain.result, "cniVersion": "1.0.0"} and chain.results[0]["ips"]
    assert rules(chain.pod) == {("10.88.0.5", "100")}
    assert routes(chain.pod, 100) == {("default", "10.88.0.1", None), ("10.88.0.0/24", None, "10.88.0.5")}
    # of IPv6 prevResult says nothing, so it stays where it is; so do link-local routes
    assert routes(chain.pod) == {r for r in main if ":" in r[0]}
    assert [r for r in chain.pod.ip("-6", "route", "show") if r["dst"] == "fe80::/64"]
    settle(lambda: chain.pod.run(["ping", "-n", "-c1", "-W1", "-I", "10.88.0.5", "10.88.0.1"], check=False).returncode == 0,
           "the gateway answers")
    chain.check()
    chain.call("ADD", SBR, chain.result).expect_ok()  # the same again
    assert rules(chain.pod) == {("10.88.0.5", "100")}
    chain.delete()
    assert rules(chain.pod) == set()
    chain.delete()
    chain.remove()


@needs_reference
def test_like_the_reference_plugin(host):
    """Rules and routes of IPv4 are the same in two equal sandboxes; so is what a DEL leaves."""
    found = []
    for kind in ("sbr", "ref:sbr"):
        chain = Foreign(host, f"net-{kind[-3:]}", [{"type": kind}])
        chain.pod.run(["sh", "-c", "ip addr add 10.89.0.5/24 dev eth0; ip route add 10.77.0.0/16 via 10.88.0.1; "
                       "ip route add 10.78.0.0/16 dev eth0 metric 5; ip route add 10.79.0.0/16 via 10.89.0.1"])
        chain.result["ips"].append({"address": "10.89.0.5/24", "gateway": "10.89.0.1", "interface": 1})
        chain.add()
        made = chain.pod.run(["sh", "-c", "ip rule; ip route show table all type unicast"]).stdout
        chain.delete()
        found.append((made, chain.pod.run(["sh", "-c", "ip rule; ip route show table main"]).stdout))
        chain.remove()
        settle(lambda: chain.pod.link("eth0") is None, "the pair is gone")

    def lines(text):
        # who added a route is not told by ours
        return sorted(" ".join(w for w in x.replace("proto kernel", "").replace("proto static", "").split())
                      for x in text.splitlines() if " metric 256 " not in x)  # IPv6, which theirs moves to tables of IPv4
    for mine, theirs in zip(*found):
        assert lines(mine) == lines(theirs)


def test_keys(host):
    """table: rules only, for a table that somebody else fills; gateways; addSourceHints"""
    chain = Foreign(host, "net1", [{"type": "sbr", "table": 5000}])
    before = routes(chain.pod)
    chain.add()
    assert rules(chain.pod) == {("10.88.0.5", "5000")} and routes(chain.pod) == before
    chain.check()
    chain.delete()
    keys = {"gateways": ["10.88.0.9", "fd88::9"], "addSourceHints": True}
    chain.plugins = [{"type": "sbr", **keys}]
    chain.result["ips"].append({"address": "fd88::5/64", "interface": 1})
    chain.add()
    assert rules(chain.pod) == {("10.88.0.5", "100"), ("fd88::5", "101")}
    assert ("default", "10.88.0.1", None) in routes(chain.pod, 100)  # its own route goes before
    assert ("default", "fd88::9", None) in routes(chain.pod, 101)
    assert routes(chain.pod) == {("10.88.0.0/24", None, "10.88.0.5"), ("fd88::/64", None, "fd88::5")}
    assert chain.pod.ip("route", "get", "10.88.0.1")[0]["prefsrc"] == "10.88.0.5"
    chain.check()
    chain.delete()
    chain.remove()


def test_check(host):
    chain = Foreign(host, "net1", [SBR]).add()
    chain.pod.run(["ip", "rule", "del", "from", "10.88.0.5", "lookup", "100"])
    chain.call("CHECK", SBR, chain.result).expect_error(107, "from 10.88.0.5 lookup 100")
    chain.pod.run(["ip", "rule", "add", "from", "10.88.0.5", "lookup", "100"])
    chain.check()
    chain.pod.run(["ip", "route", "del", "default", "table", "100"])
    chain.call("CHECK", SBR, chain.result).expect_error(107, "0.0.0.0/0", "table 100")
    chain.pod.run(["ip", "route", "add", "default", "via", "10.88.0.1", "table", "100"])
    # what somebody adds later is his business
    chain.pod.run(["sh", "-c", "ip route add 10.66.0.0/16 dev eth0; ip rule add from 10.66.0.1 lookup 66"])
    chain.check()
    chain.delete()
    assert rules(chain.pod) == {("10.66.0.1", "66")}
    chain.pod.run(["ip", "rule", "del", "from", "10.66.0.1", "lookup", "66"])
    chain.remove()


def test_made_anew(host):
    """The host's end is deleted by hand: rules and tables lead by the interface that comes in its place."""
    chain = Chain(host, "netb", [SECOND, SBR]).add()
    before = rules(chain.pod), tables(chain.pod), routes(chain.pod)
    host.run(["ip", "link", "del", chain.host_ifname])
    settle(lambda: chain.pod.link("eth0") and (rules(chain.pod), tables(chain.pod), routes(chain.pod)) == before,
           lambda: f"{before}\n{(rules(chain.pod), tables(chain.pod), routes(chain.pod))}\n{host.logs()}")
    settle(lambda: chain.call("CHECK", SBR, chain.result).ok, host.logs)
    host.wait_ping(chain.ips[0])
    chain.delete()
    assert rules(chain.pod) == set()


# --- DEL ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("netns", ["", "missing", "file", "gone"])
def test_del_without_namespace(host, netns):
    """The reference plugin fails at a path that is empty or missing."""
    chain = Foreign(host, "net1", [SBR]).add()
    path = {"": "", "missing": "/run/netns/never", "file": f"{host.dir}/file", "gone": chain.pod.path}[netns]
    host.run(["touch", f"{host.dir}/file"])
    if netns == "gone":
        chain.pod.delete()
    for _ in range(2):
        host.cni("DEL", chain.conf(SBR, chain.result), chain.cid, "eth0", path, plugin="sbr").expect_ok()
    settle(lambda: host.ledger()["attachment"] == [], "the end of the rows")
    if netns != "gone":
        assert rules(chain.pod) == set()  # by the path that ADD had
        chain.remove()


def test_interface_gone_before(host):
    chain = Foreign(host, "net1", [SBR]).add()
    chain.remove()
    settle(lambda: chain.pod.link("eth0") is None, "the pair is gone")
    chain.delete()
    assert rules(chain.pod) == set()


# --- refused -------------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys, ips, words", [
    ({}, [], ("prevResult.ips", "eth0")),
    ({}, [{"address": "10.88.0.5/24", "interface": 0}], ("prevResult.ips", "eth0")),
    ({"table": -1}, None, ("table", "-1")),
    ({"table": "x"}, None, ("table",)),
    ({"gateways": ["10.0.0.1", "10.0.0.2"]}, None, ("gateways",)),
    ({"gateways": ["nowhere"]}, None, ("gateways", "nowhere")),
])
def test_refused(host, keys, ips, words):
    chain = Foreign(host, "net1", [{"type": "sbr", **keys}])
    before = rules(chain.pod), routes(chain.pod)
    if ips is not None:
        chain.result["ips"] = ips
    chain.call("ADD", chain.plugins[0], chain.result).expect_error(7, *words)
    assert (rules(chain.pod), routes(chain.pod)) == before
    settle(lambda: host.ledger()["attachment"] == [], host.logs)
    chain.remove()


def test_unreachable_gateway(host):
    """A gateway outside of all subnets is taken to be on the link; what is no host's address is refused by the
    kernel, and everything is as it was."""
    chain = Foreign(host, "net1", [{"type": "sbr", "gateways": ["127.0.0.1"]}])
    chain.pod.run(["ip", "route", "del", "default"])
    before = rules(chain.pod), routes(chain.pod)
    chain.call("ADD", chain.plugins[0], chain.result).expect_error(105, "route")
    assert (rules(chain.pod), routes(chain.pod)) == before
    chain.plugins = [{"type": "sbr", "gateways": ["192.0.2.77"]}]
    chain.add()
    assert ("default", "192.0.2.77", None) in routes(chain.pod, 100)
    chain.check()
    chain.delete()
    chain.remove()
