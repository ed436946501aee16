/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What netmgrd asks of us beside the call itself: see cri/ticket.h. */

#include "cri/cni/environment.h"
#include "cri/cni/own-config.h"
#include "cri/ticket.h"

typedef struct TaskResult {
        int exit;      /* as in DelegateResult */
        char *text;    /* owned; never NULL after task_run() unless out of memory */
        unsigned code; /* CNI code of a failure; 0: the plugin named none */
} TaskResult;

void task_result_clear(TaskResult *r);

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
/* A failure in the place of what was in it, as a CNI error. */
void task_failf(TaskResult *ret, int exit, unsigned code, const char *format, ...) _printf_(4, 5);
