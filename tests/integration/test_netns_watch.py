# SPDX-License-Identifier: LGPL-2.1-or-later
"""A sandbox dies and nobody says DEL: it is noticed, released, and its addresses return. And what only
looks dead is left alone."""
import contextlib
import json
import os
import re

import pytest
from netmgr_host import LIMIT, Pod, bridge, routed, settle

LOOPBACK = {"cniVersion": "1.0.0", "name": "cni-loopback", "type": "loopback"}
SWEEP = 30.0  # seconds between two looks at what no event tells of


class ProcessPod(Pod):
    """The namespace of a process, by its path in /proc: no name, no mount."""

    def __init__(self, host, name):
        super().__init__(host, name)
        self.process = host.popen(["unshare", "--net", "sleep", "infinity"])
        self.path = f"/proc/{self.process.pid}/ns/net"
        settle(lambda: self.command() == "sleep", "the process has a namespace of its own")
        host.pods.append(self)

    def command(self):
        with open(f"/proc/{self.process.pid}/comm") as f:
            return f.read().strip()

    @property
    def outside(self):
        return self.path

    def delete(self):
        if self.exists:
            self.process.kill()
            self.process.wait()
            self.exists = False


def add_loopback(host, pod, **keys):
    return host.add(LOOPBACK, pod, plugin="loopback", ifname="lo", **keys)


def settle_released(host, limit=LIMIT, **left):
    settle(lambda: host.ledger()["sandbox"] == left.get("sandboxes", []),
           lambda: f"the dead are released: {host.ledger()}\n{host.netmgrd.text()}", limit)


def events(host, op):
    return [(e["sandbox"], e["ifname"], e["addresses"], e["reason"])
            for e in host.sql("SELECT * FROM event WHERE op = ? ORDER BY seq", op)]


def edit(host, statement):
    """Changes the ledger while netmgrd is down, as the user that owns it."""
    host.run(["/usr/bin/python3", "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); "
              "d.execute(sys.argv[2]); d.commit()", f"{host.state_dir}/netmgr.db", statement], user="netmgr")


# --- dead ----------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_without_del(host, kind):
    conf = routed("net1", "10.97.0.0/24", "fd97::/64") if kind == "routed" else bridge("net1")
    keys = {"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
                              "bandwidth": {"ingressRate": 10 ** 8, "egressRate": 10 ** 8,
                                            "ingressBurst": 10 ** 6, "egressBurst": 10 ** 6}}}
    a, b = host.add({**conf, **keys}), host.add(conf)
    a.pod.delete()
    settle_released(host, sandboxes=[b.cid])
    assert events(host, "gone") == [(a.cid, "eth0", ",".join(a.cidrs), "its network namespace is gone")]
    state = {x["Address"]: x["State"] for x in host.describe("addresses")}
    assert {state[c] for c in a.cidrs} == {"released"}  # they rest before somebody gets them
    assert host.ledger()["port"] == [] and host.ledger()["shaping"] == []
    b.check().expect_ok()
    a.delete().expect_ok()  # the runtime's DEL comes after all
    assert len(events(host, "gone")) == 1 and events(host, "del") == []


def test_loopback_goes_with_the_other_interface(host):
    pod = host.pod()
    add_loopback(host, pod)
    a = host.add(routed(), pod)
    b = host.add(routed("net2", "10.97.2.0/24", routes=[{"dst": "10.98.0.0/16"}]), pod, ifname="eth1")
    pod.delete()
    settle_released(host)
    assert sorted(e[1] for e in events(host, "gone")) == ["eth0", "eth1", "lo"]
    for x in (a, b):
        x.delete().expect_ok()


def test_without_interfaces_by_the_name(host):
    """No host end tells: the name vanishes from its directory."""
    a, b = (add_loopback(host, host.pod()) for _ in range(2))
    a.pod.delete()
    settle_released(host, sandboxes=[b.cid])
    b.pod.delete()
    settle_released(host)


def test_without_interfaces_by_the_directory(host):
    host.run(["sh", "-c", "mkdir /run/own && touch /run/own/x"])
    pod = host.pod()
    host.run(["mount", "--bind", pod.path, "/run/own/x"])
    pod.path, named = "/run/own/x", pod.path
    a = add_loopback(host, pod)
    host.run(["sh", "-c", "umount /run/own/x && rm -r /run/own"])
    settle_released(host)
    pod.path = named
    a.delete().expect_ok()


def test_of_a_process(host):
    pod = ProcessPod(host, "proc1")
    add_loopback(host, pod)
    a = host.add(routed(), pod)
    pod.delete()
    settle_released(host)
    a.delete().expect_ok()


