# SPDX-License-Identifier: LGPL-2.1-or-later
"""Networks: files of networks.d, AddNetwork and RemoveNetwork, and the guard for what is in use."""
import json
import os

import pytest
from netmgr_host import MANAGER, ROOT, bridge, netconf, routed, settle


def conflist(name, *subnets, **keys):
    plugin = netconf(name, *subnets, **keys)
    del plugin["name"], plugin["cniVersion"]
    return {"cniVersion": "1.0.0", "name": name, "plugins": [plugin]}


def put(host, name, content, rename=True):
    """Writes networks.d/NAME.conflist as careful programs do: a temporary name, then rename."""
    text = content if isinstance(content, str) else json.dumps(content)
    path = f"{host.networks_dir}/{name}.conflist"
    temporary = f"{host.networks_dir}/.{name}.tmp" if rename else path
    with open(temporary, "w") as f:
        f.write(text)
    if rename:
        os.rename(temporary, path)


def drop(host, name):
    os.unlink(f"{host.networks_dir}/{name}.conflist")


def names(host):
    return {n[0] for n in host.manager("ListNetworks")[0]}


def pointer(name, **keys):
    return {"cniVersion": "1.0.0", "name": "anything", "type": "netmgr", "network": name, **keys}


def reasons(host):
    return " ".join(host.get_property(ROOT, MANAGER, "HealthReasons"))


@pytest.mark.sanitize
@pytest.mark.parametrize("rename", [True, False], ids=["renamed", "written in place"])
def test_files_are_followed(host, rename):
    """By inotify: no request, no signal."""
    put(host, "blue", conflist("blue", "10.97.20.0/24"), rename)
    settle(lambda: "blue" in names(host), "the new file is known")
    a = host.add(pointer("blue"))
    assert a.ips[0].startswith("10.97.20.")
    a.delete().expect_ok()
    put(host, "blue", conflist("blue", "10.97.21.0/24"), rename)
    settle(lambda: host.properties(ROOT + "/network/blue", "org.netmgr1.Network")["Subnets"] == ["10.97.21.0/24"],
           "the changed file is known")
    drop(host, "blue")
    settle(lambda: "blue" not in names(host), "the removed file is forgotten")


def test_files_are_read_at_start(host):
    host.netmgrd.stop()
    put(host, "blue", conflist("blue", "10.97.20.0/24"))
    host.netmgrd.start()
    assert names(host) == {"blue"}
    assert host.properties(ROOT + "/network/blue", "org.netmgr1.Network")["Source"] == "file"
    drop(host, "blue")
    settle(lambda: names(host) == set(), "forgotten")


@pytest.mark.parametrize("how", ["method", "SIGHUP"])
def test_reload_on_request(host, how):
    put(host, "blue", conflist("blue", "10.97.20.0/24"))
    if how == "method":
        host.manager("Reload")
        assert "blue" in names(host)  # when the answer is there, it is done
    else:
        os.kill(host.netmgrd.pid, 1)
        settle(lambda: "blue" in names(host), "SIGHUP reloads")
    drop(host, "blue")
    host.manager("Reload")
    assert "blue" not in names(host)


