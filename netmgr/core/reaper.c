/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The reaper threads. After a crash the rows `releasing` say what was in their hands. */

#include "core/reaper.h"

#include <net/if.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"

typedef struct ReaperThread {
        Reaper *reaper;
        uint32_t group; /* one per thread, so that no thread deletes what another still collects */
        NlSocket *host;
        pthread_t thread;
        bool started;
} ReaperThread;

struct Reaper {
        TaskQueue queue;
        Mailbox *mailbox; /* borrowed */
        bool stopped;
        ReaperThread thread[REAPERS];
};

static int delete_link(NlSocket *host, const char *name) {
        NlOp op = { .type = NL_LINK_DEL, .what = "delete the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        return kernel_apply(host, &op, 1, &(NlApplied) { 0 });
}

/* Numbers are used again: only with the MAC that we gave it, it is ours. */
static int delete_renamed(NlSocket *host, const Reap *reap) {
        char name[IF_NAMESIZE];
        NlLink link;

        if (reap->ifindex == 0 || !if_indextoname(reap->ifindex, name) ||
            kernel_get_link(host, name, &link) < 0 || !streq(link.kind, "veth") ||
            memcmp(&link.mac, &reap->mac, sizeof(link.mac)) != 0)
                return 0;
        int r = delete_link(host, name);
        return r == -ENODEV ? 0 : r;
}

static int delete_one(NlSocket *host, const Reap *reap) {
        int r = delete_link(host, reap->name);

        return r == -ENODEV ? delete_renamed(host, reap) : r;
}

static void collect(NlOp *op, const char *name, uint32_t group) {
        *op = (NlOp) { .type = NL_LINK_SET, .what = "collect the link" };
        op->link.mask = NL_LINK_GROUP;
        op->link.group = group;
        snprintf(op->link.name, sizeof(op->link.name), "%s", name);
}

/* After a doubt: most of them are gone, and asking is cheap, deleting is not. */
static int delete_if_there(NlSocket *host, const char *name) {
        NlLink link;

        return kernel_get_link(host, name, &link) == -ENODEV ? -ENODEV : delete_link(host, name);
}

/*
 * All links of the batch in two messages. The first tells only the first failure: a link that is gone
 * (ENODEV, its sandbox died) may hide that another was not collected. Any doubt is settled link by link.
 */
static void delete_group(ReaperThread *t, List *batch, size_t n) {
        NlOp ops[2 * REAP_BATCH_MAX] = { 0 }; /* a link, and its shaping interface if it has one */
        NlOp del = { .type = NL_GROUP_DEL, .what = "delete the links", .group = t->group };
        size_t i = 0;

        for (List *p = batch->next; p != batch && n > 0; p = p->next, n--) {
                Reap *reap = (Reap *) list_entry(p, Task, list);
                collect(&ops[i++], reap->name, t->group);
                if (reap->ifb[0])
                        collect(&ops[i++], reap->ifb, t->group);
        }
        int r = kernel_apply(t->host, ops, i, &(NlApplied) { 0 });
        int d = kernel_apply(t->host, &del, 1, &(NlApplied) { 0 });

        bool sure = r == 0 && d == 0;
        for (List *p = batch->next; p != batch && !sure; p = p->next) {
                Reap *reap = (Reap *) list_entry(p, Task, list);
                reap->task.r = delete_if_there(t->host, reap->name);
                if (reap->task.r == -ENODEV)
                        reap->task.r = delete_renamed(t->host, reap);
                r = reap->ifb[0] ? delete_if_there(t->host, reap->ifb) : 0;
                if (reap->task.r >= 0 && r != -ENODEV)
                        reap->task.r = r;
        }
}

static void *reaper_main(void *arg) {
        ReaperThread *t = arg;
        List batch;
        size_t n;

        while ((n = task_queue_take(&t->reaper->queue, REAP_BATCH_MAX, &batch)) > 0) {
                Reap *first = (Reap *) list_entry(batch.next, Task, list);

                if (n == 1 && !first->ifb[0])
                        first->task.r = delete_one(t->host, first);
                else
                        delete_group(t, &batch, n);

                while (!list_is_empty(&batch)) {
                        Task *task = list_entry(batch.next, Task, list);
                        list_unlink(&task->list);
                        mailbox_post(t->reaper->mailbox, task);
                }
        }
        return NULL;
}

static int reaper_thread_start(ReaperThread *t, Reaper *reaper, Kernel *kernel, uint32_t group) {
        _cleanup_close_ int fd = -EBADF;

        t->reaper = reaper;
        t->group = group;
        fd = kernel_open_fd();
        if (fd < 0)
                return fd;
        int r = kernel_socket_from_fd(kernel, fd, &t->host);
        if (r < 0)
                return r;
        TAKE_FD(fd);
        r = thread_start(&t->thread, reaper_main, t, "reaper");
        if (r < 0)
                return r;
        t->started = true;
        return 0;
}

int reaper_new(Mailbox *mailbox, Kernel *kernel, Reaper **ret) {
        _cleanup_free_ Reaper *reaper = new0(Reaper, 1);
        if (!reaper)
                return -ENOMEM;

        int r = task_queue_init(&reaper->queue);
        if (r < 0)
                return r;
        reaper->mailbox = mailbox;
        for (unsigned i = 0; i < REAPERS; i++) {
                r = reaper_thread_start(&reaper->thread[i], reaper, kernel, REAP_GROUP_BASE + i);
                if (r < 0) {
                        reaper_free(TAKE_PTR(reaper));
                        return r;
                }
        }
        *ret = TAKE_PTR(reaper);
        return 0;
}

void reaper_stop(Reaper *reaper) {
        if (!reaper || reaper->stopped)
                return;
        task_queue_stop(&reaper->queue);
        for (unsigned i = 0; i < REAPERS; i++)
                if (reaper->thread[i].started)
                        pthread_join(reaper->thread[i].thread, NULL);
        reaper->stopped = true;
        mailbox_cancel_all(reaper->mailbox, &reaper->queue);
}

Reaper *reaper_free(Reaper *reaper) {
        if (!reaper)
                return NULL;
        reaper_stop(reaper);
        for (unsigned i = 0; i < REAPERS; i++)
                kernel_socket_free(reaper->thread[i].host);
        task_queue_destroy(&reaper->queue);
        free(reaper);
        return NULL;
}

void reaper_submit(Reaper *reaper, Reap *reap) {
        reap->task.r = 0;
        reap->task.error = ERROR_NULL;
        if (reaper->stopped)
                mailbox_cancel(reaper->mailbox, &reap->task); /* the row says `releasing` */
        else
                task_queue_put(&reaper->queue, &reap->task);
}
