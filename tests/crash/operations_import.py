# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with what others have set up before netmgr was there."""
import base64
import json
import os
import shutil

from netmgr_host import routed
from operations import Operation

REFERENCE = "/usr/lib/cni"


class OfOthers(Operation):
    """A sandbox of Debian's ptp and host-local, with libcni's cache of it."""
    is_cni = False
    ifname = "for0"

    def prepare(self):
        super().prepare()
        self.dir = f"{self.host.dir}/others-{self.pod.name}"
        os.makedirs(f"{self.dir}/results")
        self.make()

    @property
    def theirs(self):
        return {"cniVersion": "1.0.0", "name": "crash-t", "type": "ptp",
                "ipam": {"type": "host-local", "subnet": "10.99.0.0/24", "dataDir": f"{self.dir}/networks"}}

    def make(self):
        env = {**self.host.cni_env("ADD", self.pod.name, self.ifname, self.pod.path), "CNI_PATH": REFERENCE}
        result = json.loads(self.host.run([f"{REFERENCE}/ptp"], env=env, input=json.dumps(self.theirs)).stdout)
        self.address = result["ips"][0]["address"]
        with open(f"{self.dir}/results/crash-t-{self.pod.name}-{self.ifname}", "w") as f:
            json.dump({"kind": "cniCacheV1", "containerId": self.pod.name, "ifName": self.ifname,
                       "networkName": "crash-t", "result": result,
                       "config": base64.b64encode(json.dumps(self.theirs).encode()).decode()}, f)

    def command(self):
        return ["netmgrctl", "import", "multus", f"--dir={self.dir}", f"--results-dir={self.dir}/results"]

    def argv(self):
        return self.command(), None, ""

    def ours(self):
        env = {**self.host.cni_env("DEL", self.pod.name, self.ifname, self.pod.path),
               "CNI_PATH": f"{self.host.dir}/cni:{REFERENCE}"}
        return [f"{self.host.dir}/cni/netmgr"], env, json.dumps(routed("crash-i", "10.98.0.0/24"))

    def delete(self):
        argv, env, text = self.ours()
        self.host.run(argv, env=env, input=text)

    def check_gone(self):
        assert {x["ifname"] for x in self.pod.ip("link", "show")} == {"lo"}
        files = f"{self.dir}/networks/crash-t"
        assert not [x for x in os.listdir(files) if x[0].isdigit()], os.listdir(files)

    def remove_pod(self):
        shutil.rmtree(self.dir)
        super().remove_pod()

    def finish(self, outcome):
        self.retry()
        assert self.host.held()[self.address] == f"{self.pod.name}/{self.ifname}"
        self.delete()
        self.check_gone()
        self.remove_pod()


class ImportSandbox(OfOthers):
    name = "import-sandbox"


class ImportAddresses(OfOthers):
    """Only what they have given out; the interface stays theirs."""
    name = "import-addresses"

    def command(self):
        return ["netmgrctl", "import", "host-local", f"--dir={self.dir}/networks"]

    def finish(self, outcome):
        self.retry()
        held = {a.split("/")[0]: who for a, who in self.host.held().items()}
        assert held[self.address.split("/")[0]] == f"{self.pod.name}/{self.ifname}"
        self.delete()
        env = {**self.host.cni_env("DEL", self.pod.name, self.ifname, self.pod.path), "CNI_PATH": REFERENCE}
        self.host.run([f"{REFERENCE}/ptp"], env=env, input=json.dumps(self.theirs))
        self.check_gone()
        self.remove_pod()


class DelImported(OfOthers):
    """The runtime's DEL of what was taken over: their plugins end it."""
    name, is_cni = "del-imported", True

    def prepare(self):
        super().prepare()
        self.host.run(self.command())

    def argv(self):
        return self.ours()

    def finish(self, outcome):
        self.retry()
        self.check_gone()
        self.remove_pod()


OPERATIONS = [ImportSandbox, ImportAddresses, DelImported]
