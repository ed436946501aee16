# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgrd stops, is killed, starts again, or the machine reboots: what was promised stays."""
import signal
import uuid

import pytest
from netmgr_host import LIB, bridge, routed, settle


@pytest.mark.sanitize
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL], ids=lambda s: s.name)
def test_attachments_survive(host, sig):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
    b = host.add(bridge("net2", isDefaultGateway=True))
    before = {k: v for k, v in host.snapshot().items() if not k.startswith("descriptors")}
    status = host.netmgrd.stop(sig)
    assert status == (0 if sig != signal.SIGKILL else -signal.SIGKILL)
    a.pod.wait_ping(b.ips[0])  # the datapath needs no daemon
    host.netmgrd.start()
    after = {k: v for k, v in host.snapshot().items() if not k.startswith("descriptors")}
    assert not host.difference(before, after)
    for x in (a, b):
        x.check().expect_ok()
    c = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
    assert not set(c.ips) & set(a.ips)
    c.pod.wait_ping(a.ips[0])


def test_everything_is_known_again(host):
    a = host.add(routed(), args="IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web;K8S_POD_UID=u1")
    before = [host.describe(what) for what in ("sandboxes", "attachments", "networks", "addresses")]
    host.netmgrd.restart(signal.SIGKILL)
    assert [host.describe(what) for what in ("sandboxes", "attachments", "networks", "addresses")] == before
    a.delete().expect_ok()


def test_killed_in_the_middle_of_many_adds(host):
    """Whatever the kill hits: afterwards ledger, kernel and answers agree, and DEL clears the rest."""
    conf = routed("net1", "10.97.0.0/24")
    pods = host.make_pods(24)

    def one(i):
        if i == 12:
            host.netmgrd.kill()
            return None
        return host.try_add(conf, pods[i], env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"})[0]
    replies = host.parallel(24, one, workers=8)
    host.netmgrd.start()
    up = [a for a in host.attachments]
    settle(lambda: {s for _, _, _, s in host.ledger()["attachment"]} <= {"up"}, "no half-made row is left")
    for a in up:
        a.check().expect_ok()
    held = host.held()
    assert {f"{a.cid}/eth0" for a in up} <= set(held.values())
    names = {a["HostInterface"] for a in host.describe("attachments")}
    assert {x for x in host.links() if x.startswith("nmg")} == names
    for reply in replies:
        if reply is not None and not reply.ok and reply.stdout:
            assert reply.code == 11, reply
    for pod in pods:  # as a runtime does after a failed ADD
        host.cni("DEL", conf, pod.name, "eth0", pod.path).expect_ok()
    for a in up:
        a.live = False
    assert host.held() == {}


@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_row_of_a_dead_namespace_is_released_at_start(host, kind):
    conf = routed("net1") if kind == "routed" else bridge("net1")
    a, b = host.add(conf), host.add(conf)
    host.netmgrd.kill()
    a.pod.delete()
    settle(lambda: host.link(a.host_ifname) is None, "the kernel has ended the namespace")
    host.netmgrd.start()
    settle(lambda: list(host.held().values()) == [f"{b.cid}/eth0"], "the dead sandbox's address is released")
    a.delete().expect_ok()
    b.check().expect_ok()


def test_a_planned_row_is_undone_at_start(host):
    """The row is committed before the kernel is touched: with only the row there, nothing came of it."""
    a = host.add(routed())
    host.netmgrd.stop()
    host.run(["ip", "link", "delete", a.host_ifname])
    host.run(["/usr/bin/python3", "-c", "import sqlite3; d = sqlite3.connect('%s/netmgr.db'); "
              "d.execute(\"UPDATE attachment SET state = 'planned', result = NULL\"); d.commit()" % host.state_dir],
             user="netmgr")
    host.netmgrd.start()
    settle(lambda: host.held() == {} and host.ledger()["attachment"] == [], "the planned row is undone")
    a.live = False
    host.add(routed(), a.pod)


def test_a_wiring_row_with_links_is_undone_at_start(host):
    a = host.add(bridge())
    host.netmgrd.stop()
    host.run(["/usr/bin/python3", "-c", "import sqlite3; d = sqlite3.connect('%s/netmgr.db'); "
              "d.execute(\"UPDATE attachment SET state = 'wiring', result = NULL\"); d.commit()" % host.state_dir],
             user="netmgr")
    host.netmgrd.start()
    settle(lambda: host.held() == {} and host.link(a.host_ifname) is None, "links of the half-made row are gone")
    a.live = False
    host.add(bridge(), a.pod)


def test_reboot(host):
    """Namespaces, links and the boot id are new; the ledger is what was on the disk."""
    a, b = host.add(routed()), host.add(bridge("net2"))
    host.netmgrd.kill()
    for pod in (a.pod, b.pod):
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
        assert host.ledger()["attachment"] == [] and host.ledger()["sandbox"] == []
        for x in (a, b):
            x.delete().expect_ok()  # the runtime still calls it
        new = host.add(routed())
        new.check().expect_ok()
        assert new.host_ifname != a.host_ifname  # ids are never used twice
        new.delete().expect_ok()
        host.netmgrd.stop()
    finally:
        host.run(["umount", "/proc/sys/kernel/random/boot_id"])
    host.netmgrd.start()


def test_the_bus_comes_back(host):
    """netmgrd serves the private socket without a bus, or ends so that its supervisor starts it again."""
    a = host.add(routed())
    host.dbus.stop()
    host.dbus.start()
    if not host.netmgrd.running:
        host.netmgrd.start()
    else:
        settle(lambda: not host.netmgrd.running or host.name_has_owner("org.netmgr1"),
               "netmgrd has its name again or has ended")
        if not host.netmgrd.running:
            host.netmgrd.start()
    a.check().expect_ok()
    assert host.manager("ListSandboxes")[0][0][0] == a.cid


def test_second_daemon_on_one_ledger_is_refused(host):
    """Two writers of one ledger would give out addresses twice."""
    a = host.add(routed())
    host.run(["install", "-d", "-o", "netmgr", "-g", "netmgr", "/run/netmgr-second"])
    r = host.run([f"{LIB}/part", "netmgrd"], check=False,
                 env={"NOTIFY_SOCKET": None, "NETMGR_BUS_ADDRESS": "none", "NETMGR_RUNTIME_DIR": "/run/netmgr-second"})
    assert r.returncode != 0 and (r.stderr + r.stdout).strip()
    a.check().expect_ok()


@pytest.mark.sanitize
def test_damaged_ledger_is_set_aside(host):
    host.netmgrd.stop()
    for suffix in ("-wal", "-shm"):
        host.run(["rm", "-f", f"{host.state_dir}/netmgr.db{suffix}"])
    host.run(["sh", "-c", f"head -c 20000 /dev/urandom > {host.state_dir}/netmgr.db"])
    host.netmgrd.start()
    aside = host.run(["sh", "-c", f"ls {host.state_dir}"]).stdout
    assert "damaged" in aside
    assert host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") in ("ok", "degraded")
    host.add(routed())
