/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The worker threads. Nothing here survives a crash. */

#include "core/workers.h"

#include <fcntl.h>

#include "base/fd.h"
#include "base/limits.h"

typedef struct Worker {
        Workers *pool;
        pthread_t thread;
        bool started;
        WorkerContext context;
} Worker;

struct Workers {
        TaskQueue queue;
        Mailbox *mailbox; /* borrowed */
        char *nsd_path;
        unsigned n;
        Worker worker[WORKERS_MAX];
};

static void *worker_main(void *arg) {
        Worker *w = arg;
        List tasks;

        while (task_queue_take(&w->pool->queue, 1, &tasks) > 0) {
                Task *t = list_entry(tasks.next, Task, list);
                Job *job = (Job *) t; /* task is its first member */

                list_unlink(&t->list);
                t->r = job->run(job, &w->context, &t->error);
                mailbox_post(w->pool->mailbox, t);
        }
        return NULL;
}

/* The connection and the packet socket are made ahead, off the path of the first ADD. Without
 * netmgr-nsd they come when it does. */
static void worker_connect(Worker *w) {
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        int fd;

        if (own >= 0 && nsd_client_open(&w->context.nsd, own, NSD_OPEN_PACKET, NULL, &fd) >= 0)
                w->context.packet_fd = fd;
}

static int worker_start(Worker *w, Workers *pool, Kernel *kernel) {
        _cleanup_close_ int fd = -EBADF;

        w->pool = pool;
        w->context.kernel = kernel;
        w->context.nsd = NSD_CLIENT_INIT(pool->nsd_path);
        w->context.packet_fd = -EBADF;

        fd = kernel_open_fd();
        if (fd < 0)
                return fd;
        int r = kernel_socket_from_fd(kernel, fd, &w->context.host);
        if (r < 0)
                return r;
        TAKE_FD(fd);

        worker_connect(w);
        r = thread_start(&w->thread, worker_main, w, "worker");
        if (r < 0)
                return r;
        w->started = true;
        return 0;
}

int workers_new(Mailbox *mailbox, Kernel *kernel, const char *nsd_path, unsigned n, Workers **ret) {
        _cleanup_(workers_freep) Workers *p = new0(Workers, 1);
        if (!p)
                return -ENOMEM;

        int r = task_queue_init(&p->queue);
        if (r < 0) {
                free(TAKE_PTR(p));
                return r;
        }
        p->mailbox = mailbox;
        p->nsd_path = strdup(nsd_path);
        if (!p->nsd_path)
                return -ENOMEM;

        for (; p->n < MIN_OF(n, WORKERS_MAX); p->n++) {
                r = worker_start(&p->worker[p->n], p, kernel);
                if (r < 0) {
                        p->n++; /* its socket has to be freed */
                        return r;
                }
        }
        *ret = TAKE_PTR(p);
        return 0;
}

Workers *workers_free(Workers *p) {
        if (!p)
                return NULL;
        task_queue_stop(&p->queue);
        for (unsigned i = 0; i < p->n; i++) {
                Worker *w = &p->worker[i];
                if (w->started)
                        pthread_join(w->thread, NULL);
                kernel_socket_free(w->context.host);
                nsd_client_close(&w->context.nsd);
                safe_close(w->context.packet_fd);
        }
        task_queue_destroy(&p->queue);
        free(p->nsd_path);
        free(p);
        return NULL;
}

void workers_submit(Workers *p, Job *job) {
        if (!p)
                return; /* stopping: the ledger knows what was meant */
        job->task.r = 0;
        job->task.error = ERROR_NULL;
        task_queue_put(&p->queue, &job->task);
}

void workers_submit_next(Workers *p, Job *job) {
        if (!p)
                return;
        job->task.r = 0;
        job->task.error = ERROR_NULL;
        task_queue_put_first(&p->queue, &job->task);
}
