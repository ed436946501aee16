/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The real kernel: one rtnetlink socket, one sendmsg() for all messages of an array. Only the last
 * asks for an acknowledgement; a message that fails answers without being asked. The kernel works
 * the messages off in order and answers in order, so the last one's answer ends the conversation.
 */

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "nl/nl-internal.h"

/* Messages of one send; longer arrays go in several. Should all fail, their answers still fit the
 * default receive buffer. */
#define BATCH_MAX 128
/* A dump that a change interrupted may have missed something or tell it twice: asked again so often,
 * then taken as it is (a busy node changes faster than thousands of links can be told; kernels of today
 * walk by index and miss nothing that stays). */
#define DUMP_TRIES 8

typedef struct RealSocket {
        NlSocket base; /* first member */
        int fd;
        uint32_t seq; /* of the last message sent */
} RealSocket;

/* For replies. On the stack of whoever asks: an ADD keeps its socket while it waits for others, and a
 * thousand of them shall not keep this as well. */
typedef struct Reply {
        char data[NETLINK_BUFFER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
} Reply;

int kernel_open_fd(void) {
        int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
        return fd < 0 ? -errno : fd;
}

static int real_from_fd(Kernel *k, int fd, NlSocket **ret) {
        struct sockaddr_nl local = { .nl_family = AF_NETLINK };
        int one = 1;

        RealSocket *s = new0(RealSocket, 1);
        if (!s)
                return -ENOMEM;
        /* Errors shall not repeat our message, but carry the kernel's words. */
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
        (void) setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &one, sizeof(one));
        if (bind(fd, (struct sockaddr *) &local, sizeof(local)) < 0 && errno != EINVAL) {
                int r = -errno;
                free(s);
                return r;
        }
        s->base.kernel = k;
        s->fd = fd;
        *ret = &s->base;
        return 0;
}

static NlSocket *real_free(NlSocket *base) {
        RealSocket *s = (RealSocket *) base;

        safe_close(s->fd);
        free(s);
        return NULL;
}

static int64_t now_ms(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* One datagram from the kernel itself; its size, or a negative errno. */
static ssize_t receive(RealSocket *s, Reply *reply, int64_t deadline) {
        for (;;) {
                struct sockaddr_nl from = { 0 };
                struct iovec iov = { reply->data, sizeof(reply->data) };
                struct msghdr msg = { .msg_name = &from,
                                      .msg_namelen = sizeof(from),
                                      .msg_iov = &iov,
                                      .msg_iovlen = 1 };
                struct pollfd p = { .fd = s->fd, .events = POLLIN };
                int64_t left = deadline - now_ms();

                ssize_t n = recvmsg(s->fd, &msg, MSG_DONTWAIT);
                if (n < 0 && errno == EAGAIN) {
                        if (left <= 0)
                                return -ETIMEDOUT;
                        if (poll(&p, 1, (int) left) < 0 && errno != EINTR)
                                return -errno;
                        continue;
                }
                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (msg.msg_flags & MSG_TRUNC)
                        return -EBADMSG;
                if (from.nl_pid == 0)
                        return n;
        }
}

static int send_messages(RealSocket *s, struct iovec *iov, size_t n) {
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        struct msghdr msg = {
                .msg_name = &kernel, .msg_namelen = sizeof(kernel), .msg_iov = iov, .msg_iovlen = n
        };

        while (sendmsg(s->fd, &msg, 0) < 0)
                if (errno != EINTR)
                        return -errno;
        return 0;
}

static void copy_ext_ack(struct nlmsghdr *h, NlApplied *ret) {
        struct nlattr *tb[NLMSGERR_ATTR_MAX + 1];
        int offset = (int) sizeof(struct nlmsgerr);

        if (!(h->nlmsg_flags & NLM_F_ACK_TLVS) ||
            nlmsg_parse(h, offset, tb, NLMSGERR_ATTR_MAX, NULL) < 0)
                return;
        if (tb[NLMSGERR_ATTR_MSG])
                (void) nla_strlcpy(ret->message, tb[NLMSGERR_ATTR_MSG], sizeof(ret->message));
}

typedef struct Conversation {
        uint32_t first, last; /* sequence numbers */
        size_t offset;        /* of the first one's op in the caller's array */
        int error;            /* of the first message that failed */
        bool done;
        NlApplied *applied;
} Conversation;

static int on_reply(struct nlmsghdr *h, Conversation *c) {
        NlLink link;

        if (h->nlmsg_seq - c->first > c->last - c->first)
                return 0; /* an answer to something older that timed out */
        if (h->nlmsg_type != NLMSG_ERROR) {
                /* The echo of a link's creation. */
                if (h->nlmsg_type == RTM_NEWLINK && nl_parse_link(h, &link) == 0) {
                        if (streq(link.kind, "ifb"))
                                c->applied->ifb_ifindex = link.ifindex;
                        else {
                                c->applied->host_ifindex = link.ifindex;
                                c->applied->pod_ifindex = link.link;
                        }
                }
                return 0;
        }
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(int)))
                return -EBADMSG;
        const struct nlmsgerr *err = nlmsg_data(h);
        if (err->error > 0)
                return -EBADMSG;
        if (err->error < 0 && c->error == 0) {
                c->error = err->error;
                c->applied->failed = c->offset + (h->nlmsg_seq - c->first);
                copy_ext_ack(h, c->applied);
        }
        if (h->nlmsg_seq == c->last)
                c->done = true;
        return 0;
}

