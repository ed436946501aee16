/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * See op-give-up.h. In memory first, so that whoever asks next for an address sees it; then the rows, on the
 * disk before the answer. A crash in between leaves the promise, and the caller without an answer.
 */

#include "core/op-give-up.h"

#include "base/failpoint.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/committer.h"
#include "core/ipam.h"

/* One address that waited for its owner: a piece of the past, for the audit trail. */
typedef struct Kept {
        char *network, *sandbox, *ifname, *address; /* owned */
        uint64_t since_usec;
} Kept;

typedef struct GiveUp {
        Commit commit; /* first member */
        Manager *manager;
        char *owner, *reason; /* owned */
        Kept *kept;           /* owned; those that nobody holds */
        size_t n_kept, allocated;
        uint32_t count;
        bool out_of_memory;
        GiveUpDone done;
        void *userdata;
} GiveUp;

static void kept_clear(Kept *k) {
        free(k->network);
        free(k->sandbox);
        free(k->ifname);
        free(k->address);
}

static GiveUp *give_up_free(GiveUp *g) {
        if (!g)
                return NULL;
        for (size_t i = 0; i < g->n_kept; i++)
                kept_clear(&g->kept[i]);
        free(g->kept);
        free(g->owner);
        free(g->reason);
        free(g);
        return NULL;
}
DEFINE_CLEANUP(GiveUp *, give_up_free)

static void on_given(const Lease *l, void *userdata) {
        GiveUp *g = userdata;
        InPrefix p = { .address = l->address, .length = l->prefix_length };

        g->count++;
        if (!l->released_usec)
                return; /* its holder's end will be in the trail */
        if (GREEDY_REALLOC(g->kept, g->allocated, g->n_kept + 1) < 0) {
                g->out_of_memory = true;
                return;
        }
        Kept k = { strdup(l->network), strdup(l->sandbox), strdup(l->ifname),
                   strdup(IN_PREFIX_STR(&p)), l->released_usec };
        if (!k.network || !k.sandbox || !k.ifname || !k.address) {
                kept_clear(&k);
                g->out_of_memory = true;
        } else
                g->kept[g->n_kept++] = k;
}

static int write_given(Commit *c, Store *store, Error *e) {
        GiveUp *g = (GiveUp *) c;

        int r = store_disown_addresses(store, g->owner, e);
        for (size_t i = 0; i < g->n_kept && r >= 0; i++) {
                EventRow event = { .usec = now_realtime(),
                                   .op = "give-up",
                                   .ends = true,
                                   .since_usec = g->kept[i].since_usec,
                                   .network = g->kept[i].network,
                                   .sandbox = g->kept[i].sandbox,
                                   .ifname = g->kept[i].ifname,
                                   .addresses = g->kept[i].address,
                                   .reason = g->reason };
                r = store_add_event(store, &event, e);
        }
        return r;
}

static void given_up(Task *task) {
        GiveUp *g = (GiveUp *) task;

        manager_set_commit_health(g->manager, &g->commit);
        if (task->r >= 0 && g->count > 0)
                log_info("%s gave up %u address%s", g->owner, g->count, g->count == 1 ? "" : "es");
        g->done(task->r, &task->error, g->count, g->userdata);
        error_clear(&task->error);
        give_up_free(g);
}

int addresses_give_up(Manager *m, const char *owner, GiveUpDone done, void *userdata, Error *e) {
        _cleanup_(give_up_freep) GiveUp *g = new0(GiveUp, 1);

        if (isempty(owner) || strlen(owner) > ADDRESS_OWNER_MAX)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "owner \"%.64s\": wanted \"claim/NAMESPACE/NAME\" or \"NAMESPACE/NAME\", at most "
                                "%u bytes, found %zu; netmgrctl list addresses names the owners",
                                owner, ADDRESS_OWNER_MAX, strlen(owner));
        if (!g || !(g->owner = strdup(owner)) || !(g->reason = strf("was kept for %s", owner)))
                return error_oom(e);
        g->manager = m;
        g->done = done;
        g->userdata = userdata;
        if (ipam_give_up(m->ipam, owner, on_given, g) < 0 || g->out_of_memory)
                return error_oom(e);
        failpoint_past("give-up");
        g->commit.durable = true;
        g->commit.write = write_given;
        g->commit.task.deliver = given_up;
        committer_submit(m->committer, &TAKE_PTR(g)->commit);
        return 0;
}
