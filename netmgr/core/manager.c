/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The Manager: making, starting, reloading, ending. See manager.h for what it owns. */

#include "core/manager.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log-ids.h"
#include "base/log.h"
#include "base/parse.h"
#include "core/attachment.h"
#include "core/audit.h"
#include "core/conversation.h"
#include "core/dhcp.h"
#include "core/exec-call.h"
#include "core/exec-retry.h"
#include "core/features.h"
#include "core/history.h"
#include "core/host-local.h"
#include "core/manager-firewall.h"
#include "core/netns-watch.h"
#include "core/network-extra.h"
#include "core/network-status.h"
#include "core/network.h"
#include "core/operation.h"
#include "core/ports.h"
#include "core/rebuild.h"
#include "core/reconcile.h"
#include "core/recover.h"
#include "core/sandbox.h"
#include "core/spool.h"
#include "core/sync-round.h"
#include "core/traffic.h"

static uint64_t now(clockid_t clock) {
        struct timespec ts;
        clock_gettime(clock, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

uint64_t now_realtime(void) {
        return now(CLOCK_REALTIME);
}

uint64_t now_monotonic(void) {
        return now(CLOCK_MONOTONIC);
}

uint64_t now_boottime(void) {
        return now(CLOCK_BOOTTIME);
}

void manager_set_health(Manager *m, HealthBit bit, const char *sentence) {
        unsigned mask = 1U << bit, before = m->health;

        if (m->stopping)
                return; /* what is cancelled says nothing of the node */
        if (streq_ptr(m->health_text[bit], sentence))
                return;
        if (sentence)
                log_event(LOG_WARNING, LOG_ID_DEGRADED, &(LogContext) { .reason = sentence },
                          "degraded: %s", sentence);
        else
                log_event(LOG_NOTICE, LOG_ID_RECOVERED,
                          &(LogContext) { .reason = m->health_text[bit] },
                          "health: recovered, it is over: %s", strempty(m->health_text[bit]));
        free(m->health_text[bit]);
        m->health_text[bit] = sentence ? strdup(sentence) : NULL;
        m->health = sentence ? before | mask : before & ~mask;
        if (m->observer.health_changed)
                m->observer.health_changed(m->observer.userdata);
}

static int probe_write(Commit *c _unused_, Store *store, Error *e) {
        return store_touch(store, e);
}

static void probed(Task *task) {
        Manager *m = (Manager *) ((char *) task - offsetof(Manager, probe));

        m->probing = false;
        manager_set_commit_health(m, &m->probe);
        error_clear(&task->error);
        if (!m->probing)
                reconcile_soon(m);
}

/* Somebody's next ADD should not have to find out. */
static void probe_ledger(Manager *m) {
        if (m->probing)
                return;
        m->probe.write = probe_write;
        m->probe.task.deliver = probed;
        m->probe.written = false;
        m->probing = committer_owe(m->committer, &m->probe);
}

void manager_set_commit_health(Manager *m, const Commit *c) {
        const char *sentence = c->task.r < 0 ? error_message(&c->task.error) : NULL;

        manager_set_health(m, HEALTH_LEDGER, c->written ? NULL : sentence);
        if (!c->written)
                probe_ledger(m);
        if (c->written && c->enforce)
                manager_set_health(m, HEALTH_FIREWALL, sentence);
}

static int read_identity(Manager *m, Error *e) {
        _cleanup_free_ char *boot_id = NULL;
        _cleanup_close_ int fd = -EBADF;
        size_t size;

        int r = file_read_full(AT_FDCWD, "/proc/sys/kernel/random/boot_id", sizeof(m->boot_id) - 1,
                               &boot_id, &size);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "reading the boot id");
        boot_id[strcspn(boot_id, "\n")] = '\0';
        memcpy(m->boot_id, boot_id, strlen(boot_id) + 1);

        fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_set_errnof(e, ERROR_INTERNAL, errno,
                                        "opening the own network namespace");
        r = fd_is_netns(fd, &m->netns_dev, &m->netns_ino);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r,
                                        "identifying the own network namespace");
        return 0;
}

