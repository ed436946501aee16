/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The directory in which the reference plugin host-local keeps what it has given out: DATADIR/NETWORK with
 *
 *   ADDRESS              a file per address, content "CONTAINERID\r\nIFNAME", or of old versions
 *                        "CONTAINERID"; empty after a crash
 *   last_reserved_ip.N   the address that range set N gave out last
 *   lock                 flock() while the directory is read or changed
 *
 * netmgr's plugin, which may enter it, reads it into one JSON object for netmgrd; this is the one place that
 * knows both formats:
 *
 *   {"before": S, "stamp": S, "addresses": [{"address": …, "id": …, "ifname": …}],
 *    "last": [{"address": …, "set": N}]}
 *
 * A stamp is the directory's time of change in nanoseconds: one that netmgrd does not know means that
 * somebody else has been there. "before" is that of the moment before what the plugin did itself.
 */

#include "base/error.h"
#include "base/inaddr.h"

#define HOST_LOCAL_DIR_DEFAULT "/var/lib/cni/networks"
#define HOST_LOCAL_LOCK        "lock"
#define HOST_LOCAL_LAST        "last_reserved_ip."

typedef struct HostLocalEntry {
        InAddr address;
        /* owned, valid; "": unknown. ifname "" with an id: an old file, for every interface of it */
        char *id, *ifname;
} HostLocalEntry;

typedef struct HostLocalLast {
        InAddr address;
        uint32_t set;
} HostLocalLast;

typedef struct HostLocalList {
        uint64_t before, stamp;
        HostLocalEntry *entries; /* owned */
        size_t n_entries;
        HostLocalLast *last; /* owned */
        size_t n_last;
} HostLocalList;

void host_local_list_clear(HostLocalList *l);
#define _cleanup_host_local_list_ _cleanup_(host_local_list_clear)

/* One file of the directory, by its name; others than the two sorts are passed over. -E2BIG: there are
 * more than HOST_LOCAL_ENTRIES_MAX. */
int host_local_list_add(HostLocalList *l, const char *name, const char *content, size_t size);
/* The owner in a file: both texts as host_local_list_add() understands them. */
int host_local_read_owner(const char *content, size_t size, char **ret_id, char **ret_ifname);

/* Owned by caller; -ENOMEM. */
int host_local_list_format(const HostLocalList *l, char **ret);
int host_local_list_parse(const char *text, size_t size, HostLocalList *ret, Error *e);
