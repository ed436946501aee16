/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Elements that several attachments (and networks) may have in common: keys that are an address or a
 * bridge alone, where two networks may use the same subnet and somebody else's bridge belongs to no
 * network. The set of the kernel has such an element once; here is how many want it, so that it goes with
 * the last of them.
 *
 * Follows the transactions of the model (firewall.c), whose changes pass through here before they become
 * messages. Nothing survives: a sync counts anew.
 */

#include "policy/element-message.h"

typedef struct SharedElements SharedElements;

int shared_elements_new(SharedElements **ret);
SharedElements *shared_elements_free(SharedElements *s); /* accepts NULL, returns NULL */

/*
 * Takes out of the lists what does not change in the kernel; what changes is in them once. What was
 * prepared before and not committed is forgotten. from_nothing: the tables are built anew, and `added` is
 * everything that they shall hold. -ENOMEM.
 */
int shared_elements_prepare(SharedElements *s, bool from_nothing, ChangeList *gone,
                            ChangeList *added);
/* The transaction is in. -ENOMEM: the count is not to be trusted until a sync. */
int shared_elements_commit(SharedElements *s);
