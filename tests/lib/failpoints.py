# SPDX-License-Identifier: LGPL-2.1-or-later
"""Failpoints from the test's side: the other half of netmgr/base/failpoint.c.

    points = Failpoints(host)                  # before host.start(): the daemons find it in their environment
    with points.passed() as seen: ...          # which points did this pass? {Point: times}
    points.arm(Point("netmgrd", "nft-sent"), "kill")
    points.fired                               # whether it has happened
"""
import collections
import contextlib
import errno
import mmap
import os
import random
import struct

from host_daemon import settle

MAGIC = 0x6E6D6670
PASSED_MAX = 512
HEAD = struct.Struct("=II16s40siIIIII")  # magic action process name error countdown fired go lock n_passed
PASSED = struct.Struct("=16s40sII")      # process name times can_fail
SIZE = HEAD.size + PASSED_MAX * PASSED.size
ACTIONS = {"none": 0, "kill": 1, "error": 2, "hold": 3}

Point = collections.namedtuple("Point", "process name")

SEED = int(os.environ.get("NETMGR_TEST_SEED") or random.SystemRandom().randrange(10**6))


def some(cases, name, most=12):
    """All of them with NETMGR_TEST_FULL=1, else a random sample in their order; NETMGR_TEST_SEED repeats it."""
    if os.environ.get("NETMGR_TEST_FULL") == "1" or len(cases) <= most:
        return cases
    print(f"NETMGR_TEST_SEED={SEED}")
    chosen = random.Random(f"{SEED}/{name}").sample(range(len(cases)), most)
    return [cases[i] for i in sorted(chosen)]


def compiled_in():
    """Does the build that is tested have them?"""
    from netmgr_host import build_dir
    with open(f"{build_dir()}/netmgrd", "rb") as f:
        return b"NETMGR_FAILPOINTS" in f.read()


def text(data):
    return data.split(b"\0", 1)[0].decode()


class Failpoints:
    def __init__(self, host):
        self.path = f"{host.dir}/failpoints"
        with open(self.path, "wb") as f:
            f.write(HEAD.pack(MAGIC, 0, b"", b"", 0, 0, 0, 0, 0, 0).ljust(SIZE, b"\0"))
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), SIZE)
        host.env["NETMGR_FAILPOINTS"] = self.path
        self.can_fail = {}

    def close(self):
        self.map.close()

    def _word(self, index):
        offset = {"action": 4, "countdown": 68, "fired": 72, "go": 76, "n": 84}[index]
        return offset

    def _get(self, index):
        return struct.unpack_from("=I", self.map, self._word(index))[0]

    def _set(self, index, value):
        struct.pack_into("=I", self.map, self._word(index), value)

    def arm(self, point, action, nth=1, error=errno.EIO):
        """At the nth pass of the point from now on: kill, error (an errno), or hold until go()."""
        self._set("action", 0)
        struct.pack_into("=16s40siIII", self.map, 8, point.process.encode(), point.name.encode(), error, nth, 0, 0)
        self._set("action", ACTIONS[action])

    def disarm(self):
        self._set("action", 0)
        self._set("go", 1)

    def go(self):
        self._set("go", 1)

    @property
    def fired(self):
        return self._get("fired") == 1

    def await_fired(self, ended=lambda: False):
        """True when it has fired; False when ended() says that it will not."""
        settle(lambda: self.fired or ended(), "the failpoint is reached")
        return self.fired

    def _passed(self):
        found = collections.Counter()
        for i in range(min(self._get("n"), PASSED_MAX)):
            process, name, times, can_fail = PASSED.unpack_from(self.map, HEAD.size + i * PASSED.size)
            point = Point(text(process), text(name))
            found[point] = times
            self.can_fail[point] = bool(can_fail)
        return found

    @contextlib.contextmanager
    def passed(self):
        """What is passed meanwhile, filled when the block ends."""
        before, seen = self._passed(), collections.Counter()
        yield seen
        seen.update(self._passed())
        seen.subtract(before)
        for point in [p for p, n in seen.items() if n <= 0]:
            del seen[point]
