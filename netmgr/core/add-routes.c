/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The routes of an ADD: those of the network (or of the plugin that gave the addresses), as the interface's
 * place among those of its sandbox allows. Every interface may bring a default route; which one counts is a
 * matter of metrics:
 *
 *   the one that was asked to have it     0 (its gateways: 0, 100, 200, … in their order)
 *   the default network, unless one was   0
 *   the others                            1000 + position, as have all of their routes
 *
 * A metric of the configuration's own is left alone. IPv6 counts from 1024, which the kernel makes of "none".
 *
 * What leaves from an address of an interface must leave by it: rules of the host (and of most networks) drop
 * it elsewhere. An interface that is not the way out for everything, and leads further than its own
 * subnets, therefore has a table of its own (what the chained plugin sbr makes, adjust.h), with a rule for each
 * of its addresses. Unlike the plugin's, its routes are in the main table as well: for who chooses no address.
 */

#include <linux/rtnetlink.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "core/adjust.h"
#include "core/op-add.h"
#include "core/place.h"

#define METRIC_SECONDARY 1000U
#define METRIC_STEP      100U
#define TABLE_FIRST      100U

typedef struct Routes {
        AddOp *op;
        AttachmentSpec *spec;
        const NetConf *conf;
        const RequestPlace *place;
        NetRoute own[2]; /* the default route that the network has, per family */
        bool has_own[2];
} Routes;

static int family_index(int family) {
        return family == AF_INET6;
}

static InAddr gateway_of(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].gateway.family == family)
                        return s->addresses[i].gateway;
        return (InAddr) { .family = AF_UNSPEC };
}

/* In the main table: one in another is for whoever has a rule for that. */
static bool is_default(const NetRoute *r, int family) {
        return r->dst.length == 0 && r->dst.address.family == family &&
               (r->table < 0 || r->table == RT_TABLE_MAIN);
}

static bool has_default_route(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_routes; i++)
                if (s->routes[i].dst.length == 0 && s->routes[i].dst.address.family == family)
                        return true;
        return false;
}

/* ---- the network's ---------------------------------------------------------------------------- */

static void take_routes(Routes *x, const NetRoute *routes, size_t n_routes) {
        static const int families[] = { AF_INET, AF_INET6 };
        AttachmentSpec *s = x->spec;
        const NetConf *c = x->conf;
        bool add_default = s->kind == NET_KIND_ROUTED ? n_routes == 0 : c->is_default_gateway;

        for (size_t i = 0; i < n_routes; i++) {
                NetRoute route = routes[i];
                /* A dual-stack list serves a single-stack sandbox too. */
                if (!spec_has_family(s, route.dst.address.family))
                        continue;
                if (!in_addr_is_set(&route.gw) && route.scope != 253) {
                        route.gw = gateway_of(s, route.dst.address.family);
                        route.gw_implied =
                                        c->plugin != NET_PLUGIN_NETMGR && in_addr_is_set(&route.gw);
                }
                s->routes[s->n_routes++] = route;
        }
        for (size_t i = 0; add_default && i < ELEMENTSOF(families); i++) {
                InAddr gw = gateway_of(s, families[i]);
                if (!in_addr_is_set(&gw) || has_default_route(s, families[i]))
                        continue;
                s->routes[s->n_routes++] = (NetRoute) {
                        .dst.address.family = families[i], .gw = gw, .table = -1, .scope = -1
                };
        }
        for (size_t i = 0; i < s->n_routes; i++) {
                int f = family_index(s->routes[i].dst.address.family);
                if (!x->has_own[f] && is_default(&s->routes[i], s->routes[i].dst.address.family)) {
                        x->own[f] = s->routes[i];
                        x->has_own[f] = true;
                }
        }
}

/* ---- gateways that somebody names ---------------------------------------------------------------- */

static bool sets_have_gateway(const NetRangeSet *sets, size_t n, const InAddr *a) {
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < sets[i].n_ranges; k++)
                        if (in_addr_equal(&sets[i].ranges[k].gateway, a))
                                return true;
        return false;
}

