/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The network object: sources, replacement, readiness, its row. Its end is in network-remove.c. */

#include "core/network.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/enforce.h"
#include "core/network-extra.h"
#include "core/network-internal.h"
#include "core/reconcile.h"
#include "core/spec.h"
#include "core/traffic.h"

static const char *const source_names[_NETWORK_SOURCE_MAX] = {
        [NETWORK_FILE] = "file",
        [NETWORK_CONFIG] = "config",
        [NETWORK_DBUS] = "dbus",
};

const char *network_source_to_string(NetworkSource source) {
        return source >= 0 && source < _NETWORK_SOURCE_MAX ? source_names[source] : "unknown";
}

NetworkSource network_source_from_string(const char *s) {
        for (int i = 0; i < _NETWORK_SOURCE_MAX; i++)
                if (streq(source_names[i], s))
                        return i;
        return _NETWORK_SOURCE_INVALID;
}

Network *network_find(const Manager *m, const char *name) {
        return map_get_str(m->networks, name);
}

bool network_is_host_routed(const NetConf *c) {
        return kind_is_routed(c->kind) || (kind_has_bridge(c->kind) && c->is_gateway);
}

bool network_shares_host_pool(const NetConf *c) {
        /* The reference plugins let everybody choose: two of their networks may have the same range. */
        return c->plugin == NET_PLUGIN_NETMGR && network_is_host_routed(c);
}

const char *network_pool(const Network *n) {
        return network_shares_host_pool(n->conf) ? IPAM_POOL_HOST : n->name;
}

Network *network_free(Network *n) {
        if (!n)
                return NULL;
        if (n->dropped) {
                _cleanup_error_ Error error = ERROR_NULL;
                int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd is ending; try again");
                n->dropped(r, &error, n->dropped_userdata);
        }
        if (n->name && network_find(n->manager, n->name) == n) {
                if (n->manager->observer.network_removed)
                        n->manager->observer.network_removed(n, n->manager->observer.userdata);
                map_remove_str(n->manager->networks, n->name);
        }
        netconf_free(n->conf);
        net_list_free(n->list);
        free(n->alias);
        free(n->file);
        netconf_free(n->portmap);
        free(n->portmap_config);
        free(n->config);
        free(n->name);
        free(n);
        return NULL;
}

/* "nmb-NAME", or with a hash of it when the kernel would not take that. */
static void derive_bridge_name(Network *n) {
        char hash[HASH_STR_SIZE];

        if (n->conf->bridge)
                snprintf(n->bridge, sizeof(n->bridge), "%s", n->conf->bridge);
        else if (strlen(n->name) + 4 <= IFNAME_LEN_MAX && !strchr(n->name, '/'))
                snprintf(n->bridge, sizeof(n->bridge), "nmb-%s", n->name);
        else
                snprintf(n->bridge, sizeof(n->bridge), "nmb-%.11s",
                         hash_format(hash64(n->name, strlen(n->name)), hash));
}

static bool group_is_used(const Manager *m, uint32_t group) {
        const Network *n;

        MAP_FOREACH (n, m->networks)
                if (n->group == group)
                        return true;
        return false;
}

/* Networks on one bridge are one to the host: it sees the bridge only. */
static void derive_group(Network *n) {
        const Network *other;

        if (n->group != 0)
                return;
        if (n->bridge[0])
                MAP_FOREACH (other, n->manager->networks)
                        if (other != n && other->group && streq(other->bridge, n->bridge)) {
                                n->group = other->group;
                                return;
                        }
        for (uint32_t g = NETWORK_GROUP_BASE; n->group == 0; g++)
                if (!group_is_used(n->manager, g))
                        n->group = g;
}

static bool set_overlaps(const NetRange *a, const NetConf *other, const InPrefix **ret) {
        for (size_t i = 0; i < other->n_sets; i++)
                for (size_t j = 0; j < other->sets[i].n_ranges; j++) {
                        *ret = &other->sets[i].ranges[j].subnet;
                        if (in_prefix_overlaps(&a->subnet, *ret))
                                return true;
                }
        return false;
}

static bool sets_overlap(const NetConf *x, const NetConf *y, const InPrefix **ret_x,
                         const InPrefix **ret_y) {
        for (size_t i = 0; i < x->n_sets; i++)
                for (size_t j = 0; j < x->sets[i].n_ranges; j++) {
                        *ret_x = &x->sets[i].ranges[j].subnet;
                        if (set_overlaps(&x->sets[i].ranges[j], y, ret_y))
                                return true;
                }
        return false;
}

/* Two networks that the host routes must not share an address: their routes would fight. The reference
 * plugins let them, and there are people who keep such networks apart by other means. */
