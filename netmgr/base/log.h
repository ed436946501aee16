/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Structured logging: journal fields when stderr is the journal ($JOURNAL_STREAM), else
 * "<prio>text FIELD=value" lines on stderr. Errors are logged once, by the function that decides
 * what to do about them. Safe from any thread.
 */

#include <syslog.h>

#include "base/macro.h"

/* Most verbose level that is printed: LOG_ERR .. LOG_DEBUG. Set once at start and on reload. */
void log_set_level(int level);
int log_level_from_string(const char *s); /* "err" "warning" "notice" "info" "debug", or -EINVAL */

/* What the message is about; all optional. Becomes NETMGR_SANDBOX= NETMGR_NETWORK= INTERFACE=
 * NETMGR_OP= NETMGR_ATTACHMENT= NETMGR_ADDRESS= NETMGR_REASON= NETMGR_PROGRAM= ERRNO= MESSAGE_ID=. */
typedef struct LogContext {
        const char *sandbox;
        const char *network;
        const char *interface;
        const char *op;
        const char *address;    /* one, or several with commas */
        const char *reason;     /* why it was done; half a sentence */
        const char *program;    /* somebody else's, who gave cause */
        uint64_t attachment;    /* id; 0: none */
        int error;              /* negative or positive errno, 0: none */
        const char *message_id; /* of base/log-ids.h */
} LogContext;

void log_full(int priority, const char *file, int line, const char *func, const LogContext *ctx,
              const char *format, ...) _printf_(6, 7);

/* log_ctx(priority, &(LogContext) { … }, "format", …) */
#define log_ctx(priority, ...) log_full((priority), __FILE__, __LINE__, __func__, __VA_ARGS__)
#define log_error(...)         log_ctx(LOG_ERR, NULL, __VA_ARGS__)
#define log_warning(...)       log_ctx(LOG_WARNING, NULL, __VA_ARGS__)
#define log_notice(...)        log_ctx(LOG_NOTICE, NULL, __VA_ARGS__)
#define log_info(...)          log_ctx(LOG_INFO, NULL, __VA_ARGS__)
#define log_debug(...)         log_ctx(LOG_DEBUG, NULL, __VA_ARGS__)
/*
 * A message that the catalog explains: log_event(priority, LOG_ID_…, &(LogContext) { … }, "format", …).
 * The id takes the place of the context's own; a NULL context is none.
 */
void log_event_full(int priority, const char *file, int line, const char *func, const char *id,
                    const LogContext *ctx, const char *format, ...) _printf_(7, 8);
#define log_event(priority, id, ...)                                                               \
        log_event_full((priority), __FILE__, __LINE__, __func__, (id), __VA_ARGS__)
/* Logs "...: strerror" and returns -abs(r), for `return log_error_errno(r, "…")`. */
#define log_error_errno(r, fmt, ...)                                                               \
        ({                                                                                         \
                int _lr = (r);                                                                     \
                _lr = _lr < 0 ? _lr : -_lr;                                                        \
                log_ctx(LOG_ERR, &(LogContext) { .error = _lr }, fmt ": %s", ##__VA_ARGS__,        \
                        strerror(-_lr));                                                           \
                _lr;                                                                               \
        })
