# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgrd is down, hangs, or comes back: DELs are spooled and worked off, ADDs wait, nothing is left."""
import contextlib
import json
import os
import re
import signal
import stat
import threading
import uuid

import pytest
from netmgr_host import bridge, netconf, routed, settle
from test_history import IDS, settled

NO_WAIT = {"NETMGR_WAIT_SEC": "0"}
IMPATIENT = {"NETMGR_ANSWER_SEC": "1"}
MANY = 150


def spool(host):
    return f"{host.dir}/spool"


def entries(host):
    return sorted(n for n in os.listdir(spool(host)) if re.fullmatch(r"[0-9a-f]{16}-[0-9a-f]{16}\.del", n))


def read_entry(host):
    name, = entries(host)
    with open(f"{spool(host)}/{name}") as f:
        return json.load(f)


def put(host, name, data, mode=0o640):
    """A file of the spool, complete from the moment that it has its name"""
    path = f"{host.dir}/new-entry"
    with open(path, "wb") as f:
        f.write(data if isinstance(data, bytes) else json.dumps(data).encode())
        os.fchmod(f.fileno(), mode)
        os.fchown(f.fileno(), 0, host.gid)
    os.rename(path, f"{spool(host)}/{name}")


def consumed(host):
    settle(lambda: not entries(host), lambda: f"the spool is empty: {entries(host)}\n{host.netmgrd.text()}")


@contextlib.contextmanager
def hanging(host):
    """netmgrd is there, holds its socket, and does nothing."""
    host.netmgrd.process.send_signal(signal.SIGSTOP)
    try:
        settle(lambda: host.netmgrd.status()["State"].startswith("T"), "netmgrd has stopped")
        yield
    finally:
        host.netmgrd.process.send_signal(signal.SIGCONT)


def health(host):
    return json.loads(host.ctl("--json=short", "status", check=True).stdout)


# --- DEL while it is down ------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_del_is_released_before_anything_is_served(host, sig):
    """The socket of a killed netmgrd is still there and refuses; that of a stopped one is gone."""
    conf = routed("net1", "10.97.0.0/24", "fd97::/64")
    gone, kept = host.add(conf), host.add(conf)
    host.netmgrd.stop(sig)
    gone.delete().expect_ok()
    assert host.link(gone.host_ifname)  # nobody did anything yet
    kept.pod.wait_ping("192.0.2.1")
    host.netmgrd.start()
    # with READY=1 it is done: not only begun
    assert entries(host) == [] and host.link(gone.host_ifname) is None
    assert set(host.held().values()) == {f"{kept.cid}/eth0"}
    assert host.ledger()["attachment"] == [("net1", kept.cid, "eth0", "up")]
    entry, = settled(host, gone.cid, [(gone.cid, "eth0", "del")])
    assert "spooled" in entry["Reason"]
    assert host.netmgrd.text().count(f"MESSAGE_ID={IDS['SPOOL_CONSUMED']}") == 1
    kept.check().expect_ok()


def test_file_and_its_rights(host):
    a = host.add(routed(), args="IgnoreUnknown=1;K8S_POD_NAME=web")
    host.netmgrd.stop()
    a.delete().expect_ok()
    name, = entries(host)
    st = os.stat(f"{spool(host)}/{name}")
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode), st.st_nlink) == (0, host.gid, 0o640, 1)
    entry = read_entry(host)
    with open("/proc/sys/kernel/random/boot_id") as f:
        assert entry["BootId"] == f.read().strip()
    assert (entry["Version"], entry["Verb"], entry["Type"]) == (1, "DEL", "netmgr")
    assert (entry["ContainerId"], entry["IfName"], entry["NetnsPath"]) == (a.cid, "eth0", a.pod.path)
    assert entry["Args"] == "IgnoreUnknown=1;K8S_POD_NAME=web"
    assert json.loads(entry["Config"])["name"] == "net1"
    box, = host.sql("SELECT * FROM sandbox")
    assert entry["Netns"] == {"Dev": box["netns_dev"], "Ino": box["netns_ino"], "Cookie": box["netns_cookie"]}


