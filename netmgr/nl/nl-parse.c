/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* rtnetlink replies to plain structs. Replies are input like any other: libnl's policies check every
 * attribute's size before it is read. */

#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>
#include <stdio.h>

#include "nl/nl-internal.h"

static void get_name(struct nlattr *a, char *ret, size_t size) {
        if (a)
                (void) nla_strlcpy(ret, a, size);
}

static void get_mac(struct nlattr *a, MacAddr *ret) {
        if (a && nla_len(a) == sizeof(ret->bytes))
                memcpy(ret->bytes, nla_data(a), sizeof(ret->bytes));
}

static void get_addr(struct nlattr *a, int family, InAddr *ret) {
        if (!a || (family != AF_INET && family != AF_INET6) ||
            nla_len(a) != (int) family_bytes(family))
                return;
        ret->family = family;
        memcpy(ret->bytes, nla_data(a), family_bytes(family));
}

static uint32_t get_u32(struct nlattr *a) {
        return a && nla_len(a) >= (int) sizeof(uint32_t) ? nla_get_u32(a) : 0;
}

int nl_parse_link(struct nlmsghdr *h, NlLink *ret) {
        struct nlattr *tb[IFLA_MAX + 1], *info[IFLA_INFO_MAX + 1], *port[IFLA_BRPORT_MAX + 1];
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
                .mtu = get_u32(tb[IFLA_MTU]),
                .group = get_u32(tb[IFLA_GROUP]),
                .master = get_u32(tb[IFLA_MASTER]),
                .link = get_u32(tb[IFLA_LINK]),
        };
        get_name(tb[IFLA_IFNAME], ret->name, sizeof(ret->name));
        get_mac(tb[IFLA_ADDRESS], &ret->mac);
        if (!tb[IFLA_LINKINFO] ||
            nla_parse_nested(info, IFLA_INFO_MAX, tb[IFLA_LINKINFO], NULL) < 0)
                return 0;
        get_name(info[IFLA_INFO_KIND], ret->kind, sizeof(ret->kind));
        if (info[IFLA_INFO_SLAVE_KIND] && info[IFLA_INFO_SLAVE_DATA] &&
            nla_strcmp(info[IFLA_INFO_SLAVE_KIND], "bridge") == 0 &&
            nla_parse_nested(port, IFLA_BRPORT_MAX, info[IFLA_INFO_SLAVE_DATA], NULL) >= 0 &&
            port[IFLA_BRPORT_MODE] && nla_len(port[IFLA_BRPORT_MODE]) == 1)
                ret->hairpin = nla_get_u8(port[IFLA_BRPORT_MODE]) != 0;
        return 0;
}

int nl_parse_addr(struct nlmsghdr *h, NlAddr *ret) {
        struct nlattr *tb[IFA_MAX + 1];
        const struct ifaddrmsg *ifa = nlmsg_data(h);

        if (h->nlmsg_type != RTM_NEWADDR)
                return 1;
        if (nlmsg_parse(h, sizeof(*ifa), tb, IFA_MAX, NULL) < 0)
                return -EBADMSG;
        *ret = (NlAddr) { .ifindex = ifa->ifa_index,
                          .scope = ifa->ifa_scope,
                          .flags = tb[IFA_FLAGS] ? get_u32(tb[IFA_FLAGS]) : ifa->ifa_flags };
        get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family,
                 &ret->address.address);
        if (!in_addr_is_set(&ret->address.address) ||
            ifa->ifa_prefixlen > family_bits(ifa->ifa_family))
                return 1;
        ret->address.length = ifa->ifa_prefixlen;
        return 0;
}

int nl_parse_route(struct nlmsghdr *h, NlRoute *ret) {
        struct nlattr *tb[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
        const struct rtmsg *rtm = nlmsg_data(h);

        if (h->nlmsg_type != RTM_NEWROUTE)
                return 1;
        if (nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
                return -EBADMSG;
        if ((rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) ||
            (rtm->rtm_flags & RTM_F_CLONED) || rtm->rtm_dst_len > family_bits(rtm->rtm_family))
                return 1;
        *ret = (NlRoute) {
                .ifindex = get_u32(tb[RTA_OIF]),
                .dst = { .address.family = rtm->rtm_family, .length = rtm->rtm_dst_len },
                .table = tb[RTA_TABLE] ? get_u32(tb[RTA_TABLE]) : rtm->rtm_table,
                .priority = get_u32(tb[RTA_PRIORITY]),
                .scope = rtm->rtm_scope,
                .type = rtm->rtm_type,
                .protocol = rtm->rtm_protocol,
        };
        get_addr(tb[RTA_DST], rtm->rtm_family, &ret->dst.address);
        get_addr(tb[RTA_GATEWAY], rtm->rtm_family, &ret->gw);
        get_addr(tb[RTA_PREFSRC], rtm->rtm_family, &ret->prefsrc);
        if (tb[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) >= 0) {
                ret->mtu = get_u32(metrics[RTAX_MTU]);
                ret->advmss = get_u32(metrics[RTAX_ADVMSS]);
        }
        return 0;
}

int nl_parse_neigh(struct nlmsghdr *h, NlNeigh *ret) {
        struct nlattr *tb[NDA_MAX + 1];
        const struct ndmsg *ndm = nlmsg_data(h);

        if (h->nlmsg_type != RTM_NEWNEIGH)
                return 1;
        if (nlmsg_parse(h, sizeof(*ndm), tb, NDA_MAX, NULL) < 0)
                return -EBADMSG;
        *ret = (NlNeigh) { .ifindex = (uint32_t) ndm->ndm_ifindex, .state = ndm->ndm_state };
        get_addr(tb[NDA_DST], ndm->ndm_family, &ret->address);
        get_mac(tb[NDA_LLADDR], &ret->mac);
        return in_addr_is_set(&ret->address) ? 0 : 1;
}
