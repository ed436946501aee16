/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One ADD under way, shared by op-add.c (the chain of steps) and add-decide.c (what the attachment
 * will be). Rows borrow their strings from the attachment and from this struct, which do not change
 * while the committer has them.
 */

#include "base/limits.h"
#include "core/conversation.h"
#include "core/dhcp-call.h"
#include "core/operation.h"
#include "core/plan.h"
#include "core/sync-round.h"
#include "core/trail.h"
#include "core/wire.h"
#include "policy/policy.h"

typedef struct AddOp {
        Job job; /* first member */
        Commit commit;
        NetworkWaiter waiter;
        SyncWaiter sync;
        List list; /* Manager.adds */
        List turn; /* Manager.adds_waiting */
        bool begun;
        Manager *manager;
        Request request;
        RequestDone done;
        void *userdata;
        uint64_t deadline; /* CLOCK_MONOTONIC, microseconds */
        _Atomic bool unwanted; /* a DEL waits for our end; set by the loop, workers look before they begin */

        NetConf *conf; /* what the caller sent */
        CniArgs args;
        bool loopback;
        bool looked;            /* netmgr-nsd was asked */
        Attachment *attachment; /* busy with us */

        NetLinkConf below; /* a copy of the network's, for the worker that looks for the master */
        NetKind kind;
        NlLink master; /* as found, for kinds that have one */
        /* host-device: which one, which ones never (owned copies for the worker), and what was found */
        NetDevice device;
        char **keep;
        NicState *nic;
        uint64_t n_nics_home; /* Manager's, when the look for it began */

        SpecPort *wanted_ports; /* owned: what the worker asks the host about */
        size_t n_wanted_ports;
        NetSysctl *wanted_sysctls; /* owned, with their strings: what the administrator has to allow */
        size_t n_wanted_sysctls;

        /* found in the netns */
        NlSocket *pod;
        NetnsIdentity netns;
        bool look_for_tables;
        uint32_t *tables; /* owned; routing tables that are in use */
        size_t n_tables;

        /* decided */
        Plan plan;
        const AttachmentSpec *spec; /* the attachment's */
        uint32_t bridge_ifindex;
        char *plan_json, *answer, *result;
        uint64_t id;
        bool put_sandbox, written, drop_sandbox;
        SandboxRow sandbox_row;
        NetworkRow network_row;
        AttachmentRow attachment_row;
        PolicyAttachment *policy; /* owned; NULL: nothing for the rule tables */
        PortRow *port_rows;       /* owned */
        size_t n_port_rows;
        ShapingRow shaping_row;
        bool put_shaping;
        AddressRow *address_rows; /* owned; room for one of each range set */
        CursorRow *cursor_rows;   /* owned */
        size_t n_address_rows, n_cursor_rows;
        Lease *rested[16]; /* owned: out of the pool, their rows go with our commit */
        size_t n_rested;

        /* a lease of a DHCP server */
        DhcpRequest *dhcp; /* owned; NULL: there is no server to be asked */
        int packet_fd;     /* owned; for the exchange */
        DhcpCall *lease_call;
        LeaseRow lease_row;
        bool put_lease;
        /* of a plugin of others */
        Question question;
        CniOwnedResult ipam;
        bool has_ipam, put_delegate, has_resolv_conf, imported;
        DelegateRow delegate_row;

        struct Guest *guest; /* owned; guest.h. NULL: an attachment of its own */

        NlApplied applied;
        bool left;   /* links of a failed ADD that could not be deleted */
        Trail trail; /* owned while a commit needs it */
        int r;       /* why it failed */
        Error error;
} AddOp;

/* Reads configuration and arguments; checks ids, host and netns. */
int add_parse(AddOp *op, Error *e);
/* Finds or makes network, sandbox and attachment. existing: what has the name already, or NULL. */
int add_prepare(AddOp *op, const Attachment *existing, Error *e);
/* The host ports that the attachment may take, by the families of its network. */
int add_list_ports(AddOp *op);
/* The sysctls of its network, which may change while a worker looks at them. */
int add_list_sysctls(AddOp *op, Error *e);
/* Nine tenths of a range that it would get an address from are given out. */
bool add_range_is_nearly_full(const AddOp *op);
/* add-link.c. What ipvlan takes from the plugins before it. */
int add_read_chained(AddOp *op, Error *e);
/* On a worker: the link that ours will stand on. */
int add_find_master(AddOp *op, WorkerContext *w, Error *e);
/* For the worker: which device of the host is wanted. */
int add_list_devices(AddOp *op);
/* No other attachment has the NIC, or is just giving it back. */
int add_check_nic(const AddOp *op, const NicState *nic, Error *e);
/* MTU, MACs and what else makes the link. */
int add_decide_link(AddOp *op, Error *e);
/* add-addresses.c. Leases, and the rows for them. */
int add_allocate(AddOp *op, Error *e);
/* add-routes.c. Routes, and a table of its own where the interface needs one. */
int add_decide_routes(AddOp *op, Error *e);
/* It may: then a worker looks which tables the sandbox has. */
bool add_looks_for_tables(const AddOp *op);
int add_look_for_tables(AddOp *op, Error *e);
/* Addresses, routes, MACs, plan, rows, answer. Nothing is written yet. */
int add_decide(AddOp *op, Error *e);
/* Result and answer of the specification. */
int add_make_answer(AddOp *op, Error *e);

/* add-lease.c. What the server will be told; the worker's part behind the wiring; and the question, which
 * leads to add_commit_up(). */
int add_decide_lease(AddOp *op, Error *e);
int add_open_lease(AddOp *op, WorkerContext *w, Error *e);
void add_ask_lease(AddOp *op);
/* The chain from its second link on. */
void add_start(AddOp *op);
