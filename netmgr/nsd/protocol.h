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
        _NSD_OP_MAX,
} NsdOp;

typedef struct NsdRequest {
        uint32_t magic;
        uint32_t op;
        char name[NSD_NAME_MAX]; /* NUL-padded to the end; "" unless NSD_OPEN_SYSCTL */
} NsdRequest;

typedef struct NsdReply {
        uint32_t magic;
        int32_t error; /* 0, or a negative errno and no descriptor */
} NsdReply;

/*
 * 0 when the packet is a well-formed request, else -EBADMSG: size, magic, op, the name's padding,
 * its characters ([A-Za-z0-9_.-] between single slashes, no "." or ".." component) and its presence.
 */
int nsd_request_validate(const void *packet, size_t size, NsdRequest *ret);

/* Fills a request; -EINVAL for a name that nsd would refuse. */
int nsd_request_init(NsdRequest *q, NsdOp op, const char *name);
