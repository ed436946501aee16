/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Traffic control as rtnetlink messages. Source: linux/pkt_sched.h, linux/pkt_cls.h. */

#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <linux/tc_act/tc_mirred.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/attr.h>

#include "nl/nl-internal.h"

#define ROOT_HANDLE   (1U << 16)
#define CLSACT_HANDLE (TC_H_CLSACT & TC_H_MAJ_MASK)
/* Ours among the filters of a link that others use as well ("nm"); theirs are asked first. */
#define REDIRECT_PRIO 0x6e6dU
#define REDIRECT_INFO TC_H_MAKE(REDIRECT_PRIO << 16, htons(ETH_P_ALL))

int nl_encode_ifb(const NlOp *op, struct nl_msg **ret) {
        struct ifinfomsg ifi = { .ifi_family = AF_UNSPEC };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO, &ifi,
                                 sizeof(ifi), &m);
        if (r < 0)
                return r;
        PUT(nla_put_string(m, IFLA_IFNAME, op->ifb.name));
        if (op->ifb.mtu)
                PUT(nla_put_u32(m, IFLA_MTU, op->ifb.mtu));
        PUT(nla_put_u32(m, IFLA_NUM_TX_QUEUES, 1));
        PUT(nla_put_u32(m, IFLA_NUM_RX_QUEUES, 1));
        NEST(info, m, IFLA_LINKINFO);
        PUT(nla_put_string(m, IFLA_INFO_KIND, "ifb"));
        nla_nest_end(m, info);
        *ret = TAKE_PTR(m);
        return 0;
}

static int qdisc_begin(int type, int flags, int32_t ifindex, uint32_t parent, uint32_t handle,
                       const char *kind, struct nl_msg **ret) {
        struct tcmsg tc = { .tcm_family = AF_UNSPEC,
                            .tcm_ifindex = ifindex,
                            .tcm_parent = parent,
                            .tcm_handle = handle };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(type, flags, &tc, sizeof(tc), &m);
        if (r < 0)
                return r;
        if (kind)
                PUT(nla_put_string(m, TCA_KIND, kind));
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_tbf(const NlOp *op, struct nl_msg **ret) {
        uint64_t rate = op->tbf.rate;
        /* What may wait: the bucket, and what the rate passes within the latency. */
        uint64_t limit = rate * op->tbf.latency_us / 1000000U + op->tbf.burst;
        struct tc_tbf_qopt q = {
                .rate = { .rate = rate > UINT32_MAX ? UINT32_MAX : (uint32_t) rate,
                          .linklayer = TC_LINKLAYER_ETHERNET },
                .limit = limit > UINT32_MAX ? UINT32_MAX : (uint32_t) limit,
        };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = qdisc_begin(RTM_NEWQDISC, NLM_F_CREATE | NLM_F_REPLACE, op->tbf.ifindex, TC_H_ROOT,
                            ROOT_HANDLE, "tbf", &m);
        if (r < 0)
                return r;
        NEST(options, m, TCA_OPTIONS);
        PUT(nla_put(m, TCA_TBF_PARMS, sizeof(q), &q));
        /* In bytes, so that no clock ticks have to be known. */
        PUT(nla_put_u32(m, TCA_TBF_BURST, op->tbf.burst));
        if (rate > UINT32_MAX)
                PUT(nla_put_u64(m, TCA_TBF_RATE64, rate));
        nla_nest_end(m, options);
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_clsact(const NlOp *op, struct nl_msg **ret) {
        return qdisc_begin(RTM_NEWQDISC, NLM_F_CREATE, op->redirect.ifindex, TC_H_CLSACT,
                           CLSACT_HANDLE, "clsact", ret);
}

int nl_encode_qdisc_del(const NlOp *op, struct nl_msg **ret) {
        if (op->type == NL_TBF_DEL)
                return qdisc_begin(RTM_DELQDISC, 0, op->tbf.ifindex, TC_H_ROOT, 0, NULL, ret);
        return qdisc_begin(RTM_DELQDISC, 0, op->redirect.ifindex, TC_H_CLSACT, CLSACT_HANDLE, NULL,
                           ret);
}

static int put_mirred(const NlOp *op, struct nl_msg *m) {
        struct tc_mirred mirred = { .action = TC_ACT_STOLEN,
                                    .eaction = TCA_EGRESS_REDIR,
                                    .ifindex = (uint32_t) op->redirect.to_ifindex };

        NEST(actions, m, TCA_U32_ACT);
        NEST(first, m, 1);
        PUT(nla_put_string(m, TCA_ACT_KIND, "mirred"));
        NEST(options, m, TCA_ACT_OPTIONS);
        PUT(nla_put(m, TCA_MIRRED_PARMS, sizeof(mirred), &mirred));
        nla_nest_end(m, options);
        nla_nest_end(m, first);
        nla_nest_end(m, actions);
        return 0;
}

/* A u32 filter that matches everything: matchall would do, but not every kernel has it. */
int nl_encode_redirect(const NlOp *op, struct nl_msg **ret) {
        /* One key behind the selector: mask 0, value 0. */
        struct tc_u32_sel sel = { .flags = TC_U32_TERMINAL, .nkeys = 1 };
        uint8_t match[sizeof(sel) + sizeof(struct tc_u32_key)] = { 0 };
        struct tcmsg tc = { .tcm_family = AF_UNSPEC,
                            .tcm_ifindex = op->redirect.ifindex,
                            .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                            .tcm_info = REDIRECT_INFO };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_NEWTFILTER, NLM_F_CREATE | NLM_F_EXCL, &tc, sizeof(tc), &m);
        if (r < 0)
                return r;
        PUT(nla_put_string(m, TCA_KIND, "u32"));
        NEST(options, m, TCA_OPTIONS);
        memcpy(match, &sel, sizeof(sel));
        PUT(nla_put(m, TCA_U32_SEL, sizeof(match), match));
        r = put_mirred(op, m);
        if (r < 0)
                return r;
        nla_nest_end(m, options);
        *ret = TAKE_PTR(m);
        return 0;
}

int nl_encode_redirect_del(const NlOp *op, struct nl_msg **ret) {
        struct tcmsg tc = { .tcm_family = AF_UNSPEC,
                            .tcm_ifindex = op->redirect.ifindex,
                            .tcm_parent = TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS),
                            .tcm_info = REDIRECT_INFO };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        int r = nl_message_begin(RTM_DELTFILTER, 0, &tc, sizeof(tc), &m);
        if (r < 0)
                return r;
        PUT(nla_put_string(m, TCA_KIND, "u32"));
        *ret = TAKE_PTR(m);
        return 0;
}
