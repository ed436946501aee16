# SPDX-License-Identifier: LGPL-2.1-or-later
"""Addresses from IPAM plugins of others, which netmgr's CNI plugin executes for netmgrd."""
import json
import os
import subprocess
import threading

import pytest
from delegates import NAME, Delegates, error
from netmgr_host import LIMIT, ROOT, RUNTIME, settle


@pytest.fixture
def others(host):
    return Delegates(host)


def add(host, others, conf, **keys):
    a = host.add(conf, env=others.env, **keys)
    a.env = others.env
    return a


def delete(a, **keys):
    return a.delete(env=a.env, **keys)


def states(host):
    return {f"{r['sandbox']}/{r['ifname']}": r["state"] for r in host.sql("SELECT * FROM attachment")}


def has_ended(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def await_states(host, *expected):
    """The last rows of a release are written behind its answer."""
    settle(lambda: states(host) in expected, lambda: f"attachments {expected}, not {states(host)}")


@pytest.mark.sanitize
@pytest.mark.parametrize("kind", ["bridge", "routed"])
def test_addresses_of_a_foreign_plugin(host, others, kind):
    """The pods work, the ledger shows the addresses, CHECK asks the plugin, DEL gives them back."""
    conf = others.conf(kind=kind, routes=[{"dst": "0.0.0.0/0"}])
    a, b = add(host, others, conf), add(host, others, conf)
    assert a.ips == ["10.97.0.2"] and b.ips == ["10.97.0.3"]
    assert others.reserved() == {"10.97.0.2": f"{a.cid}/eth0", "10.97.0.3": f"{b.cid}/eth0"}
    assert host.held() == {a.cidrs[0]: f"{a.cid}/eth0", b.cidrs[0]: f"{b.cid}/eth0"}
    a.pod.wait_ping(b.ips[0])
    a.pod.wait_ping("192.0.2.1")
    others.forget()
    a.check(env=a.env).expect_ok()
    assert others.commands() == ["CHECK"]
    assert json.loads(others.calls()[0]["stdin"])["prevResult"] == a.result
    others.forget()
    for x in (a, b):
        delete(x).expect_ok()
    assert others.commands() == ["DEL", "DEL"]
    assert others.reserved() == {}
    await_states(host, {})
    assert host.sql("SELECT * FROM delegate") == []


def test_what_the_plugin_is_given(host, others):
    """The exact bytes of the configuration, also at DEL, whatever the configuration is by then."""
    conf = others.conf(args={"cni": {"labels": [{"key": "a", "value": "b"}]}}, runtimeConfig={"mac": "02:00:00:00:00:01"})
    conf.pop("runtimeConfig")
    text = json.dumps(conf, indent=3) + "\n \n"
    pod = host.pod()
    host.cni("ADD", text, pod.name, "eth0", pod.path, "IgnoreUnknown=1;K8S_POD_NAME=p", env=others.env).expect_ok()
    call = others.calls()[0]
    assert call["stdin"] == text
    assert {k: v for k, v in call.items() if k.startswith("CNI_")} == {
        "CNI_COMMAND": "ADD", "CNI_CONTAINERID": pod.name, "CNI_IFNAME": "eth0", "CNI_NETNS": pod.path,
        "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=p", "CNI_PATH": others.env["CNI_PATH"]}
    assert host.sql("SELECT config, plugin, args FROM delegate") == [
        {"config": text, "plugin": NAME, "args": "IgnoreUnknown=1;K8S_POD_NAME=p"}]
    others.forget()
    pod.delete()
    changed = others.conf(plugin="something-else", subnet="10.98.0.0/24")
    host.cni("DEL", changed, pod.name, "eth0", "", env=others.env).expect_ok()
    call = others.calls()[0]
    assert call["stdin"] == text and others.reserved() == {}
    assert {k: call[k] for k in ("CNI_COMMAND", "CNI_NETNS", "CNI_ARGS")} == {
        "CNI_COMMAND": "DEL", "CNI_NETNS": pod.path, "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=p"}


@pytest.mark.parametrize("version", ["0.2.0", "0.3.1", "0.4.0", "1.0.0"])
def test_results_of_all_versions(host, others, version):
    a = add(host, others, others.conf(version=version, routes=[{"dst": "10.50.0.0/16"}]))
    assert a.cidrs == ["10.97.0.2/24"]
    assert ("10.50.0.0/16", "10.97.0.1") in a.pod.routes(4)
    delete(a).expect_ok()


def test_static_of_the_reference(host, others):
    """Two families, a route with its own gateway, DNS settings."""
    others.copy("fixed", "static")
    conf = others.conf(plugin="fixed")
    conf["ipam"] = {"type": "fixed", "addresses": [{"address": "10.97.3.7/24", "gateway": "10.97.3.1"}, {"address": "fd97:3::7/64"}],
                    "routes": [{"dst": "10.60.0.0/16", "gw": "10.97.3.9"}], "dns": {"nameservers": ["10.97.3.53"]}}
    a = add(host, others, conf)
    assert a.cidrs == ["10.97.3.7/24", "fd97:3::7/64"]
    assert a.result["dns"] == {"nameservers": ["10.97.3.53"]}
    assert ("10.60.0.0/16", "10.97.3.9") in a.pod.routes(4)
    a.pod.wait_ping("10.97.3.1")
    # it gives the same to everybody: the ledger knows better, and gives nothing of it to a second one
    reply, none = host.try_add(conf, env=others.env)
    reply.expect_error(102, "10.97.3.7", a.cid)
    assert none is None
    settle(lambda: list(states(host)) == [f"{a.cid}/eth0"], "the end of the second one's row")
    delete(a).expect_ok()


# --- plugins that fail ---------------------------------------------------------------------------

FAILURES = {
    "says why": (error(77, "the moon is full"), 77, "the moon is full"),
    "says nothing": ("cat > /dev/null; exit 3", 108, "status 3"),
    "writes to stderr": ("cat > /dev/null; echo out of luck >&2; exit 1", 108, "out of luck"),
    "crashes": ("cat > /dev/null; kill -SEGV $$", 108, "signal 11"),
    "no JSON": ("cat > /dev/null; echo hello", 108, "JSON"),
    "no address": ("cat > /dev/null; echo '{\"cniVersion\": \"1.0.0\"}'", 108, "no address"),
    "wrong address": ("cat > /dev/null; echo '{\"ips\": [{\"address\": \"10.97.0.300/24\"}]}'", 108, "10.97.0.300"),
    "no text": ("cat > /dev/null; printf '\\377\\376{}'", 108, "utf-8"),
    "huge": ("cat > /dev/null; head -c 2000000 /dev/zero | tr '\\0' x", 108, "1048576"),
    "endless": ("cat > /dev/null; yes", 108, "1048576"),
    "text cut within a character": (error(113, "x" * 1023 + "\u00fc" * 600), 113, "xxx"),
    "text behind a NUL": ("cat > /dev/null; printf '%s\\0%s' '{\"ips\": [{\"address\": \"10.97.0.9/24\"}]}' garbage", 108, "no text"),
    "endless on stderr": ("cat > /dev/null; head -c 5000000 /dev/zero | tr '\\0' x >&2; exit 1", 108, "status 1"),
}


@pytest.mark.sanitize
@pytest.mark.parametrize("what", FAILURES)
def test_a_plugin_that_fails(host, others, what):
    """Its words and its code reach the runtime, and it is asked to undo what it may have done."""
    script, code, words = FAILURES[what]
    others.put("bad", f'case $CNI_COMMAND in ADD) {script};; DEL) cat > /dev/null;; esac')
    reply, _ = host.try_add(others.conf(plugin="bad"), env=others.env)
    reply.expect_error(code, words, "bad")
    assert others.commands() == ["ADD", "DEL"]
    await_states(host, {})
    assert host.held() == {}
    assert host.netmgrd.running


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Runtime]\nAddTimeoutSec=4\n")
def test_a_plugin_that_hangs(host, others):
    """It is killed with all that it started, in time."""
    others.put("bad", 'case $CNI_COMMAND in ADD) cat > /dev/null; sleep 1000 & echo $! > ' + others.data +
               '/pid; wait;; DEL) cat > /dev/null;; esac')
    reply, _ = host.try_add(others.conf(plugin="bad"), env=others.env)
    reply.expect_error(11, "bad", "killed")
    assert others.commands() == ["ADD", "DEL"]
    await_states(host, {})
    with open(f"{others.data}/pid") as f:
        pid = int(f.read())
    settle(lambda: has_ended(pid), "what it started has ended, too")


