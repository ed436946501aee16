/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See network-extra.h. */

#include "core/network-extra.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/limits.h"

/* IP, UDP, VXLAN and the inner Ethernet header (RFC 7348, section 5). */
#define VXLAN_OVERHEAD_IPV4 50U
#define VXLAN_OVERHEAD_IPV6 70U
/* IANA's; the kernel's own default is older than that. */
#define VXLAN_PORT 4789

/* PREFIX and eleven digits of the hash: fits, whatever the text. */
static void name_by_hash(const char *prefix, const char *text, char ret[static 16]) {
        char hash[HASH_STR_SIZE];

        snprintf(ret, 16, "%s%.11s", prefix, hash_format(hash64(text, strlen(text)), hash));
}

static bool has_vlan_gateway(const Network *n) {
        return n->conf->kind == NET_KIND_BRIDGE && n->conf->is_gateway && n->conf->link.vlan > 0;
}

void vlan_gateway_name(const char *bridge, uint16_t vlan, char ret[static 16]) {
        char text[32];

        int size = snprintf(text, sizeof(text), "%s.%u", bridge, vlan);
        if (size <= (int) IFNAME_LEN_MAX)
                memcpy(ret, text, (size_t) size + 1);
        else
                name_by_hash("nmv-", text, ret);
}

void network_extra_name(const Network *n, char ret[static 16]) {
        ret[0] = '\0';
        if (n->conf->kind == NET_KIND_VXLAN)
                name_by_hash("nmv-", n->name, ret);
        else if (has_vlan_gateway(n))
                vlan_gateway_name(n->bridge, n->conf->link.vlan, ret);
}

bool network_extra_is_shared(const Network *n, const char *name) {
        const Network *other;
        char theirs[16];

        MAP_FOREACH (other, n->manager->networks) {
                network_extra_name(other, theirs);
                if (other != n && other->n_attachments > 0 && streq(theirs, name))
                        return true;
        }
        return false;
}

static int set_up(NlSocket *s, const char *name, uint32_t master, Error *e) {
        NlOp op = { .type = NL_LINK_SET, .what = "set up the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        op.link.mask = NL_LINK_UP | (master ? NL_LINK_MASTER : 0);
        op.link.up = true;
        op.link.master_ifindex = master;
        int r = kernel_apply(s, &op, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "raising %s", name) : 0;
}

/* ---- vxlan ------------------------------------------------------------------------------------ */

static int find_underlay(const ExtraLink *x, WorkerContext *w, NlLink *ret, Error *e) {
        int r = kernel_get_link(w->host, x->link.master, ret);
        if (r == -ENODEV)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "master: \"%s\" is no interface of the host", x->link.master);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "looking for master %s", x->link.master)
                     : 0;
}

static int make_vxlan(const ExtraLink *x, WorkerContext *w, Error *e) {
        NlOp op = { .type = NL_LINK_ADD, .what = "create the vxlan link" };
        NlLink underlay;

        op.newlink.kind = NL_KIND_VXLAN;
        op.newlink.netns_fd = -EBADF;
        op.newlink.mtu = x->mtu;
        op.newlink.vxlan.vni = x->link.vni;
        op.newlink.vxlan.port = x->link.port ? x->link.port : VXLAN_PORT;
        op.newlink.vxlan.remote = x->link.remote;
        op.newlink.vxlan.local = x->link.local;
        op.newlink.vxlan.ttl = x->link.ttl;
        op.newlink.vxlan.learning = x->link.learning;
        snprintf(op.newlink.name, sizeof(op.newlink.name), "%s", x->name);
        if (x->link.master[0]) {
                int r = find_underlay(x, w, &underlay, e);
                if (r < 0)
                        return r;
                op.newlink.link_ifindex = underlay.ifindex;
        }
        int r = kernel_apply(w->host, &op, 1, &(NlApplied) { 0 });
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "creating the vxlan link %s (vni %u)",
                                        x->name, x->link.vni);
        return 0;
}

int extra_link_mtu(const ExtraLink *x, WorkerContext *w, uint32_t *ret, Error *e) {
        bool inet6 = x->link.remote.family == AF_INET6 || x->link.local.family == AF_INET6;
        NlLink underlay;

        if (x->kind != NET_KIND_VXLAN || !x->link.master[0])
                return 0;
        int r = find_underlay(x, w, &underlay, e);
        if (r >= 0)
                *ret = underlay.mtu - (inet6 ? VXLAN_OVERHEAD_IPV6 : VXLAN_OVERHEAD_IPV4);
        return r;
}

/* ---- the gateway of a VLAN -------------------------------------------------------------------- */

/* A pair in the host's own namespace: one end has the gateway's addresses, the other is a port. */
static int make_gateway(const ExtraLink *x, WorkerContext *w, Error *e) {
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        NlOp ops[3] = { { .type = NL_VETH_ADD, .what = "create the gateway of the VLAN" },
                        { .type = NL_BRIDGE_VLAN_DEL, .what = "leave the default VLAN" },
                        { .type = NL_BRIDGE_VLAN_ADD, .what = "join the VLAN" } };
        NlApplied made = { 0 };

        if (own < 0)
                return error_set_errnof(e, ERROR_KERNEL, -errno,
                                        "opening the own network namespace");
        name_by_hash("nmw-", x->name, ops[0].veth.name);
        snprintf(ops[0].veth.peer, sizeof(ops[0].veth.peer), "%s", x->name);
        if (mac_random(&ops[0].veth.mac) < 0 || mac_random(&ops[0].veth.peer_mac) < 0)
                return error_setf(e, ERROR_INTERNAL, "random MAC addresses");
        ops[0].veth.mtu = x->mtu;
        ops[0].veth.peer_netns_fd = own;
        ops[0].veth.master_ifindex = x->bridge_ifindex;
        int r = kernel_apply(w->host, ops, 1, &made);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "creating %s", x->name);
        ops[1].bvlan.ifindex = ops[2].bvlan.ifindex = (int32_t) made.host_ifindex;
        ops[1].bvlan.vid = 1;
        ops[2].bvlan.vid = x->link.vlan;
        ops[2].bvlan.pvid = ops[2].bvlan.untagged = true;
        r = kernel_apply(w->host, x->link.vlan == 1 ? ops + 2 : ops + 1, x->link.vlan == 1 ? 1 : 2,
                         &(NlApplied) { 0 });
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "putting %s into VLAN %u",
                                        ops[0].veth.name, x->link.vlan);
        return set_up(w->host, ops[0].veth.name, 0, e);
}

int extra_link_ensure(const ExtraLink *x, WorkerContext *w, uint32_t *ret_ifindex, Error *e) {
        bool vxlan = x->kind == NET_KIND_VXLAN;
        NlLink link;

        int r = kernel_get_link(w->host, x->name, &link);
        if (r == -ENODEV) {
                r = vxlan ? make_vxlan(x, w, e) : make_gateway(x, w, e);
                if (r < 0)
                        return r;
                r = kernel_get_link(w->host, x->name, &link);
        }
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", x->name);
        *ret_ifindex = link.ifindex;
        return set_up(w->host, x->name, vxlan ? x->bridge_ifindex : 0, e);
}
