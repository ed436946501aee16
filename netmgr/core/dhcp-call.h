/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One question to netmgr-dhcp, on the loop: nothing waits for it. The packet socket that goes with it is
 * netmgr-dhcp's from then on, and closed with the exchange; ending the call ends that.
 */

#include "core/manager.h"
#include "dhcp/protocol.h"

typedef struct DhcpCall DhcpCall;

/* Once, on the loop, unless the call was ended. r < 0 with a sentence: netmgr-dhcp could not be asked, or the
 * call was abandoned; else its answer, whatever it says. */
typedef void (*DhcpAnswered)(int r, const DhcpAnswer *answer, const Error *e, void *userdata);

/* Takes the descriptor, also on failure. `done` is never called before this has returned. */
int dhcp_call_new(Manager *m, const DhcpRequest *q, int packet_fd, DhcpAnswered done,
                  void *userdata, DhcpCall **ret, Error *e);
/* Without a `done`. Accepts NULL. */
DhcpCall *dhcp_call_free(DhcpCall *c);
DEFINE_CLEANUP(DhcpCall *, dhcp_call_free)
/* Whether netmgr-dhcp listens: ERROR_NOT_READY. Health follows. */
int dhcp_call_probe(Manager *m, Error *e);
/* `done` comes soon, with "try again". */
void dhcp_call_abandon(DhcpCall *c);
