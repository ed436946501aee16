/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GC and STATUS.
 *
 * GC never takes what lives and may be another runtime's: two runtimes on one node may use the same
 * network name, CNI does not say which of them is calling, and each lists its own only. So being
 * left out of the list is no proof; what happened to the namespace is:
 *
 *   path leads to the namespace        kept, and the journal says so: nobody deleted it, so it is somebody's
 *   path no longer leads there         released, even while an interface is left: who made the namespace has
 *                                      removed it, and the caller disclaims it. One that a runtime has claimed
 *                                      (Synchronize) stays until its interface goes: its own runtime decides
 *   path proves nothing from here      the host end decides: there: kept; gone, or never had one: released
 *   could not look                     kept, and GC fails: the runtime calls it again
 *
 * What is listed stays whatever was found. null and [] are lists: empty ones. Without the key (libcni
 * leaves it out for "unknown") only what is dead beyond doubt goes: path gone and no host end left.
 */

#include <fcntl.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/choose.h"
#include "core/delegate.h"
#include "core/dhcp-call.h"
#include "core/exec-call.h"
#include "core/host-local.h"
#include "core/netns-look.h"
#include "core/op-networks.h"
#include "core/wire.h"

typedef struct GcOp {
        Manager *manager;
        Request request;
        NetConf *conf;
        Map *listed; /* "ID/IFNAME" of the list; NULL: the caller sent none */
        RequestDone done;
        void *userdata;
        size_t waiting; /* releases under way, and the walk itself */
        int r;
        Error first; /* all of it is tried; the first failure is told */
} GcOp;

static void gc_put(GcOp *op) {
        if (--op->waiting > 0)
                return;
        operation_end(op->manager);
        op->done(op->r, &op->first, "", op->userdata);
        request_clear(&op->request);
        netconf_free(op->conf);
        map_free(op->listed);
        error_clear(&op->first);
        free(op);
}

static void gc_failed(GcOp *op, int r, const Error *e) {
        if (op->r < 0)
                return;
        op->r = r;
        (void) error_setf(&op->first, e->kind, "%s", error_message(e));
}

static void gc_released(int r, const Error *e, void *userdata) {
        GcOp *op = userdata;

        if (r < 0)
                gc_failed(op, r, e);
        gc_put(op);
}

/* Neither part of a key that we have contains a slash, so that no two pairs make the same one. */
static int gc_read_list(GcOp *op) {
        if (!op->conf->has_valid_attachments)
                return 0;
        op->listed = map_new();
        if (!op->listed)
                return -ENOMEM;
        for (size_t i = 0; i < op->conf->n_valid_attachments; i++) {
                _cleanup_free_ char *key =
                                strf("%s/%s", op->conf->valid_attachments[i].container_id,
                                     op->conf->valid_attachments[i].ifname);
                int r = key ? map_put_str(op->listed, key, op) : -ENOMEM;
                if (r < 0 && r != -EEXIST)
                        return r;
        }
        return 0;
}

static bool is_listed(const GcOp *op, const Attachment *a) {
        char key[CONTAINER_ID_MAX + IFNAME_LEN_MAX + 2];

        snprintf(key, sizeof(key), "%s/%s", a->sandbox->id, attachment_root(a)->spec.ifname);
        return map_get_str(op->listed, key) != NULL;
}

/* Ours to judge: of the network (or it came with an interface of it), idle, and not listed. */
static bool is_candidate(const GcOp *op, const Attachment *a) {
        return !a->busy && !a->delegate_pending &&
               attachment_is_of(attachment_root(a), op->conf->name) &&
               !(op->listed && is_listed(op, a));
}

/* Why it goes, or NULL: it stays. See the head of the file. */
static const char *gc_reason(const GcOp *op, const Sandbox *s, const NetnsView *v) {
        SandboxFate fate = netns_view_fate(v);

        if (fate == FATE_DEAD)
                return netns_view_reason(v);
        if (!op->listed)
                return NULL;
        if (fate == FATE_LINGERING && !s->runtime[0])
                return "not among the runtime's valid attachments, and its path no longer leads to its "
                       "network namespace";
        if (fate == FATE_UNCLEAR && v->found == NETNS_PATH_UNSEEN && v->n_links == 0)
                return "not among the runtime's valid attachments, and no sign of life";
        return NULL;
}

static void gc_keep(GcOp *op, const Attachment *a, const NetnsView *v) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (v->found == NETNS_PATH_UNKNOWN)
                gc_failed(op,
                          error_setf(&error, ERROR_TRY_AGAIN,
                                     "sandbox %s: its network namespace \"%.256s\" could not be looked "
                                     "at; kept, try again later",
                                     a->sandbox->id, a->sandbox->netns_path),
                          &error);
        else if (op->listed)
                log_ctx(LOG_NOTICE,
                        &(LogContext) { .sandbox = a->sandbox->id,
                                        .network = a->network->name,
                                        .interface = a->spec.ifname,
                                        .op = "gc" },
                        "gc: %s of %s is not in the list, but stays: %s", a->spec.ifname,
                        a->sandbox->id, netns_view_reason(v));
}

