# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgr on a host with real NICs, and what the kernel does with one whose namespace dies."""
import pytest
from features import spare_nics
from netmgr_host import routed

pytestmark = pytest.mark.vm("physical-nic")
OUTSIDE, HOST_OUTSIDE = "198.51.100.9", "198.51.100.1"


def connect(host, near, far):
    """The host is reached through `near`, and beyond the cable is another machine; returns that."""
    outside = host.pod("outside")
    host.run(["ip", "link", "set", "dev", far.name, "netns", "outside"])
    host.run(["ip", "address", "add", f"{HOST_OUTSIDE}/24", "dev", near.name])
    host.run(["ip", "link", "set", "dev", near.name, "up"])
    outside.run(["ip", "address", "add", f"{OUTSIDE}/24", "dev", far.name])
    outside.run(["ip", "link", "set", "dev", far.name, "up"])
    host.wait_ping(OUTSIDE)
    return outside


@pytest.mark.parametrize("masquerade", [True, False])
def test_a_pod_and_the_world_beyond_a_nic(host, masquerade):
    with spare_nics(host) as (near, far):
        outside = connect(host, near, far)
        a = host.add(routed("net1", "10.97.0.0/24", ipMasq=masquerade))
        if not masquerade:
            outside.run(["ip", "route", "add", "10.97.0.0/24", "via", HOST_OUTSIDE])
        a.pod.wait_ping(OUTSIDE)
        if not masquerade:
            outside.wait_ping(a.ips[0])
        a.delete().expect_ok()
        outside.delete()


def test_a_nic_returns_to_the_initial_namespace_when_its_own_dies(host):
    with spare_nics(host) as (nic, _):
        pod = host.pod()
        host.run(["ip", "link", "set", "dev", nic.name, "netns", pod.name, "name", "eth7"])
        assert nic.find_in(pod) == "eth7" and nic.find_in(host) is None
        pod.delete()
        assert nic.wait_here() == "eth7"
        assert nic.find_in(host) is None


@pytest.mark.host(initial_netns=True)
def test_a_host_in_the_initial_namespace(host):
    """As on a real machine: what netmgrd serves is the namespace that its NICs return to."""
    with spare_nics(host) as (nic, _):
        assert nic.find_in(host) == nic.find_here() == nic.name
        a, b = host.add(routed()), host.add(routed())
        a.pod.wait_ping(b.ips[0])
        a.check().expect_ok()
        host.run(["ip", "link", "set", "dev", nic.name, "netns", b.pod.name, "name", "nic0"])
        assert nic.find_here() is None
        b.delete().expect_ok()
        b.pod.delete()
        assert nic.wait_here() == "nic0"
        a.pod.wait_ping("192.0.2.1")
