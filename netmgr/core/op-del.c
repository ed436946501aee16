/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * DEL, and the release of an attachment on behalf of GC, recovery and repeated ADD.
 *
 * The row becomes `releasing` before the link is touched; a crash after that is finished at the next
 * start. The answer waits for the kernel's word that the host end is gone (and with it, in the same
 * instant, the interface in the sandbox), not for the RCU wait behind it. The final rows are written
 * after the answer: if they are lost, recovery finds a `releasing` row whose link is gone.
 *
 * What delegates hold is given back (release-delegates.c): by those that a list has behind the plugin that made
 * the interface before the link goes, by that plugin of others and IPAM plugins after it.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/adjust.h"
#include "core/audit.h"
#include "core/dhcp.h"
#include "core/enforce.h"
#include "core/exec-retry.h"
#include "core/guest.h"
#include "core/host-local.h"
#include "core/import.h"
#include "core/netns-watch.h"
#include "core/op-networks.h"
#include "core/reconcile.h"
#include "core/release-internal.h"
#include "cri/netconf.h"

void release_maybe_free(Release *rel) {
        if (rel->reaping || rel->writing || rel->attachment)
                return;
        trail_clear(&rel->trail);
        inside_job_clear(&rel->inside);
        error_clear(&rel->error);
        free(rel->reason);
        free(rel);
}

static int write_end(Commit *c, Store *store, Error *e) {
        Release *rel = RELEASE_OF_COMMIT(c);
        EventRow event = trail_end(&rel->trail, rel->op, rel->reason, rel->usec);

        int r = store_release_addresses(store, rel->trail.id, rel->usec, e);
        if (r >= 0)
                r = store_delete_attachment(store, rel->trail.id, e);
        if (r >= 0 && rel->drop_sandbox)
                r = store_delete_sandbox(store, rel->trail.sandbox, e);
        if (r >= 0)
                r = store_add_event(store, &event, e);
        return r;
}

static void end_written(Task *task) {
        Release *rel = RELEASE_OF_COMMIT(task);

        manager_set_commit_health(rel->manager, &rel->commit);
        error_clear(&task->error);
        /* It is gone, and has been answered: a full disk can delay its end, never prevent it. */
        if (task->r < 0 && committer_owe(rel->manager->committer, &rel->commit))
                return;
        if (rel->commit.owed)
                reconcile_soon(rel->manager); /* its network may go now */
        rel->writing = false;
        release_maybe_free(rel);
}

static void release_tell(const Release *rel) {
        LogContext ctx = { .sandbox = rel->trail.sandbox,
                           .network = rel->trail.network,
                           .interface = rel->trail.ifname,
                           .op = rel->op,
                           .address = rel->trail.addresses,
                           .reason = rel->reason,
                           .attachment = rel->trail.id };

        if (audit_op_is_reap(rel->op))
                audit_reaped(rel->manager, &ctx);
        else
                log_ctx(LOG_INFO, &ctx, "%s: %s of %s released %s", rel->op, rel->trail.ifname,
                        rel->trail.sandbox, strempty(rel->trail.addresses));
}

/* Nothing is held any more. */
void release_finish(Release *rel) {
        Attachment *a = TAKE_PTR(rel->attachment);
        Manager *m = rel->manager;

        a->releasing = NULL;
        rel->usec = now_realtime();
        rel->drop_sandbox = a->sandbox->n_attachments == 1;
        if (rel->drop_sandbox)
                a->sandbox->stored = false;
        attachment_release_leases(a, rel->usec);

        rel->writing = true;
        rel->commit.write = write_end;
        /* `enforce` once more: nothing to do, unless it failed when the row became `releasing`. */
        rel->commit.task.deliver = end_written;
        committer_submit(m->committer, &rel->commit);

        release_tell(rel);
        attachment_free(a);
        exec_retry_ended(m);
        if (rel->done)
                rel->done(rel->recorded ? 0 : RELEASE_UNRECORDED, NULL, rel->userdata);
}

/* The interface is gone from both namespaces. */
static void release_link_gone(Release *rel) {
        rel->link_gone = true;
        rel->attachment->releasing = NULL;
        release_delegates(rel);
}

