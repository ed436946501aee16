# SPDX-License-Identifier: LGPL-2.1-or-later
"""Host ports as packets meet them: who gets through, whom the server sees, what is left alone."""
import contextlib
import socket
import struct

import pytest
from netmgr_host import bridge, routed, settle
from traffic import (HOST4, HOST6, NODE4, NODE6, OTHER4, OTHER6, OUT4, OUT6, Capture, Outside, ask, check_listing,
                     elements, refused_at_once, ruleset, send_frames, serving)

# what they need of the kernel differs from one to the next
pytestmark = pytest.mark.vm

HOST = {4: HOST4, 6: HOST6}
OTHER = {4: OTHER4, 6: OTHER6}
OUT = {4: OUT4, 6: OUT6}
NODE = {4: NODE4, 6: NODE6}
BOTH = pytest.mark.parametrize("kind", ["routed", "bridge"])


def network(kind, name="ports", *subnets, **keys):
    subnets = subnets or ("10.97.0.0/24", "fd97::/64")
    if kind == "bridge":
        return bridge(name, *subnets, isDefaultGateway=True, **keys)
    return routed(name, *subnets, **keys)


def mapping(host_port, container_port=80, protocol="tcp", **keys):
    return {"hostPort": host_port, "containerPort": container_port, "protocol": protocol, **keys}


def publish(host, conf, *mappings, **keys):
    return host.add(dict(conf, runtimeConfig={"portMappings": list(mappings)}), **keys)


@contextlib.contextmanager
def servers(host, pod, *wanted, name="web"):
    """(protocol, port) of both families"""
    with contextlib.ExitStack() as stack:
        for protocol, port in wanted:
            for family in (4, 6):
                stack.enter_context(serving(host, pod, protocol, family, port, name))
        yield


@BOTH
@pytest.mark.sanitize
def test_everybody_reaches_it(host, kind):
    """From outside with its own address, from the host, from 127.0.0.1, from neighbours, from itself."""
    conf = network(kind)
    a = publish(host, conf, mapping(8080), mapping(5353, 53, "udp"))
    neighbour = host.add(conf)
    stranger = host.add(routed("other", "10.98.0.0/24", "fd98::/64"))
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80), ("udp", 53)):
        for protocol, port in (("tcp", 8080), ("udp", 5353)):
            for family in (4, 6):
                to = HOST[family]
                assert ask(host, outside, protocol, to, port) == ("web", OUT[family])
                assert ask(host, None, protocol, to, port)[0] == "web"
                for pod in (neighbour.pod, stranger.pod, a.pod):
                    assert ask(host, pod, protocol, to, port), (pod.name, protocol, family)
                # the pod itself is seen as the node: the answer has to come back through the host
                assert ask(host, a.pod, protocol, to, port)[1] == NODE[family]
            assert ask(host, None, protocol, "127.0.0.1", port) == ("web", NODE4)
        # there is no route_localnet for IPv6: refused, so that "localhost" goes on to 127.0.0.1
        assert refused_at_once(host, None, "::1", 8080)
        check_listing(host)


@BOTH
def test_host_ip(host, kind):
    a = publish(host, network(kind), mapping(8080, hostIP=HOST4), mapping(8081, hostIP="0.0.0.0"),
                mapping(8082, hostIP=HOST6), mapping(8083, hostIP="::"))
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80)):
        def answers(port):
            return [to for to in (HOST4, OTHER4, HOST6, OTHER6) if ask(host, outside, "tcp", to, port, 1)]
        assert answers(8080) == [HOST4]
        assert answers(8081) == [HOST4, OTHER4]
        assert answers(8082) == [HOST6]
        assert answers(8083) == [HOST6, OTHER6]


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82f63b78 if crc & 1 else 0)
    return crc ^ 0xffffffff


def sctp_init(source_port, port, tag):
    """An INIT chunk, as no socket of this kernel can send it. RFC 9260, sections 3.1 and 3.3.2."""
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, tag, 65536, 1, 1, 1)
    packet = struct.pack("!HHII", source_port, port, 0, 0) + chunk
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


