# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who had which address when and what ended it; repairs and reaps as journal messages and counters."""
import datetime
import json
import os
import pathlib
import re
import socket
import struct
import subprocess
import time
import uuid

import pytest
from netmgr_host import BUS, MANAGER, ROOT, TOP, bridge, netconf, routed, settle
from test_dbus import Monitor
from test_gc import end, linger

POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web;K8S_POD_UID=u1"
IDS = dict(re.findall(r'#define LOG_ID_(\w+) +"(\w+)"', pathlib.Path(TOP, "netmgr/base/log-ids.h").read_text()))


def history(host, what="", **options):
    """Manager.History as the list of its entries, oldest first"""
    words = [w for k, v in options.items() for w in (k, "t", v)]
    answer = json.loads(host.manager("History", "sa{sv}", what, len(options), *words)[0])
    assert set(answer) == {"history", "Truncated"}, answer
    return answer["history"]


def refused(host, what, **options):
    """The name of the error without our prefix, and its sentence."""
    import dbus
    bus = host.bus()
    kinds = {int: dbus.UInt64, str: dbus.String}
    try:
        with pytest.raises(dbus.DBusException) as e:
            bus.call_blocking(BUS, ROOT, MANAGER, "History", "sa{sv}",
                              (what, {k: kinds[type(v)](v) for k, v in options.items()}))
    finally:
        bus.close()
    return e.value.get_dbus_name().removeprefix("org.netmgr1.Error."), e.value.get_dbus_message()


def ends(entries):
    return [(e["Sandbox"], e["Interface"], e["EndedBy"]) for e in entries]


def settled(host, what, wanted):
    """The last rows of a DEL are written after its answer."""
    settle(lambda: ends(history(host, what)) == wanted, lambda: f"{ends(history(host, what))} is {wanted}")
    return history(host, what)


def seconds(text):
    """Of an RFC 3339 time, by a parser that is not ours"""
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text), text
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# --- who had it, and what ended it ----------------------------------------------------------------

@pytest.mark.sanitize
def test_held_and_given_back(host):
    before = int(time.time())
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64", capabilities={"portMappings": True},
                        runtimeConfig={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}),
                 cid="box", args=POD)
    held, = history(host)
    assert held == {**held, "Sandbox": "box", "Interface": "eth0", "Network": "net1", "HostInterface": a.host_ifname,
                    "PodNamespace": "space", "PodName": "web", "PodUID": "u1", "Until": None, "EndedBy": "",
                    "Reason": "", "Addresses": a.cidrs, "Changes": [],
                    "Ports": ["0.0.0.0:8080->80/tcp", "[::]:8080->80/tcp"]}
    assert a.host_ifname == "nmg%x" % held["Attachment"]
    assert before <= seconds(held["Since"]) <= time.time()

    for method, args in (("AddPort", ("sqqa{sv}", "udp", 53, 53, 0)), ("RemovePort", ("sqa{sv}", "tcp", 8080, 0))):
        host.call(ROOT + "/sandbox/box/eth0", "org.netmgr1.Attachment", method, *args)
    a.delete().expect_ok()
    gone, = settled(host, "", [("box", "eth0", "del")])
    udp, tcp = ([f"0.0.0.0:{x}", f"[::]:{x}"] for x in ("53->53/udp", "8080->80/tcp"))
    assert [(c["Operation"], c["Ports"]) for c in gone["Changes"]] == [("add-port", udp), ("remove-port", tcp)]
    assert gone == {**held, "Until": gone["Until"], "EndedBy": "del", "Ports": udp, "Changes": gone["Changes"]}
    assert seconds(gone["Since"]) <= seconds(gone["Until"]) <= time.time()
    # and as rows, for who reads the ledger
    assert [r["op"] for r in host.sql("SELECT op FROM event ORDER BY seq")] == ["add", "add-port", "remove-port", "del"]


