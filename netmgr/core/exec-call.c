/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See exec-call.h; the format is that of cri/exec-answer.h. */

#include "core/exec-call.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/exec-answer.h"
#include "cri/result.h"

#define READ_PIECE 16384U

typedef struct ExecCalls {
        Manager *manager;
        List running; /* ExecCall */
        unsigned n_running;
        List waiting; /* Question: their askers own them */
        unsigned n_waiting;
} ExecCalls;

typedef struct ExecCall {
        List list;
        ExecCalls *calls;
        Question *question;
        int fd;
        sd_event_source *io, *timer;
        char *ticket; /* owned; NULL once it is written */
        size_t ticket_size, written;
        char *answer; /* owned */
        size_t answer_size, allocated;
} ExecCall;

static ExecCall *call_free(ExecCall *c) {
        if (list_is_linked(&c->list)) {
                list_unlink(&c->list);
                c->calls->n_running--;
        }
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->timer);
        safe_close(c->fd);
        free(c->ticket);
        free(c->answer);
        free(c);
        return NULL;
}
DEFINE_CLEANUP(ExecCall *, call_free)

/* ---- reaching it ------------------------------------------------------------------------------ */

/* A descriptor. It never blocks: EAGAIN, when as many wait already as the socket's queue takes. */
static int connect_to(const char *path) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(sun.sun_path))
                return -ENAMETOOLONG;
        memcpy(sun.sun_path, path, strlen(path) + 1);
        if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0 ||
            getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        return peer.uid == 0 ? TAKE_FD(fd) : -EPERM;
}

/* Tells Health, and who asked; owned by caller, NULL when out of memory. */
static char *unreachable(Manager *m, int r) {
        char *text = r == -ECONNREFUSED || r == -ENOENT
                                     ? strf("netmgr-exec does not listen on %s, and is needed to tell "
                                            "plugins of others about what has ended; start "
                                            "netmgr-exec.service",
                                            m->exec_socket)
                                     : strf("netmgr-exec on %s cannot be reached: %s",
                                            m->exec_socket, strerror(-r));

        if (text)
                manager_set_health(m, HEALTH_EXEC, text);
        return text;
}

/* Whether it is about netmgr-exec, and not about us. */
static bool is_unreachable(int r) {
        return r != -ENOMEM && r != -E2BIG && r != -EMFILE && r != -ENFILE;
}

bool exec_is_reachable(const Manager *m) {
        _cleanup_close_ int fd = m->exec_calls ? connect_to(m->exec_socket) : -ECANCELED;

        return fd >= 0;
}

bool task_can_be_asked(const Manager *m, const Conversation *talk) {
        return conversation_is_open(talk) || exec_is_reachable(m);
}

/* ---- one call --------------------------------------------------------------------------------- */

static void start_waiting(ExecCalls *calls);

/* Frees the call before its asker hears of the end, and begins the next one before that, too. */
static void call_end(ExecCall *c, int r, const ExecAnswer *answer) {
        const TaskAnswer told = { .exit = answer ? answer->exit : 0,
                                  .text = answer ? answer->text : NULL };
        ExecCalls *calls = c->calls;
        Question *q = c->question;

        call_free(c);
        start_waiting(calls);
        q->answered(q, r, answer ? &told : NULL);
}

static void call_answered(ExecCall *c) {
        _cleanup_(exec_answer_clear) ExecAnswer answer = { 0 };

        /* Killed in the middle, it says nothing. */
        int r = c->answer_size == 0 ? -ECONNRESET
                                    : exec_answer_parse(c->answer, c->answer_size, &answer, NULL);
        failpoint_past("exec-answered");
        call_end(c, r, r < 0 ? NULL : &answer);
}

/* 1: there may be more to come. */
static int call_read(ExecCall *c) {
        if (GREEDY_REALLOC(c->answer, c->allocated, c->answer_size + READ_PIECE) < 0)
                return -ENOMEM;
        ssize_t n = recv(c->fd, c->answer + c->answer_size, READ_PIECE, MSG_DONTWAIT);
        if (n < 0 && errno == ECONNRESET)
                n = 0; /* it answered without reading all of the ticket */
        if (n < 0)
                return errno == EAGAIN || errno == EINTR ? 1 : -errno;
        c->answer_size += (size_t) n;
        if (c->answer_size > CONFIG_SIZE_MAX)
                return -E2BIG;
        return n > 0;
}

