# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input: every case is refused with the field's code and a sentence that names key and value, and
neither kernel nor ledger is any different afterwards."""
import json
import os
import signal

import pytest
from netmgr_host import RUNTIME, bridge, netconf, routed, settle

IPAM = {"type": "local", "subnet": "10.97.0.0/24"}


def base(**keys):
    return {"cniVersion": "1.0.0", "name": "net1", "type": "netmgr", "ipam": dict(IPAM), **keys}


def with_ipam(**keys):
    return base(ipam={"type": "local", **keys})


def with_range(**keys):
    return base(ipam={"type": "local", "ranges": [[keys]]})


GOOD = json.dumps(base())
DECODE = (6, 7)

STDIN = {
    # malformed and truncated
    "empty": ("", (5, 6), []),
    "blank": ("  \n", (5, 6), []),
    "no JSON": ("hello", 6, []),
    "binary": (b"\x00\xff\xfe\x01" * 16, 6, []),
    "not UTF-8": (GOOD.replace("net1", "net\udcff").encode("utf-8", "surrogateescape"), DECODE, []),
    "NUL inside": (GOOD.encode() + b"\0" + GOOD.encode(), 6, []),
    "NUL in a string": (GOOD.replace("net1", "ne\\u0000t1"), DECODE, []),
    "something after the object": (GOOD + "{}", 6, []),
    "array": ("[]", DECODE, []),
    "string": ('"x"', DECODE, []),
    "number": ("7", DECODE, []),
    "single quotes": (GOOD.replace('"', "'"), 6, []),
    "comment": ("/* x */" + GOOD, 6, []),
    "trailing comma": (GOOD[:-1] + ",}", 6, []),
    "NaN": (GOOD.replace('"net1"', "NaN"), DECODE, []),
    # huge and deep
    "huge": (json.dumps(base(args={"x": "y" * (2 << 20)})), (5, 6, 7), []),
    "huge without end": (b"[" + b"1," * (2 << 20), (5, 6, 7), []),
    "deep": ("[" * 100000, DECODE, []),
    "deep in args": (GOOD[:-1] + ',"args":' + '{"a":' * 5000 + "1" + "}" * 5000 + "}", DECODE, []),
    "many range sets": (json.dumps(base(ipam={"type": "local", "ranges": [
        [{"subnet": f"10.{i // 256}.{i % 256}.0/24"}] for i in range(5000)]})), DECODE, ["ranges"]),
    # wrong types
    "name is a number": (base(name=5), DECODE, ["name", "5"]),
    "type is a list": (base(type=["netmgr"]), DECODE, ["type"]),
    "ipam is a string": (base(ipam="local"), DECODE, ["ipam", "local"]),
    "ranges is an object": (with_ipam(ranges={}), DECODE, ["ranges"]),
    "a range is a string": (with_ipam(ranges=[["10.97.0.0/24"]]), DECODE, ["10.97.0.0/24"]),
    "subnet is a number": (with_ipam(subnet=10), DECODE, ["subnet", "10"]),
    "mtu is a string": (base(mtu="1400"), DECODE, ["mtu", "1400"]),
    "mtu is a fraction": (base(mtu=1400.5), DECODE, ["mtu", "1400.5"]),
    "isGateway is a string": ({**bridge(), "isGateway": "yes"}, DECODE, ["isGateway", "yes"]),
    "routes holds a string": (with_ipam(subnet="10.97.0.0/24", routes=["0.0.0.0/0"]), DECODE, ["0.0.0.0/0"]),
    "dns is a list": (base(dns=["192.0.2.53"]), DECODE, ["dns"]),
    "runtimeConfig is a list": (base(runtimeConfig=[1]), DECODE, ["runtimeConfig"]),
    "requested ip is a number": (base(runtimeConfig={"ips": [5]}), DECODE, ["ips", "5"]),
    "prevResult is a string": (base(prevResult="x"), DECODE, ["prevResult"]),
    # versions
    "unknown version": (base(cniVersion="1.2.0"), 1, ["1.2.0"]),
    "version that is none": (base(cniVersion="one"), 1, ["one"]),
    # names and values
    "network name": (base(name="a b"), 7, ["name", "a b"]),
    "network name with a dot first": (base(name=".."), 7, ["name", ".."]),
    "network name too long": (base(name="n" * 1000), 7, ["name"]),
    "kind": (base(kind="carrier-pigeon"), (2, 7), ["kind", "carrier-pigeon"]),
    "bridge name": (bridge(bridge="a/b"), 7, ["bridge", "a/b"]),
    "bridge name too long": (bridge(bridge="abcdefghijklmnop"), 7, ["bridge", "abcdefghijklmnop"]),
    "mtu negative": (base(mtu=-1), 7, ["mtu", "-1"]),
    "mtu too small": (base(mtu=10), 7, ["mtu", "10"]),
    "mtu too large": (base(mtu=1 << 40), DECODE, ["mtu"]),
    "hairpin and promiscuous": (bridge(hairpinMode=True, promiscMode=True), (2, 7), ["hairpinMode", "promiscMode"]),
    "vlan too large": (bridge(vlan=4095), 7, ["vlan", "4095"]),
    "vlan and vlanTrunk": (bridge(vlan=7, vlanTrunk=[{"id": 8}]), 7, ["vlan", "7", "vlanTrunk"]),
    "unknown key": (base(colour="blue"), 2, ["colour", "blue"]),
    "unknown key in ipam": (with_ipam(subnet="10.97.0.0/24", colour="blue"), 2, ["colour", "blue"]),
    "key of another kind": (base(hairpinMode=True), (2, 7), ["hairpinMode"]),
    "ipam with a path": (base(ipam={"type": "../somewhere"}), 7, ["ipam.type", "../somewhere"]),
    "no subnet at all": (base(ipam={"type": "local"}), 7, ["ipam"]),
    "named network that is not there": ({"cniVersion": "1.0.0", "name": "net1", "type": "netmgr",
                                         "network": "nowhere"}, 7, ["network", "nowhere"]),
    "named network with a path": ({"cniVersion": "1.0.0", "name": "net1", "type": "netmgr",
                                   "network": "../secret"}, 7, ["network", "../secret"]),
    # ranges
    "subnet without length": (with_ipam(subnet="10.97.0.0"), 7, ["subnet", "10.97.0.0"]),
    "subnet with host bits": (with_ipam(subnet="10.97.0.1/24"), 7, ["subnet", "10.97.0.1/24"]),
    "subnet of 33 bits": (with_ipam(subnet="10.97.0.0/33"), 7, ["subnet", "10.97.0.0/33"]),
    "subnet with a sign": (with_ipam(subnet="10.97.0.0/+24"), 7, ["subnet", "10.97.0.0/+24"]),
    "subnet too small": (with_ipam(subnet="10.97.0.0/31"), 7, ["subnet", "10.97.0.0/31"]),
    "subnet too small v6": (with_ipam(subnet="fd97::/127"), 7, ["subnet", "fd97::/127"]),
    "subnet with octal digits": (with_ipam(subnet="010.97.0.0/24"), 7, ["subnet", "010.97.0.0/24"]),
    "start outside": (with_range(subnet="10.97.0.0/24", rangeStart="10.98.0.1"), 7, ["rangeStart", "10.98.0.1"]),
    "end outside": (with_range(subnet="10.97.0.0/24", rangeEnd="10.98.0.1"), 7, ["rangeEnd", "10.98.0.1"]),
    "start after end": (with_range(subnet="10.97.0.0/24", rangeStart="10.97.0.9", rangeEnd="10.97.0.8"), 7,
                        ["rangeStart", "10.97.0.9"]),
    "start of the other family": (with_range(subnet="10.97.0.0/24", rangeStart="fd97::1"), 7, ["fd97::1"]),
    "gateway of the other family": (with_range(subnet="10.97.0.0/24", gateway="fd97::1"), 7, ["gateway", "fd97::1"]),
    "gateway that is no address": (with_range(subnet="10.97.0.0/24", gateway="router"), 7, ["gateway", "router"]),
    "two families in one set": (base(ipam={"type": "local", "ranges": [[{"subnet": "10.97.0.0/24"},
                                                                        {"subnet": "fd97::/64"}]]}), 7, ["fd97::/64"]),
    "an empty set": (base(ipam={"type": "local", "ranges": [[]]}), 7, ["ranges"]),
    "exclude that is none": (with_range(subnet="10.97.0.0/24", exclude=["all"]), 7, ["exclude", "all"]),
    "everything excluded": (with_range(subnet="10.97.0.0/24", exclude=["10.97.0.0/24"]), (7, 101), ["10.97.0.0"]),
    "overlap": (base(ipam={"type": "local", "ranges": [[{"subnet": "10.97.0.0/24"}],
                                                       [{"subnet": "10.97.0.0/25"}]]}), 7, ["10.97.0.0/25"]),
    "multicast": (with_ipam(subnet="224.0.0.0/24"), 7, ["224.0.0.0/24"]),
    "loopback": (with_ipam(subnet="127.0.0.0/8"), 7, ["127.0.0.0/8"]),
    # routes, dns, requests
    "route without dst": (with_ipam(subnet="10.97.0.0/24", routes=[{"gw": "10.97.0.1"}]), 7, ["dst"]),
    "route dst": (with_ipam(subnet="10.97.0.0/24", routes=[{"dst": "everywhere"}]), 7, ["dst", "everywhere"]),
    "route gw": (with_ipam(subnet="10.97.0.0/24", routes=[{"dst": "0.0.0.0/0", "gw": "fd97::1"}]), 7,
                 ["gw", "fd97::1"]),
    "requested ip": (base(runtimeConfig={"ips": ["10.97.0.999"]}), 7, ["ips", "10.97.0.999"]),
    "requested ip in args": (base(args={"cni": {"ips": ["x"]}}), 7, ["ips", "x"]),
    "runtime range": (base(runtimeConfig={"ipRanges": [[{"subnet": "10.97.0.1/24"}]]}), 7, ["10.97.0.1/24"]),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("case", STDIN)
def test_stdin(host, case):
    conf, code, words = STDIN[case]
    pod = host.pod()
    with host.unchanged():
        host.cni("ADD", conf, "c1", "eth0", pod.path).expect_error(code, *words)
        assert pod.link("eth0") is None
    assert host.netmgrd.running


def test_truncated_at_every_byte(host):
    """A cut configuration is never taken for a shorter one."""
    text = json.dumps(base(ipam=IPAM))
    pod = host.pod()
    with host.unchanged():
        replies = host.parallel(len(text), lambda i: host.cni("ADD", text[:i], "c1", "eth0", pod.path))
        for reply in replies:
            reply.expect_error((5, 6))


ARGS = {
    "no equals sign": ("IP", (4, 7), ["IP"]),
    "two equals signs": ("IP=a=b", (4, 7), ["IP=a=b"]),
    "unknown key": ("Colour=blue", (2, 4, 7), ["Colour"]),
    "no address": ("IP=there", (4, 7), ["IP", "there"]),
    "IgnoreUnknown is a word": ("IgnoreUnknown=perhaps;Colour=blue", (2, 4, 7), ["IgnoreUnknown"]),
    "too many": (";".join(f"K{i}=1" for i in range(500)) + ";IgnoreUnknown=1", (4, 7), []),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("case", ARGS)
def test_cni_args(host, case):
    args, code, words = ARGS[case]
    pod = host.pod()
    with host.unchanged():
        host.cni("ADD", base(), "c1", "eth0", pod.path, args).expect_error(code, *words)


# --- namespaces ----------------------------------------------------------------------------------

NETNS = {
    "missing": ("/run/netns/never-was", None, (3, 4, 7)),
    "plain file": ("/run/plain", "echo x > /run/plain", (3, 4, 7)),
    "directory": ("/run/netns", None, (3, 4, 7)),
    "fifo": ("/run/fifo", "mkfifo /run/fifo", (3, 4, 7)),
    "socket": ("/run/netmgr/runtime.sock", None, (3, 4, 7)),
    "another sort of namespace": ("/proc/self/ns/mnt", None, (3, 4, 7)),
    "dangling link": ("/run/dangling", "ln -s /run/nowhere /run/dangling", (3, 4, 7)),
    "device": ("/dev/null", None, (3, 4, 7)),
    "relative": ("netns/pod1", None, (3, 4, 7)),
    "too long": ("/" + "x" * 5000, None, (3, 4, 7)),
    "the host's own": ("/proc/self/ns/net", None, (8,)),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("case", NETNS)
def test_netns(host, case):
    path, setup, code = NETNS[case]
    if setup:
        host.run(["sh", "-c", setup])
    with host.unchanged():
        reply = host.cni("ADD", base(), "c1", "eth0", path).expect_error(code)
        assert path[:200] in reply.sentence or "CNI_NETNS" in reply.sentence
    if code != (8,):  # what is no namespace is gone, and DEL succeeds
        host.cni("DEL", base(), "c1", "eth0", path).expect_ok()


# --- ADD again -----------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_second_add(host, kind):
    conf = routed("net1") if kind == "routed" else bridge("net1")
    a = host.add(conf)
    with host.unchanged():
        host.try_add(conf, a.pod)[0].expect_error(100, a.cid, "eth0")
        host.try_add(routed("net9", "10.97.9.0/24"), a.pod)[0].expect_error(100, "eth0")
        host.try_add(conf, a.pod, cid="somebody-else")[0].expect_error(100, "eth0")
    a.check().expect_ok()


def test_interface_name_in_use(host):
    pod = host.pod()
    pod.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "x0"])
    with host.unchanged():
        host.try_add(base(), pod)[0].expect_error(100, "eth0")
    assert pod.link("eth0") and pod.link("x0")


def test_two_adds_of_one_key_at_once(host):
    """One wins, one is refused; nobody cleans up what belongs to the other."""
    for _ in range(5):
        pod = host.pod()
        replies = host.parallel(2, lambda i: host.cni("ADD", base(), pod.name, "eth0", pod.path))
        assert sorted(r.ok for r in replies) == [False, True]
        [r for r in replies if not r.ok][0].expect_error({11, 100})
        assert pod.link("eth0")
        host.cni("CHECK", {**base(), "prevResult": [r for r in replies if r.ok][0].json}, pod.name, "eth0",
                 pod.path).expect_ok()
        host.cni("DEL", base(), pod.name, "eth0", pod.path).expect_ok()


def test_ranges_that_differ_from_those_in_use(host):
    """The same network's name with other ranges, while somebody is attached: refused, or served without
    giving any address twice; never mixed up."""
    a = host.add(routed("net1", "10.97.0.0/24"))
    reply, b = host.try_add(routed("net1", "10.97.5.0/24"))
    if b is None:
        reply.expect_error({7, 104}, "net1")
    else:
        assert b.ips[0].startswith("10.97.5.")
    a.check().expect_ok()


# --- D-Bus ---------------------------------------------------------------------------------------

def dbus_error(connection, method, signature, args, destination=None, interface=RUNTIME):
    import dbus
    with pytest.raises(dbus.DBusException) as refused:
        connection.call_blocking(destination, "/org/netmgr1", interface, method, signature, args, timeout=30)
    return refused.value.get_dbus_name(), refused.value.get_dbus_message()


def options(**keys):
    import dbus
    return [dbus.Dictionary(keys, signature="sv")]


@pytest.fixture(params=["private socket", "bus"])
def caller(host, request):
    """(connection, destination): both ways to the Runtime interface"""
    connection = host.private() if request.param == "private socket" else host.bus()
    yield connection, None if request.param == "private socket" else "org.netmgr1"
    connection.close()


@pytest.mark.sanitize
def test_dbus_wrong_signatures(host, caller):
    connection, destination = caller
    with host.unchanged():
        for method in ("Add", "Del", "Check", "CollectGarbage", "Status", "Synchronize"):
            for signature, args in (("", []), ("s", ["x"]), ("a{ss}", [{"a": "b"}]), ("u", [1]), ("as", [["a"]])):
                name, sentence = dbus_error(connection, method, signature, args, destination)
                assert name == "org.freedesktop.DBus.Error.InvalidArgs" and sentence
        name, _ = dbus_error(connection, "Fly", "", [], destination)
        assert name == "org.freedesktop.DBus.Error.UnknownMethod"


@pytest.mark.sanitize
def test_dbus_wrong_options(host, caller):
    import dbus
    connection, destination = caller
    pod = host.pod()
    good = {"Type": "netmgr", "ContainerId": "c1", "IfName": "eth0", "NetnsPath": pod.path, "Args": "",
            "Path": "/none", "Config": GOOD}

    def refused(error, *words, drop=(), fds=True, **changes):
        keys = {k: v for k, v in {**good, **changes}.items() if k not in drop}
        opened = []
        try:
            if fds:
                opened = [os.open(pod.outside, os.O_RDONLY), host.netns_fd()]
                keys.setdefault("Netns", dbus.types.UnixFd(opened[0]))
                keys.setdefault("HostNetns", dbus.types.UnixFd(opened[1]))
            keys = {k: v for k, v in keys.items() if k not in drop}
            name, sentence = dbus_error(connection, "Add", "a{sv}", options(**keys), destination)
        finally:
            for fd in opened:
                os.close(fd)
        assert name == "org.netmgr1.Error." + error, (name, sentence)
        for word in words:
            assert word in sentence, sentence

    with host.unchanged():
        refused("UnknownOption", "Colour", Colour="blue")
        for key in ("Type", "ContainerId", "IfName", "Config"):
            refused("InvalidArgument", key, drop=(key,))
            refused("InvalidArgument", key, **{key: dbus.UInt32(5)})
            refused("InvalidArgument", key, **{key: dbus.Array(["x"], signature="s")})
        for value in ("../x", "", "a/b", "x" * 300):
            refused("InvalidArgument", "ContainerId", ContainerId=value)
        for value in ("..", "", "a/b", "abcdefghijklmnop"):
            refused("InvalidArgument", "IfName", IfName=value)
        refused("InvalidArgument", "Netns", Netns="/run/netns/x")
        refused("InvalidArgument", "Netns", drop=("Netns",))
        refused("Decode", Config="{")


@pytest.mark.sanitize
def test_dbus_wrong_descriptors(host, caller):
    """A descriptor of something that is no namespace, of the host's own, and the caller's that is not ours"""
    import dbus
    connection, destination = caller
    pod, elsewhere = host.pod(), host.pod()
    good = {"Type": "netmgr", "ContainerId": "c1", "IfName": "eth0", "NetnsPath": pod.path, "Config": GOOD}
    host.run(["sh", "-c", "echo x > /run/plain"])
    root = f"/proc/{host.holder.pid}/root"
    cases = [("InvalidArgument", root + "/run/plain", None), ("InvalidArgument", root + "/run", None),
             ("InvalidArgument", "/dev/null", None), ("InvalidArgument", f"/proc/{host.holder.pid}/ns/mnt", None),
             ("WrongNamespace", f"/proc/{host.holder.pid}/ns/net", None),
             ("WrongNamespace", pod.outside, elsewhere.outside), ("WrongNamespace", pod.outside, "/proc/self/ns/net"),
             ("InvalidArgument", pod.outside, root + "/run/plain")]
    with host.unchanged():
        for error, netns, own in cases:
            fds = [os.open(netns, os.O_RDONLY), os.open(own, os.O_RDONLY) if own else host.netns_fd()]
            try:
                name, sentence = dbus_error(connection, "Add", "a{sv}", options(
                    **good, Netns=dbus.types.UnixFd(fds[0]), HostNetns=dbus.types.UnixFd(fds[1])), destination)
            finally:
                for fd in fds:
                    os.close(fd)
            assert name in ("org.netmgr1.Error." + error, "org.netmgr1.Error.WrongNamespace"), (netns, name, sentence)
            assert sentence


def test_dbus_descriptor_is_enough(host, caller):
    """The path is only text: with the right descriptors a wrong path does no harm."""
    import dbus
    connection, destination = caller
    pod = host.pod()
    fds = [os.open(pod.outside, os.O_RDONLY), host.netns_fd()]
    try:
        result = connection.call_blocking(destination, "/org/netmgr1", RUNTIME, "Add", "a{sv}", options(
            Type="netmgr", ContainerId="c1", IfName="eth0", NetnsPath="/some/where/else", Args="", Path="",
            Config=GOOD, Netns=dbus.types.UnixFd(fds[0]), HostNetns=dbus.types.UnixFd(fds[1])))
    finally:
        for fd in fds:
            os.close(fd)
    assert json.loads(result)["interfaces"][1]["sandbox"] == "/some/where/else"
    assert pod.link("eth0")
    host.cni("DEL", base(), "c1", "eth0", pod.path).expect_ok()


@pytest.mark.sanitize
def test_client_that_vanishes_in_the_middle_of_a_call(host):
    """The plugin is killed (a runtime's timeout), the connection breaks: nothing half-made stays."""
    import dbus
    import dbus.lowlevel
    pods = host.make_pods(12)
    for i, pod in enumerate(pods):
        connection = host.private()
        fds = [os.open(pod.outside, os.O_RDONLY), host.netns_fd()]
        call = dbus.lowlevel.MethodCallMessage(None, "/org/netmgr1", RUNTIME, "Add")
        call.append(options(Type="netmgr", ContainerId=pod.name, IfName="eth0", NetnsPath=pod.path, Config=GOOD,
                            Netns=dbus.types.UnixFd(fds[0]), HostNetns=dbus.types.UnixFd(fds[1]))[0],
                    signature="a{sv}")
        connection.send_message(call)
        connection.flush()
        connection.close()
        for fd in fds:
            os.close(fd)
    settle(lambda: {s for _, _, _, s in host.ledger()["attachment"]} <= {"up"}, "every call has come to an end")
    for pod in pods:
        host.cni("DEL", base(), pod.name, "eth0", pod.path).expect_ok()
    assert host.held() == {}
    assert host.netmgrd.running


@pytest.mark.sanitize
def test_plugin_that_is_killed(host):
    pods = host.make_pods(16)
    conf = json.dumps(base()).encode()
    for i, pod in enumerate(pods):
        p = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pod.name, "eth0", pod.path),
                       stdin=-1, stdout=-1, stderr=-1)
        p.stdin.write(conf)
        p.stdin.close()
        if i % 2:
            # as late as can be told from outside: the row is there
            settle(lambda: p.poll() is not None or any(r["sandbox"] == pod.name for r in
                                                       host.sql("SELECT sandbox FROM attachment")), "the row")
        p.send_signal(signal.SIGKILL)
        p.stdout.read()
        p.stderr.read()
        p.wait()
    for pod in pods:  # the runtime's DEL after its failed ADD
        host.cni("DEL", base(), pod.name, "eth0", pod.path).expect_ok()
    settle(lambda: host.held() == {} and host.ledger()["attachment"] == [], "nothing is left of killed plugins")


