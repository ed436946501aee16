/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The link that some networks have beside their bridge, and that goes with them: the way to the other
 * nodes (kind vxlan), or the gateway of a VLAN on a bridge ("BRIDGE.VLAN", as the reference plugin names
 * it), which cannot be the bridge itself, since that is in no VLAN.
 */

#include "core/network.h"
#include "core/spec.h"
#include "core/workers.h"

/* "": the network has none. */
void network_extra_name(const Network *n, char ret[static 16]);
/* That of the configuration that the attachment was made by. */
void attachment_extra_name(const AttachmentSpec *s, char ret[static 16]);
/* What to delete for it to be gone; of a pair, the end that nobody else would make. */
void network_extra_reap_name(const Network *n, char ret[static 16]);
/* Another network has the same one, or somebody lives behind it. */
bool network_extra_is_shared(const Network *n, const char *name);
/* One that no network has any more: its configuration has changed, or a crash came in between. */
bool network_extra_is_stray(const Manager *m, const NlLink *l);
/* The attachment goes; the one that it used may be such a stray then. */
void network_extra_left(const Attachment *a);

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
