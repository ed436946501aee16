# SPDX-License-Identifier: LGPL-2.1-or-later
"""A link with a real DHCP server on it: bridge lan0 of the private host, busybox udhcpd or dnsmasq.

    with Lan(host) as lan:
        lan.udhcpd(lease=8)
        a = host.add(lan.conf())
"""
import os
import re
import signal
import subprocess

from netmgr_host import LIB, LIMIT, Daemon, netconf, settle

SERVER = "10.9.0.1"


# Refuses every request, as whoever is on the link can: without saying that it is a server (option 54).
STRANGER = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lan0")
s.bind(("", 67))
print("started", flush=True)
while True:
    q, peer = s.recvfrom(2000)
    s.sendto(b"\\2" + q[1:12] + bytes(16) + q[28:44] + bytes(192) + q[236:240] + bytes((53, 1, 6, 255)), peer)
    print("refused", peer, flush=True)
"""


class Server:
    """A server in the host's namespaces, in the foreground."""

    def __init__(self, lan, argv, log):
        self.lan, self.log = lan, log
        with open(log, "ab") as f:
            self.process = lan.host.popen(argv, stdin=subprocess.DEVNULL, stdout=f, stderr=f)

    @property
    def pid(self):
        """Of the server itself, which nsenter has become"""
        return self.process.pid

    def text(self):
        with open(self.log, errors="replace") as f:
            return f.read()

    def wait_for(self, pattern, count=1):
        def seen():
            assert self.process.poll() is None, f"the server ended:\n{self.text()}"
            return len(re.findall(pattern, self.text())) >= count
        settle(seen, lambda: f"{count} x {pattern!r} in the log of the DHCP server:\n{self.text()}")
        return re.search(pattern, self.text())

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(LIMIT)


class Lan:
    def __init__(self, host):
        self.host = host
        self.dhcp = Daemon(host, "dhcp")
        self.server = None

    def __enter__(self):
        # With an address of its own: else it changes with the ports, as no server's elsewhere would.
        self.host.run(["sh", "-c", f"ip link add lan0 address 02:00:00:00:09:01 type bridge && ip address add {SERVER}/24 dev lan0 && "
                                   "echo 1 > /proc/sys/net/ipv6/conf/lan0/disable_ipv6 && ip link set lan0 up"])
        self.dhcp.start()
        return self

    def __exit__(self, kind, value, traceback):
        try:
            if kind is None:
                for a in self.host.attachments:
                    if a.live and isinstance(a.conf, dict) and a.conf.get("ipam", {}).get("type") == "dhcp":
                        a.delete().expect_ok()
        finally:
            if kind is not None:
                print(f"--- netmgr-dhcp ---\n{self.dhcp.text()}")
                if self.server:
                    print(f"--- DHCP server ---\n{self.server.text()}")
            if self.server:
                self.server.stop()
            status = self.dhcp.stop()
            self.host.run(["ip", "link", "delete", "lan0"], check=False)
            self.forget_flows()
        assert status in (0, -signal.SIGKILL), f"netmgr-dhcp ended with status {status}"

    def forget_flows(self):
        """The kernel tracks what the server's host said and heard for half a minute: of the LAN, not of netmgr."""
        for port in ("67", "68"):
            self.host.run(["conntrack", "-D", "-p", "udp", "--orig-port-dst", port], check=False)

    def file(self, name):
        return f"{self.host.dir}/{name}"

    def conf(self, name="lan", version="1.0.0", ipam=None, **keys):
        return netconf(name, version=version, kind="bridge", bridge="lan0",
                       ipam={"type": "dhcp", **(ipam or {})}, **keys)

    def udhcpd(self, lease=3600, first=50, last=59, options=(), fresh=True):
        """Leases of seconds are possible with it. fresh: it knows of no lease that it gave before."""
        self.stop_server()
        leases, conf = self.file("udhcpd.leases"), self.file("udhcpd.conf")
        if fresh or not os.path.exists(leases):
            with open(leases, "wb"):
                pass
        lines = [f"start 10.9.0.{first}", f"end 10.9.0.{last}", "interface lan0", f"lease_file {leases}",
                 f"pidfile {self.file('udhcpd.pid')}", "auto_time 0", "min_lease 1", "offer_time 2",
                 "option subnet 255.255.255.0", f"option lease {lease}", *(f"option {o}" for o in options)]
        with open(conf, "w") as f:
            f.write("\n".join(lines) + "\n")
        self.server = Server(self, ["busybox", "udhcpd", "-f", conf], self.file("log/udhcpd.log"))
        self.server.wait_for("started")
        return self.server

    def stranger(self):
        self.stop_server()
        self.server = Server(self, ["python3", "-c", STRANGER], self.file("log/stranger.log"))
        self.server.wait_for("started")
        return self.server

    def udhcpd_leases(self):
        """{address: "expired" or the time that is left}, as the server has it now"""
        leases = self.file("udhcpd.leases")
        before = os.stat(leases).st_mtime_ns
        self.host.run(["kill", "-USR1", str(self.server.pid)])
        settle(lambda: os.stat(leases).st_mtime_ns != before, "udhcpd writes its leases")
        out = self.host.run(["busybox", "dumpleases", "-f", leases]).stdout
        return {m[1]: m[2].strip() for m in re.finditer(r"\s(10\.9\.0\.\d+)\s+(?:\S*?\s\s+)?(.*)$", out, re.MULTILINE)}

    def dnsmasq(self, *options, first=50, last=59, lease="120s", fresh=False):
        """fresh: it knows of no lease that it gave before, and begins a new log."""
        self.stop_server()
        for name in ("dnsmasq.leases", "log/dnsmasq.log"):
            if fresh and os.path.exists(self.file(name)):
                os.unlink(self.file(name))
        log = self.file("log/dnsmasq.log")
        self.server = Server(self, ["dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--port=0",
                                    "--interface=lan0", "--bind-interfaces", "--user=root", "--pid-file=",
                                    f"--dhcp-range=10.9.0.{first},10.9.0.{last},255.255.255.0,{lease}",
                                    f"--dhcp-leasefile={self.file('dnsmasq.leases')}", "--log-dhcp",
                                    "--log-facility=-", "--dhcp-authoritative", "--no-ping", *options], log)
        self.server.wait_for("sockets bound|DHCP, IP range")
        return self.server

    def dnsmasq_leases(self):
        """{address: (mac, host name, client id in hex)}"""
        with open(self.file("dnsmasq.leases")) as f:
            rows = [line.split() for line in f]
        return {r[2]: (r[1], r[3], r[4]) for r in rows if len(r) == 5}

    def stop_server(self):
        if self.server:
            self.server.stop()
            self.server = None

    def lease(self):
        """The one row of the ledger"""
        rows = self.host.sql("SELECT * FROM lease")
        assert len(rows) == 1, rows
        return rows[0]
