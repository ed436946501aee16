# SPDX-License-Identifier: LGPL-2.1-or-later
"""netmgrctl: every verb, tables and JSON, and the exit codes."""
import json
import os
import pty

import pytest
from netmgr_host import bridge, routed, settle


@pytest.fixture
def two(host):
    """Two sandboxes on two networks"""
    a = host.add(routed("net1", "10.97.0.0/24", "fd97::/64"), cid="box-a",
                 args="IgnoreUnknown=1;K8S_POD_NAMESPACE=space;K8S_POD_NAME=web")
    b = host.add(bridge("net2"), cid="box-b")
    return a, b


@pytest.mark.sanitize
def test_status(host, two):
    r = host.ctl("status")
    assert r.returncode == 0 and "ok" in r.stdout
    status = host.ctl_json("status")
    assert status["Health"] == "ok" and (status["Sandboxes"], status["Attachments"], status["Networks"]) == (2, 2, 2)
    assert status == json.loads(host.manager("Describe")[0])


@pytest.mark.sanitize
@pytest.mark.parametrize("what", ["sandboxes", "attachments", "networks", "addresses"])
def test_list(host, two, what):
    rows = host.ctl_json("list", what)
    assert list(rows) == [what] and len(rows[what]) == (3 if what == "addresses" else 2)
    assert rows[what] == host.describe(what)
    pretty = host.ctl("--json=pretty", "list", what, check=True).stdout
    assert json.loads(pretty) == rows and pretty.count("\n") > 2
    table = host.ctl("--json=off", "list", what, check=True).stdout
    for word in {"sandboxes": ["box-a", "box-b", "web"], "attachments": ["box-a", "eth0", "net2", "up"],
                 "networks": ["net1", "net2", "routed", "bridge"],
                 "addresses": ["10.97.0.2", "fd97::2", "10.97.1.2", "box-a"]}[what]:
        assert word in table, word
    bare = host.ctl("--no-legend", "list", what, check=True).stdout
    assert len(bare.strip().splitlines()) == len(rows[what])


def test_list_of_nothing(host):
    for what in ("sandboxes", "attachments", "networks", "addresses"):
        assert host.ctl_json("list", what) == {what: []}
        assert host.ctl("list", what).returncode == 0


def test_show(host, two):
    a, _ = two
    for name in ("box-a", "net1", "box-a/eth0"):
        r = host.ctl("show", name)
        assert r.returncode == 0, (name, r.stderr)
        assert isinstance(host.ctl_json("show", name), dict)
    assert host.ctl_json("show", "box-a/eth0")["attachments"][0] in host.describe("attachments")
    assert a.host_ifname in host.ctl("show", "box-a/eth0").stdout


def test_colour_only_on_a_terminal(host, two):
    assert "\x1b" not in host.ctl("list", "attachments").stdout
    ours, theirs = pty.openpty()
    p = host.popen(["netmgrctl", "list", "attachments"], stdout=theirs, stderr=theirs, env={"TERM": "xterm"})
    p.wait(30)
    os.close(theirs)
    text = b""
    try:
        while True:
            text += os.read(ours, 65536)
    except OSError:  # the end of a terminal
        pass
    os.close(ours)
    assert b"box-a" in text and p.returncode == 0


@pytest.mark.sanitize
def test_network_verbs_and_reload(host):
    path = f"{host.dir}/green.conflist"
    with open(path, "w") as f:
        json.dump({"cniVersion": "1.0.0", "name": "green", "plugins": [
            {"type": "netmgr", "ipam": {"type": "local", "subnet": "10.97.30.0/24"}}]}, f)
    assert host.ctl("network", "add", path).returncode == 0
    assert [n["Name"] for n in host.ctl_json("list", "networks")["networks"]] == ["green"]
    assert host.ctl("network", "add", path).returncode == 1  # exists
    assert host.ctl("reload").returncode == 0
    assert host.ctl("network", "remove", "green").returncode == 0
    assert host.ctl("network", "remove", "green").returncode == 3
    os.truncate(path, 20)
    r = host.ctl("network", "add", path)
    assert r.returncode == 1 and r.stderr.strip()
    assert host.ctl("network", "add", path + ".missing").returncode in (1, 3)


def test_monitor(host):
    file = f"{host.dir}/log/ctl-monitor"
    with open(file, "wb") as out:
        p = host.popen(["stdbuf", "-oL", "netmgrctl", "monitor"], stdout=out, stderr=out)

    def text():
        with open(file) as f:
            return f.read()
    try:
        number = [0]

        def seen():
            # the monitor says nothing when it is ready: changes are made until it shows one
            number[0] += 1
            cid = f"watched-{number[0]}"
            pod = host.pod()
            a = host.add(routed(), pod, cid=cid)
            a.delete().expect_ok()
            pod.delete()
            return "watched-" in text()
        settle(seen, lambda: f"a change shows: {text()!r}")
        assert "eth0" in text() or "watched" in text()
    finally:
        p.terminate()
        p.wait()


# --- exit codes ----------------------------------------------------------------------------------

@pytest.mark.sanitize
@pytest.mark.parametrize("argv", [["fly"], ["list"], ["list", "elephants"], ["show"], ["--colour"],
                                  ["--json=loud", "status"],
                                  ["network"], ["network", "add"], ["network", "paint", "x"], ["status", "extra"]])
def test_usage_errors(host, argv):
    r = host.ctl(*argv)
    assert r.returncode == 2, (argv, r.returncode, r.stdout, r.stderr)
    assert r.stderr.strip() or not argv


def test_help_and_version(host):
    r = host.ctl("--help")
    assert r.returncode == 0
    for verb in ("status", "list", "show", "monitor", "reload", "network", "port", "bandwidth"):
        assert verb in r.stdout
    assert host.ctl("--version").returncode == 0


def test_not_found(host):
    r = host.ctl("show", "nobody-here")
    assert r.returncode == 3 and "nobody-here" in r.stderr
    error = json.loads(host.ctl("--json=short", "show", "nobody-here").stderr)["error"]
    assert error["name"].startswith("org.netmgr1.Error.NoSuch") and "nobody-here" in error["message"]


def test_not_authorised(host):
    assert host.ctl("reload", user="nobody").returncode == 4
    assert host.ctl("network", "remove", "x", user="nobody").returncode == 4
    assert host.ctl("status", user="nobody").returncode == 0


@pytest.mark.sanitize
def test_unreachable(host):
    for env in ({"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/nothing-here"}, None):
        if env is None:
            host.netmgrd.stop()
        r = host.ctl("status", env=env)
        assert r.returncode == 5 and r.stderr.strip()
        assert "error" in json.loads(host.ctl("--json=short", "status", env=env).stderr)
    assert host.ctl("--bus-address=unix:path=/run/nothing-here", "status").returncode == 5


def test_bus_address_option(host):
    r = host.ctl("--bus-address=unix:path=/run/dbus/system_bus_socket", "status",
                 env={"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/nothing-here"})
    assert r.returncode == 0
