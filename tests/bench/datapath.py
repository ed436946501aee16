#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Measures what packets pay: new flows through host ports, and rate limits in both modes.

Started by tests/bench/run --datapath. Everything is in namespaces of its own: an outside machine, the
host where netmgrd lives, sandboxes; and a second host with one rule per port, as the reference has it.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import struct
import subprocess
import sys
import time

from report import number, table
from runtime import Netns, Runner, Sandbox, Side

OUT, HOST = "198.51.100.9", "198.51.100.1"
FLOWS = 20000
PORTS_EACH = 900  # what fits the pipe to the plugin
MBIT = 10**6


def sh(text):
    subprocess.run(["sh", "-ec", text], check=True, stdout=subprocess.DEVNULL)


class World:
    def __init__(self):
        self.directory = "/run/bench-netns"
        os.makedirs(self.directory, exist_ok=True)
        self.runner = Runner()
        self.attached = []
        self.subnets = 0
        self.numbers = 0

    def netns(self, name):
        return Netns(os.path.join(self.directory, name))

    def outside(self, host=None):
        """A machine on the other side of a wire of the host (None: ours)."""
        self.numbers += 1
        n = self.numbers
        out = self.netns(f"outside{n}")
        with (host or contextlib.nullcontext()):
            sh(f"ip link set lo up; ip link add up{n} type veth peer name out{n}; "
               f"ip addr add {HOST}/24 dev up{n}; ip link set up{n} up; ip link set out{n} netns {out.path}")
        with out:
            sh(f"ip link set lo up; ip addr add {OUT}/24 dev out{n}; ip link set out{n} up; "
               f"ip route add default via {HOST}")
        return out, f"out{n}"

    def forget_outside(self):
        """The next one has the same addresses."""
        sh("for l in $(ip -o link show type veth | sed -n 's/^[0-9]*: \\(up[0-9]*\\)@.*/\\1/p'); do ip link del $l; done")

    def add(self, name, kind, subnet, runtime=None, **keys):
        plugin = {"type": "netmgr", "kind": kind, "ipam": {"type": "local", "subnet": subnet}, **keys}
        if kind == "bridge":
            plugin.update(isGateway=True, isDefaultGateway=True)
        if runtime:
            plugin["runtimeConfig"] = runtime
        side = Side(name, name, [plugin], os.environ["CNI_PATH"])
        self.numbers += 1
        box = Sandbox(f"box-{self.numbers}", self.netns(f"box-{self.numbers}"))
        error = self.runner.run([side.add(box)])[0].error
        if error:
            sys.exit(f"datapath: {error}")
        self.attached.append((side, box))
        return box, box.results[name]["ips"][0]["address"].split("/")[0]

    def drop(self):
        for side, box in self.attached:
            self.runner.run([side.delete(box)])
            box.netns.remove()
        self.attached.clear()


# -- new flows ----------------------------------------------------------------------------------

def checksum(data):
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frames(out, link, port):
    """One UDP packet per flow, ready for the wire."""
    with out:
        sh(f"ping -c1 -W2 {HOST}")
        info = json.loads(subprocess.check_output(["ip", "-j", "neigh", "show", HOST]))[0]
        own = json.loads(subprocess.check_output(["ip", "-j", "link", "show", link]))[0]["address"]
    ether = bytes.fromhex((info["lladdr"] + own).replace(":", "")) + b"\x08\x00"
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + 8 + 18, 0, 0x4000, 64, 17, 0) + \
        socket.inet_aton(OUT) + socket.inet_aton(HOST)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return [ether + head + struct.pack("!HHHH", 20000 + i, port, 26, 0) + b"x" * 18 for i in range(FLOWS)]


def flow_cost(out, link, host, ready):
    """ns per packet, each of which begins a flow."""
    with (host or contextlib.nullcontext()):
        subprocess.run(["conntrack", "-F"], stderr=subprocess.DEVNULL, check=False)
    with out:
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((link, 0))
        start = time.perf_counter_ns()
        for frame in ready:
            s.send(frame)
        elapsed = time.perf_counter_ns() - start
        s.close()
    with (host or contextlib.nullcontext()):
        tracked = int(subprocess.check_output(["conntrack", "-C"]))
    if tracked < len(ready):
        sys.exit(f"datapath: {tracked} of {len(ready)} flows went through")
    return elapsed / len(ready)


def mappings(first, count, protocol="udp"):
    return [{"hostPort": first + i, "containerPort": 53, "protocol": protocol} for i in range(count)]


class Reference:
    """A host that maps ports by one rule each."""

    def __init__(self, world, ports):
        self.host = world.netns(f"refhost{ports}")
        self.out, self.link = world.outside(self.host)
        pod = world.netns(f"refpod{ports}")
        with self.host:
            sh(f"ip link add p0 type veth peer name eth0; ip addr add 10.66.0.1/24 dev p0; ip link set p0 up; "
               f"sysctl -qw net.ipv4.ip_forward=1; ip link set eth0 netns {pod.path}")
            rules = "\n".join(f"udp dport {2000 + i} dnat to 10.66.0.2:53" for i in range(ports))
            text = ("table ip portmap { chain ports {\n" + rules + "\n}\n chain pre {\n type nat hook prerouting "
                    "priority -100;\n fib daddr type local jump ports\n}\n}\n")
            subprocess.run(["nft", "-f", "-"], input=text.encode(), check=True)
        with pod:
            sh("ip link set lo up; ip addr add 10.66.0.2/24 dev eth0; ip link set eth0 up; "
               "ip route add default via 10.66.0.1")


