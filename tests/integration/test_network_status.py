# SPDX-License-Identifier: LGPL-2.1-or-later
"""network-status: on D-Bus, from netmgrctl and in files, byte for byte as the client library of the network
plumbing working group writes the annotation.

What is expected is made here, from what `ip` says of the sandbox, by the rules of that library (Go's MarshalIndent of
each element, joined by commas); and what was read is parsed as its consumers do."""
import json
import os
import stat

import pytest
from host_chain import Chain, has_reference
from netmgr_host import ROOT, bridge, ipam, netconf, routed, settle
from pod_networks import NETWORKS, annotated, finish, pod_args, reload, write_nad, write_network
from test_dbus import Monitor

SANDBOX = "org.netmgr1.Sandbox"


# --- an implementation of its own -------------------------------------------------------------------

def go_string(text):
    """encoding/json escapes for HTML"""
    out = json.dumps(text, ensure_ascii=False)
    for c in "<>&\u2028\u2029":
        out = out.replace(c, f"\\u{ord(c):04x}")
    return out


def go_indent(value, depth=0):
    """json.MarshalIndent(value, "", "    ")"""
    line, end = "\n" + "    " * (depth + 1), "\n" + "    " * depth
    if isinstance(value, dict):
        if not value:
            return "{}"
        return "{" + ",".join(f"{line}{go_string(k)}: {go_indent(v, depth + 1)}" for k, v in value.items()) + end + "}"
    if isinstance(value, list):
        return "[" + ",".join(line + go_indent(v, depth + 1) for v in value) + end + "]" if value else "[]"
    return go_string(value) if isinstance(value, str) else json.dumps(value)


def annotation(entries):
    return "[" + ",".join(go_indent(e) for e in entries) + "]"


def entry(pod, name, ifname, default=False, dns=None, ips=None):
    """One element, of what the kernel has. ips: in their order, where there are several."""
    link = pod.link(ifname)
    found = {a.split("/")[0] for a in pod.addresses(ifname)}
    ips = ips or sorted(found)
    assert set(ips) == found
    gateways = [r["gateway"] for family in "46" for r in pod.ip(f"-{family}", "route", "show", "default")
                if r.get("dev") == ifname and "gateway" in r]
    e = {"name": name, "interface": ifname, "ips": ips, "mac": link["address"], "mtu": link["mtu"],
         "default": default, "dns": dns or {}, "gateway": gateways}
    return {k: v for k, v in e.items() if v or k == "dns"}


# --- where it is read -------------------------------------------------------------------------------

def read(host, cid):
    with open(f"{host.status_dir}/{cid}", newline="") as f:
        return f.read()


def everywhere(host, cid, expected):
    """The same text in the property, in Describe and by netmgrctl, and soon in the file."""
    assert host.get_property(f"{ROOT}/sandbox/{cid}", SANDBOX, "NetworkStatus") == expected
    described = [s for s in host.describe("sandboxes") if s["Id"] == cid][0]
    assert described["NetworkStatus"] == expected
    assert host.ctl("show", cid, "--network-status", check=True).stdout == expected + "\n"
    assert host.ctl("--json=short", "show", cid, "--network-status", check=True).stdout == expected + "\n"
    settle(lambda: cid in host.status_files() and read(host, cid) == expected,
           lambda: f"the file says {expected}, not {read(host, cid) if cid in host.status_files() else None}")


def consume(text):
    """As kubevirt and the policy daemons do: the one default interface, and the others by network and name."""
    entries = json.loads(text)
    assert [e for e in entries if e.get("default")] == entries[:1]
    for e in entries:
        assert set(e) <= {"name", "interface", "ips", "mac", "mtu", "default", "dns", "device-info", "gateway"}
        assert isinstance(e["dns"], dict) and all("/" not in ip for ip in e.get("ips", []))
        assert "default" not in e or e["default"] is True
    return {(e["name"], e["interface"]): e for e in entries}


# --- one network -------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_one_network_of_both_families(host):
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64", mtu=1400), cid="box")
    expected = annotation([entry(a.pod, "net1", "eth0", True, ips=a.ips)])
    assert '"169.254.1.1",\n        "fe80::1"\n' in expected and '"mtu": 1400' in expected
    everywhere(host, "box", expected)
    assert host.ctl("show", "box", "--multi-ip-preferences").stdout == ""
    folder, file = os.stat(host.status_dir), os.stat(f"{host.status_dir}/box")
    assert (stat.S_IMODE(folder.st_mode), stat.S_IMODE(file.st_mode)) == (0o755, 0o644)
    assert (folder.st_uid, file.st_uid) == (host.uid, host.uid)
    a.delete().expect_ok()
    settle(lambda: not host.status_files(), "the file goes with the sandbox")