int manager_new(sd_event *event, const ManagerParams *params, Manager **ret, Error *e) {
        _cleanup_(manager_freep) Manager *m = new0(Manager, 1);
        if (!m)
                return error_oom(e);

        m->event = event;
        m->kernel = params->kernel;
        m->inotify_fd = -EBADF;
        list_init(&m->adds);
        list_init(&m->adds_waiting);
        list_init(&m->give_backs);
        list_init(&m->foreign_ops);
        list_init(&m->networks_ops);
        list_init(&m->programs_waiting);
        conf_init(&m->conf);
        m->state_dir = strdup(params->state_dir);
        m->config_dir = strdup(params->config_dir);
        m->spool_dir = strdup(params->spool_dir);
        m->nsd_socket = strdup(params->nsd_socket);
        m->dhcp_socket = strdup(params->dhcp_socket);
        m->sysctl_allowlist = strdup(params->sysctl_allowlist);
        m->runtime_dir = strdup(params->runtime_dir);
        m->exec_socket = strdup(params->exec_socket);
        m->networks = map_new();
        m->sandboxes = map_new();
        m->attachments = map_new();
        m->host_ends = map_new();
        m->orphans = map_new();
        m->tickets = map_new();
        m->imports = map_new();
        m->host_ifindexes = map_new();
        m->ports = port_table_new();
        m->audit = audit_new();
        m->history = history_queue_new();
        m->sync_round = sync_round_new(m);
        if (!m->state_dir || !m->config_dir || !m->spool_dir || !m->nsd_socket || !m->dhcp_socket ||
            !m->sysctl_allowlist || !m->runtime_dir || !m->exec_socket || !m->networks ||
            !m->sandboxes || !m->attachments || !m->host_ends || !m->host_ifindexes ||
            !m->orphans || !m->tickets || !m->imports || !m->ports || !m->audit || !m->history ||
            !m->sync_round || exec_calls_new(m) < 0)
                return error_oom(e);

        int r = conf_load(m->config_dir, &m->conf, e);
        if (r < 0)
                return r; /* At start a broken netmgr.conf is an error; on reload the old one stays. */
        log_set_level(m->conf.log_level);
        r = ipam_new((uint64_t) m->conf.cooldown_sec * 1000000U, &m->ipam);
        if (r < 0)
                return error_oom(e);
        r = read_identity(m, e);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(m);
        return 0;
}

static void on_ifb_deleted(Manager *m, const char *name) {
        const Attachment *a;
        uint64_t id;

        if (parse_hex64(name + 3, &id) >= 0 && (a = map_get_u64(m->attachments, id)) &&
            a->state == ATTACHMENT_UP && !a->busy && !a->lost)
                reconcile_soon(m);
}

static void on_link_deleted(uint32_t ifindex _unused_, const char *name, void *userdata) {
        Manager *m = userdata;
        Attachment *a = map_get_str(m->host_ends, name);
        char extra[16];
        Network *n;

        if (a)
                attachment_link_gone(a);
        else if (strncmp(name, "nmg", 3) == 0)
                rebuild_link_gone(m, name);
        else if (strncmp(name, "nmi", 3) == 0)
                on_ifb_deleted(m, name);
        else
                MAP_FOREACH (n, m->networks) {
                        network_extra_name(n, extra);
                        if (streq(n->bridge, name) || streq(extra, name)) {
                                network_forget_ready(n);
                                reconcile_soon(m);
                        }
                }
}

/* Our own operations strip links too: those are under way, and are not judged. */
static void on_link_stripped(uint32_t ifindex, void *userdata) {
        Manager *m = userdata;
        const Attachment *a = map_get_u64(m->host_ifindexes, ifindex);
        const Network *n;

        if (a && a->state == ATTACHMENT_UP && !a->busy)
                reconcile_soon(m);
        else if (!a)
                MAP_FOREACH (n, m->networks)
                        if (n->n_attachments > 0 &&
                            (n->bridge_ifindex == ifindex || n->extra_ifindex == ifindex))
                                reconcile_soon(m);
}

