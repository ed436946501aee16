/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See foreign-routes.h. */

#include "core/foreign-routes.h"

#include <linux/rtnetlink.h>

#include "core/adjust.h"

/* The kernel takes 0 for this one. */
#define METRIC_DEFAULT6 1024U

static bool has_gateway(const RequestPlace *p, int family) {
        for (size_t i = 0; i < p->n_gateways; i++)
                if (p->gateways[i].family == family)
                        return true;
        return false;
}

/* What its maker has put there goes: another interface has the default route, or this one by other gateways. Where
 * it was asked for without a gateway, the maker's is the wanted one. */
static bool loses_default(const RequestPlace *p, int family) {
        return (family == AF_INET ? p->no_default4 : p->no_default6) ||
               (p->has_default_route && has_gateway(p, family));
}

bool place_has_routes(const RequestPlace *p) {
        return p && (loses_default(p, AF_INET) || loses_default(p, AF_INET6) || p->n_routes > 0);
}

/* The first of its family is preferred; the others come when it goes. */
static NetRoute default_by(const RequestPlace *p, size_t gateway) {
        int family = p->gateways[gateway].family;
        uint32_t rank = 0;

        for (size_t i = 0; i < gateway; i++)
                rank += p->gateways[i].family == family;
        return (NetRoute) {
                .dst.address.family = family,
                .gw = p->gateways[gateway],
                .priority = rank == 0 ? 0 : rank + (family == AF_INET6 ? METRIC_DEFAULT6 : 0),
                .table = -1,
                .scope = -1
        };
}

static size_t count_defaults(const RequestPlace *p) {
        return p->has_default_route ? p->n_gateways : 0;
}

/* ---- the kernel ------------------------------------------------------------------------------- */

static uint32_t metric(uint32_t priority, int family) {
        return priority == 0 && family == AF_INET6 ? METRIC_DEFAULT6 : priority;
}

static bool is_same(const NlRoute *have, const NetRoute *want) {
        return have->dst.length == want->dst.length &&
               in_addr_equal(&have->dst.address, &want->dst.address) &&
               in_addr_equal(&have->gw, &want->gw) &&
               have->priority == metric(want->priority, want->dst.address.family);
}

static bool is_there(const NlDump *d, uint32_t ifindex, const NetRoute *want) {
        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].ifindex == ifindex && is_same(&d->routes[i], want))
                        return true;
        return false;
}

static int apply(NlSocket *pod, const NlOp *op, const char *ifname, Error *e) {
        NlApplied applied = { 0 };

        int r = kernel_apply(pod, op, 1, &applied);
        if (r >= 0 || (op->type == NL_ROUTE_DEL && r == -ESRCH))
                return 0;
        return error_set_errnof(e, ERROR_KERNEL, r, "%s %s by %s on %s%s%s", op->what,
                                IN_PREFIX_STR(&op->route.dst),
                                in_addr_is_set(&op->route.gw) ? IN_ADDR_STR(&op->route.gw)
                                                              : "no gateway",
                                ifname, applied.message[0] ? ": " : "", applied.message);
}

static bool is_wanted_default(const RequestPlace *p, const NlRoute *have) {
        for (size_t i = 0; i < count_defaults(p); i++) {
                NetRoute want = default_by(p, i);
                if (is_same(have, &want))
                        return true;
        }
        return false;
}

static int drop_defaults(NlSocket *pod, const NlDump *d, const NlLink *l, const RequestPlace *p,
                         Error *e) {
        NlOp op;
        int r = 0;

        for (size_t i = 0; i < d->n_routes && r >= 0; i++) {
                const NlRoute *have = &d->routes[i];
                if (have->ifindex != l->ifindex || have->dst.length != 0 ||
                    !loses_default(p, have->dst.address.family) || is_wanted_default(p, have))
                        continue;
                AdjustRoute old = adjust_route_from(have, have->table);
                adjust_route_op(&old, l->ifindex, NL_ROUTE_DEL, &op);
                r = apply(pod, &op, l->name, e);
        }
        return r;
}

static int add_route(NlSocket *pod, const NlDump *d, const NlLink *l, const NetRoute *want,
                     Error *e) {
        AdjustRoute route = { .route = *want };
        NlOp op;

        if (want->table < 0 && is_there(d, l->ifindex, want))
                return 0;
        if (want->table < 0)
                route.route.table = RT_TABLE_MAIN;
        if (want->scope < 0)
                route.route.scope = in_addr_is_set(&want->gw) ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
        adjust_route_op(&route, l->ifindex, NL_ROUTE_ADD, &op);
        /* In place of an equal one of another interface would be that one's loss. */
        op.route.replace = want->table >= 0;
        return apply(pod, &op, l->name, e);
}

int foreign_set_routes(NlSocket *pod, const char *ifname, const RequestPlace *p, Error *e) {
        NlDump d = { 0 };
        NlLink l;

        int r = kernel_get_link(pod, ifname, &l);
        if (r == -ENODEV && count_defaults(p) == 0 && p->n_routes == 0)
                return 0; /* a device of user space, which has none to lose */
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "setting routes on %s", ifname);
        r = kernel_dump(pod, NL_DUMP_ROUTES, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the sandbox's routes");
        r = drop_defaults(pod, &d, &l, p, e);
        for (size_t i = 0; i < count_defaults(p) && r >= 0; i++) {
                NetRoute want = default_by(p, i);
                r = add_route(pod, &d, &l, &want, e);
        }
        for (size_t i = 0; i < p->n_routes && r >= 0; i++)
                r = add_route(pod, &d, &l, &p->routes[i], e);
        kernel_dump_clear(&d);
        return r;
}

/* ---- the result ------------------------------------------------------------------------------- */

static bool result_has(const CniOwnedResult *r, const NetRoute *want) {
        for (size_t i = 0; i < r->n_routes; i++)
                if (r->routes[i].dst.length == want->dst.length &&
                    in_addr_equal(&r->routes[i].dst.address, &want->dst.address) &&
                    in_addr_equal(&r->routes[i].gw, &want->gw))
                        return true;
        return false;
}

int foreign_route_result(CniOwnedResult *r, const RequestPlace *p) {
        size_t n = 0;

        for (size_t i = 0; i < r->n_routes; i++) {
                const NetRoute *route = &r->routes[i];
                bool goes = route->dst.length == 0 && loses_default(p, route->dst.address.family);
                if (!goes)
                        r->routes[n++] = *route;
        }
        r->n_routes = n;
        NetRoute *more = reallocarray(r->routes, n + count_defaults(p) + p->n_routes + 1,
                                      sizeof(*more));
        if (!more)
                return -ENOMEM;
        r->routes = more;
        for (size_t i = 0; i < count_defaults(p); i++)
                r->routes[r->n_routes++] = default_by(p, i);
        for (size_t i = 0; i < p->n_routes; i++)
                if (!result_has(r, &p->routes[i]))
                        r->routes[r->n_routes++] = p->routes[i];
        return 0;
}
