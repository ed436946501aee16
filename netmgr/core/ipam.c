/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The address pools; see ipam.h for the order and who owns what. */

#include "core/ipam-internal.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"

typedef struct Cursor {
        char *network;
        InAddr address;
} Cursor;

/* Room for a pool name (a network name at most) and what follows it. */
#define KEY_MAX (NETWORK_NAME_MAX + 1 + 1 + 16)

static size_t lease_key(const char *pool, const InAddr *a, char buf[static KEY_MAX]) {
        size_t n = strnlen(pool, NETWORK_NAME_MAX);

        memcpy(buf, pool, n);
        buf[n++] = '\0';
        buf[n++] = a->family == AF_INET ? 4 : 6;
        memcpy(buf + n, a->bytes, family_bytes(a->family));
        return n + family_bytes(a->family);
}

static size_t cursor_key(const char *network, unsigned set_index, char buf[static KEY_MAX]) {
        size_t n = strnlen(network, NETWORK_NAME_MAX);

        memcpy(buf, network, n);
        buf[n++] = '\0';
        memcpy(buf + n, &set_index, sizeof(set_index));
        return n + sizeof(set_index);
}

static Lease *lease_find(const Ipam *ipam, const char *pool, const InAddr *a) {
        char key[KEY_MAX];
        return map_get(ipam->leases, key, lease_key(pool, a, key));
}

Lease *lease_free(Lease *l) {
        if (!l)
                return NULL;
        free(l->pool);
        free(l->network);
        free(l->sandbox);
        free(l->ifname);
        free(l->owner);
        free(l);
        return NULL;
}
DEFINE_CLEANUP(Lease *, lease_free)

int ipam_new(uint64_t cooldown_usec, Ipam **ret) {
        _cleanup_(ipam_freep) Ipam *ipam = new0(Ipam, 1);
        if (!ipam)
                return -ENOMEM;
        list_init(&ipam->queues);
        ipam->cooldown_usec = cooldown_usec;
        ipam->leases = map_new();
        ipam->cursors = map_new();
        ipam->owners = map_new();
        ipam->others = map_new();
        if (!ipam->leases || !ipam->cursors || !ipam->owners || !ipam->others)
                return -ENOMEM;
        *ret = TAKE_PTR(ipam);
        return 0;
}

Ipam *ipam_free(Ipam *ipam) {
        Lease *l;
        Cursor *c;

        if (!ipam)
                return NULL;
        if (ipam->leases && ipam->owners)
                MAP_FOREACH (l, ipam->leases) {
                        lease_drop_terms(ipam, l);
                        lease_free(l);
                }
        if (ipam->cursors)
                MAP_FOREACH (c, ipam->cursors) {
                        free(c->network);
                        free(c);
                }
        map_free(ipam->leases);
        map_free(ipam->others);
        map_free(ipam->cursors);
        map_free(ipam->owners);
        free(ipam);
        return NULL;
}

void ipam_set_cooldown(Ipam *ipam, uint64_t usec) {
        ipam->cooldown_usec = usec;
}

static int lease_set_holder(Ipam *ipam, Lease *l, const LeaseHolder *h) {
        _cleanup_free_ char *network = strdup(h->network), *sandbox = strdup(h->sandbox),
                            *ifname = strdup(h->ifname);
        if (!network || !sandbox || !ifname || lease_set_terms(ipam, l, h) < 0)
                return -ENOMEM;
        free(l->network);
        free(l->sandbox);
        free(l->ifname);
        l->network = TAKE_PTR(network);
        l->sandbox = TAKE_PTR(sandbox);
        l->ifname = TAKE_PTR(ifname);
        l->attachment = h->attachment;
        return 0;
}

static int lease_add(Ipam *ipam, const char *pool, const InAddr *a, const LeaseHolder *h,
                     Lease **ret) {
        _cleanup_(lease_freep) Lease *l = new0(Lease, 1);
        char key[KEY_MAX];

        if (!l || !(l->pool = strdup(pool)))
                return -ENOMEM;
        l->address = *a;
        int r = lease_set_holder(ipam, l, h);
        if (r < 0)
                return r;
        r = map_put(ipam->leases, key, lease_key(pool, a, key), l);
        if (r < 0) {
                lease_drop_terms(ipam, l);
                return r;
        }
        *ret = TAKE_PTR(l);
        return 0;
}

void ipam_take_out(Ipam *ipam, Lease *l) {
        char key[KEY_MAX];

        ipam_others_remove(ipam, l);
        lease_drop_terms(ipam, l);
        map_remove(ipam->leases, key, lease_key(l->pool, &l->address, key));
}

