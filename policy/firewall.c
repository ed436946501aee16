/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The model and its transactions; see firewall.h. */

#include "policy/firewall.h"

#include <linux/netfilter.h>
#include <stdio.h>

#include "base/log.h"
#include "base/map.h"
#include "policy/element-message.h"
#include "policy/ruleset.h"
#include "policy/shared.h"

/* Older headers lack the flag (Linux 6.9). */
#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 2
#endif
#define TABLE_F_PERSIST 4U

/* A table may appear or vanish between our look and our transaction. */
#define SYNC_TRIES 3

/* What a pending change replaces. */
typedef struct Undo {
        bool is_network, is_new; /* is_new: nothing was there */
        uint64_t id;
        PolicyAttachment *attachment; /* owned: the old one */
        PolicyNetwork *network;
        char *name; /* owned; of a network */
} Undo;

struct Firewall {
        NftSocket *socket;
        PolicyConfig config;
        Map *attachments; /* id -> PolicyAttachment */
        Map *networks;    /* name -> PolicyNetwork */
        NftBatch batch;
        ElementList network_elements; /* as committed */
        SharedElements *shared;
        Undo *undo; /* owned; oldest first */
        size_t n_undo, undo_allocated;
        bool networks_changed, needs_sync;
        FirewallFeatures features;
        bool probed, no_owner, no_bridge; /* what the kernel cannot do, once probed */
        unsigned n_repairs;
        unsigned n_rules[_TABLE_MAX]; /* as built last */
};

int firewall_new(NftSocket *socket, const PolicyConfig *config, Firewall **ret) {
        Firewall *f = new0(Firewall, 1);

        if (!f)
                return -ENOMEM;
        f->attachments = map_new();
        f->networks = map_new();
        f->config = *config;
        f->needs_sync = true;
        if (!f->attachments || !f->networks || shared_elements_new(&f->shared) < 0) {
                firewall_free(f);
                return -ENOMEM;
        }
        f->socket = socket;
        *ret = f;
        return 0;
}

static void undo_clear(Firewall *f) {
        for (size_t i = 0; i < f->n_undo; i++) {
                /* The empty places of what is gone. */
                if (f->undo[i].is_network && !map_get_str(f->networks, f->undo[i].name))
                        (void) map_remove_str(f->networks, f->undo[i].name);
                if (!f->undo[i].is_network && !map_get_u64(f->attachments, f->undo[i].id))
                        (void) map_remove_u64(f->attachments, f->undo[i].id);
                policy_attachment_free(f->undo[i].attachment);
                policy_network_free(f->undo[i].network);
                free(f->undo[i].name);
        }
        f->n_undo = 0;
        f->networks_changed = false;
}

Firewall *firewall_free(Firewall *f) {
        PolicyAttachment *a;
        PolicyNetwork *n;

        if (!f)
                return NULL;
        undo_clear(f);
        free(f->undo);
        if (f->attachments)
                MAP_FOREACH (a, f->attachments)
                        policy_attachment_free(a);
        if (f->networks)
                MAP_FOREACH (n, f->networks)
                        policy_network_free(n);
        map_free(f->attachments);
        map_free(f->networks);
        element_list_clear(&f->network_elements);
        shared_elements_free(f->shared);
        nft_batch_clear(&f->batch);
        nft_socket_close(f->socket);
        free(f);
        return NULL;
}

void firewall_distrust(Firewall *f) {
        f->needs_sync = true;
}

void firewall_set_config(Firewall *f, const PolicyConfig *config) {
        if (f->config.owner != config->owner || !in_addr_equal(&f->config.node4, &config->node4) ||
            !in_addr_equal(&f->config.node6, &config->node6))
                f->needs_sync = true;
        if (f->config.owner != config->owner)
                f->probed = false; /* whether the kernel can is known only of what was tried */
        f->config = *config;
}

/* ---- the model -------------------------------------------------------------------------------- */

static Undo *undo_new(Firewall *f) {
        if (GREEDY_REALLOC(f->undo, f->undo_allocated, f->n_undo + 1) < 0)
                return NULL;
        f->undo[f->n_undo] = (Undo) { 0 };
        return &f->undo[f->n_undo];
}

