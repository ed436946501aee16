/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The chained plugin sbr: what leaves from an address of this interface goes by a table of its own, so
 * that answers leave by the interface that was asked. Each address gets the first free table from
 * TABLE_FIRST on, with a rule, the default route by its gateway and the routes of the interface that
 * belong to it; the main table no longer has those. With a `table` only the rules are made, for a table
 * that somebody else fills.
 */

#include <linux/rtnetlink.h>
#include <stdio.h>

#include "base/limits.h"
#include "core/adjust.h"

#define TABLE_FIRST 100U

/* One address of the interface and its table. */
typedef struct Source {
        InPrefix address;
        InAddr gateway; /* AF_UNSPEC: none */
        uint32_t table;
} Source;

typedef struct Decision {
        AttachmentSpec *spec;
        const NetSbr *conf;
        const NlDump *seen;
        const NlLink *link;
        Source *sources;
        size_t n_sources;
        size_t allocated; /* of the routes */
} Decision;

static bool table_is_used(const Decision *d, uint32_t table) {
        const NlDump *seen = d->seen;

        for (size_t i = 0; i < seen->n_rules; i++)
                if (seen->rules[i].table == table)
                        return true;
        for (size_t i = 0; i < seen->n_routes; i++)
                if (seen->routes[i].table == table)
                        return true;
        for (size_t i = 0; i < d->n_sources; i++)
                if (d->sources[i].table == table)
                        return true;
        return false;
}

static uint32_t free_table(const Decision *d) {
        uint32_t table = TABLE_FIRST;

        /* The kernel's own three are never free: they have rules. */
        while (table_is_used(d, table))
                table++;
        return table;
}

/* An address without an interface, or with one that does not exist, counts as ours, as it does for the
 * reference plugin. */
static bool is_of_interface(const CniOwnedResult *prev, size_t i, const char *ifname) {
        int index = prev->ips[i].interface;

        return index < 0 || (size_t) index >= prev->n_interfaces ||
               streq(prev->interfaces[index].name, ifname);
}

static bool has_rule(const SpecAdjust *in, const InAddr *source) {
        for (size_t i = 0; i < in->n_rules; i++)
                if (in_addr_equal(&in->rules[i].source, source))
                        return true;
        return false;
}

static int find_sources(Decision *d, const CniOwnedResult *prev, Error *e) {
        const NetSbr *conf = d->conf;

        for (size_t i = 0; i < prev->n_ips; i++) {
                const InAddr *a = &prev->ips[i].address.address;
                const InAddr *own = a->family == AF_INET ? &conf->gateway4 : &conf->gateway6;

                if (!is_of_interface(prev, i, d->spec->ifname) || has_rule(&d->spec->adjust, a))
                        continue;
                d->sources[d->n_sources] = (Source) {
                        .address = prev->ips[i].address,
                        .gateway = in_addr_is_set(own) ? *own : prev->ips[i].gateway,
                        .table = conf->table >= 0 ? (uint32_t) conf->table : free_table(d),
                };
                d->n_sources++;
        }
        if (d->n_sources == 0 && d->spec->adjust.n_rules == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "prevResult.ips: wanted an address of interface %s, found none",
                                  d->spec->ifname);
        return 0;
}

static int add_rules(Decision *d) {
        SpecAdjust *in = &d->spec->adjust;
        AdjustRule *more = reallocarray(in->rules, in->n_rules + d->n_sources + 1, sizeof(*more));

        if (!more)
                return -ENOMEM;
        in->rules = more;
        for (size_t i = 0; i < d->n_sources; i++)
                more[in->n_rules++] = (AdjustRule) { .source = d->sources[i].address.address,
                                                     .table = d->sources[i].table };
        return 0;
}

/* Whose source or gateway is in the address's subnet, or who has neither. */
static bool belongs(const NlRoute *r, const Source *s) {
        if (r->dst.address.family != s->address.address.family)
                return false;
        if (!in_addr_is_set(&r->prefsrc) && !in_addr_is_set(&r->gw))
                return true;
        return (in_addr_is_set(&r->prefsrc) && in_prefix_contains(&s->address, &r->prefsrc)) ||
               (in_addr_is_set(&r->gw) && in_prefix_contains(&s->address, &r->gw));
}

