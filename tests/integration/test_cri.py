# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a runtime has lost is released, and nothing else; and the question before the last addresses of
a range go. First adapters played over D-Bus, then netmgr-cri with a played runtime;
test_cri_containerd.py has the real one.
"""
import os
import re
import threading

import pytest
from cri_adapter import Adapter, FakeRuntime, boottime, field, netmgr_cri
from netmgr_host import ROOT, routed, settle


@pytest.fixture
def adapter(host, request):
    made = []

    def make(runtime, private=True):
        made.append(Adapter(host, runtime, private))
        return made[-1]
    yield make
    for a in made:
        a.close()


def runtimes(host):
    """{sandbox: runtime}, by the ledger and by the bus, which come to agree (rows are written after objects)"""
    both = []

    def agree():
        both[:] = [{r["id"]: r["runtime"] for r in host.sql("SELECT id, runtime FROM sandbox")},
                   {s["Id"]: s["Runtime"] for s in host.describe("sandboxes")}]
        return both[0] == both[1]
    settle(agree, lambda: f"ledger and bus agree: {both}")
    return both[0]


def gone(host, *attachments):
    """They were released behind the tests' back, with everything"""
    held = host.held()
    for a in attachments:
        assert not set(a.ips) & set(held)
        assert a.host_ifname not in host.links() and not a.pod.link(a.ifname)
        a.live = False


@pytest.mark.sanitize
@pytest.mark.parametrize("private", [True, False], ids=["private socket", "bus"])
def test_what_the_runtime_has_lost_is_released(host, adapter, private):
    a, b, c = (host.add(routed()) for _ in range(3))
    extra = host.add(routed("net2", "10.97.9.0/24", routes=[{"dst": "10.99.0.0/24"}]), a.pod, ifname="eth1")
    one = adapter("one", private)
    assert one.synchronize([a.cid, b.cid, c.cid]) == {"claimed": 3, "released": [], "failed": []}
    assert runtimes(host) == {x.cid: "one" for x in (a, b, c)}
    assert one.synchronize([a.cid, b.cid, c.cid])["claimed"] == 0
    result = one.synchronize([c.cid])
    assert sorted(result["released"]) == sorted([a.cid, b.cid])
    # the answer came after the rows
    assert host.ledger()["sandbox"] == [c.cid] and host.ledger()["address"] == 1
    gone(host, a, b, extra)
    c.check().expect_ok()
    events = host.sql("SELECT sandbox, ifname, reason FROM event WHERE op = 'synchronize'")
    assert {(e["sandbox"], e["ifname"]) for e in events} == {(a.cid, "eth0"), (a.cid, "eth1"), (b.cid, "eth0")}
    assert {e["reason"] for e in events} == {"not among the sandboxes of one"}
    assert a.cid in host.netmgrd.text() and "not among the sandboxes of one" in host.netmgrd.text()
    # an empty list of a runtime that answered is a list
    assert one.synchronize([])["released"] == [c.cid]
    gone(host, c)


@pytest.mark.sanitize
def test_what_nobody_or_another_runtime_claimed_is_left_alone(host, adapter):
    mine, theirs, nobodys = (host.add(routed()) for _ in range(3))
    one, two = adapter("one"), adapter("two", private=False)
    one.synchronize([mine.cid])
    two.synchronize([theirs.cid])
    with host.unchanged():
        assert one.synchronize([mine.cid, "unknown-to-us"])["released"] == []
        assert two.synchronize([theirs.cid])["released"] == []
        # whoever came first has it, and who lists it as well does not release it either
        assert two.synchronize([theirs.cid, mine.cid])["claimed"] == 0
        two.synchronize([theirs.cid, mine.cid], state="notready")
        states = {s["Id"]: s["State"] for s in host.describe("sandboxes")}
        assert states == {mine.cid: "ready", theirs.cid: "notready", nobodys.cid: "ready"}
        assert two.synchronize([theirs.cid])["released"] == []
    assert runtimes(host) == {mine.cid: "one", theirs.cid: "two", nobodys.cid: ""}
    assert two.synchronize([])["released"] == [theirs.cid]
    gone(host, theirs)
    for x in (mine, nobodys):
        x.check().expect_ok()


