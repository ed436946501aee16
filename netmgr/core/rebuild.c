/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See rebuild.h. Nothing here has rows: what is known of these sandboxes is asked of the kernel again by
 * the next start. */

#include "core/rebuild.h"

#include <stdio.h>

#include "base/log.h"
#include "base/parse.h"
#include "policy/leftover.h"

typedef struct Orphan {
        Commit commit; /* the end of its rule elements */
        Manager *manager;
        PolicyLeftover known;
        uint64_t id;
        char bridge[IF_NAMESIZE];                  /* "" for a routed one */
        Lease *leases[2 * LEFTOVER_ADDRESSES_MAX]; /* the Ipam's */
        size_t n_leases;
} Orphan;

static bool host_end_id(const NlLink *l, uint64_t *ret) {
        return streq(l->kind, "veth") && strncmp(l->name, "nmg", 3) == 0 &&
               parse_hex64(l->name + 3, ret) >= 0;
}

static const NlLink *link_by_index(const NlDump *d, uint32_t ifindex) {
        for (size_t i = 0; i < d->n_links; i++)
                if (ifindex && d->links[i].ifindex == ifindex)
                        return &d->links[i];
        return NULL;
}

static void add_address(PolicyLeftover *l, const InAddr *a) {
        for (size_t i = 0; i < l->n_addresses; i++)
                if (in_addr_equal(&l->addresses[i], a))
                        return;
        if (l->n_addresses < ELEMENTSOF(l->addresses))
                l->addresses[l->n_addresses++] = *a;
}

static void hold(Orphan *o, const char *pool, const InAddr *a) {
        InPrefix p = { .address = *a, .length = (uint8_t) family_bits(a->family) };
        LeaseHolder holder = { .attachment = o->id,
                               .network = o->bridge,
                               .sandbox = "(lost)",
                               .ifname = o->known.host_ifname };
        Lease *lease;

        if (o->n_leases < ELEMENTSOF(o->leases) &&
            ipam_load_lease(o->manager->ipam, pool, &p, 0, &holder, 0, &lease) >= 0)
                o->leases[o->n_leases++] = lease;
}

/* A bridge's addresses are in the pool of the host or in that of its network, and which is no longer known:
 * they are held in both. */
static int orphan_new(Manager *m, const NlLink *link, uint64_t id, const NlDump *d,
                      const PolicyLeftover *left, size_t n_left) {
        const NlLink *bridge = link_by_index(d, link->master);
        Orphan *o = new0(Orphan, 1);

        if (!o)
                return -ENOMEM;
        o->manager = m;
        o->id = id;
        for (size_t i = 0; i < n_left; i++)
                if (streq(left[i].host_ifname, link->name))
                        o->known = left[i];
        snprintf(o->known.host_ifname, sizeof(o->known.host_ifname), "%s", link->name);
        snprintf(o->bridge, sizeof(o->bridge), "%s", bridge ? bridge->name : "");
        for (size_t i = 0; i < d->n_routes; i++)
                if (d->routes[i].ifindex == link->ifindex &&
                    d->routes[i].dst.length == family_bits(d->routes[i].dst.address.family))
                        add_address(&o->known, &d->routes[i].dst.address);
        if (map_put_str(m->orphans, link->name, o) < 0) {
                free(o);
                return -ENOMEM;
        }
        for (size_t i = 0; i < o->known.n_addresses; i++) {
                hold(o, IPAM_POOL_HOST, &o->known.addresses[i]);
                if (strncmp(o->bridge, "nmb-", 4) == 0)
                        hold(o, o->bridge + 4, &o->known.addresses[i]);
        }
        return 0;
}

static int remember(Manager *m, Store *store, uint64_t highest, Error *e) {
        int r = store_begin(store, e);
        if (r >= 0)
                r = store_put_lost_id(store, highest, e);
        if (r >= 0)
                r = store_commit(store, e);
        if (r < 0)
                store_rollback(store);
        else
                m->lost_id = highest;
        return r;
}

