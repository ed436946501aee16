# SPDX-License-Identifier: LGPL-2.1-or-later
"""host-local and static executed by interface plugins of others: Debian's ptp and bridge with netmgr's IPAM."""
import json

import pytest
from netmgr_host import settle

REFERENCE = "/usr/lib/cni"


class Chain:
    """A plugin directory with the reference's interface plugins and netmgr's IPAM plugins."""

    def __init__(self, host):
        self.host, self.dir = host, f"{host.dir}/mixed"
        host.run(["mkdir", self.dir])
        for name in ("ptp", "bridge"):
            host.run(["cp", f"{REFERENCE}/{name}", self.dir])
        for name in ("host-local", "static"):
            host.run(["ln", "-s", f"{host.dir}/cni/{name}", f"{self.dir}/{name}"])

    def conf(self, ipam=None, name="pods", version="1.0.0"):
        return {"cniVersion": version, "name": name, "type": "ptp",
                "ipam": ipam or {"type": "host-local", "ranges": [[{"subnet": "10.97.0.0/24"}], [{"subnet": "fd97::/64"}]],
                                 "dataDir": f"{self.host.dir}/data", "routes": [{"dst": "0.0.0.0/0"}]}}

    def call(self, verb, conf, pod, plugin="ptp", ifname="eth0", prev=None, **env):
        env = self.host.cni_env(verb, pod.name if pod else None, ifname if pod else None, pod.path if pod else None,
                                env={"CNI_PATH": self.dir, **env})
        if prev:
            conf = {**conf, "prevResult": prev}
        return self.host.run([f"{self.dir}/{plugin}"], env=env, input=json.dumps(conf), check=False)

    def ok(self, *args, **keys):
        r = self.call(*args, **keys)
        assert r.returncode == 0, r
        return json.loads(r.stdout) if r.stdout.strip() else None


@pytest.fixture
def chain(host):
    return Chain(host)


@pytest.mark.sanitize
def test_ptp_of_the_reference(host, chain):
    conf, a, b = chain.conf(), host.pod(), host.pod()
    results = [chain.ok("ADD", conf, p) for p in (a, b)]
    addresses = [[ip["address"].split("/")[0] for ip in r["ips"]] for r in results]
    assert addresses == [["10.97.0.2", "fd97::2"], ["10.97.0.3", "fd97::3"]]
    assert results[0]["ips"][0]["gateway"] == "10.97.0.1"
    assert set(host.held().values()) == {f"{a.name}/eth0", f"{b.name}/eth0"}
    chain.ok("CHECK", conf, a, prev=results[0])
    host.netmgrd.restart()
    chain.ok("CHECK", conf, a, prev=results[0])
    chain.ok("DEL", conf, a, prev=results[0])
    chain.ok("DEL", conf, a, prev=results[0])
    settle(lambda: set(host.held().values()) == {f"{b.name}/eth0"}, "its addresses are free")
    assert chain.call("CHECK", conf, a, prev=results[0]).returncode != 0
    chain.ok("DEL", conf, b, prev=results[1])


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "0.4.0", "1.0.0"])
def test_results_alone(host, chain, version):
    """As the reference answers: addresses, routes, no interface."""
    conf, pod = chain.conf(version=version), host.pod()
    ours = chain.ok("ADD", conf, pod, plugin="host-local")
    r = host.run([f"{REFERENCE}/host-local"], env=host.cni_env("ADD", "x", "eth0", pod.path), input=json.dumps(conf))
    assert {k: v for k, v in ours.items() if v} == {k: v for k, v in json.loads(r.stdout).items() if v}
    chain.ok("DEL", conf, pod, plugin="host-local")
    host.run([f"{REFERENCE}/host-local"], env=host.cni_env("DEL", "x", "eth0", pod.path), input=json.dumps(conf))


def test_static(host, chain):
    conf, pod = chain.conf({"type": "static", "addresses": [{"address": "10.97.3.7/24", "gateway": "10.97.3.1"}],
                            "dns": {"nameservers": ["10.97.3.53"]}}), host.pod()
    result = chain.ok("ADD", conf, pod)
    assert result["ips"][0]["address"] == "10.97.3.7/24"
    chain.ok("CHECK", conf, pod, prev=result)
    chain.ok("DEL", conf, pod, prev=result)


def test_a_dead_sandbox(host, chain):
    """Nobody calls DEL: netmgrd sees that the namespace is gone."""
    conf, pod = chain.conf(), host.pod()
    chain.ok("ADD", conf, pod)
    pod.delete()
    settle(lambda: host.held() == {}, "the addresses are free")
    chain.ok("DEL", conf, pod)


def test_garbage(host, chain):
    conf, a, b = chain.conf(version="1.0.0"), host.pod(), host.pod()
    for p in (a, b):
        chain.ok("ADD", conf, p)
    host.run(["umount", a.path])
    gc = {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": [{"containerID": b.name, "ifname": "eth0"}]}
    chain.ok("GC", gc, None, plugin="host-local")
    settle(lambda: set(host.held().values()) == {f"{b.name}/eth0"}, "what is not valid is free")
    chain.ok("STATUS", {**conf, "cniVersion": "1.1.0"}, None, plugin="host-local")
    chain.ok("DEL", conf, b)
    host.run(["ip", "netns", "delete", a.name], check=False)
    a.exists = False


def test_an_exhausted_range(host, chain):
    conf = chain.conf({"type": "host-local", "subnet": "10.97.0.0/30", "dataDir": f"{host.dir}/data"}, version="1.0.0")
    a, b = host.pod(), host.pod()
    chain.ok("ADD", conf, a)
    r = chain.call("ADD", conf, b)
    assert r.returncode == 1 and "10.97.0.0/30" in json.loads(r.stdout)["msg"]
    assert chain.call("STATUS", {**conf, "cniVersion": "1.1.0"}, None, plugin="host-local").returncode == 1
    chain.ok("DEL", conf, a)
    chain.ok("ADD", conf, b)
    chain.ok("DEL", conf, b)


def test_with_portmap_behind_it(host, chain):
    """The interface is the reference's, addresses and host ports are netmgr's: one attachment."""
    host.run(["ln", "-s", f"{host.dir}/cni/portmap", f"{chain.dir}/portmap"])
    conf, pod = chain.conf(), host.pod()
    result = chain.ok("ADD", conf, pod)
    ports = {"cniVersion": "1.0.0", "name": "pods", "type": "portmap", "runtimeConfig": {"portMappings": [
        {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}
    final = chain.ok("ADD", ports, pod, plugin="portmap", prev=result)
    assert final["ips"] == result["ips"]
    server = pod.host.popen(["/usr/bin/python3", "-c", "import socket; s = socket.create_server(('0.0.0.0', 80))\nwhile True:\n"
                             " c, _ = s.accept(); c.sendall(b'hello'); c.close()"], netns=pod)
    get = "import socket; s = socket.create_connection(('192.0.2.1', 8080), 5); print(s.recv(5))"
    try:
        settle(lambda: host.run(["/usr/bin/python3", "-c", get], check=False).stdout.strip() == "b'hello'", "the port answers")
    finally:
        server.kill()
        server.wait()
    chain.ok("CHECK", ports, pod, plugin="portmap", prev=final)
    chain.ok("DEL", ports, pod, plugin="portmap", prev=final)
    chain.ok("DEL", conf, pod, prev=final)
    settle(lambda: host.held() == {}, "nothing is held")
