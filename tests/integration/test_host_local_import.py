# SPDX-License-Identifier: LGPL-2.1-or-later
"""A node that moves from the reference plugins bridge and host-local to netmgr's, and back, while pods live."""
import fcntl
import json
import os
import threading

import pytest
from netmgr_host import settle

REFERENCE = "/usr/lib/cni"
MIRROR = "[Host]\nNodeAddress=192.0.2.1\n[Addresses]\nMirrorHostLocal=yes\nCooldownSec=0\n"


class Node:
    """One conflist, two plugin directories."""

    def __init__(self, host, name="pods"):
        self.host, self.name = host, name
        self.data = f"{host.dir}/networks"
        self.dir = f"{self.data}/{name}"
        self.conf = {"cniVersion": "1.0.0", "name": name, "type": "bridge", "bridge": "cni0", "isGateway": True,
                     "ipam": {"type": "host-local", "dataDir": self.data, "routes": [{"dst": "0.0.0.0/0"}],
                              "ranges": [[{"subnet": "10.97.0.0/24", "rangeStart": "10.97.0.10", "rangeEnd": "10.97.0.30"}]]}}

    def call(self, verb, pod, reference, conf=None, ifname="eth0", **env):
        directory = REFERENCE if reference else f"{self.host.dir}/cni"
        env = self.host.cni_env(verb, pod.name if pod else None, ifname if pod else None, pod.path if pod else None,
                                env={"CNI_PATH": directory, **env})
        r = self.host.run([f"{directory}/bridge"], env=env, input=json.dumps({**self.conf, **(conf or {})}), check=False)
        return r

    def add(self, pod, reference=False, **keys):
        r = self.call("ADD", pod, reference, **keys)
        assert r.returncode == 0, r
        return json.loads(r.stdout)["ips"][0]["address"].split("/")[0]

    def delete(self, pod, reference=False, **keys):
        r = self.call("DEL", pod, reference, **keys)
        assert r.returncode == 0, r

    def gc(self, *pods):
        r = self.call("GC", None, False, {"cniVersion": "1.1.0", "cni.dev/valid-attachments":
                                          [{"containerID": p.name, "ifname": "eth0"} for p in pods]})
        assert r.returncode == 0, r

    def files(self):
        """{address: owner} as host-local has them"""
        found = {}
        if os.path.isdir(self.dir):
            for name in os.listdir(self.dir):
                if name[0].isdigit() and os.path.isfile(f"{self.dir}/{name}"):
                    with open(f"{self.dir}/{name}", newline="") as f:
                        found[name] = f.read()
        return found

    def held(self):
        return {a.split("/")[0]: who for a, who in self.host.held().items()}

    def put(self, address, content):
        os.makedirs(self.dir, exist_ok=True)
        with open(f"{self.dir}/{address}", "w", newline="") as f:
            f.write(content)

    def end(self):
        self.host.run(["ip", "link", "delete", "cni0"], check=False)


@pytest.fixture
def node(host):
    n = Node(host)
    yield n
    n.end()


@pytest.mark.sanitize
def test_switching_to_netmgr(host, node):
    """No address is given out twice, and DEL of the old pods through netmgr gives theirs back."""
    pods = [host.pod() for _ in range(6)]
    old = [node.add(p, reference=True) for p in pods[:3]]
    new = [node.add(p) for p in pods[3:]]
    assert len({*old, *new}) == 6, (old, new)
    assert node.held() == {a: f"{p.name}/eth0" for a, p in zip(old + new, pods)}
    assert node.files() == {a: f"{p.name}\r\neth0" for a, p in zip(old, pods)}
    pods[0].wait_ping(new[0])
    pods[4].wait_ping(old[2])
    # round robin goes on where the reference had stood
    assert new == [f"10.97.0.{13 + i}" for i in range(3)]
    host.netmgrd.restart()
    assert node.held() == {a: f"{p.name}/eth0" for a, p in zip(old + new, pods)}
    for p in pods[:2]:
        node.delete(p)
    assert node.files() == {old[2]: f"{pods[2].name}\r\neth0"}
    settle(lambda: set(node.held()) == {old[2], *new}, "the old pods' addresses are free")
    for p in pods[2:]:
        node.delete(p)
    assert node.files() == {}
    settle(lambda: node.held() == {}, "nothing is held")


