# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is true in a private host and its pods, as facts that can be compared between two hosts.

A fact is one key and one value; the key says where and what: ("pod1", "eth0 mtu"): 1450, ("host",
"route 10.88.1.2 dev host(pod1/eth0) ..."): True. Names that nobody chose are replaced: the host end of
pod1's eth0 is host(pod1/eth0), whatever its plugin calls it; ifbs are numbered; link-local addresses
lose the part that comes from a random MAC. All is read by ip, tc, nft and from /proc, in one shell per
namespace.
"""
import json
import re

SYSCTLS = {
    "ipv4": ["arp_notify", "arp_ignore", "accept_redirects", "proxy_arp", "rp_filter", "route_localnet", "send_redirects"],
    "ipv6": ["disable_ipv6", "accept_ra", "accept_dad", "enhanced_dad", "keep_addr_on_down", "forwarding",
             "ndisc_notify", "autoconf", "proxy_ndp"],
}
SCRIPT = r"""
ip -j -d link; echo ==; ip -j addr; echo ==
ip -j -4 route show table all; echo ==; ip -j -6 route show table all; echo ==
ip -j -4 rule; echo ==; ip -j -6 rule; echo ==; ip -j neigh show nud permanent; echo ==
tc -j qdisc; echo ==; cd /proc/sys/net; grep -H . ipv4/ip_forward ipv6/conf/all/forwarding """ + " ".join(
    f"{family}/conf/*/{name}" for family, names in SYSCTLS.items() for name in names) + """ 2>/dev/null; true