static int check_overlap(const Manager *m, const char *name, const NetConf *conf, Error *e) {
        Network *other;

        if (!network_shares_host_pool(conf))
                return 0;
        MAP_FOREACH (other, m->networks) {
                if (streq(other->name, name) || !network_shares_host_pool(other->conf))
                        continue;
                const InPrefix *a, *b;
                if (sets_overlap(conf, other->conf, &a, &b))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "subnet %s of network %s overlaps subnet %s of network %s; "
                                        "choose a range of its own",
                                        IN_PREFIX_STR(a), name, IN_PREFIX_STR(b), other->name);
        }
        return 0;
}

static int check_kind(const NetConf *conf, Error *e) {
        if (conf->kind != NET_KIND_ROUTED)
                return 0;
        for (size_t i = 0; i < conf->n_routes; i++) {
                InAddr gw = routed_gateway(conf->routes[i].dst.address.family);
                if (in_addr_is_set(&conf->routes[i].gw))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "ipam.routes[%zu].gw: a routed sandbox has one next hop, "
                                          "%s; found %s; leave gw out",
                                          i, IN_ADDR_STR(&gw), IN_ADDR_STR(&conf->routes[i].gw));
        }
        return 0;
}

/* May the configuration of this source take over the network as it is now? */
static int check_replace(const Network *n, NetworkSource source, const NetConf *conf, Error *e) {
        if (n->source != source && !n->gone && n->source != NETWORK_CONFIG)
                return error_setf(
                                e, ERROR_EXISTS, "network %s is defined by %s already; %s", n->name,
                                n->source == NETWORK_FILE ? "a file of networks.d" : "AddNetwork",
                                source == NETWORK_CONFIG
                                                ? "refer to it with the key \"network\", or choose another name"
                                                : "remove it there first");
        /* What hangs on others' interfaces hangs on the name only. */
        if (n->n_attachments == 0 || n->conf->kind == NET_KIND_FOREIGN)
                return 0;
        if (conf->kind != n->conf->kind)
                return error_setf(
                                e, ERROR_IN_USE,
                                "network %s has %zu attachments of kind %s; kind %s can come after "
                                "they are deleted",
                                n->name, n->n_attachments, net_kind_to_string(n->conf->kind),
                                net_kind_to_string(conf->kind));
        if (!streq_ptr(conf->bridge, n->conf->bridge))
                return error_setf(
                                e, ERROR_IN_USE,
                                "network %s has %zu attachments on bridge %s; another bridge can come "
                                "after they are deleted",
                                n->name, n->n_attachments, n->bridge);
        return 0;
}

static int network_new(Manager *m, const char *name, Network **ret, Error *e) {
        if (map_size(m->networks) >= NETWORKS_MAX)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "there are %u networks already, the limit; remove some",
                                  NETWORKS_MAX);
        Network *n = new0(Network, 1);
        if (!n)
                return error_oom(e);
        n->manager = m;
        list_init(&n->waiters);
        n->name = strdup(name);
        if (!n->name || map_put_str(m->networks, name, n) < 0) {
                free(n->name);
                free(n);
                return error_oom(e);
        }
        *ret = n;
        return 0;
}

static void take_description(Network *n, NetDescription *d) {
        netconf_free(n->conf);
        n->conf = TAKE_PTR(d->conf);
        net_list_free(n->list);
        n->list = TAKE_PTR(d->list);
        free(n->alias);
        n->alias = TAKE_PTR(d->alias);
        free(TAKE_PTR(d->name));
}

static int check_description(const Network *n, const Manager *m, NetworkSource source,
                             const NetDescription *d, Error *e) {
        if (!network_name_is_valid(d->name))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "network name: wanted at most %u of [A-Za-z0-9_.-], beginning with a "
                                "letter or digit",
                                NETWORK_NAME_MAX);
        int r = check_kind(d->conf, e);
        if (r >= 0)
                r = check_overlap(m, d->name, d->conf, e);
        return r < 0 || !n ? r : check_replace(n, source, d->conf, e);
}

/* Groups and aliases have no interfaces, and so no place in the host. */
static bool has_interfaces(const Network *n) {
        return !n->alias && !n->conf->any_of;
}

/* What follows from another configuration than before. */
static void network_changed(Network *n, NetKind kind_before) {
        bool was_foreign = kind_before == NET_KIND_FOREIGN;

        n->stored = false;
        if (n->state == NETWORK_READY)
                n->state = NETWORK_IDLE;
        if (was_foreign && n->conf->kind != NET_KIND_FOREIGN)
                n->group = 0; /* one bridge, one group */
        if ((n->n_attachments == 0 || was_foreign) && kind_has_bridge(n->conf->kind) &&
            !n->bridge_created)
                derive_bridge_name(n);
        if (n->conf->kind != NET_KIND_LOOPBACK && has_interfaces(n))
                derive_group(n);
}

