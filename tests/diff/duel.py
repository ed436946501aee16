# SPDX-License-Identifier: LGPL-2.1-or-later
"""The same verbs through Debian's reference plugins and through netmgr's, in two equal hosts.

    with Duel(request) as duel:
        duel.add("pod1", net)             # on both sides; replies, results and kernels are compared
        duel.reach("pod1", "10.88.1.1")
        duel.delete("pod1", net, netns="")

After each verb the facts of both sides (net_facts.py) are compared. Those that differ must be in the
list of differences.py; what is not listed is collected, so that one run shows all of it, and fails the
test at the end. So does a listed difference that did not occur in the case that is named as its proof.
The reference side has no daemon; the end of netmgr's is that nothing is left: kernel, rules, ledger.
"""
import concurrent.futures
import contextlib
import os
import re
import time

import differences
from cni_list import Attach, Driver
from net_facts import facts_of, result_facts
from netmgr_host import LIMIT, Host
from traffic import Outside, ask, serving

REFERENCE = "/usr/lib/cni"
# Facts of the kernel may follow a verb by some time (carrier, link-local addresses): how long until
# a difference counts.
PATIENCE = 3.0


def outcome(reply):
    if reply.ok:
        return "ok"
    return f"error {reply.code}" if reply.stdout.strip().startswith("{") else "crash"


class Side:
    """One host, its driver, and what the runtime on it knows."""

    def __init__(self, name, path=None):
        self.name = name
        self.ours = name == "netmgr" and path is None
        self.host = Host()
        self.path = path or ([f"{self.host.dir}/cni"] if self.ours else [REFERENCE])
        self.pods, self.attached, self.mixed = {}, {}, False

    def start(self, dad):
        """dad: duplicate address detection as the kernel has it, for which the reference plugins wait"""
        self.dad = dad
        self.host.start() if self.ours else self.host.hold()
        # what plugins keep is not to be found by the machine or by another test
        self.host.run(["sh", "-c", "mount -t tmpfs -o mode=755 tmpfs /var/lib && mkdir /var/lib/cni" + self.no_dad()])
        self.driver = Driver(self.host, self.path)

    def no_dad(self):
        return "" if self.dad else "; for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done"

    def pod(self, name):
        if name not in self.pods:
            self.pods[name] = self.host.pod(name)
            self.host.run(["sh", "-c", "true" + self.no_dad()], netns=self.pods[name])
        return self.pods[name]

    def mix(self, foreign):
        """A plugin directory where the plugins named come from the other house."""
        directory = f"{self.host.dir}/mixed"
        self.mixed = True
        os.mkdir(directory)
        other = REFERENCE if self.ours else self.path[0]
        for name in os.listdir(REFERENCE):
            os.symlink(os.path.join(other if name in foreign else self.path[0], name), os.path.join(directory, name))
        self.driver.path = [directory]

    def host_end(self, pod, ifname="eth0"):
        """Name of the host's end of a pod's veth"""
        index = self.pods[pod].link(ifname)["link_index"]
        return next(x["ifname"] for x in self.host.ip("link", "show") if x["ifindex"] == index)

    def held(self):
        """{address: "cid/ifname"} that IPAM has given out: host-local's files, or the ledger."""
        found = {}
        if self.ours:
            found = {address.split("/")[0]: holder for address, holder in self.host.held().items()}
        if self.ours and not self.mixed:
            return found
        out = self.host.run(["sh", "-c", "cd /var/lib/cni/networks 2>/dev/null && for f in */*; do case $f in "
                             "*/last_reserved*|*/lock|'*/*') ;; *) echo \"${f##*/} $(cat $f | tr -d '\\r' | tr '\\n' /)\" ;; esac; done; true"])
        return {**found, **{w[0]: w[1].rstrip("/") for w in map(str.split, out.stdout.splitlines())}}

    def rules(self):
        """All packet filter rules as text, one per line"""
        # nft does not show what is behind extensions of iptables
        more = "" if self.ours and not self.mixed else "; iptables-save; ip6tables-save"
        return self.host.run(["sh", "-c", "nft list ruleset" + more]).stdout

    def flush_iptables(self):
        """What the reference plugins leave behind, on either side"""
        self.host.run(["nft", "flush ruleset ip; flush ruleset ip6"])

    def facts(self, needles, chosen):
        facts, self.names = facts_of(self.host, self.pods.values(), chosen)
        for address, holder in self.held().items():
            facts["ipam", "", f"held {address}"] = holder
        rules = self.rules()
        for word in needles:
            # an IPv4 address may have a port behind it, IPv6 has brackets then
            end = r"(?![\w.-])" if "." in word else r"(?![\w.:-])"
            facts["rules", "", f"name {word}"] = bool(re.search(rf"(?<![\w.:-]){re.escape(word)}{end}", rules))
        return facts

    def macs(self, pod):
        """{(in the pod?, name): MAC}"""
        found = {(False, x["ifname"]): x.get("address") for x in self.host.ip("link", "show")}
        found.update({(True, x["ifname"]): x.get("address") for x in pod.ip("link", "show")})
        return found


