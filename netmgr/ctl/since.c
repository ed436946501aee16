/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See since.h. */

#include "ctl/since.h"

#include <stdio.h>
#include <time.h>

#include "base/parse.h"

#define USEC 1000000U

static int from_time(time_t t, uint64_t *ret) {
        if (t < 0 || t > (time_t) 253402300799) /* the end of 9999 */
                return -ERANGE;
        *ret = (uint64_t) t * USEC;
        return 0;
}

/* Reads exactly what the format says, and no date that mktime() would have to bend. */
static int read_date(const char *s, const char *format, struct tm *ret) {
        struct tm tm = { .tm_isdst = -1 }, again;
        const char *end = strptime(s, format, &tm);

        if (!end || *end)
                return -EINVAL;
        again = tm;
        (void) timegm(&again);
        if (again.tm_mday != tm.tm_mday || again.tm_mon != tm.tm_mon || again.tm_sec != tm.tm_sec)
                return -EINVAL;
        tm.tm_isdst = -1;
        *ret = tm;
        return 0;
}

int rfc3339_parse(const char *s, uint64_t *ret) {
        size_t size = strlen(s);
        uint32_t hours = 0, minutes = 0;
        bool east = false;
        char date[20], zone[3];
        struct tm tm;

        if (size < sizeof("2026-11-21T10:00:00Z") - 1 || s[10] != 'T')
                return -EINVAL;
        memcpy(date, s, 19);
        date[19] = '\0';
        if (read_date(date, "%Y-%m-%dT%H:%M:%S", &tm) < 0)
                return -EINVAL;
        s += 19;
        if (!streq(s, "Z")) {
                if (strlen(s) != sizeof("+01:00") - 1 || (*s != '+' && *s != '-') || s[3] != ':')
                        return -EINVAL;
                east = *s == '+';
                snprintf(zone, sizeof(zone), "%.2s", s + 1);
                if (parse_u32(zone, 0, 23, &hours) < 0 || parse_u32(s + 4, 0, 59, &minutes) < 0)
                        return -EINVAL;
        }
        time_t offset = (time_t) (hours * 3600 + minutes * 60);
        return from_time(timegm(&tm) - (east ? offset : -offset), ret);
}

/* "-2h" */
static int parse_back(const char *s, uint64_t now, uint64_t *ret) {
        static const struct {
                const char *unit;
                uint64_t seconds;
        } units[] = { { "s", 1 },    { "min", 60 },  { "m", 60 },
                      { "h", 3600 }, { "d", 86400 }, { "w", 604800 } };
        size_t digits = strspn(s, "0123456789");
        char number[16];
        uint64_t n, back;

        if (digits == 0 || digits >= sizeof(number))
                return -EINVAL;
        memcpy(number, s, digits);
        number[digits] = '\0';
        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                if (!streq(units[i].unit, s + digits))
                        continue;
                if (parse_u64(number, 0, UINT64_MAX, &n) < 0 ||
                    __builtin_mul_overflow(n, units[i].seconds * USEC, &back) || back > now)
                        return -ERANGE;
                *ret = now - back;
                return 0;
        }
        return -EINVAL;
}

/* Midnight so many days ago, in local time. */
static int parse_day(uint64_t now, int days_ago, uint64_t *ret) {
        time_t t = (time_t) (now / USEC);
        struct tm tm;

        if (!localtime_r(&t, &tm))
                return -EINVAL;
        tm.tm_mday -= days_ago;
        tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
        tm.tm_isdst = -1;
        return from_time(mktime(&tm), ret);
}

int since_parse(const char *s, uint64_t now, uint64_t *ret) {
        static const char *const formats[] = { "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d" };
        struct tm tm;

        if (streq(s, "now")) {
                *ret = now;
                return 0;
        }
        if (streq(s, "today"))
                return parse_day(now, 0, ret);
        if (streq(s, "yesterday"))
                return parse_day(now, 1, ret);
        if (*s == '-')
                return parse_back(s + 1, now, ret);
        for (size_t i = 0; i < ELEMENTSOF(formats); i++)
                if (read_date(s, formats[i], &tm) >= 0)
                        return from_time(mktime(&tm), ret);
        return rfc3339_parse(s, ret);
}

const char *format_local(uint64_t usec, char buf[static LOCAL_TIME_SIZE]) {
        time_t t = (time_t) (usec / USEC);
        struct tm tm;

        if (!localtime_r(&t, &tm) || strftime(buf, LOCAL_TIME_SIZE, "%Y-%m-%d %H:%M:%S", &tm) == 0)
                strcpy(buf, "?");
        return buf;
}
