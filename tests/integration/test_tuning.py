# SPDX-License-Identifier: LGPL-2.1-or-later
"""tuning in a chain, behind our interface and behind somebody else's, and its keys in type netmgr."""
import json

import pytest
from host_chain import Chain
from netmgr_host import VERSIONS, bridge, routed, settle
from traffic import ask, serving

MAC = "02:11:22:33:44:55"
SYSCTL = "net.ipv4.conf.eth0.arp_filter"
TUNING = {"type": "tuning", "mac": MAC, "mtu": 1400, "promisc": True, "allmulti": True, "txQLen": 321,
          "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}}
ALLOWLIST = "/run/allowlist.conf"
with_allowlist = pytest.mark.host(netmgrd_options=[f"--sysctl-allowlist={ALLOWLIST}"])


def plugin(conf):
    return {k: v for k, v in conf.items() if k not in ("name", "cniVersion")}


BRIDGE = plugin(bridge("net1", "10.97.1.0/24", "fd97:1::/64", isDefaultGateway=True))
ROUTED = plugin(routed("net1", "10.97.0.0/24", "fd97::/64"))


def state(pod, ifname="eth0"):
    """What tuning can change, as ip tells it"""
    link = pod.link(ifname)
    return {"mac": link["address"], "mtu": link["mtu"], "promisc": "PROMISC" in link["flags"],
            "allmulti": "ALLMULTI" in link["flags"], "txQLen": link["txqlen"]}


WANTED = {"mac": MAC, "mtu": 1400, "promisc": True, "allmulti": True, "txQLen": 321}


def sysctl(pod, name=SYSCTL):
    return pod.run(["cat", "/proc/sys/" + name.replace(".", "/")]).stdout.strip()


class Foreign(Chain):
    """A chain whose first plugin, which made a veth pair and gave it an address, has gone away."""

    def __init__(self, host, name, plugins, **keys):
        super().__init__(host, name, plugins, **keys)
        self.end = f"f-{self.pod.name}"[:15]
        host.run(["ip", "link", "add", self.end, "type", "veth", "peer", "name", "eth0", "netns", self.pod.name])
        host.run(["ip", "link", "set", self.end, "up"])
        host.run(["ip", "addr", "add", "10.88.0.1/24", "dev", self.end])
        self.pod.run(["sh", "-c", "ip link set lo up; ip link set eth0 up; ip addr add 10.88.0.5/24 dev eth0; "
                      "ip addr add fd88::5/64 dev eth0 nodad; ip route add default via 10.88.0.1"])
        self.result = {"cniVersion": self.version, "ips": [{"address": "10.88.0.5/24", "gateway": "10.88.0.1",
                                                           "interface": 1}],
                       "interfaces": [{"name": self.end}, {"name": "eth0", "mac": self.pod.link("eth0")["address"],
                                                           "sandbox": self.pod.path}]}

    def remove(self):
        self.host.run(["ip", "link", "del", self.end])


def allow(host, *lines, mode="644"):
    host.run(["sh", "-c", f"cat > {ALLOWLIST}; chmod {mode} {ALLOWLIST}"], input="\n".join(lines))


def elements_of(host, table, name):
    ruleset = json.loads(host.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]
    return json.dumps([x["set"]["elem"] for x in ruleset if x.get("set", {}).get("name") == name
                       and x["set"]["table"] == table and "elem" in x["set"]])


# --- behind our own interface -----------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("first", [BRIDGE, ROUTED], ids=["bridge", "routed"])
def test_all_keys(host, first):
    chain = Chain(host, "net1", [first, TUNING]).add()
    pod, before = chain.pod, chain.results[0]
    assert state(pod) == WANTED and sysctl(pod) == "1"
    inner = [i for i in chain.result["interfaces"] if i["name"] == "eth0"][0]
    assert inner["mac"] == MAC and inner["mtu"] == before["interfaces"][-1]["mtu"] != 1400
    assert {**chain.result, "interfaces": 0} == {**before, "interfaces": 0}
    # the host's end stays, or a bridge would follow it
    assert host.link(chain.host_ifname)["mtu"] == 1500
    # the rule tables, and neighbours that are set, know the new MAC
    host.wait_ping(chain.ips[0])
    host.wait_ping(chain.ips[1])
    pod.wait_ping("192.0.2.1")
    chain.check()
    assert host.describe("attachments")[0]["Mac"] == MAC
    host.netmgrd.restart()
    chain.check()
    assert host.describe("attachments")[0]["Mac"] == MAC
    host.wait_ping(chain.ips[0])
    chain.delete()
    assert pod.link("eth0") is None


def test_old_mac_is_closed(host):
    """Whoever goes back to the MAC that the interface was made with sends from an address that is not its own."""
    chain = Chain(host, "net1", [BRIDGE, {"type": "tuning", "mac": MAC}]).add()
    old = chain.results[0]["interfaces"][-1]["mac"]
    assert MAC in elements_of(host, "netmgr_br", "mac") and old not in elements_of(host, "netmgr_br", "mac")
    with serving(host, None, "tcp", 4, 80, "host"):
        assert ask(host, chain.pod, "tcp", "192.0.2.1", 80)[0] == "host"
        chain.pod.run(["ip", "link", "set", "eth0", "address", old])
        assert ask(host, chain.pod, "tcp", "192.0.2.1", 80, timeout=1.5) is None
        chain.pod.run(["ip", "link", "set", "eth0", "address", MAC])
        assert ask(host, chain.pod, "tcp", "192.0.2.1", 80)[0] == "host"
    chain.delete()


@pytest.mark.parametrize("version", VERSIONS)
def test_versions(host, version):
    chain = Chain(host, "net1", [BRIDGE, TUNING], version=version).add()
    assert chain.result["cniVersion"] == version
    if "interfaces" in chain.result:
        assert [i["mac"] for i in chain.result["interfaces"] if i["name"] == "eth0"] == [MAC]
    else:
        assert chain.result == chain.results[0]
    if version >= "0.4.0":
        chain.check()
    chain.delete()


def test_who_says_the_mac(host):
    """mac < CNI_ARGS < runtimeConfig < args.cni"""
    chain = Chain(host, "net1", [BRIDGE, TUNING]).add(upto=1)
    macs = [f"02:00:00:00:00:{i:02x}" for i in range(1, 5)]
    steps = [({"mac": macs[0]}, None), ({"mac": macs[0]}, macs[1]),
             ({"mac": macs[0], "runtimeConfig": {"mac": macs[2]}}, macs[1]),
             ({"mac": macs[0], "runtimeConfig": {"mac": macs[2]}, "args": {"cni": {"mac": macs[3]}}}, macs[1])]
    for (keys, env), wanted in zip(steps, macs):
        conf = chain.conf({"type": "tuning"}, chain.result, **keys)
        args = f"IgnoreUnknown=1;MAC={env}" if env else None
        reply = host.cni("ADD", conf, chain.cid, "eth0", chain.pod.path, args, plugin="tuning").expect_ok()
        assert state(chain.pod)["mac"] == wanted == reply.json["interfaces"][-1]["mac"]
        host.wait_ping(chain.ips[0])
    chain.delete()


def test_made_anew(host):
    """The host's end is deleted by hand: what comes in its place is tuned as well."""
    chain = Chain(host, "net1", [BRIDGE, TUNING]).add()
    host.run(["ip", "link", "del", chain.host_ifname])
    settle(lambda: chain.pod.link("eth0") and state(chain.pod) == WANTED and sysctl(chain.pod) == "1", host.logs)
    host.wait_ping(chain.ips[0])
    settle(lambda: chain.call("CHECK", TUNING, chain.result).ok, host.logs)
    chain.delete()


# --- behind somebody else's interface ----------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("restart", [False, True], ids=["", "restart"])
def test_others_interface_gets_back_what_it_had(host, restart):
    chain = Foreign(host, "net1", [TUNING])
    before = state(chain.pod)
    chain.add()
    assert state(chain.pod) == WANTED
    rows = host.sql("SELECT kind, host_ifname FROM attachment")
    assert rows == [{"kind": "foreign", "host_ifname": None}]
    chain.check()
    host.wait_ping("10.88.0.5")
    if restart:
        host.netmgrd.restart()
        chain.check()
    chain.delete()
    assert state(chain.pod) == before
    assert sysctl(chain.pod) == "1"  # as with the reference plugin
    settle(lambda: host.ledger()["attachment"] == [], "the end of the rows")
    chain.call("DEL", TUNING, chain.result).expect_ok()
    chain.remove()


def test_second_tuning_and_other_order(host):
    """What was there before the first one comes back, whichever DEL comes first."""
    second = {"type": "tuning", "mtu": 1300, "txQLen": 7}
    chain = Foreign(host, "net1", [TUNING, second])
    before = state(chain.pod)
    chain.add()
    assert state(chain.pod) == {**WANTED, "mtu": 1300, "txQLen": 7}
    chain.call("DEL", TUNING).expect_ok()
    assert state(chain.pod) == before
    chain.call("DEL", second).expect_ok()
    chain.remove()


@pytest.mark.parametrize("netns", ["none", "gone", "file"])
def test_del_without_namespace(host, netns):
    """The interface, or all of the sandbox, is gone, or the path leads elsewhere: DEL succeeds."""
    chain = Foreign(host, "net1", [TUNING]).add()
    before_del = state(chain.pod)
    if netns == "gone":
        chain.pod.delete()
        chain.delete()
    elif netns == "file":
        other = f"{host.dir}/file"
        host.run(["touch", other])
        conf = chain.conf(TUNING, chain.result)
        host.cni("DEL", conf, chain.cid, "eth0", other, plugin="tuning").expect_ok()
    else:
        chain.delete(netns=False)
    settle(lambda: host.ledger()["attachment"] == [], "the end of the rows")
    if netns != "gone":
        # by its recorded path it was found all the same
        assert state(chain.pod) != before_del
        chain.remove()


def test_another_namespace_is_left_alone(host):
    """The path leads to another namespace by then: its interface of the same name is not ours."""
    chain = Foreign(host, "net1", [TUNING]).add()
    name = chain.pod.name
    host.run(["ip", "link", "del", chain.end])
    host.run(["ip", "netns", "delete", name])
    host.run(["ip", "netns", "add", name])
    chain.pod.run(["sh", "-c", "ip link add eth0 type veth peer name other; ip link set eth0 mtu 1234 promisc on"])
    before = state(chain.pod)
    chain.delete()
    assert state(chain.pod) == before
    chain.pod.run(["ip", "link", "del", "eth0"])


# --- CHECK ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("first", [BRIDGE, None], ids=["ours", "foreign"])
def test_check(host, first):
    chain = (Chain(host, "net1", [first, TUNING]) if first else Foreign(host, "net1", [TUNING])).add()
    changes = {"mac": ["address", "02:00:00:00:00:99"], "mtu": ["mtu", "1350"], "promisc": ["promisc", "off"],
               "allmulti": ["allmulticast", "off"], "txqlen": ["txqueuelen", "99"]}
    back = {"mac": ["address", MAC], "mtu": ["mtu", "1400"], "promisc": ["promisc", "on"],
            "allmulti": ["allmulticast", "on"], "txqlen": ["txqueuelen", "321"]}
    for key, change in changes.items():
        chain.call("CHECK", TUNING, chain.result).expect_ok()
        chain.pod.run(["ip", "link", "set", "eth0", *change])
        chain.call("CHECK", TUNING, chain.result).expect_error(107, key, "eth0")
        chain.pod.run(["ip", "link", "set", "eth0", *back[key]])
    chain.pod.run(["sysctl", "-qw", f"{SYSCTL}=0"])
    chain.call("CHECK", TUNING, chain.result).expect_error(107, "arp_filter", '"1"', '"0"')
    chain.delete()
    if not first:
        chain.remove()


def test_check_reads_lists(host):
    """The kernel separates by tabs what was written with spaces."""
    tuning = {"type": "tuning", "sysctl": {"net.ipv4.ip_local_port_range": "40000 50000"}}
    chain = Chain(host, "net1", [BRIDGE, tuning]).add()
    chain.check()
    chain.pod.run(["sysctl", "-qw", "net.ipv4.ip_local_port_range=40000 50001"])
    chain.call("CHECK", tuning, chain.result).expect_error(107, "ip_local_port_range")
    chain.delete()


# --- refused ---------------------------------------------------------------------------------------------

@pytest.mark.parametrize("keys, code, words", [
    ({"mtu": 1000}, 7, ("mtu", "1000", "1280")),
    ({"mac": "01:00:5e:00:00:01"}, 7, ("mac", "01:00:5e:00:00:01")),
    ({"mac": "nonsense"}, 7, ("mac", "nonsense")),
    ({"promisc": "yes"}, 7, ("promisc",)),
    ({"txQLen": -1}, 7, ("txQLen", "-1")),
    ({"sysctl": {"kernel.hostname": "x"}}, 7, ("kernel.hostname",)),
    ({"sysctl": {"net.ipv4.conf/../../kernel/hostname": "x"}}, 7, ("sysctl",)),
    ({"sysctl": {"net/../kernel/hostname": "x"}}, 7, ("sysctl", "hostname")),
    ({"sysctl": {"net.ipv4.conf.IFNAME.nothing": "1"}, "mtu": 1400}, 105, ("net/ipv4/conf/eth0/nothing",)),
    ({"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net.ipv4.conf.IFNAME.rp_filter": "many"}, "mtu": 1400}, 105,
     ("rp_filter", "many")),
])
@pytest.mark.parametrize("first", [BRIDGE, None], ids=["ours", "foreign"])
def test_refused(host, first, keys, code, words):
    """Nothing has changed afterwards, and the row is as it was."""
    chain = Chain(host, "net1", [first, TUNING]) if first else Foreign(host, "net1", [TUNING])
    chain.add(upto=1 if first else 0)
    plan = host.sql("SELECT plan, mac, state FROM attachment")
    before = state(chain.pod), sysctl(chain.pod), sysctl(chain.pod, "net.ipv4.conf.eth0.rp_filter")
    chain.call("ADD", {"type": "tuning", **keys}, chain.result).expect_error(code, *words)
    assert (state(chain.pod), sysctl(chain.pod), sysctl(chain.pod, "net.ipv4.conf.eth0.rp_filter")) == before
    settle(lambda: host.sql("SELECT plan, mac, state FROM attachment") == plan, host.logs)
    chain.delete()
    if not first:
        chain.remove()


