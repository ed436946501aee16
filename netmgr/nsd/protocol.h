/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The protocol between netmgrd and netmgr-nsd: one SOCK_SEQPACKET packet each way, fixed size, with
 * one descriptor attached. A request carries the netns; the answer carries what was opened there.
 * One request at a time per connection.
 */

#include "base/macro.h"

#define NSD_MAGIC    0x4e4d4e31U /* "NMN1" */
#define NSD_NAME_MAX 128U

typedef enum NsdOp {
        NSD_OPEN_ROUTE = 1, /* AF_NETLINK, NETLINK_ROUTE */
        NSD_OPEN_NETFILTER, /* AF_NETLINK, NETLINK_NETFILTER */
        NSD_OPEN_PACKET,    /* AF_PACKET, SOCK_RAW, protocol 0: receives nothing until bound */
        NSD_OPEN_SYSCTL,    /* `name` below /proc/sys/net, opened O_RDWR beneath it, no links */
        NSD_OPEN_TAP, /* a new TAP interface: NsdTap. It ends with the descriptor unless made to last */
        _NSD_OP_MAX,
} NsdOp;

/* Of NSD_OPEN_TAP; 0 in all other requests. */
typedef enum NsdTapFlags {
        NSD_TAP_MULTI_QUEUE = 1 << 0,
        NSD_TAP_VNET_HDR = 1 << 1, /* packets carry struct virtio_net_hdr */
        _NSD_TAP_ALL = NSD_TAP_MULTI_QUEUE | NSD_TAP_VNET_HDR,
} NsdTapFlags;

typedef struct NsdRequest {
        uint32_t magic;
        uint32_t op;
        char name[NSD_NAME_MAX]; /* NUL-padded to the end; "" unless NSD_OPEN_SYSCTL, NSD_OPEN_TAP */
        uint32_t flags;          /* NsdTapFlags */
        uint32_t owner, group;   /* who may attach to the TAP; UINT32_MAX: not restricted */
        char context[NSD_NAME_MAX]; /* SELinux context of the TAP, padded likewise; "": nsd's own */
} NsdRequest;

typedef struct NsdReply {
        uint32_t magic;
        int32_t error; /* 0, or a negative errno and no descriptor */
} NsdReply;

typedef struct NsdTap {
        const char *name; /* of the interface */
        NsdTapFlags flags;
        uint32_t owner, group; /* UINT32_MAX: not restricted */
        const char *context;   /* NULL: nsd's own */
} NsdTap;

/*
 * 0 when the packet is a well-formed request, else -EBADMSG: size, magic, op, the name's padding,
 * its characters ([A-Za-z0-9_.-] between single slashes, no "." or ".." component; for a TAP those of
 * an interface name) and its presence; what the op has no use for is 0.
 */
int nsd_request_validate(const void *packet, size_t size, NsdRequest *ret);

/* Fills a request; -EINVAL for a name that nsd would refuse. */
int nsd_request_init(NsdRequest *q, NsdOp op, const char *name);
int nsd_request_init_tap(NsdRequest *q, const NsdTap *tap);
