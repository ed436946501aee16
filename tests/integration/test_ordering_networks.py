# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several networks of one sandbox, and requests in an order that nobody wished for: DEL, attach, detach and CHECK in
the middle of each other, and callers that go away."""
import contextlib
import json
import os
import select
import subprocess

import pytest
from failpoints import Failpoints, Point, compiled_in
from host_daemon import settle
from netmgr_host import MANAGER, ROOT, Host, bridge, routed
from pod_networks import NETWORKS, annotated, finish, interfaces, pod_args, reload, write_list, write_network
from runtime_client import TRY_AGAIN, Call, call
from test_ordering import read_by_now
from vendor import Vendor

BLUE, RED = "10.98.1.0/24", "10.98.2.0/24"
ATTACH = "ssa{sv}"


class Gate:
    """A plugin of others that waits at each of its calls of that kind until it is let through"""

    def __init__(self, vendor, name, program, command="ADD"):
        self.vendor, self.name, self.command = vendor, name, command
        self.path = f"{vendor.dir}/{name}.gate"
        os.mkfifo(self.path)
        vendor.put(name, f'if [ "$CNI_COMMAND" = {command} -a -p {self.path} ]; then read -r x < {self.path}; fi; exec /usr/lib/cni/{program}')

    def reached(self):
        settle(lambda: self.command in [c for c, _ in self.vendor.of(self.name)], "the plugin waits")

    def open(self):
        with open(self.path, "w") as f:
            f.write("\n")


    def remove(self):
        """Lets everybody through from now on, whether somebody waits or not"""
        self.fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        os.write(self.fd, b"\n")
        os.unlink(self.path)


class Plugin:
    """A call by netmgr's CNI plugin that is not waited for"""

    def __init__(self, host, verb, conf, cid, pod, env=None, ifname="eth0", args=None):
        self.verb = verb
        self.process = host.popen([f"{host.dir}/cni/netmgr"],
                                  env=host.cni_env(verb, cid, ifname, pod.path, args or pod_args(), env),
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.process.stdin.write(json.dumps(conf).encode())
        self.process.stdin.close()

    def answer(self):
        out = self.process.stdout.read()
        self.process.stdout.close()
        code = self.process.wait()
        return code, json.loads(out) if out.strip() else None

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def vendor(host):
    return Vendor(host)


def ready(host):
    write_network(host, "blue", "bridge", BLUE)
    write_network(host, "red", "routed", RED)
    reload(host)


def rows(host, cid):
    return {a["Interface"]: a for a in host.describe("attachments") if a["Sandbox"] == cid}


def refused(host, method, *args):
    r = host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", "org.netmgr1", ROOT, MANAGER,
                  method, ATTACH, *args, "0"], check=False)
    assert r.returncode != 0, r.stdout
    return r.stderr


def nothing_left(host, cid, pod):
    settle(lambda: not interfaces(pod) and not rows(host, cid) and
           not [r for r in host.sql("SELECT sandbox FROM attachment") if r["sandbox"] == cid],
           lambda: f"nothing is left: {interfaces(pod)} {rows(host, cid)}")


# --- in the middle of an ADD of several ------------------------------------------------------------