def test_one_address_and_its_holders(host):
    """The only address of a range goes from one sandbox to the next."""
    conf = netconf("net1", [{"subnet": "10.97.0.0/24", "rangeStart": "10.97.0.9", "rangeEnd": "10.97.0.9"}])
    for cid in ("first", "second", "third"):
        a = host.add(conf, cid=cid)
        if cid != "third":
            a.delete().expect_ok()
    other = host.add(routed("net2", "10.97.2.0/24"), cid="other")
    wanted = [("first", "eth0", "del"), ("second", "eth0", "del"), ("third", "eth0", "")]
    entries = settled(host, "10.97.0.9", wanted)
    assert [e["Addresses"] for e in entries] == [["10.97.0.9/32"]] * 3
    assert all(seconds(x["Until"]) <= seconds(y["Since"]) for x, y in zip(entries, entries[1:]))
    assert history(host, "10.97.0.9/32") == entries  # as lists write it
    assert ends(history(host, "10.97.0.10")) == []
    assert ends(history(host, other.ips[0])) == [("other", "eth0", "")]
    assert ends(history(host, "")) == wanted + [("other", "eth0", "")]


def test_by_sandbox_and_pod(host):
    one = host.add(routed(), cid="abcdef01", args=POD)
    host.add(routed("net2", "10.97.2.0/24", routes=[{"dst": "10.98.0.0/16"}]), one.pod, cid="abcdef01", ifname="eth1", args=POD)
    host.add(routed(), cid="abcdff02", args=POD.replace("web", "db"))
    host.add(routed(), cid="abc")
    one.delete().expect_ok()
    mine = [("abcdef01", "eth1", ""), ("abcdef01", "eth0", "del")]
    settled(host, "abcdef01", mine)
    assert ends(history(host, "abcde")) == mine
    assert ends(history(host, "space/web")) == mine
    assert ends(history(host, "space/db")) == [("abcdff02", "eth0", "")]
    assert ends(history(host, "abc")) == [("abc", "eth0", "")]  # whole; shorter ones are never completed
    for nobody in ("ab", "abcx", "space/none", "none/web", "192.0.2.9", "fd97::9"):
        assert history(host, nobody) == [], nobody
    name, sentence = refused(host, "abcd")
    assert name == "InvalidArgument" and "abcdef01" in sentence and "abcdff02" in sentence


@pytest.mark.sanitize
def test_gc_and_failed_adds(host):
    a, b = host.add(bridge("br1"), cid="listed"), host.add(bridge("br1"), cid="unlisted")
    process = linger(host, b)  # neither alive for sure nor dead: the list decides
    host.cni("GC", {**bridge("br1", version="1.1.0"),
                    "cni.dev/valid-attachments": [{"containerID": "listed", "ifname": "eth0"}]}).expect_ok()
    end(process)
    b.live = False
    gone, = settled(host, "unlisted", [("unlisted", "eth0", "gc")])
    assert "valid attachments" in gone["Reason"] and gone["Addresses"] == b.cidrs
    # the row is in when the wiring fails: the address was given, and taken back
    taken = f"nmg{gone['Attachment'] + 1:x}"
    host.run(["ip", "link", "add", taken, "type", "bridge"])
    reply, _ = host.try_add(bridge("br1"), cid="unlucky")
    host.run(["ip", "link", "delete", taken], check=False)
    assert not reply.ok
    failed, = settled(host, "unlucky", [("unlucky", "eth0", "add-failed")])
    assert failed["Addresses"] and failed["Reason"] and failed["Reason"] in reply.sentence
    a.check().expect_ok()


