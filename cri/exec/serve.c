/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrd has fewer rights than we have, and gets no more of them than this: the verbs of CNI, of a plugin
 * that an administrator has installed where only root can, with nothing of our own environment. It reads what
 * comes from the network, so a ticket is read as a stranger's; what it cannot be kept from is to have an
 * installed plugin run with a configuration of its choice.
 */

#include "cri/exec/serve.h"

#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"
#include "cri/cni/originals.h"
#include "cri/cni/plugin-run.h"
#include "cri/cni/wait.h"
#include "cri/exec-answer.h"
#include "cri/netconf.h"

#define READ_PIECE 16384U
/* Of the plugins themselves: they look for iptables, modprobe and the like. */
#define PLUGIN_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- the connection --------------------------------------------------------------------------- */

static int await(int fd, short events, uint64_t deadline) {
        struct pollfd p = { .fd = fd, .events = events };
        uint64_t left = deadline_left(deadline);

        if (left == 0)
                return -ETIMEDOUT;
        int r = poll(&p, 1, (int) ((left + 999) / 1000));
        return r < 0 && errno != EINTR ? -errno : 0;
}

/* Up to the end of his direction; owned by caller, NUL-terminated. -ENODATA: nothing came. */
static int read_ticket(int fd, char **ret, size_t *ret_size) {
        uint64_t deadline = deadline_in(EXEC_PEER_SEC);
        _cleanup_free_ char *data = NULL;
        size_t size = 0, allocated = 0;

        for (;;) {
                if (GREEDY_REALLOC(data, allocated, size + READ_PIECE + 1) < 0)
                        return -ENOMEM;
                ssize_t n = read(fd, data + size, READ_PIECE);
                if (n == 0)
                        break;
                int r = n > 0 ? 0 : errno == EAGAIN ? await(fd, POLLIN, deadline) : -errno;
                if (r < 0)
                        return r;
                size += n > 0 ? (size_t) n : 0;
                if (size > CONFIG_SIZE_MAX)
                        return -E2BIG;
                if (deadline_left(deadline) == 0)
                        return -ETIMEDOUT;
        }
        if (size == 0)
                return -ENODATA;
        data[size] = '\0';
        *ret = TAKE_PTR(data);
        *ret_size = size;
        return 0;
}

static int write_answer(int fd, const char *text) {
        uint64_t deadline = deadline_in(EXEC_PEER_SEC);
        size_t left = strlen(text);

        while (left > 0) {
                ssize_t n = send(fd, text, left, MSG_NOSIGNAL);
                int r = n >= 0 ? 0 : errno == EAGAIN ? await(fd, POLLOUT, deadline) : -errno;
                if (r < 0)
                        return r;
                if (n > 0) {
                        text += n;
                        left -= (size_t) n;
                }
        }
        return 0;
}

/* ---- whether ---------------------------------------------------------------------------------- */

static bool is_verb(const char *command, bool *ret_attached) {
        static const char *const attached[] = { "ADD", "DEL", "CHECK" }, *const others[] = {
                "GC", "STATUS"
        };

        for (size_t i = 0; i < ELEMENTSOF(attached); i++)
                if (streq(attached[i], command)) {
                        *ret_attached = true;
                        return true;
                }
        for (size_t i = 0; i < ELEMENTSOF(others); i++)
                if (streq(others[i], command)) {
                        *ret_attached = false;
                        return true;
                }
        return false;
}

