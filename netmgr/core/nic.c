/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Finding, lending and taking back interfaces of the host; see nic.h. On workers. */

#include "core/nic.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"

/* Longest path of a device in /sys that is looked at. */
#define SYSFS_PATH_MAX 512

/* ---- which one -------------------------------------------------------------------------------- */

/* "/sys/devices/pci0000:00/0000:00:03.0/virtio0": the device behind the link. False: none is known. */
static bool device_path(const NlLink *l, char ret[static SYSFS_PATH_MAX]) {
        char link[160], *path;

        if (!l->parent_bus[0] || strchr(l->parent_bus, '/') || strchr(l->parent_name, '/'))
                return false;
        snprintf(link, sizeof(link), "/sys/bus/%s/devices/%s", l->parent_bus, l->parent_name);
        path = realpath(link, NULL);
        bool found = path && strlen(path) < SYSFS_PATH_MAX;
        if (found)
                memcpy(ret, path, strlen(path) + 1);
        free(path);
        return found;
}

/* A virtio interface's parent is "virtio0", below the PCI device that people name. */
static bool path_has_component(const char *path, const char *component) {
        size_t n = strlen(component);

        for (const char *p = path; (p = strchr(p, '/')); p++)
                if (strncmp(p + 1, component, n) == 0 && (p[1 + n] == '/' || p[1 + n] == '\0'))
                        return true;
        return false;
}

static bool is_meant(const NlLink *l, const NetDevice *d) {
        char path[SYSFS_PATH_MAX];

        if (d->name[0])
                return streq(l->name, d->name);
        if (!mac_is_zero(&d->mac))
                return memcmp(&l->mac, &d->mac, sizeof(MacAddr)) == 0;
        if (d->pci_bus_id && streq(l->parent_name, d->pci_bus_id))
                return true;
        if (!device_path(l, path))
                return false;
        if (d->pci_bus_id)
                return path_has_component(path, d->pci_bus_id);
        char *wanted = d->kernel_path ? realpath(d->kernel_path, NULL) : NULL;
        bool same = wanted && streq(wanted, path);
        free(wanted);
        return same;
}

/* Key and value of what was asked for; in `buf`. */
static const char *wish_text(const NetDevice *d, char *buf, size_t size) {
        snprintf(buf, size, "%s: \"%.200s\"",
                 d->name[0]       ? "device"
                 : d->kernel_path ? "kernelpath"
                 : d->pci_bus_id  ? "pciBusID"
                                  : "hwaddr",
                 d->name[0]       ? d->name
                 : d->kernel_path ? d->kernel_path
                 : d->pci_bus_id  ? d->pci_bus_id
                                  : MAC_STR(&d->mac));
        return buf;
}

/* A driver that gives the device to user space (DPDK) leaves no link. */
static bool has_user_space_driver(const NetDevice *d) {
        static const char *const drivers[] = { "vfio-pci", "uio_pci_generic", "igb_uio" };
        char link[160], target[SYSFS_PATH_MAX];

        if (!d->pci_bus_id || strchr(d->pci_bus_id, '/'))
                return false;
        snprintf(link, sizeof(link), "/sys/bus/pci/devices/%.64s/driver", d->pci_bus_id);
        ssize_t n = readlink(link, target, sizeof(target) - 1);
        if (n < 0)
                return false;
        target[n] = '\0';
        const char *slash = strrchr(target, '/');
        for (size_t i = 0; i < ELEMENTSOF(drivers); i++)
                if (streq(slash ? slash + 1 : target, drivers[i]))
                        return true;
        return false;
}

/* More than enough for a VLAN on a bridge on a bond; links can be stacked in a circle by way of veth pairs. */
#define STACK_MAX 8

/* `upper` works by it: is it, or has it as a port, or stands on it. */
static bool works_by(const NlDump *d, uint32_t upper, const NlLink *l, unsigned depth) {
        if (upper == l->ifindex)
                return true;
        for (size_t i = 0; i < d->n_links && depth < STACK_MAX; i++) {
                const NlLink *below = &d->links[i];
                if (below->master == upper && works_by(d, below->ifindex, l, depth + 1))
                        return true;
                if (below->ifindex == upper && below->link && below->link_netnsid < 0 &&
                    !streq(below->kind, "veth") && works_by(d, below->link, l, depth + 1))
                        return true;
        }
        return false;
}

