/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Addresses that others have given out, without the interfaces: host-local's directories, whereabouts' pools.
 * They are held as reservations (host-local.h), in a pool of others for each directory or pool object, so that
 * the next import of the same one knows what has been given back. Those of a network of ours that reads
 * such a directory by itself are held as it holds them.
 */

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/host-local.h"
#include "core/import-internal.h"
#include "cri/host-local.h"
#include "cri/import.h"

/* ---- the report --------------------------------------------------------------------------------- */

void import_report_clear(ImportReport *p) {
        json_object_put(p->imported);
        json_object_put(p->skipped);
        *p = (ImportReport) { 0 };
}

json_object *import_report_row(const char *container, const char *ifname, const char *network) {
        json_object *o = json_object_new_object();

        if (o && json_add_string(o, "container", isempty(container) ? NULL : container) >= 0 &&
            json_add_string(o, "interface", isempty(ifname) ? NULL : ifname) >= 0 &&
            json_add_string(o, "network", isempty(network) ? NULL : network) >= 0)
                return o;
        json_object_put(o);
        return NULL;
}

void import_report_add(ImportReport *p, json_object *o, const char *reason) {
        json_object **list = reason ? &p->skipped : &p->imported;

        if (!*list)
                *list = json_object_new_array();
        if (!o || !*list || json_add_string(o, "reason", reason) < 0) {
                json_object_put(o);
                p->r = -ENOMEM;
        } else if (json_append(*list, o) < 0)
                p->r = -ENOMEM;
}

static char *report_text(ImportReport *p) {
        _cleanup_json_ json_object *o = json_object_new_object();
        json_object *imported = p->imported ? TAKE_PTR(p->imported) : json_object_new_array(),
                    *skipped = p->skipped ? TAKE_PTR(p->skipped) : json_object_new_array();

        if (!o) {
                json_object_put(imported);
                json_object_put(skipped);
                return NULL;
        }
        int r = json_add(o, "imported", imported);
        r = json_add(o, "skipped", skipped) < 0 ? -ENOMEM : r;
        return r < 0 || p->r < 0 ? NULL : json_to_text(o);
}

void import_report_end(ImportReport *p, Manager *m, int r, const Error *e, RequestDone done,
                       void *userdata) {
        _cleanup_free_ char *text = r < 0 ? NULL : report_text(p);
        _cleanup_error_ Error oom = ERROR_NULL;

        if (r >= 0 && !text) {
                r = error_oom(&oom);
                e = &oom;
        }
        operation_end(m);
        done(r, e, r < 0 ? "" : text, userdata);
        import_report_clear(p);
}

char *import_pool_name(const char *name) {
        return strf("%c%.*s", IPAM_POOL_OTHERS, (int) NETWORK_NAME_MAX - 1, name);
}

/* ---- the operation ------------------------------------------------------------------------------ */

typedef struct ReserveOp {
        Commit commit; /* first member */
        Manager *manager;
        bool dry_run, quiet; /* quiet: nobody reads a report */
        RequestDone done;
        void *userdata;
        ImportReport report;
        ImportPools pools;
        HostLocalList list;
        AddressRow *rows; /* what changes, with texts of its own: leases may change meanwhile */
        size_t n_rows, allocated;
        Map *holders; /* address -> Lease of an attachment */
        int failed;
} ReserveOp;

static void reserve_end(ReserveOp *op, int r, const Error *e) {
        if (op->quiet) {
                op->done(r, e, "", op->userdata);
                import_report_clear(&op->report);
        } else
                import_report_end(&op->report, op->manager, r, e, op->done, op->userdata);
        for (size_t i = 0; i < op->n_rows; i++)
                address_row_clear(&op->rows[i]);
        free(op->rows);
        map_free(op->holders);
        import_pools_clear(&op->pools);
        host_local_list_clear(&op->list);
        free(op);
}

static void add_row(ReserveOp *op, const Lease *l) {
        if (GREEDY_REALLOC(op->rows, op->allocated, op->n_rows + 1) < 0) {
                op->failed = -ENOMEM;
                return;
        }
        AddressRow *row = &op->rows[op->n_rows++];
        *row = (AddressRow) {
                .pool = strdup(l->pool),
                .address = { .address = l->address, .length = l->prefix_length },
                .network = strdup(l->network),
                .sandbox = strdup(l->sandbox),
                .ifname = strdup(l->ifname),
                .released_usec = l->released_usec,
        };
        if (!row->pool || !row->network || !row->sandbox || !row->ifname)
                op->failed = -ENOMEM;
}