def test_refused_by_the_kernel(host):
    """A macvlan cannot have a larger MTU than its master: MAC and flags go back, and what was set first."""
    host.run(["ip", "link", "add", "up0", "type", "veth", "peer", "name", "down0"])
    host.run(["ip", "link", "set", "up0", "up"])
    first = {"type": "netmgr", "kind": "macvlan", "master": "up0", "ipam": {"type": "local", "ranges":
             [[{"subnet": "10.97.3.0/24"}]]}}
    chain = Chain(host, "net1", [first, TUNING]).add(upto=1)
    before = state(chain.pod), sysctl(chain.pod)
    chain.call("ADD", {**TUNING, "mtu": 9000}, chain.result).expect_error(105, "mtu")
    assert (state(chain.pod), sysctl(chain.pod)) == before
    chain.call("CHECK", first, chain.result).expect_ok()
    chain.delete()
    host.run(["ip", "link", "del", "up0"])


def test_no_interface_no_result(host):
    pod = host.pod()
    chain = Chain(host, "net1", [TUNING], pod=pod)
    chain.call("ADD", TUNING).expect_error(7, "prevResult")
    chain.call("ADD", TUNING, {"cniVersion": "1.0.0"}).expect_error(7, "eth0")
    settle(lambda: host.ledger()["attachment"] == [] and host.ledger()["sandbox"] == [], "the end of the rows")
    chain.delete()


