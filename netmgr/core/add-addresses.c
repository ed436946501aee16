/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The addresses of an ADD: one of each range set, or those that the configuration names. */

#include <inttypes.h>

#include "base/limits.h"
#include "base/parse.h"
#include "core/op-add.h"
#include "core/place.h"

/* The requested address that belongs to the set, not used for an earlier one; -1: none. */
static int requested_for(const NetRangeSet *set, const InPrefix *ips, size_t n_ips,
                         const bool *used) {
        for (size_t i = 0; i < n_ips; i++)
                for (size_t k = 0; k < set->n_ranges && !used[i]; k++)
                        if (in_prefix_contains(&set->ranges[k].subnet, &ips[i].address))
                                return (int) i;
        return -1;
}

typedef struct Allocation {
        AddOp *op;
        const InPrefix *ips;
        size_t n_ips;
        bool *used;
} Allocation;

/* A lease that has been granted becomes an address of the attachment, with its row. */
static void take_grant(AddOp *op, const IpamGrant *grant, unsigned set_index) {
        Attachment *a = op->attachment;
        bool routed = a->spec.kind == NET_KIND_ROUTED;
        int family = grant->lease->address.family;
        SpecAddress *sa = &a->spec.addresses[a->spec.n_addresses++];

        a->leases[a->n_leases++] = grant->lease;
        sa->address.address = grant->lease->address;
        sa->address.length = routed ? family_bits(family) : grant->range->subnet.length;
        sa->gateway = routed ? routed_gateway(family) : grant->range->gateway;
        grant->lease->prefix_length = sa->address.length;
        op->address_rows[op->n_address_rows++] = (AddressRow) {
                .attachment = a->spec.id,
                .pool = grant->lease->pool,
                .address = sa->address,
                .gateway = sa->gateway,
                .network = a->network->name,
                .sandbox = a->sandbox->id,
                .ifname = a->spec.ifname,
                .set_index = set_index,
                .owner = grant->lease->owner,
                .sticky_sec = grant->lease->terms.sticky_sec,
                .has_rest = grant->lease->terms.has_rest,
                .rest_sec = grant->lease->terms.rest_sec,
                .again_usec = grant->lease->again_usec,
        };
}

/* Who gets its addresses again: whoever the sandbox's choice of networks names, else the pod. NULL: nobody; *buf is
 * for the words. */
static const char *owner_of(const AddOp *op, char **buf) {
        const RequestPlace *place = op->request.place;
        const Sandbox *s = op->attachment->sandbox;

        if (place && place->owner)
                return place->owner;
        if (!s->pod_namespace || !s->pod_name)
                return NULL;
        free(*buf);
        *buf = strf("%s/%s", s->pod_namespace, s->pod_name);
        return *buf;
}

static LeaseHolder holder_of(const AddOp *op, char **buf) {
        const RequestPlace *place = op->request.place;
        const Attachment *a = op->attachment;
        const NetConf *c = a->network->conf;
        LeaseHolder h = { .attachment = a->spec.id,
                          .network = a->network->name,
                          .sandbox = a->sandbox->id,
                          .ifname = a->spec.ifname,
                          .owner = owner_of(op, buf),
                          .now_usec = now_realtime(),
                          .terms = { .sticky_sec = c->sticky_sec,
                                     .has_rest = c->has_quarantine,
                                     .rest_sec = c->quarantine_sec } };

        if (place && place->owner && place->owner_is_claim)
                h.terms.sticky_sec = STICKY_KEPT;
        return h;
}

/* The sandbox's choice of networks wants none of the family here. */
static bool is_unwanted(const AddOp *op, int family) {
        const RequestPlace *place = op->request.place;

        return place && (family == AF_INET ? place->no_ipv4 : place->no_ipv6);
}

static bool set_is_unwanted(const AddOp *op, const NetRangeSet *set) {
        return is_unwanted(op, set->ranges[0].subnet.address.family);
}

static int allocate_from(Allocation *x, const NetRangeSet *set, unsigned set_index, Error *e) {
        AddOp *op = x->op;
        Attachment *a = op->attachment;
        _cleanup_free_ char *owner = NULL;
        LeaseHolder holder = holder_of(op, &owner);
        int i = requested_for(set, x->ips, x->n_ips, x->used);
        IpamGrant grant;

        if (set_is_unwanted(op, set))
                return 0;
        int r = ipam_allocate(op->manager->ipam, network_pool(a->network), set_index, set,
                              i >= 0 ? &x->ips[i].address : NULL, &holder, &grant, e);
        if (r < 0)
                return r;
        if (i >= 0)
                x->used[i] = true;
        take_grant(op, &grant, set_index);
        op->cursor_rows[op->n_cursor_rows++] = (CursorRow) {
                .network = a->network->name,
                .set_index = set_index,
                .address = ipam_cursor(op->manager->ipam, a->network->name, set_index),
        };
        if (!in_addr_is_set(&op->cursor_rows[op->n_cursor_rows - 1].address))
                op->n_cursor_rows--;
        return 0;
}

