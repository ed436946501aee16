/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * After a ledger was lost (set aside as damaged, or deleted): sandboxes that live on in the kernel without
 * rows, found by their host ends, whose ids are above all that the ledger ever gave out. They are left
 * alone until they end: nobody else gets their ids and addresses, and the rule tables go on letting them
 * through. Their host ports, limits and names are lost; a new ADD brings them back.
 *
 * The ledger keeps the highest id of such links, so that the next start knows them too.
 */

#include "core/manager.h"
#include "policy/firewall.h"
#include "store/store.h"

/* Before the rule tables are built and the threads start. */
int rebuild_find(Manager *m, Store *store, Error *e);
/* Puts what the tables shall say of them. */
int rebuild_enforce(Manager *m, Firewall *f);
/* An interface that is not to be taken for a stray: a host end without a row, its shaping interface, a
 * bridge with such a port. */
bool rebuild_knows(const Manager *m, const char *name);
/* A host end is gone: its addresses begin to rest. */
void rebuild_link_gone(Manager *m, const char *name);
void rebuild_free(Manager *m);
