# SPDX-License-Identifier: LGPL-2.1-or-later
"""Debian's containerd with its CRI plugin and runc on a private Host, and a client for it.

containerd gets a pid and a mount namespace of its own besides the host's network: when its first
process is killed, all shims and containers end with it, and its mounts (cgroup2, libcni's cache
below /var/lib) are nobody else's. The image is made here from busybox; nothing is pulled.
"""
import base64
import contextlib
import hashlib
import io
import json
import os
import subprocess
import tarfile

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory
from netmgr_host import LIB, Daemon, Host, settle

IMAGE = "localhost/netmgr-test:1"
BUSYBOX = "/usr/bin/busybox"

CONFIG = """version = 2
root = "{dir}/root"
state = "/run/containerd"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "/run/containerd/containerd.sock"
  gid = {gid}
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{image}"
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{dir}/net.d"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
      BinaryName = "{lib}/runc-without-limits"
      SystemdCgroup = false
"""

# The first process: its own view of cgroups and of /var/lib. containerd is its child, so that containerd
# alone can be killed; it starts again on a word through the FIFO.
START = """set -e
umount -R /sys/fs/cgroup 2>/dev/null || true
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir "/sys/fs/cgroup/$2"
mount -t tmpfs tmpfs /var/lib
while true; do
    containerd --config "$1" || true
    read -r _ < "$3"
done
"""


def make_image(path):
    """A docker-archive of one layer with busybox under the names of its applets"""
    applets = subprocess.run([BUSYBOX, "--list"], stdout=subprocess.PIPE, text=True, check=True).stdout.split()
    layer = io.BytesIO()
    with tarfile.open(fileobj=layer, mode="w") as tar:
        for name in ("bin", "etc", "tmp", "proc", "sys", "dev"):
            d = tarfile.TarInfo(name)
            d.type, d.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(d)
        with open(BUSYBOX, "rb") as f:
            info = tarfile.TarInfo("bin/busybox")
            info.mode, info.size = 0o755, os.path.getsize(BUSYBOX)
            tar.addfile(info, f)
        for name in applets:
            if name != "busybox":
                link = tarfile.TarInfo("bin/" + name)
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        passwd = b"root:x:0:0:root:/:/bin/sh\n"
        info = tarfile.TarInfo("etc/passwd")
        info.mode, info.size = 0o644, len(passwd)
        tar.addfile(info, io.BytesIO(passwd))
    digest = hashlib.sha256(layer.getvalue()).hexdigest()
    config = json.dumps({
        "architecture": os.uname().machine.replace("x86_64", "amd64").replace("aarch64", "arm64"), "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Entrypoint": ["/bin/sleep", "2147483647"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + digest]},
        "history": [{"created": "1970-01-01T00:00:00Z"}]}).encode()
    files = {f"{digest}/layer.tar": layer.getvalue(), "config.json": config, "manifest.json": json.dumps(
        [{"Config": "config.json", "RepoTags": [IMAGE], "Layers": [f"{digest}/layer.tar"]}]).encode()}
    with tarfile.open(path, "w") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


class Client:
    """Any method of cri.proto: client.call("RunPodSandbox", {...}) -> dictionary"""

    def __init__(self, address, workdir):
        descriptor = f"{workdir}/cri.pb"
        subprocess.run(["protoc", f"--proto_path={LIB}", f"--descriptor_set_out={descriptor}", "cri.proto"], check=True)
        with open(descriptor, "rb") as f:
            files = descriptor_pb2.FileDescriptorSet.FromString(f.read())
        pool = descriptor_pool.DescriptorPool()
        for file in files.file:
            pool.Add(file)
        factory = message_factory.MessageFactory(pool)
        self.channel = grpc.insecure_channel(address, options=[("grpc.default_authority", "localhost")])
        self.methods = {}
        for service in ("RuntimeService", "ImageService"):
            for m in pool.FindServiceByName("runtime.v1." + service).methods:
                reply = factory.GetPrototype(m.output_type)
                self.methods[m.name] = (factory.GetPrototype(m.input_type), self.channel.unary_unary(
                    f"/runtime.v1.{service}/{m.name}", request_serializer=lambda x: x.SerializeToString(),
                    response_deserializer=reply.FromString))

    def call(self, method, request=None, timeout=120):
        kind, function = self.methods[method]
        reply = function(json_format.ParseDict(request or {}, kind()), timeout=timeout, wait_for_ready=True)
        return json_format.MessageToDict(reply, preserving_proto_field_name=True, including_default_value_fields=True)

    def close(self):
        self.channel.close()


