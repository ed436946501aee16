/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Changes of leases; see dhcp-change.h. What only renews the times is one row. What changes addresses or
 * routes makes the attachment busy: a worker changes the sandbox, then one commit changes the rows and the
 * rule tables. A crash in between leaves the old rows: the next start renews or ends the lease again.
 */

#include "core/dhcp-change.h"

#include <stdio.h>

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log-ids.h"
#include "core/dhcp-internal.h"
#include "core/enforce.h"
#include "core/flows.h"
#include "core/inside.h"
#include "core/trail.h"

/* --- times only -------------------------------------------------------------------------------- */

typedef struct TimesWrite {
        Commit commit; /* first member */
        Manager *manager;
        LeaseRow row; /* owned copy */
} TimesWrite;

static int write_times(Commit *c, Store *store, Error *e) {
        return store_update_lease(store, &((TimesWrite *) c)->row, e);
}

static void times_written(Task *task) {
        TimesWrite *w = (TimesWrite *) task;

        /* Not written: the next start asks the server a little early, which it will do anyway. */
        manager_set_commit_health(w->manager, &w->commit);
        error_clear(&task->error);
        lease_row_clear(&w->row);
        free(w);
}

static void renew_times(DhcpBinding *b, LeaseRow *row) {
        Manager *m = b->attachment->manager;
        TimesWrite *w = new0(TimesWrite, 1);
        LogContext ctx = dhcp_log_context(b, 0, NULL);

        lease_row_clear(&b->row);
        b->row = *row;
        *row = (LeaseRow) { 0 };
        log_ctx(LOG_DEBUG, &ctx, "the lease of %s of %s was renewed by %s for %u s",
                b->attachment->spec.ifname, b->attachment->sandbox->id, IN_ADDR_STR(&b->row.server),
                b->row.lease_sec);
        dhcp_binding_start(b);
        if (!w || dhcp_row_copy(&b->row, &w->row) < 0) {
                free(w);
                return;
        }
        w->manager = m;
        w->commit.write = write_times;
        w->commit.task.deliver = times_written;
        committer_submit(m->committer, &w->commit);
}

/* --- what changes the sandbox ------------------------------------------------------------------ */

typedef struct LeaseChange {
        Job job; /* first member */
        Commit commit;
        Attachment *attachment; /* busy with us */
        const char *op;         /* for the event and the journal; static */
        char *reason;           /* owned; NULL: none */
        AttachmentSpec from, to;
        char *path; /* owned */
        uint64_t cookie, usec;
        Lease *lease; /* of the new address; NULL: none */
        bool held;    /* by us, just now */
        /* rows */
        LeaseRow row;
        AddressRow address_row;
        AttachmentRow attachment_row;
        char *plan, *result;
        PolicyAttachment *policy;
        Trail trail;
} LeaseChange;

#define CHANGE_OF_COMMIT(t) ((LeaseChange *) ((char *) (t) -offsetof(LeaseChange, commit)))

static void change_free(LeaseChange *c) {
        spec_clear(&c->from);
        spec_clear(&c->to);
        lease_row_clear(&c->row);
        policy_attachment_free(c->policy);
        trail_clear(&c->trail);
        free(c->reason);
        free(c->path);
        free(c->plan);
        free(c->result);
        free(c);
}

/* It stays as it was; the keeper tries again. */
static void change_failed(LeaseChange *c, int r, const char *sentence) {
        Attachment *a = c->attachment;
        LogContext ctx = dhcp_log_context(a->dhcp, r, sentence);

        log_ctx(LOG_WARNING, &ctx, "%s of %s of %s: %s", c->op, a->spec.ifname, a->sandbox->id,
                sentence);
        if (c->held)
                ipam_forget(a->manager->ipam, c->lease);
        dhcp_wake_for_retry(a->dhcp);
        change_free(c);
        attachment_set_idle(a);
}

