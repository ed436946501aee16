/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The chained plugin tuning: MAC, MTU, flags and queue length of the interface; its sysctls are written
 * by whoever carries the specification out. The host's end keeps its MTU: a bridge would follow it, and
 * all its other ports with it.
 */

#include <net/if.h>
#include <stdio.h>

#include "core/adjust.h"

/* Below, the kernel takes IPv6 off the interface, with all addresses. */
#define IPV6_MTU_MIN 1280U

bool tuning_is_set(const NetTuning *t) {
        return !mac_is_zero(&t->mac) || t->mtu || t->promisc >= 0 || t->allmulti >= 0 ||
               t->tx_queue_len >= 0;
}

/* The keys of `add` go before those of `to`. */
static void merge(NetTuning *to, const NetTuning *add) {
        if (!mac_is_zero(&add->mac))
                to->mac = add->mac;
        if (add->mtu)
                to->mtu = add->mtu;
        if (add->promisc >= 0)
                to->promisc = add->promisc;
        if (add->allmulti >= 0)
                to->allmulti = add->allmulti;
        if (add->tx_queue_len >= 0)
                to->tx_queue_len = add->tx_queue_len;
}

void tuning_read(const NetTuning *wanted, const NlLink *l, NetTuning *ret) {
        *ret = (NetTuning) { .promisc = -1, .allmulti = -1, .tx_queue_len = -1 };
        if (!mac_is_zero(&wanted->mac))
                ret->mac = l->mac;
        if (wanted->mtu)
                ret->mtu = l->mtu;
        if (wanted->promisc >= 0)
                ret->promisc = !!(l->flags & IFF_PROMISC);
        if (wanted->allmulti >= 0)
                ret->allmulti = !!(l->flags & IFF_ALLMULTI);
        if (wanted->tx_queue_len >= 0)
                ret->tx_queue_len = l->txqlen;
}

static int check(const AttachmentSpec *s, const NetTuning *t, const NlDump *seen, Error *e) {
        if (t->mac.bytes[0] & 1)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "mac: wanted the address of one interface, found %s, which is of a "
                                "group",
                                MAC_STR(&t->mac));
        if (!t->mtu || t->mtu >= IPV6_MTU_MIN)
                return 0;
        const NlLink *l = compare_find_link(seen, s->ifname);
        for (size_t i = 0; i < seen->n_addrs; i++)
                if (seen->addrs[i].ifindex == l->ifindex &&
                    seen->addrs[i].address.address.family == AF_INET6 &&
                    !in_addr_is_link_local(&seen->addrs[i].address.address))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "mtu: %s has address %s and wants at least %u for it, found "
                                        "%u",
                                        s->ifname, IN_ADDR_STR(&seen->addrs[i].address.address),
                                        IPV6_MTU_MIN, t->mtu);
        return 0;
}

int tuning_decide(AttachmentSpec *s, const NetConf *c, const CniArgs *args, const NlDump *seen,
                  Error *e) {
        SpecAdjust *in = &s->adjust;
        NetTuning wanted = c->tuning, before;

        wanted.mac = netconf_choose_mac(c, c, args);
        if (!tuning_is_set(&wanted))
                return 0;
        int r = check(s, &wanted, seen, e);
        if (r < 0)
                return r;
        tuning_read(&wanted, compare_find_link(seen, s->ifname), &before);
        if (in->has_tuning) {
                /* A second tuning in one chain: what the first one found is what was there. */
                merge(&before, &in->before);
                merge(&in->tuned, &wanted);
        } else
                in->tuned = wanted;
        in->before = before;
        in->has_tuning = true;
        if (!mac_is_zero(&wanted.mac))
                s->mac = wanted.mac;
        return 0;
}

