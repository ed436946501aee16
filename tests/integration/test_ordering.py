# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests in an order that nobody wished for: what runtimes do when they crash, hurry, or give up."""
import itertools
import json
import os
import signal
import subprocess
import threading

import pytest
from failpoints import Failpoints, Point, compiled_in
from netmgr_host import Host, bridge, routed, settle
from runtime_client import TRY_AGAIN, Call, call

POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web;K8S_POD_INFRA_CONTAINER_ID="
KINDS = pytest.mark.parametrize("kind", ["routed", "bridge"])


def network(kind, *subnets, **keys):
    return routed("net1", *subnets, **keys) if kind == "routed" else bridge("net1", *subnets, isDefaultGateway=True, **keys)


def intact(a, before):
    """The attachment is what it was: for itself, for netmgr, and for a packet."""
    a.check().expect_ok()
    assert a.host.describe("attachments") == before
    assert a.pod.addresses() == set(a.cidrs)
    a.host.wait_ping(a.ips[0])


def nothing_is_left(host):
    settle(lambda: host.ledger()["attachment"] == [] and host.held() == {} and
           not [x for x in host.links() if x.startswith("nmg")],
           lambda: f"nothing is left: {host.ledger()} {host.links()}")


# --- DEL that comes late -------------------------------------------------------------------------

@KINDS
@pytest.mark.sanitize
def test_late_del_of_an_old_sandbox(host, kind):
    """The same pod, the same path, the same interface name; only the container ID tells them apart."""
    conf = network(kind)
    first = host.pod("web")
    old = host.add(conf, first, cid="old", args=POD + "old")
    # the old namespace lives on in a process; its path is another's
    process = host.popen(["sleep", "infinity"], netns=first, stdin=subprocess.DEVNULL)
    try:
        settle(lambda: host.run(["ip", "netns", "pids", "web"]).stdout.split(), "the process is in the namespace")
        first.delete()
        second = host.pod("web")
        new = host.add(conf, second, cid="new", args=POD + "new")
        assert new.ips != old.ips
        before = [x for x in host.describe("attachments") if x["Sandbox"] == "new"]
        old.delete().expect_ok()
        assert host.link(old.host_ifname) is None
        intact(new, before)
        old.delete().expect_ok()  # and once more
        intact(new, before)
    finally:
        process.kill()
        process.wait()


@KINDS
def test_late_del_when_the_old_namespace_is_gone(host, kind):
    conf = network(kind)
    first = host.pod("web")
    old = host.add(conf, first, cid="old", args=POD + "old")
    first.delete()
    settle(lambda: host.link(old.host_ifname) is None, "the kernel has ended the namespace")
    new = host.add(conf, host.pod("web"), cid="new", args=POD + "new")
    before = [x for x in host.describe("attachments") if x["Sandbox"] == "new"]
    old.delete().expect_ok()
    intact(new, before)


@KINDS
def test_dels_of_old_sandboxes_while_new_ones_come(host, kind):
    """Twenty generations of one pod; the DEL of each comes while the next but one is made."""
    conf, generations, late = network(kind), [], []
    for i in range(20):
        pod = host.pod("web")
        delayed = [Call(host, "DEL", conf, g.cid, "eth0", pod) for g in generations[:-1] if g.live]
        for g in generations[:-1]:
            g.live = False
        generations.append(host.add(conf, pod, cid=f"web{i}", args=f"{POD}web{i}"))
        late += [x.answer().expect_ok() for x in delayed]
        if i < 19:
            pod.delete()
    assert len(late) == 18
    generations[-2].delete().expect_ok()
    assert list(host.held().values()) == ["web19/eth0"]
    intact(generations[-1], host.describe("attachments"))


# --- ADD after ADD -------------------------------------------------------------------------------

@KINDS
def test_add_again_without_del(host, kind):
    """The specification leaves it to the runtime to ask once; the first answer stays true."""
    conf = network(kind)
    a = host.add(conf, cid="c1")
    before = host.describe("attachments")
    host.cni("ADD", conf, "c1", "eth0", a.pod.path).expect_error(100, "eth0", "DEL")
    intact(a, before)