@pytest.mark.sanitize
def test_a_list_that_is_older_than_the_sandbox_releases_nothing(host, adapter):
    one = adapter("one")
    before = boottime()
    a = host.add(routed())
    between = boottime()
    one.synchronize([a.cid], began=between)
    with host.unchanged():
        assert one.synchronize([], began=before)["released"] == []
        assert one.synchronize([], began=between)["released"] == []
    b = host.add(routed())
    now = boottime()
    one.synchronize([a.cid, b.cid], began=now)
    assert one.synchronize([], began=now)["released"] == [], "listed by a question that was no earlier"
    assert sorted(one.synchronize([], began=now + 1)["released"]) == sorted([a.cid, b.cid])
    gone(host, a, b)


def test_claims_survive_the_daemon(host, adapter):
    a, b = host.add(routed()), host.add(routed())
    one = adapter("one")
    one.synchronize([a.cid])
    host.netmgrd.kill()
    host.netmgrd.start()
    assert runtimes(host) == {a.cid: "one", b.cid: ""}
    one = adapter("one")
    assert one.synchronize([])["released"] == [a.cid]
    gone(host, a)
    b.check().expect_ok()


def test_state_of_a_sandbox(host, adapter):
    a = host.add(routed())
    one = adapter("one")
    for state in ("ready", "notready", "ready"):
        one.synchronize([a.cid], state=state)
        assert host.get_property(f"{ROOT}/sandbox/{a.cid}", "org.netmgr1.Sandbox", "State") == state
        assert host.sql("SELECT state FROM sandbox")[0]["state"] == state
    one.synchronize([a.cid], state="notready")
    host.netmgrd.restart()
    assert host.describe("sandboxes")[0]["State"] == "notready"
    a.check().expect_ok()


@pytest.mark.sanitize
def test_bad_lists_are_refused_whole(host, adapter):
    import dbus
    one = adapter("one")
    a, b = host.add(routed()), host.add(routed())
    one.synchronize([a.cid, b.cid])

    def rows(*items, signature="(ss)"):
        return {"Sandboxes": dbus.Array(items, signature=signature)}
    with host.unchanged():
        for changes, words in (
                ({"Runtime": ""}, "Runtime"), ({"Runtime": "x" * 129}, "Runtime"), ({"Runtime": "a\nb"}, "Runtime"),
                ({"Runtime": dbus.UInt32(1)}, "Runtime"), ({"Runtime": None}, "Runtime"),
                ({"Began": None}, "Began"), ({"Began": "now"}, "Began"), ({"Began": dbus.UInt64(0)}, "Began"),
                ({"Began": dbus.UInt64(2**64 - 1)}, "Began"), ({"Sandboxes": None}, "Sandboxes"),
                ({"Sandboxes": "x"}, "Sandboxes"), (rows("x", signature="s"), "Sandboxes"),
                (rows((a.cid,), signature="(s)"), "Sandboxes"),
                (rows((a.cid, "ready"), ("", "ready")), "id"),
                (rows((a.cid, "ready"), ("../x", "ready")), "../x"),
                (rows(("x" * 129, "ready")), "128"), (rows((a.cid, "asleep")), "asleep"),
                (rows((a.cid, "ready"), (a.cid, "ready")), "twice"),
                (rows(*((f"s{i}", "ready") for i in range(65537))), "65536")):
            name, sentence = one.refused([], **changes)
            assert name == "InvalidArgument" and words in sentence, (changes, name, sentence)
        name, sentence = one.refused([], Colour="blue")
        assert name == "UnknownOption" and "Colour" in sentence
    for x in (a, b):
        x.check().expect_ok()


