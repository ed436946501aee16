/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Task queue, mailbox and thread start; see threads.h for who owns what. */

#include "core/threads.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/log.h"

int task_queue_init(TaskQueue *q) {
        *q = (TaskQueue) { .stop = false };
        list_init(&q->tasks);
        int r = pthread_mutex_init(&q->lock, NULL);
        if (r)
                return -r;
        r = pthread_cond_init(&q->ready, NULL);
        if (r) {
                pthread_mutex_destroy(&q->lock);
                return -r;
        }
        return 0;
}

void task_queue_destroy(TaskQueue *q) {
        pthread_cond_destroy(&q->ready);
        pthread_mutex_destroy(&q->lock);
}

void task_queue_put(TaskQueue *q, Task *task) {
        pthread_mutex_lock(&q->lock);
        list_append(&q->tasks, &task->list);
        pthread_cond_signal(&q->ready);
        pthread_mutex_unlock(&q->lock);
}

void task_queue_put_first(TaskQueue *q, Task *task) {
        pthread_mutex_lock(&q->lock);
        list_prepend(&q->tasks, &task->list);
        pthread_cond_signal(&q->ready);
        pthread_mutex_unlock(&q->lock);
}

size_t task_queue_take(TaskQueue *q, size_t max, List *ret) {
        size_t n = 0;

        list_init(ret);
        pthread_mutex_lock(&q->lock);
        while (list_is_empty(&q->tasks) && !q->stop)
                pthread_cond_wait(&q->ready, &q->lock);
        if (!q->stop) {
                while (n < max && !list_is_empty(&q->tasks)) {
                        List *first = q->tasks.next;
                        list_unlink(first);
                        list_append(ret, first);
                        n++;
                }
        }
        pthread_mutex_unlock(&q->lock);
        return n;
}

void task_queue_stop(TaskQueue *q) {
        pthread_mutex_lock(&q->lock);
        q->stop = true;
        pthread_cond_broadcast(&q->ready);
        pthread_mutex_unlock(&q->lock);
}

struct Mailbox {
        pthread_mutex_t lock;
        List tasks;
        int fd; /* eventfd: readable while tasks wait */
        sd_event_source *source;
};

static bool deliver_all(Mailbox *m) {
        List all;

        /* Take everything that is there: a delivered task may post new ones at once. */
        list_init(&all);
        pthread_mutex_lock(&m->lock);
        while (!list_is_empty(&m->tasks)) {
                List *first = m->tasks.next;
                list_unlink(first);
                list_append(&all, first);
        }
        pthread_mutex_unlock(&m->lock);

        bool any = !list_is_empty(&all);
        while (!list_is_empty(&all)) {
                Task *t = list_entry(all.next, Task, list);
                list_unlink(&t->list);
                t->deliver(t);
        }
        return any;
}

void mailbox_drain(Mailbox *m) {
        while (m && deliver_all(m))
                ;
}

void mailbox_cancel(Mailbox *m, Task *task) {
        task->r = error_setf(&task->error, ERROR_TRY_AGAIN, "netmgrd is stopping; try again");
        mailbox_post(m, task);
}

void mailbox_cancel_all(Mailbox *m, TaskQueue *q) {
        while (!list_is_empty(&q->tasks)) {
                Task *t = list_entry(q->tasks.next, Task, list);
                list_unlink(&t->list);
                mailbox_cancel(m, t);
        }
}

static int mailbox_deliver(sd_event_source *source _unused_, int fd, uint32_t revents _unused_,
                           void *userdata) {
        uint64_t count;

        /* sd-event never again calls a handler that failed: this one does not, whatever happens. */
        if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN && errno != EINTR)
                log_error_errno(errno, "reading the mailbox's eventfd");
        (void) deliver_all(userdata);
        return 0;
}

int mailbox_new(sd_event *event, Mailbox **ret) {
        _cleanup_(mailbox_freep) Mailbox *m = new0(Mailbox, 1);
        if (!m)
                return -ENOMEM;

        m->fd = -EBADF;
        list_init(&m->tasks);
        int r = pthread_mutex_init(&m->lock, NULL);
        if (r)
                return -r;
        m->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (m->fd < 0)
                return -errno;
        r = sd_event_add_io(event, &m->source, m->fd, EPOLLIN, mailbox_deliver, m);
        if (r < 0)
                return r;
        /* Work under way is finished before new requests are read. */
        r = sd_event_source_set_priority(m->source, SD_EVENT_PRIORITY_NORMAL - 10);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

Mailbox *mailbox_free(Mailbox *m) {
        if (!m)
                return NULL;
        sd_event_source_disable_unref(m->source);
        safe_close(m->fd);
        pthread_mutex_destroy(&m->lock);
        free(m);
        return NULL;
}

void mailbox_post(Mailbox *m, Task *task) {
        bool was_empty;

        pthread_mutex_lock(&m->lock);
        was_empty = list_is_empty(&m->tasks);
        list_append(&m->tasks, &task->list);
        pthread_mutex_unlock(&m->lock);

        /* One wake-up for all that gathers until the loop comes round. */
        if (was_empty) {
                uint64_t one = 1;
                if (write(m->fd, &one, sizeof(one)) < 0)
                        log_error_errno(errno, "waking the event loop");
        }
}

int timer_new(sd_event *event, sd_event_source **ret, sd_event_time_handler_t handler,
              void *userdata) {
        sd_event_source *timer;

        int r = sd_event_add_time(event, &timer, CLOCK_MONOTONIC, 0, 0, handler, userdata);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(timer, SD_EVENT_OFF);
        if (r < 0) {
                sd_event_source_disable_unref(timer);
                return r;
        }
        *ret = timer;
        return 0;
}

void timer_start(sd_event *event, sd_event_source *timer, uint64_t delay_usec) {
        uint64_t now;
        int state = SD_EVENT_OFF;

        if (!timer || sd_event_source_get_enabled(timer, &state) < 0 || state != SD_EVENT_OFF ||
            sd_event_now(event, CLOCK_MONOTONIC, &now) < 0)
                return;
        (void) sd_event_source_set_time(timer, now + delay_usec);
        (void) sd_event_source_set_enabled(timer, SD_EVENT_ONESHOT);
}

int thread_start(pthread_t *ret, void *(*func)(void *), void *arg, const char *name) {
        sigset_t all, old;

        sigfillset(&all);
        int r = pthread_sigmask(SIG_BLOCK, &all, &old);
        if (r)
                return -r;
        r = pthread_create(ret, NULL, func, arg);
        if (!r)
                (void) pthread_setname_np(*ret, name);
        pthread_sigmask(SIG_SETMASK, &old, NULL);
        return -r;
}
