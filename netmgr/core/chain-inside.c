/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See chain-inside.h. */

#include "core/chain-inside.h"

#include <stdio.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "core/adjust.h"
#include "core/network.h"
#include "core/plan.h"
#include "core/sysctl-allow.h"
#include "core/wire.h"

typedef struct ChainInside {
        CniArgs args;        /* MAC of CNI_ARGS */
        CniOwnedResult prev; /* owned */
        NlDump seen;         /* owned; indexed: the sandbox before */
        char **old_sysctls;  /* owned: what the files held, of the configuration's sysctls */
        size_t n_sysctls;
} ChainInside;

ChainInside *chain_inside_free(ChainInside *i) {
        if (!i)
                return NULL;
        cni_args_clear(&i->args);
        cni_owned_result_clear(&i->prev);
        kernel_dump_clear(&i->seen);
        for (size_t k = 0; k < i->n_sysctls; k++)
                free(i->old_sysctls[k]);
        free(i->old_sysctls);
        free(i);
        return NULL;
}

/* ---- before ----------------------------------------------------------------------------------- */

static int inside_look(ChainOp *op, WorkerContext *w _unused_, Error *e) {
        const NetConf *c = op->conf;
        ChainInside *i = new0(ChainInside, 1);

        if (!i)
                return error_oom(e);
        op->inside = i;
        i->old_sysctls = new0(char *, c->n_sysctls + 1);
        if (!i->old_sysctls)
                return error_oom(e);
        i->n_sysctls = c->n_sysctls;
        int r = sysctl_allow_check(op->manager->sysctl_allowlist, c->sysctls, c->n_sysctls, e);
        /* The other two do not read CNI_ARGS, and do not mind what is in there. */
        if (r >= 0 && c->plugin == NET_PLUGIN_TUNING)
                r = cni_args_parse(op->request.args, &i->args, e);
        if (r >= 0)
                r = cni_result_parse(c->prev_result, "prevResult", c->cni_version, &i->prev, e);
        if (r < 0)
                return r;
        r = kernel_dump(op->pod, ADJUST_DUMP, &i->seen);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking into the sandbox's netns");
        compare_index(&i->seen);
        return 0;
}

static int inside_decide(ChainOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;

        if (s->kind == NET_KIND_LOOPBACK || !spec_has_link(s))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "%s: interface %s of sandbox %s is of kind %s and cannot be changed "
                                "by it",
                                op->conf->type, s->ifname, op->request.container_id,
                                net_kind_to_string(s->kind));
        int r = adjust_decide(s, op->conf, &op->inside->args, &op->inside->prev, &op->inside->seen,
                              e);
        return r < 0 ? r : 1;
}

/* ---- the kernel ------------------------------------------------------------------------------- */

/* The neighbour entries of a plan, once more. */
static int set_neighbours(NlSocket *socket, const NlOp *ops, size_t n, uint32_t ifindex) {
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++) {
                NlOp op = ops[i];
                if (op.type != NL_NEIGH_ADD)
                        continue;
                op.neigh.ifindex = (int32_t) ifindex;
                r = kernel_apply(socket, &op, 1, &(NlApplied) { 0 });
        }
        return r;
}

/* With its MAC an interface loses its neighbour entries, permanent ones too; and those of the host about it
 * are wrong. What the plan has is set again, and what the host has found out by itself is forgotten. */
static int renew_neighbours(ChainOp *op, WorkerContext *w, const AttachmentSpec *s, Error *e) {
        const char *way_in = spec_way_in(s);
        Plan plan = { 0 };
        NlLink link;

        if (plan_make(s, 0, &plan) < 0)
                return error_oom(e);
        int r = kernel_get_link(op->pod, s->ifname, &link);
        if (r >= 0)
                r = set_neighbours(op->pod, plan.pod, plan.n_pod, link.ifindex);
        if (r >= 0 && way_in[0])
                r = kernel_get_link(w->host, way_in, &link);
        if (r >= 0 && way_in[0] && !kind_is_routed(s->kind))
                for (size_t i = 0; i < s->n_addresses; i++) {
                        NlOp del = { .type = NL_NEIGH_DEL,
                                     .what = "forget the sandbox's neighbour entry",
                                     .neigh = { .ifindex = (int32_t) link.ifindex,
                                                .address = s->addresses[i].address.address } };
                        (void) kernel_apply(w->host, &del, 1, &(NlApplied) { 0 });
                }
        else if (r >= 0 && way_in[0])
                r = set_neighbours(w->host, plan.finish, plan.n_finish, link.ifindex);
        plan_clear(&plan);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "renewing the neighbour entries of %s",
                                        s->ifname)
                     : 0;
}

