/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See guest.h. The decision is that of every ADD (add-decide.c). It is made for an attachment that is in no map:
 * with the id of the real one, which is not touched but for the leases, and with the call's own configuration
 * for that of a network, whose address pool is the real one's.
 */

#include "core/guest.h"

#include <stdio.h>

#include "base/log.h"
#include "core/add-internal.h"

typedef struct Guest {
        Attachment attachment;
        Network network;
        Sandbox sandbox;
        uint64_t host; /* id of the real attachment, which may be gone whenever we look */
        bool settled;  /* that one has the leases */
} Guest;

bool guest_is_of(const Attachment *host, const char *type) {
        return host->busy && host->delegate_runs && host->spec.kind == NET_KIND_FOREIGN &&
               net_plugin_is_ipam(net_plugin_from_string(type));
}

Guest *guest_free(Guest *g) {
        if (!g)
                return NULL;
        spec_clear(&g->attachment.spec);
        free(g->attachment.leases);
        free(g->network.name);
        free(g->sandbox.id);
        free(g);
        return NULL;
}

static Guest *guest_new(const AddOp *op, const Attachment *host) {
        Guest *g = new0(Guest, 1);

        if (!g)
                return NULL;
        *g = (Guest) {
                .network = { .manager = op->manager,
                             .source = NETWORK_CONFIG,
                             .name = strdup(host->network->name),
                             .conf = op->conf,
                             .group = host->network->group },
                .sandbox = { .manager = op->manager, .id = strdup(host->sandbox->id) },
                .attachment = { .manager = op->manager,
                                .network = &g->network,
                                .sandbox = &g->sandbox,
                                .state = ATTACHMENT_PLANNED,
                                .spec = { .id = host->spec.id, .kind = NET_KIND_FOREIGN },
                                .netns_pin = -EBADF },
                .host = host->spec.id,
        };
        snprintf(g->attachment.spec.ifname, sizeof(g->attachment.spec.ifname), "%s",
                 host->spec.ifname);
        return g->network.name && g->sandbox.id ? g : guest_free(g);
}

/* ---- ADD -------------------------------------------------------------------------------------- */

void guest_add(AddOp *op, Attachment *host) {
        Error error = ERROR_NULL;
        int r = 0;

        if (host->state == ATTACHMENT_RELEASING)
                r = error_setf(&error, ERROR_TRY_AGAIN,
                               "interface %s of sandbox %s is being released", op->request.ifname,
                               op->request.container_id);
        else if (op->conf->ipam == NET_IPAM_DHCP)
                r = error_setf(&error, ERROR_NOT_SUPPORTED,
                               "\"ipam.type\": \"dhcp\" below a plugin of others in a list of netmgr's is not "
                               "served; use host-local or static, or kind bridge, macvlan or vlan of netmgr");
        else if (!(op->guest = guest_new(op, host)))
                r = error_oom(&error);
        if (r < 0) {
                add_fail(op, r, &error);
                return;
        }
        op->attachment = &op->guest->attachment;
        /* host-local's directory is that of a network of ours by that name, which this is not. */
        op->imported = true;
        add_decide_now(op);
}

/* The real attachment has them: its end is theirs, whatever comes, and is told with them. What the plugin
 * answers in the end takes the place of these addresses. */
static int settle(Guest *g, Attachment *host) {
        const Attachment *a = &g->attachment;
        AttachmentSpec *s = &host->spec;
        Lease **leases = reallocarray(host->leases, host->n_leases + a->n_leases + 1,
                                      sizeof(*leases));

        if (!leases)
                return -ENOMEM;
        host->leases = leases;
        SpecAddress *addresses =
                        reallocarray(s->addresses, s->n_addresses + a->spec.n_addresses + 1,
                                     sizeof(*addresses));
        if (!addresses)
                return -ENOMEM;
        s->addresses = addresses;
        for (size_t i = 0; i < a->n_leases; i++)
                leases[host->n_leases++] = a->leases[i];
        for (size_t i = 0; i < a->spec.n_addresses; i++)
                addresses[s->n_addresses++] = a->spec.addresses[i];
        g->settled = true;
        return 0;
}

/* The specification without an address that is not its lease any more. */
static void drop_address(AttachmentSpec *s, const InAddr *address) {
        size_t n = 0;

        for (size_t i = 0; i < s->n_addresses; i++)
                if (!in_addr_equal(&s->addresses[i].address.address, address))
                        s->addresses[n++] = s->addresses[i];
        s->n_addresses = n;
}

static bool is_ours(const Guest *g, const Lease *l) {
        for (size_t i = 0; i < g->attachment.n_leases; i++)
                if (g->attachment.leases[i] == l)
                        return true;
        return false;
}

/* Back again; nothing to do when it has released them itself. */
static void unsettle(Guest *g, Attachment *host) {
        size_t n = 0;

        for (size_t i = 0; host && i < host->n_leases; i++)
                if (!is_ours(g, host->leases[i]))
                        host->leases[n++] = host->leases[i];
        if (!host || n + g->attachment.n_leases != host->n_leases)
                return;
        host->n_leases = n;
        for (size_t i = 0; i < g->attachment.n_leases; i++)
                drop_address(&host->spec, &g->attachment.leases[i]->address);
        g->settled = false;
}

