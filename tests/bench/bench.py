#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures ADD, CHECK and DEL of netmgr beside the reference plugins, interleaved in one run.

Started by tests/bench/run, which builds a release build and brings up bus, nsd and netmgrd in
namespaces of their own. Every side has its own host namespace; sandboxes' namespaces are made
beforehand and not timed; times include the plugin processes. CPU is that of the plugin processes
(with their children) plus, for netmgr, that of netmgrd, nsd and the bus; work of kernel threads
counts for nobody. Ratios within one run are what is worth quoting: the machine's other load
changes all sides alike.
"""

import argparse
import contextlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time

import networks
from daemons import STRACE, STRACE_OPTIONS, Daemons, Followed, count_calls
from report import build_facts, goals, print_report, quantile, reference_facts
from runtime import Netns, PluginFailed, Runner, Sandbox, Side

REFERENCE_DIR = "/usr/lib/cni"
WIDTH = 8


def netmgr_side(name, network, kind, subnet, directory):
    plugin = {"type": "netmgr", "kind": kind, "ipam": {"type": "local", "subnet": subnet}}
    if kind == "bridge":
        plugin["isGateway"] = True
        plugin["ipam"]["routes"] = [{"dst": "0.0.0.0/0"}]
    return Side(name, network, [plugin], directory)


RATES = {"ingressRate": 10**9, "ingressBurst": 10**7, "egressRate": 10**9, "egressBurst": 10**7}
SYSCTL = {"net.core.somaxconn": "512"}


def full_side(name, network, kind, subnet, directory, ports=2):
    """All that the whole chain does, by netmgr: masquerade, host ports, limits, source checks, sysctl."""
    side = netmgr_side(name, network, kind, subnet, directory)
    side.plugins[0].update(ipMasq=True, sysctl=SYSCTL,
                           capabilities={"portMappings": True, "bandwidth": True},
                           runtimeConfig={"bandwidth": RATES})
    side.ports = ports
    return side


def reference_bridge(network, bridge, subnet, data_dir, masquerade):
    return {
        "type": "bridge",
        "bridge": bridge,
        "isGateway": True,
        "ipMasq": masquerade,
        "hairpinMode": masquerade,
        "ipam": {
            "type": "host-local",
            "dataDir": os.path.join(data_dir, network),
            "subnet": subnet,
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }


def chain_plugins(data_dir, network):
    return [
        reference_bridge(network, "cni-chain", "10.99.0.0/20", data_dir, True),
        {
            "type": "portmap",
            "snat": True,
            "capabilities": {"portMappings": True},
        },
        {
            "type": "bandwidth",
            "capabilities": {"bandwidth": True},
            "runtimeConfig": {"bandwidth": RATES},
        },
        {"type": "firewall", "backend": "iptables"},
        {"type": "tuning", "dataDir": os.path.join(data_dir, "tuning"), "sysctl": SYSCTL},
    ]


class Bench:
    def __init__(self, options):
        self.options = options
        self.runner = Runner()
        self.daemons = Daemons()
        self.scratch = tempfile.mkdtemp(prefix="bench-", dir=os.environ.get("TMPDIR"))
        self.namespaces = tempfile.mkdtemp(prefix="bench-netns-", dir="/run")
        self.deadline = time.monotonic() + options.limit
        self.notes = []
        self.pools = {}
        self.report = {"notes": self.notes, "growth": []}

        plugins = os.environ["CNI_PATH"]
        self.routed = netmgr_side("routed", "bench-routed", "routed", "10.97.0.0/17", plugins)
        self.bridge = netmgr_side("bridge", "bench-bridge", "bridge", "10.97.128.0/20", plugins)
        self.full = full_side("routed, all", "bench-full", "routed", "10.97.144.0/20", plugins)
        self.full_bridge = full_side("bridge, all", "bench-fullbr", "bridge", "10.97.160.0/20", plugins)
        self.full_ports = full_side("routed, 32 ports", "bench-ports", "routed", "10.97.176.0/20",
                                    plugins, ports=32)
        # the conflist of the reference side, unchanged, with netmgr's plugins of the same names
        self.five = Side("five names", "bench-five", chain_plugins(self.scratch, "bench-five"), plugins, ports=2)
        self.netmgr_sides = [self.routed, self.bridge, self.full, self.full_bridge, self.full_ports, self.five]
        self.reference = self.chain = None
        if not options.no_reference:
            if os.access(REFERENCE_DIR + "/host-local", os.X_OK):
                self.make_reference()
            else:
                self.note(f"no reference plugins in {REFERENCE_DIR} "
                          "(package containernetworking-plugins): netmgr alone is measured")

    def make_reference(self):
        self.reference = Side(
            "bridge+host-local",
            "bench-ref",
            [reference_bridge("bench-ref", "cni-ref", "10.98.0.0/20", self.scratch, False)],
            REFERENCE_DIR,
            host=self.host("host-ref"),
        )
        self.chain = Side("whole chain", "bench-chain", chain_plugins(self.scratch, "bench-chain"), REFERENCE_DIR,
                          host=self.host("host-chain"), ports=2)

    def host(self, name):
        netns = Netns(os.path.join(self.namespaces, name))
        with netns:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return netns

    def note(self, text):
        text = " ".join(text.split())
        self.notes.append(text)
        print("note: " + text, file=sys.stderr, flush=True)

    def say(self, text):
        print(f"[{self.options.limit - (self.deadline - time.monotonic()):5.1f} s] {text}",
              file=sys.stderr, flush=True)

    def in_time(self, phase):
        if time.monotonic() < self.deadline:
            return True
        self.note(f"{phase}: left out, the run's limit of {self.options.limit} s is over")
        return False

    def sandboxes(self, side, stop, start=0):
        """Sandboxes number start to stop - 1, made where missing.

        netmgr and the reference side have their own, since both keep some attached in the growth
        phase; later phases use them again.
        """
        owner = "netmgr" if side in self.netmgr_sides else "reference"
        pool = self.pools.setdefault(owner, [])
        while len(pool) < stop:
            name = f"{owner}-{len(pool)}"
            pool.append(Sandbox(name, Netns(os.path.join(self.namespaces, name)), len(pool)))
        return pool[start:stop]

    def run(self, side, verb, sandboxes, width=1, tolerate=False):
        """Samples of one verb. A failure of netmgr ends the bench, one of the others is counted."""
        jobs = [getattr(side, verb)(sandbox) for sandbox in sandboxes]
        if side.host is None:
            samples = self.runner.run(jobs, width)
        else:
            with side.host:
                samples = self.runner.run(jobs, width)
        failed = [sample for sample in samples if sample.error]
        if failed and not tolerate:
            if side in self.netmgr_sides:
                raise PluginFailed(f"{side.name}: {verb}: {failed[0].error}")
            self.note(f"{side.name}: {verb}: {len(failed)} of {len(samples)} failed: "
                      f"{failed[0].error}")
        return samples

    # -- serial ------------------------------------------------------------------------------

    def serial(self, sides, stop, start=0, verbs=("add", "check", "delete")):
        """Interleaved ADD, CHECK, DEL of one sandbox after the other, on all sides in turn.

        The daemons go on working after they have answered a DEL; that CPU is charged to the DEL
        that caused it, which is why the next netmgr operation closes the account.
        """
        figures = {s.name: {v: {"wall": [], "cpu": []} for v in verbs} for s in sides}
        pools = {side.name: self.sandboxes(side, stop, start) for side in sides}
        open_account = None
        before = 0.0
        for number in range(stop - start):
            turn = number % len(sides)
            for side in sides[turn:] + sides[:turn]:
                ours = side in self.netmgr_sides
                for verb in verbs:
                    if verb == "check" and side.name in self.report.get("no_check", {}):
                        continue
                    if ours:
                        now = self.daemons.cpu()
                        if open_account is not None:
                            open_account[-1] += now - before
                        before = now
                    sample = self.run(side, verb, [pools[side.name][number]])[0]
                    if sample.error:
                        continue
                    account = figures[side.name][verb]
                    account["wall"].append(sample.wall * 1000)
                    account["cpu"].append(sample.cpu)
                    if ours:
                        open_account = account["cpu"]
        if open_account is not None:
            open_account[-1] += self.daemons.cpu() - before
        return {name: {verb: self.summary(f) for verb, f in verbs_.items() if f["wall"]}
                for name, verbs_ in figures.items()}

    @staticmethod
    def summary(figure):
        wall = figure["wall"]
        return {
            "n": len(wall),
            "median_ms": quantile(wall, 50),
            "p99_ms": quantile(wall, 99),
            "cpu_ms": sum(figure["cpu"]) * 1000 / len(wall),
        }

    def phase_serial(self):
        sides = self.netmgr_sides + [s for s in (self.reference, self.chain) if s]
        self.probe_check(sides)
        self.say(f"serial: {self.options.n} sandboxes on {len(sides)} sides in turn")
        with self.residents(sides):
            self.report["serial"] = self.serial(sides, self.options.n)

    @contextlib.contextmanager
    def residents(self, sides):
        """One sandbox that stays on each side meanwhile: an inline network (and its bridge) goes with its
        last attachment, and no node has but one pod at a time. The reference keeps its bridge anyway."""
        first = max(self.options.n, self.options.parallel, self.options.parallel_chain)
        chosen = [(side, self.sandboxes(side, first + 1 + k, first + k)) for k, side in enumerate(sides)]
        for side, sandboxes in chosen:
            self.run(side, "add", sandboxes)
        yield
        for side, sandboxes in chosen:
            self.run(side, "delete", sandboxes)

    def probe_check(self, sides):
        """One pass that warms all sides up and finds out who can do CHECK at all."""
        self.report["no_check"] = {}
        for side in sides:
            sandbox = self.sandboxes(side, 1)
            self.run(side, "add", sandbox)
            error = self.run(side, "check", sandbox, tolerate=side.host is not None)[0].error
            if error:
                self.report["no_check"][side.name] = error
                self.note(f"{side.name}: CHECK directly after ADD fails, so it is not measured: "
                          + error)
            self.run(side, "delete", sandbox)

    # -- several at a time -------------------------------------------------------------------

    def burst(self, side, count):
        """All ADDs, then all DELs, 8 in flight."""
        sandboxes = self.sandboxes(side, count)
        figures = {"n": count}
        for verb in ("add", "delete"):
            started = time.perf_counter()
            samples = self.run(side, verb, sandboxes, WIDTH)
            elapsed = time.perf_counter() - started
            good = [sample.wall * 1000 for sample in samples if not sample.error]
            figures[verb] = {
                "median_ms": quantile(good, 50),
                "p99_ms": quantile(good, 99),
                "per_second": len(good) / elapsed,
            }
        return figures

    def phase_parallel(self):
        count = self.options.parallel
        merged = {}
        plan = [(self.routed, count), (self.bridge, count), (self.full, count), (self.full_bridge, count)]
        if self.reference:
            plan += [(self.reference, count), (self.chain, self.options.parallel_chain)]
        with self.residents([side for side, _ in plan]):
            for side, number in plan:
                if self.in_time(f"{WIDTH} at a time, {side.name}"):
                    self.say(f"{WIDTH} at a time: {number} sandboxes, {side.name}")
                    merged[side.name] = self.burst(side, number)
        self.report["parallel"] = merged

    # -- growth ------------------------------------------------------------------------------

    def level(self, sides, attached):
        """Serial figures on top of `attached` sandboxes, which keep what they have."""
        stop = attached + self.options.growth_n
        row = self.serial(sides, stop, attached, ("add", "delete"))
        return {"attached": attached, "sides": row, "memory": self.daemons.memory()}

    def phase_growth(self):
        """routed on the way up, bridge on the way down, bridge+host-local beside both.

        The sides do not share a host namespace, but routed and bridge share the daemon: routed is
        detached before bridge is attached.
        """
        levels = self.options.levels
        beside = [self.reference] if self.reference else []
        top = 0
        for attached in levels:
            if not self.in_time(f"growth to {attached}"):
                break
            self.say(f"growth: {attached} attached, routed")
            for side in [self.routed] + beside:
                self.run(side, "add", self.sandboxes(side, attached, top), WIDTH)
            top = attached
            self.report["growth"].append(self.level([self.routed] + beside, attached))
        self.run(self.routed, "delete", self.sandboxes(self.routed, top), WIDTH)
        self.run(self.bridge, "add", self.sandboxes(self.bridge, top), WIDTH)
        for attached in reversed([level for level in levels if level <= top]):
            for side in [self.bridge] + beside:
                self.run(side, "delete", self.sandboxes(side, top, attached), WIDTH)
            top = attached
            if self.in_time(f"growth, bridge with {attached}"):
                self.say(f"growth: {attached} attached, bridge")
                self.report["growth"].append(self.level([self.bridge] + beside, attached))
        for side in [self.bridge] + beside:
            self.run(side, "delete", self.sandboxes(side, top), WIDTH)

    def phase_many(self):
        count = self.options.many
        if not count or not self.in_time(f"{count} routed"):
            return
        self.say(f"{count} routed: making their namespaces")
        sandboxes = self.sandboxes(self.routed, count)
        self.say(f"{count} routed: attaching, {WIDTH} at a time")
        started = time.perf_counter()
        walls = [s.wall * 1000 for s in self.run(self.routed, "add", sandboxes, WIDTH)]
        seconds = time.perf_counter() - started
        memory = self.daemons.memory()
        self.say(f"{count} routed: detaching")
        started = time.perf_counter()
        self.run(self.routed, "delete", sandboxes, WIDTH)
        self.report["many"] = {
            "n": count,
            "add_seconds": seconds,
            "delete_seconds": time.perf_counter() - started,
            "first_100_ms": quantile(walls[:100], 50),
            "last_100_ms": quantile(walls[-100:], 50),
            "p99_ms": quantile(walls, 99),
            "memory": memory,
        }

    # -- many networks ---------------------------------------------------------------------

    def phase_networks(self):
        """Each of a number of sandboxes on many networks, several sandboxes at a time."""
        count, each = self.options.networks
        networks.define(each)
        sides = [networks.netmgr_side(each, os.environ["CNI_PATH"])]
        self.netmgr_sides.append(sides[0])
        if self.reference:
            sides.append(networks.DelegatesSide(each, REFERENCE_DIR, self.scratch, self.host("host-delegates")))
        self.report["networks"] = {"sandboxes": count, "each": each, "sides": {}}
        for side in sides:
            if not self.in_time(f"{side.name} for {count} sandboxes"):
                return
            self.say(f"networks: {count} sandboxes, {side.name}, {WIDTH} at a time")
            figures = {}
            for verb in ("add", "delete"):
                started = time.perf_counter()
                walls = [s.wall * 1000 for s in self.run(side, verb, self.sandboxes(side, count), WIDTH)]
                figures[verb] = {"seconds": time.perf_counter() - started, "median_ms": quantile(walls, 50),
                                 "p99_ms": quantile(walls, 99)}
                if verb == "add":
                    figures["memory"] = self.daemons.memory()
            self.report["networks"]["sides"][side.name] = figures

    # -- rule tables -----------------------------------------------------------------------

    def phase_firewall(self):
        """One attachment's transaction of nftables with 0, 1,000 and 10,000 others in the tables."""
        program = os.path.join(os.environ["NETMGR_BUILD_DIR"], "tests", "bench-firewall")
        if not os.access(program, os.X_OK):
            self.note("bench-firewall is not built: transactions are not measured")
            return
        self.say("firewall: transactions with 0, 1,000 and 10,000 attachments")
        self.report["firewall"] = {}
        for attached in (0, 1000, 10000):
            netns = self.host(f"host-fw-{attached}")
            with netns:
                answer = subprocess.run([program, str(attached)], check=True, capture_output=True)
            self.report["firewall"][str(attached)] = json.loads(answer.stdout)

    # -- processes ---------------------------------------------------------------------------

    def phase_execve(self):
        """Counts programs and processes per operation with strace, in a pass of its own."""
        if not os.access(STRACE, os.X_OK):
            self.note("strace is not installed: execve is not counted")
            return
        self.say("execve: one ADD, CHECK, DEL of each side under strace")
        trace = os.path.join(self.scratch, "trace")
        self.report["execve"] = {}
        for side in self.netmgr_sides + [s for s in (self.reference, self.chain) if s]:
            sandbox, counts = self.sandboxes(side, 1), {}
            for verb in ("add", "check", "delete"):
                if verb == "check" and side.name in self.report.get("no_check", {}):
                    continue
                # -A: the plugins of a chain write to the same file.
                side.prefix = [STRACE, *STRACE_OPTIONS, "-qq", "-A", "-o", trace]
                with Followed(self.daemons, self.scratch, side in self.netmgr_sides) as followed:
                    self.run(side, verb, sandbox)
                side.prefix = []
                counts[verb] = count_calls([trace] + followed.files)
                os.unlink(trace)
            self.report["execve"][side.name] = counts

    def run_all(self):
        self.report["load_before"] = os.getloadavg()
        self.report["memory_idle"] = self.daemons.memory()
        only = self.options.only
        for name in PHASES:
            if (not only or name in only) and self.in_time(name):
                getattr(self, "phase_" + name)()
        self.report["memory_after"] = self.daemons.memory()
        self.report["seconds"] = self.options.limit - (self.deadline - time.monotonic())
        return self.report