@pytest.mark.host(conf=MIRROR)
@pytest.mark.sanitize
def test_switching_back(host, node):
    """With MirrorHostLocal= the reference finds what netmgr has given out, and gives back what is netmgr's."""
    pods = [host.pod() for _ in range(6)]
    ours = [node.add(p) for p in pods[:3]]
    assert node.files() == {a: f"{p.name}\r\neth0" for a, p in zip(ours, pods)}
    with open(f"{node.dir}/last_reserved_ip.0") as f:
        assert f.read() == ours[-1]
    node.delete(pods[1])
    assert set(node.files()) == {ours[0], ours[2]}
    theirs = [node.add(p, reference=True) for p in pods[3:]]
    assert not {ours[0], ours[2]} & set(theirs) and len(set(theirs)) == 3
    # and forth again: what the reference did meanwhile is seen
    node.delete(pods[3], reference=True)
    again = node.add(pods[1])
    assert again not in {ours[0], ours[2], theirs[1], theirs[2]}
    assert node.held() == {ours[0]: f"{pods[0].name}/eth0", ours[2]: f"{pods[2].name}/eth0", again: f"{pods[1].name}/eth0",
                           theirs[1]: f"{pods[4].name}/eth0", theirs[2]: f"{pods[5].name}/eth0"}
    for p in (pods[0], pods[1], pods[2], pods[4], pods[5]):
        node.delete(p)
    assert node.files() == {}


def test_without_the_mirror_the_directory_is_left_alone(host, node):
    os.makedirs(node.dir)
    pod = host.pod()
    node.add(pod)
    node.delete(pod)
    assert node.files() == {}
    other = Node(host, "others")
    other.conf["bridge"] = "cni1"
    other.conf["ipam"]["ranges"] = [[{"subnet": "10.97.5.0/24"}]]
    other.add(pod)
    assert not os.path.exists(other.dir)
    other.delete(pod)
    host.run(["ip", "link", "delete", "cni1"], check=False)


def test_what_the_reference_does_later_is_seen(host, node):
    a, b, c = host.pod(), host.pod(), host.pod()
    first = node.add(a, reference=True)
    second = node.add(b)
    third = node.add(c, reference=True)  # the reference does not know of the second
    d = host.pod()
    if third == second:
        node.delete(c, reference=True)
    else:
        assert node.add(d) not in {first, second, third}
        node.delete(d)
        node.delete(c, reference=True)
    node.delete(a, reference=True)
    e = host.pod()
    address = node.add(e)
    assert set(node.held()) == {second, address}, "what the reference gave back is nobody's"
    node.delete(e)
    node.delete(b)


def test_files_of_all_sorts(host, node):
    node.put("10.97.0.10", "oldstyle")                  # without an interface
    node.put("10.97.0.11", "")                          # a crash
    node.put("10.97.0.12", "newstyle\r\neth0")
    node.put("10.97.0.13", "newstyle\nnet1\n")
    node.put("10.97.0.14", "no id: $(reboot)\r\neth0")
    node.put("fd97::1", "six\r\neth0")
    node.put("10.97.0.300", "nonsense")
    node.put("last_reserved_ip.0", "10.97.0.9")
    node.put("last_reserved_ip.x", "10.97.0.9")
    os.mkdir(f"{node.dir}/10.97.0.17")
    os.symlink("/etc/passwd", f"{node.dir}/10.97.0.18")
    node.put("10.97.0.19", "x" * 5000)
    pod = host.pod()
    address = node.add(pod)
    assert address == "10.97.0.15"
    held = node.held()
    assert held.pop(address) == f"{pod.name}/eth0"
    assert held == {
        "10.97.0.17": "/", "10.97.0.18": "/", "10.97.0.19": "/", "10.97.0.10": "oldstyle/", "10.97.0.11": "/", "10.97.0.12": "newstyle/eth0", "10.97.0.13": "newstyle/net1",
        "10.97.0.14": "/eth0", "fd97::1": "six/eth0"}
    gone = type("Gone", (), {"name": "oldstyle", "path": "/none"})
    node.delete(gone, ifname="net7")  # an old file is of every interface
    assert "10.97.0.10" not in node.files() and "10.97.0.10" not in node.held()
    # GC: what is not listed goes, also what has no owner
    six = type("Six", (), {"name": "six", "path": "/none"})
    node.gc(six, pod)
    assert os.path.isdir(f"{node.dir}/10.97.0.17") and os.path.exists("/etc/passwd")
    settle(lambda: set(node.held()) == {address, "fd97::1"}, lambda: f"only what is valid: {node.held()}")
    assert {"10.97.0.11", "10.97.0.12", "10.97.0.13"}.isdisjoint(node.files())
    assert os.path.exists(f"{node.dir}/fd97::1")
    node.gc(pod)
    settle(lambda: set(node.held()) == {address}, "nothing is left of the reference's")
    node.delete(pod)


def test_an_address_of_two(host, node):
    """Nobody loses what he has: the journal names both."""
    pod = host.pod()
    address = node.add(pod)
    node.put(address, "somebody-else\r\neth0")
    other = host.pod()
    assert node.add(other) != address
    assert "one of them has to go" in host.netmgrd.text() and "somebody-else" in host.netmgrd.text()
    assert node.held()[address] == f"{pod.name}/eth0"
    node.delete(pod)
    node.delete(other)
    os.unlink(f"{node.dir}/{address}")


