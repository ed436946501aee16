/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The face of the Kernel table, and operations in words. */

#include "nl/nl.h"

#include "base/parse.h"
#include "nl/nl-socket.h"

int kernel_socket_from_fd(Kernel *k, int fd, NlSocket **ret) {
        return k->ops->socket_from_fd(k, fd, ret);
}

NlSocket *kernel_socket_free(NlSocket *s) {
        return s ? s->kernel->ops->socket_free(s) : NULL;
}

int kernel_apply(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret) {
        *ret = (NlApplied) { .failed = n_ops };
        return n_ops > 0 ? s->kernel->ops->apply(s, ops, n_ops, ret) : 0;
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

void kernel_dump_clear(NlDump *d) {
        free(d->links);
        free(d->addrs);
        free(d->routes);
        free(d->neighs);
        *d = (NlDump) { 0 };
}

static void resolve(int32_t *ifindex, uint32_t host_ifindex, uint32_t pod_ifindex) {
        if (*ifindex == NL_HOST_END)
                *ifindex = (int32_t) host_ifindex;
        else if (*ifindex == NL_POD_END)
                *ifindex = (int32_t) pod_ifindex;
}

void nl_ops_resolve(NlOp *ops, size_t n_ops, uint32_t host_ifindex, uint32_t pod_ifindex) {
        for (size_t i = 0; i < n_ops; i++)
                switch (ops[i].type) {
                case NL_ADDR_ADD:
                case NL_ADDR_DEL:
                        resolve(&ops[i].addr.ifindex, host_ifindex, pod_ifindex);
                        break;
                case NL_ROUTE_ADD:
                case NL_ROUTE_DEL:
                        resolve(&ops[i].route.ifindex, host_ifindex, pod_ifindex);
                        break;
                case NL_NEIGH_ADD:
                case NL_NEIGH_DEL:
                        resolve(&ops[i].neigh.ifindex, host_ifindex, pod_ifindex);
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
        default:
                return strdup(op->what);
        }
}