static int write_rows(Commit *c, Store *store, Error *e) {
        ReserveOp *op = (ReserveOp *) c;
        int r = 0;

        for (size_t i = 0; i < op->n_rows && r >= 0; i++)
                r = store_put_address(store, &op->rows[i], e);
        return r;
}

static void rows_written(Task *task) {
        ReserveOp *op = (ReserveOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        manager_set_commit_health(op->manager, &op->commit);
        failpoint_past("import-reserved");
        reserve_end(op, task->r, &error);
        error_clear(&error);
}

/* What is held in memory stays so when the write fails: too much for this life, and the next import mends it. */
static void reserve_commit(ReserveOp *op) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (op->failed < 0)
                reserve_end(op, error_oom(&error), &error);
        else if (op->n_rows == 0)
                reserve_end(op, 0, NULL);
        else {
                op->commit.write = write_rows;
                op->commit.task.deliver = rows_written;
                committer_submit(op->manager->committer, &op->commit);
        }
}

/* ---- taking ------------------------------------------------------------------------------------- */

#define ADDRESS_KEY_MAX 17

static size_t address_key(const InAddr *a, char key[static ADDRESS_KEY_MAX]) {
        key[0] = a->family == AF_INET ? 4 : 6;
        memcpy(key + 1, a->bytes, family_bytes(a->family));
        return 1 + family_bytes(a->family);
}

/* Of two networks that may have the same addresses one is noted; the one that the host routes goes first. */
static void note_holder(const Lease *l, void *userdata) {
        ReserveOp *op = userdata;
        char key[ADDRESS_KEY_MAX];

        if (l->attachment == 0 || !op->holders)
                return;
        size_t n = address_key(&l->address, key);
        if (map_put(op->holders, key, n, (void *) l) == -EEXIST && streq(l->pool, IPAM_POOL_HOST))
                (void) map_replace(op->holders, key, n, (void *) l);
}

static bool is_owner(const Lease *l, const ImportAddress *a) {
        return streq(l->sandbox, a->id) && (!a->ifname[0] || streq(l->ifname, a->ifname));
}

static void tell(ReserveOp *op, const ImportPool *pool, const ImportAddress *a,
                 const char *reason) {
        json_object *o = import_report_row(a->id, a->ifname, pool->name);
        const char *owner = isempty(a->id)                     ? "unknown"
                            : sandbox_find(op->manager, a->id) ? "known"
                                                               : "not known here";

        if (o && (json_add_string(o, "address", IN_ADDR_STR(&a->address)) < 0 ||
                  json_add_string(o, "owner", owner) < 0)) {
                json_object_put(o);
                o = NULL;
        }
        import_report_add(&op->report, o, reason);
}

/* True: it is an attachment's, and nothing is left to be done. */
static bool is_attached(ReserveOp *op, const ImportPool *pool, const ImportAddress *a) {
        char key[ADDRESS_KEY_MAX];
        const Lease *l = map_get(op->holders, key, address_key(&a->address, key));

        if (!l)
                return false;
        if (is_owner(l, a)) {
                tell(op, pool, a, "known already: its interface holds it");
                return true;
        }
        /* Isolated networks may have the same addresses as others. */
        if (!streq(l->pool, IPAM_POOL_HOST) && !ipam_pool_is_others(l->pool))
                return false;
        _cleanup_free_ char *reason = strf(
                        "held by interface %s of sandbox %s on network %s; one of them has to go",
                        l->ifname, l->sandbox, l->network);
        tell(op, pool, a, strempty(reason));
        return true;
}

