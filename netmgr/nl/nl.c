/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The face of the Kernel table, and operations in words. */

#include "nl/nl.h"

#include "base/failpoint.h"
#include "base/parse.h"
#include "nl/nl-socket.h"

int kernel_socket_from_fd(Kernel *k, int fd, NlSocket **ret) {
        return k->ops->socket_from_fd(k, fd, ret);
}

NlSocket *kernel_socket_free(NlSocket *s) {
        return s ? s->kernel->ops->socket_free(s) : NULL;
}

#ifdef NETMGR_FAILPOINTS
/* One message carries all; a crash test wants to be between any two. Sends what comes before. What the
 * kernel refuses of that keeps the rest from being done no more than it does in one message: *first. */
static int apply_failpoints(NlSocket *s, const NlOp *ops, size_t n_ops, size_t *sent, int *first,
                            NlApplied *ret) {
        size_t failed = 0;

        static const char *const names[_NL_OP_MAX] = {
                [NL_VETH_ADD] = "nl-veth-add",         [NL_BRIDGE_ADD] = "nl-bridge-add",
                [NL_LINK_SET] = "nl-link-set",         [NL_LINK_DEL] = "nl-link-del",
                [NL_GROUP_DEL] = "nl-group-del",       [NL_ADDR_ADD] = "nl-addr-add",
                [NL_ADDR_DEL] = "nl-addr-del",         [NL_ROUTE_ADD] = "nl-route-add",
                [NL_ROUTE_DEL] = "nl-route-del",       [NL_NEIGH_ADD] = "nl-neigh-add",
                [NL_NEIGH_DEL] = "nl-neigh-del",       [NL_IFB_ADD] = "nl-ifb-add",
                [NL_TBF_SET] = "nl-tbf-set",           [NL_TBF_DEL] = "nl-tbf-del",
                [NL_CLSACT_ADD] = "nl-clsact-add",     [NL_CLSACT_DEL] = "nl-clsact-del",
                [NL_REDIRECT_ADD] = "nl-redirect-add", [NL_REDIRECT_DEL] = "nl-redirect-del",
        };

        for (size_t i = 0; i < n_ops; i++) {
                if (ops[i].type >= _NL_OP_MAX)
                        continue; /* refused further down */
                if (failpoint_is_armed(names[ops[i].type]) && i > *sent) {
                        int r = s->kernel->ops->apply(s, ops + *sent, i - *sent, ret);
                        if (r < 0 && *first >= 0) {
                                *first = r;
                                failed = ret->failed + *sent;
                        }
                        *sent = i;
                }
                int r = failpoint(names[ops[i].type]);
                if (r < 0) {
                        ret->failed = i;
                        return r;
                }
        }
        if (*first < 0)
                ret->failed = failed;
        return 0;
}
#endif

int kernel_apply(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        size_t sent = 0;
        int first = 0, r = 0;

        *ret = (NlApplied) { .failed = n_ops };
#ifdef NETMGR_FAILPOINTS
        r = apply_failpoints(s, ops, n_ops, &sent, &first, ret);
#endif
        if (r >= 0 && sent < n_ops) {
                size_t failed = ret->failed;
                r = s->kernel->ops->apply(s, ops + sent, n_ops - sent, ret);
                ret->failed = first < 0 ? failed : ret->failed + sent;
        }
        r = first < 0 ? first : r;
        if (r >= 0 && n_ops > 0)
                failpoint_past("nl-applied");
        return r;
}

int kernel_dump(NlSocket *s, NlDumpMask mask, NlDump *ret) {
        return s->kernel->ops->dump(s, mask, ret);
}

int kernel_get_link(NlSocket *s, const char *name, NlLink *ret) {
        return s->kernel->ops->get_link(s, name, ret);
}

int kernel_get_route(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source) {
        return s->kernel->ops->get_route(s, dst, ret_ifindex, ret_source);
}

static int try_op(NlSocket *s, const NlOp *op, bool *ret) {
        int r = kernel_apply(s, op, 1, &(NlApplied) { 0 });

        *ret = r >= 0;
        /* What a kernel without the module answers. */
        return r >= 0 || r == -ENOENT || r == -EOPNOTSUPP || r == -EINVAL ? 0 : r;
}

