/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See choose.h. */

#include "core/choose.h"

#include <inttypes.h>
#include <stdio.h>

#include "core/spec.h"
#include "core/traffic.h"

/* Of addresses that others give out nothing is known. */
#define ROOM_UNKNOWN UINT64_MAX

typedef struct Candidate {
        const char *name; /* as the group has it */
        Network *network; /* NULL: not there */
        uint64_t held[2 * RANGE_SETS_MAX];
        uint64_t room; /* attachments that still get an address of each set */
} Candidate;

typedef struct Candidates {
        Candidate *items; /* owned */
        size_t n_items;
} Candidates;

/* --- free addresses ------------------------------------------------------------------------------ */

static bool set_contains(const NetRangeSet *set, const InAddr *a) {
        for (size_t i = 0; i < set->n_ranges; i++)
                if (range_offers(&set->ranges[i], a))
                        return true;
        return false;
}

/* Whoever holds it: networks that the host routes share their pool. */
static void count_lease(const Lease *l, void *userdata) {
        Candidates *all = userdata;

        if (l->released_usec && !lease_is_kept(l))
                return;
        for (size_t i = 0; i < all->n_items; i++) {
                Candidate *c = &all->items[i];
                if (!c->network || !streq(l->pool, network_pool(c->network)))
                        continue;
                const NetConf *conf = c->network->conf;
                for (size_t k = 0; k < conf->n_sets; k++)
                        c->held[k] += set_contains(&conf->sets[k], &l->address);
        }
}

static uint64_t room_of(const Candidate *c) {
        const NetConf *conf = c->network->conf;
        uint64_t room = ROOM_UNKNOWN;

        for (size_t i = 0; i < conf->n_sets; i++) {
                uint64_t capacity = range_set_capacity(&conf->sets[i]);
                if (capacity == UINT64_MAX) /* of IPv6, saturated */
                        capacity--;
                uint64_t used = MIN_OF(capacity, c->held[i]);
                room = MIN_OF(room, capacity - used);
        }
        return room;
}

static int find_candidates(Manager *m, const NetConf *group, Candidates *ret, Error *e) {
        size_t there = 0;

        if (group->n_any_of == 0)
                return error_setf(
                                e, ERROR_NO_SUCH_NETWORK,
                                "there is no network to choose from; put a conflist into networks.d, or "
                                "use AddNetwork");
        ret->items = new0(Candidate, group->n_any_of);
        if (!ret->items)
                return error_oom(e);
        for (size_t i = 0; i < group->n_any_of; i++) {
                Candidate *c = &ret->items[ret->n_items++];
                c->name = group->any_of[i];
                if (network_resolve(m, c->name, &c->network, NULL) < 0)
                        continue;
                if (c->network->conf->any_of)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "anyOf[%zu]: %s is a group itself; name its networks", i,
                                          c->name);
                there++;
        }
        if (there == 0)
                return error_setf(e, ERROR_NO_SUCH_NETWORK,
                                  "anyOf: none of its %zu networks is there, %s for one; put its "
                                  "conflist into networks.d, or use AddNetwork",
                                  group->n_any_of, group->any_of[0]);
        ipam_visit(m->ipam, count_lease, ret);
        for (size_t i = 0; i < ret->n_items; i++)
                if (ret->items[i].network)
                        ret->items[i].room = room_of(&ret->items[i]);
        return 0;
}

/* --- the choice ---------------------------------------------------------------------------------- */

/* Sandboxes of it have an end on the host, whose counters tell. */
static bool has_traffic(const Network *n) {
        return kind_has_host_end(n->conf->kind);
}

/* What is not known comes behind all that is. */
static bool is_better(const Candidate *c, const Candidate *best, NetChoose choose) {
        if (!best)
                return true;
        if (choose == NET_CHOOSE_FREE_ADDRESSES) {
                if (best->room == ROOM_UNKNOWN || c->room == ROOM_UNKNOWN)
                        return best->room == ROOM_UNKNOWN && c->room != ROOM_UNKNOWN;
                return c->room > best->room;
        }
        if (choose == NET_CHOOSE_LEAST_TRAFFIC) {
                if (!has_traffic(best->network) || !has_traffic(c->network))
                        return has_traffic(c->network) && !has_traffic(best->network);
                return c->network->traffic_rate < best->network->traffic_rate;
        }
        return false;
}

static const Candidate *choose_one(const Candidates *all, NetChoose choose) {
        const Candidate *best = NULL;

        for (size_t i = 0; i < all->n_items; i++) {
                const Candidate *c = &all->items[i];
                if (c->network && c->room > 0 && is_better(c, best, choose))
                        best = c;
        }
        return best;
}

static void put_candidate(FILE *f, const Candidate *c, NetChoose choose) {
        fprintf(f, "%s ", c->name);
        if (!c->network)
                fputs("is not there", f);
        else if (c->room == 0)
                fputs("has no free address", f);
        else if (choose == NET_CHOOSE_LEAST_TRAFFIC) {
                if (has_traffic(c->network))
                        fprintf(f, "carries %" PRIu64 " bytes/s", c->network->traffic_rate);
                else
                        fputs("is not measured", f);
        } else if (c->room == ROOM_UNKNOWN)
                fputs("has addresses of others", f);
        else
                fprintf(f, "has %" PRIu64 " free", c->room);
}

/* "free-addresses: a has 3 free, b has 250 free". */
static char *describe(const Candidates *all, const char *head, NetChoose choose) {
        char *text = NULL;
        size_t size = 0;

        FILE *f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        fputs(head, f);
        for (size_t i = 0; i < all->n_items; i++) {
                fputs(i > 0 ? ", " : ": ", f);
                put_candidate(f, &all->items[i], choose);
        }
        bool failed = ferror(f);
        if (fclose(f) == 0 && !failed)
                return text;
        free(text);
        return NULL;
}

int network_choose(Manager *m, const NetConf *group, Network **ret, char **ret_reason, Error *e) {
        Candidates all = { 0 };

        if (group->choose == NET_CHOOSE_LEAST_TRAFFIC)
                traffic_want(m);
        int r = find_candidates(m, group, &all, e);
        _cleanup_free_ Candidate *owned = all.items;
        if (r < 0)
                return r;
        const Candidate *best = choose_one(&all, group->choose);
        _cleanup_free_ char *text =
                        describe(&all, best ? net_choose_to_string(group->choose) : "anyOf",
                                 group->choose);
        if (!text)
                return error_oom(e);
        if (!best)
                return error_setf(e, ERROR_RANGE_EXHAUSTED, "%s; give them more addresses", text);
        *ret = best->network;
        *ret_reason = TAKE_PTR(text);
        return 0;
}
