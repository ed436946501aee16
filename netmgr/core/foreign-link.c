/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Interfaces of others, as the results of their plugins and the kernel show them. Which link of the host leads
 * to one, the kernel knows better than any result; whose an address is, only the result says.
 */

#include "core/foreign-link.h"

#include "base/fd.h"
#include "base/limits.h"
#include "core/netns-look.h"
#include "core/place.h"
#include "cri/result.h"

/* ---- results ---------------------------------------------------------------------------------- */

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

int foreign_take_addresses(AttachmentSpec *s, json_object *result, const char *version, Error *e) {
        json_object *ips = json_get(result, "ips");
        SpecAddress *list = NULL;
        CniPrevResult prev = { 0 };

        int r = cni_prev_result_parse(result, version, &prev, e);
        if (r < 0)
                return r;
        if (prev.n_ips > FOREIGN_ADDRESSES_MAX)
                r = error_setf(e, ERROR_INVALID_ARGUMENT, "prevResult: %zu addresses, at most %u",
                               prev.n_ips, FOREIGN_ADDRESSES_MAX);
        else if (!(list = new0(SpecAddress, prev.n_ips + 1)))
                r = error_oom(e);
        if (r >= 0) {
                free(s->addresses);
                s->addresses = list;
                s->n_addresses = 0;
        }
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

int foreign_attachment_new(Manager *m, Network *n, const Request *q, Attachment **ret, Error *e) {
        _cleanup_error_ Error ignored = ERROR_NULL;
        Sandbox *s = sandbox_find(m, q->container_id);
        CniArgs args = { 0 };

        int r = check_room(m, s, q, e);
        if (r >= 0 && !s && sandbox_new(m, q->container_id, &s) < 0)
                r = error_oom(e);
        if (r < 0)
                return r;
        (void) cni_args_parse(q->args, &args, &ignored);
        if (sandbox_note(s, q->netns_path, &args) < 0 ||
            (q->place && q->place->annotations &&
             sandbox_note_annotations(s, q->place->annotations) < 0) ||
            attachment_new_foreign(m, n, s, q->ifname, ret) < 0) {
                sandbox_release_if_unused(s);
                r = error_oom(e);
        }
        cni_args_clear(&args);
        return r;
}

/* ---- the kernel ------------------------------------------------------------------------------- */

int foreign_identify(const Request *q, NetnsIdentity *ret, Error *e) {
        dev_t dev;
        ino_t ino;

        int r = fd_is_netns(q->netns_fd, &dev, &ino);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Netns");
        ret->dev = dev;
        ret->ino = ino;
        netns_witness_make(q->netns_path, dev, ino, &ret->witness);
        return 0;
}

static const NlLink *by_index(const NlDump *d, uint32_t ifindex) {
        for (size_t i = 0; i < d->n_links; i++)
                if (ifindex != 0 && d->links[i].ifindex == ifindex)
                        return &d->links[i];
        return NULL;
}

/* The peer of the sandbox's veth, which says the same of it: an index alone may be another namespace's. */
static int find_host_end(NlSocket *host, const NlLink *inner, ForeignLink *ret, Error *e) {
        NlDump d = { 0 };

        if (!streq(inner->kind, "veth"))
                return 0;
        int r = kernel_dump(host, NL_DUMP_LINKS, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links");
        const NlLink *end = by_index(&d, inner->link);
        if (end && streq(end->kind, "veth") && end->link == inner->ifindex) {
                memcpy(ret->host_ifname, end->name, sizeof(ret->host_ifname));
                ret->host_mac = end->mac;
                const NlLink *master = by_index(&d, end->master);
                if (master && streq(master->kind, "bridge"))
                        memcpy(ret->bridge, master->name, sizeof(ret->bridge));
        }
        kernel_dump_clear(&d);
        return 0;
}

int foreign_find_link(NlSocket *pod, NlSocket *host, const char *ifname, ForeignLink *ret,
                      Error *e) {
        NlLink inner;

        *ret = (ForeignLink) { 0 };
        int r = kernel_get_link(pod, ifname, &inner);
        if (r == -ENODEV)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox's netns",
                                        ifname);
        ret->there = true;
        ret->mac = inner.mac;
        ret->mtu = inner.mtu;
        return find_host_end(host, &inner, ret, e);
}

void foreign_take_link(AttachmentSpec *s, const ForeignLink *f) {
        s->mac = f->mac;
        s->host_mac = f->host_mac;
        s->mtu = f->mtu;
        memcpy(s->foreign_ifname, f->host_ifname, sizeof(s->foreign_ifname));
        memcpy(s->bridge, f->bridge, sizeof(s->bridge));
}
