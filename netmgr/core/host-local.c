/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reservations out of host-local's directory; see host-local.h. */

#include "core/host-local.h"

#include <inttypes.h>

#include "base/limits.h"
#include "base/log.h"
#include "core/delegate.h"
#include "cri/host-local.h"

/* What is known of the directory of one network. */
typedef struct Import {
        char *path;
        uint64_t stamp;
} Import;

/* Seconds for one look into the directory, most of which may go by in wait for its lock. */
#define TASK_SEC 10U

static void import_free(Import *i) {
        free(i->path);
        free(i);
}

void host_local_free(Manager *m) {
        Import *i;

        if (m->imports)
                MAP_FOREACH (i, m->imports)
                        import_free(i);
        m->imports = map_free(m->imports);
}

static Import *import_of(Manager *m, const char *network) {
        Import *i = map_get_str(m->imports, network);

        if (i)
                return i;
        i = new0(Import, 1);
        if (i && ((i->path = strdup("")) == NULL || map_put_str(m->imports, network, i) < 0)) {
                import_free(i);
                i = NULL;
        }
        return i;
}

int host_local_load(Manager *m, ImportRow *row) {
        Import *i = import_of(m, row->network);

        if (!i)
                return -ENOMEM;
        free(i->path);
        i->path = TAKE_PTR(row->path);
        i->stamp = row->stamp;
        return 0;
}

static const char *path_of(const Network *n) {
        return n->conf->data_dir ? n->conf->data_dir : HOST_LOCAL_DIR_DEFAULT;
}

bool host_local_concerns(const char *type) {
        return !net_plugin_is_chained(net_plugin_from_string(type));
}

bool network_is_host_local(const NetConf *c) {
        return c->plugin != NET_PLUGIN_NETMGR && c->ipam == NET_IPAM_LOCAL &&
               streq_ptr(c->ipam_type, "host-local");
}

bool host_local_is_new(const Network *n, uint64_t stamp) {
        const Import *i = map_get_str(n->manager->imports, n->name);

        if (!network_is_host_local(n->conf))
                return false;
        return i ? i->stamp != stamp || !streq(i->path, path_of(n)) : stamp != 0;
}

/* ---- reservations ------------------------------------------------------------------------------ */

static bool is_reservation(const Lease *l, const char *network) {
        return l->attachment == 0 && l->released_usec == 0 && streq(l->network, network);
}

typedef struct Visit {
        const char *network, *container_id, *ifname;
        IpamVisit visit;
        void *userdata;
        bool found;
} Visit;

static void visit_reservation(const Lease *l, void *userdata) {
        Visit *v = userdata;

        if (is_reservation(l, v->network))
                v->visit(l, v->userdata);
}

void host_local_visit(const Manager *m, const char *network, IpamVisit visit, void *userdata) {
        Visit v = { .network = network, .visit = visit, .userdata = userdata };

        /* Most have none: no walk over all leases for those. */
        if (!map_get_str(m->imports, network))
                return;
        ipam_visit(m->ipam, visit_reservation, &v);
}

/* An old file of host-local names no interface: it is of all of the container's. */
static bool is_of(const Lease *l, const char *container_id, const char *ifname) {
        return streq(l->sandbox, container_id) && (!l->ifname[0] || streq(l->ifname, ifname));
}

static void find_owner(const Lease *l, void *userdata) {
        Visit *v = userdata;

        v->found |= is_of(l, v->container_id, v->ifname);
}

bool host_local_has(const Manager *m, const char *network, const char *container_id,
                    const char *ifname) {
        Visit v = { .container_id = container_id, .ifname = ifname };

        host_local_visit(m, network, find_owner, &v);
        return v.found;
}

/* ---- one task of the plugin, and what follows from it ------------------------------------------ */

typedef struct HostLocalOp {
        Commit commit;
        Question question;
        Manager *manager;
        char *network; /* owned, as all that is not borrowed by nature */
        char *path;
        HostLocalDone done;
        void *userdata;
        TicketOwner *owners;
        size_t n_owners;
        TicketAddress *addresses;
        size_t n_addresses;
        AddressRow *rows; /* what changes; with texts of its own, since leases may change meanwhile */
        size_t n_rows;
        CursorRow *cursors;
        size_t n_cursors;
        ImportRow import;
        bool put_import;
        int failed; /* while the rows were put together */
} HostLocalOp;

