# SPDX-License-Identifier: LGPL-2.1-or-later
"""Configurations of the matrix: one list per interface plugin and address family, and chains."""
from cni_list import ConfList

V4, V6 = "10.88.1.0/24", "fd00:88:1::/64"
GW4, GW6 = "10.88.1.1", "fd00:88:1::1"
FAMILIES = {"v4": [V4], "v6": [V6], "dual": [V4, V6], "l2": []}
DEFAULTS = {V4: "0.0.0.0/0", V6: "::/0"}
VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"]  # Debian's have no 1.1.0


def host_local(*subnets, routes=True, **keys):
    """keys win; without subnets they say the ranges"""
    conf = {"type": "host-local", "ranges": [[{"subnet": s}] for s in subnets]}
    if routes:
        conf["routes"] = [{"dst": DEFAULTS[s]} for s in subnets]
    return {**conf, **keys}


def static(*subnets, last=5, routes=True):
    first = {V4: "10.88.1.", V6: "fd00:88:1::"}
    conf = {"type": "static", "addresses": [{"address": f"{first[s]}{last}/{s.split('/')[1]}", "gateway": first[s] + "1"}
                                            for s in subnets]}
    if routes:
        conf["routes"] = [{"dst": DEFAULTS[s]} for s in subnets]
    return conf


def plugin(kind, family="v4", **keys):
    """One interface plugin with the addresses of the family; keys win, None removes."""
    conf = {"type": kind}
    if FAMILIES[family]:
        conf["ipam"] = host_local(*FAMILIES[family])
    if kind == "bridge" and FAMILIES[family]:
        conf["isGateway"] = True
    if kind == "macvlan":
        conf["master"] = "nic0"
    if kind == "host-device":
        conf["device"] = "nic0"
    conf.update(keys)
    return {k: v for k, v in conf.items() if v is not None}


def conflist(*plugins, name="net1", version="1.0.0", **keys):
    return ConfList(name, list(plugins), version, **keys)


# Which families a plugin can do without a refusal: ptp wants addresses.
MATRIX = [(kind, family) for kind in ("bridge", "ptp", "macvlan", "host-device") for family in FAMILIES
          if (kind, family) != ("ptp", "l2")] + [("loopback", "l2")]


def surroundings(duel, kind):
    """What a plugin needs beside itself: a NIC, whose other end is in a namespace `wire`."""
    if kind in ("macvlan", "host-device"):
        duel.each(lambda side: side.pod("wire"))
        duel.on_hosts("ip link add nic0 type veth peer name nic1 netns wire; ip link set nic0 up;",
                      "ip -n wire link set nic1 up; ip -n wire addr add 10.88.1.1/24 dev nic1;",
                      "ip -n wire addr add fd00:88:1::1/64 dev nic1 nodad")
