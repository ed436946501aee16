/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between op-del.c (the course of a release) and release-delegates.c. */

#include "core/delegate.h"
#include "core/host-end.h"
#include "core/inside.h"
#include "core/operation.h"
#include "core/trail.h"

typedef struct Release {
        Reap reap; /* first member: reap_delivered() casts back */
        InsideJob inside;
        Commit commit; /* state `releasing`, then the end of the rows */
        Job restore;   /* of somebody else's interface: what was set there */
        HostEnd host;
        bool limits, localnet;
        Manager *manager;
        Attachment *attachment; /* NULL once it is gone */
        ReleaseDone done;
        void *userdata;
        Conversation *talk; /* who runs delegates; borrowed, NULL: netmgr-exec */
        Question question;
        bool by_exec;       /* that one has the question */
        bool behind;        /* it is for a plugin behind the one that made the interface */
        bool looked, leads; /* whether the recorded path leads to the namespace */
        bool failed;        /* the DEL of a plugin behind: with this; the link goes all the same */
        int failed_r;
        Error error;
        bool link_gone;        /* from both namespaces: what is left is for delegates */
        bool reaping, writing; /* who still has a part of us */
        int netns_fd;          /* owned; the caller's, until a lease has been given back */
        bool recorded; /* `releasing` is in the ledger: a crash from here on is finished later */
        /* for the event trail; copies, the last write outlives the attachment */
        const char *op; /* static */
        char *reason;   /* owned; NULL: none */
        Trail trail;
        uint64_t usec;
        bool drop_sandbox;
} Release;

#define RELEASE_OF_COMMIT(t) ((Release *) ((char *) (t) -offsetof(Release, commit)))

/* op-del.c: nothing is held any more; the links, or what is left to do before them; once nobody has a part. */
void release_finish(Release *rel);
void release_rest(void *userdata);
void release_maybe_free(Release *rel);

/* Behind the links: the DELs of the delegates that are left, and then the end of the release. */
void release_delegates(Release *rel);
/* A list ends backwards: those behind the plugin that made the interface find it as it was at ADD. True: one of
 * them is at work, and release_rest() is called again. */
bool release_behind(Release *rel);
