/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See op-adjust.h. */

#include "core/op-adjust.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/adjust.h"
#include "core/enforce.h"
#include "core/sysctl-allow.h"
#include "core/wire.h"

typedef struct AdjustOp {
        Job job; /* first member */
        Commit commit;
        Manager *manager;
        Attachment *attachment; /* busy with us */
        AdjustRequest q;
        ChangeDone done;
        void *userdata;
        uint64_t cookie;
        uint32_t bridge_ifindex;

        NlSocket *pod;      /* closed before the answer: it pins the namespace */
        CniPrevResult prev; /* owned */
        NlDump seen;        /* owned: the sandbox before */
        char **old_sysctls; /* owned: what the files held, of the configuration's sysctls */

        AttachmentSpec other; /* owned: the wanted one, then the one before */
        bool new_mac;
        char *plan, *other_plan;  /* owned: the rows' JSON, now and before */
        char *other_result;       /* owned: the attachment's before; NULL: it had none */
        PolicyAttachment *policy; /* owned: of the new MAC, then of the old one again */
        AttachmentRow row;
        int r; /* why it failed */
        Error error;
} AdjustOp;

#define ADJUST_OF_COMMIT(t) ((AdjustOp *) ((char *) (t) -offsetof(AdjustOp, commit)))

/* Takes the sentence over: *e may be the operation's own. */
static void adjust_end(AdjustOp *op, int r, Error *e) {
        _cleanup_error_ Error error = *e;
        Attachment *a = op->attachment;
        const char *what = net_plugin_to_string(op->q.conf->plugin);

        *e = ERROR_NULL;
        log_ctx(r < 0 ? LOG_WARNING : LOG_INFO,
                &(LogContext) { .sandbox = a->sandbox->id,
                                .network = a->network->name,
                                .interface = a->spec.ifname,
                                .op = what,
                                .error = r },
                "%s: %s of %s%s%s", what, a->spec.ifname, a->sandbox->id, r < 0 ? ": " : "",
                r < 0 ? error_message(&error) : "");
        op->pod = kernel_socket_free(op->pod);
        for (size_t i = 0; op->old_sysctls && i < op->q.conf->n_sysctls; i++)
                free(op->old_sysctls[i]);
        op->done(r, &error, op->userdata);
        free(op->old_sysctls);
        cni_prev_result_clear(&op->prev);
        kernel_dump_clear(&op->seen);
        spec_clear(&op->other);
        policy_attachment_free(op->policy);
        free(op->plan);
        free(op->other_plan);
        free(op->other_result);
        error_clear(&op->error);
        free(op);
        attachment_set_idle(a);
}

/* The specification that was decided and the one before change places. */
static void swap(AdjustOp *op) {
        Attachment *a = op->attachment;
        AttachmentSpec spec = a->spec;
        char *result = a->result, *plan = op->plan;

        a->spec = op->other;
        op->other = spec;
        a->result = op->other_result;
        op->other_result = result;
        op->plan = op->other_plan;
        op->other_plan = plan;
}

/* ---- 4. undone -------------------------------------------------------------------------------- */

static int write_row(Commit *c, Store *store, Error *e) {
        return store_put_attachment(store, &ADJUST_OF_COMMIT(c)->row, e);
}

static int enforce_mac(Commit *c, Firewall *f) {
        return firewall_put(f, ADJUST_OF_COMMIT(c)->policy);
}

static void taken_back(Task *task) {
        AdjustOp *op = ADJUST_OF_COMMIT(task);

        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0)
                log_warning("%s: taking the row back: %s", op->attachment->spec.ifname,
                            error_message(&task->error));
        error_clear(&task->error);
        adjust_end(op, op->r, &op->error);
}

/* Hands row and elements of the attachment as it is now to the committer. */
static int adjust_commit(AdjustOp *op, void (*deliver)(Task *task), Error *e) {
        Attachment *a = op->attachment;

        policy_attachment_free(op->policy);
        op->policy = NULL;
        if (op->new_mac && enforce_concerns(a) && !(op->policy = enforce_attachment(a)))
                return error_oom(e);
        attachment_to_row(a, op->plan, &op->row);
        op->commit.write = write_row;
        op->commit.enforce = op->policy ? enforce_mac : NULL;
        op->commit.task.deliver = deliver;
        committer_submit(op->manager->committer, &op->commit);
        return 0;
}

static void take_back(AdjustOp *op, int r, Error *e) {
        _cleanup_error_ Error oom = ERROR_NULL;

        op->r = r;
        op->error = *e;
        *e = ERROR_NULL;
        swap(op);
        if (adjust_commit(op, taken_back, &oom) < 0)
                adjust_end(op, op->r, &op->error);
}

