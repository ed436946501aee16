/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See sysctl-allow.h. The expressions in the field are written for Go's regexp package. POSIX extended
 * ones of glibc are the same but for escapes: inside of brackets a backslash is a character like any
 * other there, and "\d" is unknown. What has no counterpart is refused, so that nothing is allowed that the
 * administrator did not mean.
 */

#include "core/sysctl-allow.h"

#include <ctype.h>
#include <fcntl.h>
#include <regex.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"

/* The longest replacement of one character of a pattern. */
#define LONGEST "[.x.]A-Za-z0-9_"

typedef struct Writer {
        char *out;
        size_t n;
} Writer;

static void put(Writer *w, const char *s) {
        size_t n = strlen(s);

        memcpy(w->out + w->n, s, n);
        w->n += n;
}

static void put_char(Writer *w, char c) {
        w->out[w->n++] = c;
}

/* A character of a bracket expression that would mean something else there. */
static void put_literal(Writer *w, char c) {
        if (!strchr("]-^[", c)) {
                put_char(w, c);
                return;
        }
        put(w, "[.");
        put_char(w, c);
        put(w, ".]");
}

static int bracket_escape(Writer *w, char c) {
        switch (c) {
        case 'd':
                put(w, "0-9");
                return 0;
        case 'w':
                put(w, "A-Za-z0-9_");
                return 0;
        case 's':
                put(w, "[:space:]");
                return 0;
        default:
                if (!ispunct((unsigned char) c))
                        return -EINVAL;
                put_literal(w, c);
                return 0;
        }
}

/* From behind '[' to behind its ']'; NULL: not understood. */
static const char *bracket(Writer *w, const char *p) {
        put_char(w, '[');
        if (*p == '^')
                put_char(w, *p++);
        for (bool first = true; *p && (*p != ']' || first); first = false)
                if (*p == '\\') {
                        if (bracket_escape(w, p[1]) < 0)
                                return NULL;
                        p += 2;
                } else if (p[0] == '[' && p[1] == ':') {
                        const char *end = strstr(p + 2, ":]");
                        if (!end)
                                return NULL;
                        while (p < end + 2)
                                put_char(w, *p++);
                } else if (*p == '[')
                        put_literal(w, *p++);
                else
                        put_char(w, *p++);
        if (*p != ']')
                return NULL;
        put_char(w, ']');
        return p + 1;
}

static int escape(Writer *w, char c) {
        switch (c) {
        case 'd':
                put(w, "[0-9]");
                return 0;
        case 'D':
                put(w, "[^0-9]");
                return 0;
        case 'A':
                put(w, "^");
                return 0;
        case 'z':
                put(w, "$");
                return 0;
        default:
                if (!strchr("wWsSbB", c) && !ispunct((unsigned char) c))
                        return -EINVAL;
                if (!c)
                        return -EINVAL;
                put_char(w, '\\');
                put_char(w, c);
                return 0;
        }
}

int sysctl_allow_translate(const char *pattern, char **ret) {
        _cleanup_free_ char *out = calloc(strlen(pattern) + 1, sizeof(LONGEST));
        Writer w = { .out = out };
        bool repeated = false; /* what was written last says how often */

        if (!out)
                return -ENOMEM;
        for (const char *p = pattern; *p;) {
                bool quantifier = *p == '*' || *p == '+' || *p == '?' || *p == '}';

                if (*p == '?' && repeated)
                        p++; /* as few as possible: matches the same texts */
                else if (*p == '\\') {
                        if (escape(&w, p[1]) < 0)
                                return -EINVAL;
                        p += 2;
                } else if (*p == '[') {
                        p = bracket(&w, p + 1);
                        if (!p)
                                return -EINVAL;
                } else if (p[0] == '(' && p[1] == '?') {
                        if (p[2] != ':')
                                return -EINVAL;
                        put_char(&w, '(');
                        p += 3;
                } else
                        put_char(&w, *p++);
                repeated = quantifier && !repeated;
        }
        *ret = TAKE_PTR(out);
        return 0;
}

/* ---- the file --------------------------------------------------------------------------------- */

typedef struct Names {
        const NetSysctl *sysctls;
        char (*dotted)[SYSCTL_NAME_MAX + 1];
        bool *allowed;
        size_t n;
} Names;

static int match_line(Names *names, const char *line) {
        _cleanup_free_ char *posix = NULL;
        regex_t compiled;

        int r = sysctl_allow_translate(line, &posix);
        if (r < 0)
                return r;
        if (regcomp(&compiled, posix, REG_EXTENDED | REG_NOSUB) != 0)
                return -EINVAL;
        for (size_t i = 0; i < names->n; i++)
                names->allowed[i] |= regexec(&compiled, names->dotted[i], 0, NULL, 0) == 0 ||
                                     regexec(&compiled, names->sysctls[i].name, 0, NULL, 0) == 0;
        regfree(&compiled);
        return 0;
}

static int match_file(Names *names, const char *path, char *text, size_t size, Error *e) {
        unsigned number = 0;
        char *rest = text, *line;

        if (strlen(text) != size)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s, the list of allowed sysctls, holds a NUL byte", path);
        while ((line = strsep(&rest, "\n"))) {
                char *end = line + strlen(line);

                number++;
                while (end > line && isspace((unsigned char) end[-1]))
                        *--end = '\0';
                while (isspace((unsigned char) *line))
                        line++;
                if (!*line)
                        continue;
                int r = match_line(names, line);
                if (r == -ENOMEM)
                        return error_oom(e);
                if (r < 0)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s:%u: \"%.128s\" is no regular expression that netmgr "
                                          "understands; nothing is allowed until it is",
                                          path, number, line);
        }
        return 0;
}

int sysctl_allow_check(const char *path, const NetSysctl *sysctls, size_t n, Error *e) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        if (n == 0)
                return 0;
        int r = file_read_full(AT_FDCWD, path, SYSCTL_ALLOWLIST_MAX, &text, &size);
        if (r == -ENOENT || r == -ENOTDIR)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r,
                                        "reading %s, the list of allowed sysctls", path);
        _cleanup_free_ void *dotted = calloc(n, SYSCTL_NAME_MAX + 1);
        _cleanup_free_ bool *allowed = new0(bool, n);
        Names names = { .sysctls = sysctls, .dotted = dotted, .allowed = allowed, .n = n };
        if (!dotted || !allowed)
                return error_oom(e);
        for (size_t i = 0; i < n; i++) {
                snprintf(names.dotted[i], sizeof(names.dotted[i]), "%s", sysctls[i].name);
                for (char *p = names.dotted[i]; *p; p++)
                        *p = *p == '.' ? '/' : *p == '/' ? '.' : *p;
        }
        r = match_file(&names, path, text, size, e);
        for (size_t i = 0; i < n && r >= 0; i++)
                if (!allowed[i])
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "sysctl.\"%s\": \"%s\" may not be set: no line of %s matches "
                                       "the name; the administrator of this node has to add it",
                                       names.dotted[i], sysctls[i].value, path);
        return r;
}
