/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execution of plans; see wire.h. */

#include "core/wire.h"

#include <fcntl.h>
#include <stdio.h>

#include "base/failpoint.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/nic.h"
#include "nl/announce.h"

int wire_open_netns(WorkerContext *w, int netns_fd, NlSocket **ret, uint64_t *ret_cookie,
                    Error *e) {
        _cleanup_close_ int fd = -EBADF;

        int r = nsd_client_open(&w->nsd, netns_fd, NSD_OPEN_ROUTE, NULL, &fd);
        if (r == -ECONNREFUSED || r == -ENOENT)
                return error_setf(e, ERROR_TRY_AGAIN,
                                  "netmgr-nsd does not listen on %s; start netmgr-nsd.service",
                                  w->nsd.path);
        if (r == -ETIMEDOUT || r == -ECONNRESET || r == -EPIPE)
                return error_setf(e, ERROR_TRY_AGAIN, "netmgr-nsd on %s does not answer: %s",
                                  w->nsd.path, strerror(-r));
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r,
                                        "opening a socket in the sandbox's netns");
        r = socket_netns_cookie(fd, ret_cookie);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r,
                                        "reading the netns cookie (Linux 5.14 or newer)");
        r = kernel_socket_from_fd(w->kernel, fd, ret);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r,
                                        "using the socket in the sandbox's netns");
        TAKE_FD(fd);
        return 0;
}

int wire_check_name_is_free(NlSocket *pod, const char *ifname, const char *netns_path, Error *e) {
        NlLink link;

        int r = kernel_get_link(pod, ifname, &link);
        if (r == -ENODEV)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for %s in the sandbox's netns",
                                        ifname);
        return error_setf(e, ERROR_EXISTS,
                          "interface %s exists already in netns \"%.256s\"; DEL it, or choose "
                          "another name",
                          ifname, netns_path);
}

int host_sysctl_write(const PlanSysctl *s, Error *e) {
        _cleanup_free_ char *path = strf("/proc/sys/net/%s", s->name);
        if (!path)
                return error_oom(e);
        int r = failpoint("sysctl-write");
        if (r >= 0)
                r = file_write_string(path, s->value);
        if (r == -ENOENT && s->optional)
                return 0;
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "writing %s to %s", s->value, path);
        return 0;
}

static int apply(NlSocket *s, NlOp *ops, size_t n, const char *where, NlApplied *ret, Error *e) {
        NlApplied applied = { 0 };

        if (n == 0)
                return 0;
        int r = kernel_apply(s, ops, n, &applied);
        if (applied.host_ifindex || applied.pod_ifindex)
                *ret = applied;
        else if (applied.ifb_ifindex)
                ret->ifb_ifindex = applied.ifb_ifindex;
        if (r < 0) {
                ret->failed = applied.failed;
                _cleanup_free_ char *words =
                                applied.failed < n ? nl_op_describe(&ops[applied.failed]) : NULL;
                return error_set_errnof(e, ERROR_KERNEL, r, "the kernel refused to %s in %s",
                                        words ? words : "answer", where);
        }
        return 0;
}

static int pod_sysctls(WorkerContext *w, const Plan *p, int netns_fd, Error *e) {
        for (size_t i = 0; i < p->n_pod_sysctls; i++) {
                const PlanSysctl *s = &p->pod_sysctls[i];
                int r = nsd_client_write_sysctl(&w->nsd, netns_fd, s->name, s->value);
                if (r == -ENOENT && s->optional)
                        continue;
                if (r < 0)
                        return error_set_errnof(e, ERROR_KERNEL, r,
                                                "writing %s to %s in the sandbox's netns", s->value,
                                                s->name);
        }
        return 0;
}