/* The next hop for a gateway as a person names it. Behind a routed interface is the host and nobody else, by
 * whichever name: the gateway of the range is nobody's address there. */
static int find_next_hop(const Routes *x, const InAddr *wanted, InAddr *ret, bool *ret_onlink,
                         Error *e) {
        const AttachmentSpec *s = x->spec;
        InAddr gateway = gateway_of(s, wanted->family);

        if (!spec_has_family(s, wanted->family))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "gateway %s: interface %s has no %s address on network %s",
                                  IN_ADDR_STR(wanted), s->ifname,
                                  wanted->family == AF_INET ? "IPv4" : "IPv6",
                                  x->op->attachment->network->name);
        *ret = *wanted;
        *ret_onlink = false;
        if (kind_is_routed(s->kind)) {
                if (!in_addr_equal(wanted, &gateway) &&
                    !sets_have_gateway(x->conf->sets, x->conf->n_sets, wanted) &&
                    !sets_have_gateway(x->op->conf->runtime_sets, x->op->conf->n_runtime_sets,
                                       wanted))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "gateway %s: on network %s of kind %s only the host is a gateway; leave the "
                                        "address away, or name %s",
                                        IN_ADDR_STR(wanted), x->op->attachment->network->name,
                                        net_kind_to_string(s->kind), IN_ADDR_STR(&gateway));
                *ret = gateway;
                return 0;
        }
        if (wanted->family == AF_INET6 && in_addr_is_link_local(wanted))
                return 0;
        *ret_onlink = true;
        for (size_t i = 0; i < s->n_addresses && *ret_onlink; i++)
                *ret_onlink = !in_prefix_contains(&s->addresses[i].address, wanted);
        return 0;
}

static bool names_gateway_of(const RequestPlace *place, int family) {
        for (size_t i = 0; i < place->n_gateways; i++)
                if (place->gateways[i].family == family)
                        return true;
        return false;
}

static void drop_defaults(AttachmentSpec *s, int family) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_routes; i++)
                if (!is_default(&s->routes[i], family))
                        s->routes[n++] = s->routes[i];
        s->n_routes = n;
}

static bool has_route_by(const AttachmentSpec *s, const NetRoute *route) {
        for (size_t i = 0; i < s->n_routes; i++)
                if (is_default(&s->routes[i], route->dst.address.family) &&
                    in_addr_equal(&s->routes[i].gw, &route->gw))
                        return true;
        return false;
}

/* Two names of one next hop are one. */
static int add_gateways(Routes *x, int family, Error *e) {
        AttachmentSpec *s = x->spec;
        unsigned nth = 0;

        for (size_t i = 0; i < x->place->n_gateways; i++) {
                NetRoute route = { .dst.address.family = family, .table = -1, .scope = -1 };

                if (x->place->gateways[i].family != family)
                        continue;
                int r = find_next_hop(x, &x->place->gateways[i], &route.gw, &route.onlink, e);
                if (r < 0)
                        return r;
                if (has_route_by(s, &route))
                        continue;
                if (nth > 0)
                        route.priority = spec_metric(family, nth * METRIC_STEP);
                nth++;
                s->routes[s->n_routes++] = route;
        }
        return 0;
}

static int add_place_routes(Routes *x, Error *e) {
        AttachmentSpec *s = x->spec;

        for (size_t i = 0; i < x->place->n_routes; i++) {
                NetRoute route = x->place->routes[i];

                int r = find_next_hop(x, &x->place->routes[i].gw, &route.gw, &route.onlink, e);
                if (r < 0)
                        return r;
                s->routes[s->n_routes++] = route;
        }
        return 0;
}

/* ---- the place -------------------------------------------------------------------------------- */

