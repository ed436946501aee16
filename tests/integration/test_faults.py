# SPDX-License-Identifier: LGPL-2.1-or-later
"""Memory, sockets and files that fail: the n-th call of a class, in every operation.

For each operation, class and errno the n-th call fails, for n = 1, 2, 3 ... until the operation ends
without having met the failure. After every try: the daemon lives, the answer was one of the documented
errors (or the operation did not care), what was asked for can be asked for again and then succeeds,
and when it is taken back nothing is left in the kernel, the ledger, the address and port tables, the
rule tables and the descriptors.

NETMGR_TEST_FULL=1 tries every n. Otherwise a random sample of them is tried, for a few seconds per
operation; the seed is printed and NETMGR_TEST_SEED repeats it."""
import contextlib
import errno
import os
import random
import subprocess
import time

import pytest
from fault_operations import CODES, CONF, OPERATIONS, ROUTED, Add, DelBridge, DelByExec, Failed
from faults import NEVER, Faults
from netmgr_host import LIMIT, Host, settle

FULL = os.environ.get("NETMGR_TEST_FULL") == "1"
SEED = int(os.environ.get("NETMGR_TEST_SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = 3
TRIES_AT_LEAST = 3

FAILURES = [
    ("malloc", errno.ENOMEM),
    ("netlink-send", errno.ENOBUFS), ("netlink-send", errno.EINTR), ("netlink-send", errno.ENOMEM),
    ("netlink-recv", errno.ENOBUFS), ("netlink-recv", errno.EINTR), ("netlink-recv", errno.ENOMEM),
    ("unix-send", errno.ENOBUFS), ("unix-send", errno.EINTR), ("unix-send", errno.ENOMEM),
    ("unix-recv", errno.EINTR), ("unix-recv", errno.ENOMEM),
    ("sync", errno.EIO), ("sync", errno.ENOSPC),
    ("write", errno.ENOSPC), ("write", errno.EIO), ("write", errno.EINTR),
    ("truncate", errno.EIO),
    ("open", errno.EMFILE), ("open", errno.ENFILE), ("open", errno.ENOSPC), ("open", errno.EIO),
    ("socket", errno.EMFILE), ("socket", errno.ENFILE), ("socket", errno.ENOBUFS),
    ("accept", errno.EMFILE), ("accept", errno.ENOMEM),
    ("epoll", errno.EINTR),
]


class Loop:
    """One host, one long-lived daemon, many failures."""

    def __init__(self, host, faults, operation, program="netmgrd"):
        self.host, self.faults, self.program = host, faults, program
        self.operation = operation(host, host.pod())
        self.pid = host.netmgrd.pid
        self.tries = self.failures = 0
        self.last = "nothing was tried yet"

    def quiet(self):
        """A state to come back to: everything once without a fault, then what is there."""
        self.operation.prepare()
        self.operation.run()
        self.operation.restore()
        self.rows = [None] * 5
        while not all(r == self.rows[0] for r in self.rows) or not self.rows[0]:
            self.rows = [*self.rows[1:], self.cheap()]
            time.sleep(0.02)
        self.rows = self.rows[0]
        self.before = self.host.snapshot()

    def cheap(self):
        """Links, rows and descriptors, without another program."""
        with open(f"/proc/{self.host.holder.pid}/net/dev") as f:
            links = sorted(line.split(":")[0].strip() for line in f if ":" in line)
        return links, self.host.ledger(), self.host.netmgrd.netns_fds()

    def alive(self):
        assert self.host.netmgrd.running and self.host.netmgrd.pid == self.pid, \
            f"netmgrd ended with {self.host.netmgrd.process.returncode} after {self.last}"

    def patiently(self, step):
        """Without a fault every step succeeds, once what the fault has broken is connected again."""
        end = time.monotonic() + 30
        while True:
            try:
                return step()
            except Failed as e:
                self.alive()
                if time.monotonic() > end or e.what not in self.operation.documented:
                    raise AssertionError(f"{step.__name__} fails after {self.last}: {e}") from None

    def once(self, what, n, error, count=1):
        """True when the fault was met."""
        self.patiently(self.operation.prepare)
        failure = None
        with self.faults.armed(what, n, error, count):
            try:
                self.operation.run()
            except Failed as e:
                failure = e
            except (OSError, subprocess.SubprocessError) as e:
                raise AssertionError(f"{type(self.operation).__name__}: {errno.errorcode[error]} of {what} {n}: {e} "
                                     f"[{self.faults.where(self.program)}]") from None
        hits = self.faults.hits
        name = type(self.operation).__name__
        self.last = f"{name}: {errno.errorcode[error]} of {what} {n}: {failure or 'no failure'}"
        if hits:
            self.last += f" [{self.faults.where(self.program)}]"
        self.alive()
        self.tries += bool(hits)
        if failure:
            self.failures += 1
            assert hits, f"a failure without a fault: {self.last}"
            assert failure.what in self.operation.documented, self.last
            self.patiently(self.operation.again)
        self.patiently(self.operation.restore)
        settle(lambda: self.cheap() == self.rows,
               lambda: f"rows and links as before, after {self.last}\n{self.rows}\n{self.cheap()}")
        if hits and "build_changes" in self.last:
            self.compare()  # the rules are not in what is cheap
        return hits > 0 or self.faults.skipped > 0

    def count(self, what):
        """How many calls of the class the operation makes."""
        self.patiently(self.operation.prepare)
        with self.faults.armed(what, NEVER, 0):
            self.operation.run()
        self.patiently(self.operation.restore)
        return self.faults.calls

    def every(self, what, error):
        n = 1
        while self.once(what, n, error):
            n += 1
        # one more may be needed by another way through the program
        for more in range(n + 1, n + 4):
            self.once(what, more, error)

    def sample(self, rng, seconds, failures=tuple(FAILURES)):
        totals = {what: self.count(what) for what in {w for w, _ in failures}}
        some = [f for f in failures if totals[f[0]]]
        end = time.monotonic() + seconds
        # a machine with other work gets its share of faults as well
        while time.monotonic() < end or self.tries < TRIES_AT_LEAST:
            # half of them memory: it has the most places
            what, error = rng.choice(some) if rng.random() < 0.5 else some[0]
            self.once(what, rng.randint(1, totals[what]), error, rng.choice([1, 1, 1, 2]))  # more and the bus loses answers: 30 s each

    def compare(self):
        self.host.assert_nothing_left(self.before)


@contextlib.contextmanager
def faulty_host(preload=("netmgrd",)):
    if not os.path.exists(f"{Host().build}/tests/netmgr-faults.so"):
        pytest.skip("the sanitizer build has no netmgr-faults.so")
    host = Host(conf=CONF)
    faults = {}
    for name in preload:
        faults[name] = Faults(host, name)
        getattr(host, name).env = faults[name].env
    try:
        host.start()
        yield host, *faults.values()
    except BaseException:
        print(host.logs()[-20000:])
        raise
    finally:
        problems = host.close()
    assert not problems, problems


def run_loop(loop):
    loop.quiet()
    rng = random.Random(SEED)
    print(f"NETMGR_TEST_SEED={SEED}")
    if FULL:
        for what, error in FAILURES:
            loop.every(what, error)
            loop.compare()
    else:
        loop.sample(rng, SECONDS)
    loop.compare()
    print(f"{type(loop.operation).__name__}: {loop.tries} faults met, {loop.failures} failures answered")
    assert loop.tries


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: o.__name__)
def test_nth_failure(operation):
    with faulty_host() as (host, faults):
        run_loop(Loop(host, faults, operation))


def test_elements_go_without_memory_for_their_message():
    """A transaction that was not begun has not succeeded."""
    with faulty_host() as (host, faults):
        loop = Loop(host, faults, DelBridge)
        loop.quiet()
        total, met = loop.count("malloc"), 0
        for n in range(1, total, 1 if FULL else 3):
            loop.once("malloc", n, errno.ENOMEM)
            # who writes elements; an optimised build names the committer only
            met += "build_changes" in loop.last or "commit_all" in loop.last
        assert met, f"{total} allocations, none of them by the committer"


NSD_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket", "accept")]


def test_nth_failure_of_nsd():
    """netmgr-nsd lives, and netmgrd answers with an error of its own."""
    with faulty_host(["nsd"]) as (host, faults):
        loop = Loop(host, faults, Add, "netmgr-nsd")
        pid = host.nsd.pid
        loop.quiet()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        if FULL:
            for what, error in NSD_FAILURES:
                loop.every(what, error)
        else:
            loop.sample(rng, SECONDS, NSD_FAILURES)
        assert host.nsd.running and host.nsd.pid == pid, loop.last
        loop.compare()
        assert loop.tries


EXEC_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket", "accept")]
EXEC_FAILURES += [("read", errno.EIO), ("read", errno.EINTR)]


def test_nth_failure_of_exec():
    """netmgr-exec lives; what it could not do is done when it is asked again."""
    with faulty_host(["exec"]) as (host, faults):
        loop = Loop(host, faults, DelByExec, "netmgr-exec")
        pid = host.exec.pid
        loop.quiet()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        if FULL:
            for what, error in EXEC_FAILURES:
                loop.every(what, error)
        else:
            loop.sample(rng, SECONDS, EXEC_FAILURES)
        assert host.exec.running and host.exec.pid == pid, loop.last
        loop.compare()
        assert loop.tries


PLUGIN_FAILURES = [f for f in FAILURES if f[0] in ("malloc", "unix-send", "unix-recv", "open", "socket")]
PLUGIN_FAILURES += [("read", errno.EIO), ("read", errno.EINTR)]


def plugin_answer(reply, verb, where):
    """Success, or one JSON object with a code of the field and a sentence; never a signal."""
    assert reply.status in (0, 1), f"{where}: status {reply.status}: {reply}"
    if reply.status == 1:
        error = reply.json
        # 4: CNI_NETNS cannot be opened; 5: stdin cannot be read
        assert error["code"] in CODES | {4, 5, 999} and error["msg"], f"{where}: {error}"
        assert set(error) <= {"cniVersion", "code", "msg", "details"}, f"{where}: {error}"
    elif verb == "ADD":
        assert reply.json["ips"], where
    elif verb == "VERSION":
        assert "1.0.0" in reply.json["supportedVersions"], where
    else:
        assert reply.stdout == "", where


@pytest.mark.parametrize("verb", ["VERSION", "ADD", "CHECK", "DEL", "STATUS"])
def test_nth_failure_of_plugin(verb):
    with faulty_host([]) as (host,):
        faults = Faults(host, "netmgr")
        env = {**faults.env, "NETMGR_FAULTS_PROGRAM": "netmgr"}
        pod = host.pod()
        conf = {**ROUTED, "cniVersion": "1.1.0"}

        def call(what, env=None, conf=conf):
            return host.cni(what, conf, "box", "eth0", pod.path, env=env, timeout=LIMIT)

        def once(what, n, error, count=1):
            if verb in ("CHECK", "DEL"):
                call("ADD").expect_ok()
            given = {**conf, "prevResult": result} if verb == "CHECK" else conf
            if verb == "CHECK":
                given["prevResult"]["ips"] = call_ips()
            with faults.armed(what, n, error, count):
                reply = call(verb, env, given)
            where = f"{verb}: {errno.errorcode[error]} of {what} {n} [{faults.where('netmgr')}]"
            assert faults.hits or reply.ok, f"a failure without a fault: {where}: {reply}"
            plugin_answer(reply, verb, where)
            if verb in ("ADD", "CHECK", "DEL"):
                call("DEL").expect_ok()
            return faults.hits > 0 or faults.skipped > 0

        def call_ips():
            return [{"address": r["address"] + "/" + str(r["prefix"])}
                    for r in host.sql("SELECT address, prefix FROM address WHERE attachment IS NOT NULL")]

        result = call("ADD").expect_ok().json
        call("DEL").expect_ok()
        rng = random.Random(SEED)
        print(f"NETMGR_TEST_SEED={SEED}")
        tries, end = 0, time.monotonic() + SECONDS
        for what, error in PLUGIN_FAILURES:
            n = 1
            while FULL and once(what, n, error):
                n, tries = n + 1, tries + 1
        while not FULL and (time.monotonic() < end or tries < TRIES_AT_LEAST):
            what, error = rng.choice(PLUGIN_FAILURES) if rng.random() < 0.6 else PLUGIN_FAILURES[0]
            tries += once(what, rng.randint(1, 200 if what == "malloc" else 12), error, rng.choice([1, 1, 3]))
        print(f"{verb}: {tries} faults met")
        assert tries
        pod.delete()
        host.assert_nothing_left()
