# SPDX-License-Identifier: LGPL-2.1-or-later
"""A node that comes from Multus and the reference plugins: what they have set up for living pods is taken over from
their files, and ended by them when the runtime calls netmgr."""
import base64
import ipaddress
import json
import os

import pytest
from cni_list import Attach, ConfList, Driver
from netmgr_host import settle

REFERENCE = "/usr/lib/cni"


def b64(value):
    return base64.b64encode(json.dumps(value).encode()).decode()


class Node:
    """What was there before: Debian's plugins, called as libcni does, with its cache; and Multus' lists."""

    def __init__(self, host):
        self.host = host
        self.driver = Driver(host, [REFERENCE])
        self.multus, self.data = f"{host.dir}/multus", f"{host.dir}/networks"
        self.results = f"{self.multus}/results"
        os.makedirs(self.results)
        self.before = {}

    def snapshot(self):
        nat = self.host.run(["iptables-save"], check=False).stdout
        return {"links": self.host.links(), "files": self.files(),
                "rules": sorted(x for x in nat.splitlines() if x.startswith("-A") and ("CNI-" in x or "10.88" in x))}

    def bridge(self, name="cbr0", subnet="10.88.0.0/24", bridge="cni0", version="1.0.0", ports=True, **keys):
        plugins = [{"type": "bridge", "bridge": bridge, "isGateway": True, "ipMasq": True,
                    "ipam": {"type": "host-local", "dataDir": self.data, "ranges": [[{"subnet": subnet}]],
                             "routes": [{"dst": "0.0.0.0/0"}]}, **keys}]
        if ports:
            plugins.append({"type": "portmap", "capabilities": {"portMappings": True}})
        return ConfList(name, plugins, version)

    def files(self, name="cbr0"):
        d = f"{self.data}/{name}"
        return sorted(x for x in os.listdir(d) if x[0].isdigit()) if os.path.isdir(d) else []

    def cache(self, a, **keys):
        """One file of libcni's cache"""
        config = {"cniVersion": a.net.version, "name": a.net.name, "plugins": a.net.plugins}
        entry = {"kind": "cniCacheV1", "containerId": a.cid, "config": b64(config), "ifName": a.ifname,
                 "networkName": a.net.name, "cniArgs": [["IgnoreUnknown", "1"], ["K8S_POD_NAMESPACE", "tests"],
                                                        ["K8S_POD_NAME", a.pod.name]],
                 "capabilityArgs": a.capabilities, "result": a.result, **keys}
        path = f"{self.results}/{a.net.name}-{a.cid}-{a.ifname}"
        with open(path, "w") as f:
            json.dump(entry, f)
        return path

    def add(self, net=None, pod=None, ifname="eth0", port=None, cached=True):
        a = Attach(net or self.bridge(), pod or self.host.pod(), ifname=ifname,
                   capabilities={"portMappings": [{"hostPort": port, "containerPort": 80, "protocol": "tcp"}]} if port else {})
        self.driver.add(a).expect_ok()
        if cached:
            self.cache(a)
        return a

    def delegates(self, pod, *attached):
        """Multus' file of the sandbox"""
        with open(f"{self.multus}/{pod.name}", "w") as f:
            json.dump([{"Conf": {"name": a.net.name}, "ConfList": {}, "Name": f"tests/{a.net.name}",
                        **({"ifnameRequest": a.ifname} if a.ifname not in ("eth0", f"net{i}") else {}),
                        "IsFilterV4Gateway": False, "IsFilterV6Gateway": False,
                        "Bytes": b64({"cniVersion": a.net.version, "name": a.net.name, "plugins": a.net.plugins})}
                       for i, a in enumerate(attached)], f)

    def imported(self, source="multus", *options, check=True):
        where = {"multus": [f"--dir={self.multus}", f"--results-dir={self.results}"],
                 "host-local": [f"--dir={self.data}"]}.get(source, [])
        r = self.host.ctl("--json=short", "import", source, *where, *options)
        assert not check or r.returncode == 0, r
        return json.loads(r.stdout if r.returncode == 0 else r.stderr)

    def end(self):
        for bridge in ("cni0", "cni1"):
            self.host.run(["ip", "link", "delete", bridge], check=False)
        self.host.run(["iptables", "-t", "nat", "-F"], check=False)
        self.host.run(["iptables", "-t", "nat", "-X"], check=False)
        for family in ("ip", "ip6"):
            self.host.run(["nft", "delete", "table", family, "nat"], check=False)