/* What lasts of it, for leases that come later. */
static void note_place(Routes *x) {
        const RequestPlace *p = x->place;
        AttachmentSpec *s = x->spec;

        s->no_default4 = p->no_default4;
        s->no_default6 = p->no_default6;
        s->metric = p->position > 0 ? METRIC_SECONDARY + p->position : 0;
        s->has_default4 = p->has_default_route &&
                          (p->n_gateways == 0 || names_gateway_of(p, AF_INET));
        s->has_default6 = p->has_default_route &&
                          (p->n_gateways == 0 || names_gateway_of(p, AF_INET6));
}

static int apply_place(Routes *x, Error *e) {
        static const int families[] = { AF_INET, AF_INET6 };
        AttachmentSpec *s = x->spec;

        for (size_t i = 0; i < ELEMENTSOF(families); i++) {
                bool named = x->place->has_default_route && names_gateway_of(x->place, families[i]);

                if (named || (families[i] == AF_INET ? s->no_default4 : s->no_default6))
                        drop_defaults(s, families[i]);
                int r = named ? add_gateways(x, families[i], e) : 0;
                if (r < 0)
                        return r;
        }
        for (size_t i = 0; i < s->n_routes; i++)
                spec_set_metric(s, &s->routes[i]);
        return 0;
}

/* The kernel has one route to a destination with one metric: whose it is, is to be said, not "file exists". */
static int check_defaults(const Routes *x, Error *e) {
        const AttachmentSpec *s = x->spec;
        Attachment *a;

        LIST_FOREACH (a, &x->op->attachment->sandbox->attachments, Attachment, by_sandbox) {
                if (a == x->op->attachment || a->state == ATTACHMENT_RELEASING)
                        continue;
                for (size_t i = 0; i < s->n_routes * a->spec.n_routes; i++) {
                        const NetRoute *mine = &s->routes[i % s->n_routes],
                                       *his = &a->spec.routes[i / s->n_routes];
                        int family = mine->dst.address.family;
                        if (is_default(mine, family) && is_default(his, family) &&
                            spec_metric(family, mine->priority) ==
                                            spec_metric(family, his->priority))
                                return error_setf(
                                                e, ERROR_EXISTS,
                                                "interface %s of the sandbox has the %s default route "
                                                "already; %s can have it when both are attached at once",
                                                a->spec.ifname, family == AF_INET ? "IPv4" : "IPv6",
                                                s->ifname);
                }
        }
        return 0;
}

/* ---- a table of its own --------------------------------------------------------------------------- */

/* What the network says; else: it is not the way out for everything, and leads somewhere. */
static bool wants_table(const Routes *x) {
        const AttachmentSpec *s = x->spec;
        const RequestPlace *p = x->place;

        if (x->conf->own_sbr.wanted >= 0)
                return x->conf->own_sbr.wanted && s->n_addresses > 0;
        if (!p || s->drop_in || s->n_addresses == 0 || s->kind == NET_KIND_FOREIGN)
                return false;
        return (p->position > 0 || p->no_default4 || p->no_default6) &&
               (kind_is_routed(s->kind) || x->has_own[0] || x->has_own[1] || p->has_default_route);
}

bool add_looks_for_tables(const AddOp *op) {
        const NetConf *c = op->attachment->network->conf;

        return c->own_sbr.wanted > 0 ||
               (c->own_sbr.wanted < 0 && op->request.place && !netconf_is_drop_in(c));
}

int add_look_for_tables(AddOp *op, Error *e) {
        NlDump d = { 0 };

        int r = kernel_dump(op->pod, NL_DUMP_ROUTES | NL_DUMP_ALL_TABLES | NL_DUMP_RULES, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r,
                                        "looking for routing tables in the sandbox");
        op->tables = new0(uint32_t, d.n_routes + d.n_rules + 1);
        for (size_t i = 0; op->tables && i < d.n_routes; i++)
                op->tables[op->n_tables++] = d.routes[i].table;
        for (size_t i = 0; op->tables && i < d.n_rules; i++)
                op->tables[op->n_tables++] = d.rules[i].table;
        kernel_dump_clear(&d);
        return op->tables ? 0 : error_oom(e);
}

