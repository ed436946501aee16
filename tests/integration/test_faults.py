# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory, sockets and files that fail: the n-th call of a class, in every operation.

For each operation, class and errno the n-th call fails, for n = 1, 2, 3 ... until the operation ends
without having met the failure. After every try: the daemon lives, the answer was one of the documented
errors (or the operation did not care), what was asked for can be asked for again and then succeeds,
and when it is taken back nothing is left in the kernel, the ledger, the address and port tables, the
rule tables and the descriptors.

NETMGR_TEST_FULL=1 tries every n. Otherwise a random sample of them is tried, for a few seconds per
operation; the seed is printed and NETMGR_TEST_SEED repeats it."""
import base64
import contextlib
import errno
import json
import os
import random
import subprocess
import time

import pytest
from delegates import Delegates
from faults import NEVER, Faults
from netmgr_host import BUS, LIMIT, MANAGER, ROOT, RUNTIME, Host, bridge, netconf, routed, settle
from pod_networks import NETWORKS, annotated, reload, write_list, write_network

FULL = os.environ.get("NETMGR_TEST_FULL") == "1"
SEED = int(os.environ.get("NETMGR_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = 3
TRIES_AT_LEAST = 3

FAILURES = [
    ("malloc", errno.ENOMEM),
    ("netlink-send", errno.ENOBUFS), ("netlink-send", errno.EINTR), ("netlink-send", errno.ENOMEM),
    ("netlink-recv", errno.ENOBUFS), ("netlink-recv", errno.EINTR), ("netlink-recv", errno.ENOMEM),
    ("unix-send", errno.ENOBUFS), ("unix-send", errno.EINTR), ("unix-send", errno.ENOMEM),
    ("unix-recv", errno.EINTR), ("unix-recv", errno.ENOMEM),
    ("sync", errno.EIO), ("sync", errno.ENOSPC),
    ("write", errno.ENOSPC), ("write", errno.EIO), ("write", errno.EINTR),
    ("truncate", errno.EIO),
    ("open", errno.EMFILE), ("open", errno.ENFILE), ("open", errno.ENOSPC), ("open", errno.EIO),
    ("socket", errno.EMFILE), ("socket", errno.ENFILE), ("socket", errno.ENOBUFS),
    ("accept", errno.EMFILE), ("accept", errno.ENOMEM),
    ("epoll", errno.EINTR),
]
# try again later, the kernel, the ledger, not ready; 999 would be a defect without a name
CODES = {11, 50, 105, 106}
NAMES = {"org.netmgr1.Error.TryAgain", "org.netmgr1.Error.Kernel", "org.netmgr1.Error.Ledger",
         "org.netmgr1.Error.NotReady",
         # sd-bus's own words for a shortage; the plugin makes code 11 of both
         "org.freedesktop.DBus.Error.NoMemory", "org.freedesktop.DBus.Error.LimitsExceeded", "org.freedesktop.DBus.Error.NoReply",
         "org.freedesktop.DBus.Error.Disconnected", "org.freedesktop.DBus.Error.ServiceUnknown",
         "org.freedesktop.DBus.Error.NameHasNoOwner"}

CONF = "[Host]\nNodeAddress=192.0.2.1\n[Addresses]\nCooldownSec=0\n[Manager]\nWorkers=1\n"
PORTS = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                          {"hostPort": 8081, "containerPort": 53, "protocol": "udp"}]}
ROUTED = routed("net1", "10.97.0.0/24", "fd97::/64", runtimeConfig=PORTS, ipMasq=True,
                shaping={"mode": "shape", "ingressRate": 100_000_000, "egressRate": 10_000_000})
BRIDGE = bridge("br1", "10.97.1.0/24", "fd98::/64", isDefaultGateway=True, runtimeConfig=PORTS,
                shaping={"mode": "police", "ingressRate": 100_000_000, "egressRate": 10_000_000})
BOX = routed("net2", "10.97.2.0/24", "fd99::/64")


class Failed(Exception):
    """What an operation answered instead of success: a CNI code or the name of a D-Bus error."""

    def __init__(self, what, sentence):
        super().__init__(f"{what}: {sentence}")
        self.what = what



def must(reply):
    if not reply.ok:
        raise Failed(reply.code, reply.sentence)
    assert not reply.stderr.strip(), reply.stderr


class Operation:
    """prepare() and restore() run without faults; run() is what the fault is for, and may be
    repeated after a failure."""

    def __init__(self, host, pod):
        self.host, self.pod = host, pod

    def prepare(self):
        pass

    def again(self):
        """After a failure. The answer may have been lost on its way, so that it is done already."""
        self.run()

    def restore(self):
        pass

    documented = CODES | NAMES

    def cni(self, verb, conf):
        must(self.host.cni(verb, conf, "box", "eth0", self.pod.path, timeout=LIMIT))

    def call(self, path, interface, method, signature="", *args):
        import dbus
        bus = self.host.bus()
        try:
            return bus.call_blocking(BUS, path, interface, method, signature, args, timeout=LIMIT)
        except dbus.DBusException as e:
            raise Failed(e.get_dbus_name(), e.get_dbus_message()) from None
        finally:
            bus.close()


class Add(Operation):
    conf = ROUTED

    def run(self):
        self.cni("ADD", self.conf)

    def again(self):
        self.cni("DEL", self.conf)
        self.run()

    def restore(self):
        self.cni("DEL", self.conf)


class AddBridge(Add):
    conf = BRIDGE


class Del(Add):
    def prepare(self):
        self.cni("ADD", self.conf)

    def run(self):
        self.cni("DEL", self.conf)

    again = run


class DelBridge(Del):
    conf = BRIDGE


class DelByExec(Operation):
    """A caller who runs nothing: netmgr-exec tells the IPAM plugin of others."""

    def __init__(self, host, pod):
        super().__init__(host, pod)
        self.others = Delegates(host)
        self.conf = self.others.conf()
        host.exec.start()

    def prepare(self):
        must(self.host.cni("ADD", self.conf, "box", "eth0", self.pod.path, env=self.others.env, timeout=LIMIT))

    def run(self):
        import dbus
        self.call(ROOT, RUNTIME, "Del", "a{sv}", dbus.Dictionary(
            {"Type": "netmgr", "ContainerId": "box", "IfName": "eth0", "Config": json.dumps(self.conf)}, signature="sv"))

    def restore(self):
        """What could not be told is told now, without waiting for netmgrd's own time for it."""
        import dbus

        def ended():
            self.call(ROOT, MANAGER, "CollectGarbage", "a{sv}", dbus.Dictionary({}, signature="sv"))
            return self.host.ledger()["attachment"] == []
        settle(ended, lambda: f"the plugin has been told\n{self.host.logs()[-4000:]}")
        assert self.others.reserved() == {}


