/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * CHECK: the ledger's specification against prevResult and against both namespaces. The plan that ADD
 * carries out is what is compared, so that the two cannot drift apart; the first difference is named.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "core/adjust.h"
#include "core/compare.h"
#include "core/delegate.h"
#include "core/network-extra.h"
#include "core/op-check.h"
#include "core/plan.h"
#include "core/wire.h"

/* A plugin of others that is asked, too. */
typedef struct DelegateCheck {
        char *plugin, *args; /* owned */
        char *config;        /* owned; NULL: the caller's own call is passed on */
} DelegateCheck;

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
        MacAddr prev_mac; /* of the interface, as prevResult has it; zero: it says nothing */
        uint32_t prev_mtu;
        bool member;              /* netmgrd asks by itself */
        bool keep_mtu;            /* nobody else can have changed it */
        DelegateCheck *delegates; /* owned; asked last, in the order of ADD */
        size_t n_delegates, next;
        Question question;
} CheckOp;

static void check_end(CheckOp *op, int r, const Error *e) {
        operation_end(op->manager);
        op->done(r, e, "", op->userdata);
        request_clear(&op->request);
        netconf_free(op->conf);
        for (size_t i = 0; i < op->n_delegates; i++) {
                free(op->delegates[i].plugin);
                free(op->delegates[i].args);
                free(op->delegates[i].config);
        }
        free(op->delegates);
        plan_clear(&op->plan);
        spec_clear(&op->spec);
        free(op);
}

#define differs(e, ...) error_setf((e), ERROR_CHECK_FAILED, __VA_ARGS__)

/* The first of what was found is the answer. */
static int first_difference(Differences *l, Error *e) {
        int r = 0;

        if (l->error < 0)
                r = error_oom(e);
        else if (l->n > 0)
                r = differs(e, "%s", l->items[0].sentence);
        differences_clear(l);
        return r;
}

/* It must be there with its addresses; what else it is like is its maker's business. */
static void check_foreign_pod(const AttachmentSpec *s, const NlDump *d, Differences *ret) {
        const NlLink *l = compare_find_link(d, s->ifname);

        /* No plugin of ours has met the interface: IPAM for others, which only holds the addresses. */
        if (mac_is_zero(&s->mac))
                return;

        if (!l) {
                differ(ret, NULL, "interface %s is missing in " WHERE_SANDBOX, s->ifname);
                return;
        }
        for (size_t i = 0; i < s->n_addresses; i++)
                compare_address(d, l->ifindex, &s->addresses[i].address, s->ifname, WHERE_SANDBOX,
                                NULL, ret);
        (void) adjust_compare(s, d, l, false, ret);
}

static int check_pod(CheckOp *op, NlSocket *pod, Error *e) {
        AttachmentSpec seen = op->spec;
        Differences found = { 0 };
        NlDump d = { 0 };

        if (!op->keep_mtu || op->prev_mtu)
                seen.mtu = op->keep_mtu ? op->prev_mtu : 0;
        int r = kernel_dump(pod, POD_DUMP, &d);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking into the sandbox's netns");
        compare_index(&d);
        const NlLink *link = compare_find_link(&d, seen.ifname);
        if (link && !mac_is_zero(&seen.mac) &&
            memcmp(&link->mac, &op->prev_mac, sizeof(link->mac)) == 0)
                seen.mac = op->prev_mac;
        if (op->spec.kind == NET_KIND_FOREIGN)
                check_foreign_pod(&seen, &d, &found);
        else
                compare_pod(&seen, &op->plan, &d, &found);
        kernel_dump_clear(&d);
        return first_difference(&found, e);
}

/* As the kernel writes it, but for spaces: "4096\t131072\t6291456". */
static bool same_value(const char *want, const char *found) {
        for (;;) {
                want += strspn(want, " \t\n");
                found += strspn(found, " \t\n");
                size_t n = strcspn(want, " \t\n");
                if (n != strcspn(found, " \t\n") || memcmp(want, found, n) != 0)
                        return false;
                if (n == 0)
                        return true;
                want += n;
                found += n;
        }
}

