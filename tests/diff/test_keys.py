# SPDX-License-Identifier: LGPL-2.1-or-later
"""Keys of the interface plugins, one by one: what a key does, and what is refused."""
import pytest
from confs import V4, conflist, host_local, plugin, surroundings
from duel import Duel
from traffic import OUT4, OUT6

MAC = "c2:11:22:33:44:55"
BAD_MAC = "c2:11:22:33:44:zz"

# name: (plugin, family, keys, what the runtime says beside)
KEYS = {
    "bridge-mtu": ("bridge", "v4", {"mtu": 1400}, {}),
    "bridge-name": ("bridge", "v4", {"bridge": "mybr0"}, {}),
    "bridge-hairpin": ("bridge", "v4", {"hairpinMode": True}, {}),
    "bridge-promisc": ("bridge", "v4", {"promiscMode": True}, {}),
    "bridge-no-gateway": ("bridge", "dual", {"isGateway": False}, {}),
    "bridge-default-gateway": ("bridge", "dual", {"isDefaultGateway": True, "isGateway": None,
                                                  "ipam": host_local(V4, "fd00:88:1::/64", routes=False)}, {}),
    "bridge-default-gateway-and-route": ("bridge", "v4", {"isDefaultGateway": True}, {}),
    "bridge-macspoofchk": ("bridge", "v4", {"macspoofchk": True}, {}),
    "bridge-ipmasq": ("bridge", "dual", {"ipMasq": True}, {}),
    "bridge-dns": ("bridge", "v4", {"dns": {"nameservers": ["10.9.9.9"], "domain": "example.org",
                                            "search": ["a.example.org"], "options": ["ndots:2"]}}, {}),
    "bridge-mac-capability": ("bridge", "v4", {"capabilities": {"mac": True}}, {"capabilities": {"mac": MAC}}),
    "bridge-mac-args": ("bridge", "v4", {"args": {"cni": {"mac": MAC}}}, {}),
    "bridge-mac-cni-args": ("bridge", "v4", {}, {"args": f"IgnoreUnknown=1;MAC={MAC}"}),
    "bridge-unknown-key": ("bridge", "v4", {"whatever": {"is": ["this"]}}, {}),
    "ptp-mtu": ("ptp", "v4", {"mtu": 1400}, {}),
    "ptp-ipmasq": ("ptp", "dual", {"ipMasq": True}, {}),
    "ptp-dns": ("ptp", "v4", {"dns": {"nameservers": ["10.9.9.9"]}}, {}),
    "macvlan-bridge": ("macvlan", "v4", {"mode": "bridge"}, {}),
    "macvlan-private": ("macvlan", "v4", {"mode": "private"}, {}),
    "macvlan-vepa": ("macvlan", "v4", {"mode": "vepa"}, {}),
    "macvlan-passthru": ("macvlan", "v4", {"mode": "passthru"}, {}),
    "macvlan-mtu": ("macvlan", "v4", {"mtu": 1400}, {}),
    "macvlan-dns": ("macvlan", "v4", {"dns": {"nameservers": ["10.9.9.9"]}}, {}),
    "macvlan-mac-capability": ("macvlan", "v4", {"capabilities": {"mac": True}}, {"capabilities": {"mac": MAC}}),
    "macvlan-mac-args": ("macvlan", "v4", {"args": {"cni": {"mac": MAC}}}, {}),
    "macvlan-mac-cni-args": ("macvlan", "v4", {}, {"args": f"IgnoreUnknown=1;MAC={MAC}"}),
    "host-device-dns": ("host-device", "v4", {"dns": {"nameservers": ["10.9.9.9"]}}, {}),
}


@pytest.mark.parametrize("name", KEYS)
def test_key(request, name):
    kind, family, keys, said = KEYS[name]
    net = conflist(plugin(kind, family, **keys))
    with Duel(request, chosen=[MAC]) as duel:
        surroundings(duel, kind)
        duel.add("pod1", net, **said)
        duel.check("pod1", net)
        duel.delete("pod1", net)


