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

int nl_put_addr(struct nl_msg *m, int type, const InAddr *a);

/* nl-encode-link.c */
int nl_encode_veth(const NlOp *op, struct nl_msg **ret);
int nl_encode_bridge(const NlOp *op, struct nl_msg **ret);
int nl_encode_newlink(const NlOp *op, struct nl_msg **ret);
int nl_encode_link_set(const NlOp *op, struct nl_msg **ret);
int nl_encode_link_del(const NlOp *op, struct nl_msg **ret);
int nl_encode_bridge_vlan(const NlOp *op, struct nl_msg **ret);

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

/* A dump request for links, addresses, routes, rules, neighbours or counters; AF_BRIDGE: the VLANs of bridges. */
int nl_encode_dump(int type, int family, struct nl_msg **ret);
/* By name, or by index when name is NULL; in another netns when its id is not negative. */
int nl_encode_get_link(const char *name, uint32_t ifindex, int32_t netnsid, struct nl_msg **ret);
/* RTM_NEWNSID: gives another netns a number in ours. RTM_GETNSID: asks for it. */
int nl_encode_nsid(int type, int netns_fd, struct nl_msg **ret);
int nl_encode_get_route(const InAddr *dst, struct nl_msg **ret);

/* One attribute each; what is absent or of another size is left out. */
void nl_get_name(struct nlattr *a, char *ret, size_t size);
void nl_get_mac(struct nlattr *a, MacAddr *ret);
void nl_get_addr(struct nlattr *a, int family, InAddr *ret);
uint32_t nl_get_u32(struct nlattr *a);

/* Readers of one reply each. -EBADMSG for what the kernel would never say; 1: not of interest. */
int nl_parse_link(struct nlmsghdr *h, NlLink *ret);
/* With its alias, owned by caller; NULL: none. */
int nl_parse_link_alias(struct nlmsghdr *h, NlLink *ret, char **ret_alias);
int nl_parse_addr(struct nlmsghdr *h, NlAddr *ret);
int nl_parse_route(struct nlmsghdr *h, NlRoute *ret);
int nl_parse_neigh(struct nlmsghdr *h, NlNeigh *ret);
int nl_parse_rule(struct nlmsghdr *h, NlRule *ret);
int nl_parse_stat(struct nlmsghdr *h, NlStat *ret);
int nl_parse_nsid(struct nlmsghdr *h, int32_t *ret);

/* Replies that tell of several things at once: each goes to `add`, whose error ends it. */
int nl_parse_routes(struct nlmsghdr *h, int (*add)(const NlRoute *route, void *userdata),
                    void *userdata);
int nl_parse_bridge_vlans(struct nlmsghdr *h, int (*add)(const NlBridgeVlan *v, void *userdata),
                          void *userdata);

/* Real kernel, for tests: does as kernels before 6.2, which do not echo the creation of a link. */
void nl_real_forgo_echo(NlSocket *s);
