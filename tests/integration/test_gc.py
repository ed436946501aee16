# SPDX-License-Identifier: LGPL-2.1-or-later
"""Garbage collection: CNI's GC with every form of its list, beside another runtime that uses the same
network name; netmgrctl gc; and what a reboot leaves. What lives is never taken."""
import uuid

import pytest
from netmgr_host import routed, settle

LOOPBACK = {"cniVersion": "1.0.0", "name": "cni-loopback", "type": "loopback"}
CONF = routed("pods", "10.97.0.0/22", version="1.1.0")
KEYS = ["cni.dev/valid-attachments", "cni.dev/attachments"]
NOT_GIVEN = object()


def valid(*attachments):
    return [{"containerID": a.cid, "ifname": a.ifname} for a in attachments]


def gc(host, conf=CONF, **keys):
    return host.cni("GC", {**conf, **{k: v for k, v in keys.items() if v is not NOT_GIVEN}})


def sandboxes(host):
    """What netmgrd has; the last rows are written after the answer."""
    return {s["Id"] for s in host.describe("sandboxes")}


def events(host, op):
    return {e["sandbox"]: e["reason"] for e in host.sql("SELECT * FROM event WHERE op = ?", op)}


def edit(host, *statements):
    """Changes the ledger while netmgrd is down, as the user that owns it."""
    host.run(["/usr/bin/python3", "-c", "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); "
              "[d.execute(s) for s in sys.argv[2:]]; d.commit()", f"{host.state_dir}/netmgr.db", *statements],
             user="netmgr")


def linger(host, a):
    """Undoes the mount of its namespace, in which a process lives on. Returns the process."""
    p = host.popen(["sh", "-c", "echo in; exec sleep infinity"], netns=a.pod, stdout=-1)
    assert p.stdout.readline() == b"in\n"
    a.pod.delete()
    return p


def end(p):
    p.kill()
    p.wait()
    p.stdout.close()


# --- CNI -----------------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("form", ["list", "empty", "null", "absent"])
@pytest.mark.parametrize("key", KEYS)
def test_every_form_spares_what_lives(host, key, form):
    """Not listed, but alive: it may be another runtime's. Dead: it goes, whatever the form."""
    live, dead, listed = (host.add(CONF) for _ in range(3))
    value = {"list": valid(listed), "empty": [], "null": None, "absent": NOT_GIVEN}[form]
    dead.pod.delete()
    gc(host, **{key: value}).expect_ok()
    # without a list only what is beyond doubt: the kernel may not have ended the namespace yet
    if form != "absent":
        assert sandboxes(host) == {live.cid, listed.cid}
    settle(lambda: sandboxes(host) == {live.cid, listed.cid}, "the dead one is released")
    for a in (live, listed):
        a.check().expect_ok()
    kept = f"eth0 of {live.cid} is not in the list, but stays: its network namespace lives"
    assert (kept in host.netmgrd.text()) == (form != "absent")
    assert f"eth0 of {listed.cid} is not in the list" not in host.netmgrd.text() or form in ("empty", "null")


def test_both_keys_are_one_list(host):
    a, b, c = (host.add(CONF) for _ in range(3))
    holders = [linger(host, x) for x in (a, b, c)]
    gc(host, **{KEYS[0]: valid(a), KEYS[1]: valid(b)}).expect_ok()
    assert sandboxes(host) == {a.cid, b.cid}
    for p in holders:
        end(p)
    settle(lambda: not sandboxes(host), "all are gone")


@pytest.mark.sanitize
def test_two_runtimes_one_network_name(host):
    """Each lists its own sandboxes only, and takes none of the other's."""
    ours, theirs = [host.add(CONF) for _ in range(2)], [host.add(CONF) for _ in range(2)]
    for mine in (ours, theirs):
        with host.unchanged():
            gc(host, **{KEYS[0]: valid(*mine), KEYS[1]: valid(*mine)}).expect_ok()
            gc(host, **{KEYS[0]: None, KEYS[1]: None}).expect_ok()
    for a in ours + theirs:
        a.check().expect_ok()
    theirs[0].pod.delete()
    gc(host, **{KEYS[0]: valid(*ours)}).expect_ok()
    assert sandboxes(host) == {a.cid for a in ours + theirs[1:]}


