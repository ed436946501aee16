# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crash operations of the plugins that change the interface inside of the sandbox: tuning and sbr."""
from operations_chain import Chained, ForeignPortmap

MAC = "02:98:00:00:00:01"
TUNING = {"mac": MAC, "mtu": 1400, "txQLen": 77, "sysctl": {"net.ipv4.conf.IFNAME.arp_filter": "1"}}


def rules(pod):
    return {(r["src"], r["table"]) for family in ("-4", "-6") for r in pod.ip(family, "rule") if r["src"] != "all"}


class ChainTuning(Chained):
    name, plugin, keys = "chain-tuning", "tuning", TUNING

    def check_made(self):
        link = self.pod.link(self.ifname)
        assert (link["address"], link["mtu"], link["txqlen"]) == (MAC, 1400, 77), link
        self.host.wait_ping(self.prev["ips"][0]["address"].split("/")[0])


class ChainSbr(Chained):
    name, plugin = "chain-sbr", "sbr"

    def check_made(self):
        assert {src for src, _ in rules(self.pod)} == {i["address"].split("/")[0] for i in self.prev["ips"]}
        main = self.pod.ip("route", "show", "dev", self.ifname)
        assert main == [], main

    def delete(self):
        super().delete()
        assert rules(self.pod) == set()


class ForeignInsideDel(ForeignPortmap):
    """The end of somebody else's interface that was tuned and has rules: it gets back what it had."""
    name, plugin, keys = "foreign-inside-del", "tuning", TUNING

    def prepare(self):
        super().prepare()
        self.before = self.state()
        self.add_all()

    def state(self):
        link = self.pod.link("for0")
        return link["address"], link["mtu"], link["txqlen"], rules(self.pod)

    def add_all(self):
        for kind, keys in (("tuning", TUNING), ("sbr", {})):
            conf = {"cniVersion": "1.0.0", "name": self.conf["name"], "type": kind, "prevResult": self.prev, **keys}
            self.host.cni("ADD", conf, self.pod.name, "for0", self.pod.path, plugin=kind).expect_ok()

    def argv(self):
        return self.cni("DEL", self.chained())

    def finish(self, outcome):
        self.retry()
        assert self.state() == self.before
        self.add_all()
        self.retry()
        assert self.state() == self.before
        self.delete()
        self.remove_pod()


OPERATIONS = [ChainTuning, ChainSbr, ForeignInsideDel]