def test_synchronize_beside_adds_and_dels(host, adapter):
    """Lists that name what is there, while sandboxes come and go: none is harmed, none stays."""
    one = adapter("one")
    conf = routed("net1", "10.97.0.0/22")
    kept = host.add_many(conf, 5)
    stop = threading.Event()
    answers = []

    def lists():
        while not stop.is_set():
            began = boottime()
            ids = [s["Id"] for s in host.describe("sandboxes")]
            answers.append(one.synchronize(ids, began=began))
    thread = threading.Thread(target=lists)
    thread.start()
    try:
        for _ in range(3):
            host.delete_many(host.add_many(conf, 8))
    finally:
        stop.set()
        thread.join()
    assert answers and all(x["released"] == [] and x["failed"] == [] for x in answers)
    for a in kept:
        a.check().expect_ok()


@pytest.mark.sanitize
def test_lists_that_lose_what_is_being_deleted(host, adapter):
    """The runtime's DEL and the list without the sandbox come together: it ends once."""
    one = adapter("one")
    conf = routed("net1", "10.97.0.0/22")
    for _ in range(6):
        attached = host.add_many(conf, 12)
        ids = [a.cid for a in attached]
        assert one.synchronize(ids)["claimed"] == 12

        def end(i):
            if i < 12:
                attached[i].delete().expect_ok()
            else:
                assert one.synchronize([])["failed"] == []
        host.parallel(13, end, workers=13)
        assert host.held() == {} and host.ledger()["attachment"] == []
    ended = host.sql("SELECT sandbox, count(*) AS n FROM event WHERE op IN ('del', 'synchronize') GROUP BY sandbox")
    assert len(ended) == 72 and all(e["n"] == 1 for e in ended)


# --- the last tenth of a range -------------------------------------------------------------------

LATE = "did not say within"


@pytest.mark.sanitize
def test_adds_wait_for_an_adapter_that_says_nothing_but_not_for_ever(host, adapter):
    """Nine tenths are given out: the runtimes are asked, once for all ADDs; then the rest goes as ever."""
    conf = routed("net1", "10.97.0.0/28")  # 13 addresses
    host.add_many(conf, 12)
    host.add(routed("net2", "10.97.1.0/24"))
    assert LATE not in host.netmgrd.text(), "nobody is there to be asked"
    one = adapter("one")
    one.synchronize([])
    host.add(routed("net2", "10.97.1.0/24"))
    assert LATE not in host.netmgrd.text(), "that range has room"
    replies = host.parallel(3, lambda i: host.try_add(conf)[0])
    assert sorted(r.code for r in replies) == [0, 101, 101]
    assert host.netmgrd.text().count(LATE) == 1


# --- netmgr-cri with a played runtime ------------------------------------------------------------

@pytest.fixture
def played(host):
    """start(name, ids) -> FakeRuntime that netmgr-cri asks every second"""
    runtimes, daemons = [], []

    def start(*ids, name="fake", options=("--interval=1",)):
        runtime = FakeRuntime(host, name).start()
        runtimes.append(runtime)
        runtime.ids = list(ids)
        runtime.cri = netmgr_cri(host, f"--runtime-endpoint=unix://{runtime.socket}", f"--name={name}", *options,
                                 name=f"netmgr-cri-{name}")
        daemons.append(runtime.cri)
        runtime.cri.start()
        return runtime
    yield start
    statuses = [d.stop() for d in daemons]
    for r in runtimes:
        r.stop()
    for d in daemons:
        print(d.text())
    assert statuses == [0] * len(statuses)


@pytest.fixture
def open_socket(host, request):
    if request.param == "private socket":
        host.run(["chmod", "666", "/run/netmgr/runtime.sock"])
    return request.param


