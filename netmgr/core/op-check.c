/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CHECK: the ledger's specification against prevResult and against both namespaces. The plan that ADD
 * carries out is what is compared, so that the two cannot drift apart; the first difference is named.
 */

#include <inttypes.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>

#include "base/limits.h"
#include "core/operation.h"
#include "core/plan.h"
#include "core/wire.h"

typedef struct CheckOp {
        Job job; /* first member */
        Manager *manager;
        Request request;
        RequestDone done;
        void *userdata;
        NetConf *conf;
        /* copies for the worker */
        AttachmentSpec spec;
        Plan plan;
        uint64_t netns_cookie;
} CheckOp;

static void check_end(CheckOp *op, int r, const Error *e) {
        operation_end(op->manager);
        op->done(r, e, "", op->userdata);
        request_clear(&op->request);
        netconf_free(op->conf);
        plan_clear(&op->plan);
        spec_clear(&op->spec);
        free(op);
}

#define differs(e, ...) error_setf((e), ERROR_CHECK_FAILED, __VA_ARGS__)

static int check_address(const NlDump *d, uint32_t ifindex, const InPrefix *want, const char *where,
                         Error *e) {
        for (size_t i = 0; i < d->n_addrs; i++)
                if (d->addrs[i].ifindex == ifindex && d->addrs[i].address.length == want->length &&
                    in_addr_equal(&d->addrs[i].address.address, &want->address))
                        return 0;
        return differs(e, "address %s is missing on %s", IN_PREFIX_STR(want), where);
}

static int check_route(const NlDump *d, uint32_t ifindex, const NlOp *op, const char *where,
                       Error *e) {
        uint32_t table = op->route.table ? op->route.table : RT_TABLE_MAIN;

        for (size_t i = 0; i < d->n_routes; i++) {
                const NlRoute *r = &d->routes[i];
                if (r->ifindex == ifindex && r->table == table &&
                    r->dst.length == op->route.dst.length &&
                    in_addr_equal(&r->dst.address, &op->route.dst.address) &&
                    (!in_addr_is_set(&op->route.gw) || in_addr_equal(&r->gw, &op->route.gw)))
                        return 0;
        }
        return differs(e, "route %s is missing in %s", IN_PREFIX_STR(&op->route.dst), where);
}

static int check_neigh(const NlDump *d, uint32_t ifindex, const NlOp *op, const char *where,
                       Error *e) {
        for (size_t i = 0; i < d->n_neighs; i++) {
                const NlNeigh *n = &d->neighs[i];
                if (n->ifindex != ifindex || !in_addr_equal(&n->address, &op->neigh.address))
                        continue;
                if (!(n->state & NUD_PERMANENT) ||
                    memcmp(&n->mac, &op->neigh.mac, sizeof(n->mac)) != 0)
                        return error_setf(
                                        e, ERROR_CHECK_FAILED,
                                        "neighbour entry %s in %s: wanted permanent %s, found %s %s",
                                        IN_ADDR_STR(&n->address), where, MAC_STR(&op->neigh.mac),
                                        n->state & NUD_PERMANENT ? "permanent" : "temporary",
                                        MAC_STR(&n->mac));
                return 0;
        }
        return differs(e, "neighbour entry %s is missing in %s", IN_ADDR_STR(&op->neigh.address),
                       where);
}

static int check_ops(const NlOp *ops, size_t n, const NlDump *d, uint32_t ifindex,
                     const char *where, Error *e) {
        int r = 0;

        for (size_t i = 0; i < n && r >= 0; i++)
                switch (ops[i].type) {
                case NL_ADDR_ADD:
                        r = check_address(d, ifindex, &ops[i].addr.address, where, e);
                        break;
                case NL_ROUTE_ADD:
                        r = check_route(d, ifindex, &ops[i], where, e);
                        break;
                case NL_NEIGH_ADD:
                        r = check_neigh(d, ifindex, &ops[i], where, e);
                        break;
                default:
                        break;
                }
        return r;
}

static const NlLink *find_link(const NlDump *d, const char *name) {
        for (size_t i = 0; i < d->n_links; i++)
                if (streq(d->links[i].name, name))
                        return &d->links[i];
        return NULL;
}

static int check_link(const NlLink *l, const char *name, const char *where, const MacAddr *mac,
                      uint32_t mtu, Error *e) {
        if (!l)
                return differs(e, "interface %s is missing in %s", name, where);
        if (!(l->flags & IFF_UP))
                return differs(e, "interface %s in %s is down", name, where);
        if (mac && memcmp(mac, &l->mac, sizeof(*mac)) != 0)
                return error_setf(e, ERROR_CHECK_FAILED,
                                  "interface %s in %s: wanted MAC %s, found %s", name, where,
                                  MAC_STR(mac), MAC_STR(&l->mac));
        if (mtu && l->mtu != mtu)
                return error_setf(e, ERROR_CHECK_FAILED,
                                  "interface %s in %s: wanted MTU %u, found %u", name, where, mtu,
                                  l->mtu);
        return 0;
}

