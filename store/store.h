/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The ledger: netmgr.db, SQLite in WAL mode, STRICT tables, one writer. Rows are plain value
 * structs; the store knows nothing of the Manager. Every function returns 0 or a negative errno
 * with *e filled (ERROR_LEDGER).
 *
 * Threads: a Store is used by one thread at a time. netmgrd loads with it before the threads start
 * and then gives it to the committer for good.
 *
 * What survives a crash: every committed transaction (daemon crash: all; power loss: synchronous=
 * NORMAL may lose the last ones, whose kernel objects are gone too, see doc/design.md). What means something
 * after a reboot is written under store_set_durable().
 */

#include <sys/types.h>

#include "base/error.h"
#include "base/inaddr.h"

typedef struct Store Store;

#define STORE_SCHEMA_VERSION 7

/*
 * Opens or creates DIR/netmgr.db (0600), migrates, checks it (quick_check). A damaged database or
 * one that is no ledger is renamed to netmgr.db.damaged-TIME with its -wal and reported through
 * *ret_set_aside (owned path, or NULL), and a new one is made. A ledger of a newer schema version is
 * refused (-EPROTONOSUPPORT) and left alone. DIR is never created here.
 */
int store_open(const char *dir, Store **ret, char **ret_set_aside, Error *e);
Store *store_close(Store *s); /* accepts NULL, returns NULL; checkpoints */
DEFINE_CLEANUP(Store *, store_close)

/* A transaction rolls back unless committed. Not nested. */
int store_begin(Store *s, Error *e);
int store_commit(Store *s, Error *e);
/* Whether the end of a transaction waits for the disk (synchronous=FULL: one fdatasync of the log, and with it
 * everything that was written before). Not inside of one. */
int store_set_durable(Store *s, bool durable, Error *e);
void store_rollback(Store *s);
/* Passive checkpoint of the WAL; called off the request path. */
int store_checkpoint(Store *s, Error *e);

typedef struct NetworkRow {
        char *name;
        char *kind;
        char *source;        /* "file", "config", "dbus" */
        char *config;        /* exact bytes of the configuration, NUL-terminated */
        char *hash;          /* 16 hex digits of the part that describes the network */
        char *bridge;        /* bridge kind: the bridge's name; else NULL */
        bool bridge_created; /* the bridge was made by us (and goes with the network) */
        uint8_t bridge_mac[6];
        uint32_t mtu;   /* as decided, bytes; 0: not decided yet */
        uint32_t group; /* of its links in the kernel (IFLA_GROUP), 0: not decided yet */
} NetworkRow;

typedef struct SandboxRow {
        char *id;
        char *runtime;                            /* "" unknown, "containerd", "cri-o", "podman" */
        char *pod_namespace, *pod_name, *pod_uid; /* NULL: unknown */
        char *labels;                             /* JSON object text, NULL: unknown */
        char *netns_path;                         /* as the runtime said it; proves nothing */
        uint64_t netns_cookie;                    /* SO_NETNS_COOKIE; with boot_id the identity */
        uint64_t netns_dev, netns_ino;            /* pre-filter only */
        bool netns_seen;      /* netns_path led to it, as seen by netmgrd itself */
        uint64_t netns_start; /* netns_path is of a process: when that started, clock ticks after
                               * boot; 0: it is not, or nothing is known */
        char *boot_id;
        char *annotations; /* JSON object of those that netmgr knows; NULL: none */
        char *state;       /* "ready" */
} SandboxRow;

typedef struct AttachmentRow {
        uint64_t id;                      /* never used twice; host ends are named after it */
        char *network, *sandbox, *ifname; /* the key */
        char *kind;
        char *state;           /* planned wiring up releasing failed */
        char *request;         /* exact bytes of the request's configuration */
        char *result;          /* CNI result 1.1.0 JSON, NULL before up */
        char *host_ifname;     /* NULL: no host end (loopback) */
        uint32_t host_ifindex; /* 0: unknown */
        uint8_t host_mac[6], mac[6];
        uint32_t mtu;
        uint32_t group; /* policy group, 0: none */
        char *config_hash;
        char *plan; /* JSON of what else the kernel objects derive from: routes, flags, dns */
        uint64_t created_usec; /* CLOCK_REALTIME, for people */
        /* CLOCK_BOOTTIME within the sandbox's boot id: what a spooled DEL is compared with, whatever
         * is done to the clock. 0: a row of schema 3 or older, so older than any spooled DEL. */
        uint64_t created_boot_usec;
} AttachmentRow;

