/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Keeping leases; see dhcp.h. Everything here runs on the loop, but the two functions *_run. */

#include "core/dhcp.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "core/dhcp-change.h"
#include "core/dhcp-internal.h"
#include "core/inside.h"
#include "core/netns-watch.h"

#define USEC_PER_SEC 1000000ULL
/* A lease that is due while something else works on its attachment, or too many are renewed already. */
#define BUSY_USEC USEC_PER_SEC
/* How long one exchange of a renewal lasts; the next comes when half of what is left has passed. */
#define EXCHANGE_MS 10000U
/* RFC 2131, 4.4.5: not more often than every minute; leases that are shorter get by with less. */
#define RETRY_MAX_USEC (60 * USEC_PER_SEC)
/* Without a lease: the first time at once, then after so long, twice as long each time, up to five minutes.
 * While it asks the interface is up. */
#define ACQUIRE_MS       5000U
#define ACQUIRE_MIN_USEC (10 * USEC_PER_SEC)
#define ACQUIRE_MAX_USEC (300 * USEC_PER_SEC)

/* --- life -------------------------------------------------------------------------------------- */

static int on_due(sd_event_source *s, uint64_t usec, void *userdata);

int dhcp_binding_new(Attachment *a, LeaseRow *row) {
        Manager *m = a->manager;
        _cleanup_(dhcp_binding_freep) DhcpBinding *b = new0(DhcpBinding, 1);

        if (!b)
                return -ENOMEM;
        b->attachment = a;
        /* At loading the loop is there already, the threads are not. */
        int r = sd_event_add_time(m->event, &b->timer, CLOCK_BOOTTIME, UINT64_MAX, 1000, on_due, b);
        if (r >= 0)
                r = sd_event_source_set_enabled(b->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        b->row = *row;
        *row = (LeaseRow) { 0 };
        a->dhcp = TAKE_PTR(b);
        return 0;
}

static void binding_end_work(DhcpBinding *b) {
        if (b->work)
                b->work->binding = NULL;
        b->work = NULL;
        if (b->exchanging)
                b->attachment->manager->n_renewals--;
        b->call = dhcp_call_free(b->call);
        b->exchanging = false;
}

DhcpBinding *dhcp_binding_free(DhcpBinding *b) {
        if (!b)
                return NULL;
        binding_end_work(b);
        sd_event_source_disable_unref(b->timer);
        lease_row_clear(&b->row);
        free(b);
        return NULL;
}

const LeaseRow *dhcp_binding_row(const DhcpBinding *b) {
        return &b->row;
}

LogContext dhcp_log_context(const DhcpBinding *b, int r, const char *reason) {
        const Attachment *a = b->attachment;

        return (LogContext) { .sandbox = a->sandbox->id,
                              .network = a->network->name,
                              .interface = a->spec.ifname,
                              .op = "dhcp",
                              .attachment = a->spec.id,
                              .reason = reason,
                              .error = r };
}

/* --- time -------------------------------------------------------------------------------------- */

static uint64_t end_of(const LeaseRow *row, uint32_t seconds) {
        return seconds == DHCP_LEASE_FOREVER ? UINT64_MAX
                                             : row->obtained_boot_usec + seconds * USEC_PER_SEC;
}

/* *ret_end: when the next phase begins. */
static DhcpPhase phase_of(const DhcpBinding *b, uint64_t now, uint64_t *ret_end) {
        const LeaseRow *row = &b->row;
        const uint64_t ends[] = { end_of(row, row->t1_sec), end_of(row, row->t2_sec),
                                  end_of(row, row->lease_sec) };
        DhcpPhase p = PHASE_BOUND;

        while (p < PHASE_OVER && !row->expired && now >= ends[p])
                p++;
        if (row->expired)
                p = PHASE_OVER;
        *ret_end = p < PHASE_OVER ? ends[p] : UINT64_MAX;
        return p;
}

/* The timer has what it needs: neither can fail. */
static void wake_at(DhcpBinding *b, uint64_t usec) {
        (void) sd_event_source_set_time(b->timer, usec);
        (void) sd_event_source_set_enabled(b->timer,
                                           usec == UINT64_MAX ? SD_EVENT_OFF : SD_EVENT_ONESHOT);
}

static void wake_in(DhcpBinding *b, uint64_t usec) {
        wake_at(b, now_boottime() + usec);
}

void dhcp_binding_start(DhcpBinding *b) {
        uint64_t end;

        b->failures = 0;
        if (phase_of(b, now_boottime(), &end) == PHASE_BOUND)
                wake_at(b, end);
        else
                wake_in(b, 0);
}

/* After an exchange that led to nothing. */
static void wake_for_retry(DhcpBinding *b) {
        uint64_t now = now_boottime(), end, shortest;
        DhcpPhase phase = phase_of(b, now, &end);

        if (phase != b->phase) {
                wake_in(b, 0);
                return;
        }
        if (phase == PHASE_OVER) {
                uint64_t delay = ACQUIRE_MIN_USEC << MIN_OF(b->failures, 6U);
                b->failures++;
                wake_in(b, b->row.expired ? MIN_OF(delay, ACQUIRE_MAX_USEC) : 0);
                return;
        }
        shortest = MIN_OF(RETRY_MAX_USEC, b->row.lease_sec * USEC_PER_SEC / 16);
        shortest = MAX_OF(shortest, USEC_PER_SEC);
        uint64_t next = now + MAX_OF((end - now) / 2, shortest);
        wake_at(b, MIN_OF(end, next));
}

/* --- one exchange ------------------------------------------------------------------------------ */

static void work_free(DhcpWork *w) {
        if (w->binding)
                w->binding->work = NULL;
        safe_close(w->packet_fd);
        error_clear(&w->job.task.error);
        free(w->path);
        free(w);
}

static int open_run(Job *job, WorkerContext *context, Error *e) {
        DhcpWork *w = (DhcpWork *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        _cleanup_close_ int fd = -EBADF;

        int r = inside_open(context, -EBADF, w->path, w->cookie, &fd, &pod, e);
        if (r >= 0)
                r = dhcp_open_link(context, fd, pod, w->ifname,
                                   w->request.operation == DHCP_ACQUIRE, &w->request, &w->packet_fd,
                                   e);
        return r;
}

static void exchange_over(DhcpBinding *b) {
        b->call = NULL;
        b->exchanging = false;
        b->attachment->manager->n_renewals--;
}

static void tell_failure(DhcpBinding *b, int r, const char *sentence) {
        LogContext ctx = dhcp_log_context(b, r, sentence);

        /* The first of a row, and then the end of the lease, are worth a line. */
        log_ctx(b->told ? LOG_DEBUG : LOG_NOTICE, &ctx, "the lease of %s of %s was not renewed: %s",
                b->attachment->spec.ifname, b->attachment->sandbox->id, sentence);
        b->told = true;
}

/* The interface that was raised to ask goes down again. */
static void after_failure(DhcpBinding *b) {
        if (b->row.expired)
                dhcp_lower_again(b);
        wake_for_retry(b);
}

static void on_answer(int r, const DhcpAnswer *answer, const Error *e, void *userdata) {
        DhcpBinding *b = userdata;

        exchange_over(b);
        if (r < 0) {
                tell_failure(b, r, error_message(e));
                after_failure(b);
                return;
        }
        switch (answer->outcome) {
        case DHCP_OUTCOME_LEASE:
                b->told = false;
                b->failures = 0;
                dhcp_take_lease(b, &answer->lease, answer->age_ms);
                return;
        case DHCP_OUTCOME_REFUSED:
                if (!b->row.expired) {
                        dhcp_end_lease(b, answer->sentence);
                        return;
                }
                /* fall through */
        default:
                tell_failure(b, -ETIMEDOUT, answer->sentence);
                after_failure(b);
        }
}

static void opened(Task *task) {
        DhcpWork *w = (DhcpWork *) task;
        DhcpBinding *b = w->binding;
        _cleanup_error_ Error error = task->error;
        int r = task->r;

        task->error = ERROR_NULL;
        if (!b) {
                work_free(w);
                return;
        }
        if (r >= 0)
                r = dhcp_call_new(b->attachment->manager, &w->request, TAKE_FD(w->packet_fd),
                                  on_answer, b, &b->call, &error);
        work_free(w);
        if (r >= 0)
                return;
        exchange_over(b);
        /* It may be about to end: whoever watches over sandboxes finds out. */
        if (r == -ESTALE)
                netns_watch_suspect(b->attachment->manager->netns_watch, b->attachment->sandbox);
        tell_failure(b, r, error_message(&error));
        after_failure(b);
}

DhcpWork *dhcp_work_new(DhcpBinding *b) {
        const Sandbox *s = b->attachment->sandbox;
        DhcpWork *w = new0(DhcpWork, 1);

        if (!w)
                return NULL;
        w->packet_fd = -EBADF;
        w->cookie = s->netns_cookie;
        w->path = strdup(s->netns_path);
        if (!w->path) {
                free(w);
                return NULL;
        }
        memcpy(w->ifname, b->attachment->spec.ifname, sizeof(w->ifname));
        w->binding = b;
        b->work = w;
        return w;
}

static void exchange(DhcpBinding *b, DhcpOperation operation, uint64_t end) {
        Manager *m = b->attachment->manager;
        DhcpWork *w = dhcp_work_new(b);

        if (!w) {
                wake_in(b, BUSY_USEC);
                return;
        }
        b->exchanging = true;
        m->n_renewals++;
        dhcp_row_request(&b->row, operation, &w->request);
        /* Of a lease of seconds, the next phase comes before that. */
        uint64_t now = now_boottime();
        w->request.deadline_ms = operation == DHCP_ACQUIRE ? ACQUIRE_MS : EXCHANGE_MS;
        if (end > now && end - now < EXCHANGE_MS * 1000ULL)
                w->request.deadline_ms = (uint32_t) MAX_OF((end - now) / 1000U, (uint64_t) 500);
        w->job.run = open_run;
        w->job.task.deliver = opened;
        workers_submit(m->workers, &w->job);
}

static int on_due(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        DhcpBinding *b = userdata;
        Attachment *a = b->attachment;
        uint64_t end;

        if (a->manager->stopping || a->state != ATTACHMENT_UP)
                return 0;
        DhcpPhase phase = phase_of(b, now_boottime(), &end);
        if (phase == PHASE_BOUND) {
                wake_at(b, end);
                return 0;
        }
        if (a->busy || b->work || b->exchanging || a->manager->n_renewals >= DHCP_RENEWALS_MAX) {
                wake_in(b, BUSY_USEC);
                return 0;
        }
        if (phase == PHASE_OVER && !b->row.expired && !b->grace) {
                dhcp_end_lease(b, "its time is over, and no DHCP server renewed it");
                return 0;
        }
        b->grace = false;
        b->phase = phase;
        exchange(b,
                 b->row.expired            ? DHCP_ACQUIRE
                 : phase == PHASE_RENEWING ? DHCP_RENEW
                                           : DHCP_REBIND,
                 end);
        return 0;
}

void dhcp_wake_soon(DhcpBinding *b) {
        wake_in(b, BUSY_USEC);
}

void dhcp_wake_for_retry(DhcpBinding *b) {
        wake_for_retry(b);
}

/* --- start and stop ---------------------------------------------------------------------------- */

int dhcp_load_lease(Manager *m, LeaseRow *row, Error *e) {
        Attachment *a = map_get_u64(m->attachments, row->attachment);

        if (!a)
                return 0;
        if (dhcp_binding_new(a, row) < 0)
                return error_oom(e);
        /* netmgrd was away: the server may have been asked to wait, so it is asked before all is lost. */
        a->dhcp->grace = true;
        return 0;
}

static int on_nothing(sd_event_source *s _unused_, uint64_t usec _unused_, void *u _unused_) {
        return 0;
}

void dhcp_start(Manager *m) {
        Attachment *a;

        /* The loop's clock for these timers is a descriptor of its own, from the first one on: it is made
         * now, and not when descriptors are short. */
        (void) sd_event_add_time(m->event, NULL, CLOCK_BOOTTIME, 0, 0, on_nothing, NULL);
        MAP_FOREACH (a, m->attachments)
                if (a->dhcp && a->state == ATTACHMENT_UP)
                        dhcp_binding_start(a->dhcp);
}

void dhcp_stop(Manager *m) {
        Attachment *a;

        dhcp_give_back_stop(m);
        MAP_FOREACH (a, m->attachments)
                if (a->dhcp)
                        binding_end_work(a->dhcp);
}