static int check_pod(CheckOp *op, NlSocket *pod, Error *e) {
        static const char where[] = "the sandbox";
        const AttachmentSpec *s = &op->spec;
        NlDump d = { 0 };

        int r = kernel_dump(pod,
                            NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_NEIGHS |
                                            NL_DUMP_ALL_TABLES,
                            &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking into the sandbox's netns");
        if (s->kind == NET_KIND_LOOPBACK)
                r = check_link(find_link(&d, "lo"), "lo", where, NULL, 0, e);
        else {
                const NlLink *l = find_link(&d, s->ifname);
                r = check_link(l, s->ifname, where, &s->mac, s->mtu, e);
                if (r >= 0)
                        r = check_ops(op->plan.pod, op->plan.n_pod, &d, l->ifindex, where, e);
        }
        kernel_dump_clear(&d);
        return r;
}

static int check_bridge_gateways(const AttachmentSpec *s, NlSocket *host, uint32_t ifindex,
                                 Error *e) {
        NlDump d = { 0 };
        int r = kernel_dump(host, NL_DUMP_ADDRS, &d);

        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's addresses");
        for (size_t i = 0; i < s->n_addresses && r >= 0; i++) {
                InPrefix gw = { .address = s->addresses[i].gateway,
                                .length = s->addresses[i].address.length };
                if (in_addr_is_set(&gw.address))
                        r = check_address(&d, ifindex, &gw, s->bridge, e);
        }
        kernel_dump_clear(&d);
        return r;
}

static int check_bridge(const AttachmentSpec *s, NlSocket *host, const NlLink *port, Error *e) {
        static const char where[] = "the host's netns";
        NlLink bridge;

        int r = kernel_get_link(host, s->bridge, &bridge);
        if (r == -ENODEV)
                return differs(e, "bridge %s is missing in %s", s->bridge, where);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for bridge %s", s->bridge);
        if (port->master != bridge.ifindex)
                return differs(e, "%s is no port of bridge %s", s->host_ifname, s->bridge);
        if (port->hairpin != spec_needs_hairpin(s))
                return differs(e, "hairpin mode of %s on bridge %s: wanted %s, found %s",
                               s->host_ifname, s->bridge, spec_needs_hairpin(s) ? "on" : "off",
                               port->hairpin ? "on" : "off");
        r = check_link(&bridge, s->bridge, where, NULL, 0, e);
        if (r < 0 || !s->is_gateway)
                return r;
        return check_bridge_gateways(s, host, bridge.ifindex, e);
}

/* The host's tables can be large: its routes are asked for one by one. */
static int check_host(CheckOp *op, WorkerContext *w, Error *e) {
        static const char where[] = "the host's netns";
        const AttachmentSpec *s = &op->spec;
        NlLink link;

        if (s->kind == NET_KIND_LOOPBACK)
                return 0;
        int r = kernel_get_link(w->host, s->host_ifname, &link);
        if (r < 0 && r != -ENODEV)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", s->host_ifname);
        r = check_link(r < 0 ? NULL : &link, s->host_ifname, where, &s->host_mac, s->mtu, e);
        if (r < 0)
                return r;
        if (s->kind == NET_KIND_BRIDGE)
                return check_bridge(s, w->host, &link, e);
        for (size_t i = 0; i < s->n_addresses; i++) {
                InAddr source;
                uint32_t ifindex = 0;
                r = kernel_get_route(w->host, &s->addresses[i].address.address, &ifindex, &source);
                if (r < 0 && r != -ENETUNREACH && r != -EHOSTUNREACH)
                        return error_set_errnof(e, ERROR_KERNEL, r, "looking for the route to %s",
                                                IN_ADDR_STR(&s->addresses[i].address.address));
                if (r < 0 || ifindex != link.ifindex)
                        return differs(e, "the host's route to %s does not lead to %s",
                                       IN_ADDR_STR(&s->addresses[i].address.address),
                                       s->host_ifname);
        }
        return 0;
}

static int check_run(Job *job, WorkerContext *w, Error *e) {
        CheckOp *op = (CheckOp *) job;
        _cleanup_(kernel_socket_freep) NlSocket *pod = NULL;
        uint64_t cookie;

        int r = wire_open_netns(w, op->request.netns_fd, &pod, &cookie, e);
        if (r < 0)
                return r;
        if (cookie != op->netns_cookie)
                return error_setf(e, ERROR_CHECK_FAILED,
                                  "netns \"%.256s\" is another one (cookie %" PRIu64
                                  ") than at ADD "
                                  "(cookie %" PRIu64 ")",
                                  op->request.netns_path, cookie, op->netns_cookie);
        r = check_pod(op, pod, e);
        return r < 0 ? r : check_host(op, w, e);
}

static void checked(Task *task) {
        CheckOp *op = (CheckOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        check_end(op, task->r, &error);
        error_clear(&error);
}

/* What the runtime remembers against what the ledger says. */
static int check_prev_result(const CheckOp *op, const Attachment *a, Error *e) {
        CniPrevResult prev = { 0 };

        int r = cni_prev_result_parse(op->conf->prev_result, op->conf->cni_version, &prev, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < prev.n_ips && r >= 0 && a->spec.kind != NET_KIND_LOOPBACK; i++) {
                bool found = false;
                for (size_t k = 0; k < a->spec.n_addresses; k++)
                        found |= in_addr_equal(&prev.ips[i].address,
                                               &a->spec.addresses[k].address.address);
                if (!found) {
                        _cleanup_free_ char *held = attachment_addresses_text(a);
                        r = error_setf(e, ERROR_CHECK_FAILED,
                                       "prevResult has address %s, the ledger %s",
                                       IN_PREFIX_STR(&prev.ips[i]), isempty(held) ? "none" : held);
                }
        }
        cni_prev_result_clear(&prev);
        return r;
}

/* The worker gets copies: the attachment may go while it looks. */
static int copy_spec(const Attachment *a, AttachmentSpec *ret, Error *e) {
        _cleanup_free_ char *json = NULL;

        if (spec_to_json(&a->spec, &json) < 0)
                return error_oom(e);
        int r = spec_from_json(json, ret, e);
        if (r < 0)
                return r;
        ret->kind = a->spec.kind;
        ret->mtu = a->spec.mtu;
        ret->mac = a->spec.mac;
        ret->host_mac = a->spec.host_mac;
        memcpy(ret->ifname, a->spec.ifname, sizeof(ret->ifname));
        memcpy(ret->host_ifname, a->spec.host_ifname, sizeof(ret->host_ifname));
        ret->shaping_mode = a->spec.shaping_mode;
        ret->bandwidth = a->spec.bandwidth;
        ret->ports = new0(SpecPort, a->spec.n_ports + 1);
        ret->addresses = new0(SpecAddress, a->spec.n_addresses + 1);
        if (!ret->addresses || !ret->ports)
                return error_oom(e);
        ret->n_ports = a->spec.n_ports;
        if (a->spec.n_ports)
                memcpy(ret->ports, a->spec.ports, a->spec.n_ports * sizeof(SpecPort));
        ret->n_addresses = a->spec.n_addresses;
        if (a->spec.n_addresses)
                memcpy(ret->addresses, a->spec.addresses,
                       a->spec.n_addresses * sizeof(SpecAddress));
        return 0;
}

static int check_prepare(CheckOp *op, const Attachment *a, Error *e) {
        if (!a || !attachment_is_of(a, op->conf->name))
                return error_setf(e, ERROR_CHECK_FAILED,
                                  "sandbox %s has no interface %s on network %s",
                                  op->request.container_id, op->request.ifname, op->conf->name);
        if (a->state != ATTACHMENT_UP)
                return error_setf(e, ERROR_TRY_AGAIN, "interface %s of sandbox %s is in state %s",
                                  op->request.ifname, op->request.container_id,
                                  attachment_state_to_string(a->state));
        int r = check_prev_result(op, a, e);
        if (r >= 0)
                r = copy_spec(a, &op->spec, e);
        if (r < 0)
                return r;
        op->netns_cookie = a->sandbox->netns_cookie;
        return plan_make(&op->spec, 0, &op->plan) < 0 ? error_oom(e) : 0;
}

static int check_parse(CheckOp *op, Error *e) {
        Request *q = &op->request;

        int r = request_check_host(op->manager, q, e);
        if (r >= 0)
                r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        if (r >= 0)
                r = netconf_parse(q->config, q->config_size, &op->conf, e);
        if (r < 0)
                return r;
        if (!op->conf->name || !op->conf->prev_result)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: CHECK needs it, found nothing",
                                  op->conf->name ? "prevResult" : "name");
        return check_prepare(op, attachment_find(op->manager, q->container_id, q->ifname), e);
}

void operation_check(Manager *m, Request *q, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        CheckOp *op = new0(CheckOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (CheckOp) { .manager = m, .request = *q, .done = done, .userdata = userdata };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        int r = operation_begin(m, &error);
        if (r < 0) {
                m->n_operations++; /* check_end() takes it back */
                check_end(op, r, &error);
                return;
        }
        r = check_parse(op, &error);
        if (r < 0) {
                check_end(op, r, &error);
                return;
        }
        op->job.run = check_run;
        op->job.task.deliver = checked;
        workers_submit(m->workers, &op->job);
}
