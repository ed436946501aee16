# SPDX-License-Identifier: LGPL-2.1-or-later
"""What kinds of links netmgr finds in this kernel, and its rtnetlink on kernels that have them all."""
import os
import re
import subprocess

import features
import pytest
from netmgr_host import MANAGER, ROOT, build_dir

# what netmgr calls it: what features.py tries out
ORACLES = {"kind-macvlan": "macvlan", "kind-ipvlan": "ipvlan", "kind-vlan": "8021q", "kind-dummy": "dummy",
           "kind-tap": "tap", "kind-vxlan": "vxlan", "vrf": "vrf", "bridge-vlans": "bridge-vlan-filtering"}


@pytest.mark.sanitize
@pytest.mark.vm()
def test_features_are_what_this_kernel_has(host):
    status = host.ctl_json("status")
    found, missing = status["Features"], dict(t.split(": ", 1) for t in status["FeaturesMissing"])
    assert found == host.get_property(ROOT, MANAGER, "Features")
    assert status["FeaturesMissing"] == host.get_property(ROOT, MANAGER, "FeaturesMissing")
    assert not set(found) & set(missing)
    for name, oracle in ORACLES.items():
        reason = features.lacking(oracle)
        assert (name in found, name in missing) == (not reason, bool(reason)), f"{name}: {reason}"
    text = host.ctl("status", check=True).stdout
    for name, why in missing.items():
        assert f"{name}: {why}" in re.sub(r"\s+", " ", text) and re.search(r"CONFIG_\w+|sch_tbf|nft", why), text
    # nothing of the trials is left
    assert not [name for name in host.links() if re.fullmatch("nm[ixy]probe", name)]


@pytest.mark.vm("8021q", "bridge-vlan-filtering", "dummy", "ipvlan", "macvlan", "tap", "vrf", "vxlan")
@pytest.mark.parametrize("name", ["nl", "nl-link", "nl-route", "nl-set", "nsd-tap"])
def test_the_unit_tests_of_links_skip_nothing(name):
    """The same binaries as everywhere, on a kernel with all that they are about."""
    program = [os.path.join(build_dir(), "tests", f"test-{name}")]
    if name == "nsd-tap":
        program.append(os.path.join(build_dir(), "netmgr-nsd"))
    r = subprocess.run(program, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    said = r.stdout + r.stderr
    assert r.returncode == 0 and re.search(r"\[  PASSED  \] [1-9]\d* test", said), said
    assert "SKIPPED" not in said, said
