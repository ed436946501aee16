/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the encoder, the parser and the socket of the real kernel. */

#include <netlink/msg.h>

#include "nl/nl-socket.h"

static inline void nl_msg_freep(struct nl_msg **m) {
        if (*m)
                nlmsg_free(*m);
}
#define _cleanup_nl_msg_ _cleanup_(nl_msg_freep)

/* One message for the op, without sequence number and NLM_F_ACK. */
int nl_encode_op(const NlOp *op, struct nl_msg **ret);

/* A message with its fixed header; attributes follow. */
int nl_message_begin(int type, int flags, const void *header, size_t size, struct nl_msg **ret);

/* nl-encode-tc.c */
int nl_encode_ifb(const NlOp *op, struct nl_msg **ret);
int nl_encode_tbf(const NlOp *op, struct nl_msg **ret);
int nl_encode_qdisc_del(const NlOp *op, struct nl_msg **ret);
int nl_encode_clsact(const NlOp *op, struct nl_msg **ret);
int nl_encode_redirect(const NlOp *op, struct nl_msg **ret);
int nl_encode_redirect_del(const NlOp *op, struct nl_msg **ret);

/* nla_put* return negative libnl codes only for lack of room. */
#define PUT(expression)                                                                            \
        do {                                                                                       \
                if ((expression) < 0)                                                              \
                        return -ENOBUFS;                                                           \
        } while (false)
#define NEST(var, m, type)                                                                         \
        struct nlattr *var = nla_nest_start((m), (type));                                          \
        if (!var)                                                                                  \
        return -ENOBUFS

/* A dump request for links, addresses, routes or neighbours. */
int nl_encode_dump(int type, int family, struct nl_msg **ret);
int nl_encode_get_link(const char *name, struct nl_msg **ret);
int nl_encode_get_route(const InAddr *dst, struct nl_msg **ret);

/* Readers of one reply each. -EBADMSG for what the kernel would never say; 1: not of interest. */
int nl_parse_link(struct nlmsghdr *h, NlLink *ret);
int nl_parse_addr(struct nlmsghdr *h, NlAddr *ret);
int nl_parse_route(struct nlmsghdr *h, NlRoute *ret);
int nl_parse_neigh(struct nlmsghdr *h, NlNeigh *ret);
