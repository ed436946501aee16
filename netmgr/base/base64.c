/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Strict base64; see base64.h. */

#include "base/base64.h"

/* The value of a digit, or -1. */
static int digit(char c) {
        if (c >= 'A' && c <= 'Z')
                return c - 'A';
        if (c >= 'a' && c <= 'z')
                return c - 'a' + 26;
        if (c >= '0' && c <= '9')
                return c - '0' + 52;
        return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Four characters, of which the last `padding` are '='. Bits that no byte has must be zero, else two texts
 * would mean the same. */
static int decode_group(const char *s, unsigned padding, char *to) {
        uint32_t bits = 0;

        for (unsigned i = 0; i < 4; i++) {
                int value = i < 4 - padding ? digit(s[i]) : s[i] == '=' ? 0 : -1;
                if (value < 0)
                        return -EINVAL;
                bits = bits << 6 | (uint32_t) value;
        }
        if (padding > 0 && (bits & ((1U << 8 * padding) - 1)) != 0)
                return -EINVAL;
        for (unsigned i = 0; i < 3 - padding; i++)
                to[i] = (char) (bits >> (16 - 8 * i) & 0xff);
        return 0;
}

int base64_decode(const char *s, size_t max, char **ret, size_t *ret_size) {
        size_t n = strlen(s), size = n / 4 * 3;
        unsigned padding = 0;

        if (n % 4 != 0)
                return -EINVAL;
        if (n > 0 && s[n - 1] == '=')
                padding = s[n - 2] == '=' ? 2 : 1;
        size -= padding;
        if (size > max)
                return -E2BIG;
        _cleanup_free_ char *bytes = new0(char, size + 1);
        if (!bytes)
                return -ENOMEM;
        for (size_t i = 0; i < n / 4; i++) {
                int r = decode_group(s + 4 * i, i + 1 == n / 4 ? padding : 0, bytes + 3 * i);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(bytes);
        if (ret_size)
                *ret_size = size;
        return 0;
}
