/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the attachment of an ADD will be: everything here is decided in memory, on the loop. */

#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/adjust.h"
#include "core/enforce.h"
#include "core/features.h"
#include "core/op-add.h"
#include "core/place.h"
#include "core/ports.h"

int add_parse(AddOp *op, Error *e) {
        const Request *q = &op->request;

        /* A member has no caller of its own. */
        int r = q->place ? 0 : request_check_host(op->manager, q, e);
        if (r >= 0)
                r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        /* A thousand may wait: what has served its purpose goes. */
        op->request.host_netns_fd = safe_close(op->request.host_netns_fd);
        if (r >= 0)
                r = netconf_parse_as(net_plugin_from_string(q->type), q->config, q->config_size,
                                     &op->conf, e);
        if (r >= 0)
                r = cni_args_parse(q->args, &op->args, e);
        if (r < 0)
                return r;
        if (!op->conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        if (net_plugin_is_chained(op->conf->plugin))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"type\": \"%s\": the plugin is to be executed by that name",
                                  op->conf->type);
        op->loopback = !op->conf->network && op->conf->kind == NET_KIND_LOOPBACK;
        return 0;
}

/* By reference; who asks for a place knows which it is, whoever described it. */
static int find_by_name(const AddOp *op, const char *name, Network **ret, Error *e) {
        Network *n = network_find(op->manager, name);

        if (!op->request.place || !n || n->gone || n->alias) {
                int r = network_resolve(op->manager, name, &n, e);
                if (r < 0)
                        return r;
        }
        if (n->conf->any_of || (n->list && n->conf->kind == NET_KIND_FOREIGN))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "network: %s is %s, which has no interfaces of netmgrd's own",
                                  n->name, n->conf->any_of ? "a group" : "made by other plugins");
        *ret = n;
        return 0;
}

/* The network by reference, or the inline one, made or changed when it has to be. */
static int find_network(AddOp *op, Network **ret, Error *e) {
        const RequestPlace *place = op->request.place;
        const char *by_name = place && place->network ? place->network : op->conf->network,
                   *name = op->conf->name;
        _cleanup_(netconf_freep) NetConf *own = NULL;

        if (by_name)
                return find_by_name(op, by_name, ret, e);
        if (op->conf->any_of)
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "anyOf: this call cannot choose a network");
        Network *n = network_find(op->manager, name);
        if (n && n->source == NETWORK_CONFIG && n->conf->hash == op->conf->hash) {
                *ret = n;
                return 0;
        }
        int r = netconf_parse_as(net_plugin_from_string(op->request.type), op->request.config,
                                 op->request.config_size, &own, e);
        if (r < 0)
                return r;
        r = network_set(op->manager, name, NETWORK_CONFIG, op->request.config, own, ret, e);
        if (r >= 0)
                TAKE_PTR(own);
        return r;
}

/* Before anything is made for it. */
static int check_kernel(const Manager *m, const Network *n, Error *e) {
        const NetLinkConf *l = &n->conf->link;
        const char *lacks = manager_lacks_kind(m, n->conf->kind);

        if (!lacks && (l->vlan > 0 || l->n_trunks > 0))
                lacks = manager_lacks_vlan_filtering(m);
        if (lacks)
                return error_setf(e, ERROR_NOT_SUPPORTED, "network %s: kind %s: %s", n->name,
                                  net_kind_to_string(n->conf->kind), lacks);
        return 0;
}

