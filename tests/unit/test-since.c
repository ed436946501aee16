/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Points in time as people write them. The clock of the test stands in India: half hours show. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "ctl/since.h"

#define NOW UINT64_C(1795255200123456) /* 2026-11-21T10:00:00Z, 15:30 in Kolkata */

static void assert_time(const char *s, int64_t seconds) {
        uint64_t usec = 7;

        if (since_parse(s, NOW, &usec) != 0)
                fail_msg("refused: %s", s);
        if (usec != (uint64_t) seconds * 1000000U)
                fail_msg("%s: %llu", s, (unsigned long long) usec);
}

static void test_dates(void **state) {
        assert_time("2026-11-21T10:00:00Z", 1795255200);
        assert_time("2026-11-21T10:00:00+00:00", 1795255200);
        assert_time("2026-11-21T15:30:00+05:30", 1795255200);
        assert_time("2026-11-21T05:00:00-05:00", 1795255200);
        assert_time("2026-11-21 15:30:00", 1795255200);
        assert_time("2026-11-21 15:30", 1795255200);
        assert_time("2026-11-21", 1795255200 - 55800);
        assert_time("2024-02-29T00:00:00Z", 1709164800);
        assert_time("today", 1795255200 - 55800);
        assert_time("yesterday", 1795255200 - 55800 - 86400);
}

static void test_back(void **state) {
        uint64_t usec = 0;

        assert_int_equal(since_parse("now", NOW, &usec), 0);
        assert_true(usec == NOW);
        assert_int_equal(since_parse("-2h", NOW, &usec), 0);
        assert_true(usec == NOW - 7200U * UINT64_C(1000000));
        assert_int_equal(since_parse("-90min", NOW, &usec), 0);
        assert_true(usec == NOW - 5400U * UINT64_C(1000000));
        assert_int_equal(since_parse("-1w", NOW, &usec), 0);
        assert_true(usec == NOW - 604800U * UINT64_C(1000000));
        assert_int_equal(since_parse("-99999999d", NOW, &usec), -ERANGE);
        assert_int_equal(since_parse("-999999999999999w", NOW, &usec), -ERANGE);
}

static void test_refused(void **state) {
        static const char *const refused[] = {
                "",
                "-",
                "2h",
                "-2",
                "-h",
                "-2x",
                "-2 h",
                "--2h",
                "-9999999999999999s",
                "tomorrow",
                "2026-11-31",
                "2026-13-01",
                "2026-02-29 10:00",
                "2026-11-21 25:00",
                "2026-11-21 10:00:00 ",
                "2026-11-21T10:00:00",
                "2026-11-21T10:00:00z",
                "2026-11-21T10:00:00+0100",
                "2026-11-21T10:00:00+24:00",
                "2026-11-21T10:00:00Zx",
                "1795255200",
                "10:00",
        };
        uint64_t usec = 7;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                if (since_parse(refused[i], NOW, &usec) >= 0)
                        fail_msg("accepted: \"%s\"", refused[i]);
                assert_int_equal(usec, 7);
        }
        assert_int_equal(since_parse("1969-12-31T00:00:00Z", NOW, &usec), -ERANGE);
        assert_int_equal(usec, 7);
}

static void test_format(void **state) {
        char text[LOCAL_TIME_SIZE];
        uint64_t usec;

        assert_string_equal(format_local(NOW, text), "2026-11-21 15:30:00");
        assert_int_equal(since_parse(text, 0, &usec), 0); /* reads what it writes */
        assert_true(usec == NOW / 1000000U * 1000000U);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_dates),
                cmocka_unit_test(test_back),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_format),
        };
        setenv("TZ", "IST-5:30", 1);
        tzset();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
