# SPDX-License-Identifier: LGPL-2.1-or-later
"""A client of org.netmgr1.Runtime that is no process: one socket per call, many at a time.

    call = Call(host, "ADD", conf, "c1", "eth0", pod)    # connected, greeted, asked
    answer = call.answer()                               # Answer; waits
    call.abandon()                                       # what a killed plugin leaves: a closed socket

It speaks the wire format of D-Bus by itself, so that a test can hold a thousand calls, look at them
without reading, and go away in the middle of any of them.
"""
import array
import contextlib
import dataclasses
import json
import os
import socket
import struct

from netmgr_host import LIMIT

METHODS = {"ADD": "Add", "DEL": "Del", "CHECK": "Check", "GC": "CollectGarbage", "STATUS": "Status"}
TRY_AGAIN = "org.netmgr1.Error.TryAgain"
LOST = "connection lost"  # the plugin makes code 11 of it

METHOD_CALL, METHOD_RETURN, ERROR = 1, 2, 3
PATH, INTERFACE, MEMBER, ERROR_NAME, SIGNATURE, UNIX_FDS = 1, 2, 3, 4, 8, 9


@dataclasses.dataclass
class Answer:
    error: str = ""  # name of the D-Bus error, LOST, or "" for success
    text: str = ""   # result or sentence

    @property
    def ok(self):
        return not self.error

    @property
    def again(self):
        """What the plugin tells a runtime with code 11"""
        return self.error in (TRY_AGAIN, LOST, "org.freedesktop.DBus.Error.NoMemory")

    @property
    def result(self):
        assert self.ok, self
        return json.loads(self.text)

    @property
    def ips(self):
        return [x["address"].split("/")[0] for x in self.result["ips"]]

    def expect_ok(self):
        assert self.ok, self
        return self


class Writer:
    def __init__(self):
        self.data = bytearray()

    def align(self, n):
        self.data += bytes(-len(self.data) % n)

    def u32(self, value):
        self.align(4)
        self.data += struct.pack("<I", value)

    def string(self, value):
        raw = value.encode()
        self.u32(len(raw))
        self.data += raw + b"\0"

    def signature(self, value):
        self.data += bytes([len(value)]) + value.encode() + b"\0"

    def array(self, alignment, items):
        """items: functions that write one each; the length does not count the padding before the first"""
        self.u32(0)
        where = len(self.data)
        self.align(alignment)
        start = len(self.data)
        for item in items:
            self.align(alignment)
            item()
        struct.pack_into("<I", self.data, where - 4, len(self.data) - start)


def encode(method, strings, fds):
    """A method call with one a{sv}: strings {key: text}, fds {key: index}"""
    body = Writer()

    def entry(key, kind, value):
        def write():
            body.string(key)
            body.signature(kind)
            if kind == "s":
                body.string(value)
            else:
                body.u32(value)
        return write
    body.array(8, [entry(k, "s", v) for k, v in strings.items()] + [entry(k, "h", v) for k, v in fds.items()])

    head = Writer()
    head.data += struct.pack("<cBBBII", b"l", METHOD_CALL, 0, 1, len(body.data), 1)

    def field(code, kind, value):
        def write():
            head.data.append(code)
            head.signature(kind)
            if kind == "g":
                head.signature(value)
            elif kind == "u":
                head.u32(value)
            else:
                head.string(value)
        return write
    head.array(8, [field(PATH, "o", "/org/netmgr1"), field(INTERFACE, "s", "org.netmgr1.Runtime"),
                   field(MEMBER, "s", method), field(SIGNATURE, "g", "a{sv}"), field(UNIX_FDS, "u", len(fds))])
    head.align(8)
    return bytes(head.data + body.data)


def read_string(data, offset):
    offset += -offset % 4
    size, = struct.unpack_from("<I", data, offset)
    return data[offset + 4:offset + 4 + size].decode(), offset + 5 + size


def decode(data):
    """(Answer, bytes used), or (None, 0) while the message is not whole"""
    if len(data) < 16:
        return None, 0
    _, kind, _, _, body, _, fields = struct.unpack_from("<cBBBIII", data)
    start = 16 + fields + -fields % 8
    if len(data) < start + body:
        return None, 0
    answer, offset = Answer(), 16
    while offset < 16 + fields:
        offset += -offset % 8
        code, size = data[offset], data[offset + 1]
        signature = data[offset + 2:offset + 2 + size].decode()
        offset += 3 + size
        if signature in ("s", "o"):
            text, offset = read_string(data, offset)
            if code == ERROR_NAME:
                answer.error = text
        elif signature == "g":
            offset += 2 + data[offset]
        else:
            offset += -offset % 4 + 4
    if body:
        answer.text = read_string(data[start:], 0)[0]
    return (answer if kind in (METHOD_RETURN, ERROR) else None), start + body


class Call:
    """One call on a connection of its own. host_fd: an open descriptor of the host's netns, to save opening it."""

    def __init__(self, host, verb, conf, cid, ifname="eth0", pod=None, args="", netns_path=None):
        self.verb, self.cid, self.ifname, self.pod = verb, cid, ifname, pod
        self.data, self.greeting, self.known = b"", b"", None
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._send(host, conf, args, netns_path)
        except (ConnectionError, FileNotFoundError):
            self.known = Answer(LOST)
            self.socket.close()
        except BaseException:
            self.socket.close()
            raise

    def _send(self, host, conf, args, netns_path):
        self.socket.settimeout(2 * LIMIT)
        self.socket.connect(f"/proc/{host.holder.pid}/root{host.runtime_dir}/runtime.sock")
        self.socket.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() +
                            b"\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\n")
        while not self.greeting.endswith(b"AGREE_UNIX_FD\r\n"):
            more = self.socket.recv(512)
            if not more:
                raise ConnectionResetError
            self.greeting += more
        strings = {"Type": "netmgr", "ContainerId": self.cid, "IfName": self.ifname, "Args": args,
                   "NetnsPath": netns_path or (self.pod.path if self.pod else ""),
                   "Config": conf if isinstance(conf, str) else json.dumps(conf)}
        with contextlib.ExitStack() as stack:
            def opened(path):
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
                stack.callback(os.close, fd)
                return fd
            fds = {"HostNetns": opened(f"/proc/{host.holder.pid}/ns/net")}
            if self.pod is not None and self.pod.exists:
                fds["Netns"] = opened(self.pod.outside)
            message = encode(METHODS[self.verb], strings, {k: i for i, k in enumerate(fds)})
            sent = self.socket.sendmsg([message], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds.values()))])
            self.socket.sendall(message[sent:])

    def answer(self):
        """The answer, however long it takes (patience ends after twice LIMIT)."""
        while self.known is None:
            try:
                more = self.socket.recv(65536)
            except ConnectionError:
                more = b""
            if not more:
                self.known = Answer(LOST)
                break
            self.data += more
            self.known, used = decode(self.data)
            self.data = self.data[used:]
        self.socket.close()
        return self.known

    def abandon(self):
        """Go away. Returns the answer if it had come by then: whoever was told is not undone."""
        if self.known is not None:
            return self.known
        self.socket.shutdown(socket.SHUT_RDWR)  # from here on nothing arrives any more
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            while more := self.socket.recv(65536):
                self.data += more
        self.socket.close()
        return decode(self.data)[0]


def call(host, *argv, **keys):
    return Call(host, *argv, **keys).answer()
