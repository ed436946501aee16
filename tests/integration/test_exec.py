# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgr-exec: plugins of others are told what has ended although no runtime comes to run them."""
import contextlib
import json
import os
import signal
import socket
import threading

import pytest
from delegates import NAME, Delegates, error
from netmgr_host import LIMIT, MANAGER, ROOT, RUNTIME, settle

pytestmark = pytest.mark.host(exec_plugins="others")
REAL = "exec /usr/lib/cni/host-local"


@pytest.fixture
def others(host):
    return Delegates(host)


def add(host, others, conf, **keys):
    a = host.add(conf, env=others.env, **keys)
    a.env = others.env
    return a


def states(host):
    return {f"{r['sandbox']}/{r['ifname']}": r["state"] for r in host.sql("SELECT * FROM attachment")}


def await_states(host, expected):
    settle(lambda: states(host) == expected, lambda: f"attachments {expected}, not {states(host)}\n{host.logs()}")


def await_pending(host, *attachments):
    settle(lambda: {x["Sandbox"]: x["State"] for x in host.describe("attachments")} ==
           {a.cid: "releasing" for a in attachments} and
           host.netmgrd.text().count("still has to be told") >= len(attachments),
           lambda: "they wait for their plugin\n" + host.logs())


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def read_pid(path):
    settle(lambda: os.path.exists(path) and os.path.getsize(path), f"a pid in {path}")
    with open(path) as f:
        return int(f.read())


def gone(*attachments):
    for a in attachments:
        a.live = False


def del_without_tickets(host, a, conf):
    """As a caller who runs nothing."""
    host.call(ROOT, RUNTIME, "Del", "a{sv}", 4, "Type", "s", "netmgr", "ContainerId", "s", a.cid, "IfName", "s", "eth0",
              "Config", "s", json.dumps(conf))
    gone(a)


# --- ends without a runtime ------------------------------------------------------------------------

@pytest.mark.sanitize
def test_a_dead_sandbox(host, others):
    """Nobody calls DEL: netmgrd finds it dead, and the plugin gets its address back."""
    conf = others.conf()
    a, b = add(host, others, conf, args="IgnoreUnknown=1;K8S_POD_NAME=p"), add(host, others, conf)
    text = a.conf if isinstance(a.conf, str) else json.dumps(a.conf)
    others.forget()
    a.pod.delete()
    await_states(host, {f"{b.cid}/eth0": "up"})
    assert others.reserved() == {b.ips[0]: f"{b.cid}/eth0"}
    [call] = others.calls()
    assert {k: v for k, v in call.items() if k != "PROGRAM"} == {
                    "CNI_COMMAND": "DEL", "CNI_CONTAINERID": a.cid, "CNI_IFNAME": "eth0", "CNI_NETNS": "",
                    "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=p", "CNI_PATH": others.dir, "stdin": text}
    gone(a)
    b.delete(env=b.env).expect_ok()


def test_the_environment_of_a_plugin(host, others):
    others.put("curious", f"if [ $CNI_COMMAND = DEL ]; then env > {others.data}/env; cat /proc/self/status > "
               f"{others.data}/status; fi; {REAL}")
    a = add(host, others, others.conf(plugin="curious"))
    a.pod.delete()
    await_states(host, {})
    with open(f"{others.data}/env") as f:
        names = {line.split("=")[0] for line in f}
    assert names - {"PWD", "OLDPWD", "SHLVL", "_"} == {
        "PATH", "CNI_COMMAND", "CNI_CONTAINERID", "CNI_IFNAME", "CNI_NETNS", "CNI_ARGS", "CNI_PATH"}
    with open(f"{others.data}/status") as f:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    assert int(status["SigBlk"], 16) == 0 and status["Uid"].split() == ["0"] * 4
    gone(a)


