/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The Manager owns every object of the daemon: networks, sandboxes, attachments, leases, threads.
 * All of it belongs to the event loop; threads see only the tasks that they are handed.
 *
 * What survives a crash is the ledger; manager_start() builds the rest from it.
 */

#include <sys/types.h>
#include <systemd/sd-event.h>

#include "base/conf.h"
#include "base/error.h"
#include "base/list.h"
#include "base/map.h"
#include "core/committer.h"
#include "core/flows.h"
#include "core/ipam.h"
#include "core/reaper.h"
#include "core/workers.h"
#include "nl/monitor.h"
#include "nl/nl.h"

typedef struct Manager Manager;
typedef struct Network Network;
typedef struct Sandbox Sandbox;
typedef struct Attachment Attachment;
typedef struct Audit Audit;
typedef struct Traffic Traffic;

/* How the D-Bus face hears of changes without core knowing of D-Bus. Objects are still (or already)
 * in the Manager's maps while the call runs. Any member may be NULL. */
typedef struct ManagerObserver {
        void (*sandbox_added)(Sandbox *s, void *userdata);
        void (*sandbox_removed)(Sandbox *s, void *userdata);
        void (*sandbox_changed)(Sandbox *s, void *userdata);
        void (*network_status_changed)(Sandbox *s, void *userdata); /* some time after it did */
        void (*attachment_added)(Attachment *a, void *userdata);
        void (*attachment_removed)(Attachment *a, void *userdata);
        void (*attachment_changed)(Attachment *a, void *userdata);
        void (*network_added)(Network *n, void *userdata);
        void (*network_removed)(Network *n, void *userdata);
        void (*network_changed)(Network *n,
                                void *userdata); /* another configuration under its name */
        void (*health_changed)(void *userdata);
        void (*counters_changed)(void *userdata); /* once for a burst */
        /* Asks who called Synchronize before to do it now; how many were asked. */
        unsigned (*synchronize_wanted)(void *userdata);
        void *userdata;
} ManagerObserver;

/* Reasons for "degraded", one bit each; Manager.health_text has the sentences. */
typedef enum HealthBit {
        HEALTH_NSD,          /* netmgr-nsd cannot be reached */
        HEALTH_LEDGER,       /* the last write failed */
        HEALTH_LEDGER_RESET, /* a damaged ledger was set aside at start */
        HEALTH_NETWORKS,     /* a file of networks.d is broken */
        HEALTH_FIREWALL,     /* the rule tables could not be brought up to date */
        HEALTH_FOREIGN,      /* another firewall drops what sandboxes forward */
        HEALTH_RECONCILE,    /* the kernel differs from the ledger */
        HEALTH_SPOOL,        /* the spool is missing or unfit: DEL fails while netmgrd is down */
        HEALTH_DHCP,         /* netmgr-dhcp cannot be reached */
        HEALTH_EXEC,         /* netmgr-exec cannot be reached, and is needed */
        HEALTH_STATUS,       /* a file of network-status cannot be written */
        HEALTH_CONF,         /* netmgr.conf is broken; the last good one is in force */
        _HEALTH_MAX,
} HealthBit;

struct Manager {
        sd_event *event; /* borrowed */
        Conf conf;
        char *state_dir, *config_dir, *spool_dir, *nsd_socket, *dhcp_socket; /* owned */
        char *sysctl_allowlist; /* owned: path; see sysctl-allow.h */
        char *runtime_dir;      /* owned: /run/netmgr */
        char *exec_socket;      /* owned: of netmgr-exec */
        char boot_id[40];
        dev_t netns_dev; /* of the host's netns, which stays open as long as we live in it */
        ino_t netns_ino;

        Kernel *kernel;
        NlSocket *nl; /* the loop's own socket: short questions only */
        NlMonitor *monitor;
        Mailbox *mailbox;
        Workers *workers;
        Reaper *reaper;
        Committer *committer;
        Flows *flows;
        struct Reconciler *reconciler;
        struct Spool *spool;
        struct StatusFiles *status_files; /* network-status.h; NULL: not yet, or no longer */

