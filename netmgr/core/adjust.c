/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The part that tuning, sbr and vrf have in common: deciding, comparing, applying, undoing. See adjust.h. */

#include "core/adjust.h"

#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"

/* A VRF is made, then joined, then what was lost is put back, then nothing is missing. */
#define ROUNDS 4

bool adjust_outlives(const AttachmentSpec *s) {
        /* Rules and a VRF are the sandbox's; settings go with an interface that is ours to delete. */
        bool stays = s->kind == NET_KIND_FOREIGN || s->kind == NET_KIND_HOST_DEVICE;

        return s->adjust.n_rules > 0 || s->adjust.vrf[0] || (stays && s->adjust.has_tuning);
}

bool adjust_route_is_movable(const NlRoute *r, uint32_t ifindex) {
        const InAddr *dst = &r->dst.address;

        return r->ifindex == ifindex && r->type == RTN_UNICAST && r->table != RT_TABLE_LOCAL &&
               !(dst->family == AF_INET6 && r->dst.length > 0 &&
                 (in_addr_is_link_local(dst) || in_addr_is_multicast(dst)));
}

AdjustRoute adjust_route_from(const NlRoute *r, uint32_t table) {
        return (AdjustRoute) { .route = { .dst = r->dst,
                                          .gw = r->gw,
                                          .mtu = r->mtu,
                                          .advmss = r->advmss,
                                          .priority = r->priority,
                                          .table = table,
                                          .scope = r->scope },
                               .prefsrc = r->prefsrc };
}

void adjust_route_op(const AdjustRoute *r, uint32_t ifindex, NlOpType type, NlOp *ret) {
        const NetRoute *route = &r->route;

        *ret = (NlOp) { .type = type,
                        .what = type == NL_ROUTE_ADD ? "add the route" : "delete the route",
                        .route = { .ifindex = (int32_t) ifindex,
                                   .dst = route->dst,
                                   .gw = route->gw,
                                   .prefsrc = r->prefsrc,
                                   .onlink = r->onlink,
                                   .replace = type == NL_ROUTE_ADD,
                                   .mtu = route->mtu,
                                   .advmss = route->advmss,
                                   .priority = route->priority,
                                   .table = (uint32_t) route->table,
                                   .scope = (uint8_t) route->scope } };
}

/* What the kernel takes for "unset". */
static uint32_t priority_of(const NetRoute *r) {
        if (r->priority || r->dst.address.family == AF_INET)
                return r->priority;
        return 1024;
}

int adjust_add_route(SpecAdjust *in, size_t *allocated, const AdjustRoute *r) {
        for (size_t i = 0; i < in->n_routes; i++) {
                const NetRoute *have = &in->routes[i].route;
                /* The kernel has one route to a destination of one metric and table. */
                if (have->table == r->route.table && have->dst.length == r->route.dst.length &&
                    in_addr_equal(&have->dst.address, &r->route.dst.address) &&
                    priority_of(have) == priority_of(&r->route))
                        return 0;
        }
        if (in->n_routes == ADJUST_ROUTES_MAX)
                return -E2BIG;
        if (in->n_routes == *allocated || !in->routes) {
                size_t more = 2 * *allocated + 8;
                AdjustRoute *routes = reallocarray(in->routes, more, sizeof(*routes));
                if (!routes)
                        return -ENOMEM;
                in->routes = routes;
                *allocated = more;
        }
        in->routes[in->n_routes++] = *r;
        return 0;
}

/* ---- deciding --------------------------------------------------------------------------------- */