typedef struct AddressRow {
        uint64_t attachment; /* id; 0 once released */
        char *pool;          /* "host" or the network's name: address unique per pool */
        InPrefix address;    /* with the interface's prefix length */
        InAddr gateway;
        char *network, *sandbox, *ifname; /* last holder, kept while it cools down */
        uint32_t set_index;               /* range set it came from */
        uint64_t released_usec;           /* CLOCK_REALTIME, 0: held */
        char *owner;                      /* who gets it again, NULL: nobody */
        uint32_t sticky_sec; /* for so long after its release; 0: nobody; UINT32_MAX: until he gives it up */
        bool has_rest; /* others wait `rest_sec` for it; else CooldownSec */
        uint32_t rest_sec;
        uint64_t again_usec; /* no column: when it was released before its owner had it again, 0: he had not */
} AddressRow;

/* A port of the host that leads to the attachment. Unique per (host address, protocol, host port);
 * that a wildcard holds the port of every address is for the caller to know. */
typedef struct PortRow {
        uint64_t attachment;
        InAddr host;      /* family set; unspecified: every address of that family */
        uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
        uint16_t host_port, container_port;
} PortRow;

/* One per attachment that has limits. */
typedef struct ShapingRow {
        uint64_t attachment;
        char *mode;                                                      /* "police", "shape" */
        uint64_t ingress_rate, ingress_burst, egress_rate, egress_burst; /* bit/s, bit; 0: none */
} ShapingRow;

/* A plugin of others that was run for an attachment: what its DEL needs, whatever became of the rest. */
typedef struct DelegateRow {
        uint64_t attachment;
        uint32_t seq; /* in the order of ADD; DEL goes backwards */
        char *plugin; /* name in CNI_PATH */
        char *path;   /* CNI_PATH of the ADD, for people */
        char *config; /* the exact bytes of its stdin */
        char *args;   /* CNI_ARGS */
        char *result; /* its stdout; NULL: it was not done when this was written */
} DelegateRow;

/* The directory of host-local that the network's addresses were taken over from. */
typedef struct ImportRow {
        char *network, *path;
        uint64_t stamp; /* of the directory, when it was read last; 0: there was none */
} ImportRow;

/* Where round robin stands, one per (network, set). */
typedef struct CursorRow {
        char *network;
        uint32_t set_index;
        InAddr address;
} CursorRow;

/* What a DHCP server has granted to an attachment. */
typedef struct LeaseRow {
        uint64_t attachment;
        InAddr address, server;
        uint8_t server_mac[6];
        uint64_t obtained_usec;             /* CLOCK_REALTIME, for people */
        uint64_t obtained_boot_usec;        /* CLOCK_BOOTTIME within the sandbox's boot id */
        uint32_t lease_sec, t1_sec, t2_sec; /* UINT32_MAX: for ever */
        bool expired;                       /* the address is off the interface, which is down */
        uint32_t priority;                  /* of its routes, 0: unset */
        uint8_t *provide, *wanted,
                        *options; /* owned: options sent, codes asked for, options received */
        size_t provide_size, wanted_size, options_size;
} LeaseRow;

void network_row_clear(NetworkRow *r);
void sandbox_row_clear(SandboxRow *r);
void attachment_row_clear(AttachmentRow *r);
void address_row_clear(AddressRow *r);
void port_row_clear(PortRow *r);
void shaping_row_clear(ShapingRow *r);
void lease_row_clear(LeaseRow *r);
void cursor_row_clear(CursorRow *r);
void delegate_row_clear(DelegateRow *r);
void import_row_clear(ImportRow *r);

