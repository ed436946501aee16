/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See enforce.h. */

#include "core/enforce.h"

#include "core/rebuild.h"

#include <stdio.h>

/* Below this burst, a policer starves TCP: a GSO packet is up to 64 KiB, and a window needs some. */
#define BURST_MIN_BYTES  (256U * 1024U)
#define BURST_OF_RATE_MS 100U
#define BURST_MAX_BYTES  (UINT32_MAX / 2)

PolicyLimit enforce_limit(uint64_t rate_bits, uint64_t burst_bits) {
        PolicyLimit l = { .rate = rate_bits / 8 };
        uint64_t burst = burst_bits / 8;

        if (rate_bits == 0)
                return (PolicyLimit) { 0 };
        if (l.rate == 0)
                l.rate = 1;
        if (burst == 0)
                burst = MAX_OF((uint64_t) BURST_MIN_BYTES, l.rate / (1000U / BURST_OF_RATE_MS));
        l.burst = (uint32_t) MIN_OF(burst, (uint64_t) BURST_MAX_BYTES);
        return l;
}

bool enforce_concerns(const Attachment *a) {
        return a->spec.kind != NET_KIND_LOOPBACK;
}

bool network_is_isolated(const Network *n) {
        if (n->conf->isolation >= 0)
                return n->conf->isolation;
        /* What has a reference plugin's name is as open as that plugin leaves it, also by a name of its own. */
        return n->source != NETWORK_CONFIG && !netconf_is_drop_in(n->conf);
}

static const InAddr *address_of_family(const AttachmentSpec *s, int family) {
        for (size_t i = 0; i < s->n_addresses; i++)
                if (s->addresses[i].address.address.family == family)
                        return &s->addresses[i].address.address;
        return NULL;
}

static void fill_ports(const AttachmentSpec *s, PolicyAttachment *p) {
        for (size_t i = 0; i < s->n_ports; i++) {
                const SpecPort *sp = &s->ports[i];
                const InAddr *target = address_of_family(s, sp->host.family);

                if (target)
                        p->ports[p->n_ports++] =
                                        (PolicyPort) { .host = sp->host,
                                                       .target = *target,
                                                       .protocol = sp->protocol,
                                                       .host_port = sp->host_port,
                                                       .container_port = sp->container_port };
        }
}

static PolicyIngress ingress_of(const AttachmentSpec *s) {
        switch (s->ingress) {
        case NET_INGRESS_SAME_BRIDGE:
                return POLICY_INGRESS_INSIDE;
        case NET_INGRESS_ISOLATED:
                return POLICY_INGRESS_CLOSED;
        default:
                return POLICY_INGRESS_OPEN;
        }
}

/* Behind the sandboxes of the reference plugins there may be others (bridges of their own, addresses that
 * move): those plugins check nothing unless asked to, and then the MAC. */
static PolicySpoof spoof_of(const NetConf *c) {
        if (c->plugin == NET_PLUGIN_NETMGR)
                return POLICY_SPOOF_ADDRESS;
        return c->link.mac_spoof_check ? POLICY_SPOOF_MAC : POLICY_SPOOF_NONE;
}

/* What decides over host ports: a chained portmap, or the network itself. */
static const NetConf *portmap_of(const Network *n) {
        return n->portmap ? n->portmap : n->conf;
}

PolicyAttachment *enforce_attachment(const Attachment *a) {
        const AttachmentSpec *s = &a->spec;
        const NetConf *c = a->network->conf, *pm = portmap_of(a->network);
        bool foreign = s->kind == NET_KIND_FOREIGN;
        _cleanup_free_ InAddr *addresses = new0(InAddr, s->n_addresses + 1);
        _cleanup_free_ PolicyPort *ports = new0(PolicyPort, s->n_ports + 1);
        PolicyAttachment p = { .id = s->id,
                               .network = a->network->name,
                               .sandbox = a->sandbox->id,
                               .ifname = s->ifname,
                               .bridged = kind_has_bridge(s->kind),
                               .mac = s->mac,
                               .addresses = addresses,
                               .n_addresses = s->n_addresses,
                               .dhcp = s->dhcp,
                               .ports = ports,
                               .foreign = foreign,
                               .spoof = spoof_of(c),
                               .ingress = ingress_of(s),
                               .no_metadata = s->block_metadata,
                               .masquerade = c->ip_masq && !foreign,
                               .snat = pm->snat,
                               .masquerade_ports = pm->masq_all };

        if (!addresses || !ports)
                return NULL;
        memcpy(p.host_ifname, spec_host_end(s), sizeof(p.host_ifname));
        memcpy(p.bridge, s->bridge, sizeof(p.bridge));
        for (size_t i = 0; i < s->n_addresses; i++)
                addresses[i] = s->addresses[i].address.address;
        fill_ports(s, &p);
        if (pm->n_conditions4 > 0 || pm->n_conditions6 > 0)
                p.condition_group = a->network->group;
        if (s->shaping_mode == NET_SHAPING_POLICE) {
                p.to = enforce_limit(s->bandwidth.ingress_rate, s->bandwidth.ingress_burst);
                p.from = enforce_limit(s->bandwidth.egress_rate, s->bandwidth.egress_burst);
        }
        return policy_attachment_clone(&p);
}

