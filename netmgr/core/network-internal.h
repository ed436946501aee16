/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between network.c (the object), network-ensure.c (its kernel side) and network-files.c. */

#include "core/network.h"
#include "core/spec.h"

/* Starts looking at (and making) what the network needs in the kernel; ends in
 * network_ensured(). The network is ENSURING meanwhile. */
int network_ensure_start(Network *n, Error *e);
void network_ensured(Network *n, int r, const Error *e);

/* Another network is being removed, and the bridge with it: not before that has ended is there anything to see. */
bool network_bridge_goes(const Network *n);

/* Writes or deletes the network's row; `stored` (may be NULL) hears of the outcome on the loop,
 * network_unstored() of a deletion's. */
int network_store(Network *n, NetworkStored stored, void *userdata);
int network_unstore(Manager *m, const char *name, bool forget_cursors);
void network_unstored(Network *n, int r, const Error *e);

/* A changed configuration holds for living attachments too, as far as the rule tables go. */
void network_reenforce(Network *n);

/* The host forwards what families the attachment has: for addresses that no range of the network told of. On a
 * worker. */
int network_enable_forwarding(WorkerContext *w, const AttachmentSpec *s, Error *e);

/* True when the host routes to the network's addresses. */
bool network_is_host_routed(const NetConf *c);
/* They are out of the one pool of the host: no other network may give them out. */
bool network_shares_host_pool(const NetConf *c);
