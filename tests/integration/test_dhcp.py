# SPDX-License-Identifier: LGPL-2.1-or-later
"""IPAM `dhcp`: leases of real servers on the sandbox's link, from ADD through renewals to DEL."""
import json
import signal

import pytest
from dhcp_lan import SERVER, Lan
from netmgr_host import netconf, settle
from traffic import elements


IMPATIENT = "[Host]\nNodeAddress=192.0.2.1\n[Runtime]\nAddTimeoutSec=6\n"


@pytest.fixture
def lan(host):
    with Lan(host) as made:
        yield made


def is_up(pod, ifname="eth0"):
    return "UP" in pod.link(ifname)["flags"]


def wait_renewed(lan, times=1):
    """The ledger has a lease that began later, as often."""
    for _ in range(times):
        before = lan.lease()["obtained_boot_usec"]
        settle(lambda b=before: lan.lease()["obtained_boot_usec"] > b, "the lease is renewed")


# --- acquiring -----------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_lease_becomes_the_address(host, lan):
    lan.udhcpd(options=["router 10.9.0.254", "dns 10.9.0.2 10.9.0.3", "domain example.org"])
    a = host.add(lan.conf())
    [ip] = a.result["ips"]
    address = ip["address"].split("/")[0]
    assert ip["address"].endswith("/24") and ip["gateway"] == "10.9.0.254"
    assert address in lan.udhcpd_leases()
    assert a.result["dns"] == {"nameservers": ["10.9.0.2", "10.9.0.3"], "domain": "example.org"}
    assert a.pod.addresses() == {ip["address"]}
    assert ("default", "10.9.0.254") in a.pod.routes(4)
    a.pod.wait_ping(SERVER)
    host.wait_ping(address)
    assert host.held() == {ip["address"]: f"{a.cid}/eth0"}
    row = lan.lease()
    assert (row["address"], row["server"], row["lease_sec"], row["expired"]) == (address, SERVER, 3600, 0)
    [shown] = [x["Lease"] for x in host.describe("attachments")]
    assert (shown["Server"], shown["Seconds"], shown["Over"]) == (SERVER, 3600, False)
    assert host.netmgrd.netns_fds() == [] and lan.dhcp.netns_fds() == []
    a.check().expect_ok()


@pytest.mark.sanitize
def test_delete_gives_it_back(host, lan):
    server = lan.dnsmasq()
    a = host.add(lan.conf())
    assert list(lan.dnsmasq_leases()) == a.ips
    a.delete().expect_ok()
    server.wait_for(rf"DHCPRELEASE\(lan0\) {a.ips[0]} ")
    settle(lambda: not lan.dnsmasq_leases(), "dnsmasq has no lease any more")
    settle(lambda: host.sql("SELECT * FROM lease") == [], "nor has the ledger")


def test_metadata_is_blocked_as_soon_as_there_is_an_address(host, lan):
    """Its route and its rule come with the lease, and survive renewals."""
    lan.udhcpd(lease=8, options=["router 10.9.0.1"])
    a = host.add({**lan.conf(), "blockInstanceMetadata": True})

    def prohibited():
        return [r["dst"] for r in a.pod.ip("route", "show", "type", "prohibit")]
    assert prohibited() == ["169.254.169.254"]
    [element] = elements(host, "netmgr_np", "nometa4")
    assert a.ips[0] in json.dumps(element)
    a.check().expect_ok()
    wait_renewed(lan)
    assert prohibited() == ["169.254.169.254"]
    a.delete().expect_ok()
    assert not elements(host, "netmgr_np", "nometa4")


def test_several_at_once(host, lan):
    lan.dnsmasq(first=50, last=89)
    attachments = host.add_many(lan.conf(), 20)
    ips = [a.ips[0] for a in attachments]
    assert len(set(ips)) == 20 and set(ips) == set(lan.dnsmasq_leases())
    host.delete_many(attachments)
    settle(lambda: not lan.dnsmasq_leases(), "all are given back")


def test_two_interfaces_of_one_sandbox(host, lan):
    lan.udhcpd()
    pod = host.pod()
    a, b = host.add(lan.conf(), pod), host.add(lan.conf(), pod, ifname="eth1")
    assert a.ips != b.ips
    assert pod.addresses("eth1") == set(b.cidrs)


