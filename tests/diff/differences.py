# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where netmgr differs from Debian's reference plugins (1.1.1) on purpose, each with its reason.

An entry says which facts may differ (a pattern over "where link: what"), and, where that matters, which
values the two sides have. `proof` names one case of this suite in which the difference must occur: when it no
longer does, that case fails, so nothing stays in this list that is not true any more.
"""
import dataclasses
import re


@dataclasses.dataclass
class Difference:
    name: str
    fact: str  # regular expression, whole "where link: what"
    reason: str
    proof: str  # name of a test case
    reference: object = ...  # value, or predicate; ...: any
    ours: object = ...
    case: str = ".*"  # regular expression, whole name of the test case

    def matches(self, case, text, reference, ours):
        def agrees(wanted, value):
            return wanted is ... or (wanted(value) if callable(wanted) else wanted == value)
        return bool(re.fullmatch(self.fact, text) and re.fullmatch(self.case, case)
                    and agrees(self.reference, reference) and agrees(self.ours, ours))


HOST_END = r"host host\(pod\d/eth\d\)"
POD = r"pod\d eth\d"

DIFFERENCES = [
    # --- results ---
    Difference("mtu", r"result pod\d: interfaces\[\d\]\.mtu", reference=None,
               reason="a field of 1.1.0 that newer reference plugins tell in every version, too",
               proof="test_life[bridge-v4-1.0.0]"),
    Difference("loopback-old-result", r"result pod1: .*", case=r"test_life\[loopback-l2-0\.[12]\.0\]",
               reason="the reference answers in the form of 1.0.0 under the number of 0.1.0 and 0.2.0",
               proof="test_life[loopback-l2-0.2.0]"),
    # --- the sandbox ---
    Difference("lo", r"pod\d lo: (UP|address (127\.0\.0\.1/8|::1/128) host)", reference=lambda v: not v, ours=True,
               reason="netmgr raises lo with the first interface; the reference leaves it to a plugin of its own",
               proof="test_life[ptp-v4-1.0.0]"),
    Difference("txqlen", rf"({HOST_END}|{POD}): txqlen", reference=None, ours=1000,
               reason="the reference's library asks for 0 where it means to ask for nothing; newer ones do not",
               proof="test_life[bridge-v4-1.0.0]"),
    # --- rules ---
    Difference("rules", r"rules: name .*", reference=False, ours=True,
               reason="netmgr's tables know the addresses of every sandbox (no forged source)",
               proof="test_life[bridge-v4-1.0.0]"),
    # --- ends on the host ---
    Difference("host-end-link-local", rf"{HOST_END}: (address fe80::\*/64 link|route fe80::/64 dev .*)", reference=True,
               ours=None, reason="a bridge port and a host end need no address of their own", proof="test_life[bridge-dual-1.0.0]"),
    Difference("host-end-hardened", rf"{HOST_END}: sysctl ipv4\.conf\.(send_redirects|accept_redirects|rp_filter)",
               reason="no redirects to or from sandboxes, and no forged sources", proof="test_life[ptp-v4-1.0.0]"),
    # --- ptp ---
    Difference("ptp-neighbours", rf"({HOST_END}|{POD}): neighbour .*", reference=None, ours=True,
               reason="both ends know each other from the start: the first packet does not wait for ARP or ND",
               proof="test_life[ptp-dual-1.0.0]"),
    Difference("ptp-noprefixroute", rf"{POD}: address (10\.88|fd00:88).*", case=".*ptp.*",
               reason="the kernel's route to the subnet is not made (noprefixroute) instead of made and deleted",
               proof="test_life[ptp-dual-1.0.0]"),
    Difference("ptp-scope", rf"{HOST_END}: route 10\.88\S* dev .* scope (host|link)",
               reason="scope host means an address of this host; the pod's is one hop away",
               proof="test_life[ptp-v4-1.0.0]"),
    # --- the reference's defects ---
    Difference("check-without-ipam", r"verb: CHECK pod1", reference="error 999", ours="ok", case=r".*(bridge|macvlan|host-device)-l2.*",
               reason='the reference asks an IPAM plugin that is not configured: "no plugin name provided"',
               proof="test_life[bridge-l2-1.0.0]"),
]


class Found:
    """One fact that is not the same on both sides; None: that side does not have it."""

    def __init__(self, case, when, key, reference, ours):
        self.when, self.key, self.reference, self.ours = when, key, reference, ours
        self.text = f"{key[0]} {key[1]}: {key[2]}".replace(" : ", ": ")
        self.note = ""
        self.entry = next((e for e in DIFFERENCES if e.matches(case, self.text, reference, ours)), None)

    def __str__(self):
        return (f"{self.when}: {self.text}: reference {self.reference!r}, netmgr {self.ours!r}"
                + (f" ({self.note})" if self.note else ""))
