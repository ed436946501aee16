/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See manager-firewall.h. */

#include "core/manager-firewall.h"

#include <net/if.h>
#include <stdio.h>

#include "base/log-ids.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/audit.h"
#include "core/enforce.h"
#include "policy/foreign.h"
#include "policy/nft-monitor.h"

/* A reload of a firewall is many transactions. */
#define FOREIGN_DELAY_USEC 500000U
/* Until a rebuild that failed is tried again, unless a commit has done it by then. */
#define REPAIR_RETRY_USEC 1000000U

/* ---- node addresses --------------------------------------------------------------------------- */

static bool is_ours(const char *name) {
        return strncmp(name, "nmg", 3) == 0 || strncmp(name, "nmb-", 4) == 0;
}

static const NlLink *link_by_index(const NlDump *d, uint32_t ifindex) {
        for (size_t i = 0; i < d->n_links; i++)
                if (d->links[i].ifindex == ifindex)
                        return &d->links[i];
        return NULL;
}

/* The first address that others can answer to, in the kernel's order; one of lo (hosts that route by
 * themselves have them there) when no other link has any. */
static InAddr first_global_address(Manager *m, int family) {
        InAddr found = { .family = AF_UNSPEC }, on_lo = found;
        NlDump d = { 0 };

        if (kernel_dump(m->nl, NL_DUMP_LINKS | NL_DUMP_ADDRS, &d) < 0)
                return found;
        for (size_t i = 0; i < d.n_addrs && !in_addr_is_set(&found); i++) {
                const InAddr *a = &d.addrs[i].address.address;
                const NlLink *link = link_by_index(&d, d.addrs[i].ifindex);

                if (a->family != family || !link || is_ours(link->name) ||
                    in_addr_is_link_local(a) || in_addr_is_loopback(a))
                        continue;
                if (!(link->flags & IFF_LOOPBACK))
                        found = *a;
                else if (!in_addr_is_set(&on_lo))
                        on_lo = *a;
        }
        kernel_dump_clear(&d);
        return in_addr_is_set(&found) ? found : on_lo;
}

static InAddr find_node_address(Manager *m, int family) {
        /* Only looked up: documentation addresses match nothing but the default route. */
        const char *far = family == AF_INET ? "203.0.113.1" : "2001:db8::1";
        InAddr dst, source = { .family = AF_UNSPEC };
        uint32_t ifindex;

        if (in_addr_parse(far, &dst) >= 0 &&
            kernel_get_route(m->nl, &dst, &ifindex, &source) >= 0 && in_addr_is_set(&source))
                return source;
        return first_global_address(m, family);
}

void manager_find_node_addresses(Manager *m) {
        m->node4 = m->conf.node_address4;
        m->node6 = m->conf.node_address6;
        if (!in_addr_is_set(&m->node4))
                m->node4 = find_node_address(m, AF_INET);
        if (!in_addr_is_set(&m->node6))
                m->node6 = find_node_address(m, AF_INET6);
}

/* ---- the tables ------------------------------------------------------------------------------- */

int manager_start_firewall(Manager *m, Firewall **ret, Error *e) {
        _cleanup_(firewall_freep) Firewall *f = NULL;
        NftSocket *socket;
        PolicyConfig config;

        manager_find_node_addresses(m);
        enforce_config(m, &config);
        int r = nft_socket_open(-EBADF, &socket, e);
        if (r < 0)
                return r;
        r = firewall_new(socket, &config, &f);
        if (r < 0) {
                nft_socket_close(socket);
                return error_oom(e);
        }
        r = enforce_load(m, f, e);
        if (r < 0)
                return r;
        m->firewall_features = *firewall_features(f);
        m->firewall_port_id = firewall_port_id(f);
        m->firewall_owner_wanted = config.owner;
        *ret = TAKE_PTR(f);
        return 0;
}

typedef struct ConfigCommit {
        Commit commit;
        Manager *manager;
        PolicyConfig config;
} ConfigCommit;

static int config_write(Commit *c _unused_, Store *store _unused_, Error *e _unused_) {
        return 0;
}

static int config_enforce(Commit *c, Firewall *f) {
        firewall_set_config(f, &((ConfigCommit *) c)->config);
        return 0;
}