def test_nothing_is_attached_or_detached_before_the_add_has_ended(host, vendor):
    """The interface that would be taken away, or the name that would be given, is part of an answer to come."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400))
    reload(host)
    pod = host.pod()
    conf = annotated(routed(), {NETWORKS: "blue,slow,red"})
    add = Plugin(host, "ADD", conf, pod.name, pod, env=vendor.env)
    gate.reached()
    assert {"eth0", "net1", "net2"} == set(rows(host, pod.name))
    sentence = refused(host, "Attach", pod.name, "blue")
    assert "try again" in sentence and "ADD" in sentence, sentence
    sentence = refused(host, "Detach", pod.name, "net1")
    assert "try again" in sentence and "ADD" in sentence, sentence
    gate.open()
    assert add.answer()[0] == 0
    assert set(interfaces(pod)) == {"eth0", "net1", "net2", "net3"}
    host.cni("DEL", conf, pod.name, "eth0", pod.path, env=vendor.env).expect_ok()
    nothing_left(host, pod.name, pod)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


@pytest.mark.sanitize
def test_an_interface_that_goes_in_the_middle(host, vendor):
    """A DEL of one that was made already: all or nothing."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400))
    reload(host)
    pod = host.pod()
    conf = annotated(routed(), {NETWORKS: "blue,slow"})
    add = Plugin(host, "ADD", conf, pod.name, pod, env=vendor.env)
    gate.reached()
    blue = {"cniVersion": "1.0.0", "name": "blue", "type": "netmgr", "network": "blue"}
    host.cni("DEL", blue, pod.name, "net1", pod.path).expect_ok()
    gate.open()
    code, answer = add.answer()
    assert code != 0 and answer["code"] == 11 and "net1" in answer["msg"], answer
    nothing_left(host, pod.name, pod)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


@pytest.mark.skipif(not compiled_in(), reason="this build has no failpoints")
@pytest.mark.failpoints
@pytest.mark.sanitize
def test_a_caller_that_goes_as_he_is_answered():
    """All that was made for him goes, and plugins of others are told by somebody else: he is not there."""
    host = Host(exec_plugins="others")
    points = Failpoints(host)
    with host:
        ready(host)
        vendor = Vendor(host)
        write_list(host, "list", vendor.bridge("10.98.3.0/24"))
        reload(host)
        pod = host.pod()
        conf = annotated(routed(), {NETWORKS: "blue,list"})
        points.arm(Point("netmgrd", "bus-reply"), "hold")
        add = Plugin(host, "ADD", conf, pod.name, pod, env=vendor.env)
        points.await_fired()
        add.kill()
        points.disarm()
        nothing_left(host, pod.name, pod)
        assert ("DEL", "vendor-bridge", "net2") in vendor.order()
        host.run(["ip", "link", "delete", "vendor0"])
        finish(host)


@pytest.mark.host(conf="[Manager]\nQueueMax=1\n[Host]\nNodeAddress=192.0.2.1\n")
def test_members_count_with_the_operation_that_they_are_of(host, vendor):
    """A queue of one is enough for one ADD, whatever it is made of, and is free again behind it."""
    ready(host)
    write_list(host, "list", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-tuning", mtu=1400),
               {"type": "bandwidth", "ingressRate": 8000000, "ingressBurst": 8000000, "egressRate": 8000000,
                "egressBurst": 8000000})
    reload(host)
    for _ in range(2):
        a = host.add(annotated(routed(), {NETWORKS: "blue,list,red"}), args=pod_args(), env=vendor.env)
        a.check(env=vendor.env).expect_ok()
        for network, fails in (("blue", False), ("nowhere", True), ("list", True)):  # there is no netmgr-exec
            assert (host.ctl("attach", a.cid, network, "--interface=hot0").returncode != 0) == fails
        for fails in (False, True):
            assert (host.ctl("detach", a.cid, "hot0").returncode != 0) == fails
        a.delete(env=vendor.env).expect_ok()
        reply, _ = host.try_add(annotated(routed(), {NETWORKS: [{"name": "blue"}, {"name": "red", "ips": ["10.1.1.1"]}]}),
                                args=pod_args())
        assert reply.code not in (0, 11), reply
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- DEL -------------------------------------------------------------------------------------------

