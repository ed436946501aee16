# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgrd ends and starts again, or another version of it does, while packets flow and requests come."""
import contextlib
import json
import os
import signal
import threading

import pytest
from netmgr_host import bridge, routed, settle
from runtime_client import Call, call
from steady_traffic import steady
from traffic import HOST4, HOST6, OUT4, OUT6, Outside, ask, serving

FULL = os.environ.get("NETMGR_TEST_FULL") == "1"
RESTARTS = 40 if FULL else 6
WAYS = [signal.SIGTERM, signal.SIGKILL]


def what_it_knows(host):
    """All lists, but for addresses that rest"""
    return {what: sorted((x for x in host.describe(what) if not x.get("ReleasedAt")), key=json.dumps)
            for what in ("sandboxes", "attachments", "networks", "addresses")}


def ports(*mappings):
    return {"runtimeConfig": {"portMappings": [{"hostPort": h, "containerPort": c, "protocol": p}
                                               for h, c, p in mappings]}}


def networks():
    return {"routed": routed("netr", "10.97.0.0/24", "fd97::/64", ipMasq=True),
            "bridge": bridge("netb", "10.97.1.0/24", "fd97:1::/64", isDefaultGateway=True, ipMasq=True)}


@contextlib.contextmanager
def busy_world(host, stack):
    """Two networks with a server and a neighbour each, and traffic on every way that netmgr makes"""
    out = stack.enter_context(Outside(host))
    traffic = stack.enter_context(steady(host))
    traffic.answer(out, 4, 7000)
    traffic.answer(out, 6, 7000)
    pods, base = {}, 8000
    for kind, conf in networks().items():
        web = host.add({**conf, **ports((base, 80, "tcp"), (base + 1, 81, "tcp"), (base + 2, 82, "udp"))})
        pods[kind] = web, host.add(conf)
        stack.enter_context(serving(host, web.pod, "tcp", 4, 81, kind))
        for family in (4, 6):
            traffic.answer(web.pod, family, 82)
        base += 100
    for number, (kind, (web, neighbour)) in enumerate(pods.items()):
        base = 8000 + 100 * number
        other = pods["bridge" if kind == "routed" else "routed"][1]
        for a in (web, neighbour, other):
            for x in (web, neighbour):
                for ip in x.ips:
                    a.pod.wait_ping(ip)
        traffic.stream(f"{kind}: TCP stream through a host port", web.pod, 80, out, HOST4, base)
        traffic.newcomers(f"{kind}: new connections through a host port", out, HOST4, base + 1)
        traffic.echo(f"{kind}: UDP through a host port", "udp", out, HOST4, base + 2)
        traffic.echo(f"{kind}: UDP through a host port, IPv6", "udp", out, HOST6, base + 2)
        traffic.echo(f"{kind}: UDP with masquerade", "udp", neighbour.pod, OUT4, 7000)
        traffic.echo(f"{kind}: UDP with masquerade, IPv6", "udp", neighbour.pod, OUT6, 7000)
        traffic.echo(f"{kind}: ping of a neighbour", "icmp", neighbour.pod, web.ips[0], 100 + number)
        traffic.echo(f"{kind}: ping of a neighbour, IPv6", "icmp", neighbour.pod, web.ips[1], 200 + number)
        traffic.echo(f"{kind}: ping from the other network", "icmp", other.pod, web.ips[0], 300 + number)
        traffic.echo(f"{kind}: ping from the host", "icmp", None, web.ips[0], 400 + number)
    yield out, traffic


def assert_nothing_lost(reports):
    sent = lost = made = 0
    for name, r in reports.items():
        if "sent" in r:
            assert r["received"] == r["sent"] and not r["errors"], f"{name}: {r}"
            assert r["sent"] > 100, f"{name}: hardly a packet was sent: {r}"
            sent, lost = sent + r["sent"], lost + r["sent"] - r["received"]
        elif "made" in r:
            assert r["n_failed"] == 0 and r["made"] > 5, f"{name}: {r}"
            made += r["made"]
        else:
            assert r["blocks"] > 100 and r["wrong"] == 0 and r["rest"] == 0 and r["asked"], f"{name}: {r}"
    print(f"{sent} packets and echoes, {lost} lost, {made} new connections, "
          f"{sum(r.get('blocks', 0) for r in reports.values()) * 16 // 1024} MiB streamed")