SEND_RAW = """
import socket, sys
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_RAW, int(sys.argv[2]))
s.sendto(bytes.fromhex(sys.argv[3]), (sys.argv[1], 0))
"""


def send_raw(host, netns, address, protocol, payload):
    host.run(["/usr/bin/python3", "-c", SEND_RAW, address, str(protocol), payload.hex()], netns=netns)


@BOTH
def test_sctp(host, kind):
    a = publish(host, network(kind), mapping(3868, 3869, "sctp"))
    with Outside(host) as outside:
        for family, tag in ((4, 0x11223344), (6, 0x55667788)):
            mark = struct.pack("!I", tag)
            with Capture(host, a.pod, "eth0", mark) as seen:
                send_raw(host, outside, HOST[family], 132, sctp_init(40000, 3868, tag))
                frame = seen.until(mark)[-1]
                at = frame.index(mark) - 16  # the SCTP header
                assert struct.unpack("!HH", frame[at:at + 4]) == (40000, 3869)


@BOTH
def test_transit_is_left_alone(host, kind):
    """A packet through the host to another machine's port that happens to be mapped here."""
    publish(host, network(kind), mapping(8080))
    b = host.add(routed("far", "10.98.0.0/24", "fd98::/64"))
    with Outside(host) as outside, serving(host, b.pod, "tcp", 4, 8080, "far"), \
            serving(host, b.pod, "tcp", 6, 8080, "far"):
        for address in b.ips:
            assert ask(host, outside, "tcp", address, 8080)[0] == "far"


def test_conflicts(host):
    conf = network("routed")
    a = publish(host, conf, mapping(8080), mapping(9090, hostIP="192.0.2.1"), cid="holder")
    busy = [
        [mapping(8080)], [mapping(8080, 81)], [mapping(8080, hostIP="192.0.2.1")], [mapping(8080, hostIP="::")],
        [mapping(9090)], [mapping(9090, hostIP="192.0.2.1")], [mapping(9090, hostIP="0.0.0.0")],
        [mapping(7070), mapping(8080)],
    ]
    for wishes in busy:
        pod = host.pod()
        with host.unchanged():
            reply, _ = host.try_add(dict(conf, runtimeConfig={"portMappings": wishes}), pod)
            reply.expect_error(103, "holder", "eth0", str(wishes[-1]["hostPort"]))
    # another protocol, another address, another family are no conflict
    publish(host, conf, mapping(8080, protocol="udp"), mapping(9090, hostIP="192.0.2.7"), mapping(9090, hostIP="::"),
            mapping(7070))
    a.delete().expect_ok()
    publish(host, conf, mapping(8080), mapping(9090, hostIP="192.0.2.1"))


LISTEN = """
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[2] else socket.AF_INET
s = socket.socket(family, socket.SOCK_STREAM if sys.argv[1] == "tcp" else socket.SOCK_DGRAM)
if sys.argv[4:] == ["v6only"]:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind((sys.argv[2], int(sys.argv[3])))
if sys.argv[1] == "tcp":
    s.listen()
if sys.argv[4:] == ["connected"]:
    s.connect(("192.0.2.1", 9))
print("ready", flush=True)
import time
time.sleep(1000)
"""


@contextlib.contextmanager
def listening(host, *argv, user=None):
    import subprocess
    p = host.popen(["/usr/bin/python3", "-c", LISTEN, *map(str, argv)], user=user, stdout=subprocess.PIPE, bufsize=0)
    try:
        assert p.stdout.readline() == b"ready\n"
        yield
    finally:
        p.kill()
        p.wait()
        p.stdout.close()


