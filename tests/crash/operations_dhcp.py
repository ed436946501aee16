# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rows of the crash grid with a DHCP server: see operations.py. Each makes its own link and servers, since the
grid compares the host with what was there before."""
import json

from dhcp_lan import Lan
from operations import Add, Attached


class DhcpMixin:
    def prepare(self):
        self.lan = Lan(self.host)
        self.lan.__enter__()
        self.serve()
        self.conf = self.lan.conf("crash-dhcp")
        super().prepare()

    def serve(self):
        self.lan.udhcpd()

    def remove_pod(self):
        super().remove_pod()
        self.lan.__exit__(None, None, None)


class AddDhcp(DhcpMixin, Add):
    name = "add-dhcp"


class DelDhcp(DhcpMixin, Attached):
    name = "del-dhcp"

    def argv(self):
        return self.cni("DEL", {**self.conf, "prevResult": self.reply.json})


class LeaseChanged(DhcpMixin, Attached):
    """The server has another router at the next renewal: the process only waits until the sandbox has it."""
    name = "lease-changed"

    def serve(self):
        self.lan.udhcpd(lease=4, options=["router 10.9.0.254"])

    def argv(self):
        return ["sh", "-c", f"until ip -n {self.pod.name} route show default | grep -q 10.9.0.253; "
                            "do sleep 0.05; done"], None, ""

    def start(self):
        self.lan.udhcpd(lease=4, options=["router 10.9.0.253"], fresh=False)
        return super().start()

    def finish(self, outcome):
        self.retry()
        [row] = self.host.sql("SELECT result FROM attachment WHERE network = 'crash-dhcp'")
        assert json.loads(row["result"])["ips"][0]["gateway"] == "10.9.0.253"
        self.delete()
        self.remove_pod()


OPERATIONS = [AddDhcp, DelDhcp, LeaseChanged]