@pytest.fixture
def node(host):
    n = Node(host)
    n.host.run(["sysctl", "-qw", "net.ipv4.ip_forward=1"])
    yield n
    n.end()


def conf(host, name="pods"):
    """What the runtime calls with from now on"""
    return {"cniVersion": "1.0.0", "name": name, "type": "netmgr", "kind": "bridge", "bridge": "cni0",
            "isGateway": True, "ipam": {"type": "local", "ranges": [[{"subnet": "10.88.0.0/24"}]]}}


def delete(host, pod, ifname="eth0", netns=None, name="pods"):
    return host.cni("DEL", conf(host, name), pod.name, ifname, pod.path if netns is None else netns)


def links(pod):
    return {x["ifname"] for x in pod.ip("link", "show")}


def keys(rows):
    return {(r.get("container"), r.get("interface")) for r in rows}


def attachments(host):
    return {(a["Sandbox"], a["Interface"]): a for a in host.describe("attachments")}


@pytest.mark.sanitize
def test_pods_of_the_reference_plugins(host, node):
    """DEL by another network's name ends what bridge, host-local and portmap made: veth, files, rules."""
    base = node.snapshot()
    a, b = node.add(port=8080), node.add(port=8081)
    with_pods = node.snapshot()
    assert with_pods["files"] and len(with_pods["rules"]) > len(base["rules"])
    dry = node.imported("multus", "--dry-run")
    assert keys(dry["imported"]) == {(a.cid, "eth0"), (b.cid, "eth0")} and dry["DryRun"], dry
    assert host.describe("attachments") == [] and host.held() == {}
    report = node.imported()
    assert keys(report["imported"]) == {(a.cid, "eth0"), (b.cid, "eth0")} and report["skipped"] == [], report
    assert report["imported"][0]["plugins"] == ["bridge", "portmap"]
    got = attachments(host)
    assert got[a.cid, "eth0"]["Addresses"] == [a.result["ips"][0]["address"]]
    assert got[a.cid, "eth0"]["Kind"] == "foreign" and got[a.cid, "eth0"]["State"] == "up"
    box, = (s for s in host.describe("sandboxes") if s["Id"] == a.cid)
    assert (box["PodName"], box["PodNamespace"], box["NetnsPath"]) == (a.pod.name, "tests", a.pod.path)
    # again: nothing changes
    with host.unchanged():
        again = node.imported()
        assert again["imported"] == [] and {r["reason"] for r in again["skipped"]} == {"known already"}, again
    # the new network gives out none of the addresses, whatever its name
    c = host.add(conf(host))
    assert c.ips[0] not in {x.result["ips"][0]["address"].split("/")[0] for x in (a, b)}
    reply = host.cni("ADD", {**conf(host), "runtimeConfig": {"ips": [a.result["ips"][0]["address"]]},
                             "capabilities": {"ips": True}}, "another", "eth0", host.pod().path)
    assert not reply.ok and a.cid in reply.stdout, reply
    host.ctl("reconcile", check=True)
    a.pod.wait_ping(b.result["ips"][0]["address"].split("/")[0])
    host.netmgrd.restart()
    assert set(attachments(host)) == {(a.cid, "eth0"), (b.cid, "eth0"), (c.cid, "eth0")}
    delete(host, a.pod).expect_ok()
    one = node.snapshot()
    assert one["files"] == [b.result["ips"][0]["address"].split("/")[0]]
    assert not any("8080" in x for x in one["rules"]) and any("8081" in x for x in one["rules"]), one
    assert len(one["links"]) == len(with_pods["links"]) + 1 - 1  # c's came, a's went
    delete(host, b.pod).expect_ok()
    settle(lambda: set(attachments(host)) == {(c.cid, "eth0")}, "only netmgr's own is left")
    left = node.snapshot()
    assert left["files"] == [] and not any(x in y for x in ("8080", "8081", a.cid, b.cid) for y in left["rules"]), left
    # their files are still there, but they have ended
    again = node.imported()
    assert again["imported"] == [] and all("ended" in r["reason"] for r in again["skipped"]), again
    settle(lambda: set(host.held()) == {c.cidrs[0]}, "their addresses are free")


