/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * From what a pod's annotations say to the members of an operation: which network each of them means, what it is
 * called in the sandbox, and who gets the default routes. Nothing is made here; a selection that cannot be
 * granted fails before anything is.
 */

#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "core/choose.h"
#include "core/network-internal.h"
#include "core/networks-internal.h"

#define DEFAULT_NETWORK_NAMESPACE "kube-system"

/* --- which network ------------------------------------------------------------------------------- */

static Network *find_named(const Manager *m, const char *namespace, const char *name) {
        char full[2 * NETWORK_NAME_MAX + 2];

        if (isempty(namespace))
                snprintf(full, sizeof(full), "%s", name);
        else
                snprintf(full, sizeof(full), "%s/%s", namespace, name);
        Network *n = network_find(m, full);
        /* An inline one is the runtime's configuration, and nobody else's. */
        return n && !n->gone && n->source != NETWORK_CONFIG ? n : NULL;
}

/* The network that a member really gets: what a manifest stands for, and out of a group what is chosen. */
static int settle_on(NetworksOp *op, Member *m, const char *name, const NetConf *group, Error *e) {
        Network *n = NULL;

        int r = name ? network_resolve(op->manager, name, &n, e) : 0;
        if (n && n->conf->any_of)
                group = n->conf;
        if (r >= 0 && group)
                r = network_choose(op->manager, group, &n, &m->choice, e);
        if (r < 0) {
                if (m->selection)
                        error_prefixf(e, "%s", m->selection->where);
                return r;
        }
        if (!n)
                return 0; /* the runtime's own, inline */
        m->network = strdup(n->name);
        return m->network ? 0 : error_oom(e);
}

static bool is_default_network(const NetSelection *s) {
        return strncmp(strempty(s->where), ANNOTATION_DEFAULT_NETWORK,
                       strlen(ANNOTATION_DEFAULT_NETWORK)) == 0;
}

/* Where the administrator keeps default networks for pods to choose from. */
static const char *default_namespace(const Manager *m) {
        return m->conf.default_namespace ? m->conf.default_namespace : DEFAULT_NETWORK_NAMESPACE;
}

static int check_namespace(const NetworksOp *op, const NetSelection *s, Error *e) {
        static char *const shared_default[] = { (char *) "default", NULL };
        const Conf *c = &op->manager->conf;
        char **shared = c->shared_namespaces ? c->shared_namespaces : (char **) shared_default;

        /* An administrator attaches what he likes. */
        if (op->hot)
                return 0;
        /* Said or not, it is the same one. */
        if (is_default_network(s) && streq_ptr(s->namespace, default_namespace(op->manager)))
                return 0;
        return net_selection_check_namespace(s, strempty(op->args.pod_namespace),
                                             c->namespace_isolation, shared, e);
}

int networks_find(NetworksOp *op, const NetSelection *s, Network **ret, char **ret_reference,
                  Error *e) {
        const Manager *m = op->manager;
        const char *own = is_default_network(s) ? default_namespace(m) : op->args.pod_namespace;
        Network *n = NULL;

        int r = check_namespace(op, s, e);
        if (r < 0)
                return r;
        if (s->namespace)
                n = find_named(m, s->namespace, s->name);
        else if (!isempty(own) && !s->node_wide)
                n = find_named(m, own, s->name);
        if (!n && !s->namespace)
                n = find_named(m, NULL, s->name);
        if (!n)
                return error_setf(
                                e, ERROR_NO_SUCH_NETWORK,
                                "%s: there is no network %s%s%s%s; put its NetworkAttachmentDefinition or "
                                "its conflist into networks.d, or use AddNetwork",
                                s->where, s->namespace ? s->namespace : "\"",
                                s->namespace ? "/" : "", s->name, s->namespace ? "" : "\"");
        if (strchr(n->name, '/') && !(*ret_reference = strdup(n->name)))
                return error_oom(e);
        *ret = n;
        return 0;
}

/* --- members ------------------------------------------------------------------------------------- */

static const char *pod_owner(const NetworksOp *op, const NetSelection *s, bool *ret_claim) {
        const char *namespace = op->args.pod_namespace, *name = op->selections.owner;

        *ret_claim = s && s->ipam_claim;
        if (isempty(namespace))
                return NULL;
        if (*ret_claim)
                return strf("claim/%s/%s", namespace, s->ipam_claim);
        if (!name)
                name = op->args.pod_name;
        return name ? strf("%s/%s", namespace, name) : NULL;
}

