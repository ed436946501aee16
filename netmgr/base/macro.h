/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The handful of language helpers that every file uses: cleanup attributes, ownership transfer and
 * overflow-checked arithmetic. Nothing here allocates or has state.
 */

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define _cleanup_(f)       __attribute__((cleanup(f)))
#define _printf_(fmt, arg) __attribute__((format(printf, fmt, arg)))
#define _unused_           __attribute__((unused))
#define _must_use_         __attribute__((warn_unused_result))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

#define MIN_OF(a, b)                                                                               \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a < _b ? _a : _b;                                                                 \
        })
#define MAX_OF(a, b)                                                                               \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a > _b ? _a : _b;                                                                 \
        })

/* Hands the value over to somebody else and leaves NULL (or -EBADF for a descriptor) behind. */
#define TAKE_PTR(p)                                                                                \
        ({                                                                                         \
                __typeof__(p) *_pp = &(p);                                                         \
                __typeof__(p) _v = *_pp;                                                           \
                *_pp = NULL;                                                                       \
                _v;                                                                                \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *_fdp = &(fd);                                                                 \
                int _fd = *_fdp;                                                                   \
                *_fdp = -EBADF;                                                                    \
                _fd;                                                                               \
        })

/* Defines `void funcp(type *p)` for _cleanup_ from a destructor that accepts NULL. */
#define DEFINE_CLEANUP(type, func)                                                                 \
        static inline void func##p(type *p) {                                                      \
                if (*p)                                                                            \
                        func(*p);                                                                  \
        }

static inline void freep(void *p) {
        free(*(void **) p);
}
#define _cleanup_free_ _cleanup_(freep)

/* Allocation of objects and arrays: zeroed, multiplication checked, NULL when out of memory. */
#define new0(type, n) ((type *) calloc((n), sizeof(type)))

/* Makes room for at least `want` elements; doubles. Returns 0 or -ENOMEM (array unchanged). */
#define GREEDY_REALLOC(array, allocated, want)                                                     \
        ({                                                                                         \
                size_t _want = (want), _n = (allocated) ? (allocated) : 8;                         \
                int _gr = 0;                                                                       \
                while (_n < _want && _n <= SIZE_MAX / 4)                                           \
                        _n *= 2;                                                                   \
                if (_want > (allocated)) {                                                         \
                        void *_p = reallocarray((array), _n, sizeof(*(array)));                    \
                        if (_p) {                                                                  \
                                (array) = _p;                                                      \
                                (allocated) = _n;                                                  \
                        } else                                                                     \
                                _gr = -ENOMEM;                                                     \
                }                                                                                  \
                _gr;                                                                               \
        })

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}
/* Equal, where NULL equals only NULL. */
static inline bool streq_ptr(const char *a, const char *b) {
        return a == b || (a && b && strcmp(a, b) == 0);
}
static inline const char *strempty(const char *s) {
        return s ? s : "";
}
static inline bool isempty(const char *s) {
        return !s || !s[0];
}
