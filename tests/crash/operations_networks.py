# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with several interfaces at once."""
import os

from netmgr_host import MANAGER, ROOT, routed
from operations import Add, BusOperation, DelRouted
from pod_networks import NETWORKS, annotated, reload, write_list, write_network

ASKED = annotated(routed("crash-n", "10.98.0.0/24"), {NETWORKS: "crash-lan,crash-chain@lan0"})


class WithNetworks:
    """Two networks of the node, one of them a list of plugins; the files go with the operation."""

    def prepare(self):
        write_network(self.host, "crash-lan", "bridge", "10.98.1.0/24", isDefaultGateway=False)
        write_list(self.host, "crash-chain",
                   {"type": "ptp", "ipam": {"type": "host-local", "subnet": "10.98.2.0/24"}},
                   {"type": "tuning", "mtu": 1400})
        reload(self.host)
        super().prepare()

    def remove_pod(self):
        super().remove_pod()
        for name in ("crash-lan", "crash-chain"):
            os.unlink(f"{self.host.networks_dir}/{name}.conflist")
        reload(self.host)


class AddNetworks(WithNetworks, Add):
    name, conf = "add-networks", ASKED


class DelNetworks(WithNetworks, DelRouted):
    name, conf = "del-networks", ASKED


class Attach(WithNetworks, BusOperation):
    """One more network for a sandbox that runs; the DEL of the sandbox ends it, whatever became of it."""
    name = "attach"
    conf = routed("crash-n", "10.98.0.0/24")
    network = "crash-lan"

    def argv(self):
        return self.call(ROOT, MANAGER, "Attach", "ssa{sv}", self.pod.name, self.network, 0)


class AttachList(Attach):
    """The same of a list of plugins"""
    name, network = "attach-list", "crash-chain"


class Detach(Attach):
    name = "detach"

    def prepare(self):
        super().prepare()
        self.host.manager("Attach", "ssa{sv}", self.pod.name, self.network, 0)

    def argv(self):
        return self.call(ROOT, MANAGER, "Detach", "ssa{sv}", self.pod.name, "net1", 0)

    def retry(self):
        """What was detached cannot be so once more; what was not can."""
        if "net1" in {a["Interface"] for a in self.host.describe("attachments") if a["Sandbox"] == self.pod.name}:
            super().retry()


class DetachList(Detach):
    name, network = "detach-list", "crash-chain"


OPERATIONS = [AddNetworks, DelNetworks, Attach, AttachList, Detach, DetachList]
