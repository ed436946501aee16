# SPDX-License-Identifier: LGPL-2.1-or-later
"""A conflist as libcni executes it: one process per plugin, each with the result of the one before.

    chain = Chain(host, "net1", [bridge_of("net1"), {"type": "portmap"}], ports=[mapping(8080)])
    chain.add(); chain.check(); chain.delete()

A type that begins with "ref:" is Debian's program of that name.
"""
import json
import os

from host_pods import Reply

REFERENCE = "/usr/lib/cni"


def has_reference(*names):
    return all(os.access(f"{REFERENCE}/{name}", os.X_OK) for name in names)


class Chain:
    def __init__(self, host, name, plugins, pod=None, version="1.0.0", ifname="eth0", ports=None, bandwidth=None,
                 cid=None):
        self.host, self.name, self.plugins, self.version, self.ifname = host, name, plugins, version, ifname
        self.pod = pod or host.pod()
        self.cid = cid or self.pod.name
        self.capabilities = {"portmap": {"portMappings": ports} if ports else {},
                             "bandwidth": {"bandwidth": bandwidth} if bandwidth else {}}
        self.result = None
        self.results = []

    def conf(self, plugin, prev=None, runtime=True, **keys):
        kind = plugin["type"].removeprefix("ref:")
        conf = {**plugin, "cniVersion": self.version, "name": self.name, "type": kind}
        if runtime and self.capabilities.get(kind):
            conf["runtimeConfig"] = self.capabilities[kind]
        if prev is not None:
            conf["prevResult"] = prev
        conf.update(keys)
        return conf

    def call(self, verb, plugin, prev=None, netns=True, **keys):
        kind = plugin["type"]
        conf = json.dumps(self.conf(plugin, prev, **keys))
        path = (f"{REFERENCE}/{kind[4:]}" if kind.startswith("ref:") else f"{self.host.dir}/cni/{kind}")
        env = self.host.cni_env(verb, self.cid, self.ifname, self.pod.path if netns else "")
        env["CNI_PATH"] = REFERENCE if kind.startswith("ref:") else env["CNI_PATH"]
        r = self.host.run([path], env=env, input=conf, check=False)
        return Reply(verb, r.returncode, r.stdout, r.stderr)

    def add(self, upto=None):
        """The first that fails ends it, as in libcni."""
        for plugin in self.plugins[:upto]:
            reply = self.call("ADD", plugin, self.result)
            reply.expect_ok()
            self.result = reply.json
            self.results.append(self.result)
        return self

    def again(self, number):
        """ADD of one plugin once more, with what it got the first time"""
        return self.call("ADD", self.plugins[number], self.results[number - 1])

    def check(self):
        for plugin in self.plugins:
            self.call("CHECK", plugin, self.result).expect_ok()

    def delete(self, **keys):
        for plugin in reversed(self.plugins):
            self.call("DEL", plugin, keys.pop("prev", self.result), **keys).expect_ok()

    @property
    def cidrs(self):
        r = self.result
        return [i["address"] for i in r["ips"]] if "ips" in r else [r[k]["ip"] for k in ("ip4", "ip6") if k in r]

    @property
    def ips(self):
        return [a.split("/")[0] for a in self.cidrs]

    @property
    def host_ifname(self):
        """The host's end, by the index that the sandbox's end names"""
        inner = self.pod.link(self.ifname)
        return [x["ifname"] for x in self.host.ip("link", "show") if x["ifindex"] == inner["link_index"]][0]
