/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgr.conf: which networks a pod may use, and how files and values come together. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/conf.h"
#include "base/fd.h"
#include "base/parse.h"

static char dir[] = "/tmp/test-conf.XXXXXX";

static int make_dir(void **state) {
        if (!mkdtemp(dir))
                return -1;
        _cleanup_free_ char *sub = strf("%s/netmgr.conf.d", dir);
        return sub ? mkdir(sub, 0700) : -1;
}

static int remove_dir(void **state) {
        static const char *const names[] = { "netmgr.conf", "netmgr.conf.d/10.conf",
                                             "netmgr.conf.d/20.conf", "netmgr.conf.d" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *path = strf("%s/%s", dir, names[i]);
                (void) remove(path);
        }
        return rmdir(dir);
}

static void write_file(const char *name, const char *text) {
        _cleanup_free_ char *path = strf("%s/%s", dir, name);
        _cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), (ssize_t) strlen(text));
}

static Conf load(const char *text) {
        _cleanup_error_ Error e = ERROR_NULL;
        Conf c;

        conf_init(&c);
        write_file("netmgr.conf", text);
        if (conf_load(dir, &c, &e) < 0)
                fail_msg("%s: %s", text, error_message(&e));
        return c;
}

static void refuse(const char *text, const char *sentence) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_(conf_clear) Conf c = { .workers = 77 };
        _cleanup_free_ char *expected = strf("%s/netmgr.conf:%s", dir, sentence);

        write_file("netmgr.conf", text);
        assert_true(conf_load(dir, &c, &e) < 0);
        assert_int_equal(c.workers, 77); /* untouched */
        assert_string_equal(error_message(&e), expected);
}

static void test_defaults(void **state) {
        _cleanup_(conf_clear) Conf c = load("");

        assert_true(c.namespace_isolation);
        assert_null(c.shared_namespaces);
        assert_null(c.default_namespace);
}

static void test_networks(void **state) {
        _cleanup_(conf_clear) Conf c = load("[Networks]\nNamespaceIsolation=no\n"
                                            "SharedNamespaces=default infra-1\t0a\n"
                                            "DefaultNetworkNamespace=net-system\n");

        assert_false(c.namespace_isolation);
        assert_string_equal(c.shared_namespaces[0], "default");
        assert_string_equal(c.shared_namespaces[1], "infra-1");
        assert_string_equal(c.shared_namespaces[2], "0a");
        assert_null(c.shared_namespaces[3]);
        assert_string_equal(c.default_namespace, "net-system");

        /* said to be empty: nobody's networks are everybody's, and not those of "default" */
        _cleanup_(conf_clear) Conf none = load("[Networks]\nSharedNamespaces=\n");
        assert_non_null(none.shared_namespaces);
        assert_null(none.shared_namespaces[0]);
}

static void test_delegates(void **state) {
        _cleanup_(conf_clear) Conf c = load("[Delegates]\nPluginPath=/a:/b/c\n"), none = load("");

        assert_string_equal(c.plugin_path, "/a:/b/c");
        assert_null(none.plugin_path);
}

static void test_later_wins(void **state) {
        write_file("netmgr.conf.d/20.conf", "[Networks]\nSharedNamespaces=c\n");
        write_file("netmgr.conf.d/10.conf",
                   "[Networks]\nSharedNamespaces=b\nNamespaceIsolation=no\n");
        _cleanup_(conf_clear) Conf c = load("[Networks]\nSharedNamespaces=a\n"
                                            "NamespaceIsolation=yes\nDefaultNetworkNamespace=d\n");

        assert_string_equal(c.shared_namespaces[0], "c");
        assert_null(c.shared_namespaces[1]);
        assert_false(c.namespace_isolation);
        assert_string_equal(c.default_namespace, "d");
        write_file("netmgr.conf.d/10.conf", "");
        write_file("netmgr.conf.d/20.conf", "");
}

static void test_refused(void **state) {
        refuse("[Networks]\nNamespaceIsolation=perhaps\n",
               "2: NamespaceIsolation=: wanted yes or no, found \"perhaps\"");
        refuse("[Networks]\nSharedNamespaces=a,b\n",
               "2: SharedNamespaces=: wanted a namespace (lower-case letters, digits and '-'), found \"a,b\"");
        refuse("[Networks]\nSharedNamespaces=a Blue\n",
               "2: SharedNamespaces=: wanted a namespace (lower-case letters, digits and '-'), found \"Blue\"");
        refuse("\n[Networks]\nDefaultNetworkNamespace=a.b\n",
               "3: DefaultNetworkNamespace=: wanted a namespace (lower-case letters, digits and '-'), found "
               "\"a.b\"");
        refuse("[Networks]\nDefaultNetworkNamespace=\n",
               "2: DefaultNetworkNamespace=: wanted a namespace (lower-case letters, digits and '-'), found "
               "\"\"");
        refuse("[Delegates]\nPluginPath=/a:b\n",
               "2: PluginPath=: wanted directories as /DIR:/DIR, found \"/a:b\"");
        refuse("[Delegates]\nPath=/a\n", "2: [Delegates] Path=: unknown key, with value \"/a\"");
        refuse("[Networks]\nIsolation=yes\n",
               "2: [Networks] Isolation=: unknown key, with value \"yes\"");
}

/* Not a continuation, which would be another value of the key before. */
static void test_indented(void **state) {
        _cleanup_(conf_clear) Conf c = load("[Networks]\n  SharedNamespaces=a\n"
                                            "\tDefaultNetworkNamespace = b\n   # more\n\n"
                                            "  NamespaceIsolation=no");

        assert_string_equal(c.shared_namespaces[0], "a");
        assert_null(c.shared_namespaces[1]);
        assert_string_equal(c.default_namespace, "b");
        assert_false(c.namespace_isolation);
        refuse("[Networks]\nSharedNamespaces=a\n  b\n",
               "3: wanted \"[Section]\" or \"Key=value\" of at most 4096 bytes, found \"b  \"");
}

static void test_long_line(void **state) {
        char text[8192] = "[Networks]\nSharedNamespaces=a";

        memset(text + strlen(text), ' ', 4096 - strlen("SharedNamespaces=a") - 1);
        strcat(text, "b\nNamespaceIsolation=no\n");
        _cleanup_(conf_clear) Conf c = load(text);
        assert_string_equal(c.shared_namespaces[0], "a");
        assert_string_equal(c.shared_namespaces[1], "b");
        assert_false(c.namespace_isolation);

        /* the rest of the line is nobody's value */
        memset(text, 0, sizeof(text));
        strcpy(text, "[Networks]\nSharedNamespaces=a");
        memset(text + strlen(text), ' ', 4096);
        strcat(text, "Workers=2\n");
        refuse(text, "2: wanted \"[Section]\" or \"Key=value\" of at most 4096 bytes, found "
                     "\"SharedNamespaces=a                                              \"");
}

static void test_limit(void **state) {
        char text[1024] = "[Networks]\nSharedNamespaces=";

        for (unsigned i = 0; i < 64; i++)
                strcat(text, "ns ");
        _cleanup_(conf_clear) Conf c = load(text);
        assert_string_equal(c.shared_namespaces[63], "ns");
        strcat(text, "one");
        refuse(text, "2: SharedNamespaces=: more than 64 words");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_defaults),  cmocka_unit_test(test_networks),
                cmocka_unit_test(test_delegates), cmocka_unit_test(test_later_wins),
                cmocka_unit_test(test_refused),   cmocka_unit_test(test_limit),
                cmocka_unit_test(test_indented),  cmocka_unit_test(test_long_line),
        };

        return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
