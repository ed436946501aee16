/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way to netmgrd: its private socket, peer to peer, so that no bus daemon stands between a
 * runtime and its network. Where there is no such socket the call goes to the system bus, which can
 * start netmgrd.
 *
 * When NETMGR_RUNTIME_DIR chooses an instance, the system bus belongs to that instance only if the
 * environment chooses it too; otherwise a stopped second instance would hand its work to the first.
 *
 * An ADD waits for a netmgrd that is not there yet. Every verb has a deadline of its own for the answer:
 * a runtime that kills us when its patience ends would learn nothing, and a DEL could not be spooled.
 * netmgrd sees that we have left and undoes an ADD.
 */

#include "cri/cni/call.h"

#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/cni/task.h"
#include "cri/cni/wait.h"

#define RUNTIME_DIR_DEFAULT "/run/netmgr"
#define RUNTIME_SOCKET      "runtime.sock"

#define BUS_NAME          "org.netmgr1"
#define RUNTIME_PATH      "/org/netmgr1"
#define RUNTIME_INTERFACE "org.netmgr1.Runtime"

/* What became of one attempt. */
typedef enum CallState {
        CALL_ANSWERED,    /* *ret has the answer */
        CALL_REFUSED,     /* by netmgrd or by ourselves; the failure says why */
        CALL_UNREACHABLE, /* nobody is there, and nobody got the request */
        CALL_UNANSWERED,  /* the request was sent, or somebody listens and does not react */
} CallState;

static inline void bus_closep(sd_bus **bus) {
        if (*bus)
                sd_bus_close_unref(*bus);
}
static inline void message_unrefp(sd_bus_message **m) {
        if (*m)
                sd_bus_message_unref(*m);
}

/* ---- connection ------------------------------------------------------------------------------ */

typedef struct Connection {
        sd_bus *bus;             /* owned */
        const char *destination; /* NULL: peer to peer */
        struct sockaddr_un address;
        uint64_t deadline; /* CLOCK_MONOTONIC, microseconds */
        /* for the sentences, seconds: the same, and how long an ADD waits for a netmgrd */
        uint32_t patience, wait;
        unsigned delegate_code; /* CNI code of the last plugin of others that failed, 0: it gave none */
} Connection;

static void connection_clear(Connection *c) {
        bus_closep(&c->bus);
}

/* For STATUS "netmgrd is down" is the answer; all other verbs can be tried again. */
static unsigned code_absent(const Environment *env) {
        return env->verb == VERB_STATUS ? CNI_CODE_NOT_AVAILABLE : error_cni_code(ERROR_TRY_AGAIN);
}

static CallState failure_unreachable(const Environment *env, const Connection *c, const char *why,
                                     Failure *f) {
        (void) failure_setf(f, code_absent(env), "netmgrd is not running: no answer at %s (%s)",
                            c->address.sun_path, why);
        if (env->verb == VERB_ADD)
                f->details = strf("waited %u s for it", c->wait);
        return CALL_UNREACHABLE;
}

static CallState failure_unanswered(const Environment *env, const Connection *c, Failure *f) {
        (void) failure_setf(f, code_absent(env), "netmgrd at %s gave no answer to %s within %u s%s",
                            c->address.sun_path, verb_to_string(env->verb), c->patience,
                            env->verb == VERB_ADD
                                            ? "; it undoes what it began, call DEL, then ADD again"
                                            : "");
        return CALL_UNANSWERED;
}

static int socket_address(struct sockaddr_un *ret, Failure *f) {
        const char *dir = getenv("NETMGR_RUNTIME_DIR");
        int n;

        if (isempty(dir))
                dir = RUNTIME_DIR_DEFAULT;
        *ret = (struct sockaddr_un) { .sun_family = AF_UNIX };
        n = snprintf(ret->sun_path, sizeof(ret->sun_path), "%s/" RUNTIME_SOCKET, dir);
        if (dir[0] != '/' || n < 0 || (size_t) n >= sizeof(ret->sun_path))
                return failure_setf(
                                f, error_cni_code(ERROR_BAD_ENVIRONMENT),
                                "NETMGR_RUNTIME_DIR: \"%.128s\" is not an absolute path of at most "
                                "%zu bytes",
                                dir, sizeof(ret->sun_path) - sizeof("/" RUNTIME_SOCKET));
        return 0;
}

