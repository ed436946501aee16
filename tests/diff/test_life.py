# SPDX-License-Identifier: LGPL-2.1-or-later
"""ADD, CHECK, DEL, DEL again: every version x every interface plugin that both sides have x families."""
import pytest
from cni_list import version_at_least
from confs import FAMILIES, GW4, GW6, MATRIX, VERSIONS, conflist, plugin, surroundings
from duel import REFERENCE, Duel


def can(kind, family, version):
    """Results before 0.3.0 cannot say that there is no address; the plugins refuse these."""
    return version_at_least(version, "0.3.0") or FAMILIES[family] or kind == "loopback"


@pytest.mark.parametrize("kind, family, version", [(k, f, v) for k, f in MATRIX for v in VERSIONS if can(k, f, v)])
def test_life(request, kind, family, version):
    net = conflist(plugin(kind, family), version=version)
    ifname = "lo" if kind == "loopback" else "eth0"
    with Duel(request, dad=version == "1.0.0") as duel:
        surroundings(duel, kind)
        duel.add("pod1", net, ifname)
        if FAMILIES[family]:
            for gateway in [g for g, f in ((GW4, "v4"), (GW6, "v6")) if family in (f, "dual")]:
                if kind != "ptp" or gateway == GW4:
                    duel.reach("pod1", gateway)
        if version_at_least(version, "0.4.0"):
            duel.check("pod1", net, ifname)
        duel.delete("pod1", net, ifname)
        duel.delete("pod1", net, ifname)


@pytest.mark.parametrize("kind, family", [("bridge", "dual"), ("ptp", "v4")])
def test_reference_equals_itself(request, kind, family):
    """The comparison finds nothing where there is nothing to find."""
    net = conflist(plugin(kind, family, ipMasq=True))
    with Duel(request, ours=[REFERENCE]) as duel:
        duel.add("pod1", net)
        duel.add("pod2", net)
        duel.check("pod1", net)
        duel.delete("pod1", net)
        assert not duel.used, "differences were excused"