@pytest.mark.parametrize("version", ["0.1.0", "0.2.0", "0.4.0", "1.1.0"])
def test_results_of_every_version(host, lan, version):
    lan.udhcpd()
    a = host.add(lan.conf(version=version))
    assert a.cidrs and a.pod.addresses() == set(a.cidrs)


def test_classless_routes_go_before_others(host, lan):
    lan.dnsmasq("--dhcp-option=3,10.9.0.254", "--dhcp-option=33,172.16.0.0,10.9.0.253",
                "--dhcp-option=121,192.168.7.0/24,10.9.0.2,10.77.0.0/16,0.0.0.0")
    a = host.add(lan.conf(ipam={"priority": 42}))
    routes = {(r["dst"], r.get("gateway"), r.get("metric"), r.get("scope"))
              for r in a.pod.ip("-4", "route") if r["dst"] != "10.9.0.0/24"}
    assert routes == {("192.168.7.0/24", "10.9.0.2", 42, None), ("10.77.0.0/16", None, 42, "link")}
    assert a.result["ips"][0]["gateway"] == "10.9.0.254"
    assert {(r["dst"], r.get("gw"), r.get("priority")) for r in a.result["routes"]} == {
        ("192.168.7.0/24", "10.9.0.2", 42), ("10.77.0.0/16", None, 42)}


def test_static_routes(host, lan):
    lan.dnsmasq("--dhcp-option=3,10.9.0.254", "--dhcp-option=33,172.16.0.0,10.9.0.253")
    a = host.add(lan.conf())
    assert {("default", "10.9.0.254"), ("172.16.0.0/16", "10.9.0.253")} <= a.pod.routes(4)


def test_search_list(host, lan):
    lan.dnsmasq("--dhcp-option=119,eng.example.org,example.org")
    a = host.add(lan.conf())
    assert a.result["dns"]["search"] == ["eng.example.org", "example.org"]


def test_own_dns_goes_before_the_servers(host, lan):
    lan.udhcpd(options=["dns 10.9.0.2", "domain example.org"])
    a = host.add(lan.conf(dns={"nameservers": ["192.0.2.53"]}))
    assert a.result["dns"] == {"nameservers": ["192.0.2.53"]}


# --- what the server is told ---------------------------------------------------------------------

def test_client_id(host, lan):
    lan.dnsmasq()
    a = host.add(lan.conf())
    [(_, _, client_id)] = lan.dnsmasq_leases().values()
    assert bytes.fromhex(client_id.replace(":", "")) == b"\0" + f"{a.cid}/lan/eth0".encode()


def test_provided_options(host, lan):
    server = lan.dnsmasq()
    conf = lan.conf(ipam={"provide": [
        {"option": "host-name", "value": "otherwise", "fromArg": "K8S_POD_NAME"},
        {"option": "dhcp-client-identifier", "value": "\x01abc"},
        {"option": "60", "value": "netmgr-test"},
        {"option": "user-class", "value": "tester"}]})
    host.add(conf, args="IgnoreUnknown=1;K8S_POD_NAME=web-0")
    [(_, name, client_id)] = lan.dnsmasq_leases().values()
    assert name == "web-0" and client_id == "01:61:62:63"
    server.wait_for(r"vendor class: netmgr-test")
    server.wait_for(r"client provides name: web-0")


def test_requested_options(host, lan):
    server = lan.dnsmasq("--dhcp-option=3,10.9.0.254")
    host.add(lan.conf("one", ipam={"request": [{"skipDefault": True}, {"option": "43"}]}))
    asked = server.wait_for(r"requested options: (.*)")[1]
    assert set(asked.replace(" ", "").split(",")) == {"43:vendor-encap", "1:netmask"}
    host.add(lan.conf("two", ipam={"request": [{"option": 66}]}))
    server.wait_for(r"requested options: .*66")


def test_a_wished_address(host, lan):
    lan.dnsmasq()
    a = host.add(lan.conf(), args="IP=10.9.0.57")
    assert a.ips == ["10.9.0.57"]


# --- time ----------------------------------------------------------------------------------------

@pytest.mark.sanitize
def test_renewed_by_its_server(host, lan):
    server = lan.udhcpd(lease=6)
    a = host.add(lan.conf())
    with_socket = lan.dhcp.fds()
    wait_renewed(lan, 2)
    assert a.pod.addresses() == set(a.cidrs) and is_up(a.pod)
    assert server.process.poll() is None
    assert host.netmgrd.netns_fds() == []
    settle(lambda: lan.dhcp.fds() == with_socket, "netmgr-dhcp holds no socket between the renewals")


