/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See dhcp-call.h. */

#include "core/dhcp-call.h"

#include <stdio.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/failpoint.h"
#include "base/fd.h"

/* netmgr-dhcp keeps the deadline itself; one that hangs is not waited for longer than this. */
#define MARGIN_USEC 2000000U

struct DhcpCall {
        Manager *manager;
        int fd;
        DhcpOperation operation;
        sd_event_source *io, *timer;
        bool abandoned;
        DhcpAnswered done;
        void *userdata;
};

DhcpCall *dhcp_call_free(DhcpCall *c) {
        if (!c)
                return NULL;
        sd_event_source_disable_unref(c->io);
        sd_event_source_disable_unref(c->timer);
        safe_close(c->fd);
        free(c);
        return NULL;
}

/* Frees the call before its caller hears of the end, who may begin another one. */
static void call_end(DhcpCall *c, int r, const DhcpAnswer *answer, const Error *e) {
        DhcpAnswered done = c->done;
        void *userdata = c->userdata;

        dhcp_call_free(c);
        done(r, answer, e, userdata);
}

static int unreachable(Manager *m, int r, Error *e) {
        if (r == -ECONNREFUSED || r == -ENOENT)
                r = error_setf(e, ERROR_TRY_AGAIN,
                               "netmgr-dhcp does not listen on %s; start netmgr-dhcp.service",
                               m->dhcp_socket);
        else
                r = error_setf(e, ERROR_TRY_AGAIN, "netmgr-dhcp on %s does not answer: %s",
                               m->dhcp_socket, strerror(-r));
        manager_set_health(m, HEALTH_DHCP, error_message(e));
        return r;
}

static int on_answer(sd_event_source *s _unused_, int fd, uint32_t revents _unused_,
                     void *userdata) {
        DhcpCall *c = userdata;
        _cleanup_error_ Error error = ERROR_NULL;
        char packet[sizeof(DhcpAnswer) + 1]; /* one more byte tells a packet that is too long */
        DhcpAnswer answer;

        ssize_t n = recv(fd, packet, sizeof(packet), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        int r = n < 0 ? -errno : n == 0 ? -ECONNRESET : 0;
        if (r >= 0)
                r = dhcp_answer_validate(packet, (size_t) n, c->operation, &answer);
        if (r < 0) {
                r = unreachable(c->manager, r, &error);
                call_end(c, r, NULL, &error);
        } else {
                manager_set_health(c->manager, HEALTH_DHCP, NULL);
                call_end(c, 0, &answer, NULL);
        }
        return 0;
}

static int on_time(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        DhcpCall *c = userdata;
        _cleanup_error_ Error error = ERROR_NULL;

        int r = c->abandoned ? error_setf(&error, ERROR_TRY_AGAIN,
                                          "nobody waited for the DHCP server any more")
                             : unreachable(c->manager, -ETIMEDOUT, &error);
        call_end(c, r, NULL, &error);
        return 0;
}

void dhcp_call_abandon(DhcpCall *c) {
        c->abandoned = true;
        (void) sd_event_source_set_time(c->timer, 0);
}

/* A descriptor. */
static int connect_to(const char *path) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

        if (fd < 0)
                return -errno;
        if (strlen(path) >= sizeof(sun.sun_path))
                return -ENAMETOOLONG;
        memcpy(sun.sun_path, path, strlen(path) + 1);
        /* EAGAIN: so many wait already. */
        if (connect(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

int dhcp_call_probe(Manager *m, Error *e) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_close_ int fd = connect_to(m->dhcp_socket);

        if (fd >= 0) {
                manager_set_health(m, HEALTH_DHCP, NULL);
                return 0;
        }
        (void) unreachable(m, fd, &error);
        return error_setf(e, ERROR_NOT_READY, "%s", error_message(&error));
}

static int call_send(int fd, const DhcpRequest *q, int packet_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { (void *) q, sizeof(*q) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.space) };

        control.header = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)),
                                            .cmsg_level = SOL_SOCKET,
                                            .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(&control.header), &packet_fd, sizeof(int));
        return sendmsg(fd, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int dhcp_call_new(Manager *m, const DhcpRequest *q, int packet_fd, DhcpAnswered done,
                  void *userdata, DhcpCall **ret, Error *e) {
        _cleanup_(dhcp_call_freep) DhcpCall *c = new0(DhcpCall, 1);
        _cleanup_close_ int packet = packet_fd;

        if (!c)
                return error_oom(e);
        *c = (DhcpCall) { .manager = m,
                          .fd = -EBADF,
                          .operation = (DhcpOperation) q->operation,
                          .done = done,
                          .userdata = userdata };
        int r = failpoint("dhcp-ask");
        if (r >= 0)
                r = c->fd = connect_to(m->dhcp_socket);
        if (r >= 0)
                r = call_send(c->fd, q, packet);
        if (r < 0)
                return unreachable(m, r, e);
        uint64_t until = now_boottime() + q->deadline_ms * 1000ULL + MARGIN_USEC;
        r = sd_event_add_io(m->event, &c->io, c->fd, EPOLLIN, on_answer, c);
        if (r >= 0)
                r = sd_event_add_time(m->event, &c->timer, CLOCK_BOOTTIME, until, 10000, on_time,
                                      c);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "waiting for netmgr-dhcp");
        *ret = TAKE_PTR(c);
        return 0;
}
