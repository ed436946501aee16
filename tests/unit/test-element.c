/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From attachments and networks to elements, what changed between two lists, ranges without overlap. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "policy/element.h"
#include "policy/interval.h"

static InAddr addr(const char *s) {
        InAddr a;
        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

static size_t count(const ElementList *l, PolicySet set) {
        size_t n = 0;

        for (size_t i = 0; i < l->n; i++)
                n += l->items[i].set == set;
        return n;
}

static const Element *only(const ElementList *l, PolicySet set) {
        const Element *found = NULL;

        assert_int_equal(count(l, set), 1);
        for (size_t i = 0; i < l->n; i++)
                if (l->items[i].set == set)
                        found = &l->items[i];
        return found;
}

/* The key begins with these bytes and is zero behind them. */
static void assert_bytes(const uint8_t *found, size_t size, const void *wanted, size_t n) {
        assert_memory_equal(found, wanted, n);
        for (size_t i = n; i < size; i++)
                assert_int_equal(found[i], 0);
}
#define assert_key(e, wanted)  assert_bytes((e)->key, SET_KEY_MAX, wanted, sizeof(wanted))
#define assert_data(e, wanted) assert_bytes((e)->data, SET_DATA_MAX, wanted, sizeof(wanted))

static void assert_sorted(const ElementList *l) {
        for (size_t i = 1; i < l->n; i++)
                assert_true(memcmp(&l->items[i - 1], &l->items[i], sizeof(Element)) < 0);
}

/* ---- attachments ------------------------------------------------------------------------------ */

static void test_bare(void **state) {
        PolicyAttachment a = { .host_ifname = "nmg1" };
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 1);
        assert_key(only(&l, SET_PORTS), "nmg1");
        element_list_clear(&l);
        /* A bridge port without addresses is one whose addresses are not known. */
        a.bridged = true;
        a.mac = (MacAddr) { { 2, 0, 0, 0, 0, 9 } };
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 3);
        assert_key(only(&l, SET_BR_PORTS), "nmg1");
        assert_key(only(&l, SET_BR_L2), "nmg1");
        static const uint8_t mac[] = { 'n', 'm', 'g', '1', 0, 0, 0, 0, 0, 0, 0,
                                       0,   0,   0,   0,   0, 2, 0, 0, 0, 0, 9 };
        assert_key(only(&l, SET_BR_MAC), mac);
        element_list_clear(&l);
}

static void test_addresses(void **state) {
        InAddr addresses[] = { addr("10.0.0.7"), addr("fd00::7"), addr("10.0.0.7") };
        PolicyAttachment a = { .host_ifname = "nmg0123456789ab",
                               .addresses = addresses,
                               .n_addresses = 3,
                               .masquerade = true };
        static const uint8_t source[] = "nmg0123456789ab\0\x0a\0\0\x07", masq[] = "\x0a\0\0\x07";
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 5); /* an address that is there twice is one element */
        assert_sorted(&l);
        assert_key(only(&l, SET_SRC4), source);
        assert_key(only(&l, SET_MASQ4), masq);
        assert_int_equal(count(&l, SET_SRC6) + count(&l, SET_MASQ6), 2);
        element_list_clear(&l);
        a.no_metadata = true;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 7);
        assert_key(only(&l, SET_NOMETA4), masq);
        assert_int_equal(count(&l, SET_NOMETA6), 1);
        element_list_clear(&l);
        memset(a.host_ifname, 0,
               sizeof(a.host_ifname)); /* what the host does not carry it cannot drop */
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_NOMETA4) + count(&l, SET_NOMETA6), 0);
        element_list_clear(&l);
        memcpy(a.host_ifname, "nmg0123456789ab", sizeof(a.host_ifname));
        a.no_metadata = false;
        a.bridged = true;
        a.masquerade = false;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 4); /* port, MAC, two addresses */
        assert_key(only(&l, SET_BR_SRC4), source);
        assert_int_equal(count(&l, SET_BR_SRC6), 1);
        element_list_clear(&l);
}

