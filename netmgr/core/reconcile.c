/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The course of a reconcile run, one at a time; see reconcile.h.
 *
 *   host dump -> networks -> (repair them, dump again) -> host side -> from within -> tables -> repair
 */

#include "core/reconcile.h"

#include "base/log.h"
#include "base/parse.h"
#include "core/audit.h"
#include "core/manager-firewall.h"
#include "core/network.h"
#include "core/op-change.h"
#include "core/reconcile-internal.h"

/* A burst of notifications is one look. */
#define DELAY_FIRST_USEC 50000U
/* What somebody breaks again at once is not repaired for ever at full speed. */
#define DELAY_LAST_USEC 30000000U

typedef struct ReconcileWaiter {
        List list;
        bool dry_run;
        ReconcileDone done;
        void *userdata;
} ReconcileWaiter;

struct Reconciler {
        Manager *manager;
        sd_event_source *timer;
        /* Until the next look: after an event or a repair, and after a repair that failed. Apart, so that
         * what cannot be repaired does not delay what can. */
        uint64_t delay, retry_delay;
        bool running, again, retry, renew_limits;
        List waiters;           /* asked for on demand */
        ReconcileWaiter *asked; /* whom the run is for; NULL: ourselves */
        ReconcileRun run;
};

typedef struct HostLook {
        Job job; /* first member */
        ReconcileRun *run;
        NlDump dump;
        void (*seen)(ReconcileRun *run, const NlDump *d);
} HostLook;

Attachment *reconcile_attachment(const ReconcileRun *run, uint64_t id) {
        Attachment *a = map_get_u64(run->manager->attachments, id);

        return a && !a->busy && a->settled_usec < run->began ? a : NULL;
}

void reconcile_put(ReconcileRun *run) {
        if (--run->waiting > 0)
                return;
        run->waiting = 1;
        run->next(run);
}

/* What ends an attachment is a reap, and told as such. */
static bool is_repair(FindingKind kind, RepairKind *ret) {
        switch (kind) {
        case FINDING_NETWORK:
                *ret = REPAIR_NETWORK;
                return true;
        case FINDING_MISSING:
                *ret = REPAIR_LINK;
                return true;
        case FINDING_HOST:
                *ret = REPAIR_HOST;
                return true;
        case FINDING_SANDBOX:
                *ret = REPAIR_SANDBOX;
                return true;
        case FINDING_STRAY:
                *ret = REPAIR_STRAY;
                return true;
        case FINDING_TABLES:
                *ret = REPAIR_TABLES;
                return true;
        default:
                return false;
        }
}

int reconcile_add_inside(ReconcileRun *run, uint64_t id) {
        if (GREEDY_REALLOC(run->ids, run->ids_allocated, run->n_ids + 1) < 0)
                return run->findings.error = -ENOMEM;
        run->ids[run->n_ids++] = id;
        return 0;
}

void finding_settled(ReconcileRun *run, size_t index, int r, const Error *e) {
        Finding *f = &run->findings.items[index];
        LogContext ctx = { .sandbox = f->sandbox,
                           .network = f->network,
                           .interface = f->object,
                           .op = "reconcile",
                           .attachment = f->id };
        RepairKind kind;

        if (r == FINDING_MOOT) {
                f->moot = true;
                reconcile_put(run);
                return;
        }
        f->repaired = r >= 0;
        if (r < 0 && !f->error)
                f->error = strdup(e && error_is_set(e) ? error_message(e) : strerror(-r));
        bool counts = f->repaired && is_repair(f->kind, &kind);
        for (size_t i = 0; i < f->differences.n; i++) {
                const char *sentence = f->differences.items[i].sentence;
                if (counts)
                        audit_tell_repair(kind, &ctx, sentence);
                else
                        log_ctx(f->repaired ? LOG_NOTICE : LOG_WARNING, &ctx,
                                "reconcile: %s: %s%s%s", sentence,
                                f->repaired ? "repaired" : "cannot be repaired",
                                f->error ? ": " : "", strempty(f->error));
        }
        if (counts)
                audit_count_repair(run->manager, kind);
        reconcile_put(run);
}