def test_a_plugin_that_is_not_there(host, others):
    """Nothing was run, so nothing has to be undone."""
    reply, _ = host.try_add(others.conf(plugin="absent"), env=others.env)
    reply.expect_error(108, "absent", others.dir)
    await_states(host, {})
    assert others.calls() == []
    os.mkdir(f"{others.dir}/absent")
    host.try_add(others.conf(plugin="absent"), env=others.env)[0].expect_error(108, "failed to find")
    with open(f"{others.dir}/unfit", "w") as f:
        f.write("#!/bin/sh\n")
    host.try_add(others.conf(plugin="unfit"), env=others.env)[0].expect_error(108, "failed to find")


@pytest.mark.parametrize("name", ["../bin/sh", "a/b", "..", "bridge", "netmgr", "portmap"])
def test_names_that_are_no_plugin_of_others(host, others, name):
    reply, _ = host.try_add(others.conf(plugin=name), env=others.env)
    reply.expect_error((2, 7), name)
    assert others.calls() == []


def test_a_plugin_that_does_not_read_its_stdin(host, others):
    others.put("bad", 'case $CNI_COMMAND in ADD) exec < /dev/null; echo "{\\"ips\\": [{\\"address\\": \\"10.97.0.9/24\\"}]}";; esac')
    a = add(host, others, {**others.conf(plugin="bad"), "args": {"filler": "x" * 300000}})
    assert a.ips == ["10.97.0.9"]
    delete(a).expect_ok()


