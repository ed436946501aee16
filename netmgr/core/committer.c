/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The committer's thread. The WAL is checkpointed here too, after the answers are posted, once
 * enough has been written: an fsync then delays the next group but never one that is answered.
 */

#include "core/committer.h"

#include "base/failpoint.h"
#include "base/log.h"

/* Commits in one transaction: bounds how long the first of a group waits for the last. */
#define GROUP_MAX 256

/* Commits between two checkpoints: about 4 MiB of WAL at 2 kB each. */
#define CHECKPOINT_EVERY 2000

/* Between two tries of what is owed while nothing else is submitted: a full disk stays so for a while. */
#define OWED_RETRY_USEC 1000000U

struct Committer {
        List owed; /* commits; of the event loop, as is the timer */
        sd_event *event;
        sd_event_source *retry;
        TaskQueue queue;
        Mailbox *mailbox; /* borrowed */
        Store *store;     /* the thread's alone once it runs */
        Firewall *firewall;
        pthread_t thread;
        bool started, stopped;
        unsigned since_checkpoint;
        bool full; /* the disk: a checkpoint lets the log begin anew in the room that it has */
};

static int step(const char *name, Error *e) {
        int r = failpoint(name);
        return r < 0 ? error_set_errnof(e, ERROR_LEDGER, r, "writing the ledger") : 0;
}

static bool is_durable(const List *group) {
        for (const List *p = group->next; p != group; p = p->next)
                if (((const Commit *) list_entry(p, Task, list))->durable)
                        return true;
        return false;
}

static int write_group(Store *store, List *group, Error *e) {
        int r = step("ledger-begin", e);
        /* Of a transaction whose end failed, and whose rollback had no memory. */
        store_rollback(store);
        if (r >= 0)
                r = store_set_durable(store, is_durable(group), e);
        if (r >= 0)
                r = store_begin(store, e);
        if (r < 0)
                return r;
        for (List *p = group->next; p != group; p = p->next) {
                Commit *c = (Commit *) list_entry(p, Task, list);
                if (c->written)
                        continue;
                r = step("ledger-write", e);
                if (r >= 0)
                        r = c->write(c, store, e);
                if (r < 0) {
                        store_rollback(store);
                        return r;
                }
        }
        r = step("ledger-commit", e);
        if (r >= 0)
                r = store_commit(store, e);
        if (r < 0)
                store_rollback(store);
        else
                failpoint_past("ledger-committed");
        return r;
}

static void move_all(List *from, List *to) {
        while (!list_is_empty(from)) {
                List *first = from->next;
                list_unlink(first);
                list_append(to, first);
        }
}

static void write_one_by_one(Committer *c, List *group) {
        List todo, one;

        list_init(&todo);
        move_all(group, &todo);
        while (!list_is_empty(&todo)) {
                Commit *commit = (Commit *) list_entry(todo.next, Task, list);

                list_init(&one);
                list_unlink(&commit->task.list);
                list_append(&one, &commit->task.list);
                commit->task.r = write_group(c->store, &one, &commit->task.error);
                c->full |= commit->task.r == -ENOSPC;
                commit->written = commit->written || commit->task.r >= 0;
                move_all(&one, group);
        }
}

/* The rows of each commit; task.r says how it went. */
static void write_all(Committer *c, List *group) {
        int r = write_group(c->store, group, NULL);

        if (r < 0) {
                write_one_by_one(c, group);
                return;
        }
        for (List *p = group->next; p != group; p = p->next) {
                Commit *commit = (Commit *) list_entry(p, Task, list);
                commit->task.r = 0;
                commit->written = true;
        }
}

static bool is_to_enforce(const Commit *commit) {
        return commit->enforce && (commit->written || commit->enforce_anyway);
}

static int enforce_one(Committer *c, Commit *commit, Error *e) {
        int r = commit->enforce(commit, c->firewall);
        if (r < 0) {
                firewall_rollback(c->firewall);
                return error_oom(e);
        }
        return firewall_commit(c->firewall, e);
}

static int enforce_group(Committer *c, List *group) {
        for (List *p = group->next; p != group; p = p->next) {
                Commit *commit = (Commit *) list_entry(p, Task, list);
                if (!is_to_enforce(commit))
                        continue;
                int r = commit->enforce(commit, c->firewall);
                if (r < 0) {
                        firewall_rollback(c->firewall);
                        return r;
                }
        }
        return firewall_commit(c->firewall, NULL);
}

/* The rule elements of all commits whose rows are in. */
static void enforce_all(Committer *c, List *group) {
        if (enforce_group(c, group) >= 0)
                return;
        for (List *p = group->next; p != group; p = p->next) {
                Commit *commit = (Commit *) list_entry(p, Task, list);
                if (!is_to_enforce(commit))
                        continue;
                int r = enforce_one(c, commit, &commit->task.error);
                if (commit->task.r >= 0)
                        commit->task.r = r;
        }
}