static int converse(RealSocket *s, Conversation *c) {
        int64_t deadline = now_ms() + NETLINK_TIMEOUT_MS;
        Reply reply;

        while (!c->done) {
                ssize_t n = receive(s, &reply, deadline);
                if (n < 0)
                        return c->error ? c->error : (int) n;
                int left = (int) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) reply.data; nlmsg_ok(h, left);
                     h = nlmsg_next(h, &left)) {
                        int r = on_reply(h, c);
                        if (r < 0)
                                return r;
                }
        }
        return c->error;
}

/* At most BATCH_MAX ops; `offset` is where they are in the caller's array. */
static int apply_batch(RealSocket *s, const NlOp *ops, size_t n_ops, size_t offset,
                       NlApplied *ret) {
        struct nl_msg *messages[BATCH_MAX];
        struct iovec iov[BATCH_MAX];
        Conversation c = { .first = s->seq + 1,
                           .last = s->seq + (uint32_t) n_ops,
                           .offset = offset,
                           .applied = ret };
        size_t n = 0;
        int r = 0;

        for (; n < n_ops; n++) {
                r = nl_encode_op(&ops[n], &messages[n]);
                if (r < 0) {
                        ret->failed = offset + n;
                        break;
                }
                struct nlmsghdr *h = nlmsg_hdr(messages[n]);
                h->nlmsg_seq = ++s->seq;
                if (n + 1 == n_ops)
                        h->nlmsg_flags |= NLM_F_ACK;
                iov[n] = (struct iovec) { h, NLMSG_ALIGN(h->nlmsg_len) };
        }
        if (r >= 0)
                r = send_messages(s, iov, n);
        if (r >= 0)
                r = converse(s, &c);
        for (size_t i = 0; i < n; i++)
                nlmsg_free(messages[i]);
        return r;
}

static int real_get_link(NlSocket *base, const char *name, NlLink *ret);

/* Kernels before 6.2 do not echo the creation of a link: asked by name instead. */
static int find_made(NlSocket *base, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        const NlOp *veth = NULL;
        NlLink link;

        for (size_t i = 0; i < n_ops; i++) {
                if (ops[i].type == NL_VETH_ADD)
                        veth = &ops[i];
                if (ops[i].type != NL_IFB_ADD || ret->ifb_ifindex)
                        continue;
                int r = real_get_link(base, ops[i].ifb.name, &link);
                if (r < 0)
                        return r;
                ret->ifb_ifindex = link.ifindex;
        }
        if (!veth || ret->host_ifindex)
                return 0;
        int r = real_get_link(base, veth->veth.name, &link);
        if (r < 0)
                return r;
        ret->host_ifindex = link.ifindex;
        ret->pod_ifindex = link.link;
        return 0;
}

static int real_apply(NlSocket *base, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        for (size_t done = 0; done < n_ops;) {
                size_t n = MIN_OF(n_ops - done, (size_t) BATCH_MAX);
                int r = apply_batch((RealSocket *) base, ops + done, n, done, ret);
                if (r < 0)
                        return r;
                done += n;
        }
        return find_made(base, ops, n_ops, ret);
}

/* Sends one question and hands every reply to `on`; ends with DONE, an error, or the first reply when
 * it was no dump. 1: something changed while the kernel dumped. */
static int ask(RealSocket *s, struct nl_msg *m, bool dump,
               int (*on)(struct nlmsghdr *h, void *userdata), void *userdata) {
        struct nlmsghdr *q = nlmsg_hdr(m);
        struct iovec iov = { q, NLMSG_ALIGN(q->nlmsg_len) };
        int64_t deadline = now_ms() + NETLINK_TIMEOUT_MS;
        bool interrupted = false;
        Reply reply;

        q->nlmsg_seq = ++s->seq;
        int r = send_messages(s, &iov, 1);
        if (r < 0)
                return r;
        for (;;) {
                ssize_t n = receive(s, &reply, deadline);
                if (n < 0)
                        return (int) n;
                int left = (int) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) reply.data; nlmsg_ok(h, left);
                     h = nlmsg_next(h, &left)) {
                        if (h->nlmsg_seq != s->seq)
                                continue;
                        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                                interrupted = true;
                        /* Both begin with an errno; the end of a dump may carry one, too. */
                        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                                const struct nlmsgerr *err = nlmsg_data(h);
                                if (h->nlmsg_len < NLMSG_LENGTH(sizeof(int)) || err->error > 0)
                                        return -EBADMSG;
                                return err->error < 0 ? err->error : interrupted;
                        }
                        r = on(h, userdata);
                        if (r < 0 || !dump)
                                return r;
                }
        }
}