/* Loading: the callback gets a row that it may take fields from (TAKE_PTR); cleared afterwards.
 * A negative return ends the walk and is returned. Ordered by key, attachments and what hangs on them by id. */
int store_load_networks(Store *s, int (*cb)(NetworkRow *row, void *userdata), void *userdata,
                        Error *e);
int store_load_sandboxes(Store *s, int (*cb)(SandboxRow *row, void *userdata), void *userdata,
                         Error *e);
int store_load_attachments(Store *s, int (*cb)(AttachmentRow *row, void *userdata), void *userdata,
                           Error *e);
int store_load_addresses(Store *s, int (*cb)(AddressRow *row, void *userdata), void *userdata,
                         Error *e);
int store_load_ports(Store *s, int (*cb)(PortRow *row, void *userdata), void *userdata, Error *e);
int store_load_shapings(Store *s, int (*cb)(ShapingRow *row, void *userdata), void *userdata,
                        Error *e);
int store_load_leases(Store *s, int (*cb)(LeaseRow *row, void *userdata), void *userdata, Error *e);
int store_load_cursors(Store *s, int (*cb)(CursorRow *row, void *userdata), void *userdata,
                       Error *e);
int store_load_delegates(Store *s, int (*cb)(DelegateRow *row, void *userdata), void *userdata,
                         Error *e);
int store_load_imports(Store *s, int (*cb)(ImportRow *row, void *userdata), void *userdata,
                       Error *e);
/* Highest attachment id ever given out (sequence kept in the ledger even after rows are gone). */
int store_load_last_id(Store *s, uint64_t *ret, Error *e);

/* Up to this id the kernel may have links of sandboxes whose rows were lost with an earlier ledger; 0: none. */
int store_load_lost_id(Store *s, uint64_t *ret, Error *e);
int store_put_lost_id(Store *s, uint64_t id, Error *e);
/* Writes and changes nothing: finds out whether the ledger can be written. */
int store_touch(Store *s, Error *e);

/* Writing, inside a transaction. put = insert or replace by key. Foreign keys are on: a sandbox
 * and a network must exist before an attachment, an attachment before an address that it holds, its ports and its limits. */
int store_put_network(Store *s, const NetworkRow *row, Error *e);
int store_delete_network(Store *s, const char *name, Error *e);
int store_put_sandbox(Store *s, const SandboxRow *row, Error *e);
/* Runtime and state of a row; nothing when there is none of that id. */
int store_claim_sandbox(Store *s, const SandboxRow *row, Error *e);
int store_delete_sandbox(Store *s, const char *id, Error *e);
int store_put_attachment(Store *s, const AttachmentRow *row, Error *e);
/* Only what changes on the way up or down; result may be NULL to keep it. -ENOENT: no such id. */
int store_set_attachment_state(Store *s, uint64_t id, const char *state, uint32_t host_ifindex,
                               const char *result, Error *e);
/* What a later plugin of its chain has changed. -ENOENT: no such id. */
int store_set_attachment_plan(Store *s, uint64_t id, const char *plan, Error *e);
/* With its ports and its limits. An attachment that still holds an address is refused. */
int store_delete_attachment(Store *s, uint64_t id, Error *e);
int store_put_address(Store *s, const AddressRow *row,
                      Error *e); /* -EEXIST when (pool, address) is held */
/* All addresses of the attachment: attachment 0, released_usec set. */
int store_release_addresses(Store *s, uint64_t attachment, uint64_t released_usec, Error *e);
/* This one only, as of then. */
int store_rest_address(Store *s, const char *pool, const InAddr *address, uint64_t released_usec,
                       Error *e);