static void release_failed(Release *rel, int r) {
        Attachment *a = TAKE_PTR(rel->attachment);
        _cleanup_error_ Error error = ERROR_NULL;

        a->releasing = NULL;
        r = error_set_errnof(&error, ERROR_KERNEL, r, "%s %s",
                             a->spec.kind == NET_KIND_FOREIGN ? "restoring" : "deleting",
                             spec_host_end(&a->spec));
        if (rel->done)
                rel->done(r, &error, rel->userdata);
        /* The row says `releasing`: it is tried again until it works. */
        attachment_set_idle(a);
        reconcile_soon(rel->manager);
}

static void reap_delivered(Task *task) {
        Release *rel = (Release *) task;
        int r = task->r;

        rel->reaping = false;
        error_clear(&task->error);
        if (rel->attachment && !rel->link_gone && r < 0)
                release_failed(rel, r);
        else if (rel->attachment && !rel->link_gone)
                release_link_gone(rel);
        release_maybe_free(rel);
}

void attachment_link_gone(Attachment *a) {
        a->lost = true;
        if (a->releasing)
                release_link_gone(a->releasing);
        else if (a->state == ATTACHMENT_UP)
                netns_watch_suspect(a->manager->netns_watch, a->sandbox);
}

void attachment_link_lost(Attachment *a) {
        reconcile_soon(a->manager);
        if (a->lost_told)
                return;
        a->lost_told = true;
        log_ctx(LOG_WARNING,
                &(LogContext) { .sandbox = a->sandbox->id,
                                .network = a->network->name,
                                .interface = a->spec.host_ifname },
                "%s was deleted, but the network namespace of its sandbox %s lives: %s will be made anew",
                a->spec.host_ifname, a->sandbox->id, a->spec.ifname);
}

static int write_releasing(Commit *c, Store *store, Error *e) {
        Release *rel = RELEASE_OF_COMMIT(c);
        return store_set_attachment_state(store, rel->trail.id,
                                          attachment_state_to_string(ATTACHMENT_RELEASING), 0, NULL,
                                          e);
}

/* Cut first: from here on nothing passes the interface, and its ports lead nowhere. */
static int enforce_releasing(Commit *c, Firewall *f) {
        return firewall_remove(f, RELEASE_OF_COMMIT(c)->trail.id);
}

/* ---- somebody else's interface ------------------------------------------------------------------- */

static int restore_run(Job *job, WorkerContext *w, Error *e) {
        Release *rel = (Release *) ((char *) job - offsetof(Release, restore));

        return host_end_restore(w->host, &rel->host, rel->limits, rel->localnet, e);
}

static void restored(Task *task) {
        Release *rel = (Release *) ((char *) task - offsetof(Release, restore.task));
        int r = task->r;

        rel->reaping = false;
        if (r < 0) {
                log_warning("%s: %s", rel->op, error_message(&task->error));
                error_clear(&task->error);
                release_failed(rel, r);
        } else
                release_link_gone(rel);
        release_maybe_free(rel);
}

/* The last whose host ports lead by that link sets back what the first has set. */
static bool is_last_by_its_way(const Attachment *a) {
        const Attachment *other;

        MAP_FOREACH (other, a->manager->attachments)
                if (other != a && other->spec.set_localnet &&
                    other->state != ATTACHMENT_RELEASING &&
                    streq(spec_way_in(&other->spec), spec_way_in(&a->spec)))
                        return false;
        return true;
}

/* False: nothing was set. */
static bool release_foreign(Release *rel) {
        const AttachmentSpec *s = &rel->attachment->spec;

        host_end_of(s, &rel->host);
        rel->limits = s->shaping_mode == NET_SHAPING_SHAPE &&
                      (s->bandwidth.ingress_rate > 0 || s->bandwidth.egress_rate > 0);
        rel->localnet = s->set_localnet && is_last_by_its_way(rel->attachment);
        if (s->kind != NET_KIND_FOREIGN || (!rel->limits && !rel->localnet))
                return false;
        rel->reaping = true;
        rel->restore.run = restore_run;
        rel->restore.task.deliver = restored;
        workers_submit(rel->manager->workers, &rel->restore);
        return true;
}

