/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See traffic.h. One dump of counters at a time, on a worker; the sums are made on the loop. */

#include "core/traffic.h"

#include "base/limits.h"
#include "base/log.h"
#include "core/attachment.h"

typedef struct Traffic {
        Job job; /* first member; in flight while `sampling` */
        Manager *manager;
        sd_event_source *timer;
        NlDump dump;
        uint64_t wanted_usec; /* until then, CLOCK_MONOTONIC */
        uint64_t last_usec;   /* of the last sample; 0: there is none */
        bool sampling;
} Traffic;

static int sample(Job *job, WorkerContext *w, Error *e) {
        Traffic *t = (Traffic *) job;

        return kernel_dump(w->host, NL_DUMP_COUNTERS, &t->dump);
}

/* What came since the last sample. A counter that is lower than before is another interface's. */
static void add_stat(Traffic *t, const NlStat *stat) {
        Attachment *a = map_get_u64(t->manager->host_ifindexes, stat->ifindex);
        uint64_t bytes = stat->rx_bytes + stat->tx_bytes;

        if (!a)
                return;
        bool is_new = a->traffic_sampled_usec == 0;
        uint64_t before = is_new || bytes < a->traffic_bytes ? 0 : a->traffic_bytes;
        /* At the first sample nobody knows since when it counts. */
        if (t->last_usec > 0)
                a->network->traffic_bytes += bytes - before;
        a->traffic_bytes = bytes;
        a->traffic_sampled_usec = now_monotonic();
}

/* The newest sample counts a quarter. */
static void smooth(Manager *m, uint64_t elapsed_usec) {
        Network *n;

        MAP_FOREACH (n, m->networks) {
                uint64_t rate = n->traffic_bytes * 1000000U / MAX_OF(elapsed_usec, UINT64_C(1));
                n->traffic_rate = n->traffic_sampled ? (3 * n->traffic_rate + rate) / 4 : rate;
                n->traffic_sampled = true;
                n->traffic_bytes = 0;
        }
}

static void sampled(Task *task) {
        Traffic *t = (Traffic *) task;
        uint64_t now = now_monotonic();

        t->sampling = false;
        if (task->r < 0)
                log_debug("counters of links: %s", strerror(-task->r));
        else {
                for (size_t i = 0; i < t->dump.n_stats; i++)
                        add_stat(t, &t->dump.stats[i]);
                if (t->last_usec > 0)
                        smooth(t->manager, now - t->last_usec);
                t->last_usec = now;
        }
        kernel_dump_clear(&t->dump);
        error_clear(&task->error);
        if (!t->manager->stopping)
                timer_start(t->manager->event, t->timer, TRAFFIC_SAMPLE_MS * UINT64_C(1000));
}

static bool has_group(const Manager *m) {
        const Network *n;

        MAP_FOREACH (n, m->networks)
                if (n->conf->any_of && n->conf->choose == NET_CHOOSE_LEAST_TRAFFIC && !n->gone)
                        return true;
        return false;
}

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        Traffic *t = userdata;

        if (now_monotonic() >= t->wanted_usec && !has_group(t->manager)) {
                t->last_usec = 0; /* what comes until somebody asks again is not known */
                return 0;
        }
        t->sampling = true;
        t->job.run = sample;
        t->job.task.deliver = sampled;
        workers_submit(t->manager->workers, &t->job);
        return 0;
}

static Traffic *traffic_new(Manager *m) {
        Traffic *t = new0(Traffic, 1);

        if (!t)
                return NULL;
        t->manager = m;
        if (timer_new(m->event, &t->timer, on_timer, t) < 0) {
                free(t);
                return NULL;
        }
        return t;
}

void traffic_want(Manager *m) {
        if (!m->traffic && !(m->traffic = traffic_new(m)))
                return; /* the next one who asks */
        m->traffic->wanted_usec = now_monotonic() + TRAFFIC_WANTED_SEC * UINT64_C(1000000);
        if (!m->traffic->sampling && m->workers)
                timer_start(m->event, m->traffic->timer,
                            m->traffic->last_usec ? TRAFFIC_SAMPLE_MS * UINT64_C(1000) : 0);
}

void traffic_start(Manager *m) {
        if (has_group(m))
                traffic_want(m);
}

Traffic *traffic_free(Traffic *t) {
        if (!t)
                return NULL;
        sd_event_source_disable_unref(t->timer);
        kernel_dump_clear(&t->dump);
        free(t);
        return NULL;
}
