# SPDX-License-Identifier: LGPL-2.1-or-later
"""The plugin under all its names: what each answers alone, and an installation over a running one."""
import json
import os
import subprocess
import threading

import pytest
from netmgr_host import LIMIT, TOP, VERSIONS, build_dir, settle

SINCE = {"bandwidth": "0.3.0", "vrf": "0.3.1", "firewall": "0.4.0"}
NAMES = sorted(os.listdir(f"{build_dir()}/cni"))


def versions_of(name):
    return VERSIONS[VERSIONS.index(SINCE.get(name, VERSIONS[0])):]


def plugin(path, verb, conf=None, **env):
    return subprocess.run([path], input=json.dumps(conf) if conf else "", capture_output=True, text=True,
                          timeout=LIMIT, env={"CNI_COMMAND": verb, "CNI_PATH": "/none", **env}, check=False)


def test_there_are_all_names():
    assert set(NAMES) == {"netmgr", "loopback", "bridge", "ptp", "macvlan", "ipvlan", "vlan", "host-device", "tap", "dummy",
                          "vxlan", "host-local", "static", "dhcp", "portmap", "bandwidth", "firewall", "tuning", "sbr", "vrf",
                          "ecs-eni", "ecs-bridge", "vpc-eni", "vpc-bridge", "vpc-branch-eni"}


@pytest.mark.parametrize("name", NAMES)
def test_versions_of_each_name(name):
    path = f"{build_dir()}/cni/{name}"
    assert json.loads(plugin(path, "VERSION").stdout) == {"cniVersion": "1.1.0", "supportedVersions": versions_of(name)}
    for version in set(VERSIONS) - set(versions_of(name)):
        r = plugin(path, "DEL", {"cniVersion": version, "name": "n", "type": name}, CNI_CONTAINERID="c", CNI_IFNAME="eth0")
        error = json.loads(r.stdout)
        assert (r.returncode, error["code"]) == (1, 1), r
        assert f'"{version}"' in error["details"] and f"[{', '.join(versions_of(name))}]" in error["details"]


def test_a_name_that_is_none_is_netmgr(tmp_path):
    os.symlink(f"{build_dir()}/netmgr", tmp_path / "firewalls")
    r = plugin(str(tmp_path / "firewalls"), "VERSION")
    assert json.loads(r.stdout)["supportedVersions"] == VERSIONS


def test_installed_files(tmp_path):
    subprocess.run(["meson", "install", "-C", build_dir(), "--no-rebuild", "--quiet"], check=True, timeout=LIMIT,
                   capture_output=True, env={**os.environ, "DESTDIR": str(tmp_path)})
    [cni] = [d for d, _, files in os.walk(tmp_path) if d.endswith("/netmgr/cni")]
    assert sorted(os.listdir(cni)) == NAMES
    for name in NAMES:
        assert json.loads(plugin(f"{cni}/{name}", "VERSION").stdout)["supportedVersions"] == versions_of(name)


class Caller(threading.Thread):
    """Executes the plugin again and again, as a busy runtime would, and keeps what went wrong."""

    def __init__(self, path, stop):
        super().__init__()
        self.path, self.stop, self.calls, self.wrong = path, stop, 0, []

    def run(self):
        while not self.stop.is_set() and not self.wrong:
            try:
                r = plugin(self.path, "VERSION")
                if r.returncode != 0 or not json.loads(r.stdout)["supportedVersions"]:
                    self.wrong.append(r)
            except (OSError, ValueError) as e:
                self.wrong.append(e)
            self.calls += 1


def test_installing_over_a_running_plugin(tmp_path):
    """No execution fails meanwhile, and who runs already goes on: here one that waits for its stdin."""
    plugindir, cnidir = tmp_path / "lib" / "cni", tmp_path / "libexec" / "netmgr" / "cni"
    install = [f"{TOP}/packaging/install-plugin", f"{build_dir()}/netmgr", str(plugindir), str(cnidir),
               *[n for n in NAMES if n != "netmgr"]]
    subprocess.run(install, check=True, timeout=LIMIT)
    waits = subprocess.Popen([str(cnidir / "bridge")], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             env={"CNI_COMMAND": "STATUS", "CNI_PATH": "/none"})
    settle(lambda: os.readlink(f"/proc/{waits.pid}/exe").endswith("/netmgr"), "the plugin runs")
    stop = threading.Event()
    callers = [Caller(str(cnidir / name), stop) for name in ("netmgr", "bridge", "vrf")]
    before = os.stat(plugindir / "netmgr").st_ino
    for c in callers:
        c.start()
    try:
        for _ in range(40):
            subprocess.run(install, check=True, timeout=LIMIT)
        settle(lambda: all(c.calls >= 40 or c.wrong for c in callers), "each has been executed 40 times")
    finally:
        stop.set()
        for c in callers:
            c.join(LIMIT)
    assert [c.wrong for c in callers] == [[], [], []]
    assert os.stat(plugindir / "netmgr").st_ino != before
    assert os.readlink(f"/proc/{waits.pid}/exe").endswith("(deleted)")
    out, _ = waits.communicate(b"{", timeout=LIMIT)
    assert json.loads(out)["code"] == 6
    assert not [n for n in os.listdir(plugindir) + os.listdir(cnidir) if "new" in n]
