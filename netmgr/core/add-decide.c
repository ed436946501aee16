/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the attachment of an ADD will be: everything here is decided in memory, on the loop. */

#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/enforce.h"
#include "core/op-add.h"
#include "core/ports.h"

int add_parse(AddOp *op, Error *e) {
        const Request *q = &op->request;

        int r = request_check_host(op->manager, q, e);
        if (r >= 0)
                r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        /* A thousand may wait: what has served its purpose goes. */
        op->request.host_netns_fd = safe_close(op->request.host_netns_fd);
        if (r >= 0)
                r = netconf_parse(q->config, q->config_size, &op->conf, e);
        if (r >= 0)
                r = cni_args_parse(q->args, &op->args, e);
        if (r < 0)
                return r;
        if (!op->conf->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "name: wanted the network's name, found nothing");
        op->loopback = !op->conf->network && op->conf->kind == NET_KIND_LOOPBACK;
        return 0;
}

/* The network by reference, or the inline one, made or changed when it has to be. */
static int find_network(AddOp *op, Network **ret, Error *e) {
        const char *name = op->conf->network ? op->conf->network : op->conf->name;
        _cleanup_(netconf_freep) NetConf *own = NULL;
        Network *n = network_find(op->manager, name);

        if (op->conf->network) {
                if (!n || n->gone || n->source == NETWORK_CONFIG)
                        return error_setf(
                                        e, ERROR_NO_SUCH_NETWORK,
                                        "network: there is no network \"%s\"; put %s.conflist into networks.d, or "
                                        "use AddNetwork",
                                        name, name);
                *ret = n;
                return 0;
        }
        if (n && n->source == NETWORK_CONFIG && n->conf->hash == op->conf->hash) {
                *ret = n;
                return 0;
        }
        int r = netconf_parse(op->request.config, op->request.config_size, &own, e);
        if (r < 0)
                return r;
        r = network_set(op->manager, name, NETWORK_CONFIG, op->request.config, own, ret, e);
        if (r >= 0)
                TAKE_PTR(own);
        return r;
}

/* The sandbox's row follows at the next commit. While another operation works on the sandbox, its row,
 * which borrows these texts, may be at the committer: then only what is not there yet is added. */
static int set_text(Sandbox *s, char **field, const char *value) {
        char *copy;

        if (!value || streq_ptr(*field, value) || (*field && sandbox_is_busy(s)))
                return 0;
        copy = strdup(value);
        if (!copy)
                return -ENOMEM;
        free(*field);
        *field = copy;
        s->stored = false;
        return 0;
}

static int describe_sandbox(AddOp *op, Sandbox *s) {
        if (set_text(s, &s->netns_path, op->request.netns_path) < 0 ||
            set_text(s, &s->pod_namespace, op->args.pod_namespace) < 0 ||
            set_text(s, &s->pod_name, op->args.pod_name) < 0 ||
            set_text(s, &s->pod_uid, op->args.pod_uid) < 0)
                return -ENOMEM;
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
        if (!s && sandbox_new(m, op->request.container_id, &s) < 0)
                r = error_oom(e);
        if (r >= 0 && (describe_sandbox(op, s) < 0 ||
                       attachment_new(m, n, s, op->request.ifname, &op->attachment) < 0)) {
                r = error_oom(e);
                sandbox_release_if_unused(s);
        }
        if (r < 0) {
                network_release_if_unused(n);
                return r;
        }
        op->attachment->request = TAKE_PTR(op->request.config);
        op->attachment->spec.cni_name = strdup(op->conf->name);
        if (!op->attachment->request || !op->attachment->spec.cni_name)
                return error_oom(e);
        return 0;
}

/* The requested address that belongs to the set, not used for an earlier one; -1: none. */
static int requested_for(const NetRangeSet *set, const InPrefix *ips, size_t n_ips,
                         const bool *used) {
        for (size_t i = 0; i < n_ips; i++)
                for (size_t k = 0; k < set->n_ranges && !used[i]; k++)
                        if (in_prefix_contains(&set->ranges[k].subnet, &ips[i].address))
                                return (int) i;
        return -1;
}

typedef struct Allocation {
        AddOp *op;
        const InPrefix *ips;
        size_t n_ips;
        bool *used;
} Allocation;

