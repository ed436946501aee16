/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the event loop and its threads exchange. A Task travels: the loop puts it into a TaskQueue,
 * a thread takes it, works on what the task owns and nothing else, and posts it to the Mailbox; the
 * loop then calls its `deliver`. Between put and deliver the loop does not touch what the task owns.
 * That is the whole locking discipline of the program.
 *
 * Nothing here survives a crash, nor has to: intent is in the ledger.
 */

#include <pthread.h>
#include <systemd/sd-event.h>

#include "base/error.h"
#include "base/list.h"

typedef struct Task Task;
struct Task {
        List list;                   /* in a queue or a mailbox */
        void (*deliver)(Task *task); /* on the loop, exactly once after the thread is done with it */
        int r;                       /* outcome: 0 or a negative errno */
        Error error;                 /* sentence for it; the deliverer clears it */
};

typedef struct TaskQueue {
        pthread_mutex_t lock;
        pthread_cond_t ready;
        List tasks;
        bool stop;
} TaskQueue;

int task_queue_init(TaskQueue *q);
void task_queue_destroy(TaskQueue *q);
void task_queue_put(TaskQueue *q, Task *task);
/* Before all that waits. */
void task_queue_put_first(TaskQueue *q, Task *task);
/* Waits for work and moves up to max tasks into *ret (a list head). 0: the queue was stopped and is
 * to be left at once, whatever still waits in it. */
size_t task_queue_take(TaskQueue *q, size_t max, List *ret);
void task_queue_stop(TaskQueue *q);

typedef struct Mailbox Mailbox;

int mailbox_new(sd_event *event, Mailbox **ret);
Mailbox *mailbox_free(Mailbox *m); /* accepts NULL; undelivered tasks are dropped */
/* Delivers what waits and what that posts; for the stop, when no loop does it any more. Accepts NULL. */
void mailbox_drain(Mailbox *m);
/* What no thread will do any more: delivered as a failure, "try again", so that each operation ends by the
 * way that it has for failures. */
void mailbox_cancel(Mailbox *m, Task *task);
void mailbox_cancel_all(Mailbox *m, TaskQueue *q);
DEFINE_CLEANUP(Mailbox *, mailbox_free)
/* From any thread. */
void mailbox_post(Mailbox *m, Task *task);

/* A timer that is off, made ahead so that starting it needs no memory; its handler never fails. Started
 * again it keeps the earlier time. */
int timer_new(sd_event *event, sd_event_source **ret, sd_event_time_handler_t handler,
              void *userdata);
void timer_start(sd_event *event, sd_event_source *timer, uint64_t delay_usec);

/* Starts a thread with all signals blocked, so that the loop alone gets them. */
int thread_start(pthread_t *ret, void *(*func)(void *), void *arg, const char *name);