static bool is_ours(const char *name) {
        static const char *const prefixes[] = { "nmg", "nmi", "nmb-", "nmv-", "nmw-" };

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (strncmp(name, prefixes[i], strlen(prefixes[i])) == 0)
                        return true;
        return false;
}

/* What the host itself lives by is not lent. */
static int check_lendable(const NlDump *d, const NlLink *l, char *const *keep, Error *e) {
        if (l->flags & IFF_LOOPBACK)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "device: %s is the loopback interface",
                                  l->name);
        if (is_ours(l->name))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "device: %s is an interface of netmgr; wanted is one of the host's own",
                                l->name);
        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].dst.length == 0 && d->routes[i].ifindex != 0 &&
                    works_by(d, d->routes[i].ifindex, l, 0))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "device: the host's default route leaves by %s; wanted is an "
                                        "interface that the host can do without",
                                        l->name);
        for (char *const *p = keep; p && *p; p++)
                if (fnmatch(*p, l->name, 0) == 0)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "device: %s is protected by ProtectedInterfaces=%s of "
                                          "netmgr.conf",
                                          l->name, *p);
        return 0;
}

static int capture(NlSocket *s, const NlDump *d, const NlLink *l, NicState **ret, Error *e) {
        _cleanup_(nic_state_freep) NicState *n = new0(NicState, 1);

        if (!n || !(n->addresses = new0(InPrefix, NIC_ADDRESSES_MAX)))
                return error_oom(e);
        memcpy(n->name, l->name, sizeof(n->name));
        memcpy(n->kind, l->kind, sizeof(n->kind));
        memcpy(n->parent_bus, l->parent_bus, sizeof(n->parent_bus));
        memcpy(n->parent_name, l->parent_name, sizeof(n->parent_name));
        if (l->has_perm_mac)
                n->perm_mac = l->perm_mac;
        n->mac = l->mac;
        n->mtu = l->mtu;
        n->txqlen = l->txqlen;
        n->up = l->flags & IFF_UP;
        n->promisc = l->flags & IFF_PROMISC;
        n->allmulti = l->flags & IFF_ALLMULTI;
        for (size_t i = 0; i < d->n_addrs; i++) {
                const NlAddr *a = &d->addrs[i];
                if (a->ifindex != l->ifindex || a->scope == RT_SCOPE_LINK)
                        continue;
                if (n->n_addresses >= NIC_ADDRESSES_MAX)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "device: %s has more than %u addresses", l->name,
                                          NIC_ADDRESSES_MAX);
                n->addresses[n->n_addresses++] = a->address;
        }
        int r = kernel_get_alias(s, l->ifindex, &n->alias);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "reading the alias of %s", l->name);
        *ret = TAKE_PTR(n);
        return 0;
}

