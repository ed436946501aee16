# SPDX-License-Identifier: LGPL-2.1-or-later
"""A network out of a group: by free addresses, by traffic, or the first that fits."""
import pytest
from netmgr_host import routed
from pod_networks import GENIE, NETWORKS, annotated, finish, pod_args, reload, write_file, write_network


def group(host, name, members, choose):
    write_file(host, f"{name}.conflist", {"cniVersion": "1.0.0", "name": name, "plugins": [
        {"type": "netmgr", "anyOf": members, "choose": choose}]})


def attached(host, cid):
    return {a["Interface"]: a for a in host.describe("attachments") if a["Sandbox"] == cid}


def networks(host):
    write_network(host, "small", "bridge", "10.98.1.0/30")
    write_network(host, "large", "bridge", "10.98.2.0/24")


def test_the_first_that_fits(host):
    networks(host)
    group(host, "any", ["nowhere", "small", "large"], "first-fit")
    reload(host)
    conf = annotated(routed(), {NETWORKS: "any"})
    a, b = (host.add(conf, args=pod_args(name=n)) for n in ("a", "b"))
    assert attached(host, a.cid)["net1"]["Network"] == "small"
    row = attached(host, b.cid)["net1"]
    assert row["Network"] == "large" and "small" in row["ChoiceReason"] and "nowhere" in row["ChoiceReason"]
    assert "large" in host.ctl("show", b.cid, check=True).stdout
    events = host.ctl_json("history", b.cid)
    assert "large" in str(events)
    a.check().expect_ok()
    finish(host)


def test_the_most_free_addresses_and_who_has_none(host):
    networks(host)
    group(host, "any", ["small", "large"], "free-addresses")
    group(host, "full", ["small"], "free-addresses")
    reload(host)
    a = host.add(annotated(routed(), {NETWORKS: "any,full"}), args=pod_args())
    found = attached(host, a.cid)
    assert found["net1"]["Network"] == "large" and found["net2"]["Network"] == "small"
    reply, _ = host.try_add(annotated(routed(), {NETWORKS: "full"}), args=pod_args(name="b"))
    reply.expect_error(101, "small", f"{NETWORKS}[0]")
    finish(host)


def test_the_least_traffic(host):
    write_network(host, "busy", "bridge", "10.98.1.0/24")
    write_network(host, "quiet", "bridge", "10.98.2.0/24")
    group(host, "any", ["busy", "quiet"], "least-traffic")
    reload(host)
    host.add(annotated(routed(), {NETWORKS: "quiet"}), args=pod_args(name="idle"))
    talker = host.add(annotated(routed(), {NETWORKS: "busy"}), args=pod_args(name="talker"))
    talker.pod.run(["ping", "-n", "-q", "-c", "200", "-i", "0.002", "-s", "1400", "10.98.1.1"])

    from host_daemon import settle
    rounds = iter(range(1000))

    def chosen():
        a = host.add(annotated(routed(), {NETWORKS: "any"}), args=pod_args(name=f"x{next(rounds)}"))
        network = attached(host, a.cid)["net1"]["Network"]
        a.delete().expect_ok()
        return network == "quiet"
    settle(chosen, "the counters are looked at from time to time")
    finish(host)


def test_the_runtimes_own_network_out_of_a_group(host):
    """Inline in the runtime's configuration, and by name."""
    networks(host)
    group(host, "any", ["large"], "first-fit")
    reload(host)
    inline = {"cniVersion": "1.0.0", "name": "pods", "type": "netmgr", "anyOf": ["large", "small"], "choose": "first-fit"}
    for conf in (inline, {"cniVersion": "1.0.0", "name": "pods", "type": "netmgr", "network": "any"}):
        a = host.add(conf, args=pod_args())
        assert a.ips[0].startswith("10.98.2.") and attached(host, a.cid)["eth0"]["Network"] == "large"
        a.check().expect_ok()
        a.delete().expect_ok()
    finish(host)


def test_genies_choose_for_me(host):
    """An empty "cni" leaves the choice to the runtime's configuration, which is the administrator's."""
    networks(host)
    reload(host)
    group_conf = {"cniVersion": "1.0.0", "name": "pods", "type": "netmgr", "anyOf": ["small", "large"],
                  "choose": "free-addresses"}
    a = host.add(annotated(group_conf, {GENIE: ""}), args=pod_args())
    assert attached(host, a.cid)["eth0"]["Network"] == "large"
    assert attached(host, a.cid)["eth0"]["ChoiceReason"]
    a.delete().expect_ok()
    finish(host)


@pytest.mark.parametrize("plugin,words", [
    ({"type": "netmgr", "anyOf": [], "choose": "first-fit"}, ["anyOf"]),
    ({"type": "netmgr", "anyOf": ["a"], "choose": "dice"}, ["choose", "dice"]),
    ({"type": "netmgr", "anyOf": ["a"], "kind": "bridge"}, ["kind", "anyOf"]),
])
def test_a_bad_group_is_told(host, plugin, words):
    reply, _ = host.try_add({"cniVersion": "1.0.0", "name": "pods", **plugin})
    reply.expect_error((7, 2), *words)
    host.finish()