static NlOp *set_op(NlOp *op, const char *ifname, NlLinkMask mask, const NetTuning *t) {
        *op = (NlOp) { .type = NL_LINK_SET,
                       .what = "tune the interface",
                       .link = { .mask = mask,
                                 .mac = t->mac,
                                 .mtu = t->mtu,
                                 .promisc = t->promisc > 0,
                                 .allmulti = t->allmulti > 0,
                                 .txqlen = (uint32_t) t->tx_queue_len } };
        snprintf(op->link.name, sizeof(op->link.name), "%s", ifname);
        return op;
}

static NlLinkMask mask_of(const NetTuning *t) {
        NlLinkMask mask = 0;

        if (!mac_is_zero(&t->mac))
                mask |= NL_LINK_MAC;
        if (t->mtu)
                mask |= NL_LINK_MTU;
        if (t->promisc >= 0)
                mask |= NL_LINK_PROMISC;
        if (t->allmulti >= 0)
                mask |= NL_LINK_ALLMULTI;
        if (t->tx_queue_len >= 0)
                mask |= NL_LINK_TXQLEN;
        return mask;
}

/* One by one, so that a refusal names its key. */
static const struct {
        NlLinkMask mask;
        const char *what;
} keys[TUNING_OPS_MAX] = {
        { NL_LINK_MAC, "set the MAC (key mac)" },
        { NL_LINK_MTU, "set the MTU (key mtu)" },
        { NL_LINK_PROMISC, "set promiscuous mode (key promisc)" },
        { NL_LINK_ALLMULTI, "set the reception of all multicast (key allmulti)" },
        { NL_LINK_TXQLEN, "set the queue length (key txQLen)" },
};

static void key_op(const NetTuning *wanted, size_t key, const char *ifname, NlOp *ret) {
        set_op(ret, ifname, keys[key].mask, wanted)->what = keys[key].what;
}

size_t tuning_ops(const NetTuning *wanted, const char *ifname, NlOp ops[static TUNING_OPS_MAX]) {
        NlLinkMask mask = mask_of(wanted);
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if (mask & keys[i].mask)
                        key_op(wanted, i, ifname, &ops[n++]);
        return n;
}

void tuning_op(const NetTuning *wanted, const char *ifname, NlOp *ret) {
        set_op(ret, ifname, mask_of(wanted), wanted);
}

static void compare_number(const AttachmentSpec *s, size_t key, const char *name, int64_t want,
                           int64_t found, Differences *ret) {
        NlOp op;

        if (want < 0 || want == found)
                return;
        key_op(&s->adjust.tuned, key, s->ifname, &op);
        differ(ret, &op, "%s of interface %s in " WHERE_SANDBOX ": wanted %lld, found %lld", name,
               s->ifname, (long long) want, (long long) found);
}

void tuning_compare(const AttachmentSpec *s, const NlLink *l, bool whole, Differences *ret) {
        const NetTuning *t = &s->adjust.tuned;
        /* Of interfaces that we make, MAC and MTU are compared as they are without tuning. */
        bool link_too = whole || s->kind == NET_KIND_FOREIGN;
        NlOp op;

        if (!s->adjust.has_tuning)
                return;
        if (link_too && !mac_is_zero(&t->mac) && memcmp(&t->mac, &l->mac, sizeof(t->mac)) != 0) {
                key_op(t, 0, s->ifname, &op);
                differ(ret, &op, "mac of interface %s in " WHERE_SANDBOX ": wanted %s, found %s",
                       s->ifname, MAC_STR(&t->mac), MAC_STR(&l->mac));
        }
        compare_number(s, 1, "mtu", link_too && t->mtu ? (int64_t) t->mtu : -1, l->mtu, ret);
        compare_number(s, 2, "promisc", t->promisc, !!(l->flags & IFF_PROMISC), ret);
        compare_number(s, 3, "allmulti", t->allmulti, !!(l->flags & IFF_ALLMULTI), ret);
        compare_number(s, 4, "txQLen", t->tx_queue_len, l->txqlen, ret);
}
