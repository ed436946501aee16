# SPDX-License-Identifier: LGPL-2.1-or-later
"""The bench's figures as tables, and the goals that they are held against."""

import json
import os
import subprocess


def quantile(values, q):
    """Nearest rank; with fewer than 100 values the 99th percentile is the greatest."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * q // 100) - 1)] if ordered else None


def ratio(a, b):
    return a / b if a and b else None


def difference(a, b):
    return a - b if a and b else None


def build_facts(build_dir):
    facts = {"directory": build_dir}
    try:
        text = subprocess.run(["meson", "introspect", "--buildoptions", build_dir], check=True,
                              capture_output=True, text=True).stdout
        for option in json.loads(text):
            if option["name"] in ("buildtype", "optimization", "b_sanitize", "b_ndebug"):
                facts[option["name"]] = option["value"]
    except (OSError, subprocess.CalledProcessError, ValueError):
        pass
    answer = subprocess.run([os.path.join(build_dir, "netmgrd"), "--version"],
                            capture_output=True, text=True)
    facts["version"] = answer.stdout.partition("\n")[0]
    return facts


def reference_facts():
    answer = subprocess.run(["dpkg-query", "-W", "-f", "${Version}", "containernetworking-plugins"],
                            capture_output=True, text=True)
    return answer.stdout.strip() or "of unknown version"


def goals(report):
    """What was to be reached and what was, for the figures that this run has."""

    def at(*path):
        value = report
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return value

    def serial(side, verb, figure="median_ms"):
        return at("serial", side, verb, figure)

    def cpu(side):
        add, delete = serial(side, "add", "cpu_ms"), serial(side, "delete", "cpu_ms")
        return add + delete if add and delete else None

    def grown(attached):
        for row in report["growth"]:
            if row["attached"] == attached and "routed" in row["sides"]:
                return row
        return {}

    def grown_add(attached):
        return grown(attached).get("sides", {}).get("routed", {}).get("add", {}).get("median_ms")

    base, chain = "bridge+host-local", "whole chain"
    full = at("many", "n") == 4000
    figures = [
        ("ADD routed / bridge+host-local", "<=", 0.5,
         ratio(serial("routed", "add"), serial(base, "add"))),
        ("DEL routed / bridge+host-local", "<=", 0.25,
         ratio(serial("routed", "delete"), serial(base, "delete"))),
        ("ADD bridge / bridge+host-local", "<=", 0.5,
         ratio(serial("bridge", "add"), serial(base, "add"))),
        ("DEL bridge / bridge+host-local", "<=", 0.25,
         ratio(serial("bridge", "delete"), serial(base, "delete"))),
        ("ADD routed, all / whole chain", "<=", 0.05,
         ratio(serial("routed, all", "add"), serial(chain, "add"))),
        ("DEL routed, all / whole chain", "<=", 0.025,
         ratio(serial("routed, all", "delete"), serial(chain, "delete"))),
        ("CPU of ADD+DEL, routed, all / whole chain", "<=", 0.04, ratio(cpu("routed, all"), cpu(chain))),
        ("ADD/s 8 at a time, routed, all / whole chain", ">=", 25,
         ratio(at("parallel", "routed, all", "add", "per_second"),
               at("parallel", chain, "add", "per_second"))),
        ("32 host ports in one ADD, ms more than two", "<=", 1,
         difference(serial("routed, 32 ports", "add"), serial("routed, all", "add"))),
        ("nftables transaction, 10,000 attached / none", "<=", 2,
         ratio(at("firewall", "10000", "add_us"), at("firewall", "0", "add_us"))),
        ("ADD routed with 900 attached / with 0", "<=", 1.8, ratio(grown_add(900), grown_add(0))),
        ("RSS of netmgrd idle, MB", "<=", 8, at("memory_idle", "rss")),
        ("RSS of netmgrd with 900 routed, MB", "<=", 12, grown(900).get("memory", {}).get("rss")),
        ("execve of an ADD, routed", "<=", 1, at("execve", "routed", "add", "execve")),
        ("4,000 routed, 8 at a time, s", "<=", 30, at("many", "add_seconds") if full else None),
        ("4,000 routed, last 100 ADDs / first 100", "<=", 2,
         ratio(at("many", "last_100_ms"), at("many", "first_100_ms")) if full else None),
    ]
    return [
        {"name": name, "bound": bound, "goal": goal, "measured": value,
         "met": value <= goal if bound == "<=" else value >= goal}
        for name, bound, goal, value in figures if value is not None
    ]


def number(value, digits=1):
    if value is None:
        return "-"
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def table(title, head, rows):
    print("\n" + title)
    rows = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]
    for row in [head, ["-" * width for width in widths]] + rows:
        cells = [row[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())


def print_report(report):
    load = " ".join(f"{value:.2f}" for value in report["load_before"])
    build = report["build"]
    print(f"{build['version']} ({build.get('buildtype', 'unknown')} build, optimization "
          f"{build.get('optimization', '?')}, sanitizers {build.get('b_sanitize', '?')}) beside "
          f"reference plugins {report['reference']}")
    print(f"kernel {report['kernel']}, {report['cpus']} CPUs, load before the run {load}, "
          f"{report['seconds']:.0f} s in all")

    if "serial" in report:
        print_serial(report)
    if report.get("parallel"):
        rows = []
        for name, f in report["parallel"].items():
            rows.append([name, f["n"]] + [number(f[verb][key]) for verb in ("add", "delete")
                                          for key in ("median_ms", "p99_ms", "per_second")])
        table("8 at a time, all ADDs and then all DELs (ms)",
              ["side", "n", "ADD", "p99", "ADD/s", "DEL", "p99", "DEL/s"], rows)
    if report.get("firewall"):
        table("one attachment's transaction of nftables (microseconds, median; build: the whole, ms)",
              ["attached", "elements", "put", "remove", "whole"],
              [[attached, f["elements"], number(f["add_us"]), number(f["remove_us"]), number(f["sync_ms"])]
               for attached, f in report["firewall"].items()])
    if report["growth"]:
        print_growth(report)
    if "networks" in report:
        print_networks(report["networks"])
    if "many" in report:
        many = report["many"]
        table(f"{many['n']} routed sandboxes, 8 at a time",
              ["", "value"],
              [["attached in, s", number(many["add_seconds"])],
               ["median ADD of the first 100, ms", number(many["first_100_ms"])],
               ["median ADD of the last 100, ms", number(many["last_100_ms"])],
               ["p99 ADD, ms", number(many["p99_ms"])],
               ["RSS of netmgrd with all of them, MB", number(many["memory"]["rss"])],
               ["detached in, s", number(many["delete_seconds"])]])
    if "execve" in report:
        table("programs started / processes and threads made per operation",
              ["side", "ADD", "CHECK", "DEL"],
              [[name] + [f"{c[v]['execve']} / {c[v]['clone']}" if v in c else "-"
                         for v in ("add", "check", "delete")]
               for name, c in report["execve"].items()])
    table("memory of netmgrd (MB)", ["", "RSS", "anonymous"],
          [["before anything was attached", *map(number, report["memory_idle"].values())],
           ["at the end, all detached", *map(number, report["memory_after"].values())]])
    rows = [[goal["name"], number(goal["measured"], 3), goal["bound"], number(goal["goal"], 3),
             "met" if goal["met"] else "MISSED"] for goal in report["goals"]]
    table("goals", ["figure", "measured", "", "goal", ""], rows)
    for note in report["notes"]:
        print("note: " + note)


def print_serial(report):
    figures = report["serial"]
    rows = []
    for name, verbs in figures.items():
        cells = [name, next(iter(verbs.values()), {}).get("n", 0)]
        for verb in ("add", "check", "delete"):
            f = verbs.get(verb, {})
            cells += [number(f.get(key)) for key in ("median_ms", "p99_ms", "cpu_ms")]
        rows.append(cells)
    table("serial, interleaved (ms; CPU: mean of all processes; p99 of n < 100: the greatest)",
          ["side", "n", "ADD", "p99", "CPU", "CHECK", "p99", "CPU", "DEL", "p99", "CPU"], rows)
    rows = []
    for other in ("bridge+host-local", "whole chain"):
        for name in ("routed", "bridge", "routed, all", "bridge, all"):
            if other in figures and name in figures:
                rows.append([f"{name} / {other}"] + [
                    number(ratio(figures[name].get(verb, {}).get(key),
                                 figures[other].get(verb, {}).get(key)), 3)
                    for verb in ("add", "check", "delete") for key in ("median_ms", "cpu_ms")])
    if rows:
        table("ratios of medians (CPU: of means)",
              ["", "ADD", "CPU", "CHECK", "CPU", "DEL", "CPU"], rows)


def print_networks(part):
    rows = []
    for name, figures in part["sides"].items():
        for verb in ("add", "delete"):
            f = figures[verb]
            rows.append([f"{name}, {verb}", number(f["seconds"]), number(f["median_ms"]), number(f["p99_ms"])])
        rows.append([f"{name}, RSS of netmgrd with all of them, MB", number(figures["memory"]["rss"]), "", ""])
    table(f"{part['sandboxes']} sandboxes on 1+{part['each']} networks each, 8 at a time",
          ["", "all, s", "median, ms", "p99, ms"], rows)


def print_growth(report):
    rows = []
    for row in report["growth"]:
        ours = "routed" if "routed" in row["sides"] else "bridge"
        cells = [ours, row["attached"]]
        for side in (ours, "bridge+host-local"):
            verbs = row["sides"].get(side, {})
            for verb in ("add", "delete"):
                f = verbs.get(verb, {})
                cells += [number(f.get("median_ms")), number(f.get("p99_ms"))]
        empty = [r for r in report["growth"] if r["attached"] == 0 and ours in r["sides"]]
        factor = ratio(row["sides"][ours]["add"]["median_ms"],
                       empty[0]["sides"][ours]["add"]["median_ms"]) if empty else None
        rows.append(cells[:6] + [number(factor, 2), number(row["memory"]["rss"])] + cells[6:])
    table("growth: serial on top of what is attached (ms; ref: bridge+host-local with as many)",
          ["kind", "attached", "ADD", "p99", "DEL", "p99", "ADD/0", "RSS MB",
           "ref ADD", "p99", "ref DEL", "p99"], rows)
