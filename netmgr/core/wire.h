/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Carries plans out on a worker. After a failure nothing of the plan is left: deleting the host end
 * takes everything with it. After a crash in the middle the row `planned` or `wiring` says what to
 * delete.
 */

#include "core/plan.h"
#include "core/workers.h"

/* A route socket in the sandbox's netns and its cookie. The caller frees the socket. */
int wire_open_netns(WorkerContext *w, int netns_fd, NlSocket **ret, uint64_t *ret_cookie, Error *e);
/* ERROR_EXISTS: the sandbox has an interface of that name. */
int wire_check_name_is_free(NlSocket *pod, const char *ifname, const char *netns_path, Error *e);

/* Executes the plan; pod is a socket from wire_open_netns(). A failure deletes its links again; *ret_left:
 * the kernel refused that too. */
int wire_plan(WorkerContext *w, Plan *p, int netns_fd, NlSocket *pod, const AttachmentSpec *s,
              NlApplied *ret, bool *ret_left, Error *e);

/* Tells the neighbours on the bridge where the new addresses are. Best effort. */
void wire_announce(WorkerContext *w, uint32_t bridge_ifindex, const AttachmentSpec *s);

/* Writes a sysctl of the host's own netns. */
int host_sysctl_write(const PlanSysctl *s, Error *e);