        InAddr node4, node6; /* source of what netmgr masquerades; unset: none known */
        FirewallFeatures firewall_features;
        bool firewall_owner_wanted;
        NlTcFeatures tc_features;
        NlLinkFeatures link_features;
        struct NftMonitor *nft_monitor;
        sd_event_source *foreign_timer; /* one look at others' chains for a burst of changes */
        sd_event_source *repair_timer; /* a rebuild of the rule tables that failed is tried again */
        bool foreign_looking, repairing, stopping;
        bool repair_again;         /* touched once more while they are rebuilt */
        uint32_t firewall_port_id; /* of the socket that owns the rule tables */
        char **features; /* owned, NULL-terminated: what this kernel and this build can do */
        char **features_missing; /* "kind-vlan: why not"; NULL: nothing */
        struct PortTable *ports;

        Map *networks;         /* name -> Network */
        Map *sandboxes;        /* id -> Sandbox */
        Map *attachments;      /* id -> Attachment */
        Map *host_ends;        /* host ifname -> Attachment */
        Map *host_ifindexes;   /* of the host end -> Attachment */
        Map *imports;          /* network -> what is known of host-local's directory */
        unsigned n_programs;   /* of others, which callers run for us; at most conf.parallel_max */
        List programs_waiting; /* Conversation.turn: whose is the next */
        Map *tickets;          /* id -> Conversation whose caller has it */
        Map *orphans;          /* host ifname -> what rebuild.c knows of it */
        uint64_t lost_id; /* highest id that a lost ledger may have given out; 0: none was lost */
        Commit probe; /* whether the ledger can be written again; see manager_set_commit_health() */
        bool probing;
        struct NetnsWatch *netns_watch;
        Ipam *ipam;
        uint64_t last_id; /* highest attachment id ever */

        unsigned n_operations;       /* under way; at most conf.queue_max */
        unsigned n_synchronizations; /* of these: lists of runtimes */
        List adds;                   /* AddOp: those of them that are ADDs */
        List adds_waiting;           /* of those, who has not begun; first come, first served */
        uint64_t n_nics_home;        /* lent NICs that were given back so far */
        unsigned n_adds_begun;       /* at most ADDS_BEGUN_MAX */
        struct SyncRound *sync_round;
        unsigned n_renewals; /* exchanges with DHCP servers for leases that are held; DHCP_RENEWALS_MAX */
        List give_backs;                /* GiveBack (dhcp-release.c) */
        List foreign_ops;               /* ForeignOp (op-foreign.c) */
        List networks_ops;              /* NetworksOp (op-networks.c) */
        struct ExecCalls *exec_calls;   /* exec-call.h; owned */
        struct ExecRetry *exec_retry;   /* exec-retry.h; owned */
        unsigned health;                /* 1 << HealthBit */
        char *health_text[_HEALTH_MAX]; /* owned; the sentence that goes with the bit */
        struct HistoryQueue *history;   /* questions about the past that wait */
        Audit *audit;                   /* counters of repairs and reaps */
        Traffic *traffic;               /* samples of counters; owned; NULL: nobody wants any */

        sd_event_source *inotify_source;
        int inotify_fd;

        ManagerObserver observer;
};

typedef struct ManagerParams {
        const char *state_dir, *config_dir, *spool_dir, *nsd_socket, *dhcp_socket; /* copied */
        const char *sysctl_allowlist, *runtime_dir, *exec_socket;                  /* copied */
        Kernel *kernel;                                                            /* borrowed */
} ManagerParams;

int manager_new(sd_event *event, const ManagerParams *params, Manager **ret, Error *e);
/* Opens the ledger, loads and repairs, reads networks.d, starts the threads, works off the spool. */
int manager_start(Manager *m, Error *e);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)

/* Reads netmgr.conf and networks.d again. Broken files are reported in Health, a broken netmgr.conf in
 * *e as well; what is good is taken over all the same. */
int manager_reload(Manager *m, Error *e);

/* NodeAddress=, else the source of the default route, else the first global address. */
void manager_find_node_addresses(Manager *m);
/* The rule tables follow: after a change of node addresses or of [Nftables]. */
void manager_update_firewall_config(Manager *m);

/* Ledger and rule tables are well, or not, as this commit found them. A ledger that cannot be written is
 * tried until it can. */
void manager_set_commit_health(Manager *m, const Commit *c);
void manager_set_health(Manager *m, HealthBit bit, const char *sentence); /* NULL: well again */
static inline bool manager_is_degraded(const Manager *m) {
        return m->health != 0;
}

/* CLOCK_REALTIME in microseconds. */
uint64_t now_realtime(void);
/* CLOCK_MONOTONIC in microseconds. */
uint64_t now_monotonic(void);
/* CLOCK_BOOTTIME in microseconds: goes on in suspend, and nobody can set it back. */
uint64_t now_boottime(void);
