# SPDX-License-Identifier: LGPL-2.1-or-later
"""Beside other firewalls: what they drop is reported, what they have is left alone, what they flush comes back."""
import struct

import pytest
from netmgr_host import routed, settle
from test_host_ports import mapping, publish, servers
from test_sources import next6, sum6
from traffic import NODE4, ask, ruleset, send_frames

# what they need of the kernel differs from one to the next
pytestmark = pytest.mark.vm

PLAIN = pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner=no\n")


def nft(host, text):
    host.run(["nft", "-f", "-"], input=text.replace("} ", "}\n").replace("} }", "}\n}").replace("} }", "}\n}").replace("; }", ";\n}"))


def health(host):
    return host.ctl_json("status")["HealthReasons"]


DROPPING = {
    "docker": ("table ip filter { chain DOCKER-USER { } "
               "chain FORWARD { type filter hook forward priority 0; policy drop; jump DOCKER-USER; } }",
               ["DOCKER-USER", "FORWARD", "ip filter"]),
    "firewalld": ("table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy drop; } }",
                  ["firewall-cmd", "filter_FORWARD"]),
    "ufw": ("table ip6 filter { chain ufw6-user-forward { } "
            "chain FORWARD { type filter hook forward priority 0; policy drop; } }", ["ufw route allow", "ip6 filter"]),
    "somebody": ("table inet mine { chain fw { type filter hook forward priority 5; policy drop; } }", ["mine", "nmg*"]),
}


@pytest.mark.parametrize("who", DROPPING)
@pytest.mark.sanitize
def test_chains_that_drop_are_reported(host, who):
    text, words = DROPPING[who]
    assert health(host) == []
    nft(host, text)
    reason, = settle(lambda: health(host), "a reason in status")
    for word in words:
        assert word in reason, reason
    assert "degraded" in host.ctl("status", check=True).stdout
    family, table = text.split()[1:3]
    host.run(["nft", "delete", "table", family, table])
    settle(lambda: health(host) == [], "well again")


def test_chains_from_before_the_start(host):
    host.netmgrd.stop()
    nft(host, DROPPING["docker"][0])
    host.netmgrd.start()
    settle(lambda: any("DOCKER-USER" in x for x in health(host)), "reported at start")
    host.run(["nft", "delete", "table", "ip", "filter"])
    settle(lambda: health(host) == [], "well again")


def test_chains_that_do_not_drop_are_nobody_s_business(host):
    nft(host, "table ip filter { chain FORWARD { type filter hook forward priority 0; policy accept; } "
              "chain INPUT { type filter hook input priority 0; policy drop; } }")
    nft(host, DROPPING["somebody"][0])
    settle(lambda: len(health(host)) == 1, "one of the two is reported")
    assert "mine" in health(host)[0]
    host.run(["nft", "flush", "ruleset"])
    settle(lambda: health(host) == [], "well again")


def test_other_tables_are_left_alone(host):
    nft(host, "table ip nat { chain PREROUTING { type nat hook prerouting priority -100; policy accept; "
              "tcp dport 9 dnat to 192.0.2.9; } }\ntable inet kube-proxy { set s { type ipv4_addr; elements = { 10.1.1.1 } } }")

    def foreign():
        return [x for x in ruleset(host) if not any(v.get("table", v.get("name", "")).startswith("netmgr_")
                                                    for v in x.values())]
    before = foreign()
    a = publish(host, routed("net1", ipMasq=True), mapping(8080))
    host.netmgrd.restart()
    a.delete().expect_ok()
    assert foreign() == before
    for table in (["ip", "nat"], ["inet", "kube-proxy"]):
        host.run(["nft", "delete", "table", *table])


@PLAIN
@pytest.mark.sanitize
def test_flushed_tables_come_back(host):
    """firewalld's reload, `nft flush ruleset`, a deleted table: seen, named, repaired."""
    a = publish(host, routed("net1"), mapping(8080))
    before = [x for x in ruleset(host)]
    with servers(host, a.pod, ("tcp", 80)):
        for argv in (["flush", "ruleset"], ["delete", "table", "inet", "netmgr_np"],
                     ["flush", "map", "inet", "netmgr_nat", "host4"],
                     ["add", "chain", "inet", "netmgr_nat", "intruder"]):
            host.run(["nft", *argv])
            settle(lambda: len(ruleset(host)) == len(before), f"back after {argv}")
            settle(lambda: ask(host, None, "tcp", NODE4, 8080, 1), "the port works")
    assert "nft (pid" in host.netmgrd.text()
    settle(lambda: health(host) == [], "well again")


def test_uplink_keeps_its_default_route(host):
    """A default route from router advertisements stays when forwarding is switched on."""
    router = host.pod("router")
    host.ip("link", "add", "ra0", "type", "veth", "peer", "name", "out0", "netns", "router")
    host.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/all/forwarding; echo 1 > /proc/sys/net/ipv6/conf/ra0/accept_ra"])
    host.ip("link", "set", "ra0", "up")
    router.run(["ip", "link", "set", "out0", "up"])

    def mac(link):
        return bytes.fromhex(link["address"].replace(":", ""))
    source = "fe80::77"
    advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0)
    frame = b"\x33\x33\0\0\0\1" + mac(router.link("out0")) + b"\x86\xdd" + \
        next6(source, "ff02::1", 58, sum6(source, "ff02::1", 58, advert, 2))

    def default():
        send_frames(host, router, "out0", frame)
        return [r for r in host.ip("-6", "route", "show", "default") if r.get("protocol") == "ra"]
    settle(default, "a default route by the advertisement")
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
    assert host.run(["cat", "/proc/sys/net/ipv6/conf/all/forwarding"]).stdout.strip() == "1"
    assert host.run(["cat", "/proc/sys/net/ipv6/conf/ra0/accept_ra"]).stdout.strip() == "2"
    assert default()
    a.delete().expect_ok()
    host.ip("link", "del", "ra0")
    router.delete()