def test_path_gone_but_somebody_lives_in_it(host):
    """Disclaimed, and its maker removed the path: it goes, interface and all. Without a list it stays."""
    a, b = host.add(CONF), host.add(CONF)
    holder = linger(host, a)
    gc(host).expect_ok()
    gc(host, **{KEYS[0]: valid(a, b)}).expect_ok()
    assert sandboxes(host) == {a.cid, b.cid}
    host.wait_ping(a.ips[0])
    gc(host, **{KEYS[0]: valid(b)}).expect_ok()
    assert sandboxes(host) == {b.cid} and host.link(a.host_ifname) is None
    assert "no longer leads" in settle(lambda: events(host, "gc").get(a.cid), "the event is written")
    end(holder)


def test_a_claimed_one_is_its_runtimes_business(host):
    """The same, but a runtime has said that it is its own: it ends with its interface, not by another's list."""
    a, b = host.add(CONF), host.add(CONF)
    host.netmgrd.stop()
    edit(host, f"UPDATE sandbox SET runtime = 'containerd' WHERE id = '{a.cid}'")
    host.netmgrd.start()
    holder = linger(host, a)
    gc(host, **{KEYS[0]: valid(b)}).expect_ok()
    assert sandboxes(host) == {a.cid, b.cid}
    host.wait_ping(a.ips[0])
    end(holder)
    settle(lambda: sandboxes(host) == {b.cid}, "it ends with its namespace")


def test_other_networks_are_not_touched(host):
    a, b = host.add(CONF), host.add(routed("net2", "10.98.0.0/24"))
    holders = [linger(host, x) for x in (a, b)]
    gc(host, **{KEYS[0]: []}).expect_ok()
    assert sandboxes(host) == {b.cid}
    for p in holders:
        end(p)
    settle(lambda: not sandboxes(host), "all are gone")


def test_who_cannot_look_takes_nothing(host):
    """Without netmgr-nsd nobody can tell one namespace from another: GC says so, and is called again."""
    a, b = host.add(CONF), host.add(CONF)
    host.nsd.kill()
    b.pod.delete()
    gc(host, **{KEYS[0]: []}).expect_error(11, a.cid)
    settle(lambda: sandboxes(host) == {a.cid}, "what needs no look is released all the same")
    host.nsd.start()
    gc(host, **{KEYS[0]: []}).expect_ok()
    assert sandboxes(host) == {a.cid}


# --- netmgrctl gc --------------------------------------------------------------------------------

def dead_without_notice(host):
    """A sandbox without a host end whose mount was undone while its name stays: only the sweep, half a
    minute later, or somebody who asks finds it."""
    a = host.add(LOOPBACK, plugin="loopback", ifname="lo", cid=f"lost{next(host.numbers)}")
    host.run(["umount", a.pod.path])
    return a


@pytest.mark.sanitize
def test_by_hand(host):
    live, lone = host.add(CONF), host.add(LOOPBACK, plugin="loopback", ifname="lo")
    assert host.ctl_json("gc") == {"DryRun": False, "sandboxes": []}
    assert host.ctl("gc").stdout == "Nothing to release.\n"
    dead = dead_without_notice(host)
    described, = [s for s in host.describe("sandboxes") if s["Id"] == dead.cid]
    said = {**described, "Interfaces": ["lo"], "Addresses": ["127.0.0.1/8", "::1/128"],
            "Reason": "its network namespace is gone"}
    with host.unchanged():
        answer = host.ctl_json("gc", "--dry-run")
        said["Addresses"] = answer["sandboxes"][0]["Addresses"]
        assert answer == {"DryRun": True, "sandboxes": [{**said, "Action": "release"}]}
        words = host.ctl("gc", "--dry-run", check=True).stdout
        assert words.startswith(f"would be released: sandbox {dead.cid} (lo, ")
        assert words.endswith("): its network namespace is gone\n") and words.count("\n") == 1
        assert not events(host, "gc")
    assert host.ctl_json("gc") == {"DryRun": False, "sandboxes": [{**said, "Action": "released"}]}
    assert sandboxes(host) == {live.cid, lone.cid}  # the answer comes when it is done
    settle(lambda: events(host, "gc") == {dead.cid: "its network namespace is gone"}, "the event is written")
    dead2 = dead_without_notice(host)
    assert host.ctl("gc", check=True).stdout.startswith(f"released: sandbox {dead2.cid} (lo, ")
    for a in (live, lone, dead, dead2):
        a.delete().expect_ok()