/* On a bridge none is ours. */
static void on_neigh_deleted(uint32_t ifindex, void *userdata) {
        if (map_get_u64(((Manager *) userdata)->host_ifindexes, ifindex))
                on_link_stripped(ifindex, userdata);
}

/* A dump that changes interrupted may have missed a link: only the kernel's word on this one counts. */
static bool is_gone(Manager *m, const Map *present, const char *name) {
        NlLink link;

        return !map_get_str(present, name) && kernel_get_link(m->nl, name, &link) == -ENODEV;
}

/* Notifications were dropped: ask for every host end that we wait for or believe in. */
static void on_monitor_lost(void *userdata) {
        Manager *m = userdata;
        _cleanup_(map_freep) Map *present = map_new();
        NlDump d = { 0 };
        Attachment *a;
        Network *n;

        log_notice("link notifications were lost; looking at all links");
        int r = present ? kernel_dump(m->nl, NL_DUMP_LINKS, &d) : -ENOMEM;
        for (size_t i = 0; i < d.n_links && r >= 0; i++)
                if (map_put_str(present, d.links[i].name, m) == -ENOMEM)
                        r = -ENOMEM;
        kernel_dump_clear(&d);
        if (r < 0) {
                reconcile_soon(m); /* a link that could not be noted down is not gone */
                return;
        }
        MAP_FOREACH (a, m->host_ends)
                if (a->state != ATTACHMENT_PLANNED && a->state != ATTACHMENT_WIRING &&
                    is_gone(m, present, a->spec.host_ifname))
                        attachment_link_gone(a);
        MAP_FOREACH (n, m->networks)
                if (n->bridge[0] && is_gone(m, present, n->bridge))
                        network_forget_ready(n);
        reconcile_soon(m);
}

static int start_netlink(Manager *m, Error *e) {
        static const NlMonitorCallbacks callbacks = { .link_deleted = on_link_deleted,
                                                      .link_stripped = on_link_stripped,
                                                      .neigh_deleted = on_neigh_deleted,
                                                      .lost = on_monitor_lost };
        _cleanup_close_ int fd = kernel_open_fd();
        if (fd < 0)
                return error_set_errnof(e, ERROR_KERNEL, fd, "opening a rtnetlink socket");
        int r = kernel_socket_from_fd(m->kernel, fd, &m->nl);
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "opening a rtnetlink socket");
        TAKE_FD(fd);
        r = nl_monitor_new(m->event, &callbacks, m, &m->monitor);
        return r < 0 ? error_set_errnof(e, ERROR_KERNEL, r, "watching links") : 0;
}

int manager_start(Manager *m, Error *e) {
        _cleanup_(store_closep) Store *store = NULL;
        _cleanup_(firewall_freep) Firewall *firewall = NULL;
        _cleanup_free_ char *set_aside = NULL;

        int r = store_open(m->state_dir, &store, &set_aside, e);
        if (r < 0)
                return r;
        if (set_aside) {
                _cleanup_free_ char *text =
                                strf("the ledger was damaged; it is set aside as %s and a new one "
                                     "begun",
                                     set_aside);
                if (text)
                        manager_set_health(m, HEALTH_LEDGER_RESET, text);
        }
        r = start_netlink(m, e);
        if (r < 0)
                return r;
        r = manager_recover(m, store, e);
        if (r < 0)
                return r;

        r = rebuild_find(m, store, e);
        if (r < 0)
                return r;
        r = manager_start_firewall(m, &firewall, e);
        if (r < 0)
                return r;

        if (manager_find_features(m) < 0)
                return error_oom(e);

        r = mailbox_new(m->event, &m->mailbox);
        if (r >= 0)
                r = committer_new(m->event, m->mailbox, store, firewall, &m->committer);
        if (r >= 0) {
                TAKE_PTR(store);
                TAKE_PTR(firewall);
                r = workers_new(m->mailbox, m->kernel, m->nsd_socket, m->conf.workers, &m->workers);
        }
        if (r >= 0)
                r = reaper_new(m->mailbox, m->kernel, &m->reaper);
        if (r >= 0)
                r = flows_new(&m->flows);
        if (r >= 0)
                r = reconciler_new(m, &m->reconciler);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "starting the threads");

        r = netns_watch_new(m, &m->netns_watch);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "watching for ends of sandboxes");
        r = exec_retry_new(m);
        if (r < 0)
                return error_set_errnof(e, ERROR_INTERNAL, r, "watching for netmgr-exec");
        r = manager_watch_firewalls(m, e);
        if (r < 0)
                return r;
        (void) network_files_load(m, NULL); /* Broken files are in Health and in the log. */
        traffic_start(m);
        r = network_files_watch(m, e);
        if (r < 0)
                return r;
        if (status_files_new(m, &m->status_files) < 0)
                return error_oom(e);
        manager_finish_recovery(m);
        dhcp_start(m);
        r = spool_new(m, m->spool_dir, &m->spool, e);
        if (r < 0)
                return r;
        spool_consume_before_serving(m->spool);
        reconcile_at_start(m);
        return 0;
}