def test_secondary_interfaces_of_multus(host, node):
    """Order and references are Multus' own; the runtime's DEL of the first ends all of them."""
    pod = host.pod()
    first = node.add(pod=pod)
    # (of two interfaces of one network the reference plugin masquerades only the last)
    blue = node.bridge("blue", "10.89.0.0/24", "cni1", ports=False, ipMasq=False)
    second, third = node.add(blue, pod, "net1"), node.add(blue, pod, "data0", cached=False)
    node.delegates(pod, first, second, third)
    outer = Attach(ConfList("multus-cni-network", [{"type": "multus-shim"}]), pod)
    outer.result = first.result
    node.cache(outer)
    lo = Attach(ConfList("cni-loopback", [{"type": "loopback"}]), pod, ifname="lo")
    lo.result = {"cniVersion": "1.0.0", "interfaces": [], "ips": [], "dns": {}}
    node.cache(lo)
    report = node.imported()
    assert [r["interface"] for r in report["imported"]] == ["eth0", "net1", "data0"] and report["skipped"] == [], report
    assert [r["reference"] for r in report["imported"]] == ["tests/cbr0", "tests/blue", "tests/blue"]
    plans = {r["ifname"]: json.loads(r["plan"]) for r in host.sql("SELECT ifname, plan FROM attachment")}
    assert {k: (p.get("parent"), p.get("position", 0)) for k, p in plans.items()} == {
        "eth0": (None, 0), "net1": ("eth0", 1), "data0": ("eth0", 2)}
    # (of data0 libcni's cache knows nothing, but the reference plugin finds what it gave by container and interface)
    delete(host, pod).expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")
    assert node.files("blue") == [] and node.files() == []
    assert links(pod) == {"lo"}


def test_one_directory_without_the_originals(host, node):
    """The runtime knows netmgr's directory only: the plugins are found where netmgr.conf says, and
    call each other there."""
    a = node.add()
    node.imported()
    reply = host.cni("DEL", {**conf(host, "cbr0")}, a.cid, "eth0", a.pod.path, plugin="netmgr",
                     env={"CNI_PATH": f"{host.dir}/cni", "NETMGR_CONFIG_DIR": host.config_dir})
    reply.expect_ok()
    assert node.files() == [] and links(a.pod) == {"lo"}
    b = node.add()
    node.imported()
    with open(f"{host.config_dir}/netmgr.conf", "a") as f:
        f.write("[Delegates]\nPluginPath=/none\n")
    env = {"CNI_PATH": f"{host.dir}/cni", "NETMGR_CONFIG_DIR": host.config_dir}
    reply = host.cni("DEL", conf(host), b.cid, "eth0", b.pod.path, env=env)
    assert not reply.ok and "PluginPath" in reply.stdout, reply
    reply = host.cni("DEL", conf(host), b.cid, "eth0", b.pod.path, env={**env, "CNI_PATH": f"{host.dir}/cni:{REFERENCE}"})
    reply.expect_ok()
    assert node.files() == [] and links(b.pod) == {"lo"}


