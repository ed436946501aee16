# SPDX-License-Identifier: LGPL-2.1-or-later
"""One daemon of a private host (netmgr_host.py), and waiting for a condition."""
import collections
import contextlib
import os
import re
import select
import signal
import socket
import subprocess
import time

LIB = os.path.dirname(os.path.realpath(__file__))
# the end of patience, for machines of ordinary speed; tests/run --vm has an emulated one
LIMIT = 30.0 * float(os.environ.get("NETMGR_TEST_PATIENCE", "1"))


def settle(condition, what, limit=LIMIT):
    """Returns condition() as soon as it is true. The pause between two looks is only politeness."""
    end = time.monotonic() + limit
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s: {what() if callable(what) else what}")
        time.sleep(0.01)


class Daemon:
    """One child process that runs inside the host."""

    def __init__(self, host, name, argv=None):
        """argv: what to run instead of tests/lib/part NAME"""
        self.host, self.name = host, name
        self.log = f"{host.dir}/log/{name}.log"
        self.argv = argv or [f"{LIB}/part", name]
        self.process = None
        self.options = []
        self.env = {}
        self.ready_fd = None

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def launch(self):
        """Starts without waiting; finish with await_ready()."""
        assert not self.running, f"{self.name} already runs"
        env = {**self.host.env, **self.env}
        keys = {}
        options = list(self.options)
        if self.name == "dbus":
            # dbus-daemon tells its address when it listens
            self.ready_fd, inner = os.pipe()
            options.append(f"--print-address={inner}")
            keys["pass_fds"] = [inner]
        elif self.name != "polkitd":
            path = f"{self.host.dir}/notify.{self.name}"
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            sock.bind(path)
            os.chmod(path, 0o666)
            env["NOTIFY_SOCKET"] = path
            self.ready_fd = sock.detach()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.host.enter() + [*self.argv, *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, **keys)
        if self.name == "dbus":
            os.close(inner)

    def await_ready(self):
        if self.name == "polkitd":
            settle(lambda: self.host.name_has_owner("org.freedesktop.PolicyKit1") or self._must_run(),
                   "polkitd takes its name on the bus")
            return
        pidfd = os.pidfd_open(self.process.pid)
        try:
            poll = select.poll()
            poll.register(self.ready_fd, select.POLLIN)
            poll.register(pidfd, select.POLLIN)
            while True:
                events = [fd for fd, _ in poll.poll(LIMIT * 1000)]
                if self.ready_fd in events:
                    data = os.read(self.ready_fd, 65536)
                    if (data and self.name == "dbus") or b"READY=1" in data.split(b"\n"):
                        return
                    if data:
                        continue
                raise AssertionError(f"{self.name} {'ended while starting' if events else 'is not ready'}\n"
                                     + self.host.logs())
        finally:
            os.close(pidfd)
            os.close(self.ready_fd)
            self.ready_fd = None

    def _must_run(self):
        if not self.running:
            raise AssertionError(f"{self.name} ended with {self.process.returncode}\n" + self.host.logs())
        return False

    def start(self):
        self.launch()
        self.await_ready()
        return self

    def stop(self, sig=signal.SIGTERM):
        """Ends it and returns its status (negative: the signal that ended it)."""
        if not self.running:
            return self.process.returncode if self.process else 0
        self.process.send_signal(sig)
        try:
            return self.process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} did not end on signal {sig}\n" + self.host.logs()) from None

    def kill(self):
        return self.stop(signal.SIGKILL)

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        return self.start()

    def status(self):
        """/proc/PID/status as a dictionary of strings"""
        with open(f"/proc/{self.pid}/status") as f:
            return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)

    def fds(self):
        """How many descriptors of which sort it has. Files of the ledger count as one name."""
        found = collections.Counter()
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                target = os.readlink(f"/proc/{self.pid}/fd/{fd}")
                found[re.sub(r":\[\d+\]$", "", target)] += 1
        return found

    def netns_fds(self):
        """Descriptors of network namespaces other than the process's own."""
        own = os.stat(f"/proc/{self.pid}/ns/net").st_ino
        found = []
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                target = f"/proc/{self.pid}/fd/{fd}"
                if os.readlink(target).startswith("net") and os.stat(target).st_ino != own:
                    found.append(fd)
        return found

    def text(self):
        with contextlib.suppress(FileNotFoundError):
            with open(self.log, errors="replace") as f:
                return f.read()
        return ""
