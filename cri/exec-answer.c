/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The format of answers; see exec-answer.h. */

#include "cri/exec-answer.h"

#include "base/json.h"
#include "base/limits.h"
#include "cri/ticket.h"

void exec_answer_clear(ExecAnswer *a) {
        free(a->text);
        *a = (ExecAnswer) { 0 };
}

int exec_answer_format(int exit, const char *text, char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object(), *again = NULL;
        _cleanup_free_ char *s = NULL;

        if (!o || json_add(o, "exit", json_object_new_int(exit)) < 0 ||
            json_add_string(o, "stdout", strempty(text)) < 0 || !(s = json_to_text(o)))
                return -ENOMEM;
        if (strlen(s) > CONFIG_SIZE_MAX)
                return -E2BIG;
        /* What is no text for JSON is found by who reads it: better here, where somebody can say so. */
        if (json_parse(s, strlen(s), "answer", &again, NULL) < 0)
                return -EINVAL;
        *ret = TAKE_PTR(s);
        return 0;
}

/* A status, or one of ours. */
static int exit_read(json_object *value, const char *path, void *target, Error *e) {
        int64_t n = json_object_is_type(value, json_type_int) ? json_object_get_int64(value)
                                                              : INT64_MIN;

        if (n < TICKET_EXIT_BAD_OUTPUT || n > 255)
                return error_setf(e, ERROR_DECODE, "%s: wanted a status, found %s", path,
                                  JSON_SHORT(value));
        *(int *) target = (int) n;
        return 0;
}

int exec_answer_parse(const char *data, size_t size, ExecAnswer *ret, Error *e) {
        static const JsonField fields[] = {
                { "exit", exit_read, offsetof(ExecAnswer, exit), JSON_REQUIRED },
                { "stdout", json_read_string, offsetof(ExecAnswer, text), JSON_REQUIRED },
                {},
        };
        _cleanup_(exec_answer_clear) ExecAnswer a = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(data, size, "answer of netmgr-exec", &o, e);
        if (r >= 0)
                r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, &a, e);
        if (r < 0)
                return r;
        *ret = a;
        a = (ExecAnswer) { 0 };
        return 0;
}