int network_set_described(Manager *m, NetworkSource source, const char *config, NetDescription *d,
                          Network **ret, Error *e) {
        Network *n = network_find(m, d->name);
        _cleanup_free_ char *copy = NULL;
        char extra_before[16] = "", extra[16];
        bool is_new = !n;

        int r = check_description(n, m, source, d, e);
        if (r < 0)
                return r;
        copy = strdup(config);
        if (!copy)
                return error_oom(e);
        if (!n) {
                r = network_new(m, d->name, &n, e);
                if (r < 0)
                        return r;
        }

        uint64_t hash_before = is_new ? 0 : network_hash(n);
        NetKind kind_before = is_new ? _NET_KIND_INVALID : n->conf->kind;
        if (!is_new)
                network_extra_name(n, extra_before);
        free(n->config);
        n->config = TAKE_PTR(copy);
        take_description(n, d);
        n->source = source;
        n->gone = false;
        bool changed = is_new || hash_before != network_hash(n);
        if (changed)
                network_changed(n, kind_before);
        network_extra_name(n, extra);
        if (extra_before[0] && !streq(extra, extra_before))
                reconcile_soon(m); /* nobody has the old one any more */
        if (changed && n->n_attachments > 0)
                network_reenforce(n);
        if (is_new && m->observer.network_added)
                m->observer.network_added(n, m->observer.userdata);
        if (n->conf->any_of && n->conf->choose == NET_CHOOSE_LEAST_TRAFFIC)
                traffic_want(m);
        if (!is_new && changed && m->observer.network_changed)
                m->observer.network_changed(n, m->observer.userdata);
        *ret = n;
        return 0;
}

int network_set(Manager *m, const char *name, NetworkSource source, const char *config,
                NetConf *conf, Network **ret, Error *e) {
        _cleanup_(net_description_clear) NetDescription d = { .name = strdup(name) };

        if (!d.name)
                return error_oom(e);
        d.conf = conf;
        int r = network_set_described(m, source, config, &d, ret, e);
        if (r < 0)
                d.conf = NULL; /* still the caller's */
        return r;
}

uint64_t network_hash(const Network *n) {
        if (n->alias)
                return hash64(n->alias, strlen(n->alias));
        return n->list ? n->list->hash : n->conf->hash;
}

const char *network_kind_name(const Network *n) {
        if (n->alias)
                return "alias";
        return n->conf->any_of ? "group" : net_kind_to_string(n->conf->kind);
}

/* An inline one is the runtime's configuration, and nobody else's. */
static Network *find_named(const Manager *m, const char *name) {
        Network *n = network_find(m, name);

        return n && !n->gone && n->source != NETWORK_CONFIG ? n : NULL;
}

int network_resolve(const Manager *m, const char *name, Network **ret, Error *e) {
        Network *n = find_named(m, name), *meant;

        if (!n)
                return error_setf(
                                e, ERROR_NO_SUCH_NETWORK,
                                strchr(name, '/')
                                                ? "network: there is no network \"%s\"; put its "
                                                  "NetworkAttachmentDefinition into networks.d, or use AddNetwork"
                                                : "network: there is no network \"%s\"; put its conflist into "
                                                  "networks.d, or use AddNetwork",
                                name);
        if (!n->alias) {
                *ret = n;
                return 0;
        }
        meant = find_named(m, n->alias);
        if (!meant || meant->alias)
                return error_setf(
                                e, ERROR_NO_SUCH_NETWORK,
                                "network: %s has no configuration of its own and stands for network "
                                "%s of this node, which %s; put %s.conflist into networks.d",
                                n->name, n->alias, meant ? "has none either" : "is not there",
                                n->alias);
        *ret = meant;
        return 0;
}

int network_find_foreign(Manager *m, const char *name, Network **ret, Error *e) {
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_(netconf_freep) NetConf *conf = NULL;
        _cleanup_free_ char *config = NULL;
        Network *n = network_find(m, name);

        if (n && (!n->gone || n->n_attachments > 0)) {
                *ret = n;
                return 0;
        }
        if (!o || json_add_string(o, "name", name) < 0 ||
            json_add_string(o, "kind", net_kind_to_string(NET_KIND_FOREIGN)) < 0 ||
            !(config = json_to_text(o)) || netconf_new_foreign(name, &conf) < 0)
                return error_oom(e);
        int r = network_set(m, name, NETWORK_CONFIG, config, conf, ret, e);
        if (r >= 0)
                TAKE_PTR(conf);
        return r;
}

int network_set_portmap(Network *n, const char *config, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;

        if (streq_ptr(n->portmap_config, config))
                return 0;
        int r = netconf_parse(config, strlen(config), &conf, e);
        if (r < 0)
                return r;
        char *copy = strdup(config);
        if (!copy)
                return error_oom(e);
        free(n->portmap_config);
        n->portmap_config = copy;
        netconf_free(n->portmap);
        n->portmap = TAKE_PTR(conf);
        network_reenforce(n);
        return 0;
}