def test_the_path_of_a_living_namespace(host, others):
    """It is passed as long as it leads to the sandbox; never when it leads to another one."""
    conf = others.conf()
    a, b = add(host, others, conf), add(host, others, conf)
    others.forget()
    del_without_tickets(host, a, conf)
    await_states(host, {f"{b.cid}/eth0": "up"})
    assert [c["CNI_NETNS"] for c in others.calls()] == [a.pod.path]
    others.forget()
    host.run(["sh", "-c", f"ip netns delete {b.pod.name} && ip netns add {b.pod.name}"])
    await_states(host, {})
    assert [c["CNI_NETNS"] for c in others.calls()] == [""]
    assert others.reserved() == {}
    gone(b)


@pytest.mark.sanitize
def test_after_a_reboot(host, others, tmp_path):
    a = add(host, others, others.conf(), args="IgnoreUnknown=1")
    host.netmgrd.stop()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("11111111-2222-3333-4444-555555555555\n")
    host.run(["mount", "--bind", str(boot_id), "/proc/sys/kernel/random/boot_id"])
    host.run(["sh", "-c", "for l in $(ip -o link | grep -oE 'nm[gb][^ :@]*' | sort -u); do ip link delete $l || :; done"])
    a.pod.delete()
    others.forget()
    host.netmgrd.start()
    await_states(host, {})
    assert others.commands() == ["DEL"] and others.reserved() == {}
    gone(a)
    host.run(["umount", "/proc/sys/kernel/random/boot_id"])


def test_a_spooled_del(host, others):
    a = add(host, others, others.conf())
    host.netmgrd.stop()
    others.forget()
    a.delete(env={**a.env, "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"}).expect_ok()
    assert others.calls() == []
    host.netmgrd.start()
    await_states(host, {})
    settle(lambda: not os.listdir(f"{host.dir}/spool"), "the spool is empty")
    assert others.commands() == ["DEL"] and others.reserved() == {}