int manager_reload(Manager *m, Error *e) {
        _cleanup_error_ Error error = ERROR_NULL;
        Conf conf = { 0 };

        conf_init(&conf);
        int r = conf_load(m->config_dir, &conf, &error);
        if (r < 0)
                conf_clear(&conf);
        else {
                conf_clear(&m->conf);
                m->conf = conf;
                log_set_level(m->conf.log_level);
                ipam_set_cooldown(m->ipam, (uint64_t) m->conf.cooldown_sec * 1000000U);
                manager_update_firewall_config(m);
        }
        manager_set_health(m, HEALTH_CONF, r < 0 ? error_message(&error) : NULL);

        if (m->inotify_source == NULL) {
                m->inotify_fd = safe_close(m->inotify_fd);
                (void) network_files_watch(m, NULL);
        }
        spool_reload(m->spool);
        /* Broken networks are told by Health: the reload itself has done what it could. */
        (void) network_files_load(m, NULL);
        return r < 0 ? error_setf(e, error.kind, "%s", error_message(&error)) : 0;
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;

        /* The datapath stays. Threads end first: nothing may touch the objects after. What they have done
         * is taken note of; what it would lead to is cancelled, and left to the next start. */
        m->stopping = true;
        adds_stop(m);
        dhcp_stop(m);
        if (m->tickets)
                conversations_end(m);
        exec_calls_free(m);
        exec_retry_free(m);
        reaper_stop(m->reaper);
        workers_stop(m->workers);
        mailbox_drain(m->mailbox);
        committer_stop(m->committer);
        mailbox_drain(m->mailbox);
        m->reaper = reaper_free(m->reaper);
        m->workers = workers_free(m->workers);
        m->committer = committer_free(m->committer);
        m->flows = flows_free(m->flows);
        history_queue_free(m->history);
        m->netns_watch = netns_watch_free(m->netns_watch);
        mailbox_free(m->mailbox);
        m->spool = spool_free(m->spool);
        nl_monitor_free(m->monitor);
        m->reconciler = reconciler_free(m->reconciler);
        manager_unwatch_firewalls(m);
        kernel_socket_free(m->nl);
        sd_event_source_disable_unref(m->inotify_source);
        safe_close(m->inotify_fd);

        m->observer = (ManagerObserver) { 0 };
        m->status_files = status_files_free(m->status_files);
        manager_forget_objects(m);
        map_free(m->networks);
        map_free(m->sandboxes);
        map_free(m->attachments);
        map_free(m->host_ends);
        map_free(m->tickets);
        host_local_free(m);
        rebuild_free(m);
        map_free(m->host_ifindexes);
        port_table_free(m->ports);
        audit_free(m->audit);
        traffic_free(m->traffic);
        sync_round_free(m->sync_round);
        manager_forget_features(m);
        ipam_free(m->ipam);
        conf_clear(&m->conf);
        for (int i = 0; i < _HEALTH_MAX; i++)
                free(m->health_text[i]);
        free(m->state_dir);
        free(m->config_dir);
        free(m->spool_dir);
        free(m->nsd_socket);
        free(m->dhcp_socket);
        free(m->sysctl_allowlist);
        free(m->runtime_dir);
        free(m->exec_socket);
        free(m);
        return NULL;
}
