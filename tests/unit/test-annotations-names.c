/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Genie's and DANM's annotations; what all of them say together: names of interfaces, conflicts, namespaces. */

#include "annotations-test.h"

/* ---- Genie, DANM ------------------------------------------------------------------------------- */

static void test_genie(void **state) {
        NetSelections s = ok(GENIE, "weave,canal@eth4");

        assert_true(s.replaces_default);
        assert_string_equal(s.prefix, "eth");
        assert_int_equal(s.n_items, 2);
        assert_string_equal(s.items[1].where, "cni[1]");
        assert_string_equal(s.items[1].name, "canal");
        assert_string_equal(s.items[1].ifname, "eth4");
        net_selections_clear(&s);

        s = ok(GENIE, " ");
        assert_int_equal(s.n_items, 1);
        assert_string_equal(s.items[0].where, "cni[0]");
        assert_string_equal(s.items[0].name, "");
        assert_true(s.replaces_default);
        net_selections_clear(&s);

        bad(GENIE, "a,blue/b",
            "\"cni[1]\": found namespace \"blue\"; here networks have a name only");
        bad(GENIE, "a,,b",
            "\"cni[1]\": wanted a network, found nothing; is there a comma too many?");
        pairs_bad((Pair[]) { { GENIE, "" }, { "networks", "net1@eth0,net2" }, {} },
                  ERROR_INVALID_ARGUMENT,
                  "networks: CNI-Genie's LogicalNetworks are not supported beside cni: name the networks of "
                  "this node in cni, as \"a,b@eth1\"");
        s = pairs_ok((Pair[]) { { GENIE, "a" }, { "networks", "" }, {} });
        assert_int_equal(s.n_items, 1);
        net_selections_clear(&s);
}

static void test_danm(void **state) {
        NetSelections s = ok(
                        DANM,
                        "[{\"tenantNetwork\":\"management\",\"ip\":\"dynamic\"},"
                        "{\"clusterNetwork\":\"external\",\"ip\":\"10.97.0.9/24\",\"ip6\":\"fd97::9\","
                        "\"proutes\":{\"10.20.0.0/16\":\"10.97.0.1\",\"0.0.0.0/0\":\"10.97.0.2\"},"
                        "\"proutes6\":{\"fd98::/64\":\"fd97::1\"}},"
                        "{\"network\":\"l2\",\"ip\":\"none\",\"ip6\":\"none\",\"tenantNetwork\":\"\"},"
                        "{\"network\":\"any\",\"ip\":\"\"}]");

        assert_int_equal(s.n_items, 4);
        assert_true(s.replaces_default);
        assert_string_equal(s.prefix, "eth");
        assert_string_equal(s.items[0].name, "management");
        assert_false(s.items[0].node_wide);
        assert_int_equal(s.items[0].ipv4, SELECTION_WANTED);
        assert_int_equal(s.items[0].ipv6, SELECTION_ANY);
        const NetSelection *x = &s.items[1];
        assert_string_equal(x->where, DANM "[1]");
        assert_string_equal(x->name, "external");
        assert_true(x->node_wide);
        assert_int_equal(x->n_ips, 2);
        assert_int_equal(x->bare_ips, 2);
        assert_string_equal(IN_PREFIX_STR(&x->ips[0]), "10.97.0.9/24");
        assert_string_equal(IN_PREFIX_STR(&x->ips[1]), "fd97::9/128");
        assert_int_equal(x->ipv4, SELECTION_WANTED);
        assert_int_equal(x->ipv6, SELECTION_WANTED);
        assert_int_equal(x->n_routes, 3);
        assert_string_equal(IN_PREFIX_STR(&x->routes[0].dst), "10.20.0.0/16");
        assert_string_equal(IN_ADDR_STR(&x->routes[0].gw), "10.97.0.1");
        assert_int_equal(x->routes[0].table, -1);
        assert_int_equal(x->routes[0].scope, -1);
        assert_string_equal(IN_PREFIX_STR(&x->routes[1].dst), "0.0.0.0/0");
        assert_string_equal(IN_PREFIX_STR(&x->routes[2].dst), "fd98::/64");
        assert_int_equal(s.items[2].ipv4, SELECTION_NONE);
        assert_int_equal(s.items[2].ipv6, SELECTION_NONE);
        assert_int_equal(s.items[3].ipv4, SELECTION_ANY);
        net_selections_clear(&s);

        s = ok(OLD, "[{\"network\":\"a\"}]");
        assert_string_equal(s.items[0].where, OLD "[0]");
        net_selections_clear(&s);
        names(DANM, "[{\"network\":\"a\"},{\"network\":\"b\"},{\"network\":\"a\"}]",
              "eth0 eth1 eth2");
}