def test_del_by_another_networks_name(host):
    """It does not mean this interface, and so nothing that came with it."""
    ready(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue,red"}), args=pod_args())
    host.cni("DEL", routed("elsewhere", "10.99.0.0/24"), a.cid, "eth0", a.pod.path).expect_ok()
    assert set(interfaces(a.pod)) == {"eth0", "net1", "net2"}
    a.check().expect_ok()
    a.delete().expect_ok()
    nothing_left(host, a.cid, a.pod)
    finish(host)


def test_a_spooled_del_takes_all_along(host):
    ready(host)
    a = host.add(annotated(routed(), {NETWORKS: "blue,red"}), args=pod_args())
    host.netmgrd.stop()
    a.delete().expect_ok()
    host.netmgrd.start()
    nothing_left(host, a.cid, a.pod)
    assert not host.held()
    finish(host)


@pytest.mark.sanitize
def test_attach_while_a_del_runs(host, vendor):
    """Nobody would ever end what comes then."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning", command="DEL")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400))
    reload(host)
    conf = annotated(routed(), {NETWORKS: "slow"})
    a = host.add(conf, args=pod_args(), env=vendor.env)
    delete = Plugin(host, "DEL", conf, a.cid, a.pod, env=vendor.env)
    gate.reached()
    assert rows(host, a.cid)["eth0"]["State"] == "up"
    sentence = refused(host, "Attach", a.cid, "blue")
    assert "DEL" in sentence, sentence
    gate.open()
    assert delete.answer()[0] == 0
    a.live = False
    nothing_left(host, a.cid, a.pod)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- ADD again -------------------------------------------------------------------------------------

def test_add_again_for_a_new_namespace(host):
    """The namespace died without DEL and came again by the same path, with the same container ID."""
    ready(host)
    conf = annotated(routed(), {NETWORKS: "blue,red"})
    a = host.add(conf, host.pod("web"), cid="c1", args=pod_args())
    a.pod.delete()
    a.live = False
    settle(lambda: host.link(a.host_ifname) is None, "the kernel has ended the namespace")
    b = host.add(conf, host.pod("web"), cid="c1", args=pod_args())
    assert set(interfaces(b.pod)) == {"eth0", "net1", "net2"} and set(rows(host, "c1")) == {"eth0", "net1", "net2"}
    b.check().expect_ok()
    finish(host)


# --- CHECK -----------------------------------------------------------------------------------------

@pytest.mark.host(exec_plugins="others")
def test_check_while_an_interface_comes_and_goes(host, vendor):
    """What is not there yet, or not any more, is nothing to compare."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning")
    slow_end = Gate(vendor, "vendor-slow-end", "tuning", command="DEL")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400),
               vendor.plugin("vendor-slow-end", mtu=1400))
    reload(host)
    a = host.add(routed(), args=pod_args())
    attach = host.popen(["netmgrctl", "attach", a.cid, "slow"], stdout=subprocess.DEVNULL)
    gate.reached()
    a.check(env=vendor.env).expect_ok()
    gate.open()
    assert attach.wait() == 0
    a.check(env=vendor.env).expect_ok()
    detach = host.popen(["netmgrctl", "detach", a.cid, "net1"], stdout=subprocess.DEVNULL)
    slow_end.reached()
    a.check(env=vendor.env).expect_ok()
    slow_end.open()
    assert detach.wait() == 0
    a.check(env=vendor.env).expect_ok()
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- held at every step ----------------------------------------------------------------------------

EVENTS = {"DEL": ["del"], "gone": ["close"], "gone, DEL": ["close", "del"], "DEL, gone": ["del", "close"],
          "DEL, DEL": ["del", "del"], "DEL of one": ["del net1"], "the networks go": ["remove"], "they become others": ["change"]}
# The loop itself is held there: nothing can happen meanwhile but that the caller goes.
ON_THE_LOOP = {"bus-reply", "status-write", "status-rename", "status-renamed", "status-remove", "status-removed"}
TOLD = {"bus-replied"}
ASKED = annotated(routed(), {NETWORKS: [{"name": "blue", "portMappings": [{"hostPort": 8080, "containerPort": 80}]},
                                        {"name": "red"}]})


def written(host, state):
    for name, kind, subnet in (("blue", "bridge", BLUE), ("red", "routed", RED)):
        path = f"{host.networks_dir}/{name}.conflist"
        if state == "remove":
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        elif state == "change":
            write_list(host, name, {"type": "netmgr", "anyOf": ["third"], "choose": "first-fit"})
        else:
            write_network(host, name, kind, subnet)
    reload(host)


