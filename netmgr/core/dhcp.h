/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The leases of attachments whose addresses come from DHCP servers. netmgrd keeps them, in the table
 * `lease`: netmgr-dhcp only speaks with the servers. Each lease has a timer; when it is due, a worker
 * opens a packet socket in the sandbox, which lives as long as the exchange does: nothing pins a
 * sandbox's namespace in between.
 *
 *   T1       RENEW, unicast to the server that gave it
 *   T2       REBIND, broadcast
 *   its end  addresses and routes off, interface down; from then on ACQUIRE, until there is a lease again
 *
 * What survives a crash: the rows. The times go on where they were; a lease whose time has passed
 * meanwhile is rebound first.
 */

#include "core/attachment.h"
#include "core/dhcp-call.h"
#include "core/dhcp-spec.h"

typedef struct DhcpBinding DhcpBinding;

/* Makes a->dhcp of a row, which it takes over. The timer starts with dhcp_binding_start(). */
int dhcp_binding_new(Attachment *a, LeaseRow *row);
/* Ends what is under way for it. Accepts NULL. */
DhcpBinding *dhcp_binding_free(DhcpBinding *b);
DEFINE_CLEANUP(DhcpBinding *, dhcp_binding_free)
void dhcp_binding_start(DhcpBinding *b);
/* For people: server, times. */
const LeaseRow *dhcp_binding_row(const DhcpBinding *b);

/* Loading: of an attachment that is not there any more, nothing is made. */
int dhcp_load_lease(Manager *m, LeaseRow *row, Error *e);
/* Once threads and loop are there: starts all that were loaded. */
void dhcp_start(Manager *m);
/* Before the threads end: what waits for a DHCP server is told that nobody will answer. */
void dhcp_stop(Manager *m);

/*
 * Gives the lease back to its server, as far as that is possible at once; the binding is gone then. True:
 * `done` is called, from the loop, after DHCP_GIVE_BACK_MS at the latest. netns_fd, which may be -EBADF,
 * stays the caller's.
 */
bool dhcp_give_back(Attachment *a, int netns_fd, void (*done)(void *userdata), void *userdata);

/* The pool's hold on the lease's address, for the attachment; -EEXIST with a sentence when another one has
 * it. */
int dhcp_hold_address(Attachment *a, const InPrefix *address, Lease **ret, Error *e);
AddressRow dhcp_address_row(const Attachment *a, const SpecAddress *address);

/* On a worker. Addresses, routes and state of the interface as `to` has them, given that they were as
 * `from` (NULL: nothing) has them. */
int dhcp_apply(NlSocket *pod, const AttachmentSpec *from, const AttachmentSpec *to, Error *e);
/* A packet socket in the sandbox for its interface, raised before when `raise` is set. */
int dhcp_open_link(WorkerContext *w, int netns_fd, NlSocket *pod, const char *ifname, bool raise,
                   DhcpRequest *q, int *ret_packet, Error *e);
