/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What host ports and limits change at the host's links towards a sandbox while it lives, whoever made
 * those links. For workers: values only.
 *
 * Each step may be repeated. After a crash the row says what should be, and reconcile brings it there.
 */

#include "core/spec.h"
#include "core/workers.h"

typedef struct HostEnd {
        char ifname[IF_NAMESIZE]; /* the host's end; "": none */
        char way_in[IF_NAMESIZE]; /* that the host routes by: the same, or the bridge */
        char ifb[IF_NAMESIZE];
        bool port;    /* of a bridge of ours: it has to send frames back */
        bool foreign; /* somebody else's: what others have set there stays */
} HostEnd;
void host_end_of(const AttachmentSpec *s, HostEnd *ret);

/* 127.0.0.1 as a source, and the way back to its own port. A bridge keeps the former: others may need it. */
int host_end_open_ports(NlSocket *host, const HostEnd *h, bool open, Error *e);

/* From one pair of rates to another. renew: whatever the kernel has, which may be another than `from`. */
int host_end_shape(NlSocket *host, const HostEnd *h, const NetBandwidth *from,
                   const NetBandwidth *to, bool renew, Error *e);

/* The end of a foreign attachment: the limits go, and route_localnet when it was ours to set. What is not
 * there any more is no error. */
int host_end_restore(NlSocket *host, const HostEnd *h, bool limits, bool localnet, Error *e);

/* Of a link of the host; false also when that cannot be told. */
bool host_link_has_localnet(const char *ifname);
