/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CNI_ARGS. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/limits.h"
#include "cri/netconf.h"

static CniArgs args_ok(const char *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        CniArgs a = { 0 };

        if (cni_args_parse(s, &a, &e) < 0)
                fail_msg("%s: %s", strempty(s), error_message(&e));
        return a;
}

static void args_bad(const char *s, const char *word) {
        _cleanup_error_ Error e = ERROR_NULL;
        CniArgs a = { .n_ips = 77 };

        if (cni_args_parse(s, &a, &e) >= 0)
                fail_msg("accepted: %s", s);
        assert_int_equal(e.kind, ERROR_BAD_ENVIRONMENT);
        assert_int_equal(a.n_ips, 77); /* untouched */
        assert_non_null(strstr(error_message(&e), "CNI_ARGS"));
        if (!strstr(error_message(&e), word))
                fail_msg("%s: \"%s\" is missing in: %s", s, word, error_message(&e));
}

static void test_good(void **state) {
        CniArgs a;

        a = args_ok(NULL);
        assert_int_equal(a.n_ips, 0);
        assert_null(a.pod_name);
        a = args_ok("");
        assert_int_equal(a.n_ips, 0);

        /* what containerd sends; the order is random, so IgnoreUnknown may come last */
        a = args_ok("K8S_POD_UID=1-2;K8S_POD_NAME=web;K8S_POD_NAMESPACE=default;"
                    "K8S_POD_INFRA_CONTAINER_ID=abc;Foo=bar;Empty=;IgnoreUnknown=1");
        assert_string_equal(a.pod_uid, "1-2");
        assert_string_equal(a.pod_name, "web");
        assert_string_equal(a.pod_namespace, "default");
        assert_string_equal(a.infra_container_id, "abc");
        cni_args_clear(&a);
        assert_null(a.pod_uid);

        a = args_ok("IgnoreUnknown=TRUE;IP=10.97.0.9;MAC=02:00:00:00:00:01;K8S_POD_UID=");
        assert_int_equal(a.n_ips, 1);
        assert_string_equal(IN_PREFIX_STR(&a.ips[0]), "10.97.0.9/32");
        assert_string_equal(a.pod_uid, "");
        cni_args_clear(&a);

        a = args_ok("IP=10.97.0.9/24,fd97::9,fd97::a/64");
        assert_int_equal(a.n_ips, 3);
        assert_string_equal(IN_PREFIX_STR(&a.ips[0]), "10.97.0.9/24");
        assert_string_equal(IN_PREFIX_STR(&a.ips[1]), "fd97::9/128");
        assert_string_equal(IN_PREFIX_STR(&a.ips[2]), "fd97::a/64");
        cni_args_clear(&a);

        /* of a key twice the last one counts */
        a = args_ok("K8S_POD_NAME=a;IP=10.97.0.1;K8S_POD_NAME=b;IP=10.97.0.2");
        assert_string_equal(a.pod_name, "b");
        assert_int_equal(a.n_ips, 1);
        assert_string_equal(IN_PREFIX_STR(&a.ips[0]), "10.97.0.2/32");
        cni_args_clear(&a);

        a = args_ok("IP=;IgnoreUnknown=0");
        assert_int_equal(a.n_ips, 0);
}

static void test_bad(void **state) {
        static const struct {
                const char *text, *word;
        } table[] = {
                { "x", "\"x\"" },
                { ";", "pair" },
                { "IP=10.97.0.1;", "pair" },
                { "=1", "pair" },
                { "K8S_POD_NAME=a=b", "K8S_POD_NAME=a=b" },
                { "Foo=1", "Foo" },
                { "ip=10.97.0.1", "\"ip\"" }, /* keys have case */
                { "ignoreunknown=1", "ignoreunknown" },
                { "Foo=1;IgnoreUnknown=0", "Foo" },
                { "Foo=1;IgnoreUnknown=yes", "Foo" },
                { "IgnoreUnknown=1;IP=10.97.0.300", "10.97.0.300" },
                { "IP=10.97.0.1,", "IP" },
                { "IP=10.97.0.1/33", "10.97.0.1/33" },
                { "IP=1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9,1.1.1.10,"
                  "1.1.1.11,1.1.1.12,1.1.1.13,1.1.1.14,1.1.1.15,1.1.1.16,1.1.1.17",
                  "16" },
                { "K8S_POD_NAME=a\x1b[2J", "control" },
                { "K8S_POD_NAME=\xff", "UTF-8" },
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                args_bad(table[i].text, table[i].word);
}

static void test_limits(void **state) {
        _cleanup_free_ char *text = malloc(CNI_ARGS_MAX + 2);
        CniArgs a;
        char *p;

        assert_non_null(text);
        memset(text, 'a', CNI_ARGS_MAX + 1);
        memcpy(text, "K8S_POD_NAME=", strlen("K8S_POD_NAME="));
        text[CNI_ARGS_MAX + 1] = 0;
        args_bad(text, "16384");
        text[CNI_ARGS_MAX] = 0;
        a = args_ok(text);
        assert_int_equal(strlen(a.pod_name), CNI_ARGS_MAX - strlen("K8S_POD_NAME="));
        cni_args_clear(&a);

        p = stpcpy(text, "IgnoreUnknown=1");
        for (unsigned i = 1; i < CNI_ARGS_PAIRS_MAX; i++)
                p = stpcpy(p, ";a=b");
        a = args_ok(text);
        cni_args_clear(&a);
        strcpy(p, ";a=b");
        args_bad(text, "64");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_good),
                cmocka_unit_test(test_bad),
                cmocka_unit_test(test_limits),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
