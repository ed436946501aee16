# SPDX-License-Identifier: LGPL-2.1-or-later
"""What netmgr does, as a table for the crash tests: a new capability adds its row here.

Each operation makes its own sandbox beforehand (prepare), is one child process while it runs (start),
and is taken to its end afterwards as a runtime or an administrator would do it (finish), whatever the
crash left: then nothing of it may be there any more.
"""
import contextlib
import dataclasses
import json
import os
import shutil
import subprocess
import time

from netmgr_host import LIMIT, MANAGER, ROOT, RUNTIME, bridge, routed, settle

PORTS = {"runtimeConfig": {"portMappings": [{"hostPort": 8000, "containerPort": 80, "protocol": "tcp"},
                                            {"hostPort": 8053, "containerPort": 53, "protocol": "udp"}]}}
POLICE = {"shaping": {"mode": "police", "ingressRate": 10**8, "egressRate": 10**8}}
SHAPE = {"shaping": {"mode": "shape", "ingressRate": 10**8, "egressRate": 10**8}}
SYSCTL = {"sysctl": {"net.ipv4.conf.IFNAME.arp_notify": "1"}}
# What a crash may make an answer: try again, or the ledger or the kernel refused.
CODES = {11, 105, 106}


@dataclasses.dataclass
class Outcome:
    status: int   # of the process; negative: the signal that ended it
    stdout: str
    stderr: str

    @property
    def ok(self):
        return self.status == 0

    @property
    def code(self):
        try:
            return json.loads(self.stdout)["code"]
        except (ValueError, KeyError, TypeError):
            return None


class Operation:
    """One run of an operation. Subclasses say what is special."""
    name = None
    is_cni = True  # else it is a D-Bus client, whose errors are busctl's
    codes = CODES

    def __init__(self, host):
        self.host = host
        self.process = None
        self.pod = None

    def prepare(self):
        self.pod = self.host.pod()

    def argv(self):
        raise NotImplementedError

    def start(self):
        argv, env, text = self.argv()
        self.process = self.host.popen(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE)
        self.process.stdin.write(text.encode())
        self.process.stdin.close()
        self.process.stdin = None
        return self.process

    def cni(self, verb, conf):
        env = self.host.cni_env(verb, self.pod.name, self.ifname, self.pod.path)
        return [f"{self.host.dir}/cni/{self.plugin}"], env, json.dumps(conf)

    def wait(self):
        out, err = self.process.communicate(timeout=2 * LIMIT)
        return Outcome(self.process.returncode, out.decode(errors="replace"), err.decode(errors="replace"))

    def check_outcome(self, o):
        if o.ok or o.status < 0:
            return
        if self.is_cni:
            assert o.code in self.codes, o
        else:
            assert o.stderr.strip(), o

    def retry(self):
        """Once more without a fault: it succeeds."""
        self.start()
        o = self.wait()
        assert o.ok, (self.name, "the retry failed", o)

    def finish(self, outcome):
        raise NotImplementedError

    def remove_pod(self):
        self.pod.delete()
        self.host.pods.remove(self.pod)

    ifname, plugin = "eth0", "netmgr"


class Add(Operation):
    conf = None

    def argv(self):
        return self.cni("ADD", self.conf)

    def delete(self):
        r = self.host.cni("DEL", self.conf, self.pod.name, self.ifname, self.pod.path, plugin=self.plugin)
        r.expect_ok()

    def finish(self, outcome):
        if outcome.ok:
            conf = {**self.conf, "prevResult": json.loads(outcome.stdout)}
            self.host.cni("CHECK", conf, self.pod.name, self.ifname, self.pod.path, plugin=self.plugin).expect_ok()
        self.delete()  # as a runtime does, also when ADD failed or the plugin was killed
        self.retry()
        self.delete()
        self.remove_pod()