def test_renewed_although_netmgrd_was_killed(host, lan):
    lan.udhcpd(lease=10)
    a = host.add(lan.conf())
    host.netmgrd.restart(signal.SIGKILL)
    wait_renewed(lan)
    assert a.pod.addresses() == set(a.cidrs) and is_up(a.pod)


def test_late_for_its_end_it_is_rebound_first(host, lan):
    """netmgrd was away for longer than the lease: the address is kept when the server agrees."""
    lan.udhcpd(lease=2)
    a = host.add(lan.conf())
    host.netmgrd.kill()
    boot = lan.lease()["obtained_boot_usec"]
    settle(lambda: float(host.run(["cat", "/proc/uptime"]).stdout.split()[0]) * 1e6 > boot + 3e6, "it is over")
    lan.udhcpd(lease=60, fresh=False)
    host.netmgrd.start()
    wait_renewed(lan)
    assert a.pod.addresses() == set(a.cidrs)
    assert "is over" not in host.netmgrd.text()


@pytest.mark.sanitize
def test_without_a_server_it_ends_and_comes_again(host, lan):
    lan.udhcpd(lease=4)
    a = host.add(lan.conf())
    idle = lan.dhcp.fds()
    lan.stop_server()
    settle(lambda: not a.pod.addresses() and not is_up(a.pod), "the interface has lost its address and is down")
    settle(lambda: lan.lease()["expired"] == 1, "the ledger knows")
    assert host.held() == {}
    assert [x["Lease"]["Over"] for x in host.describe("attachments")] == [True]
    a.check().expect_error(107, "none")
    assert [e["op"] for e in host.sql("SELECT op FROM event ORDER BY seq")][-1] == "lease-over"
    assert "the lease of eth0" in host.netmgrd.text() and "is over" in host.netmgrd.text()
    # while it asks for a new one it is up, without an address; and reconcile leaves it alone
    settle(lambda: not is_up(a.pod) and lan.dhcp.fds() == idle, "it has stopped asking, for now")
    host.ctl("reconcile", check=True)
    assert not is_up(a.pod) and not a.pod.addresses()
    # a restart does not make it better, nor worse
    host.netmgrd.restart()
    lan.udhcpd(lease=3600, first=70, last=79)
    settle(lambda: a.pod.addresses() and is_up(a.pod), "there is a lease again")
    [address] = a.pod.addresses()
    assert address.startswith("10.9.0.7")
    assert host.held() == {address: f"{a.cid}/eth0"}
    a.pod.wait_ping(SERVER)
    assert lan.lease()["expired"] == 0


def test_another_server_takes_over(host, lan):
    """The one that gave it does not answer its MAC any more: every server is asked."""
    lan.udhcpd(lease=8)
    a = host.add(lan.conf())
    host.run(["ip", "link", "set", "lan0", "address", "02:00:00:00:00:77"])
    wait_renewed(lan)
    assert bytes(lan.lease()["server_mac"]) == bytes.fromhex("020000000077")
    assert a.pod.addresses() == set(a.cidrs)


def test_refused_by_the_server(host, lan):
    """A NAK: the address is not ours any more, and a new one is asked for at once."""
    lan.udhcpd(lease=6)
    a = host.add(lan.conf())
    lan.udhcpd(lease=3600, first=70, last=79)
    settle(lambda: any(x.startswith("10.9.0.7") for x in a.pod.addresses()), "it has an address of the new range")
    assert len(a.pod.addresses()) == 1 and is_up(a.pod)
    a.pod.wait_ping(SERVER)
    ops = [e["op"] for e in host.sql("SELECT op FROM event ORDER BY seq")]
    assert ops[-2:] == ["lease-over", "lease-changed"]


def test_refused_by_a_stranger(host, lan):
    """A NAK that does not name the server which gave the lease ends nothing."""
    lan.udhcpd(lease=12)
    a = host.add(lan.conf())
    lan.stranger().wait_for("refused")
    lan.udhcpd(lease=60, fresh=False)
    settle(lambda: lan.lease()["lease_sec"] == 60, "the lease is renewed")
    assert a.pod.addresses() == set(a.cidrs)
    assert "lease-over" not in [e["op"] for e in host.sql("SELECT op FROM event")]


