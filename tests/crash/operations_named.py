# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with networks by name: over D-Bus, and files."""
import json

from netmgr_host import MANAGER, ROOT, bridge
from operations import BusOperation


def manifest(name, namespace, conf):
    return {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
            "metadata": {"name": name, "namespace": namespace}, "spec": {"config": json.dumps(conf)}}


class NetworkAdd(BusOperation):
    name, network = "network-add", "crash-n"

    def prepare(self):
        self.text = json.dumps(bridge("crash-n", "10.98.2.0/24"))

    def argv(self):
        return self.call(ROOT, MANAGER, "AddNetwork", "ssa{sv}", self.network, self.text, 0)

    def finish(self, outcome):
        names = {n["Name"] for n in self.host.describe("networks")}
        if outcome.ok:
            assert self.network in names, names
        if self.network not in names:
            self.retry()
        self.host.manager("RemoveNetwork", "sa{sv}", self.network, 0)


class ManifestAdd(NetworkAdd):
    name, network = "manifest-add", "crash/n"

    def prepare(self):
        self.text = json.dumps(manifest("n", "crash", {"plugins": [{"type": "bridge", "ipam": {"type": "static"}},
                                                                   {"type": "tuning"}]}))


class NetworkRemove(NetworkAdd):
    name = "network-remove"

    def prepare(self):
        super().prepare()
        self.host.manager("AddNetwork", "ssa{sv}", "crash-n", self.text, 0)

    def argv(self):
        return self.call(ROOT, MANAGER, "RemoveNetwork", "sa{sv}", "crash-n", 0)

    def finish(self, outcome):
        names = {n["Name"] for n in self.host.describe("networks")}
        if outcome.ok:
            assert "crash-n" not in names, names
        if "crash-n" in names:
            self.retry()


class Reload(BusOperation):
    """A changed file of networks.d."""
    name = "reload"

    network = "crash-f"

    def prepare(self):
        self.file = f"{self.host.networks_dir}/crash-f.conflist"
        conf = bridge("crash-f", "10.98.3.0/24")
        with open(self.file, "w") as f:
            json.dump({"cniVersion": "1.0.0", "name": "crash-f",
                       "plugins": [{k: v for k, v in conf.items() if k not in ("cniVersion", "name")}]}, f)

    def argv(self):
        return self.call(ROOT, MANAGER, "Reload", "")[:1][0][:-2], None, ""

    def finish(self, outcome):
        self.retry()
        assert self.network in {n["Name"] for n in self.host.describe("networks")}
        import os
        os.unlink(self.file)
        self.retry()


class ReloadManifest(Reload):
    """A NetworkAttachmentDefinition among them."""
    name, network = "reload-manifest", "crash/f"

    def prepare(self):
        self.file = f"{self.host.networks_dir}/crash.nad.json"
        with open(self.file, "w") as f:
            json.dump(manifest("f", "crash", bridge("crash-f", "10.98.3.0/24")), f)


OPERATIONS = [NetworkAdd, NetworkRemove, ManifestAdd, Reload, ReloadManifest]
