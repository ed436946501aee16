/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Journal fields when stderr is the journal, lines otherwise. */

#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

/* The one mutable state of base: set from the loop, read from every thread. */
static atomic_int max_level = LOG_INFO;

void log_set_level(int level) {
        atomic_store(&max_level, level);
}

int log_level_from_string(const char *s) {
        static const struct {
                const char *name;
                int level;
        } names[] = {
                { "err", LOG_ERR },   { "warning", LOG_WARNING }, { "notice", LOG_NOTICE },
                { "info", LOG_INFO }, { "debug", LOG_DEBUG },
        };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(names[i].name, s))
                        return names[i].level;
        return -EINVAL;
}

/* $JOURNAL_STREAM names device and inode of the journal's socket: is it our stderr? */
static bool stderr_is_journal(void) {
        const char *s = getenv("JOURNAL_STREAM");
        unsigned long long dev, ino;
        struct stat st;

        return s && sscanf(s, "%llu:%llu", &dev, &ino) == 2 && fstat(STDERR_FILENO, &st) == 0 &&
               st.st_dev == (dev_t) dev && st.st_ino == (ino_t) ino;
}

/* "KEY=value" fields of one entry. */
typedef struct Fields {
        struct iovec iov[20];
        char *owned[20];
        int n;
} Fields;

static void field_add(Fields *f, const char *key, const char *format, ...) _printf_(3, 4);
static void field_add(Fields *f, const char *key, const char *format, ...) {
        _cleanup_free_ char *value = NULL;
        va_list ap;
        char *s;

        va_start(ap, format);
        int r = vasprintf(&value, format, ap);
        va_end(ap);
        if (r < 0 || f->n >= (int) ELEMENTSOF(f->iov) || asprintf(&s, "%s=%s", key, value) < 0)
                return;
        f->owned[f->n] = s;
        f->iov[f->n++] = (struct iovec) { s, strlen(s) };
}

static void context_field(Fields *f, const char *key, const char *value) {
        if (!isempty(value))
                field_add(f, key, "%s", value);
}

static void context_fields(Fields *f, const LogContext *ctx) {
        if (!ctx)
                return;
        context_field(f, "NETMGR_SANDBOX", ctx->sandbox);
        context_field(f, "NETMGR_NETWORK", ctx->network);
        context_field(f, "INTERFACE", ctx->interface);
        context_field(f, "NETMGR_OP", ctx->op);
        context_field(f, "NETMGR_ADDRESS", ctx->address);
        context_field(f, "NETMGR_REASON", ctx->reason);
        context_field(f, "NETMGR_PROGRAM", ctx->program);
        if (ctx->attachment)
                field_add(f, "NETMGR_ATTACHMENT", "%" PRIu64, ctx->attachment);
        if (ctx->error)
                field_add(f, "ERRNO", "%d", ctx->error < 0 ? -ctx->error : ctx->error);
        context_field(f, "MESSAGE_ID", ctx->message_id);
}

static void log_fullv(int priority, const char *file, int line, const char *func,
                      const LogContext *ctx, const char *format, va_list ap) _printf_(6, 0);
static void log_fullv(int priority, const char *file, int line, const char *func,
                      const LogContext *ctx, const char *format, va_list ap) {
        int saved = errno;
        char *message = NULL;
        Fields f = { .n = 0 };

        if (priority > atomic_load(&max_level))
                return;
        if (vasprintf(&message, format, ap) < 0)
                message = NULL;

        if (message && stderr_is_journal()) {
                field_add(&f, "PRIORITY", "%d", priority);
                field_add(&f, "MESSAGE", "%s", message);
                field_add(&f, "CODE_FILE", "%s", file);
                field_add(&f, "CODE_LINE", "%d", line);
                field_add(&f, "CODE_FUNC", "%s", func);
                context_fields(&f, ctx);
                (void) sd_journal_sendv(f.iov, f.n);
        } else if (message) {
                context_fields(&f, ctx);
                flockfile(stderr);
                fprintf(stderr, "<%d>%s", priority, message);
                for (int i = 0; i < f.n; i++)
                        fprintf(stderr, " %s", f.owned[i]);
                fputc('\n', stderr);
                funlockfile(stderr);
        }
        for (int i = 0; i < f.n; i++)
                free(f.owned[i]);
        free(message);
        errno = saved;
}

void log_full(int priority, const char *file, int line, const char *func, const LogContext *ctx,
              const char *format, ...) {
        va_list ap;

        va_start(ap, format);
        log_fullv(priority, file, line, func, ctx, format, ap);
        va_end(ap);
}

void log_event_full(int priority, const char *file, int line, const char *func, const char *id,
                    const LogContext *ctx, const char *format, ...) {
        LogContext with_id = ctx ? *ctx : (LogContext) { 0 };
        va_list ap;

        with_id.message_id = id;
        va_start(ap, format);
        log_fullv(priority, file, line, func, &with_id, format, ap);
        va_end(ap);
}