@pytest.mark.sanitize
def test_port_of_a_program_on_the_host(host):
    """Its packets would silently go to the sandbox: refused, and the program is named."""
    conf = network("routed")
    a = host.add(conf, cid="box")

    def refused(*mappings):
        reply, _ = host.try_add(dict(conf, runtimeConfig={"portMappings": list(mappings)}))
        reply.expect_error(103, "in use on the host by", str(mappings[0]["hostPort"]))
        return reply.sentence
    with listening(host, "tcp", "0.0.0.0", 8080):
        assert "uid 0" in refused(mapping(8080))
        refused(mapping(8080, hostIP=NODE4))
        publish(host, conf, mapping(8080, hostIP="::"), mapping(8080, protocol="udp")).delete().expect_ok()
        p = host.ctl("port", "add", "box", "8080")
        assert p.returncode != 0 and "in use on the host" in p.stderr
    with listening(host, "tcp", "0.0.0.0", 8080, user="netmgr"):
        assert "python3 (" in refused(mapping(8080)) or "user netmgr" in refused(mapping(8080))
    with listening(host, "tcp", "::", 8080):  # both families
        refused(mapping(8080, hostIP="0.0.0.0"))
    with listening(host, "tcp", "::", 8080, "v6only"):
        refused(mapping(8080, hostIP="::"))
        publish(host, conf, mapping(8080, hostIP="0.0.0.0")).delete().expect_ok()
    with listening(host, "udp", "127.0.0.1", 5353):
        refused(mapping(5353, 53, "udp"))
        publish(host, conf, mapping(5353, 53, "udp", hostIP=NODE4)).delete().expect_ok()
    with listening(host, "udp", NODE4, 5353, "connected"):
        publish(host, conf, mapping(5353, 53, "udp")).delete().expect_ok()
    assert a.live


@BOTH
def test_snat_off(host, kind):
    a = publish(host, network(kind, snat=False), mapping(8080))
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80)):
        assert ask(host, outside, "tcp", HOST4, 8080) == ("web", OUT4)
        assert ask(host, None, "tcp", "127.0.0.1", 8080, 1) is None
        assert ask(host, a.pod, "tcp", HOST4, 8080, 1) is None


@BOTH
def test_masq_all(host, kind):
    a = publish(host, network(kind, masqAll=True, markMasqBit=13), mapping(8080))
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80)):
        for family in (4, 6):
            assert ask(host, outside, "tcp", HOST[family], 8080) == ("web", NODE[family])


@BOTH
def test_conditions(host, kind):
    """Host ports of a network with conditions exist for whom they hold; those of others are not touched."""
    a = publish(host, network(kind, conditionsV4=["!", "-s", f"{OUT4}/32"], conditionsV6=[f"ip6 saddr {OUT6}"]),
                mapping(8080))
    b = publish(host, routed("free", "10.98.0.0/24", "fd98::/64"), mapping(8081))
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80)), servers(host, b.pod, ("tcp", 80), name="free"):
        assert ask(host, outside, "tcp", HOST4, 8080, 1) is None
        assert ask(host, outside, "tcp", HOST6, 8080) == ("web", OUT6)
        assert ask(host, None, "tcp", HOST4, 8080)[0] == "web"
        assert ask(host, None, "tcp", HOST6, 8080, 1) is None
        assert ask(host, outside, "tcp", HOST4, 8081) == ("free", OUT4)
        check_listing(host)


def test_many_ports_in_one_add(host):
    a = publish(host, network("routed"), *(mapping(8000 + k, 80) for k in range(32)))
    with servers(host, a.pod, ("tcp", 80)):
        for k in (0, 17, 31):
            assert ask(host, None, "tcp", NODE4, 8000 + k)[0] == "web"
    assert len(elements(host, "netmgr_nat", "host4")) == 32 == len(elements(host, "netmgr_nat", "host6"))


KEEPS_SENDING = """
import socket, sys, time
s = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], int(sys.argv[2])))
s.settimeout(0.02)
last = None
while True:
    try:
        s.send(b"x")
        name = s.recv(100).decode().split()[0]
    except OSError:
        continue
    if name != last:
        print(name, flush=True)
        last = name
"""