/* First host of the subnet: what the gateway of a bridge is that nobody names. */
static InAddr default_gateway(const InPrefix *p) {
        InAddr first = in_prefix_first(p), gateway = first;

        (void) in_addr_add(&first, 1, &gateway);
        return gateway;
}

/* ---- type static ------------------------------------------------------------------------------ */

/* After those of the configured and of the runtime's range sets. */
#define STATIC_SET_INDEX (2 * RANGE_SETS_MAX)

/*
 * The reference plugin gives an address to whoever names it, also to two at a time (a pod that
 * replaces another one, both alive for a while): drop-in configurations keep that, each attachment in
 * a pool of its own. Networks of type netmgr are told of the holder.
 */
static int allocate_one(AddOp *op, const NetStaticAddress *s, Error *e) {
        Attachment *a = op->attachment;
        bool exclusive = a->network->conf->plugin == NET_PLUGIN_NETMGR;
        NetRange range = { .subnet = { .address = in_prefix_first(&s->address),
                                       .length = s->address.length },
                           .start = s->address.address,
                           .end = s->address.address,
                           .gateway = s->gateway };
        if (!exclusive && a->network->conf->is_gateway && !in_addr_is_set(&range.gateway))
                range.gateway = default_gateway(&s->address);
        NetRangeSet set = { .ranges = &range, .n_ranges = 1 };
        _cleanup_free_ char *owner = NULL;
        LeaseHolder holder = holder_of(op, &owner);
        _cleanup_free_ char *pool = exclusive ? strdup(network_pool(a->network))
                                              : strf("%s//%" PRIx64, a->network->name, a->spec.id);
        IpamGrant grant;

        if (!pool)
                return error_oom(e);
        int r = ipam_allocate(op->manager->ipam, pool, STATIC_SET_INDEX, &set, &s->address.address,
                              &holder, &grant, e);
        if (r >= 0)
                take_grant(op, &grant, STATIC_SET_INDEX);
        return r;
}

static int allocate_static(AddOp *op, Error *e) {
        const NetConf *net = op->attachment->network->conf;
        _cleanup_free_ NetStaticAddress *list = NULL;
        size_t n = 0;

        int r = netconf_static_addresses(net, op->conf, &op->args, &list, &n, e);
        if (r >= 0 && n == 0)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "ipam: type static of network %s has no address, and neither CNI_ARGS nor "
                               "runtimeConfig.ips gives one",
                               op->attachment->network->name);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (!is_unwanted(op, list[i].address.address.family))
                        r = allocate_one(op, &list[i], e);
        return r;
}

/* ---- types of others -------------------------------------------------------------------------- */

/* What a plugin of others gave out: ours to record, not to choose. */
static int adopt(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        LeaseHolder holder = { .attachment = a->spec.id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = a->spec.ifname };

        for (size_t i = 0; i < op->ipam.n_ips; i++) {
                const CniIp *ip = &op->ipam.ips[i];
                if (is_unwanted(op, ip->address.address.family))
                        continue;
                NetRange range = { .subnet = ip->address, .gateway = ip->gateway };
                IpamGrant grant = { .range = &range };

                int r = ipam_hold(op->manager->ipam, network_pool(a->network), (unsigned) i,
                                  &ip->address.address, &holder, &grant.lease, e);
                if (r < 0)
                        return r;
                if (a->network->conf->is_gateway && !in_addr_is_set(&range.gateway))
                        range.gateway = default_gateway(&ip->address);
                take_grant(op, &grant, (unsigned) i);
        }
        return 0;
}

/* ---- type local ------------------------------------------------------------------------------- */

/* CNI_ARGS first, then args and runtimeConfig; what several of them ask for counts once. */
static void collect_requested(Allocation *x, InPrefix *ips) {
        const AddOp *op = x->op;
        size_t n = 0;

        for (size_t i = 0; i < x->n_ips; i++) {
                const InPrefix *p = i < op->args.n_ips ? &op->args.ips[i]
                                                       : &op->conf->requested[i - op->args.n_ips];
                size_t k = 0;
                while (k < n && !in_addr_equal(&ips[k].address, &p->address))
                        k++;
                if (k == n)
                        ips[n++] = *p;
        }
        x->n_ips = n;
}

/* The caller's ranges beside those of the network that it names: checked only now, together. */
static int check_joined_sets(const NetConf *mine, const NetConf *net, Error *e) {
        size_t n = mine->n_runtime_sets + net->n_sets;

        if (mine->n_runtime_sets == 0)
                return 0;
        _cleanup_free_ NetRangeSet *all = new0(NetRangeSet, n);
        if (!all)
                return error_oom(e);
        memcpy(all, mine->runtime_sets, mine->n_runtime_sets * sizeof(*all));
        memcpy(all + mine->n_runtime_sets, net->sets, net->n_sets * sizeof(*all));
        return range_sets_check_overlap(all, n, "runtimeConfig.ipRanges and ipam.ranges", e);
}

