/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Decimal multiples of bits, without floating point: what a person writes is what is set. */

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "base/parse.h"
#include "ctl/rate.h"

/* Largest first, for bits_format(). */
static const struct {
        char letter;
        uint64_t factor;
} multiples[] = {
        { 'G', UINT64_C(1000000000) },
        { 'M', UINT64_C(1000000) },
        { 'K', UINT64_C(1000) },
};

/* Skips the digits at *s and adds their value, each ten times less than the one before it. */
static int read_fraction(const char **s, uint64_t factor, uint64_t *value) {
        const char *p = *s;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++) {
                uint64_t digit = (uint64_t) (*p - '0');

                if (digit > 0 && factor < 10)
                        return -EINVAL; /* a part of a bit */
                factor /= 10;
                if (__builtin_add_overflow(*value, digit * factor, value))
                        return -ERANGE;
        }
        *s = p;
        return 0;
}

static int read_whole(const char **s, uint64_t factor, uint64_t *value) {
        const char *p = *s;

        if (!isdigit((unsigned char) *p))
                return -EINVAL;
        for (; isdigit((unsigned char) *p); p++)
                if (__builtin_mul_overflow(*value, 10, value) ||
                    __builtin_add_overflow(*value, (uint64_t) (*p - '0'), value))
                        return -ERANGE;
        *s = p;
        return __builtin_mul_overflow(*value, factor, value) ? -ERANGE : 0;
}

/* The factor of the letter behind the number, and where the letter ends. */
static uint64_t read_multiple(const char *s, const char **ret_end) {
        for (size_t i = 0; i < ELEMENTSOF(multiples); i++)
                if (toupper((unsigned char) *s) == multiples[i].letter) {
                        *ret_end = s + 1;
                        return multiples[i].factor;
                }
        *ret_end = s;
        return 1;
}

int rate_parse(const char *s, uint64_t *ret) {
        const char *end;
        uint64_t value = 0;

        if (strcasecmp(s, "none") == 0) {
                *ret = 0;
                return 0;
        }
        uint64_t factor = read_multiple(s + strspn(s, "0123456789."), &end);
        if (*end && strcasecmp(end, "bit") != 0 && strcasecmp(end, "bit/s") != 0)
                return -EINVAL;
        int r = read_whole(&s, factor, &value);
        if (r < 0)
                return r;
        if (*s == '.') {
                s++;
                r = read_fraction(&s, factor, &value);
                if (r < 0)
                        return r;
        }
        if (*s == '.')
                return -EINVAL;
        *ret = value;
        return 0;
}

char *bits_format(uint64_t bits) {
        for (size_t i = 0; i < ELEMENTSOF(multiples); i++) {
                uint64_t factor = multiples[i].factor, rest = bits % factor;
                int digits = 0;

                if (bits < factor)
                        continue;
                if (rest == 0)
                        return strf("%llu %cbit", (unsigned long long) (bits / factor),
                                    multiples[i].letter == 'K' ? 'k' : multiples[i].letter);
                for (uint64_t f = factor; f > 1; f /= 10)
                        digits++;
                for (; rest % 10 == 0; rest /= 10)
                        digits--;
                return strf("%llu.%0*llu %cbit", (unsigned long long) (bits / factor), digits,
                            (unsigned long long) rest,
                            multiples[i].letter == 'K' ? 'k' : multiples[i].letter);
        }
        return strf("%llu bit", (unsigned long long) bits);
}
