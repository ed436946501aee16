/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One exchange with the DHCP servers of a sandbox's link (RFC 2131, figure 5), from the request of
 * netmgrd to its answer, on an event loop. It owns the connection and the packet socket, and neither
 * lives longer than it.
 */

#include <systemd/sd-event.h>

#include "base/list.h"
#include "dhcp/protocol.h"

typedef struct Exchange Exchange;

/* Called once at the end, whatever way it ended; frees nothing itself. */
typedef void (*ExchangeEnded)(void *userdata);

/*
 * Waits for the request on a connection that was just accepted, and serves it. Takes the connection also
 * on failure. *all: the list that holds it until it ends.
 */
int exchange_new(sd_event *event, int connection, List *all, ExchangeEnded ended, void *userdata);
/* Ends all of a list, without answers. */
void exchanges_free(List *all);
