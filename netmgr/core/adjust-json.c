/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SpecAdjust in the ledger: "adjust" of the plan column. See adjust.h. */

#include <stdio.h>

#include "base/limits.h"
#include "core/adjust.h"
#include "core/row-json.h"

/* ---- writing ---------------------------------------------------------------------------------- */

static int add_flag(json_object *o, const char *key, int value) {
        return value < 0 ? 0 : json_add(o, key, json_object_new_boolean(value));
}

static json_object *tuning_to_json(const NetTuning *t) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || (!mac_is_zero(&t->mac) && json_add_string(o, "mac", MAC_STR(&t->mac)) < 0) ||
            (t->mtu && json_add(o, "mtu", json_object_new_int64(t->mtu)) < 0) ||
            add_flag(o, "promisc", t->promisc) < 0 || add_flag(o, "allmulti", t->allmulti) < 0 ||
            (t->tx_queue_len >= 0 &&
             json_add(o, "txQLen", json_object_new_int64(t->tx_queue_len)) < 0))
                return NULL;
        return TAKE_PTR(o);
}

static json_object *rule_to_json(const AdjustRule *r) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "src", IN_ADDR_STR(&r->source)) < 0 ||
            json_add(o, "table", json_object_new_int64(r->table)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int add_number(json_object *o, const char *key, int64_t value) {
        return value ? json_add(o, key, json_object_new_int64(value)) : 0;
}

static json_object *route_to_json(const AdjustRoute *r) {
        _cleanup_json_ json_object *o = json_object_new_object();
        const NetRoute *n = &r->route;

        if (!o || json_add_string(o, "dst", IN_PREFIX_STR(&n->dst)) < 0 ||
            (in_addr_is_set(&n->gw) && json_add_string(o, "gw", IN_ADDR_STR(&n->gw)) < 0) ||
            (in_addr_is_set(&r->prefsrc) &&
             json_add_string(o, "src", IN_ADDR_STR(&r->prefsrc)) < 0) ||
            (r->onlink && json_add(o, "onlink", json_object_new_boolean(true)) < 0) ||
            add_number(o, "table", n->table) < 0 || add_number(o, "priority", n->priority) < 0 ||
            add_number(o, "mtu", n->mtu) < 0 || add_number(o, "advmss", n->advmss) < 0 ||
            add_number(o, "scope", n->scope) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static json_object *sysctl_to_json(const NetSysctl *s) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "name", s->name) < 0 ||
            json_add_string(o, "value", s->value) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static int add_lists(json_object *o, const AttachmentSpec *s) {
        const SpecAdjust *in = &s->adjust;
        _cleanup_json_ json_object *rules = json_object_new_array(),
                                   *routes = json_object_new_array(),
                                   *sysctls = json_object_new_array();

        if (!rules || !routes || !sysctls)
                return -ENOMEM;
        for (size_t i = 0; i < in->n_rules; i++)
                if (json_append(rules, rule_to_json(&in->rules[i])) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < in->n_routes; i++)
                if (json_append(routes, route_to_json(&in->routes[i])) < 0)
                        return -ENOMEM;
        for (size_t i = 0; i < s->n_sysctls; i++)
                if (json_append(sysctls, sysctl_to_json(&s->sysctls[i])) < 0)
                        return -ENOMEM;
        if ((in->n_rules && json_add(o, "rules", TAKE_PTR(rules)) < 0) ||
            (in->n_routes && json_add(o, "routes", TAKE_PTR(routes)) < 0) ||
            (s->n_sysctls && json_add(o, "sysctls", TAKE_PTR(sysctls)) < 0))
                return -ENOMEM;
        return 0;
}

json_object *adjust_to_json(const AttachmentSpec *s) {
        _cleanup_json_ json_object *o = json_object_new_object();
        const SpecAdjust *in = &s->adjust;

        if (!o || add_lists(o, s) < 0)
                return NULL;
        if (in->has_tuning && (json_add(o, "tuned", tuning_to_json(&in->tuned)) < 0 ||
                               json_add(o, "before", tuning_to_json(&in->before)) < 0))
                return NULL;
        if ((in->has_sysctls && json_add(o, "checkSysctls", json_object_new_boolean(true)) < 0) ||
            (in->routes_moved && json_add(o, "routesMoved", json_object_new_boolean(true)) < 0) ||
            (in->vrf[0] && json_add_string(o, "vrf", in->vrf) < 0) ||
            add_number(o, "vrfTable", in->vrf_table) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* ---- reading ---------------------------------------------------------------------------------- */

static int read_flag(json_object *value, const char *path, void *target, Error *e) {
        bool b;
        int r = json_read_bool(value, path, &b, e);
        if (r >= 0)
                *(int *) target = b;
        return r;
}

static int read_tuning(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "mac", row_read_mac, offsetof(NetTuning, mac), 0 },
                { "mtu", json_read_u32, offsetof(NetTuning, mtu), 0 },
                { "promisc", read_flag, offsetof(NetTuning, promisc), 0 },
                { "allmulti", read_flag, offsetof(NetTuning, allmulti), 0 },
                { "txQLen", row_read_i64, offsetof(NetTuning, tx_queue_len), 0 },
                { 0 },
        };
        NetTuning *t = target;

        *t = (NetTuning) { .promisc = -1, .allmulti = -1, .tx_queue_len = -1 };
        return json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, t, e);
}

static int read_rule(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "src", json_read_in_addr, offsetof(AdjustRule, source), JSON_REQUIRED },
                { "table", json_read_u32, offsetof(AdjustRule, table), JSON_REQUIRED },
                { 0 },
        };
        SpecAdjust *in = target;
        AdjustRule *more = reallocarray(in->rules, in->n_rules + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        in->rules = more;
        more[in->n_rules] = (AdjustRule) { 0 };
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &more[in->n_rules], e);
        if (r >= 0)
                in->n_rules++;
        return r;
}

