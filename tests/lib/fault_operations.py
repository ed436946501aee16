# SPDX-License-Identifier: LGPL-2.1-or-later
"""What test_faults.py does again and again while one call after the other fails: an operation has run() and again(),
which works after whatever a failed run() has left."""
import base64
import json

from delegates import Delegates
from netmgr_host import BUS, LIMIT, MANAGER, ROOT, RUNTIME, bridge, netconf, routed, settle
from pod_networks import NETWORKS, annotated, reload, write_list, write_network

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


OPERATIONS = [Add, AddBridge, Del, DelBridge, DelByExec, Check, Gc, AddPort, RemovePort, SetBandwidth, SetShape,
              AddList, DelList, CheckList, AttachList, DetachList, Import,
              AddNetwork, AddManifest, RemoveNetwork, Reload, AddNetworks, DelNetworks, Attach, Detach]