static void config_delivered(Task *task) {
        ConfigCommit *c = (ConfigCommit *) task;

        manager_set_health(c->manager, HEALTH_FIREWALL,
                           task->r < 0 ? error_message(&task->error) : NULL);
        error_clear(&task->error);
        free(c);
}

void manager_update_firewall_config(Manager *m) {
        InAddr node4 = m->node4, node6 = m->node6;
        ConfigCommit *c = new0(ConfigCommit, 1);

        if (!c)
                return; /* the next change or start tells it */
        manager_find_node_addresses(m);
        enforce_config(m, &c->config);
        if (in_addr_equal(&node4, &m->node4) && in_addr_equal(&node6, &m->node6) &&
            c->config.owner == m->firewall_owner_wanted) {
                free(c);
                return;
        }
        m->firewall_owner_wanted = c->config.owner;
        c->manager = m;
        c->commit.write = config_write;
        c->commit.enforce = config_enforce;
        c->commit.task.deliver = config_delivered;
        committer_submit(m->committer, &c->commit);
}

/* ---- other firewalls -------------------------------------------------------------------------- */

typedef struct RepairCommit {
        Commit commit;
        Manager *manager;
        TablesRebuilt done; /* or NULL */
        void *userdata;
        char program[32]; /* who changed them; "" without such a one */
        uint32_t pid;
} RepairCommit;

static int repair_enforce(Commit *c _unused_, Firewall *f) {
        firewall_distrust(f);
        return 0;
}

static void repair(Manager *m, uint32_t pid, const char *program);

static void repair_ended(Manager *m, const RepairCommit *rc, int r) {
        m->repairing = false;
        if (m->repair_again)
                repair(m, rc->pid, rc->program);
        else if (r < 0)
                timer_start(m->event, m->repair_timer, REPAIR_RETRY_USEC);
}

static int on_repair_timer(sd_event_source *source _unused_, uint64_t usec _unused_,
                           void *userdata) {
        repair(userdata, 0, "somebody");
        return 0;
}

static void repaired(Task *task) {
        RepairCommit *rc = (RepairCommit *) task;

        manager_set_commit_health(rc->manager, &rc->commit);
        if (task->r >= 0 && rc->program[0]) {
                log_event(LOG_NOTICE, LOG_ID_TABLES_REBUILT,
                          &(LogContext) { .op = "repair", .program = rc->program },
                          "%s (pid %u) changed the rule tables of netmgr; they are built anew",
                          rc->program, rc->pid);
                audit_count_repair(rc->manager, REPAIR_TABLES);
        }
        if (rc->done)
                rc->done(task->r, &task->error, rc->userdata);
        else
                repair_ended(rc->manager, rc, task->r);
        error_clear(&task->error);
        free(rc);
}

/* Builds all tables anew from what the ledger says. */
static void repair_commit(RepairCommit *rc, Manager *m) {
        rc->manager = m;
        rc->commit.write = config_write;
        rc->commit.enforce = repair_enforce;
        rc->commit.task.deliver = repaired;
        committer_submit(m->committer, &rc->commit);
}

static void repair(Manager *m, uint32_t pid, const char *program) {
        _cleanup_free_ char *text = strf("%s changed the rule tables; building them anew", program);
        RepairCommit *rc = m->repairing ? NULL : new0(RepairCommit, 1);

        /* The one that is under way may have been through before this change. */
        m->repair_again = m->repairing;
        if (m->repairing)
                return;
        if (!rc) {
                timer_start(m->event, m->repair_timer, REPAIR_RETRY_USEC);
                return;
        }
        manager_set_health(m, HEALTH_FIREWALL, text ? text : "the rule tables were changed");
        m->repairing = true;
        rc->pid = pid;
        snprintf(rc->program, sizeof(rc->program), "%s", program);
        repair_commit(rc, m);
}

void manager_rebuild_tables(Manager *m, TablesRebuilt done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        RepairCommit *rc = new0(RepairCommit, 1);

        if (!rc) {
                done(error_oom(&error), &error, userdata);
                return;
        }
        rc->done = done;
        rc->userdata = userdata;
        repair_commit(rc, m);
}

typedef struct CompareCommit {
        Commit commit;
        TablesCompared done;
        void *userdata;
        Differences found;
        bool looked; /* a ledger that cannot be written keeps the committer from it */
        int r;
        Error error;
} CompareCommit;

static void compare_found(const char *sentence, void *userdata) {
        differ(userdata, NULL, "%s", sentence);
}

