# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with lists of plugins of others: Debian's bridge and tuning by other names."""
import json
import os
import shutil

from netmgr_host import routed
from operations import CODES, Add
from pod_networks import NETWORKS, annotated, reload, write_list


class AddList(Add):
    """Two plugins of others, the first of which asks netmgr's host-local for addresses."""
    name = "add-list"
    conf = annotated(routed("crash-v", "10.98.0.0/24"), {NETWORKS: "crash-vendor"})
    ipam = {"type": "host-local", "subnet": "10.98.6.0/24"}
    codes = CODES | {108}  # what killed the plugin that another one had called is that one's to tell

    def __init__(self, host):
        super().__init__(host)
        self.dir = f"{host.dir}/vendors"
        if not os.path.isdir(self.dir):
            os.mkdir(self.dir)
            for program in ("bridge", "tuning"):
                shutil.copy(f"/usr/lib/cni/{program}", f"{self.dir}/vendor-{program}")
            os.symlink(f"{host.dir}/cni/host-local", f"{self.dir}/host-local")

    def prepare(self):
        write_list(self.host, "crash-vendor", {"type": "vendor-bridge", "bridge": "crash-v0", "isGateway": True, "ipam": self.ipam},
                   {"type": "vendor-tuning", "mtu": 1400}, cniVersion="1.0.0")
        reload(self.host)
        # with an address of its own: one that it lost with its last port is more than the reference's bridge can do with
        self.host.run(["ip", "link", "add", "crash-v0", "address", "02:00:00:00:00:06", "type", "bridge"])
        super().prepare()

    def cni(self, verb, conf):
        argv, env, text = super().cni(verb, conf)
        return argv, {**env, "CNI_PATH": self.dir}, text

    def call(self, verb, conf):
        return self.host.cni(verb, conf, self.pod.name, self.ifname, self.pod.path, env={"CNI_PATH": self.dir})

    def check_outcome(self, o):
        # a plugin whose call of host-local came to nothing fails in its own words, or is killed with it
        if o.ok or o.status < 0 or o.code not in (108, 999):
            super().check_outcome(o)

    def check(self, result):
        self.call("CHECK", {**self.conf, "prevResult": result}).expect_ok()
        link = self.pod.link("net1")
        assert link and link["mtu"] == 1400
        assert len(self.held()) == 1, self.host.held()

    def held(self):
        return [a for a, who in self.host.held().items() if who == f"{self.pod.name}/net1"]

    def delete(self):
        self.call("DEL", self.conf).expect_ok()
        assert not self.pod.exists or not self.pod.link("net1")
        assert not self.held()

    def finish(self, outcome):
        if outcome.ok:
            self.check(json.loads(outcome.stdout))
        self.delete()
        # the plugin itself cannot go on with a bridge of its own that was left without an address and ports
        self.host.run(["ip", "link", "delete", "crash-v0"], check=False)
        self.start()
        again = self.wait()
        assert again.ok, again
        self.check(json.loads(again.stdout))
        self.delete()
        self.remove_pod()

    def remove_pod(self):
        super().remove_pod()
        os.unlink(f"{self.host.networks_dir}/crash-vendor.conflist")
        reload(self.host)
        self.host.run(["ip", "link", "delete", "crash-v0"])


class DelList(AddList):
    name = "del-list"

    def prepare(self):
        super().prepare()
        self.reply = self.call("ADD", self.conf).expect_ok()

    def argv(self):
        return self.cni("DEL", {**self.conf, "prevResult": self.reply.json})

    def finish(self, outcome):
        self.delete()
        self.remove_pod()


class CheckList(DelList):
    name = "check-list"

    def argv(self):
        return self.cni("CHECK", {**self.conf, "prevResult": self.reply.json})


OPERATIONS = [AddList, DelList, CheckList]
