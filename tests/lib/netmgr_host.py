# SPDX-License-Identifier: LGPL-2.1-or-later
"""A private host with netmgr on it, for the integration tests.

    with Host() as host:                  # namespaces, bus, netmgr-nsd and netmgrd: all ready
        a = host.add(routed("net1", "10.97.0.0/24"))     # makes a pod's netns and calls the plugin
        b = host.add(routed("net1", "10.97.0.0/24"))
        a.pod.wait_ping(b.ips[0])
        host.finish()                     # DEL for what is attached; then nothing may be left

A Host is one process that holds a network and a mount namespace (tests/lib/host-ns); commands enter
it with nsenter. Each daemon is a child of the test and can be killed and started on its own. What
the tests believe comes from other programs (ip, nft, ss, conntrack, busctl, sqlite3 of Python,
/proc), never from netmgr's own reader of the kernel.

Every wait is on a condition, with LIMIT seconds as the end of patience; none measures speed.
"""
import concurrent.futures
import contextlib
import glob
import ipaddress
import itertools
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import features
from host_daemon import LIB, LIMIT, Daemon, settle
from host_pods import Attachment, Pod, Reply

TOP = os.path.realpath(os.path.join(LIB, "..", ".."))

BUS = "org.netmgr1"
ROOT = "/org/netmgr1"
MANAGER = "org.netmgr1.Manager"
RUNTIME = "org.netmgr1.Runtime"

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]


def build_dir():
    return os.path.realpath(os.environ.get("NETMGR_BUILD_DIR") or os.path.join(TOP, "build"))


# --- configurations ------------------------------------------------------------------------------

def ipam(*subnets, **keys):
    """An ipam object: one range set per subnet ("10.97.0.0/24") or ready-made set ([{...}])."""
    sets = [[{"subnet": s}] if isinstance(s, str) else s for s in subnets]
    return {"type": "local", "ranges": sets, **keys}


def netconf(name, *subnets, version="1.0.0", kind=None, routes=None, **keys):
    conf = {"cniVersion": version, "name": name, "type": "netmgr"}
    if kind:
        conf["kind"] = kind
    if subnets:
        conf["ipam"] = ipam(*subnets)
        if routes is not None:
            conf["ipam"]["routes"] = routes
    conf.update(keys)
    return conf


def routed(name="net1", *subnets, **keys):
    return netconf(name, *(subnets or ("10.97.0.0/24",)), **keys)


def bridge(name="br1", *subnets, **keys):
    keys.setdefault("isGateway", True)
    return netconf(name, *(subnets or ("10.97.1.0/24",)), kind="bridge", **keys)


