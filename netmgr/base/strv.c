/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See strv.h. */

#include "base/strv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void strv_free(char **l) {
        for (char **s = l; s && *s; s++)
                free(*s);
        free(l);
}

int strv_copy(char *const *from, char ***ret) {
        size_t n = 0;

        while (from && from[n])
                n++;
        char **copy = n ? new0(char *, n + 1) : NULL;
        if (n && !copy)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                if (!(copy[i] = strdup(from[i]))) {
                        strv_free(copy);
                        return -ENOMEM;
                }
        *ret = copy;
        return 0;
}

int strv_append(char ***l, const char *s) {
        size_t n = 0;

        while (*l && (*l)[n])
                n++;
        char *copy = strdup(s);
        char **more = copy ? reallocarray(*l, n + 2, sizeof(char *)) : NULL;
        if (!more) {
                free(copy);
                return -ENOMEM;
        }
        more[n] = copy;
        more[n + 1] = NULL;
        *l = more;
        return 0;
}

int strv_split(const char *text, size_t max, char ***ret) {
        _cleanup_free_ char *copy = strdup(text);
        char **words = new0(char *, max + 1), *save, *word;
        size_t n = 0;
        int r = copy && words ? 0 : -ENOMEM;

        for (word = r < 0 ? NULL : strtok_r(copy, " \t", &save); word && r >= 0;
             word = strtok_r(NULL, " \t", &save))
                if (n == max)
                        r = -E2BIG;
                else if (!(words[n++] = strdup(word)))
                        r = -ENOMEM;
        if (r < 0) {
                strv_free(words);
                return r;
        }
        *ret = words;
        return 0;
}