def test_the_same_names_under_netmgr(host, node):
    """Our bridge and portmap in the place of theirs, the same network: any plugin's DEL ends the pod."""
    a = node.add(port=8080)
    node.imported()
    ours = Driver(host, [f"{host.dir}/cni", REFERENCE])
    b = Attach(a.net, host.pod())
    ours.add(b).expect_ok()
    assert b.result["ips"][0]["address"] != a.result["ips"][0]["address"]
    ours.check(a).expect_ok()
    ours.delete(a).expect_ok()
    assert links(a.pod) == {"lo"}
    assert not any("8080" in x for x in node.snapshot()["rules"])
    ours.delete(b).expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_nothing_of_a_sandbox_by_halves(host, node):
    """One interface that cannot be taken over keeps the others of its sandbox from it, and no other sandbox."""
    bad, good = host.pod(), node.add()
    first = node.add(pod=bad)
    other = node.add(node.bridge("blue", "10.89.0.0/24", "cni1", ports=False), bad, "net1")
    node.cache(other, config="?")
    report = node.imported()
    assert keys(report["imported"]) == {(good.cid, "eth0")}, report
    row, = report["skipped"]
    assert row["container"] == bad.name and "base64" in row["reason"], row
    node.cache(other)
    assert keys(node.imported()["imported"]) == {(bad.name, "eth0"), (bad.name, "net1")}
    for x in (first, other, good):
        delete(host, x.pod, x.ifname).expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_an_address_that_netmgr_has_given_out(host, node):
    """Who has it is told; that sandbox is left alone."""
    c = host.add(conf(host))
    a, b = node.add(), node.add()
    assert a.result["ips"][0]["address"].split("/")[0] == c.ips[0]
    report = node.imported()
    assert keys(report["imported"]) == {(b.cid, "eth0")}, report
    row, = report["skipped"]
    assert row["container"] == a.cid and c.cid in row["reason"] and c.ips[0] in row["reason"], row
    c.delete().expect_ok()
    settle(lambda: keys(node.imported()["imported"]) == {(a.cid, "eth0")}, "now it can be")
    for x in (a, b):
        delete(host, x.pod).expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_the_end_without_a_runtime(host, node):
    """The pod's namespace goes without DEL: seen by its path; the plugins are still to be told."""
    a = node.add()
    node.imported()
    assert host.sql("SELECT netns_seen FROM sandbox")[0]["netns_seen"] == 1
    a.pod.delete()
    settle(lambda: [r["state"] for r in host.sql("SELECT state FROM attachment")] == ["releasing"], "it ends")
    delete(host, a.pod, netns="").expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")
    assert node.files() == []


@pytest.mark.host(exec_plugins="others")
def test_the_end_that_netmgr_exec_tells(host, node):
    """The same with netmgr-exec: the reference plugins hear of it although no runtime comes."""
    a = node.add(port=8080)
    assert any("8080" in x for x in node.snapshot()["rules"])
    node.imported()
    a.pod.delete()
    settle(lambda: attachments(host) == {} and node.files() == [], "it ends")
    assert not any("8080" in x for x in node.snapshot()["rules"])


@pytest.mark.host(exec_plugins="others")
def test_after_a_reboot(host, node, tmp_path):
    """What their plugins keep in files is given back; whoever has the namespace's name by then is left alone."""
    a = node.add()
    node.imported()
    host.netmgrd.stop()
    boot_id = tmp_path / "boot_id"
    boot_id.write_text("11111111-2222-3333-4444-555555555555\n")
    host.run(["mount", "--bind", str(boot_id), "/proc/sys/kernel/random/boot_id"])
    host.netmgrd.start()
    settle(lambda: attachments(host) == {} and node.files() == [], "it has ended")
    assert links(a.pod) == {"lo", "eth0"}
    host.run(["umount", "/proc/sys/kernel/random/boot_id"])
    node.driver.delete(a).expect_ok()


