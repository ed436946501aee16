/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The link of an ADD: what it stands on (asked for on a worker), its MTU and its MAC addresses. */

#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>

#include "base/parse.h"
#include "base/strv.h"
#include "core/nic.h"
#include "core/op-add.h"

/* The link that the default route leaves by. */
static int find_default_link(NlSocket *s, NlLink *ret, Error *e) {
        /* Documentation addresses: only looked up, and matched by nothing but the default route. */
        static const char *const far[] = { "203.0.113.1", "2001:db8::1" };
        InAddr dst, source;
        uint32_t ifindex;

        for (size_t i = 0; i < ELEMENTSOF(far); i++)
                if (in_addr_parse(far[i], &dst) >= 0 &&
                    kernel_get_route(s, &dst, &ifindex, &source) >= 0 &&
                    kernel_get_link_by_index(s, ifindex, ret) >= 0 && !(ret->flags & IFF_LOOPBACK))
                        return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "master: there is no default route whose link could be taken; name one");
}

/* By the MAC that the network knows it by. */
static int find_master_by_mac(NlSocket *s, const char *where, const MacAddr *mac, NlLink *ret,
                              Error *e) {
        int r = nic_find_by_mac(s, mac, ret);

        if (r == -ENODEV)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "master: no interface in %s has the MAC address %s", where,
                                  MAC_STR(mac));
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "looking for master %s in %s",
                                        MAC_STR(mac), where)
                     : 0;
}

/* The reference plugin: behind others in a chain it stands on the one interface that they have made, and
 * takes their addresses over when it has no ipam of its own. */
int add_read_chained(AddOp *op, Error *e) {
        const NetConf *c = op->attachment->network->conf;

        if (c->plugin != NET_PLUGIN_IPVLAN || !op->conf->prev_result || c->ipam != NET_IPAM_NONE)
                return 0;
        int r = cni_result_parse(op->conf->prev_result, "prevResult", op->conf->cni_version,
                                 &op->ipam, e);
        if (r < 0)
                return r;
        op->has_ipam = true;
        if (op->below.master[0] || op->ipam.n_interfaces != 1)
                return 0;
        if (!ifname_is_valid(op->ipam.interfaces[0].name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "prevResult.interfaces[0].name: \"%.64s\" cannot be the master",
                                  strempty(op->ipam.interfaces[0].name));
        snprintf(op->below.master, sizeof(op->below.master), "%s", op->ipam.interfaces[0].name);
        return 0;
}

int add_find_master(AddOp *op, WorkerContext *w, Error *e) {
        bool inside = op->below.link_in_container;
        NlSocket *s = inside ? op->pod : w->host;
        const char *where = inside ? "the sandbox" : "the host's netns";

        if (!mac_is_zero(&op->below.master_mac))
                return find_master_by_mac(s, where, &op->below.master_mac, &op->master, e);
        if (!op->below.master[0])
                return find_default_link(s, &op->master, e);
        int r = kernel_get_link(s, op->below.master, &op->master);
        if (r == -ENODEV)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "master: \"%s\" is no interface in %s; found were others only",
                                  op->below.master, where);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "looking for master %s in %s",
                                        op->below.master, where)
                     : 0;
}

int add_list_devices(AddOp *op) {
        const NetConf *net = op->attachment->network->conf;
        /* runtimeConfig.deviceID is the call's own, "device" and the like the network's. */
        const NetDevice *d = op->conf->device.pci_bus_id ? &op->conf->device : &net->device;

        if (op->kind != NET_KIND_HOST_DEVICE)
                return 0;
        op->device = *d;
        op->device.kernel_path = d->kernel_path ? strdup(d->kernel_path) : NULL;
        op->device.pci_bus_id = d->pci_bus_id ? strdup(d->pci_bus_id) : NULL;
        if ((d->kernel_path && !op->device.kernel_path) ||
            (d->pci_bus_id && !op->device.pci_bus_id))
                return -ENOMEM;
        return op->manager->conf.protected_interfaces
                               ? strv_copy(op->manager->conf.protected_interfaces, &op->keep)
                               : 0;
}

/* What the kernel gives a link that nobody has chosen an MTU for. The reference plugins leave it at that;
 * ours take the way out as the measure. */
#define MTU_OF_LINKS 1500

/* What was seen of a NIC that is on its way home may be anything in between. */
static bool is_nic_of(const Attachment *other, const NicState *nic) {
        char on_the_way[IF_NAMESIZE];

        nic_way_name(other->spec.id, on_the_way);
        return nic_state_is_same(other->spec.nic, nic) || streq(nic->name, on_the_way) ||
               (other->state == ATTACHMENT_RELEASING && streq(nic->name, other->spec.nic->name));
}

