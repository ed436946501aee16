# SPDX-License-Identifier: LGPL-2.1-or-later
"""What reconcile must leave alone, and what it must not pass over in silence."""
import contextlib

import failpoints
import netmgr_host
import pytest
from netmgr_host import bridge, routed, settle

from test_reconcile import at_rest, differences, look

PORT = {"runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]}}
MBIT = 10**6


def health(host):
    return host.ctl("status").stdout


def test_health_keeps_what_only_a_look_inside_tells(host):
    """Looks at the host that come after it find nothing, and are no reason to forget it."""
    a, b = host.add(routed("net1", "10.97.0.0/24")), host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    a.pod.run(["sh", "-c", "ip link set eth0 down && ip link set eth0 name mine && ip link set mine up"])
    settle(lambda: [x["Kind"] for x in differences(host)] == ["sandbox"], "only the sandbox's own doing differs")
    host.ctl("reconcile", check=True)
    before = look(host)
    for _ in range(5):
        host.run(["ip", "route", "del", b.ips[0], "dev", b.host_ifname])
        settle(lambda: not host.difference(before, look(host)), "the route is back")
        settle(lambda: "repairing" not in health(host), "the repair is over")
        assert "renamed" in health(host)
    a.pod.run(["sh", "-c", "ip link set mine down && ip link set mine name eth0 && ip link set eth0 up"])
    a.delete().expect_ok()
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")


@pytest.mark.sanitize
def test_start_leaves_the_inside_to_the_sandbox(host):
    """One that leads its traffic through a tunnel shall not find itself led past it after an update of netmgr."""
    a = host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    a.pod.run(["sh", "-c", "ip link add tun0 type veth && ip link set tun0 up && ip route replace default dev tun0"])
    routes = a.pod.run(["ip", "route", "show"]).stdout
    host.netmgrd.restart()
    settle(lambda: "sandbox" in {x["Kind"] for x in differences(host)}, "it is told to who asks")
    assert a.pod.run(["ip", "route", "show"]).stdout == routes
    assert "repaired" not in host.netmgrd.text()


@pytest.mark.sanitize
@pytest.mark.parametrize("what", ["host end", "ifb", "both"])
def test_shaping_interface_comes_back(host, what):
    a = host.add(routed("net1", "10.97.0.0/24", shaping={"mode": "shape"},
                        runtimeConfig={"bandwidth": {"ingressRate": MBIT, "ingressBurst": 8 * MBIT,
                                                     "egressRate": MBIT, "egressBurst": 8 * MBIT}}))
    b = host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    a.pod.wait_ping(b.ips[0])
    ifb = a.host_ifname.replace("nmg", "nmi")
    def seen():  # the kernel gives an ifb an address of its own
        return {k: [x for x in v if ifb not in x] if k in ("links", "addresses", "routes") else v
                for k, v in look(host).items()}
    before = seen()
    qdiscs = host.run(["tc", "qdisc", "show", "dev", a.host_ifname]).stdout
    names = {"host end": [a.host_ifname], "ifb": [ifb], "both": [ifb, a.host_ifname]}[what]
    host.run(["sh", "-c", " && ".join(f"ip link delete {n}" for n in names)])
    settle(lambda: host.link(ifb) and not host.difference(before, seen()),
           lambda: "everything is back: " + "; ".join(host.difference(before, seen())))
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    settle(lambda: differences(host) == [], "nothing differs")
    a.pod.wait_ping(b.ips[0])
    b.pod.wait_ping(a.ips[0])
    assert {x.split()[1] for x in host.run(["tc", "qdisc", "show", "dev", a.host_ifname]).stdout.splitlines()} == \
        {x.split()[1] for x in qdiscs.splitlines()}
    a.check().expect_ok()


def test_dead_sandbox_is_no_damage(host):
    """Between its death and its release it cannot be repaired, and nobody is to blame."""
    conf = routed("net1", "10.97.0.0/24")
    host.add(conf)
    for _ in range(4):
        a = host.add(conf)
        name = a.host_ifname
        a.pod.delete()
        settle(lambda: host.link(name) is None, "the kernel ended it")
        assert host.ctl_json("reconcile")["differences"] == []
        settle(lambda: a.cid not in {x["Id"] for x in host.describe("sandboxes")}, "it is released")
    assert "cannot be repaired" not in host.netmgrd.text()
    assert "degraded" not in host.netmgrd.text()


def test_renamed_host_end_is_told_for_what_it_is(host):
    """It is not gone; a second one cannot be made beside it."""
    a = host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    host.run(["sh", "-c", f"ip link set {a.host_ifname} down; ip link set {a.host_ifname} name other0 up"])
    found = settle(lambda: [x for x in differences(host) if "other0" in str(x["Differences"])], "it is told")
    assert {x["Kind"] for x in found} == {"host"}
    assert "was deleted" not in host.netmgrd.text()
    done = host.ctl_json("reconcile")["differences"]
    assert [x["Repaired"] for x in done] == [False], done
    host.run(["sh", "-c", f"ip link set other0 down; ip link set other0 name {a.host_ifname}"])
    settle(lambda: host.ctl_json("reconcile")["differences"] == [], "all is repaired")
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    a.check().expect_ok()


def test_bridge_of_others_is_not_made_for_them(host):
    """Who made it makes it again, and its ports join then; it is not ours to delete afterwards."""
    host.run(["sh", "-c", "ip link add mybr type bridge && ip link set mybr up"])
    a = host.add(bridge("net1", "10.97.1.0/24", bridge="mybr"))
    b = host.add(bridge("net1", "10.97.1.0/24", bridge="mybr"))
    at_rest(host)
    host.run(["ip", "link", "delete", "mybr"])
    settle(lambda: "mybr" in health(host) and "repairing" not in health(host), "Health tells it")
    done = host.ctl_json("reconcile")["differences"]
    assert done and not any(x["Repaired"] for x in done), done
    assert host.link("mybr") is None
    host.run(["sh", "-c", "ip link add mybr type bridge && ip link set mybr up"])
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    a.pod.wait_ping(b.ips[0])
    assert differences(host) == []
    a.delete().expect_ok()
    b.delete().expect_ok()
    assert host.link("mybr")
    host.run(["ip", "link", "delete", "mybr"])


def test_bridge_out_of_its_group(host):
    """By the group the rule tables know whose bridge it is."""
    host.add(bridge("net2", "10.97.1.0/24"))
    at_rest(host)
    group = host.link("nmb-net2")["group"]
    host.run(["ip", "link", "set", "nmb-net2", "group", "default"])
    assert [x["Kind"] for x in differences(host)] == ["network"]
    assert [x["Repaired"] for x in host.ctl_json("reconcile")["differences"]] == [True]
    assert host.link("nmb-net2")["group"] == group
    assert differences(host) == []


def test_bridge_that_others_use_is_no_stray(host):
    """One with a port that is not ours is somebody's, whatever its name."""
    group = 0x6e6d8000 + 77
    host.run(["sh", "-c", f"ip link add nmb-x group {group} type bridge && ip link add up0 type veth peer name up1 &&"
              f"ip link set up0 master nmb-x && ip link add nmb-y group {group} type bridge"])
    assert [x["Object"] for x in differences(host)] == ["nmb-y"]
    host.ctl("reconcile", check=True)
    assert host.link("nmb-x") and not host.link("nmb-y")
    host.run(["sh", "-c", "ip link delete nmb-x && ip link delete up0"])


def test_names_that_are_no_text(host):
    """A D-Bus string is UTF-8, the name of a link is any bytes."""
    host.run(["bash", "-c", f"ip link add $'nmb-\\xff\\e[2J' group {0x6e6d8000 + 77} type bridge"])
    found = differences(host)
    assert [x["Kind"] for x in found] == ["stray"]
    r = host.ctl("reconcile", check=True)
    assert "repaired" in r.stdout and "\x1b" not in r.stdout
    assert differences(host) == []


def test_what_could_not_be_looked_at_is_said(host):
    host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    host.nsd.stop()
    answer = host.ctl_json("reconcile", "--dry-run")
    assert answer["differences"] == []
    assert len(answer["NotLookedAt"]) == 1 and "netmgr-nsd" in answer["NotLookedAt"][0]
    words = host.ctl("reconcile").stdout
    assert "netmgr-nsd" in words and "Everything" not in words
    host.nsd.start()
    assert "NotLookedAt" not in host.ctl_json("reconcile", "--dry-run")


@pytest.mark.sanitize
def test_stop_amid_reconciles(host):
    """Whatever step a run is at, and whoever waits for it: nothing leaks, nobody waits for ever."""
    attachments = host.add_many(routed("net1", "10.97.0.0/24"), 12) + host.add_many(bridge("net2", "10.97.1.0/24"), 12)
    for _ in range(6):
        askers = [host.popen(["netmgrctl", "--json=short", "reconcile", *option], stdout=-3, stderr=-3)
                  for option in (["--dry-run"], [], [], ["--dry-run"])]
        host.run(["sh", "-c", "; ".join(f"ip link delete {a.host_ifname}" for a in attachments[::3])])
        host.netmgrd.restart()
        for p in askers:
            p.wait(60)
    settle(lambda: differences(host) == [], "all is repaired")
    settle(lambda: host.ctl_json("status")["Health"] == "ok", "health is well again")
    for a in attachments:
        a.check().expect_ok()


def test_changes_beside_repairs(host):
    """An operation and a repair of one attachment take turns; what both wanted is there in the end."""
    a = host.add(routed("net1", "10.97.0.0/24", **PORT))
    b = host.add(routed("net1", "10.97.0.0/24"))
    at_rest(host)
    before = look(host)
    for i in range(12):
        host.run(["ip", "link", "delete", a.host_ifname] if i % 2 else
                 ["ip", "route", "del", a.ips[0], "dev", a.host_ifname])
        for verb in (["add", a.cid, f"{9000 + i}:80"], ["remove", a.cid, str(9000 + i)]):
            settle(lambda: host.ctl("port", *verb).returncode == 0, lambda: host.ctl("port", *verb))
    settle(lambda: not host.difference(before, look(host)), lambda: host.difference(before, look(host)))
    assert differences(host) == []
    a.pod.wait_ping(b.ips[0])
    for x in (a, b):
        x.delete().expect_ok()


@pytest.mark.failpoints
@pytest.mark.skipif(not failpoints.compiled_in(), reason="a build without failpoints")
@pytest.mark.parametrize("step", range(1, 9))
def test_crash_amid_an_interface_made_anew(step):
    """The start looks into a sandbox only where it was left unfinished, and finishes it."""
    with contextlib.ExitStack() as stack:
        host = netmgr_host.Host()
        points = failpoints.Failpoints(host)
        stack.callback(points.close)
        stack.enter_context(host)
        a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
        b = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"))
        at_rest(host)
        before = look(host)
        inside = a.pod.addresses(), a.pod.routes(4), a.pod.routes(6)
        points.arm(failpoints.Point("netmgrd", "nl-applied"), "kill", nth=step)
        host.run(["ip", "link", "delete", a.host_ifname])
        settle(lambda: points.fired or not host.difference(before, look(host)), "it is killed, or done")
        points.disarm()
        if not host.netmgrd.running or points.fired:
            host.netmgrd.kill()
            host.netmgrd.start()
        settle(lambda: not host.difference(before, look(host)),
               lambda: "all is back: " + "; ".join(host.difference(before, look(host))))
        settle(lambda: (a.pod.addresses(), a.pod.routes(4), a.pod.routes(6)) == inside, "the inside is back, too")
        settle(lambda: a.check().ok, lambda: a.check())
        a.pod.wait_ping(b.ips[0])
        assert differences(host) == []
        host.finish()
