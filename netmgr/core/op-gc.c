/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * GC and STATUS.
 *
 * GC with a list releases every attachment of the network that is not in it. Without the key (libcni
 * leaves it out for "unknown") only what is provably dead goes: the host end vanished with its
 * netns. null and [] are lists: empty ones.
 */

#include <fcntl.h>

#include "base/fd.h"
#include "base/limits.h"
#include "core/operation.h"
#include "core/wire.h"

typedef struct GcOp {
        Manager *manager;
        Request request;
        NetConf *conf;
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
        error_clear(&op->first);
        free(op);
}

static void gc_released(int r, const Error *e, void *userdata) {
        GcOp *op = userdata;

        if (r < 0 && op->r >= 0) {
                op->r = r;
                (void) error_setf(&op->first, e->kind, "%s", error_message(e));
        }
        gc_put(op);
}

static bool is_valid(const GcOp *op, const Attachment *a) {
        for (size_t i = 0; i < op->conf->n_valid_attachments; i++)
                if (streq(op->conf->valid_attachments[i].container_id, a->sandbox->id) &&
                    streq(op->conf->valid_attachments[i].ifname, a->spec.ifname))
                        return true;
        return false;
}

/* Dead without doubt: the host end went with its netns; a loopback attachment has none and goes when
 * its path leads to another namespace or to nothing. */
static bool is_dead(const Attachment *a) {
        _cleanup_close_ int fd = -EBADF;
        dev_t dev;
        ino_t ino;

        if (a->spec.host_ifname[0])
                return a->lost;
        fd = open(a->sandbox->netns_path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT;
        return fd_is_netns(fd, &dev, &ino) < 0 || dev != (dev_t) a->sandbox->netns_dev ||
               ino != (ino_t) a->sandbox->netns_ino;
}

static void gc_walk(GcOp *op) {
        Attachment *a;

        MAP_FOREACH (a, op->manager->attachments) {
                if (a->busy || !attachment_is_of(a, op->conf->name))
                        continue;
                if (op->conf->has_valid_attachments ? is_valid(op, a) : !is_dead(a))
                        continue;
                op->waiting++;
                attachment_release(a, "gc",
                                   op->conf->has_valid_attachments
                                                   ? "not among the runtime's valid attachments"
                                                   : "its network namespace is gone",
                                   gc_released, op);
        }
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

        op->r = request_check_host(m, &op->request, &op->first);
        if (op->r >= 0)
                op->r = netconf_parse_envelope(op->request.config, op->request.config_size,
                                               &op->conf, &op->first);
        if (op->r >= 0 && !op->conf->name)
                op->r = error_setf(&op->first, ERROR_INVALID_ARGUMENT,
                                   "name: wanted the network's name, found nothing");
        if (op->r >= 0)
                gc_walk(op);
        gc_put(op);
}

/* --- STATUS ------------------------------------------------------------------------------------ */

typedef struct StatusOp {
        Job job; /* first member */
        Manager *manager;
        RequestDone done;
        void *userdata;
} StatusOp;

static void status_end(StatusOp *op, int r, const Error *e) {
        operation_end(op->manager);
        op->done(r, e, "", op->userdata);
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

static void status_ran(Task *task) {
        StatusOp *op = (StatusOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_health(op->manager, HEALTH_NSD, task->r < 0 ? error_message(&error) : NULL);
        status_end(op, task->r, &error);
        error_clear(&error);
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

static int status_check(Manager *m, const Request *q, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;

        int r = request_check_host(m, q, e);
        if (r >= 0)
                r = netconf_parse(q->config, q->config_size, &conf, e);
        if (r < 0)
                return r;
        if (!conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        if (!conf->network)
                return check_room(m, conf->name, conf, e);
        const Network *n = network_find(m, conf->network);
        if (!n || n->gone || n->source == NETWORK_CONFIG)
                return error_setf(e, ERROR_NOT_READY, "network: there is no network \"%s\"",
                                  conf->network);
        return check_room(m, n->name, n->conf, e);
}

void operation_status(Manager *m, Request *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        StatusOp *op = NULL;

        int r = status_check(m, q, &error);
        request_clear(q);
        if (r >= 0 && !(op = new0(StatusOp, 1)))
                r = error_oom(&error);
        if (r < 0) {
                done(r, &error, "", userdata);
                return;
        }
        *op = (StatusOp) { .manager = m, .done = done, .userdata = userdata };
        m->n_operations++;
        op->job.run = status_run;
        op->job.task.deliver = status_ran;
        workers_submit(m->workers, &op->job);
}