static void take_address(ReserveOp *op, const ImportPool *pool, const char *name,
                         const ImportAddress *a) {
        Ipam *ipam = op->manager->ipam;
        const LeaseHolder holder = { .network = pool->name, .sandbox = a->id, .ifname = a->ifname };
        Lease *l = ipam_find(ipam, name, &a->address);

        if (is_attached(op, pool, a))
                return;
        if (l && l->released_usec == 0 && streq(l->sandbox, a->id) && streq(l->ifname, a->ifname)) {
                tell(op, pool, a, "known already");
                return;
        }
        tell(op, pool, a, NULL);
        if (op->dry_run)
                return;
        if (l && l->released_usec == 0)
                ipam_release(ipam, l, now_realtime()); /* another's by now */
        if (ipam_hold(ipam, name, 0, &a->address, &holder, &l, NULL) < 0) {
                op->failed = -ENOMEM;
                return;
        }
        l->prefix_length = a->prefix_length;
        add_row(op, l);
}

typedef struct Sweep {
        ReserveOp *op;
        const char *name; /* of the pool */
        Map *listed;
} Sweep;

static void sweep_lease(const Lease *l, void *userdata) {
        char key[ADDRESS_KEY_MAX];
        Sweep *s = userdata;

        if (l->attachment != 0 || l->released_usec != 0 || !streq(l->pool, s->name) ||
            map_has(s->listed, key, address_key(&l->address, key)))
                return;
        ipam_release(s->op->manager->ipam, ipam_find(s->op->manager->ipam, l->pool, &l->address),
                     now_realtime());
        add_row(s->op, l);
}

/* What has been given back since the last import. */
static void sweep(ReserveOp *op, const ImportPool *pool, const char *name) {
        _cleanup_(map_freep) Map *listed = map_new();
        Sweep s = { .op = op, .name = name, .listed = listed };
        char key[ADDRESS_KEY_MAX];

        for (size_t i = 0; i < pool->n && listed; i++) {
                const InAddr *a = &pool->addresses[i].address;
                if (map_put(listed, key, address_key(a, key), op) == -ENOMEM)
                        op->failed = -ENOMEM;
        }
        if (!listed)
                op->failed = -ENOMEM;
        else if (op->failed >= 0)
                ipam_visit(op->manager->ipam, sweep_lease, &s);
}

static void take_pool(ReserveOp *op, const ImportPool *pool) {
        _cleanup_free_ char *name = import_pool_name(pool->name);

        if (!name || !op->holders) {
                op->failed = -ENOMEM;
                return;
        }
        for (size_t i = 0; i < pool->n && op->failed >= 0; i++)
                take_address(op, pool, name, &pool->addresses[i]);
        if (!op->dry_run && op->failed >= 0)
                sweep(op, pool, name);
}

/* ---- host-local --------------------------------------------------------------------------------- */

typedef struct DirInput {
        char *network; /* owned */
        uint64_t stamp;
        HostLocalList *list;
} DirInput;

typedef struct FileInput {
        char *name, *text; /* owned */
} FileInput;

static int file_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "name", json_read_string, offsetof(FileInput, name), JSON_REQUIRED },
                { "text", json_read_string, offsetof(FileInput, text), JSON_REQUIRED },
                {},
        };
        FileInput in = { 0 };

        int r = json_read_object(value, path, fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r >= 0) {
                r = host_local_list_add(target, in.name, in.text, strlen(in.text));
                if (r < 0)
                        r = r == -E2BIG ? error_setf(e, ERROR_INVALID_ARGUMENT,
                                                     "%s: more than %u addresses; remove what is no "
                                                     "longer used",
                                                     path, HOST_LOCAL_ENTRIES_MAX)
                                        : error_oom(e);
        }
        free(in.name);
        free(in.text);
        return r;
}

static int files_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, 2 * HOST_LOCAL_ENTRIES_MAX, file_read,
                               *(HostLocalList **) target, e);
}

static int pool_of_list(ReserveOp *op, const char *network) {
        op->pools.pools = new0(ImportPool, 1);
        if (!op->pools.pools)
                return -ENOMEM;
        ImportPool *pool = &op->pools.pools[op->pools.n++];
        pool->name = strdup(network);
        for (size_t i = 0; i < op->list.n_entries && pool->name; i++) {
                const HostLocalEntry *entry = &op->list.entries[i];
                const InPrefix address = { .address = entry->address,
                                           .length = (uint8_t) family_bits(entry->address.family) };

                if (import_pool_add(pool, &address, entry->id, entry->ifname) < 0)
                        return -ENOMEM;
        }
        return pool->name ? 0 : -ENOMEM;
}