# --- DEL that fails, or that nobody can run --------------------------------------------------------

def test_del_fails_until_the_plugin_succeeds(host, others):
    a = add(host, others, others.conf())
    others.put(NAME, error(42, "no database"))
    delete(a).expect_error(42, "no database", NAME)
    assert a.pod.link("eth0") is None and host.link(a.host_ifname) is None
    await_states(host, {f"{a.cid}/eth0": "releasing"})
    assert [x["State"] for x in host.ctl_json("list", "attachments")["attachments"]] == ["releasing"]
    delete(a).expect_error(42)
    others.remove(NAME)
    delete(a).expect_error(108, "failed to find")
    # no loop in netmgrd meanwhile, and a new ADD of the same name waits for the old one's end
    reply, _ = host.try_add(others.conf(), a.pod, env=others.env)
    reply.expect_error(108, NAME)
    others.put(NAME, "exec /usr/lib/cni/host-local")
    delete(a).expect_ok()
    assert others.reserved() == {}
    await_states(host, {})


def test_add_again_ends_what_was_left(host, others):
    a = add(host, others, others.conf())
    others.put(NAME, error(42, "no database"))
    delete(a).expect_error(42)
    others.put(NAME, "exec /usr/lib/cni/host-local")
    others.forget()
    a = add(host, others, others.conf(), pod=a.pod)
    assert others.commands() == ["DEL", "ADD"]
    assert others.reserved() == {a.ips[0]: f"{a.cid}/eth0"}
    delete(a).expect_ok()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_dead_sandbox_waits_for_gc(host, others, restarted):
    """netmgrd finds it dead, and runs nothing by itself: the next GC of the runtime does."""
    conf = others.conf(version="1.0.0")
    a, b = add(host, others, conf), add(host, others, conf)
    others.forget()
    a.pod.delete()
    settle(lambda: states(host).get(f"{a.cid}/eth0") == "releasing", "netmgrd has found it")
    settle(lambda: "still has to be told" in host.netmgrd.text(), "and has left it to a runtime")
    if restarted:
        host.netmgrd.restart()
    assert others.calls() == [] and host.held()[a.cidrs[0]] == f"{a.cid}/eth0"
    settle(lambda: {x["Sandbox"]: x["State"] for x in host.ctl_json("list", "attachments")["attachments"]} == {
        a.cid: "releasing", b.cid: "up"}, "an administrator sees it")
    gc = {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": [{"containerID": b.cid, "ifname": "eth0"}]}
    host.cni("GC", gc, env=others.env).expect_ok()
    assert others.commands() == ["DEL"]
    assert others.reserved() == {b.ips[0]: f"{b.cid}/eth0"}
    await_states(host, {f"{b.cid}/eth0": "up"})
    a.live = False
    delete(b).expect_ok()


def test_a_spooled_del_stays_pending(host, others):
    a = add(host, others, others.conf())
    host.netmgrd.stop()
    others.forget()
    nobody = {"DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/none"}
    a.delete(env={**a.env, **nobody}).expect_ok()
    host.netmgrd.start()
    settle(lambda: states(host) == {f"{a.cid}/eth0": "releasing"} and not os.listdir(f"{host.dir}/spool"),
           "the interface is gone, the plugin's part is left")
    assert others.calls() == []
    host.cni("GC", {**others.conf(), "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}, env=others.env).expect_ok()
    assert others.commands() == ["DEL"] and others.reserved() == {}
    await_states(host, {})


def test_after_a_reboot(host, others, tmp_path):
    """Rows of an earlier boot go at once, but for those whose plugin has to be told."""
    a = add(host, others, others.conf(), args="IgnoreUnknown=1")
    plain = host.add({**others.conf("net2"), "ipam": {"type": "local", "subnet": "10.97.9.0/24"}})
    host.netmgrd.stop()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("11111111-2222-3333-4444-555555555555\n")
    host.run(["mount", "--bind", str(boot_id), "/proc/sys/kernel/random/boot_id"])
    host.run(["sh", "-c", "for l in $(ip -o link | grep -oE 'nm[gb][^ :@]*' | sort -u); do ip link delete $l || :; done"])
    for pod in (a.pod, plain.pod):
        pod.delete()
    host.netmgrd.start()
    await_states(host, {f"{a.cid}/eth0": "releasing"})
    assert host.held() == {a.cidrs[0]: f"{a.cid}/eth0"}
    host.netmgrd.restart()
    await_states(host, {f"{a.cid}/eth0": "releasing"})
    delete(a, netns="").expect_ok()
    await_states(host, {})
    assert others.reserved() == {}
    ended = host.sql("SELECT sandbox, op FROM event WHERE since_usec IS NOT NULL ORDER BY seq")
    assert ended == [{"sandbox": plain.cid, "op": "reboot"}, {"sandbox": a.cid, "op": "del"}]
    plain.live = False
    host.run(["umount", "/proc/sys/kernel/random/boot_id"])


# --- tickets ---------------------------------------------------------------------------------------

def ticket_add(host, others, connection, pod, conf):
    """Runtime.Add as the plugin calls it, without doing what is asked."""
    import dbus
    netns, own = os.open(pod.outside, os.O_RDONLY), host.netns_fd()
    options = {"Type": "netmgr", "ContainerId": pod.name, "IfName": "eth0", "NetnsPath": pod.path, "Config": json.dumps(conf),
               "Path": others.dir, "Netns": dbus.types.UnixFd(netns), "HostNetns": dbus.types.UnixFd(own), "Delegates": True}
    os.close(netns)
    os.close(own)
    return json.loads(connection.call_blocking(None, ROOT, RUNTIME, "Add", "a{sv}",
                                               (dbus.Dictionary(options, signature="sv"),)))


def answer(connection, ticket, status, text):
    return connection.call_blocking(None, ROOT, RUNTIME, "DelegateResult", "sis", (ticket, status, text))


def test_a_ticket_is_for_its_holder(host, others):
    import dbus
    pod, conf = host.pod(), others.conf()
    mine, theirs = host.private(), host.private()
    ticket = ticket_add(host, others, mine, pod, conf)
    assert ticket["do"] == "exec" and ticket["command"] == "ADD" and ticket["plugin"] == NAME
    assert len(ticket["netmgr.ticket"]) == 32
    await_states(host, {f"{pod.name}/eth0": "planned"})
    result = json.dumps({"cniVersion": "1.0.0", "ips": [{"address": "10.97.0.77/24"}]})
    for connection, name in ((theirs, ticket["netmgr.ticket"]), (mine, "0" * 32), (mine, "")):
        with pytest.raises(dbus.exceptions.DBusException, match="no such ticket"):
            answer(connection, name, 0, result)
    final = json.loads(answer(mine, ticket["netmgr.ticket"], 0, result))
    assert final["ips"][0]["address"] == "10.97.0.77/24"
    with pytest.raises(dbus.exceptions.DBusException, match="no such ticket"):
        answer(mine, ticket["netmgr.ticket"], 0, result)
    mine.close()
    theirs.close()
    host.cni("DEL", conf, pod.name, "eth0", pod.path, env=others.env).expect_ok()


def test_a_holder_that_goes_away(host, others):
    """The ADD is undone as far as netmgrd can; the plugin's part is left to the runtime's DEL."""
    pod, conf = host.pod(), others.conf()
    connection = host.private()
    ticket_add(host, others, connection, pod, conf)
    connection.close()
    settle(lambda: states(host) == {f"{pod.name}/eth0": "releasing"}, "the ADD was undone")
    host.cni("DEL", conf, pod.name, "eth0", pod.path, env=others.env).expect_ok()
    assert others.commands() == ["DEL"]
    await_states(host, {})


@pytest.mark.host(conf="[Host]\nNodeAddress=192.0.2.1\n[Runtime]\nAddTimeoutSec=1\n")
def test_a_ticket_expires(host, others):
    import dbus
    pod, conf = host.pod(), others.conf()
    connection = host.private()
    ticket = ticket_add(host, others, connection, pod, conf)
    settle(lambda: states(host) == {f"{pod.name}/eth0": "releasing"}, "the ADD was undone")
    with pytest.raises(dbus.exceptions.DBusException, match="no such ticket"):
        answer(connection, ticket["netmgr.ticket"], 0, "{}")
    connection.close()
    host.cni("DEL", conf, pod.name, "eth0", pod.path, env=others.env).expect_ok()


def test_del_while_the_plugin_runs(host, others):
    """The ADD gives up when its plugin has ended, and nothing is left of both."""
    gate = f"{others.data}/gate"
    os.mkfifo(gate)
    others.put("slow", f"if [ $CNI_COMMAND = ADD ]; then read x < {gate}; fi; exec /usr/lib/cni/host-local")
    conf, pod = others.conf(plugin="slow"), host.pod()
    replies = {}

    def call(verb):
        replies[verb] = host.cni(verb, conf, pod.name, "eth0", pod.path, env=others.env)
    threads = [threading.Thread(target=call, args=(v,)) for v in ("ADD", "DEL")]
    threads[0].start()
    settle(lambda: others.commands() == ["ADD"], "the plugin runs")
    threads[1].start()
    settle(lambda: len(host.netmgrd.fds()) and host.describe("sandboxes") is not None, "netmgrd answers meanwhile")
    with open(gate, "w") as f:
        f.write("go\n")
    for t in threads:
        t.join(LIMIT)
    replies["DEL"].expect_ok()
    if replies["ADD"].ok:  # the DEL came when it had ended
        host.cni("DEL", conf, pod.name, "eth0", pod.path, env=others.env).expect_ok()
    else:
        replies["ADD"].expect_error(11)
    assert others.reserved() == {}
    await_states(host, {})


@pytest.mark.host(conf="[Delegates]\nParallelMax=1\n[Host]\nNodeAddress=192.0.2.1\n")
@pytest.mark.parametrize("way", ["private socket", "system bus"])
def test_who_goes_away_before_its_turn_does_not_get_one(host, others, way):
    """Its ADD is undone at once, and those behind it are served when the plugin that runs has ended."""
    env = {**others.env, **({"NETMGR_RUNTIME_DIR": "/run/nothing-here"} if way == "system bus" else {})}
    gate = f"{others.data}/gate"
    os.mkfifo(gate)
    others.put("slow", f"if [ $CNI_COMMAND = ADD ]; then read x < {gate}; fi; exec /usr/lib/cni/host-local")
    slow, conf, pods, replies = others.conf("net1", plugin="slow"), others.conf("net2", "10.97.9.0/24"), host.make_pods(3), {}

    def call(i, conf):
        replies[i] = host.cni("ADD", conf, pods[i].name, "eth0", pods[i].path, env=env)
    threads = [threading.Thread(target=call, args=x) for x in ((0, slow), (2, conf))]
    threads[0].start()
    settle(lambda: others.commands() == ["ADD"], "the plugin runs")
    waiting = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pods[1].name, "eth0", pods[1].path, env=env),
                         stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    waiting.stdin.write(json.dumps(conf).encode())
    waiting.stdin.close()
    settle(lambda: states(host).get(f"{pods[1].name}/eth0") == "planned", "it waits for its turn")
    threads[1].start()
    settle(lambda: states(host).get(f"{pods[2].name}/eth0") == "planned", "one more does")
    waiting.kill()
    waiting.wait(LIMIT)
    settle(lambda: states(host).get(f"{pods[1].name}/eth0") != "planned", "the ADD of who has gone is undone")
    with open(gate, "w") as f:
        f.write("go\n")
    for t in threads:
        t.join(LIMIT)
    replies[0].expect_ok()
    replies[2].expect_ok()
    assert others.commands() == ["ADD", "ADD"]
    for pod, c in zip(pods, (slow, conf, conf)):
        host.cni("DEL", c, pod.name, "eth0", pod.path, env=env).expect_ok()
    await_states(host, {})


def test_callers_without_tickets(host, others):
    """busctl runs nothing: it is told so, and its DEL leaves the plugin's part to the runtime."""
    pod, conf = host.pod(), others.conf()
    a = add(host, others, conf, pod=pod)
    host.call(ROOT, RUNTIME, "Del", "a{sv}", 4, "Type", "s", "netmgr", "ContainerId", "s", pod.name, "IfName", "s", "eth0",
              "Config", "s", json.dumps(conf))
    await_states(host, {f"{pod.name}/eth0": "releasing"})
    others.forget()
    delete(a).expect_ok()
    assert others.commands() == ["DEL"]


def test_a_named_network_with_a_foreign_plugin(host, others):
    """The runtime's configuration names the network, the plugin gets the network's."""
    host.manager("AddNetwork", "ssa{sv}", "named", json.dumps(others.conf("named")), 0)
    by_name = {"cniVersion": "1.0.0", "name": "pods", "type": "netmgr", "network": "named", "args": {"cni": {"a": 1}}}
    a = add(host, others, by_name)
    assert a.ips == ["10.97.0.2"]
    given = json.loads(others.calls()[0]["stdin"])
    assert (given["name"], given["ipam"]["type"], given["args"]) == ("named", NAME, {"cni": {"a": 1}})
    assert "network" not in given
    others.forget()
    a.check(env=others.env).expect_ok()
    assert others.commands() == ["CHECK"]
    delete(a).expect_ok()
    assert others.reserved("named") == {}
    await_states(host, {})
    host.manager("RemoveNetwork", "sa{sv}", "named", 0)



def test_status_asks_the_plugin(host, others):
    others.put("modern", 'cat > /dev/null; case $CNI_COMMAND in STATUS) [ ! -e ' + others.data + '/bad ] || { ' + error(50, "no leader") + "; };; esac")
    conf = others.conf(plugin="modern", version="1.1.0")
    host.cni("STATUS", conf, env=others.env).expect_ok()
    assert others.commands() == ["STATUS"]
    open(f"{others.data}/bad", "w").close()
    host.cni("STATUS", conf, env=others.env).expect_error(50, "no leader")


def test_many_at_once(host, others):
    conf = others.conf(subnet="10.97.0.0/24")
    pods = host.make_pods(24)
    many = host.parallel(24, lambda i: add(host, others, conf, pod=pods[i]))
    assert len({a.ips[0] for a in many}) == 24
    assert others.reserved() == {a.ips[0]: f"{a.cid}/eth0" for a in many}
    host.parallel(24, lambda i: delete(many[i]).expect_ok())
    assert others.reserved() == {}
    await_states(host, {})


@pytest.mark.parametrize("way", ["private socket", "system bus"])
def test_the_plugin_is_killed_while_it_runs_one(host, others, way):
    """By both ways: netmgrd sees at once that nobody will answer, and the runtime's DEL ends what is left."""
    env = {**others.env, **({"NETMGR_RUNTIME_DIR": "/none"} if way == "system bus" else {})}
    a = host.add(others.conf(), env=env)
    a.check(env=env).expect_ok()
    a.delete(env=env).expect_ok()
    others.put("slow", "if [ $CNI_COMMAND = ADD ]; then echo $$ > " + others.data + "/pid; exec sleep 1000; fi; cat > /dev/null")
    conf, pod = others.conf(plugin="slow"), host.pod()
    p = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pod.name, "eth0", pod.path, env=env), stdin=-1, stdout=-1)
    p.stdin.write(json.dumps(conf).encode())
    p.stdin.close()
    settle(lambda: os.path.exists(f"{others.data}/pid") and os.path.getsize(f"{others.data}/pid"), "the plugin runs")
    assert states(host) == {f"{pod.name}/eth0": "planned"}
    p.kill()
    p.wait()
    p.stdout.close()
    await_states(host, {f"{pod.name}/eth0": "releasing"})
    with open(f"{others.data}/pid") as f:
        pid = int(f.read())
    settle(lambda: has_ended(pid), "it has ended with the plugin that ran it")
    host.cni("DEL", conf, pod.name, "eth0", pod.path, env=env).expect_ok()
    await_states(host, {})


