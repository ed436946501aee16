/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Typed operations to rtnetlink messages, built by libnl. */

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
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

static int put_addr(struct nl_msg *m, int type, const InAddr *a) {
        return nla_put(m, type, (int) family_bytes(a->family), a->bytes);
}

static int put_link_common(struct nl_msg *m, const char *name, const MacAddr *mac, uint32_t mtu,
                           uint32_t group) {
        PUT(nla_put_string(m, IFLA_IFNAME, name));
        if (!mac_is_zero(mac))
                PUT(nla_put(m, IFLA_ADDRESS, sizeof(mac->bytes), mac->bytes));
        if (mtu)
                PUT(nla_put_u32(m, IFLA_MTU, mtu));
        if (group)
                PUT(nla_put_u32(m, IFLA_GROUP, group));
        return 0;
}

/* One queue per direction: the default of one per CPU doubles the time of the creation. */
static int put_queues(struct nl_msg *m) {
        PUT(nla_put_u32(m, IFLA_NUM_TX_QUEUES, 1));
        PUT(nla_put_u32(m, IFLA_NUM_RX_QUEUES, 1));
        return 0;
}

static int veth_peer(const NlOp *op, struct nl_msg *m) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };

        NEST(data, m, IFLA_INFO_DATA);
        NEST(peer, m, VETH_INFO_PEER);
        PUT(nlmsg_append(m, &ifi, sizeof(ifi), NLMSG_ALIGNTO));
        PUT(put_link_common(m, op->veth.peer, &op->veth.peer_mac, op->veth.mtu, 0));
        PUT(put_queues(m));
        PUT(nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t) op->veth.peer_netns_fd));
        nla_nest_end(m, peer);
        nla_nest_end(m, data);
        return 0;
}

static int encode_veth(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        /* ECHO tells both indices: ours, and the peer's as IFLA_LINK. */
        int r = nl_message_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, &ifi,
                                 sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(put_link_common(m, op->veth.name, &op->veth.mac, op->veth.mtu, op->veth.group));
        PUT(put_queues(m));
        if (op->veth.master_ifindex)
                PUT(nla_put_u32(m, IFLA_MASTER, op->veth.master_ifindex));
        NEST(info, m, IFLA_LINKINFO);
        PUT(nla_put_string(m, IFLA_INFO_KIND, "veth"));
        r = veth_peer(op, m);
        if (r < 0)
                return r;
        nla_nest_end(m, info);
        *ret = TAKE_PTR(m);
        return 0;
}

static int encode_bridge(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(put_link_common(m, op->bridge.name, &op->bridge.mac, op->bridge.mtu, op->bridge.group));
        NEST(info, m, IFLA_LINKINFO);
        PUT(nla_put_string(m, IFLA_INFO_KIND, "bridge"));
        NEST(data, m, IFLA_INFO_DATA);
        PUT(nla_put_u8(m, IFLA_BR_MCAST_SNOOPING, op->bridge.mcast_snooping));
        nla_nest_end(m, data);
        nla_nest_end(m, info);
        *ret = TAKE_PTR(m);
        return 0;
}

static int put_conf(struct nl_msg *m, int key, uint32_t value) {
        return nla_put_u32(m, key, value);
}

/* IFLA_AF_SPEC: what otherwise needs a write to /proc/sys per link. */
static int put_af_spec(const NlOp *op, struct nl_msg *m) {
        NEST(spec, m, IFLA_AF_SPEC);
        if (op->link.mask & NL_LINK_ADDRGEN_NONE) {
                NEST(inet6, m, AF_INET6);
                PUT(nla_put_u8(m, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE));
                nla_nest_end(m, inet6);
        }
        if (op->link.mask & (NL_LINK_IPV4_CONF | NL_LINK_ROUTE_LOCALNET)) {
                NEST(inet, m, AF_INET);
                NEST(conf, m, IFLA_INET_CONF);
                if (op->link.mask & NL_LINK_IPV4_CONF) {
                        PUT(put_conf(m, IPV4_DEVCONF_ACCEPT_REDIRECTS, 0));
                        PUT(put_conf(m, IPV4_DEVCONF_SEND_REDIRECTS, 0));
                        PUT(put_conf(m, IPV4_DEVCONF_RP_FILTER, op->link.rp_filter));
                }
                if (op->link.mask & NL_LINK_ROUTE_LOCALNET)
                        PUT(put_conf(m, IPV4_DEVCONF_ROUTE_LOCALNET, op->link.route_localnet));
                nla_nest_end(m, conf);
                nla_nest_end(m, inet);
        }
        nla_nest_end(m, spec);
        return 0;
}

static int put_hairpin(const NlOp *op, struct nl_msg *m) {
        NEST(info, m, IFLA_LINKINFO);
        PUT(nla_put_string(m, IFLA_INFO_SLAVE_KIND, "bridge"));
        NEST(data, m, IFLA_INFO_SLAVE_DATA);
        PUT(nla_put_u8(m, IFLA_BRPORT_MODE, op->link.hairpin));
        nla_nest_end(m, data);
        nla_nest_end(m, info);
        return 0;
}