def test_settings_of_names_and_what_html_escapes(host):
    dns = {"nameservers": ["10.0.0.53", "fd00::53"], "domain": "a.example", "search": ["a.example", "b.example"],
           "options": ["ndots:5", "x<y&z>"]}
    a = host.add(bridge("br1", dns=dns), cid="box")
    everywhere(host, "box", annotation([entry(a.pod, "br1", "eth0", True, dns=dns)]))
    assert "x\\u003cy\\u0026z\\u003e" in read(host, "box")


def test_loopback_is_not_told_and_a_wire_has_no_address(host):
    pod = host.pod()
    host.add({"cniVersion": "1.0.0", "name": "lo", "type": "loopback"}, pod, cid="box", ifname="lo", plugin="loopback")
    assert host.get_property(ROOT + "/sandbox/box", SANDBOX, "NetworkStatus") == "[]"
    assert not host.status_files()
    host.add(netconf("wire", kind="bridge"), pod, cid="box")
    expected = annotation([entry(pod, "wire", "eth0", True, ips=[])])
    assert '"ips"' not in expected
    everywhere(host, "box", expected)


def test_what_a_chained_plugin_makes_of_it(host):
    chain = Chain(host, "net1", [{k: v for k, v in bridge("net1").items() if k not in ("name", "cniVersion")},
                                 {"type": "tuning", "mac": "02:11:22:33:44:55", "mtu": 1380}]).add()
    expected = annotation([entry(chain.pod, "net1", "eth0", True)])
    assert "02:11:22:33:44:55" in expected and "1380" in expected
    everywhere(host, chain.cid, expected)
    chain.delete()


