/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A session on a socket, with a clock. Nothing survives. */

#include "cri/crid/grpc-call.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "cri/crid/grpc.h"

struct GrpcCall {
        GrpcSession *session;
        int fd;
        sd_event_source *io, *timer;
        const uint8_t *output; /* of the session, not sent yet */
        size_t output_size;
        GrpcDone done;
        void *userdata;
};

GrpcCall *grpc_call_free(GrpcCall *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->timer);
        safe_close(c->fd);
        grpc_session_free(c->session);
        free(c);
        return NULL;
}

static void call_end(GrpcCall *c, int r, Error *e) {
        const uint8_t *message = NULL;
        size_t size = 0;

        c->io = sd_event_source_disable_unref(c->io);
        c->timer = sd_event_source_disable_unref(c->timer);
        if (r >= 0)
                r = grpc_session_result(c->session, &message, &size, e);
        c->done(r, e, message, size, c->userdata);
}

/* 0: sent, or the socket is full. */
static int call_flush(GrpcCall *c, Error *e) {
        for (;;) {
                if (c->output_size == 0) {
                        int r = grpc_session_output(c->session, &c->output, &c->output_size);
                        if (r < 0)
                                return error_set_errnof(e, ERROR_DECODE, r, "HTTP/2");
                        if (c->output_size == 0)
                                break;
                }
                ssize_t n = send(c->fd, c->output, c->output_size, MSG_NOSIGNAL | MSG_DONTWAIT);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0)
                        return error_set_errnof(e, ERROR_TRY_AGAIN, errno, "sending");
                c->output += n;
                c->output_size -= (size_t) n;
        }
        (void) sd_event_source_set_io_events(c->io, EPOLLIN | (c->output_size > 0 ? EPOLLOUT : 0));
        return 0;
}

/* 1: go on; 0: the other side has closed. */
static int call_receive(GrpcCall *c, Error *e) {
        uint8_t buf[65536];
        ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);

        if (n < 0)
                return errno == EAGAIN || errno == EINTR
                                       ? 1
                                       : error_set_errnof(e, ERROR_TRY_AGAIN, errno, "receiving");
        if (n == 0)
                return 0;
        int r = grpc_session_input(c->session, buf, (size_t) n, e);
        return r < 0 ? r : 1;
}

static int on_io(sd_event_source *source _unused_, int fd _unused_, uint32_t revents,
                 void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        GrpcCall *c = userdata;
        int r = 1;

        if (revents & (EPOLLIN | EPOLLHUP | EPOLLERR))
                r = call_receive(c, &error);
        if (r > 0 && !grpc_session_is_done(c->session)) {
                r = call_flush(c, &error);
                if (r >= 0)
                        r = 1;
        }
        if (r <= 0 || grpc_session_is_done(c->session))
                call_end(c, r, &error);
        return 0;
}

static int on_timeout(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        GrpcCall *c = userdata;

        call_end(c,
                 error_setf(&error, ERROR_TRY_AGAIN, "no answer within %u s",
                            GRPC_TIMEOUT_MS / 1000),
                 &error);
        return 0;
}

static int call_connect(GrpcCall *c, const char *path, Error *e) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };

        if (strlen(path) >= sizeof(sun.sun_path))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: too long for a socket", path);
        memcpy(sun.sun_path, path, strlen(path) + 1);
        c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (c->fd < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, errno, "socket");
        /* Never "in progress" on a Unix socket: a full backlog is an error (EAGAIN) like another. */
        if (connect(c->fd, (const struct sockaddr *) &sun, sizeof(sun)) < 0)
                return error_set_errnof(e, ERROR_TRY_AGAIN, errno, "connecting to %s", path);
        return 0;
}

int grpc_call_start(sd_event *event, const char *socket_path, const char *method,
                    const void *request, size_t size, GrpcDone done, void *userdata, GrpcCall **ret,
                    Error *e) {
        _cleanup_(grpc_call_freep) GrpcCall *c = new0(GrpcCall, 1);

        if (!c)
                return error_oom(e);
        c->fd = -EBADF;
        c->done = done;
        c->userdata = userdata;
        int r = call_connect(c, socket_path, e);
        if (r < 0)
                return r;
        if (grpc_session_new(method, request, size, CRI_MESSAGE_MAX, &c->session) < 0)
                return error_oom(e);
        r = sd_event_add_io(event, &c->io, c->fd, EPOLLIN | EPOLLOUT, on_io, c);
        if (r >= 0)
                r = sd_event_add_time_relative(event, &c->timer, CLOCK_MONOTONIC,
                                               GRPC_TIMEOUT_MS * 1000ULL, 0, on_timeout, c);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "watching %s", socket_path);
        *ret = TAKE_PTR(c);
        return 0;
}
