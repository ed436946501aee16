/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Forgets connection tracking entries, on a thread of its own: a full table takes most of a second to
 * walk, and nobody has to wait for it. What gathers meanwhile is done in one pass.
 *
 * Nothing survives a crash: an entry that was not forgotten ends by its timeout.
 */

#include "base/inaddr.h"

typedef struct Flows Flows;

int flows_new(Flows **ret);
Flows *flows_free(Flows *f); /* accepts NULL, returns NULL; what still waits is dropped */
DEFINE_CLEANUP(Flows *, flows_free)

/* Every flow from or to the address. */
void flows_forget_address(Flows *f, const InAddr *address);
/* Every flow towards the host's port, whether it was mapped or not. */
void flows_forget_port(Flows *f, uint8_t protocol, uint16_t port, const InAddr *host);
