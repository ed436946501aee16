/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What this kernel and this build can do, looked at once at start: Manager.Features, and what is missing
 * with its reason: Manager.FeaturesMissing. */

#include "core/manager.h"

/* Replaces what was found before. -ENOMEM; a kernel that does not answer has less. */
int manager_find_features(Manager *m);
void manager_forget_features(Manager *m);

/* Why interfaces of the kind cannot be made here ("this kernel has no ipvlan (CONFIG_IPVLAN)"), or NULL. */
const char *manager_lacks_kind(const Manager *m, NetKind kind);
/* The same of VLANs on a bridge's ports, and of VRFs. */
const char *manager_lacks_vlan_filtering(const Manager *m);
const char *manager_lacks_vrf(const Manager *m);
