# SPDX-License-Identifier: LGPL-2.1-or-later
"""Routes of a sandbox with several networks: default routes and metrics, tables per interface, families, MTU."""
import contextlib

import features
import pytest
from dhcp_lan import Lan
from netmgr_host import netconf, routed, settle
from pod_networks import DANM, NETWORKS, annotated, finish, pod_args, reload, write_network
from traffic import OUT4, OUT6, Outside, ask, serving

BLUE, RED = "10.98.1.0/24 fd98:1::/64", "10.98.2.0/24 fd98:2::/64"
DUAL = ("10.97.0.0/24", "fd97::/64")


def main_routes(pod, destination="default"):
    """[(interface, gateway, metric)] of the main tables, in the order of their metrics"""
    found = [r for f in ("-4", "-6") for r in pod.ip(f, "route", "show", "table", "main") if r["dst"] == destination]
    return [(r["dev"], r.get("gateway"), r.get("metric", 0)) for r in found]


def tables(pod):
    """{interface's address: {(destination, gateway)} of the table that its rule names}"""
    found = {}
    for f in ("-4", "-6"):
        for rule in pod.ip(f, "rule"):
            if rule["src"] != "all":
                found[rule["src"]] = {(r["dst"], r.get("gateway")) for r in pod.ip(f, "route", "show", "table", rule["table"])}
    return found


def rules(pod):
    return {(r["src"], r["table"]) for f in ("-4", "-6") for r in pod.ip(f, "rule") if r["src"] != "all"}


def addresses(pod, ifname):
    return {6 if ":" in a else 4: a.split("/")[0] for a in pod.addresses(ifname)}


def add(host, wish, conf=None, **keys):
    return host.add(annotated(conf or routed("net1", *DUAL), {NETWORKS: wish}, **keys), args=pod_args())


def still_right(host, a):
    """The same after a restart of the daemon, and nothing is left of it after DEL."""
    a.check().expect_ok()
    before = (rules(a.pod), main_routes(a.pod), tables(a.pod))
    host.netmgrd.kill()
    host.netmgrd.start()
    a.check().expect_ok()
    assert (rules(a.pod), main_routes(a.pod), tables(a.pod)) == before
    a.delete().expect_ok()
    assert rules(a.pod) == set() and main_routes(a.pod) == []


@contextlib.contextmanager
def servers(host, pod):
    with serving(host, pod, "tcp", 4, 80, "web"), serving(host, pod, "tcp", 6, 80, "web"):
        yield


def reached(host, outside, pod, ifnames):
    """Each of its addresses answers who comes from outside; and programs in the sandbox that choose an address of
    theirs get out with it."""
    for ifname in ifnames:
        for family, address in addresses(pod, ifname).items():
            out = OUT4 if family == 4 else OUT6
            assert ask(host, outside, "tcp", address, 80) == ("web", out), (ifname, address)
            settle(lambda: pod.run(["ping", "-n", "-c1", "-W1", "-I", address, out], check=False).returncode == 0,
                   f"{address} of {ifname} gets out")


# --- several default routes ---------------------------------------------------------------------

@pytest.mark.sanitize
def test_two_routed_interfaces(host):
    """Both lead to the host, and each packet leaves by the interface whose address it has."""
    write_network(host, "red", "routed", RED)
    reload(host)
    with Outside(host) as outside:
        a = add(host, "red")
        assert main_routes(a.pod) == [("eth0", "169.254.1.1", 0), ("net1", "169.254.1.1", 1001),
                                      ("eth0", "fe80::1", 1024), ("net1", "fe80::1", 2025)]
        table = {("default", "169.254.1.1")}, {("default", "fe80::1")}
        own = addresses(a.pod, "net1")
        assert {k: v for k, v in tables(a.pod).items()} == {own[4]: table[0], own[6]: table[1]}
        with servers(host, a.pod):
            reached(host, outside, a.pod, ("eth0", "net1"))
            # who chooses no address, has that of the default network
            with serving(host, outside, "tcp", 4, 81, "out"):
                assert ask(host, a.pod, "tcp", OUT4, 81)[1] == addresses(a.pod, "eth0")[4]
        for family, gateway in ((4, "169.254.1.1"), (6, "fe80::1")):
            for i in ("eth0", "net1"):
                known = a.pod.ip(f"-{family}", "neigh", "show", "dev", i)
                assert [n["state"] for n in known if n["dst"] == gateway] == [["PERMANENT"]]
        still_right(host, a)
    finish(host)