static void post_all(Committer *c, List *group) {
        while (!list_is_empty(group)) {
                Task *t = list_entry(group->next, Task, list);
                list_unlink(&t->list);
                mailbox_post(c->mailbox, t);
        }
}

static void take_reads(List *group, List *ret_reads) {
        list_init(ret_reads);
        for (List *p = group->next, *next; p != group; p = next) {
                next = p->next;
                if (((Commit *) list_entry(p, Task, list))->read) {
                        list_unlink(p);
                        list_append(ret_reads, p);
                }
        }
}

static void commit_all(Committer *c, List *group) {
        List reads;

        take_reads(group, &reads);
        if (!list_is_empty(group)) {
                write_all(c, group);
                enforce_all(c, group);
                post_all(c, group);
        }
        for (List *p = reads.next; p != &reads; p = p->next) {
                Commit *commit = (Commit *) list_entry(p, Task, list);
                commit->task.r = commit->read(commit, c->store, &commit->task.error);
        }
        post_all(c, &reads);
}

static void checkpoint(Committer *c) {
        _cleanup_error_ Error error = ERROR_NULL;

        c->since_checkpoint = 0;
        c->full = false;
        if (store_checkpoint(c->store, &error) < 0)
                log_warning("ledger: checkpoint: %s", error_message(&error));
}

static void *committer_main(void *arg) {
        Committer *c = arg;
        List group;
        size_t n;

        while ((n = task_queue_take(&c->queue, GROUP_MAX, &group)) > 0) {
                commit_all(c, &group);
                c->since_checkpoint += n;
                if (c->full)
                        c->since_checkpoint = CHECKPOINT_EVERY;
                if (c->since_checkpoint >= CHECKPOINT_EVERY)
                        checkpoint(c);
        }
        return NULL;
}

static void submit(Committer *c, Commit *commit) {
        commit->task.r = 0;
        commit->task.error = ERROR_NULL;
        task_queue_put(&c->queue, &commit->task);
}

static void submit_owed(Committer *c) {
        while (!list_is_empty(&c->owed)) {
                Commit *commit = (Commit *) list_entry(c->owed.next, Task, list);

                list_unlink(&commit->task.list);
                submit(c, commit);
        }
}

static int on_retry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        submit_owed(userdata);
        return 0;
}

bool committer_owe(Committer *c, Commit *commit) {
        if (!c || c->stopped)
                return false;
        commit->owed = true;
        list_append(&c->owed, &commit->task.list);
        timer_start(c->event, c->retry, OWED_RETRY_USEC);
        return true;
}

bool committer_owes(const Committer *c) {
        return c && !list_is_empty(&c->owed);
}

int committer_new(sd_event *event, Mailbox *mailbox, Store *store, Firewall *firewall,
                  Committer **ret) {
        _cleanup_free_ Committer *c = new0(Committer, 1);
        if (!c)
                return -ENOMEM;

        c->event = event;
        list_init(&c->owed);
        int r = task_queue_init(&c->queue);
        if (r < 0)
                return r;
        r = timer_new(event, &c->retry, on_retry, c);
        if (r < 0) {
                task_queue_destroy(&c->queue);
                return r;
        }
        c->mailbox = mailbox;
        c->store = store;
        c->firewall = firewall;
        r = thread_start(&c->thread, committer_main, c, "committer");
        if (r < 0) {
                sd_event_source_disable_unref(c->retry);
                task_queue_destroy(&c->queue);
                return r;
        }
        c->started = true;
        *ret = TAKE_PTR(c);
        return 0;
}

void committer_stop(Committer *c) {
        List rest;

        if (!c || c->stopped)
                return;
        task_queue_stop(&c->queue);
        pthread_join(c->thread, NULL);
        c->stopped = true;

        /* What still waits is written here. */
        c->retry = sd_event_source_disable_unref(c->retry);
        submit_owed(c);
        list_init(&rest);
        move_all(&c->queue.tasks, &rest);
        if (!list_is_empty(&rest))
                commit_all(c, &rest);
}

Committer *committer_free(Committer *c) {
        if (!c)
                return NULL;
        committer_stop(c);
        store_close(c->store);
        firewall_free(c->firewall);
        task_queue_destroy(&c->queue);
        free(c);
        return NULL;
}

void committer_submit(Committer *c, Commit *commit) {
        commit->written = commit->owed = false;
        commit->task.error = ERROR_NULL;
        if (c->stopped) {
                mailbox_cancel(c->mailbox,
                               &commit->task); /* the next start finds the row as it was */
                return;
        }
        submit_owed(c);
        submit(c, commit);
}
