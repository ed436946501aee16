# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rate limits as traffic meets them, in both modes, directions and kinds; and what is left of them.

How exactly a rate is kept is for tests/bench; here it must hold at all, and a change must count."""
import json
import subprocess

import pytest
from netmgr_host import bridge, routed, settle
from traffic import elements

MBIT = 10**6
BURST = 64 * 1024 * 8
KINDS = pytest.mark.parametrize("kind", ["routed", "bridge"])
MODES = pytest.mark.parametrize("mode", ["police", "shape"])

SINK = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
s.bind(("", 9000))
print("ready", flush=True)
total, first = 0, None
while True:
    data = s.recv(65536)
    now = time.monotonic()
    if data == b"end":
        break
    if first is None:
        first = now
    if now < first + 0.9:  # the kernel's bucket holds a second of the rate beside the burst
        continue
    total, last = total + len(data) + 28, now
print(total * 8 / (last - first - 0.9), flush=True)
"""
FLOOD = """
import socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9000))
end = time.monotonic() + float(sys.argv[2])
pause, n = 1400 * 8 / float(sys.argv[3]), 0
start = time.monotonic()
while time.monotonic() < end:
    n += 1
    try:
        s.send(b"x" * 1400)
    except OSError:
        pass
    ahead = start + n * pause - time.monotonic()
    if ahead > 0.001:
        time.sleep(ahead)
while True:  # the end has to come through, too
    try:
        s.send(b"end")
    except OSError:
        pass
    time.sleep(0.01)
"""


def rate(host, sender, receiver, address, offered, seconds=1.8):
    """bit/s that arrive of `offered` bit/s, headers of IP included."""
    sink = host.popen(["/usr/bin/python3", "-c", SINK], netns=receiver, stdout=subprocess.PIPE, bufsize=0)
    flood = None
    try:
        assert sink.stdout.readline() == b"ready\n"
        flood = host.popen(["/usr/bin/python3", "-c", FLOOD, address, str(seconds), str(offered)], netns=sender)
        return float(sink.stdout.readline())
    finally:
        for p in (sink, flood):
            if p:
                p.kill()
                p.wait()
        sink.stdout.close()


def network(kind, name="limited", subnet="10.97.0.0/24", **keys):
    if kind == "bridge":
        return bridge(name, subnet, isDefaultGateway=True, **keys)
    return routed(name, subnet, **keys)


def shaping(mode, ingress=0, egress=0):
    s = {"mode": mode}
    for key, value in (("ingress", ingress), ("egress", egress)):
        if value:
            s.update({key + "Rate": value, key + "Burst": BURST})
    return s


def about(value, target):
    return 0.6 * target < value < 1.4 * target


@KINDS
@MODES
@pytest.mark.sanitize
def test_limits_hold_and_change(host, kind, mode):
    a = host.add(network(kind, shaping=shaping(mode, 16 * MBIT, 8 * MBIT)), cid="box")
    peer = host.add(routed("free", "10.98.0.0/24"))
    same = host.add(network(kind, "limited"), cid="same") if kind == "bridge" else peer
    offered = 60 * MBIT
    assert about(rate(host, peer.pod, a.pod, a.ips[0], offered), 16 * MBIT)
    assert about(rate(host, a.pod, peer.pod, peer.ips[0], offered), 8 * MBIT)
    if kind == "bridge":  # the host's IP never sees what stays on one bridge
        assert about(rate(host, same.pod, a.pod, a.ips[0], offered), 16 * MBIT)
    # re-adding a limit keeps the old one, so a change has to be more than that
    host.ctl("bandwidth", "set", "box", "--ingress=4M", "--egress=24M", "--ingress-burst=500K",
             "--egress-burst=500K", check=True)
    assert about(rate(host, peer.pod, a.pod, a.ips[0], offered), 4 * MBIT)
    assert about(rate(host, a.pod, peer.pod, peer.ips[0], offered), 24 * MBIT)
    a.check().expect_ok()
    host.ctl("bandwidth", "set", "box", "--ingress=none", "--egress=none", check=True)
    assert rate(host, peer.pod, a.pod, a.ips[0], offered) > 40 * MBIT
    assert rate(host, a.pod, peer.pod, peer.ips[0], offered) > 40 * MBIT
    host.ctl("bandwidth", "set", "box", "--egress=8M", "--egress-burst=500K", check=True)
    assert about(rate(host, a.pod, peer.pod, peer.ips[0], offered), 8 * MBIT)


@KINDS
@MODES
def test_bursts_that_mean_unset(host, kind, mode):
    """containerd sends 2^32 - 1 where nobody asked for a burst: half a gigabyte before any limit."""
    conf = network(kind, shaping={"mode": mode}, capabilities={"bandwidth": True}, runtimeConfig={"bandwidth": {
        "ingressRate": 16 * MBIT, "ingressBurst": 2**32 - 1, "egressRate": 16 * MBIT, "egressBurst": 2**32 - 1}})
    a, peer = host.add(conf), host.add(routed("free", "10.98.0.0/24"))
    assert rate(host, peer.pod, a.pod, a.ips[0], 60 * MBIT) < 30 * MBIT
    assert rate(host, a.pod, peer.pod, peer.ips[0], 60 * MBIT) < 30 * MBIT
    if mode == "police":
        table = "netmgr_br" if kind == "bridge" else "netmgr_np"
        assert "burst" in json.dumps(elements(host, table, "police_to"))


@KINDS
@MODES
def test_nothing_is_left(host, kind, mode):
    a = host.add(network(kind, shaping=shaping(mode, MBIT, MBIT)))
    qdiscs = host.run(["tc", "qdisc", "show"]).stdout
    assert ("tbf" in qdiscs and "clsact" in qdiscs) == (mode == "shape")
    assert any(x.startswith("nmi") for x in host.links()) == (mode == "shape")
    a.check().expect_ok()
    a.delete().expect_ok()
    settle(lambda: not any(x.startswith("nmi") for x in host.links()), "the shaping interface is gone")
    assert "tbf" not in host.run(["tc", "qdisc", "show"]).stdout
    for table in ("netmgr_br", "netmgr_np"):
        assert elements(host, table, "police_to") == [] == elements(host, table, "police_from")


@pytest.mark.vm
@MODES
def test_limits_outlive_the_daemon(host, mode):
    a = host.add(network("routed", shaping=shaping(mode, 8 * MBIT, 8 * MBIT)), cid="box")
    peer = host.add(routed("free", "10.98.0.0/24"))
    host.netmgrd.kill()
    assert about(rate(host, peer.pod, a.pod, a.ips[0], 40 * MBIT), 8 * MBIT)
    host.netmgrd.start()
    assert about(rate(host, peer.pod, a.pod, a.ips[0], 40 * MBIT), 8 * MBIT)
    host.ctl("bandwidth", "set", "box", "--ingress=16M", "--ingress-burst=500K", check=True)
    assert about(rate(host, peer.pod, a.pod, a.ips[0], 60 * MBIT), 16 * MBIT)


def test_shaped_sandbox_that_died_with_the_daemon(host):
    """Its namespace took the host end along; the shaping interface is found by the next start."""
    a = host.add(network("routed", shaping=shaping("shape", MBIT, MBIT)))
    host.netmgrd.kill()
    a.pod.delete()
    settle(lambda: host.link(a.host_ifname) is None, "the host end is gone with its namespace")
    host.netmgrd.start()
    settle(lambda: not any(x.startswith("nmi") for x in host.links()), "the shaping interface is gone")
    a.live = False
