# SPDX-License-Identifier: LGPL-2.1-or-later
"""Troubles with the state directory: full, read-only, missing, of somebody else; a ledger that is
damaged, foreign, newer, no file; a clock that was set back."""
import contextlib
import errno
import glob
import json
import os
import shutil
import sqlite3
import time

import pytest
from faults import Faults
from netmgr_host import Host, bridge, routed, settle

CONF = "[Host]\nNodeAddress=192.0.2.1\n"


def health(host):
    return host.properties("/org/netmgr1", "org.netmgr1.Manager")


def fails_to_start(host, *words):
    """netmgrd ends by itself with status 1 and says why; returns what it said."""
    before = len(host.netmgrd.text())
    host.netmgrd.launch()
    os.close(host.netmgrd.ready_fd)
    host.netmgrd.ready_fd = None
    assert host.netmgrd.process.wait(30) == 1
    said = host.netmgrd.text()[before:]
    for word in words:
        assert word.lower() in said.lower(), f"{word!r} is not in: {said}"
    return said


@pytest.fixture
def small(request):
    """A host whose state directory is a file system of 1 MiB."""
    private = Host(conf=CONF)
    private.hold()
    private.run(["mount", "-t", "tmpfs", "-o", f"size=1m,mode=750,uid={private.uid},gid={private.gid}",
                 "tmpfs", private.state_dir])
    problems = []
    try:
        private.start()
        yield private
        private.finish()
    except BaseException:
        print(private.logs())
        raise
    finally:
        problems = private.close()
    assert not problems, problems


def fill(host):
    """Until not one byte more can be written."""
    host.run(["sh", "-c", 'dd if=/dev/zero of="$1/ballast" bs=4096 2>/dev/null; sync', "sh", host.state_dir],
             check=False)


def make_room(host):
    host.run(["rm", "-f", f"{host.state_dir}/ballast"])


def rows(host, query):
    """The file system is mounted inside only."""
    script = ("import json, sqlite3, sys; "
              "print(json.dumps(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall()))")
    out = host.run(["/usr/bin/python3", "-c", script, f"{host.state_dir}/netmgr.db", query]).stdout
    return [tuple(r) for r in json.loads(out)]


