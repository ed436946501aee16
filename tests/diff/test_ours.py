# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Debian's 1.1.1 cannot be asked: version 1.1.0, GC and STATUS, through netmgr's plugins alone."""
import pytest
from cni_list import Attach, Driver
from confs import FAMILIES, MATRIX, V4, conflist, host_local, plugin
from netmgr_host import settle
from test_chains import FIVE, SAID

FIELDS = {"cniVersion", "interfaces", "ips", "routes", "dns"}


@pytest.fixture
def driver(host):
    return Driver(host, [f"{host.dir}/cni"])


@pytest.fixture
def nic(host):
    host.pod("wire")
    host.run(["sh", "-ec", "ip link add nic0 type veth peer name nic1 netns wire; ip link set nic0 up; "
              "ip -n wire link set nic1 up"])
    yield
    host.run(["ip", "link", "del", "nic0"])


@pytest.fixture(autouse=True)
def no_bridge_stays(host):
    yield
    for bridge in host.ip("link", "show", "type", "bridge"):
        if bridge.get("ifname"):
            host.run(["ip", "link", "del", bridge["ifname"]])


def attach(driver, net, pod=None, **keys):
    a = Attach(net, pod or driver.host.pod(), **keys)
    driver.add(a).expect_ok()
    return a


@pytest.mark.parametrize("kind, family", MATRIX)
def test_version_1_1_0(host, driver, nic, kind, family):
    a = attach(driver, conflist(plugin(kind, family), version="1.1.0"), ifname="lo" if kind == "loopback" else "eth0")
    result = a.result
    assert result["cniVersion"] == "1.1.0" and set(result) <= FIELDS
    inside = [i for i in result["interfaces"] if i.get("sandbox")]
    assert [(i["name"], i["sandbox"], i["mac"]) for i in inside] == \
        [(a.ifname, a.pod.path, a.pod.link(a.ifname)["address"])]
    if kind != "loopback":
        assert inside[0]["mtu"] == a.pod.link(a.ifname)["mtu"]
        assert len(result.get("ips", [])) == len(FAMILIES[family])
        assert all(result["interfaces"][ip["interface"]] == inside[0] for ip in result.get("ips", []))
        assert {ip["address"] for ip in result.get("ips", [])} == a.pod.addresses()
    driver.check(a).expect_ok()
    driver.status(a.net).expect_ok()
    driver.delete(a).expect_ok()
    driver.delete(a).expect_ok()


def test_versions(driver):
    """Every name can be asked for its versions; those that the reference does not have are refused."""
    everything = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
    for kind in ("bridge", "ptp", "macvlan", "ipvlan", "vlan", "host-device", "loopback", "tap", "dummy", "portmap", "tuning",
                 "sbr", "host-local", "static"):
        assert driver.versions(kind) == everything, kind
    for kind, first in (("bandwidth", "0.3.0"), ("vrf", "0.3.1"), ("firewall", "0.4.0")):
        assert driver.versions(kind) == everything[everything.index(first):], kind


# --- GC ------------------------------------------------------------------------------------------

# what is listed: which of pods 1 (gone), 2 (gone), 3 (alive) stays
LISTS = {"empty": ([], {3}), "null": (None, {3}), "absent": ("absent", {3}), "one": ([1], {1, 3}), "all": ([1, 2, 3], {1, 2, 3})}


@pytest.mark.parametrize("chain", ["alone", "five"])
@pytest.mark.parametrize("listed", LISTS)
def test_gc(host, driver, listed, chain):
    """Two pods whose netns went without DEL, one that lives: what is not listed and dead goes."""
    net = conflist(plugin("bridge", "v4"), *(FIVE if chain == "five" else []), version="1.1.0")
    said = {k: v for k, v in SAID["capabilities"].items() if k == "bandwidth"}
    pods = {i: attach(driver, net, capabilities=said) for i in (1, 2, 3)}
    valid, stay = LISTS[listed]
    valid = [pods[i] for i in valid] if isinstance(valid, list) else valid
    for i in (1, 2):
        host.run(["ip", "netns", "delete", pods[i].pod.name])
        pods[i].pod.exists = False
    driver.gc(net, valid).expect_ok()
    stay = {f"{pods[i].cid}/eth0" for i in stay}
    if listed == "absent":
        # one that the kernel has not quite ended yet is left to the watch of namespaces
        settle(lambda: set(host.held().values()) == stay, "only the living hold an address")
    # what died is released soon by itself as well, also where a list still has it
    assert {f"{pods[3].cid}/eth0"} <= set(host.held().values()) <= stay
    driver.check(pods[3]).expect_ok()
    for a in pods.values():
        driver.delete(a).expect_ok()


# --- STATUS --------------------------------------------------------------------------------------

def test_status_of_an_exhausted_range(driver):
    ipam = host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.10", "rangeEnd": "10.88.1.11"}]])
    net = conflist(plugin("bridge", "v4", ipam=ipam), FIVE[0], version="1.1.0")
    driver.status(net).expect_ok()
    pods = [attach(driver, net) for _ in range(2)]
    driver.status(net).expect_error(50, "net1")
    for a in pods:
        driver.delete(a).expect_ok()
    driver.status(net).expect_ok()


@pytest.mark.parametrize("kind", ["bridge", "portmap", "host-local"])
def test_status_without_the_daemon(host, driver, kind):
    plain = plugin(kind, "v4") if kind != "portmap" else FIVE[0]
    host.netmgrd.stop()
    driver.status(conflist(plain, version="1.1.0")).expect_error(50, "netmgrd")
    host.netmgrd.start()
    driver.status(conflist(plain, version="1.1.0")).expect_ok()


def test_isolated(host, driver):
    """ingressPolicy isolated is newer than 1.1.1: not even pods of one bridge reach each other."""
    net = conflist(plugin("bridge", "v4"), {"type": "firewall", "ingressPolicy": "isolated"})
    one, two = attach(driver, net), attach(driver, net)
    one.pod.wait_ping("10.88.1.1")
    r = host.run(["ping", "-n", "-c1", "-W1", "10.88.1.3"], netns=one.pod, check=False)
    assert r.returncode != 0, "isolated pods reach each other"
    for a in (one, two):
        driver.delete(a).expect_ok()
