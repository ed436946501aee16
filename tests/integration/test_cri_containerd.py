# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgr-cri asks a real containerd: pods are claimed, what containerd has lost without a DEL is released,
and a containerd that cannot be asked costs nobody anything."""
import os
import shutil
import signal

import pytest
from cri_adapter import Adapter, netmgr_cri
from netmgr_host import routed, settle

pytestmark = pytest.mark.xdist_group("containerd")

NETWORK = {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "netmgr", "ipam": {
    "type": "local", "ranges": [[{"subnet": "10.97.64.0/29"}]]}}]}  # five addresses

# A plugin whose DEL is lost while the file exists
FORGETFUL = """#!/bin/sh
[ "$CNI_COMMAND" = DEL ] && [ -e "{flag}" ] && exit 0
exec "{plugin}" "$@"
"""


def forgetful(host):
    """A plugin directory that can lose DELs."""
    cni = f"{host.dir}/forgetful"
    os.mkdir(cni)
    for name in ("netmgr", "loopback"):
        with open(f"{cni}/{name}", "w") as f:
            f.write(FORGETFUL.format(flag=f"{host.dir}/lose-del", plugin=f"{host.dir}/cni/{name}"))
        os.chmod(f"{cni}/{name}", 0o755)
    return cni


@pytest.fixture(scope="module")
def node():
    for program in ("containerd", "ctr", "runc", "busybox", "jq", "protoc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (tests/test-deps.txt)")
    pytest.importorskip("grpc", reason="python3-grpcio is not installed (tests/test-deps.txt)")
    from containerd_cri import containerd_host
    with containerd_host(NETWORK, forgetful) as both:
        yield both


@pytest.fixture
def host(node, request):
    host, containerd = node
    daemons = []

    def start_cri(*options):
        daemons.append(netmgr_cri(host, *options, name=f"netmgr-cri-{request.node.name}"))
        return daemons[-1].start()
    host.start_cri = start_cri
    yield host
    failed = not getattr(request.node, "passed", False)
    for d in daemons:
        status = d.stop()
        if failed:
            print(d.text())
        assert status == 0
    if failed:
        print(host.logs() + containerd.text()[-20000:])
    if os.path.exists(f"{host.dir}/lose-del"):
        os.unlink(f"{host.dir}/lose-del")
    for pod in list(containerd.pods):
        pod.stop()
        pod.remove()
    if not failed:
        host.assert_nothing_left()


@pytest.fixture
def runtime(node, host):
    return node[1]


def claimed(host):
    return {s["Id"]: s["Runtime"] for s in host.describe("sandboxes")}


def lose(host, *pods):
    """containerd stops and removes them; their DEL never comes"""
    open(f"{host.dir}/lose-del", "w").close()
    for pod in pods:
        pod.stop()
        pod.remove()
    os.unlink(f"{host.dir}/lose-del")


def test_pods_are_claimed_and_lost_ones_released(host, runtime):
    a, b = runtime.pod("a").start_container(), runtime.pod("b").start_container()
    other = host.add(routed("net2", "10.97.9.0/24"))
    theirs = host.add(routed("net2", "10.97.9.0/24"))
    adapter = Adapter(host, "another")
    adapter.synchronize([theirs.cid])
    adapter.close()
    cri = host.start_cri("--interval=1")  # no endpoint: containerd's socket is known
    wanted = {a.id: "containerd", b.id: "containerd", other.cid: "", theirs.cid: "another"}
    settle(lambda: claimed(host) == wanted, lambda: f"claimed: {claimed(host)}")
    assert {r["id"]: r["runtime"] for r in host.sql("SELECT id, runtime FROM sandbox")} == wanted
    settle(lambda: "2 sandboxes of containerd " in cri.text(), cri.text)
    assert cri.text().count("cri-o: ") == 1, "one line for the runtime that is not there"
    lost_ip = a.ips[0]
    lose(host, a)
    settle(lambda: a.id not in claimed(host), "the lost pod is released")
    assert lost_ip not in host.held()
    assert {b.id, other.cid, theirs.cid} == set(claimed(host))
    host.wait_ping(b.ips[0])
    for x in (other, theirs):
        x.check().expect_ok()
        x.delete().expect_ok()
        x.pod.delete()


def test_containerd_killed_or_stopped_releases_nothing(host, runtime):
    a, b = runtime.pod("a").start_container(), runtime.pod("b").start_container()
    ips = a.ips + b.ips
    cri = host.start_cri("--interval=1")
    settle(lambda: set(claimed(host).values()) == {"containerd"}, "claimed")
    runtime.kill_daemon()
    settle(lambda: "containerd: cannot be asked" in cri.text(), "netmgr-cri has noticed")
    assert set(claimed(host)) == {a.id, b.id}
    for ip in ips:
        host.wait_ping(ip)
    host.netmgrd.kill()
    host.netmgrd.start()
    runtime.start_daemon()
    settle(lambda: cri.text().count("sandboxes of containerd ") >= 2, "asked again, by a new netmgrd")
    assert set(claimed(host)) == {a.id, b.id}
    assert a.ips + b.ips == ips
    for ip in ips:
        host.wait_ping(ip)
    # it takes connections and says nothing
    os.kill(runtime.daemon_pid(), signal.SIGSTOP)
    try:
        settle(lambda: "no answer within" in cri.text(), "patience ends")
        assert set(claimed(host)) == {a.id, b.id}
    finally:
        os.kill(runtime.daemon_pid(), signal.SIGCONT)
    settle(lambda: cri.text().count("sandboxes of containerd ") >= 3, "and goes on")
    assert set(claimed(host)) == {a.id, b.id}


def test_lost_pods_give_way_to_new_ones_before_the_range_is_full(host, runtime):
    pods = [runtime.pod(f"p{i}") for i in range(5)]
    host.start_cri("--interval=86400")
    settle(lambda: list(claimed(host).values()) == ["containerd"] * 5, "claimed")
    kept = [pods[0].ips[0], pods[4].ips[0]]
    lose(host, *pods[1:4])
    new = [runtime.pod(f"new{i}").start_container() for i in range(3)]
    assert len({p.ips[0] for p in new} | set(kept)) == 5
    for pod in new:
        host.wait_ping(pod.ips[0])
