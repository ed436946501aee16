# SPDX-License-Identifier: LGPL-2.1-or-later
"""What may come out of a sandbox, between which networks, and whose address it leaves with."""
import socket
import struct
import subprocess

import pytest
from netmgr_host import bridge, netconf, routed, settle
from traffic import (HOST4, HOST6, NODE4, NODE6, OTHER6, OUT4, OUT6, Capture, Outside, ask, dropped, elements, ruleset,
                     send_frames, serving)

BOTH = pytest.mark.parametrize("kind", ["routed", "bridge"])
SPOOFED = "source address is not the sandbox's"


def network(kind, name="net", *subnets, **keys):
    subnets = subnets or ("10.97.0.0/24", "fd97::/64")
    if kind == "bridge":
        return bridge(name, *subnets, isDefaultGateway=True, **keys)
    return routed(name, *subnets, **keys)


# --- frames ----------------------------------------------------------------------------------------

def mac(text):
    return bytes.fromhex(text.replace(":", ""))


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def udp4(source, to, mark):
    payload = struct.pack("!HHHH", 4000, 7777, 8 + len(mark), 0) + mark
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0)
    head += socket.inet_aton(source) + socket.inet_aton(to)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def next6(source, to, number, payload):
    s, d = socket.inet_pton(socket.AF_INET6, source), socket.inet_pton(socket.AF_INET6, to)
    return struct.pack("!IHBB", 6 << 28, len(payload), number, 255) + s + d + payload


def sum6(source, to, number, payload, at):
    s, d = socket.inet_pton(socket.AF_INET6, source), socket.inet_pton(socket.AF_INET6, to)
    value = checksum(s + d + struct.pack("!II", len(payload), number) + payload)
    return payload[:at] + struct.pack("!H", value) + payload[at + 2:]


def udp6(source, to, mark):
    payload = struct.pack("!HHHH", 4000, 7777, 8 + len(mark), 0) + mark
    return next6(source, to, 17, sum6(source, to, 17, payload, 6))


def packet(source, to, mark):
    return udp6(source, to, mark) if ":" in to else udp4(source, to, mark)


class Sender:
    """Frames from inside a pod, to the host's end of its wire (or a neighbour on the bridge)."""

    def __init__(self, host, a, kind, to_mac=None):
        end = f"nmb-{a.result_name}" if kind == "bridge" else a.host_ifname
        self.host, self.pod = host, a.pod
        self.to = mac(to_mac or host.link(end)["address"])
        self.mac = mac(a.pod.link("eth0")["address"])

    def frame(self, ip, source=None, tag=b""):
        kind = b"\x86\xdd" if ip[0] >> 4 == 6 else b"\x08\x00"
        return self.to + (source or self.mac) + tag + kind + ip

    def send(self, *frames):
        send_frames(self.host, self.pod, "eth0", *frames)


def attach(host, kind, conf, **keys):
    a = host.add(conf, **keys)
    a.result_name = conf["name"]
    return a


def address(a, family):
    return next(x for x in a.ips if (":" in x) == (family == 6))


@BOTH
@pytest.mark.parametrize("family", [4, 6])
@pytest.mark.sanitize
def test_spoofed_source_addresses(host, kind, family):
    """Only what is the sandbox's own arrives outside: an absence that is proven by what follows it."""
    a = attach(host, kind, network(kind))
    other = attach(host, kind, network(kind))
    sender = Sender(host, a, kind)
    to, own = (OUT4, OUT6)[family == 6], address(a, family)
    wrong = [address(other, family), "203.0.113.7" if family == 4 else "2001:db8:7::7",
             "127.0.0.1" if family == 4 else "::1", NODE4 if family == 4 else NODE6]
    with Outside(host) as outside:
        outside.wait_ping(own)
        with Capture(host, outside, "out0", b"marked") as seen:
            sender.send(*(sender.frame(packet(w, to, b"marked wrong")) for w in wrong),
                        sender.frame(packet(own, to, b"marked right")))
            assert [b"wrong" in f for f in seen.until(b"right")] == [False]
        table = "netmgr_br" if kind == "bridge" else "netmgr_np"
        assert dropped(host, table, SPOOFED) >= 3


