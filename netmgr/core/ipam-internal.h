/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Between ipam.c (which address is given out) and ipam-rest.c (what becomes of it afterwards). Both kinds
 * of lists exist from the moment an address is given out, so that its release cannot fail.
 */

#include "base/map.h"
#include "core/ipam.h"

/* Released leases with the same terms, oldest first: the first is the first whose time is over. */
typedef struct RestQueue {
        List list; /* Ipam.queues */
        LeaseTerms terms;
        List released; /* Lease.resting */
        size_t n_leases;
} RestQueue;

/* The leases of one owner on one network, held or released; the one released last is the last. */
typedef struct LeaseOwner {
        List leases; /* Lease.by_owner */
        size_t n_leases, key_size;
        char key[]; /* network NUL owner */
} LeaseOwner;

struct Ipam {
        Map *leases;  /* pool NUL family address -> Lease */
        Map *cursors; /* network NUL set index -> Cursor */
        Map *owners;  /* LeaseOwner.key -> LeaseOwner */
        Map *others;  /* family, address -> Lease that is held in a pool of others, one of them */
        List queues;  /* RestQueue; as many as there are different terms */
        uint64_t cooldown_usec;
};

/* Puts the lease, held, under the terms of its holder. -ENOMEM leaves it as it was. */
int lease_set_terms(Ipam *ipam, Lease *l, const LeaseHolder *h);
/* Of one that leaves the pool. */
void lease_drop_terms(Ipam *ipam, Lease *l);
/* A released one is given out again. */
void lease_wake(Lease *l);
void lease_rest(Lease *l, uint64_t released_usec);
/* Nobody but its owner gets it as long as there are others. */
bool lease_is_sticky(const Lease *l, uint64_t now_usec);

/* The address of the set that the owner had last, at this interface; NULL: none. *ret_held: one that he would get,
 * were it not still held. */
Lease *ipam_find_sticky(const Ipam *ipam, const char *pool, const NetRangeSet *set,
                        const LeaseHolder *h, const Lease **ret_held);
/* Of those that rest; what is sticky comes last, and what is kept by name never. */
Lease *ipam_longest_released(const Ipam *ipam, const char *pool, const NetRangeSet *set,
                             uint64_t now_usec);
/* ipam.c: it may be given out from the set. */
bool set_has(const NetRangeSet *set, const InAddr *a);

/* ipam-others.c: the lease that holds the address in a pool of others; NULL: none does. */
Lease *ipam_others_find(const Ipam *ipam, const InAddr *a);
/* It is held from now on, or no longer; nothing for those in other pools. -ENOMEM */
int ipam_others_add(Ipam *ipam, Lease *l);
void ipam_others_remove(Ipam *ipam, const Lease *l);