/* Those that a plugin of the chain has set: a sandbox may change what its network set. */
static int check_sysctls(const CheckOp *op, WorkerContext *w, Error *e) {
        const AttachmentSpec *s = &op->spec;

        for (size_t i = 0; i < s->n_sysctls && s->adjust.has_sysctls; i++) {
                const NetSysctl *y = &s->sysctls[i];
                _cleanup_free_ char *found = NULL;
                _cleanup_close_ int fd = -EBADF;
                size_t size;

                int r = nsd_client_open(&w->nsd, op->request.netns_fd, NSD_OPEN_SYSCTL,
                                        y->name + strlen("net/"), &fd);
                if (r >= 0)
                        r = fd_read_full(fd, CONFIG_SIZE_MAX, &found, &size);
                if (r < 0)
                        return error_set_errnof(e, ERROR_CHECK_FAILED, r,
                                                "sysctl %s in the sandbox: wanted \"%s\"", y->name,
                                                y->value);
                if (!same_value(y->value, found))
                        return differs(e, "sysctl %s in the sandbox: wanted \"%s\", found \"%.*s\"",
                                       y->name, y->value, (int) strcspn(found, "\n"), found);
        }
        return 0;
}

static void check_gateways(const AttachmentSpec *s, const NlDump *d, uint32_t ifindex,
                           const char *ifname, Differences *ret) {
        for (size_t i = 0; i < s->n_addresses; i++) {
                InPrefix gw = { .address = s->addresses[i].gateway,
                                .length = s->addresses[i].address.length };
                if (in_addr_is_set(&gw.address))
                        compare_address(d, ifindex, &gw, ifname, WHERE_HOST, NULL, ret);
        }
}

static int check_bridge(const AttachmentSpec *s, NlSocket *host, const NlLink *port, Error *e) {
        Differences found = { 0 };
        NlDump d = { 0 };
        NlLink bridge, gateway;
        char extra[IF_NAMESIZE];

        int r = kernel_get_link(host, s->bridge, &bridge);
        if (r < 0 && r != -ENODEV)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for bridge %s", s->bridge);
        bool there = r >= 0;
        compare_port(s, port, there ? &bridge : NULL, &found);
        /* Of a VLAN it is a link of its own. */
        attachment_extra_name(s, extra);
        gateway = bridge;
        if (there && extra[0] && kernel_get_link(host, extra, &gateway) < 0) {
                differ(&found, NULL, "interface %s is missing in " WHERE_HOST, extra);
                there = false;
        }
        if (there && s->is_gateway) {
                r = kernel_dump(host, NL_DUMP_ADDRS, &d);
                if (r < 0) {
                        differences_clear(&found);
                        return error_set_errnof(e, ERROR_KERNEL, r, "listing the host's addresses");
                }
                compare_index(&d);
                check_gateways(s, &d, gateway.ifindex, gateway.name, &found);
                kernel_dump_clear(&d);
        }
        return first_difference(&found, e);
}

/* Whoever made the host's end. */
static int check_shaping(const AttachmentSpec *s, NlSocket *host, Error *e) {
        char ifb[IF_NAMESIZE];
        NlLink link;

        if (!spec_shapes_egress(s))
                return 0;
        spec_ifb_name(s, ifb);
        int r = kernel_get_link(host, ifb, &link);
        if (r == -ENODEV)
                return differs(e, "shaping interface %s of %s is missing in " WHERE_HOST, ifb,
                               spec_host_end(s));
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", ifb) : 0;
}

static int check_foreign_host(const AttachmentSpec *s, NlSocket *host, Error *e) {
        NlLink link;

        if (!s->foreign_ifname[0])
                return 0;
        int r = kernel_get_link(host, s->foreign_ifname, &link);
        if (r == -ENODEV)
                return differs(e, "interface %s is missing in " WHERE_HOST, s->foreign_ifname);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", s->foreign_ifname)
                     : 0;
}