@pytest.mark.sanitize
def test_bridge_neighbours_are_safe_from_each_other(host):
    """MAC, ARP sender, VLAN tags and router talk of a sandbox never reach the next port of the bridge."""
    conf = network("bridge")
    a, b = attach(host, "bridge", conf), attach(host, "bridge", conf)
    c = attach(host, "bridge", conf)
    b_mac = b.pod.link("eth0")["address"]
    s = Sender(host, a, "bridge", b_mac)
    own4, own6, b4, b6, c4 = (address(a, 4), address(a, 6), address(b, 4), address(b, 6), address(c, 4))

    def arp(sender_mac, sender_ip, op=2):
        return s.to + s.mac + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x800, 6, 4, op) + sender_mac + \
            socket.inet_aton(sender_ip) + mac(b_mac) + socket.inet_aton(b4) + b"marked"
    advert = struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, 1800, 0, 0) + b"marked12"
    redirect = struct.pack("!BBHI", 137, 0, 0, 0) + b"\0" * 32 + b"marked12"
    wrong = [
        s.frame(packet(own4, b4, b"marked"), source=mac("02:00:00:00:00:99")),
        arp(s.mac, c4), arp(s.mac, "10.97.0.1"),
        s.frame(packet(own4, b4, b"marked"), tag=b"\x81\x00\x00\x07"),
        s.frame(next6(own6, b6, 58, sum6(own6, b6, 58, advert, 2))),
        s.frame(next6("fe80::1", "ff02::1", 58, sum6("fe80::1", "ff02::1", 58, advert, 2))),
        s.frame(next6(own6, b6, 58, sum6(own6, b6, 58, redirect, 2))),
        s.to + s.mac + b"\x88\xb5" + b"marked",
    ]
    with Capture(host, b.pod, "eth0", b"marked") as seen:
        s.send(*wrong, arp(s.mac, own4), s.frame(packet(own4, b4, b"marked right")))
        frames = seen.until(b"right")
        assert len(frames) == 2 and frames[0][12:14] == b"\x08\x06", [f.hex() for f in frames]
    b.pod.wait_ping(own4)
    b.pod.wait_ping(own6)


def test_layer_2_only(host):
    """Without ipam netmgr knows no address: the MAC alone is held to."""
    conf = netconf("l2", kind="bridge")
    a, b = attach(host, "bridge", conf), attach(host, "bridge", conf)
    for pod, ip in ((a.pod, "172.30.0.1/24"), (b.pod, "172.30.0.2/24")):
        pod.run(["ip", "addr", "add", ip, "dev", "eth0"])
    a.pod.wait_ping("172.30.0.2")
    s = Sender(host, a, "bridge", b.pod.link("eth0")["address"])
    with Capture(host, b.pod, "eth0", b"marked") as seen:
        s.send(s.frame(udp4("172.30.0.1", "172.30.0.2", b"marked wrong"), source=mac("02:00:00:00:00:99")),
               s.frame(udp4("172.30.0.9", "172.30.0.2", b"marked right")))
        assert len(seen.until(b"right")) == 1


@BOTH
def test_ipv6_is_off_where_it_was_not_asked_for(host, kind):
    a = attach(host, kind, network(kind, "v4", "10.97.0.0/24"))
    assert not [x for x in a.pod.ip("-6", "addr", "show", "dev", "eth0") if x.get("addr_info")]
    host_end = a.host_ifname
    assert not [x for x in host.ip("-6", "addr", "show", "dev", host_end) if x.get("addr_info")]
    if kind == "routed":  # dropped before any table sees it
        assert host.run(["cat", f"/proc/sys/net/ipv6/conf/{host_end}/disable_ipv6"]).stdout.strip() == "1"
        return
    s = Sender(host, a, kind)
    before = dropped(host, "netmgr_br", SPOOFED)
    s.send(s.frame(udp6("fe80::2", "ff02::1", b"x")), s.frame(udp6("fd97::2", NODE6, b"x")))
    settle(lambda: dropped(host, "netmgr_br", SPOOFED) >= before + 2, "both are dropped")


