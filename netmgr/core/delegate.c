/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Delegates of attachments: their rows, and the questions that run them. See delegate.h. */

#include "core/delegate.h"

#include <inttypes.h>

#include "base/json.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/result.h"

static void delegate_clear(Delegate *d) {
        free(d->plugin);
        free(d->path);
        free(d->config);
        free(d->args);
        free(d->result);
        free(d->end_config);
        *d = (Delegate) { 0 };
}

static bool is_of_list(const Delegate *d) {
        _cleanup_json_ json_object *o = NULL;

        if (json_parse(d->config, strlen(d->config), "configuration", &o, NULL) < 0 ||
            !json_object_is_type(o, json_type_object))
                return false;
        return streq(strempty(json_object_get_string(json_get(o, "type"))), d->plugin);
}

static Delegate *next_delegate(Attachment *a) {
        Delegate *more = reallocarray(a->delegates, a->n_delegates + 1, sizeof(*more));

        if (!more)
                return NULL;
        a->delegates = more;
        more[a->n_delegates] = (Delegate) { 0 };
        return &more[a->n_delegates];
}

int attachment_add_delegate(Attachment *a, const char *plugin, const char *path, const char *config,
                            const char *args) {
        Delegate *d = next_delegate(a);

        if (!d)
                return -ENOMEM;
        *d = (Delegate) { .seq = (uint32_t) a->n_delegates,
                          .plugin = strdup(plugin),
                          .path = strdup(path),
                          .config = strdup(config),
                          .args = strdup(args) };
        if (!d->plugin || !d->path || !d->config || !d->args) {
                delegate_clear(d);
                return -ENOMEM;
        }
        d->of_list = is_of_list(d);
        a->n_delegates++;
        return 0;
}

void attachment_drop_delegate(Attachment *a) {
        delegate_clear(&a->delegates[--a->n_delegates]);
}

void attachment_drop_delegates(Attachment *a) {
        while (a->n_delegates > 0)
                attachment_drop_delegate(a);
        free(TAKE_PTR(a->delegates));
}

int attachment_load_delegate(Manager *m, DelegateRow *row) {
        Attachment *a = map_get_u64(m->attachments, row->attachment);
        Delegate *d;

        if (!a)
                return 0;
        d = next_delegate(a);
        if (!d)
                return -ENOMEM;
        *d = (Delegate) { .seq = row->seq,
                          .plugin = TAKE_PTR(row->plugin),
                          .path = TAKE_PTR(row->path),
                          .config = TAKE_PTR(row->config),
                          .args = TAKE_PTR(row->args),
                          .result = TAKE_PTR(row->result) };
        d->of_list = is_of_list(d);
        a->n_delegates++;
        return 0;
}

DelegateRow delegate_row(const Attachment *a, const Delegate *d) {
        return (DelegateRow) { .attachment = a->spec.id,
                               .seq = d->seq,
                               .plugin = d->plugin,
                               .path = d->path,
                               .config = d->config,
                               .args = d->args,
                               .result = d->result };
}

/* ---- questions -------------------------------------------------------------------------------- */

/* "prevResult" as a plugin of that version reads it. */
static int add_result(json_object *o, const char *result, const char *version) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult all = { 0 };
        _cleanup_json_ json_object *prev = NULL, *parsed = NULL;
        _cleanup_free_ char *text = NULL;

        if (json_parse(result, strlen(result), "result", &parsed, NULL) < 0 ||
            cni_result_parse(parsed, "result", "1.1.0", &all, NULL) < 0)
                return -EINVAL;
        const CniResult view = cni_owned_result_view(&all);
        if (cni_result_to_json(&view, version, &text, NULL) < 0 ||
            json_parse(text, strlen(text), "result", &prev, NULL) < 0)
                return -EINVAL;
        return json_add(o, "prevResult", TAKE_PTR(prev));
}

/* CHECK is of that version, and so is that DEL is told of a result. */
static bool knows_check(json_object *config) {
        const char *version = json_object_get_string(json_get(config, "cniVersion"));

        return cni_version_is_supported(version) && cni_version_compare(version, "0.4.0") >= 0;
}

/* All that were run for it came to their end; what made it is the last one's. */
static bool has_result(const Attachment *a) {
        for (size_t i = 0; i < a->n_delegates; i++)
                if (!a->delegates[i].result)
                        return false;
        return a->result;
}

int delegate_make_check(const Attachment *a, const Delegate *d, char **ret) {
        _cleanup_json_ json_object *o = NULL;

        if (!has_result(a) ||
            json_parse(d->config, strlen(d->config), "configuration", &o, NULL) < 0 ||
            !knows_check(o))
                return 0;
        json_object_object_del(o, "prevResult");
        int r = add_result(o, a->result, json_object_get_string(json_get(o, "cniVersion")));
        if (r < 0)
                return r == -ENOMEM ? r : 0;
        *ret = json_to_text(o);
        return *ret ? 1 : -ENOMEM;
}

/* The same for DEL, which there is of all versions. */
static int make_end_config(const Attachment *a, const Delegate *d, char **ret) {
        _cleanup_json_ json_object *o = NULL;

        int r = delegate_make_check(a, d, ret);
        if (r != 0 || !has_result(a) ||
            json_parse(d->config, strlen(d->config), "configuration", &o, NULL) < 0 ||
            knows_check(o) || !json_get(o, "prevResult"))
                return r;
        json_object_object_del(o, "prevResult");
        *ret = json_to_text(o);
        return *ret ? 1 : -ENOMEM;
}