/* The host's tables can be large: its routes are asked for one by one. */
static int check_host(CheckOp *op, WorkerContext *w, Error *e) {
        const AttachmentSpec *s = &op->spec;
        Differences found = { 0 };
        NlLink link;

        int r = check_shaping(s, w->host, e);
        if (r < 0 || s->kind == NET_KIND_FOREIGN)
                return r < 0 ? r : check_foreign_host(s, w->host, e);
        if (!s->host_ifname[0])
                return 0;
        r = kernel_get_link(w->host, s->host_ifname, &link);
        if (r < 0 && r != -ENODEV)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s", s->host_ifname);
        (void) compare_link(r < 0 ? NULL : &link, s->host_ifname, WHERE_HOST, &s->host_mac, s->mtu,
                            &found);
        r = first_difference(&found, e);
        if (r < 0)
                return r;
        if (kind_has_bridge(s->kind))
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
        if (r >= 0)
                r = check_sysctls(op, w, e);
        return r < 0 ? r : check_host(op, w, e);
}

/* ---- plugins of others ------------------------------------------------------------------------ */

static void check_delegates(CheckOp *op);

static void delegate_checked(Question *q, int r, const TaskAnswer *answer) {
        CheckOp *op = list_entry(q, CheckOp, question);
        _cleanup_error_ Error error = ERROR_NULL;

        if (r >= 0 && answer->exit == 0) {
                op->next++;
                check_delegates(op);
                return;
        }
        r = delegate_error(op->delegates[op->next].plugin, "CHECK", r, answer, &error);
        check_end(op, r, &error);
}

/* A caller who runs nothing is told what can be told without. */
static void check_delegates(CheckOp *op) {
        const DelegateCheck *d = &op->delegates[op->next];

        if (op->next < op->n_delegates) {
                delegate_ask_own(d->plugin, "CHECK", DELEGATE_TIMEOUT_SEC, &op->question);
                if (d->config) {
                        op->question.ticket.container_id = op->request.container_id;
                        op->question.ticket.ifname = op->request.ifname;
                        op->question.ticket.netns = op->request.netns_path;
                        op->question.ticket.args = d->args;
                        op->question.ticket.config = d->config;
                }
                op->question.answered = delegate_checked;
                if (conversation_ask(op->request.talk, &op->question))
                        return;
        }
        check_end(op, 0, NULL);
}

/* Its CHECK is the caller's own, or one for what the ledger remembers; 0: it has none. */
static int take_delegate(CheckOp *op, const Attachment *a, const Delegate *d) {
        const NetConf *c = op->conf;
        bool own = !op->member && c->ipam == NET_IPAM_FOREIGN && streq_ptr(c->ipam_type, d->plugin);
        DelegateCheck *to = &op->delegates[op->n_delegates];
        _cleanup_free_ char *config = NULL;
        int r = own ? 1 : delegate_make_check(a, d, &config);

        if (r <= 0)
                return r;
        to->plugin = strdup(d->plugin);
        to->args = strdup(d->args);
        to->config = TAKE_PTR(config);
        op->n_delegates++;
        return to->plugin && to->args ? 0 : -ENOMEM;
}

static int take_delegates(CheckOp *op, const Attachment *a) {
        const NetList *list = a->network->list;
        int r = 0;

        /* An IPAM plugin of ours that one of them asks has its own to tell, not theirs. */
        if (net_plugin_is_ipam(op->conf->plugin))
                return 0;
        op->delegates = new0(DelegateCheck, a->n_delegates + 1);
        if (!op->delegates)
                return -ENOMEM;
        for (size_t i = 0; i < a->n_delegates && r >= 0; i++)
                if (!(a->delegates[i].of_list && list && list->disable_check))
                        r = take_delegate(op, a, &a->delegates[i]);
        return r;
}

static void checked(Task *task) {
        CheckOp *op = (CheckOp *) task;
        _cleanup_error_ Error error = task->error;

        task->error = ERROR_NULL;
        if (task->r >= 0)
                check_delegates(op);
        else
                check_end(op, task->r, &error);
}

/* A later plugin may have given it another MAC or MTU (tuning), and prevResult says so, or lacks the MTU
 * that was in the result: it went through a plugin of an older version. Configurations of the reference
 * plugins never have their MTU compared. */
