/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What goes over the socket of netmgr-exec, once each way: netmgrd writes one whole ticket (ticket.h) and
 * ends its direction; netmgr-exec does the task, writes one answer and closes. Neither is larger than
 * CONFIG_SIZE_MAX.
 *
 *   {"exit": N, "stdout": "..."}     both as in DelegateResult: with anything but 0, a CNI error object
 */

#include "base/error.h"

typedef struct ExecAnswer {
        int exit;   /* of the program, or TICKET_EXIT_* */
        char *text; /* owned; never NULL when parsed */
} ExecAnswer;

void exec_answer_clear(ExecAnswer *a);
/* Owned by caller. -ENOMEM; -E2BIG: nobody would read it; -EINVAL: the text is not UTF-8. */
int exec_answer_format(int exit, const char *text, char **ret);
int exec_answer_parse(const char *data, size_t size, ExecAnswer *ret, Error *e);