static void release_links(Release *rel) {
        Attachment *a = rel->attachment;

        if (release_foreign(rel))
                return;
        if (spec_shapes_egress(&a->spec))
                spec_ifb_name(&a->spec, rel->reap.ifb);
        if (!a->spec.host_ifname[0] || (a->lost && !rel->reap.ifb[0])) {
                release_link_gone(rel);
                return;
        }
        a->releasing = rel;
        rel->reaping = true;
        rel->reap.task.deliver = reap_delivered;
        snprintf(rel->reap.name, sizeof(rel->reap.name), "%s", a->spec.host_ifname);
        rel->reap.ifindex = a->host_ifindex;
        rel->reap.mac = a->spec.host_mac;
        reaper_submit(rel->manager->reaper, &rel->reap);
}

/* -ESTALE: nobody leads there any more, and what is inside goes with the namespace, if it has not. The
 * end of a veth pair goes whatever is left inside. */
static void inside_delivered(Task *task) {
        Release *rel = (Release *) ((char *) task - offsetof(Release, inside));
        int r = task->r == -ESTALE ? 0 : task->r;

        rel->reaping = false;
        if (r < 0)
                log_warning("%s: %s", rel->op, error_message(&task->error));
        error_clear(&task->error);
        if (kind_has_host_end(rel->attachment->spec.kind) ||
            (r >= 0 && rel->attachment->spec.kind == NET_KIND_FOREIGN)) {
                release_links(rel);
                return;
        }
        if (r < 0)
                release_failed(rel, r);
        else if (release_foreign(rel))
                return;
        else
                release_link_gone(rel);
        release_maybe_free(rel);
}

/* What the host has no part of is deleted, or set back, where it is. */
static void release_inside(Release *rel) {
        rel->reaping = true;
        rel->inside.job.task.deliver = inside_delivered;
        workers_submit(rel->manager->workers, &rel->inside.job);
}

void release_rest(void *userdata) {
        Release *rel = userdata;
        const Attachment *a = rel->attachment;

        if (release_behind(rel))
                return;
        if (a->delegate_pending)
                release_link_gone(rel); /* it was before */
        else if (kind_is_inside(a->spec.kind) || adjust_outlives(&a->spec))
                release_inside(rel);
        else
                release_links(rel);
}

static void releasing_written(Task *task) {
        Release *rel = RELEASE_OF_COMMIT(task);
        Attachment *a = rel->attachment;

        /* A ledger that cannot be written is no reason to keep a sandbox: go on, and say so. */
        manager_set_commit_health(rel->manager, &rel->commit);
        error_clear(&task->error);
        rel->writing = false;
        rel->recorded = rel->commit.written;

        /* Who gets the address next must not inherit its flows. */
        for (size_t i = 0; i < a->spec.n_addresses && enforce_concerns(a); i++)
                flows_forget_address(rel->manager->flows, &a->spec.addresses[i].address.address);
        rel->commit.enforce = enforce_concerns(a) ? enforce_releasing : NULL;
        bool waits = dhcp_give_back(a, rel->netns_fd, release_rest, rel);
        rel->netns_fd = safe_close(rel->netns_fd);
        if (!waits)
                release_rest(rel);
}

void attachment_release(Attachment *a, const char *op, const char *reason, ReleaseDone done,
                        void *userdata) {
        attachment_release_in(a, -EBADF, op, reason, done, userdata);
}

void attachment_release_in(Attachment *a, int netns_fd, const char *op, const char *reason,
                           ReleaseDone done, void *userdata) {
        attachment_release_for(a, netns_fd, NULL, op, reason, done, userdata);
}