def test_a_pod_that_nothing_tells_of(host, node):
    """Without a path in the result (0.2.0) it is never taken for dead: DEL brings its own."""
    a = node.add(node.bridge(version="0.2.0", ports=False))
    node.imported()
    assert host.sql("SELECT netns_path, netns_cookie FROM sandbox") == [{"netns_path": "", "netns_cookie": 0}]
    json.loads(host.manager("CollectGarbage", "a{sv}", 0)[0])
    host.cni("GC", {**conf(host), "cniVersion": "1.1.0", "cni.dev/valid-attachments": []}).expect_ok()
    assert set(attachments(host)) == {(a.cid, "eth0")}
    delete(host, a.pod).expect_ok()
    assert links(a.pod) == {"lo"} and node.files() == []
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_a_path_of_a_process(host, node):
    """The process may be another one by now: it is not looked at, and the runtime's own path counts."""
    a = node.add()
    for interface in a.result["interfaces"]:
        if interface.get("sandbox"):
            interface["sandbox"] = f"/proc/{host.holder.pid}/ns/net"
    node.cache(a)
    node.imported()
    assert host.sql("SELECT netns_seen, netns_cookie, netns_start FROM sandbox") == [
        {"netns_seen": 0, "netns_cookie": 0, "netns_start": 0}]
    delete(host, a.pod).expect_ok()
    assert links(a.pod) == {"lo"} and node.files() == []
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_addresses_of_host_local(host, node):
    """Held for everybody, and given back with the container's DEL or with the next import."""
    a, b = node.add(cached=False), node.add(cached=False)
    taken = {x.result["ips"][0]["address"].split("/")[0]: x for x in (a, b)}
    dry = node.imported("host-local", "--dry-run")
    assert {r["address"] for r in dry["imported"]} == set(taken) and host.held() == {}, dry
    report = node.imported("host-local")
    assert {r["address"]: (r["container"], r["interface"], r["owner"]) for r in report["imported"]} == {
        address: (x.cid, "eth0", "not known here") for address, x in taken.items()}, report
    assert {x.split("/")[0] for x in host.held()} == set(taken)
    with host.unchanged():
        assert node.imported("host-local")["imported"] == []
    c = host.add(conf(host))
    assert c.ips[0] not in taken
    host.netmgrd.restart()
    d = host.add(conf(host))
    assert d.ips[0] not in taken
    delete(host, a.pod).expect_ok()  # of its interface netmgr knows nothing, of its address it does
    settle(lambda: len(host.held()) == 3, "its address is free")
    node.driver.delete(b).expect_ok()
    node.driver.delete(a).expect_ok()
    node.imported("host-local")
    settle(lambda: set(host.held()) == {*c.cidrs, *d.cidrs}, "what is not in the directory any more is free")


def test_interfaces_after_their_addresses(host, node):
    """What was reserved for a container becomes its interface's; and the other way round nothing is new."""
    a = node.add()
    node.imported("host-local")
    assert keys(node.imported()["imported"]) == {(a.cid, "eth0")}
    assert host.held() == {a.result["ips"][0]["address"]: f"{a.cid}/eth0"}
    report = node.imported("host-local")
    assert report["imported"] == [] and "interface holds it" in report["skipped"][0]["reason"], report
    delete(host, a.pod).expect_ok()
    settle(lambda: host.held() == {}, "nothing is held")


def pool(subnet, allocations, name=None):
    network = ipaddress.ip_network(subnet)
    return {"apiVersion": "whereabouts.cni.cncf.io/v1alpha1", "kind": "IPPool",
            "metadata": {"name": name or subnet.replace("/", "-").replace(":", "-"), "namespace": "kube-system"},
            "spec": {"range": subnet, "allocations": {
                str(int(ipaddress.ip_address(a)) - int(network.network_address)):
                {"id": i, "podref": f"tests/{i}", "ifname": f} for a, (i, f) in allocations.items()}}}


