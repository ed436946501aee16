/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* import.h: libcni's cache, Multus' lists, whereabouts' objects; base64.h; pools of others (ipam.h). */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/ipam.h"
#include "cri/import.h"

/* ---- base64 ----------------------------------------------------------------------------------- */

static void base64(void **state) {
        static const struct {
                const char *text, *bytes;
        } good[] = {
                { "", "" },
                { "Zg==", "f" },
                { "Zm8=", "fo" },
                { "Zm9v", "foo" },
                { "Zm9vYg==", "foob" },
                { "Zm9vYmE=", "fooba" },
                { "Zm9vYmFy", "foobar" },
                { "++//", "\xfb\xef\xff" },
        };
        static const char *const bad[] = {
                "Z",    "Zg",       "Zg=",    "Zg===", "=",    "====",  "Zh==",       "Zm9=",
                "Z===", "Zg==Zg==", "Zm9v\n", "Zm 9",  "Zm-_", "Zm9v=", "Zg\xc3\xa4", "=Zg=",
        };
        _cleanup_free_ char *bytes = NULL;
        size_t size;

        for (size_t i = 0; i < ELEMENTSOF(good); i++) {
                assert_int_equal(base64_decode(good[i].text, 100, &bytes, &size), 0);
                assert_int_equal(size, strlen(good[i].bytes));
                assert_string_equal(bytes, good[i].bytes);
                free(TAKE_PTR(bytes));
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(base64_decode(bad[i], 100, &bytes, &size), -EINVAL);
        assert_int_equal(base64_decode("Zm9v", 3, &bytes, NULL), 0);
        free(TAKE_PTR(bytes));
        assert_int_equal(base64_decode("Zm9v", 2, &bytes, NULL), -E2BIG);
        assert_null(bytes);
}

/* ---- one entry of the cache ------------------------------------------------------------------- */

/* {"name": "n", "cniVersion": "1.0.0", "plugins": [{"type": "bridge"},
 *  {"type": "portmap", "capabilities": {"portMappings": true, "ips": false}}]} */
#define LIST                                                                                       \
        "eyJuYW1lIjogIm4iLCAiY25pVmVyc2lvbiI6ICIxLjAuMCIsICJwbHVnaW5zIjogW3sidHlwZSI6ICJicmlkZ2Ui" \
        "fSwgeyJ0eXBlIjogInBvcnRtYXAiLCAiY2FwYWJpbGl0aWVzIjogeyJwb3J0TWFwcGluZ3MiOiB0cnVlLCAiaXBz" \
        "IjogZmFsc2V9fV19"
#define RESULT                                                                                        \
        "{\"cniVersion\":\"1.0.0\",\"interfaces\":[{\"name\":\"cni0\"},{\"name\":\"eth0\",\"mac\":"   \
        "\"02:00:00:00:00:01\",\"sandbox\":\"/run/netns/x\"}],\"ips\":[{\"address\":\"10.0.0.2/24\"," \
        "\"interface\":1},{\"address\":\"10.0.0.9/24\",\"interface\":0}]}"
#define ENTRY(config, more)                                                                           \
        "{\"kind\":\"cniCacheV1\",\"containerId\":\"box\",\"ifName\":\"eth0\",\"networkName\":\"n\"," \
        "\"config\":\"" config "\"" more "}"

static void entry_of_the_cache(void **state) {
        static const char text[] = ENTRY(
                        LIST,
                        ",\"cniArgs\":[[\"A\",\"b\"],[\"C\",\"d\"]],\"capabilityArgs\":{\"portMappings\":[1],"
                        "\"ips\":[2],\"mac\":3},\"result\":" RESULT);
        _cleanup_error_ Error e = ERROR_NULL;
        ImportAttachment a = { 0 };

        assert_int_equal(import_cache_parse(text, strlen(text), "/f", &a, &e), 0);
        assert_int_equal(a.role, IMPORT_INTERFACE);
        assert_string_equal(a.container_id, "box");
        assert_string_equal(a.network, "n");
        assert_string_equal(a.args, "A=b;C=d");
        assert_string_equal(a.netns, "/run/netns/x");
        assert_string_equal(MAC_STR(&a.mac), "02:00:00:00:00:01");
        assert_int_equal(a.n_addresses, 1);
        assert_string_equal(IN_PREFIX_STR(&a.addresses[0]), "10.0.0.2/24");
        assert_non_null(strstr(a.result, "\"1.1.0\""));
        /* What libcni would send: those of the arguments that the plugin declares, and the result. */
        assert_int_equal(a.n_plugins, 2);
        assert_string_equal(a.plugins[0].type, "bridge");
        assert_null(strstr(a.plugins[0].config, "runtimeConfig"));
        assert_non_null(strstr(a.plugins[0].config, "\"prevResult\":{"));
        assert_non_null(strstr(a.plugins[0].config, "\"name\":\"n\""));
        assert_non_null(strstr(a.plugins[1].config, "\"runtimeConfig\":{\"portMappings\":[1]}"));
        import_attachment_clear(&a);
}

static void entries_that_are_refused(void **state) {
        static const struct {
                const char *text, *words;
        } cases[] = {
                { "[]", "object" },
                { "{\"cniVersion\":\"1.0.0\"}", "cniCacheV1" },
                { "{\"kind\":\"cniCacheV2\"}", "cniCacheV2" },
                { ENTRY("!", ""), "base64" },
                { ENTRY("e30=", ""), "type" },   /* {} */
                { ENTRY("W10=", ""), "config" }, /* [] */
                { ENTRY("", ""), "config" },
                { ENTRY(LIST, ",\"cniArgs\":[[\"A\"]]"), "cniArgs" },
                { ENTRY(LIST, ",\"cniArgs\":{}"), "cniArgs" },
                { ENTRY(LIST, ",\"result\":{\"ips\":1}"), "ips" },
                { "{\"kind\":\"cniCacheV1\",\"containerId\":\"../x\"}", "containerId" },
                { "{\"kind\":\"cniCacheV1\",\"containerId\":\"x\",\"ifName\":\"a/b\"}", "ifName" },
                { "{\"kind\":\"cniCacheV1\",\"containerId\":\"x\",\"ifName\":\"a\"}",
                  "networkName" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                ImportAttachment a = { 0 };

                assert_true(import_cache_parse(cases[i].text, strlen(cases[i].text), "/f", &a, &e) <
                            0);
                if (!strstr(error_message(&e), cases[i].words))
                        fail_msg("%s: %s", cases[i].text, error_message(&e));
                assert_null(a.container_id);
        }
}

/* ---- one sandbox -------------------------------------------------------------------------------- */

static char *pod_text(const char *delegates, size_t n, ...) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();
        va_list ap;

        va_start(ap, n);
        for (size_t i = 0; i < n; i++) {
                json_object *file = json_object_new_object();
                assert_int_equal(json_add_string(file, "file", "/f"), 0);
                assert_int_equal(json_add_string(file, "text", va_arg(ap, const char *)), 0);
                assert_int_equal(json_add(file, "written", json_object_new_int64((int64_t) i)), 0);
                assert_int_equal(json_append(list, file), 0);
        }
        va_end(ap);
        assert_int_equal(json_add_string(o, "container", "box"), 0);
        assert_int_equal(json_add(o, "results", TAKE_PTR(list)), 0);
        if (delegates) {
                json_object *file = json_object_new_object();
                assert_int_equal(json_add_string(file, "file", "/d"), 0);
                assert_int_equal(json_add_string(file, "text", delegates), 0);
                assert_int_equal(json_add(o, "delegates", file), 0);
        }
        return json_to_text(o);
}

#define MULTUS                                                                                        \
        "{\"kind\":\"cniCacheV1\",\"containerId\":\"box\",\"ifName\":\"eth0\",\"networkName\":\"m\"," \
        "\"cniArgs\":[[\"A\",\"b\"]],\"netns\":\"/run/netns/x\",\"config\":"                          \
        "\"eyJuYW1lIjogIm0iLCAidHlwZSI6ICJtdWx0dXMtc2hpbSJ9\"}" /* {"name": "m", "type": "multus-shim"} */
#define SECOND                                                                                         \
        "{\"kind\":\"cniCacheV1\",\"containerId\":\"box\",\"ifName\":\"data0\",\"networkName\":\"n\"," \
        "\"config\":\"" LIST "\"}"

static void pod_of_multus(void **state) {
        _cleanup_free_ char *text = pod_text(
                        "[{\"Name\":\"n\",\"Bytes\":\"" LIST
                        "\"},{\"Name\":\"ns/nad\",\"Bytes\":\"" LIST
                        "\"},{\"Name\":\"ns/other\",\"ifnameRequest\":\"data0\",\"Bytes\":\"" LIST
                        "\"}]",
                        3, MULTUS, SECOND, ENTRY(LIST, ""));
        _cleanup_error_ Error e = ERROR_NULL;
        ImportPod p = { 0 };

        assert_int_equal(import_pod_parse(text, strlen(text), &p, &e), 0);
        assert_string_equal(p.default_ifname, "eth0");
        const ImportAttachment *found[3] = { 0 };
        size_t n = 0;
        for (size_t i = 0; i < p.n; i++)
                if (p.list[i].role == IMPORT_INTERFACE)
                        found[n++] = &p.list[i];
        assert_int_equal(n, 3);
        assert_string_equal(found[0]->ifname, "eth0");
        assert_false(found[0]->secondary);
        assert_null(found[0]->reference);
        /* Of this one the cache knows nothing; what all of the sandbox share comes from the others. */
        assert_string_equal(found[1]->ifname, "net1");
        assert_string_equal(found[1]->reference, "ns/nad");
        assert_string_equal(found[1]->args, "A=b");
        assert_string_equal(found[1]->netns, "/run/netns/x");
        assert_null(found[1]->result);
        assert_string_equal(found[2]->ifname, "data0");
        assert_int_equal(found[2]->position, 2);
        assert_true(found[2]->secondary);
        import_pod_clear(&p);
}

/* Of two entries for one interface the later one counts; without a list the order is eth0 first. */
static void pod_without_a_list(void **state) {
        _cleanup_free_ char *text = pod_text(NULL, 3, SECOND, ENTRY(LIST, ""),
                                             ENTRY(LIST, ",\"netns\":\"/later\""));
        _cleanup_error_ Error e = ERROR_NULL;
        ImportPod p = { 0 };

        assert_int_equal(import_pod_parse(text, strlen(text), &p, &e), 0);
        assert_int_equal(p.n, 2);
        assert_string_equal(p.list[0].ifname, "eth0");
        assert_string_equal(p.list[0].netns, "/later");
        assert_string_equal(p.list[1].ifname, "data0");
        assert_int_equal(p.list[1].position, 1);
        assert_true(p.list[1].secondary && !p.list[0].secondary);
        import_pod_clear(&p);
}

static void pods_that_are_refused(void **state) {
        _cleanup_free_ char *texts[] = {
                pod_text("{}", 0),
                pod_text("[{\"Name\":\"n\"}]", 0),
                pod_text("[{\"Bytes\":\"?\"}]", 0),
                pod_text("[{\"Bytes\":\"" LIST "\",\"ifnameRequest\":\"a b\"}]", 0),
                pod_text(NULL, 1,
                         "{\"kind\":\"cniCacheV1\",\"containerId\":\"other\",\"ifName\":\"eth0\","
                         "\"networkName\":\"n\",\"config\":\"" LIST "\"}"),
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                ImportPod p = { 0 };

                assert_true(import_pod_parse(texts[i], strlen(texts[i]), &p, &e) < 0);
                assert_true(error_is_set(&e) && p.n == 0);
                free(TAKE_PTR(texts[i]));
        }
}

/* ---- pools -------------------------------------------------------------------------------------- */

static void pools_of_whereabouts(void **state) {
        static const char text[] =
                        "{\"kind\":\"List\",\"items\":[{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"10.0.0.0-24\"},"
                        "\"spec\":{\"range\":\"10.0.0.0/24\",\"allocations\":{\"1\":{\"id\":\"a\",\"podref\":\"x/y\","
                        "\"ifname\":\"net1\"},\"255\":{\"id\":\"/bad\"}}}},"
                        "{\"kind\":\"OverlappingRangeIPReservation\",\"metadata\":{\"name\":\"10.0.0.7\"},\"spec\":{"
                        "\"containerid\":\"a\"}},{\"kind\":\"OverlappingRangeIPReservation\",\"metadata\":{\"name\":"
                        "\"blue-fd00--7\"},\"spec\":{\"containerid\":\"b\",\"ifname\":\"net2\"}}]}";
        _cleanup_error_ Error e = ERROR_NULL;
        ImportPools p = { 0 };

        assert_int_equal(import_pools_parse(text, strlen(text), &p, &e), 0);
        assert_int_equal(p.n, 2);
        assert_int_equal(p.pools[0].n, 2);
        assert_string_equal(IN_ADDR_STR(&p.pools[0].addresses[0].address), "10.0.0.1");
        assert_string_equal(p.pools[0].addresses[0].ifname, "net1");
        assert_string_equal(IN_ADDR_STR(&p.pools[0].addresses[1].address), "10.0.0.255");
        assert_string_equal(p.pools[0].addresses[1].id, "");
        assert_int_equal(p.pools[1].n, 2);
        assert_string_equal(IN_ADDR_STR(&p.pools[1].addresses[0].address), "10.0.0.7");
        assert_string_equal(IN_ADDR_STR(&p.pools[1].addresses[1].address), "fd00::7");
        import_pools_clear(&p);
}

static void pools_that_are_refused(void **state) {
        static const char *const texts[] = {
                "[]",
                "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"\"}}",
                "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"range\":\"10.0.0.0\"}}",
                "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"range\":\"10.0.0.0/24\","
                "\"allocations\":[]}}",
                "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"range\":\"10.0.0.0/24\","
                "\"allocations\":{\"256\":{}}}}",
                "{\"kind\":\"IPPool\",\"metadata\":{\"name\":\"x\"},\"spec\":{\"range\":\"10.0.0.0/24\","
                "\"allocations\":{\"-1\":{}}}}",
                "{\"kind\":\"OverlappingRangeIPReservation\",\"metadata\":{\"name\":\"a-b\"},\"spec\":{}}",
                "{\"items\":[{\"items\":[]}]}",
                "{\"items\":{}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                ImportPools p = { 0 };

                assert_true(import_pools_parse(texts[i], strlen(texts[i]), &p, &e) < 0);
                assert_true(error_is_set(&e) && p.n == 0);
        }
}

/* One more than the limit, each at its own number. */
static void pools_that_are_too_large(void **state) {
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *allocations = json_object_new_object(), *spec = json_object_new_object(),
                    *metadata = json_object_new_object();
        _cleanup_error_ Error e = ERROR_NULL;
        ImportPools p = { 0 };
        char key[16];

        for (unsigned i = 0; i < IMPORT_ADDRESSES_MAX; i++) {
                snprintf(key, sizeof(key), "%u", i);
                assert_int_equal(json_add(allocations, key, json_object_new_object()), 0);
        }
        assert_int_equal(json_add(spec, "allocations", allocations), 0);
        assert_int_equal(json_add_string(spec, "range", "10.0.0.0/8"), 0);
        assert_int_equal(json_add_string(metadata, "name", "x"), 0);
        assert_int_equal(json_add_string(o, "kind", "IPPool"), 0);
        assert_int_equal(json_add(o, "metadata", metadata), 0);
        assert_int_equal(json_add(o, "spec", spec), 0);
        _cleanup_free_ char *most = json_to_text(o);
        assert_int_equal(import_pools_parse(most, strlen(most), &p, &e), 0);
        assert_int_equal(p.pools[0].n, IMPORT_ADDRESSES_MAX);
        import_pools_clear(&p);
        assert_int_equal(json_add(allocations, "9999999", json_object_new_object()), 0);
        _cleanup_free_ char *more = json_to_text(o), *large = malloc(IMPORT_SIZE_MAX + 1);
        assert_true(import_pools_parse(more, strlen(more), &p, &e) < 0);
        assert_non_null(strstr(error_message(&e), "the limit"));
        memset(large, ' ', IMPORT_SIZE_MAX + 1);
        error_clear(&e);
        assert_true(import_pools_parse(large, IMPORT_SIZE_MAX + 1, &p, &e) < 0);
        assert_non_null(strstr(error_message(&e), "at most"));
}

/* ---- what the pools of ours make of it ------------------------------------------------------------ */

static InAddr addr(const char *s) {
        InAddr a;

        assert_int_equal(in_addr_parse(s, &a), 0);
        return a;
}

static void addresses_of_others(void **state) {
        NetRange range = { .start = addr("10.0.0.1"), .end = addr("10.0.0.3") };
        const NetRangeSet set = { .ranges = &range, .n_ranges = 1 };
        const LeaseHolder ours = { .attachment = 1,
                                   .network = "n",
                                   .sandbox = "s",
                                   .ifname = "eth0" },
                          theirs = { .network = "t", .sandbox = "x", .ifname = "net1" };
        _cleanup_(ipam_freep) Ipam *ipam = NULL;
        const InAddr one = addr("10.0.0.1"), two = addr("10.0.0.2");
        _cleanup_error_ Error e = ERROR_NULL;
        IpamGrant grant;
        Lease *a, *b;

        assert_int_equal(in_prefix_parse("10.0.0.0/24", &range.subnet), 0);
        assert_int_equal(ipam_new(0, &ipam), 0);
        assert_false(ipam_has_others(ipam));
        /* Two of theirs have the same address; while one of them does, ours does not give it out. */
        assert_int_equal(ipam_hold(ipam, "@one", 0, &one, &theirs, &a, NULL), 0);
        assert_int_equal(ipam_hold(ipam, "@two", 0, &one, &theirs, &b, NULL), 0);
        assert_true(ipam_has_others(ipam));
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, NULL, &ours, &grant, &e), 0);
        assert_true(in_addr_equal(&grant.lease->address, &two));
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, &one, &ours, &grant, &e), -EADDRINUSE);
        assert_non_null(strstr(error_message(&e), "sandbox x"));
        ipam_release(ipam, a, 1);
        error_clear(&e);
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, &one, &ours, &grant, &e), -EADDRINUSE);
        ipam_forget(ipam, b);
        assert_false(ipam_has_others(ipam));
        error_clear(&e);
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, &one, &ours, &grant, &e), 0);
        /* One that rests here and is held there is nobody's. */
        ipam_release(ipam, grant.lease, 1);
        assert_int_equal(ipam_hold(ipam, "@one", 0, &one, &theirs, &a, NULL), 0);
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, NULL, &ours, &grant, &e), 0);
        assert_int_equal(ipam_allocate(ipam, "n", 0, &set, NULL, &ours, &grant, &e),
                         -error_errno(ERROR_RANGE_EXHAUSTED));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(base64),
                cmocka_unit_test(entry_of_the_cache),
                cmocka_unit_test(entries_that_are_refused),
                cmocka_unit_test(pod_of_multus),
                cmocka_unit_test(pod_without_a_list),
                cmocka_unit_test(pods_that_are_refused),
                cmocka_unit_test(pools_of_whereabouts),
                cmocka_unit_test(pools_that_are_refused),
                cmocka_unit_test(pools_that_are_too_large),
                cmocka_unit_test(addresses_of_others),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
