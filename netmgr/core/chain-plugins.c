/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The plugins of a chain that change the host's side: portmap, bandwidth, firewall. See op-chain.h. */

#include <stdio.h>

#include "core/chain-inside.h"
#include "core/network.h"
#include "core/op-chain.h"
#include "core/ports.h"
#include "cri/result.h"

/* ---- portmap ---------------------------------------------------------------------------------- */

static bool portmap_is_idle(const NetConf *c) {
        return c->n_ports == 0;
}

/* Nobody else may be listening. What leads to this attachment already is no listener. */
static int portmap_look(ChainOp *op, WorkerContext *w _unused_, Error *e) {
        static const int families[] = { AF_INET, AF_INET6 };
        _cleanup_free_ SpecPort *want = new0(SpecPort, 2 * op->conf->n_ports + 1);
        size_t n = 0;

        if (!want)
                return error_oom(e);
        for (size_t i = 0; i < op->conf->n_ports; i++)
                for (size_t f = 0; f < ELEMENTSOF(families); f++) {
                        const NetPort *p = &op->conf->ports[i];

                        if (p->host.family != AF_UNSPEC && p->host.family != families[f])
                                continue;
                        want[n] = (SpecPort) { .host = p->host,
                                               .protocol = p->protocol,
                                               .host_port = p->host_port };
                        want[n++].host.family = families[f];
                }
        return ports_check_listeners(want, n, e);
}

/* What of the configuration outlives the call. */
static char *portmap_config(const ChainOp *op, Error *e) {
        static const char *const keys[] = { "snat", "masqAll", "conditionsV4", "conditionsV6" };
        _cleanup_json_ json_object *all = NULL, *o = json_object_new_object();

        if (json_parse(op->request.config, op->request.config_size, "network configuration", &all,
                       e) < 0)
                return NULL;
        bool ok = o && json_add_string(o, "cniVersion", op->conf->cni_version) >= 0 &&
                  json_add_string(o, "name", op->conf->name) >= 0 &&
                  json_add_string(o, "type", op->conf->type) >= 0;
        for (size_t i = 0; i < ELEMENTSOF(keys) && ok; i++) {
                json_object *value = json_get(all, keys[i]);
                ok = !value || json_add(o, keys[i], json_object_get(value)) >= 0;
        }
        return ok ? json_to_text(o) : NULL;
}

/* The first that needs it notes whether it has to be set back in the end. */
static bool sets_localnet(const Attachment *a) {
        const char *way_in = spec_way_in(&a->spec);
        const Attachment *other;

        if (a->spec.kind != NET_KIND_FOREIGN || !way_in[0] || !spec_needs_route_localnet(&a->spec))
                return false;
        if (!host_link_has_localnet(way_in))
                return true;
        MAP_FOREACH (other, a->manager->attachments)
                if (other != a && other->spec.set_localnet &&
                    streq(spec_way_in(&other->spec), way_in))
                        return true;
        return false;
}

static int portmap_decide(ChainOp *op, Error *e) {
        Attachment *a = op->attachment;
        size_t n = a->spec.n_ports;

        if (portmap_is_idle(op->conf))
                return 0;
        for (size_t i = 0; i < op->conf->n_ports; i++) {
                int r = attachment_take_missing_ports(a, &op->conf->ports[i], e);
                if (r < 0)
                        return r;
        }
        _cleanup_free_ char *config = portmap_config(op, e);
        if (!config)
                return error_oom(e);
        int r = network_set_portmap(a->network, config, e);
        if (r < 0)
                return r;
        bool changed = a->spec.n_ports != n || !streq_ptr(a->spec.portmap, config);
        free(a->spec.portmap);
        a->spec.portmap = TAKE_PTR(config);
        a->spec.snat = op->conf->snat;
        a->spec.set_localnet = a->spec.set_localnet || sets_localnet(a);
        return changed;
}

static int portmap_kernel(ChainOp *op, WorkerContext *w, Error *e) {
        const AttachmentSpec *s = &op->after;

        if (s->n_ports == 0 || !s->snat || (op->host.foreign && !spec_needs_route_localnet(s)))
                return 0;
        return host_end_open_ports(w->host, &op->host, true, e);
}

/* ---- bandwidth -------------------------------------------------------------------------------- */

static const NetBandwidth *wanted_bandwidth(const NetConf *c) {
        bool own = c->bandwidth.ingress_rate > 0 || c->bandwidth.egress_rate > 0;

        return own ? &c->bandwidth : &c->runtime_bandwidth;
}

static bool bandwidth_is_idle(const NetConf *c) {
        const NetBandwidth *b = wanted_bandwidth(c);

        return b->ingress_rate == 0 && b->egress_rate == 0;
}

