/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Several networks for one sandbox: from the annotations that come with a runtime's ADD, or one of them while
 * the sandbox runs. Each interface is an ordinary ADD with an attachment of its own (a list of plugins: one ADD
 * per plugin); this is what a multiplexing plugin would do, without its processes and its files. All or nothing:
 * what fails undoes what was made, last first.
 *
 * In the ledger an interface knows the runtime's own one that it came with (AttachmentSpec.parent): DEL, CHECK
 * and GC of that take it along. After a crash half way the runtime, which was told nothing, calls DEL.
 */

#include "core/operation.h"
#include "core/place.h"
#include "cri/annotations/selection.h"

/* The ADD asks for more than the one interface that its configuration describes: by annotations, or by a
 * network that is a list of plugins or a group. conf is the request's. */
bool networks_wanted(const Manager *m, const Request *q, const NetConf *conf);
/* That ADD. Takes over what *q owns; result: that of the default interface. */
void operation_add_networks(Manager *m, Request *q, RequestDone done, void *userdata);

/* One more interface for a sandbox that runs. */
typedef struct AttachRequest {
        char *sandbox;        /* id; owned, as the rest */
        NetSelection network; /* by name; ifname "": the first free net<i> */
        int netns_fd; /* of the sandbox, when the caller has it; -EBADF: by the recorded path */
} AttachRequest;
void attach_request_clear(AttachRequest *q);
/* Takes over *q. result: the CNI result 1.1.0 of the new interface. ERROR_NO_SUCH_SANDBOX,
 * ERROR_NO_SUCH_NETWORK, ERROR_EXISTS, and what ADD has. */
void operation_attach(Manager *m, AttachRequest *q, RequestDone done, void *userdata);
/* ERROR_IN_USE for the runtime's own interface, ERROR_NO_SUCH_ATTACHMENT. netns_fd is taken over. */
void operation_detach(Manager *m, const char *sandbox, const char *ifname, int netns_fd,
                      RequestDone done, void *userdata);

/* For a DEL of the interface, by its network's name: an operation that hangs on it gives up, and wakes the waiter when
 * it has. False: there is none. */
bool networks_abandon(Manager *m, const char *sandbox, const char *ifname, const char *cni_name,
                      AttachmentWaiter *waiter);
/* A runtime's ADD of several is under way in that sandbox. */
bool networks_are_made(const Manager *m, const char *sandbox);
/* The answer could not be delivered; userdata is that of the operation. */
void networks_unheard(Manager *m, const void *userdata);
/* Of the interfaces that came with that one the last before that position; NULL: there is none. */
Attachment *attachment_last_member(const Manager *m, const char *sandbox, const char *ifname,
                                   uint32_t before);

/* The attachment of the runtime's own ADD that it came with; itself when it is that. */
const Attachment *attachment_root(const Attachment *a);