@pytest.mark.sanitize
@pytest.mark.parametrize("open_socket", ["private socket", "bus"], indirect=True)
def test_netmgr_cri_claims_and_releases(host, played, open_socket):
    a, b, c = (host.add(routed()) for _ in range(3))
    runtime = played(a.cid, b.cid)
    settle(lambda: runtimes(host) == {a.cid: "fake", b.cid: "fake", c.cid: ""}, "both are claimed")
    runtime.ids = [b.cid]
    settle(lambda: a.cid not in runtimes(host), "what is lost is released")
    gone(host, a)
    for x in (b, c):
        x.check().expect_ok()
    settle(lambda: "1 sandboxes that it no longer has were released" in runtime.cri.text(), "netmgr-cri says so")
    assert "2 sandboxes of played 7 at /run/fake.sock" in runtime.cri.text()
    status = runtime.cri.status()
    assert status["CapEff"].strip("0") == status["CapBnd"].strip("0") == ""
    assert set(status["Uid"].split()) != {"0"}
    # netmgrd comes and goes
    host.netmgrd.kill()
    host.netmgrd.start()
    if open_socket == "private socket":
        host.run(["chmod", "666", "/run/netmgr/runtime.sock"])
    runtime.ids = []
    settle(lambda: runtimes(host) == {c.cid: ""}, "the new netmgrd is told")
    gone(host, b)


@pytest.mark.sanitize
def test_two_runtimes_share_a_node(host, played):
    a, b = host.add(routed()), host.add(routed())
    one = played(a.cid, name="one")
    two = played(b.cid, name="two")
    settle(lambda: runtimes(host) == {a.cid: "one", b.cid: "two"}, "each has claimed its own")
    one.stop()
    two.wait_asked()
    assert runtimes(host) == {a.cid: "one", b.cid: "two"}
    two.ids = []
    settle(lambda: runtimes(host) == {a.cid: "one"}, "only its own is released")
    gone(host, b)
    a.check().expect_ok()


def malformed(runtime, grpc, case):
    def refuse(code, text):
        return lambda context: context.abort(code, text)
    def hang(context):
        done = threading.Event()
        context.add_callback(done.set)
        done.wait()
        return runtime.list()
    good = runtime.list()
    return {
        "unavailable": refuse(grpc.StatusCode.UNAVAILABLE, "server is not initialized yet"),
        "unimplemented": refuse(grpc.StatusCode.UNIMPLEMENTED, "unknown service"),
        "text with control bytes": refuse(grpc.StatusCode.INTERNAL, "a\nb\x1b[31m" + "x" * 5000),
        "garbage": lambda context: b"\x0a\xff\xff\xff\xff\x0f" + good,
        "cut": lambda context: field(1, field(1, "x" * 20))[:-5],
        "no id": lambda context: good + field(1, b""),
        "impossible id": lambda context: good + field(1, field(1, "../../etc")),
        "wrong type": lambda context: good + field(1, 5),
        "too many": lambda context: field(1, field(1, "x")) * 65537,
        "too large": lambda context: field(9, b"x" * (17 << 20)),
        "memory": lambda context: field(1, b"") * (4 << 20),
        "hang": hang,
    }[case]


@pytest.mark.sanitize
@pytest.mark.parametrize("case", ["unavailable", "unimplemented", "text with control bytes", "garbage", "cut", "no id",
                                  "impossible id", "wrong type", "too many", "too large", "memory", "hang"])
def test_an_answer_that_is_no_list_releases_nothing(host, played, case):
    import grpc
    a, b = host.add(routed()), host.add(routed())
    runtime = played(a.cid, b.cid)
    settle(lambda: set(runtimes(host).values()) == {"fake"}, "both are claimed")
    runtime.ids = []  # what the good part of an answer would say
    runtime.answer = malformed(runtime, grpc, case)
    before = runtime.cri.text().count("\n")
    if case == "hang":
        settle(lambda: "no answer within" in runtime.cri.text(), "patience ends")
    else:
        runtime.wait_asked(1)
    settle(lambda: "nothing is released" in runtime.cri.text(), "netmgr-cri says so")
    assert runtimes(host) == {a.cid: "fake", b.cid: "fake"}
    for x in (a, b):
        x.check().expect_ok()
    # one line for the change, however often it fails, and nothing in it that a terminal obeys
    new = runtime.cri.text().splitlines()[before:]
    assert len(new) == 1 and new[0].isprintable() and len(new[0]) < 600, new
    runtime.ids, runtime.answer = [b.cid], None
    settle(lambda: list(runtimes(host)) == [b.cid], "and it goes on when the runtime is well again")
    gone(host, a)