/* The value before is kept for a failure; some can only be written. */
static int set_sysctl(ChainOp *op, WorkerContext *w, size_t i, Error *e) {
        const NetSysctl *y = &op->conf->sysctls[i];
        _cleanup_free_ char *name = spec_sysctl_name(y->name, op->after.ifname), *old = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size;

        if (!name)
                return error_oom(e);
        int r = failpoint("sysctl-write");
        if (r >= 0)
                r = nsd_client_open(&w->nsd, op->request.netns_fd, NSD_OPEN_SYSCTL,
                                    name + strlen("net/"), &fd);
        if (r >= 0)
                (void) fd_read_full(fd, NETLINK_BUFFER_SIZE, &old, &size);
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r >= 0)
                r = fd_write_all(fd, y->value, strlen(y->value));
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r,
                                        "sysctl %s: writing \"%s\" in the sandbox's netns", name,
                                        y->value);
        op->inside->old_sysctls[i] = TAKE_PTR(old);
        return 0;
}

static int set_sysctls(ChainOp *op, WorkerContext *w, Error *e) {
        int r = 0;

        for (size_t i = 0; i < op->conf->n_sysctls && r >= 0; i++)
                r = set_sysctl(op, w, i, e);
        return r;
}

static void restore_sysctls(ChainOp *op, WorkerContext *w) {
        for (size_t i = op->conf->n_sysctls; i > 0; i--) {
                const char *old = op->inside->old_sysctls[i - 1];
                _cleanup_free_ char *name =
                                spec_sysctl_name(op->conf->sysctls[i - 1].name, op->after.ifname);
                if (!old || !name)
                        continue;
                int r = nsd_client_write_sysctl(&w->nsd, op->request.netns_fd,
                                                name + strlen("net/"), old);
                if (r < 0)
                        log_warning("undoing: writing %s again: %s", name, strerror(-r));
        }
}

static int inside_kernel(ChainOp *op, WorkerContext *w, Error *e) {
        const AttachmentSpec *now = &op->after;
        bool new_mac = memcmp(&now->mac, &op->before.mac, sizeof(now->mac)) != 0;

        int r = set_sysctls(op, w, e);
        if (r >= 0)
                r = adjust_apply(op->pod, now, &op->inside->seen, e);
        if (r >= 0 && new_mac)
                r = renew_neighbours(op, w, now, e);
        if (r >= 0 && new_mac && now->bridge[0]) {
                NlLink bridge;
                if (kernel_get_link(w->host, now->bridge, &bridge) >= 0)
                        wire_announce(w, bridge.ifindex, now);
        }
        if (r < 0) {
                adjust_roll_back(op->pod, now, &op->before, &op->inside->seen);
                restore_sysctls(op, w);
                if (new_mac)
                        (void) renew_neighbours(op, w, &op->before, NULL);
        }
        return r;
}

/* The MTU of the result stays, as with the reference plugin: it is what the interface was made with. */
static int inside_answer(ChainOp *op, json_object *result, Error *e _unused_) {
        const SpecAdjust *adjust = &op->after.adjust;

        if (adjust->has_tuning && !mac_is_zero(&adjust->tuned.mac))
                cni_result_set_mac(result, op->after.ifname, &adjust->tuned.mac);
        return 0;
}

/* ---- the three -------------------------------------------------------------------------------- */

/* CNI_ARGS can hold a MAC, which is read only once there is something to look at. */
static bool never_idle(const NetConf *c _unused_) {
        return false;
}

const ChainPlugin chain_tuning = { .plugin = NET_PLUGIN_TUNING,
                                   .inside = true,
                                   .is_idle = never_idle,
                                   .look = inside_look,
                                   .decide = inside_decide,
                                   .kernel = inside_kernel,
                                   .answer = inside_answer };
const ChainPlugin chain_sbr = { .plugin = NET_PLUGIN_SBR,
                                .inside = true,
                                .is_idle = never_idle,
                                .look = inside_look,
                                .decide = inside_decide,
                                .kernel = inside_kernel };
const ChainPlugin chain_vrf = { .plugin = NET_PLUGIN_VRF,
                                .inside = true,
                                .is_idle = never_idle,
                                .look = inside_look,
                                .decide = inside_decide,
                                .kernel = inside_kernel };