/* What the network asks for; what is not there is an error, and named. */
static int tuning_sysctls(WorkerContext *w, const Plan *p, int netns_fd, Error *e) {
        for (size_t i = 0; i < p->n_sysctls; i++) {
                /* Names are relative to /proc/sys/net, which is all that a namespace has of its own. */
                const char *name = p->sysctls[i].name + strlen("net/");
                int r = nsd_client_write_sysctl(&w->nsd, netns_fd, name, p->sysctls[i].value);
                if (r < 0)
                        return error_set_errnof(e, ERROR_KERNEL, r,
                                                "sysctl %s: writing \"%s\" in the sandbox's netns",
                                                p->sysctls[i].name, p->sysctls[i].value);
        }
        return 0;
}

/* False: it may still be there. */
static bool delete_link(NlSocket *s, const char *name) {
        NlOp op = { .type = NL_LINK_DEL, .what = "delete the link" };

        snprintf(op.link.name, sizeof(op.link.name), "%s", name);
        int r = kernel_apply(s, &op, 1, &(NlApplied) { 0 });
        return r >= 0 || r == -ENODEV;
}

/* The index of a link that the plan names. It may have gone since somebody looked. */
static int find_link(NlSocket *s, const char *name, const char *what, uint32_t *ret, Error *e) {
        NlLink link;

        int r = kernel_get_link(s, name, &link);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "looking for the %s %s", what, name);
        *ret = link.ifindex;
        return 0;
}

static int wire_host(WorkerContext *w, Plan *p, int netns_fd, NlApplied *ret, Error *e) {
        NlApplied vlans = { 0 };
        size_t n = 0;

        for (size_t i = 0; i < p->n_host; i++) {
                NlOp *op = &p->host[i];

                if (op->type == NL_VETH_ADD)
                        op->veth.peer_netns_fd = netns_fd;
                if (op->type != NL_LINK_ADD)
                        continue;
                op->newlink.netns_fd = netns_fd;
                int r = find_link(w->host, p->master, "master", &op->newlink.link_ifindex, e);
                if (r < 0)
                        return r;
        }
        /* The VLANs of a port are set by index, which its creation tells. */
        while (n < p->n_host && p->host[n].type != NL_BRIDGE_VLAN_ADD &&
               p->host[n].type != NL_BRIDGE_VLAN_DEL)
                n++;
        int r = apply(w->host, p->host, n, "the host's netns", ret, e);
        if (r < 0 || n == p->n_host)
                return r;
        nl_ops_resolve(p->host + n, p->n_host - n, ret);
        r = apply(w->host, p->host + n, p->n_host - n, "the host's netns", &vlans, e);
        ret->ifb_ifindex = vlans.ifb_ifindex;
        return r;
}

/* The interface where it cannot be born from the host. */
static int wire_birth(WorkerContext *w, Plan *p, int netns_fd, NlSocket *pod,
                      const AttachmentSpec *s, NlApplied *ret, Error *e) {
        if (s->nic)
                return nic_lend(w, s, netns_fd, pod, &ret->pod_ifindex, e);
        if (p->tap) {
                const NsdTap tap = { .name = s->ifname,
                                     .flags = p->tap->multi_queue ? NSD_TAP_MULTI_QUEUE : 0,
                                     .owner = p->tap->owner,
                                     .group = p->tap->group,
                                     .context = p->tap->selinux_context[0] ? p->tap->selinux_context
                                                                           : NULL };
                int r = nsd_client_make_tap(&w->nsd, netns_fd, &tap);
                if (r < 0)
                        return error_set_errnof(e, ERROR_KERNEL, r,
                                                "creating the tap %s in the sandbox's netns",
                                                s->ifname);
                return find_link(pod, s->ifname, "tap", &ret->pod_ifindex, e);
        }
        for (size_t i = 0; i < p->n_birth && p->master; i++) {
                int r = find_link(pod, p->master, "master", &p->birth[i].newlink.link_ifindex, e);
                if (r < 0)
                        return r;
        }
        return apply(pod, p->birth, p->n_birth, "the sandbox's netns", ret, e);
}

