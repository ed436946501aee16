/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The blocking client; see client.h. */

#include "nsd/client.h"

#include <linux/if_tun.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

void nsd_client_close(NsdClient *c) {
        c->fd = safe_close(c->fd);
}

static int client_connect(NsdClient *c) {
        _cleanup_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        struct timeval timeout = { .tv_sec = NSD_TIMEOUT_MS / 1000,
                                   .tv_usec = NSD_TIMEOUT_MS % 1000 * 1000 };
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        struct ucred peer;
        socklen_t size = sizeof(peer);

        if (fd < 0)
                return -errno;
        if (strlen(c->path) >= sizeof(sun.sun_path))
                return -ENAMETOOLONG;
        memcpy(sun.sun_path, c->path, strlen(c->path) + 1);
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(fd, (struct sockaddr *) &sun, sizeof(sun)) < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
                return -errno;
        if (peer.uid != 0)
                return -EPERM;
        c->fd = TAKE_FD(fd);
        return 0;
}

static int send_request(int fd, const NsdRequest *q, int netns_fd) {
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
        memcpy(CMSG_DATA(&control.header), &netns_fd, sizeof(int));
        while (sendmsg(fd, &msg, MSG_NOSIGNAL) < 0)
                if (errno != EINTR)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
        return 0;
}

/* 0 when an answer came, whatever it says; a negative errno when the connection is of no more use. */
static int receive_reply(int fd, int *ret_error, int *ret_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        NsdReply reply = { 0 };
        struct iovec iov = { &reply, sizeof(reply) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.space) };
        _cleanup_close_ int got = -EBADF;

        ssize_t n;
        do
                n = recvmsg(fd, &msg, MSG_CMSG_CLOEXEC);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        struct cmsghdr *h = CMSG_FIRSTHDR(&msg);
        if (h && h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
            h->cmsg_len == CMSG_LEN(sizeof(int)))
                memcpy(&got, CMSG_DATA(h), sizeof(int));
        if (n == 0)
                return -ECONNRESET;
        /* The descriptor came, and there was no room for it in our table. */
        if (got < 0 && msg.msg_flags & MSG_CTRUNC)
                return -EMFILE;
        if (n != (ssize_t) sizeof(reply) || reply.magic != NSD_MAGIC || reply.error > 0 ||
            (reply.error == 0) != (got >= 0))
                return -EBADMSG;
        *ret_error = reply.error;
        if (reply.error == 0)
                *ret_fd = TAKE_FD(got);
        return 0;
}

static int client_ask(NsdClient *c, int netns_fd, const NsdRequest *q, int *ret_fd) {
        int r;

        /* netmgr-nsd may have been restarted since the last call: one more try on a new connection. */
        for (bool fresh = false;; fresh = true) {
                if (c->fd < 0) {
                        fresh = true;
                        r = client_connect(c);
                        if (r < 0)
                                return r;
                }
                int error = 0;
                r = failpoint("nsd-ask");
                if (r >= 0)
                        r = send_request(c->fd, q, netns_fd);
                if (r >= 0)
                        r = failpoint("nsd-asked");
                if (r >= 0)
                        r = receive_reply(c->fd, &error, ret_fd);
                if (r >= 0)
                        return error;
                /* A late answer must not be taken for the next request's. */
                nsd_client_close(c);
                if (fresh || (r != -EPIPE && r != -ECONNRESET && r != -ENOTCONN))
                        return r;
        }
}

int nsd_client_open(NsdClient *c, int netns_fd, NsdOp op, const char *name, int *ret_fd) {
        NsdRequest q;
        int r = nsd_request_init(&q, op, name);
        return r < 0 ? r : client_ask(c, netns_fd, &q, ret_fd);
}

int nsd_client_make_tap(NsdClient *c, int netns_fd, const NsdTap *tap) {
        _cleanup_close_ int fd = -EBADF;
        NsdRequest q;

        int r = nsd_request_init_tap(&q, tap);
        if (r >= 0)
                r = client_ask(c, netns_fd, &q, &fd);
        if (r >= 0)
                r = failpoint("nsd-tap-opened");
        if (r < 0)
                return r;
        /* Only now: whoever dies before leaves nothing, and a question that is asked again finds the name
         * free. */
        return ioctl(fd, TUNSETPERSIST, 1) < 0 ? -errno : 0;
}

int nsd_client_write_sysctl(NsdClient *c, int netns_fd, const char *name, const char *value) {
        _cleanup_close_ int fd = -EBADF;
        int r = nsd_client_open(c, netns_fd, NSD_OPEN_SYSCTL, name, &fd);
        return r < 0 ? r : fd_write_all(fd, value, strlen(value));
}

int socket_netns_cookie(int fd, uint64_t *ret) {
        uint64_t cookie;
        socklen_t size = sizeof(cookie);

        if (getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) < 0)
                return -errno;
        *ret = cookie;
        return 0;
}