FLOOD = r"""
import os, socket, sys
# As fast as it goes: whatever interface there is, from the moment at which it appears.
sock = {}
wrong, right = bytes.fromhex(sys.argv[1]), bytes.fromhex(sys.argv[2])
print("ready", flush=True)
while True:
    try:
        if "eth0" not in sock:
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            s.bind(("eth0", 0))
            s.setblocking(False)
            sock["eth0"] = s
        for ip in (wrong, right):
            kind = b"\x08\x00"
            sock["eth0"].send(b"\xff" * 6 + s.getsockname()[4] + kind + ip)
    except OSError:
        pass
"""


@BOTH
def test_nothing_spoofed_passes_from_the_first_moment(host, kind):
    """A program that floods from inside before, while and after the interface comes to be."""
    conf = network(kind)
    first = attach(host, kind, conf)  # so that bridge and rules of the network are there
    pod = host.pod()
    with Outside(host) as outside, Capture(host, outside, "out0", b"marked") as seen:
        flood = host.popen(["/usr/bin/python3", "-c", FLOOD, udp4("203.0.113.9", OUT4, b"marked wrong").hex(),
                            udp4("10.97.0.3", OUT4, b"marked right").hex()], netns=pod, stdout=subprocess.PIPE,
                           bufsize=0)
        try:
            assert flood.stdout.readline() == b"ready\n"
            a = host.add(dict(conf, args={"cni": {"ips": ["10.97.0.3"]}}), pod=pod)
            # frames to the broadcast address are the host's to route as well as ours
            s = Sender(host, attach_name(a, conf), kind)
            s.send(s.frame(udp4("10.97.0.3", OUT4, b"marked last")))
            assert not [f for f in seen.until(b"last") if b"wrong" in f]
        finally:
            flood.kill()
            flood.wait()
            flood.stdout.close()
    first.delete().expect_ok()


def attach_name(a, conf):
    a.result_name = conf["name"]
    return a


# --- networks apart ----------------------------------------------------------------------------------

def named(host, name, kind, subnet4, subnet6, **keys):
    plugin = network(kind, name, subnet4, subnet6, **keys)
    plugin = {k: v for k, v in plugin.items() if k not in ("cniVersion", "name")}
    import json
    import os
    os.makedirs(host.networks_dir, exist_ok=True)
    with open(f"{host.networks_dir}/{name}.conflist", "w") as f:
        json.dump({"cniVersion": "1.0.0", "name": name, "plugins": [plugin]}, f)
    host.ctl("reload", check=True)


def on(host, name):
    return host.add({"cniVersion": "1.0.0", "name": "n-" + name, "type": "netmgr", "network": name})


@pytest.fixture
def names(host):
    """Named networks go after the test, with all that is on them."""
    yield
    import glob
    import os
    for a in host.attachments:
        if a.live:
            a.delete().expect_ok()
    for name in glob.glob(f"{host.networks_dir}/*"):
        os.unlink(name)
    host.ctl("reload", check=True)


def reaches(host, a, b):
    """A TCP connection from a to b, in both families alike."""
    answers = set()
    for family in (4, 6):
        with serving(host, b.pod, "tcp", family, 80):
            answers.add(ask(host, a.pod, "tcp", address(b, family), 80, 0.5) is not None)
    assert len(answers) == 1
    return answers.pop()


