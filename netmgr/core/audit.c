/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Counting and telling; see audit.h. Nothing here survives a stop: the journal and the ledger's events do. */

#include "core/audit.h"

#include "base/log-ids.h"

/* A reboot or a GC reaps hundreds at once; the bus hears of it once. */
#define TELL_DELAY_USEC 250000U

static const char *const repair_names[_REPAIR_MAX] = {
        [REPAIR_TABLES] = "tables", [REPAIR_NETWORK] = "network", [REPAIR_LINK] = "link",
        [REPAIR_HOST] = "host",     [REPAIR_SANDBOX] = "sandbox", [REPAIR_STRAY] = "stray",
};

/* The operations of attachment_release(), which are in the event table too. */
static const char *const reap_names[_REAP_MAX] = {
        [REAP_GC] = "gc",           [REAP_NETNS] = "gone",
        [REAP_REBOOT] = "reboot",   [REAP_SYNCHRONIZE] = "synchronize",
        [REAP_RECOVER] = "recover", [REAP_RECONCILE] = "reconcile",
        [REAP_OTHER] = "other",     [REAP_REPLACED] = "replaced",
};

const char *repair_kind_to_string(RepairKind kind) {
        return repair_names[kind];
}

const char *reap_reason_to_string(ReapReason reason) {
        return reap_names[reason];
}

static ReapReason reap_reason_of(const char *op) {
        ReapReason reason = 0;

        while (reason < REAP_OTHER && !streq(reap_names[reason], op))
                reason++;
        return reason;
}

Audit *audit_new(void) {
        return new0(Audit, 1);
}

Audit *audit_free(Audit *audit) {
        if (audit)
                sd_event_source_disable_unref(audit->timer);
        free(audit);
        return NULL;
}

static uint64_t sum(const uint64_t *counts, size_t n) {
        uint64_t all = 0;

        for (size_t i = 0; i < n; i++)
                all += counts[i];
        return all;
}

uint64_t audit_repairs(const Manager *m) {
        return sum(m->audit->repairs, _REPAIR_MAX);
}

uint64_t audit_reaps(const Manager *m) {
        return sum(m->audit->reaps, _REAP_MAX);
}

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Manager *m = userdata;

        if (m->observer.counters_changed)
                m->observer.counters_changed(m->observer.userdata);
        return 0;
}

static void tell_soon(Manager *m) {
        int state = SD_EVENT_OFF;
        uint64_t now;

        if (sd_event_now(m->event, CLOCK_MONOTONIC, &now) < 0)
                return;
        if (!m->audit->timer) {
                (void) sd_event_add_time(m->event, &m->audit->timer, CLOCK_MONOTONIC,
                                         now + TELL_DELAY_USEC, 0, on_timer, m);
                return;
        }
        if (sd_event_source_get_enabled(m->audit->timer, &state) < 0 || state != SD_EVENT_OFF)
                return;
        (void) sd_event_source_set_time(m->audit->timer, now + TELL_DELAY_USEC);
        (void) sd_event_source_set_enabled(m->audit->timer, SD_EVENT_ONESHOT);
}

void audit_count_repair(Manager *m, RepairKind kind) {
        m->audit->repairs[kind]++;
        tell_soon(m);
}

void audit_tell_repair(RepairKind kind, const LogContext *about, const char *found) {
        LogContext ctx = about ? *about : (LogContext) { 0 };

        if (!ctx.op)
                ctx.op = "repair";
        ctx.reason = found;
        log_event(LOG_NOTICE, LOG_ID_REPAIRED, &ctx, "%s: %s: repaired (%s)", ctx.op, found,
                  repair_kind_to_string(kind));
}

bool audit_op_is_reap(const char *op) {
        return strncmp(op, "del", strlen("del")) != 0 && !streq(op, "add-failed") &&
               !streq(op, "detach");
}

void audit_count_reaps(Manager *m, const char *op, uint64_t n) {
        if (n == 0)
                return;
        m->audit->reaps[reap_reason_of(op)] += n;
        tell_soon(m);
}

void audit_reaped(Manager *m, const LogContext *about) {
        log_event(LOG_NOTICE, LOG_ID_REAPED, about, "%s: %s of %s released (%s): %s", about->op,
                  strempty(about->interface), strempty(about->sandbox),
                  isempty(about->address) ? "no address" : about->address, strempty(about->reason));
        audit_count_reaps(m, about->op, 1);
}
