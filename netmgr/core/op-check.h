/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between op-check.c (one interface) and check-members.c (all that came with it). */

#include "core/operation.h"

/* CHECK of one interface. Takes over what *q owns. member: netmgrd asks by itself, so that there is no caller whose
 * own namespace would have to be ours. */
void check_one(Manager *m, Request *q, bool member, RequestDone done, void *userdata);
