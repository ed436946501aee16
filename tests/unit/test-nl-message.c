/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages that nobody would send, and operations in words. */

#include <linux/rtnetlink.h>
#include <stdlib.h>

#include "nl-world.h"

#include "nl/nl-internal.h"

static int count_route(const NlRoute *route, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

static int count_vlan(const NlBridgeVlan *vlan, void *userdata) {
        ++*(unsigned *) userdata;
        return 0;
}

/* Every cut of a message, read as whatever it might be: its readers stay inside it. */
static void read_cuts(const struct nlmsghdr *whole, int family) {
        static const uint16_t types[] = { RTM_NEWLINK,  RTM_NEWADDR, RTM_NEWROUTE,
                                          RTM_NEWNEIGH, RTM_NEWRULE, RTM_NEWNSID };
        NlLink l;
        NlAddr a;
        NlRoute r;
        NlNeigh n;
        NlRule rule;
        int32_t number;
        unsigned count = 0;

        for (size_t cut = sizeof(*whole); cut <= whole->nlmsg_len; cut++) {
                /* An exact copy, so that a sanitizer sees a read beyond it. */
                _cleanup_free_ struct nlmsghdr *h = malloc(cut);
                _cleanup_free_ char *alias = NULL;
                assert_non_null(h);
                memcpy(h, whole, cut);
                h->nlmsg_len = (uint32_t) cut;
                if (cut > sizeof(*h))
                        *(uint8_t *) nlmsg_data(h) = (uint8_t) family;
                for (size_t i = 0; i < ELEMENTSOF(types); i++) {
                        h->nlmsg_type = types[i];
                        int link = nl_parse_link_alias(h, &l, &alias);
                        if (types[i] == RTM_NEWLINK && cut < NLMSG_LENGTH(sizeof(struct ifinfomsg)))
                                assert_int_equal(link, -EBADMSG);
                        free(alias);
                        alias = NULL;
                        (void) nl_parse_addr(h, &a);
                        (void) nl_parse_route(h, &r);
                        (void) nl_parse_neigh(h, &n);
                        (void) nl_parse_rule(h, &rule);
                        (void) nl_parse_nsid(h, &number);
                        (void) nl_parse_routes(h, count_route, &count);
                        (void) nl_parse_bridge_vlans(h, count_vlan, &count);
                }
        }
}

static void read_cuts_of(const NlOp *op) {
        static const int families[] = { AF_UNSPEC, AF_INET, AF_INET6, AF_BRIDGE, 255 };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;

        assert_int_equal(nl_encode_op(op, &m), 0);
        for (size_t i = 0; i < ELEMENTSOF(families); i++)
                read_cuts(nlmsg_hdr(m), families[i]);
}

static void test_hostile_replies(void **state) {
        NlOp bridge_op = {
                .type = NL_BRIDGE_ADD, .what = "", .bridge.name = "nmb-lab", .bridge.mtu = 1500
        };
        NlOp named = set("nmg1", NL_LINK_ALIAS | NL_LINK_HAIRPIN | NL_LINK_MAC);
        NlOp vlans = { .type = NL_BRIDGE_VLAN_ADD, .what = "", .bvlan = { 3, false, 5, 9 } };
        NlOp way = route(NL_ROUTE_ADD, 3, "10.98.0.0/16", "10.97.1.1", true);
        NlOp rule = { .type = NL_RULE_ADD,
                      .what = "",
                      .rule = { .family = AF_INET, .has_src = true, .table = 100 } };
        _cleanup_nl_msg_ struct nl_msg *m = NULL;
        unsigned n_vlans = 0;
        NlLink l;

        named.link.alias = "what it was called";
        rule.rule.src = prefix("10.97.0.2/32");
        read_cuts_of(&bridge_op);
        read_cuts_of(&named);
        read_cuts_of(&vlans);
        read_cuts_of(&way);
        read_cuts_of(&rule);

        assert_int_equal(nl_encode_op(&bridge_op, &m), 0);
        assert_int_equal(nl_parse_link(nlmsg_hdr(m), &l), 0);
        assert_string_equal(l.name, "nmb-lab");
        assert_string_equal(l.kind, "bridge");
        nlmsg_free(m);
        m = NULL;
        assert_int_equal(nl_encode_op(&vlans, &m), 0);
        nlmsg_hdr(m)->nlmsg_type = RTM_NEWLINK;
        assert_int_equal(nl_parse_bridge_vlans(nlmsg_hdr(m), count_vlan, &n_vlans), 0);
        assert_int_equal(n_vlans, 1); /* one range */
}

/* Next hops that end before they begin, or that say they are longer than all of the message. */
static void test_hostile_hops(void **state) {
        for (uint16_t length = 0; length < 40; length++) {
                struct rtmsg rtm = { .rtm_family = AF_INET };
                struct rtnexthop hop[3] = { { .rtnh_len = length, .rtnh_ifindex = 3 } };
                _cleanup_nl_msg_ struct nl_msg *m = NULL;
                unsigned n = 0;

                assert_int_equal(nl_message_begin(RTM_NEWROUTE, 0, &rtm, sizeof(rtm), &m), 0);
                assert_int_equal(nla_put(m, RTA_MULTIPATH, sizeof(hop), hop), 0);
                (void) nl_parse_routes(nlmsg_hdr(m), count_route, &n);
                assert_in_range(n, 0, 3);
        }
}

static void test_words(void **state) {
        NlOp op = { .type = NL_VETH_ADD,
                    .what = "create the veth pair",
                    .veth = { .name = "nmg1", .peer = "eth0" } };
        _cleanup_free_ char *a = nl_op_describe(&op), *b = NULL;

        assert_string_equal(a, "create the veth pair nmg1 - eth0");
        op = (NlOp) { .type = NL_NEIGH_ADD, .what = "add the entry" };
        op.neigh.address = address("10.97.0.2");
        b = nl_op_describe(&op);
        assert_string_equal(b, "add the entry 10.97.0.2");
}

static void test_words_of_links(void **state) {
        NlOp op = newlink(NL_KIND_MACVLAN, "eth0", -EBADF, 3);
        _cleanup_free_ char *a = nl_op_describe(&op), *b = NULL, *c = NULL, *d = NULL;

        assert_string_equal(a, "create the link eth0 (macvlan)");
        op = rule(NL_RULE_ADD, "10.97.0.2/32", 100, 0);
        b = nl_op_describe(&op);
        assert_string_equal(b, "a rule from 10.97.0.2/32, table 100");
        op = vlans(NL_BRIDGE_VLAN_ADD, 3, 5, 9);
        c = nl_op_describe(&op);
        assert_string_equal(c, "VLANs 5-9");
        op = set("", NL_LINK_UP);
        op.link.ifindex = 7;
        d = nl_op_describe(&op);
        assert_string_equal(d, "set the link (index 7)");
        assert_null(nl_link_kind_to_string(_NL_KIND_MAX));
        assert_null(nl_link_kind_to_string(_NL_KIND_INVALID));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_hostile_replies),
                cmocka_unit_test(test_hostile_hops),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_words_of_links),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