def step_of_an_add(host, points, pod, cid, step, nth, events):
    points.arm(step, "hold", nth=nth)
    add = Call(host, "ADD", ASKED, cid, "eth0", pod)
    # how often a step is passed depends on what is committed together
    if not points.await_fired(lambda: select.select([add.socket], [], [], 0)[0]):
        points.disarm()
        add.answer()
        call(host, "DEL", ASKED, cid, "eth0", pod).expect_ok()
        return False
    deletes, told = [], None
    for event in events:
        if event == "close":
            told = add.abandon()
        elif event == "del":
            deletes.append(Call(host, "DEL", ASKED, cid, "eth0", pod))
            read_by_now(host)
        elif event == "del net1":
            deletes.append(Call(host, "DEL", {"cniVersion": "1.0.0", "name": "blue", "type": "netmgr"}, cid, "net1", pod))
            read_by_now(host)
        else:
            with contextlib.suppress(AssertionError):  # one that is in use already stays
                written(host, event)
    points.disarm()
    for delete in deletes:
        delete.answer().expect_ok()
    if "close" not in events:
        answer = add.answer()
        assert answer.error in ("", TRY_AGAIN) or {"remove", "change"} & set(events), add.known
        if answer.ok:
            made = {"eth0", "net1", "net2"}
            assert "del" in events or set(interfaces(pod)) == made, (interfaces(pod), host.logs())
        if "del" not in events:
            call(host, "DEL", ASKED, cid, "eth0", pod).expect_ok()
    elif told and told.ok:
        call(host, "DEL", ASKED, cid, "eth0", pod).expect_ok()
    if {"remove", "change"} & set(events):
        written(host, "as before")
    return True


