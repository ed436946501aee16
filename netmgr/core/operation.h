/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The verbs of org.netmgr1.Runtime. Each is a chain of small steps on the loop, with jobs and commits
 * between them; it ends with exactly one call of `done`, possibly before the starting function
 * returns. A caller that goes away changes nothing for DEL, CHECK and GC, which run to their end. An ADD
 * that nobody waits for any more is undone: its result would be known to no runtime.
 */

#include "core/attachment.h"
#include "core/manager.h"

/* Strings are never NULL ("" when the caller sent nothing). */
typedef struct Request {
        char *type, *container_id, *ifname, *netns_path, *args, *path, *config; /* owned */
        size_t config_size;
        int netns_fd, host_netns_fd; /* owned; -EBADF: not sent */
        uint64_t host_local; /* stamp of host-local's directory (cri/host-local.h); 0: there is none */
        bool delegates;      /* the caller does tasks, if he may */
        struct Conversation *talk; /* to ask him for some; borrowed, NULL: he cannot be asked */
        /* Of an interface that netmgrd itself asks for; borrowed until `done`. NULL: the runtime's own call. */
        const struct RequestPlace *place;
        /* True once the caller has gone away; userdata is that of `done`. NULL: it cannot. */
        bool (*abandoned)(void *userdata);
} Request;
void request_clear(Request *q);

/* result: the CNI result of an ADD, else "". e is filled when r < 0; both end with the call. */
typedef void (*RequestDone)(int r, const Error *e, const char *result, void *userdata);

/* All of them take over what *q owns. */
void operation_add(Manager *m, Request *q, RequestDone done, void *userdata);
void operation_del(Manager *m, Request *q, RequestDone done, void *userdata);
void operation_check(Manager *m, Request *q, RequestDone done, void *userdata);
void operation_gc(Manager *m, Request *q, RequestDone done, void *userdata);
void operation_status(Manager *m, Request *q, RequestDone done, void *userdata);

/* For `done`: the answer could not be delivered. userdata is that of the operation. */
void operation_unheard(Manager *m, const void *userdata);
/* At the end: those that wait for a DHCP server are undone. */
void adds_stop(Manager *m);
/* The ADD that works on the attachment, if one does, is undone as soon as it can be: a DEL waits for it. */
void attachment_abandon_add(const Attachment *a);

/* The caller must live in our network namespace; it has to prove it where it passes a sandbox's. */
int request_check_host(const Manager *m, const Request *q, Error *e);
/* Container ID and interface name. */
int request_check_ids(const Request *q, Error *e);
/* The sandbox's netns descriptor: there, a netns, not the host's. */
int request_check_netns(const Manager *m, const Request *q, Error *e);
/* One more operation, or "try again later". Paired with operation_end(). */
int operation_begin(Manager *m, Error *e);
void operation_end(Manager *m);

/* Releases an attachment that is not busy: cut, delete, forget. `done` hears of it once the interface
 * is gone from both namespaces: r is 0, or RELEASE_UNRECORDED when the ledger could not be told of it, or
 * RELEASE_PENDING when nothing is left but what a plugin of others holds, who could not be told; *e says why.
 * op (a static string) and reason (copied; NULL: none) go to the audit trail. */
#define RELEASE_UNRECORDED 1
#define RELEASE_PENDING    2
typedef void (*ReleaseDone)(int r, const Error *e, void *userdata);
void attachment_release(Attachment *a, const char *op, const char *reason, ReleaseDone done,
                        void *userdata);
/* The same for a caller who has the sandbox's netns open (taken over; -EBADF: not): what is only in there
 * is deleted by that descriptor. Otherwise the recorded path has to lead there. */
void attachment_release_in(Attachment *a, int netns_fd, const char *op, const char *reason,
                           ReleaseDone done, void *userdata);
/* The same on behalf of a caller who also runs the DEL of its delegates, and hears of one that fails; talk
 * NULL: netmgr-exec does, or the attachment stays for one who will (Attachment.delegate_pending), which is no
 * failure. */
void attachment_release_for(Attachment *a, int netns_fd, struct Conversation *talk, const char *op,
                            const char *reason, ReleaseDone done, void *userdata);
/* The monitor saw the host end go. */
void attachment_link_gone(Attachment *a);
/* Its host end is gone although its namespace lives: somebody deleted it. Called again at every
 * sweep as long as that is so. */
void attachment_link_lost(Attachment *a);
