/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The real kernel: one rtnetlink socket, one sendmsg() for all messages of an array. Only the last
 * asks for an acknowledgement; a message that fails answers without being asked. The kernel works
 * the messages off in order and answers in order, so the last one's answer ends the conversation.
 * Questions are nl-real-ask.c's.
 */

#include <errno.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "nl/nl-real.h"

/* Messages of one send; longer arrays go in several. Should all fail, their answers still fit the
 * default receive buffer. */
#define BATCH_MAX 128

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

int64_t nl_real_now_ms(void) {
        struct timespec ts;
        clock_gettime(CLOCK_MONOTONIC, &ts);
        return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

ssize_t nl_real_receive(RealSocket *s, Reply *reply, int64_t deadline) {
        for (;;) {
                struct sockaddr_nl from = { 0 };
                struct iovec iov = { reply->data, sizeof(reply->data) };
                struct msghdr msg = { .msg_name = &from,
                                      .msg_namelen = sizeof(from),
                                      .msg_iov = &iov,
                                      .msg_iovlen = 1 };
                struct pollfd p = { .fd = s->fd, .events = POLLIN };
                int64_t left = deadline - nl_real_now_ms();

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

int nl_real_send(RealSocket *s, struct iovec *iov, size_t n) {
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
        const NlOp *ops;      /* of `first` to `last` */
        size_t offset;        /* of the first one in the caller's array */
        bool done;
        int *error;         /* of the first op of the array that failed; 0: none yet */
        NlApplied *made;    /* indices that were echoed */
        NlApplied *applied; /* which op failed, and the kernel's words for it */
} Conversation;

/* The echo of a link's creation tells its index. */
static void on_echo(struct nlmsghdr *h, const NlOp *op, NlApplied *made) {
        NlLink link;

        if (h->nlmsg_type != RTM_NEWLINK || nl_parse_link(h, &link) != 0)
                return;
        if (op->type == NL_IFB_ADD)
                made->ifb_ifindex = link.ifindex;
        else if (op->type == NL_LINK_ADD)
                made->pod_ifindex = link.ifindex;
        else if (op->type == NL_VETH_ADD) {
                made->host_ifindex = link.ifindex;
                made->pod_ifindex = link.link;
        }
}

static int on_reply(struct nlmsghdr *h, Conversation *c) {
        size_t nth = h->nlmsg_seq - c->first;

        if (nth > c->last - c->first)
                return 0; /* an answer to something older that timed out */
        if (h->nlmsg_type != NLMSG_ERROR) {
                on_echo(h, &c->ops[nth], c->made);
                return 0;
        }
        if (h->nlmsg_len < NLMSG_LENGTH(sizeof(int)))
                return -EBADMSG;
        const struct nlmsgerr *err = nlmsg_data(h);
        if (err->error > 0)
                return -EBADMSG;
        if (err->error < 0 && *c->error == 0) {
                *c->error = err->error;
                c->applied->failed = c->offset + nth;
                copy_ext_ack(h, c->applied);
        }
        if (h->nlmsg_seq == c->last)
                c->done = true;
        return 0;
}

static int converse(RealSocket *s, Conversation *c) {
        int64_t deadline = nl_real_now_ms() + NETLINK_TIMEOUT_MS;
        Reply reply;

        while (!c->done) {
                ssize_t n = nl_real_receive(s, &reply, deadline);
                if (n < 0)
                        return (int) n;
                int left = (int) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) reply.data; nlmsg_ok(h, left);
                     h = nlmsg_next(h, &left)) {
                        int r = on_reply(h, c);
                        if (r < 0)
                                return r;
                }
        }
        return 0;
}

/* At most BATCH_MAX ops; `offset` is where they are in the caller's array. What the kernel refused first
 * is *error's; returned is what ended the conversation. */
static int apply_batch(RealSocket *s, const NlOp *ops, size_t n_ops, size_t offset, int *error,
                       NlApplied *made, NlApplied *ret) {
        struct nl_msg *messages[BATCH_MAX];
        struct iovec iov[BATCH_MAX];
        Conversation c = { .first = s->seq + 1,
                           .last = s->seq + (uint32_t) n_ops,
                           .ops = ops,
                           .offset = offset,
                           .error = error,
                           .made = made,
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
                if (s->forgo_echo)
                        h->nlmsg_flags &= (uint16_t) ~NLM_F_ECHO;
                iov[n] = (struct iovec) { h, NLMSG_ALIGN(h->nlmsg_len) };
        }
        if (r >= 0)
                r = nl_real_send(s, iov, n);
        if (r >= 0)
                r = converse(s, &c);
        for (size_t i = 0; i < n; i++)
                nlmsg_free(messages[i]);
        return r;
}

/* A link changes its name only when the message names it by index. */
static bool wants_index(const NlOp *op) {
        return op->type == NL_LINK_SET && (op->link.mask & NL_LINK_NAME) && op->link.name[0];
}

static int rename_by_name(RealSocket *s, const NlOp *op, size_t offset, int *error,
                          NlApplied *ret) {
        NlOp by_index = *op;
        NlLink link;

        int r = nl_real_get_link(&s->base, op->link.name, 0, &link, NULL);
        if (r == -ENODEV) {
                if (*error == 0)
                        ret->failed = offset;
                *error = *error ? *error : r;
                return 0;
        }
        if (r < 0)
                return r;
        by_index.link.name[0] = '\0';
        by_index.link.ifindex = (int32_t) link.ifindex;
        return apply_batch(s, &by_index, 1, offset, error, &(NlApplied) { 0 }, ret);
}

static int find_link_made(NlSocket *base, const NlOp *op, NlApplied *made) {
        const char *name = op->newlink.name;
        NlLink link;

        int r = op->newlink.netns_fd < 0
                                ? nl_real_get_link(base, name, 0, &link, NULL)
                                : nl_real_get_link_in(base, op->newlink.netns_fd, name, &link);
        if (r >= 0)
                made->pod_ifindex = link.ifindex;
        return r;
}

/* What no echo told is asked by name: of kernels before 6.2, and of a link that was born elsewhere. */
static int find_made(NlSocket *base, const NlOp *ops, size_t n_ops, NlApplied *made) {
        const NlOp *veth = NULL, *pod = NULL; /* pod: the last that made what NL_POD_END is */
        NlLink link;
        int r = 0;

        for (size_t i = 0; r >= 0 && i < n_ops; i++) {
                if (ops[i].type == NL_VETH_ADD)
                        veth = &ops[i];
                if (ops[i].type == NL_VETH_ADD || ops[i].type == NL_LINK_ADD)
                        pod = &ops[i];
                if (ops[i].type != NL_IFB_ADD || made->ifb_ifindex)
                        continue;
                r = nl_real_get_link(base, ops[i].ifb.name, 0, &link, NULL);
                if (r >= 0)
                        made->ifb_ifindex = link.ifindex;
        }
        if (r >= 0 && pod && pod->type == NL_LINK_ADD &&
            (pod->newlink.netns_fd >= 0 || made->pod_ifindex == 0))
                r = find_link_made(base, pod, made);
        if (r < 0 || !veth || made->host_ifindex)
                return r;
        r = nl_real_get_link(base, veth->veth.name, 0, &link, NULL);
        if (r < 0)
                return r;
        made->host_ifindex = link.ifindex;
        if (pod == veth)
                made->pod_ifindex = link.link;
        return 0;
}

/* The batches. What the kernel refused first is *error's; returned is what ended a conversation. */
static int apply_all(RealSocket *s, const NlOp *ops, size_t n_ops, int *error, NlApplied *made,
                     NlApplied *ret) {
        for (size_t done = 0; done < n_ops;) {
                size_t n = 0;
                int r;

                while (done + n < n_ops && n < BATCH_MAX && !wants_index(&ops[done + n]))
                        n++;
                if (n > 0)
                        r = apply_batch(s, ops + done, n, done, error, made, ret);
                else {
                        n = 1;
                        r = rename_by_name(s, &ops[done], done, error, ret);
                }
                if (r < 0)
                        return r;
                done += n;
        }
        return 0;
}

static int real_apply(NlSocket *base, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        NlApplied made = { 0 }; /* of these ops: what the caller has from others stays */
        int error = 0;

        for (size_t i = 0; i < n_ops; i++)
                if (!nl_op_is_valid(&ops[i])) {
                        ret->failed = i;
                        return -EINVAL;
                }
        int r = apply_all((RealSocket *) base, ops, n_ops, &error, &made, ret);
        if (error < 0)
                r = error;
        if (r >= 0)
                r = find_made(base, ops, n_ops, &made);
        if (made.host_ifindex)
                ret->host_ifindex = made.host_ifindex;
        if (made.pod_ifindex)
                ret->pod_ifindex = made.pod_ifindex;
        if (made.ifb_ifindex)
                ret->ifb_ifindex = made.ifb_ifindex;
        return r;
}

void nl_real_forgo_echo(NlSocket *base) {
        ((RealSocket *) base)->forgo_echo = true;
}

static const struct KernelOps real_ops = {
        .socket_from_fd = real_from_fd,
        .socket_free = real_free,
        .apply = real_apply,
        .dump = nl_real_dump,
        .get_link = nl_real_get_link,
        .get_route = nl_real_get_route,
};

Kernel kernel_real = { .ops = &real_ops };