static void op_free(HostLocalOp *op) {
        for (size_t i = 0; i < op->n_owners; i++) {
                free(op->owners[i].container_id);
                free(op->owners[i].ifname);
        }
        for (size_t i = 0; i < op->n_rows; i++)
                address_row_clear(&op->rows[i]);
        free(op->owners);
        free(op->addresses);
        free(op->rows);
        free(op->cursors);
        free(op->network);
        free(op->path);
        free(op);
}

static void op_end(HostLocalOp *op, int r, const Error *e) {
        if (op->done)
                op->done(r, e, op->userdata);
        op_free(op);
}

static HostLocalOp *op_new(Manager *m, const char *network, HostLocalDone done, void *userdata) {
        HostLocalOp *op = new0(HostLocalOp, 1);

        if (!op || !(op->network = strdup(network))) {
                _cleanup_error_ Error error = ERROR_NULL;
                int r = error_oom(&error);
                free(op);
                if (done)
                        done(r, &error, userdata);
                return NULL;
        }
        op->manager = m;
        op->done = done;
        op->userdata = userdata;
        return op;
}

static void add_row(HostLocalOp *op, const Lease *l) {
        AddressRow *more = reallocarray(op->rows, op->n_rows + 1, sizeof(*more));

        if (!more) {
                op->failed = -ENOMEM;
                return;
        }
        op->rows = more;
        AddressRow *row = &more[op->n_rows++];
        *row = (AddressRow) {
                .pool = strdup(l->pool),
                .address = { .address = l->address, .length = l->prefix_length },
                .network = strdup(l->network),
                .sandbox = strdup(l->sandbox),
                .ifname = strdup(l->ifname),
                .set_index = l->set_index,
                .released_usec = l->released_usec,
        };
        if (!row->pool || !row->network || !row->sandbox || !row->ifname)
                op->failed = -ENOMEM;
}

static int write_rows(Commit *c, Store *store, Error *e) {
        HostLocalOp *op = (HostLocalOp *) c;
        int r = 0;

        for (size_t i = 0; i < op->n_rows && r >= 0; i++)
                r = store_put_address(store, &op->rows[i], e);
        for (size_t i = 0; i < op->n_cursors && r >= 0; i++)
                r = store_put_cursor(store, &op->cursors[i], e);
        return r >= 0 && op->put_import ? store_put_import(store, &op->import, e) : r;
}

static void rows_written(Task *task) {
        HostLocalOp *op = (HostLocalOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0) {
                /* The next look finds what this one did not get into the ledger. */
                Import *i = map_get_str(op->manager->imports, op->network);
                if (i)
                        i->stamp = 0;
        }
        op_end(op, task->r, &error);
        error_clear(&error);
}

static void op_commit(HostLocalOp *op) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (op->failed < 0) {
                op_end(op, error_oom(&error), &error);
                return;
        }
        if (op->n_rows == 0 && !op->put_import) {
                op_end(op, 0, NULL);
                return;
        }
        op->commit.write = write_rows;
        op->commit.task.deliver = rows_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* From now on that is how we know the directory. */
static void set_import(HostLocalOp *op, const char *path, uint64_t stamp) {
        Import *i = import_of(op->manager, op->network);
        char *copy = strdup(path), *mine = strdup(path);

        if (!i || !copy || !mine) {
                free(copy);
                free(mine);
                op->failed = -ENOMEM;
                return;
        }
        free(i->path);
        i->path = copy;
        i->stamp = stamp;
        free(op->path);
        op->path = mine;
        op->import = (ImportRow) { .network = op->network, .path = op->path, .stamp = stamp };
        op->put_import = true;
}

/* Our own change of the directory is no news to us, unless somebody else was there before. */
static void follow_import(HostLocalOp *op, const HostLocalList *l) {
        const Import *i = map_get_str(op->manager->imports, op->network);

        if (i && i->stamp == l->before && l->before != l->stamp)
                set_import(op, i->path, l->stamp);
}

/* The list in the answer, or why there is none. */
static int read_answer(int r, const TaskAnswer *answer, HostLocalList *ret, Error *e) {
        if (r < 0 || answer->exit != 0)
                return answer_error("host-local's directory", ERROR_TRY_AGAIN, r, answer, e);
        return host_local_list_parse(answer->text, strlen(answer->text), ret, e);
}