int add_prepare(AddOp *op, const Attachment *existing, Error *e) {
        Manager *m = op->manager;
        Network *n;
        Sandbox *s = sandbox_find(m, op->request.container_id);

        if (existing && existing->busy)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "interface %s of sandbox %s is being worked on (state %s)",
                                  op->request.ifname, op->request.container_id,
                                  attachment_state_to_string(existing->state));
        if (existing)
                return error_setf(
                                e, ERROR_EXISTS,
                                "sandbox %s has interface %s already, on network %s; DEL it first",
                                op->request.container_id, op->request.ifname,
                                existing->network->name);
        if (map_size(m->attachments) >= ATTACHMENTS_MAX)
                return error_setf(e, ERROR_TRY_AGAIN, "the node has %u attachments, the limit",
                                  ATTACHMENTS_MAX);
        if (s && s->n_attachments >= ATTACHMENTS_PER_SANDBOX_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "sandbox %s has %u interfaces, the limit",
                                  op->request.container_id, ATTACHMENTS_PER_SANDBOX_MAX);

        int r = find_network(op, &n, e);
        if (r < 0)
                return r;
        r = check_kernel(m, n, e);
        if (r >= 0 && !s && sandbox_new(m, op->request.container_id, &s) < 0)
                r = error_oom(e);
        if (r >= 0 && (sandbox_note(s, op->request.netns_path, &op->args) < 0 ||
                       attachment_new(m, n, s, op->request.ifname, &op->attachment) < 0)) {
                r = error_oom(e);
                sandbox_release_if_unused(s);
        }
        if (r < 0) {
                network_release_if_unused(n);
                return r;
        }
        op->kind = n->conf->kind;
        op->below = n->conf->link;
        r = add_read_chained(op, e);
        if (r < 0)
                return r;
        op->attachment->request = TAKE_PTR(op->request.config);
        op->attachment->spec.cni_name = strdup(op->conf->name);
        if (!op->attachment->request || !op->attachment->spec.cni_name)
                return error_oom(e);
        if (op->request.place && (spec_take_place(&op->attachment->spec, op->request.place) < 0 ||
                                  sandbox_note_annotations(s, op->request.place->annotations) < 0))
                return error_oom(e);
        return 0;
}

static bool dns_is_set(const NetDns *d) {
        return d->nameservers || d->domain || d->search || d->options;
}

/* What the runtime says for this sandbox, the call's own configuration, the network's. */
static const NetDns *wanted_dns(const NetConf *mine, const NetConf *net) {
        if (dns_is_set(&mine->runtime_dns))
                return &mine->runtime_dns;
        return dns_is_set(&mine->dns) ? &mine->dns : &net->dns;
}

static int decide_spec(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        AttachmentSpec *s = &a->spec;
        const Network *n = a->network;
        const NetConf *c = n->conf;

        int r = add_decide_link(op, e);
        if (r < 0)
                return r;
        s->drop_in = c->plugin != NET_PLUGIN_NETMGR;
        s->hairpin = c->hairpin;
        s->node4 = n->node4;
        s->node6 = n->node6;
        s->snat = c->snat;
        s->block_metadata = c->block_metadata && c->kind != NET_KIND_FOREIGN;
        s->group = n->group;
        s->ingress = c->ingress_policy;
        if (kind_has_bridge(s->kind)) {
                memcpy(s->bridge, n->bridge, sizeof(s->bridge));
                s->bridge_mac = n->bridge_mac;
                s->bridge_mtu = n->bridge_mtu;
                s->is_gateway = c->is_gateway;
                op->bridge_ifindex = n->bridge_ifindex;
        }
        s->dhcp = c->ipam == NET_IPAM_DHCP;
        s->lease_dns = s->dhcp && !dns_is_set(wanted_dns(op->conf, c));
        s->adjust.tuned = netconf_choose_tuning(c, op->conf);
        s->adjust.has_tuning = s->kind != NET_KIND_LOOPBACK && tuning_is_set(&s->adjust.tuned);
        const NetDns *dns = wanted_dns(op->conf, c);
        if ((op->has_ipam || op->has_resolv_conf) && !dns_is_set(dns))
                dns = &op->ipam.dns;
        if (net_dns_copy(dns, &s->dns) < 0)
                return error_oom(e);
        return add_decide_routes(op, e);
}

/* A network's own limits win over what the runtime sends, as with the bandwidth plugin. */
static bool bandwidth_is_set(const NetBandwidth *b) {
        return b->ingress_rate > 0 || b->egress_rate > 0;
}

static int decide_shaping(AddOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        const NetConf *c = op->attachment->network->conf;
        const NlTcFeatures *tc = &op->manager->tc_features;

        s->shaping_mode = c->shaping_mode;
        s->bandwidth = bandwidth_is_set(&c->bandwidth) ? c->bandwidth : op->conf->runtime_bandwidth;
        if (s->shaping_mode == NET_SHAPING_SHAPE &&
            !(tc->tbf && tc->ifb && tc->clsact && tc->mirred))
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "network %s: shaping.mode \"shape\" needs tbf, ifb, clsact and mirred, and "
                                "this kernel lacks%s%s%s%s; load the modules, or use \"police\"",
                                op->attachment->network->name, tc->tbf ? "" : " tbf",
                                tc->ifb ? "" : " ifb", tc->clsact ? "" : " clsact",
                                tc->mirred ? "" : " mirred");
        op->put_shaping = bandwidth_is_set(&s->bandwidth);
        op->shaping_row = attachment_shaping_row(op->attachment);
        return 0;
}

