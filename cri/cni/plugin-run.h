/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One run of a plugin of others for a ticket, and what is told of it; for whoever runs it: netmgr's plugin
 * (task-exec.c) or netmgr-exec. Which one may be run, and with what, they decide.
 */

#include "cri/cni/program.h"
#include "cri/ticket.h"

typedef struct TaskResult {
        int exit;      /* as in DelegateResult */
        char *text;    /* owned; never NULL after a task unless out of memory */
        unsigned code; /* CNI code of a failure; 0: the plugin named none */
} TaskResult;

void task_result_clear(TaskResult *r);
/* For a sentence: somebody else's bytes may be anything. */
void make_printable(char *s, size_t size);
/* A failure in the place of what was in it, as a CNI error. */
void task_failf(TaskResult *ret, int exit, unsigned code, const char *format, ...) _printf_(4, 5);

/* Bounds of time and output come with the ticket, the rest of *p from the caller. */
void plugin_run(const Ticket *t, Program *p, TaskResult *ret);
