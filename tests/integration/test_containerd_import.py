# SPDX-License-Identifier: LGPL-2.1-or-later
"""A node with real pods moves over: containerd ran them with Debian's reference plugins, its configuration is
replaced by netmgr's, their state is imported from libcni's own cache, and containerd removes them."""
import json
import os
import shutil

import pytest
from netmgr_host import settle

pytestmark = pytest.mark.xdist_group("containerd")
REFERENCE = "/usr/lib/cni"


def plugin_directory(host):
    """One directory, as on most nodes: the reference plugins, and netmgr among them."""
    os.mkdir(f"{host.dir}/bin-dir")
    for name in os.listdir(REFERENCE):
        shutil.copy(f"{REFERENCE}/{name}", f"{host.dir}/bin-dir/{name}")
    os.symlink("../bin/netmgr", f"{host.dir}/bin-dir/netmgr")
    return f"{host.dir}/bin-dir"


def theirs(host):
    return {"cniVersion": "1.0.0", "name": "cbr0", "plugins": [
        {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True,
         "ipam": {"type": "host-local", "dataDir": f"{host.dir}/networks", "ranges": [[{"subnet": "10.97.70.0/24"}]],
                  "routes": [{"dst": "0.0.0.0/0"}]}},
        {"type": "portmap", "capabilities": {"portMappings": True}}]}


OURS = {"cniVersion": "1.0.0", "name": "pods", "plugins": [
    {"type": "netmgr", "kind": "bridge", "bridge": "cni0", "isGateway": True, "isDefaultGateway": True,
     "capabilities": {"portMappings": True}, "ipam": {"type": "local", "ranges": [[{"subnet": "10.97.70.0/24"}]]}}]}


@pytest.fixture
def node():
    for program in ("containerd", "ctr", "runc", "busybox", "jq", "protoc", "iptables-save"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (tests/test-deps.txt)")
    pytest.importorskip("grpc", reason="python3-grpcio is not installed (tests/test-deps.txt)")
    from containerd_cri import containerd_host
    with containerd_host(OURS, plugin_directory) as (host, containerd):
        yield host, containerd
        host.run(["ip", "link", "delete", "cni0"], check=False)


def put_conf(runtime, conf):
    path = f"{runtime.dir}/net.d/10-netmgr.conflist"
    with open(path + ".tmp", "w") as f:
        json.dump(conf, f)
    shutil.move(path + ".tmp", path)


def made_by(host, runtime, wanted):
    """containerd follows the file in its own time: whether its next pod is netmgr's"""
    pod = runtime.pod("probe")
    ours = any(a["Sandbox"] == pod.id and a["Kind"] == "bridge" for a in host.describe("attachments"))
    pod.stop()
    pod.remove()
    return ours == wanted


def files(host):
    return sorted(x for x in os.listdir(f"{host.dir}/networks/cbr0") if x[0].isdigit())


def rules(host):
    return [x for x in host.run(["iptables-save", "-t", "nat"]).stdout.splitlines() if "CNI" in x]


def test_a_node_moves_over(node):
    host, runtime = node
    put_conf(runtime, theirs(host))
    settle(lambda: made_by(host, runtime, False), "containerd has the reference plugins")
    ports = [{"protocol": "TCP", "container_port": 80, "host_port": 8080}]
    a, b = runtime.pod("a", ports=ports).start_container(), runtime.pod("b").start_container()
    old = {p: p.ips[0] for p in (a, b)}
    assert files(host) == sorted(old.values()) and any("8080" in x for x in rules(host))

    put_conf(runtime, OURS)
    results = f"/proc/{runtime.daemon_pid()}/root/var/lib/cni/results"
    report = host.ctl_json("import", "multus", "--dir=/none", f"--results-dir={results}")
    assert {(r["container"], r["interface"]) for r in report["imported"]} == {(p.id, "eth0") for p in (a, b)}, report
    settle(lambda: made_by(host, runtime, True), "containerd has netmgr")
    c = runtime.pod("c").start_container()
    assert c.ips[0] not in old.values()
    for x, y in ((a, c), (c, b)):
        x.wait_ping(y.ips[0])
    host.netmgrd.restart()
    a.stop()
    a.remove()
    assert files(host) == [old[b]] and not any("8080" in x for x in rules(host))
    assert len([x for x in host.ip("link", "show", "master", "cni0")]) == 2
    c.wait_ping(old[b])
    for pod in (b, c):
        pod.stop()
        pod.remove()
    settle(lambda: host.describe("attachments") == [] and host.held() == {}, "nothing is left")
    assert files(host) == [] and not [x for x in rules(host) if "8080" in x or a.id in x or b.id in x]
    assert host.ip("link", "show", "master", "cni0") == []
    # libcni's files of the former name stay behind, and are known for what they are
    again = host.ctl_json("import", "multus", "--dir=/none", f"--results-dir={results}")
    assert again["imported"] == [] and {r["container"] for r in again["skipped"]} == {a.id, b.id}, again