class Host:
    def __init__(self, polkit=False, conf=None, netmgrd_options=(), initial_netns=False, exec_plugins=None):
        """conf: text of netmgr.conf, otherwise only the node's address is set.
        exec_plugins: netmgr-exec runs, with this directory of the host's own for plugins ("others"); without, a test
        starts it when it wants it: exec.start().
        initial_netns: not in a network namespace of its own; in a virtual machine only (features.py)"""
        self.dir = tempfile.mkdtemp(prefix="netmgr-test.")
        os.chmod(self.dir, 0o755)
        self.build = build_dir()
        self.polkit = polkit
        self.initial_netns = initial_netns
        self.leave = contextlib.ExitStack()
        self.holder = None
        self.baseline = None
        self.pods, self.attachments = [], []
        self.numbers = itertools.count(1)
        self.state_dir, self.config_dir = f"{self.dir}/state", f"{self.dir}/config"
        self.networks_dir = f"{self.config_dir}/networks.d"
        self.runtime_dir = "/run/netmgr"
        self.sanitizer_logs = f"{self.dir}/log/san"
        self.env = {
            "PATH": f"{self.dir}/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "LANG": "C.UTF-8", "HOME": "/root",
            "NETMGR_TEST_DIR": self.dir, "NETMGR_BUILD_DIR": self.build,
            "NETMGR_RUNTIME_DIR": self.runtime_dir, "NETMGR_SPOOL_DIR": f"{self.dir}/spool",
            "DBUS_SYSTEM_BUS_ADDRESS": "unix:path=/run/dbus/system_bus_socket",
            "ASAN_OPTIONS": f"log_path={self.sanitizer_logs}:detect_leaks=1:abort_on_error=0",
            "UBSAN_OPTIONS": f"log_path={self.sanitizer_logs}:print_stacktrace=1",
        }
        if conf is not None:
            os.mkdir(self.config_dir)
            with open(f"{self.config_dir}/netmgr.conf", "w") as f:
                f.write(conf)
        self.dbus = Daemon(self, "dbus")
        self.nsd = Daemon(self, "nsd")
        self.exec = Daemon(self, "exec")
        self.exec_plugins = exec_plugins
        self.exec.options = [f"--plugin-path={self.dir}/{exec_plugins or 'others'}"]
        self.netmgrd = Daemon(self, "netmgrd")
        self.polkitd = Daemon(self, "polkitd")
        self.netmgrd.options = list(netmgrd_options)

    # --- life ---

    def hold(self):
        """Namespaces and directories only, no daemon."""
        if self.initial_netns:
            self.leave.enter_context(features.initial_netns())
        self.holder = subprocess.Popen([f"{LIB}/host-ns", f"{LIB}/part", "hold"],
                                       env={**self.env, "NETMGR_TEST_NETNS": "initial" if self.initial_netns else ""},
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                       stderr=subprocess.PIPE, text=True)
        words = self.holder.stdout.readline().split()
        if len(words) != 3 or words[0] != "ready":
            raise RuntimeError("no private host: " + self.holder.stderr.read())
        self.uid, self.gid = int(words[1]), int(words[2])
        return self

    def start(self):
        if self.holder is None:
            self.hold()
        self.dbus.launch()
        self.nsd.launch()
        self.dbus.await_ready()
        if self.polkit:
            self.polkitd.launch()
        self.nsd.await_ready()
        if self.exec_plugins:
            self.exec.start()
        self.netmgrd.start()
        if self.polkit:
            self.polkitd.await_ready()
        # the kernel adds it behind the address (host-ns), when it has time
        settle(lambda: self.run(["ip", "-6", "route", "show", "table", "local", "2001:db8::1"]).stdout, "the route of the host's address")
        self.baseline = self.snapshot()
        return self

    def close(self):
        """Ends everything, whatever state it is in. Returns what a sanitizer had to say."""
        problems = []
        for daemon in (self.netmgrd, self.exec, self.nsd, self.polkitd, self.dbus):
            try:
                status = daemon.stop()
                if daemon in (self.netmgrd, self.exec, self.nsd) and status not in (0, -signal.SIGKILL):
                    problems.append(f"{daemon.name} ended with status {status}")
            except AssertionError as e:
                problems.append(str(e))
        problems += self.sanitizer_reports()
        if self.holder is not None:
            self.holder.stdin.close()
            self.holder.wait(LIMIT)
            self.holder.stdout.close()
            self.holder.stderr.close()
        self.leave.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        return problems

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, kind, value, traceback):
        problems = self.close()
        if kind is None:
            assert not problems, "\n".join(problems)

    def sanitizer_reports(self):
        reports = []
        for name in sorted(glob.glob(self.sanitizer_logs + ".*")):
            with open(name, errors="replace") as f:
                text = f.read()
            # a plugin that was killed while it looked for leaks at its exit: no finding
            found = [x for x in text.splitlines() if x and "Unable to get registers from thread" not in x]
            if found:
                reports.append(f"sanitizer report {os.path.basename(name)}:\n{text}")
        return reports

    def logs(self):
        out = []
        for daemon in (self.netmgrd, self.exec, self.nsd, self.dbus, self.polkitd):
            text = daemon.text()
            if text:
                out.append(f"--- log of {daemon.name} ---\n{text}")
        return "\n".join(out)

    def finish(self):
        """The end of every test: DEL for what is attached, then nothing may be left."""
        for daemon in (self.dbus, self.nsd, *([self.exec] if self.exec_plugins else []), self.netmgrd):
            if not daemon.running:
                daemon.start()
        for a in self.attachments:
            if a.live:
                a.delete().expect_ok()
        for pod in self.pods:
            pod.delete()
        self.assert_nothing_left()

    # --- running things inside ---

    def enter(self, netns=None):
        pid = self.holder.pid
        net = f"/proc/{pid}/ns/net" if netns is None else netns.outside
        return ["nsenter", f"--mount=/proc/{pid}/ns/mnt", f"--net={net}", "--"]

    def as_user(self, user):
        """Prefix that drops to USER ("nobody", "netmgr") with no group but its own, no capability."""
        return ["setpriv", f"--reuid={user}", f"--regid={'nogroup' if user == 'nobody' else user}",
                "--clear-groups", "--inh-caps=-all"]

    def popen(self, argv, netns=None, user=None, env=None, **keys):
        full = {**self.env, **(env or {})}
        full = {k: v for k, v in full.items() if v is not None}
        return subprocess.Popen(self.enter(netns) + (self.as_user(user) if user else []) + list(argv),
                                env=full, **keys)

    def run(self, argv, netns=None, user=None, env=None, input=None, check=True, timeout=2 * LIMIT):
        if isinstance(input, str):
            input = input.encode()
        p = self.popen(argv, netns, user, env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                       stdin=subprocess.DEVNULL if input is None else subprocess.PIPE)
        try:
            out, err = p.communicate(input, timeout)
        except BaseException:
            p.kill()
            p.communicate()
            raise
        done = subprocess.CompletedProcess(argv, p.returncode, out.decode(errors="replace"),
                                           err.decode(errors="replace"))
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ip(self, *argv):
        return json.loads(self.run(["ip", "-j", *argv]).stdout or "[]")

    def link(self, ifname):
        found = [x for x in self.ip("-d", "link", "show") if x["ifname"] == ifname]
        return found[0] if found else None

    def links(self):
        return {x["ifname"] for x in self.ip("link", "show")}

    def wait_ping(self, address, netns=None):
        said = []

        def once():
            r = self.run(["ping", "-n", "-c1", "-W1", address], netns=netns, check=False)
            said.append(r.stdout + r.stderr)
            return r.returncode == 0
        settle(once, lambda: f"ping {address} from {netns.name if netns else 'the host'}: {said[-1]}")

    def parallel(self, n, function, workers=16):
        """[function(0), ..., function(n - 1)], up to `workers` at a time"""
        with concurrent.futures.ThreadPoolExecutor(workers) as pool:
            return list(pool.map(function, range(n)))

    # --- pods and the plugin ---

    def pod(self, name=None):
        name = name or f"pod{next(self.numbers)}"
        self.run(["ip", "netns", "add", name])
        pod = Pod(self, name)
        self.pods.append(pod)
        return pod

    def make_pods(self, n):
        names = [f"pod{next(self.numbers)}" for _ in range(n)]
        self.run(["sh", "-c", 'for n in "$@"; do ip netns add "$n" || exit; done', "sh", *names])
        pods = [Pod(self, name) for name in names]
        self.pods += pods
        return pods

    def cni_env(self, verb, cid=None, ifname=None, netns=None, args=None, env=None):
        full = {"CNI_COMMAND": verb, "CNI_CONTAINERID": cid, "CNI_IFNAME": ifname, "CNI_NETNS": netns,
                "CNI_ARGS": args, "CNI_PATH": f"{self.dir}/cni"}
        full.update(env or {})
        return full

    def cni(self, verb, conf, cid=None, ifname=None, netns=None, args=None, env=None, plugin="netmgr",
            inside=None, timeout=2 * LIMIT):
        """One call of the plugin as a runtime makes it. conf: object, or exact text or bytes.
        env: further variables, None removes one. inside: a Pod whose netns the plugin runs in."""
        if not isinstance(conf, (str, bytes)):
            conf = json.dumps(conf)
        r = self.run([f"{self.dir}/cni/{plugin}"], env=self.cni_env(verb, cid, ifname, netns, args, env),
                     input=conf, check=False, netns=inside, timeout=timeout)
        return Reply(verb, r.returncode, r.stdout, r.stderr)

    def try_add(self, conf, pod=None, cid=None, ifname="eth0", args=None, plugin="netmgr", **keys):
        """ADD; returns (Reply, Attachment or None)"""
        pod = pod or self.pod()
        cid = cid or pod.name
        reply = self.cni("ADD", conf, cid, ifname, pod.path, args, plugin=plugin, **keys)
        if not reply.ok:
            return reply, None
        a = Attachment(self, conf, pod, cid, ifname, args, plugin, reply)
        self.attachments.append(a)
        return reply, a

    def add(self, conf, pod=None, **keys):
        reply, a = self.try_add(conf, pod, **keys)
        reply.expect_ok()
        return a

    def add_many(self, conf, n, workers=16):
        """n pods attached to one network, several at a time"""
        pods = self.make_pods(n)
        return self.parallel(n, lambda i: self.add(conf, pods[i]), workers)

    def delete_many(self, attachments, workers=16):
        self.parallel(len(attachments), lambda i: attachments[i].delete().expect_ok(), workers)

    # --- D-Bus ---

    def busctl(self, *argv, user=None, check=True, address="unix:path=/run/dbus/system_bus_socket"):
        return self.run(["busctl", f"--address={address}", "--json=short", *argv], user=user, check=check)

    def call(self, path, interface, method, signature="", *args, user=None):
        """Calls a method, returns the list of its answers; AssertionError with busctl's text."""
        argv = ["call", BUS, path, interface, method]
        if signature:
            argv += [signature, "--", *map(str, args)]
        out = self.busctl(*argv, user=user).stdout.strip()
        return json.loads(out)["data"] if out else []

    def manager(self, method, signature="", *args, user=None):
        return self.call(ROOT, MANAGER, method, signature, *args, user=user)

    def call_error(self, path, interface, method, signature="", *args, user=None):
        """Calls a method that must fail; returns (error name, sentence), as dbus-send prints it."""
        kinds = {"s": "string", "u": "uint32", "i": "int32", "b": "boolean"}
        typed = [f"{kinds[k]}:{v}" if k in kinds else v for k, v in zip(signature, args)]
        r = self.run(["dbus-send", "--system", "--print-reply", f"--dest={BUS}", path,
                      f"{interface}.{method}", *typed], user=user, check=False)
        assert r.returncode != 0, f"{method} should have failed, but said: {r.stdout}"
        m = re.match(r"Error ([\w.]+): (.*)", r.stderr, re.DOTALL)
        assert m, r.stderr
        return m.group(1), m.group(2).strip()

    def get_property(self, path, interface, name):
        return json.loads(self.busctl("get-property", BUS, path, interface, name).stdout)["data"]

    def properties(self, path, interface):
        """All properties, as plain values"""
        data = self.call(path, "org.freedesktop.DBus.Properties", "GetAll", "s", interface)[0]
        return {k: v["data"] for k, v in data.items()}

    def tree(self):
        return set(self.busctl("tree", "--list", BUS).stdout.split())

    def name_has_owner(self, name):
        r = self.busctl("call", "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                        "NameHasOwner", "s", name, check=False)
        return r.returncode == 0 and json.loads(r.stdout)["data"][0]

    def describe(self, what):
        return json.loads(self.manager("DescribeAll", "s", what)[0])[what]

    def held(self):
        """{address: "sandbox/ifname"} of what is given out now"""
        return {a["Address"]: f"{a['Sandbox']}/{a['Interface']}" for a in self.describe("addresses")
                if a["State"] == "held"}

    @property
    def bus_address(self):
        """Of the private bus, for a client in the test process itself"""
        return f"unix:path=/proc/{self.holder.pid}/root/run/dbus/system_bus_socket"

    @property
    def runtime_address(self):
        return f"unix:path=/proc/{self.holder.pid}/root{self.runtime_dir}/runtime.sock"

    def bus(self):
        """A connection of its own to the private bus (dbus-python); close() it."""
        import dbus.bus
        return dbus.bus.BusConnection(self.bus_address)

    def private(self):
        """A peer-to-peer connection to netmgrd's private socket; close() it."""
        import dbus
        import dbus.connection
        connection = dbus.connection.Connection(self.runtime_address)
        # libdbus sends descriptors only once the greeting has agreed on them
        with contextlib.suppress(dbus.exceptions.DBusException):
            connection.call_blocking(None, "/org/netmgr1", "org.netmgr1.Runtime", "Status", "a{sv}",
                                     (dbus.Dictionary({}, signature="sv"),))
        return connection

    def netns_fd(self):
        return os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)

    # --- netmgrctl ---

    def ctl(self, *argv, user=None, env=None, check=False):
        return self.run(["netmgrctl", *argv], user=user, env=env, check=check)

    def ctl_json(self, *argv):
        return json.loads(self.ctl("--json=short", *argv, check=True).stdout)

    # --- the ledger ---

    def sql(self, query, *args):
        """Rows of a reading query as dictionaries. A connection per call: nothing is kept open."""
        db = sqlite3.connect(f"file:{self.state_dir}/netmgr.db?mode=ro", uri=True, timeout=LIMIT)
        try:
            db.row_factory = sqlite3.Row
            return [dict(r) for r in db.execute(query, args)]
        finally:
            db.close()

    def ledger(self):
        """What the ledger says is there now: attachments, sandboxes, held addresses, networks."""
        return {
            "attachment": sorted((r["network"], r["sandbox"], r["ifname"], r["state"])
                                 for r in self.sql("SELECT * FROM attachment")),
            "sandbox": sorted(r["id"] for r in self.sql("SELECT id FROM sandbox")),
            "address": self.sql("SELECT count(*) AS n FROM address WHERE released_usec = 0")[0]["n"],
            "network": sorted(r["name"] for r in self.sql("SELECT name FROM network")),
            "port": sorted((r["host_address"], r["protocol"], r["host_port"]) for r in self.sql("SELECT * FROM port")),
            "shaping": sorted(r["attachment"] for r in self.sql("SELECT attachment FROM shaping")),
        }

    def held_addresses(self):
        with contextlib.suppress(sqlite3.OperationalError):
            return {r["address"] for r in self.sql("SELECT address FROM address WHERE released_usec = 0")}
        return set()

    @property
    def status_dir(self):
        """Of the network-status files, as the test sees it"""
        return f"/proc/{self.holder.pid}/root{self.runtime_dir}/status"

    def status_files(self):
        with contextlib.suppress(FileNotFoundError):
            return set(os.listdir(self.status_dir))
        return set()

    # --- nothing left ---

    def snapshot(self):
        """What must be the same at the end: kernel, descriptors, rows. Equal snapshots compare equal."""
        commands = [["ip", "-j", "-d", "link"], ["ip", "-j", "addr"],
                    ["ip", "-j", "-4", "route", "show", "table", "all"],
                    ["ip", "-j", "-6", "route", "show", "table", "all"],
                    ["ip", "-j", "-4", "rule"], ["ip", "-j", "-6", "rule"], ["ip", "-j", "neigh"],
                    ["nft", "-j", "list", "ruleset"], ["conntrack", "-L", "-o", "extended"]]
        script = "; echo '=='; ".join(" ".join(c) + " 2>/dev/null" for c in commands)
        parts = [p.strip() for p in self.run(["sh", "-c", script], check=False).stdout.split("==\n")]
        link, addr, r4, r6, rule4, rule6, neigh, nft = (json.loads(p or "[]") for p in parts[:8])

        def pick(rows, *keys):
            return sorted(json.dumps({k: r[k] for k in keys if k in r}, sort_keys=True) for r in rows)
        snap = {
            "links": pick(link, "ifname", "link_type", "address", "mtu", "master"),
            "addresses": sorted(f"{x['ifname']} {a['local']}/{a['prefixlen']}"
                                for x in addr for a in x["addr_info"]),
            "routes": pick(r4 + r6, "type", "dst", "gateway", "dev", "table", "protocol", "scope", "metric"),
            "rules": pick(rule4 + rule6, "priority", "src", "dst", "table", "iif", "oif", "fwmark"),
            "neighbours": pick([n for n in neigh if "PERMANENT" in n.get("state", [])], "dst", "dev", "lladdr"),
            # counters and handles are no state that anybody asked for
            "nftables": sorted(re.sub(r'"(bytes|packets|handle)": \d+', "", json.dumps(x, sort_keys=True))
                               for x in nft.get("nftables", [])
                               if "metainfo" not in x) if isinstance(nft, dict) else [],
            # flows of living sandboxes come and go as they like, and so does what a host tells its groups
            "conntrack": sorted(x for x in re.findall(r"src=\S+ dst=\S+", "".join(parts[8:]))
                                if not re.search(r"=(224\.|ff0)", x) and
                                not re.fullmatch(r"src=(198\.51\.|192\.0\.2\.|172\.30\.|127\.|172\.30\.|2001:db8|::1|fe80)\S* "
                                                 r"dst=(198\.51\.|192\.0\.2\.|172\.30\.|127\.|172\.30\.|2001:db8|::1|fe80)\S*", x) and not set(re.findall(r"=(\S+)", x)) & self.held_addresses()),
        }
        snap["status files"] = sorted(self.status_files())
        for daemon in (self.netmgrd, self.exec, self.nsd):
            if daemon.running:
                snap[f"descriptors of {daemon.name}"] = dict(sorted(daemon.fds().items()))
        with contextlib.suppress(sqlite3.OperationalError):
            snap["ledger"] = self.ledger()
        return snap

    @staticmethod
    def difference(before, after):
        lines = []
        for key in before:
            a, b = before[key], after.get(key)
            if a == b:
                continue
            if key.startswith("descriptors of "):
                # fewer is no leak: netmgrd connects again to a restarted nsd only when it needs it
                more = {k: (a.get(k, 0), n) for k, n in b.items() if n > a.get(k, 0)}
                lines += [f"{key}: more: {more}"] if more else []
            elif isinstance(a, list) and isinstance(b, list):
                lines += [f"{key}: gone: {x}" for x in a if x not in b]
                lines += [f"{key}: left: {x}" for x in b if x not in a]
            else:
                lines.append(f"{key}: {a} -> {b}")
        return lines

    def assert_nothing_left(self, baseline=None):
        before = baseline or self.baseline
        last = {}

        def same():
            last["diff"] = self.difference(before, self.snapshot())
            return not last["diff"]
        settle(same, lambda: "everything as it was at the start\n" + "\n".join(last["diff"]))

    @contextlib.contextmanager
    def unchanged(self):
        """Kernel, ledger, descriptors and given-out addresses are the same after the block."""
        before, held = self.snapshot(), self.held()
        yield
        self.assert_nothing_left(before)
        assert self.held() == held


def subnet_of(address, subnet):
    return ipaddress.ip_address(address.split("/")[0]) in ipaddress.ip_network(subnet)