/* ---- the end ---------------------------------------------------------------------------------- */

static void start_next(Reconciler *c);

static size_t count_failed(const Findings *f) {
        size_t n = 0;

        for (size_t i = 0; i < f->n; i++)
                n += !f->items[i].repaired && !f->items[i].moot;
        return n;
}

/* Health tells what could not be repaired; of a dry run, nothing follows. */
static void tell_health(Manager *m, const Findings *f) {
        _cleanup_free_ char *text = NULL;
        size_t failed = count_failed(f);

        for (size_t i = 0; i < f->n && !text; i++)
                if (!f->items[i].repaired && !f->items[i].moot)
                        text = strf("%zu of what differs could not be repaired, such as: %s (%s)",
                                    failed, f->items[i].differences.items[0].sentence,
                                    f->items[i].error ? f->items[i].error : "out of memory");
        manager_set_health(m, HEALTH_RECONCILE, failed > 0 ? text : NULL);
}

/* Ever more of it while there is something; returns whether there is. */
static bool patience(bool something, uint64_t *delay) {
        *delay = something ? MIN_OF(*delay * 2, (uint64_t) DELAY_LAST_USEC) : DELAY_FIRST_USEC;
        return something;
}

static void run_end(ReconcileRun *run, int r, const Error *e) {
        Reconciler *c = run->owner;
        ReconcileWaiter *asked = TAKE_PTR(c->asked);

        if (r >= 0 && !run->dry_run) {
                size_t failed = count_failed(&run->findings);

                tell_health(c->manager, &run->findings);
                c->again |= patience(run->findings.n > failed, &c->delay); /* was that all? */
                c->retry |= patience(failed > 0, &c->retry_delay);
        } else if (r < 0) {
                log_warning("reconcile: %s", error_message(e));
                c->renew_limits |= run->renew_limits;
                c->retry |= patience(true, &c->retry_delay);
        }
        if (asked) {
                asked->done(r, e, &run->findings, asked->userdata);
                free(asked);
        }
        findings_clear(&run->findings);
        free(TAKE_PTR(run->ids));
        c->running = false;
        start_next(c);
}

static void run_oom(ReconcileRun *run) {
        _cleanup_error_ Error error = ERROR_NULL;
        run_end(run, error_oom(&error), &error);
}

/* ---- repair ----------------------------------------------------------------------------------- */

static void all_repaired(ReconcileRun *run) {
        run_end(run, 0, NULL);
}

static void tables_repaired(int r, const Error *e, void *userdata) {
        ReconcileRun *run = userdata;

        for (size_t i = 0; i < run->findings.n; i++)
                if (run->findings.items[i].kind == FINDING_TABLES) {
                        finding_settled(run, i, r, e);
                        return;
                }
        reconcile_put(run);
}

static void repair(ReconcileRun *run, size_t i) {
        if (run->hands_off && run->findings.items[i].kind != FINDING_UNFINISHED) {
                run->findings.items[i].error = strdup("Repair=no; netmgrctl reconcile repairs it");
                reconcile_put(run);
                return;
        }
        switch (run->findings.items[i].kind) {
        case FINDING_UNFINISHED:
                reconcile_repair_unfinished(run, i);
                break;
        case FINDING_MISSING:
                reconcile_repair_missing(run, i);
                break;
        case FINDING_HOST:
                reconcile_repair_ops(run, i);
                break;
        case FINDING_SANDBOX:
                reconcile_repair_sandbox(run, i);
                break;
        case FINDING_STRAY:
                reconcile_repair_stray(run, i);
                break;
        case FINDING_TABLES:
                manager_rebuild_tables(run->manager, tables_repaired, run);
                break;
        default: /* networks are through */
                reconcile_put(run);
                break;
        }
}

static void limits_renewed(int r _unused_, const Error *e _unused_, void *userdata) {
        reconcile_put(userdata);
}