@pytest.mark.parametrize("table_owner", ["yes", "no"])
@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n")
def test_not_a_packet_is_lost(host, table_owner):
    """Stop and start, kill and start: every flow goes on, new ones begin while nobody is there."""
    if table_owner == "no":
        with open(f"{host.config_dir}/netmgr.conf", "a") as f:
            f.write("[Nftables]\nOwner=no\n")
        host.netmgrd.restart()
        host.baseline = host.snapshot()
    with contextlib.ExitStack() as stack:
        with busy_world(host, stack) as (out, traffic):
            before = what_it_knows(host)
            for i in range(RESTARTS):
                host.netmgrd.stop(WAYS[i % 2])
                # somebody new while nobody is there
                for port in (8002, 8102):
                    assert ask(host, out, "udp", HOST4, port, timeout=20), "a new flow found no way"
                host.netmgrd.start()
                assert what_it_knows(host) == before
            assert_nothing_lost(traffic.stop())
    for a in host.attachments:
        a.check().expect_ok()
        a.delete().expect_ok()


# --- requests ------------------------------------------------------------------------------------

class Runtime(threading.Thread):
    """A runtime that does not know of restarts: ADD, CHECK, DEL with the real plugin, again and again.
    What code 11 tells it to try again it tries again."""

    def __init__(self, host, name, conf, pod, stop):
        super().__init__()
        self.host, self.prefix, self.conf, self.pod, self.stopping = host, name, conf, pod, stop
        self.wrong, self.codes, self.pairs, self.failure = [], {}, 0, None

    def cni(self, verb, cid, prev=None):
        conf = dict(self.conf, prevResult=prev) if prev else self.conf
        reply = self.host.cni(verb, conf, cid, "eth0", self.pod.path)
        code = reply.code if reply.stdout or reply.ok else f"no answer, status {reply.status}: {reply.stderr}"
        self.codes[code] = self.codes.get(code, 0) + 1
        if code not in (0, 11):
            self.wrong.append((verb, cid, code, reply.stdout))
        return reply

    def run(self):
        try:
            while not self.stopping.is_set():
                cid = f"{self.prefix}-{self.pairs}"
                added = self.cni("ADD", cid)
                if added.ok:
                    self.cni("CHECK", cid, added.json)
                while not self.cni("DEL", cid).ok:
                    pass
                self.pairs += 1
        except BaseException as e:
            self.failure = e


@pytest.mark.parametrize("way", WAYS, ids=lambda s: s.name)
def test_requests_during_restarts(host, way):
    """Each is answered, or refused with code 11; in the end ledger, kernel and what is told agree."""
    confs = list(networks().values())
    residents = [host.add(c) for c in confs]
    known = what_it_knows(host)
    stop = threading.Event()
    pods = host.make_pods(8)
    runtimes = [Runtime(host, f"rt{i}", confs[i % 2], pod, stop) for i, pod in enumerate(pods)]
    for r in runtimes:
        r.start()
    try:
        for i in range(RESTARTS):
            # a few requests are answered in each life
            done = sum(r.pairs for r in runtimes)
            settle(lambda: sum(r.pairs for r in runtimes) >= done + 4 or [r.failure for r in runtimes if r.failure],
                   "requests are answered")
            host.netmgrd.restart(way)
    finally:
        stop.set()
        for r in runtimes:
            r.join()
    assert [r.failure for r in runtimes if r.failure] == []
    assert [w for r in runtimes for w in r.wrong] == []
    total = {}
    for r in runtimes:
        for code, n in r.codes.items():
            total[code] = total.get(code, 0) + n
    print(f"{way.name}: {RESTARTS} restarts, codes {total}")
    settle(lambda: len(host.ledger()["attachment"]) == 2 and
           {x for x in host.links() if x.startswith("nmg")} == {a.host_ifname for a in residents},
           lambda: f"only the residents are left: {host.ledger()} {host.links()}")
    assert what_it_knows(host) == known
    assert host.held() == {c: f"{a.cid}/eth0" for a in residents for c in a.cidrs}
    for a in residents:
        a.check().expect_ok()


@pytest.mark.sanitize
def test_stop_with_requests_in_flight(host):
    """SIGTERM with netmgr-nsd asleep: all that wait are refused, nothing stays of them, and DEL was heard."""
    conf = routed("net1", "10.97.0.0/24")
    up = [host.add(conf) for _ in range(4)]
    pods = host.make_pods(40)
    os.kill(host.nsd.pid, signal.SIGSTOP)
    adds = [Call(host, "ADD", conf, pod.name, "eth0", pod) for pod in pods]
    dels = [Call(host, "DEL", conf, a.cid, "eth0", a.pod) for a in up]
    host.netmgrd.process.terminate()
    answers = [c.answer() for c in adds + dels]
    assert all(a.ok or a.again for a in answers), answers
    os.kill(host.nsd.pid, signal.SIGCONT)
    assert host.netmgrd.process.wait(30) == 0
    host.netmgrd.start()
    for a in up:
        call(host, "DEL", conf, a.cid, "eth0", a.pod).expect_ok()
        a.live = False
    settle(lambda: host.ledger()["attachment"] == [] and host.held() == {}, "nothing is left")
    for pod in pods:
        host.add(conf, pod)
