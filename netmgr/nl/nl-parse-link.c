/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the kernel says of links, with what each kind adds, and of the VLANs of bridges. */

#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "nl/nl-internal.h"

static uint16_t get_u16(struct nlattr *a) {
        return a && nla_len(a) >= (int) sizeof(uint16_t) ? nla_get_u16(a) : 0;
}

static bool get_bool(struct nlattr *a) {
        return a && nla_len(a) == 1 && nla_get_u8(a);
}

static void parse_kind(struct nlattr *nest, NlLink *ret) {
        /* The numbers mean something else in each kind; this is the longest list. */
        struct nlattr *data[IFLA_BR_MAX + 1];

        if (!nest || nla_parse_nested(data, IFLA_BR_MAX, nest, NULL) < 0)
                return;
        if (streq(ret->kind, "macvlan") || streq(ret->kind, "macvtap"))
                ret->mode = nl_get_u32(data[IFLA_MACVLAN_MODE]);
        else if (streq(ret->kind, "ipvlan"))
                ret->mode = get_u16(data[IFLA_IPVLAN_MODE]);
        else if (streq(ret->kind, "vlan"))
                ret->vlan_id = get_u16(data[IFLA_VLAN_ID]);
        else if (streq(ret->kind, "vxlan")) {
                ret->vni = nl_get_u32(data[IFLA_VXLAN_ID]);
                /* What IFLA_LINK says of it is its own index. */
                ret->link = nl_get_u32(data[IFLA_VXLAN_LINK]);
        } else if (streq(ret->kind, "vrf"))
                ret->table = nl_get_u32(data[IFLA_VRF_TABLE]);
        else if (streq(ret->kind, "bridge")) {
                /* A kernel without it says 0 of the one, and nothing of the other. */
                ret->has_vlan_filtering = data[IFLA_BR_VLAN_DEFAULT_PVID];
                ret->vlan_filtering = get_bool(data[IFLA_BR_VLAN_FILTERING]);
        }
}

static void parse_linkinfo(struct nlattr *nest, NlLink *ret) {
        struct nlattr *info[IFLA_INFO_MAX + 1], *port[IFLA_BRPORT_MAX + 1];

        if (!nest || nla_parse_nested(info, IFLA_INFO_MAX, nest, NULL) < 0)
                return;
        nl_get_name(info[IFLA_INFO_KIND], ret->kind, sizeof(ret->kind));
        parse_kind(info[IFLA_INFO_DATA], ret);
        if (!info[IFLA_INFO_SLAVE_KIND] || !info[IFLA_INFO_SLAVE_DATA] ||
            nla_strcmp(info[IFLA_INFO_SLAVE_KIND], "bridge") != 0 ||
            nla_parse_nested(port, IFLA_BRPORT_MAX, info[IFLA_INFO_SLAVE_DATA], NULL) < 0)
                return;
        ret->hairpin = get_bool(port[IFLA_BRPORT_MODE]);
        ret->isolated = get_bool(port[IFLA_BRPORT_ISOLATED]);
}

int nl_parse_link_alias(struct nlmsghdr *h, NlLink *ret, char **ret_alias) {
        struct nlattr *tb[IFLA_MAX + 1];
        const struct ifinfomsg *ifi = nlmsg_data(h);

        if (h->nlmsg_type != RTM_NEWLINK)
                return 1;
        if (nlmsg_parse(h, sizeof(*ifi), tb, IFLA_MAX, NULL) < 0)
                return -EBADMSG;
        if (ifi->ifi_family != AF_UNSPEC)
                return 1;
        *ret = (NlLink) {
                .ifindex = (uint32_t) ifi->ifi_index,
                .flags = ifi->ifi_flags,
                .mtu = nl_get_u32(tb[IFLA_MTU]),
                .group = nl_get_u32(tb[IFLA_GROUP]),
                .master = nl_get_u32(tb[IFLA_MASTER]),
                .link = nl_get_u32(tb[IFLA_LINK]),
                .txqlen = nl_get_u32(tb[IFLA_TXQLEN]),
                .promiscuity = nl_get_u32(tb[IFLA_PROMISCUITY]),
                .link_netnsid = tb[IFLA_LINK_NETNSID] ? (int32_t) nl_get_u32(tb[IFLA_LINK_NETNSID])
                                                      : -1,
                .has_perm_mac = tb[IFLA_PERM_ADDRESS] &&
                                nla_len(tb[IFLA_PERM_ADDRESS]) == sizeof(ret->perm_mac.bytes),
        };
        nl_get_name(tb[IFLA_IFNAME], ret->name, sizeof(ret->name));
        nl_get_mac(tb[IFLA_ADDRESS], &ret->mac);
        nl_get_mac(tb[IFLA_PERM_ADDRESS], &ret->perm_mac);
        nl_get_name(tb[IFLA_PARENT_DEV_NAME], ret->parent_name, sizeof(ret->parent_name));
        nl_get_name(tb[IFLA_PARENT_DEV_BUS_NAME], ret->parent_bus, sizeof(ret->parent_bus));
        parse_linkinfo(tb[IFLA_LINKINFO], ret);
        if (ret_alias && tb[IFLA_IFALIAS]) {
                char *alias = strndup(nla_data(tb[IFLA_IFALIAS]),
                                      (size_t) nla_len(tb[IFLA_IFALIAS]));
                if (!alias)
                        return -ENOMEM;
                *ret_alias = alias;
        }
        return 0;
}

int nl_parse_link(struct nlmsghdr *h, NlLink *ret) {
        return nl_parse_link_alias(h, ret, NULL);
}

/* A range is told as its two ends; one alone as itself. */
int nl_parse_bridge_vlans(struct nlmsghdr *h, int (*add)(const NlBridgeVlan *v, void *userdata),
                          void *userdata) {
        const struct ifinfomsg *ifi = nlmsg_data(h);
        uint16_t begin = 0;
        struct nlattr *a;
        int left;

        if (h->nlmsg_type != RTM_NEWLINK)
                return 0;
        if (!nlmsg_valid_hdr(h, sizeof(*ifi)))
                return -EBADMSG;
        struct nlattr *spec = nlmsg_find_attr(h, sizeof(*ifi), IFLA_AF_SPEC);
        if (ifi->ifi_family != AF_BRIDGE || !spec)
                return 0;
        nla_for_each_nested(a, spec, left) {
                struct bridge_vlan_info vlan;

                if (nla_type(a) != IFLA_BRIDGE_VLAN_INFO)
                        continue;
                if (nla_len(a) != sizeof(vlan))
                        return -EBADMSG;
                memcpy(&vlan, nla_data(a), sizeof(vlan));
                if (vlan.flags & BRIDGE_VLAN_INFO_RANGE_BEGIN) {
                        begin = vlan.vid;
                        continue;
                }
                NlBridgeVlan v = {
                        .ifindex = (uint32_t) ifi->ifi_index,
                        .vid = vlan.flags & BRIDGE_VLAN_INFO_RANGE_END ? begin : vlan.vid,
                        .vid_end = vlan.vid,
                        .pvid = vlan.flags & BRIDGE_VLAN_INFO_PVID,
                        .untagged = vlan.flags & BRIDGE_VLAN_INFO_UNTAGGED,
                };
                int r = add(&v, userdata);
                if (r < 0)
                        return r;
        }
        return 0;
}