void ipam_release(Ipam *ipam, Lease *l, uint64_t now_usec) {
        if (l->released_usec)
                return;
        ipam_others_remove(ipam, l);
        lease_rest(l, now_usec);
}

void ipam_forget(Ipam *ipam, Lease *l) {
        if (l->again_usec) {
                lease_rest(l, l->again_usec);
                return;
        }
        ipam_take_out(ipam, l);
        lease_free(l);
}

int ipam_load_lease(Ipam *ipam, const char *pool, const InPrefix *address, unsigned set_index,
                    const LeaseHolder *holder, uint64_t released_usec, Lease **ret) {
        Lease *l;
        int r = lease_add(ipam, pool, &address->address, holder, &l);
        if (r < 0)
                return r;
        l->prefix_length = address->length;
        l->set_index = set_index;
        if (released_usec)
                ipam_release(ipam, l, released_usec);
        else if (ipam_others_add(ipam, l) < 0)
                return -ENOMEM;
        if (ret)
                *ret = l;
        return 0;
}

int ipam_load_cursor(Ipam *ipam, const char *network, unsigned set_index, const InAddr *address) {
        char key[KEY_MAX];
        size_t n = cursor_key(network, set_index, key);
        Cursor *c = map_get(ipam->cursors, key, n);

        if (!c) {
                c = new0(Cursor, 1);
                if (!c || !(c->network = strdup(network))) {
                        free(c);
                        return -ENOMEM;
                }
                int r = map_put(ipam->cursors, key, n, c);
                if (r < 0) {
                        free(c->network);
                        free(c);
                        return r;
                }
        }
        c->address = *address;
        return 0;
}

InAddr ipam_cursor(const Ipam *ipam, const char *network, unsigned set_index) {
        char key[KEY_MAX];
        const Cursor *c = map_get(ipam->cursors, key, cursor_key(network, set_index, key));
        return c ? c->address : (InAddr) { .family = AF_UNSPEC };
}

void ipam_forget_cursors(Ipam *ipam, const char *network) {
        for (unsigned i = 0; i < RANGE_SETS_MAX * 2; i++) {
                char key[KEY_MAX];
                Cursor *c = map_remove(ipam->cursors, key, cursor_key(network, i, key));
                if (c) {
                        free(c->network);
                        free(c);
                }
        }
}

void ipam_visit(const Ipam *ipam, IpamVisit visit, void *userdata) {
        Lease *l;
        MAP_FOREACH (l, ipam->leases)
                visit(l, userdata);
}

/* The exclude that covers the address, or NULL. */
static const InPrefix *range_exclude(const NetRange *range, const InAddr *a) {
        for (size_t i = 0; i < range->n_excludes; i++)
                if (in_prefix_contains(&range->excludes[i], a))
                        return &range->excludes[i];
        return NULL;
}

bool range_offers(const NetRange *range, const InAddr *a) {
        return a->family == range->start.family && in_addr_compare(a, &range->start) >= 0 &&
               in_addr_compare(a, &range->end) <= 0 && !in_addr_equal(a, &range->gateway) &&
               !range_exclude(range, a);
}

uint64_t range_set_capacity(const NetRangeSet *set) {
        uint64_t sum = 0;

        for (size_t i = 0; i < set->n_ranges; i++) {
                const NetRange *r = &set->ranges[i];
                uint64_t n = in_addr_span(&r->start, &r->end);

                /* The gateway is skipped, unless an exclude covers it anyway; excludes may lie
                 * partly outside the range, but do not overlap each other. */
                if (n && n != UINT64_MAX && in_addr_compare(&r->gateway, &r->start) >= 0 &&
                    in_addr_compare(&r->gateway, &r->end) <= 0 && !range_exclude(r, &r->gateway))
                        n--;
                for (size_t x = 0; x < r->n_excludes && n != UINT64_MAX; x++) {
                        InAddr first = in_prefix_first(&r->excludes[x]),
                               last = in_prefix_last(&r->excludes[x]);
                        if (in_addr_compare(&first, &r->start) < 0)
                                first = r->start;
                        if (in_addr_compare(&last, &r->end) > 0)
                                last = r->end;
                        uint64_t gone = in_addr_span(&first, &last);
                        n = gone < n ? n - gone : 0;
                }
                sum = sum + n < sum ? UINT64_MAX : sum + n;
        }
        return sum;
}

/* Words for a set: "10.97.0.0/16 (10.97.0.2-10.97.255.254)" and so on. */
static char *set_describe(const NetRangeSet *set) {
        _cleanup_free_ char *all = strdup("");

        for (size_t i = 0; all && i < set->n_ranges; i++) {
                char *more = strf("%s%s%s (%s-%s)", all, i ? ", " : "",
                                  IN_PREFIX_STR(&set->ranges[i].subnet),
                                  IN_ADDR_STR(&set->ranges[i].start),
                                  IN_ADDR_STR(&set->ranges[i].end));
                free(all);
                all = more;
        }
        return TAKE_PTR(all);
}

