# SPDX-License-Identifier: LGPL-2.1-or-later
"""One privilege each: what netmgrd and nsd may do, and who may talk to them."""
import os
import socket

import pytest
from netmgr_host import MANAGER, ROOT, RUNTIME, bridge, routed

NET_ADMIN, NET_RAW, SYS_ADMIN = 1 << 12, 1 << 13, 1 << 21
DENIED = "org.freedesktop.DBus.Error.AccessDenied"


def capabilities(daemon):
    status = daemon.status()
    return {k: int(status[k], 16) for k in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


@pytest.mark.sanitize
def test_an_ordinary_user_with_net_admin_alone_attaches(host):
    status = host.netmgrd.status()
    assert status["Uid"].split() == [str(host.uid)] * 4 and host.uid != 0
    assert status["Gid"].split() == [str(host.gid)] * 4
    assert status["Groups"].strip() == ""
    assert set(capabilities(host.netmgrd).values()) == {NET_ADMIN}
    assert status["NoNewPrivs"] == "1"
    for conf in (routed("net1", "10.97.0.0/24", "fd97::/64"), bridge()):
        a = host.add(conf)
        host.wait_ping(a.ips[0])
    assert set(capabilities(host.netmgrd).values()) == {NET_ADMIN}


def test_nsd_is_root_with_a_small_bounding_set(host):
    status = host.nsd.status()
    assert status["Uid"].split() == ["0"] * 4
    found = capabilities(host.nsd)
    assert found["CapBnd"] == found["CapPrm"] == NET_ADMIN | NET_RAW | SYS_ADMIN
    assert found["CapAmb"] == found["CapInh"] == 0


def test_netmgrd_runs_no_program(host):
    """Not one process is born by netmgrd or nsd while they work."""
    trace = f"{host.dir}/log/trace"
    p = host.popen(["strace", "-f", "-qq", "-e", "trace=execve,execveat,fork,vfork", "-o", trace,
                    "-p", str(host.netmgrd.pid), "-p", str(host.nsd.pid)], stdout=-1, stderr=-2)
    try:
        tracer = str(p.pid)
        from netmgr_host import settle
        settle(lambda: p.poll() is not None or all(d.status()["TracerPid"] == tracer
                                                   for d in (host.netmgrd, host.nsd)), "strace is attached")
        if p.poll() is not None:
            pytest.skip("strace cannot attach here: " + p.stdout.read().decode().strip())
        a = host.add(bridge())
        a.check().expect_ok()
        a.delete().expect_ok()
    finally:
        p.terminate()
        p.communicate()
    with open(trace) as f:
        assert [line for line in f if "exec" in line or "fork" in line] == []


# --- the bus -------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("method", ["Add", "Del", "Check", "CollectGarbage", "Status", "Synchronize"])
def test_runtime_methods_refuse_an_unprivileged_user(host, method):
    a = host.add(routed())
    with host.unchanged():
        text = host.run(["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", "org.netmgr1", ROOT,
                         RUNTIME, method, "a{sv}", "2", "ContainerId", "s", a.cid, "IfName", "s", "eth0"],
                        user="nobody", check=False)
        assert text.returncode != 0 and "denied" in text.stderr.lower(), text.stderr


# busctl has its own words for a refusal: the name comes from a client inside the host.
REFUSED_AS = """
import sys, dbus, dbus.bus
bus = dbus.bus.BusConnection("unix:path=/run/dbus/system_bus_socket")
empty = dbus.Dictionary({}, "sv")
calls = {
    "Del": ("org.netmgr1.Runtime", "a{sv}", [dbus.Dictionary({"ContainerId": "c1", "IfName": "eth0"}, "sv")]),
    "RemoveNetwork": ("org.netmgr1.Manager", "sa{sv}", ["net1", empty]),
    "Reload": ("org.netmgr1.Manager", "", []),
}
try:
    if sys.argv[1] == "own":
        bus.request_name("org.netmgr1")
    else:
        interface, signature, args = calls[sys.argv[1]]
        bus.call_blocking("org.netmgr1", "/org/netmgr1", interface, sys.argv[1], signature, args)
    print("allowed")
except dbus.DBusException as e:
    print(e.get_dbus_name())
"""


@pytest.mark.parametrize("what", ["Del", "RemoveNetwork", "Reload", "own"])
def test_the_refusal_has_the_standard_name(host, what):
    r = host.run(["/usr/bin/python3", "-c", REFUSED_AS, what], user="nobody")
    assert r.stdout.strip() == DENIED, r


def test_everybody_may_read(host):
    a = host.add(routed())
    assert host.manager("ListSandboxes", user="nobody")[0][0][0] == a.cid
    assert a.cid in host.ctl("list", "sandboxes", user="nobody", check=True).stdout


@pytest.mark.host(conf="[Runtime]\nAllowUsers=nobody\n[Host]\nNodeAddress=192.0.2.1\n")
def test_allowed_users_may_call_the_runtime_methods(host):
    a = host.add(routed())
    host.call(ROOT, RUNTIME, "Del", "a{sv}", 5, "ContainerId", "s", a.cid, "IfName", "s", "eth0",
              "Type", "s", "netmgr", "Config", "s", '{"cniVersion":"1.0.0","name":"net1","type":"netmgr"}',
              "NetnsPath", "s", "", user="nobody")
    assert host.held() == {}
    a.live = False


# --- sockets and files ---------------------------------------------------------------------------

def outside(host, path):
    return f"/proc/{host.holder.pid}/root{path}"


def test_modes_of_sockets_and_files(host):
    assert os.stat(outside(host, "/run/netmgr/runtime.sock")).st_mode & 0o777 == 0o600
    assert os.stat(f"{host.state_dir}/netmgr.db").st_mode & 0o777 == 0o600
    assert os.stat(f"{host.state_dir}/netmgr.db").st_uid == host.uid


def test_private_socket_refuses_another_user(host):
    """Also when the mode of the socket would let it in."""
    a = host.add(routed())
    p = host.run(["sh", "-c", "chmod 666 /run/netmgr/runtime.sock"])
    assert p.returncode == 0
    r = host.run([f"{host.dir}/cni/netmgr"], user="nobody", check=False,
                 env=host.cni_env("DEL", a.cid, "eth0", None) | {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"},
                 input='{"cniVersion":"1.0.0","name":"net1","type":"netmgr"}')
    assert r.returncode != 0, r.stdout
    a.check().expect_ok()


@pytest.mark.parametrize("user", ["root", "nobody"])
def test_nsd_refuses_other_peers(host, user):
    """nsd serves netmgr alone; even root is not its peer. The connection ends without an answer."""
    code = ("import socket,os,array\n"
            "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "s.settimeout(30)\n"
            "try:\n"
            "    s.connect('/run/netmgr-nsd/nsd.sock')\n"
            "    fd = os.open('/proc/self/ns/net', os.O_RDONLY)\n"
            "    s.sendmsg([bytes(64)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [fd]))])\n"
            "    data, anc, _, _ = s.recvmsg(4096, 4096)\n"
            "    print('answer' if anc else 'closed' if not data else 'refused')\n"
            "except OSError as e:\n"
            "    print('closed' if not isinstance(e, TimeoutError) else 'hangs')\n")
    said = host.run(["/usr/bin/python3", "-c", code], user=None if user == "root" else user).stdout.strip()
    assert said == "closed"
    host.add(routed())  # and it still serves netmgrd


def test_nsd_survives_garbage_of_its_own_peer(host):
    code = ("import socket,os\n"
            "for n in (0, 1, 3, 7, 8, 63, 64, 255, 4096, 70000):\n"
            "    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
            "    s.settimeout(30)\n"
            "    try:\n"
            "        s.connect('/run/netmgr-nsd/nsd.sock')\n"
            "        s.send(os.urandom(n))\n"
            "        while s.recv(4096): pass\n"
            "    except TimeoutError:\n"
            "        pass\n"
            "    except OSError:\n"
            "        pass\n"
            "    s.close()\n").replace("s.settimeout(30)", "s.settimeout(0.2)")
    pid = host.nsd.pid
    host.run(["/usr/bin/python3", "-c", code], user="netmgr")
    assert host.nsd.running and host.nsd.pid == pid
    host.add(routed())


def test_attachment_works_after_nsd_came_back(host):
    a = host.add(routed())
    host.nsd.restart(9)
    b = host.add(routed())
    a.pod.wait_ping(b.ips[0])


def test_nsd_down_is_a_clear_error(host):
    host.nsd.kill()
    pod = host.pod()
    reply = host.try_add(routed(), pod)[0].expect_error({11, 105})
    assert "nsd" in reply.sentence
    assert host.held() == {} and pod.link("eth0") is None
    host.nsd.start()
    host.add(routed(), pod)


def test_peer_is_checked_by_the_kernels_word(host):
    """SO_PEERCRED: what the test itself sees of nsd's end."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.connect(outside(host, "/run/netmgr-nsd/nsd.sock"))
        s.settimeout(30)
        try:
            assert s.recv(1) == b""  # root is refused: closed
        except ConnectionResetError:
            pass