/* Forgets released rows (cooled down, or undone before anybody saw them). */
int store_delete_address(Store *s, const char *pool, const InAddr *address, Error *e);
/* Nobody is owed the addresses of that owner any more, held or released. */
int store_disown_addresses(Store *s, const char *owner, Error *e);
/* -EEXIST (ERROR_PORT_IN_USE) when another attachment has (host address, protocol, host port). */
int store_put_port(Store *s, const PortRow *row, Error *e);
/* By host address, protocol and host port, of that attachment only. -ENOENT: it has no such port. */
int store_delete_port(Store *s, const PortRow *row, Error *e);
int store_put_shaping(Store *s, const ShapingRow *row, Error *e);
int store_put_lease(Store *s, const LeaseRow *row, Error *e);
/* Only if there is one: the attachment may have ended meanwhile. */
int store_update_lease(Store *s, const LeaseRow *row, Error *e);
int store_delete_ports(Store *s, uint64_t attachment, Error *e);
int store_put_delegate(Store *s, const DelegateRow *row, Error *e);
int store_put_import(Store *s, const ImportRow *row, Error *e);
int store_put_cursor(Store *s, const CursorRow *row, Error *e);
int store_delete_cursors(Store *s, const char *network, Error *e);

/* Ends everything of other boots than this one, with an event per attachment, in one statement per
 * table, but for what has delegates: their ends are for a runtime to execute, so those rows become
 * `releasing`; released addresses rest no longer when nothing of this boot is there yet, unless that was
 * promised to an owner or by their network. */
int store_end_other_boots(Store *s, const char *boot_id, uint64_t usec, size_t *ret_sandboxes,
                          size_t *ret_attachments, Error *e);

/* Audit trail: who had which address and which port of the host, when, and why it ended. Trimmed to
 * EVENTS_MAX. */
typedef struct EventRow {
        uint64_t usec;       /* CLOCK_REALTIME */
        const char *op;      /* "add", "del", "gc", "add-failed", "reboot", "add-port", … */
        bool ends;           /* the attachment holds nothing any more */
        uint64_t since_usec; /* when it was made; 0: unknown */
        uint64_t attachment; /* id; 0: unknown */
        const char *network, *sandbox, *ifname, *host_ifname; /* NULL allowed, here and below */
        const char *pod_namespace, *pod_name, *pod_uid;
        const char *addresses; /* "10.97.0.2/32,fd97::2/128" */
        const char *ports;     /* as ports_format() writes them */
        const char *reason;
} EventRow;
int store_add_event(Store *s, const EventRow *row, Error *e);

/*
 * "0.0.0.0:8080->80/tcp,[::]:8000-8009->9000-9009/udp": rows that follow each other become a range. At
 * most EVENT_PORTS_MAX bytes, then ",..." stands for the rest. Owned by caller, NULL when out of memory;
 * "" without ports.
 */
char *ports_format(const PortRow *ports, size_t n);

/* A port that came or went while the attachment lived. */
typedef struct HistoryChange {
        uint64_t usec;
        char *op, *ports; /* owned */
} HistoryChange;

/* What one attachment held, from when to when. Strings owned, NULL: unknown. */
typedef struct HistoryRow {
        uint64_t attachment, since_usec; /* 0: unknown */
        uint64_t until_usec;             /* 0: still held */
        char *op, *reason;               /* what ended it */
        char *network, *sandbox, *ifname, *host_ifname;
        char *pod_namespace, *pod_name, *pod_uid;
        char *addresses, *ports;
        HistoryChange *changes; /* owned array, oldest first */
        size_t n_changes;
} HistoryRow;
void history_row_clear(HistoryRow *r);

/* At most one of address, sandbox and pod; none: everything. */
typedef struct HistoryFilter {
        const char *address; /* without prefix length */
        const char *sandbox; /* whole id */
        const char *pod_namespace, *pod_name;
        uint64_t since_usec; /* leaves out what had ended before */
} HistoryFilter;

/* Newest first: by the end, or by the beginning of what is still held. The callback gets rows as those of
 * the loading functions; a positive return ends the walk without an error. */
int store_history(Store *s, const HistoryFilter *filter, int (*cb)(HistoryRow *row, void *userdata),
                  void *userdata, Error *e);
/* The one sandbox of past and present whose id is or begins with the prefix. *ret is NULL when there is
 * none; ERROR_INVALID_ARGUMENT when there are several. */
int store_find_sandbox(Store *s, const char *prefix, char **ret, Error *e);
