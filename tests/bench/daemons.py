# SPDX-License-Identifier: LGPL-2.1-or-later
"""What netmgr's processes cost: CPU, memory, and whether they start any program."""

import os
import subprocess
import time

STRACE = "/usr/bin/strace"
# Counted: programs started, processes and threads made.
STRACE_OPTIONS = ["-f", "-e", "signal=none", "-e", "trace=execve,execveat,clone,clone3,fork,vfork"]


class Daemons:
    """CPU and memory of the processes that serve netmgr in this network namespace."""

    def __init__(self):
        try:
            self.netmgrd = int(os.environ["NETMGRD_PID"])
            self.nsd = int(os.environ["NETMGR_NSD_PID"])
        except KeyError:
            raise SystemExit("bench: no netmgrd to measure; start this with tests/bench/run")
        self.pids = [self.netmgrd, self.nsd] + self.buses()

    @staticmethod
    def buses():
        """The message bus has no variable: it is the one in this network namespace."""
        here = os.stat("/proc/self/ns/net").st_ino
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                program = os.path.basename(os.readlink(f"/proc/{pid}/exe"))
                if program.startswith("dbus-") and os.stat(f"/proc/{pid}/ns/net").st_ino == here:
                    found.append(int(pid))
            except OSError:
                continue
        return found

    def cpu(self):
        """CPU seconds of all of them, from the kernel's own count per process, not from ticks."""
        return sum(self.cpu_of(pid) for pid in self.pids)

    @staticmethod
    def cpu_of(pid):
        # MAKE_PROCESS_CPUCLOCK(pid, CPUCLOCK_SCHED): what clock_getcpuclockid(3) answers.
        return time.clock_gettime(((~pid) << 3) | 2)

    def memory(self):
        """Of netmgrd, in MB: resident, and the part of it that is its own (anonymous)."""
        fields = {}
        with open(f"/proc/{self.netmgrd}/status") as status:
            for line in status:
                key, _, value = line.partition(":")
                fields[key] = value.split()
        # "kB" in this file are units of 1024 bytes.
        return {key: int(fields[name][0]) * 1024 / 1e6
                for key, name in (("rss", "VmRSS"), ("anon", "RssAnon"))}


class Followed:
    """strace on the daemons while an operation runs: they must not start anything either."""

    def __init__(self, daemons, directory, wanted):
        self.files = []
        self.tracer = None
        if not wanted:
            return
        file = os.path.join(directory, "trace-daemons")
        argv = [STRACE, *STRACE_OPTIONS, "-o", file]
        for pid in (daemons.netmgrd, daemons.nsd):
            argv += ["-p", str(pid)]
        self.tracer = subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)
        # strace reports "Process N attached" once per process (plus a count of its threads).
        for _ in range(2):
            line = self.tracer.stderr.readline()
            if "attached" not in line:
                raise SystemExit("bench: strace cannot follow the daemons: " + line.strip())
        self.files.append(file)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.tracer:
            self.tracer.terminate()
            self.tracer.stderr.read()
            self.tracer.wait()


def count_calls(files):
    """Programs started (execve that succeeded) and processes or threads made, strace's own out."""
    counts = {"execve": 0, "clone": 0}
    for file in files:
        with open(file, errors="replace") as lines:
            for line in lines:
                if "unfinished" in line or not line.rstrip().split("= ")[-1][:1].isdigit():
                    continue
                for call in counts:
                    words = ("execve",) if call == "execve" else ("clone", "fork")
                    if any(word + suffix in line for word in words
                           for suffix in ("(", "3(", "at(", " resumed", "3 resumed")):
                        counts[call] += 1
                        break
    return counts