static int allocate_local(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        const NetConf *net = a->network->conf, *mine = op->conf;
        size_t n_sets = net->n_sets + mine->n_runtime_sets,
               n_ips = op->args.n_ips + mine->n_requested;
        _cleanup_free_ InPrefix *ips = new0(InPrefix, n_ips + 1);
        _cleanup_free_ bool *used = new0(bool, n_ips + 1);
        Allocation x = { .op = op, .ips = ips, .n_ips = n_ips, .used = used };
        int r = 0;

        if (n_sets > 2 * RANGE_SETS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "ipam and runtimeConfig.ipRanges: %zu range sets, at "
                                  "most %u",
                                  n_sets, 2 * RANGE_SETS_MAX);
        if (!ips || !used)
                return error_oom(e);
        collect_requested(&x, ips);
        if (mine->network && (r = check_joined_sets(mine, net, e)) < 0)
                return r;
        for (size_t i = 0; i < mine->n_runtime_sets && r >= 0; i++)
                r = allocate_from(&x, &mine->runtime_sets[i], RANGE_SETS_MAX + i, e);
        for (size_t i = 0; i < net->n_sets && r >= 0; i++)
                r = allocate_from(&x, &net->sets[i], i, e);
        for (size_t i = 0; i < x.n_ips && r >= 0; i++)
                if (!used[i])
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "requested address %s is in no range of network "
                                       "%s, or its range gives another one already",
                                       IN_ADDR_STR(&ips[i].address), a->network->name);
        return r;
}

static int allocate(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        const NetConf *net = a->network->conf, *mine = op->conf;
        size_t room = net->n_sets + mine->n_runtime_sets + net->n_addresses + mine->n_requested +
                      op->args.n_ips + op->ipam.n_ips + 1;

        a->leases = new0(Lease *, room);
        a->spec.addresses = new0(SpecAddress, room);
        op->address_rows = new0(AddressRow, room);
        op->cursor_rows = new0(CursorRow, room);
        if (!a->leases || !a->spec.addresses || !op->address_rows || !op->cursor_rows)
                return error_oom(e);
        a->spec.unforeseen = net->ipam == NET_IPAM_STATIC || net->ipam == NET_IPAM_FOREIGN;
        switch (net->ipam) {
        case NET_IPAM_FOREIGN:
                return adopt(op, e);
        case NET_IPAM_LOCAL:
                return allocate_local(op, e);
        case NET_IPAM_STATIC:
                return allocate_static(op, e);
        case NET_IPAM_DHCP:
                return 0; /* once the link is there */
        default:
                if (op->has_ipam)
                        return adopt(op, e);
                /* ipRanges and requested addresses of the runtime all the same; a drop-in ignores them. */
                return net->plugin == NET_PLUGIN_NETMGR ? allocate_local(op, e) : 0;
        }
}

/* One family only was wanted, and the network has none of it. */
static int check_wanted_family(const AddOp *op, Error *e) {
        const RequestPlace *place = op->request.place;
        const Attachment *a = op->attachment;
        bool nothing = place && place->no_ipv4 && place->no_ipv6;

        if (a->spec.n_addresses > 0 || !place || (!place->no_ipv4 && !place->no_ipv6))
                return 0;
        if (a->network->conf->ipam == NET_IPAM_NONE && !op->has_ipam)
                return 0; /* it gives nobody any */
        if (nothing && !kind_is_routed(a->spec.kind) && a->network->conf->ipam != NET_IPAM_DHCP)
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "network %s has no address for %s: the sandbox wants %s there, and the network %s; "
                        "choose another network, or leave the choice of family away",
                        a->network->name, a->spec.ifname,
                        nothing          ? "no addresses"
                        : place->no_ipv4 ? "IPv6 only"
                                         : "IPv4 only",
                        nothing ? "does not work without" : "gives none of that family");
}

int add_allocate(AddOp *op, Error *e) {
        int r = allocate(op, e);
        return r < 0 ? r : check_wanted_family(op, e);
}

bool add_range_is_nearly_full(const AddOp *op) {
        const NetConf *net = op->attachment->network->conf, *mine = op->conf;
        const char *pool = network_pool(op->attachment->network);

        for (size_t i = 0; i < mine->n_runtime_sets; i++)
                if (!set_is_unwanted(op, &mine->runtime_sets[i]) &&
                    ipam_is_nearly_full(op->manager->ipam, pool, &mine->runtime_sets[i]))
                        return true;
        for (size_t i = 0; i < net->n_sets; i++)
                if (!set_is_unwanted(op, &net->sets[i]) &&
                    ipam_is_nearly_full(op->manager->ipam, pool, &net->sets[i]))
                        return true;
        return false;
}
