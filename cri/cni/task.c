/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tasks for netmgrd: the one place where root's rights serve it. A ticket without a configuration means our
 * own call, and may name only what our own configuration names.
 */

#include "cri/cni/task.h"

#include <stdarg.h>
#include <stdio.h>

#include "cri/result.h"

void task_result_clear(TaskResult *r) {
        free(r->text);
        *r = (TaskResult) { 0 };
}

void task_failf(TaskResult *ret, int exit, unsigned code, const char *format, ...) {
        _cleanup_free_ char *msg = NULL;
        va_list ap;

        task_result_clear(ret);
        va_start(ap, format);
        if (vasprintf(&msg, format, ap) < 0)
                msg = NULL;
        va_end(ap);
        ret->exit = exit;
        ret->code = code;
        if (!msg || cni_error_to_json(NULL, code, msg, NULL, &ret->text) < 0)
                ret->text = NULL;
}

void task_run(const Ticket *t, const Environment *env, const char *config, TaskResult *ret) {
        switch (t->task) {
        case TICKET_EXEC:
                task_exec(t, env, config, ret);
                return;
        default:
                task_failf(ret, TICKET_EXIT_NOT_STARTED, 0, "this plugin does not know the task");
        }
}