@pytest.mark.skipif(not has_reference("bridge", "host-local"), reason="needs Debian's reference plugins")
def test_interface_of_another_plugin(host):
    """Known to netmgr since its portmap is behind it: what it tells comes from the result."""
    mapping = {"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}
    chain = Chain(host, "others", [
        {"type": "ref:bridge", "bridge": "theirs0", "isDefaultGateway": True,
         "ipam": {"type": "host-local", "subnet": "10.88.0.0/24", "dataDir": f"{host.dir}/theirs"}},
        {"type": "portmap"}], ports=[mapping]).add()
    everywhere(host, chain.cid, annotation([entry(chain.pod, "others", "eth0", True)]))
    chain.delete()
    host.run(["ip", "link", "delete", "theirs0"])
    host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"], check=False)


# --- several -------------------------------------------------------------------------------------------

def test_pod_with_four_networks(host):
    write_network(host, "blue", "bridge", "10.98.1.0/24")
    write_nad(host, "tenant", "green", {"cniVersion": "1.0.0", "type": "netmgr", "kind": "bridge",
                                        "isGateway": True, "mtu": 1300, "ipam": ipam("10.98.3.0/24")})
    reload(host)
    a = host.add(annotated(routed(), {NETWORKS: "green@lan0,blue,blue@aaa"}), args=pod_args("tenant"), cid="box")
    text = read(host, "box")  # complete when the answer is there
    pod = a.pod
    expected = [entry(pod, "net1", "eth0", True), entry(pod, "tenant/green", "lan0"), entry(pod, "blue", "net2"),
                entry(pod, "blue", "aaa")]
    assert text == annotation(expected)
    everywhere(host, "box", text)
    found = consume(text)
    assert list(found) == [("net1", "eth0"), ("tenant/green", "lan0"), ("blue", "net2"), ("blue", "aaa")]
    assert found["tenant/green", "lan0"]["mtu"] == 1300
    # CNI-Genie's: the first address of each interface
    preferences = {"multi_entry": 4, "ips": {f"ip{i + 1}": {"ip": e["ips"][0], "interface": e["interface"]}
                                             for i, e in enumerate(expected)}}
    genie = json.dumps(preferences, separators=(",", ":"))
    assert host.get_property(ROOT + "/sandbox/box", SANDBOX, "MultiIPPreferences") == genie
    assert host.ctl("show", "box", "--multi-ip-preferences", check=True).stdout == genie + "\n"
    finish(host)


def test_several_calls_of_a_runtime(host):
    """Podman, or a multiplexer of others in front: the first interface is the default one."""
    pod = host.pod()
    b = host.add(bridge("br1"), pod, cid="box", ifname="eth0")
    c = host.add(bridge("br2", "10.97.2.0/24"), pod, cid="box", ifname="aaa")
    everywhere(host, "box", annotation([entry(pod, "br1", "eth0", True), entry(pod, "br2", "aaa")]))
    b.delete().expect_ok()
    everywhere(host, "box", annotation([entry(pod, "br2", "aaa", True)]))
    c.delete().expect_ok()


def test_watchers_hear_of_it(host):
    monitor = Monitor(host)

    def told():
        return [s[2] for s in monitor.signals() if s[0] == "PropertiesChanged" and s[1] == ROOT + "/sandbox/box"
                and "NetworkStatus" in s[2][1]]
    try:
        pod = host.pod()
        host.add(bridge("br1"), pod, cid="box")
        settle(told, "the first interface is told")
        assert told()[-1][1]["NetworkStatus"]["data"] == annotation([entry(pod, "br1", "eth0", True)])
        two = host.add(bridge("br2", "10.97.2.0/24"), pod, cid="box", ifname="aaa")
        both = annotation([entry(pod, "br1", "eth0", True), entry(pod, "br2", "aaa")])
        settle(lambda: told()[-1][1]["NetworkStatus"]["data"] == both, "the second one is told")
        assert '"multi_entry":2' in told()[-1][1]["MultiIPPreferences"]["data"]
        two.delete().expect_ok()
        settle(lambda: '"aaa"' not in told()[-1][1]["NetworkStatus"]["data"], "its end is told")
    finally:
        monitor.stop()


# --- files ---------------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_files_follow_the_ledger_at_start(host):
    """Whatever became of them while netmgrd was down: strays, half ones, changed ones, none."""
    boxes = [host.add(routed(), cid=f"box-{i}") for i in range(3)]
    settle(lambda: host.status_files() == {"box-0", "box-1", "box-2"}, "all files are there")
    texts = {cid: read(host, cid) for cid in host.status_files()}
    host.netmgrd.kill()
    for name, text in {"nobody": "[]", ".new": "[{", "box-1": "[{", "nobody.txt": ""}.items():
        with open(f"{host.status_dir}/{name}", "w") as f:
            f.write(text)
    os.unlink(f"{host.status_dir}/box-2")
    host.netmgrd.start()
    settle(lambda: host.status_files() == set(texts) and {c: read(host, c) for c in texts} == texts,
           lambda: f"as it was: {host.status_files()}")
    for a in boxes:
        a.delete().expect_ok()
    settle(lambda: not host.status_files(), "all are gone")


def test_end_with_nobody_watching(host):
    """The namespace dies while netmgrd is down: sandbox and file go at the next start."""
    a = host.add(routed(), cid="box")
    settle(host.status_files, "the file is there")
    host.netmgrd.kill()
    a.pod.delete()
    host.netmgrd.start()
    settle(lambda: not host.status_files(), "the file is gone")
    a.live = False


def test_stop_writes_what_is_still_to_be_written(host):
    boxes = [host.add(routed(), cid=f"box-{i}") for i in range(8)]
    host.netmgrd.stop()
    assert host.status_files() == {a.cid for a in boxes}
    for a in boxes:
        assert json.loads(read(host, a.cid))[0]["ips"] == a.ips
    host.netmgrd.start()


def reasons(host):
    return json.loads(host.manager("Describe")[0])["HealthReasons"]


def mount_over(host, options):
    host.run(["mount", "-t", "tmpfs", "-o", f"mode=755,uid={host.uid},{options}", "tmpfs", "/run/netmgr/status"])


@pytest.mark.parametrize("how", ["full", "read-only", "no directory"])
def test_files_that_cannot_be_written_fail_no_add(host, how):
    first = host.add(routed(), cid="first")
    settle(host.status_files, "the file is there")
    if how == "no directory":
        host.run(["sh", "-c", "mv /run/netmgr/status /run/netmgr/old; : > /run/netmgr/status"])
    else:
        mount_over(host, "nr_inodes=2" if how == "full" else "ro")
        if how == "full":
            host.run(["touch", "/run/netmgr/status/.x"])
    second = host.add(routed(), cid="second")
    settle(lambda: [r for r in reasons(host) if "/run/netmgr/status" in r],
           lambda: f"Health has a sentence about it: {reasons(host)}")
    assert host.get_property(ROOT + "/sandbox/second", SANDBOX, "NetworkStatus").startswith('[{\n    "name": "net1"')
    first.delete().expect_ok()
    third = host.add(routed(), cid="third")
    if how == "no directory":
        host.run(["sh", "-c", "rm /run/netmgr/status; mv /run/netmgr/old /run/netmgr/status"])
    else:
        host.run(["umount", "/run/netmgr/status"])
    settle(lambda: host.status_files() == {"second", "third"}, lambda: f"files as it should be: {host.status_files()}")
    settle(lambda: not reasons(host), lambda: f"Health is well again: {reasons(host)}")
    assert json.loads(read(host, "third"))[0]["ips"] == third.ips
    second.delete().expect_ok()


def test_usage(host):
    host.add(routed("blue"), cid="box")
    assert host.ctl("show", "box/eth0", "--network-status").returncode == 2
    assert host.ctl("show", "network:blue", "--network-status").returncode == 2
    assert host.ctl("show", "box", "--network-status", "--multi-ip-preferences").returncode == 2
    assert host.ctl("list", "networks", "--network-status").returncode == 2
    assert host.ctl("show", "blue", "--network-status").returncode == 3
    assert host.ctl("show", "sandbox:box", "--network-status").returncode == 0
