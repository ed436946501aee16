# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test needs of the kernel and the machine, and the machine's spare NICs.

    @pytest.mark.vm("ipvlan")         # skipped, with the reason, where the kernel lacks it; tests/run --vm
    def test_...(host):               # runs it in a virtual machine, where lacking it is a failure

    @pytest.mark.vm("physical-nic")
    def test_...(host):
        with spare_nics(host) as (nic, other):    # in the host's network namespace, down, as nic.name
            ...

A NIC returns to the initial network namespace when the one that it is in dies, and a test's host is in another
one. @pytest.mark.host(initial_netns=True) gives a host that is in the initial one.

Each feature is tried out, in a network namespace that is gone afterwards: configuration files and module
lists do not say what works.
"""
import contextlib
import fcntl
import functools
import json
import os
import re
import subprocess
import tempfile

import pytest

from host_daemon import settle

PAIR = "ip link add left type veth peer name right"
# what has to succeed, in this order
FEATURES = {
    "8021q": [PAIR, "ip link add link left name left.5 type vlan id 5"],
    "bridge-vlan-filtering": [PAIR, "ip link add br0 type bridge vlan_filtering 1", "ip link set left master br0",
                              "bridge vlan add dev left vid 5"],
    "dummy": ["ip link add dum0 type dummy"],
    "flowtable": [PAIR, "nft add table inet t", "nft add chain inet t c",
                  "nft add flowtable inet t f '{ hook ingress priority 0; devices = { left }; }'",
                  "nft add rule inet t c flow add @f"],
    "ifb": ["ip link add ifb7 type ifb"],
    "ipvlan": [PAIR, "ip link add link left name ipv0 type ipvlan"],
    "macvlan": [PAIR, "ip link add link left name mac0 type macvlan"],
    # Debian 12's nft does not know the flag, so this cannot be tried out
    "owned-tables": ["test \"$(printf '6.9\\n%s\\n' \"$(uname -r)\" | sort -V | head -n 1)\" = 6.9"],
    "tap": ["ip tuntap add tap0 mode tap"],
    "vrf": ["ip link add vrf0 type vrf table 10"],
    "vxlan": ["ip link add vx0 type vxlan id 5 dstport 4789"],
}
# what not every kernel of the virtual machine has: {feature: since when}
NEWER = {"owned-tables": "Linux 6.9"}
# MACs of NICs that tests may move about, as permanent addresses; tests/vm/init sets it. Never found by
# looking: the NIC that a machine is reached by would be among them.
NICS = "NETMGR_TEST_NICS"


def in_vm():
    return os.environ.get("NETMGR_TEST_VM") == "1"


def spare_macs():
    return os.environ.get(NICS, "").lower().split()


@functools.lru_cache(maxsize=None)
def lacking(feature):
    """Why this machine does not have it, or None."""
    if feature == "physical-nic":
        return None if spare_macs() else f"{NICS} names no NIC that may be moved about"
    # -x: the last command that the shell tells is the one that failed
    r = subprocess.run(["unshare", "--net", "sh", "-exc", "\n".join(FEATURES[feature])], check=False,
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if r.returncode == 0:
        return None
    command, _, said = ("\n" + r.stderr).rpartition("\n+ ")[2].partition("\n")
    return f"{command}: {said.strip().splitlines()[0] if said.strip() else 'failed'}"


def need(*features):
    """Skips the test unless this machine has them all. In the virtual machine, which is there to have
    them, one that is missing fails it."""
    for feature in features:
        reason = lacking(feature)
        if reason and feature in NEWER:
            pytest.skip(f"this kernel has no {feature} ({NEWER[feature]})")
        if reason and in_vm():
            pytest.fail(f"the virtual machine has no {feature} ({reason})")
        if reason:
            pytest.skip(f"this machine has no {feature} ({reason}); tests/run --vm runs it")


# --- spare NICs ----------------------------------------------------------------------------------

@contextlib.contextmanager
def alone():
    """One test at a time has the NICs, and the initial namespace in which they are at rest."""
    with open(os.path.join(tempfile.gettempdir(), "netmgr-test-nics.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run_here(argv):
    """In the initial namespace: that of the tests themselves"""
    r = subprocess.run(argv, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert r.returncode == 0, f"{' '.join(argv)}: {r.stderr}"
    return r.stdout


def run_in(place):
    """place: a Host or a Pod"""
    return lambda argv: place.run(argv).stdout


@contextlib.contextmanager
def initial_netns():
    """For a host that lives in the initial namespace: it is alone there, and its traces go."""
    assert in_vm(), "tests in the initial network namespace are for the virtual machine: tests/run --vm"
    with alone():
        try:
            yield
        finally:
            run_here(["nft", "flush", "ruleset"])
            run_here(["ip", "address", "flush", "dev", "lo", "scope", "global"])
            for link in json.loads(run_here(["ip", "-j", "link", "show"])):
                if link["ifname"].startswith("nm"):
                    run_here(["ip", "link", "delete", "dev", link["ifname"]])


class Nic:
    """A NIC with a device of its own. What it is known by is its permanent MAC: names change."""

    def __init__(self, host, mac):
        self.host, self.mac = host, mac
        self.name = self.find(run_here)
        assert self.name, f"{NICS} names {mac}, but no NIC of the initial namespace has it"
        device = os.path.realpath(f"/sys/class/net/{self.name}/device")
        # of virtio the PCI device is the parent
        self.pci = re.findall(r"[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]", device)[-1]

    def find(self, run):
        """Its name in the namespace that run() enters, or None"""
        links = json.loads(run(["ip", "-j", "-d", "link", "show"]) or "[]")
        return next((x["ifname"] for x in links if x.get("permaddr", x.get("address")) == self.mac
                     and "info_kind" not in x.get("linkinfo", {})), None)

    def find_here(self):
        """Its name in the initial namespace, to which a dying one returns it"""
        return self.find(run_here)

    def wait_here(self):
        return settle(self.find_here, f"NIC {self.mac} is back in the initial namespace")

    def find_in(self, place):
        return self.find(run_in(place))

    def lend(self):
        run_here(["ip", "link", "set", "dev", self.name, "down"])
        if not self.host.initial_netns:
            run_here(["ip", "link", "set", "dev", self.name, "netns", str(self.host.holder.pid)])

    def take_back(self):
        """From wherever the test has left it, and as it was"""
        for run in [run_in(x) for x in [self.host, *(p for p in self.host.pods if p.exists)]]:
            now = self.find(run)
            if now and not self.find_here():
                run(["ip", "link", "set", "dev", now, "netns", str(os.getpid())])
        now = self.wait_here()
        for change in (["down"], ["address", self.mac], ["name", self.name], ["alias", ""], ["mtu", "1500"],
                       ["nomaster"], ["promisc", "off"], ["allmulticast", "off"]):
            run_here(["ip", "link", "set", "dev", now, *change])
            now = self.name if change[0] == "name" else now
        run_here(["ip", "address", "flush", "dev", now])


@contextlib.contextmanager
def spare_nics(host):
    """The NICs that may be moved about, in the host's network namespace and down; in the virtual machine
    two, joined by a cable. Whatever the test does to them, they are taken back."""
    with contextlib.nullcontext() if host.initial_netns else alone():
        nics = [Nic(host, mac) for mac in spare_macs()]
        try:
            for nic in nics:
                nic.lend()
            yield nics
        finally:
            for nic in nics:
                nic.take_back()