@pytest.mark.parametrize("netns", ["gone", "bogus", "none", "file"])
def test_del_without_a_namespace(host, netns):
    a = host.add(routed())
    host.netmgrd.stop()
    if netns == "gone":
        a.pod.delete()
    path = {"gone": a.pod.path, "bogus": "/run/netns/never\nwas", "none": None, "file": "/etc/passwd"}[netns]
    a.delete(netns=path).expect_ok()
    assert "Netns" not in read_entry(host)
    host.netmgrd.start()
    assert host.held() == {} and entries(host) == []


def test_repeated_del_does_not_fill_the_spool(host):
    a, b = host.add(routed()), host.add(routed())
    host.netmgrd.stop()
    for n in range(5):
        a.delete(prev=n % 2 == 0).expect_ok()  # runtimes do not always send the same
    b.delete().expect_ok()
    assert len(entries(host)) == 2
    host.parallel(16, lambda _: a.delete().expect_ok())
    assert len(entries(host)) <= 2 + 16
    a.delete().expect_ok()
    assert len(entries(host)) == 2
    # another network's DEL is another request, and must not take the place of the first
    host.cni("DEL", routed("net2"), a.cid, "eth0", a.pod.path).expect_ok()
    assert len(entries(host)) == 3
    host.netmgrd.start()
    assert host.held() == {} and entries(host) == []


def test_del_of_what_never_was(host):
    host.netmgrd.stop()
    host.cni("DEL", routed(), "unknown", "eth0", "/run/netns/unknown").expect_ok()
    host.netmgrd.start()
    assert entries(host) == []


@pytest.mark.sanitize
def test_all_kinds_and_interfaces(host):
    pod = host.pod()
    attachments = [host.add(routed("net1"), pod), host.add(bridge("br1", hairpinMode=True), pod, ifname="eth1"),
                   host.add(netconf("lo", kind="loopback"), pod, ifname="lo", plugin="netmgr"),
                   host.add(routed("net3", "10.97.3.0/24", routes=[{"dst": "10.96.0.0/24"}]), pod, ifname="eth2")]
    host.netmgrd.kill()
    for a in attachments:
        a.delete().expect_ok()
    assert len(entries(host)) == len(attachments)
    host.netmgrd.start()
    assert host.held() == {} and host.ledger()["attachment"] == [] and host.ledger()["sandbox"] == []