static void test_ports(void **state) {
        PolicyPort ports[] = {
                { addr("0.0.0.0"), addr("10.0.0.7"), IPPROTO_TCP, 8080, 80 },
                { addr("192.0.2.1"), addr("10.0.0.7"), IPPROTO_UDP, 65535, 53 },
                { addr("::"), addr("fd00::7"), IPPROTO_SCTP, 1, 65535 },
                { addr("fd00::1"), addr("fd00::7"), IPPROTO_TCP, 8080, 80 },
        };
        PolicyAttachment a = { .host_ifname = "nmg1", .ports = ports, .n_ports = 4 };
        static const uint8_t any[] = { 6, 0, 0, 0, 0x1f, 0x90, 0, 0 },
                             target[] = { 10, 0, 0, 7, 0, 80, 0, 0 },
                             one[] = { 192, 0, 2, 1, 17, 0, 0, 0, 0xff, 0xff, 0, 0 };
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 5); /* nothing for hairpin without snat */
        assert_key(only(&l, SET_HOST4), any);
        assert_data(only(&l, SET_HOST4), target);
        assert_key(only(&l, SET_HOSTIP4), one);
        assert_int_equal(count(&l, SET_HOST6) + count(&l, SET_HOSTIP6), 2);
        element_list_clear(&l);

        a.snat = a.masquerade_ports = true;
        a.condition_group = 77;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_sorted(&l);
        assert_int_equal(only(&l, SET_HOST4)->group, 77);
        assert_int_equal(only(&l, SET_PORTS)->group, 0);
        assert_int_equal(count(&l, SET_MASQPORT4) + count(&l, SET_MASQPORT6), 2);
        assert_key(only(&l, SET_LOCALNET), "nmg1");
        assert_memory_equal(only(&l, SET_HAIRPIN)->key + IF_NAMESIZE, "nmg1", 5);
        assert_int_equal(count(&l, SET_SELF4) + count(&l, SET_SELF6), 0);
        element_list_clear(&l);

        /* 127.0.0.1 has nothing to reach where all host ports are IPv6. */
        a.ports = ports + 2;
        a.n_ports = 2;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_LOCALNET), 0);
        assert_int_equal(count(&l, SET_HAIRPIN), 1);
        element_list_clear(&l);

        /* Behind a bridge it is the address that tells who talks to itself. */
        a.bridged = true;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_HAIRPIN) + count(&l, SET_LOCALNET), 0);
        assert_memory_equal(only(&l, SET_SELF6)->key, ports[2].target.bytes, 16);
        assert_memory_equal(only(&l, SET_SELF6)->key + 16, ports[2].target.bytes, 16);
        element_list_clear(&l);
}

/* Of a configuration of the reference's type: nothing is checked, or the MAC. */
static void test_spoof(void **state) {
        InAddr address = addr("10.0.0.7");
        PolicyAttachment a = { .host_ifname = "nmg1",
                               .addresses = &address,
                               .n_addresses = 1,
                               .bridged = true,
                               .spoof = POLICY_SPOOF_NONE };
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 2);
        assert_key(only(&l, SET_BR_PORTS), "nmg1");
        assert_key(only(&l, SET_BR_FREE), "nmg1");
        element_list_clear(&l);
        a.spoof = POLICY_SPOOF_MAC;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 3);
        assert_key(only(&l, SET_BR_MAC_ONLY), "nmg1");
        assert_int_equal(count(&l, SET_BR_MAC), 1);
        element_list_clear(&l);
        /* Only a bridge sees MACs. */
        a.bridged = false;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 2);
        assert_key(only(&l, SET_FREE), "nmg1");
        element_list_clear(&l);
}

/* Who asks for an address sends from 0.0.0.0; who has one sends from both, and from nowhere else. */
static void test_dhcp(void **state) {
        InAddr address = addr("10.0.0.7");
        PolicyAttachment a = { .host_ifname = "nmg1", .bridged = true, .dhcp = true };
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_BR_L2), 0);
        assert_memory_equal(only(&l, SET_BR_SRC4)->key + IF_NAMESIZE, "\0\0\0\0", 4);
        element_list_clear(&l);
        a.addresses = &address;
        a.n_addresses = 1;
        a.masquerade = true;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_BR_SRC4), 2);
        assert_int_equal(count(&l, SET_MASQ4), 1);
        element_list_clear(&l);
}

