/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The workers' part of leases: what happens inside the sandbox. Nothing that is opened here stays open but
 * the packet socket that is asked for. */

#include <net/if.h>
#include <stdio.h>

#include "core/dhcp.h"
#include "core/plan.h"

int dhcp_open_link(WorkerContext *w, int netns_fd, NlSocket *pod, const char *ifname, bool raise,
                   DhcpRequest *q, int *ret_packet, Error *e) {
        NlOp up = { .type = NL_LINK_SET, .what = "raise the interface" };
        NlLink link;
        int r = 0;

        snprintf(up.link.name, sizeof(up.link.name), "%s", ifname);
        up.link.mask = NL_LINK_UP;
        up.link.up = true;
        if (raise)
                r = kernel_apply(pod, &up, 1, &(NlApplied) { 0 });
        if (r >= 0)
                r = kernel_get_link(pod, ifname, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox",
                                        ifname);
        q->ifindex = link.ifindex;
        memcpy(q->mac, link.mac.bytes, sizeof(q->mac));
        r = nsd_client_open(&w->nsd, netns_fd, NSD_OPEN_PACKET, NULL, ret_packet);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r,
                                        "opening a packet socket in the sandbox's netns")
                     : 0;
}

/* What is not there any more needs no deletion: its link was lowered, or somebody was faster. */
static void delete_quietly(NlSocket *pod, NlOp *op, NlOpType type, const NlApplied *where) {
        op->type = type;
        op->what = type == NL_ADDR_DEL ? "delete the address" : "delete the route";
        nl_ops_resolve(op, 1, where);
        (void) kernel_apply(pod, op, 1, &(NlApplied) { 0 });
}

static bool has_address(const AttachmentSpec *s, const InPrefix *p) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].address.length == p->length &&
                    in_addr_equal(&s->addresses[i].address.address, &p->address))
                        return true;
        return false;
}

static bool has_route(const Plan *p, const NlOp *op) {
        for (size_t i = 0; i < p->n_pod; i++)
                if (p->pod[i].type == NL_ROUTE_ADD &&
                    memcmp(&p->pod[i].route, &op->route, sizeof(op->route)) == 0)
                        return true;
        return false;
}

static void take_away(NlSocket *pod, const AttachmentSpec *from, const Plan *new,
                      const AttachmentSpec *to, const NlApplied *where) {
        Plan old;

        /* Without memory the old routes stay until their address goes, which takes most with it. */
        if (plan_make(from, 0, &old) < 0)
                return;
        for (size_t i = 0; i < old.n_pod; i++)
                if (old.pod[i].type == NL_ROUTE_ADD && !has_route(new, &old.pod[i]))
                        delete_quietly(pod, &old.pod[i], NL_ROUTE_DEL, where);
        for (size_t i = 0; i < old.n_pod; i++)
                if (old.pod[i].type == NL_ADDR_ADD && !has_address(to, &old.pod[i].addr.address))
                        delete_quietly(pod, &old.pod[i], NL_ADDR_DEL, where);
        plan_clear(&old);
}

/* Only these: the link itself is as ADD made it. */
static int put_there(NlSocket *pod, Plan *p, const NlApplied *where, Error *e) {
        size_t n = 0;

        for (size_t i = 0; i < p->n_pod; i++)
                if (p->pod[i].type == NL_ADDR_ADD || p->pod[i].type == NL_ROUTE_ADD)
                        p->pod[n++] = p->pod[i];
        for (size_t i = 0; i < n; i++)
                if (p->pod[i].type == NL_ROUTE_ADD)
                        p->pod[i].route.replace = true;
        if (n == 0)
                return 0;
        nl_ops_resolve(p->pod, n, where);
        NlApplied applied = { 0 };
        int r = kernel_apply(pod, p->pod, n, &applied);
        if (r >= 0)
                return 0;
        _cleanup_free_ char *words =
                        applied.failed < n ? nl_op_describe(&p->pod[applied.failed]) : NULL;
        return error_set_errnof(e, ERROR_KERNEL, r,
                                "the kernel refused to %s of the DHCP lease in the sandbox",
                                words ? words : "answer");
}

int dhcp_apply(NlSocket *pod, const AttachmentSpec *from, const AttachmentSpec *to, Error *e) {
        NlOp set = { .type = NL_LINK_SET, .what = "set the interface's state" };
        NlLink link;
        Plan p;

        int r = kernel_get_link(pod, to->ifname, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox",
                                        to->ifname);
        if (plan_make(to, 0, &p) < 0)
                return error_oom(e);
        NlApplied where = { .pod_ifindex = link.ifindex };
        if (from)
                take_away(pod, from, &p, to, &where);
        if (to->lease_over == !!(link.flags & IFF_UP)) {
                snprintf(set.link.name, sizeof(set.link.name), "%s", to->ifname);
                set.link.mask = NL_LINK_UP;
                set.link.up = !to->lease_over;
                r = kernel_apply(pod, &set, 1, &(NlApplied) { 0 });
                if (r < 0)
                        (void) error_set_errnof(e, ERROR_KERNEL, r, "setting %s %s in the sandbox",
                                                to->ifname, to->lease_over ? "down" : "up");
        }
        if (r >= 0)
                r = put_there(pod, &p, &where, e);
        plan_clear(&p);
        return r;
}
