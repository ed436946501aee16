/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The host's side of a reconcile: what is found in a dump, and its repair. See reconcile.h. */

#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/enforce.h"
#include "core/network-extra.h"
#include "core/network-internal.h"
#include "core/op-change.h"
#include "core/operation.h"
#include "core/rebuild.h"
#include "core/reconcile-internal.h"
#include "core/wire.h"

/* The name of a link may be any bytes, and a sentence is text. */
#define NAME_TEXT_SIZE (4 * IF_NAMESIZE)
static const char *name_text(const char *name, char ret[static NAME_TEXT_SIZE]) {
        size_t n = 0;

        for (const unsigned char *p = (const unsigned char *) name; *p && n + 4 < NAME_TEXT_SIZE;
             p++)
                if (*p > ' ' && *p < 0x7f && *p != '\\')
                        ret[n++] = (char) *p;
                else
                        n += (size_t) snprintf(ret + n, NAME_TEXT_SIZE - n, "\\x%02x", *p);
        ret[n] = '\0';
        return ret;
}

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

/* By its group the rule tables know whose it is. */
static void compare_bridge(const Network *n, const NlDump *d, NlSocket *nl, Differences *ret) {
        const NlLink *bridge = compare_find_link(d, n->bridge);
        char extra[16];
        NlLink now;

        /* It may have come after its part of the dump. */
        if (!bridge && kernel_get_link(nl, n->bridge, &now) != -ENODEV)
                return;
        if (!compare_link(bridge, n->bridge, WHERE_HOST, NULL, 0, ret))
                return;
        if (bridge->group != n->group)
                differ(ret, NULL, "link group of %s: wanted %u, found %u", n->bridge, n->group,
                       bridge->group);
        network_extra_name(n, extra);
        if (extra[0]) {
                const NlLink *l = compare_find_link(d, extra);
                if (!compare_link(l, extra, WHERE_HOST, NULL, 0, ret))
                        return;
                if (n->conf->kind == NET_KIND_BRIDGE)
                        bridge = l; /* where the gateways are */
        }
        compare_gateways(n, d, bridge->ifindex, ret);
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
                if (kind_has_bridge(n->conf->kind))
                        compare_bridge(n, d, run->manager->nl, &l);
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
        NlLink link;

        if (!nr) {
                finding_settled(run, index, n ? -ENOMEM : FINDING_MOOT, NULL);
                return;
        }
        /* Whoever made it has plans for it that we do not know; and ours would be deleted in the end. */
        if (kind_has_bridge(n->conf->kind) && !n->bridge_created &&
            kernel_get_link(run->manager->nl, n->bridge, &link) == -ENODEV) {
                _cleanup_error_ Error error = ERROR_NULL;
                int r = error_setf(
                                &error, ERROR_KERNEL,
                                "bridge %s was not made by netmgr; make it again, and its ports join it",
                                n->bridge);
                network_forget_ready(n);
                finding_settled(run, index, r, &error);
                free(nr);
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
        const char *name = spec_way_in(s);
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

/* Traffic that is led to an interface which is gone is dropped. True: the limits have to be set again. */
static bool compare_ifb(NlSocket *nl, const AttachmentSpec *s, const NlDump *d, Differences *ret) {
        char name[IF_NAMESIZE];
        NlLink now;

        if (!spec_shapes_egress(s))
                return false;
        spec_ifb_name(s, name);
        if (compare_find_link(d, name) || kernel_get_link(nl, name, &now) != -ENODEV)
                return false;
        differ(ret, NULL, "shaping interface %s of %s is missing in " WHERE_HOST, name,
               spec_host_end(s));
        return true;
}

/* Takes *l over; NULL when it has nothing, or without memory. */
static Finding *add_finding(ReconcileRun *run, FindingKind kind, const Attachment *a,
                            Differences *l) {
        if (l->n == 0 && l->error >= 0)
                return NULL;
        Finding *f = findings_add(&run->findings, kind, spec_host_end(&a->spec), a->network->name,
                                  a->sandbox->id, a->spec.ifname, l);
        if (f)
                f->id = a->spec.id;
        return f;
}

static const NlLink *find_renamed(const Attachment *a, const NlDump *d) {
        for (size_t i = 0; i < d->n_links; i++)
                if (d->links[i].ifindex == a->host_ifindex && streq(d->links[i].kind, "veth") &&
                    memcmp(&d->links[i].mac, &a->spec.host_mac, sizeof(MacAddr)) == 0)
                        return &d->links[i];
        return NULL;
}

/* Not there by its name. Whether the sandbox lives, and it has to be made again, is for a look inside. */
static void find_missing(ReconcileRun *run, const Attachment *a, const NlDump *d) {
        const NlLink *renamed = find_renamed(a, d);
        Differences l = { 0 };
        NlLink link;

        if (renamed) {
                char name[NAME_TEXT_SIZE];
                differ(&l, NULL, "%s was renamed to %s, where no rule holds; rename it back",
                       a->spec.host_ifname, name_text(renamed->name, name));
                (void) add_finding(run, FINDING_HOST, a, &l);
        } else if (kernel_get_link(run->manager->nl, a->spec.host_ifname, &link) == -ENODEV)
                (void) reconcile_add_inside(run, a->spec.id);
        /* else it has come after its part of the dump */
}

/* Another number than the row has: it was made again and what followed did not come to its end. */
static void find_index(const ReconcileRun *run, Attachment *a, const NlLink *link) {
        if (run->dry_run || memcmp(&link->mac, &a->spec.host_mac, sizeof(link->mac)) != 0)
                return;
        a->lost = a->lost_told = false;
        if (link->ifindex == a->host_ifindex)
                return;
        attachment_set_host_ifindex(a, link->ifindex);
        a->unsure = true;
}

/* Of somebody else's interface only what was put there for it; while the interface is there. */
static void find_foreign(ReconcileRun *run, const Attachment *a, const NlDump *d) {
        Differences l = { 0 };

        if (!compare_find_link(d, spec_host_end(&a->spec)))
                return;
        compare_localnet(&a->spec, &l);
        bool limits = compare_ifb(run->manager->nl, &a->spec, d, &l);
        Finding *f = add_finding(run, FINDING_HOST, a, &l);
        if (f)
                f->limits = limits;
}

static void find_attachment(ReconcileRun *run, Attachment *a, const NlDump *d) {
        Differences l = { 0 };
        Plan plan = { 0 };

        if (a->delegate_pending)
                return; /* for a runtime: nothing of it is in the kernel */
        if (a->state != ATTACHMENT_UP) {
                differ(&l, NULL, "%s of sandbox %s is %s and nobody works on it", a->spec.ifname,
                       a->sandbox->id, attachment_state_to_string(a->state));
                (void) findings_add(&run->findings, FINDING_UNFINISHED, a->spec.host_ifname,
                                    a->network->name, a->sandbox->id, a->spec.ifname, &l);
                return;
        }
        if (a->spec.kind == NET_KIND_FOREIGN) {
                find_foreign(run, a, d);
                return;
        }
        if (!a->spec.host_ifname[0])
                return;
        const NlLink *link = compare_find_link(d, a->spec.host_ifname);
        if (!link) {
                find_missing(run, a, d);
                return;
        }
        find_index(run, a, link);
        if (plan_make(&a->spec, 0, &plan) < 0) {
                run->findings.error = -ENOMEM;
                return;
        }
        compare_host(&a->spec, &plan, d, &l);
        compare_localnet(&a->spec, &l);
        plan_clear(&plan);
        bool limits = compare_ifb(run->manager->nl, &a->spec, d, &l);
        Finding *f = add_finding(run, FINDING_HOST, a, &l);
        if (f)
                f->limits = limits;
}

static bool is_numbered(const char *name, const char *prefix, uint64_t *ret) {
        return strncmp(name, prefix, 3) == 0 && parse_hex64(name + 3, ret) >= 0;
}

/* A link of ours that the ledger does not know, by its name, kind and, for a bridge, group. */
static bool has_ports(const NlDump *d, const NlLink *bridge) {
        for (size_t i = 0; i < d->n_links; i++)
                if (d->links[i].master == bridge->ifindex)
                        return true;
        return false;
}

static bool is_stray(const Manager *m, const NlDump *d, const NlLink *l) {
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
        if (network_extra_is_stray(m, l))
                return true;
        if (strncmp(l->name, "nmb-", 4) != 0 || !streq(l->kind, "bridge") ||
            l->group < NETWORK_GROUP_BASE)
                return false;
        MAP_FOREACH (n, m->networks)
                if (streq(n->bridge, l->name))
                        return false;
        return !has_ports(d, l); /* else somebody uses it */
}

static void find_strays(ReconcileRun *run, const NlDump *d) {
        for (size_t i = 0; i < d->n_links; i++) {
                Differences l = { 0 };
                NlLink now;

                /* What went since the dump needs no repair. */
                if (!is_stray(run->manager, d, &d->links[i]) ||
                    kernel_get_link(run->manager->nl, d->links[i].name, &now) < 0)
                        continue;
                char name[NAME_TEXT_SIZE];
                differ(&l, NULL, "%s exists, and no row of the ledger knows it",
                       name_text(now.name, name));
                Finding *f = findings_add(&run->findings, FINDING_STRAY, name, NULL, NULL, NULL,
                                          &l);
                if (f)
                        memcpy(f->link, now.name, sizeof(f->link));
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

static void ops_end(OpsJob *j, int r, const Error *e) {
        const Finding *f = &j->run->findings.items[j->index];
        _cleanup_error_ Error error = ERROR_NULL;

        for (size_t i = 0; i < f->differences.n && r >= 0; i++)
                if (!f->differences.items[i].mendable && !f->limits)
                        r = error_setf(&error, ERROR_KERNEL, "it takes more than netmgr may do");
        finding_settled(j->run, j->index, r, error_is_set(&error) ? &error : e);
        error_clear(&j->job.task.error);
        free(j->ops);
        free(j);
}

static void limits_set(int r, const Error *e, void *userdata) {
        ops_end(userdata, r, e);
}

static void ops_done(Task *task) {
        OpsJob *j = (OpsJob *) task;
        Attachment *a = map_get_u64(j->run->manager->attachments, j->id);

        if (a && task->r >= 0 && j->run->findings.items[j->index].limits) {
                Manager *m = a->manager;
                uint64_t id = j->id;

                a->busy = false; /* for the change that takes over, and wakes who waits */
                attachment_renew_limits(a, limits_set, j);
                /* It was refused, and `j` is gone: the link vanished meanwhile. */
                a = map_get_u64(m->attachments, id);
                if (a && !a->busy)
                        attachment_set_idle(a);
                return;
        }
        ops_end(j, task->r, &task->error);
        if (a)
                attachment_set_idle(a);
}

void reconcile_repair_ops(ReconcileRun *run, size_t index) {
        const Finding *f = &run->findings.items[index];
        Attachment *a = reconcile_attachment(run, f->id);
        OpsJob *j = a ? new0(OpsJob, 1) : NULL;
        _cleanup_free_ NlOp *ops = new0(NlOp, f->differences.n + 1);

        if (!j || !ops) {
                finding_settled(run, index, a ? -ENOMEM : FINDING_MOOT, NULL);
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
        snprintf(s->reap.name, sizeof(s->reap.name), "%s", run->findings.items[index].link);
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
                finding_settled(run, index, rr ? FINDING_MOOT : -ENOMEM, NULL);
                free(rr);
                return;
        }
        *rr = (ReleaseRepair) { run, index };
        attachment_release(a, "reconcile", "an operation on it had not come to its end", released,
                           rr);
}
