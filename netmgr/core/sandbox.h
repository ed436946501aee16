/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A sandbox: what the runtime calls a container ID, and the identity of its network namespace. A
 * path proves nothing and an inode is used again at once; the cookie together with the boot id is
 * the identity. No descriptor of the namespace is kept: it would keep a dead sandbox alive.
 */

#include "core/manager.h"
#include "cri/netconf.h"
#include "store/store.h"

/* What will tell that netns_path no longer leads to the namespace; all zero: nothing will. */
typedef struct NetnsWitness {
        bool seen;      /* the path led to it, as netmgrd saw itself */
        uint64_t start; /* the path is of a process: when it started, clock ticks after boot */
} NetnsWitness;

/* What a worker has found out about a sandbox's namespace. */
typedef struct NetnsIdentity {
        uint64_t cookie, dev, ino;
        NetnsWitness witness;
} NetnsIdentity;

/* Where netns-watch.c keeps a sandbox. */
typedef struct SandboxWatch {
        List queue;             /* to be looked at, or to be released */
        List in_dir;            /* WatchedDir.sandboxes */
        struct WatchedDir *dir; /* borrowed; NULL: only the sweep looks */
        uint64_t release_usec; /* CLOCK_MONOTONIC: found dead, and until then the runtime may DEL it */
        const char *release_reason; /* static */
} SandboxWatch;

/* What has become known of its network-status (network-status.h). */
typedef struct SandboxStatus {
        List dirty;    /* in the list of those to be looked at */
        uint64_t told; /* hash of the text that watchers know */
        uint64_t written; /* of the one in its file; 0: there is none, STATUS_UNKNOWN: of a life before */
} SandboxStatus;
#define STATUS_UNKNOWN UINT64_MAX

struct Sandbox {
        Manager *manager;
        char *id;
        char *runtime;                            /* who listed it (op-synchronize.h), "": nobody */
        char *pod_namespace, *pod_name, *pod_uid; /* NULL: unknown */
        char *labels;                             /* JSON object, NULL: unknown */
        char *annotations; /* JSON object of those that netmgr knows, NULL: none */
        char *netns_path;  /* as the runtime said it */
        uint64_t netns_cookie;
        uint64_t netns_dev, netns_ino; /* pre-filter */
        NetnsWitness netns_witness;
        SandboxWatch watch;
        SandboxStatus status;
        char *boot_id;
        bool not_ready; /* the runtime that claimed it has stopped it */
        /* CLOCK_BOOTTIME: made, or listed by its runtime last; 0: before this daemon's start */
        uint64_t seen_usec;
        List attachments; /* Attachment.by_sandbox */
        size_t n_attachments;
        bool announced; /* the observer knows it */
        bool stored;    /* its row is in the ledger */
};

Sandbox *sandbox_find(const Manager *m, const char *id);
int sandbox_new(Manager *m, const char *id, Sandbox **ret);
Sandbox *sandbox_free(Sandbox *s);
/* Drops a sandbox without attachments from the Manager. */
void sandbox_release_if_unused(Sandbox *s);
/* "ready" or "notready", for the ledger and the bus. */
const char *sandbox_state_to_string(const Sandbox *s);
/* An operation works on one of its attachments, and may have lent its strings to the committer. */
bool sandbox_is_busy(const Sandbox *s);
/* A host end of it is there, as far as the monitor knows. */
bool sandbox_has_link(const Sandbox *s);
/* A host end of it vanished. */
bool sandbox_lost_link(const Sandbox *s);
/* What the runtime says of it; the row follows at the next commit. -ENOMEM */
int sandbox_note(Sandbox *s, const char *netns_path, const CniArgs *args);
/* What its pod's annotations ask of netmgr, as JSON; NULL: nothing new. -ENOMEM */
int sandbox_note_annotations(Sandbox *s, const char *annotations);
/* Notes the namespace, and watches it. ERROR_EXISTS: the sandbox is known with another one. */
int sandbox_identify(Sandbox *s, const char *netns_path, const NetnsIdentity *netns, Error *e);
int sandbox_load(Manager *m, SandboxRow *row);
void sandbox_to_row(const Sandbox *s, SandboxRow *ret); /* borrows */
