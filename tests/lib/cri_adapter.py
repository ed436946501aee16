# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgr-cri and its neighbours: a played adapter towards netmgrd, a played runtime (a CRI server)."""
import contextlib
import json
import os
import time

import pytest
from netmgr_host import BUS, LIB, ROOT, RUNTIME, Daemon, settle


def netmgr_cri(host, *options, name="netmgr-cri"):
    """The daemon, as the user netmgr-cri; not started yet"""
    daemon = Daemon(host, name, [f"{LIB}/part", "netmgr-cri"])
    daemon.options = list(options)
    return daemon


def boottime():
    return int(time.clock_gettime(time.CLOCK_BOOTTIME) * 1_000_000)


class Adapter:
    """What netmgr-cri is to netmgrd, on a connection of its own"""

    def __init__(self, host, runtime, private=True):
        import dbus
        self.dbus, self.host, self.runtime = dbus, host, runtime
        self.connection = host.private() if private else host.bus()
        self.destination = None if private else BUS

    def message(self, ids, began=None, state="ready", **changes):
        dbus = self.dbus
        keys = {"Runtime": self.runtime, "Began": dbus.UInt64(began if began is not None else boottime()),
                "Sandboxes": dbus.Array([(i, state) for i in ids], signature="(ss)")}
        keys.update(changes)
        return [dbus.Dictionary({k: v for k, v in keys.items() if v is not None}, signature="sv")]

    def synchronize(self, ids, *args, **keys):
        return json.loads(self.connection.call_blocking(
            self.destination, ROOT, RUNTIME, "Synchronize", "a{sv}", self.message(ids, *args, **keys), timeout=30))

    def refused(self, ids, *args, **keys):
        with pytest.raises(self.dbus.DBusException) as refused:
            self.synchronize(ids, *args, **keys)
        return refused.value.get_dbus_name().removeprefix("org.netmgr1.Error."), refused.value.get_dbus_message()

    def close(self):
        self.connection.close()


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes(out + bytes([n]))


def field(number, value):
    """One field of a protobuf message: bytes, text, or a number"""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


class FakeRuntime:
    """A CRI server that says what the test wants"""

    def __init__(self, host, name="fake"):
        self.grpc = pytest.importorskip("grpc", reason="python3-grpcio is not installed (tests/test-deps.txt)")
        self.socket = f"/run/{name}.sock"
        self.outside = f"/proc/{host.holder.pid}/root{self.socket}"
        self.ids, self.answer, self.asked, self.server = [], None, 0, None
        self.host = host

    def list(self):
        """The answer of an honest runtime; labels as real ones have them"""
        return b"".join(field(1, field(1, i) + field(2, field(1, "pod")) + field(5, field(1, "app") + field(2, "x")))
                        for i in self.ids)

    def service(self, details):
        def version(request, context):
            return field(1, "0.1.0") + field(2, "played") + field(3, "7") + field(4, "v1")

        def sandboxes(request, context):
            self.asked += 1
            assert request == b""
            return self.answer(context) if self.answer else self.list()
        handler = {"/runtime.v1.RuntimeService/Version": version,
                   "/runtime.v1.RuntimeService/ListPodSandbox": sandboxes}.get(details.method)
        return handler and self.grpc.unary_unary_rpc_method_handler(handler)

    def start(self):
        from concurrent import futures
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.outside)
        self.server = self.grpc.server(futures.ThreadPoolExecutor(4), handlers=[self], options=[
            ("grpc.max_send_message_length", -1)])
        assert self.server.add_insecure_port(f"unix:{self.outside}")
        self.server.start()
        os.chmod(self.outside, 0o666)
        return self

    def stop(self):
        if self.server:
            self.server.stop(None).wait()
            self.server = None

    def wait_asked(self, times=2):
        """That many rounds that begin from now on"""
        goal = self.asked + times + 1  # one may be under way
        settle(lambda: self.asked >= goal, lambda: f"asked {times} times more, now {self.asked}, wanted {goal}")
