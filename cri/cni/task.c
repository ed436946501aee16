/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Tasks for netmgrd: the one place where root's rights serve it. A ticket without a configuration means our
 * own call, and may name only what our own configuration names.
 */

#include "cri/cni/task.h"

void task_run(const Ticket *t, const Environment *env, const char *program, const char *config,
              TaskResult *ret) {
        _cleanup_own_config_ OwnConfig own = { 0 };

        own_config_read(program, config, &own);
        switch (t->task) {
        case TICKET_EXEC:
                task_exec(t, env, &own, config, ret);
                return;
        case TICKET_READ_HOST_LOCAL:
        case TICKET_WRITE_HOST_LOCAL:
        case TICKET_RELEASE_HOST_LOCAL:
                task_host_local(t, env, &own, ret);
                return;
        case TICKET_READ_RESOLV_CONF:
                task_resolv_conf(t, &own, ret);
                return;
        default:
                task_failf(ret, TICKET_EXIT_NOT_STARTED, 0, "this plugin does not know the task");
        }
}
