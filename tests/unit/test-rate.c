/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rates as netmgrctl reads and writes them: exact, or refused. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "ctl/rate.h"

static void test_accepted(void **state) {
        static const struct {
                const char *text;
                uint64_t bits;
        } cases[] = {
                { "0", 0 },
                { "none", 0 },
                { "NONE", 0 },
                { "0.0", 0 },
                { "1", 1 },
                { "10M", 10000000 },
                { "10m", 10000000 },
                { "64k", 64000 },
                { "64K", 64000 },
                { "1G", 1000000000 },
                { "1.5G", 1500000000 },
                { "0.001M", 1000 },
                { "1.234567M", 1234567 },
                { "1.2345670000M", 1234567 },
                { "7.00000000000000000000000000000", 7 },
                { "10Mbit", 10000000 },
                { "10MBIT/S", 10000000 },
                { "300bit", 300 },
                { "0007", 7 },
                { "18446744073709551615", UINT64_MAX },
                { "18446744073.709551615G", UINT64_MAX },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 99;
                int r = rate_parse(cases[i].text, &v);
                if (r < 0 || v != cases[i].bits)
                        fail_msg("%s: %d, %llu", cases[i].text, r, (unsigned long long) v);
        }
}

static void test_refused(void **state) {
        static const struct {
                const char *text;
                int r;
        } cases[] = {
                { "", -EINVAL },
                { "M", -EINVAL },
                { ".", -EINVAL },
                { ".5M", -EINVAL },
                { "5.M", -EINVAL },
                { "1.2.3M", -EINVAL },
                { "1.5", -EINVAL },
                { "1.05", -EINVAL }, /* a part of a bit, whatever stands before it */
                { "1.0000001M", -EINVAL },
                { "1.2345678k", -EINVAL },
                { "-1", -EINVAL },
                { "+1", -EINVAL },
                { " 1", -EINVAL },
                { "1 M", -EINVAL },
                { "1M ", -EINVAL },
                { "10Mi", -EINVAL },
                { "10MB", -EINVAL },
                { "10Mbps", -EINVAL }, /* tc means bytes by that */
                { "10T", -EINVAL },
                { "1e6", -EINVAL },
                { "0x10", -EINVAL },
                { "nonesuch", -EINVAL },
                { "18446744073709551616", -ERANGE },
                { "18446744074G", -ERANGE },
                { "18446744073.709551616G", -ERANGE },
                { "99999999999999999999999999999999", -ERANGE },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                uint64_t v = 99;
                int r = rate_parse(cases[i].text, &v);
                if (r != cases[i].r || v != 99)
                        fail_msg("\"%s\": %d, %llu", cases[i].text, r, (unsigned long long) v);
        }
}

static void test_written(void **state) {
        static const struct {
                uint64_t bits;
                const char *text;
        } cases[] = {
                { 0, "0 bit" },
                { 1, "1 bit" },
                { 999, "999 bit" },
                { 1000, "1 kbit" },
                { 1001, "1.001 kbit" },
                { 64000, "64 kbit" },
                { 10000000, "10 Mbit" },
                { 1500000000, "1.5 Gbit" },
                { 1000000001, "1.000000001 Gbit" },
                { 1050000, "1.05 Mbit" },
                { UINT64_MAX, "18446744073.709551615 Gbit" },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = bits_format(cases[i].bits);
                assert_string_equal(text, cases[i].text);
        }
}

/* Whatever is written is read as the same. */
static void test_round_trip(void **state) {
        uint64_t v = 1;

        for (unsigned i = 0; i < 10000; i++) {
                _cleanup_free_ char *text = bits_format(v);
                uint64_t back = 0;
                char *blank = strchr(text, ' ');

                memmove(blank, blank + 1, strlen(blank));
                assert_int_equal(rate_parse(text, &back), 0);
                assert_true(back == v);
                v = v * 6364136223846793005U + 1442695040888963407U;
                v >>= i % 64;
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_accepted),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_written),
                cmocka_unit_test(test_round_trip),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
