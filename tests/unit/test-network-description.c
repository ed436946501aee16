/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What people write to describe a network, in its three shapes, and groups of networks. */

#include "cri/network-description.h"

#include "base/parse.h"
#include "netconf-test.h"

#define NAD(namespace, spec)                                                                       \
        "{\"apiVersion\":\"k8s.cni.cncf.io/v1\",\"kind\":\"NetworkAttachmentDefinition\","         \
        "\"metadata\":{\"name\":\"blue\"" namespace "},\"spec\":" spec "}"
#define PLAIN   "{\"type\":\"netmgr\",\"ipam\":{\"type\":\"local\",\"subnet\":\"10.97.0.0/24\"}}"
#define BRIDGE0 "{\"type\":\"bridge\",\"bridge\":\"cni0\",\"ipam\":{\"type\":\"static\"}}"

static NetDescription described(const char *text, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetDescription d = { 0 };

        if (net_description_parse(text, strlen(text), name, &d, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        assert_int_equal(e.kind, ERROR_NONE);
        return d;
}

static void description_bad(const char *text, const char *name, ErrorKind kind, const char *words) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetDescription d = { 0 };
        int r = net_description_parse(text, strlen(text), name, &d, &e);

        assert_null(d.name);
        assert_refused(text, r, d.conf, &e, kind, words);
}

/* One plugin of type netmgr, in a list or alone: no list of plugins. */
static void test_plain(void **state) {
        _cleanup_(net_description_clear) NetDescription
                        list = described("{\"cniVersion\":\"1.0.0\",\"plugins\":[" PLAIN "]}", "n"),
                        object = described(CONF(",\"ipam\":{\"type\":\"local\"" SUBNET4 "}"), NULL);

        assert_string_equal(list.name, "n");
        assert_string_equal(object.name, "pods");
        assert_null(list.list);
        assert_null(object.list);
        assert_true(list.conf->hash == object.conf->hash);
        description_bad("{\"plugins\":[" PLAIN "]}", NULL, ERROR_INVALID_ARGUMENT, "name");
        description_bad(PLAIN, NULL, ERROR_INVALID_ARGUMENT, "name");
        description_bad(CONF(",\"ipam\":{}"), "other", ERROR_INVALID_ARGUMENT, "ipam");
        description_bad(CONF(",\"kind\":\"loopback\""), "other", ERROR_INVALID_ARGUMENT,
                        "name|other|pods");
        description_bad(CONF(",\"network\":\"n\""), "pods", ERROR_INVALID_ARGUMENT, "refers|\"n\"");
        description_bad("7", "n", ERROR_DECODE, "object");
}

static void test_list(void **state) {
        _cleanup_(net_description_clear)
                        NetDescription ours = described("{\"name\":\"n\",\"plugins\":[" BRIDGE0
                                                        ",{\"type\":\"portmap\"}]}",
                                                        "n"),
                                       theirs = described("{\"name\":\"n\",\"type\":\"calico\"}",
                                                          NULL);

        assert_int_equal(ours.list->n_plugins, 2);
        assert_int_equal(ours.conf->plugin, NET_PLUGIN_BRIDGE); /* in its own dialect */
        assert_string_equal(ours.conf->bridge, "cni0");
        assert_int_equal(theirs.conf->kind, NET_KIND_FOREIGN);
        assert_int_equal(theirs.list->n_plugins, 1);
        description_bad("{\"name\":\"m\",\"plugins\":[" BRIDGE0 ",{\"type\":\"x\"}]}", "n",
                        ERROR_INVALID_ARGUMENT, "name|network n|\"m\"");
        description_bad("{\"name\":\"n\",\"plugins\":[{\"type\":\"netmgr\",\"network\":\"m\"},"
                        "{\"type\":\"tuning\"}]}",
                        NULL, ERROR_INVALID_ARGUMENT, "plugins[0]|network|\"m\"");
        description_bad("{\"name\":\"n\",\"plugins\":[{\"type\":\"netmgr\",\"anyOf\":[\"m\"]},"
                        "{\"type\":\"tuning\"}]}",
                        NULL, ERROR_INVALID_ARGUMENT, "plugins[0]|anyOf|alone");
}

#define CONFIG(s) "{\"config\":\"" s "\"}"

static void test_manifest(void **state) {
        _cleanup_(net_description_clear) NetDescription
                        plain = described(NAD(",\"namespace\":\"prod\"",
                                              CONFIG("{\\\"type\\\":\\\"netmgr\\\",\\\"kind\\\":"
                                                     "\\\"loopback\\\"}")),
                                          "prod/blue"),
                        chain = described(NAD("", CONFIG("{\\\"name\\\":\\\"other\\\",\\\"type\\\":"
                                                         "\\\"calico\\\"}")),
                                          NULL),
                        foreign_ipam = described(
                                        NAD("", CONFIG("{\\\"type\\\":\\\"netmgr\\\",\\\"ipam\\\":{"
                                                       "\\\"type\\\":\\\"whereabouts\\\"}}")),
                                        NULL);

        assert_string_equal(plain.name, "prod/blue");
        assert_string_equal(plain.conf->name, "blue"); /* what CNI knows it by */
        assert_null(plain.list);
        assert_null(plain.alias);
        assert_string_equal(chain.name, "default/blue");
        assert_string_equal(chain.list->name, "other");
        assert_string_equal(chain.conf->name, "other");
        /* the plugin that gives the addresses needs the exact text */
        assert_int_equal(foreign_ipam.conf->ipam, NET_IPAM_FOREIGN);
        assert_non_null(foreign_ipam.list);
        description_bad(NAD("", CONFIG("{\\\"type\\\":\\\"x\\\"}")), "prod/blue",
                        ERROR_INVALID_ARGUMENT, "metadata|prod/blue|default/blue");
        description_bad(NAD("", CONFIG("{")), NULL, ERROR_DECODE, "spec.config: ");
        description_bad(NAD("", CONFIG("{\\\"type\\\":\\\"netmgr\\\",\\\"x\\\":1}")), NULL,
                        ERROR_UNKNOWN_OPTION, "spec.config: |\"x\"");
}

static void test_alias(void **state) {
        _cleanup_(net_description_clear) NetDescription
                        empty = described(NAD(",\"namespace\":\"prod\"", "{}"), NULL),
                        by_key = described(
                                        NAD("",
                                            CONFIG("{\\\"type\\\":\\\"netmgr\\\",\\\"network\\\":"
                                                   "\\\"a/b\\\"}")),
                                        NULL);

        assert_string_equal(empty.alias, "blue");
        assert_string_equal(by_key.alias, "a/b");
        assert_int_equal(empty.conf->kind, NET_KIND_FOREIGN);
        assert_null(by_key.list);
        assert_null(by_key.conf->network);
}

/* --- groups --------------------------------------------------------------------------------------- */

static void test_group(void **state) {
        _cleanup_(netconf_freep)
                        NetConf *c = parse_ok(CONF(",\"anyOf\":[\"a\",\"ns/b\"],\"choose\":"
                                                   "\"least-traffic\",\"runtimeConfig\":{\"ips\":["
                                                   "\"10.0.0.1\"]}")),
                                *simple = parse_ok(CONF(",\"anyOf\":[\"a\",\"ns/b\"]")),
                                *turned = parse_ok(CONF(",\"anyOf\":[\"ns/b\",\"a\"]"));

        assert_int_equal(c->n_any_of, 2);
        assert_string_equal(c->any_of[1], "ns/b");
        assert_null(c->any_of[2]);
        assert_int_equal(c->choose, NET_CHOOSE_LEAST_TRAFFIC);
        assert_int_equal(c->kind, NET_KIND_FOREIGN);
        assert_int_equal(c->n_requested, 1); /* the member's, then */
        assert_int_equal(simple->choose, NET_CHOOSE_FIRST_FIT);
        assert_true(c->hash != simple->hash && simple->hash != turned->hash);
        for (NetChoose i = 0; i < _NET_CHOOSE_MAX; i++)
                assert_int_equal(net_choose_from_string(net_choose_to_string(i)), i);
        assert_int_equal(net_choose_from_string(NULL), _NET_CHOOSE_INVALID);
        assert_string_equal(net_choose_to_string(_NET_CHOOSE_MAX), "unknown");
}

static void test_group_bad(void **state) {
        parse_bad(CONF(",\"anyOf\":{}"), ERROR_INVALID_ARGUMENT, "anyOf|an array");
        parse_bad(CONF(",\"anyOf\":[]"), ERROR_INVALID_ARGUMENT, "anyOf|1 to 32");
        parse_bad(CONF(",\"anyOf\":[1]"), ERROR_INVALID_ARGUMENT, "anyOf[0]|1");
        parse_bad(CONF(",\"anyOf\":[\"a\",\"a\"]"), ERROR_INVALID_ARGUMENT, "anyOf[1]|twice");
        parse_bad(CONF(",\"anyOf\":[\"a/b/c\"]"), ERROR_INVALID_ARGUMENT, "anyOf[0]|a/b/c");
        parse_bad(CONF(",\"anyOf\":[\"a\"],\"choose\":\"x\""), ERROR_INVALID_ARGUMENT,
                  "choose|\"x\"|first-fit");
        parse_bad(CONF(",\"choose\":\"first-fit\""), ERROR_INVALID_ARGUMENT, "choose|anyOf");
        parse_bad(CONF(",\"anyOf\":[\"a\"],\"network\":\"b\""), ERROR_INVALID_ARGUMENT,
                  "anyOf|network|\"b\"");
        parse_bad(CONF(",\"anyOf\":[\"a\"],\"ipam\":{}"), ERROR_UNKNOWN_OPTION, "ipam|anyOf");
        parse_bad(CONF(",\"anyOf\":[\"a\"],\"anyof2\":1"), ERROR_UNKNOWN_OPTION, "anyof2");
        /* of a reference plugin's name it is a key like any other that this does not know */
        netconf_free(plugin_ok(NET_PLUGIN_LOOPBACK, AS("loopback", ",\"anyOf\":7")));

        _cleanup_free_ char *many = strf("\"n0\"");
        for (unsigned i = 1; i <= ANY_OF_MAX; i++) {
                char *more = strf("%s,\"n%u\"", many, i);
                free(many);
                many = more;
        }
        _cleanup_free_ char *text = strf(CONF(",\"anyOf\":[%s]"), many);
        parse_bad(text, ERROR_INVALID_ARGUMENT, "anyOf|33|32");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_plain),    cmocka_unit_test(test_list),
                cmocka_unit_test(test_manifest), cmocka_unit_test(test_alias),
                cmocka_unit_test(test_group),    cmocka_unit_test(test_group_bad),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