@pytest.mark.sanitize
def test_crash_and_death(host):
    """The sandbox died while the daemon was down; another was half made."""
    dead, half, alive = (host.add(routed(), cid=cid) for cid in ("dead", "half", "alive"))
    host.netmgrd.kill()
    dead.pod.delete()
    settle(lambda: host.link(dead.host_ifname) is None, "the kernel has ended the namespace")
    host.run(["/usr/bin/python3", "-c", "import sqlite3; d = sqlite3.connect('%s/netmgr.db'); d.execute(\"UPDATE attachment "
              "SET state = 'planned', result = NULL WHERE sandbox = 'half'\"); d.commit()" % host.state_dir], user="netmgr")
    host.netmgrd.start()
    dead.live = half.live = False
    for x, by, reason in ((dead, "gone", "network namespace is gone"), (half, "recover", "middle of its ADD")):
        gone, = settled(host, x.cid, [(x.cid, "eth0", by)])
        assert reason in gone["Reason"] and gone["Addresses"] == x.cidrs
    assert ends(history(host, "alive")) == [("alive", "eth0", "")]
    settle(lambda: host.get_property(ROOT, MANAGER, "Reaps") == 2, "both are counted")
    status = host.ctl_json("status")
    assert status["ReapsByReason"] == {"gone": 1, "recover": 1} and status["Reaps"] == 2 and status["Repairs"] == 0
    assert "gone=1,recover=1" in host.ctl("status", check=True).stdout
    alive.check().expect_ok()


def test_reboot(host):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box", args=POD)
    host.netmgrd.kill()
    a.pod.delete()
    for name in host.links():
        if name.startswith("nmg"):
            host.run(["ip", "link", "delete", name], check=False)
    with open(f"{host.dir}/boot_id", "w") as f:
        f.write(f"{uuid.uuid4()}\n")
    host.run(["mount", "--bind", f"{host.dir}/boot_id", "/proc/sys/kernel/random/boot_id"])
    try:
        host.netmgrd.start()
        a.live = False
        gone, = history(host, "space/web")
        assert (gone["EndedBy"], gone["Reason"]) == ("reboot", "the boot id changed")
        assert gone["Addresses"] == a.cidrs and seconds(gone["Since"]) <= seconds(gone["Until"])
        assert host.ctl_json("status")["ReapsByReason"] == {"reboot": 1}
        assert f"MESSAGE_ID={IDS['EARLIER_BOOT']}" in host.netmgrd.text()
        host.netmgrd.stop()
    finally:
        host.run(["umount", "/proc/sys/kernel/random/boot_id"])
    host.netmgrd.start()
    assert ends(history(host, a.ips[1])) == [("box", "eth0", "reboot")]


# --- limits, bad questions ------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("what, options, error, word", [
    ("10.97.0.999", {}, "InvalidArgument", "10.97.0.999"),
    ("fd97:::1", {}, "InvalidArgument", "fd97:::1"),
    ("a/b/c", {}, "InvalidArgument", "NAMESPACE/NAME"),
    ("/web", {}, "InvalidArgument", "NAMESPACE/NAME"),
    ("space/", {}, "InvalidArgument", "NAMESPACE/NAME"),
    ("sp\x1bace/web", {}, "InvalidArgument", "NAMESPACE/NAME"),
    ("box; DROP TABLE event", {}, "InvalidArgument", "DROP"),
    ("x" * 129, {}, "InvalidArgument", "xxx"),
    ("", {"Limit": 0}, "InvalidArgument", "Limit"),
    ("", {"Limit": 4097}, "InvalidArgument", "4096"),
    ("", {"Limit": 2 ** 32 + 1}, "InvalidArgument", "Limit"),
    ("", {"Limit": "10"}, "InvalidArgument", "'s'"),
    ("", {"Since": 2 ** 63}, "InvalidArgument", "Since"),
    ("", {"Colour": "blue"}, "UnknownOption", "Colour"),
])
def test_bad_questions(host, what, options, error, word):
    with host.unchanged():
        name, sentence = refused(host, what, **options)
        assert name == error and word in sentence, (name, sentence)


def test_everybody_may_ask(host):
    host.add(routed(), cid="box")
    assert json.loads(host.manager("History", "sa{sv}", "box", 0, user="nobody")[0])["history"]
    assert "box" in host.ctl("history", user="nobody", check=True).stdout


