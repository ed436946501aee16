/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See network-extra.h. */

#include "core/network-extra.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/attachment.h"
#include "core/reconcile.h"

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

static void gateway_name(const char *bridge, unsigned vlan, char ret[static 16]) {
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
                gateway_name(n->bridge, n->conf->link.vlan, ret);
}

void attachment_extra_name(const AttachmentSpec *s, char ret[static 16]) {
        ret[0] = '\0';
        if (s->kind == NET_KIND_BRIDGE && s->is_gateway && s->link && s->link->vlan > 0)
                gateway_name(s->bridge, s->link->vlan, ret);
}

static void port_name(const char *extra, char ret[static 16]) {
        name_by_hash("nmw-", extra, ret);
}

void network_extra_reap_name(const Network *n, char ret[static 16]) {
        char extra[16];

        network_extra_name(n, extra);
        if (n->conf->kind == NET_KIND_VXLAN || !extra[0])
                memcpy(ret, extra, sizeof(extra));
        else
                port_name(extra, ret);
}

static bool is_of_extra(const char *name, const char *extra) {
        char port[16];

        port_name(extra, port);
        return extra[0] && (streq(name, extra) || streq(name, port));
}

bool network_extra_is_stray(const Manager *m, const NlLink *l) {
        bool vxlan = streq(l->kind, "vxlan") && strncmp(l->name, "nmv-", 4) == 0,
             port = streq(l->kind, "veth") && strncmp(l->name, "nmw-", 4) == 0;
        const Attachment *a;
        const Network *n;
        char extra[16];

        if (!vxlan && !port)
                return false;
        MAP_FOREACH (n, m->networks) {
                network_extra_name(n, extra);
                if (is_of_extra(l->name, extra))
                        return false;
        }
        /* After a lost ledger somebody may live behind it whom no row knows. */
        if (map_size(m->orphans) > 0)
                return false;
        /* The network's VLAN may be another one by now. */
        MAP_FOREACH (a, m->attachments) {
                attachment_extra_name(&a->spec, extra);
                if (is_of_extra(l->name, extra))
                        return false;
        }
        return true;
}

bool network_extra_is_shared(const Network *n, const char *name) {
        const Attachment *a;
        const Network *other;
        char theirs[16];

        MAP_FOREACH (other, n->manager->networks) {
                network_extra_name(other, theirs);
                if (other != n && other->n_attachments > 0 && streq(theirs, name))
                        return true;
        }
        MAP_FOREACH (a, n->manager->attachments) {
                attachment_extra_name(&a->spec, theirs);
                if (streq(theirs, name))
                        return true;
        }
        return false;
}

