/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The link that some networks have beside their bridge, and that goes with them: the way to the other
 * nodes (kind vxlan), or the gateway of a VLAN on a bridge ("BRIDGE.VLAN", as the reference plugin names
 * it), which cannot be the bridge itself, since that is in no VLAN.
 */

#include "core/network.h"
#include "core/workers.h"

/* What has the gateway addresses of a bridge network whose ports are in a VLAN. */
void vlan_gateway_name(const char *bridge, uint16_t vlan, char ret[static 16]);
/* "": the network has none. */
void network_extra_name(const Network *n, char ret[static 16]);
/* Another network has the same one. */
bool network_extra_is_shared(const Network *n, const char *name);

/* On a worker; copies of what the network is. */
typedef struct ExtraLink {
        NetKind kind;
        NetLinkConf link;
        char name[16];
        uint32_t bridge_ifindex, mtu, group;
} ExtraLink;

/* Makes it when it is not there, as a port of the bridge, up. *ret_ifindex: of the link itself. */
int extra_link_ensure(const ExtraLink *x, WorkerContext *w, uint32_t *ret_ifindex, Error *e);
/* What a sandbox may send at once when all of it is wrapped up once more; 0: no limit. */
int extra_link_mtu(const ExtraLink *x, WorkerContext *w, uint32_t *ret, Error *e);
