/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The real socket, on libmnl; see nft-socket.h. Nothing of it survives a crash but the tables. */

#include "policy/nft-socket.h"

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/table.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/limits.h"

typedef struct RealSocket {
        NftSocket socket; /* first member */
        struct mnl_socket *nl;
        uint32_t seq; /* of questions; batches count for themselves */
} RealSocket;

static const NftSocketOps real_ops;

static int receive(RealSocket *s, void *buffer, size_t size) {
        ssize_t n;

        do
                n = mnl_socket_recvfrom(s->nl, buffer, size);
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        return (int) n;
}

/* Answers that nobody waits for any more; the kernel queues all of them before sendto() returns. That
 * some of them were lost (ENOBUFS) is told once, before those that are there. */
static void drain(int fd) {
        uint8_t byte;

        while (recv(fd, &byte, sizeof(byte), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
               errno == EINTR)
                ;
}

/* Sequence numbers wrap around; a batch is far shorter than half of them. */
static bool is_of_batch(const NftBatch *b, uint32_t seq) {
        return seq - b->first_seq < b->seq - b->first_seq;
}

/*
 * The kernel answers a batch with every error that it met and with the acknowledgement that the last
 * message asked for, in one go; a batch that failed as a whole is answered with its first number.
 */
static int read_answer(RealSocket *s, NftBatch *b) {
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        uint32_t last = b->seq - 2; /* before the batch's end */
        int first_error = 0;
        bool done = false;

        while (!done) {
                int left = receive(s, buffer, sizeof(buffer));
                if (left < 0) {
                        /* The next question must not find this batch's answers. */
                        drain(mnl_socket_get_fd(s->nl));
                        return first_error ? first_error : left;
                }
                for (struct nlmsghdr *h = (void *) buffer; mnl_nlmsg_ok(h, left);
                     h = mnl_nlmsg_next(h, &left)) {
                        if (h->nlmsg_type != NLMSG_ERROR || !is_of_batch(b, h->nlmsg_seq) ||
                            mnl_nlmsg_get_payload_len(h) < sizeof(struct nlmsgerr))
                                continue;
                        const struct nlmsgerr *err = mnl_nlmsg_get_payload(h);
                        if (err->error < 0 && first_error == 0) {
                                first_error = err->error;
                                b->failed_seq = h->nlmsg_seq;
                        }
                        done |= err->error < 0 || h->nlmsg_seq == last;
                }
        }
        drain(mnl_socket_get_fd(s->nl));
        return first_error;
}

static int real_send(NftSocket *socket, NftBatch *b) {
        RealSocket *s = (RealSocket *) socket;
        struct sockaddr_nl kernel = { .nl_family = AF_NETLINK };
        int fd = mnl_socket_get_fd(s->nl), size = 0;
        socklen_t len = sizeof(size);
        ssize_t n;

        /* A full resync of many attachments is one message to the socket. */
        if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, &len) < 0)
                return -errno;
        if (b->size + 4096 > (size_t) size) {
                size = (int) MIN_OF(b->size + 4096, (size_t) INT32_MAX / 2);
                if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
                        return -errno;
        }
        int r = failpoint("nft-send");
        if (r < 0)
                return r;
        do
                n = sendto(fd, b->buffer, b->size, 0, (struct sockaddr *) &kernel, sizeof(kernel));
        while (n < 0 && errno == EINTR);
        if (n < 0)
                return -errno;
        r = failpoint("nft-sent");
        if (r < 0) {
                drain(fd); /* the answer was lost */
                return r;
        }
        return read_answer(s, b);
}

static int read_table(const struct nlmsghdr *h, void *data) {
        NftTableState *ret = data;
        struct nftnl_table *t = nftnl_table_alloc();

        if (!t)
                return MNL_CB_ERROR;
        if (nftnl_table_nlmsg_parse(h, t) >= 0) {
                ret->exists = true;
                ret->flags = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS);
                if (nftnl_table_is_set(t, NFTNL_TABLE_OWNER))
                        ret->owner = nftnl_table_get_u32(t, NFTNL_TABLE_OWNER);
        }
        nftnl_table_free(t);
        return MNL_CB_OK;
}

static int real_get_table(NftSocket *socket, const NftTable *t, NftTableState *ret) {
        RealSocket *s = (RealSocket *) socket;
        uint8_t buffer[NETLINK_BUFFER_SIZE] __attribute__((aligned(8)));
        struct nftnl_table *table = nftnl_table_alloc();

        *ret = (NftTableState) { 0 };
        if (!table || nftnl_table_set_str(table, NFTNL_TABLE_NAME, t->name) < 0) {
                if (table)
                        nftnl_table_free(table);
                return -ENOMEM;
        }
        uint32_t seq = ++s->seq;
        struct nlmsghdr *h = nftnl_nlmsg_build_hdr((char *) buffer, NFT_MSG_GETTABLE, t->family,
                                                   NLM_F_ACK, seq);
        nftnl_table_nlmsg_build_payload(h, table);
        nftnl_table_free(table);
        drain(mnl_socket_get_fd(s->nl));
        if (mnl_socket_sendto(s->nl, h, h->nlmsg_len) < 0)
                return -errno;
        for (int r = MNL_CB_OK; r > MNL_CB_STOP;) {
                int n = receive(s, buffer, sizeof(buffer));
                if (n < 0)
                        return n;
                r = mnl_cb_run(buffer, (size_t) n, seq, mnl_socket_get_portid(s->nl), read_table,
                               ret);
                if (r < 0)
                        return errno == ENOENT ? 0 : -errno;
        }
        return 0;
}

static uint32_t real_port_id(NftSocket *s) {
        return mnl_socket_get_portid(((RealSocket *) s)->nl);
}

static void real_close(NftSocket *socket) {
        RealSocket *s = (RealSocket *) socket;

        if (s->nl)
                mnl_socket_close(s->nl);
        free(s);
}

static const NftSocketOps real_ops = {
        .send = real_send,
        .get_table = real_get_table,
        .port_id = real_port_id,
        .close = real_close,
};

int nft_socket_open(int fd, NftSocket **ret, Error *e) {
        struct timeval timeout = { .tv_sec = NETLINK_TIMEOUT_MS / 1000 };
        int on = 1;
        RealSocket *s = new0(RealSocket, 1);

        if (!s)
                return error_oom(e);
        s->socket.ops = &real_ops;
        s->seq = 0x40000000U; /* apart from the batches' */
        s->nl = fd >= 0 ? mnl_socket_fdopen(fd) : mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
        if (!s->nl || (fd < 0 && mnl_socket_bind(s->nl, 0, MNL_SOCKET_AUTOPID) < 0)) {
                int r = -errno;
                real_close(&s->socket);
                return error_set_errnof(e, ERROR_KERNEL, r, "opening the nftables socket");
        }
        fd = mnl_socket_get_fd(s->nl);
        drain(fd); /* what the last owner of the socket did not read */
        /* An error would come with the whole message that it is about, up to 64 KiB of elements. */
        if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0 ||
            setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on)) < 0) {
                int r = -errno;
                real_close(&s->socket);
                return error_set_errnof(e, ERROR_KERNEL, r, "preparing the nftables socket");
        }
        *ret = &s->socket;
        return 0;
}

NftSocket *nft_socket_close(NftSocket *s) {
        if (s)
                s->ops->close(s);
        return NULL;
}

int nft_socket_fd(const NftSocket *s) {
        return s->ops == &real_ops ? mnl_socket_get_fd(((const RealSocket *) s)->nl) : -EBADF;
}
