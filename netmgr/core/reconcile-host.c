/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's side of a reconcile: what is found in a dump, and its repair. See reconcile.h. */

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/enforce.h"
#include "core/network-internal.h"
#include "core/operation.h"
#include "core/rebuild.h"
#include "core/reconcile-internal.h"
#include "core/wire.h"

/* ---- networks --------------------------------------------------------------------------------- */

static void compare_gateways(const Network *n, const NlDump *d, uint32_t ifindex,
                             Differences *ret) {
        const NetConf *c = n->conf;

        for (size_t i = 0; c->is_gateway && i < c->n_sets; i++)
                for (size_t k = 0; k < c->sets[i].n_ranges; k++) {
                        const NetRange *range = &c->sets[i].ranges[k];
                        InPrefix gw = { .address = range->gateway, .length = range->subnet.length };
                        compare_address(d, ifindex, &gw, n->bridge, WHERE_HOST, NULL, ret);
                }
}

static void compare_forwarding(const Network *n, int family, Differences *ret) {
        const char *path = family == AF_INET ? "/proc/sys/net/ipv4/ip_forward"
                                             : "/proc/sys/net/ipv6/conf/all/forwarding";
        _cleanup_free_ char *value = NULL;
        size_t size;

        for (size_t i = 0; i < n->conf->n_sets; i++)
                for (size_t k = 0; k < n->conf->sets[i].n_ranges; k++)
                        if (n->conf->sets[i].ranges[k].subnet.address.family == family) {
                                if (file_read_full(AT_FDCWD, path, 16, &value, &size) >= 0 &&
                                    value[0] == '0')
                                        differ(ret, NULL, "%s is 0: the host does not forward",
                                               path);
                                return;
                        }
}

void reconcile_find_networks(ReconcileRun *run, const NlDump *d) {
        Network *n;

        MAP_FOREACH (n, run->manager->networks) {
                Differences l = { 0 };

                if (n->n_attachments == 0 || !network_is_at_rest(n))
                        continue;
                if (n->conf->kind == NET_KIND_BRIDGE) {
                        const NlLink *bridge = compare_find_link(d, n->bridge);
                        if (compare_link(bridge, n->bridge, WHERE_HOST, NULL, 0, &l))
                                compare_gateways(n, d, bridge->ifindex, &l);
                }
                if (network_is_host_routed(n->conf)) {
                        compare_forwarding(n, AF_INET, &l);
                        compare_forwarding(n, AF_INET6, &l);
                }
                if (l.n > 0)
                        (void) findings_add(&run->findings, FINDING_NETWORK,
                                            n->bridge[0] ? n->bridge : NULL, n->name, NULL, NULL,
                                            &l);
                differences_clear(&l);
        }
}

typedef struct NetworkRepair {
        NetworkWaiter waiter; /* first member */
        ReconcileRun *run;
        size_t index;
} NetworkRepair;

static void network_repaired(NetworkWaiter *w, int r, const Error *e) {
        NetworkRepair *nr = (NetworkRepair *) w;

        finding_settled(nr->run, nr->index, r, e);
        free(nr);
}

void reconcile_repair_network(ReconcileRun *run, size_t index) {
        Network *n = network_find(run->manager, run->findings.items[index].network);
        NetworkRepair *nr = n ? new0(NetworkRepair, 1) : NULL;

        if (!nr) {
                finding_settled(run, index, n ? -ENOMEM : 0, NULL);
                return;
        }
        *nr = (NetworkRepair) { .waiter.ready = network_repaired, .run = run, .index = index };
        network_forget_ready(n);
        network_await(n, &nr->waiter);
}

/* ---- attachments ------------------------------------------------------------------------------ */