static void test_foreign(void **state) {
        InAddr address = addr("10.0.0.7");
        PolicyPort port = { addr("0.0.0.0"), address, IPPROTO_TCP, 8080, 80 };
        PolicyAttachment a = { .foreign = true,
                               .host_ifname = "veth1",
                               .addresses = &address,
                               .n_addresses = 1,
                               .ports = &port,
                               .n_ports = 1,
                               .snat = true };
        static const char *const ways[] = { "veth1", "cni0" };
        ElementList l = { 0 };

        for (int i = 0; i < 2; i++) {
                snprintf(a.bridge, sizeof(a.bridge), "%s", i ? "cni0" : "");
                assert_int_equal(elements_of_attachment(&a, &l), 0);
                assert_int_equal(l.n, 4 + i); /* behind a bridge: who talks to himself */
                assert_int_equal(count(&l, SET_SELF4), i);
                assert_bytes(only(&l, SET_LOCALNET)->key, SET_KEY_MAX, ways[i], strlen(ways[i]));
                assert_bytes(only(&l, SET_BRIDGES)->key, SET_KEY_MAX, ways[i], strlen(ways[i]));
                element_list_clear(&l);
        }
        a.n_ports = 0;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 0);
        element_list_clear(&l);
        /* No end on the host: host ports lead there all the same. */
        a = (PolicyAttachment) {
                .addresses = &address, .n_addresses = 1, .ports = &port, .n_ports = 1, .snat = true
        };
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, 1);
        assert_int_equal(count(&l, SET_HOST4), 1);
        element_list_clear(&l);
}

static void test_ingress(void **state) {
        InAddr addresses[] = { addr("10.0.0.7"), addr("fd00::7") };
        PolicyAttachment a = { .host_ifname = "nmg1",
                               .bridge = "br0",
                               .bridged = true,
                               .addresses = addresses,
                               .n_addresses = 2 };
        static const uint8_t towards[] = "br0\0\0\0\0\0\0\0\0\0\0\0\0\0\x0a\0\0\x07";
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        size_t open = l.n;
        element_list_clear(&l);
        a.ingress = POLICY_INGRESS_INSIDE;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, open + 4);
        assert_key(only(&l, SET_INNER4), towards);
        assert_key(only(&l, SET_INSIDE4), towards);
        assert_int_equal(count(&l, SET_INNER6) + count(&l, SET_INSIDE6), 2);
        element_list_clear(&l);
        a.ingress = POLICY_INGRESS_CLOSED;
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(l.n, open + 3);
        assert_key(only(&l, SET_CLOSED4), towards);
        assert_int_equal(count(&l, SET_CLOSED6), 1);
        assert_key(only(&l, SET_BR_CLOSED), "nmg1");
        element_list_clear(&l);
        /* Without a bridge the host end is the way. */
        a.bridged = false;
        a.bridge[0] = '\0';
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_memory_equal(only(&l, SET_CLOSED4)->key, "nmg1", 5);
        assert_int_equal(count(&l, SET_BR_CLOSED), 0);
        element_list_clear(&l);
}

static void test_limits(void **state) {
        PolicyAttachment a = { .host_ifname = "nmg1", .to = { UINT64_MAX, UINT32_MAX } };
        ElementList l = { 0 };

        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(count(&l, SET_POLICE_FROM), 0);
        assert_true(only(&l, SET_POLICE_TO)->rate == UINT64_MAX);
        assert_true(only(&l, SET_POLICE_TO)->burst == UINT32_MAX);
        element_list_clear(&l);
        a.bridged = true;
        a.from = (PolicyLimit) { 1, 0 };
        assert_int_equal(elements_of_attachment(&a, &l), 0);
        assert_int_equal(only(&l, SET_BR_POLICE_FROM)->rate, 1);
        assert_int_equal(count(&l, SET_BR_POLICE_TO), 1);
        assert_int_equal(count(&l, SET_POLICE_TO), 0);
        element_list_clear(&l);
}

/* ---- networks --------------------------------------------------------------------------------- */

