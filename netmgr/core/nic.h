/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An interface of the host that has been lent to a sandbox (kind host-device). What it was before is in
 * the attachment's row before it is touched, so that it comes back as it was: name, MAC, MTU, alias, queue
 * length, flags and addresses, also when the sandbox or netmgrd ended in between.
 *
 * It is known by its permanent address or by the device behind it, never by its name: that of a NIC whose
 * namespace has died is whatever was free. A stand-in that has neither (a veth, a VLAN) is known by its kind,
 * the MAC addresses that it had or got, and the names that it has on either side.
 */

#include "core/spec.h"
#include "core/workers.h"

#define NIC_ADDRESSES_MAX 64

struct NicState { /* typedef in spec.h */
        char name[16], kind[16];
        MacAddr perm_mac; /* zero: it has none */
        char parent_bus[32], parent_name[32];
        MacAddr mac;
        uint32_t mtu, txqlen;
        bool up, promisc, allmulti;
        char *alias;         /* owned; NULL: none */
        InPrefix *addresses; /* owned; those with a scope beyond the link */
        size_t n_addresses;
};

NicState *nic_state_free(NicState *n); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NicState *, nic_state_free)
NicState *nic_state_copy(const NicState *n); /* NULL: out of memory */
json_object *nic_state_to_json(const NicState *n);
/* A JsonReader; the target is AttachmentSpec.nic. */
int nic_state_read(json_object *value, const char *path, void *target, Error *e);

/* It has a permanent address or a device behind it. */
bool nic_state_has_identity(const NicState *n);
/* Both are the same device, as it was on the host. */
bool nic_state_is_same(const NicState *a, const NicState *b);
/* "nmd" + id in hex: what it is called between sandbox and host. */
void nic_way_name(uint64_t id, char ret[static IF_NAMESIZE]);

/* On a worker: the one link of the host that the configuration means, with all that it is now.
 * `keep`: names that are never lent (NULL-terminated patterns of fnmatch(), or NULL). *ret is NULL when a
 * driver of user space has the device, so that there is no link to move. */
int nic_find(WorkerContext *w, const NetDevice *device, char *const *keep, NicState **ret,
             Error *e);

/* The link that has the MAC address, and not from another link below it; of several (a bond and its parts)
 * the oldest. -ENODEV. */
int nic_find_by_mac(NlSocket *s, const MacAddr *mac, NlLink *ret);

/* Moves it into the sandbox under the name of the specification. */
int nic_lend(WorkerContext *w, const AttachmentSpec *s, int netns_fd, NlSocket *pod,
             uint32_t *ret_ifindex, Error *e);

/* Brings it back and makes it what it was. pod: NULL when the sandbox cannot be reached, which is no error:
 * then it is looked for on the host, where the kernel puts it (a stand-in has gone with its sandbox). Does
 * nothing when it is home and as it was. */
int nic_return(WorkerContext *w, const AttachmentSpec *s, NlSocket *pod, Error *e);
