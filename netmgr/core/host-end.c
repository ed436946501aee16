/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See host-end.h. */

#include "core/host-end.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/parse.h"
#include "core/plan.h"

void host_end_of(const AttachmentSpec *s, HostEnd *ret) {
        *ret = (HostEnd) { .port = kind_has_bridge(s->kind) && s->host_ifname[0],
                           .foreign = s->kind == NET_KIND_FOREIGN };
        memcpy(ret->ifname, spec_host_end(s), sizeof(ret->ifname));
        memcpy(ret->way_in, spec_way_in(s), sizeof(ret->way_in));
        spec_ifb_name(s, ret->ifb);
}

static int apply_one(NlSocket *s, const NlOp *op) {
        return kernel_apply(s, op, 1, &(NlApplied) { 0 });
}

bool host_link_has_localnet(const char *ifname) {
        _cleanup_free_ char *path = strf("/proc/sys/net/ipv4/conf/%s/route_localnet", ifname);
        _cleanup_free_ char *value = NULL;
        size_t size;

        return path && file_read_full(AT_FDCWD, path, 16, &value, &size) >= 0 && value[0] == '1';
}

/* ---- ports ------------------------------------------------------------------------------------ */

int host_end_open_ports(NlSocket *host, const HostEnd *h, bool open, Error *e) {
        NlOp set[2] = { { .type = NL_LINK_SET, .what = "let 127.0.0.1 reach host ports" },
                        { .type = NL_LINK_SET, .what = "let frames go back to their port" } };
        bool bridge = !streq(h->way_in, h->ifname);

        if (!h->way_in[0] || (bridge && !open && !h->port))
                return 0;
        memcpy(set[0].link.name, h->way_in, sizeof(set[0].link.name));
        set[0].link.mask = NL_LINK_ROUTE_LOCALNET;
        set[0].link.route_localnet = open || bridge;
        memcpy(set[1].link.name, h->ifname, sizeof(set[1].link.name));
        set[1].link.mask = NL_LINK_HAIRPIN;
        set[1].link.hairpin = open;
        int r = kernel_apply(host, set, h->port ? 2 : 1, &(NlApplied) { 0 });
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "preparing %s for host ports",
                                        h->way_in)
                     : 0;
}

/* ---- limits ----------------------------------------------------------------------------------- */

static int shape_ingress(NlSocket *s, int32_t host, const NetBandwidth *from,
                         const NetBandwidth *to, bool renew) {
        NlOp tbf = { .type = NL_TBF_DEL, .what = "remove the rate", .tbf.ifindex = host };

        if (to->ingress_rate > 0)
                plan_tbf(&tbf, host, to->ingress_rate, to->ingress_burst);
        else if (from->ingress_rate == 0 && !renew)
                return 0;
        int r = apply_one(s, &tbf);
        return r == -ENOENT ? 0 : r;
}

static int delete_ifb(NlSocket *s, const HostEnd *h) {
        NlOp del = { .type = NL_LINK_DEL, .what = "delete the shaping interface" };

        memcpy(del.link.name, h->ifb, sizeof(del.link.name));
        return apply_one(s, &del);
}

static int unhook(NlSocket *s, const HostEnd *h, int32_t host) {
        NlOp op = { .type = h->foreign ? NL_REDIRECT_DEL : NL_CLSACT_DEL,
                    .what = "lead traffic past the shaping interface",
                    .redirect.ifindex = host };

        /* No such filter, no such qdisc, none that takes filters. */
        int r = apply_one(s, &op);
        return r == -ENOENT || r == -EINVAL || r == -EOPNOTSUPP ? 0 : r;
}

static int hook(NlSocket *s, const HostEnd *h, int32_t host, int32_t ifb) {
        NlOp ops[2] = { { .type = NL_CLSACT_ADD, .what = "add the classifier" },
                        { .type = NL_REDIRECT_ADD,
                          .what = "lead traffic to the shaping interface" } };

        ops[0].redirect.ifindex = ops[1].redirect.ifindex = host;
        ops[1].redirect.to_ifindex = ifb;
        int r = unhook(s, h, host);
        if (r < 0)
                return r;
        /* Somebody may have a qdisc of kind ingress there, which takes filters as well. */
        r = apply_one(s, &ops[0]);
        return r < 0 && !h->foreign ? r : apply_one(s, &ops[1]);
}

/* Anew whenever it has a rate: what is half there from an interrupted change does not matter. */
static int shape_egress(NlSocket *s, const HostEnd *h, int32_t host, const NetBandwidth *from,
                        const NetBandwidth *to, bool renew) {
        NlOp add = { .type = NL_IFB_ADD, .what = "create the shaping interface" };
        NlOp up = { .type = NL_LINK_SET, .what = "raise the shaping interface" };
        NlLink ifb;
        NlOp tbf;

        if (to->egress_rate == 0) {
                if (from->egress_rate == 0 && !renew)
                        return 0;
                int r = unhook(s, h, host);
                int d = delete_ifb(s, h);
                return r < 0 ? r : d == -ENODEV ? 0 : d;
        }
        memcpy(add.ifb.name, h->ifb, sizeof(add.ifb.name));
        memcpy(up.link.name, h->ifb, sizeof(up.link.name));
        up.link.mask = NL_LINK_UP;
        up.link.up = true;
        int r = apply_one(s, &add);
        if (r < 0 && r != -EEXIST)
                return r;
        r = kernel_get_link(s, h->ifb, &ifb);
        if (r < 0)
                return r;
        plan_tbf(&tbf, (int32_t) ifb.ifindex, to->egress_rate, to->egress_burst);
        r = apply_one(s, &tbf);
        if (r >= 0)
                r = apply_one(s, &up);
        if (r < 0 || (from->egress_rate > 0 && !renew))
                return r;
        return hook(s, h, host, (int32_t) ifb.ifindex);
}

int host_end_shape(NlSocket *host, const HostEnd *h, const NetBandwidth *from,
                   const NetBandwidth *to, bool renew, Error *e) {
        NlLink link;

        int r = kernel_get_link(host, h->ifname, &link);
        if (r >= 0)
                r = shape_ingress(host, (int32_t) link.ifindex, from, to, renew);
        if (r >= 0)
                r = shape_egress(host, h, (int32_t) link.ifindex, from, to, renew);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "setting the rates of %s", h->ifname)
                     : 0;
}

/* ---- the end ---------------------------------------------------------------------------------- */

int host_end_restore(NlSocket *host, const HostEnd *h, bool limits, bool localnet, Error *e) {
        NlOp set = { .type = NL_LINK_SET, .what = "keep 127.0.0.1 to the host" };
        int first = 0, r;

        if (limits) {
                NetBandwidth none = { 0 };

                r = host_end_shape(host, h, &none, &none, true, e);
                if (r < 0 && r != -ENODEV)
                        first = r;
                if (r == -ENODEV)
                        error_clear(e);
                /* Also when the host's end went before it. */
                r = delete_ifb(host, h);
                if (r < 0 && r != -ENODEV && first >= 0)
                        first = error_set_errnof(e, ERROR_KERNEL, r, "deleting %s", h->ifb);
        }
        if (!localnet || !h->way_in[0])
                return first;
        memcpy(set.link.name, h->way_in, sizeof(set.link.name));
        set.link.mask = NL_LINK_ROUTE_LOCALNET;
        r = apply_one(host, &set);
        if (r < 0 && r != -ENODEV && first >= 0)
                first = error_set_errnof(e, ERROR_KERNEL, r,
                                         "preparing %s for the end of host ports", h->way_in);
        return first;
}
