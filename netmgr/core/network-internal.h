/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between network.c (the object), network-ensure.c (its kernel side) and network-files.c. */

#include "core/network.h"

/* Starts looking at (and making) what the network needs in the kernel; ends in
 * network_ensured(). The network is ENSURING meanwhile. */
int network_ensure_start(Network *n, Error *e);
void network_ensured(Network *n, int r, const Error *e);

/* Writes or deletes the network's row; `stored` (may be NULL) hears of the outcome on the loop. */
typedef void (*NetworkStored)(int r, const Error *e, void *userdata);
int network_store(Network *n, NetworkStored stored, void *userdata);
/* Deletes the row, with n->removal; not before it is done is it given up. */
void network_unstore(Network *n, bool forget_cursors);
int network_removal_new(Network *n);
void network_removal_free(Network *n);

/* A changed configuration holds for living attachments too, as far as the rule tables go. */
void network_reenforce(Network *n);

/* True when the host routes the network's addresses: they share the pool of the host. */
bool network_is_host_routed(const NetConf *c);