static bool belongs_to_any(const Decision *d, const NlRoute *r) {
        for (size_t i = 0; i < d->n_sources; i++)
                if (belongs(r, &d->sources[i]))
                        return true;
        return false;
}

static bool is_first_of_family(const Decision *d, size_t index) {
        for (size_t i = 0; i < index; i++)
                if (d->sources[i].address.address.family ==
                    d->sources[index].address.address.family)
                        return false;
        return true;
}

/* On-link ones, then those by gateways. A route of nobody goes with the first address of its family: it
 * would be lost, since it leaves the main table with the others. */
static int move_routes(Decision *d, size_t index, bool gateways) {
        const Source *s = &d->sources[index];

        for (size_t i = 0; i < d->seen->n_routes; i++) {
                const NlRoute *r = &d->seen->routes[i];

                if (!adjust_route_is_movable(r, d->link->ifindex) || r->table != RT_TABLE_MAIN ||
                    in_addr_is_set(&r->gw) != gateways)
                        continue;
                bool orphan = r->dst.address.family == s->address.address.family &&
                              is_first_of_family(d, index) && !belongs_to_any(d, r);
                if (!belongs(r, s) && !orphan)
                        continue;
                AdjustRoute moved = adjust_route_from(r, s->table);
                int e = adjust_add_route(&d->spec->adjust, &d->allocated, &moved);
                if (e < 0)
                        return e;
        }
        return 0;
}

static int add_default(Decision *d, const Source *s) {
        AdjustRoute r = {
                .route = { .dst.address.family = s->address.address.family,
                           .gw = s->gateway,
                           .table = s->table,
                           .scope = RT_SCOPE_UNIVERSE },
        };

        if (!in_addr_is_set(&s->gateway) || s->gateway.family != s->address.address.family)
                return 0;
        return adjust_add_route(&d->spec->adjust, &d->allocated, &r);
}

/* addSourceHints: the main table keeps what is on the link, with the address to use, for programs that
 * do not choose one. */
static int add_hints(Decision *d) {
        SpecAdjust *in = &d->spec->adjust;
        int r = 0;

        for (size_t i = 0; i < d->n_sources && r >= 0; i++) {
                const InPrefix *a = &d->sources[i].address;
                AdjustRoute hint = {
                        .route = { .dst = { in_prefix_first(a), a->length },
                                   .table = RT_TABLE_MAIN,
                                   .scope = a->address.family == AF_INET ? RT_SCOPE_LINK
                                                                         : RT_SCOPE_UNIVERSE },
                        .prefsrc = a->address,
                };
                r = adjust_add_route(in, &d->allocated, &hint);
        }
        for (size_t i = 0; i < d->seen->n_routes && r >= 0; i++) {
                const NlRoute *found = &d->seen->routes[i];
                if (!adjust_route_is_movable(found, d->link->ifindex) ||
                    found->table != RT_TABLE_MAIN || found->scope != RT_SCOPE_LINK ||
                    found->protocol == RTPROT_KERNEL)
                        continue;
                AdjustRoute kept = adjust_route_from(found, RT_TABLE_MAIN);
                r = adjust_add_route(in, &d->allocated, &kept);
        }
        return r;
}

static bool reaches(const AdjustRoute *by, const AdjustRoute *r) {
        return by->route.table == r->route.table && !in_addr_is_set(&by->route.gw) &&
               in_prefix_contains(&by->route.dst, &r->route.gw);
}

/* A gateway that no route of its table leads to is on the link all the same: that of a routed sandbox. */
void sbr_set_onlink(SpecAdjust *in) {
        for (size_t i = 0; i < in->n_routes; i++) {
                AdjustRoute *r = &in->routes[i];

                if (!in_addr_is_set(&r->route.gw) || in_addr_is_link_local(&r->route.gw)) {
                        r->onlink |= r->route.gw.family == AF_INET;
                        continue;
                }
                r->onlink = true;
                for (size_t k = 0; k < in->n_routes && r->onlink; k++)
                        r->onlink = !reaches(&in->routes[k], r);
        }
}

