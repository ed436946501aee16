# SPDX-License-Identifier: LGPL-2.1-or-later
"""One network out of several: by free addresses, by traffic, in order; the choice and its reason are recorded."""
import json
import re

import pytest
from netmgr_host import ROOT, settle
from test_network_names import attachment, drop_manifest, manifest, network, ours, put_manifest
from test_networks import add_network, conflist, drop, names, pointer, put, reasons


def group(*members, choose=None, name="pods", **keys):
    conf = {"cniVersion": "1.0.0", "name": name, "type": "netmgr", "anyOf": list(members), **keys}
    if choose:
        conf["choose"] = choose
    return conf


def as_list(conf):
    return {"cniVersion": "1.0.0", "name": conf["name"],
            "plugins": [{k: v for k, v in conf.items() if k not in ("name", "cniVersion")}]}


def small(subnet, first, last):
    """A network with exactly these addresses."""
    conf = ours(subnet)
    conf["ipam"]["ranges"][0][0].update(rangeStart=first, rangeEnd=last)
    return {"cniVersion": "1.0.0", "plugins": [{k: v for k, v in conf.items() if k != "cniVersion"}]}


@pytest.fixture
def networks(host):
    """a with two addresses, b with four, c with 253"""
    put(host, "a", {**small("10.97.20.0/24", "10.97.20.10", "10.97.20.11"), "name": "a"})
    put(host, "b", {**small("10.97.21.0/24", "10.97.21.10", "10.97.21.13"), "name": "b"})
    put(host, "c", conflist("c", "10.97.22.0/24"))
    settle(lambda: names(host) == {"a", "b", "c"}, "known")
    yield "abc"
    for name in "abc":
        drop(host, name)
    settle(lambda: names(host) == set(), "forgotten")


def chosen(host, a):
    row = attachment(host, a)
    return row["Network"], row["ChoiceReason"]


@pytest.mark.sanitize
def test_most_free_addresses(host, networks):
    conf = group("a", "b", choose="free-addresses")
    got = [host.add(conf) for _ in range(6)]
    assert [chosen(host, a)[0] for a in got] == ["b", "b", "a", "b", "a", "b"]
    assert chosen(host, got[0])[1] == "free-addresses: a has 2 free, b has 4 free"
    assert chosen(host, got[5])[1] == "free-addresses: a has no free address, b has 1 free"
    host.try_add(conf)[0].expect_error(101, "a has no free address, b has no free address")
    events = host.sql("SELECT reason FROM event WHERE op = 'add' AND sandbox = ?", got[5].cid)
    assert [e["reason"] for e in events] == [chosen(host, got[5])[1]]
    assert "Chosen because" in host.ctl("show", f"{got[0].cid}/eth0", check=True).stdout
    host.netmgrd.restart(9)
    assert chosen(host, got[0]) == ("b", "free-addresses: a has 2 free, b has 4 free")
    for a in got:
        host.wait_ping(a.ips[0])
        a.check().expect_ok()
        a.delete().expect_ok()


def test_first_fit(host, networks):
    conf = group("a", "nowhere", "b")  # the default
    got = [host.add(conf) for _ in range(3)]
    assert [chosen(host, a)[0] for a in got] == ["a", "a", "b"]
    assert chosen(host, got[2])[1] == "first-fit: a has no free address, nowhere is not there, b has 4 free"
    got[0].delete().expect_ok()
    got[0] = host.add(conf)
    assert chosen(host, got[0])[0] == "a"  # there is room again
    for a in got:
        a.delete().expect_ok()


@pytest.mark.sanitize
@pytest.mark.parametrize("source", ["file", "manifest", "dbus"])
def test_group_is_a_network(host, networks, source):
    conf = group("b", "a", choose="first-fit", name="g")
    name = "ns/g" if source == "manifest" else "g"
    if source == "file":
        put(host, "g", as_list(conf))
    elif source == "manifest":
        put_manifest(host, "g", manifest("g", conf, "ns"))
    else:
        add_network(host, "g", conf)
    settle(lambda: name in names(host), "known")
    n = network(host, name)
    assert (n["Kind"], n["Members"], n["Plugins"]) == ("group", ["b", "a"], [])
    a = host.add(pointer(name))
    assert chosen(host, a)[0] == "b" and network(host, "b")["Used"] == 1
    host.netmgrd.restart(9)
    assert network(host, name)["Members"] == ["b", "a"]
    b = host.add(pointer(name))
    for x in (a, b):
        x.check().expect_ok()
        x.delete().expect_ok()
    if source == "file":
        drop(host, "g")
    elif source == "manifest":
        drop_manifest(host, "g")
    else:
        host.manager("RemoveNetwork", "sa{sv}", "g", 0)
    settle(lambda: name not in names(host), "forgotten")