/*
 * A connected socket, or a negative errno. Blocking until connected (-EAGAIN at the deadline): sd-bus
 * would connect without waiting and fail when the backlog of the daemon's socket is full for a moment.
 */
static int socket_connect(const struct sockaddr_un *address, uint64_t deadline) {
        uint64_t left = deadline_left(deadline);
        const struct timeval timeout = { .tv_sec = (time_t) (left / 1000000U),
                                         .tv_usec = (suseconds_t) (left % 1000000U) };
        _cleanup_close_ int fd = -EBADF;

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return -errno;
        (void) setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
        while (connect(fd, (const struct sockaddr *) address, sizeof(*address)) < 0)
                if (errno != EINTR)
                        return -errno;
        return TAKE_FD(fd);
}

static int connection_open_private(Connection *c) {
        _cleanup_(bus_closep) sd_bus *bus = NULL;
        _cleanup_close_ int fd = -EBADF;
        int r;

        fd = socket_connect(&c->address, c->deadline);
        if (fd < 0)
                return fd;
        r = sd_bus_new(&bus);
        if (r < 0)
                return r;
        r = sd_bus_set_fd(bus, fd, fd);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        r = sd_bus_start(bus);
        if (r < 0)
                return r;
        c->bus = TAKE_PTR(bus);
        return 0;
}

static bool system_bus_is_ours(void) {
        return isempty(getenv("NETMGR_RUNTIME_DIR")) || !isempty(getenv("DBUS_SYSTEM_BUS_ADDRESS"));
}

/* Until the greeting is over, or the deadline: sd_bus_call() itself would wait longer for it. */
static int connection_await(Connection *c) {
        for (;;) {
                int r = sd_bus_is_ready(c->bus);
                if (r != 0)
                        return r < 0 ? r : 0;
                r = sd_bus_process(c->bus, NULL);
                if (r < 0)
                        return r;
                if (r > 0)
                        continue;
                uint64_t left = deadline_left(c->deadline);
                if (left == 0)
                        return -ETIMEDOUT;
                r = sd_bus_wait(c->bus, left);
                if (r < 0 && r != -EINTR)
                        return r;
        }
}

/* CALL_ANSWERED: it stands. with_bus: where there is no socket, the system bus may start netmgrd. */
static CallState connection_open(const Environment *env, Connection *c, bool with_bus, Failure *f) {
        int r = connection_open_private(c);

        if ((r == -ENOENT || r == -ECONNREFUSED) && with_bus && system_bus_is_ours() &&
            sd_bus_open_system(&c->bus) >= 0) {
                c->destination = BUS_NAME;
                r = 0;
        }
        if (r == -EACCES || r == -EPERM) {
                (void) failure_setf(f, error_cni_code(ERROR_ACCESS_DENIED),
                                    "cannot connect to netmgrd at %s: %s", c->address.sun_path,
                                    strerror(-r));
                return CALL_REFUSED;
        }
        if (r >= 0)
                r = connection_await(c);
        if (r == -ETIMEDOUT || r == -EAGAIN)
                return failure_unanswered(env, c, f);
        return r < 0 ? failure_unreachable(env, c, strerror(-r), f) : CALL_ANSWERED;
}

/* ---- request --------------------------------------------------------------------------------- */

static int append_string(sd_bus_message *m, const char *key, const char *value) {
        return value ? sd_bus_message_append(m, "{sv}", key, "s", value) : 0;
}

static int append_fd(sd_bus_message *m, const char *key, int fd) {
        return fd >= 0 ? sd_bus_message_append(m, "{sv}", key, "h", fd) : 0;
}