def test_pools_of_whereabouts(host, node):
    """A dump of the cluster's pools: nobody gets an address of theirs, here or elsewhere given out."""
    dump = f"{host.dir}/dump"
    os.mkdir(dump)
    with open(f"{dump}/pools.json", "w") as f:
        json.dump({"apiVersion": "v1", "kind": "List", "items": [
            pool("10.88.0.0/24", {"10.88.0.2": ("one", "net1"), "10.88.0.4": ("two", "net1")}),
            pool("fd88::/64", {"fd88::5": ("one", "net1")}),
            {"kind": "OverlappingRangeIPReservation", "metadata": {"name": "fd88--7"},
             "spec": {"containerid": "one", "podref": "tests/one", "ifname": "net1"}}]}, f)
    os.symlink(f"{dump}/pools.json", f"{dump}/link.json")
    with open(f"{dump}/notes", "w") as f:
        f.write("none")
    r = node.imported("whereabouts-files", f"--dir={dump}", "--dry-run")
    assert len(r["imported"]) == 4 and host.held() == {}, r
    r = node.imported("whereabouts-files", f"--dir={dump}")
    assert {x["address"] for x in r["imported"]} == {"10.88.0.2", "10.88.0.4", "fd88::5", "fd88::7"}, r
    assert {os.path.basename(x["file"]): "link" in x["reason"] for x in r["skipped"]} == {"link.json": True, "notes": False}
    assert host.add(conf(host)).ips == ["10.88.0.3"] and host.add(conf(host)).ips == ["10.88.0.5"]
    host.cni("DEL", conf(host), "one", "net1", "").expect_ok()
    settle(lambda: not {"10.88.0.2", "fd88::5", "fd88::7"} & {x.split("/")[0] for x in host.held()}, "one's are free")
    with open(f"{dump}/pools.json", "w") as f:
        json.dump(pool("10.88.0.0/24", {}), f)
    assert node.imported("whereabouts-files", f"--dir={dump}/pools.json")["imported"] == []
    settle(lambda: "10.88.0.4/24" not in host.held(), "what the pool has not any more is free")


@pytest.mark.parametrize("source,json_text,words", [
    ("multus", "{", "ends in the middle"), ("multus", '{"container": "../x"}', "id of a container"),
    ("multus", '{"container": "a", "surplus": 1}', "surplus"),
    ("host-local", '{"network": "a/b", "stamp": 1, "files": []}', "name of a network"),
    ("whereabouts-files", '{"kind": "Pod"}', "kind: wanted IPPool"),
    ("whereabouts-files", json.dumps(pool("10.88.0.0/24", {"10.89.0.1": ("x", "y")})), "not within spec.range"),
    ("calico", "{}", "source: wanted"),
])
def test_what_is_refused(host, source, json_text, words):
    with host.unchanged():
        r = host.busctl("call", "org.netmgr1", "/org/netmgr1", "org.netmgr1.Manager", "Import", "ssa{sv}", source,
                        json_text, "0", check=False)
        assert r.returncode != 0 and words in r.stderr, r


def test_hostile_files(host, node):
    """Links, devices, FIFOs, too large and broken files are passed over with a word; the rest is taken over."""
    a = node.add()
    os.mkfifo(f"{node.results}/fifo")
    os.symlink("/etc/shadow", f"{node.results}/shadow")
    os.mkdir(f"{node.results}/directory")
    for name, data in (("large", b" " * 300000), ("broken", b"{"), ("bytes", b"\xff{}"), ("other", b'{"cniVersion": "1.0.0"}')):
        with open(f"{node.results}/{name}", "wb") as f:
            f.write(data)
    report = node.imported()
    assert keys(report["imported"]) == {(a.cid, "eth0")}
    assert {os.path.basename(r["file"]) for r in report["skipped"]} == {
        "fifo", "shadow", "large", "broken", "bytes", "other"}, report
    text = host.ctl("import", "multus", f"--dir={node.multus}", f"--results-dir={node.results}", check=True).stdout
    assert "known already" in text and "symbolic link" in text, text
    delete(host, a.pod).expect_ok()
    settle(lambda: attachments(host) == {}, "nothing is left")


def test_words_of_the_command(host):
    for argv, words in ((["import", "calico"], "nothing that can be imported"),
                        (["import", "whereabouts-files"], "--dir="),
                        (["import", "host-local", "--results-dir=/x"], "--results-dir="), (["import"], "missing")):
        r = host.ctl(*argv)
        assert r.returncode == 2 and words in r.stderr, r
    r = host.ctl("import", "host-local", "--dir=/none")
    assert r.returncode == 1 and "/none" in r.stderr, r