static PolicyCondition *copy_conditions(const NetCondition *from, size_t n) {
        PolicyCondition *to = new0(PolicyCondition, n + 1);

        for (size_t i = 0; to && i < n; i++) {
                to[i].what = from[i].what == NET_CONDITION_SOURCE        ? POLICY_SOURCE
                             : from[i].what == NET_CONDITION_DESTINATION ? POLICY_DESTINATION
                                                                         : POLICY_INPUT;
                to[i].negate = from[i].negate;
                to[i].prefix = from[i].prefix;
                snprintf(to[i].ifname, sizeof(to[i].ifname), "%s", from[i].ifname);
        }
        return to;
}

static size_t count_ranges(const NetConf *c) {
        size_t n = 0;

        for (size_t i = 0; i < c->n_sets; i++)
                n += c->sets[i].n_ranges;
        return n;
}

PolicyNetwork *enforce_network(const Network *n) {
        const NetConf *c = n->conf, *pm = portmap_of(n);
        _cleanup_free_ InPrefix *subnets = new0(InPrefix, count_ranges(c) + 1);
        _cleanup_free_ uint32_t *allow = new0(uint32_t, c->n_allow + 1);
        _cleanup_free_ PolicyCondition *c4 = copy_conditions(pm->conditions4, pm->n_conditions4);
        _cleanup_free_ PolicyCondition *c6 = copy_conditions(pm->conditions6, pm->n_conditions6);
        PolicyNetwork p = { .name = n->name,
                            .group = n->group,
                            .isolated = network_is_isolated(n),
                            .allow = allow,
                            .snat = pm->snat,
                            .subnets = subnets,
                            .excludes = c->masq_excludes,
                            .n_excludes = c->n_masq_excludes,
                            .conditions = { c4, c6 },
                            .n_conditions = { pm->n_conditions4, pm->n_conditions6 } };

        if (!subnets || !allow || !c4 || !c6)
                return NULL;
        memcpy(p.bridge, n->bridge, sizeof(p.bridge));
        for (size_t i = 0; i < c->n_sets; i++)
                for (size_t k = 0; k < c->sets[i].n_ranges; k++)
                        subnets[p.n_subnets++] = c->sets[i].ranges[k].subnet;
        for (size_t i = 0; i < c->n_allow; i++) {
                const Network *other = network_find(n->manager, c->allow[i]);
                if (other && other->group)
                        allow[p.n_allow++] = other->group;
        }
        return policy_network_clone(&p);
}

void enforce_config(const Manager *m, PolicyConfig *ret) {
        *ret = (PolicyConfig) { .owner = m->conf.nftables_owner,
                                .node4 = m->node4,
                                .node6 = m->node6 };
}

int enforce_load(Manager *m, Firewall *f, Error *e) {
        Attachment *a;
        Network *n;

        MAP_FOREACH (n, m->networks) {
                _cleanup_(policy_network_freep) PolicyNetwork *p = enforce_network(n);
                if (!p || firewall_put_network(f, p) < 0)
                        return error_oom(e);
        }
        MAP_FOREACH (a, m->attachments) {
                if (!enforce_concerns(a) || a->state != ATTACHMENT_UP || a->lost)
                        continue;
                _cleanup_(policy_attachment_freep) PolicyAttachment *p = enforce_attachment(a);
                if (!p || firewall_put(f, p) < 0)
                        return error_oom(e);
        }
        if (rebuild_enforce(m, f) < 0)
                return error_oom(e);
        return firewall_sync(f, e);
}
