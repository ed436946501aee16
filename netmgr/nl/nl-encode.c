/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Typed operations to rtnetlink messages, built by libnl: addresses, routes, rules, neighbours, questions.
 * Links are nl-encode-link.c's, traffic control nl-encode-tc.c's. */

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "nl/nl-internal.h"

int nl_message_begin(int type, int flags, const void *header, size_t size, struct nl_msg **ret) {
        _cleanup_nl_msg_ struct nl_msg *m = nlmsg_alloc();
        if (!m)
                return -ENOMEM;
        struct nlmsghdr *h = nlmsg_put(m, 0, 0, type, (int) size, NLM_F_REQUEST | flags);
        if (!h)
                return -ENOBUFS;
        memcpy(nlmsg_data(h), header, size);
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_put_addr(struct nl_msg *m, int type, const InAddr *a) {
        return nla_put(m, type, (int) family_bytes(a->family), a->bytes);
}

static int encode_addr(const NlOp *op, struct nl_msg **ret) {
        const InPrefix *p = &op->addr.address;
        struct ifaddrmsg ifa = {
                .ifa_family = (uint8_t) p->address.family,
                .ifa_prefixlen = p->length,
                .ifa_scope = op->addr.scope,
                .ifa_index = (uint32_t) op->addr.ifindex,
        };
        uint32_t flags = IFA_F_PERMANENT;
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        bool add = op->type == NL_ADDR_ADD;

        if (p->address.family == AF_INET6 && !op->addr.dad)
                flags |= IFA_F_NODAD; /* our addresses are unique by the ledger; DAD takes a second */
        if (op->addr.noprefixroute)
                flags |= IFA_F_NOPREFIXROUTE;
        int r = nl_message_begin(add ? RTM_NEWADDR : RTM_DELADDR,
                                 add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &ifa, sizeof(ifa), &m);
        if (r < 0)
                return r;
        PUT(nl_put_addr(m, IFA_LOCAL, &p->address));
        PUT(nl_put_addr(m, IFA_ADDRESS, &p->address));
        if (add)
                PUT(nla_put_u32(m, IFA_FLAGS, flags));
        if (add && p->address.family == AF_INET && p->length < 31) {
                InAddr broadcast = in_prefix_last(p);
                PUT(nl_put_addr(m, IFA_BROADCAST, &broadcast));
        }
        *ret = TAKE_PTR(m);
        return 0;
}

static int put_metrics(const NlOp *op, struct nl_msg *m) {
        NEST(metrics, m, RTA_METRICS);
        if (op->route.mtu)
                PUT(nla_put_u32(m, RTAX_MTU, op->route.mtu));
        if (op->route.advmss)
                PUT(nla_put_u32(m, RTAX_ADVMSS, op->route.advmss));
        nla_nest_end(m, metrics);
        return 0;
}

static int encode_route(const NlOp *op, struct nl_msg **ret) {
        bool add = op->type == NL_ROUTE_ADD;
        uint32_t table = op->route.table ? op->route.table : RT_TABLE_MAIN;
        struct rtmsg rtm = {
                .rtm_family = (uint8_t) op->route.dst.address.family,
                .rtm_dst_len = op->route.dst.length,
                .rtm_table = table < 256 ? (uint8_t) table : RT_TABLE_UNSPEC,
                .rtm_protocol = add ? RTPROT_STATIC : RTPROT_UNSPEC,
                .rtm_scope = add ? op->route.scope : RT_SCOPE_NOWHERE, /* any */
                .rtm_type = op->route.type ? op->route.type : RTN_UNICAST,
                .rtm_flags = op->route.onlink ? RTNH_F_ONLINK : 0,
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int how = op->route.replace ? NLM_F_REPLACE : op->route.append ? NLM_F_APPEND : NLM_F_EXCL;
        int r = nl_message_begin(add ? RTM_NEWROUTE : RTM_DELROUTE, add ? NLM_F_CREATE | how : 0,
                                 &rtm, sizeof(rtm), &m);
        if (r < 0)
                return r;
        if (op->route.dst.length)
                PUT(nl_put_addr(m, RTA_DST, &op->route.dst.address));
        if (in_addr_is_set(&op->route.gw))
                PUT(nl_put_addr(m, RTA_GATEWAY, &op->route.gw));
        if (in_addr_is_set(&op->route.prefsrc))
                PUT(nl_put_addr(m, RTA_PREFSRC, &op->route.prefsrc));
        if (op->route.ifindex)
                PUT(nla_put_u32(m, RTA_OIF, (uint32_t) op->route.ifindex));
        PUT(nla_put_u32(m, RTA_TABLE, table));
        if (op->route.priority)
                PUT(nla_put_u32(m, RTA_PRIORITY, op->route.priority));
        if (op->route.mtu || op->route.advmss)
                PUT(put_metrics(op, m));
        *ret = TAKE_PTR(m);
        return 0;
}

static int encode_rule(const NlOp *op, struct nl_msg **ret) {
        bool add = op->type == NL_RULE_ADD, has_dst = in_addr_is_set(&op->rule.dst.address);
        struct fib_rule_hdr rule = {
                .family = (uint8_t) op->rule.family,
                .src_len = op->rule.has_src ? op->rule.src.length : 0,
                .dst_len = has_dst ? op->rule.dst.length : 0,
                .table = op->rule.table < 256 ? (uint8_t) op->rule.table : RT_TABLE_UNSPEC,
                .action = FR_ACT_TO_TBL,
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(add ? RTM_NEWRULE : RTM_DELRULE,
                                 add ? NLM_F_CREATE | NLM_F_EXCL : 0, &rule, sizeof(rule), &m);
        if (r < 0)
                return r;
        if (rule.src_len)
                PUT(nl_put_addr(m, FRA_SRC, &op->rule.src.address));
        if (rule.dst_len)
                PUT(nl_put_addr(m, FRA_DST, &op->rule.dst.address));
        PUT(nla_put_u32(m, FRA_TABLE, op->rule.table));
        if (op->rule.priority)
                PUT(nla_put_u32(m, FRA_PRIORITY, op->rule.priority));
        if (op->rule.iif[0])
                PUT(nla_put_string(m, FRA_IIFNAME, op->rule.iif));
        if (op->rule.oif[0])
                PUT(nla_put_string(m, FRA_OIFNAME, op->rule.oif));
        *ret = TAKE_PTR(m);
        return 0;
}

static int encode_neigh(const NlOp *op, struct nl_msg **ret) {
        bool add = op->type == NL_NEIGH_ADD;
        struct ndmsg ndm = {
                .ndm_family = (uint8_t) op->neigh.address.family,
                .ndm_ifindex = op->neigh.ifindex,
                .ndm_state = NUD_PERMANENT,
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(add ? RTM_NEWNEIGH : RTM_DELNEIGH,
                                 add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &ndm, sizeof(ndm), &m);
        if (r < 0)
                return r;
        PUT(nl_put_addr(m, NDA_DST, &op->neigh.address));
        if (add)
                PUT(nla_put(m, NDA_LLADDR, sizeof(op->neigh.mac.bytes), op->neigh.mac.bytes));
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_op(const NlOp *op, struct nl_msg **ret) {
        static int (*const encoders[_NL_OP_MAX])(const NlOp *, struct nl_msg **) = {
                [NL_VETH_ADD] = nl_encode_veth,
                [NL_BRIDGE_ADD] = nl_encode_bridge,
                [NL_LINK_SET] = nl_encode_link_set,
                [NL_LINK_DEL] = nl_encode_link_del,
                [NL_GROUP_DEL] = nl_encode_link_del,
                [NL_ADDR_ADD] = encode_addr,
                [NL_ADDR_DEL] = encode_addr,
                [NL_ROUTE_ADD] = encode_route,
                [NL_ROUTE_DEL] = encode_route,
                [NL_NEIGH_ADD] = encode_neigh,
                [NL_NEIGH_DEL] = encode_neigh,
                [NL_IFB_ADD] = nl_encode_ifb,
                [NL_TBF_SET] = nl_encode_tbf,
                [NL_TBF_DEL] = nl_encode_qdisc_del,
                [NL_CLSACT_ADD] = nl_encode_clsact,
                [NL_CLSACT_DEL] = nl_encode_qdisc_del,
                [NL_REDIRECT_ADD] = nl_encode_redirect,
                [NL_REDIRECT_DEL] = nl_encode_redirect_del,
                [NL_LINK_ADD] = nl_encode_newlink,
                [NL_BRIDGE_VLAN_ADD] = nl_encode_bridge_vlan,
                [NL_BRIDGE_VLAN_DEL] = nl_encode_bridge_vlan,
                [NL_RULE_ADD] = encode_rule,
                [NL_RULE_DEL] = encode_rule,
        };

        if (!nl_op_is_valid(op))
                return -EINVAL;
        return encoders[op->type](op, ret);
}

int nl_encode_dump(int type, int family, struct nl_msg **ret) {
        struct rtgenmsg gen = { .rtgen_family = (uint8_t) family };
        struct ifinfomsg ifi = { .ifi_family = (uint8_t) family };
        struct rtmsg rtm = { .rtm_family = (uint8_t) family };
        struct if_stats_msg stats = { .filter_mask = IFLA_STATS_FILTER_BIT(IFLA_STATS_LINK_64) };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        int r;

        /* Strict kernels want the whole fixed header of the kind that is asked for. */
        if (type == RTM_GETLINK)
                r = nl_message_begin(type, NLM_F_DUMP, &ifi, sizeof(ifi), &m);
        else if (type == RTM_GETSTATS)
                r = nl_message_begin(type, NLM_F_DUMP, &stats, sizeof(stats), &m);
        else if (type == RTM_GETROUTE || type == RTM_GETRULE)
                r = nl_message_begin(type, NLM_F_DUMP, &rtm, sizeof(rtm), &m);
        else
                r = nl_message_begin(type, NLM_F_DUMP, &gen, sizeof(gen), &m);
        if (r < 0)
                return r;
        /* Counters are half of what is told of a link, and nobody reads them here. */
        if (type == RTM_GETLINK)
                PUT(nla_put_u32(m, IFLA_EXT_MASK,
                                family == AF_BRIDGE ? RTEXT_FILTER_BRVLAN_COMPRESSED
                                                    : RTEXT_FILTER_SKIP_STATS));
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_get_link(const char *name, uint32_t ifindex, int32_t netnsid, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC,
                                 .ifi_index = name ? 0 : (int32_t) ifindex };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        if (!name && !ifindex)
                return -ENODEV;
        int r = nl_message_begin(RTM_GETLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        if (name)
                PUT(nla_put_string(m, IFLA_IFNAME, name));
        if (netnsid >= 0)
                PUT(nla_put_s32(m, IFLA_TARGET_NETNSID, netnsid));
        PUT(nla_put_u32(m, IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS));
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_nsid(int type, int netns_fd, struct nl_msg **ret) {
        struct rtgenmsg gen = { .rtgen_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(type, 0, &gen, sizeof(gen), &m);
        if (r < 0)
                return r;
        PUT(nla_put_u32(m, NETNSA_FD, (uint32_t) netns_fd));
        if (type == RTM_NEWNSID)
                PUT(nla_put_s32(m, NETNSA_NSID, -1)); /* the kernel chooses */
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_get_route(const InAddr *dst, struct nl_msg **ret) {
        struct rtmsg rtm = { .rtm_family = (uint8_t) dst->family,
                             .rtm_dst_len = (uint8_t) family_bits(dst->family) };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_GETROUTE, 0, &rtm, sizeof(rtm), &m);
        if (r < 0)
                return r;
        PUT(nl_put_addr(m, RTA_DST, dst));
        *ret = TAKE_PTR(m);
        return 0;
}