static int bandwidth_decide(ChainOp *op, Error *e) {
        AttachmentSpec *s = &op->attachment->spec;
        const NlTcFeatures *tc = &op->manager->tc_features;
        const NetBandwidth *b = wanted_bandwidth(op->conf);

        if (bandwidth_is_idle(op->conf))
                return 0;
        if (!spec_host_end(s)[0])
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "bandwidth: the host has no end of %s that could be limited; it works "
                                "with interfaces of kind veth",
                                s->ifname);
        if (!(tc->tbf && tc->ifb && tc->clsact && tc->mirred))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "bandwidth: needs tbf, ifb, clsact and mirred, and this kernel "
                                  "lacks%s%s%s%s; load the modules",
                                  tc->tbf ? "" : " tbf", tc->ifb ? "" : " ifb",
                                  tc->clsact ? "" : " clsact", tc->mirred ? "" : " mirred");
        bool changed = s->shaping_mode != NET_SHAPING_SHAPE ||
                       memcmp(&s->bandwidth, b, sizeof(*b)) != 0;
        s->shaping_mode = NET_SHAPING_SHAPE;
        s->bandwidth = *b;
        return changed;
}

/* What tc keeps: in mode police it is the rule tables. */
static NetBandwidth shaped(const AttachmentSpec *s) {
        return s->shaping_mode == NET_SHAPING_SHAPE ? s->bandwidth : (NetBandwidth) { 0 };
}

static int bandwidth_kernel(ChainOp *op, WorkerContext *w, Error *e) {
        NetBandwidth from = shaped(&op->before), to = shaped(&op->after);
        NlLink ifb;

        if (to.ingress_rate == 0 && to.egress_rate == 0)
                return 0;
        int r = host_end_shape(w->host, &op->host, &from, &to, false, e);
        if (r >= 0 && to.egress_rate > 0) {
                r = kernel_get_link(w->host, op->host.ifb, &ifb);
                if (r < 0)
                        r = error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", op->host.ifb);
                else
                        op->ifb_mac = ifb.mac;
        }
        if (r < 0)
                (void) host_end_shape(w->host, &op->host, &to, &from, true, NULL);
        return r;
}

/* As the reference plugin has it; the versions before 0.3.0 know no interfaces. */
static int bandwidth_answer(ChainOp *op, json_object *result, Error *e) {
        json_object *list = json_get(result, "interfaces");
        _cleanup_json_ json_object *ifb = NULL;

        if (!spec_shapes_egress(&op->after) || bandwidth_is_idle(op->conf) ||
            cni_version_compare(op->conf->cni_version, "0.3.0") < 0)
                return 0;
        if (!json_object_is_type(list, json_type_array)) {
                list = json_object_new_array();
                if (json_add(result, "interfaces", list) < 0)
                        return error_oom(e);
        }
        ifb = json_object_new_object();
        if (!ifb || json_add_string(ifb, "name", op->host.ifb) < 0 ||
            json_add_string(ifb, "mac", MAC_STR(&op->ifb_mac)) < 0 ||
            json_append(list, TAKE_PTR(ifb)) < 0)
                return error_oom(e);
        return 0;
}

/* ---- firewall --------------------------------------------------------------------------------- */

/* What other firewalls refuse stays refused: nothing can accept for them. Health tells who does. */
static bool firewall_is_idle(const NetConf *c) {
        return c->ingress_policy == NET_INGRESS_OPEN;
}

static int firewall_decide(ChainOp *op, Error *e _unused_) {
        AttachmentSpec *s = &op->attachment->spec;
        bool changed = s->ingress != op->conf->ingress_policy;

        s->ingress = op->conf->ingress_policy;
        return changed;
}

/* ---- all -------------------------------------------------------------------------------------- */

static const ChainPlugin chain_portmap = { .plugin = NET_PLUGIN_PORTMAP,
                                           .is_idle = portmap_is_idle,
                                           .look = portmap_look,
                                           .decide = portmap_decide,
                                           .kernel = portmap_kernel };
static const ChainPlugin chain_bandwidth = { .plugin = NET_PLUGIN_BANDWIDTH,
                                             .is_idle = bandwidth_is_idle,
                                             .decide = bandwidth_decide,
                                             .kernel = bandwidth_kernel,
                                             .answer = bandwidth_answer };
static const ChainPlugin chain_firewall = { .plugin = NET_PLUGIN_FIREWALL,
                                            .is_idle = firewall_is_idle,
                                            .decide = firewall_decide };

const ChainPlugin *chain_plugin_find(NetPlugin plugin) {
        switch (plugin) {
        case NET_PLUGIN_PORTMAP:
                return &chain_portmap;
        case NET_PLUGIN_BANDWIDTH:
                return &chain_bandwidth;
        case NET_PLUGIN_FIREWALL:
                return &chain_firewall;
        case NET_PLUGIN_TUNING:
                return &chain_tuning;
        case NET_PLUGIN_SBR:
                return &chain_sbr;
        case NET_PLUGIN_VRF:
                return &chain_vrf;
        default:
                return NULL;
        }
}
