/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The requests of members: the texts that a runtime would send for a plugin if it knew of the network, and
 * what of the runtime's own words is for the default interface only (multi-net-spec 1.3, section 7.5).
 */

#include "core/networks-internal.h"

#include "base/fd.h"
#include "base/parse.h"
#include "cri/result.h"

#define RUNTIME_CONFIG "runtimeConfig"

/* --- runtimeConfig ------------------------------------------------------------------------------- */

static int add_ips(json_object *o, const NetSelection *s) {
        json_object *list;

        if (s->n_ips == 0)
                return 0;
        list = json_object_new_array();
        if (json_add(o, "ips", list) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_ips; i++) {
                const char *text = s->bare_ips & (1U << i) ? IN_ADDR_STR(&s->ips[i].address)
                                                           : IN_PREFIX_STR(&s->ips[i]);
                if (json_append(list, json_object_new_string(text)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_ports(json_object *o, const NetSelection *s) {
        json_object *list;

        if (s->n_ports == 0)
                return 0;
        list = json_object_new_array();
        if (json_add(o, "portMappings", list) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_ports; i++) {
                const NetPort *p = &s->ports[i];
                json_object *port = json_object_new_object();
                if (json_append(list, port) < 0 ||
                    json_add(port, "hostPort", json_object_new_int64(p->host_port)) < 0 ||
                    json_add(port, "containerPort", json_object_new_int64(p->container_port)) < 0 ||
                    json_add_string(port, "protocol", protocol_name(p->protocol)) < 0 ||
                    (p->host.family != AF_UNSPEC &&
                     json_add_string(port, "hostIP", IN_ADDR_STR(&p->host)) < 0))
                        return -ENOMEM;
        }
        return 0;
}

static int add_bandwidth(json_object *o, const NetBandwidth *b) {
        const struct {
                const char *key;
                uint64_t value;
        } parts[] = { { "ingressRate", b->ingress_rate },
                      { "ingressBurst", b->ingress_burst },
                      { "egressRate", b->egress_rate },
                      { "egressBurst", b->egress_burst } };
        json_object *rates;

        if (b->ingress_rate == 0 && b->egress_rate == 0)
                return 0;
        rates = json_object_new_object();
        if (json_add(o, "bandwidth", rates) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(parts); i++)
                if (parts[i].value > 0 &&
                    json_add(rates, parts[i].key, json_object_new_uint64(parts[i].value)) < 0)
                        return -ENOMEM;
        return 0;
}

/* What the selection asks of the network, as a runtime would pass it; over what is there. */
static int put_selection(json_object *o, const NetSelection *s) {
        if (add_ips(o, s) < 0 || add_ports(o, s) < 0 || add_bandwidth(o, &s->bandwidth) < 0 ||
            (!mac_is_zero(&s->mac) && json_add_string(o, "mac", MAC_STR(&s->mac)) < 0) ||
            json_add_string(o, "infinibandGUID", s->infiniband_guid) < 0 ||
            json_add_string(o, "deviceID", s->device_id) < 0)
                return -ENOMEM;
        return 0;
}

/* The runtime's own words are for the default network, also where a pod has chosen another one for it. */
static json_object *runtime_config(const NetworksOp *op, const Member *m) {
        json_object *mine = json_get(op->config, RUNTIME_CONFIG);
        _cleanup_json_ json_object *o = NULL;

        if (!mine || m->place.position > 0)
                o = json_object_new_object();
        else if (json_object_deep_copy(mine, &o, NULL) < 0)
                return NULL;
        if (!o)
                return NULL;
        json_object_object_del(o, CAPABILITY_ANNOTATIONS);
        if (m->selection && put_selection(o, m->selection) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* --- CNI_ARGS ------------------------------------------------------------------------------------ */

/* IP, MAC and GATEWAY in there are wishes for the default interface; who the pod is holds for all. */
static char *pod_args(const CniArgs *a) {
        return strf("IgnoreUnknown=1%s%s%s%s%s%s%s%s",
                    a->pod_namespace ? ";K8S_POD_NAMESPACE=" : "", strempty(a->pod_namespace),
                    a->pod_name ? ";K8S_POD_NAME=" : "", strempty(a->pod_name),
                    a->infra_container_id ? ";K8S_POD_INFRA_CONTAINER_ID=" : "",
                    strempty(a->infra_container_id), a->pod_uid ? ";K8S_POD_UID=" : "",
                    strempty(a->pod_uid));
}

/* --- texts --------------------------------------------------------------------------------------- */

/* A network of type netmgr: by its name. */
static int plain_text(const NetworksOp *op, const Member *m, const Network *n, json_object *runtime,
                      char **ret) {
        _cleanup_json_ json_object *o = json_object_new_object();
        const char *version = op->conf ? op->conf->cni_version : "1.1.0";

        if (!o || json_add_string(o, "cniVersion", version) < 0 ||
            json_add_string(o, "name", n->conf->name ? n->conf->name : n->name) < 0 ||
            json_add_string(o, "type", "netmgr") < 0 ||
            json_add_string(o, "network", n->name) < 0 ||
            json_add(o, RUNTIME_CONFIG, json_object_get(runtime)) < 0)
                return -ENOMEM;
        /* Of the runtime's own network, which stands for this one or was chosen as it. */
        json_object *mine = m->selection ? NULL : json_get(op->config, "args");
        if (mine && json_add(o, "args", json_object_get(mine)) < 0)
                return -ENOMEM;
        if (m->selection && m->selection->cni_args) {
                json_object *args = json_object_new_object();
                if (json_add(o, "args", args) < 0 ||
                    json_add(args, "cni", json_object_get(m->selection->cni_args)) < 0)
                        return -ENOMEM;
        }
        *ret = json_to_text(o);
        return *ret ? 0 : -ENOMEM;
}

static bool names_its_device(const NetConf *c) {
        const NetDevice *d = &c->device;

        return d->name[0] || !mac_is_zero(&d->mac) || d->kernel_path || d->pci_bus_id;
}

/* What a runtime says goes before these of the network; a pod's author is no runtime, and would get the node's other
 * NICs, or any address at all. Where the network leaves it open it is there to be said. */
static int check_fixed(const Member *m, const Network *n, Error *e) {
        const NetSelection *s = m->selection;
        const NetConf *c = n->conf;

        if (s->device_id && names_its_device(c))
                return error_setf(
                                e, ERROR_ACCESS_DENIED,
                                "%s: \"deviceID\" was asked for, but network %s says itself which "
                                "device it has; leave it out",
                                s->where, m->network);
        if (c->ipam == NET_IPAM_STATIC && c->n_addresses > 0 &&
            (s->n_ips > 0 || json_get(s->cni_args, "ips")))
                return error_setf(e, ERROR_ACCESS_DENIED,
                                  "%s: \"ips\" was asked for, but network %s says itself which "
                                  "addresses it has (ipam of type static); leave it out",
                                  s->where, m->network);
        return 0;
}

/* A network of type netmgr declares nothing, and has all that it reads: these it reads of some kinds, or of none. */
static int check_plain(const NetworksOp *op, const Member *m, const Network *n, Error *e) {
        const NetSelection *s = m->selection;
        const char *key = !s                   ? NULL
                          : s->infiniband_guid ? "infiniband-guid"
                          : s->device_id && n->conf->kind != NET_KIND_HOST_DEVICE ? "deviceID"
                                                                                  : NULL;
        if (!key) /* an administrator attaches what he likes */
                return s && !op->hot ? check_fixed(m, n, e) : 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "%s: \"%s\" was asked for, which network %s of kind %s does not have; leave it "
                        "out",
                        s->where, key, m->network, net_kind_to_string(n->conf->kind));
}

/* What the runtime says is left out where nobody has declared it, as libcni does. */
static int check_declared(const Member *m, Error *e) {
        _cleanup_json_ json_object *wishes = json_object_new_object();

        if (!m->selection)
                return 0;
        if (!wishes || put_selection(wishes, m->selection) < 0)
                return error_oom(e);
        const char *key = net_list_undeclared(m->list, wishes);
        if (!key)
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "%s: \"%s\" was asked for, but no plugin of network %s has the capability; "
                        "declare it in the network's \"capabilities\", or leave it out",
                        m->selection->where, key, m->network);
}

static int list_text(const Member *m, json_object *runtime, char **ret, Error *e) {
        const NetListPlugin *plugin = &m->list->plugins[m->next];
        _cleanup_json_ json_object *prev = NULL;
        NetListCall call = { .runtime_config = runtime,
                             .cni_args = m->selection ? m->selection->cni_args : NULL };

        int r = check_declared(m, e);
        if (r >= 0 && m->answer && m->answer[0])
                r = json_parse(m->answer, strlen(m->answer), "the result so far", &prev, e);
        if (r < 0)
                return r;
        call.prev_result = prev;
        return net_list_plugin_text(plugin, &call, ret) < 0 ? error_oom(e) : 0;
}

static int member_text(NetworksOp *op, const Member *m, char **ret_type, char **ret, Error *e) {
        _cleanup_json_ json_object *runtime = NULL;
        const Network *n = m->network ? network_find(op->manager, m->network) : NULL;

        if (m->network && (!n || n->gone))
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "network %s was removed meanwhile; undone, try again",
                                  m->network);
        runtime = runtime_config(op, m);
        if (!runtime)
                return error_oom(e);
        if (m->list) {
                int r = list_text(m, runtime, ret, e);
                if (r < 0)
                        return r;
                *ret_type = strdup(m->list->plugins[m->next].type);
        } else {
                int r = n ? check_plain(op, m, n, e) : 0;
                if (r < 0)
                        return r;
                if (!m->selection && (!n || streq_ptr(op->conf->network, n->name)))
                        *ret = strdup(op->request.config); /* as it came */
                else if (plain_text(op, m, n, runtime, ret) < 0)
                        return error_oom(e);
                *ret_type = strdup("netmgr");
        }
        return *ret && *ret_type ? 0 : error_oom(e);
}

int networks_request(NetworksOp *op, Member *m, Request *ret, Error *e) {
        const Request *mine = &op->request;
        Request q = { .netns_fd = -EBADF, .host_netns_fd = -EBADF };

        int r = member_text(op, m, &q.type, &q.config, e);
        if (r >= 0) {
                q.container_id = strdup(mine->container_id);
                q.ifname = strdup(m->ifname);
                q.netns_path = strdup(mine->netns_path);
                q.path = strdup(mine->path);
                q.args = m->place.position == 0 ? strdup(mine->args) : pod_args(&op->args);
                q.netns_fd = fd_dup(mine->netns_fd);
                if (!q.container_id || !q.ifname || !q.netns_path || !q.path || !q.args)
                        r = error_oom(e);
                else if (q.netns_fd < 0)
                        r = error_set_errnof(e, ERROR_TRY_AGAIN, q.netns_fd,
                                             "duplicating the sandbox's namespace");
        }
        if (r < 0) {
                request_clear(&q);
                return r;
        }
        q.config_size = strlen(q.config);
        q.host_local = m->place.position == 0 ? mine->host_local : 0;
        q.delegates = mine->delegates;
        *ret = q;
        return 0;
}

int networks_answer(const NetworksOp *op, const char *answer, char **ret, Error *e) {
        const char *wanted = op->conf ? op->conf->cni_version : "1.1.0", *found;
        _cleanup_(cni_owned_result_clear) CniOwnedResult all = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(answer, strlen(answer), "the result", &o, e);
        if (r < 0)
                return r;
        found = strempty(json_object_get_string(json_get(o, "cniVersion")));
        if (streq(found, wanted)) {
                *ret = strdup(answer);
                return *ret ? 0 : error_oom(e);
        }
        r = cni_result_parse(o, "result", isempty(found) ? CNI_VERSION_DEFAULT : found, &all, e);
        if (r < 0)
                return r;
        const CniResult view = cni_owned_result_view(&all);
        return cni_result_to_json(&view, wanted, ret, e);
}