@pytest.mark.host(conf=MIRROR)
def test_a_file_that_is_another_s(host, node):
    """The mirror overwrites nothing."""
    first = host.pod()
    taken = node.add(first)
    node.delete(first)
    host.netmgrd.stop()  # an import that is not there: the file comes when the directory was read already
    host.netmgrd.start()
    node.put("10.97.0.10", "x\r\neth0")
    pod = host.pod()
    assert node.add(pod) not in ("10.97.0.10",)
    node.delete(pod)
    assert node.files() == {"10.97.0.10": "x\r\neth0"} and taken == "10.97.0.10"
    node.gc()
    settle(lambda: node.files() == {}, "it is not valid any more")


def test_too_many_files(host, node):
    os.makedirs(node.dir)
    for i in range(4097):
        node.put(f"10.98.{i // 256}.{i % 256}", "c\r\neth0")
    pod = host.pod()
    r = node.call("ADD", pod, False)
    assert r.returncode == 1 and "4096" in json.loads(r.stdout)["msg"] and node.dir in json.loads(r.stdout)["msg"]
    assert host.held() == {}
    os.unlink(f"{node.dir}/10.98.0.1")
    node.add(pod)
    node.gc(pod)
    assert node.files() == {}
    node.delete(pod)


def test_the_lock_is_waited_for(host, node):
    node.put("10.97.0.10", "c\r\neth0")
    pod, answers = host.pod(), []
    with open(f"{node.dir}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        t = threading.Thread(target=lambda: answers.append(node.add(pod)))
        t.start()
        settle(lambda: len(host.run(["sh", "-c", f"ls -l /proc/[0-9]*/fd | grep -F {node.dir}/lock || :"]
                                    ).stdout.splitlines()) >= 2, "it asks for the lock")
        assert not answers
        node.put("10.97.0.11", "d\r\neth0")
        fcntl.flock(lock, fcntl.LOCK_UN)
    t.join(30)
    assert answers == ["10.97.0.12"]
    node.delete(pod)
    node.gc()


def test_resolv_conf(host, node):
    path = f"{host.dir}/resolv"
    with open(path, "w") as f:
        f.write("# comment\nnameserver 10.97.0.53\nnameserver  fd97::53\n;x\nsearch a.example\nsearch b.example c.example\n"
                "domain one\ndomain two\noptions ndots:2 edns0\nsortlist 1\nnonsense\n")
    node.conf["ipam"]["resolvConf"] = path
    pods = host.pod(), host.pod()
    env = host.cni_env("ADD", "other", "eth0", pods[0].path, env={"CNI_PATH": REFERENCE})
    reference = host.run([f"{REFERENCE}/host-local"], env=env, input=json.dumps(node.conf))
    host.run([f"{REFERENCE}/host-local"], env={**env, "CNI_COMMAND": "DEL"}, input=json.dumps(node.conf))
    result = json.loads(node.call("ADD", pods[0], False).stdout)
    assert json.loads(reference.stdout)["dns"] == result["dns"] == {
        "nameservers": ["10.97.0.53", "fd97::53"], "domain": "two", "search": ["a.example", "b.example", "c.example"],
        "options": ["ndots:2", "edns0"]}
    node.delete(pods[0])
    for bad in ("/none/resolv", host.dir):
        node.conf["ipam"]["resolvConf"] = bad
        r = node.call("ADD", pods[0], False)
        assert r.returncode == 1 and bad in json.loads(r.stdout)["msg"], r
    with open(path, "w") as f:
        f.write("x" * 100000)
    node.conf["ipam"]["resolvConf"] = path
    assert "too large" in json.loads(node.call("ADD", pods[0], False).stdout)["msg"]


def test_a_spooled_del_of_an_old_pod(host, node):
    """Its file cannot be removed then; the address is free here, and GC removes the file."""
    old, new = host.pod(), host.pod()
    address = node.add(old, reference=True)
    node.add(new)
    host.netmgrd.stop()
    node.delete(old, DBUS_SYSTEM_BUS_ADDRESS="unix:path=/none")
    host.netmgrd.start()
    settle(lambda: address not in node.held(), "netmgrd has worked on the spool")
    node.delete(new)


def test_a_chain_ends_with_its_interface(host, node):
    """DEL and GC go to every plugin, last first: it is the one that names the directory that empties it."""
    old, new = host.pod(), host.pod()
    address = node.add(old, reference=True)
    node.add(new)
    portmap = {"cniVersion": "1.1.0", "name": "pods", "type": "portmap"}
    valid = {"cni.dev/valid-attachments": [{"containerID": new.name, "ifname": "eth0"}]}
    host.cni("GC", {**portmap, **valid}, plugin="portmap").expect_ok()
    host.cni("DEL", portmap, old.name, "eth0", old.path, plugin="portmap").expect_ok()
    assert address in node.held() and address in node.files()
    node.delete(old)
    assert address not in node.held() and address not in node.files()
    node.delete(new)