def test_without_a_table_the_answer_has_no_way_out(host):
    """What the table is for: with "sbr": false the second interface answers by the first, where its address is
    not allowed."""
    write_network(host, "red", "routed", RED, sbr=False)
    reload(host)
    with Outside(host) as outside:
        a = add(host, "red")
        assert rules(a.pod) == set()
        with servers(host, a.pod):
            assert ask(host, outside, "tcp", addresses(a.pod, "eth0")[4], 80) == ("web", OUT4)
            assert ask(host, outside, "tcp", addresses(a.pod, "net1")[4], 80, timeout=1.5) is None
    finish(host)


def test_the_same_network_many_times(host):
    """Routes to the same places by each interface: the kernel has one of each metric."""
    write_network(host, "red", "routed", RED, ipam={"routes": [{"dst": "10.50.0.0/16"}, {"dst": "0.0.0.0/0"}]})
    write_network(host, "p2p", "ptp", "10.98.3.0/24 fd98:3::/64")
    reload(host)
    a = add(host, "red,red,red,p2p,p2p")
    assert [m for _, _, m in main_routes(a.pod, "10.50.0.0/16")] == [1001, 1002, 1003]
    assert len({table for _, table in rules(a.pod)}) == 5  # one for each, for both families
    still_right(host, a)
    finish(host)


def test_routed_and_bridge_and_macvlan(host):
    features.need("macvlan")
    host.ip("link", "add", "lan0", "type", "veth", "peer", "name", "lan1")
    host.ip("link", "set", "lan0", "up")
    host.ip("link", "set", "lan1", "up")
    write_network(host, "blue", "bridge", BLUE, isDefaultGateway=True, mtu=1400)
    write_network(host, "lan", "macvlan", "10.98.4.0/24", master="lan0",
                  ipam={"routes": [{"dst": "0.0.0.0/0", "gw": "10.98.4.1"}]})
    reload(host)
    host.ip("addr", "add", "10.98.4.1/24", "dev", "lan1")
    with Outside(host) as outside:
        a = add(host, "blue,lan@lan")
        assert main_routes(a.pod)[:3] == [("eth0", "169.254.1.1", 0), ("net1", "10.98.1.1", 1001),
                                          ("lan", "10.98.4.1", 1002)]
        lan = addresses(a.pod, "lan")[4]
        assert tables(a.pod)[lan] == {("default", "10.98.4.1"), ("10.98.4.0/24", None)}
        assert a.pod.link("net1")["mtu"] == 1400 and a.pod.link("eth0")["mtu"] == 1500
        with servers(host, a.pod):
            reached(host, outside, a.pod, ("eth0", "net1"))
            # the neighbour on the wire of the macvlan, and who is behind it
            a.pod.wait_ping("10.98.4.1")
            out = a.pod.ip("route", "get", OUT4, "from", lan)[0]
            assert (out["dev"], out["gateway"]) == ("lan", "10.98.4.1")
        # neighbours of the same subnet are reached without choosing an address
        assert a.pod.ip("route", "get", "10.98.1.77")[0]["dev"] == "net1"
        still_right(host, a)
    host.ip("link", "del", "lan0")
    finish(host)


# --- who has the default route --------------------------------------------------------------------

def test_default_route_to_another_network(host):
    write_network(host, "blue", "bridge", BLUE, isDefaultGateway=True)
    reload(host)
    with Outside(host) as outside:
        a = add(host, [{"name": "blue", "default-route": ["10.98.1.1", "fd98:1::1"]}])
        assert main_routes(a.pod) == [("net1", "10.98.1.1", 0), ("net1", "fd98:1::1", 1024)]
        with servers(host, a.pod):
            # eth0 is asked, and answers by itself: probes of the node come there
            reached(host, outside, a.pod, ("net1", "eth0"))
        with serving(host, outside, "tcp", 4, 81, "out"):
            assert ask(host, a.pod, "tcp", OUT4, 81)[1] == addresses(a.pod, "net1")[4]
        still_right(host, a)
    finish(host)