def phase_flows(world, quick):
    """The last port of the list is asked for: the worst case of a list of rules."""
    passes = 3 if quick else 7
    report = {}
    out, link = world.outside()
    for ports in (10, 10000):
        for first in range(0, ports, PORTS_EACH):
            world.add("flows", "routed", "10.97.0.0/20", {"portMappings": mappings(2000 + first, min(PORTS_EACH, ports - first))})
        reference = Reference(world, ports)
        port = 2000 + ports - 1
        ours, theirs = frames(out, link, port), frames(reference.out, reference.link, port)
        figures = {"netmgr": [], "rule per port": []}
        for _ in range(passes):
            figures["netmgr"].append(flow_cost(out, link, None, ours))
            figures["rule per port"].append(flow_cost(reference.out, reference.link, reference.host, theirs))
        report[ports] = {name: min(values) for name, values in figures.items()}
        world.drop()
    return report


# -- limits ---------------------------------------------------------------------------------------

# The kernel's policing bucket holds a second of the rate: the first two seconds are not counted (-O).
def iperf(client, server, address, seconds, streams, congestion):
    with server:
        daemon = subprocess.Popen(["iperf3", "-s", "-1", "-p", "5300", "--forceflush"], stdout=subprocess.PIPE)
        daemon.stdout.readline()
        while b"listening" not in daemon.stdout.readline():
            pass
    argv = ["iperf3", "-c", address, "-p", "5300", "-J", "-O", "2", "-t", str(seconds), "-P", str(streams), "-C", congestion]
    with client:
        text = subprocess.run(argv, capture_output=True, check=False, timeout=seconds + 60).stdout
    daemon.kill()
    daemon.wait()
    daemon.stdout.close()
    answer = json.loads(text)
    if "error" in answer:
        print("note: iperf3:", answer["error"], file=sys.stderr)
        return None
    sent = answer["end"]["sum_sent"]
    segments = sent["bytes"] / 1448
    rtts = [s["sender"].get("mean_rtt", 0) for s in answer["end"]["streams"]]
    return {
        "mbit": answer["end"]["sum_received"]["bits_per_second"] / MBIT,
        "retransmitted": sent.get("retransmits", 0) / segments if segments else None,
        "rtt_ms": sum(rtts) / len(rtts) / 1000,
    }


def phase_limits(world, quick):
    rates = [10, 100, 1000]
    seconds = 2 if quick else 4
    with open("/proc/sys/net/ipv4/tcp_available_congestion_control") as f:
        available = f.read().split()
    plans = [(1, "cubic"), (8, "cubic")] + ([(1, "bbr")] if "bbr" in available else [])
    rows = []
    out, _ = world.outside()
    for rate in rates:
        for kind in ("routed",) if quick else ("routed", "bridge"):
            boxes = {}
            for mode in ("police", "shape"):
                # of its own each time: a bridge network goes in the background
                world.subnets += 1
                boxes[mode] = world.add(
                    f"{mode}-{kind}-{rate}", kind, f"10.90.{world.subnets}.0/24",
                    {"bandwidth": {"ingressRate": rate * MBIT, "egressRate": rate * MBIT}}, shaping={"mode": mode})
            for streams, congestion in plans:
                for direction in ("in", "out"):
                    for mode, (box, address) in boxes.items():
                        if direction == "in":
                            figure = iperf(out, box.netns, address, seconds, streams, congestion)
                        else:
                            figure = iperf(box.netns, out, OUT, seconds, streams, congestion)
                        print(f"{rate} Mbit {kind} {mode} {direction} {streams} {congestion}", file=sys.stderr, flush=True)
                        rows.append({"rate": rate, "kind": kind, "mode": mode, "direction": direction,
                                     "streams": streams, "congestion": congestion, **(figure or {"failed": True})})
            world.drop()
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer cells, shorter")
    parser.add_argument("--only", choices=("flows", "limits"))
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    world, report = World(), {"kernel": platform.release(), "load_before": os.getloadavg()}
    if options.only in (None, "flows"):
        report["flows"] = phase_flows(world, options.quick)
        world.forget_outside()
        names = ["netmgr", "rule per port"]
        table("new UDP flow through a host port (ns per packet, sending included)",
              ["host ports", *names],
              [[ports, *(number(f[name], 0) for name in names)] for ports, f in report["flows"].items()] +
              [["10,000 / 10", *(number(report["flows"][10000][name] / report["flows"][10][name], 2) for name in names)]])
    if options.only in (None, "limits"):
        report["limits"] = phase_limits(world, options.quick)
        table("limits: target and reached (Mbit/s of TCP payload), retransmitted, round trip under load",
              ["target, kind, direction", "flows", "police", "retr %", "rtt ms", "shape", "retr %", "rtt ms"],
              limit_rows(report["limits"]))
    if options.json:
        with open(options.json, "w") as f:
            json.dump(report, f, indent=2)
            f.write("\n")


def limit_rows(rows):
    by_cell = {}
    for row in rows:
        key = (f"{row['rate']}, {row['kind']}, {row['direction']}", f"{row['streams']} {row['congestion']}")
        by_cell.setdefault(key, {})[row["mode"]] = row
    result = []
    for key, modes in by_cell.items():
        cells = list(key)
        for mode in ("police", "shape"):
            m = modes[mode]
            cells += ["-"] * 3 if "failed" in m else [number(m["mbit"]), number(m["retransmitted"] * 100),
                                                      number(m["rtt_ms"], 2)]
        result.append(cells)
    return result


if __name__ == "__main__":
    sys.exit(main())
