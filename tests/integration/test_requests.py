# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a call asks for beside its network, and whose configuration a plugin reads under its name."""
import pytest
from netmgr_host import bridge, netconf

V4 = "10.97.5.0/24"


def static(plugin="bridge", addresses=("10.97.5.7/24",), **keys):
    return {"cniVersion": "1.0.0", "name": "fixed", "type": plugin, "bridge": "br5",
            "ipam": {"type": "static", "addresses": [{"address": a, "gateway": "10.97.5.1"} for a in addresses]},
            **keys}


def addresses(pod, ifname="eth0"):
    return [f"{a['local']}/{a['prefixlen']}" for x in pod.ip("-4", "addr", "show", "dev", ifname)
            for a in x["addr_info"]]


def sysctl(pod, name):
    return pod.run(["cat", f"/proc/sys/{name}"]).stdout.strip()


@pytest.mark.sanitize
def test_static(host):
    a = host.add(static(), plugin="bridge")
    assert addresses(a.pod) == ["10.97.5.7/24"]
    assert [(i["address"], i.get("gateway")) for i in a.result["ips"]] == [("10.97.5.7/24", "10.97.5.1")]
    a.check().expect_ok()
    a.delete().expect_ok()

    # CNI_ARGS adds, with the gateway of its subnet; what the runtime asks for replaces all
    b = host.add(static(), plugin="bridge", args="IP=10.98.5.7/16;GATEWAY=10.98.0.1")
    assert addresses(b.pod) == ["10.97.5.7/24", "10.98.5.7/16"]
    assert [i.get("gateway") for i in b.result["ips"]] == ["10.97.5.1", "10.98.0.1"]
    b.delete().expect_ok()
    wishes = {"args": {"cni": {"ips": ["10.97.5.8/24"]}}, "runtimeConfig": {"ips": ["10.97.5.9/24"]}}
    c = host.add(static(**wishes), plugin="bridge", args="IP=10.98.5.7/16")
    assert addresses(c.pod) == ["10.97.5.9/24"]
    c.delete().expect_ok()

    for conf, args, code, words in (
            (static(), "IP=10.97.5.9", 4, ["CNI_ARGS", "IP", "10.97.5.9", "prefix"]),
            (static(addresses=()), None, 7, ["ipam", "static", "fixed"]),
            (static(runtimeConfig={"ips": ["10.97.5.9"]}), None, 7, ["runtimeConfig.ips[0]", "10.97.5.9"])):
        host.try_add(conf, plugin="bridge", args=args)[0].expect_error(code, *words)
    host.run(["ip", "link", "del", "br5"])  # as the reference plugin, we leave it


@pytest.mark.sanitize
def test_mac_order(host):
    conf = {"cniVersion": "1.0.0", "name": "macs", "type": "bridge", "bridge": "br5"}
    for keys, args, mac in (
            ({}, "MAC=02:00:00:00:05:01", "02:00:00:00:05:01"),
            ({"args": {"cni": {"mac": "02:00:00:00:05:02"}}}, "MAC=02:00:00:00:05:01", "02:00:00:00:05:02"),
            ({"args": {"cni": {"mac": "02:00:00:00:05:02"}}, "runtimeConfig": {"mac": "02:00:00:00:05:03"}}, None,
             "02:00:00:00:05:03")):
        a = host.add({**conf, **keys}, plugin="bridge", args=args)
        assert a.pod.link("eth0")["address"] == mac
        assert a.result["interfaces"][2]["mac"] == mac
        a.delete().expect_ok()
    host.run(["ip", "link", "del", "br5"])


@pytest.mark.sanitize
def test_args_of_netmgr(host):
    """tuning's part of args.cni, for one sandbox: the network, and the next sandbox, keep their own."""
    conf = bridge("br1", V4, bridge="br5", isGateway=True,
                  sysctl={"net.core.somaxconn": "300", "net.ipv4.ip_local_port_range": "2000\t3000"})
    wishes = {"args": {"cni": {"sysctl": {"net/core/somaxconn": "301", "net.ipv4.conf.IFNAME.arp_filter": "1"},
                               "promisc": True, "txQLen": 77}},
              "runtimeConfig": {"dns": {"Servers": ["10.97.5.53"], "Searches": ["a", "b"]}}}
    a, b = host.add({**conf, **wishes}), host.add(conf)
    assert sysctl(a.pod, "net/core/somaxconn") == "301"
    assert sysctl(a.pod, "net/ipv4/conf/eth0/arp_filter") == "1"
    assert sysctl(a.pod, "net/ipv4/ip_local_port_range") == "2000\t3000"
    assert a.pod.link("eth0")["txqlen"] == 77
    assert a.result["dns"] == {"nameservers": ["10.97.5.53"], "search": ["a", "b"]}
    assert sysctl(b.pod, "net/core/somaxconn") == "300"
    assert sysctl(b.pod, "net/ipv4/conf/eth0/arp_filter") == "0"
    assert b.pod.link("eth0")["txqlen"] != 77
    assert "dns" not in b.result
    for one in a, b:
        one.check().expect_ok()
        one.delete().expect_ok()


def test_program_name(host):
    """An IPAM plugin's configuration has the type of its caller; netmgr's own has to be its own."""
    host.try_add({**netconf("n", V4), "type": "bridge"})[0].expect_error(7, "bridge", "netmgr")
    # the keys of netmgr mean nothing to the plugin bridge, whatever they hold
    a = host.add({"cniVersion": "1.0.0", "name": "n", "type": "bridge", "bridge": "br5", "kind": 5, "network": [],
                  "isolation": "x", "ipam": {"type": "host-local", "subnet": V4, "rangeStart": "10.97.5.0"}},
                 plugin="bridge")
    assert a.result["ips"][0]["address"].endswith("/24")
    a.delete().expect_ok()
    host.run(["ip", "link", "del", "br5"])
    for plugin, version, least in ("firewall", "0.3.1", "0.4.0"), ("vrf", "0.3.0", "0.3.1"):
        host.try_add({"cniVersion": version, "name": "n", "type": plugin, "vrfname": "v",
                      "prevResult": {"cniVersion": version}}, plugin=plugin)[0].expect_error(1, version, least)