static int allocate_from(Allocation *x, const NetRangeSet *set, unsigned set_index, Error *e) {
        AddOp *op = x->op;
        Attachment *a = op->attachment;
        const char *pool = network_pool(a->network);
        LeaseHolder holder = { .attachment = a->spec.id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = a->spec.ifname };
        int i = requested_for(set, x->ips, x->n_ips, x->used);
        IpamGrant grant;

        int r = ipam_allocate(op->manager->ipam, pool, set_index, set,
                              i >= 0 ? &x->ips[i].address : NULL, &holder, &grant, e);
        if (r < 0)
                return r;
        a->leases[a->n_leases++] = grant.lease;
        if (i >= 0)
                x->used[i] = true;

        bool routed = a->spec.kind == NET_KIND_ROUTED;
        int family = grant.lease->address.family;
        SpecAddress *sa = &a->spec.addresses[a->spec.n_addresses++];
        sa->address.address = grant.lease->address;
        sa->address.length = routed ? family_bits(family) : grant.range->subnet.length;
        sa->gateway = routed ? routed_gateway(family) : grant.range->gateway;
        grant.lease->prefix_length = sa->address.length;

        op->address_rows[op->n_address_rows++] = (AddressRow) {
                .attachment = a->spec.id,
                .pool = grant.lease->pool,
                .address = sa->address,
                .gateway = sa->gateway,
                .network = a->network->name,
                .sandbox = a->sandbox->id,
                .ifname = a->spec.ifname,
                .set_index = set_index,
        };
        op->cursor_rows[op->n_cursor_rows++] = (CursorRow) {
                .network = a->network->name,
                .set_index = set_index,
                .address = ipam_cursor(op->manager->ipam, a->network->name, set_index),
        };
        if (!in_addr_is_set(&op->cursor_rows[op->n_cursor_rows - 1].address))
                op->n_cursor_rows--;
        return 0;
}

/* CNI_ARGS first, then args and runtimeConfig; what several of them ask for counts once. */
static void collect_requested(Allocation *x, InPrefix *ips) {
        const AddOp *op = x->op;
        size_t n = 0;

        for (size_t i = 0; i < x->n_ips; i++) {
                const InPrefix *p = i < op->args.n_ips ? &op->args.ips[i]
                                                       : &op->conf->requested[i - op->args.n_ips];
                size_t k = 0;
                while (k < n && !in_addr_equal(&ips[k].address, &p->address))
                        k++;
                if (k == n)
                        ips[n++] = *p;
        }
        x->n_ips = n;
}

/* The caller's ranges beside those of the network that it names: checked only now, together. */
static int check_joined_sets(const NetConf *mine, const NetConf *net, Error *e) {
        size_t n = mine->n_runtime_sets + net->n_sets;

        if (mine->n_runtime_sets == 0)
                return 0;
        _cleanup_free_ NetRangeSet *all = new0(NetRangeSet, n);
        if (!all)
                return error_oom(e);
        memcpy(all, mine->runtime_sets, mine->n_runtime_sets * sizeof(*all));
        memcpy(all + mine->n_runtime_sets, net->sets, net->n_sets * sizeof(*all));
        return range_sets_check_overlap(all, n, "runtimeConfig.ipRanges and ipam.ranges", e);
}

/* First host of the subnet: what a gateway is that its IPAM plugin does not name. */
static InAddr default_gateway(const InPrefix *p) {
        InAddr first = in_prefix_first(p), gateway = first;

        (void) in_addr_add(&first, 1, &gateway);
        return gateway;
}

static int adopt_one(AddOp *op, size_t i, Error *e) {
        Attachment *a = op->attachment;
        const IpamAddress *ip = &op->ipam.ips[i];
        const InAddr *address = &ip->address.address;
        LeaseHolder holder = { .attachment = a->spec.id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = a->spec.ifname };
        bool routed = a->spec.kind == NET_KIND_ROUTED;
        Lease *l;

        int r = ipam_hold(op->manager->ipam, network_pool(a->network), (unsigned) i, address,
                          &holder, &l, e);
        if (r < 0)
                return r;
        a->leases[a->n_leases++] = l;
        SpecAddress *sa = &a->spec.addresses[a->spec.n_addresses++];
        *sa = (SpecAddress) { .address = ip->address, .gateway = ip->gateway };
        if (routed) {
                sa->address.length = family_bits(address->family);
                sa->gateway = routed_gateway(address->family);
        } else if (a->network->conf->is_gateway && !in_addr_is_set(&sa->gateway))
                sa->gateway = default_gateway(&ip->address);
        l->prefix_length = sa->address.length;
        op->address_rows[op->n_address_rows++] = (AddressRow) {
                .attachment = a->spec.id,
                .pool = l->pool,
                .address = sa->address,
                .gateway = sa->gateway,
                .network = a->network->name,
                .sandbox = a->sandbox->id,
                .ifname = a->spec.ifname,
                .set_index = (uint32_t) i,
        };
        return 0;
}