@BOTH
@pytest.mark.parametrize("family", [4, 6])
def test_udp_flow_follows_the_port(host, kind, family):
    """One socket that never stops sending: its flow must not stay with whom the port was first."""
    import select
    import subprocess
    conf = network(kind)
    a, b = publish(host, conf, mapping(5353, 53, "udp")), host.add(conf, cid="second")
    with Outside(host) as outside, servers(host, a.pod, ("udp", 53), name="A"), \
            servers(host, b.pod, ("udp", 53), name="B"):
        client = host.popen(["/usr/bin/python3", "-c", KEEPS_SENDING, HOST[family], "5353"], netns=outside,
                            stdout=subprocess.PIPE, bufsize=0)

        def says(name):
            ready, _, _ = select.select([client.stdout], [], [], 30)
            assert ready and client.stdout.readline().decode().strip() == name, name
        try:
            says("A")
            a.delete().expect_ok()
            host.ctl("port", "add", "second", "5353:53/udp", check=True)
            says("B")
            host.ctl("port", "remove", "second", "5353/udp", check=True)
            c = publish(host, conf, mapping(5353, 53, "udp"))
            with servers(host, c.pod, ("udp", 53), name="C"):
                says("C")
        finally:
            client.kill()
            client.wait()
            client.stdout.close()


@BOTH
@pytest.mark.sanitize
def test_ports_of_a_running_sandbox(host, kind):
    a = host.add(network(kind), cid="box")
    with Outside(host) as outside, servers(host, a.pod, ("tcp", 80)):
        assert ask(host, outside, "tcp", HOST4, 8080, 1) is None
        host.ctl("port", "add", "box", "8080:80", check=True)
        for family in (4, 6):
            assert ask(host, outside, "tcp", HOST[family], 8080) == ("web", OUT[family])
        assert ask(host, None, "tcp", "127.0.0.1", 8080)[0] == "web"
        assert ask(host, a.pod, "tcp", HOST4, 8080)[0] == "web"
        a.check().expect_ok()
        host.ctl("port", "remove", "box", "8080", check=True)
        assert ask(host, outside, "tcp", HOST4, 8080, 1) is None
        a.check().expect_ok()


@BOTH
def test_loopback_stays_private(host, kind):
    """CVE-2020-8558: route_localnet is on, and still nobody but the host reaches its 127.0.0.1."""
    a = publish(host, network(kind), mapping(8080))
    port_end = "nmb-ports" if kind == "bridge" else a.host_ifname
    assert host.run(["cat", f"/proc/sys/net/ipv4/conf/{port_end}/route_localnet"]).stdout.strip() == "1"
    host_mac = bytes.fromhex(host.link(port_end)["address"].replace(":", ""))
    pod_mac = bytes.fromhex(a.pod.link("eth0")["address"].replace(":", ""))
    source = next(x for x in a.ips if ":" not in x)

    def udp(to, mark):
        payload = struct.pack("!HHHH", 4000, 7777, 8 + len(mark), 0) + mark
        head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0, 0, 64, 17, 0)
        head += socket.inet_aton(source) + socket.inet_aton(to)
        total = sum(struct.unpack("!10H", head))
        total = (total & 0xffff) + (total >> 16)
        checksum = ~((total & 0xffff) + (total >> 16)) & 0xffff
        return host_mac + pod_mac + b"\x08\x00" + head[:10] + struct.pack("!H", checksum) + head[12:] + payload

    listen = ("import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 7777));"
              "print('ready', flush=True); print(s.recv(100).decode(), flush=True)")
    import subprocess
    server = host.popen(["/usr/bin/python3", "-c", listen], stdout=subprocess.PIPE, bufsize=0)
    try:
        assert server.stdout.readline() == b"ready\n"
        # what is meant for the host's own address arrives, what came before it did not
        gateway = "10.97.0.1" if kind == "bridge" else NODE4
        send_frames(host, a.pod, "eth0", udp("127.0.0.1", b"private"), udp("127.0.0.9", b"private"),
                    udp(gateway, b"public"))
        assert server.stdout.readline() == b"public\n"
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1 2001:db8::1\n[Nftables]\nOwner=no\n")
def test_plain_tables_can_be_saved_and_read_back(host):
    publish(host, network("bridge", ipMasq=True, ipMasqExclude=["10.0.0.0/8"], conditionsV4=["-i", "up0"],
                          shaping={"ingressRate": 10**7, "egressRate": 10**7}), mapping(8080), mapping(53, 53, "udp"))
    publish(host, routed("second", "10.98.0.0/24", "fd98::/64", ipMasq=True), mapping(8081, hostIP=NODE4))
    check_listing(host)
    text = host.run(["nft", "list", "ruleset"]).stdout
    assert "flags owner" not in text and "network=second sandbox=" in text
    pod = host.pod()
    p = host.run(["nft", "-c", "-f", "-"], netns=pod, input=text, check=False)
    assert (p.returncode, p.stderr) == (0, "")
    assert "nftables-plain" in host.ctl("status", check=True).stdout


