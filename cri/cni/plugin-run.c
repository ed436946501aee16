/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See plugin-run.h. Nothing is kept: whoever asked knows what a run that has no end may have done. */

#include "cri/cni/plugin-run.h"

#include <stdarg.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/limits.h"
#include "cri/cni/wait.h"
#include "cri/result.h"

void task_result_clear(TaskResult *r) {
        free(r->text);
        *r = (TaskResult) { 0 };
}

void task_failf(TaskResult *ret, int exit, unsigned code, const char *format, ...) {
        _cleanup_free_ char *msg = NULL;
        va_list ap;

        task_result_clear(ret);
        va_start(ap, format);
        if (vasprintf(&msg, format, ap) < 0)
                msg = NULL;
        va_end(ap);
        ret->exit = exit;
        ret->code = code;
        if (!msg || cni_error_to_json(NULL, code, msg, NULL, &ret->text) < 0)
                ret->text = NULL;
}

void make_printable(char *s, size_t size) {
        for (size_t i = 0; i < size; i++)
                if ((unsigned char) s[i] < ' ' || (unsigned char) s[i] >= 0x7f)
                        s[i] = s[i] == '\n' || s[i] == '\t' ? ' ' : '?';
        while (size > 0 && s[size - 1] == ' ')
                s[--size] = '\0';
}

typedef struct Words {
        uint64_t code;
        char *msg; /* owned */
} Words;

/* It said itself what was wrong: passed on as it is. */
static bool pass_error_on(const ProgramEnd *end, int exit, TaskResult *ret) {
        static const JsonField fields[] = {
                { "code", json_read_u64, offsetof(Words, code), JSON_REQUIRED },
                { "msg", json_read_string, offsetof(Words, msg), JSON_REQUIRED },
                {},
        };
        _cleanup_json_ json_object *o = NULL;
        Words words = { 0 };

        bool ok = end->output &&
                  json_parse(end->output, end->output_size, "error", &o, NULL) >= 0 &&
                  json_object_is_type(o, json_type_object) &&
                  json_read_object(o, "", fields, JSON_UNKNOWN_IGNORE, &words, NULL) >= 0 &&
                  words.code > 0 && words.code <= INT32_MAX && !isempty(words.msg);
        free(words.msg);
        if (!ok)
                return false;
        *ret = (TaskResult) { .exit = exit,
                              .code = (unsigned) words.code,
                              .text = json_to_text(o) };
        return true;
}

static void tell_failure(ProgramEnd *end, TaskResult *ret) {
        int exit = WIFSIGNALED(end->status) ? 128 + WTERMSIG(end->status)
                                            : WEXITSTATUS(end->status);
        char *said = end->errors_size > 0 ? end->errors : end->output;
        char how[64];

        if (pass_error_on(end, exit, ret))
                return;
        if (WIFSIGNALED(end->status))
                snprintf(how, sizeof(how), "was ended by signal %d", WTERMSIG(end->status));
        else
                snprintf(how, sizeof(how), "ended with status %d and no CNI error", exit);
        if (said)
                make_printable(said, strlen(said));
        task_failf(ret, exit, 0, "it %s%s%.2048s", how, isempty(said) ? "" : ": ", strempty(said));
}

static void tell_end(const Ticket *t, const char *path, int r, ProgramEnd *end, TaskResult *ret) {
        if (r == -ETIMEDOUT)
                task_failf(ret, TICKET_EXIT_TIMED_OUT, error_cni_code(ERROR_TRY_AGAIN),
                           "it took longer than %u s and was killed", t->timeout_ms / 1000);
        else if (r == -ECANCELED)
                task_failf(ret, TICKET_EXIT_TIMED_OUT, error_cni_code(ERROR_TRY_AGAIN),
                           "who asked for it went away, and it was killed");
        else if (r == -E2BIG)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, 0,
                           "it wrote more than %u bytes and was killed", DELEGATE_OUTPUT_MAX);
        else if (r < 0)
                task_failf(ret, TICKET_EXIT_NOT_STARTED, 0, "cannot execute %s: %s", path,
                           strerror(-r));
        else if (end->status != 0)
                tell_failure(end, ret);
        else if (end->output_holds_nul)
                task_failf(ret, TICKET_EXIT_BAD_OUTPUT, 0,
                           "it wrote something that is no text: there is a NUL in it");
        else {
                /* Only ADD has a result. */
                ret->text = streq(t->command, "ADD") && end->output ? TAKE_PTR(end->output)
                                                                    : strdup("");
                ret->exit = 0;
        }
}

void plugin_run(const Ticket *t, Program *p, TaskResult *ret) {
        _cleanup_(program_end_clear) ProgramEnd end = { 0 };

        p->deadline = deadline_in(0) + t->timeout_ms * 1000ULL;
        p->output_max = DELEGATE_OUTPUT_MAX;
        p->error_max = DELEGATE_STDERR_MAX;
        failpoint_past("plugin-exec");
        int r = program_run(p, &end);
        failpoint_past("plugin-executed");
        tell_end(t, p->path, r, &end, ret);
}