/* One list that grows while a dump is read. */
#define DEFINE_COLLECT(func, Type, array, count, parse)                                            \
        static int func(struct nlmsghdr *h, void *userdata) {                                      \
                NlDump *d = userdata;                                                              \
                Type item;                                                                         \
                int r = parse(h, &item);                                                           \
                if (r != 0)                                                                        \
                        return r < 0 ? r : 0;                                                      \
                if ((d->count & (d->count - 1)) == 0) {                                            \
                        size_t room = d->count ? d->count * 2 : 1;                                 \
                        Type *more = reallocarray(d->array, room, sizeof(Type));                   \
                        if (!more)                                                                 \
                                return -ENOMEM;                                                    \
                        d->array = more;                                                           \
                }                                                                                  \
                d->array[d->count++] = item;                                                       \
                return 0;                                                                          \
        }
DEFINE_COLLECT(collect_link, NlLink, links, n_links, nl_parse_link)
DEFINE_COLLECT(collect_addr, NlAddr, addrs, n_addrs, nl_parse_addr)
DEFINE_COLLECT(collect_neigh, NlNeigh, neighs, n_neighs, nl_parse_neigh)
DEFINE_COLLECT(collect_any_route, NlRoute, routes, n_routes, nl_parse_route)

static int collect_main_route(struct nlmsghdr *h, void *userdata) {
        NlRoute route;
        int r = nl_parse_route(h, &route);

        if (r != 0)
                return r < 0 ? r : 0;
        return route.table == RT_TABLE_MAIN && route.type == RTN_UNICAST
                               ? collect_any_route(h, userdata)
                               : 0;
}

static int dump_once(RealSocket *s, NlDumpMask mask, NlDump *ret) {
        const struct {
                NlDumpMask mask;
                int type;
                int (*collect)(struct nlmsghdr *h, void *userdata);
        } parts[] = {
                { NL_DUMP_LINKS, RTM_GETLINK, collect_link },
                { NL_DUMP_ADDRS, RTM_GETADDR, collect_addr },
                { NL_DUMP_ROUTES, RTM_GETROUTE,
                  mask & NL_DUMP_ALL_TABLES ? collect_any_route : collect_main_route },
                { NL_DUMP_NEIGHS, RTM_GETNEIGH, collect_neigh },
        };
        NlDump d = { 0 };
        int interrupted = 0;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                _cleanup_nl_msg_ struct nl_msg *m = NULL;

                if (!(mask & parts[i].mask))
                        continue;
                int r = nl_encode_dump(parts[i].type, AF_UNSPEC, &m);
                if (r >= 0)
                        r = ask(s, m, true, parts[i].collect, &d);
                if (r < 0) {
                        kernel_dump_clear(&d);
                        return r;
                }
                interrupted |= r;
        }
        *ret = d;
        return interrupted;
}

static int real_dump(NlSocket *base, NlDumpMask mask, NlDump *ret) {
        NlDump d = { 0 };
        int r = 1;

        for (int i = 0; r > 0 && i < DUMP_TRIES; i++) {
                kernel_dump_clear(&d);
                r = dump_once((RealSocket *) base, mask, &d);
        }
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

static int take_link(struct nlmsghdr *h, void *userdata) {
        return nl_parse_link(h, userdata) == 0 ? 0 : -EBADMSG;
}

static int real_get_link(NlSocket *base, const char *name, NlLink *ret) {
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        int r = nl_encode_get_link(name, &m);
        return r < 0 ? r : ask((RealSocket *) base, m, false, take_link, ret);
}

static int take_route(struct nlmsghdr *h, void *userdata) {
        /* The answer to a lookup is a cloned route: read here, not by nl_parse_route(). */
        struct nlattr *tb[RTA_MAX + 1];
        const struct rtmsg *rtm = nlmsg_data(h);
        NlRoute *route = userdata;

        if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
                return -EBADMSG;
        if (tb[RTA_OIF] && nla_len(tb[RTA_OIF]) >= (int) sizeof(uint32_t))
                route->ifindex = nla_get_u32(tb[RTA_OIF]);
        if (tb[RTA_PREFSRC] && nla_len(tb[RTA_PREFSRC]) == (int) family_bytes(rtm->rtm_family)) {
                route->prefsrc.family = rtm->rtm_family;
                memcpy(route->prefsrc.bytes, nla_data(tb[RTA_PREFSRC]),
                       family_bytes(rtm->rtm_family));
        }
        return 0;
}

static int real_get_route(NlSocket *base, const InAddr *dst, uint32_t *ret_ifindex,
                          InAddr *ret_source) {
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        NlRoute route = { 0 };
        int r = nl_encode_get_route(dst, &m);

        if (r >= 0)
                r = ask((RealSocket *) base, m, false, take_route, &route);
        if (r < 0)
                return r;
        *ret_ifindex = route.ifindex;
        *ret_source = route.prefsrc;
        return 0;
}

static const struct KernelOps real_ops = {
        .socket_from_fd = real_from_fd,
        .socket_free = real_free,
        .apply = real_apply,
        .dump = real_dump,
        .get_link = real_get_link,
        .get_route = real_get_route,
};

Kernel kernel_real = { .ops = &real_ops };
