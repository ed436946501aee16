# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with plugins of a chain, on our interface and on others'."""
from netmgr_host import bridge
from operations import PORTS, Attached, Operation


class Chained(Attached):
    """A plugin behind the one that made the interface."""
    conf = bridge("crash-c", "10.98.4.0/24", "fd98:4::/64", isDefaultGateway=True)
    keys = {}

    def prepare(self):
        Operation.prepare(self)
        self.reply = self.host.cni("ADD", self.conf, self.pod.name, self.ifname, self.pod.path).expect_ok()
        self.prev = self.reply.json

    def chained(self):
        return {"cniVersion": "1.0.0", "name": self.conf["name"], "type": self.plugin, "prevResult": self.prev,
                **self.keys}

    def argv(self):
        return self.cni("ADD", self.chained())

    def finish(self, outcome):
        self.retry()  # the same call gives the same, however far the first one came
        again = self.host.cni("ADD", self.chained(), self.pod.name, self.ifname, self.pod.path, plugin=self.plugin)
        conf = {**self.chained(), "prevResult": again.expect_ok().json}
        self.host.cni("CHECK", conf, self.pod.name, self.ifname, self.pod.path, plugin=self.plugin).expect_ok()
        self.check_made()
        self.host.cni("DEL", conf, self.pod.name, self.ifname, self.pod.path, plugin=self.plugin).expect_ok()
        self.delete()
        self.remove_pod()

    def check_made(self):
        pass


class ChainPortmap(Chained):
    name, plugin, keys = "chain-portmap", "portmap", PORTS

    def check_made(self):
        assert {p["HostPort"] for p in self.host.describe("ports")} >= {8000, 8053}


class ChainBandwidth(Chained):
    name, plugin = "chain-bandwidth", "bandwidth"
    keys = {"ingressRate": 10**8, "ingressBurst": 10**8, "egressRate": 10**8, "egressBurst": 10**8}

    def check_made(self):
        link = [x["ifname"] for x in self.host.ip("-d", "link", "show", "type", "ifb")]
        assert len(link) == 1, link


class ChainFirewall(Chained):
    name, plugin, keys = "chain-firewall", "firewall", {"ingressPolicy": "isolated"}

    def check_made(self):
        assert "closed" in self.host.run(["nft", "list", "set", "bridge", "netmgr_br", "closed"]).stdout


class ForeignPortmap(ChainPortmap):
    """Behind an interface that somebody else has made, and takes away himself."""
    name, ifname = "foreign-portmap", "for0"

    def prepare(self):
        Operation.prepare(self)
        self.end = f"f{self.pod.name}"[:15]
        for argv in (["link", "add", self.end, "type", "veth", "peer", "name", "for0", "netns", self.pod.name],
                     ["link", "set", self.end, "up"], ["addr", "add", "10.99.0.1/32", "peer", "10.99.0.2", "dev", self.end],
                     ["-n", self.pod.name, "addr", "add", "10.99.0.2/24", "dev", "for0"],
                     ["-n", self.pod.name, "link", "set", "for0", "up"]):
            self.host.run(["ip", *argv])
        self.prev = {"cniVersion": "1.0.0", "interfaces": [{"name": self.end}, {"name": "for0", "sandbox": self.pod.path}],
                     "ips": [{"address": "10.99.0.2/24", "interface": 1}]}

    def delete(self):
        assert self.host.run(["sysctl", "-n", f"net.ipv4.conf.{self.end}.route_localnet"]).stdout.strip() == "0"
        self.host.run(["ip", "link", "del", self.end])


class ForeignDel(ForeignPortmap):
    """The end of one with a port and rates."""
    name = "foreign-del"

    def prepare(self):
        super().prepare()
        self.add_all()

    def add_all(self):
        for kind in (ChainPortmap, ChainBandwidth):
            conf = {"cniVersion": "1.0.0", "name": self.conf["name"], "type": kind.plugin, "prevResult": self.prev, **kind.keys}
            self.host.cni("ADD", conf, self.pod.name, "for0", self.pod.path, plugin=kind.plugin).expect_ok()

    def argv(self):
        return self.cni("DEL", self.chained())

    def finish(self, outcome):
        self.retry()
        assert not self.host.ip("link", "show", "type", "ifb")
        assert "mirred" not in self.host.run(["tc", "filter", "show", "dev", self.end, "ingress"]).stdout
        self.delete()
        self.remove_pod()


OPERATIONS = [ChainPortmap, ChainBandwidth, ChainFirewall, ForeignPortmap, ForeignDel]