/* What a plugin of others gave out: ours to record, not to choose. */
static int adopt(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        size_t n = op->ipam.n_ips;
        int r = 0;

        a->leases = new0(Lease *, n + 1);
        a->spec.addresses = new0(SpecAddress, n + 1);
        op->address_rows = new0(AddressRow, n + 1);
        if (!a->leases || !a->spec.addresses || !op->address_rows)
                return error_oom(e);
        a->spec.own_gateways = true;
        for (size_t i = 0; i < n && r >= 0; i++)
                r = adopt_one(op, i, e);
        return r;
}

static int allocate(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        const NetConf *net = a->network->conf, *mine = op->conf;
        size_t n_sets = net->n_sets + mine->n_runtime_sets,
               n_ips = op->args.n_ips + mine->n_requested;
        _cleanup_free_ InPrefix *ips = new0(InPrefix, n_ips + 1);
        _cleanup_free_ bool *used = new0(bool, n_ips + 1);
        Allocation x = { .op = op, .ips = ips, .n_ips = n_ips, .used = used };
        int r = 0;

        if (n_sets > 2 * RANGE_SETS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "ipam and runtimeConfig.ipRanges: %zu range sets, at "
                                  "most %u",
                                  n_sets, 2 * RANGE_SETS_MAX);
        a->leases = new0(Lease *, n_sets + 1);
        a->spec.addresses = new0(SpecAddress, n_sets + 1);
        op->address_rows = new0(AddressRow, n_sets + 1);
        op->cursor_rows = new0(CursorRow, n_sets + 1);
        if (!ips || !used || !a->leases || !a->spec.addresses || !op->address_rows ||
            !op->cursor_rows)
                return error_oom(e);
        collect_requested(&x, ips);
        if (mine->network && (r = check_joined_sets(mine, net, e)) < 0)
                return r;
        for (size_t i = 0; i < mine->n_runtime_sets && r >= 0; i++)
                r = allocate_from(&x, &mine->runtime_sets[i], RANGE_SETS_MAX + i, e);
        for (size_t i = 0; i < net->n_sets && r >= 0; i++)
                r = allocate_from(&x, &net->sets[i], i, e);
        for (size_t i = 0; i < x.n_ips && r >= 0; i++)
                if (!used[i])
                        r = error_setf(e, ERROR_INVALID_ARGUMENT,
                                       "requested address %s is in no range of network "
                                       "%s, or its range gives another one already",
                                       IN_ADDR_STR(&ips[i].address), a->network->name);
        return r;
}

bool add_range_is_nearly_full(const AddOp *op) {
        const NetConf *net = op->attachment->network->conf, *mine = op->conf;
        const char *pool = network_pool(op->attachment->network);

        for (size_t i = 0; i < mine->n_runtime_sets; i++)
                if (ipam_is_nearly_full(op->manager->ipam, pool, &mine->runtime_sets[i]))
                        return true;
        for (size_t i = 0; i < net->n_sets; i++)
                if (ipam_is_nearly_full(op->manager->ipam, pool, &net->sets[i]))
                        return true;
        return false;
}

static InAddr gateway_of(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].gateway.family == family)
                        return s->addresses[i].gateway;
        return (InAddr) { .family = AF_UNSPEC };
}

static bool has_default_route(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_routes; i++)
                if (s->routes[i].dst.length == 0 && s->routes[i].dst.address.family == family)
                        return true;
        return false;
}

static int decide_routes(AttachmentSpec *s, const NetRoute *routes, size_t n_routes,
                         bool is_default_gateway) {
        static const int families[] = { AF_INET, AF_INET6 };
        bool add_default = s->kind == NET_KIND_ROUTED ? n_routes == 0 : is_default_gateway;

        s->routes = new0(NetRoute, n_routes + 2);
        if (!s->routes)
                return -ENOMEM;
        for (size_t i = 0; i < n_routes; i++) {
                NetRoute route = routes[i];
                /* A dual-stack list serves a single-stack sandbox too. */
                if (!spec_has_family(s, route.dst.address.family))
                        continue;
                if (!in_addr_is_set(&route.gw) && route.scope != 253)
                        route.gw = gateway_of(s, route.dst.address.family);
                s->routes[s->n_routes++] = route;
        }
        for (size_t i = 0; add_default && i < ELEMENTSOF(families); i++) {
                InAddr gw = gateway_of(s, families[i]);
                if (!in_addr_is_set(&gw) || has_default_route(s, families[i]))
                        continue;
                s->routes[s->n_routes++] = (NetRoute) {
                        .dst.address.family = families[i], .gw = gw, .table = -1, .scope = -1
                };
        }
        return 0;
}