/* ---- 3. the kernel ---------------------------------------------------------------------------- */

/* A routed sandbox's MAC is known to the host by permanent entries. */
static int renew_neighbours(WorkerContext *w, const AttachmentSpec *s, Error *e) {
        NlOp op = { .type = NL_NEIGH_ADD, .what = "renew the sandbox's neighbour entry" };
        NlLink host;
        int r = 0;

        if (s->kind != NET_KIND_ROUTED)
                return 0;
        r = kernel_get_link(w->host, s->host_ifname, &host);
        for (size_t i = 0; i < s->n_addresses && r >= 0; i++) {
                op.neigh.ifindex = (int32_t) host.ifindex;
                op.neigh.address = s->addresses[i].address.address;
                op.neigh.mac = s->mac;
                r = kernel_apply(w->host, &op, 1, &(NlApplied) { 0 });
        }
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "telling the host the MAC of %s",
                                        s->ifname)
                     : 0;
}

static int set_sysctl(AdjustOp *op, WorkerContext *w, size_t i, Error *e) {
        const NetSysctl *y = &op->q.conf->sysctls[i];
        _cleanup_free_ char *name = spec_sysctl_name(y->name, op->attachment->spec.ifname);
        _cleanup_close_ int fd = -EBADF;
        size_t size;

        if (!name)
                return error_oom(e);
        int r = failpoint("sysctl-write");
        if (r >= 0)
                r = nsd_client_open(&w->nsd, op->q.netns_fd, NSD_OPEN_SYSCTL, name + strlen("net/"),
                                    &fd);
        if (r >= 0)
                /* Some can only be written; those stay. */
                (void) fd_read_full(fd, SYSCTL_VALUE_MAX, &op->old_sysctls[i], &size);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r >= 0)
                r = fd_write_all(fd, y->value, strlen(y->value));
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r,
                                        "sysctl %s: writing \"%s\" in the sandbox's netns", name,
                                        y->value)
                     : 0;
}

static int set_sysctls(AdjustOp *op, WorkerContext *w, Error *e) {
        int r = 0;

        for (size_t i = 0; i < op->q.conf->n_sysctls && r >= 0; i++)
                r = set_sysctl(op, w, i, e);
        return r;
}

static void restore_sysctls(AdjustOp *op, WorkerContext *w) {
        for (size_t i = op->q.conf->n_sysctls; i > 0; i--) {
                const char *old = op->old_sysctls[i - 1];
                _cleanup_free_ char *name = spec_sysctl_name(op->q.conf->sysctls[i - 1].name,
                                                             op->attachment->spec.ifname);
                if (!old || !name)
                        continue;
                int r = nsd_client_write_sysctl(&w->nsd, op->q.netns_fd, name + strlen("net/"),
                                                old);
                if (r < 0)
                        log_warning("undoing: writing %s again: %s", name, strerror(-r));
        }
}

static int apply_run(Job *job, WorkerContext *w, Error *e) {
        AdjustOp *op = (AdjustOp *) job;
        const AttachmentSpec *now = &op->attachment->spec;

        int r = set_sysctls(op, w, e);
        if (r >= 0)
                r = adjust_apply(op->pod, now, &op->seen, e);
        if (r >= 0 && op->new_mac)
                r = renew_neighbours(w, now, e);
        if (r >= 0 && op->new_mac && op->bridge_ifindex)
                wire_announce(w, op->bridge_ifindex, now);
        if (r < 0) {
                adjust_roll_back(op->pod, now, &op->other, &op->seen);
                restore_sysctls(op, w);
                if (op->new_mac)
                        (void) renew_neighbours(w, &op->other, NULL);
        }
        return r;
}

static void applied(Task *task) {
        AdjustOp *op = (AdjustOp *) task;
        const AttachmentSpec *now = &op->attachment->spec;

        if (task->r < 0) {
                take_back(op, task->r, &task->error);
                return;
        }
        if (op->new_mac)
                cni_result_set_mac(op->q.conf->prev_result, now->ifname, &now->mac);
        adjust_end(op, 0, &task->error);
}

/* ---- 2. row and elements ---------------------------------------------------------------------- */

/* Closed for the old MAC before it changes, and open for the new one. */
static void decided(Task *task) {
        AdjustOp *op = ADJUST_OF_COMMIT(task);

        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0 && !op->commit.written) {
                swap(op);
                adjust_end(op, task->r, &task->error);
                return;
        }
        if (task->r < 0) {
                take_back(op, task->r, &task->error);
                return;
        }
        op->job.run = apply_run;
        op->job.task.deliver = applied;
        workers_submit_next(op->manager->workers, &op->job);
}