@pytest.mark.sanitize
def test_a_thousand_events_and_many_questions(host):
    """The newest are told, the daemon serves meanwhile, and every question is answered or refused."""
    a = host.add(routed("net1", "10.97.0.0/24"), cid="live")
    host.netmgrd.stop()
    host.run(["/usr/bin/python3", "-c", """
import sqlite3, sys
d = sqlite3.connect(sys.argv[1])
for i in range(1, 5001):
    q = d.execute("INSERT INTO event (usec, op, since_usec, attachment, network, sandbox, ifname, addresses) "
                  "VALUES (?, 'del', ?, ?, 'net1', ?, 'eth0', '10.97.0.7/32')", (i * 1000000, i * 1000000 - 1, 1000 + i, f'past{i}'))
    d.execute("INSERT INTO event_address VALUES ('10.97.0.7', ?, ?)", (i * 1000000, q.lastrowid))
d.commit()""", f"{host.state_dir}/netmgr.db"], user="netmgr")
    host.netmgrd.start()
    entries = history(host)
    assert len(entries) == 1000 and entries[-1]["Sandbox"] == "live" and entries[-2]["Sandbox"] == "past5000"
    assert [e["Sandbox"] for e in history(host, "10.97.0.7", Limit=3)] == ["past4998", "past4999", "past5000"]
    assert len(history(host, Limit=4096)) == 4096
    assert [e["Sandbox"] for e in history(host, Since=4999 * 1000000)] == ["past4999", "past5000", "live"]
    assert json.loads(host.manager("History", "sa{sv}", "", 1, "Limit", "t", 5)[0])["Truncated"] is True
    assert json.loads(host.manager("History", "sa{sv}", "past17", 0)[0])["Truncated"] is False

    import dbus
    import dbus.lowlevel
    bus = host.bus()
    for _ in range(60):
        m = dbus.lowlevel.MethodCallMessage(BUS, ROOT, MANAGER, "History")
        m.append("", {"Limit": dbus.UInt64(4096)}, signature="sa{sv}")
        bus.send_message(m)
    bus.flush()
    bus.close()  # who goes away harms nobody
    words = [["busctl", "--address=unix:path=/run/dbus/system_bus_socket", "call", BUS, ROOT, MANAGER, "History",
              "sa{sv}", "", "1", "Limit", "t", "4096"]] * 40
    def all_answered():
        """Who is told to try again later does so, and at last everybody has been answered."""
        nonlocal words
        running = [host.popen(w, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for w in words]
        done = [(p.communicate(timeout=60), p.returncode) for p in running]
        for (out, err), status in done:
            assert (status == 0 and b"past5000" in out) or b"try again later" in err, err
        words = [w for w, (_, status) in zip(words, done) if status != 0]
        return not words
    settle(all_answered, "answers for everybody")
    a.check().expect_ok()
    assert host.add(routed("net1", "10.97.0.0/24")).ips
    assert len(history(host, Limit=5)) == 5


# --- netmgrctl ------------------------------------------------------------------------------------

def test_table(host):
    a = host.add(routed("net1", "10.97.0.0/24"), cid="box", args=POD)
    a.delete().expect_ok()
    settled(host, "", [("box", "eth0", "del")])
    host.add(routed("net1", "10.97.0.0/24"), cid="next")
    entries = history(host)
    tz = {"TZ": "IST-5:30"}
    lines = host.ctl("history", env=tz, check=True).stdout.splitlines()
    assert re.split(r"\s+", lines[0].strip()) == ["SINCE", "UNTIL", "ADDRESSES", "SANDBOX", "INTERFACE", "POD", "NETWORK",
                                                  "PORTS", "ENDED"]
    assert len(lines) == 3 and "box" in lines[1] and "next" in lines[2]  # the newest last

    rows = [x.split("\t") for x in host.ctl("--no-legend", "history", env=tz, check=True).stdout.splitlines()]

    def local(text):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds(text) + 5.5 * 3600))
    assert rows[0] == [local(entries[0]["Since"]), local(entries[0]["Until"]), a.cidrs[0], "box", "eth0", "space/web",
                       "net1", "-", "del"]
    assert rows[1][:2] == [local(entries[1]["Since"]), "-"] and rows[1][-1] == "-"

    assert host.ctl_json("history") == {"history": entries, "Truncated": False}
    assert host.ctl_json("history", a.ips[0])["history"] == [e for e in entries if a.cidrs[0] in e["Addresses"]]
    assert ends(host.ctl_json("history", "space/web")["history"]) == [("box", "eth0", "del")]
    assert ends(host.ctl_json("history", "-n", "1")["history"]) == [("next", "eth0", "")]
    assert ends(host.ctl_json("history", "--lines=1")["history"]) == [("next", "eth0", "")]
    assert len(host.ctl_json("history", "--since=-1h")["history"]) == 2
    assert len(host.ctl_json("history", "--since=yesterday", "next")["history"]) == 1
    assert ends(host.ctl_json("history", "--since=2100-01-01")["history"]) == [("next", "eth0", "")]
    assert host.ctl("history", "192.0.2.77", check=True).stdout == "No entries.\n"