@KINDS
def test_other_container_in_the_same_namespace(host, kind):
    """Refused, and the DEL with which a runtime ends a failed ADD takes nothing of the other's."""
    conf = network(kind)
    a = host.add(conf, cid="c1")
    before = host.describe("attachments")
    host.cni("ADD", conf, "c2", "eth0", a.pod.path).expect_error(100, "eth0")
    host.cni("DEL", conf, "c2", "eth0", a.pod.path).expect_ok()
    intact(a, before)
    assert host.ledger()["sandbox"] == ["c1"]


@KINDS
def test_add_again_for_a_new_namespace(host, kind):
    """The namespace died without DEL and came again by the same path, with the same container ID."""
    conf = network(kind)
    a = host.add(conf, host.pod("web"), cid="c1")
    a.pod.delete()
    a.live = False
    settle(lambda: host.link(a.host_ifname) is None, "the kernel has ended the namespace")
    b = host.add(conf, host.pod("web"), cid="c1")
    assert set(host.held().values()) == {"c1/eth0"} and list(host.held()) == b.cidrs
    intact(b, host.describe("attachments"))


# --- the sandbox's own doings --------------------------------------------------------------------

MOVES = {
    "renamed": ["ip link set eth0 down", "ip link set eth0 name other0"],
    "to another sandbox": ["ip link set eth0 netns away"],
    "to the host": ["ip link set eth0 netns {host} name stray0"],
    "deleted": ["ip link del eth0"],
    "replaced": ["ip link del eth0", "ip link add eth0 type veth peer other0"],
}


@KINDS
@pytest.mark.parametrize("move", MOVES)
def test_interface_moved_by_the_sandbox(host, kind, move):
    conf = network(kind)
    a, other = host.add(conf), host.add(conf)
    away = host.pod("away")
    for command in MOVES[move]:
        a.pod.run(command.format(host=host.holder.pid).split())
    a.delete().expect_ok()
    links = host.links()
    assert a.host_ifname not in links and "stray0" not in links
    for pod in (a.pod, away):
        assert move == "replaced" or {x["ifname"] for x in pod.ip("link", "show")} == {"lo"}
    assert list(host.held()) == other.cidrs
    other.check().expect_ok()
    if move == "replaced":  # what is not ours stays
        assert a.pod.link("eth0")["linkinfo"]["info_kind"] == "veth"


# --- DEL, and callers that go away, in the middle of an ADD ----------------------------------------

def stopped(daemon):
    os.kill(daemon.pid, signal.SIGSTOP)
    with open(f"/proc/{daemon.pid}/stat") as f:
        settle(lambda: f.seek(0) == 0 and f.read().rsplit(") ", 1)[1][0] == "T", "the process is stopped")


def read_by_now(host):
    """netmgrd has read what was sent before when something later has been answered."""
    call(host, "GC", {"cniVersion": "1.1.0", "name": "nobody", "type": "netmgr"}, "c0").expect_ok()


def under_way(host):
    settle(lambda: any("netns/" in x for x in host.netmgrd.fds()), "netmgrd has the sandbox's namespace in its hands")
    read_by_now(host)


def hanging_add(host, conf, pod, cid="c1"):
    """An ADD that waits for a stopped netmgr-nsd, and is known to netmgrd."""
    stopped(host.nsd)
    asked = Call(host, "ADD", conf, cid, "eth0", pod)
    under_way(host)
    return asked


@KINDS
@pytest.mark.sanitize
def test_del_while_an_add_hangs(host, kind):
    conf, pod = network(kind), host.pod()
    add = hanging_add(host, conf, pod)
    delete = Call(host, "DEL", conf, "c1", "eth0", pod)
    read_by_now(host)
    os.kill(host.nsd.pid, signal.SIGCONT)
    delete.answer().expect_ok()
    assert add.answer().error in ("", TRY_AGAIN), add.known
    nothing_is_left(host)
    assert pod.link("eth0") is None
    host.add(conf, pod, cid="c1")


@KINDS
@pytest.mark.parametrize("then", ["DEL", "no DEL"])
def test_plugin_killed_by_the_runtime_in_the_middle(host, kind, then):
    """A runtime's patience ends: SIGKILL for the plugin process, and DEL, or not even that."""
    conf, pod = network(kind), host.pod()
    stopped(host.nsd)
    plugin = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", "c1", "eth0", pod.path),
                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    plugin.stdin.write(json.dumps(conf).encode())
    plugin.stdin.close()
    under_way(host)
    plugin.kill()
    plugin.wait()
    delete = Call(host, "DEL", conf, "c1", "eth0", pod) if then == "DEL" else None
    os.kill(host.nsd.pid, signal.SIGCONT)
    if delete:
        delete.answer().expect_ok()
    nothing_is_left(host)
    settle(lambda: pod.link("eth0") is None, "nothing is in the sandbox")
    host.add(conf, pod, cid="c1")


