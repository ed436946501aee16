/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The configuration reader: what it refuses and with which words, and its limits. */

#include "base/limits.h"
#include "base/parse.h"
#include "netconf-test.h"

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_bad(void **state) {
        static const struct {
                const char *text;
                ErrorKind kind;
                const char *words;
        } table[] = {
                /* not JSON, not an object */
                { "", ERROR_DECODE, "" },
                { "{", ERROR_DECODE, "" },
                { "{} {}", ERROR_DECODE, "" },
                { "[]", ERROR_DECODE, "object" },
                { "\"x\"", ERROR_DECODE, "object" },
                { "null", ERROR_DECODE, "" },
                /* envelope */
                { "{}", ERROR_INVALID_ARGUMENT, "\"type\"|netmgr" },
                { "{\"type\":\"calico\"}", ERROR_NOT_SUPPORTED,
                  "\"type\"|calico|netmgr, loopback|vrf" },
                { "{\"type\":5}", ERROR_INVALID_ARGUMENT, "type|5" },
                { "{\"type\":\"netmgr\",\"name\":\"\"}", ERROR_INVALID_ARGUMENT, "name" },
                { "{\"type\":\"netmgr\",\"name\":\"a/b\"}", ERROR_INVALID_ARGUMENT, "name|a/b" },
                { "{\"type\":\"netmgr\",\"name\":[\"a\"]}", ERROR_INVALID_ARGUMENT, "name" },
                { "{\"type\":\"netmgr\",\"cniVersion\":\"2.0.0\"}", ERROR_INCOMPATIBLE_VERSION,
                  "cniVersion|2.0.0|1.1.0" },
                { "{\"type\":\"netmgr\",\"cniVersion\":1}", ERROR_INVALID_ARGUMENT,
                  "cniVersion|1" },
                { CONF(",\"kind\":\"macvtap\""), ERROR_NOT_SUPPORTED,
                  "kind|macvtap|routed, bridge|dummy and vxlan" },
                { CONF(",\"kind\":\"foreign\""), ERROR_NOT_SUPPORTED, "kind|foreign" },
                { CONF(",\"kind\":{}"), ERROR_INVALID_ARGUMENT, "kind" },
                { CONF(",\"network\":\"../x\""), ERROR_INVALID_ARGUMENT, "network|../x" },
                { CONF(",\"prevResult\":\"x\""), ERROR_INVALID_ARGUMENT, "prevResult" },
                /* keys */
                { CONF(",\"subnet\":\"10.97.0.0/24\""), ERROR_UNKNOWN_OPTION,
                  "subnet|10.97.0.0/24" },
                { CONF(",\"bridge\":\"br0\""), ERROR_UNKNOWN_OPTION, "\"bridge\"|br0|routed" },
                { CONF(",\"kind\":\"loopback\",\"mtu\":1400"), ERROR_UNKNOWN_OPTION,
                  "mtu|1400|loopback|routed, bridge, ptp" },
                { CONF(",\"kind\":\"loopback\",\"ipam\":{}"), ERROR_UNKNOWN_OPTION,
                  "ipam|loopback" },
                { CONF(",\"network\":\"lab\",\"mtu\":1400"), ERROR_UNKNOWN_OPTION, "mtu|1400|lab" },
                { CONF(",\"network\":\"lab\",\"ipam\":{}"), ERROR_UNKNOWN_OPTION, "ipam|lab" },
                { CONF(",\"externalSetMarkChain\":\"X\""), ERROR_NOT_SUPPORTED,
                  "externalSetMarkChain|X" },
                { CONF(",\"kind\":\"loopback\",\"snat\":true"), ERROR_UNKNOWN_OPTION,
                  "snat|loopback" },
                { CONF(",\"network\":\"lab\",\"ipMasq\":true"), ERROR_UNKNOWN_OPTION,
                  "ipMasq|lab" },
                /* values */
                { BRIDGE(",\"mtu\":67"), ERROR_INVALID_ARGUMENT, "mtu|67" },
                { BRIDGE(",\"mtu\":65536"), ERROR_INVALID_ARGUMENT, "mtu|65536" },
                { BRIDGE(",\"mtu\":-1"), ERROR_INVALID_ARGUMENT, "mtu|-1" },
                { BRIDGE(",\"mtu\":\"1500\""), ERROR_INVALID_ARGUMENT, "mtu|1500" },
                { BRIDGE(",\"mtu\":1e99"), ERROR_INVALID_ARGUMENT, "mtu" },
                { BRIDGE(",\"bridge\":\"a-name-that-is-too-long\""), ERROR_INVALID_ARGUMENT,
                  "bridge|too-long" },
                { BRIDGE(",\"bridge\":\"br%d\""), ERROR_INVALID_ARGUMENT, "bridge|br%d" },
                { BRIDGE(",\"isGateway\":\"yes\""), ERROR_INVALID_ARGUMENT, "isGateway|yes" },
                { BRIDGE(",\"isGateway\":true"), ERROR_INVALID_ARGUMENT, "isGateway|ipam" },
                { BRIDGE(",\"isDefaultGateway\":true"), ERROR_INVALID_ARGUMENT,
                  "isDefaultGateway|ipam" },
                { BRIDGE(",\"hairpinMode\":true,\"promiscMode\":true"), ERROR_INVALID_ARGUMENT,
                  "hairpinMode|promiscMode" },
                { CONF(""), ERROR_INVALID_ARGUMENT, "ipam|routed" },
                { CONF(",\"ipam\":{}"), ERROR_INVALID_ARGUMENT, "ipam|routed" },
                { CONF(",\"ipam\":[]"), ERROR_INVALID_ARGUMENT, "ipam" },
                { CONF(",\"ipam\":{\"subnet\":\"10.97.0.0/24\"}"), ERROR_INVALID_ARGUMENT,
                  "ipam|\"type\": \"local\"" },
                /* dhcp */
                { CONF(",\"ipam\":{\"type\":\"dhcp\"}"), ERROR_INVALID_ARGUMENT,
                  "ipam.type|dhcp|routed" },
                { BRIDGE(",\"isGateway\":true,\"ipam\":{\"type\":\"dhcp\"}"),
                  ERROR_INVALID_ARGUMENT, "isGateway|dhcp" },
                { BRIDGE(",\"isDefaultGateway\":true,\"ipam\":{\"type\":\"dhcp\"}"),
                  ERROR_INVALID_ARGUMENT, "isDefaultGateway|dhcp" },
                { DHCP(",\"subnet\":\"10.0.0.0/24\""), ERROR_UNKNOWN_OPTION,
                  "ipam.subnet|10.0.0.0" },
                { DHCP(",\"provide\":{}"), ERROR_INVALID_ARGUMENT, "ipam.provide" },
                { DHCP(",\"provide\":[{\"value\":\"x\"}]"), ERROR_INVALID_ARGUMENT, "option" },
                { DHCP(",\"provide\":[{\"option\":\"hostname\",\"value\":\"x\"}]"),
                  ERROR_INVALID_ARGUMENT, "ipam.provide[0].option|hostname|host-name" },
                { DHCP(",\"provide\":[{\"option\":0,\"value\":\"x\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.provide[0].option|0" },
                { DHCP(",\"provide\":[{\"option\":\"255\",\"value\":\"x\"}]"),
                  ERROR_INVALID_ARGUMENT, "ipam.provide[0].option|255" },
                { DHCP(",\"provide\":[{\"option\":12.5,\"value\":\"x\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.provide[0].option|12.5" },
                { DHCP(",\"provide\":[{\"option\":12,\"value\":7}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.provide[0].value|7" },
                { DHCP(",\"provide\":[{\"option\":12},{\"option\":53,\"value\":\"x\"}]"),
                  ERROR_INVALID_ARGUMENT, "ipam.provide[1].option|53" },
                { DHCP(",\"provide\":[{\"option\":12,\"from\":\"x\"}]"), ERROR_UNKNOWN_OPTION,
                  "from" },
                { DHCP(",\"request\":[{}]"), ERROR_INVALID_ARGUMENT, "ipam.request[0]|option" },
                { DHCP(",\"request\":[{\"skipDefault\":\"yes\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.request[0].skipDefault|yes" },
                { DHCP(",\"request\":[{\"option\":\"dns\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.request[0].option|dns" },
                { DHCP(",\"priority\":-1"), ERROR_INVALID_ARGUMENT, "ipam.priority|-1" },
                { DHCP(",\"daemonSocketPath\":5"), ERROR_INVALID_ARGUMENT,
                  "ipam.daemonSocketPath|5" },
                { CONF(",\"mtu\":1279,\"ipam\":{\"type\":\"local\",\"subnet\":\"fd97::/64\"}"),
                  ERROR_INVALID_ARGUMENT, "mtu|1279|1280" },
                /* ipam */
                { IPAM(""), ERROR_INVALID_ARGUMENT, "address range" },
                { IPAM(",\"ranges\":[]"), ERROR_INVALID_ARGUMENT, "address range" },
                { IPAM(SUBNET4 ",\"typo\":1"), ERROR_UNKNOWN_OPTION, "typo|1" },
                { IPAM(SUBNET4 ",\"dataDir\":\"/x\""), ERROR_NOT_SUPPORTED, "dataDir|/x" },
                { IPAM(SUBNET4 ",\"resolvConf\":\"/x\""), ERROR_NOT_SUPPORTED, "resolvConf|/x" },
                { IPAM(",\"rangeStart\":\"10.97.0.5\""), ERROR_INVALID_ARGUMENT,
                  "ipam.rangeStart|10.97.0.5|ipam.subnet" },
                { IPAM(",\"ranges\":[[]]"), ERROR_INVALID_ARGUMENT, "ipam.ranges[0]" },
                { IPAM(",\"ranges\":[{}]"), ERROR_INVALID_ARGUMENT, "ipam.ranges[0]" },
                { IPAM(",\"ranges\":[[{}]]"), ERROR_INVALID_ARGUMENT, "ipam.ranges[0][0]|subnet" },
                { IPAM(",\"ranges\":[[5]]"), ERROR_INVALID_ARGUMENT, "ipam.ranges[0][0]" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"typo\":2"), ERROR_UNKNOWN_OPTION, "typo|2" },
                { RANGE("\"subnet\":\"10.97.0.0\""), ERROR_INVALID_ARGUMENT, "subnet|10.97.0.0" },
                { RANGE("\"subnet\":\"10.97.0.1/24\""), ERROR_INVALID_ARGUMENT,
                  "subnet|10.97.0.1|host bits|10.97.0.0/24" },
                { RANGE("\"subnet\":\"10.97.0.0/31\""), ERROR_INVALID_ARGUMENT, "10.97.0.0|/30" },
                { RANGE("\"subnet\":\"10.97.0.0/33\""), ERROR_INVALID_ARGUMENT, "subnet" },
                { RANGE("\"subnet\":\"fd97::/127\""), ERROR_INVALID_ARGUMENT, "fd97::|/126" },
                { RANGE("\"subnet\":\"0.0.0.0/0\""), ERROR_INVALID_ARGUMENT, "0.0.0.0" },
                { RANGE("\"subnet\":\"127.0.0.0/16\""), ERROR_INVALID_ARGUMENT, "loopback" },
                { RANGE("\"subnet\":\"224.1.0.0/16\""), ERROR_INVALID_ARGUMENT, "multicast" },
                { RANGE("\"subnet\":\"ff05::/64\""), ERROR_INVALID_ARGUMENT, "multicast" },
                { RANGE("\"subnet\":\"::/0\""), ERROR_INVALID_ARGUMENT, "subnet" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.98.0.1\""),
                  ERROR_INVALID_ARGUMENT, "rangeStart|10.98.0.1|10.97.0.0/24" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"fd97::1\""),
                  ERROR_INVALID_ARGUMENT, "rangeEnd|fd97::1|10.97.0.0/24" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.255\""),
                  ERROR_INVALID_ARGUMENT, "rangeEnd|10.97.0.255|broadcast" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.0\""),
                  ERROR_INVALID_ARGUMENT, "rangeStart|10.97.0.0|network" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"gateway\":\"10.98.0.1\""),
                  ERROR_INVALID_ARGUMENT, "gateway|10.98.0.1|10.97.0.0/24" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"gateway\":\"x\""), ERROR_INVALID_ARGUMENT,
                  "gateway|x" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\","
                        "\"rangeEnd\":\"10.97.0.8\""),
                  ERROR_INVALID_ARGUMENT, "10.97.0.9|10.97.0.8" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.1\""),
                  ERROR_INVALID_ARGUMENT, "10.97.0.1|gateway" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"exclude\":[\"10.98.0.0/16\"]"),
                  ERROR_INVALID_ARGUMENT, "exclude|10.98.0.0/16" },
                { RANGE("\"subnet\":\"10.97.0.0/24\",\"exclude\":[\"10.97.0.0/16\"]"),
                  ERROR_INVALID_ARGUMENT, "exclude|10.97.0.0/16" },
                { IPAM(SUBNET4 ",\"exclude\":[\"10.97.0.0/24\"]"), ERROR_INVALID_ARGUMENT,
                  "exclude|10.97.0.0/24" },
                { IPAM(SUBNET4 ",\"exclude\":[\"10.97.0.9/24\"]"), ERROR_INVALID_ARGUMENT,
                  "ipam.exclude[0]|10.97.0.9" },
                { IPAM(SUBNET4 ",\"exclude\":\"10.97.0.9\""), ERROR_INVALID_ARGUMENT, "exclude" },
                { IPAM(SUBNET4 ",\"ranges\":[[{\"subnet\":\"10.97.0.0/16\"}]]"),
                  ERROR_INVALID_ARGUMENT, "10.97.0.1-10.97.0.254|10.97.0.1-10.97.255.254|overlap" },
                { IPAM(",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\",\"rangeEnd\":\"10.97.0.9\"},"
                       "{\"subnet\":\"10.97.0.0/24\",\"rangeStart\":\"10.97.0.9\"}]]"),
                  ERROR_INVALID_ARGUMENT, "10.97.0.1-10.97.0.9|10.97.0.9-10.97.0.254|overlap" },
                { IPAM(",\"ranges\":[[{\"subnet\":\"fd97::/48\"}],[{\"subnet\":\"10.97.0.0/24\"}],"
                       "[{\"subnet\":\"fd97:0:0:1::/64\"}]]"),
                  ERROR_INVALID_ARGUMENT, "overlap|fd97::/48|fd97:0:0:1::/64" },
                { IPAM(",\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"},{\"subnet\":\"fd97::/64\"}]]"),
                  ERROR_INVALID_ARGUMENT, "fd97::/64|10.97.0.0/24|family" },
                { CONF(",\"ipam\":{\"type\":\"local\"" SUBNET4
                       "}" RUNTIME("\"ipRanges\":[[{\"subnet\":\"10.97.0.0/25\"}]]")),
                  ERROR_INVALID_ARGUMENT, "overlap|10.97.0.0/25|10.97.0.0/24" },
                { "{\"cniVersion\":\"0.2.0\",\"type\":\"netmgr\",\"ipam\":{\"type\":\"local\","
                  "\"ranges\":[[{\"subnet\":\"10.97.0.0/24\"}],[{\"subnet\":\"10.98.0.0/24\"}]]}}",
                  ERROR_INVALID_ARGUMENT, "0.2.0|0.3.0" },
                /* routes */
                { IPAM(SUBNET4 ",\"routes\":[{\"gw\":\"10.97.0.1\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.routes[0]|dst" },
                { IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.1/8\"}]"), ERROR_INVALID_ARGUMENT,
                  "ipam.routes[0].dst|10.0.0.1|10.0.0.0/8" },
                { IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"fd97::1\"}]"),
                  ERROR_INVALID_ARGUMENT, "gw|fd97::1|10.0.0.0/8" },
                { IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\",\"gw\":\"0.0.0.0\"}]"),
                  ERROR_INVALID_ARGUMENT, "gw|0.0.0.0" },
                { IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\",\"scope\":256}]"),
                  ERROR_INVALID_ARGUMENT, "scope|256" },
                { IPAM(SUBNET4 ",\"routes\":[{\"dst\":\"10.0.0.0/8\",\"metric\":1}]"),
                  ERROR_UNKNOWN_OPTION, "metric|1" },
                { IPAM(SUBNET4 ",\"routes\":{}"), ERROR_INVALID_ARGUMENT, "routes" },
                /* dns */
                { BRIDGE(",\"dns\":{\"nameserver\":[]}"), ERROR_UNKNOWN_OPTION, "nameserver" },
                { BRIDGE(",\"dns\":{\"search\":\"x\"}"), ERROR_INVALID_ARGUMENT, "dns.search" },
                { BRIDGE(",\"dns\":{\"search\":[\"a b\"]}"), ERROR_INVALID_ARGUMENT,
                  "dns.search[0]|a b" },
                { BRIDGE(",\"dns\":{\"domain\":\"a\\nb\"}"), ERROR_INVALID_ARGUMENT, "dns.domain" },
                /* runtime */
                { BRIDGE(RUNTIME("\"ips\":[\"10.97.0.300\"]")), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.ips[0]|10.97.0.300" },
                { BRIDGE(RUNTIME("\"ips\":[5]")), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.ips[0]|5" },
                { BRIDGE(RUNTIME("\"ips\":\"10.97.0.3\"")), ERROR_INVALID_ARGUMENT, "ips" },
                { BRIDGE(RUNTIME("\"ipRanges\":[[{\"subnet\":\"x\"}]]")), ERROR_INVALID_ARGUMENT,
                  "runtimeConfig.ipRanges[0][0].subnet|x" },
                { BRIDGE(",\"runtimeConfig\":[]"), ERROR_INVALID_ARGUMENT, "runtimeConfig" },
                { BRIDGE(",\"args\":{\"cni\":{\"ips\":[\"x\"]}}"), ERROR_INVALID_ARGUMENT,
                  "args.cni.ips[0]|x" },
                { BRIDGE(",\"cni.dev/valid-attachments\":{}"), ERROR_INVALID_ARGUMENT,
                  "valid-att" },
                { BRIDGE(",\"cni.dev/valid-attachments\":[{\"containerID\":\"a\"}]"),
                  ERROR_INVALID_ARGUMENT, "valid-attachments[0]|ifname" },
                { BRIDGE(",\"cni.dev/attachments\":[{\"containerID\":\"../a\",\"ifname\":\"e\"}]"),
                  ERROR_INVALID_ARGUMENT, "containerID|../a" },
                { BRIDGE(",\"cni.dev/attachments\":[{\"containerID\":\"a\",\"ifname\":\"e/\"}]"),
                  ERROR_INVALID_ARGUMENT, "ifname|e/" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                parse_bad(table[i].text, table[i].kind, table[i].words);
}

/* Every prefix of a good configuration is a broken one, and none of them may leak or crash. */
static void test_truncated(void **state) {
        static const char text[] =
                        IPAM(SUBNET4
                             ",\"ranges\":[[{\"subnet\":\"fd97::/64\",\"exclude\":[\"fd97::9\"]}]],"
                             "\"routes\":[{\"dst\":\"0.0.0.0/0\"}]");

        for (size_t n = 0; n < sizeof(text) - 1; n++) {
                _cleanup_error_ Error e = ERROR_NULL;
                NetConf *c = NULL;

                assert_true(netconf_parse(text, n, &c, &e) < 0);
                assert_int_equal(e.kind, ERROR_DECODE);
                assert_null(c);
        }
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* CONF with n elements made by a printf format that takes the number twice, inside frame. */
static char *repeat(const char *before, const char *element, size_t n, const char *after) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_non_null(f);
        fputs(before, f);
        for (size_t i = 0; i < n; i++) {
                char number[48];

                fputs(i > 0 ? "," : "", f);
                for (const char *p = element; *p; p++)
                        if (*p == '#') { /* high and low byte of the number */
                                snprintf(number, sizeof(number), "%zu.%zu", i / 256, i % 256);
                                fputs(number, f);
                        } else
                                fputc(*p, f);
        }
        fputs(after, f);
        assert_int_equal(fclose(f), 0);
        return text;
}

#define HEAD "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"netmgr\","

static void test_limits(void **state) {
        static const struct {
                const char *before, *element, *after;
                size_t max;
                ErrorKind kind;
        } table[] = {
                { HEAD "\"ipam\":{\"type\":\"local\",\"ranges\":[", "[{\"subnet\":\"10.#.0/24\"}]",
                  "]}}", RANGE_SETS_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"ipam\":{\"type\":\"local\",\"ranges\":[[", "{\"subnet\":\"10.#.0/24\"}",
                  "]]}}", RANGES_PER_SET_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"ipam\":{\"type\":\"local\",\"subnet\":\"10.0.0.0/8\",\"exclude\":[",
                  "\"10.9.#\"", "]}}", EXCLUDES_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"ipam\":{\"type\":\"local\",\"subnet\":\"10.0.0.0/8\",\"routes\":[",
                  "{\"dst\":\"10.9.#/32\"}", "]}}", ROUTES_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"dns\":{\"nameservers\":[", "\"10.9.#\"", "]}}",
                  DNS_ENTRIES_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"runtimeConfig\":{\"ips\":[", "\"10.9.#\"", "]}}",
                  RANGE_SETS_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"allow\":[", "\"n#\"", "]}", ALLOW_MAX,
                  ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"ipMasqExclude\":[", "\"10.9.#\"", "]}", EXCLUDES_MAX,
                  ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"sysctl\":{", "\"net.core.#\":\"1\"", "}}",
                  SYSCTLS_MAX, ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"conditionsV4\":[", "\"-s 10.9.#\"", "]}",
                  CONDITION_WORDS_MAX / 2, ERROR_INVALID_ARGUMENT },
                { HEAD "\"kind\":\"bridge\",\"conditionsV4\":[", "\"-s\",\"10.9.#\"", "]}",
                  CONDITION_WORDS_MAX / 2, ERROR_INVALID_ARGUMENT },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_free_ char *good = repeat(table[i].before, table[i].element, table[i].max,
                                                   table[i].after);
                _cleanup_free_ char *bad = repeat(table[i].before, table[i].element,
                                                  table[i].max + 1, table[i].after);
                _cleanup_(netconf_freep) NetConf *c = parse_ok(good);

                assert_string_equal(c->name, "n");
                parse_bad(bad, table[i].kind, "");
        }
}

static void test_limit_together(void **state) {
        _cleanup_free_ char *text =
                        repeat(HEAD "\"ipam\":{\"type\":\"local\",\"subnet\":\"11.0.0.0/8\","
                                    "\"ranges\":[",
                               "[{\"subnet\":\"10.#.0/24\"}]", RANGE_SETS_MAX, "]}}");

        parse_bad(text, ERROR_INVALID_ARGUMENT, "ipam.ranges|17");
}

static void test_depth_and_size(void **state) {
        _cleanup_free_ char *deep = calloc(1, 2 * 40 + 128), *huge = malloc(CONFIG_SIZE_MAX + 2);
        char *p = stpcpy(deep, HEAD "\"args\":");

        for (int i = 0; i < 40; i++)
                *p++ = '[';
        for (int i = 0; i < 40; i++)
                *p++ = ']';
        strcpy(p, "}");
        parse_bad(deep, ERROR_DECODE, "");

        memset(huge, ' ', CONFIG_SIZE_MAX + 1);
        huge[0] = '{';
        huge[CONFIG_SIZE_MAX] = '}';
        huge[CONFIG_SIZE_MAX + 1] = 0;
        parse_bad(huge, ERROR_DECODE, "");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_truncated),
                cmocka_unit_test(test_limits),
                cmocka_unit_test(test_limit_together),
                cmocka_unit_test(test_depth_and_size),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
