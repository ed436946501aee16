/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See flows.h. */

#include "core/flows.h"

#include "base/failpoint.h"
#include "base/log.h"
#include "core/threads.h"
#include "policy/conntrack.h"

/* Filters of one pass: each is compared with every entry. */
#define PASS_MAX 512

typedef struct FlowTask {
        Task task; /* first member; never delivered */
        FlowFilter filter;
} FlowTask;

struct Flows {
        TaskQueue queue;
        ConntrackSocket *conntrack;
        pthread_t thread;
};

static void run_pass(Flows *f, List *batch, size_t n) {
        _cleanup_error_ Error error = ERROR_NULL;
        FlowFilter filters[PASS_MAX];
        unsigned deleted = 0;
        size_t i = 0;

        while (!list_is_empty(batch)) {
                FlowTask *t = (FlowTask *) list_entry(batch->next, Task, list);
                list_unlink(&t->task.list);
                if (i < n)
                        filters[i++] = t->filter;
                free(t);
        }
        if (!f->conntrack)
                return;
        failpoint_past("conntrack-delete");
        if (conntrack_forget(f->conntrack, filters, i, &deleted, &error) < 0)
                log_warning("%s", error_message(&error));
        else if (deleted > 0)
                log_debug("forgot %u flows", deleted);
}

static void *flows_main(void *arg) {
        Flows *f = arg;
        List batch;
        size_t n;

        while ((n = task_queue_take(&f->queue, PASS_MAX, &batch)) > 0)
                run_pass(f, &batch, n);
        return NULL;
}

int flows_new(Flows **ret) {
        _cleanup_free_ Flows *f = new0(Flows, 1);
        _cleanup_error_ Error error = ERROR_NULL;
        if (!f)
                return -ENOMEM;

        /* A kernel without connection tracking has no entries to forget. */
        if (conntrack_open(&f->conntrack, &error) < 0)
                log_warning("%s", error_message(&error));
        int r = task_queue_init(&f->queue);
        if (r < 0) {
                conntrack_close(f->conntrack);
                return r;
        }
        r = thread_start(&f->thread, flows_main, f, "flows");
        if (r < 0) {
                task_queue_destroy(&f->queue);
                conntrack_close(f->conntrack);
                return r;
        }
        *ret = TAKE_PTR(f);
        return 0;
}

Flows *flows_free(Flows *f) {
        if (!f)
                return NULL;
        task_queue_stop(&f->queue);
        pthread_join(f->thread, NULL);
        while (!list_is_empty(&f->queue.tasks)) {
                FlowTask *t = (FlowTask *) list_entry(f->queue.tasks.next, Task, list);
                list_unlink(&t->task.list);
                free(t);
        }
        task_queue_destroy(&f->queue);
        conntrack_close(f->conntrack);
        free(f);
        return NULL;
}

static void submit(Flows *f, const FlowFilter *filter) {
        FlowTask *t = f ? new0(FlowTask, 1) : NULL;

        if (!t)
                return; /* the entry ends by its timeout */
        t->filter = *filter;
        task_queue_put(&f->queue, &t->task);
}

void flows_forget_address(Flows *f, const InAddr *address) {
        submit(f, &(FlowFilter) { .what = FLOW_OF_ADDRESS, .address = *address });
}

void flows_forget_port(Flows *f, uint8_t protocol, uint16_t port, const InAddr *host) {
        submit(f, &(FlowFilter) { .what = FLOW_OF_PORT,
                                  .protocol = protocol,
                                  .port = port,
                                  .address = *host });
}
