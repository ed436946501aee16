/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which address is whose. Decided in memory, on the loop; the ledger records it. Addresses live in
 * pools: "host" for everything that the host routes (no two of its attachments may ever share an
 * address), and one pool per isolated L2 network, which may repeat another's range.
 *
 * Order: round robin after the last address given out, so that a freed address comes last; a
 * released address rests for the cooldown; when nothing else is free the longest-released goes
 * first, rested or not.
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

/* One address that is held or cools down. Owned by the Ipam. */
typedef struct Lease {
        List cooling; /* in Ipam's list, oldest first, while released */
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
/* Forgets the lease at once: undone before anybody saw the address. */
void ipam_forget(Ipam *ipam, Lease *lease);

/* Takes one lease whose rest is over (or NULL) out of the pool; the caller deletes its row and then
 * calls lease_free(). */
Lease *ipam_pop_rested(Ipam *ipam, uint64_t now_usec);
Lease *lease_free(Lease *lease);

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
