# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real packets between the namespaces of a test: servers that say whom they saw, clients, raw frames."""
import contextlib
import json
import select
import subprocess
import textwrap

from netmgr_host import LIMIT, settle

NODE4, NODE6 = "192.0.2.1", "2001:db8::1"
HOST4, HOST6 = "198.51.100.1", "2001:db8:1::1"  # the host's address towards outside
OUT4, OUT6 = "198.51.100.9", "2001:db8:1::9"
OTHER4, OTHER6 = "198.51.100.2", "2001:db8:1::2"  # a second address of the host

SERVER = textwrap.dedent("""
    import socket, sys
    protocol, family, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    name = sys.argv[4] if len(sys.argv) > 4 else ""
    family = socket.AF_INET if family == 4 else socket.AF_INET6
    s = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", port))
    if protocol == "tcp":
        s.listen(64)
    print("ready", flush=True)
    while True:
        if protocol == "tcp":
            c, peer = s.accept()
            c.sendall((name + " " + peer[0]).encode())
            c.close()
        else:
            data, peer = s.recvfrom(2048)
            s.sendto((name + " " + peer[0]).encode(), peer)
""")

CLIENT = textwrap.dedent("""
    import socket, sys
    protocol, address, port, timeout = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    s.settimeout(timeout)
    try:
        s.connect((address, port))
        if protocol == "udp":
            s.send(b"who am I")
        print(s.recv(2048).decode())
    except OSError as e:
        print("failed:", e)
""")


class Outside:
    """A neighbour of the host on a wire of its own: a client from outside, and the way out of pods."""

    def __init__(self, host):
        self.host = host
        self.pod = host.pod("outside")

    def __enter__(self):
        host = self.host
        host.ip("link", "add", "up0", "type", "veth", "peer", "name", "out0", "netns", "outside")
        for address in (f"{HOST4}/24", f"{OTHER4}/24"):
            host.ip("addr", "add", address, "dev", "up0")
        for address in (f"{HOST6}/64", f"{OTHER6}/64"):
            host.ip("addr", "add", address, "dev", "up0", "nodad")
        host.ip("link", "set", "up0", "up")
        self.pod.run(["sh", "-c", f"ip link set lo up; ip addr add {OUT4}/24 dev out0; "
                      f"ip addr add {OUT6}/64 dev out0 nodad; ip link set out0 up; "
                      f"ip route add default via {HOST4}; ip -6 route add default via {HOST6}"])
        self.pod.wait_ping(HOST4)
        self.pod.wait_ping(HOST6)
        return self.pod

    def __exit__(self, *_):
        # both ends: a namespace that is only deleted dies when the kernel likes
        self.host.ip("link", "del", "up0")
        self.pod.delete()


@contextlib.contextmanager
def serving(host, netns, protocol, family, port, name=""):
    """A server in the namespace (None: the host) that answers with NAME and whom it saw."""
    server = host.popen(["/usr/bin/python3", "-c", SERVER, protocol, str(family), str(port), name], netns=netns,
                        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)
    try:
        ready, _, _ = select.select([server.stdout], [], [], LIMIT)
        assert ready and server.stdout.readline() == b"ready\n", "the server did not start"
        yield server
    finally:
        server.kill()
        server.wait(LIMIT)
        server.stdout.close()


def ask(host, netns, protocol, address, port, timeout=3):
    """What the server answered: (name, address that it saw); None when nothing came back."""
    text = host.run(["/usr/bin/python3", "-c", CLIENT, protocol, address, str(port), str(timeout)], netns=netns).stdout
    words = text.strip("\n").split(" ")
    return None if words[0] == "failed:" else (words[0], words[-1])


def refused_at_once(host, netns, address, port):
    text = host.run(["/usr/bin/python3", "-c", CLIENT, "tcp", address, str(port), "20"], netns=netns).stdout
    return "refused" in text


def ruleset(host):
    return json.loads(host.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]


def elements(host, table, name):
    """Elements of a set or map, as nft's JSON has them."""
    for x in ruleset(host):
        for kind in ("set", "map"):
            if kind in x and x[kind]["table"] == table and x[kind]["name"] == name:
                return x[kind].get("elem", [])
    raise AssertionError(f"no {name} in {table}")


def dropped(host, table, comment):
    """Packets that the rules with this comment have dropped."""
    total = 0
    for x in ruleset(host):
        rule = x.get("rule", {})
        if rule.get("table") == table and rule.get("comment") == comment:
            total += sum(e["counter"]["packets"] for e in rule["expr"] if "counter" in e)
    return total


def check_listing(host):
    """Debian's nft reads everything back: as text and as JSON, without a word on stderr."""
    for argv in (["nft", "list", "ruleset"], ["nft", "-j", "list", "ruleset"]):
        p = host.run(argv)
        assert p.stderr == "", p.stderr
        assert "netmgr_nat" in p.stdout


FRAME = textwrap.dedent("""
    import socket, sys
    # IFNAME FRAME...: frames in hex, sent in this order
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    s.bind((sys.argv[1], 0))
    for frame in sys.argv[2:]:
        s.send(bytes.fromhex(frame))
""")


def send_frames(host, netns, ifname, *frames):
    host.run(["/usr/bin/python3", "-c", FRAME, ifname, *(f.hex() for f in frames)], netns=netns)


CAPTURE = textwrap.dedent("""
    import socket, sys
    # IFNAME MARK: prints every frame that comes in with the mark in it, as hex
    s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    s.bind((sys.argv[1], 0))
    mark = bytes.fromhex(sys.argv[2])
    print("ready", flush=True)
    while True:
        data, where = s.recvfrom(65536)
        if mark in data and where[2] != socket.PACKET_OUTGOING:
            print(data.hex(), flush=True)
""")


class Capture:
    """Frames that reach an interface and hold the mark."""

    def __init__(self, host, netns, ifname, mark):
        self.process = host.popen(["/usr/bin/python3", "-c", CAPTURE, ifname, mark.hex()], netns=netns,
                                  stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0)
        self.frames = []
        self.line()

    def line(self):
        ready, _, _ = select.select([self.process.stdout], [], [], LIMIT)
        assert ready, "nothing came"
        return self.process.stdout.readline().decode().strip()

    def waits(self, seconds):
        """Whether a frame comes within that time."""
        return bool(select.select([self.process.stdout], [], [], seconds)[0])

    def until(self, part):
        """All frames up to the one that holds `part`, which must come."""
        frames = []
        while True:
            frames.append(bytes.fromhex(self.line()))
            if part in frames[-1]:
                return frames

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait(LIMIT)
        self.process.stdout.close()


def nft_settles(host, condition, what):
    return settle(lambda: condition(ruleset(host)), what)