class CriPod:
    """A pod sandbox with one container that sleeps"""

    def __init__(self, runtime, name, annotations=None, ports=()):
        self.runtime, self.name = runtime, name
        call = runtime.client.call
        self.config = {
            "metadata": {"name": name, "namespace": "tests", "uid": f"uid-{name}"}, "hostname": name,
            "log_directory": f"{runtime.dir}/logs", "labels": {"app": "test"},
            "annotations": annotations or {}, **({"port_mappings": list(ports)} if ports else {}),
            "linux": {"cgroup_parent": "/" + runtime.cgroup}}
        self.id = call("RunPodSandbox", {"config": self.config})["pod_sandbox_id"]
        runtime.pods.append(self)
        self.container = None

    def start_container(self):
        call = self.runtime.client.call
        self.container = call("CreateContainer", {
            "pod_sandbox_id": self.id, "sandbox_config": self.config,
            "config": {"metadata": {"name": "main"}, "image": {"image": IMAGE}, "log_path": self.name + ".log",
                       "command": ["/bin/sleep", "2147483647"], "linux": {}}})["container_id"]
        call("StartContainer", {"container_id": self.container})
        return self

    @property
    def ips(self):
        """As PodSandboxStatus tells them"""
        network = self.runtime.client.call("PodSandboxStatus", {"pod_sandbox_id": self.id})["status"]["network"]
        return [network["ip"]] + [x["ip"] for x in network["additional_ips"]]

    def exec(self, *argv):
        r = self.runtime.client.call("ExecSync", {"container_id": self.container, "cmd": list(argv), "timeout": 60})
        text = [base64.b64decode(r[k]).decode(errors="replace") for k in ("stdout", "stderr")]
        return r["exit_code"], "".join(text)

    def wait_ping(self, address):
        said = []

        def once():
            said.append(self.exec("ping", "-c1", "-W1", address))
            return said[-1][0] == 0
        settle(once, lambda: f"ping {address} in {self.name}: {said[-1]}")

    def stop(self):
        self.runtime.client.call("StopPodSandbox", {"pod_sandbox_id": self.id})

    def remove(self):
        self.runtime.client.call("RemovePodSandbox", {"pod_sandbox_id": self.id})
        self.runtime.pods.remove(self)


