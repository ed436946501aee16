# SPDX-License-Identifier: LGPL-2.1-or-later
"""Lists whose plugins are others': Debian's reference plugins under names that netmgr does not serve itself.

    v = Vendor(host)
    v.install("vendor-bridge", "bridge")            # a recorder in front of the real program
    write_list(host, "blue", v.bridge("10.98.1.0/24"), v.plugin("vendor-tuning", mtu=1400))
    host.add(conf, env=v.env)
    v.calls()                                       # what was executed, in order; each noted when it begins
"""
import json
import os

from delegates import REFERENCE, Delegates


class Vendor(Delegates):
    def __init__(self, host):
        super().__init__(host)
        for name in ("bridge", "ptp", "macvlan", "tuning"):
            self.install(f"vendor-{name}", name)
        # what bridge and ptp execute for their addresses, found in CNI_PATH like everything
        self.copy("vendor-local", "host-local")

    def install(self, name, program):
        self.put(name, f"exec {REFERENCE}/{program}")

    def serve_ipam(self, *names):
        """netmgr's own IPAM plugins in CNI_PATH"""
        for name in names:
            os.symlink(f"{self.host.dir}/cni/{name}", f"{self.dir}/{name}")

    @staticmethod
    def plugin(name, **keys):
        return {"type": name, **keys}

    def bridge(self, subnet, ipam="vendor-local", bridge="vendor0", routes=None, **keys):
        ranges = {"type": ipam, "ranges": [[{"subnet": s}] for s in subnet.split()], "dataDir": self.data}
        if routes is not None:
            ranges["routes"] = routes
        return {"type": "vendor-bridge", "bridge": bridge, "isGateway": True, "ipam": ranges, **keys}

    def of(self, name):
        """What that plugin was called for, and what it was given"""
        return [(c["CNI_COMMAND"], json.loads(c["stdin"])) for c in self.calls() if c["PROGRAM"] == name]

    def order(self):
        return [(c["CNI_COMMAND"], c["PROGRAM"], c["CNI_IFNAME"]) for c in self.calls()]