static bool spec_has_table(const AttachmentSpec *s, uint32_t table) {
        for (size_t i = 0; i < s->adjust.n_rules; i++)
                if (s->adjust.rules[i].table == table)
                        return true;
        for (size_t i = 0; i < s->n_routes; i++)
                if (s->routes[i].table == table)
                        return true;
        return s->adjust.vrf[0] && s->adjust.vrf_table == table;
}

/* Which of the others has it; those that are being made are not in the kernel yet. NULL: none. */
static const Attachment *table_holder(const Routes *x, uint32_t table) {
        Attachment *a;

        LIST_FOREACH (a, &x->op->attachment->sandbox->attachments, Attachment, by_sandbox)
                if (a != x->op->attachment && spec_has_table(&a->spec, table))
                        return a;
        return NULL;
}

static bool table_is_seen(const Routes *x, uint32_t table) {
        for (size_t i = 0; i < x->op->n_tables; i++)
                if (x->op->tables[i] == table)
                        return true;
        return false;
}

static int choose_table(const Routes *x, uint32_t *ret, Error *e) {
        uint32_t table = x->conf->own_sbr.table;
        const Attachment *other = table ? table_holder(x, table) : NULL;

        if (other)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"sbr.table\": %u of network %s is the table of interface %s of the sandbox; "
                                "\"sbr\": true takes a free one",
                                table, x->op->attachment->network->name, other->spec.ifname);
        if (table == 0)
                for (table = TABLE_FIRST; table_is_seen(x, table) || table_holder(x, table) ||
                                          spec_has_table(x->spec, table);)
                        table++;
        *ret = table;
        return 0;
}

static int put_route(Routes *x, size_t *allocated, const NetRoute *route, uint32_t table,
                     const InAddr *prefsrc) {
        AdjustRoute r = { .route = *route, .onlink = route->onlink };

        r.route.table = table;
        r.route.gw_implied = r.route.onlink = false;
        if (prefsrc)
                r.prefsrc = *prefsrc;
        if (r.route.scope < 0)
                r.route.scope = in_addr_is_set(&route->gw) || route->dst.address.family == AF_INET6
                                                ? RT_SCOPE_UNIVERSE
                                                : RT_SCOPE_LINK;
        return adjust_add_route(&x->spec->adjust, allocated, &r);
}

/* What is on the link: gateways are found behind it. */
static int put_subnets(Routes *x, size_t *allocated, uint32_t table) {
        AttachmentSpec *s = x->spec;
        int r = 0;

        for (size_t i = 0; i < s->n_addresses && r >= 0; i++) {
                const SpecAddress *a = &s->addresses[i];
                NetRoute subnet = { .dst = { in_prefix_first(&a->address), a->address.length },
                                    .scope = -1 };
                NetRoute gateway = { .dst = { a->gateway, family_bits(a->gateway.family) },
                                     .scope = -1 };

                if (s->kind == NET_KIND_PTP && in_addr_is_set(&a->gateway)) {
                        r = put_route(x, allocated, &gateway, table, &a->address.address);
                        subnet.gw = a->gateway;
                }
                if (r >= 0 && a->address.length < family_bits(a->address.address.family))
                        r = put_route(x, allocated, &subnet, table, &a->address.address);
        }
        return r;
}

static int put_default(Routes *x, size_t *allocated, int family, uint32_t table) {
        const NetRoute *own = &x->own[family_index(family)];
        NetRoute route = { .dst.address.family = family, .scope = -1 };

        if (!spec_has_family(x->spec, family))
                return 0;
        if (x->has_own[family_index(family)])
                route = *own;
        else
                route.gw = gateway_of(x->spec, family);
        if (!in_addr_is_set(&route.gw) && !x->has_own[family_index(family)])
                return 0;
        route.priority = 0;
        return put_route(x, allocated, &route, table, NULL);
}