class Containerd(Daemon):
    def __init__(self, host, conflist, cni_bin=None, conflist_name="10-netmgr.conflist"):
        self.dir = f"{host.dir}/containerd"
        self.cgroup = f"netmgr-test-{host.holder.pid}"
        self.pods = []
        for name in ("net.d", "logs"):
            os.makedirs(f"{self.dir}/{name}")
        with open(f"{self.dir}/net.d/{conflist_name}", "w") as f:
            json.dump(conflist, f)
        # an overlay cannot lie on an overlay
        on = subprocess.run(["stat", "-f", "-c", "%T", self.dir], stdout=subprocess.PIPE, text=True).stdout.strip()
        with open(f"{self.dir}/config.toml", "w") as f:
            f.write(CONFIG.format(dir=self.dir, image=IMAGE, lib=LIB, cni_bin=cni_bin or f"{host.dir}/cni",
                                  gid=host.run(["id", "-g", "netmgr-cri"]).stdout.strip(),
                                  snapshotter="native" if on == "overlayfs" else "overlayfs"))
        super().__init__(host, "containerd", [
            "setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork",
            "--kill-child", "--mount-proc", "sh", "-c", START, "containerd", f"{self.dir}/config.toml", self.cgroup,
            f"{self.dir}/again"])
        os.mkfifo(f"{self.dir}/again")
        self.client = None

    def start(self):
        super().start()  # containerd says READY=1
        make_image(f"{self.dir}/image.tar")
        self.host.run(["ctr", "-a", "/run/containerd/containerd.sock", "-n", "k8s.io", "images", "import",
                       f"{self.dir}/image.tar"])
        self.client = Client(f"unix:/proc/{self.host.holder.pid}/root/run/containerd/containerd.sock", self.dir)
        self.wait_ready()
        return self

    def conditions(self):
        try:
            status = self.client.call("Status")["status"]
        except grpc.RpcError as e:
            # the connection to the one that was killed a moment ago
            return {"RuntimeReady": e.code().name}
        return {c["type"]: c["status"] or c["message"] for c in status["conditions"]}

    def daemon_pid(self):
        """The process of containerd itself, None when it does not run"""
        found = subprocess.run(["pgrep", "-P", str(self.process.pid)], stdout=subprocess.PIPE, text=True).stdout.split()
        found = found and subprocess.run(["pgrep", "-x", "-P", found[0], "containerd"], stdout=subprocess.PIPE,
                                         text=True).stdout.split()
        return int(found[0]) if found else None

    def kill_daemon(self):
        """kill -9 for containerd alone: shims and containers go on"""
        os.kill(self.daemon_pid(), 9)
        settle(lambda: self.daemon_pid() is None, "containerd is dead")

    def start_daemon(self):
        with open(f"{self.dir}/again", "w") as f:
            f.write("again\n")
        self.wait_ready()

    def wait_ready(self):
        settle(lambda: self.conditions() == {"RuntimeReady": True, "NetworkReady": True},
               lambda: f"containerd is ready: {self.conditions()}")
        settle(lambda: "image" in self.client.call("ImageStatus", {"image": {"image": IMAGE}}),
               "the image is in the CRI plugin's store")

    def pod(self, name, annotations=None, ports=()):
        return CriPod(self, name, annotations, ports)

    def remove_all(self):
        """Stops and removes every sandbox that the runtime knows, half-made ones too."""
        for item in self.client.call("ListPodSandbox").get("items", []):
            self.client.call("StopPodSandbox", {"pod_sandbox_id": item["id"]})
            self.client.call("RemovePodSandbox", {"pod_sandbox_id": item["id"]})

    def stop(self, sig=9):
        """Ends containerd with every shim and container: the pid namespace ends with its first process."""
        if self.client:
            self.client.close()
            self.client = None
        if not self.running:
            return 0
        status = super().stop(sig)
        self.remove_cgroups()
        return status

    def remove_cgroups(self):
        """The cgroup2 hierarchy is the machine's: what was made in it goes."""
        script = ("mount -t cgroup2 cgroup2 /sys/fs/cgroup && cd /sys/fs/cgroup && "
                  "[ ! -d \"$1\" ] || find \"$1\" -depth -type d -exec rmdir {} +")

        def gone():
            r = self.host.run(["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh", self.cgroup],
                              check=False)
            return r.returncode == 0
        settle(gone, f"cgroup {self.cgroup} is empty")


@contextlib.contextmanager
def containerd_host(conflist, plugins=lambda host: None):
    """(Host, Containerd), both ready. plugins(host): the runtime's plugin directory, None: netmgr's own."""
    host, runtime = Host(), None
    try:
        host.start()
        own = plugins(host)
        runtime = Containerd(host, conflist, **({"cni_bin": own} if own else {}))
        runtime.start()
        host.baseline = host.snapshot()
        yield host, runtime
    except BaseException:
        print(host.logs() + (runtime.text() if runtime else ""))
        raise
    finally:
        if runtime:
            runtime.stop()
        problems = host.close()
    assert not problems, "\n".join(problems)
