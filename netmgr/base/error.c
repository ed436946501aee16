/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one table of error kinds, and the sentences that travel with them. */

#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/parse.h"

#define NETMGR_ERROR(n) "org.netmgr1.Error." n
#define DBUS_ERROR(n)   "org.freedesktop.DBus.Error." n

static const struct {
        const char *dbus_name;
        unsigned cni_code;
        int error;
} kinds[_ERROR_MAX] = {
        [ERROR_NONE] = { DBUS_ERROR("Failed"), 999, EIO },
        [ERROR_INVALID_ARGUMENT] = { NETMGR_ERROR("InvalidArgument"), 7, EINVAL },
        [ERROR_DECODE] = { NETMGR_ERROR("Decode"), 6, EBADMSG },
        [ERROR_BAD_ENVIRONMENT] = { NETMGR_ERROR("BadEnvironment"), 4, EBADR },
        [ERROR_INCOMPATIBLE_VERSION] = { NETMGR_ERROR("IncompatibleVersion"), 1, EPROTONOSUPPORT },
        [ERROR_UNKNOWN_OPTION] = { NETMGR_ERROR("UnknownOption"), 2, ENOKEY },
        [ERROR_NOT_SUPPORTED] = { NETMGR_ERROR("NotSupported"), 2, EOPNOTSUPP },
        [ERROR_WRONG_NAMESPACE] = { NETMGR_ERROR("WrongNamespace"), 8, EXDEV },
        [ERROR_TRY_AGAIN] = { NETMGR_ERROR("TryAgain"), 11, EAGAIN },
        [ERROR_NO_SUCH_SANDBOX] = { NETMGR_ERROR("NoSuchSandbox"), 7, ESRCH },
        [ERROR_NO_SUCH_NETWORK] = { NETMGR_ERROR("NoSuchNetwork"), 7, ENONET },
        [ERROR_NO_SUCH_ATTACHMENT] = { NETMGR_ERROR("NoSuchAttachment"), 7, ENOLINK },
        [ERROR_NOT_READY] = { NETMGR_ERROR("NotReady"), 50, ENOTCONN },
        [ERROR_EXISTS] = { NETMGR_ERROR("Exists"), 100, EEXIST },
        [ERROR_RANGE_EXHAUSTED] = { NETMGR_ERROR("RangeExhausted"), 101, EADDRNOTAVAIL },
        [ERROR_ADDRESS_IN_USE] = { NETMGR_ERROR("AddressInUse"), 102, EADDRINUSE },
        [ERROR_PORT_IN_USE] = { NETMGR_ERROR("PortInUse"), 103, ENOTUNIQ },
        [ERROR_IN_USE] = { NETMGR_ERROR("InUse"), 104, EBUSY },
        [ERROR_KERNEL] = { NETMGR_ERROR("Kernel"), 105, EREMOTEIO },
        [ERROR_LEDGER] = { NETMGR_ERROR("Ledger"), 106, EUCLEAN },
        [ERROR_CHECK_FAILED] = { NETMGR_ERROR("CheckFailed"), 107, ESTALE },
        [ERROR_DELEGATE] = { NETMGR_ERROR("DelegateFailed"), 108, ENOEXEC },
        [ERROR_ACCESS_DENIED] = { DBUS_ERROR("AccessDenied"), 999, EACCES },
        [ERROR_NO_MEMORY] = { DBUS_ERROR("NoMemory"), 11, ENOMEM },
        [ERROR_INTERNAL] = { DBUS_ERROR("Failed"), 999, EIO },
};

static bool kind_is_valid(ErrorKind kind) {
        return kind > ERROR_NONE && kind < _ERROR_MAX;
}

void error_clear(Error *e) {
        free(e->message);
        *e = ERROR_NULL;
}

int error_setf(Error *e, ErrorKind kind, const char *format, ...) {
        if (e && e->kind == ERROR_NONE) {
                va_list ap;

                va_start(ap, format);
                e->kind = kind;
                if (vasprintf(&e->message, format, ap) < 0)
                        e->message = NULL;
                va_end(ap);
                text_make_utf8(e->message);
        }
        return -error_errno(kind);
}

/* What the machine lacks for a moment is nobody's mistake, whatever was being read then. */
static ErrorKind kind_of_shortage(ErrorKind kind, int error) {
        /* Whatever was wanted: descriptors come back when others have finished. */
        if (error == EMFILE || error == ENFILE)
                return ERROR_TRY_AGAIN;
        if (kind != ERROR_INVALID_ARGUMENT && kind != ERROR_DECODE && kind != ERROR_INTERNAL)
                return kind;
        switch (error) {
        case ENOMEM:
                return ERROR_NO_MEMORY;
        case ENOBUFS:
        case EINTR:
                return ERROR_TRY_AGAIN;
        default:
                return kind;
        }
}

int error_set_errnof(Error *e, ErrorKind kind, int r, const char *format, ...) {
        int error = r < 0 ? -r : r;

        if (e && e->kind == ERROR_NONE) {
                _cleanup_free_ char *text = NULL;
                va_list ap;

                va_start(ap, format);
                if (vasprintf(&text, format, ap) < 0)
                        text = NULL;
                va_end(ap);
                e->kind = kind_of_shortage(kind, error);
                if (!text || asprintf(&e->message, "%s: %s", text, strerror(error)) < 0)
                        e->message = NULL;
                text_make_utf8(e->message);
        }
        return -error;
}

int error_oom(Error *e) {
        return error_setf(e, ERROR_NO_MEMORY, "out of memory; try again later");
}

void error_prefixf(Error *e, const char *format, ...) {
        _cleanup_free_ char *prefix = NULL;
        char *message;
        va_list ap;

        if (!error_is_set(e))
                return;
        va_start(ap, format);
        if (vasprintf(&prefix, format, ap) < 0)
                prefix = NULL;
        va_end(ap);
        if (prefix && asprintf(&message, "%s: %s", prefix, error_message(e)) >= 0) {
                free(e->message);
                e->message = message;
                text_make_utf8(message);
        }
}

const char *error_message(const Error *e) {
        if (e && e->message)
                return e->message;
        return e && e->kind == ERROR_NO_MEMORY ? "out of memory; try again later"
                                               : "no more is known (out of memory while saying it)";
}

const char *error_dbus_name(ErrorKind kind) {
        return kinds[kind_is_valid(kind) ? kind : ERROR_INTERNAL].dbus_name;
}

unsigned error_cni_code(ErrorKind kind) {
        return kinds[kind_is_valid(kind) ? kind : ERROR_INTERNAL].cni_code;
}

int error_errno(ErrorKind kind) {
        return kinds[kind_is_valid(kind) ? kind : ERROR_INTERNAL].error;
}

ErrorKind error_kind_from_dbus_name(const char *name) {
        for (int i = ERROR_NONE + 1; name && i < _ERROR_MAX; i++)
                if (streq(kinds[i].dbus_name, name))
                        return i;
        return ERROR_INTERNAL;
}

ErrorKind error_kind_from_errno(int r) {
        int error = r < 0 ? -r : r;

        if (error == EPERM)
                return ERROR_ACCESS_DENIED;
        for (int i = ERROR_NONE + 1; i < _ERROR_MAX; i++)
                if (kinds[i].error == error)
                        return i;
        return ERROR_INTERNAL;
}
