/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Between DHCP's values and ours: what a server is sent for an attachment, and what its lease makes of
 * the attachment's specification. Pure functions.
 */

#include "core/spec.h"
#include "dhcp/protocol.h"
#include "store/store.h"

/* The options of every message for an attachment: its client id (container/network/interface, unless the
 * network provides one), what the network provides, what it asks for. cni_args: as the runtime said it. */
int dhcp_spec_options(const NetDhcp *conf, const char *cni_args, const char *container_id,
                      const char *network, const char *ifname, DhcpRequest *q, Error *e);

InAddr dhcp_in_addr(uint32_t address);
uint32_t dhcp_from_in_addr(const InAddr *a);

/*
 * Puts the lease's address, gateway and routes into the specification in place of those that it has, its
 * DNS settings where the network has none of its own (own_dns). priority: of the routes, 0: unset.
 */
int dhcp_spec_apply(const DhcpLease *l, uint32_t priority, bool own_dns, AttachmentSpec *s);
/* The lease has run out: no address, no route, the interface is down. */
void dhcp_spec_end(AttachmentSpec *s);
/* Addresses, routes and DNS are the same. */
bool dhcp_spec_equal(const AttachmentSpec *a, const AttachmentSpec *b);

/* The row of a lease that began age_ms ago. provide and wanted of *row stay; -ENOMEM. */
int dhcp_row_update(LeaseRow *row, const DhcpLease *l, uint64_t realtime_usec, uint64_t boot_usec);
int dhcp_row_copy(const LeaseRow *from, LeaseRow *ret);
/* What a message for this row has in common with all others: addresses, servers, options. */
void dhcp_row_request(const LeaseRow *row, DhcpOperation operation, DhcpRequest *q);