def test_many_callers_go_away(host):
    """A hundred ADDs wait, and nobody for them any more; those who still wait get theirs."""
    conf, pods = routed("net1", "10.97.0.0/24"), host.make_pods(100)
    stopped(host.nsd)
    calls = [Call(host, "ADD", conf, pod.name, "eth0", pod) for pod in pods]
    for c in calls[::2]:
        c.abandon()
    os.kill(host.nsd.pid, signal.SIGCONT)
    for c in calls[1::2]:
        c.answer().expect_ok()
    settle(lambda: set(host.held().values()) == {f"{c.cid}/eth0" for c in calls[1::2]},
           "what nobody waited for is undone")
    assert len([x for x in host.links() if x.startswith("nmg")]) == 50
    for c in calls[1::2]:
        call(host, "DEL", conf, c.cid, "eth0", c.pod).expect_ok()


@pytest.mark.host(conf="[Runtime]\nAddTimeoutSec=1\n[Host]\nNodeAddress=192.0.2.1\n")
def test_adds_behind_a_hanging_nsd_end_together(host):
    """Each of them waits no longer than the first: a timeout is not served one after the other."""
    conf, pods = routed("net1", "10.97.0.0/24"), host.make_pods(20)
    stopped(host.nsd)
    calls = [Call(host, "ADD", conf, pod.name, "eth0", pod) for pod in pods]
    # netmgr-nsd is never asked for more than the four that the workers had in hand
    assert all(c.answer().again for c in calls), [c.known for c in calls]
    os.kill(host.nsd.pid, signal.SIGCONT)
    nothing_is_left(host)
    host.add(conf, pods[0])


EVENTS = {
    "DEL": ["del"], "gone": ["close"], "gone, DEL": ["close", "del"], "DEL, gone": ["del", "close"],
}
# The loop itself is held there: nothing can happen meanwhile but that the caller goes.
ON_THE_LOOP = {"bus-reply"}
# Whoever goes after the answer was sent has been told.
TOLD = {"bus-replied"}