bool network_is_at_rest(const Network *n) {
        return n->state == NETWORK_IDLE || n->state == NETWORK_READY;
}

void network_await(Network *n, NetworkWaiter *w) {
        Error error = ERROR_NULL;

        if (n->state == NETWORK_READY) {
                w->ready(w, 0, &error);
                return;
        }
        list_append(&n->waiters, &w->list);
        if (n->state == NETWORK_IDLE && !network_bridge_goes(n))
                (void) network_ensure_start(n, NULL);
}

void network_ensured(Network *n, int r, const Error *e) {
        List all;

        n->state = r < 0 ? NETWORK_IDLE : NETWORK_READY;
        list_init(&all);
        while (!list_is_empty(&n->waiters)) {
                List *first = n->waiters.next;
                list_unlink(first);
                list_append(&all, first);
        }
        /* A waiter that gives up may drop the last attachment, and the network with it: `n` is not
         * touched after the first call. */
        if (list_is_empty(&all)) {
                network_release_if_unused(n);
                return;
        }
        while (!list_is_empty(&all)) {
                NetworkWaiter *w = list_entry(all.next, NetworkWaiter, list);
                list_unlink(&w->list);
                w->ready(w, r, e);
        }
}

void network_forget_ready(Network *n) {
        if (n->state == NETWORK_READY)
                n->state = NETWORK_IDLE;
}

void network_to_row(const Network *n, NetworkRow *ret) {
        *ret = (NetworkRow) {
                .name = n->name,
                .kind = (char *) net_kind_to_string(n->conf->kind),
                .source = (char *) network_source_to_string(n->source),
                .config = n->config,
                .bridge = n->bridge[0] ? (char *) n->bridge : NULL,
                .bridge_created = n->bridge_created,
                .mtu = n->mtu,
                .group = n->group,
        };
        memcpy(ret->bridge_mac, n->bridge_mac.bytes, sizeof(ret->bridge_mac));
}

/* Inline is one plugin object, whichever of ours that is; what others have made has none. */
static int load_description(const NetworkRow *row, NetworkSource source, NetDescription *ret,
                            Error *e) {
        size_t size = strlen(row->config);

        if (source != NETWORK_CONFIG)
                return net_description_parse(row->config, size, NULL, ret, e);
        if (streq(row->kind, net_kind_to_string(NET_KIND_FOREIGN)))
                return netconf_new_foreign(row->name, &ret->conf) < 0 ? error_oom(e) : 0;
        return netconf_parse(row->config, size, &ret->conf, e);
}

int network_load(Manager *m, const NetworkRow *row, Error *e) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };
        Network *n;

        NetworkSource source = network_source_from_string(row->source);
        if (source < 0)
                return error_setf(e, ERROR_LEDGER, "network %s: unknown source \"%s\"", row->name,
                                  row->source);
        int r = load_description(row, source, &d, e);
        if (r < 0)
                return r;
        r = network_new(m, row->name, &n, e);
        if (r < 0)
                return r;
        n->config = strdup(row->config);
        if (!n->config) {
                network_free(n);
                return error_oom(e);
        }
        take_description(n, &d);
        n->source = source;
        /* A file has to show up again, else the network goes with its last attachment. */
        n->gone = source == NETWORK_FILE;
        snprintf(n->bridge, sizeof(n->bridge), "%s", strempty(row->bridge));
        n->bridge_created = row->bridge_created;
        memcpy(n->bridge_mac.bytes, row->bridge_mac, sizeof(row->bridge_mac));
        n->mtu = row->mtu;
        n->group = row->group;
        if (n->conf->kind != NET_KIND_LOOPBACK && has_interfaces(n))
                derive_group(n); /* a row of an older schema has none */
        n->stored = n->has_row = true;
        return 0;
}

struct Held {
        const Network *network;
        uint64_t n;
};

static void count_network_leases(const Lease *l, void *userdata) {
        struct Held *h = userdata;
        if (!l->released_usec && streq(l->network, h->network->name))
                h->n++;
}

void network_usage(const Network *n, uint64_t *ret_used, uint64_t *ret_free) {
        struct Held h = { .network = n };
        uint64_t capacity = 0;

        ipam_visit(n->manager->ipam, count_network_leases, &h);
        for (size_t i = 0; i < n->conf->n_sets; i++) {
                uint64_t c = range_set_capacity(&n->conf->sets[i]);
                capacity = capacity + c < capacity ? UINT64_MAX : capacity + c;
        }
        *ret_used = h.n;
        *ret_free = capacity == UINT64_MAX ? UINT64_MAX : capacity > h.n ? capacity - h.n : 0;
}
