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


def failed(outcome):
    return outcome != "ok"


def refused(outcome):
    return str(outcome).startswith("error ")


HOST_END = r"host host\(pod\d/(eth|was)\d\)"
POD = r"pod\d (eth|was)\d"

DIFFERENCES = [
    # --- answers ---
    Difference("mtu", r"result pod\d: interfaces\[\d\]\.mtu", reference=None,
               reason="a field of 1.1.0 that newer reference plugins tell in every version, too",
               proof="test_life[bridge-v4-1.0.0]"),
    Difference("loopback-old-result", r"result pod1: .*", case=r"test_life\[loopback-l2-0\..*",
               reason="the reference answers in the form of 1.0.0 under every number",
               proof="test_life[loopback-l2-0.2.0]"),
    Difference("error-code", r"verb: .*", reference="error 999", ours=refused,
               reason="999 says nothing; netmgr has a code for each sort of refusal", proof="test_refused[ptp-no-ipam]"),

    # --- the sandbox ---
    Difference("lo", r"pod\d lo: (UP|address (127\.0\.0\.1/8|::1/128) host)", reference=lambda v: not v, ours=True,
               reason="netmgr raises lo with the first interface; the reference leaves it to a plugin of its own",
               proof="test_life[ptp-v4-1.0.0]"),
    Difference("txqlen", rf"({HOST_END}|{POD}): txqlen", reference=None, ours=1000,
               reason="the reference's library asks for 0 where it means to ask for nothing; newer ones do not",
               proof="test_life[bridge-v4-1.0.0]"),
    Difference("dad-without-ipv6", rf"{POD}: sysctl ipv6\.conf\.accept_dad", reference="0", ours="1", case=r"test_life\[bridge-v4.*",
               reason="nothing of IPv6 is changed in a pod that gets none", proof="test_life[bridge-v4-1.0.0]"),
    Difference("keep-addr", rf"{POD}: sysctl ipv6\.conf\.keep_addr_on_down", reference="0", ours="1",
               reason="IPv6 addresses survive a link that is set down and up, as with newer reference plugins",
               proof="test_life[bridge-dual-1.0.0]"),
    Difference("keep-addr-kept", r"pod1 was0: (address|route) fd00.*", reference=None, ours=True,
               reason="and here they have survived it", proof="test_check_finds_what_is_missing[bridge-v6-name]"),
    Difference("arp-notify", rf"{POD}: sysctl ipv4\.conf\.arp_notify", reference="1", ours="0", case=".*(v6|address-space).*",
               reason="a pod without IPv4 has nothing to tell by ARP", proof="test_life[bridge-v6-1.0.0]"),
    Difference("ndisc-notify", rf"{POD}: sysctl ipv6\.conf\.ndisc_notify", reference="0", ours="1",
               reason="newer reference plugins set it, too", proof="test_life[macvlan-v6-1.0.0]"),

    # --- ends on the host ---
    Difference("host-end-link-local", rf"{HOST_END}: (address fe80::\*/64 link|route fe80::/64 dev .*)", reference=True,
               ours=None, reason="a bridge port and a host end need no address of their own", proof="test_life[bridge-dual-1.0.0]"),
    Difference("bridge-link-local", r"host (cni|br|mybr)\d: (address fe80::\*/64 link|route fe80::/64 dev .*)", reference=True,
               ours=None, reason="a bridge that is no IPv6 gateway does not speak IPv6", proof="test_life[bridge-v4-1.0.0]"),
    Difference("port-accept-ra", rf"{HOST_END}: sysctl ipv6\.conf\.accept_ra", reference="0", ours="1",
               reason="a bridge port hears no router advertisements; the bridge does, and has 0 on both sides",
               proof="test_life[bridge-dual-1.0.0]"),
    Difference("host-end-hardened", rf"{HOST_END}: sysctl ipv4\.conf\.(send_redirects|accept_redirects|rp_filter)",
               reason="no redirects to or from sandboxes, and no forged sources", proof="test_life[ptp-v4-1.0.0]"),
    Difference("host-end-without-ipv6", rf"{HOST_END}: sysctl ipv6\.conf\.disable_ipv6", reference="0", ours="1",
               reason="no IPv6 at a host end whose pod has none", proof="test_life[ptp-v4-1.0.0]"),
    # --- ptp ---
    Difference("ptp-neighbours", rf"({HOST_END}|{POD}): neighbour .*", reference=None, ours=True,
               reason="both ends know each other from the start: the first packet does not wait for ARP or ND",
               proof="test_life[ptp-dual-1.0.0]"),
    Difference("ptp-noprefixroute", rf"{POD}: address (10\.88|fd00:88).*", case=r".*ptp.*|test_host_local\[(two|capability).*",
               reason="the kernel's route to the subnet is not made (noprefixroute) instead of made and deleted",
               proof="test_life[ptp-dual-1.0.0]"),
    Difference("ptp-scope", rf"{HOST_END}: route 10\.88\S* dev .* scope (host|link)",
               reason="scope host means an address of this host; the pod's is one hop away",
               proof="test_life[ptp-v4-1.0.0]"),

    # --- IPAM ---
    Difference("static-is-held", r"ipam: held .*", reference=None, case=".*static.*",
               reason="a static address has a row as well, so that nobody else gets it", proof="test_sbr_over_static"),

    Difference("asked-then-next", r"(result|ipam|pod[23] eth0).*", case=r"test_host_local\[asked.*",
               reason="an address that was asked for does not move the place where the search for the next one begins",
               proof="test_host_local[asked-by-args]"),
    Difference("bridge-before-ipam", r"host cni0: (address|route).*|host: sysctl ipv4\.(ip_forward|conf\.all\.accept_redirects)",
               case=r"test_refused\[asked.*",
               reason="the network is made ready before addresses are looked for; its bridge stays on both sides",
               proof="test_refused[asked-outside]"),
    Difference("ipam-dns", r"result pod1: dns\..*", reference=None, case=r"test_static\[dns\]",
               reason="IPAM's DNS reaches the result also behind bridge, as with newer reference plugins", proof="test_static[dns]"),
    Difference("check-route-gateway", r"verb: CHECK pod1", reference="error 999", ours="ok", case=r"test_host_local\[routes\]",
               reason="the reference looks for a route without the gateway that it has itself added",
               proof="test_host_local[routes]"),
    Difference("route-metrics", r"(result pod1: routes\[0\]\.(mtu|advmss)|pod1 eth0: route 10\.99.*)", case="test_route_metrics",
               reason="a route has the MTU and MSS that it is given; the reference ignores them", proof="test_route_metrics"),

    # --- host-device ---
    Difference("nic-back", r"host nic0: (UP|alias|address fe80::\*/64 link|route fe80::/64 dev nic0)",
               reason="the NIC comes back as it was: up if it was up, with its own alias", proof="test_life[host-device-v4-1.0.0]"),
    Difference("nic-del-again", r"verb: DEL pod1", reference="error 999", ours="ok", case=r".*host-device.*",
               reason="the reference's DEL fails when the interface is back already: DEL may come again",
               proof="test_life[host-device-v4-1.0.0]"),

    Difference("nic-lost", r"(host nic0|wire nic1): is there|ipam: held .*", case=r"test_del_(without|after_the)_netns\[host-device.*",
               reason="the reference loses NIC and address when the netns is gone first or not named",
               proof="test_del_without_netns[host-device-v4]"),
    Difference("nic-stays", r"host nic0: is there", reference=None, ours=True, case=r"test_interface_is_there\[host-device.*",
               reason="the reference has moved the NIC by the time it finds that the name is taken",
               proof="test_interface_is_there[host-device-v4]"),

    # --- macvlan ---
    Difference("macvlan-args-mac", r"pod1 eth0: mac", case=r"test_key\[macvlan-mac-args\]",
               reason="args.cni.mac is documented for every plugin that makes a MAC address", proof="test_key[macvlan-mac-args]"),

    # --- DEL ---
    Difference("del-plain-file", r"verb: DEL pod1", reference=failed, ours="ok", case="test_del_with_a_plain_file.*",
               reason="a file where a netns is expected means that it is gone; the reference fails for ever",
               proof="test_del_with_a_plain_file[bridge-v4]"),
    Difference("del-plain-file-leak", r"(host .*|pod1 eth0): is there|ipam: held .*", reference=bool, ours=None,
               case="test_del_with_a_plain_file.*", reason="so it also leaks the interface and the address",
               proof="test_del_with_a_plain_file[bridge-v4]"),
    Difference("del-plain-file-nic", r"host nic0: is there", reference=None, ours=True, case="test_del_with_a_plain_file.*",
               reason="and keeps the NIC", proof="test_del_with_a_plain_file[host-device-v4]"),
    Difference("del-without-netns", r"(host host.*|pod1 eth\d): is there", reference=True, ours=None,
               case=r"test_del_(without_netns|of_a_chain).*",
               reason="netmgr knows the interface by its other end: it goes although nobody names the netns",
               proof="test_del_without_netns[bridge-v4]"),
    Difference("del-refused", r"verb: DEL pod1", reference=failed, ours="ok", case=r"test_(bandwidth_)?refused.*",
               reason="DEL needs no valid configuration: the runtime would repeat it for ever",
               proof="test_refused[bridge-wrong-type]"),
    Difference("del-of-another's", r"pod1 (eth0|other): is there", reference=None, ours=True, case="test_interface_is_there.*",
               reason="DEL after a refused ADD leaves the interface that was there before alone; the reference deletes it",
               proof="test_interface_is_there[bridge-v4]"),
    Difference("one-del-ends-all", r"(host .*|pod1 eth\d): is there|ipam: held .*|rules: name .*", reference=bool,
               ours=lambda v: not v, case=r"test_(del_in_another_order|tuning|source_based_routing).*",
               reason="plugins of one chain are one attachment: any plugin's DEL ends it, so that nothing leaks half way",
               proof="test_del_in_another_order[[1]]"),

    Difference("del-refused-leak", r"(host .*|pod1 eth0): is there|ipam: held .*", reference=bool, ours=None,
               case=r"test_bandwidth_refused.*", reason="so what the plugins before have made stays for ever",
               proof="test_bandwidth_refused[no-rate]"),
    Difference("del-without-port-mappings", r"rules: name .*", reference=True, ours=False, case=r"test_(del_of_a_chain|masquerade_outlives|host_ports_).*",
               reason="the reference's bridge, portmap and firewall forget their rules when DEL does not repeat what ADD was told",
               proof="test_del_of_a_chain[no previous result]"),
    Difference("del-after-the-master", r"verb: DEL pod1", reference="error 999", ours="ok", case=r"test_del_after_the_master.*",
               reason="what is gone needs no DEL", proof="test_del_after_the_master[macvlan-l2]"),
    Difference("del-after-the-master-leak", r"ipam: held .*", reference=bool, ours=None, case=r"test_del_after_the_master.*",
               reason="and its address is free again", proof="test_del_after_the_master[macvlan-v4]"),
    Difference("bridge-made-again", r"host cni0: is there", reference=None, ours=True, case=r"test_del_after_the_master\[bridge.*",
               reason="a bridge that somebody deletes under living pods is made again",
               proof="test_del_after_the_master[bridge-v4]"),

    # --- what a failed ADD leaves ---
    Difference("failed-add-leaves", r"(host .*|pod\d .*): is there", reference=bool, ours=None,
               case=r"test_(refused|interface_is_there|add_without_netns|two_interfaces_of_one_network\[ptp|exhausted|host_local\[small).*",
               reason="an ADD that fails changes nothing; the reference leaves bridge, veth or both",
               proof="test_refused[bridge-other-address]"),
    Difference("failed-add-sysctl", r"host.*: sysctl .*(ip_forward|forwarding|accept_redirects)", case="test_(add_without_netns|interface_is_there).*",
               reason="nor does it switch on forwarding", proof="test_add_without_netns[ptp-v4]"),
    Difference("default-twice", r".*", case=r"test_key\[bridge-default-gateway-and-route\]",
               reason="isDefaultGateway beside a default route in ipam: the reference adds it twice and fails (EEXIST)",
               proof="test_key[bridge-default-gateway-and-route]"),

    # --- CHECK of the reference ---
    Difference("check-without-ipam", r"verb: CHECK pod\d", reference="error 999", ours="ok", case=r".*(bridge|macvlan|host-device)-l2.*",
               reason='the reference asks an IPAM plugin that is not configured: "no plugin name provided"',
               proof="test_life[bridge-l2-1.0.0]"),
    Difference("check-portmap", r"verb: CHECK pod\d", reference="error 999", ours="ok",
               case=r"test_(chain\[(portmap|five)|five_after|mixed_chain|host_port|portmap_key).*",
               reason="the reference's portmap looks for rules of IPv4 in the tables of IPv6", proof="test_chain[portmap-v4-1.0.0]"),
    Difference("check-tuning", r"verb: CHECK pod\d", reference="error 999", ours="ok", case=r"test_tuning.*",
               reason="the reference's CHECK does not put the name in place of IFNAME", proof="test_tuning[sysctl]"),
    Difference("check-sbr", r"verb: CHECK pod\d", reference="error 999", ours="ok", case=r"test_(chain\[sbr|source_based).*",
               reason="bridge's CHECK does not find the route that sbr has moved", proof="test_chain[sbr-v4-1.0.0]"),
    Difference("check-bandwidth", r"verb: CHECK pod\d", reference="crash", ours="ok", case=r"test_(bandwidth|chain|mixed).*",
               reason="the reference's CHECK crashes where no limit is configured", proof="test_bandwidth[nothing-capability]"),

    Difference("args-panic", r"verb: (ADD|DEL).*", reference="crash", ours="ok", case="test_tuning_with_sysctls_of_args_only",
               reason="the reference writes into a map that it has not made", proof="test_tuning_with_sysctls_of_args_only"),

    # --- chained plugins ---
    Difference("hairpin", rf"{HOST_END}: port", reference="plain", ours="hairpin",
               reason="a pod with host ports reaches itself by them", proof="test_chain[portmap-v4-1.0.0]"),
    Difference("clsact", rf"{HOST_END}: qdisc (ingress|clsact)", reason="the newer of two names of the same hook",
               proof="test_chain[bandwidth-v4-1.0.0]"),
    Difference("two-shaped", r"verb: ADD pod1 net1 eth1|(host ifb\d|host host.*|pod1 eth1): is there",
               case="test_two_shaped_interfaces_of_one_network", reason="each interface has an ifb of its own; the reference's names collide",
               proof="test_two_shaped_interfaces_of_one_network"),
    Difference("ifb-txqlen", r"host ifb1: txqlen", reference=None, ours=32, reason="as txqlen above; 32 is the kernel's default of an ifb",
               proof="test_chain[bandwidth-v4-1.0.0]"),
    Difference("firewall-open", r"rules: name .*", reference=True, ours=False, case=r"test_(chain\[(firewall|five)|ingress_policy\[open|mixed_chain).*",
               reason="no rule per pod where everything is allowed", proof="test_chain[firewall-v4-1.0.0]"),
    Difference("others-drop", r"(reach: pod1 to|ping: reach: pod1 to|rules: name).*", reference=True, ours=False,
               case="test_host_that_drops_what_is_forwarded",
               reason="what another table drops stays dropped: netmgr writes into no other program's tables, it names the "
               "chain in its health (README, Beside other firewalls)", proof="test_host_that_drops_what_is_forwarded"),
    Difference("localnet-back", r"host cni0: sysctl ipv4\.conf\.route_localnet", reference="1", ours="0", case="test_mixed_chain.*",
               reason="route_localnet goes back with the last host port", proof="test_mixed_chain[bridge+host-local]"),
    Difference("tuning-txqlen", r"pod1 eth0: txqlen", case=r"test_tuning\[(txqlen|args-all)\]",
               reason="txQLen is newer than 1.1.1", proof="test_tuning[txqlen]"),
    Difference("sbr-link-local", r"pod\d eth\d: route fe80::/64 dev eth\d.*", case=r".*(sbr|source_based).*",
               reason="the route to link-local neighbours is nobody's source based route: it stays where it is",
               proof="test_chain[sbr-v4-1.0.0]"),
    Difference("sbr-families", r"pod\d eth\d: route fd00\S+ dev eth\d table 100", reference=True, ours=None, case=r".*dual.*|.*static.*",
               reason="the table of an IPv4 address needs no routes of IPv6", proof="test_chain[sbr-dual-1.0.0]"),
    Difference("sbr-del-again", r"verb: DEL pod1", reference="error 999", ours="ok", case=r"test_chain\[sbr.*|test_source_based.*",
               reason="the reference's DEL fails once the interface is gone", proof="test_chain[sbr-v4-1.0.0]"),
    Difference("self-by-host-port", r"ask: pod1 to \S+ 8080/tcp", reference=None, case=r"test_host_port\[bridge\]",
               reason="a pod reaches itself by its host port also without hairpinMode", proof="test_host_port[bridge]"),
    Difference("host-port-source", r"ask: (host|pod\d) to \S+ 8080/tcp", reference=bool, ours=bool, case=r"test_host_port.*",
               reason="the host's own traffic comes from the node's address, a neighbour's from its own",
               proof="test_host_port[bridge]"),
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