/* No dump tells it. */
static void compare_localnet(const AttachmentSpec *s, Differences *ret) {
        NlOp set = { .type = NL_LINK_SET, .what = "let 127.0.0.1 reach host ports" };
        const char *name = s->kind == NET_KIND_BRIDGE ? s->bridge : s->host_ifname;
        _cleanup_free_ char *path = strf("/proc/sys/net/ipv4/conf/%s/route_localnet", name);
        _cleanup_free_ char *value = NULL;
        size_t size;

        if (!spec_needs_route_localnet(s) || !path ||
            file_read_full(AT_FDCWD, path, 16, &value, &size) < 0 || value[0] != '0')
                return;
        set.link.mask = NL_LINK_ROUTE_LOCALNET;
        set.link.route_localnet = true;
        snprintf(set.link.name, sizeof(set.link.name), "%s", name);
        differ(ret, &set, "%s is 0: 127.0.0.1 does not lead to the sandbox's ports", path);
}

static void find_attachment(ReconcileRun *run, Attachment *a, const NlDump *d) {
        Differences l = { 0 };
        Plan plan = { 0 };
        NlLink link;

        if (a->state != ATTACHMENT_UP) {
                differ(&l, NULL, "%s of sandbox %s is %s and nobody works on it", a->spec.ifname,
                       a->sandbox->id, attachment_state_to_string(a->state));
                (void) findings_add(&run->findings, FINDING_UNFINISHED, a->spec.host_ifname,
                                    a->network->name, a->sandbox->id, a->spec.ifname, &l);
                return;
        }
        if (!a->spec.host_ifname[0] || plan_make(&a->spec, 0, &plan) < 0)
                return;
        compare_host(&a->spec, &plan, d, &l);
        compare_localnet(&a->spec, &l);
        plan_clear(&plan);

        bool missing = !compare_find_link(d, a->spec.host_ifname);
        /* It may have come after its part of the dump. */
        if (l.n == 0 ||
            (missing && kernel_get_link(run->manager->nl, a->spec.host_ifname, &link) != -ENODEV)) {
                differences_clear(&l);
                return;
        }
        a->lost |= missing;
        Finding *f = findings_add(&run->findings, missing ? FINDING_MISSING : FINDING_HOST,
                                  a->spec.host_ifname, a->network->name, a->sandbox->id,
                                  a->spec.ifname, &l);
        if (f)
                f->id = a->spec.id;
}

static bool is_numbered(const char *name, const char *prefix, uint64_t *ret) {
        return strncmp(name, prefix, 3) == 0 && parse_hex64(name + 3, ret) >= 0;
}

/* A link of ours that the ledger does not know, by its name, kind and, for a bridge, group. */
static bool is_stray(const Manager *m, const NlLink *l) {
        const Attachment *a;
        const Network *n;
        uint64_t id;

        if (rebuild_knows(m, l->name))
                return false;
        if (is_numbered(l->name, "nmg", &id))
                return streq(l->kind, "veth") && !map_get_str(m->host_ends, l->name);
        if (is_numbered(l->name, "nmi", &id)) {
                a = map_get_u64(m->attachments, id);
                return streq(l->kind, "ifb") && (!a || (!a->busy && !spec_shapes_egress(&a->spec)));
        }
        if (strncmp(l->name, "nmb-", 4) != 0 || !streq(l->kind, "bridge") ||
            l->group < NETWORK_GROUP_BASE)
                return false;
        MAP_FOREACH (n, m->networks)
                if (streq(n->bridge, l->name))
                        return false;
        return true;
}

static void find_strays(ReconcileRun *run, const NlDump *d) {
        for (size_t i = 0; i < d->n_links; i++) {
                Differences l = { 0 };
                NlLink now;

                /* What went since the dump needs no repair. */
                if (!is_stray(run->manager, &d->links[i]) ||
                    kernel_get_link(run->manager->nl, d->links[i].name, &now) < 0)
                        continue;
                differ(&l, NULL, "%s exists, and no row of the ledger knows it", now.name);
                (void) findings_add(&run->findings, FINDING_STRAY, now.name, NULL, NULL, NULL, &l);
        }
}

void reconcile_find_host(ReconcileRun *run, const NlDump *d) {
        Attachment *a;

        MAP_FOREACH (a, run->manager->attachments)
                if (reconcile_attachment(run, a->spec.id))
                        find_attachment(run, a, d);
        find_strays(run, d);
}