int add_check_nic(const AddOp *op, const NicState *nic, Error *e) {
        const Attachment *other;

        MAP_FOREACH (other, op->manager->attachments) {
                if (other == op->attachment || !nic || !other->spec.nic || !is_nic_of(other, nic))
                        continue;
                if (other->state == ATTACHMENT_RELEASING)
                        return error_setf(e, ERROR_TRY_AGAIN,
                                          "device: %s is on its way home from sandbox %s",
                                          other->spec.nic->name, other->sandbox->id);
                return error_setf(e, ERROR_IN_USE,
                                  "device: %s is lent to sandbox %s already, as %s", nic->name,
                                  other->sandbox->id, other->spec.ifname);
        }
        return 0;
}

/* Until the move its name and place are free for another ADD: the object decides. */
static int take_nic(AddOp *op, Error *e) {
        int r = add_check_nic(op, op->nic, e);

        if (r >= 0)
                op->attachment->spec.nic = TAKE_PTR(op->nic);
        return r;
}

static int decide_mtu(AddOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        const Network *n = op->attachment->network;
        const NetConf *c = n->conf;

        s->mtu = c->mtu;
        if (s->nic && s->mtu == 0)
                s->mtu = s->nic->mtu;
        if (!kind_has_master(s->kind)) {
                if (s->mtu == 0)
                        s->mtu = c->plugin == NET_PLUGIN_NETMGR ? n->mtu : MTU_OF_LINKS;
                return 0;
        }
        if (s->mtu == 0)
                s->mtu = op->master.mtu;
        if (s->mtu > op->master.mtu)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "mtu: %u is more than the %u of master %s; wanted is 0 to %u",
                                  s->mtu, op->master.mtu, op->master.name, op->master.mtu);
        return 0;
}

/* Attachments without special wishes, by far the most, do without the struct. */
static bool link_is_plain(NetKind kind, const NetLinkConf *l) {
        if (kind == NET_KIND_BRIDGE)
                return l->vlan == 0 && l->n_trunks == 0 && !l->preserve_default_vlan &&
                       !l->port_isolation && !l->mac_spoof_check && !l->enable_dad &&
                       !l->no_container_interface;
        return kind == NET_KIND_PTP || kind == NET_KIND_ROUTED || kind == NET_KIND_LOOPBACK ||
               kind == NET_KIND_FOREIGN;
}

static int copy_link(AddOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        const NetLinkConf *l = &op->attachment->network->conf->link;

        if (link_is_plain(s->kind, l))
                return 0;
        s->link = new0(NetLinkConf, 1);
        if (!s->link)
                return error_oom(e);
        *s->link = *l;
        if (kind_has_master(s->kind))
                memcpy(s->link->master, op->master.name, sizeof(s->link->master));
        return 0;
}

/* Two with one MAC on a bridge take each other's packets, and whoever may choose his could take anybody's. The
 * reference plugin lets them. */
static int check_mac(const AddOp *op, const MacAddr *mac, Error *e) {
        const Attachment *mine = op->attachment, *other;
        const Network *n = mine->network;

        if (n->conf->plugin != NET_PLUGIN_NETMGR || !n->bridge[0])
                return 0;
        if (memcmp(mac, &n->bridge_mac, sizeof(*mac)) == 0)
                return error_setf(e, ERROR_IN_USE, "mac: %s is that of bridge %s; choose another",
                                  MAC_STR(mac), n->bridge);
        MAP_FOREACH (other, op->manager->attachments)
                if (other != mine && other->state != ATTACHMENT_RELEASING &&
                    streq(other->network->bridge, n->bridge) &&
                    memcmp(mac, &other->spec.mac, sizeof(*mac)) == 0)
                        return error_setf(e, ERROR_IN_USE,
                                          "mac: %s is that of interface %s of sandbox %s on bridge "
                                          "%s; choose another, or delete that one",
                                          MAC_STR(mac), other->spec.ifname, other->sandbox->id,
                                          n->bridge);
        return 0;
}

static int decide_macs(AddOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        MacAddr wanted = netconf_choose_mac(op->attachment->network->conf, op->conf, &op->args);
        int r = 0;

        if (s->kind == NET_KIND_LOOPBACK || s->kind == NET_KIND_FOREIGN)
                return 0;
        /* The kernel gives it that of its master, whatever is asked for. */
        if (spec_shares_mac(s) ||
            (s->kind == NET_KIND_MACVLAN && s->link->mode == MACVLAN_MODE_PASSTHRU)) {
                s->mac = op->master.mac;
                return 0;
        }
        if (!mac_is_zero(&wanted) && (r = check_mac(op, &wanted, e)) < 0)
                return r;
        if (mac_is_zero(&wanted) && s->nic)
                s->mac = s->nic->mac;
        else if (mac_is_zero(&wanted))
                r = mac_random(&s->mac);
        else
                s->mac = wanted;
        if (r >= 0 && kind_has_host_end(s->kind))
                r = mac_random(&s->host_mac);
        return r < 0 ? error_set_errnof(e, ERROR_INTERNAL, r, "random MAC addresses") : 0;
}

int add_decide_link(AddOp *op, Error *e) {
        int r = take_nic(op, e);
        if (r >= 0)
                r = decide_mtu(op, e);
        if (r >= 0)
                r = copy_link(op, e);
        return r < 0 ? r : decide_macs(op, e);
}
