/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The plan of one attachment: which kernel objects in which order. A pure function of the
 * specification, so that ADD carries it out, CHECK compares with it and repair repeats it.
 *
 *   host    in the host's netns, link down: nothing can pass yet
 *   birth   in the sandbox's netns: the link, where it is not born there from the host
 *   pod     in the sandbox's netns, by a socket that netmgr-nsd opened there
 *   finish  in the host's netns: the host end is raised last ("closed until complete")
 *
 * Indices of links that others have made are no part of a plan: whoever carries it out looks up `master`
 * and `tap_bridge`.
 */

#include "core/spec.h"
#include "nl/nl.h"

#define PLAN_SYSCTLS_MAX 4

typedef struct PlanSysctl {
        char name[96]; /* below /proc/sys/net: "ipv6/conf/eth0/accept_ra" */
        const char *value;
        bool optional; /* a kernel without it (no IPv6) is as good */
} PlanSysctl;

typedef struct Plan {
        NlOp *host, *birth, *pod, *finish; /* owned */
        size_t n_host, n_birth, n_pod, n_finish;
        const NetLinkConf *tap; /* borrowed from the specification: netmgr-nsd makes one; or NULL */
        const char *master;     /* borrowed: NL_LINK_ADD stands on it; or NULL */
        const char *pod_master; /* borrowed: what the interface becomes a port of in the sandbox; or NULL */
        PlanSysctl pod_sysctls[PLAN_SYSCTLS_MAX]; /* before the pod's link goes up */
        size_t n_pod_sysctls;
        PlanSysctl host_sysctls[PLAN_SYSCTLS_MAX]; /* before the host end goes up */
        size_t n_host_sysctls;
        const NetSysctl *
                        sysctls; /* borrowed from the specification: of tuning, before traffic flows */
        size_t n_sysctls;
} Plan;

/* master_ifindex: the bridge's index now (it is no part of the row), 0 for other kinds. */
int plan_make(const AttachmentSpec *s, uint32_t master_ifindex, Plan *ret);
void plan_clear(Plan *p);

/* The token bucket of mode shape for a rate in bit/s and a burst in bits (0: our choice). */
void plan_tbf(NlOp *op, int32_t ifindex, uint64_t rate_bits, uint64_t burst_bits);
