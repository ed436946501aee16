/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The part of plugins of others in a release (op-del.c): their DELs, last first, by whoever called, else by
 * netmgr-exec. When nobody is there, or one fails, nothing is left of the attachment but the row, `releasing`, and
 * whoever comes next tries again: a runtime, or netmgrd itself (exec-retry.h).
 */

#include "base/log.h"
#include "core/exec-call.h"
#include "core/exec-retry.h"
#include "core/netns-look.h"
#include "core/ports.h"
#include "core/release-internal.h"

static int write_pending(Commit *c, Store *store, Error *e) {
        return store_delete_ports(store, RELEASE_OF_COMMIT(c)->trail.id, e);
}

static void pending_written(Task *task) {
        Release *rel = RELEASE_OF_COMMIT(task);

        manager_set_commit_health(rel->manager, &rel->commit);
        error_clear(&task->error);
        rel->writing = false;
        release_maybe_free(rel);
}

/* Nothing is left but what a delegate holds. Others may have its ports. */
static void release_leave_pending(Release *rel, int r, const Error *e) {
        Attachment *a = TAKE_PTR(rel->attachment);
        ReleaseDone done = rel->done;
        void *userdata = rel->userdata;
        bool recorded = rel->recorded;

        log_ctx(a->delegate_pending ? LOG_INFO : LOG_NOTICE,
                &(LogContext) { .sandbox = a->sandbox->id,
                                .network = a->network->name,
                                .interface = a->spec.ifname,
                                .op = rel->op },
                "%s: %s of %s is gone, but plugin %s still has to be told (%s); a DEL or GC by the runtime "
                "does it, or netmgr-exec",
                rel->op, a->spec.ifname, a->sandbox->id, a->delegates[a->n_delegates - 1].plugin,
                error_message(e));
        attachment_give_back_all_ports(a);
        a->delegate_pending = a->lost = true;
        attachment_announce(a);
        rel->writing = true;
        rel->commit.write = write_pending;
        rel->commit.task.deliver = pending_written;
        committer_submit(rel->manager->committer, &rel->commit);
        if (done)
                done(r < 0 ? r : recorded ? RELEASE_PENDING : RELEASE_UNRECORDED, e, userdata);
        exec_retry_add(a);
        attachment_set_idle(a);
}

static const char *plugin_to_tell(const Release *rel) {
        return rel->attachment->delegates[rel->attachment->n_delegates - 1].plugin;
}

/* r: for whoever called; 0: it is tried again without him. */
static void delegate_failed(Release *rel, int r, const Error *e) {
        if (!rel->behind) {
                release_leave_pending(rel, r, e);
                return;
        }
        rel->failed = true;
        rel->failed_r = r;
        (void) error_setf(&rel->error, e->kind, "%s", error_message(e));
        release_rest(rel);
}

static void delegate_ended(Question *q, int r, const TaskAnswer *answer) {
        Release *rel = list_entry(q, Release, question);
        _cleanup_error_ Error error = ERROR_NULL;

        rel->attachment->delegate_runs = false;
        if (r < 0 || answer->exit != 0) {
                r = delegate_error(plugin_to_tell(rel), "DEL", r, answer, &error);
                /* Whoever ran it himself hears of it as a failure; netmgr-exec is tried again. */
                delegate_failed(rel, rel->by_exec ? 0 : r, &error);
                return;
        }
        attachment_drop_delegate(rel->attachment);
        if (rel->behind)
                release_rest(rel);
        else
                release_delegates(rel);
}

/* A path that leads to the namespace of somebody else by now would have the plugin take his interface. */
static void ask_exec(Release *rel) {
        _cleanup_error_ Error error = ERROR_NULL;
        int r = 0;

        if (!rel->leads)
                rel->question.ticket.netns = (char *) "";
        rel->by_exec = true;
        if (exec_ask(rel->manager, &rel->question))
                return;
        rel->attachment->delegate_runs = false;
        if (rel->talk)
                r = delegate_error(plugin_to_tell(rel), "DEL", -EBUSY, NULL, &error);
        else
                (void) error_setf(&error, ERROR_TRY_AGAIN,
                                  "no runtime was there to run it, and netmgr-exec is not");
        delegate_failed(rel, r, &error);
}

static void netns_looked(NetnsView *views, size_t n, void *userdata) {
        Release *rel = userdata;

        rel->looked = true;
        rel->leads = n > 0 && views[0].found == NETNS_PATH_LEADS;
        ask_exec(rel);
}

static void look_at_netns(Release *rel) {
        _cleanup_(netns_look_freep) NetnsLook *look = NULL;

        if (rel->looked || netns_look_new(rel->manager, &look) < 0 ||
            netns_look_add(look, rel->attachment->sandbox) < 0)
                ask_exec(rel);
        else
                netns_look_start(TAKE_PTR(look), netns_looked, rel);
}

/* The last one's DEL. */
static void delegate_ask(Release *rel, bool behind) {
        Attachment *a = rel->attachment;

        delegate_ask_del(a, &a->delegates[a->n_delegates - 1], &rel->question);
        rel->question.answered = delegate_ended;
        rel->behind = behind;
        rel->by_exec = false;
        a->delegate_runs = true;
        if (!conversation_ask(rel->talk, &rel->question))
                look_at_netns(rel);
}

/* A row of one that had its DEL goes with the others: after a crash it has it once more, as CNI allows. */
void release_delegates(Release *rel) {
        if (rel->failed)
                release_leave_pending(rel, rel->failed_r, &rel->error);
        else if (rel->attachment->n_delegates == 0)
                release_finish(rel);
        else
                delegate_ask(rel, false);
}

bool release_behind(Release *rel) {
        const Attachment *a = rel->attachment;
        size_t maker = a->spec.kind == NET_KIND_FOREIGN ? 1 : 0;

        if (rel->failed || a->delegate_pending || a->n_delegates <= maker ||
            !a->delegates[a->n_delegates - 1].of_list)
                return false;
        delegate_ask(rel, true);
        return true;
}