/* What the interface is a port of has an index of its own in each sandbox. */
static int find_pod_master(Plan *p, NlSocket *pod, Error *e) {
        for (size_t i = 0; i < p->n_pod && p->pod_master; i++) {
                NlOp *op = &p->pod[i];

                if (op->type != NL_LINK_SET || !(op->link.mask & NL_LINK_MASTER))
                        continue;
                int r = find_link(pod, p->pod_master, "bridge", &op->link.master_ifindex, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int wire_rest(WorkerContext *w, Plan *p, int netns_fd, NlSocket *pod, NlApplied *ret,
                     Error *e) {
        nl_ops_resolve(p->pod, p->n_pod, ret);
        nl_ops_resolve(p->finish, p->n_finish, ret);

        int r = pod_sysctls(w, p, netns_fd, e);
        if (r >= 0)
                r = find_pod_master(p, pod, e);
        if (r < 0)
                return r;
        r = apply(pod, p->pod, p->n_pod, "the sandbox's netns", ret, e);
        if (r < 0)
                return r;
        r = tuning_sysctls(w, p, netns_fd, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < p->n_host_sysctls; i++) {
                r = host_sysctl_write(&p->host_sysctls[i], e);
                if (r < 0)
                        return r;
        }
        return apply(w->host, p->finish, p->n_finish, "the host's netns", ret, e);
}

/* Their names are never used twice, so they are ours also when the kernel's answer was lost; only a
 * host end whose creation it refused because there is one is somebody else's. What is only in the
 * sandbox is ours when we have its index. */
static bool unwire(WorkerContext *w, const Plan *p, NlSocket *pod, const AttachmentSpec *s,
                   const NlApplied *applied, bool theirs) {
        bool gone = true;

        for (size_t i = 0; i < p->n_host; i++)
                if (p->host[i].type == NL_VETH_ADD && !theirs)
                        gone &= delete_link(w->host, s->host_ifname);
                else if (p->host[i].type == NL_IFB_ADD)
                        gone &= delete_link(w->host, p->host[i].ifb.name);
        if (s->nic)
                gone &= nic_return(w, s, pod, NULL) >= 0;
        else if (kind_is_inside(s->kind) && s->kind != NET_KIND_LOOPBACK && applied->pod_ifindex)
                gone &= delete_link(pod, s->ifname);
        return gone;
}

int wire_plan(WorkerContext *w, Plan *p, int netns_fd, NlSocket *pod, const AttachmentSpec *s,
              NlApplied *ret, bool *ret_left, Error *e) {
        NlApplied applied = { 0 };

        int r = wire_host(w, p, netns_fd, &applied, e);
        bool theirs = r == -EEXIST && applied.failed < p->n_host &&
                      p->host[applied.failed].type == NL_VETH_ADD;
        if (r >= 0)
                r = wire_birth(w, p, netns_fd, pod, s, &applied, e);
        if (r >= 0)
                r = wire_rest(w, p, netns_fd, pod, &applied, e);
        if (r < 0) {
                *ret_left = !unwire(w, p, pod, s, &applied, theirs);
                return r;
        }
        *ret = applied;
        return 0;
}

void wire_announce(WorkerContext *w, uint32_t bridge_ifindex, const AttachmentSpec *s) {
        if (w->packet_fd < 0) {
                _cleanup_close_ int own = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
                int fd, r = own < 0 ? -errno
                                    : nsd_client_open(&w->nsd, own, NSD_OPEN_PACKET, NULL, &fd);
                if (r < 0) {
                        log_ctx(LOG_WARNING,
                                &(LogContext) { .interface = s->host_ifname, .error = r },
                                "no packet socket to announce addresses with: %s", strerror(-r));
                        return;
                }
                w->packet_fd = fd;
        }
        failpoint_past("announce");
        for (size_t i = 0; i < s->n_addresses; i++) {
                int r = announce_address(w->packet_fd, bridge_ifindex, &s->mac,
                                         &s->addresses[i].address.address);
                if (r < 0)
                        log_debug("announcing %s: %s",
                                  IN_ADDR_STR(&s->addresses[i].address.address), strerror(-r));
        }
}
