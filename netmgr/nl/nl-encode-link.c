/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Operations on links as rtnetlink messages. Source: linux/if_link.h, linux/if_bridge.h. */

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>

#include "nl/nl-internal.h"

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

int nl_encode_veth(const NlOp *op, struct nl_msg **ret) {
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

int nl_encode_bridge(const NlOp *op, struct nl_msg **ret) {
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
        if (op->bridge.vlan_filtering)
                PUT(nla_put_u8(m, IFLA_BR_VLAN_FILTERING, 1));
        if (op->bridge.no_default_pvid)
                PUT(nla_put_u16(m, IFLA_BR_VLAN_DEFAULT_PVID, 0));
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

/* What only RTM_NEWLINK changes: the settings of a port, kept by its bridge, and of a bridge. */
static int put_kind_settings(const NlOp *op, struct nl_msg *m) {
        NlLinkMask mask = op->link.mask;

        NEST(info, m, IFLA_LINKINFO);
        if (mask & NL_LINK_VLAN_FILTERING) {
                PUT(nla_put_string(m, IFLA_INFO_KIND, "bridge"));
                NEST(data, m, IFLA_INFO_DATA);
                PUT(nla_put_u8(m, IFLA_BR_VLAN_FILTERING, op->link.vlan_filtering));
                nla_nest_end(m, data);
        }
        if (mask & (NL_LINK_HAIRPIN | NL_LINK_ISOLATED)) {
                PUT(nla_put_string(m, IFLA_INFO_SLAVE_KIND, "bridge"));
                NEST(data, m, IFLA_INFO_SLAVE_DATA);
                if (mask & NL_LINK_HAIRPIN)
                        PUT(nla_put_u8(m, IFLA_BRPORT_MODE, op->link.hairpin));
                if (mask & NL_LINK_ISOLATED)
                        PUT(nla_put_u8(m, IFLA_BRPORT_ISOLATED, op->link.isolated));
                nla_nest_end(m, data);
        }
        nla_nest_end(m, info);
        return 0;
}

static void set_flag(struct ifinfomsg *ifi, bool wanted, uint32_t flag, bool on) {
        if (wanted)
                ifi->ifi_change |= flag;
        if (wanted && on)
                ifi->ifi_flags |= flag;
}

static int put_link_fields(const NlOp *op, struct nl_msg *m) {
        NlLinkMask mask = op->link.mask;

        if (mask & NL_LINK_MTU)
                PUT(nla_put_u32(m, IFLA_MTU, op->link.mtu));
        if (mask & NL_LINK_GROUP)
                PUT(nla_put_u32(m, IFLA_GROUP, op->link.group));
        if (mask & NL_LINK_MASTER)
                PUT(nla_put_u32(m, IFLA_MASTER, op->link.master_ifindex));
        if (mask & NL_LINK_MAC)
                PUT(nla_put(m, IFLA_ADDRESS, sizeof(op->link.mac.bytes), op->link.mac.bytes));
        if (mask & NL_LINK_TXQLEN)
                PUT(nla_put_u32(m, IFLA_TXQLEN, op->link.txqlen));
        /* Without the end of the string: an empty alias is none, a NUL would be one. */
        if (mask & NL_LINK_ALIAS)
                PUT(nla_put(m, IFLA_IFALIAS, op->link.alias ? (int) strlen(op->link.alias) : 0,
                            op->link.alias));
        if (mask & NL_LINK_NETNS)
                PUT(nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t) op->link.netns_fd));
        if (mask & (NL_LINK_ADDRGEN_NONE | NL_LINK_IPV4_CONF | NL_LINK_ROUTE_LOCALNET))
                PUT(put_af_spec(op, m));
        return 0;
}