PHASES = ("serial", "parallel", "firewall", "growth", "many", "networks", "execve")


def parse_options():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small numbers, under a minute")
    parser.add_argument("--n", type=int, help="sandboxes of the serial phase (60; quick 15)")
    parser.add_argument("--only", action="append", choices=PHASES, metavar="PHASE",
                        help="one of %(choices)s; may be given several times")
    parser.add_argument("--no-reference", action="store_true", help="netmgr alone")
    parser.add_argument("--json", metavar="FILE", help="write all figures to FILE as well")
    parser.add_argument("--strict", action="store_true", help="exit 1 when a goal is missed")
    options = parser.parse_args()
    quick = options.quick
    options.n = options.n or (15 if quick else 60)
    options.limit = 55 if quick else 840
    options.parallel = 40 if quick else 100
    options.parallel_chain = 16 if quick else 100
    options.levels = [0, 100] if quick else [0, 100, 500, 900, 1000]
    options.growth_n = 8 if quick else 20
    options.many = 0 if quick else 4000
    options.networks = (16, 4) if quick else (128, 16)
    return options


def main():
    options = parse_options()
    bench = Bench(options)
    try:
        report = bench.run_all()
    except PluginFailed as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        shutil.rmtree(bench.scratch)
    report.update(
        build=build_facts(os.environ["NETMGR_BUILD_DIR"]),
        reference=reference_facts() if bench.reference else "not measured",
        kernel=platform.release(),
        cpus=os.cpu_count(),
        quick=options.quick,
    )
    report["goals"] = goals(report)
    print_report(report)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(report, file, indent=2)
            file.write("\n")
    missed = not all(goal["met"] for goal in report["goals"])
    return 1 if options.strict and missed else 0


if __name__ == "__main__":
    sys.exit(main())