int firewall_put(Firewall *f, const PolicyAttachment *a) {
        Undo *u = undo_new(f);
        PolicyAttachment *c = u ? policy_attachment_clone(a) : NULL;

        if (!c)
                return -ENOMEM;
        u->id = a->id;
        if (map_has(f->attachments, &a->id, sizeof(a->id)))
                u->attachment = map_replace(f->attachments, &a->id, sizeof(a->id), c);
        else if (map_put_u64(f->attachments, a->id, c) < 0) {
                policy_attachment_free(c);
                return -ENOMEM;
        }
        u->is_new = !u->attachment;
        f->n_undo++;
        return 0;
}

/* What is removed keeps its place in the map, empty, until the transaction is in: taking it back needs
 * no memory then. When there is none for remembering it, it is gone for good, and everything is built
 * anew: nobody who removes can do without it. */
int firewall_remove(Firewall *f, uint64_t id) {
        if (!map_get_u64(f->attachments, id))
                return 0;
        Undo *u = undo_new(f);
        PolicyAttachment *old = map_replace(f->attachments, &id, sizeof(id), NULL);
        if (!u) {
                policy_attachment_free(old);
                f->needs_sync = true;
                return 0;
        }
        u->id = id;
        u->attachment = old;
        f->n_undo++;
        return 0;
}

int firewall_put_network(Firewall *f, const PolicyNetwork *n) {
        Undo *u = undo_new(f);
        PolicyNetwork *c = u ? policy_network_clone(n) : NULL;
        char *name = strdup(n->name);
        size_t size = strlen(n->name);
        bool known = map_has(f->networks, n->name, size);

        if (!c || !name || (!known && map_put(f->networks, n->name, size, NULL) < 0)) {
                policy_network_free(c);
                free(name);
                return -ENOMEM;
        }
        u->is_network = true;
        u->name = name;
        u->network = map_replace(f->networks, n->name, size, c);
        u->is_new = !u->network;
        f->networks_changed = true;
        f->needs_sync |= ruleset_differs(u->network, c);
        f->n_undo++;
        return 0;
}

int firewall_remove_network(Firewall *f, const char *name) {
        if (!map_get_str(f->networks, name))
                return 0;
        Undo *u = undo_new(f);
        char *copy = u ? strdup(name) : NULL;
        PolicyNetwork *old = map_replace(f->networks, name, strlen(name), NULL);
        if (!copy) {
                policy_network_free(old);
                f->needs_sync = true;
                return 0;
        }
        u->is_network = true;
        u->name = copy;
        u->network = old;
        f->networks_changed = true;
        f->needs_sync |= ruleset_differs(u->network, NULL);
        f->n_undo++;
        return 0;
}

static void undo_one(Firewall *f, Undo *u) {
        if (u->is_network)
                policy_network_free(map_replace(f->networks, u->name, strlen(u->name),
                                                TAKE_PTR(u->network)));
        else
                policy_attachment_free(map_replace(f->attachments, &u->id, sizeof(u->id),
                                                   TAKE_PTR(u->attachment)));
}

void firewall_rollback(Firewall *f) {
        for (size_t i = f->n_undo; i > 0; i--)
                undo_one(f, &f->undo[i - 1]);
        undo_clear(f);
}

/* The networks as an array; NULL with *ret_n > 0 means out of memory. */
static PolicyNetwork **network_array(Firewall *f, size_t *ret_n) {
        size_t n = 0;
        PolicyNetwork **list = new0(PolicyNetwork *, map_size(f->networks) + 1), *net;

        if (list)
                MAP_FOREACH (net, f->networks)
                        if (net)
                                list[n++] = net;
        *ret_n = n;
        return list;
}

/* ---- sync ------------------------------------------------------------------------------------- */

static bool table_is_wanted(const Firewall *f, PolicyTable t) {
        return t != TABLE_BR || !f->no_bridge;
}

/* Without the family bridge, bridged attachments cannot be held to anything; they are left out. */
static bool is_enforced(const Firewall *f, const PolicyAttachment *a) {
        return a && !(a->bridged && f->no_bridge);
}

