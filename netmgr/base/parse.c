/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Numbers, booleans and names; see parse.h for what is accepted. */

#include "base/parse.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>
#include <time.h>

#include "base/limits.h"

int parse_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret) {
        uint64_t v = 0;

        if (isempty(s))
                return -EINVAL;
        for (const char *p = s; *p; p++) {
                if (*p < '0' || *p > '9')
                        return -EINVAL;
                if (__builtin_mul_overflow(v, 10U, &v) ||
                    __builtin_add_overflow(v, (uint64_t) (*p - '0'), &v))
                        return -ERANGE;
        }
        if (v < min || v > max)
                return -ERANGE;
        *ret = v;
        return 0;
}

int parse_u32(const char *s, uint32_t min, uint32_t max, uint32_t *ret) {
        uint64_t v;
        int r = parse_u64(s, min, max, &v);
        if (r >= 0)
                *ret = (uint32_t) v;
        return r;
}

int parse_bool(const char *s, bool *ret) {
        static const char *const words[][2] = {
                { "0", "1" }, { "no", "yes" }, { "false", "true" }, { "off", "on" }
        };

        for (size_t i = 0; s && i < ELEMENTSOF(words); i++)
                for (int v = 0; v < 2; v++)
                        if (strcasecmp(s, words[i][v]) == 0) {
                                *ret = v;
                                return 0;
                        }
        return -EINVAL;
}

static bool is_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool cni_id_is_valid(const char *s, size_t max) {
        size_t n = 0;

        if (!s || !is_alnum(s[0]))
                return false;
        for (; s[n]; n++)
                if (n >= max || !(is_alnum(s[n]) || s[n] == '_' || s[n] == '.' || s[n] == '-'))
                        return false;
        return true;
}

static bool is_lower_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool dns_label_is_valid(const char *s, size_t n) {
        if (n == 0 || n > DNS_LABEL_MAX || !is_lower_alnum(s[0]) || !is_lower_alnum(s[n - 1]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_lower_alnum(s[i]) && s[i] != '-')
                        return false;
        return true;
}

bool dns_subdomain_is_valid(const char *s) {
        if (strlen(s) > DNS_SUBDOMAIN_MAX)
                return false;
        for (;; s++) {
                size_t n = strcspn(s, ".");

                if (!dns_label_is_valid(s, n))
                        return false;
                s += n;
                if (!*s)
                        return true;
        }
}

/* Length of the UTF-8 sequence at p (of at most n bytes) and its code point; 0: malformed. */
static size_t utf8_next(const unsigned char *p, size_t n, uint32_t *ret) {
        size_t len = p[0] < 0x80         ? 1
                     : (p[0] >> 5) == 6  ? 2
                     : (p[0] >> 4) == 14 ? 3
                     : (p[0] >> 3) == 30 ? 4
                                         : 0;
        static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };

        if (len == 0 || len > n)
                return 0;
        uint32_t c = len == 1 ? p[0] : p[0] & (0x7fU >> len);
        for (size_t i = 1; i < len; i++) {
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;
        *ret = c;
        return len;
}

bool text_is_clean(const char *s, size_t size) {
        const unsigned char *p = (const unsigned char *) s;

        for (size_t i = 0; i < size;) {
                uint32_t c;
                size_t n = utf8_next(p + i, size - i, &c);
                if (n == 0 || c < 0x20 || (c >= 0x7f && c < 0xa0))
                        return false;
                i += n;
        }
        return true;
}

void text_make_utf8(char *s) {
        size_t left = s ? strlen(s) : 0;

        while (left > 0) {
                uint32_t c;
                size_t n = utf8_next((const unsigned char *) s, left, &c);

                if (n == 0) {
                        *s = '?';
                        n = 1;
                }
                s += n;
                left -= n;
        }
}

/* White space of Unicode beyond ASCII, as CNI's reference checks it. */
static bool is_unicode_space(uint32_t c) {
        return c == ' ' || c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) ||
               c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000;
}

bool ifname_is_valid(const char *s) {
        size_t n = s ? strlen(s) : 0;

        if (n == 0 || n > IFNAME_LEN_MAX || streq(s, ".") || streq(s, "..") || strpbrk(s, "/:%") ||
            !text_is_clean(s, n))
                return false;
        for (size_t i = 0; i < n;) {
                uint32_t c = 0;
                size_t len = utf8_next((const unsigned char *) s + i, n - i, &c);
                if (is_unicode_space(c))
                        return false;
                i += len;
        }
        return true;
}

int parse_hex64(const char *s, uint64_t *ret) {
        uint64_t v = 0;
        size_t n = s ? strlen(s) : 0;

        if (n == 0 || n > 16 || (s[0] == '0' && n > 1))
                return -EINVAL;
        for (; *s; s++) {
                if (*s >= '0' && *s <= '9')
                        v = v << 4 | (uint64_t) (*s - '0');
                else if (*s >= 'a' && *s <= 'f')
                        v = v << 4 | (uint64_t) (*s - 'a' + 10);
                else
                        return -EINVAL;
        }
        *ret = v;
        return 0;
}

const char *format_rfc3339(uint64_t usec, char buf[static RFC3339_SIZE]) {
        time_t t = (time_t) (usec / 1000000U);
        struct tm tm;

        if (!gmtime_r(&t, &tm) || strftime(buf, RFC3339_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
                snprintf(buf, RFC3339_SIZE, "1970-01-01T00:00:00Z");
        return buf;
}

static const struct {
        uint8_t protocol;
        const char *name;
} protocols[] = {
        { IPPROTO_TCP, "tcp" },
        { IPPROTO_UDP, "udp" },
        { IPPROTO_SCTP, "sctp" },
};

const char *protocol_name(uint8_t protocol) {
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (protocols[i].protocol == protocol)
                        return protocols[i].name;
        return NULL;
}

int protocol_parse(const char *s, uint8_t *ret) {
        for (size_t i = 0; i < ELEMENTSOF(protocols); i++)
                if (strcasecmp(protocols[i].name, s) == 0) {
                        *ret = protocols[i].protocol;
                        return 0;
                }
        return -EINVAL;
}

char *strf(const char *format, ...) {
        va_list ap;
        char *s;

        va_start(ap, format);
        if (vasprintf(&s, format, ap) < 0)
                s = NULL;
        va_end(ap);
        return s;
}
