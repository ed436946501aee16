/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One network out of a group ("anyOf"), for one attachment: by what netmgrd holds in memory at that moment. A member
 * that is not there, or that has no free address, is passed over.
 */

#include "core/network.h"

/*
 * group: its configuration, inline or of a network. ret_reason: which, and the numbers of all members; owned by
 * caller. ERROR_NO_SUCH_NETWORK: none of them is there; ERROR_RANGE_EXHAUSTED: none has a free address;
 * ERROR_INVALID_ARGUMENT: a member is a group.
 */
int network_choose(Manager *m, const NetConf *group, Network **ret, char **ret_reason, Error *e);
