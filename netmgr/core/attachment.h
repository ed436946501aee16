/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One interface of one sandbox on one network: planned -> wiring -> up -> releasing -> gone. The row
 * is committed before the kernel is touched and holds all that is needed to undo it.
 *
 * At most one operation works on an attachment at a time; a DEL that comes meanwhile waits for it.
 */

#include "core/manager.h"
#include "core/network.h"
#include "core/sandbox.h"
#include "core/spec.h"

typedef enum AttachmentState {
        ATTACHMENT_PLANNED,
        ATTACHMENT_WIRING,
        ATTACHMENT_UP,
        ATTACHMENT_RELEASING,
        _ATTACHMENT_STATE_MAX,
        _ATTACHMENT_STATE_INVALID = -EINVAL,
} AttachmentState;
const char *attachment_state_to_string(AttachmentState state);
AttachmentState attachment_state_from_string(const char *s);

typedef struct Delegate Delegate;

struct Attachment {
        Manager *manager;
        Network *network;
        Sandbox *sandbox;
        AttachmentState state;
        AttachmentSpec spec;
        Lease **leases; /* owned array; leases belong to the Ipam */
        size_t n_leases;
        char *request; /* exact bytes of the configuration */
        char *result;  /* CNI result 1.1.0, NULL before up */
        char config_hash[17];
        uint64_t created_usec;      /* CLOCK_REALTIME */
        uint64_t created_boot_usec; /* CLOCK_BOOTTIME of the sandbox's boot; 0: not noted */
        uint64_t settled_usec;      /* CLOCK_MONOTONIC: when the last operation ended */
        uint64_t traffic_bytes,
                        traffic_sampled_usec; /* of its host end, at the last sample (traffic.h) */
        uint32_t host_ifindex;
        Delegate *delegates; /* owned; see delegate.h */
        size_t n_delegates;
        /* A plugin of others is run for it: calls for the interface may come out of that one. */
        bool delegate_runs;
        bool delegate_pending; /* nothing is left of it but what a delegate holds, who could not be told */
        uint32_t retry_delay; /* seconds until netmgr-exec is asked again; 0: it was not yet */
        uint64_t retry_usec;  /* CLOCK_MONOTONIC: then */
        /* Of a lent NIC: its sandbox's namespace, kept so that the NIC can be brought home from it even if
         * nothing else leads there any more. Closed with the attachment. -EBADF: none. */
        int netns_pin;
        bool lost;      /* the host end vanished: the sandbox died, or somebody deleted it */
        bool lost_told; /* the journal has it that somebody deleted it */
        bool unsure; /* its inside was left unfinished or differed at last: every look goes there */
        bool announced; /* the observer knows it */
        bool busy;      /* an operation works on it */
        bool ending;    /* its DEL has begun with what came with it: nothing more may come */
        struct DhcpBinding *dhcp;  /* owned; NULL: its addresses do not come from a DHCP server */
        struct Release *releasing; /* waits for the link to be gone (op-del.c); borrowed */
        List waiters;              /* AttachmentWaiter: DELs that came while it was busy */
        List by_sandbox;
};

typedef struct AttachmentWaiter {
        List list;
        void (*idle)(struct AttachmentWaiter
                                     *w); /* the attachment may be gone by then: look again */
} AttachmentWaiter;

/* Finds by interface; the interface is unique in the sandbox. */
Attachment *attachment_find(const Manager *m, const char *sandbox, const char *ifname);
/* True when CNI knows it by this network name. */
bool attachment_is_of(const Attachment *a, const char *cni_name);
/* True when a runtime's DEL or CHECK by that name means it: one that was taken over came by a name that the
 * runtime may use no longer. */
bool attachment_is_meant(const Attachment *a, const char *cni_name);

/* Its network is described otherwise now than when it was made: a new one would be another. */
bool attachment_has_drifted(const Attachment *a);

/* Makes it with the next id and puts it into all maps. */
int attachment_new(Manager *m, Network *n, Sandbox *s, const char *ifname, Attachment **ret);
/* On an interface that somebody else has made: no host end of ours. */
int attachment_new_foreign(Manager *m, Network *n, Sandbox *s, const char *ifname,
                           Attachment **ret);
/* Takes it out of all maps; wakes its waiters; tells the observer. */
Attachment *attachment_free(Attachment *a);
DEFINE_CLEANUP(Attachment *, attachment_free)

void attachment_set_state(Attachment *a, AttachmentState state);
/* The observer hears of it, and of its sandbox, unless he did. */
void attachment_announce(Attachment *a);
/* As the kernel numbered its host end; 0: none. */
void attachment_set_host_ifindex(Attachment *a, uint32_t ifindex);
/* Takes the descriptor over where the attachment needs one, and closes it where not. */
void attachment_pin(Attachment *a, int netns_fd);
/* The same by the recorded path, which a look has just seen to lead there. */
void attachment_pin_path(Attachment *a);
/* Ends an operation: wakes who waits. */
void attachment_set_idle(Attachment *a);

/* Rows that borrow the attachment's strings; plan and hash from the caller. */
void attachment_to_row(const Attachment *a, char *plan, AttachmentRow *ret);
int attachment_load(Manager *m, AttachmentRow *row, Error *e);
/* A held address of a loaded attachment. */
int attachment_load_address(Manager *m, const AddressRow *row);

/* Rows of what it publishes and of its limits; they borrow static strings only. */
PortRow attachment_port_row(const Attachment *a, const SpecPort *port);
ShapingRow attachment_shaping_row(const Attachment *a);

/* What a loaded attachment publishes and how it is limited. */
int attachment_load_port(Manager *m, const PortRow *row, Error *e);
int attachment_load_shaping(Manager *m, const ShapingRow *row, Error *e);

/* Ends the leases: rest period, or (nobody saw them) none. */
void attachment_release_leases(Attachment *a, uint64_t now_usec);
void attachment_forget_leases(Attachment *a);

/* "10.97.0.2/32,fd97::2/128"; owned by caller, NULL when out of memory. */
char *attachment_addresses_text(const Attachment *a);