/* Where host-local may have given out addresses, or got some back, without netmgrd. */
static int append_stamp(sd_bus_message *m, const Environment *env, const char *program,
                        const char *config) {
        _cleanup_own_config_ OwnConfig own = { 0 };
        uint64_t stamp;

        if (env->verb != VERB_ADD && env->verb != VERB_DEL && env->verb != VERB_GC)
                return 0;
        own_config_read(program, config, &own);
        stamp = host_local_stamp(&own);
        return stamp ? sd_bus_message_append(m, "{sv}", "HostLocal", "t", stamp) : 0;
}

static int request_new(const Connection *c, const Environment *env, const char *program,
                       const char *config, sd_bus_message **ret) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_method_call(c->bus, &m, c->destination, RUNTIME_PATH,
                                           RUNTIME_INTERFACE, verb_to_method(env->verb));
        if (r < 0)
                return r;
        if ((r = sd_bus_message_open_container(m, 'a', "{sv}")) < 0 ||
            (r = append_string(m, "Type", program)) < 0 ||
            (r = append_string(m, "ContainerId", env->container_id)) < 0 ||
            (r = append_string(m, "IfName", env->ifname)) < 0 ||
            (r = append_string(m, "NetnsPath", env->netns_path)) < 0 ||
            (r = append_fd(m, "Netns", env->netns_fd)) < 0 ||
            (r = append_fd(m, "HostNetns", env->host_netns_fd)) < 0 ||
            (r = append_string(m, "Args", env->args)) < 0 ||
            (r = append_string(m, "Path", env->path)) < 0 ||
            (r = append_string(m, "Config", config)) < 0 ||
            (r = append_stamp(m, env, program, config)) < 0 ||
            (r = sd_bus_message_append(m, "{sv}", "Delegates", "b", 1)) < 0 ||
            (r = sd_bus_message_close_container(m)) < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

/* ---- answer ---------------------------------------------------------------------------------- */

static bool has_prefix(const char *s, const char *prefix) {
        return strncmp(s, prefix, strlen(prefix)) == 0;
}

/* What a bus says when nobody owns the name and it could not be started. */
static bool error_is_unreachable(const char *name) {
        return streq(name, SD_BUS_ERROR_SERVICE_UNKNOWN) ||
               streq(name, SD_BUS_ERROR_NAME_HAS_NO_OWNER) || streq(name, SD_BUS_ERROR_NO_SERVER) ||
               has_prefix(name, "org.freedesktop.DBus.Error.Spawn.") ||
               has_prefix(name, "org.freedesktop.systemd1.");
}

/* The connection broke while we waited, ours to netmgrd or netmgrd's to the bus. */
static bool error_is_lost(int r, const char *name) {
        return r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE || r == -ESHUTDOWN ||
               streq(name, SD_BUS_ERROR_NO_REPLY) || streq(name, SD_BUS_ERROR_DISCONNECTED);
}

static bool error_is_late(int r, const char *name) {
        return r == -ETIMEDOUT || streq(name, SD_BUS_ERROR_TIMEOUT);
}

static CallState failure_lost(const Environment *env, const Connection *c, int r, Failure *f) {
        (void) failure_setf(f, code_absent(env),
                            "netmgrd at %s went away before it answered (%s), so the outcome is "
                            "unknown; call %s%s",
                            c->address.sun_path, strerror(-r),
                            env->verb == VERB_ADD ? "" : verb_to_string(env->verb),
                            env->verb == VERB_ADD ? "DEL, then ADD again" : " again");
        return CALL_UNANSWERED;
}

/* An error that somebody answered with. */
static int failure_answer(const Environment *env, int r, const char *name, const char *message,
                          Failure *f) {
        ErrorKind kind = error_kind_from_dbus_name(name);

        if (streq(name, SD_BUS_ERROR_LIMITS_EXCEEDED))
                return failure_setf(f, error_cni_code(ERROR_TRY_AGAIN), "%s", message);
        if (streq(name, SD_BUS_ERROR_UNKNOWN_METHOD) ||
            streq(name, SD_BUS_ERROR_UNKNOWN_INTERFACE) || streq(name, SD_BUS_ERROR_UNKNOWN_OBJECT))
                return failure_setf(f, error_cni_code(ERROR_INTERNAL),
                                    "netmgrd does not know the method " RUNTIME_INTERFACE
                                    ".%s: this plugin and netmgrd are of different versions (%s)",
                                    verb_to_method(env->verb), message);
        if (kind == ERROR_INTERNAL && !has_prefix(name, "org.netmgr1."))
                return failure_setf(f, error_cni_code(kind), "netmgrd refused %s: %s (%s)",
                                    verb_to_string(env->verb),
                                    isempty(message) ? strerror(-r) : message, name);
        return failure_setf(f, error_cni_code(kind), "%s", message);
}

static CallState failure_call(const Environment *env, const Connection *c, int r,
                              const sd_bus_error *error, Failure *f) {
        const char *name = strempty(error->name), *message = strempty(error->message);

        if (!has_prefix(name, "org.netmgr1.")) {
                if (error_is_late(r, name))
                        return failure_unanswered(env, c, f);
                if (error_is_lost(r, name))
                        return failure_lost(env, c, r, f);
                if (error_is_unreachable(name))
                        return failure_unreachable(env, c,
                                                   isempty(message) ? strerror(-r) : message, f);
        }
        (void) failure_answer(env, r, name, message, f);
        return CALL_REFUSED;
}

/* ---- call ------------------------------------------------------------------------------------ */

static uint32_t patience_default(Verb verb) {
        switch (verb) {
        case VERB_DEL:
                return PLUGIN_DEL_ANSWER_SEC;
        case VERB_STATUS:
                return PLUGIN_STATUS_ANSWER_SEC;
        default:
                return PLUGIN_ANSWER_SEC;
        }
}

/* One method call and its answer, copied to *ret. */
static CallState call_method(const Environment *env, Connection *c, sd_bus_message *m, char **ret,
                             Failure *f) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(message_unrefp) sd_bus_message *reply = NULL;
        const char *text;

        int r = sd_bus_call(c->bus, m, MAX_OF(deadline_left(c->deadline), (uint64_t) 1), &error,
                            &reply);
        if (r < 0) {
                CallState state = failure_call(env, c, r, &error, f);
                /* A plugin of others that we ran: its own code is the answer, as if the runtime had run it. */
                if (c->delegate_code &&
                    streq(strempty(error.name), error_dbus_name(ERROR_DELEGATE)))
                        f->code = c->delegate_code;
                return state;
        }
        failpoint_past("plugin-answered");
        r = sd_bus_message_read(reply, "s", &text);
        if (r < 0) {
                (void) failure_setf(f, error_cni_code(ERROR_INTERNAL),
                                    "netmgrd answered %s with something that is not a string: %s",
                                    verb_to_string(env->verb), strerror(-r));
                return CALL_REFUSED;
        }
        free(*ret);
        *ret = strdup(text);
        if (*ret)
                return CALL_ANSWERED;
        (void) failure_setf(f, error_cni_code(ERROR_NO_MEMORY), "out of memory");
        return CALL_REFUSED;
}