static void test_networks(void **state) {
        uint32_t allow[] = { 2, 1 };
        PolicyNetwork one = { .name = "one",
                              .group = 1,
                              .isolated = true,
                              .allow = allow,
                              .n_allow = 2 },
                      two = { .name = "two", .group = 2, .bridge = "br0", .snat = true },
                      three = { .name = "three", .group = 2, .bridge = "br0", .snat = true },
                      none = { .name = "none" };
        PolicyNetwork *list[] = { &one, &two, &three, &none };
        static const uint32_t pair[] = { 2, 1 };
        ElementList l = { 0 };
        size_t found = 0;

        assert_int_equal(elements_of_networks(list, 4, &l), 0);
        assert_sorted(&l);
        assert_int_equal(count(&l, SET_NETWORKS), 2);
        assert_int_equal(count(&l, SET_ISOLATED), 1);
        assert_int_equal(count(&l, SET_ALLOWED), 3); /* itself may always */
        for (size_t i = 0; i < l.n; i++)
                found += l.items[i].set == SET_ALLOWED &&
                         memcmp(l.items[i].key, pair, sizeof(pair)) == 0;
        assert_int_equal(found, 1); /* from group 2 into group 1, not the other way */
        assert_key(only(&l, SET_BRIDGES), "br0");
        assert_key(only(&l, SET_LOCALNET), "br0");
        assert_int_equal(count(&l, SET_HAIRPIN), 1);
        assert_int_equal(l.n, 9);
        element_list_clear(&l);
        assert_int_equal(elements_of_networks(list, 0, &l), 0);
        assert_int_equal(l.n, 0);
        assert_int_equal(elements_of_networks(&list[3], 1, &l), 0);
        assert_int_equal(l.n, 0);
        element_list_clear(&l);
}

/* ---- differences ------------------------------------------------------------------------------ */

/* Elements 1, 2, 4 ... of the bits that are set. */
static ElementList list_of(unsigned bits) {
        ElementList l = { 0 };

        for (unsigned i = 0; i < 8; i++)
                if (bits & 1U << (7 - i)) {
                        Element e = { .set = (7 - i) % 3, .key = { (uint8_t) (7 - i) } };
                        assert_int_equal(element_list_append(&l, &e), 0);
                }
        element_list_sort(&l);
        return l;
}

static void test_diff(void **state) {
        for (unsigned a = 0; a < 256; a++)
                for (unsigned b = 0; b < 256; b++) {
                        ElementList from = list_of(a), to = list_of(b), gone = { 0 }, added = { 0 };
                        ElementList only_a = list_of(a & ~b), only_b = list_of(b & ~a);

                        assert_int_equal(elements_diff(&from, &to, &gone, &added), 0);
                        assert_int_equal(gone.n, only_a.n);
                        assert_int_equal(added.n, only_b.n);
                        if (gone.n > 0)
                                assert_memory_equal(gone.items, only_a.items,
                                                    gone.n * sizeof(Element));
                        if (added.n > 0)
                                assert_memory_equal(added.items, only_b.items,
                                                    added.n * sizeof(Element));
                        element_list_clear(&from);
                        element_list_clear(&to);
                        element_list_clear(&gone);
                        element_list_clear(&added);
                        element_list_clear(&only_a);
                        element_list_clear(&only_b);
                }
}

/* Whatever makes an element another one: data, group, rate, burst. */
static void test_diff_fields(void **state) {
        const Element base = { .set = SET_HOST4, .group = 1, .rate = 1, .burst = 1 };
        Element others[] = { base, base, base, base, base };

        others[0].group++;
        others[1].data[SET_DATA_MAX - 1]++;
        others[2].rate++;
        others[3].burst++;
        others[4].key[SET_KEY_MAX - 1]++;
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                ElementList from = { 0 }, to = { 0 }, gone = { 0 }, added = { 0 };

                assert_int_equal(element_list_append(&from, &base), 0);
                assert_int_equal(element_list_append(&to, &others[i]), 0);
                assert_int_equal(elements_diff(&from, &to, &gone, &added), 0);
                assert_int_equal(gone.n, 1);
                assert_int_equal(added.n, 1);
                element_list_clear(&from);
                element_list_clear(&to);
                element_list_clear(&gone);
                element_list_clear(&added);
        }
}

/* ---- ranges ----------------------------------------------------------------------------------- */

typedef struct RangeCase {
        const char *in[6], *out[6]; /* "first-last" */
} RangeCase;

static size_t read_ranges(const char *const *text, AddressRange *ret) {
        size_t n = 0;

        for (; n < 6 && text[n]; n++) {
                char first[IN_ADDR_STR_MAX], last[IN_ADDR_STR_MAX];
                assert_int_equal(sscanf(text[n], "%45[^-]-%45s", first, last), 2);
                ret[n] = (AddressRange) { addr(first), addr(last) };
        }
        return n;
}

