/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Inside the program an error is a negative errno. Where a person or a runtime has to be told more
 * (which key, which value, who holds the address), the function that knows takes an Error * as well
 * and fills it once. At the edges the kind becomes a D-Bus error name or a CNI code; one table in
 * error.c maps kind, D-Bus name, CNI code and errno, and no other place may.
 *
 * A sentence says what was wanted, what was found and, where it is not obvious, what to do.
 */

#include "base/macro.h"

typedef enum ErrorKind {
        ERROR_NONE,
        ERROR_INVALID_ARGUMENT,     /* 7: bad configuration or request */
        ERROR_DECODE,               /* 6: not JSON, too large, too deep */
        ERROR_BAD_ENVIRONMENT,      /* 4: CNI_* variables */
        ERROR_INCOMPATIBLE_VERSION, /* 1: cniVersion that we do not speak */
        ERROR_UNKNOWN_OPTION,       /* 2: a key that does not exist */
        ERROR_NOT_SUPPORTED,        /* 2: a key or value that this build or kernel cannot do */
        ERROR_WRONG_NAMESPACE, /* 8: caller is not in our network namespace, or netns is the host's */
        ERROR_TRY_AGAIN,       /* 11: transient; the same call may succeed later */
        ERROR_NO_SUCH_SANDBOX,    /* 7 */
        ERROR_NO_SUCH_NETWORK,    /* 7 */
        ERROR_NO_SUCH_ATTACHMENT, /* 7 */
        ERROR_NOT_READY,          /* 50: STATUS only: ADD cannot be served */
        ERROR_EXISTS,             /* 100 */
        ERROR_RANGE_EXHAUSTED,    /* 101 */
        ERROR_ADDRESS_IN_USE,     /* 102 */
        ERROR_PORT_IN_USE,        /* 103 */
        ERROR_IN_USE,             /* 104 */
        ERROR_KERNEL,             /* 105: the kernel refused a step */
        ERROR_LEDGER,             /* 106: the database refused */
        ERROR_CHECK_FAILED,       /* 107: CHECK found a difference */
        ERROR_DELEGATE,           /* 108, or the code of a plugin of others that failed */
        ERROR_ACCESS_DENIED,      /* org.freedesktop.DBus.Error.AccessDenied, CNI code 999 */
        ERROR_NO_MEMORY,          /* org.freedesktop.DBus.Error.NoMemory, CNI code 11 */
        ERROR_INTERNAL,           /* org.freedesktop.DBus.Error.Failed, CNI code 999 */
        _ERROR_MAX,
        _ERROR_INVALID = -EINVAL,
} ErrorKind;

typedef struct Error {
        ErrorKind kind;
        char *message; /* owned; NULL when out of memory: error_message() then has a fixed text */
} Error;

#define ERROR_NULL ((Error) { 0 })

void error_clear(Error *e);
#define _cleanup_error_ _cleanup_(error_clear)

/*
 * Fills *e (when not NULL and still empty; the first, innermost sentence wins) and returns the
 * kind's negative errno, so that callers write `return error_setf(e, ERROR_…, "…")`.
 */
int error_setf(Error *e, ErrorKind kind, const char *format, ...) _printf_(3, 4);

/* The same with the errno's text appended (": No space left on device"); returns -abs(r). A lack of
 * descriptors is ERROR_TRY_AGAIN whatever the kind. */
int error_set_errnof(Error *e, ErrorKind kind, int r, const char *format, ...) _printf_(4, 5);

/* -ENOMEM, with the sentence for it. */
int error_oom(Error *e);

/* Puts "prefix: " before the sentence (which plugin object, which file). No-op on an empty error. */
void error_prefixf(Error *e, const char *format, ...) _printf_(2, 3);

static inline bool error_is_set(const Error *e) {
        return e && e->kind != ERROR_NONE;
}
/* Never NULL. */
const char *error_message(const Error *e);
/* The D-Bus error name, e.g. "org.netmgr1.Error.RangeExhausted". Never NULL. */
const char *error_dbus_name(ErrorKind kind);
/* The CNI error code. */
unsigned error_cni_code(ErrorKind kind);
/* Positive errno of the kind. */
int error_errno(ErrorKind kind);
/* Reverse of error_dbus_name(); unknown names give ERROR_INTERNAL. */
ErrorKind error_kind_from_dbus_name(const char *name);
/* Best kind for a bare negative errno that reached an edge without a sentence. */
ErrorKind error_kind_from_errno(int r);
