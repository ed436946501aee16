/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Addresses, prefixes and MAC addresses as values. */

#include "base/inaddr.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/parse.h"

int in_addr_parse(const char *s, InAddr *ret) {
        static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
        InAddr a = { .family = AF_INET };

        if (!s)
                return -EINVAL;
        /* inet_pton() takes dotted quads only and refuses octal and short forms. */
        if (inet_pton(AF_INET, s, a.bytes) == 1) {
                *ret = a;
                return 0;
        }
        a = (InAddr) { .family = AF_INET6 };
        if (inet_pton(AF_INET6, s, a.bytes) != 1)
                return -EINVAL;
        if (memcmp(a.bytes, mapped, sizeof(mapped)) == 0) {
                InAddr v4 = { .family = AF_INET };
                memcpy(v4.bytes, a.bytes + 12, 4);
                a = v4;
        }
        *ret = a;
        return 0;
}

static int prefix_parse(const char *s, bool need_length, InPrefix *ret) {
        const char *slash = s ? strchr(s, '/') : NULL;
        char text[IN_ADDR_STR_MAX];
        InPrefix p = { 0 };
        uint32_t length;

        if (!s || (need_length && !slash))
                return -EINVAL;
        size_t n = slash ? (size_t) (slash - s) : strlen(s);
        if (n >= sizeof(text))
                return -EINVAL;
        memcpy(text, s, n);
        text[n] = '\0';
        int r = in_addr_parse(text, &p.address);
        if (r < 0)
                return r;
        length = family_bits(p.address.family);
        if (slash) {
                /* "/024" is no length. */
                if (slash[1] == '0' && slash[2])
                        return -EINVAL;
                r = parse_u32(slash + 1, 0, family_bits(p.address.family), &length);
                if (r < 0)
                        return r;
        }
        p.length = (uint8_t) length;
        *ret = p;
        return 0;
}

int in_prefix_parse(const char *s, InPrefix *ret) {
        return prefix_parse(s, true, ret);
}

int in_prefix_parse_auto(const char *s, InPrefix *ret) {
        return prefix_parse(s, false, ret);
}

const char *in_addr_format(const InAddr *a, char buf[static IN_ADDR_STR_MAX]) {
        if (!in_addr_is_set(a) || !inet_ntop(a->family, a->bytes, buf, IN_ADDR_STR_MAX))
                snprintf(buf, IN_ADDR_STR_MAX, "none");
        return buf;
}

const char *in_prefix_format(const InPrefix *p, char buf[static IN_PREFIX_STR_MAX]) {
        char address[IN_ADDR_STR_MAX];
        snprintf(buf, IN_PREFIX_STR_MAX, "%s/%u", in_addr_format(&p->address, address), p->length);
        return buf;
}

bool in_addr_equal(const InAddr *a, const InAddr *b) {
        return in_addr_compare(a, b) == 0;
}

int in_addr_compare(const InAddr *a, const InAddr *b) {
        if (a->family != b->family)
                return a->family < b->family ? -1 : 1;
        return in_addr_is_set(a) ? memcmp(a->bytes, b->bytes, family_bytes(a->family)) : 0;
}

/* Sets (or clears) all bits from `length` on. */
static InAddr host_bits(const InPrefix *p, bool set) {
        InAddr a = p->address;

        for (unsigned bit = p->length; bit < family_bits(a.family); bit++) {
                uint8_t mask = (uint8_t) (0x80 >> (bit % 8));
                if (set)
                        a.bytes[bit / 8] |= mask;
                else
                        a.bytes[bit / 8] &= (uint8_t) ~mask;
        }
        return a;
}

InAddr in_prefix_first(const InPrefix *p) {
        return host_bits(p, false);
}

InAddr in_prefix_last(const InPrefix *p) {
        return host_bits(p, true);
}

bool in_prefix_has_host_bits(const InPrefix *p) {
        InAddr first = in_prefix_first(p);
        return !in_addr_equal(&first, &p->address);
}

bool in_prefix_contains(const InPrefix *p, const InAddr *a) {
        if (p->address.family != a->family)
                return false;
        InPrefix other = { .address = *a, .length = p->length };
        InAddr x = in_prefix_first(p), y = in_prefix_first(&other);
        return in_addr_equal(&x, &y);
}

