/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What others have written down of a node's sandboxes, so that netmgr can end what they have begun:
 *
 *   RESULTS/NETWORK-CONTAINERID-IFNAME   libcni's cache, one file per interface: {"kind": "cniCacheV1",
 *                                        "containerId", "ifName", "networkName", "config": base64 of the list,
 *                                        "cniArgs": [[K, V]], "capabilityArgs", "result", "netns" of newer ones}
 *   MULTUS/CONTAINERID                   Multus' list of what it has delegated, in its order: [{"Name":
 *                                        "NAMESPACE/NAME", "ifnameRequest", "Bytes": base64 of the configuration}]
 *   IPPool, OverlappingRangeIPReservation, and Lists of them: whereabouts' objects, as kubectl dumps them
 *
 * netmgrctl reads the files, as root, and sends their bytes; netmgrd parses them, here. All of it is hostile:
 * these are pure functions of the text.
 */

#include "base/error.h"
#include "base/inaddr.h"
#include "base/json.h"

/* One plugin of the list, with what libcni would send it for DEL. */
typedef struct ImportPlugin {
        char *type;   /* name of its program; owned */
        char *config; /* its stdin; owned */
} ImportPlugin;

typedef enum ImportRole {
        IMPORT_INTERFACE,
        IMPORT_LOOPBACK, /* lo, which holds nothing and ends with its namespace */
        IMPORT_MULTIPLEXER, /* what a runtime remembers of Multus itself: the interfaces are elsewhere */
        IMPORT_OWN,         /* made by netmgr */
} ImportRole;

/* One interface of one sandbox. Strings are owned. */
typedef struct ImportAttachment {
        ImportRole role;
        char *container_id, *ifname;
        char *network;   /* CNI name */
        char *file;      /* where it was found */
        char *reference; /* "NAMESPACE/NAME" of its manifest, NULL: by its CNI name */
        char *netns;     /* NULL: nothing tells */
        char *args;      /* CNI_ARGS */
        char *config;    /* exact bytes of the list */
        char *version;   /* cniVersion of the list */
        char *result;    /* of version 1.1.0; NULL: none was kept */
        MacAddr mac;     /* zero: not told */
        InPrefix *addresses;
        size_t n_addresses;
        ImportPlugin *plugins; /* in the order of ADD */
        size_t n_plugins;
        unsigned position;     /* among the sandbox's; 0: the default network */
        bool secondary;        /* it goes with the default one */
        uint64_t written_usec; /* CLOCK_REALTIME, when the file was; 0: not told */
} ImportAttachment;
void import_attachment_clear(ImportAttachment *a);

/* One file of libcni's cache. ERROR_DECODE, ERROR_INVALID_ARGUMENT, ERROR_INCOMPATIBLE_VERSION. */
int import_cache_parse(const char *text, size_t size, const char *file, ImportAttachment *ret,
                       Error *e);
/* What only a list of plugins tells: fills in network, config and plugins. network NULL: the list's own name. */
int import_config_parse(const char *config, size_t size, const char *network,
                        json_object *capability_args, json_object *result, ImportAttachment *ret,
                        Error *e);

/* One sandbox. */
typedef struct ImportPod {
        char *container_id;   /* owned */
        char *default_ifname; /* of those whose role is INTERFACE; owned */
        ImportAttachment *
                        list; /* owned; the default network first, in the order of their positions */
        size_t n;
} ImportPod;
void import_pod_clear(ImportPod *p);

/*
 * What netmgrctl has read for one sandbox:
 *   {"container": ID, "results": [{"file": PATH, "text": …, "written": USEC}],
 *    "delegates": {"file": PATH, "text": …}}            (delegates may be absent)
 * One piece that cannot be read is an error of the whole: a sandbox is taken over or not.
 */
int import_pod_parse(const char *text, size_t size, ImportPod *ret, Error *e);

/* --- addresses ------------------------------------------------------------------------------------- */

typedef struct ImportAddress {
        InAddr address;
        uint8_t prefix_length;
        char *id, *ifname; /* owned; "": unknown */
} ImportAddress;

typedef struct ImportPool {
        char *name; /* owned */
        ImportAddress *addresses;
        size_t n;
} ImportPool;

typedef struct ImportPools {
        ImportPool *pools; /* owned */
        size_t n;
} ImportPools;
void import_pools_clear(ImportPools *p);
/* Objects of whereabouts, of at most IMPORT_SIZE_MAX bytes. Single reservations are in one pool, "overlapping". */
int import_pools_parse(const char *text, size_t size, ImportPools *ret, Error *e);
/* For the readers of pools: one more address. -ENOMEM. */
int import_pool_add(ImportPool *p, const InPrefix *address, const char *id, const char *ifname);
