# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many networks per sandbox: one ADD whose annotation names them, beside a plugin call per network.

The reference side does what a multiplexing plugin has to do at least: run the delegate of each network, one after
the other. The multiplexer's own work (its process, its daemon, its API server) is not in it.
"""

import os
import subprocess

from runtime import Side

ANNOTATIONS = "io.kubernetes.cri.pod-annotations"
NETWORKS = "k8s.v1.cni.cncf.io/networks"


def names(count):
    return [f"bench-lan{i}" for i in range(1, count + 1)]


def subnet(block, number):
    return f"10.{block}.{number}.0/24"


def define(count):
    """The networks, as files of the node."""
    directory = os.path.join(os.environ["NETMGR_CONFIG_DIR"], "networks.d")
    os.makedirs(directory, exist_ok=True)
    for number, name in enumerate(names(count), 1):
        path = os.path.join(directory, name + ".conflist")
        with open(path, "w") as file:
            file.write('{"cniVersion": "1.0.0", "name": "%s", "plugins": [{"type": "netmgr", "kind": "bridge", '
                       '"isGateway": true, "ipam": {"type": "local", "subnet": "%s"}}]}' % (name, subnet(101, number)))
        os.chmod(path, 0o644)
    subprocess.run(["netmgrctl", "reload"], check=True, stdout=subprocess.DEVNULL)


def netmgr_side(count, directory):
    plugin = {"type": "netmgr", "kind": "routed", "ipam": {"type": "local", "subnet": "10.97.192.0/20"},
              "capabilities": {ANNOTATIONS: True},
              "runtimeConfig": {ANNOTATIONS: {NETWORKS: ",".join(names(count))}}}
    return Side(f"1+{count} networks", "bench-many", [plugin], directory)


class DelegatesSide(Side):
    """bridge with host-local for eth0, net1, net2, ... of one sandbox in turn."""

    def __init__(self, count, directory, data_dir, host):
        super().__init__(f"1+{count} bridge", "bench-delegates", [], directory, host=host)
        self.delegates = [
            (f"net{number}" if number else "eth0",
             {"type": "bridge", "bridge": f"dlg{number}", "isGateway": True,
              "ipam": {"type": "host-local", "dataDir": os.path.join(data_dir, f"delegate{number}"),
                       "subnet": subnet(102, number)}})
            for number in range(count + 1)]

    def _of(self, verb, sandbox, ifname, plugin):
        argv, env, text = self._request(verb, sandbox, plugin, None)
        return argv, dict(env, CNI_IFNAME=ifname), text

    def add(self, sandbox):
        for ifname, plugin in self.delegates:
            yield self._of("ADD", sandbox, ifname, plugin)
        sandbox.results[self.name] = None

    def delete(self, sandbox):
        for ifname, plugin in reversed(self.delegates):
            yield self._of("DEL", sandbox, ifname, plugin)