static bool sets_have_family(const NetRangeSet *sets, size_t n, int family) {
        for (size_t i = 0; i < n; i++)
                if (sets[i].ranges[0].subnet.address.family == family)
                        return true;
        return false;
}

int add_list_ports(AddOp *op) {
        static const int families[] = { AF_INET, AF_INET6 };
        const NetConf *net = op->attachment->network->conf, *mine = op->conf;

        if (mine->n_ports == 0)
                return 0;
        op->wanted_ports = new0(SpecPort, 2 * mine->n_ports);
        if (!op->wanted_ports)
                return -ENOMEM;
        for (size_t i = 0; i < mine->n_ports; i++)
                for (size_t f = 0; f < ELEMENTSOF(families); f++) {
                        const NetPort *p = &mine->ports[i];
                        SpecPort *want = &op->wanted_ports[op->n_wanted_ports];

                        if ((p->host.family != AF_UNSPEC && p->host.family != families[f]) ||
                            !(net->ipam == NET_IPAM_FOREIGN ||
                              sets_have_family(net->sets, net->n_sets, families[f]) ||
                              sets_have_family(mine->runtime_sets, mine->n_runtime_sets,
                                               families[f])))
                                continue;
                        *want = (SpecPort) { .host = p->host,
                                             .protocol = p->protocol,
                                             .host_port = p->host_port };
                        want->host.family = families[f];
                        op->n_wanted_ports++;
                }
        return 0;
}

int add_list_sysctls(AddOp *op, Error *e) {
        return netconf_choose_sysctls(op->attachment->network->conf, op->conf, &op->wanted_sysctls,
                                      &op->n_wanted_sysctls, e);
}

static int decide_ports(AddOp *op, Error *e) {
        Attachment *a = op->attachment;

        for (size_t i = 0; i < op->conf->n_ports; i++) {
                int r = attachment_take_ports(a, &op->conf->ports[i], e);
                if (r < 0)
                        return r;
        }
        op->port_rows = new0(PortRow, a->spec.n_ports + 1);
        if (!op->port_rows)
                return error_oom(e);
        for (size_t i = 0; i < a->spec.n_ports; i++)
                op->port_rows[op->n_port_rows++] = attachment_port_row(a, &a->spec.ports[i]);
        return 0;
}

static int decide_sysctls(AttachmentSpec *s, const NetSysctl *wanted, size_t n) {
        s->sysctls = new0(NetSysctl, n + 1);
        if (!s->sysctls)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                NetSysctl *sysctl = &s->sysctls[s->n_sysctls++];
                sysctl->name = spec_sysctl_name(wanted[i].name, s->ifname);
                sysctl->value = strdup(wanted[i].value);
                if (!sysctl->name || !sysctl->value)
                        return -ENOMEM;
        }
        return 0;
}

int add_make_answer(AddOp *op, Error *e) {
        const AttachmentSpec *s = &op->attachment->spec;

        int r = spec_to_result(s, op->request.netns_path, op->conf->cni_version, &op->answer, e);
        return r < 0 ? r : spec_to_result(s, op->request.netns_path, "1.1.0", &op->result, e);
}

int add_decide(AddOp *op, Error *e) {
        Attachment *a = op->attachment;

        int r = add_allocate(op, e);
        if (r >= 0)
                r = decide_spec(op, e);
        if (r >= 0)
                r = decide_shaping(op, e);
        if (r >= 0)
                r = decide_ports(op, e);
        if (r >= 0 && decide_sysctls(&a->spec, op->wanted_sysctls, op->n_wanted_sysctls) < 0)
                r = error_oom(e);
        if (r >= 0 && enforce_concerns(a) && !(op->policy = enforce_attachment(a)))
                r = error_oom(e);
        if (r < 0)
                return r;
        op->spec = &a->spec;

        /* Without addresses there is no answer yet. */
        r = a->spec.dhcp ? add_decide_lease(op, e) : add_make_answer(op, e);
        if (r < 0)
                return r;
        free(TAKE_PTR(op->plan_json)); /* of the row that a delegate needed */
        if (plan_make(&a->spec, op->bridge_ifindex, &op->plan) < 0 ||
            spec_to_json(&a->spec, &op->plan_json) < 0)
                return error_oom(e);
        return 0;
}
