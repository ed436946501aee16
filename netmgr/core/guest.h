/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * IPAM of ours below plugins of others: one that netmgrd has had run for an interface (delegate.h) calls
 * host-local or static of ours in its turn. That call comes while the attachment is busy with the operation
 * that waits for the plugin, so it may not wait for that; it hangs its addresses on the attachment, and answers.
 *
 * In the ledger the addresses are the attachment's from then on, whatever becomes of the plugin: they end with it,
 * or when the plugin gives them back.
 */

#include "core/op-add.h"

/* A call of that type for the interface comes out of the plugin that is run for it. */
bool guest_is_of(const Attachment *host, const char *type);

/* The rest of the ADD. */
void guest_add(AddOp *op, Attachment *host);
/* Instead of the row and all that follows: what was decided is written and answered. */
void guest_commit(AddOp *op);
/* Nothing of it was written: the addresses are free again. */
void guest_drop(AddOp *op);
struct Guest *guest_free(struct Guest *g); /* accepts NULL, returns NULL */

/* DEL: the attachment's addresses are given back, and it lasts; of one that ends they end with it. */
void guest_give_back(Attachment *host, ReleaseDone done, void *userdata);