static int decide_sysctls(AttachmentSpec *s, const NetConf *c) {
        NetSysctl *more = reallocarray(s->sysctls, s->n_sysctls + c->n_sysctls + 1, sizeof(*more));

        if (!more)
                return -ENOMEM;
        s->sysctls = more;
        for (size_t i = 0; i < c->n_sysctls; i++) {
                NetSysctl add = { spec_sysctl_name(c->sysctls[i].name, s->ifname),
                                  strdup(c->sysctls[i].value) };
                size_t k = 0;

                if (!add.name || !add.value) {
                        free(add.name);
                        free(add.value);
                        return -ENOMEM;
                }
                while (k < s->n_sysctls && !streq(s->sysctls[k].name, add.name))
                        k++;
                if (k == s->n_sysctls)
                        s->n_sysctls++;
                else {
                        free(s->sysctls[k].name);
                        free(s->sysctls[k].value);
                }
                s->sysctls[k] = add;
        }
        s->adjust.has_sysctls |= c->n_sysctls > 0;
        return 0;
}

int adjust_decide(AttachmentSpec *s, const NetConf *c, const CniArgs *args,
                  const CniOwnedResult *prev, const NlDump *seen, Error *e) {
        const NlLink *link = compare_find_link(seen, s->ifname);

        if (!link)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "the sandbox has no interface %s; the plugins before this one in "
                                  "the chain have to make it",
                                  s->ifname);
        switch (c->plugin) {
        case NET_PLUGIN_TUNING:
                if (decide_sysctls(s, c) < 0)
                        return error_oom(e);
                return tuning_decide(s, c, args, seen, e);
        case NET_PLUGIN_SBR:
                return sbr_decide(s, &c->sbr, prev, seen, link, e);
        case NET_PLUGIN_VRF:
                return vrf_decide(s, &c->vrf, seen, link, e);
        default:
                return error_setf(e, ERROR_INTERNAL,
                                  "plugin %s changes nothing inside of a sandbox",
                                  net_plugin_to_string(c->plugin));
        }
}

/* ---- comparing and applying ------------------------------------------------------------------- */

bool adjust_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, bool whole,
                    Differences *ret) {
        bool more = vrf_compare(s, d, l, ret);

        tuning_compare(s, l, whole, ret);
        /* The routes are lost again when the interface joins its VRF. */
        if (!more || !whole)
                sbr_compare(s, d, l, whole, ret);
        return more;
}

static bool has_address(const NlDump *d, uint32_t ifindex, const InPrefix *p) {
        for (size_t i = 0; i < d->n_addrs; i++)
                if (d->addrs[i].ifindex == ifindex && d->addrs[i].address.length == p->length &&
                    in_addr_equal(&d->addrs[i].address.address, &p->address))
                        return true;
        return false;
}

/* Addresses that the interface has lost. Link-local ones come by themselves. */
static void compare_addresses(const NlDump *seen, const NlDump *d, const NlLink *l,
                              Differences *ret) {
        for (size_t i = 0; i < seen->n_addrs; i++) {
                const NlAddr *a = &seen->addrs[i];
                NlOp op = { .type = NL_ADDR_ADD,
                            .what = "put the address back",
                            .addr = { .ifindex = (int32_t) l->ifindex,
                                      .address = a->address,
                                      .scope = a->scope,
                                      .noprefixroute = a->flags & IFA_F_NOPREFIXROUTE } };
                if (a->ifindex == l->ifindex && a->scope != RT_SCOPE_LINK &&
                    !has_address(d, l->ifindex, &a->address))
                        differ(ret, &op, "address %s is missing on %s in " WHERE_SANDBOX,
                               IN_PREFIX_STR(&a->address), l->name);
        }
}

static int apply_ops(NlSocket *pod, const NlOp *ops, size_t n, Error *e) {
        NlApplied applied = { 0 };

        int r = kernel_apply(pod, ops, n, &applied);
        if (r >= 0)
                return 0;
        const NlOp *op = applied.failed < n ? &ops[applied.failed] : NULL;
        _cleanup_free_ char *words = op ? nl_op_describe(op) : NULL;
        if (r == -EOPNOTSUPP && op && op->type == NL_LINK_ADD)
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "vrfname: this kernel has no VRFs (kernel module vrf)");
        return error_set_errnof(e, ERROR_KERNEL, r, "the kernel refused to %s in the sandbox%s%s",
                                words ? words : "answer", applied.message[0] ? ": " : "",
                                applied.message);
}