@pytest.mark.sanitize
@pytest.mark.parametrize("way", ["CollectGarbage", "GC without tickets", "GC", "ADD"])
def test_a_plugin_that_failed_is_tried_again(host, others, way):
    """By whoever comes, before netmgrd's own time for it has."""
    conf = others.conf()
    others.put(NAME, f"if [ $CNI_COMMAND = DEL ] && [ ! -e {others.data}/well ]; then {error(42, 'no database')}; fi; {REAL}")
    a = add(host, others, conf)
    a.pod.delete()
    await_pending(host, a)
    assert "no database" in host.netmgrd.text()
    assert host.get_property(ROOT, MANAGER, "Health") == "ok"
    others.forget()
    answer = host.manager("CollectGarbage", "a{sv}", 0)
    assert others.commands() == ["DEL"], answer  # it was asked, and still waits
    await_pending(host, a)
    open(f"{others.data}/well", "w").close()
    others.forget()
    gc = {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    if way == "CollectGarbage":
        host.manager("CollectGarbage", "a{sv}", 0)
    elif way == "GC without tickets":
        host.call(ROOT, RUNTIME, "CollectGarbage", "a{sv}", 2, "Type", "s", "netmgr", "Config", "s", json.dumps(gc))
    elif way == "GC":
        host.cni("GC", gc, env=others.env).expect_ok()
    else:
        pod = host.pod()
        b = add(host, others, conf, pod=pod, cid=a.cid)
        assert others.commands() == ["DEL", "ADD"]
        b.delete(env=b.env).expect_ok()
    await_states(host, {})
    assert others.commands()[0] == "DEL" and others.reserved() == {}
    gone(a)


def test_netmgrd_tries_again_by_itself(host, others):
    """A plugin that failed is asked again after a while (EXEC_RETRY_FIRST_SEC), without anybody's doing."""
    others.put(NAME, f"if [ $CNI_COMMAND = DEL ] && [ ! -e {others.data}/well ]; then {error(42, 'no database')}; fi; {REAL}")
    a = add(host, others, others.conf())
    a.pod.delete()
    await_pending(host, a)
    open(f"{others.data}/well", "w").close()
    others.forget()
    settle(lambda: states(host) == {}, "it was told", limit=3 * LIMIT)
    assert others.commands() == ["DEL"] and others.reserved() == {}
    gone(a)


# --- netmgr-exec comes and goes --------------------------------------------------------------------

def health(host):
    return host.get_property(ROOT, MANAGER, "Health"), host.ctl("status").stdout


@pytest.mark.sanitize
@pytest.mark.parametrize("directory", ["stays", "comes with it"])
def test_netmgr_exec_is_not_there(host, others, directory):
    """What ends meanwhile waits, Health says for what, and nobody has to do anything when it is back."""
    host.exec.stop()
    if directory != "stays":
        host.run(["rm", "-r", "/run/netmgr-exec"])
    else:
        assert os.path.exists(f"/proc/{host.holder.pid}/root/run/netmgr-exec/exec.sock")  # nobody listens on it
    conf = others.conf()
    many = [add(host, others, conf) for _ in range(3)]
    others.forget()
    assert health(host)[0] == "ok"
    for a in many:
        a.pod.delete()
    await_pending(host, *many)
    state, words = health(host)
    assert state == "degraded" and "netmgr-exec" in words, words
    host.netmgrd.restart()
    await_pending(host, *many)
    assert others.calls() == [] and len(others.reserved()) == 3
    if directory != "stays":
        host.run(["mkdir", "/run/netmgr-exec"])
    host.exec.start()
    await_states(host, {})
    assert others.commands() == ["DEL"] * 3 and others.reserved() == {}
    settle(lambda: health(host)[0] == "ok", "well again")
    gone(*many)


def test_a_runtime_does_it_meanwhile(host, others):
    """netmgr-exec is not needed any more then."""
    host.exec.stop()
    a = add(host, others, others.conf())
    a.pod.delete()
    await_pending(host, a)
    settle(lambda: health(host)[0] == "degraded", "Health tells")
    a.delete(env=a.env, netns="").expect_ok()
    await_states(host, {})
    settle(lambda: health(host)[0] == "ok", "well again")


def slow_del(others):
    """A plugin whose DEL waits, with a child; removing the file `slow` makes it quick."""
    open(f"{others.data}/slow", "w").close()
    others.put("slow", f"if [ $CNI_COMMAND = DEL ] && [ -e {others.data}/slow ]; then sleep 1000 & echo $! > {others.data}/pid; "
               f"wait; fi; {REAL}")
    return others.conf(plugin="slow")


@pytest.mark.sanitize
def test_netmgrd_is_killed_while_a_plugin_runs(host, others):
    """The plugin ends with it, and is run again after the start."""
    a = add(host, others, slow_del(others))
    others.forget()
    a.pod.delete()
    pid = read_pid(f"{others.data}/pid")
    host.netmgrd.kill()
    settle(lambda: has_ended(pid), "what the plugin had started has ended, too")
    assert others.commands() == ["DEL"] and len(others.reserved()) == 1
    os.unlink(f"{others.data}/slow")
    host.netmgrd.start()
    await_states(host, {})
    assert others.commands() == ["DEL", "DEL"] and others.reserved() == {}
    gone(a)


@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_netmgr_exec_ends_while_a_plugin_runs(host, others, sig):
    a = add(host, others, slow_del(others))
    a.pod.delete()
    pid = read_pid(f"{others.data}/pid")
    host.exec.stop(sig)
    await_pending(host, a)
    if sig == signal.SIGTERM:
        settle(lambda: has_ended(pid), "what the plugin had started has ended, too")
    else:
        os.kill(pid, signal.SIGKILL)
    os.unlink(f"{others.data}/slow")
    host.exec.start()
    await_states(host, {})
    assert others.reserved() == {}
    gone(a)


def test_netmgrd_stops_while_a_plugin_runs(host, others):
    """It does not wait for it."""
    a = add(host, others, slow_del(others))
    a.pod.delete()
    pid = read_pid(f"{others.data}/pid")
    assert host.netmgrd.stop() == 0
    settle(lambda: has_ended(pid), "the plugin has ended, too")
    os.unlink(f"{others.data}/slow")
    host.netmgrd.start()
    await_states(host, {})
    gone(a)


def test_a_runtimes_del_waits_for_it(host, others):
    """Never two of one attachment at a time."""
    gate = f"{others.data}/gate"
    os.mkfifo(gate)
    others.put("slow", f"if [ $CNI_COMMAND = DEL ]; then read x < {gate}; fi; {REAL}")
    conf = others.conf(plugin="slow")
    a = add(host, others, conf)
    others.forget()
    a.pod.delete()
    settle(lambda: others.commands() == ["DEL"], "the plugin runs")
    replies = []
    t = threading.Thread(target=lambda: replies.append(a.delete(env=a.env, netns="")))
    t.start()
    settle(lambda: host.describe("attachments"), "netmgrd answers meanwhile")
    assert not replies and others.commands() == ["DEL"]
    with open(gate, "w") as f:
        f.write("go\n")
    t.join(LIMIT)
    replies[0].expect_ok()
    await_states(host, {})
    assert others.commands() == ["DEL"] and others.reserved() == {}


def test_eight_at_a_time(host, others):
    """The others wait, and netmgrd answers meanwhile."""
    gate, running, counts = (f"{others.data}/{x}" for x in ("gate", "running", "counts"))
    os.mkfifo(gate)
    os.mkdir(running)
    others.put("slow", f"if [ $CNI_COMMAND = DEL ]; then mkdir {running}/$$; ls {running} | wc -l >> {counts}; read x < {gate}; "
               f"rmdir {running}/$$; fi; {REAL}")
    conf = others.conf(plugin="slow")
    pods = host.make_pods(20)
    many = host.parallel(20, lambda i: add(host, others, conf, pod=pods[i]))
    for pod in pods:
        pod.delete()
    settle(lambda: len(os.listdir(running)) == 8, lambda: f"eight run, not {os.listdir(running)}")
    assert len(host.describe("attachments")) == 20
    keep = os.open(gate, os.O_RDWR)

    def feed():
        os.write(keep, b"go\n")
        return not states(host)
    settle(feed, "all have ended")
    os.close(keep)
    with open(counts) as f:
        assert max(map(int, f)) == 8
    assert others.reserved() == {}
    gone(*many)


# --- what it is asked ------------------------------------------------------------------------------

@contextlib.contextmanager
def connected(host, uid=None):
    """A connection as that user has it (netmgr)."""
    run, back = (os.open(p, os.O_PATH | os.O_DIRECTORY) for p in (f"/proc/{host.holder.pid}/root/run/netmgr-exec", "."))
    s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    s.settimeout(LIMIT)
    try:
        os.fchdir(run)
        os.seteuid(host.uid if uid is None else uid)
        s.connect("exec.sock")
    finally:
        os.seteuid(0)
        os.fchdir(back)
        os.close(run)
        os.close(back)
    with s:
        yield s


def talk(s, data):
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
    found = b""
    with contextlib.suppress(ConnectionResetError):  # its end, when it has not read all
        while piece := s.recv(65536):
            found += piece
    return json.loads(found) if found else None


def ticket(others, **keys):
    t = {"netmgr.ticket": "", "do": "exec", "timeoutMs": 10000, "command": "DEL", "plugin": NAME, "containerId": "c1",
         "ifName": "eth0", "netns": "", "args": "", "config": json.dumps(others.conf()), **keys}
    return json.dumps({k: v for k, v in t.items() if v is not None})


def ask(host, others, **keys):
    with connected(host) as s:
        return talk(s, ticket(others, **keys).encode())


@pytest.mark.sanitize
def test_a_ticket(host, others):
    answer = ask(host, others, command="ADD", netns="/run/netns/x")
    assert answer["exit"] == 0 and json.loads(answer["stdout"])["ips"][0]["address"] == "10.97.0.2/24"
    assert ask(host, others, command="CHECK", config=json.dumps({**others.conf(), "prevResult": json.loads(answer["stdout"])}),
               netns="/run/netns/x") == {"exit": 0, "stdout": ""}
    assert ask(host, others) == {"exit": 0, "stdout": ""}
    assert others.commands() == ["ADD", "CHECK", "DEL"]
    others.put("modern", "cat > /dev/null")
    for command in ("GC", "STATUS"):
        nothing = {"containerId": None, "ifName": None, "netns": None, "args": None}
        assert ask(host, others, plugin="modern", command=command, **nothing) == {"exit": 0, "stdout": ""}
    assert others.commands()[3:] == ["GC", "STATUS"]


REFUSED = {
    "another task": {"do": "read-host-local"},
    "a file": {"do": "read-resolv-conf", "path": "/etc/shadow"},
    "no task": {"do": "reboot"},
    "a verb that is none": {"command": "VERSION"},
    "a lower-case verb": {"command": "del"},
    "a path": {"plugin": "../bin/sh"},
    "a path below": {"plugin": "a/b"},
    "dots": {"plugin": ".."},
    "one of netmgr's own": {"plugin": "bridge"},
    "no plugin": {"plugin": None},
    "no configuration": {"config": None},
    "no container": {"containerId": None},
    "a container ID that is none": {"containerId": "../c"},
    "no interface": {"ifName": None},
    "an interface that is none": {"ifName": "a/b"},
    "no netns": {"netns": None},
    "a netns that is none": {"netns": "x"},
    "a netns with a line": {"netns": "/x\nLD_PRELOAD=/x"},
    "args with a line": {"args": "A=1\nB=2"},
    "args that are endless": {"args": "x" * 20000},
    "no args": {"args": None},
    "no time": {"timeoutMs": 0},
    "all the time": {"timeoutMs": 4000000000},
    "more than is known": {"more": 1},
    "a plugin that is not there": {"plugin": "absent"},
}


@pytest.mark.sanitize
def test_requests_that_are_refused(host, others):
    for what, keys in REFUSED.items():
        answer = ask(host, others, **keys)
        assert answer["exit"] == -1 and json.loads(answer["stdout"])["msg"], (what, answer)
    for data in (b"x", b"{}", b"[]", b"\0", b'{"netmgr.ticket":', b'{"netmgr.ticket":""}', b"\xff\xfe", b"[" * 100000,
                 ticket(others).encode()[:-1], ticket(others).encode() + b"\0", ticket(others).encode() + b"{}",
                 ticket(others, config="x" * (1 << 20)).encode(), b" " * (3 << 20)):
        with connected(host) as s:
            answer = talk(s, data)
        assert answer["exit"] == -1 and json.loads(answer["stdout"])["code"] > 0, (data[:64], answer)
    assert others.calls() == []
    assert ask(host, others) == {"exit": 0, "stdout": ""}


@pytest.mark.parametrize("uid", [0, 65534])
def test_only_netmgrd_may_ask(host, others, uid):
    with connected(host, uid) as s:
        assert talk(s, ticket(others).encode()) is None
    assert others.calls() == []
    assert f"connection of uid {uid} refused" in host.exec.text()


@pytest.mark.sanitize
def test_connections_that_say_nothing(host, others):
    """They end with their time, and those behind them come to their turn; one that asks is answered all the while."""
    with contextlib.ExitStack() as many:
        silent = [many.enter_context(connected(host)) for _ in range(7)]
        for s in silent[1:]:
            s.sendall(b'{"netmgr.ticket":')
        assert ask(host, others) == {"exit": 0, "stdout": ""}
        for _ in range(3):
            many.enter_context(connected(host))
        assert ask(host, others) == {"exit": 0, "stdout": ""}
        for s in silent:
            assert json.loads(talk(s, b"")["stdout"])["code"] == 11
    settle(lambda: len(host.exec.fds()) and not children(host.exec.pid), "its processes have ended")


def children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return f.read().split()


ENDINGS = {
    "a code": (error(77, "the moon is full"), 1, 77),
    "a status": ("cat > /dev/null; echo oops >&2; exit 3", 3, 999),
    "a signal": ("kill -SEGV $$", 139, 999),
    "more than is read": ("cat > /dev/null; head -c 2000000 /dev/zero | tr '\\0' x", -3, 999),
    "more than fits": ("cat > /dev/null; head -c 1048570 /dev/zero | tr '\\0' x", -3, 999),
    "no text": ("cat > /dev/null; printf '\\377\\376{}'", -3, 999),
    "a NUL": ("cat > /dev/null; printf '{}\\0{}'", -3, 999),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("what", ENDINGS)
def test_how_a_plugin_ends(host, others, what):
    script, status, code = ENDINGS[what]
    others.put("odd", script)
    answer = ask(host, others, plugin="odd", command="ADD", netns="/x")
    assert answer["exit"] == status
    assert json.loads(answer["stdout"])["code"] in (code, 0) or status < 0


@pytest.mark.parametrize("end", ["its time", "its caller", "its caller's answer"])
def test_a_plugin_ends_with_all_that_it_started(host, others, end):
    others.put("slow", f"sleep 1000 & echo $! > {others.data}/pid; wait")
    with connected(host) as s:
        s.sendall(ticket(others, plugin="slow", timeoutMs=1000 if end == "its time" else 60000).encode())
        s.shutdown(socket.SHUT_WR)
        pid = read_pid(f"{others.data}/pid")
        if end == "its time":
            assert json.loads(s.makefile().read())["exit"] == -2
        elif end == "its caller's answer":
            s.shutdown(socket.SHUT_RD)
    settle(lambda: has_ended(pid), "its child has ended")
    settle(lambda: not children(host.exec.pid), "and the process of the connection")


UNFIT = {
    "of another user": ["chown", "nobody", "{0}/unfit"],
    "writable by all": ["chmod", "0777", "{0}/unfit"],
    "writable by its group": ["chmod", "0775", "{0}/unfit"],
    "in a directory of others": ["chown", "nobody", "{0}"],
    "in a directory that all may write": ["chmod", "0777", "{0}"],
    "a link into one": ["sh", "-c", "mkdir -m 777 {0}/open && mv {0}/unfit {0}/open/ && ln -s open/unfit {0}/unfit"],
}


@pytest.mark.parametrize("what", UNFIT)
def test_programs_that_others_can_replace(host, others, what):
    """They are refused, the sentence tells which and why; once they are fit, the next try succeeds."""
    others.put("unfit", REAL)
    a = add(host, others, others.conf(plugin="unfit"))
    host.run([x.format(others.dir) for x in UNFIT[what]])
    others.forget()
    a.pod.delete()
    await_pending(host, a)
    assert "is not run as root" in host.netmgrd.text() and others.dir in host.netmgrd.text()
    assert others.calls() == []
    host.run(["sh", "-c", f"chown -R root {others.dir}; chmod -R go-w {others.dir}"])
    host.manager("CollectGarbage", "a{sv}", 0)
    await_states(host, {})
    assert others.reserved() == {}
    gone(a)


def test_it_is_root_and_nothing_is_left_open(host, others):
    before = dict(host.exec.fds())
    for _ in range(12):
        assert ask(host, others)["exit"] == 0
    settle(lambda: not children(host.exec.pid) and dict(host.exec.fds()) == before, "nothing is left open")
    r = host.run([f"{host.dir}/bin/netmgr-exec", "--socket=/run/x.sock"], user="nobody", check=False)
    assert r.returncode == 1 and "has to be root" in r.stderr
