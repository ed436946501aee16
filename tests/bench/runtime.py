# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a container runtime does around CNI plugins, without the container.

A Side is one way to give a sandbox its network: a list of plugin configurations, the directory
of the plugins and the network namespace that plays the host. Its jobs (add, check, delete) chain
prevResult as libcni does and start one process per plugin; Runner keeps up to `width` jobs in
flight from a single thread with posix_spawn and wait4. Namespaces are made beforehand by Netns;
nothing of that is timed.
"""

import ctypes
import json
import os
import signal
import time

CLONE_NEWNET = 0x40000000
MS_BIND = 4096
MNT_DETACH = 2
OPERATION_LIMIT_SEC = 60

_libc = ctypes.CDLL(None, use_errno=True)


def _call(function, *args):
    if function(*args) != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


class Netns:
    """A network namespace bound to a path, as runtimes leave it for their plugins."""

    home = None

    def __init__(self, path):
        if Netns.home is None:
            Netns.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.path = path
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444))
        _call(_libc.unshare, CLONE_NEWNET)
        try:
            _call(_libc.mount, b"/proc/thread-self/ns/net", path.encode(), None, MS_BIND, None)
        finally:
            _call(_libc.setns, Netns.home, CLONE_NEWNET)

    def remove(self):
        _call(_libc.umount2, self.path.encode(), MNT_DETACH)
        os.unlink(self.path)

    def __enter__(self):
        """The calling process, and what it spawns, is in this namespace until the block ends."""
        fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            _call(_libc.setns, fd, CLONE_NEWNET)
        finally:
            os.close(fd)
        return self

    def __exit__(self, *_):
        _call(_libc.setns, Netns.home, CLONE_NEWNET)


class PluginFailed(Exception):
    pass


class Sandbox:
    """Every sandbox has host ports of its own: nobody but netmgr would refuse a shared one."""

    FIRST_PORT = 20000

    def __init__(self, name, netns, number=0):
        self.id = name
        self.netns = netns
        self.number = number
        self.results = {}

    def port_mappings(self, count):
        first = self.FIRST_PORT + self.number * 32
        return [{"hostPort": first + k, "containerPort": 80 + k, "protocol": "tcp" if k % 2 == 0 else "udp"}
                for k in range(count)]


class Side:
    """One way to network a sandbox.

    host is the Netns that plays the host, None for the namespace of this process (where netmgrd
    lives). prefix is put before every plugin's command line (strace, in the pass that counts).
    """

    def __init__(self, name, network, plugins, directory, host=None, version="1.0.0", ports=0):
        self.name = name
        self.network = network
        self.plugins = plugins
        self.directory = directory
        self.host = host
        self.version = version
        self.prefix = []
        self.ports = ports  # host ports per sandbox, for the plugins that have the capability

    def _request(self, verb, sandbox, plugin, previous):
        conf = dict(plugin, cniVersion=self.version, name=self.network)
        if previous is not None:
            conf["prevResult"] = previous
        if self.ports and plugin.get("capabilities", {}).get("portMappings"):
            conf["runtimeConfig"] = dict(plugin.get("runtimeConfig", {}),
                                         portMappings=sandbox.port_mappings(self.ports))
        env = dict(
            os.environ,
            CNI_COMMAND=verb,
            CNI_CONTAINERID=sandbox.id,
            CNI_NETNS=sandbox.netns.path,
            CNI_IFNAME="eth0",
            CNI_PATH=self.directory,
            CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=bench;K8S_POD_NAME=" + sandbox.id,
        )
        argv = self.prefix + [os.path.join(self.directory, plugin["type"])]
        return argv, env, json.dumps(conf).encode()

    def add(self, sandbox):
        previous = None
        for plugin in self.plugins:
            previous = json.loads((yield self._request("ADD", sandbox, plugin, previous)))
        sandbox.results[self.name] = previous

    def check(self, sandbox):
        for plugin in self.plugins:
            yield self._request("CHECK", sandbox, plugin, sandbox.results[self.name])

    def delete(self, sandbox):
        result = sandbox.results.pop(self.name, None)
        for plugin in reversed(self.plugins):
            yield self._request("DEL", sandbox, plugin, result)


class Sample:
    """One finished operation: wall and CPU seconds (all its processes), error text or None."""

    __slots__ = ("wall", "cpu", "error")

    def __init__(self, wall, cpu, error):
        self.wall = wall
        self.cpu = cpu
        self.error = error


class _Running:
    __slots__ = ("job", "index", "started", "cpu", "stdout")


class Runner:
    """Runs jobs, `width` at a time, on one thread; samples come back in the order of the jobs."""

    def __init__(self):
        self._null = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        self._children = {}

    def run(self, jobs, width=1):
        jobs = list(jobs)
        samples = [None] * len(jobs)
        waiting = iter(enumerate(jobs))
        signal.signal(signal.SIGALRM, self._expired)
        try:
            for index, job in waiting:
                self._start(index, job, samples)
                if len(self._children) >= width:
                    self._reap(samples)
            while self._children:
                self._reap(samples)
        except BaseException:
            self._kill()
            raise
        finally:
            signal.alarm(0)
        return samples

    @staticmethod
    def _expired(*_):
        raise PluginFailed(f"no plugin finished within {OPERATION_LIMIT_SEC} s")

    def _kill(self):
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)
        for pid in self._children:
            os.waitpid(pid, 0)
        self._children.clear()

    def _start(self, index, job, samples):
        running = _Running()
        running.job, running.index, running.cpu = job, index, 0.0
        running.started = time.perf_counter()
        self._advance(running, None, samples)

    def _advance(self, running, answer, samples):
        """Hands the last plugin's output to the job and starts the next plugin, if there is one."""
        try:
            request = running.job.send(answer)
        except StopIteration:
            return self._finish(running, None, samples)
        except ValueError as error:
            return self._finish(running, f"the answer is not JSON: {error}", samples)
        self._spawn(running, *request)
        return None

    def _spawn(self, running, argv, env, stdin):
        # Both directions fit a pipe's buffer (64 KiB), so nobody blocks on anybody.
        read_in, write_in = os.pipe()
        read_out, write_out = os.pipe()
        os.write(write_in, stdin)
        os.close(write_in)
        try:
            pid = os.posix_spawn(
                argv[0],
                argv,
                env,
                file_actions=[
                    (os.POSIX_SPAWN_DUP2, read_in, 0),
                    (os.POSIX_SPAWN_DUP2, write_out, 1),
                    (os.POSIX_SPAWN_DUP2, self._null, 2),
                ],
            )
        finally:
            os.close(read_in)
            os.close(write_out)
        running.stdout = read_out
        self._children[pid] = running

    def _reap(self, samples):
        signal.alarm(OPERATION_LIMIT_SEC)
        pid, status, usage = os.wait4(-1, 0)
        running = self._children.pop(pid)
        running.cpu += usage.ru_utime + usage.ru_stime
        output = b""
        while chunk := os.read(running.stdout, 65536):
            output += chunk
        os.close(running.stdout)
        code = os.waitstatus_to_exitcode(status)
        if code != 0:
            text = output.decode(errors="replace").strip()
            self._finish(running, f"exit {code}: {text}", samples)
        else:
            self._advance(running, output, samples)

    @staticmethod
    def _finish(running, error, samples):
        wall = time.perf_counter() - running.started
        samples[running.index] = Sample(wall, running.cpu, error)
