/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Lists of plugins, what each plugin of one is told, and the manifests that hold them. */

#include "cri/netlist.h"

#include "base/parse.h"
#include "netconf-test.h"

#define LIST(plugins) "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"plugins\":[" plugins "]}"
#define BRIDGE0       "{\"type\":\"bridge\",\"bridge\":\"cni0\",\"ipam\":{\"type\":\"static\"}}"

static NetList *list_ok(const char *text, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetList *l = NULL;

        if (net_list_parse(text, strlen(text), name, &l, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        assert_int_equal(e.kind, ERROR_NONE);
        return l;
}

static void assert_words(const char *text, int r, const Error *e, ErrorKind kind,
                         const char *words) {
        assert_refused(text, r, NULL, e, kind, words);
}

static void list_bad(const char *text, ErrorKind kind, const char *words) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetList *l = NULL;
        int r = net_list_parse(text, strlen(text), "fallback", &l, &e);

        assert_null(l);
        assert_words(text, r, &e, kind, words);
}

static void test_list(void **state) {
        _cleanup_(net_list_freep) NetList *l =
                        list_ok(LIST(BRIDGE0
                                     ",{\"type\":\"portmap\",\"capabilities\":{\"portMappings\":"
                                     "true,\"x\":false}},{\"Type\":\"their-own\",\"Name\":\"z\"}"),
                                "fallback");

        assert_string_equal(l->name, "n");
        assert_string_equal(l->cni_version, "1.0.0");
        assert_int_equal(l->n_plugins, 3);
        assert_int_equal(l->plugins[0].plugin, NET_PLUGIN_BRIDGE);
        assert_null(l->plugins[0].capabilities);
        assert_int_equal(l->plugins[1].plugin, NET_PLUGIN_PORTMAP);
        assert_string_equal(l->plugins[1].capabilities[0], "portMappings");
        assert_null(l->plugins[1].capabilities[1]);
        assert_int_equal(l->plugins[2].plugin, _NET_PLUGIN_INVALID);
        assert_string_equal(l->plugins[2].type, "their-own");
        /* the list's name and version go before the plugin's own */
        assert_false(json_object_object_get_ex(l->plugins[2].config, "Name", NULL));
        for (size_t i = 0; i < l->n_plugins; i++) {
                assert_string_equal(json_object_get_string(json_get(l->plugins[i].config, "name")),
                                    "n");
                assert_string_equal(json_object_get_string(
                                                    json_get(l->plugins[i].config, "cniVersion")),
                                    "1.0.0");
        }
        assert_false(net_list_is_plain(l) || l->disable_check || l->disable_gc);
}

static void test_head(void **state) {
        _cleanup_(net_list_freep) NetList
                        *nameless = list_ok("{\"type\":\"calico\"}", "pods"),
                        *versions = list_ok("{\"cniVersions\":[\"0.4.0\",\"9.9.9\",\"1.0.0\"],"
                                            "\"disableCheck\":\"True\",\"disableGC\":true,"
                                            "\"other\":1,\"plugins\":[{\"type\":\"x\"}]}",
                                            "a.b"),
                        *plain = list_ok(CONF(",\"ipam\":{\"type\":\"local\"" SUBNET4 "}"), NULL);

        assert_string_equal(nameless->name, "pods");
        assert_string_equal(nameless->cni_version, "0.1.0");
        assert_string_equal(versions->name, "a.b");
        assert_string_equal(versions->cni_version, "1.0.0");
        assert_true(versions->disable_check && versions->disable_gc);
        assert_true(net_list_is_plain(plain));
        assert_false(net_list_is_plain(nameless));
}

static void test_bad(void **state) {
        static const struct {
                const char *text;
                ErrorKind kind;
                const char *words;
        } table[] = {
                { "{", ERROR_DECODE, "network configuration" },
                { "[]", ERROR_DECODE, "object" },
                { "{}", ERROR_INVALID_ARGUMENT, "type" },
                { "{\"plugins\":null}", ERROR_INVALID_ARGUMENT, "plugins" },
                { LIST(""), ERROR_INVALID_ARGUMENT, "plugins|1 to 16" },
                { LIST("5"), ERROR_INVALID_ARGUMENT, "plugins[0]|5" },
                { LIST("{}"), ERROR_INVALID_ARGUMENT, "plugins[0].type" },
                { LIST("{\"type\":\"../x\"}"), ERROR_INVALID_ARGUMENT, "plugins[0].type|../x" },
                { LIST("{\"type\":\"x\",\"capabilities\":[]}"), ERROR_INVALID_ARGUMENT,
                  "plugins[0].capabilities|[]" },
                { LIST("{\"type\":\"x\",\"capabilities\":{\"ips\":1}}"), ERROR_INVALID_ARGUMENT,
                  "plugins[0].capabilities.ips|1" },
                { LIST("{\"type\":\"x\",\"args\":{\"cni\":7}}"), ERROR_INVALID_ARGUMENT,
                  "plugins[0].args.cni|7" },
                { "{\"name\":\"a/b\",\"type\":\"x\"}", ERROR_INVALID_ARGUMENT, "name|a/b" },
                { "{\"cniVersion\":\"7.0.0\",\"type\":\"x\"}", ERROR_INCOMPATIBLE_VERSION,
                  "7.0.0" },
                { "{\"disableCheck\":\"maybe\",\"type\":\"x\"}", ERROR_INVALID_ARGUMENT,
                  "disableCheck|maybe" },
                { LIST("{\"type\":\"portmap\"}"), ERROR_NOT_SUPPORTED,
                  "plugins[0].type|portmap|interface" },
                { "{\"type\":\"host-local\"}", ERROR_NOT_SUPPORTED, "type|host-local" },
                { LIST(BRIDGE0 "," BRIDGE0), ERROR_NOT_SUPPORTED, "plugins[1].type|bridge" },
                /* ours are read as with the first sandbox */
                { LIST("{\"type\":\"macvlan\",\"mode\":\"x\"}"), ERROR_INVALID_ARGUMENT,
                  "plugins[0]|mode|x" },
                { LIST(BRIDGE0 ",{\"type\":\"vrf\"}"), ERROR_INVALID_ARGUMENT,
                  "plugins[1]|vrfname" },
                { "{\"cniVersion\":\"0.3.1\",\"plugins\":[" BRIDGE0 ",{\"type\":\"firewall\"}]}",
                  ERROR_INCOMPATIBLE_VERSION, "plugins[1]|firewall|0.3.1" },
                { LIST("{\"type\":\"netmgr\",\"mtuu\":1}"), ERROR_UNKNOWN_OPTION,
                  "plugins[0]|mtuu" },
                { "{\"other\":1,\"plugins\":[{\"type\":\"netmgr\",\"kind\":\"loopback\"}]}",
                  ERROR_UNKNOWN_OPTION, "other" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                list_bad(table[i].text, table[i].kind, table[i].words);
}

static void test_too_many(void **state) {
        _cleanup_free_ char *text = strf("{\"plugins\":[{\"type\":\"x\"}");

        for (unsigned i = 0; i < LIST_PLUGINS_MAX; i++) {
                char *more = strf("%s,{\"type\":\"x\"}", text);
                free(text);
                text = more;
        }
        _cleanup_free_ char *all = strf("%s]}", text);
        list_bad(all, ERROR_INVALID_ARGUMENT, "plugins|16");
}

static uint64_t hash_of(const char *text) {
        _cleanup_(net_list_freep) NetList *l = list_ok(text, "n");

        return l->hash;
}

static void test_hash(void **state) {
        static const char *const same[] = {
                LIST("{\"type\":\"x\",\"a\":{\"b\":[1,true],\"c\":\"d\"}}"),
                "{\"plugins\":[{\"a\":{\"c\":\"d\",\"b\":[1, true]}, \"type\":\"x\"}]}",
                "{\"name\":\"other\",\"cniVersion\":\"0.4.0\",\"type\":\"x\",\"a\":{\"b\":[1,"
                "true],\"c\":\"d\"}}",
        };
        static const char *const others[] = {
                LIST("{\"type\":\"x\",\"a\":{\"b\":[true,1],\"c\":\"d\"}}"),
                LIST("{\"type\":\"x\",\"a\":{\"b\":[1,true],\"c\":\"e\"}}"),
                LIST("{\"type\":\"x\",\"a\":{\"b\":[1,true]},\"c\":\"d\"}"),
                LIST("{\"type\":\"y\",\"a\":{\"b\":[1,true],\"c\":\"d\"}}"),
                LIST("{\"type\":\"x\",\"a\":{\"b\":[1,true],\"c\":\"d\"}},{\"type\":\"x\"}"),
                LIST("{\"type\":\"x\",\"a\":{\"b\":[1,\"true\"],\"c\":\"d\"}}"),
        };
        uint64_t first = hash_of(same[0]);

        for (size_t i = 1; i < ELEMENTSOF(same); i++)
                assert_true(hash_of(same[i]) == first);
        for (size_t i = 0; i < ELEMENTSOF(others); i++) {
                assert_true(hash_of(others[i]) != first);
                for (size_t k = 0; k < i; k++)
                        assert_true(hash_of(others[i]) != hash_of(others[k]));
        }
}

/* --- what a plugin is told ------------------------------------------------------------------------ */

static json_object *json_of(const char *text) {
        json_object *o = NULL;

        if (text)
                assert_int_equal(json_parse(text, strlen(text), "test", &o, NULL), 0);
        return o;
}

/* As JSON values, whatever the order of keys. */
static void assert_text(const char *plugin, const char *prev, const char *runtime, const char *args,
                        const char *expected) {
        _cleanup_(net_list_freep) NetList *l = list_ok(plugin, "n");
        _cleanup_json_ json_object *p = json_of(prev), *rc = json_of(runtime), *a = json_of(args),
                                   *want = json_of(expected), *found = NULL;
        NetListCall call = { .prev_result = p, .runtime_config = rc, .cni_args = a };
        _cleanup_free_ char *text = NULL;

        assert_int_equal(net_list_plugin_text(&l->plugins[0], &call, &text), 0);
        found = json_of(text);
        if (!json_object_equal(found, want))
                fail_msg("%s instead of %s", text, expected);
        /* the list itself stays as it is */
        text = (free(text), NULL);
        assert_int_equal(net_list_plugin_text(&l->plugins[0], &(NetListCall) { 0 }, &text), 0);
        json_object_put(found);
        found = json_of(text);
        assert_true(json_object_equal(found, l->plugins[0].config));
}

#define X "{\"cniVersion\":\"1.0.0\",\"name\":\"n\",\"type\":\"x\""

static void test_text(void **state) {
        static const char can[] = ",\"capabilities\":{\"ips\":true,\"mac\":false}";
        _cleanup_free_ char *declares = strf(X "%s}", can),
                            *told = strf(X "%s,\"runtimeConfig\":{\"ips\":[\"10.0.0.1\"]}}", can);

        assert_text(X "}", NULL, NULL, NULL, X "}");
        assert_text(X "}", "{\"ips\":[]}", NULL, NULL, X ",\"prevResult\":{\"ips\":[]}}");
        /* undeclared parts are left out, as libcni does */
        assert_text(X "}", NULL, "{\"ips\":[\"10.0.0.1\"]}", NULL, X "}");
        assert_text(declares, NULL,
                    "{\"ips\":[\"10.0.0.1\"],\"mac\":\"02:00:00:00:00:01\",\"other\":null}", NULL,
                    told);
        /* the sandbox's word goes before the network's */
        assert_text(X ",\"args\":{\"cni\":{\"a\":1,\"b\":2},\"z\":3}}", NULL, NULL,
                    "{\"b\":4,\"c\":5}",
                    X ",\"args\":{\"cni\":{\"a\":1,\"b\":4,\"c\":5},\"z\":3}}");
        assert_text(X "}", NULL, NULL, "{\"c\":5}", X ",\"args\":{\"cni\":{\"c\":5}}}");
        /* type netmgr need not declare what it reads */
        assert_text(CONF(",\"kind\":\"loopback\""), NULL,
                    "{\"mac\":\"02:00:00:00:00:01\",\"theirs\":1}", NULL,
                    CONF(",\"kind\":\"loopback\",\"runtimeConfig\":{\"mac\":\"02:00:00:00:00:01\"}"));
}

static void test_undeclared(void **state) {
        _cleanup_(net_list_freep) NetList *
                        l = list_ok(LIST("{\"type\":\"x\",\"capabilities\":{\"ips\":true}},{\"type\":"
                                         "\"y\",\"capabilities\":{\"mac\":true}}"),
                                    NULL),
                       *ours = list_ok(CONF(",\"kind\":\"loopback\""), NULL);
        _cleanup_json_ json_object *both = json_of("{\"ips\":[],\"mac\":\"m\"}"),
                                   *more = json_of("{\"ips\":[],\"infinibandGUID\":\"g\"}"),
                                   *none = json_of("{\"infinibandGUID\":null}");

        assert_null(net_list_undeclared(l, both));
        assert_string_equal(net_list_undeclared(l, more), "infinibandGUID");
        assert_null(net_list_undeclared(l, none));
        assert_null(net_list_undeclared(l, NULL));
        assert_null(net_list_undeclared(ours, both));
        assert_string_equal(net_list_undeclared(ours, more), "infinibandGUID");
}

/* --- manifests ------------------------------------------------------------------------------------ */

#define NAD(rest)                                                                                  \
        "{\"apiVersion\":\"k8s.cni.cncf.io/v1\",\"kind\":\"NetworkAttachmentDefinition\"" rest "}"

static void nad_ok(const char *text, const char *namespace, const char *name, const char *config,
                   const char *resource) {
        _cleanup_(nad_manifest_clear) NadManifest m = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        if (nad_manifest_parse(text, strlen(text), &m, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        assert_string_equal(m.namespace, namespace);
        assert_string_equal(m.name, name);
        assert_true(streq_ptr(m.config, config));
        assert_true(streq_ptr(m.resource_name, resource));
}

static void nad_bad(const char *text, ErrorKind kind, const char *words) {
        _cleanup_error_ Error e = ERROR_NULL;
        NadManifest m = { 0 };
        int r = nad_manifest_parse(text, strlen(text), &m, &e);

        assert_null(m.name);
        assert_words(text, r, &e, kind, words);
}

static void test_manifest(void **state) {
        nad_ok(NAD(",\"metadata\":{\"name\":\"storage\"}"), "default", "storage", NULL, NULL);
        nad_ok(NAD(",\"metadata\":{\"name\":\"a.b\",\"namespace\":\"kube-system\",\"uid\":\"x\","
                   "\"annotations\":{\"k8s.v1.cni.cncf.io/resourceName\":\"intel.com/sriov\","
                   "\"o\":\"p\"}},\"spec\":{\"config\":\"{}\"},\"status\":{}"),
               "kube-system", "a.b", "{}", "intel.com/sriov");
        nad_ok(NAD(",\"metadata\":{\"name\":\"n\"},\"spec\":{\"config\":\" \\n\"}"), "default", "n",
               NULL, NULL);
        nad_ok(NAD(",\"metadata\":{\"name\":\"n\"},\"spec\":{}"), "default", "n", NULL, NULL);
}

static void test_manifest_bad(void **state) {
#define META ",\"metadata\":{\"name\":\"n\"}"
        nad_bad("{", ERROR_DECODE, "NetworkAttachmentDefinition");
        nad_bad("[]", ERROR_INVALID_ARGUMENT, "object");
        nad_bad("{\"apiVersion\":\"v1\",\"kind\":\"Pod\"" META "}", ERROR_INVALID_ARGUMENT,
                "apiVersion|v1|k8s.cni.cncf.io/v1");
        nad_bad("{\"apiVersion\":\"k8s.cni.cncf.io/v1\",\"kind\":\"Pod\"" META "}",
                ERROR_INVALID_ARGUMENT, "kind|Pod");
        nad_bad(NAD(""), ERROR_INVALID_ARGUMENT, "metadata");
        nad_bad(NAD(",\"metadata\":{}"), ERROR_INVALID_ARGUMENT, "metadata.name");
        nad_bad(NAD(",\"metadata\":{\"name\":\"A\"}"), ERROR_INVALID_ARGUMENT, "metadata.name|A");
        nad_bad(NAD(",\"metadata\":{\"name\":\"a..b\"}"), ERROR_INVALID_ARGUMENT,
                "metadata.name|a..b");
        nad_bad(NAD(",\"metadata\":{\"name\":\"a\",\"namespace\":\"b.c\"}"), ERROR_INVALID_ARGUMENT,
                "metadata.namespace|b.c");
        nad_bad(NAD(META ",\"spec\":{\"confg\":\"{}\"}"), ERROR_UNKNOWN_OPTION, "spec.confg");
        nad_bad(NAD(META ",\"spec\":{\"config\":{\"type\":\"bridge\"}}"), ERROR_INVALID_ARGUMENT,
                "spec.config|a string|bridge");
        nad_bad(NAD(META ",\"data\":1"), ERROR_UNKNOWN_OPTION, "data|1");

        char name[160] = { 0 };
        for (size_t i = 0; i < 125; i++)
                name[i] = i % 50 == 49 ? '.' : 'a';
        _cleanup_free_ char *text = strf(NAD(",\"metadata\":{\"name\":\"%s\"}"), name);
        nad_bad(text, ERROR_INVALID_ARGUMENT, "metadata.name|133|128");
}

static void test_items(void **state) {
        _cleanup_json_ json_object *list = json_of("{\"kind\":\"List\",\"apiVersion\":\"v1\","
                                                   "\"items\":[1,2]}"),
                                   *nads = json_of("{\"kind\":\"NetworkAttachmentDefinitionList\","
                                                   "\"items\":[]}"),
                                   *one = json_of(NAD("")), *conf = json_of(CONF("")),
                                   *bad = json_of("{\"kind\":\"List\",\"items\":{}}");
        _cleanup_error_ Error e = ERROR_NULL;
        json_object *items = NULL;

        assert_int_equal(nad_manifest_items(list, &items, &e), 0);
        assert_int_equal(json_object_array_length(items), 2);
        assert_int_equal(nad_manifest_items(nads, &items, &e), 0);
        assert_int_equal(json_object_array_length(items), 0);
        assert_int_equal(nad_manifest_items(one, &items, &e), 0);
        assert_null(items);
        assert_true(nad_manifest_is(one));
        assert_false(nad_manifest_is(list) || nad_manifest_is(conf) || nad_manifest_is(NULL));
        assert_true(nad_manifest_items(bad, &items, &e) < 0);
        assert_non_null(strstr(error_message(&e), "items"));
}

static void test_names(void **state) {
        static const char *const good[] = { "a", "A_b.c-d", "0", "ns/a", "a-b/c.d-e", "0/0" };
        static const char *const bad[] = { "",     "/",    "a/",    "/a",   "a/b/c", "A/b",
                                           "a/B",  "a/b_", "a.b/c", "-a/b", "a/-b",  "a/b.",
                                           "a//b", ".a",   "a b",   NULL };

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(network_name_is_valid(good[i]));
        for (size_t i = 0; bad[i]; i++)
                if (network_name_is_valid(bad[i]))
                        fail_msg("%s", bad[i]);
        assert_false(network_name_is_valid(NULL));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_list),         cmocka_unit_test(test_head),
                cmocka_unit_test(test_bad),          cmocka_unit_test(test_too_many),
                cmocka_unit_test(test_hash),         cmocka_unit_test(test_text),
                cmocka_unit_test(test_undeclared),   cmocka_unit_test(test_manifest),
                cmocka_unit_test(test_manifest_bad), cmocka_unit_test(test_items),
                cmocka_unit_test(test_names),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
