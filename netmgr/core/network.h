/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A network: its configuration, its address ranges and, for kind bridge, its bridge.
 *
 * Three sources: a file of networks.d, a D-Bus call, or the CNI configuration itself ("inline").
 * Named networks live until they are removed, inline ones as long as they have attachments. The
 * bridge goes with the network, if it was made by us.
 */

#include "core/manager.h"
#include "cri/netconf.h"
#include "cri/netlist.h"
#include "cri/network-description.h"
#include "store/store.h"

typedef enum NetworkSource {
        NETWORK_FILE,
        NETWORK_CONFIG, /* inline in the CNI configuration */
        NETWORK_DBUS,
        _NETWORK_SOURCE_MAX,
        _NETWORK_SOURCE_INVALID = -EINVAL,
} NetworkSource;
const char *network_source_to_string(NetworkSource source);
NetworkSource network_source_from_string(const char *s);

typedef enum NetworkState {
        NETWORK_IDLE,     /* nothing of it is in the kernel, as far as we know */
        NETWORK_ENSURING, /* a worker looks and creates */
        NETWORK_READY,
        NETWORK_REMOVING, /* the bridge is being deleted */
} NetworkState;

/* Someone who waits until the network is ready, or failed to become so. */
typedef struct NetworkWaiter {
        List list;
        void (*ready)(struct NetworkWaiter *w, int r, const Error *e);
} NetworkWaiter;

/* Hears on the loop of the outcome of a write. */
typedef void (*NetworkStored)(int r, const Error *e, void *userdata);

struct Network {
        Manager *manager;
        char *name;
        NetworkSource source;
        char *config;  /* exact bytes as given */
        NetConf *conf; /* of a list: that of its first plugin; of a foreign one: of kind foreign */
        /* The plugins that make an interface of it, when they are not just one of type netmgr; owned. NULL:
         * an ordinary network. */
        NetList *list;
        char *alias; /* the network that this name stands for (a manifest without configuration); NULL: none */
        char *file; /* of networks.d, where it was found; NULL: in none */
        NetworkState state;

        char bridge[16];     /* kind bridge; else "" */
        bool bridge_created; /* by us */
        MacAddr bridge_mac;
        uint32_t bridge_ifindex, bridge_mtu; /* while READY */
        uint32_t extra_ifindex; /* of what it has beside (network-extra.h); 0: nothing */
        uint32_t mtu;           /* as decided, bytes; 0: not yet */
        InAddr node4, node6;    /* preferred source towards sandboxes, as found while READY */

        /* traffic.h */
        uint64_t traffic_bytes; /* since the last sample */
        uint64_t traffic_rate;  /* bytes per second, smoothed */
        bool traffic_sampled;   /* the rate is one */

        NetConf *portmap; /* of a chained portmap: goes before conf for what host ports do; NULL: none */
        char *portmap_config; /* its text */

        uint32_t group;        /* link group of its interfaces; in the row */
        bool stored;           /* its row is in the ledger, as it is now */
        bool has_row;          /* it, or an earlier configuration: a removal has to delete it */
        NetworkStored dropped; /* who asked for the removal hears of its end; or NULL */
        void *dropped_userdata;
        bool gone; /* removed while attachments last: an inline successor may replace it */
        size_t n_attachments;
        List waiters; /* NetworkWaiter */
};

Network *network_find(const Manager *m, const char *name);

/*
 * Adds or changes a network. The configuration must be valid and must not overlap another network
 * that the host routes. A changed configuration takes effect for new attachments; its kind and
 * bridge may change only while there are none (ERROR_IN_USE).
 */
int network_set(Manager *m, const char *name, NetworkSource source, const char *config,
                NetConf *conf, Network **ret, Error *e);
/* ERROR_IN_USE while it has attachments, ERROR_NO_SUCH_NETWORK. On success `dropped` is called once the
 * network and its bridge are gone or could not be removed, possibly before the return. */
int network_remove(Manager *m, const char *name, NetworkStored dropped, void *userdata, Error *e);
/* A network that could not be stored: as if it had never been added. */
void network_discard(Network *n);
/* After the last attachment of an inline network; and the end of network_remove(). */
void network_release_if_unused(Network *n);
Network *network_free(Network *n);

/* For interfaces that others have made: the network of that name, whatever it is, else a new one. */
int network_find_foreign(Manager *m, const char *name, Network **ret, Error *e);
/* What host ports of the network do from now on; the newest configuration counts. */
int network_set_portmap(Network *n, const char *config, Error *e);

/* The same for a description as people write it, which may be more than a configuration of netmgr. Takes what *d owns on
 * success. */
int network_set_described(Manager *m, NetworkSource source, const char *config, NetDescription *d,
                          Network **ret, Error *e);
/* What an attachment to it would be made from; another hash is another network. */
uint64_t network_hash(const Network *n);
/* "routed", …; "group" and "alias" for what has no interfaces of its own. */
const char *network_kind_name(const Network *n);
/* The network that is meant by that name in a configuration: a named one, or what it stands for. ERROR_NO_SUCH_NETWORK
 * says what to do. */
int network_resolve(const Manager *m, const char *name, Network **ret, Error *e);

/* From the ledger, at start; inline networks keep living by their attachments. */
int network_load(Manager *m, const NetworkRow *row, Error *e);

/* Calls the waiter once the network is ready for attachments: at once, or later. */
void network_await(Network *n, NetworkWaiter *w);
/* No work on it is under way. */
bool network_is_at_rest(const Network *n);
/* Those whose removal failed half way. */
void networks_release_unused(Manager *m);
/* The bridge vanished behind our back: look again at the next ADD. */
void network_forget_ready(Network *n);

/* Fills a row that borrows the network's strings. */
void network_to_row(const Network *n, NetworkRow *ret);

/* Address pool of its leases. */
const char *network_pool(const Network *n);

/* Held addresses, and how many are free (saturated). */
void network_usage(const Network *n, uint64_t *ret_used, uint64_t *ret_free);

/* CONFIG_DIR/networks.d: reads all files; broken ones are reported through Health and *e. */
int network_files_load(Manager *m, Error *e);
/* Watches the directory. */
int network_files_watch(Manager *m, Error *e);