static void tolerate(CheckOp *op, const CniPrevResult *prev) {
        op->keep_mtu = op->conf->plugin == NET_PLUGIN_NETMGR;
        for (size_t i = 0; i < prev->n_interfaces; i++) {
                if (!prev->interfaces[i].sandbox ||
                    !streq(prev->interfaces[i].name, op->request.ifname))
                        continue;
                if (prev->interfaces[i].has_mac)
                        op->prev_mac = prev->interfaces[i].mac;
                op->prev_mtu = prev->interfaces[i].mtu;
                if (op->prev_mtu == 0 && cni_version_compare(op->conf->cni_version, "1.0.0") >= 0)
                        op->keep_mtu = false;
        }
}

/* What the runtime remembers against what the ledger says. */
static int check_prev_result(CheckOp *op, const Attachment *a, Error *e) {
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
        tolerate(op, &prev);
        cni_prev_result_clear(&prev);
        return r;
}

/* 1: there is nothing to compare. */
static int check_prepare(CheckOp *op, const Attachment *a, Error *e) {
        if (!a || !attachment_is_meant(a, op->conf->name))
                return error_setf(e, ERROR_CHECK_FAILED,
                                  "sandbox %s has no interface %s on network %s",
                                  op->request.container_id, op->request.ifname, op->conf->name);
        if (a->state != ATTACHMENT_UP)
                return error_setf(e, ERROR_TRY_AGAIN, "interface %s of sandbox %s is in state %s",
                                  op->request.ifname, op->request.container_id,
                                  attachment_state_to_string(a->state));
        /* The plugins that could compare it are no longer this runtime's. */
        if (a->spec.imported)
                return 1;
        int r = check_prev_result(op, a, e);
        if (r >= 0 && take_delegates(op, a) < 0)
                r = error_oom(e);
        if (r >= 0)
                r = spec_copy(&a->spec, &op->spec) < 0 ? error_oom(e)
                                                       : 0; /* it may go while we look */
        if (r < 0)
                return r;
        op->netns_cookie = a->sandbox->netns_cookie;
        return plan_make(&op->spec, 0, &op->plan) < 0 ? error_oom(e) : 0;
}

/* Of an interface that a plugin of others made only the name and the result are ours to read. */
static int parse_foreign(CheckOp *op, Error *e) {
        const Request *q = &op->request;
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(q->config, q->config_size, "configuration", &o, e);
        if (r < 0)
                return r;
        const char *name = json_object_get_string(json_get(o, "name"));
        if (netconf_new_foreign(strempty(name), &op->conf) < 0)
                return error_oom(e);
        free(op->conf->cni_version); /* of the ledger's results */
        op->conf->cni_version = strdup("1.1.0");
        if (!op->conf->cni_version)
                return error_oom(e);
        op->conf->prev_result = json_object_get(json_get(o, "prevResult"));
        return 0;
}

static int check_parse(CheckOp *op, Error *e) {
        Request *q = &op->request;
        NetPlugin plugin = net_plugin_from_string(q->type);

        int r = op->member ? 0 : request_check_host(op->manager, q, e);
        if (r >= 0)
                r = request_check_ids(q, e);
        if (r >= 0)
                r = request_check_netns(op->manager, q, e);
        if (r >= 0)
                r = op->member && plugin < 0 ? parse_foreign(op, e)
                                             : netconf_parse_as(plugin, q->config, q->config_size,
                                                                &op->conf, e);
        if (r < 0)
                return r;
        if (!op->conf->name || !op->conf->prev_result)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: CHECK needs it, found nothing",
                                  op->conf->name ? "prevResult" : "name");
        return check_prepare(op, attachment_find(op->manager, q->container_id, q->ifname), e);
}

void check_one(Manager *m, Request *q, bool member, RequestDone done, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        CheckOp *op = new0(CheckOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                return;
        }
        *op = (CheckOp) {
                .manager = m, .request = *q, .done = done, .userdata = userdata, .member = member
        };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        int r = operation_begin(m, &error);
        if (r < 0) {
                m->n_operations++; /* check_end() takes it back */
                check_end(op, r, &error);
                return;
        }
        r = check_parse(op, &error);
        if (r != 0) {
                check_end(op, MIN_OF(r, 0), &error);
                return;
        }
        op->job.run = check_run;
        op->job.task.deliver = checked;
        workers_submit(m->workers, &op->job);
}