static void test_danm_bad(void **state) {
        static const struct {
                const char *keys, *sentence;
        } table[] = {
#define P DANM "[1]"
                { "\"ip\":\"dynamic\"",
                  "\"" P
                  "\": wanted is one of \"network\", \"tenantNetwork\" and \"clusterNetwork\", found "
                  "none" },
                { "\"network\":\"a\",\"clusterNetwork\":\"b\"",
                  "\"" P ".clusterNetwork\": there is \"network\" already; wanted is one of them" },
                { "\"network\":7", P ".network: wanted a string, found 7" },
                { "\"tenantNetwork\":\"a/b\"",
                  "\"" P
                  ".tenantNetwork\": \"a/b\" is not the name of a network; wanted are 1 to 128 letters, "
                  "digits, '-', '_' and '.', a letter or digit first" },
                { "\"network\":\"a\",\"ip\":\"fd97::9\"",
                  "\"" P
                  ".ip\": wanted \"dynamic\", \"none\" or an IPv4 address, found \"fd97::9\"" },
                { "\"network\":\"a\",\"ip\":\"Dynamic\"",
                  "\"" P
                  ".ip\": wanted \"dynamic\", \"none\" or an IPv4 address, found \"Dynamic\"" },
                { "\"network\":\"a\",\"ip6\":\"10.97.0.9\"",
                  "\"" P
                  ".ip6\": wanted \"dynamic\", \"none\" or an IPv6 address, found \"10.97.0.9\"" },
                { "\"network\":\"a\",\"ip6\":true", P ".ip6: wanted a string, found true" },
                { "\"network\":\"a\",\"ip\":\"127.0.0.1\"",
                  "\"" P
                  ".ip\": 127.0.0.1 is a loopback address, which no interface of a pod and no gateway "
                  "has" },
                { "\"network\":\"a\",\"proutes\":[]",
                  "\"" P ".proutes\": wanted an object of destinations and gateways, found []" },
                { "\"network\":\"a\",\"proutes\":{\"10.0.0.1/8\":\"10.97.0.1\"}",
                  "\"" P
                  ".proutes\": 10.0.0.1/8 has host bits set; the destination is 10.0.0.0/8" },
                { "\"network\":\"a\",\"proutes\":{\"10.0.0.0\":\"10.97.0.1\"}",
                  "\"" P
                  ".proutes\": \"10.0.0.0\" is not a destination; wanted is a network such as "
                  "\"10.97.0.0/16\"" },
                { "\"network\":\"a\",\"proutes6\":{\"10.0.0.0/8\":\"10.97.0.1\"}",
                  "\"" P
                  ".proutes6\": \"10.0.0.0/8\" is not a destination; wanted is a network such as "
                  "\"fd97::/64\"" },
                { "\"network\":\"a\",\"proutes\":{\"10.0.0.0/8\":\"fd97::1\"}",
                  "\"" P
                  ".proutes[\"10.0.0.0/8\"]\": fd97::1 is of another family than the destination" },
                { "\"network\":\"a\",\"proutes\":{\"10.0.0.0/8\":null}",
                  "\"" P
                  ".proutes[\"10.0.0.0/8\"]\": wanted the address of a gateway, found nothing" },
                { "\"network\":\"a\",\"proutes\":{\"10.0.0.0/8\":7}", P
                  ".proutes[\"10.0.0.0/8\"]: wanted an address such as \"10.97.0.1\" or \"fd97::1\", found "
                  "7" },
                { "\"network\":\"a\",\"proutes6\":{\"fd98::/64\":\"fd97::1\",\"FD98::/64\":\"fd97::2\"}",
                  "\"" P
                  ".proutes6[\"FD98::/64\"]\": a route to fd98::/64 is in the list already" },
                { "\"network\":\"a\",\"ip\":\"none\",\"proutes\":{\"10.0.0.0/8\":\"10.97.0.1\"}",
                  "\"" P ".proutes\": routes need an address, and \"ip\" is \"none\"" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                char text[512];

                snprintf(text, sizeof(text), "[{\"network\":\"x\"},{%s}]", table[i].keys);
                bad(DANM, text, table[i].sentence);
        }
#undef P
        unknown(DANM, "[{\"network\":\"a\",\"org.foo.key\":1}]",
                "\"" DANM "[0].org.foo.key\": unknown key, with value 1");
        unknown(OLD, "[{\"network\":\"a\",\"interface\":\"x\"}]",
                "\"" OLD "[0].interface\": unknown key, with value \"x\"");
        pairs_bad((Pair[]) { { DANM, "a,b" }, {} }, ERROR_DECODE,
                  DANM ": no valid JSON at byte 0: unexpected character");
}

/* ---- all together ------------------------------------------------------------------------------ */

static void test_two_customs(void **state) {
        static const char one[] = "[{\"network\":\"a\"}]";

#define BOTH(a, b)                                                                                 \
        a " and " b " both ask for networks; wanted is one of these annotations, without the other"
        pairs_bad((Pair[]) { { GENIE, "a" }, { NPWG, "b" }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(NPWG, GENIE));
        pairs_bad((Pair[]) { { GENIE, "" }, { NPWG, "b" }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(NPWG, GENIE));
        pairs_bad((Pair[]) { { DANM, one }, { NPWG, "b" }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(NPWG, DANM));
        pairs_bad((Pair[]) { { OLD, one }, { GENIE, "b" }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(GENIE, OLD));
        pairs_bad((Pair[]) { { OLD, one }, { DANM, one }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(DANM, OLD));
        pairs_bad((Pair[]) { { FIRST, "a" }, { GENIE, "b" }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(FIRST, GENIE));
        pairs_bad((Pair[]) { { FIRST, "a" }, { DANM, one }, {} }, ERROR_INVALID_ARGUMENT,
                  BOTH(FIRST, DANM));
#undef BOTH
        NetSelections s = pairs_ok((Pair[]) { { GENIE, "a" }, { NPWG, "[]" }, { DANM, "" }, {} });
        assert_int_equal(s.n_items, 1);
        net_selections_clear(&s);
}

static void test_names(void **state) {
        names(NPWG, "a,b,c", "net1 net2 net3");
        names(NPWG, "a,b@foo,c", "net1 foo net3");
        names(NPWG, "a@foo,b", "foo net2");
        names(NPWG, "a@x,b@x",
              "\"" NPWG "[1].interface\": \"x\" is what the interface of " NPWG
              "[0] is called; wanted is another name");
        names(NPWG, "a@net2,b",
              "\"" NPWG
              "[1]\": by its position the interface would be called \"net2\", as that of " NPWG
              "[0]; give one of them another name");
        names(NPWG, "a,b@net1",
              "\"" NPWG "[1].interface\": \"net1\" is what the interface of " NPWG
              "[0] is called; wanted is another name");
        names(NPWG, "a,b@eth0",
              "\"" NPWG
              "[1].interface\": \"eth0\" is what the interface of the default network is called; "
              "wanted is another name");

        /* Genie's: the next name that nobody has; who gets eth0 comes first */
        names(GENIE, "a,b,c", "eth0 eth1 eth2");
        names(GENIE, "a,b@eth4", "eth0 eth4");
        names(GENIE, "a,b@foo,c", "eth0 foo eth1");
        names(GENIE, "a,b@eth1,c", "eth0 eth1 eth2");
        names(GENIE, "a@eth1,b,c", "eth0 eth1 eth2");
        names(GENIE, "a,b@eth0,c", "eth0 eth1 eth2");
        names(GENIE, "", "eth0");
        names(GENIE, "a@eth1",
              "\"cni[0].interface\": \"eth1\" cannot be the name of the default network's interface, which the "
              "runtime calls \"eth0\"; leave it out");
        names(GENIE, "a,b@x,c@x",
              "\"cni[2].interface\": \"x\" is what the interface of cni[1] is called; wanted is another name");

        /* in the order of attachment, each with its place in the annotation */
        NetSelections s = ok(GENIE, "a@eth1,b,c");
        assert_int_equal(net_selections_name(&s, "eth0", NULL), 0);
        assert_string_equal(s.items[0].where, "cni[1]");
        assert_string_equal(s.items[0].name, "b");
        assert_string_equal(s.items[1].where, "cni[0]");
        assert_string_equal(s.items[1].ifname, "eth1");
        net_selections_clear(&s);

        /* a runtime with another name for it */
        s = ok(GENIE, "a,b,c");
        assert_int_equal(net_selections_name(&s, "ens3", NULL), 0);
        assert_string_equal(s.items[0].ifname, "ens3");
        assert_string_equal(s.items[1].ifname, "eth0");
        net_selections_clear(&s);
        s = ok(NPWG, "a");
        assert_int_equal(net_selections_name(&s, "net1", NULL), -EINVAL);
        net_selections_clear(&s);
}

static void test_item(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        NetSelection s = { 0 };

        assert_int_equal(net_selection_parse_item("blue/a@x0", "NETWORK", &s, &e), 0);
        assert_string_equal(s.where, "NETWORK");
        assert_string_equal(s.namespace, "blue");
        assert_string_equal(s.name, "a");
        assert_string_equal(s.ifname, "x0");
        net_selection_clear(&s);
        assert_int_equal(net_selection_parse_item("a,b", "NETWORK", &s, &e), -EINVAL);
        assert_null(s.where); /* untouched */
        assert_string_equal(
                        error_message(&e),
                        "\"NETWORK\": \"a,b\" is not the name of a network; wanted are 1 to 128 letters, "
                        "digits, '-', '_' and '.', a letter or digit first");
}

static void test_owner(void **state) {
        NetSelections s = pairs_ok(
                        (Pair[]) { { ANNOTATION_OWNER, "db-0.shard" }, { NPWG, "a" }, {} });

        assert_string_equal(s.owner, "db-0.shard");
        net_selections_clear(&s);
        s = ok(ANNOTATION_OWNER, "");
        assert_null(s.owner);
        net_selections_clear(&s);
        bad(ANNOTATION_OWNER, "blue/db",
            ANNOTATION_OWNER
            ": wanted the name of an object (1 to 253 lower-case letters, digits, '-' and "
            "'.'), found another text");
}

static void test_values(void **state) {
        _cleanup_json_ json_object *o = json_object_new_object(), *list = json_object_new_array();
        _cleanup_error_ Error e = ERROR_NULL, again = ERROR_NULL, nul = ERROR_NULL;
        NetSelections s = { 0 };

        json_object_object_add(o, NPWG, json_object_new_int(7));
        assert_int_equal(net_selections_parse(o, &s, &e), -EINVAL);
        assert_string_equal(error_message(&e), NPWG ": wanted a string, found 7");
        assert_int_equal(net_selections_parse(list, &s, &again), -EINVAL);
        assert_string_equal(error_message(&again),
                            "annotations of the pod: wanted an object, found []");
        json_object_object_add(o, NPWG, json_object_new_string_len("a\0b", 3));
        assert_int_equal(net_selections_parse(o, &s, &nul), -EINVAL);
        assert_string_equal(error_message(&nul), NPWG ": holds a NUL byte");
}

static void test_keep(void **state) {
        _cleanup_json_ json_object *o = annotations((Pair[]) { { "other", "x" },
                                                               { NPWG, "a/b" },
                                                               { FIRST, "c" },
                                                               { ANNOTATION_OWNER, "d" },
                                                               { ANNOTATION_STATUS, "e" },
                                                               {} });
        _cleanup_json_ json_object *none = annotations((Pair[]) { { "other", "x" }, {} });
        _cleanup_free_ char *text = NULL, *nothing = NULL;

        assert_int_equal(net_selections_keep(o, &text), 0);
        assert_string_equal(text, "{\"" FIRST "\":\"c\",\"" NPWG "\":\"a/b\",\"" ANNOTATION_OWNER
                                  "\":\"d\"}");
        assert_int_equal(net_selections_keep(none, &nothing), 0);
        assert_null(nothing);
}

static void test_isolation(void **state) {
        static char *const shared[] = { (char *) "default", (char *) "infra", NULL };
        NetSelections s = ok(NPWG, "a,blue/b,infra/c");
        _cleanup_error_ Error e = ERROR_NULL, unknown_pod = ERROR_NULL;

        for (size_t i = 0; i < 3; i++) {
                int expected = i == 1 ? -EACCES : 0;
                assert_int_equal(net_selection_check_namespace(&s.items[i], "blue", true, NULL,
                                                               NULL),
                                 i == 2 ? -EACCES : 0);
                assert_int_equal(net_selection_check_namespace(&s.items[i], "red", true,
                                                               (char **) shared,
                                                               i == 1 ? &e : NULL),
                                 expected);
                assert_int_equal(net_selection_check_namespace(&s.items[i], "red", false, NULL,
                                                               NULL),
                                 0);
        }
        assert_int_equal(e.kind, ERROR_ACCESS_DENIED);
        assert_string_equal(
                        error_message(&e),
                        "\"" NPWG
                        "[1]\": network \"blue/b\" is not for pods of namespace \"red\": they may "
                        "use networks of their own namespace, of those in [Networks] SharedNamespaces=, and "
                        "of the node");
        assert_true(net_selection_check_namespace(&s.items[1], "", true, (char **) shared,
                                                  &unknown_pod) < 0);
        net_selections_clear(&s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_genie),    cmocka_unit_test(test_danm),
                cmocka_unit_test(test_danm_bad), cmocka_unit_test(test_two_customs),
                cmocka_unit_test(test_names),    cmocka_unit_test(test_item),
                cmocka_unit_test(test_owner),    cmocka_unit_test(test_values),
                cmocka_unit_test(test_keep),     cmocka_unit_test(test_isolation),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
