/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See listeners.h. Source: linux/inet_diag.h, sock_diag(7). */

#include "nl/listeners.h"

#include <arpa/inet.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "nl/listener-name.h"

/* Headers of older kernels do not have it (Linux 5.10). */
#define DIAG_CGROUP_ID 21

typedef struct Search {
        const ListenerQuery *queries;
        size_t n;
        uint8_t protocol;
        /* One bit per port that is asked about: a host may have more sockets than there are queries,
         * and nearly none of them is of interest. */
        uint8_t ports[(UINT16_MAX + 1) / 8];
        Listener *found;
        uint64_t cgroup, inode;
} Search;

/* An IPv6 socket on ::ffff:192.0.2.1 takes IPv4 packets only: Java's way to listen. */
static InAddr local_address(const struct inet_diag_msg *m) {
        const uint8_t *src = (const uint8_t *) m->id.idiag_src;
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        InAddr a = { .family = m->idiag_family };

        if (m->idiag_family == AF_INET6 && memcmp(src, mapped, sizeof(mapped)) == 0) {
                a.family = AF_INET;
                src += sizeof(mapped);
        }
        memcpy(a.bytes, src, family_bytes(a.family));
        return a;
}

/* A socket on :: takes IPv4 as well, unless it said that it wants IPv6 only. */
static bool holds(const InAddr *bound, bool v6only, const InAddr *wanted) {
        if (bound->family == wanted->family)
                return in_addr_is_unspecified(bound) || in_addr_is_unspecified(wanted) ||
                       in_addr_equal(bound, wanted);
        return bound->family == AF_INET6 && in_addr_is_unspecified(bound) && !v6only;
}

static const struct rtattr *attribute(const struct nlmsghdr *h, unsigned short type) {
        const struct inet_diag_msg *m = NLMSG_DATA(h);
        int left = (int) (h->nlmsg_len - NLMSG_LENGTH(sizeof(*m)));

        for (const struct rtattr *a = (const struct rtattr *) (m + 1); RTA_OK(a, left);
             a = RTA_NEXT(a, left))
                if ((a->rta_type & NLA_TYPE_MASK) == type)
                        return a;
        return NULL;
}

static bool on_socket(const struct nlmsghdr *h, Search *s) {
        const struct inet_diag_msg *m = NLMSG_DATA(h);
        const struct rtattr *a;
        bool v6only = false;

        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(*m)) ||
            (m->idiag_family != AF_INET && m->idiag_family != AF_INET6))
                return false;
        uint16_t port = ntohs(m->id.idiag_sport);
        if (!(s->ports[port / 8] & 1U << port % 8))
                return false;
        /* A connected UDP socket takes the packets of its peer only. */
        if (s->protocol == IPPROTO_UDP && m->id.idiag_dport != 0)
                return false;
        InAddr bound = local_address(m);
        a = attribute(h, INET_DIAG_SKV6ONLY);
        if (a && RTA_PAYLOAD(a) >= 1)
                v6only = *(const uint8_t *) RTA_DATA(a);
        for (size_t i = 0; i < s->n; i++) {
                const ListenerQuery *q = &s->queries[i];
                if (q->protocol != s->protocol || q->port != port ||
                    !holds(&bound, v6only, &q->host))
                        continue;
                *s->found = (Listener) { .query = i, .address = bound, .uid = m->idiag_uid };
                s->inode = m->idiag_inode;
                a = attribute(h, DIAG_CGROUP_ID);
                if (a && RTA_PAYLOAD(a) >= sizeof(s->cgroup))
                        memcpy(&s->cgroup, RTA_DATA(a), sizeof(s->cgroup));
                return true;
        }
        return false;
}

static int send_request(int fd, uint8_t protocol, uint8_t family) {
        struct {
                struct nlmsghdr h;
                struct inet_diag_req_v2 q;
        } request = {
                .h = { .nlmsg_len = sizeof(request),
                       .nlmsg_type = SOCK_DIAG_BY_FAMILY,
                       .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP },
                .q = { .sdiag_family = family,
                       .sdiag_protocol = protocol,
                       /* listening TCP; UDP sockets that are bound are in state "close" */
                       .idiag_states = protocol == IPPROTO_TCP ? 1U << TCP_LISTEN
                                                               : 1U << TCP_CLOSE },
        };
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };

        ssize_t n = sendto(fd, &request, sizeof(request), 0, (struct sockaddr *) &kernel,
                           sizeof(kernel));
        return n < 0 ? -errno : 0;
}

/* 1: found; the rest of the dump goes with the socket. */
static int ask(uint8_t family, Search *s) {
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        int r = send_request(fd, s->protocol, family);
        while (r >= 0) {
                ssize_t n = recv(fd, buffer, sizeof(buffer), 0);
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EAGAIN ? -ETIMEDOUT : -errno;
                size_t left = (size_t) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) buffer; NLMSG_OK(h, left);
                     h = NLMSG_NEXT(h, left)) {
                        if (h->nlmsg_type == NLMSG_DONE)
                                return 0;
                        if (h->nlmsg_type == NLMSG_ERROR) {
                                const struct nlmsgerr *err = NLMSG_DATA(h);
                                return h->nlmsg_len < NLMSG_LENGTH(sizeof(*err)) ? -EBADMSG
                                                                                 : err->error;
                        }
                        if (h->nlmsg_type == SOCK_DIAG_BY_FAMILY && on_socket(h, s))
                                return 1;
                }
        }
        return r;
}

/* Marks the ports of the protocol; whether a socket of the family can hold one of them. */
static bool prepare(Search *s, uint8_t protocol, uint8_t family) {
        bool asked = false;

        memset(s->ports, 0, sizeof(s->ports));
        s->protocol = protocol;
        for (size_t i = 0; i < s->n; i++) {
                const ListenerQuery *q = &s->queries[i];
                if (q->protocol != protocol)
                        continue;
                s->ports[q->port / 8] |= (uint8_t) (1U << q->port % 8);
                /* IPv4 ports are held by sockets of both families. */
                asked = asked || family == AF_INET6 || q->host.family == AF_INET;
        }
        return asked;
}

int listeners_find(const ListenerQuery *queries, size_t n, Listener *ret, Error *e) {
        static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
        static const uint8_t families[] = { AF_INET, AF_INET6 };
        Search s = { .queries = queries, .n = n, .found = ret };

        for (size_t p = 0; p < ELEMENTSOF(protocols); p++)
                for (size_t f = 0; f < ELEMENTSOF(families); f++) {
                        if (!prepare(&s, protocols[p], families[f]))
                                continue;
                        int r = ask(families[f], &s);
                        if (r == -ENOENT || r == -EAFNOSUPPORT)
                                continue; /* a kernel without the family, or without sock_diag for it */
                        if (r < 0)
                                return error_set_errnof(e, ERROR_KERNEL, r,
                                                        "listing the host's sockets");
                        if (r > 0) {
                                listener_name(ret->uid, s.inode, s.cgroup, ret->who,
                                              sizeof(ret->who));
                                return 1;
                        }
                }
        return 0;
}