def test_status_of_a_group(host, networks):
    def status(*members):
        return host.cni("STATUS", {**group(*members), "cniVersion": "1.1.0"})
    status("a", "nowhere").expect_ok()
    status("nowhere").expect_error(50, "nowhere")
    got = [host.add(pointer("a")) for _ in range(2)]
    status("a").expect_error(50, "a has no free address")
    for x in got:
        x.delete().expect_ok()


def test_members_come_and_go(host, networks):
    conf = group("late", choose="free-addresses")
    host.try_add(conf)[0].expect_error(7, "anyOf", "late")
    put_manifest(host, "late", manifest("late", ours("10.97.23.0/24"), "prod"))
    settle(lambda: "prod/late" in names(host), "known")
    conf = group("late", "prod/late", choose="free-addresses")
    a = host.add(conf)
    assert chosen(host, a) == ("prod/late", "free-addresses: late is not there, prod/late has 253 free")
    a.delete().expect_ok()
    drop_manifest(host, "late")
    settle(lambda: "prod/late" not in names(host), "forgotten")


def test_group_of_groups(host, networks):
    put(host, "g", as_list(group("a", name="g")))
    settle(lambda: "g" in names(host), "known")
    host.try_add(group("b", "g"))[0].expect_error(7, "anyOf[1]", "g is a group itself")
    drop(host, "g")
    settle(lambda: "g" not in names(host), "forgotten")


@pytest.mark.sanitize
@pytest.mark.parametrize("keys, words", [
    ({"anyOf": []}, "anyOf.*found none"), ({"anyOf": "a"}, "anyOf: wanted an array"),
    ({"anyOf": ["a", "a"]}, r'anyOf\[1\].*"a" stands there twice'), ({"anyOf": ["a", "../b"]}, r"anyOf\[1\].*../b"),
    ({"choose": "best"}, 'choose.*"best".*first-fit'), ({"network": "a"}, "anyOf.*network"),
    ({"kind": "bridge"}, 'kind.*"bridge" cannot stand beside "anyOf"'), ({"mtu": 1400}, 'mtu.*1400.*beside "anyOf"'),
    ({"anyOf": None, "choose": "first-fit"}, "choose.*without"),
], ids=lambda v: json.dumps(v) if isinstance(v, dict) else "")
def test_bad_groups(host, keys, words):
    conf = group("a", "b", **{k: v for k, v in keys.items() if k != "anyOf"})
    conf.update(keys)
    reply = host.try_add(conf)[0]
    assert not reply.ok and re.search(words, reply.sentence), reply.sentence
    put(host, "pods", as_list(conf))
    settle(lambda: re.search(words, reasons(host)), lambda: f"reported: {reasons(host)}")
    drop(host, "pods")
    settle(lambda: not reasons(host), "well again")


def test_least_traffic(host, networks):
    """The one whose sandboxes send less, whatever the order; seen in the counters of the host's ends."""
    conf = group("b", "c", choose="least-traffic", name="g")
    put(host, "g", as_list(conf))
    settle(lambda: "g" in names(host), "known")
    b, c = host.add(pointer("b")), host.add(pointer("c"))

    def busy_is(busy, idle):
        host.run(["ping", "-q", "-i", "0.002", "-c", "500", "-s", "1400", busy.ips[0]])
        a = host.add(pointer("g"))
        name, reason = chosen(host, a)
        a.delete().expect_ok()
        rates = {n: int(rate) for n, rate in re.findall(r"(\w+) carries (\d+) bytes/s", reason)}
        return name == attachment(host, idle)["Network"] and rates[attachment(host, busy)["Network"]] > 10_000

    settle(lambda: busy_is(b, c), "c is chosen while b is busy", limit=60)
    settle(lambda: busy_is(c, b), "b is chosen while c is busy", limit=60)
    for x in (b, c):
        x.delete().expect_ok()
    drop(host, "g")
    settle(lambda: "g" not in names(host), "forgotten")
