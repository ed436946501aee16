/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Addresses between two holders: whose they stay, and for how long others have to wait. A released lease is
 * in the queue of its terms. Within one queue the order of release is the order in which times are over, so
 * the first of each is all that has to be looked at, however many networks have terms of their own.
 */

#include "core/ipam-internal.h"

#include "base/limits.h"

/* ---- terms ------------------------------------------------------------------------------------ */

static bool terms_equal(const LeaseTerms *a, const LeaseTerms *b) {
        return a->sticky_sec == b->sticky_sec && a->has_rest == b->has_rest &&
               (!a->has_rest || a->rest_sec == b->rest_sec);
}

static RestQueue *queue_find(Ipam *ipam, const LeaseTerms *terms) {
        RestQueue *q;

        LIST_FOREACH (q, &ipam->queues, RestQueue, list)
                if (terms_equal(&q->terms, terms))
                        return q;
        q = new0(RestQueue, 1);
        if (!q)
                return NULL;
        q->terms = *terms;
        list_init(&q->released);
        list_append(&ipam->queues, &q->list);
        return q;
}

static void queue_unref(RestQueue *q) {
        if (!q || q->n_leases > 0)
                return;
        list_unlink(&q->list);
        free(q);
}

#define OWNER_KEY_MAX (NETWORK_NAME_MAX + 1 + ADDRESS_OWNER_MAX)

static size_t owner_key(const char *network, const char *owner, char buf[static OWNER_KEY_MAX]) {
        size_t n = strnlen(network, NETWORK_NAME_MAX), m = strnlen(owner, ADDRESS_OWNER_MAX);

        memcpy(buf, network, n);
        buf[n++] = '\0';
        memcpy(buf + n, owner, m);
        return n + m;
}

static LeaseOwner *owner_find(Ipam *ipam, const char *network, const char *name) {
        char key[OWNER_KEY_MAX];
        size_t size = owner_key(network, name, key);
        LeaseOwner *o = map_get(ipam->owners, key, size);

        if (o)
                return o;
        o = calloc(1, sizeof(*o) + size);
        if (!o)
                return NULL;
        list_init(&o->leases);
        o->key_size = size;
        memcpy(o->key, key, size);
        if (map_put(ipam->owners, key, size, o) < 0) {
                free(o);
                return NULL;
        }
        return o;
}

static void owner_unref(Ipam *ipam, LeaseOwner *o) {
        if (!o || o->n_leases > 0)
                return;
        map_remove(ipam->owners, o->key, o->key_size);
        free(o);
}

void lease_drop_terms(Ipam *ipam, Lease *l) {
        RestQueue *q = TAKE_PTR(l->queue);
        LeaseOwner *o = TAKE_PTR(l->owned_by);

        list_unlink(&l->resting);
        list_unlink(&l->by_owner);
        if (q)
                q->n_leases--;
        if (o)
                o->n_leases--;
        queue_unref(q);
        owner_unref(ipam, o);
        free(TAKE_PTR(l->owner));
}

int lease_set_terms(Ipam *ipam, Lease *l, const LeaseHolder *h) {
        const char *name = h->terms.sticky_sec ? h->owner : NULL;
        const LeaseTerms terms = { .sticky_sec = name ? h->terms.sticky_sec : 0,
                                   .has_rest = h->terms.has_rest,
                                   .rest_sec = h->terms.rest_sec };
        _cleanup_free_ char *copy = name ? strdup(name) : NULL;
        RestQueue *q = queue_find(ipam, &terms);
        LeaseOwner *o = q && copy ? owner_find(ipam, h->network, name) : NULL;

        if (!q || (name && !o)) {
                queue_unref(q);
                return -ENOMEM;
        }
        q->n_leases++;
        if (o)
                o->n_leases++;
        lease_drop_terms(ipam, l);
        l->terms = terms;
        l->queue = q;
        l->owned_by = o;
        l->owner = TAKE_PTR(copy);
        if (o)
                list_append(&o->leases, &l->by_owner);
        return 0;
}

/* ---- resting ---------------------------------------------------------------------------------- */

void lease_wake(Lease *l) {
        list_unlink(&l->resting);
        l->released_usec = 0;
}

void lease_rest(Lease *l, uint64_t released_usec) {
        List *at = l->queue->released.prev;

        l->attachment = 0;
        l->released_usec = released_usec;
        l->again_usec = 0;
        /* Nearly always the last; an older one comes back when its ADD is undone, or its owner gives it up. */
        while (at != &l->queue->released &&
               list_entry(at, Lease, resting)->released_usec > released_usec)
                at = at->prev;
        list_prepend(at, &l->resting);
        if (l->owned_by) {
                list_unlink(&l->by_owner);
                list_append(&l->owned_by->leases, &l->by_owner);
        }
}

