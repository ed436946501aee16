/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The chained plugin vrf: the interface joins a VRF of the sandbox, which is made for the first one and
 * goes with the last. The kernel takes the interface down and up again for that: IPv6 addresses and all
 * routes but those that it makes itself are lost, and put back here, the routes into the VRF's table.
 */

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/adjust.h"

static bool table_is_used(const NlDump *d, uint32_t table) {
        if (table >= RT_TABLE_DEFAULT && table <= RT_TABLE_LOCAL)
                return true;
        for (size_t i = 0; i < d->n_links; i++)
                if (streq(d->links[i].kind, "vrf") && d->links[i].table == table)
                        return true;
        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].table == table)
                        return true;
        for (size_t i = 0; i < d->n_rules; i++)
                if (d->rules[i].table == table)
                        return true;
        return false;
}

static int decide_table(const NetVrf *conf, const NlDump *d, uint32_t *ret, Error *e) {
        const NlLink *vrf = compare_find_link(d, conf->name);

        if (vrf && !streq(vrf->kind, "vrf"))
                return error_setf(
                                e, ERROR_EXISTS,
                                "vrfname: the sandbox has an interface %s of kind \"%s\", which is "
                                "no VRF; choose another name",
                                conf->name, vrf->kind);
        if (vrf && conf->table && conf->table != vrf->table)
                return error_setf(e, ERROR_EXISTS,
                                  "table: VRF %s of the sandbox has table %u already, wanted %u",
                                  conf->name, vrf->table, conf->table);
        *ret = vrf ? vrf->table : conf->table;
        while (*ret == 0 || (!vrf && !conf->table && table_is_used(d, *ret)))
                ++*ret;
        return 0;
}

static int decide_routes(AttachmentSpec *s, const NlDump *seen, const NlLink *link) {
        SpecAdjust *in = &s->adjust;
        size_t allocated = in->n_routes;
        int r = 0;

        for (int gateways = 0; gateways < 2; gateways++)
                for (size_t i = 0; i < seen->n_routes && r >= 0; i++) {
                        const NlRoute *found = &seen->routes[i];

                        if (!adjust_route_is_movable(found, link->ifindex) ||
                            found->table != RT_TABLE_MAIN || found->protocol == RTPROT_KERNEL ||
                            in_addr_is_set(&found->gw) != gateways)
                                continue;
                        AdjustRoute moved = adjust_route_from(found, in->vrf_table);
                        /* As the kernel had it: where that is by no route of the VRF, it is on the link. */
                        moved.onlink = in_addr_is_set(&found->gw) &&
                                       !in_addr_is_link_local(&found->gw) &&
                                       s->kind == NET_KIND_ROUTED;
                        r = adjust_add_route(in, &allocated, &moved);
                }
        return r;
}

int vrf_decide(AttachmentSpec *s, const NetVrf *conf, const NlDump *seen, const NlLink *link,
               Error *e) {
        SpecAdjust *in = &s->adjust;
        const NlLink *vrf = compare_find_link(seen, conf->name);
        uint32_t table = 0;

        if (!conf->name[0])
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "vrfname: wanted the name of a VRF, found nothing");
        if (streq(conf->name, s->ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "vrfname: %s is the interface itself; choose another name",
                                  conf->name);
        if (link->master && (!vrf || link->master != vrf->ifindex)) {
                const char *name = "another";
                for (size_t i = 0; i < seen->n_links; i++)
                        if (seen->links[i].ifindex == link->master)
                                name = seen->links[i].name;
                return error_setf(
                                e, ERROR_IN_USE,
                                "vrfname: interface %s belongs to %s already and cannot join VRF %s",
                                s->ifname, name, conf->name);
        }
        int r = decide_table(conf, seen, &table, e);
        if (r < 0)
                return r;
        snprintf(in->vrf, sizeof(in->vrf), "%s", conf->name);
        in->vrf_table = table;
        r = decide_routes(s, seen, link);
        if (r == -E2BIG)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "interface %s has more than %u routes, which is too much for vrf",
                                  s->ifname, ADJUST_ROUTES_MAX);
        if (r < 0)
                return error_oom(e);
        in->routes_moved = true;
        return 0;
}

