/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What answers of DHCP servers do to attachments that are up: kernel first, then ledger and rule tables. */

#include "core/dhcp.h"

/* Of a renewal, or a new one after the last had run out. Times are written; what else changed is applied. */
void dhcp_take_lease(DhcpBinding *b, const DhcpLease *l, uint32_t age_ms);
/* Addresses off, interface down; then the lease is asked for anew. reason: copied. */
void dhcp_end_lease(DhcpBinding *b, const char *reason);
/* The interface of a lease that is over was raised in vain. */
void dhcp_lower_again(DhcpBinding *b);

/* Ends what dhcp_give_back() waits for. */
void dhcp_give_back_stop(Manager *m);