static int read_directory(ReserveOp *op, const char *json, Error *e) {
        static const JsonField fields[] = {
                { "network", json_read_string, offsetof(DirInput, network), JSON_REQUIRED },
                { "stamp", json_read_u64, offsetof(DirInput, stamp), JSON_REQUIRED },
                { "files", files_read, offsetof(DirInput, list), JSON_REQUIRED },
                {},
        };
        DirInput in = { .list = &op->list };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse_max(json, strlen(json), IMPORT_SIZE_MAX,
                               "what was read of the directory", &o, e);
        if (r >= 0)
                r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r >= 0 && !cni_id_is_valid(in.network, NETWORK_NAME_MAX - 1))
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "network: wanted the name of a network, found \"%.64s\"",
                               in.network);
        op->list.before = op->list.stamp = in.stamp;
        if (r >= 0 && pool_of_list(op, in.network) < 0)
                r = error_oom(e);
        free(in.network);
        return r;
}

static void directory_taken(int r, const Error *e, void *userdata) {
        reserve_end(userdata, r, e);
}

/* As the network itself would do with its next ADD: its own pool, its own stamp. */
static void take_directory(ReserveOp *op, Network *n) {
        const ImportPool *pool = &op->pools.pools[0];

        for (size_t i = 0; i < pool->n; i++) {
                const ImportAddress *a = &pool->addresses[i];
                const Lease *l = ipam_find(op->manager->ipam, network_pool(n), &a->address);

                if (!l || l->released_usec != 0)
                        tell(op, pool, a, NULL);
                else if (is_owner(l, a))
                        tell(op, pool, a, "known already");
                else {
                        _cleanup_free_ char *reason = strf(
                                        "held by interface %s of sandbox %s; one of them has to go",
                                        l->ifname, l->sandbox);
                        tell(op, pool, a, strempty(reason));
                }
        }
        if (op->dry_run)
                reserve_end(op, 0, NULL);
        else
                host_local_take(n, &op->list, directory_taken, op);
}

/* ---- the beginning ------------------------------------------------------------------------------ */

void import_reserve(Manager *m, ImportSource source, const char *json, bool dry_run,
                    RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        ReserveOp *op = new0(ReserveOp, 1);

        if (!op) {
                operation_end(m);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (ReserveOp) { .manager = m, .dry_run = dry_run, .done = done, .userdata = userdata };
        int r = source == IMPORT_HOST_LOCAL
                                ? read_directory(op, json, &error)
                                : import_pools_parse(json, strlen(json), &op->pools, &error);
        if (r < 0) {
                reserve_end(op, r, &error);
                return;
        }
        if (source == IMPORT_HOST_LOCAL) {
                Network *n = network_find(m, op->pools.pools[0].name);
                if (n && network_is_host_local(n->conf)) {
                        take_directory(op, n);
                        return;
                }
        }
        op->holders = map_new();
        ipam_visit(m->ipam, note_holder, op);
        for (size_t i = 0; i < op->pools.n; i++)
                take_pool(op, &op->pools.pools[i]);
        reserve_commit(op);
}

/* ---- the end ------------------------------------------------------------------------------------ */

typedef struct Owner {
        ReserveOp *op;
        const char *container_id, *ifname;
} Owner;

static void release_lease(const Lease *l, void *userdata) {
        Owner *o = userdata;

        if (l->attachment != 0 || l->released_usec != 0 || !ipam_pool_is_others(l->pool) ||
            !streq(l->sandbox, o->container_id) || (l->ifname[0] && !streq(l->ifname, o->ifname)))
                return;
        ipam_release(o->op->manager->ipam, ipam_find(o->op->manager->ipam, l->pool, &l->address),
                     now_realtime());
        add_row(o->op, l);
}

bool import_release(Manager *m, const char *container_id, const char *ifname, RequestDone done,
                    void *userdata) {
        /* Most nodes have none: no walk over all leases for those. */
        ReserveOp *op = ipam_has_others(m->ipam) ? new0(ReserveOp, 1) : NULL;

        if (!op)
                return false;
        *op = (ReserveOp) { .manager = m, .quiet = true, .done = done, .userdata = userdata };
        ipam_visit(m->ipam, release_lease, &(Owner) { op, container_id, ifname });
        if (op->n_rows == 0 && op->failed >= 0) {
                map_free(op->holders);
                free(op);
                return false;
        }
        reserve_commit(op);
        return true;
}