static void test_ranges(void **state) {
        static const RangeCase cases[] = {
                { { NULL }, { NULL } },
                { { "1.0.0.0-1.0.0.0" }, { "1.0.0.0-1.0.0.0" } },
                /* duplicates, nested, nested at both edges */
                { { "1.0.0.0-1.0.0.9", "1.0.0.0-1.0.0.9" }, { "1.0.0.0-1.0.0.9" } },
                { { "1.0.0.3-1.0.0.4", "1.0.0.0-1.0.0.9", "1.0.0.5-1.0.0.6" },
                  { "1.0.0.0-1.0.0.9" } },
                { { "1.0.0.0-1.0.0.4", "1.0.0.0-1.0.0.9", "1.0.0.9-1.0.0.9" },
                  { "1.0.0.0-1.0.0.9" } },
                /* a long one swallows what the one behind it does not touch */
                { { "1.0.0.0-1.0.0.99", "1.0.0.1-1.0.0.2", "1.0.0.50-1.0.0.120" },
                  { "1.0.0.0-1.0.0.120" } },
                /* adjacent, across a byte; one address apart */
                { { "1.0.1.0-1.0.1.9", "1.0.0.0-1.0.0.255" }, { "1.0.0.0-1.0.1.9" } },
                { { "1.0.0.0-1.0.0.8", "1.0.0.10-1.0.0.11" },
                  { "1.0.0.0-1.0.0.8", "1.0.0.10-1.0.0.11" } },
                /* top and bottom of the address space */
                { { "255.255.255.255-255.255.255.255", "255.255.255.254-255.255.255.254",
                    "255.255.255.255-255.255.255.255" },
                  { "255.255.255.254-255.255.255.255" } },
                { { "0.0.0.0-127.255.255.255", "128.0.0.0-255.255.255.255" },
                  { "0.0.0.0-255.255.255.255" } },
                { { "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "fd00::-fd00::1" },
                  { "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" } },
                { { "fd00::1:0-fd00::1:5", "fd00::-fd00::ffff" }, { "fd00::-fd00::1:5" } },
                /* the top of IPv4 does not touch the bottom of IPv6 */
                { { "::-::1", "255.255.255.255-255.255.255.255" },
                  { "255.255.255.255-255.255.255.255", "::-::1" } },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                AddressRange in[6], out[6];
                size_t n = read_ranges(cases[i].in, in), wanted = read_ranges(cases[i].out, out);

                assert_int_equal(address_ranges_merge(in, n), wanted);
                for (size_t k = 0; k < wanted; k++) {
                        assert_string_equal(IN_ADDR_STR(&in[k].first), IN_ADDR_STR(&out[k].first));
                        assert_string_equal(IN_ADDR_STR(&in[k].last), IN_ADDR_STR(&out[k].last));
                }
        }
}

static void test_range_of(void **state) {
        static const char *const cases[][3] = {
                { "10.0.0.5/24", "10.0.0.0", "10.0.0.255" },
                { "10.0.0.5/32", "10.0.0.5", "10.0.0.5" },
                { "10.0.0.5/0", "0.0.0.0", "255.255.255.255" },
                { "10.0.0.5/31", "10.0.0.4", "10.0.0.5" },
                { "fd00::5/127", "fd00::4", "fd00::5" },
                { "fd00::5/0", "::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                InPrefix p;
                assert_int_equal(in_prefix_parse(cases[i][0], &p), 0);
                AddressRange r = address_range_of(&p);
                assert_string_equal(IN_ADDR_STR(&r.first), cases[i][1]);
                assert_string_equal(IN_ADDR_STR(&r.last), cases[i][2]);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bare),        cmocka_unit_test(test_addresses),
                cmocka_unit_test(test_ports),       cmocka_unit_test(test_limits),
                cmocka_unit_test(test_networks),    cmocka_unit_test(test_diff),
                cmocka_unit_test(test_diff_fields), cmocka_unit_test(test_ranges),
                cmocka_unit_test(test_range_of),    cmocka_unit_test(test_spoof),
                cmocka_unit_test(test_dhcp),        cmocka_unit_test(test_foreign),
                cmocka_unit_test(test_ingress),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
