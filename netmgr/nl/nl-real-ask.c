/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Questions to the real kernel: dumps, one link, the way to an address. */

#include <linux/rtnetlink.h>
#include <netlink/attr.h>

#include "nl/nl-real.h"

/* A dump that a change interrupted may have missed something or tell it twice: asked again so often,
 * then taken as it is (a busy node changes faster than thousands of links can be told; kernels of today
 * walk by index and miss nothing that stays). */
#define DUMP_TRIES 8

/* Sends one question and hands every reply to `on`; ends with DONE, an error, or the first reply when
 * it was no dump. 1: something changed while the kernel dumped. */
static int ask(RealSocket *s, struct nl_msg *m, bool dump,
               int (*on)(struct nlmsghdr *h, void *userdata), void *userdata) {
        struct nlmsghdr *q = nlmsg_hdr(m);
        struct iovec iov = { q, NLMSG_ALIGN(q->nlmsg_len) };
        int64_t deadline = nl_real_now_ms() + NETLINK_TIMEOUT_MS;
        bool interrupted = false;
        Reply reply;

        q->nlmsg_seq = ++s->seq;
        int r = nl_real_send(s, &iov, 1);
        if (r < 0)
                return r;
        for (;;) {
                ssize_t n = nl_real_receive(s, &reply, deadline);
                if (n < 0)
                        return (int) n;
                int left = (int) n;
                for (struct nlmsghdr *h = (struct nlmsghdr *) reply.data; nlmsg_ok(h, left);
                     h = nlmsg_next(h, &left)) {
                        if (h->nlmsg_seq != s->seq)
                                continue;
                        if (h->nlmsg_flags & NLM_F_DUMP_INTR)
                                interrupted = true;
                        /* Both begin with an errno; the end of a dump may carry one, too. */
                        if (h->nlmsg_type == NLMSG_DONE || h->nlmsg_type == NLMSG_ERROR) {
                                const struct nlmsgerr *err = nlmsg_data(h);
                                if (h->nlmsg_len < NLMSG_LENGTH(sizeof(int)) || err->error > 0)
                                        return -EBADMSG;
                                return err->error < 0 ? err->error : interrupted;
                        }
                        r = on(h, userdata);
                        if (r < 0 || !dump)
                                return r;
                }
        }
}

/* One list that grows while a dump is read. */
#define DEFINE_ADD(func, Type, array, count)                                                       \
        static int func(const Type *item, void *userdata) {                                        \
                NlDump *d = userdata;                                                              \
                if ((d->count & (d->count - 1)) == 0) {                                            \
                        size_t room = d->count ? d->count * 2 : 1;                                 \
                        Type *more = reallocarray(d->array, room, sizeof(Type));                   \
                        if (!more)                                                                 \
                                return -ENOMEM;                                                    \
                        d->array = more;                                                           \
                }                                                                                  \
                d->array[d->count++] = *item;                                                      \
                return 0;                                                                          \
        }
DEFINE_ADD(add_link, NlLink, links, n_links)
DEFINE_ADD(add_addr, NlAddr, addrs, n_addrs)
DEFINE_ADD(add_route, NlRoute, routes, n_routes)
DEFINE_ADD(add_neigh, NlNeigh, neighs, n_neighs)
DEFINE_ADD(add_rule, NlRule, rules, n_rules)
DEFINE_ADD(add_bridge_vlan, NlBridgeVlan, bridge_vlans, n_bridge_vlans)
DEFINE_ADD(add_stat, NlStat, stats, n_stats)

/* Replies that tell of one thing each. */
#define DEFINE_COLLECT(func, Type, parse, add)                                                     \
        static int func(struct nlmsghdr *h, void *userdata) {                                      \
                Type item;                                                                         \
                int r = parse(h, &item);                                                           \
                if (r != 0)                                                                        \
                        return r < 0 ? r : 0;                                                      \
                return add(&item, userdata);                                                       \
        }
DEFINE_COLLECT(collect_addr, NlAddr, nl_parse_addr, add_addr)
DEFINE_COLLECT(collect_neigh, NlNeigh, nl_parse_neigh, add_neigh)
DEFINE_COLLECT(collect_rule, NlRule, nl_parse_rule, add_rule)
DEFINE_COLLECT(collect_stat, NlStat, nl_parse_stat, add_stat)

static int collect_link(struct nlmsghdr *h, void *userdata) {
        _cleanup_free_ char *alias = NULL;
        NlLink link;
        int r = nl_parse_link_alias(h, &link, &alias);

        if (r != 0)
                return r < 0 ? r : 0;
        link.alias = alias;
        r = add_link(&link, userdata);
        if (r >= 0)
                alias = NULL; /* the dump's */
        return r;
}

static int add_main_route(const NlRoute *route, void *userdata) {
        return route->table == RT_TABLE_MAIN && route->type == RTN_UNICAST
                               ? add_route(route, userdata)
                               : 0;
}

static int collect_any_route(struct nlmsghdr *h, void *userdata) {
        return nl_parse_routes(h, add_route, userdata);
}

static int collect_main_route(struct nlmsghdr *h, void *userdata) {
        return nl_parse_routes(h, add_main_route, userdata);
}

static int collect_bridge_vlans(struct nlmsghdr *h, void *userdata) {
        return nl_parse_bridge_vlans(h, add_bridge_vlan, userdata);
}

