/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which address is given out, and what becomes of it: owners, quarantine, claims. Times are the test's own. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/parse.h"
#include "core/ipam.h"

#define SEC      UINT64_C(1000000)
#define COOLDOWN (30 * SEC)
#define NOW      (UINT64_C(1800000000) * SEC)

static InAddr addr(const char *s) {
        InAddr a;
        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

/* 10.0.0.2 to 10.0.0.(1 + n) */
typedef struct Net {
        Ipam *ipam;
        NetRange range;
        NetRangeSet set;
        LeaseHolder h;
} Net;

static void net_begin(Net *n, unsigned addresses) {
        *n = (Net) { .h = { .attachment = 1,
                            .network = "net",
                            .sandbox = "s",
                            .ifname = "eth0",
                            .now_usec = NOW } };
        assert_int_equal(ipam_new(COOLDOWN, &n->ipam), 0);
        assert_int_equal(in_prefix_parse("10.0.0.0/24", &n->range.subnet), 0);
        n->range.gateway = addr("10.0.0.1");
        n->range.start = addr("10.0.0.2");
        n->range.end = n->range.start;
        n->range.end.bytes[3] = (uint8_t) (1 + addresses);
        n->set = (NetRangeSet) { &n->range, 1 };
}

static Lease *take(Net *n, const char *owner, uint32_t sticky_sec) {
        _cleanup_error_ Error e = ERROR_NULL;
        IpamGrant grant;

        n->h.owner = owner;
        n->h.terms.sticky_sec = sticky_sec;
        int r = ipam_allocate(n->ipam, "pool", 0, &n->set, NULL, &n->h, &grant, &e);
        return r < 0 ? NULL : grant.lease;
}

static void assert_gets(Net *n, const char *owner, uint32_t sticky_sec, const char *address) {
        const Lease *l = take(n, owner, sticky_sec);

        assert_non_null(l);
        assert_string_equal(IN_ADDR_STR(&l->address), address);
}

static void give(Net *n, const char *address) {
        InAddr a = addr(address);
        Lease *l = ipam_find(n->ipam, "pool", &a);

        assert_non_null(l);
        ipam_release(n->ipam, l, n->h.now_usec);
}

static unsigned pop_all(Net *n) {
        unsigned count = 0;

        for (Lease *l; (l = ipam_pop_rested(n->ipam, n->h.now_usec)); count++)
                lease_free(l);
        return count;
}

static void test_the_owner_gets_it_again_at_once(void **state _unused_) {
        Net n;

        net_begin(&n, 5);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        assert_gets(&n, "ns/b", 60, "10.0.0.3");
        give(&n, "10.0.0.2");
        assert_gets(&n, "ns/c", 60, "10.0.0.4");
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        n.h.ifname = "net1"; /* another interface of the same pod is another matter */
        give(&n, "10.0.0.2");
        assert_gets(&n, "ns/a", 60, "10.0.0.5");
        n.h.ifname = "eth0";
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        n.h.network = "other";
        give(&n, "10.0.0.2");
        assert_gets(&n, "ns/a", 60, "10.0.0.6");
        ipam_free(n.ipam);
}

static void test_it_ends_with_its_time(void **state _unused_) {
        Net n;

        net_begin(&n, 3);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        give(&n, "10.0.0.2");
        n.h.now_usec = NOW + 59 * SEC;
        assert_int_equal(pop_all(&n), 0);
        n.h.now_usec = NOW + 60 * SEC;
        assert_gets(&n, "ns/a", 60, "10.0.0.3"); /* one too late */
        assert_int_equal(pop_all(&n), 1);
        assert_gets(&n, "ns/b", 60, "10.0.0.4");
        assert_gets(&n, "ns/b", 60, "10.0.0.2");
        ipam_free(n.ipam);
}

static void test_shorter_than_the_cooldown_it_still_rests(void **state _unused_) {
        Net n;

        net_begin(&n, 3);
        assert_gets(&n, "ns/a", 10, "10.0.0.2");
        give(&n, "10.0.0.2");
        n.h.now_usec = NOW + 20 * SEC;
        assert_int_equal(pop_all(&n), 0);
        n.h.now_usec = NOW + 30 * SEC;
        assert_int_equal(pop_all(&n), 1);
        ipam_free(n.ipam);
}

static void test_still_held_gives_another_one(void **state _unused_) {
        Net n;

        net_begin(&n, 4);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        assert_gets(&n, "ns/a", 60, "10.0.0.3");
        give(&n, "10.0.0.3");
        give(&n, "10.0.0.2");
        assert_gets(&n, "ns/a", 60, "10.0.0.2"); /* the one that it had last */
        assert_gets(&n, "ns/a", 60, "10.0.0.3");
        ipam_free(n.ipam);
}

static void test_others_get_it_last(void **state _unused_) {
        Net n;

        net_begin(&n, 4);
        assert_gets(&n, "ns/a", 600, "10.0.0.2");
        assert_gets(&n, "ns/b", 600, "10.0.0.3");
        assert_gets(&n, NULL, 0, "10.0.0.4");
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.5");
        give(&n, "10.0.0.5");
        n.h.now_usec += SEC;
        give(&n, "10.0.0.3");
        n.h.now_usec += SEC;
        give(&n, "10.0.0.2");
        n.h.now_usec += SEC;
        give(&n, "10.0.0.4");
        assert_gets(&n, NULL, 0, "10.0.0.4"); /* released last, but promised to nobody */
        assert_gets(&n, NULL, 0, "10.0.0.3"); /* longest released of the promised ones */
        assert_gets(&n, NULL, 0, "10.0.0.2");
        assert_null(take(&n, NULL, 0)); /* never a claim's */
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.5");
        ipam_free(n.ipam);
}

static void test_exhaustion_tells_of_claims(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_NULL;
        IpamGrant grant;
        Net n;

        net_begin(&n, 1);
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.2");
        give(&n, "10.0.0.2");
        n.h.owner = NULL;
        assert_true(ipam_allocate(n.ipam, "pool", 0, &n.set, NULL, &n.h, &grant, &e) < 0);
        assert_int_equal(e.kind, ERROR_RANGE_EXHAUSTED);
        assert_non_null(strstr(error_message(&e), "1 kept for their owners"));
        assert_non_null(strstr(error_message(&e), "netmgrctl release"));
        ipam_free(n.ipam);
}

static void test_a_claim_is_of_no_interface(void **state _unused_) {
        Net n;

        net_begin(&n, 3);
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.2");
        give(&n, "10.0.0.2");
        n.h.now_usec += 366 * 24 * 3600 * SEC;
        assert_int_equal(pop_all(&n), 0);
        n.h.ifname = "net7";
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.2");
        ipam_free(n.ipam);
}

static void test_a_request_goes_before_a_promise_but_not_before_a_claim(void **state _unused_) {
        _cleanup_error_ Error e = ERROR_NULL;
        InAddr two = addr("10.0.0.2"), three = addr("10.0.0.3");
        IpamGrant grant;
        Net n;

        net_begin(&n, 5);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.3");
        give(&n, "10.0.0.2");
        give(&n, "10.0.0.3");
        n.h.owner = "ns/b";
        n.h.terms.sticky_sec = 60;
        assert_int_equal(ipam_allocate(n.ipam, "pool", 0, &n.set, &two, &n.h, &grant, &e), 0);
        assert_true(ipam_allocate(n.ipam, "pool", 0, &n.set, &three, &n.h, &grant, &e) < 0);
        assert_int_equal(e.kind, ERROR_ADDRESS_IN_USE);
        assert_non_null(strstr(error_message(&e), "claim/ns/c"));
        /* Who asks for another one than he had, gets what he asks for. */
        give(&n, "10.0.0.2");
        InAddr five = addr("10.0.0.5");
        assert_int_equal(ipam_allocate(n.ipam, "pool", 0, &n.set, &five, &n.h, &grant, NULL), 0);
        assert_true(in_addr_equal(&grant.lease->address, &five));
        ipam_free(n.ipam);
}

static void test_undone_it_waits_on(void **state _unused_) {
        Net n;

        net_begin(&n, 4);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        give(&n, "10.0.0.2");
        assert_gets(&n, "ns/b", 60, "10.0.0.3");
        n.h.now_usec += 10 * SEC;
        give(&n, "10.0.0.3"); /* later than the one that comes back now */
        n.h.now_usec += 10 * SEC;
        Lease *l = take(&n, "ns/a", 60);
        assert_int_equal(l->again_usec, NOW);
        ipam_forget(n.ipam, l);
        assert_int_equal(lease_sticky_until(l), NOW + 60 * SEC);
        n.h.now_usec = NOW + 60 * SEC;
        assert_int_equal(pop_all(&n), 1); /* in its place: it is the first whose time is over */
        assert_gets(&n, "ns/b", 60, "10.0.0.3");
        /* of somebody who had it for the first time nothing stays */
        l = take(&n, "ns/c", 60);
        InAddr a = l->address;
        ipam_forget(n.ipam, l);
        assert_null(ipam_find(n.ipam, "pool", &a));
        ipam_free(n.ipam);
}

static void test_quarantine_is_the_networks_own(void **state _unused_) {
        Net n;

        net_begin(&n, 3);
        n.h.terms.has_rest = true;
        n.h.terms.rest_sec = 300;
        assert_gets(&n, NULL, 0, "10.0.0.2");
        n.h.terms.rest_sec = 0;
        assert_gets(&n, NULL, 0, "10.0.0.3");
        n.h.terms.has_rest = false;
        assert_gets(&n, NULL, 0, "10.0.0.4");
        give(&n, "10.0.0.2");
        give(&n, "10.0.0.3");
        give(&n, "10.0.0.4");
        assert_int_equal(pop_all(&n), 1); /* the one without */
        n.h.now_usec = NOW + COOLDOWN;
        assert_int_equal(pop_all(&n), 1);
        n.h.now_usec = NOW + 299 * SEC;
        assert_int_equal(pop_all(&n), 0);
        n.h.now_usec = NOW + 300 * SEC;
        assert_int_equal(pop_all(&n), 1);
        ipam_free(n.ipam);
}

static void test_a_clock_set_back_breaks_no_promise(void **state _unused_) {
        Net n;

        net_begin(&n, 3);
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        assert_gets(&n, NULL, 0, "10.0.0.3");
        give(&n, "10.0.0.2");
        give(&n, "10.0.0.3");
        n.h.now_usec = NOW - 24 * 3600 * SEC;
        assert_int_equal(pop_all(&n), 1); /* what rests must not rest for ever */
        assert_gets(&n, "ns/a", 60, "10.0.0.2");
        ipam_free(n.ipam);
}

static void count_given(const Lease *l _unused_, void *userdata) {
        ++*(unsigned *) userdata;
}

static void test_giving_up(void **state _unused_) {
        unsigned count = 0;
        Net n;

        net_begin(&n, 3);
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.2");
        assert_gets(&n, "claim/ns/c", STICKY_KEPT, "10.0.0.3");
        assert_gets(&n, "claim/ns/cc", STICKY_KEPT, "10.0.0.4");
        give(&n, "10.0.0.2");
        give(&n, "10.0.0.4");
        assert_int_equal(ipam_give_up(n.ipam, "claim/ns/c", count_given, &count), 0);
        assert_int_equal(count, 2);
        n.h.now_usec += COOLDOWN;
        assert_int_equal(pop_all(&n), 1);
        give(&n, "10.0.0.3"); /* held when it was given up: from now on like any other */
        n.h.now_usec += COOLDOWN;
        assert_int_equal(pop_all(&n), 1);
        assert_gets(&n, "claim/ns/cc", STICKY_KEPT, "10.0.0.4");
        ipam_free(n.ipam);
}

static void test_loaded_as_it_was(void **state _unused_) {
        LeaseHolder h = { .network = "net",
                          .sandbox = "old",
                          .ifname = "eth0",
                          .owner = "ns/a",
                          .terms = { .sticky_sec = 60 } };
        InPrefix p;
        Net n;

        net_begin(&n, 3);
        assert_int_equal(in_prefix_parse("10.0.0.3/32", &p), 0);
        assert_int_equal(ipam_load_lease(n.ipam, "pool", &p, 0, &h, NOW - 50 * SEC, NULL), 0);
        assert_gets(&n, NULL, 0, "10.0.0.2");
        assert_gets(&n, NULL, 0, "10.0.0.4");
        assert_gets(&n, "ns/a", 60, "10.0.0.3");
        ipam_free(n.ipam);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_the_owner_gets_it_again_at_once),
                cmocka_unit_test(test_it_ends_with_its_time),
                cmocka_unit_test(test_shorter_than_the_cooldown_it_still_rests),
                cmocka_unit_test(test_still_held_gives_another_one),
                cmocka_unit_test(test_others_get_it_last),
                cmocka_unit_test(test_exhaustion_tells_of_claims),
                cmocka_unit_test(test_a_claim_is_of_no_interface),
                cmocka_unit_test(test_a_request_goes_before_a_promise_but_not_before_a_claim),
                cmocka_unit_test(test_undone_it_waits_on),
                cmocka_unit_test(test_quarantine_is_the_networks_own),
                cmocka_unit_test(test_a_clock_set_back_breaks_no_promise),
                cmocka_unit_test(test_giving_up),
                cmocka_unit_test(test_loaded_as_it_was),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