/* Those that are in the main table now, without the metrics that keep them apart there. */
static int put_others(Routes *x, size_t *allocated, uint32_t table) {
        AttachmentSpec *s = x->spec;
        int r = 0;

        for (size_t i = 0; i < s->n_routes && r >= 0; i++) {
                NetRoute route = s->routes[i];
                if (route.table > 0 && route.table != RT_TABLE_MAIN)
                        continue;
                if (s->metric && route.priority == spec_metric(route.dst.address.family, s->metric))
                        route.priority = 0;
                r = put_route(x, allocated, &route, table, NULL);
        }
        return r;
}

static int make_table(Routes *x, Error *e) {
        SpecAdjust *in = &x->spec->adjust;
        size_t allocated = 0;
        uint32_t table = 0;

        int r = choose_table(x, &table, e);
        if (r < 0)
                return r;
        in->rules = new0(AdjustRule, x->spec->n_addresses + 1);
        if (!in->rules)
                return error_oom(e);
        for (size_t i = 0; i < x->spec->n_addresses; i++)
                in->rules[in->n_rules++] =
                                (AdjustRule) { .source = x->spec->addresses[i].address.address,
                                               .table = table };
        r = put_subnets(x, &allocated, table);
        /* The gateways that were asked for go before the network's: both have no metric here. */
        if (r >= 0)
                r = put_others(x, &allocated, table);
        if (r >= 0)
                r = put_default(x, &allocated, AF_INET, table);
        if (r >= 0)
                r = put_default(x, &allocated, AF_INET6, table);
        if (r < 0)
                return r == -E2BIG ? error_setf(e, ERROR_INVALID_ARGUMENT,
                                                "interface %s has more than %u routes",
                                                x->spec->ifname, ADJUST_ROUTES_MAX)
                                   : error_oom(e);
        sbr_set_onlink(in);
        return 0;
}

/* The routes that somebody asked for beside the network's: for what leaves from its addresses where it has a table
 * of its own, else for everything. */
static int put_asked(Routes *x, bool table, Error *e) {
        AttachmentSpec *s = x->spec;
        size_t before = s->n_routes, allocated = s->adjust.n_routes;

        int r = add_place_routes(x, e);
        if (r < 0 || !table) {
                for (size_t i = before; i < s->n_routes; i++)
                        spec_set_metric(s, &s->routes[i]);
                return r;
        }
        for (size_t i = before; i < s->n_routes && r >= 0; i++)
                r = put_route(x, &allocated, &s->routes[i], s->adjust.rules[0].table, NULL);
        s->n_routes = before;
        if (r >= 0)
                sbr_set_onlink(&s->adjust);
        return r < 0 ? error_oom(e) : 0;
}

int add_decide_routes(AddOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        const NetConf *c = op->attachment->network->conf;
        const NetRoute *routes = op->has_ipam ? op->ipam.routes : c->routes;
        size_t n = op->has_ipam ? op->ipam.n_routes : c->n_routes;
        Routes x = { .op = op, .spec = s, .conf = c, .place = op->request.place };
        size_t room = n + 2 + (x.place ? x.place->n_gateways + x.place->n_routes : 0);
        int r = 0;

        if (room > SPEC_ROUTES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "interface %s: %zu routes, at most %u",
                                  s->ifname, room, SPEC_ROUTES_MAX);
        s->routes = new0(NetRoute, room);
        if (!s->routes)
                return error_oom(e);
        take_routes(&x, routes, n);
        if (x.place)
                note_place(&x);
        if (s->dhcp && x.place && (x.place->n_gateways > 0 || x.place->n_routes > 0))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "network %s has its routes from a DHCP server: interface %s cannot be given "
                                "gateways or routes; leave them away",
                                op->attachment->network->name, s->ifname);
        if (x.place)
                r = apply_place(&x, e);
        if (r >= 0 && wants_table(&x))
                r = make_table(&x, e);
        if (r >= 0 && x.place)
                r = put_asked(&x, s->adjust.n_rules > 0, e);
        return r >= 0 && x.place ? check_defaults(&x, e) : r;
}
