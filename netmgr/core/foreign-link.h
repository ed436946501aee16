/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What netmgrd knows of an interface that a plugin of others has made: its attachment of kind foreign, the
 * addresses that a result gives it, and what the kernel shows of it. For plugins of ours that are chained to
 * it (chain-foreign.c) and for plugins of others that netmgrd itself has run (op-foreign.c).
 */

#include "core/operation.h"
#include "core/workers.h"

/* What was found of an interface that others have made; of the sandbox's side, and of the host's. */
typedef struct ForeignLink {
        bool there; /* false: a device that user space drives, or none yet */
        MacAddr mac, host_mac;
        uint32_t mtu;
        char host_ifname[IF_NAMESIZE], bridge[IF_NAMESIZE]; /* "": none */
} ForeignLink;

/* Sandbox (where it is new) and attachment, on that network. CNI_ARGS are read as far as they can be: they are
 * not ours to judge. */
int foreign_attachment_new(Manager *m, Network *n, const Request *q, Attachment **ret, Error *e);
/* In place of those that it had: the addresses of a result (in the form of `version`) that are the
 * interface's. */
int foreign_take_addresses(AttachmentSpec *s, json_object *result, const char *version, Error *e);

/* On a worker. Device, inode and witness of the request's namespace; the cookie is the socket's. */
int foreign_identify(const Request *q, NetnsIdentity *ret, Error *e);
/* On a worker. That there is no such interface is no failure: ret->there tells. */
int foreign_find_link(NlSocket *pod, NlSocket *host, const char *ifname, ForeignLink *ret,
                      Error *e);
void foreign_take_link(AttachmentSpec *s, const ForeignLink *f);