struct Usage {
        const char *pool;
        const NetRangeSet *set;
        uint64_t held;
};

static void count_held(const Lease *l, void *userdata) {
        struct Usage *u = userdata;

        if (l->released_usec || !streq(l->pool, u->pool))
                return;
        for (size_t i = 0; i < u->set->n_ranges; i++)
                if (range_offers(&u->set->ranges[i], &l->address)) {
                        u->held++;
                        return;
                }
}

uint64_t ipam_count_held(const Ipam *ipam, const char *pool, const NetRangeSet *set) {
        struct Usage u = { .pool = pool, .set = set };
        ipam_visit(ipam, count_held, &u);
        return u.held;
}

bool ipam_is_nearly_full(const Ipam *ipam, const char *pool, const NetRangeSet *set) {
        uint64_t capacity = range_set_capacity(set), limit = capacity - capacity / 10;

        return capacity > 0 && map_size(ipam->leases) >= limit &&
               ipam_count_held(ipam, pool, set) >= limit;
}

struct Kept {
        const char *pool;
        const NetRangeSet *set;
        uint64_t n;
};

static void count_kept(const Lease *l, void *userdata) {
        struct Kept *k = userdata;
        k->n += l->released_usec && lease_is_kept(l) && streq(l->pool, k->pool) &&
                set_has(k->set, &l->address);
}

static int exhausted(const Ipam *ipam, const char *pool, const NetRangeSet *set, Error *e) {
        _cleanup_free_ char *words = set_describe(set);
        struct Kept kept = { .pool = pool, .set = set };
        char text[64] = "";

        ipam_visit(ipam, count_kept, &kept);
        if (kept.n > 0)
                snprintf(text, sizeof(text), ", %" PRIu64 " kept for their owners", kept.n);
        return error_setf(e, ERROR_RANGE_EXHAUSTED,
                          "no free address in range %s: %" PRIu64 " of %" PRIu64
                          " in use%s; delete sandboxes or enlarge the range%s",
                          strempty(words), ipam_count_held(ipam, pool, set),
                          range_set_capacity(set), text,
                          kept.n > 0 ? ", or give one up with netmgrctl release" : "");
}

/* The next address of the set after `a` in its order, wrapping round; excluded stretches are jumped
 * over in one step. `a` may be AF_UNSPEC or outside: then the very first. */
static InAddr set_next(const NetRangeSet *set, const InAddr *a) {
        size_t i;

        for (i = 0; i < set->n_ranges; i++) {
                const NetRange *r = &set->ranges[i];
                if (a->family == r->start.family && in_addr_compare(a, &r->start) >= 0 &&
                    in_addr_compare(a, &r->end) <= 0)
                        break;
        }
        if (i == set->n_ranges)
                return set->ranges[0].start;

        const InPrefix *x = range_exclude(&set->ranges[i], a);
        InAddr from = x ? in_prefix_last(x) : *a, next;
        if (in_addr_add(&from, 1, &next) && in_addr_compare(&next, &set->ranges[i].end) <= 0)
                return next;
        return set->ranges[(i + 1) % set->n_ranges].start;
}

static const NetRange *set_offers(const NetRangeSet *set, const InAddr *a) {
        for (size_t i = 0; i < set->n_ranges; i++)
                if (range_offers(&set->ranges[i], a))
                        return &set->ranges[i];
        return NULL;
}

bool set_has(const NetRangeSet *set, const InAddr *a) {
        return set_offers(set, a) != NULL;
}

/* Round robin: the next address that nobody holds and none rests on. Ends after one full turn. */
static bool find_fresh(const Ipam *ipam, const char *pool, const NetRangeSet *set, InAddr cursor,
                       InAddr *ret) {
        InAddr first = set_next(set, &cursor), a = first;

        do {
                if (set_offers(set, &a) && !lease_find(ipam, pool, &a) &&
                    !ipam_others_find(ipam, &a)) {
                        *ret = a;
                        return true;
                }
                a = set_next(set, &a);
        } while (!in_addr_equal(&a, &first));
        return false;
}