def test_host_port_is_free_at_once(host):
    conf = routed("net1", capabilities={"portMappings": True},
                  runtimeConfig={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
    a = host.add(conf)
    host.netmgrd.stop()
    a.delete().expect_ok()
    host.netmgrd.start()
    host.add(conf)  # would be refused, did it come before the release


# --- never the wrong one -------------------------------------------------------------------------

@pytest.mark.sanitize
def test_newer_sandbox_of_the_same_name_is_not_hurt(host):
    """The request is put back as a crash between release and removal would leave it."""
    a = host.add(routed())
    host.netmgrd.stop()
    a.delete().expect_ok()
    name, = entries(host)
    with open(f"{spool(host)}/{name}", "rb") as f:
        old = f.read()
    host.netmgrd.start()
    again = host.add(routed(), a.pod, cid=a.cid)
    put(host, name, old)  # netmgrd runs
    consumed(host)
    again.check().expect_ok()
    host.netmgrd.kill()
    put(host, name, old)  # and at start
    host.netmgrd.start()
    assert entries(host) == []
    again.check().expect_ok()
    again.pod.wait_ping("192.0.2.1")
    # the clock of people is of no account: that entry claims a later time, and an earlier one follows
    entry = json.loads(old)
    for usec in (entry["TimeUsec"] + 10 ** 15, 0):
        put(host, name, {**entry, "TimeUsec": usec})
        consumed(host)
    again.check().expect_ok()


def test_del_that_is_later_than_the_clock_says(host):
    """The clock was set back between ADD and DEL."""
    a = host.add(routed())
    host.netmgrd.stop()
    a.delete().expect_ok()
    name, = entries(host)
    put(host, name, {**read_entry(host), "TimeUsec": 1})
    host.netmgrd.start()
    assert host.held() == {} and entries(host) == []


def test_path_used_by_another_namespace(host):
    """The path leads to somebody else when DEL comes: the name's own interface goes, no other."""
    a = host.add(routed())
    other = host.add(routed())
    host.netmgrd.stop()
    a.delete(netns=other.pod.path).expect_ok()
    host.netmgrd.start()
    assert set(host.held().values()) == {f"{other.cid}/eth0"}
    other.check().expect_ok()


@pytest.mark.parametrize("other_namespace", [True, False])
def test_row_without_a_time(host, other_namespace):
    """Of an older schema: such a row is older than any entry, unless it is of another namespace."""
    a = host.add(routed())
    host.netmgrd.stop()
    host.run(["/usr/bin/python3", "-c", "import sqlite3; d = sqlite3.connect('%s/netmgr.db'); "
              "d.execute('UPDATE attachment SET created_boot_usec = 0'); d.commit()" % host.state_dir], user="netmgr")
    host.cni("DEL", a.conf, a.cid, "eth0", host.pod().path if other_namespace else a.pod.path).expect_ok()
    host.netmgrd.start()
    assert entries(host) == []
    if other_namespace:
        a.check().expect_ok()
    else:
        assert host.held() == {}
        a.live = False


def test_other_network_of_the_same_interface(host):
    a = host.add(routed())
    host.netmgrd.stop()
    host.cni("DEL", routed("net2"), a.cid, "eth0", a.pod.path).expect_ok()
    host.netmgrd.start()
    assert entries(host) == []
    a.check().expect_ok()


def test_request_of_an_earlier_boot(host):
    a = host.add(routed())
    host.netmgrd.stop()
    a.delete().expect_ok()
    name, = entries(host)
    put(host, name, {**read_entry(host), "BootId": str(uuid.uuid4())})
    a.live = True
    host.netmgrd.start()
    assert entries(host) == []
    a.check().expect_ok()


def test_caller_in_another_network_namespace(host):
    """netmgrd would have refused it (code 8): the entry is set aside, and the interface stays."""
    a = host.add(routed())
    host.netmgrd.stop()
    a.delete(inside=host.pod()).expect_ok()
    a.live = True
    name, = entries(host)
    host.netmgrd.start()
    assert os.listdir(spool(host)) == [name + ".bad"]
    assert "network namespace" in host.netmgrd.text()
    a.check().expect_ok()
    os.unlink(f"{spool(host)}/{name}.bad")


# --- hostile and damaged files -------------------------------------------------------------------

KEY = "%016x-%016x.del"


@pytest.mark.sanitize
def test_garbage_does_not_block_the_start(host):
    a, kept = host.add(routed()), host.add(routed())
    host.netmgrd.stop()
    a.delete().expect_ok()
    good = read_entry(host)
    bad = [b"", b"{", b"\0" * 100, b"[]", b"null", b"{}", b"[" * 100000, os.urandom(2000), b"x" * (1 << 20),
           {**good, "Version": 2}, {**good, "Version": "1"}, {**good, "Verb": "ADD"}, {**good, "Colour": "blue"},
           {**good, "ContainerId": "../../etc"}, {**good, "ContainerId": "x" * 200}, {**good, "IfName": "a/b"},
           {**good, "BootId": "tomorrow"}, {**good, "BootTimeUsec": -1}, {**good, "BootTimeUsec": 1e9},
           {**good, "Config": "{"}, {**good, "Config": "[]"}, {**good, "Config": "{\"cniVersion\":\"1.0.0\"}"},
           {**good, "NetnsPath": "a\nb"}, {**good, "Netns": []}, {**good, "Netns": {"Dev": 1}},
           {k: v for k, v in good.items() if k != "Config"}]
    for n, data in enumerate(bad):
        put(host, KEY % (1, n), data)
    with open(f"{spool(host)}/{KEY % (2, 0)}", "wb") as f:
        f.truncate(3 << 20)  # larger than an entry may be
    os.symlink("/etc/shadow", f"{spool(host)}/{KEY % (2, 1)}")
    os.mkfifo(f"{spool(host)}/{KEY % (2, 2)}")
    os.mkdir(f"{spool(host)}/{KEY % (2, 3)}")
    put(host, KEY % (2, 4), good)
    os.chown(f"{spool(host)}/{KEY % (2, 4)}", 65534, host.gid)  # nobody's
    put(host, KEY % (2, 5), good, mode=0)
    n_bad = len(bad) + 6
    strange = ["README", "x.del", KEY % (1, 1) + "~", "up\nper"]
    for name in strange:
        put(host, name, b"mine")
    host.netmgrd.start()
    assert entries(host) == []
    assert set(host.held().values()) == {f"{kept.cid}/eth0"}  # the good one was worked on
    left = os.listdir(spool(host))
    assert sorted(n for n in left if not n.endswith(".bad")) == sorted(strange)
    assert len([n for n in left if n.endswith(".bad")]) == n_bad
    assert os.readlink(f"{spool(host)}/{KEY % (2, 1)}.bad") == "/etc/shadow"
    text = host.netmgrd.text()
    assert text.count(f"MESSAGE_ID={IDS['SPOOL_SET_ASIDE']}") == n_bad
    assert text.count("set aside as") == n_bad and "README is none of netmgr's files" in text
    # told once, and what is set aside is not read again
    put(host, KEY % (3, 0), {**good, "ContainerId": "nobody"})
    consumed(host)
    assert host.netmgrd.text().count("README is none") == 1 and host.netmgrd.text().count("set aside as") == n_bad


def test_what_is_set_aside_is_bounded(host):
    for n in range(70):
        put(host, KEY % (1, n), b"{")
    consumed(host)
    assert len([n for n in os.listdir(spool(host)) if n.endswith(".bad")]) == 64


def test_file_of_a_killed_plugin(host):
    """What has a temporary name and no writer goes; what is being written stays."""
    import fcntl
    put(host, ".tmp-1-1", b"half")
    with open(f"{host.dir}/being-written", "wb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        os.fchmod(f.fileno(), 0o640)
        os.fchown(f.fileno(), 0, host.gid)
        os.rename(f.name, f"{spool(host)}/.tmp-2-2")
        put(host, KEY % (1, 1), b"{")  # something happens: netmgrd looks
        settle(lambda: os.path.exists(f"{spool(host)}/{KEY % (1, 1)}.bad"), "netmgrd has looked")
        settle(lambda: not os.path.exists(f"{spool(host)}/.tmp-1-1"), "the orphan is removed")
        assert os.path.exists(f"{spool(host)}/.tmp-2-2")
    os.unlink(f"{spool(host)}/.tmp-2-2")


# --- a spool that cannot take it -----------------------------------------------------------------

def refused(a, *words):
    a.delete().expect_error(11, "netmgrd is not running", "spool", *words)


@contextlib.contextmanager
def mounted(host, options):
    host.run(["mount", "-t", "tmpfs", "-o", f"mode=770,gid={host.gid},{options}", "tmpfs", spool(host)])
    try:
        yield
    finally:
        host.run(["umount", spool(host)])


def test_spool_read_only(host):
    a = host.add(routed())
    host.netmgrd.stop()
    with mounted(host, "ro"):
        refused(a, "Read-only", "writable")
    a.delete().expect_ok()


def test_spool_without_space(host):
    a = host.add(routed())
    host.netmgrd.stop()
    with mounted(host, "size=4k"):
        host.run(["sh", "-c", f"head -c 4096 /dev/zero > {spool(host)}/filler"])
        refused(a, "No space left", "make room")
        assert host.run(["ls", "-A", spool(host)]).stdout.split() == ["filler"]  # nothing half-written
    with mounted(host, "nr_inodes=1"):
        refused(a, "No space left")
    a.delete().expect_ok()


def test_spool_over_its_bounds(host):
    a = host.add(routed())
    host.netmgrd.stop()
    a.delete().expect_ok()
    for n in range(8191):
        os.close(os.open(f"{spool(host)}/{KEY % (9, n)}", os.O_CREAT | os.O_WRONLY, 0o640))
    other = host.cni("DEL", a.conf, "other", "eth0", a.pod.path)
    other.expect_error(11, "full", "8192")
    a.delete().expect_ok()  # takes the place of its own entry
    for n in range(8191):
        os.unlink(f"{spool(host)}/{KEY % (9, n)}")
    with open(f"{spool(host)}/big", "wb") as f:
        f.truncate(64 << 20)
    host.cni("DEL", a.conf, "other", "eth0", a.pod.path).expect_error(11, "full", str(64 << 20))
    os.unlink(f"{spool(host)}/big")
    # one request that is too large by itself
    big = {**a.conf, "runtimeConfig": {"x": '"' * 300000}}
    host.cni("DEL", big, "other", "eth0", a.pod.path).expect_error(11, "more than", str(1 << 20))


def test_spool_of_wrong_owner_or_mode(host):
    a = host.add(routed())
    host.netmgrd.stop()
    for uid, mode, words in ((host.uid, 0o770, ["belongs to uid"]), (0, 0o777, ["mode 777"]), (0, 0o700, ["mode 700"])):
        os.chown(spool(host), uid, host.gid)
        os.chmod(spool(host), mode)
        refused(a, "install -d -o root -g netmgr -m 770", *words)
    os.rmdir(spool(host))
    refused(a, "No such file", "install -d -o root -g netmgr -m 770")
    os.symlink("/tmp", spool(host))
    refused(a, "install -d")
    os.unlink(spool(host))
    a.delete(env={"NETMGR_SPOOL_DIR": "relative"}).expect_error(11, "NETMGR_SPOOL_DIR", "relative")
    a.delete(env={"NETMGR_SPOOL_DIR": None}).expect_error(11, "NETMGR_SPOOL_DIR")
    # netmgrd serves without, says so, and takes the directory when it is there
    host.netmgrd.start()
    assert host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") == "degraded"
    assert "spool" in host.ctl("status").stdout
    host.run(["install", "-d", "-o", "root", "-g", "netmgr", "-m", "770", spool(host)])
    host.netmgrd.restart()
    assert host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") == "ok"


def test_spool_is_taken_away_and_comes_back(host):
    a = host.add(routed())

    def degraded():
        return host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") == "degraded"
    os.rename(spool(host), spool(host) + ".away")
    settle(degraded, "netmgrd has noticed")
    assert "spool" in host.ctl("status").stdout
    os.rename(spool(host) + ".away", spool(host))
    host.ctl("reload", check=True)
    assert not degraded()
    with hanging(host):
        a.delete(env=IMPATIENT).expect_ok()
    consumed(host)
    assert host.held() == {}


# --- crashes -------------------------------------------------------------------------------------

def test_killed_in_the_middle_of_consuming(host):
    """Again until a kill has hit the middle: some are done, some are not."""
    conf = routed("net1", "10.97.0.0/20")
    kept = host.add(conf)
    middle = 0
    for _ in range(10):
        attachments = host.add_many(conf, MANY)
        host.netmgrd.stop()
        host.delete_many(attachments)
        assert len(entries(host)) == MANY
        for share in (1.0, 0.7, 0.4):  # each life ends when less is left of the spool
            host.netmgrd.launch()
            while len(entries(host)) >= MANY * share and host.netmgrd.running:
                pass  # no pause: the middle is short
            host.netmgrd.kill()
            os.close(host.netmgrd.ready_fd)
            middle += 0 < len(entries(host)) < MANY
        host.netmgrd.start()
        assert entries(host) == []
        assert set(host.held().values()) == {f"{kept.cid}/eth0"}
        settle(lambda: {x for x in host.links() if x.startswith("nmg")} == {kept.host_ifname}, "no link is left")
        assert len(host.ledger()["attachment"]) == 1
        if middle:
            break
    assert middle
    kept.check().expect_ok()


def test_more_than_a_batch(host):
    """As many requests as are worked on at once, and more."""
    host.netmgrd.stop()
    boot, now = open("/proc/sys/kernel/random/boot_id").read().strip(), 1
    entry = {"Version": 1, "Verb": "DEL", "TimeUsec": 1, "BootId": boot, "BootTimeUsec": now, "Type": "netmgr",
             "ContainerId": "x", "IfName": "eth0", "Config": json.dumps(routed())}
    for n in range(700):
        put(host, KEY % (n, now), {**entry, "ContainerId": f"c{n}"})
    host.netmgrd.start()
    assert entries(host) == []
    assert "700 DELs asked for nothing" in host.netmgrd.text()


# --- it hangs ------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_del_while_netmgrd_hangs(host):
    a, kept = host.add(routed()), host.add(routed())
    with hanging(host):
        a.delete(env=IMPATIENT).expect_ok()
        assert len(entries(host)) == 1
    consumed(host)
    settle(lambda: set(host.held().values()) == {f"{kept.cid}/eth0"}, "the spooled DEL was done")
    kept.check().expect_ok()
    # and the same sandbox again, at once
    host.add(routed(), a.pod, cid=a.cid)


def test_other_verbs_while_netmgrd_hangs(host):
    a = host.add(routed(version="1.1.0"))
    with hanging(host):
        pod = host.pod()
        host.cni("ADD", routed(), pod.name, "eth0", pod.path, env=IMPATIENT).expect_error(11, "no answer", "1 s", "DEL")
        a.check(env=IMPATIENT).expect_error(11, "no answer")
        host.cni("GC", a.conf, env=IMPATIENT).expect_error(11, "no answer")
        host.cni("STATUS", a.conf, env=IMPATIENT).expect_error(50, "no answer")
    settle(lambda: len(host.describe("attachments")) == 1, "nothing came of the ADD")
    a.check().expect_ok()


def send_add(host, way, pod, netns, own):
    """Sends the request and waits for no answer; the connection, to be closed. way: "system" for the
    bus, "private", or a private connection that is greeted already."""
    import dbus
    connection = host.bus() if way == "system" else host.private() if way == "private" else way
    message = dbus.lowlevel.MethodCallMessage(destination="org.netmgr1" if way == "system" else None,
                                              path="/org/netmgr1", interface="org.netmgr1.Runtime", method="Add")
    request = {"Type": "netmgr", "ContainerId": pod.name, "IfName": "eth0", "NetnsPath": pod.path,
               "Config": json.dumps(routed()), "Netns": dbus.types.UnixFd(netns), "HostNetns": dbus.types.UnixFd(own)}
    message.append(dbus.Dictionary(request, signature="sv"), signature="a{sv}")
    connection.send_message(message)
    connection.flush()
    return connection


@pytest.fixture
def caller(host):
    """A pod and the descriptors that a request needs"""
    pod = host.pod()
    netns, own = os.open(pod.outside, os.O_RDONLY), host.netns_fd()
    yield pod, netns, own
    os.close(netns)
    os.close(own)


def test_add_that_is_read_after_its_caller_has_gone(host, caller):
    pod, before = caller[0], host.snapshot()
    connection = host.private()
    with hanging(host):
        send_add(host, connection, *caller).close()
        # as the runtime does then: older than what netmgrd makes of the ADD when it goes on
        host.cni("DEL", routed(), pod.name, "eth0", pod.path, env=IMPATIENT).expect_ok()
    # whether the ADD was begun and undone, or its connection was gone before it was looked at
    consumed(host)
    settle(lambda: host.held() == {} and host.ledger()["attachment"] == [], "what it began is undone")
    host.assert_nothing_left(before)
    host.add(routed(), pod)


@pytest.mark.sanitize
@pytest.mark.parametrize("way", ["private", "system"])
def test_add_whose_caller_goes_away_in_the_middle(host, caller, way):
    pod, before = caller[0], host.snapshot()
    host.nsd.process.send_signal(signal.SIGSTOP)  # the ADD goes no further than its first step
    try:
        connection = send_add(host, way, *caller)

        def under_way():
            reply = host.cni("ADD", routed(), pod.name, "eth0", pod.path)
            return not reply.ok and "being worked on" in reply.sentence
        settle(under_way, "netmgrd works on it")
        connection.close()
    finally:
        host.nsd.process.send_signal(signal.SIGCONT)
    settle(lambda: "the caller went away" in host.netmgrd.text(), "netmgrd has noticed")
    settle(lambda: host.held() == {} and host.ledger()["attachment"] == [], "what it began is undone")
    host.assert_nothing_left(before)
    host.add(routed(), pod)


def test_plugin_killed_in_the_middle_of_add(host):
    """As a runtime does when its patience ends; then DEL, then the same again."""
    conf = routed("net1", "10.97.0.0/24")
    pods = host.make_pods(16)

    def one(n):
        pod = pods[n]
        config = json.dumps(conf).encode()
        p = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pod.name, "eth0", pod.path),
                       stdin=-1, stdout=-1, stderr=-1)
        with contextlib.suppress(BrokenPipeError):
            p.stdin.write(config)
            p.stdin.close()
        if n % 2 == 0:  # some while netmgrd works on it, some whenever
            with contextlib.suppress(AssertionError):
                settle(lambda: p.poll() is not None or pod.name in host.netmgrd.text(), "it is seen", 1)
        p.kill()
        p.wait()
        p.stdout.close()
        p.stderr.close()
        host.cni("DEL", conf, pod.name, "eth0", pod.path).expect_ok()
        return host.add(conf, pod)
    attachments = host.parallel(16, one, workers=8)
    assert len({a.ips[0] for a in attachments}) == 16
    assert sorted(host.held().values()) == sorted(f"{a.cid}/eth0" for a in attachments)
    for a in attachments:
        a.check().expect_ok()


# --- ADD waits -----------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
@pytest.mark.parametrize("directory", ["there", "gone"])
def test_add_waits_for_netmgrd(host, sig, directory):
    host.netmgrd.stop(sig)
    if directory == "gone":
        host.run(["rm", "-rf", host.runtime_dir])
    pod = host.pod()
    done = []
    thread = threading.Thread(target=lambda: done.append(
        host.try_add(routed(), pod, env={"NETMGR_WAIT_SEC": "60"})[0]))
    thread.start()
    try:
        def plugin_waits():
            r = host.run(["sh", "-c", "grep -ls inotify /proc/[0-9]*/fdinfo/* | cut -d/ -f3 | sort -u | while read -r p;"
                          " do [ \"$(readlink /proc/$p/exe)\" = \"$1\" ] && echo $p; done", "sh", f"{host.dir}/bin/netmgr"],
                         check=False)
            return r.stdout.split()
        settle(plugin_waits, "the plugin waits for the socket")
        assert not done
        if directory == "gone":
            host.run(["install", "-d", "-o", "netmgr", "-g", "netmgr", host.runtime_dir])
        host.netmgrd.start()
    finally:
        thread.join()
    done[0].expect_ok()


def test_add_gives_up(host):
    host.netmgrd.stop()
    pod = host.pod()
    host.cni("ADD", routed(), pod.name, "eth0", pod.path, env={"NETMGR_WAIT_SEC": "1"}).expect_error(
        11, "not running", "waited 1 s")
    host.cni("ADD", routed(), pod.name, "eth0", pod.path, env={"NETMGR_WAIT_SEC": "soon"}).expect_error(
        4, "NETMGR_WAIT_SEC", "soon")


def test_other_verbs_do_not_wait(host):
    host.netmgrd.stop()
    conf = routed(version="1.1.0")
    patient = {"NETMGR_WAIT_SEC": "3600"}  # would not come back within the test
    host.cni("CHECK", {**conf, "prevResult": {}}, "c1", "eth0", "/proc/self/ns/net", env=patient).expect_error(11)
    host.cni("GC", conf, env=patient).expect_error(11)
    host.cni("STATUS", conf, env=patient).expect_error(50)
    host.cni("DEL", conf, "c1", "eth0", "/run/netns/none", env=patient).expect_ok()