BROKEN = {
    "no JSON": "{",
    "empty": "",
    "another name": json.dumps(conflist("other", "10.97.22.0/24")),
    "no plugin": json.dumps({"cniVersion": "1.0.0", "name": "broken", "plugins": []}),
    "two plugins of ours": json.dumps({"cniVersion": "1.0.0", "name": "broken", "plugins": [
        {"type": "netmgr", "ipam": {"type": "local", "subnet": "10.97.22.0/24"}}] * 2}),
    "no plugin's name": json.dumps({"cniVersion": "1.0.0", "name": "broken", "plugins": [{"type": "../weave"}]}),
    "unknown key": json.dumps(conflist("broken", "10.97.22.0/24", colour="blue")),
    "impossible range": json.dumps(conflist("broken", "10.97.22.1/24")),
    "unknown version": json.dumps({**conflist("broken", "10.97.22.0/24"), "cniVersion": "7.0.0"}),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("case", BROKEN)
def test_broken_file_is_reported_and_hurts_nobody(host, case):
    put(host, "good", conflist("good", "10.97.20.0/24"))
    put(host, "broken", BROKEN[case])
    host.manager("Reload")
    assert names(host) == {"good"}
    assert "broken.conflist" in host.netmgrd.text()
    assert "broken" in reasons(host)
    assert host.get_property(ROOT, MANAGER, "Health") == "degraded"
    a = host.add(pointer("good"))
    host.try_add(pointer("broken"))[0].expect_error(7, "broken")
    put(host, "broken", conflist("broken", "10.97.22.0/24"))
    settle(lambda: names(host) == {"good", "broken"}, "the repaired file is known")
    assert host.get_property(ROOT, MANAGER, "Health") == "ok" and not reasons(host)
    a.delete().expect_ok()
    drop(host, "broken")
    drop(host, "good")
    settle(lambda: names(host) == set(), "forgotten")


def test_file_that_breaks_keeps_what_it_said_before(host):
    put(host, "blue", conflist("blue", "10.97.20.0/24"))
    settle(lambda: "blue" in names(host), "known")
    a = host.add(pointer("blue"))
    put(host, "blue", "{ oops")
    settle(lambda: "blue" in reasons(host), "reported")
    assert "blue" in names(host)
    a.check().expect_ok()
    a.delete().expect_ok()
    drop(host, "blue")
    host.manager("Reload")


def test_file_removed_while_in_use(host):
    """The attached sandbox keeps its network until it is detached; then the network goes."""
    put(host, "blue", conflist("blue", "10.97.20.0/24"))
    settle(lambda: "blue" in names(host), "known")
    a = host.add(pointer("blue"))
    drop(host, "blue")
    host.manager("Reload")
    a.check().expect_ok()
    host.wait_ping(a.ips[0])
    a.delete().expect_ok()
    settle(lambda: "blue" not in names(host), "forgotten with its last user")


def test_other_files_are_left_alone(host):
    for name in ("README", ".hidden.conflist", "old.conflist~", "x.conflist.bak"):
        with open(f"{host.networks_dir}/{name}", "w") as f:
            f.write("{ not a network")
    host.manager("Reload")
    assert names(host) == set() and host.get_property(ROOT, MANAGER, "Health") == "ok"


# --- over D-Bus ----------------------------------------------------------------------------------

def add_network(host, name, content, user=None):
    text = content if isinstance(content, str) else json.dumps(content)
    return host.manager("AddNetwork", "ssa{sv}", name, text, 0, user=user)[0]


@pytest.mark.sanitize
def test_add_and_remove(host):
    path = add_network(host, "green", conflist("green", "10.97.30.0/24", "fd97:30::/64"))
    assert path == "/org/netmgr1/network/green" == host.manager("GetNetwork", "s", "green")[0]
    have = host.properties(path, "org.netmgr1.Network")
    assert (have["Name"], have["Kind"], have["Source"]) == ("green", "routed", "dbus")
    assert have["Subnets"] == ["10.97.30.0/24", "fd97:30::/64"]
    a = host.add(pointer("green"))
    assert a.ips == ["10.97.30.2", "fd97:30::2"]
    a.delete().expect_ok()
    host.manager("RemoveNetwork", "sa{sv}", "green", 0)
    assert names(host) == set()


def test_added_network_survives_a_restart(host):
    add_network(host, "green", conflist("green", "10.97.30.0/24"))
    host.netmgrd.restart(9)
    assert names(host) == {"green"}
    a = host.add(pointer("green"))
    assert a.ips[0].startswith("10.97.30.")
    a.delete().expect_ok()
    host.manager("RemoveNetwork", "sa{sv}", "green", 0)


def refused(host, method, signature, *args, bus_types=True):
    import dbus
    bus = host.bus()
    try:
        with pytest.raises(dbus.DBusException) as e:
            bus.call_blocking("org.netmgr1", ROOT, MANAGER, method, signature, list(args))
        return e.value.get_dbus_name(), e.value.get_dbus_message()
    finally:
        bus.close()


def no_options(**keys):
    import dbus
    return dbus.Dictionary(keys, signature="sv")


def test_network_in_use_is_not_removed(host):
    add_network(host, "green", conflist("green", "10.97.30.0/24"))
    a = host.add(pointer("green"))
    name, sentence = refused(host, "RemoveNetwork", "sa{sv}", "green", no_options())
    assert name == "org.netmgr1.Error.InUse" and "green" in sentence
    a.check().expect_ok()
    a.delete().expect_ok()
    host.manager("RemoveNetwork", "sa{sv}", "green", 0)


@pytest.mark.sanitize
def test_what_cannot_be_added(host):
    good = json.dumps(conflist("green", "10.97.30.0/24"))
    with host.unchanged():
        for name, config, options, error in (
                ("green", "{", {}, "Decode"), ("", good, {}, "InvalidArgument"), ("../x", good, {}, "InvalidArgument"),
                ("other", good, {}, "InvalidArgument"), ("green", good, {"Colour": "blue"}, "UnknownOption"),
                ("green", json.dumps(conflist("green", "10.97.30.1/24")), {}, "InvalidArgument"),
                ("green", json.dumps(conflist("green", "10.97.30.0/24", colour="blue")), {}, "UnknownOption")):
            got, sentence = refused(host, "AddNetwork", "ssa{sv}", name, config, no_options(**options))
            assert got == "org.netmgr1.Error." + error, (name, config, got, sentence)
            assert sentence
        got, sentence = refused(host, "RemoveNetwork", "sa{sv}", "nowhere", no_options())
        assert got == "org.netmgr1.Error.NoSuchNetwork" and "nowhere" in sentence
        got, _ = refused(host, "GetNetwork", "s", "nowhere")
        assert got == "org.netmgr1.Error.NoSuchNetwork"


def test_network_that_exists(host):
    add_network(host, "green", conflist("green", "10.97.30.0/24"))
    got, sentence = refused(host, "AddNetwork", "ssa{sv}", "green",
                            json.dumps(conflist("green", "10.97.31.0/24")), no_options())
    assert got == "org.netmgr1.Error.Exists" and "green" in sentence
    put(host, "blue", conflist("blue", "10.97.20.0/24"))
    host.manager("Reload")
    got, _ = refused(host, "RemoveNetwork", "sa{sv}", "blue", no_options())
    assert got.startswith("org.netmgr1.Error.")  # the file is the administrator's word
    drop(host, "blue")
    host.manager("Reload")
    host.manager("RemoveNetwork", "sa{sv}", "green", 0)


def test_inline_network_comes_and_goes_with_its_users(host):
    a = host.add(routed("net1"))
    assert names(host) == {"net1"}
    assert host.properties(ROOT + "/network/net1", "org.netmgr1.Network")["Source"] == "config"
    a.delete().expect_ok()
    settle(lambda: names(host) == set() or host.ledger()["network"] == host.baseline["ledger"]["network"],
           "the network of the configuration goes with its last user")


def test_bridge_of_a_named_network(host):
    put(host, "blue", conflist("blue", "10.97.20.0/24", kind="bridge", isGateway=True))
    host.manager("Reload")
    a, b = host.add(pointer("blue")), host.add(pointer("blue"))
    a.pod.wait_ping(b.ips[0])
    assert host.link(a.host_ifname)["master"] == "nmb-blue"
    a.delete().expect_ok()
    b.delete().expect_ok()
    assert host.link("nmb-blue")  # services of the host may listen on it: it stays with the network
    drop(host, "blue")
    host.manager("Reload")
    settle(lambda: host.link("nmb-blue") is None, "the bridge goes with the network")


def test_row_of_a_network_whose_new_configuration_never_came_into_use(host):
    """The configuration that the last ADD brought is not in the ledger; the earlier one's row goes all the same."""
    a = host.add(routed("net1", "10.97.0.0/24"))
    pod = host.pod()
    pod.run(["ip", "link", "add", "eth0", "type", "veth", "peer", "name", "eth1"])
    host.try_add(routed("net1", "10.98.0.0/24"), pod)[0].expect_error(100, "eth0")
    a.delete().expect_ok()
    settle(lambda: host.ledger()["network"] == [], "the row is gone")
    host.assert_nothing_left()


@pytest.mark.parametrize("first", ["one", "two"])
def test_two_networks_on_one_bridge(host, first):
    """The bridge lasts as long as one of them, whoever has made it, also over a start; then it goes."""
    confs = {name: bridge(name, subnet, bridge="shared0", isGateway=False)
             for name, subnet in (("one", "10.97.4.0/24"), ("two", "10.97.5.0/24"))}
    a = {name: host.add(conf) for name, conf in confs.items()}
    index = host.link("shared0")["ifindex"]
    a[first].delete().expect_ok()
    other = a["two" if first == "one" else "one"]
    settle(lambda: len(host.describe("networks")) == 1, "its network is gone")
    host.netmgrd.restart()
    b = host.add(other.conf)
    other.pod.wait_ping(b.ips[0])
    assert host.link("shared0")["ifindex"] == index
    other.check().expect_ok()
    for x in (other, b):
        x.delete().expect_ok()
    settle(lambda: host.link("shared0") is None, "the end of the bridge")


def test_a_network_comes_while_its_bridge_goes(host):
    """One that is made on the bridge of another at the moment when that one goes has a bridge all the same."""
    one, two = (bridge(name, subnet, bridge="shared0", isGateway=False)
                for name, subnet in (("one", "10.97.4.0/24"), ("two", "10.97.5.0/24")))
    for _ in range(8):
        a, pod = host.add(one), host.pod()
        b = host.parallel(2, lambda i: a.delete().expect_ok() if i else host.add(two, pod), workers=2)[0]
        b.check().expect_ok()
        assert b.pod.link("eth0")["operstate"] == "UP" and host.link("shared0")
        b.delete().expect_ok()
        settle(lambda: host.link("shared0") is None, "the end of the bridge")