static int check_requested(const Ipam *ipam, const char *pool, const NetRangeSet *set,
                           const InAddr *a, const LeaseHolder *h, Error *e) {
        if (!set_offers(set, a)) {
                _cleanup_free_ char *words = set_describe(set);
                for (size_t i = 0; i < set->n_ranges; i++)
                        if (in_addr_equal(a, &set->ranges[i].gateway))
                                return error_setf(
                                                e, ERROR_INVALID_ARGUMENT,
                                                "requested address %s is the gateway of its range; "
                                                "choose another one of %s",
                                                IN_ADDR_STR(a), strempty(words));
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "requested address %s is not offered by range %s", IN_ADDR_STR(a),
                                  strempty(words));
        }
        const Lease *l = lease_find(ipam, pool, a);
        const Lease *held = l && !l->released_usec ? l : ipam_others_find(ipam, a);
        if (held)
                return error_setf(e, ERROR_ADDRESS_IN_USE,
                                  "requested address %s is held by interface %s of sandbox %s on "
                                  "network %s",
                                  IN_ADDR_STR(a), held->ifname, held->sandbox, held->network);
        if (l && lease_is_kept(l) && !streq_ptr(l->owner, h->owner))
                return error_setf(
                                e, ERROR_ADDRESS_IN_USE,
                                "requested address %s is kept for %s on network %s until that gives "
                                "it up; netmgrctl release %s does",
                                IN_ADDR_STR(a), l->owner, l->network, l->owner);
        return 0;
}

/* A requested address goes before a sticky one, that before the next of all. */
static int choose(const Ipam *ipam, const char *pool, unsigned set_index, const NetRangeSet *set,
                  const InAddr *requested, const LeaseHolder *h, InAddr *ret, bool *ret_next,
                  Error *e) {
        const Lease *held, *l;

        *ret_next = false;
        if (requested) {
                int r = check_requested(ipam, pool, set, requested, h, e);
                if (r >= 0)
                        *ret = *requested;
                return r;
        }
        l = ipam_find_sticky(ipam, pool, set, h, &held);
        if (l && !ipam_others_find(ipam, &l->address)) {
                *ret = l->address;
                return 0;
        }
        if (held)
                log_debug("%s: address %s is still held by interface %s of sandbox %s; %s gets another one",
                          h->owner, IN_ADDR_STR(&held->address), held->ifname, held->sandbox,
                          h->sandbox);
        *ret_next = true;
        if (find_fresh(ipam, pool, set, ipam_cursor(ipam, h->network, set_index), ret))
                return 0;
        l = ipam_longest_released(ipam, pool, set, h->now_usec);
        if (!l)
                return exhausted(ipam, pool, set, e);
        *ret = l->address;
        return 0;
}

/* Out of memory leaves a lease that was there as it was. */
static int hold(Ipam *ipam, const char *pool, unsigned set_index, const InAddr *address,
                const LeaseHolder *h, Lease **ret, Error *e) {
        Lease *l = lease_find(ipam, pool, address);
        uint64_t again = l && l->owner && streq_ptr(l->owner, h->owner) ? l->released_usec : 0;

        int r = l ? lease_set_holder(ipam, l, h) : lease_add(ipam, pool, address, h, &l);
        if (r < 0)
                return error_oom(e);
        lease_wake(l);
        l->again_usec = again;
        l->set_index = set_index;
        *ret = l;
        return 0;
}

int ipam_allocate(Ipam *ipam, const char *pool, unsigned set_index, const NetRangeSet *set,
                  const InAddr *requested, const LeaseHolder *holder, IpamGrant *ret, Error *e) {
        InAddr address;
        Lease *l = NULL;
        bool next;

        int r = choose(ipam, pool, set_index, set, requested, holder, &address, &next, e);
        if (r >= 0)
                r = hold(ipam, pool, set_index, &address, holder, &l, e);
        if (r < 0)
                return r;
        if (next && ipam_load_cursor(ipam, holder->network, set_index, &address) < 0) {
                ipam_release(ipam, l, 1);
                return error_oom(e);
        }
        *ret = (IpamGrant) { .lease = l, .range = set_offers(set, &address) };
        return 0;
}

int ipam_hold(Ipam *ipam, const char *pool, unsigned set_index, const InAddr *address,
              const LeaseHolder *holder, Lease **ret, Error *e) {
        Lease *l = lease_find(ipam, pool, address);

        if (l && !l->released_usec)
                return error_setf(e, ERROR_ADDRESS_IN_USE,
                                  "address %s is held by interface %s of sandbox %s on network %s",
                                  IN_ADDR_STR(address), l->ifname, l->sandbox, l->network);
        int r = hold(ipam, pool, set_index, address, holder, &l, e);
        if (r < 0)
                return r;
        if (ipam_others_add(ipam, l) < 0) {
                ipam_forget(ipam, l);
                return error_oom(e);
        }
        *ret = l;
        return 0;
}

Lease *ipam_find(const Ipam *ipam, const char *pool, const InAddr *address) {
        return lease_find(ipam, pool, address);
}