int nl_encode_link_set(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC, .ifi_index = op->link.ifindex };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        NlLinkMask mask = op->link.mask;

        set_flag(&ifi, mask & NL_LINK_UP, IFF_UP, op->link.up);
        set_flag(&ifi, mask & NL_LINK_PROMISC, IFF_PROMISC, op->link.promisc);
        set_flag(&ifi, mask & NL_LINK_ALLMULTI, IFF_ALLMULTI, op->link.allmulti);
        /*
         * RTM_NEWLINK is not for anything but what needs it: older kernels take RTM_NEWLINK with a group
         * and the name of a link that is gone for "change every link of the group".
         */
        bool by_newlink = mask & NL_LINK_BY_NEWLINK;
        int r = nl_message_begin(by_newlink ? RTM_NEWLINK : RTM_SETLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        /* With an index the kernel takes IFLA_IFNAME for the name that the link shall have. */
        if (mask & NL_LINK_NAME)
                PUT(nla_put_string(m, IFLA_IFNAME, op->link.new_name));
        else if (!op->link.ifindex)
                PUT(nla_put_string(m, IFLA_IFNAME, op->link.name));
        r = put_link_fields(op, m);
        if (r >= 0 && by_newlink)
                r = put_kind_settings(op, m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_link_del(const NlOp *op, struct nl_msg **ret) {
        bool group = op->type == NL_GROUP_DEL;
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC,
                                 .ifi_index = group ? 0 : op->link.ifindex };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_DELLINK, 0, &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        if (group)
                PUT(nla_put_u32(m, IFLA_GROUP, op->group));
        else if (!op->link.ifindex)
                PUT(nla_put_string(m, IFLA_IFNAME, op->link.name));
        *ret = TAKE_PTR(m);
        return 0;
}

static int put_vxlan(const NlOp *op, struct nl_msg *m) {
        const InAddr *remote = &op->newlink.vxlan.remote, *local = &op->newlink.vxlan.local;

        PUT(nla_put_u32(m, IFLA_VXLAN_ID, op->newlink.vxlan.vni));
        if (op->newlink.vxlan.port)
                PUT(nla_put_u16(m, IFLA_VXLAN_PORT, htons(op->newlink.vxlan.port)));
        if (in_addr_is_set(remote))
                PUT(nl_put_addr(m, remote->family == AF_INET ? IFLA_VXLAN_GROUP : IFLA_VXLAN_GROUP6,
                                remote));
        if (in_addr_is_set(local))
                PUT(nl_put_addr(m, local->family == AF_INET ? IFLA_VXLAN_LOCAL : IFLA_VXLAN_LOCAL6,
                                local));
        if (op->newlink.vxlan.ttl)
                PUT(nla_put_u8(m, IFLA_VXLAN_TTL, op->newlink.vxlan.ttl));
        PUT(nla_put_u8(m, IFLA_VXLAN_LEARNING, op->newlink.vxlan.learning));
        /* This kind alone has what it stands on among its own data. */
        if (op->newlink.link_ifindex)
                PUT(nla_put_u32(m, IFLA_VXLAN_LINK, op->newlink.link_ifindex));
        return 0;
}

static int put_kind_data(const NlOp *op, struct nl_msg *m) {
        NEST(data, m, IFLA_INFO_DATA);
        switch (op->newlink.kind) {
        case NL_KIND_MACVLAN:
                PUT(nla_put_u32(m, IFLA_MACVLAN_MODE, op->newlink.macvlan.mode));
                if (op->newlink.macvlan.has_bcqueuelen)
                        PUT(nla_put_u32(m, IFLA_MACVLAN_BC_QUEUE_LEN,
                                        op->newlink.macvlan.bcqueuelen));
                break;
        case NL_KIND_IPVLAN:
                PUT(nla_put_u16(m, IFLA_IPVLAN_MODE, op->newlink.ipvlan.mode));
                break;
        case NL_KIND_VLAN:
                PUT(nla_put_u16(m, IFLA_VLAN_ID, op->newlink.vlan.id));
                break;
        case NL_KIND_VXLAN:
                PUT(put_vxlan(op, m));
                break;
        case NL_KIND_VRF:
                PUT(nla_put_u32(m, IFLA_VRF_TABLE, op->newlink.vrf.table));
                break;
        default:
                break;
        }
        nla_nest_end(m, data);
        return 0;
}

int nl_encode_newlink(const NlOp *op, struct nl_msg **ret) {
        bool here = op->newlink.netns_fd < 0;
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        /* The echo is sent in the netns where the link is born, to whoever has our port number there:
         * for a link elsewhere nl-real.c asks instead. */
        int r = nl_message_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | (here ? NLM_F_ECHO : 0),
                                 &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(put_link_common(m, op->newlink.name,
                            op->newlink.has_mac ? &op->newlink.mac : &(MacAddr) { 0 },
                            op->newlink.mtu, op->newlink.group));
        if (!here)
                PUT(nla_put_u32(m, IFLA_NET_NS_FD, (uint32_t) op->newlink.netns_fd));
        if (op->newlink.link_ifindex && op->newlink.kind != NL_KIND_VXLAN)
                PUT(nla_put_u32(m, IFLA_LINK, op->newlink.link_ifindex));
        if (op->newlink.master_ifindex)
                PUT(nla_put_u32(m, IFLA_MASTER, op->newlink.master_ifindex));
        NEST(info, m, IFLA_LINKINFO);
        PUT(nla_put_string(m, IFLA_INFO_KIND, nl_link_kind_to_string(op->newlink.kind)));
        r = put_kind_data(op, m);
        if (r < 0)
                return r;
        nla_nest_end(m, info);
        *ret = TAKE_PTR(m);
        return 0;
}

static int put_bridge_vlan(const NlOp *op, struct nl_msg *m, uint16_t vid, uint16_t range) {
        struct bridge_vlan_info vlan = { .vid = vid, .flags = range };

        if (op->bvlan.pvid)
                vlan.flags |= BRIDGE_VLAN_INFO_PVID;
        if (op->bvlan.untagged)
                vlan.flags |= BRIDGE_VLAN_INFO_UNTAGGED;
        return nla_put(m, IFLA_BRIDGE_VLAN_INFO, sizeof(vlan), &vlan);
}

int nl_encode_bridge_vlan(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_BRIDGE, .ifi_index = op->bvlan.ifindex };
        bool range = op->bvlan.vid_end > op->bvlan.vid;
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(op->type == NL_BRIDGE_VLAN_ADD ? RTM_SETLINK : RTM_DELLINK, 0,
                                 &ifi, sizeof(ifi), &m);
        if (r < 0)
                return r;
        NEST(spec, m, IFLA_AF_SPEC);
        PUT(nla_put_u16(m, IFLA_BRIDGE_FLAGS,
                        op->bvlan.self ? BRIDGE_FLAGS_SELF : BRIDGE_FLAGS_MASTER));
        PUT(put_bridge_vlan(op, m, op->bvlan.vid, range ? BRIDGE_VLAN_INFO_RANGE_BEGIN : 0));
        if (range)
                PUT(put_bridge_vlan(op, m, op->bvlan.vid_end, BRIDGE_VLAN_INFO_RANGE_END));
        nla_nest_end(m, spec);
        *ret = TAKE_PTR(m);
        return 0;
}
