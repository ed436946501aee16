# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many at once, too many at once, and for a long time: what netmgrd holds, refuses, and gives back."""
import collections
import concurrent.futures
import contextlib
import json
import os
import random
import resource
import signal
import socket
import subprocess
import threading
import time

import pytest
from netmgr_host import LIB, LIMIT, bridge, build_dir, routed, settle
from runtime_client import Call, call

FULL = os.environ.get("NETMGR_TEST_FULL") == "1"
SEED = int(os.environ.get("NETMGR_TEST_SEED") or random.SystemRandom().randrange(10**6))
PAIRS = 20000 if FULL else 2000
QUEUED = 1000
QUEUED_KB = 16 * 1024  # what a thousand waiting ADDs may take
GROWTH_KB = 1024       # what is no leak: pages of the ledger's cache and of the allocator that come and go
SANITIZED = subprocess.run(["grep", "-q", "__asan_init", f"{build_dir()}/netmgrd"]).returncode == 0


def limited(host, soft, hard=None):
    """netmgrd again, with so many open files"""
    host.netmgrd.stop()
    host.netmgrd.argv = ["prlimit", f"--nofile={soft}:{hard or soft}", f"{LIB}/part", "netmgrd"]
    host.netmgrd.start()


def memory(host):
    """(now, most ever) in kB"""
    status = host.netmgrd.status()
    return int(status["VmRSS"].split()[0]), int(status["VmHWM"].split()[0])


def n_fds(host):
    return sum(host.netmgrd.fds().values())


def asleep(host):
    """netmgr-nsd sleeps: ADDs gather in netmgrd."""
    os.kill(host.nsd.pid, signal.SIGSTOP)


def awake(host):
    os.kill(host.nsd.pid, signal.SIGCONT)


def many_files():
    """The test holds a connection for each call."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 6000:
        pytest.skip(f"needs 6000 open files, the hard limit here is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16384), hard))


# --- descriptors ---------------------------------------------------------------------------------

def test_hundred_plugins_at_once(host):
    """From a soft limit that fits select(): netmgrd takes what the hard one allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limited(host, 256, hard)
    with open(f"/proc/{host.netmgrd.pid}/limits") as f:
        soft = [line.split()[3] for line in f if line.startswith("Max open files")][0]
    assert int(soft) == min(hard, 16384)
    conf, pods = routed("net1", "10.97.0.0/24", "fd97::/64"), host.make_pods(100)
    added = host.parallel(100, lambda i: host.add(conf, pods[i]), workers=100)
    assert len({a.ips[0] for a in added}) == 100
    for reply in host.parallel(100, lambda i: added[i].check(), workers=100):
        reply.expect_ok()
    host.delete_many(added, workers=100)


