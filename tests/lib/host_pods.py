# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a runtime has of a private host (netmgr_host.py): the plugin's replies, pods, attachments."""
import dataclasses
import json


@dataclasses.dataclass
class Reply:
    verb: str
    status: int
    stdout: str
    stderr: str

    @property
    def json(self):
        try:
            return json.loads(self.stdout)
        except ValueError:
            raise AssertionError(f"{self.verb}: stdout is not one JSON value: {self}") from None

    @property
    def ok(self):
        return self.status == 0

    @property
    def code(self):
        """The CNI error code; 0 for success."""
        return 0 if self.ok else self.json["code"]

    @property
    def sentence(self):
        error = self.json
        return error["msg"] + (": " + error["details"] if error.get("details") else "")

    def expect_ok(self):
        assert self.ok, f"{self.verb} failed ({self.status}): {self.stdout}{self.stderr}"
        return self

    def expect_error(self, code, *words):
        """Failure with this code, in the form of the specification, whose sentence has the words."""
        assert not self.ok, f"{self.verb} should have failed with code {code}, but said: {self.stdout}"
        error = self.json
        assert isinstance(error.get("msg"), str) and error["msg"].strip(), error
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, error
        codes = code if isinstance(code, (tuple, list, set)) else (code,)
        assert error["code"] in codes, f"{self.verb}: code {error['code']}, expected {code}: {error}"
        for word in words:
            assert str(word).lower() in self.sentence.lower(), f"{word!r} is not named in: {self.sentence!r}"
        return self


class Pod:
    """A named network namespace, as a runtime would make it."""

    def __init__(self, host, name):
        self.host, self.name = host, name
        self.path = f"/run/netns/{name}"
        self.exists = True
        self.forgotten = False

    @property
    def outside(self):
        """The namespace's file as seen from the test's own mount namespace."""
        return f"/proc/{self.host.holder.pid}/root{self.path}"

    def run(self, argv, **keys):
        return self.host.run(argv, netns=self, **keys)

    def ip(self, *argv):
        return json.loads(self.run(["ip", "-j", *argv]).stdout or "[]")

    def link(self, ifname):
        found = [x for x in self.ip("-d", "link", "show") if x["ifname"] == ifname]
        return found[0] if found else None

    def addresses(self, ifname="eth0"):
        """{"10.97.0.2/32", ...} without link-local ones"""
        return {f"{a['local']}/{a['prefixlen']}" for x in self.ip("addr", "show") if x["ifname"] == ifname
                for a in x["addr_info"] if a["scope"] != "link"}

    def routes(self, family):
        """{(dst, gateway or None)} of the main table, device eth*"""
        return {(r["dst"], r.get("gateway")) for r in self.ip(f"-{family}", "route", "show")
                if r.get("dev", "").startswith("eth") and not r["dst"].startswith(("fe80", "ff00", "multicast"))}

    def wait_ping(self, address):
        """One echo comes back; repeated while it does not (a neighbour may need to be found)."""
        self.host.wait_ping(address, self)

    def delete(self):
        if self.exists:
            self.host.run(["ip", "netns", "delete", self.name])
            self.exists = False


class Attachment:
    """What a runtime knows about one successful ADD."""

    def __init__(self, host, conf, pod, cid, ifname, args, plugin, reply):
        self.host, self.conf, self.pod, self.cid, self.ifname = host, conf, pod, cid, ifname
        self.args, self.plugin, self.reply = args, plugin, reply
        self.live = True

    @property
    def result(self):
        return self.reply.json

    @property
    def ips(self):
        """Plain addresses, in the result's order."""
        return [a.split("/")[0] for a in self.cidrs]

    @property
    def cidrs(self):
        r = self.result
        if "ips" in r:
            return [i["address"] for i in r["ips"]]
        return [r[k]["ip"] for k in ("ip4", "ip6") if k in r]

    @property
    def host_ifname(self):
        return [i["name"] for i in self.result["interfaces"]
                if not i.get("sandbox") and i["name"].startswith("nmg")][0]

    def _again(self, verb, prev=True, **keys):
        conf = dict(self.conf)
        if prev:
            conf["prevResult"] = self.result
        conf.update(keys.pop("conf", {}))
        keys.setdefault("netns", self.pod.path)
        keys.setdefault("args", self.args)
        return self.host.cni(verb, conf, self.cid, self.ifname, plugin=self.plugin, **keys)

    def check(self, **keys):
        return self._again("CHECK", **keys)

    def delete(self, **keys):
        reply = self._again("DEL", **keys)
        if reply.ok:
            self.live = False
        return reply
