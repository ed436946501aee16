# SPDX-License-Identifier: LGPL-2.1-or-later
"""Which namespace is which: a path proves nothing, an inode number neither; and nobody keeps a dead
namespace alive."""
import json
import os

import pytest
from netmgr_host import bridge, routed, settle

# what they need of the kernel differs from one to the next
pytestmark = pytest.mark.vm


def inode(pod):
    return os.stat(pod.outside).st_ino


@pytest.mark.parametrize("kind", ["routed", "bridge"])
def test_deleting_the_namespace_takes_the_interfaces(host, kind):
    """As long as anybody held a descriptor of the namespace, its interfaces would stay."""
    a = host.add(routed() if kind == "routed" else bridge())
    a.check().expect_ok()
    assert not host.netmgrd.netns_fds() and not host.nsd.netns_fds()
    a.pod.delete()
    settle(lambda: host.link(a.host_ifname) is None, f"{a.host_ifname} goes with the namespace of its peer")
    a.delete().expect_ok()


@pytest.mark.sanitize
def test_nobody_holds_a_namespace_after_any_verb(host):
    conf = routed(version="1.1.0")
    a = host.add(conf)
    host.try_add({**conf, "nonsense": 1}, pod=host.pod())[0].expect_error(2, "nonsense")
    a.check().expect_ok()
    a.delete().expect_ok()
    host.cni("GC", {**conf, "cni.dev/valid-attachments": []}).expect_ok()
    host.cni("STATUS", conf).expect_ok()
    assert not host.netmgrd.netns_fds() and not host.nsd.netns_fds()


def test_reused_inode_is_not_the_old_namespace(host):
    """A new namespace with the inode number (and the name) of a dead one is another sandbox's."""
    conf = routed()
    old = host.add(conf)
    number = inode(old.pod)
    old.pod.delete()
    for _ in range(200):
        pod = host.pod(old.pod.name)
        if inode(pod) == number:
            break
        pod.delete()
    else:
        pytest.skip("this kernel did not give the inode number of a dead namespace again within 200 tries")
    # the new namespace is not attached, whatever path and inode say
    old.check().expect_error((7, 8, 107))
    # somebody else's interface of the same name lives there now, and DEL of the old one spares it
    pod.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "foreign0"])
    old.delete().expect_ok()
    assert pod.link("eth0")
    pod.run(["ip", "link", "delete", "eth0"])
    # and the new one gets a network of its own
    new = host.add(conf, pod, cid="another")
    assert new.ips != old.ips
    new.check().expect_ok()


def test_same_container_in_a_new_namespace(host):
    """The runtime lost its sandbox without DEL, made the namespace again, and calls ADD."""
    conf = routed()
    a = host.add(conf)
    a.pod.delete()
    a.live = False
    pod = host.pod(a.pod.name)
    reply, b = host.try_add(conf, pod, cid=a.cid)
    if b is None:
        reply.expect_error(100, a.cid)
        a.delete().expect_ok()
        b = host.add(conf, pod, cid=a.cid)
    b.check().expect_ok()
    assert list(host.held().values()) == [f"{a.cid}/eth0"]


def test_the_hosts_own_namespace_is_refused(host):
    host.run(["sh", "-c", "touch /run/netns/self && mount --bind /proc/self/ns/net /run/netns/self"])
    with host.unchanged():
        host.cni("ADD", routed(), "c1", "eth0", "/run/netns/self").expect_error(8, "/run/netns/self")
        host.cni("ADD", routed(), "c1", "eth0", "/proc/self/ns/net").expect_error(8)
    host.run(["umount", "/run/netns/self"])
    host.run(["rm", "/run/netns/self"])


def test_a_caller_in_another_namespace_is_refused(host):
    """The plugin runs in a namespace that is not netmgrd's: this netmgrd cannot serve it."""
    elsewhere, pod = host.pod(), host.pod()
    with host.unchanged():
        host.cni("ADD", routed(), "c1", "eth0", pod.path, inside=elsewhere).expect_error(8)


def test_a_caller_in_another_mount_namespace_is_served(host):
    """Paths mean something else there; descriptors do not."""
    pod = host.pod()
    script = f"mount --bind {pod.path} /run/other-name && umount {pod.path} && exec {host.dir}/cni/netmgr"
    host.run(["touch", "/run/other-name"])
    env = host.cni_env("ADD", "c1", "eth0", "/run/other-name")
    p = host.popen(["unshare", "--mount", "--propagation", "private", "sh", "-c", script], env=env,
                   stdin=-1, stdout=-1, stderr=-1)
    out, err = p.communicate(json.dumps(routed()).encode())
    assert p.returncode == 0, out + err
    assert pod.link("eth0")
    host.cni("DEL", routed(), "c1", "eth0", pod.path).expect_ok()


def test_identity_is_in_the_ledger(host):
    a = host.add(routed())
    row, = host.sql("SELECT * FROM sandbox")
    with open("/proc/sys/kernel/random/boot_id") as f:
        assert row["boot_id"] == f.read().strip()
    assert row["netns_ino"] == inode(a.pod)
    cookie = a.pod.run(["/usr/bin/python3", "-c", "import socket, struct; s = socket.socket(); "
                        "print(struct.unpack('=Q', s.getsockopt(socket.SOL_SOCKET, 71, 8))[0])"]).stdout
    assert row["netns_cookie"] == int(cookie)  # SO_NETNS_COOKIE