/* On the committer's thread, between two transactions: what it finds is what it left. */
static int compare_enforce(Commit *c, Firewall *f) {
        CompareCommit *cc = (CompareCommit *) c;

        error_clear(&cc->error);
        differences_clear(&cc->found);
        cc->looked = true;
        cc->r = firewall_compare(f, compare_found, &cc->found, &cc->error);
        return 0;
}

static void compared(Task *task) {
        CompareCommit *cc = (CompareCommit *) task;

        if (cc->looked)
                cc->done(cc->r, &cc->error, &cc->found, cc->userdata);
        else
                cc->done(MIN_OF(task->r, -ECANCELED), &task->error, &cc->found, cc->userdata);
        differences_clear(&cc->found);
        error_clear(&cc->error);
        error_clear(&task->error);
        free(cc);
}

int manager_compare_tables(Manager *m, TablesCompared done, void *userdata) {
        CompareCommit *cc = new0(CompareCommit, 1);

        if (!cc)
                return -ENOMEM;
        cc->done = done;
        cc->userdata = userdata;
        cc->commit.write = config_write;
        cc->commit.enforce = compare_enforce;
        cc->commit.task.deliver = compared;
        committer_submit(m->committer, &cc->commit);
        return 0;
}

typedef struct ForeignJob {
        Job job;
        Manager *manager;
        ForeignChain *chains; /* owned */
        size_t n;
} ForeignJob;

static int foreign_run(Job *job, WorkerContext *w _unused_, Error *e) {
        ForeignJob *j = (ForeignJob *) job;
        return foreign_chains_list(&j->chains, &j->n, e);
}

static void foreign_found(Task *task) {
        ForeignJob *j = (ForeignJob *) task;
        char sentence[512], text[600];

        j->manager->foreign_looking = false;
        if (task->r < 0)
                log_warning("%s", error_message(&task->error));
        else if (j->n == 0)
                manager_set_health(j->manager, HEALTH_FOREIGN, NULL);
        else {
                foreign_chain_sentence(&j->chains[0], sentence, sizeof(sentence));
                snprintf(text, sizeof(text), j->n > 1 ? "%s (and %zu more such chains)" : "%s",
                         sentence, j->n - 1);
                manager_set_health(j->manager, HEALTH_FOREIGN, text);
        }
        error_clear(&task->error);
        free(j->chains);
        free(j);
}

static void look_at_foreign(Manager *m) {
        ForeignJob *j = m->foreign_looking ? NULL : new0(ForeignJob, 1);

        if (!j)
                return;
        m->foreign_looking = true;
        j->manager = m;
        j->job.run = foreign_run;
        j->job.task.deliver = foreign_found;
        workers_submit(m->workers, &j->job);
}

static int on_foreign_timer(sd_event_source *source _unused_, uint64_t usec _unused_,
                            void *userdata) {
        look_at_foreign(userdata);
        return 0;
}

static void look_soon(Manager *m) {
        timer_start(m->event, m->foreign_timer, FOREIGN_DELAY_USEC);
}

static void on_nft_changed(uint32_t pid, const char *program, bool ours, void *userdata) {
        Manager *m = userdata;

        if (ours)
                repair(m, pid, program[0] ? program : "somebody");
        look_soon(m);
}

static void on_nft_lost(void *userdata) {
        /* Tables that we own cannot have been touched. */
        if (!((Manager *) userdata)->firewall_features.owner)
                repair(userdata, 0, "somebody");
        look_soon(userdata);
}

int manager_watch_firewalls(Manager *m, Error *e) {
        static const NftMonitorCallbacks callbacks = { .changed = on_nft_changed,
                                                       .lost = on_nft_lost };

        int r = timer_new(m->event, &m->foreign_timer, on_foreign_timer, m);
        if (r >= 0)
                r = timer_new(m->event, &m->repair_timer, on_repair_timer, m);
        if (r >= 0)
                r = nft_monitor_new(m->event, m->firewall_port_id, &callbacks, m, &m->nft_monitor);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "watching nftables");
        look_at_foreign(m);
        return 0;
}

void manager_unwatch_firewalls(Manager *m) {
        m->nft_monitor = nft_monitor_free(m->nft_monitor);
        m->foreign_timer = sd_event_source_disable_unref(m->foreign_timer);
        m->repair_timer = sd_event_source_disable_unref(m->repair_timer);
}
