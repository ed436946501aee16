/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The face of the Kernel table, and operations in words. */

#include "nl/nl.h"

#include <linux/rtnetlink.h>

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
                [NL_VETH_ADD] = "nl-veth-add",
                [NL_BRIDGE_ADD] = "nl-bridge-add",
                [NL_LINK_SET] = "nl-link-set",
                [NL_LINK_DEL] = "nl-link-del",
                [NL_GROUP_DEL] = "nl-group-del",
                [NL_ADDR_ADD] = "nl-addr-add",
                [NL_ADDR_DEL] = "nl-addr-del",
                [NL_ROUTE_ADD] = "nl-route-add",
                [NL_ROUTE_DEL] = "nl-route-del",
                [NL_NEIGH_ADD] = "nl-neigh-add",
                [NL_NEIGH_DEL] = "nl-neigh-del",
                [NL_IFB_ADD] = "nl-ifb-add",
                [NL_TBF_SET] = "nl-tbf-set",
                [NL_TBF_DEL] = "nl-tbf-del",
                [NL_CLSACT_ADD] = "nl-clsact-add",
                [NL_CLSACT_DEL] = "nl-clsact-del",
                [NL_REDIRECT_ADD] = "nl-redirect-add",
                [NL_REDIRECT_DEL] = "nl-redirect-del",
                [NL_LINK_ADD] = "nl-link-add",
                [NL_BRIDGE_VLAN_ADD] = "nl-bridge-vlan-add",
                [NL_BRIDGE_VLAN_DEL] = "nl-bridge-vlan-del",
                [NL_RULE_ADD] = "nl-rule-add",
                [NL_RULE_DEL] = "nl-rule-del",
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
        return s->kernel->ops->get_link(s, name, 0, ret, NULL);
}

int kernel_get_link_by_index(NlSocket *s, uint32_t ifindex, NlLink *ret) {
        return s->kernel->ops->get_link(s, NULL, ifindex, ret, NULL);
}

int kernel_get_alias(NlSocket *s, uint32_t ifindex, char **ret) {
        char *alias = NULL;
        NlLink link;

        int r = s->kernel->ops->get_link(s, NULL, ifindex, &link, &alias);
        if (r >= 0)
                *ret = alias;
        return r;
}

int kernel_get_route(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source) {
        return s->kernel->ops->get_route(s, dst, ret_ifindex, ret_source);
}

