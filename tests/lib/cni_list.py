# SPDX-License-Identifier: LGPL-2.1-or-later
"""A runtime's driver of configuration lists, after the specification: which plugin is called in which
order with which configuration, previous result and capability arguments.

    driver = Driver(host, ["/usr/lib/cni"])
    a = Attach(ConfList("net1", [{"type": "bridge", ...}, {"type": "portmap", ...}]), pod)
    driver.add(a).expect_ok()          # a.result is what the last plugin answered
    driver.delete(a).expect_ok()       # in reverse, with that result

A verb ends at the first plugin that fails and returns its Reply; when all were content, the last one's.
What the driver keeps (results, the configuration of the ADD is not among them: runtimes read theirs
again) lives in the Attach object. Nothing here knows whose plugins they are.
"""
import copy
import dataclasses
import json
import os

from host_pods import Pod, Reply

GC_KEYS = ("cni.dev/valid-attachments", "cni.dev/attachments")  # the second is what older libraries send


def version_at_least(version, wanted):
    return [int(x) for x in version.split(".")] >= [int(x) for x in wanted.split(".")]


@dataclasses.dataclass
class ConfList:
    name: str
    plugins: list
    version: str = "1.0.0"
    disable_check: bool = False


@dataclasses.dataclass
class Attach:
    """What a runtime knows about one attachment: its key, its arguments, the result it keeps."""
    net: ConfList
    pod: Pod
    cid: str = None
    ifname: str = "eth0"
    args: str = None
    capabilities: dict = dataclasses.field(default_factory=dict)
    result: dict = None  # of the last successful ADD; None: there was none, or it was lost

    def __post_init__(self):
        self.cid = self.cid or self.pod.name
        self.capabilities = dict(self.capabilities)


class Driver:
    def __init__(self, host, path, env=None):
        """path: directories with plugins, the first that has one wins. env: more for every plugin."""
        self.host, self.path, self.env = host, path, dict(env or {})
        self.calls = []  # (plugin, verb, configuration, Reply) of everything that was run

    def find(self, kind):
        for directory in self.path:
            candidate = os.path.join(directory, kind)
            if os.access(candidate, os.X_OK):
                return candidate
        raise AssertionError(f"no plugin {kind} in {self.path}")

    # --- one plugin ---

    def config(self, net, plugin, prev=None, capabilities=None, extra=None):
        conf = copy.deepcopy(plugin)
        conf["name"], conf["cniVersion"] = net.name, net.version
        wanted = {k: v for k, v in (capabilities or {}).items() if plugin.get("capabilities", {}).get(k)}
        if wanted:
            conf["runtimeConfig"] = {**conf.get("runtimeConfig", {}), **wanted}
        if prev is not None:
            conf["prevResult"] = prev
        conf.update(extra or {})
        return conf

    def call(self, verb, conf, cid=None, ifname=None, netns=None, args=None):
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": cid, "CNI_IFNAME": ifname, "CNI_NETNS": netns,
               "CNI_ARGS": args, "CNI_PATH": ":".join(self.path), **self.env}
        r = self.host.run([self.find(conf["type"])], env=env, input=json.dumps(conf), check=False)
        reply = Reply(verb, r.returncode, r.stdout, r.stderr)
        self.calls.append((conf["type"], verb, conf, reply))
        return reply

    def _attached(self, verb, a, plugin, prev, netns):
        conf = self.config(a.net, plugin, prev, a.capabilities)
        netns = a.pod.path if netns is None else netns
        return self.call(verb, conf, a.cid, a.ifname, netns, a.args)

    # --- verbs of a list ---

    def add(self, a, stop_after=None, netns=None):
        """stop_after: how many plugins are called before the runtime dies."""
        prev, reply = None, None
        for plugin in a.net.plugins[:stop_after]:
            reply = self._attached("ADD", a, plugin, prev, netns)
            if not reply.ok:
                return reply
            prev = reply.json
        if stop_after is None:
            a.result = prev
        return reply

    def check(self, a, prev="kept", netns=None):
        assert version_at_least(a.net.version, "0.4.0"), "CHECK came with 0.4.0"
        if a.net.disable_check:
            return None
        prev = a.result if prev == "kept" else prev
        for plugin in a.net.plugins:
            reply = self._attached("CHECK", a, plugin, prev, netns)
            if not reply.ok:
                break
        return reply

    def delete(self, a, prev="kept", netns=None, order=None):
        """netns: another path, "" for none. order: indexes of the plugins, first called first."""
        prev = a.result if prev == "kept" else prev
        if not version_at_least(a.net.version, "0.4.0"):
            prev = None
        for i in order if order is not None else reversed(range(len(a.net.plugins))):
            reply = self._attached("DEL", a, a.net.plugins[i], prev, netns)
            if not reply.ok:
                return reply
        return reply

    def gc(self, net, valid=()):
        """valid: attachments that stay; None: the value null; "absent": the keys are not sent."""
        extra = {}
        if valid != "absent":
            listed = None if valid is None else [{"containerID": a.cid, "ifname": a.ifname} for a in valid]
            extra = {key: listed for key in GC_KEYS}
        return self._every("GC", net, extra)

    def status(self, net):
        return self._every("STATUS", net, {})

    def _every(self, verb, net, extra):
        assert version_at_least(net.version, "1.1.0"), f"{verb} came with 1.1.0"
        for plugin in net.plugins:
            reply = self.call(verb, self.config(net, plugin, extra=extra))
            if not reply.ok:
                return reply
        return reply

    def versions(self, kind):
        return self.call("VERSION", {"type": kind, "cniVersion": "1.0.0"}).expect_ok().json["supportedVersions"]