/* 1: there is more to write. Who answers before he has read all of it has his reasons, and tells them. */
static int call_write(ExecCall *c) {
        ssize_t n = send(c->fd, c->ticket + c->written, c->ticket_size - c->written,
                         MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 1;
        c->written += n > 0 ? (size_t) n : 0;
        if (n >= 0 && c->written < c->ticket_size)
                return 1;
        free(TAKE_PTR(c->ticket));
        (void) shutdown(c->fd, SHUT_WR);
        return 0;
}

static int on_io(sd_event_source *source, int fd _unused_, uint32_t revents _unused_,
                 void *userdata) {
        ExecCall *c = userdata;
        int r;

        if (c->ticket) {
                if (call_write(c) == 0 && sd_event_source_set_io_events(source, EPOLLIN) < 0)
                        call_end(c, -ENOMEM, NULL);
                return 0;
        }
        r = call_read(c);
        if (r < 0)
                call_end(c, r, NULL);
        else if (r == 0)
                call_answered(c);
        return 0;
}

static int on_time(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        call_end(userdata, -ETIMEDOUT, NULL);
        return 0;
}

static int call_start(ExecCalls *calls, Question *q) {
        _cleanup_(call_freep) ExecCall *c = new0(ExecCall, 1);
        Manager *m = calls->manager;

        if (!c)
                return -ENOMEM;
        c->calls = calls;
        c->question = q;
        c->fd = -EBADF;
        q->ticket.id = (char *) ""; /* for whoever is asked over the bus */
        int r = ticket_format(&q->ticket, &c->ticket);
        q->ticket.id = NULL;
        if (r >= 0)
                r = failpoint("exec-ask");
        if (r >= 0)
                r = c->fd = connect_to(m->exec_socket);
        if (r >= 0)
                r = sd_event_add_io(m->event, &c->io, c->fd, EPOLLOUT, on_io, c);
        if (r >= 0)
                r = sd_event_add_time_relative(m->event, &c->timer, CLOCK_MONOTONIC,
                                               q->ticket.timeout_ms * 1000ULL +
                                                               TICKET_GRACE_SEC * 1000000ULL,
                                               0, on_time, c);
        if (r < 0)
                return r;
        c->ticket_size = strlen(c->ticket);
        calls->n_running++;
        list_append(&calls->running, &c->list);
        TAKE_PTR(c);
        manager_set_health(m, HEALTH_EXEC, NULL);
        failpoint_past("exec-asked");
        return 0;
}

/* ---- the queue -------------------------------------------------------------------------------- */

static Question *take_first(List *questions) {
        Question *q = list_first(questions, Question, list);

        if (q)
                list_unlink(&q->list);
        return q;
}

/* Nothing of it was done, and it is known why. */
static void refuse(ExecCalls *calls, List *refused, int r) {
        _cleanup_free_ char *why = is_unreachable(r) ? unreachable(calls->manager, r)
                                                     : strdup(strerror(-r)),
                            *text = NULL;
        Question *q;

        (void) cni_error_to_json(NULL, error_cni_code(ERROR_TRY_AGAIN), strempty(why), NULL, &text);
        while ((q = take_first(refused)))
                q->answered(q, 0,
                            &(TaskAnswer) { .exit = TICKET_EXIT_NOT_STARTED,
                                            .text = strempty(text) });
}

static void start_waiting(ExecCalls *calls) {
        Question *q;

        while (calls->n_running < EXEC_CALLS_MAX && (q = take_first(&calls->waiting))) {
                List refused;

                calls->n_waiting--;
                int r = call_start(calls, q);
                if (r >= 0)
                        continue;
                /* One whose own ticket is at fault is one; without netmgr-exec it is all. */
                list_init(&refused);
                list_append(&refused, &q->list);
                while (is_unreachable(r) && (q = take_first(&calls->waiting))) {
                        calls->n_waiting--;
                        list_append(&refused, &q->list);
                }
                refuse(calls, &refused, r);
        }
}

bool exec_ask(Manager *m, Question *q) {
        ExecCalls *calls = m->exec_calls;

        if (!calls || m->stopping)
                return false;
        /* Nobody here knows better (delegate_ask_del()). */
        if (q->ticket.originals && !q->ticket.netns)
                q->ticket.netns = (char *) "";
        if (calls->n_running < EXEC_CALLS_MAX) {
                int r = call_start(calls, q);
                if (r < 0 && is_unreachable(r))
                        free(unreachable(m, r));
                return r >= 0;
        }
        if (calls->n_waiting >= EXEC_WAITING_MAX)
                return false;
        list_append(&calls->waiting, &q->list);
        calls->n_waiting++;
        return true;
}

bool task_ask(Manager *m, Conversation *talk, Question *q) {
        return conversation_ask(talk, q) || exec_ask(m, q);
}

/* ---- life ------------------------------------------------------------------------------------- */

int exec_calls_new(Manager *m) {
        ExecCalls *calls = new0(ExecCalls, 1);

        if (!calls)
                return -ENOMEM;
        calls->manager = m;
        list_init(&calls->running);
        list_init(&calls->waiting);
        m->exec_calls = calls;
        return 0;
}

void exec_calls_free(Manager *m) {
        ExecCalls *calls = TAKE_PTR(m->exec_calls);
        ExecCall *c;
        Question *q;

        if (!calls)
                return;
        while ((c = list_first(&calls->running, ExecCall, list))) {
                q = c->question;
                call_free(c);
                q->answered(q, -ECANCELED, NULL);
        }
        while ((q = take_first(&calls->waiting)))
                q->answered(q, -ECANCELED, NULL);
        free(calls);
}