def test_default_route_without_gateways_is_as_the_network_has_it(host):
    write_network(host, "red", "routed", RED)
    reload(host)
    a = add(host, [{"name": "red", "default-route": []}])
    assert main_routes(a.pod) == [("net1", "169.254.1.1", 0), ("net1", "fe80::1", 1024)]
    still_right(host, a)
    finish(host)


def test_two_gateways(host):
    """In the order of preference; one outside of the subnet is on the link all the same."""
    write_network(host, "blue", "bridge", BLUE)
    reload(host)
    wish = [{"name": "blue", "default-route": ["10.98.1.1", "10.98.1.7", "10.55.0.1", "fd98:1::1", "fd98:1::7"]}]
    a = add(host, wish)
    assert main_routes(a.pod) == [("net1", "10.98.1.1", 0), ("net1", "10.98.1.7", 100), ("net1", "10.55.0.1", 200),
                                  ("net1", "fd98:1::1", 1024), ("net1", "fd98:1::7", 1124)]
    flags = [r["flags"] for r in a.pod.ip("route", "show", "default")]
    assert flags == [[], [], ["onlink"]]
    assert a.pod.ip("route", "get", OUT4)[0]["gateway"] == "10.98.1.1"
    a.pod.run(["ip", "route", "del", "default", "metric", "0"])
    assert a.pod.ip("route", "get", OUT4)[0]["gateway"] == "10.98.1.7"
    a.pod.run(["ip", "route", "add", "default", "via", "10.98.1.1", "dev", "net1"])
    still_right(host, a)
    finish(host)


def test_one_family_only(host):
    """The default route of IPv4 goes to the other network, that of IPv6 stays."""
    write_network(host, "blue", "bridge", BLUE, isDefaultGateway=True)
    reload(host)
    with Outside(host) as outside:
        a = add(host, [{"name": "blue", "default-route": ["10.98.1.1"]}])
        assert main_routes(a.pod) == [("net1", "10.98.1.1", 0), ("eth0", "fe80::1", 1024), ("net1", "fd98:1::1", 2025)]
        with servers(host, a.pod):
            reached(host, outside, a.pod, ("net1", "eth0"))
        still_right(host, a)
    finish(host)


@pytest.mark.parametrize("kind,gateway,words", [
    ("bridge", "2001:db8::1", ["IPv6", "net1"]),
    ("routed", "10.98.1.77", ["10.98.1.77", "only the host", "169.254.1.1"])])
def test_gateways_that_cannot_be(host, kind, gateway, words):
    write_network(host, "blue", kind, "10.98.1.0/24")
    reload(host)
    pod = host.pod()
    conf = annotated(routed(), {NETWORKS: [{"name": "blue", "default-route": [gateway]}]})
    host.try_add(conf, pod, args=pod_args())[0].expect_error(7, "networks[0]", *words)
    assert [x["ifname"] for x in pod.ip("link", "show")] == ["lo"]
    finish(host)


def test_gateway_of_a_routed_range_is_the_host(host):
    write_network(host, "red", "routed", RED)
    reload(host)
    a = add(host, [{"name": "red", "default-route": ["10.98.2.1", "169.254.1.1"]}])
    assert main_routes(a.pod)[0] == ("net1", "169.254.1.1", 0)
    assert [r[0] for r in main_routes(a.pod)] == ["net1", "eth0", "net1"]  # IPv6 stays where it was
    finish(host)


def test_a_metric_of_ones_own(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24",
                  ipam={"routes": [{"dst": "0.0.0.0/0", "priority": 50}, {"dst": "10.60.0.0/16", "priority": 7}]})
    reload(host)
    a = add(host, "blue", routed("net1", "10.97.0.0/24"))
    assert main_routes(a.pod) == [("eth0", "169.254.1.1", 0), ("net1", "10.98.1.1", 50)]
    assert main_routes(a.pod, "10.60.0.0/16") == [("net1", "10.98.1.1", 7)]
    still_right(host, a)
    finish(host)


# --- tables -------------------------------------------------------------------------------------