"""


class View:
    """One look into one namespace."""

    def __init__(self, host, netns):
        out = host.run(["sh", "-c", SCRIPT], netns=netns).stdout.split("==\n")
        parts = [json.loads(p.strip() or "[]") for p in out[:8]]
        self.link, self.addr, r4, r6, rule4, rule6, self.neigh, self.qdisc = parts
        self.routes = [(4, r) for r in r4] + [(6, r) for r in r6]
        self.rules = [(4, r) for r in rule4] + [(6, r) for r in rule6]
        self.sysctl = dict(line.split(":", 1) for line in out[8].splitlines())

    def by_index(self, index):
        return next((x for x in self.link if x["ifindex"] == index), None)


def abroad(link):
    """Its peer is in another namespace."""
    return "link_netnsid" in link or "link_netns" in link


def host_names(host, pods):
    """{name of a link of the host: what it is called in facts}; pods: {name: View}"""
    names, number = {}, 0
    for x in sorted(host.link, key=lambda x: x["ifindex"]):
        kind = x.get("linkinfo", {}).get("info_kind")
        if kind == "ifb":
            number += 1
            names[x["ifname"]] = f"ifb{number}"
        for pod, view in pods.items():
            peer = view.by_index(x.get("link_index")) if kind == "veth" else None
            if peer and peer.get("link_index") == x["ifindex"] and abroad(peer) and abroad(x) \
                    and not x["ifname"].startswith(KEPT_NAMES):
                names[x["ifname"]] = f"host({pod}/{peer['ifname']})"
    return names


KEPT_NAMES = ("up", "out", "nic")  # links that the tests make themselves


def link_facts(view, called, chosen):
    """chosen: MAC addresses that the test gives; of others only that nobody chose them is a fact."""
    for x in view.link:
        name, info = called(x["ifname"]), x.get("linkinfo", {})
        slave, kind, data = info.get("info_slave_data", {}), info.get("info_kind", x["link_type"]), info.get("info_data", {})
        yield name, "is there", True
        yield name, "kind", kind
        yield name, "mtu", x["mtu"]
        yield name, "txqlen", x.get("txqlen")
        yield name, "alias", x.get("ifalias")
        yield name, "master", called(x["master"]) if x.get("master") else None
        for flag in ("UP", "PROMISC", "ALLMULTI", "NOARP"):
            yield name, flag, flag in x["flags"]
        if x["link_type"] == "ether":
            yield name, "mac", x["address"] if x["address"] in chosen else "random"
        if info.get("info_slave_kind") == "bridge":
            yield name, "port", " ".join(k for k in ("hairpin", "isolated", "guard", "fastleave") if slave.get(k)) or "plain"
        if kind == "bridge":
            yield name, "vlan_filtering", data.get("vlan_filtering", 0)
        if kind == "macvlan":
            yield name, "mode", data.get("mode")


def plain_address(address):
    """A link-local address that follows from a random MAC has no name of its own."""
    return "fe80::*" if re.match("fe80::.*ff:fe", address) else address


def address_facts(view, called):
    for x in view.addr:
        for a in x["addr_info"]:
            words = [plain_address(a["local"]) + f"/{a['prefixlen']}", a["scope"]]
            words += [f"peer {a['address']}"] if "address" in a else []
            words += [f"brd {a['broadcast']}"] if "broadcast" in a else []
            words += [flag for flag in ("noprefixroute", "secondary", "dadfailed") if a.get(flag)]
            yield called(x["ifname"]), f"address {' '.join(words)}", True


def route_text(family, r, called):
    words = [r["type"]] if r.get("type", "unicast") != "unicast" else []
    words.append(plain_address(r["dst"]) if r["dst"] != "default" else f"default{family}")
    for hop in sorted(r.get("nexthops") or [r], key=lambda h: str(h.get("gateway"))):
        words += [f"via {plain_address(hop['gateway'])}"] if hop.get("gateway") else []
        words += [f"dev {called(hop['dev'])}"] if hop.get("dev") else []
        words += ["onlink"] if "onlink" in hop.get("flags", []) else []
    words += [f"src {plain_address(r['prefsrc'])}"] if r.get("prefsrc") else []
    words += [f"{k} {r[k]}" for k in ("table", "scope") if k in r]
    # what the kernel writes by itself for IPv6
    words += [f"metric {r['metric']}"] if r.get("metric", 1024) not in (256, 1024) else []
    words += [f"{k} {v}" for m in r.get("metrics", []) for k, v in sorted(m.items())]
    return " ".join(words)


def route_facts(view, called):
    for family, r in view.routes:
        # the kernel's own, which follow from the addresses
        if r.get("table") != "local" and r.get("type") != "multicast":
            yield called(r["dev"]) if r.get("dev") else "", f"route {route_text(family, r, called)}", True


def rule_facts(view):
    for family, r in view.rules:
        words = [f"{k} {r[k]}" for k in ("src", "srclen", "dst", "dstlen", "iif", "oif", "fwmark", "table") if k in r]
        yield "", f"rule{family} {' '.join(words)}", True


def neighbour_facts(view, called):
    for n in view.neigh:
        yield called(n["dev"]), f"neighbour {plain_address(n['dst'])}", True


def qdisc_facts(view, called):
    for q in view.qdisc:
        if q["kind"] not in ("noqueue", "pfifo_fast", "pfifo", "mq", "noop"):
            yield called(q["dev"]), f"qdisc {q['kind']}", json.dumps(q.get("options", {}), sort_keys=True)


def sysctl_facts(view, called):
    for key, value in view.sysctl.items():
        words = key.split("/")
        link = ""
        if words[1] == "conf" and words[2] not in ("all", "default"):
            link = called(words.pop(2))
        yield link, "sysctl " + ".".join(words), value


def facts_of(host, pods, chosen=()):
    """({(where, link or "", what): value}, {link of the host: its name in facts})"""
    view, inside = View(host, None), {p.name: View(host, p) for p in pods if p.exists}
    names = host_names(view, inside)
    found = {}
    for where, v in [("host", view), *inside.items()]:
        def called(name, here=names if where == "host" else {}):
            return here.get(name, name)
        for facts in (link_facts(v, called, chosen), address_facts(v, called), route_facts(v, called),
                      rule_facts(v), neighbour_facts(v, called), qdisc_facts(v, called), sysctl_facts(v, called)):
            for link, what, value in facts:
                # a route or rule that is there twice is two facts
                while (where, link, what) in found:
                    what += " again"
                found[where, link, what] = value
    return found, names


def result_facts(result, names, path, links):
    """The same for a plugin's answer. names: of the host's links; path: the pod's netns; links:
    {(sandbox?, name): MAC} as the kernel has them."""
    found = {}

    def walk(value, at):
        if isinstance(value, dict):
            for k, v in value.items():
                walk(v, f"{at}.{k}" if at else k)
        elif isinstance(value, list):
            for i, v in enumerate(value):
                walk(v, f"{at}[{i}]")
        else:
            found[at] = value
    plain = json.loads(json.dumps(result))
    for i in plain.get("interfaces", []):
        inside = bool(i.get("sandbox"))
        if i.get("mac"):
            i["mac"] = "its own" if links.get((inside, i["name"])) == i["mac"] else f"not its own ({i['mac']})"
        if inside:
            i["sandbox"] = "the pod's" if i["sandbox"] == path else i["sandbox"]
        else:
            i["name"] = names.get(i["name"], i["name"])
    walk(plain, "")
    return found