@pytest.mark.parametrize("plugin", ["bridge", "ptp"])
def test_drop_in_plugins_with_a_foreign_one(host, others, plugin):
    """The conflist of a reference interface plugin with somebody's IPAM plugin runs unchanged."""
    conf = {"cniVersion": "1.0.0", "name": "mixed", "type": plugin,
            "ipam": {"type": NAME, "subnet": "10.97.0.0/24", "dataDir": others.data, "routes": [{"dst": "0.0.0.0/0"}]}}
    if plugin == "bridge":
        conf.update(bridge="cni0", isDefaultGateway=True)
    a, b = (add(host, others, conf, plugin=plugin) for _ in range(2))
    assert others.reserved("mixed") == {a.ips[0]: f"{a.cid}/eth0", b.ips[0]: f"{b.cid}/eth0"}
    assert a.result["ips"][0]["gateway"] == "10.97.0.1"
    a.pod.wait_ping(b.ips[0])
    a.pod.wait_ping("192.0.2.1")
    a.check(env=a.env).expect_ok()
    host.netmgrd.restart()
    a.check(env=a.env).expect_ok()
    for x in (a, b):
        delete(x).expect_ok()
    assert others.reserved("mixed") == {}
    host.run(["ip", "link", "delete", "cni0"], check=False)