# --- the administrator's list ------------------------------------------------------------------------------

@with_allowlist
@pytest.mark.parametrize("chained", [True, False], ids=["chain", "netmgr"])
def test_allowlist(host, chained):
    """What no line matches is refused by key and value, and nothing else of the configuration is done."""
    keys = {"sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1", "net.core.somaxconn": "77"}}

    def add():
        if not chained:
            return host.try_add({**bridge("net2", "10.97.2.0/24"), **keys}, pod=chain.pod, ifname="eth1")[0]
        return chain.call("ADD", {**TUNING, **keys}, chain.result)
    chain = Chain(host, "net1", [BRIDGE, TUNING]).add(upto=1)
    before = state(chain.pod)
    for lines in ([], ["", "^net.core"], ["^net\\.ipv4\\.conf\\.IFNAME\\.arp_filter$"], ["^somaxconn", "arp_filter$"],
                  ["^net.core.somaxconn$", "^net.ipv4.conf.eth0.arp_filter$"]):
        allow(host, *lines)
        refused = "arp_filter" if lines and "core" in "".join(lines) else "somaxconn"
        add().expect_error(7, *(("somaxconn", "77") if refused == "somaxconn" and lines else ()), ALLOWLIST)
        assert state(chain.pod) == before and sysctl(chain.pod) == "0"
    for line, word in (("(", "("), ("^net.core.(?i)x", "?i")):
        allow(host, "^net", line)
        add().expect_error(7, f"{ALLOWLIST}:2", word)
    allow(host, "^net", mode="600")
    add().expect_error(7, ALLOWLIST)
    # in either spelling, and a changed list holds at once
    for lines in (["^net\\.core\\.\\w+$", "^net\\.ipv4\\.conf\\.IFNAME\\.[a-z_]*$"],
                  ["^net/(core|ipv4)/[\\w/]+$"], None):
        host.run(["rm", "-f", ALLOWLIST])
        if lines:
            allow(host, *lines)
        add().expect_ok()
        if not chained:
            host.cni("DEL", bridge("net2", "10.97.2.0/24"), chain.cid, "eth1", chain.pod.path).expect_ok()
    assert sysctl(chain.pod, "net.core.somaxconn") == "77"
    chain.delete()