@pytest.mark.parametrize("argv, status, word", [
    (["history", "a", "b"], 2, '"b"'), (["history", "-n", "0"], 2, "lines"), (["history", "-n", "x"], 2, "lines"),
    (["history", "-n", "4097"], 2, "4096"), (["history", "--since=soon"], 2, "--since=soon"),
    (["status", "--since=today"], 2, "since"), (["list", "networks", "-n", "3"], 2, "lines"),
    (["history", "10.97.0.999"], 1, "10.97.0.999"),
])
def test_bad_command_lines(host, argv, status, word):
    r = host.ctl(*argv)
    assert r.returncode == status and word in r.stderr and not r.stdout, r


# --- the journal ----------------------------------------------------------------------------------

class Journal:
    """The socket of journald in the private host: netmgrd sends its native protocol there."""

    def __init__(self, host):
        self.host = host
        host.run(["mkdir", "-p", "/run/systemd/journal"])
        self.path = f"/proc/{host.holder.pid}/root/run/systemd/journal/socket"
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(self.path)
        os.chmod(self.path, 0o666)
        self.socket.settimeout(30)
        host.netmgrd.stop()
        log = os.stat(host.netmgrd.log)  # its stderr; to netmgrd it is the journal's stream
        host.netmgrd.env["JOURNAL_STREAM"] = f"{log.st_dev}:{log.st_ino}"
        host.netmgrd.start()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()
        del self.host.netmgrd.env["JOURNAL_STREAM"]
        self.host.netmgrd.restart()
        os.unlink(self.path)

    @staticmethod
    def parse(data):
        fields = {}
        while data:
            line, _, rest = data.partition(b"\n")
            key, equals, value = line.partition(b"=")
            if not equals:  # binary: length and value follow
                size, = struct.unpack_from("<Q", rest)
                value, rest = rest[8:8 + size], rest[8 + size + 1:]
            fields[key.decode()] = value.decode()
            data = rest
        return fields

    def await_id(self, name):
        """The next message with the id."""
        while True:
            fields = self.parse(self.socket.recv(1 << 20))
            if fields.get("MESSAGE_ID") == IDS[name]:
                return fields


@pytest.mark.sanitize
def test_reaps_in_the_journal(host):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box")
    number = history(host, "box")[0]["Attachment"]
    with Journal(host) as journal:
        a.pod.delete()
        a.live = False
        fields = journal.await_id("REAPED")
        assert fields == {**fields, "NETMGR_SANDBOX": "box", "NETMGR_NETWORK": "net1", "INTERFACE": "eth0",
                          "NETMGR_OP": "gone", "NETMGR_ATTACHMENT": str(number), "NETMGR_ADDRESS": ",".join(a.cidrs),
                          "NETMGR_REASON": history(host, "box")[0]["Reason"], "PRIORITY": "5"}
        assert "network namespace is gone" in fields["NETMGR_REASON"]
        assert "box" in fields["MESSAGE"] and a.cidrs[0] in fields["MESSAGE"]
        settle(lambda: host.get_property(ROOT, MANAGER, "Reaps") == 1, "it is counted")
        host.add(routed(), cid="asked").delete().expect_ok()
        host.netmgrd.stop()
        while True:  # a DEL is no reap
            fields = Journal.parse(journal.socket.recv(1 << 20))
            assert fields.get("MESSAGE_ID") != IDS["REAPED"]
            if fields.get("NETMGR_OP") == "del":
                break