/* What becomes a variable of the plugin's environment. */
static int check_variables(const Ticket *t, bool attached, Error *e) {
        if (!attached && !t->container_id && !t->ifname && !t->netns && !t->args)
                return 0;
        if (!t->container_id || !cni_id_is_valid(t->container_id, CONTAINER_ID_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "containerId: wanted a container ID, found \"%.64s\"",
                                  strempty(t->container_id));
        if (!ifname_is_valid(t->ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "ifName: wanted the name of an interface, found \"%.64s\"",
                                  strempty(t->ifname));
        if (!t->netns || (t->netns[0] && t->netns[0] != '/') ||
            strlen(t->netns) >= NETNS_PATH_MAX || !text_is_clean(t->netns, strlen(t->netns)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "netns: wanted a path or \"\", found \"%.64s\"",
                                  strempty(t->netns));
        if (!t->args || strlen(t->args) > CNI_ARGS_MAX || !text_is_clean(t->args, strlen(t->args)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "args: wanted CNI_ARGS of at most %u bytes, found \"%.64s\"",
                                  CNI_ARGS_MAX, strempty(t->args));
        return 0;
}

int serve_check(const Ticket *t, Error *e) {
        bool attached;

        if (t->task != TICKET_EXEC)
                return error_setf(e, ERROR_ACCESS_DENIED,
                                  "do: netmgr-exec runs plugins and does nothing else");
        if (!is_verb(t->command, &attached))
                return error_setf(e, ERROR_ACCESS_DENIED,
                                  "command: wanted ADD, DEL, CHECK, GC or STATUS, found \"%.64s\"",
                                  t->command);
        if (t->originals ? !cni_id_is_valid(t->plugin, NETWORK_NAME_MAX) ||
                                            !streq(t->command, "DEL")
                         : !delegate_name_is_valid(t->plugin))
                return error_setf(e, ERROR_ACCESS_DENIED,
                                  "plugin: wanted the name of a plugin of others, found \"%.64s\"",
                                  t->plugin);
        if (!t->config)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "config: wanted the plugin's configuration, found nothing");
        if (t->timeout_ms == 0 || t->timeout_ms > EXEC_TIMEOUT_MAX_MS)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "timeoutMs: wanted 1 to %u, found %u",
                                  EXEC_TIMEOUT_MAX_MS, t->timeout_ms);
        return check_variables(t, attached, e);
}

/* ---- the task --------------------------------------------------------------------------------- */

static int add_variable(char ***environment, const char *name, const char *value) {
        _cleanup_free_ char *entry = value ? strf("%s=%s", name, value) : NULL;

        if (!value)
                return 0;
        return entry ? strv_append(environment, entry) : -ENOMEM;
}

static int make_environment(const Ticket *t, const char *path, char ***ret) {
        const struct {
                const char *name, *value;
        } list[] = {
                { "CNI_COMMAND", t->command }, { "CNI_CONTAINERID", t->container_id },
                { "CNI_NETNS", t->netns },     { "CNI_IFNAME", t->ifname },
                { "CNI_ARGS", t->args },       { "CNI_PATH", path },
        };
        char **environment = NULL;

        int r = strv_append(&environment, PLUGIN_PATH);
        for (size_t i = 0; i < ELEMENTSOF(list) && r >= 0; i++)
                r = add_variable(&environment, list[i].name, list[i].value);
        if (r < 0) {
                strv_free(environment);
                return r;
        }
        *ret = environment;
        return 0;
}

static void refuse(const Error *e, TaskResult *ret) {
        _cleanup_free_ char *why = strdup(error_message(e));

        if (why)
                make_printable(why, strlen(why));
        task_failf(ret, TICKET_EXIT_NOT_STARTED, error_cni_code(e->kind), "%s", strempty(why));
        log_warning("refused: %s", strempty(why));
}

static void run_task(int fd, const Ticket *t, const char *path, TaskResult *ret) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_free_ char *program = NULL, *originals = NULL;
        char **environment = NULL;

        int r = serve_check(t, &error);
        if (r >= 0 && t->originals) {
                path = originals = originals_path(path);
                r = path ? 0 : error_oom(&error);
        }
        if (r >= 0)
                r = program_find_trusted(t->plugin, path, &program, &error);
        if (r >= 0 && make_environment(t, path, &environment) < 0)
                r = error_oom(&error);
        if (r < 0) {
                refuse(&error, ret);
                return;
        }
        plugin_run(t,
                   &(Program) { .path = program,
                                .name = t->plugin,
                                .environment = environment,
                                .input = t->config,
                                .caller = &fd },
                   ret);
        strv_free(environment);
        log_ctx(LOG_INFO,
                &(LogContext) { .sandbox = t->container_id,
                                .interface = t->ifname,
                                .op = t->command,
                                .program = program },
                "%s of plugin %s for %s of %s: status %d", t->command, t->plugin,
                strempty(t->ifname), strempty(t->container_id), ret->exit);
}

static int answer_format(TaskResult *result, char **ret) {
        int r = exec_answer_format(result->exit, result->text, ret);

        if (r != -E2BIG && r != -EINVAL)
                return r;
        task_failf(result, TICKET_EXIT_BAD_OUTPUT, 0,
                   r == -EINVAL ? "it wrote something that is not UTF-8"
                                : "it wrote more than fits into an answer");
        return exec_answer_format(result->exit, result->text, ret);
}

void serve(int fd, const char *path) {
        _cleanup_(task_result_clear) TaskResult result = { 0 };
        _cleanup_free_ char *text = NULL, *answer = NULL;
        _cleanup_(ticket_clear) Ticket t = { 0 };
        _cleanup_error_ Error error = ERROR_NULL;
        size_t size = 0;

        int r = read_ticket(fd, &text, &size);
        if (r == -ENODATA || r == -ECONNRESET)
                return; /* somebody looked whether we are there */
        if (r == -E2BIG)
                (void) error_setf(&error, ERROR_DECODE, "the ticket is larger than %u bytes",
                                  CONFIG_SIZE_MAX);
        else if (r < 0)
                (void) error_set_errnof(&error, ERROR_TRY_AGAIN, r, "reading the ticket");
        else if (strlen(text) != size)
                r = error_setf(&error, ERROR_DECODE, "the ticket holds a NUL byte");
        else if ((r = ticket_parse(text, &t, &error)) == 0)
                r = error_setf(&error, ERROR_DECODE, "what came is no ticket");
        if (r < 0)
                refuse(&error, &result);
        else
                run_task(fd, &t, path, &result);

        r = answer_format(&result, &answer);
        if (r >= 0)
                r = write_answer(fd, answer);
        /* A netmgrd that is gone asks again when it is back. */
        if (r < 0 && r != -EPIPE && r != -ECONNRESET)
                log_warning("an answer was not taken: %s", strerror(-r));
}