/* What waits for somebody who tells its delegates: here is one. */
static void gc_release_pending(GcOp *op) {
        Attachment *a;

        if (!task_can_be_asked(op->manager, op->request.talk))
                return;
        MAP_FOREACH (a, op->manager->attachments) {
                if (!a->delegate_pending || a->busy ||
                    !attachment_is_of(attachment_root(a), op->conf->name))
                        continue;
                op->waiting++;
                attachment_release_for(a, -EBADF, op->request.talk, "gc",
                                       "its delegates had not been told", gc_released, op);
        }
}

/* ---- host-local's --------------------------------------------------------------------------------- */

typedef struct Unlisted {
        GcOp *op;
        HostLocalOwner *owners; /* owned; the texts are the leases' */
        size_t n, allocated;
} Unlisted;

static bool is_listed_owner(const GcOp *op, const Lease *l) {
        for (size_t i = 0; i < op->conf->n_valid_attachments; i++)
                if (streq(op->conf->valid_attachments[i].container_id, l->sandbox) &&
                    (!l->ifname[0] || streq(op->conf->valid_attachments[i].ifname, l->ifname)))
                        return true;
        return false;
}

/* Without a name it is what a crash of host-local left, whose ADD had failed. */
static void add_unlisted(const Lease *l, void *userdata) {
        Unlisted *u = userdata;

        if (is_listed_owner(u->op, l) || u->n >= HOST_LOCAL_ENTRIES_MAX ||
            GREEDY_REALLOC(u->owners, u->allocated, u->n + 1) < 0)
                return;
        u->owners[u->n++] = (HostLocalOwner) { l->sandbox, l->ifname };
}

/* These have no namespace that could be looked at: the list decides, as for the reference plugins. */
static void gc_release_host_local(GcOp *op) {
        Unlisted u = { .op = op };
        bool files = op->request.host_local && conversation_is_open(op->request.talk);

        if (op->listed && host_local_concerns(op->request.type))
                host_local_visit(op->manager, op->conf->name, add_unlisted, &u);
        if (u.n > 0) {
                op->waiting++;
                host_local_release(op->manager, op->conf->name, files ? op->request.talk : NULL,
                                   u.owners, u.n, gc_released, op);
        }
        free(u.owners);
}

static void gc_looked(NetnsView *views, size_t n, void *userdata) {
        GcOp *op = userdata;
        Attachment *a;

        for (size_t i = 0; i < n; i++) {
                const Sandbox *s = netns_view_sandbox(op->manager, &views[i]);
                if (!s)
                        continue;
                const char *reason = gc_reason(op, s, &views[i]);
                LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                        if (!is_candidate(op, a))
                                continue;
                        if (!reason) {
                                gc_keep(op, a, &views[i]);
                                continue;
                        }
                        op->waiting++;
                        attachment_release_for(a, -EBADF, op->request.talk, "gc", reason,
                                               gc_released, op);
                }
        }
        gc_release_pending(op);
        gc_release_host_local(op);
        gc_put(op);
}

static bool has_candidate(const GcOp *op, const Sandbox *s) {
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (is_candidate(op, a))
                        return true;
        return false;
}

static int gc_look(GcOp *op, Error *e) {
        _cleanup_(netns_look_freep) NetnsLook *look = NULL;
        const Sandbox *s;

        if (netns_look_new(op->manager, &look) < 0)
                return error_oom(e);
        MAP_FOREACH (s, op->manager->sandboxes)
                if (has_candidate(op, s) && netns_look_add(look, s) < 0)
                        return error_oom(e);
        netns_look_start(TAKE_PTR(look), gc_looked, op);
        return 0;
}

