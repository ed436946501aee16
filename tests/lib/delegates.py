# SPDX-License-Identifier: LGPL-2.1-or-later
"""Plugins of others for the tests of delegates: a plugin directory of the host's own with Debian's host-local
under another name, and with programs that do what a real one should not.

    d = Delegates(host)
    conf = d.conf("net1", "10.97.0.0/24")       # kind bridge, addresses from the copy of host-local
    host.add(conf, env=d.env)
    d.reserved("net1")                          # {address: "ID/IFNAME"} as host-local keeps it
    d.calls()                                   # what was executed: [{"CNI_COMMAND": ..., "stdin": ...}]
"""
import contextlib
import json
import os
import shutil

from netmgr_host import netconf

REFERENCE = "/usr/lib/cni"
NAME = "node-local"  # Debian's host-local, by a name that netmgr does not serve itself

# Notes what it was called with and then is what WHAT says; run by sh, in the plugin's place.
RECORDER = """#!/bin/sh
stdin=$(cat; echo x)
stdin=${{stdin%x}}
n=$(mktemp {log}/$(date +%s%N).XXXXXX.part)
{{
    env | grep ^CNI_
    echo PROGRAM=${{0##*/}}
    echo
    printf %s "$stdin"
}} > "$n"
mv "$n" "${{n%.part}}"
printf %s "$stdin" | {what}
"""


class Delegates:
    def __init__(self, host):
        self.host = host
        self.dir, self.log, self.data = f"{host.dir}/others", f"{host.dir}/others.log", f"{host.dir}/others.data"
        for d in (self.dir, self.log, self.data):
            os.mkdir(d)
        self.env = {"CNI_PATH": f"/none:{self.dir}"}
        self.put(NAME, f"exec {REFERENCE}/host-local")

    def put(self, name, what):
        """A plugin: shell commands that get stdin and decide what it answers."""
        path = f"{self.dir}/{name}"
        with open(path + ".new", "w") as f:
            f.write(RECORDER.format(log=self.log, what="{ " + what + "\n}"))
        os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def copy(self, name, program):
        shutil.copy(f"{REFERENCE}/{program}", f"{self.dir}/{name}")

    def remove(self, name):
        os.unlink(f"{self.dir}/{name}")

    def conf(self, name="net1", subnet="10.97.0.0/24", plugin=NAME, kind="bridge", version="1.0.0", routes=None, **keys):
        if kind == "bridge":
            keys.setdefault("isGateway", True)
        ipam = {"type": plugin, "subnet": subnet, "dataDir": self.data}
        if routes:
            ipam["routes"] = routes
        return netconf(name, version=version, kind=kind, ipam=ipam, **keys)

    def reserved(self, network="net1"):
        found = {}
        with contextlib.suppress(FileNotFoundError):
            for address in os.listdir(f"{self.data}/{network}"):
                if address[0].isdigit():
                    with open(f"{self.data}/{network}/{address}") as f:
                        found[address] = "/".join(f.read().split())
        return found

    def calls(self):
        calls = []
        for name in sorted(os.listdir(self.log)):
            if name.endswith(".part"):
                continue
            with open(f"{self.log}/{name}") as f:
                variables, stdin = f.read().split("\n\n", 1)
            calls.append({**dict(v.split("=", 1) for v in variables.splitlines()), "stdin": stdin})
        return calls

    def commands(self):
        return [c["CNI_COMMAND"] for c in self.calls()]

    def forget(self):
        for name in os.listdir(self.log):
            os.unlink(f"{self.log}/{name}")


def error(code, msg):
    return "cat > /dev/null; printf '%s' " + "'" + json.dumps({"code": code, "msg": msg}) + "'; exit 1"
