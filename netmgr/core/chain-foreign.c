/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Attachments of kind foreign: an interface that a plugin of others has made, and that plugins of ours are
 * chained to. The addresses are those of prevResult; which link of the host leads to it, the kernel knows
 * better than any result. Its links are never changed but for what the plugins ask for, never made anew
 * and never deleted.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "core/netns-look.h"
#include "core/op-chain.h"
#include "core/wire.h"
#include "cri/result.h"

/* ---- prevResult ------------------------------------------------------------------------------- */

/* False: it says that the address belongs to another interface. */
static bool is_of_interface(json_object *result, json_object *ip, const char *ifname) {
        json_object *index = json_get(ip, "interface"), *list = json_get(result, "interfaces"),
                    *link;

        if (!index || !json_object_is_type(list, json_type_array))
                return true;
        int64_t i = json_object_get_int64(index);
        if (i < 0 || (size_t) i >= json_object_array_length(list))
                return true;
        link = json_object_array_get_idx(list, (size_t) i);
        json_object *name = json_get(link, "name");
        return !name || streq(strempty(json_object_get_string(name)), ifname);
}

static int take_addresses(AttachmentSpec *s, json_object *result, const char *version, Error *e) {
        json_object *ips = json_get(result, "ips");
        CniPrevResult prev = { 0 };

        int r = cni_prev_result_parse(result, version, &prev, e);
        if (r < 0)
                return r;
        if (prev.n_ips > FOREIGN_ADDRESSES_MAX)
                r = error_setf(e, ERROR_INVALID_ARGUMENT, "prevResult: %zu addresses, at most %u",
                               prev.n_ips, FOREIGN_ADDRESSES_MAX);
        else if (!(s->addresses = new0(SpecAddress, prev.n_ips + 1)))
                r = error_oom(e);
        /* Of the old versions each address is the interface's. */
        bool indexed = json_object_is_type(ips, json_type_array) &&
                       json_object_array_length(ips) == prev.n_ips;
        for (size_t i = 0; i < prev.n_ips && r >= 0; i++)
                if (!indexed ||
                    is_of_interface(result, json_object_array_get_idx(ips, i), s->ifname))
                        s->addresses[s->n_addresses++].address = prev.ips[i];
        cni_prev_result_clear(&prev);
        return r;
}

/* ---- objects ---------------------------------------------------------------------------------- */

static int check_room(const Manager *m, const Sandbox *s, const Request *q, Error *e) {
        if (map_size(m->attachments) >= ATTACHMENTS_MAX)
                return error_setf(e, ERROR_TRY_AGAIN, "the node has %u attachments, the limit",
                                  ATTACHMENTS_MAX);
        if (s && s->n_attachments >= ATTACHMENTS_PER_SANDBOX_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "sandbox %s has %u interfaces, the limit", q->container_id,
                                  ATTACHMENTS_PER_SANDBOX_MAX);
        return 0;
}

static int make_objects(ChainOp *op, Network *n, const CniArgs *args, Error *e) {
        const Request *q = &op->request;
        Sandbox *s = sandbox_find(op->manager, q->container_id);
        int r = check_room(op->manager, s, q, e);

        if (r < 0)
                return r;
        if (!s && sandbox_new(op->manager, q->container_id, &s) < 0)
                return error_oom(e);
        if (sandbox_note(s, q->netns_path, args) >= 0 &&
            attachment_new_foreign(op->manager, n, s, q->ifname, &op->attachment) >= 0)
                return 0;
        sandbox_release_if_unused(s);
        return error_oom(e);
}

int chain_foreign_new(ChainOp *op, Error *e) {
        _cleanup_error_ Error ignored = ERROR_NULL;
        CniArgs args = { 0 };
        Network *n;

        /* Reference plugins of a chain do not read CNI_ARGS: what is wrong with them is not ours to say. */
        (void) cni_args_parse(op->request.args, &args, &ignored);
        int r = network_find_foreign(op->manager, op->conf->name, &n, e);
        if (r >= 0) {
                r = make_objects(op, n, &args, e);
                if (r < 0)
                        network_release_if_unused(n);
        }
        cni_args_clear(&args);
        if (r < 0)
                return r;
        op->is_new = true;
        AttachmentSpec *s = &op->attachment->spec;
        s->shaping_mode = NET_SHAPING_SHAPE; /* rules that police have a port of ours to go by */
        op->attachment->request = strdup(op->request.config);
        s->cni_name = strdup(op->conf->name);
        if (!op->attachment->request || !s->cni_name)
                return error_oom(e);
        return take_addresses(s, op->conf->prev_result, op->conf->cni_version, e);
}

/* ---- the kernel ------------------------------------------------------------------------------- */

static const NlLink *by_index(const NlDump *d, uint32_t ifindex) {
        for (size_t i = 0; i < d->n_links; i++)
                if (ifindex != 0 && d->links[i].ifindex == ifindex)
                        return &d->links[i];
        return NULL;
}

/* The peer of the sandbox's veth, which says the same of it: an index alone may be another namespace's. */
static int find_host_end(ChainOp *op, NlSocket *host, const NlLink *inner, Error *e) {
        ForeignLink *f = &op->foreign;
        NlDump d = { 0 };

        if (!streq(inner->kind, "veth"))
                return 0;
        int r = kernel_dump(host, NL_DUMP_LINKS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links");
        const NlLink *end = by_index(&d, inner->link);
        if (end && streq(end->kind, "veth") && end->link == inner->ifindex) {
                memcpy(f->host_ifname, end->name, sizeof(f->host_ifname));
                f->host_mac = end->mac;
                const NlLink *master = by_index(&d, end->master);
                if (master && streq(master->kind, "bridge"))
                        memcpy(f->bridge, master->name, sizeof(f->bridge));
        }
        kernel_dump_clear(&d);
        return 0;
}

int chain_foreign_look(ChainOp *op, WorkerContext *w, Error *e) {
        NlLink inner;
        dev_t dev;
        ino_t ino;

        int r = fd_is_netns(op->request.netns_fd, &dev, &ino);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Netns");
        op->netns.dev = dev;
        op->netns.ino = ino;
        netns_witness_make(op->request.netns_path, dev, ino, &op->netns.witness);
        r = kernel_get_link(op->pod, op->request.ifname, &inner);
        if (r == -ENODEV)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "CNI_IFNAME: there is no interface %s in netns \"%.256s\"; the plugin "
                                "before this one in the chain makes it",
                                op->request.ifname, op->request.netns_path);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox's netns",
                                        op->request.ifname);
        op->foreign.mac = inner.mac;
        op->foreign.mtu = inner.mtu;
        return find_host_end(op, w->host, &inner, e);
}

int chain_foreign_found(ChainOp *op, Error *e) {
        AttachmentSpec *spec = &op->attachment->spec;
        Sandbox *s = op->attachment->sandbox;

        int r = sandbox_identify(s, op->request.netns_path, &op->netns, e);
        if (r < 0)
                return r;
        spec->mac = op->foreign.mac;
        spec->host_mac = op->foreign.host_mac;
        spec->mtu = op->foreign.mtu;
        memcpy(spec->foreign_ifname, op->foreign.host_ifname, sizeof(spec->foreign_ifname));
        memcpy(spec->bridge, op->foreign.bridge, sizeof(spec->bridge));
        return 0;
}
