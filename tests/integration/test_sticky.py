# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sticky addresses: an owner gets his again, for a time or until he gives it up; quarantine before others get one."""
import contextlib
import uuid

import pytest
from host_daemon import settle
from netmgr_host import netconf, routed
from pod_networks import NETWORKS, OWNER, annotated, finish, pod_args, reload, write_network

HOUR = 3600


def sticky(seconds=HOUR, subnet="10.97.0.0/24", kind=None, **keys):
    more = {"isGateway": True} if kind == "bridge" else {}
    return netconf("net1", kind=kind, ipam={"type": "local", "subnet": subnet, "stickySec": seconds, **keys}, **more)


def add(host, name, conf=None, pod=None, ifname="eth0", **keys):
    return host.add(conf or sticky(**keys), pod, args=pod_args("shop", name), ifname=ifname)


def address_rows(host):
    return {r["Address"].split("/")[0]: r for r in host.describe("addresses")}


def ended(host, a):
    settle(lambda: not host.sql("SELECT 1 FROM attachment WHERE sandbox = ?", a.cid), "its end is in the ledger")


@contextlib.contextmanager
def reboot(host):
    """Namespaces, links and the boot id are new; the ledger is what was on the disk."""
    host.netmgrd.kill()
    for pod in host.pods:
        pod.delete()
    for name in host.links():
        if name.startswith(("nmg", "nmb-")):
            host.run(["ip", "link", "delete", name], check=False)
    with open(f"{host.dir}/boot_id", "w") as f:
        f.write(f"{uuid.uuid4()}\n")
    host.run(["mount", "--bind", f"{host.dir}/boot_id", "/proc/sys/kernel/random/boot_id"])
    try:
        host.netmgrd.start()
        settle(lambda: host.held() == {}, "nothing of the former boot is held")
        yield
        for a in host.attachments:
            if a.live:
                a.delete().expect_ok()
        host.netmgrd.stop()
    finally:
        host.run(["umount", "/proc/sys/kernel/random/boot_id"])
    host.netmgrd.start()


# --- the pod's name -----------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_the_same_pod_gets_its_address_again(host, kind):
    """As a StatefulSet does it: the same name, another sandbox. Others come between."""
    a, other = add(host, "db-0", kind=kind), add(host, "db-1", kind=kind)
    a.delete().expect_ok()
    assert add(host, "web", kind=kind).ips != a.ips
    again = add(host, "db-0", kind=kind)
    assert again.cid != a.cid and again.ips == a.ips
    again.check().expect_ok()
    again.pod.wait_ping(other.ips[0]) if kind == "bridge" else host.wait_ping(again.ips[0])


def test_both_families(host):
    c = netconf("net1", ipam={"type": "local", "ranges": [[{"subnet": "10.97.0.0/24"}], [{"subnet": "fd97::/64"}]],
                              "stickySec": HOUR})
    a = add(host, "db-0", c)
    a.delete().expect_ok()
    assert add(host, "db-1", c).ips == ["10.97.0.3", "fd97::3"]
    assert add(host, "db-0", c).ips == a.ips


def test_who_has_no_name_has_no_address_again(host):
    a = host.add(sticky())
    a.delete().expect_ok()
    assert host.add(sticky()).ips != a.ips
    assert address_rows(host)[a.ips[0]]["Owner"] is None


def test_not_sticky_unless_the_network_says_so(host):
    a = host.add(routed(), args=pod_args("shop", "db-0"))
    a.delete().expect_ok()
    assert host.add(routed(), args=pod_args("shop", "db-0")).ips != a.ips


def test_the_old_sandbox_still_has_it(host):
    """The new sandbox comes before the DEL of the old one: it gets another address, and keeps that."""
    old = add(host, "db-0")
    new = add(host, "db-0")
    assert new.ips != old.ips
    old.delete().expect_ok()
    new.check().expect_ok()
    new.delete().expect_ok()
    assert add(host, "db-0").ips == new.ips


