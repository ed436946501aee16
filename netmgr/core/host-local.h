/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Addresses that the reference plugin host-local has given out on this node: they are held like our own, in
 * the network's pool, by a container ID and an interface, but by no attachment ("reservations"), so that
 * nobody gets one twice when a node moves over while its pods live. The caller's plugin reads and changes
 * host-local's directory (cri/host-local.h); a stamp that is not the one of our last look, which the ledger
 * has, means that somebody else was there, and it is read anew.
 */

#include "core/conversation.h"
#include "core/network.h"
#include "cri/host-local.h"
#include "store/store.h"

typedef void (*HostLocalDone)(int r, const Error *e, void *userdata);

typedef struct HostLocalOwner {
        char *container_id, *ifname; /* borrowed until the call returns */
} HostLocalOwner;

int host_local_load(Manager *m, ImportRow *row);
void host_local_free(Manager *m);

/* The network's addresses come from a host-local whose directory is to be looked at. */
bool network_is_host_local(const NetConf *c);
/* Its directory is not as we know it. stamp: as the caller saw it, 0: there is none. */
bool host_local_is_new(const Network *n, uint64_t stamp);

/* Takes over what is in the directory, and lets go of what is not there any more. `done` is called once, possibly
 * before the return, as with the following two. */
void host_local_import(Network *n, Conversation *talk, HostLocalDone done, void *userdata);
/* The same with a list that is here already. */
void host_local_take(Network *n, const HostLocalList *l, HostLocalDone done, void *userdata);
/* Puts the addresses into the directory, as the caller's. */
void host_local_write(Network *n, Conversation *talk, const TicketAddress *addresses,
                      size_t n_addresses, HostLocalDone done, void *userdata);
/* Gives back what the owners have, in the directory (talk NULL: only here) and here. */
void host_local_release(Manager *m, const char *network, Conversation *talk,
                        const HostLocalOwner *owners, size_t n_owners, HostLocalDone done,
                        void *userdata);

/* False for the plugins of a chain, which are called as well, but whose configuration does not name the
 * directory: what they released here would stay there. type: the Type of a request. */
bool host_local_concerns(const char *type);

/* Reservations of that network: whether the owner has some, and a visit of all. */
bool host_local_has(const Manager *m, const char *network, const char *container_id,
                    const char *ifname);
void host_local_visit(const Manager *m, const char *network, IpamVisit visit, void *userdata);