/* ---- tickets ---------------------------------------------------------------------------------- */

static int result_new(const Connection *c, const char *id, const TaskResult *result,
                      sd_bus_message **ret) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;

        int r = sd_bus_message_new_method_call(c->bus, &m, c->destination, RUNTIME_PATH,
                                               RUNTIME_INTERFACE, "DelegateResult");
        if (r >= 0)
                r = sd_bus_message_append(m, "sis", id, (int32_t) result->exit,
                                          strempty(result->text));
        if (r >= 0)
                *ret = TAKE_PTR(m);
        return r;
}

/* Does what the ticket asks for and says so; *ret is the answer to that. */
static CallState call_task(const Environment *env, const Ticket *t, const char *program,
                           const char *config, Connection *c, char **ret, Failure *f) {
        _cleanup_(task_result_clear) TaskResult result = { 0 };
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;

        task_run(t, env, program, config, &result);
        if (result.exit != 0 && result.code)
                c->delegate_code = result.code;
        int r = result_new(c, t->id, &result, &m);
        if (r == -EINVAL) { /* no text for D-Bus */
                task_failf(&result, TICKET_EXIT_BAD_OUTPUT, 0,
                           "it wrote something that is not UTF-8");
                r = result_new(c, t->id, &result, &m);
        }
        if (r < 0) {
                (void) failure_setf(f, error_cni_code(error_kind_from_errno(r)),
                                    "cannot tell netmgrd what came of its task: %s", strerror(-r));
                return CALL_REFUSED;
        }
        failpoint_past("plugin-delegate-result");
        /* Its patience begins anew: the time before was not netmgrd's. */
        c->deadline = deadline_in(c->patience);
        return call_method(env, c, m, ret, f);
}

