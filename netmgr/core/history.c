/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One question at a time is with the committer; the others wait here. See history.h. */

#include "core/history.h"

#include <malloc.h>

#include "base/limits.h"
#include "base/parse.h"

/* An answer of so many rows leaves megabytes in two arenas of malloc(), which would not be used again
 * before the next such question. */
#define LARGE_ROWS 256

typedef struct Question {
        Commit commit; /* first member */
        List list;     /* while it waits */
        HistoryQueue *queue;
        Manager *manager;
        HistoryDone done;
        void *userdata;

        char *text; /* owned: the filter, cut up by filter's members */
        char address[IN_ADDR_STR_MAX];
        HistoryFilter filter;
        size_t limit;

        HistoryRow *rows; /* owned array */
        size_t n_rows, allocated, bytes;
        bool truncated;
} Question;

struct HistoryQueue {
        List waiting; /* Question */
        size_t n_waiting;
        Question *asked; /* with the committer; NULL: none */
};

HistoryQueue *history_queue_new(void) {
        HistoryQueue *q = new0(HistoryQueue, 1);

        if (q)
                list_init(&q->waiting);
        return q;
}

static void question_free(Question *q) {
        bool large = q->n_rows >= LARGE_ROWS;

        for (size_t i = 0; i < q->n_rows; i++)
                history_row_clear(&q->rows[i]);
        free(q->rows);
        free(q->text);
        free(q);
        if (large)
                (void) malloc_trim(0);
}

static void question_end(Question *q, int r, const Error *e) {
        q->done(r, e, q->rows, r < 0 ? 0 : q->n_rows, q->truncated, q->userdata);
        question_free(q);
}

/* ---- on the committer's thread ---------------------------------------------------------------- */

static size_t size_of(const HistoryRow *row) {
        size_t size = sizeof(*row) + strlen(strempty(row->addresses)) +
                      strlen(strempty(row->ports)) + strlen(strempty(row->reason)) +
                      strlen(strempty(row->sandbox)) + strlen(strempty(row->network));

        for (size_t i = 0; i < row->n_changes; i++)
                size += sizeof(row->changes[i]) + strlen(strempty(row->changes[i].ports));
        return size;
}

static int keep_row(HistoryRow *row, void *userdata) {
        Question *q = userdata;
        size_t size = size_of(row);

        if (q->n_rows == q->limit || q->bytes + size > HISTORY_BYTES_MAX) {
                q->truncated = true;
                return 1;
        }
        if (GREEDY_REALLOC(q->rows, q->allocated, q->n_rows + 1) < 0)
                return -ENOMEM;
        q->bytes += size;
        q->rows[q->n_rows++] = *row;
        *row = (HistoryRow) { 0 };
        return 0;
}

/* The beginning of an id stands for all of it. */
static int find_whole_id(Question *q, Store *store, Error *e) {
        char *whole = NULL;

        if (!q->filter.sandbox || strlen(q->filter.sandbox) < HISTORY_ID_MIN)
                return 0;
        int r = store_find_sandbox(store, q->filter.sandbox, &whole, e);
        if (r >= 0 && whole) {
                free(q->text);
                q->text = whole;
                q->filter.sandbox = whole;
        }
        return r;
}

static int read_history(Commit *c, Store *store, Error *e) {
        Question *q = (Question *) c;

        int r = find_whole_id(q, store, e);
        if (r >= 0)
                r = store_history(store, &q->filter, keep_row, q, e);
        return r == -ENOMEM ? error_oom(e) : r;
}

/* ---- on the loop ------------------------------------------------------------------------------ */

static void ask_next(HistoryQueue *queue);

static void answered(Task *task) {
        Question *q = (Question *) task;
        HistoryQueue *queue = q->queue;
        Error error = task->error;

        task->error = ERROR_NULL;
        queue->asked = NULL;
        question_end(q, task->r, &error);
        error_clear(&error);
        ask_next(queue);
}