class AddRouted(Add):
    name = "add-routed"
    conf = routed("crash-r", "10.98.0.0/24", "fd98::/64", ipMasq=True, **PORTS, **POLICE, **SYSCTL)


class AddBridge(Add):
    name = "add-bridge"
    conf = bridge("crash-b", "10.98.1.0/24", "fd98:1::/64", **PORTS, **SHAPE, isDefaultGateway=True)


class AddLoopback(Add):
    name = "add-loopback"
    conf = {"cniVersion": "1.0.0", "name": "crash-l", "type": "loopback"}
    ifname, plugin = "lo", "loopback"


class AddDelegate(Add):
    """Addresses from a plugin of others, here Debian's host-local by another name."""
    name = "add-delegate"

    def __init__(self, host):
        super().__init__(host)
        self.data = f"{host.dir}/node-local"
        os.makedirs(self.data, exist_ok=True)
        shutil.copy("/usr/lib/cni/host-local", f"{self.data}/node-local")
        self.conf = {**bridge("crash-d", isGateway=True),
                     "ipam": {"type": "node-local", "subnet": "10.98.4.0/24", "dataDir": self.data}}

    def cni(self, verb, conf):
        argv, env, text = super().cni(verb, conf)
        return argv, {**env, "CNI_PATH": self.data}, text

    def call(self, verb, conf):
        argv, env, text = self.cni(verb, conf)
        return self.host.cni(verb, text, self.pod.name, self.ifname, self.pod.path, env=env)

    def reserved(self):
        return [a for a in os.listdir(f"{self.data}/crash-d") if a[0].isdigit()]

    def delete(self):
        self.call("DEL", self.conf).expect_ok()
        assert self.reserved() == []

    def finish(self, outcome):
        if outcome.ok:
            self.call("CHECK", {**self.conf, "prevResult": json.loads(outcome.stdout)}).expect_ok()
        self.delete()
        self.retry()
        assert len(self.reserved()) == 1
        self.delete()
        self.remove_pod()


class DelDelegate(AddDelegate):
    name = "del-delegate"

    def prepare(self):
        super().prepare()
        self.reply = self.call("ADD", self.conf).expect_ok()

    def argv(self):
        return self.cni("DEL", {**self.conf, "prevResult": self.reply.json})

    def finish(self, outcome):
        self.delete()
        self.remove_pod()


class DelByExec(AddDelegate):
    """By a caller who runs nothing: netmgr-exec tells the plugin, and what a fault left ends without a runtime."""
    name = "del-by-exec"
    is_cni = False

    def prepare(self):
        super().prepare()
        self.call("ADD", self.conf).expect_ok()
        if not self.host.exec.running:
            self.host.exec.options = [f"--plugin-path={self.data}"]
            self.host.exec.start()

    def argv(self):
        words = ["Type", "s", "netmgr", "ContainerId", "s", self.pod.name, "IfName", "s", "eth0", "Config", "s",
                 json.dumps(self.conf)]
        return ["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", "org.netmgr1", ROOT, RUNTIME, "Del", "a{sv}", "4", *words], None, ""

    def finish(self, outcome):
        def ended():
            self.host.manager("CollectGarbage", "a{sv}", 0)
            return not self.host.sql("SELECT * FROM attachment WHERE sandbox = ?", self.pod.name)
        if self.host.sql("SELECT * FROM attachment WHERE sandbox = ? AND state = 'up'", self.pod.name):
            self.retry()  # its call was lost with netmgrd
        settle(ended, "netmgrd ends it by itself")
        assert self.reserved() == []
        self.remove_pod()


