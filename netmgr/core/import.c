/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One sandbox's interfaces out of others' hands; see import.h. Steps: parse; what of it has ended since (the
 * ledger's history); whose namespace the path leads to (a worker); then everything is decided at once on the loop
 * and written in one commit.
 */

#include "core/import.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/delegate.h"
#include "core/history.h"
#include "core/import-internal.h"
#include "core/netns-look.h"
#include "core/network-internal.h"
#include "core/trail.h"
#include "core/wire.h"
#include "cri/import.h"

static const char *const source_names[_IMPORT_SOURCE_MAX] = {
        [IMPORT_MULTUS] = "multus",
        [IMPORT_HOST_LOCAL] = "host-local",
        [IMPORT_WHEREABOUTS] = "whereabouts-files",
};

ImportSource import_source_from_string(const char *s) {
        for (ImportSource i = 0; i < _IMPORT_SOURCE_MAX; i++)
                if (streq(source_names[i], s))
                        return i;
        return _IMPORT_SOURCE_INVALID;
}

/* One interface that is taken over. */
typedef struct Taken {
        const ImportAttachment *from; /* of the operation's pod */
        Attachment *attachment;       /* NULL: not made yet */
        char *plan; /* owned, as the rows' arrays; their texts are the attachment's */
        AttachmentRow row;
        AddressRow *addresses;
        size_t n_addresses;
        DelegateRow *delegates;
        size_t n_delegates;
        Trail trail;
} Taken;

typedef struct ImportOp {
        Commit commit; /* first member */
        Job job;
        Manager *manager;
        bool dry_run;
        RequestDone done;
        void *userdata;
        ImportPod pod;
        ImportReport report;
        Taken *taken; /* one per interface that is to be taken over */
        size_t n_taken;
        NetnsIdentity netns;
        bool identified;
        SandboxRow sandbox_row;
        bool put_sandbox;
} ImportOp;

#define IMPORT_OF_JOB(j) ((ImportOp *) ((char *) (j) -offsetof(ImportOp, job)))

static void import_end(ImportOp *op, int r, const Error *e) {
        import_report_end(&op->report, op->manager, r, e, op->done, op->userdata);
        for (size_t i = 0; i < op->n_taken; i++) {
                trail_clear(&op->taken[i].trail);
                free(op->taken[i].plan);
                free(op->taken[i].addresses);
                free(op->taken[i].delegates);
        }
        free(op->taken);
        import_pod_clear(&op->pod);
        free(op);
}

/* ---- the report ------------------------------------------------------------------------------- */

static json_object *row_of(const ImportAttachment *from) {
        json_object *o = import_report_row(from->container_id, from->ifname, from->network);
        json_object *addresses = json_object_new_array(), *plugins = json_object_new_array();

        if (!o) {
                json_object_put(addresses);
                json_object_put(plugins);
                return NULL;
        }
        for (size_t i = 0; i < from->n_addresses && addresses; i++)
                (void) json_append(addresses,
                                   json_object_new_string(IN_PREFIX_STR(&from->addresses[i])));
        for (size_t i = 0; i < from->n_plugins && plugins; i++)
                (void) json_append(plugins, json_object_new_string(from->plugins[i].type));
        int r = json_add(o, "addresses", addresses);
        r = json_add(o, "plugins", plugins) < 0 ? -ENOMEM : r;
        if (r >= 0 && json_add_string(o, "reference", from->reference) >= 0 &&
            json_add_string(o, "file", from->file) >= 0)
                return o;
        json_object_put(o);
        return NULL;
}

static void skip(ImportOp *op, const ImportAttachment *from, const char *reason) {
        import_report_add(&op->report, row_of(from), reason);
}

/* All or nothing: with the one that cannot be taken over goes the rest. */
static void skip_all(ImportOp *op, const ImportAttachment *because, const Error *e) {
        _cleanup_free_ char *also =
                        strf("goes with %s, which cannot be taken over", because->ifname);

        for (size_t i = 0; i < op->n_taken; i++)
                skip(op, op->taken[i].from,
                     op->taken[i].from == because ? error_message(e) : strempty(also));
        import_end(op, 0, NULL);
}

/* ---- what of it can be taken over --------------------------------------------------------------- */

/* The pool that an address of the network is held in. */
static char *pool_of(const Manager *m, const ImportAttachment *from) {
        const Network *n = network_find(m, from->network);

        return n && n->conf->n_sets > 0 ? strdup(network_pool(n)) : import_pool_name(from->network);
}

static bool is_same_holder(const Lease *l, const ImportAttachment *from) {
        return l->attachment == 0 && streq(l->sandbox, from->container_id) &&
               (!l->ifname[0] || streq(l->ifname, from->ifname));
}

static int check_pool(const Manager *m, const char *pool, const ImportAttachment *from, Error *e) {
        for (size_t i = 0; i < from->n_addresses; i++) {
                const Lease *l = ipam_find(m->ipam, pool, &from->addresses[i].address);

                if (l && l->released_usec == 0 && !is_same_holder(l, from))
                        return error_setf(e, ERROR_ADDRESS_IN_USE,
                                          "address %s is held by interface %s of sandbox %s on "
                                          "network %s; one of them has to go",
                                          IN_PREFIX_STR(&from->addresses[i]), l->ifname, l->sandbox,
                                          l->network);
        }
        return 0;
}

static int check_one(const Manager *m, const ImportAttachment *from, Error *e) {
        const Network *n = network_find(m, from->network);
        _cleanup_free_ char *pool = pool_of(m, from);

        if (!pool)
                return error_oom(e);
        if (n && (n->state == NETWORK_REMOVING || n->gone))
                return error_setf(e, ERROR_TRY_AGAIN, "network %s is being removed; try again",
                                  n->name);
        int r = check_pool(m, pool, from, e);
        return r < 0 ? r : check_pool(m, IPAM_POOL_HOST, from, e);
}

static int check_room(const ImportOp *op, Error *e) {
        const Sandbox *s = sandbox_find(op->manager, op->pod.container_id);

        if (map_size(op->manager->attachments) + op->n_taken > ATTACHMENTS_MAX)
                return error_setf(e, ERROR_TRY_AGAIN, "the node has %zu attachments, of at most %u",
                                  map_size(op->manager->attachments), ATTACHMENTS_MAX);
        if ((s ? s->n_attachments : 0) + op->n_taken > ATTACHMENTS_PER_SANDBOX_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "the sandbox would have %zu interfaces, of at most %u",
                                  (s ? s->n_attachments : 0) + op->n_taken,
                                  ATTACHMENTS_PER_SANDBOX_MAX);
        return 0;
}

/* 0, or a negative errno with the interface that cannot be. */
static int check_all(const ImportOp *op, const ImportAttachment **ret, Error *e) {
        *ret = op->taken[0].from;
        int r = check_room(op, e);
        for (size_t i = 0; i < op->n_taken && r >= 0; i++) {
                *ret = op->taken[i].from;
                r = check_one(op->manager, *ret, e);
        }
        return r;
}

/* Leaves out what is known by now. */
static void drop_known(ImportOp *op) {
        size_t n = 0;

        for (size_t i = 0; i < op->n_taken; i++) {
                const ImportAttachment *from = op->taken[i].from;

                if (attachment_find(op->manager, from->container_id, from->ifname))
                        skip(op, from, "known already");
                else
                        op->taken[n++] = op->taken[i];
        }
        op->n_taken = n;
}

/* ---- making it ---------------------------------------------------------------------------------- */

static int copy_text(char **to, const char *from) {
        free(*to);
        *to = from ? strdup(from) : NULL;
        return from && !*to ? -ENOMEM : 0;
}

static int fill_spec(const ImportOp *op, const ImportAttachment *from, AttachmentSpec *s) {
        if (copy_text(&s->cni_name, from->network) < 0 ||
            copy_text(&s->reference, from->reference) < 0 ||
            !(s->addresses = new0(SpecAddress, from->n_addresses + 1)))
                return -ENOMEM;
        for (; s->n_addresses < from->n_addresses; s->n_addresses++)
                s->addresses[s->n_addresses].address = from->addresses[s->n_addresses];
        s->imported = true;
        s->mac = from->mac;
        s->shaping_mode = NET_SHAPING_SHAPE; /* rules that police have a port of ours to go by */
        s->position = from->position;
        if (from->secondary)
                snprintf(s->parent, sizeof(s->parent), "%s", op->pod.default_ifname);
        return 0;
}

static int hold_addresses(const Manager *m, Taken *t, Error *e) {
        const ImportAttachment *from = t->from;
        Attachment *a = t->attachment;
        LeaseHolder holder = { .attachment = a->spec.id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = a->spec.ifname };
        _cleanup_free_ char *pool = pool_of(m, from);

        t->addresses = new0(AddressRow, from->n_addresses + 1);
        a->leases = new0(Lease *, from->n_addresses + 1);
        if (!pool || !t->addresses || !a->leases)
                return error_oom(e);
        for (size_t i = 0; i < from->n_addresses; i++) {
                const InPrefix *address = &from->addresses[i];
                Lease *l = ipam_find(m->ipam, pool, &address->address);

                /* What host-local's directory had reserved for it is its own from now on. */
                if (l && l->released_usec == 0 && is_same_holder(l, from))
                        ipam_release(m->ipam, l, now_realtime());
                int r = ipam_hold(m->ipam, pool, 0, &address->address, &holder, &l, e);
                if (r < 0)
                        return r;
                l->prefix_length = address->length;
                a->leases[a->n_leases++] = l;
                t->addresses[t->n_addresses++] = (AddressRow) { .attachment = a->spec.id,
                                                                .pool = l->pool,
                                                                .address = *address,
                                                                .network = l->network,
                                                                .sandbox = l->sandbox,
                                                                .ifname = l->ifname };
        }
        return 0;
}

static int add_delegates(Taken *t, Error *e) {
        const ImportAttachment *from = t->from;
        Attachment *a = t->attachment;

        t->delegates = new0(DelegateRow, from->n_plugins);
        if (!t->delegates)
                return error_oom(e);
        for (size_t i = 0; i < from->n_plugins; i++) {
                if (attachment_add_delegate(a, from->plugins[i].type, "", from->plugins[i].config,
                                            from->args) < 0)
                        return error_oom(e);
                int r = delegate_check_size(a, &a->delegates[i], e);
                if (r < 0)
                        return r;
        }
        /* Behind the loop: the array moves while it grows. */
        for (; t->n_delegates < from->n_plugins; t->n_delegates++)
                t->delegates[t->n_delegates] = delegate_row(a, &a->delegates[t->n_delegates]);
        return 0;
}

static int find_sandbox(ImportOp *op, const ImportAttachment *from, Sandbox **ret, Error *e) {
        _cleanup_error_ Error ignored = ERROR_NULL;
        Sandbox *s = sandbox_find(op->manager, from->container_id);
        CniArgs args = { 0 };

        if (!s && sandbox_new(op->manager, from->container_id, &s) < 0)
                return error_oom(e);
        (void) cni_args_parse(from->args, &args, &ignored);
        int r = sandbox_note(s, s->netns_path[0] ? NULL : from->netns, &args);
        cni_args_clear(&args);
        if (r >= 0 && op->identified && !s->netns_cookie)
                r = sandbox_identify(s, s->netns_path, &op->netns, e);
        if (r < 0) {
                sandbox_release_if_unused(s);
                return r == -ENOMEM ? error_oom(e) : r;
        }
        *ret = s;
        return 0;
}

static int make_one(ImportOp *op, Taken *t, Error *e) {
        const ImportAttachment *from = t->from;
        Sandbox *s;
        Network *n;

        int r = find_sandbox(op, from, &s, e);
        if (r < 0)
                return r;
        r = network_find_foreign(op->manager, from->network, &n, e);
        if (r >= 0 && attachment_new_foreign(op->manager, n, s, from->ifname, &t->attachment) < 0) {
                network_release_if_unused(n);
                r = error_oom(e);
        }
        if (r < 0) {
                sandbox_release_if_unused(s);
                return r;
        }
        Attachment *a = t->attachment;
        a->busy = true;
        a->config_hash[0] = '\0'; /* no network of ours says what it should be */
        if (fill_spec(op, from, &a->spec) < 0 || copy_text(&a->request, from->config) < 0 ||
            copy_text(&a->result, from->result) < 0)
                return error_oom(e);
        r = hold_addresses(op->manager, t, e);
        if (r >= 0)
                r = add_delegates(t, e);
        /* The row that the attachment's refers to goes first. */
        if (r >= 0 && !n->has_row && network_store(n, NULL, NULL) < 0)
                r = error_oom(e);
        if (r < 0 || spec_to_json(&a->spec, &t->plan) < 0)
                return r < 0 ? r : error_oom(e);
        trail_take(&t->trail, a);
        attachment_to_row(a, t->plan, &t->row);
        t->row.state = (char *) attachment_state_to_string(ATTACHMENT_UP);
        return 0;
}

static void unmake(ImportOp *op) {
        for (size_t i = op->n_taken; i-- > 0;) {
                Attachment *a = TAKE_PTR(op->taken[i].attachment);

                if (!a)
                        continue;
                if (op->put_sandbox)
                        a->sandbox->stored = false;
                attachment_forget_leases(a);
                attachment_free(a);
        }
}

/* ---- the commit --------------------------------------------------------------------------------- */

static int write_taken(const Taken *t, Store *store, Error *e) {
        EventRow event = trail_event(&t->trail, "import", t->trail.since_usec);

        int r = store_put_attachment(store, &t->row, e);
        for (size_t i = 0; i < t->n_addresses && r >= 0; i++)
                r = store_put_address(store, &t->addresses[i], e);
        for (size_t i = 0; i < t->n_delegates && r >= 0; i++)
                r = store_put_delegate(store, &t->delegates[i], e);
        return r < 0 ? r : store_add_event(store, &event, e);
}

static int write_import(Commit *c, Store *store, Error *e) {
        ImportOp *op = (ImportOp *) c;

        int r = op->put_sandbox ? store_put_sandbox(store, &op->sandbox_row, e) : 0;
        for (size_t i = 0; i < op->n_taken && r >= 0; i++)
                r = write_taken(&op->taken[i], store, e);
        return r;
}

static void import_written(Task *task) {
        ImportOp *op = (ImportOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0) {
                unmake(op);
                import_end(op, task->r, &error);
                error_clear(&error);
                return;
        }
        failpoint_past("import-written");
        for (size_t i = 0; i < op->n_taken; i++) {
                Attachment *a = op->taken[i].attachment;

                import_report_add(&op->report, row_of(op->taken[i].from), NULL);
                attachment_set_state(a, ATTACHMENT_UP);
        }
        log_ctx(LOG_NOTICE, &(LogContext) { .sandbox = op->pod.container_id, .op = "import" },
                "import: took over sandbox %s with %zu interfaces", op->pod.container_id,
                op->n_taken);
        /* Who waits for one of them may release it at once. */
        for (size_t i = 0; i < op->n_taken; i++)
                attachment_set_idle(op->taken[i].attachment);
        import_end(op, 0, NULL);
}

static void import_make(ImportOp *op) {
        const ImportAttachment *because;
        _cleanup_error_ Error error = ERROR_NULL;

        drop_known(op); /* somebody may have come while a worker looked */
        if (op->n_taken == 0) {
                import_end(op, 0, NULL);
                return;
        }
        int r = check_all(op, &because, &error);
        for (size_t i = 0; i < op->n_taken && r >= 0; i++) {
                because = op->taken[i].from;
                r = make_one(op, &op->taken[i], &error);
        }
        if (r < 0) {
                unmake(op);
                skip_all(op, because, &error);
                return;
        }
        Sandbox *s = op->taken[0].attachment->sandbox;
        op->put_sandbox = !s->stored;
        s->stored = true;
        sandbox_to_row(s, &op->sandbox_row);
        op->commit.durable =
                        true; /* the files that it comes from may be deleted behind the answer */
        op->commit.write = write_import;
        op->commit.task.deliver = import_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* ---- whose namespace ---------------------------------------------------------------------------- */

/* The path is foreign text: a device is not opened, and what does not lead to a namespace tells nothing. */
static int identify_run(Job *job, WorkerContext *w, Error *e _unused_) {
        ImportOp *op = IMPORT_OF_JOB(job);
        const char *path = op->taken[0].from->netns;
        _cleanup_(kernel_socket_freep) NlSocket *socket = NULL;
        _cleanup_error_ Error ignored = ERROR_NULL;
        _cleanup_close_ int fd = -EBADF;
        struct stat st;
        dev_t dev;
        ino_t ino;

        if (path[0] != '/' || netns_path_pid(path) > 0 || stat(path, &st) < 0 ||
            !S_ISREG(st.st_mode))
                return 0;
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 || fd_is_netns(fd, &dev, &ino) < 0 ||
            (dev == op->manager->netns_dev && ino == op->manager->netns_ino) ||
            wire_open_netns(w, fd, &socket, &op->netns.cookie, &ignored) < 0)
                return 0;
        op->netns.dev = dev;
        op->netns.ino = ino;
        netns_witness_make(path, dev, ino, &op->netns.witness);
        op->identified = true;
        return 0;
}

static void identified(Task *task) {
        ImportOp *op = IMPORT_OF_JOB(task);

        error_clear(&task->error);
        if (!op->manager->committer) {
                _cleanup_error_ Error error = ERROR_NULL;
                int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd is ending");
                import_end(op, r, &error);
                return;
        }
        import_make(op);
}

/* ---- what has ended ------------------------------------------------------------------------------- */

/* The files of others outlive what netmgr has ended: libcni deletes by the name that the network has now. */
static bool has_ended(const ImportAttachment *from, const HistoryRow *rows, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (rows[i].until_usec > from->written_usec &&
                    streq_ptr(rows[i].sandbox, from->container_id) &&
                    streq_ptr(rows[i].ifname, from->ifname))
                        return true;
        return false;
}

static void drop_ended(ImportOp *op, const HistoryRow *rows, size_t n_rows) {
        size_t n = 0;

        for (size_t i = 0; i < op->n_taken; i++)
                if (has_ended(op->taken[i].from, rows, n_rows))
                        skip(op, op->taken[i].from,
                             "it has ended since; the file is left over, and may be removed");
                else
                        op->taken[n++] = op->taken[i];
        op->n_taken = n;
}

static void history_known(int r, const Error *e, const HistoryRow *rows, size_t n,
                          bool truncated _unused_, void *userdata) {
        ImportOp *op = userdata;
        const ImportAttachment *because;
        _cleanup_error_ Error error = ERROR_NULL;

        if (r < 0 && e->kind != ERROR_INVALID_ARGUMENT) {
                import_end(op, r, e);
                return;
        }
        if (r >= 0)
                drop_ended(op, rows, n);
        drop_known(op);
        if (op->n_taken == 0) {
                import_end(op, 0, NULL);
                return;
        }
        r = check_all(op, &because, &error);
        if (r < 0) {
                skip_all(op, because, &error);
                return;
        }
        if (op->dry_run) {
                for (size_t i = 0; i < op->n_taken; i++)
                        import_report_add(&op->report, row_of(op->taken[i].from), NULL);
                import_end(op, 0, NULL);
                return;
        }
        if (!op->taken[0].from->netns) {
                import_make(op);
                return;
        }
        op->job.run = identify_run;
        op->job.task.deliver = identified;
        workers_submit(op->manager->workers, &op->job);
}

/* ---- the beginning -------------------------------------------------------------------------------- */

/* Only what is an interface of others; where there is none but the multiplexer's own, that is told. */
static int pick(ImportOp *op) {
        bool multiplexed = false;

        op->taken = new0(Taken, op->pod.n + 1);
        if (!op->taken)
                return -ENOMEM;
        for (size_t i = 0; i < op->pod.n; i++) {
                const ImportAttachment *from = &op->pod.list[i];

                multiplexed |= from->role == IMPORT_MULTIPLEXER;
                if (from->role == IMPORT_INTERFACE)
                        op->taken[op->n_taken++].from = from;
        }
        if (op->n_taken == 0 && multiplexed)
                import_report_add(&op->report, import_report_row(op->pod.container_id, NULL, NULL),
                                  "Multus' list of its interfaces is missing (--dir=)");
        return 0;
}

static void import_multus(Manager *m, const char *json, bool dry_run, RequestDone done,
                          void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        ImportOp *op = new0(ImportOp, 1);

        if (!op) {
                operation_end(m);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (ImportOp) { .manager = m, .dry_run = dry_run, .done = done, .userdata = userdata };
        int r = import_pod_parse(json, strlen(json), &op->pod, &error);
        if (r >= 0 && pick(op) < 0)
                r = error_oom(&error);
        if (r < 0 || op->n_taken == 0) {
                import_end(op, r, &error);
                return;
        }
        manager_ask_history(m,
                            &(HistoryQuery) { .filter = op->pod.container_id,
                                              .limit = HISTORY_MAX },
                            history_known, op);
}

void operation_import(Manager *m, ImportSource source, const char *json, bool dry_run,
                      RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;

        int r = operation_begin(m, &error);
        if (r < 0)
                done(r, &error, "", userdata);
        else if (source == IMPORT_MULTUS)
                import_multus(m, json, dry_run, done, userdata);
        else
                import_reserve(m, source, json, dry_run, done, userdata);
}