@pytest.mark.sanitize
def test_a_runtime_that_ends_takes_nothing_with_it(host, played):
    conf = routed("net1", "10.97.0.0/29")
    old = host.add_many(conf, 5)
    runtime = played(*(a.cid for a in old))
    settle(lambda: set(runtimes(host).values()) == {"fake"}, "claimed")
    runtime.stop()
    settle(lambda: "cannot be asked" in runtime.cri.text(), "netmgr-cri has noticed")
    runtime.ids = []
    assert set(runtimes(host).values()) == {"fake"}
    for a in old:
        a.check().expect_ok()
    # whoever has nobody to ask is not asked, and the ADD does not wait for it
    settle(lambda: not re.search(rf"\b{runtime.cri.pid}\b", host.busctl("list").stdout), "it has left the bus")
    host.describe("sandboxes")  # netmgrd has heard of that
    host.try_add(conf)[0].expect_error(101)
    assert LATE not in host.netmgrd.text()
    runtime.start()
    settle(lambda: runtimes(host) == {}, "back, and without its sandboxes")
    gone(host, *old)


@pytest.mark.sanitize
def test_a_server_that_is_no_grpc(host, played):
    """Bytes that are no HTTP/2, and a connection that is closed at once"""
    import socket
    a = host.add(routed())
    runtime = played(a.cid)
    settle(lambda: runtimes(host) == {a.cid: "fake"}, "claimed")
    runtime.stop()
    if os.path.exists(runtime.outside):
        os.unlink(runtime.outside)
    server = socket.socket(socket.AF_UNIX)
    server.bind(runtime.outside)
    os.chmod(runtime.outside, 0o666)
    server.listen()
    server.settimeout(30)
    with server:
        for said in (b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100000, b"\xff" * 9,
                     b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 2000):
            connection, _ = server.accept()
            with connection:
                try:
                    connection.sendall(said)
                except OSError:
                    pass  # it may have had enough
    assert runtimes(host) == {a.cid: "fake"}
    assert runtime.cri.running
    os.unlink(runtime.outside)
    runtime.start()
    runtime.wait_asked(1)
    a.check().expect_ok()


@pytest.mark.sanitize
def test_lost_sandboxes_give_way_before_a_range_is_full(host, played):
    """A /29 has five addresses; four are of sandboxes that the runtime has lost. netmgr-cri asks so
    seldom that only netmgrd's wish can make it ask in time."""
    conf = routed("net1", "10.97.0.0/29")
    old = host.add_many(conf, 5)
    runtime = played(*(a.cid for a in old), options=("--interval=86400",))
    settle(lambda: set(runtimes(host).values()) == {"fake"}, "all are claimed")
    runtime.ids = [old[0].cid]
    new = host.add(conf)
    gone(host, *old[1:])
    assert set(runtimes(host)) == {old[0].cid, new.cid}
    assert LATE not in host.netmgrd.text()
    old[0].check().expect_ok()
    # the range has room again: nobody is asked
    asked = runtime.asked
    host.add(conf)
    assert runtime.asked == asked


def test_wrong_usage(host):
    cri = f"{host.dir}/bin/netmgr-cri"
    for options, word in ((["--interval=0"], "--interval"), (["--interval=x"], "--interval"), (["--name=x"], "--name"),
                          (["--runtime-endpoint=tcp://x"], "--runtime-endpoint"),
                          (["--runtime-endpoint=/" + "x" * 128], "--runtime-endpoint"),
                          (["--runtime-endpoint=/a", "--runtime-endpoint=unix:///a"], "twice"),
                          ([f"--runtime-endpoint=/{i}" for i in range(9)], "8"),
                          (["--runtime-endpoint=/a", "--name="], "--name"), (["thing"], "thing")):
        r = host.run([cri, *options], check=False)
        assert r.returncode == 2 and word in r.stderr, (options, r)
    assert "--runtime-endpoint" in host.run([cri, "--help"]).stdout
    assert host.run([cri, "--version"]).stdout.startswith("netmgr-cri ")