void operation_gc(Manager *m, Request *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        GcOp *op = new0(GcOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (GcOp) {
                .manager = m, .request = *q, .done = done, .userdata = userdata, .waiting = 1
        };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        m->n_operations++;
        if (op->request.talk)
                op->request.talk->max_tickets = TICKETS_PER_GC_MAX;

        op->r = request_check_host(m, &op->request, &op->first);
        if (op->r >= 0)
                op->r = netconf_parse_envelope_as(net_plugin_from_string(op->request.type),
                                                  op->request.config, op->request.config_size,
                                                  &op->conf, &op->first);
        if (op->r >= 0 && !op->conf->name)
                op->r = error_setf(&op->first, ERROR_INVALID_ARGUMENT,
                                   "name: wanted the network's name, found nothing");
        if (op->r >= 0 && gc_read_list(op) < 0)
                op->r = error_oom(&op->first);
        if (op->r >= 0)
                op->r = gc_look(op, &op->first);
        if (op->r < 0)
                gc_put(op);
}

/* --- STATUS ------------------------------------------------------------------------------------ */

typedef struct StatusOp {
        Job job; /* first member */
        Manager *manager;
        RequestDone done;
        void *userdata;
        char *delegate; /* owned; asked last, NULL: there is none */
        Conversation *talk;
        Question question;
} StatusOp;

static void status_end(StatusOp *op, int r, const Error *e) {
        operation_end(op->manager);
        op->done(r, e, "", op->userdata);
        free(op->delegate);
        free(op);
}

/* netmgr-nsd is asked for a socket in the host's own netns: proof that ADD could go on. */
static int status_run(Job *job _unused_, WorkerContext *w, Error *e) {
        _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        _cleanup_(kernel_socket_freep) NlSocket *s = NULL;
        _cleanup_error_ Error error = ERROR_NULL;
        uint64_t cookie;

        int r = own < 0 ? error_set_errnof(&error, ERROR_INTERNAL, errno, "opening the own netns")
                        : wire_open_netns(w, own, &s, &cookie, &error);
        return r < 0 ? error_setf(e, ERROR_NOT_READY, "%s", error_message(&error)) : 0;
}

static void delegate_told(Question *q, int r, const TaskAnswer *answer) {
        StatusOp *op = list_entry(q, StatusOp, question);
        _cleanup_error_ Error error = ERROR_NULL;

        if (r < 0 || answer->exit != 0)
                r = delegate_error(op->delegate, "STATUS", r, answer, &error);
        status_end(op, r, &error);
}

static void status_ran(Task *task) {
        StatusOp *op = (StatusOp *) task;
        _cleanup_error_ Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_health(op->manager, HEALTH_NSD, task->r < 0 ? error_message(&error) : NULL);
        if (task->r >= 0 && op->delegate) {
                delegate_ask_own(op->delegate, "STATUS", PLUGIN_STATUS_ANSWER_SEC, &op->question);
                op->question.answered = delegate_told;
                if (conversation_ask(op->talk, &op->question))
                        return;
        }
        status_end(op, task->r, &error);
}

/* Every range set gives one address per ADD: the fullest decides. */
static int check_room(Manager *m, const char *pool_network, const NetConf *conf, Error *e) {
        for (size_t i = 0; i < conf->n_sets; i++) {
                const NetRangeSet *set = &conf->sets[i];
                const Network *n = network_find(m, pool_network);
                uint64_t capacity = range_set_capacity(set);
                uint64_t held = n ? ipam_count_held(m->ipam, network_pool(n), set) : 0;

                if (held >= capacity)
                        return error_setf(
                                        e, ERROR_NOT_READY,
                                        "no free address on network %s: all %llu of subnet %s are in use",
                                        pool_network, (unsigned long long) capacity,
                                        IN_PREFIX_STR(&set->ranges[0].subnet));
        }
        return 0;
}

/* Whether an ADD would find one of them. */
static int check_group(Manager *m, const NetConf *group, Error *e) {
        _cleanup_error_ Error why = ERROR_NULL;
        _cleanup_free_ char *reason = NULL;
        Network *n;

        if (network_choose(m, group, &n, &reason, &why) >= 0)
                return 0;
        return error_setf(e, ERROR_NOT_READY, "%s", error_message(&why));
}

static int status_check(Manager *m, const Request *q, char **ret_delegate, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;

        int r = request_check_host(m, q, e);
        if (r >= 0)
                r = netconf_parse_as(net_plugin_from_string(q->type), q->config, q->config_size,
                                     &conf, e);
        if (r < 0)
                return r;
        if (!conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        if (conf->any_of)
                return check_group(m, conf, e);
        if (!conf->network && conf->ipam == NET_IPAM_FOREIGN) {
                *ret_delegate = strdup(conf->ipam_type);
                return *ret_delegate ? 0 : error_oom(e);
        }
        if (!conf->network)
                return conf->ipam == NET_IPAM_DHCP ? dhcp_call_probe(m, e)
                                                   : check_room(m, conf->name, conf, e);
        Network *n;
        if (network_resolve(m, conf->network, &n, NULL) < 0)
                return error_setf(e, ERROR_NOT_READY, "network: there is no network \"%s\"",
                                  conf->network);
        if (n->conf->any_of)
                return check_group(m, n->conf, e);
        return n->conf->ipam == NET_IPAM_DHCP ? dhcp_call_probe(m, e)
                                              : check_room(m, n->name, n->conf, e);
}

void operation_status(Manager *m, Request *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        _cleanup_free_ char *delegate = NULL;
        Conversation *talk = q->talk;
        StatusOp *op = NULL;

        int r = status_check(m, q, &delegate, &error);
        request_clear(q);
        if (r >= 0 && !(op = new0(StatusOp, 1)))
                r = error_oom(&error);
        if (r < 0) {
                done(r, &error, "", userdata);
                return;
        }
        *op = (StatusOp) { .manager = m,
                           .done = done,
                           .userdata = userdata,
                           .delegate = TAKE_PTR(delegate),
                           .talk = talk };
        m->n_operations++;
        op->job.run = status_run;
        op->job.task.deliver = status_ran;
        workers_submit(m->workers, &op->job);
}