static int build_elements(Firewall *f, ElementList *networks, PolicyNetwork **list, size_t n,
                          Error *e) {
        ChangeList changes = { 0 }, none = { 0 };
        PolicyAttachment *a;

        int r = elements_of_networks(list, n, networks);
        if (r >= 0)
                r = change_list_append(&changes, networks, NULL);
        MAP_FOREACH (a, f->attachments) {
                ElementList l = { 0 };
                if (r < 0 || !is_enforced(f, a))
                        continue;
                r = elements_of_attachment(a, &l);
                if (r >= 0)
                        r = change_list_append(&changes, &l, a);
                element_list_clear(&l);
        }
        if (r >= 0)
                r = shared_elements_prepare(f->shared, true, &none, &changes);
        if (r >= 0)
                change_list_build(&changes, &f->batch, NFT_MSG_NEWSETELEM);
        change_list_clear(&changes);
        return r < 0 ? error_oom(e) : ranges_build(&f->batch, false, list, n, e);
}

static int build_all(Firewall *f, ElementList *networks, Error *e) {
        uint32_t flags = f->config.owner && !f->no_owner ? NFT_TABLE_F_OWNER | TABLE_F_PERSIST : 0;
        size_t n;
        _cleanup_free_ PolicyNetwork **list = network_array(f, &n);

        if (!list)
                return error_oom(e);
        nft_batch_begin(&f->batch);
        for (PolicyTable t = 0; t < _TABLE_MAX; t++) {
                NftTableState state;

                if (!table_is_wanted(f, t))
                        continue;
                int r = f->socket->ops->get_table(f->socket, &policy_tables[t], &state);
                if (r < 0)
                        return error_set_errnof(e, ERROR_KERNEL, r, "asking for table %s",
                                                policy_tables[t].name);
                if (state.owner && state.owner != f->socket->ops->port_id(f->socket))
                        return error_setf(
                                        e, ERROR_IN_USE,
                                        "table %s belongs to another program (netlink port %u); is a "
                                        "second netmgrd running in this network namespace?",
                                        policy_tables[t].name, state.owner);
                if (state.exists)
                        nft_batch_delete_table(&f->batch, &policy_tables[t]);
                unsigned before = f->batch.n_rules;
                ruleset_build(&f->batch, t, flags, &f->config, list, n);
                f->n_rules[t] = f->batch.n_rules - before;
        }
        int r = build_elements(f, networks, list, n, e);
        if (r < 0)
                return r;
        r = nft_batch_finish(&f->batch);
        return r < 0 ? error_oom(e) : 0;
}

static void give_back_buffer(Firewall *f) {
        uint32_t seq = f->batch.seq;

        /* A resync of many attachments needs megabytes, once. */
        if (f->batch.allocated > 1024 * 1024) {
                nft_batch_clear(&f->batch);
                f->batch.seq = seq;
        }
}

static int refused(const Firewall *f, int r, Error *e) {
        char what[128];

        nft_batch_describe(&f->batch, f->batch.failed_seq, what, sizeof(what));
        (void) error_set_errnof(e, ERROR_KERNEL, r, "nftables refused %s", what);
        return r;
}

static int sync_once(Firewall *f, Error *e) {
        ElementList networks = { 0 };

        int r = build_all(f, &networks, e);
        if (r >= 0) {
                r = f->socket->ops->send(f->socket, &f->batch);
                if (r < 0)
                        r = refused(f, r, e);
        }
        give_back_buffer(f);
        if (r < 0) {
                element_list_clear(&networks);
                return r;
        }
        element_list_clear(&f->network_elements);
        f->network_elements = networks;
        undo_clear(f);
        f->needs_sync = shared_elements_commit(f->shared) < 0;
        f->features.inet = true;
        f->features.bridge = !f->no_bridge;
        f->features.owner = f->config.owner && !f->no_owner;
        return 0;
}

/* A disturbance passes: what the kernel has is asked again before each try. */
static int sync_patiently(Firewall *f, Error *e) {
        for (int try = 1;; try++) {
                Error error = ERROR_NULL;
                int r = sync_once(f, &error);
                if (r >= 0)
                        return 0;
                if (try == SYNC_TRIES || error.kind != ERROR_KERNEL) {
                        if (e && !error_is_set(e))
                                *e = error;
                        else
                                error_clear(&error);
                        return r;
                }
                error_clear(&error);
        }
}