static int encode_link_set(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        NlLinkMask mask = op->link.mask;

        if (mask & NL_LINK_UP) {
                ifi.ifi_change |= IFF_UP;
                ifi.ifi_flags |= op->link.up ? IFF_UP : 0;
        }
        if (mask & NL_LINK_PROMISC) {
                ifi.ifi_change |= IFF_PROMISC;
                ifi.ifi_flags |= op->link.promisc ? IFF_PROMISC : 0;
        }
        /*
         * Only the port's own settings need RTM_NEWLINK. It is not for anything else: older kernels
         * take RTM_NEWLINK with a group and the name of a link that is gone for "change every link
         * of the group".
         */
        bool port = mask & NL_LINK_HAIRPIN;
        int r = nl_message_begin(port ? RTM_NEWLINK : RTM_SETLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(nla_put_string(m, IFLA_IFNAME, op->link.name));
        if (mask & NL_LINK_MTU)
                PUT(nla_put_u32(m, IFLA_MTU, op->link.mtu));
        if (mask & NL_LINK_GROUP)
                PUT(nla_put_u32(m, IFLA_GROUP, op->link.group));
        if (mask & NL_LINK_MASTER)
                PUT(nla_put_u32(m, IFLA_MASTER, op->link.master_ifindex));
        if (mask & NL_LINK_MAC)
                PUT(nla_put(m, IFLA_ADDRESS, sizeof(op->link.mac.bytes), op->link.mac.bytes));
        if (mask & (NL_LINK_ADDRGEN_NONE | NL_LINK_IPV4_CONF | NL_LINK_ROUTE_LOCALNET))
                PUT(put_af_spec(op, m));
        if (mask & NL_LINK_HAIRPIN)
                PUT(put_hairpin(op, m));
        *ret = TAKE_PTR(m);
        return 0;
}

static int encode_link_del(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_DELLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        if (op->type == NL_GROUP_DEL)
                PUT(nla_put_u32(m, IFLA_GROUP, op->group));
        else
                PUT(nla_put_string(m, IFLA_IFNAME, op->link.name));
        *ret = TAKE_PTR(m);
        return 0;
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

        if (p->address.family == AF_INET6)
                flags |= IFA_F_NODAD; /* our addresses are unique by the ledger; DAD takes a second */
        if (op->addr.noprefixroute)
                flags |= IFA_F_NOPREFIXROUTE;
        int r = nl_message_begin(add ? RTM_NEWADDR : RTM_DELADDR,
                                 add ? NLM_F_CREATE | NLM_F_REPLACE : 0, &ifa, sizeof(ifa), &m);
        if (r < 0)
                return r;
        PUT(put_addr(m, IFA_LOCAL, &p->address));
        PUT(put_addr(m, IFA_ADDRESS, &p->address));
        if (add)
                PUT(nla_put_u32(m, IFA_FLAGS, flags));
        if (add && p->address.family == AF_INET && p->length < 31) {
                InAddr broadcast = in_prefix_last(p);
                PUT(put_addr(m, IFA_BROADCAST, &broadcast));
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
                .rtm_type = RTN_UNICAST,
                .rtm_flags = op->route.onlink ? RTNH_F_ONLINK : 0,
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(add ? RTM_NEWROUTE : RTM_DELROUTE,
                                 add ? NLM_F_CREATE | (op->route.replace ? NLM_F_REPLACE
                                                                         : NLM_F_EXCL)
                                     : 0,
                                 &rtm, sizeof(rtm), &m);
        if (r < 0)
                return r;
        if (op->route.dst.length)
                PUT(put_addr(m, RTA_DST, &op->route.dst.address));
        if (in_addr_is_set(&op->route.gw))
                PUT(put_addr(m, RTA_GATEWAY, &op->route.gw));
        if (in_addr_is_set(&op->route.prefsrc))
                PUT(put_addr(m, RTA_PREFSRC, &op->route.prefsrc));
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
        PUT(put_addr(m, NDA_DST, &op->neigh.address));
        if (add)
                PUT(nla_put(m, NDA_LLADDR, sizeof(op->neigh.mac.bytes), op->neigh.mac.bytes));
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_op(const NlOp *op, struct nl_msg **ret) {
        static int (*const encoders[_NL_OP_MAX])(const NlOp *, struct nl_msg **) = {
                [NL_VETH_ADD] = encode_veth,
                [NL_BRIDGE_ADD] = encode_bridge,
                [NL_LINK_SET] = encode_link_set,
                [NL_LINK_DEL] = encode_link_del,
                [NL_GROUP_DEL] = encode_link_del,
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
        };

        if (!nl_op_is_valid(op))
                return -EINVAL;
        return encoders[op->type](op, ret);
}

int nl_encode_dump(int type, int family, struct nl_msg **ret) {
        struct rtgenmsg gen = { .rtgen_family = (uint8_t) family };
        struct ifinfomsg ifi = { .ifi_family = (uint8_t) family };
        struct rtmsg rtm = { .rtm_family = (uint8_t) family };

        if (type == RTM_GETLINK)
                return nl_message_begin(type, NLM_F_DUMP, &ifi, sizeof(ifi), ret);
        if (type == RTM_GETROUTE)
                return nl_message_begin(type, NLM_F_DUMP, &rtm, sizeof(rtm), ret);
        return nl_message_begin(type, NLM_F_DUMP, &gen, sizeof(gen), ret);
}

int nl_encode_get_link(const char *name, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_GETLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(nla_put_string(m, IFLA_IFNAME, name));
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
        PUT(put_addr(m, RTA_DST, dst));
        *ret = TAKE_PTR(m);
        return 0;
}