/* config NULL: that of its ADD. */
static void ask(const Attachment *a, const Delegate *d, const char *command, uint32_t timeout_sec,
                const char *netns, const char *config, Question *ret) {
        ret->ticket = (Ticket) {
                .task = TICKET_EXEC,
                .timeout_ms = timeout_sec * 1000,
                .command = (char *) command,
                .plugin = d->plugin,
                .container_id = a->sandbox->id,
                .ifname = (char *) a->spec.ifname,
                .netns = (char *) strempty(netns),
                .args = d->args,
                .config = config ? (char *) config : d->config,
                .originals = a->spec.imported,
        };
        /* A file said where it is, and we never saw it there, or in another life of the machine: the name may be
         * another's by now. Who calls for that sandbox knows. */
        if (a->spec.imported &&
            (!a->sandbox->netns_witness.seen || !streq(a->sandbox->boot_id, a->manager->boot_id)))
                ret->ticket.netns = NULL;
}

void delegate_ask_add(const Attachment *a, const Delegate *d, const char *netns,
                      uint32_t timeout_sec, Question *ret) {
        ask(a, d, "ADD", timeout_sec, netns, NULL, ret);
}

/* Of a ticket without an id yet. */
static int check_ticket(const Question *q) {
        _cleanup_free_ char *text = NULL;
        Ticket t = q->ticket;
        char id[TICKET_ID_SIZE] = "";

        memset(id, '0', sizeof(id) - 1);
        t.id = id;
        return ticket_format(&t, &text);
}

void delegate_ask_del(const Attachment *a, Delegate *d, Question *ret) {
        free(TAKE_PTR(d->end_config));
        /* Without memory, or where it would not fit into a ticket, ADD's own configuration has to do: DEL
         * may not depend on a result. */
        if (d->of_list && make_end_config(a, d, &d->end_config) > 0) {
                ask(a, d, "DEL", DELEGATE_DEL_TIMEOUT_SEC, a->sandbox->netns_path, d->end_config,
                    ret);
                if (check_ticket(ret) >= 0)
                        return;
        }
        ask(a, d, "DEL", DELEGATE_DEL_TIMEOUT_SEC, a->sandbox->netns_path, NULL, ret);
}

void delegate_ask_own(const char *plugin, const char *command, uint32_t timeout_sec,
                      Question *ret) {
        ret->ticket = (Ticket) { .task = TICKET_EXEC,
                                 .timeout_ms = timeout_sec * 1000,
                                 .command = (char *) command,
                                 .plugin = (char *) plugin };
}

int delegate_check_size(const Attachment *a, const Delegate *d, Error *e) {
        Question q = { 0 };

        ask(a, d, "CHECK", DELEGATE_DEL_TIMEOUT_SEC, a->sandbox->netns_path, NULL, &q);
        int r = check_ticket(&q);
        if (r == -E2BIG)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "the configuration has %zu bytes, too many to be kept for the DEL of "
                                "%s \"%s\"; at most %u are possible, with quotes counted twice",
                                strlen(d->config), d->of_list ? "type" : "ipam.type", d->plugin,
                                CONFIG_SIZE_MAX);
        return r < 0 ? error_oom(e) : 0;
}

typedef struct CniError {
        uint64_t code;
        char *msg, *details; /* owned */
} CniError;

static void cni_error_clear(CniError *c) {
        free(c->msg);
        free(c->details);
}

static const JsonField error_fields[] = {
        { "code", json_read_u64, offsetof(CniError, code), 0 },
        { "msg", json_read_string, offsetof(CniError, msg), 0 },
        { "details", json_read_string, offsetof(CniError, details), 0 },
        {},
};

/* The caller wrote it, from whatever he got. */
static void read_words(const TaskAnswer *answer, CniError *ret) {
        _cleanup_json_ json_object *o = NULL;

        if (json_parse(answer->text, strlen(answer->text), "its error", &o, NULL) >= 0 &&
            json_object_is_type(o, json_type_object))
                (void) json_read_object(o, "", error_fields, JSON_UNKNOWN_IGNORE, ret, NULL);
}

bool delegate_was_run(const TaskAnswer *answer) {
        _cleanup_(cni_error_clear) CniError words = { 0 };

        if (!answer || answer->exit == 0)
                return true;
        read_words(answer, &words);
        return answer->exit != TICKET_EXIT_NOT_STARTED &&
               words.code != error_cni_code(ERROR_INCOMPATIBLE_VERSION);
}

int answer_error(const char *what, ErrorKind kind, int r, const TaskAnswer *answer, Error *e) {
        _cleanup_(cni_error_clear) CniError words = { 0 };

        if (r == -ETIMEDOUT)
                return error_setf(e, ERROR_TRY_AGAIN, "%s was not answered in time", what);
        if (r < 0)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "%s: who was to do it is not there any more; try again", what);
        /* Without words the exit status has to do. */
        read_words(answer, &words);
        if (isempty(words.msg))
                return error_setf(e, kind, "%s ended with status %d", what, answer->exit);
        return error_setf(e, kind, "%s: %.1024s%s%.1024s", what, words.msg,
                          isempty(words.details) ? "" : ": ", strempty(words.details));
}

int delegate_error(const char *plugin, const char *command, int r, const TaskAnswer *answer,
                   Error *e) {
        _cleanup_free_ char *what = strf("%s of plugin %s", command, plugin);

        return answer_error(strempty(what), ERROR_DELEGATE, r, answer, e);
}