/* As long as the answers are tickets. */
static CallState call_tasks(const Environment *env, const char *program, const char *config,
                            Connection *c, char **ret, Failure *f) {
        for (unsigned round = 0; round <= TICKETS_PER_REQUEST_MAX; round++) {
                _cleanup_(ticket_clear) Ticket ticket = { 0 };
                _cleanup_error_ Error error = ERROR_NULL;

                int r = ticket_parse(*ret, &ticket, &error);
                if (r == 0)
                        return CALL_ANSWERED;
                if (r < 0) {
                        (void) failure_set_error(f, &error);
                        return CALL_REFUSED;
                }
                CallState state = call_task(env, &ticket, program, config, c, ret, f);
                if (state != CALL_ANSWERED)
                        return state;
        }
        (void) failure_setf(f, error_cni_code(ERROR_INTERNAL),
                            "netmgrd asks for one task after the other, more than %u; given up",
                            TICKETS_PER_REQUEST_MAX);
        return CALL_REFUSED;
}

static CallState call_once(const Environment *env, const char *program, const char *config,
                           Connection *c, bool with_bus, char **ret, Failure *f) {
        _cleanup_(message_unrefp) sd_bus_message *m = NULL;
        _cleanup_free_ char *text = NULL;

        CallState state = connection_open(env, c, with_bus, f);
        if (state != CALL_ANSWERED)
                return state;
        int r = request_new(c, env, program, config, &m);
        if (r < 0) {
                (void) failure_setf(f, error_cni_code(error_kind_from_errno(r)),
                                    "cannot write the request to netmgrd: %s", strerror(-r));
                return CALL_REFUSED;
        }
        failpoint_past("plugin-call");
        state = call_method(env, c, m, &text, f);
        if (state == CALL_ANSWERED)
                state = call_tasks(env, program, config, c, &text, f);
        if (state == CALL_ANSWERED)
                *ret = TAKE_PTR(text);
        return state;
}

int runtime_call(const Environment *env, const char *program, const char *config, char **ret,
                 bool *ret_unanswered, Failure *f) {
        _cleanup_(socket_wait_clear) SocketWait wait = SOCKET_WAIT_NULL;
        uint32_t wait_sec, patience;
        CallState state;

        *ret_unanswered = false;
        if (seconds_from_environment("NETMGR_WAIT_SEC", PLUGIN_WAIT_SEC, &wait_sec, f) < 0 ||
            seconds_from_environment("NETMGR_ANSWER_SEC", patience_default(env->verb), &patience,
                                     f) < 0)
                return -1;
        wait.deadline = deadline_in(wait_sec);
        for (bool first = true;; first = false) {
                _cleanup_(connection_clear)
                                Connection c = { .patience = patience, .wait = wait_sec };

                if (socket_address(&c.address, f) < 0)
                        return -1;
                c.deadline = deadline_in(patience);
                state = call_once(env, program, config, &c, first, ret, f);
                if (state != CALL_UNREACHABLE || env->verb != VERB_ADD ||
                    socket_wait(&wait, c.address.sun_path) == 0)
                        break;
        }
        *ret_unanswered = state == CALL_UNREACHABLE || state == CALL_UNANSWERED;
        return state == CALL_ANSWERED ? 0 : -1;
}