# What both refuse: name: (plugin, family, keys, preparation of the host)
REFUSED = {
    "bridge-hairpin-and-promisc": ("bridge", "v4", {"hairpinMode": True, "promiscMode": True}, ""),
    "bridge-vlan-too-high": ("bridge", "l2", {"vlan": 4095}, ""),
    "bridge-vlan-negative": ("bridge", "l2", {"vlan": -1}, ""),
    "bridge-bad-mac": ("bridge", "v4", {"args": {"cni": {"mac": BAD_MAC}}}, ""),
    "bridge-is-no-bridge": ("bridge", "v4", {"bridge": "dev0"}, "ip link add dev0 type veth peer name dev1"),
    "bridge-other-address": ("bridge", "v4", {"bridge": "br0"},
                             "ip link add br0 type bridge; ip addr add 10.88.1.77/24 dev br0; ip link set br0 up"),
    "bridge-wrong-type": ("bridge", "v4", {"isGateway": "yes"}, ""),
    "bridge-mtu-wrong-type": ("bridge", "v4", {"mtu": "big"}, ""),
    "bridge-no-such-ipam": ("bridge", "v4", {"ipam": {"type": "nobody-has-this"}}, ""),
    "ptp-no-ipam": ("ptp", "v4", {"ipam": None}, ""),
    "macvlan-no-such-master": ("macvlan", "v4", {"master": "nobody0"}, ""),
    "macvlan-mode": ("macvlan", "v4", {"mode": "sideways"}, ""),
    "macvlan-mtu-above-master": ("macvlan", "v4", {"mtu": 9000}, ""),
    "macvlan-negative-mtu": ("macvlan", "v4", {"mtu": -1}, ""),
    "host-device-nobody": ("host-device", "v4", {"device": "nobody0"}, ""),
    "host-device-nothing": ("host-device", "v4", {"device": None}, ""),
    "host-device-hwaddr": ("host-device", "v4", {"device": None, "hwaddr": "02:00:00:00:00:99"}, ""),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(request, name):
    kind, family, keys, before = REFUSED[name]
    net = conflist(plugin(kind, family, **keys))
    with Duel(request) as duel:
        surroundings(duel, kind)
        if before:
            duel.on_hosts(before)
        replies = duel.add("pod1", net)
        assert not replies[1].ok, "netmgr accepts it"
        duel.delete("pod1", net)
        if before:
            duel.on_hosts(f"ip link del {'br0' if 'br0' in before else 'dev0'}")


def test_force_address(request):
    """The bridge has another address of the subnet: forceAddress replaces it."""
    net = conflist(plugin("bridge", "v4", bridge="br0", forceAddress=True))
    with Duel(request) as duel:
        duel.on_hosts("ip link add br0 type bridge; ip addr add 10.88.1.77/24 dev br0; ip link set br0 up")
        duel.add("pod1", net)
        duel.delete("pod1", net)
        duel.on_hosts("ip link del br0")


def test_bridge_that_is_there(request):
    """A bridge of the administrator is used as it is, and stays."""
    net = conflist(plugin("bridge", "dual", bridge="br0"))
    with Duel(request) as duel:
        duel.on_hosts("ip link add br0 type bridge; ip link set br0 up")
        duel.add("pod1", net)
        duel.reach("pod1", "10.88.1.1")
        duel.delete("pod1", net)
        duel.on_hosts("ip link del br0")


def test_host_device_by_hwaddr(request):
    net = conflist(plugin("host-device", "v4", device=None, hwaddr=MAC))
    with Duel(request, chosen=[MAC]) as duel:
        surroundings(duel, "host-device")
        duel.on_hosts(f"ip link set nic0 down; ip link set nic0 address {MAC}; ip link set nic0 up")
        duel.add("pod1", net)
        duel.check("pod1", net)
        duel.delete("pod1", net)


@pytest.mark.parametrize("kind", ["bridge", "ptp"])
@pytest.mark.parametrize("masq", [True, False], ids=["masq", "plain"])
def test_whom_the_outside_sees(request, kind, masq):
    """A server outside sees the host (ipMasq) or the pod; the way back to pods is a route of the outside."""
    net = conflist(plugin(kind, "dual", ipMasq=masq))
    with Duel(request) as duel:
        duel.outside()
        duel.add("pod1", net)
        for family, address in ((4, OUT4), (6, OUT6)):
            with duel.serving("outside", family, 8000):
                duel.ask("pod1", address, 8000)
        duel.delete("pod1", net)
