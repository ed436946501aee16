/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The end of an interface that only its sandbox knows (macvlan, ipvlan, vlan, tap, dummy): deleted by a
 * socket that netmgr-nsd opens there; and a NIC of the host that is brought home. Which namespace that is, is told by its cookie: the caller's
 * descriptor first, then the recorded path.
 */

#include "core/attachment.h"
#include "core/workers.h"

typedef struct InsideJob {
        Job job;      /* first member */
        int netns_fd; /* owned; -EBADF: none */
        char *path;   /* owned; as recorded */
        uint64_t cookie;
        NetKind kind;
        char ifname[16];
        AttachmentSpec *spec;     /* owned copy: host-device, which goes home instead; else NULL */
        AttachmentSpec *adjusted; /* owned copy: what plugins of the chain set is undone; else NULL */
} InsideJob;

/* For every kind: one that has nothing inside costs nothing. Takes *netns_fd over where it is of use, and
 * closes it where not. -ENOMEM. */
int inside_job_init(InsideJob *j, const Attachment *a, int *netns_fd);
void inside_job_clear(InsideJob *j);

/* A route socket in the namespace with that cookie, by the descriptor (may be -EBADF) or the path. *ret_fd
 * (may be NULL) is it, open. -ESTALE: neither leads there. */
int inside_open(WorkerContext *w, int netns_fd, const char *path, uint64_t cookie, int *ret_fd,
                NlSocket **ret, Error *e);
