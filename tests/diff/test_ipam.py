# SPDX-License-Identifier: LGPL-2.1-or-later
"""host-local and static, key by key, behind a bridge and called alone."""
import pytest
from confs import V4, V6, conflist, host_local, plugin, static
from duel import Duel

ASKED = {
    "args": {"args": "IgnoreUnknown=1;IP=10.88.1.77"},
    "capability": {"capabilities": {"ips": ["10.88.1.77/24"]}},
    "capability-plain": {"capabilities": {"ips": ["10.88.1.77"]}},
}
# name: (ipam, what the runtime says beside)
HOST_LOCAL = {
    "range": (host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.50", "rangeEnd": "10.88.1.60"}]]), {}),
    "gateway": (host_local(ranges=[[{"subnet": V4, "gateway": "10.88.1.254"}]]), {}),
    "gateway-in-range": (host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.2", "gateway": "10.88.1.2"}]]), {}),
    "legacy-subnet": ({"type": "host-local", "subnet": V4, "rangeStart": "10.88.1.20", "rangeEnd": "10.88.1.30",
                       "gateway": "10.88.1.1", "routes": [{"dst": "0.0.0.0/0"}]}, {}),
    "two-ranges-of-a-set": (host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.10", "rangeEnd": "10.88.1.10"},
                                                {"subnet": "10.88.2.0/24"}]]), {}),
    "two-sets": (host_local(ranges=[[{"subnet": V4}], [{"subnet": "10.88.2.0/24"}]]), {}),
    "legacy-and-ranges": ({"type": "host-local", "subnet": V4, "ranges": [[{"subnet": V6}]]}, {}),
    "routes": (host_local(V4, routes=False) | {"routes": [{"dst": "10.99.0.0/16"}, {"dst": "10.98.0.0/16", "gw": "10.88.1.9"}]}, {}),
    "small": (host_local("10.88.1.0/30", routes=False), {}),
    "whole-address-space-of-six": (host_local("fd00:88:1::/126", routes=False), {}),
    "capability-ranges": (host_local(V4, routes=False), {"capabilities": {"ipRanges": [[{"subnet": "10.88.3.0/24"}]]}}),
    **{f"asked-by-{k}": (host_local(V4), v) for k, v in ASKED.items()},
}
ABLE = {"capabilities": {"ips": True, "ipRanges": True}}


@pytest.mark.parametrize("name", HOST_LOCAL)
def test_host_local(request, name):
    ipam, said = HOST_LOCAL[name]
    # a bridge that is gateway has one address of a family
    several = name in ("two-sets", "capability-ranges", "two-ranges-of-a-set")
    net = conflist(plugin("ptp" if several else "bridge", "v4", ipam=ipam, **ABLE))
    with Duel(request) as duel:
        duel.add("pod1", net, **said)
        duel.add("pod2", net)  # the next, or refused where the range has one
        duel.check("pod1", net)
        duel.delete("pod1", net)
        duel.add("pod3", net)
        for pod in ("pod2", "pod3"):
            duel.delete(pod, net)


REFUSED = {
    "no-subnet": ({"type": "host-local"}, {}),
    "host-bits": (host_local("10.88.1.1/24", routes=False), {}),
    "no-subnet-at-all": (host_local("10.88.1.0", routes=False), {}),
    "too-small": (host_local("10.88.1.0/31", routes=False), {}),
    "start-outside": (host_local(ranges=[[{"subnet": V4, "rangeStart": "10.99.0.1"}]]), {}),
    "end-before-start": (host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.9", "rangeEnd": "10.88.1.5"}]]), {}),
    "sets-overlap": (host_local(ranges=[[{"subnet": V4}], [{"subnet": V4}]]), {}),
    "families-in-a-set": (host_local(ranges=[[{"subnet": V4}, {"subnet": V6}]]), {}),
    "asked-outside": (host_local(V4), {"args": "IgnoreUnknown=1;IP=10.99.0.1"}),
    "asked-for-gateway": (host_local(V4), {"args": "IgnoreUnknown=1;IP=10.88.1.1"}),
    "asked-nonsense": (host_local(V4), {"args": "IgnoreUnknown=1;IP=nonsense"}),
    "args-unknown": (host_local(V4), {"args": "Whatever=1"}),
    "static-no-prefix": ({"type": "static", "addresses": [{"address": "10.88.1.5"}]}, {}),
    "static-nonsense": ({"type": "static", "addresses": [{"address": "nonsense/24"}]}, {}),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(request, name):
    ipam, said = REFUSED[name]
    net = conflist(plugin("bridge", "v4", ipam=ipam, **ABLE))
    with Duel(request) as duel:
        assert not duel.add("pod1", net, **said)[1].ok
        duel.delete("pod1", net)


def test_exhausted(request):
    """Two addresses, three pods; one that goes makes room."""
    ipam = host_local(ranges=[[{"subnet": V4, "rangeStart": "10.88.1.10", "rangeEnd": "10.88.1.11"}]])
    net = conflist(plugin("bridge", "v4", ipam=ipam))
    with Duel(request) as duel:
        duel.add("pod1", net)
        duel.add("pod2", net)
        duel.add("pod3", net)
        duel.delete("pod3", net)
        duel.delete("pod1", net)
        duel.add("pod4", net)
        duel.delete("pod2", net)
        duel.delete("pod4", net)


STATIC = {
    "both": (static(V4, V6), {}),
    "dns": ({**static(V4), "dns": {"nameservers": ["10.9.9.9"], "domain": "example.org"}}, {}),
    "routes": ({**static(V4, routes=False), "routes": [{"dst": "10.99.0.0/16", "gw": "10.88.1.9"}]}, {}),
    "args-ip": ({"type": "static"}, {"args": "IgnoreUnknown=1;IP=10.88.1.44/24;GATEWAY=10.88.1.1"}),
    "args-two": ({"type": "static"}, {"args": "IgnoreUnknown=1;IP=10.88.1.44/24,fd00:88:1::44/64;GATEWAY=10.88.1.1,fd00:88:1::1"}),
    "capability": (static(V4), {"capabilities": {"ips": ["10.88.1.45/24"]}}),
}


@pytest.mark.parametrize("name", STATIC)
def test_static(request, name):
    ipam, said = STATIC[name]
    net = conflist(plugin("bridge", "v4", ipam=ipam, **ABLE))
    with Duel(request) as duel:
        duel.add("pod1", net, **said)
        duel.check("pod1", net)
        duel.delete("pod1", net)


@pytest.mark.parametrize("version", ["0.2.0", "0.4.0", "1.0.0"])
@pytest.mark.parametrize("kind", ["host-local", "static"])
def test_alone(request, kind, version):
    """An IPAM plugin as other people's plugins call it: only addresses, no interface."""
    ipam = host_local(V4, V6) if kind == "host-local" else static(V4, V6)
    conf = {"type": kind, "name": "net1", "cniVersion": version, "ipam": ipam}

    def call(side, verb, **more):
        return side.driver.call(verb, {**conf, **more}, "pod1", "eth0", side.pod("pod1").path)
    with Duel(request) as duel:
        answers = duel.each(lambda side: call(side, "ADD"))
        duel.verb("ADD", answers)
        duel.compare_facts("ADD", *({("answer", "", k): str(v) for k, v in a.json.items() if v} for a in answers))
        if version != "0.2.0":
            duel.verb("CHECK", duel.each(lambda side: call(side, "CHECK", prevResult=answers[duel.sides.index(side)].json)))
        duel.verb("DEL", duel.each(lambda side: call(side, "DEL")))
        duel.verb("DEL", duel.each(lambda side: call(side, "DEL")))