/* Of what a network may give an address is known for our own ranges only. */
static bool may_have_family(const Network *n, int family) {
        const NetConf *c = n->conf;

        if (c->ipam == NET_IPAM_DHCP)
                return family == AF_INET;
        for (size_t i = 0; i < c->n_sets; i++)
                if (c->sets[i].ranges[0].subnet.address.family == family)
                        return true;
        for (size_t i = 0; i < c->n_addresses; i++)
                if (c->addresses[i].address.address.family == family)
                        return true;
        return c->n_sets == 0 && c->n_addresses == 0;
}

static int find_network(NetworksOp *op, Member *m, Error *e) {
        const NetSelection *s = m->selection;
        Network *n = NULL;

        if (!s)
                return settle_on(op, m, op->conf->network, op->conf->any_of ? op->conf : NULL, e);
        int r = networks_find(op, s, &n, &m->reference, e);
        return r < 0 ? r : settle_on(op, m, n->name, NULL, e);
}

static int fill_member(NetworksOp *op, size_t i, const NetSelection *s, Error *e) {
        Member *m = &op->members[i];

        m->selection = s;
        int r = find_network(op, m, e);
        if (r < 0)
                return r;
        if (s)
                snprintf(m->ifname, sizeof(m->ifname), "%s", s->ifname);
        if (i == 0 && !op->hot)
                snprintf(m->ifname, sizeof(m->ifname), "%s", op->request.ifname);

        RequestPlace *p = &m->place;
        bool claim = false;
        m->owner = (char *) pod_owner(op, s, &claim);
        *p = (RequestPlace) {
                .network = m->network,
                .parent = i == 0 && !op->hot ? NULL : op->parent,
                .called = i == 0 && !op->hot ? op->conf->name : NULL,
                .annotations = op->annotations,
                .reference = m->reference,
                .choice = m->choice,
                .position = (unsigned) i,
                .hot = op->hot,
                .owner = m->owner,
                .owner_is_claim = claim,
        };
        if (!s)
                return 0;
        p->has_default_route = s->has_default_route;
        p->gateways = s->gateways;
        p->n_gateways = s->n_gateways;
        p->no_ipv4 = s->ipv4 == SELECTION_NONE;
        p->no_ipv6 = s->ipv6 == SELECTION_NONE;
        p->routes = s->routes;
        p->n_routes = s->n_routes;
        return 0;
}

/* Without gateways it is the families of its network that the others give up. */
static bool takes_default(const Member *m, const Network *n, int family) {
        const NetSelection *s = m->selection;

        for (size_t i = 0; i < s->n_gateways; i++)
                if (s->gateways[i].family == family)
                        return true;
        return s->n_gateways == 0 && n && may_have_family(n, family);
}

static void give_default_routes(NetworksOp *op) {
        for (size_t i = 0; i < op->n_members; i++) {
                const Member *m = &op->members[i];
                if (!m->selection || !m->selection->has_default_route)
                        continue;
                const Network *n = network_find(op->manager, m->network);
                for (size_t k = 0; k < op->n_members; k++) {
                        RequestPlace *p = &op->members[k].place;
                        if (k == i)
                                continue;
                        p->no_default4 |= takes_default(m, n, AF_INET);
                        p->no_default6 |= takes_default(m, n, AF_INET6);
                }
        }
}

/* Genie's "choose one for me": the node's choice is the runtime's own configuration, and it may be a group. */
static void drop_free_choice(NetSelections *s) {
        if (s->n_items != 1 || s->items[0].name[0])
                return;
        net_selection_clear(&s->items[0]);
        s->n_items = 0;
        s->replaces_default = false;
}

int networks_select(NetworksOp *op, Error *e) {
        NetSelections *all = &op->selections;
        int r = 0;

        if (op->conf && op->conf->annotations) {
                r = net_selections_parse(op->conf->annotations, all, e);
                if (r >= 0 && net_selections_keep(op->conf->annotations, &op->annotations) < 0)
                        r = error_oom(e);
                if (r >= 0)
                        r = net_selections_name(all, op->request.ifname, e);
        }
        if (r < 0)
                return r;
        drop_free_choice(all);
        bool own_first = !op->hot && !(all->n_items > 0 && all->replaces_default);
        op->members = new0(Member, all->n_items + own_first);
        if (!op->members)
                return error_oom(e);
        op->n_members = all->n_items + own_first;
        for (size_t i = 0; i < op->n_members && r >= 0; i++)
                r = fill_member(op, i, i == 0 && own_first ? NULL : &all->items[i - own_first], e);
        if (r >= 0)
                give_default_routes(op);
        return r;
}
