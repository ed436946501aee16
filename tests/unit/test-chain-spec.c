/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the plugins of a chain leave in a specification: its way through the ledger, and which links of the
 * host it means. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "core/host-end.h"
#include "core/plan.h"
#include "core/spec.h"

static AttachmentSpec foreign(void) {
        AttachmentSpec s = {
                .id = 0x2a,
                .kind = NET_KIND_FOREIGN,
                .ifname = "eth0",
                .foreign_ifname = "veth12345678",
                .bridge = "cni0",
                .snat = true,
                .set_localnet = true,
                .ingress = NET_INGRESS_ISOLATED,
                .cni_name = strdup("net1"),
                .portmap = strdup(
                                "{\"type\":\"portmap\",\"conditionsV4\":[\"-s\",\"10.0.0.0/8\"]}"),
                .addresses = calloc(3, sizeof(SpecAddress)),
                .n_addresses = 2
        };

        assert_int_equal(in_prefix_parse("10.88.0.7/16", &s.addresses[0].address), 0);
        assert_int_equal(in_prefix_parse("fd88::7/64", &s.addresses[1].address), 0);
        return s;
}

static void test_round_trip(void **state _unused_) {
        AttachmentSpec s = foreign(), back = { .kind = NET_KIND_FOREIGN }, copy;
        _cleanup_free_ char *text = NULL, *again = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(spec_to_json(&s, &text), 0);
        assert_int_equal(spec_from_json(text, &back, &e), 0);
        assert_int_equal(spec_copy(&back, &copy), 0);
        assert_int_equal(spec_to_json(&copy, &again), 0);
        assert_string_equal(text, again);
        assert_string_equal(copy.foreign_ifname, "veth12345678");
        assert_string_equal(copy.portmap, s.portmap);
        assert_int_equal(copy.ingress, NET_INGRESS_ISOLATED);
        assert_true(copy.set_localnet);
        assert_int_equal(copy.n_addresses, 2);
        assert_string_equal(IN_PREFIX_STR(&copy.addresses[1].address), "fd88::7/64");
        spec_clear(&s);
        spec_clear(&back);
        spec_clear(&copy);
}

/* The row of an attachment of ours has none of it: its addresses have a table of their own. */
static void test_ours(void **state _unused_) {
        AttachmentSpec s = foreign();
        _cleanup_free_ char *text = NULL;

        s.kind = NET_KIND_BRIDGE;
        assert_int_equal(spec_to_json(&s, &text), 0);
        assert_null(strstr(text, "addresses"));
        assert_null(strstr(text, "foreignInterface"));
        assert_non_null(strstr(text, "isolated"));
        spec_clear(&s);
}

static void test_bad(void **state _unused_) {
        static const char *const texts[] = {
                "{\"cniName\":\"n\",\"ingress\":\"closed\"}",
                "{\"cniName\":\"n\",\"addresses\":[\"10.0.0.300/8\"]}",
                "{\"cniName\":\"n\",\"addresses\":{}}",
                "{\"cniName\":\"n\",\"setLocalnet\":1}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                AttachmentSpec s = { .kind = NET_KIND_FOREIGN };
                _cleanup_error_ Error e = ERROR_NULL;

                assert_true(spec_from_json(texts[i], &s, &e) < 0);
                assert_true(error_is_set(&e));
                spec_clear(&s);
        }
}

/* Which links of the host a worker is told of; none of others' is ever in a plan. */
static void test_host_end(void **state _unused_) {
        AttachmentSpec s = foreign();
        SpecPort port = { .host.family = AF_INET, .protocol = 6, .host_port = 80 };
        HostEnd h;
        Plan plan;

        host_end_of(&s, &h);
        assert_string_equal(h.ifname, "veth12345678");
        assert_string_equal(h.way_in, "cni0");
        assert_string_equal(h.ifb, "nmi2a");
        assert_true(h.foreign && !h.port);
        assert_int_equal(plan_make(&s, 0, &plan), 0);
        assert_int_equal(plan.n_host + plan.n_pod + plan.n_finish, 0);
        plan_clear(&plan);

        s.ports = &port;
        s.n_ports = 1;
        assert_true(spec_needs_route_localnet(&s));
        char *config = TAKE_PTR(s.portmap); /* by D-Bus alone nobody would set it back */
        assert_false(spec_needs_route_localnet(&s));
        s.portmap = config;
        s.ports = NULL;
        s.n_ports = 0;

        s.kind = NET_KIND_BRIDGE;
        snprintf(s.host_ifname, sizeof(s.host_ifname), "nmg2a");
        host_end_of(&s, &h);
        assert_string_equal(h.ifname, "nmg2a");
        assert_true(h.port && !h.foreign);
        spec_clear(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_round_trip),
                cmocka_unit_test(test_ours),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_host_end),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