static int dump_once(RealSocket *s, NlDumpMask mask, NlDump *ret) {
        const struct {
                NlDumpMask mask;
                int type, family;
                int (*collect)(struct nlmsghdr *h, void *userdata);
        } parts[] = {
                { NL_DUMP_LINKS, RTM_GETLINK, AF_UNSPEC, collect_link },
                { NL_DUMP_ADDRS, RTM_GETADDR, AF_UNSPEC, collect_addr },
                { NL_DUMP_ROUTES, RTM_GETROUTE, AF_UNSPEC,
                  mask & NL_DUMP_ALL_TABLES ? collect_any_route : collect_main_route },
                { NL_DUMP_NEIGHS, RTM_GETNEIGH, AF_UNSPEC, collect_neigh },
                { NL_DUMP_RULES, RTM_GETRULE, AF_UNSPEC, collect_rule },
                { NL_DUMP_BRIDGE_VLANS, RTM_GETLINK, AF_BRIDGE, collect_bridge_vlans },
                { NL_DUMP_COUNTERS, RTM_GETSTATS, AF_UNSPEC, collect_stat },
        };
        NlDump d = { 0 };
        int interrupted = 0;

        for (size_t i = 0; i < ELEMENTSOF(parts); i++) {
                _cleanup_nl_msg_ struct nl_msg *m = NULL;

                if (!(mask & parts[i].mask))
                        continue;
                int r = nl_encode_dump(parts[i].type, parts[i].family, &m);
                if (r >= 0)
                        r = ask(s, m, true, parts[i].collect, &d);
                if (r < 0) {
                        kernel_dump_clear(&d);
                        return r;
                }
                interrupted |= r;
        }
        *ret = d;
        return interrupted;
}

int nl_real_dump(NlSocket *base, NlDumpMask mask, NlDump *ret) {
        NlDump d = { 0 };
        int r = 1;

        for (int i = 0; r > 0 && i < DUMP_TRIES; i++) {
                kernel_dump_clear(&d);
                r = dump_once((RealSocket *) base, mask, &d);
        }
        if (r < 0)
                return r;
        *ret = d;
        return 0;
}

typedef struct LinkAnswer {
        NlLink *link;
        char **alias; /* NULL: nobody wants it */
} LinkAnswer;

static int take_link(struct nlmsghdr *h, void *userdata) {
        LinkAnswer *a = userdata;
        return nl_parse_link_alias(h, a->link, a->alias) == 0 ? 0 : -EBADMSG;
}

int nl_real_get_link(NlSocket *base, const char *name, uint32_t ifindex, NlLink *ret,
                     char **ret_alias) {
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        LinkAnswer answer = { ret, ret_alias };
        int r = nl_encode_get_link(name, ifindex, -1, &m);

        return r < 0 ? r : ask((RealSocket *) base, m, false, take_link, &answer);
}

static int take_nsid(struct nlmsghdr *h, void *userdata) {
        return nl_parse_nsid(h, userdata) == 0 ? 0 : -EBADMSG;
}

static int nothing(struct nlmsghdr *h, void *userdata) {
        return 0;
}

/* A descriptor is no name for a netns in a question: only its number in ours is. */
static int netns_number(RealSocket *s, int netns_fd, int32_t *ret) {
        _cleanup_nl_msg_ struct nl_msg *give = NULL, *question = NULL;

        int r = nl_encode_nsid(RTM_NEWNSID, netns_fd, &give);
        if (r < 0)
                return r;
        nlmsg_hdr(give)->nlmsg_flags |= NLM_F_ACK;
        r = ask(s, give, true, nothing, NULL);
        if (r < 0 && r != -EEXIST)
                return r;
        r = nl_encode_nsid(RTM_GETNSID, netns_fd, &question);
        return r < 0 ? r : ask(s, question, false, take_nsid, ret);
}

int nl_real_get_link_in(NlSocket *base, int netns_fd, const char *name, NlLink *ret) {
        RealSocket *s = (RealSocket *) base;
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        LinkAnswer answer = { ret, NULL };
        int32_t number = -1;

        int r = netns_number(s, netns_fd, &number);
        if (r >= 0)
                r = number < 0 ? -EBADMSG : nl_encode_get_link(name, 0, number, &m);
        return r < 0 ? r : ask(s, m, false, take_link, &answer);
}

static int take_route(struct nlmsghdr *h, void *userdata) {
        /* The answer to a lookup is a cloned route: read here, not by nl_parse_route(). */
        struct nlattr *tb[RTA_MAX + 1];
        const struct rtmsg *rtm = nlmsg_data(h);
        NlRoute *route = userdata;

        if (h->nlmsg_type != RTM_NEWROUTE || nlmsg_parse(h, sizeof(*rtm), tb, RTA_MAX, NULL) < 0)
                return -EBADMSG;
        if (tb[RTA_OIF] && nla_len(tb[RTA_OIF]) >= (int) sizeof(uint32_t))
                route->ifindex = nla_get_u32(tb[RTA_OIF]);
        if (tb[RTA_PREFSRC] && nla_len(tb[RTA_PREFSRC]) == (int) family_bytes(rtm->rtm_family)) {
                route->prefsrc.family = rtm->rtm_family;
                memcpy(route->prefsrc.bytes, nla_data(tb[RTA_PREFSRC]),
                       family_bytes(rtm->rtm_family));
        }
        return 0;
}

int nl_real_get_route(NlSocket *base, const InAddr *dst, uint32_t *ret_ifindex,
                      InAddr *ret_source) {
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        NlRoute route = { 0 };
        int r = nl_encode_get_route(dst, &m);

        if (r >= 0)
                r = ask((RealSocket *) base, m, false, take_route, &route);
        if (r < 0)
                return r;
        *ret_ifindex = route.ifindex;
        *ret_source = route.prefsrc;
        return 0;
}
