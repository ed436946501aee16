# SPDX-License-Identifier: LGPL-2.1-or-later
"""The four lists compared: the ledger, the kernel, the namespaces, and what the runtime believes.

disagreements(host) returns sentences; none means that they agree. It reads with sqlite3, ip and nft, never
with netmgr's own eyes.
"""
import json
import re

from netmgr_host import settle

OUR_TABLES = {"netmgr_np", "netmgr_nat", "netmgr_br"}


def words(value):
    """Every string and number in a value of nft's JSON"""
    if isinstance(value, dict):
        for v in value.values():
            yield from words(v)
    elif isinstance(value, list):
        for v in value:
            yield from words(v)
    elif isinstance(value, (str, int)):
        yield str(value)


def elements(host):
    """{set or map: [words of one element, ...]} of our tables"""
    found = {}
    for item in json.loads(host.run(["nft", "-j", "list", "ruleset"]).stdout)["nftables"]:
        for kind in ("set", "map"):
            s = item.get(kind)
            if s and s["table"] in OUR_TABLES:
                found[f"{s['table']} {s['name']}"] = [list(words(e)) for e in s.get("elem", [])]
    return found


def rows(host):
    attachments = {r["id"]: r for r in host.sql("SELECT * FROM attachment")}
    delegates = {r["attachment"] for r in host.sql("SELECT attachment FROM delegate")}
    for a in attachments.values():
        a["addresses"], a["ports"] = set(), []
        # nothing is left but what a plugin of others holds, until a runtime comes that runs it
        a["pending"] = a["state"] == "releasing" and a["id"] in delegates
    addresses = host.sql("SELECT * FROM address WHERE released_usec = 0")
    for r in addresses:
        if r["attachment"] in attachments:
            attachments[r["attachment"]]["addresses"].add(r["address"])
    for r in host.sql("SELECT * FROM port"):
        if r["attachment"] in attachments:
            attachments[r["attachment"]]["ports"].append(r)
    return attachments, addresses


def ledger_alone(host, attachments, addresses):
    sandboxes = {r["id"] for r in host.sql("SELECT id FROM sandbox")}
    used = {a["sandbox"] for a in attachments.values()}
    for a in attachments.values():
        if a["state"] != "up" and not a["pending"]:
            yield f"row {a['id']} of {a['sandbox']} is {a['state']}"
        if a["sandbox"] not in sandboxes:
            yield f"row {a['id']} has no sandbox {a['sandbox']}"
    for s in sandboxes - used:
        yield f"sandbox {s} has no attachment"
    imported = {r["network"] for r in host.sql("SELECT network FROM import")}
    for r in addresses:
        # what others have given out is held by no attachment
        if r["attachment"] is None and (r["network"] in imported or r["pool"].startswith("@")):
            continue
        if r["attachment"] not in attachments:
            yield f"address {r['address']} is held by nobody"
    for table in ("port", "shaping"):
        for r in host.sql(f"SELECT * FROM {table}"):
            if r["attachment"] not in attachments:
                yield f"a row of {table} belongs to nobody: {r}"


def with_links(host, attachments):
    links = {x["ifname"]: x for x in host.ip("-d", "link", "show")}
    wanted = {a["host_ifname"] for a in attachments.values() if a["host_ifname"]}
    for name in wanted - set(links):
        yield f"{name} has a row and no link"
    for name in links:
        if re.fullmatch(r"nmg[0-9a-f]+", name) and name not in wanted:
            yield f"link {name} has no row"
        if re.fullmatch(r"nmi[0-9a-f]+", name) and int(name[3:], 16) not in attachments:
            yield f"link {name} has no row"
    for name in wanted & set(links):
        if links[name].get("operstate") != "UP":
            yield f"{name} is {links[name].get('operstate')}"