/* What a kernel answers that does not know a flag, a family or an expression. */
static bool is_missing_feature(int r) {
        return r == -EOPNOTSUPP || r == -EINVAL || r == -EAFNOSUPPORT || r == -EPROTONOSUPPORT ||
               r == -ENOENT;
}

/* The first sync finds out what the kernel can: each try is carried out whole or not at all. */
static int sync_probing(Firewall *f, Error *e) {
        static const struct {
                bool no_owner, no_bridge;
        } ways[] = { { false, false }, { true, false }, { false, true }, { true, true } };
        char why[sizeof(f->features.why)] = "";

        for (size_t i = 0;; i++) {
                _cleanup_error_ Error error = ERROR_NULL;

                f->no_owner = ways[i].no_owner;
                f->no_bridge = ways[i].no_bridge;
                int r = sync_patiently(f, &error);
                if (r >= 0) {
                        snprintf(f->features.why, sizeof(f->features.why), "%s", why);
                        f->probed = true;
                        return 0;
                }
                if (!is_missing_feature(r) || i + 1 == ELEMENTSOF(ways)) {
                        if (e && !error_is_set(e)) {
                                *e = error;
                                error = ERROR_NULL;
                        }
                        return r;
                }
                snprintf(why, sizeof(why), "%s", error_message(&error));
        }
}

int firewall_sync(Firewall *f, Error *e) {
        int r = f->probed ? sync_patiently(f, e) : sync_probing(f, e);

        if (r < 0)
                f->needs_sync = true;
        return r;
}

/* ---- commit ----------------------------------------------------------------------------------- */

/* The first change of an attachment in this transaction has what the kernel has now. */
static bool is_first(const Firewall *f, size_t i) {
        for (size_t k = 0; k < i; k++)
                if (!f->undo[k].is_network && f->undo[k].id == f->undo[i].id)
                        return false;
        return true;
}

static int diff_attachment(Firewall *f, const Undo *u, ChangeList *gone, ChangeList *added) {
        const PolicyAttachment *now = map_get_u64(f->attachments, u->id);
        ElementList from = { 0 }, to = { 0 }, out = { 0 }, in = { 0 };
        int r = 0;

        if (is_enforced(f, u->attachment))
                r = elements_of_attachment(u->attachment, &from);
        if (r >= 0 && is_enforced(f, now))
                r = elements_of_attachment(now, &to);
        if (r >= 0)
                r = elements_diff(&from, &to, &out, &in);
        if (r >= 0)
                r = change_list_append(gone, &out, NULL);
        if (r >= 0)
                r = change_list_append(added, &in, now);
        element_list_clear(&from);
        element_list_clear(&to);
        element_list_clear(&out);
        element_list_clear(&in);
        return r;
}

static int diff_networks(Firewall *f, ElementList *networks, PolicyNetwork **list, size_t n,
                         ChangeList *gone, ChangeList *added) {
        ElementList out = { 0 }, in = { 0 };

        int r = elements_of_networks(list, n, networks);
        if (r >= 0)
                r = elements_diff(&f->network_elements, networks, &out, &in);
        if (r >= 0)
                r = change_list_append(gone, &out, NULL);
        if (r >= 0)
                r = change_list_append(added, &in, NULL);
        element_list_clear(&out);
        element_list_clear(&in);
        return r;
}

static int build_changes(Firewall *f, ElementList *networks, Error *e) {
        ChangeList gone = { 0 }, added = { 0 };
        size_t n;
        _cleanup_free_ PolicyNetwork **list = network_array(f, &n);
        int r = list ? 0 : -ENOMEM;

        for (size_t i = 0; i < f->n_undo && r >= 0; i++)
                if (!f->undo[i].is_network && is_first(f, i))
                        r = diff_attachment(f, &f->undo[i], &gone, &added);
        if (r >= 0 && f->networks_changed)
                r = diff_networks(f, networks, list, n, &gone, &added);
        if (r >= 0)
                r = shared_elements_prepare(f->shared, false, &gone, &added);
        if (r >= 0) {
                nft_batch_begin(&f->batch);
                /* What goes makes room for what comes: a port that moves is in both lists. */
                change_list_build(&gone, &f->batch, NFT_MSG_DELSETELEM);
                change_list_build(&added, &f->batch, NFT_MSG_NEWSETELEM);
        }
        change_list_clear(&gone);
        change_list_clear(&added);
        if (r >= 0 && f->networks_changed)
                r = ranges_build(&f->batch, true, list, n, e);
        return r < 0 ? error_oom(e) : 0;
}

