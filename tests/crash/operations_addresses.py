# SPDX-License-Identifier: LGPL-2.1-or-later
"""Crash operations of addresses that belong to somebody, and of routing tables per interface."""
import json

from netmgr_host import MANAGER, ROOT, routed, settle
from operations import Add, BusOperation, DelRouted
from operations_inside import rules
from pod_networks import pod_args


class AddOwnTable(Add):
    """What leaves from its addresses has a table of its own, with rules that do not go with the interface."""
    name = "add-own-table"
    conf = routed("crash-t", "10.98.6.0/24", "fd98:6::/64", sbr=True)

    def delete(self):
        super().delete()
        assert rules(self.pod) == set()


class DelOwnTable(DelRouted):
    """The interface goes whatever the kernel says of the rules, so one may be left behind."""
    name, conf = "del-own-table", AddOwnTable.conf


class AddSticky(Add):
    """A pod whose address waits for it: whatever becomes of an ADD, the next one gets it again."""
    name = "add-sticky"
    conf = routed("crash-s", "10.98.7.0/24", "fd98:7::/64")
    conf["ipam"]["stickySec"] = 3600

    @property
    def owner(self):
        return f"crash/{self.pod.name}"

    def cni(self, verb, conf):
        argv, env, text = super().cni(verb, conf)
        return argv, {**env, "CNI_ARGS": pod_args("crash", self.pod.name)}, text

    def call(self, verb):
        return self.host.cni(verb, self.conf, self.pod.name, "eth0", self.pod.path, pod_args("crash", self.pod.name))

    def waiting(self):
        return {r["Address"].split("/")[0] for r in self.host.describe("addresses") if r["Owner"] == self.owner}

    def prepare(self):
        super().prepare()
        result = self.call("ADD").expect_ok().json
        self.addresses = {i["address"].split("/")[0] for i in result["ips"]}
        self.call("DEL").expect_ok()
        # a crash right behind the answer may find the row `releasing`: its end is another operation's matter
        settle(lambda: not self.host.sql("SELECT 1 FROM attachment WHERE sandbox = ?", self.pod.name), "its end is written")

    def finish(self, outcome):
        self.delete()
        assert self.waiting() == self.addresses
        self.start()
        o = self.wait()
        assert o.ok and {i["address"].split("/")[0] for i in json.loads(o.stdout)["ips"]} == self.addresses, o
        self.delete()
        self.host.manager("ReleaseAddresses", "s", self.owner)
        self.remove_pod()


class GiveUp(BusOperation):
    """The owner of a sticky address gives it up."""
    name = "give-up"

    def prepare(self):
        self.sticky = AddSticky(self.host)
        self.sticky.prepare()
        self.pod = self.sticky.pod

    def argv(self):
        return self.call(ROOT, MANAGER, "ReleaseAddresses", "s", self.sticky.owner)

    def finish(self, outcome):
        if outcome.ok:
            assert self.sticky.waiting() == set()
        self.retry()
        assert self.sticky.waiting() == set()
        assert not self.host.sql("SELECT 1 FROM address WHERE owner = ?", self.sticky.owner)
        self.remove_pod()


OPERATIONS = [AddOwnTable, DelOwnTable, AddSticky, GiveUp]