class Check(Operation):
    def __init__(self, host, pod):
        super().__init__(host, pod)
        self.attachment = host.add(ROUTED, pod, cid="box")

    def run(self):
        must(self.attachment.check())


class Gc(Operation):
    conf = {"cniVersion": "1.1.0", "name": "net1", "type": "netmgr"}

    def prepare(self):
        self.cni("ADD", ROUTED)

    def run(self):
        must(self.host.cni("GC", {**self.conf, "cni.dev/valid-attachments": []}, timeout=LIMIT))

    def restore(self):
        # it lives, so it was spared
        self.cni("DEL", ROUTED)


class OnBox(Operation):
    """Changes of a living attachment"""
    path = ROOT + "/sandbox/box/eth0"
    conf = BOX

    def __init__(self, host, pod):
        super().__init__(host, pod)
        self.attachment = host.add(self.conf, pod, cid="box")

    def ask(self, method, signature, *args):
        self.call(self.path, "org.netmgr1.Attachment", method, signature, *args)

    def ports(self):
        return self.host.sql("SELECT host_port FROM port")


class AddPort(OnBox):
    def run(self):
        self.ask("AddPort", "sqqa{sv}", "udp", 8090, 80, {})

    def again(self):
        if self.ports():
            self.ask("RemovePort", "sqa{sv}", "udp", 8090, {})
        self.run()

    def restore(self):
        self.ask("RemovePort", "sqa{sv}", "udp", 8090, {})


class RemovePort(AddPort):
    def prepare(self):
        super().run()

    def run(self):
        super().restore()

    def again(self):
        if self.ports():
            self.run()

    def restore(self):
        pass


def rates(rate):
    import dbus
    return {"IngressRate": dbus.UInt64(rate), "EgressRate": dbus.UInt64(rate)}