def test_named_networks_are_apart(host, names):
    named(host, "red", "routed", "10.91.0.0/24", "fd91::/64")
    named(host, "blue", "bridge", "10.92.0.0/24", "fd92::/64")
    named(host, "green", "routed", "10.93.0.0/24", "fd93::/64", allow=["red"])
    named(host, "open", "bridge", "10.94.0.0/24", "fd94::/64", isolation=False)
    red, red2, blue, green, free = (on(host, n) for n in ("red", "red", "blue", "green", "open"))
    inline, inline2 = host.add(network("routed", "in1")), host.add(network("bridge", "in2", "10.98.0.0/24", "fd98::/64"))
    got = {(x, y) for x, a in (("red", red), ("blue", blue), ("green", green), ("open", free))
           for y, b in (("red", red2), ("blue", blue), ("green", green), ("open", free))
           if a is not b and reaches(host, a, b)}
    assert got == {("red", "red"), ("red", "green"), ("red", "open"), ("blue", "open"), ("green", "open")}
    assert reaches(host, inline, inline2) and reaches(host, inline2, inline)
    assert not reaches(host, inline, red)
    # a published port is open to everybody
    host.ctl("port", "add", red.cid, "8080:80", check=True)
    with serving(host, red.pod, "tcp", 4, 80, "red"):
        assert ask(host, blue.pod, "tcp", NODE4, 8080)[0] == "red"
    assert dropped(host, "netmgr_np", "isolation of the destination's network") > 0


def test_isolation_changes_hold_for_who_is_there(host, names):
    named(host, "red", "routed", "10.91.0.0/24", "fd91::/64")
    named(host, "green", "routed", "10.93.0.0/24", "fd93::/64", allow=["blue"])
    red, green = on(host, "red"), on(host, "green")
    assert not reaches(host, red, green)
    named(host, "green", "routed", "10.93.0.0/24", "fd93::/64", allow=["blue", "red"])
    settle(lambda: reaches(host, red, green), "red may reach green")
    # a network that is named before it exists
    named(host, "blue", "bridge", "10.92.0.0/24", "fd92::/64")
    blue = on(host, "blue")
    assert reaches(host, blue, green) and not reaches(host, green, blue)


# --- the way out -------------------------------------------------------------------------------------

def seen_outside(host, outside, a, port=8000):
    """Whom a server outside sees."""
    return [ask(host, a.pod, "tcp", to, port)[1] for to in (OUT4, OUT6)]


def assert_node(seen):
    """The address of the interface towards outside; of two in IPv6 the kernel takes the one that it likes."""
    assert seen[0] == HOST4 and seen[1] in (HOST6, OTHER6), seen


@BOTH
@pytest.mark.sanitize
def test_masquerade(host, kind):
    masked = host.add(network(kind, "masked", ipMasq=True))
    plain = host.add(network(kind, "plain", "10.98.0.0/24", "fd98::/64"))
    kept = host.add(network(kind, "kept", "10.99.0.0/24", "fd99::/64", ipMasq=True,
                            ipMasqExclude=["198.51.100.0/24", OUT6]))
    with Outside(host) as outside, serving(host, outside, "tcp", 4, 8000), serving(host, outside, "tcp", 6, 8000):
        assert_node(seen_outside(host, outside, masked))
        assert seen_outside(host, outside, plain) == plain.ips
        assert seen_outside(host, outside, kept) == kept.ips
        # towards our own networks everybody is who he is
        with serving(host, plain.pod, "tcp", 4, 80), serving(host, plain.pod, "tcp", 6, 80):
            for family in (4, 6):
                assert ask(host, masked.pod, "tcp", address(plain, family), 80)[1] == address(masked, family)
    assert "fully-random" in str(ruleset(host))
    masked.delete().expect_ok()
    kept.delete().expect_ok()
    assert elements(host, "netmgr_nat", "masq4") == [] == elements(host, "netmgr_nat", "masq6")


def test_masquerade_changes_hold_for_who_is_there(host, names):
    named(host, "red", "routed", "10.91.0.0/24", "fd91::/64")
    a = on(host, "red")
    with Outside(host) as outside, serving(host, outside, "tcp", 4, 8000), serving(host, outside, "tcp", 6, 8000):
        assert seen_outside(host, outside, a) == a.ips
        named(host, "red", "routed", "10.91.0.0/24", "fd91::/64", ipMasq=True)
        settle(lambda: seen_outside(host, outside, a)[0] == HOST4, "masqueraded")
        assert_node(seen_outside(host, outside, a))