@pytest.mark.sanitize
def test_garbage_on_the_private_socket(host):
    import socket
    path = f"/proc/{host.holder.pid}/root/run/netmgr/runtime.sock"
    with host.unchanged():
        for data in (b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"\0AUTH EXTERNAL 30\r\n", os.urandom(5000),
                     b"\0AUTH EXTERNAL\r\nDATA\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n" + b"l\1\0\1" + b"\xff" * 60,
                     b"\0" + b"A" * 200000):
            with socket.socket(socket.AF_UNIX) as s:
                s.connect(path)
                try:
                    s.sendall(data)
                except (BrokenPipeError, ConnectionResetError):
                    pass
        held_open = [socket.socket(socket.AF_UNIX) for _ in range(50)]
        for s in held_open:
            s.connect(path)
        a = host.add(base())  # silent clients keep nobody out
        a.delete().expect_ok()
        for s in held_open:
            s.close()
    assert host.netmgrd.running


# --- netmgr.conf ---------------------------------------------------------------------------------

@pytest.mark.parametrize("text, word", [
    ("[Manager]\nWorkers=many\n", "many"), ("[Manager]\nColour=blue\n", "Colour"), ("[Nonsense]\nA=1\n", "Nonsense"),
    ("[Addresses]\nCooldownSec=-5\n", "CooldownSec"), ("[Host]\nNodeAddress=here\n", "here"),
    ("Workers\n", "Workers"), ("[Manager\n", "Manager"),
])
def test_netmgr_conf(host, text, word):
    """A mistake in netmgr.conf is told by name: the daemon says it, and does not act on a guess."""
    host.netmgrd.stop()
    with open(f"{host.config_dir}/netmgr.conf", "w") as f:
        f.write(text)
    before = len(host.netmgrd.text())
    try:
        host.netmgrd.start()
    except AssertionError:
        pass
    said = host.netmgrd.text()[before:]
    assert word in said and "netmgr.conf" in said
    host.netmgrd.stop()
    os.unlink(f"{host.config_dir}/netmgr.conf")
    host.netmgrd.start()


def test_overlap_of_two_networks_files(host):
    for name, subnet in (("one", "10.97.0.0/24"), ("two", "10.97.0.0/16")):
        with open(f"{host.networks_dir}/{name}.conflist", "w") as f:
            plugin = netconf(name, subnet)
            del plugin["name"], plugin["cniVersion"]
            json.dump({"cniVersion": "1.0.0", "name": name, "plugins": [plugin]}, f)
    host.manager("Reload")
    a = host.add({"cniVersion": "1.0.0", "name": "one", "type": "netmgr", "network": "one"})
    reply, b = host.try_add({"cniVersion": "1.0.0", "name": "two", "type": "netmgr", "network": "two"})
    if b is None:
        reply.expect_error({7, 101, 102, 104})
    else:
        assert a.ips != b.ips
    for name in ("one", "two"):
        os.unlink(f"{host.networks_dir}/{name}.conflist")
