/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What netmgrd asks of us beside the call itself: see cri/ticket.h. */

#include "cri/cni/environment.h"
#include "cri/cni/own-config.h"
#include "cri/cni/plugin-run.h"
#include "cri/ticket.h"

/* program: the name that we were executed as; config: the exact bytes of our stdin. */
void task_run(const Ticket *t, const Environment *env, const char *program, const char *config,
              TaskResult *ret);

/* task-exec.c */
void task_exec(const Ticket *t, const Environment *env, const OwnConfig *own, const char *config,
               TaskResult *ret);
/* task-host-local.c, task-resolv-conf.c */
void task_host_local(const Ticket *t, const Environment *env, const OwnConfig *own,
                     TaskResult *ret);
void task_resolv_conf(const Ticket *t, const OwnConfig *own, TaskResult *ret);
/* Of the directory that host-local has for our configuration's network; 0: there is none. */
uint64_t host_local_stamp(const OwnConfig *own);