@pytest.mark.skipif(not compiled_in(), reason="this build has no failpoints")
@pytest.mark.failpoints
@pytest.mark.sanitize
@KINDS
def test_whatever_happens_at_any_step_of_an_add(kind):
    """Held at every step that an ADD passes, a DEL comes, or the caller goes, or both."""
    with_ports = {"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}
    conf = network(kind, **with_ports)
    host = Host()
    points = Failpoints(host)
    with host:
        resident = host.add(network(kind))  # keeps the network
        pod = host.pod()
        with points.passed() as seen:
            call(host, "ADD", conf, "c0", "eth0", pod).expect_ok()
        call(host, "DEL", conf, "c0", "eth0", pod).expect_ok()
        steps = sorted(p for p in seen if p.process in ("netmgrd", "netmgr-nsd") and p.name not in TOLD)
        assert Point("netmgrd", "nl-veth-add") in steps and Point("netmgrd", "ledger-commit") in steps
        base = {x for x in host.links() if x.startswith("nmg")}
        number = itertools.count(1)
        for step in steps:
            for name, events in EVENTS.items():
                if step.name in ON_THE_LOOP and "del" in events:
                    continue
                for nth in range(1, seen[step] + 1) if seen[step] <= 3 else (1, seen[step]):
                    step_of_an_add(host, points, conf, pod, f"c{next(number)}", step, nth, events)
                    what = f"{step} {nth} {name}"
                    settle(lambda: len(host.ledger()["attachment"]) == 1 and
                           {x for x in host.links() if x.startswith("nmg")} == base and
                           not host.ledger()["port"] and pod.link("eth0") is None,
                           lambda: f"{what}: nothing is left: {host.ledger()} {host.links()}")
        resident.check().expect_ok()
        assert next(number) > 60
        host.finish()


def step_of_an_add(host, points, conf, pod, cid, step, nth, events):
    points.arm(step, "hold", nth=nth)
    add = Call(host, "ADD", conf, cid, "eth0", pod)
    points.await_fired()
    delete = told = None
    for event in events:
        if event == "close":
            told = add.abandon()
        else:
            delete = Call(host, "DEL", conf, cid, "eth0", pod)
            read_by_now(host)
    points.disarm()
    if delete:
        delete.answer().expect_ok()
    elif told and told.ok:  # what the last DEL had left to do was held instead
        call(host, "DEL", conf, cid, "eth0", pod).expect_ok()
    if "close" not in events:
        assert add.answer().error in ("", TRY_AGAIN), add.known


# --- two runtimes, and very many sandboxes ---------------------------------------------------------

def crowd(host, confs, rounds=6, width=10):
    """Each configuration is used by a thread of its own, as two runtimes would. Returns what went wrong."""
    wrong, seen, lock = [], {}, threading.Lock()

    def runtime(name, conf, pods):
        for k in range(rounds):
            adds = [Call(host, "ADD", conf, f"{name}{k}x{i}", "eth0", pod) for i, pod in enumerate(pods)]
            for c in adds:
                c.answer()
                with lock:
                    if not c.known.ok:
                        wrong.append(c.known)
                        continue
                    if c.known.ips[0] in seen:
                        wrong.append((c.known.ips, "is also", seen[c.known.ips[0]]))
                    seen[c.known.ips[0]] = c.cid
            for c in adds:
                if c.known.ok:
                    with lock:  # from here on it may be given to another
                        seen.pop(c.known.ips[0], None)
                answer = call(host, "DEL", conf, c.cid, "eth0", c.pod)
                if not answer.ok:
                    wrong.append(answer)

    threads = [threading.Thread(target=runtime, args=(f"rt{i}-", conf, host.make_pods(width)))
               for i, conf in enumerate(confs)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return wrong


@KINDS
def test_two_runtimes_with_the_same_conflist(host, kind):
    assert crowd(host, [network(kind), network(kind)]) == []
    nothing_is_left(host)


def test_two_runtimes_that_mean_different_networks_by_one_name(host):
    """Each gets addresses of what it asked for, whoever was the last to say what the name means."""
    mine, theirs = network("routed", "10.97.0.0/24"), network("routed", "10.98.0.0/24")
    a, b, c = host.add(mine), host.add(theirs), host.add(mine)
    assert [x.ips[0].rsplit(".", 1)[0] for x in (a, b, c)] == ["10.97.0", "10.98.0", "10.97.0"]
    a.pod.wait_ping(b.ips[0])
    a.delete().expect_ok()
    for x in (b, c):
        x.check().expect_ok()
        x.delete().expect_ok()
    assert crowd(host, [mine, theirs]) == []
    nothing_is_left(host)


@pytest.mark.parametrize("how,width", [("DEL", 50), ("no DEL", 100)])
def test_a_thousand_crash_looping_sandboxes(host, how, width):
    """From a /24 with the default rest of 30 s: the longest-released address goes first, none is refused."""
    conf, room, ips = routed("net1", "10.97.0.0/24"), 253, []
    for k in range(1000 // width):
        pods = host.make_pods(width)
        adds = [Call(host, "ADD", conf, f"g{k}x{i}", "eth0", pod) for i, pod in enumerate(pods)]
        now = [c.answer().ips[0] for c in adds]
        assert len(set(now)) == width
        # as many earlier ones as leave enough for all of these: nobody gets one of theirs
        assert not set(now) & set(ips[-(room // width - 1) * width:])
        ips += now
        if how == "DEL":
            for d in [Call(host, "DEL", conf, c.cid, "eth0", c.pod) for c in adds]:
                d.answer().expect_ok()
        host.run(["sh", "-c", 'for n in "$@"; do ip netns delete "$n" || exit; done', "sh", *(p.name for p in pods)])
        for pod in pods:
            pod.exists = False
        settle(lambda: host.held() == {}, "the addresses of the dead are free")
    assert len(ips) == 1000 and len(set(ips)) == room


@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_del_of_a_host_end_that_was_renamed(host, kind):
    """It is found by its number and the MAC that it was given."""
    a = host.add(network(kind, "10.97.0.0/24"))
    host.run(["sh", "-c", f"ip link set {a.host_ifname} down && ip link set {a.host_ifname} name mine0 && ip link set mine0 up"])
    a.delete().expect_ok()
    settle(lambda: host.link("mine0") is None, "the link is gone")
    assert a.pod.link("eth0") is None
