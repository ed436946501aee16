/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which address is whose. Decided in memory, on the loop; the ledger records it. Addresses live in
 * pools: "host" for everything that the host routes (no two of its attachments may ever share an
 * address), and one pool per isolated L2 network, which may repeat another's range.
 *
 * Order: round robin after the last address given out, so that a freed address comes last; a
 * released address rests for its network's quarantine, or the cooldown; when nothing else is free the
 * longest-released goes first, rested or not.
 *
 * An address may be sticky: its owner (a name that outlives sandboxes) gets it again, at once, for some time
 * after its release, or until he gives it up by name (it is kept). Others get a sticky one last of all, and
 * a kept one never.
 *
 * Running time: one map lookup per address that round robin has to skip.
 */

#include "base/error.h"
#include "base/list.h"
#include "cri/netconf.h"

#define IPAM_POOL_HOST "host"

/*
 * Pools whose names begin so hold what others have given out on this node and what no network of ours gave: no
 * pool gives an address out that is held in one of them. No network has such a name.
 */
#define IPAM_POOL_OTHERS '@'
static inline bool ipam_pool_is_others(const char *pool) {
        return pool[0] == IPAM_POOL_OTHERS;
}

typedef struct Ipam Ipam;

/* What becomes of an address once it is released. */
#define STICKY_KEPT UINT32_MAX
typedef struct LeaseTerms {
        uint32_t sticky_sec; /* its owner gets it again for so long; 0: nobody; STICKY_KEPT: for good */
        bool has_rest;       /* others wait `rest_sec`; else the cooldown */
        uint32_t rest_sec;
} LeaseTerms;

/* One address that is held or rests. Owned by the Ipam. */
typedef struct Lease {
        List resting;                /* RestQueue.released, while it is */
        List by_owner;               /* LeaseOwner.leases */
        struct RestQueue *queue;     /* of its terms */
        struct LeaseOwner *owned_by; /* NULL: nobody's */
        char *owner;                 /* NULL: nobody gets it again */
        LeaseTerms terms;
        uint64_t again_usec; /* held again by its owner: when it was released; 0: it is not */
        InAddr address;
        char *pool;
        uint64_t attachment;              /* id of the holder, 0: released */
        uint64_t released_usec;           /* CLOCK_REALTIME, 0: held */
        char *network, *sandbox, *ifname; /* the last holder */
        uint8_t prefix_length;            /* of the interface address */
        uint32_t set_index;
} Lease;

/* Who asks. Strings are copied into the lease. */
typedef struct LeaseHolder {
        uint64_t attachment;
        const char *network, *sandbox, *ifname;
        const char *owner; /* who gets it again; NULL: nobody */
        LeaseTerms terms;
        uint64_t now_usec; /* CLOCK_REALTIME; what is sticky until then is no longer */
} LeaseHolder;

typedef struct IpamGrant {
        Lease *lease;
        const NetRange *range; /* the range that it came from */
} IpamGrant;

int ipam_new(uint64_t cooldown_usec, Ipam **ret);
Ipam *ipam_free(Ipam *ipam);
DEFINE_CLEANUP(Ipam *, ipam_free)
void ipam_set_cooldown(Ipam *ipam, uint64_t usec);

/*
 * Gives out one address of the set: the requested one, or the next by the order above.
 * ERROR_RANGE_EXHAUSTED names the ranges and how many are in use; ERROR_ADDRESS_IN_USE the holder;
 * ERROR_INVALID_ARGUMENT a requested address that is the gateway, excluded or outside.
 */
int ipam_allocate(Ipam *ipam, const char *pool, unsigned set_index, const NetRangeSet *set,
                  const InAddr *requested, const LeaseHolder *holder, IpamGrant *ret, Error *e);

/* Holds one that somebody else gave out, also one that rests here. ERROR_ADDRESS_IN_USE names the holder. */
int ipam_hold(Ipam *ipam, const char *pool, unsigned set_index, const InAddr *address,
              const LeaseHolder *holder, Lease **ret, Error *e);

/* The lease of the address, held or resting; NULL: nobody has it. */
Lease *ipam_find(const Ipam *ipam, const char *pool, const InAddr *address);

/* Whether anything is held in a pool of others. */
bool ipam_has_others(const Ipam *ipam);

/* Starts the rest period. */
void ipam_release(Ipam *ipam, Lease *lease, uint64_t now_usec);
/* Undone before anybody saw the address: forgets the lease at once, or, where its owner had it again, lets it
 * rest as before. */
void ipam_forget(Ipam *ipam, Lease *lease);

/* It stays its owner's until that gives it up. */
bool lease_is_kept(const Lease *lease);
/* CLOCK_REALTIME; 0: it is held, kept, or nobody's. */
uint64_t lease_sticky_until(const Lease *lease);
/* All addresses of that owner are from now on like any other's; `given` hears of each before. -ENOMEM: not of all. */
int ipam_give_up(Ipam *ipam, const char *owner, void (*given)(const Lease *lease, void *userdata),
                 void *userdata);

/* Takes one lease whose rest, and whose time for its owner, is over (or NULL) out of the pool; the caller deletes its row and then
 * calls lease_free(). */
Lease *ipam_pop_rested(Ipam *ipam, uint64_t now_usec);
Lease *lease_free(Lease *lease);
/* ipam.c's part of that. */
void ipam_take_out(Ipam *ipam, Lease *lease);

/* Loading from the ledger. */
int ipam_load_lease(Ipam *ipam, const char *pool, const InPrefix *address, unsigned set_index,
                    const LeaseHolder *holder, uint64_t released_usec, Lease **ret);
int ipam_load_cursor(Ipam *ipam, const char *network, unsigned set_index, const InAddr *address);
/* Where round robin stands: the address given out last, AF_UNSPEC at first. */
InAddr ipam_cursor(const Ipam *ipam, const char *network, unsigned set_index);
void ipam_forget_cursors(Ipam *ipam, const char *network);

/* Every lease, held and cooling. */
typedef void (*IpamVisit)(const Lease *lease, void *userdata);
void ipam_visit(const Ipam *ipam, IpamVisit visit, void *userdata);

/* Addresses of the set that are held in the pool. Walks all leases: not for the path of ADD. */
uint64_t ipam_count_held(const Ipam *ipam, const char *pool, const NetRangeSet *set);

/* Nine of ten addresses of the set are held. Walks all leases only when there are that many at all. */
bool ipam_is_nearly_full(const Ipam *ipam, const char *pool, const NetRangeSet *set);

/* Addresses that the set can give out at all, saturated at UINT64_MAX. */
uint64_t range_set_capacity(const NetRangeSet *set);
/* True when the address may be given out from the range: inside, no gateway, not excluded. */
bool range_offers(const NetRange *range, const InAddr *address);