void guest_drop(AddOp *op) {
        if (!op->guest->settled)
                attachment_forget_leases(&op->guest->attachment);
}

static int write_addresses(Commit *c, Store *store, Error *e) {
        AddOp *op = (AddOp *) ((char *) c - offsetof(AddOp, commit));
        int r = 0;

        for (size_t i = 0; i < op->n_address_rows && r >= 0; i++)
                r = store_put_address(store, &op->address_rows[i], e);
        for (size_t i = 0; i < op->n_cursor_rows && r >= 0; i++)
                r = store_put_cursor(store, &op->cursor_rows[i], e);
        return r;
}

static void addresses_written(Task *task) {
        AddOp *op = (AddOp *) ((char *) task - offsetof(AddOp, commit));
        Guest *g = op->guest;

        manager_set_commit_health(op->manager, &op->commit);
        if (task->r < 0) {
                unsettle(g, map_get_u64(op->manager->attachments, g->host));
                add_fail(op, task->r, &task->error);
                return;
        }
        log_ctx(LOG_INFO,
                &(LogContext) { .sandbox = g->sandbox.id,
                                .network = g->network.name,
                                .interface = g->attachment.spec.ifname,
                                .op = "add" },
                "add: %s: addresses for %s of %s", op->request.type, g->attachment.spec.ifname,
                g->sandbox.id);
        /* Who went away meanwhile loses nothing: the plugin that called fails, or goes on without. */
        add_end(op, 0, NULL);
}

void guest_commit(AddOp *op) {
        Guest *g = op->guest;
        Attachment *host = map_get_u64(op->manager->attachments, g->host);
        Error error = ERROR_NULL;
        int r = 0;

        if (!host || host->state == ATTACHMENT_RELEASING || !guest_is_of(host, op->request.type))
                r = error_setf(&error, ERROR_TRY_AGAIN,
                               "the plugin that asked for addresses for %s of %s has ended",
                               op->request.ifname, op->request.container_id);
        else if (settle(g, host) < 0)
                r = error_oom(&error);
        if (r < 0) {
                add_fail(op, r, &error);
                return;
        }
        op->commit.write = write_addresses;
        op->commit.task.deliver = addresses_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* ---- DEL -------------------------------------------------------------------------------------- */

typedef struct Given {
        char *pool; /* owned */
        InAddr address;
} Given;

typedef struct GiveBack {
        Commit commit; /* first member */
        Manager *manager;
        Given *given; /* owned */
        size_t n_given;
        ReleaseDone done;
        void *userdata;
} GiveBack;

static GiveBack *give_back_free(GiveBack *g) {
        if (!g)
                return NULL;
        for (size_t i = 0; i < g->n_given; i++)
                free(g->given[i].pool);
        free(g->given);
        free(g);
        return NULL;
}
DEFINE_CLEANUP(GiveBack *, give_back_free)

/* As with an ADD that failed: no interface has had them for long, so they need not rest. */
static int write_given(Commit *c, Store *store, Error *e) {
        const GiveBack *g = (const GiveBack *) c;
        int r = 0;

        for (size_t i = 0; i < g->n_given && r >= 0; i++)
                r = store_delete_address(store, g->given[i].pool, &g->given[i].address, e);
        return r;
}

static void given_written(Task *task) {
        GiveBack *g = (GiveBack *) task;

        manager_set_commit_health(g->manager, &g->commit);
        g->done(task->r, &task->error, g->userdata);
        error_clear(&task->error);
        give_back_free(g);
}

static int take_given(GiveBack *g, const Attachment *host) {
        g->given = new0(Given, host->n_leases + 1);
        if (!g->given)
                return -ENOMEM;
        for (size_t i = 0; i < host->n_leases; i++) {
                g->given[i] = (Given) { strdup(host->leases[i]->pool), host->leases[i]->address };
                g->n_given++;
                if (!g->given[i].pool)
                        return -ENOMEM;
        }
        return 0;
}

void guest_give_back(Attachment *host, ReleaseDone done, void *userdata) {
        _cleanup_(give_back_freep) GiveBack *g = NULL;
        _cleanup_error_ Error error = ERROR_NULL;

        /* They end with it, once nothing of the interface is left. */
        if (host->state == ATTACHMENT_RELEASING) {
                done(0, NULL, userdata);
                return;
        }
        g = new0(GiveBack, 1);
        if (!g || take_given(g, host) < 0) {
                done(error_oom(&error), &error, userdata);
                return;
        }
        for (size_t i = 0; i < g->n_given; i++)
                drop_address(&host->spec, &g->given[i].address);
        attachment_forget_leases(host);
        g->manager = host->manager;
        g->done = done;
        g->userdata = userdata;
        g->commit.write = write_given;
        g->commit.task.deliver = given_written;
        committer_submit(host->manager->committer, &TAKE_PTR(g)->commit);
}
