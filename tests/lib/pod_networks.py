# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pods that ask for networks by their annotations, as a runtime with Kubernetes passes them on.

    write_network(host, "blue", kind="bridge", subnet="10.98.1.0/24")      # networks.d/blue.conflist
    write_nad(host, "tenant", "red", {...})                                # networks.d/tenant-red.nad.json
    conf = annotated(routed(), {NETWORKS: "blue, tenant/red@red0"})
    host.add(conf, args=pod_args("tenant", "web-0"))
"""
import json
import os

NETWORKS = "k8s.v1.cni.cncf.io/networks"
DEFAULT_NETWORK = "v1.multus-cni.io/default-network"
DANM = "danm.io/interfaces"
GENIE = "cni"
OWNER = "org.netmgr1.owner"
CAPABILITY = "io.kubernetes.cri.pod-annotations"


def annotated(conf, annotations, **runtime):
    texts = {k: v if isinstance(v, str) else json.dumps(v) for k, v in annotations.items()}
    return {**conf, "capabilities": {CAPABILITY: True},
            "runtimeConfig": {**conf.get("runtimeConfig", {}), CAPABILITY: texts, **runtime}}


def pod_args(namespace="default", name="web", uid=None):
    args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME={name};K8S_POD_INFRA_CONTAINER_ID=x"
    return args + (f";K8S_POD_UID={uid}" if uid else "")


def write_file(host, name, text):
    """As an editor does it, so that a half of it is never read."""
    os.makedirs(host.networks_dir, exist_ok=True)
    with open(f"{host.networks_dir}/.{name}", "w") as f:
        f.write(text if isinstance(text, str) else json.dumps(text))
    os.chmod(f"{host.networks_dir}/.{name}", 0o644)
    os.rename(f"{host.networks_dir}/.{name}", f"{host.networks_dir}/{name}")


def plugin(kind, subnet=None, **keys):
    conf = {"type": "netmgr", "kind": kind, **keys}
    if subnet:
        conf["ipam"] = {"type": "local", "ranges": [[{"subnet": s}] for s in subnet.split()], **conf.get("ipam", {})}
    return conf


def write_list(host, name, *plugins, **keys):
    write_file(host, f"{name}.conflist", {"cniVersion": "1.0.0", "name": name, "plugins": list(plugins), **keys})


def write_network(host, name, kind="bridge", subnet=None, **keys):
    if kind == "bridge":
        keys.setdefault("isGateway", True)
    write_list(host, name, plugin(kind, subnet, **keys))


def manifest(namespace, name, config=None, annotations=None):
    """config: an object (a plugin, or a list), exact text, or None"""
    o = {"apiVersion": "k8s.cni.cncf.io/v1", "kind": "NetworkAttachmentDefinition",
         "metadata": {"namespace": namespace, "name": name}}
    if annotations:
        o["metadata"]["annotations"] = annotations
    if config is not None:
        o["spec"] = {"config": config if isinstance(config, str) else json.dumps(config)}
    return o


def write_nad(host, namespace, name, config=None, **keys):
    write_file(host, f"{namespace}-{name}.nad.json", manifest(namespace, name, config, **keys))


def reload(host):
    host.manager("Reload")


def finish(host):
    """The end of a test whose networks are files: they go first, since named networks keep their bridges."""
    for a in host.attachments:
        if a.live:
            a.delete().expect_ok()
    for name in os.listdir(host.networks_dir):
        os.unlink(f"{host.networks_dir}/{name}")
    reload(host)
    host.finish()


def interfaces(pod):
    """{name: link} of a sandbox, without lo"""
    return {x["ifname"]: x for x in pod.ip("-d", "link", "show") if x["ifname"] != "lo"}
