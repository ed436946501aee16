/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What of the rule tables concerns the node as a whole: start, node addresses, other firewalls. */

#include "core/compare.h"
#include "core/manager.h"

/* Opens the socket, tells the kernel what the ledger says, finds out what the kernel can. Before the
 * threads start; *ret goes to the committer. */
int manager_start_firewall(Manager *m, Firewall **ret, Error *e);

/* Watches what others do to nftables: repairs our tables, reports chains that drop sandboxes' traffic. With
 * the threads. */
int manager_watch_firewalls(Manager *m, Error *e);
void manager_unwatch_firewalls(Manager *m);

/* Builds them anew from what the ledger says, in one transaction. */
typedef void (*TablesRebuilt)(int r, const Error *e, void *userdata);
void manager_rebuild_tables(Manager *m, TablesRebuilt done, void *userdata);
/* What of them is not as it should be; `found` may be emptied by taking it. -ENOMEM: not called. */
typedef void (*TablesCompared)(int r, const Error *e, Differences *found, void *userdata);
int manager_compare_tables(Manager *m, TablesCompared done, void *userdata);