class SetBandwidth(OnBox):
    def run(self):
        self.ask("SetBandwidth", "a{sv}", rates(10_000_000))

    def restore(self):
        self.ask("SetBandwidth", "a{sv}", rates(0))


class SetShape(SetBandwidth):
    conf = {**BOX, "shaping": {"mode": "shape"}}


class AddNetwork(Operation):
    name = "extra"
    text = '{"cniVersion":"1.0.0","name":"extra","type":"netmgr","ipMasq":true,"ipam":{"type":"local","subnet":"10.99.0.0/24"}}'

    def is_there(self):
        return any(n[0] == self.name for n in self.call(ROOT, MANAGER, "ListNetworks"))

    def run(self):
        self.call(ROOT, MANAGER, "AddNetwork", "ssa{sv}", self.name, self.text, {})

    def again(self):
        if self.is_there():
            self.restore()
        self.run()

    def restore(self):
        self.call(ROOT, MANAGER, "RemoveNetwork", "sa{sv}", self.name, {})


class RemoveNetwork(AddNetwork):
    def prepare(self):
        super().run()

    def run(self):
        super().restore()

    def again(self):
        if self.is_there():
            self.run()

    def restore(self):
        pass


class AddManifest(AddNetwork):
    """With a chain of plugins in it."""
    name = "space/extra"
    text = json.dumps({"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                       "metadata": {"name": "extra", "namespace": "space"},
                       "spec": {"config": json.dumps({"plugins": [
                           {"type": "bridge", "ipam": {"type": "host-local", "subnet": "10.99.0.0/24"}},
                           {"type": "tuning", "mtu": 1400, "capabilities": {"mac": True}}, {"type": "theirs"}]})}})


class Reload(Operation):
    # a netmgr.conf that cannot be read is as good as a broken one
    documented = CODES | NAMES | {"org.netmgr1.Error.InvalidArgument"}

    def run(self):
        self.call(ROOT, MANAGER, "Reload")


class Import(Operation):
    """A sandbox of others; its end is run by a plugin that holds nothing."""
    entry = {"kind": "cniCacheV1", "containerId": "box", "ifName": "eth0", "networkName": "theirs",
             "cniArgs": [["K8S_POD_NAME", "p"]], "config": base64.b64encode(json.dumps(
                 {"cniVersion": "1.0.0", "name": "theirs", "type": "static"}).encode()).decode()}

    def text(self):
        result = {"cniVersion": "1.0.0", "interfaces": [{"name": "eth0", "sandbox": self.pod.path}],
                  "ips": [{"address": "10.99.0.2/24", "interface": 0}], "dns": {}}
        return json.dumps({"container": "box", "results": [
            {"file": "/f", "text": json.dumps({**self.entry, "result": result}), "written": 2**60}]})

    def run(self):
        answer = json.loads(self.call(ROOT, MANAGER, "Import", "ssa{sv}", "multus", self.text(), {}))
        reasons = {r["reason"] for r in answer["skipped"]}
        if not answer["imported"] and reasons != {"known already"}:
            raise Failed(11, str(reasons))  # which of the steps in between it was is told in words only

    def restore(self):
        must(self.host.cni("DEL", ROUTED, "box", "eth0", self.pod.path, timeout=LIMIT,
                           env={"CNI_PATH": f"{self.host.dir}/cni:/usr/lib/cni"}))


class AddNetworks(Add):
    """Three interfaces by one ADD"""
    conf = annotated(BOX, {NETWORKS: [{"name": "blue", "default-route": ["10.99.1.1"],
                                       "portMappings": [{"hostPort": 8090, "containerPort": 80}],
                                       "bandwidth": {"ingressRate": 8000000, "ingressBurst": 8000000}},
                                      {"name": "red", "interface": "lan0", "ips": ["10.99.2.7"]}]})

    def __init__(self, host, pod):
        super().__init__(host, pod)
        for name, kind, subnet in (("blue", "bridge", "10.99.1.0/24"), ("red", "routed", "10.99.2.0/24")):
            text = json.dumps(netconf(name, kind=kind, **({"isGateway": True} if kind == "bridge" else {}),
                                      ipam={"type": "local", "ranges": [[{"subnet": subnet}]]}))
            self.call(ROOT, MANAGER, "AddNetwork", "ssa{sv}", name, text, {})


