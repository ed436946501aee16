/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Is a sandbox's network namespace still there? A worker looks: it compares device and inode of
 * the recorded path, then the cookie (by netmgr-nsd), and asks the kernel which host ends exist. What
 * it opens it closes before it answers: nothing here keeps a namespace alive.
 *
 * A path can be lost without the namespace dying (unmounted while a process lives in it), and be taken
 * by another namespace; and where the runtime's mount or PID namespace is another one, it never
 * led anywhere from here. So a path counts as evidence of death only when it was seen to lead to the
 * namespace before (a witness, which is in the sandbox's row), and a host end that is there
 * outweighs it: the pair of interfaces dies with the namespace, not before.
 */

#include "core/sandbox.h"
#include "core/workers.h"

typedef enum NetnsPath {
        NETNS_PATH_UNKNOWN, /* could not look: nothing follows */
        NETNS_PATH_UNSEEN,  /* leads elsewhere, but never led to it from here: nothing follows */
        NETNS_PATH_LEADS,   /* to the namespace with the cookie; or its process lives */
        NETNS_PATH_GONE,    /* led to it once and does no more */
} NetnsPath;

typedef struct NetnsView {
        char *sandbox, *path;
        NetnsWitness witness;
        uint64_t cookie, dev, ino;
        char (*host_ends)[16]; /* of the attachments that are up */
        size_t n_host_ends;
        /* found */
        NetnsPath found;
        size_t n_links; /* host ends that are in the kernel */
} NetnsView;

/* What follows from a view. */
typedef enum SandboxFate {
        FATE_UNCLEAR,   /* no proof of either */
        FATE_LIVE,      /* the path leads to it */
        FATE_DEAD,      /* the path does not, and no host end is left */
        FATE_LINGERING, /* the path does not, but interfaces are there: a process lives in it, or the
                         * kernel is about to end it */
} SandboxFate;
SandboxFate netns_view_fate(const NetnsView *v);

/* Static sentence: why, for events, journal and answers. */
const char *netns_view_reason(const NetnsView *v);

typedef struct NetnsLook NetnsLook;
/* On the loop, once. The sandboxes may have gone or changed meanwhile: see netns_view_sandbox(). */
typedef void (*NetnsLooked)(NetnsView *views, size_t n, void *userdata);

int netns_look_new(Manager *m, NetnsLook **ret);
NetnsLook *netns_look_free(NetnsLook *l); /* one that was not started */
DEFINE_CLEANUP(NetnsLook *, netns_look_free)
int netns_look_add(NetnsLook *l, const Sandbox *s);
/* Takes the look. `done` comes later, also when there is nothing to look at. */
void netns_look_start(NetnsLook *l, NetnsLooked done, void *userdata);

/* The sandbox of the view if it is still the same and no operation works on it; else NULL. */
Sandbox *netns_view_sandbox(Manager *m, const NetnsView *v);

/* At ADD, on the worker, while the descriptor is open: what will tell later that the path no longer
 * leads to it. */
void netns_witness_make(const char *path, uint64_t dev, uint64_t ino, NetnsWitness *ret);

/* "/proc/PID/...": the PID, or 0. */
uint32_t netns_path_pid(const char *path);
/* When the process started, clock ticks after boot. -ESRCH: there is none, or it has ended and only
 * waits for its parent; other errors: cannot tell. */
int process_start_time(uint32_t pid, uint64_t *ret);