@pytest.mark.vm("owned-tables")
def test_tables_belong_to_netmgrd(host):
    a = publish(host, network("routed"), mapping(8080))
    before = ruleset(host)
    for argv in (["add", "chain", "inet", "netmgr_nat", "mine"], ["delete", "table", "inet", "netmgr_np"],
                 ["flush", "table", "inet", "netmgr_nat"]):
        assert host.run(["nft", *argv], check=False).returncode != 0
    host.run(["nft", "flush", "ruleset"])
    with servers(host, a.pod, ("tcp", 80)):
        assert ask(host, None, "tcp", NODE4, 8080)[0] == "web"
    assert len(ruleset(host)) == len(before)


@pytest.mark.vm("owned-tables")
def test_reload_changes_ownership_and_node_address(host):
    a = publish(host, network("routed", masqAll=True), mapping(8080))
    conf = f"{host.config_dir}/netmgr.conf"
    with servers(host, a.pod, ("tcp", 80)):
        assert "flags owner" in host.run(["nft", "list", "ruleset"]).stdout
        host.ip("addr", "add", "192.0.2.5/32", "dev", "lo")
        with open(conf, "w") as f:
            f.write("[Host]\nNodeAddress=192.0.2.5\n[Nftables]\nOwner=no\n")
        host.ctl("reload", check=True)
        settle(lambda: "flags owner" not in host.run(["nft", "list", "ruleset"]).stdout, "plain tables")
        settle(lambda: ask(host, None, "tcp", NODE4, 8080) == ("web", "192.0.2.5"), "the new node address")
        with open(conf, "w") as f:
            f.write("[Host]\nNodeAddress=192.0.2.1 2001:db8::1\n")
        host.ctl("reload", check=True)
        settle(lambda: "flags owner" in host.run(["nft", "list", "ruleset"]).stdout, "owned again")
        settle(lambda: ask(host, None, "tcp", NODE4, 8080) == ("web", NODE4), "the old node address")
    host.ip("addr", "del", "192.0.2.5/32", "dev", "lo")


@BOTH
@pytest.mark.parametrize("conf", ["", "[Nftables]\nOwner=no\n"], ids=["owner", "plain"])
def test_flush_while_dead(kind, conf):
    """kill -9, then everything is flushed by somebody else: the next start builds it anew."""
    from netmgr_host import Host
    with Host(conf="[Host]\nNodeAddress=192.0.2.1 2001:db8::1\n" + conf) as host:
        a = publish(host, network(kind), mapping(8080))
        host.run(["nft", "add", "table", "inet", "foreign"])
        with servers(host, a.pod, ("tcp", 80)):
            assert ask(host, None, "tcp", NODE4, 8080)[0] == "web"
            host.netmgrd.kill()
            assert ask(host, None, "tcp", NODE4, 8080)[0] == "web"  # the tables outlive the daemon
            host.run(["nft", "flush", "ruleset"])
            assert ask(host, None, "tcp", NODE4, 8080, 1) is None
            host.netmgrd.start()
            assert ask(host, None, "tcp", NODE4, 8080)[0] == "web"
            assert ask(host, None, "tcp", "127.0.0.1", 8080)[0] == "web"
        host.finish()


def test_flush_of_plain_tables_is_found_by_the_next_add():
    """What a foreign flush took comes back with the next change, in the same transaction."""
    from netmgr_host import Host
    with Host(conf="[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner=no\n") as host:
        a = publish(host, network("routed"), mapping(8080))
        host.run(["nft", "flush", "ruleset"])
        b = host.add(network("routed"))
        with servers(host, a.pod, ("tcp", 80)):
            assert ask(host, b.pod, "tcp", NODE4, 8080)[0] == "web"
        host.run(["nft", "delete", "table", "inet", "netmgr_nat"])
        a.delete().expect_ok()
        settle(lambda: not elements(host, "netmgr_nat", "host4"), "the port is gone")
        host.finish()