/* Carries out what mends the differences; what nothing mends is an error. */
static int mend(NlSocket *pod, const Differences *l, Error *e) {
        _cleanup_free_ NlOp *ops = new0(NlOp, l->n + 1);
        size_t n = 0;

        if (!ops || l->error < 0)
                return error_oom(e);
        for (size_t i = 0; i < l->n; i++) {
                if (!l->items[i].mendable)
                        return error_setf(e, ERROR_KERNEL, "%s", l->items[i].sentence);
                ops[n++] = l->items[i].repair;
        }
        return n ? apply_ops(pod, ops, n, e) : 0;
}

static bool has_joined(const AttachmentSpec *s, const NlDump *d, const NlLink *l) {
        const NlLink *vrf = s->adjust.vrf[0] ? compare_find_link(d, s->adjust.vrf) : NULL;

        return vrf && l->master == vrf->ifindex;
}

/* One look and what it shows to be missing. Addresses first: gateways are reached by their subnets. */
static int apply_round(NlSocket *pod, const AttachmentSpec *s, const NlDump *seen, const NlDump *d,
                       bool *ret_more, Error *e) {
        const NlLink *l = compare_find_link(d, s->ifname);
        Differences found = { 0 };

        if (!l)
                return error_setf(e, ERROR_KERNEL, "interface %s of the sandbox is gone",
                                  s->ifname);
        if (has_joined(s, d, l))
                compare_addresses(seen, d, l, &found);
        *ret_more = adjust_compare(s, d, l, true, &found);
        failpoint_past("adjust-apply");
        int r = mend(pod, &found, e);
        differences_clear(&found);
        return r;
}

int adjust_apply(NlSocket *pod, const AttachmentSpec *s, const NlDump *seen, Error *e) {
        NlDump first = { 0 };
        bool more = true;
        int r = 0;

        for (unsigned round = 0; round < ROUNDS && more && r >= 0; round++) {
                NlDump d = { 0 };

                r = kernel_dump(pod, ADJUST_DUMP, &d);
                if (r < 0) {
                        (void) error_set_errnof(e, ERROR_KERNEL, r, "looking into the sandbox");
                        break;
                }
                compare_index(&d);
                r = apply_round(pod, s, seen ? seen : round ? &first : &d, &d, &more, e);
                if (round == 0)
                        first = d;
                else
                        kernel_dump_clear(&d);
        }
        kernel_dump_clear(&first);
        return r;
}

/* ---- undoing ---------------------------------------------------------------------------------- */

/* One that is no longer there to be undone is as good. */
static int undo_one(NlSocket *pod, const AttachmentSpec *s, const NlOp *op) {
        int r = kernel_apply(pod, op, 1, &(NlApplied) { 0 });

        if (r >= 0 || r == -ENOENT || r == -ESRCH || r == -ENODEV || r == -EADDRNOTAVAIL)
                return 0;
        _cleanup_free_ char *words = nl_op_describe(op);
        log_ctx(LOG_WARNING, &(LogContext) { .interface = s->ifname, .error = r },
                "undoing: the kernel refused to %s in the sandbox: %s", strempty(words),
                strerror(-r));
        return r;
}

static bool rule_is_in(const SpecAdjust *in, const AdjustRule *rule) {
        for (size_t i = 0; i < in->n_rules; i++)
                if (in->rules[i].table == rule->table &&
                    in_addr_equal(&in->rules[i].source, &rule->source))
                        return true;
        return false;
}

static int undo_rules(NlSocket *pod, const AttachmentSpec *now, const AttachmentSpec *before) {
        int r = 0;
        NlOp op;

        for (size_t i = 0; i < now->adjust.n_rules; i++) {
                if (before && rule_is_in(&before->adjust, &now->adjust.rules[i]))
                        continue;
                sbr_rule_op(&now->adjust.rules[i], NL_RULE_DEL, &op);
                r = MIN_OF(r, undo_one(pod, now, &op));
        }
        return r;
}