static int find_all(Manager *m, const NlDump *d, Error *e) {
        _cleanup_free_ PolicyLeftover *left = NULL;
        size_t n_left = 0;
        uint64_t id;

        int r = policy_leftovers_read(&left, &n_left, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < d->n_links; i++)
                if (host_end_id(&d->links[i], &id) && id <= m->lost_id &&
                    !map_get_str(m->host_ends, d->links[i].name) &&
                    orphan_new(m, &d->links[i], id, d, left, n_left) < 0)
                        return error_oom(e);
        return 0;
}

int rebuild_find(Manager *m, Store *store, Error *e) {
        uint64_t last = 0, highest = 0, id;
        bool unknown = false;
        NlDump d = { 0 };

        int r = store_load_last_id(store, &last, e);
        if (r >= 0)
                r = store_load_lost_id(store, &m->lost_id, e);
        if (r < 0)
                return r;
        r = kernel_dump(m->nl, NL_DUMP_LINKS | NL_DUMP_ROUTES, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's links");
        for (size_t i = 0; i < d.n_links; i++)
                if (host_end_id(&d.links[i], &id) && !map_get_str(m->host_ends, d.links[i].name)) {
                        unknown = true;
                        highest = MAX_OF(highest, id);
                }
        /* The row is written before the link is made: a higher id than any row had is from a lost ledger. */
        if (highest > last)
                r = remember(m, store, highest, e);
        if (r >= 0 && unknown && m->lost_id > 0)
                r = find_all(m, &d, e);
        kernel_dump_clear(&d);
        if (r >= 0 && map_size(m->orphans) > 0)
                log_warning("%zu sandboxes live whose rows were lost with an earlier ledger; their addresses are "
                            "kept until they end, their host ports and limits are gone",
                            map_size(m->orphans));
        return r;
}

int rebuild_enforce(Manager *m, Firewall *f) {
        Orphan *o;
        int r = 0;

        MAP_FOREACH (o, m->orphans) {
                PolicyAttachment p = { .id = o->id,
                                       .network = "",
                                       .sandbox = "(lost)",
                                       .ifname = "",
                                       .bridged = o->known.bridged || o->bridge[0],
                                       .mac = o->known.mac,
                                       .addresses = o->known.addresses,
                                       .n_addresses = o->known.n_addresses,
                                       .masquerade = o->known.masquerade };

                memcpy(p.host_ifname, o->known.host_ifname, sizeof(p.host_ifname));
                if (r >= 0)
                        r = firewall_put(f, &p);
        }
        return r;
}

bool rebuild_knows(const Manager *m, const char *name) {
        uint64_t id;
        Orphan *o;

        if (map_size(m->orphans) == 0)
                return false;
        if (map_get_str(m->orphans, name))
                return true;
        bool shaping = strncmp(name, "nmi", 3) == 0 && parse_hex64(name + 3, &id) >= 0;
        MAP_FOREACH (o, m->orphans)
                if (streq(o->bridge, name) || (shaping && o->id == id))
                        return true;
        return false;
}

static int write_nothing(Commit *c _unused_, Store *store _unused_, Error *e _unused_) {
        return 0;
}

static int enforce_end(Commit *c, Firewall *f) {
        return firewall_remove(f, ((Orphan *) c)->id);
}

static void ended(Task *task) {
        Orphan *o = (Orphan *) task;

        manager_set_commit_health(o->manager, &o->commit);
        error_clear(&task->error);
        if (task->r < 0 && committer_owe(o->manager->committer, &o->commit))
                return;
        free(o);
}

void rebuild_link_gone(Manager *m, const char *name) {
        Orphan *o = map_remove_str(m->orphans, name);

        if (!o)
                return;
        log_info("%s is gone, whose sandbox was lost with an earlier ledger", name);
        for (size_t i = 0; i < o->n_leases; i++)
                ipam_release(m->ipam, o->leases[i], now_realtime());
        o->n_leases = 0;
        o->commit.write = write_nothing;
        o->commit.enforce = enforce_end;
        o->commit.task.deliver = ended;
        committer_submit(m->committer, &o->commit);
}

void rebuild_free(Manager *m) {
        Orphan *o;

        if (!m->orphans)
                return;
        MAP_FOREACH (o, m->orphans)
                free(o);
        m->orphans = map_free(m->orphans);
}