void network_extra_left(const Attachment *a) {
        char theirs[16], now[16];

        attachment_extra_name(&a->spec, theirs);
        network_extra_name(a->network, now);
        if (theirs[0] && !streq(theirs, now))
                reconcile_soon(a->manager);
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

/* What it was made by, for people and for us: the next configuration may be another. */
static char *vxlan_alias(const ExtraLink *x) {
        const NetLinkConf *l = &x->link;

        return strf("netmgr: vni %u, port %u, remote %s, local %s, ttl %u, learning %s, master %s",
                    l->vni, l->port ? l->port : VXLAN_PORT,
                    in_addr_is_set(&l->remote) ? IN_ADDR_STR(&l->remote) : "none",
                    in_addr_is_set(&l->local) ? IN_ADDR_STR(&l->local) : "none", l->ttl,
                    l->learning ? "on" : "off", l->master[0] ? l->master : "none");
}

static int make_vxlan(const ExtraLink *x, WorkerContext *w, Error *e) {
        NlOp op = { .type = NL_LINK_ADD, .what = "create the vxlan link" },
             note = { .type = NL_LINK_SET, .what = "note what it was made by" };
        _cleanup_free_ char *alias = vxlan_alias(x);
        NlLink underlay;

        if (!alias)
                return error_oom(e);
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
        memcpy(note.link.name, x->name, sizeof(note.link.name));
        note.link.mask = NL_LINK_ALIAS;
        note.link.alias = alias;
        if (r >= 0)
                r = kernel_apply(w->host, &note, 1, &(NlApplied) { 0 });
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
static int make_gateway(const ExtraLink *x, const char *port, WorkerContext *w, Error *e) {
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        NlOp op = { .type = NL_VETH_ADD, .what = "create the gateway of the VLAN" };

        if (own < 0)
                return error_set_errnof(e, ERROR_KERNEL, -errno,
                                        "opening the own network namespace");
        memcpy(op.veth.name, port, sizeof(op.veth.name));
        memcpy(op.veth.peer, x->name, sizeof(op.veth.peer));
        if (mac_random(&op.veth.mac) < 0 || mac_random(&op.veth.peer_mac) < 0)
                return error_setf(e, ERROR_INTERNAL, "random MAC addresses");
        op.veth.mtu = x->mtu;
        op.veth.peer_netns_fd = own;
        op.veth.master_ifindex = x->bridge_ifindex;
        int r = kernel_apply(w->host, &op, 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "creating %s", x->name) : 0;
}

/* Also of one that was there: whoever made it may have come no further, or its bridge is a new one. */
static int join_vlan(const ExtraLink *x, const char *port, WorkerContext *w, Error *e) {
        NlOp leave = { .type = NL_BRIDGE_VLAN_DEL, .what = "leave the default VLAN" };
        NlOp join = { .type = NL_BRIDGE_VLAN_ADD, .what = "join the VLAN" };
        NlOp enslave = { .type = NL_LINK_SET, .what = "make it a port" };
        NlLink link;

        int r = kernel_get_link(w->host, port, &link);
        if (r == -ENODEV)
                return 0; /* an administrator has made the gateway, his way */
        memcpy(enslave.link.name, port, sizeof(enslave.link.name));
        enslave.link.mask = NL_LINK_MASTER;
        enslave.link.master_ifindex = x->bridge_ifindex;
        if (r >= 0)
                r = kernel_apply(w->host, &enslave, 1, &(NlApplied) { 0 });
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "making %s a port of the bridge", port);
        leave.bvlan.ifindex = join.bvlan.ifindex = (int32_t) link.ifindex;
        leave.bvlan.vid = 1;
        join.bvlan.vid = x->link.vlan;
        join.bvlan.pvid = join.bvlan.untagged = true;
        if (x->link.vlan != 1)
                r = kernel_apply(w->host, &leave, 1, &(NlApplied) { 0 });
        if (r >= 0 || r == -ENOENT)
                r = kernel_apply(w->host, &join, 1, &(NlApplied) { 0 });
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "putting %s into VLAN %u", port,
                                        x->link.vlan);
        return set_up(w->host, port, 0, e);
}

/* The tunnel of an older configuration goes: nothing of it can be changed. -ENODEV: it has. */
static int drop_outdated(const ExtraLink *x, const NlLink *l, WorkerContext *w, Error *e) {
        NlOp del = { .type = NL_LINK_DEL, .what = "delete the outdated tunnel" };
        _cleanup_free_ char *wanted = vxlan_alias(x), *found = NULL;

        if (!wanted)
                return error_oom(e);
        if (!streq(l->kind, "vxlan"))
                return error_setf(
                                e, ERROR_EXISTS,
                                "interface %s exists already and is of kind \"%s\"; the network needs "
                                "the name",
                                x->name, l->kind);
        int r = kernel_get_alias(w->host, l->ifindex, &found);
        if (r >= 0 && streq_ptr(found, wanted))
                return 0;
        memcpy(del.link.name, x->name, sizeof(del.link.name));
        if (r >= 0)
                r = kernel_apply(w->host, &del, 1, &(NlApplied) { 0 });
        return r >= 0 || r == -ENODEV
                               ? -ENODEV
                               : error_set_errnof(e, ERROR_KERNEL, r, "renewing %s", x->name);
}

int extra_link_ensure(const ExtraLink *x, WorkerContext *w, uint32_t *ret_ifindex, Error *e) {
        bool vxlan = x->kind == NET_KIND_VXLAN;
        char port[16];
        NlLink link;

        port_name(x->name, port);
        int r = kernel_get_link(w->host, x->name, &link);
        if (r >= 0 && vxlan) {
                r = drop_outdated(x, &link, w, e);
                if (r < 0 && r != -ENODEV)
                        return r;
        }
        if (r == -ENODEV) {
                r = vxlan ? make_vxlan(x, w, e) : make_gateway(x, port, w, e);
                if (r < 0)
                        return r;
                r = kernel_get_link(w->host, x->name, &link);
        }
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", x->name);
        *ret_ifindex = link.ifindex;
        if (!vxlan) {
                r = join_vlan(x, port, w, e);
                if (r < 0)
                        return r;
        }
        return set_up(w->host, x->name, vxlan ? x->bridge_ifindex : 0, e);
}
