/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What of a plan the kernel lacks: pure functions of a plan and a dump. CHECK names the first difference,
 * reconcile names all and carries out the operations that mend them.
 */

#include "core/plan.h"

typedef struct Difference {
        char *sentence; /* owned: "route 10.97.0.2/32 is missing in the host's netns" */
        NlOp repair;
        bool mendable; /* by `repair`; otherwise something larger has to happen */
} Difference;

typedef struct Differences {
        Difference *items; /* owned */
        size_t n, allocated;
        int error; /* -ENOMEM once an append failed: checked at the end */
} Differences;

void differences_clear(Differences *l);
/* repair: NULL when no single operation mends it; copied. */
void differ(Differences *l, const NlOp *repair, const char *format, ...)
                __attribute__((format(printf, 3, 4)));

/* Sorts by interface, so that thousands of links can be looked up; once, after the dump. */
void compare_index(NlDump *d);
/* In an indexed dump; NULL: not there. */
const NlLink *compare_find_link(const NlDump *d, const char *name);

/* mac NULL, mtu 0: any. Returns false when the link is missing, which makes further questions idle. */
bool compare_link(const NlLink *l, const char *name, const char *where, const MacAddr *mac,
                  uint32_t mtu, Differences *ret);
void compare_address(const NlDump *d, uint32_t ifindex, const InPrefix *want, const char *ifname,
                     const char *where, const NlOp *repair, Differences *ret);
/* Addresses, routes and neighbour entries among the ops, all of one interface. */
void compare_ops(const NlOp *ops, size_t n, const NlDump *d, uint32_t ifindex, const char *ifname,
                 const char *where, Differences *ret);

#define WHERE_HOST    "the host's netns"
#define WHERE_SANDBOX "the sandbox"

/* The sandbox's side; a dump of POD_DUMP. */
#define POD_DUMP                                                                                   \
        (NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_NEIGHS | NL_DUMP_ALL_TABLES |    \
         NL_DUMP_RULES)
void compare_pod(const AttachmentSpec *s, const Plan *p, const NlDump *d, Differences *ret);
/* A port against its bridge (NULL: missing). A port of no bridge is mended once the bridge is there. */
void compare_port(const AttachmentSpec *s, const NlLink *port, const NlLink *bridge,
                  Differences *ret);
/* The host's side but for the bridge itself. */
void compare_host(const AttachmentSpec *s, const Plan *p, const NlDump *d, Differences *ret);