/* The row is written before the qdiscs are set: a crash between leaves the old rate, and the kernel is
 * not asked for it. */
static void renew_limits(ReconcileRun *run) {
        Attachment *a;

        MAP_FOREACH (a, run->manager->attachments) {
                if (a->spec.shaping_mode != NET_SHAPING_SHAPE || a->lost ||
                    a->state != ATTACHMENT_UP || !reconcile_attachment(run, a->spec.id))
                        continue;
                run->waiting++;
                attachment_renew_limits(a, limits_renewed, run);
        }
}

static void repair_all(ReconcileRun *run) {
        size_t n = run->findings.n;

        if (run->findings.error < 0) {
                run_oom(run);
                return;
        }
        run->next = all_repaired;
        if (!run->dry_run) {
                if (n > 0 && !run->hands_off)
                        manager_set_health(run->manager, HEALTH_RECONCILE,
                                           "the kernel differs from the ledger; repairing");
                run->waiting += n;
                for (size_t i = 0; i < n; i++)
                        repair(run, i);
                if (run->renew_limits && !run->hands_off)
                        renew_limits(run);
                networks_release_unused(run->manager);
        }
        reconcile_put(run);
}

/* ---- looking ---------------------------------------------------------------------------------- */

static void tables_compared(int r, const Error *e, Differences *found, void *userdata) {
        ReconcileRun *run = userdata;

        if (r < 0) {
                log_warning("reconcile: %s", error_message(e));
                run->findings.tables_unseen = strf("the rule tables: %s", error_message(e));
        } else if (found->n > 0)
                (void) findings_add(&run->findings, FINDING_TABLES, "nftables", NULL, NULL, NULL,
                                    found);
        repair_all(run);
}

static void compare_tables(ReconcileRun *run) {
        if (!run->deep)
                repair_all(run);
        else if (manager_compare_tables(run->manager, tables_compared, run) < 0)
                run_oom(run);
}

static void look_inside(ReconcileRun *run) {
        Attachment *a;

        run->next = compare_tables;
        run->n_missing = run->n_ids;
        MAP_FOREACH (a, run->manager->attachments)
                if (a->state == ATTACHMENT_UP && !a->lost && a->spec.kind != NET_KIND_FOREIGN &&
                    (run->deep || a->unsure))
                        (void) reconcile_add_inside(run, a->spec.id);
        reconcile_look_inside(run);
        reconcile_put(run);
}

static void host_seen(ReconcileRun *run, const NlDump *d) {
        reconcile_find_host(run, d);
        look_inside(run);
}

static int host_look_run(Job *job, WorkerContext *w, Error *e) {
        HostLook *l = (HostLook *) job;

        int r = kernel_dump(w->host,
                            NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_NEIGHS,
                            &l->dump);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing what the host has");
        compare_index(&l->dump);
        return 0;
}

static void host_looked(Task *task) {
        HostLook *l = (HostLook *) task;
        ReconcileRun *run = l->run;

        if (task->r < 0)
                run_end(run, task->r, &task->error);
        else
                l->seen(run, &l->dump);
        error_clear(&task->error);
        kernel_dump_clear(&l->dump);
        free(l);
}

static void look_at_host(ReconcileRun *run, void (*seen)(ReconcileRun *run, const NlDump *d)) {
        HostLook *l = new0(HostLook, 1);

        if (!l) {
                run_oom(run);
                return;
        }
        run->began = now_monotonic();
        l->run = run;
        l->seen = seen;
        l->job.run = host_look_run;
        l->job.task.deliver = host_looked;
        workers_submit(run->manager->workers, &l->job);
}

/* Ports join their bridge again once it is there: that needs another look. */
static void networks_repaired(ReconcileRun *run) {
        look_at_host(run, host_seen);
}

static void networks_seen(ReconcileRun *run, const NlDump *d) {
        reconcile_find_networks(run, d);
        if (run->findings.error < 0) {
                run_oom(run);
                return;
        }
        if (run->dry_run || run->hands_off || run->findings.n == 0) {
                host_seen(run, d);
                return;
        }
        run->next = networks_repaired;
        size_t n = run->findings.n;
        run->waiting += n;
        for (size_t i = 0; i < n; i++)
                reconcile_repair_network(run, i);
        reconcile_put(run);
}