def with_rules(host, attachments):
    found = elements(host)
    everything = {w for lists in found.values() for e in lists for w in e}
    names = {a["host_ifname"] for a in attachments.values() if a["host_ifname"]}
    addresses = {x for a in attachments.values() for x in a["addresses"]}
    for name in names - everything:
        yield f"{name} has no element"
    for word in everything:
        if re.fullmatch(r"nmg[0-9a-f]+", word) and word not in names:
            yield f"an element is about {word}, which has no row"
    for name, lists in found.items():
        if " keep" not in name:  # ranges of networks
            for word in {w for e in lists for w in e} - addresses:
                if re.fullmatch(r"10\.9[78]\.\d+\.\d+|fd9[78]:[0-9a-f:]+", word):
                    yield f"an element of {name} is about {word}, which nobody holds"
    held = {(str(p["host_port"]), address) for a in attachments.values() if a["host_ifname"]
            for p in a["ports"] for address in a["addresses"]}
    ports = {p for p, _ in held}
    mapped = set()
    for name, lists in found.items():
        if "netmgr_nat" not in name:
            continue
        for e in lists:
            for address in set(e) & addresses:
                for port in set(e) & ports:
                    mapped.add((port, address))
    for port, address in held - mapped:
        yield f"host port {port} leads nowhere: wanted {address}"


def with_namespaces(host, attachments):
    """Every living sandbox has its interface and addresses; no namespace has one that nobody knows."""
    for pod in host.pods:
        if not pod.exists:
            continue
        links = {x["ifname"]: x for x in json.loads(host.run(["ip", "-n", pod.name, "-j", "addr"]).stdout)}
        mine = [a for a in attachments.values() if a["sandbox"] == pod.name]
        for a in mine:
            if a["pending"]:
                continue  # there or not: the plugin of others that made it still has to be told
            link = links.get(a["ifname"])
            if not link:
                yield f"{pod.name} lacks {a['ifname']}"
                continue
            have = {i["local"] for i in link["addr_info"]}
            if not a["addresses"] <= have:
                yield f"{a['ifname']} of {pod.name} lacks {a['addresses'] - have}"
        for name in set(links) - {a["ifname"] for a in mine} - {"lo"}:
            if not name.startswith("for"):  # made by others
                yield f"{pod.name} has {name}, of which the ledger knows nothing"


def with_status_files(host, attachments):
    """Each sandbox with an interface that is up has its file, with these and their addresses; nobody else has one."""
    wanted = {}
    for a in attachments.values():
        if a["state"] == "up" and a["kind"] != "loopback":
            wanted.setdefault(a["sandbox"], {})[a["ifname"]] = a["addresses"]
    files = host.status_files()
    for name in files ^ set(wanted):
        yield f"status/{name} {'belongs to nobody' if name in files else 'is missing'}"
    for name in files & set(wanted):
        with open(f"{host.status_dir}/{name}") as f:
            told = {e["interface"]: set(e.get("ips", [])) for e in json.load(f)}
        if set(told) != set(wanted[name]) or any(not wanted[name][i] <= told[i] for i in told):
            yield f"status/{name} tells of {told}, wanted {wanted[name]}"


def with_trail(host, attachments):
    """What was given and is there no more has one end in the audit trail; what is there has none."""
    ended = [r["attachment"] for r in host.sql("SELECT attachment FROM event WHERE since_usec IS NOT NULL AND op <> 'give-up'")]
    for number in sorted({n for n in ended if ended.count(n) > 1} if len(set(ended)) < len(ended) else ()):
        yield f"attachment {number} has ended twice"
    for number in set(ended) & set(attachments):
        yield f"attachment {number} has ended, but has a row"
    begun = {r["attachment"] for r in host.sql("SELECT attachment FROM event WHERE op IN ('add', 'import')")}
    for number in begun - set(ended) - set(attachments):
        yield f"attachment {number} has gone without an end in the audit trail"
    for r in host.sql("SELECT address FROM address WHERE attachment IS NULL AND address NOT IN "
                      "(SELECT address FROM event_address) AND network NOT IN (SELECT network FROM import) AND "
                      "pool NOT LIKE '@%'"):
        # given back already by the plugin that had asked for it, whose own end is still to be told
        if any(a["pending"] and f'"{r["address"]}/' in a["plan"] for a in attachments.values()):
            continue
        yield f"address {r['address']} was released without an end in the audit trail"


def disagreements(host):
    attachments, addresses = rows(host)
    there = {i: a for i, a in attachments.items() if not a["pending"]}
    return [*with_trail(host, attachments), *ledger_alone(host, attachments, addresses), *with_links(host, there),
            *with_rules(host, there), *with_namespaces(host, attachments), *with_status_files(host, there)]


def await_agreement(host, when):
    last = {}

    def agreed():
        last["found"] = disagreements(host)
        return not last["found"]
    settle(agreed, lambda: f"{when}: " + "; ".join(last["found"][:10]))