/* ---- repair ----------------------------------------------------------------------------------- */

typedef struct OpsJob {
        Job job; /* first member */
        ReconcileRun *run;
        size_t index;
        uint64_t id;
        NlOp *ops; /* owned */
        size_t n;
} OpsJob;

static int ops_run(Job *job, WorkerContext *w, Error *e) {
        OpsJob *j = (OpsJob *) job;
        NlApplied applied;

        int r = kernel_apply(w->host, j->ops, j->n, &applied);
        if (r >= 0)
                return 0;
        _cleanup_free_ char *words =
                        applied.failed < j->n ? nl_op_describe(&j->ops[applied.failed]) : NULL;
        return error_set_errnof(e, ERROR_KERNEL, r, "the kernel refused to %s",
                                words ? words : "answer");
}

static void ops_done(Task *task) {
        OpsJob *j = (OpsJob *) task;
        Attachment *a = map_get_u64(j->run->manager->attachments, j->id);

        finding_settled(j->run, j->index, task->r, &task->error);
        if (a)
                attachment_set_idle(a);
        error_clear(&task->error);
        free(j->ops);
        free(j);
}

void reconcile_repair_ops(ReconcileRun *run, size_t index) {
        const Finding *f = &run->findings.items[index];
        Attachment *a = reconcile_attachment(run, f->id);
        OpsJob *j = a ? new0(OpsJob, 1) : NULL;
        _cleanup_free_ NlOp *ops = new0(NlOp, f->differences.n + 1);

        if (!j || !ops) {
                finding_settled(run, index, a ? -ENOMEM : 0, NULL);
                free(j);
                return;
        }
        *j = (OpsJob) { .run = run, .index = index, .id = f->id };
        for (size_t i = 0; i < f->differences.n; i++)
                if (f->differences.items[i].mendable)
                        ops[j->n++] = f->differences.items[i].repair;
        j->ops = TAKE_PTR(ops);
        j->job.run = ops_run;
        j->job.task.deliver = ops_done;
        a->busy = true;
        workers_submit(run->manager->workers, &j->job);
}

typedef struct StrayReap {
        Reap reap; /* first member */
        ReconcileRun *run;
        size_t index;
} StrayReap;

static void stray_gone(Task *task) {
        StrayReap *s = (StrayReap *) task;
        _cleanup_error_ Error error = ERROR_NULL;

        if (task->r < 0)
                (void) error_set_errnof(&error, ERROR_KERNEL, task->r, "deleting %s", s->reap.name);
        finding_settled(s->run, s->index, task->r, &error);
        error_clear(&task->error);
        free(s);
}

void reconcile_repair_stray(ReconcileRun *run, size_t index) {
        StrayReap *s = new0(StrayReap, 1);

        if (!s) {
                finding_settled(run, index, -ENOMEM, NULL);
                return;
        }
        s->run = run;
        s->index = index;
        s->reap.task.deliver = stray_gone;
        snprintf(s->reap.name, sizeof(s->reap.name), "%s", run->findings.items[index].object);
        reaper_submit(run->manager->reaper, &s->reap);
}

typedef struct ReleaseRepair {
        ReconcileRun *run;
        size_t index;
} ReleaseRepair;

static void released(int r, const Error *e, void *userdata) {
        ReleaseRepair *rr = userdata;

        finding_settled(rr->run, rr->index, r, e);
        free(rr);
}

void reconcile_repair_unfinished(ReconcileRun *run, size_t index) {
        const Finding *f = &run->findings.items[index];
        Attachment *a = attachment_find(run->manager, f->sandbox, f->ifname);
        ReleaseRepair *rr = new0(ReleaseRepair, 1);

        if (!rr || !a || a->busy || a->state == ATTACHMENT_UP) {
                finding_settled(run, index, rr ? 0 : -ENOMEM, NULL);
                free(rr);
                return;
        }
        *rr = (ReleaseRepair) { run, index };
        attachment_release(a, "reconcile", "an operation on it had not come to its end", released,
                           rr);
}
