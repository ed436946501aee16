/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Escaping of foreign text. No locale is consulted: what is unsafe does not depend on what this
 * process believes about the terminal, and C1 controls are honoured by some terminals in UTF-8.
 */

#include <stdio.h>

#include "ctl/text.h"

/* Every escape is six bytes ("\u001b") and stands for at least one byte of the source. */
#define ESCAPE_SIZE 6U

/* Length of the UTF-8 sequence at s (1 to 4) with its code point, 0 when it is not one. */
static size_t utf8_decode(const unsigned char *s, size_t size, uint32_t *ret) {
        static const uint32_t smallest[] = { 0, 0, 0x80, 0x800, 0x10000 };
        uint32_t c;
        size_t n;

        if (s[0] < 0x80) {
                *ret = s[0];
                return 1;
        }
        if ((s[0] & 0xe0) == 0xc0)
                n = 2, c = s[0] & 0x1f;
        else if ((s[0] & 0xf0) == 0xe0)
                n = 3, c = s[0] & 0x0f;
        else if ((s[0] & 0xf8) == 0xf0)
                n = 4, c = s[0] & 0x07;
        else
                return 0;

        if (n > size)
                return 0;
        for (size_t i = 1; i < n; i++) {
                if ((s[i] & 0xc0) != 0x80)
                        return 0;
                c = c << 6 | (s[i] & 0x3f);
        }
        if (c < smallest[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
                return 0;

        *ret = c;
        return n;
}

/* Beyond the C0 range: what a terminal obeys or what makes text look like other text. */
static bool code_point_is_unsafe(uint32_t c) {
        static const struct {
                uint16_t first, last;
        } unsafe[] = {
                { 0x007f, 0x009f }, /* DEL and C1 controls */
                { 0x00ad, 0x00ad }, /* soft hyphen: invisible */
                { 0x061c, 0x061c }, /* Arabic letter mark */
                { 0x200b, 0x200f }, /* zero width, direction marks */
                { 0x2028, 0x202e }, /* line and paragraph separators, direction overrides */
                { 0x2060, 0x206f }, /* invisible operators, direction isolates */
                { 0xfeff, 0xfeff }, /* byte order mark */
                { 0xfff9, 0xfffb }, /* interlinear annotation */
        };

        for (size_t i = 0; i < ELEMENTSOF(unsafe); i++)
                if (c >= unsafe[i].first && c <= unsafe[i].last)
                        return true;
        return false;
}

static char *escape(const char *s, size_t size, bool json) {
        const unsigned char *p = (const unsigned char *) s;
        char *text, *out;

        if (size > (SIZE_MAX - 1) / ESCAPE_SIZE)
                return NULL;
        text = out = malloc(size * ESCAPE_SIZE + 1);
        if (!text)
                return NULL;

        for (size_t n; size > 0; p += n, size -= n) {
                uint32_t c;

                n = utf8_decode(p, size, &c);
                if (n == 0) {
                        n = 1;
                        c = 0xfffd;
                        out += sprintf(out, "\\u%04x", c);
                } else if ((c < 0x20 && !json) || code_point_is_unsafe(c))
                        out += sprintf(out, "\\u%04x", c);
                else {
                        if (c == '\\' && !json)
                                *out++ = '\\';
                        memcpy(out, p, n);
                        out += n;
                }
        }
        *out = 0;
        return text;
}

char *text_escape(const char *s, size_t size) {
        return escape(s, size, false);
}

char *text_escape_json(const char *json) {
        return escape(json, strlen(json), true);
}
