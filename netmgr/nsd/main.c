/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgr-nsd: holds the one privilege that netmgrd must not have, entering network namespaces.
 * Takes a netns descriptor from netmgrd, enters it, opens one thing, leaves, passes it back.
 * It keeps nothing: no state, no namespace, no path. Killed and started again, nobody notices.
 */

#include <fcntl.h>
#include <getopt.h>
#include <linux/capability.h>
#include <linux/netlink.h>
#include <linux/openat2.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/listen.h"
#include "base/log.h"
#include "base/version.h"
#include "nsd/protocol.h"
#include "nsd/tap.h"

/* netmgrd has one connection per worker (WORKERS_MAX) and makes new ones after a restart. */
#define CONNECTIONS_MAX 64

typedef struct Nsd {
        Listener listener;
        int signal_fd, own_netns;
        dev_t own_dev;
        ino_t own_ino;
        int connections[CONNECTIONS_MAX];
        size_t n_connections;
} Nsd;

static int open_sysctl(const char *name) {
        struct open_how how = {
                .flags = O_RDWR | O_CLOEXEC | O_NOCTTY,
                .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
        };
        /* Opened after entering: /proc/sys/net shows the namespace of who looks. */
        _cleanup_close_ int dir = open("/proc/sys/net", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir < 0)
                return -errno;
        int fd = (int) syscall(SYS_openat2, dir, name, &how, sizeof(how));
        return fd < 0 ? -errno : fd;
}

static int open_socket(int domain, int protocol) {
        int fd = socket(domain, SOCK_RAW | SOCK_CLOEXEC, protocol);
        return fd < 0 ? -errno : fd;
}

static int open_thing(const NsdRequest *q) {
        switch (q->op) {
        case NSD_OPEN_ROUTE:
                return open_socket(AF_NETLINK, NETLINK_ROUTE);
        case NSD_OPEN_NETFILTER:
                return open_socket(AF_NETLINK, NETLINK_NETFILTER);
        case NSD_OPEN_PACKET:
                return open_socket(AF_PACKET, 0);
        case NSD_OPEN_SYSCTL:
                return open_sysctl(q->name);
        case NSD_OPEN_TAP:
                return tap_open(q);
        default:
                return -EBADMSG;
        }
}

/* Enters, opens, leaves. A process that could not leave would open the next thing in a stranger's
 * namespace: it ends at once instead. */
static int open_in(const Nsd *n, int netns_fd, const NsdRequest *q) {
        dev_t dev;
        ino_t ino;

        int r = fd_is_netns(netns_fd, &dev, &ino);
        if (r < 0)
                return r;
        /* netmgrd writes the host's own sysctls itself, without more privilege than it has; and no TAP of
         * ours is the host's. */
        if ((q->op == NSD_OPEN_SYSCTL || q->op == NSD_OPEN_TAP) && dev == n->own_dev &&
            ino == n->own_ino)
                return -EPERM;
        if (setns(netns_fd, CLONE_NEWNET) < 0)
                return -errno;
        int fd = failpoint("nsd-entered");
        if (fd >= 0)
                fd = open_thing(q);
        if (setns(n->own_netns, CLONE_NEWNET) < 0) {
                log_error("cannot return to the own network namespace (%s): ending",
                          strerror(errno));
                abort();
        }
        return fd;
}

static int send_reply(int connection, int error, int fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        NsdReply reply = { .magic = NSD_MAGIC, .error = error };
        struct iovec iov = { &reply, sizeof(reply) };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (fd >= 0) {
                control.header = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)),
                                                    .cmsg_level = SOL_SOCKET,
                                                    .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control.space);
        }
        return sendmsg(connection, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* The one descriptor of a packet. The padding of the control buffer has room for a second one, which
 * the kernel then opens: all others are closed, and a packet with more than one has none. */
static int take_descriptor(struct msghdr *msg) {
        int found = -EBADF, extra = 0;

        for (struct cmsghdr *h = CMSG_FIRSTHDR(msg); h; h = CMSG_NXTHDR(msg, h)) {
                if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
                        continue;
                size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
                for (size_t i = 0; i < count; i++) {
                        int fd;
                        memcpy(&fd, CMSG_DATA(h) + i * sizeof(int), sizeof(int));
                        if (found >= 0) {
                                safe_close(fd);
                                extra++;
                        } else
                                found = fd;
                }
        }
        return extra > 0 ? safe_close(found) : found;
}

/* One request. Returns a negative errno when the connection is to be closed. */
static int serve(const Nsd *n, int connection) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        char packet[sizeof(NsdRequest) + 1]; /* one more byte tells a packet that is too long */
        struct iovec iov = { packet, sizeof(packet) };
        struct msghdr msg = { .msg_iov = &iov,
                              .msg_iovlen = 1,
                              .msg_control = &control,
                              .msg_controllen = sizeof(control.space) };
        _cleanup_close_ int netns = -EBADF, opened = -EBADF;
        NsdRequest q;

        ssize_t size = recvmsg(connection, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (size < 0)
                return errno == EAGAIN || errno == EINTR ? 0 : -errno;
        netns = take_descriptor(&msg);
        if (size == 0)
                return -ECONNRESET;
        /* The kernel closed what did not fit into the control buffer. */
        if (msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC))
                return -EBADMSG;

        int r = nsd_request_validate(packet, (size_t) size, &q);
        if (r >= 0 && netns < 0)
                r = -EBADMSG;
        if (r < 0)
                return r;
        opened = open_in(n, netns, &q);
        failpoint_past("nsd-reply");
        return send_reply(connection, opened < 0 ? opened : 0, opened);
}

