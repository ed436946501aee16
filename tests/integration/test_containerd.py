# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real pods: Debian's containerd with its CRI plugin, runc, and netmgr as the network.

Where the machine's cgroup mounts refuse resource limits, tests/lib/runc-without-limits takes
linux.resources (and, without CAP_SYS_RESOURCE, oomScoreAdj and rlimits) out of the bundle before it
calls runc. The network is not touched by that.
"""
import shutil

import pytest
from netmgr_host import settle, subnet_of

pytestmark = pytest.mark.xdist_group("containerd")

V4, V6 = "10.97.64.0/22", "fd97:64::/64"
IPAM = {"type": "local", "ranges": [[{"subnet": V4}], [{"subnet": V6}]]}
NETWORKS = {
    "routed": {"type": "netmgr", "ipam": IPAM},
    "bridge": {"type": "netmgr", "kind": "bridge", "isGateway": True, "isDefaultGateway": True,
               "hairpinMode": True, "ipam": IPAM},
}


@pytest.fixture(scope="module", params=NETWORKS)
def node(request):
    """(Host, Containerd), for all tests of this file; each test ends with nothing left"""
    for program in ("containerd", "ctr", "runc", "busybox", "jq", "protoc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (tests/test-deps.txt)")
    pytest.importorskip("grpc", reason="python3-grpcio is not installed (tests/test-deps.txt)")
    from containerd_cri import containerd_host
    with containerd_host({"cniVersion": "1.0.0", "name": "pods", "plugins": [NETWORKS[request.param]]}) as both:
        yield both


@pytest.fixture
def runtime(node, request):
    host, containerd = node
    yield containerd
    failed = not getattr(request.node, "passed", False)
    if failed:
        print(host.logs() + containerd.text()[-20000:])
    if not host.netmgrd.running:
        host.netmgrd.start()
    for pod in list(containerd.pods):
        pod.stop()
        pod.remove()
    if not failed:
        assert containerd.client.call("ListPodSandbox")["items"] == []
        host.assert_nothing_left()


@pytest.fixture
def host(node):
    return node[0]


def test_pods_run_and_reach_each_other(host, runtime):
    a, b = (runtime.pod(name).start_container() for name in ("a", "b"))
    for pod in (a, b):
        assert len(pod.ips) == 2 and subnet_of(pod.ips[0], V4) and subnet_of(pod.ips[1], V6)
    assert not set(a.ips) & set(b.ips)
    for i in (0, 1):
        a.wait_ping(b.ips[i])
        b.wait_ping(a.ips[i])
        host.wait_ping(a.ips[i])
    status, text = a.exec("ip", "addr", "show", "eth0")
    assert status == 0 and all(ip in text for ip in a.ips)
    status, text = a.exec("ip", "addr", "show", "lo")
    assert status == 0 and "127.0.0.1" in text and "UP" in text


def test_the_pod_is_known_by_its_name(host, runtime):
    pod = runtime.pod("named")
    box, = (s for s in host.describe("sandboxes") if s["Id"] == pod.id)
    assert (box["PodName"], box["PodNamespace"], box["PodUID"]) == ("named", "tests", "uid-named")
    attached = {a["Interface"]: a for a in host.describe("attachments") if a["Sandbox"] == pod.id}
    assert [c.split("/")[0] for c in attached["eth0"]["Addresses"]] == pod.ips


def test_stop_and_remove_leave_nothing(host, runtime):
    pod = runtime.pod("short").start_container()
    assert len(host.held()) >= 2
    pod.stop()
    assert not [x for x in host.links() if x.startswith("nmg")]
    assert [s for s in host.describe("sandboxes")] == []
    pod.stop()  # a runtime's client may ask again
    pod.remove()
    host.assert_nothing_left()


def test_twenty_at_once(host, runtime):
    pods = host.parallel(20, lambda i: runtime.pod(f"many-{i}").start_container(), workers=20)
    addresses = [ip for p in pods for ip in p.ips]
    assert len(set(addresses)) == 40
    host.parallel(20, lambda i: pods[i].wait_ping(pods[(i + 1) % 20].ips[i % 2]), workers=10)

    def end(i):
        pods[i].stop()
        pods[i].remove()
    host.parallel(20, end, workers=20)
    host.assert_nothing_left()


def test_pods_outlive_the_daemon(host, runtime):
    a, b = (runtime.pod(name).start_container() for name in ("old-a", "old-b"))
    host.netmgrd.kill()
    a.wait_ping(b.ips[0])
    host.netmgrd.start()
    c = runtime.pod("new").start_container()
    c.wait_ping(a.ips[0])
    assert not set(c.ips) & set(a.ips + b.ips)


def test_pod_without_a_daemon_is_refused_and_works_later(host, runtime):
    import grpc
    host.netmgrd.stop()
    with pytest.raises(grpc.RpcError) as refused:
        runtime.pod("early")
    assert "netmgr" in refused.value.details()
    host.netmgrd.start()
    # the kubelet would stop the failed sandbox first: its DEL had nobody to talk to either
    runtime.remove_all()
    pod = runtime.pod("early").start_container()
    host.wait_ping(pod.ips[0])


def test_pod_removed_without_a_daemon(host, runtime):
    """containerd is told that the pod is gone, and so it is once netmgrd is there again."""
    pods = [runtime.pod(name).start_container() for name in ("stays", "goes", "goes-too")]
    host.netmgrd.kill()
    for pod in pods[1:]:
        pod.stop()
        pod.remove()
    assert len(host.held_addresses()) == 6  # nobody did anything yet
    host.netmgrd.start()
    assert {a.split("/")[0] for a in host.held()} == set(pods[0].ips)
    pods[0].wait_ping("192.0.2.1")


def test_exhausted_range_reaches_the_user(host, runtime):
    """The sentence of the plugin is what a person sees in the runtime's error."""
    import grpc
    import json
    path = f"{runtime.dir}/net.d/10-netmgr.conflist"
    with open(path) as f:
        saved = f.read()
    conf = json.loads(saved)
    conf["name"] = "tiny"
    conf["plugins"][0] = {"type": "netmgr", "ipam": {"type": "local", "subnet": "10.97.80.0/30"}}

    def put(text):
        with open(path + ".tmp", "w") as f:
            f.write(text)
        shutil.move(path + ".tmp", path)
    put(json.dumps(conf))
    try:
        def first():
            pod = runtime.pod("probe")  # containerd follows the file in its own time
            if subnet_of(pod.ips[0], "10.97.80.0/30"):
                return pod
            pod.stop()
            pod.remove()
        settle(first, "containerd has read the new file")
        with pytest.raises(grpc.RpcError) as refused:
            runtime.pod("too-many")
        assert "10.97.80." in refused.value.details()
        runtime.pods[0].stop()
        runtime.pods[0].remove()
    finally:
        put(saved)

        def back():
            pod = runtime.pod("probe")
            fine = subnet_of(pod.ips[0], V4)
            pod.stop()
            pod.remove()
            return fine
        settle(back, "containerd has read the former file")
