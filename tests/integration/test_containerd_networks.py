# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real pods with several interfaces: containerd passes a pod's annotations on, and netmgr does the rest."""
import json
import os
import shutil

import pytest
from netmgr_host import settle, subnet_of
from pod_networks import CAPABILITY, NETWORKS, write_list, write_nad, write_network

pytestmark = pytest.mark.xdist_group("containerd")

IPAM = {"type": "local", "ranges": [[{"subnet": "10.97.64.0/22"}], [{"subnet": "fd97:64::/64"}]]}
PODS = {"cniVersion": "1.0.0", "name": "pods",
        "plugins": [{"type": "netmgr", "ipam": IPAM, "capabilities": {CAPABILITY: True, "portMappings": True}}]}
ASKED = [{"name": "storage"}, {"name": "lan", "namespace": "tests", "interface": "lan0"}, {"name": "vendor"}]


def plugin_directory(host):
    """netmgr's own plugins, and one of others beside them: Debian's ptp by another name"""
    shutil.copy("/usr/lib/cni/ptp", f"{host.dir}/cni/vendor-ptp")
    os.chmod(f"{host.dir}/cni/vendor-ptp", 0o755)


@pytest.fixture(scope="module")
def node():
    for program in ("containerd", "ctr", "runc", "busybox", "jq", "protoc"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed (tests/test-deps.txt)")
    pytest.importorskip("grpc", reason="python3-grpcio is not installed (tests/test-deps.txt)")
    from containerd_cri import containerd_host
    with containerd_host(PODS, plugin_directory) as (host, containerd):
        host.run(["ip", "link", "add", "up0", "type", "veth", "peer", "name", "up1"])
        for link in ("up0", "up1"):
            host.run(["ip", "link", "set", link, "addrgenmode", "none", "up"])
        write_network(host, "storage", "bridge", "10.98.1.0/24")
        write_nad(host, "tests", "lan", {"cniVersion": "1.0.0", "type": "macvlan", "master": "up0",
                                         "ipam": {"type": "host-local", "subnet": "10.98.2.0/24"}})
        write_list(host, "vendor", {"type": "vendor-ptp", "ipam": {"type": "static", "addresses": [
            {"address": "10.98.3.5/24", "gateway": "10.98.3.1"}]}})
        host.manager("Reload")
        first = containerd.pod("first", {NETWORKS: json.dumps(ASKED)})  # the bridge stays with its network
        first.stop()
        first.remove()
        settle(lambda: not [x for x in host.links() if x.startswith("nmg")] and not host.held(), "the first pod is gone")
        host.baseline = host.snapshot()
        yield host, containerd


def addresses(pod, ifname):
    status, text = pod.exec("ip", "addr", "show", "dev", ifname)
    return [line.split()[1] for line in text.splitlines() if line.strip().startswith("inet ")] if status == 0 else None


def test_a_pod_with_four_interfaces(node):
    host, runtime = node
    pod = runtime.pod("four", {NETWORKS: json.dumps(ASKED)}).start_container()
    first = pod.ips
    assert addresses(pod, "eth0") == [first[0] + "/32"]
    lan = {name: addresses(pod, name)[0] for name in ("net1", "lan0")}
    assert subnet_of(lan["net1"].split("/")[0], "10.98.1.0/24") and subnet_of(lan["lan0"].split("/")[0], "10.98.2.0/24")
    assert addresses(pod, "net3") == ["10.98.3.5/24"]
    pod.wait_ping("10.98.1.1")
    pod.wait_ping("10.98.3.1")
    expected = ["eth0", "net1", "lan0", "net3"]
    status = json.loads(host.ctl("show", pod.id, "--network-status", check=True).stdout)
    assert [s["interface"] for s in status] == expected
    assert [s.get("default", False) for s in status] == [True, False, False, False]
    assert [s["name"] for s in status] == ["pods", "storage", "tests/lan", "vendor"]
    assert [s["ips"] for s in status] == [first, *([lan[n].split("/")[0]] for n in ("net1", "lan0")), ["10.98.3.5"]]
    host.netmgrd.kill()
    host.netmgrd.start()
    assert addresses(pod, "net3") == ["10.98.3.5/24"]
    assert json.loads(host.ctl("show", pod.id, "--network-status", check=True).stdout) == status
    pod.stop()
    pod.remove()
    host.assert_nothing_left()


def test_a_pod_whose_annotation_is_wrong_is_refused(node):
    import grpc
    host, runtime = node
    with pytest.raises(grpc.RpcError) as refused:
        runtime.pod("wrong", {NETWORKS: json.dumps([{"name": "storage"}, {"name": "storage", "mac": "nonsense"}])})
    assert f"{NETWORKS}[1]" in refused.value.details() and "nonsense" in refused.value.details()
    runtime.remove_all()
    host.assert_nothing_left()