void kernel_dump_clear(NlDump *d) {
        for (size_t i = 0; i < d->n_links; i++)
                free(d->links[i].alias);
        free(d->links);
        free(d->addrs);
        free(d->routes);
        free(d->neighs);
        free(d->rules);
        free(d->bridge_vlans);
        free(d->stats);
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
                case NL_LINK_SET:
                case NL_LINK_DEL:
                        resolve(&ops[i].link.ifindex, made);
                        break;
                case NL_BRIDGE_VLAN_ADD:
                case NL_BRIDGE_VLAN_DEL:
                        resolve(&ops[i].bvlan.ifindex, made);
                        break;
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

/* By name or by index, never by both nor by none: an empty name means other things to the kernel. */
static bool link_is_named(const NlOp *op) {
        return op->link.name[0] ? op->link.ifindex == 0 : op->link.ifindex > 0;
}

static bool link_set_is_valid(const NlOp *op) {
        NlLinkMask mask = op->link.mask;

        if (!link_is_named(op) || ((mask & NL_LINK_NAME) && !op->link.new_name[0]) ||
            ((mask & NL_LINK_ALIAS) && op->link.alias && strlen(op->link.alias) > NL_ALIAS_MAX))
                return false;
        return !(mask & NL_LINK_BY_NEWLINK) || !(mask & (NL_LINK_GROUP | NL_LINK_NETNS));
}

static bool route_is_valid(const NlOp *op) {
        bool somewhere = op->route.type == 0 || op->route.type == RTN_UNICAST;

        return somewhere ? op->route.ifindex >= 0
                         : op->route.ifindex == 0 && !in_addr_is_set(&op->route.gw);
}

/* A rule without a selector is one of the kernel's own three, or as bad. */
static bool rule_is_valid(const NlOp *op) {
        int family = op->rule.family;
        const InPrefix *dst = &op->rule.dst;

        return (family == AF_INET || family == AF_INET6) && op->rule.table != 0 &&
               (!op->rule.has_src || op->rule.src.address.family == family) &&
               (!in_addr_is_set(&dst->address) || dst->address.family == family) &&
               (op->rule.has_src || in_addr_is_set(&dst->address) || op->rule.iif[0] ||
                op->rule.oif[0]);
}

static bool bridge_vlan_is_valid(const NlOp *op) {
        uint16_t vid = op->bvlan.vid, end = op->bvlan.vid_end;

        return op->bvlan.ifindex > 0 && vid >= 1 && vid <= 4094 &&
               (end == 0 || (end >= vid && end <= 4094)) && !(end > vid && op->bvlan.pvid);
}

bool nl_op_is_valid(const NlOp *op) {
        switch (op->type) {
        case NL_ADDR_ADD:
        case NL_ADDR_DEL:
                return op->addr.ifindex > 0;
        case NL_ROUTE_ADD:
        case NL_ROUTE_DEL:
                return route_is_valid(op);
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
                return link_set_is_valid(op);
        case NL_LINK_DEL:
                return link_is_named(op);
        case NL_LINK_ADD:
                return op->newlink.name[0] && nl_link_kind_to_string(op->newlink.kind);
        case NL_BRIDGE_VLAN_ADD:
        case NL_BRIDGE_VLAN_DEL:
                return bridge_vlan_is_valid(op);
        case NL_RULE_ADD:
        case NL_RULE_DEL:
                return rule_is_valid(op);
        default:
                return op->type < _NL_OP_MAX;
        }
}

const char *nl_link_kind_to_string(NlLinkKind kind) {
        static const char *const names[] = {
                [NL_KIND_MACVLAN] = "macvlan", [NL_KIND_IPVLAN] = "ipvlan", [NL_KIND_VLAN] = "vlan",
                [NL_KIND_DUMMY] = "dummy",     [NL_KIND_VXLAN] = "vxlan",   [NL_KIND_VRF] = "vrf",
        };

        return (size_t) kind < ELEMENTSOF(names) ? names[kind] : NULL;
}

static char *describe_link(const NlOp *op) {
        if (op->link.name[0])
                return strf("%s (%s)", op->what, op->link.name);
        return strf("%s (index %d)", op->what, op->link.ifindex);
}

static char *describe_rule(const NlOp *op) {
        if (op->rule.has_src)
                return strf("%s from %s, table %u", op->what, IN_PREFIX_STR(&op->rule.src),
                            op->rule.table);
        return strf("%s, table %u", op->what, op->rule.table);
}

char *nl_op_describe(const NlOp *op) {
        switch (op->type) {
        case NL_VETH_ADD:
                return strf("%s %s - %s", op->what, op->veth.name, op->veth.peer);
        case NL_BRIDGE_ADD:
                return strf("%s %s", op->what, op->bridge.name);
        case NL_LINK_SET:
        case NL_LINK_DEL:
                return describe_link(op);
        case NL_LINK_ADD:
                return strf("%s %s (%s)", op->what, op->newlink.name,
                            nl_link_kind_to_string(op->newlink.kind));
        case NL_BRIDGE_VLAN_ADD:
        case NL_BRIDGE_VLAN_DEL:
                return strf("%s %u-%u", op->what, op->bvlan.vid,
                            op->bvlan.vid_end ? op->bvlan.vid_end : op->bvlan.vid);
        case NL_RULE_ADD:
        case NL_RULE_DEL:
                return describe_rule(op);
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