def test_changed_routes_are_applied(host, lan):
    lan.udhcpd(lease=4, options=["router 10.9.0.254"])
    a = host.add(lan.conf())
    assert ("default", "10.9.0.254") in a.pod.routes(4)
    lan.udhcpd(lease=60, options=["router 10.9.0.253", "staticroutes 192.168.7.0/24 10.9.0.2"], fresh=False)
    settle(lambda: ("192.168.7.0/24", "10.9.0.2") in a.pod.routes(4), "the new route is there")
    settle(lambda: ("default", "10.9.0.254") not in a.pod.routes(4), "the old one is gone")
    assert a.pod.addresses() == set(a.cidrs)


# --- other kinds ---------------------------------------------------------------------------------

def upper(lan, kind, **keys):
    return netconf("up", kind=kind, master="up0", ipam={"type": "dhcp"}, **keys)


@pytest.fixture
def port(host, lan):
    """up0: an interface of the host with the bridge at its other end, as a cable would be"""
    host.run(["sh", "-c", "ip link add up0 type veth peer name up1 && ip link set up1 master lan0 up && "
                          "ip link set up0 up"])
    yield
    host.run(["ip", "link", "delete", "up0"])


def test_macvlan(host, lan, port):
    server = lan.dnsmasq()
    a = host.add(upper(lan, "macvlan"))
    assert a.pod.addresses() == set(a.cidrs)
    a.pod.wait_ping(SERVER)
    assert list(lan.dnsmasq_leases().values())[0][0] == a.pod.link("eth0")["address"]
    a.delete().expect_ok()
    server.wait_for(rf"DHCPRELEASE\(lan0\) {a.ips[0]} ")


def test_macvlan_is_renewed_and_ends(host, lan, port):
    lan.udhcpd(lease=4)
    a = host.add(upper(lan, "macvlan"))
    wait_renewed(lan)
    lan.stop_server()
    settle(lambda: not a.pod.addresses() and not is_up(a.pod), "the interface has lost its address and is down")


def test_plugins_of_the_reference(host, lan, port):
    """The same configuration that the reference plugins take, by their names."""
    lan.dnsmasq()
    ipam = {"type": "dhcp", "daemonSocketPath": "/run/cni/dhcp.sock", "unknown": 1}
    for plugin, keys in (("bridge", {"bridge": "lan0"}), ("macvlan", {"master": "up0"})):
        conf = {"cniVersion": "1.0.0", "name": f"ref-{plugin}", "type": plugin, "ipam": ipam, **keys}
        a = host.add(conf, plugin=plugin)
        assert a.pod.addresses() == set(a.cidrs)
        a.pod.wait_ping(SERVER)


def test_beside_the_reference_plugin(host, lan):
    """Debian's dhcp with its daemon: the same configuration has the same result, and the server sees the same client.
    Ours also reports the server's DNS settings, which the reference leaves to the configuration; and it gives the
    lease back, for which the reference comes too late: the interface is deleted by then."""
    conf = {"cniVersion": "1.0.0", "name": "both", "type": "bridge", "bridge": "lan0",
            "ipam": {"type": "dhcp", "daemonSocketPath": "/run/ref-dhcp.sock",
                     "provide": [{"option": "host-name", "fromArg": "K8S_POD_NAME"}]}}
    daemon = host.popen(["/usr/lib/cni/dhcp", "daemon", "-socketpath", "/run/ref-dhcp.sock"])
    try:
        settle(lambda: host.run(["test", "-S", "/run/ref-dhcp.sock"], check=False).returncode == 0, "its daemon listens")
        results, clients = [], []
        for directory in ("/usr/lib/cni", f"{host.dir}/cni"):
            server = lan.dnsmasq("--dhcp-option-force=3,10.9.0.254",
                                 "--dhcp-option-force=33,172.16.0.0,10.9.0.253", fresh=True)
            pod = host.pod()
            env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": "same", "CNI_IFNAME": "eth0", "CNI_NETNS": pod.path,
                   "CNI_PATH": directory, "CNI_ARGS": "IgnoreUnknown=1;K8S_POD_NAME=web-0"}
            out = json.loads(host.run([f"{directory}/bridge"], env=env, input=json.dumps(conf)).stdout)
            [(_, name, client_id)] = lan.dnsmasq_leases().values()
            clients.append((name, client_id))
            seen = {(r["dst"], r.get("gateway")) for r in pod.ip("-4", "route")}
            results.append(([ip["address"].split("/")[1] for ip in out["ips"]], [ip["gateway"] for ip in out["ips"]],
                            sorted((r["dst"], r.get("gw")) for r in out["routes"]), seen))
            host.run([f"{directory}/bridge"], env={**env, "CNI_COMMAND": "DEL"}, input=json.dumps(conf))
        server.wait_for("DHCPRELEASE")
        assert results[0] == results[1]
        assert clients[0] == clients[1] == ("web-0", clients[0][1])
    finally:
        daemon.terminate()
        daemon.wait()