def test_health_and_ledger_in_the_journal(host):
    with Journal(host) as journal:
        network = f"{host.networks_dir}/bad.conflist"
        host.run(["sh", "-c", f"echo '{{' > {network}.tmp; mv {network}.tmp {network}"])
        sick = journal.await_id("DEGRADED")
        assert "bad.conflist" in sick["NETMGR_REASON"] and sick["PRIORITY"] == "4"
        host.run(["rm", network])
        well = journal.await_id("RECOVERED")
        assert well["NETMGR_REASON"] == sick["NETMGR_REASON"]
        host.netmgrd.stop()
        host.run(["sh", "-c", f"rm -f {host.state_dir}/netmgr.db-*; head -c 20000 /dev/urandom > {host.state_dir}/netmgr.db"])
        host.netmgrd.start()
        aside = journal.await_id("LEDGER_SET_ASIDE")
        assert "netmgr.db.damaged-" in aside["MESSAGE"] and aside["NETMGR_REASON"] and aside["PRIORITY"] == "3"


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Nftables]\nOwner=no\n")
def test_rebuilt_tables_in_the_journal(host):
    host.add(routed())
    with Journal(host) as journal:
        host.run(["nft", "flush", "ruleset"])
        fields = journal.await_id("TABLES_REBUILT")
        assert fields["NETMGR_PROGRAM"] == "nft" and "nft (pid" in fields["MESSAGE"]
        settle(lambda: host.ctl_json("status")["RepairsByKind"].get("tables", 0) >= 1, "it is counted")
        assert "tables=" in host.ctl("status", check=True).stdout
        assert host.get_property(ROOT, MANAGER, "Repairs") >= 1


def test_counters_are_signalled(host):
    """One PropertiesChanged for a burst of reaps."""
    host.add_many(routed("net1", "10.97.0.0/24"), 20)
    monitor = Monitor(host)
    try:
        host.run(["sh", "-c", 'for n in "$@"; do ip netns delete "$n" || exit; done', "sh", *[p.name for p in host.pods]])
        for a in host.attachments:
            a.live = a.pod.exists = False

        def changes():
            return [data[1]["Reaps"]["data"] for member, path, data in monitor.signals()
                    if (member, path) == ("PropertiesChanged", ROOT) and "Reaps" in data[1]]
        settle(lambda: changes()[-1:] == [20], lambda: f"20 are signalled, found {changes()}")
        assert len(changes()) < 20
    finally:
        monitor.stop()


def test_repairs_in_the_journal(host):
    """A person deletes the host's end of a living sandbox: it is made anew, told and counted; it held on all the time."""
    a = host.add(routed(), cid="box")
    before = history(host)
    with Journal(host) as journal:
        host.run(["ip", "link", "delete", a.host_ifname])
        fields = journal.await_id("REPAIRED")
        assert fields == {**fields, "NETMGR_SANDBOX": "box", "NETMGR_NETWORK": "net1", "INTERFACE": a.host_ifname,
                          "NETMGR_OP": "reconcile", "NETMGR_ATTACHMENT": str(before[0]["Attachment"]), "PRIORITY": "5"}
        assert fields["NETMGR_REASON"] in fields["MESSAGE"]
        settle(lambda: host.ctl_json("status")["RepairsByKind"] == {"link": 1}, "it is counted")
        assert host.get_property(ROOT, MANAGER, "Reaps") == 0
    a.check().expect_ok()
    assert history(host) == before
