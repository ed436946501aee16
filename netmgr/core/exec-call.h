/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Tasks for netmgr-exec: plugins of others are run by whoever called the operation (conversation.h); where
 * nobody did who could (GC by netmgrd itself, a reboot, a spooled DEL, hot-plug), netmgr-exec does it. One
 * connection per task, at most EXEC_CALLS_MAX at a time, the others wait. Never blocks the loop.
 *
 * Nothing survives a crash: what a task may have done is in the ledger before it is asked for.
 */

#include "core/conversation.h"

/* The caller if he can be asked, else netmgr-exec. False: neither, and `answered` will not be called. The ticket
 * has to be whole (container_id, ifname, netns, args, config): netmgr-exec has no environment of its own. */
bool task_ask(Manager *m, Conversation *talk, Question *q);
/* For the asker: can it be tried? */
bool task_can_be_asked(const Manager *m, const Conversation *talk);
/* The same without a caller. */
bool exec_ask(Manager *m, Question *q);
/* Whether it listens. Health does not follow: nothing was wanted of it. */
bool exec_is_reachable(const Manager *m);

int exec_calls_new(Manager *m);
/* Those under way are answered with -ECANCELED. */
void exec_calls_free(Manager *m);