def test_called_by_a_plugin_of_others(host, lan):
    """As an IPAM plugin: the interface is somebody else's, and so is putting the address there."""
    server = lan.dnsmasq("--dhcp-option=3,10.9.0.254")
    pod = host.pod()
    host.run(["sh", "-c", f"ip link add fx0 type veth peer name eth0 netns {pod.name} && "
                          "ip link set fx0 master lan0 up"])
    conf = {"cniVersion": "1.0.0", "name": "theirs", "type": "foreign", "ipam": {"type": "dhcp"}}
    result = host.cni("ADD", conf, pod.name, "eth0", pod.path, plugin="dhcp").expect_ok().json
    [ip] = result["ips"]
    assert ip["address"].split("/")[0] in lan.dnsmasq_leases() and ip["gateway"] == "10.9.0.254"
    assert result["routes"] == [{"dst": "0.0.0.0/0", "gw": "10.9.0.254"}]
    assert is_up(pod) and pod.addresses() == set()
    host.cni("DEL", conf, pod.name, "eth0", pod.path, plugin="dhcp").expect_ok()
    server.wait_for(rf"DHCPRELEASE\(lan0\) {ip['address'].split('/')[0]} ")
    host.run(["ip", "link", "delete", "fx0"])


# --- what is in the way --------------------------------------------------------------------------

@pytest.mark.host(conf=IMPATIENT)
def test_no_server(host, lan):
    with host.unchanged():
        reply, _ = host.try_add(lan.conf())
        reply.expect_error(11, "lan", "no DHCP server answered")
        lan.forget_flows()
    settle(lambda: host.ledger()["attachment"] == [] and host.held() == {}, "the end of the rows")


@pytest.mark.host(conf=IMPATIENT)
def test_no_addresses_left(host, lan):
    lan.udhcpd(lease=10, first=50, last=50)
    a = host.add(lan.conf())
    reply, _ = host.try_add(lan.conf())
    reply.expect_error(11, "no DHCP server answered")
    a.delete().expect_ok()

    def given_again():
        """At once when the server has heard of the end (RFC 2131 has no answer to that), else when the lease is over."""
        reply, b = host.try_add(lan.conf())
        return reply.ok and b.ips == ["10.9.0.50"]
    settle(given_again, "the server has its address again")


def test_netmgr_dhcp_is_down(host, lan):
    lan.udhcpd(lease=6)
    a = host.add(lan.conf())
    lan.dhcp.kill()
    reply, _ = host.try_add(lan.conf())
    reply.expect_error(11, "netmgr-dhcp", "start netmgr-dhcp.service")
    status = lan.conf(version="1.1.0")
    host.cni("STATUS", status).expect_error(50, "netmgr-dhcp")
    settle(lambda: host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") == "degraded", "Health")
    reasons = host.get_property("/org/netmgr1", "org.netmgr1.Manager", "HealthReasons")
    assert any("netmgr-dhcp" in r for r in reasons)
    lan.dhcp.start()
    host.cni("STATUS", status).expect_ok()
    wait_renewed(lan)
    assert a.pod.addresses() == set(a.cidrs)
    settle(lambda: host.get_property("/org/netmgr1", "org.netmgr1.Manager", "Health") == "running" or
           not host.get_property("/org/netmgr1", "org.netmgr1.Manager", "HealthReasons"), "Health is well again")


def test_delete_with_netmgr_dhcp_down(host, lan):
    lan.udhcpd()
    a = host.add(lan.conf())
    lan.dhcp.kill()
    a.delete().expect_ok()
    settle(lambda: host.sql("SELECT * FROM lease") == [] and host.ledger()["attachment"] == [], "the rows are gone")


def test_delete_when_the_namespace_is_gone(host, lan):
    lan.udhcpd()
    a = host.add(lan.conf())
    a.pod.delete()
    a.delete().expect_ok()
    settle(lambda: host.sql("SELECT * FROM lease") == [], "the row is gone")


def test_delete_amid_the_exchange(host, lan):
    """No server: ADD waits for one. Its DEL ends the waiting."""
    pod = host.pod()
    caller = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pod.name, "eth0", pod.path),
                        stdin=-1, stdout=-1, stderr=-1)
    caller.stdin.write(json.dumps(lan.conf()).encode())
    caller.stdin.close()
    settle(lambda: pod.link("eth0") and is_up(pod), "the link is there, without an address")
    host.cni("DEL", lan.conf(), pod.name, "eth0", pod.path).expect_ok()
    assert json.loads(caller.stdout.read())["code"] == 11
    caller.wait()
    caller.stdout.close()
    caller.stderr.close()
    settle(lambda: host.ledger()["attachment"] == [] and not pod.link("eth0"), "nothing is left")


