# SPDX-License-Identifier: LGPL-2.1-or-later
"""Makes the n-th call of a class fail in a program that runs with netmgr-faults.so preloaded.

    faults = Faults(host, host.netmgrd)          # before the daemon is started
    host.start()
    with faults.armed("malloc", 17, errno.ENOMEM) as f:
        ...
    f.hits, f.calls, f.where()

The file between test and library is struct Control of faults.c."""
import contextlib
import mmap
import os
import shutil
import struct
import subprocess

CLASSES = ["", "malloc", "netlink-send", "netlink-recv", "unix-send", "unix-recv", "sync", "open", "write",
           "truncate", "socket", "epoll", "accept", "read"]
HEAD = struct.Struct("=IIIIQQQQQQq")  # class error count hits calls nth n_frames base live skipped clock_offset
FRAMES = 24
NEVER = 1 << 62


class Faults:
    def __init__(self, host, name):
        """name: of the program, for its file"""
        self.host = host
        self.path = f"{host.dir}/faults.{name}"
        with open(self.path, "wb") as f:
            f.truncate(4096)
        os.chmod(self.path, 0o666)
        with open(self.path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 4096)
        # the user netmgr need not be able to enter the build directory
        library = f"{host.dir}/netmgr-faults.so"
        if not os.path.exists(library):
            shutil.copy(f"{host.build}/tests/netmgr-faults.so", library)
        self.env = {"LD_PRELOAD": library, "NETMGR_FAULTS": self.path}
        self.hits = self.calls = self.skipped = 0

    def _head(self):
        return HEAD.unpack_from(self.map, 0)

    @property
    def live(self):
        """Allocations of the program that are not freed."""
        return self._head()[8]

    def set_clock(self, seconds):
        """How far the program's wall clock is ahead of the machine's."""
        struct.pack_into("=q", self.map, HEAD.size - 8, seconds)

    def arm(self, what, nth, error, count=1):
        head = list(self._head())
        head[1:7] = [error, count, 0, 0, nth, 0]
        struct.pack_into("=I", self.map, 0, 0)
        struct.pack_into("=IIIQQQ", self.map, 4, *head[1:7])
        struct.pack_into("=Q", self.map, HEAD.size - 16, 0)
        struct.pack_into("=I", self.map, 0, CLASSES.index(what))

    def disarm(self):
        struct.pack_into("=I", self.map, 0, 0)
        head = self._head()
        self.hits, self.calls, self.skipped = head[3], head[4], head[9]
        return self.hits

    @contextlib.contextmanager
    def armed(self, what, nth, error, count=1):
        self.arm(what, nth, error, count)
        try:
            yield self
        finally:
            self.disarm()

    def where(self, program):
        """The functions of the program itself that the failure was seen from, innermost first."""
        head = self._head()
        frames = struct.unpack_from(f"={min(head[6], FRAMES)}Q", self.map, HEAD.size)
        own = [hex(a - head[7] - 1) for a in frames if 0 <= a - head[7] < 1 << 24]
        if not own:
            return "(outside the program)"
        text = subprocess.run(["addr2line", "-fse", f"{self.host.dir}/bin/{program}", *own],
                              stdout=subprocess.PIPE, text=True, check=False).stdout.split("\n")
        return " < ".join(f"{a} {b}" for a, b in zip(text[::2], text[1::2]))