@pytest.mark.sanitize
def test_too_few_descriptors(host):
    """EMFILE is "try again later", for the one who asks; and passes."""
    limited(host, 80)
    conf, pods = routed("net1", "10.97.0.0/24"), host.make_pods(100)
    resident = host.add(conf)
    before = n_fds(host)
    asleep(host)
    calls = [Call(host, "ADD", conf, pod.name, "eth0", pod) for pod in pods]
    plugin = host.popen([f"{host.dir}/cni/netmgr"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                        env=host.cni_env("ADD", "c0", "eth1", pods[0].path, env={"NETMGR_WAIT_SEC": "0"}))
    said = plugin.communicate(json.dumps(conf).encode(), 60)[0]
    assert plugin.returncode == 1 and json.loads(said)["code"] == 11, said
    awake(host)
    for c in calls:
        c.answer()
    served, refused = [c for c in calls if c.known.ok], [c for c in calls if not c.known.ok]
    assert served and refused and all(c.known.again for c in refused), [c.known for c in refused]
    settle(lambda: n_fds(host) == before, "the descriptors are back")
    for c in refused:
        call(host, "ADD", conf, c.cid, "eth0", c.pod).expect_ok()
    assert len(host.held()) == 101
    for pod in pods:
        call(host, "DEL", conf, pod.name, "eth0", pod).expect_ok()
    resident.check().expect_ok()
    settle(lambda: n_fds(host) == before, "the descriptors are back")


def test_silent_connections(host):
    """Connections that never say a word: beyond what there is room for they are closed, and none waits."""
    limited(host, 80)
    resident = host.add(routed())
    before = n_fds(host)
    sockets = []
    try:
        for _ in range(200):
            s = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sockets.append(s)
            s.settimeout(2 * LIMIT)
            s.connect(f"/proc/{host.holder.pid}/root{host.runtime_dir}/runtime.sock")
        assert [s.recv(1) for s in sockets[80:]] == [b""] * 120
        host.cni("ADD", routed(), "c9", "eth0", resident.pod.path, env={"NETMGR_WAIT_SEC": "0"}).expect_error(11)
        assert host.netmgrd.text().count("connections are refused") == 1  # said once, not in a loop
    finally:
        for s in sockets:
            s.close()
    settle(lambda: n_fds(host) == before, "the descriptors are back")
    resident.check().expect_ok()


# --- the queue -----------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.host(conf="[Manager]\nQueueMax=8\n[Host]\nNodeAddress=192.0.2.1\n")
def test_full_queue(host):
    """The ninth is refused with code 11, DEL never; when the first eight are done there is room again."""
    conf, pods = routed("net1", "10.97.0.0/24"), host.make_pods(12)
    up = host.add(conf)
    asleep(host)
    waiting = [Call(host, "ADD", conf, pod.name, "eth0", pod) for pod in pods[:8]]
    settle(lambda: "QueueMax" in call(host, "CHECK", conf, "c0", "eth0", pods[8]).text, "eight operations are under way")
    for pod in pods[8:]:
        host.cni("ADD", conf, pod.name, "eth0", pod.path).expect_error(11, "QueueMax")
    up.delete().expect_ok()
    awake(host)
    for c in waiting:
        c.answer().expect_ok()
    for pod in pods[8:]:
        call(host, "ADD", conf, pod.name, "eth0", pod).expect_ok()
    for pod in pods:
        call(host, "DEL", conf, pod.name, "eth0", pod).expect_ok()


@pytest.mark.skipif(SANITIZED, reason="sanitizers need memory of their own")
@pytest.mark.parametrize("kind", ["bridge", "routed"] if FULL else ["bridge"])
def test_memory_of_a_thousand_queued_adds(host, kind):
    many_files()
    # a sandbox of kind routed has one default route; on a bridge one namespace can do for many containers
    pods = host.make_pods(32 if kind == "bridge" else QUEUED)
    conf = bridge("net1", "10.97.0.0/20") if kind == "bridge" else routed("net1", "10.97.0.0/20")
    (idle, _), fds = memory(host), n_fds(host)

    def each(verb):
        return [Call(host, verb, conf, f"c{i}", f"e{i // len(pods)}", pods[i % len(pods)]) for i in range(QUEUED)]
    asleep(host)
    calls = each("ADD")
    settle(lambda: n_fds(host) >= fds + 4 * QUEUED, "a connection and three namespaces of each are in netmgrd's hands")
    queued, _ = memory(host)
    awake(host)
    for c in calls:
        c.answer().expect_ok()
    _, most = memory(host)
    print(f"{kind}: RSS {idle} kB idle, {queued} kB with {QUEUED} ADDs queued, {most} kB at most while they are served")
    assert most - idle <= QUEUED_KB
    for c in each("DEL"):
        c.answer().expect_ok()
    settle(lambda: n_fds(host) == fds, lambda: f"{fds} descriptors before, {n_fds(host)} now")


# --- for a long time -----------------------------------------------------------------------------

class Worker:
    """A runtime in a hurry: pairs of ADD and DEL, some of them cut short in one of the ways that there are."""

    def __init__(self, host, number, seed):
        self.host, self.number, self.pods = host, number, host.make_pods(4)
        self.conf = bridge("netb", "10.97.1.0/24") if number % 2 else routed("netr", "10.97.0.0/24")
        self.random = random.Random(seed)
        self.count = collections.Counter()

    def insist(self, verb, cid, pod):
        while not (answer := call(self.host, verb, self.conf, cid, "eth0", pod)).ok:
            assert answer.again, answer
            self.count["tried again"] += 1

    def kill_plugin(self, cid, pod):
        plugin = self.host.popen([f"{self.host.dir}/cni/netmgr"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.DEVNULL, env=self.host.cni_env("ADD", cid, "eth0", pod.path))
        with contextlib.suppress(BrokenPipeError):
            plugin.stdin.write(json.dumps(self.conf).encode())
            plugin.stdin.close()
        time.sleep(self.random.random() * 0.02)  # any moment
        plugin.kill()
        plugin.wait()
        self.count["plugins killed"] += 1

    def pair(self, number):
        pod, cid = self.random.choice(self.pods), f"w{self.number}-{number}"
        way = self.random.random()
        if way < 0.02:
            self.kill_plugin(cid, pod)
        elif way < 0.15:
            cut = Call(self.host, "ADD", self.conf, cid, "eth0", pod)
            time.sleep(self.random.random() * 0.004)
            cut.abandon()
            self.count["connections cut"] += 1
        else:
            self.insist("ADD", cid, pod)
        self.insist("DEL", cid, pod)
        self.count["pairs"] += 1


def work(workers, pairs):
    """So many pairs of all of them together, at the same time; pairs per second"""
    numbers = iter(range(pairs))
    lock, start = threading.Lock(), time.monotonic()

    def run(worker):
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            worker.pair(f"{pairs}-{number}")
    with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
        for done in [pool.submit(run, w) for w in workers]:
            done.result()
    return pairs / (time.monotonic() - start)


@pytest.mark.sanitize
def test_two_thousand_pairs(host):
    """With clients that are killed at random: descriptors as before, and memory."""
    print(f"NETMGR_TEST_SEED={SEED}")
    workers = [Worker(host, i, SEED + i) for i in range(16)]
    residents = [host.add(w.conf) for w in workers[:2]]
    pairs = PAIRS // 10 if SANITIZED else PAIRS
    work(workers, pairs // 4)  # every address was used, caches are full
    settle(lambda: len(host.ledger()["attachment"]) == 2, "nothing but the residents")
    (before, _), fds, nsd_fds = memory(host), n_fds(host), host.nsd.fds()
    rate = work(workers, pairs)
    settle(lambda: len(host.ledger()["attachment"]) == 2 and n_fds(host) == fds,
           lambda: f"{fds} descriptors before, {n_fds(host)} now, {host.ledger()['attachment']}")
    after, most = memory(host)
    total = sum((w.count for w in workers), collections.Counter())
    print(f"{pairs} pairs at {rate:.0f} a second ({dict(total)}): RSS {before} kB before, {most} kB at most, {after} kB "
          f"after; {fds} descriptors before and after")
    assert host.nsd.fds() == nsd_fds
    assert SANITIZED or after - before <= GROWTH_KB
    assert total["plugins killed"] and total["connections cut"]
    for a in residents:
        a.check().expect_ok()