void attachment_release_for(Attachment *a, int netns_fd, Conversation *talk, const char *op,
                            const char *reason, ReleaseDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Release *rel = new0(Release, 1);

        if (rel) {
                trail_take(&rel->trail, a);
                rel->netns_fd = a->dhcp && netns_fd >= 0 ? fd_dup(netns_fd) : -EBADF;
        }
        if (!rel || inside_job_init(&rel->inside, a, &netns_fd) < 0 || !rel->trail.sandbox ||
            !rel->trail.network || !rel->trail.ifname) {
                safe_close(netns_fd);
                if (rel) {
                        safe_close(rel->netns_fd);
                        trail_clear(&rel->trail);
                        inside_job_clear(&rel->inside);
                }
                free(rel);
                if (a->state != ATTACHMENT_UP)
                        reconcile_soon(a->manager);
                /* Busy with the ADD that gives up, perhaps: who waits may try. */
                attachment_set_idle(a);
                if (done)
                        done(error_oom(&error), &error, userdata);
                return;
        }
        a->busy = true;
        rel->manager = a->manager;
        rel->attachment = a;
        rel->talk = talk;
        rel->done = done;
        rel->userdata = userdata;
        rel->op = op;
        rel->reason = reason ? strdup(reason) : NULL; /* without memory it is told without */
        attachment_set_state(a, ATTACHMENT_RELEASING);

        rel->writing = true;
        rel->commit.write = write_releasing;
        /* A lease is given back by way of the interface: it is cut when it is deleted, right behind. */
        rel->commit.enforce = enforce_concerns(a) && !a->dhcp ? enforce_releasing : NULL;
        rel->commit.enforce_anyway = true;
        rel->commit.task.deliver = releasing_written;
        committer_submit(rel->manager->committer, &rel->commit);
}

typedef struct DelOp {
        AttachmentWaiter waiter; /* first member */
        Manager *manager;
        Request request;
        char *cni_name;
        RequestDone done;
        void *userdata;
        bool members_begun; /* those without delegates have been released, as far as they can be */
        unsigned members_waiting; /* of these, who has not ended */
        uint32_t tried; /* members from this position on have been released, as far as they can be */
        int r;          /* why one was not */
        Error error;
} DelOp;

static void del_end(DelOp *op, int r, const Error *e) {
        if (r >= 0 && op->r < 0) {
                r = op->r;
                e = &op->error;
        }
        operation_end(op->manager);
        op->done(r, e, "", op->userdata);
        error_clear(&op->error);
        request_clear(&op->request);
        free(op->cni_name);
        free(op);
}

static void del_given_back(int r, const Error *e, void *userdata) {
        del_end(userdata, r, e);
}

/* What the reference plugin host-local had given to this interface, or has of ours (MirrorHostLocal=). */
static void del_host_local(DelOp *op) {
        const Request *q = &op->request;
        const HostLocalOwner owner = { q->container_id, q->ifname };
        bool known = host_local_concerns(q->type) &&
                     host_local_has(op->manager, op->cni_name, q->container_id, q->ifname),
             files = q->host_local && conversation_is_open(q->talk) &&
                     (known || op->manager->conf.mirror_host_local);

        if (known || files)
                host_local_release(op->manager, op->cni_name, files ? q->talk : NULL, &owner, 1,
                                   del_given_back, op);
        else
                del_end(op, 0, NULL);
}

static void del_reservations_back(int r, const Error *e, const char *result _unused_,
                                  void *userdata) {
        if (r < 0)
                del_end(userdata, r, e);
        else
                del_host_local(userdata);
}

/* What others had given to this interface before netmgr was there (import.h). */
static void del_reservations(DelOp *op) {
        if (!import_release(op->manager, op->request.container_id, op->request.ifname,
                            del_reservations_back, op))
                del_host_local(op);
}

/* DEL succeeds also when the kernel refuses to delete the link: the sandbox is cut off, its row says
 * `releasing`, and the deletion is tried again. Only without memory for that the caller has to ask again. */
static void del_released(int r, const Error *e, void *userdata) {
        if (r >= 0 || e->kind == ERROR_KERNEL)
                del_reservations(userdata);
        else
                del_end(userdata, r, e);
}

static void del_start(DelOp *op);

static void del_woken(AttachmentWaiter *w) {
        del_start((DelOp *) w);
}

/* One that fails does not keep the others. */
static void del_member_ended(DelOp *op, int r, const Error *e) {
        if (r >= 0 || e->kind == ERROR_KERNEL || op->r < 0)
                return;
        op->r = r;
        (void) error_setf(&op->error, e->kind, "%s", error_message(e));
}

static void del_member_released(int r, const Error *e, void *userdata) {
        DelOp *op = userdata;

        del_member_ended(op, r, e);
        del_start(op);
}