int kernel_probe_tc(NlSocket *s, NlTcFeatures *ret) {
        NlOp add = { .type = NL_IFB_ADD, .what = "try ifb", .ifb.name = "nmiprobe" };
        NlOp del = { .type = NL_LINK_DEL, .what = "end the trial", .link.name = "nmiprobe" };
        NlApplied made = { 0 };

        *ret = (NlTcFeatures) { 0 };
        (void) kernel_apply(s, &del, 1, &(NlApplied) { 0 }); /* of a trial that was killed */
        int r = kernel_apply(s, &add, 1, &made);
        if (r < 0)
                return r == -EOPNOTSUPP ? 0 : r;
        ret->ifb = true;
        int32_t i = (int32_t) made.ifb_ifindex;
        NlOp tbf = { .type = NL_TBF_SET, .what = "try tbf", .tbf = { i, 125000, 65536, 25000 } };
        NlOp clsact = { .type = NL_CLSACT_ADD, .what = "try clsact", .redirect = { i, 0 } };
        NlOp redirect = { .type = NL_REDIRECT_ADD, .what = "try mirred", .redirect = { i, i } };
        r = try_op(s, &tbf, &ret->tbf);
        if (r >= 0)
                r = try_op(s, &clsact, &ret->clsact);
        if (r >= 0 && ret->clsact)
                r = try_op(s, &redirect, &ret->mirred);
        /* Once more when it fails: otherwise the link would stay until the next start. */
        if (kernel_apply(s, &del, 1, &(NlApplied) { 0 }) < 0)
                (void) kernel_apply(s, &del, 1, &(NlApplied) { 0 });
        return r;
}

void kernel_dump_clear(NlDump *d) {
        free(d->links);
        free(d->addrs);
        free(d->routes);
        free(d->neighs);
        *d = (NlDump) { 0 };
}

static void resolve(int32_t *ifindex, const NlApplied *made) {
        if (*ifindex == NL_HOST_END)
                *ifindex = (int32_t) made->host_ifindex;
        else if (*ifindex == NL_POD_END)
                *ifindex = (int32_t) made->pod_ifindex;
        else if (*ifindex == NL_IFB_END)
                *ifindex = (int32_t) made->ifb_ifindex;
}

void nl_ops_resolve(NlOp *ops, size_t n_ops, const NlApplied *made) {
        for (size_t i = 0; i < n_ops; i++)
                switch (ops[i].type) {
                case NL_ADDR_ADD:
                case NL_ADDR_DEL:
                        resolve(&ops[i].addr.ifindex, made);
                        break;
                case NL_ROUTE_ADD:
                case NL_ROUTE_DEL:
                        resolve(&ops[i].route.ifindex, made);
                        break;
                case NL_NEIGH_ADD:
                case NL_NEIGH_DEL:
                        resolve(&ops[i].neigh.ifindex, made);
                        break;
                case NL_TBF_SET:
                case NL_TBF_DEL:
                        resolve(&ops[i].tbf.ifindex, made);
                        break;
                case NL_CLSACT_ADD:
                case NL_CLSACT_DEL:
                case NL_REDIRECT_ADD:
                case NL_REDIRECT_DEL:
                        resolve(&ops[i].redirect.ifindex, made);
                        resolve(&ops[i].redirect.to_ifindex, made);
                        break;
                default:
                        break;
                }
}

bool nl_op_is_valid(const NlOp *op) {
        switch (op->type) {
        case NL_ADDR_ADD:
        case NL_ADDR_DEL:
                return op->addr.ifindex > 0;
        case NL_ROUTE_ADD:
        case NL_ROUTE_DEL:
                return op->route.ifindex >= 0;
        case NL_NEIGH_ADD:
        case NL_NEIGH_DEL:
                return op->neigh.ifindex > 0;
        case NL_TBF_SET:
                return op->tbf.ifindex > 0 && op->tbf.rate > 0 && op->tbf.burst > 0;
        case NL_TBF_DEL:
                return op->tbf.ifindex > 0;
        case NL_CLSACT_ADD:
        case NL_CLSACT_DEL:
        case NL_REDIRECT_DEL:
                return op->redirect.ifindex > 0;
        case NL_REDIRECT_ADD:
                return op->redirect.ifindex > 0 && op->redirect.to_ifindex > 0;
        case NL_GROUP_DEL:
                return op->group != 0;
        case NL_LINK_SET:
                return !(op->link.mask & NL_LINK_HAIRPIN) || !(op->link.mask & NL_LINK_GROUP);
        default:
                return op->type < _NL_OP_MAX;
        }
}

char *nl_op_describe(const NlOp *op) {
        switch (op->type) {
        case NL_VETH_ADD:
                return strf("%s %s - %s", op->what, op->veth.name, op->veth.peer);
        case NL_BRIDGE_ADD:
                return strf("%s %s", op->what, op->bridge.name);
        case NL_LINK_SET:
        case NL_LINK_DEL:
                return strf("%s (%s)", op->what, op->link.name);
        case NL_ADDR_ADD:
        case NL_ADDR_DEL:
                return strf("%s %s", op->what, IN_PREFIX_STR(&op->addr.address));
        case NL_ROUTE_ADD:
        case NL_ROUTE_DEL:
                return strf("%s to %s", op->what, IN_PREFIX_STR(&op->route.dst));
        case NL_NEIGH_ADD:
        case NL_NEIGH_DEL:
                return strf("%s %s", op->what, IN_ADDR_STR(&op->neigh.address));
        case NL_IFB_ADD:
                return strf("%s %s", op->what, op->ifb.name);
        default:
                return strdup(op->what);
        }
}