def test_options(host):
    for args, name, word in ((["Dry", "b", "true"], "UnknownOption", "Dry"),
                             (["DryRun", "s", "yes"], "InvalidArgument", "DryRun")):
        r = host.busctl("call", "org.netmgr1", "/org/netmgr1", "org.netmgr1.Manager", "CollectGarbage", "a{sv}",
                        "1", *args, check=False)
        assert r.returncode != 0 and word in r.stderr, (name, r.stderr)
    assert host.ctl("reload", "--dry-run").returncode == 2
    assert host.ctl("gc", "now").returncode == 2
    assert host.ctl("gc", user="nobody").returncode == 4
    assert host.ctl("gc", "--dry-run", user="nobody").returncode == 4


# --- reboot --------------------------------------------------------------------------------------

def test_reboot_with_a_thousand_sandboxes(host):
    a = host.add(CONF)
    b = host.add(CONF)
    b.delete().expect_ok()  # its address rests
    settle(lambda: host.ledger()["address"] == 1, "the last rows of the DEL, which come after its answer")
    host.netmgrd.kill()
    a.pod.delete()
    settle(lambda: host.link(a.host_ifname) is None, "the kernel has ended the namespace")
    n = 1000
    count = f"WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < {n - 1}) "

    def clone(table, **other):
        columns = [r["name"] for r in host.sql(f"SELECT name FROM pragma_table_info('{table}')")]
        values = ", ".join(other.get(c, f"t.{c}") for c in columns)
        of = {"sandbox": "t.id", "attachment": "t.sandbox", "address": "t.sandbox"}[table]
        return f"{count} INSERT INTO {table} SELECT {values} FROM {table} AS t, c WHERE {of} = '{a.cid}'"
    edit(host, clone("sandbox", id="t.id || '-' || c.i"),
         clone("attachment", id="t.id + c.i + 1000", sandbox="t.sandbox || '-' || c.i",
               host_ifname="'nmg' || printf('%x', t.id + c.i + 1000)"),
         clone("address", attachment="t.attachment + c.i + 1000",
               address="'10.97.' || (c.i / 250 + 1) || '.' || (c.i % 250 + 1)", sandbox="t.sandbox || '-' || c.i"))
    assert host.ledger()["address"] == n
    with open(f"{host.dir}/boot_id", "w") as f:
        f.write(f"{uuid.uuid4()}\n")
    host.run(["mount", "--bind", f"{host.dir}/boot_id", "/proc/sys/kernel/random/boot_id"])
    try:
        host.netmgrd.start()
        assert host.ledger()["attachment"] == [] and host.ledger()["sandbox"] == []
        assert host.describe("addresses") == []  # not even resting
        assert host.sql("SELECT count(*) AS n, count(DISTINCT addresses) AS a FROM event WHERE op = 'reboot' "
                        "AND reason = 'the boot id changed'")[0] == {"n": n, "a": n}
        assert f"released {n} attachments of {n} sandboxes" in host.netmgrd.text()
        new = host.add(CONF)
        assert new.host_ifname != a.host_ifname  # ids are never used twice
        new.delete().expect_ok()
        host.netmgrd.stop()
    finally:
        host.run(["umount", "/proc/sys/kernel/random/boot_id"])
    host.netmgrd.start()
    a.live = False