def test_many_at_once(host):
    many = host.add_many(routed("net1", "10.97.0.0/23"), 60)
    keep = many.pop()
    host.run(["sh", "-c", "for n in \"$@\"; do ip netns delete $n; done", "sh", *(a.pod.name for a in many)])
    for a in many:
        a.pod.exists = a.live = False
    settle_released(host, sandboxes=[keep.cid])
    keep.check().expect_ok()
    assert list(host.held()) == keep.cidrs


@pytest.mark.sanitize
def test_what_only_the_sweep_finds(host):
    """A process that ended, a mount that was undone while its name stayed; without a host end to tell."""
    process, mount, live = ProcessPod(host, "proc1"), host.pod(), ProcessPod(host, "proc2")
    dead = [add_loopback(host, process), add_loopback(host, mount)]
    c = add_loopback(host, live)
    process.delete()
    host.run(["umount", mount.path])
    settle_released(host, limit=LIMIT + SWEEP, sandboxes=[c.cid])
    for x in (*dead, c):
        x.delete().expect_ok()


def test_the_path_belongs_to_another_namespace(host):
    conf = routed()
    old = host.add(conf)
    lo = add_loopback(host, host.pod())
    host.netmgrd.stop()
    for x in (old, lo):
        x.pod.delete()
    settle(lambda: host.link(old.host_ifname) is None, "the kernel has ended the namespace")
    pods = [host.pod(x.pod.name) for x in (old, lo)]
    host.netmgrd.start()
    settle_released(host)
    new = host.add(conf, pods[0], cid="another")
    new.check().expect_ok()
    old.delete().expect_ok()
    new.check().expect_ok()


# --- dead while netmgrd was down -----------------------------------------------------------------

@pytest.mark.parametrize("sort", ["named", "process"])
def test_died_while_the_daemon_was_down(host, sort):
    def pod():
        return host.pod() if sort == "named" else ProcessPod(host, f"proc{next(host.numbers)}")
    dead, dead_lo = host.add(routed(), pod()), add_loopback(host, pod())
    live, live_lo = host.add(routed(), pod()), add_loopback(host, pod())
    host.netmgrd.kill()
    for x in (dead, dead_lo):
        x.pod.delete()
    settle(lambda: host.link(dead.host_ifname) is None, "the kernel has ended the namespace")
    host.netmgrd.start()
    settle_released(host, sandboxes=sorted([live.cid, live_lo.cid]))
    # and the watches are there again
    if sort == "named":
        live_lo.pod.delete()
        settle_released(host, sandboxes=[live.cid])
    live.pod.delete()
    settle(lambda: live.cid not in host.ledger()["sandbox"], "found by its interface")


def test_number_of_the_process_was_used_again(host):
    """Another process has the number now: as the ledger would find it after a start."""
    pod = ProcessPod(host, "proc1")
    a = add_loopback(host, pod)
    b = add_loopback(host, ProcessPod(host, "proc2"))
    host.netmgrd.stop()
    assert host.sql("SELECT netns_start FROM sandbox WHERE id = ?", a.cid)[0]["netns_start"] > 0
    edit(host, f"UPDATE sandbox SET netns_start = netns_start - 1 WHERE id = '{a.cid}'")
    host.netmgrd.start()
    settle_released(host, sandboxes=[b.cid])
    for x in (a, b):
        x.delete().expect_ok()


# --- not dead ------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_mount_undone_but_a_process_lives_in_it(host):
    a = host.add(routed())
    holder = host.popen(["sleep", "infinity"], netns=a.pod)
    settle(lambda: os.readlink(f"/proc/{holder.pid}/ns/net") == f"net:[{os.stat(a.pod.outside).st_ino}]",
           "the process is in the namespace")
    a.pod.delete()
    said = host.ctl_json("gc")["sandboxes"]
    assert [(x["Id"], x["Action"]) for x in said] == [(a.cid, "kept")]
    assert "interface is still there" in said[0]["Reason"]
    host.netmgrd.restart()
    assert [x["Action"] for x in host.ctl_json("gc")["sandboxes"]] == ["kept"]
    host.wait_ping(a.ips[0])
    assert host.held() == {a.cidrs[0]: f"{a.cid}/eth0"}
    holder.kill()
    holder.wait()
    settle_released(host)
    a.live = False


@pytest.mark.parametrize("running", [True, False], ids=["running", "down"])
def test_link_deleted_by_hand(host, running):
    """The namespace lives: that is no end of a sandbox, and the interface is made anew."""
    a = host.add(routed())
    if not running:
        host.netmgrd.stop()
    host.run(["ip", "link", "delete", a.host_ifname])
    if not running:
        host.netmgrd.start()
    settle(lambda: "was deleted, but the network namespace" in host.netmgrd.text() or
           host.link(a.host_ifname), "it was noticed")
    settle(lambda: host.link(a.host_ifname) and a.check().ok, "the interface is there again")
    assert host.held() == {a.cidrs[0]: f"{a.cid}/eth0"} and events(host, "gone") == []