class DelNetworks(AddNetworks):
    def prepare(self):
        self.cni("ADD", self.conf)

    def run(self):
        self.cni("DEL", self.conf)

    again = run


class Attach(AddNetworks):
    def prepare(self):
        self.cni("ADD", BOX)

    def run(self):
        self.call(ROOT, MANAGER, "Attach", "ssa{sv}", "box", "blue", {})

    def is_there(self):
        return any(a["ifname"] == "net1" for a in self.host.sql("SELECT ifname FROM attachment"))

    def again(self):
        if not self.is_there():
            self.run()


class Detach(Attach):
    def prepare(self):
        super().prepare()
        super().run()

    def run(self):
        self.call(ROOT, MANAGER, "Detach", "ssa{sv}", "box", "net1", {})

    def again(self):
        if self.is_there():
            self.run()


class WithList(Operation):
    """A list of plugins beside a network of one."""
    annotations = {NETWORKS: "lan,chain@lan0"}

    def __init__(self, host, pod):
        super().__init__(host, pod)
        write_network(host, "lan", "bridge", "10.98.1.0/24")
        write_list(host, "chain", {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.98.2.0/24"}},
                   {"type": "tuning", "mtu": 1400})
        reload(host)
        # a bridge gets its last routes when it has a port: it has had one before anything is compared
        host.add(annotated(BOX, {NETWORKS: "lan"}), cid="other")
        self.conf = annotated(ROUTED, self.annotations)


class AddList(WithList, Add):
    pass


class DelList(WithList, Del):
    pass


class CheckList(WithList):
    def __init__(self, host, pod):
        super().__init__(host, pod)
        self.attachment = host.add(self.conf, pod, cid="box")

    def run(self):
        must(self.attachment.check())


class AttachList(WithList):
    annotations = {}

    def __init__(self, host, pod):
        super().__init__(host, pod)
        host.add(self.conf, pod, cid="box")

    def attach(self):
        self.call(ROOT, MANAGER, "Attach", "ssa{sv}", "box", "chain", {})

    def detach(self):
        self.call(ROOT, MANAGER, "Detach", "ssa{sv}", "box", "net1", {})

    def end(self):
        """What may have come to its end already, or never have begun."""
        try:
            self.detach()
        except Failed as e:
            if e.what != "org.netmgr1.Error.NoSuchAttachment":
                raise

    run, restore = attach, detach

    def again(self):
        self.end()
        self.run()


class DetachList(AttachList):
    prepare, run, again, restore = AttachList.attach, AttachList.detach, AttachList.end, Operation.restore


OPERATIONS = [AddList, DelList, CheckList, AttachList, DetachList, Import, Add, AddBridge, Del, DelBridge, DelByExec, Check, Gc, AddPort, RemovePort, SetBandwidth, SetShape,
              AddNetwork, AddManifest, RemoveNetwork, Reload, AddNetworks, DelNetworks, Attach, Detach]


class Loop:
    """One host, one long-lived daemon, many failures."""

    def __init__(self, host, faults, operation, program="netmgrd"):
        self.host, self.faults, self.program = host, faults, program
        self.operation = operation(host, host.pod())
        self.pid = host.netmgrd.pid
        self.tries = self.failures = 0
        self.last = "nothing was tried yet"

    def quiet(self):
        """A state to come back to: everything once without a fault, then what is there."""
        self.operation.prepare()
        self.operation.run()
        self.operation.restore()
        self.rows = [None] * 5
        while not all(r == self.rows[0] for r in self.rows) or not self.rows[0]:
            self.rows = [*self.rows[1:], self.cheap()]
            time.sleep(0.02)
        self.rows = self.rows[0]
        self.before = self.host.snapshot()

    def cheap(self):
        """Links, rows and descriptors, without another program."""
        with open(f"/proc/{self.host.holder.pid}/net/dev") as f:
            links = sorted(line.split(":")[0].strip() for line in f if ":" in line)
        return links, self.host.ledger(), self.host.netmgrd.netns_fds()

    def alive(self):
        assert self.host.netmgrd.running and self.host.netmgrd.pid == self.pid, \
            f"netmgrd ended with {self.host.netmgrd.process.returncode} after {self.last}"

    def patiently(self, step):
        """Without a fault every step succeeds, once what the fault has broken is connected again."""
        end = time.monotonic() + 30
        while True:
            try:
                return step()
            except Failed as e:
                self.alive()
                if time.monotonic() > end or e.what not in self.operation.documented:
                    raise AssertionError(f"{step.__name__} fails after {self.last}: {e}") from None

    def once(self, what, n, error, count=1):
        """True when the fault was met."""
        self.patiently(self.operation.prepare)
        failure = None
        with self.faults.armed(what, n, error, count):
            try:
                self.operation.run()
            except Failed as e:
                failure = e
            except (OSError, subprocess.SubprocessError) as e:
                raise AssertionError(f"{type(self.operation).__name__}: {errno.errorcode[error]} of {what} {n}: {e} "
                                     f"[{self.faults.where(self.program)}]") from None
        hits = self.faults.hits
        name = type(self.operation).__name__
        self.last = f"{name}: {errno.errorcode[error]} of {what} {n}: {failure or 'no failure'}"
        if hits:
            self.last += f" [{self.faults.where(self.program)}]"
        self.alive()
        self.tries += bool(hits)
        if failure:
            self.failures += 1
            assert hits, f"a failure without a fault: {self.last}"
            assert failure.what in self.operation.documented, self.last
            self.patiently(self.operation.again)
        self.patiently(self.operation.restore)
        settle(lambda: self.cheap() == self.rows,
               lambda: f"rows and links as before, after {self.last}\n{self.rows}\n{self.cheap()}")
        if hits and "build_changes" in self.last:
            self.compare()  # the rules are not in what is cheap
        return hits > 0 or self.faults.skipped > 0

    def count(self, what):
        """How many calls of the class the operation makes."""
        self.patiently(self.operation.prepare)
        with self.faults.armed(what, NEVER, 0):
            self.operation.run()
        self.patiently(self.operation.restore)
        return self.faults.calls

    def every(self, what, error):
        n = 1
        while self.once(what, n, error):
            n += 1
        # one more may be needed by another way through the program
        for more in range(n + 1, n + 4):
            self.once(what, more, error)

    def sample(self, rng, seconds, failures=tuple(FAILURES)):
        totals = {what: self.count(what) for what in {w for w, _ in failures}}
        some = [f for f in failures if totals[f[0]]]
        end = time.monotonic() + seconds
        # a machine with other work gets its share of faults as well
        while time.monotonic() < end or self.tries < TRIES_AT_LEAST:
            # half of them memory: it has the most places
            what, error = rng.choice(some) if rng.random() < 0.5 else some[0]
            self.once(what, rng.randint(1, totals[what]), error, rng.choice([1, 1, 1, 2]))  # more and the bus loses answers: 30 s each

    def compare(self):
        self.host.assert_nothing_left(self.before)


@contextlib.contextmanager
def faulty_host(preload=("netmgrd",)):
    if not os.path.exists(f"{Host().build}/tests/netmgr-faults.so"):
        pytest.skip("the sanitizer build has no netmgr-faults.so")
    host = Host(conf=CONF)
    faults = {}
    for name in preload:
        faults[name] = Faults(host, name)
        getattr(host, name).env = faults[name].env
    try:
        host.start()
        yield host, *faults.values()
    except BaseException:
        print(host.logs()[-20000:])
        raise
    finally:
        problems = host.close()
    assert not problems, problems


def run_loop(loop):
    loop.quiet()
    rng = random.Random(SEED)
    print(f"NETMGR_TEST_SEED={SEED}")
    if FULL:
        for what, error in FAILURES:
            loop.every(what, error)
            loop.compare()
    else:
        loop.sample(rng, SECONDS)
    loop.compare()
    print(f"{type(loop.operation).__name__}: {loop.tries} faults met, {loop.failures} failures answered")
    assert loop.tries


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_nth_failure(operation):
    with faulty_host() as (host, faults):
        run_loop(Loop(host, faults, operation))


def test_elements_go_without_memory_for_their_message():
    """A transaction that was not begun has not succeeded."""
    with faulty_host() as (host, faults):
        loop = Loop(host, faults, DelBridge)
        loop.quiet()
        total, met = loop.count("malloc"), 0
        for n in range(1, total, 1 if FULL else 3):
            loop.once("malloc", n, errno.ENOMEM)
            met += "commit_all" in loop.last  # who writes rows and elements; an optimised build names no more
        assert met, f"{total} allocations, none of them by the committer"


NSD_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket", "accept")]


def test_nth_failure_of_nsd():
    """netmgr-nsd lives, and netmgrd answers with an error of its own."""
    with faulty_host(["nsd"]) as (host, faults):
        loop = Loop(host, faults, Add, "netmgr-nsd")
        pid = host.nsd.pid
        loop.quiet()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        if FULL:
            for what, error in NSD_FAILURES:
                loop.every(what, error)
        else:
            loop.sample(rng, SECONDS, NSD_FAILURES)
        assert host.nsd.running and host.nsd.pid == pid, loop.last
        loop.compare()
        assert loop.tries


EXEC_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket", "accept")]
EXEC_FAILURES += [("read", errno.EIO), ("read", errno.EINTR)]


def test_nth_failure_of_exec():
    """netmgr-exec lives; what it could not do is done when it is asked again."""
    with faulty_host(["exec"]) as (host, faults):
        loop = Loop(host, faults, DelByExec, "netmgr-exec")
        pid = host.exec.pid
        loop.quiet()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        if FULL:
            for what, error in EXEC_FAILURES:
                loop.every(what, error)
        else:
            loop.sample(rng, SECONDS, EXEC_FAILURES)
        assert host.exec.running and host.exec.pid == pid, loop.last
        loop.compare()
        assert loop.tries


PLUGIN_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket")]
PLUGIN_FAILURES += [("read", errno.EIO), ("read", errno.EINTR)]


def plugin_answer(reply, verb, where):
    """Success, or one JSON object with a code of the field and a sentence; never a signal."""
    assert reply.status in (0, 1), f"{where}: status {reply.status}: {reply}"
    if reply.status == 1:
        error = reply.json
        # 4: CNI_NETNS cannot be opened; 5: stdin cannot be read
        assert error["code"] in CODES | {4, 5, 999} and error["msg"], f"{where}: {error}"
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, f"{where}: {error}"
    elif verb == "ADD":
        assert reply.json["ips"], where
    elif verb == "VERSION":
        assert "1.0.0" in reply.json["supportedVersions"], where
    else:
        assert reply.stdout == "", where


@pytest.mark.parametrize("verb", ["VERSION", "ADD", "CHECK", "DEL", "STATUS"])
def test_nth_failure_of_plugin(verb):
    with faulty_host([]) as (host,):
        faults = Faults(host, "netmgr")
        env = {**faults.env, "NETMGR_FAULTS_PROGRAM": "netmgr"}
        pod = host.pod()
        conf = {**ROUTED, "cniVersion": "1.1.0"}

        def call(what, env=None, conf=conf):
            return host.cni(what, conf, "box", "eth0", pod.path, env=env, timeout=LIMIT)

        def once(what, n, error, count=1):
            if verb in ("CHECK", "DEL"):
                call("ADD").expect_ok()
            given = {**conf, "prevResult": result} if verb == "CHECK" else conf
            if verb == "CHECK":
                given["prevResult"]["ips"] = call_ips()
            with faults.armed(what, n, error, count):
                reply = call(verb, env, given)
            where = f"{verb}: {errno.errorcode[error]} of {what} {n} [{faults.where('netmgr')}]"
            assert faults.hits or reply.ok, f"a failure without a fault: {where}: {reply}"
            plugin_answer(reply, verb, where)
            if verb in ("ADD", "CHECK", "DEL"):
                call("DEL").expect_ok()
            return faults.hits > 0 or faults.skipped > 0

        def call_ips():
            return [{"address": r["address"] + "/" + str(r["prefix"])}
                    for r in host.sql("SELECT address, prefix FROM address WHERE attachment IS NOT NULL")]

        result = call("ADD").expect_ok().json
        call("DEL").expect_ok()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        tries, end = 0, time.monotonic() + SECONDS
        for what, error in PLUGIN_FAILURES:
            n = 1
            while FULL and once(what, n, error):
                n, tries = n + 1, tries + 1
        while not FULL and (time.monotonic() < end or tries < TRIES_AT_LEAST):
            what, error = rng.choice(PLUGIN_FAILURES) if rng.random() < 0.6 else PLUGIN_FAILURES[0]
            tries += once(what, rng.randint(1, 200 if what == "malloc" else 12), error, rng.choice([1, 1, 3]))
        print(f"{verb}: {tries} faults met")
        assert tries
        pod.delete()
        host.assert_nothing_left()