static void run_start(Reconciler *c, bool dry_run, bool deep) {
        c->running = true;
        c->run = (ReconcileRun) { .manager = c->manager,
                                  .owner = c,
                                  .dry_run = dry_run,
                                  .hands_off = !c->asked && !c->manager->conf.repair,
                                  .deep = deep,
                                  .renew_limits = c->renew_limits && !dry_run,
                                  .waiting = 1 };
        if (!dry_run)
                c->renew_limits = false;
        look_at_host(&c->run, networks_seen);
}

/* ---- when ------------------------------------------------------------------------------------- */

static int on_timer(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        Reconciler *c = userdata;

        if (c->running) {
                c->again = true;
                return 0;
        }
        c->again = c->retry = false;
        run_start(c, false, false);
        return 0;
}

/* The earliest wish counts. */
static void arm(Reconciler *c, uint64_t delay) {
        uint64_t usec = now_monotonic() + delay, set = 0;
        int state = SD_EVENT_OFF;

        if (sd_event_source_get_enabled(c->timer, &state) < 0 ||
            (state != SD_EVENT_OFF &&
             (sd_event_source_get_time(c->timer, &set) < 0 || set <= usec)))
                return;
        (void) sd_event_source_set_time(c->timer, usec);
        (void) sd_event_source_set_enabled(c->timer, SD_EVENT_ONESHOT);
}

static void start_next(Reconciler *c) {
        if (!list_is_empty(&c->waiters)) {
                c->asked = list_entry(c->waiters.next, ReconcileWaiter, list);
                list_unlink(&c->asked->list);
                run_start(c, c->asked->dry_run, true);
                return;
        }
        if (c->again)
                arm(c, c->delay);
        if (c->retry)
                arm(c, c->retry_delay);
}

void reconcile_soon(Manager *m) {
        Reconciler *c = m->reconciler;

        if (!c)
                return; /* the start looks at everything */
        if (c->running)
                c->again = true;
        else
                arm(c, c->delay);
}

void reconcile_at_start(Manager *m) {
        m->reconciler->renew_limits = true;
        run_start(m->reconciler, false, false);
}

int reconcile_request(Manager *m, bool dry_run, ReconcileDone done, void *userdata) {
        ReconcileWaiter *w = new0(ReconcileWaiter, 1);

        if (!w)
                return -ENOMEM;
        *w = (ReconcileWaiter) { .dry_run = dry_run, .done = done, .userdata = userdata };
        list_append(&m->reconciler->waiters, &w->list);
        if (!m->reconciler->running)
                start_next(m->reconciler);
        return 0;
}

int reconciler_new(Manager *m, Reconciler **ret) {
        _cleanup_(reconciler_freep) Reconciler *c = new0(Reconciler, 1);

        if (!c)
                return -ENOMEM;
        c->manager = m;
        c->delay = c->retry_delay = DELAY_FIRST_USEC;
        list_init(&c->waiters);
        int r = sd_event_add_time(m->event, &c->timer, CLOCK_MONOTONIC, 0, 0, on_timer, c);
        if (r >= 0)
                r = sd_event_source_set_enabled(c->timer, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

Reconciler *reconciler_free(Reconciler *c) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (!c)
                return NULL;
        int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd is ending; try again");
        if (c->asked)
                list_append(&c->waiters, &c->asked->list);
        while (!list_is_empty(&c->waiters)) {
                ReconcileWaiter *w = list_entry(c->waiters.next, ReconcileWaiter, list);
                list_unlink(&w->list);
                w->done(r, &error, &c->run.findings, w->userdata);
                free(w);
        }
        sd_event_source_disable_unref(c->timer);
        findings_clear(&c->run.findings);
        free(c->run.ids);
        free(c);
        return NULL;
}