@pytest.mark.sanitize
@pytest.mark.parametrize("sig", [signal.SIGKILL, signal.SIGTERM])
def test_ended_amid_the_exchange(host, lan, sig):
    pod = host.pod()
    caller = host.popen([f"{host.dir}/cni/netmgr"], env=host.cni_env("ADD", pod.name, "eth0", pod.path),
                        stdin=-1, stdout=-1, stderr=-1)
    caller.stdin.write(json.dumps(lan.conf()).encode())
    caller.stdin.close()
    settle(lambda: pod.link("eth0") and is_up(pod), "the link is there, without an address")
    host.netmgrd.restart(sig)
    caller.wait()
    caller.stdout.close()
    caller.stderr.close()
    settle(lambda: host.ledger()["attachment"] == [] and not pod.link("eth0"), "what was planned is taken down")
    lan.udhcpd()
    assert host.add(lan.conf(), pod).ips


def test_a_sandbox_cannot_use_another_address(host, lan):
    """Before it has a lease and after, only DHCP's own source address is let through beside the lease."""
    lan.udhcpd()
    a = host.add(lan.conf())
    a.pod.run(["ip", "address", "add", "10.9.0.200/24", "dev", "eth0"])
    r = a.pod.run(["ping", "-n", "-c1", "-W1", "-I", "10.9.0.200", SERVER], check=False)
    assert r.returncode != 0
    a.pod.wait_ping(SERVER)


def test_without_privileges(host, lan):
    status = lan.dhcp.status()
    assert {status[k] for k in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"
    assert host.run(["id", "-u", "nobody"]).stdout.strip() in status["Uid"].split()
    assert str(host.uid) not in status["Uid"].split()


def test_only_netmgrd_may_ask(host, lan):
    for user in (None, "nobody"):
        r = host.run(["python3", "-c", "import socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET); "
                      "s.connect('/run/netmgr-dhcp/dhcp.sock'); s.settimeout(20); print(s.recv(1))"], user=user)
        assert r.stdout.strip() == "b''"
    settle(lambda: lan.dhcp.text().count("refused") >= 2, "it says so")


BAD = [
    ({"isGateway": True}, {}, 7, "isGateway"),
    ({}, {"subnet": "10.9.0.0/24"}, 2, "ipam.subnet"),
    ({}, {"provide": [{"option": 53, "value": "x"}]}, 7, "ipam.provide[0].option"),
    ({}, {"provide": [{"option": 12, "value": "x" * 256}]}, 7, "ipam.provide[0].value"),
    ({}, {"request": [{"option": "no-such"}]}, 7, "no-such"),
    ({"runtimeConfig": {"ipRanges": [[{"subnet": "10.9.0.0/24"}]]}}, {}, 7, "ipRanges"),
    ({"runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}]}}, {}, 2,
     "portMappings"),
]


@pytest.mark.parametrize("keys, ipam, code, word", BAD, ids=[str(b[3]) for b in BAD])
def test_bad_configurations(host, lan, keys, ipam, code, word):
    with host.unchanged():
        host.try_add(lan.conf(ipam=ipam, **keys))[0].expect_error(code, word)


def test_a_value_of_the_runtime_that_is_too_long(host, lan):
    conf = lan.conf(ipam={"provide": [{"option": "host-name", "fromArg": "K8S_POD_NAME"}]})
    with host.unchanged():
        host.try_add(conf, args="IgnoreUnknown=1;K8S_POD_NAME=" + "x" * 256)[0].expect_error(7, "ipam.provide", "256")