static int undo_settings(NlSocket *pod, const AttachmentSpec *s, const NetTuning *before) {
        NlOp ops[TUNING_OPS_MAX];
        size_t n = tuning_ops(before, s->ifname, ops);
        int r = 0;

        for (size_t i = 0; i < n; i++)
                r = MIN_OF(r, undo_one(pod, s, &ops[i]));
        return r;
}

static bool route_was_seen(const NlDump *seen, uint32_t ifindex, const AdjustRoute *r) {
        for (size_t i = 0; i < seen->n_routes; i++) {
                const NlRoute *s = &seen->routes[i];
                if (s->ifindex == ifindex && s->table == (uint32_t) r->route.table &&
                    s->dst.length == r->route.dst.length &&
                    in_addr_equal(&s->dst.address, &r->route.dst.address))
                        return true;
        }
        return false;
}

/* First those that were there (on-link ones before the others), so that nothing is unreachable between. */
static void undo_routes(NlSocket *pod, const AttachmentSpec *now, const NlDump *seen,
                        uint32_t ifindex) {
        NlOp op;

        for (int gateways = 0; gateways < 2; gateways++)
                for (size_t i = 0; i < seen->n_routes; i++) {
                        const NlRoute *r = &seen->routes[i];
                        if (!adjust_route_is_movable(r, ifindex) ||
                            in_addr_is_set(&r->gw) != gateways)
                                continue;
                        AdjustRoute back = adjust_route_from(r, r->table);
                        back.onlink = gateways && now->kind == NET_KIND_ROUTED;
                        adjust_route_op(&back, ifindex, NL_ROUTE_ADD, &op);
                        (void) undo_one(pod, now, &op);
                }
        for (size_t i = 0; i < now->adjust.n_routes; i++)
                if (!route_was_seen(seen, ifindex, &now->adjust.routes[i])) {
                        adjust_route_op(&now->adjust.routes[i], ifindex, NL_ROUTE_DEL, &op);
                        (void) undo_one(pod, now, &op);
                }
}

static void undo_addresses(NlSocket *pod, const AttachmentSpec *now, const NlDump *seen,
                           const NlLink *l) {
        Differences lost = { 0 };
        NlDump d = { 0 };

        if (kernel_dump(pod, NL_DUMP_ADDRS, &d) >= 0)
                compare_addresses(seen, &d, l, &lost);
        for (size_t i = 0; i < lost.n; i++)
                (void) undo_one(pod, now, &lost.items[i].repair);
        kernel_dump_clear(&d);
        differences_clear(&lost);
}

void adjust_roll_back(NlSocket *pod, const AttachmentSpec *now, const AttachmentSpec *before,
                      const NlDump *seen) {
        const NlLink *l = compare_find_link(seen, now->ifname);
        NetTuning was;

        if (!l)
                return;
        (void) undo_rules(pod, now, before);
        if (now->adjust.vrf[0] && !before->adjust.vrf[0]) {
                (void) vrf_leave(pod, now);
                undo_addresses(pod, now, seen, l);
        }
        if (now->adjust.routes_moved)
                undo_routes(pod, now, seen, l->ifindex);
        if (now->adjust.has_tuning) {
                tuning_read(&now->adjust.tuned, l, &was);
                (void) undo_settings(pod, now, &was);
        }
}

int adjust_undo(NlSocket *pod, const AttachmentSpec *s) {
        bool stays = s->kind == NET_KIND_FOREIGN || s->kind == NET_KIND_HOST_DEVICE;

        failpoint_past("adjust-undo");
        int r = undo_rules(pod, s, NULL);
        if (s->adjust.vrf[0])
                r = MIN_OF(r, vrf_leave(pod, s));
        if (s->adjust.has_tuning && stays)
                r = MIN_OF(r, undo_settings(pod, s, &s->adjust.before));
        return r;
}