static int read_route(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "dst", json_read_in_prefix, offsetof(AdjustRoute, route.dst), JSON_REQUIRED },
                { "gw", json_read_in_addr, offsetof(AdjustRoute, route.gw), 0 },
                { "src", json_read_in_addr, offsetof(AdjustRoute, prefsrc), 0 },
                { "onlink", json_read_bool, offsetof(AdjustRoute, onlink), 0 },
                { "table", row_read_i64, offsetof(AdjustRoute, route.table), JSON_REQUIRED },
                { "priority", json_read_u32, offsetof(AdjustRoute, route.priority), 0 },
                { "mtu", json_read_u32, offsetof(AdjustRoute, route.mtu), 0 },
                { "advmss", json_read_u32, offsetof(AdjustRoute, route.advmss), 0 },
                { "scope", row_read_scope, offsetof(AdjustRoute, route.scope), 0 },
                { 0 },
        };
        SpecAdjust *in = target;
        AdjustRoute *more = reallocarray(in->routes, in->n_routes + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        in->routes = more;
        more[in->n_routes] = (AdjustRoute) { 0 };
        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &more[in->n_routes], e);
        if (r >= 0)
                in->n_routes++;
        return r;
}

static int read_sysctl(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "name", json_read_string, offsetof(NetSysctl, name), JSON_REQUIRED },
                { "value", json_read_string, offsetof(NetSysctl, value), JSON_REQUIRED },
                { 0 },
        };
        AttachmentSpec *s = target;
        NetSysctl *more = reallocarray(s->sysctls, s->n_sysctls + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        s->sysctls = more;
        more[s->n_sysctls] = (NetSysctl) { 0 };
        /* Counted at once: spec_clear() frees what was read of it. */
        return json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &more[s->n_sysctls++], e);
}

int adjust_from_json(json_object *o, AttachmentSpec *s, Error *e) {
        static const JsonField fields[] = {
                { "tuned", read_tuning, offsetof(SpecAdjust, tuned), 0 },
                { "before", read_tuning, offsetof(SpecAdjust, before), 0 },
                { "checkSysctls", json_read_bool, offsetof(SpecAdjust, has_sysctls), 0 },
                { "routesMoved", json_read_bool, offsetof(SpecAdjust, routes_moved), 0 },
                { "vrf", row_read_ifname, offsetof(SpecAdjust, vrf), 0 },
                { "vrfTable", json_read_u32, offsetof(SpecAdjust, vrf_table), 0 },
                { "rules", NULL, 0, 0 },
                { "routes", NULL, 0, 0 },
                { "sysctls", NULL, 0, 0 },
                { 0 },
        };
        json_object *v;

        int r = json_read_object(o, "adjust", fields, JSON_UNKNOWN_REFUSE, &s->adjust, e);
        s->adjust.has_tuning = json_get(o, "tuned") != NULL;
        /* The column says what the interface was made with. */
        if (s->adjust.has_tuning && !mac_is_zero(&s->adjust.tuned.mac))
                s->mac = s->adjust.tuned.mac;
        if (r >= 0 && (v = json_get(o, "rules")))
                r = json_read_array(v, "adjust.rules", JSON_ELEMENTS_MAX, read_rule, &s->adjust, e);
        if (r >= 0 && (v = json_get(o, "routes")))
                r = json_read_array(v, "adjust.routes", ADJUST_ROUTES_MAX, read_route, &s->adjust,
                                    e);
        if (r >= 0 && (v = json_get(o, "sysctls")))
                r = json_read_array(v, "adjust.sysctls", 2 * SYSCTLS_MAX, read_sysctl, s, e);
        return r;
}