@with_allowlist
@pytest.mark.parametrize("key", ["net.ipv4.ip_forward", "net/ipv4/ip_forward", "net.ipv4.conf.IFNAME.forwarding",
                                 "net.ipv4.conf.eth0.arp_filter", "net/ipv4/conf/IFNAME/../all/arp_filter",
                                 "net.ipv4.conf.xnet_ipv4_conf_IFNAME_arp_filter.forwarding"])
def test_allowlist_tricks(host, key):
    """Another spelling, another place of IFNAME, a name in the middle of which an allowed one is: none passes."""
    allow(host, "^net\\.ipv4\\.conf\\.IFNAME\\.arp_filter$")
    chain = Chain(host, "net1", [plugin(bridge("net1", "10.97.1.0/24")), TUNING]).add(upto=1)
    with host.unchanged():
        chain.call("ADD", {"type": "tuning", "sysctl": {key: "1"}}, chain.result).expect_error(7, "sysctl")
    chain.call("ADD", {"type": "tuning", "sysctl": {"net/ipv4/conf/IFNAME/arp_filter": "1"}},
               chain.result).expect_ok()
    assert sysctl(chain.pod) == "1"
    chain.delete()


# --- in one call ---------------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("conf", [bridge("net1", "10.97.1.0/24"), routed("net1", "10.97.0.0/24")],
                         ids=["bridge", "routed"])
def test_inline(host, conf):
    a = host.add({**conf, "mac": MAC, "mtu": 1400, "promisc": True, "allmulti": True, "txQLen": 321})
    assert state(a.pod) == WANTED
    inner = [i for i in a.result["interfaces"] if i["name"] == "eth0"][0]
    assert inner["mac"] == MAC and inner["mtu"] == 1400
    a.check().expect_ok()
    host.wait_ping(a.ips[0])
    a.pod.run(["ip", "link", "set", "eth0", "promisc", "off", "txqueuelen", "99"])
    a.check().expect_error(107, "promisc")
    host.ctl("reconcile", check=True)
    assert state(a.pod) == WANTED
    a.check().expect_ok()