bool in_prefix_overlaps(const InPrefix *a, const InPrefix *b) {
        return a->length <= b->length ? in_prefix_contains(a, &b->address)
                                      : in_prefix_contains(b, &a->address);
}

bool in_addr_add(const InAddr *a, uint64_t n, InAddr *ret) {
        InAddr sum = *a;
        unsigned carry = 0;

        for (unsigned i = 0; i < family_bytes(a->family); i++) {
                unsigned at = family_bytes(a->family) - 1 - i;
                unsigned v = sum.bytes[at] + (unsigned) (i < 8 ? n >> (8 * i) & 0xff : 0) + carry;
                sum.bytes[at] = (uint8_t) v;
                carry = v >> 8;
        }
        if (carry || (a->family == AF_INET && n > UINT32_MAX))
                return false;
        *ret = sum;
        return true;
}

bool in_addr_sub(const InAddr *a, uint64_t n, InAddr *ret) {
        InAddr diff = *a;
        int borrow = 0;

        for (unsigned i = 0; i < family_bytes(a->family); i++) {
                unsigned at = family_bytes(a->family) - 1 - i;
                int v = diff.bytes[at] - (int) (i < 8 ? n >> (8 * i) & 0xff : 0) - borrow;
                diff.bytes[at] = (uint8_t) v;
                borrow = v < 0;
        }
        if (borrow || (a->family == AF_INET && n > UINT32_MAX))
                return false;
        *ret = diff;
        return true;
}

uint64_t in_addr_span(const InAddr *a, const InAddr *b) {
        uint64_t low = 0;
        bool high = false;
        int borrow = 0;

        if (a->family != b->family || in_addr_compare(a, b) > 0)
                return 0;
        for (unsigned i = 0; i < family_bytes(a->family); i++) {
                unsigned at = family_bytes(a->family) - 1 - i;
                int v = b->bytes[at] - a->bytes[at] - borrow;
                borrow = v < 0;
                if (i < 8)
                        low |= (uint64_t) (uint8_t) v << (8 * i);
                else if ((uint8_t) v)
                        high = true;
        }
        return high || low == UINT64_MAX ? UINT64_MAX : low + 1;
}

bool in_addr_is_multicast(const InAddr *a) {
        return a->family == AF_INET ? a->bytes[0] >> 4 == 14
                                    : a->family == AF_INET6 && a->bytes[0] == 0xff;
}

bool in_addr_is_loopback(const InAddr *a) {
        static const InAddr one = { .family = AF_INET6, .bytes = { [15] = 1 } };
        return a->family == AF_INET ? a->bytes[0] == 127 : in_addr_equal(a, &one);
}

bool in_addr_is_link_local(const InAddr *a) {
        if (a->family == AF_INET)
                return a->bytes[0] == 169 && a->bytes[1] == 254;
        return a->family == AF_INET6 && a->bytes[0] == 0xfe && (a->bytes[1] & 0xc0) == 0x80;
}

bool in_addr_is_unspecified(const InAddr *a) {
        InAddr zero = { .family = a->family };
        return in_addr_equal(a, &zero);
}

const char *mac_format(const MacAddr *m, char buf[static MAC_STR_MAX]) {
        const uint8_t *b = m->bytes;
        snprintf(buf, MAC_STR_MAX, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4],
                 b[5]);
        return buf;
}

static int hex_digit(char c) {
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                      : -1;
}

int mac_parse(const char *s, MacAddr *ret) {
        MacAddr m;

        if (!s || strlen(s) != MAC_STR_MAX - 1)
                return -EINVAL;
        for (int i = 0; i < 6; i++) {
                int hi = hex_digit(s[3 * i]), lo = hex_digit(s[3 * i + 1]);
                if (hi < 0 || lo < 0 || (i < 5 && s[3 * i + 2] != ':'))
                        return -EINVAL;
                m.bytes[i] = (uint8_t) (hi << 4 | lo);
        }
        *ret = m;
        return 0;
}

int mac_random(MacAddr *ret) {
        MacAddr m;

        if (getrandom(m.bytes, sizeof(m.bytes), 0) != sizeof(m.bytes))
                return -errno;
        m.bytes[0] = 0x02;
        *ret = m;
        return 0;
}

bool mac_is_zero(const MacAddr *m) {
        static const MacAddr zero;
        return memcmp(m, &zero, sizeof(zero)) == 0;
}