class Duel:
    def __init__(self, request, ours=None, chosen=(), dad=False):
        """ours: other plugin directories for the second side. chosen: MACs that configurations name."""
        self.case = request.node.name
        self.sides = [Side("reference"), Side("netmgr", ours)]
        self.chosen, self.dad, self.needles = chosen, dad, []
        self.unlisted, self.used, self.seen = [], set(), set()
        self.pool = concurrent.futures.ThreadPoolExecutor(2)

    def __enter__(self):
        try:
            self.each(lambda side: side.start(self.dad))
            return self
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, value, traceback):
        try:
            if kind is None:
                self.finish()
            else:
                print(self.story())
        finally:
            problems = self.close()
        if kind is None:
            assert not problems, "\n".join(problems)

    def close(self):
        self.pool.shutdown()
        return [p for side in self.sides for p in side.host.close()]

    def each(self, function):
        """[function(reference), function(netmgr)], at the same time"""
        return list(self.pool.map(function, self.sides))

    def on_hosts(self, *argv, pod=None):
        """A preparation, the same on both: a shell command in the host or in a pod."""
        self.each(lambda side: side.host.run(["sh", "-ec", " ".join(argv)], netns=side.pod(pod) if pod else None))

    def outside(self):
        """A neighbour of both hosts on a wire of its own, as pod "outside"; traffic.py has the addresses."""
        def one(side):
            side.wire = Outside(side.host)
            side.pods["outside"] = side.wire.__enter__()
        self.each(one)

    # --- verbs ---

    def add(self, pod, net, ifname="eth0", stop_after=None, again=False, **keys):
        """again: the driver's record of the attachment is not replaced."""
        def one(side):
            a = Attach(net, side.pod(pod), ifname=ifname, **keys)
            reply = side.driver.add(a, stop_after)
            if not again:
                side.attached[pod, net.name, ifname] = a
            return a, reply
        both = self.each(one)
        for a, _ in both:
            self.needle(a)
        replies = self.verb(f"ADD {pod} {net.name} {ifname}", [reply for _, reply in both])
        if all(a.result for a, _ in both):
            self.compare_facts("ADD", *(self.result(side, a) for side, (a, _) in zip(self.sides, both)))
        return replies

    def needle(self, a):
        result = a.result or {}
        found = [i["address"] for i in result.get("ips", [])] + [result[k]["ip"] for k in ("ip4", "ip6") if k in result]
        self.needles = sorted({*self.needles, *(x.split("/")[0] for x in found)} - {"127.0.0.1", "::1"})

    def result(self, side, a):
        found = result_facts(a.result, side.names, a.pod.path, side.macs(a.pod))
        return {("result", a.pod.name, k): v for k, v in found.items()}

    def attachment(self, side, pod, net, ifname):
        key = (pod, net.name, ifname)
        if key not in side.attached:
            side.attached[key] = Attach(net, side.pod(pod), ifname=ifname)
        side.attached[key].net = net  # runtimes read their configuration again
        return side.attached[key]

    def check(self, pod, net, ifname="eth0", **keys):
        replies = self.each(lambda side: side.driver.check(self.attachment(side, pod, net, ifname), **keys))
        return self.verb(f"CHECK {pod}", replies)

    def delete(self, pod, net, ifname="eth0", **keys):
        replies = self.each(lambda side: side.driver.delete(self.attachment(side, pod, net, ifname), **keys))
        return self.verb(f"DEL {pod}", replies)

    def unmake(self, pod):
        """The pod's namespace goes without DEL."""
        self.each(lambda side: side.pod(pod).delete())

    def verb(self, what, replies):
        """Both replies, then both kernels"""
        found = [{("verb", "", what): outcome(r)} for r in replies]
        self.compare_facts(what, *found, replies=replies)
        self.compare(what)
        return replies

    # --- traffic ---

    def reach(self, pod, address, expect=True):
        """An echo from the pod (None: the host) comes back; the same on both sides."""
        def one(side):
            netns = side.pod(pod) if pod else None
            end = time.monotonic() + (LIMIT / 3 if expect else 0)
            while True:
                r = side.host.run(["ping", "-n", "-c1", "-W1", address], netns=netns, check=False)
                if r.returncode == 0 or time.monotonic() > end:
                    return {("reach", "", f"{pod or 'host'} to {address}"): r.returncode == 0}
        found = self.each(one)
        assert expect == all(any(f.values()) for f in found) or found[0] != found[1], found
        self.compare_facts("ping", *found)

    def ask(self, pod, address, port, expect=True, protocol="tcp"):
        """What a server behind the address answers: the name of the one that was reached."""
        def one(side):
            netns = side.pod(pod) if pod else None
            end = time.monotonic() + (LIMIT / 3 if expect else 0)
            while True:
                answer = ask(side.host, netns, protocol, address, port, timeout=1)
                if answer or time.monotonic() > end:
                    return {("ask", "", f"{pod or 'host'} to {address} {port}/{protocol}"): answer and " sees ".join(answer)}
        found = self.each(one)
        assert expect == all(any(f.values()) for f in found) or found[0] != found[1], found
        self.compare_facts("ask", *found)

    @contextlib.contextmanager
    def serving(self, pod, family, port, protocol="tcp"):
        with contextlib.ExitStack() as stack:
            for side in self.sides:
                stack.enter_context(serving(side.host, side.pod(pod), protocol, family, port, pod))
            yield

    # --- comparison ---

    def compare(self, when):
        end = time.monotonic() + PATIENCE
        while True:
            both = self.each(lambda side: side.facts(self.needles, self.chosen))
            found = self.differences(when, *both)
            fresh = [d for d in found if d.key not in self.seen and not d.entry]
            if not fresh or time.monotonic() > end:
                return self.keep(found)

    def compare_facts(self, when, reference, ours, replies=None):
        found = self.differences(when, reference, ours)
        for d in found:
            if replies and not d.entry:
                d.note = "; ".join(f"{s.name}: {' '.join((r.stdout + r.stderr).split())[:300]}" for s, r in zip(self.sides, replies))
        self.keep(found)

    def differences(self, when, reference, ours):
        links = [{k[:2] for k in facts if k[2] == "is there"} for facts in (reference, ours)]
        found = []
        for key in sorted(set(reference) | set(ours)):
            a, b = reference.get(key), ours.get(key)
            if a == b:
                continue
            # of a link that only one side has, only that is told
            only = (key[:2] in links[0]) != (key[:2] in links[1])
            if only and key[2] != "is there":
                continue
            found.append(differences.Found(self.case, when, key, a, b))
        return found

    def keep(self, found):
        for d in found:
            if d.entry:
                self.used.add(d.entry.name)
            elif d.key not in self.seen:
                self.unlisted.append(d)
            self.seen.add(d.key)

    # --- the end ---

    def finish(self):
        ours = self.sides[1]
        for side in self.sides:
            if getattr(side, "wire", None):
                side.wire.__exit__()
            for pod in side.pods.values():
                pod.delete()
        # bridges stay, as the reference plugins' do: an administrator may have given them more
        for bridge in ours.host.ip("link", "show", "type", "bridge"):
            if bridge.get("ifname"):
                ours.host.run(["ip", "link", "del", bridge["ifname"]])
        left = ""
        if ours.ours:
            try:
                ours.host.assert_nothing_left()
            except AssertionError as e:
                left = str(e)
        missing = [e.name for e in differences.DIFFERENCES if e.proof == self.case and e.name not in self.used]
        said = [str(d) for d in self.unlisted]
        said += [f"the listed difference {name!r} did not occur in its proof" for name in missing]
        said += [f"netmgr: {left}"] if left else []
        if said:
            print(self.story())
        assert not said, f"{len(said)} differences that are not listed\n" + "\n".join(said)

    def story(self):
        out = []
        for side in self.sides:
            for kind, verb, conf, reply in side.driver.calls if hasattr(side, "driver") else []:
                out.append(f"{side.name}: {kind} {verb} -> {reply.status} {' '.join((reply.stdout + reply.stderr).split())[:500]}")
            out.append(side.host.logs())
        return "\n".join(out)