int nic_find(WorkerContext *w, const NetDevice *device, char *const *keep, NicState **ret,
             Error *e) {
        const NlLink *found = NULL;
        NlDump d = { 0 };
        char wish[256];

        int r = kernel_dump(w->host, NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links");
        for (size_t i = 0; i < d.n_links; i++)
                if (is_meant(&d.links[i], device)) {
                        found = &d.links[i];
                        break;
                }
        if (found) {
                r = check_lendable(&d, found, keep, e);
                if (r >= 0)
                        r = capture(w->host, &d, found, ret, e);
        } else if (has_user_space_driver(device))
                *ret = NULL;
        else
                r = error_setf(e, ERROR_INVALID_ARGUMENT, "%s: no interface of the host is that",
                               wish_text(device, wish, sizeof(wish)));
        kernel_dump_clear(&d);
        return r;
}

int nic_find_by_mac(NlSocket *s, const MacAddr *mac, NlLink *ret) {
        static const char *const upper[] = { "vlan", "ipvlan", "macvlan", "macvtap", "bridge" };
        const NlLink *found = NULL;
        NlDump d = { 0 };

        int r = kernel_dump(s, NL_DUMP_LINKS, &d);
        if (r < 0)
                return r;
        for (size_t i = 0; i < d.n_links; i++) {
                const NlLink *l = &d.links[i];
                bool lent = memcmp(&l->mac, mac, sizeof(*mac)) != 0;

                for (size_t k = 0; k < ELEMENTSOF(upper); k++)
                        lent |= streq(l->kind, upper[k]);
                if (!lent && (!found || l->ifindex < found->ifindex))
                        found = l;
        }
        if (found)
                *ret = *found;
        ret->alias = NULL; /* the dump's */
        kernel_dump_clear(&d);
        return found ? 0 : -ENODEV;
}

/* ---- there and back --------------------------------------------------------------------------- */

static NicState state_of(const NlLink *l) {
        NicState n = { .mac = l->mac };

        memcpy(n.name, l->name, sizeof(n.name));
        memcpy(n.kind, l->kind, sizeof(n.kind));
        memcpy(n.parent_bus, l->parent_bus, sizeof(n.parent_bus));
        memcpy(n.parent_name, l->parent_name, sizeof(n.parent_name));
        if (l->has_perm_mac)
                n.perm_mac = l->perm_mac;
        return n;
}

/* One without identity: the MAC may be its own, or the sandbox's. */
static bool could_be(const NlLink *l, const AttachmentSpec *s) {
        return streq(l->kind, s->nic->kind) &&
               (memcmp(&l->mac, &s->nic->mac, sizeof(MacAddr)) == 0 ||
                memcmp(&l->mac, &s->mac, sizeof(MacAddr)) == 0);
}

/* In a dump: the device, whatever it is called now. Others may have the MAC of one without identity (all VLANs of
 * a NIC have its): that one needs one of our names for it, or, where nobody else would put one, to be the only. */
static const NlLink *find_same(const NlDump *d, const AttachmentSpec *s, const char *name,
                               const char *other_name, bool by_mac) {
        const char *const names[] = { name, other_name };
        bool known = nic_state_has_identity(s->nic);
        const NlLink *found = NULL;
        size_t n = 0;

        for (size_t i = 0; i < d->n_links && known; i++) {
                NicState now = state_of(&d->links[i]);
                if (nic_state_is_same(s->nic, &now))
                        return &d->links[i];
        }
        for (size_t k = 0; k < ELEMENTSOF(names) && !known; k++)
                for (size_t i = 0; i < d->n_links; i++)
                        if (streq(d->links[i].name, names[k]) && could_be(&d->links[i], s))
                                return &d->links[i];
        for (size_t i = 0; i < d->n_links && !known && by_mac; i++)
                if (could_be(&d->links[i], s)) {
                        found = &d->links[i];
                        n++;
                }
        return n == 1 ? found : NULL;
}

/* 0 and *ret_ifindex 0: it is not there. inside: in the sandbox; else on the host. */
static int look_for(NlSocket *s, const AttachmentSpec *spec, bool inside, uint32_t *ret_ifindex,
                    Error *e) {
        char on_the_way[IF_NAMESIZE];
        NlDump d = { 0 };

        int r = kernel_dump(s, NL_DUMP_LINKS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", spec->nic->name);
        nic_way_name(spec->id, on_the_way);
        const NlLink *l = find_same(&d, spec, on_the_way, inside ? spec->ifname : spec->nic->name,
                                    inside);
        *ret_ifindex = l ? l->ifindex : 0;
        kernel_dump_clear(&d);
        return 0;
}

static NlOp set_link(uint32_t ifindex, NlLinkMask mask, const char *what) {
        NlOp op = { .type = NL_LINK_SET, .what = what };

        op.link.ifindex = (int32_t) ifindex;
        op.link.mask = mask;
        return op;
}

static int carry_out(NlSocket *s, const NlOp *ops, size_t n, const char *name, Error *e) {
        NlApplied applied;

        int r = kernel_apply(s, ops, n, &applied);
        if (r >= 0)
                return 0;
        return error_set_errnof(e, ERROR_KERNEL, r, "%s: the kernel refused to %s", name,
                                applied.failed < n ? ops[applied.failed].what : "answer");
}

int nic_lend(WorkerContext *w, const AttachmentSpec *s, int netns_fd, NlSocket *pod,
             uint32_t *ret_ifindex, Error *e) {
        uint32_t ifindex;
        NlLink link;

        int r = look_for(w->host, s, false, &ifindex, e);
        if (r < 0)
                return r;
        if (ifindex == 0)
                return error_setf(e, ERROR_KERNEL, "%s has left the host meanwhile", s->nic->name);
        NlOp ops[] = { set_link(ifindex, NL_LINK_UP, "take it down"),
                       set_link(ifindex, NL_LINK_ALIAS, "note its name in the alias"),
                       set_link(ifindex, NL_LINK_NETNS | NL_LINK_NAME,
                                "move it into the sandbox") };
        /* For people who look into the sandbox, as the reference plugin does it; nothing reads it. */
        ops[1].link.alias = s->nic->name;
        ops[2].link.netns_fd = netns_fd;
        memcpy(ops[2].link.new_name, s->ifname, sizeof(ops[2].link.new_name));
        r = carry_out(w->host, ops, ELEMENTSOF(ops), s->nic->name, e);
        if (r < 0)
                return r;
        r = kernel_get_link(pod, s->ifname, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox",
                                        s->ifname);
        *ret_ifindex = link.ifindex;
        NlOp set = set_link(link.ifindex, NL_LINK_MTU | NL_LINK_MAC, "set MTU and MAC");
        set.link.mtu = s->mtu;
        set.link.mac = s->mac;
        return carry_out(pod, &set, 1, s->ifname, e);
}

/* Home, under a name that nobody has: its own may be taken there meanwhile. */
static int move_home(NlSocket *pod, uint32_t ifindex, const AttachmentSpec *s, Error *e) {
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        NlOp ops[] = { set_link(ifindex, NL_LINK_UP, "take it down"),
                       set_link(ifindex, NL_LINK_NAME, "give it a name for the way"),
                       set_link(ifindex, NL_LINK_NETNS, "move it back to the host") };

        if (own < 0)
                return error_set_errnof(e, ERROR_KERNEL, -errno,
                                        "opening the own network namespace");
        nic_way_name(s->id, ops[1].link.new_name);
        ops[2].link.netns_fd = own;
        return carry_out(pod, ops, ELEMENTSOF(ops), s->nic->name, e);
}

static int restore_addresses(NlSocket *host, uint32_t ifindex, const NicState *n, Error *e) {
        for (size_t i = 0; i < n->n_addresses; i++) {
                NlOp add = { .type = NL_ADDR_ADD, .what = "give it its address again" };
                add.addr.ifindex = (int32_t) ifindex;
                add.addr.address = n->addresses[i];
                int r = carry_out(host, &add, 1, n->name, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int restore(WorkerContext *w, const AttachmentSpec *s, uint32_t ifindex, Error *e) {
        const NicState *n = s->nic;
        NlLink link, other;

        int r = kernel_get_link_by_index(w->host, ifindex, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s on the host", n->name);
        NlOp down = set_link(ifindex, NL_LINK_UP, "take it down");
        NlOp rename = set_link(ifindex, NL_LINK_NAME, "give it its name again");
        NlOp set = set_link(ifindex,
                            NL_LINK_MAC | NL_LINK_MTU | NL_LINK_TXQLEN | NL_LINK_ALIAS |
                                            NL_LINK_PROMISC | NL_LINK_ALLMULTI,
                            "make it what it was");
        NlOp up = set_link(ifindex, NL_LINK_UP, "raise it");
        memcpy(rename.link.new_name, n->name, sizeof(rename.link.new_name));
        set.link.mac = n->mac;
        set.link.mtu = n->mtu;
        set.link.txqlen = n->txqlen;
        set.link.alias = strempty(n->alias);
        set.link.promisc = n->promisc;
        set.link.allmulti = n->allmulti;
        up.link.up = true;
        bool taken = !streq(link.name, n->name) && kernel_get_link(w->host, n->name, &other) >= 0;
        if (taken)
                log_warning("%s: another interface of the host has its name now; it stays %s",
                            n->name, link.name);
        else if (!streq(link.name, n->name)) {
                NlOp ops[] = { down, rename };
                r = carry_out(w->host, ops, ELEMENTSOF(ops), n->name, e);
        }
        if (r >= 0)
                r = carry_out(w->host, &set, 1, n->name, e);
        if (r >= 0 && n->up)
                r = carry_out(w->host, &up, 1, n->name, e);
        return r < 0 ? r : restore_addresses(w->host, ifindex, n, e);
}

int nic_return(WorkerContext *w, const AttachmentSpec *s, NlSocket *pod, Error *e) {
        uint32_t ifindex = 0;

        if (!s->nic)
                return 0;
        int r = pod ? look_for(pod, s, true, &ifindex, e) : 0;
        if (r >= 0 && ifindex > 0)
                r = move_home(pod, ifindex, s, e);
        if (r >= 0)
                r = look_for(w->host, s, false, &ifindex, e);
        if (r < 0 || ifindex == 0)
                return r;
        return restore(w, s, ifindex, e);
}
