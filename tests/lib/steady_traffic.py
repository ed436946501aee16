# SPDX-License-Identifier: LGPL-2.1-or-later
"""Traffic that runs while a test does something else, and afterwards says what was lost.

    with steady(host) as traffic:
        traffic.echo("udp", from_pod, address, port)      # the peer echoes (traffic.answer())
        traffic.stream(from_pod, address, port, ...)
        ...
    traffic.reports                                      # one dictionary per flow

A flow keeps a window of packets under way and sends the next when one came back, so that no buffer
overflows and a slow machine only makes it slower: a packet that is missing at the end was dropped.
"""
import contextlib
import json
import select
import subprocess
import textwrap

from netmgr_host import LIMIT

ECHO_CLIENT = textwrap.dedent("""
    import json, select, socket, struct, sys, time
    # PROTOCOL ADDRESS PORT LIMIT; ends when stdin does
    protocol, address, port, limit = sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
    WINDOW, MARK = 16, b"netmgr-steady-"
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    icmp6 = family == socket.AF_INET6
    if protocol == "udp":
        s = socket.socket(family, socket.SOCK_DGRAM)
    else:
        s = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_ICMPV6 if icmp6 else socket.IPPROTO_ICMP)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    s.connect((address, port if protocol == "udp" else 0))
    s.setblocking(False)

    def checksum(data):
        total = sum(struct.unpack("!%dH" % (len(data) // 2), data))
        total = (total >> 16) + (total & 0xffff)
        return ~(total + (total >> 16)) & 0xffff

    def packet(n):
        payload = MARK + struct.pack("!Q", n)
        if protocol == "udp":
            return payload
        head = struct.pack("!BBHHH", 128 if icmp6 else 8, 0, 0, port, n & 0xffff)
        # the kernel sums up ICMPv6 itself
        return head[:2] + struct.pack("!H", checksum(head + payload)) + head[4:] + payload

    def number(data):
        at = data.find(MARK)
        if at < 0 or protocol != "udp" and data[at - 8] not in (0, 129):
            return None
        if protocol != "udp" and struct.unpack("!H", data[at - 4:at - 2])[0] != port:
            return None
        return struct.unpack("!Q", data[at + len(MARK):at + len(MARK) + 8])[0]

    sent, received, missing, errors = 0, 0, set(), []
    stop, last = False, time.monotonic()
    while True:
        while not stop and len(missing) < WINDOW:
            try:
                s.send(packet(sent))
            except BlockingIOError:
                break
            except OSError as e:
                errors.append(str(e))
            missing.add(sent)
            sent += 1
        ready, _, _ = select.select([s] + ([] if stop else [sys.stdin]), [], [], 0.5)
        if s in ready:
            while True:
                try:
                    n = number(s.recv(4096))
                except BlockingIOError:
                    break
                except OSError as e:
                    errors.append(str(e))
                    break
                if n in missing:
                    missing.discard(n)
                    received += 1
                    last = time.monotonic()
            time.sleep(0.001)  # a window every millisecond: others want to get something done, too
        if sys.stdin in ready:
            stop, last = True, time.monotonic()
        if stop and (not missing or time.monotonic() - last > limit):
            break
    print(json.dumps({"sent": sent, "received": received, "lost": sorted(missing)[:20], "errors": errors[:5]}))
""")

ECHO_SERVER = textwrap.dedent("""
    import socket, sys
    s = socket.socket(socket.AF_INET6 if sys.argv[1] == "6" else socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    if sys.argv[1] == "6":
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("", int(sys.argv[2])))
    print("ready", flush=True)
    while True:
        data, peer = s.recvfrom(2048)
        s.sendto(data, peer)
""")

# Blocks that can be told from all others by their number; the receiver makes them again and compares.
BLOCK = textwrap.dedent("""
    import hashlib, json, select, socket, struct, sys, time
    def block(n):
        return hashlib.sha256(str(n).encode()).digest() * 512
""")

STREAM_SERVER = BLOCK + textwrap.dedent("""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(("", int(sys.argv[1])))
    s.listen(4)
    print("ready", flush=True)
    c, _ = s.accept()
    n = 0
    while not select.select([c], [], [], 0.001)[0]:
        c.sendall(block(n))
        n += 1
    c.recv(1)  # what is not read would reset the connection
    c.close()
""")

STREAM_CLIENT = BLOCK + textwrap.dedent("""
    c = socket.create_connection((sys.argv[1], int(sys.argv[2])), 30)
    n, wrong, said, data = 0, 0, False, b""
    while True:
        if not said and select.select([sys.stdin], [], [], 0)[0]:
            c.sendall(b"!")
            said = True
        more = c.recv(65536)
        data += more
        while len(data) >= 16384:
            wrong += data[:16384] != block(n)
            data, n = data[16384:], n + 1
        if not more:
            break
    print(json.dumps({"blocks": n, "wrong": wrong, "rest": len(data), "asked": said}))
""")

NEWCOMERS = textwrap.dedent("""
    import json, select, socket, sys
    # ADDRESS PORT: one new connection after the other, each has to say who it reached
    address, port = sys.argv[1], int(sys.argv[2])
    made, failed = 0, []
    while not select.select([sys.stdin], [], [], 0.002)[0]:
        try:
            with socket.create_connection((address, port), 30) as c:
                c.settimeout(30)
                if not c.recv(256):
                    failed.append("empty")
        except OSError as e:
            failed.append(str(e))
        made += 1
    print(json.dumps({"made": made, "failed": failed[:5], "n_failed": len(failed)}))
""")


class Traffic:
    def __init__(self, host):
        self.host = host
        self.flows, self.servers, self.reports = {}, [], {}

    def _python(self, netns, script, *argv):
        return self.host.popen(["/usr/bin/python3", "-c", script, *map(str, argv)], netns=netns, bufsize=0,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def _serve(self, netns, script, *argv):
        server = self._python(netns, script, *argv)
        self.servers.append(server)
        ready, _, _ = select.select([server.stdout], [], [], LIMIT)
        assert ready and server.stdout.readline() == b"ready\n", "the server did not start"

    def answer(self, netns, family, port):
        """An echo server for echo("udp", ...)"""
        self._serve(netns, ECHO_SERVER, family, port)

    def echo(self, name, protocol, netns, address, port):
        """port: of ICMP the identifier, one of its own for each flow"""
        self.flows[name] = self._python(netns, ECHO_CLIENT, protocol, address, port, LIMIT)

    def stream(self, name, server, server_port, netns, address, port):
        self._serve(server, STREAM_SERVER, server_port)
        self.flows[name] = self._python(netns, STREAM_CLIENT, address, port)

    def newcomers(self, name, netns, address, port):
        """The server is of traffic.serving()"""
        self.flows[name] = self._python(netns, NEWCOMERS, address, port)

    def stop(self):
        for flow in self.flows.values():
            flow.stdin.write(b"\n")
        for name, flow in self.flows.items():
            out = flow.communicate(timeout=4 * LIMIT)[0].decode()
            assert flow.returncode == 0, (name, out)
            self.reports[name] = json.loads(out.splitlines()[-1])
        self.flows = {}
        return self.reports


@contextlib.contextmanager
def steady(host):
    traffic = Traffic(host)
    try:
        yield traffic
    finally:
        for process in [*traffic.flows.values(), *traffic.servers]:
            process.kill()
            process.communicate()
