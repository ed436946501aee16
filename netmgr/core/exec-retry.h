/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is left of an attachment for a plugin of others to be told (Attachment.delegate_pending) is tried again
 * by netmgrd itself, through netmgr-exec: as soon as that listens, and else with a delay that doubles for each
 * attachment. A runtime that comes meanwhile does the same, whoever is first.
 *
 * Nothing survives a crash but the row, `releasing`: the start tries each again, and the delays begin anew.
 */

#include "core/attachment.h"

int exec_retry_new(Manager *m);
void exec_retry_free(Manager *m);
/* It waits, perhaps once more. */
void exec_retry_add(Attachment *a);
/* One waits no more: when it was the last, netmgr-exec is not needed. */
void exec_retry_ended(Manager *m);