static bool dns_is_set(const NetDns *d) {
        return d->nameservers || d->domain || d->search || d->options;
}

static int decide_spec(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        AttachmentSpec *s = &a->spec;
        const Network *n = a->network;
        const NetConf *c = n->conf;

        s->mtu = c->mtu ? c->mtu : n->mtu;
        s->hairpin = c->hairpin;
        s->node4 = n->node4;
        s->node6 = n->node6;
        s->snat = c->snat;
        s->group = n->group;
        if (s->kind == NET_KIND_BRIDGE) {
                memcpy(s->bridge, n->bridge, sizeof(s->bridge));
                s->bridge_mac = n->bridge_mac;
                s->bridge_mtu = n->bridge_mtu;
                s->is_gateway = c->is_gateway;
                op->bridge_ifindex = n->bridge_ifindex;
        }
        int r = s->kind == NET_KIND_LOOPBACK ? 0 : mac_random(&s->mac);
        if (r >= 0 && s->kind != NET_KIND_LOOPBACK)
                r = mac_random(&s->host_mac);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "random MAC addresses");
        const NetDns *dns = dns_is_set(&op->conf->dns) ? &op->conf->dns : &c->dns;
        if (op->has_ipam && !dns_is_set(dns))
                dns = &op->ipam.dns;
        r = op->has_ipam ? decide_routes(s, op->ipam.routes, op->ipam.n_routes,
                                         c->is_default_gateway)
                         : decide_routes(s, c->routes, c->n_routes, c->is_default_gateway);
        return r < 0 || net_dns_copy(dns, &s->dns) < 0 ? error_oom(e) : 0;
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

/* "IFNAME" in the name is replaced once, as tuning does. */
static char *sysctl_name(const char *name, const char *ifname) {
        const char *at = strstr(name, "IFNAME");

        return at ? strf("%.*s%s%s", (int) (at - name), name, ifname, at + strlen("IFNAME"))
                  : strdup(name);
}

static int decide_sysctls(AttachmentSpec *s, const NetConf *c) {
        s->sysctls = new0(NetSysctl, c->n_sysctls + 1);
        if (!s->sysctls)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_sysctls; i++) {
                NetSysctl *sysctl = &s->sysctls[s->n_sysctls++];
                sysctl->name = sysctl_name(c->sysctls[i].name, s->ifname);
                sysctl->value = strdup(c->sysctls[i].value);
                if (!sysctl->name || !sysctl->value)
                        return -ENOMEM;
        }
        return 0;
}

int add_decide(AddOp *op, Error *e) {
        Attachment *a = op->attachment;

        if (a->spec.kind == NET_KIND_BRIDGE && !op->manager->firewall_features.bridge)
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "network %s: kind bridge needs nftables tables of family bridge to keep "
                                "sandboxes from using each other's addresses, and this kernel refuses "
                                "them (%s)",
                                a->network->name, op->manager->firewall_features.why);
        int r = op->has_ipam ? adopt(op, e) : allocate(op, e);
        if (r >= 0)
                r = decide_spec(op, e);
        if (r >= 0)
                r = decide_shaping(op, e);
        if (r >= 0)
                r = decide_ports(op, e);
        if (r >= 0 && decide_sysctls(&a->spec, a->network->conf) < 0)
                r = error_oom(e);
        if (r >= 0 && enforce_concerns(a) && !(op->policy = enforce_attachment(a)))
                r = error_oom(e);
        if (r < 0)
                return r;
        op->spec = &a->spec;
        memcpy(op->host_ifname, a->spec.host_ifname, sizeof(op->host_ifname));

        r = spec_to_result(&a->spec, op->request.netns_path, op->conf->cni_version, &op->answer, e);
        if (r >= 0)
                r = spec_to_result(&a->spec, op->request.netns_path, "1.1.0", &op->result, e);
        if (r < 0)
                return r;
        free(TAKE_PTR(op->plan_json)); /* of the row that a delegate needed */
        if (plan_make(&a->spec, op->bridge_ifindex, &op->plan) < 0 ||
            spec_to_json(&a->spec, &op->plan_json) < 0)
                return error_oom(e);
        return 0;
}