def test_a_table_by_number(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24", sbr={"table": 4711})
    reload(host)
    a = add(host, "blue", routed("net1", "10.97.0.0/24"))
    own = addresses(a.pod, "net1")[4]
    assert rules(a.pod) == {(own, "4711")}
    assert tables(a.pod)[own] == {("10.98.1.0/24", None), ("default", "10.98.1.1")}
    assert main_routes(a.pod, "10.98.1.0/24") == [("net1", None, 0)]  # as well, for who chooses no address
    a.check().expect_ok()
    a.pod.run(["ip", "rule", "del", "from", own])
    a.check().expect_error(107, "rule")
    host.manager("Reconcile", "a{sv}", "0")
    a.check().expect_ok()
    still_right(host, a)
    finish(host)


def test_one_table_cannot_be_of_two(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24", sbr={"table": 4711})
    reload(host)
    conf = annotated(routed(), {NETWORKS: "blue,blue"})
    host.try_add(conf, host.pod(), args=pod_args())[0].expect_error(7, "4711", "net1", "networks[1]")
    finish(host)


def test_tables_of_others_are_left_alone(host):
    """What somebody has set up in the sandbox before."""
    write_network(host, "red", "routed", "10.98.2.0/24")
    reload(host)
    pod = host.pod()
    pod.run(["sh", "-c", "ip rule add from 10.1.2.3 lookup 100; ip link set lo up; ip route add 10.9.0.0/16 dev lo table 101"])
    a = host.add(annotated(routed(), {NETWORKS: "red"}), pod, args=pod_args())
    assert rules(pod) == {("10.1.2.3", "100"), (addresses(pod, "net1")[4], "102")}
    a.delete().expect_ok()
    assert rules(pod) == {("10.1.2.3", "100")}
    finish(host)


def test_a_table_of_the_only_network(host):
    """Asked for by name it is made for any interface, also without annotations."""
    a = host.add(routed(sbr=True))
    assert rules(a.pod) == {(a.ips[0], "100")} and tables(a.pod)[a.ips[0]] == {("default", "169.254.1.1")}
    still_right(host, a)


def test_interface_made_anew(host):
    """The host's end of the second interface is deleted: it comes back with its table."""
    write_network(host, "red", "routed", RED)
    reload(host)
    a = add(host, "red")
    before = tables(a.pod)
    row, = [r for r in host.describe("attachments") if r["Interface"] == "net1"]
    host.ip("link", "del", row["HostInterface"])
    settle(lambda: a.check().ok, "the interface is there again")
    assert tables(a.pod) == before
    finish(host)


@pytest.mark.parametrize("value,words", [(1, ["sbr"]), ({"table": 254}, ["sbr.table", "254"]), ({}, ["sbr.table"]),
                                         ({"table": 5, "x": 1}, ["x"])])
def test_bad_values(host, value, words):
    host.try_add(routed(sbr=value))[0].expect_error((7, 2), *words)


def test_no_table_without_addresses(host):
    host.try_add(netconf("net1", kind="bridge", sbr=True))[0].expect_error(7, "sbr", "ipam")


# --- DANM: families and routes ----------------------------------------------------------------------

def danm(host, wish, conf=None):
    return host.try_add(annotated(conf or routed("net1", *DUAL), {DANM: wish}), args=pod_args())


def test_routes_of_ones_own(host):
    write_network(host, "blue", "bridge", BLUE)
    write_network(host, "red", "routed", "10.98.2.0/24")
    reload(host)
    reply, a = danm(host, [{"clusterNetwork": "red", "ip": "dynamic"},
                           {"clusterNetwork": "blue", "ip": "dynamic", "ip6": "dynamic",
                            "proutes": {"10.50.0.0/16": "10.98.1.9"}, "proutes6": {"fd50::/32": "fd98:1::9"}}])
    reply.expect_ok()
    # blue leads nowhere by itself, so it has no table, and the routes are for everybody
    assert main_routes(a.pod, "10.50.0.0/16") == [("eth1", "10.98.1.9", 1001)]
    assert main_routes(a.pod, "fd50::/32") == [("eth1", "fd98:1::9", 2025)]
    still_right(host, a)
    finish(host)


def test_routes_of_ones_own_in_the_table(host):
    write_network(host, "blue", "bridge", BLUE, sbr=True)
    write_network(host, "red", "routed", "10.98.2.0/24")
    reload(host)
    reply, a = danm(host, [{"clusterNetwork": "red", "ip": "dynamic"},
                           {"clusterNetwork": "blue", "ip": "dynamic", "ip6": "dynamic",
                            "proutes": {"10.50.0.0/16": "10.98.1.9"}}])
    reply.expect_ok()
    own = addresses(a.pod, "eth1")
    assert tables(a.pod)[own[4]] == {("10.98.1.0/24", None), ("default", "10.98.1.1"), ("10.50.0.0/16", "10.98.1.9")}
    assert main_routes(a.pod, "10.50.0.0/16") == []
    assert a.pod.ip("route", "get", "10.50.1.1", "from", own[4])[0]["gateway"] == "10.98.1.9"
    still_right(host, a)
    finish(host)


def test_families(host):
    write_network(host, "blue", "bridge", BLUE)
    write_network(host, "red", "routed", RED)
    reload(host)
    reply, a = danm(host, [{"clusterNetwork": "red", "ip": "dynamic", "ip6": "none"},
                           {"clusterNetwork": "blue", "ip": "none", "ip6": "dynamic"},
                           {"clusterNetwork": "blue", "ip": "none", "ip6": "none"}])
    reply.expect_ok()
    found = {i: a.pod.addresses(i) for i in ("eth0", "eth1", "eth2")}
    assert found == {"eth0": {"10.98.2.2/32"}, "eth1": {"fd98:1::2/64"}, "eth2": set()}
    # what was not wanted was not taken either
    assert {r["Address"].split("/")[0] for r in host.describe("addresses")} == {"10.98.2.2", "fd98:1::2"}
    still_right(host, a)
    finish(host)


def test_a_family_that_the_network_does_not_have(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24")
    reload(host)
    danm(host, [{"clusterNetwork": "blue", "ip": "none", "ip6": "dynamic"}])[0].expect_error(7, "blue")
    finish(host)


def test_mtu_of_each_network(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24", mtu=1300)
    write_network(host, "red", "routed", "10.98.2.0/24", mtu=9000)
    reload(host)
    a = add(host, "blue,red", routed("net1", "10.97.0.0/24", mtu=1450))
    assert [a.pod.link(i)["mtu"] for i in ("eth0", "net1", "net2")] == [1450, 1300, 9000]
    row, = [r for r in host.describe("attachments") if r["Interface"] == "net2"]
    assert host.link(row["HostInterface"])["mtu"] == 9000
    still_right(host, a)
    finish(host)


# --- routes of a DHCP server -----------------------------------------------------------------------

@pytest.mark.parametrize("wish,expected", [
    ("lan", [("eth0", "169.254.1.1", 0), ("net1", "10.9.0.1", 1001)]),
    ([{"name": "lan", "default-route": []}], [("net1", "10.9.0.1", 0)]),
    ([{"name": "lan"}, {"name": "red", "default-route": []}], [("net2", "169.254.1.1", 0)])])
def test_default_route_of_a_lease(host, wish, expected):
    """As any other network's, also after a renewal: the place of the interface is in the ledger."""
    with Lan(host) as lan:
        lan.udhcpd(lease=8, options=["router 10.9.0.1"])
        write_network(host, "lan", "bridge", bridge="lan0", isGateway=False, ipam={"type": "dhcp"})
        write_network(host, "red", "routed", "10.98.2.0/24")
        reload(host)
        a = add(host, wish, routed("net1", "10.97.0.0/24"))
        assert main_routes(a.pod) == expected
        began = lan.lease()["obtained_boot_usec"]
        settle(lambda: lan.lease()["obtained_boot_usec"] > began, "the lease is renewed")
        assert main_routes(a.pod) == expected
        a.check().expect_ok()
        a.delete().expect_ok()
    finish(host)


def test_a_gateway_on_a_network_with_leases(host):
    with Lan(host):
        write_network(host, "lan", "bridge", bridge="lan0", isGateway=False, ipam={"type": "dhcp"})
        reload(host)
        wish = annotated(routed(), {NETWORKS: [{"name": "lan", "default-route": ["10.9.0.1"]}]})
        host.try_add(wish, host.pod(), args=pod_args())[0].expect_error(2, "lan", "DHCP")
    finish(host)
