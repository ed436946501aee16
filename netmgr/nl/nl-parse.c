/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* rtnetlink replies to plain structs; links are nl-parse-link.c's. Replies are input like any other: every
 * attribute's size is looked at before it is read. */

#include <linux/fib_rules.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/net_namespace.h>
#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "nl/nl-internal.h"

void nl_get_name(struct nlattr *a, char *ret, size_t size) {
        if (a)
                (void) nla_strlcpy(ret, a, size);
}

void nl_get_mac(struct nlattr *a, MacAddr *ret) {
        if (a && nla_len(a) == sizeof(ret->bytes))
                memcpy(ret->bytes, nla_data(a), sizeof(ret->bytes));
}

void nl_get_addr(struct nlattr *a, int family, InAddr *ret) {
        if (!a || (family != AF_INET && family != AF_INET6) ||
            nla_len(a) != (int) family_bytes(family))
                return;
        ret->family = family;
        memcpy(ret->bytes, nla_data(a), family_bytes(family));
}

uint32_t nl_get_u32(struct nlattr *a) {
        return a && nla_len(a) >= (int) sizeof(uint32_t) ? nla_get_u32(a) : 0;
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
                          .flags = tb[IFA_FLAGS] ? nl_get_u32(tb[IFA_FLAGS]) : ifa->ifa_flags };
        nl_get_addr(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], ifa->ifa_family,
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
                .ifindex = nl_get_u32(tb[RTA_OIF]),
                .dst = { .address.family = rtm->rtm_family, .length = rtm->rtm_dst_len },
                .table = tb[RTA_TABLE] ? nl_get_u32(tb[RTA_TABLE]) : rtm->rtm_table,
                .priority = nl_get_u32(tb[RTA_PRIORITY]),
                .scope = rtm->rtm_scope,
                .type = rtm->rtm_type,
                .protocol = rtm->rtm_protocol,
        };
        nl_get_addr(tb[RTA_DST], rtm->rtm_family, &ret->dst.address);
        nl_get_addr(tb[RTA_GATEWAY], rtm->rtm_family, &ret->gw);
        nl_get_addr(tb[RTA_PREFSRC], rtm->rtm_family, &ret->prefsrc);
        if (tb[RTA_METRICS] && nla_parse_nested(metrics, RTAX_MAX, tb[RTA_METRICS], NULL) >= 0) {
                ret->mtu = nl_get_u32(metrics[RTAX_MTU]);
                ret->advmss = nl_get_u32(metrics[RTAX_ADVMSS]);
        }
        return 0;
}

/* One route per next hop, each with what the hop says in place of what the route says. */
static int each_hop(struct nlattr *hops, const NlRoute *route,
                    int (*add)(const NlRoute *route, void *userdata), void *userdata) {
        struct rtnexthop *h = nla_data(hops);
        int left = nla_len(hops);

        while (RTNH_OK(h, left)) {
                struct nlattr *tb[RTA_MAX + 1];
                NlRoute one = *route;

                if (nla_parse(tb, RTA_MAX, (struct nlattr *) RTNH_DATA(h),
                              (int) (h->rtnh_len - sizeof(*h)), NULL) < 0)
                        return -EBADMSG;
                one.ifindex = (uint32_t) h->rtnh_ifindex;
                nl_get_addr(tb[RTA_GATEWAY], route->dst.address.family, &one.gw);
                int r = add(&one, userdata);
                if (r < 0)
                        return r;
                left -= (int) RTNH_ALIGN(h->rtnh_len);
                h = RTNH_NEXT(h);
        }
        return 0;
}

int nl_parse_routes(struct nlmsghdr *h, int (*add)(const NlRoute *route, void *userdata),
                    void *userdata) {
        NlRoute route;
        int r = nl_parse_route(h, &route);

        if (r != 0)
                return r < 0 ? r : 0;
        struct nlattr *hops = nlmsg_find_attr(h, sizeof(struct rtmsg), RTA_MULTIPATH);
        return hops ? each_hop(hops, &route, add, userdata) : add(&route, userdata);
}

int nl_parse_stat(struct nlmsghdr *h, NlStat *ret) {
        struct nlattr *tb[IFLA_STATS_MAX + 1];
        const struct if_stats_msg *head = nlmsg_data(h);
        struct rtnl_link_stats64 all = { 0 };

        if (h->nlmsg_type != RTM_NEWSTATS)
                return 1;
        if (nlmsg_parse(h, sizeof(*head), tb, IFLA_STATS_MAX, NULL) < 0)
                return -EBADMSG;
        struct nlattr *a = tb[IFLA_STATS_LINK_64];
        if (!a)
                return 1;
        /* Counters at its end come with newer kernels, and go with older ones. */
        memcpy(&all, nla_data(a), MIN_OF((size_t) nla_len(a), sizeof(all)));
        *ret = (NlStat) { .ifindex = head->ifindex,
                          .rx_bytes = all.rx_bytes,
                          .tx_bytes = all.tx_bytes };
        return 0;
}

int nl_parse_rule(struct nlmsghdr *h, NlRule *ret) {
        struct nlattr *tb[FRA_MAX + 1];
        const struct fib_rule_hdr *rule = nlmsg_data(h);

        if (h->nlmsg_type != RTM_NEWRULE)
                return 1;
        if (nlmsg_parse(h, sizeof(*rule), tb, FRA_MAX, NULL) < 0)
                return -EBADMSG;
        if ((rule->family != AF_INET && rule->family != AF_INET6) ||
            rule->src_len > family_bits(rule->family) || rule->dst_len > family_bits(rule->family))
                return 1;
        *ret = (NlRule) {
                .family = rule->family,
                .table = tb[FRA_TABLE] ? nl_get_u32(tb[FRA_TABLE]) : rule->table,
                .priority = nl_get_u32(tb[FRA_PRIORITY]),
                .action = rule->action,
        };
        nl_get_addr(tb[FRA_SRC], rule->family, &ret->src.address);
        nl_get_addr(tb[FRA_DST], rule->family, &ret->dst.address);
        ret->has_src = in_addr_is_set(&ret->src.address);
        ret->src.length = ret->has_src ? rule->src_len : 0;
        ret->dst.length = in_addr_is_set(&ret->dst.address) ? rule->dst_len : 0;
        nl_get_name(tb[FRA_IIFNAME], ret->iif, sizeof(ret->iif));
        nl_get_name(tb[FRA_OIFNAME], ret->oif, sizeof(ret->oif));
        return 0;
}

int nl_parse_nsid(struct nlmsghdr *h, int32_t *ret) {
        struct nlattr *tb[NETNSA_MAX + 1];

        if (h->nlmsg_type != RTM_NEWNSID)
                return 1;
        if (nlmsg_parse(h, sizeof(struct rtgenmsg), tb, NETNSA_MAX, NULL) < 0 || !tb[NETNSA_NSID] ||
            nla_len(tb[NETNSA_NSID]) != sizeof(int32_t))
                return -EBADMSG;
        *ret = nla_get_s32(tb[NETNSA_NSID]);
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
        nl_get_addr(tb[NDA_DST], ndm->ndm_family, &ret->address);
        nl_get_mac(tb[NDA_LLADDR], &ret->mac);
        return in_addr_is_set(&ret->address) ? 0 : 1;
}