static int commit_changes(Firewall *f, Error *e) {
        ElementList networks = { 0 };

        int r = build_changes(f, &networks, e);
        /* Without memory for its first message there is none, and all the same something to send. */
        if (r >= 0 && (f->batch.n_messages > 0 || f->batch.error < 0)) {
                r = nft_batch_finish(&f->batch);
                if (r >= 0)
                        r = f->socket->ops->send(f->socket, &f->batch);
                if (r < 0)
                        r = refused(f, r, e);
        }
        give_back_buffer(f);
        if (r < 0) {
                element_list_clear(&networks);
                return r;
        }
        if (f->networks_changed) {
                element_list_clear(&f->network_elements);
                f->network_elements = networks;
        }
        f->needs_sync = shared_elements_commit(f->shared) < 0;
        undo_clear(f);
        return 0;
}

int firewall_commit(Firewall *f, Error *e) {
        _cleanup_error_ Error error = ERROR_NULL;
        bool mending = false;

        if (!f->needs_sync) {
                if (f->n_undo == 0 || commit_changes(f, &error) >= 0)
                        return 0;
                mending = true;
        }
        int r = firewall_sync(f, e);
        if (r < 0) {
                firewall_rollback(f);
                return r;
        }
        if (mending) {
                f->n_repairs++;
                log_notice("the rule tables were not as netmgr left them (%s); built them anew",
                           error_message(&error));
        }
        return 0;
}

/* ---- looking ---------------------------------------------------------------------------------- */

static bool is_pending(const Firewall *f, uint64_t id) {
        for (size_t i = 0; i < f->n_undo; i++)
                if (!f->undo[i].is_network && f->undo[i].id == id)
                        return true;
        return false;
}

static int append_elements(const Firewall *f, const PolicyAttachment *a, ElementList *all) {
        ElementList l = { 0 };
        int r = is_enforced(f, a) ? elements_of_attachment(a, &l) : 0;

        for (size_t i = 0; i < l.n && r >= 0; i++)
                r = element_list_append(all, &l.items[i]);
        element_list_clear(&l);
        return r;
}

int firewall_compare(const Firewall *f, CompareFound found, void *userdata, Error *e) {
        CompareExpect expect = { 0 };
        ElementList all = { 0 };
        PolicyAttachment *a;
        int r = 0;

        for (size_t i = 0; i < f->network_elements.n && r >= 0; i++)
                r = element_list_append(&all, &f->network_elements.items[i]);
        MAP_FOREACH (a, f->attachments)
                if (r >= 0 && a && !is_pending(f, a->id)) /* NULL: removed, until the commit */
                        r = append_elements(f, a, &all);
        /* Of what waits for the next commit, the kernel has the old value. */
        for (size_t i = 0; i < f->n_undo && r >= 0; i++)
                if (!f->undo[i].is_network && is_first(f, i))
                        r = append_elements(f, f->undo[i].attachment, &all);
        if (r < 0)
                r = error_oom(e);
        else {
                element_list_sort(&all);
                expect.elements = &all;
                for (PolicyTable t = 0; t < _TABLE_MAX; t++) {
                        expect.table[t] = table_is_wanted(f, t);
                        expect.n_rules[t] = f->n_rules[t];
                }
                r = firewall_compare_tables(&expect, found, userdata, e);
        }
        element_list_clear(&all);
        return r;
}

const FirewallFeatures *firewall_features(const Firewall *f) {
        return &f->features;
}

unsigned firewall_n_repairs(const Firewall *f) {
        return f->n_repairs;
}

uint32_t firewall_port_id(const Firewall *f) {
        return f->socket->ops->port_id(f->socket);
}