static int decide_result(AdjustOp *op, Error *e) {
        const char *result = op->attachment->result;
        _cleanup_json_ json_object *o = NULL;

        if (!result)
                return 0;
        int r = json_parse(result, strlen(result), "result of the attachment", &o, e);
        if (r < 0)
                return r;
        if (op->new_mac)
                cni_result_set_mac(o, op->other.ifname, &op->other.mac);
        op->other_result = json_to_text(o);
        return op->other_result ? 0 : error_oom(e);
}

static int adjust_decide_all(AdjustOp *op, Error *e) {
        Attachment *a = op->attachment;

        int r = spec_copy(&a->spec, &op->other);
        if (r < 0)
                return error_oom(e);
        r = adjust_decide(&op->other, op->q.conf, op->q.args, &op->prev, &op->seen, e);
        if (r < 0)
                return r;
        op->new_mac = memcmp(&op->other.mac, &a->spec.mac, sizeof(a->spec.mac)) != 0;
        op->old_sysctls = new0(char *, op->q.conf->n_sysctls + 1);
        if (!op->old_sysctls || spec_to_json(&a->spec, &op->plan) < 0 ||
            spec_to_json(&op->other, &op->other_plan) < 0)
                return error_oom(e);
        r = decide_result(op, e);
        if (r < 0)
                return r;
        swap(op);
        r = adjust_commit(op, decided, e);
        if (r < 0)
                swap(op);
        return r;
}

/* ---- 1. a look -------------------------------------------------------------------------------- */

static int look_run(Job *job, WorkerContext *w, Error *e) {
        AdjustOp *op = (AdjustOp *) job;
        const NetConf *c = op->q.conf;
        uint64_t cookie;

        int r = sysctl_allow_check(op->q.allowlist, c->sysctls, c->n_sysctls, e);
        if (r >= 0)
                r = wire_open_netns(w, op->q.netns_fd, &op->pod, &cookie, e);
        if (r < 0)
                return r;
        if (op->cookie && cookie != op->cookie)
                return error_setf(
                                e, ERROR_EXISTS,
                                "the sandbox is known with another network namespace (cookie %" PRIu64
                                ", now %" PRIu64 "); DEL its interfaces first",
                                op->cookie, cookie);
        r = kernel_dump(op->pod, ADJUST_DUMP, &op->seen);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking into the sandbox's netns");
        compare_index(&op->seen);
        return 0;
}

static void looked(Task *task) {
        AdjustOp *op = (AdjustOp *) task;

        int r = task->r;
        if (r >= 0)
                r = adjust_decide_all(op, &task->error);
        if (r < 0)
                adjust_end(op, r, &task->error);
}

static int adjust_begin(AdjustOp *op, Error *e) {
        const Attachment *a = op->attachment;
        const NetConf *c = op->q.conf;

        if (!c->prev_result)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "prevResult: type %s changes what a plugin before it in the chain "
                                "has made, found nothing",
                                net_plugin_to_string(c->plugin));
        if (a->spec.kind == NET_KIND_LOOPBACK)
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "interface %s of sandbox %s is of kind loopback, which type %s "
                                  "does not change",
                                  a->spec.ifname, a->sandbox->id, net_plugin_to_string(c->plugin));
        return cni_prev_result_parse(c->prev_result, c->cni_version, &op->prev, e);
}

void attachment_adjust(Attachment *a, const AdjustRequest *q, ChangeDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        AdjustOp *op;

        if (a->busy || a->state != ATTACHMENT_UP || a->lost) {
                int r = error_setf(
                                &error, ERROR_TRY_AGAIN,
                                "interface %s of sandbox %s is being worked on (state %s); try again",
                                a->spec.ifname, a->sandbox->id,
                                attachment_state_to_string(a->state));
                done(r, &error, userdata);
                return;
        }
        op = new0(AdjustOp, 1);
        if (!op) {
                done(error_oom(&error), &error, userdata);
                return;
        }
        *op = (AdjustOp) { .manager = a->manager,
                           .attachment = a,
                           .q = *q,
                           .done = done,
                           .userdata = userdata,
                           .cookie = a->sandbox->netns_cookie,
                           .bridge_ifindex = a->spec.kind == NET_KIND_BRIDGE
                                                             ? a->network->bridge_ifindex
                                                             : 0 };
        a->busy = true;
        int r = adjust_begin(op, &error);
        if (r < 0) {
                adjust_end(op, r, &error);
                return;
        }
        op->job.run = look_run;
        op->job.task.deliver = looked;
        workers_submit(op->manager->workers, &op->job);
}
