/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rounds of Synchronize that ADDs wait for; see sync-round.h. */

#include "core/sync-round.h"

#include <time.h>

#include "base/limits.h"
#include "base/log.h"

struct SyncRound {
        Manager *manager; /* borrowed */
        List waiters;     /* SyncWaiter; not empty: a round is under way */
        sd_event_source *timer;
        uint64_t asked_usec; /* CLOCK_BOOTTIME of the last question, 0: never */
        unsigned expected;   /* answers that are still to come */
};

SyncRound *sync_round_new(Manager *m) {
        SyncRound *round = new0(SyncRound, 1);

        if (!round)
                return NULL;
        round->manager = m;
        list_init(&round->waiters);
        return round;
}

SyncRound *sync_round_free(SyncRound *round) {
        if (!round)
                return NULL;
        sd_event_source_disable_unref(round->timer);
        free(round);
        return NULL;
}

static void round_end(SyncRound *round) {
        List woken;

        round->timer = sd_event_source_disable_unref(round->timer);
        /* Who is woken may wait again, for the next round. */
        list_init(&woken);
        while (!list_is_empty(&round->waiters)) {
                List *first = round->waiters.next;
                list_unlink(first);
                list_append(&woken, first);
        }
        while (!list_is_empty(&woken)) {
                SyncWaiter *w = list_entry(woken.next, SyncWaiter, list);
                list_unlink(&w->list);
                w->ready(w);
        }
}

static int on_patience_ends(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        SyncRound *round = userdata;

        log_warning("%u of the runtimes did not say within %u ms which sandboxes they have; going on",
                    round->expected, SYNC_ROUND_WAIT_MS);
        round_end(round);
        return 0;
}

static bool round_start(SyncRound *round) {
        const ManagerObserver *o = &round->manager->observer;
        uint64_t now = now_boottime();

        if (!o->synchronize_wanted ||
            (round->asked_usec && now - round->asked_usec < SYNC_ROUND_INTERVAL_MS * 1000U))
                return false;
        round->expected = o->synchronize_wanted(o->userdata);
        if (round->expected == 0)
                return false;
        round->asked_usec = now;
        return sd_event_add_time_relative(round->manager->event, &round->timer, CLOCK_MONOTONIC,
                                          SYNC_ROUND_WAIT_MS * 1000U, 0, on_patience_ends,
                                          round) >= 0;
}

bool sync_round_await(SyncRound *round, SyncWaiter *w) {
        if (list_is_empty(&round->waiters) && !round_start(round))
                return false;
        list_append(&round->waiters, &w->list);
        return true;
}

void sync_round_answered(SyncRound *round, uint64_t began_usec) {
        if (list_is_empty(&round->waiters) || began_usec < round->asked_usec ||
            !round->manager->committer) /* the daemon is ending, and the ADDs with it */
                return;
        if (round->expected > 0)
                round->expected--;
        if (round->expected == 0)
                round_end(round);
}