bool lease_is_kept(const Lease *l) {
        return l->terms.sticky_sec == STICKY_KEPT;
}

uint64_t lease_sticky_until(const Lease *l) {
        if (!l->terms.sticky_sec || !l->released_usec || lease_is_kept(l))
                return 0;
        return l->released_usec + (uint64_t) l->terms.sticky_sec * 1000000U;
}

/* A clock that was set back prolongs it: what the owner was promised is not broken by that, and others get it
 * all the same when nothing else is left. */
bool lease_is_sticky(const Lease *l, uint64_t now_usec) {
        return lease_is_kept(l) || (l->terms.sticky_sec && now_usec < lease_sticky_until(l));
}

/* Without a promise to anybody, a release time in the future counts as rested: a clock that was set back must not
 * keep addresses resting for ever. */
static bool lease_is_rested(const Ipam *ipam, const Lease *l, uint64_t now_usec) {
        uint64_t rest = l->terms.has_rest ? (uint64_t) l->terms.rest_sec * 1000000U
                                          : ipam->cooldown_usec;

        return l->released_usec > now_usec || now_usec - l->released_usec >= rest;
}

Lease *ipam_pop_rested(Ipam *ipam, uint64_t now_usec) {
        RestQueue *q;

        LIST_FOREACH (q, &ipam->queues, RestQueue, list) {
                Lease *l = list_first(&q->released, Lease, resting);
                if (!l || lease_is_sticky(l, now_usec) || !lease_is_rested(ipam, l, now_usec))
                        continue;
                ipam_take_out(ipam, l);
                return l;
        }
        return NULL;
}

static Lease *queue_offer(const Ipam *ipam, const RestQueue *q, const char *pool,
                          const NetRangeSet *set) {
        Lease *l;

        LIST_FOREACH (l, &q->released, Lease, resting)
                if (streq(l->pool, pool) && set_has(set, &l->address) &&
                    !ipam_others_find(ipam, &l->address))
                        return l;
        return NULL;
}

Lease *ipam_longest_released(const Ipam *ipam, const char *pool, const NetRangeSet *set,
                             uint64_t now_usec) {
        Lease *best = NULL;
        RestQueue *q;

        LIST_FOREACH (q, &ipam->queues, RestQueue, list) {
                Lease *l = q->terms.sticky_sec == STICKY_KEPT ? NULL
                                                              : queue_offer(ipam, q, pool, set);
                if (!l)
                        continue;
                bool sticky = lease_is_sticky(l, now_usec);
                bool best_sticky = best && lease_is_sticky(best, now_usec);
                if (!best || sticky < best_sticky ||
                    (sticky == best_sticky && l->released_usec < best->released_usec))
                        best = l;
        }
        return best;
}

/* ---- owners ----------------------------------------------------------------------------------- */

/* A claim is of a network, whatever the interface is called that has it; a pod has one address of each of its
 * interfaces. */
static bool is_for(const Lease *l, const char *pool, const NetRangeSet *set, const LeaseHolder *h) {
        return streq(l->owner, h->owner) && streq(l->pool, pool) && set_has(set, &l->address) &&
               (lease_is_kept(l) || streq(l->ifname, h->ifname));
}

Lease *ipam_find_sticky(const Ipam *ipam, const char *pool, const NetRangeSet *set,
                        const LeaseHolder *h, const Lease **ret_held) {
        Lease *last = NULL, *l;
        char key[OWNER_KEY_MAX];

        *ret_held = NULL;
        if (!h->owner || !h->terms.sticky_sec)
                return NULL;
        LeaseOwner *o = map_get(ipam->owners, key, owner_key(h->network, h->owner, key));
        if (!o)
                return NULL;
        LIST_FOREACH (l, &o->leases, Lease, by_owner) {
                if (!is_for(l, pool, set, h))
                        continue;
                if (!l->released_usec)
                        *ret_held = l;
                else if (lease_is_sticky(l, h->now_usec))
                        last = l;
        }
        return last;
}

int ipam_give_up(Ipam *ipam, const char *owner, void (*given)(const Lease *l, void *userdata),
                 void *userdata) {
        Lease *l;

        MAP_FOREACH (l, ipam->leases) {
                uint64_t released = l->released_usec;
                LeaseHolder nobody = { .network = l->network,
                                       .terms = { .has_rest = l->terms.has_rest,
                                                  .rest_sec = l->terms.rest_sec } };

                if (!l->owner || !streq(l->owner, owner))
                        continue;
                given(l, userdata);
                if (lease_set_terms(ipam, l, &nobody) < 0)
                        return -ENOMEM;
                l->again_usec = 0;
                if (released)
                        lease_rest(l, released);
        }
        return 0;
}