static void ask_next(HistoryQueue *queue) {
        if (queue->asked || list_is_empty(&queue->waiting))
                return;
        Question *q = list_entry(queue->waiting.next, Question, list);
        list_unlink(&q->list);
        queue->n_waiting--;
        queue->asked = q;
        q->commit.read = read_history;
        q->commit.task.deliver = answered;
        committer_submit(q->manager->committer, &q->commit);
}

HistoryQueue *history_queue_free(HistoryQueue *queue) {
        if (!queue)
                return NULL;
        if (queue->asked)
                list_append(&queue->waiting, &TAKE_PTR(queue->asked)->list);
        while (!list_is_empty(&queue->waiting)) {
                _cleanup_error_ Error error = ERROR_NULL;
                Question *q = list_entry(queue->waiting.next, Question, list);

                list_unlink(&q->list);
                int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd is stopping; try again");
                question_end(q, r, &error);
        }
        free(queue);
        return NULL;
}

static bool looks_like_ipv4(const char *s) {
        return strchr(s, '.') && s[strspn(s, "0123456789.")] == '\0';
}

/* NAMESPACE/NAME; the text is cut at the slash. */
static int parse_pod(Question *q, char *slash, Error *e) {
        *slash = '\0';
        if (isempty(q->text) || isempty(slash + 1) || strchr(slash + 1, '/') ||
            !text_is_clean(q->text, strlen(q->text)) ||
            !text_is_clean(slash + 1, strlen(slash + 1)))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "filter: wanted NAMESPACE/NAME of a pod, found a slash elsewhere");
        q->filter.pod_namespace = q->text;
        q->filter.pod_name = slash + 1;
        return 0;
}

static int parse_filter(Question *q, Error *e) {
        char *slash = strchr(q->text, '/');
        InPrefix prefix;
        InAddr address;

        if (isempty(q->text))
                return 0;
        if (in_addr_parse(q->text, &address) >= 0 || in_prefix_parse(q->text, &prefix) >= 0) {
                if (in_addr_parse(q->text, &address) < 0)
                        address = prefix.address;
                q->filter.address = in_addr_format(&address, q->address);
                return 0;
        }
        if (slash)
                return parse_pod(q, slash, e);
        if (!cni_id_is_valid(q->text, CONTAINER_ID_MAX) || looks_like_ipv4(q->text))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "filter: wanted an address, a sandbox's id or NAMESPACE/NAME of a "
                                "pod, found \"%.128s\"",
                                q->text);
        q->filter.sandbox = q->text;
        return 0;
}

static int check_query(const Manager *m, const HistoryQuery *query, Error *e) {
        if (query->limit < 1 || query->limit > HISTORY_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "Limit: wanted 1 to %u, found %u",
                                  HISTORY_MAX, query->limit);
        if (query->since_usec > INT64_MAX)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "Since: wanted microseconds since 1970, found a number beyond them");
        if (m->history->n_waiting >= HISTORY_WAITING_MAX)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "%u questions about the past wait already; try again later",
                                  HISTORY_WAITING_MAX);
        return 0;
}

void manager_ask_history(Manager *m, const HistoryQuery *query, HistoryDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Question *q = NULL;

        int r = check_query(m, query, &error);
        if (r >= 0 && (!(q = new0(Question, 1)) || !(q->text = strdup(query->filter))))
                r = error_oom(&error);
        if (r >= 0)
                r = parse_filter(q, &error);
        if (r < 0) {
                done(r, &error, NULL, 0, false, userdata);
                if (q)
                        question_free(q);
                return;
        }
        q->queue = m->history;
        q->manager = m;
        q->done = done;
        q->userdata = userdata;
        q->filter.since_usec = query->since_usec;
        q->limit = query->limit;
        list_append(&m->history->waiting, &q->list);
        m->history->n_waiting++;
        ask_next(m->history);
}