static void op_ask(HostLocalOp *op, Conversation *talk, TicketTask task,
                   void (*answered)(Question *q, int r, const TaskAnswer *answer)) {
        _cleanup_error_ Error error = ERROR_NULL;

        op->question.ticket = (Ticket) { .task = task,
                                         .timeout_ms = TASK_SEC * 1000,
                                         .addresses = op->addresses,
                                         .n_addresses = op->n_addresses,
                                         .owners = op->owners,
                                         .n_owners = op->n_owners };
        op->question.answered = answered;
        if (conversation_ask(talk, &op->question))
                return;
        int r = answer_error("host-local's directory", ERROR_TRY_AGAIN, -ENOTCONN, NULL, &error);
        op_end(op, r, &error);
}

/* ---- import ------------------------------------------------------------------------------------- */

static uint8_t prefix_length(const NetConf *c, const InAddr *a) {
        for (size_t i = 0; i < c->n_sets; i++)
                for (size_t k = 0; k < c->sets[i].n_ranges; k++)
                        if (in_prefix_contains(&c->sets[i].ranges[k].subnet, a))
                                return c->sets[i].ranges[k].subnet.length;
        return (uint8_t) family_bits(a->family);
}

static void tell_conflict(const Network *n, const Lease *l, const HostLocalEntry *entry) {
        log_ctx(LOG_WARNING,
                &(LogContext) { .sandbox = l->sandbox, .network = n->name, .interface = l->ifname },
                "address %s is held by %s of sandbox %s, and host-local's directory has it for \"%s\": one of "
                "them has to go",
                IN_ADDR_STR(&l->address), l->ifname, l->sandbox, entry->id);
}

static void take_entry(HostLocalOp *op, const Network *n, const HostLocalEntry *entry) {
        Ipam *ipam = op->manager->ipam;
        LeaseHolder holder = { .network = n->name, .sandbox = entry->id, .ifname = entry->ifname };
        Lease *l = ipam_find(ipam, network_pool(n), &entry->address);

        if (l && l->released_usec == 0) {
                bool same = streq(l->sandbox, entry->id) && streq(l->ifname, entry->ifname);
                if (!same && l->attachment != 0)
                        tell_conflict(n, l, entry);
                if (same || l->attachment != 0)
                        return;
                ipam_release(ipam, l, now_realtime()); /* another's by now */
        }
        if (ipam_hold(ipam, network_pool(n), 0, &entry->address, &holder, &l, NULL) < 0) {
                op->failed = -ENOMEM;
                return;
        }
        l->prefix_length = prefix_length(n->conf, &entry->address);
        add_row(op, l);
}

typedef struct Sweep {
        HostLocalOp *op;
        Map *listed; /* addresses */
} Sweep;

static void sweep_lease(const Lease *l, void *userdata) {
        Sweep *s = userdata;
        Lease *mine = ipam_find(s->op->manager->ipam, l->pool, &l->address);

        if (map_has(s->listed, IN_ADDR_STR(&l->address), strlen(IN_ADDR_STR(&l->address))))
                return;
        ipam_release(s->op->manager->ipam, mine, now_realtime());
        add_row(s->op, mine);
}

/* What host-local has given back since. */
static void sweep(HostLocalOp *op, const HostLocalList *l) {
        _cleanup_(map_freep) Map *listed = map_new();
        Sweep s = { .op = op, .listed = listed };

        for (size_t i = 0; i < l->n_entries && listed; i++)
                if (map_put_str(listed, IN_ADDR_STR(&l->entries[i].address), op) == -ENOMEM)
                        op->failed = -ENOMEM;
        if (!listed || op->failed < 0)
                op->failed = -ENOMEM;
        else
                host_local_visit(op->manager, op->network, sweep_lease, &s);
}

/* Where host-local's round robin stands, unless ours has begun. */
static void take_cursors(HostLocalOp *op, const Network *n, const HostLocalList *l) {
        op->cursors = new0(CursorRow, l->n_last + 1);
        for (size_t i = 0; i < l->n_last && op->cursors; i++) {
                InAddr ours = ipam_cursor(op->manager->ipam, n->name, l->last[i].set);

                if (l->last[i].set >= n->conf->n_sets || in_addr_is_set(&ours))
                        continue;
                if (ipam_load_cursor(op->manager->ipam, n->name, l->last[i].set,
                                     &l->last[i].address) < 0)
                        continue;
                op->cursors[op->n_cursors++] = (CursorRow) { .network = op->network,
                                                             .set_index = l->last[i].set,
                                                             .address = l->last[i].address };
        }
}