class AddHostLocal(Add):
    """The drop-in bridge, on a node where the reference's has given out addresses."""
    name = "add-host-local"
    plugin = "bridge"

    def __init__(self, host):
        super().__init__(host)
        self.dir = f"{host.dir}/host-local/crash-h"
        os.makedirs(self.dir, exist_ok=True)
        self.conf = {"cniVersion": "1.0.0", "name": "crash-h", "type": "bridge", "bridge": "crash-h", "isGateway": True,
                     "ipam": {"type": "host-local", "subnet": "10.98.5.0/24", "dataDir": os.path.dirname(self.dir)}}

    def prepare(self):
        super().prepare()
        with open(f"{self.dir}/10.98.5.2", "w") as f:
            f.write(f"old-{self.pod.name}\r\neth0")

    def finish(self, outcome):
        super().finish(outcome)
        held = {a.split("/")[0]: who for a, who in self.host.held().items()}
        assert list(held.values()).count(f"old-{self.pod.name}/eth0") == 1, held
        gc = {**self.conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
        self.host.cni("GC", gc, plugin=self.plugin).expect_ok()
        assert not [f for f in os.listdir(self.dir) if f[0].isdigit()]
        self.host.run(["ip", "link", "delete", "crash-h"], check=False)


class Attached(Operation):
    """Something with an attachment that is there before."""
    conf = AddRouted.conf

    def prepare(self):
        super().prepare()
        self.reply = self.host.cni("ADD", self.conf, self.pod.name, "eth0", self.pod.path,
                                   plugin=self.plugin).expect_ok()

    def delete(self):
        self.host.cni("DEL", self.conf, self.pod.name, "eth0", self.pod.path, plugin=self.plugin).expect_ok()

    def finish(self, outcome):
        self.retry()
        self.delete()
        self.remove_pod()


class DelRouted(Attached):
    name = "del-routed"

    def argv(self):
        return self.cni("DEL", {**self.conf, "prevResult": self.reply.json})


class DelBridge(DelRouted):
    name = "del-bridge"
    conf = AddBridge.conf


class DelDead(DelRouted):
    """The namespace is gone by then."""
    name = "del-dead"

    def prepare(self):
        super().prepare()
        self.pod.delete()


class DelSpooled(DelRouted):
    """netmgrd is down: the plugin spools, the next start works on it."""
    name = "del-spooled"

    def prepare(self):
        super().prepare()
        self.host.netmgrd.stop()

    def revive(self):
        """The fault may hit a daemon while netmgrd starts."""
        for daemon in (self.host.nsd, self.host.netmgrd):
            while not daemon.running:
                with contextlib.suppress(AssertionError):
                    daemon.start()

    def wait(self):
        o = super().wait()
        self.revive()
        return o

    def check_outcome(self, o):
        self.revive()  # what fired after the start; nothing fires any more
        super().check_outcome(o)


class GarbageCollection(Attached):
    """GC with a list without the sandbox, whose namespace is gone."""
    name = "gc"

    def prepare(self):
        super().prepare()
        self.pod.delete()

    def argv(self):
        conf = {**self.conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
        return self.cni("GC", conf)

    def cni(self, verb, conf):
        argv, env, text = super().cni(verb, conf)
        env.update(CNI_CONTAINERID=None, CNI_IFNAME=None, CNI_NETNS=None)
        return argv, env, text


class BusOperation(Attached):
    is_cni = False

    def call(self, path, interface, method, signature, *args):
        return ["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", "org.netmgr1", path,
                interface, method, signature, "--", *map(str, args)], None, ""

    @property
    def path(self):
        return f"{ROOT}/sandbox/{self.pod.name}/eth0"


class CollectGarbage(BusOperation):
    """The administrator's: a sandbox without a host end, whose mount was undone while its name stayed, so
    that nothing else has noticed."""
    name = "collect-garbage"
    conf = AddLoopback.conf

    def prepare(self):
        Operation.prepare(self)
        self.host.cni("ADD", self.conf, self.pod.name, "lo", self.pod.path, plugin="loopback").expect_ok()
        self.host.run(["umount", self.pod.path])
        self.pod.exists = False

    def argv(self):
        return self.call(ROOT, MANAGER, "CollectGarbage", "a{sv}", 0)

    def delete(self):
        assert self.pod.name not in {s["Id"] for s in self.host.describe("sandboxes")}
        self.host.run(["ip", "netns", "delete", self.pod.name])


class EndWithoutDel(Attached):
    """The namespace dies, and nobody says so: the process only waits until that was noticed."""
    name = "end-without-del"
    conf = AddBridge.conf

    def argv(self):
        known = ("busctl --address=unix:path=/run/dbus/system_bus_socket call org.netmgr1 /org/netmgr1 "
                 "org.netmgr1.Manager ListSandboxes")
        return ["sh", "-c", f"ip netns delete {self.pod.name} || :; until list=$({known} 2>/dev/null) && "
                f"case $list in *'\"{self.pod.name}\"'*) false;; esac; do sleep 0.05; done"], None, ""

    def prepare(self):
        super().prepare()
        self.pod.exists = False

    def wait(self):
        o = super().wait()
        self.host.run(["ip", "netns", "delete", self.pod.name], check=False)  # the process was killed before it could
        return o


class AddPort(BusOperation):
    name = "add-port"

    def argv(self):
        return self.call(self.path, "org.netmgr1.Attachment", "AddPort", "sqqa{sv}", "udp", 8100, 100, 0)

    def finish(self, outcome):
        self.start()
        self.wait()  # the port may be there already: then this is refused, and right so
        ports = self.host.describe("ports")
        assert 8100 in {p["HostPort"] for p in ports}, ports
        self.delete()
        self.remove_pod()


class RemovePort(BusOperation):
    name = "remove-port"

    def argv(self):
        return self.call(self.path, "org.netmgr1.Attachment", "RemovePort", "sqa{sv}", "udp", 8053, 0)

    def finish(self, outcome):
        self.start()
        self.wait()
        ports = self.host.describe("ports")
        assert 8053 not in {p["HostPort"] for p in ports}, ports
        self.delete()
        self.remove_pod()


class Bandwidth(BusOperation):
    name = "bandwidth-police"

    def argv(self):
        return self.call(self.path, "org.netmgr1.Attachment", "SetBandwidth", "a{sv}", 2, "IngressRate", "t",
                         2 * 10**8, "EgressRate", "t", 0)


class BandwidthShape(Bandwidth):
    name = "bandwidth-shape"
    conf = AddBridge.conf


class Claim(BusOperation):
    """A runtime's list with the sandbox in it."""
    name = "synchronize-claim"

    def synchronize(self, *sandboxes):
        began = int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1_000_000)
        return self.call(ROOT, RUNTIME, "Synchronize", "a{sv}", 3, "Runtime", "s", "crash", "Began", "t", began,
                         "Sandboxes", "a(ss)", len(sandboxes), *(x for s in sandboxes for x in (s, "ready")))

    def argv(self):
        return self.synchronize(self.pod.name)

    def finish(self, outcome):
        self.retry()
        assert {s["Id"]: s["Runtime"] for s in self.host.describe("sandboxes")}[self.pod.name] == "crash"
        self.delete()
        self.remove_pod()


class Lose(Claim):
    """A list without a sandbox that the runtime had before."""
    name = "synchronize-lose"

    def prepare(self):
        super().prepare()
        self.host.run(self.synchronize(self.pod.name)[0])

    def argv(self):
        return self.synchronize()

    def finish(self, outcome):
        self.retry()
        assert self.pod.name not in {s["Id"] for s in self.host.describe("sandboxes")}
        assert not self.pod.link("eth0")
        self.delete()  # comes late, and finds nothing
        self.remove_pod()


OPERATIONS = [AddRouted, AddBridge, AddLoopback, AddDelegate, DelDelegate, DelByExec, AddHostLocal, DelRouted,
              DelBridge, DelDead, DelSpooled, GarbageCollection, CollectGarbage, EndWithoutDel, AddPort, RemovePort,
              Bandwidth, BandwidthShape, Claim, Lose]
