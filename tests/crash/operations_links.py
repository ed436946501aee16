# SPDX-License-Identifier: LGPL-2.1-or-later
"""Operations of the crash tests with interfaces that the host has no end of, and with its own NICs."""
import json

import features
from operations import Add, DelRouted

V4 = {"type": "host-local", "ranges": [[{"subnet": "10.98.7.0/24"}], [{"subnet": "fd98:7::/64"}]]}


def drop_in(plugin, **keys):
    return {"cniVersion": "1.0.0", "name": f"crash-{plugin}", "type": plugin, "ipam": V4, **keys}


class WithUplink:
    """A link of the host, made before and taken away after."""
    uplink = "cu0"

    def prepare(self):
        self.host.run(["ip", "link", "add", self.uplink, "type", "veth", "peer", "name", self.uplink + "p"])
        for name in (self.uplink, self.uplink + "p"):
            self.host.run(["ip", "link", "set", name, "up"])
        super().prepare()

    def remove_pod(self):
        super().remove_pod()
        self.host.run(["ip", "link", "del", self.uplink])


class AddPtp(Add):
    name, plugin = "add-ptp", "ptp"
    conf = drop_in("ptp", ipMasq=True)


class AddTap(Add):
    name, plugin = "add-tap", "tap"
    conf = drop_in("tap", mac="02:00:00:00:00:31")


class AddMacvlan(WithUplink, Add):
    name, plugin = "add-macvlan", "macvlan"
    conf = drop_in("macvlan", master="cu0")


class LentNic(WithUplink):
    def remove_pod(self):
        link = json.loads(self.host.run(["ip", "-j", "link", "show", self.uplink]).stdout)[0]
        assert "UP" in link["flags"] and "ifalias" not in link, f"the NIC is not what it was: {link}"
        super().remove_pod()


class AddHostDevice(LentNic, Add):
    name, plugin = "add-host-device", "host-device"
    conf = drop_in("host-device", device="cu0")


class AddEni(LentNic, Add):
    """With the route that prohibits the metadata service."""
    name, plugin = "add-vpc-eni", "vpc-eni"
    conf = {"cniVersion": "1.0.0", "name": "crash-vpc-eni", "type": "vpc-eni", "eniName": "cu0",
            "eniIPAddresses": ["10.98.7.5/24", "fd98:7::5/64"], "gatewayIPAddresses": ["10.98.7.1"],
            "blockInstanceMetadata": True}


class DelMacvlan(WithUplink, DelRouted):
    name, plugin, conf = "del-macvlan", "macvlan", AddMacvlan.conf


class DelHostDevice(LentNic, DelRouted):
    name, plugin, conf = "del-host-device", "host-device", AddHostDevice.conf


class AddVlanPort(Add):
    """A port of a bridge with VLANs, and the VLAN's gateway."""
    name, plugin = "add-vlan-port", "bridge"
    conf = drop_in("bridge", bridge="cb0", vlan=7, isGateway=True)

    def remove_pod(self):
        super().remove_pod()
        self.host.run(["ip", "link", "del", "cb0"])  # that of a drop-in stays


# Failpoints that only a kernel with VLANs on bridges passes.
VLANS_LACKING = features.lacking("bridge-vlan-filtering")
OUT_OF_REACH = {"nl-bridge-vlan-add", "nl-bridge-vlan-del"} if VLANS_LACKING else set()

OPERATIONS = [AddPtp, AddTap, AddMacvlan, AddHostDevice, AddEni, DelMacvlan, DelHostDevice,
              *([] if VLANS_LACKING else [AddVlanPort])]