def test_disk_becomes_full(small):
    host = small
    conf = routed("net1", "10.97.0.0/24", runtimeConfig={"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]})
    old = host.add(conf)
    keeper = host.add(routed("net1", "10.97.0.0/24"))
    fill(host)

    # the log may have room of its own left: until that is used up, all goes well
    def refused():
        reply, more = host.try_add(routed("net1", "10.97.0.0/24"))
        if more:
            return False
        reply.expect_error(106, "no space", "netmgr.db")
        return True
    settle(refused, "ADD is refused")
    assert health(host)["Health"] == "degraded"
    assert any("no space" in r for r in health(host)["HealthReasons"]), health(host)

    # DEL succeeds, and its port, address and interface are free for others in the kernel at once
    host_end = old.host_ifname
    old.delete().expect_ok()
    old.delete().expect_ok()
    assert host_end not in host.links()
    assert "8080" not in host.run(["nft", "list", "map", "inet", "netmgr_nat", "host4"]).stdout
    keeper.check().expect_ok()
    assert host.cni("STATUS", {**routed("net1", "10.97.0.0/24"), "cniVersion": "1.1.0"}).code in (0, 50)

    make_room(host)
    settle(lambda: health(host)["Health"] == "ok", "recovers by itself, without any request")
    settle(lambda: rows(host, f"SELECT count(*) FROM attachment WHERE sandbox = '{old.cid}'") == [(0,)],
           "the row is ended")
    assert rows(host, "SELECT count(*) FROM port") == [(0,)]
    assert rows(host, f"SELECT count(*) FROM event WHERE sandbox = '{old.cid}' AND op = 'del'") == [(1,)]
    again = host.add(conf)
    again.check().expect_ok()


def test_stop_while_the_disk_is_full(small):
    """The next start finishes what could not be written."""
    host = small
    a = host.add(routed("net1", "10.97.0.0/24"))
    b = host.add(routed("net1", "10.97.0.0/24"))
    fill(host)
    settle(lambda: host.try_add(routed("net1", "10.97.0.0/24"))[1] is None, "the log is full")
    a.delete().expect_ok()
    assert host.netmgrd.stop() == 0
    a.pod.delete()  # as a runtime does after DEL: what the ledger still believes has no namespace
    make_room(host)
    host.netmgrd.start()
    b.check().expect_ok()
    settle(lambda: rows(host, f"SELECT count(*) FROM attachment WHERE sandbox = '{a.cid}'") == [(0,)],
           "the row is ended")


def test_disk_is_full_at_start(small):
    host = small
    host.netmgrd.stop()
    host.run(["sh", "-c", f"rm -f {host.state_dir}/netmgr*"])
    fill(host)
    fails_to_start(host, "netmgr.db", "no space")
    make_room(host)
    host.netmgrd.start()
    host.add(routed("net1", "10.97.0.0/24"))


def test_read_only_at_start(host):
    a = host.add(routed("net1", "10.97.0.0/24"))
    host.netmgrd.stop()
    host.run(["mount", "--bind", host.state_dir, host.state_dir])
    host.run(["mount", "-o", "remount,bind,ro", host.state_dir])
    fails_to_start(host, "netmgr", "read-only")
    host.run(["umount", host.state_dir])
    host.netmgrd.start()
    a.check().expect_ok()


@contextlib.contextmanager
def preloaded(conf):
    host = Host(conf=conf)
    if not os.path.exists(f"{host.build}/tests/netmgr-faults.so"):
        host.close()
        pytest.skip("the sanitizer build has no netmgr-faults.so")
    faults = Faults(host, "netmgrd")
    host.netmgrd.env = faults.env
    with host:
        yield host, faults


def test_becomes_read_only():
    """As after a disk error: the kernel refuses every write with EROFS from now on."""
    with preloaded(CONF) as (host, faults):
        a = host.add(routed("net1", "10.97.0.0/24"))
        b = host.add(routed("net1", "10.97.0.0/24"))
        with faults.armed("write", 1, errno.EROFS, 0):
            reply, more = host.try_add(routed("net1", "10.97.0.0/24"))
            assert not more
            reply.expect_error(106, "read-only")
            assert health(host)["Health"] == "degraded"
            a.delete().expect_ok()
            assert a.host_ifname not in host.links()
            b.check().expect_ok()
        settle(lambda: health(host)["Health"] == "ok", "recovers by itself")
        host.finish()


# --- the ledger itself ---------------------------------------------------------------------------

def damage_header(path):
    with open(path, "r+b") as f:
        f.write(b"This is not the database that it was")


def damage_page(path):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for page in range(2, size // 4096):
            f.seek(page * 4096)
            f.write(b"\xa5" * 4096)


def tear_log(path):
    """A log with torn frames ends before them: rows are lost, but what is there is sound."""
    with open(path + "-wal", "r+b") as f:
        f.seek(os.path.getsize(path + "-wal") // 2)
        f.write(os.urandom(4096))


def delete(path):
    for name in glob.glob(path + "*"):
        os.unlink(name)


@pytest.mark.parametrize("damage", [damage_header, damage_page, delete])
def test_ledger_is_lost(host, damage):
    """Live sandboxes go on, with what protects them; their ids and addresses are nobody else's."""
    conf, br = routed("net1", "10.97.0.0/29", "fd97::/64", ipMasq=True), bridge("br1", "10.98.0.0/29")
    routers = [host.add(conf) for _ in range(2)]
    ports = [host.add(br) for _ in range(2)]
    old = routers + ports
    host.netmgrd.stop()
    damage(f"{host.state_dir}/netmgr.db")
    for life in range(2):  # and the start after that knows them too
        host.netmgrd.start()
        for a in old:
            assert a.host_ifname in host.links(), a.host_ifname
        host.wait_ping(routers[0].ips[0])
        routers[0].pod.wait_ping(routers[1].ips[0])
        routers[0].pod.wait_ping(routers[1].ips[1])
        ports[0].pod.wait_ping(ports[1].ips[0])
        if life == 0 and damage is not delete:
            set_aside = glob.glob(f"{host.state_dir}/netmgr.db.damaged-*")
            assert [s for s in set_aside if not s.endswith(("-wal", "-shm"))], os.listdir(host.state_dir)
            reasons = health(host)["HealthReasons"]
            assert any("damaged" in r and "set aside" in r for r in reasons), reasons
        host.netmgrd.stop()
    host.netmgrd.start()

    # until the range is used up, nobody gets what they have
    held = {ip for a in old for ip in a.ips}
    new = []
    for c in (conf, br):
        while True:
            reply, a = host.try_add(c)
            if not a:
                reply.expect_error(101)
                break
            new.append(a)
    assert new and not held & {ip for a in new for ip in a.ips}
    assert not {a.host_ifname for a in old} & {a.host_ifname for a in new}
    routers[0].pod.wait_ping(new[0].ips[0])

    # their ends are as any others'
    for a in old:
        a.delete().expect_ok()  # unknown to the ledger, so nothing happens
        a.pod.delete()
    settle(lambda: not {a.host_ifname for a in old} & host.links(), "links go with their namespaces")
    for a in new:
        a.delete().expect_ok()
    host.netmgrd.stop()
    for name in glob.glob(f"{host.state_dir}/netmgr.db.damaged-*"):
        os.unlink(name)
    host.netmgrd.start()
    settle(lambda: not [x for x in host.links() if x.startswith("nmb-")], "the bridge goes")


def test_torn_log(host):
    a = host.add(routed("net1", "10.97.0.0/24"))
    host.netmgrd.kill()
    tear_log(f"{host.state_dir}/netmgr.db")
    host.netmgrd.start()
    assert a.host_ifname in host.links()
    host.wait_ping(a.ips[0])
    b = host.add(routed("net1", "10.97.0.0/24"))
    assert b.ips != a.ips and b.host_ifname != a.host_ifname
    a.delete().expect_ok()
    a.pod.delete()
    settle(lambda: a.host_ifname not in host.links(), "the link goes with its namespace")


def test_foreign_database(host):
    host.netmgrd.stop()
    path = f"{host.state_dir}/netmgr.db"
    delete(path)
    db = sqlite3.connect(path)
    db.executescript("PRAGMA application_id=7; CREATE TABLE theirs (a); INSERT INTO theirs VALUES (42)")
    db.close()
    shutil.chown(path, host.uid, host.gid)
    host.netmgrd.start()
    kept = [x for x in glob.glob(path + ".damaged-*") if not x.endswith(("-wal", "-shm"))]
    assert len(kept) == 1
    db = sqlite3.connect(kept[0])
    assert db.execute("SELECT a FROM theirs").fetchall() == [(42,)]
    db.close()
    assert "not netmgr's" in host.netmgrd.text()
    for name in glob.glob(path + ".damaged-*"):
        os.unlink(name)


def test_newer_version(host):
    a = host.add(routed("net1", "10.97.0.0/24"))
    host.netmgrd.stop()
    path = f"{host.state_dir}/netmgr.db"
    db = sqlite3.connect(path)
    ours = db.execute("PRAGMA user_version").fetchone()[0]
    db.execute("PRAGMA user_version=1000")
    db.commit()
    db.close()
    with open(path, "rb") as f:
        before = f.read()
    fails_to_start(host, "1000", str(ours), "install the newer netmgr")
    with open(path, "rb") as f:
        assert f.read() == before
    assert a.host_ifname in host.links()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version={ours}")
    db.commit()
    db.close()
    host.netmgrd.start()
    a.check().expect_ok()


def test_no_regular_file(host):
    host.netmgrd.stop()
    path = f"{host.state_dir}/netmgr.db"
    delete(path)
    target = f"{host.dir}/elsewhere.db"
    with open(target, "w"):
        pass
    shutil.chown(target, host.uid, host.gid)
    os.symlink(target, path)
    fails_to_start(host, "netmgr.db")
    assert os.path.getsize(target) == 0
    os.unlink(path)
    os.mkdir(path)
    fails_to_start(host, "netmgr.db")
    assert os.path.isdir(path)
    os.rmdir(path)
    host.netmgrd.start()


def test_owner_and_mode(host):
    a = host.add(routed("net1", "10.97.0.0/24"))
    host.netmgrd.stop()
    path = f"{host.state_dir}/netmgr.db"
    os.chown(path, 0, 0)
    fails_to_start(host, "netmgr.db", "permission denied")
    os.chown(path, host.uid, host.gid)
    os.chmod(path, 0o666)
    host.netmgrd.start()
    assert os.stat(path).st_mode & 0o777 == 0o600
    a.check().expect_ok()


def test_no_directory(host):
    host.netmgrd.stop()
    os.rename(host.state_dir, host.state_dir + ".away")
    fails_to_start(host, host.state_dir, "no such file")
    assert not os.path.exists(host.state_dir)
    os.rename(host.state_dir + ".away", host.state_dir)
    host.netmgrd.start()


# --- the clock -----------------------------------------------------------------------------------

def test_clock_set_back():
    """Release times in the future: the address is free again, at once rather than never."""
    with preloaded(CONF + "[Addresses]\nCooldownSec=3600\n") as (host, faults):
        conf = routed("net1", "10.97.0.0/29")
        faults.set_clock(10 * 86400)
        for restart in (False, True):
            a = host.add(conf)
            a.delete().expect_ok()
            settle(lambda: [r for r in host.sql("SELECT released_usec FROM address")
                            if r["released_usec"] > (time.time() + 86400) * 1e6], "a release in ten days")
            faults.set_clock(0)
            if restart:
                host.netmgrd.restart()
            # its rest is over: it may be given out, and its row goes with the next ADD
            b = host.add(conf)
            assert host.sql("SELECT * FROM address WHERE released_usec > 0") == []
            c = host.add(routed("net1", "10.97.0.0/29", args={"cni": {"ips": a.ips}}))
            assert c.ips == a.ips
            for x in (b, c):
                x.delete().expect_ok()
            host.netmgrd.restart()
            faults.set_clock(20 * 86400)
        host.finish()