static void del_one_of_many_released(int r, const Error *e, void *userdata) {
        DelOp *op = userdata;

        del_member_ended(op, r, e);
        if (--op->members_waiting == 0)
                del_start(op);
}

/* Somebody works on it, and is told to give up where he can be. */
static void del_await(DelOp *op, Attachment *a) {
        attachment_abandon_add(a);
        list_append(&a->waiters, &op->waiter.list);
}

/* Interfaces that are netmgr's alone go together: the kernel ends them in one wait. True: there are some. */
static bool del_own_members(DelOp *op) {
        Attachment *a, *found[ATTACHMENTS_PER_SANDBOX_MAX];
        const Sandbox *s = sandbox_find(op->manager, op->request.container_id);
        size_t n = 0;

        if (!s || op->members_begun)
                return false;
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                if (!streq(a->spec.parent, op->request.ifname))
                        continue;
                if (a->busy) {
                        del_await(op, a);
                        return true;
                }
                if (a->n_delegates == 0 && n < ELEMENTSOF(found))
                        found[n++] = a;
        }
        op->members_begun = true;
        op->members_waiting = 1; /* until all have been begun */
        for (size_t i = 0; i < n; i++) {
                if (found[i]->busy)
                        continue; /* whoever was woken by the one before took it */
                op->members_waiting++;
                attachment_release_for(found[i], fd_dup(op->request.netns_fd), NULL, "del", NULL,
                                       del_one_of_many_released, op);
        }
        return --op->members_waiting > 0;
}

/* What came with the interface goes before it; what plugins of others have made the last first. True: there is
 * some. */
static bool del_members(DelOp *op) {
        const Request *q = &op->request;

        if (networks_abandon(op->manager, q->container_id, q->ifname, op->cni_name, &op->waiter) ||
            del_own_members(op))
                return true;
        Attachment *a = attachment_last_member(op->manager, q->container_id, q->ifname, op->tried);
        if (!a)
                return false;
        if (a->busy) {
                del_await(op, a);
                return true;
        }
        op->tried = a->spec.position;
        attachment_release_for(a, fd_dup(q->netns_fd), q->talk, "del", NULL, del_member_released,
                               op);
        return true;
}

/* Everything that exists for the key goes, whatever the configuration says now. */
static void del_start(DelOp *op) {
        Attachment *a = attachment_find(op->manager, op->request.container_id, op->request.ifname);

        if (a && guest_is_of(a, op->request.type)) {
                guest_give_back(a, del_released, op);
                return;
        }
        /* What came with another network's interface goes with that one. */
        if (a && !attachment_is_meant(a, op->cni_name)) {
                del_reservations(op);
                return;
        }
        if (a)
                a->ending = true;
        if (del_members(op))
                return;
        a = attachment_find(op->manager, op->request.container_id, op->request.ifname);

        if (!a || !a->network || !attachment_is_meant(a, op->cni_name)) {
                del_reservations(op);
                return;
        }
        if (a->busy) {
                del_await(op, a);
                return;
        }
        attachment_release_for(a, TAKE_FD(op->request.netns_fd), op->request.talk, "del", NULL,
                               del_released, op);
}

static int del_parse(DelOp *op, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;

        int r = netconf_parse_envelope_as(net_plugin_from_string(op->request.type),
                                          op->request.config, op->request.config_size, &conf, e);
        if (r < 0)
                return r;
        if (!conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        op->cni_name = TAKE_PTR(conf->name);
        return request_check_ids(&op->request, e);
}

void operation_del(Manager *m, Request *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        DelOp *op = new0(DelOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (DelOp) { .waiter.idle = del_woken,
                        .manager = m,
                        .request = *q,
                        .done = done,
                        .userdata = userdata,
                        .tried = UINT32_MAX };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };

        /* The queue's limit does not hold for DEL: refusing it is what makes nodes leak. The number
         * of attachments bounds it. */
        m->n_operations++;
        int r = request_check_host(m, &op->request, &error);
        if (r >= 0)
                r = del_parse(op, &error);
        if (r < 0)
                del_end(op, r, &error);
        else
                del_start(op);
}