int sbr_decide(AttachmentSpec *s, const NetSbr *conf, const CniOwnedResult *prev,
               const NlDump *seen, const NlLink *link, Error *e) {
        _cleanup_free_ Source *sources = new0(Source, prev->n_ips + 1);
        Decision d = { .spec = s, .conf = conf, .seen = seen, .link = link, .sources = sources };

        if (!sources)
                return error_oom(e);
        int r = find_sources(&d, prev, e);
        if (r < 0)
                return r;
        if (add_rules(&d) < 0)
                return error_oom(e);
        if (conf->table >= 0)
                return 0;
        d.allocated = s->adjust.n_routes;
        s->adjust.routes_moved = true;
        for (size_t i = 0; i < d.n_sources && r >= 0; i++) {
                r = move_routes(&d, i, false);
                if (r >= 0)
                        r = move_routes(&d, i, true);
                if (r >= 0)
                        r = add_default(&d, &d.sources[i]);
        }
        if (r >= 0 && conf->add_source_hints)
                r = add_hints(&d);
        if (r == -E2BIG)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "interface %s has more than %u routes, which is too much for sbr",
                                  s->ifname, ADJUST_ROUTES_MAX);
        if (r < 0)
                return error_oom(e);
        sbr_set_onlink(&s->adjust);
        return 0;
}

/* ---- comparing -------------------------------------------------------------------------------- */

void sbr_rule_op(const AdjustRule *rule, NlOpType type, NlOp *ret) {
        *ret = (NlOp) { .type = type,
                        .what = type == NL_RULE_ADD ? "add the rule" : "delete the rule",
                        .rule = { .family = rule->source.family,
                                  .src = { rule->source, family_bits(rule->source.family) },
                                  .has_src = true,
                                  .table = rule->table } };
}

static void compare_rule(const NlDump *d, const AdjustRule *want, Differences *ret) {
        NlOp op;

        for (size_t i = 0; i < d->n_rules; i++) {
                const NlRule *r = &d->rules[i];
                if (r->has_src && r->table == want->table &&
                    r->src.length == family_bits(want->source.family) &&
                    in_addr_equal(&r->src.address, &want->source))
                        return;
        }
        sbr_rule_op(want, NL_RULE_ADD, &op);
        differ(ret, &op, "rule \"from %s lookup %u\" is missing in " WHERE_SANDBOX,
               IN_ADDR_STR(&want->source), want->table);
}

static bool same_route(const NlRoute *r, const AdjustRoute *want) {
        return r->table == (uint32_t) want->route.table &&
               r->dst.length == want->route.dst.length &&
               in_addr_equal(&r->dst.address, &want->route.dst.address) &&
               in_addr_equal(&r->gw, &want->route.gw) &&
               (!in_addr_is_set(&want->prefsrc) || in_addr_equal(&r->prefsrc, &want->prefsrc)) &&
               (!want->route.priority || r->priority == want->route.priority);
}

static void compare_route(const NlDump *d, const NlLink *l, const AdjustRoute *want,
                          Differences *ret) {
        NlOp op;

        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].ifindex == l->ifindex && same_route(&d->routes[i], want))
                        return;
        adjust_route_op(want, l->ifindex, NL_ROUTE_ADD, &op);
        differ(ret, &op, "route %s in table %u is missing in " WHERE_SANDBOX,
               IN_PREFIX_STR(&want->route.dst), (unsigned) want->route.table);
}

static bool is_wanted(const SpecAdjust *in, const NlRoute *r) {
        for (size_t i = 0; i < in->n_routes; i++)
                if (same_route(r, &in->routes[i]))
                        return true;
        return false;
}

void sbr_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, bool whole,
                 Differences *ret) {
        const SpecAdjust *in = &s->adjust;
        NlOp op;

        for (size_t i = 0; i < in->n_rules; i++)
                compare_rule(d, &in->rules[i], ret);
        for (size_t i = 0; i < in->n_routes; i++)
                compare_route(d, l, &in->routes[i], ret);
        if (!whole)
                return;
        /* Last: a route by a gateway has to find that in its new table first. */
        for (size_t i = 0; i < d->n_routes; i++) {
                const NlRoute *r = &d->routes[i];
                if (r->table != RT_TABLE_MAIN || !adjust_route_is_movable(r, l->ifindex) ||
                    !spec_routes_moved(s, r->dst.address.family) || is_wanted(in, r))
                        continue;
                AdjustRoute moved = adjust_route_from(r, RT_TABLE_MAIN);
                adjust_route_op(&moved, l->ifindex, NL_ROUTE_DEL, &op);
                differ(ret, &op, "route %s is still in the main table of " WHERE_SANDBOX,
                       IN_PREFIX_STR(&r->dst));
        }
}