bool vrf_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, Differences *ret) {
        const SpecAdjust *in = &s->adjust;
        const NlLink *vrf = in->vrf[0] ? compare_find_link(d, in->vrf) : NULL;
        NlOp op;

        if (!in->vrf[0])
                return false;
        if (!vrf) {
                op = (NlOp) { .type = NL_LINK_ADD,
                              .what = "create the VRF",
                              .newlink = { .kind = NL_KIND_VRF,
                                           .netns_fd = -EBADF,
                                           .vrf.table = in->vrf_table } };
                memcpy(op.newlink.name, in->vrf, sizeof(op.newlink.name));
                differ(ret, &op, "VRF %s is missing in " WHERE_SANDBOX, in->vrf);
                return true;
        }
        if (!streq(vrf->kind, "vrf") || vrf->table != in->vrf_table) {
                differ(ret, NULL, "VRF %s in " WHERE_SANDBOX ": wanted table %u, found %s %u",
                       in->vrf, in->vrf_table, streq(vrf->kind, "vrf") ? "table" : "no VRF",
                       vrf->table);
                return false;
        }
        op = (NlOp) { .type = NL_LINK_SET, .what = "raise the VRF" };
        if (!(vrf->flags & IFF_UP)) {
                memcpy(op.link.name, in->vrf, sizeof(op.link.name));
                op.link.mask = NL_LINK_UP;
                op.link.up = true;
                differ(ret, &op, "VRF %s in " WHERE_SANDBOX " is down", in->vrf);
        }
        if (l->master == vrf->ifindex)
                return false;
        op = (NlOp) { .type = NL_LINK_SET, .what = "join the VRF" };
        memcpy(op.link.name, s->ifname, sizeof(op.link.name));
        op.link.mask = NL_LINK_MASTER;
        op.link.master_ifindex = vrf->ifindex;
        differ(ret, &op, "interface %s in " WHERE_SANDBOX " does not belong to VRF %s", s->ifname,
               in->vrf);
        /* What it loses by that is seen only afterwards. */
        return true;
}

int vrf_leave(NlSocket *pod, const AttachmentSpec *s) {
        NlOp leave = { .type = NL_LINK_SET, .what = "leave the VRF", .link.mask = NL_LINK_MASTER },
             del = { .type = NL_LINK_DEL, .what = "delete the VRF" };
        NlDump d = { 0 };
        NlLink vrf, link;

        if (kernel_get_link(pod, s->adjust.vrf, &vrf) < 0 || !streq(vrf.kind, "vrf"))
                return 0;
        memcpy(leave.link.name, s->ifname, sizeof(leave.link.name));
        memcpy(del.link.name, s->adjust.vrf, sizeof(del.link.name));
        int r = kernel_get_link(pod, s->ifname, &link);
        if (r >= 0 && link.master == vrf.ifindex)
                r = kernel_apply(pod, &leave, 1, &(NlApplied) { 0 });
        if (r >= 0 || r == -ENODEV)
                r = kernel_dump(pod, NL_DUMP_LINKS, &d);
        bool alone = r >= 0;
        for (size_t i = 0; i < d.n_links; i++)
                alone &= d.links[i].master != vrf.ifindex;
        kernel_dump_clear(&d);
        if (alone)
                r = kernel_apply(pod, &del, 1, &(NlApplied) { 0 });
        if (r >= 0 || r == -ENODEV)
                return 0;
        log_ctx(LOG_WARNING, &(LogContext) { .interface = s->ifname, .error = r },
                "%s does not leave VRF %s: %s", s->ifname, s->adjust.vrf, strerror(-r));
        return r;
}