def test_more_ends_than_one_call_runs(host, others):
    """One GC runs so many; what is left it tells, and the next one goes on."""
    conf = others.conf()
    pods = host.make_pods(70)
    many = host.parallel(70, lambda i: add(host, others, conf, pod=pods[i]))
    for pod in pods:
        pod.delete()
    settle(lambda: set(states(host).values()) == {"releasing"} and
           host.netmgrd.text().count("still has to be told") >= 70, "all have been found dead")
    gc = {**conf, "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}
    host.cni("GC", gc, env=others.env).expect_error(11, NAME)
    settle(lambda: len(states(host)) == 70 - 64, lambda: f"64 are gone: {len(states(host))}")
    host.cni("GC", gc, env=others.env).expect_ok()
    await_states(host, {})
    assert others.reserved() == {}
    for a in many:
        a.live = False


def test_a_manifest_with_a_foreign_plugin(host, others):
    """The plugin gets the configuration that the manifest holds, not the manifest."""
    conf = {k: v for k, v in others.conf("inner").items() if k != "name"}
    manifest = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
                "metadata": {"name": "blue", "namespace": "prod"}, "spec": {"config": json.dumps(conf)}}
    host.manager("AddNetwork", "ssa{sv}", "", json.dumps(manifest), 0)
    a = add(host, others, {"cniVersion": "1.0.0", "name": "pods", "type": "netmgr", "network": "prod/blue"})
    assert a.ips == ["10.97.0.2"]
    given = json.loads(others.calls()[0]["stdin"])
    assert (given["name"], given["type"], given["ipam"]["type"]) == ("blue", "netmgr", NAME)
    delete(a).expect_ok()
    assert others.reserved("blue") == {}
    host.manager("RemoveNetwork", "sa{sv}", "prod/blue", 0)