def test_its_time_is_over(host):
    a = add(host, "db-0", seconds=1, quarantineSec=0)
    a.delete().expect_ok()
    row = address_rows(host)[a.ips[0]]
    assert row["Owner"] == "shop/db-0" and row["StickyUntil"] > row["ReleasedAt"]

    def gone():
        b = add(host, "web", seconds=1, quarantineSec=0)
        b.delete().expect_ok()
        return a.ips[0] not in address_rows(host)
    settle(gone, "the address is nobody's any more")
    assert add(host, "db-0", seconds=1, quarantineSec=0).ips != a.ips


def test_others_get_it_when_nothing_else_is_left(host):
    c = sticky(subnet="10.97.0.0/29")
    pods = [add(host, f"db-{i}", c) for i in range(5)]
    for i in (2, 0):
        pods[i].delete().expect_ok()
    assert add(host, "web-0", c).ips == pods[2].ips  # the longest released first
    assert add(host, "db-0", c).ips == pods[0].ips


def test_a_requested_address_goes_before(host):
    a = add(host, "db-0")
    a.delete().expect_ok()
    b = host.add({**sticky(), "runtimeConfig": {"ips": ["10.97.0.77"]}}, args=pod_args("shop", "db-0"))
    assert b.ips == ["10.97.0.77"]
    b.delete().expect_ok()
    assert add(host, "db-0").ips == ["10.97.0.77"]  # the one that it had last
    assert host.add({**sticky(), "runtimeConfig": {"ips": a.ips}}, args=pod_args("shop", "x")).ips == a.ips