static void take_list(HostLocalOp *op, const Network *n, const HostLocalList *l) {
        for (size_t i = 0; i < l->n_entries; i++)
                take_entry(op, n, &l->entries[i]);
        sweep(op, l);
        take_cursors(op, n, l);
        if (op->failed >= 0)
                set_import(op, path_of(n), l->stamp);
        log_ctx(LOG_INFO, &(LogContext) { .network = n->name },
                "network %s: host-local's directory in %s has %zu addresses", n->name, path_of(n),
                l->n_entries);
        op_commit(op);
}

static void import_answered(Question *q, int r, const TaskAnswer *answer) {
        HostLocalOp *op = list_entry(q, HostLocalOp, question);
        Network *n = network_find(op->manager, op->network);
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        _cleanup_error_ Error error = ERROR_NULL;

        r = read_answer(r, answer, &l, &error);
        if (r < 0 || !n)
                op_end(op, r, &error);
        else
                take_list(op, n, &l);
}

void host_local_take(Network *n, const HostLocalList *l, HostLocalDone done, void *userdata) {
        HostLocalOp *op = op_new(n->manager, n->name, done, userdata);

        if (op)
                take_list(op, n, l);
}

void host_local_import(Network *n, Conversation *talk, HostLocalDone done, void *userdata) {
        HostLocalOp *op = op_new(n->manager, n->name, done, userdata);

        if (op)
                op_ask(op, talk, TICKET_READ_HOST_LOCAL, import_answered);
}

/* ---- changes ------------------------------------------------------------------------------------ */

static void write_answered(Question *q, int r, const TaskAnswer *answer) {
        HostLocalOp *op = list_entry(q, HostLocalOp, question);
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        _cleanup_error_ Error error = ERROR_NULL;

        r = read_answer(r, answer, &l, &error);
        if (r < 0) {
                op_end(op, r, &error);
                return;
        }
        follow_import(op, &l);
        op_commit(op);
}

void host_local_write(Network *n, Conversation *talk, const TicketAddress *addresses,
                      size_t n_addresses, HostLocalDone done, void *userdata) {
        HostLocalOp *op = op_new(n->manager, n->name, done, userdata);

        if (!op)
                return;
        op->addresses = new0(TicketAddress, n_addresses + 1);
        if (op->addresses) {
                memcpy(op->addresses, addresses, n_addresses * sizeof(*addresses));
                op->n_addresses = n_addresses;
        }
        op_ask(op, talk, TICKET_WRITE_HOST_LOCAL, write_answered);
}

static void release_lease(const Lease *l, void *userdata) {
        HostLocalOp *op = userdata;
        Lease *mine = ipam_find(op->manager->ipam, l->pool, &l->address);

        for (size_t i = 0; i < op->n_owners; i++)
                if (is_of(l, op->owners[i].container_id, op->owners[i].ifname)) {
                        ipam_release(op->manager->ipam, mine, now_realtime());
                        add_row(op, mine);
                        return;
                }
}

static void release_answered(Question *q, int r, const TaskAnswer *answer) {
        HostLocalOp *op = list_entry(q, HostLocalOp, question);
        _cleanup_host_local_list_ HostLocalList l = { 0 };
        _cleanup_error_ Error error = ERROR_NULL;

        r = read_answer(r, answer, &l, &error);
        if (r < 0) {
                op_end(op, r, &error);
                return;
        }
        follow_import(op, &l);
        host_local_visit(op->manager, op->network, release_lease, op);
        op_commit(op);
}

void host_local_release(Manager *m, const char *network, Conversation *talk,
                        const HostLocalOwner *owners, size_t n_owners, HostLocalDone done,
                        void *userdata) {
        HostLocalOp *op = op_new(m, network, done, userdata);
        _cleanup_error_ Error error = ERROR_NULL;

        if (!op)
                return;
        op->owners = new0(TicketOwner, n_owners + 1);
        for (size_t i = 0; op->owners && i < n_owners; i++) {
                TicketOwner *o = &op->owners[op->n_owners++];
                *o = (TicketOwner) { strdup(owners[i].container_id), strdup(owners[i].ifname) };
                if (!o->container_id || !o->ifname)
                        op->failed = -ENOMEM;
        }
        if (!op->owners || op->failed < 0) {
                op_end(op, error_oom(&error), &error);
                return;
        }
        if (talk) {
                op_ask(op, talk, TICKET_RELEASE_HOST_LOCAL, release_answered);
                return;
        }
        host_local_visit(m, network, release_lease, op);
        op_commit(op);
}