static int change_run(Job *job, WorkerContext *w, Error *e) {
        LeaseChange *c = (LeaseChange *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;

        int r = inside_open(w, -EBADF, c->path, c->cookie, NULL, &pod, e);
        if (r >= 0)
                r = dhcp_apply(pod, &c->from, &c->to, e);
        failpoint_past("dhcp-applied");
        return r;
}

static int change_write(Commit *commit, Store *store, Error *e) {
        LeaseChange *c = CHANGE_OF_COMMIT(commit);
        EventRow event = trail_event(&c->trail, c->op, c->usec);

        event.reason = c->reason;
        int r = store_release_addresses(store, c->to.id, c->usec, e);
        if (r >= 0 && c->lease)
                r = store_put_address(store, &c->address_row, e);
        if (r >= 0)
                r = store_put_attachment(store, &c->attachment_row, e);
        if (r >= 0)
                r = store_update_lease(store, &c->row, e);
        return r < 0 ? r : store_add_event(store, &event, e);
}

static int change_enforce(Commit *commit, Firewall *f) {
        return firewall_put(f, CHANGE_OF_COMMIT(commit)->policy);
}

static void swap_leases(LeaseChange *c) {
        Attachment *a = c->attachment;

        for (size_t i = 0; i < a->n_leases; i++)
                if (a->leases[i] != c->lease)
                        ipam_release(a->manager->ipam, a->leases[i], c->usec);
        a->n_leases = 0;
        if (c->lease)
                a->leases[a->n_leases++] = c->lease;
        /* Who gets the old address next must not inherit its flows. */
        for (size_t i = 0; i < c->from.n_addresses && enforce_concerns(a); i++)
                if (c->to.n_addresses == 0 || !in_addr_equal(&c->from.addresses[i].address.address,
                                                             &c->to.addresses[0].address.address))
                        flows_forget_address(a->manager->flows,
                                             &c->from.addresses[i].address.address);
}

static void tell_change(const LeaseChange *c, bool over) {
        const Attachment *a = c->attachment;
        LogContext ctx = dhcp_log_context(a->dhcp, 0, c->reason);
        char *address = attachment_addresses_text(a);

        ctx.address = address;
        if (over)
                log_event(LOG_WARNING, LOG_ID_LEASE_OVER, &ctx,
                          "the lease of %s of %s is over, the interface is down: %s",
                          a->spec.ifname, a->sandbox->id, strempty(c->reason));
        else
                log_ctx(LOG_NOTICE, &ctx, "%s of %s has %s by DHCP now", a->spec.ifname,
                        a->sandbox->id, strempty(address));
        free(address);
}

static void change_written(Task *task) {
        LeaseChange *c = CHANGE_OF_COMMIT(task);
        Attachment *a = c->attachment;
        const ManagerObserver *o = &a->manager->observer;
        DhcpBinding *b = a->dhcp;

        _cleanup_error_ Error error = task->error; /* the task is part of what is freed */

        manager_set_commit_health(a->manager, &c->commit);
        task->error = ERROR_NULL;
        if (!c->commit.written) {
                change_failed(c, task->r, error_message(&error));
                return;
        }
        /* What the rule tables refused is built anew from what the objects say. */
        swap_leases(c);
        bool over = c->to.lease_over;
        spec_clear(&a->spec);
        a->spec = c->to;
        c->to = (AttachmentSpec) { 0 };
        free(a->result);
        a->result = TAKE_PTR(c->result);
        lease_row_clear(&b->row);
        b->row = c->row;
        c->row = (LeaseRow) { 0 };
        tell_change(c, over);
        dhcp_binding_start(b);
        if (o->attachment_changed)
                o->attachment_changed(a, o->userdata);
        change_free(c);
        attachment_set_idle(a);
}

static void changed(Task *task) {
        LeaseChange *c = (LeaseChange *) task;

        _cleanup_error_ Error error = task->error;

        task->error = ERROR_NULL;
        if (task->r < 0) {
                change_failed(c, task->r, error_message(&error));
                return;
        }
        c->usec = now_realtime();
        c->commit.write = change_write;
        c->commit.enforce = c->policy ? change_enforce : NULL;
        c->commit.task.deliver = change_written;
        committer_submit(c->attachment->manager->committer, &c->commit);
}

/* Rows, rule elements and result of the specification that will be. It is put in place for a moment, since
 * all of these are made of attachments. */
static int change_derive(LeaseChange *c, Error *e) {
        Attachment *a = c->attachment;
        AttachmentSpec now = a->spec;

        a->spec = c->to;
        int r = spec_to_json(&a->spec, &c->plan);
        if (r >= 0)
                r = spec_to_result(&a->spec, a->sandbox->netns_path, "1.1.0", &c->result, e);
        if (r >= 0 && enforce_concerns(a) && !(c->policy = enforce_attachment(a)))
                r = -ENOMEM;
        if (r >= 0) {
                attachment_to_row(a, c->plan, &c->attachment_row);
                c->attachment_row.result = c->result;
                trail_take(&c->trail, a);
        }
        /* Its names are part of the struct: the row must borrow those that stay. */
        a->spec = now;
        c->attachment_row.ifname = a->spec.ifname;
        c->attachment_row.host_ifname = a->spec.host_ifname[0] ? a->spec.host_ifname : NULL;
        return r;
}

static LeaseChange *change_new(DhcpBinding *b, const char *op, const char *reason) {
        Attachment *a = b->attachment;
        LeaseChange *c = new0(LeaseChange, 1);

        if (!c)
                return NULL;
        c->attachment = a;
        c->op = op;
        c->reason = reason ? strdup(reason) : NULL;
        c->cookie = a->sandbox->netns_cookie;
        c->path = strdup(a->sandbox->netns_path);
        if (!c->path || spec_copy(&a->spec, &c->from) < 0 || spec_copy(&a->spec, &c->to) < 0 ||
            dhcp_row_copy(&b->row, &c->row) < 0) {
                change_free(c);
                return NULL;
        }
        return c;
}

static void change_start(LeaseChange *c) {
        Attachment *a = c->attachment;
        _cleanup_error_ Error error = ERROR_NULL;

        a->busy = true;
        int r = change_derive(c, &error);
        if (r < 0) {
                change_failed(c, r, error_is_set(&error) ? error_message(&error) : strerror(-r));
                return;
        }
        c->job.run = change_run;
        c->job.task.deliver = changed;
        workers_submit(a->manager->workers, &c->job);
}

/* --- addresses --------------------------------------------------------------------------------- */

int dhcp_hold_address(Attachment *a, const InPrefix *address, Lease **ret, Error *e) {
        NetRange range = { .subnet = { .address = in_prefix_first(address),
                                       .length = address->length },
                           .start = address->address,
                           .end = address->address };
        NetRangeSet set = { .ranges = &range, .n_ranges = 1 };
        LeaseHolder holder = { .attachment = a->spec.id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = a->spec.ifname };
        IpamGrant grant;

        int r = ipam_allocate(a->manager->ipam, a->network->name, 0, &set, &address->address,
                              &holder, &grant, e);
        if (r < 0)
                return r;
        grant.lease->prefix_length = address->length;
        *ret = grant.lease;
        return 0;
}

AddressRow dhcp_address_row(const Attachment *a, const SpecAddress *address) {
        return (AddressRow) { .attachment = a->spec.id,
                              .pool = a->network->name,
                              .address = address->address,
                              .gateway = address->gateway,
                              .network = a->network->name,
                              .sandbox = a->sandbox->id,
                              .ifname = (char *) a->spec.ifname };
}

/* The one that it has, or one more for the time of the change. */
static int find_lease(LeaseChange *c, Error *e) {
        Attachment *a = c->attachment;
        const SpecAddress *want = &c->to.addresses[0];

        c->address_row = dhcp_address_row(a, want);
        for (size_t i = 0; i < a->n_leases; i++)
                if (in_addr_equal(&a->leases[i]->address, &want->address.address)) {
                        c->lease = a->leases[i];
                        c->lease->prefix_length = want->address.length;
                        return 0;
                }
        /* Of one that was loaded without an address there is no array. */
        Lease **leases = reallocarray(a->leases, a->n_leases + 1, sizeof(Lease *));
        if (!leases)
                return error_oom(e);
        a->leases = leases;
        int r = dhcp_hold_address(a, &want->address, &c->lease, e);
        c->held = r >= 0;
        return r;
}

void dhcp_take_lease(DhcpBinding *b, const DhcpLease *l, uint32_t age_ms) {
        Attachment *a = b->attachment;
        _cleanup_error_ Error error = ERROR_NULL;
        LeaseChange *c = change_new(b, "lease-changed", NULL);
        uint64_t began = now_boottime() - age_ms * 1000ULL;

        if (!c || dhcp_row_update(&c->row, l, now_realtime() - age_ms * 1000ULL, began) < 0 ||
            dhcp_spec_apply(l, b->row.priority, !a->spec.lease_dns, &c->to) < 0) {
                if (c)
                        change_free(c);
                dhcp_wake_soon(b);
                return;
        }
        if (dhcp_spec_equal(&c->from, &c->to)) {
                renew_times(b, &c->row);
                change_free(c);
                return;
        }
        if (a->busy) {
                change_free(c);
                dhcp_wake_soon(b);
                return;
        }
        int r = find_lease(c, &error);
        if (r < 0) {
                a->busy = true;
                change_failed(c, r, error_message(&error));
        } else
                change_start(c);
}

void dhcp_end_lease(DhcpBinding *b, const char *reason) {
        LeaseChange *c = b->attachment->busy ? NULL : change_new(b, "lease-over", reason);

        if (!c) {
                dhcp_wake_soon(b);
                return;
        }
        dhcp_spec_end(&c->to);
        c->row.expired = true;
        change_start(c);
}

/* --- lowered again ----------------------------------------------------------------------------- */

static int lower_run(Job *job, WorkerContext *context, Error *e) {
        DhcpWork *w = (DhcpWork *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        NlOp down = { .type = NL_LINK_SET, .what = "lower the interface" };

        int r = inside_open(context, -EBADF, w->path, w->cookie, NULL, &pod, e);
        if (r < 0)
                return r;
        snprintf(down.link.name, sizeof(down.link.name), "%s", w->ifname);
        down.link.mask = NL_LINK_UP;
        return kernel_apply(pod, &down, 1, &(NlApplied) { 0 });
}

static void lowered(Task *task) {
        DhcpWork *w = (DhcpWork *) task;

        /* Gone, or up without an address: neither does harm. */
        error_clear(&task->error);
        if (w->binding)
                w->binding->work = NULL;
        free(w->path);
        free(w);
}

void dhcp_lower_again(DhcpBinding *b) {
        DhcpWork *w = b->work ? NULL : dhcp_work_new(b);

        if (!w)
                return;
        w->job.run = lower_run;
        w->job.task.deliver = lowered;
        workers_submit(b->attachment->manager->workers, &w->job);
}