def test_an_add_that_fails_takes_nothing_away(host):
    """The pod comes again, and its ADD fails behind the choice of the address: it is still promised."""
    conf = {**sticky(), "capabilities": {"portMappings": True},
            "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}
    a = add(host, "db-0")
    holder = host.add(conf, args=pod_args("shop", "holder"))
    a.delete().expect_ok()
    before = address_rows(host)[a.ips[0]]
    reply, _ = host.try_add(conf, args=pod_args("shop", "db-0"))
    reply.expect_error(103, "8080")
    assert address_rows(host)[a.ips[0]]["ReleasedAt"] == before["ReleasedAt"]
    host.netmgrd.restart()
    assert address_rows(host)[a.ips[0]]["Owner"] == "shop/db-0"
    assert add(host, "web").ips != a.ips
    assert add(host, "db-0").ips == a.ips
    holder.check().expect_ok()


def test_an_add_that_fails_in_the_kernel(host):
    """Likewise when the row was written, and the kernel refuses."""
    a = add(host, "db-0", kind="bridge")
    a.delete().expect_ok()
    before = address_rows(host)[a.ips[0]]["ReleasedAt"]
    conf = sticky(kind="bridge", routes=[{"dst": "10.99.0.0/16", "gw": "10.96.0.1"}])  # nobody reaches that gateway
    reply, _ = host.try_add(conf, args=pod_args("shop", "db-0"))
    reply.expect_error(105, "route")
    assert address_rows(host)[a.ips[0]]["ReleasedAt"] == before
    host.netmgrd.kill()
    host.netmgrd.start()
    assert add(host, "db-0", kind="bridge").ips == a.ips


@pytest.mark.parametrize("key,value", [("stickySec", -1), ("stickySec", "1h"), ("stickySec", 400 * 24 * HOUR),
                                       ("quarantineSec", 400 * 24 * HOUR), ("quarantineSec", True)])
def test_bad_values(host, key, value):
    c = netconf("net1", ipam={"type": "local", "subnet": "10.97.0.0/24", key: value})
    host.try_add(c)[0].expect_error((7, 6), f"ipam.{key}")


def test_a_drop_in_ignores_the_keys(host):
    """A configuration of a reference plugin means what it means there."""
    c = {"cniVersion": "1.0.0", "name": "net1", "type": "bridge", "bridge": "br0", "isGateway": True,
         "ipam": {"type": "host-local", "subnet": "10.97.0.0/24", "stickySec": "nonsense", "quarantineSec": []}}
    a = host.add(c, plugin="bridge", args=pod_args("shop", "db-0"))
    a.delete().expect_ok()
    assert address_rows(host)[a.ips[0]]["Owner"] is None
    host.run(["ip", "link", "delete", "br0"])  # as the reference plugin leaves it


# --- over restarts ------------------------------------------------------------------------------

@pytest.mark.parametrize("way", ["restart", "kill"])
def test_over_a_restart(host, way):
    a, held = add(host, "db-0"), add(host, "db-1")
    a.delete().expect_ok()
    if way == "kill":
        ended(host, a)
        host.netmgrd.kill()
        host.netmgrd.start()
    else:
        host.netmgrd.restart()
    assert add(host, "web").ips not in (a.ips, held.ips)
    assert add(host, "db-0").ips == a.ips
    held.delete().expect_ok()
    assert add(host, "db-1").ips == held.ips


def test_over_a_reboot(host):
    """Who had an address when the machine went down has it again; so has who had given it back before."""
    a, held, plain = add(host, "db-0"), add(host, "db-1"), host.add(routed("net2", "10.98.0.0/24"))
    a.delete().expect_ok()
    ended(host, a)
    with reboot(host):
        rows = address_rows(host)
        assert set(rows) == {a.ips[0], held.ips[0]} and plain.ips[0] not in rows
        assert {r["Owner"] for r in rows.values()} == {"shop/db-0", "shop/db-1"}
        assert add(host, "web").ips[0] not in rows
        assert add(host, "db-1").ips == held.ips
        assert add(host, "db-0").ips == a.ips


# --- quarantine ---------------------------------------------------------------------------------

def test_quarantine_of_a_network(host):
    """One network waits an hour, the other not at all, the third as the daemon says."""
    def conf(name, net, **keys):
        return netconf(name, ipam={"type": "local", "subnet": f"10.97.{net}.0/24", **keys})
    long, none, default = conf("n1", 1, quarantineSec=HOUR), conf("n2", 2, quarantineSec=0), conf("n3", 3)
    given = [host.add(c) for c in (long, none, default)]
    for a in given:
        a.delete().expect_ok()
    next_ = host.add(none)  # what has rested is forgotten by the next ADD
    rows = address_rows(host)
    assert [a.ips[0] in rows for a in given] == [True, False, True]
    assert host.add(long).ips == ["10.97.1.3"] and next_.ips == ["10.97.2.3"]


@pytest.mark.host(conf="[Addresses]\nCooldownSec=0\n")
def test_quarantine_outlives_a_reboot(host):
    c = netconf("net1", ipam={"type": "local", "subnet": "10.97.0.0/24", "quarantineSec": HOUR})
    a = host.add(c)
    with reboot(host):
        assert a.ips[0] in address_rows(host)
        host.add(c)
        assert a.ips[0] in address_rows(host)


# --- owners and claims ----------------------------------------------------------------------------

def ready(host, **keys):
    write_network(host, "blue", "bridge", "10.98.1.0/24", ipam={"stickySec": HOUR, **keys})
    reload(host)


def test_each_interface_has_its_own(host):
    ready(host)
    conf = annotated(sticky(), {NETWORKS: "blue,blue"})
    first = host.add(conf, args=pod_args("shop", "db-0"))
    had = [first.pod.addresses(i) for i in ("eth0", "net1", "net2")]
    first.delete().expect_ok()
    host.add(conf, args=pod_args("shop", "web"))
    again = host.add(conf, args=pod_args("shop", "db-0"))
    assert [again.pod.addresses(i) for i in ("eth0", "net1", "net2")] == had
    finish(host)


def test_an_owner_that_is_no_pod(host):
    """What hands a pod's place on (a Deployment of one, a virtual machine) names itself."""
    a = host.add(annotated(sticky(), {OWNER: "vm-1"}), args=pod_args("shop", "virt-launcher-abc"))
    a.delete().expect_ok()
    assert add(host, "virt-launcher-abc").ips != a.ips
    assert host.add(annotated(sticky(), {OWNER: "vm-1"}), args=pod_args("shop", "virt-launcher-xyz")).ips == a.ips
    assert address_rows(host)[a.ips[0]]["Owner"] == "shop/vm-1"


def claiming(claim="disk", name="blue", **keys):
    return annotated(routed(), {NETWORKS: [{"name": name, "ipam-claim-reference": claim, **keys}]})


@pytest.mark.sanitize
def test_a_claim_lasts_until_it_is_given_up(host):
    write_network(host, "blue", "bridge", "10.98.1.0/29")  # not sticky: a claim does not need it
    reload(host)
    a = host.add(claiming(), args=pod_args("shop", "vm"))
    address = a.pod.addresses("net1")
    assert address == {"10.98.1.2/29"}
    a.delete().expect_ok()
    row = address_rows(host)["10.98.1.2"]
    assert (row["State"], row["Owner"], row["StickyUntil"]) == ("kept", "claim/shop/disk", None)

    # nobody else gets it, by whatever way
    others = [host.add(annotated(routed(), {NETWORKS: "blue"}), args=pod_args("shop", f"o{i}")) for i in range(4)]
    host.try_add(annotated(routed(), {NETWORKS: "blue"}), args=pod_args("shop", "o5"))[0].expect_error(
        101, "kept for their owners", "netmgrctl release")
    wish = [{"name": "blue", "ips": ["10.98.1.2/29"]}]
    host.try_add(annotated(routed(), {NETWORKS: wish}), args=pod_args("shop", "o6"))[0].expect_error(
        102, "10.98.1.2", "claim/shop/disk")
    with reboot(host):
        # in another pod, at another interface
        b = host.add(claiming(interface="lan0"), args=pod_args("shop", "vm-migrated"))
        assert b.pod.addresses("lan0") == address
        b.delete().expect_ok()

        assert host.ctl("release", "claim/shop/other").returncode == 3
        said = host.ctl("release", "claim/shop/disk")
        assert said.returncode == 0 and "1 address of claim/shop/disk" in said.stdout, said.stderr
        assert address_rows(host)["10.98.1.2"]["Owner"] is None
        past = [r for r in host.ctl_json("history", "10.98.1.2")["history"] if r["EndedBy"] == "give-up"]
        assert len(past) == 1 and past[0]["Reason"] == "was kept for claim/shop/disk"
        host.netmgrd.restart()
        assert address_rows(host)["10.98.1.2"]["Owner"] is None
    for o in others:
        o.live = False
    finish(host)


def test_given_up_while_it_is_held(host):
    ready(host, quarantineSec=0)
    a = host.add(claiming(), args=pod_args("shop", "vm"))
    assert host.manager("ReleaseAddresses", "s", "claim/shop/disk") == [1]
    a.check().expect_ok()
    a.delete().expect_ok()
    assert address_rows(host)["10.98.1.2"]["Owner"] is None
    finish(host)


def test_a_claim_that_somebody_has(host):
    """Two pods with one claim, a live migration: both have an address, and the claim the one that it had first."""
    ready(host)
    a = host.add(claiming(), args=pod_args("shop", "source"))
    b = host.add(claiming(), args=pod_args("shop", "target"))
    assert a.pod.addresses("net1") != b.pod.addresses("net1")
    finish(host)


@pytest.mark.parametrize("owner", ["", "x" * 325])
def test_bad_owners(host, owner):
    name, text = host.call_error("/org/netmgr1", "org.netmgr1.Manager", "ReleaseAddresses", "s", owner)
    assert name == "org.netmgr1.Error.InvalidArgument" and "owner" in text


def test_a_list_with_owners(host):
    add(host, "db-0").delete().expect_ok()
    text = host.ctl("list", "addresses").stdout
    assert "shop/db-0" in text and "OWNER" in text