static void accept_one(Nsd *n) {
        _cleanup_close_ int fd = listener_accept(&n->listener, 0);

        if (fd < 0)
                return;
        if (n->n_connections == CONNECTIONS_MAX) {
                log_warning("connection refused: %d are open", CONNECTIONS_MAX);
                return;
        }
        n->connections[n->n_connections++] = TAKE_FD(fd);
}

static int run(Nsd *n) {
        for (;;) {
                struct pollfd fds[CONNECTIONS_MAX + 2] = {
                        { .fd = n->signal_fd, .events = POLLIN },
                        { .fd = n->listener.fd, .events = POLLIN },
                };
                for (size_t i = 0; i < n->n_connections; i++)
                        fds[i + 2] = (struct pollfd) { .fd = n->connections[i], .events = POLLIN };
                if (poll(fds, n->n_connections + 2, -1) < 0) {
                        if (errno == EINTR)
                                continue;
                        return log_error_errno(errno, "poll");
                }
                if (fds[0].revents)
                        return 0;
                size_t kept = 0, count = n->n_connections;
                for (size_t i = 0; i < count; i++) {
                        if (fds[i + 2].revents && serve(n, n->connections[i]) < 0)
                                safe_close(n->connections[i]);
                        else
                                n->connections[kept++] = n->connections[i];
                }
                n->n_connections = kept;
                if (fds[1].revents)
                        accept_one(n);
        }
}

/* Keeps what setns, the sockets and the sysctls need, whatever we were started with. */
static int drop_privileges(void) {
        const uint32_t keep = 1U << CAP_SYS_ADMIN | 1U << CAP_NET_ADMIN | 1U << CAP_NET_RAW;
        struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
        struct __user_cap_data_struct data[2];

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || syscall(SYS_capget, &header, data) < 0)
                return -errno;
        if ((data[0].permitted & keep) != keep)
                return log_error_errno(EPERM, "needs CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW");
        for (int cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++)
                if (cap >= 32 || !(keep & 1U << cap))
                        (void) prctl(PR_CAPBSET_DROP, cap, 0, 0,
                                     0); /* without CAP_SETPCAP: already small */
        data[0] = (struct __user_cap_data_struct) { .effective = keep, .permitted = keep };
        data[1] = (struct __user_cap_data_struct) { 0 };
        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

static int setup(Nsd *n, const char *path, const char *peer) {
        sigset_t mask;

        n->own_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (n->own_netns < 0)
                return log_error_errno(errno, "opening the own network namespace");
        int r = fd_is_netns(n->own_netns, &n->own_dev, &n->own_ino);
        if (r < 0)
                return log_error_errno(r, "identifying the own network namespace");

        sigemptyset(&mask);
        sigaddset(&mask, SIGTERM);
        sigaddset(&mask, SIGINT);
        sigprocmask(SIG_BLOCK, &mask, NULL);
        n->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC);
        if (n->signal_fd < 0)
                return log_error_errno(errno, "signalfd");
        r = listener_open(&n->listener, path, SOCK_SEQPACKET, 16, peer);
        if (r < 0)
                return r;
        r = drop_privileges();
        return r < 0 ? log_error_errno(r, "dropping privileges") : 0;
}

int main(int argc, char **argv) {
        static const struct option options[] = {
                { "socket", required_argument, NULL, 's' },
                { "peer-user", required_argument, NULL, 'p' },
                { "version", no_argument, NULL, 'V' },
                { "help", no_argument, NULL, 'h' },
                { 0 },
        };
        const char *path = "/run/netmgr-nsd/nsd.sock", *peer = "netmgr";
        Nsd n = { .listener = LISTENER_NULL, .signal_fd = -EBADF, .own_netns = -EBADF };
        int c;

        while ((c = getopt_long(argc, argv, "h", options, NULL)) >= 0)
                switch (c) {
                case 's':
                        path = optarg;
                        break;
                case 'p':
                        peer = optarg;
                        break;
                case 'V':
                        version_print("netmgr-nsd", 0);
                        return 0;
                case 'h':
                        printf("netmgr-nsd [--socket=PATH] [--peer-user=USER] [--version]\n");
                        return 0;
                default:
                        return 2;
                }
        if (optind < argc) {
                fprintf(stderr, "netmgr-nsd: unexpected argument \"%s\"\n", argv[optind]);
                return 2;
        }
        if (setup(&n, path, peer) < 0)
                return 1;
        listener_ready();
        int r = run(&n);
        for (size_t i = 0; i < n.n_connections; i++)
                safe_close(n.connections[i]);
        listener_close(&n.listener);
        safe_close(n.signal_fd);
        safe_close(n.own_netns);
        return r < 0 ? 1 : 0;
}