def test_mount_of_another_mount_namespace(host):
    """The path never led anywhere from here: that it does not now is no evidence."""
    pod = host.pod()
    host.run(["touch", "/run/other-name"])
    script = ("mount --bind %s /run/other-name && exec %s/cni/" % (pod.path, host.dir))
    for plugin, ifname, conf in (("loopback", "lo", LOOPBACK), ("netmgr", "eth0", routed())):
        r = host.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script + plugin],
                     env=host.cni_env("ADD", "c1", ifname, "/run/other-name"), input=json.dumps(conf))
        assert r.returncode == 0
        assert host.ctl_json("gc")["sandboxes"] == []
    host.netmgrd.restart()
    assert host.ctl_json("gc")["sandboxes"] == []
    assert host.ledger()["sandbox"] == ["c1"] and len(host.ledger()["attachment"]) == 2
    pod.delete()  # but the end of the interface is
    settle_released(host)


def test_add_again_within_the_grace(host):
    """The runtime makes the same sandbox anew before the old one is released: the new one lives on."""
    conf = routed()
    a = host.add(conf)
    a.pod.delete()
    a.live = False
    settle(lambda: host.link(a.host_ifname) is None, "the kernel has ended the namespace")
    pod = host.pod(a.pod.name)
    b = settle(lambda: host.try_add(conf, pod, cid=a.cid)[1], "ADD succeeds")
    settle(lambda: len(events(host, "gone") + events(host, "replaced")) == 1, "the old one has ended")
    b.check().expect_ok()
    assert host.held() == {b.cidrs[0]: f"{b.cid}/eth0"}


# --- bounds --------------------------------------------------------------------------------------

def watches(host):
    """Directories that netmgrd has inotify watches on."""
    found = 0
    for fd in os.listdir(f"/proc/{host.netmgrd.pid}/fdinfo"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/{host.netmgrd.pid}/fdinfo/{fd}") as f:
            found += len(re.findall(r"^inotify wd:", f.read(), re.MULTILINE))
    return found


def test_watches_are_shared_bounded_and_given_back(host):
    before = watches(host)
    one = [add_loopback(host, host.pod()) for _ in range(5)]
    two = host.pod()
    two.path = two.path.replace("/run/", "/var/run/")
    one.append(add_loopback(host, two))
    assert watches(host) == before + 1  # two spellings, one directory
    two.path = two.path.replace("/var/run/", "/run/")
    many = host.make_pods(70)
    for i, pod in enumerate(many):
        host.run(["sh", "-c", f"mkdir -p /run/d{i} && touch /run/d{i}/x && mount --bind {pod.path} /run/d{i}/x"])
        pod.path = f"/run/d{i}/x"
    host.parallel(70, lambda i: add_loopback(host, many[i]))
    assert watches(host) == before + 64
    assert not host.netmgrd.netns_fds() and not host.nsd.netns_fds()
    for i, pod in enumerate(many):
        host.run(["sh", "-c", f"umount /run/d{i}/x && rm -r /run/d{i}"])
    for a in one:
        a.delete().expect_ok()
    # what lies beyond the limit is left to the sweep, or to who asks
    settle(lambda: len(host.ledger()["sandbox"]) == 70 - 63, "what is watched is released")
    assert {x["Action"] for x in host.ctl_json("gc")["sandboxes"]} == {"released"}
    settle_released(host)
    settle(lambda: watches(host) == before, "the watches are given back")


def test_another_interface_by_another_path(host):
    """The ledger follows: after a start the first path, which is gone by then, is no evidence of an end."""
    pod = host.pod()
    host.run(["sh", "-c", "mkdir /run/own && touch /run/own/x && mount --bind $0 /run/own/x", pod.path])
    pod.path, named = "/run/own/x", pod.path
    first = add_loopback(host, pod)
    pod.path = named
    second = host.add({"cniVersion": "1.0.0", "name": "lonet", "type": "netmgr", "kind": "loopback"}, pod, ifname="lo1")
    host.run(["sh", "-c", "umount /run/own/x && rm -r /run/own"])
    assert host.ctl_json("gc")["sandboxes"] == []
    host.netmgrd.restart()
    assert host.ctl_json("gc")["sandboxes"] == []
    assert {a["ifname"] for a in host.sql("SELECT ifname FROM attachment")} == {first.ifname, second.ifname}
    pod.delete()
    settle_released(host)