@pytest.mark.skipif(not compiled_in(), reason="this build has no failpoints")
@pytest.mark.failpoints
@pytest.mark.sanitize
@pytest.mark.parametrize("name", EVENTS)
def test_whatever_happens_at_any_step_of_an_add_of_three(name):
    events = EVENTS[name]
    host = Host()
    points = Failpoints(host)
    with host:
        write_network(host, "third", "bridge", "10.98.9.0/24")
        ready(host)
        resident = host.add(annotated(routed(), {NETWORKS: "third"}), args=pod_args())
        pod = host.pod()
        for verb in ("ADD", "DEL"):  # the networks are made with their first interfaces
            call(host, verb, ASKED, "c0", "eth0", pod).expect_ok()
        with points.passed() as seen:
            call(host, "ADD", ASKED, "c0", "eth0", pod).expect_ok()
        call(host, "DEL", ASKED, "c0", "eth0", pod).expect_ok()
        steps = sorted(p for p in seen if p.process in ("netmgrd", "netmgr-nsd") and p.name not in TOLD)
        base, number = [x for x in host.links() if x.startswith("nmg")], 0
        held = 0
        for step in steps:
            if step.name in ON_THE_LOOP and set(events) != {"close"}:
                continue
            most = seen[step]
            for nth in sorted({1, (most + 1) // 2, most}):
                number += 1
                held += step_of_an_add(host, points, pod, f"c{number}", step, nth, events)
                settle(lambda: len(host.ledger()["attachment"]) == 2 and not interfaces(pod) and
                       [x for x in host.links() if x.startswith("nmg")] == base and not host.ledger()["port"] and
                       not host.netmgrd.netns_fds(),
                       lambda: f"{step} {nth} {name}: nothing is left: {host.ledger()} {host.links()} {host.netmgrd.fds()}")
        resident.check().expect_ok()
        assert held > 20
        finish(host)


def step_of_a_change(host, points, argv, pod, conf, step, nth, events):
    points.arm(step, "hold", nth=nth)
    change = host.popen(["netmgrctl", *argv], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if points.await_fired(lambda: change.poll() is not None):
        calls, others = [], []
        for event in events:
            if event == "del":
                calls.append(Call(host, "DEL", conf, "c1", "eth0", pod))
                read_by_now(host)
            elif event == "check":
                calls.append(Call(host, "CHECK", conf, "c1", "eth0", pod))
                read_by_now(host)
            elif event == "remove":
                written(host, "remove")
            else:
                others.append(host.popen(["netmgrctl", event, "c1", "blue" if event == "attach" else "net1"],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        points.disarm()
        for c in calls:
            answer = c.answer()
            assert answer.ok or c.verb == "CHECK" and answer.error == TRY_AGAIN, answer
        for p in others:
            p.wait()
    points.disarm()
    _, err = change.communicate()
    return change.returncode, err


@pytest.mark.skipif(not compiled_in(), reason="this build has no failpoints")
@pytest.mark.failpoints
@pytest.mark.sanitize
@pytest.mark.parametrize("events", [["del"], ["del", "del"], ["check"], ["attach"], ["detach"], ["remove"], ["detach", "del"]],
                         ids=", ".join)
@pytest.mark.parametrize("verb", ["attach", "detach"])
def test_whatever_happens_at_any_step_of_a_change(verb, events):
    conf = routed()
    host = Host()
    points = Failpoints(host)
    argv = [verb, "c1", "blue" if verb == "attach" else "net1"]
    with host:
        ready(host)
        resident = host.add(conf)
        pod = host.pod()

        def prepare():
            reply = call(host, "ADD", conf, "c1", "eth0", pod).expect_ok()
            if verb == "detach":
                host.ctl("attach", "c1", "blue", check=True)
            return {**conf, "prevResult": reply.result}

        for _ in range(2):  # the network is made with its first interface
            prepare()
            with points.passed() as seen:
                host.ctl(*argv, check=True)
            call(host, "DEL", conf, "c1", "eth0", pod).expect_ok()
        steps = sorted(p for p in seen if p.process in ("netmgrd", "netmgr-nsd") and p.name not in TOLD | ON_THE_LOOP)
        base = [x for x in host.links() if x.startswith("nmg")]
        for step in steps:
            for nth in sorted({1, seen[step]}):
                checked = prepare()
                code, err = step_of_a_change(host, points, argv, pod, checked, step, nth, events)
                what = f"{step} {nth} {events}: {code} {err}"
                assert code == 0 or events != ["check"], what
                call(host, "DEL", conf, "c1", "eth0", pod).expect_ok()
                settle(lambda: len(host.ledger()["attachment"]) == 1 and not interfaces(pod) and
                       [x for x in host.links() if x.startswith("nmg")] == base and not host.netmgrd.netns_fds(),
                       lambda: f"{what}: nothing is left: {host.ledger()} {host.links()} {host.netmgrd.fds()}")
                if "remove" in events:
                    written(host, "as before")
        resident.check().expect_ok()
        finish(host)


def test_two_adds_of_one_sandbox(host):
    """A runtime with two configurations: the second may not have what the first has, and harms nothing."""
    ready(host)
    conf, other = annotated(routed(), {NETWORKS: "blue,red"}), annotated(bridge("net2", "10.96.0.0/24"), {NETWORKS: "red@x,blue@net1"})
    pod = host.pod()
    first, second = Call(host, "ADD", conf, "c1", "eth0", pod), Call(host, "ADD", other, "c1", "eth1", pod)
    answers = [first.answer(), second.answer()]
    assert [a.ok for a in answers].count(True) <= 1, answers
    for c, a in ((conf, answers[0]), (other, answers[1])):
        if a.ok:
            ifname = "eth0" if c is conf else "eth1"
            call(host, "CHECK", {**c, "prevResult": a.result}, "c1", ifname, pod).expect_ok()
    for c, ifname in ((other, "eth1"), (conf, "eth0")):
        call(host, "DEL", c, "c1", ifname, pod).expect_ok()
    nothing_left(host, "c1", pod)
    # one after the other, with names of their own
    other = annotated(bridge("net2", "10.96.0.0/24"), {NETWORKS: "red@x,blue@y"})
    for c, ifname in ((conf, "eth0"), (other, "eth1")):
        call(host, "ADD", c, "c1", ifname, pod).expect_ok()
    assert set(interfaces(pod)) == {"eth0", "eth1", "net1", "net2", "x", "y"}
    call(host, "DEL", other, "c1", "eth1", pod).expect_ok()
    assert set(interfaces(pod)) == {"eth0", "net1", "net2"}
    call(host, "DEL", conf, "c1", "eth0", pod).expect_ok()
    nothing_left(host, "c1", pod)
    finish(host)


# --- the end of netmgrd ----------------------------------------------------------------------------

@pytest.mark.host(exec_plugins="others")
@pytest.mark.sanitize
@pytest.mark.parametrize("waits", ["ADD", "ADD, DEL", "attach", "attach, DEL", "detach", "DEL"])
def test_netmgrd_ends_in_the_middle(host, vendor, waits):
    """Of what waits for a plugin nothing is left but rows, which the next life takes to their end."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning", command="DEL" if waits in ("detach", "DEL") else "ADD")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400))
    reload(host)
    first, processes = waits.split(", ")[0], []
    conf = annotated(routed(), {NETWORKS: "blue,slow,red"} if first in ("ADD", "DEL") else {NETWORKS: "blue"})
    if first == "ADD":
        pod, cid = host.pod(), "c1"
        processes.append(Plugin(host, "ADD", conf, cid, pod, env=vendor.env))
    else:
        a = host.add(conf, cid="c1", args=pod_args(), env=vendor.env)
        a.live, pod, cid = False, a.pod, "c1"
        if first == "detach":
            host.ctl("attach", cid, "slow", check=True)
        if first == "DEL":
            processes.append(Plugin(host, "DEL", conf, cid, pod, env=vendor.env))
        else:
            argv = ["attach", cid, "slow"] if first == "attach" else ["detach", cid, "net2"]
            host.popen(["netmgrctl", *argv], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    gate.reached()
    if waits.endswith(", DEL"):
        processes.append(Plugin(host, "DEL", conf, cid, pod, env=vendor.env))
        settle(lambda: host.netmgrd.running and read_by_now(host) is None, "it is there")
    host.netmgrd.stop()
    gate.remove()
    for p in processes:
        p.answer()
    host.netmgrd.start()
    host.cni("DEL", conf, cid, "eth0", pod.path, env=vendor.env).expect_ok()
    nothing_left(host, cid, pod)
    settle(lambda: not host.held(), "no address is held")
    os.close(gate.fd)
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)


# --- the sandbox dies ------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_a_sandbox_that_dies_in_the_middle(host, vendor):
    """Its namespace is gone, but for what the plugin holds of it; the runtime may come with a DEL, or not."""
    ready(host)
    gate = Gate(vendor, "vendor-slow", "tuning")
    write_list(host, "slow", vendor.bridge("10.98.3.0/24"), vendor.plugin("vendor-slow", mtu=1400))
    reload(host)
    pod = host.pod()
    conf = annotated(routed(), {NETWORKS: "blue,slow,red"})
    add = Plugin(host, "ADD", conf, "c1", pod, env=vendor.env)
    gate.reached()
    pod.delete()
    gate.open()
    code, answer = add.answer()
    if code == 0:
        host.cni("DEL", conf, "c1", "eth0", pod.path, env=vendor.env).expect_ok()
    settle(lambda: not rows(host, "c1") and not host.held() and not host.netmgrd.netns_fds(),
           lambda: f"nothing is left: {rows(host, 'c1')}, {host.held()}")
    assert not [x for x in host.links() if x.startswith("nmg")]
    host.run(["ip", "link", "delete", "vendor0"])
    finish(host)
